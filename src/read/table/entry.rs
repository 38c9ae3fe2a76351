//! One connection while it is open: sequence numbers made into offsets, repeats counted, both streams fed.

use std::collections::VecDeque;
use std::net::SocketAddr;

use etherparse::TcpOptionElement;

use super::super::flow::{Flow, Half, Resent, ResetSeen, Sighting, UnreachableSeen, ZeroWindow};
use super::super::link::{Outer, Segment};
use super::super::neighbours::Beside;
use super::RDP_PORT;
use crate::fact::Recognised;
use crate::note::Place;
use crate::time::UnixNanos;
use crate::wire::gateway;
use crate::wire::keylog::KeyLog;
use crate::wire::proxy::{self, Preamble, Progress};
use crate::wire::tls::client_random;
use crate::wire::tpkt::{self, TpduCode};

mod copies;
mod marks;
mod sizes;

use copies::Copies;
use marks::Marks;
use sizes::Walk;

/// Segments remembered until they are acknowledged.
const OUTSTANDING_MAX: usize = 64;
/// Without an identification of its own, a packet that comes again sooner than this was captured twice: no
/// retransmission timer or probe is shorter (RFC 6298, RFC 8985).
const DUPLICATE_NS: i64 = 3_000_000;
/// ICMP errors kept per connection.
const UNREACHABLE_MAX: usize = 4;

/// What is known of a connection so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// No byte seen.
    Undecided,
    /// The bytes seen may become RDP.
    Candidate,
    /// RDP, or on its port.
    Rdp,
    /// HTTP in clear with the requests of an RD Gateway.
    Gateway,
    /// TLS that the key log has secrets for: a gateway, or anything else.
    Sealed,
    /// TLS whose sizes may yet be those of a gateway's tunnel.
    Undisclosed,
    /// TLS with those sizes.
    Sized,
    /// Something else.
    Other,
}

#[derive(Debug, Default)]
struct Outgoing {
    half: Half,
    /// A sequence number and its offset, from which the others are counted.
    reference: Option<(u32, i64)>,
    fin_offset: Option<u64>,
    data_end: u64,
    outstanding: VecDeque<(u64, u32, Sighting)>,
    copies: Copies,
    marks: Marks,
    /// Since when its receive window is 0, and whether the other side had something to send since.
    shut: Option<(Sighting, bool)>,
}

#[derive(Debug)]
pub(super) struct Entry {
    /// Sender and receiver of the first packet.
    pub(super) ends: (SocketAddr, SocketAddr),
    pub(super) first: Sighting,
    pub(super) last: Sighting,
    state: State,
    /// The sender of the first packet is the server.
    reversed: Option<bool>,
    /// First bytes of RDP were seen.
    proven: bool,
    /// The sizes of its records, while it is undisclosed.
    walk: Option<Box<Walk>>,
    /// What a proxy was asked before RDP, with the index of the side that asked.
    preamble: Option<(usize, Preamble)>,
    outer: Option<Outer>,
    sides: [Outgoing; 2],
    /// ICMP errors, each with the time it came last.
    unreachable: Vec<(UnreachableSeen, UnixNanos)>,
}

impl Entry {
    pub(super) fn new(segment: &Segment<'_>, seen: Sighting) -> Self {
        let (from, to) = (segment.from, segment.to);
        let on_port = from.port() == RDP_PORT || to.port() == RDP_PORT;
        Self {
            ends: (from, to),
            first: seen,
            last: seen,
            state: if on_port { State::Rdp } else { State::Undecided },
            reversed: None,
            proven: false,
            walk: None,
            preamble: None,
            outer: segment.outer.as_deref().copied(),
            sides: [Outgoing::default(), Outgoing::default()],
            unreachable: Vec::new(),
        }
    }

    pub(super) fn is_silent(&self) -> bool {
        self.sides.iter().all(|side| side.half.stream.is_empty())
    }

    pub(super) fn is_on_rdp_port(&self) -> bool {
        self.ends.0.port() == RDP_PORT || self.ends.1.port() == RDP_PORT
    }

    pub(super) fn is_closed(&self) -> bool {
        let over = self.sides.iter().any(|side| side.half.reset.is_some());
        over || self.sides.iter().all(|side| side.half.fin.is_some())
    }

    /// Is this SYN the start of another connection with the same ports?
    pub(super) fn is_reused_by(&self, segment: &Segment<'_>) -> bool {
        let side = usize::from(segment.from != self.ends.0);
        let isn = self.sides.get(side).and_then(|s| s.half.isn);
        isn.map_or(!self.is_silent() || self.is_closed(), |isn| isn != segment.tcp.sequence_number())
    }

    pub(super) fn unreachable(&mut self, error: UnreachableSeen) {
        let same = |(e, _): &&mut (UnreachableSeen, UnixNanos)| {
            (e.from, e.kind, e.code) == (error.from, error.kind, error.code)
        };
        if let Some((known, last)) = self.unreachable.iter_mut().find(same) {
            let is_copy = error.seen.at.since(*last) < DUPLICATE_NS;
            known.times = known.times.saturating_add(u32::from(!is_copy));
            *last = error.seen.at;
        } else if self.unreachable.len() < UNREACHABLE_MAX {
            self.unreachable.push((error, error.seen.at));
        }
    }

    /// Takes one segment and says what the connection is now.
    pub(super) fn take(&mut self, segment: &Segment<'_>, seen: Sighting, keys: &KeyLog) -> State {
        let from_second = segment.from != self.ends.0;
        let [first, second] = &mut self.sides;
        let sender = if from_second { second } else { first };
        if sender.copies.is_copy(segment, seen) {
            return self.state;
        }
        self.last = seen;
        if segment.tcp.syn() {
            self.reversed = Some(segment.tcp.ack() != from_second);
        }
        if self.state == State::Undecided && !segment.payload.is_empty() {
            self.begin(segment.payload, usize::from(from_second), [0, 0], keys);
            if self.state == State::Other {
                return self.state;
            }
        }
        let [first, second] = &mut self.sides;
        let (sender, receiver) = if from_second { (second, first) } else { (first, second) };
        receiver.half.probes = None;
        if segment.tcp.ack() {
            receiver.acknowledge(segment.tcp.acknowledgment_number());
        }
        sender.send(segment, seen);
        if segment.tcp.window_size() == 0 || sender.shut.is_some() {
            sender.window(segment, seen);
        }
        if let Some((_, is_pressed)) = &mut receiver.shut {
            let probed = sender.half.probes.is_some_and(|(.., last)| last == seen);
            *is_pressed |= segment.length > 0 || probed;
        }
        if segment.payload.is_empty() {
            return self.state;
        }
        if self.state == State::Undisclosed {
            self.walk(usize::from(from_second));
        } else if !self.proven {
            self.decide(keys);
        }
        self.state
    }

    /// The first bytes that were seen, or those behind a proxy's consent, are sent by `side`; `from` is where each side's
    /// own begin.
    fn begin(&mut self, bytes: &[u8], side: usize, from: [u64; 2], keys: &KeyLog) {
        self.state = by_first_bytes(bytes, keys);
        self.walk = (self.state == State::Undisclosed).then(|| Box::new(Walk::of(side, from)));
    }

    /// Behind a proxy's consent a connection to a gateway may stand as well.
    fn behind_proxy(&mut self, keys: &KeyLog) {
        let Some((client, preamble)) = &self.preamble else { return };
        let client = *client;
        let head = self.head(client);
        if preamble.progress != Progress::Open || head.is_empty() || tpkt::may_start_rdp(head) {
            return;
        }
        let [asked, answered] = [preamble.client_length, preamble.server_length]
            .map(|length| u64::try_from(length).unwrap_or(u64::MAX));
        let from = if client == 0 { [asked, answered] } else { [answered, asked] };
        let head = head.to_vec();
        self.begin(&head, client, from, keys);
        self.walk(client);
    }

    /// Looks at the records of a side that has sent more.
    fn walk(&mut self, side: usize) {
        let (Some(walk), Some(sender)) = (&mut self.walk, self.sides.get(side)) else { return };
        self.state = walk.take(side, &sender.half.stream);
        if self.state != State::Undisclosed {
            self.walk = None;
        }
    }

    fn decide(&mut self, keys: &KeyLog) {
        self.preamble = self.find_preamble();
        self.proven = self.proof().is_some();
        if self.state != State::Candidate {
            return;
        }
        if self.proven || self.asks_for_rdp() {
            self.state = State::Rdp;
            return;
        }
        if let Some((_, preamble)) = &self.preamble {
            if preamble.may_go_on() {
                return;
            }
            if preamble.progress == Progress::Refused {
                self.state = State::Other;
                return;
            }
        }
        self.behind_proxy(keys);
        let heads = [self.head(0), self.head(1)];
        if self.state == State::Candidate
            && heads.iter().any(|head| head.len() >= 6 || !tpkt::may_start_rdp(head))
        {
            self.state = State::Other;
        }
    }

    /// What was said to or for a proxy, by the side that opened the connection, or by either when that is not known.
    fn find_preamble(&self) -> Option<(usize, Preamble)> {
        let clients: &[usize] = match self.reversed {
            Some(false) => &[0],
            Some(true) => &[1],
            None => &[0, 1],
        };
        let bytes = |index: usize| self.sides.get(index).map_or(&[][..], |side| side.half.stream.from(0));
        let found = |index: &usize| Some((*index, proxy::preamble(bytes(*index), bytes(1 - *index))?));
        clients.iter().find_map(found)
    }

    /// The first bytes of one side, behind what was for a proxy.
    fn head(&self, index: usize) -> &[u8] {
        let passed = self.preamble.as_ref().map_or(0, |(client, preamble)| {
            if *client == index { preamble.client_length } else { preamble.server_length }
        });
        let passed = u64::try_from(passed).unwrap_or(u64::MAX);
        self.sides.get(index).map_or(&[], |side| side.half.stream.from(passed))
    }

    /// A proxy is asked for the RDP port.
    pub(super) fn asks_for_rdp(&self) -> bool {
        self.preamble.as_ref().is_some_and(|(_, preamble)| preamble.port() == Some(RDP_PORT))
    }

    /// The server's end is a proxy.
    pub(super) fn is_through_proxy(&self) -> bool {
        self.preamble.as_ref().is_some_and(|(_, preamble)| !preamble.exchanges.is_empty())
    }

    /// Packets that stand in the capture more than once, and the first of them.
    pub(super) fn copies(&self) -> (u64, Option<Place>) {
        let [first, second] = self.sides.each_ref().map(|side| side.copies.found());
        let place = [first.1, second.1].into_iter().flatten().min();
        (first.0.saturating_add(second.0), place)
    }

    /// First bytes of RDP were seen: whose they are, by the index of the side.
    fn proof(&self) -> Option<(usize, TpduCode)> {
        let is_open = self.preamble.as_ref().is_none_or(|(_, preamble)| preamble.progress == Progress::Open);
        let starts = |index: usize| Some((index, tpkt::starts_rdp(self.head(index))?));
        is_open.then(|| [0, 1].into_iter().find_map(starts)).flatten()
    }

    pub(super) fn is_proven(&self) -> bool {
        self.proven
    }

    pub(super) fn is_gateway(&self) -> bool {
        self.state == State::Gateway
    }

    pub(super) fn is_sized(&self) -> bool {
        self.state == State::Sized
    }

    /// The client said nothing behind its TLS handshake.
    pub(super) fn is_in_handshake(&self) -> bool {
        self.walk.as_ref().is_some_and(|walk| walk.is_in_handshake())
    }

    /// The sizes of its records are those of a tunnel that a gateway refused.
    pub(super) fn is_refused(&self) -> bool {
        self.walk.as_ref().is_some_and(|walk| walk.is_refused())
    }

    /// Nothing is known of it but that it is TLS.
    pub(super) fn is_undisclosed(&self) -> bool {
        self.state == State::Undisclosed
    }

    pub(super) fn is_sealed(&self) -> bool {
        self.state == State::Sealed
    }

    /// Client and server: by the SYN, else by who sent the request or confirm, else by the RDP port, else the lower port
    /// is the server's.
    pub(super) fn oriented(&self) -> (SocketAddr, SocketAddr) {
        let reversed = self.reversed.unwrap_or_else(|| match self.proof() {
            Some((index, TpduCode::CONNECTION_REQUEST)) => index == 1,
            Some((index, _)) => index == 0,
            None if self.ends.1.port() == RDP_PORT => false,
            None if self.ends.0.port() == RDP_PORT => true,
            None => self.ends.0.port() < self.ends.1.port(),
        });
        if reversed { (self.ends.1, self.ends.0) } else { self.ends }
    }

    pub(super) fn into_flow(self, recognised: Recognised, capture_end: UnixNanos) -> Flow {
        let (client, server) = self.oriented();
        let [first, second] = self.sides;
        let (from_client, from_server) =
            if client == self.ends.0 { (first, second) } else { (second, first) };
        Flow {
            client,
            server,
            first: self.first,
            last: self.last,
            capture_end,
            outer: self.outer,
            recognised,
            from_client: from_client.finish(self.last),
            from_server: from_server.finish(self.last),
            unreachable: self.unreachable.into_iter().map(|(error, _)| error).collect(),
            neighbours: Beside::default(),
        }
    }
}

/// What the first bytes that were seen of a connection make of it.
fn by_first_bytes(bytes: &[u8], keys: &KeyLog) -> State {
    if tpkt::may_start_rdp(bytes) || proxy::may_start(bytes) {
        State::Candidate
    } else if gateway::may_start_request(bytes) {
        State::Gateway
    } else if client_random(bytes).is_some_and(|random| keys.knows(random)) {
        State::Sealed
    } else if sizes::may_begin(bytes) {
        State::Undisclosed
    } else {
        State::Other
    }
}

impl Outgoing {
    fn offset_of(&mut self, sequence: u32) -> i64 {
        let (known, offset) = *self.reference.get_or_insert((sequence, 0));
        offset.saturating_add(i64::from(sequence.wrapping_sub(known).cast_signed()))
    }

    fn acknowledge(&mut self, number: u32) {
        let Ok(mut acked) = u64::try_from(self.offset_of(number)) else { return };
        if let Some(fin) = self.fin_offset {
            acked = acked.min(fin);
        }
        if acked <= self.half.acknowledged {
            return;
        }
        self.half.acknowledged = acked;
        while let Some((start, bytes, _)) = self.outstanding.front().copied() {
            if start.saturating_add(u64::from(bytes)) > acked {
                break;
            }
            self.half.largest_acknowledged = self.half.largest_acknowledged.max(bytes);
            self.outstanding.pop_front();
        }
        if self.half.resent.is_some_and(|r| r.start.saturating_add(u64::from(r.bytes)) <= acked) {
            self.half.resent = None;
        }
    }

    fn send(&mut self, segment: &Segment<'_>, seen: Sighting) {
        let tcp = &segment.tcp;
        self.half.packets += 1;
        self.half.last = Some(seen);
        if tcp.rst() {
            self.reset(segment, seen);
            return;
        }
        if self.half.ttl.is_none() {
            self.half.ttl = Some(segment.ttl);
            self.half.timestamps = has_timestamps(segment);
        }
        if tcp.syn() {
            self.syn(segment, seen);
            return;
        }
        if tcp.ack() && self.half.first_ack.is_none() {
            self.half.first_ack = Some(seen);
        }
        let offset = self.offset_of(tcp.sequence_number());
        let Ok(start) = u64::try_from(offset) else { return };
        let is_probe = segment.length <= 1 && start.saturating_add(1) == self.half.claimed_end;
        if is_probe {
            let (count, first, _) = self.half.probes.unwrap_or((0, seen, seen));
            self.half.probes = Some((count.saturating_add(1), first, seen));
            return;
        }
        self.claim(start, segment.length);
        if segment.length > 0 {
            self.data(start, segment, seen);
        }
        if tcp.fin() {
            self.half.fin.get_or_insert(seen);
            self.fin_offset.get_or_insert(start.saturating_add(u64::from(segment.length)));
        }
    }

    fn claim(&mut self, start: u64, length: u32) {
        let end = start.saturating_add(u64::from(length));
        let end = self.fin_offset.map_or(end, |fin| end.min(fin));
        if end > self.half.claimed_end {
            self.half.claimed_end = end;
        }
    }

    fn syn(&mut self, segment: &Segment<'_>, seen: Sighting) {
        let sequence = segment.tcp.sequence_number();
        if self.half.isn.is_none() {
            self.half.isn = Some(sequence);
            self.reference = Some((sequence.wrapping_add(1), 0));
        }
        self.half.syn = Some(match self.half.syn {
            None => (seen, seen, 1),
            Some((first, _, tries)) => (first, seen, tries.saturating_add(1)),
        });
    }

    fn reset(&mut self, segment: &Segment<'_>, seen: Sighting) {
        let sent_end = i64::try_from(self.half.claimed_end).unwrap_or(i64::MAX);
        let known = self.reference.is_some();
        let offset = self.offset_of(segment.tcp.sequence_number());
        let fin = i64::from(self.fin_offset.is_some());
        let ahead = if known { offset.saturating_sub(sent_end).saturating_sub(fin) } else { 0 };
        let (ttl, has_ack) = (segment.ttl, segment.tcp.ack());
        let timestamps = has_timestamps(segment);
        self.half.reset.get_or_insert(ResetSeen { seen, ttl, has_ack, timestamps, ahead });
    }

    fn data(&mut self, start: u64, segment: &Segment<'_>, seen: Sighting) {
        let end = start.saturating_add(u64::from(segment.length));
        self.half.largest_seen = self.half.largest_seen.max(segment.length);
        if end > self.data_end {
            self.marks.take(segment, seen);
            self.count(segment.length);
            self.data_end = end;
            self.half.last_new_data = Some(seen);
            self.reference = Some((segment.tcp.sequence_number(), i64::try_from(start).unwrap_or(i64::MAX)));
            if self.outstanding.len() == OUTSTANDING_MAX {
                self.outstanding.pop_front();
            }
            self.outstanding.push_back((start, segment.length, seen));
        } else if end > self.half.acknowledged {
            self.repeat(start, segment.length, seen);
        } else {
            self.count(segment.length);
        }
        self.half.stream.push(start, segment.payload, u64::from(segment.length), seen);
    }

    fn repeat(&mut self, start: u64, bytes: u32, seen: Sighting) {
        let holds = |(s, length, _): &&(u64, u32, Sighting)| {
            *s <= start && start < s.saturating_add(u64::from(*length))
        };
        let sent = self.outstanding.iter().find(holds).copied();
        let sent_before = sent.map_or(seen, |(.., first)| first);
        // The same bytes in other pieces: captured once before and once behind the card that cuts them.
        let is_cut_otherwise = sent.is_some_and(|(s, length, _)| (s, length) != (start, bytes));
        if is_cut_otherwise && seen.at.since(sent_before.at) < DUPLICATE_NS {
            return;
        }
        self.count(bytes);
        match &mut self.half.resent {
            Some(known) if known.start == start => {
                known.tries = known.tries.saturating_add(1);
                known.last = seen;
                known.bytes = known.bytes.max(bytes);
            }
            slot => {
                *slot = Some(Resent { start, bytes, tries: 2, first: sent_before, last: seen });
            }
        }
        self.half.retransmissions = self.half.retransmissions.saturating_add(1);
    }

    fn count(&mut self, bytes: u32) {
        let sent = &mut self.half.sent;
        sent.segments += 1;
        sent.bytes = sent.bytes.saturating_add(u64::from(bytes));
        sent.largest = sent.largest.max(bytes);
    }

    /// The receive window that a segment announces: neither a reset nor a SYN means one of 0.
    fn window(&mut self, segment: &Segment<'_>, seen: Sighting) {
        if segment.tcp.rst() || segment.tcp.syn() {
            return;
        }
        if segment.tcp.window_size() == 0 {
            self.shut.get_or_insert((seen, false));
        } else {
            self.window_opens(seen);
        }
    }

    /// A window that was shut while the other side had nothing to send kept nobody waiting.
    fn window_opens(&mut self, seen: Sighting) {
        let Some((since, true)) = self.shut.take() else { return };
        let known = self.half.zero_window.get_or_insert(ZeroWindow { first: since, times: 0, over_ns: 0 });
        known.times = known.times.saturating_add(1);
        known.over_ns = known.over_ns.saturating_add(seen.at.since(since.at).max(0));
    }

    fn finish(mut self, last: Sighting) -> Half {
        self.window_opens(last);
        self.half.sent.marks = self.marks.finish();
        self.half.stream.finish();
        self.half.ttl = self.copies.usual_ttl(self.half.ttl, self.half.reset.map(|reset| reset.ttl));
        self.half
    }
}

fn has_timestamps(segment: &Segment<'_>) -> bool {
    let mut options = segment.tcp.options_iterator();
    options.any(|option| matches!(option, Ok(TcpOptionElement::Timestamp(..))))
}
