//! What the ends of a connection could not reach, and who answers ARP for them.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashSet};

use super::kerberos::side_of;
use super::{Reader, ms_between};
use crate::fact::{Side, What};
use crate::note::Note;
use crate::read::flow::Sighting;
use crate::read::neighbours::{Exchange, Resolution, Service, Transport};

/// Facts told of one connection.
const TOLD_MAX: usize = 16;
/// A service that has not answered for so long is taken as silent: the first repeat of a SYN has gone out (RFC 6298 2).
const SILENT_NS: i64 = 900_000_000;
/// Two answers to one request come within this.
const SAME_REQUEST_NS: i64 = 1_000_000_000;

/// Services without an answer, ARP, and whether the limits cut anything of it.
pub(super) fn read(reader: &mut Reader<'_>) {
    unreached(reader);
    let flow = reader.flow;
    for resolution in &flow.neighbours.resolutions {
        let Some(address) = resolution.address else { continue };
        let side = if IpAddr::V4(address) == flow.server.ip() { Side::Server } else { Side::Client };
        if side == Side::Server && flow.from_server.packets == 0 {
            unresolved(reader, address, resolution);
        }
        conflict(reader, address, resolution);
    }
    let complete = |what: &What| matches!(what, What::Finalized {} | What::Running { .. });
    if flow.neighbours.cut && !reader.facts.iter().any(|fact| complete(&fact.what)) {
        reader.notes.push(Note::neighbours_cut(flow.first.place));
    }
}

/// What one end sent to a service of a host without an answer, by whatever ports.
struct Attempt<'f> {
    one: &'f Exchange,
    asker: Side,
    last: Sighting,
    tries: u32,
    refused: bool,
}

/// Silence of a service can explain what became of the connection: where its ends never said anything to each other,
/// only that of names.
fn matters(reader: &Reader<'_>, service: Service) -> bool {
    service == Service::Names || (service != Service::LocalNames && reader.ends_spoke())
}

fn unreached(reader: &mut Reader<'_>) {
    let flow = reader.flow;
    let exchanges = || flow.neighbours.exchanges.iter().filter(|one| matters(reader, one.service));
    let key = |one: &Exchange| (one.asker.ip(), one.service, one.transport, one.server.ip());
    let is_silent = |one: &&Arc<Exchange>| {
        let long = flow.last.at.since(one.first.at) >= SILENT_NS || one.refused.is_some();
        one.answered.is_none() && one.tries > 0 && one.first.at <= flow.last.at && long
    };
    let answering: HashSet<_, FixedState> =
        exchanges().filter(|one| one.answered.is_some()).map(|one| key(one)).collect();
    let mut places: HashMap<_, usize, FixedState> = HashMap::default();
    let mut attempts: Vec<Attempt<'_>> = Vec::new();
    for one in exchanges().filter(is_silent).filter(|one| !answering.contains(&key(one))) {
        let refused = one.refused.is_some();
        let place = *places.entry(key(one)).or_insert(attempts.len());
        if let Some(known) = attempts.get_mut(place) {
            known.last = known.last.max(one.last);
            known.tries = known.tries.saturating_add(one.tries);
            known.refused &= refused;
        } else {
            let asker = side_of(flow, one.asker);
            attempts.push(Attempt { one, asker, last: one.last, tries: one.tries, refused });
        }
    }
    for Attempt { one, asker, last, tries, refused } in attempts.into_iter().take(TOLD_MAX) {
        let what = What::ServiceUnreached {
            asker,
            service: one.service.name().to_owned(),
            server: one.server.ip(),
            udp: one.transport == Transport::Udp,
            refused,
            tries,
            over_ms: ms_between(one.first, last),
        };
        reader.say(one.first, what);
    }
}

/// Somebody on the server's own link asks who has its address, and nobody answers.
fn unresolved(reader: &mut Reader<'_>, address: Ipv4Addr, resolution: &Resolution) {
    let Some((asker, first, last, tries)) = resolution.unanswered else { return };
    let flow = reader.flow;
    let beside = last.at.since(flow.first.at) >= -SILENT_NS && first.at <= flow.last.at;
    if beside {
        let (address, asker) = (IpAddr::V4(address), IpAddr::V4(asker));
        reader.say(first, What::ArpUnanswered { address, asker, tries, over_ms: ms_between(first, last) });
    }
}

/// Two link addresses answer for one IP address: both to one request, or in turns. One that takes over from another,
/// as in a cluster, is none.
fn conflict(reader: &mut Reader<'_>, address: Ipv4Addr, resolution: &Resolution) {
    let flow = reader.flow;
    let during =
        |seen: &Sighting| seen.at.since(flow.first.at) >= -SAME_REQUEST_NS && seen.at <= flow.last.at;
    let claims: Vec<_> = resolution.claims.iter().collect();
    let found = claims.windows(2).enumerate().find_map(|(index, pair)| {
        let [(first, to, earlier), (second, also_to, later)] = pair else { return None };
        let twice = to == also_to && later.at.since(earlier.at) < SAME_REQUEST_NS;
        let in_turns = claims.iter().skip(index + 2).any(|(mac, again, _)| (mac, again) == (first, to));
        (first != second && during(later) && (twice || in_turns)).then_some((*first, *second, *later))
    });
    if let Some((first, second, seen)) = found {
        let macs = format!("{},{}", written(first), written(second));
        reader.say(seen, What::DuplicateAddress { address: IpAddr::V4(address), macs });
    }
}

fn written(mac: [u8; 6]) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}
