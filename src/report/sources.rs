//! Sources that try again and again, or in crowds, and never get in: scanners and guessers of passwords. They are summed
//! up by address, so that the failure of a user stands out.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::Told;
use crate::session::{Outcome, Session};
use crate::time::UnixNanos;

/// This often without success, one address is no user who mistyped.
const TIMES_MIN: usize = 10;
/// Clients try again by themselves, some up to 20 times; so many connections of one attempt are a program's.
const CONNECTIONS_MIN: usize = 50;
/// That many users tried from one address are a list of names.
const USERS_MIN: usize = 4;
/// From so many addresses the same failure at the same server is a crowd.
const CROWD_MIN: usize = 10;

/// What one address tried at one server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The address.
    pub client: IpAddr,
    /// The server, as it is shown.
    pub server: String,
    /// Attempts, by their index.
    pub attempts: Vec<usize>,
    /// The connections of those attempts.
    pub connections: usize,
    /// Start of the first connection.
    pub from: UnixNanos,
    /// End of the last.
    pub until: UnixNanos,
    /// Users tried, in lower case.
    pub users: BTreeSet<String>,
    /// Causes, each with how often.
    pub causes: BTreeMap<&'static str, usize>,
}

/// The sources that are summed up, those that tried most often first. No user's failure is among them: nobody got in from
/// there, and nobody got in elsewhere under a name that was tried there.
#[must_use]
pub fn summed_up(
    sessions: &[Session],
    told: &[Told<'_>],
    server: impl Fn(&Session) -> String,
) -> Vec<Source> {
    let (mut let_in, mut known_users) = (BTreeSet::new(), BTreeSet::new());
    for one in told.iter().filter(|one| one.attempt.outcome == Outcome::Active) {
        let_in.extend(one.session.far_client_ip());
        known_users.extend(one.session.user_name().map(str::to_lowercase));
    }
    let mut sources: BTreeMap<(IpAddr, String), Source> = BTreeMap::new();
    for (index, one) in told.iter().enumerate().filter(|(_, one)| one.attempt.outcome.is_failure()) {
        let Some(client) = one.session.far_client_ip().filter(|client| !let_in.contains(client)) else {
            continue;
        };
        let server = server(one.session);
        let source = sources.entry((client, server.clone())).or_insert_with(|| Source {
            client,
            server,
            attempts: Vec::new(),
            connections: 0,
            from: one.session.start,
            until: one.session.end,
            users: BTreeSet::new(),
            causes: BTreeMap::new(),
        });
        source.attempts.push(index);
        source.connections += one.attempt.sessions.len();
        for session in one.attempt.sessions.iter().filter_map(|index| sessions.get(*index)) {
            source.from = source.from.min(session.start);
            source.until = source.until.max(session.end);
        }
        source.users.extend(one.session.user_name().map(str::to_lowercase));
        let cause = one.best().map_or("cause not told", |best| best.rule.id);
        *source.causes.entry(cause).or_default() += 1;
    }
    let mut sources: Vec<Source> = sources.into_values().collect();
    sources.retain(|source| source.users.is_disjoint(&known_users));
    let mut crowds: BTreeMap<(String, &'static str), usize> = BTreeMap::new();
    for source in &sources {
        for cause in source.causes.keys() {
            *crowds.entry((source.server.clone(), cause)).or_default() += 1;
        }
    }
    let in_crowd = |source: &Source| {
        let size = |cause: &&'static str| crowds.get(&(source.server.clone(), *cause)).copied().unwrap_or(0);
        !is_inside(source.client) && source.causes.keys().map(size).max() >= Some(CROWD_MIN)
    };
    sources.retain(|source| {
        source.attempts.len() >= TIMES_MIN
            || source.connections >= CONNECTIONS_MIN
            || source.users.len() >= USERS_MIN
            || in_crowd(source)
    });
    sources.sort_by(|a, b| {
        (b.attempts.len(), a.client, &a.server).cmp(&(a.attempts.len(), b.client, &b.server))
    });
    sources
}

/// Addresses of one's own network (RFC 1918, RFC 4193, RFC 3927, RFC 4291).
fn is_inside(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_private() || v4.is_link_local() || v4.is_loopback(),
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => is_inside(IpAddr::V4(v4)),
            None => v6.is_unique_local() || v6.is_unicast_link_local() || v6.is_loopback(),
        },
    }
}
