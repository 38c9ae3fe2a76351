//! What a person tried once: connections of one client to one server that follow each other closely.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::{Outcome, Session};
use crate::time::UnixNanos;

/// A next connection that starts within this time after the last one ended belongs to the same attempt: programs retry
/// at once or after a few seconds, and reconnect for half a minute.
const RETRY_NS: i64 = 30_000_000_000;
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
}

/// Groups sessions, which are sorted by start.
pub(super) fn group(sessions: &[Session]) -> Vec<Attempt> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut open: BTreeMap<(Option<IpAddr>, Option<IpAddr>), Vec<usize>> = BTreeMap::new();
    for (index, session) in (0..).zip(sessions) {
        let key = (session.client().map(|end| end.ip()), session.server().map(|end| end.ip()));
        let candidates = open.entry(key).or_default();
        candidates.retain(|group| {
            last_end(sessions, &groups, *group).is_some_and(|end| session.start.since(end) <= RETRY_NS)
        });
        let follows = |group: &usize| groups.get(*group).is_some_and(|g| follows(sessions, g, session));
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

fn last_end(sessions: &[Session], groups: &[Vec<usize>], group: usize) -> Option<UnixNanos> {
    groups.get(group)?.iter().filter_map(|index| sessions.get(*index)).map(gave_up).max()
}

/// When a session was over: its last packet.
fn gave_up(session: &Session) -> UnixNanos {
    session.end
}

/// Does `session` continue what `members` began? Not for another user, and not beside a connection that still runs,
/// unless both are the same connection taken apart on its way, or only looked.
fn follows(sessions: &[Session], members: &[usize], session: &Session) -> bool {
    let known: Vec<&Session> = members.iter().filter_map(|index| sessions.get(*index)).collect();
    let users = known.iter().filter_map(|known| known.cookie()).next();
    let other_user = matches!((users, session.cookie()), (Some(a), Some(b)) if a != b);
    let probe = session.outcome == Outcome::Probe;
    let beside = known.iter().any(|known| {
        let overlap = gave_up(known).since(session.start) > OVERLAP_NS;
        let same_ends = (known.client(), known.server()) == (session.client(), session.server());
        overlap && !same_ends && known.outcome != Outcome::Probe && !probe
    });
    !other_user && !beside
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
    Attempt { sessions: members, decisive, outcome: outcome.unwrap_or(Outcome::Unknown) }
}
