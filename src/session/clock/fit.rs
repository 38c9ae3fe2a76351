//! Pairs of times into a clock: its offset, how fast it drifts, and when it was set.

use super::{ClockOffset, ClockStep, median};
use crate::time::UnixNanos;

/// Something that two witnesses saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::session) struct Pair {
    /// When, by the clock that is measured.
    pub(in crate::session) at: UnixNanos,
    /// Nanoseconds by which that clock was ahead.
    pub(in crate::session) offset_ns: i64,
    /// Bound of the error.
    pub(in crate::session) error_ns: i64,
}

/// Faster clocks are not believed: what NTP corrects at most (RFC 5905 appendix A.5.5.6, MAXFREQ).
const DRIFT_PPB_MAX: i64 = 500_000;
/// A drift is told from pairs over at least this time.
const DRIFT_SPAN_NS: i64 = 600_000_000_000;
/// Two pairs nearer than this tell no drift.
const DRIFT_PAIR_NS: i64 = 60_000_000_000;
/// Steps that are sought, one behind the other.
const STEPS_MAX: usize = 4;
/// Pairs on each side of a step that nothing but them shows.
const STEP_PAIRS_MIN: usize = 2;
/// Pairs that are compared with each other; of more, so many over the whole time.
const COMPARED_MAX: usize = 120;
/// A step stands out from what the pairs scatter by so much.
const STANDS_OUT: i64 = 4;

/// Nanoseconds gained over a time.
pub(in crate::session) fn drifted(drift_ppb: i64, over_ns: i64) -> i64 {
    let gained = i128::from(drift_ppb) * i128::from(over_ns) / 1_000_000_000;
    i64::try_from(gained).unwrap_or(if gained < 0 { i64::MIN } else { i64::MAX })
}

/// The clock that explains the pairs with the least: one offset; else a drift or steps where these leave at most half of
/// what was unexplained. `logged` are the steps that the witness's own log tells of. `floor_ns` is the smallest error.
/// `None` without a pair.
pub(in crate::session) fn fit(
    witness_index: u32,
    pairs: &[Pair],
    logged: &[ClockStep],
    floor_ns: i64,
) -> Option<ClockOffset> {
    let mut sorted: Vec<Pair> = pairs.to_vec();
    sorted.sort_unstable();
    let count = u32::try_from(pairs.len()).unwrap_or(u32::MAX);
    let mut clock = ClockOffset {
        drift_from: sorted.first()?.at,
        ..ClockOffset::constant(witness_index, 0, floor_ns, count)
    };
    let few = thinned(&sorted);
    clock.steps = logged.to_vec();
    if unexplained(&few, &clock) > unexplained(&few, &ClockOffset { steps: Vec::new(), ..clock.clone() }) {
        clock.steps = Vec::new();
    }
    for _ in 0..STEPS_MAX {
        let drifting = with_drift(&few, &clock, logged, floor_ns);
        let stepping = with_step(&few, &clock, floor_ns);
        let better = [drifting, stepping].into_iter().flatten().min_by_key(|next| unexplained(&few, next));
        let enough =
            |next: &ClockOffset| unexplained(&few, next).saturating_mul(2) <= unexplained(&few, &clock);
        match better.filter(enough) {
            Some(next) => clock = next,
            None => break,
        }
    }
    let left: Vec<i64> = sorted.iter().map(|pair| pair.offset_ns.saturating_sub(clock.at(pair.at))).collect();
    let offset = median(left.clone())?;
    let spread = median(left.iter().map(|left| left.abs_diff(offset)).collect())?;
    clock.offset_ns = Some(offset);
    clock.error_ns = i64::try_from(spread).unwrap_or(i64::MAX).max(floor_ns);
    Some(clock)
}

/// At most so many of them, over the whole time.
fn thinned(pairs: &[Pair]) -> Vec<Pair> {
    pairs.iter().step_by(pairs.len().div_ceil(COMPARED_MAX).max(1)).copied().collect()
}

/// What a clock leaves of the offsets of the pairs.
fn left(pairs: &[Pair], clock: &ClockOffset) -> Vec<i64> {
    pairs.iter().map(|pair| pair.offset_ns.saturating_sub(clock.at(pair.at))).collect()
}

/// How far all of them are from their middle, together.
fn scatter(values: &[i64]) -> i64 {
    let Some(middle) = median(values.to_vec()) else { return 0 };
    let all = values.iter().map(|value| i128::from(value.abs_diff(middle))).sum::<i128>();
    i64::try_from(all).unwrap_or(i64::MAX)
}

fn unexplained(pairs: &[Pair], clock: &ClockOffset) -> i64 {
    scatter(&left(pairs, clock))
}

/// The usual distance from the middle.
fn usual(values: &[i64]) -> i64 {
    let Some(middle) = median(values.to_vec()) else { return 0 };
    let all = values.iter().map(|value| value.abs_diff(middle)).collect();
    i64::try_from(median(all).unwrap_or(0)).unwrap_or(i64::MAX)
}

/// With the drift that most pairs of pairs without a step between them agree on (Theil and Sen), when it stands out from
/// what they scatter by.
fn with_drift(
    pairs: &[Pair],
    clock: &ClockOffset,
    logged: &[ClockStep],
    floor_ns: i64,
) -> Option<ClockOffset> {
    let span = pairs.last()?.at.since(pairs.first()?.at);
    if pairs.len() < 3 || span < DRIFT_SPAN_NS || clock.drift_ppb != 0 {
        return None;
    }
    let left = left(pairs, clock);
    let points: Vec<(UnixNanos, i64)> = pairs.iter().map(|pair| pair.at).zip(left).collect();
    let mut slopes = Vec::new();
    for (index, (at, offset)) in points.iter().enumerate() {
        for (later, next) in points.iter().skip(index + 1) {
            let over = later.since(*at);
            let is_set = clock.steps.iter().any(|step| *at < step.at && step.at <= *later);
            if over >= DRIFT_PAIR_NS && !is_set {
                let gained = i128::from(next.saturating_sub(*offset)) * 1_000_000_000;
                slopes.extend(i64::try_from(gained / i128::from(over)));
            }
        }
    }
    let drift_ppb = median(slopes)?;
    let next = stepped_anew(pairs, ClockOffset { drift_ppb, ..clock.clone() }, logged);
    let gained = drifted(drift_ppb, span).abs();
    let stands_out = gained > floor_ns.max(STANDS_OUT.saturating_mul(usual(&self::left(pairs, &next))));
    (drift_ppb.abs() <= DRIFT_PPB_MAX && stands_out).then_some(next)
}

/// The size of steps that only pairs show, once the drift is taken off.
fn stepped_anew(pairs: &[Pair], mut clock: ClockOffset, logged: &[ClockStep]) -> ClockOffset {
    for index in 0..clock.steps.len() {
        let Some(step) = clock.steps.get(index).copied().filter(|step| !logged.contains(step)) else {
            continue;
        };
        let from = index.checked_sub(1).and_then(|before| clock.steps.get(before)).map(|step| step.at);
        let until = clock.steps.get(index + 1).map(|step| step.at);
        let side = |behind: bool| {
            let fits = |pair: &&Pair| {
                let inside =
                    from.is_none_or(|from| from <= pair.at) && until.is_none_or(|until| pair.at < until);
                inside && (pair.at >= step.at) == behind
            };
            let of_side: Vec<Pair> = pairs.iter().filter(fits).copied().collect();
            median(left(&of_side, &clock))
        };
        let by = side(true).zip(side(false)).map_or(0, |(behind, before)| behind.saturating_sub(before));
        if let Some(step) = clock.steps.get_mut(index) {
            step.by_ns = step.by_ns.saturating_add(by);
        }
    }
    clock
}

/// With one step more: between the two pairs where it explains the most.
fn with_step(pairs: &[Pair], clock: &ClockOffset, floor_ns: i64) -> Option<ClockOffset> {
    let left = left(pairs, clock);
    let sides = (STEP_PAIRS_MIN..=left.len().checked_sub(STEP_PAIRS_MIN)?).filter_map(|split| {
        let (before, behind) = left.split_at_checked(split)?;
        Some((scatter(before).saturating_add(scatter(behind)), split))
    });
    let (_, split) = sides.min()?;
    let (before, behind) = left.split_at_checked(split)?;
    let by_ns = median(behind.to_vec())?.saturating_sub(median(before.to_vec())?);
    let noise = usual(before).max(usual(behind));
    if by_ns.abs() <= floor_ns.max(STANDS_OUT.saturating_mul(noise)) {
        return None;
    }
    // Nobody knows where between the two; the later one is the first that shows it.
    let at = pairs.get(split)?.at;
    let mut steps = clock.steps.clone();
    steps.push(ClockStep { at, by_ns });
    steps.sort_by_key(|step| step.at);
    Some(ClockOffset { steps, ..clock.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    /// A pair every ten minutes, for some hours, with a scatter of a few milliseconds.
    fn pairs(hours: i64, offset: impl Fn(i64) -> i64) -> Vec<Pair> {
        let one = |index: i64| {
            let at = index * 600 * SECOND;
            let scatter = (index * 7 % 5) * 1_000_000;
            Pair { at: UnixNanos(at), offset_ns: offset(at) + scatter, error_ns: 10_000_000 }
        };
        (0..hours * 6).map(one).collect()
    }

    fn fitted(pairs: &[Pair], logged: &[ClockStep]) -> ClockOffset {
        fit(1, pairs, logged, 10_000_000).unwrap()
    }

    #[test]
    fn a_clock_that_is_off_by_the_same_all_the_time_neither_drifts_nor_steps() {
        let clock = fitted(&pairs(8, |_| 137 * SECOND), &[]);
        assert_eq!((clock.drift_ppb, clock.steps.len()), (0, 0));
        assert!((clock.at(UnixNanos(0)) - 137 * SECOND).abs() <= clock.error_ns);
    }

    #[test]
    fn fifty_parts_per_million_over_hours_are_found() {
        let truth = |at: i64| -3_605 * SECOND + at / 20_000;
        let clock = fitted(&pairs(8, truth), &[]);
        assert!((clock.drift_ppb - 50_000).abs() < 500, "{clock:?}");
        assert!(clock.steps.is_empty(), "{clock:?}");
        for hour in 0..8 {
            let at = hour * 3_600 * SECOND;
            assert!((clock.at(UnixNanos(at)) - truth(at)).abs() <= clock.error_ns, "hour {hour}: {clock:?}");
        }
    }

    #[test]
    fn a_step_in_the_middle_is_found_where_it_is() {
        let truth = |at: i64| if at < 4 * 3_600 * SECOND { 2 * SECOND } else { -58 * SECOND };
        let clock = fitted(&pairs(8, truth), &[]);
        assert_eq!((clock.drift_ppb, clock.steps.len()), (0, 1), "{clock:?}");
        assert_eq!(clock.steps[0].at, UnixNanos(4 * 3_600 * SECOND));
        assert!((clock.steps[0].by_ns + 60 * SECOND).abs() <= clock.error_ns, "{clock:?}");
    }

    #[test]
    fn a_drift_and_a_step_are_told_apart() {
        let truth = |at: i64| at / 20_000 + if at < 5 * 3_600 * SECOND { 0 } else { 3_600 * SECOND };
        let clock = fitted(&pairs(10, truth), &[]);
        assert_eq!(clock.steps.len(), 1, "{clock:?}");
        assert!((clock.drift_ppb - 50_000).abs() < 1_000, "{clock:?}");
    }

    #[test]
    fn a_step_that_the_log_tells_of_needs_no_pair_behind_it() {
        let step = ClockStep { at: UnixNanos(9 * 3_600 * SECOND), by_ns: 3_600 * SECOND };
        let clock = fitted(&pairs(8, |_| SECOND), &[step]);
        assert_eq!(clock.steps, [step]);
        assert!((clock.at(UnixNanos(10 * 3_600 * SECOND)) - 3_601 * SECOND).abs() <= clock.error_ns);
    }

    #[test]
    fn a_step_in_the_log_that_the_pairs_speak_against_does_not_count() {
        let step = ClockStep { at: UnixNanos(4 * 3_600 * SECOND), by_ns: 3_600 * SECOND };
        assert!(fitted(&pairs(8, |_| SECOND), &[step]).steps.is_empty());
    }

    #[test]
    fn one_odd_pair_is_no_step() {
        let mut all = pairs(8, |_| SECOND);
        all[20].offset_ns += 900 * SECOND;
        let clock = fitted(&all, &[]);
        assert_eq!((clock.drift_ppb, clock.steps.len()), (0, 0), "{clock:?}");
        assert!((clock.at(UnixNanos(0)) - SECOND).abs() <= clock.error_ns);
    }
}
