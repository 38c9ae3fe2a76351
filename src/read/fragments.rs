//! IP fragments put together, within limits of number, bytes and age; what stays incomplete is counted.

use std::collections::VecDeque;
use std::net::IpAddr;

use etherparse::{IpNumber, defrag::IpDefragBuf};
use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::flow::Sighting;
use super::link::{Fragment, Reassembled};
use crate::note::{Note, Place};

/// Packets that wait for fragments, or were just completed.
const PACKETS_MAX: usize = 4_096;
/// Bytes of waiting fragments, gaps included.
const BYTES_MAX: usize = 16 * 1024 * 1024;
/// How long a packet waits for its last fragment: what Linux and Windows wait (RFC 8200 4.5 says 60 s at most).
const AGE_NS: i64 = 60_000_000_000;
/// A fragment so shortly after its packet was complete is a copy of one that was seen.
const COPY_NS: i64 = 20_000_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    from: IpAddr,
    to: IpAddr,
    identification: u32,
    protocol: IpNumber,
}

#[derive(Debug)]
struct Waiting {
    /// Which use of the key this is.
    number: u64,
    fragments: u64,
    first: Sighting,
    last: Sighting,
    /// `None` once the packet is complete.
    bytes: Option<IpDefragBuf>,
}

/// The packets that wait for fragments.
#[derive(Debug, Default)]
pub struct Fragments {
    waiting: HashMap<Key, Waiting, FixedState>,
    /// Keys in the order of their first fragments, with the number of that use.
    order: VecDeque<(Key, u64)>,
    bytes: usize,
    number: u64,
    lost: u64,
    first_lost: Option<Place>,
}

impl Fragments {
    /// Takes one fragment; the packet, when it was the last one missing.
    pub fn take(&mut self, fragment: &Fragment<'_>, seen: Sighting) -> Option<Reassembled> {
        self.let_go(seen);
        if !fragment.whole {
            self.lose(1, seen.place);
            return None;
        }
        let key = Key {
            from: fragment.from,
            to: fragment.to,
            identification: fragment.identification,
            protocol: fragment.protocol,
        };
        let known = self.waiting.get(&key).map(|known| (known.bytes.is_none(), known.last));
        match known {
            Some((true, last)) if seen.at.since(last.at) <= COPY_NS => return None,
            Some((false, _)) => {}
            _ => self.open(key, seen),
        }
        self.add(&key, fragment, seen)
    }

    fn open(&mut self, key: Key, seen: Sighting) {
        self.number += 1;
        let bytes = Some(IpDefragBuf::new(key.protocol, Vec::new(), Vec::new()));
        let waiting = Waiting { number: self.number, fragments: 0, first: seen, last: seen, bytes };
        self.waiting.insert(key, waiting);
        self.order.push_back((key, self.number));
    }

    fn add(&mut self, key: &Key, fragment: &Fragment<'_>, seen: Sighting) -> Option<Reassembled> {
        let waiting = self.waiting.get_mut(key)?;
        waiting.fragments += 1;
        waiting.last = seen;
        let bytes = waiting.bytes.as_mut()?;
        let before = bytes.data().len();
        let added = bytes.add(fragment.offset, fragment.more, fragment.bytes);
        self.bytes = (self.bytes + bytes.data().len()).saturating_sub(before);
        if added.is_err() {
            let (lost, first) = (waiting.fragments, waiting.first.place);
            self.remove(key);
            self.lose(lost, first);
            return None;
        }
        if !bytes.is_complete() {
            return None;
        }
        let (bytes, _) = waiting.bytes.take()?.take_bufs();
        self.bytes = self.bytes.saturating_sub(bytes.len());
        Some(Reassembled::new(fragment, bytes))
    }

    fn remove(&mut self, key: &Key) -> Option<Waiting> {
        let waiting = self.waiting.remove(key)?;
        let held = waiting.bytes.as_ref().map_or(0, |bytes| bytes.data().len());
        self.bytes = self.bytes.saturating_sub(held);
        Some(waiting)
    }

    fn lose(&mut self, fragments: u64, first: Place) {
        self.lost += fragments;
        self.first_lost.get_or_insert(first);
    }

    /// Lets the oldest go, as far as they are too old or too many.
    fn let_go(&mut self, now: Sighting) {
        while let Some((key, number)) = self.order.front().copied() {
            let is_this_use = |waiting: &&Waiting| waiting.number == number;
            let first = self.waiting.get(&key).filter(is_this_use).map(|waiting| waiting.first);
            let full = self.order.len() >= PACKETS_MAX || self.bytes > BYTES_MAX;
            if first.is_some_and(|first| !full && now.at.since(first.at) <= AGE_NS) {
                return;
            }
            self.order.pop_front();
            if first.is_some() {
                self.give_up(&key);
            }
        }
    }

    fn give_up(&mut self, key: &Key) {
        if let Some(waiting) = self.remove(key).filter(|waiting| waiting.bytes.is_some()) {
            self.lose(waiting.fragments, waiting.first.place);
        }
    }

    /// Says what was never put together.
    #[must_use]
    pub fn finish(mut self) -> Option<Note> {
        for (key, number) in std::mem::take(&mut self.order) {
            if self.waiting.get(&key).is_some_and(|waiting| waiting.number == number) {
                self.give_up(&key);
            }
        }
        self.first_lost.map(|first| Note::fragments(first, self.lost))
    }
}

#[cfg(test)]
mod tests {
    use super::super::link::{Link, Packet, packet, reassembled};
    use super::*;
    use crate::time::UnixNanos;

    /// A raw IPv4 packet with a piece of a TCP segment.
    fn piece(identification: u16, offset: u16, more: bool, bytes: &[u8]) -> Vec<u8> {
        let total = u16::try_from(20 + bytes.len()).unwrap_or(0).to_be_bytes();
        let field = ((offset / 8) | if more { 0x2000 } else { 0 }).to_be_bytes();
        let [id_high, id_low] = identification.to_be_bytes();
        let head = [0x45, 0, total[0], total[1], id_high, id_low, field[0], field[1], 64, 6, 0, 0];
        [&head[..], &[198, 51, 100, 7, 203, 0, 113, 20], bytes].concat()
    }

    fn tcp(payload: &[u8]) -> Vec<u8> {
        let header = [0xc3, 0x50, 0x0d, 0x3d, 0, 0, 0, 9, 0, 0, 0, 1, 0x50, 0x18, 1, 0, 0, 0, 0, 0];
        [&header[..], payload].concat()
    }

    fn seen(ms: i64) -> Sighting {
        let frame = u64::try_from(ms).unwrap_or(0) + 1;
        Sighting { at: UnixNanos(ms * 1_000_000), place: Place::frame(0, frame) }
    }

    /// The payload of the segment that the pieces make, if they do.
    fn taken(fragments: &mut Fragments, raw: &[u8], ms: i64) -> Option<Vec<u8>> {
        let Packet::Fragment(fragment) = packet(Link::Raw, raw) else { return None };
        let whole = fragments.take(&fragment, seen(ms))?;
        let Packet::Tcp(segment) = reassembled(&whole) else { return None };
        assert_eq!((segment.ttl, segment.to.port(), segment.length), (64, 3389, 30));
        Some(segment.payload.to_vec())
    }

    #[test]
    fn a_packet_is_whole_in_any_order_and_once() {
        let whole = tcp(&[7; 30]);
        let pieces = [
            piece(9, 0, true, &whole[..24]),
            piece(9, 24, true, &whole[24..48]),
            piece(9, 48, false, &whole[48..]),
        ];
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
            let mut fragments = Fragments::default();
            let got: Vec<_> =
                (0..).zip(order).filter_map(|(ms, i)| taken(&mut fragments, &pieces[i], ms)).collect();
            assert_eq!(got, [vec![7; 30]]);
            assert!((3..).zip(order).all(|(ms, i)| taken(&mut fragments, &pieces[i], ms).is_none()));
            assert_eq!(fragments.finish(), None, "copies of what was complete are not lost");
        }
    }

    #[test]
    fn what_stays_incomplete_is_counted() {
        let whole = tcp(&[7; 30]);
        let mut fragments = Fragments::default();
        assert_eq!(taken(&mut fragments, &piece(1, 0, true, &whole[..24]), 0), None);
        assert_eq!(taken(&mut fragments, &piece(2, 24, true, &whole[24..48]), 1), None);
        assert_eq!(taken(&mut fragments, &piece(1, 24, false, &whole[24..]), 70_000), None, "too late");
        let note = fragments.finish();
        let text = note.as_ref().map(|note| note.text.clone()).unwrap_or_default();
        assert!(text.starts_with("3 IP fragments"), "{text}");
        assert_eq!(note.map(|note| note.place), Some(seen(0).place));
    }

    #[test]
    fn memory_is_bounded() {
        let mut fragments = Fragments::default();
        for number in 0..20_000_u16 {
            let far = piece(number, 65_000, true, &[0; 8]);
            assert_eq!(taken(&mut fragments, &far, 0), None);
            assert!(fragments.bytes <= BYTES_MAX + 65_536);
            assert!(fragments.waiting.len() <= PACKETS_MAX && fragments.order.len() <= PACKETS_MAX);
        }
        assert!(fragments.finish().is_some_and(|note| note.text.starts_with("20000 IP fragments")));
    }
}
