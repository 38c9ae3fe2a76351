//! Kerberos beside a connection: tickets given and refused to either of its ends, on port 88, in clear.

use std::net::SocketAddr;

use super::{Reader, clock};
use crate::fact::{Side, What};
use crate::read::flow::{Flow, Sighting};
use crate::read::neighbours::{Exchange, Said, Service, Transport};
use crate::wire::kerberos::{self, Message};

/// Facts told of one connection: the newest.
const TOLD_MAX: usize = 16;

/// Which end of the connection an exchange is of.
pub(super) fn side_of(flow: &Flow, asker: SocketAddr) -> Side {
    if asker.ip() == flow.server.ip() && flow.server.ip() != flow.client.ip() {
        Side::Server
    } else {
        Side::Client
    }
}

/// What the domain controllers answered up to the connection's end, in the order of time; of answers that repeat the one
/// before, the first.
pub(super) fn read(reader: &mut Reader<'_>) {
    if !reader.ends_spoke() {
        return;
    }
    let flow = reader.flow;
    let mut answers: Vec<(Sighting, &Exchange, Message)> = Vec::new();
    for exchange in flow.neighbours.exchanges.iter().filter(|one| one.service == Service::Kerberos) {
        answers.extend(messages(exchange).into_iter().map(|(seen, message)| (seen, &**exchange, message)));
    }
    answers.retain(|(seen, ..)| seen.at <= flow.last.at);
    answers.sort_by_key(|(seen, ..)| *seen);
    let timed: Vec<(&Exchange, Sighting, &Message)> =
        answers.iter().map(|(seen, exchange, message)| (*exchange, *seen, message)).collect();
    clock::of_kerberos(reader, &timed);
    let mut told: Vec<(Sighting, What)> = Vec::new();
    let mut before = None;
    for (seen, exchange, message) in answers {
        let asker = side_of(flow, exchange.asker);
        let Some(what) = fact(seen, asker, message) else { continue };
        let same = before.as_ref().is_some_and(|before| is_repeated(before, &what));
        if !same {
            told.push((seen, what.clone()));
        }
        before = Some(what);
    }
    let older = told.len().saturating_sub(TOLD_MAX);
    for (seen, what) in told.into_iter().skip(older) {
        reader.say(seen, what);
    }
}

/// The same answer to the same question: the clocks are not compared.
fn is_repeated(before: &What, what: &What) -> bool {
    match (before, what) {
        (
            What::KerberosFailed { code: a, service: b, asker: c, .. },
            What::KerberosFailed { code, service, asker, .. },
        ) => (a, b, c) == (code, service, asker),
        _ => before == what,
    }
}

fn fact(seen: Sighting, asker: Side, message: Message) -> Option<What> {
    let Message { kind, error, status, realm, service, client, server_time, .. } = message;
    if kind.grants() {
        return Some(What::KerberosGranted { service, asker });
    }
    let code = error.filter(|code| !code.is_normal_step())?;
    let kdc_ahead_s = server_time.map(|time| {
        let ns = time.since(seen.at);
        ns.saturating_add(ns.signum().saturating_mul(500_000_000)) / 1_000_000_000
    });
    Some(What::KerberosFailed { code, service, realm, user: client, asker: Some(asker), status, kdc_ahead_s })
}

/// The messages of the domain controller; what cannot be read is none.
fn messages(exchange: &Exchange) -> Vec<(Sighting, Message)> {
    let Said { datagrams, stream, .. } = &exchange.answers;
    if exchange.transport == Transport::Udp {
        let read = |(seen, bytes): &(Sighting, Box<[u8]>)| Some((*seen, kerberos::message(bytes).ok()?));
        return datagrams.iter().filter_map(read).collect();
    }
    let mut stream = stream.clone();
    stream.finish();
    let (mut found, mut offset) = (Vec::new(), 0_u64);
    while let Ok((bytes, length)) = kerberos::framed(stream.from(offset)) {
        let next = offset.saturating_add(u64::try_from(length).unwrap_or(u64::MAX));
        let seen = stream.seen(next.saturating_sub(1)).or_else(|| stream.seen(offset));
        if let (Some(seen), Ok(message)) = (seen, kerberos::message(bytes)) {
            found.push((seen, message));
        }
        offset = next;
    }
    found
}
