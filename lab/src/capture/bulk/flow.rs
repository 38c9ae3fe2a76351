//! One flow of bulk traffic: says its script packet by packet.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::super::conversation::Side;
use super::super::packet::Envelope;
use super::super::tcp::{TcpFlags, TcpOption, TcpSegment};
use super::random::Random;
use super::talk::{Kind, Mark, Message, Pool};

const MSS: usize = 1460;
const CLIENTS: u64 = 250;
const CLIENT_PORTS: u64 = 50_000;

/// A flow and what it has still to say.
pub(super) struct Flow {
    kind: Kind,
    client: (IpAddr, u16),
    server: (IpAddr, u16),
    seq: [u32; 2],
    identification: u16,
    script: VecDeque<Message>,
    queue: VecDeque<Segment>,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    New,
    Talking,
    Over,
}

struct Segment {
    side: Side,
    flags: TcpFlags,
    /// Bytes that matter, then how many of filling.
    head: Vec<u8>,
    fill: usize,
    mark: Mark,
}

/// What a packet was to the count.
pub(super) struct Said {
    pub(super) rdp_request: bool,
    pub(super) rdp_failure: bool,
    pub(super) lost: bool,
}

impl Flow {
    pub(super) fn new(number: u64, kind: Kind, random: &mut Random) -> Self {
        let client_host = (number % CLIENTS) as u8 + 1;
        let client_port = 10_000 + (number / CLIENTS % CLIENT_PORTS) as u16;
        let server_host = random.below(250) as u8 + 1;
        let (client, server) = if number % 8 == 7 {
            let address =
                |net, host: u8| IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, net, 0, 0, 0, 0, host.into()));
            (address(1, client_host), address(2, server_host))
        } else {
            let client = Ipv4Addr::new(198, 51, 100, client_host);
            (IpAddr::V4(client), IpAddr::V4(Ipv4Addr::new(203, 0, 113, server_host)))
        };
        Self {
            kind,
            client: (client, client_port),
            server: (server, kind.port(random)),
            seq: [random.next() as u32, random.next() as u32],
            identification: random.next() as u16,
            script: kind.script(random).into(),
            queue: VecDeque::new(),
            state: State::New,
        }
    }

    pub(super) fn is_new(&self) -> bool {
        self.state == State::New
    }

    /// Puts the next frame into `frame`; `None` when all is said.
    pub(super) fn next(&mut self, random: &mut Random, pool: &Pool, frame: &mut Vec<u8>) -> Option<Said> {
        if self.queue.is_empty() {
            self.refill(random);
        }
        let segment = self.queue.pop_front()?;
        let mut payload = segment.head;
        payload.extend_from_slice(pool.cut(random, segment.fill));
        // Data is lost now and then, but never what the count depends on.
        let may_vanish = segment.fill > 0 && self.kind != Kind::Rdp;
        let lost = may_vanish && random.one_in(400);
        frame.clear();
        frame.extend_from_slice(&self.frame(segment.side, segment.flags, &payload));
        if self.kind != Kind::Dns {
            let flags = segment.flags.0 & (TcpFlags::SYN.0 | TcpFlags::FIN.0);
            let seq = &mut self.seq[index(segment.side)];
            *seq = seq.wrapping_add(payload.len() as u32 + u32::from(flags != 0));
        }
        let rdp_request = segment.mark == Mark::RdpRequest;
        Some(Said { rdp_request, rdp_failure: segment.mark == Mark::RdpFailure, lost })
    }

    fn refill(&mut self, random: &mut Random) {
        let is_udp = self.kind == Kind::Dns;
        match (self.state, self.script.pop_front()) {
            (State::New, message) => {
                self.state = State::Talking;
                if !is_udp {
                    self.say(Side::Client, TcpFlags::SYN);
                    self.say(Side::Server, TcpFlags::SYN.with(TcpFlags::ACK));
                    self.say(Side::Client, TcpFlags::ACK);
                }
                message.into_iter().for_each(|message| self.queue_message(message, is_udp));
            }
            (State::Talking, Some(message)) => self.queue_message(message, is_udp),
            (State::Talking, None) => {
                self.state = State::Over;
                if !is_udp {
                    self.queue_end(random);
                }
            }
            (State::Over, _) => {}
        }
    }

    fn queue_message(&mut self, message: Message, is_udp: bool) {
        let Message { side, head, mut fill, mark } = message;
        let first_fill = fill.min(MSS.saturating_sub(head.len()));
        fill -= first_fill;
        let flags = TcpFlags::PSH.with(TcpFlags::ACK);
        self.queue.push_back(Segment { side, flags, head, fill: first_fill, mark });
        let mut segments = 1;
        while fill > 0 {
            let piece = fill.min(MSS);
            fill -= piece;
            self.queue.push_back(Segment { side, flags, head: Vec::new(), fill: piece, mark: Mark::Plain });
            segments += 1;
            if segments % 2 == 0 {
                self.say(side.other(), TcpFlags::ACK);
            }
        }
        if segments % 2 == 1 && !is_udp {
            self.say(side.other(), TcpFlags::ACK);
        }
    }

    fn queue_end(&mut self, random: &mut Random) {
        if random.one_in(4) {
            return self.say(Side::Client, TcpFlags::RST.with(TcpFlags::ACK));
        }
        for side in [Side::Client, Side::Server] {
            self.say(side, TcpFlags::FIN.with(TcpFlags::ACK));
            self.say(side.other(), TcpFlags::ACK);
        }
    }

    fn say(&mut self, side: Side, flags: TcpFlags) {
        self.queue.push_back(Segment { side, flags, head: Vec::new(), fill: 0, mark: Mark::Plain });
    }

    fn frame(&mut self, side: Side, flags: TcpFlags, payload: &[u8]) -> Vec<u8> {
        let (from, to) = match side {
            Side::Client => (self.client, self.server),
            Side::Server => (self.server, self.client),
        };
        let mut envelope = Envelope::new(from.0, to.0);
        self.identification = self.identification.wrapping_add(1);
        envelope.identification = self.identification;
        envelope.ttl = if side == Side::Client { 128 } else { 57 };
        if self.kind == Kind::Dns {
            return envelope.udp(from.1, to.1, payload);
        }
        let is_syn = flags.0 & TcpFlags::SYN.0 != 0;
        let acknowledges = flags.0 & TcpFlags::ACK.0 != 0;
        let options =
            if is_syn { vec![TcpOption::Mss(MSS as u16), TcpOption::WindowScale(8)] } else { Vec::new() };
        envelope.tcp(&TcpSegment {
            source_port: from.1,
            destination_port: to.1,
            seq: self.seq[index(side)],
            ack: if acknowledges { self.seq[index(side.other())] } else { 0 },
            flags,
            window: 64240,
            options,
            payload,
            ..TcpSegment::default()
        })
    }
}

fn index(side: Side) -> usize {
    match side {
        Side::Client => 0,
        Side::Server => 1,
    }
}
