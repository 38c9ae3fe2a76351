//! Three Parquet tables: `sessions`, the `facts` of their timelines, and their `causes`, tied by the id of the session.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use serde_json::{Value, json};

use super::json::{attempt, session};
use super::{entries, headline, input_name, told, words};
use crate::analysis::Analysis;
use crate::diagnosis::Verdict;
use crate::exchange::columns::Kind::{Bool, F64, Fields, Micros, Text, Texts, U32, U64};
use crate::exchange::columns::{Column, TableWriter, at, named};
use crate::note::{Place, Spot};
use crate::session::{Seen, Session};
use crate::step::Step;

/// One of the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// A row for each session, with the attempt it belongs to.
    Sessions,
    /// A row for each entry of the timelines.
    Facts,
    /// A row for each cause that is in question, the best first.
    Causes,
}

impl Table {
    /// Every table.
    pub const ALL: [Self; 3] = [Self::Sessions, Self::Facts, Self::Causes];

    /// The name of its file, without the ending.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sessions => "sessions",
            Self::Facts => "facts",
            Self::Causes => "causes",
        }
    }

    /// Its columns.
    #[must_use]
    pub const fn columns(self) -> &'static [Column] {
        match self {
            Self::Sessions => SESSIONS,
            Self::Facts => FACTS,
            Self::Causes => CAUSES,
        }
    }
}

const SESSIONS: &[Column] = &[
    named("id", Text),
    named("aliases", Texts),
    named("attempt_id", Text),
    named("decides", Bool),
    named("start", Micros),
    named("end", Micros),
    at("client_ip", Text, "client/ip"),
    at("client_port", U32, "client/port"),
    at("client_name", Text, "client/name"),
    at("client_build", U32, "client/build"),
    at("server_ip", Text, "server/ip"),
    at("server_port", U32, "server/port"),
    at("server_name", Text, "server/name"),
    at("user_name", Text, "user/name"),
    at("user_domain", Text, "user/domain"),
    named("security", Text),
    at("negotiation_requested", U32, "negotiation/requested"),
    at("negotiation_selected", U32, "negotiation/selected"),
    at("negotiation_failure_code", U32, "negotiation/failure_code"),
    at("cookie", Text, "negotiation/cookie"),
    at("routing_token", Text, "negotiation/routing_token"),
    at("correlation_id", Text, "negotiation/correlation_id"),
    named("error_info", U32),
    at("disconnect_by", Text, "disconnect/by"),
    at("disconnect_reason", U32, "disconnect/reason"),
    named("reached", Text),
    named("broke_at", Text),
    named("outcome", Text),
    at("cause", Text, "causes/0/id"),
    at("confidence", F64, "causes/0/confidence"),
    at("role", Text, "legs/0/role"),
    at("community_id", Text, "legs/0/community_id"),
    at("tls_version", Text, "legs/0/tls/version"),
    at("tls_cipher", Text, "legs/0/tls/cipher"),
    at("tls_sni", Text, "legs/0/tls/sni"),
    at("tls_ja3", Text, "legs/0/tls/ja3"),
    at("tls_ja4", Text, "legs/0/tls/ja4"),
    at("tls_decrypted", Bool, "legs/0/tls/decrypted"),
    at("certificate_subject", Text, "legs/0/tls/certificate/subject"),
    at("certificate_issuer", Text, "legs/0/tls/certificate/issuer"),
    at("certificate_not_before", Micros, "legs/0/tls/certificate/not_before"),
    at("certificate_not_after", Micros, "legs/0/tls/certificate/not_after"),
    at("certificate_sha256", Text, "legs/0/tls/certificate/sha256"),
    named("witnesses", Texts),
    at("attempt_outcome", Text, "attempt/outcome"),
    at("attempt_broke_at", Text, "attempt/broke_at"),
    at("attempt_cause", Text, "attempt/cause"),
    at("attempt_confidence", F64, "attempt/confidence"),
    at("attempt_differs", Texts, "attempt/differs"),
];

const FACTS: &[Column] = &[
    named("session_id", Text),
    named("position", U32),
    named("time", Micros),
    named("recorded", Micros),
    named("step", Text),
    named("fact", Text),
    named("says", Text),
    named("code", Text),
    named("fields", Fields),
    named("reading", Text),
    named("evidence", Bool),
    named("host", Text),
    named("input", Text),
    named("frame", U64),
    named("record_id", U64),
];

const CAUSES: &[Column] = &[
    named("session_id", Text),
    named("rank", U32),
    named("id", Text),
    named("confidence", F64),
    named("step", Text),
    named("summary", Text),
    named("remedy", Text),
    named("evidence_for", Texts),
    named("evidence_against", Texts),
    named("missing", Texts),
];

/// Writes one of the tables. Texts of the evidence are as they are.
///
/// # Errors
/// When it cannot be written.
pub fn write(out: &mut (dyn Write + Send), analysis: &Analysis, table: Table) -> io::Result<()> {
    let mut writer = TableWriter::new(out, table.name(), table.columns())?;
    rows(analysis, table, &mut |row| writer.push(row))?;
    writer.finish()
}

/// Writes the rows of one of the tables as JSON lines: everything that its columns hold, where it can be searched.
///
/// # Errors
/// When it cannot be written.
pub fn write_rows(out: &mut dyn Write, analysis: &Analysis, table: Table) -> io::Result<()> {
    rows(analysis, table, &mut |row| writeln!(out, "{row}"))
}

fn rows(analysis: &Analysis, table: Table, push: Push<'_>) -> io::Result<()> {
    match table {
        Table::Sessions => sessions(analysis, push),
        Table::Facts => facts(analysis, push),
        Table::Causes => causes(analysis, push),
    }
}

type Push<'p> = &'p mut dyn FnMut(Value) -> io::Result<()>;

fn judged(analysis: &Analysis) -> impl Iterator<Item = (&Session, &[Verdict])> {
    analysis.story.sessions.iter().zip(analysis.verdicts.iter().map(Vec::as_slice))
}

fn sessions(analysis: &Analysis, push: Push<'_>) -> io::Result<()> {
    let mut attempts: BTreeMap<usize, (Value, bool)> = BTreeMap::new();
    for told in told(analysis) {
        let row = serde_json::to_value(attempt(analysis, &told))?;
        for index in &told.attempt.sessions {
            attempts.insert(*index, (row.clone(), *index == told.attempt.decisive));
        }
    }
    for (index, (one, verdicts)) in judged(analysis).enumerate() {
        let mut row = serde_json::to_value(session(analysis, one, verdicts))?;
        if let Some(row) = row.as_object_mut() {
            // What worked has no cause, whatever was weighed.
            if !one.outcome.is_failure() {
                row.remove("causes");
            }
            if let Some((attempt, decides)) = attempts.remove(&index) {
                row.insert("attempt_id".to_owned(), attempt.get("id").cloned().unwrap_or_default());
                row.insert("decides".to_owned(), decides.into());
                row.insert("attempt".to_owned(), attempt);
            }
        }
        push(row)?;
    }
    Ok(())
}

fn facts(analysis: &Analysis, push: Push<'_>) -> io::Result<()> {
    for (session, verdicts) in judged(analysis) {
        let best = verdicts.first().filter(|_| session.outcome.is_failure());
        let proofs: BTreeSet<Place> =
            best.iter().flat_map(|best| &best.weighing.proofs).map(Seen::place).collect();
        for (position, entry) in (0_u32..).zip(entries(analysis, session)) {
            let seen = entry.seen;
            let (frame, record_id) = match seen.place().spot {
                Spot::Frame(number) => (Some(number), None),
                Spot::Record(id) => (None, Some(id)),
                Spot::Whole | Spot::Byte(_) => (None, None),
            };
            let fields: serde_json::Map<String, Value> =
                seen.what().fields().into_iter().map(|(name, text)| (name.to_owned(), text.into())).collect();
            push(json!({
                "session_id": session.id,
                "position": position,
                "time": seen.at.0,
                "recorded": seen.fact.at.0,
                "step": entry.step.map(Step::name),
                "fact": seen.what().name(),
                "says": words::says_of(analysis, session, seen),
                "code": words::code(seen.what()),
                "fields": fields,
                "reading": seen.reading().name(),
                "evidence": proofs.contains(&seen.place()),
                "host": seen.fact.subject.keys().map(|keys| keys.host.as_str()),
                "input": input_name(analysis, seen.place()),
                "frame": frame,
                "record_id": record_id,
            }))?;
        }
    }
    Ok(())
}

fn causes(analysis: &Analysis, push: Push<'_>) -> io::Result<()> {
    let seen = |proofs: &[Seen]| -> Vec<String> {
        let one = |proof: &Seen| {
            let place = proof.place();
            format!("{} ({}, {})", words::says(proof.what()), input_name(analysis, place), place.spot)
        };
        proofs.iter().map(one).collect()
    };
    for (session, verdicts) in judged(analysis) {
        for (rank, verdict) in (1_u32..).zip(verdicts) {
            let missing: Vec<_> = verdict.missing(&analysis.witnesses).collect();
            push(json!({
                "session_id": session.id,
                "rank": rank,
                "id": verdict.rule.id,
                "confidence": verdict.confidence(),
                "step": verdict.rule.step.map(Step::name),
                "summary": verdict.rule.cause,
                "remedy": headline::to_do(verdict),
                "evidence_for": seen(&verdict.weighing.proofs),
                "evidence_against": seen(&verdict.weighing.against),
                "missing": missing,
            }))?;
        }
    }
    Ok(())
}
