//! How far a connection came, at which step it ended, and how.

use std::sync::Arc;

use super::{Outcome, Security, Seen, Session};
use crate::codes::ErrorInfo;
use crate::fact::{Connection, Recognised, Side, What};
use crate::step::Step;
use crate::wire::negotiation::Protocols;
use crate::wire::redirection::RedirectionFlags;
use crate::wire::tls::AlertDescription;

mod logged;
mod mark;
mod resets;
mod unnamed;

use mark::{Mark, mark};

/// A server that ends a session so soon after its start did not let the user in.
const LOGON_NS: i64 = 10_000_000_000;
/// A client that leaves so soon after the negotiation only looked.
const LOOK_NS: i64 = 1_500_000_000;
/// Silence that counts as no answer: the usual second retry has gone unanswered by then (RFC 6298).
const SILENCE_MS: u64 = 3_000;

/// The client is sent elsewhere: its end here is no failure. A redirection "for information" keeps it here.
pub(super) fn is_hand_over(what: &What) -> bool {
    let stays = |flags: &RedirectionFlags| flags.contains(RedirectionFlags::NO_REDIRECT);
    matches!(what, What::Redirected { flags, .. } if !flags.as_ref().is_some_and(stays))
}

/// Fills in `reached`, `broke_at`, `outcome` and `security`.
pub(super) fn judge(session: &mut Session) {
    session.security = security(session);
    let steps = ladder(session.security, session.is_through_gateway());
    let (mut passed, mut begun, mut failed) = (None, None, None);
    let left = session.find(|what| what.end() == Some(Side::Client)).map(|seen| seen.at);
    let is_captured = captured(session);
    let insists = insists_on_nla(session).is_some();
    let reset = resets::first(session);
    for seen in session.facts.iter().filter(|seen| !resets::is_for_nobody(reset, seen)) {
        match mark(seen.what()) {
            // Through a gateway the TCP connection is that to the gateway: it begins its transport.
            Mark::Begins(Step::Tcp) | Mark::Passes(Step::Tcp) if !steps.contains(&Step::Tcp) => {
                begun = begun.max(steps.first().copied());
            }
            Mark::Passes(Step::Negotiation) if insists => begun = begun.max(Some(Step::Negotiation)),
            Mark::Begins(step) => {
                begun = begun.max(Some(step));
                passed = passed.max(before(&steps, step));
            }
            Mark::Passes(step) => {
                passed = passed.max(Some(step));
                // A password that was mistyped first and then right.
                failed = failed.filter(|failed| *failed < Step::Credssp || step < *failed);
            }
            Mark::Fails(_) if logged::was_mended(session, seen.what()) => {}
            Mark::Fails(_) if answers_nothing(session, seen.what()) => {}
            Mark::Fails(Step::Dns) if !logged::is_own_name(session, seen.what()) => {}
            // Packets show better than a logon that failed beside them how far the connection came.
            Mark::Fails(_) if is_captured && logged::is_check(seen.what()) => {}
            Mark::Fails(step) if left.is_none_or(|left| seen.at <= left) => {
                failed = failed.max(Some(step));
                passed = passed.max(before(&steps, step));
            }
            // What a server says to a client that has already left fails nothing.
            Mark::Fails(_) | Mark::Nothing => {}
        }
    }
    if session.is_outside_gateway() {
        (session.outcome, session.broke_at) = outcome(session, None, failed, begun);
        session.broke_at = session.broke_at.map(|_| Step::GatewayTransport);
        return;
    }
    session.reached = passed;
    let current = begun.filter(|step| Some(*step) > passed).or_else(|| next(&steps, passed));
    (session.outcome, session.broke_at) = outcome(session, passed, failed, current);
    if session.outcome == Outcome::Active {
        session.reached = Some(Step::Active);
    }
}

fn security(session: &Session) -> Option<Security> {
    session.facts.iter().find_map(|seen| match seen.what() {
        What::ConnectionConfirm { protocol, .. } => Some(protocol.map_or(Security::Rdp, Security::of)),
        _ => None,
    })
}

/// The steps that a connection climbs with this security, through a gateway or to the host itself.
fn ladder(security: Option<Security>, through_gateway: bool) -> Vec<Step> {
    use Step::{
        Active, Authorization, Capabilities, ClientInfo, Credssp, GatewayChannel, GatewayTransport,
        GatewayTunnel, Licensing, Logon, Mcs, Negotiation, SecurityExchange, Tcp, Tls,
    };
    let to_host: &[Step] =
        if through_gateway { &[GatewayTransport, GatewayTunnel, GatewayChannel] } else { &[Tcp] };
    let secured: &[Step] = match security {
        None | Some(Security::Nla) => &[Tls, Credssp, Mcs],
        Some(Security::Rdp) => &[Mcs, SecurityExchange],
        Some(Security::Tls) => &[Tls, Mcs],
        Some(Security::NlaEx) => &[Tls, Credssp, Authorization, Mcs],
        Some(Security::Rdstls | Security::Aad) => &[Tls, Authorization, Mcs],
    };
    let to_desktop = &[ClientInfo, Licensing, Capabilities, Logon, Active];
    [to_host, &[Negotiation], secured, to_desktop].concat()
}

fn before(steps: &[Step], step: Step) -> Option<Step> {
    steps.iter().rfind(|s| **s < step).copied()
}

fn next(steps: &[Step], passed: Option<Step>) -> Option<Step> {
    match passed {
        None => steps.first().copied(),
        Some(passed) => steps.iter().find(|s| **s > passed).copied(),
    }
}

fn outcome(
    session: &Session,
    passed: Option<Step>,
    failed: Option<Step>,
    current: Option<Step>,
) -> (Outcome, Option<Step>) {
    if session.find(is_hand_over).is_some() && ended_by_code(session).is_none() {
        return (Outcome::Closed, None);
    }
    if passed >= Some(Step::Capabilities) && failed.is_none_or(|failed| failed < Step::Capabilities) {
        return after_start(session, passed);
    }
    if let Some(step) = refused(session) {
        return (Outcome::Refused, Some(step));
    }
    let captured = captured(session);
    if let Some((seen, step)) = logged::refused(session, passed) {
        let step = match current {
            // The packets show the step, the code or event says only that it was refused.
            Some(current) if !logged::names_a_step(seen.what(), captured) && (captured || current > step) => {
                current
            }
            _ => step,
        };
        return (Outcome::Refused, Some(step));
    }
    if let (Some(_), Some(current)) = (unnamed::crashed(session), current) {
        return (Outcome::Broke, Some(current));
    }
    if unnamed::refused_at_screen(session).is_some() {
        return (Outcome::Refused, Some(Step::Logon));
    }
    if !captured && session.find(is_request).is_none() {
        return (logged::ending(session).unwrap_or(Outcome::Unknown), None);
    }
    if let Some(step) = failed {
        return (Outcome::Broke, Some(step));
    }
    if session.find(|what| matches!(what, What::GatewayTunnelSized { hidden: true, .. })).is_some() {
        return (Outcome::Unknown, None);
    }
    let shaped = session.find(|what| matches!(what, What::ErrorInfoShaped { .. }));
    let said_why = shaped.or_else(|| ended_by_code(session));
    if said_why.is_some() && ended(session) {
        return (Outcome::Refused, current);
    }
    if ended_behind_a_gap(session) {
        return (Outcome::Unknown, None);
    }
    if let Some(gone) = only_looked(session, passed) {
        return (gone, None);
    }
    let is_known = ended(session) && !one_way(session);
    if is_known { (Outcome::Broke, current) } else { (Outcome::Unknown, None) }
}

fn captured(session: &Session) -> bool {
    let seen_whole = |c: &Arc<Connection>| {
        c.client_isn.is_some() || c.server_isn.is_some() || c.recognised == Recognised::Gateway
    };
    session.connections.iter().any(seen_whole)
}

fn is_request(what: &What) -> bool {
    matches!(what, What::ConnectionRequest { .. })
}

/// One side sent a reason: the step it refused. What comes after the client itself had left is no refusal.
fn refused(session: &Session) -> Option<Step> {
    let left = session.find(|what| what.end() == Some(Side::Client)).map(|seen| seen.at);
    let before = |seen: &&Seen| left.is_none_or(|left| seen.at <= left);
    session.facts.iter().filter(before).find_map(|seen| match seen.what() {
        What::Reset { answers_syn: true, .. } | What::Unreachable { .. } => {
            let connected =
                session.find(|what| matches!(what, What::SynAnswered { .. } | What::Connected {}));
            connected.is_none().then_some(Step::Tcp)
        }
        What::ProxyAnswered { opened: false, retried: false, .. } => Some(Step::Tcp),
        What::GatewayStatus { status: 400.., last: true, .. } if is_over(session) => {
            Some(Step::GatewayTransport)
        }
        What::NegotiationRefused { .. } => Some(Step::Negotiation),
        what if answers_nothing(session, what) => None,
        What::Alert { fatal: true, .. } => Some(Step::Tls),
        What::CredsspRefused { by: Side::Server, .. } => Some(Step::Credssp),
        What::EarlyAuthorization { result: Some(1..), .. } => Some(Step::Authorization),
        What::RdstlsResult { code } | What::EntraResult { code } if code.0 != 0 => Some(Step::Authorization),
        What::LicenseError { .. } => Some(Step::Licensing),
        What::McsRefused { what, .. } if what != "join" => Some(Step::Mcs),
        // What a gateway's log says is weighed with the other logs.
        What::GatewayEvent { .. } => None,
        what => what.gateway_refusal().map(|(_, step)| step),
    })
}

/// A server says that it cannot read a handshake which nobody saw begin: it says so, too, of a client that just left.
fn answers_nothing(session: &Session, what: &What) -> bool {
    let unread = matches!(what, What::Alert { by: Side::Server, code: AlertDescription::DECODE_ERROR, .. });
    unread && one_way(session)
}

/// Somebody ended it: the user is not still asked for a password.
fn is_over(session: &Session) -> bool {
    session.find(|what| what.end().is_some() || matches!(what, What::EncryptedAlert { .. })).is_some()
}

/// The confirm, when the server chose TLS where the client offered NLA too, and the client, which had named a user, left
/// at once. One that names none, or asks as nmap does, only looks.
pub(crate) fn insists_on_nla(session: &Session) -> Option<&Seen> {
    let names_user = |cookie: &Option<String>| cookie.as_deref().is_some_and(|c| !matches!(c, "" | "nmap"));
    session.find(|what| match what {
        What::ConnectionRequest { protocols, cookie, .. } => {
            protocols.is_some_and(Protocols::is_nla) && names_user(cookie)
        }
        _ => false,
    })?;
    let said = |what: &What| {
        matches!(what, What::ClientHello { .. } | What::McsConnectInitial { .. } | What::MidStream {})
    };
    let left = session.find(|what| what.end().is_some())?;
    let by_client = left.what().end() == Some(Side::Client) && session.find(said).is_none();
    let chosen = session.find(|what| {
        matches!(what, What::ConnectionConfirm { protocol: Some(protocol), acceptable: true, .. } if *protocol == Protocols::SSL)
    })?;
    (by_client && left.at.since(chosen.at) < LOOK_NS).then_some(chosen)
}

/// A client that leaves before it said what only a person's connection says.
fn only_looked(session: &Session, passed: Option<Step>) -> Option<Outcome> {
    let left = session.find(|what| what.end().is_some())?;
    if passed == Some(Step::Credssp) && left.what().end() == Some(Side::Client) {
        // Its credentials were taken, and it asked for nothing: a check of a password, or its user gave up.
        let asked = session.find(|what| matches!(what, What::McsConnectInitial { .. }));
        return asked.is_none().then_some(Outcome::Closed);
    }
    // The server ended it before.
    let said_bye = session.find(|what| matches!(what, What::Ultimatum { by: Side::Server, .. }));
    if insists_on_nla(session).is_some() || said_bye.is_some() {
        return None;
    }
    let by_client = left.what().end() == Some(Side::Client);
    let spoke_tls = session.find(|what| matches!(what, What::ClientHello { .. })).is_some();
    let asked = session.find(is_request);
    let began_before = every_witness(session, |what| matches!(what, What::MidStream {}));
    if !by_client || spoke_tls || began_before || passed > Some(Step::Negotiation) {
        return None;
    }
    let since = asked.map_or(session.start, |seen| seen.at);
    let waited = left.at.since(since);
    match (asked, passed) {
        (None, Some(Step::Tcp)) => Some(Outcome::Probe),
        (Some(_), Some(Step::Tcp)) if waited < LOOK_NS => Some(Outcome::Probe),
        (Some(_), Some(Step::Negotiation)) if waited < LOOK_NS => Some(Outcome::Probe),
        (Some(_), Some(Step::Negotiation)) => Some(Outcome::Closed),
        _ => None,
    }
}

/// The connection is over, or was tried for long enough without an answer.
fn ended(session: &Session) -> bool {
    session.facts.iter().any(|seen| match seen.what() {
        What::Closed { .. }
        | What::Reset { .. }
        | What::EncryptedAlert { .. }
        | What::CredsspRefused { .. } => true,
        What::Unanswered { over_ms, .. } => *over_ms >= SILENCE_MS / 2,
        What::ProbesUnanswered { over_ms, .. } => *over_ms >= SILENCE_MS,
        What::Stalled { turn: Side::Server, .. } => true,
        What::SynSent { tries, over_ms } => {
            let unanswered = session.find(|what| matches!(what, What::SynAnswered { .. })).is_none();
            unanswered && (*tries >= 3 || (*tries >= 2 && *over_ms >= SILENCE_MS))
        }
        _ => false,
    })
}

/// One direction is missing at all witnesses: what the other side did is not known.
fn one_way(session: &Session) -> bool {
    every_witness(session, |what| matches!(what, What::OneWay { .. }))
}

/// It was closed, and every capture lacks bytes that did arrive (a snap length, packets that were not written): how far it
/// had come is not known. Silence and resets of a device on the path break a connection at any step.
fn ended_behind_a_gap(session: &Session) -> bool {
    let end = session.find(|what| what.end().is_some());
    let closed = end.is_some_and(|end| !end.what().is_foreign_reset()) && !went_silent(session, end);
    closed && every_witness(session, |what| matches!(what, What::NotCaptured { .. }))
}

/// Each capture of the connection says so.
fn every_witness(session: &Session, says: fn(&What) -> bool) -> bool {
    let told_by = |index: u32| {
        session.facts.iter().any(|seen| {
            says(seen.what()) && seen.fact.subject.connection().is_some_and(|c| c.witness_index == index)
        })
    };
    !session.connections.is_empty() && session.connections.iter().all(|c| told_by(c.witness_index))
}

/// The desktop was reached: was it lost?
fn after_start(session: &Session, passed: Option<Step>) -> (Outcome, Option<Step>) {
    if let Some(said) = ended_by_code(session) {
        return (Outcome::Refused, Some(refused_after_start(session, said)));
    }
    if logged::ended_by_reason(session).is_some() {
        let logged_on = passed >= Some(Step::Logon) || captured(session);
        return (Outcome::Refused, Some(if logged_on { Step::Active } else { Step::Logon }));
    }
    if logged::lost(session).is_some() {
        return (Outcome::Broke, Some(Step::Active));
    }
    if let Some((outcome, step)) = unnamed::behind_the_start(session) {
        return (outcome, Some(step));
    }
    let end = session.find(|what| what.end().is_some());
    if went_silent(session, end) && !one_way(session) {
        return (Outcome::Broke, Some(Step::Active));
    }
    let said_why = session.find(|what| {
        matches!(
            what,
            What::Ultimatum { or: None, .. } | What::ErrorInfo { .. } | What::ErrorInfoShaped { or: None }
        )
    });
    let perhaps_said = session.find(|what| what.or().is_some());
    let started = session.find(|what| matches!(what, What::Finalized {} | What::Running { .. }));
    let (Some(end), Some(started), None) = (end, started, said_why) else { return (Outcome::Active, None) };
    if end.what().is_foreign_reset() {
        return (Outcome::Broke, Some(Step::Active));
    }
    let no_nla = !matches!(session.security, Some(Security::Nla | Security::NlaEx));
    let at_once = no_nla && end.at.since(started.at) < LOGON_NS;
    match end.what() {
        // An end that was announced, or a loss: both fit.
        What::Closed { by: Side::Server } if at_once && perhaps_said.is_some() => (Outcome::Unknown, None),
        What::Reset { by: Side::Server, .. } if perhaps_said.is_some() => (Outcome::Unknown, None),
        What::Closed { by: Side::Server } | What::Reset { by: Side::Server, .. } if at_once => {
            (Outcome::Broke, Some(Step::Logon))
        }
        What::Reset { by: Side::Server, .. } => (Outcome::Broke, Some(Step::Active)),
        _ => (Outcome::Active, None),
    }
}

/// The server's reason for the end, where it is one that nobody at the client wished for. `DISCONNECT_BYUSER` right at
/// the start is how Windows refuses a Restricted Admin logon.
fn ended_by_code(session: &Session) -> Option<&Seen> {
    let left = session.find(|what| what.end() == Some(Side::Client)).map(|seen| seen.at);
    let in_time = |seen: &&Seen| left.is_none_or(|left| seen.at <= left);
    session.facts.iter().filter(in_time).find(|seen| match seen.what() {
        What::ErrorInfo { code: ErrorInfo(0xb) } => at_the_start(session, seen),
        What::ErrorInfo { code } => !logged::is_users_own_end(*code),
        _ => false,
    })
}

/// Before, or shortly after, the connection sequence was complete, and nobody is known to be logged on.
fn at_the_start(session: &Session, seen: &Seen) -> bool {
    let started = session.find(|what| matches!(what, What::Finalized {} | What::Running { .. }));
    let logged_on = session.find(|what| matches!(what, What::SessionInfo { kind: 0..=2, .. }));
    logged_on.is_none() && started.is_none_or(|started| seen.at.since(started.at) < LOGON_NS)
}

/// A server that denies a user right behind the connection sequence refuses the logon; every other reason ends a session.
fn refused_after_start(session: &Session, said: &Seen) -> Step {
    let denies = matches!(said.what(), What::ErrorInfo { code: ErrorInfo(0x7 | 0x9 | 0xa | 0xb | 0x17) });
    if denies && at_the_start(session, said) { Step::Logon } else { Step::Active }
}

/// One side went on sending, data or keep-alives, and the other was never heard again before the end.
fn went_silent(session: &Session, end: Option<&Seen>) -> bool {
    session.facts.iter().any(|seen| {
        let by = match seen.what() {
            What::Unanswered { by, peer_silent: true, .. } => *by,
            What::ProbesUnanswered { by, tries, over_ms } if *tries >= 2 && *over_ms >= SILENCE_MS => *by,
            _ => return false,
        };
        let ended_by_other = end.is_some_and(|end| end.what().end() == Some(by.other()) && end.at < seen.at);
        !ended_by_other
    })
}
