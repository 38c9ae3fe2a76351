//! Records of event logs into connections: by ActivityID, session id and logon id, and where these are missing by user,
//! address and time on the same host, with its doubt.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::Witness;
use crate::codes::ErrorInfo;
use crate::fact::{Fact, Keys, What};
use crate::time::UnixNanos;

mod role;
mod index;
mod boots;

pub use boots::{Boots, Zone};
pub use role::Role;

pub(super) use boots::of_hosts as boots;

use index::Index;

const SECOND_NS: i64 = 1_000_000_000;
/// Records without a key of their own belong to a connection of the same host that began at most this long before them
/// and is not over for longer than [`AFTER_NS`].
const BEFORE_NS: i64 = 2 * SECOND_NS;
/// A teardown takes about 1.2 s behind a refusal (measured: 1.02 to 1.46 s).
const AFTER_NS: i64 = 3 * SECOND_NS;
/// A logon follows its connection within this time; people type a password in between without NLA.
const LOGON_NS: i64 = 120 * SECOND_NS;
/// A failure that a client logs without an ActivityID belongs to its connection within this time.
const CLIENT_NS: i64 = 30 * SECOND_NS;

/// Facts of one host's logs kept of one connection.
pub const FACTS_MAX: usize = 2_000;

/// What one host's logs say of one connection.
#[derive(Debug, Clone, Default)]
pub(super) struct Cluster {
    /// Index of the host among the witnesses.
    pub(super) witness_index: u32,
    pub(super) host: String,
    pub(super) role: Role,
    pub(super) facts: Vec<Fact>,
    pub(super) activity: Option<String>,
    pub(super) client: Option<IpAddr>,
    pub(super) port: Option<u16>,
    /// The sessions it had, in order, and since when: one that is made for the logon may be left for one that existed.
    sessions: Vec<(u32, UnixNanos)>,
    pub(super) user: Option<String>,
    pub(super) domain: Option<String>,
    pub(super) workstation: Option<String>,
    logon_ids: Vec<u64>,
    names: Vec<String>,
    ended: bool,
    /// Times of the first and the last fact.
    span: Option<(UnixNanos, UnixNanos)>,
    /// When its user was first let in, when a session was first its own, and when the transport first ended.
    let_in: Option<UnixNanos>,
    logged_on: Option<UnixNanos>,
    disconnected: Option<UnixNanos>,
    /// When its session was taken from it or logged off, in order.
    left: Vec<UnixNanos>,
}

impl Cluster {
    pub(super) fn start(&self) -> UnixNanos {
        self.span.map_or_else(UnixNanos::default, |span| span.0)
    }

    pub(super) fn end(&self) -> UnixNanos {
        self.span.map_or_else(UnixNanos::default, |span| span.1)
    }

    /// Address and port of the client, when the log has both: the exact key to the TCP connection.
    pub(super) fn client_end(&self) -> Option<SocketAddr> {
        Some(SocketAddr::new(self.client?, self.port?))
    }

    pub(super) fn find(&self, wanted: impl Fn(&What) -> bool) -> Option<&Fact> {
        self.facts.iter().find(|fact| wanted(&fact.what))
    }

    fn take(&mut self, fact: Fact, keys: &Keys) {
        let is_end = matches!(fact.what, What::Disconnected { .. } | What::ClientDisconnected { .. });
        self.ended |= is_end;
        self.activity = self.activity.take().or_else(|| keys.activity.clone());
        self.client = self.client.or(keys.address);
        self.port = self.port.or(keys.port);
        if let Some(id) = keys.session_id {
            match self.sessions.iter_mut().find(|(known, _)| *known == id) {
                Some((_, since)) => *since = (*since).min(fact.at),
                None => self.sessions.push((id, fact.at)),
            }
        }
        let named = keys.user.as_ref().filter(|user| !is_plumbing(user));
        if self.user.is_none() && named.is_some() {
            self.user = named.cloned();
            self.domain.clone_from(&keys.domain);
        }
        self.workstation = self.workstation.take().or_else(|| keys.workstation.clone());
        self.logon_ids.extend(keys.logon_id.filter(|_| is_own_logon(&fact.what)));
        if let Some(name) = connection_name(&fact.what) {
            self.names.push(name.to_owned());
        }
        self.mark(&fact.what, fact.at);
        let (from, until) = self.span.unwrap_or((fact.at, fact.at));
        self.span = Some((from.min(fact.at), until.max(fact.at)));
        self.facts.push(fact);
    }

    /// The same user, or one of both is not known.
    fn may_be_user(&self, keys: &Keys) -> bool {
        match (&self.user, &keys.user) {
            (Some(known), Some(user)) => known.eq_ignore_ascii_case(user),
            _ => true,
        }
    }

    fn may_be_address(&self, keys: &Keys) -> bool {
        !matches!((self.client, keys.address), (Some(known), Some(address)) if known != address)
    }

    /// Windows gives 0 where it does not know the port of the other end.
    fn may_be_port(&self, keys: &Keys) -> bool {
        !matches!((self.port, keys.port), (Some(known), Some(port)) if port != 0 && known != port)
    }

    /// It was ended with this code at about that time.
    fn was_told(&self, code: ErrorInfo, at: UnixNanos) -> bool {
        self.facts.iter().any(|fact| {
            let same = matches!(fact.what, What::ErrorInfoSet { code: c } | What::Disconnected { reason: c } if c == code);
            same && fact.at.since(at).abs() <= AFTER_NS
        })
    }

    /// Keeps when what decides later happened.
    fn mark(&mut self, what: &What, at: UnixNanos) {
        let first = |known: &mut Option<UnixNanos>| *known = Some(known.map_or(at, |known| known.min(at)));
        if role::lets_in(what) {
            first(&mut self.let_in);
        }
        if role::begins_a_session(what) {
            first(&mut self.logged_on);
        }
        match what {
            What::Disconnected { .. } => first(&mut self.disconnected),
            What::SessionDisconnected { .. } | What::SessionLogoff {} => {
                let place = self.left.partition_point(|left| *left <= at);
                self.left.insert(place, at);
            }
            _ => {}
        }
    }

    /// It had the session of the keys by then.
    fn had(&self, keys: &Keys, at: UnixNanos) -> bool {
        match keys.session_id {
            Some(id) => self.sessions.iter().any(|(known, since)| *known == id && *since <= at),
            None => self.start() <= at,
        }
    }

    /// Its user was let in by then: checks of credentials that come later are not its own.
    fn was_let_in(&self, at: UnixNanos) -> bool {
        self.let_in.is_some_and(|let_in| at.since(let_in) > SECOND_NS)
    }

    /// It has a logon or a reconnection of its own.
    const fn was_logged_on(&self) -> bool {
        self.logged_on.is_some()
    }

    /// It has sessions, and had not that of the keys by then.
    fn has_another_session(&self, keys: &Keys, at: UnixNanos) -> bool {
        keys.session_id.is_some() && !self.sessions.is_empty() && !self.had(keys, at)
    }

    /// It ended before: on the transport, or because the session that it had was taken from it.
    fn is_over(&self, at: UnixNanos) -> bool {
        let ended = self.disconnected.is_some_and(|ended| at.since(ended) > SECOND_NS);
        let until = self.left.partition_point(|left| *left <= at);
        let last = until.checked_sub(1).and_then(|last| self.left.get(last));
        let behind_a_logon = last.is_some_and(|last| {
            self.logged_on.is_some_and(|logged_on| logged_on < *last) || last.since(self.start()) > LOGON_NS
        });
        ended || behind_a_logon || (last.is_some() && self.left.first() == Some(&self.start()))
    }

    /// The session id that names it.
    pub(super) fn session_id(&self) -> Option<u32> {
        self.sessions.first().map(|(id, _)| *id)
    }

    fn covers(&self, at: UnixNanos, after_ns: i64) -> bool {
        at.since(self.start()) >= -BEFORE_NS && at.since(self.end()) <= after_ns
    }
}

/// Accounts of the system itself: sessions of the window manager, of font drivers, of computers.
fn is_plumbing(user: &str) -> bool {
    let user = user.to_ascii_uppercase();
    user.ends_with('$') || user.starts_with("DWM-") || user.starts_with("UMFD-") || user == "ANONYMOUS LOGON"
}

/// The logon id of these names a logon of the connection's user.
fn is_own_logon(what: &What) -> bool {
    matches!(
        what,
        What::LogonSucceeded { .. } | What::SessionReconnected { .. } | What::SessionDisconnected { .. }
    )
}

/// The name of the connection (`RDP-Tcp#5`), where a record has it.
fn connection_name(what: &What) -> Option<&str> {
    match what {
        What::ConnectionNamed { name } => Some(name),
        What::SessionBound { name } => name.as_deref(),
        What::SessionReconnected { name, .. } | What::SessionDisconnected { name, .. } => name.as_deref(),
        _ => None,
    }
}

/// The connections that the logs tell of.
pub(super) struct Told {
    pub(super) clusters: Vec<Cluster>,
    /// Records that belong to none.
    pub(super) alone: usize,
    /// Records that were left out of those that have too many.
    pub(super) cut: usize,
}

/// What was changed on each host, with the index of its witness, whichever connection it stands beside.
pub(super) fn changes(facts: &[Fact], witnesses: &[Witness]) -> Vec<(u32, Fact)> {
    let changes = facts.iter().filter(|fact| role::is_change(&fact.what));
    let hosts = Hosts::of(witnesses);
    changes.map(|fact| (hosts.wrote(fact), fact.clone())).collect()
}

/// Each record that says something of a clock, with the index of the witness that wrote it.
pub(super) fn clock_changes<'f>(facts: &'f [Fact], witnesses: &[Witness]) -> Vec<(u32, &'f Fact)> {
    let of_clocks = facts.iter().filter(|fact| matches!(fact.what, What::ClockChanged { .. }));
    let hosts = Hosts::of(witnesses);
    of_clocks.map(|fact| (hosts.wrote(fact), fact)).collect()
}

/// Hosts by their names, with the index of each among the witnesses.
struct Hosts<'w>(BTreeMap<&'w str, u32>);

impl<'w> Hosts<'w> {
    fn of(witnesses: &'w [Witness]) -> Self {
        // Of two witnesses of one name the first counts.
        let mut hosts = BTreeMap::new();
        for (index, witness) in (0_u32..).zip(witnesses) {
            if let Some(host) = witness.host.as_deref() {
                hosts.entry(host).or_insert(index);
            }
        }
        Self(hosts)
    }

    /// The index of the witness that wrote a record.
    fn wrote(&self, fact: &Fact) -> u32 {
        fact.subject.keys().and_then(|keys| self.0.get(keys.host.as_str())).copied().unwrap_or(0)
    }
}

/// Puts the records of each host together that are of one connection.
pub(super) fn clusters(facts: Vec<Fact>, witnesses: &[Witness]) -> Told {
    let mut by_host: BTreeMap<u32, Vec<Fact>> = BTreeMap::new();
    let hosts = Hosts::of(witnesses);
    for fact in facts {
        by_host.entry(hosts.wrote(&fact)).or_default().push(fact);
    }
    let mut found = Vec::new();
    let mut alone = 0;
    for (witness_index, mut facts) in by_host {
        facts.sort_by_key(|fact| (fact.at, fact.place));
        let mut host = Host {
            witness_index,
            at_the_computer: at_the_computer(&facts),
            clusters: Vec::new(),
            checks: Vec::new(),
            by_activity: BTreeMap::new(),
            index: Index::default(),
            alone: 0,
            booted: boots::starts(&facts),
            until: BTreeMap::new(),
        };
        for fact in &facts {
            host.until.insert(fact.place.input_index, fact.at);
        }
        let (keyed, rest): (Vec<Fact>, Vec<Fact>) = facts.into_iter().partition(has_own_key);
        let (shared, rest): (Vec<Fact>, Vec<Fact>) = rest.into_iter().partition(concerns_every_connection);
        for fact in keyed.into_iter().chain(rest).chain(shared) {
            host.take(fact);
        }
        alone += host.alone;
        // A host that is connected to checks for itself: what fits none of its connections is of another service.
        let serves = host
            .clusters
            .iter()
            .any(|cluster| cluster.role != Role::DomainController && is_remote_desktop(cluster));
        if serves {
            alone += host.checks.len();
        } else {
            found.append(&mut host.checks);
        }
        found.extend(host.clusters.into_iter().filter(is_remote_desktop));
    }
    let mut cut = 0;
    for cluster in &mut found {
        cluster.facts.sort_by_key(|fact| (fact.at, fact.place));
        cut += cluster.facts.len().saturating_sub(FACTS_MAX);
        cluster.facts.truncate(FACTS_MAX);
    }
    found.sort_by_key(|cluster| (cluster.start(), cluster.witness_index));
    Told { clusters: found, alone, cut }
}

/// Facts with a key that needs no other record come first, so that the rest finds the connections made of them.
fn has_own_key(fact: &Fact) -> bool {
    fact.subject.keys().is_some_and(|keys| keys.activity.is_some())
}

/// It happens to the host, or it is a remark of the services of Remote Desktop that names no connection, session or user.
fn concerns_every_connection(fact: &Fact) -> bool {
    let unnamed = || {
        fact.subject.keys().is_some_and(|keys| {
            (&keys.activity, keys.session_id, keys.logon_id, &keys.user, keys.address)
                == (&None, None, None, &None, None)
        })
    };
    role::concerns_every_connection(&fact.what) || (role::is_remark_of_a_service(&fact.what) && unnamed())
}

/// A connection shows itself as Remote Desktop by more than what it shares with other services.
fn is_remote_desktop(cluster: &Cluster) -> bool {
    cluster.facts.iter().any(|fact| {
        let proof = role::proves_remote_desktop(&fact.what);
        let typed = matches!(
            fact.what,
            What::LogonSucceeded { logon_type: 10, .. } | What::LogonFailed { logon_type: 10, .. }
        );
        proof
            || (typed
                && cluster.client.is_some_and(|address| !address.is_loopback() && !address.is_unspecified()))
    })
}

struct Host {
    witness_index: u32,
    /// By session, since when it is at the computer itself, and since when it is not.
    at_the_computer: BTreeMap<u32, Vec<(UnixNanos, bool)>>,
    clusters: Vec<Cluster>,
    /// What the host checked for another one, each by itself.
    checks: Vec<Cluster>,
    by_activity: BTreeMap<String, usize>,
    index: Index,
    /// Records that belong to no connection.
    alone: usize,
    /// When the host was started.
    booted: Vec<UnixNanos>,
    /// Time of the last fact of each input.
    until: BTreeMap<u32, UnixNanos>,
}

impl Host {
    fn take(&mut self, fact: Fact) {
        let Some(keys) = fact.subject.keys().map(Arc::clone) else { return };
        if is_at_the_computer(&fact.what) || self.ends_at_the_computer(&fact, &keys) {
            return;
        }
        if concerns_every_connection(&fact) {
            return self.every(&fact);
        }
        let found = self
            .by_activity(&fact, &keys)
            .or_else(|| self.by_keys(&fact, &keys))
            .or_else(|| self.by_time(&fact, &keys));
        if found.is_none() && role::is_check(&fact.what) {
            let mut check = self.cluster(&fact, &keys);
            check.role = Role::DomainController;
            check.take(fact, &keys);
            return self.checks.push(check);
        }
        let index = match found {
            Some(index) => Some(index),
            None if role::opens_a_connection(&fact.what) => Some(self.open(&fact, &keys)),
            None => None,
        };
        match index.and_then(|index| Some((index, self.clusters.get_mut(index)?))) {
            Some((index, cluster)) => {
                cluster.take(fact, &keys);
                self.index.learn(index, cluster);
            }
            None => self.alone += 1,
        }
    }

    /// It ends a session at the computer itself, as when a connection takes that over.
    fn ends_at_the_computer(&self, fact: &Fact, keys: &Keys) -> bool {
        let session = keys.session_id.filter(|_| keys.activity.is_none());
        let told = session.and_then(|session| self.at_the_computer.get(&session));
        let last = told.and_then(|told| told.iter().rfind(|(since, _)| *since < fact.at));
        matches!(fact.what, What::SessionEnded { .. }) && last.is_some_and(|(_, local)| *local)
    }

    fn cluster(&self, fact: &Fact, keys: &Keys) -> Cluster {
        let (witness_index, host, role) = (self.witness_index, keys.host.clone(), Role::of(&fact.what));
        Cluster { witness_index, host, role, ..Cluster::default() }
    }

    fn open(&mut self, fact: &Fact, keys: &Keys) -> usize {
        let index = self.clusters.len();
        self.clusters.push(self.cluster(fact, keys));
        if let Some(activity) = &keys.activity {
            self.by_activity.insert(activity.clone(), index);
        }
        index
    }

    /// The connection of the same ActivityID; a new one where the id begins again.
    fn by_activity(&mut self, fact: &Fact, keys: &Keys) -> Option<usize> {
        let activity = keys.activity.as_ref()?;
        if matches!(fact.what, What::ConnectionAccepted { udp: true }) {
            return self.beside(keys, activity);
        }
        let known = self.by_activity.get(activity).copied();
        let begins = matches!(fact.what, What::ConnectionAccepted { .. } | What::ClientConnecting { .. });
        let again = known.and_then(|index| self.clusters.get(index)).is_some_and(|cluster| {
            let other_port = cluster.port.is_some() && keys.port.is_some() && cluster.port != keys.port;
            begins && (other_port || cluster.ended)
        });
        match known {
            Some(index) if !again => Some(index),
            _ => Some(self.open(fact, keys)),
        }
    }

    /// The connection that a UDP transport belongs to: of the same client, the last that has not ended. What comes later
    /// under the ActivityID of the transport belongs there, too.
    fn beside(&mut self, keys: &Keys, activity: &str) -> Option<usize> {
        let found = self.index.last_open(keys.address?)?;
        self.by_activity.insert(activity.to_owned(), found);
        Some(found)
    }

    /// By the session id, the logon id or the name of the connection: the one that began last.
    fn by_keys(&self, fact: &Fact, keys: &Keys) -> Option<usize> {
        let name = connection_name(&fact.what);
        if (name, keys.session_id, keys.logon_id) == (None, None, None) {
            return None;
        }
        let fits = |cluster: &Cluster| {
            let begun = fact.at.since(cluster.start()) >= -BEFORE_NS;
            let logon = keys.logon_id.is_some_and(|id| cluster.logon_ids.contains(&id));
            let session =
                keys.session_id.is_some_and(|id| cluster.sessions.iter().any(|(known, _)| *known == id));
            let named = name.is_some_and(|name| cluster.names.iter().any(|known| known == name));
            begun
                && cluster.role == Role::Server
                && (logon || ((session || named) && cluster.may_be_user(keys)))
                && !is_of_the_next(cluster, fact, keys)
        };
        let candidates = self.index.with_keys(name, keys, fact.at.plus(BEFORE_NS)).into_iter();
        let mut fitting =
            candidates.filter_map(|index| Some((index, self.clusters.get(index)?))).filter(|(_, c)| fits(c));
        if !role::ends_a_session(&fact.what) {
            return fitting.next().map(|(index, _)| index);
        }
        // The end of a session is of the connection that had it, not of the one that takes it over.
        let fitting: Vec<(usize, &Cluster)> = fitting.collect();
        let told = |cluster: &Cluster| match &fact.what {
            What::SessionEnded { reason: Some(code), .. } => cluster.was_told(*code, fact.at),
            _ => false,
        };
        let of_the_client = |cluster: &Cluster| keys.address.is_some() && cluster.client == keys.address;
        let owner = fitting.iter().find(|(_, cluster)| told(cluster));
        let owner = owner.or_else(|| {
            let had = || fitting.iter().filter(|(_, cluster)| cluster.had(keys, fact.at));
            let open = || had().find(|(_, cluster)| !cluster.is_over(fact.at));
            had().find(|(_, cluster)| of_the_client(cluster)).or_else(open).or_else(|| had().next())
        });
        let named = || fitting.first().filter(|_| keys.session_id.is_none());
        owner.or_else(named).map(|(index, _)| *index)
    }

    /// By time on the same host: the connection that began last before it, of the same user and address as far as they
    /// are known.
    fn by_time(&self, fact: &Fact, keys: &Keys) -> Option<usize> {
        if keys.user.as_deref().is_some_and(is_plumbing) || role::is_of_another_program(&fact.what) {
            return None;
        }
        let window = role::joined_by_time(&fact.what)?;
        let fits = |cluster: &Cluster| {
            let after_ns = match (&window, cluster.role) {
                (role::Window::Logon, Role::Server) => LOGON_NS,
                (role::Window::Near | role::Window::Either, Role::Server) => AFTER_NS,
                (role::Window::Client | role::Window::Either, Role::Client) => CLIENT_NS,
                _ => return false,
            };
            let checked_before = || role::is_logon_check(&fact.what) && cluster.was_let_in(fact.at);
            let ends_another =
                || role::ends_a_session(&fact.what) && cluster.has_another_session(keys, fact.at);
            cluster.covers(fact.at, after_ns)
                && !(checked_before() || ends_another())
                && !is_of_the_next(cluster, fact, keys)
                && cluster.may_be_user(keys)
                && cluster.may_be_address(keys)
                && cluster.may_be_port(keys)
        };
        self.index.nearest(fact.at, keys, |index| self.clusters.get(index).is_some_and(fits))
    }

    /// What happens to the whole host is said of every connection that ends at that time; what only puts it into context,
    /// of those that are there. A connection grows no longer by it.
    fn every(&mut self, fact: &Fact) {
        let remark = matches!(fact.what, What::LogSays { .. } | What::ServerCertificate { .. });
        let after_ns = if remark { 0 } else { 10 * SECOND_NS };
        let mut told = false;
        for index in self.index.at(fact.at) {
            if let Some(cluster) = self.clusters.get_mut(index).filter(|c| c.covers(fact.at, after_ns)) {
                cluster.facts.push(fact.clone());
                told = true;
            }
        }
        for index in self.open_in_a_crash(fact) {
            if let Some(cluster) = self.clusters.get_mut(index).filter(|c| !c.covers(fact.at, after_ns)) {
                cluster.facts.push(fact.clone());
                told = true;
            }
        }
        self.alone += usize::from(!told);
    }
}

/// The beginning of a session is of a connection behind one that is over, and of another one than what began a session
/// from another address.
fn is_of_the_next(cluster: &Cluster, fact: &Fact, keys: &Keys) -> bool {
    let elsewhere = !cluster.may_be_address(keys) && cluster.was_logged_on();
    match fact.what {
        ref what if role::begins_a_session(what) => elsewhere || cluster.is_over(fact.at),
        What::LogonSucceeded { logon_type: 7 | 10, .. } | What::UserAuthenticated {} => {
            cluster.is_over(fact.at)
        }
        _ => false,
    }
}

/// By session, the moments at which someone came to it: at the computer itself, or by Remote Desktop. `facts` are in order.
fn at_the_computer(facts: &[Fact]) -> BTreeMap<u32, Vec<(UnixNanos, bool)>> {
    let mut told: BTreeMap<u32, Vec<(UnixNanos, bool)>> = BTreeMap::new();
    for fact in facts {
        let session = fact.subject.keys().and_then(|keys| keys.session_id);
        if let (
            Some(session),
            What::SessionLogon { local }
            | What::ShellStarted { local }
            | What::SessionReconnected { local, .. },
        ) = (session, &fact.what)
        {
            told.entry(session).or_default().push((fact.at, *local));
        }
    }
    told
}

/// A session at the computer itself is no Remote Desktop.
fn is_at_the_computer(what: &What) -> bool {
    match what {
        What::SessionLogon { local }
        | What::ShellStarted { local }
        | What::SessionDisconnected { local, .. }
        | What::SessionReconnected { local, .. } => *local,
        _ => false,
    }
}
