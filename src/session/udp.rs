//! Which UDP transports belong to which TCP connection: by what both were told, else by their ends and the time, and then
//! only where one connection alone can be meant.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::join::{AtWitness, Group};
use crate::fact::{Connection, Fact, What};
use crate::note::Place;
use crate::step::Step;

/// A transport opens while its connection is there; the connection may have been silent for this long.
const SILENT_NS_MAX: i64 = 2_000_000_000;

/// UDP transports that belong to no connection in the evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UdpAlone {
    /// How many.
    pub transports: usize,
    /// Those without an answer.
    pub unanswered: usize,
    /// SYN of the first.
    pub first: Option<Place>,
}

/// Index of a group and of its part.
type At = (usize, usize);

/// Gives the facts of UDP transports to the connections that they belong to.
pub(super) fn attach(groups: &mut [Group], facts: Vec<Fact>) -> UdpAlone {
    let mut transports: BTreeMap<Arc<Connection>, Vec<Fact>> = BTreeMap::new();
    for fact in facts {
        if let Some(transport) = fact.subject.udp() {
            transports.entry(Arc::clone(transport)).or_default().push(fact);
        }
    }
    let mut alone = UdpAlone::default();
    if transports.is_empty() {
        return alone;
    }
    let ends = by_ends(groups);
    let mut found: Vec<(At, Vec<Fact>)> = Vec::new();
    for (transport, facts) in transports {
        let same = ends.get(&key(&transport)).map(Vec::as_slice).unwrap_or_default();
        match owner(groups, same, &transport, &facts) {
            Some(at) => found.push((at, facts)),
            None => alone.add(&transport, &facts),
        }
    }
    for ((group, part), facts) in found {
        if let Some(part) = groups.get_mut(group).and_then(|group| group.get_mut(part)) {
            part.facts.extend(facts);
        }
    }
    alone
}

impl UdpAlone {
    fn add(&mut self, transport: &Connection, facts: &[Fact]) {
        self.transports += 1;
        self.unanswered += usize::from(transport.server_isn.is_none() && !facts.is_empty());
        self.first = Some(self.first.map_or(transport.first, |first| first.min(transport.first)));
    }
}

/// Witness, client and server, without ports: those of the transport are its own.
type Key = (u32, IpAddr, IpAddr);

fn key(connection: &Connection) -> Key {
    (connection.witness_index, connection.client.ip(), connection.server.ip())
}

fn by_ends(groups: &[Group]) -> BTreeMap<Key, Vec<At>> {
    let mut ends: BTreeMap<Key, Vec<At>> = BTreeMap::new();
    for (group, parts) in groups.iter().enumerate() {
        for (part, one) in parts.iter().enumerate() {
            ends.entry(key(&one.connection)).or_default().push((group, part));
        }
    }
    ends
}

/// What a transport's SYN says of the connection that it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Names<'f> {
    cookie: Option<&'f str>,
    correlation: Option<&'f str>,
}

fn owner(groups: &[Group], same_ends: &[At], transport: &Connection, facts: &[Fact]) -> Option<At> {
    let part = |at: &At| groups.get(at.0)?.get(at.1);
    let there = |at: &&At| {
        part(at).is_some_and(|part| {
            let connection = &part.connection;
            connection.opened <= transport.opened
                && transport.opened.since(connection.last_seen) <= SILENT_NS_MAX
        })
    };
    let names = named(facts);
    let group = |at: &At| groups.get(at.0).map(Vec::as_slice).unwrap_or_default();
    let there: Vec<At> = same_ends.iter().filter(there).copied().collect();
    let latest = |found: Vec<At>| {
        found
            .into_iter()
            .max_by_key(|at| part(at).map(|part| (part.connection.opened, part.connection.first)))
    };
    let by_cookie = |at: &At| names.cookie.is_some_and(|cookie| cookies(group(at)).any(|c| c == cookie));
    let by_id = |at: &At| names.correlation.is_some() && correlation(group(at)) == names.correlation;
    let told = |by: &dyn Fn(&At) -> bool| latest(there.iter().copied().filter(|at| by(at)).collect());
    if let Some(at) = told(&by_cookie).or_else(|| told(&by_id)) {
        return Some(at);
    }
    let possible: Vec<At> = there.iter().copied().filter(|at| !contradicts(group(at), names)).collect();
    let ready: Vec<At> = possible.iter().copied().filter(|at| is_ready(group(at))).collect();
    match (ready.as_slice(), possible.as_slice()) {
        ([only], _) | ([], [only]) => Some(*only),
        _ => None,
    }
}

fn named(facts: &[Fact]) -> Names<'_> {
    let syn = facts.iter().find_map(|fact| match &fact.what {
        What::UdpSyn { cookie_hash, correlation, .. } => {
            Some(Names { cookie: cookie_hash.as_deref(), correlation: correlation.as_deref() })
        }
        _ => None,
    });
    let shown = facts.iter().find_map(|fact| match &fact.what {
        What::TunnelAsked { cookie_hash, .. } => cookie_hash.as_deref(),
        _ => None,
    });
    let syn = syn.unwrap_or_default();
    Names { cookie: syn.cookie.or(shown), ..syn }
}

/// Hashes of the cookies that the server gave in this connection.
fn cookies(group: &[AtWitness]) -> impl Iterator<Item = &str> {
    group.iter().flat_map(|part| &part.facts).filter_map(|fact| match &fact.what {
        What::MultitransportAsked { cookie_hash, .. } => Some(cookie_hash.as_str()),
        _ => None,
    })
}

fn correlation(group: &[AtWitness]) -> Option<&str> {
    group.iter().flat_map(|part| &part.facts).find_map(|fact| match &fact.what {
        What::ConnectionRequest { correlation, .. } => correlation.as_deref(),
        _ => None,
    })
}

/// The connection was told another id, or gave other cookies.
fn contradicts(group: &[AtWitness], names: Names<'_>) -> bool {
    let other_id = correlation(group).zip(names.correlation).is_some_and(|(a, b)| a != b);
    let other_cookie = names
        .cookie
        .is_some_and(|cookie| cookies(group).next().is_some() && cookies(group).all(|c| c != cookie));
    other_id || other_cookie
}

/// It came far enough for a server to ask for a UDP transport, which it does behind licensing at the earliest (MS-RDPBCGR
/// 1.3.1.1); without keys that shows as MCS.
fn is_ready(group: &[AtWitness]) -> bool {
    group.iter().flat_map(|part| &part.facts).any(|fact| fact.what.step() >= Some(Step::Mcs))
}
