//! Names looked up beside a connection: which one led to its server, and which domain controllers were sought in vain.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::IpAddr;

use super::kerberos::side_of;
use super::{Reader, ms_between};
use crate::fact::{Side, What};
use crate::read::flow::Sighting;
use crate::read::neighbours::{Exchange, Said, Service, Transport};
use crate::wire::dns::{self, Message, RecordKind, ResponseCode};

/// Facts of each kind told of one connection.
const TOLD_MAX: usize = 8;
/// An answer later than this is none for who waits: resolvers ask again after a second (RFC 1123 6.1.3.3 asks for no less).
const ANSWER_NS: i64 = 900_000_000;

/// One lookup of a name by one end.
struct Lookup {
    kind: RecordKind,
    server: IpAddr,
    first: Sighting,
    last: Sighting,
    tries: u32,
    code: Option<ResponseCode>,
    found: bool,
}

/// Reads the lookups of both ends.
pub(super) fn read(reader: &mut Reader<'_>) {
    let flow = reader.flow;
    let mut named: BTreeMap<String, (Sighting, Vec<IpAddr>)> = BTreeMap::new();
    let mut sought: BTreeMap<(Side, String, RecordKind), Lookup> = BTreeMap::new();
    for exchange in &flow.neighbours.exchanges {
        if !matches!(exchange.service, Service::Names | Service::LocalNames) {
            continue;
        }
        let side = side_of(flow, exchange.asker);
        let answers = messages(exchange, &exchange.answers);
        for (seen, answer) in &answers {
            let leads_here = answer.addresses.contains(&flow.server.ip()) && seen.at <= flow.first.at;
            if leads_here && side == Side::Client {
                named.insert(answer.name.clone(), (*seen, answer.addresses.clone()));
            }
        }
        for (seen, question) in messages(exchange, &exchange.asked) {
            if !question.answers
                && exchange.service == Service::Names
                && is_for_a_domain_controller(&question.name)
            {
                let answer =
                    answers.iter().rev().find(|(_, a)| (&a.name, a.kind) == (&question.name, question.kind));
                note(
                    &mut sought,
                    (side, question),
                    seen,
                    exchange.server.ip(),
                    answer.map(|(_, answer)| answer),
                );
            }
        }
    }
    let mut named: Vec<_> = named.into_iter().collect();
    named.sort_by_key(|(_, (seen, _))| Reverse(*seen));
    for (name, (seen, addresses)) in named.into_iter().take(TOLD_MAX) {
        let addresses = addresses.iter().map(IpAddr::to_string).collect::<Vec<String>>().join(",");
        reader.say(seen, What::NameResolved { name, addresses });
    }
    if reader.ends_spoke() {
        in_vain(reader, &sought);
    }
}

fn note(
    sought: &mut BTreeMap<(Side, String, RecordKind), Lookup>,
    (side, question): (Side, Message),
    seen: Sighting,
    server: IpAddr,
    answer: Option<&Message>,
) {
    let kind = question.kind;
    let lookup = sought.entry((side, question.name, kind)).or_insert(Lookup {
        kind,
        server,
        first: seen,
        last: seen,
        tries: 0,
        code: None,
        found: false,
    });
    lookup.tries = lookup.tries.saturating_add(1);
    lookup.first = lookup.first.min(seen);
    lookup.last = lookup.last.max(seen);
    lookup.code = answer.map(|answer| answer.code).or(lookup.code);
    lookup.found |= answer.is_some_and(|answer| answer.records > 0);
}

/// Lookups without result of an end that found no domain controller at all.
fn in_vain(reader: &mut Reader<'_>, sought: &BTreeMap<(Side, String, RecordKind), Lookup>) {
    let flow = reader.flow;
    let found = |side: Side| {
        let by_name = sought.iter().any(|((asker, ..), lookup)| *asker == side && lookup.found);
        let exchanges = flow.neighbours.exchanges.iter();
        let mut kerberos = exchanges.filter(|one| one.service == Service::Kerberos);
        by_name || kerberos.any(|one| side_of(flow, one.asker) == side && one.answered.is_some())
    };
    let mut told = 0;
    for ((asker, name, _), lookup) in sought {
        let waited = flow.last.at.since(lookup.first.at) >= ANSWER_NS;
        if told == TOLD_MAX || found(*asker) || (lookup.code.is_none() && !waited) {
            continue;
        }
        told += 1;
        let what = What::LookupFailed {
            asker: *asker,
            name: name.clone(),
            records: lookup.kind.name().map(ToOwned::to_owned),
            code: lookup.code.map(|code| u32::from(code.0)),
            server: lookup.server,
            tries: lookup.tries,
            over_ms: ms_between(lookup.first, lookup.last),
        };
        reader.say(lookup.first, what);
    }
}

/// Names by which domain controllers are found (RFC 4120 7.2.3.2, MS-ADTS 6.3.2).
fn is_for_a_domain_controller(name: &str) -> bool {
    ["_kerberos.", "_kerberos-", "_kpasswd.", "_ldap.", "_gc."].iter().any(|prefix| name.starts_with(prefix))
}

pub(super) fn messages(exchange: &Exchange, said: &Said) -> Vec<(Sighting, Message)> {
    if exchange.transport == Transport::Udp {
        let read = |(seen, bytes): &(Sighting, Box<[u8]>)| Some((*seen, dns::message(bytes).ok()?));
        return said.datagrams.iter().filter_map(read).collect();
    }
    let mut stream = said.stream.clone();
    stream.finish();
    let (mut found, mut offset) = (Vec::new(), 0_u64);
    while let Ok((bytes, length)) = dns::framed(stream.from(offset)) {
        if let (Some(seen), Ok(message)) = (stream.seen(offset), dns::message(bytes)) {
            found.push((seen, message));
        }
        offset = offset.saturating_add(u64::try_from(length).unwrap_or(u64::MAX));
    }
    found
}
