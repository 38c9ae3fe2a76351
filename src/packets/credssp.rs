//! CredSSP without keys: how many round trips it got, who ended it, and where MCS begins behind it (MS-CSSP 3.1.5).

use super::{Message, Reader, mcs};
use crate::fact::{Side, What};
use crate::read::flow::Sighting;

/// A TSRequest that holds a version and an error code only: 15 bytes, 16 or 17 with longer integers (MS-CSSP 2.2.1).
const ERROR_CODE_BYTES: std::ops::RangeInclusive<u32> = 13..=20;
/// Behind the client's proof, an answer this short is an error with a SPNEGO reject around it (67 bytes measured), not
/// the server's proof (95 and 103 bytes measured). Neither depends on a name.
const REJECT_BYTES_MAX: u32 = 72;
/// An Early User Authorization Result (MS-RDPBCGR 2.2.10.2).
const EARLY_RESULT_BYTES: u32 = 4;

/// Reads the messages behind the TLS handshake when the negotiation chose CredSSP.
pub(super) fn read(reader: &mut Reader<'_>, messages: &[Message], early_result: bool) {
    let messages = without_tickets(messages);
    let boundary = mcs::connect_initial(&messages).or_else(|| unanswered_initial(&messages, early_result));
    let credssp = messages.get(..boundary.unwrap_or(messages.len())).unwrap_or(&messages);
    let early = early_result.then(|| early_at(credssp)).flatten();
    let exchange = credssp.get(..early.unwrap_or(credssp.len())).unwrap_or(credssp);
    say_rounds(reader, exchange);
    if let Some(result) = early.and_then(|at| credssp.get(at)) {
        reader.infer(result.seen, What::CredsspDone {});
        reader.infer(result.seen, What::EarlyAuthorization {});
    }
    match boundary.and_then(|at| Some((at, messages.get(at)?))) {
        Some((at, initial)) => {
            if early.is_none() {
                reader.infer(initial.seen, What::CredsspDone {});
            }
            mcs::read(reader, messages.get(at..).unwrap_or_default());
        }
        None if early.is_none() => refused(reader, exchange),
        None => {}
    }
}

/// The server answers each CredSSP message with one: of several in a row before the second round, all but the last
/// are session tickets that were late.
fn without_tickets(messages: &[Message]) -> Vec<Message> {
    let first_answer = messages.iter().position(|m| m.side == Side::Server);
    let Some(start) = first_answer else { return messages.to_vec() };
    let run = messages.iter().skip(start).take_while(|m| m.side == Side::Server).count();
    let mut kept = messages.to_vec();
    if run > 1 && start + run < messages.len() {
        kept.drain(start..start + run - 1);
    }
    kept
}

/// Without an answer to it, MCS Connect Initial shows as the second client message in a row, behind the credentials,
/// or as the one behind the early authorization result.
fn unanswered_initial(messages: &[Message], early_result: bool) -> Option<usize> {
    if early_result {
        let early = early_at(messages)?;
        return messages.get(early + 1).filter(|m| m.side == Side::Client).map(|_| early + 1);
    }
    let rounds = messages.iter().filter(|m| m.side == Side::Server).count();
    let pair = messages.windows(2).rposition(|pair| pair.iter().all(|m| m.side == Side::Client))?;
    let initial = messages.get(pair + 1)?;
    (rounds >= 2 && initial.low >= mcs::CONNECT_INITIAL_BYTES_MIN).then_some(pair + 1)
}

/// The early result stands behind at least two round trips.
fn early_at(messages: &[Message]) -> Option<usize> {
    let rounds = |at: usize| messages.iter().take(at).filter(|m| m.side == Side::Client).count();
    let found = messages.iter().rposition(|m| m.side == Side::Server && m.is(EARLY_RESULT_BYTES))?;
    (rounds(found) >= 2).then_some(found)
}

fn say_rounds(reader: &mut Reader<'_>, exchange: &[Message]) {
    let mut round = 0;
    let mut speaker = Side::Server;
    for message in exchange {
        if message.side == Side::Client && speaker == Side::Server {
            round += 1;
        }
        speaker = message.side;
        reader.infer(message.seen, What::CredsspMessage { by: message.side, round, bytes: message.high });
    }
}

/// CredSSP ended before it was complete: who ended it.
fn refused(reader: &mut Reader<'_>, exchange: &[Message]) {
    let rounds = exchange.iter().filter(|m| m.side == Side::Client).count();
    let last = exchange.last();
    let is_error = |m: &&Message| {
        let short = ERROR_CODE_BYTES.contains(&m.high) && rounds >= 1;
        m.side == Side::Server && (short || (m.high <= REJECT_BYTES_MAX && rounds >= 2))
    };
    let error_code = last.filter(is_error);
    let (by, seen) = match (error_code, ended_by(reader)) {
        (Some(error), _) => (Side::Server, error.seen),
        (None, Some(ended)) => ended,
        (None, None) => return,
    };
    let bytes = last.filter(|m| m.side == by).map(|m| m.high);
    let round = u32::try_from(rounds).unwrap_or(u32::MAX);
    reader.infer(seen, What::CredsspRefused { by, round, bytes });
}

/// Who ended the connection first: by an alert, a FIN or a reset.
fn ended_by(reader: &Reader<'_>) -> Option<(Side, Sighting)> {
    let flow = reader.flow;
    let closes = [Side::Client, Side::Server].into_iter().flat_map(|side| {
        let half = flow.half(side);
        [half.fin, half.reset.map(|reset| reset.seen)].into_iter().flatten().map(move |seen| (side, seen))
    });
    let alerts = reader.facts.iter().filter_map(|fact| match fact.what {
        What::EncryptedAlert { by } => Some((by, Sighting { at: fact.at, place: fact.place })),
        _ => None,
    });
    closes.chain(alerts).min_by_key(|(_, seen)| *seen)
}
