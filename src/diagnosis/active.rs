//! Why a running session was lost.

use super::{Case, Rule, Weighing};
use crate::fact::{Side, What};
use crate::session::Seen;
use crate::step::Step;

pub(super) const SERVER_LOGS: &str = "RemoteDesktopServices-RdpCoreTS/Operational and TerminalServices-LocalSessionManager/Operational of the server around that second";

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "vpn-drop",
        step: Some(Step::Active),
        cause: "the network between client and server was lost during the session: VPN, Wi-Fi or a device on the way",
        fix: "look at the VPN and Wi-Fi events of the client at that minute; set KeepAliveInterval on the server so that dead sessions are noticed; let the client reconnect (`autoreconnection enabled:i:1`)",
        refs: &["RFC 9293 3.8.1", "lab: fail-link-lost-mid-session"],
        weigh: |case| {
            let silent = case.find_last(|what| {
                matches!(what, What::Unanswered { peer_silent: true, .. } | What::ProbesUnanswered { .. })
            })?;
            let missing = "a capture at the other end, or RdpCoreTS 142/143 with 121 and LocalSessionManager 24 of the server";
            case.failed_at(Step::Active).then(|| Weighing::of(85, silent).missing(missing))
        },
    },
    Rule {
        id: "error-info-hidden",
        step: Some(Step::Active),
        cause: "the server ended the connection on purpose and said why (Set Error Info), but the code is encrypted",
        fix: "read the code where it stands in clear: RdpCoreTS/Operational of the server, event 72 with SetErrorInfo and 103; \
              or the second number of the client's message (`Extended error code`)",
        refs: &["MS-RDPBCGR 2.2.5.1.1", "lab: denied-0x7"],
        weigh: |case| {
            let read = error_info_read(case);
            let said = case.find(|what| matches!(what, What::ErrorInfoShaped {})).filter(|_| !read)?;
            let ended = case.find(|what| matches!(what, What::Ultimatum { by: Side::Server, .. }));
            let missing = "RemoteDesktopServices-RdpCoreTS/Operational of the server, or the TLS secrets of this connection";
            case.session
                .outcome
                .is_failure()
                .then(|| Weighing::of(55, said).surer(ended, 20).missing(missing))
        },
    },
    Rule {
        id: "replaced",
        step: Some(Step::Active),
        cause: "another connection took the session over: the same user connected from elsewhere",
        fix: "expected where one user may have one session; on a session host see `fSingleSessionPerUser` and who shares the account",
        refs: &["MS-RDPBCGR 2.2.5.1.1", "lab: replaced-0x5"],
        weigh: |case| Some(Weighing::of(92, error_info(case, &[0x5])?)),
    },
    Rule {
        id: "idle-limit",
        step: Some(Step::Active),
        cause: "the session was idle for longer than its limit",
        fix: "policy `Set time limit for active but idle Remote Desktop Services sessions` (MaxIdleTime), or the limit of the collection",
        refs: &["MS-RDPBCGR 2.2.5.1.1", "lab: ended-idle-0x3"],
        weigh: |case| Some(Weighing::of(92, error_info(case, &[0x3])?)),
    },
    Rule {
        id: "session-limit",
        step: Some(Step::Active),
        cause: "the session reached its time limit",
        fix: "policy `Set time limit for active Remote Desktop Services sessions` (MaxConnectionTime), or the limit of the collection",
        refs: &["MS-RDPBCGR 2.2.5.1.1", "lab: ended-session-limit-0x4"],
        weigh: |case| Some(Weighing::of(92, error_info(case, &[0x4])?)),
    },
    Rule {
        id: "admin-disconnect",
        step: Some(Step::Active),
        cause: "an administrator, or a program of theirs, disconnected the session or logged it off",
        fix: "nothing to repair; LocalSessionManager 40 and 23 of the server, and Security 4779 and 4647, tell when, and by whom as far as it was audited",
        refs: &["MS-RDPBCGR 2.2.5.1.1", "lab: ended-by-admin-0x1"],
        weigh: |case| Some(Weighing::of(90, error_info(case, &[0x1, 0x2])?)),
    },
    Rule {
        id: "server-shutdown",
        step: Some(Step::Active),
        cause: "the server was shutting down or restarting",
        fix: "wait and connect again; System log of the server, User32 1074, tells who or what restarted it",
        refs: &["MS-RDPBCGR 2.2.5.1.1", "lab: ended-shutdown-0x19"],
        weigh: |case| Some(Weighing::of(92, error_info(case, &[0x19, 0x1a])?)),
    },
    Rule {
        id: "graphics-failure",
        step: Some(Step::Active),
        cause: "the graphics of the session failed on the server: display driver, desktop window manager or encoder",
        fix: "update the graphics driver of the server; policy `Use WDDM graphics display driver for Remote Desktop Connections` to Disabled (fEnableWddmDriver 0); turn AVC444 and hardware encoding off; fewer monitors",
        refs: &["MS-RDPBCGR 2.2.5.1.1"],
        weigh: |case| {
            let codes = [0xf, 0x10, 0x11, 0x12, 0x112d, 0x112e, 0x112f];
            let missing =
                "Application log of the server: Application Error 1000 (dwm.exe, a driver), Dwminit, Display";
            Some(Weighing::of(85, error_info(case, &codes)?).missing(missing))
        },
    },
    Rule {
        id: "ended-by-code",
        step: Some(Step::Active),
        cause: "the server ended the connection with a code of Set Error Info that names no single cause",
        fix: "look at what the server did in that second: RdpCoreTS/Operational 72 and 103, LocalSessionManager 40, System and Application",
        refs: &["MS-RDPBCGR 2.2.5.1.1"],
        weigh: |case| {
            let said = case.find(|what| matches!(what, What::ErrorInfo { code } if code.0 != 0))?;
            (!case.explains(said)).then(|| Weighing::of(35, said).missing(SERVER_LOGS))
        },
    },
];

/// The server gave one of these codes of Set Error Info as its reason.
pub(super) fn error_info<'a>(case: &Case<'a>, codes: &[u32]) -> Option<&'a Seen> {
    case.find(|what| matches!(what, What::ErrorInfo { code } if codes.contains(&code.0)))
}

/// A witness could read the code.
pub(super) fn error_info_read(case: &Case<'_>) -> bool {
    case.find(|what| matches!(what, What::ErrorInfo { code } if code.0 != 0)).is_some()
}
