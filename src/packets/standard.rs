//! Standard RDP Security: MCS and the key exchange in clear, then messages whose security headers still tell some
//! kinds (MS-RDPBCGR 5.3).

use super::{Known, Message, Reader, capabilities};
use crate::fact::{Side, What};
use crate::read::flow::Sighting;
use crate::read::stream::Stream;
use crate::wire::mcs::{self, McsPdu, Payload, security, share};
use crate::wire::tpkt::{self, TpduCode, Unit};

/// Units of one direction that are looked at.
const UNITS_MAX: usize = 8_192;
/// Security header and MAC in front of an encrypted PDU.
const ENCRYPTED_HEADER_BYTES: u32 = 12;

struct Pdu {
    side: Side,
    pdu: McsPdu,
    length: u32,
    seen: Sighting,
}

/// Reads the units from these offsets on.
pub(super) fn read(reader: &mut Reader<'_>, client_from: u64, server_from: u64) {
    let flow = reader.flow;
    let mut pdus = pdus(&flow.from_client.stream, client_from, Side::Client);
    pdus.extend(self::pdus(&flow.from_server.stream, server_from, Side::Server));
    pdus.sort_by_key(|pdu| pdu.seen);
    let over = reader.over_at();
    pdus.retain(|pdu| over.is_none_or(|over| pdu.seen <= over));
    if let Some(last) = pdus.last() {
        reader.turn = Some(last.side.other());
    }
    let mut joined = 0;
    let mut messages = Vec::new();
    for pdu in &pdus {
        match &pdu.pdu {
            McsPdu::ConnectInitial(data) => {
                let channels = (!data.channels.is_empty()).then(|| data.channels.join(","));
                let (build, client_name) = (data.build, data.name.clone());
                reader.say(pdu.seen, What::McsConnectInitial { channels, build, client_name });
            }
            McsPdu::ConnectResponse(data) => {
                let (method, level) = (data.encryption_method, data.encryption_level);
                reader.say(pdu.seen, What::McsConnectResponse { method, level });
            }
            McsPdu::AttachUserConfirm => reader.say(pdu.seen, What::McsAttached {}),
            McsPdu::JoinConfirm => {
                joined += 1;
            }
            McsPdu::Data(payload)
                if payload.security_flags & security::EXCHANGE != 0 && messages.is_empty() =>
            {
                reader.say(pdu.seen, What::SecurityExchange {});
            }
            McsPdu::Data(payload) => messages.push(message(pdu, payload)),
            McsPdu::Ultimatum { .. } => messages.push(closing(pdu)),
            McsPdu::ErectDomain | McsPdu::AttachUserRequest | McsPdu::JoinRequest | McsPdu::Other(_) => {}
        }
    }
    if let Some(last) = pdus.iter().rfind(|pdu| pdu.pdu == McsPdu::JoinConfirm) {
        reader.say(last.seen, What::McsJoined { channels: joined });
    }
    capabilities::read(reader, &messages);
}

fn pdus(stream: &Stream, from: u64, side: Side) -> Vec<Pdu> {
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

fn message(pdu: &Pdu, payload: &Payload) -> Message {
    let encrypted = payload.share_type.is_none() && payload.security_flags & security::ENCRYPT != 0;
    let length = if encrypted { pdu.length.saturating_sub(ENCRYPTED_HEADER_BYTES) } else { pdu.length };
    Message {
        side: pdu.side,
        low: length,
        high: length,
        seen: pdu.seen,
        kind: kind(pdu.side, payload, encrypted),
    }
}

fn kind(side: Side, payload: &Payload, encrypted: bool) -> Option<Known> {
    if let Some(kind) = payload.share_type {
        return Some(match (kind, payload.data_type) {
            (share::DEMAND_ACTIVE, _) => Known::DemandActive,
            (share::CONFIRM_ACTIVE, _) => Known::ConfirmActive,
            (share::DATA, Some(share::FONT_MAP)) => Known::FontMap,
            (share::DATA, Some(share::SET_ERROR_INFO)) => Known::SetErrorInfo,
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

fn closing(pdu: &Pdu) -> Message {
    Message {
        side: pdu.side,
        low: pdu.length,
        high: pdu.length,
        seen: pdu.seen,
        kind: Some(Known::Ultimatum),
    }
}
