//! What a person tried once: connections of one client to one server that follow each other closely.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::gather::is_same_user;
use super::{Outcome, Role, Session};
use crate::fact::What;
use crate::time::UnixNanos;

/// A next connection that starts within this time after a failed one belongs to the same attempt: programs retry and
/// fall back at once, a person needs longer to read the message and type again.
const RETRY_NS: i64 = 3_000_000_000;
/// After a session that was active, programs reconnect by themselves for this long (MS-RDPBCGR 1.3.1.5).
const RECONNECT_NS: i64 = 60_000_000_000;
/// Members and groups, the latest first, among which the other half of a connection is sought.
const HALVES_MAX: usize = 64;
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
    /// Clients, each with the witnesses that saw it: few, however many members there are.
    seen: BTreeSet<(Option<IpAddr>, Vec<u32>)>,
    /// By client, the latest end of a member that was active, and of the others.
    ends: BTreeMap<Option<IpAddr>, [Option<UnixNanos>; 2]>,
    /// The latest end of all, and of those that were no probe.
    end: UnixNanos,
    end_of_tries: Option<UnixNanos>,
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
        }
    }

    fn push(&mut self, index: usize, session: &'s Session) {
        self.members.push(index);
        self.user = session.user_name().or(self.user);
        let witnesses = session.connections.iter().map(|c| c.witness_index).collect();
        self.seen.insert((session.client_ip(), witnesses));
        let [active, other] = self.ends.entry(session.client_ip()).or_default();
        let end = if session.outcome == Outcome::Active { active } else { other };
        *end = (*end).max(Some(session.end));
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
        let client = session.client_ip();
        let elsewhere =
            |witnesses: &[u32]| !session.connections.iter().any(|c| witnesses.contains(&c.witness_index));
        let same_client = self.seen.iter().all(|(known, by)| *known == client || elsewhere(by));
        let within =
            |end: Option<UnixNanos>, allowed: i64| end.is_some_and(|end| session.start.since(end) <= allowed);
        let near = self
            .ends
            .get(&client)
            .is_some_and(|[active, other]| within(*active, RECONNECT_NS) || within(*other, RETRY_NS));
        let beside = session.outcome != Outcome::Probe
            && self.end_of_tries.is_some_and(|end| end.since(session.start) > OVERLAP_NS);
        same_client && near && !beside
    }
}

/// Groups sessions, which are sorted by start. Those of one client and server are looked at, and those with one cookie,
/// which may be the halves of a connection that a device opened.
pub(super) fn group(sessions: &[Session]) -> Vec<Attempt> {
    type Server<'s> = (Option<IpAddr>, Option<&'s str>);
    let mut groups: Vec<Group<'_>> = Vec::new();
    let mut by_client: BTreeMap<(Server<'_>, Option<IpAddr>), BTreeSet<usize>> = BTreeMap::new();
    let mut by_cookie: BTreeMap<(Server<'_>, &str), BTreeSet<usize>> = BTreeMap::new();
    for (index, session) in (0..).zip(sessions) {
        let address = session.server().map(|end| end.ip());
        // Without an address the name that the server's own logs have.
        let name = if address.is_none() { session.host(Role::Server) } else { None };
        let open = |group: &usize| {
            groups.get(*group).is_some_and(|group| session.start.since(group.end) <= RECONNECT_NS)
        };
        let of_client = by_client.entry(((address, name), session.client_ip())).or_default();
        of_client.retain(open);
        let mut candidates = of_client.clone();
        let of_cookie =
            session.cookie().map(|cookie| by_cookie.entry(((address, name), cookie)).or_default());
        if let Some(of_cookie) = &of_cookie {
            candidates.extend(of_cookie.iter().rev().take(HALVES_MAX).copied().filter(open));
        }
        let follows =
            |group: &usize| groups.get(*group).is_some_and(|group| group.is_followed_by(session, sessions));
        let group = candidates.iter().copied().find(follows).unwrap_or(groups.len());
        if group == groups.len() {
            groups.push(Group::new());
        }
        for list in [Some(of_client), of_cookie].into_iter().flatten() {
            list.insert(group);
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
