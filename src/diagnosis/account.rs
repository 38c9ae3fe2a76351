//! The status with which an account was not let in, wherever it stands: on the wire, in a log of the server or a domain
//! controller, or as the reason that the client was told.

use super::{Case, Doubt, Evidence, Weighing};
use crate::codes::Status;
use crate::fact::{Side, What};
use crate::session::Seen;
use crate::step::Step;

/// By a status of the server; else, a little less sure, by the reason that the client was told.
pub(super) fn by_status(case: &Case<'_>, codes: &[u32], kind: Evidence) -> Option<Weighing> {
    if let Some(seen) = with_status(case, codes) {
        let others = [refused_by_service(case), refused_on_the_wire(case)];
        let others = others.into_iter().flatten().filter(|other| other.place() != seen.place());
        let doubt = doubt(case, seen);
        let first = Weighing::of(kind, seen);
        let first = match doubt {
            Some(doubt) => first.doubted(doubt).missing(OWN_WORD),
            None => first,
        };
        return Some(others.fold(first, |weighing, other| weighing.and(Some(other))));
    }
    let told = CLIENT_REASONS.iter().find(|(_, status)| codes.contains(status)).map(|(reason, _)| *reason)?;
    Some(Weighing::of(kind.max(Evidence::Told), client_told(case, told)?).and(refused_by_service(case)))
}

const OWN_WORD: &str = "RdpCoreTS/Operational 140 of the server, or RDPClient/Operational 1026 of the client (`wevtutil epl CHANNEL FILE.evtx`): a logon that failed is put to this \
     connection by its time only, and any other service of the host may have asked for it";

/// What is taken off where a check of credentials is put to a connection by user, host and time alone: every service of
/// the host asks for such. Packets that show the refusal, the port, the service's own word or the client's remove it;
/// the client's address removes a part.
pub(super) fn doubt(case: &Case<'_>, seen: &Seen) -> Option<Doubt> {
    let is_check =
        matches!(seen.what(), What::LogonFailed { logon_type: 3, .. } | What::CredentialsValidated { .. });
    let keys = seen.fact.subject.keys().filter(|_| is_check)?;
    let ended = case.find(|what| matches!(what, What::ClientDisconnected { reason } if reason.0 & 0xff == 7));
    let sure = !case.session.connections.is_empty()
        || keys.port.is_some()
        || refused_by_service(case).is_some()
        || ended.is_some()
        || case.find(|what| matches!(what, What::SecurityError { .. })).is_some();
    match keys.address {
        _ if sure => None,
        Some(address) if case.session.client_ip() == Some(address) => Some(Doubt::LessExact),
        _ => Some(Doubt::Clear),
    }
}

/// Reasons of the client (IMsTscAxEvents OnDisconnected) and the NTSTATUS they stand for.
const CLIENT_REASONS: [(u32, u32); 8] = [
    (0xb07, 0xc000_0072),
    (0xc07, 0xc000_006e),
    (0xd07, 0xc000_0234),
    (0xe07, 0xc000_0193),
    (0xf07, 0xc000_0071),
    (0x1207, 0xc000_0224),
    (0xa07, 0xc000_0064),
    (0x1807, 0xc000_005e),
];

/// `resultCode` of RDSTLS (MS-RDPBCGR 2.2.17.4), Win32 errors, and the NTSTATUS they stand for.
const RDSTLS_RESULTS: [(u32, u32); 6] = [
    (0x52e, 0xc000_006d),
    (0x530, 0xc000_006f),
    (0x532, 0xc000_0071),
    (0x533, 0xc000_0072),
    (0x773, 0xc000_0224),
    (0x775, 0xc000_0234),
];

pub(super) fn client_told<'a>(case: &Case<'a>, wanted: u32) -> Option<&'a Seen> {
    case.find(|what| matches!(what, What::ClientDisconnected { reason } if reason.0 == wanted))
}

/// What may tell why an account was not let in: nothing, where packets show that the connection broke before the logon.
fn facts<'a>(case: &Case<'a>) -> impl Iterator<Item = &'a Seen> + use<'a> {
    let session = case.session;
    let asked = session.connections.is_empty() || session.broke_at >= Some(Step::Credssp);
    let counts = |seen: &&Seen| {
        !matches!(seen.what(), What::KerberosFailed { .. }) || session.is_decided_by_kerberos(seen)
    };
    session.facts.iter().filter(move |_| asked).filter(counts)
}

/// The fact that gives one of these statuses. A sub-status says more than the status it stands with.
pub(super) fn with_status<'a>(case: &Case<'a>, codes: &[u32]) -> Option<&'a Seen> {
    facts(case).find(|seen| status_of(seen.what()).is_some_and(|status| codes.contains(&status.plain())))
}

/// The first status that a fact gives, and that says something.
pub(super) fn any_status<'a>(case: &Case<'a>) -> Option<&'a Seen> {
    facts(case).find(|seen| status_of(seen.what()).is_some_and(|status| !status.says_nothing()))
}

pub(super) fn status_of(what: &What) -> Option<Status> {
    let failure = |status: Status| status.is_failure().then_some(status);
    match what {
        What::LogonFailed { status, sub_status, .. } => {
            sub_status.and_then(failure).or_else(|| failure(*status))
        }
        What::CredsspRefused { status, .. } | What::KerberosFailed { status, .. } => status.and_then(failure),
        What::CredentialsValidated { status } => failure(*status),
        What::RdstlsResult { code } => {
            let known = RDSTLS_RESULTS.iter().find(|(win32, _)| *win32 == code.0);
            known.map(|(_, status)| Status(*status))
        }
        What::EntraResult { code } => failure(*code),
        What::PolicyRefused { status, .. } | What::AuthenticationFailed { status, .. } => {
            status.and_then(failure)
        }
        _ => None,
    }
}

pub(super) fn kerberos<'a>(case: &Case<'a>, wanted: u32) -> Option<&'a Seen> {
    facts(case).find(|seen| matches!(seen.what(), What::KerberosFailed { code, .. } if code.0 == wanted))
}

/// The first Kerberos error that counts.
pub(super) fn any_kerberos<'a>(case: &Case<'a>) -> Option<&'a Seen> {
    facts(case).find(|seen| matches!(seen.what(), What::KerberosFailed { .. }))
}

/// RdpCoreTS 140: the service itself says that user name or password were not accepted.
pub(super) fn refused_by_service<'a>(case: &Case<'a>) -> Option<&'a Seen> {
    case.find(|what| matches!(what, What::CredentialsRefused { .. }))
}

/// The packets show that the server refused.
pub(super) fn refused_on_the_wire<'a>(case: &Case<'a>) -> Option<&'a Seen> {
    case.find(|what| matches!(what, What::CredsspRefused { by: Side::Server, .. }))
}
