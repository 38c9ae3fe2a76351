//! What goes past beside an RDP connection and may explain it: Kerberos on port 88, kept within
//! limits, and given to each connection of the same client.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};

use super::flow::{Flow, Sighting};
use super::link::{Datagram, Segment};

/// Kerberos (IANA `kerberos`), over UDP and TCP.
const KERBEROS_PORT: u16 = 88;
/// Messages held at one time.
const HELD_MAX: usize = 4_096;
/// How long before a connection's first packet a message still belongs to it.
const BEFORE_NS: i64 = 10_000_000_000;
/// Messages given to one connection.
const GIVEN_MAX: usize = 32;
/// Bytes kept of one message.
const MESSAGE_BYTES_MAX: usize = 2_048;

/// Over what a message came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// One TCP segment with data.
    Tcp,
    /// One UDP datagram.
    Udp,
}

/// One message beside the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Neighbour {
    /// When and where.
    pub seen: Sighting,
    /// Sender.
    pub from: SocketAddr,
    /// Receiver.
    pub to: SocketAddr,
    /// Over what.
    pub transport: Transport,
    /// Its bytes, cut at a limit.
    pub payload: Box<[u8]>,
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

/// The messages held, oldest first.
#[derive(Debug, Default)]
pub struct Neighbours {
    held: VecDeque<Neighbour>,
}

impl Neighbours {
    /// Takes a TCP segment of any connection.
    pub fn segment(&mut self, segment: &Segment<'_>, seen: Sighting) {
        if segment.from.port() == KERBEROS_PORT && !segment.payload.is_empty() {
            self.hold(seen, (segment.from, segment.to), Transport::Tcp, segment.payload);
        }
    }

    /// Takes a UDP datagram.
    pub fn datagram(&mut self, datagram: &Datagram<'_>, seen: Sighting) {
        if datagram.from.port() == KERBEROS_PORT {
            self.hold(seen, (datagram.from, datagram.to), Transport::Udp, datagram.payload);
        }
    }

    /// Takes an ARP packet.
    pub fn arp(&mut self, _arp: Arp) {}

    fn hold(&mut self, seen: Sighting, ends: (SocketAddr, SocketAddr), transport: Transport, bytes: &[u8]) {
        if self.held.len() == HELD_MAX {
            self.held.pop_front();
        }
        let payload = bytes.get(..MESSAGE_BYTES_MAX.min(bytes.len())).unwrap_or_default().into();
        self.held.push_back(Neighbour { seen, from: ends.0, to: ends.1, transport, payload });
    }

    /// What belongs to a connection that is over: what its client exchanged from shortly before its first packet to its
    /// last.
    #[must_use]
    pub fn of(&self, flow: &Flow) -> Vec<Neighbour> {
        let (client, last) = (flow.client.ip(), flow.last.at);
        let belongs = |one: &&Neighbour| {
            (one.from.ip() == client || one.to.ip() == client)
                && flow.first.at.since(one.seen.at) <= BEFORE_NS
                && one.seen.at <= last
        };
        self.held.iter().filter(belongs).take(GIVEN_MAX).cloned().collect()
    }
}
