//! Why the X.224 negotiation failed.

use super::any::{BEFORE_RESET, request_lost};
use super::{Case, Doubt, Evidence, NOT_SEEN, Rule, Support, Weighing, Wording};
use crate::fact::{Side, What};
use crate::read::table::RDP_PORT;
use crate::session::{Outcome, Role, Security, Seen, Session, insists_on_nla};
use crate::step::Step;
use crate::wire::negotiation::{FailureCode, Protocols};

const SERVER_LOG: &str = "RemoteDesktopServices-RdpCoreTS/Operational of the server (`wevtutil epl Microsoft-Windows-RemoteDesktopServices-RdpCoreTS/Operational core.evtx`): 131 for this client's port shows that the service saw it";

const CLIENT_LOG: &str =
    "the client's own log of that second: it says why it left (FreeRDP: `/log-level:debug`)";
/// A single request at the port of something else.
static PROBE: Wording = Wording {
    says: "the port answers, and what answers is not RDP: one request to the port of another service, likely a scanner or probe that asks every port for RDP",
    first: "if nobody meant to use Remote Desktop there, it was no user and nothing is to be repaired: restrict who can reach the port (firewall scope, VPN)",
    then: "If somebody did",
};

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "hybrid-required",
        step: Some(Step::Negotiation),
        cause: "the server accepts only NLA (CredSSP) and the client did not offer it",
        fix: "let the client use NLA (`enablecredsspsupport:i:1` in the .rdp file, `/sec:nla` with FreeRDP); or allow connections without it on the server: \
              `reg add \"HKLM\\SYSTEM\\CurrentControlSet\\Control\\Terminal Server\\WinStations\\RDP-Tcp\" /v UserAuthentication /t REG_DWORD /d 0 /f` (weaker)",
        refs: &["MS-RDPBCGR 2.2.1.2.2"],
        seen: &["fail-nego-nla-required-client-tls"],
        weigh: |case| {
            let told =
                case.find(|what| matches!(what, What::ClientDisconnected { reason } if reason.0 == 0xb09));
            let (kind, seen) = match (refusal(case, FailureCode::HYBRID_REQUIRED), told) {
                (Some(refused), _) => (Evidence::Code, refused),
                (None, Some(told)) => (Evidence::Told, told),
                (None, None) => return None,
            };
            let second = told.filter(|told| told.place() != seen.place());
            let weighing =
                Weighing::of(kind, seen).and(second).unless(nla_failed_before(case), Doubt::Excludes);
            // Whether that one had agreed on NLA nobody saw.
            Some(match begun_unseen(case) {
                Some(before) => weighing.unless(Some(before), Doubt::Strong).missing(WHOLE_CAPTURE),
                None => weighing,
            })
        },
    },
    Rule {
        id: "hybrid-required-after-nla-fail",
        step: Some(Step::Credssp),
        cause: "the refusal is only the echo of a failed NLA logon: the client tried again without NLA",
        fix: "find out why the connection before it failed at CredSSP; do not switch NLA off",
        refs: &["MS-RDPBCGR 2.2.1.2.2", "measured in captures of mstsc"],
        seen: &["awakecoding_rdp-nla-ntlm-rejected1.pcapng"],
        weigh: |case| {
            let echo = refusal(case, FailureCode::HYBRID_REQUIRED)?;
            if let Some(failed) = nla_failed_before(case) {
                return Some(Weighing::of(Evidence::Mark, failed).and(Some(echo)));
            }
            Some(Weighing::of(Evidence::Even, begun_unseen(case)?).and(Some(echo)).missing(WHOLE_CAPTURE))
        },
    },
    Rule {
        id: "wrong-client-rdp-file",
        step: Some(Step::Negotiation),
        cause: "the client's settings switch NLA off (`enablecredsspsupport:i:0` in the .rdp file)",
        fix: "set `enablecredsspsupport:i:1` and `authentication level:i:2` in the .rdp file, or delete the lines",
        refs: &["MS-RDPBCGR 2.2.1.1.1"],
        seen: NOT_SEEN,
        weigh: |case| {
            let refused = refusal(case, FailureCode::HYBRID_REQUIRED)?;
            let asked = case.find(|what| {
                matches!(what, What::ConnectionRequest { protocols, .. } if !protocols.is_some_and(Protocols::is_nla))
            });
            Some(
                Weighing::of(Evidence::Possible, refused)
                    .and(asked)
                    .unless(nla_failed_before(case), Doubt::Clear)
                    .missing("the .rdp file of the client (`findstr /i credssp FILE.rdp`)"),
            )
        },
    },
    Rule {
        id: "ssl-required",
        step: Some(Step::Negotiation),
        cause: "the server requires TLS and the client did not offer it",
        fix: "update or configure the client for TLS; only for a client that cannot: security layer `Negotiate` on the server (SecurityLayer=1)",
        refs: &["MS-RDPBCGR 2.2.1.2.2"],
        seen: &["fail-nego-shadow3-rdp-vs-tls"],
        weigh: |case| {
            let weighing = Weighing::of(Evidence::Code, refusal(case, FailureCode::SSL_REQUIRED)?);
            // A server that asks for what was offered has settings that exclude each other, or none of its own works.
            Some(match offered(case, Protocols::SSL) {
                Some(offered) => weighing.unless(Some(offered), Doubt::Strong).missing(SERVER_LOG),
                None => weighing,
            })
        },
    },
    Rule {
        id: "nla-not-offered",
        step: Some(Step::Negotiation),
        cause: "the server does not take NLA and chose TLS alone; the client, which insists on NLA, left",
        fix: "switch NLA on at the server (Windows: `reg add \"HKLM\\SYSTEM\\CurrentControlSet\\Control\\Terminal Server\\WinStations\\RDP-Tcp\" /v UserAuthentication /t REG_DWORD /d 1 /f`; xrdp has none); \
              or let the client go on with TLS alone where the certificate is trusted (`/sec:tls` with FreeRDP)",
        refs: &["MS-RDPBCGR 2.2.1.2.1"],
        seen: NOT_SEEN,
        weigh: |case| {
            let chosen = insists_on_nla(case.session).filter(|_| case.failed_at(Step::Negotiation))?;
            Some(Weighing::of(Evidence::Shape, chosen).and(request(case)).missing(CLIENT_LOG))
        },
    },
    Rule {
        id: "ssl-not-allowed",
        step: Some(Step::Negotiation),
        cause: "the server offers only Standard RDP Security and the client demands TLS or NLA",
        fix: "on Windows set SecurityLayer=2 under WinStations\\RDP-Tcp; on xrdp set `security_layer=negotiate` and a certificate in xrdp.ini; \
              a client that may: allow Standard RDP Security (weak)",
        refs: &["MS-RDPBCGR 2.2.1.2.2"],
        seen: &["fail-nego-client-tls-server-rdp"],
        weigh: |case| {
            let chosen = case.find(|what| {
                matches!(what, What::ConnectionConfirm { acceptable: false, protocol, .. }
                if protocol.is_none_or(Protocols::is_standard_security))
            });
            let refused = refusal(case, FailureCode::SSL_NOT_ALLOWED);
            match (refused, chosen) {
                (Some(refused), _) => Some(Weighing::of(Evidence::Code, refused)),
                (None, Some(chosen)) => Some(Weighing::of(Evidence::Told, chosen).and(request(case))),
                (None, None) => None,
            }
        },
    },
    Rule {
        id: "no-server-cert",
        step: Some(Step::Negotiation),
        cause: "the server has no certificate that it can use for TLS",
        fix: "on the server: delete the certificate in the store `Remote Desktop` of the computer, then `Restart-Service SessionEnv, TermService -Force`; \
              check the rights on C:\\ProgramData\\Microsoft\\Crypto\\RSA\\MachineKeys",
        refs: &["MS-RDPBCGR 2.2.1.2.2"],
        seen: NOT_SEEN,
        weigh: |case| {
            match refusal(case, FailureCode::SSL_CERT_NOT_ON_SERVER) {
            Some(refused) => Some(Weighing::of(Evidence::Code, refused)),
            None => Some(
                Weighing::of(Evidence::OneOfSeveral, super::tls::server_gave_up_at_hello(case)?).missing(
                    "System log of the server (`wevtutil epl System System.evtx`): Schannel 36870, 36871 and RemoteConnectionManager 1057, 1058",
                ),
            ),
        }
        },
    },
    Rule {
        id: "inconsistent-flags",
        step: Some(Step::Negotiation),
        cause: "the request does not fit the security already in force, for instance behind a proxy that opened TLS first",
        fix: "let the client negotiate from the start (no direct TLS), and take the proxy out of the path",
        refs: &["MS-RDPBCGR 2.2.1.2.2"],
        seen: NOT_SEEN,
        weigh: |case| Some(Weighing::of(Evidence::Told, refusal(case, FailureCode::INCONSISTENT_FLAGS)?)),
    },
    Rule {
        id: "client-certificate-required",
        step: Some(Step::Negotiation),
        cause: "the server requires TLS with a client certificate",
        fix: "give the client the certificate that the server's administrator issues",
        refs: &["MS-RDPBCGR 2.2.1.2.2"],
        seen: NOT_SEEN,
        weigh: |case| {
            Some(Weighing::of(Evidence::Code, refusal(case, FailureCode::SSL_WITH_USER_AUTH_REQUIRED)?))
        },
    },
    Rule {
        id: "port-exotic-nonrdp",
        step: Some(Step::Negotiation),
        cause: "the port answers, and what answers is not RDP",
        fix: "correct the port in the client (`SERVER:PORT`) or the NAT rule that leads there; on the server `netstat -abno` tells what listens",
        refs: &["MS-RDPBCGR 2.2.1.2"],
        seen: &["fail-http-on-3389", "fail-ssh-on-3389"],
        weigh: |case| {
            let other = case.find(|what| matches!(what, What::OtherProtocol { from: Side::Server, .. }))?;
            Some(Weighing::of(Evidence::Code, other).worded(is_probe(case).then_some(&PROBE)))
        },
    },
    Rule {
        id: "listener-hang",
        step: Some(Step::Negotiation),
        cause: "the server's system accepts the connection and its RDP service never answers: it hangs",
        fix: "on the server: `Restart-Service TermService -Force`; before that take a dump of the svchost of TermService; look for 7011 (Service Control Manager) and 2004 (Resource-Exhaustion)",
        refs: &["MS-RDPBCGR 1.3.1.1"],
        seen: &["fail-accept-silent"],
        weigh: |case| {
            let asked = unconfirmed(case)?;
            let stalled = case.find(|what| matches!(what, What::Stalled { turn: Side::Server, .. }));
            let closed = server_closed(case).or_else(|| said_goodbye(case));
            let kind = match (stalled, closed) {
                (Some(_), None) => Evidence::Silence,
                (Some(_), Some(_)) | (None, None) => Evidence::OneOfSeveral,
                (None, Some(_)) => Evidence::Possible,
            };
            let lost = case.find(|what| matches!(what, What::Unanswered { by: Side::Client, .. }));
            // What is sent again to a server without room is not lost.
            let full = case.find(|what| matches!(what, What::ZeroWindow { by: Side::Server, .. }));
            Some(
                Weighing::of(kind, asked)
                    .and(stalled)
                    .and(full)
                    .unless(lost.filter(|_| full.is_none()), Doubt::Excludes)
                    .missing(SERVER_LOG),
            )
        },
    },
    Rule {
        id: "server-rst-after-cr",
        step: Some(Step::Negotiation),
        cause: "the server closed the connection right after the X.224 request, without an answer",
        fix: "read the server's logs of that second: RdpCoreTS 131 to 103, Schannel 36870/36871, RemoteConnectionManager 1057/1058; renew the certificate and its key, check the policies for the RDP listener",
        refs: &["MS-RDPBCGR 2.2.1.2"],
        seen: &["fail-accept-rst", "fail-x224-then-fin"],
        weigh: |case| {
            let closed = server_closed(case).or_else(|| said_goodbye(case))?;
            let asked = unconfirmed(case)?;
            let not_its_own =
                case.foreign_reset().or(case.bare_reset()).or_else(|| case.reset_made_on_the_way());
            Some(
                Weighing::of(Evidence::Mark, closed)
                    .and(Some(asked))
                    .unless(not_its_own, Doubt::Strong)
                    .missing(SERVER_LOG),
            )
        },
    },
    Rule {
        id: "middlebox-rst-after-cr",
        step: Some(Step::Negotiation),
        cause: "a device on the path reset the connection when it saw the X.224 request",
        fix: "allow RDP (application id `ms-rdp`) between the two hosts in the firewall or IPS at the hop distance that the time to live tells (`tracert SERVER`)",
        refs: &["RFC 9293 3.5.2"],
        seen: &["fail-mbox-rst-on-x224cr"],
        weigh: |case| {
            let asked = unconfirmed(case)?;
            let reset = case.find(|what| matches!(what, What::Reset { by: Side::Server, .. }))?;
            let missing = "a capture on the server (`pktmon start --capture` or `tcpdump -w FILE`): it shows that the server never sent the reset";
            if let Some(made) = case.reset_made_on_the_way() {
                let weighing = Weighing::of(Evidence::BothEnds, made);
                let weighing = weighing.surer(case.foreign_reset(), Support::Slight);
                return Some(weighing.and(Some(asked)).and(request_lost(case)));
            }
            let (kind, reset) = match (case.foreign_reset(), case.bare_reset()) {
                (Some(foreign), _) => (Evidence::Mark, foreign),
                (None, Some(bare)) => (Evidence::Shape, bare),
                (None, None) => (Evidence::Possible, reset),
            };
            let missing = case.other_end(reset, missing, BEFORE_RESET);
            Some(Weighing::of(kind, reset).and(Some(asked)).and(request_lost(case)).missing(missing))
        },
    },
    Rule {
        id: "geo-ips-block",
        step: Some(Step::Negotiation),
        cause: "an intrusion prevention or geographic filter cut the connection at its first RDP or TLS bytes",
        fix: "look for the pair of hosts in the log of the firewall or IPS and exempt it",
        refs: &["RFC 9293 3.5.2"],
        seen: NOT_SEEN,
        weigh: |case| {
            let early = case.failed_at(Step::Negotiation) || case.failed_at(Step::Tls);
            let reset = case.foreign_reset().or(case.bare_reset()).filter(|_| early)?;
            Some(
                Weighing::of(Evidence::OneOfSeveral, reset)
                    .missing("the log of the firewall or IPS at that time, and a capture on the server (`pktmon start --capture` or `tcpdump -w FILE`)"),
            )
        },
    },
];

/// One request, and no second one, at a port that is not that of Remote Desktop, by a client of which nothing else is known.
fn is_probe(case: &Case<'_>) -> bool {
    let session = case.session;
    let elsewhere = session.server().is_some_and(|server| server.port() != RDP_PORT);
    elsewhere && case.attempt.len() == 1 && case.worked.is_none() && session.host(Role::Client).is_none()
}

fn refusal<'a>(case: &Case<'a>, wanted: FailureCode) -> Option<&'a Seen> {
    case.find(|what| matches!(what, What::NegotiationRefused { code } if *code == wanted))
}

/// The request, when it offered the protocol.
fn offered<'a>(case: &Case<'a>, wanted: Protocols) -> Option<&'a Seen> {
    case.find(|what| {
        matches!(what, What::ConnectionRequest { protocols: Some(offered), .. } if offered.contains(wanted))
    })
}

fn request<'a>(case: &Case<'a>) -> Option<&'a Seen> {
    case.find(|what| matches!(what, What::ConnectionRequest { .. }))
}

/// The request, when no confirm of any kind followed and nothing else was said; a confirm that was sent behind a reset
/// reached nobody.
fn unconfirmed<'a>(case: &Case<'a>) -> Option<&'a Seen> {
    let answered = case.find(|what| {
        matches!(
            what,
            What::ConnectionConfirm { acceptable: false, .. }
                | What::NegotiationRefused { .. }
                | What::OtherProtocol { .. }
        )
    });
    let answered = answered.or_else(|| insists_on_nla(case.session));
    request(case).filter(|_| answered.is_none() && case.failed_at(Step::Negotiation) && !server_spoke(case))
}

/// The server's FIN or reset, when it came before the client's.
fn server_closed<'a>(case: &Case<'a>) -> Option<&'a Seen> {
    case.ended_by().filter(|(by, _)| *by == Side::Server).map(|(_, seen)| seen)
}

/// The server's MCS Disconnect Provider Ultimatum: xrdp sends one where it could not read the request.
fn said_goodbye<'a>(case: &Case<'a>) -> Option<&'a Seen> {
    case.find(|what| matches!(what, What::Ultimatum { by: Side::Server, .. }))
}

/// The server said something that could not be read.
fn server_spoke(case: &Case<'_>) -> bool {
    case.session.connections.iter().any(|connection| connection.bytes[1] > 0) && said_goodbye(case).is_none()
}

const WHOLE_CAPTURE: &str = "a capture that begins before the first try (`pktmon start --capture` or `tcpdump -w FILE`): it shows whether that one had agreed on NLA";

/// A connection of the same attempt right before this one whose beginning no capture holds, and of which nobody knows how it
/// ended.
fn begun_unseen<'a>(case: &Case<'a>) -> Option<&'a Seen> {
    let unknown = |session: &&Session| session.outcome == Outcome::Unknown && session.security.is_none();
    case.earlier().filter(unknown).find_map(|session| session.find(|what| matches!(what, What::MidStream {})))
}

/// A connection of the same attempt that failed at CredSSP before this one; or that had agreed on NLA, and of which no more
/// is known: who asks for less in the next one can do it.
fn nla_failed_before<'a>(case: &Case<'a>) -> Option<&'a Seen> {
    let agreed = |session: &Session| matches!(session.security, Some(Security::Nla | Security::NlaEx));
    let failed = |session: &&Session| match session.outcome {
        Outcome::Unknown => agreed(session),
        outcome => outcome.is_failure() && session.broke_at == Some(Step::Credssp),
    };
    case.earlier().filter(failed).find_map(|session| {
        let spoke = |what: &What| matches!(what, What::CredsspRefused { .. } | What::CredsspMessage { .. });
        let confirmed = |what: &What| matches!(what, What::ConnectionConfirm { .. });
        session.find_last(spoke).or_else(|| session.find(confirmed))
    })
}
