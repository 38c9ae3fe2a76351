//! Servers' logs that tell only a part: connections that nobody but the listener knows, and hosts whose protocol stack tells
//! of its connections.

use std::collections::{BTreeMap, BTreeSet};

use super::{Role, Seen, Session};
use crate::fact::What;
use crate::time::UnixNanos;

/// Connections of one host of which nothing is known but that its listener took them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listened {
    /// Name of the host.
    pub host: String,
    /// How many.
    pub count: u64,
    /// First and last, on the reference clock.
    pub from: UnixNanos,
    /// The last.
    pub until: UnixNanos,
}

/// Takes the sessions away of which only the listener tells, and counts them by host.
pub(super) fn take(sessions: &mut Vec<Session>) -> Vec<Listened> {
    let mut by_host: BTreeMap<String, Listened> = BTreeMap::new();
    sessions.retain(|session| {
        let only_taken = |seen: &Seen| matches!(seen.what(), What::ListenerAccepted { .. });
        let [part] = session.hosts.as_slice() else { return true };
        if !session.connections.is_empty() || !session.facts.iter().all(only_taken) {
            return true;
        }
        let count = u64::try_from(session.facts.len()).unwrap_or(u64::MAX);
        let first = Listened { host: part.host.clone(), count: 0, from: session.start, until: session.end };
        let known = by_host.entry(part.host.clone()).or_insert(first);
        known.count += count;
        known.from = known.from.min(session.start);
        known.until = known.until.max(session.end);
        false
    });
    by_host.into_values().collect()
}

/// The protocol stack of a server tells this, in its RdpCoreTS log.
#[must_use]
pub const fn is_stack(what: &What) -> bool {
    matches!(
        what,
        What::ConnectionAccepted { .. } | What::MethodCalled { .. } | What::CredentialsRefused { .. }
    )
}

/// Servers of which RdpCoreTS tells of a connection.
pub(super) fn stacks(sessions: &[Session]) -> BTreeSet<String> {
    let told = sessions.iter().filter(|session| session.find(is_stack).is_some());
    told.filter_map(|session| session.host(Role::Server)).map(str::to_owned).collect()
}
