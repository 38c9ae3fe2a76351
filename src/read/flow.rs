//! A TCP connection as one capture point saw it: both byte streams and what the headers tell.

use std::net::{IpAddr, SocketAddr};

use super::link::Outer;
use super::neighbours::Beside;
use super::stream::Stream;
use crate::fact::{DataSent, Recognised, Side};
use crate::note::Place;
use crate::time::UnixNanos;

/// When and where something was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sighting {
    /// When.
    pub at: UnixNanos,
    /// Where.
    pub place: Place,
}

/// A reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResetSeen {
    /// When and where.
    pub seen: Sighting,
    /// Time to live or hop limit.
    pub ttl: u8,
    /// It carries an acknowledgement.
    pub has_ack: bool,
    /// It carries TCP timestamps.
    pub timestamps: bool,
    /// Offset of its sequence number from the highest byte that side had sent; 0 is exactly in order.
    pub ahead: i64,
}

/// A segment that was sent more than once and not acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resent {
    /// Offset of its first byte in the stream.
    pub start: u64,
    /// Payload bytes.
    pub bytes: u32,
    /// How often it was sent.
    pub tries: u32,
    /// The first time.
    pub first: Sighting,
    /// The last time.
    pub last: Sighting,
}

/// Receive windows of 0 that one side announced while the other had something to send, or probed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ZeroWindow {
    /// The first announcement.
    pub first: Sighting,
    /// How often the window was shut.
    pub times: u32,
    /// Nanoseconds for which it was shut, in all.
    pub over_ns: i64,
}

/// One direction: what one side sent.
#[derive(Debug, Clone, Default)]
pub struct Half {
    /// Packets.
    pub packets: u64,
    /// Initial sequence number, when the SYN was seen.
    pub isn: Option<u32>,
    /// Time to live or hop limit of its first packet that is no reset.
    pub ttl: Option<u8>,
    /// Its first packet carries TCP timestamps.
    pub timestamps: bool,
    /// SYNs: the first, the last and how many.
    pub syn: Option<(Sighting, Sighting, u32)>,
    /// The first packet of this side that is neither SYN nor reset.
    pub first_ack: Option<Sighting>,
    /// FIN.
    pub fin: Option<Sighting>,
    /// First reset.
    pub reset: Option<ResetSeen>,
    /// The last packet.
    pub last: Option<Sighting>,
    /// The last packet with data that was not sent before.
    pub last_new_data: Option<Sighting>,
    /// End of the stream by the highest sequence number seen, whether its bytes came past or not.
    pub claimed_end: u64,
    /// End of what the other side acknowledged.
    pub acknowledged: u64,
    /// Payload bytes of the largest segment that was acknowledged whole.
    pub largest_acknowledged: u32,
    /// Payload bytes of the largest segment that came past.
    pub largest_seen: u32,
    /// The segment that is being repeated, when one is.
    pub resent: Option<Resent>,
    /// Segments sent again, in all.
    pub retransmissions: u32,
    /// Segments with data, what was sent again counted again.
    pub sent: DataSent,
    /// Receive windows of 0 that kept the other side from sending.
    pub zero_window: Option<ZeroWindow>,
    /// Keep-alive probes since the other side was last heard: how many, and the first and the last.
    pub probes: Option<(u32, Sighting, Sighting)>,
    /// What was said.
    pub stream: Stream,
}

/// An ICMP error about this connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnreachableSeen {
    /// The first of its kind.
    pub seen: Sighting,
    /// Who sent it.
    pub from: IpAddr,
    /// ICMP type.
    pub kind: u8,
    /// ICMP code.
    pub code: u8,
    /// How often.
    pub times: u32,
}

/// A TCP connection.
#[derive(Debug, Clone)]
pub struct Flow {
    /// The end that opened the connection.
    pub client: SocketAddr,
    /// The end that was connected to.
    pub server: SocketAddr,
    /// First packet.
    pub first: Sighting,
    /// Last packet.
    pub last: Sighting,
    /// Last packet of the capture, of any connection.
    pub capture_end: UnixNanos,
    /// The tunnel that its first packet came in.
    pub outer: Option<Outer>,
    /// Which connection this is.
    pub recognised: Recognised,
    /// What the client sent.
    pub from_client: Half,
    /// What the server sent.
    pub from_server: Half,
    /// ICMP errors that quote it.
    pub unreachable: Vec<UnreachableSeen>,
    /// What its client or server asked others at that time.
    pub neighbours: Beside,
}

impl Flow {
    /// One direction.
    #[must_use]
    pub fn half(&self, side: Side) -> &Half {
        match side {
            Side::Client => &self.from_client,
            Side::Server => &self.from_server,
        }
    }
}
