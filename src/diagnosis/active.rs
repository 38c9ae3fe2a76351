//! Why a running session was lost.

use super::any::BEFORE_SILENCE;
use super::client_info::denied;
use super::logon::logged_slow;
use super::multitransport::path_broken;
use super::{Case, Doubt, Evidence, NOT_SEEN, Rule, Support, Weighing};
use crate::codes::ErrorInfo;
use crate::fact::{Side, What};
use crate::session::{Outcome, Role, Seen};
use crate::step::Step;

const SERVER_LOGS: &str = "RemoteDesktopServices-RdpCoreTS/Operational and TerminalServices-LocalSessionManager/Operational of the server around that second (`wevtutil epl CHANNEL FILE.evtx`)";

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "vpn-drop",
        step: Some(Step::Active),
        cause: "the network between client and server was lost during the session: VPN, Wi-Fi or a device on the way",
        fix: "look at the VPN and Wi-Fi events of the client at that minute; set KeepAliveInterval on the server so that dead sessions are noticed; let the client reconnect (`autoreconnection enabled:i:1`)",
        refs: &["RFC 9293 3.8.1"],
        seen: &["fail-link-lost-mid-session"],
        weigh: |case| {
            let silent = case.find_last(|what| match what {
                What::Unanswered { peer_silent, .. } => *peer_silent,
                What::ProbesUnanswered { .. } => true,
                What::SocketError { code, .. } => code.plain() == 121,
                _ => false,
            })?;
            let missing = "a capture at the other end (`pktmon start --capture` or `tcpdump -w FILE`), or RdpCoreTS 142/143 with 121 and LocalSessionManager 24 of the server";
            let missing = case.other_end(silent, missing, BEFORE_SILENCE);
            case.failed_at(Step::Active).then(|| Weighing::of(Evidence::Silence, silent).missing(missing))
        },
    },
    Rule {
        id: "udp-path-broken",
        step: Some(Step::Active),
        cause: "the session used the UDP transport, and its datagrams stopped passing while TCP still did",
        fix: "turn UDP off to compare: on the client fClientDisableUDP=1, or on the server SelectTransport 1; then look for a firewall or VPN that forgets UDP flows or drops large datagrams (1,232 bytes and more must pass)",
        refs: &["MS-RDPEUDP 3.1.6.3", "MS-RDPEUDP2 3.1.5"],
        seen: NOT_SEEN,
        weigh: path_broken,
    },
    ended(
        "idle-limit",
        &["ended-idle-0x3"],
        "the session was idle for longer than allowed",
        "raise `Set time limit for active but idle Remote Desktop Services sessions` (MaxIdleTime), or let the user work again",
        |case| {
            let limit = case.find(|what| matches!(what, What::LimitReached { limit, .. } if limit == "idle"));
            by_code(case, &[3], limit)
        },
    ),
    ended(
        "session-limit",
        &["ended-session-limit-0x4"],
        "the session lasted for longer than allowed",
        "raise `Set time limit for active Remote Desktop Services sessions` (MaxConnectionTime)",
        |case| {
            let limit =
                case.find(|what| matches!(what, What::LimitReached { limit, .. } if limit == "active"));
            by_code(case, &[4], limit)
        },
    ),
    ended(
        "replaced",
        &["replaced-0x5"],
        "the session was taken over by another connection of the same user",
        "expected when the same user connects again; to allow several: policy `Restrict Remote Desktop Services users to a single session` (fSingleSessionPerUser)",
        |case| by_code(case, &[5], None),
    ),
    ended(
        "admin-disconnect",
        &["ended-by-admin-0x1"],
        "an administrator disconnected or logged off the session",
        "ask who did it: LocalSessionManager 39 names the session that asked",
        |case| {
            let other = case.find(|what| matches!(what, What::SessionEnded { by_session: Some(_), .. }));
            let at_gateway = case.find(|what| matches!(what, What::GatewayEvent { event: 202, .. }));
            by_code(case, &[1, 2], at_gateway).map(|w| w.and(other))
        },
    ),
    ended(
        "server-shutdown",
        &["ended-shutdown-0x19"],
        "the server was shut down or restarted",
        "see who asked and why in event 1074 (User32) of its System log; plan restarts outside of working hours",
        |case| {
            let stopped = case.find(|what| matches!(what, What::HostStopped { event, .. } if *event != 42));
            by_code(case, &[0x19, 0x1a], stopped)
        },
    ),
    Rule {
        id: "error-info-hidden",
        step: Some(Step::Active),
        cause: "the server ended the connection on purpose and said why (Set Error Info), but the code is encrypted",
        fix: "read the code where it stands in clear: RdpCoreTS/Operational of the server, event 72 with SetErrorInfo and 103; \
              or the second number of the client's message (`Extended error code`)",
        refs: &["MS-RDPBCGR 2.2.5.1.1"],
        seen: &["denied-0x7"],
        weigh: |case| {
            let read = error_info_read(case);
            let said = case.find(|what| matches!(what, What::ErrorInfoShaped { .. })).filter(|_| !read)?;
            let other = Some(said).filter(|said| said.what().or().is_some());
            let ended = case.find(|what| matches!(what, What::Ultimatum { by: Side::Server, .. }));
            let missing = "RdpCoreTS of the server (`wevtutil epl Microsoft-Windows-RemoteDesktopServices-RdpCoreTS/Operational core.evtx`), or the TLS secrets of this connection";
            case.session
                .outcome
                .is_failure()
                .then(|| Weighing::of(Evidence::Shape, said).surer(ended, Support::Strong).missing(missing))
                .map(|weighing| if other.is_some() { weighing.at_most(Evidence::Even) } else { weighing })
        },
    },
    Rule {
        id: "black-screen",
        step: Some(Step::Active),
        cause: "the user was logged on, and no desktop came: no shell, no first picture",
        fix: "in the session Ctrl+Alt+End, Task Manager, run `explorer.exe`; on the server: Application of that minute (Winlogon 6005 names the part that takes long, dwm.exe), policy `Use WDDM graphics display driver for Remote Desktop Connections` to Disabled; without add-ins of third parties; `logoff ID` and again",
        refs: &["LocalSessionManager 21, 22", "RdpCoreTS 68"],
        seen: NOT_SEEN,
        weigh: |case| {
            let logged_on = case.find(|what| matches!(what, What::SessionLogon { local: false }))?;
            let came = case.find(|what| {
                matches!(
                    what,
                    What::ShellStarted { .. } | What::FirstPicture { .. } | What::SessionReconnected { .. }
                )
            });
            let broke = case.session.outcome == Outcome::Broke && case.failed_at(Step::Active);
            let missing = "RdpCoreTS/Operational (68) and Application of the server from the logon on (`wevtutil epl CHANNEL FILE.evtx`)";
            (came.is_none() && broke).then(|| {
                Weighing::of(Evidence::Even, logged_on)
                    .surer(logged_slow(case), Support::Clear)
                    .missing(missing)
            })
        },
    },
    Rule {
        id: "client-crash",
        step: Some(Step::Active),
        cause: "the client program crashed",
        fix: "at the client: Application Error 1000 names the faulting module; update Windows and the Remote Desktop client, the display and audio drivers; `mstsc /v:SERVER` with redirection of printers, drives and audio off",
        refs: &["Application Error 1000"],
        seen: NOT_SEEN,
        weigh: |case| {
            let crashed = case
                .crashed("mstsc")
                .or_else(|| case.crashed("msrdc"))
                .filter(|seen| case.part(seen) == Some(Role::Client))?;
            let gone = case.find(|what| {
                what.end() == Some(Side::Client)
                    || matches!(what, What::SocketError { .. } | What::Disconnected { .. })
            });
            (case.session.outcome == Outcome::Broke).then(|| Weighing::of(Evidence::Told, crashed).and(gone))
        },
    },
    Rule {
        id: "server-crash",
        step: Some(Step::Active),
        cause: "Remote Desktop Services crashed on the server, and every connection with them",
        fix: "on the server: Application Error 1000 of that second names the module; install updates, take filters and add-ins of third parties out (printer, audio and graphics drivers); `Get-Service TermService`, `sfc /scannow`",
        refs: &["Service Control Manager 7031, 7034", "LocalSessionManager 18", "Application Error 1000"],
        seen: NOT_SEEN,
        weigh: |case| {
            let died = service_died(case);
            let module = ["rdpcorets", "termservice"].iter().find_map(|name| case.crashed(name));
            let module = module.filter(|seen| case.part(seen) == Some(Role::Server));
            let seen = died.or(module).filter(|_| case.session.outcome == Outcome::Broke)?;
            let second = module.filter(|second| second.place() != seen.place());
            let patched = case.crashed("termsrv.dll").or_else(|| case.crashed("rdpwrap.dll"));
            let kind = if died.is_some() { Evidence::Code } else { Evidence::Told };
            Some(Weighing::of(kind, seen).surer(second, Support::Slight).unless(patched, Doubt::Clear))
        },
    },
    Rule {
        id: "time-machine-offline",
        step: Some(Step::Active),
        cause: "the host went to sleep during the session",
        fix: "on the host that slept: `powercfg /change standby-timeout-ac 0`, `powercfg /lastwake` and `powercfg /requests`; a virtual machine must not be paused or saved while it is used",
        refs: &["Kernel-Power 42, 107"],
        seen: NOT_SEEN,
        weigh: |case| {
            let asleep = case.find(|what| matches!(what, What::HostStopped { event: 42, .. }))?;
            let woke = case.logged("kernel-power", &[107]);
            let server = case.part(asleep) == Some(Role::Server);
            let kind = if server { Evidence::SharedCode } else { Evidence::Shape };
            let in_question = case.session.outcome == Outcome::Broke && case.failed_at(Step::Active);
            in_question.then(|| Weighing::of(kind, asleep).surer(woke, Support::Slight))
        },
    },
    Rule {
        id: "graphics-failure",
        step: Some(Step::Active),
        cause: "the graphics of the session failed on the server: display driver, desktop window manager or encoder",
        fix: "update the graphics driver of the server; policy `Use WDDM graphics display driver for Remote Desktop Connections` to Disabled (fEnableWddmDriver 0); turn AVC444 and hardware encoding off; fewer monitors",
        refs: &["MS-RDPBCGR 2.2.5.1.1"],
        seen: NOT_SEEN,
        weigh: |case| {
            let codes = [0xf, 0x10, 0x11, 0x12, 0x112d, 0x112e, 0x112f];
            let missing = "Application log of the server (`wevtutil epl Application app.evtx`): Application Error 1000 (dwm.exe, a driver), Dwminit, Display";
            let logged = case
                .logged("dwminit", &[0])
                .or_else(|| case.logged("dwm", &[9002, 9020, 9028]))
                .or_else(|| case.crashed("dwm.exe"))
                .or_else(|| case.logged("display", &[4101]))
                .or_else(|| case.logged("rdpcorets", &[35, 36, 161]))
                .filter(|_| case.failed_behind_sign_in());
            match (error_info(case, &codes), logged) {
                (Some(said), None) => Some(Weighing::of(Evidence::SharedCode, said).missing(missing)),
                (Some(said), logged) => {
                    Some(Weighing::of(Evidence::SharedCode, said).surer(logged, Support::Strong))
                }
                (None, logged) => Some(Weighing::of(Evidence::ByTime, logged?).and(denied(case))),
            }
        },
    },
    Rule {
        id: "ended-by-code",
        step: Some(Step::Active),
        cause: "the server ended the connection with a code of Set Error Info that names no single cause",
        fix: "look at what the server did in that second: RdpCoreTS/Operational 72 and 103, LocalSessionManager 40, System and Application",
        refs: &["MS-RDPBCGR 2.2.5.1.1"],
        seen: NOT_SEEN,
        weigh: |case| {
            let said = case.find(|what| given(what).is_some_and(is_reason))?;
            (!case.explains(said)).then(|| Weighing::of(Evidence::OneOfSeveral, said).missing(SERVER_LOGS))
        },
    },
];

const fn ended(
    id: &'static str,
    seen: &'static [&'static str],
    cause: &'static str,
    fix: &'static str,
    weigh: fn(&Case<'_>) -> Option<Weighing>,
) -> Rule {
    Rule {
        id,
        step: Some(Step::Active),
        cause,
        fix,
        refs: &["MS-RDPBCGR 2.2.5.1.1", "LocalSessionManager 40"],
        seen,
        weigh,
    }
}

/// The session was ended with one of these codes, or an event says the same.
fn by_code(case: &Case<'_>, codes: &[u32], event: Option<&Seen>) -> Option<Weighing> {
    let coded = error_info(case, codes);
    let first = event.or(coded)?;
    let second = coded.filter(|coded| coded.place() != first.place());
    case.session.outcome.is_failure().then(|| Weighing::of(Evidence::Code, first).and(second))
}

/// The code of Set Error Info that a fact gives: as it was sent, or as a log of the server tells it.
pub(super) fn given(what: &What) -> Option<ErrorInfo> {
    match what {
        What::ErrorInfo { code } | What::ErrorInfoSet { code } | What::Disconnected { reason: code } => {
            Some(*code)
        }
        What::SessionEnded { reason, .. } => *reason,
        _ => None,
    }
}

/// The server gave one of these codes of Set Error Info as its reason.
pub(super) fn error_info<'a>(case: &Case<'a>, codes: &[u32]) -> Option<&'a Seen> {
    case.find(|what| given(what).is_some_and(|code| codes.contains(&code.0)))
}

/// A code that tells more than that the connection ended: 13 and 14 stand for that in RdpCoreTS 103.
const fn is_reason(code: ErrorInfo) -> bool {
    !matches!(code.0, 0 | 13 | 14) && code.0 < 0x8000_0000
}

/// A witness could read the code.
pub(super) fn error_info_read(case: &Case<'_>) -> bool {
    case.find(|what| given(what).is_some_and(is_reason)).is_some()
}

/// The service control manager, or the session manager, says that Remote Desktop Services died.
fn service_died<'a>(case: &Case<'a>) -> Option<&'a Seen> {
    let named = |detail: &str| {
        detail.split(", ").any(|part| {
            let name = part.split_once('=').map_or(part, |(_, name)| name);
            ["TermService", "Remote Desktop Services", "Terminal Services"].contains(&name)
        })
    };
    let died = case.find(|what| match what {
        What::ServiceProblem { log, event: 7031 | 7034, detail: Some(detail), .. } => {
            log == "scm" && named(detail)
        }
        What::ServiceProblem { log, event: 18, .. } => log == "lsm",
        _ => false,
    });
    died.filter(|seen| case.part(seen) == Some(Role::Server))
}
