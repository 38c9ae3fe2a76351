//! WebSocket frames and chunks taken off: what is left are the packets of the tunnel, one after the other.

use super::heads::Framing;
use crate::read::stream::Stream;
use crate::wire::{gateway, http, websocket};

/// Frames and chunks of one direction that are looked at; more than its kept bytes hold.
const PIECES_MAX: usize = 65_536;

/// One frame or chunk: bytes in front of its payload, the payload's length, the bytes behind it, and how to read it.
struct Piece {
    front: u64,
    length: u64,
    behind: u64,
    mask: Option<[u8; 4]>,
    carries: bool,
}

/// The packets that one side sent, from this offset on. `masks` says whether frames of this side are masked.
pub(super) fn taken_off(stream: &Stream, from: u64, framing: Framing, masks: bool) -> Stream {
    let mut packets = Stream::default();
    let (mut at, mut out) = (from, 0);
    for _ in 0..PIECES_MAX {
        let bytes = stream.from(at);
        let Some(piece) = piece(bytes, framing, masks) else {
            let Some(next) = next_piece(stream, at, framing, masks) else { break };
            at = next;
            // How much is missing is not known: the gap shows that something is.
            out += 1;
            continue;
        };
        let start = at.saturating_add(piece.front);
        if piece.carries && piece.length > 0 {
            copy(stream, start, &piece, (&mut packets, out));
            out = out.saturating_add(piece.length);
        }
        at = start.saturating_add(piece.length).saturating_add(piece.behind);
        if at > stream.end() {
            break;
        }
    }
    packets.finish();
    packets
}

/// Adds the payload of a piece, each segment of it with its own time; what the capture lacks of it stays a gap.
fn copy(stream: &Stream, start: u64, piece: &Piece, (packets, out): (&mut Stream, u64)) {
    let held = stream.from(start);
    let whole = usize::try_from(piece.length).unwrap_or(usize::MAX);
    let payload = websocket::unmasked(held.get(..whole.min(held.len())).unwrap_or_default(), piece.mask);
    let end = start.saturating_add(u64::try_from(payload.len()).unwrap_or(0));
    let mut from = start;
    let cuts = stream.segments_from(start + 1).take_while(|cut| *cut < end);
    for cut in cuts.chain([end]) {
        let place = |offset: u64| usize::try_from(offset.saturating_sub(start)).unwrap_or(usize::MAX);
        let bytes = payload.get(place(from)..place(cut)).unwrap_or_default();
        if let Some(seen) = stream.seen(from).filter(|_| !bytes.is_empty()) {
            packets.push(out.saturating_add(from - start), bytes, cut.saturating_sub(from), seen);
        }
        from = cut;
    }
}

fn piece(bytes: &[u8], framing: Framing, masks: bool) -> Option<Piece> {
    let long = |bytes: usize| u64::try_from(bytes).unwrap_or(u64::MAX);
    match framing {
        Framing::Bare if bytes.is_empty() => None,
        Framing::Bare => {
            Some(Piece { front: 0, length: long(bytes.len()), behind: 0, mask: None, carries: true })
        }
        Framing::Chunked => {
            let chunk = http::chunk(bytes).ok().filter(|chunk| chunk.length > 0)?;
            let (front, length) = (long(chunk.line), u64::from(chunk.length));
            Some(Piece { front, length, behind: 2, mask: None, carries: true })
        }
        Framing::WebSocket => {
            let frame = websocket::frame(bytes).ok()?;
            let plausible = frame.reserved == 0
                && frame.opcode.is_known()
                && frame.mask.is_some() == masks
                && frame.length <= u64::from(gateway::PACKET_BYTES_MAX);
            let carries = frame.opcode.is_data();
            plausible.then_some(Piece {
                front: long(frame.header),
                length: frame.length,
                behind: 0,
                mask: frame.mask,
                carries,
            })
        }
    }
}

/// The next segment behind a gap that begins with a frame or chunk whose payload begins with a packet.
fn next_piece(stream: &Stream, at: u64, framing: Framing, masks: bool) -> Option<u64> {
    let begins = |offset: &u64| {
        let bytes = stream.from(*offset);
        piece(bytes, framing, masks).is_some_and(|piece| {
            let front = usize::try_from(piece.front).unwrap_or(usize::MAX);
            let first = bytes.get(front..).unwrap_or_default();
            let first = first.get(..gateway::HEADER.min(first.len())).unwrap_or_default();
            gateway::header(&websocket::unmasked(first, piece.mask)).is_ok()
        })
    };
    stream.segments_from(at + 1).find(begins)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::note::Place;
    use crate::read::flow::Sighting;
    use crate::time::UnixNanos;

    fn stream(segments: &[(u64, &[u8])]) -> Stream {
        let mut stream = Stream::default();
        for (frame, (offset, bytes)) in (1..).zip(segments) {
            let seen = Sighting { at: UnixNanos(1), place: Place::frame(0, frame) };
            stream.push(*offset, bytes, u64::try_from(bytes.len()).unwrap(), seen);
        }
        stream.finish();
        stream
    }

    const KEEP_ALIVE: [u8; 8] = [0xd, 0, 0, 0, 8, 0, 0, 0];

    fn masked(payload: &[u8]) -> Vec<u8> {
        let mask = [1, 2, 3, 4];
        let length = 0x80 | u8::try_from(payload.len()).unwrap();
        [&[0x82, length][..], &mask, &websocket::unmasked(payload, Some(mask))].concat()
    }

    #[test]
    fn frames_are_taken_off_and_pings_left_out() {
        let sent = [masked(&KEEP_ALIVE), vec![0x89, 0x80, 0, 0, 0, 0], masked(&KEEP_ALIVE)].concat();
        let packets = taken_off(&stream(&[(0, &sent)]), 0, Framing::WebSocket, true);
        assert_eq!(packets.from(0), [KEEP_ALIVE, KEEP_ALIVE].concat());
    }

    #[test]
    fn behind_a_gap_it_goes_on_with_the_next_frame() {
        let sent = masked(&KEEP_ALIVE);
        let packets =
            taken_off(&stream(&[(0, &sent), (40, b"no frame"), (60, &sent)]), 0, Framing::WebSocket, true);
        let starts: Vec<u64> = packets.starts().collect();
        assert_eq!((packets.from(0), starts.len()), (&KEEP_ALIVE[..], 2));
        assert_eq!(packets.from(*starts.last().unwrap()), KEEP_ALIVE);
    }

    #[test]
    fn chunks_are_taken_off() {
        let text = b"8\r\n\x0d\0\0\0\x08\0\0\0\r\n3\r\nabc\r\n0\r\n\r\n";
        let packets = taken_off(&stream(&[(0, text)]), 0, Framing::Chunked, false);
        assert_eq!(packets.from(0), b"\x0d\0\0\0\x08\0\0\0abc");
    }

    #[test]
    fn the_mask_of_the_wrong_side_is_no_frame() {
        let packets = taken_off(&stream(&[(0, &masked(&KEEP_ALIVE))]), 0, Framing::WebSocket, false);
        assert!(packets.is_empty());
    }
}
