//! What did not fail, in a line each.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::paint::{Layout, Paint};
use super::{headed, item, paragraph, server_end, some, timeline};
use crate::analysis::Analysis;
use crate::diagnosis;
use crate::report::safe::printable;
use crate::report::{Told, ends, words};
use crate::session::{Outcome, Session};
use crate::step::Step;
use crate::time::UnixNanos;

/// Attempts that did not fail, to one server and with the same thing not seen, that are told one by one.
const ALIKE_MAX: usize = 5;

/// Attempts of one kind beyond the first few.
#[derive(Default)]
struct Alike {
    count: usize,
    until: Option<UnixNanos>,
    clients: BTreeSet<IpAddr>,
}

/// What did not fail, in a line each.
pub(super) fn others(out: &mut String, analysis: &Analysis, told: &[Told<'_>], layout: Layout<'_>) {
    let mut alike: BTreeMap<(Outcome, String, String), Alike> = BTreeMap::new();
    for attempt in told.iter().filter(|t| !t.attempt.outcome.is_failure()) {
        let session = attempt.session;
        let outcome = attempt.attempt.outcome;
        if outcome != Outcome::Active && !layout.verbose {
            let because =
                if outcome == Outcome::Unknown { unknown_because(analysis, session) } else { String::new() };
            let known = alike.entry((outcome, server_end(session), because)).or_default();
            known.count += 1;
            if known.count > ALIKE_MAX {
                known.until = known.until.max(Some(session.start));
                known.clients.extend(session.far_client_ip());
                continue;
            }
        }
        line_of(out, attempt, layout);
        let earlier = attempt.attempt.sessions.iter().filter_map(|index| analysis.story.sessions.get(*index));
        let failed: Vec<&Session> = earlier.filter(|s| s.outcome.is_failure()).collect();
        if let (Outcome::Active, Some(first)) = (attempt.attempt.outcome, failed.first()) {
            let step = first.broke_at.map_or("an unknown step", Step::title);
            item(
                out,
                layout,
                "remark",
                &format!(
                    "{} of the same attempt failed, the first at {step}",
                    some(failed.len(), "connection")
                ),
            );
        }
        let beside = Some(session).filter(|session| session.outcome == Outcome::Active);
        if let Some(remark) = beside.and_then(words::remark) {
            item(out, layout, "remark", &remark);
        }
        if attempt.attempt.outcome == Outcome::Unknown {
            item(out, layout, "not seen", &unknown_because(analysis, session));
        }
        if layout.verbose {
            timeline(out, analysis, session, layout);
        }
    }
    for ((outcome, server, because), more) in alike {
        let Some(until) = more.until else { continue };
        let count = more.count.saturating_sub(ALIKE_MAX);
        let clients = match more.clients.len() {
            0 => String::new(),
            clients => format!(" from {}", some(clients, "address")),
        };
        let tail = if because.is_empty() { String::new() } else { format!(", not seen: {because}") };
        let until = layout.zone.shown(until);
        let text = format!(
            "{until} and before: {count} more {}{clients} to {}{tail}",
            outcome.name(),
            printable(&server)
        );
        paragraph(out, layout, &text, None);
    }
}

/// When, how it ended, from whom to whom, and how far it came.
fn line_of(out: &mut String, told: &Told<'_>, layout: Layout<'_>) {
    let (session, outcome) = (told.session, told.attempt.outcome);
    let word = match outcome {
        Outcome::Active => "worked: the desktop was reached",
        Outcome::Probe => "only looked: no logon was meant",
        Outcome::Closed => "closed by the client before anything failed",
        _ => "unknown: the evidence does not reach far enough",
    };
    let reached = match outcome {
        Outcome::Active => String::new(),
        _ => format!(", reached {}", session.reached.map_or("nothing", Step::name)),
    };
    let count = told.attempt.sessions.len();
    let more = if count > 1 { format!(", {count} connections") } else { String::new() };
    let start = layout.zone.shown(session.start);
    let text = format!("{start} {word} ({}{reached}{more})", ends(session));
    match outcome {
        Outcome::Active => headed(out, layout, &text, (word, Paint::Success)),
        _ => paragraph(out, layout, &text, None),
    }
}

/// Connections of which nothing is known but that a listener took them, in a line for each host.
pub(super) fn listened(out: &mut String, analysis: &Analysis, layout: Layout<'_>) {
    for one in &analysis.story.listened {
        let from = layout.zone.shown(one.from);
        paragraph(out, layout, &format!("{from} {}", printable(&words::listened(one))), None);
    }
}

pub(in crate::report) fn unknown_because(analysis: &Analysis, session: &Session) -> String {
    use crate::fact::What;
    if session.find(|what| matches!(what, What::MidStream {})).is_some() {
        "the start of the connection: the capture began later".to_owned()
    } else if session.find(|what| matches!(what, What::OneWay { .. })).is_some() {
        "the other direction: capture where both pass".to_owned()
    } else if let Some(said) = diagnosis::stack_absent(session, &analysis.story) {
        said.to_owned()
    } else {
        match session.connections.is_empty() {
            false => "the end of the connection: the capture stopped before it",
            true => "how it went on: the logs at hand say no more; a capture, or the other logs of server and client",
        }
        .to_owned()
    }
}
