//! JSON lines for Timesketch: each attempt and each entry of the timelines as an event with the fields that it needs
//! (`message`, `datetime`, `timestamp_desc`) and `timestamp` in microseconds.

use std::collections::BTreeSet;
use std::io::{self, Write};

use serde::Serialize;

use super::{Entry, Told, entries, headline, input_name, told, words};
use crate::analysis::Analysis;
use crate::note::{Place, Spot};
use crate::session::Session;
use crate::time::UnixNanos;

/// One event. What is not known is left out.
#[derive(Serialize)]
struct Event<'a> {
    message: String,
    datetime: String,
    /// Microseconds since 1970.
    timestamp: i64,
    timestamp_desc: &'static str,
    data_type: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tag: Vec<&'static str>,
    session_id: &'a str,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    confidence: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fact: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frame: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    record_id: Option<u64>,
    /// When, by the clock of the witness, where that is another time.
    #[serde(skip_serializing_if = "Option::is_none")]
    recorded: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_ip: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server_ip: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server_port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<&'a str>,
}

/// Writes the attempts, then the timeline of each session.
///
/// # Errors
/// When they cannot be written.
pub fn write(out: &mut dyn Write, analysis: &Analysis) -> io::Result<()> {
    for told in told(analysis) {
        if analysis.timeline.holds(told.session.start) {
            line(out, &of_attempt(&told))?;
        }
    }
    for (session, verdicts) in analysis.story.sessions.iter().zip(&analysis.verdicts) {
        let best = verdicts.first().filter(|_| session.outcome.is_failure());
        let proofs: BTreeSet<Place> =
            best.iter().flat_map(|best| &best.weighing.proofs).map(|seen| seen.place()).collect();
        for entry in entries(analysis, session) {
            let mut event = of_entry(analysis, session, &entry);
            if proofs.contains(&entry.seen.place()) {
                event.tag.push("evidence");
            }
            line(out, &event)?;
        }
    }
    Ok(())
}

fn line(out: &mut dyn Write, event: &Event<'_>) -> io::Result<()> {
    serde_json::to_writer(&mut *out, event)?;
    out.write_all(b"\n")
}

/// ISO 8601 with microseconds and the offset in digits, as the importers of Timesketch write it.
fn datetime(at: UnixNanos) -> String {
    let text = at.to_string();
    text.strip_suffix('Z').map_or_else(|| text.clone(), |time| format!("{time}+00:00"))
}

fn event(session: &Session, at: UnixNanos, message: String) -> Event<'_> {
    let (client, server) = (session.client(), session.server());
    Event {
        message,
        datetime: datetime(at),
        timestamp: at.0.div_euclid(1_000),
        timestamp_desc: "",
        data_type: "",
        tag: Vec::new(),
        session_id: &session.id,
        outcome: session.outcome.name(),
        step: None,
        cause: None,
        confidence: None,
        remedy: None,
        fact: None,
        code: None,
        input: None,
        frame: None,
        record_id: None,
        recorded: None,
        client_ip: session.client_ip().map(|ip| ip.to_string()),
        client_port: client.map(|end| end.port()),
        server_ip: server.map(|end| end.ip().to_string()),
        server_port: server.map(|end| end.port()),
        username: session.user_name(),
    }
}

fn of_attempt<'a>(told: &Told<'a>) -> Event<'a> {
    let (session, best) = (told.session, told.best());
    let outcome = told.attempt.outcome.name();
    let broke_at = session.broke_at.filter(|_| told.attempt.outcome.is_failure());
    let step = broke_at.map(|step| format!(" at {}", step.title())).unwrap_or_default();
    let why = match best {
        Some(best) => format!(": {} ({}, {} %)", headline::why(best), best.rule.id, best.weighing.percent),
        None => String::new(),
    };
    let message = format!("Remote Desktop {outcome}{step}, {}{why}", super::ends(session));
    Event {
        timestamp_desc: "RDP Attempt Started",
        data_type: "rdpwhy:attempt",
        tag: std::iter::once(outcome).chain(best.map(|best| best.rule.id)).collect(),
        outcome,
        step: broke_at.map(crate::step::Step::name),
        cause: best.map(|best| best.rule.id),
        confidence: best.map(crate::diagnosis::Verdict::confidence),
        remedy: best.map(|best| best.rule.fix),
        ..event(session, session.start, message)
    }
}

fn of_entry<'a>(analysis: &'a Analysis, session: &'a Session, entry: &Entry<'a>) -> Event<'a> {
    let seen = entry.seen;
    let (frame, record_id) = match seen.place().spot {
        Spot::Frame(number) => (Some(number), None),
        Spot::Record(id) => (None, Some(id)),
        Spot::Whole | Spot::Byte(_) => (None, None),
    };
    let of_log = seen.fact.subject.keys().is_some();
    Event {
        timestamp_desc: if of_log { "Event Logged" } else { "Packet Captured" },
        data_type: "rdpwhy:fact",
        step: entry.step.map(crate::step::Step::name),
        fact: Some(seen.what().name()),
        code: words::code(seen.what()),
        input: Some(input_name(analysis, seen.place())),
        frame,
        record_id,
        recorded: (seen.fact.at != seen.at).then(|| datetime(seen.fact.at)),
        ..event(session, seen.at, words::says_of(analysis, session, seen))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_microseconds_and_an_offset() {
        assert_eq!(datetime(UnixNanos(1_500_000_123_456_789)), "1970-01-18T08:40:00.123456+00:00");
        assert_eq!(datetime(UnixNanos(-1)), "1969-12-31T23:59:59.999999+00:00");
    }
}
