//! Each fact as a sentence for people, and its number where it has one.

use std::net::IpAddr;

mod beside;
mod events;
mod gateway;
mod sequence;
mod udp;

pub(super) use events::zone;
pub(super) use udp::remark;

use super::arrives::is_lost;
use super::input_name;
use super::safe::printable;
use super::text::some;
use crate::analysis::Analysis;
use crate::codes::Status;
use crate::fact::What;
use crate::note::counted;
use crate::session::{ClockOffset, Listened, Seen, Session};
use crate::time::spoken;
use crate::wire::negotiation::Protocols;

/// Clocks of computers in a domain differ by less.
const CLOCK_SHOWN_MS: i64 = 2_000;

fn ms(milliseconds: u64) -> String {
    spoken(i64::try_from(milliseconds).unwrap_or(i64::MAX).saturating_mul(1_000_000))
}

/// What is said of connections that only the listener of a host tells of.
#[must_use]
pub fn listened(one: &Listened) -> String {
    let they = if one.count == 1 { "it" } else { "they" };
    let count = counted(one.count, "connection", "connections");
    let (host, until) = (&one.host, one.until);
    format!("unknown: of {count} to {host} until {until} only the listener tells (261), not how {they} ended")
}

/// What the fact says, in one sentence without full stop. Text from the evidence in it is printable.
#[must_use]
pub fn says(what: &What) -> String {
    let text = one_reading(what);
    match what.or() {
        Some(other) => format!("{text}, or {}: {}", other.says(), other.why()),
        None => text,
    }
}

/// The same with what only the place tells: which of several captures it is, and that the message did not arrive.
#[must_use]
pub fn says_of(analysis: &Analysis, session: &Session, seen: &Seen) -> String {
    said_of(analysis, session, seen, &printable(input_name(analysis, seen.place())))
}

/// The same with a capture by the name of its file, where little room is.
pub(super) fn says_short(analysis: &Analysis, session: &Session, seen: &Seen) -> String {
    said_of(analysis, session, seen, &capture_name(analysis, session, seen))
}

fn said_of(analysis: &Analysis, session: &Session, seen: &Seen, named: &str) -> String {
    let what = seen.what();
    let text = says(what);
    let captures = analysis.witnesses.iter().filter(|witness| witness.host.is_none()).count();
    if captures > 1 {
        let of_capture = match what {
            What::CaptureEnds { .. } => {
                text.strip_prefix("the capture ends").map(|rest| format!("ends{rest}"))
            }
            What::MidStream {} => text.strip_prefix("the capture begins").map(|rest| format!("begins{rest}")),
            _ => None,
        };
        if let Some(rest) = of_capture {
            return format!("the capture {named} {rest}");
        }
        if let What::OneWay { .. } | What::NotCaptured { .. } = what {
            return match text.strip_suffix("the capture") {
                Some(start) => format!("{start}{named}"),
                None => text,
            };
        }
    }
    match what.speaker().filter(|by| is_lost(session, seen, *by)) {
        Some(_) if seen.fact.subject.keys().is_none() => format!("{text}, which did not arrive"),
        _ => text,
    }
}

/// The file's name where the captures of this session have different ones, else its whole path.
fn capture_name(analysis: &Analysis, session: &Session, seen: &Seen) -> String {
    let file = |path: &'_ str| path.rsplit('/').next().unwrap_or(path).to_owned();
    let own = input_name(analysis, seen.place());
    let firsts = session.connections.iter().map(|connection| input_name(analysis, connection.first));
    let mut others = firsts.filter(|path| *path != own);
    let is_alone = others.all(|path| file(path) != file(own));
    printable(if is_alone { own.rsplit('/').next().unwrap_or(own) } else { own }).into_owned()
}

fn one_reading(what: &What) -> String {
    let early = of_the_connection(what).or_else(|| of_the_negotiation(what));
    let early = early.or_else(|| of_tls(what)).or_else(|| of_credssp(what));
    let later = || beside::says(what).or_else(|| udp::says(what));
    early.or_else(later).unwrap_or_else(|| sequence::says(what))
}

fn of_the_connection(what: &What) -> Option<String> {
    Some(match what {
        What::SynSent { tries: 1, .. } => "client asks for a TCP connection".to_owned(),
        What::SynSent { tries, over_ms } => {
            format!("client asks for a TCP connection, {tries} times in {}", ms(*over_ms))
        }
        // The time between the two stands beside them, and is another one at each capture point.
        What::SynAnswered { .. } => "server accepts it".to_owned(),
        What::Connected {} => "TCP connection is up".to_owned(),
        What::Tunnelled { kind, from, to } => format!("seen inside {} from {from} to {to}", kind.name()),
        What::ProxyAsked { .. } | What::ProxyAnswered { .. } | What::ProxiedFor { .. } => of_proxy(what),
        What::Unreachable { from, kind, code, times } => {
            format!(
                "{from} says {} that {} (ICMP type {kind} code {code})",
                counted(*times, "time", "times"),
                icmp(*from, *kind, *code)
            )
        }
        What::Reset { by, ttl, usual_ttl, answers_syn, out_of_window, bare } => {
            let mut text = format!("reset in the {}'s name, time to live {ttl}", by.name());
            match usual_ttl {
                Some(usual) if usual != ttl => {
                    text.push_str(&format!(" where its other packets have {usual}"))
                }
                _ => {}
            }
            if *answers_syn {
                text.push_str(", in answer to the SYN");
            }
            if *out_of_window {
                text.push_str(", with a sequence number that fits nothing it sent");
            }
            if *bare {
                text.push_str(", without acknowledgement as from one who knows of no connection");
            }
            text
        }
        What::Closed { by } => format!("{} ends the connection (FIN)", by.name()),
        What::Unanswered { by, bytes, tries, over_ms, peer_silent, .. } => {
            let silence = if *peer_silent { ", and nothing at all comes back" } else { "" };
            format!(
                "{} sent the same {} {} in {} without an answer{silence}",
                by.name(),
                counted(*bytes, "byte", "bytes"),
                counted(*tries, "time", "times"),
                ms(*over_ms)
            )
        }
        What::ProbesUnanswered { by, tries, over_ms } => {
            format!(
                "nothing came back to {} of the {}: silence for {}",
                counted(*tries, "keep-alive probe", "keep-alive probes"),
                by.name(),
                ms(*over_ms)
            )
        }
        What::NeverArrived { .. } | What::NotCaptured { .. } => of_the_path(what),
        What::LostOnPath { .. } | What::ZeroWindow { .. } | What::Retransmissions { .. } => of_the_path(what),
        What::MidStream {} => "the capture begins in the middle of this connection".to_owned(),
        What::OneWay { seen } => format!("only the {}'s packets are in the capture", seen.name()),
        What::CaptureEnds { idle_ms } => {
            format!("the capture ends while the connection is open, {} after its last packet", ms(*idle_ms))
        }
        What::Stalled { turn, over_ms } => format!("the {} says nothing for {}", turn.name(), ms(*over_ms)),
        _ => return None,
    })
}

fn of_the_path(what: &What) -> String {
    match what {
        What::NeverArrived { from, bytes, over_ms, .. } => {
            let bytes = counted(*bytes, "byte", "bytes");
            format!("{bytes} that the {} sent never arrived in {}", from.name(), ms(*over_ms))
        }
        What::NotCaptured { from, bytes } => {
            let of = from.name();
            let one = format!("byte of the {of} is not in the capture");
            counted(*bytes, &one, &format!("bytes of the {of} are not in the capture"))
        }
        What::LostOnPath { from, segments, bytes } => {
            let segments = segments.map(|count| format!(" in {}", counted(count, "segment", "segments")));
            let (of, were) = (from.name(), if *bytes == 1 { "was" } else { "were" });
            let (bytes, segments) = (counted(*bytes, "byte", "bytes"), segments.unwrap_or_default());
            format!("{bytes} of the {of}{segments} {were} lost between the two captures")
        }
        What::ZeroWindow { by, times, over_ms } => {
            let times = if *times == 1 { String::new() } else { format!(", {times} times") };
            let other = by.other().name();
            format!(
                "the {} takes no data for {} (window 0{times}) while the {other} has some",
                by.name(),
                ms(*over_ms)
            )
        }
        What::Retransmissions { by, segments, of, percent } => {
            let of = counted(*of, "segment", "segments");
            format!("{} sent {segments} of its {of} with data again ({percent} %)", by.name())
        }
        _ => String::new(),
    }
}

fn of_proxy(what: &What) -> String {
    match what {
        What::ProxyAsked { protocol, host, port, user } => {
            let user = user.as_ref().map(|user| format!(" as {}", printable(user))).unwrap_or_default();
            format!("client asks a proxy ({}) for {} port {port}{user}", protocol.name(), printable(host))
        }
        What::ProxyAnswered { protocol, code, says, opened, .. } => {
            let does = if *opened { "opens the connection" } else { "does not open it" };
            format!("proxy {does}: {} ({} {code})", printable(says), protocol.name())
        }
        What::ProxiedFor { client: Some(client), port, .. } => {
            let port = port.map(|port| format!(" port {port}")).unwrap_or_default();
            format!("the connection is forwarded for {client}{port} (PROXY protocol)")
        }
        _ => "the forwarding load balancer speaks for itself (PROXY protocol)".to_owned(),
    }
}

/// Meaning of an ICMP or ICMPv6 error (RFC 792, RFC 1812 5.2.7.1, RFC 4443 3).
fn icmp(from: IpAddr, kind: u8, code: u8) -> &'static str {
    match (from, kind, code) {
        (IpAddr::V4(_), 3, 0) => "the network is unreachable",
        (IpAddr::V4(_), 3, 1) => "the host is unreachable",
        (IpAddr::V4(_), 3, 3) => "the port is unreachable",
        (IpAddr::V4(_), 3, 4) => "the packet is too big for the next link",
        (IpAddr::V4(_), 3, 9 | 10 | 13) => "the connection is forbidden by an administrator",
        (IpAddr::V4(_), 11, _) | (IpAddr::V6(_), 3, _) => "the packet went through too many routers",
        (IpAddr::V6(_), 1, 0) => "there is no route",
        (IpAddr::V6(_), 1, 1 | 5 | 6) => "the connection is forbidden by an administrator",
        (IpAddr::V6(_), 1, 3) => "the address is unreachable",
        (IpAddr::V6(_), 1, 4) => "the port is unreachable",
        (IpAddr::V6(_), 2, _) => "the packet is too big for the next link",
        _ => "it cannot be reached",
    }
}

fn of_the_negotiation(what: &What) -> Option<String> {
    Some(match what {
        What::OtherProtocol { from, protocol } => {
            format!("the {} does not speak RDP: {}", from.name(), printable(protocol))
        }
        What::ConnectionRequest { protocols, cookie, token, .. } => {
            let mut text = match protocols {
                Some(protocols) => format!("client asks for RDP and offers {}", protocols.words()),
                None => "client asks for RDP with Standard RDP Security".to_owned(),
            };
            if let Some(cookie) = cookie {
                text.push_str(&format!(", cookie {}", printable(cookie)));
            }
            if let Some(token) = token {
                text.push_str(&format!(", routing token {}", printable(token)));
            }
            text
        }
        What::ConnectionConfirm { protocol, acceptable, .. } => {
            let chosen = protocol.unwrap_or(Protocols::RDP).words();
            let refused = if *acceptable { "" } else { ", which the client did not offer" };
            format!("server chooses {chosen}{refused}")
        }
        What::NegotiationRefused { code } => {
            format!("server refuses: {} ({:#x})", code.name().unwrap_or("unlisted failure code"), code.0)
        }
        _ => return None,
    })
}

fn of_tls(what: &What) -> Option<String> {
    Some(match what {
        What::ClientHello { version, suites, sni, resumes, .. } => {
            let name = sni.as_ref().map(|name| format!(" for {}", printable(name))).unwrap_or_default();
            let resumes = if *resumes { ", asks to resume a session" } else { "" };
            let suites = counted(*suites, "cipher suite", "cipher suites");
            format!("client starts TLS{name}: up to {}, {suites}{resumes}", version.words())
        }
        What::ServerHello { version, suite, resumed, .. } => {
            let resumed = if *resumed { ", and resumes the earlier session" } else { "" };
            format!("server chooses {} with {}{resumed}", version.words(), suite.words())
        }
        What::Certificate {
            by, subject, issuer, not_before, not_after, self_signed, key, automatic, ..
        } => {
            let issuer = match (self_signed, automatic) {
                (true, true) => "self-signed as Windows makes it by itself".to_owned(),
                (true, false) => "self-signed".to_owned(),
                (false, _) => format!("issued by {}", printable(issuer)),
            };
            let (subject, key) = (printable(subject), printable(key));
            format!(
                "{} shows certificate {subject}, {issuer}, {key}, valid {not_before} to {not_after}",
                by.name()
            )
        }
        What::Alert { by, fatal, code } => {
            let level = if *fatal { "fatal alert" } else { "alert" };
            format!("{} sends TLS {level} {} ({})", by.name(), code.name().unwrap_or("unlisted"), code.0)
        }
        What::EncryptedAlert { by, code: Some(code) } => {
            format!("{} sends TLS alert {} ({})", by.name(), code.name().unwrap_or("unlisted"), code.0)
        }
        What::EncryptedAlert { by, .. } => format!("{} sends an encrypted TLS alert", by.name()),
        What::TlsOpened { client_records, server_records, closed_records: 0 } => {
            format!(
                "secrets open {client_records} TLS records of the client and {server_records} of the server"
            )
        }
        What::TlsOpened { client_records, server_records, closed_records } => format!(
            "secrets open {client_records} TLS records of the client and {server_records} of the server, {closed_records} stay closed"
        ),
        What::TlsFinished {} => "TLS handshake is complete".to_owned(),
        _ => return None,
    })
}

/// How far a clock is off, against that of `other` or the reference, how surely, and by what that is known. The name is
/// printable.
pub(super) fn clock(clock: &ClockOffset, other: Option<&str>) -> String {
    let offset = clock.offset_ns.unwrap_or(0);
    let off = seconds(offset.saturating_abs());
    let apart = match (clock.is_in_step(), other) {
        (true, None) => "in step".to_owned(),
        (true, Some(other)) => format!("in step with that of {other}"),
        (_, None) if offset < 0 => format!("{off} behind"),
        (_, None) => format!("{off} ahead"),
        (_, Some(other)) if offset < 0 => format!("{off} behind {other}"),
        (_, Some(other)) => format!("{off} ahead of {other}"),
    };
    let from = some(usize::try_from(clock.pairs).unwrap_or(usize::MAX), clock.by.one());
    format!("{apart}, give or take {}, from {from}{}", spoken(clock.error_ns), drift(clock.drift_ppb))
}

/// What a clock gains or loses, as far as it shows.
fn drift(ppb: i64) -> String {
    let tenths = ppb.abs() / 100;
    match (tenths, ppb < 0) {
        (0, _) => String::new(),
        (_, true) => format!("; it loses {}.{} ppm", tenths / 10, tenths % 10),
        (_, false) => format!("; it gains {}.{} ppm", tenths / 10, tenths % 10),
    }
}

/// Seconds with milliseconds, as clocks are compared.
pub(super) fn seconds(ns: i64) -> String {
    format!("{}.{:03} s", ns / 1_000_000_000, (ns / 1_000_000) % 1_000)
}

fn of_credssp(what: &What) -> Option<String> {
    Some(match what {
        What::CredsspMessage { by, round, bytes, version, token, packages, state } => {
            let version = version.map(|version| format!(" version {version}")).unwrap_or_default();
            let state = state.map(|state| state.name().map_or_else(|| state.0.to_string(), str::to_owned));
            let inside = [token.clone(), packages.clone(), state].into_iter().flatten();
            let inside: Vec<String> = inside.map(|text| printable(&text).into_owned()).collect();
            let inside = if inside.is_empty() { String::new() } else { format!(" ({})", inside.join("; ")) };
            let bytes = counted(*bytes, "byte", "bytes");
            format!("{} sends CredSSP{version} message of round {round}{inside}, {bytes}", by.name())
        }
        What::UserNamed { user, domain, workstation, .. } => user_named(user, domain, workstation),
        What::TargetNamed { computer, domain, clock_ms, .. } => {
            let computer = computer.as_deref().unwrap_or("without a name");
            let domain = domain.as_ref().map(|d| format!(" of domain {}", printable(d))).unwrap_or_default();
            let off = clock_ms.filter(|off| off.abs() >= CLOCK_SHOWN_MS).map(|off| {
                let ns = off.saturating_mul(1_000_000);
                format!(
                    ", its clock {} {} the capture's",
                    spoken(ns.saturating_abs()),
                    if off < 0 { "behind" } else { "ahead of" }
                )
            });
            format!("server calls itself {}{domain}{}", printable(computer), off.unwrap_or_default())
        }
        What::KerberosTicket { realm, service } => {
            let service = service.as_deref().unwrap_or("a service without a name");
            let realm = realm.as_ref().map(|realm| format!(" of realm {}", printable(realm)));
            format!("client shows a Kerberos ticket for {}{}", printable(service), realm.unwrap_or_default())
        }
        What::RdstlsMessage { by, says, user, domain } => {
            let says = says.as_deref().unwrap_or("a message");
            let domain = domain.as_ref().map(|domain| format!("{}\\", printable(domain))).unwrap_or_default();
            let user =
                user.as_ref().map(|user| format!(" of {domain}{}", printable(user))).unwrap_or_default();
            format!("{} sends RDSTLS {}{user}", by.name(), printable(says))
        }
        What::EntraMessage { by, says } => {
            format!("{} sends Entra ID {}", by.name(), printable(says.as_deref().unwrap_or("message")))
        }
        What::RdstlsResult { code: Status(0) } => "server accepts RDSTLS".to_owned(),
        What::EntraResult { code: Status(0) } => "server accepts the Entra ID assertion".to_owned(),
        What::RdstlsResult { code } | What::EntraResult { code } => {
            let meaning = code.row().map(|row| format!(": {}", row.meaning)).unwrap_or_default();
            let method =
                if matches!(what, What::RdstlsResult { .. }) { "RDSTLS" } else { "the Entra ID assertion" };
            format!("server refuses {method} with {}{meaning}", code.words())
        }
        What::CredsspRefused { by, round, status: Some(status), .. } => {
            let meaning = status.row().map(|row| format!(": {}", row.meaning)).unwrap_or_default();
            format!("{} refuses at CredSSP round {round} with {}{meaning}", by.name(), status.words())
        }
        What::CredsspRefused { by, round: 0, .. } => {
            format!("{} ends the connection before CredSSP began", by.name())
        }
        What::CredsspRefused { by, round, .. } => format!("{} ends CredSSP at round {round}", by.name()),
        What::CredsspDone {} => "CredSSP is complete: the client went on".to_owned(),
        What::EarlyAuthorization { result, .. } => match result {
            None => "server sends its early authorization result".to_owned(),
            Some(0) => "server lets the user connect (early authorization 0)".to_owned(),
            Some(result) => format!("server does not let the user connect (early authorization {result:#x})"),
        },
        _ => return None,
    })
}

fn user_named(user: &Option<String>, domain: &Option<String>, workstation: &Option<String>) -> String {
    let user = user.as_deref().unwrap_or("nobody");
    let domain = domain.as_ref().map(|domain| format!("{}\\", printable(domain))).unwrap_or_default();
    let from = workstation.as_ref().map(|name| format!(" on {}", printable(name))).unwrap_or_default();
    format!("client names the user {domain}{}{from}", printable(user))
}

/// The number that a fact carries, as the timeline shows it.
#[must_use]
pub fn code(what: &What) -> Option<String> {
    Some(match what {
        What::NegotiationRefused { code } => format!("{:#x}", code.0),
        What::Alert { code, .. } => code.0.to_string(),
        What::EncryptedAlert { code: Some(code), .. } => code.0.to_string(),
        What::CredsspRefused { status: Some(status), .. } => format!("{:#x}", status.0),
        What::EarlyAuthorization { result: Some(result), .. } => format!("{result:#x}"),
        What::RdstlsResult { code } | What::EntraResult { code } => format!("{:#x}", code.0),
        What::LicenseError { code, .. } => format!("{:#x}", code.0),
        What::ErrorInfo { code } => format!("{:#x}", code.0),
        What::Ultimatum { reason: Some(reason), .. } => reason.0.to_string(),
        What::McsRefused { result, .. } => result.0.to_string(),
        What::TransportDisconnect { reason: Some(reason), .. } => reason.0.to_string(),
        What::SessionInfo { error: Some(error), .. } => format!("{:#x}", error.0),
        What::Redirected { flags: Some(flags), .. } => format!("{:#x}", flags.0),
        What::ServerStatus { code } => format!("{:#x}", code.0),
        What::Unreachable { kind, code, .. } => format!("{kind}/{code}"),
        What::ProxyAnswered { code, .. } => code.to_string(),
        What::ServerHello { suite, .. } => format!("{:#06x}", suite.0),
        What::ConnectionRequest { protocols: Some(protocols), .. } => format!("{:#x}", protocols.0),
        What::ConnectionConfirm { protocol: Some(protocol), .. } => format!("{:#x}", protocol.0),
        other => return gateway::code(other).or_else(|| udp::code(other)).or_else(|| events::code(other)),
    })
}
