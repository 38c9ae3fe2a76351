//! What a client's own log says, joined to what was tried: it has no address of its own, so order, length and the name it
//! was given decide, with its doubt.

use std::collections::BTreeMap;
use std::net::IpAddr;

use data_encoding::BASE64;
use sha2::{Digest as _, Sha256};

use super::clock::{ClockOffset, Paired, widened};
use super::gather::{ALIGNED_NS, Gathered, Tried, aligned, under};
use super::logs::Cluster;
use super::names::is_same_host;
use super::{Role, Session, attempt, join};
use crate::fact::What;

/// Joins the connections of client logs to the attempts that captures and servers' logs show; what fits none is a session
/// of its own.
pub(super) fn attach(sessions: &mut Vec<Session>, clusters: Vec<Cluster>, clocks: &mut [ClockOffset]) {
    let mut by_host: BTreeMap<u32, Vec<Cluster>> = BTreeMap::new();
    for cluster in clusters {
        by_host.entry(cluster.witness_index).or_default().push(cluster);
    }
    for (witness_index, clusters) in by_host {
        one_host(sessions, clusters, witness_index, clocks);
    }
}

fn one_host(
    sessions: &mut Vec<Session>,
    clusters: Vec<Cluster>,
    witness_index: u32,
    clocks: &mut [ClockOffset],
) {
    let attempts = attempt::group(sessions);
    let members = |attempt: &attempt::Attempt| attempt.sessions.clone();
    let groups: Vec<Vec<usize>> = attempts.iter().map(members).collect();
    let tried: Vec<Tried> = groups.iter().map(|group| tried(sessions, group)).collect();
    let listed: Vec<&Cluster> = clusters.iter().collect();
    let may_be = |cluster: usize, attempt: usize| match (listed.get(cluster), groups.get(attempt)) {
        (Some(cluster), Some(group)) => may_be(sessions, cluster, group, witness_index),
        _ => false,
    };
    // Messages may tell how far its clock is off.
    let told = clocks.iter().find(|clock| clock.witness_index == witness_index && clock.pairs > 0).cloned();
    let found = aligned(&listed, &tried, &may_be).unwrap_or_default();
    let fits = |told: &ClockOffset| {
        let apart = found.offset_ns.abs_diff(told.offset_ns.unwrap_or(0));
        told.by != Paired::Connections && apart <= ALIGNED_NS.unsigned_abs()
    };
    let known = told.as_ref().filter(|told| found.pairs.is_empty() || !fits(told));
    let pairs = match known {
        Some(known) => under(&listed, &tried, &|own| known.on_reference(own), &may_be),
        None => found.pairs,
    };
    if !pairs.is_empty()
        && known.is_none()
        && let Some(clock) = clocks.iter_mut().find(|clock| clock.witness_index == witness_index)
    {
        let count = u32::try_from(pairs.len()).unwrap_or(u32::MAX);
        *clock = ClockOffset::constant(witness_index, found.offset_ns, found.error_ns, count);
        // Without packets it is the host's own clock that it is held against.
        let joined = pairs.first().and_then(|(_, attempt)| sessions.get(*groups.get(*attempt)?.last()?));
        clock.against = joined
            .filter(|session| session.connections.is_empty())
            .map_or(0, |session| session.hosts.first().map_or(0, |part| part.witness_index));
        *clock = widened(clock.clone(), told.as_ref());
    }
    for (index, cluster) in clusters.into_iter().enumerate() {
        let attempt = pairs.iter().find(|(c, _)| *c == index).and_then(|(_, attempt)| groups.get(*attempt));
        match attempt.and_then(|group| group.last()).and_then(|last| sessions.get_mut(*last)) {
            Some(session) => join::add(session, cluster, clocks),
            None => sessions.push(join::session(Gathered::of(cluster), clocks, &[])),
        }
    }
}

/// From the first connection of an attempt to its end. What comes behind the end of the TCP connection does not count.
fn tried(sessions: &[Session], group: &[usize]) -> Tried {
    let members = || group.iter().filter_map(|index| sessions.get(*index));
    let ended = |session: &Session| {
        let end = session.find(|what| what.end().is_some() || matches!(what, What::Disconnected { .. }));
        end.map_or(session.end, |seen| seen.at)
    };
    Tried {
        start: members().map(|session| session.start).min().unwrap_or_default(),
        end: members().map(ended).max().unwrap_or_default(),
    }
}

/// Nothing that both know speaks against it: the address or name typed, the user, and that no log of this host is there
/// already.
fn may_be(sessions: &[Session], cluster: &Cluster, group: &[usize], witness_index: u32) -> bool {
    let typed = cluster.facts.iter().find_map(|fact| match &fact.what {
        What::ClientConnecting { name } => Some(name.split(':').next().unwrap_or(name).to_owned()),
        _ => None,
    });
    let typed_ip = typed.as_deref().and_then(|name| name.parse::<IpAddr>().ok());
    group.iter().filter_map(|index| sessions.get(*index)).all(|session| {
        let other_server = if session.is_through_gateway() {
            is_other_way(cluster, session, typed_ip)
        } else {
            typed_ip.zip(session.server()).is_some_and(|(ip, server)| ip != server.ip())
        };
        let there = session.hosts.iter().any(|part| part.witness_index == witness_index);
        let other_user = cluster
            .user
            .as_deref()
            .zip(session.user_name())
            .is_some_and(|(a, b)| !super::gather::is_same_user(a, b));
        let by_gateway_alone = session.connections.is_empty()
            && session.hosts.iter().all(|part| part.role == Role::Gateway)
            && !session.hosts.is_empty();
        // A gateway's log tells of many: the host or the user must be the client's own.
        let known = || asked_for(session, typed.as_deref()) || is_hash_of_user(cluster, session);
        !other_server && !there && !other_user && (!by_gateway_alone || known())
    })
}

/// Through a gateway the server is the gateway: what was typed is the host behind it, and the client's log may name the gateway.
fn is_other_way(cluster: &Cluster, session: &Session, typed: Option<IpAddr>) -> bool {
    let asked = session.target().and_then(|(host, _)| host.parse::<IpAddr>().ok());
    let other_host = typed.zip(asked).is_some_and(|(typed, asked)| typed != asked);
    let known = session.facts.iter().find_map(|seen| match seen.what() {
        What::GatewayRequest { host, .. } => host.as_deref(),
        _ => None,
    });
    let named = gateway_named(cluster).zip(known);
    other_host || named.is_some_and(|(named, known)| !is_same_host(host_of(named), host_of(known)))
}

/// The name without its port.
fn host_of(name: &str) -> &str {
    match name.split_once(':') {
        Some((host, port)) if !port.contains(':') => host,
        _ => name,
    }
}

/// The gateway that the client's log names: the value of RDPClient 1010, by the text of its manifest.
fn gateway_named(cluster: &Cluster) -> Option<&str> {
    cluster.facts.iter().find_map(|fact| match &fact.what {
        What::LogSays { log, event: 1010, detail: Some(detail), .. } if log == "rdpclient" => {
            detail.split(", ").find_map(|part| part.strip_prefix("Value="))
        }
        _ => None,
    })
}

/// The gateway was asked for the host that was typed at the client.
fn asked_for(session: &Session, typed: Option<&str>) -> bool {
    session.facts.iter().any(|seen| match (seen.what(), typed) {
        (What::GatewayEvent { resource: Some(resource), .. }, Some(typed)) => is_same_host(resource, typed),
        _ => false,
    })
}

/// The client's log tells the hash of the name of this session's user (RDPClient 1029: Base64 of the SHA-256 of UTF-16).
fn is_hash_of_user(cluster: &Cluster, session: &Session) -> bool {
    let hash_of = |name: &str| {
        let bytes: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
        BASE64.encode(&Sha256::digest(bytes))
    };
    let Some(user) = session.user_name() else { return false };
    let whole = session.user_domain().map(|domain| format!("{domain}\\{user}"));
    let hashes: Vec<String> = std::iter::once(user).chain(whole.as_deref()).map(hash_of).collect();
    cluster.facts.iter().any(|fact| match &fact.what {
        What::UserNameHash { hash } => hashes.contains(hash),
        _ => false,
    })
}
