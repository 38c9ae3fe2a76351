//! X.224 request and confirm, or what another protocol says in their place.

use super::{Reader, clear, tls};
use crate::fact::{Side, What};
use crate::read::flow::Sighting;
use crate::wire::negotiation::{self as wire, Confirm, Protocols, Request};
use crate::wire::tls::record_header;
use crate::wire::tpkt::{self, TpduCode, Unit};

/// Characters of a foreign protocol's first line that are shown.
const SHOWN_MAX: usize = 40;

/// Reads the negotiation and what follows it.
pub(super) fn read(reader: &mut Reader<'_>) {
    let flow = reader.flow;
    let (from_client, from_server) = (&flow.from_client.stream, &flow.from_server.stream);
    let request = first_unit(from_client.from(0), TpduCode::CONNECTION_REQUEST);
    let asked = request.map(|(body, _)| wire::request(body));
    if let (Some(asked), Some(seen)) = (&asked, from_client.seen(0)) {
        reader.turn = Some(Side::Server);
        reader.say(seen, said(asked));
    }
    let confirm = first_unit(from_server.from(0), TpduCode::CONNECTION_CONFIRM);
    let client_next = request.map_or(0, |(_, length)| length);
    match (confirm, from_server.seen(0)) {
        (Some((body, length)), Some(seen)) => {
            confirmed(reader, asked.as_ref(), body, seen, (client_next, length));
        }
        (None, Some(seen)) => without_confirm(reader, asked.is_some(), seen, client_next),
        (_, None) => silent_server(reader, asked.as_ref(), client_next),
    }
}

/// The body and the length of the X.224 unit at the start, when it is of `code`.
pub(super) fn first_unit(bytes: &[u8], code: TpduCode) -> Option<(&[u8], u64)> {
    match tpkt::unit(bytes) {
        Ok(Unit::Tpdu { code: found, body, length }) if found == code => {
            Some((body, u64::try_from(length).ok()?))
        }
        _ => None,
    }
}

fn said(request: &Request) -> What {
    let text = |bytes: &Option<Vec<u8>>| bytes.as_ref().map(|b| String::from_utf8_lossy(b).into_owned());
    let hex = |id: [u8; 16]| id.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    What::ConnectionRequest {
        protocols: request.protocols,
        flags: request.flags,
        cookie: text(&request.cookie),
        token: text(&request.token),
        correlation: request.correlation_id.map(hex),
    }
}

fn confirmed(
    reader: &mut Reader<'_>,
    asked: Option<&Request>,
    body: &[u8],
    seen: Sighting,
    (client_next, server_next): (u64, u64),
) {
    reader.turn = Some(Side::Client);
    let (protocol, flags) = match wire::confirm(body) {
        Ok(Confirm::Refused(code)) => return reader.say(seen, What::NegotiationRefused { code }),
        Ok(Confirm::Selected { flags, protocol }) => (Some(protocol), flags),
        Ok(Confirm::Plain | Confirm::Unknown { .. }) | Err(_) => (None, 0),
    };
    let chosen = protocol.unwrap_or(Protocols::RDP);
    let went_on = !reader.flow.from_client.stream.from(client_next).is_empty();
    let acceptable = went_on || is_acceptable(asked, chosen);
    reader.say(seen, What::ConnectionConfirm { protocol, flags, acceptable });
    if chosen.is_standard_security() {
        clear::read_standard(reader, client_next, server_next);
    } else {
        tls::read(reader, client_next, server_next, chosen);
    }
}

/// A client takes a protocol that it asked for. Standard RDP Security needs no bit of its own (MS-RDPBCGR
/// 2.2.1.1.1); a client whose request offers TLS or more may still go on without, and then its next message shows it.
fn is_acceptable(asked: Option<&Request>, chosen: Protocols) -> bool {
    let Some(asked) = asked else { return true };
    match asked.protocols {
        None => chosen.is_standard_security(),
        Some(offered) if chosen.is_standard_security() => offered.is_standard_security(),
        Some(offered) => offered.contains(chosen),
    }
}

/// The server said something that is no confirm: another protocol, TLS without negotiation, or the middle of a
/// connection.
fn without_confirm(reader: &mut Reader<'_>, asked: bool, seen: Sighting, client_next: u64) {
    let flow = reader.flow;
    let first = flow.from_server.stream.from(0);
    let from_start = flow.from_server.isn.is_some() || flow.from_client.isn.is_some();
    let client_first = flow.from_client.stream.from(0);
    if asked {
        let closed = flow.from_server.fin.is_some() || flow.from_server.reset.is_some();
        let may_be_cut = !closed && tpkt::may_start_rdp(first) && first.len() < 11;
        let transport = match tpkt::unit(first) {
            Ok(Unit::Tpdu { code, body, .. }) => clear::transport(code, body, Side::Server),
            _ => None,
        };
        if let Some(what) = transport {
            reader.say(seen, what);
        } else if !may_be_cut && from_start {
            reader.say(seen, What::OtherProtocol { from: Side::Server, protocol: name_of(first) });
        }
    } else if record_header(client_first).is_ok() && record_header(first).is_ok() {
        tls::read(reader, client_next, 0, Protocols::SSL);
    } else if from_start && !client_first.is_empty() {
        let by = if flow.from_client.stream.seen(0) <= Some(seen) { Side::Client } else { Side::Server };
        let bytes = flow.half(by).stream.from(0);
        reader.say(seen, What::OtherProtocol { from: by, protocol: name_of(bytes) });
    } else if from_start {
        reader.say(seen, What::OtherProtocol { from: Side::Server, protocol: name_of(first) });
    } else if let Some(seen) = tls::mid_stream(reader) {
        tls::running(reader, seen);
    }
}

/// The server said nothing: the client may have gone on without its answer in a one-way capture, or speaks something
/// else.
fn silent_server(reader: &mut Reader<'_>, asked: Option<&Request>, client_next: u64) {
    let flow = reader.flow;
    let first = flow.from_client.stream.from(client_next);
    if asked.is_some() {
        if record_header(first).is_ok() {
            tls::read(reader, client_next, 0, Protocols::SSL);
        }
        return;
    }
    let Some(seen) = flow.from_client.stream.seen(0) else { return };
    let whole_start = flow.from_client.isn.is_some() && !tpkt::may_start_rdp(first);
    if whole_start && record_header(first).is_ok() {
        reader.turn = Some(Side::Server);
        tls::read(reader, 0, 0, Protocols::SSL);
    } else if whole_start && !first.is_empty() {
        reader.say(seen, What::OtherProtocol { from: Side::Client, protocol: name_of(first) });
    }
}

/// What a protocol calls itself in its first bytes.
fn name_of(bytes: &[u8]) -> String {
    if let Ok(header) = record_header(bytes) {
        return match header.content.0 {
            21 => "a TLS alert".to_owned(),
            _ => "TLS without X.224 negotiation".to_owned(),
        };
    }
    let line: &[u8] = bytes.split(|byte| *byte == b'\r' || *byte == b'\n').next().unwrap_or_default();
    let shown = line.get(..line.len().min(SHOWN_MAX)).unwrap_or_default();
    let printable = shown.len() >= 3 && shown.iter().all(|byte| (0x20..0x7f).contains(byte));
    if printable {
        return String::from_utf8_lossy(shown).into_owned();
    }
    let hex: Vec<String> = bytes.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("bytes {}", hex.join(" "))
}
