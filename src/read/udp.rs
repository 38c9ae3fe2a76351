//! UDP transports of RDP as one capture point saw them: a datagram that is a SYN of MS-RDPEUDP in every field opens one, on
//! whatever port; all other UDP costs a look at a few bytes.

use std::net::SocketAddr;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::flow::{Sighting, UnreachableSeen};
use super::link::Datagram;
use crate::fact::Side;
use crate::note::Note;
use crate::time::UnixNanos;
use crate::wire::rdpudp::{self, Syn, UdpVersion};

/// Transports kept of one source.
const OPEN_MAX: usize = 8_192;
/// Datagrams with data that are kept of one direction: a TLS handshake with certificates takes about 20.
const KEPT_MAX: usize = 64;
/// Bytes kept of all transports of one source.
const BYTES_MAX: usize = 32 * 1024 * 1024;
/// ICMP errors kept of one transport.
const UNREACHABLE_MAX: usize = 4;
/// A copy of a SYN that comes sooner is the same packet captured twice.
const DUPLICATE_NS: i64 = 3_000_000;

/// A datagram with data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// When and where.
    pub seen: Sighting,
    /// UDP payload bytes that were captured.
    pub bytes: Box<[u8]>,
    /// UDP payload bytes on the wire.
    pub length: u32,
}

/// One direction.
#[derive(Debug, Clone, Default)]
pub struct UdpHalf {
    /// Datagrams behind the SYN.
    pub datagrams: u64,
    /// UDP payload bytes of those with data.
    pub data_bytes: u64,
    /// The first datagrams with data, within a limit.
    pub kept: Vec<Kept>,
    /// The first FIN.
    pub fin: Option<Sighting>,
    /// The last datagram.
    pub last: Option<Sighting>,
    /// Datagrams of this side since the other was last heard, with the first of them.
    pub unheard: Option<(u32, Sighting)>,
}

/// A UDP transport.
#[derive(Debug, Clone)]
pub struct UdpFlow {
    /// The end that sent the SYN.
    pub client: SocketAddr,
    /// The end that it was sent to.
    pub server: SocketAddr,
    /// What the SYN says.
    pub syn: Syn,
    /// The first and the last sending of the SYN, and how often it was sent.
    pub asked: (Sighting, Sighting, u32),
    /// The answer, and when it came first.
    pub answer: Option<(Syn, Sighting)>,
    /// The last datagram of either side.
    pub last: Sighting,
    /// Last packet of the capture, of any connection.
    pub capture_end: UnixNanos,
    /// What the client sent behind its SYN.
    pub from_client: UdpHalf,
    /// What the server sent behind its answer.
    pub from_server: UdpHalf,
    /// ICMP errors that quote it.
    pub unreachable: Vec<UnreachableSeen>,
}

impl UdpFlow {
    /// The version that both ends agreed on: what the answer names, else the first (MS-RDPEUDP 3.1.5.1.3).
    #[must_use]
    pub fn version(&self) -> Option<UdpVersion> {
        self.answer.as_ref().map(|(answer, _)| answer.version.unwrap_or(UdpVersion::V1))
    }

    /// One direction.
    #[must_use]
    pub fn half(&self, side: Side) -> &UdpHalf {
        match side {
            Side::Client => &self.from_client,
            Side::Server => &self.from_server,
        }
    }
}

/// The UDP transports of one source.
#[derive(Debug)]
pub(super) struct UdpTable {
    /// Client and server, in this order, to the latest transport between them.
    by_ends: HashMap<(SocketAddr, SocketAddr), usize, FixedState>,
    flows: Vec<UdpFlow>,
    bytes: usize,
    over_limit: u64,
    cut: u64,
}

impl Default for UdpTable {
    fn default() -> Self {
        let by_ends = HashMap::with_hasher(FixedState::default());
        Self { by_ends, flows: Vec::new(), bytes: 0, over_limit: 0, cut: 0 }
    }
}

impl UdpTable {
    /// Takes one datagram.
    pub(super) fn datagram(&mut self, datagram: &Datagram<'_>, seen: Sighting) {
        if let Ok(syn) = rdpudp::syn(datagram.payload, datagram.length) {
            return self.syn(datagram, syn, seen);
        }
        let Some((index, side)) = self.find(datagram.from, datagram.to) else { return };
        let room = BYTES_MAX.saturating_sub(self.bytes);
        let Some(flow) = self.flows.get_mut(index) else { return };
        match flow.take(datagram, side, seen, room) {
            Took::Kept(bytes) => self.bytes = self.bytes.saturating_add(bytes),
            Took::Cut => self.cut = self.cut.saturating_add(1),
            Took::Counted => {}
        }
    }

    fn find(&self, from: SocketAddr, to: SocketAddr) -> Option<(usize, Side)> {
        if self.by_ends.is_empty() {
            return None;
        }
        let client = || self.by_ends.get(&(from, to)).map(|index| (*index, Side::Client));
        client().or_else(|| self.by_ends.get(&(to, from)).map(|index| (*index, Side::Server)))
    }

    fn syn(&mut self, datagram: &Datagram<'_>, syn: Syn, seen: Sighting) {
        let known = self.find(datagram.from, datagram.to);
        let is_full = self.flows.len() >= OPEN_MAX;
        match known.and_then(|(index, side)| Some((self.flows.get_mut(index)?, side))) {
            Some((flow, Side::Server)) if syn.is_answer() => flow.answered(syn, seen),
            Some((flow, Side::Client)) if !syn.is_answer() && flow.syn.initial == syn.initial => {
                flow.asked_again(seen);
            }
            _ if syn.is_answer() => {}
            _ if is_full => self.over_limit = self.over_limit.saturating_add(1),
            _ => {
                self.by_ends.insert((datagram.from, datagram.to), self.flows.len());
                self.flows.push(UdpFlow::new(datagram, syn, seen));
            }
        }
    }

    /// Takes an ICMP error about a datagram from `from` to `to`.
    pub(super) fn unreachable(&mut self, from: SocketAddr, to: SocketAddr, error: UnreachableSeen) {
        let flow = self.by_ends.get(&(from, to)).and_then(|index| self.flows.get_mut(*index));
        let Some(flow) = flow else { return };
        let same =
            |e: &&mut UnreachableSeen| (e.from, e.kind, e.code) == (error.from, error.kind, error.code);
        if let Some(known) = flow.unreachable.iter_mut().find(same) {
            known.times = known.times.saturating_add(1);
        } else if flow.unreachable.len() < UNREACHABLE_MAX {
            flow.unreachable.push(error);
        }
    }

    /// All transports, in the order of their SYNs, and what the limits cut.
    pub(super) fn finish(mut self, input_index: u32, capture_end: UnixNanos) -> (Vec<UdpFlow>, Vec<Note>) {
        for flow in &mut self.flows {
            flow.capture_end = capture_end;
        }
        let mut notes = Vec::new();
        if self.over_limit > 0 {
            notes.push(Note::udp_over_limit(input_index, self.over_limit, OPEN_MAX));
        }
        if self.cut > 0 {
            notes.push(Note::udp_bytes_cut(input_index, self.cut));
        }
        (self.flows, notes)
    }
}

/// What became of a datagram.
enum Took {
    /// This many bytes were kept.
    Kept(usize),
    /// It was one of the first and there was no room.
    Cut,
    /// It was counted.
    Counted,
}

impl UdpFlow {
    fn new(datagram: &Datagram<'_>, syn: Syn, seen: Sighting) -> Self {
        Self {
            client: datagram.from,
            server: datagram.to,
            syn,
            asked: (seen, seen, 1),
            answer: None,
            last: seen,
            capture_end: seen.at,
            from_client: UdpHalf::default(),
            from_server: UdpHalf::default(),
            unreachable: Vec::new(),
        }
    }

    fn asked_again(&mut self, seen: Sighting) {
        let (first, last, tries) = self.asked;
        if seen.at.since(last.at) >= DUPLICATE_NS {
            self.asked = (first, seen, tries.saturating_add(1));
        }
        self.last = seen;
    }

    /// The answer names the number of the SYN; one that names another is of an older try.
    fn answered(&mut self, answer: Syn, seen: Sighting) {
        self.last = seen;
        if answer.source_ack == self.syn.initial && self.answer.is_none() {
            self.answer = Some((answer, seen));
        }
    }

    fn take(&mut self, datagram: &Datagram<'_>, side: Side, seen: Sighting, room: usize) -> Took {
        self.last = seen;
        let Some(version) = self.version() else { return Took::Counted };
        let (own, other) = match side {
            Side::Client => (&mut self.from_client, &mut self.from_server),
            Side::Server => (&mut self.from_server, &mut self.from_client),
        };
        other.unheard = None;
        own.datagrams = own.datagrams.saturating_add(1);
        own.last = Some(seen);
        own.unheard = Some(match own.unheard {
            Some((count, first)) => (count.saturating_add(1), first),
            None => (1, seen),
        });
        let Ok(glance) = rdpudp::glance(datagram.payload, version) else { return Took::Counted };
        if glance.fin {
            own.fin.get_or_insert(seen);
        }
        if !glance.data {
            return Took::Counted;
        }
        own.data_bytes = own.data_bytes.saturating_add(u64::from(datagram.length));
        match own.kept.len() < KEPT_MAX {
            true if datagram.payload.len() > room => Took::Cut,
            true => {
                own.kept.push(Kept { seen, bytes: datagram.payload.into(), length: datagram.length });
                Took::Kept(datagram.payload.len())
            }
            false => Took::Counted,
        }
    }
}
