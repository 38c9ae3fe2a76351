//! What unfolds of a session: its facts with their raw fields, life lines, causes and certificate, one line of JSON each.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Serialize;

use super::super::broke::broke;
use super::super::json::tls::{Certificate, Tls, tls};
use super::super::{entries, headline, input_name, query, rivals, slice, text, words};
use super::rows::{Row, Rows, ends, rules, step_number};
use super::strings::Strings;
use super::way::{Way, way};
use super::{Limits, PageError, block};
use crate::analysis::Analysis;
use crate::diagnosis::{self, Verdict};
use crate::fact::{Fact, Reading};
use crate::note::Spot;
use crate::session::{Role, Seen, Session};

mod about;

/// Integers beyond this are no longer exact in a script.
const EXACT_MAX: u64 = 1 << 53;

/// The lines of all sessions that unfold.
pub(super) struct Details {
    /// The first line has the texts, the second the certificates; a session each behind them.
    pub(super) lines: String,
    /// For each row the lines of its sessions, the deciding one first.
    pub(super) index: Vec<Vec<u32>>,
    pub(super) left_out: LeftOut,
}

/// What does not unfold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct LeftOut {
    /// Attempts without any details.
    pub(super) attempts: usize,
    /// Sessions of attempts that have some, and how many attempts these are.
    pub(super) sessions: usize,
    pub(super) of_attempts: usize,
    /// Facts of sessions that unfold.
    pub(super) facts: usize,
}

#[derive(Serialize)]
struct Line<'a> {
    id: &'a str,
    aliases: &'a [String],
    client: String,
    server: String,
    user: Option<String>,
    outcome: &'static str,
    /// What became of it and at which step, why, and what to do; where it failed.
    happened: Option<String>,
    why: Option<String>,
    to_do: Option<String>,
    step: Option<usize>,
    reached: Option<usize>,
    start: i64,
    end: i64,
    causes: Vec<CauseLine>,
    /// Causes behind the first that are named beside it.
    rivals: usize,
    /// Witnesses that nobody handed over, where no cause is told.
    absent: Vec<&'static str>,
    differs: &'a [String],
    said: Option<String>,
    about: Vec<[u32; 2]>,
    certificate: Option<u32>,
    filter: String,
    queries: Vec<String>,
    slice: Option<String>,
    ends: Vec<LifeLine>,
    facts: Columns,
    /// The fact at which it broke.
    broke: Option<usize>,
    left_out: usize,
}

#[derive(Serialize)]
struct CauseLine {
    rule: usize,
    percent: u8,
    #[serde(rename = "for")]
    proofs: Vec<usize>,
    against: Vec<usize>,
    missing: Vec<Cow<'static, str>>,
}

/// Who takes part: a life line of the diagram.
#[derive(Serialize)]
struct LifeLine {
    role: &'static str,
    name: String,
}

/// Facts, one array per column. Behind those of the session (`own`) stand proofs that it does not have itself.
#[derive(Serialize, Default)]
struct Columns {
    own: usize,
    /// Microseconds from the start of the session, by the reference clock.
    at: Vec<i64>,
    /// Microseconds by which the witness's own clock shows more.
    off: Vec<i64>,
    step: Vec<Option<usize>>,
    says: Vec<u32>,
    name: Vec<u32>,
    input: Vec<u32>,
    /// Frame or record.
    number: Vec<Option<Number>>,
    reading: Vec<u8>,
    witness: Vec<Option<u32>>,
    /// 0 stands between, 1 was sent, 2 was sent and did not arrive, 3 is of a log.
    way: Vec<u8>,
    from: Vec<Option<usize>>,
    to: Vec<Option<usize>>,
    /// Names and values in turns.
    fields: Vec<Vec<u32>>,
}

/// A frame or record number: as text where a script could not hold it.
#[derive(Serialize)]
#[serde(untagged)]
enum Number {
    Small(u64),
    Large(String),
}

/// What is shared by all lines.
struct Writer<'a> {
    analysis: &'a Analysis,
    limits: &'a Limits,
    strings: Strings,
    certificates: Vec<String>,
    certificate_numbers: BTreeMap<String, u32>,
    certificate_bytes: usize,
    rules: BTreeMap<&'static str, usize>,
    hosts: BTreeMap<&'a str, u32>,
    left_out: LeftOut,
}

/// The lines of the rows' sessions, in their order, as many as fit.
pub(super) fn details(analysis: &Analysis, rows: &Rows<'_>, limits: &Limits) -> Result<Details, PageError> {
    let hosts = (0_u32..).zip(&analysis.witnesses).filter_map(|(i, w)| Some((w.host.as_deref()?, i)));
    let mut writer = Writer {
        analysis,
        limits,
        strings: Strings::default(),
        certificates: Vec::new(),
        certificate_numbers: BTreeMap::new(),
        certificate_bytes: 0,
        rules: rules(analysis).into_iter().enumerate().map(|(index, rule)| (rule.id, index)).collect(),
        hosts: hosts.collect(),
        left_out: LeftOut::default(),
    };
    let mut lines = String::new();
    let mut index = Vec::new();
    let mut number = 0;
    for row in &rows.rows {
        let mut own = Vec::new();
        if lines.len() + writer.strings.bytes() + writer.certificate_bytes < limits.detail_bytes {
            for index in writer.members(row) {
                let Some(line) = writer.line(row, index)? else { continue };
                lines.push('\n');
                lines.push_str(&line);
                own.push(number);
                number += 1;
            }
        } else {
            writer.left_out.attempts += 1;
        }
        index.push(own);
    }
    let texts = block::written(&writer.strings.texts())?;
    let lines = format!("{texts}\n[{}]{lines}\n", writer.certificates.join(","));
    Ok(Details { lines, index, left_out: writer.left_out })
}

impl<'a> Writer<'a> {
    /// The sessions of an attempt that unfold, the deciding one first.
    fn members(&mut self, row: &Row<'_>) -> Vec<usize> {
        let attempt = row.told.attempt;
        let others = attempt.sessions.iter().filter(|index| **index != attempt.decisive);
        let all = std::iter::once(&attempt.decisive).chain(others);
        let beyond = attempt.sessions.len().saturating_sub(self.limits.sessions);
        self.left_out.sessions += beyond;
        self.left_out.of_attempts += usize::from(beyond > 0);
        all.take(self.limits.sessions).copied().collect()
    }

    fn line(&mut self, row: &Row<'_>, index: usize) -> Result<Option<String>, PageError> {
        let analysis = self.analysis;
        let (Some(session), Some(verdicts)) =
            (analysis.story.sessions.get(index), analysis.verdicts.get(index))
        else {
            return Ok(None);
        };
        let attempt = row.told.attempt;
        let failed = session.outcome.is_failure();
        let shown = if failed { verdicts.as_slice() } else { &[] };
        let told_tls = tls(session);
        let lines = life_lines(session);
        let (kept, left_out) = self.kept(session, shown);
        self.left_out.facts += left_out;
        let mut facts = Columns::default();
        for seen in &kept {
            self.fact(&mut facts, session, seen, &lines);
        }
        facts.own = kept.len();
        let causes =
            shown.iter().map(|verdict| self.cause(&mut facts, session, verdict, &kept, &lines)).collect();
        let (client, server) = ends(session);
        let best = verdicts.first().filter(|_| failed);
        let line = Line {
            id: &session.id,
            aliases: &session.aliases,
            client,
            server,
            user: text::user(session),
            outcome: session.outcome.name(),
            happened: failed.then(|| headline::happened_at(session.outcome, session.broke_at, best)),
            why: best.map(headline::why),
            to_do: best.map(headline::to_do),
            step: session.broke_at.filter(|_| failed).and_then(step_number),
            reached: session.reached.and_then(step_number),
            start: session.start.0 / 1_000,
            end: session.end.0 / 1_000,
            causes,
            rivals: rivals(shown).len(),
            absent: if failed && best.is_none() { diagnosis::witnesses_absent(session) } else { Vec::new() },
            differs: if index == attempt.decisive { &attempt.differs } else { &[] },
            said: analysis.said.filter(|_| failed).and_then(|said| said.contradicted_by(session)),
            about: about::about(analysis, session, told_tls.as_ref(), &mut self.strings),
            certificate: self.certificate(told_tls.as_ref())?,
            filter: text::filter(session),
            queries: best.map_or_else(Vec::new, |best| query::of_proofs(analysis, &best.weighing.proofs)),
            slice: slice::command(analysis, session).filter(|_| failed),
            ends: lines
                .iter()
                .map(|(role, name)| LifeLine { role: role.name(), name: name.clone() })
                .collect(),
            broke: broke(session, shown, &kept).filter(|_| failed),
            left_out: session.facts.len().saturating_sub(facts.own),
            facts,
        };
        Ok(Some(block::written(&line)?))
    }

    /// The facts that are shown: of too many, the first and the last, and the proofs. And how many are not.
    fn kept(&self, session: &'a Session, verdicts: &[Verdict]) -> (Vec<&'a Seen>, usize) {
        let listed: Vec<&Seen> = entries(self.analysis, session).map(|entry| entry.seen).collect();
        let all = listed.len();
        let most = self.limits.facts;
        if all <= most {
            return (listed, 0);
        }
        let is_proof = |seen: &Seen| verdicts.iter().any(|verdict| verdict.weighing.proofs.contains(seen));
        let (first, last) = (most / 2, all - (most - most / 2));
        let kept: Vec<&Seen> = listed
            .into_iter()
            .enumerate()
            .filter(|(index, seen)| *index < first || *index >= last || is_proof(seen))
            .map(|(_, seen)| seen)
            .collect();
        let left_out = all - kept.len();
        (kept, left_out)
    }

    fn cause(
        &mut self,
        facts: &mut Columns,
        session: &Session,
        verdict: &Verdict,
        kept: &[&Seen],
        lines: &[(Role, String)],
    ) -> CauseLine {
        let mut numbers = |seen: &[Seen]| -> Vec<usize> {
            let number = |one: &Seen| {
                kept.iter().position(|known| *known == one).unwrap_or_else(|| {
                    self.fact(facts, session, one, lines);
                    facts.at.len() - 1
                })
            };
            seen.iter().map(number).collect()
        };
        CauseLine {
            proofs: numbers(&verdict.weighing.proofs),
            against: numbers(&verdict.weighing.against),
            rule: self.rules.get(verdict.rule.id).copied().unwrap_or(0),
            percent: verdict.weighing.percent,
            missing: verdict.missing(&self.analysis.witnesses).collect(),
        }
    }

    fn fact(&mut self, facts: &mut Columns, session: &Session, seen: &Seen, lines: &[(Role, String)]) {
        let known = |role: Role| lines.iter().position(|(known, _)| *known == role);
        let line = |role: Role| known(role).or_else(|| known(Role::Gateway));
        let (shape, from, to) = match way(session, seen) {
            Way::Sent(from, to, arrives) => (if arrives { 1 } else { 2 }, line(from), line(to)),
            Way::Logged(role) => (3, line(role), None),
            Way::Between => (0, None, None),
        };
        let number = match seen.place().spot {
            Spot::Frame(number) | Spot::Record(number) | Spot::Byte(number) => Some(number),
            Spot::Whole => None,
        };
        facts.at.push(seen.at.since(session.start) / 1_000);
        facts.off.push(seen.fact.at.since(seen.at) / 1_000);
        facts.step.push(seen.what().step().and_then(step_number));
        facts.says.push(self.strings.number(&words::says_of(self.analysis, session, seen)));
        facts.name.push(self.strings.number(seen.what().name()));
        facts.input.push(seen.place().input_index);
        facts.number.push(number.map(|number| {
            if number < EXACT_MAX { Number::Small(number) } else { Number::Large(number.to_string()) }
        }));
        facts.reading.push(match seen.reading() {
            Reading::Clear => 0,
            Reading::Opened => 1,
            Reading::Inferred => 2,
        });
        facts.witness.push(self.witness(&seen.fact));
        facts.way.push(shape);
        facts.from.push(from);
        facts.to.push(to);
        let fields = fields(&seen.fact).into_iter();
        facts.fields.push(
            fields
                .flat_map(|(name, value)| [self.strings.number(name), self.strings.number(&value)])
                .collect(),
        );
    }

    fn witness(&self, fact: &Fact) -> Option<u32> {
        let subject = &fact.subject;
        let captured = subject.connection().or_else(|| subject.udp()).map(|seen_as| seen_as.witness_index);
        captured.or_else(|| self.hosts.get(subject.keys()?.host.as_str()).copied())
    }

    /// The number of the server's certificate; each stands once.
    fn certificate(&mut self, tls: Option<&Tls<'_>>) -> Result<Option<u32>, PageError> {
        let Some(certificate) = tls.and_then(|tls| tls.certificate.as_ref()) else { return Ok(None) };
        let text = written(certificate)?;
        if let Some(number) = self.certificate_numbers.get(&text) {
            return Ok(Some(*number));
        }
        let number = u32::try_from(self.certificates.len()).unwrap_or(u32::MAX);
        self.certificate_bytes += text.len();
        self.certificates.push(text.clone());
        self.certificate_numbers.insert(text, number);
        Ok(Some(number))
    }
}

fn written(certificate: &Certificate<'_>) -> Result<String, PageError> {
    Ok(block::written(certificate)?)
}

/// Who takes part, from the client to the servers behind the server.
fn life_lines(session: &Session) -> Vec<(Role, String)> {
    let (client, server) = ends(session);
    let through = session.is_through_gateway();
    let host = |role: Role| session.host(role).map(str::to_owned);
    let gateway = if through { session.server().map(|end| end.to_string()) } else { host(Role::Gateway) };
    let target = session.target().map(|(name, port)| format!("{name}:{port}"));
    // Behind a gateway that was asked for no host there is none.
    let server = if through { target.or_else(|| host(Role::Server)) } else { Some(server) };
    let all = [
        (Role::Client, Some(client)),
        (Role::Gateway, gateway),
        (Role::Server, server),
        (Role::Broker, host(Role::Broker)),
        (Role::DomainController, host(Role::DomainController)),
    ];
    all.into_iter().filter_map(|(role, name)| Some((role, name?))).collect()
}

/// The raw fields of a fact, and behind them the keys of its record.
fn fields(fact: &Fact) -> Vec<(&'static str, String)> {
    let mut fields = fact.what.fields();
    if let Some(keys) = fact.subject.keys() {
        let text = |name: &'static str, value: Option<String>| value.map(|value| (name, value));
        let of_record = [
            text("computer", Some(keys.host.clone())),
            text("ActivityID", keys.activity.clone()),
            text("session id", keys.session_id.map(|id| id.to_string())),
            text("logon id", keys.logon_id.map(|id| format!("{id:#x}"))),
            text("user of the record", keys.user.clone()),
            text("domain of the record", keys.domain.clone()),
            text("address of the record", keys.address.map(|address| address.to_string())),
            text("port of the record", keys.port.map(|port| port.to_string())),
            text("workstation of the record", keys.workstation.clone()),
        ];
        fields.extend(of_record.into_iter().flatten());
    }
    fields
}

/// Where a fact is, for people.
fn place(analysis: &Analysis, seen_at: crate::note::Place) -> String {
    format!("{} {}", input_name(analysis, seen_at), seen_at.spot)
}
