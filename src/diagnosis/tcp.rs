//! Why the TCP connection did not come up.

use std::net::SocketAddr;

use super::{Case, Rule, Weighing};
use crate::fact::{Side, What};
use crate::session::Seen;
use crate::step::Step;

const SERVER_CAPTURE: &str = "a capture on the server: it shows whether the SYN arrives there";
const SERVER_LOG: &str = "System and RemoteConnectionManager logs of the server (`wevtutil epl System System.evtx`): they say whether the listener ran";

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "tcp-refused",
        step: Some(Step::Tcp),
        cause: "nothing listens on that port: the server's system answered the SYN with a reset",
        fix: "on the server: `Get-Service TermService`, `qwinsta` (rdp-tcp must say Listen), `netstat -ano | findstr :3389`; \
              `reg query \"HKLM\\SYSTEM\\CurrentControlSet\\Control\\Terminal Server\" /v fDenyTSConnections` must be 0; check the port number that the client uses",
        refs: &["RFC 9293 3.5.2", "lab: fail-closed-port-rst"],
        weigh: |case| {
            let reset = refused(case)?;
            let foreign = other_hop(case, reset);
            Some(Weighing::of(if foreign { 40 } else { 90 }, reset).missing(SERVER_LOG))
        },
    },
    Rule {
        id: "listener-down",
        step: Some(Step::Tcp),
        cause: "the RDP listener is not running: Remote Desktop is off, or its service stopped or crashed",
        fix: "`Restart-Service TermService -Force`; look for events 7031, 7034 (Service Control Manager) and 1000 (Application Error, termsrv.dll) before the first failure",
        refs: &["lab: fail-closed-port-rst"],
        weigh: |case| Some(Weighing::of(35, refused(case)?).missing(SERVER_LOG)),
    },
    Rule {
        id: "middlebox-rst",
        step: Some(Step::Tcp),
        cause: "a firewall answered the SYN with a reset in the server's name",
        fix: "allow the port on the firewall at the hop distance that the time to live of the reset tells (`tracert SERVER`)",
        refs: &["RFC 9293 3.5.2"],
        weigh: |case| {
            let reset = refused(case)?;
            other_hop(case, reset).then(|| Weighing::of(75, reset).missing(SERVER_CAPTURE))
        },
    },
    Rule {
        id: "tcp-filtered",
        step: Some(Step::Tcp),
        cause: "the SYN is dropped without a word: a firewall on the path or on the server, or no host at that address",
        fix: "on the server: `Enable-NetFirewallRule -DisplayGroup \"Remote Desktop\"` and `Get-NetConnectionProfile`; on the way: network security groups and access lists; from the client: `Test-NetConnection SERVER -Port 3389`",
        refs: &["RFC 6298", "lab: fail-syn-drop"],
        weigh: |case| {
            let syn = unanswered(case)?;
            let icmp = case.find(|what| matches!(what, What::Unreachable { .. }));
            Some(Weighing::of(80, syn).unless(icmp, 60).missing(SERVER_CAPTURE).missing(
                "Security log of the server with auditing of `Filtering Platform Packet Drop` (5152, 5157): it names the rule that drops",
            ))
        },
    },
    Rule {
        id: "icmp-unreachable",
        step: Some(Step::Tcp),
        cause: "a router or firewall says that the server cannot be reached",
        fix: "look at routes and access lists of the device that sent the ICMP message; its address is in the evidence",
        refs: &["RFC 792", "RFC 4443 3.1", "lab: fail-reject-icmp-port, fail-host-down-arp"],
        weigh: |case| {
            let icmp = case.find(|what| matches!(what, What::Unreachable { .. }))?;
            case.failed_at(Step::Tcp).then(|| Weighing::of(93, icmp))
        },
    },
    Rule {
        id: "host-asleep",
        step: Some(Step::Tcp),
        cause: "the server is off, asleep or has another address: nobody answers for it",
        fix: "check that the host runs (console, hypervisor, wake-on-LAN) and has the address that the client uses; look for Kernel-Power 42 in its System log",
        refs: &["RFC 792", "lab: fail-host-down-arp"],
        weigh: |case| {
            let host_unreachable = case.find(|what| match what {
                What::Unreachable { kind: 3, code, .. } => matches!(code, 1 | 7),
                What::Unreachable { kind: 1, code, .. } => *code == 3,
                _ => false,
            });
            let missing =
                "System log of the server: no events at all at that time, 42 before it and 107 behind it";
            match host_unreachable {
                Some(icmp) if case.failed_at(Step::Tcp) => Some(Weighing::of(60, icmp).missing(missing)),
                Some(_) => None,
                None => Some(Weighing::of(25, unanswered(case)?).missing(missing)),
            }
        },
    },
    Rule {
        id: "ipv6-or-protocol-block",
        step: Some(Step::Tcp),
        cause: "the client chose the server's IPv6 address and IPv6 does not get through",
        fix: "repair IPv6 on the path or remove the AAAA record that leads there; `Test-NetConnection SERVER -Port 3389` for each address",
        refs: &["RFC 8305 1"],
        weigh: |case| {
            let ipv6 = case.session.server().is_some_and(|server| matches!(server, SocketAddr::V6(_)));
            let seen = unanswered(case).filter(|_| ipv6)?;
            Some(Weighing::of(45, seen).missing(
                "a connection to the IPv4 address of the same server: if it works, IPv6 is the reason",
            ))
        },
    },
    Rule {
        id: "max-incomplete",
        step: Some(Step::Tcp),
        cause: "the server resets new connections at once: too many are half open",
        fix: "restrict who can reach the port (VPN, RD Gateway, firewall scope); look for event 1006 in RemoteConnectionManager/Admin",
        refs: &["MS-RDPBCGR 1.3.1.1"],
        weigh: |case| {
            let reset =
                case.find(|what| matches!(what, What::Reset { by: Side::Server, answers_syn: false, .. }))?;
            let before_request = case.find(|what| matches!(what, What::ConnectionRequest { .. })).is_none();
            let crowd = case.story.sessions.iter().filter(|s| s.server() == case.session.server()).count();
            (before_request && crowd >= 20 && case.failed_at(Step::Negotiation))
                .then(|| Weighing::of(50, reset).missing(SERVER_LOG))
        },
    },
];

fn refused<'a>(case: &Case<'a>) -> Option<&'a Seen> {
    case.find(|what| matches!(what, What::Reset { answers_syn: true, .. }))
        .filter(|_| case.failed_at(Step::Tcp))
}

/// The reset came from another distance than the server's packets in other connections.
fn other_hop(case: &Case<'_>, reset: &Seen) -> bool {
    let What::Reset { ttl, .. } = reset.what() else { return false };
    case.server_ttl_elsewhere().is_some_and(|usual| usual != *ttl)
}

fn unanswered<'a>(case: &Case<'a>) -> Option<&'a Seen> {
    let answered =
        case.find(|what| matches!(what, What::SynAnswered { .. } | What::Connected {} | What::Reset { .. }));
    let syn = case.find(|what| matches!(what, What::SynSent { .. }))?;
    (case.failed_at(Step::Tcp) && answered.is_none()).then_some(syn)
}
