//! What lies below IP in a captured frame.

/// Ethernet (IEEE 802.3).
pub const LINKTYPE_ETHERNET: u16 = 1;
/// BSD loopback: four bytes with the address family.
pub const LINKTYPE_NULL: u16 = 0;
/// No link layer: IPv4 or IPv6 by its first digit.
pub const LINKTYPE_RAW: u16 = 101;
/// Linux "cooked" capture, as `tcpdump -i any` wrote it for long.
pub const LINKTYPE_LINUX_SLL: u16 = 113;
/// Linux "cooked" capture, version 2.
pub const LINKTYPE_LINUX_SLL2: u16 = 276;

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;
const ETHERTYPE_VLAN: u16 = 0x8100;
const ETHERTYPE_VLAN_OUTER: u16 = 0x88a8;
const ARPHRD_ETHER: u16 = 1;
const FAMILY_IPV4: u32 = 2;
/// AF_INET6 differs between systems: 30 is macOS, 28 FreeBSD, 24 NetBSD.
const FAMILY_IPV6: u32 = 30;

/// Which way a packet went, as a cooked capture tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum PacketType {
    /// To the capturing host.
    #[default]
    ToUs,
    /// From the capturing host.
    FromUs,
}

/// A link layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    /// Ethernet, with VLAN tags from the outermost in (802.1Q; 802.1ad outside where there are several).
    Ethernet {
        /// VLAN ids.
        vlans: Vec<u16>,
    },
    /// Linux cooked capture.
    LinuxSll(PacketType),
    /// Linux cooked capture version 2.
    LinuxSll2(PacketType),
    /// IP without anything below.
    Raw,
    /// BSD loopback, numbers little-endian.
    Null,
}

impl Default for Link {
    fn default() -> Self {
        Self::Ethernet { vlans: Vec::new() }
    }
}

impl Link {
    /// The number by which capture files name it.
    pub fn link_type(&self) -> u16 {
        match self {
            Self::Ethernet { .. } => LINKTYPE_ETHERNET,
            Self::LinuxSll(_) => LINKTYPE_LINUX_SLL,
            Self::LinuxSll2(_) => LINKTYPE_LINUX_SLL2,
            Self::Raw => LINKTYPE_RAW,
            Self::Null => LINKTYPE_NULL,
        }
    }

    /// Appends the header that goes before an IP packet.
    pub(super) fn put(&self, out: &mut Vec<u8>, from: [u8; 6], to: [u8; 6], is_v6: bool) {
        let protocol = if is_v6 { ETHERTYPE_IPV6 } else { ETHERTYPE_IPV4 }.to_be_bytes();
        match self {
            Self::Ethernet { vlans } => {
                out.extend_from_slice(&to);
                out.extend_from_slice(&from);
                for (index, vlan) in vlans.iter().enumerate() {
                    let outer = index + 1 < vlans.len();
                    let tag = if outer { ETHERTYPE_VLAN_OUTER } else { ETHERTYPE_VLAN };
                    out.extend_from_slice(&tag.to_be_bytes());
                    out.extend_from_slice(&vlan.to_be_bytes());
                }
                out.extend_from_slice(&protocol);
            }
            Self::LinuxSll(kind) => {
                out.extend_from_slice(&kind.number().to_be_bytes());
                out.extend_from_slice(&ARPHRD_ETHER.to_be_bytes());
                out.extend_from_slice(&6_u16.to_be_bytes());
                out.extend_from_slice(&from);
                out.extend_from_slice(&[0; 2]);
                out.extend_from_slice(&protocol);
            }
            Self::LinuxSll2(kind) => {
                out.extend_from_slice(&protocol);
                out.extend_from_slice(&[0; 2]);
                out.extend_from_slice(&2_u32.to_be_bytes());
                out.extend_from_slice(&ARPHRD_ETHER.to_be_bytes());
                out.push(kind.number() as u8);
                out.push(6);
                out.extend_from_slice(&from);
                out.extend_from_slice(&[0; 2]);
            }
            Self::Raw => {}
            Self::Null => {
                let family = if is_v6 { FAMILY_IPV6 } else { FAMILY_IPV4 };
                out.extend_from_slice(&family.to_le_bytes());
            }
        }
    }

    /// The same link seen in the other direction.
    pub(super) fn reversed(&self) -> Self {
        match self {
            Self::LinuxSll(kind) => Self::LinuxSll(kind.reversed()),
            Self::LinuxSll2(kind) => Self::LinuxSll2(kind.reversed()),
            other => other.clone(),
        }
    }
}

impl PacketType {
    fn number(self) -> u16 {
        match self {
            Self::ToUs => 0,
            Self::FromUs => 4,
        }
    }

    fn reversed(self) -> Self {
        match self {
            Self::ToUs => Self::FromUs,
            Self::FromUs => Self::ToUs,
        }
    }
}
