//! MCS and the RDP PDUs that it carries, where their bytes can be read: under Standard RDP Security, whose security
//! headers still tell some kinds of what is encrypted (MS-RDPBCGR 5.3), and in TLS records that were opened.

use std::collections::BTreeMap;

use super::{Known, Message, Reader, capabilities, said};
use crate::fact::{Reading, Side, What};
use crate::read::flow::Sighting;
use crate::read::stream::Stream;
use crate::wire::mcs::{self, McsPdu, UltimatumReason};
use crate::wire::share::{DataType, Payload, Says, control, security};
use crate::wire::tpkt::{self, TpduCode, Unit};

/// Units of one direction that are looked at.
const UNITS_MAX: usize = 8_192;
/// Security header and MAC in front of an encrypted PDU.
const ENCRYPTED_HEADER_BYTES: u32 = 12;
/// The I/O channel where no Connect Response names it: what every known server takes.
const IO_CHANNEL: u16 = 1003;
/// Facts of one name that single PDUs of a connection give: a server may repeat itself for hours.
const ALIKE_MAX: usize = 16;
/// What a TPKT packet carries.
enum Carried {
    Mcs(McsPdu),
    /// An X.224 disconnect request or error.
    Transport(What),
}

/// A PDU with its side and place.
pub(super) struct Pdu {
    pub(super) side: Side,
    carried: Carried,
    length: u32,
    pub(super) seen: Sighting,
}

impl Pdu {
    fn mcs(&self) -> Option<&McsPdu> {
        match &self.carried {
            Carried::Mcs(pdu) => Some(pdu),
            Carried::Transport(_) => None,
        }
    }
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

/// The channels that are no virtual ones: those of the RDP PDUs and of the messages beside them.
#[derive(Clone, Copy)]
struct Channels {
    io: u16,
    message: Option<u16>,
}

impl Channels {
    fn of(pdus: &[Pdu]) -> Self {
        let named = pdus.iter().find_map(|pdu| match pdu.mcs()? {
            McsPdu::ConnectResponse(response) => Some(&response.server),
            _ => None,
        });
        let io = named.and_then(|server| server.io_channel).unwrap_or(IO_CHANNEL);
        Self { io, message: named.and_then(|server| server.message_channel) }
    }

    /// Virtual channels have other headers, and on the message channel only these flags mean something.
    fn holds(self, payload: &Payload) -> bool {
        const MESSAGES: u16 = security::AUTODETECT | security::HEARTBEAT | security::TRANSPORT;
        payload.channel == self.io
            || (Some(payload.channel) == self.message && payload.security_flags & MESSAGES != 0)
    }
}

/// Reads PDUs from MCS Connect Initial on. `hidden` are messages behind them of which only the size is known.
pub(super) fn read(reader: &mut Reader<'_>, pdus: &[Pdu], hidden: Vec<Message>, reading: Reading) {
    let mut joined = 0;
    let mut messages = Vec::new();
    let channels = Channels::of(pdus);
    for pdu in pdus {
        let mcs = match &pdu.carried {
            Carried::Mcs(mcs) => mcs,
            Carried::Transport(what) => {
                reader.say_read(pdu.seen, reading, what.clone());
                continue;
            }
        };
        if let Some(refused) = said::mcs_refused(mcs) {
            reader.say_read(pdu.seen, reading, refused);
            continue;
        }
        match mcs {
            McsPdu::ConnectInitial(initial) => {
                reader.say_read(pdu.seen, reading, said::connect_initial(initial));
            }
            McsPdu::ConnectResponse(response) => {
                reader.say_read(pdu.seen, reading, said::connect_response(response));
            }
            McsPdu::AttachUserConfirm { .. } => reader.say_read(pdu.seen, reading, What::McsAttached {}),
            McsPdu::JoinConfirm { .. } => joined += 1,
            McsPdu::Data(payload)
                if payload.security_flags & security::EXCHANGE != 0
                    && messages.is_empty()
                    && reading == Reading::Clear =>
            {
                reader.say(pdu.seen, What::SecurityExchange {});
            }
            McsPdu::Data(payload) if !channels.holds(payload) => {
                messages.push(other(pdu, Known::OtherData, reading));
            }
            McsPdu::Data(payload) => messages.push(message(pdu, payload, reading)),
            McsPdu::Ultimatum { .. } => messages.push(other(pdu, Known::Ultimatum, reading)),
            McsPdu::ErectDomain
            | McsPdu::AttachUserRequest
            | McsPdu::JoinRequest { .. }
            | McsPdu::Other(_) => {}
        }
    }
    let is_join = |pdu: &&Pdu| matches!(pdu.mcs(), Some(McsPdu::JoinConfirm { .. }));
    if let Some(last) = pdus.iter().rfind(is_join).filter(|_| joined > 0) {
        reader.say_read(last.seen, reading, What::McsJoined { channels: joined });
    }
    say_more(reader, pdus, channels, reading);
    messages.extend(hidden);
    messages.sort_by_key(|message| message.seen);
    capabilities::read(reader, &messages, &Details::of(pdus, channels));
}

/// What those PDUs say that have a place of their own in the sequence: the fact of each, by when it was seen.
pub(super) struct Details(Vec<(Sighting, What)>);

impl Details {
    /// Nothing could be read.
    pub(super) const fn none() -> Self {
        Self(Vec::new())
    }

    fn of(pdus: &[Pdu], channels: Channels) -> Self {
        let fact = |pdu: &Pdu| match pdu.mcs()? {
            McsPdu::Data(payload) if channels.holds(payload) => match payload.says.as_ref()? {
                Says::ClientInfo(info) => Some(said::client_info(info)),
                Says::License(message) => Some(said::license(pdu.side, message)),
                Says::DemandActive(active) => Some(What::DemandActive { sets: said::sets(active) }),
                Says::ConfirmActive(active) => Some(What::ConfirmActive { sets: said::sets(active) }),
                _ => None,
            },
            _ => None,
        };
        Self(pdus.iter().filter_map(|pdu| Some((pdu.seen, fact(pdu)?))).collect())
    }

    /// The fact of a message, else `hidden`, which must be of the same kind.
    pub(super) fn told(&self, message: &Message, hidden: What) -> What {
        let same = |what: &What| what.name() == hidden.name();
        let found = self.0.iter().find(|(seen, what)| *seen == message.seen && same(what));
        found.map_or(hidden, |(_, what)| what.clone())
    }
}

/// What single PDUs say: who logs on, why licensing failed, where the client is sent, why the server ends the connection.
fn say_more(reader: &mut Reader<'_>, pdus: &[Pdu], channels: Channels, reading: Reading) {
    let (mut last, mut finalized) = (None, false);
    let mut counts: BTreeMap<&'static str, usize> = BTreeMap::new();
    for pdu in pdus {
        let what = match pdu.mcs() {
            Some(McsPdu::Ultimatum { reason }) => Some(ultimatum(pdu.side, *reason)),
            Some(McsPdu::Data(payload)) if channels.holds(payload) => {
                finalized |= payload.says == Some(Says::FontMap);
                let unread =
                    payload.says.is_none() && pdu.side == Side::Server && payload.share_type.is_none();
                let redirects = unread && payload.security_flags & security::REDIRECTION != 0;
                match &payload.says {
                    None => redirects.then(What::hidden_redirection),
                    Some(says) => said::beside(pdu.side, says),
                }
            }
            _ => None,
        };
        // Behind Font Map a client may synchronise its keys for as long as the session lasts.
        let Some(what) = what.filter(|what| !finalized || !matches!(what, What::Finalizing { .. })) else {
            continue;
        };
        let count = counts.entry(what.name()).or_default();
        // Some servers say the same twice.
        if last.as_ref() != Some(&what) && *count < ALIKE_MAX {
            *count += 1;
            reader.say_read(pdu.seen, reading, what.clone());
            last = Some(what);
        }
    }
}

fn ultimatum(by: Side, reason: UltimatumReason) -> What {
    What::Ultimatum { by, reason: Some(reason), or: None }
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
        if let Some(carried) = carried(unit, side) {
            pdus.push(Pdu { side, carried, length, seen });
        }
        at += u64::from(length);
    }
    pdus
}

fn carried(unit: Unit<'_>, side: Side) -> Option<Carried> {
    match unit {
        Unit::Tpdu { code: TpduCode::DATA, body, .. } => mcs::pdu(body).ok().map(Carried::Mcs),
        Unit::Tpdu { code, body, .. } => transport(code, body, side).map(Carried::Transport),
        Unit::FastPath { .. } => None,
    }
}

/// An X.224 disconnect request or error.
pub(super) fn transport(code: TpduCode, body: &[u8], by: Side) -> Option<What> {
    match code {
        TpduCode::DISCONNECT_REQUEST => {
            Some(What::TransportDisconnect { by, reason: tpkt::disconnect_cause(body) })
        }
        TpduCode::ERROR => Some(What::TransportError { by, cause: tpkt::reject_cause(body).map(u32::from) }),
        TpduCode::DATA => match mcs::pdu(body) {
            Ok(McsPdu::Ultimatum { reason }) => Some(ultimatum(by, reason)),
            _ => None,
        },
        _ => None,
    }
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
            (control::DEMAND_ACTIVE, _) => Known::DemandActive,
            (control::CONFIRM_ACTIVE, _) => Known::ConfirmActive,
            (control::DATA, Some(DataType::FONT_MAP)) => Known::FontMap,
            (control::REDIRECTION, _) => Known::Redirection,
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
    } else if flags & (security::AUTODETECT | security::HEARTBEAT | security::TRANSPORT) != 0 {
        Some(Known::AutoDetect)
    } else {
        (!encrypted).then_some(Known::OtherData)
    }
}

fn other(pdu: &Pdu, kind: Known, reading: Reading) -> Message {
    let length = pdu.length;
    Message { side: pdu.side, low: length, high: length, seen: pdu.seen, kind: Some(kind), reading }
}
