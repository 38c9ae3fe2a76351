//! One direction of a TCP connection put in order: gaps, overlaps, repeats, reordering, within a bound of memory.

use std::collections::{BTreeMap, VecDeque};

use super::flow::Sighting;

/// Bytes kept from the start of a stream: more than any handshake up to the desktop needs.
pub const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Bytes kept from the end of a longer stream, where the reason of the end stands.
pub const TAIL_BYTES_MAX: usize = 16 * 1024;
/// Bytes and segments that may wait for a missing one before it is given up.
const WAITING_BYTES_MAX: usize = 128 * 1024;
const WAITING_SEGMENTS_MAX: usize = 256;
/// Segments of the head whose frame is kept; 1-byte segments reach it before the byte limit.
const SPANS_MAX: usize = 16 * 1024;

/// Bytes that follow each other.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Piece {
    offset: u64,
    bytes: Vec<u8>,
}

impl Piece {
    fn end(&self) -> u64 {
        self.offset.saturating_add(len(&self.bytes))
    }
}

/// Where a byte range was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    offset: u64,
    seen: Sighting,
}

#[derive(Debug, Clone)]
struct Waiting {
    bytes: Vec<u8>,
    /// Bytes of the segment on the wire; more than `bytes` when the snap length cut it.
    length: u64,
    seen: Sighting,
}

/// A byte stream with gaps marked; offset 0 is the first byte after the SYN, or the first seen.
#[derive(Debug, Clone, Default)]
pub struct Stream {
    head: Vec<Piece>,
    head_bytes: usize,
    /// INVARIANT: sorted by offset.
    spans: Vec<Span>,
    tail: VecDeque<(Piece, Sighting)>,
    tail_bytes: usize,
    waiting: BTreeMap<u64, Waiting>,
    waiting_bytes: usize,
    next: u64,
    left_out: u64,
}

fn len(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

fn clamp(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

impl Stream {
    /// Adds a segment at `offset` with `length` bytes on the wire, of which `bytes` were captured.
    pub fn push(&mut self, offset: u64, bytes: &[u8], length: u64, seen: Sighting) {
        let end = offset.saturating_add(length);
        if length == 0 || end <= self.next {
            return;
        }
        if offset > self.next {
            self.wait(offset, bytes, length, seen);
            return;
        }
        self.take(offset, bytes, length, seen);
        self.drain();
    }

    fn wait(&mut self, offset: u64, bytes: &[u8], length: u64, seen: Sighting) {
        let known = self.waiting.get(&offset).is_some_and(|held| held.length >= length);
        if known {
            return;
        }
        self.waiting_bytes = self.waiting_bytes.saturating_add(bytes.len());
        let shorter = self.waiting.insert(offset, Waiting { bytes: bytes.to_vec(), length, seen });
        let let_go = shorter.map_or(0, |held| held.bytes.len());
        self.waiting_bytes = self.waiting_bytes.saturating_sub(let_go);
        if self.waiting_bytes > WAITING_BYTES_MAX || self.waiting.len() > WAITING_SEGMENTS_MAX {
            self.give_up_gap();
        }
    }

    /// Gives up the bytes before the first waiting segment: a gap stays.
    fn give_up_gap(&mut self) {
        if let Some((offset, _)) = self.waiting.first_key_value() {
            self.next = self.next.max(*offset);
        }
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(entry) = self.waiting.first_entry() {
            if *entry.key() > self.next {
                break;
            }
            let (offset, held) = entry.remove_entry();
            self.waiting_bytes = self.waiting_bytes.saturating_sub(held.bytes.len());
            if offset.saturating_add(held.length) > self.next {
                self.take(offset, &held.bytes, held.length, held.seen);
            }
        }
    }

    /// Takes the part of a segment that lies at or behind `next`; the first copy of a byte wins.
    fn take(&mut self, offset: u64, bytes: &[u8], length: u64, seen: Sighting) {
        let overlap = self.next.saturating_sub(offset);
        let fresh = bytes.get(clamp(overlap)..).unwrap_or_default();
        let start = self.next;
        self.next = offset.saturating_add(length);
        if fresh.is_empty() {
            return;
        }
        if self.head_bytes < HEAD_BYTES_MAX && self.spans.len() < SPANS_MAX {
            self.keep_head(start, fresh, seen);
        } else {
            self.keep_tail(start, fresh, seen);
        }
    }

    fn keep_head(&mut self, start: u64, bytes: &[u8], seen: Sighting) {
        self.head_bytes = self.head_bytes.saturating_add(bytes.len());
        self.spans.push(Span { offset: start, seen });
        match self.head.last_mut() {
            Some(piece) if piece.end() == start => piece.bytes.extend_from_slice(bytes),
            _ => self.head.push(Piece { offset: start, bytes: bytes.to_vec() }),
        }
    }

    fn keep_tail(&mut self, start: u64, bytes: &[u8], seen: Sighting) {
        self.tail_bytes = self.tail_bytes.saturating_add(bytes.len());
        self.tail.push_back((Piece { offset: start, bytes: bytes.to_vec() }, seen));
        while self.tail_bytes > TAIL_BYTES_MAX && self.tail.len() > 1 {
            let Some((piece, _)) = self.tail.pop_front() else { break };
            self.tail_bytes = self.tail_bytes.saturating_sub(piece.bytes.len());
            self.left_out = self.left_out.saturating_add(len(&piece.bytes));
        }
    }

    /// Ends the stream: what still waits is put in order with its gaps, head and tail become one list.
    pub fn finish(&mut self) {
        while !self.waiting.is_empty() {
            self.give_up_gap();
        }
        for (piece, seen) in std::mem::take(&mut self.tail) {
            self.spans.push(Span { offset: piece.offset, seen });
            match self.head.last_mut() {
                Some(last) if last.end() == piece.offset => last.bytes.extend_from_slice(&piece.bytes),
                _ => self.head.push(piece),
            }
        }
    }

    /// The same stream without its first `offset` bytes, counted from behind them; only once it is finished.
    #[must_use]
    pub fn behind(&self, offset: u64) -> Self {
        let mut rest =
            Self { next: self.next.saturating_sub(offset), left_out: self.left_out, ..Self::default() };
        for piece in self.head.iter().filter(|piece| piece.end() > offset) {
            let passed = clamp(offset.saturating_sub(piece.offset));
            let bytes = piece.bytes.get(passed..).unwrap_or_default().to_vec();
            rest.head_bytes = rest.head_bytes.saturating_add(bytes.len());
            rest.head.push(Piece { offset: piece.offset.saturating_sub(offset), bytes });
        }
        // The segment that the cut goes through begins with what is left of it.
        let first = self.spans.partition_point(|span| span.offset <= offset).saturating_sub(1);
        let spans = self.spans.iter().skip(first).filter(|_| self.next > offset);
        rest.spans =
            spans.map(|span| Span { offset: span.offset.saturating_sub(offset), seen: span.seen }).collect();
        rest
    }

    /// Nothing was said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.next == 0
    }

    /// Offset behind the last byte, whether it is kept or not.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.next
    }

    /// Bytes that came past and were not kept because of the limit.
    #[must_use]
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Bytes held in memory.
    #[must_use]
    pub fn held(&self) -> usize {
        self.head_bytes.saturating_add(self.tail_bytes).saturating_add(self.waiting_bytes)
    }

    /// The bytes from `offset` on up to the next gap; empty inside a gap.
    #[must_use]
    pub fn from(&self, offset: u64) -> &[u8] {
        let index = self.head.partition_point(|piece| piece.end() <= offset);
        let Some(piece) = self.head.get(index).filter(|piece| piece.offset <= offset) else { return &[] };
        piece.bytes.get(clamp(offset.saturating_sub(piece.offset))..).unwrap_or_default()
    }

    /// Offsets at which kept bytes begin again after a gap, the first one included.
    pub fn starts(&self) -> impl Iterator<Item = u64> + '_ {
        self.head.iter().map(|piece| piece.offset)
    }

    /// Offset at which the first segment behind `offset` begins: where a record may start after a gap.
    pub fn segments_from(&self, offset: u64) -> impl Iterator<Item = u64> + '_ {
        let first = self.spans.partition_point(|span| span.offset < offset);
        self.spans.iter().skip(first).map(|span| span.offset)
    }

    /// Bytes that came past before `end` and are missing here although nothing was left out on purpose.
    #[must_use]
    pub fn missing(&self) -> u64 {
        let kept: u64 = self.head.iter().map(|piece| len(&piece.bytes)).sum();
        self.next.saturating_sub(kept).saturating_sub(self.left_out)
    }

    /// When and where the byte at `offset` was seen.
    #[must_use]
    pub fn seen(&self, offset: u64) -> Option<Sighting> {
        let index = self.spans.partition_point(|span| span.offset <= offset);
        index.checked_sub(1).and_then(|i| self.spans.get(i)).map(|span| span.seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::note::Place;
    use crate::time::UnixNanos;

    fn seen(frame: u64) -> Sighting {
        Sighting { at: UnixNanos(1_000), place: Place::frame(0, frame) }
    }

    fn built(segments: &[(u64, &[u8])]) -> Stream {
        let mut stream = Stream::default();
        for (frame, (offset, bytes)) in (1..).zip(segments) {
            stream.push(*offset, bytes, len(bytes), seen(frame));
        }
        stream.finish();
        stream
    }

    #[test]
    fn order_repeats_and_overlaps_do_not_matter() {
        let text = b"handshake";
        let cuts: [&[(u64, &[u8])]; 4] = [
            &[(0, text)],
            &[(4, b"shake"), (0, b"hand")],
            &[(0, b"hands"), (0, b"hands"), (3, b"dshake")],
            &[(8, b"e"), (7, b"k"), (0, b"h"), (1, b"andsha"), (1, b"andsha")],
        ];
        for cut in cuts {
            assert_eq!(built(cut).from(0), text);
        }
    }

    #[test]
    fn every_byte_knows_its_frame() {
        let stream = built(&[(4, b"shake"), (0, b"hand")]);
        assert_eq!(stream.seen(3).map(|s| s.place), Some(Place::frame(0, 2)));
        assert_eq!(stream.seen(4).map(|s| s.place), Some(Place::frame(0, 1)));
    }

    #[test]
    fn behind_an_offset_everything_keeps_its_frame() {
        let stream = built(&[(0, b"hand"), (4, b"sha"), (9, b"ke")]);
        let rest = stream.behind(2);
        assert_eq!((rest.from(0), rest.from(7), rest.end()), (&b"ndsha"[..], &b"ke"[..], 9));
        let frames = [0, 1, 2, 7].map(|offset| rest.seen(offset).map(|seen| seen.place));
        assert_eq!(frames, [1, 1, 2, 3].map(|frame| Some(Place::frame(0, frame))));
        assert_eq!(rest.missing(), 2);
        assert!(stream.behind(11).is_empty());
        assert_eq!(stream.behind(11).seen(0), None);
        assert_eq!(stream.behind(4).seen(0).map(|seen| seen.place), Some(Place::frame(0, 2)));
    }

    #[test]
    fn a_gap_stays_a_gap() {
        let stream = built(&[(0, b"ab"), (5, b"fg")]);
        assert_eq!(stream.from(0), b"ab");
        assert_eq!(stream.from(3), b"");
        assert_eq!(stream.from(6), b"g");
        assert_eq!((stream.end(), stream.missing()), (7, 3));
        assert_eq!(stream.starts().collect::<Vec<_>>(), [0, 5]);
    }

    #[test]
    fn a_snapped_segment_leaves_a_gap() {
        let mut stream = Stream::default();
        stream.push(0, b"abc", 10, seen(1));
        stream.push(10, b"k", 1, seen(2));
        stream.finish();
        assert_eq!((stream.from(0), stream.from(10)), (&b"abc"[..], &b"k"[..]));
        assert_eq!(stream.missing(), 7);
    }

    #[test]
    fn head_and_tail_are_kept_of_a_long_stream() {
        let mut stream = Stream::default();
        let block = [7_u8; 1_000];
        for number in 0..1_000_u64 {
            stream.push(number * 1_000, &block, 1_000, seen(number + 1));
        }
        stream.finish();
        assert!(stream.held() <= HEAD_BYTES_MAX + 1_000 + TAIL_BYTES_MAX);
        assert_eq!(stream.from(0).len(), 66_000);
        assert_eq!(stream.from(999_999), [7]);
        assert_eq!(stream.missing(), 0);
        assert!(stream.left_out() > 900_000);
    }

    #[test]
    fn waiting_is_bounded() {
        let mut stream = Stream::default();
        for number in 0..1_000_u64 {
            stream.push(10 + number * 2, b"x", 1, seen(number + 1));
        }
        assert!(stream.waiting.len() <= WAITING_SEGMENTS_MAX);
    }
    #[test]
    fn what_replaces_a_waiting_segment_is_counted_once() {
        let stream = built(&[(5, b"fg"), (5, b"fghi"), (0, b"abcde")]);
        assert_eq!(stream.from(0), b"abcdefghi");
        assert_eq!(stream.held(), 9);
    }

    #[test]
    fn a_segment_without_bytes_moves_nothing() {
        let stream = built(&[(0, b"ab"), (9, b"")]);
        assert_eq!((stream.end(), stream.missing()), (2, 0));
    }
}
