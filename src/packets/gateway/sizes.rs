//! A tunnel through a gateway that nothing opens: the sizes of its records give those of the connection inside, which are
//! read like the sizes of any other.

use super::Told;
use crate::fact::{Reading, Side, What};
use crate::packets::layers::proxy;
use crate::packets::{Message, Reader, capabilities, credssp, mcs, ms_between, say_outside, tcp, tls};
use crate::read::flow::{Flow, Sighting};
use crate::wire::gateway_sizes::{
    Beginning, Framing, Refusal, RefusedAt, Shaken, Sized, WEB_SOCKET, beginning, handshake, refusal,
};
use crate::wire::keylog::KeyLog;
use crate::wire::tls::{Overhead, RECORD_HEADER};

/// The result of early user authorization (MS-CSSP 3.1.5), and an alert.
const EARLY_RESULT_BYTES: u32 = 4;
const ALERT_BYTES: u32 = 2;
/// A session ticket of TLS 1.3 is longer; what RDSTLS or RDSAAD begin with, from the server, is not.
const TICKET_BYTES_MIN: u32 = 96;
/// CredSSP takes two answers of the server at least, RDSTLS and RDSAAD fewer.
const CREDSSP_ANSWERS_MIN: usize = 2;
/// Messages of CredSSP at most: with more, and no beginning of MCS behind them, sizes were misread.
const CREDSSP_MAX: usize = 12;

/// What stands behind the handshake inside.
enum Inside {
    /// MCS from this message on.
    Mcs(usize),
    /// CredSSP, with the result of early authorization behind it or not.
    Credssp { early: bool },
    /// Traffic of a desktop.
    Traffic,
    /// Sizes do not tell.
    Hidden,
}

/// An opened record: its side, its bytes without what encryption added, and when it was seen.
pub(super) type Record = (Sized, Sighting);

/// What the sizes of a tunnel's records are, all of them in the order of time.
pub(super) struct Tunnel {
    records: Vec<Record>,
    framing: Framing,
    found: Found,
}

enum Found {
    /// It carries RDP.
    Open(Beginning),
    /// The gateway refused it.
    Refused(Refusal),
}

/// A connection's records of application data without what its suite adds; `None` where that is not exact, or the
/// handshake was not seen.
pub(super) fn records(flow: &Flow, witness_index: u32, keys: &KeyLog) -> Option<Vec<Record>> {
    let mut reader = Reader::new(flow, witness_index, keys);
    let (records, Overhead::Fixed(overhead)) = tls::closed(&mut reader)? else { return None };
    let opened = |record: &tls::Record| {
        let length = u32::from(record.header.length).saturating_sub(overhead);
        (Sized { from_client: record.side == Side::Client, length }, record.seen)
    };
    Some(records.iter().map(opened).collect())
}

impl Tunnel {
    /// The tunnel that these records have the sizes of.
    pub(super) fn of(records: Vec<Record>, framing: Framing) -> Option<Self> {
        let sizes: Vec<Sized> = records.iter().map(|(one, _)| *one).collect();
        let found = beginning(&sizes, framing).map(Found::Open);
        let found = found.or_else(|| refusal(&sizes, framing).map(Found::Refused))?;
        let tunnel = Self { records, framing, found };
        let needs_more = matches!(&tunnel.found, Found::Open(begins) if begins.cookie);
        let shaken = || handshake(&tunnel.carried().iter().map(|(one, _)| *one).collect::<Vec<_>>());
        (!needs_more || shaken().is_some()).then_some(tunnel)
    }

    pub(super) const fn is_refused(&self) -> bool {
        matches!(self.found, Found::Refused(_))
    }

    /// The data packets of the tunnel behind the X.224 Connection Confirm, each with the bytes in it.
    fn carried(&self) -> Vec<Record> {
        let Found::Open(begins) = &self.found else { return Vec::new() };
        let inner = |(one, seen): &Record| Some((Sized { length: self.framing.data(*one)?, ..*one }, *seen));
        self.records.iter().skip(begins.behind).filter_map(inner).collect()
    }

    /// When the record in front of this index was seen.
    fn seen_before(&self, index: usize) -> Option<Sighting> {
        self.records.get(index.checked_sub(1)?).map(|(_, seen)| *seen)
    }

    /// Says what the tunnel shows. Where the handshake inside, or what follows it, does not show, it says so: it would look
    /// as if the connection had ended there.
    pub(super) fn say(&self, reader: &mut Reader<'_>, transport: &str) {
        let transport = transport.to_owned();
        match &self.found {
            Found::Refused(refused) => {
                let channel = refused.step == RefusedAt::Channel;
                if let Some(seen) = self.seen_before(refused.at.saturating_add(1)) {
                    reader.infer(seen, What::GatewayRefusalSized { transport, channel });
                }
            }
            Found::Open(begins) => {
                if let Some(confirmed) = self.seen_before(begins.behind) {
                    inside_of(reader, &self.carried(), (confirmed, transport));
                }
            }
        }
    }
}

/// Reads the facts of a connection with the sizes of a tunnel over a WebSocket.
pub(in crate::packets) fn read(flow: &Flow, witness_index: u32, keys: &KeyLog) -> Option<Told> {
    let layered = proxy::open(flow);
    let outer = flow;
    let flow = layered.as_ref().map_or(flow, |layered| &layered.flow);
    let tunnel = Tunnel::of(records(flow, witness_index, keys)?, WEB_SOCKET)?;
    // Without the end it may be the success of a gateway that has nothing to say of the channel.
    if tunnel.is_refused() && !is_over(flow) {
        return Some(Told::default());
    }
    let mut reader = Reader::new(flow, witness_index, keys);
    say_outside(&mut reader, outer, layered.as_ref());
    tcp::opening(&mut reader);
    tunnel.say(&mut reader, "websocket");
    tcp::ending(&mut reader);
    Some(reader.finish())
}

/// One of its ends closed the connection.
pub(super) fn is_over(flow: &Flow) -> bool {
    [&flow.from_client, &flow.from_server].iter().any(|half| half.fin.is_some() || half.reset.is_some())
}

/// Reads the data of a tunnel that was confirmed at a time, carried by this transport.
fn inside_of(reader: &mut Reader<'_>, carried: &[Record], (confirmed, transport): (Sighting, String)) {
    let inner: Vec<Sized> = carried.iter().map(|(one, _)| *one).collect();
    let shaken = handshake(&inner);
    let (messages, alerts) = match &shaken {
        Some(shaken) => behind_handshake(carried, shaken),
        None => (Vec::new(), Vec::new()),
    };
    let inside = if is_traffic(carried) { Inside::Traffic } else { inside(&messages) };
    let inside = mcs_at(&messages).map_or(inside, |found| found);
    let hidden = match inside {
        Inside::Hidden => true,
        Inside::Mcs(_) | Inside::Credssp { .. } => mcs::is_unclear(&messages),
        Inside::Traffic => false,
    };
    reader.infer(confirmed, What::GatewayTunnelSized { transport, hidden });
    if let Some((_, finished)) = shaken.and_then(|shaken| carried.get(shaken.messages.checked_sub(1)?)) {
        reader.infer(*finished, What::TlsFinished {});
    }
    let side = |one: &Sized| if one.from_client { Side::Client } else { Side::Server };
    reader.turn = carried.last().map_or(Some(Side::Client), |(last, _)| Some(side(last).other()));
    for alert in alerts {
        reader.infer(alert.seen, What::EncryptedAlert { by: alert.side, code: None });
    }
    match inside {
        Inside::Mcs(at) => mcs::read(reader, messages.get(at..).unwrap_or_default()),
        Inside::Credssp { early } => credssp::read(reader, &messages, early),
        Inside::Traffic => running(reader, carried),
        Inside::Hidden => {}
    }
}

/// The messages behind the handshake inside, and the alerts among them. Session tickets of TLS 1.3 come before the client
/// speaks again.
fn behind_handshake(carried: &[Record], shaken: &Shaken) -> (Vec<Message>, Vec<Message>) {
    let added = shaken.overhead.saturating_add(u32::try_from(RECORD_HEADER).unwrap_or(5));
    let message = |(one, seen): &Record| {
        let bytes = one.length.checked_sub(added)?;
        let (side, seen) = (if one.from_client { Side::Client } else { Side::Server }, *seen);
        Some(Message { side, low: bytes, high: bytes, seen, kind: None, reading: Reading::Inferred })
    };
    let messages: Vec<Message> = carried.iter().skip(shaken.messages).filter_map(message).collect();
    let is_ticket = |one: &&Message| shaken.tls13 && one.side == Side::Server && one.high >= TICKET_BYTES_MIN;
    let tickets = messages.iter().take_while(is_ticket).count();
    let (mut messages, alerts): (Vec<Message>, Vec<Message>) =
        messages.into_iter().skip(tickets).partition(|one| !one.is(ALERT_BYTES));
    capabilities::part_controls(&mut messages, added);
    (messages, alerts)
}

/// MCS shows by its fixed sizes, and what stands in front of it by the place of MCS.
fn mcs_at(messages: &[Message]) -> Option<Inside> {
    let initial = mcs::connect_initial(messages)?;
    let before = messages.get(..initial)?;
    let answers = before.iter().filter(|one| one.side == Side::Server).count();
    let is_credssp = before.first().is_some_and(|one| one.side == Side::Client)
        && answers >= CREDSSP_ANSWERS_MIN
        && before.len() <= CREDSSP_MAX;
    Some(if is_credssp { Inside::Credssp { early: has_early(before) } } else { Inside::Mcs(initial) })
}

/// Without MCS, CredSSP shows by a first message of the client that is too short for MCS.
fn inside(messages: &[Message]) -> Inside {
    let begins = messages
        .first()
        .is_some_and(|first| first.side == Side::Client && first.high < mcs::CONNECT_INITIAL_BYTES_MIN);
    match begins && messages.len() <= CREDSSP_MAX {
        true => Inside::Credssp { early: has_early(messages) },
        false => Inside::Hidden,
    }
}

/// The last message of CredSSP is too short for one of its own.
fn has_early(messages: &[Message]) -> bool {
    messages.last().is_some_and(|one| one.side == Side::Server && one.is(EARLY_RESULT_BYTES))
}

/// As much as only a desktop sends, for as long.
fn is_traffic(carried: &[Record]) -> bool {
    let (Some((_, first)), Some((_, last))) = (carried.first(), carried.last()) else { return false };
    sent(carried) >= mcs::RUNNING_BYTES_MIN && ms_between(*first, *last) >= mcs::RUNNING_MS_MIN
}

/// Bytes that the host sent.
fn sent(carried: &[Record]) -> u64 {
    carried.iter().filter(|(one, _)| !one.from_client).map(|(one, _)| u64::from(one.length)).sum()
}

fn running(reader: &mut Reader<'_>, carried: &[Record]) {
    if let (Some((_, first)), Some((_, last))) = (carried.first(), carried.last()) {
        let (server_bytes, over_ms) = (sent(carried), ms_between(*first, *last));
        reader.infer(*last, What::Running { server_bytes, over_ms });
    }
}
