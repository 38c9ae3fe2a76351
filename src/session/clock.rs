//! Whose clock is off by how much: from the handshakes and the segments with data that two witnesses both saw.

use super::Witness;
use super::join::Group;
use super::segments::apart;
use crate::fact::{Fact, What};

/// Offset of a witness's clock from the reference clock.
///
/// Shape: one per witness; the reference is 0 with error 0. Source: own method, after the on-wire protocol of NTP (RFC
/// 5905 8): of the packets of one connection, those that one side sent are seen later at the other end, and those of the
/// other side sooner, so the offset lies between the quickest of both; half of what they leave open bounds the error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockOffset {
    /// Index of the witness.
    pub witness_index: u32,
    /// Nanoseconds; positive when it runs ahead. `None` when no connection was seen by both.
    pub offset_ns: Option<i64>,
    /// Bound of the error in nanoseconds.
    pub error_ns: i64,
    /// Connections it was taken from.
    pub pairs: u32,
}

/// What is left open when only one side's packets were seen by both.
const ONE_WAY_NS: i64 = 1_000_000_000;

/// The offset to take off the times of a witness: 0 where none is known.
pub(super) fn offset_ns(clocks: &[ClockOffset], witness_index: u32) -> i64 {
    clocks.iter().find(|c| c.witness_index == witness_index).and_then(|c| c.offset_ns).unwrap_or(0)
}

/// Offsets of all capture points against the first one; those of hosts come from their pairs with captures. Without any
/// capture the first host is the reference. A witness without a pair keeps its own clock.
pub(super) fn offsets(groups: &[Group], witnesses: &[Witness]) -> Vec<ClockOffset> {
    (0_u32..)
        .zip(witnesses)
        .map(|(witness_index, witness)| match witness.host {
            Some(_) if witness_index > 0 => none(witness_index),
            _ => offset(groups, witness_index),
        })
        .collect()
}

const fn none(witness_index: u32) -> ClockOffset {
    ClockOffset { witness_index, offset_ns: None, error_ns: 0, pairs: 0 }
}

fn offset(groups: &[Group], witness_index: u32) -> ClockOffset {
    if witness_index == 0 {
        return ClockOffset { witness_index, offset_ns: Some(0), error_ns: 0, pairs: 0 };
    }
    let estimates: Vec<(i64, i64)> =
        groups.iter().filter_map(|group| estimate(group, witness_index)).collect();
    let pairs = u32::try_from(estimates.len()).unwrap_or(u32::MAX);
    let Some((offset, error)) = median(estimates.clone()) else {
        return none(witness_index);
    };
    let spread = median(estimates.iter().map(|(o, _)| o.abs_diff(offset)).collect()).unwrap_or(0);
    let error_ns = i64::try_from(spread).unwrap_or(i64::MAX).max(error);
    ClockOffset { witness_index, offset_ns: Some(offset), error_ns, pairs }
}

/// The middle one, which a few odd ones do not move.
pub(super) fn median<T: Ord + Copy>(mut values: Vec<T>) -> Option<T> {
    values.sort_unstable();
    values.get(values.len() / 2).copied()
}

/// Offset and error from one connection: witness against reference. Without the packets of both sides a second is left open.
fn estimate(group: &Group, witness_index: u32) -> Option<(i64, i64)> {
    let at = |index: u32| group.iter().find(|part| part.connection.witness_index == index);
    let (reference, other) = (at(0)?, at(witness_index)?);
    let opening = |wanted: fn(&What) -> bool| {
        let time = |facts: &[Fact]| facts.iter().find(|fact| wanted(&fact.what)).map(|fact| fact.at);
        Some(time(&other.facts)?.since(time(&reference.facts)?))
    };
    let out = opening(|what| matches!(what, What::SynSent { .. }));
    let back = opening(|what| matches!(what, What::SynAnswered { .. }));
    let apart = |side: usize| apart(&reference.connection, &other.connection, side);
    let out: Vec<i64> = out.into_iter().chain(apart(0)).collect();
    let back: Vec<i64> = back.into_iter().chain(apart(1)).collect();
    let (Some(out_middle), Some(back_middle)) = (median(out.clone()), median(back.clone())) else {
        return Some((median([out, back].concat())?, ONE_WAY_NS));
    };
    // The later ones went towards the witness: the quickest of them came with the least delay.
    let (later, sooner) = if out_middle >= back_middle { (out, back) } else { (back, out) };
    let (most, least) = (later.into_iter().min()?, sooner.into_iter().max()?);
    Some((most.midpoint(least), i64::try_from(most.abs_diff(least)).unwrap_or(i64::MAX) / 2))
}
