//! Which segments with data a connection is known by: of each direction a few that every capture point on the way
//! chooses, wherever its capture begins or ends.

use etherparse::TcpOptionElement;

use super::super::super::flow::Sighting;
use super::super::super::link::Segment;
use crate::fact::SegmentMark;
use crate::time::UnixNanos;

/// Segments kept because their sequence numbers, mixed, are the lowest: a later beginning leaves those that it holds.
const LOWEST_MAX: usize = 8;
/// Segments kept because they are the last: two captures of one end rarely begin together, and often end so.
const LAST_MAX: usize = 8;

#[derive(Debug, Clone, Copy)]
struct Chosen {
    sequence: u32,
    acknowledges: u32,
    length: u32,
    /// TSval of the time stamp (RFC 7323 3.2).
    stamp: Option<u32>,
    at: UnixNanos,
}

/// The chosen segments of one direction.
#[derive(Debug, Default)]
pub(super) struct Marks {
    /// INVARIANT: sorted by the mixed sequence number.
    lowest: Vec<(u32, Chosen)>,
    last: Vec<Chosen>,
    /// Which of the last is the oldest, once there are enough.
    oldest: usize,
}

impl Marks {
    /// Takes a segment with data that was not sent before.
    pub(super) fn take(&mut self, segment: &Segment<'_>, seen: Sighting) {
        let chosen = Chosen {
            sequence: segment.tcp.sequence_number(),
            acknowledges: segment.tcp.acknowledgment_number(),
            length: segment.length,
            stamp: stamp(segment),
            at: seen.at,
        };
        self.keep_last(chosen);
        let rank = chosen.sequence.wrapping_mul(0x9e37_79b1);
        let is_full = self.lowest.len() >= LOWEST_MAX;
        if is_full && self.lowest.last().is_some_and(|(highest, _)| *highest <= rank) {
            return;
        }
        if is_full {
            self.lowest.pop();
        }
        let index = self.lowest.partition_point(|(known, _)| *known < rank);
        self.lowest.insert(index, (rank, chosen));
    }

    fn keep_last(&mut self, chosen: Chosen) {
        if self.last.len() < LAST_MAX {
            if self.last.is_empty() {
                self.last.reserve_exact(LAST_MAX);
                self.lowest.reserve_exact(LOWEST_MAX);
            }
            self.last.push(chosen);
        } else if let Some(slot) = self.last.get_mut(self.oldest) {
            *slot = chosen;
            self.oldest = (self.oldest + 1) % LAST_MAX;
        }
    }

    /// The marks, by their prints.
    pub(super) fn finish(self) -> Vec<SegmentMark> {
        let chosen = self.lowest.into_iter().map(|(_, chosen)| chosen).chain(self.last);
        let mut marks: Vec<SegmentMark> =
            chosen.map(|chosen| SegmentMark { print: chosen.print(), at: chosen.at }).collect();
        marks.sort_unstable();
        marks.dedup_by_key(|mark| mark.print);
        marks
    }
}

impl Chosen {
    /// What no router changes, as one number (the mixing of SplitMix64).
    fn print(self) -> u64 {
        let numbers = (u64::from(self.sequence) << 32) | u64::from(self.acknowledges);
        let stamp = self.stamp.map_or(1 << 32, u64::from);
        mixed(mixed(mixed(numbers) ^ u64::from(self.length)) ^ stamp)
    }
}

const fn mixed(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

fn stamp(segment: &Segment<'_>) -> Option<u32> {
    let options = segment.tcp.options();
    // As nearly all stacks lay it out (RFC 7323 appendix A).
    if let [1, 1, 8, 10, a, b, c, d, ..] = options {
        return Some(u32::from_be_bytes([*a, *b, *c, *d]));
    }
    if options.is_empty() {
        return None;
    }
    segment.tcp.options_iterator().find_map(|option| match option {
        Ok(TcpOptionElement::Timestamp(value, _)) => Some(value),
        _ => None,
    })
}
