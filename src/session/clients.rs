//! What a client's own log says, joined to what was tried: it has no address of its own, so order, length and the name it
//! was given decide, with its doubt.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::clock::ClockOffset;
use super::gather::{Gathered, Tried, aligned};
use super::logs::Cluster;
use super::{Session, attempt, join};
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
    let found = aligned(&listed, &tried, &may_be).unwrap_or_default();
    let pairs = found.pairs;
    if !pairs.is_empty()
        && let Some(clock) = clocks.iter_mut().find(|clock| clock.witness_index == witness_index)
    {
        let count = u32::try_from(pairs.len()).unwrap_or(u32::MAX);
        let (offset_ns, error_ns) = (Some(found.offset_ns), found.error_ns);
        *clock = ClockOffset { witness_index, offset_ns, error_ns, pairs: count };
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
        let other_server = typed_ip.zip(session.server()).is_some_and(|(ip, server)| ip != server.ip());
        let there = session.hosts.iter().any(|part| part.witness_index == witness_index);
        let other_user = cluster
            .user
            .as_deref()
            .zip(session.user_name())
            .is_some_and(|(a, b)| !super::gather::is_same_user(a, b));
        !other_server && !there && !other_user
    })
}
