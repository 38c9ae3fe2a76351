//! ICMP errors that quote the packet they are about (RFC 792, RFC 4443).

use super::packet::{Envelope, PROTOCOL_ICMP, PROTOCOL_ICMPV6, internet_checksum};

/// Bytes of the quoted packet's transport in an ICMP error: the eight of RFC 792.
const QUOTED_V4: usize = 20 + 8;
/// An ICMPv6 error holds as much as fits the minimum MTU.
const QUOTED_V6: usize = 1280 - 40 - 8;

/// Why a packet could not be delivered; the same reasons for both versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IcmpError {
    /// No route to the network.
    NetUnreachable,
    /// The host does not answer.
    HostUnreachable,
    /// Nobody listens on the port.
    PortUnreachable,
    /// A filter forbids it.
    AdministrativelyProhibited,
    /// Too big for the next link, whose MTU is this.
    TooBig(u16),
    /// Time to live exceeded on the way.
    TtlExceeded,
}

impl IcmpError {
    /// Type, code and the four bytes after the checksum.
    fn v4(self) -> (u8, u8, u32) {
        match self {
            Self::NetUnreachable => (3, 0, 0),
            Self::HostUnreachable => (3, 1, 0),
            Self::PortUnreachable => (3, 3, 0),
            Self::AdministrativelyProhibited => (3, 13, 0),
            Self::TooBig(mtu) => (3, 4, u32::from(mtu)),
            Self::TtlExceeded => (11, 0, 0),
        }
    }

    fn v6(self) -> (u8, u8, u32) {
        match self {
            Self::NetUnreachable => (1, 0, 0),
            Self::AdministrativelyProhibited => (1, 1, 0),
            Self::HostUnreachable => (1, 3, 0),
            Self::PortUnreachable => (1, 4, 0),
            Self::TooBig(mtu) => (2, 0, u32::from(mtu)),
            Self::TtlExceeded => (3, 0, 0),
        }
    }
}

/// The bytes of a frame with an ICMP error in `envelope`, about a packet given from its IP header on.
pub fn icmp_error(envelope: &Envelope, error: IcmpError, about: &[u8]) -> Vec<u8> {
    let is_v6 = envelope.is_v6();
    let ((kind, code, rest), limit) = if is_v6 { (error.v6(), QUOTED_V6) } else { (error.v4(), QUOTED_V4) };
    let mut body = vec![kind, code, 0, 0];
    body.extend_from_slice(&rest.to_be_bytes());
    body.extend_from_slice(&about[..about.len().min(limit)]);
    let protocol = if is_v6 { PROTOCOL_ICMPV6 } else { PROTOCOL_ICMP };
    let sum = if is_v6 { envelope.transport_checksum(protocol, &body) } else { internet_checksum(&body) };
    body[2..4].copy_from_slice(&sum.to_be_bytes());
    envelope.packet(protocol, &body)
}
