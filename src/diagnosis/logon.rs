//! Why the logon behind the connection sequence failed.

use super::active::{error_info, error_info_read};
use super::client_info::denied;
use super::{Case, Evidence, NOT_SEEN, Rule, Support, Weighing};
use crate::fact::{Side, What};
use crate::session::{Outcome, Seen, is_same_user};
use crate::step::Step;
use crate::wire::session_info::LogonErrorType;

/// `RESTRICTED_ADMIN_MODE_REQUIRED` and `REDIRECTED_AUTHENTICATION_MODE_REQUIRED` (MS-RDPBCGR 2.2.1.1.1).
const RESTRICTED: u8 = 0x03;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "session-ended-at-logon",
        step: Some(Step::Logon),
        cause: "the server ended the connection right after the desktop was set up, without a reason on the wire: the logon behind it failed or was refused",
        fix: "read the server's logs of that second: Security 4625 (logon type 10), LocalSessionManager 40 and 23, Winlogon and User Profile Service in Application",
        refs: &["MS-RDPBCGR 1.3.1.4"],
        seen: &["fail-rdpsec-auth-after-active"],
        weigh: |case| {
            let closed = case.find(|what| {
                matches!(what, What::Closed { by: Side::Server } | What::Reset { by: Side::Server, .. })
            })?;
            let missing = "Security log of the server (`auditpol /set /subcategory:Logon /failure:enable`, then `wevtutil epl Security security.evtx`): 4625 with logon type 10";
            let in_silence = case.failed_at(Step::Logon) && !error_info_read(case);
            in_silence.then(|| Weighing::of(Evidence::Even, closed).missing(missing))
        },
    },
    Rule {
        id: "winlogon-crash",
        step: Some(Step::Logon),
        cause: "Winlogon, or the Windows subsystem, of the session crashed on the server",
        fix: "Application log of the server: Application Error 1000 names the faulting module; take third-party credential providers and notification packages off; `sfc /scannow`",
        refs: &["MS-RDPBCGR 2.2.5.1.1"],
        seen: NOT_SEEN,
        weigh: |case| {
            let died = case
                .logged("winlogon", &[4005, 4006])
                .or_else(|| case.crashed("winlogon.exe"))
                .filter(|_| case.failed_behind_sign_in());
            match (error_info(case, &[0x17, 0x18]), died) {
                (Some(said), died) => Some(Weighing::of(Evidence::Told, said).surer(died, Support::Slight)),
                (None, died) => Some(Weighing::of(Evidence::SharedCode, died?).and(denied(case))),
            }
        },
    },
    Rule {
        id: "session-create-failed",
        step: Some(Step::Logon),
        cause: "the server could not make a session, or find the one to connect to",
        fix: "System and Application of the server in that minute: services that hang, memory, the registry hive of the session; `query session` shows sessions in state `Down`: restart the server if they stay",
        refs: &["RemoteConnectionManager 1036, 1066", "LocalSessionManager 43, 48 to 53"],
        seen: NOT_SEEN,
        weigh: |case| {
            let failed = case
                .logged("rcm", &[1036, 1066])
                .map(|seen| (Evidence::SharedCode, seen))
                .or_else(|| Some((Evidence::ByTime, case.logged("lsm", &[43, 48, 49, 50, 51, 52, 53])?)));
            let (kind, seen) = failed.filter(|_| case.failed_behind_sign_in())?;
            Some(Weighing::of(kind, seen).surer(denied(case), Support::Clear))
        },
    },
    Rule {
        id: "profile-failed",
        step: Some(Step::Logon),
        cause: "the user's profile could not be loaded",
        fix: "on the server: the profile's path and rights, free space, and `HKLM\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion\\ProfileList` (a key that ends in `.bak`); with roaming profiles or containers the file server's path",
        refs: &["User Profile Service 1500 to 1508, 1515, 1521, 1542"],
        seen: NOT_SEEN,
        weigh: |case| {
            let failed =
                case.logged("profiles", &[1500, 1501, 1502, 1503, 1505, 1506, 1508, 1515, 1521, 1542])?;
            let temporary = case.logged("profiles", &[1511]);
            let weighing =
                Weighing::of(Evidence::ByTime, failed).and(temporary).surer(denied(case), Support::Clear);
            case.failed_behind_sign_in().then_some(weighing)
        },
    },
    Rule {
        id: "max-sessions",
        step: Some(Step::Logon),
        cause: "the host has no session left: other users have all that it may have",
        fix: "on the host: `query session`, then `logoff ID` for those that nobody needs; more than two at a time need the role of a session host with licences; for administration `mstsc /admin /v:SERVER`",
        refs: &["MS-RDPBCGR 2.2.10.1.1.4.1.1"],
        seen: NOT_SEEN,
        weigh: |case| {
            let asked = contention(case, &[LogonErrorType::BUMP_OPTIONS])?;
            let other = others_active(case);
            let missing =
                "`query session` of the host at that time: how many sessions were active, and of whom";
            case.failed_at(Step::Logon).then(|| {
                Weighing::of(Evidence::OneOfSeveral, asked).surer(other, Support::Strong).missing(missing)
            })
        },
    },
    Rule {
        id: "arbitration-declined",
        step: Some(Step::Logon),
        cause: "another user has the session and did not let this one in",
        fix: "ask the user who is logged on, or try later; an administrator can end that session: `query session /server:SERVER`, `logoff ID /server:SERVER`",
        refs: &["MS-RDPBCGR 2.2.10.1.1.4.1.1", "RemoteConnectionManager 1151"],
        seen: NOT_SEEN,
        weigh: |case| {
            let declined = case.find(|what| matches!(what, What::ArbitrationDeclined {}));
            let refused = contention(case, &[LogonErrorType::DISCONNECT_REFUSED]);
            let asked =
                contention(case, &[LogonErrorType::SESSION_BUSY_OPTIONS, LogonErrorType::BUMP_OPTIONS]);
            let weighing = match (declined, refused, asked) {
                (Some(declined), refused, _) => Weighing::of(Evidence::Code, declined).and(refused),
                (None, Some(refused), _) => Weighing::of(Evidence::Told, refused),
                (None, None, asked) => Weighing::of(Evidence::Even, asked?).missing(
                    "RemoteConnectionManager/Operational of the host (`wevtutil epl CHANNEL FILE.evtx`): 1151 says that the other user refused",
                ),
            };
            case.failed_at(Step::Logon).then_some(weighing)
        },
    },
    Rule {
        id: "autoreconnect-failed",
        step: Some(Step::Logon),
        cause: "the client connected again by itself, and the server did not accept its auto-reconnect cookie",
        fix: "sign in again by hand; find out why the connection was lost before it; LocalSessionManager 23, 39 and 40 of the server say whether the session was logged off or taken over meanwhile; policy `Automatic reconnection` (fDisableAutoReconnect)",
        refs: &["MS-RDPBCGR 2.2.4.1", "MS-RDPBCGR 5.5", "RdpCoreTS 146", "RemoteConnectionManager 1041"],
        seen: NOT_SEEN,
        weigh: |case| {
            let refused = case
                .find(|what| matches!(what, What::AutoReconnectRefused { .. }))
                .or_else(|| case.logged("rcm", &[1041]))
                .or_else(|| case.logged("rdpcorets", &[146]))?;
            let client = case.logged("rdpclient", &[1015]);
            case.failed_at(Step::Logon).then(|| Weighing::of(Evidence::Told, refused).and(client))
        },
    },
    Rule {
        id: "slow-logon",
        step: Some(Step::Logon),
        cause: "the logon took so long that the connection ended before there was a session",
        fix: "on the server: GroupPolicy/Operational of that logon (8001 has the seconds), Winlogon 6005 and 6006 in Application name the part that takes long; `gpresult /h report.html`; `nltest /dsgetdc:DOMAIN` and the path of the profile",
        refs: &[
            "Winlogon 6005, 6006",
            "RemoteConnectionManager 20498, 20499",
            "LocalSessionManager 41, 48 to 53",
        ],
        seen: NOT_SEEN,
        weigh: |case| {
            let began = case.find(|what| matches!(what, What::ArbitrationBegan {}))?;
            let slow = logged_slow(case)?;
            let in_question = case.session.outcome == Outcome::Broke && case.failed_at(Step::Logon);
            let missing = "GroupPolicy/Operational and Application (Winlogon, User Profile Service) of the server in these minutes (`wevtutil epl CHANNEL FILE.evtx`)";
            in_question.then(|| {
                Weighing::of(Evidence::Even, began).surer(Some(slow), Support::Strong).missing(missing)
            })
        },
    },
    Rule {
        id: "restricted-admin-denied",
        step: Some(Step::Logon),
        cause: "the server ended the new session by itself right at the logon, as it does when it refuses Restricted Admin",
        fix: "on the server: `reg add HKLM\\System\\CurrentControlSet\\Control\\Lsa /v DisableRestrictedAdmin /t REG_DWORD /d 0 /f`; the user must be an administrator there; or connect without `/restrictedAdmin`",
        refs: &["MS-RDPBCGR 2.2.5.1.1"],
        seen: NOT_SEEN,
        weigh: |case| {
            let missing = "Security log of the server (`wevtutil epl Security security.evtx`): 4625 and 4624 of that second; whether the client ran with /restrictedAdmin";
            let asked = case.find(
                |what| matches!(what, What::ConnectionRequest { flags, .. } if flags & RESTRICTED != 0),
            );
            let said = error_info(case, &[0xb]).filter(|_| case.failed_at(Step::Logon));
            match (said, asked) {
                (Some(said), Some(asked)) => Some(Weighing::of(Evidence::SharedCode, said).and(Some(asked))),
                (Some(said), None) => Some(Weighing::of(Evidence::Even, said).missing(missing)),
                (None, asked) => case
                    .failed_at(Step::Logon)
                    .then_some(asked)
                    .flatten()
                    .map(|asked| Weighing::of(Evidence::Shape, asked).missing(missing)),
            }
        },
    },
    Rule {
        id: "saved-creds-refused",
        step: Some(Step::Logon),
        cause: "the server does not accept stored credentials and wants the password typed",
        fix: "type the password; or policy `Always prompt for password upon connection` (fPromptForPassword) to Disabled on the server",
        refs: &["MS-RDPBCGR 2.2.5.1.1"],
        seen: NOT_SEEN,
        weigh: |case| Some(Weighing::of(Evidence::Told, error_info(case, &[0xa])?)),
    },
    Rule {
        id: "resource-exhaustion",
        step: Some(Step::Logon),
        cause: "the server has not enough memory for the session",
        fix: "System log of the server: Resource-Exhaustion-Detector 2004 names the programs; end them, add memory or page file, or restart",
        refs: &["MS-RDPBCGR 2.2.5.1.1"],
        seen: NOT_SEEN,
        weigh: |case| Some(Weighing::of(Evidence::Told, error_info(case, &[0x6])?)),
    },
];

/// Winlogon shows the user that somebody else has the session.
fn contention<'a>(case: &Case<'a>, wanted: &[LogonErrorType]) -> Option<&'a Seen> {
    case.find(|what| matches!(what, What::SessionInfo { error: Some(error), .. } if wanted.contains(error)))
}

/// The beginning of the second of two sessions of other users on the same host, both open then: for administration there
/// are two.
fn others_active<'a>(case: &Case<'a>) -> Option<&'a Seen> {
    let host = |session: &crate::session::Session| session.server().map(|end| end.ip());
    let user = case.session.user_name()?;
    let other = |session: &&crate::session::Session| {
        let open = session.start <= case.session.start && session.end >= case.session.start;
        let another = session.user_name().is_some_and(|other| !is_same_user(other, user));
        session.outcome == Outcome::Active && open && another && host(session) == host(case.session)
    };
    case.story.sessions.iter().filter(other).nth(1)?.facts.first()
}

/// Something took too long, by the logs of the server.
pub(super) fn logged_slow<'a>(case: &Case<'a>) -> Option<&'a Seen> {
    case.logged("winlogon", &[6005, 6006])
        .or_else(|| case.logged("rcm", &[20498, 20499]))
        .or_else(|| case.logged("lsm", &[43, 48, 49, 50, 51, 52, 53]))
}
