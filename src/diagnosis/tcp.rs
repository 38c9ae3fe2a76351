//! Why the TCP connection did not come up.

use std::net::SocketAddr;

use super::{Case, Doubt, Evidence, NOT_SEEN, Rule, Weighing};
use crate::fact::{Side, What};
use crate::session::{Role, Seen};
use crate::step::Step;
use crate::wire::proxy::ProxyProtocol;

/// SOCKS 5: the server itself refuses (RFC 1928 6).
const SOCKS5_REFUSED: u32 = 5;
const PROXY_LOG: &str = "the log of the proxy: it says what it tried and why it did not go on (at the client `netsh winhttp show proxy` names the proxy)";

const SERVER_CAPTURE: &str = "a capture on the server (`pktmon start --capture` or `tcpdump -w FILE`): it shows whether the SYN arrives there";
const SERVER_LOG: &str = "System and RemoteConnectionManager logs of the server (`wevtutil epl System System.evtx`): they say whether the listener ran";

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "tcp-refused",
        step: Some(Step::Tcp),
        cause: "nothing listens on that port: the server's system answered the SYN with a reset",
        fix: "on the server: `Get-Service TermService`, `qwinsta` (rdp-tcp must say Listen), `netstat -ano | findstr :3389`; \
              `reg query \"HKLM\\SYSTEM\\CurrentControlSet\\Control\\Terminal Server\" /v fDenyTSConnections` must be 0; check the port number that the client uses",
        refs: &["RFC 9293 3.5.2", "RFC 1928 6"],
        seen: &["fail-closed-port-rst"],
        weigh: |case| {
            if let Some(answer) =
                proxy_says(case, |protocol, code| protocol == ProxyProtocol::Socks5 && code == SOCKS5_REFUSED)
            {
                return Some(Weighing::of(Evidence::Told, answer).missing(SERVER_LOG));
            }
            let reset = refused(case)?;
            let foreign = other_hop(case, reset);
            let kind = if foreign { Evidence::OneOfSeveral } else { Evidence::Told };
            Some(Weighing::of(kind, reset).missing(SERVER_LOG))
        },
    },
    Rule {
        id: "listener-down",
        step: Some(Step::Tcp),
        cause: "the RDP listener is not running: Remote Desktop is off, or its service stopped or crashed",
        fix: "`Restart-Service TermService -Force`; look for events 7031, 7034 (Service Control Manager) and 1000 (Application Error, termsrv.dll) before the first failure",
        refs: &["RFC 9293 3.5.2"],
        seen: NOT_SEEN,
        weigh: |case| Some(Weighing::of(Evidence::OneOfSeveral, refused(case)?).missing(SERVER_LOG)),
    },
    Rule {
        id: "middlebox-rst",
        step: Some(Step::Tcp),
        cause: "a firewall answered the SYN with a reset in the server's name",
        fix: "allow the port on the firewall at the hop distance that the time to live of the reset tells (`tracert SERVER`)",
        refs: &["RFC 9293 3.5.2"],
        seen: NOT_SEEN,
        weigh: |case| {
            let reset = refused(case)?;
            other_hop(case, reset).then(|| Weighing::of(Evidence::Mark, reset).missing(SERVER_CAPTURE))
        },
    },
    Rule {
        id: "tcp-filtered",
        step: Some(Step::Tcp),
        cause: "the SYN is dropped without a word: a firewall on the path or on the server, or no host at that address",
        fix: "on the server: `Enable-NetFirewallRule -DisplayGroup \"Remote Desktop\"` and `Get-NetConnectionProfile`; on the way: network security groups and access lists; from the client: `Test-NetConnection SERVER -Port 3389`",
        refs: &["RFC 6298"],
        seen: &["fail-syn-drop"],
        weigh: |case| {
            let syn = unanswered(case)?;
            let icmp = case.find(|what| matches!(what, What::Unreachable { .. }));
            Some(Weighing::of(Evidence::Silence, syn).unless(icmp, Doubt::Excludes).unless(unresolved(case), Doubt::Strong).missing(SERVER_CAPTURE).missing(
                "Security log of the server with auditing of `Filtering Platform Packet Drop` (5152, 5157; `auditpol /set /subcategory:\"Filtering Platform Packet Drop\" /failure:enable`): it names the rule that drops",
            ))
        },
    },
    Rule {
        id: "proxy-blocked",
        step: Some(Step::Tcp),
        cause: "a proxy on the way does not let the client through to the server",
        fix: "look for the client and the port in the log of the proxy; let the client show the credentials that the proxy wants, allow the port there, or exempt the server from the proxy",
        refs: &["RFC 9110 15.5.4", "RFC 9110 15.5.8", "RFC 1928 3", "RFC 1928 6", "RFC 1929 2"],
        seen: NOT_SEEN,
        weigh: |case| {
            let answer = proxy_refused(case)?;
            let What::ProxyAnswered { protocol, code, authentication, .. } = answer.what() else {
                return None;
            };
            let kind = match (protocol, code) {
                _ if *authentication => Evidence::Code,
                (ProxyProtocol::Http, 400..500) | (ProxyProtocol::Socks5, 2 | 7 | 8) => Evidence::Told,
                (ProxyProtocol::Socks5, 1) | (ProxyProtocol::Socks4, _) => Evidence::Even,
                (ProxyProtocol::Http, _) => Evidence::Possible,
                (ProxyProtocol::Socks5, _) => return None,
            };
            Some(Weighing::of(kind, answer).missing(PROXY_LOG))
        },
    },
    Rule {
        id: "proxy-target-unreachable",
        step: Some(Step::Tcp),
        cause: "the proxy could not reach the server: no route, no answer, or a name it cannot resolve",
        fix: "try from the proxy what the client tries: the name (`nslookup SERVER`), the route, and the port; look for the same connection in the log of the proxy",
        refs: &["RFC 9110 15.6.3", "RFC 9110 15.6.5", "RFC 1928 6"],
        seen: NOT_SEEN,
        weigh: |case| {
            let answer = proxy_refused(case)?;
            let What::ProxyAnswered { protocol, code, authentication: false, .. } = answer.what() else {
                return None;
            };
            let kind = match (protocol, code) {
                (ProxyProtocol::Socks5, 3 | 4 | 6) | (ProxyProtocol::Http, 504) => Evidence::Told,
                (ProxyProtocol::Http, 502 | 503) => Evidence::SharedCode,
                (ProxyProtocol::Socks5, 1) | (ProxyProtocol::Socks4, 91) => Evidence::OneOfSeveral,
                _ => return None,
            };
            Some(Weighing::of(kind, answer).missing(PROXY_LOG))
        },
    },
    Rule {
        id: "icmp-unreachable",
        step: Some(Step::Tcp),
        cause: "a router or firewall says that the server cannot be reached",
        fix: "look at routes and access lists of the device that sent the ICMP message; its address is in the evidence",
        refs: &["RFC 792", "RFC 4443 3.1"],
        seen: &["fail-reject-icmp-port", "fail-host-down-arp"],
        weigh: |case| {
            let icmp = case.find(|what| matches!(what, What::Unreachable { .. }))?;
            case.failed_at(Step::Tcp).then(|| Weighing::of(Evidence::Code, icmp))
        },
    },
    Rule {
        id: "host-asleep",
        step: Some(Step::Tcp),
        cause: "the server is off, asleep or has another address: nobody answers for it",
        fix: "check that the host runs (console, hypervisor, wake-on-LAN) and has the address that the client uses; look for Kernel-Power 42 in its System log",
        refs: &["RFC 792"],
        seen: NOT_SEEN,
        weigh: |case| {
            let host_unreachable = case.find(|what| match what {
                What::Unreachable { kind: 3, code, .. } => matches!(code, 1 | 7),
                What::Unreachable { kind: 1, code, .. } => *code == 3,
                _ => false,
            });
            let missing = "System log of the server (`wevtutil epl System System.evtx`): no events at all at that time, 42 before it and 107 behind it";
            match host_unreachable {
                Some(icmp) if case.failed_at(Step::Tcp) => {
                    Some(Weighing::of(Evidence::Even, icmp).missing(missing))
                }
                Some(_) => None,
                None => {
                    let syn = unanswered(case)?;
                    let weighing = match unresolved(case) {
                        Some(arp) => Weighing::of(Evidence::Silence, arp).and(Some(syn)),
                        None => Weighing::of(Evidence::Possible, syn),
                    };
                    Some(weighing.missing(missing))
                }
            }
        },
    },
    Rule {
        id: "ipv6-or-protocol-block",
        step: Some(Step::Tcp),
        cause: "the client chose the server's IPv6 address and IPv6 does not get through",
        fix: "repair IPv6 on the path or remove the AAAA record that leads there; `Test-NetConnection SERVER -Port 3389` for each address",
        refs: &["RFC 8305 1"],
        seen: NOT_SEEN,
        weigh: |case| {
            let ipv6 = case.session.server().is_some_and(|server| matches!(server, SocketAddr::V6(_)));
            let seen = unanswered(case).filter(|_| ipv6)?;
            Some(Weighing::of(Evidence::OneOfSeveral, seen).missing(
                "a connection to the IPv4 address of the same server: if it works, IPv6 is the reason (`Test-NetConnection ADDRESS -Port 3389`)",
            ))
        },
    },
    Rule {
        id: "port-exhaustion",
        step: Some(Step::Tcp),
        cause: "the host that connects has no port left for outgoing connections",
        fix: "on the host that wrote the event (client, gateway or broker): `Get-NetTCPConnection | Group-Object OwningProcess -NoElement | Sort-Object Count` names the program that holds the ports: restart it; \
              `netsh int ipv4 set dynamicport tcp start=10000 num=55000` gives more",
        refs: &["Tcpip 4227, 4231", "RFC 6056 2.1"],
        seen: NOT_SEEN,
        weigh: |case| {
            let steps = [Step::Tcp, Step::GatewayTransport, Step::GatewayChannel, Step::Redirection];
            let in_question = steps.iter().any(|step| case.failed_at(*step));
            let connects =
                |seen: &&Seen| matches!(case.part(seen), Some(Role::Client | Role::Gateway | Role::Broker));
            // 4227 is of one pair of ends only, 4231 of the host.
            let all = case.logged("tcpip", &[4231]).filter(connects).map(|seen| (Evidence::Told, seen));
            let one = || case.logged("tcpip", &[4227]).filter(connects).map(|seen| (Evidence::Shape, seen));
            let (kind, seen) = all.or_else(one).filter(|_| in_question)?;
            let answered =
                case.find(|what| matches!(what, What::SynAnswered { .. } | What::Unreachable { .. }));
            Some(Weighing::of(kind, seen).unless(answered, Doubt::Strong))
        },
    },
    Rule {
        id: "max-incomplete",
        step: Some(Step::Tcp),
        cause: "the server resets new connections at once: too many are half open",
        fix: "restrict who can reach the port (VPN, RD Gateway, firewall scope); look for event 1006 in RemoteConnectionManager/Admin",
        refs: &["MS-RDPBCGR 1.3.1.1"],
        seen: NOT_SEEN,
        weigh: |case| {
            let reset =
                case.find(|what| matches!(what, What::Reset { by: Side::Server, answers_syn: false, .. }))?;
            let before_request = case.find(|what| matches!(what, What::ConnectionRequest { .. })).is_none();
            let crowd = || {
                let same = case.story.sessions.iter().filter(|s| s.server() == case.session.server());
                same.take(CROWD_MIN).count() == CROWD_MIN
            };
            (before_request && case.failed_at(Step::Negotiation) && crowd())
                .then(|| Weighing::of(Evidence::Even, reset).missing(SERVER_LOG))
        },
    },
];

/// So many connections to one server are a crowd.
const CROWD_MIN: usize = 20;

/// The last word of a proxy that did not open the connection.
fn proxy_refused<'a>(case: &Case<'a>) -> Option<&'a Seen> {
    proxy_says(case, |_, _| true)
}

fn proxy_says<'a>(case: &Case<'a>, is_meant: fn(ProxyProtocol, u32) -> bool) -> Option<&'a Seen> {
    case.find(|what| match what {
        What::ProxyAnswered { protocol, code, opened: false, retried: false, .. } => {
            is_meant(*protocol, *code)
        }
        _ => false,
    })
    .filter(|_| case.failed_at(Step::Tcp))
}

fn refused<'a>(case: &Case<'a>) -> Option<&'a Seen> {
    case.find(|what| matches!(what, What::Reset { answers_syn: true, .. }))
        .filter(|_| case.failed_at(Step::Tcp))
}

/// The reset came from another distance than the server's packets in other connections.
fn other_hop(case: &Case<'_>, reset: &Seen) -> bool {
    let What::Reset { ttl, .. } = reset.what() else { return false };
    case.server_ttl_elsewhere().is_some_and(|usual| usual != *ttl)
}

/// Nobody has the server's address on its own link.
fn unresolved<'a>(case: &Case<'a>) -> Option<&'a Seen> {
    case.find(|what| matches!(what, What::ArpUnanswered { .. }))
}

fn unanswered<'a>(case: &Case<'a>) -> Option<&'a Seen> {
    let answered =
        case.find(|what| matches!(what, What::SynAnswered { .. } | What::Connected {} | What::Reset { .. }));
    let syn = case.find(|what| matches!(what, What::SynSent { .. }))?;
    (case.failed_at(Step::Tcp) && answered.is_none()).then_some(syn)
}
