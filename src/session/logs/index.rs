//! Which connections of a host a record may belong to, without asking each: by its keys, and by its time.

use std::collections::BTreeMap;

use super::{BEFORE_NS, Cluster, LOGON_NS, SECOND_NS};
use crate::fact::Keys;
use crate::time::UnixNanos;

/// Length of one row of the times.
const ROW_NS: i64 = 600 * SECOND_NS;
/// A connection that lasts for more rows (a week) is asked at every time.
const ROWS_MAX: i64 = 1_008;

/// Connections by what records are joined by.
#[derive(Default)]
pub(super) struct Index {
    sessions: BTreeMap<u32, Vec<usize>>,
    logons: BTreeMap<u64, Vec<usize>>,
    names: BTreeMap<String, Vec<usize>>,
    /// By row of time; a connection stands in every row in which a record may join it.
    times: BTreeMap<i64, Vec<usize>>,
    /// Connections that last too long for rows.
    long: Vec<usize>,
    learned: Vec<Learned>,
}

/// How much of a connection stands in the index.
#[derive(Default, Clone)]
struct Learned {
    sessions: usize,
    logons: usize,
    names: usize,
    /// First and last row.
    rows: Option<(i64, i64)>,
    is_long: bool,
}

impl Index {
    /// Takes up what is new of a connection.
    pub(super) fn learn(&mut self, index: usize, cluster: &Cluster) {
        if self.learned.len() <= index {
            self.learned.resize(index + 1, Learned::default());
        }
        let Some(learned) = self.learned.get_mut(index) else { return };
        for id in cluster.sessions.iter().skip(learned.sessions) {
            self.sessions.entry(*id).or_default().push(index);
        }
        for id in cluster.logon_ids.iter().skip(learned.logons) {
            self.logons.entry(*id).or_default().push(index);
        }
        for name in cluster.names.iter().skip(learned.names) {
            self.names.entry(name.clone()).or_default().push(index);
        }
        learned.sessions = cluster.sessions.len();
        learned.logons = cluster.logon_ids.len();
        learned.names = cluster.names.len();
        let (first, last) = (row(cluster.start().plus(-BEFORE_NS)), row(cluster.end().plus(LOGON_NS)));
        if learned.is_long {
            return;
        }
        if last.saturating_sub(first) > ROWS_MAX {
            learned.is_long = true;
            self.long.push(index);
            return;
        }
        let (known_first, known_last) = learned.rows.unwrap_or((first, first - 1));
        for row in (first..known_first).chain(known_last + 1..=last) {
            self.times.entry(row).or_default().push(index);
        }
        learned.rows = Some((first.min(known_first), last.max(known_last)));
    }

    /// Connections with the session, the logon or the name, the last first.
    pub(super) fn with_keys(&self, name: Option<&str>, keys: &Keys) -> Vec<usize> {
        let sessions = keys.session_id.and_then(|id| self.sessions.get(&id));
        let logons = keys.logon_id.and_then(|id| self.logons.get(&id));
        let names = name.and_then(|name| self.names.get(name));
        let mut found: Vec<usize> =
            [sessions, logons, names].into_iter().flatten().flatten().copied().collect();
        found.sort_unstable_by(|a, b| b.cmp(a));
        found.dedup();
        found
    }

    /// Connections that a record of this time may join, and some more.
    pub(super) fn at(&self, at: UnixNanos) -> impl DoubleEndedIterator<Item = usize> {
        self.times.get(&row(at)).into_iter().flatten().chain(&self.long).copied()
    }
}

fn row(at: UnixNanos) -> i64 {
    at.0.div_euclid(ROW_NS)
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
    fn keys_lead_to_the_last_connection_first_and_each_once() {
        let mut index = Index::default();
        let with = |sessions: &[u32], logons: &[u64], name: &str| Cluster {
            sessions: sessions.to_vec(),
            logon_ids: logons.to_vec(),
            names: vec![name.to_owned()],
            ..cluster(1, 2)
        };
        index.learn(0, &with(&[2], &[500], "RDP-Tcp#1"));
        index.learn(1, &with(&[3], &[], "RDP-Tcp#2"));
        index.learn(1, &with(&[3, 2], &[500], "RDP-Tcp#2"));
        let keys = |session, logon| Keys { session_id: session, logon_id: logon, ..Keys::default() };
        assert_eq!(index.with_keys(None, &keys(Some(2), Some(500))), [1, 0]);
        assert_eq!(index.with_keys(Some("RDP-Tcp#1"), &keys(None, None)), [0]);
        assert_eq!(index.with_keys(Some("RDP-Tcp#9"), &keys(Some(9), None)), Vec::<usize>::new());
    }
}
