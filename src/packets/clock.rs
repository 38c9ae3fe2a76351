//! What messages tell of the clocks of the hosts that wrote them: Kerberos errors, and NTLM where the client's time is its own.

use std::net::IpAddr;

use super::Reader;
use crate::fact::What;
use crate::read::flow::Sighting;
use crate::read::neighbours::{Exchange, Service};
use crate::time::UnixNanos;
use crate::wire::kerberos::Message;

/// Hosts told of beside one connection.
const HOSTS_MAX: usize = 4;
const MILLISECOND_NS: i64 = 1_000_000;

/// Milliseconds that a host's clock was ahead when a message was seen.
pub(super) fn ahead_ms(time: UnixNanos, seen: Sighting) -> i64 {
    time.since(seen.at) / MILLISECOND_NS
}

/// Milliseconds between two moments, rounded up; 0 when the first was not seen.
pub(super) fn within_ms(asked: Option<Sighting>, answered: Sighting) -> u64 {
    let ns = asked.map_or(0, |asked| answered.at.since(asked.at).max(0));
    u64::try_from(ns).unwrap_or(0).div_ceil(1_000_000)
}

/// The clocks of the domain controllers that answered, and of who asked them: of each host the one that is known best.
pub(super) fn of_kerberos(reader: &mut Reader<'_>, exchanges: &[(&Exchange, Sighting, &Message)]) {
    let mut told: Vec<(Sighting, What)> = Vec::new();
    for (exchange, seen, message) in exchanges {
        let Some(asked) = asked_at(exchange, *seen) else { continue };
        let named = |of: IpAddr| name_of(reader, of, *seen);
        let clock = |of: IpAddr, time: UnixNanos| What::HostClock {
            of,
            name: named(of),
            by: "kerberos".to_owned(),
            ahead_ms: ahead_ms(time, *seen),
            within_ms: within_ms(Some(asked), *seen),
            asker: Some(exchange.asker.ip()),
            asker_port: Some(exchange.asker.port().into()),
        };
        let server = message.server_time.map(|time| clock(exchange.server.ip(), time));
        // What the asker wrote before it asked is older than the request, by nobody knows how much: it asks at once.
        let client = message.client_time.map(|time| clock(exchange.asker.ip(), time));
        for what in server.into_iter().chain(client) {
            keep_best(&mut told, (*seen, what));
        }
    }
    for (seen, what) in told.into_iter().take(HOSTS_MAX) {
        reader.say(seen, what);
    }
}

fn keep_best(told: &mut Vec<(Sighting, What)>, (seen, what): (Sighting, What)) {
    let of = |what: &What| match what {
        What::HostClock { of, within_ms, .. } => Some((*of, *within_ms)),
        _ => None,
    };
    let Some((host, within)) = of(&what) else { return };
    let known = told.iter_mut().find(|(_, known)| of(known).is_some_and(|(known, _)| known == host));
    match known {
        Some(known) if of(&known.1).is_some_and(|(_, best)| within < best) => *known = (seen, what),
        Some(_) => {}
        None => told.push((seen, what)),
    }
}

/// When the asker asked what is answered at `answered`: its last message before.
fn asked_at(exchange: &Exchange, answered: Sighting) -> Option<Sighting> {
    let before = |seen: &Sighting| seen.at <= answered.at;
    let datagrams = exchange.asked.datagrams.iter().map(|(seen, _)| *seen);
    let stream = exchange.asked.stream.seen(0);
    datagrams.chain(stream).filter(before).max().or(Some(exchange.first).filter(before))
}

/// The name whose lookup led to this address alone, of the last lookup before.
fn name_of(reader: &Reader<'_>, of: IpAddr, seen: Sighting) -> Option<String> {
    let lookups = reader.flow.neighbours.exchanges.iter();
    let names = lookups.filter(|one| matches!(one.service, Service::Names | Service::LocalNames));
    let answers = names.flat_map(|one| super::names::messages(one, &one.answers));
    let leads_there = |(at, answer): &(Sighting, crate::wire::dns::Message)| {
        at.at <= seen.at && answer.answers && answer.addresses == [of]
    };
    let last = answers.filter(leads_there).max_by_key(|(at, _)| *at);
    last.map(|(_, answer)| answer.name)
}
