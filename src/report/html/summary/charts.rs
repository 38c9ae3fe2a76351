//! The drawings of the summary: where attempts broke, when, and what each witness covers.

use minijinja::Value;
use serde::Serialize;

use super::super::super::words;
use super::super::rows::Rows;
use super::{drawn, share};
use crate::analysis::Analysis;
use crate::session::ClockOffset;
use crate::step::LADDER;
use crate::time::{UnixNanos, spoken};

/// Width of the drawings, in units of their view box.
const WIDTH: f64 = 1_000.0;
/// Columns over time.
const COLUMNS: u32 = 60;
/// Height of a column.
const HEIGHT: f64 = 60.0;

/// A step with how many attempts broke there.
#[derive(Serialize)]
pub(super) struct Rung {
    name: &'static str,
    title: &'static str,
    broke: usize,
    guesses: usize,
    /// In hundredths of the most.
    width: Value,
}

/// Attempts over time.
#[derive(Serialize)]
pub(super) struct Chart {
    from: String,
    until: String,
    each: String,
    columns: Vec<Column>,
    most: usize,
}

#[derive(Serialize, Clone)]
struct Column {
    x: Value,
    failed: usize,
    other: usize,
    failed_y: Value,
    failed_height: Value,
    other_y: Value,
    other_height: Value,
    title: String,
}

/// What a witness covers, by the reference clock.
#[derive(Serialize)]
pub(super) struct Band<'a> {
    name: &'a str,
    kind: &'static str,
    x: Value,
    width: Value,
    covers: Option<[String; 2]>,
    clock: String,
    /// The zone that the host names, and its last start.
    zone: Option<String>,
    started: Option<String>,
    sessions: usize,
}

fn number(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

/// The steps from the first to the last at which something broke or that was reached, the gateway's only where it matters.
pub(super) fn ladder(rows: &Rows<'_>) -> Vec<Rung> {
    let of = |step, guess: bool| {
        rows.rows.iter().filter(|row| row.is_guess == guess && row.broke_at() == Some(step)).count()
    };
    let counts: Vec<(usize, usize)> =
        LADDER.iter().map(|rung| (of(rung.step, false), of(rung.step, true))).collect();
    let most = counts.iter().map(|(user, guess)| user + guess).max().unwrap_or(0).max(1);
    LADDER
        .iter()
        .zip(counts)
        .map(|(rung, (user, guesses))| Rung {
            name: rung.name,
            title: rung.title,
            broke: user + guesses,
            guesses,
            width: drawn(number(user + guesses) / number(most) * 100.0),
        })
        .collect()
}

/// Attempts in columns of equal time; nothing where all began at once.
pub(super) fn over_time(rows: &Rows<'_>) -> Option<Chart> {
    let starts = || rows.rows.iter().map(|row| row.told.session.start);
    let (from, until) = (starts().min()?, starts().max()?);
    let whole = until.since(from);
    if rows.rows.len() < 3 || whole < 1_000_000_000 {
        return None;
    }
    let each = whole / i64::from(COLUMNS) + 1;
    let mut counts = vec![(0_usize, 0_usize); usize::try_from(COLUMNS).unwrap_or(0)];
    for row in &rows.rows {
        let index = usize::try_from(row.told.session.start.since(from) / each).unwrap_or(0);
        if let Some((failed, other)) = counts.get_mut(index) {
            if row.failed() { *failed += 1 } else { *other += 1 }
        }
    }
    let most = counts.iter().map(|(failed, other)| failed + other).max().unwrap_or(0).max(1);
    let tall = |count: usize| number(count) / number(most) * HEIGHT;
    let column = |(index, (failed, other)): (u32, (usize, usize))| Column {
        x: drawn(f64::from(index) * WIDTH / f64::from(COLUMNS)),
        failed,
        other,
        failed_y: drawn(HEIGHT - tall(failed)),
        failed_height: drawn(tall(failed)),
        other_y: drawn(HEIGHT - tall(failed) - tall(other)),
        other_height: drawn(tall(other)),
        title: format!(
            "from {}: {failed} failed, {other} others",
            from.plus(each.saturating_mul(i64::from(index)))
        ),
    };
    let columns =
        (0_u32..).zip(counts).filter(|(_, (failed, other))| failed + other > 0).map(column).collect();
    Some(Chart { from: from.to_string(), until: until.to_string(), each: spoken(each), columns, most })
}

/// From when to when any witness covers, by the reference clock.
pub(super) fn covered(analysis: &Analysis) -> Option<(UnixNanos, UnixNanos)> {
    let spans = || (0_u32..).zip(&analysis.witnesses).filter_map(|(index, _)| span(analysis, index));
    Some((spans().map(|(from, _)| from).min()?, spans().map(|(_, to)| to).max()?))
}

fn clock(analysis: &Analysis, index: u32) -> Option<&ClockOffset> {
    analysis.story.clocks.iter().find(|clock| clock.witness_index == index)
}

pub(in super::super) fn span(analysis: &Analysis, index: u32) -> Option<(UnixNanos, UnixNanos)> {
    let witness = analysis.witnesses.get(usize::try_from(index).ok()?)?;
    let (from, to) = witness.coverage.covers?;
    let on_reference = |at| clock(analysis, index).map_or(at, |clock| clock.on_reference(at));
    Some((on_reference(from), on_reference(to)))
}

/// A band for every witness.
pub(super) fn bands(analysis: &Analysis) -> Vec<Band<'_>> {
    let whole = covered(analysis).unwrap_or_default();
    let mut counts = vec![0_usize; analysis.witnesses.len()];
    for session in &analysis.story.sessions {
        for index in session.witnesses() {
            if let Some(count) = usize::try_from(index).ok().and_then(|index| counts.get_mut(index)) {
                *count += 1;
            }
        }
    }
    let band = |((index, witness), sessions)| {
        let witness: &crate::session::Witness = witness;
        let span = span(analysis, index);
        let boots = witness.host.as_ref().and_then(|host| analysis.story.boots.get(host));
        let (x, end) = span.map_or((0.0, 0.0), |(from, to)| (share(from, whole), share(to, whole)));
        Band {
            name: &witness.name,
            kind: if witness.host.is_some() { "host" } else { "capture point" },
            x: drawn((x * WIDTH).min(WIDTH - 4.0)),
            width: drawn(if span.is_some() { ((end - x) * WIDTH).max(4.0) } else { 0.0 }),
            covers: span.map(|(from, to)| [from.to_string(), to.to_string()]),
            clock: clock_words(analysis, index),
            zone: boots.and_then(|boots| boots.zone.as_ref()).map(words::zone),
            started: boots.and_then(|boots| boots.booted.last()).map(ToString::to_string),
            sessions,
        }
    };
    (0_u32..).zip(&analysis.witnesses).zip(counts).map(band).collect()
}

/// How far a clock is off, against which, and what it did.
pub(in crate::report) fn clock_words(analysis: &Analysis, index: u32) -> String {
    let name = |index: u32| {
        let witness = usize::try_from(index).ok().and_then(|index| analysis.witnesses.get(index));
        witness.map_or("", |witness| witness.name.as_str())
    };
    offset(index, clock(analysis, index), name)
}

fn offset<'a>(index: u32, clock: Option<&ClockOffset>, name: impl Fn(u32) -> &'a str) -> String {
    let Some(clock) = clock.filter(|clock| clock.offset_ns.is_some()) else {
        return "not compared".to_owned();
    };
    if index == 0 {
        return "the reference".to_owned();
    }
    if clock.pairs == 0 {
        return "not compared".to_owned();
    }
    let other = (clock.against > 0).then(|| name(clock.against));
    let mut text = words::clock(clock, other);
    for step in &clock.steps {
        let way = if step.by_ns < 0 { "back" } else { "forward" };
        text.push_str(&format!(
            "; set {way} by {} at {}",
            words::seconds(step.by_ns.saturating_abs()),
            step.at
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::{ClockStep, Paired};

    #[test]
    fn a_clock_is_told_with_its_error_its_drift_and_when_it_was_set() {
        let mut off = ClockOffset {
            witness_index: 1,
            against: 0,
            offset_ns: Some(-3_000_000),
            error_ns: 20_000,
            by: Paired::Connections,
            pairs: 1,
            drift_ppb: 0,
            drift_from: UnixNanos(0),
            steps: Vec::new(),
        };
        let told = |index: u32, clock: Option<&ClockOffset>| offset(index, clock, |_| "host7");
        assert_eq!(told(1, Some(&off)), "0.003 s behind, give or take 20 µs, from 1 connection");
        assert_eq!(told(0, Some(&off)), "the reference");
        assert_eq!(told(2, None), "not compared");
        let near = ClockOffset { offset_ns: Some(-19_999), by: Paired::Ntlm, pairs: 2, ..off.clone() };
        assert_eq!(told(1, Some(&near)), "in step, give or take 20 µs, from 2 NTLM messages");
        off.against = 7;
        off.drift_ppb = 4_200;
        off.steps.push(ClockStep { at: UnixNanos(0), by_ns: -5_000_000_000 });
        assert_eq!(
            told(1, Some(&off)),
            "0.003 s behind host7, give or take 20 µs, from 1 connection; it gains 4.2 ppm; set back by 5.000 s at \
             1970-01-01T00:00:00.000000Z"
        );
    }
}
