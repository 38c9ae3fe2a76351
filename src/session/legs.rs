//! The way from an RD Gateway to the host, as another capture holds it, joined with the one from the client to the gateway:
//! the connection inside of the tunnel is the host's own, so that both hold the same ClientHello.

use std::collections::{BTreeMap, BTreeSet};

use super::clock::{ClockOffset, on_reference};
use super::gather::Gathered;
use crate::fact::{Fact, Recognised, Side, What};
use crate::time::UnixNanos;

const MILLISECOND_NS: i64 = 1_000_000;
const SECOND_NS: i64 = 1_000 * MILLISECOND_NS;

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
