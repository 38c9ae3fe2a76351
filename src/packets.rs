//! What packets say: a flow read step by step into facts, as far as its bytes, or the sizes and positions of its
//! encrypted records, go.

use std::sync::Arc;

use crate::fact::{Connection, Fact, Reading, Recognised, Side, Subject, What};
use crate::note::Note;
use crate::read::flow::{Flow, Sighting};
use crate::wire::keylog::KeyLog;

mod layers;
mod tcp;
mod negotiation;
mod opening;
mod tls;
mod credssp;
mod authorization;
mod mcs;
mod capabilities;
mod clear;
mod said;
mod clock;
mod kerberos;
mod names;
mod beside;
mod udp;
mod gateway;
mod plain;

pub use gateway::HELD_MAX;
pub use plain::plain;
pub use udp::udp_facts;

use gateway::Gateways;

/// Facts of one connection kept at most; a cut is a note.
pub const FACTS_MAX: usize = 512;

/// Reads a flow into facts, in the order of time, and opens its TLS records with `keys` where they fit.
#[must_use]
pub fn facts(flow: &Flow, witness_index: u32, keys: &KeyLog) -> (Vec<Fact>, Vec<Note>) {
    let layered = layers::proxy::open(flow);
    let inner = layered.as_ref().map_or(flow, |layered| &layered.flow);
    let mut reader = Reader::new(inner, witness_index, keys);
    say_outside(&mut reader, flow, layered.as_ref());
    reader.turn = layered.as_ref().and_then(|layered| layered.turn);
    tcp::opening(&mut reader);
    negotiation::read(&mut reader);
    tcp::ending(&mut reader);
    kerberos::read(&mut reader);
    names::read(&mut reader);
    beside::read(&mut reader);
    reader.finish()
}

/// What is around the connection: a tunnel of the network, and what a proxy was asked.
fn say_outside(reader: &mut Reader<'_>, flow: &Flow, layered: Option<&layers::proxy::Layered>) {
    if let Some(outer) = flow.outer {
        reader.say(flow.first, What::Tunnelled { kind: outer.kind, from: outer.from, to: outer.to });
    }
    for (seen, what) in layered.iter().flat_map(|layered| &layered.said) {
        reader.say(*seen, what.clone());
    }
}

/// Reads the flows of one capture point. Most stand for themselves; those of an RD Gateway that carries one connection in
/// two wait for each other.
pub struct Packets<'k> {
    witness_index: u32,
    keys: &'k KeyLog,
    gateways: Gateways,
}

impl<'k> Packets<'k> {
    /// A reader that has seen nothing yet.
    #[must_use]
    pub fn new(witness_index: u32, keys: &'k KeyLog) -> Self {
        Self { witness_index, keys, gateways: Gateways::default() }
    }

    /// Reads a flow into facts, in the order of time.
    pub fn take(&mut self, mut flow: Flow) -> (Vec<Fact>, Vec<Note>) {
        let in_clear = gateway::is_request(flow.from_client.stream.from(layers::proxy::passed(&flow)));
        match flow.recognised {
            Recognised::GatewaySizes => self.gateways.sized(flow, self.witness_index, self.keys),
            Recognised::GatewayEndpoint => self.gateways.perhaps(flow),
            Recognised::Secrets => self.gateways.take(flow, self.witness_index, self.keys),
            _ if in_clear => {
                flow.recognised = Recognised::Gateway;
                self.gateways.take(flow, self.witness_index, self.keys)
            }
            // Its first bytes only looked like such a request.
            Recognised::Gateway => (Vec::new(), Vec::new()),
            _ => facts(&flow, self.witness_index, self.keys),
        }
    }

    /// The facts of what was waiting.
    pub fn finish(self) -> (Vec<Fact>, Vec<Note>) {
        self.gateways.finish(self.witness_index, self.keys)
    }
}

/// Silence shorter than this is no stall: people read dialogs and type passwords, networks pause.
const STALL_MS_MIN: u64 = 3_000;

/// A flow being read, and the facts so far.
struct Reader<'f> {
    flow: &'f Flow,
    keys: &'f KeyLog,
    connection: Arc<Connection>,
    facts: Vec<Fact>,
    notes: Vec<Note>,
    /// How the bytes of the flow became readable.
    reading: Reading,
    /// Facts beyond the limit.
    cut: usize,
    /// Whose turn it is to speak, once the protocol is known.
    turn: Option<Side>,
}

impl<'f> Reader<'f> {
    fn new(flow: &'f Flow, witness_index: u32, keys: &'f KeyLog) -> Self {
        let connection = Arc::new(Connection {
            witness_index,
            client: flow.client,
            server: flow.server,
            client_isn: flow.from_client.isn,
            server_isn: flow.from_server.isn,
            opened: flow.first.at,
            first: flow.first.place,
            last_seen: flow.last.at,
            last: flow.last.place,
            packets: [flow.from_client.packets, flow.from_server.packets],
            bytes: [flow.from_client.claimed_end, flow.from_server.claimed_end],
            recognised: flow.recognised,
            sent: [flow.from_client.sent.clone(), flow.from_server.sent.clone()],
        });
        Self {
            flow,
            keys,
            connection,
            facts: Vec::new(),
            notes: Vec::new(),
            reading: Reading::Clear,
            cut: 0,
            turn: None,
        }
    }

    /// Either end said something: what they need of others for that, tickets and domain controllers, can matter.
    const fn ends_spoke(&self) -> bool {
        self.flow.from_client.claimed_end > 0 || self.flow.from_server.claimed_end > 0
    }

    /// Nothing that comes past later counts: a reset has ended the connection for at least one side.
    fn over_at(&self) -> Option<Sighting> {
        let resets = [self.flow.from_client.reset, self.flow.from_server.reset];
        resets
            .into_iter()
            .flatten()
            .filter(|reset| reset.ahead.abs() <= tcp::WINDOW_MAX)
            .map(|reset| reset.seen)
            .min()
    }

    fn say(&mut self, seen: Sighting, what: What) {
        self.say_read(seen, self.reading, what);
    }

    fn infer(&mut self, seen: Sighting, what: What) {
        self.say_read(seen, Reading::Inferred, what);
    }

    fn tell(&mut self, message: &Message, what: What) {
        self.say_read(message.seen, message.reading, what);
    }

    fn say_read(&mut self, seen: Sighting, reading: Reading, what: What) {
        if self.facts.len() < FACTS_MAX {
            let subject = Subject::Connection(Arc::clone(&self.connection));
            self.facts.push(Fact { at: seen.at, place: seen.place, subject, reading, what });
        } else {
            self.cut += 1;
        }
    }

    fn finish(mut self) -> (Vec<Fact>, Vec<Note>) {
        if self.cut > 0 {
            let first = self.flow.first.place;
            self.notes.push(Note::connection_facts_cut(first, self.cut, FACTS_MAX));
        }
        self.facts.sort_by_key(|fact| (fact.at, fact.place));
        (self.facts, self.notes)
    }
}

/// Whole milliseconds between two moments; 0 when they are the other way round.
fn ms_between(earlier: Sighting, later: Sighting) -> u64 {
    u64::try_from(later.at.since(earlier.at) / 1_000_000).unwrap_or(0)
}

/// One message, whose content may be hidden: who sent it, how long its plaintext is, and when it was complete.
#[derive(Debug, Clone, Copy)]
struct Message {
    side: Side,
    /// Least and most bytes of plaintext.
    low: u32,
    high: u32,
    seen: Sighting,
    /// What it is, where a header that could be read says so.
    kind: Option<Known>,
    /// How it was read.
    reading: Reading,
}

/// Kinds of message that a header tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    ClientInfo,
    License,
    AutoDetect,
    DemandActive,
    ConfirmActive,
    FontMap,
    Redirection,
    Ultimatum,
    OtherData,
}

impl Message {
    /// Can its plaintext be `bytes` long?
    const fn is(&self, bytes: u32) -> bool {
        self.low <= bytes && bytes <= self.high
    }

    /// Is its plaintext `bytes` long, or one more, and no other length?
    const fn is_exactly(&self, bytes: u32) -> bool {
        self.low == self.high && self.is_about(bytes)
    }

    /// Can its plaintext be `bytes` long, or one more? A PER length takes a second byte with some programs.
    const fn is_about(&self, bytes: u32) -> bool {
        self.is(bytes) || self.is(bytes + 1)
    }
}
