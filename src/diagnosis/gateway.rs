//! Why an RD Gateway did not let the client through: at the HTTP request, at the tunnel (who may connect), at the channel
//! (where to), or later.

use super::{Case, Evidence, NOT_SEEN, Rule, Support, Weighing, Wording, tls};
use crate::codes::Status;
use crate::fact::{Side, What};
use crate::session::Seen;
use crate::step::Step;

const GATEWAY_LOG: &str = "TerminalServices-Gateway/Operational of the gateway at that minute (`wevtutil epl Microsoft-Windows-TerminalServices-Gateway/Operational gateway.evtx`): 200 to 205 and 300 to 305 name the policy, the user and the resource";
const IIS_LOG: &str = "the IIS log of the gateway (`C:\\inetpub\\logs\\LogFiles`) and its Security log (4625; `wevtutil epl Security security.evtx`) at that second: they name the user and the sub-status";
const NPS_LOG: &str = "Security 6273 of the network policy server (`wevtutil epl Security nps.evtx`): it names the policy that denied";

const CLIENT_LOG: &str = "TerminalServices-RDPClient/Operational of the client at that minute (`wevtutil epl Microsoft-Windows-TerminalServices-RDPClient/Operational client.evtx`): the number in 1026 says what the client had against the gateway";

const SECRETS: &str = "the TLS secrets of the client's connections to the gateway (`SSLKEYLOGFILE`, `--keylog FILE`): they open the code";

const READ_IT_FIRST: &str = "read the code in the gateway's log of that minute, where 201, 301 and 304 name the policy, the user and the resource";

/// The answer to the tunnel or to its authorization, told by its size: its code is encrypted.
static HIDDEN_AT_TUNNEL: Wording = Wording {
    says: "the gateway refused the tunnel, and the code is hidden in its encrypted answer; in order of likelihood: no connection authorization policy (CAP) lets the user or the \
           device in; the gateway wants another way to authenticate or a consent; it has no connection left",
    first: READ_IT_FIRST,
    then: "If it is the policy (201)",
};

/// The same of the answer to the channel.
static HIDDEN_AT_CHANNEL: Wording = Wording {
    says: "the gateway refused the way to the host, and the code is hidden in its encrypted answer; in order of likelihood: no resource authorization policy (RAP) lets the user reach \
           this host under this name and port; the gateway cannot reach or resolve the host",
    first: READ_IT_FIRST,
    then: "If it is the policy (301)",
};

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "gw-unreachable",
        step: Some(Step::GatewayTransport),
        cause: "the client does not reach the RD Gateway",
        fix: "on the client: `Test-NetConnection GATEWAY -Port 443` and `Resolve-DnsName GATEWAY`; check the name in `gatewayhostname:s:`, and that firewalls let TCP 443 (UDP 3391) through",
        refs: &["RFC 9293 3.5.2", "IMsRdpClient5::GetErrorDescription"],
        seen: NOT_SEEN,
        weigh: unreachable,
    },
    Rule {
        id: "gw-cert",
        step: Some(Step::GatewayTransport),
        cause: "the client does not accept the certificate of the RD Gateway",
        fix: "give the gateway a certificate of an authority that the client trusts, in date, with the name that the client uses for it, and a revocation list that the client can reach; \
              bind it in the properties of RD Gateway (`Import-Module RemoteDesktopServices; Set-Item RDS:\\GatewayServer\\SSLCertificate\\Thumbprint THUMBPRINT`)",
        refs: &["RFC 8446 6.2", "RFC 5280 4.1.2.5", "IMsRdpClient5::GetErrorDescription"],
        seen: NOT_SEEN,
        weigh: certificate,
    },
    Rule {
        id: "gw-auth-failed",
        step: Some(Step::GatewayTransport),
        cause: "the RD Gateway did not accept the user's credentials, or the way they were shown",
        fix: "check user and password for the gateway itself (they may differ from the host's); in the .rdp file `gatewaycredentialssource:i:4`, `promptcredentialonce:i:1`; \
              members of Protected Users need Kerberos, that is the KDC proxy; check Windows Authentication with Negotiate and NTLM on /remoteDesktopGateway in IIS",
        refs: &["MS-TSGU 3.3.5.1", "RFC 9110 15.5.2"],
        seen: &["fail-gateway-http-401"],
        weigh: |case| {
            let refused = status(case, |status| status == 401)?;
            let offered =
                case.find(|what| matches!(what, What::GatewayRequest { authorization: Some(_), .. }));
            let kind = if offered.is_some() { Evidence::Told } else { Evidence::SharedCode };
            Some(Weighing::of(kind, refused).and(offered).missing(IIS_LOG))
        },
    },
    Rule {
        id: "gw-kdc-proxy",
        step: Some(Step::GatewayTransport),
        cause: "the KDC proxy of the gateway did not give a Kerberos ticket, so that only NTLM was left, and that was not accepted",
        fix: "publish the KDC proxy on the gateway (`netsh http add urlacl url=https://+:443/KdcProxy user=\"NT authority\\Network Service\"`, service KPSSVC running), or allow NTLM for this user",
        refs: &["MS-KKDCP 3.2.5", "measured in captures of mstsc"],
        seen: NOT_SEEN,
        weigh: |case| {
            let refused = status(case, |status| status == 401)?;
            let failed = case.find(
                |what| matches!(what, What::KdcProxyAsked { status: Some(status) } if *status >= 400),
            )?;
            Some(Weighing::of(Evidence::ByTime, failed).and(Some(refused)).missing(IIS_LOG))
        },
    },
    Rule {
        id: "proxy-blocked",
        step: Some(Step::GatewayTransport),
        cause: "a web proxy on the way wants authentication of its own, or does not let the gateway's HTTP through",
        fix: "let the client reach the gateway without the proxy (`netsh winhttp show proxy`, an exception for the gateway's name), or allow the proxy to pass it untouched",
        refs: &["RFC 9110 15.5.8"],
        seen: NOT_SEEN,
        weigh: |case| Some(Weighing::of(Evidence::Told, status(case, |status| status == 407)?)),
    },
    Rule {
        id: "gw-forbidden",
        step: Some(Step::GatewayTransport),
        cause: "the web server of the gateway forbids the request",
        fix: "look at IP restrictions, URL authorization and required client certificates of /remoteDesktopGateway and /rpc in IIS, and at a web application firewall in front of it",
        refs: &["RFC 9110 15.5.4"],
        seen: NOT_SEEN,
        weigh: |case| {
            Some(Weighing::of(Evidence::Told, status(case, |status| status == 403)?).missing(IIS_LOG))
        },
    },
    Rule {
        id: "gw-not-found",
        step: Some(Step::GatewayTransport),
        cause: "what answers at this address is no RD Gateway: the path does not exist there",
        fix: "check name and port of the gateway (`gatewayhostname:s:`), what a load balancer publishes, and that the role service RD Gateway is installed on this host",
        refs: &["RFC 9110 15.5.5", "MS-TSGU 3.3.5.1"],
        seen: NOT_SEEN,
        weigh: |case| {
            Some(Weighing::of(Evidence::Told, status(case, |status| matches!(status, 404 | 405 | 410))?))
        },
    },
    Rule {
        id: "gw-unavailable",
        step: Some(Step::GatewayTransport),
        cause: "the gateway's service is not there behind its web server, or has no room",
        fix: "on the gateway: `Get-Service TSGateway, W3SVC`, start them; look at the application pool and its limits, and at the load balancer's health checks",
        refs: &["RFC 9110 15.6"],
        seen: NOT_SEEN,
        weigh: |case| {
            Some(Weighing::of(Evidence::Told, status(case, |status| status >= 500)?).missing(GATEWAY_LOG))
        },
    },
    Rule {
        id: "gw-cap-denied",
        step: Some(Step::GatewayTunnel),
        cause: "no connection authorization policy (RD CAP) of the gateway lets this user or device in",
        fix: "add the user's or computer's group to an RD CAP; with a central NPS read 6273 there; an NPS extension for MFA denies in the same way when the second factor is not given",
        refs: &["MS-TSGU 2.2.6", "TerminalServices-Gateway 201"],
        seen: NOT_SEEN,
        weigh: |case| {
            let told = refused(case, &[23003], &[201]).map(|weighing| weighing.missing(NPS_LOG));
            told.or_else(|| refused_by_size(case, false))
        },
    },
    Rule {
        id: "gw-health",
        step: Some(Step::GatewayTunnel),
        cause: "the device does not meet the health policy of the gateway",
        fix: "see what the policy wants (quarantine, NAP); it is gone since Windows Server 2016, remove it from the policy",
        refs: &["MS-TSGU 2.2.6", "TerminalServices-Gateway 204"],
        seen: NOT_SEEN,
        weigh: |case| refused(case, &[23021], &[204]),
    },
    Rule {
        id: "gw-max",
        step: Some(Step::GatewayTunnel),
        cause: "the gateway has as many connections as it may have",
        fix: "raise the limit in the properties of the gateway, end idle connections, or add a gateway to the farm",
        refs: &["MS-TSGU 2.2.6", "TerminalServices-Gateway 203"],
        seen: NOT_SEEN,
        weigh: |case| refused(case, &[23014], &[203]),
    },
    Rule {
        id: "gw-auth-method",
        step: Some(Step::GatewayTunnel),
        cause: "the gateway's policy does not allow this way to authenticate",
        fix: "allow password or smart card in the RD CAP, as the client uses it (`gatewaycredentialssource`)",
        refs: &["MS-TSGU 2.2.6", "TerminalServices-Gateway 305"],
        seen: NOT_SEEN,
        weigh: |case| refused(case, &[23033], &[305]),
    },
    Rule {
        id: "gw-cookie",
        step: Some(Step::GatewayTunnel),
        cause: "the gateway refused the cookie that a portal or broker had given to the client",
        fix: "start the connection from the portal again: the cookie has a time limit; compare the clocks of portal and gateway",
        refs: &["MS-TSGU 2.2.6"],
        seen: NOT_SEEN,
        weigh: |case| refused(case, &[23031, 23032], &[]),
    },
    Rule {
        id: "gw-rap-denied",
        step: Some(Step::GatewayChannel),
        cause: "no resource authorization policy (RD RAP) of the gateway lets this user reach this host and port",
        fix: "add the host to the RAP's group by every name in use (FQDN, NetBIOS, address), the port to its ports, and the user to its groups",
        refs: &["MS-TSGU 2.2.6", "TerminalServices-Gateway 301"],
        seen: NOT_SEEN,
        weigh: |case| {
            let asked = case.find(|what| matches!(what, What::GatewayChannelAsked { .. }));
            let told = refused(case, &[23002], &[301]).map(|weighing| weighing.and(asked));
            told.or_else(|| refused_by_size(case, true))
        },
    },
    Rule {
        id: "gw-target-unreachable",
        step: Some(Step::GatewayChannel),
        cause: "the gateway could not reach the host behind it",
        fix: "on the gateway: `Test-NetConnection HOST -Port 3389` and `Resolve-DnsName HOST`; is the host up, its firewall open for the gateway, the name right",
        refs: &["MS-TSGU 2.2.6", "TerminalServices-Gateway 304"],
        seen: NOT_SEEN,
        weigh: |case| {
            let asked = case.find(|what| matches!(what, What::GatewayChannelAsked { .. }));
            refused(case, &[23005], &[304]).map(|weighing| {
                weighing
                    .and(asked)
                    .missing("a capture on the gateway (`pktmon start --capture` or `tcpdump -w FILE`): what its own connection to the host got as an answer")
            })
        },
    },
    Rule {
        id: "gw-timeout",
        step: Some(Step::GatewayChannel),
        cause: "the gateway ended the session because of a time limit of its policy",
        fix: "change idle and session time-out of the RD CAP, or tell the user",
        refs: &["MS-TSGU 2.2.6", "TerminalServices-Gateway 307"],
        seen: NOT_SEEN,
        weigh: |case| ended(case, &[23030], 307),
    },
    Rule {
        id: "gw-reauth",
        step: Some(Step::GatewayChannel),
        cause: "the gateway wanted the user to authenticate again, and that failed",
        fix: "see which policy changed or which credentials had expired by then; the RD CAP says what happens after a session time-out",
        refs: &["MS-TSGU 2.2.6", "TerminalServices-Gateway 309"],
        seen: NOT_SEEN,
        weigh: |case| ended(case, &[23034, 23035, 23036, 23040], 309),
    },
    Rule {
        id: "gw-refused",
        step: None,
        cause: "the gateway refused, with the code or HTTP status that the evidence shows",
        fix: "look the code up (MS-TSGU 2.2.6, MS-ERREF) and read the gateway's log of that minute",
        refs: &["MS-TSGU 2.2.6"],
        seen: NOT_SEEN,
        weigh: |case| {
            // Sizes show neither code nor status.
            let is_sized = |what: &What| matches!(what, What::GatewayRefusalSized { .. });
            let coded = case.find(|what| what.gateway_refusal().is_some() && !is_sized(what));
            let seen = coded.or_else(|| status(case, |_| true))?;
            (!case.explains(seen)).then(|| Weighing::of(Evidence::Shape, seen).missing(GATEWAY_LOG))
        },
    },
];

/// By the client's own number, or by a connection to a known gateway that was never answered.
fn unreachable(case: &Case<'_>) -> Option<Weighing> {
    let said = case
        .find(|what| matches!(what, What::ClientDisconnected { reason } if reason.is_gateway_unreached()));
    let logged = case.logged("rdpclient", &[1012, 1021]);
    let answered = case.find(|what| matches!(what, What::SynAnswered { .. } | What::Connected {}));
    let outside = case.session.is_outside_gateway() && answered.is_none();
    let tried = case.find(|what| {
        matches!(what, What::Unreachable { .. } | What::Reset { by: Side::Server, answers_syn: true, .. })
    });
    let tried = tried.or_else(|| case.find(|what| matches!(what, What::SynSent { .. }))).filter(|_| outside);
    match (said, tried) {
        (Some(said), tried) => {
            Some(Weighing::of(Evidence::Told, said).and(logged).surer(tried, Support::Slight))
        }
        (None, Some(tried)) => {
            let is_silent = matches!(tried.what(), What::SynSent { .. });
            let kind = if is_silent { Evidence::Silence } else { Evidence::Told };
            Some(Weighing::of(kind, tried).and(logged).missing(CLIENT_LOG))
        }
        (None, None) => None,
    }
}

/// By the client's own number, or by how it left the TLS handshake with a known gateway.
fn certificate(case: &Case<'_>) -> Option<Weighing> {
    let said = case
        .find(|what| matches!(what, What::ClientDisconnected { reason } if reason.is_gateway_certificate()));
    let wrong = tls::wrong_certificate(case).filter(|_| case.session.is_outside_gateway());
    let left = tls::refused_certificate(case).filter(|_| case.session.is_outside_gateway());
    let sent = tls::certificate_alert(case).filter(|_| case.session.is_outside_gateway());
    match (said, sent, left.and(wrong)) {
        (Some(said), sent, wrong) => {
            Some(Weighing::of(Evidence::Code, said).surer(sent.or(wrong), Support::Slight))
        }
        (None, Some(sent), wrong) => {
            Some(Weighing::of(Evidence::Told, sent).surer(wrong, Support::Slight).missing(tls::CLIENT_CAPI2))
        }
        (None, None, Some(wrong)) => Some(
            Weighing::of(Evidence::Shape, wrong).and(left).missing(CLIENT_LOG).missing(tls::CLIENT_CAPI2),
        ),
        (None, None, None) => None,
    }
}

/// The HTTP status with which the gateway left the client, when it is one of the wanted. Programs ask again on another
/// connection: where that gets further, the status was no reason.
fn status<'a>(case: &Case<'a>, wanted: impl Fn(u32) -> bool) -> Option<&'a Seen> {
    let got_further = case.attempt.iter().any(|session| session.reached >= Some(Step::GatewayTransport));
    let failed = case.failed_at(Step::GatewayTransport) && !got_further;
    failed.then(|| {
        case.find_last(|what| {
            matches!(what, What::GatewayStatus { status, last: true, .. } if *status >= 400 && wanted(*status))
        })
    })?
}

/// The gateway refused with one of these codes, or its log has one of these events.
fn refused(case: &Case<'_>, codes: &[u32], events: &[u32]) -> Option<Weighing> {
    let coded =
        |code: Option<Status>| code.and_then(Status::gateway).is_some_and(|code| codes.contains(&code));
    let wanted = |what: &What| match what {
        // What an event means stands in its id; its code may be of something inside.
        What::GatewayEvent { event, .. } => events.contains(event),
        what => what.gateway_refusal().is_some_and(|(code, _)| coded(code)),
    };
    let seen = case.find(wanted)?;
    let other = case.find(|what| wanted(what) && what != seen.what());
    let weighing = Weighing::of(Evidence::Code, seen).and(other);
    let logged = case.find(|what| matches!(what, What::GatewayEvent { .. })).is_some();
    Some(if logged { weighing } else { weighing.missing(GATEWAY_LOG) })
}

/// The gateway ended what it had let in.
/// A refusal of the channel, or of what comes before it, that nothing but its size tells of: the most frequent cause, in
/// words that say what is hidden.
fn refused_by_size(case: &Case<'_>, of_channel: bool) -> Option<Weighing> {
    let sized = case
        .find(|what| matches!(what, What::GatewayRefusalSized { channel, .. } if *channel == of_channel))?;
    let is_sized = |what: &What| matches!(what, What::GatewayRefusalSized { .. });
    if case.find(|what| what.gateway_refusal().is_some() && !is_sized(what)).is_some() {
        return None;
    }
    let wording = if of_channel { &HIDDEN_AT_CHANNEL } else { &HIDDEN_AT_TUNNEL };
    let weighing = Weighing::of(Evidence::OneOfSeveral, sized).worded(Some(wording));
    Some(weighing.missing(GATEWAY_LOG).missing(SECRETS))
}

fn ended(case: &Case<'_>, codes: &[u32], event: u32) -> Option<Weighing> {
    let logged = case.find(|what| matches!(what, What::GatewayEvent { event: e, .. } if *e == event));
    let said = case.find(|what| match what {
        What::GatewayClosed { by: Side::Server, code } => {
            code.gateway().is_some_and(|code| codes.contains(&code))
        }
        _ => false,
    });
    let seen = logged.or(said)?;
    Some(Weighing::of(Evidence::Code, seen).and(said.filter(|said| said.place() != seen.place())))
}
