//! Segments that two capture points both saw: which connections they make one, how far they put the clocks apart, and
//! what one of the two never saw.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Witness;
use super::clock::{ClockOffset, on_reference};
use super::join::{AtWitness, Group};
use crate::fact::{Connection, Fact, Reading, SegmentMark, Side, Subject, What};
use crate::time::UnixNanos;

/// Segments that must agree before two connections are one; between the same two ends one is enough.
const SHARED_MIN: usize = 2;
/// Pairs of one connection may put the clocks this far apart from each other: a segment that was lost and sent again.
const SPREAD_NS_MAX: i64 = 120 * 1_000_000_000;
/// A capture that ends this much sooner may not have seen the last segments.
const SOONER_NS_MAX: i64 = 2_000_000_000;

/// The connections that have each mark. One that several connections of a witness have tells nothing.
pub(super) struct Marked {
    groups: BTreeMap<(usize, u64), Vec<usize>>,
    ambiguous: BTreeSet<(usize, u64)>,
}

impl Marked {
    /// No group yet; `connections` are all there are.
    pub(super) fn new<'c>(connections: impl Iterator<Item = &'c Arc<Connection>>) -> Self {
        let mut seen: BTreeSet<(u32, usize, u64)> = BTreeSet::new();
        let mut ambiguous = BTreeSet::new();
        for connection in connections {
            for (side, print) in prints(connection) {
                if !seen.insert((connection.witness_index, side, print)) {
                    ambiguous.insert((side, print));
                }
            }
        }
        Self { groups: BTreeMap::new(), ambiguous }
    }

    /// The group at this index has this connection.
    pub(super) fn add(&mut self, connection: &Connection, index: usize) {
        for key in prints(connection).filter(|key| !self.ambiguous.contains(key)) {
            let known = self.groups.entry(key).or_default();
            if !known.contains(&index) {
                known.push(index);
            }
        }
    }

    /// The one group that shares the most segments with a connection and may be the same.
    pub(super) fn group_of(&self, connection: &Connection, groups: &[Group]) -> Option<usize> {
        let mut shared: BTreeMap<usize, usize> = BTreeMap::new();
        for index in prints(connection).filter_map(|key| self.groups.get(&key)).flatten() {
            *shared.entry(*index).or_default() += 1;
        }
        shared
            .retain(|index, count| groups.get(*index).is_some_and(|group| is_one(group, connection, *count)));
        let most = shared.values().copied().max()?;
        let mut best = shared.iter().filter(|(_, count)| **count == most).map(|(index, _)| *index);
        let index = best.next()?;
        best.next().is_none().then_some(index)
    }
}

fn prints(connection: &Connection) -> impl Iterator<Item = (usize, u64)> + '_ {
    let sides = connection.sent.iter().enumerate();
    sides.flat_map(|(side, sent)| sent.marks.iter().map(move |mark| (side, mark.print)))
}

/// May a connection that shares `count` segments with a group be the same? Never of one witness, nor where both SYNs were
/// seen and differ, nor where the pairs do not put the clocks equally far apart.
fn is_one(group: &Group, connection: &Connection, count: usize) -> bool {
    let differ = |a: Option<u32>, b: Option<u32>| a.zip(b).is_some_and(|(a, b)| a != b);
    let fits = |part: &AtWitness| {
        let known = &part.connection;
        known.witness_index != connection.witness_index
            && !differ(known.client_isn, connection.client_isn)
            && !differ(known.server_isn, connection.server_isn)
    };
    let agree = |part: &AtWitness| {
        let known = &part.connection;
        let all: Vec<i64> = [0, 1].into_iter().flat_map(|side| apart(known, connection, side)).collect();
        let spread = all.iter().max().zip(all.iter().min()).map(|(most, least)| most.saturating_sub(*least));
        let same_ends = (known.client, known.server) == (connection.client, connection.server);
        spread.is_some_and(|spread| spread <= SPREAD_NS_MAX) && (count >= SHARED_MIN || same_ends)
    };
    group.iter().all(fits) && group.iter().any(agree)
}

/// By how many nanoseconds each segment of one side (0 the client's, 1 the server's) that both have was seen later in `b`.
fn apart(a: &Connection, b: &Connection, side: usize) -> Vec<i64> {
    timed_apart(a, b, side).into_iter().map(|(later, seen)| later.since(seen)).collect()
}

/// When each segment of one side that both have was seen in `b`, and when in `a`, each by its own clock.
pub(super) fn timed_apart(a: &Connection, b: &Connection, side: usize) -> Vec<(UnixNanos, UnixNanos)> {
    let marks = |c: &'_ Connection| -> Vec<SegmentMark> {
        c.sent.get(side).map_or(Vec::new(), |sent| sent.marks.clone())
    };
    let known: BTreeMap<u64, SegmentMark> = marks(a).into_iter().map(|mark| (mark.print, mark)).collect();
    let pair = |mark: SegmentMark| Some((mark.at, known.get(&mark.print)?.at));
    marks(b).into_iter().filter_map(pair).collect()
}

/// What was lost between two capture points of a connection, by direction.
pub(super) fn lost(group: &Group, clocks: &[ClockOffset], witnesses: &[Witness]) -> Vec<Fact> {
    let Some((first, others)) = group.split_first() else { return Vec::new() };
    others
        .iter()
        .map(|other| between(first, other, clocks, witnesses))
        .find(|lost| !lost.is_empty())
        .unwrap_or_default()
}

fn between(a: &AtWitness, b: &AtWitness, clocks: &[ClockOffset], witnesses: &[Witness]) -> Vec<Fact> {
    let begin_alike = a.connection.client_isn.is_some() && a.connection.client_isn == b.connection.client_isn;
    let is_compared = |part: &AtWitness| {
        clocks.iter().any(|c| c.witness_index == part.connection.witness_index && c.offset_ns.is_some())
    };
    if !begin_alike || !is_compared(a) || !is_compared(b) {
        return Vec::new();
    }
    let bytes = |part: &AtWitness, side: usize| part.connection.sent.get(side).map_or(0, |sent| sent.bytes);
    let order = [0, 1].map(|side| bytes(a, side).cmp(&bytes(b, side)));
    // Who has less of both sides missed some itself.
    if order[0] == order[1] {
        return Vec::new();
    }
    let of_side = |(from, order): (Side, std::cmp::Ordering)| match order {
        std::cmp::Ordering::Equal => None,
        std::cmp::Ordering::Greater => lost_from(from, a, b, clocks, witnesses),
        std::cmp::Ordering::Less => lost_from(from, b, a, clocks, witnesses),
    };
    [Side::Client, Side::Server].into_iter().zip(order).filter_map(of_side).collect()
}

/// `near` has more of this side's segments than `far`: lost, when `far` looked all the time and says that it lost nothing.
fn lost_from(
    from: Side,
    near: &AtWitness,
    far: &AtWitness,
    clocks: &[ClockOffset],
    witnesses: &[Witness],
) -> Option<Fact> {
    let coverage =
        usize::try_from(far.connection.witness_index).ok().and_then(|index| witnesses.get(index))?.coverage;
    let index = usize::from(from == Side::Server);
    let until = on_reference(clocks, far.connection.witness_index, coverage.covers?.1);
    let last = on_reference(clocks, near.connection.witness_index, near.connection.last_seen);
    let is_missed = far.facts.iter().any(|fact| match fact.what {
        What::NotCaptured { from: side, .. } => side == from,
        What::OneWay { seen } => seen != from,
        _ => false,
    });
    if coverage.dropped > 0 || is_missed || last.since(until) > SOONER_NS_MAX {
        return None;
    }
    let (more, less) = (near.connection.sent.get(index)?, far.connection.sent.get(index)?);
    let bytes = more.bytes.checked_sub(less.bytes).filter(|bytes| *bytes > 0)?;
    let is_whole = more.largest == less.largest || less.segments == 0;
    let segments = more.segments.checked_sub(less.segments).filter(|count| is_whole && *count > 0);
    Some(Fact {
        at: near.connection.last_seen,
        place: near.connection.last,
        subject: Subject::Connection(Arc::clone(&near.connection)),
        reading: Reading::Clear,
        what: What::LostOnPath { from, segments, bytes },
    })
}
