//! What the ends of a flow say to each other, kind by kind.

use super::super::conversation::Side;
use super::random::Random;

const POOL_SIZE: usize = 1 << 16;

/// Kinds of flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Http,
    Tls,
    Dns,
    Rdp,
    /// TCP of no known protocol.
    Other,
}

/// Bytes that look encrypted, to be cut from.
pub(super) struct Pool(Vec<u8>);

/// One message: some bytes that matter, then filling.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) side: Side,
    pub(super) head: Vec<u8>,
    pub(super) fill: usize,
    pub(super) mark: Mark,
}

/// What a message is to the count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    Plain,
    RdpRequest,
    RdpFailure,
}

impl Kind {
    pub(super) fn choose(random: &mut Random, rdp_per_mille: u32) -> Self {
        if random.below(1000) < rdp_per_mille {
            return Self::Rdp;
        }
        match random.below(10) {
            0..4 => Self::Tls,
            4..6 => Self::Http,
            6..9 => Self::Dns,
            _ => Self::Other,
        }
    }

    pub(super) fn port(self, random: &mut Random) -> u16 {
        match self {
            Self::Http => 80,
            Self::Tls => 443,
            Self::Dns => 53,
            Self::Rdp if random.one_in(10) => 33890,
            Self::Rdp => 3389,
            Self::Other => 5000 + random.below(3000) as u16,
        }
    }

    /// Everything that is said in a flow of this kind.
    pub(super) fn script(self, random: &mut Random) -> Vec<Message> {
        match self {
            Self::Http => http(random),
            Self::Tls => tls(random),
            Self::Dns => dns(random),
            Self::Rdp => rdp(random),
            Self::Other => other(random),
        }
    }
}

impl Pool {
    pub(super) fn new(random: &mut Random) -> Self {
        let words = std::iter::repeat_with(|| random.next()).take(2 * POOL_SIZE / 8);
        Self(words.flat_map(u64::to_le_bytes).collect())
    }

    /// `length` bytes (at most 64 KiB) from anywhere in the pool.
    pub(super) fn cut(&self, random: &mut Random, length: usize) -> &[u8] {
        let start = random.below(POOL_SIZE as u32) as usize;
        &self.0[start..start + length.min(POOL_SIZE)]
    }
}

fn message(side: Side, head: Vec<u8>, fill: usize) -> Message {
    Message { side, head, fill, mark: Mark::Plain }
}

fn http(random: &mut Random) -> Vec<Message> {
    let mut said = Vec::new();
    for _ in 0..1 + random.below(4) {
        let path = random.below(100_000);
        let request = format!("GET /item/{path} HTTP/1.1\r\nHost: www.lab.test\r\nAccept: */*\r\n\r\n");
        let length = 200 + random.below(60_000) as usize;
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: {length}\r\n\r\n"
        );
        said.push(message(Side::Client, request.into_bytes(), 0));
        said.push(message(Side::Server, answer.into_bytes(), length));
    }
    said
}

fn tls(random: &mut Random) -> Vec<Message> {
    let mut said = tls_handshake(random, "www.lab.test");
    for _ in 0..1 + random.below(6) {
        let asked = 60 + random.below(600) as usize;
        said.push(message(Side::Client, record_head(23, asked), asked));
        for _ in 0..1 + random.below(4) {
            let answer = 100 + random.below(16_000) as usize;
            said.push(message(Side::Server, record_head(23, answer), answer));
        }
    }
    said
}

fn dns(random: &mut Random) -> Vec<Message> {
    let id = random.next() as u16;
    let mut query = id.to_be_bytes().to_vec();
    query.extend_from_slice(&[1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in [&format!("host{}", random.below(5000)), "lab", "test"] {
        query.push(label.len() as u8);
        query.extend_from_slice(label.as_bytes());
    }
    query.extend_from_slice(&[0, 0, 1, 0, 1]);
    let mut answer = query.clone();
    answer[2] = 0x81;
    answer[3] = 0x80;
    answer[7] = 1;
    answer.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 1, 44, 0, 4, 203, 0, 113]);
    answer.push(random.below(254) as u8 + 1);
    vec![message(Side::Client, query, 0), message(Side::Server, answer, 0)]
}

/// X.224 negotiation (MS-RDPBCGR 2.2.1.1 and 2.2.1.2), then TLS with records of the sizes a session has; one in eight is
/// refused with HYBRID_REQUIRED_BY_SERVER.
fn rdp(random: &mut Random) -> Vec<Message> {
    let protocols = if random.one_in(4) { 1 } else { 3 };
    let cookie = format!("Cookie: mstshash=user{}\r\n", random.below(1000));
    let mut request = tpkt(11 + cookie.len() + 8, 0xe0);
    request.extend_from_slice(cookie.as_bytes());
    request.extend_from_slice(&[1, 0, 8, 0, protocols, 0, 0, 0]);
    let mut said = vec![Message { mark: Mark::RdpRequest, ..message(Side::Client, request, 0) }];

    let mut confirm = tpkt(19, 0xd0);
    if random.one_in(8) {
        confirm.extend_from_slice(&[3, 0, 8, 0, 5, 0, 0, 0]);
        said.push(Message { mark: Mark::RdpFailure, ..message(Side::Server, confirm, 0) });
        return said;
    }
    confirm.extend_from_slice(&[2, 0x1f, 8, 0, if protocols == 3 { 2 } else { 1 }, 0, 0, 0]);
    said.push(message(Side::Server, confirm, 0));
    said.extend(tls_handshake(random, "rdsh01.lab.test"));
    for (side, length) in [(Side::Client, 110), (Side::Server, 179), (Side::Client, 456), (Side::Server, 112)]
    {
        said.push(message(side, record_head(23, length), length));
    }
    for _ in 0..20 + random.below(200) {
        let picture = 60 + random.below(9000) as usize;
        said.push(message(Side::Server, record_head(23, picture), picture));
        if random.one_in(3) {
            said.push(message(Side::Client, record_head(23, 52), 52));
        }
    }
    said
}

fn other(random: &mut Random) -> Vec<Message> {
    let turn = |side, random: &mut Random| message(side, Vec::new(), 1 + random.below(8000) as usize);
    (0..2 + random.below(10))
        .map(|index| turn(if index % 2 == 0 { Side::Client } else { Side::Server }, random))
        .collect()
}

/// TPKT and the fixed part of an X.224 connection TPDU of `length` bytes in all.
fn tpkt(length: usize, code: u8) -> Vec<u8> {
    let mut head = vec![3, 0];
    head.extend_from_slice(&(length as u16).to_be_bytes());
    head.extend_from_slice(&[(length - 5) as u8, code, 0, 0, 0, 0, 0]);
    head
}

/// Hellos that parse, and a server flight of the usual size.
fn tls_handshake(random: &mut Random, name: &str) -> Vec<Message> {
    let mut hello = vec![3, 3];
    hello.extend((0..4).flat_map(|_| random.next().to_le_bytes()));
    let mut server = hello.clone();
    server.extend_from_slice(&[0, 0xc0, 0x30, 0, 0, 0]);
    hello.extend_from_slice(&[0, 0, 6, 0xc0, 0x30, 0xc0, 0x2f, 0x13, 0x02, 1, 0]);
    let name_length = name.len() as u16;
    hello.extend_from_slice(&(name_length + 9).to_be_bytes());
    hello.extend_from_slice(&[0, 0]);
    hello.extend_from_slice(&(name_length + 5).to_be_bytes());
    hello.extend_from_slice(&(name_length + 3).to_be_bytes());
    hello.push(0);
    hello.extend_from_slice(&name_length.to_be_bytes());
    hello.extend_from_slice(name.as_bytes());
    let certificate = 1300 + random.below(2500) as usize;
    vec![
        message(Side::Client, handshake_record(1, &hello), 0),
        message(Side::Server, handshake_record(2, &server), 0),
        message(Side::Server, record_head(22, certificate), certificate),
        message(Side::Client, record_head(22, 100), 100),
        message(Side::Server, record_head(22, 40), 40),
    ]
}

fn record_head(kind: u8, length: usize) -> Vec<u8> {
    let length = (length as u16).to_be_bytes();
    vec![kind, 3, 3, length[0], length[1]]
}

fn handshake_record(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut record = record_head(22, body.len() + 4);
    record.push(kind);
    record.extend_from_slice(&(body.len() as u32).to_be_bytes()[1..]);
    record.extend_from_slice(body);
    record
}
