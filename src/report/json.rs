//! The JSON contract: one document, keys in a fixed order, the same bytes for the same input.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

use serde::Serialize;

use super::{Told, entries, headline, input_name, told, words};
use crate::analysis::Analysis;
use crate::diagnosis::{CATALOGUE_VERSION, Verdict};
use crate::fact::{Connection, Subject, What};
use crate::note::{Place, Spot};
use crate::read::Counts;
use crate::session::{Names, Role, Seen, Session, Witness};
use crate::step::Step;
use crate::wire::encryption::{EncryptionLevel, EncryptionMethod};

pub(super) mod tls;

use tls::Tls;

mod legs;

mod clocks;

use clocks::Clock;
pub(super) use clocks::clocks;

/// Version of the shape of this document.
pub(super) const SCHEMA_VERSION: u32 = 1;

#[derive(Serialize)]
struct Document<'a> {
    schema_version: u32,
    tool: Tool<'a>,
    inputs: Vec<Input<'a>>,
    clocks: Vec<Clock<'a>>,
    attempts: Vec<Attempt<'a>>,
    sessions: Vec<SessionRow<'a>>,
    notes: Vec<NoteRow<'a>>,
}

#[derive(Serialize)]
pub(super) struct Tool<'a> {
    name: &'static str,
    version: &'static str,
    rules: &'static str,
    arguments: &'a [String],
}

#[derive(Serialize)]
pub(super) struct Input<'a> {
    path: &'a str,
    kind: &'static str,
    witness: Option<&'a str>,
    bytes: u64,
    records: Option<u64>,
    records_unreadable: Option<u64>,
    records_missing: Option<u64>,
    records_recovered: Option<u64>,
    records_repeated: Option<u64>,
    packets: Option<u64>,
    packets_cut: Option<u64>,
    packets_dropped: Option<u64>,
    covers: Option<[String; 2]>,
    /// Of the file as it is, compressed or not; absent unless it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<&'a str>,
    note_count: usize,
}

#[derive(Serialize)]
pub(super) struct Attempt<'a> {
    id: String,
    sessions: Vec<&'a str>,
    outcome: &'static str,
    broke_at: Option<&'static str>,
    cause: Option<&'static str>,
    confidence: Option<f64>,
    start: String,
    end: String,
    client: End,
    server: End,
    user: Option<User<'a>>,
    differs: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    said: Option<SaidRow>,
}

/// What the user read in the error box, and why it cannot be this attempt.
#[derive(Serialize)]
struct SaidRow {
    code: u32,
    extended: Option<u32>,
    contradiction: Option<String>,
}

#[derive(Serialize)]
pub(super) struct End {
    pub(super) ip: Option<String>,
    pub(super) port: Option<u16>,
    pub(super) name: Option<String>,
    /// How the name is known, where it is only what was asked for: `typed`, or `service` of a security package.
    #[serde(skip_serializing_if = "Option::is_none")]
    name_by: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    build: Option<Option<u32>>,
    /// Other names and addresses of the same host.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    aliases: Vec<String>,
}

#[derive(Serialize)]
struct User<'a> {
    name: Option<&'a str>,
    domain: Option<&'a str>,
}

#[derive(Serialize)]
pub(super) struct SessionRow<'a> {
    id: &'a str,
    aliases: &'a [String],
    client: End,
    server: End,
    user: Option<User<'a>>,
    legs: Vec<Leg<'a>>,
    security: Option<&'static str>,
    negotiation: Option<Negotiation<'a>>,
    error_info: Option<u32>,
    disconnect: Option<Disconnect<'a>>,
    start: String,
    end: String,
    reached: Option<&'static str>,
    broke_at: Option<&'static str>,
    outcome: &'static str,
    causes: Vec<Cause<'a>>,
    witnesses: Vec<&'a str>,
    timeline: Vec<Line<'a>>,
    encryption: Option<Encryption>,
}

/// Encryption of Standard RDP Security, by number and in words.
#[derive(Serialize)]
struct Encryption {
    method: u32,
    method_name: String,
    level: u32,
    level_name: String,
}

#[derive(Serialize)]
struct Leg<'a> {
    role: &'static str,
    client: End,
    server: End,
    seen_by: Vec<&'a str>,
    /// Absent where nobody saw both ports.
    community_id: Option<String>,
    packets: Vec<Passed<'a>>,
    tls: Option<Tls<'a>>,
    closed: Option<Closed<'a>>,
}

/// What of a connection came past one capture point.
#[derive(Serialize)]
struct Passed<'a> {
    witness: &'a str,
    first: Reference<'a>,
    last: Reference<'a>,
    client_packets: u64,
    server_packets: u64,
    client_bytes: u64,
    server_bytes: u64,
}

#[derive(Serialize)]
struct Closed<'a> {
    by: &'static str,
    how: &'static str,
    #[serde(rename = "ref")]
    reference: Reference<'a>,
}

#[derive(Serialize)]
struct Negotiation<'a> {
    requested: Option<u32>,
    selected: Option<u32>,
    flags: Option<u8>,
    failure_code: Option<u32>,
    cookie: Option<&'a str>,
    routing_token: Option<&'a str>,
    correlation_id: Option<&'a str>,
}

#[derive(Serialize)]
struct Disconnect<'a> {
    by: &'static str,
    reason: Option<u32>,
    #[serde(rename = "ref")]
    reference: Reference<'a>,
}

#[derive(Serialize)]
struct Cause<'a> {
    id: &'static str,
    confidence: f64,
    summary: &'static str,
    remedy: String,
    #[serde(rename = "for")]
    proofs: Vec<Reference<'a>>,
    against: Vec<Reference<'a>>,
    missing: Vec<Cow<'static, str>>,
}

#[derive(Serialize)]
struct Line<'a> {
    time: String,
    step: Option<&'static str>,
    says: String,
    code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    or: Option<Or>,
    #[serde(rename = "ref")]
    reference: Reference<'a>,
    witness: &'a str,
}

/// What else an encrypted message may be.
#[derive(Serialize)]
struct Or {
    message: &'static str,
    step: &'static str,
    why: &'static str,
}

/// With the other names and addresses under which the same host is known; `addresses` are those it has here.
fn known_as(analysis: &Analysis, end: End, addresses: impl Iterator<Item = IpAddr>) -> End {
    let mut aliases: Vec<String> = Vec::new();
    for address in addresses {
        let names = analysis.story.names.names(address).into_iter().flat_map(Names::all);
        for alias in std::iter::once(address.to_string()).chain(names.map(str::to_owned)) {
            let shown =
                |shown: &Option<String>| shown.as_ref().is_some_and(|s| s.eq_ignore_ascii_case(&alias));
            if !shown(&end.ip) && !shown(&end.name) && !aliases.contains(&alias) {
                aliases.push(alias);
            }
        }
    }
    End { aliases, ..end }
}

/// Where to look it up: an input, and a frame or an event record of it.
#[derive(Serialize)]
struct Reference<'a> {
    input: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    record_id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frame: Option<u64>,
}

#[derive(Serialize)]
pub(super) struct NoteRow<'a> {
    input: &'a str,
    place: Option<String>,
    text: Cow<'a, str>,
}

/// The document, ended by a line feed. `arguments` are those of the run that change the answer.
///
/// # Errors
/// When serializing fails, which no value of these types does.
pub fn document(analysis: &Analysis, arguments: &[String]) -> serde_json::Result<String> {
    let document = Document {
        schema_version: SCHEMA_VERSION,
        tool: tool(arguments),
        inputs: inputs(analysis),
        clocks: clocks(analysis),
        attempts: told(analysis).iter().map(|told| attempt(analysis, told)).collect(),
        sessions: analysis
            .story
            .sessions
            .iter()
            .zip(&analysis.verdicts)
            .map(|(s, v)| session(analysis, s, v))
            .collect(),
        notes: notes(analysis),
    };
    let mut text = serde_json::to_string_pretty(&document)?;
    text.push('\n');
    Ok(text)
}

pub(super) fn tool(arguments: &[String]) -> Tool<'_> {
    Tool { name: "rdpwhy", version: env!("CARGO_PKG_VERSION"), rules: CATALOGUE_VERSION, arguments }
}

/// The name of the witness that tells this.
fn told_by<'a>(analysis: &'a Analysis, seen: &Seen) -> &'a str {
    match &seen.fact.subject {
        Subject::Connection(seen) | Subject::Udp(seen) => witness_name(analysis, seen.witness_index),
        Subject::Record(keys) => {
            let wrote = |witness: &&Witness| witness.host.as_deref() == Some(keys.host.as_str());
            analysis.witnesses.iter().find(wrote).map_or("", |witness| witness.name.as_str())
        }
    }
}

fn witness_name(analysis: &Analysis, index: u32) -> &str {
    usize::try_from(index)
        .ok()
        .and_then(|i| analysis.witnesses.get(i))
        .map_or("", |witness| witness.name.as_str())
}

pub(super) fn inputs(analysis: &Analysis) -> Vec<Input<'_>> {
    let rows = (0_u32..).zip(&analysis.inventory.inputs).zip(&analysis.counts);
    rows.map(|((index, input), counts)| {
        let witness = analysis.witnesses.iter().find(|witness| witness.inputs.contains(&index));
        let (capture, log) = match counts {
            Some(Counts::Capture(held)) => (Some(held), None),
            Some(Counts::Log(held)) => (None, Some(held)),
            None => (None, None),
        };
        let covers = capture.map_or_else(|| log.and_then(|held| held.covers), |held| held.covers);
        Input {
            path: &input.shown,
            kind: input.kind.name(),
            witness: witness.map(|witness| witness.name.as_str()),
            bytes: input.bytes,
            records: log.map(|c| c.records),
            records_unreadable: log.map(|c| c.records_unreadable),
            records_missing: log.map(|c| c.records_missing),
            records_recovered: log.map(|c| c.records_recovered),
            records_repeated: log.map(|c| c.records_repeated),
            packets: capture.map(|c| c.packets),
            packets_cut: capture.map(|c| c.packets_cut),
            packets_dropped: capture.map(|c| c.packets_dropped),
            covers: covers.map(|(from, to)| [from.to_string(), to.to_string()]),
            sha256: input.sha256.as_deref(),
            note_count: analysis.notes.iter().filter(|note| note.place.input_index == index).count(),
        }
    })
    .collect()
}

fn end(address: Option<SocketAddr>, name: Option<String>) -> End {
    End {
        ip: address.map(|a| a.ip().to_string()),
        port: address.map(|a| a.port()),
        name,
        build: None,
        name_by: None,
        aliases: Vec::new(),
    }
}

pub(super) fn client(session: &Session) -> End {
    let told = session.facts.iter().find_map(|seen| match seen.what() {
        What::McsConnectInitial { client_name, build, .. } => Some((client_name.clone(), *build)),
        _ => None,
    });
    let (name, build) = told.unwrap_or_default();
    let workstation = || session.hosts.iter().find_map(|part| part.workstation.clone());
    let own_log = || session.host(Role::Client).map(ToOwned::to_owned);
    let ip = session.client_ip().map(|ip| ip.to_string());
    if let Some((address, port)) = session.forwarded_for() {
        let name = name.or_else(own_log).or_else(workstation);
        return End {
            ip: Some(address.to_string()),
            port,
            name,
            build: Some(build),
            name_by: None,
            aliases: Vec::new(),
        };
    }
    End { ip, build: Some(build), ..end(session.client(), name.or_else(own_log).or_else(workstation)) }
}

pub(super) fn server(session: &Session) -> End {
    let own_log = session.host(Role::Server).map(ToOwned::to_owned);
    let known = own_log.or_else(|| session.server_name());
    let typed = || Some((session.typed_name()?.to_owned(), "typed"));
    let asked = || typed().or_else(|| Some((session.service_name()?.to_owned(), "service")));
    match (known, session.server()) {
        (None, None) => {
            let (name, name_by) = asked().unzip();
            End { name_by, ..end(None, name) }
        }
        (known, server) => end(server, known),
    }
}

fn user(session: &Session) -> Option<User<'_>> {
    session.user_name().map(|name| User { name: Some(name), domain: session.user_domain() })
}

pub(super) fn attempt<'a>(analysis: &'a Analysis, told: &Told<'a>) -> Attempt<'a> {
    let members = || told.attempt.sessions.iter().filter_map(|index| analysis.story.sessions.get(*index));
    let first_id = members().next().map_or("", |session| session.id.as_str());
    let failed = told.attempt.outcome.is_failure();
    Attempt {
        id: format!("attempt:{first_id}"),
        sessions: members().map(|session| session.id.as_str()).collect(),
        outcome: told.attempt.outcome.name(),
        broke_at: told.session.broke_at.filter(|_| failed).map(Step::name),
        cause: told.best().map(|verdict| verdict.rule.id),
        confidence: told.best().map(Verdict::confidence),
        start: members().map(|s| s.start).min().unwrap_or(told.session.start).to_string(),
        end: members().map(|s| s.end).max().unwrap_or(told.session.end).to_string(),
        client: client(told.session),
        server: server(told.session),
        user: members().find_map(user),
        differs: &told.attempt.differs,
        said: analysis.said.map(|said| SaidRow {
            code: said.code,
            extended: said.extended,
            contradiction: said.contradicted_by(told.session).filter(|_| failed),
        }),
    }
}

pub(super) fn session<'a>(
    analysis: &'a Analysis,
    session: &'a Session,
    verdicts: &'a [Verdict],
) -> SessionRow<'a> {
    let witnesses: Vec<&str> =
        session.witnesses().into_iter().map(|index| witness_name(analysis, index)).collect();
    SessionRow {
        id: &session.id,
        aliases: &session.aliases,
        client: known_as(
            analysis,
            client(session),
            session
                .of_client()
                .filter(|_| session.forwarded_for().is_none())
                .map(|c| c.client.ip())
                .chain(session.far_client_ip()),
        ),
        server: known_as(analysis, server(session), session.of_client().map(|c| c.server.ip())),
        user: user(session),
        legs: session
            .connections
            .first()
            .map(|c| legs::tcp(analysis, session, c, &witnesses))
            .into_iter()
            .flatten()
            .chain(legs::udp(analysis, session))
            .collect(),
        security: session.security.map(crate::session::Security::name),
        negotiation: negotiation(session),
        error_info: session.error_info().map(|code| code.0),
        disconnect: disconnect(analysis, session),
        start: session.start.to_string(),
        end: session.end.to_string(),
        reached: session.reached.map(Step::name),
        broke_at: session.broke_at.map(Step::name),
        outcome: session.outcome.name(),
        causes: verdicts.iter().map(|verdict| cause(analysis, verdict)).collect(),
        witnesses,
        timeline: timeline(analysis, session),
        encryption: encryption(session),
    }
}

fn passed<'a>(analysis: &'a Analysis, connection: &Connection) -> Passed<'a> {
    let ([client_packets, server_packets], [client_bytes, server_bytes]) =
        (connection.packets, connection.bytes);
    Passed {
        witness: witness_name(analysis, connection.witness_index),
        first: reference(analysis, connection.first),
        last: reference(analysis, connection.last),
        client_packets,
        server_packets,
        client_bytes,
        server_bytes,
    }
}

fn encryption(session: &Session) -> Option<Encryption> {
    session.facts.iter().find_map(|seen| match seen.what() {
        What::McsConnectResponse { method: Some(method), level: Some(level), .. } if *method > 0 => {
            Some(Encryption {
                method: *method,
                method_name: EncryptionMethod(*method).words(),
                level: *level,
                level_name: EncryptionLevel(*level).words(),
            })
        }
        _ => None,
    })
}

fn negotiation(session: &Session) -> Option<Negotiation<'_>> {
    let mut told = None;
    let empty = || Negotiation {
        requested: None,
        selected: None,
        flags: None,
        failure_code: None,
        cookie: None,
        routing_token: None,
        correlation_id: None,
    };
    for seen in &session.facts {
        match seen.what() {
            What::ConnectionRequest { protocols, cookie, token, correlation, .. } => {
                let row = told.get_or_insert_with(empty);
                row.requested = protocols.map(|p| p.0);
                (row.cookie, row.routing_token) = (cookie.as_deref(), token.as_deref());
                row.correlation_id = correlation.as_deref();
            }
            What::ConnectionConfirm { protocol, flags, .. } => {
                let row = told.get_or_insert_with(empty);
                (row.selected, row.flags) = (Some(protocol.map_or(0, |p| p.0)), Some(*flags));
            }
            What::NegotiationRefused { code } => told.get_or_insert_with(empty).failure_code = Some(code.0),
            _ => {}
        }
    }
    told
}

fn disconnect<'a>(analysis: &'a Analysis, session: &'a Session) -> Option<Disconnect<'a>> {
    let read = session.find(|what| matches!(what, What::Ultimatum { reason: Some(_), .. }));
    let seen = read.or_else(|| session.find(|what| matches!(what, What::Ultimatum { .. })))?;
    let What::Ultimatum { by, reason, .. } = seen.what() else { return None };
    let reason = reason.map(|reason| u32::from(reason.0));
    Some(Disconnect { by: by.name(), reason, reference: reference(analysis, seen.place()) })
}

fn cause<'a>(analysis: &'a Analysis, verdict: &'a Verdict) -> Cause<'a> {
    let references = |seen: &'a [Seen]| seen.iter().map(|s| reference(analysis, s.place())).collect();
    Cause {
        id: verdict.rule.id,
        confidence: verdict.confidence(),
        summary: verdict.rule.cause,
        remedy: headline::to_do(verdict),
        proofs: references(&verdict.weighing.proofs),
        against: references(&verdict.weighing.against),
        missing: verdict.missing(&analysis.witnesses).collect(),
    }
}

fn timeline<'a>(analysis: &'a Analysis, session: &'a Session) -> Vec<Line<'a>> {
    let line = |entry: super::Entry<'a>| Line {
        time: entry.seen.at.to_string(),
        step: entry.step.map(Step::name),
        says: words::says_of(analysis, session, entry.seen),
        code: words::code(entry.seen.what()),
        or: entry.seen.what().or().map(|other| Or {
            message: other.name(),
            step: other.step().name(),
            why: other.why(),
        }),
        reference: reference(analysis, entry.seen.place()),
        witness: told_by(analysis, entry.seen),
    };
    entries(analysis, session).map(line).collect()
}

fn reference(analysis: &Analysis, place: Place) -> Reference<'_> {
    let (record_id, frame) = match place.spot {
        Spot::Frame(number) => (None, Some(number)),
        Spot::Record(id) => (Some(id), None),
        Spot::Whole | Spot::Byte(_) => (None, None),
    };
    Reference { input: input_name(analysis, place), record_id, frame }
}

pub(super) fn notes(analysis: &Analysis) -> Vec<NoteRow<'_>> {
    let row = |note| {
        let note: &crate::note::Note = note;
        let place = Some(note.place.spot.to_string()).filter(|place| !place.is_empty());
        NoteRow { input: input_name(analysis, note.place), place, text: Cow::Borrowed(note.text.as_str()) }
    };
    let mut rows: Vec<NoteRow<'_>> = analysis.notes.iter().map(row).collect();
    for one in &analysis.story.listened {
        let host = analysis.witnesses.iter().find(|witness| witness.host.as_deref() == Some(&one.host));
        let input = host
            .and_then(|host| host.inputs.first())
            .map_or("", |index| input_name(analysis, Place::whole(*index)));
        rows.push(NoteRow { input, place: None, text: Cow::Owned(words::listened(one)) });
    }
    rows
}
