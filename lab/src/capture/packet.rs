//! IP packets around any transport (RFC 791, RFC 8200), UDP (RFC 768) and fragments.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::link::Link;

/// Protocol numbers (IANA).
pub(super) const PROTOCOL_TCP: u8 = 6;
pub(super) const PROTOCOL_UDP: u8 = 17;
pub(super) const PROTOCOL_ICMP: u8 = 1;
pub(super) const PROTOCOL_ICMPV6: u8 = 58;
const NEXT_FRAGMENT: u8 = 44;
const IPV4_HEADER: usize = 20;
const IPV6_HEADER: usize = 40;
const IPV4_DONT_FRAGMENT: u16 = 0x4000;
const IPV4_MORE_FRAGMENTS: u16 = 0x2000;

/// How a transport checksum is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Checksum {
    /// As the RFC says.
    #[default]
    Correct,
    /// One bit off: a packet that was harmed on its way.
    Wrong,
    /// Zero: a capture on a sender whose network card would have filled it in.
    Zero,
}

/// An IPv6 extension header before the transport.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExtensionHeader {
    /// Hop-by-hop options: padding only.
    HopByHop,
    /// Destination options: padding only.
    Destination,
    /// A fragment header of a packet in one piece (an "atomic fragment").
    AtomicFragment,
}

/// Everything of a frame outside its transport.
#[derive(Clone, Debug)]
pub struct Envelope {
    /// Link layer.
    pub link: Link,
    /// Sender's link address.
    pub source_mac: [u8; 6],
    /// Receiver's link address.
    pub destination_mac: [u8; 6],
    /// Sender; a v4 address beside a v6 one is written as v4-mapped.
    pub source: IpAddr,
    /// Receiver.
    pub destination: IpAddr,
    /// Time to live, or hop limit.
    pub ttl: u8,
    /// IPv4 identification; IPv6 fragments use it too.
    pub identification: u16,
    /// IPv4 "don't fragment".
    pub dont_fragment: bool,
    /// IPv6 extension headers, in order.
    pub extensions: Vec<ExtensionHeader>,
}

impl Envelope {
    /// An Ethernet frame with TTL 64 that must not be fragmented; link addresses are made from the IP addresses.
    pub fn new(source: IpAddr, destination: IpAddr) -> Self {
        Self {
            link: Link::default(),
            source_mac: mac_of(source),
            destination_mac: mac_of(destination),
            source,
            destination,
            ttl: 64,
            identification: 0,
            dont_fragment: true,
            extensions: Vec::new(),
        }
    }

    /// The bytes of a frame with a UDP datagram.
    pub fn udp(&self, source_port: u16, destination_port: u16, payload: &[u8]) -> Vec<u8> {
        let mut datagram = Vec::with_capacity(8 + payload.len());
        datagram.extend_from_slice(&source_port.to_be_bytes());
        datagram.extend_from_slice(&destination_port.to_be_bytes());
        datagram.extend_from_slice(&((8 + payload.len()) as u16).to_be_bytes());
        datagram.extend_from_slice(&[0; 2]);
        datagram.extend_from_slice(payload);
        let sum = match self.transport_checksum(PROTOCOL_UDP, &datagram) {
            0 => 0xffff,
            sum => sum,
        };
        datagram[6..8].copy_from_slice(&sum.to_be_bytes());
        self.packet(PROTOCOL_UDP, &datagram)
    }

    /// The bytes of a frame around any transport.
    pub fn packet(&self, protocol: u8, transport: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(transport.len() + 96);
        self.put_link(&mut out);
        self.put_ip(&mut out, protocol, transport);
        out
    }

    /// The same transport in fragments, none of them with more than `mtu` bytes of IP.
    pub fn fragments(&self, protocol: u8, transport: &[u8], mtu: usize) -> Vec<Vec<u8>> {
        let header = if self.is_v6() { IPV6_HEADER + 8 } else { IPV4_HEADER };
        let room = (mtu.saturating_sub(header) / 8 * 8).max(8);
        let count = transport.len().div_ceil(room);
        let pieces = transport.chunks(room).enumerate();
        pieces.map(|(index, piece)| self.fragment(protocol, piece, index * room, index + 1 < count)).collect()
    }

    /// Checksum of a transport with its pseudo header; the checksum field in `transport` must be zero.
    pub(super) fn transport_checksum(&self, protocol: u8, transport: &[u8]) -> u16 {
        let mut sum = u64::from(protocol) + transport.len() as u64;
        if self.is_v6() {
            sum += sum_words(&v6(self.source).octets()) + sum_words(&v6(self.destination).octets());
        } else {
            sum += sum_words(&v4(self.source).octets()) + sum_words(&v4(self.destination).octets());
        }
        fold(sum + sum_words(transport))
    }

    pub(super) fn is_v6(&self) -> bool {
        self.source.is_ipv6() || self.destination.is_ipv6()
    }

    fn put_link(&self, out: &mut Vec<u8>) {
        self.link.put(out, self.source_mac, self.destination_mac, self.is_v6());
    }

    /// Appends the packet from its IP header on.
    pub(super) fn put_ip(&self, out: &mut Vec<u8>, protocol: u8, transport: &[u8]) {
        if self.is_v6() {
            self.put_ipv6(out, protocol, transport);
        } else {
            let flags = if self.dont_fragment { IPV4_DONT_FRAGMENT } else { 0 };
            self.put_ipv4(out, protocol, flags, transport);
        }
    }

    fn put_ipv4(&self, out: &mut Vec<u8>, protocol: u8, fragment: u16, body: &[u8]) {
        let mut header = [0_u8; IPV4_HEADER];
        header[0] = 0x45;
        header[2..4].copy_from_slice(&((IPV4_HEADER + body.len()) as u16).to_be_bytes());
        header[4..6].copy_from_slice(&self.identification.to_be_bytes());
        header[6..8].copy_from_slice(&fragment.to_be_bytes());
        header[8] = self.ttl;
        header[9] = protocol;
        header[12..16].copy_from_slice(&v4(self.source).octets());
        header[16..20].copy_from_slice(&v4(self.destination).octets());
        let sum = fold(sum_words(&header));
        header[10..12].copy_from_slice(&sum.to_be_bytes());
        out.extend_from_slice(&header);
        out.extend_from_slice(body);
    }

    fn put_ipv6(&self, out: &mut Vec<u8>, protocol: u8, transport: &[u8]) {
        let mut extensions = Vec::new();
        let next_of = |index: usize| self.extensions.get(index).map_or(protocol, ExtensionHeader::number);
        for (index, extension) in self.extensions.iter().enumerate() {
            extension.put(&mut extensions, next_of(index + 1), self.identification);
        }
        out.extend_from_slice(&[0x60, 0, 0, 0]);
        out.extend_from_slice(&((extensions.len() + transport.len()) as u16).to_be_bytes());
        out.extend_from_slice(&[next_of(0), self.ttl]);
        out.extend_from_slice(&v6(self.source).octets());
        out.extend_from_slice(&v6(self.destination).octets());
        out.extend_from_slice(&extensions);
        out.extend_from_slice(transport);
    }

    fn fragment(&self, protocol: u8, piece: &[u8], offset: usize, more: bool) -> Vec<u8> {
        let mut out = Vec::new();
        self.put_link(&mut out);
        if self.is_v6() {
            let mut body = vec![protocol, 0];
            body.extend_from_slice(&(offset as u16 | u16::from(more)).to_be_bytes());
            body.extend_from_slice(&u32::from(self.identification).to_be_bytes());
            body.extend_from_slice(piece);
            let plain = Self { extensions: Vec::new(), ..self.clone() };
            plain.put_ipv6(&mut out, NEXT_FRAGMENT, &body);
        } else {
            let flags = if more { IPV4_MORE_FRAGMENTS } else { 0 };
            self.put_ipv4(&mut out, protocol, flags | (offset / 8) as u16, piece);
        }
        out
    }
}

impl ExtensionHeader {
    fn number(&self) -> u8 {
        match self {
            Self::HopByHop => 0,
            Self::Destination => 60,
            Self::AtomicFragment => NEXT_FRAGMENT,
        }
    }

    fn put(&self, out: &mut Vec<u8>, next: u8, identification: u16) {
        match self {
            // Eight bytes: next header, length 0, and one PadN option of six bytes.
            Self::HopByHop | Self::Destination => out.extend_from_slice(&[next, 0, 1, 4, 0, 0, 0, 0]),
            Self::AtomicFragment => {
                out.extend_from_slice(&[next, 0, 0, 0]);
                out.extend_from_slice(&u32::from(identification).to_be_bytes());
            }
        }
    }
}

/// Internet checksum (RFC 1071).
pub(super) fn internet_checksum(bytes: &[u8]) -> u16 {
    fold(sum_words(bytes))
}

fn sum_words(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<4>();
    let sum: u64 = words.iter().map(|word| u64::from(u32::from_be_bytes(*word))).sum();
    let mut tail = [0_u8; 4];
    tail[..rest.len()].copy_from_slice(rest);
    sum + u64::from(u32::from_be_bytes(tail))
}

fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    !(sum as u16)
}

fn v4(address: IpAddr) -> Ipv4Addr {
    match address {
        IpAddr::V4(address) => address,
        IpAddr::V6(_) => Ipv4Addr::UNSPECIFIED,
    }
}

fn v6(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}

/// A locally administered link address made from the last four bytes of the IP address.
fn mac_of(address: IpAddr) -> [u8; 6] {
    let octets = v6(address).octets();
    [0x02, 0x00, octets[12], octets[13], octets[14], octets[15]]
}
