//! What a person tried once: connections of one client to one server that follow each other closely.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::gather::is_same_user;
use super::{Outcome, Role, Session};
use crate::fact::What;

/// A next connection that starts within this time after a failed one belongs to the same attempt: programs retry and
/// fall back at once, a person needs longer to read the message and type again.
const RETRY_NS: i64 = 3_000_000_000;
/// After a session that was active, programs reconnect by themselves for this long (MS-RDPBCGR 1.3.1.5).
const RECONNECT_NS: i64 = 60_000_000_000;
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

/// Groups sessions, which are sorted by start.
pub(super) fn group(sessions: &[Session]) -> Vec<Attempt> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut open: BTreeMap<(Option<IpAddr>, Option<&str>), Vec<usize>> = BTreeMap::new();
    for (index, session) in (0..).zip(sessions) {
        let address = session.server().map(|end| end.ip());
        // Without an address the name that the server's own logs have.
        let name = if address.is_none() { session.host(Role::Server) } else { None };
        let candidates = open.entry((address, name)).or_default();
        candidates.retain(|group| {
            members(sessions, &groups, *group).any(|known| session.start.since(known.end) <= RECONNECT_NS)
        });
        let follows =
            |group: &usize| follows(&members(sessions, &groups, *group).collect::<Vec<_>>(), session);
        match candidates.iter().copied().find(follows) {
            Some(group) => {
                if let Some(members) = groups.get_mut(group) {
                    members.push(index);
                }
            }
            None => {
                candidates.push(groups.len());
                groups.push(vec![index]);
            }
        }
    }
    groups.into_iter().map(|members| attempt(sessions, members)).collect()
}

/// The sessions of a group, the last first: it decides most often.
fn members<'a>(
    sessions: &'a [Session],
    groups: &'a [Vec<usize>],
    group: usize,
) -> impl Iterator<Item = &'a Session> {
    groups
        .get(group)
        .map(Vec::as_slice)
        .unwrap_or_default()
        .iter()
        .rev()
        .filter_map(|index| sessions.get(*index))
}

/// Does `session` continue what `known` began, or is it the other half of it?
fn follows(known: &[&Session], session: &Session) -> bool {
    let user = known.iter().find_map(|known| known.user_name());
    let other_user = user.zip(session.user_name()).is_some_and(|(a, b)| !is_same_user(a, b));
    if other_user {
        return false;
    }
    if known.iter().any(|known| is_other_half(known, session)) {
        return true;
    }
    let client = Session::client_ip;
    let same_client =
        known.iter().all(|known| client(known) == client(session) || is_elsewhere(known, session));
    let near = known.iter().any(|known| {
        let allowed = if known.outcome == Outcome::Active { RECONNECT_NS } else { RETRY_NS };
        client(known) == client(session) && session.start.since(known.end) <= allowed
    });
    let probe = session.outcome == Outcome::Probe;
    let beside = known.iter().any(|known| {
        let overlap = known.end.since(session.start) > OVERLAP_NS;
        overlap && known.outcome != Outcome::Probe && !probe
    });
    same_client && near && !beside
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
