//! Which connections of a host a record may belong to, without asking each: by its keys, and by its time, user and address.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::{BEFORE_NS, Cluster, LOGON_NS, SECOND_NS};
use crate::fact::Keys;
use crate::time::UnixNanos;

/// Connections that last no longer stand together, so that those of a time are found by when they began.
const LASTS_NS: [i64; 6] = [
    60 * SECOND_NS,
    480 * SECOND_NS,
    3_840 * SECOND_NS,
    30_720 * SECOND_NS,
    245_760 * SECOND_NS,
    i64::MAX - LOGON_NS,
];
/// Connections with the same session, logon or name that are asked, the last that began first. Windows gives these
/// numbers again and again, and each to one connection at a time.
const SAME_KEY_MAX: usize = 256;

/// Connections by when they began.
type Begun = BTreeSet<(UnixNanos, usize)>;

/// Connections by what records are joined by.
#[derive(Default)]
pub(super) struct Index {
    sessions: BTreeMap<u32, Begun>,
    logons: BTreeMap<u64, Begun>,
    names: BTreeMap<String, Begun>,
    /// By user and address, and by how long they last; each connection stands here with both, one and none of them.
    times: BTreeMap<Whom, [Begun; LASTS_NS.len()]>,
    /// Connections of a client that have not ended.
    open: BTreeMap<IpAddr, BTreeSet<usize>>,
    learned: Vec<Learned>,
}

/// A user in lower case and an address. The outer `None` stands for any, the inner one for connections that have none.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Whom {
    user: Option<Option<String>>,
    address: Option<Option<IpAddr>>,
}

/// How much of a connection stands in the index.
#[derive(Default, Clone)]
struct Learned {
    sessions: usize,
    logons: usize,
    names: usize,
    at: Option<At>,
}

/// Where it stands by time. User and client are learnt once and stay.
#[derive(Clone, Copy, PartialEq, Eq)]
struct At {
    start: UnixNanos,
    lasts: usize,
    has_user: bool,
    has_client: bool,
}

impl Index {
    /// Takes up what is new of a connection.
    pub(super) fn learn(&mut self, index: usize, cluster: &Cluster) {
        if self.learned.len() <= index {
            self.learned.resize(index + 1, Learned::default());
        }
        let Some(learned) = self.learned.get(index).cloned() else { return };
        let now = At::of(cluster);
        let moved = learned.at.filter(|at| at.start != now.start);
        if let Some(before) = moved {
            self.put_keys(index, cluster, &Learned::default(), |begun, index| {
                begun.remove(&(before.start, index));
            });
        }
        let known = if moved.is_some() { Learned::default() } else { learned.clone() };
        self.put_keys(index, cluster, &known, |begun, index| {
            begun.insert((now.start, index));
        });
        if learned.at != Some(now) {
            if let Some(before) = learned.at {
                self.stand(index, cluster, before, false);
            }
            self.stand(index, cluster, now, true);
        }
        self.learn_open(index, cluster);
        if let Some(learned) = self.learned.get_mut(index) {
            *learned = Learned {
                sessions: cluster.sessions.len(),
                logons: cluster.logon_ids.len(),
                names: cluster.names.len(),
                at: Some(now),
            };
        }
    }

    /// Does `put` with every session, logon and name of a connection beyond those that are known.
    fn put_keys(
        &mut self,
        index: usize,
        cluster: &Cluster,
        known: &Learned,
        put: impl Fn(&mut Begun, usize),
    ) {
        for (id, _) in cluster.sessions.iter().skip(known.sessions) {
            put(self.sessions.entry(*id).or_default(), index);
        }
        for id in cluster.logon_ids.iter().skip(known.logons) {
            put(self.logons.entry(*id).or_default(), index);
        }
        for name in cluster.names.iter().skip(known.names) {
            put(self.names.entry(name.clone()).or_default(), index);
        }
    }

    /// Puts it among the connections of its time, user and client, or takes it away from there.
    fn stand(&mut self, index: usize, cluster: &Cluster, at: At, put: bool) {
        let user = cluster.user.as_deref().filter(|_| at.has_user).map(str::to_ascii_lowercase);
        let client = cluster.client.filter(|_| at.has_client);
        for user in [None, Some(user)] {
            for address in [None, Some(client)] {
                let levels = self.times.entry(Whom { user: user.clone(), address }).or_default();
                let Some(begun) = levels.get_mut(at.lasts) else { continue };
                if put {
                    begun.insert((at.start, index));
                } else {
                    begun.remove(&(at.start, index));
                }
            }
        }
    }

    fn learn_open(&mut self, index: usize, cluster: &Cluster) {
        let Some(client) = cluster.client else { return };
        let open = self.open.entry(client).or_default();
        if cluster.ended {
            open.remove(&index);
        } else {
            open.insert(index);
        }
    }

    /// The last connection of this client that has not ended.
    pub(super) fn last_open(&self, client: IpAddr) -> Option<usize> {
        self.open.get(&client)?.last().copied()
    }

    /// Connections with the session.
    pub(super) fn with_session(&self, id: u32) -> impl Iterator<Item = usize> {
        self.sessions.get(&id).into_iter().flatten().map(|(_, index)| *index)
    }

    /// Connections with the session, the logon or the name that had begun by `until`, the last first.
    pub(super) fn with_keys(&self, name: Option<&str>, keys: &Keys, until: UnixNanos) -> Vec<usize> {
        let sessions = keys.session_id.and_then(|id| self.sessions.get(&id));
        let logons = keys.logon_id.and_then(|id| self.logons.get(&id));
        let names = name.and_then(|name| self.names.get(name));
        let last = |begun: &Begun| -> Vec<(UnixNanos, usize)> {
            begun.range(..=(until, usize::MAX)).rev().take(SAME_KEY_MAX).copied().collect()
        };
        let mut found: Vec<(UnixNanos, usize)> =
            [sessions, logons, names].into_iter().flatten().flat_map(last).collect();
        found.sort_unstable_by(|a, b| b.cmp(a));
        found.dedup();
        found.into_iter().take(SAME_KEY_MAX).map(|(_, index)| index).collect()
    }

    /// The nearest connection that fits, of those that a record of this time, user and address may join: of those that had
    /// begun the last, else the first that was still to begin.
    pub(super) fn nearest(&self, at: UnixNanos, keys: &Keys, fits: impl Fn(usize) -> bool) -> Option<usize> {
        let mut nearest: Option<((bool, i64), usize)> = None;
        for levels in self.of(keys) {
            for (begun, lasts) in levels.iter().zip(LASTS_NS) {
                let known = begun.range((from(at, lasts), 0)..=(at, usize::MAX)).rev();
                let soon = begun.range((at.plus(1), 0)..=(at.plus(BEFORE_NS), usize::MAX));
                for (start, index) in known {
                    let distance = (false, at.since(*start));
                    if nearest.is_some_and(|(least, _)| least < distance) {
                        break;
                    }
                    nearest = nearer(nearest, (distance, *index), &fits);
                }
                for (start, index) in soon {
                    let distance = (true, start.since(at));
                    if nearest.is_some_and(|(least, _)| least < distance) {
                        break;
                    }
                    nearest = nearer(nearest, (distance, *index), &fits);
                }
            }
        }
        nearest.map(|(_, index)| index)
    }

    /// Connections of the user and address of these keys, and those that have none.
    fn of(&self, keys: &Keys) -> impl Iterator<Item = &[Begun; LASTS_NS.len()]> {
        let users = match &keys.user {
            Some(user) => vec![Some(None), Some(Some(user.to_ascii_lowercase()))],
            None => vec![None],
        };
        let addresses = match keys.address {
            Some(address) => vec![Some(None), Some(Some(address))],
            None => vec![None],
        };
        let both = users.into_iter().flat_map(move |user| {
            addresses.clone().into_iter().map(move |address| Whom { user: user.clone(), address })
        });
        both.filter_map(|whom| self.times.get(&whom))
    }

    /// Connections that a record of this time may join, and some more.
    pub(super) fn at(&self, at: UnixNanos) -> impl Iterator<Item = usize> {
        let all = self.times.get(&Whom { user: None, address: None });
        let levels = all.into_iter().flatten().zip(LASTS_NS);
        levels.flat_map(move |(begun, lasts)| {
            begun.range((from(at, lasts), 0)..=(at.plus(BEFORE_NS), usize::MAX)).map(|(_, index)| *index)
        })
    }
}

impl At {
    fn of(cluster: &Cluster) -> Self {
        let lasts = cluster.end().since(cluster.start());
        Self {
            start: cluster.start(),
            lasts: LASTS_NS.partition_point(|most| *most < lasts),
            has_user: cluster.user.is_some(),
            has_client: cluster.client.is_some(),
        }
    }
}

/// When a connection that lasts no longer than this began at the earliest, that a record of this time may join.
fn from(at: UnixNanos, lasts: i64) -> UnixNanos {
    at.plus(lasts.saturating_add(LOGON_NS).saturating_neg())
}

/// The one of both that is nearer, when it fits; of two as near the first.
fn nearer(
    nearest: Option<((bool, i64), usize)>,
    found: ((bool, i64), usize),
    fits: impl Fn(usize) -> bool,
) -> Option<((bool, i64), usize)> {
    let is_nearer = nearest.is_none_or(|nearest| found < nearest) && fits(found.1);
    if is_nearer { Some(found) } else { nearest }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(from_s: i64, until_s: i64) -> Cluster {
        let at = |seconds: i64| UnixNanos(seconds * SECOND_NS);
        Cluster { span: Some((at(from_s), at(until_s))), ..Cluster::default() }
    }

    fn at(index: &Index, seconds: i64) -> Vec<usize> {
        let mut found: Vec<usize> = index.at(UnixNanos(seconds * SECOND_NS)).collect();
        found.sort_unstable();
        found
    }

    #[test]
    fn a_connection_is_found_whenever_a_record_may_join_it_also_when_it_grew() {
        let mut index = Index::default();
        index.learn(0, &cluster(1_000, 1_000));
        index.learn(1, &cluster(5_000, 5_010));
        assert_eq!((at(&index, 1_000), at(&index, 5_011)), (vec![0], vec![1]));
        assert_eq!(at(&index, 3_000), Vec::<usize>::new());
        // It began earlier than its first record said, and went on.
        index.learn(1, &cluster(2_990, 9_000));
        for seconds in [2_988, 2_990, 5_000, 9_000, 9_120] {
            assert_eq!(at(&index, seconds), [1], "{seconds}");
        }
        index.learn(0, &cluster(1_000, 1_000 + 3_600 * 24 * 30));
        assert_eq!(at(&index, 1_000_000), [0], "one that lasts for weeks is asked always");
    }

    #[test]
    fn keys_lead_to_the_connection_that_began_last_first_and_to_each_once() {
        let mut index = Index::default();
        let with = |start: i64, sessions: &[u32], logons: &[u64], name: &str| Cluster {
            sessions: sessions.iter().map(|id| (*id, UnixNanos(start))).collect(),
            logon_ids: logons.to_vec(),
            names: vec![name.to_owned()],
            ..cluster(start, start + 1)
        };
        index.learn(0, &with(1, &[2], &[500], "RDP-Tcp#1"));
        index.learn(1, &with(3, &[3], &[], "RDP-Tcp#2"));
        index.learn(1, &with(2, &[3, 2], &[500], "RDP-Tcp#2"));
        let keys = |session, logon| Keys { session_id: session, logon_id: logon, ..Keys::default() };
        let asked = |name, keys, until| index.with_keys(name, &keys, UnixNanos(until * SECOND_NS));
        assert_eq!(asked(None, keys(Some(2), Some(500)), 9), [1, 0]);
        assert_eq!(asked(None, keys(Some(2), Some(500)), 1), [0], "it had not begun");
        assert_eq!(asked(Some("RDP-Tcp#1"), keys(None, None), 9), [0]);
        assert_eq!(asked(Some("RDP-Tcp#9"), keys(Some(9), None), 9), Vec::<usize>::new());
        assert_eq!(index.with_session(3).collect::<Vec<_>>(), [1], "under its new beginning alone");
    }

    #[test]
    fn the_nearest_is_the_last_that_had_begun_of_the_same_user_and_address_or_of_none() {
        let mut index = Index::default();
        let of = |start, user: Option<&str>, client: Option<&str>| Cluster {
            user: user.map(str::to_owned),
            client: client.map(|client| client.parse().unwrap()),
            ..cluster(start, start + 1)
        };
        index.learn(0, &of(100, Some("Alice"), Some("192.0.2.1")));
        index.learn(1, &of(101, None, Some("192.0.2.1")));
        index.learn(2, &of(102, Some("bob"), None));
        index.learn(3, &of(111, None, None));
        let asked = |index: &Index, seconds: i64, user: Option<&str>, client: Option<&str>, not: usize| {
            let keys = Keys {
                user: user.map(str::to_owned),
                address: client.map(|client| client.parse().unwrap()),
                ..Keys::default()
            };
            index.nearest(UnixNanos(seconds * SECOND_NS), &keys, |found| found != not)
        };
        assert_eq!(asked(&index, 110, Some("ALICE"), Some("192.0.2.1"), 9), Some(1));
        assert_eq!(asked(&index, 110, Some("ALICE"), Some("192.0.2.1"), 1), Some(0));
        assert_eq!(
            asked(&index, 110, Some("ALICE"), Some("192.0.2.2"), 9),
            Some(3),
            "which begins a second later"
        );
        assert_eq!(asked(&index, 110, None, None, 9), Some(2));
        assert_eq!(asked(&index, 110, Some("bob"), None, 2), Some(1));
        assert_eq!(asked(&index, 400, None, None, 9), None);
        // It is known now whose it is.
        index.learn(1, &of(101, Some("bob"), Some("192.0.2.1")));
        assert_eq!(asked(&index, 110, Some("alice"), Some("192.0.2.1"), 9), Some(0));
    }
}
