//! What the packets of the UDP transport say, as sentences.

use super::{icmp, ms};
use crate::codes::Status;
use crate::fact::What;
use crate::note::counted;
use crate::session::Session;
use crate::time::spoken;
use crate::wire::multitransport::RequestedProtocol;
use crate::wire::rdpudp::UdpVersion;

/// The sentence of a fact about the UDP transport.
pub(super) fn says(what: &What) -> Option<String> {
    Some(match what {
        What::MultitransportAsked { protocol, request, .. } => {
            let kind = match *protocol {
                RequestedProtocol::RELIABLE => "a reliable UDP transport".to_owned(),
                RequestedProtocol::LOSSY => "a lossy UDP transport".to_owned(),
                other => format!("a UDP transport of kind {:#x}", other.0),
            };
            format!("server asks for {kind} (request {request})")
        }
        What::MultitransportAnswered { request, result } => match result.0 {
            0 => format!("client says that the UDP transport of request {request} is there"),
            _ => format!("client stays without the UDP transport of request {request}: {}", result.words()),
        },
        What::UdpSyn { tries, over_ms, answered, version, lossy, .. } => {
            let kind = if *lossy { "a lossy" } else { "a reliable" };
            let often = match tries {
                1 => String::new(),
                _ => format!(", {tries} times in {}", ms(*over_ms)),
            };
            let answer = if *answered { "" } else { ", and no answer is in the capture" };
            format!("client opens {kind} UDP transport, {}{often}{answer}", named(*version))
        }
        What::UdpAnswered { after_ms, version } => {
            format!("server takes the UDP transport after {}, {}", ms(*after_ms), named(Some(*version)))
        }
        What::UdpUnreachable { from, kind, code, times } => format!(
            "{from} says {} of the UDP transport that {} (ICMP type {kind} code {code})",
            counted(*times, "time", "times"),
            icmp(*from, *kind, *code)
        ),
        What::UdpClientHello { version } => {
            format!("client starts {} in the UDP transport", version.words())
        }
        What::UdpServerHello { version, suite } => {
            format!("server chooses {} with {} in the UDP transport", version.words(), suite.words())
        }
        What::UdpAlert { by, fatal, code: Some(code) } => {
            let level = if *fatal { "fatal alert" } else { "alert" };
            let name = code.name().unwrap_or("unlisted");
            format!("{} sends {level} {name} ({}) in the UDP transport", by.name(), code.0)
        }
        What::UdpAlert { by, .. } => format!("{} sends an encrypted alert in the UDP transport", by.name()),
        What::UdpOpened { client_records, server_records, closed_records } => format!(
            "secrets open {} of the client and {server_records} of the server in the UDP transport, {}",
            counted(*client_records, "TLS record", "TLS records"),
            counted(*closed_records, "stays closed", "stay closed")
        ),
        What::UdpSecured {} => "the UDP transport is secured: its handshake is complete".to_owned(),
        What::TunnelAsked { .. } => {
            "client shows the cookie in the UDP transport (Tunnel Create Request)".to_owned()
        }
        What::TunnelAnswered { result } => tunnel(*result),
        What::UdpCarried { client_bytes, server_bytes, over_ms } => format!(
            "the UDP transport carried {} of the client and {server_bytes} of the server in {}",
            counted(*client_bytes, "byte", "bytes"),
            ms(*over_ms)
        ),
        What::UdpUnheard { by, datagrams, over_ms } => format!(
            "from here on nothing came back to the {} that the {} sent in the UDP transport for {}",
            counted(*datagrams, "datagram", "datagrams"),
            by.name(),
            ms(*over_ms)
        ),
        What::UdpClosed { by } => format!("{} ends the UDP transport (FIN)", by.name()),
        _ => return None,
    })
}

fn tunnel(result: Option<Status>) -> String {
    match result {
        None => "server answers in the UDP transport (Tunnel Create Response)".to_owned(),
        Some(Status(0)) => "server opens the tunnel in the UDP transport".to_owned(),
        Some(status) => format!("server refuses the tunnel in the UDP transport: {}", status.words()),
    }
}

fn named(version: Option<UdpVersion>) -> String {
    match version.unwrap_or(UdpVersion::V1) {
        UdpVersion::V1 => "version 1".to_owned(),
        UdpVersion::V2 => "version 2".to_owned(),
        UdpVersion::V3 => "version 3 (RDP-UDP2)".to_owned(),
        other => format!("version {:#06x}", other.0),
    }
}

/// What is to be said of the UDP transport of a session that works.
pub(in crate::report) fn remark(session: &Session) -> Option<String> {
    let said = |wanted: fn(&What) -> bool| session.find(wanted);
    if let Some(unheard) = said(|what| matches!(what, What::UdpUnheard { .. })) {
        let after = spoken(unheard.at.since(session.start));
        return Some(format!("its UDP transport fell silent after {after}; TCP went on"));
    }
    if said(|what| matches!(what, What::UdpCarried { .. })).is_some() {
        return None;
    }
    if said(|what| matches!(what, What::UdpAnswered { .. })).is_some() {
        return Some("its UDP transport was answered and never secured; TCP went on".to_owned());
    }
    session.facts.iter().find_map(|seen| match seen.what() {
        What::UdpSyn { tries, answered: false, .. } if *tries > 1 => Some(format!(
            "no answer to its UDP transport, asked for {tries} times, is in the capture; TCP went on"
        )),
        _ => None,
    })
}

/// The number that a fact carries.
pub(super) fn code(what: &What) -> Option<String> {
    Some(match what {
        What::MultitransportAnswered { result, .. } | What::TunnelAnswered { result: Some(result) } => {
            format!("{:#x}", result.0)
        }
        What::UdpAnswered { version, .. } => format!("{:#x}", version.0),
        What::UdpAlert { code: Some(code), .. } => code.0.to_string(),
        What::UdpUnreachable { kind, code, .. } => format!("{kind}/{code}"),
        What::UdpServerHello { suite, .. } => format!("{:#06x}", suite.0),
        _ => return None,
    })
}
