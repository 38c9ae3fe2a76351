//! One captured packet unwrapped, through tunnels, down to TCP or UDP, to ARP, or to an ICMP error and the packet it
//! quotes.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use etherparse::{
    ArpOperation, ArpPacketSlice, EtherType, IpAuthHeaderSlice, IpFragOffset, IpNumber, Ipv4HeaderSlice,
    Ipv6ExtensionsSlice, Ipv6FragmentHeaderSlice, Ipv6HeaderSlice, Ipv6RawExtHeaderSlice, LaxNetSlice,
    LaxSlicedPacket, NetSlice, SlicedPacket, TcpSlice, TransportSlice, UdpSlice, ether_type,
};

use crate::fact::Tunnel;

mod tunnel;

/// Tunnels in tunnels that are unwrapped.
const DEPTH_MAX: u8 = 8;

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
    /// PPP (RFC 1661), with or without the address and control bytes of RFC 1662.
    Ppp,
    /// PPP in HDLC-like framing (RFC 1662), or Cisco HDLC.
    Hdlc,
    /// PPP over Ethernet (RFC 2516), from its own header on.
    Pppoe,
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
            9 => Self::Ppp,
            50 | 104 => Self::Hdlc,
            51 => Self::Pppoe,
            _ => return None,
        })
    }
}

/// The outermost tunnel of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outer {
    /// What tunnel.
    pub kind: Tunnel,
    /// The end that wrapped the packet.
    pub from: IpAddr,
    /// The end that it was wrapped for.
    pub to: IpAddr,
}

/// What is around the headers that are being read.
#[derive(Debug, Clone, Copy, Default)]
struct Shell {
    outer: Option<Outer>,
    /// Tunnels so far.
    depth: u8,
}

impl Shell {
    const fn deeper(self) -> Self {
        Self { outer: self.outer, depth: self.depth.saturating_add(1) }
    }

    /// Inside a tunnel between two addresses; the outermost one is remembered.
    fn inside(self, kind: Tunnel, (from, to): (IpAddr, IpAddr)) -> Self {
        let outer = self.outer.or(Some(Outer { kind, from, to }));
        Self { outer, ..self.deeper() }
    }
}

/// Headers that are read next.
#[derive(Debug, Clone, Copy)]
enum Layer<'a> {
    Ethernet(&'a [u8]),
    LinuxSll(&'a [u8]),
    Typed(EtherType, &'a [u8]),
    Ip(&'a [u8]),
}

/// What an IP header says.
#[derive(Debug, Clone, Copy)]
struct Net {
    ends: (IpAddr, IpAddr),
    ttl: u8,
    /// Identification of IPv4; 0 of IPv6, which has none.
    identification: u16,
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
    /// IPv4 identification: each packet of a sender has another one, unless it is 0; IPv6 has none.
    pub identification: u16,
    /// The tunnel it came in; boxed, because a packet is moved and few come in one.
    pub outer: Option<Box<Outer>>,
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
    /// The tunnel it came in.
    pub outer: Option<Box<Outer>>,
    /// Payload bytes that were captured.
    pub payload: &'a [u8],
    /// Payload bytes on the wire.
    pub length: u32,
}

/// A fragment of an IP packet (RFC 791 3.2, RFC 8200 4.5).
#[derive(Debug, Clone)]
pub struct Fragment<'a> {
    /// Sender.
    pub from: IpAddr,
    /// Receiver.
    pub to: IpAddr,
    /// The number that its packet's fragments share.
    pub identification: u32,
    /// Protocol of what is fragmented.
    pub protocol: IpNumber,
    /// Where its bytes belong.
    pub offset: IpFragOffset,
    /// It is not the last.
    pub more: bool,
    /// Its bytes.
    pub bytes: &'a [u8],
    /// All of it was captured and can be read.
    pub whole: bool,
    /// Time to live or hop limit.
    pub ttl: u8,
    shell: Shell,
}

/// An IP packet put together from its fragments.
#[derive(Debug, Clone)]
pub struct Reassembled {
    net: Net,
    protocol: IpNumber,
    shell: Shell,
    bytes: Vec<u8>,
}

impl Reassembled {
    /// The packet of which `fragment` was the last one missing.
    #[must_use]
    pub fn new(fragment: &Fragment<'_>, bytes: Vec<u8>) -> Self {
        let identification = u16::try_from(fragment.identification).unwrap_or(0);
        let net = Net { ends: (fragment.from, fragment.to), ttl: fragment.ttl, identification };
        Self { net, protocol: fragment.protocol, shell: fragment.shell, bytes }
    }
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
    /// An ICMP or ICMPv6 error that quotes a TCP or UDP packet.
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
        /// It is a UDP packet.
        udp: bool,
    },
    /// A fragment of an IP packet, not the whole.
    Fragment(Box<Fragment<'a>>),
    /// More tunnels in tunnels than are unwrapped.
    TooDeep,
    /// Something else.
    Other,
    /// Headers that make no sense.
    Unreadable,
}

/// Unwraps a captured packet.
#[must_use]
pub fn packet(link: Link, bytes: &[u8]) -> Packet<'_> {
    let shell = Shell::default();
    match link {
        Link::Ethernet => layer(Layer::Ethernet(bytes), shell),
        Link::LinuxSll => layer(Layer::LinuxSll(bytes), shell),
        Link::LinuxSll2 => match sll2(bytes) {
            Some((kind, rest)) => layer(Layer::Typed(kind, rest), shell),
            None => Packet::Unreadable,
        },
        Link::Raw => layer(Layer::Ip(bytes), shell),
        Link::Loopback => match loopback(bytes) {
            Some(rest) => layer(Layer::Ip(rest), shell),
            None => Packet::Other,
        },
        Link::Ppp => tunnel::ppp(bytes, shell),
        Link::Hdlc => tunnel::hdlc(bytes, shell),
        Link::Pppoe => tunnel::pppoe(bytes, shell),
    }
}

/// Unwraps an IP packet that was put together from its fragments.
#[must_use]
pub fn reassembled(whole: &Reassembled) -> Packet<'_> {
    transport(whole.net, whole.protocol, &whole.bytes, whole.shell)
}

fn layer(layer: Layer<'_>, shell: Shell) -> Packet<'_> {
    if shell.depth > DEPTH_MAX {
        return Packet::TooDeep;
    }
    let strict = match layer {
        Layer::Ethernet(bytes) => SlicedPacket::from_ethernet(bytes),
        Layer::LinuxSll(bytes) => SlicedPacket::from_linux_sll(bytes),
        Layer::Typed(kind, bytes) => SlicedPacket::from_ether_type(kind, bytes),
        Layer::Ip(bytes) => SlicedPacket::from_ip(bytes),
    };
    match strict {
        Ok(sliced) => whole(&sliced, shell),
        Err(_) => cut(layer, shell),
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

fn whole<'a>(sliced: &SlicedPacket<'a>, shell: Shell) -> Packet<'a> {
    let (net, payload) = match &sliced.net {
        Some(NetSlice::Ipv4(ip)) => (Net::v4(ip.header()), ip.payload()),
        Some(NetSlice::Ipv6(ip)) => (Net::v6(ip.header()), ip.payload()),
        Some(NetSlice::Arp(packet)) => return arp(packet),
        None => {
            let Some(inner) = sliced.ether_payload() else { return Packet::Other };
            return tunnel::typed(inner.ether_type, inner.payload, shell);
        }
    };
    match &sliced.transport {
        Some(TransportSlice::Tcp(tcp)) => {
            segment(net, shell, tcp.clone(), u32::try_from(tcp.payload().len()).unwrap_or(u32::MAX))
        }
        Some(TransportSlice::Udp(udp)) => {
            datagram(net, shell, udp, u32::try_from(udp.payload().len()).unwrap_or(u32::MAX))
        }
        Some(transport) => icmp(net.ends.0, transport),
        None if payload.fragmented => match &sliced.net {
            Some(NetSlice::Ipv4(ip)) => fragment_v4(ip.header(), payload.payload, true, shell),
            Some(NetSlice::Ipv6(ip)) => {
                fragment_v6(ip.header(), ip.extensions(), payload.payload, true, shell)
            }
            _ => Packet::Other,
        },
        None => tunnel::in_ip(payload.ip_number, payload.payload, net, shell),
    }
}

impl Net {
    fn v4(header: Ipv4HeaderSlice<'_>) -> Self {
        let ends = (IpAddr::V4(header.source_addr()), IpAddr::V4(header.destination_addr()));
        Self { ends, ttl: header.ttl(), identification: header.identification() }
    }

    fn v6(header: Ipv6HeaderSlice<'_>) -> Self {
        let ends = (IpAddr::V6(header.source_addr()), IpAddr::V6(header.destination_addr()));
        Self { ends, ttl: header.hop_limit(), identification: 0 }
    }
}

fn fragment_v4<'a>(header: Ipv4HeaderSlice<'_>, bytes: &'a [u8], whole: bool, shell: Shell) -> Packet<'a> {
    let Net { ends: (from, to), ttl, identification } = Net::v4(header);
    Packet::Fragment(Box::new(Fragment {
        from,
        to,
        identification: u32::from(identification),
        protocol: header.protocol(),
        offset: header.fragments_offset(),
        more: header.more_fragments(),
        bytes,
        whole,
        ttl,
        shell,
    }))
}

/// A fragment whose own extension headers stand behind the fragment header is not put together: only the first has them,
/// and what reads the headers takes them for this packet's.
fn fragment_v6<'a>(
    header: Ipv6HeaderSlice<'_>,
    extensions: &Ipv6ExtensionsSlice<'_>,
    bytes: &'a [u8],
    whole: bool,
    shell: Shell,
) -> Packet<'a> {
    let Some((fragment, behind)) = fragment_header(extensions) else { return Packet::Unreadable };
    let Net { ends: (from, to), ttl, .. } = Net::v6(header);
    Packet::Fragment(Box::new(Fragment {
        from,
        to,
        identification: fragment.identification(),
        protocol: fragment.next_header(),
        offset: fragment.fragment_offset(),
        more: fragment.more_fragments(),
        bytes,
        whole: whole && behind.is_empty(),
        ttl,
        shell,
    }))
}

/// The fragment header among the extension headers that are there, and what of them stands behind it. Each is looked at by
/// its own length: the iterator of etherparse 0.21 trusts the chain, and reads beyond one that a capture has cut.
fn fragment_header<'a>(
    extensions: &Ipv6ExtensionsSlice<'a>,
) -> Option<(Ipv6FragmentHeaderSlice<'a>, &'a [u8])> {
    let mut number = extensions.first_header()?;
    let mut rest = extensions.slice();
    loop {
        let (length, next) = match number {
            IpNumber::IPV6_HEADER_HOP_BY_HOP
            | IpNumber::IPV6_DESTINATION_OPTIONS
            | IpNumber::IPV6_ROUTE_HEADER => {
                let header = Ipv6RawExtHeaderSlice::from_slice(rest).ok()?;
                (header.slice().len(), header.next_header())
            }
            IpNumber::AUTHENTICATION_HEADER => {
                let header = IpAuthHeaderSlice::from_slice(rest).ok()?;
                (header.slice().len(), header.next_header())
            }
            IpNumber::IPV6_FRAGMENTATION_HEADER => {
                let header = Ipv6FragmentHeaderSlice::from_slice(rest).ok()?;
                let behind = rest.get(header.slice().len()..)?;
                return Some((header, behind));
            }
            _ => return None,
        };
        rest = rest.get(length..)?;
        number = next;
    }
}

/// What stands behind the IP headers of a packet that was put together.
fn transport(net: Net, protocol: IpNumber, bytes: &[u8], shell: Shell) -> Packet<'_> {
    let captured = |payload: &[u8]| u32::try_from(payload.len()).unwrap_or(u32::MAX);
    match protocol {
        IpNumber::TCP => match TcpSlice::from_slice(bytes) {
            Ok(tcp) => segment(net, shell, tcp.clone(), captured(tcp.payload())),
            Err(_) => Packet::Unreadable,
        },
        IpNumber::UDP => match UdpSlice::from_slice(bytes) {
            Ok(udp) => datagram(net, shell, &udp, captured(udp.payload())),
            Err(_) => Packet::Unreadable,
        },
        other => tunnel::in_ip(other, bytes, net, shell),
    }
}

fn segment(net: Net, shell: Shell, tcp: TcpSlice<'_>, length: u32) -> Packet<'_> {
    let from = SocketAddr::new(net.ends.0, tcp.source_port());
    let to = SocketAddr::new(net.ends.1, tcp.destination_port());
    let (payload, outer) = (tcp.payload(), shell.outer.map(Box::new));
    let (ttl, identification) = (net.ttl, net.identification);
    Packet::Tcp(Segment { from, to, ttl, identification, outer, tcp, payload, length })
}

fn datagram<'a>(net: Net, shell: Shell, udp: &UdpSlice<'a>, length: u32) -> Packet<'a> {
    let (payload, port) = (udp.payload(), udp.destination_port());
    if let Some(inner) = tunnel::in_udp(port, payload, net.ends, shell) {
        return inner;
    }
    let from = SocketAddr::new(net.ends.0, udp.source_port());
    let to = SocketAddr::new(net.ends.1, port);
    Packet::Udp(Datagram { from, to, outer: shell.outer.map(Box::new), payload, length })
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
        Some((from, to, udp)) => Packet::Unreachable { by, kind, code, from, to, udp },
        None => Packet::Other,
    }
}

/// Addresses and ports of the packet that an ICMP error quotes: its IP header and at least 4 bytes behind it; and whether it
/// is UDP.
fn quoted_ends(quoted: &[u8]) -> Option<(SocketAddr, SocketAddr, bool)> {
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
    let udp = IpNumber(protocol) == IpNumber::UDP;
    (udp || IpNumber(protocol) == IpNumber::TCP).then_some((
        SocketAddr::new(from, ports.0),
        SocketAddr::new(to, ports.1),
        udp,
    ))
}

/// A packet that the strict reader refuses: cut by the snap length, or with a length field of 0 (offload).
fn cut(layer: Layer<'_>, shell: Shell) -> Packet<'_> {
    let lax = match layer {
        Layer::Ethernet(bytes) => LaxSlicedPacket::from_ethernet(bytes).ok(),
        Layer::LinuxSll(bytes) => sll(bytes).map(|(kind, rest)| LaxSlicedPacket::from_ether_type(kind, rest)),
        Layer::Typed(kind, bytes) => Some(LaxSlicedPacket::from_ether_type(kind, bytes)),
        Layer::Ip(bytes) => LaxSlicedPacket::from_ip(bytes).ok(),
    };
    let Some(lax) = lax else { return Packet::Unreadable };
    let (net, payload_length, payload) = match &lax.net {
        Some(LaxNetSlice::Ipv4(ip)) => {
            let header = ip.header();
            let length = header.total_len().checked_sub(u16::from(header.ihl()) * 4);
            (Net::v4(header), length, ip.payload())
        }
        Some(LaxNetSlice::Ipv6(ip)) => {
            let header = ip.header();
            let extensions = u16::try_from(ip.extensions().slice().len()).unwrap_or(0);
            (Net::v6(header), header.payload_length().checked_sub(extensions), ip.payload())
        }
        Some(LaxNetSlice::Arp(packet)) => return arp(packet),
        None if lax.stop_err.is_some() => return Packet::Unreadable,
        None => {
            let Some(inner) = lax.ether_payload() else { return Packet::Other };
            return tunnel::typed(inner.ether_type, inner.payload, shell);
        }
    };
    match lax.transport {
        Some(TransportSlice::Tcp(tcp)) => {
            let captured = u32::try_from(tcp.payload().len()).unwrap_or(u32::MAX);
            let header = u32::try_from(tcp.header_slice().len()).unwrap_or(0);
            let length = payload_length.map_or(0, u32::from).saturating_sub(header).max(captured);
            segment(net, shell, tcp, length)
        }
        Some(TransportSlice::Udp(udp)) => {
            let captured = u32::try_from(udp.payload().len()).unwrap_or(u32::MAX);
            let claimed = u32::from(udp.length()).saturating_sub(8);
            datagram(net, shell, &udp, claimed.max(captured))
        }
        Some(transport) => icmp(net.ends.0, &transport),
        None if payload.fragmented => match &lax.net {
            Some(LaxNetSlice::Ipv4(ip)) => {
                fragment_v4(ip.header(), payload.payload, !payload.incomplete, shell)
            }
            Some(LaxNetSlice::Ipv6(ip)) => {
                let whole = !payload.incomplete;
                fragment_v6(ip.header(), ip.extensions(), payload.payload, whole, shell)
            }
            _ => Packet::Other,
        },
        None if lax.stop_err.is_some() => Packet::Unreadable,
        None => tunnel::in_ip(payload.ip_number, payload.payload, net, shell),
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
