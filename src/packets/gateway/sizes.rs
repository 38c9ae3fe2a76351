//! A tunnel through a gateway that nothing opens: the sizes of its records give those of the connection inside, which are
//! read like the sizes of any other.

use super::Told;
use crate::fact::{Reading, Side, What};
use crate::packets::layers::proxy;
use crate::packets::{Message, Reader, credssp, mcs, ms_between, say_outside, tcp, tls};
use crate::read::flow::Flow;
use crate::wire::gateway_sizes::{Shaken, Sized, beginning, data, handshake};
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

/// A data packet of the tunnel: its side, the bytes in it, and the record that it came in.
type Carried<'r> = (Sized, &'r tls::Record);

/// Reads the facts of a connection with the sizes of a tunnel. Where the handshake inside, or what follows it, does not
/// show, it says so: it would look as if the connection had ended there.
pub(in crate::packets) fn read(flow: &Flow, witness_index: u32, keys: &KeyLog) -> Told {
    let layered = proxy::open(flow);
    let outer = flow;
    let flow = layered.as_ref().map_or(flow, |layered| &layered.flow);
    let mut outside = Reader::new(flow, witness_index, keys);
    let Some((records, Overhead::Fixed(overhead))) = tls::closed(&mut outside) else {
        return Told::default();
    };
    let sized = |record: &tls::Record| Sized {
        from_client: record.side == Side::Client,
        length: u32::from(record.header.length),
    };
    let all: Vec<Sized> = records.iter().map(sized).collect();
    let Some(begins) = beginning(&all, overhead) else { return Told::default() };
    let carried: Vec<Carried<'_>> = (all.iter().zip(&records).skip(begins.behind))
        .filter_map(|(one, record)| Some((Sized { length: data(*one, overhead)?, ..*one }, record)))
        .collect();
    let inner: Vec<Sized> = carried.iter().map(|(one, _)| *one).collect();
    let shaken = handshake(&inner);
    if begins.cookie && shaken.is_none() {
        return Told::default();
    }

    let mut reader = Reader::new(flow, witness_index, keys);
    say_outside(&mut reader, outer, layered.as_ref());
    tcp::opening(&mut reader);
    let (messages, alerts) = match &shaken {
        Some(shaken) => behind_handshake(&carried, shaken),
        None => (Vec::new(), Vec::new()),
    };
    let inside = if is_traffic(&carried) { Inside::Traffic } else { inside(&messages) };
    let inside = mcs_at(&messages).map_or(inside, |found| found);
    if let Some(confirm) = begins.behind.checked_sub(1).and_then(|at| records.get(at)) {
        let hidden = matches!(inside, Inside::Hidden);
        reader.infer(confirm.seen, What::GatewayTunnelSized { transport: "websocket".to_owned(), hidden });
    }
    if let Some((_, finished)) = shaken.and_then(|shaken| carried.get(shaken.messages.checked_sub(1)?)) {
        reader.infer(finished.seen, What::TlsFinished {});
    }
    reader.turn = carried.last().map_or(Some(Side::Client), |(_, last)| Some(last.side.other()));
    match inside {
        Inside::Mcs(at) => mcs::read(&mut reader, messages.get(at..).unwrap_or_default()),
        Inside::Credssp { early } => credssp::read(&mut reader, &messages, early),
        Inside::Traffic => running(&mut reader, &carried),
        Inside::Hidden => {}
    }
    for alert in alerts {
        reader.infer(alert.seen, What::EncryptedAlert { by: alert.side, code: None });
    }
    tcp::ending(&mut reader);
    reader.finish()
}

/// The messages behind the handshake inside, and the alerts among them. Session tickets of TLS 1.3 come before the client
/// speaks again.
fn behind_handshake(carried: &[Carried<'_>], shaken: &Shaken) -> (Vec<Message>, Vec<Message>) {
    let message = |(one, record): &Carried<'_>| {
        let added = shaken.overhead.saturating_add(u32::try_from(RECORD_HEADER).unwrap_or(5));
        let bytes = one.length.checked_sub(added)?;
        let (side, seen) = (record.side, record.seen);
        Some(Message { side, low: bytes, high: bytes, seen, kind: None, reading: Reading::Inferred })
    };
    let messages: Vec<Message> = carried.iter().skip(shaken.messages).filter_map(message).collect();
    let is_ticket = |one: &&Message| shaken.tls13 && one.side == Side::Server && one.high >= TICKET_BYTES_MIN;
    let tickets = messages.iter().take_while(is_ticket).count();
    messages.into_iter().skip(tickets).partition(|one| !one.is(ALERT_BYTES))
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
fn is_traffic(carried: &[Carried<'_>]) -> bool {
    let (Some((_, first)), Some((_, last))) = (carried.first(), carried.last()) else { return false };
    sent(carried) >= mcs::RUNNING_BYTES_MIN && ms_between(first.seen, last.seen) >= mcs::RUNNING_MS_MIN
}

/// Bytes that the host sent.
fn sent(carried: &[Carried<'_>]) -> u64 {
    carried.iter().filter(|(one, _)| !one.from_client).map(|(one, _)| u64::from(one.length)).sum()
}

fn running(reader: &mut Reader<'_>, carried: &[Carried<'_>]) {
    if let (Some((_, first)), Some((_, last))) = (carried.first(), carried.last()) {
        let (server_bytes, over_ms) = (sent(carried), ms_between(first.seen, last.seen));
        reader.infer(last.seen, What::Running { server_bytes, over_ms });
    }
}
