//! Why CredSSP failed, as far as its shape tells: who refused, at which round trip. Statuses are those of `account`.

use super::{Case, Rule, Weighing};
use crate::fact::{Side, What};
use crate::session::Seen;
use crate::step::Step;

const STATUS: &str = "the NTSTATUS of the refusal: Security log of the server (4625, with auditing of `Logon` failures), \
     RdpCoreTS/Operational (140), or the TLS secrets of this connection";
const CLIENT_LOGS: &str = "System log of the client: LsaSrv 6041 (CredSSP patch level), 40960, 40961, and RDPClient/Operational 1026";
const KERBEROS: &str = "a capture on the client with ports 53 and 88: look-ups of the domain controller and its errors stand there in clear";

/// A client that says nothing for this long behind the TLS handshake looks for something on the network.
const LOOKUP_MS: u64 = 8_000;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "bad-password",
        step: Some(Step::Credssp),
        cause: "the user name or the password is wrong",
        fix: "type it again with the domain in front (DOMAIN\\user, or .\\user for a local account); check the keyboard layout; delete stored credentials with `cmdkey /delete:TERMSRV/SERVER`",
        refs: &["MS-CSSP 3.1.5", "lab: fail-nla-bad-password-shadow3, fail-nla-bad-password-tls12"],
        weigh: |case| {
            let refused = refused_by_server(case)?;
            let What::CredsspRefused { round, bytes, .. } = refused.what() else { return None };
            // A message of the size of an error code says one of a dozen statuses; a server that closes without one
            // (FreeRDP up to 2) does so for a wrong password.
            let percent = match (round, bytes) {
                (2.., Some(0..=20)) => 45,
                (2.., _) => 62,
                _ => 20,
            };
            Some(Weighing::of(percent, refused).and(last_from_client(case)).missing(STATUS))
        },
    },
    Rule {
        id: "bad-user",
        step: Some(Step::Credssp),
        cause: "the user does not exist on the server or in that domain",
        fix: "check the spelling and the domain: DOMAIN\\user, user@domain, or .\\user for a local account",
        refs: &["MS-CSSP 3.1.5", "lab: fail-nla-unknown-user"],
        weigh: |case| Some(Weighing::of(30, refused_late(case)?).missing(STATUS)),
    },
    Rule {
        id: "account-restriction",
        step: Some(Step::Credssp),
        cause: "the account may not log on: locked, disabled, expired, its password must be changed, or another restriction",
        fix: "`net user NAME /domain` shows the state of the account; the NTSTATUS names the restriction",
        refs: &["MS-CSSP 3.1.5"],
        weigh: |case| Some(Weighing::of(25, refused_late(case)?).missing(STATUS)),
    },
    Rule {
        id: "ntlm-blocked",
        step: Some(Step::Credssp),
        cause: "the server or the domain does not accept NTLM",
        fix: "use the full name of the server so that Kerberos is used; or add an exception to the policies `Network security: Restrict NTLM`; look for 4001 to 4003 in NTLM/Operational",
        refs: &["MS-NLMP 3.2.5", "MS-CSSP 3.1.5"],
        weigh: |case| {
            let refused = refused_by_server(case)?;
            let What::CredsspRefused { round, .. } = refused.what() else { return None };
            Some(Weighing::of(if *round <= 1 { 40 } else { 15 }, refused).missing(STATUS))
        },
    },
    Rule {
        id: "credssp-oracle",
        step: Some(Step::Credssp),
        cause: "the client ended CredSSP after the server's first answer: one side lacks the CredSSP update of 2018 (encryption oracle remediation)",
        fix: "install current updates on both sides; only until then: `reg add HKLM\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Policies\\System\\CredSSP\\Parameters /v AllowEncryptionOracle /t REG_DWORD /d 2 /f` on the client",
        refs: &["MS-CSSP 3.1.5", "CVE-2018-0886"],
        weigh: |case| Some(Weighing::of(40, left_by_client(case)?).missing(CLIENT_LOGS)),
    },
    Rule {
        id: "delegation-policy",
        step: Some(Step::Credssp),
        cause: "a policy of the client forbids to hand these credentials to this server",
        fix: "policy `Credentials Delegation`: allow TERMSRV/* for fresh or saved credentials; use the name that Kerberos knows",
        refs: &["MS-CSSP 3.1.5"],
        weigh: |case| Some(Weighing::of(25, left_by_client(case)?).missing(CLIENT_LOGS)),
    },
    Rule {
        id: "dc-unreachable",
        step: Some(Step::Credssp),
        cause: "the client finds no domain controller: it waits for one behind the TLS handshake and gives up",
        fix: "on the client: `nltest /dsgetdc:DOMAIN`, `Resolve-DnsName -Type SRV _kerberos._tcp.DOMAIN`, `Test-NetConnection DC -Port 88`; repair DNS or the route (VPN)",
        refs: &["RFC 4120 7.2.3", "lab: fail-nla-kdc-lookup-stall"],
        weigh: |case| Some(Weighing::of(58, client_waited(case)?).missing(KERBEROS).missing(CLIENT_LOGS)),
    },
    Rule {
        id: "spn-mismatch",
        step: Some(Step::Credssp),
        cause: "Kerberos knows the server by another name: the client gives up before it sends anything",
        fix: "use the full name of the server; `setspn -L SERVER` must list TERMSRV/NAME, `setspn -X` finds names given twice",
        refs: &["RFC 4120 7.5.9"],
        weigh: |case| {
            let left = left_by_client(case)
                .filter(|seen| matches!(seen.what(), What::CredsspRefused { round: 0, .. }))?;
            Some(Weighing::of(30, left).missing(KERBEROS))
        },
    },
];

/// Refused by the server, when only the shape of it is known: a status that a log gives says more.
fn refused_by_server<'a>(case: &Case<'a>) -> Option<&'a Seen> {
    if super::account::status(case).is_some() {
        return None;
    }
    let refused = case.find(|what| matches!(what, What::CredsspRefused { by: Side::Server, .. }))?;
    (case.failed_at(Step::Credssp) && case.foreign_reset().is_none()).then_some(refused)
}

/// Refused behind the client's proof of the password.
fn refused_late<'a>(case: &Case<'a>) -> Option<&'a Seen> {
    refused_by_server(case).filter(|seen| matches!(seen.what(), What::CredsspRefused { round: 2.., .. }))
}

fn left_by_client<'a>(case: &Case<'a>) -> Option<&'a Seen> {
    if super::account::status(case).is_some() {
        return None;
    }
    let left = case.find(|what| matches!(what, What::CredsspRefused { by: Side::Client, .. }))?;
    (case.failed_at(Step::Credssp) && client_waited(case).is_none()).then_some(left)
}

fn last_from_client<'a>(case: &Case<'a>) -> Option<&'a Seen> {
    case.find_last(|what| matches!(what, What::CredsspMessage { by: Side::Client, .. }))
}

/// The client said nothing for long behind the TLS handshake, before its first CredSSP message.
pub(super) fn client_waited<'a>(case: &Case<'a>) -> Option<&'a Seen> {
    let started = case.find(|what| matches!(what, What::CredsspMessage { .. }));
    let waited = case.find(
        |what| matches!(what, What::Stalled { turn: Side::Client, over_ms } if *over_ms >= LOOKUP_MS),
    )?;
    (case.failed_at(Step::Credssp) && started.is_none()).then_some(waited)
}
