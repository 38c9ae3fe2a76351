//! What a page says first and last: how many failed, where, why, by whom it was told, and how the page was made.

use std::collections::{BTreeMap, BTreeSet};

use minijinja::Value;
use serde::Serialize;

use super::super::json::{Input, NoteRow, inputs, notes};
use super::super::kinds::{NO_CAUSE, overall};
use super::super::sources::Source;
use super::super::{Told, headline, naming, words};
use super::Asked;
use super::detail::LeftOut;
use super::rows::{OUTCOMES, Row, Rows};
use crate::analysis::Analysis;
use crate::diagnosis::{CATALOGUE_VERSION, Rule, Verdict};
use crate::note::counted as some;
use crate::read::Counts;
use crate::session::Outcome;
use crate::step::Step;
use crate::time::{UnixNanos, spoken};

pub(super) mod charts;

use charts::{Band, Chart, Rung};

/// Causes that stand on the first screen.
const CAUSES_FIRST: usize = 6;

#[derive(Serialize)]
pub(super) struct Summary<'a> {
    headline: String,
    lead: String,
    outcomes: Vec<OutcomeCount>,
    causes: Vec<CauseCount>,
    causes_first: usize,
    ladder: Vec<Rung>,
    chart: Option<Chart>,
    rows: Vec<PlainRow<'a>>,
    /// Attempts in the table, and how many of them are not readable without a script.
    attempts: usize,
    plain_left_out: usize,
    sources: Vec<SourceLine<'a>>,
    sources_left_out: usize,
    listened: Vec<String>,
    bands: Vec<Band<'a>>,
    band_ends: Option<[String; 2]>,
    bands_left_out: usize,
    left_out: Vec<String>,
    made: Made<'a>,
}

#[derive(Serialize)]
struct OutcomeCount {
    name: &'static str,
    word: &'static str,
    count: usize,
}

#[derive(Serialize)]
struct CauseCount {
    id: Option<&'static str>,
    summary: String,
    remedy: Option<String>,
    refs: &'static [&'static str],
    step: &'static str,
    step_name: &'static str,
    count: usize,
    guesses: usize,
    sure: Option<String>,
    percent: u8,
    who: String,
}

#[derive(Serialize)]
struct PlainRow<'a> {
    when: String,
    outcome: &'static str,
    step: Option<&'static str>,
    cause: Option<&'static str>,
    percent: Option<u8>,
    note: &'a str,
    client: [&'a str; 2],
    server: [&'a str; 2],
    user: &'a str,
}

#[derive(Serialize)]
struct SourceLine<'a> {
    client: String,
    server: &'a str,
    times: usize,
    causes: String,
    users: Vec<&'a str>,
    users_left_out: usize,
    from: String,
    until: String,
}

#[derive(Serialize)]
struct Made<'a> {
    version: &'static str,
    rules: &'static str,
    arguments: &'a [String],
    inputs: Vec<Input<'a>>,
    inputs_left_out: usize,
    notes: Vec<NoteRow<'a>>,
    notes_left_out: usize,
    lost: Vec<String>,
    read: String,
}

impl<'a> Summary<'a> {
    pub(super) fn new(
        analysis: &'a Analysis,
        told: &[Told<'a>],
        rows: &'a Rows<'a>,
        asked: &'a Asked,
        left_out: LeftOut,
    ) -> Self {
        let causes = causes(rows);
        let limits = asked.limits;
        let plain: Vec<PlainRow<'_>> = rows.rows.iter().take(limits.plain_attempts).map(plain).collect();
        let bands = charts::bands(analysis);
        Self {
            headline: overall(told, &rows.sources, analysis.left_out),
            lead: lead(analysis, told),
            outcomes: outcomes(told),
            causes,
            causes_first: CAUSES_FIRST,
            ladder: charts::ladder(rows),
            chart: charts::over_time(rows),
            plain_left_out: rows.rows.len() - plain.len(),
            rows: plain,
            attempts: rows.rows.len(),
            sources: rows.sources.iter().take(limits.listed).map(source).collect(),
            sources_left_out: rows.sources.len().saturating_sub(limits.listed),
            listened: analysis.story.listened.iter().take(limits.listed).map(words::listened).collect(),
            bands_left_out: bands.len().saturating_sub(limits.listed),
            band_ends: charts::covered(analysis).map(|(from, to)| [from.to_string(), to.to_string()]),
            bands: bands.into_iter().take(limits.listed).collect(),
            left_out: not_here(analysis, told, rows, asked, left_out),
            made: made(analysis, asked),
        }
    }
}

const fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Broke => "broke",
        Outcome::Refused => "refused",
        Outcome::Unknown => "unknown",
        Outcome::Closed => "closed early",
        Outcome::Probe => "only looked",
        Outcome::Active => "worked",
    }
}

fn outcomes(told: &[Told<'_>]) -> Vec<OutcomeCount> {
    let count = |outcome| told.iter().filter(|one| one.attempt.outcome == outcome).count();
    OUTCOMES
        .iter()
        .map(|outcome| OutcomeCount { name: outcome.name(), word: word(*outcome), count: count(*outcome) })
        .collect()
}

/// When, by whom, and what was left out of it as asked.
fn lead(analysis: &Analysis, told: &[Told<'_>]) -> String {
    let from = told.iter().map(|one| one.session.start).min();
    let until = told.iter().map(|one| one.session.end).max();
    let when = match (from, until) {
        (Some(from), Some(until)) => {
            format!("Between {from} and {until} ({}), told", spoken(until.since(from)))
        }
        _ => "Told".to_owned(),
    };
    let hosts = analysis.witnesses.iter().filter(|witness| witness.host.is_some()).count();
    let points = analysis.witnesses.len() - hosts;
    let mut who = Vec::new();
    if points > 0 {
        who.push(some(points, "capture point", "capture points"));
    }
    if hosts > 0 {
        who.push(format!("the logs of {}", some(hosts, "host", "hosts")));
    }
    let who = if who.is_empty() { "nobody".to_owned() } else { who.join(" and ") };
    let reference = analysis
        .witnesses
        .first()
        .map(|first| format!(" All times are UTC, by the clock of {}.", first.name));
    format!("{when} by {who}.{}", reference.unwrap_or_default())
}

#[derive(Default)]
struct Group<'a> {
    rule: Option<&'static Rule>,
    /// Why, and what to do, as the surest of them tells.
    example: Option<&'a Verdict>,
    count: usize,
    guesses: usize,
    percents: BTreeSet<u8>,
    clients: BTreeSet<&'a str>,
    servers: BTreeSet<&'a str>,
}

/// Causes with how often, those of most attempts first; what only guesses or scans counts behind all others.
fn causes(rows: &Rows<'_>) -> Vec<CauseCount> {
    let mut groups: BTreeMap<(Option<&str>, Option<Step>), Group<'_>> = BTreeMap::new();
    let sure = |verdict: Option<&Verdict>| verdict.map(|verdict| verdict.weighing.percent);
    for row in rows.rows.iter().filter(|row| row.failed()) {
        let best = row.told.best();
        let group = groups.entry((best.map(|best| best.rule.id), row.broke_at())).or_default();
        group.rule = best.map(|best| best.rule);
        if sure(best) > sure(group.example) {
            group.example = best;
        }
        group.count += 1;
        group.guesses += usize::from(row.is_guess);
        group.percents.extend(best.map(|best| best.weighing.percent));
        group.clients.insert(client_of(&row.client));
        group.servers.insert(&row.server);
    }
    let mut causes: Vec<CauseCount> =
        groups.into_iter().map(|((_, step), group)| cause(step, &group)).collect();
    causes.sort_by_key(|cause| {
        (std::cmp::Reverse((cause.count - cause.guesses, cause.count, cause.percent)), cause.id, cause.step)
    });
    causes
}

/// Without its port, which is another one each time.
fn client_of(client: &str) -> &str {
    client.split(' ').next().and_then(|end| end.rsplit_once(':')).map_or(client, |(address, _)| address)
}

fn cause(step: Option<Step>, group: &Group<'_>) -> CauseCount {
    let rule = group.rule;
    let (least, most) = (group.percents.first(), group.percents.last());
    let ends = |names: &BTreeSet<&str>, what: &str| match names.len() {
        1 => names.first().map(|name| (*name).to_owned()).unwrap_or_default(),
        count => format!("{count} {what}"),
    };
    CauseCount {
        id: rule.map(|rule| rule.id),
        summary: group.example.map_or_else(|| NO_CAUSE.to_owned(), headline::why),
        remedy: group.example.map(headline::to_do),
        refs: rule.map_or(&[], |rule| rule.refs),
        step: step.map_or("an unknown step", Step::title),
        step_name: step.map_or("", Step::name),
        count: group.count,
        guesses: group.guesses,
        sure: least.zip(most).map(|(a, b)| if a == b { format!("{a} %") } else { format!("{a} to {b} %") }),
        percent: most.copied().unwrap_or(0),
        who: format!("{} → {}", ends(&group.clients, "clients"), ends(&group.servers, "servers")),
    }
}

fn plain<'a>(row: &'a Row<'_>) -> PlainRow<'a> {
    let best = row.told.best();
    PlainRow {
        when: row.told.session.start.to_string(),
        outcome: row.told.attempt.outcome.name(),
        step: row.broke_at().map(Step::title),
        cause: best.map(|best| best.rule.id),
        percent: best.map(|best| best.weighing.percent),
        note: &row.note,
        client: named(&row.client),
        server: named(&row.server),
        user: row.user.as_deref().map_or("", |user| named(user)[0]),
    }
}

/// An address, and the name in brackets behind it.
fn named(text: &str) -> [&str; 2] {
    let (first, name) = text.split_once(" (").unwrap_or((text, ""));
    [first, name.trim_end_matches(')')]
}

/// Users named of one source.
const USERS_MAX: usize = 8;

fn source(source: &Source) -> SourceLine<'_> {
    let causes: Vec<String> =
        source.causes.iter().map(|(cause, times)| format!("{cause} ({times})")).collect();
    SourceLine {
        client: source.client.to_string(),
        server: &source.server,
        times: source.connections,
        causes: causes.join(", "),
        users: source.users.iter().take(USERS_MAX).map(String::as_str).collect(),
        users_left_out: source.users.len().saturating_sub(USERS_MAX),
        from: source.from.to_string(),
        until: source.until.to_string(),
    }
}

/// What is not in the page, a sentence each.
fn not_here(
    analysis: &Analysis,
    told: &[Told<'_>],
    rows: &Rows<'_>,
    asked: &Asked,
    left_out: LeftOut,
) -> Vec<String> {
    let mut said: Vec<String> =
        naming(analysis).map(|naming| format!("Names are not here: {naming}.")).into_iter().collect();
    if analysis.left_out > 0 {
        said.push(format!(
            "{} as asked (see the arguments).",
            some(analysis.left_out, "attempt is left out", "attempts are left out")
        ));
    }
    let not_failed = told.len() - rows.rows.len() - rows.left_out;
    if asked.only_failed && not_failed > 0 {
        said.push(format!(
            "{} and left out, as asked.",
            some(not_failed, "attempt did not fail", "attempts did not fail")
        ));
    }
    if rows.left_out > 0 {
        said.push(format!(
            "The table ends at {} attempts: {} more, those that failed least, stand in the JSON answer only.",
            asked.limits.attempts, rows.left_out
        ));
    }
    if left_out.attempts > 0 {
        said.push(format!(
            "{} without what unfolds, to keep this file small: the worst come first. Ask for them alone (--client, \
             --server, --user, --at), or for JSON, which has all.",
            some(left_out.attempts, "attempt is here", "attempts are here")
        ));
    }
    if left_out.sessions > 0 {
        said.push(format!(
            "An attempt unfolds {} of its connections at most, the one that tells most first: {} of {} only in the \
             JSON answer.",
            asked.limits.sessions,
            some(left_out.sessions, "connection stands", "connections stand"),
            some(left_out.of_attempts, "attempt", "attempts")
        ));
    }
    if left_out.facts > 0 {
        said.push(format!(
            "Of connections with more than {} facts only the first, the last and the proofs are here: {} are not.",
            asked.limits.facts, left_out.facts
        ));
    }
    said
}

fn made<'a>(analysis: &'a Analysis, asked: &'a Asked) -> Made<'a> {
    let listed = asked.limits.listed;
    let (mut inputs, mut notes) = (inputs(analysis), notes(analysis));
    let (inputs_left_out, notes_left_out) =
        (inputs.len().saturating_sub(listed), notes.len().saturating_sub(listed));
    inputs.truncate(listed);
    notes.truncate(listed);
    Made {
        version: env!("CARGO_PKG_VERSION"),
        rules: CATALOGUE_VERSION,
        arguments: &asked.arguments,
        inputs,
        inputs_left_out,
        notes,
        notes_left_out,
        lost: lost(analysis),
        read: read(analysis),
    }
}

fn total(analysis: &Analysis, of: impl Fn(&Counts) -> u64) -> u64 {
    analysis.counts.iter().flatten().map(of).fold(0, u64::saturating_add)
}

fn read(analysis: &Analysis) -> String {
    let captures = analysis.counts.iter().flatten().filter(|held| matches!(held, Counts::Capture(_))).count();
    let logs = analysis.counts.iter().flatten().count() - captures;
    let records = total(analysis, |held| match held {
        Counts::Log(held) => held.records,
        Counts::Capture(_) => 0,
    });
    let packets = total(analysis, Counts::packets);
    format!(
        "{} of {} and {} of {}",
        some(packets, "packet", "packets"),
        some(captures, "capture", "captures"),
        some(records, "record", "records"),
        some(logs, "event log", "event logs")
    )
}

/// What the inputs lack, summed up.
fn lost(analysis: &Analysis) -> Vec<String> {
    let capture = |of: fn(&crate::read::CaptureCounts) -> u64| {
        total(analysis, |held| match held {
            Counts::Capture(held) => of(held),
            Counts::Log(_) => 0,
        })
    };
    let log = |of: fn(&crate::read::LogCounts) -> u64| {
        total(analysis, |held| match held {
            Counts::Log(held) => of(held),
            Counts::Capture(_) => 0,
        })
    };
    let rows = [
        (capture(|held| held.packets_dropped), "packets were lost by the capturing program, as it says"),
        (capture(|held| held.packets_cut), "packets are shorter in the file than on the wire"),
        (capture(|held| held.packets_unreadable), "packets have headers that could not be read"),
        (log(|held| held.records_missing), "records are missing by their numbers"),
        (log(|held| held.records_unreadable), "records could not be read"),
    ];
    rows.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect()
}

/// A number as SVG has it.
fn drawn(number: f64) -> Value {
    Value::from((number * 10.0).round() / 10.0)
}

/// The share of a span, between 0 and 1.
fn share(at: UnixNanos, (from, to): (UnixNanos, UnixNanos)) -> f64 {
    let ns = |ns: i64| std::time::Duration::from_nanos(u64::try_from(ns.max(0)).unwrap_or(0)).as_secs_f64();
    let whole = ns(to.since(from));
    if whole > 0.0 { (ns(at.since(from)) / whole).min(1.0) } else { 0.0 }
}
