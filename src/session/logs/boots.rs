//! Zone and starts of hosts, and whom a stop without order struck: the next start alone tells of it.

use std::collections::BTreeMap;

use super::{Cluster, Host, Role, SECOND_NS, role};
use crate::fact::{Fact, What};
use crate::note::Spot;
use crate::time::UnixNanos;

/// Records of one start lie at most this far from each other.
const BOOT_NS: i64 = 180 * SECOND_NS;
/// EventLog 6008 has the last sign of life to a minute.
const ALIVE_NS: i64 = 60 * SECOND_NS;

/// What a host's System log tells of its zone and starts. Records carry UTC: a zone moves no time, it only tells people
/// what their clocks showed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Boots {
    /// The zone: the last that the log tells.
    pub zone: Option<Zone>,
    /// When the host was started, on its own clock. INVARIANT: sorted.
    pub booted: Vec<UnixNanos>,
}

/// A time zone as a host names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Zone {
    /// Its name, in the language of the host.
    pub name: String,
    /// Minutes west of UTC of its standard time, also while daylight saving time is kept; below 0 east of it.
    pub standard_bias: i32,
}

/// What records of one host say.
#[derive(Default)]
struct Told<'f> {
    zone: Option<(UnixNanos, Zone)>,
    /// Records that are written at a start.
    starts: Vec<&'f Fact>,
    /// Records that tell how long the host is up, and the start that follows from it.
    up: Vec<(&'f Fact, UnixNanos)>,
}

/// Zone and starts of each host, by its name.
pub(in crate::session) fn of_hosts(facts: &[Fact]) -> BTreeMap<String, Boots> {
    let mut hosts: BTreeMap<&str, Told<'_>> = BTreeMap::new();
    for fact in facts {
        let Some(keys) = fact.subject.keys() else { continue };
        if let What::HostZone { booted, zone, standard_bias } = &fact.what {
            let told = hosts.entry(&keys.host).or_default();
            told.up.push((fact, *booted));
            let bias = standard_bias.as_ref().and_then(|bias| bias.parse().ok());
            let zone = zone.clone().zip(bias).map(|(name, standard_bias)| Zone { name, standard_bias });
            told.zone = told.zone.take().max(zone.map(|zone| (fact.at, zone)));
        } else if is_start(&fact.what) {
            hosts.entry(&keys.host).or_default().starts.push(fact);
        }
    }
    hosts.into_iter().map(|(host, told)| (host.to_owned(), told.boots())).collect()
}

impl Told<'_> {
    /// The record of a start says when it was. How long the host is up says it only for a start that its log does not
    /// reach back to: a clock that was set since makes another time of it.
    fn boots(self) -> Boots {
        let mut first: BTreeMap<u32, Spot> = BTreeMap::new();
        for start in &self.starts {
            let known = first.entry(start.place.input_index).or_insert(start.place.spot);
            *known = (*known).min(start.place.spot);
        }
        let has_start =
            |fact: &Fact| first.get(&fact.place.input_index).is_some_and(|start| *start < fact.place.spot);
        let before = self.up.iter().filter(|(fact, _)| !has_start(fact)).map(|(_, booted)| *booted);
        let mut booted: Vec<UnixNanos> = self.starts.iter().map(|fact| fact.at).chain(before).collect();
        booted.sort_unstable();
        let mut last = None;
        booted.retain(|at| {
            let is_same = last.replace(*at).is_some_and(|last| at.since(last) <= BOOT_NS);
            !is_same
        });
        Boots { zone: self.zone.map(|(_, zone)| zone), booted }
    }
}

/// It is written when the host starts.
fn is_start(what: &What) -> bool {
    match what {
        What::LogSays { log, event, .. } => {
            matches!((log.as_str(), event), ("kernel-general", 12) | ("eventlog", 6005))
        }
        _ => false,
    }
}

/// When a host was started, as the records of the starts themselves say.
pub(super) fn starts(facts: &[Fact]) -> Vec<UnixNanos> {
    facts.iter().filter(|fact| is_start(&fact.what)).map(|fact| fact.at).collect()
}

impl Host {
    /// The connections that were in a session when the host stopped without order.
    pub(super) fn open_in_a_crash(&self, fact: &Fact) -> Vec<usize> {
        let What::HostStopped { event: 41 | 6008, alive, .. } = &fact.what else { return Vec::new() };
        // Records of the start itself come first.
        let from = alive.unwrap_or_else(|| fact.at.plus(-BOOT_NS));
        let until = alive.map_or(fact.at, |alive| alive.plus(ALIVE_NS));
        let last_start = self.booted.iter().filter(|start| **start <= from).max();
        let is_open = |cluster: &Cluster| {
            let began = cluster.start();
            cluster.role == Role::Server
                && began <= from
                && cluster.end() <= until
                && !cluster.ended
                && last_start.is_none_or(|start| *start <= began)
                && cluster.find(|what| matches!(what, What::SocketError { .. })).is_none()
                && !cluster.is_over(fact.at)
                && self.is_told_on(cluster, fact.at)
                && !self.is_taken_over(cluster, fact.at)
        };
        let clusters = self.clusters.iter().enumerate();
        clusters.filter(|(_, cluster)| is_open(cluster)).map(|(index, _)| index).collect()
    }

    /// The log that has the session's beginning goes on behind this time: it would have its end, too.
    fn is_told_on(&self, cluster: &Cluster, at: UnixNanos) -> bool {
        let beginnings = cluster.facts.iter().filter(|fact| role::begins_a_session(&fact.what));
        let mut until = beginnings.filter_map(|fact| self.until.get(&fact.place.input_index));
        until.any(|until| *until >= at)
    }

    /// Another connection had one of its sessions behind it.
    fn is_taken_over(&self, cluster: &Cluster, at: UnixNanos) -> bool {
        let took = |other: &Cluster| cluster.start() < other.start() && other.start() <= at;
        cluster.sessions.iter().any(|(id, _)| {
            self.index.with_session(*id).any(|other| self.clusters.get(other).is_some_and(took))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::fact::{Keys, Reading, Subject};
    use crate::note::Place;

    const DAY_S: i64 = 86_400;

    fn fact(seconds: i64, record: u64, what: What) -> Fact {
        let keys = Keys { host: "rdsh01".to_owned(), ..Keys::default() };
        Fact {
            at: UnixNanos(seconds * SECOND_NS),
            place: Place { input_index: 0, spot: Spot::Record(record) },
            subject: Subject::Record(Arc::new(keys)),
            reading: Reading::Clear,
            what,
        }
    }

    fn start(seconds: i64, record: u64, log: &str, event: u32) -> Fact {
        let what = What::LogSays {
            log: log.to_owned(),
            event,
            says: "the host started".to_owned(),
            status: None,
            detail: None,
        };
        fact(seconds, record, what)
    }

    fn up(seconds: i64, record: u64, up_s: i64, zone: &str) -> Fact {
        let booted = UnixNanos((seconds - up_s) * SECOND_NS);
        let zone = zone.split_once(' ').map(|(bias, name)| (bias.to_owned(), name.to_owned()));
        let (standard_bias, zone) = zone.unzip();
        fact(seconds, record, What::HostZone { booted, zone, standard_bias })
    }

    fn told(facts: &[Fact]) -> (Option<(String, i32)>, Vec<i64>) {
        let boots = of_hosts(facts).remove("rdsh01").unwrap();
        let zone = boots.zone.map(|zone| (zone.name, zone.standard_bias));
        (zone, boots.booted.iter().map(|at| at.0 / SECOND_NS).collect())
    }

    #[test]
    fn both_records_of_a_start_are_one_and_the_last_zone_counts() {
        let facts = [
            start(1_000, 10, "kernel-general", 12),
            start(1_050, 4, "eventlog", 6005),
            up(1_051, 5, 51, "480 Pacific Standard Time"),
            start(5_000, 60, "kernel-general", 12),
            up(5_100, 61, 100, "-60 W. Europe Standard Time"),
        ];
        assert_eq!(told(&facts), (Some(("W. Europe Standard Time".to_owned(), -60)), vec![1_000, 5_000]));
    }

    #[test]
    fn how_long_it_is_up_tells_of_a_start_before_the_log_and_of_no_other() {
        let zone = "0 Coordinated Universal Time";
        // Once a day; the clock gains seconds.
        let daily = [up(DAY_S, 1, 40_000, zone), up(2 * DAY_S + 90, 2, 40_000 + DAY_S, zone)];
        assert_eq!(told(&daily).1, [46_400]);
        // The clock was set back by two hours behind the start.
        let set_back = [start(10_000, 1, "eventlog", 6005), up(3_000, 2, 200, zone)];
        assert_eq!(told(&set_back).1, [10_000]);
        assert_eq!(told(&[up(DAY_S, 1, 40_000, "")]), (None, vec![46_400]));
    }
}
