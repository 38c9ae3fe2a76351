//! Why a running session was lost.

use super::{Rule, Weighing};
use crate::fact::{Side, What};
use crate::step::Step;

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
            let said = case.find(|what| matches!(what, What::ErrorInfoShaped {}))?;
            let ended = case.find(|what| matches!(what, What::Ultimatum { by: Side::Server, .. }));
            let missing = "RemoteDesktopServices-RdpCoreTS/Operational of the server, or the TLS secrets of this connection";
            case.session
                .outcome
                .is_failure()
                .then(|| Weighing::of(55, said).surer(ended, 20).missing(missing))
        },
    },
    Rule {
        id: "session-ended-at-logon",
        step: Some(Step::Logon),
        cause: "the server ended the connection right after the desktop was set up, without a reason on the wire: the logon behind it failed or was refused",
        fix: "read the server's logs of that second: Security 4625 (logon type 10), LocalSessionManager 40 and 23, Winlogon and User Profile Service in Application",
        refs: &["MS-RDPBCGR 1.3.1.4", "lab: fail-rdpsec-auth-after-active"],
        weigh: |case| {
            let closed = case.find(|what| {
                matches!(what, What::Closed { by: Side::Server } | What::Reset { by: Side::Server, .. })
            })?;
            let missing =
                "Security log of the server with auditing of `Logon` failures: 4625 with logon type 10";
            case.failed_at(Step::Logon).then(|| Weighing::of(55, closed).missing(missing))
        },
    },
];
