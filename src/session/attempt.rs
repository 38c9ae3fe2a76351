//! What a person tried once: connections of one client to one server that follow each other closely.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use super::gather::is_same_user;
use super::progress::is_hand_over;
use super::{Outcome, Role, Seen, Session};
use crate::fact::{Connection, What};
use crate::step::Step;
use crate::time::UnixNanos;

/// A next connection that starts within this time after a failed one belongs to the same attempt: programs retry and
/// fall back at once, a person needs longer to read the message and type again.
const RETRY_NS: i64 = 3_000_000_000;
/// After a session that was active, programs reconnect by themselves for this long (MS-RDPBCGR 1.3.1.5).
const RECONNECT_NS: i64 = 60_000_000_000;
/// Members and groups, the latest first, among which the other half of a connection is sought.
const HALVES_MAX: usize = 64;
/// A client that was sent on is there within this time.
const HOP_NS: i64 = 10_000_000_000;
/// Behind the last SYN that nobody answers, a client waits this long before it tries another way.
const SYN_WAIT_NS: i64 = 16_000_000_000;
/// Retries may start this much before the last packets of the one before.
const OVERLAP_NS: i64 = 2_000_000_000;

/// Sessions of one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Indices of its sessions, in order of time.
    pub sessions: Vec<usize>,
    /// The session that decides: the active one, else the one that came furthest, else the last.
    pub decisive: usize,
    /// Outcome: active wins, else that of the last session that tells something.
    pub outcome: Outcome,
    /// Of a failed one: what is not as in the last attempt of the same client and server that worked.
    pub differs: Vec<String>,
}

/// Sessions of one group, and what of all of them decides whether another one follows.
struct Group<'s> {
    members: Vec<usize>,
    /// The user of the last member that has one.
    user: Option<&'s str>,
    /// The client as each capture point saw it: few, however many members there are.
    seen: BTreeSet<(Option<IpAddr>, Option<u32>)>,
    /// By client, the latest end of a member that was active, and of the others.
    ends: BTreeMap<Option<IpAddr>, [Option<UnixNanos>; 2]>,
    /// The latest end of all, and of those that were no probe.
    end: UnixNanos,
    end_of_tries: Option<UnixNanos>,
    /// Addresses that were tried.
    servers: BTreeSet<IpAddr>,
    /// No member got an answer to its SYN.
    unanswered: bool,
    /// When the last member was sent on.
    sent_on: Option<UnixNanos>,
}

impl<'s> Group<'s> {
    fn new() -> Self {
        Self {
            members: Vec::new(),
            user: None,
            seen: BTreeSet::new(),
            ends: BTreeMap::new(),
            end: UnixNanos(i64::MIN),
            end_of_tries: None,
            servers: BTreeSet::new(),
            unanswered: true,
            sent_on: None,
        }
    }

    fn push(&mut self, index: usize, session: &'s Session) {
        self.members.push(index);
        self.servers.extend(session.connections.iter().map(|connection| connection.server.ip()));
        self.unanswered &= is_unanswered(session);
        self.sent_on = session.find(is_hand_over).map(|_| session.end);
        self.user = session.user_name().or(self.user);
        for (client, witness) in clients(session) {
            self.seen.insert((client, witness));
            let [active, other] = self.ends.entry(client).or_default();
            let end = if session.outcome == Outcome::Active { active } else { other };
            *end = (*end).max(Some(session.end));
        }
        self.end = self.end.max(session.end);
        if session.outcome != Outcome::Probe {
            self.end_of_tries = self.end_of_tries.max(Some(session.end));
        }
    }

    /// Does `session` continue what this group began, or is it the other half of it?
    fn is_followed_by(&self, session: &Session, sessions: &[Session]) -> bool {
        let other_user = self.user.zip(session.user_name()).is_some_and(|(a, b)| !is_same_user(a, b));
        if other_user {
            return false;
        }
        let mut last = self.members.iter().rev().take(HALVES_MAX).filter_map(|index| sessions.get(*index));
        if last.any(|known| is_other_half(known, session)) {
            return true;
        }
        let views = clients(session);
        // One host by two families of addresses: the one was tried because nobody answered by the other.
        let untried = self.unanswered || is_unanswered(session);
        let other_family = |known: &Option<IpAddr>, client: &Option<IpAddr>| {
            untried && known.zip(*client).is_some_and(|(a, b)| a.is_ipv4() != b.is_ipv4())
        };
        let may_be = |known, client| known == client || other_family(known, client);
        // Behind address translation each capture point knows the client by another address, and always by the same.
        let same_client = self.seen.iter().all(|(known, by)| {
            views.iter().all(|(client, at)| may_be(known, client) || by.is_none() || by != at)
        });
        let other_way = self.unanswered
            && !session.connections.iter().any(|connection| self.servers.contains(&connection.server.ip()));
        let retry = if other_way { SYN_WAIT_NS } else { RETRY_NS };
        let within =
            |end: Option<UnixNanos>, allowed: i64| end.is_some_and(|end| session.start.since(end) <= allowed);
        let known = || {
            let of = |client| self.ends.iter().filter(move |(known, _)| may_be(known, client));
            views.iter().flat_map(move |(client, _)| of(client))
        };
        // What fails long behind a session that worked is no part of it: told as one, the success would hide it.
        let reconnect = if session.outcome.is_failure() { RETRY_NS } else { RECONNECT_NS };
        let near = known().any(|(_, [active, other])| within(*active, reconnect) || within(*other, retry))
            || (within(self.sent_on, HOP_NS) && known().next().is_some());
        let is_beside = |end: UnixNanos| end.since(session.start) > OVERLAP_NS;
        let by_both =
            views.iter().all(|(client, _)| self.ends.keys().any(|known| other_family(known, client)));
        let beside =
            session.outcome != Outcome::Probe && !by_both && self.end_of_tries.is_some_and(is_beside);
        same_client && near && !beside
    }
}

/// The client's address, with the capture point that saw it, or told that it is forwarded for that client; of a session of
/// logs alone what they say.
fn clients(session: &Session) -> Vec<(Option<IpAddr>, Option<u32>)> {
    let far = session.forwarded_for().map(|(address, _)| address);
    let seen = |c: &Arc<Connection>| (far.or(Some(c.client.ip())), Some(c.witness_index));
    let mut all: Vec<(Option<IpAddr>, Option<u32>)> = session.of_client().map(seen).collect();
    if all.is_empty() {
        all.push((session.client_ip(), None));
    }
    all
}

/// Nobody answered the first packet.
fn is_unanswered(session: &Session) -> bool {
    session.reached.is_none() && session.broke_at.is_some_and(|step| step <= Step::Tcp)
}

/// The server: its addresses and the names it was asked for by; else the name that its own logs have, or the address that
/// is known to be the same host's.
type Server = (Option<IpAddr>, Option<String>);

fn servers(session: &Session, known: &BTreeMap<&str, IpAddr>) -> Vec<Server> {
    let mut all: Vec<Server> =
        session.connections.iter().map(|connection| (Some(connection.server.ip()), None)).collect();
    if all.is_empty() {
        let name = session.host(Role::Server);
        let address = name.and_then(|name| known.get(name)).copied();
        all.push((address, name.filter(|_| address.is_none()).map(str::to_owned)));
    } else {
        all.extend(asked_for(session).map(|name| (None, Some(name))));
    }
    all.sort_unstable();
    all.dedup();
    all
}

/// Names by which a client asked for the server: in TLS, in the DNS, at a gateway, and as it was typed. Those of a
/// certificate may stand for many hosts.
fn asked_for(session: &Session) -> impl Iterator<Item = String> + '_ {
    let asked = session.facts.iter().filter_map(|seen| match seen.what() {
        What::ClientHello { sni: Some(name), .. } | What::NameResolved { name, .. } => Some(name.as_str()),
        What::GatewayChannelAsked { target, .. } => Some(target.as_str()),
        _ => None,
    });
    let names = asked.chain(session.typed_name());
    names.filter(|name| name.parse::<IpAddr>().is_err()).map(|name| name.trim_end_matches('.').to_lowercase())
}

/// Where a session sends its client.
fn leads_to(session: &Session) -> Vec<Server> {
    let Some(What::Redirected { address, host, addresses, .. }) = session.find(is_hand_over).map(Seen::what)
    else {
        return Vec::new();
    };
    let given = address.iter().chain(addresses).flat_map(|list| list.split(','));
    let addresses = given.filter_map(|one| Some((Some(one.trim().parse().ok()?), None)));
    addresses.chain(host.iter().map(|name| (None, Some(name.to_lowercase())))).collect()
}

/// The address of each host whose logs were joined to packets: where it has one only.
fn addresses(sessions: &[Session]) -> BTreeMap<&str, IpAddr> {
    let mut known: BTreeMap<&str, BTreeSet<IpAddr>> = BTreeMap::new();
    for session in sessions.iter().filter(|session| !session.is_through_gateway()) {
        if let (Some(name), Some(seen)) = (session.host(Role::Server), session.connections.first()) {
            known.entry(name).or_default().insert(seen.server.ip());
        }
    }
    let only =
        |(name, all): (_, BTreeSet<IpAddr>)| Some((name, all.first().copied().filter(|_| all.len() == 1)?));
    known.into_iter().filter_map(only).collect()
}

/// Groups sessions, which are sorted by start. Those of one client and server are looked at, and those with one cookie,
/// which may be the halves of a connection that a device opened.
pub(super) fn group(sessions: &[Session]) -> Vec<Attempt> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    let mut by_client: BTreeMap<(Server, Option<IpAddr>), BTreeSet<usize>> = BTreeMap::new();
    let mut by_cookie: BTreeMap<(Server, &str), BTreeSet<usize>> = BTreeMap::new();
    let known = addresses(sessions);
    for (index, session) in (0..).zip(sessions) {
        let servers = servers(session, &known);
        let clients = clients(session);
        let open = |group: &usize| {
            groups.get(*group).is_some_and(|group| session.start.since(group.end) <= RECONNECT_NS)
        };
        let leads = leads_to(session);
        let of = |servers: &[Server]| -> Vec<(Server, Option<IpAddr>)> {
            // By its name a server is looked for whatever the address of the client.
            let named = servers.iter().filter(|server| server.0.is_none() && !session.connections.is_empty());
            let each =
                servers.iter().flat_map(|s| clients.iter().map(move |(client, _)| (s.clone(), *client)));
            each.chain(named.map(|server| (server.clone(), None))).collect()
        };
        let ends = of(&servers);
        let mut candidates: BTreeSet<usize> = BTreeSet::new();
        for end in &ends {
            let of_client = by_client.entry(end.clone()).or_default();
            of_client.retain(open);
            candidates.extend(of_client.iter().copied());
        }
        let cookies = || servers.iter().filter_map(|server| Some((server.clone(), session.cookie()?)));
        for cookie in cookies() {
            let of_cookie = by_cookie.entry(cookie).or_default();
            candidates.extend(of_cookie.iter().rev().take(HALVES_MAX).copied().filter(open));
        }
        let follows =
            |group: &usize| groups.get(*group).is_some_and(|group| group.is_followed_by(session, sessions));
        let group = candidates.iter().copied().find(follows).unwrap_or(groups.len());
        if group == groups.len() {
            groups.push(Group::new());
        }
        for end in ends.into_iter().chain(of(&leads)) {
            by_client.entry(end).or_default().insert(group);
        }
        for cookie in cookies() {
            by_cookie.entry(cookie).or_default().insert(group);
        }
        if let Some(known) = groups.get_mut(group) {
            known.push(index, session);
        }
    }
    groups.into_iter().map(|group| attempt(sessions, group.members)).collect()
}

/// Seen by other witnesses only.
fn is_elsewhere(known: &Session, session: &Session) -> bool {
    let shared = |index: u32| session.connections.iter().any(|c| c.witness_index == index);
    !known.connections.iter().any(|c| shared(c.witness_index))
}

/// Another witness saw a connection to the same server at the same time with the same request: a device between both
/// ended the one and opened the other.
fn is_other_half(known: &Session, session: &Session) -> bool {
    let request =
        |s: &Session| s.find(|what| matches!(what, What::ConnectionRequest { .. })).map(|s| s.what().clone());
    let overlaps = known.start <= session.end && session.start <= known.end;
    let named = known.cookie().is_some() && request(known) == request(session);
    named && overlaps && is_elsewhere(known, session)
}

fn attempt(sessions: &[Session], members: Vec<usize>) -> Attempt {
    let get = |index: &usize| sessions.get(*index);
    let active =
        members.iter().copied().find(|index| get(index).is_some_and(|s| s.outcome == Outcome::Active));
    let furthest = members
        .iter()
        .copied()
        .filter(|index| get(index).is_some_and(|s| s.outcome.is_failure()))
        .max_by_key(|index| (get(index).and_then(|s| s.reached), *index));
    let telling = members
        .iter()
        .rev()
        .find(|index| get(index).is_some_and(|s| !matches!(s.outcome, Outcome::Probe | Outcome::Unknown)));
    let last = telling.or(members.last()).copied().unwrap_or(0);
    let decisive = active.or(furthest).unwrap_or(last);
    let outcome = active.map_or_else(|| get(&last).map(|s| s.outcome), |_| Some(Outcome::Active));
    let outcome = outcome.unwrap_or(Outcome::Unknown);
    Attempt { sessions: members, decisive, outcome, differs: Vec::new() }
}
