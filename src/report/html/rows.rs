//! The table of attempts, worst first: what the page filters and sorts, one array per column.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::super::json::{End, client, server};
use super::super::sources::{Source, summed_up};
use super::super::{Told, headline, text, words};
use super::Asked;
use super::strings::Strings;
use super::summary::charts;
use crate::analysis::Analysis;
use crate::diagnosis::{RULES, Rule};
use crate::session::{Outcome, Session};
use crate::step::{LADDER, Step};

/// Outcomes, worst first.
pub(super) const OUTCOMES: &[Outcome] =
    &[Outcome::Broke, Outcome::Refused, Outcome::Unknown, Outcome::Closed, Outcome::Probe, Outcome::Active];

/// An attempt as the table has it.
pub(super) struct Row<'a> {
    pub(super) told: Told<'a>,
    /// Its source only guesses or scans.
    pub(super) is_guess: bool,
    pub(super) client: String,
    pub(super) server: String,
    pub(super) user: Option<String>,
    pub(super) note: String,
}

impl Row<'_> {
    pub(super) fn failed(&self) -> bool {
        self.told.attempt.outcome.is_failure()
    }

    pub(super) fn broke_at(&self) -> Option<Step> {
        self.told.session.broke_at.filter(|_| self.failed())
    }
}

/// The attempts of a page.
pub(super) struct Rows<'a> {
    /// Those that the table holds.
    pub(super) rows: Vec<Row<'a>>,
    /// Attempts that would have been in it but for the limit.
    pub(super) left_out: usize,
    /// Sources that never got in.
    pub(super) sources: Vec<Source>,
}

/// The table as the script reads it: an array per column.
#[derive(Serialize)]
pub(super) struct Table<'a> {
    outcomes: Vec<&'static str>,
    steps: Vec<[&'static str; 2]>,
    causes: Vec<CauseText>,
    inputs: Vec<InputText<'a>>,
    witnesses: Vec<WitnessText<'a>>,
    texts: Vec<String>,
    rows: Columns<'a>,
}

#[derive(Serialize)]
struct CauseText {
    id: &'static str,
    summary: &'static str,
    remedy: &'static str,
    refs: &'static [&'static str],
}

#[derive(Serialize)]
struct InputText<'a> {
    path: &'a str,
    capture: bool,
}

/// Times in microseconds since 1970, by the reference clock; the error of the clock in microseconds.
#[derive(Serialize)]
struct WitnessText<'a> {
    name: &'a str,
    covers: Option<[i64; 2]>,
    clock: String,
    error: i64,
}

#[derive(Serialize, Default)]
struct Columns<'a> {
    outcome: Vec<usize>,
    step: Vec<Option<usize>>,
    cause: Vec<Option<usize>>,
    percent: Vec<Option<u8>>,
    start: Vec<i64>,
    lasted: Vec<i64>,
    client: Vec<&'a str>,
    server: Vec<&'a str>,
    user: Vec<Option<&'a str>>,
    note: Vec<u32>,
    guess: Vec<u8>,
    witnesses: Vec<usize>,
    sessions: Vec<Vec<&'a str>>,
    /// Lines of the details, the deciding session first.
    details: Vec<&'a [u32]>,
}

impl<'a> Rows<'a> {
    pub(super) fn new(analysis: &'a Analysis, told: &[Told<'a>], asked: &Asked) -> Self {
        let sources = summed_up(&analysis.story.sessions, told, |session| ends_of(&server(session)));
        let guesses: BTreeSet<usize> = sources.iter().flat_map(|source| &source.attempts).copied().collect();
        let wanted = |one: &Told<'_>| !asked.only_failed || one.attempt.outcome.is_failure();
        let mut order: Vec<usize> =
            told.iter().enumerate().filter(|(_, one)| wanted(one)).map(|(index, _)| index).collect();
        let rank = |index: &usize| {
            let outcome = told.get(*index).map(|one| one.attempt.outcome);
            // Refused is no better than broken: they stand in order of time.
            let outcome = if outcome == Some(Outcome::Refused) { Some(Outcome::Broke) } else { outcome };
            let place = OUTCOMES.iter().position(|known| Some(*known) == outcome);
            (place == Some(0) && guesses.contains(index), place)
        };
        order.sort_by_key(|index| {
            let (guess, place) = rank(index);
            (place, guess, *index)
        });
        let left_out = order.len().saturating_sub(asked.limits.attempts);
        order.truncate(asked.limits.attempts);
        let rows = order
            .into_iter()
            .filter_map(|index| Some(row(analysis, *told.get(index)?, guesses.contains(&index))))
            .collect();
        Self { rows, left_out, sources }
    }

    /// What the script reads. `details` has for each row the lines of its sessions.
    pub(super) fn table<'r>(&'r self, analysis: &'r Analysis, details: &'r [Vec<u32>]) -> Table<'r> {
        let mut texts = Strings::default();
        let mut columns = Columns::default();
        let rules = rules(analysis);
        let places: BTreeMap<&str, usize> =
            rules.iter().enumerate().map(|(index, rule)| (rule.id, index)).collect();
        for (row, lines) in self.rows.iter().zip(details) {
            let Told { attempt, session, .. } = row.told;
            let best = row.told.best();
            columns.outcome.push(place_of(attempt.outcome));
            columns.step.push(row.broke_at().and_then(step_number));
            columns.cause.push(best.and_then(|best| places.get(best.rule.id).copied()));
            columns.percent.push(best.map(|best| best.weighing.percent));
            columns.start.push(session.start.0 / 1_000);
            columns.lasted.push(session.lasted_ns() / 1_000);
            columns.client.push(&row.client);
            columns.server.push(&row.server);
            columns.user.push(row.user.as_deref());
            columns.note.push(texts.number(&row.note));
            columns.guess.push(u8::from(row.is_guess));
            columns.witnesses.push(session.witnesses().len());
            let members = attempt.sessions.iter().filter_map(|index| analysis.story.sessions.get(*index));
            columns.sessions.push(members.map(|session| session.id.as_str()).collect());
            columns.details.push(lines);
        }
        Table {
            outcomes: OUTCOMES.iter().map(|outcome| outcome.name()).collect(),
            steps: LADDER.iter().map(|rung| [rung.name, rung.title]).collect(),
            causes: rules.into_iter().map(cause_text).collect(),
            inputs: analysis
                .inventory
                .inputs
                .iter()
                .map(|input| InputText { path: &input.shown, capture: input.kind.is_capture() })
                .collect(),
            witnesses: witnesses(analysis),
            texts: texts.texts().to_vec(),
            rows: columns,
        }
    }
}

/// Every rule that some session is explained by, in the order of the catalogue.
pub(super) fn rules(analysis: &Analysis) -> Vec<&'static Rule> {
    let known: BTreeSet<&str> = analysis.verdicts.iter().flatten().map(|verdict| verdict.rule.id).collect();
    RULES.iter().flat_map(|rules| rules.iter()).filter(|rule| known.contains(rule.id)).collect()
}

fn cause_text(rule: &'static Rule) -> CauseText {
    CauseText { id: rule.id, summary: rule.cause, remedy: rule.fix, refs: rule.refs }
}

fn row<'a>(analysis: &Analysis, told: Told<'a>, is_guess: bool) -> Row<'a> {
    let session = told.session;
    let (client, server) = ends(session);
    let members = || told.attempt.sessions.iter().filter_map(|index| analysis.story.sessions.get(*index));
    let user = text::user(session).or_else(|| members().find_map(text::user));
    Row { told, is_guess, client, server, user, note: note(analysis, &told) }
}

/// Client and server as the table names them.
pub(super) fn ends(session: &Session) -> (String, String) {
    let from = ends_of(&client(session));
    let to = ends_of(&server(session));
    if session.is_through_gateway() {
        let to_host = session.target().map(|(host, port)| format!("{host}:{port} by "));
        return (from, format!("{}RD Gateway {to}", to_host.unwrap_or_default()));
    }
    (from, to)
}

fn ends_of(end: &End) -> String {
    let port = end.port.map(|port| format!(":{port}")).unwrap_or_default();
    let ip = end.ip.as_ref().map(|ip| {
        let is_v6 = ip.contains(':') && !port.is_empty();
        if is_v6 { format!("[{ip}]{port}") } else { format!("{ip}{port}") }
    });
    match (ip, &end.name) {
        (Some(ip), Some(name)) if end.ip.as_ref() != Some(name) => format!("{ip} ({name})"),
        (Some(ip), _) => ip,
        (None, Some(name)) => name.clone(),
        (None, None) => "unknown".to_owned(),
    }
}

/// What the row says: the cause, or how it ended.
fn note(analysis: &Analysis, told: &Told<'_>) -> String {
    let session = told.session;
    match told.attempt.outcome {
        Outcome::Broke | Outcome::Refused => headline::why_of(told),
        Outcome::Active => {
            let members =
                told.attempt.sessions.iter().filter_map(|index| analysis.story.sessions.get(*index));
            let failed: Vec<&Session> = members.filter(|member| member.outcome.is_failure()).collect();
            let earlier = failed.first().map(|first| {
                let step = first.broke_at.map_or("an unknown step", Step::title);
                format!(
                    "; {} of the same attempt failed, the first at {step}",
                    text::some(failed.len(), "connection")
                )
            });
            let beside = Some(session).filter(|session| session.outcome == Outcome::Active);
            let remark = beside.and_then(words::remark).map(|remark| format!("; {remark}"));
            ["the desktop was reached".to_owned(), earlier.unwrap_or_default(), remark.unwrap_or_default()]
                .concat()
        }
        Outcome::Probe => "only looked: no logon was meant".to_owned(),
        Outcome::Closed => "closed by the client before anything failed".to_owned(),
        Outcome::Unknown => format!("not seen: {}", text::unknown_because(analysis, session)),
    }
}

fn witnesses(analysis: &Analysis) -> Vec<WitnessText<'_>> {
    let tell = |(index, witness)| {
        let witness: &crate::session::Witness = witness;
        let clock = analysis.story.clocks.iter().find(|clock| clock.witness_index == index);
        WitnessText {
            name: &witness.name,
            covers: charts::span(analysis, index).map(|(from, to)| [from.0 / 1_000, to.0 / 1_000]),
            clock: charts::clock_words(analysis, index),
            error: clock.map_or(0, |clock| clock.error_ns / 1_000),
        }
    };
    (0_u32..).zip(&analysis.witnesses).map(tell).collect()
}

fn place_of(outcome: Outcome) -> usize {
    OUTCOMES.iter().position(|known| *known == outcome).unwrap_or(0)
}

/// Its place on the ladder, from 0.
pub(super) fn step_number(step: Step) -> Option<usize> {
    LADDER.iter().position(|rung| rung.step == step)
}
