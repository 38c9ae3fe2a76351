//! A tunnel through a gateway that nothing opens: the sizes of its records give those of the connection inside, which are
//! read like the sizes of any other.

use super::Told;
use crate::fact::{Reading, Side, What};
use crate::packets::{Message, Reader, credssp, mcs, ms_between, tcp, tls};
use crate::read::flow::Flow;
use crate::wire::gateway_sizes::{Sized, behind_confirm, data, handshake};
use crate::wire::keylog::KeyLog;
use crate::wire::tls::{Overhead, RECORD_HEADER};

/// The result of early user authorization (MS-CSSP 3.1.5), and an alert.
const EARLY_RESULT_BYTES: u32 = 4;
const ALERT_BYTES: u32 = 2;
/// Messages of CredSSP at most: with more, and no beginning of MCS behind them, sizes were misread.
const CREDSSP_MAX: usize = 12;

/// What is inside.
enum Inside {
    /// MCS from the first message on.
    Mcs,
    /// CredSSP, with the result of early authorization behind it or not.
    Credssp { early: bool },
    /// Traffic of a desktop.
    Traffic,
}

/// Reads the facts of a connection with the sizes of a tunnel. Nothing is said where the handshake inside, or what follows
/// it, does not show: it would look as if it had ended there.
pub(in crate::packets) fn read(flow: &Flow, witness_index: u32, keys: &KeyLog) -> Told {
    let mut outside = Reader::new(flow, witness_index, keys);
    let Some((records, Overhead::Fixed(overhead))) = tls::closed(&mut outside) else {
        return Told::default();
    };
    let sized = |record: &tls::Record| Sized {
        from_client: record.side == Side::Client,
        length: u32::from(record.header.length),
    };
    let all: Vec<Sized> = records.iter().map(sized).collect();
    let Some(behind) = behind_confirm(&all, overhead) else { return Told::default() };
    let carried: Vec<(Sized, &tls::Record)> = (all.iter().zip(&records).skip(behind))
        .filter_map(|(one, record)| Some((Sized { length: data(*one, overhead)?, ..*one }, record)))
        .collect();
    let inner: Vec<Sized> = carried.iter().map(|(one, _)| *one).collect();
    let Some(shaken) = handshake(&inner) else { return Told::default() };
    let message = |(one, record): &(Sized, &tls::Record)| {
        let added = shaken.overhead.saturating_add(u32::try_from(RECORD_HEADER).unwrap_or(5));
        let bytes = one.length.checked_sub(added)?;
        let (side, seen) = (record.side, record.seen);
        Some(Message { side, low: bytes, high: bytes, seen, kind: None, reading: Reading::Inferred })
    };
    let messages: Vec<Message> = carried.iter().skip(shaken.messages).filter_map(message).collect();
    // Session tickets of TLS 1.3 come before the client speaks again.
    let first = messages.iter().position(|one| !shaken.tls13 || one.side == Side::Client);
    let mut messages = messages.get(first.unwrap_or(messages.len())..).unwrap_or_default().to_vec();
    let alerts: Vec<Message> = messages.iter().filter(|one| one.is(ALERT_BYTES)).copied().collect();
    messages.retain(|one| !one.is(ALERT_BYTES));
    let Some(inside) = inside(&messages) else { return Told::default() };

    let mut reader = Reader::new(flow, witness_index, keys);
    tcp::opening(&mut reader);
    let confirm = behind.checked_sub(1).and_then(|at| records.get(at));
    if let Some(confirm) = confirm {
        reader.infer(confirm.seen, What::GatewayTunnelSized { transport: "websocket".to_owned() });
    }
    if let Some((_, finished)) = shaken.messages.checked_sub(1).and_then(|at| carried.get(at)) {
        reader.infer(finished.seen, What::TlsFinished {});
    }
    reader.turn = messages.last().map_or(Some(Side::Client), |last| Some(last.side.other()));
    match inside {
        Inside::Mcs => mcs::read(&mut reader, &messages),
        Inside::Credssp { early } => credssp::read(&mut reader, &messages, early),
        Inside::Traffic => tls::running(&mut reader, flow.first),
    }
    for alert in alerts {
        reader.infer(alert.seen, What::EncryptedAlert { by: alert.side, code: None });
    }
    tcp::ending(&mut reader);
    reader.finish()
}

/// What the messages behind the handshake are: MCS shows by its fixed sizes, CredSSP in front of it by the place of MCS, or
/// without MCS by a first message that is too short for one.
fn inside(messages: &[Message]) -> Option<Inside> {
    match mcs::connect_initial(messages) {
        Some(0) => return Some(Inside::Mcs),
        Some(initial) => {
            let last = initial.checked_sub(1).and_then(|at| messages.get(at));
            let early = last.is_some_and(|one| one.side == Side::Server && one.is(EARLY_RESULT_BYTES));
            return Some(Inside::Credssp { early });
        }
        None => {}
    }
    let sent = messages.iter().filter(|one| one.side == Side::Server).map(|one| u64::from(one.high));
    let (first, last) = (messages.first()?, messages.last()?);
    if sent.sum::<u64>() >= mcs::RUNNING_BYTES_MIN {
        let long = ms_between(first.seen, last.seen) >= mcs::RUNNING_MS_MIN;
        return long.then_some(Inside::Traffic);
    }
    let is_credssp = first.side == Side::Client && first.high < mcs::CONNECT_INITIAL_BYTES_MIN;
    (is_credssp && messages.len() <= CREDSSP_MAX).then_some(Inside::Credssp { early: false })
}
