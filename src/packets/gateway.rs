//! Connections to an RD Gateway (MS-TSGU): their HTTP, the tunnel inside, and the RDP connection inside of that, which is
//! then read like any other.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::layers::proxy;
use super::{Reader, negotiation, tcp, tls};
use crate::fact::{Connection, Fact, Reading, Recognised, Side, Subject, What};
use crate::note::{Note, Place};
use crate::read::flow::{Flow, Sighting};
use crate::read::stream::Stream;
use crate::wire::gateway::may_start_request;
use crate::wire::http::{self, Head, Start};
use crate::wire::keylog::KeyLog;

mod heads;
mod frames;
mod tunnel;
mod sizes;
mod halves;
mod outside;

use halves::Half;
use heads::{Spoken, is_upgrade, method, status, target};

/// Connections of one direction that wait for the other, each with its kept bytes.
pub const HELD_MAX: usize = 500;
/// Requests to KDC proxies that wait to be told with the connection they were made for.
const TICKETS_MAX: usize = 10_000;
/// Connections that ended before they showed what they are.
const PERHAPS_MAX: usize = 1_000;
/// A client asks the KDC proxy while it connects, or shortly before.
const TICKET_NS: i64 = 30_000_000_000;
/// Ways to authenticate that are named.
const SCHEMES_MAX: usize = 8;

/// The connections to gateways of one capture point.
#[derive(Default)]
pub(super) struct Gateways {
    /// Connections that carry one direction.
    held: Vec<Carrier>,
    /// The same where nothing opens them.
    halves: Vec<Half>,
    /// Of them those beyond the limit, and where the first was seen.
    halves_cut: (u64, Option<Place>),
    tickets: Vec<Ticket>,
    told: Vec<Arc<Connection>>,
    /// Connections that ended before they showed what they are.
    perhaps: Vec<Flow>,
    /// Those beyond the limit.
    perhaps_cut: u64,
}

/// A request to the KDC proxy of a gateway.
struct Ticket {
    client: IpAddr,
    gateway: SocketAddr,
    seen: Sighting,
    reading: Reading,
    status: Option<u16>,
}

/// One TCP connection to a gateway, with its HTTP read.
struct Carrier {
    flow: Flow,
    /// What a proxy in front of the gateway was asked and answered.
    proxied: Vec<(Sighting, What)>,
    reading: Reading,
    requests: heads::Side,
    responses: heads::Side,
    /// The packets of both sides.
    packets: (Stream, Stream),
}

/// How a gateway's client carries RDP.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Transport {
    WebSocket,
    Http,
    Rpc,
}

impl Transport {
    const fn name(self) -> &'static str {
        match self {
            Self::WebSocket => "websocket",
            Self::Http => "http",
            Self::Rpc => "rpc",
        }
    }

    fn of(request: &Head) -> Option<Self> {
        let method = method(request).to_ascii_uppercase();
        let to_gateway = target(request).to_ascii_lowercase().starts_with("/remotedesktopgateway");
        match method.as_str() {
            "RDG_OUT_DATA" | "RDG_IN_DATA" | "GET" if to_gateway && is_upgrade(request) => {
                Some(Self::WebSocket)
            }
            "RDG_OUT_DATA" | "RDG_IN_DATA" => Some(Self::Http),
            "RPC_OUT_DATA" | "RPC_IN_DATA" => Some(Self::Rpc),
            _ => None,
        }
    }
}

type Told = (Vec<Fact>, Vec<Note>);

/// These bytes begin with a request to a gateway, whose first line at least is whole.
pub(super) fn is_request(bytes: &[u8]) -> bool {
    may_start_request(bytes) && http::head(bytes).is_ok_and(|head| Transport::of(&head).is_some())
}

impl Gateways {
    /// Takes a connection that may be one to a gateway: says what it holds, or keeps it until the other direction comes.
    pub(super) fn take(&mut self, flow: Flow, witness_index: u32, keys: &KeyLog) -> Told {
        let Some((carrier, notes)) = Carrier::of(flow, witness_index, keys) else { return Told::default() };
        self.tickets(&carrier);
        if carrier.transport().is_none() {
            return Told::default();
        }
        if carrier.is_half() {
            self.held.push(carrier);
            let oldest = (self.held.len() > HELD_MAX).then(|| self.held.remove(0));
            let (facts, mut more) =
                oldest.map(|one| self.tell(one, None, witness_index, keys)).unwrap_or_default();
            more.extend(notes);
            return (facts, more);
        }
        let (facts, mut more) = self.tell(carrier, None, witness_index, keys);
        more.extend(notes);
        (facts, more)
    }

    /// A tunnel that only its sizes tell, or one side of it.
    pub(super) fn sized(&mut self, flow: Flow, witness_index: u32, keys: &KeyLog) -> Told {
        let Some(told) = sizes::read(&flow, witness_index, keys) else {
            let place = flow.first.place;
            match Half::of(flow, witness_index, keys) {
                Some(half) if self.halves.len() < HELD_MAX => self.halves.push(half),
                Some(_) => {
                    self.halves_cut = (self.halves_cut.0 + 1, self.halves_cut.1.or(Some(place)));
                }
                None => {}
            }
            return Told::default();
        };
        self.known(&told);
        told
    }

    fn known(&mut self, told: &Told) {
        let connection = told.0.first().and_then(|fact| fact.subject.connection());
        self.told.extend(connection.map(Arc::clone));
    }

    /// Keeps a connection of which only another one can tell whether it goes to a gateway.
    pub(super) fn perhaps(&mut self, flow: Flow) -> Told {
        match self.perhaps.len() < PERHAPS_MAX {
            true => self.perhaps.push(flow),
            false => self.perhaps_cut += 1,
        }
        Told::default()
    }

    /// What is known of those to the same ends as connections to gateways.
    fn outside(&mut self, witness_index: u32, keys: &KeyLog) -> Told {
        let (mut facts, mut notes) = Told::default();
        let gateways: BTreeSet<SocketAddr> = self.told.iter().map(|connection| connection.server).collect();
        if let (false, 1.., Some(place)) =
            (gateways.is_empty(), self.perhaps_cut, self.perhaps.first().map(|flow| flow.first.place))
        {
            notes.push(Note::perhaps_cut(place, self.perhaps_cut, PERHAPS_MAX));
        }
        for flow in self.perhaps.drain(..).filter(|flow| gateways.contains(&flow.server)) {
            let (found, more) = outside::read(&flow, witness_index, keys);
            facts.extend(found);
            notes.extend(more);
        }
        (facts, notes)
    }

    /// Brings both directions together, and says what the KDC proxies were asked for.
    pub(super) fn finish(mut self, witness_index: u32, keys: &KeyLog) -> Told {
        let (mut facts, mut notes) = Told::default();
        let mut held: Vec<Option<Carrier>> = std::mem::take(&mut self.held).into_iter().map(Some).collect();
        for index in 0..held.len() {
            let Some(out) = held.get(index).and_then(Option::as_ref).filter(|one| one.receives()) else {
                continue;
            };
            let partner =
                held.iter().position(|other| other.as_ref().is_some_and(|other| out.belongs_with(other)));
            let partner = partner.and_then(|index| held.get_mut(index)?.take());
            if let Some(out) = held.get_mut(index).and_then(Option::take) {
                let (found, more) = self.tell(out, partner, witness_index, keys);
                facts.extend(found);
                notes.extend(more);
            }
        }
        for alone in held.into_iter().flatten() {
            let (found, more) = self.tell(alone, None, witness_index, keys);
            facts.extend(found);
            notes.extend(more);
        }
        if let (cut @ 1.., Some(place)) = self.halves_cut {
            notes.push(Note::halves_cut(place, cut, HELD_MAX));
        }
        for told in halves::told(std::mem::take(&mut self.halves), witness_index, keys) {
            self.known(&told);
            facts.extend(told.0);
            notes.extend(told.1);
        }
        facts.extend(self.tickets.iter().filter_map(|ticket| self.about(ticket)));
        let (found, more) = self.outside(witness_index, keys);
        facts.extend(found);
        notes.extend(more);
        (facts, notes)
    }

    fn tell(&mut self, one: Carrier, other: Option<Carrier>, witness_index: u32, keys: &KeyLog) -> Told {
        let (connection, told) = tell(&one, other.as_ref(), witness_index, keys);
        self.told.push(connection);
        told
    }

    fn tickets(&mut self, carrier: &Carrier) {
        let is_proxy = |spoken: &&Spoken| target(&spoken.head).to_ascii_lowercase().starts_with("/kdcproxy");
        for (index, asked) in carrier.requests.heads.iter().enumerate().filter(|(_, spoken)| is_proxy(spoken))
        {
            if self.tickets.len() < TICKETS_MAX {
                self.tickets.push(Ticket {
                    client: carrier.flow.client.ip(),
                    gateway: carrier.flow.server,
                    seen: asked.seen,
                    reading: carrier.reading,
                    status: carrier.answer_to(index).and_then(|spoken| status(&spoken.head)),
                });
            }
        }
    }

    /// The fact, as one of the connection to the same gateway that the same client opened nearest to it.
    fn about(&self, ticket: &Ticket) -> Option<Fact> {
        let apart = |connection: &Connection| connection.opened.since(ticket.seen.at).abs();
        let same = |connection: &&Arc<Connection>| {
            connection.client.ip() == ticket.client
                && connection.server == ticket.gateway
                && apart(connection) <= TICKET_NS
        };
        let connection =
            self.told.iter().filter(same).min_by_key(|connection| (apart(connection), connection.first))?;
        Some(Fact {
            at: ticket.seen.at,
            place: ticket.seen.place,
            subject: Subject::Connection(Arc::clone(connection)),
            reading: ticket.reading,
            what: What::KdcProxyAsked { status: ticket.status.map(u32::from) },
        })
    }
}

impl Carrier {
    /// Reads the HTTP of a connection; `None` when there is none, or its TLS does not open.
    fn of(mut flow: Flow, witness_index: u32, keys: &KeyLog) -> Option<(Self, Vec<Note>)> {
        let mut notes = Vec::new();
        let mut proxied = Vec::new();
        if let Some(layered) = proxy::open(&flow) {
            (flow, proxied) = (layered.flow, layered.said);
        }
        let (client, server, reading) = if flow.recognised == Recognised::Gateway {
            (flow.from_client.stream.clone(), flow.from_server.stream.clone(), Reading::Clear)
        } else {
            let mut reader = Reader::new(&flow, witness_index, keys);
            let opened = tls::unwrapped(&mut reader, 0, 0)?;
            notes = reader.notes;
            (opened.client.stream, opened.server.stream, Reading::Opened)
        };
        flow.recognised = Recognised::Gateway;
        let mut requests = heads::requests(&client);
        let responses = heads::responses(&server, &requests);
        if responses.carried.is_some_and(|(_, framing)| framing == heads::Framing::WebSocket) {
            requests.upgraded();
        }
        let taken_off = |stream: &Stream, side: &heads::Side, masks: bool| match side.carried {
            Some((from, framing)) => frames::taken_off(stream, from, framing, masks),
            None => Stream::default(),
        };
        let packets = (taken_off(&client, &requests, true), taken_off(&server, &responses, false));
        Some((Self { flow, proxied, reading, requests, responses, packets }, notes))
    }

    fn transport(&self) -> Option<Transport> {
        self.requests.heads.iter().find_map(|spoken| Transport::of(&spoken.head))
    }

    /// It carries one direction, and another connection the other.
    fn is_half(&self) -> bool {
        self.transport() == Some(Transport::Http)
    }

    /// It carries what the gateway sends.
    fn receives(&self) -> bool {
        self.asks("RDG_OUT_DATA") && self.responses.carried.is_some()
    }

    fn asks(&self, wanted: &str) -> bool {
        self.requests.heads.iter().any(|request| method(&request.head).eq_ignore_ascii_case(wanted))
    }

    /// The other is what carries what this client sends to this gateway.
    fn belongs_with(&self, other: &Self) -> bool {
        let ends = |one: &Self| (one.flow.client.ip(), one.flow.server);
        let same_id = self.id().is_some() && self.id() == other.id();
        same_id && ends(self) == ends(other) && other.asks("RDG_IN_DATA") && other.requests.carried.is_some()
    }

    fn id(&self) -> Option<&str> {
        self.requests.heads.iter().find_map(|request| request.head.field("rdg-connection-id"))
    }

    /// The final answer to the request of this index: those before it are passed over.
    fn answer_to(&self, index: usize) -> Option<&Spoken> {
        let is_final =
            |spoken: &&Spoken| status(&spoken.head).is_some_and(|status| status == 101 || status >= 200);
        self.responses.heads.iter().filter(is_final).nth(index)
    }
}

/// Reads what one connection, or both of one tunnel, hold into facts.
fn tell(
    one: &Carrier,
    other: Option<&Carrier>,
    witness_index: u32,
    keys: &KeyLog,
) -> (Arc<Connection>, Told) {
    let from_client = tunnel::read(&other.unwrap_or(one).packets.0, Side::Client);
    let from_server = tunnel::read(&one.packets.1, Side::Server);
    let ends = ends(&one.flow, other.map(|other| &other.flow));
    let mut inner = ends.clone();
    inner.from_client.stream = from_client.inner;
    inner.from_server.stream = from_server.inner;
    let mut reader = Reader::new(&one.flow, witness_index, keys);
    let connection = Arc::clone(&reader.connection);
    if let Some(outer) = one.flow.outer {
        reader.say(one.flow.first, What::Tunnelled { kind: outer.kind, from: outer.from, to: outer.to });
    }
    for (seen, what) in &one.proxied {
        reader.say(*seen, what.clone());
    }
    tcp::opening(&mut reader);
    reader.reading = one.reading;
    for carrier in [Some(one), other].into_iter().flatten() {
        say_http(&mut reader, carrier);
    }
    reader.turn = whose_turn(one, other, from_client.last, from_server.last);
    for (seen, what) in from_client.said.into_iter().chain(from_server.said.iter().cloned()) {
        reader.say(seen, what);
    }
    if tunnel::is_open(&from_server.said) && !inner.from_client.stream.is_empty() {
        reader.flow = &inner;
        negotiation::read(&mut reader);
    }
    (reader.flow, reader.reading) = (&ends, Reading::Clear);
    tcp::ending(&mut reader);
    (connection, reader.finish())
}

/// How both directions end: the client's where it sends, the server's where it sends.
fn ends(one: &Flow, other: Option<&Flow>) -> Flow {
    let mut ends = one.clone();
    if let Some(other) = other {
        ends.from_client = other.from_client.clone();
        ends.from_server.reset = ends.from_server.reset.or(other.from_server.reset);
        ends.last = ends.last.max(other.last);
        ends.unreachable.extend(other.unreachable.iter().copied());
    }
    ends
}

/// The side that did not speak last has to.
fn whose_turn(
    one: &Carrier,
    other: Option<&Carrier>,
    from_client: Option<Sighting>,
    from_server: Option<Sighting>,
) -> Option<Side> {
    let last = |side: &heads::Side| side.heads.last().map(|spoken| spoken.seen);
    let asked = last(&one.requests).max(other.and_then(|other| last(&other.requests))).max(from_client);
    let answered = last(&one.responses).max(from_server);
    (asked.is_some() || answered.is_some()).then_some(if asked > answered {
        Side::Server
    } else {
        Side::Client
    })
}

/// The requests and answers of one connection.
fn say_http(reader: &mut Reader<'_>, carrier: &Carrier) {
    for request in &carrier.requests.heads {
        let Some(transport) = Transport::of(&request.head) else { continue };
        let field = |name: &str| request.head.field(name).map(ToOwned::to_owned);
        let correlation = field("rdg-correlation-id").map(|id| id.trim_matches(['{', '}']).to_owned());
        let what = What::GatewayRequest {
            transport: transport.name().to_owned(),
            method: method(&request.head).to_owned(),
            host: field("host"),
            authorization: field("authorization").as_deref().map(scheme),
            correlation,
        };
        reader.say(request.seen, what);
    }
    let asked_last = carrier.requests.heads.last().map(|request| request.seen);
    let answers = carrier.responses.heads.iter().filter_map(|spoken| Some((spoken, status(&spoken.head)?)));
    for (spoken, status) in answers.filter(|(_, status)| *status >= 101) {
        let Spoken { head, seen } = spoken;
        let what = What::GatewayStatus {
            status: u32::from(status),
            reason: reason(head),
            offers: offers(head),
            last: asked_last.is_none_or(|asked| asked <= *seen),
        };
        reader.say(*seen, what);
    }
}

fn reason(head: &Head) -> Option<String> {
    match &head.start {
        Start::Response { reason, .. } => reason.clone(),
        Start::Request { .. } => None,
    }
}

/// The word in front of a credential or a challenge.
fn scheme(value: &str) -> String {
    value.split_whitespace().next().unwrap_or_default().to_owned()
}

/// The ways to authenticate that an answer offers, each once.
fn offers(head: &Head) -> Option<String> {
    let mut schemes: Vec<String> = Vec::new();
    for value in head.all("www-authenticate").chain(head.all("proxy-authenticate")) {
        let name = scheme(value);
        if !name.is_empty() && !schemes.contains(&name) && schemes.len() < SCHEMES_MAX {
            schemes.push(name);
        }
    }
    (!schemes.is_empty()).then(|| schemes.join(", "))
}
