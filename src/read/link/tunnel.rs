//! What carries other packets: VLAN tags beyond the first ones, PPP, MPLS, GRE, ERSPAN, VXLAN, Geneve, IP in IP.

use std::net::IpAddr;

use etherparse::{EtherType, IpNumber};

use super::{Layer, Net, Packet, Shell, layer};
use crate::fact::Tunnel;

const IPV4: u16 = 0x0800;
const ARP: u16 = 0x0806;
const IPV6: u16 = 0x86dd;
const MPLS: u16 = 0x8847;
const MPLS_UPSTREAM: u16 = 0x8848;
const PPPOE_SESSION: u16 = 0x8864;
const PPP_IN_GRE: u16 = 0x880b;
const ETHERNET: u16 = 0x6558;
const ERSPAN: u16 = 0x88be;
const ERSPAN_3: u16 = 0x22eb;
/// Tags of 802.1Q, 802.1ad, and those that were written before it.
const TAGS: [u16; 4] = [0x8100, 0x88a8, 0x9100, 0x9200];

/// VXLAN (IANA), and the port of Linux before that was assigned.
const VXLAN_PORTS: [u16; 2] = [4789, 8472];
const GENEVE_PORT: u16 = 6081;
const IN_MPLS: IpNumber = IpNumber(137);

/// A protocol of Ethernet that is neither IP nor ARP.
pub(super) fn typed(kind: EtherType, bytes: &[u8], shell: Shell) -> Packet<'_> {
    match kind.0 {
        MPLS | MPLS_UPSTREAM => mpls(bytes, shell),
        PPPOE_SESSION => pppoe(bytes, shell),
        tag if TAGS.contains(&tag) => match bytes.split_first_chunk::<4>() {
            Some(([_, _, high, low], rest)) => named(u16::from_be_bytes([*high, *low]), rest, shell.deeper()),
            None => Packet::Unreadable,
        },
        _ => Packet::Other,
    }
}

/// What an EtherType says is inside of a tunnel.
fn named(kind: u16, bytes: &[u8], shell: Shell) -> Packet<'_> {
    match kind {
        ETHERNET => layer(Layer::Ethernet(bytes), shell),
        kind => layer(Layer::Typed(EtherType(kind), bytes), shell),
    }
}

/// A protocol of IP that carries packets.
pub(super) fn in_ip(protocol: IpNumber, bytes: &[u8], net: Net, shell: Shell) -> Packet<'_> {
    match protocol {
        IpNumber::IPV4 => named(IPV4, bytes, shell.inside(Tunnel::IpInIp, net.ends)),
        IpNumber::IPV6 => named(IPV6, bytes, shell.inside(Tunnel::IpInIp, net.ends)),
        IpNumber::GRE => gre(bytes, net.ends, shell),
        IN_MPLS => mpls(bytes, shell),
        _ => Packet::Other,
    }
}

/// A datagram that carries a packet: to a port of VXLAN or Geneve, and with what such a tunnel carries inside.
pub(super) fn in_udp(port: u16, bytes: &[u8], ends: (IpAddr, IpAddr), shell: Shell) -> Option<Packet<'_>> {
    if VXLAN_PORTS.contains(&port) {
        let frame = vxlan(bytes)?;
        return Some(layer(Layer::Ethernet(frame), shell.inside(Tunnel::Vxlan, ends)));
    }
    if port == GENEVE_PORT {
        let (kind, inner) = geneve(bytes)?;
        return Some(named(kind, inner, shell.inside(Tunnel::Geneve, ends)));
    }
    None
}

/// VXLAN (RFC 7348 5): flags with the I bit, 3 bytes reserved or a group policy, network identifier (3), reserved.
fn vxlan(bytes: &[u8]) -> Option<&[u8]> {
    let ([flags, second, _, _, _, _, _, reserved], frame) = bytes.split_first_chunk::<8>()?;
    // The G bit, and D and A in the second byte, belong to the group policy extension.
    let sane = flags & 0x7f == 0x08 && second & 0xb7 == 0 && *reserved == 0;
    (sane && is_frame(frame)).then_some(frame)
}

/// Geneve (RFC 8926 3.4): version and length of the options in words, flags, protocol (2), network identifier (3), reserved.
fn geneve(bytes: &[u8]) -> Option<(u16, &[u8])> {
    let ([first, flags, high, low, _, _, _, reserved], rest) = bytes.split_first_chunk::<8>()?;
    let inner = rest.get(usize::from(first & 0x3f) * 4..)?;
    let kind = u16::from_be_bytes([*high, *low]);
    let sane = first >> 6 == 0 && flags & 0x3f == 0 && *reserved == 0;
    (sane && if kind == ETHERNET { is_frame(inner) } else { is_network(kind, inner) })
        .then_some((kind, inner))
}

/// Is this an Ethernet frame with an IP packet or ARP in it?
fn is_frame(bytes: &[u8]) -> bool {
    let mut at = 12;
    for _ in 0..=TAGS.len() {
        let Some(kind) = bytes.get(at..).and_then(|rest| rest.first_chunk::<2>()) else { return false };
        let kind = u16::from_be_bytes(*kind);
        if !TAGS.contains(&kind) {
            return is_network(kind, bytes.get(at + 2..).unwrap_or_default());
        }
        at += 4;
    }
    false
}

fn is_network(kind: u16, bytes: &[u8]) -> bool {
    match (kind, bytes) {
        (IPV4, [first, _, high, low, ..]) => {
            let header = u16::from(first & 0x0f) * 4;
            first >> 4 == 4 && header >= 20 && u16::from_be_bytes([*high, *low]) >= header
        }
        (IPV6, [first, ..]) => first >> 4 == 6,
        (ARP, [0, 1, 8, 0, ..]) => true,
        _ => false,
    }
}

/// GRE (RFC 2784, RFC 2890): flags and version (2), protocol (2), then checksum and reserved, key, sequence number, 4 bytes
/// each where their flag stands. Version 1 is that of PPTP (RFC 2637 4.1), with an acknowledgement more.
fn gre(bytes: &[u8], ends: (IpAddr, IpAddr), shell: Shell) -> Packet<'_> {
    let Some(([flags, version, high, low], rest)) = bytes.split_first_chunk::<4>() else {
        return Packet::Unreadable;
    };
    let kind = u16::from_be_bytes([*high, *low]);
    let is_pptp = version & 7 == 1 && kind == PPP_IN_GRE;
    let has_routing = flags & 0x40 != 0;
    if has_routing || (version & 7 != 0 && !is_pptp) {
        return Packet::Other;
    }
    let acknowledges = is_pptp && version & 0x80 != 0;
    let parts = [flags & 0x80 != 0, flags & 0x20 != 0, flags & 0x10 != 0, acknowledges];
    let skipped = parts.iter().filter(|is_there| **is_there).count() * 4;
    let Some(inner) = rest.get(skipped..) else { return Packet::Unreadable };
    if inner.is_empty() {
        // A bare acknowledgement of PPTP, or a keep-alive.
        return Packet::Other;
    }
    let is_numbered = flags & 0x10 != 0;
    match kind {
        ERSPAN | ERSPAN_3 => match erspan(kind, is_numbered, inner) {
            Some(frame) => layer(Layer::Ethernet(frame), shell.inside(Tunnel::Erspan, ends)),
            None => Packet::Other,
        },
        PPP_IN_GRE if is_pptp => ppp(inner, shell.inside(Tunnel::Gre, ends)),
        kind => match named_or_typed(kind) {
            true => named(kind, inner, shell.inside(Tunnel::Gre, ends)),
            false => Packet::Other,
        },
    }
}

/// What GRE may carry and this program reads.
fn named_or_typed(kind: u16) -> bool {
    matches!(kind, IPV4 | IPV6 | ARP | ETHERNET | MPLS | MPLS_UPSTREAM | PPPOE_SESSION)
        || TAGS.contains(&kind)
}

/// The mirrored frame behind an ERSPAN header (draft-foschiano-erspan 4): none in type I, which has no sequence number,
/// 8 bytes with version 1 in type II, 12 with version 2 in type III and 8 more where its O bit stands.
fn erspan(kind: u16, is_numbered: bool, bytes: &[u8]) -> Option<&[u8]> {
    let version = bytes.first()? >> 4;
    match (kind, is_numbered) {
        (ERSPAN, false) => Some(bytes),
        (ERSPAN, true) if version == 1 => bytes.get(8..),
        (ERSPAN_3, _) if version == 2 => {
            let has_more = bytes.get(11)? & 1 != 0;
            bytes.get(if has_more { 20 } else { 12 }..)
        }
        _ => None,
    }
}

/// PPPoE (RFC 2516 4): version and type 0x11, code 0 in a session, session (2), length (2).
pub(super) fn pppoe(bytes: &[u8], shell: Shell) -> Packet<'_> {
    match bytes.split_first_chunk::<6>() {
        Some(([0x11, 0, _, _, _, _], rest)) => ppp(rest, shell),
        Some(_) => Packet::Other,
        None => Packet::Unreadable,
    }
}

/// PPP (RFC 1661 2): address and control (ff 03) where they were not left out, then the protocol, in one byte where
/// that is odd (RFC 1661 6.5).
pub(super) fn ppp(bytes: &[u8], shell: Shell) -> Packet<'_> {
    let bytes = bytes.strip_prefix(&[0xff, 0x03]).unwrap_or(bytes);
    let (protocol, inner) = match bytes {
        [first, rest @ ..] if first & 1 == 1 => (u16::from(*first), rest),
        [first, second, rest @ ..] => (u16::from_be_bytes([*first, *second]), rest),
        _ => return Packet::Unreadable,
    };
    match protocol {
        0x0021 => named(IPV4, inner, shell.deeper()),
        0x0057 => named(IPV6, inner, shell.deeper()),
        0x0281 | 0x0283 => mpls(inner, shell),
        _ => Packet::Other,
    }
}

/// Cisco HDLC: address 0x0f or 0x8f, control 0, EtherType; else PPP.
pub(super) fn hdlc(bytes: &[u8], shell: Shell) -> Packet<'_> {
    match bytes {
        [0x0f | 0x8f, 0, high, low, rest @ ..] => {
            named(u16::from_be_bytes([*high, *low]), rest, shell.deeper())
        }
        _ => ppp(bytes, shell),
    }
}

/// MPLS (RFC 3032 2.1): labels of 4 bytes up to the one with the bottom bit. What follows has no name: IP by its version,
/// or an Ethernet frame, mostly behind a control word (RFC 4448 4.6).
fn mpls(bytes: &[u8], shell: Shell) -> Packet<'_> {
    let mut rest = bytes;
    let shell = shell.deeper();
    loop {
        let Some(([_, _, third, _], behind)) = rest.split_first_chunk::<4>() else {
            return Packet::Unreadable;
        };
        rest = behind;
        if third & 1 != 0 {
            break;
        }
    }
    match rest.first().map(|first| first >> 4) {
        Some(4) if is_network(IPV4, rest) => named(IPV4, rest, shell),
        Some(6) => named(IPV6, rest, shell),
        _ => {
            let behind_control_word = rest.strip_prefix(&[0]).and_then(|rest| rest.get(3..));
            let frame = [behind_control_word, Some(rest)].into_iter().flatten().find(|frame| is_frame(frame));
            frame.map_or(Packet::Other, |frame| layer(Layer::Ethernet(frame), shell))
        }
    }
}
