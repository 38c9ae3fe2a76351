//! Plays a TCP dialogue and gives the frames that a capture of it would hold.

use std::net::{IpAddr, SocketAddr};

use super::frame::Frame;
use super::icmp::{IcmpError, icmp_error};
use super::link::Link;
use super::packet::{Checksum, Envelope, ExtensionHeader};
use super::tcp::{TcpFlags, TcpOption, TcpSegment};

const STEP_NS_DEFAULT: i64 = 1_000_000;
const MSS_DEFAULT: usize = 1460;
/// What Windows and Linux send; the initial value tells them apart on the wire.
const TTL_WINDOWS: u8 = 128;
const NS_PER_MS: i64 = 1_000_000;

/// One of the two ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The end that opens the connection.
    Client,
    /// The end that listens.
    Server,
}

impl Side {
    /// The other end.
    pub fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

/// An end of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Endpoint {
    /// Address and port.
    pub address: SocketAddr,
    /// TTL of its packets as the capture sees them.
    pub ttl: u8,
    /// Initial sequence number.
    pub isn: u32,
    /// Window it announces.
    pub window: u16,
}

impl Endpoint {
    /// An end with Windows' TTL and a sequence number made from its address.
    pub fn new(address: SocketAddr) -> Self {
        let isn = u32::from(address.port()).wrapping_mul(0x9e37_79b1);
        Self { address, ttl: TTL_WINDOWS, isn, window: 64240 }
    }

    /// The same with another TTL.
    pub fn with_ttl(self, ttl: u8) -> Self {
        Self { ttl, ..self }
    }

    /// The same with another initial sequence number.
    pub fn with_isn(self, isn: u32) -> Self {
        Self { isn, ..self }
    }
}

struct Party {
    endpoint: Endpoint,
    next_seq: u32,
    identification: u16,
    /// Its last time stamp, which the other end echoes.
    stamp: u32,
}

struct Sent {
    side: Side,
    frame: Frame,
    seq: u32,
    payload: Vec<u8>,
}

/// A dialogue in the making; every method adds frames and moves time on.
pub struct Conversation {
    client: Party,
    server: Party,
    time_ns: i64,
    step_ns: i64,
    mss: usize,
    link: Link,
    extensions: Vec<ExtensionHeader>,
    timestamps: bool,
    acks: bool,
    checksum: Checksum,
    sent: Vec<Sent>,
}

impl Conversation {
    /// A dialogue that begins at `time_ns`; nothing has been sent yet.
    pub fn new(client: Endpoint, server: Endpoint, time_ns: i64) -> Self {
        let party =
            |endpoint: Endpoint| Party { endpoint, next_seq: endpoint.isn, identification: 1, stamp: 0 };
        Self {
            client: party(client),
            server: party(server),
            time_ns,
            step_ns: STEP_NS_DEFAULT,
            mss: MSS_DEFAULT,
            link: Link::default(),
            extensions: Vec::new(),
            timestamps: false,
            acks: true,
            checksum: Checksum::Correct,
            sent: Vec::new(),
        }
    }

    /// Time from one frame to the next; 1 ms unless said.
    pub fn step_ns(&mut self, step_ns: i64) -> &mut Self {
        self.step_ns = step_ns;
        self
    }

    /// Bytes of data in a segment; 1460 unless said.
    pub fn mss(&mut self, mss: usize) -> &mut Self {
        self.mss = mss.max(1);
        self
    }

    /// Link layer as seen for the client's packets; a cooked one turns round for the server's.
    pub fn link(&mut self, link: Link) -> &mut Self {
        self.link = link;
        self
    }

    /// IPv6 extension headers in every packet.
    pub fn extensions(&mut self, extensions: Vec<ExtensionHeader>) -> &mut Self {
        self.extensions = extensions;
        self
    }

    /// Whether segments carry time stamps.
    pub fn timestamps(&mut self, on: bool) -> &mut Self {
        self.timestamps = on;
        self
    }

    /// Whether the receiver acknowledges data with segments of its own.
    pub fn acks(&mut self, on: bool) -> &mut Self {
        self.acks = on;
        self
    }

    /// How the following checksums are written.
    pub fn checksums(&mut self, checksum: Checksum) -> &mut Self {
        self.checksum = checksum;
        self
    }

    /// The receive window that a side announces from now on.
    pub fn window(&mut self, side: Side, window: u16) -> &mut Self {
        self.party_mut(side).endpoint.window = window;
        self
    }

    /// Lets time pass.
    pub fn wait_ns(&mut self, ns: i64) -> &mut Self {
        self.time_ns += ns;
        self
    }

    /// Time of the next frame.
    pub fn now_ns(&self) -> i64 {
        self.time_ns
    }

    /// SYN, SYN-ACK, ACK.
    pub fn handshake(&mut self) -> &mut Self {
        self.syn().syn_ack().ack(Side::Client)
    }

    /// The client's SYN; said again it is a retransmission.
    pub fn syn(&mut self) -> &mut Self {
        self.client.next_seq = self.client.endpoint.isn;
        self.emit(Side::Client, TcpFlags::SYN, &[]);
        self.client.next_seq = self.client.endpoint.isn.wrapping_add(1);
        self
    }

    /// The server's SYN-ACK; said again it is a retransmission.
    pub fn syn_ack(&mut self) -> &mut Self {
        self.server.next_seq = self.server.endpoint.isn;
        self.emit(Side::Server, TcpFlags::SYN.with(TcpFlags::ACK), &[]);
        self.server.next_seq = self.server.endpoint.isn.wrapping_add(1);
        self
    }

    /// A bare acknowledgement of all that the other end has sent.
    pub fn ack(&mut self, side: Side) -> &mut Self {
        self.emit(side, TcpFlags::ACK, &[]);
        self
    }

    /// The client sends data, in as many segments as it takes.
    pub fn client_sends(&mut self, data: &[u8]) -> &mut Self {
        self.sends(Side::Client, data)
    }

    /// The server sends data, in as many segments as it takes.
    pub fn server_sends(&mut self, data: &[u8]) -> &mut Self {
        self.sends(Side::Server, data)
    }

    /// Either end sends data; the other acknowledges every second segment and the last.
    pub fn sends(&mut self, side: Side, data: &[u8]) -> &mut Self {
        let count = data.len().div_ceil(self.mss);
        for (index, piece) in data.chunks(self.mss).enumerate() {
            let is_last = index + 1 == count;
            let flags = if is_last { TcpFlags::PSH.with(TcpFlags::ACK) } else { TcpFlags::ACK };
            self.emit(side, flags, piece);
            self.advance(side, piece.len() as u32);
            if self.acks && (is_last || index % 2 == 1) {
                self.ack(side.other());
            }
        }
        self
    }

    /// The last data segment of a side once more, as its sender would repeat it: new IP identification, same data.
    pub fn retransmits(&mut self, side: Side) -> &mut Self {
        if let Some(index) = self.last_data(side) {
            let (seq, payload) = (self.sent[index].seq, self.sent[index].payload.clone());
            self.emit_at(side, seq, TcpFlags::PSH.with(TcpFlags::ACK), &payload, None);
        }
        self
    }

    /// The last data segment of a side is not in the capture: lost before it, or dropped by it.
    pub fn drop_last(&mut self, side: Side) -> &mut Self {
        if let Some(index) = self.last_data(side) {
            self.sent.remove(index);
        }
        self
    }

    /// The last data frame of a side stands in the capture twice, bit by bit the same.
    pub fn duplicate_last(&mut self, side: Side) -> &mut Self {
        if let Some(index) = self.last_data(side) {
            let mut frame = self.sent[index].frame.clone();
            frame.time_ns = self.tick();
            let (seq, payload) = (self.sent[index].seq, self.sent[index].payload.clone());
            self.sent.push(Sent { side, frame, seq, payload });
        }
        self
    }

    /// The last two data frames of a side come in the wrong order.
    pub fn reorder_last(&mut self, side: Side) -> &mut Self {
        let mut data = self
            .sent
            .iter()
            .enumerate()
            .rev()
            .filter(|(_, sent)| is_data(sent, side))
            .map(|(index, _)| index);
        if let (Some(later), Some(earlier)) = (data.next(), data.next()) {
            let (later_ns, earlier_ns) = (self.sent[later].frame.time_ns, self.sent[earlier].frame.time_ns);
            self.sent.swap(earlier, later);
            self.sent[earlier].frame.time_ns = earlier_ns;
            self.sent[later].frame.time_ns = later_ns;
        }
        self
    }

    /// One byte that was acknowledged long ago, as an idle end sends it, and the answer.
    pub fn keep_alive(&mut self, side: Side) -> &mut Self {
        let seq = self.party(side).next_seq.wrapping_sub(1);
        self.emit_at(side, seq, TcpFlags::ACK, &[0], None);
        self.ack(side.other())
    }

    /// The client ends its direction in good order.
    pub fn client_closes(&mut self) -> &mut Self {
        self.closes(Side::Client)
    }

    /// The server ends its direction in good order.
    pub fn server_closes(&mut self) -> &mut Self {
        self.closes(Side::Server)
    }

    /// Either end sends FIN; the other acknowledges it.
    pub fn closes(&mut self, side: Side) -> &mut Self {
        self.emit(side, TcpFlags::FIN.with(TcpFlags::ACK), &[]);
        self.advance(side, 1);
        if self.acks { self.ack(side.other()) } else { self }
    }

    /// The client breaks off.
    pub fn client_resets(&mut self) -> &mut Self {
        self.resets(Side::Client)
    }

    /// The server breaks off; straight after the SYN this is a refusal.
    pub fn server_resets(&mut self) -> &mut Self {
        self.resets(Side::Server)
    }

    /// Either end sends RST.
    pub fn resets(&mut self, side: Side) -> &mut Self {
        let ttl = self.party(side).endpoint.ttl;
        self.forged_reset(side, ttl)
    }

    /// A RST in the name of `side` with a TTL of its own: a middlebox between the ends.
    pub fn forged_reset(&mut self, side: Side, ttl: u8) -> &mut Self {
        let party = self.party(side);
        // An end that never sent SYN answers with sequence number 0 (RFC 9293 3.5.2).
        let seq = if party.next_seq == party.endpoint.isn { 0 } else { party.next_seq };
        self.emit_at(side, seq, TcpFlags::RST.with(TcpFlags::ACK), &[], Some(ttl));
        self
    }

    /// A router or host at `from` answers the last packet of `side` with an ICMP error.
    pub fn icmp(&mut self, side: Side, from: IpAddr, error: IcmpError) -> &mut Self {
        let Some(sent) = self.sent.iter().rev().find(|sent| sent.side == side) else { return self };
        let mut below = Vec::new();
        let is_v6 = self.client.endpoint.address.is_ipv6();
        self.link.put(&mut below, [0; 6], [0; 6], is_v6);
        let about = sent.frame.bytes.get(below.len()..).unwrap_or_default().to_vec();
        let mut envelope = Envelope::new(from, self.party(side).endpoint.address.ip());
        envelope.link = self.link_of(side.other());
        let bytes = icmp_error(&envelope, error, &about);
        self.push(side.other(), 0, Vec::new(), bytes);
        self
    }

    /// A frame of any content at this place.
    pub fn frame(&mut self, bytes: Vec<u8>) -> &mut Self {
        self.push(Side::Client, 0, Vec::new(), bytes);
        self
    }

    /// The frames in order of time.
    pub fn finish(self) -> Vec<Frame> {
        self.sent.into_iter().map(|sent| sent.frame).collect()
    }

    fn emit(&mut self, side: Side, flags: TcpFlags, payload: &[u8]) {
        let seq = self.party(side).next_seq;
        self.emit_at(side, seq, flags, payload, None);
    }

    fn emit_at(&mut self, side: Side, seq: u32, flags: TcpFlags, payload: &[u8], ttl: Option<u8>) {
        let stamp = (self.time_ns / NS_PER_MS) as u32;
        let from = self.party(side);
        let to = self.party(side.other());
        let mut envelope = Envelope::new(from.endpoint.address.ip(), to.endpoint.address.ip());
        envelope.link = self.link_of(side);
        envelope.ttl = ttl.unwrap_or(from.endpoint.ttl);
        envelope.identification = from.identification;
        envelope.extensions.clone_from(&self.extensions);
        let acknowledges = flags.0 & TcpFlags::ACK.0 != 0;
        let segment = TcpSegment {
            source_port: from.endpoint.address.port(),
            destination_port: to.endpoint.address.port(),
            seq,
            ack: if acknowledges { to.next_seq } else { 0 },
            flags,
            window: if flags.0 & TcpFlags::RST.0 != 0 { 0 } else { from.endpoint.window },
            options: self.options(flags, stamp, to.stamp),
            payload,
            checksum: self.checksum,
        };
        let bytes = envelope.tcp(&segment);
        self.push(side, seq, payload.to_vec(), bytes);
        let party = self.party_mut(side);
        party.identification = party.identification.wrapping_add(1);
        party.stamp = stamp;
    }

    fn options(&self, flags: TcpFlags, stamp: u32, echo: u32) -> Vec<TcpOption> {
        let mut options = Vec::new();
        if flags.0 & TcpFlags::SYN.0 != 0 {
            options.push(TcpOption::Mss(self.mss.min(65535) as u16));
            options.extend([TcpOption::Nop, TcpOption::WindowScale(8), TcpOption::SackPermitted]);
        }
        if self.timestamps && flags.0 & TcpFlags::RST.0 == 0 {
            options.push(TcpOption::Timestamps(stamp, echo));
        }
        options
    }

    fn push(&mut self, side: Side, seq: u32, payload: Vec<u8>, bytes: Vec<u8>) {
        let frame = Frame { time_ns: self.tick(), bytes };
        self.sent.push(Sent { side, frame, seq, payload });
    }

    fn tick(&mut self) -> i64 {
        let now = self.time_ns;
        self.time_ns += self.step_ns;
        now
    }

    fn advance(&mut self, side: Side, by: u32) {
        let party = self.party_mut(side);
        party.next_seq = party.next_seq.wrapping_add(by);
    }

    fn last_data(&self, side: Side) -> Option<usize> {
        self.sent.iter().rposition(|sent| is_data(sent, side))
    }

    fn link_of(&self, side: Side) -> Link {
        if side == Side::Client { self.link.clone() } else { self.link.reversed() }
    }

    fn party(&self, side: Side) -> &Party {
        if side == Side::Client { &self.client } else { &self.server }
    }

    fn party_mut(&mut self, side: Side) -> &mut Party {
        if side == Side::Client { &mut self.client } else { &mut self.server }
    }
}

fn is_data(sent: &Sent, side: Side) -> bool {
    sent.side == side && !sent.payload.is_empty()
}
