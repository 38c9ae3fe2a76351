//! Which connections of different witnesses are one: by their initial sequence numbers, which no router changes, else by
//! segments with data that both saw.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::clock::{self, ClockOffset};
use super::gather::Gathered;
use super::logs::Cluster;
use super::segments::{self, Marked};
use super::{HostPart, Outcome, Seen, Session, Witness};
use crate::fact::{Connection, Fact};
use crate::note::Spot;
use crate::time::UnixNanos;

/// The facts of one connection at one witness.
pub(super) struct AtWitness {
    pub(super) connection: Arc<Connection>,
    pub(super) facts: Vec<Fact>,
}

/// One connection at all its witnesses.
pub(super) type Group = Vec<AtWitness>;

/// Two clocks can be off by this much and still mean the same connection when only the client's sequence number and both
/// ends agree. When the server's agrees, too, it is the same one by any clock.
const APART_NS_MAX: i64 = 2 * 86_400 * 1_000_000_000;

/// Groups facts by connection, and connections by what they are.
pub(super) fn connections(facts: Vec<Fact>) -> Vec<Group> {
    let mut by_connection: BTreeMap<Arc<Connection>, Vec<Fact>> = BTreeMap::new();
    for fact in facts {
        if let Some(connection) = fact.subject.connection() {
            by_connection.entry(Arc::clone(connection)).or_default().push(fact);
        }
    }
    let mut groups: Vec<Group> = Vec::new();
    let mut by_numbers: BTreeMap<(u32, Option<u32>), Vec<usize>> = BTreeMap::new();
    let mut by_first: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    let mut points = by_connection.keys().map(|connection| connection.witness_index);
    let is_one_point = points.next().is_none_or(|first| points.all(|other| other == first));
    let mut marked = Marked::new(by_connection.keys().filter(|_| !is_one_point));
    for (connection, facts) in by_connection {
        let key = connection.client_isn.map(|isn| (isn, connection.server_isn));
        let known = key.and_then(|key| by_numbers.get(&key)).and_then(|candidates| {
            candidates.iter().copied().find(|index| groups.get(*index).is_some_and(|g| fits(g, &connection)))
        });
        let known = known.or_else(|| marked.group_of(&connection, &groups));
        let by_first_number = || {
            let isn = connection.client_isn.filter(|_| !is_one_point)?;
            only_one_begun(by_first.get(&isn)?, &groups, &connection)
        };
        let known = known.or_else(by_first_number);
        if !is_one_point {
            marked.add(&connection, known.unwrap_or(groups.len()));
        }
        let part = AtWitness { connection, facts };
        match known.and_then(|index| groups.get_mut(index)) {
            Some(group) => group.push(part),
            None => {
                if let Some(key) = key {
                    by_numbers.entry(key).or_default().push(groups.len());
                    by_first.entry(key.0).or_default().push(groups.len());
                }
                groups.push(vec![part]);
            }
        }
    }
    groups
}

/// The same sequence numbers mean the same connection when the witness is another one and either both ends are the
/// same, or both initial sequence numbers agree (addresses differ behind NAT).
fn fits(group: &Group, connection: &Connection) -> bool {
    let new_witness = group.iter().all(|part| part.connection.witness_index != connection.witness_index);
    let same = |part: &AtWitness| {
        let known = &part.connection;
        let ends = (known.client, known.server) == (connection.client, connection.server);
        let near = known.opened.since(connection.opened).abs() < APART_NS_MAX;
        connection.server_isn.is_some() || (near && ends)
    };
    new_witness && group.iter().any(same)
}

/// Connections of which one witness saw no more than the client's first packets, as its capture began or ended there: the
/// only one with the same number that may be it, with one end the same where an address was translated.
fn only_one_begun(candidates: &[usize], groups: &[Group], connection: &Connection) -> Option<usize> {
    let fits = |group: &Group| {
        let new = group.iter().all(|part| part.connection.witness_index != connection.witness_index);
        let numbered = |part: &AtWitness| part.connection.server_isn.is_some();
        let is_one_begun = connection.server_isn.is_none() || !group.iter().any(numbered);
        let same = group.iter().any(|part| {
            let known = &part.connection;
            let near = known.opened.since(connection.opened).abs() < APART_NS_MAX;
            near && (known.client == connection.client || known.server == connection.server)
        });
        new && is_one_begun && same
    };
    let mut found = candidates.iter().copied().filter(|index| groups.get(*index).is_some_and(fits));
    let first = found.next()?;
    found.next().is_none().then_some(first)
}

/// Makes a session of what captures and logs hold of one connection.
pub(super) fn session(one: Gathered, clocks: &[ClockOffset], witnesses: &[Witness]) -> Session {
    let lost = segments::lost(&one.group, clocks, witnesses);
    let connections: Vec<Arc<Connection>> =
        one.group.iter().map(|part| Arc::clone(&part.connection)).collect();
    let mut names: Vec<String> = connections.iter().map(|connection| name(connection)).collect();
    names.extend(one.clusters.iter().map(cluster_name));
    let id = if names.is_empty() { String::new() } else { names.remove(0) };
    names.retain(|name| *name != id);
    names.dedup();
    let mut session = Session {
        id,
        aliases: names,
        connections,
        facts: Vec::new(),
        start: UnixNanos(i64::MAX),
        end: UnixNanos(i64::MIN),
        reached: None,
        broke_at: None,
        outcome: Outcome::Unknown,
        security: None,
        hosts: Vec::new(),
    };
    for part in one.group {
        let on_reference = |at: UnixNanos| clock::on_reference(clocks, part.connection.witness_index, at);
        session.start = session.start.min(on_reference(part.connection.opened));
        session.end = session.end.max(on_reference(part.connection.last_seen));
        session.facts.extend(part.facts.into_iter().map(|fact| Seen { at: on_reference(fact.at), fact }));
    }
    session.facts.extend(lost.into_iter().map(|fact| {
        let witness = fact.subject.connection().map_or(0, |connection| connection.witness_index);
        Seen { at: clock::on_reference(clocks, witness, fact.at), fact }
    }));
    let captured = !session.connections.is_empty();
    for cluster in one.clusters {
        take(&mut session, cluster, clocks, !captured);
    }
    session.facts.sort_by_key(|seen| (seen.at, seen.fact.place));
    let target = session.target().map(|(host, port)| format!("{host}:{port}"));
    session.aliases.extend(target);
    session
}

/// Adds what another host's logs say, and its name.
pub(super) fn add(session: &mut Session, cluster: Cluster, clocks: &[ClockOffset]) {
    session.aliases.push(cluster_name(&cluster));
    take(session, cluster, clocks, false);
    session.facts.sort_by_key(|seen| (seen.at, seen.fact.place));
}

fn take(session: &mut Session, cluster: Cluster, clocks: &[ClockOffset], sets_times: bool) {
    let witness_index = cluster.witness_index;
    session.hosts.push(HostPart {
        witness_index: cluster.witness_index,
        role: cluster.role,
        host: cluster.host,
        activity: cluster.activity,
        client: cluster.client,
        port: cluster.port,
        user: cluster.user,
        domain: cluster.domain,
        workstation: cluster.workstation,
    });
    for fact in cluster.facts {
        let at = clock::on_reference(clocks, witness_index, fact.at);
        if sets_times {
            session.start = session.start.min(at);
            session.end = session.end.max(at);
        }
        session.facts.push(Seen { at, fact });
    }
}

/// Facts of hosts, with the index of their witness, on the reference clock, sorted by time.
pub(super) fn on_reference(facts: Vec<(u32, Fact)>, clocks: &[ClockOffset]) -> Vec<Seen> {
    let seen = |(witness_index, fact): (u32, Fact)| Seen {
        at: clock::on_reference(clocks, witness_index, fact.at),
        fact,
    };
    let mut all: Vec<Seen> = facts.into_iter().map(seen).collect();
    all.sort_by_key(|seen| (seen.at, seen.fact.place));
    all
}

/// Client, server and the client's initial sequence number; without one, the time of the first packet.
fn name(connection: &Connection) -> String {
    let (client, server) = (connection.client, connection.server);
    match connection.client_isn {
        Some(isn) => format!("{client}-{server}-{isn:08x}"),
        None => format!("{client}-{server}-t{}", connection.opened.0),
    }
}

/// Host and ActivityID with the record that begins it, as ids are used again; without one, host, session and record.
fn cluster_name(cluster: &Cluster) -> String {
    let first = cluster.facts.first().map(|fact| fact.place.spot);
    let record = match first {
        Some(Spot::Record(id)) => id,
        _ => 0,
    };
    match (&cluster.activity, cluster.session_id()) {
        (Some(activity), _) => format!("{}-{activity}-r{record}", cluster.host),
        (None, Some(session)) => format!("{}-session{session}-r{record}", cluster.host),
        (None, None) => format!("{}-r{record}", cluster.host),
    }
}
