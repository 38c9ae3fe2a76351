//! What goes past beside an RDP connection and may explain it: what its two ends ask other hosts (names, Kerberos
//! tickets, domain controllers), and who answers ARP for them. Kept within limits, and given to each connection.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::flow::{Flow, Sighting};
use super::link::{Datagram, Segment};
use super::stream::Stream;
use crate::time::UnixNanos;

/// How long before a connection's first packet an exchange still belongs to it: a name is looked up and a ticket asked
/// for right before.
const BEFORE_NS: i64 = 10_000_000_000;
/// How long after it: a client that looks for a domain controller in vain gives up within two minutes.
const AFTER_NS: i64 = 180_000_000_000;
/// Exchanges held of one host with one service, and given of them to one connection.
const HELD_OF_ONE: usize = 64;
/// Exchanges held in all; beyond, the oldest are let go.
const HELD_MAX: usize = 32_768;
/// Bytes of messages held in all.
const HELD_BYTES_MAX: usize = 32 << 20;
/// What is left of either when the oldest are let go: so much less that this seldom happens.
const LEFT_MAX: usize = HELD_MAX / 4 * 3;
const LEFT_BYTES_MAX: usize = HELD_BYTES_MAX / 4 * 3;
/// How long it is remembered that exchanges of a host were let go, and of how many hosts and services.
const OLD_NS: i64 = 300_000_000_000;
const EMPTY_MAX: usize = 8_192;
/// Datagrams kept of each side of an exchange, and bytes of each.
const DATAGRAMS_MAX: usize = 8;
const DATAGRAM_BYTES_MAX: usize = 2_048;
/// Bytes kept of each side of a TCP connection: tickets of users in many groups have tens of KiB, what refuses them has
/// some hundred bytes.
const STREAM_BYTES_MAX: u64 = 16 * 1024;
/// Addresses whose ARP is followed, and answers kept of each.
const ADDRESSES_MAX: usize = 16_384;
const ADDRESSES_LEFT_MAX: usize = ADDRESSES_MAX / 4 * 3;
const CLAIMS_MAX: usize = 16;

/// A service that RDP connections depend on, by its port (IANA).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Service {
    /// DNS.
    Names,
    /// Link-local multicast name resolution (RFC 4795) and multicast DNS (RFC 6762).
    LocalNames,
    /// Kerberos.
    Kerberos,
    /// Change of a password by Kerberos.
    PasswordChange,
    /// LDAP.
    Ldap,
    /// LDAP in TLS.
    Ldaps,
    /// LDAP of the global catalogue.
    GlobalCatalog,
    /// The endpoint mapper of RPC, by which Netlogon is found.
    EndpointMapper,
    /// SMB.
    Smb,
}

impl Service {
    /// Every service.
    pub const ALL: [Self; 9] = [
        Self::Names,
        Self::LocalNames,
        Self::Kerberos,
        Self::PasswordChange,
        Self::Ldap,
        Self::Ldaps,
        Self::GlobalCatalog,
        Self::EndpointMapper,
        Self::Smb,
    ];

    /// The service of a port.
    #[must_use]
    pub const fn of(port: u16) -> Option<Self> {
        Some(match port {
            53 => Self::Names,
            5353 | 5355 => Self::LocalNames,
            88 => Self::Kerberos,
            464 => Self::PasswordChange,
            389 => Self::Ldap,
            636 => Self::Ldaps,
            3268 => Self::GlobalCatalog,
            135 => Self::EndpointMapper,
            445 => Self::Smb,
            _ => return None,
        })
    }

    /// The name of its port in the registry.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Names => "domain",
            Self::LocalNames => "llmnr",
            Self::Kerberos => "kerberos",
            Self::PasswordChange => "kpasswd",
            Self::Ldap => "ldap",
            Self::Ldaps => "ldaps",
            Self::GlobalCatalog => "msft-gc",
            Self::EndpointMapper => "epmap",
            Self::Smb => "microsoft-ds",
        }
    }

    /// Its messages are read, not only whether it answers.
    const fn is_read(self) -> bool {
        matches!(self, Self::Names | Self::LocalNames | Self::Kerberos)
    }
}

/// Over what an exchange went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// A TCP connection.
    Tcp,
    /// UDP datagrams between the same two ends.
    Udp,
}

/// What one side of an exchange said.
#[derive(Debug, Clone, Default)]
pub struct Said {
    /// Datagrams, the first ones.
    pub datagrams: Vec<(Sighting, Box<[u8]>)>,
    /// The beginning of a TCP stream.
    pub stream: Stream,
    /// Sequence number of the stream's first byte.
    start: Option<u32>,
    /// A limit cut it.
    cut: bool,
}

impl Said {
    fn hold(&mut self, seen: Sighting, bytes: &[u8]) -> usize {
        let kept = bytes.get(..DATAGRAM_BYTES_MAX).unwrap_or(bytes);
        let room = self.datagrams.len() < DATAGRAMS_MAX;
        self.cut |= !room || kept.len() < bytes.len();
        if room {
            self.datagrams.push((seen, kept.into()));
        }
        if room { kept.len() } else { 0 }
    }

    fn take(&mut self, segment: &Segment<'_>, seen: Sighting) -> usize {
        let sequence = segment.tcp.sequence_number();
        let start = *self.start.get_or_insert(sequence);
        let offset = i64::from(sequence.wrapping_sub(start).cast_signed());
        let Ok(offset) = u64::try_from(offset) else { return 0 };
        if offset.saturating_add(u64::from(segment.length)) > STREAM_BYTES_MAX {
            self.cut = true;
            return 0;
        }
        let before = self.stream.held();
        self.stream.push(offset, segment.payload, u64::from(segment.length), seen);
        self.stream.held().saturating_sub(before)
    }

    fn held(&self) -> usize {
        self.stream.held().saturating_add(self.datagrams.iter().map(|(_, bytes)| bytes.len()).sum())
    }
}

/// What one host asked another: a TCP connection, or datagrams between the same ends.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// Of which service.
    pub service: Service,
    /// Over what.
    pub transport: Transport,
    /// Who asks.
    pub asker: SocketAddr,
    /// Who is asked.
    pub server: SocketAddr,
    /// First packet of the asker.
    pub first: Sighting,
    /// Last packet of the asker that asks: SYN or datagram.
    pub last: Sighting,
    /// SYNs or datagrams of the asker.
    pub tries: u32,
    /// First packet of the server that is no reset.
    pub answered: Option<Sighting>,
    /// A reset of the server in answer to the SYN.
    pub refused: Option<Sighting>,
    /// What the asker said.
    pub asked: Said,
    /// What the server said.
    pub answers: Said,
}

/// An ARP packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arp {
    /// When and where.
    pub seen: Sighting,
    /// It is an answer.
    pub answers: bool,
    /// Address of the sender.
    pub sender: Ipv4Addr,
    /// Address that is asked for, or that of the asker.
    pub target: Ipv4Addr,
    /// Link address of the sender.
    pub mac: [u8; 6],
}

/// What ARP tells of one address.
#[derive(Debug, Clone, Default)]
pub struct Resolution {
    /// The address.
    pub address: Option<Ipv4Addr>,
    /// Requests for it since the last answer: who asked, the first, the last, and how many.
    pub unanswered: Option<(Ipv4Addr, Sighting, Sighting, u32)>,
    /// Answers: link address, to whom, when; of answers that repeat the one before only the first.
    pub claims: VecDeque<([u8; 6], Ipv4Addr, Sighting)>,
    last: Option<Sighting>,
}

/// What was kept beside a connection.
#[derive(Debug, Clone, Default)]
pub struct Beside {
    /// What its ends asked others, by service and then by time.
    pub exchanges: Vec<Arc<Exchange>>,
    /// ARP for its server and its client, as far as they speak IPv4.
    pub resolutions: Vec<Resolution>,
    /// The limits cut what may have belonged to it.
    pub cut: bool,
}

/// Exchanges of one host with one service.
#[derive(Debug, Default)]
struct Shelf {
    /// INVARIANT: in the order of their first packets.
    held: VecDeque<Arc<Exchange>>,
    /// First packet of the latest exchange that the limits took.
    let_go: Option<UnixNanos>,
}

/// Everything held, oldest first for each host and service.
#[derive(Debug, Default)]
pub struct Neighbours {
    shelves: HashMap<(IpAddr, Service), Shelf, FixedState>,
    exchanges: usize,
    bytes: usize,
    resolutions: HashMap<Ipv4Addr, Resolution, FixedState>,
}

/// Answers of multicast DNS go to everybody: they are kept for all hosts under this address.
const EVERYBODY: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
const MULTICAST_DNS_PORT: u16 = 5353;

impl Neighbours {
    /// Takes a TCP segment of any connection.
    pub fn segment(&mut self, segment: &Segment<'_>, seen: Sighting) {
        let (to, from) = (Service::of(segment.to.port()), Service::of(segment.from.port()));
        if to.is_none() && from.is_none() {
            return;
        }
        let opens = segment.tcp.syn() && !segment.tcp.ack();
        let by_asker = if segment.tcp.syn() { opens } else { to.is_some() };
        let Some(service) = (if by_asker { to } else { from }) else { return };
        let says = service.is_read() && !segment.payload.is_empty();
        if !says && !segment.tcp.syn() && !segment.tcp.rst() {
            return;
        }
        let ends = if by_asker { (segment.from, segment.to) } else { (segment.to, segment.from) };
        match self.find((service, Transport::Tcp), ends, opens.then_some(segment)) {
            Some(exchange) => {
                let bytes = exchange.segment(by_asker, segment, seen);
                self.count(bytes, seen.at);
            }
            None if by_asker && !segment.tcp.rst() => {
                let mut exchange = Exchange::new((service, Transport::Tcp), ends, seen);
                let bytes = exchange.segment(true, segment, seen);
                self.add(exchange, bytes, seen.at);
            }
            None => {}
        }
    }

    /// Takes a UDP datagram.
    pub fn datagram(&mut self, datagram: &Datagram<'_>, seen: Sighting) {
        let (to, from) = (Service::of(datagram.to.port()), Service::of(datagram.from.port()));
        if to.is_none() && from.is_none() {
            return;
        }
        let answers = datagram.payload.get(2).is_some_and(|flags| flags & 0x80 != 0);
        // Servers that ask each other use the port on both ends; the flag in the header tells DNS apart.
        let by_asker = if to.is_some() && from.is_some() { !answers } else { to.is_some() };
        let Some(service) = (if by_asker { to } else { from }) else { return };
        let mut ends = if by_asker { (datagram.from, datagram.to) } else { (datagram.to, datagram.from) };
        if datagram.from.port() == MULTICAST_DNS_PORT {
            if !answers {
                return;
            }
            ends.0 = SocketAddr::new(EVERYBODY, MULTICAST_DNS_PORT);
        }
        if !service.is_read() {
            return;
        }
        let kind = (service, Transport::Udp);
        if let Some(exchange) = self.find(kind, ends, None) {
            let bytes = exchange.datagram(by_asker, datagram, seen);
            self.count(bytes, seen.at);
        } else {
            let mut exchange = Exchange::new(kind, ends, seen);
            let bytes = exchange.datagram(by_asker, datagram, seen);
            self.add(exchange, bytes, seen.at);
        }
    }

    /// Takes an ARP packet.
    pub fn arp(&mut self, arp: Arp) {
        // A probe asks in nobody's name (RFC 5227 1.1).
        if arp.answers {
            self.resolution(arp.sender, arp.seen).claim(&arp);
        } else if arp.sender != arp.target && !arp.sender.is_unspecified() {
            self.resolution(arp.target, arp.seen).ask(&arp);
        }
    }

    fn resolution(&mut self, address: Ipv4Addr, seen: Sighting) -> &mut Resolution {
        if self.resolutions.len() >= ADDRESSES_MAX && !self.resolutions.contains_key(&address) {
            let mut ages: Vec<_> =
                self.resolutions.iter().map(|(address, one)| (one.last, *address)).collect();
            ages.sort_unstable();
            let beyond = ages.len().saturating_sub(ADDRESSES_LEFT_MAX);
            for (_, oldest) in ages.iter().take(beyond) {
                self.resolutions.remove(oldest);
            }
        }
        let one = self.resolutions.entry(address).or_default();
        one.address = Some(address);
        one.last = Some(seen);
        one
    }

    /// The newest exchange of that kind between these ends. A SYN with another sequence number begins another one.
    fn find(
        &mut self,
        (service, transport): (Service, Transport),
        (asker, server): (SocketAddr, SocketAddr),
        opening: Option<&Segment<'_>>,
    ) -> Option<&mut Exchange> {
        let shelf = self.shelves.get_mut(&(asker.ip(), service))?;
        let same = |one: &&mut Arc<Exchange>| {
            let to =
                one.server == server || (service == Service::LocalNames && one.server.ip().is_multicast());
            one.asker == asker && to && one.transport == transport
        };
        let found = shelf.held.iter_mut().rev().find(same)?;
        let begins_another = opening.is_some_and(|segment| {
            let next = segment.tcp.sequence_number().wrapping_add(1);
            found.asked.start.is_some_and(|start| start != next)
        });
        (!begins_another).then(|| Arc::make_mut(found))
    }

    /// Adds an exchange of which so many bytes are held.
    fn add(&mut self, exchange: Exchange, bytes: usize, now: UnixNanos) {
        let shelf = self.shelves.entry((exchange.asker.ip(), exchange.service)).or_default();
        if shelf.held.len() == HELD_OF_ONE
            && let Some(oldest) = shelf.held.pop_front()
        {
            shelf.let_go = shelf.let_go.max(Some(oldest.first.at));
            self.exchanges = self.exchanges.saturating_sub(1);
            self.bytes = self.bytes.saturating_sub(oldest.held());
        }
        shelf.held.push_back(Arc::new(exchange));
        self.exchanges += 1;
        self.count(bytes, now);
    }

    fn count(&mut self, bytes: usize, now: UnixNanos) {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.exchanges > HELD_MAX || self.bytes > HELD_BYTES_MAX {
            self.let_go();
            self.forget_empty(now);
        }
    }

    /// Lets the exchanges go that were last asked longest ago, whatever their times, in one pass.
    fn let_go(&mut self) {
        // Every packet belongs to one exchange: no two have the same last one.
        let all = self.shelves.values().flat_map(|shelf| &shelf.held);
        let mut newest: Vec<_> = all.map(|one| (one.last, one.held())).collect();
        newest.sort_unstable_by_key(|(last, _)| Reverse(*last));
        let (mut exchanges, mut bytes, mut oldest_left) = (0_usize, 0_usize, None);
        for (last, held) in newest {
            let next = bytes.saturating_add(held);
            if exchanges == LEFT_MAX || next > LEFT_BYTES_MAX {
                break;
            }
            exchanges += 1;
            (bytes, oldest_left) = (next, Some(last));
        }
        for shelf in self.shelves.values_mut() {
            let let_go = &mut shelf.let_go;
            shelf.held.retain(|one| {
                let stays = oldest_left.is_some_and(|oldest| one.last >= oldest);
                if !stays {
                    *let_go = (*let_go).max(Some(one.first.at));
                }
                stays
            });
        }
        (self.exchanges, self.bytes) = (exchanges, bytes);
    }

    /// Forgets hosts and services of which nothing is left, as far as what they lost is old or too much to remember.
    fn forget_empty(&mut self, now: UnixNanos) {
        self.shelves.retain(|_, shelf| {
            !shelf.held.is_empty() || shelf.let_go.is_some_and(|at| now.since(at) < OLD_NS)
        });
        let empty = self.shelves.iter().filter(|(_, shelf)| shelf.held.is_empty());
        let mut ages: Vec<_> = empty.map(|(key, shelf)| (shelf.let_go, *key)).collect();
        ages.sort_unstable();
        let beyond = ages.len().saturating_sub(EMPTY_MAX);
        for (_, key) in ages.iter().take(beyond) {
            self.shelves.remove(key);
        }
    }

    /// What belongs to a connection that is over: what its ends asked from shortly before its first packet to its last.
    #[must_use]
    pub fn of(&self, flow: &Flow) -> Beside {
        let mut beside = Beside::default();
        let (from, to) = (flow.first.at.plus(-BEFORE_NS), flow.last.at.min(flow.first.at.plus(AFTER_NS)));
        let everybody = (EVERYBODY, Service::LocalNames);
        let asked = |ip: IpAddr| Service::ALL.into_iter().map(move |service| (ip, service));
        let keys = asked(flow.client.ip()).chain(asked(flow.server.ip())).chain([everybody]);
        for shelf in keys.filter_map(|key| self.shelves.get(&key)) {
            beside.cut |= shelf.let_go.is_some_and(|at| from <= at && at <= to);
            let belongs = |one: &&Arc<Exchange>| from <= one.last.at && one.first.at <= to;
            for one in shelf.held.iter().filter(belongs) {
                beside.cut |= one.asked.cut || one.answers.cut;
                beside.exchanges.push(Arc::clone(one));
            }
        }
        let ends = [flow.server.ip(), flow.client.ip()];
        beside.resolutions = ends
            .into_iter()
            .filter_map(|end| match end {
                IpAddr::V4(v4) => self.resolutions.get(&v4).cloned(),
                IpAddr::V6(_) => None,
            })
            .collect();
        beside
    }
}

impl Exchange {
    fn new(kind: (Service, Transport), ends: (SocketAddr, SocketAddr), seen: Sighting) -> Self {
        Self {
            service: kind.0,
            transport: kind.1,
            asker: ends.0,
            server: ends.1,
            first: seen,
            last: seen,
            tries: 0,
            answered: None,
            refused: None,
            asked: Said::default(),
            answers: Said::default(),
        }
    }

    /// Takes a segment and says how many bytes of it are held.
    fn segment(&mut self, by_asker: bool, segment: &Segment<'_>, seen: Sighting) -> usize {
        let tcp = &segment.tcp;
        if tcp.rst() {
            if !by_asker && self.answered.is_none() {
                self.refused.get_or_insert(seen);
            }
            return 0;
        }
        if by_asker && (tcp.syn() || self.tries == 0) {
            self.tries = self.tries.saturating_add(1);
            self.last = seen;
        } else if !by_asker {
            self.answered.get_or_insert(seen);
        }
        let said = if by_asker { &mut self.asked } else { &mut self.answers };
        if tcp.syn() {
            said.start.get_or_insert(tcp.sequence_number().wrapping_add(1));
        }
        if segment.payload.is_empty() || !self.service.is_read() { 0 } else { said.take(segment, seen) }
    }

    /// Takes a datagram and says how many bytes of it are held.
    fn datagram(&mut self, by_asker: bool, datagram: &Datagram<'_>, seen: Sighting) -> usize {
        if by_asker {
            self.tries = self.tries.saturating_add(1);
            self.last = seen;
            self.asked.hold(seen, datagram.payload)
        } else {
            self.answered.get_or_insert(seen);
            self.answers.hold(seen, datagram.payload)
        }
    }

    fn held(&self) -> usize {
        self.asked.held().saturating_add(self.answers.held())
    }
}

impl Resolution {
    fn ask(&mut self, arp: &Arp) {
        self.unanswered = Some(match self.unanswered {
            Some((asker, first, _, tries)) => (asker, first, arp.seen, tries.saturating_add(1)),
            None => (arp.sender, arp.seen, arp.seen, 1),
        });
    }

    fn claim(&mut self, arp: &Arp) {
        self.unanswered = None;
        let repeats = self.claims.back().is_some_and(|(mac, to, _)| (*mac, *to) == (arp.mac, arp.target));
        if repeats {
            return;
        }
        if self.claims.len() == CLAIMS_MAX {
            self.claims.pop_front();
        }
        self.claims.push_back((arp.mac, arp.target, arp.seen));
    }
}
