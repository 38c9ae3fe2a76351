//! Facts into connections: who belongs together, by which clock, how far each came, and what a person tried.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::codes::ErrorInfo;
use crate::fact::{Connection, Fact, Reading, Recognised, What};
use crate::note::Place;
use crate::step::Step;
use crate::time::UnixNanos;
use crate::wire::negotiation::Protocols;

mod join;
mod segments;
mod udp;
mod clock;
mod logs;
mod names;
mod gather;
mod legs;
mod clients;
mod credssp;
mod progress;
mod attempt;
mod differs;
mod listened;
mod witnesses;

pub use attempt::Attempt;
pub use clock::{ClockOffset, ClockStep, Paired};
pub use differs::{Aspect, Compared, compared, last_successes};
pub use listened::{Listened, is_stack};
pub use logs::{Boots, FACTS_MAX, Role, Zone};
pub use names::{Directory, Names};
pub(crate) use progress::insists_on_nla;
pub use udp::UdpAlone;

pub use gather::is_same_user;

use gather::Gathered;
use logs::{Cluster, Told};

/// Who saw: a capture point or a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Witness {
    /// Name, taken from its first input.
    pub name: String,
    /// Its inputs.
    pub inputs: Vec<u32>,
    /// The computer, in lower case, when it is a host and not a capture point.
    pub host: Option<String>,
    /// What it could have seen.
    pub coverage: Coverage,
}

/// From when to when a witness looked, and what it may have missed: silence counts only inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Coverage {
    /// First and last thing it recorded.
    pub covers: Option<(UnixNanos, UnixNanos)>,
    /// Packets that it says it lost.
    pub dropped: u64,
    /// Packets cut by the snap length.
    pub cut: u64,
}

impl Coverage {
    /// Adds what one of the witness's inputs covers.
    pub fn add(&mut self, covers: Option<(UnixNanos, UnixNanos)>, dropped: u64, cut: u64) {
        self.dropped = self.dropped.saturating_add(dropped);
        self.cut = self.cut.saturating_add(cut);
        self.covers = match (self.covers, covers) {
            (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
            (a, b) => a.or(b),
        };
    }
}

/// How a connection ended, or did not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// The desktop was reached and not lost by a failure.
    Active,
    /// A step began and did not end, or an active session was lost.
    Broke,
    /// One side sent a reason.
    Refused,
    /// Never meant to log on.
    Probe,
    /// The user or client gave up without a failure.
    Closed,
    /// The evidence does not reach far enough.
    Unknown,
}

impl Outcome {
    /// The fixed name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Broke => "broke",
            Self::Refused => "refused",
            Self::Probe => "probe",
            Self::Closed => "closed",
            Self::Unknown => "unknown",
        }
    }

    /// Something failed.
    #[must_use]
    pub const fn is_failure(self) -> bool {
        matches!(self, Self::Broke | Self::Refused)
    }
}

/// Security of a connection, by what the negotiation chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// Standard RDP Security.
    Rdp,
    /// TLS.
    Tls,
    /// CredSSP.
    Nla,
    /// CredSSP with early authorization.
    NlaEx,
    /// RDSTLS.
    Rdstls,
    /// Microsoft Entra ID.
    Aad,
}

impl Security {
    /// The fixed name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rdp => "rdp",
            Self::Tls => "tls",
            Self::Nla => "nla",
            Self::NlaEx => "nla_ex",
            Self::Rdstls => "rdstls",
            Self::Aad => "aad",
        }
    }

    /// What a chosen protocol means.
    #[must_use]
    pub fn of(protocol: Protocols) -> Self {
        match protocol {
            p if p.contains(Protocols::RDSAAD) => Self::Aad,
            p if p.contains(Protocols::HYBRID_EX) => Self::NlaEx,
            p if p.contains(Protocols::HYBRID) => Self::Nla,
            p if p.contains(Protocols::RDSTLS) => Self::Rdstls,
            p if p.contains(Protocols::SSL) => Self::Tls,
            _ => Self::Rdp,
        }
    }
}

/// A fact on the reference clock.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// When, by the reference clock.
    pub at: UnixNanos,
    /// The fact, with its time by its own clock.
    pub fact: Fact,
}

impl Seen {
    /// Where to look it up.
    #[must_use]
    pub fn place(&self) -> Place {
        self.fact.place
    }

    /// What was seen.
    #[must_use]
    pub fn what(&self) -> &What {
        &self.fact.what
    }

    /// How it was read.
    #[must_use]
    pub fn reading(&self) -> Reading {
        self.fact.reading
    }
}

/// One connection, with everything that all witnesses say of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Session {
    /// Stable name: client, server and the client's initial sequence number.
    pub id: String,
    /// Names that this connection has at other witnesses.
    pub aliases: Vec<String>,
    /// The connection as each witness saw it, the first by place first.
    pub connections: Vec<Arc<Connection>>,
    /// INVARIANT: sorted by time on the reference clock, then by place.
    pub facts: Vec<Seen>,
    /// First and last fact, on the reference clock.
    pub start: UnixNanos,
    /// The end.
    pub end: UnixNanos,
    /// Last step passed.
    pub reached: Option<Step>,
    /// Step that failed.
    pub broke_at: Option<Step>,
    /// How it ended.
    pub outcome: Outcome,
    /// What the negotiation chose.
    pub security: Option<Security>,
    /// The hosts whose logs tell of it.
    pub hosts: Vec<HostPart>,
}

/// What the logs of one host add to a session.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostPart {
    /// Index of the witness.
    pub witness_index: u32,
    /// The part it plays.
    pub role: Role,
    /// Name of the computer.
    pub host: String,
    /// ActivityID of the connection there.
    pub activity: Option<String>,
    /// Address and port of the client, as far as it has them.
    pub client: Option<IpAddr>,
    /// Port of the client.
    pub port: Option<u16>,
    /// User.
    pub user: Option<String>,
    /// Domain of the user.
    pub domain: Option<String>,
    /// Name of the client's computer.
    pub workstation: Option<String>,
}

impl Session {
    /// The client's end, as its nearest witness saw it.
    #[must_use]
    pub fn client(&self) -> Option<SocketAddr> {
        let logged = || self.hosts.iter().find_map(|part| Some(SocketAddr::new(part.client?, part.port?)));
        self.connections.first().map(|connection| connection.client).or_else(logged)
    }

    /// The client's address, also where its port is not known.
    #[must_use]
    pub fn client_ip(&self) -> Option<IpAddr> {
        self.client().map(|end| end.ip()).or_else(|| self.hosts.iter().find_map(|part| part.client))
    }

    /// The server's end.
    #[must_use]
    pub fn server(&self) -> Option<SocketAddr> {
        self.connections.first().map(|connection| connection.server)
    }

    /// The client's name as it sent it.
    #[must_use]
    pub fn client_name(&self) -> Option<String> {
        self.facts.iter().find_map(|seen| match seen.what() {
            What::McsConnectInitial { client_name, .. } => client_name.clone(),
            _ => None,
        })
    }

    /// The server's name as the client asked for it, else as it looked it up: through an RD Gateway, that of the gateway.
    #[must_use]
    pub fn server_name(&self) -> Option<String> {
        let asked = self.facts.iter().find_map(|seen| match seen.what() {
            What::GatewayRequest { host, .. } => host.clone(),
            What::ClientHello { sni, .. } => sni.clone(),
            _ => None,
        });
        let looked_up = || {
            self.facts.iter().find_map(|seen| match seen.what() {
                What::NameResolved { name, .. } => Some(name.clone()),
                _ => None,
            })
        };
        asked.or_else(looked_up)
    }

    /// The host and port behind an RD Gateway that the client asked for, as a capture shows it.
    #[must_use]
    pub fn target(&self) -> Option<(&str, u32)> {
        self.facts.iter().find_map(|seen| match seen.what() {
            What::GatewayChannelAsked { target, port } => Some((target.as_str(), *port)),
            _ => None,
        })
    }

    /// The client's connection goes to an RD Gateway, as a capture shows.
    #[must_use]
    pub fn is_through_gateway(&self) -> bool {
        self.connections.iter().any(|connection| is_to_gateway(connection))
    }

    /// Of a session through an RD Gateway, the connections from there to the host that captures hold.
    pub fn to_host(&self) -> impl Iterator<Item = &Arc<Connection>> {
        let through = self.is_through_gateway();
        self.connections.iter().filter(move |connection| through && !is_to_gateway(connection))
    }

    /// The client's own connection, as each capture point saw it.
    pub fn of_client(&self) -> impl Iterator<Item = &Arc<Connection>> {
        let through = self.is_through_gateway();
        self.connections.iter().filter(move |connection| !through || is_to_gateway(connection))
    }

    /// The client whom a load balancer names that forwards the connection (PROXY protocol): its address, and its port.
    #[must_use]
    pub fn forwarded_for(&self) -> Option<(IpAddr, Option<u16>)> {
        self.facts.iter().find_map(|seen| match seen.what() {
            What::ProxiedFor { client: Some(client), port, .. } => {
                Some((*client, port.and_then(|port| u16::try_from(port).ok())))
            }
            _ => None,
        })
    }

    /// The client's address as far out as the evidence reaches.
    #[must_use]
    pub fn far_client_ip(&self) -> Option<IpAddr> {
        self.forwarded_for().map(|(address, _)| address).or_else(|| self.client_ip())
    }

    /// The client's connection goes to an RD Gateway, and ended before either said anything but TLS.
    #[must_use]
    pub fn is_outside_gateway(&self) -> bool {
        self.connections.iter().any(|connection| connection.recognised == Recognised::GatewayEndpoint)
    }

    /// The server as the user typed it at the client, without a port.
    #[must_use]
    pub fn typed_name(&self) -> Option<&str> {
        self.facts.iter().find_map(|seen| match seen.what() {
            What::ClientConnecting { name } => match name.split_once(':') {
                // More than one colon is an IPv6 address.
                Some((host, port)) if !port.contains(':') => Some(host),
                _ => Some(name.as_str()),
            },
            _ => None,
        })
    }

    /// The name of the host with this role, where its logs are there.
    #[must_use]
    pub fn host(&self, role: Role) -> Option<&str> {
        self.hosts.iter().find(|part| part.role == role).map(|part| part.host.as_str())
    }

    /// The user's name: of the logs, else as the client sent it, else of the cookie, which some clients cut to 9 characters.
    #[must_use]
    pub fn user_name(&self) -> Option<&str> {
        let logged = self.hosts.iter().find_map(|part| part.user.as_deref());
        logged.or_else(|| Some(self.user_named()?.0)).or_else(|| self.cookie())
    }

    /// The user's name is known from better than the cookie.
    #[must_use]
    pub fn is_user_whole(&self) -> bool {
        self.user_named().is_some() || self.hosts.iter().any(|part| part.user.is_some())
    }

    /// The user's domain.
    #[must_use]
    pub fn user_domain(&self) -> Option<&str> {
        self.hosts.iter().find_map(|part| part.domain.as_deref()).or_else(|| self.user_named()?.1)
    }

    /// Indices of all witnesses, each once.
    #[must_use]
    pub fn witnesses(&self) -> Vec<u32> {
        let captures = self.connections.iter().map(|connection| connection.witness_index);
        let mut all: Vec<u32> = captures.chain(self.hosts.iter().map(|part| part.witness_index)).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Its UDP transports as captures saw them, each once, in the order of their SYNs.
    #[must_use]
    pub fn udp(&self) -> Vec<&Arc<Connection>> {
        let mut transports: Vec<&Arc<Connection>> = Vec::new();
        for transport in self.facts.iter().filter_map(|seen| seen.fact.subject.udp()) {
            if !transports.contains(&transport) {
                transports.push(transport);
            }
        }
        transports
    }

    /// The first fact that `wanted` accepts.
    pub fn find(&self, wanted: impl Fn(&What) -> bool) -> Option<&Seen> {
        self.facts.iter().find(|seen| wanted(seen.what()))
    }

    /// The last fact that `wanted` accepts.
    pub fn find_last(&self, wanted: impl Fn(&What) -> bool) -> Option<&Seen> {
        self.facts.iter().rfind(|seen| wanted(seen.what()))
    }

    /// The user name of the cookie, which some clients cut to 9 characters.
    #[must_use]
    pub fn cookie(&self) -> Option<&str> {
        self.facts.iter().find_map(|seen| match seen.what() {
            What::ConnectionRequest { cookie, .. } => cookie.as_deref(),
            _ => None,
        })
    }

    /// User and domain that the client named where it could be read whole, in NTLM or Client Info.
    #[must_use]
    fn user_named(&self) -> Option<(&str, Option<&str>)> {
        self.facts.iter().find_map(|seen| match seen.what() {
            What::UserNamed { user: Some(user), domain, .. } => Some((user.as_str(), domain.as_deref())),
            _ => None,
        })
    }

    /// The last code of Set Error Info that says something, as it was sent or as the server logged that it sends it.
    #[must_use]
    pub fn error_info(&self) -> Option<ErrorInfo> {
        self.facts.iter().rev().find_map(|seen| match seen.what() {
            What::ErrorInfo { code } | What::ErrorInfoSet { code } => Some(*code).filter(|code| code.0 != 0),
            _ => None,
        })
    }

    /// Nanoseconds from start to end.
    #[must_use]
    pub fn lasted_ns(&self) -> i64 {
        self.end.since(self.start)
    }
}

fn is_to_gateway(connection: &Connection) -> bool {
    let gateway = [Recognised::Gateway, Recognised::GatewaySizes, Recognised::GatewayEndpoint];
    gateway.contains(&connection.recognised)
}

/// Everything joined.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Story {
    /// INVARIANT: sorted by start, then by id.
    pub sessions: Vec<Session>,
    /// What was tried: every session stands in exactly one attempt.
    pub attempts: Vec<Attempt>,
    /// Connections that are no sessions, as only the listener tells of them, by host.
    pub listened: Vec<Listened>,
    /// What was changed on the hosts, from logs: rights, rules, policies, updates; sorted by time.
    pub changes: Vec<Seen>,
    /// Zone and starts of each host whose log tells them, by name.
    pub boots: BTreeMap<String, Boots>,
    /// Servers of which RdpCoreTS tells of a connection.
    pub stacks: BTreeSet<String>,
    /// How far each witness's clock is off.
    pub clocks: Vec<ClockOffset>,
    /// From when to when each witness looked, on the reference clock, in the order of the witnesses.
    pub covers: Vec<Option<(UnixNanos, UnixNanos)>>,
    /// Names and addresses of the same hosts.
    pub names: Directory,
    /// Log records that belong to no connection.
    pub records_alone: usize,
    /// Log records of connections that have too many.
    pub records_cut: usize,
    /// UDP transports that belong to no connection.
    pub udp_alone: UdpAlone,
}

/// Joins facts into sessions and attempts. The order of `facts` does not matter.
#[must_use]
pub fn join(facts: Vec<Fact>, witnesses: &[Witness]) -> Story {
    let (datagrams, facts): (Vec<Fact>, Vec<Fact>) =
        facts.into_iter().partition(|fact| fact.subject.udp().is_some());
    let (packets, mut records): (Vec<Fact>, Vec<Fact>) =
        facts.into_iter().partition(|fact| fact.subject.connection().is_some());
    let boots = logs::boots(&records);
    records.retain(|fact| !matches!(fact.what, What::HostZone { .. }));
    let changes = logs::changes(&records, witnesses);
    let steps = clock::steps_logged(&logs::clock_changes(&records, witnesses));
    let mut groups = join::connections(packets);
    let udp_alone = udp::attach(&mut groups, datagrams);
    let Told { clusters, alone: mut records_alone, cut: records_cut } = logs::clusters(records, witnesses);
    let mut clocks = clock::offsets(&groups, witnesses);
    let names = Directory::of_groups(&groups);
    let told = clock::by_host((&groups, &clusters), witnesses, &clocks, &steps, &names);
    let measured = gather::Measured { steps: &steps, told: &told };
    let (gathered, others) = gather::servers(groups, clusters, &mut clocks, measured, &names);
    let is = |role: Role| move |cluster: &Cluster| cluster.role == role;
    let (gateways, others): (Vec<Cluster>, Vec<Cluster>) = others.into_iter().partition(is(Role::Gateway));
    let gathered = legs::join(gathered, &mut clocks);
    let gathered = legs::join_by_log(gathered, &gateways, &names, &clocks);
    let mut sessions: Vec<Session> =
        gathered.into_iter().map(|one| join::session(one, &clocks, witnesses)).collect();
    sort_and_judge(&mut sessions);
    records_alone += named(&mut sessions, gateways, &clocks);
    sort_and_judge(&mut sessions);
    let (clients, others): (Vec<Cluster>, Vec<Cluster>) = others.into_iter().partition(is(Role::Client));
    clients::attach(&mut sessions, clients, &mut clocks);
    sort_and_judge(&mut sessions);
    records_alone += named(&mut sessions, others, &clocks);
    let listened = listened::take(&mut sessions);
    sort_and_judge(&mut sessions);
    let mut attempts = attempt::group(&sessions);
    differs::compare(&sessions, &mut attempts);
    let changes = join::on_reference(changes, &clocks);
    let names = Directory::of_sessions(&sessions);
    let covers = clock::covers(witnesses, &clocks);
    let stacks = listened::stacks(&sessions);
    Story {
        sessions,
        attempts,
        listened,
        changes,
        boots,
        stacks,
        clocks,
        covers,
        names,
        records_alone,
        records_cut,
        udp_alone,
    }
}

/// Puts what gateways, brokers and domain controllers tell to the sessions that they speak of; what fits none is one of its
/// own, but for what a domain controller checked. Gives back how many records are left.
fn named(sessions: &mut Vec<Session>, clusters: Vec<Cluster>, clocks: &[ClockOffset]) -> usize {
    let mut alone = 0;
    for cluster in clusters {
        match gather::named(sessions, &cluster, clocks).and_then(|index| sessions.get_mut(index)) {
            Some(session) => join::add(session, cluster, clocks),
            // A domain controller checks for everything in its domain.
            None if cluster.role == Role::DomainController => alone += cluster.facts.len(),
            None => sessions.push(join::session(Gathered::of(cluster), clocks, &[])),
        }
    }
    alone
}

fn sort_and_judge(sessions: &mut [Session]) {
    sessions.sort_by(|a, b| (a.start, &a.id).cmp(&(b.start, &b.id)));
    for session in sessions {
        progress::judge(session);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fact::{Keys, Subject};

    #[test]
    fn of_a_connection_with_too_many_records_the_first_are_kept_and_the_rest_is_counted() {
        let keys = Keys { host: "rdsh01".to_owned(), activity: Some("A-1".to_owned()), ..Keys::default() };
        let fact = |index: i64| Fact {
            at: UnixNanos(index),
            place: Place::frame(0, 1),
            subject: Subject::Record(Arc::new(keys.clone())),
            reading: Reading::Clear,
            what: What::MethodCalled { method: index.to_string(), value: None, code: None },
        };
        let host = Witness {
            name: "rdsh01".to_owned(),
            inputs: vec![0],
            host: Some("rdsh01".to_owned()),
            coverage: Coverage::default(),
        };
        let story = join((0..2_100).map(fact).collect(), &[host]);
        let kept: Vec<usize> = story.sessions.iter().map(|session| session.facts.len()).collect();
        assert_eq!((kept, story.records_cut), (vec![FACTS_MAX], 100));
    }
}
