//! Whose clock is off by how much: from the handshakes and the segments with data that two witnesses both saw.

use std::collections::{BTreeMap, BTreeSet};

use super::Witness;
use super::join::{AtWitness, Group};
use super::segments::timed_apart;
use crate::fact::{Fact, What};
use crate::time::UnixNanos;

mod fit;
mod stated;

pub(super) use fit::{Pair, fit};
pub(super) use stated::{by_host, widened};

/// What the clock of a witness was compared by, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Paired {
    /// Connections that another witness saw, too.
    #[default]
    Connections,
    /// Times in NTLM messages (MS-NLMP 2.2.2.1, 2.2.2.7) that a capture saw.
    Ntlm,
    /// Times in Kerberos errors (RFC 4120 5.9.1) that a capture saw.
    Kerberos,
}

impl Paired {
    /// The fixed name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::Ntlm => "ntlm",
            Self::Kerberos => "kerberos",
        }
    }

    /// One of them, in words.
    #[must_use]
    pub const fn one(self) -> &'static str {
        match self {
            Self::Connections => "connection",
            Self::Ntlm => "NTLM message",
            Self::Kerberos => "Kerberos error",
        }
    }
}

/// How far a witness's clock is off, when it is compared with the reference clock.
///
/// Shape: one per witness; the reference is 0 with error 0. Source: own method, after the on-wire protocol of NTP (RFC
/// 5905 8): of the packets of one connection, those that one side sent are seen later at the other end, and those of the
/// other side sooner, so the offset lies between the quickest of both; half of what they leave open bounds the error.
/// Where no chain of pairs leads to the reference, it is against the first witness that one leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClockOffset {
    /// Index of the witness.
    pub witness_index: u32,
    /// Index of the witness whose clock it is held against.
    pub against: u32,
    /// Nanoseconds at `drift_from`; positive when it runs ahead. `None` when nothing was seen by both.
    pub offset_ns: Option<i64>,
    /// Bound of the error in nanoseconds.
    pub error_ns: i64,
    /// What it was taken from.
    pub by: Paired,
    /// How many of these.
    pub pairs: u32,
    /// Nanoseconds that it gains in a second of its own (parts per billion); negative when it loses; 0 where the pairs
    /// show none.
    pub drift_ppb: i64,
    /// From when on the drift counts, by its own clock: its first pair.
    pub drift_from: UnixNanos,
    /// When it was set, in order.
    pub steps: Vec<ClockStep>,
}

/// A clock that was set, as its own log says or as pairs before and behind it show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockStep {
    /// When, by the clock itself, behind the step.
    pub at: UnixNanos,
    /// Nanoseconds by which it is further ahead from then on.
    pub by_ns: i64,
}

/// What is left open when only one side's packets were seen by both.
const ONE_WAY_NS: i64 = 1_000_000_000;
/// Segments of a connection with a longer silence between them are compared apart from each other: a clock drifts.
const APART_NS_MAX: i64 = 10_000_000_000;
/// Two logs of one host tell of the same step within this time.
const SAME_STEP_NS: i64 = 1_000_000_000;
/// Smaller steps are those by which a time service keeps a clock right.
const STEP_NS_MIN: i64 = 100_000_000;

impl ClockOffset {
    /// No pair: it keeps its own clock.
    pub(super) const fn none(witness_index: u32) -> Self {
        Self {
            witness_index,
            against: 0,
            offset_ns: None,
            error_ns: 0,
            by: Paired::Connections,
            pairs: 0,
            drift_ppb: 0,
            drift_from: UnixNanos(0),
            steps: Vec::new(),
        }
    }

    /// An offset that stays as it is.
    pub(super) fn constant(witness_index: u32, offset_ns: i64, error_ns: i64, pairs: u32) -> Self {
        Self { offset_ns: Some(offset_ns), error_ns, pairs, ..Self::none(witness_index) }
    }

    /// Nanoseconds by which it is ahead when it shows this time; 0 where it was never compared. A clock that is set back
    /// shows times twice: they count as behind the step.
    #[must_use]
    pub fn at(&self, own: UnixNanos) -> i64 {
        let Some(offset) = self.offset_ns else { return 0 };
        let steps = self.steps.iter().filter(|step| step.at <= own).map(|step| step.by_ns);
        let drifted = fit::drifted(self.drift_ppb, own.since(self.drift_from));
        steps.fold(offset.saturating_add(drifted), i64::saturating_add)
    }

    /// It runs with the clock that it is held against, as far as can be told.
    #[must_use]
    pub fn is_in_step(&self) -> bool {
        let within = self.offset_ns.is_some_and(|offset| offset.saturating_abs() <= self.error_ns);
        within && self.drift_ppb == 0 && self.steps.is_empty()
    }

    /// The same moment on the reference clock.
    #[must_use]
    pub fn on_reference(&self, own: UnixNanos) -> UnixNanos {
        own.plus(self.at(own).saturating_neg())
    }
}

/// The moment on the reference clock at which a witness saw something at `own`; its own time where it was never compared.
pub(super) fn on_reference(clocks: &[ClockOffset], witness_index: u32, own: UnixNanos) -> UnixNanos {
    clocks.iter().find(|c| c.witness_index == witness_index).map_or(own, |clock| clock.on_reference(own))
}

/// From when to when each witness looked, on the reference clock.
pub(super) fn covers(witnesses: &[Witness], clocks: &[ClockOffset]) -> Vec<Option<(UnixNanos, UnixNanos)>> {
    let one = |(index, witness): (u32, &Witness)| {
        let (from, until) = witness.coverage.covers?;
        Some((on_reference(clocks, index, from), on_reference(clocks, index, until)))
    };
    (0_u32..).zip(witnesses).map(one).collect()
}

/// Offsets of all capture points against the first one, also through others in between; those of hosts come from their
/// pairs with captures. Without any capture the first host is the reference. A witness without a pair keeps its own clock.
pub(super) fn offsets(groups: &[Group], witnesses: &[Witness]) -> Vec<ClockOffset> {
    let indices = (0_u32..).zip(witnesses);
    let mut clocks: Vec<ClockOffset> =
        indices.clone().map(|(witness_index, _)| ClockOffset::none(witness_index)).collect();
    if let Some(first) = clocks.first_mut() {
        *first = ClockOffset::constant(0, 0, 0, 0);
    }
    let captures: Vec<u32> = indices.filter(|(_, w)| w.host.is_none()).map(|(index, _)| index).collect();
    let shared = shared(groups);
    let mut left: BTreeSet<u32> = captures.into_iter().collect();
    // Whoever is compared first is what others are compared with, so that the way to the reference is the shortest.
    while let Some(root) = left.pop_first() {
        let mut known = vec![root];
        let mut next = 0;
        while let Some(via) = known.get(next).copied() {
            next += 1;
            for ((_, index), both) in shared.range((via, 0)..=(via, u32::MAX)) {
                let clock = compared(both, &clocks, *index, via).filter(|_| left.contains(index));
                let place = clocks.iter_mut().find(|c| c.witness_index == *index);
                if let (Some(clock), Some(place)) = (clock, place) {
                    *place = ClockOffset { against: root, ..clock };
                    left.remove(index);
                    known.push(*index);
                }
            }
        }
    }
    clocks
}

/// Connections that two witnesses both saw, by both of them in either order.
fn shared(groups: &[Group]) -> BTreeMap<(u32, u32), Vec<&Group>> {
    let mut all: BTreeMap<(u32, u32), Vec<&Group>> = BTreeMap::new();
    for group in groups.iter().filter(|group| group.len() > 1) {
        let indices = || group.iter().map(|part| part.connection.witness_index);
        for pair in indices().flat_map(|a| indices().map(move |b| (a, b))).filter(|(a, b)| a != b) {
            all.entry(pair).or_default().push(group);
        }
    }
    all
}

/// The clock of a witness, by the connections that it and another witness both saw, whose own clock is known.
fn compared(groups: &[&Group], clocks: &[ClockOffset], witness_index: u32, via: u32) -> Option<ClockOffset> {
    let both = |group: &[AtWitness]| {
        let at = |index: u32| group.iter().position(|part| part.connection.witness_index == index);
        Some((at(via)?, at(witness_index)?))
    };
    let estimates: Vec<Vec<Pair>> = groups
        .iter()
        .filter_map(|group| {
            let (reference, other) = both(group)?;
            let pairs = estimate(group.get(reference)?, group.get(other)?, clocks, via);
            (!pairs.is_empty()).then_some(pairs)
        })
        .collect();
    let count = u32::try_from(estimates.len()).unwrap_or(u32::MAX);
    let pairs: Vec<Pair> = estimates.into_iter().flatten().collect();
    let mut middle: Vec<(i64, i64)> = pairs.iter().map(|pair| (pair.offset_ns, pair.error_ns)).collect();
    middle.sort_unstable();
    let (_, error) = middle.get(middle.len() / 2).copied()?;
    let on_the_way = clocks.iter().find(|clock| clock.witness_index == via).map_or(0, |clock| clock.error_ns);
    let clock = fit(witness_index, &pairs, &[], error.saturating_add(on_the_way))?;
    Some(ClockOffset { pairs: count, ..clock })
}

/// The middle one, which a few odd ones do not move.
pub(super) fn median<T: Ord + Copy>(mut values: Vec<T>) -> Option<T> {
    values.sort_unstable();
    values.get(values.len() / 2).copied()
}

/// Offsets of a witness against another one from one connection, each with its error: one for each time at which both saw
/// packets of both sides. Without the packets of both sides a second is left open.
fn estimate(reference: &AtWitness, other: &AtWitness, clocks: &[ClockOffset], via: u32) -> Vec<Pair> {
    let opening = |wanted: fn(&What) -> bool| {
        let time = |facts: &[Fact]| facts.iter().find(|fact| wanted(&fact.what)).map(|fact| fact.at);
        Some((time(&other.facts)?, time(&reference.facts)?))
    };
    let out = opening(|what| matches!(what, What::SynSent { .. }));
    let back = opening(|what| matches!(what, What::SynAnswered { .. }));
    let marks = |side: usize| timed_apart(&reference.connection, &other.connection, side);
    let of = |side: usize, (own, seen): (UnixNanos, UnixNanos)| {
        (own, side, own.since(on_reference(clocks, via, seen)))
    };
    let mut all: Vec<(UnixNanos, usize, i64)> = out.map(|pair| of(0, pair)).into_iter().collect();
    all.extend(back.map(|pair| of(1, pair)));
    all.extend(
        [0, 1]
            .into_iter()
            .flat_map(|side| marks(side).into_iter().map(move |pair| (side, pair)))
            .map(|(side, pair)| of(side, pair)),
    );
    all.sort_unstable();
    let mut found: Vec<(Pair, bool)> =
        all.chunk_by(|(a, ..), (b, ..)| b.since(*a) <= APART_NS_MAX).filter_map(of_both_sides).collect();
    // What only one side tells is for connections of which nothing else is known.
    if found.iter().any(|(_, both)| *both) {
        found.retain(|(_, both)| *both);
    } else {
        found.truncate(1);
    }
    found.into_iter().map(|(pair, _)| pair).collect()
}

/// What segments that were seen at about the same time tell, and whether those of both sides are among them.
fn of_both_sides(together: &[(UnixNanos, usize, i64)]) -> Option<(Pair, bool)> {
    let at = together.first()?.0;
    let of_side = |wanted: usize| -> Vec<i64> {
        together.iter().filter(|(_, side, _)| *side == wanted).map(|(.., apart)| *apart).collect()
    };
    let (out, back) = (of_side(0), of_side(1));
    let (Some(out_middle), Some(back_middle)) = (median(out.clone()), median(back.clone())) else {
        let offset_ns = median([out, back].concat())?;
        return Some((Pair { at, offset_ns, error_ns: ONE_WAY_NS }, false));
    };
    // The later ones went towards the witness: the quickest of them came with the least delay.
    let (later, sooner) = if out_middle >= back_middle { (out, back) } else { (back, out) };
    let (most, least) = (later.into_iter().min()?, sooner.into_iter().max()?);
    let error_ns = i64::try_from(most.abs_diff(least)).unwrap_or(i64::MAX) / 2;
    Some((Pair { at, offset_ns: most.midpoint(least), error_ns }, true))
}

/// When the clock of each host was set, as its own logs say, each time once.
pub(super) fn steps_logged(records: &[(u32, &Fact)]) -> BTreeMap<u32, Vec<ClockStep>> {
    let mut all: BTreeMap<u32, Vec<ClockStep>> = BTreeMap::new();
    for (witness_index, fact) in records {
        let What::ClockChanged { from, to } = &fact.what else { continue };
        let by_ns = to.since(*from);
        if by_ns.abs() >= STEP_NS_MIN {
            all.entry(*witness_index).or_default().push(ClockStep { at: fact.at, by_ns });
        }
    }
    for steps in all.values_mut() {
        steps.sort_by_key(|step| (step.at, step.by_ns));
        steps.dedup_by(|next, known| {
            next.at.since(known.at) <= SAME_STEP_NS && (next.by_ns - known.by_ns).abs() <= STEP_NS_MIN
        });
    }
    all
}
