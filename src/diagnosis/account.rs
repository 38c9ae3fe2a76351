//! Why an account was not let in: the status that the server gave, wherever it stands.

use super::{Case, Rule, Weighing};
use crate::codes::Status;
use crate::fact::What;
use crate::session::Seen;
use crate::step::Step;

const DC_LOG: &str =
    "Security log of the domain controller: 4771, 4776 and 4740 of this user name the computer that asked";

const RIGHTS: &str = "Security 4625 of the server: its logon type tells which right is missing (3 over the network, 10 through Remote Desktop)";

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "bad-password",
        step: Some(Step::Credssp),
        cause: "the password is wrong",
        fix: "type it again with the domain in front (DOMAIN\\user, or .\\user for a local account); check the keyboard layout; delete stored credentials with `cmdkey /delete:TERMSRV/SERVER`",
        refs: &["MS-ERREF 2.3.1", "measured: RdpCoreTS 140"],
        weigh: |case| {
            if let Some(seen) = with_status(case, &[0xc000_006a]) {
                return Some(Weighing::of(95, seen).and(refused_by_service(case)));
            }
            if let Some(seen) = kerberos(case, 0x18) {
                return Some(Weighing::of(90, seen).and(refused_by_service(case)));
            }
            if let Some(seen) = with_status(case, &[0xc000_006d, 0x8009_030c]) {
                return Some(Weighing::of(82, seen).and(refused_by_service(case)).missing(DC_LOG));
            }
            if status(case).is_some() {
                return None;
            }
            if let (None, Some(told)) = (refused_by_service(case), client_told(case, 0x807)) {
                return Some(Weighing::of(66, told).missing(DC_LOG));
            }
            let refused = refused_by_service(case)?;
            Some(Weighing::of(72, refused).missing("Security log of the server (4625, with auditing of `Logon` failures): its status tells a wrong password from a locked account"))
        },
    },
    account(
        "bad-user",
        "the user does not exist on the server or in that domain",
        "check the spelling and the domain: DOMAIN\\user, user@domain, or .\\user for a local account",
        |case| by_status(case, &[0xc000_0064], 95).or_else(|| Some(Weighing::of(88, kerberos(case, 0x06)?))),
    ),
    account(
        "account-locked",
        "the account is locked out",
        "on a domain controller: `Unlock-ADAccount NAME`; event 4740 there names the computer whose attempts locked it",
        |case| {
            let locked = case.find(|what| matches!(what, What::AccountLockedOut {}));
            by_status(case, &[0xc000_0234], 96)
                .map(|w| w.and(locked))
                .or_else(|| Some(Weighing::of(88, locked?)))
        },
    ),
    account(
        "account-disabled",
        "the account is disabled",
        "`Enable-ADAccount NAME`, or `net user NAME /active:yes` for a local account",
        |case| by_status(case, &[0xc000_0072], 96),
    ),
    account(
        "account-expired",
        "the account has expired",
        "`Set-ADAccountExpiration NAME -DateTime DATE`, or `Clear-ADAccountExpiration NAME`",
        |case| by_status(case, &[0xc000_0193], 96),
    ),
    account(
        "password-expired",
        "the password has expired",
        "change it elsewhere (console, Ctrl+Alt+Del, RD Web page), or `Set-ADAccountPassword NAME -Reset`",
        |case| by_status(case, &[0xc000_0071], 96).or_else(|| Some(Weighing::of(85, kerberos(case, 0x17)?))),
    ),
    account(
        "password-must-change",
        "the password must be changed at the next logon, which NLA cannot do",
        "`Set-ADUser NAME -ChangePasswordAtLogon $false`, or let the user change it at the console or the RD Web page",
        |case| by_status(case, &[0xc000_0224], 96),
    ),
    account(
        "account-restriction",
        "a restriction of the account forbids it: blank password, hours, workstation, or Protected Users with NTLM",
        "`net user NAME /domain` shows hours and workstations; for Protected Users connect to the full name of the server so that Kerberos is used",
        |case| by_status(case, &[0xc000_006e, 0xc000_006f, 0xc000_0070, 0xc000_0413], 93),
    ),
    account(
        "network-logon-right",
        "the user may not log on over the network, which NLA needs (\"Access this computer from the network\")",
        "on the server, `secpol.msc`, User Rights Assignment: grant SeNetworkLogonRight, remove the user from SeDenyNetworkLogonRight (local accounts: S-1-5-113)",
        |case| {
            let seen = case.find(|what| matches!(what, What::LogonFailed { logon_type: 3, status, sub_status, .. } if holds(*status, *sub_status, &[0xc000_015b])));
            let told = || {
                // CredSSP gives the status, not the type of the logon: the right could be that of Remote Desktop.
                let refused = case.find(|what| matches!(what, What::CredsspRefused { status: Some(status), .. } if status.plain() == 0xc000_015b))?;
                Some(Weighing::of(85, refused).missing(RIGHTS))
            };
            seen.map(|seen| Weighing::of(93, seen)).or_else(told)
        },
    ),
    account(
        "clock-skew",
        "the clocks of client and domain controller are too far apart for Kerberos",
        "`w32tm /query /status` and `w32tm /resync` on client, server and domain controller; on virtual machines check the host's time",
        |case| {
            let seen = kerberos(case, 0x25).or_else(|| with_status(case, &[0xc000_0133, 0x8009_0324]));
            Some(Weighing::of(94, seen?))
        },
    ),
    account(
        "dc-unreachable",
        "no domain controller can be reached to check the credentials",
        "on the server: `nltest /sc_query:DOMAIN`, `Test-NetConnection DC -Port 88` and `-Port 389`; repair DNS or the route; until then log on with a local account",
        |case| by_status(case, &[0xc000_005e, 0x8009_0311, 0xc000_0192, 0xc000_00dc], 93),
    ),
    account(
        "trust-broken",
        "the computer's trust to its domain is broken",
        "on the server: `Test-ComputerSecureChannel -Repair -Credential DOMAIN\\admin`",
        |case| by_status(case, &[0xc000_018d, 0xc000_018c, 0xc000_018b, 0xc000_018a, 0xc000_019b], 94),
    ),
    account(
        "ntlm-blocked",
        "a policy blocks NTLM on the client, the server or in the domain",
        "connect to the full name of the server so that Kerberos is used; or add an exception to the policies `Network security: Restrict NTLM`",
        |case| {
            let blocked = case.find(|what| matches!(what, What::NtlmBlocked { .. }));
            by_status(case, &[0x8009_0302, 0xc000_0418, 0xc000_0388], 90)
                .map(|w| w.and(blocked))
                .or_else(|| Some(Weighing::of(92, blocked?)))
        },
    ),
    account(
        "spn-mismatch",
        "Kerberos knows the server by another name",
        "connect to the full name of the server; `setspn -L SERVER` must list TERMSRV/NAME, `setspn -X` finds names given twice",
        |case| {
            let told = with_status(case, &[0x8009_0322, 0x8009_0303]);
            let seen = kerberos(case, 0x07).or_else(|| kerberos(case, 0x29)).or(told);
            Some(Weighing::of(85, seen?))
        },
    ),
    account(
        "credssp-oracle",
        "client and server differ in the CredSSP update of 2018 (encryption oracle remediation)",
        "install current updates on both sides; only until then: `reg add HKLM\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Policies\\System\\CredSSP\\Parameters /v AllowEncryptionOracle /t REG_DWORD /d 2 /f` on the client",
        |case| Some(Weighing::of(95, case.find(|what| matches!(what, What::CredsspVersionRefused { .. }))?)),
    ),
    account(
        "smartcard-failed",
        "the logon by smart card or certificate failed, or the account must use one and a password was given",
        "with a card: its PIN counter, the certificate of the domain controller and its revocation list (`certutil -scinfo`, CAPI2/Operational); without one: take `Smart card is required` off the account",
        |case| by_status(case, &[0xc000_02fa, 0xc000_0380, 0xc000_0381, 0xc000_0320], 92),
    ),
    account(
        "delegation-policy",
        "there are no credentials that may be handed to this server",
        "policy `Credentials Delegation`: allow TERMSRV/* for fresh or saved credentials; use the name that Kerberos knows",
        |case| by_status(case, &[0x8009_030e], 70),
    ),
    account(
        "logon-refused",
        "the server refused the logon with a status that names no single cause",
        "look the status up with `certutil -error CODE`; read Security 4625 of that second on the server",
        |case| {
            let said = case.find(|what| matches!(what, What::CredsspRefused { status: Some(_), .. }))?;
            (!case.explains(said)).then(|| Weighing::of(35, said).missing(DC_LOG))
        },
    ),
];

const fn account(
    id: &'static str,
    cause: &'static str,
    fix: &'static str,
    weigh: fn(&Case<'_>) -> Option<Weighing>,
) -> Rule {
    Rule { id, step: Some(Step::Credssp), cause, fix, refs: &["MS-ERREF 2.3.1", "RFC 4120 7.5.9"], weigh }
}

/// By a status of the server; else, a little less sure, by the reason that the client was told.
fn by_status(case: &Case<'_>, codes: &[u32], percent: u8) -> Option<Weighing> {
    if let Some(seen) = with_status(case, codes) {
        return Some(Weighing::of(percent, seen).and(refused_by_service(case)));
    }
    let told = CLIENT_REASONS.iter().find(|(_, status)| codes.contains(status)).map(|(reason, _)| *reason)?;
    Some(Weighing::of(percent.saturating_sub(8), client_told(case, told)?).and(refused_by_service(case)))
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

fn client_told<'a>(case: &Case<'a>, wanted: u32) -> Option<&'a Seen> {
    case.find(|what| matches!(what, What::ClientDisconnected { reason } if reason.0 == wanted))
}

fn holds(status: Status, sub_status: Option<Status>, codes: &[u32]) -> bool {
    codes.contains(&status.plain()) || sub_status.is_some_and(|sub| codes.contains(&sub.plain()))
}

/// The fact that gives one of these statuses. A sub-status says more than the status it stands with.
fn with_status<'a>(case: &Case<'a>, codes: &[u32]) -> Option<&'a Seen> {
    case.session
        .facts
        .iter()
        .find(|seen| status_of(seen.what()).is_some_and(|status| codes.contains(&status.plain())))
}

/// The first status that a fact gives.
pub(super) fn status<'a>(case: &Case<'a>) -> Option<&'a Seen> {
    case.session.facts.iter().find(|seen| status_of(seen.what()).is_some())
}

fn status_of(what: &What) -> Option<Status> {
    let failure = |status: Status| status.is_failure().then_some(status);
    match what {
        What::LogonFailed { status, sub_status, .. } => {
            sub_status.and_then(failure).or_else(|| failure(*status))
        }
        What::CredentialsValidated { status } => failure(*status),
        What::CredsspRefused { status, .. }
        | What::PolicyRefused { status, .. }
        | What::AuthenticationFailed { status, .. } => status.and_then(failure),
        _ => None,
    }
}

fn kerberos<'a>(case: &Case<'a>, wanted: u32) -> Option<&'a Seen> {
    case.find(|what| matches!(what, What::KerberosFailed { code, .. } if code.0 == wanted))
}

/// RdpCoreTS 140: the service itself says that user name or password were not accepted.
fn refused_by_service<'a>(case: &Case<'a>) -> Option<&'a Seen> {
    case.find(|what| matches!(what, What::CredentialsRefused { .. }))
}
