//! The way from an RD Gateway to the host, as another capture holds it, joined with the one from the client to the gateway:
//! the connection inside of the tunnel is the host's own, so that both hold the same ClientHello. Where the tunnel stays
//! closed, the gateway's log says which client it connected to which host, and when.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::clock::{ClockOffset, on_reference};
use super::gather::{Gathered, is_same_user};
use super::join::AtWitness;
use super::logs::Cluster;
use super::names::{Directory, is_same_host};
use crate::fact::{Connection, Fact, Recognised, Side, What};
use crate::time::UnixNanos;

const MILLISECOND_NS: i64 = 1_000_000;
const SECOND_NS: i64 = 1_000 * MILLISECOND_NS;
/// By the gateway's own clock, within what Kerberos tolerates (RFC 4120 1.6).
const BY_LOG_NS: i64 = 300 * SECOND_NS;
/// The gateway is connected to the resource, and no longer.
const CONNECTED: u32 = 302;
const DISCONNECTED: u32 = 303;

/// Joins both legs by what the logs of gateways say, where one connection of each kind alone can be meant, and no other
/// line of these logs means either.
pub(super) fn join_by_log(
    gathered: Vec<Gathered>,
    gateways: &[Cluster],
    names: &Directory,
    clocks: &[ClockOffset],
) -> Vec<Gathered> {
    let told = gateways.iter().filter_map(|cluster| pair_by_log(&gathered, cluster, names, clocks));
    let mut pairs: Vec<(usize, usize)> = told.collect();
    pairs.sort_unstable();
    let is_alone = |pair: &(usize, usize)| {
        pairs.iter().filter(|other| other.0 == pair.0 || other.1 == pair.1).count() == 1
    };
    let pairs: Vec<(usize, usize)> = pairs.iter().copied().filter(is_alone).collect();
    let mut slots: Vec<Option<Gathered>> = gathered.into_iter().map(Some).collect();
    for (gateway, host) in pairs {
        let Some(inner) = slots.get_mut(host).and_then(Option::take) else { continue };
        if let Some(outer) = slots.get_mut(gateway).and_then(Option::as_mut) {
            add(outer, inner);
        }
    }
    slots.into_iter().flatten().collect()
}

/// The client's connection and that to the resource, of which the log of a gateway tells.
fn pair_by_log(
    gathered: &[Gathered],
    cluster: &Cluster,
    names: &Directory,
    clocks: &[ClockOffset],
) -> Option<(usize, usize)> {
    let said = |wanted: u32| {
        cluster.find(|what| matches!(what, What::GatewayEvent { event, .. } if *event == wanted))
    };
    let connected = said(CONNECTED)?;
    let What::GatewayEvent { resource: Some(resource), .. } = &connected.what else { return None };
    let ended = said(DISCONNECTED).map(|fact| fact.at);
    let is_then = |connection: &Connection| {
        let at = |at: UnixNanos| on_reference(clocks, connection.witness_index, at);
        let ends = ended.is_none_or(|ended| ended.since(at(connection.last_seen)).abs() <= BY_LOG_NS);
        connected.at.since(at(connection.opened)).abs() <= BY_LOG_NS && ends
    };
    let of_client = |one: &Gathered| {
        let part = one.group.first().filter(|_| is_tunnel(one) && one.group.iter().all(is_outer))?;
        let connection = &part.connection;
        (cluster.client == Some(connection.client.ip()) && is_then(connection)).then_some(())
    };
    let of_host = |one: &Gathered| {
        let part = one.group.first().filter(|_| !is_tunnel(one))?;
        let connection = &part.connection;
        let user = part.facts.iter().find_map(|fact| match &fact.what {
            What::ConnectionRequest { cookie: Some(cookie), .. } => Some(cookie.as_str()),
            _ => None,
        });
        let other_user = user.zip(cluster.user.as_deref()).is_some_and(|(a, b)| !is_same_user(a, b));
        let same = is_resource(resource, part, names) && is_then(connection) && !other_user;
        (same && cluster.client != Some(connection.client.ip())).then_some(())
    };
    let outer = only(gathered.iter().enumerate().filter(|(_, one)| of_client(one).is_some()))?;
    let inner = only(gathered.iter().enumerate().filter(|(_, one)| of_host(one).is_some()))?;
    Some((outer, inner))
}

/// The index of the first, when there is no second.
fn only<'g>(mut found: impl Iterator<Item = (usize, &'g Gathered)>) -> Option<usize> {
    let (first, _) = found.next()?;
    found.next().is_none().then_some(first)
}

/// The server is the resource: by its address, by a name that it has, or by one that it was asked for.
fn is_resource(resource: &str, part: &AtWitness, names: &Directory) -> bool {
    let address = part.connection.server.ip();
    if let Ok(ip) = resource.parse::<IpAddr>() {
        return ip == address;
    }
    let asked = part.facts.iter().any(|fact| match &fact.what {
        What::ClientHello { sni: Some(name), .. } => is_same_host(name, resource),
        _ => false,
    });
    names.is_host(resource, address).unwrap_or(asked)
}

/// A connection to a gateway, opened, told by its sizes, or neither.
fn is_tunnel(one: &Gathered) -> bool {
    one.group.iter().any(is_outer)
}

fn is_outer(part: &AtWitness) -> bool {
    matches!(part.connection.recognised, Recognised::Gateway | Recognised::GatewaySizes)
}

/// Joins both legs where what they share is of no third connection. The clock of a capture that shares nothing else with
/// the others is taken from it.
pub(super) fn join(gathered: Vec<Gathered>, clocks: &mut [ClockOffset]) -> Vec<Gathered> {
    let pairs = pairs(&gathered);
    let mut slots: Vec<Option<Gathered>> = gathered.into_iter().map(Some).collect();
    for (gateway, host) in pairs {
        let Some(inner) = slots.get_mut(host).and_then(Option::take) else { continue };
        let Some(outer) = slots.get_mut(gateway).and_then(Option::as_mut) else { continue };
        compare(outer, &inner, clocks);
        add(outer, inner);
    }
    slots.into_iter().flatten().collect()
}

/// Indices of connections to a gateway, each with that of its connection to the host.
fn pairs(gathered: &[Gathered]) -> Vec<(usize, usize)> {
    let mut known: BTreeMap<String, [Vec<usize>; 2]> = BTreeMap::new();
    if !gathered.iter().any(is_gateway) {
        return Vec::new();
    }
    for (index, one) in gathered.iter().enumerate() {
        for mark in marks(one) {
            let [gateways, hosts] = known.entry(mark).or_default();
            if is_gateway(one) { gateways.push(index) } else { hosts.push(index) }
        }
    }
    let only = |[gateways, hosts]: &[Vec<usize>; 2]| match (gateways.as_slice(), hosts.as_slice()) {
        ([gateway], [host]) => Some((*gateway, *host)),
        _ => None,
    };
    let mut pairs: Vec<(usize, usize)> = known.values().filter_map(only).collect();
    pairs.sort_unstable();
    pairs
}

fn is_gateway(one: &Gathered) -> bool {
    one.group.iter().any(|part| part.connection.recognised == Recognised::Gateway)
}

/// The random of the ClientHello, and the correlation id that the client made for its request: the one where no TLS
/// followed, the other where a program sends none.
fn marks(one: &Gathered) -> BTreeSet<String> {
    let facts = one.group.iter().flat_map(|part| &part.facts);
    let mark = |fact: &Fact| match &fact.what {
        What::ClientHello { random, .. } => random.as_ref().map(|random| format!("random {random}")),
        What::ConnectionRequest { correlation, .. } => {
            correlation.as_ref().map(|id| format!("correlation {id}"))
        }
        _ => None,
    };
    facts.filter_map(mark).collect()
}

/// The clock of the capture at the host, where nothing else compared it: what passed there did so on its way between two
/// moments of the capture at the client.
fn compare(outer: &Gathered, inner: &Gathered, clocks: &mut [ClockOffset]) {
    let asked = |what: &What| matches!(what, What::ConnectionRequest { .. });
    let answered =
        |what: &What| matches!(what, What::ConnectionConfirm { .. } | What::NegotiationRefused { .. });
    let at = |one: &Gathered, wanted: &dyn Fn(&What) -> bool| -> Option<(u32, UnixNanos)> {
        let part = one.group.first()?;
        let found = |fact: &&Fact| wanted(&fact.what);
        Some((part.connection.witness_index, part.facts.iter().find(found)?.at))
    };
    let (Some((near, out)), Some((_, back)), Some((far, there))) =
        (at(outer, &asked), at(outer, &answered), at(inner, &asked))
    else {
        return;
    };
    let reference = out.since(on_reference(clocks, near, out));
    let is_free = |clock: &&mut ClockOffset| clock.witness_index == far && clock.offset_ns.is_none();
    if let Some(clock) = clocks.iter_mut().find(is_free).filter(|_| near != far) {
        let half = back.since(out).max(0) / 2;
        clock.offset_ns = Some(there.since(out).saturating_sub(half).saturating_add(reference));
        clock.error_ns = half.clamp(MILLISECOND_NS, SECOND_NS);
        clock.pairs = 1;
    }
}

/// What the gateway did at its own connection to the host is no act of the client.
fn add(outer: &mut Gathered, inner: Gathered) {
    for mut part in inner.group {
        part.facts.retain(|fact| fact.what.end() != Some(Side::Client));
        outer.group.push(part);
    }
    outer.clusters.extend(inner.clusters);
}
