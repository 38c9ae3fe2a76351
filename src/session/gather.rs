//! Connections of captures and of logs brought together: exactly where a log has the client's port, else by what both
//! tell of time and order; and the clocks of the hosts from these pairs.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::clock::{self, ClockOffset, ClockStep, Pair as TimePair, fit};
use super::join::Group;
use super::logs::{Cluster, Role};
use super::names::Directory;
use super::{Outcome, Session};
use crate::fact::{Connection, Fact, Side, What};
use crate::step::Step;
use crate::time::UnixNanos;

const MILLISECOND_NS: i64 = 1_000_000;
const SECOND_NS: i64 = 1_000 * MILLISECOND_NS;
/// Two clocks further apart than this are not believed to be of the same event on the word of a single port among many.
const APART_NS_MAX: i64 = 26 * 3_600 * SECOND_NS;
/// Connections of a log times those of captures up to which a port that both have is not there by chance: one in a hundred,
/// of the 16,384 ports that Windows gives to clients.
const PORTS_TRIED_MAX: usize = 160;
/// Pairs of one host that agree.
const AGREE_NS: i64 = 5 * SECOND_NS;
/// Without an exact key, beginnings this near by an assumed offset are the same.
pub(super) const ALIGNED_NS: i64 = 2 * SECOND_NS;
/// Hosts that check or forward are joined by user and time, by their own clocks, within what Kerberos tolerates (RFC
/// 4120 1.6).
const BY_NAME_NS: i64 = 300 * SECOND_NS;
/// Beginnings that are tried as the first pair of an alignment.
const TRIED_MAX: usize = 64;

/// One connection: as captures saw it, and as logs tell of it.
#[derive(Default)]
pub(super) struct Gathered {
    pub(super) group: Group,
    pub(super) clusters: Vec<Cluster>,
}

impl Gathered {
    /// What only a log tells of.
    pub(super) fn of(cluster: Cluster) -> Self {
        Self { group: Group::new(), clusters: vec![cluster] }
    }
}

/// What tells of the clocks of hosts beside the connections that they share with captures, by the index of the witness.
#[derive(Clone, Copy)]
pub(super) struct Measured<'m> {
    /// When each was set, as its own log says.
    pub(super) steps: &'m BTreeMap<u32, Vec<ClockStep>>,
    /// What messages tell of it.
    pub(super) told: &'m BTreeMap<u32, ClockOffset>,
}

/// Brings captures and the logs of servers together; the clusters of other hosts are handed back.
pub(super) fn servers(
    groups: Vec<Group>,
    clusters: Vec<Cluster>,
    clocks: &mut [ClockOffset],
    Measured { steps, told }: Measured<'_>,
    names: &Directory,
) -> (Vec<Gathered>, Vec<Cluster>) {
    let (servers, others): (Vec<Cluster>, Vec<Cluster>) =
        clusters.into_iter().partition(|c| c.role == Role::Server);
    let mut gathered: Vec<Gathered> =
        groups.into_iter().map(|group| Gathered { group, clusters: Vec::new() }).collect();
    let ends = by_client(&gathered);
    let mut by_host: BTreeMap<u32, Vec<Cluster>> = BTreeMap::new();
    for cluster in servers {
        by_host.entry(cluster.witness_index).or_default().push(cluster);
    }
    for (witness_index, clusters) in by_host {
        let pairs = exact_pairs(&gathered, &ends, &clusters, clocks);
        let logged = steps.get(&witness_index).map_or(&[][..], Vec::as_slice);
        let told = told.get(&witness_index);
        let measured = measured(witness_index, &pairs, logged);
        let mut matched: BTreeMap<usize, usize> = BTreeMap::new();
        match &measured {
            Some((found, kept)) => {
                matched.extend(kept.iter().map(|pair| (pair.cluster, pair.gathered)));
                if let Some(clock) = clock_of(clocks, witness_index) {
                    *clock = clock::widened(found.clone(), told);
                }
            }
            None => matched = by_order(&gathered, &clusters, (told, witness_index, names), clocks),
        }
        for (index, cluster) in clusters.into_iter().enumerate() {
            let by_time =
                || measured.as_ref().and_then(|(clock, _)| beginning_at(&gathered, &cluster, clock, clocks));
            let place = matched.get(&index).copied().or_else(by_time);
            match place.and_then(|place| gathered.get_mut(place)) {
                Some(one) => one.clusters.push(cluster),
                None => gathered.push(Gathered::of(cluster)),
            }
        }
    }
    for clock in clocks.iter_mut().filter(|clock| clock.offset_ns.is_none()) {
        if let Some(told) = told.get(&clock.witness_index) {
            clock.clone_from(told);
        }
    }
    (gathered, others)
}

/// A host whose logs hold no port of any captured connection: by the clock that messages tell, else by order and time alone,
/// with its doubt.
fn by_order(
    gathered: &[Gathered],
    clusters: &[Cluster],
    (told, witness_index, names): (Option<&ClockOffset>, u32, &Directory),
    clocks: &mut [ClockOffset],
) -> BTreeMap<usize, usize> {
    let captured: Vec<usize> =
        (0..gathered.len()).filter(|i| gathered.get(*i).is_some_and(|g| !g.group.is_empty())).collect();
    let connection =
        |index: usize| gathered.get(*captured.get(index)?)?.group.first().map(|part| &part.connection);
    let span = |index: &usize| gathered.get(*index)?.group.first().map(|part| &part.connection);
    let on_reference = |index: u32, at: UnixNanos| clock::on_reference(clocks, index, at);
    let tried: Vec<Tried> = captured
        .iter()
        .filter_map(span)
        .map(|c| Tried {
            start: on_reference(c.witness_index, c.opened),
            end: on_reference(c.witness_index, c.last_seen),
        })
        .collect();
    let listed: Vec<&Cluster> = clusters.iter().collect();
    let may_be = |cluster: usize, index: usize| match (listed.get(cluster), connection(index)) {
        (Some(cluster), Some(connection)) => may_be_one(cluster, connection, names) != Some(false),
        _ => false,
    };
    let to_captured = |pairs: Vec<(usize, usize)>| {
        pairs.into_iter().filter_map(|(c, t)| Some((c, *captured.get(t)?))).collect()
    };
    if let Some(told) = told {
        return to_captured(under(&listed, &tried, &|own| told.on_reference(own), &may_be));
    }
    let found = aligned(&listed, &tried, &may_be).filter(|found| !found.pairs.is_empty());
    let is_translated = |(cluster, index): &(usize, usize)| match (listed.get(*cluster), connection(*index)) {
        (Some(cluster), Some(connection)) => {
            cluster.client.is_some_and(|client| client != connection.client.ip())
        }
        _ => false,
    };
    // The address of another client may be that of a device in between, where several connections or the clocks agree.
    let believed = |found: &Alignment| {
        !found.pairs.iter().any(is_translated) || found.pairs.len() > 1 || found.offset_ns.abs() <= BY_NAME_NS
    };
    let Some(found) = found.filter(believed) else { return BTreeMap::new() };
    if let Some(clock) = clock_of(clocks, witness_index) {
        let pairs = u32::try_from(found.pairs.len()).unwrap_or(u32::MAX);
        *clock = ClockOffset::constant(witness_index, found.offset_ns, found.error_ns, pairs);
    }
    to_captured(found.pairs)
}

/// Nothing that both tell of client and server speaks against it. A client with another address may be behind address
/// translation, when the host is known to be the server.
fn may_be_one(cluster: &Cluster, connection: &Connection, names: &Directory) -> Option<bool> {
    let host = names.is_host(&cluster.host, connection.server.ip());
    let same_client = cluster.client.map(|client| client == connection.client.ip());
    match (host, same_client) {
        (Some(false), _) => Some(false),
        // Who has its port would be joined by it.
        (_, Some(true)) if cluster.port.is_some() => Some(false),
        (Some(true), Some(false)) => None,
        (_, Some(false)) => Some(false),
        (_, None) if cluster.port.is_some() => Some(false),
        (host, _) => host,
    }
}

fn clock_of(clocks: &mut [ClockOffset], witness_index: u32) -> Option<&mut ClockOffset> {
    clocks.iter_mut().find(|clock| clock.witness_index == witness_index)
}

fn by_client(gathered: &[Gathered]) -> BTreeMap<SocketAddr, Vec<usize>> {
    let mut ends: BTreeMap<SocketAddr, Vec<usize>> = BTreeMap::new();
    for (index, one) in gathered.iter().enumerate() {
        for part in &one.group {
            let known = ends.entry(part.connection.client).or_default();
            if !known.contains(&index) {
                known.push(index);
            }
        }
    }
    ends
}

/// A log and a capture that tell of the same connection.
struct Pair {
    cluster: usize,
    gathered: usize,
    /// By the host's clock.
    at: UnixNanos,
    offset_ns: i64,
    error_ns: i64,
    /// How far its records stand from the packets that they tell of.
    apart_ns: Option<i64>,
}

/// Pairs by the client's address and port. Where a port was used again, the pair that fits its neighbours in time is taken.
fn exact_pairs(
    gathered: &[Gathered],
    ends: &BTreeMap<SocketAddr, Vec<usize>>,
    clusters: &[Cluster],
    clocks: &[ClockOffset],
) -> Vec<Pair> {
    let pair = |cluster: usize, place: usize| {
        let (one, own) = (gathered.get(place)?, clusters.get(cluster)?);
        let (at, offset_ns, error_ns) = offset_of(one, own, clocks)?;
        let apart_ns = record_apart(one, own, offset_ns, clocks);
        Some(Pair { cluster, gathered: place, at, offset_ns, error_ns, apart_ns })
    };
    let candidates =
        |cluster: &Cluster| cluster.client_end().and_then(|end| ends.get(&end)).cloned().unwrap_or_default();
    let mut pairs: Vec<Pair> = Vec::new();
    let mut unsure: Vec<(usize, Vec<usize>)> = Vec::new();
    for (index, cluster) in clusters.iter().enumerate() {
        match candidates(cluster).as_slice() {
            [] => {}
            [only] => pairs.extend(pair(index, *only)),
            several => unsure.push((index, several.to_vec())),
        }
    }
    pairs.sort_by_key(|pair| pair.at);
    let sure: Vec<(UnixNanos, i64)> = pairs.iter().map(|pair| (pair.at, pair.offset_ns)).collect();
    for (index, places) in unsure {
        let Some(start) = clusters.get(index).map(Cluster::start) else { continue };
        let nearest = sure.iter().min_by_key(|(at, _)| at.since(start).abs());
        let usual = nearest.map_or(0, |(_, offset)| *offset);
        let found = places.into_iter().filter_map(|place| pair(index, place));
        pairs.extend(found.min_by_key(|p| p.offset_ns.abs_diff(usual)));
    }
    believed(pairs, clusters, gathered)
}

/// A port is used again sooner or later: clocks that are far apart are believed when several pairs agree on it, or when
/// there are too few connections for one to have the port of another by chance.
fn believed(pairs: Vec<Pair>, clusters: &[Cluster], gathered: &[Gathered]) -> Vec<Pair> {
    let is_near = |pair: &Pair| pair.offset_ns.abs() <= APART_NS_MAX;
    if pairs.iter().any(is_near) {
        return pairs.into_iter().filter(is_near).collect();
    }
    let agree = |pair: &Pair| {
        let like = pairs.iter().filter(|p| p.offset_ns.abs_diff(pair.offset_ns) <= AGREE_NS.unsigned_abs());
        like.count() > 1
    };
    let by_chance = clusters.len().saturating_mul(gathered.len()) > PORTS_TRIED_MAX;
    match (by_chance, pairs.iter().position(agree)) {
        (false, _) => pairs,
        (true, None) => Vec::new(),
        (true, Some(_)) => {
            let kept: Vec<bool> = pairs.iter().map(agree).collect();
            pairs.into_iter().zip(kept).filter(|(_, kept)| *kept).map(|(pair, _)| pair).collect()
        }
    }
}

/// A moment of the host's clock, by how much it was ahead of the reference, and the error. The server takes the connection
/// behind the client's acknowledgement and before its own first answer; who has no log of that refused credentials between
/// the client's message and its own answer.
fn offset_of(one: &Gathered, cluster: &Cluster, clocks: &[ClockOffset]) -> Option<(UnixNanos, i64, i64)> {
    let part = one.group.first()?;
    let time = |wanted: fn(&What) -> bool| {
        let seen = part.facts.iter().find(|fact| wanted(&fact.what))?;
        Some(clock::on_reference(clocks, part.connection.witness_index, seen.at))
    };
    let taken = cluster.find(|what| matches!(what, What::ConnectionAccepted { .. }));
    let (own, from, until) = match taken {
        Some(taken) => {
            let connected = time(|what| {
                matches!(what, What::Connected {} | What::SynAnswered { .. } | What::SynSent { .. })
            })?;
            let answered = time(|what| {
                matches!(
                    what,
                    What::ConnectionConfirm { .. }
                        | What::NegotiationRefused { .. }
                        | What::Closed { .. }
                        | What::Reset { .. }
                )
            });
            (taken.at, connected, answered)
        }
        None => {
            let refused = cluster.find(|what| matches!(what, What::LogonFailed { logon_type: 3, .. }))?;
            let answered = time(|what| matches!(what, What::CredsspRefused { .. }))?;
            let asked = part
                .facts
                .iter()
                .rfind(|fact| matches!(fact.what, What::CredsspMessage { by: Side::Client, .. }))?;
            let asked = clock::on_reference(clocks, part.connection.witness_index, asked.at);
            (refused.at, asked.min(answered), Some(answered))
        }
    };
    let width = until.map_or(SECOND_NS, |until| until.since(from).clamp(MILLISECOND_NS, SECOND_NS));
    Some((own, own.since(from), width))
}

/// How far what a record tells stands, under this offset, from the packet that it tells of; the farthest of all. It may
/// be the clock or the writing of the record: nobody knows of the record that the offset comes from, either.
fn record_apart(one: &Gathered, cluster: &Cluster, offset_ns: i64, clocks: &[ClockOffset]) -> Option<i64> {
    let part = one.group.first()?;
    let packet = |record: &Fact| {
        let same = part.facts.iter().find(|fact| fact.what.name() == record.what.name())?;
        Some(clock::on_reference(clocks, part.connection.witness_index, same.at))
    };
    let apart =
        |record: &Fact| Some(record.at.since(packet(record)?).saturating_sub(offset_ns).saturating_abs());
    cluster.facts.iter().filter_map(apart).max()
}

/// The clock of a host by its pairs, and the pairs that it explains. Of others the port was used again.
fn measured<'p>(
    witness_index: u32,
    pairs: &'p [Pair],
    logged: &[ClockStep],
) -> Option<(ClockOffset, Vec<&'p Pair>)> {
    let width = pairs.iter().map(|pair| pair.error_ns).min()?;
    let timed = |pair: &Pair| TimePair { at: pair.at, offset_ns: pair.offset_ns, error_ns: pair.error_ns };
    let times: Vec<TimePair> = pairs.iter().map(timed).collect();
    let clock = fit(witness_index, &times, logged, width)?;
    let fits = |pair: &&Pair| pair.offset_ns.abs_diff(clock.at(pair.at)) <= AGREE_NS.unsigned_abs();
    let kept: Vec<&Pair> = pairs.iter().filter(fits).collect();
    let count = u32::try_from(kept.len()).unwrap_or(u32::MAX);
    let apart = clock::median(kept.iter().filter_map(|pair| pair.apart_ns).collect());
    let error_ns = clock.error_ns.max(apart.unwrap_or(0).min(SECOND_NS));
    Some((ClockOffset { pairs: count, error_ns, ..clock }, kept))
}

/// The captured connection that begins when a log without port says, by the host's measured clock; of one client
/// address as far as it is known, and the only one near.
fn beginning_at(
    gathered: &[Gathered],
    cluster: &Cluster,
    measured: &ClockOffset,
    clocks: &[ClockOffset],
) -> Option<usize> {
    if cluster.port.is_some() {
        return None;
    }
    let begins = measured.on_reference(cluster.start());
    let near = |one: &Gathered| {
        let Some(part) = one.group.first() else { return false };
        let address = cluster.client.is_none_or(|client| client == part.connection.client.ip());
        let opened = clock::on_reference(clocks, part.connection.witness_index, part.connection.opened);
        address && opened.since(begins).abs() <= ALIGNED_NS
    };
    let mut found = gathered.iter().enumerate().filter(|(_, one)| near(one)).map(|(index, _)| index);
    let first = found.next()?;
    found.next().is_none().then_some(first)
}

/// When something was tried, on the reference clock.
pub(super) struct Tried {
    pub(super) start: UnixNanos,
    pub(super) end: UnixNanos,
}

/// What one host says it did, laid over what was tried.
#[derive(Default)]
pub(super) struct Alignment {
    /// Nanoseconds that the host's clock is ahead.
    pub(super) offset_ns: i64,
    /// Half of what the pair that gave it leaves open.
    pub(super) error_ns: i64,
    /// Cluster and what it belongs to, by index.
    pub(super) pairs: Vec<(usize, usize)>,
}

impl Alignment {
    /// Of several, the one with more pairs, then the one whose lengths agree best, then the smallest offset.
    fn key(&self) -> (usize, i64, i64) {
        (self.pairs.len(), -self.error_ns, -self.offset_ns.abs())
    }
}

/// Aligns what one host says it did, in order, with what was tried: the offset under which most beginnings agree.
pub(super) fn aligned(
    clusters: &[&Cluster],
    tried: &[Tried],
    may_be: &dyn Fn(usize, usize) -> bool,
) -> Option<Alignment> {
    let mut best: Option<Alignment> = None;
    for (c, cluster) in clusters.iter().enumerate().take(TRIED_MAX) {
        for (_, one) in tried.iter().enumerate().take(TRIED_MAX).filter(|(t, _)| may_be(c, *t)) {
            let Some((offset_ns, error_ns)) = interval(cluster, one) else { continue };
            if offset_ns.abs() > APART_NS_MAX {
                continue;
            }
            let pairs = under(clusters, tried, &|own| own.plus(offset_ns.saturating_neg()), may_be);
            let found = Alignment { offset_ns, error_ns, pairs };
            if best.as_ref().is_none_or(|known| found.key() > known.key()) {
                best = Some(found);
            }
        }
    }
    best
}

/// A client writes that it connects before its SYN leaves, and that it is disconnected after the connection ended: the
/// offset lies between. Where only the beginning is logged, or the end far behind that of the connection, the beginning
/// alone tells. `None` when the client's try was shorter than the connection.
fn interval(cluster: &Cluster, tried: &Tried) -> Option<(i64, i64)> {
    let least = cluster.start().since(tried.start);
    let Some(ended) = cluster.find(|what| matches!(what, What::ClientDisconnected { .. })) else {
        return Some((least, SECOND_NS));
    };
    let most = ended.at.since(tried.end);
    match most - least {
        width if width < -ALIGNED_NS => None,
        // It noticed the end late.
        width if width > ALIGNED_NS => Some((least, width)),
        width => Some((least.midpoint(most.max(least)), (width.abs() / 2).max(MILLISECOND_NS))),
    }
}

/// Clusters, each with what was tried at its beginning by an assumed clock.
pub(super) fn under(
    clusters: &[&Cluster],
    tried: &[Tried],
    on_reference: &dyn Fn(UnixNanos) -> UnixNanos,
    may_be: &dyn Fn(usize, usize) -> bool,
) -> Vec<(usize, usize)> {
    let mut pairs = Vec::new();
    let mut taken = vec![false; tried.len()];
    for (c, cluster) in clusters.iter().enumerate() {
        let begins = on_reference(cluster.start());
        let near = tried.iter().enumerate().filter(|(t, one)| {
            let free = taken.get(*t).is_some_and(|taken| !taken);
            free && one.start.since(begins).abs() <= ALIGNED_NS && may_be(c, *t)
        });
        if let Some((t, _)) = near.min_by_key(|(_, one)| one.start.since(begins).abs()) {
            pairs.push((c, t));
            if let Some(slot) = taken.get_mut(t) {
                *slot = true;
            }
        }
    }
    pairs
}

/// The session that a broker, gateway or domain controller speaks of: of the same user or address, near by the host's own
/// clock, or on the reference clock where messages tell how far it is off.
pub(super) fn named(sessions: &[Session], cluster: &Cluster, clocks: &[ClockOffset]) -> Option<usize> {
    let user = cluster.user.as_deref();
    let near = |session: &Session| {
        let at = clock::on_reference(clocks, cluster.witness_index, cluster.start());
        let apart = if at < session.start { session.start.since(at) } else { at.since(session.end).max(0) };
        if apart > BY_NAME_NS {
            return None;
        }
        let both = user.zip(session.user_name());
        let same_user = both.is_some_and(|(a, b)| is_same_user(a, b));
        let same_address =
            both.is_none() && cluster.client.is_some() && cluster.client == session.client_ip();
        // A gateway tells of each connection once.
        let there = cluster.role == Role::Gateway
            && session.hosts.iter().any(|part| part.witness_index == cluster.witness_index);
        ((same_user || same_address) && !there && may_be_checked(session, cluster))
            .then_some((session.outcome == Outcome::Probe, apart))
    };
    let found = sessions.iter().enumerate().filter_map(|(index, session)| Some((near(session)?, index)));
    found.min().map(|(_, index)| index).or_else(|| only_failure_of(sessions, cluster, user?))
}

/// What a domain controller refused is of no connection whose packets show that it broke before the logon.
fn may_be_checked(session: &Session, cluster: &Cluster) -> bool {
    cluster.role != Role::DomainController
        || session.connections.is_empty()
        || session.broke_at >= Some(Step::Credssp)
}

/// The only session of this user that failed, when the clocks of both hosts were never compared.
fn only_failure_of(sessions: &[Session], cluster: &Cluster, user: &str) -> Option<usize> {
    let failed = |session: &Session| {
        session.outcome.is_failure()
            && may_be_checked(session, cluster)
            && session.user_name().is_some_and(|name| is_same_user(name, user))
    };
    let mut found =
        sessions.iter().enumerate().filter(|(_, session)| failed(session)).map(|(index, _)| index);
    let first = found.next()?;
    found.next().is_none().then_some(first)
}

/// A cookie is cut to 9 characters by some clients: a longer name may begin with it. `user@domain` and `DOMAIN\user` are
/// the user.
#[must_use]
pub fn is_same_user(a: &str, b: &str) -> bool {
    let account = |name: &str| {
        let name = name.rsplit('\\').next().unwrap_or(name);
        let account = name.split('@').next().unwrap_or(name);
        account.chars().flat_map(char::to_lowercase).collect::<Vec<char>>()
    };
    if a.eq_ignore_ascii_case(b) {
        return true;
    }
    let cut = |name: &str| name.chars().count() == COOKIE_CHARS;
    let (a_cut, b_cut) = (cut(a), cut(b));
    let (a, b) = (account(a), account(b));
    a == b || (a_cut && b.starts_with(&a)) || (b_cut && a.starts_with(&b))
}

/// Length to which some clients cut the user name of the cookie, the domain before it included.
const COOKIE_CHARS: usize = 9;
