//! MCS and the RDP PDUs that it carries, where their bytes can be read: under Standard RDP Security, whose security
//! headers still tell some kinds of what is encrypted (MS-RDPBCGR 5.3), and in TLS records that were opened.

use super::{Known, Message, Reader, capabilities, udp};
use crate::codes::Status;
use crate::fact::{Reading, Side, What};
use crate::read::flow::Sighting;
use crate::read::stream::Stream;
use crate::wire::licensing::LicenseErrorCode;
use crate::wire::mcs::{self, McsPdu, Payload, Says, UltimatumReason, security, share};
use crate::wire::multitransport::Initiate;
use crate::wire::tpkt::{self, TpduCode, Unit};

/// Units of one direction that are looked at.
const UNITS_MAX: usize = 8_192;
/// Security header and MAC in front of an encrypted PDU.
const ENCRYPTED_HEADER_BYTES: u32 = 12;
/// The I/O channel where no Connect Response names it: what every known server takes.
const IO_CHANNEL: u16 = 1003;
/// Licensing errors of one connection that are said.
const LICENSE_ERRORS_MAX: usize = 8;

/// A PDU with its side and place.
pub(super) struct Pdu {
    pub(super) side: Side,
    pub(super) pdu: McsPdu,
    length: u32,
    pub(super) seen: Sighting,
}

/// Standard RDP Security: reads the units from these offsets on.
pub(super) fn read_standard(reader: &mut Reader<'_>, client_from: u64, server_from: u64) {
    let flow = reader.flow;
    let mut pdus = pdus((&flow.from_client.stream, client_from), (&flow.from_server.stream, server_from));
    let over = reader.over_at();
    pdus.retain(|pdu| over.is_none_or(|over| pdu.seen <= over));
    if let Some(last) = pdus.last() {
        reader.turn = Some(last.side.other());
    }
    read(reader, &pdus, Vec::new(), Reading::Clear);
}

/// The PDUs of both directions from these offsets on, in order of time.
pub(super) fn pdus(client: (&Stream, u64), server: (&Stream, u64)) -> Vec<Pdu> {
    let mut pdus = one_way(client.0, client.1, Side::Client);
    pdus.extend(one_way(server.0, server.1, Side::Server));
    pdus.sort_by_key(|pdu| pdu.seen);
    pdus
}

/// Reads PDUs from MCS Connect Initial on. `hidden` are messages behind them of which only the size is known.
pub(super) fn read(reader: &mut Reader<'_>, pdus: &[Pdu], hidden: Vec<Message>, reading: Reading) {
    let mut joined = 0;
    let mut messages = Vec::new();
    let io_channel = io_channel(pdus);
    for pdu in pdus {
        match &pdu.pdu {
            McsPdu::ConnectInitial(data) => {
                let channels = (!data.channels.is_empty()).then(|| data.channels.join(","));
                let (build, client_name) = (data.build, data.name.clone());
                let what = What::McsConnectInitial { channels, build, client_name };
                reader.say_read(pdu.seen, reading, what);
            }
            McsPdu::ConnectResponse(data) => {
                let (method, level) = (data.encryption_method, data.encryption_level);
                reader.say_read(pdu.seen, reading, What::McsConnectResponse { method, level });
            }
            McsPdu::AttachUserConfirm => reader.say_read(pdu.seen, reading, What::McsAttached {}),
            McsPdu::JoinConfirm => {
                joined += 1;
            }
            McsPdu::Data(payload)
                if payload.security_flags & security::EXCHANGE != 0
                    && messages.is_empty()
                    && reading == Reading::Clear =>
            {
                reader.say(pdu.seen, What::SecurityExchange {});
            }
            McsPdu::Data(payload) if payload.channel != io_channel => {
                messages.push(other(pdu, Known::OtherData, reading));
            }
            McsPdu::Data(payload) => messages.push(message(pdu, payload, reading)),
            McsPdu::Ultimatum { .. } => messages.push(other(pdu, Known::Ultimatum, reading)),
            McsPdu::ErectDomain | McsPdu::AttachUserRequest | McsPdu::JoinRequest | McsPdu::Other(_) => {}
        }
    }
    if let Some(last) = pdus.iter().rfind(|pdu| pdu.pdu == McsPdu::JoinConfirm) {
        reader.say_read(last.seen, reading, What::McsJoined { channels: joined });
    }
    say_more(reader, pdus, reading);
    messages.extend(hidden);
    messages.sort_by_key(|message| message.seen);
    capabilities::read(reader, &messages);
}

/// The channel of the RDP PDUs; others carry virtual channels, whose headers mean something else.
fn io_channel(pdus: &[Pdu]) -> u16 {
    let named = pdus.iter().find_map(|pdu| match &pdu.pdu {
        McsPdu::ConnectResponse(data) => data.io_channel,
        _ => None,
    });
    named.unwrap_or(IO_CHANNEL)
}

/// The channel of auto-detection and of PDUs about the UDP transport (MS-RDPBCGR 2.2.1.4.5).
fn message_channel(pdus: &[Pdu]) -> Option<u16> {
    pdus.iter().find_map(|pdu| match &pdu.pdu {
        McsPdu::ConnectResponse(data) => data.message_channel,
        _ => None,
    })
}

const fn is_side_channel(says: &Says) -> bool {
    matches!(says, Says::Multitransport(_))
}

/// What single PDUs say: who logs on, why licensing failed, why the server ends the connection.
fn say_more(reader: &mut Reader<'_>, pdus: &[Pdu], reading: Reading) {
    let io_channel = io_channel(pdus);
    let messages = message_channel(pdus).unwrap_or(io_channel);
    let mut license_errors = 0;
    let mut last = None;
    for pdu in pdus {
        let what = match &pdu.pdu {
            McsPdu::Ultimatum { reason } => ultimatum(pdu.side, *reason),
            McsPdu::Data(Payload { channel, says: Some(says), .. })
                if *channel == if is_side_channel(says) { messages } else { io_channel } =>
            {
                match said(pdu.side, says) {
                    Some(What::LicenseError { .. }) if license_errors >= LICENSE_ERRORS_MAX => continue,
                    Some(what) => what,
                    None => continue,
                }
            }
            _ => continue,
        };
        license_errors += usize::from(matches!(what, What::LicenseError { .. }));
        // Some servers say the same twice.
        if last.as_ref() != Some(&what) {
            reader.say_read(pdu.seen, reading, what.clone());
            last = Some(what);
        }
    }
}

fn ultimatum(by: Side, reason: UltimatumReason) -> What {
    What::Ultimatum { by, reason: Some(reason) }
}

fn said(side: Side, says: &Says) -> Option<What> {
    match says {
        Says::ErrorInfo(code) => (side == Side::Server).then_some(What::ErrorInfo { code: *code }),
        Says::SessionInfo(kind) => (side == Side::Server).then_some(What::SessionInfo { kind: *kind }),
        Says::License(license) => {
            let code = license.error.filter(|code| *code != LicenseErrorCode::VALID_CLIENT)?;
            Some(What::LicenseError { by: side, code })
        }
        Says::Multitransport(Initiate::Request { request, protocol, cookie }) => {
            let (request, protocol, cookie_hash) = (*request, *protocol, udp::hash_of(*cookie));
            (side == Side::Server).then_some(What::MultitransportAsked { request, protocol, cookie_hash })
        }
        Says::Multitransport(Initiate::Response { request, result }) => {
            let (request, result) = (*request, Status(*result));
            (side == Side::Client).then_some(What::MultitransportAnswered { request, result })
        }
        Says::ClientInfo { domain, user } => {
            let some = |name: &String| Some(name.clone()).filter(|name| !name.is_empty());
            let (user, domain) = (some(user), some(domain));
            user.is_some().then_some(What::UserNamed { user, domain, workstation: None })
        }
    }
}

fn one_way(stream: &Stream, from: u64, side: Side) -> Vec<Pdu> {
    let mut pdus = Vec::new();
    let mut at = from;
    while pdus.len() < UNITS_MAX {
        let Ok(unit) = tpkt::unit(stream.from(at)) else {
            let next = stream.segments_from(at + 1).find(|offset| tpkt::unit(stream.from(*offset)).is_ok());
            let Some(next) = next else { break };
            at = next;
            continue;
        };
        let Some(seen) = stream.seen(at) else { break };
        let length = u32::try_from(unit.length()).unwrap_or(u32::MAX);
        if let Unit::Tpdu { code: TpduCode::DATA, body, .. } = unit
            && let Ok(pdu) = mcs::pdu(body)
        {
            pdus.push(Pdu { side, pdu, length, seen });
        }
        at += u64::from(length);
    }
    pdus
}

fn message(pdu: &Pdu, payload: &Payload, reading: Reading) -> Message {
    let encrypted = payload.share_type.is_none() && payload.security_flags & security::ENCRYPT != 0;
    let encrypted = encrypted && reading == Reading::Clear;
    let length = if encrypted { pdu.length.saturating_sub(ENCRYPTED_HEADER_BYTES) } else { pdu.length };
    let kind = kind(pdu.side, payload, encrypted);
    let reading = if kind.is_some() { reading } else { Reading::Inferred };
    Message { side: pdu.side, low: length, high: length, seen: pdu.seen, kind, reading }
}

fn kind(side: Side, payload: &Payload, encrypted: bool) -> Option<Known> {
    if let Some(kind) = payload.share_type {
        return Some(match (kind, payload.data_type) {
            (share::DEMAND_ACTIVE, _) => Known::DemandActive,
            (share::CONFIRM_ACTIVE, _) => Known::ConfirmActive,
            (share::DATA, Some(share::FONT_MAP)) => Known::FontMap,
            _ => Known::OtherData,
        });
    }
    let flags = payload.security_flags;
    if flags & security::INFO != 0 && side == Side::Client {
        Some(Known::ClientInfo)
    } else if flags & security::LICENSE != 0 {
        Some(Known::License)
    } else if flags & security::REDIRECTION != 0 {
        Some(Known::Redirection)
    } else if flags & (security::AUTODETECT | security::TRANSPORT) != 0 {
        Some(Known::AutoDetect)
    } else {
        (!encrypted).then_some(Known::OtherData)
    }
}

fn other(pdu: &Pdu, kind: Known, reading: Reading) -> Message {
    let length = pdu.length;
    Message { side: pdu.side, low: length, high: length, seen: pdu.seen, kind: Some(kind), reading }
}
