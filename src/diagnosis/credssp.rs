//! Why CredSSP failed: by the status that the server gave, on the wire or in a log; else by who refused, at which round trip.

use super::account::{
    any_kerberos, any_status, by_status, client_told, doubt, kerberos, refused_by_service,
    refused_on_the_wire, status_of, with_status,
};
use super::{Case, Doubt, Evidence, NOT_SEEN, Rule, Support, Weighing, Wording};
use crate::fact::{OtherReading, Side, What};
use crate::session::Seen;
use crate::step::Step;
use crate::wire::session_info::{LogonErrorData, LogonErrorType};

const STATUS: &str = "the NTSTATUS of the refusal: Security log of the server (4625; `auditpol /set /subcategory:Logon /failure:enable`), \
     RdpCoreTS/Operational (140), or the TLS secrets of this connection";
const STATUS_IN_LOGS: &str = "the NTSTATUS of the refusal: Security log of the server (4625; `auditpol /set /subcategory:Logon /failure:enable`), or RdpCoreTS/Operational (140)";
const SUB_STATUS: &str = "Security log of the server or domain controller (4625, 4776, 4771; `wevtutil epl Security security.evtx`): the sub status tells a wrong password from an unknown user";
const RIGHTS: &str = "Security 4625 of the server (`wevtutil epl Security security.evtx`): its logon type tells which right is missing (3 from the network, 10 through Remote Desktop)";
const CLIENT_LOGS: &str = "System log of the client: LsaSrv 6041 (CredSSP patch level), 40960, 40961, and RDPClient/Operational 1026 (`wevtutil epl CHANNEL FILE.evtx`)";
const KERBEROS: &str = "a capture on the client with ports 53 and 88 (`pktmon start --capture` or `tcpdump -w FILE`): look-ups of the domain controller and its errors stand there in clear";

/// The logon failed, for one of many reasons: STATUS_LOGON_FAILURE, SEC_E_LOGON_DENIED.
const GENERIC: [u32; 2] = [0xc000_006d, 0x8009_030c];
/// STATUS_LOGON_TYPE_NOT_GRANTED.
const NOT_GRANTED: u32 = 0xc000_015b;

/// What Kerberos allows two clocks to differ (RFC 4120 1.6).
const SKEW_MS: i64 = 300_000;
/// `LOGON_MSG_ACCESS_DENIED` and `LOGON_FAILED_BAD_PASSWORD` (MS-RDPBCGR 2.2.10.1.1.4.1.1).
const TYPED_WRONG: (LogonErrorType, LogonErrorData) =
    (LogonErrorType(0xffff_ffff), LogonErrorData::BAD_PASSWORD);

/// A client that says nothing for this long behind the TLS handshake looks for something on the network.
const LOOKUP_MS: u64 = 8_000;

/// A client that leaves so long behind the last message has waited for another.
const GAVE_UP_NS: i64 = 3_000_000_000;

/// `REDIRECTED_AUTHENTICATION_MODE_REQUIRED` of the request (MS-RDPBCGR 2.2.1.1.1).
const GUARD_ASKED: u8 = 0x02;
/// `REDIRECTED_AUTHENTICATION_MODE_SUPPORTED` of the confirm (MS-RDPBCGR 2.2.1.2.1).
const GUARD_TAKEN: u8 = 0x10;

const IF_PASSWORD: &str = "If it is the password";
const FIND_IT_FIRST: &str = "find the reason before the next try, and do not try again and again: each wrong password counts towards the lockout of the account. \
     It stands in Security 4625 of the server (`wevtutil qe Security /rd:true /c:5 /f:text /q:\"*[System[EventID=4625]]\"`), in the client's message, and in this \
     connection when it is read with its TLS secrets (`--keylog FILE`)";

/// An error code in a TSRequest (MS-CSSP 2.2.1) of which only the size is known.
static HIDDEN_STATUS: Wording = Wording {
    says: "the server refused the logon, and the reason is hidden in the encrypted TSRequest; in order of likelihood: the user name or the password is wrong; the account is locked, \
           disabled, expired or restricted, or its password has expired; the user does not exist",
    first: FIND_IT_FIRST,
    then: IF_PASSWORD,
};

/// The same where it may be an Early User Authorization Result (MS-RDPBCGR 2.2.1.5) as well.
static HIDDEN_RESULT: Wording = Wording {
    says: "the server refused the logon or the user, and the reason is hidden in its last encrypted message; in order of likelihood: the user name or the password is wrong; the \
           account is locked, disabled, expired or restricted; the user may not use Remote Desktop on this server",
    first: FIND_IT_FIRST,
    then: IF_PASSWORD,
};

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "bad-password",
        step: Some(Step::Credssp),
        cause: "the user name or the password is wrong",
        fix: "type it again with the domain in front (DOMAIN\\user, or .\\user for a local account); check the keyboard layout; delete stored credentials with `cmdkey /delete:TERMSRV/SERVER`",
        refs: &["MS-CSSP 3.1.5"],
        seen: &["fail-nla-bad-password-shadow3", "fail-nla-bad-password-tls12"],
        weigh: |case| {
            let by_service = refused_by_service(case);
            if let Some(typed) = typed_wrong(case).filter(|_| case.failed_at(Step::Logon)) {
                return Some(Weighing::of(Evidence::SharedCode, typed).missing(SUB_STATUS));
            }
            if let Some(weighing) = by_status(case, &[0xc000_006a], Evidence::Code) {
                return Some(weighing);
            }
            if let Some(seen) = kerberos(case, 0x18) {
                return Some(Weighing::of(Evidence::Told, seen).and(by_service));
            }
            if let Some(said) = with_status(case, &GENERIC) {
                let weighing = Weighing::of(Evidence::SharedCode, said);
                let weighing = match doubt(case, said) {
                    Some(doubt) => weighing.doubted(doubt),
                    None => weighing,
                };
                let weighing = weighing.and(by_service).and(last_from_client(case));
                return Some(weighing.missing(SUB_STATUS));
            }
            if any_status(case).is_some() {
                return None;
            }
            if let Some(by_service) = by_service {
                return Some(
                    Weighing::of(Evidence::SharedCode, by_service)
                        .doubted(Doubt::Slight)
                        .and(refused_silently(case))
                        .missing(status(case)),
                );
            }
            if let Some(told) = client_told(case, 0x807) {
                return Some(
                    Weighing::of(Evidence::Shape, told).and(refused_silently(case)).missing(SUB_STATUS),
                );
            }
            if let Some(sized) = may_be_error_code(case) {
                let weighing = Weighing::of(Evidence::OneOfSeveral, sized);
                return Some(weighing.missing(status(case)).worded(Some(&HIDDEN_RESULT)));
            }
            let refused = refused_silently(case)?;
            let What::CredsspRefused { round, bytes, or, .. } = refused.what() else { return None };
            // A message of the size of an error code says one of a dozen statuses; a server that closes without one
            // (FreeRDP up to 2) does so for a wrong password.
            let kind = match (round, bytes) {
                (2.., Some(0..=20)) => Evidence::OneOfSeveral,
                // Of a ticket that is refused the password was right.
                (2.., _) if or.is_some() => Evidence::OneOfSeveral,
                (2.., _) => Evidence::Shape,
                _ => Evidence::Possible,
            };
            let weighing = Weighing::of(kind, refused).and(last_from_client(case)).missing(status(case));
            let is_code = matches!((round, bytes), (2.., Some(0..=20)));
            Some(weighing.worded(is_code.then_some(&HIDDEN_STATUS)))
        },
    },
    Rule {
        id: "bad-user",
        step: Some(Step::Credssp),
        cause: "the user does not exist on the server or in that domain",
        fix: "check the spelling and the domain: DOMAIN\\user, user@domain, or .\\user for a local account",
        refs: &["MS-CSSP 3.1.5"],
        seen: NOT_SEEN,
        weigh: |case| {
            let kerberos = || Some(Weighing::of(Evidence::Told, kerberos(case, 0x06)?));
            let generic = || with_status(case, &GENERIC);
            by_status(case, &[0xc000_0064], Evidence::Code)
                .or_else(kerberos)
                .or_else(|| Some(Weighing::of(Evidence::OneOfSeveral, generic()?).missing(SUB_STATUS)))
                .or_else(|| Some(Weighing::of(Evidence::Possible, refused_late(case)?).missing(status(case))))
        },
    },
    Rule {
        id: "account-restriction",
        step: Some(Step::Credssp),
        cause: "the account may not log on this way: logon hours, workstations, a blank password, Protected Users, or another restriction of the account",
        fix: "`net user NAME /domain` shows logon hours and workstations; a member of Protected Users needs Kerberos (use the full name of the server); an account without a password may not log on over the network",
        refs: &["MS-CSSP 3.1.5", "MS-ERREF 2.3.1"],
        seen: NOT_SEEN,
        weigh: |case| {
            let kerberos = || {
                let revoked = kerberos(case, 0x12)
                    .map(|seen| Weighing::of(Evidence::SharedCode, seen).missing(SUB_STATUS));
                revoked.or_else(|| {
                    Some(Weighing::of(Evidence::SharedCode, kerberos(case, 0x0c)?).missing(SUB_STATUS))
                })
            };
            by_status(case, &[0xc000_006e, 0xc000_006f, 0xc000_0070, 0xc000_0413], Evidence::Code)
                .or_else(kerberos)
                .or_else(|| Some(Weighing::of(Evidence::Possible, refused_late(case)?).missing(status(case))))
        },
    },
    Rule {
        id: "ntlm-blocked",
        step: Some(Step::Credssp),
        cause: "the server or the domain does not accept NTLM",
        fix: "use the full name of the server so that Kerberos is used; or add an exception to the policies `Network security: Restrict NTLM`; look for 4001 to 4003 in NTLM/Operational",
        refs: &["MS-NLMP 3.2.5", "MS-CSSP 3.1.5"],
        seen: &["awakecoding_rdp-nla-ntlm-rejected1.pcapng"],
        weigh: |case| {
            let blocked = case.find(|what| matches!(what, What::NtlmBlocked { .. }));
            if let Some(weighing) = by_status(case, &[0x8009_0302, 0xc000_0418, 0xc000_0388], Evidence::Told)
            {
                return Some(weighing.and(blocked));
            }
            if let Some(blocked) = blocked {
                return Some(Weighing::of(Evidence::Code, blocked).and(refused_silently(case)));
            }
            let refused = refused_silently(case)?;
            let What::CredsspRefused { round, .. } = refused.what() else { return None };
            let kind = if *round <= 1 { Evidence::OneOfSeveral } else { Evidence::Remark };
            Some(Weighing::of(kind, refused).missing(status(case)))
        },
    },
    Rule {
        id: "credssp-oracle",
        step: Some(Step::Credssp),
        cause: "the client ended CredSSP after the server's first answer: one side lacks the CredSSP update of 2018 (encryption oracle remediation)",
        fix: "install current updates on both sides; only until then: `reg add HKLM\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Policies\\System\\CredSSP\\Parameters /v AllowEncryptionOracle /t REG_DWORD /d 2 /f` on the client",
        refs: &["MS-CSSP 3.1.5", "CVE-2018-0886"],
        seen: NOT_SEEN,
        weigh: |case| {
            if let Some(refused) = case.find(|what| matches!(what, What::CredsspVersionRefused { .. })) {
                return Some(Weighing::of(Evidence::Code, refused).and(left_by_client(case)));
            }
            // The version stands in the first answer: a client that minds it reads no second one.
            let rounds = case.session.facts.iter().filter_map(|seen| match seen.what() {
                What::CredsspMessage { by: Side::Server, round, .. } => Some(*round),
                _ => None,
            });
            let left = left_by_client(case).filter(|_| rounds.max() == Some(1))?;
            Some(Weighing::of(Evidence::OneOfSeveral, left).missing(CLIENT_LOGS))
        },
    },
    Rule {
        id: "delegation-policy",
        step: Some(Step::Credssp),
        cause: "a policy of the client forbids to hand these credentials to this server",
        fix: "policy `Credentials Delegation`: allow TERMSRV/* for fresh or saved credentials; use the name that Kerberos knows",
        refs: &["MS-CSSP 3.1.5"],
        seen: NOT_SEEN,
        weigh: |case| {
            let named = with_status(case, &[0x8009_030e])
                .map(|said| Weighing::of(Evidence::SharedCode, said).missing(CLIENT_LOGS));
            named.or_else(|| {
                Some(Weighing::of(Evidence::Possible, left_by_client(case)?).missing(CLIENT_LOGS))
            })
        },
    },
    Rule {
        id: "dc-unreachable",
        step: Some(Step::Credssp),
        cause: "no domain controller is reached: the client looks for one in vain, or the server has none to ask",
        fix: "on the side that looks (the server where it says so with a status, else the client): `nltest /dsgetdc:DOMAIN`, `Resolve-DnsName -Type SRV _kerberos._tcp.DOMAIN`, `Test-NetConnection DC -Port 88`; repair DNS or the route (VPN)",
        refs: &["RFC 4120 7.2.3"],
        seen: &["fail-nla-kdc-lookup-stall"],
        weigh: |case| {
            if let Some(weighing) =
                by_status(case, &[0xc000_005e, 0x8009_0311, 0xc000_0192, 0xc000_00dc], Evidence::Code)
            {
                return Some(weighing);
            }
            let in_vain = sought_in_vain(case);
            if let Some(waited) = client_waited(case) {
                let weighing = Weighing::of(Evidence::Shape, waited).surer(in_vain, Support::Decisive);
                let weighing = if in_vain.is_none() { weighing.missing(KERBEROS) } else { weighing };
                return Some(weighing.missing(CLIENT_LOGS));
            }
            // Without NTLM to fall back to, a client leaves as soon as the last domain controller has refused.
            let left = left_by_client(case)?;
            Some(Weighing::of(Evidence::ByTime, in_vain?).and(Some(left)).missing(CLIENT_LOGS))
        },
    },
    Rule {
        id: "spn-mismatch",
        step: Some(Step::Credssp),
        cause: "Kerberos knows the server by another name: the client gives up before it sends anything",
        fix: "use the full name of the server; `setspn -L SERVER` must list TERMSRV/NAME, `setspn -X` finds names given twice",
        refs: &["RFC 4120 7.5.9"],
        seen: &["fail-krb-unknown-spn-no-ntlm-fallback"],
        weigh: |case| {
            if let Some(weighing) = by_status(case, &[0x8009_0322, 0x8009_0303], Evidence::Told) {
                return Some(weighing);
            }
            if let Some(seen) = kerberos(case, 0x07).or_else(|| kerberos(case, 0x29)) {
                // The client may have gone on with NTLM: what the server refused then is another story.
                let went_on = refused_by_service(case).or_else(|| refused_on_the_wire(case));
                return Some(Weighing::of(Evidence::Told, seen).unless(went_on, Doubt::Strong));
            }
            let left = left_by_client(case)
                .filter(|seen| matches!(seen.what(), What::CredsspRefused { round: 0, .. }));
            Some(Weighing::of(Evidence::Possible, left.or_else(|| may_be_ticket(case))?).missing(KERBEROS))
        },
    },
    Rule {
        id: "rcg-denied",
        step: Some(Step::Credssp),
        cause: "the client asked for Remote Credential Guard, and the server does not take it",
        fix: "on the server: `reg add HKLM\\System\\CurrentControlSet\\Control\\Lsa /v DisableRestrictedAdmin /t REG_DWORD /d 0 /f`; both must be in a domain and use Kerberos: connect by the full name (`klist get TERMSRV/NAME` at the client); to compare, connect without `/remoteGuard`",
        refs: &["MS-RDPBCGR 2.2.1.1.1", "MS-RDPBCGR 2.2.1.2.1"],
        seen: NOT_SEEN,
        weigh: |case| {
            let asked = case.find(
                |what| matches!(what, What::ConnectionRequest { flags, .. } if flags & GUARD_ASKED != 0),
            )?;
            let confirmed = case.find(|what| matches!(what, What::ConnectionConfirm { .. }))?;
            let What::ConnectionConfirm { flags, .. } = confirmed.what() else { return None };
            let in_question = case.session.broke_at >= Some(Step::Tls)
                && (case.session.outcome.is_failure() && any_status(case).is_none());
            let not_taken = flags & GUARD_TAKEN == 0;
            let kind = if not_taken { Evidence::Shape } else { Evidence::Possible };
            let kerberos = any_kerberos(case);
            let weighing = Weighing::of(kind, asked).and(Some(confirmed)).surer(kerberos, Support::Slight);
            in_question.then(|| weighing.missing(CLIENT_LOGS))
        },
    },
    Rule {
        id: "account-locked",
        step: Some(Step::Credssp),
        cause: "the account is locked after too many wrong passwords",
        fix: "`Unlock-ADAccount NAME`, or wait for the time of the lockout policy; find what goes on trying an old password (Security 4740 on the domain controller names the computer)",
        refs: &["MS-ERREF 2.3.1"],
        seen: &["fail-nla-status-locked"],
        weigh: |case| {
            let locked = case.find(|what| matches!(what, What::AccountLockedOut {}));
            by_status(case, &[0xc000_0234], Evidence::Code)
                .map(|weighing| weighing.and(locked))
                .or_else(|| Some(Weighing::of(Evidence::Told, locked?).and(refused_silently(case))))
        },
    },
    Rule {
        id: "account-disabled",
        step: Some(Step::Credssp),
        cause: "the account is disabled",
        fix: "`Enable-ADAccount NAME`, or `net user NAME /active:yes` for a local account",
        refs: &["MS-ERREF 2.3.1"],
        seen: &["fail-nla-status-disabled"],
        weigh: |case| by_status(case, &[0xc000_0072], Evidence::Code),
    },
    Rule {
        id: "account-expired",
        step: Some(Step::Credssp),
        cause: "the account has expired",
        fix: "`Set-ADAccountExpiration NAME -DateTime DATE`, or `net user NAME /expires:never`",
        refs: &["MS-ERREF 2.3.1"],
        seen: NOT_SEEN,
        weigh: |case| by_status(case, &[0xc000_0193], Evidence::Code),
    },
    Rule {
        id: "password-expired",
        step: Some(Step::Credssp),
        cause: "the password has expired, and NLA cannot change it",
        fix: "change the password where that is possible (at a domain computer, on the web page of RD Web Access, by `Set-ADAccountPassword`) and try again",
        refs: &["MS-ERREF 2.3.1"],
        seen: &["nla-status-password-expired"],
        weigh: |case| {
            by_status(case, &[0xc000_0071], Evidence::Code).or_else(|| {
                Some(Weighing::of(Evidence::Told, kerberos(case, 0x17)?).and(refused_by_service(case)))
            })
        },
    },
    Rule {
        id: "password-must-change",
        step: Some(Step::Credssp),
        cause: "the password must be changed at the next logon, and NLA cannot change it",
        fix: "change the password elsewhere, or take the mark off: `Set-ADUser NAME -ChangePasswordAtLogon $false`",
        refs: &["MS-ERREF 2.3.1"],
        seen: &["fail-nla-status-must_change"],
        weigh: |case| by_status(case, &[0xc000_0224], Evidence::Code),
    },
    Rule {
        id: "network-logon-right",
        step: Some(Step::Credssp),
        cause: "the password is right, but the account lacks the right to log on to this server: with NLA that is `Access this computer from the network` besides `Allow log on through Remote Desktop Services`",
        fix: "look at both rights and at the two `Deny ...` ones in `secpol.msc`, User Rights Assignment, and at the group Remote Desktop Users: `Add-LocalGroupMember 'Remote Desktop Users' NAME`",
        refs: &["MS-ERREF 2.3.1"],
        seen: &["fail-nla-status-logon_type_not_granted"],
        weigh: |case| {
            let logged = case.find(|what| {
                matches!(what, What::LogonFailed { logon_type: 3, .. })
                    && status_of(what).is_some_and(|status| status.plain() == NOT_GRANTED)
            });
            let sent = case.find(|what| {
                matches!(what, What::CredsspRefused { status: Some(status), .. } if status.plain() == NOT_GRANTED)
            });
            logged
                .map(|seen| Weighing::of(Evidence::Code, seen).and(sent))
                .or_else(|| Some(Weighing::of(Evidence::Told, sent?).missing(RIGHTS)))
        },
    },
    Rule {
        id: "trust-broken",
        step: Some(Step::Credssp),
        cause: "the trust between the server and its domain, or between domains, is broken",
        fix: "on the server: `Test-ComputerSecureChannel -Repair -Credential DOMAIN\\ADMIN`; between domains `netdom trust /verify`; a cloned computer must join again",
        refs: &["MS-ERREF 2.3.1"],
        seen: NOT_SEEN,
        weigh: |case| {
            by_status(
                case,
                &[0xc000_018a, 0xc000_018b, 0xc000_018c, 0xc000_018d, 0xc000_019b],
                Evidence::Code,
            )
        },
    },
    Rule {
        id: "clock-skew",
        step: Some(Step::Credssp),
        cause: "the clocks differ by more than Kerberos allows (5 minutes)",
        fix: "`w32tm /query /status` on both sides and the domain controller; `w32tm /resync /rediscover`; in a virtual machine let only one service set the clock",
        refs: &["RFC 4120 7.5.9", "MS-ERREF 2.3.1"],
        seen: &["fail-krb-clock-skew"],
        weigh: |case| {
            let off = |what: &What| matches!(what, What::TargetNamed { clock_ms: Some(off), .. } if off.abs() > SKEW_MS);
            by_status(case, &[0xc000_0133, 0x8009_0324], Evidence::Code)
                .or_else(|| Some(Weighing::of(Evidence::Code, kerberos(case, 0x25)?)))
                .or_else(|| Some(Weighing::of(Evidence::Possible, may_be_ticket(case)?).missing(KERBEROS)))
                .map(|weighing| weighing.surer(case.find(off), Support::Slight))
        },
    },
    Rule {
        id: "smartcard-failed",
        step: Some(Step::Credssp),
        cause: "the logon by smart card or certificate failed, or the account must use one and a password was given",
        fix: "with a card: check its PIN counter, the certificate of the domain controller and its revocation list (`certutil -scinfo`, CAPI2/Operational); without one: take `Smart card is required` off the account",
        refs: &["MS-ERREF 2.3.1", "RFC 4556 3.1.3"],
        seen: NOT_SEEN,
        weigh: |case| by_status(case, &[0xc000_02fa, 0xc000_0380, 0xc000_0381, 0xc000_0320], Evidence::Told),
    },
    Rule {
        id: "logon-refused",
        step: Some(Step::Credssp),
        cause: "the server refused the logon with a status that names no single cause",
        fix: "look the status up with `certutil -error CODE`; read Security 4625 of that second on the server",
        refs: &["MS-CSSP 2.2.1"],
        seen: NOT_SEEN,
        weigh: |case| {
            let refused = any_status(case).filter(|seen| !case.explains(seen))?;
            case.failed_at(Step::Credssp)
                .then(|| Weighing::of(Evidence::OneOfSeveral, refused).missing(SUB_STATUS))
        },
    },
];

/// Without NLA, the server tells at its logon screen that the password is wrong.
fn typed_wrong<'a>(case: &Case<'a>) -> Option<&'a Seen> {
    let told = (Some(TYPED_WRONG.0), Some(TYPED_WRONG.1));
    case.find(|what| matches!(what, What::SessionInfo { error, data, .. } if (*error, *data) == told))
}

/// The server refused, and nobody could read a status.
fn refused_silently<'a>(case: &Case<'a>) -> Option<&'a Seen> {
    let refused = case.find(|what| matches!(what, What::CredsspRefused { by: Side::Server, .. }))?;
    let unexplained = any_status(case).is_none() && case.foreign_reset().is_none();
    (case.failed_at(Step::Credssp) && unexplained).then_some(refused)
}

/// Refused behind the client's proof of the password.
fn refused_late<'a>(case: &Case<'a>) -> Option<&'a Seen> {
    let refused =
        refused_silently(case).filter(|seen| matches!(seen.what(), What::CredsspRefused { round: 2.., .. }));
    refused.or_else(|| may_be_error_code(case))
}

/// What by its place is an early authorization result may be a refusal of the credentials.
fn may_be_error_code<'a>(case: &Case<'a>) -> Option<&'a Seen> {
    let sized = case.find_last(|what| what.or() == Some(OtherReading::ErrorCode))?;
    (case.failed_at(Step::Authorization) && any_status(case).is_none()).then_some(sized)
}

/// Refused where the messages before were long enough for tickets of Kerberos.
fn may_be_ticket<'a>(case: &Case<'a>) -> Option<&'a Seen> {
    refused_silently(case).filter(|seen| seen.what().or() == Some(OtherReading::Ticket))
}

/// Where the status of the refusal would stand: secrets that have opened the connection already hold none.
fn status(case: &Case<'_>) -> &'static str {
    let is_open = case.find(|what| matches!(what, What::TlsOpened { .. })).is_some();
    if is_open { STATUS_IN_LOGS } else { STATUS }
}

fn left_by_client<'a>(case: &Case<'a>) -> Option<&'a Seen> {
    let left = case.find(|what| matches!(what, What::CredsspRefused { by: Side::Client, .. }))?;
    let unexplained =
        any_status(case).is_none() && any_kerberos(case).is_none() && client_waited(case).is_none();
    (case.failed_at(Step::Credssp) && unexplained && !gave_up(case, left)).then_some(left)
}

/// The client had begun, and left after a silence: what it minds it minds at once.
fn gave_up(case: &Case<'_>, left: &Seen) -> bool {
    let last = case.find_last(|what| matches!(what, What::CredsspMessage { .. }));
    last.is_some_and(|last| left.at.since(last.at) > GAVE_UP_NS)
}

/// The client looked for a domain controller, or asked one, and got neither ticket nor refusal.
fn sought_in_vain<'a>(case: &Case<'a>) -> Option<&'a Seen> {
    let answered = case.find(|what| {
        matches!(
            what,
            What::KerberosGranted { asker: Side::Client, .. }
                | What::KerberosFailed { asker: Some(Side::Client), .. }
        )
    });
    let sought = case.find(|what| match what {
        What::LookupFailed { asker: Side::Client, .. } => true,
        What::ServiceUnreached { asker: Side::Client, service, .. } => service == "kerberos",
        _ => false,
    });
    sought.filter(|_| answered.is_none())
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
