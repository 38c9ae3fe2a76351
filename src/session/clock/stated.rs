//! Clocks that messages tell: NTLM challenges and Kerberos errors hold the time of the host that writes them, so that its logs
//! can be laid beside a capture without any connection that both know.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use super::{ClockOffset, ClockStep, Pair, Paired, fit, on_reference};
use crate::fact::{Fact, Side, What};
use crate::session::Witness;
use crate::session::join::{AtWitness, Group};
use crate::session::logs::Cluster;
use crate::session::names::{Directory, is_same_host};
use crate::time::UnixNanos;

const MILLISECOND_NS: i64 = 1_000_000;
const SECOND_NS: i64 = 1_000 * MILLISECOND_NS;
/// What a clock that is read for a message may lag behind the one that logs are written by: Windows counts such times by
/// its timer, of 64 ticks a second.
const TICK_NS: i64 = 16 * MILLISECOND_NS;
/// Clocks that messages and connections tell further apart than this are not of one host.
const AGREE_NS: i64 = 5 * SECOND_NS;
/// Times kept of one host: the first.
const TIMES_MAX: usize = 512;

/// A time of a host's own clock, as a capture saw it pass.
struct Told<'f> {
    by: Paired,
    capture: u32,
    /// The moment by the host's clock.
    at: UnixNanos,
    /// The moments of the capture between which it was read.
    from: UnixNanos,
    until: UnixNanos,
    /// How much later by its own clock it may have been: times without fractions are cut.
    cut_ns: i64,
    address: Option<IpAddr>,
    name: Option<&'f str>,
    /// Who asked the host, as its own log may name it.
    asker: Option<SocketAddr>,
}

/// The clock of each host of which messages tell, by the index of its witness.
pub(in crate::session) fn by_host(
    (groups, clusters): (&[Group], &[Cluster]),
    witnesses: &[Witness],
    clocks: &[ClockOffset],
    steps: &BTreeMap<u32, Vec<ClockStep>>,
    names: &Directory,
) -> BTreeMap<u32, ClockOffset> {
    let told: Vec<Told<'_>> = groups.iter().flatten().flat_map(told).collect();
    let hosts = (0_u32..).zip(witnesses).filter(|_| !told.is_empty());
    hosts
        .filter_map(|(index, witness)| {
            let host = witness.host.as_deref()?;
            let is_its = |told: &&Told<'_>| is_of(told, host, index, clusters, names);
            let its: Vec<&Told<'_>> = told.iter().filter(is_its).take(TIMES_MAX).collect();
            let logged = steps.get(&index).map_or(&[][..], Vec::as_slice);
            Some((index, measured(index, &its, clocks, logged)?))
        })
        .collect()
}

/// The host by the name that stands in the message or by which its address was looked up, by what is known of its address,
/// or because its log names who asked.
fn is_of(told: &Told<'_>, host: &str, index: u32, clusters: &[Cluster], names: &Directory) -> bool {
    // What it calls itself is not told from an address: it may stand behind another one.
    if let (Paired::Ntlm, Some(name)) = (told.by, told.name) {
        return is_same_host(name, host);
    }
    let asked = |asker: SocketAddr| {
        let mut of_host = clusters.iter().filter(|cluster| cluster.witness_index == index);
        of_host.any(|cluster| {
            let failed = cluster.find(|what| matches!(what, What::KerberosFailed { .. }));
            failed.is_some() && cluster.client_end() == Some(asker)
        })
    };
    told.name.is_some_and(|name| is_same_host(name, host))
        || told.address.is_some_and(|address| names.is_host(host, address) == Some(true))
        || told.asker.is_some_and(asked)
}

/// What the messages of one connection, and of what passed beside it, tell of clocks.
fn told(part: &AtWitness) -> impl Iterator<Item = Told<'_>> {
    part.facts
        .iter()
        .enumerate()
        .filter_map(|(index, fact)| by_ntlm(part, index, fact).or_else(|| by_host_clock(part, fact)))
}

/// The server reads its clock for its challenge, which answers what the client sent last (MS-NLMP 3.2.5.1.1).
fn by_ntlm<'f>(part: &'f AtWitness, index: usize, fact: &'f Fact) -> Option<Told<'f>> {
    let What::TargetNamed { computer, clock_ms: Some(ahead_ms), .. } = &fact.what else { return None };
    let before = || part.facts.iter().take(index);
    let asks = |fact: &&Fact| matches!(fact.what, What::CredsspMessage { by: Side::Client, .. });
    let asked = before().rfind(asks).or_else(|| before().next())?;
    let at = fact.at.plus(ahead_ms.saturating_mul(MILLISECOND_NS));
    Some(Told {
        by: Paired::Ntlm,
        capture: part.connection.witness_index,
        at,
        from: asked.at.min(fact.at),
        until: fact.at,
        cut_ns: cut_ns(at),
        address: Some(part.connection.server.ip()),
        name: computer.as_deref(),
        asker: None,
    })
}

/// KRB-ERROR may leave `susec` out, and some servers write whole seconds into their challenges (measured: WinPR).
fn cut_ns(at: UnixNanos) -> i64 {
    let is_whole = at.plus(MILLISECOND_NS).0.rem_euclid(SECOND_NS) <= 2 * MILLISECOND_NS;
    if is_whole { SECOND_NS } else { 0 }
}

fn by_host_clock<'f>(part: &AtWitness, fact: &'f Fact) -> Option<Told<'f>> {
    let What::HostClock { of, name, by, ahead_ms, within_ms, asker, asker_port } = &fact.what else {
        return None;
    };
    let by = if by == "ntlm" { Paired::Ntlm } else { Paired::Kerberos };
    let within = i64::try_from(*within_ms).unwrap_or(i64::MAX).saturating_mul(MILLISECOND_NS);
    let port = asker_port.and_then(|port| u16::try_from(port).ok());
    let at = fact.at.plus(ahead_ms.saturating_mul(MILLISECOND_NS));
    Some(Told {
        by,
        capture: part.connection.witness_index,
        at,
        from: fact.at.plus(within.saturating_neg()),
        until: fact.at,
        cut_ns: cut_ns(at),
        address: Some(*of),
        name: name.as_deref(),
        asker: asker.filter(|asker| asker != of).zip(port).map(SocketAddr::from),
    })
}

/// The clock by what messages tell of it: where all of them allow one offset, what they leave of it; else what explains
/// them best.
fn measured(
    index: u32,
    told: &[&Told<'_>],
    clocks: &[ClockOffset],
    logged: &[ClockStep],
) -> Option<ClockOffset> {
    let root = |capture: u32| {
        let clock = clocks.iter().find(|clock| clock.witness_index == capture);
        clock.filter(|clock| clock.offset_ns.is_some()).map_or(capture, |clock| clock.against)
    };
    let first = told.first()?;
    // A host that is told of by NTLM and Kerberos is told of better by NTLM.
    let by = told.iter().map(|told| told.by).min()?;
    let against = told.iter().filter(|told| told.by == by).map(|told| root(told.capture)).min();
    let against = against.unwrap_or_else(|| root(first.capture));
    let pair = |told: &&&Told<'_>| {
        let error = clocks.iter().find(|clock| clock.witness_index == told.capture).map_or(0, |c| c.error_ns);
        let (from, until) =
            (on_reference(clocks, told.capture, told.from), on_reference(clocks, told.capture, told.until));
        // Facts tell whole milliseconds.
        let least = told.at.since(until).saturating_sub(MILLISECOND_NS);
        let most = told.at.since(from).saturating_add(told.cut_ns + TICK_NS + MILLISECOND_NS);
        Pair {
            at: told.at,
            offset_ns: least.midpoint(most),
            error_ns: (most.saturating_sub(least) / 2).saturating_add(error),
        }
    };
    let pairs: Vec<Pair> =
        told.iter().filter(|told| told.by == by && root(told.capture) == against).map(|t| pair(&t)).collect();
    let mut errors: Vec<i64> = pairs.iter().map(|pair| pair.error_ns).collect();
    errors.sort_unstable();
    let floor = errors.get(errors.len() / 2).copied()?;
    let mut clock = ClockOffset { by, against, ..fit(index, &pairs, logged, floor)? };
    if clock.drift_ppb == 0 && clock.steps.is_empty() {
        let least = pairs.iter().map(|pair| pair.offset_ns.saturating_sub(pair.error_ns)).max()?;
        let most = pairs.iter().map(|pair| pair.offset_ns.saturating_add(pair.error_ns)).min()?;
        if least <= most {
            clock.offset_ns = Some(least.midpoint(most));
            clock.error_ns = (most.saturating_sub(least) / 2).max(MILLISECOND_NS);
        }
    }
    Some(clock)
}

/// The clock that connections tell, with so much more error that what messages tell of the same host does not contradict it.
pub(in crate::session) fn widened(known: ClockOffset, told: Option<&ClockOffset>) -> ClockOffset {
    let Some((told, offset)) = told.and_then(|told| Some((told, told.offset_ns?))) else { return known };
    let apart = known.at(told.drift_from).saturating_sub(offset).saturating_abs();
    let is_same = apart <= AGREE_NS && told.against == known.against;
    if is_same && apart > known.error_ns.saturating_add(told.error_ns) {
        return ClockOffset { error_ns: apart, ..known };
    }
    known
}
