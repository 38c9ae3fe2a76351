//! All TCP connections of a capture at once: which are RDP, and their streams. A connection that is not RDP costs
//! nothing after its first bytes; everything here is decided in file order and bounded.

use std::net::SocketAddr;

use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashSet};

use super::flow::{Flow, Sighting, UnreachableSeen};
use super::link::{Datagram, Segment};
use super::neighbours::{Arp, Neighbours};
use super::udp::{UdpFlow, UdpTable};
use crate::fact::Recognised;
use crate::note::{Note, Place};
use crate::time::UnixNanos;
use crate::wire::keylog::KeyLog;
use crate::wire::{gateway, tpkt};

mod entry;

use entry::{Entry, State};

/// The port of RDP where nothing else is agreed (IANA `ms-wbt-server`).
pub const RDP_PORT: u16 = 3389;

/// Connections without a byte that are held while another connection may still prove their endpoint to be RDP.
const SILENT_MAX: usize = 50_000;
/// RDP connections open at one time.
const OPEN_MAX: usize = 50_000;
/// TLS connections open at one time that are held only because a key log has their secrets: that of a browser has those
/// of everything.
const SEALED_MAX: usize = 1_000;
/// TLS connections that are held at one time until their sizes tell what they are.
const UNDISCLOSED_MAX: usize = 1_000;
/// Where a gateway listens, where nothing was said yet.
const HTTPS_PORT: u16 = 443;
/// Markers of connections known not to be RDP.
const MARKERS_MAX: usize = 1_000_000;
/// Packets between two looks for connections that are over.
const SWEEP_EVERY: u64 = 16_384;
/// How long a closed connection is held for late packets: usually, and when many are open.
const LINGER_NS: i64 = 60_000_000_000;
const LINGER_CROWDED_NS: i64 = 2_000_000_000;
const CROWDED: usize = 5_000;

/// Both ends of a connection, the lower first; with its slot it fills one cache line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    low: u128,
    high: u128,
    ports: u32,
}

impl Key {
    fn of(a: SocketAddr, b: SocketAddr) -> Self {
        let (a, b) = (packed(a), packed(b));
        let (low, high) = if a <= b { (a, b) } else { (b, a) };
        let ports = (u32::from(low.1) << 16) | u32::from(high.1);
        Self { low: low.0, high: high.0, ports }
    }
}

fn packed(end: SocketAddr) -> (u128, u16) {
    let address = match end {
        SocketAddr::V4(v4) => v4.ip().to_ipv6_mapped().to_bits(),
        SocketAddr::V6(v6) => v6.ip().to_bits(),
    };
    (address, end.port())
}

#[derive(Debug, Clone, Copy)]
enum Slot {
    /// Known not to be RDP.
    Other,
    /// Index into the entries.
    Live(usize),
}

/// The connections of one source; flows go to `sink` when they are over.
pub struct FlowTable<'s> {
    slots: HashMap<Key, Slot, FixedState>,
    entries: Vec<Option<Box<Entry>>>,
    free: Vec<usize>,
    endpoints: HashSet<(u128, u16), FixedState>,
    neighbours: Neighbours,
    udp: UdpTable,
    silent: usize,
    live: usize,
    packets: u64,
    now: UnixNanos,
    let_go: u64,
    over_limit: u64,
    sealed_let_go: u64,
    undecided_let_go: u64,
    left_out: (u64, u64),
    /// Packets that stand in the capture more than once, and the first of them.
    copies: (u64, Option<Place>),
    keys: &'s KeyLog,
    sink: &'s mut dyn FnMut(Flow),
}

impl<'s> FlowTable<'s> {
    /// An empty table. TLS connections that `keys` has secrets for are flows too.
    pub fn new(keys: &'s KeyLog, sink: &'s mut dyn FnMut(Flow)) -> Self {
        Self {
            slots: HashMap::with_hasher(FixedState::default()),
            entries: Vec::new(),
            free: Vec::new(),
            endpoints: HashSet::with_hasher(FixedState::default()),
            neighbours: Neighbours::default(),
            udp: UdpTable::default(),
            silent: 0,
            live: 0,
            packets: 0,
            now: UnixNanos(i64::MIN),
            let_go: 0,
            over_limit: 0,
            sealed_let_go: 0,
            undecided_let_go: 0,
            left_out: (0, 0),
            copies: (0, None),
            keys,
            sink,
        }
    }

    /// Takes one TCP segment.
    pub fn segment(&mut self, segment: &Segment<'_>, seen: Sighting) {
        self.tick(seen.at);
        self.neighbours.segment(segment, seen);
        let key = Key::of(segment.from, segment.to);
        let opens = segment.tcp.syn() && !segment.tcp.ack();
        let index = match self.slots.get(&key).copied() {
            Some(Slot::Other) if !opens => return,
            Some(Slot::Live(index)) if !(opens && self.is_reused(index, segment)) => index,
            Some(Slot::Live(index)) => {
                self.close(index);
                self.open(key, segment, seen)
            }
            Some(Slot::Other) => self.open(key, segment, seen),
            None if is_worth_opening(segment) => self.open(key, segment, seen),
            None => return,
        };
        self.feed(index, segment, seen);
    }

    fn is_reused(&self, index: usize, segment: &Segment<'_>) -> bool {
        let entry = self.entries.get(index).and_then(Option::as_ref);
        entry.is_some_and(|entry| entry.is_reused_by(segment))
    }

    fn open(&mut self, key: Key, segment: &Segment<'_>, seen: Sighting) -> usize {
        self.live += 1;
        self.silent += 1;
        let entry = Some(Box::new(Entry::new(segment, seen)));
        let index = match self.free.pop() {
            Some(index) => {
                if let Some(slot) = self.entries.get_mut(index) {
                    *slot = entry;
                }
                index
            }
            None => {
                self.entries.push(entry);
                self.entries.len() - 1
            }
        };
        self.slots.insert(key, Slot::Live(index));
        index
    }

    fn feed(&mut self, index: usize, segment: &Segment<'_>, seen: Sighting) {
        let Some(entry) = self.entries.get_mut(index).and_then(Option::as_mut) else { return };
        let was_silent = entry.is_silent();
        let was_proven = entry.is_proven();
        let state = entry.take(segment, seen, self.keys);
        if entry.is_proven() && !was_proven && !entry.is_through_proxy() {
            self.endpoints.insert(packed(entry.oriented().1));
        }
        if was_silent && !entry.is_silent() {
            self.silent = self.silent.saturating_sub(1);
        }
        if state == State::Other {
            self.forget(index);
        }
    }

    /// Takes one UDP datagram.
    pub fn datagram(&mut self, datagram: &Datagram<'_>, seen: Sighting) {
        self.tick(seen.at);
        self.neighbours.datagram(datagram, seen);
        self.udp.datagram(datagram, seen);
    }

    /// Takes one ARP packet.
    pub fn arp(&mut self, arp: Arp) {
        self.tick(arp.seen.at);
        self.neighbours.arp(arp);
    }

    /// Takes an ICMP error about a TCP or UDP packet from the first to the second of `ends`.
    pub fn unreachable(&mut self, ends: (SocketAddr, SocketAddr), udp: bool, error: UnreachableSeen) {
        self.tick(error.seen.at);
        let (from, to) = ends;
        if udp {
            self.udp.unreachable(from, to, error);
        } else if let Some(Slot::Live(index)) = self.slots.get(&Key::of(from, to)).copied()
            && let Some(entry) = self.entries.get_mut(index).and_then(Option::as_mut)
        {
            entry.unreachable(error);
        }
    }

    /// Lets a connection go that is not RDP, leaving a marker.
    fn forget(&mut self, index: usize) {
        let Some(entry) = self.remove(index) else { return };
        if self.slots.len() > MARKERS_MAX {
            self.slots.retain(|_, slot| matches!(slot, Slot::Live(_)));
        }
        self.slots.insert(Key::of(entry.ends.0, entry.ends.1), Slot::Other);
    }

    fn remove(&mut self, index: usize) -> Option<Box<Entry>> {
        let entry = self.entries.get_mut(index)?.take()?;
        self.free.push(index);
        self.live = self.live.saturating_sub(1);
        if entry.is_silent() {
            self.silent = self.silent.saturating_sub(1);
        }
        self.slots.remove(&Key::of(entry.ends.0, entry.ends.1));
        Some(entry)
    }

    /// Ends a connection and hands it on when it is RDP.
    fn close(&mut self, index: usize) {
        let Some(entry) = self.remove(index) else { return };
        let Some(recognised) = self.recognise(&entry) else { return };
        let (copies, first_copy) = entry.copies();
        self.copies = (self.copies.0.saturating_add(copies), self.copies.1.or(first_copy));
        let mut flow = entry.into_flow(recognised, self.now);
        if recognised != Recognised::GatewayEndpoint {
            flow.neighbours = self.neighbours.of(&flow);
        }
        let counts = !matches!(recognised, Recognised::Secrets | Recognised::GatewayEndpoint);
        for half in [&flow.from_client, &flow.from_server] {
            if half.stream.left_out() > 0 && counts {
                self.left_out = (self.left_out.0 + 1, self.left_out.1 + half.stream.left_out());
            }
        }
        (self.sink)(flow);
    }

    fn recognise(&self, entry: &Entry) -> Option<Recognised> {
        let (_, server) = entry.oriented();
        if entry.is_proven() {
            Some(Recognised::FirstBytes)
        } else if entry.is_gateway() {
            Some(Recognised::Gateway)
        } else if entry.is_sealed() {
            Some(Recognised::Secrets)
        } else if entry.is_sized() || entry.is_refused() {
            Some(Recognised::GatewaySizes)
        } else if entry.is_undisclosed() {
            entry.is_in_handshake().then_some(Recognised::GatewayEndpoint)
        } else if self.endpoints.contains(&packed(server)) {
            Some(Recognised::NamedEndpoint)
        } else if server.port() == RDP_PORT || entry.asks_for_rdp() {
            Some(Recognised::Port)
        } else {
            (entry.is_silent() && server.port() == HTTPS_PORT).then_some(Recognised::GatewayEndpoint)
        }
    }

    fn tick(&mut self, at: UnixNanos) {
        self.now = self.now.max(at);
        self.packets += 1;
        if self.packets.is_multiple_of(SWEEP_EVERY) {
            self.sweep();
        }
    }

    /// Hands on what is over and keeps the table within its limits.
    fn sweep(&mut self) {
        let linger = if self.live > CROWDED { LINGER_CROWDED_NS } else { LINGER_NS };
        for index in 0..self.entries.len() {
            let Some(entry) = self.entries.get(index).and_then(Option::as_ref) else { continue };
            if !entry.is_silent() && entry.is_closed() && self.now.since(entry.last.at) > linger {
                self.close(index);
            }
        }
        self.limit(SILENT_MAX, |table| table.silent, |entry| entry.is_silent() && !entry.is_on_rdp_port());
        self.limit(SEALED_MAX, Self::sealed, Entry::is_sealed);
        self.limit(UNDISCLOSED_MAX, Self::undisclosed, Entry::is_undisclosed);
        self.limit(OPEN_MAX, |table| table.live, |_| true);
    }

    fn sealed(&self) -> usize {
        self.entries.iter().flatten().filter(|entry| entry.is_sealed()).count()
    }

    fn undisclosed(&self) -> usize {
        self.entries.iter().flatten().filter(|entry| entry.is_undisclosed()).count()
    }

    /// Lets the connections go that were idle longest, down to nine tenths of the limit.
    fn limit(&mut self, most: usize, count: fn(&Self) -> usize, may_go: fn(&Entry) -> bool) {
        if count(self) <= most {
            return;
        }
        let mut idle: Vec<(UnixNanos, usize)> = (0..)
            .zip(&self.entries)
            .filter_map(|(index, entry)| entry.as_ref().filter(|e| may_go(e)).map(|e| (e.last.at, index)))
            .collect();
        idle.sort_unstable();
        let surplus = count(self).saturating_sub(most / 10 * 9);
        for (_, index) in idle.into_iter().take(surplus) {
            match self.remove(index) {
                Some(entry) if entry.is_silent() => self.let_go += 1,
                Some(entry) if entry.is_sealed() => self.sealed_let_go += 1,
                Some(entry) if entry.is_undisclosed() => self.undecided_let_go += 1,
                Some(_) => self.over_limit += 1,
                None => {}
            }
        }
    }

    /// Ends all connections, in the order of their first packets, hands the UDP transports on, and says what the limits cut.
    pub fn finish(mut self, input_index: u32) -> (Vec<UdpFlow>, Vec<Note>) {
        let mut rest: Vec<(Sighting, usize)> =
            (0..).zip(&self.entries).filter_map(|(i, entry)| entry.as_ref().map(|e| (e.first, i))).collect();
        rest.sort_unstable();
        for (_, index) in rest {
            self.close(index);
        }
        let (udp, mut notes) = std::mem::take(&mut self.udp).finish(input_index, self.now);
        if self.let_go > 0 {
            notes.push(Note::connections_let_go(input_index, self.let_go));
        }
        if self.over_limit > 0 {
            notes.push(Note::connections_over_limit(input_index, self.over_limit, OPEN_MAX));
        }
        if self.sealed_let_go > 0 {
            notes.push(Note::sealed_let_go(input_index, self.sealed_let_go, SEALED_MAX));
        }
        if self.undecided_let_go > 0 {
            notes.push(Note::undecided_let_go(input_index, self.undecided_let_go, UNDISCLOSED_MAX));
        }
        if self.left_out.0 > 0 {
            notes.push(Note::bytes_left_out(input_index, self.left_out.0, self.left_out.1));
        }
        if let (packets, Some(first)) = self.copies {
            notes.push(Note::copies(first, packets));
        }
        (udp, notes)
    }
}

/// Without an entry, a segment opens one when it begins a connection, goes to the RDP port, or could be the first
/// bytes of RDP, or of a request to a gateway, in the middle of a capture.
fn is_worth_opening(segment: &Segment<'_>) -> bool {
    let on_port = segment.from.port() == RDP_PORT || segment.to.port() == RDP_PORT;
    on_port || segment.tcp.syn() || may_start(segment.payload)
}

fn may_start(payload: &[u8]) -> bool {
    !payload.is_empty() && (tpkt::may_start_rdp(payload) || gateway::may_start_request(payload))
}
