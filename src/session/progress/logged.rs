//! What the logs say of the end: who refused, at which step, and how an active session ended.

use super::super::{Outcome, Role, Seen, Session};
use crate::codes::{DisconnectReason, ErrorInfo};
use crate::fact::{Side, What};
use crate::step::Step;

/// Codes of Set Error Info that say that somebody meant to end the session: log off or disconnect by the user, and the
/// loss of the connection that every ending has (MS-RDPBCGR 2.2.5.1.1; 13 and 14 measured in RdpCoreTS 103).
const MEANT: [u32; 5] = [0x0, 0xb, 0xc, 13, 14];
/// Licensing events that refuse, not only warn.
const LICENSE_REFUSED: [u32; 8] = [1003, 1004, 1011, 1128, 1130, 1131, 1133, 1154];

/// A connection of which more is told so long after an error has outlived it.
const OUTLIVED_NS: i64 = 60_000_000_000;

/// Kernel-Power 42: the host goes to sleep, and wakes with its sessions.
const SLEEP: u32 = 42;

/// More than a gateway carries to the client where only the connection sequence took place: certificates, licences and
/// capabilities stay below 16 KiB, the first picture of a desktop does not.
const DESKTOP_BYTES_MIN: u64 = 64 * 1024;
/// How long a session lasts at least for that.
const DESKTOP_SECONDS_MIN: u64 = 5;

/// One side's log holds a reason: the fact, and the step it refused.
pub(super) fn refused(session: &Session, passed: Option<Step>) -> Option<(&Seen, Step)> {
    let captured = super::captured(session);
    let counts = |seen: &&Seen| {
        let beside = captured && passed < Some(Step::Tls) && is_check(seen.what());
        let foreign = is_kerberos(seen.what()) && !session.is_decided_by_kerberos(seen);
        let other_name =
            matches!(seen.what(), What::NameNotResolved { .. }) && !is_own_name(session, seen.what());
        !beside && !foreign && !other_name && !was_mended(session, seen.what())
    };
    session
        .facts
        .iter()
        .filter(counts)
        .filter_map(|seen| Some((seen, refusal(seen.what(), passed)?)))
        .min_by_key(|(seen, step)| {
            // What names an account or a code says more than that something failed.
            (rank(seen.what()), *step)
        })
}

const fn is_kerberos(what: &What) -> bool {
    matches!(what, What::KerberosFailed { .. })
}

fn refusal(what: &What, passed: Option<Step>) -> Option<Step> {
    let before = |step: Step| passed < Some(step);
    let step = match what {
        What::NameNotResolved { .. } => Step::Dns,
        What::CredentialsRefused { .. } => Step::Credssp,
        What::LogonFailed { logon_type: 3, .. } if before(Step::Credssp) => Step::Credssp,
        What::CredentialsValidated { status } if status.is_failure() => Step::Credssp,
        What::LogonFailed { logon_type: 7 | 10, .. } | What::ArbitrationDeclined {} => Step::Logon,
        What::AccessDenied {} => Step::Authorization,
        What::TlsAlertLogged { .. }
        | What::NoSharedSuite { .. }
        | What::KeyInaccessible { server: true, .. }
            if before(Step::Tls) =>
        {
            Step::Tls
        }
        What::CredsspVersionRefused { .. } | What::NtlmBlocked { .. } | What::PolicyRefused { .. }
            if before(Step::Credssp) =>
        {
            Step::Credssp
        }
        What::KerberosFailed { .. } if before(Step::Credssp) => Step::Credssp,
        What::AuthenticationFailed { .. } | What::SecurityError { .. } if before(Step::Credssp) => {
            Step::Credssp
        }
        What::LicenseProblem { event, .. }
            if LICENSE_REFUSED.contains(event) && before(Step::Capabilities) =>
        {
            Step::Licensing
        }
        What::GatewayEvent { .. } => match what.gateway_refusal() {
            Some((_, step)) => step,
            None if what.is_gateway_end() => Step::Active,
            None => return None,
        },
        What::BrokerEvent { failed: true, .. } if before(Step::Logon) => Step::Redirection,
        What::ErrorInfoSet { code } if is_code(*code) => of_code(*code),
        What::Disconnected { reason: code } | What::SessionEnded { reason: Some(code), .. }
            if is_code(*code) && before(Step::Logon) =>
        {
            of_code(*code)
        }
        What::ProblemLogged { log, event: 1070 | 1071, .. } if log == "rcm" && before(Step::Logon) => {
            Step::ClientInfo
        }
        What::ProblemLogged { log, detail: Some(module), .. }
            if log == "application-error" && is_of_the_service(module) && before(Step::Logon) =>
        {
            Step::ClientInfo
        }
        What::ClientDisconnected { reason } if before(Step::Capabilities) => return of_client(*reason),
        _ => return None,
    };
    Some(step)
}

/// A look-up that failed is of the server's name: the client could not look it up, or the name is the one that was
/// typed, with or without a suffix; and nobody saw that the server was reached.
pub(super) fn is_own_name(session: &Session, what: &What) -> bool {
    let What::NameNotResolved { name, .. } = what else { return true };
    let reached = !session.connections.is_empty() || session.host(Role::Server).is_some();
    let own = match (name, session.typed_name()) {
        (None, _) => true,
        (Some(name), Some(typed)) => is_same_name(typed, name),
        (Some(_), None) => false,
    };
    own && !reached
}

/// The name that was looked up is the typed one, as it is or with a suffix that the client appends.
fn is_same_name(typed: &str, looked_up: &str) -> bool {
    let plain = |name: &str| name.trim_end_matches('.').to_ascii_lowercase();
    let (typed, looked_up) = (plain(typed), plain(looked_up));
    looked_up == typed || looked_up.strip_prefix(&typed).is_some_and(|suffix| suffix.starts_with('.'))
}

/// It belongs to one step; else it says only that, not where, the connection was refused.
pub(super) fn names_a_step(what: &What, captured: bool) -> bool {
    if let What::ClientDisconnected { reason } = what {
        let of_gateway = reason.is_gateway_certificate() || reason.is_gateway_unreached();
        return !captured && (reason.is_look_up() || of_gateway);
    }
    !matches!(
        what,
        What::ErrorInfoSet { .. }
            | What::Disconnected { .. }
            | What::SessionEnded { .. }
            | What::ProblemLogged { .. }
            | What::BrokerEvent { .. }
    )
}

/// Smaller says more.
fn rank(what: &What) -> u8 {
    match what {
        What::ErrorInfoSet { .. } => 0,
        What::LogonFailed { .. } | What::AccessDenied {} | What::CredentialsRefused { .. } => 1,
        What::ClientDisconnected { .. } => 9,
        What::BrokerEvent { .. } | What::CredentialsValidated { .. } => 3,
        What::Disconnected { .. } | What::SessionEnded { .. } | What::ProblemLogged { .. } => 4,
        _ => 2,
    }
}

/// The step that a code of Set Error Info refuses (MS-RDPBCGR 2.2.5.1.1): 0x100 to 0x10a are those of licensing.
const fn of_code(code: ErrorInfo) -> Step {
    if matches!(code.0, 0x100..=0x10a) { Step::Licensing } else { Step::ClientInfo }
}

/// Modules without which the service takes no connection.
fn is_of_the_service(module: &str) -> bool {
    let module = module.to_ascii_lowercase();
    module.contains("termsrv.dll") || module.contains("rdpwrap.dll")
}

/// The same of what RdpCoreTS 103 and LocalSessionManager 40 hold, which may be a status instead.
fn is_code(code: ErrorInfo) -> bool {
    is_reason(code) && code.0 < 0x8000_0000
}

/// The code is a reason of the server's own.
fn is_reason(code: ErrorInfo) -> bool {
    !MEANT.contains(&code.0)
}

/// The step that a client's reason names (IMsTscAxEvents OnDisconnected): the low byte says the layer.
fn of_client(reason: DisconnectReason) -> Option<Step> {
    Some(match reason.0 {
        _ if reason.is_look_up() => Step::Dns,
        _ if reason.is_gateway_certificate() || reason.is_gateway_unreached() => Step::GatewayTransport,
        0x108 | 0x204 | 0x404 | 0x704 => Step::Tcp,
        0xb09 => Step::Negotiation,
        0x1b07 | 0x1907 | 0x1d07 => Step::Tls,
        0x808 => Step::Licensing,
        0x506 | 0x606 => Step::SecurityExchange,
        // The server ended it; where the client says no more, it is not known to have come further than this.
        0x3 => Step::ClientInfo,
        code if code & 0xff == 0x07 && code > 0x100 => Step::Credssp,
        _ => return None,
    })
}

/// Codes of Set Error Info that tell of no failure: none, and that the user ended the session from inside.
pub(super) const fn is_users_own_end(code: ErrorInfo) -> bool {
    matches!(code.0, 0x0 | 0xb | 0xc)
}

/// Why an active session was ended, when it was not by its user: a time limit, another connection, an administrator, a
/// shutdown.
pub(super) fn ended_by_reason(session: &Session) -> Option<&Seen> {
    session.facts.iter().find(|seen| match seen.what() {
        What::LimitReached { limit, .. } => matches!(limit.as_str(), "idle" | "active"),
        What::HostStopped { event, .. } => *event != SLEEP && !was_over(session, seen),
        What::ErrorInfoSet { code } | What::Disconnected { reason: code } => is_code(*code),
        What::SessionEnded { reason: Some(code), .. } => is_code(*code),
        what => what.is_gateway_end(),
    })
}

/// At the logon screen, where it may be tried again.
const fn is_logon_failure(what: &What) -> bool {
    matches!(what, What::LogonFailed { logon_type: 7 | 10, .. })
}

/// A logon that failed, and was tried again with success.
pub(super) fn was_mended(session: &Session, what: &What) -> bool {
    match what {
        What::ArbitrationDeclined {} => was_let_in(session),
        what => is_logon_failure(what) && was_logged_on(session),
    }
}

/// A check of credentials that other services have done, too.
pub(super) const fn is_check(what: &What) -> bool {
    matches!(what, What::LogonFailed { logon_type: 3, .. } | What::CredentialsValidated { .. })
}

fn was_logged_on(session: &Session) -> bool {
    let logged_on = session.find(|what| matches!(what, What::LogonSucceeded { logon_type: 7 | 10, .. }));
    logged_on.is_some() || was_let_in(session)
}

/// The user has a session: that his password was right is not enough for it.
pub(super) fn was_let_in(session: &Session) -> bool {
    let let_in = session.find(|what| {
        matches!(
            what,
            What::SessionLogon { local: false }
                | What::ShellStarted { local: false }
                | What::SessionReconnected { local: false, .. }
                | What::ClientLoggedOn { .. }
        )
    });
    let_in.is_some()
}

/// The user had left before.
fn was_over(session: &Session, stop: &Seen) -> bool {
    let left = session.find(|what| match what {
        What::SessionLogoff {} | What::SessionDisconnected { local: false, .. } => true,
        What::LoggedOff { by_user, .. } => *by_user,
        What::Ultimatum { by, .. } => *by == Side::Client,
        _ => false,
    });
    left.is_some_and(|left| left.at <= stop.at)
}

/// The network was lost: the server's socket ran into its time-out (Win32 121, ERROR_SEM_TIMEOUT).
pub(super) fn lost(session: &Session) -> Option<&Seen> {
    let lost = session.find(|what| matches!(what, What::SocketError { code, .. } if code.plain() == 121))?;
    let last = session.facts.iter().map(|seen| seen.at).max().unwrap_or(lost.at);
    (last.since(lost.at) <= OUTLIVED_NS).then_some(lost)
}

/// How a connection without a refusal ended, by its logs alone: a client that said good-bye was in a session, one whose
/// socket failed right behind its beginning gave up. An ending without its beginning tells nothing.
pub(super) fn ending(session: &Session) -> Option<Outcome> {
    let ended = session.find(|what| matches!(what, What::Disconnected { .. } | What::SocketError { .. }));
    let said_bye = session.find(|what| matches!(what, What::Ultimatum { by: Side::Client, .. }));
    let began = session.find(|what| matches!(what, What::ConnectionAccepted { udp: false }));
    match (ended, said_bye, began) {
        _ if ran_through_gateway(session) => Some(Outcome::Active),
        (Some(_), Some(_), _) => Some(Outcome::Active),
        (Some(_), None, Some(_)) => Some(Outcome::Closed),
        _ => None,
    }
}

/// A gateway that was connected to the host carried what only a desktop sends: its log alone shows a session that worked
/// by the bytes and the length that it counts at the end (303).
fn ran_through_gateway(session: &Session) -> bool {
    let connected = session.find(|what| matches!(what, What::GatewayEvent { event: 302, .. }));
    let carried = session.find(|what| match what {
        What::GatewayEvent { event: 303, bytes_received, bytes_sent, seconds, .. } => {
            bytes_received.max(bytes_sent).is_some_and(|bytes| bytes >= DESKTOP_BYTES_MIN)
                && seconds.is_some_and(|seconds| seconds >= DESKTOP_SECONDS_MIN)
        }
        _ => false,
    });
    connected.is_some() && carried.is_some()
}
