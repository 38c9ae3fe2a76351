//! One captured packet unwrapped down to TCP or UDP, to ARP, or to an ICMP error and the packet it quotes.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use etherparse::{
    ArpOperation, ArpPacketSlice, EtherType, IpNumber, LaxNetSlice, LaxSlicedPacket, NetSlice, SlicedPacket,
    TcpSlice, TransportSlice, UdpSlice, ether_type,
};

/// Link types that are unwrapped (the numbers are LINKTYPE_ values of the tcpdump registry).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// Ethernet, with any 802.1Q tags.
    Ethernet,
    /// Linux cooked capture.
    LinuxSll,
    /// Linux cooked capture, version 2.
    LinuxSll2,
    /// Raw IP.
    Raw,
    /// BSD loopback: an address family in 4 bytes, in either byte order.
    Loopback,
}

impl Link {
    /// The link type of that number, or `None` when it is not unwrapped.
    #[must_use]
    pub const fn of(number: i64) -> Option<Self> {
        Some(match number {
            1 => Self::Ethernet,
            0 | 108 => Self::Loopback,
            12 | 14 | 101 | 228 | 229 => Self::Raw,
            113 => Self::LinuxSll,
            276 => Self::LinuxSll2,
            _ => return None,
        })
    }
}

/// A TCP segment with its addresses.
#[derive(Debug, Clone)]
pub struct Segment<'a> {
    /// Sender.
    pub from: SocketAddr,
    /// Receiver.
    pub to: SocketAddr,
    /// Time to live or hop limit.
    pub ttl: u8,
    /// Header and options.
    pub tcp: TcpSlice<'a>,
    /// Payload bytes that were captured.
    pub payload: &'a [u8],
    /// Payload bytes on the wire.
    pub length: u32,
}

/// A UDP datagram with its addresses.
#[derive(Debug, Clone)]
pub struct Datagram<'a> {
    /// Sender.
    pub from: SocketAddr,
    /// Receiver.
    pub to: SocketAddr,
    /// Payload bytes that were captured.
    pub payload: &'a [u8],
    /// Payload bytes on the wire.
    pub length: u32,
}

/// What a packet is, as far as it matters here.
#[derive(Debug, Clone)]
pub enum Packet<'a> {
    /// TCP.
    Tcp(Segment<'a>),
    /// UDP.
    Udp(Datagram<'a>),
    /// ARP for IPv4 (RFC 826): a request asks who has `target`, an answer says that `sender` does.
    Arp {
        /// It is an answer.
        answers: bool,
        /// Address of the sender.
        sender: Ipv4Addr,
        /// Address that is asked for, or that of the asker.
        target: Ipv4Addr,
        /// Link address of the sender.
        mac: [u8; 6],
    },
    /// An ICMP or ICMPv6 error that quotes a TCP packet.
    Unreachable {
        /// Who sent it.
        by: IpAddr,
        /// ICMP type.
        kind: u8,
        /// ICMP code.
        code: u8,
        /// Sender of the quoted packet.
        from: SocketAddr,
        /// Receiver of the quoted packet.
        to: SocketAddr,
    },
    /// A fragment of an IP packet, not the whole.
    Fragment,
    /// Something else.
    Other,
    /// Headers that make no sense.
    Unreadable,
}

/// Unwraps a captured packet.
#[must_use]
pub fn packet(link: Link, bytes: &[u8]) -> Packet<'_> {
    let strict = match link {
        Link::Ethernet => SlicedPacket::from_ethernet(bytes),
        Link::LinuxSll => SlicedPacket::from_linux_sll(bytes),
        Link::LinuxSll2 => match sll2(bytes) {
            Some((kind, rest)) => SlicedPacket::from_ether_type(kind, rest),
            None => return Packet::Unreadable,
        },
        Link::Raw => SlicedPacket::from_ip(bytes),
        Link::Loopback => match loopback(bytes) {
            Some(rest) => SlicedPacket::from_ip(rest),
            None => return Packet::Other,
        },
    };
    match strict {
        Ok(sliced) => whole(&sliced),
        Err(_) => cut(link, bytes),
    }
}

/// SLL2 header: protocol (2), reserved, interface, hardware type, packet type, address; 20 bytes in all.
fn sll2(bytes: &[u8]) -> Option<(EtherType, &[u8])> {
    let (header, rest) = bytes.split_at_checked(20)?;
    let protocol = header.first_chunk::<2>()?;
    Some((EtherType(u16::from_be_bytes(*protocol)), rest))
}

/// BSD loopback header: 2 is IPv4; 10, 24, 28 and 30 are IPv6 on one system or another.
fn loopback(bytes: &[u8]) -> Option<&[u8]> {
    let (header, rest) = bytes.split_first_chunk::<4>()?;
    let family = [u32::from_le_bytes(*header), u32::from_be_bytes(*header)];
    family.iter().any(|f| matches!(f, 2 | 10 | 24 | 28 | 30)).then_some(rest)
}

fn whole<'a>(sliced: &SlicedPacket<'a>) -> Packet<'a> {
    let (from, to, ttl, fragmented) = match &sliced.net {
        Some(NetSlice::Ipv4(ip)) => {
            let header = ip.header();
            let ends = (IpAddr::V4(header.source_addr()), IpAddr::V4(header.destination_addr()));
            (ends.0, ends.1, header.ttl(), ip.payload().fragmented)
        }
        Some(NetSlice::Ipv6(ip)) => {
            let header = ip.header();
            let ends = (IpAddr::V6(header.source_addr()), IpAddr::V6(header.destination_addr()));
            (ends.0, ends.1, header.hop_limit(), ip.payload().fragmented)
        }
        Some(NetSlice::Arp(packet)) => return arp(packet),
        None => return Packet::Other,
    };
    match &sliced.transport {
        Some(TransportSlice::Tcp(tcp)) => {
            let payload = tcp.payload();
            segment((from, to), ttl, tcp.clone(), u32::try_from(payload.len()).unwrap_or(u32::MAX))
        }
        Some(TransportSlice::Udp(udp)) => {
            datagram((from, to), udp, u32::try_from(udp.payload().len()).unwrap_or(u32::MAX))
        }
        Some(transport) => icmp(from, transport),
        None if fragmented => Packet::Fragment,
        None => Packet::Other,
    }
}

fn segment<'a>(ends: (IpAddr, IpAddr), ttl: u8, tcp: TcpSlice<'a>, length: u32) -> Packet<'a> {
    let from = SocketAddr::new(ends.0, tcp.source_port());
    let to = SocketAddr::new(ends.1, tcp.destination_port());
    let payload = tcp.payload();
    Packet::Tcp(Segment { from, to, ttl, tcp, payload, length })
}

fn datagram<'a>(ends: (IpAddr, IpAddr), udp: &UdpSlice<'a>, length: u32) -> Packet<'a> {
    let from = SocketAddr::new(ends.0, udp.source_port());
    let to = SocketAddr::new(ends.1, udp.destination_port());
    Packet::Udp(Datagram { from, to, payload: udp.payload(), length })
}

fn arp<'a>(packet: &ArpPacketSlice<'a>) -> Packet<'a> {
    let address = |bytes: &[u8]| bytes.first_chunk::<4>().map(|bytes| Ipv4Addr::from(*bytes));
    let ends = (address(packet.sender_protocol_addr()), address(packet.target_protocol_addr()));
    let mac = packet.sender_hw_addr().first_chunk::<6>().copied();
    match (ends, mac, packet.operation()) {
        ((Some(sender), Some(target)), Some(mac), ArpOperation::REQUEST | ArpOperation::REPLY) => {
            Packet::Arp { answers: packet.operation() == ArpOperation::REPLY, sender, target, mac }
        }
        _ => Packet::Other,
    }
}

fn icmp<'a>(by: IpAddr, transport: &TransportSlice<'a>) -> Packet<'a> {
    let (kind, code, quoted, is_error) = match transport {
        TransportSlice::Icmpv4(icmp) => {
            (icmp.type_u8(), icmp.code_u8(), icmp.payload(), matches!(icmp.type_u8(), 3 | 11))
        }
        TransportSlice::Icmpv6(icmp) => {
            (icmp.type_u8(), icmp.code_u8(), icmp.payload(), matches!(icmp.type_u8(), 1..=3))
        }
        _ => return Packet::Other,
    };
    match is_error.then(|| quoted_ends(quoted)).flatten() {
        Some((from, to)) => Packet::Unreachable { by, kind, code, from, to },
        None => Packet::Other,
    }
}

/// Addresses and ports of the packet that an ICMP error quotes: its IP header and at least 4 bytes behind it.
fn quoted_ends(quoted: &[u8]) -> Option<(SocketAddr, SocketAddr)> {
    let version = quoted.first()? >> 4;
    let (from, to, protocol, behind) = match version {
        4 => {
            let header_length = usize::from(quoted.first()? & 0x0f) * 4;
            let from: [u8; 4] = *quoted.get(12..)?.first_chunk()?;
            let to: [u8; 4] = *quoted.get(16..)?.first_chunk()?;
            (IpAddr::from(from), IpAddr::from(to), *quoted.get(9)?, quoted.get(header_length..)?)
        }
        6 => {
            let from: [u8; 16] = *quoted.get(8..)?.first_chunk()?;
            let to: [u8; 16] = *quoted.get(24..)?.first_chunk()?;
            (IpAddr::from(from), IpAddr::from(to), *quoted.get(6)?, quoted.get(40..)?)
        }
        _ => return None,
    };
    let [a, b, c, d] = *behind.first_chunk::<4>()?;
    let ports = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
    (IpNumber(protocol) == IpNumber::TCP)
        .then_some((SocketAddr::new(from, ports.0), SocketAddr::new(to, ports.1)))
}

/// A packet that the strict reader refuses: cut by the snap length, or with a length field of 0 (offload).
fn cut(link: Link, bytes: &[u8]) -> Packet<'_> {
    let lax = match link {
        Link::Ethernet => LaxSlicedPacket::from_ethernet(bytes).ok(),
        Link::LinuxSll => sll(bytes).map(|(kind, rest)| LaxSlicedPacket::from_ether_type(kind, rest)),
        Link::LinuxSll2 => sll2(bytes).map(|(kind, rest)| LaxSlicedPacket::from_ether_type(kind, rest)),
        Link::Raw => LaxSlicedPacket::from_ip(bytes).ok(),
        Link::Loopback => loopback(bytes).and_then(|rest| LaxSlicedPacket::from_ip(rest).ok()),
    };
    let Some(lax) = lax else { return Packet::Unreadable };
    let (from, to, ttl, payload_length) = match &lax.net {
        Some(LaxNetSlice::Ipv4(ip)) => {
            let header = ip.header();
            let length = header.total_len().checked_sub(u16::from(header.ihl()) * 4);
            let ends = (IpAddr::V4(header.source_addr()), IpAddr::V4(header.destination_addr()));
            (ends.0, ends.1, header.ttl(), length)
        }
        Some(LaxNetSlice::Ipv6(ip)) => {
            let header = ip.header();
            let extensions = u16::try_from(ip.extensions().slice().len()).unwrap_or(0);
            let length = header.payload_length().checked_sub(extensions);
            let ends = (IpAddr::V6(header.source_addr()), IpAddr::V6(header.destination_addr()));
            (ends.0, ends.1, header.hop_limit(), length)
        }
        Some(LaxNetSlice::Arp(packet)) => return arp(packet),
        None => return if lax.stop_err.is_some() { Packet::Unreadable } else { Packet::Other },
    };
    match lax.transport {
        Some(TransportSlice::Tcp(tcp)) => {
            let captured = u32::try_from(tcp.payload().len()).unwrap_or(u32::MAX);
            let header = u32::try_from(tcp.header_slice().len()).unwrap_or(0);
            let length = payload_length.map_or(0, u32::from).saturating_sub(header).max(captured);
            segment((from, to), ttl, tcp, length)
        }
        Some(TransportSlice::Udp(udp)) => {
            let captured = u32::try_from(udp.payload().len()).unwrap_or(u32::MAX);
            let claimed = u32::from(udp.length()).saturating_sub(8);
            datagram((from, to), &udp, claimed.max(captured))
        }
        Some(transport) => icmp(from, &transport),
        None if lax.stop_err.is_some() => Packet::Unreadable,
        None => Packet::Other,
    }
}

/// SLL header: packet type, hardware type, address length and address, protocol (2) at byte 14; 16 bytes in all.
fn sll(bytes: &[u8]) -> Option<(EtherType, &[u8])> {
    let (header, rest) = bytes.split_at_checked(16)?;
    let protocol = header.get(14..)?.first_chunk::<2>()?;
    let kind = EtherType(u16::from_be_bytes(*protocol));
    matches!(kind, ether_type::IPV4 | ether_type::IPV6 | ether_type::VLAN_TAGGED_FRAME)
        .then_some((kind, rest))
}
