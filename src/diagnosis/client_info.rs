//! Why the server denied a connection that had passed the handshake: what stands behind Set Error Info 7, which mstsc
//! shows as `Error code: 0x3, Extended error code: 0x7`.

use super::account::client_told;
use super::active::error_info;
use super::{Case, Doubt, Evidence, NOT_SEEN, Rule, Support, Weighing};
use crate::fact::{Side, What};
use crate::session::{Outcome, Role, Seen};
use crate::step::Step;

/// ERRINFO_SERVER_DENIED_CONNECTION (MS-RDPBCGR 2.2.5.1.1).
const DENIED: u32 = 0x7;

/// `disconnectReasonByServer` (IMsTscAxEvents OnDisconnected).
const BY_SERVER: u32 = 0x3;

const ASK: &str = "logs of the host that the client really reached: RdpCoreTS, RemoteConnectionManager (Operational and Admin), LocalSessionManager, System, Security (`wevtutil epl CHANNEL FILE.evtx`); \
     in a farm also SessionBroker-Client and the broker's SessionBroker";

const PAIR: &str = "both numbers of the client's message: event 1026 gives the first only, and the second (`Extended error code`) says whether it was 0x7";

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "server-denied-0x7",
        step: Some(Step::ClientInfo),
        cause: "the server denied the connection on purpose (Set Error Info 7, in mstsc 0x3 with extended code 0x7): network, TLS and sign-in worked; the code does not say why",
        fix: "do not change MTU, firewall, NLA or certificates on this evidence; look for the reason in the server's logs of that second (broker, drain mode, licensing, authorization, session), \
              and check `change logon /query` and the version of termsrv.dll",
        refs: &["MS-RDPBCGR 2.2.5.1.1"],
        seen: &["denied-0x7"],
        weigh: |case| {
            let Some(denied) = denied(case) else {
                let told = client_alone(case)?;
                return Some(Weighing::of(Evidence::Possible, told).missing(PAIR).missing(ASK));
            };
            let ended = case.find(|what| matches!(what, What::Ultimatum { by: Side::Server, .. }));
            let reason = reason_found(case);
            let change = change_before(case, denied).filter(|_| reason.is_none());
            Some(
                Weighing::of(Evidence::Shape, denied)
                    .and(ended)
                    .unless(reason, Doubt::Clear)
                    .surer(change, Support::Slight)
                    .missing(ASK),
            )
        },
    },
    Rule {
        id: "drain-mode",
        step: Some(Step::ClientInfo),
        cause: "the host is in drain mode: it takes no new sessions",
        fix: "`change logon /enable` on the host, or `Set-RDSessionHost -SessionHost HOST -NewConnectionAllowed Yes -ConnectionBroker BROKER`",
        refs: &["RemoteConnectionManager 1070"],
        seen: NOT_SEEN,
        weigh: |case| told_with_denial(case, "rcm", 1070),
    },
    Rule {
        id: "connections-disabled",
        step: Some(Step::ClientInfo),
        cause: "logons are switched off on the host (`change logon /disable`)",
        fix: "`change logon /query`, then `change logon /enable`",
        refs: &["RemoteConnectionManager 1071"],
        seen: NOT_SEEN,
        weigh: |case| told_with_denial(case, "rcm", 1071),
    },
    Rule {
        id: "termsrv-patched",
        step: Some(Step::ClientInfo),
        cause: "termsrv.dll is changed or wrapped, and crashes or refuses since an update",
        fix: "restore the original file (`sfc /scannow`), or remove the wrapper; then `Restart-Service TermService -Force`",
        refs: &["Application Error 1000 with termsrv.dll or rdpwrap.dll"],
        seen: NOT_SEEN,
        weigh: |case| {
            let crashed = case.crashed("termsrv.dll").or_else(|| case.crashed("rdpwrap.dll"))?;
            Some(Weighing::of(Evidence::Told, crashed).and(denied(case)))
        },
    },
];

/// The server really sent code 7: it handed it to its protocol stack, or ended connection or session with it.
pub(super) fn denied<'a>(case: &Case<'a>) -> Option<&'a Seen> {
    error_info(case, &[DENIED])
}

fn told_with_denial(case: &Case<'_>, log: &str, event: u32) -> Option<Weighing> {
    Some(Weighing::of(Evidence::Code, case.logged(log, &[event])?).and(denied(case)))
}

/// Nobody but the client saw it, and the client was told only that the server ended it.
fn client_alone<'a>(case: &Case<'a>) -> Option<&'a Seen> {
    let alone = case.session.connections.is_empty() && case.session.host(Role::Server).is_none();
    client_told(case, BY_SERVER).filter(|_| alone && case.session.outcome.is_failure())
}

/// Another fact that says why the server denied.
fn reason_found<'a>(case: &Case<'a>) -> Option<&'a Seen> {
    case.find(|what| match what {
        What::BrokerEvent { failed, .. } => *failed,
        What::ProblemLogged { log, event, .. } => log == "rcm" && matches!(event, 1070 | 1071),
        What::AccessDenied {} | What::LicenseProblem { .. } => true,
        _ => false,
    })
}

/// What was changed last on the server in the day before, with no connection of that host in between that worked: rules
/// and rights, policies with new settings, updates, a planned restart.
fn change_before<'a>(case: &Case<'a>, denied: &Seen) -> Option<&'a Seen> {
    let host = case.session.host(Role::Server)?;
    let of_host = |seen: &&Seen| seen.fact.subject.keys().is_some_and(|keys| keys.host == host);
    let in_time = |seen: &&Seen| (0..=DAY_NS).contains(&denied.at.since(seen.at));
    let change = case.story.changes.iter().filter(of_host).rfind(in_time)?;
    let worked = case.story.sessions.iter().any(|other| {
        let between = other.start > change.at && other.start < case.session.start;
        between && other.outcome == Outcome::Active && other.host(Role::Server) == Some(host)
    });
    (!worked).then_some(change)
}

const DAY_NS: i64 = 24 * 3_600 * 1_000_000_000;
