//! The clocks of all witnesses, held against each other.

use serde::Serialize;

use super::witness_name;
use crate::analysis::Analysis;
use crate::session::{ClockOffset, Zone};

#[derive(Serialize)]
pub(in crate::report) struct Clock<'a> {
    witness: &'a str,
    offset_us: Option<i64>,
    error_us: Option<i64>,
    /// What the pairs are; absent without any.
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<&'static str>,
    pairs: u32,
    /// The witness that it is held against, where no chain of pairs leads to the reference.
    #[serde(skip_serializing_if = "Option::is_none")]
    against: Option<&'a str>,
    /// What it gains, in parts per million; absent where the pairs show none.
    #[serde(skip_serializing_if = "Option::is_none")]
    drift_ppm: Option<f64>,
    /// When it was set, by the clock itself.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    steps: Vec<ClockSet>,
    /// The zone that the host's System log names.
    #[serde(skip_serializing_if = "Option::is_none")]
    zone: Option<ClockZone<'a>>,
    /// When the host was started, by the clock itself.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    booted: Vec<String>,
}

/// A time zone. All times stand in UTC: it only tells what the host showed its users.
#[derive(Serialize)]
struct ClockZone<'a> {
    name: &'a str,
    /// Minutes east of UTC of its standard time, whatever the season.
    standard_offset_min: i32,
}

/// A clock that was set.
#[derive(Serialize)]
struct ClockSet {
    time: String,
    by_us: i64,
}

impl<'a> ClockZone<'a> {
    fn of(zone: &'a Zone) -> Self {
        Self { name: &zone.name, standard_offset_min: zone.standard_bias.saturating_neg() }
    }
}

/// One row for each witness.
pub(in crate::report) fn clocks(analysis: &Analysis) -> Vec<Clock<'_>> {
    let boots = |clock: &ClockOffset| {
        let witness = analysis.witnesses.get(usize::try_from(clock.witness_index).ok()?)?;
        analysis.story.boots.get(witness.host.as_ref()?)
    };
    let row = |clock: &ClockOffset| Clock {
        witness: witness_name(analysis, clock.witness_index),
        offset_us: clock.offset_ns.map(|ns| ns / 1_000),
        error_us: clock.offset_ns.map(|_| clock.error_ns / 1_000),
        by: (clock.pairs > 0).then(|| clock.by.name()),
        pairs: clock.pairs,
        against: (clock.against > 0).then(|| witness_name(analysis, clock.against)),
        drift_ppm: parts_per_million(clock.drift_ppb),
        steps: clock
            .steps
            .iter()
            .map(|step| ClockSet { time: step.at.to_string(), by_us: step.by_ns / 1_000 })
            .collect(),
        zone: boots(clock).and_then(|boots| boots.zone.as_ref()).map(ClockZone::of),
        booted: boots(clock)
            .map_or_else(Vec::new, |boots| boots.booted.iter().map(ToString::to_string).collect()),
    };
    analysis.story.clocks.iter().map(row).collect()
}

/// With one decimal, which is all that pairs tell.
fn parts_per_million(ppb: i64) -> Option<f64> {
    let tenths = i32::try_from(ppb / 100).ok().filter(|tenths| *tenths != 0)?;
    Some(f64::from(tenths) / 10.0)
}
