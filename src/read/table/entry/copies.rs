//! Packets that were captured at more than one place, in one direction of a connection: each counts once.

use std::collections::VecDeque;

use super::super::super::flow::Sighting;
use super::super::super::link::Segment;
use super::DUPLICATE_NS;
use crate::note::Place;
use crate::time::UnixNanos;

/// Packets remembered.
const RECENT_MAX: usize = 64;
/// The same packet at another place comes within this time: what a router or a mirror takes.
const COPY_NS: i64 = 20_000_000;
/// Other times to live that are remembered.
const TTLS_MAX: usize = 4;

/// What stays the same in a packet on its way: not the time to live, the tags below it, nor a checksum that a network
/// card fills in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Print {
    sequence: u32,
    acknowledges: u32,
    length: u32,
    window: u16,
    identification: u16,
    flags: u8,
}

impl Print {
    fn of(segment: &Segment<'_>) -> Self {
        let tcp = &segment.tcp;
        Self {
            sequence: tcp.sequence_number(),
            acknowledges: tcp.acknowledgment_number(),
            length: segment.length,
            window: tcp.window_size(),
            identification: segment.identification,
            flags: tcp.slice().get(13).copied().unwrap_or(0),
        }
    }
}

/// What one direction sent shortly before.
#[derive(Debug, Default)]
pub(super) struct Copies {
    recent: VecDeque<(Print, UnixNanos)>,
    /// Sequence number behind the last byte and highest acknowledgement so far: what lies further is no copy.
    furthest: Option<(u32, u32)>,
    other_ttls: Vec<u8>,
    found: u64,
    first: Option<Place>,
}

impl Copies {
    /// Was this packet seen before, at another place? A packet that is sent again has another identification, or comes
    /// later than any copy.
    pub(super) fn is_copy(&mut self, segment: &Segment<'_>, seen: Sighting) -> bool {
        let print = Print::of(segment);
        let is_copy = !self.goes_further(&print) && self.is_recent(&print, seen.at);
        if is_copy {
            self.found = self.found.saturating_add(1);
            self.first.get_or_insert(seen.place);
            // A reset may come from elsewhere: it says nothing of how far this side is.
            let is_new = !segment.tcp.rst() && !self.other_ttls.contains(&segment.ttl);
            if is_new && self.other_ttls.len() < TTLS_MAX {
                self.other_ttls.push(segment.ttl);
            }
        } else {
            if self.recent.len() == RECENT_MAX {
                self.recent.pop_front();
            }
            self.recent.push_back((print, seen.at));
        }
        is_copy
    }

    /// Says the packet what no packet said before? Then nothing needs to be looked up.
    fn goes_further(&mut self, print: &Print) -> bool {
        let end = print.sequence.wrapping_add(print.length);
        let acknowledges = print.acknowledges;
        let Some((known_end, known)) = self.furthest else {
            self.furthest = Some((end, acknowledges));
            return true;
        };
        let is_ahead = |new: u32, old: u32| new.wrapping_sub(old).cast_signed() > 0;
        let data = is_ahead(end, known_end);
        // A SYN acknowledges nothing, and says so with 0.
        let answer = acknowledges != 0 && (known == 0 || is_ahead(acknowledges, known));
        self.furthest = Some((if data { end } else { known_end }, if answer { acknowledges } else { known }));
        data || answer
    }

    fn is_recent(&self, print: &Print, now: UnixNanos) -> bool {
        let window = if print.identification == 0 { DUPLICATE_NS } else { COPY_NS };
        let newest_first = self.recent.iter().rev();
        newest_first
            .take_while(|(_, at)| now.since(*at) < COPY_NS)
            .any(|(known, at)| known == print && now.since(*at) < window)
    }

    /// How many copies there are, and the first.
    pub(super) fn found(&self) -> (u64, Option<Place>) {
        (self.found, self.first)
    }

    /// The time to live that a reset is compared with: that of the place where the reset was captured, when the packets of
    /// this side were captured at several.
    pub(super) fn usual_ttl(&self, usual: Option<u8>, reset: Option<u8>) -> Option<u8> {
        usual.map(|usual| reset.filter(|ttl| self.other_ttls.contains(ttl)).unwrap_or(usual))
    }
}
