//! Whose clock is off by how much: from the handshakes that two witnesses both saw.

use super::Witness;
use super::join::Group;
use crate::fact::{Fact, What};

/// Offset of a witness's clock from the reference clock.
///
/// Shape: one per witness; the reference is 0 with error 0. Source: own method, after the on-wire protocol of NTP (RFC
/// 5905 8): a SYN travels one way and its SYN-ACK the other, so half of the sum of both differences is the offset and
/// half of their difference bounds the error.
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

/// Offset and error from one connection: witness against reference.
fn estimate(group: &Group, witness_index: u32) -> Option<(i64, i64)> {
    let at = |index: u32| group.iter().find(|part| part.connection.witness_index == index);
    let (reference, other) = (&at(0)?.facts, &at(witness_index)?.facts);
    let difference = |wanted: fn(&What) -> bool| {
        let time = |facts: &[Fact]| facts.iter().find(|fact| wanted(&fact.what)).map(|fact| fact.at);
        Some(time(other)?.since(time(reference)?))
    };
    let out = difference(|what| matches!(what, What::SynSent { .. }))?;
    match difference(|what| matches!(what, What::SynAnswered { .. })) {
        Some(back) => Some((out.midpoint(back), out.abs_diff(back).try_into().unwrap_or(i64::MAX) / 2)),
        None => Some((out, 1_000_000_000)),
    }
}
