//! Frames inside of others: VLAN tags of any kind, MPLS, PPPoE, GRE, ERSPAN, VXLAN, Geneve, IP in IP.

use std::net::IpAddr;

use super::packet::{Envelope, internet_checksum};

const ETHERNET_HEADER: usize = 14;
const PROTOCOL_IPV4: u8 = 4;
const PROTOCOL_IPV6: u8 = 41;
const PROTOCOL_GRE: u8 = 47;
const TYPE_IPV6: [u8; 2] = [0x86, 0xdd];
const TYPE_ETHERNET: [u8; 2] = [0x65, 0x58];
const SOURCE_PORT: u16 = 49_821;

/// What goes around a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tunnel {
    /// Tags between link addresses and type: type of the tag and VLAN id, outermost first.
    Tags(Vec<(u16, u16)>),
    /// MPLS with so many labels around the IP packet.
    Mpls(u8),
    /// MPLS with one label and a control word around the frame.
    MplsEthernet,
    /// A PPPoE session.
    Pppoe,
    /// GRE around the IP packet, with the fields that are there.
    Gre {
        /// Checksum.
        checksum: bool,
        /// Key.
        key: Option<u32>,
        /// Sequence number.
        sequence: Option<u32>,
    },
    /// GRE around the frame.
    GreEthernet,
    /// GRE of PPTP around PPP.
    Pptp,
    /// ERSPAN type I, II or III.
    Erspan(u8),
    /// VXLAN to this port.
    Vxlan(u16),
    /// Geneve with an option of 4 bytes.
    Geneve,
    /// IP in IP.
    IpInIp,
}

impl Tunnel {
    /// The Ethernet frame that carries `frame`, an Ethernet frame without tags, from one end of the tunnel to the other.
    pub fn wrap(&self, frame: &[u8], from: IpAddr, to: IpAddr) -> Vec<u8> {
        let (link, packet) = frame.split_at(ETHERNET_HEADER);
        let kind = [link[12], link[13]];
        let is_v6 = kind == TYPE_IPV6;
        let envelope = Envelope::new(from, to);
        let gre = |bytes: Vec<u8>| envelope.packet(PROTOCOL_GRE, &bytes);
        match self {
            Self::Tags(tags) => {
                let mut out = link[..12].to_vec();
                for (tag, id) in tags {
                    out.extend_from_slice(&tag.to_be_bytes());
                    out.extend_from_slice(&id.to_be_bytes());
                }
                [out, kind.to_vec(), packet.to_vec()].concat()
            }
            Self::Mpls(labels) => {
                let label = |number: u8| [0, 0x40 + number, u8::from(number + 1 == *labels), 64];
                let labels: Vec<u8> = (0..*labels).flat_map(label).collect();
                [&link[..12], &[0x88, 0x47], &labels, packet].concat()
            }
            Self::MplsEthernet => [&link[..12], &[0x88, 0x47, 0, 0x42, 1, 64, 0, 0, 0, 0], frame].concat(),
            Self::Pppoe => {
                let length = ((packet.len() + 2) as u16).to_be_bytes();
                let session = [0x88, 0x64, 0x11, 0, 0, 7, length[0], length[1], 0];
                [&link[..12], &session, &[if is_v6 { 0x57 } else { 0x21 }], packet].concat()
            }
            Self::Gre { checksum, key, sequence } => {
                gre(gre_packet(*checksum, *key, *sequence, kind, packet))
            }
            Self::GreEthernet => gre(gre_packet(false, Some(9), None, TYPE_ETHERNET, frame)),
            Self::Pptp => {
                let length = ((packet.len() + 2) as u16).to_be_bytes();
                let header = [0x30, 0x81, 0x88, 0x0b, length[0], length[1], 0, 3, 0, 0, 0, 9, 0, 0, 0, 8, 0];
                gre([&header[..], &[if is_v6 { 0x57 } else { 0x21 }], packet].concat())
            }
            Self::Erspan(1) => gre([&[0, 0, 0x88, 0xbe], frame].concat()),
            Self::Erspan(2) => {
                gre([&[0x10, 0, 0x88, 0xbe, 0, 0, 0, 5, 0x10, 7, 0x08, 1, 0, 0, 0, 0], frame].concat())
            }
            Self::Erspan(_) => {
                let header = [0x10, 0, 0x22, 0xeb, 0, 0, 0, 5, 0x20, 7, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1];
                gre([&header[..], &[0; 8], frame].concat())
            }
            Self::Vxlan(port) => {
                envelope.udp(SOURCE_PORT, *port, &[&[8, 0, 0, 0, 0, 0, 42, 0], frame].concat())
            }
            Self::Geneve => {
                let header = [1, 0, 0x65, 0x58, 0, 0, 42, 0, 1, 2, 3, 0];
                envelope.udp(SOURCE_PORT, 6081, &[&header[..], frame].concat())
            }
            Self::IpInIp => envelope.packet(if is_v6 { PROTOCOL_IPV6 } else { PROTOCOL_IPV4 }, packet),
        }
    }
}

fn gre_packet(
    checksum: bool,
    key: Option<u32>,
    sequence: Option<u32>,
    kind: [u8; 2],
    inner: &[u8],
) -> Vec<u8> {
    let flag = |is_there: bool, flag: u8| if is_there { flag } else { 0 };
    let flags = flag(checksum, 0x80) | flag(key.is_some(), 0x20) | flag(sequence.is_some(), 0x10);
    let mut out = vec![flags, 0, kind[0], kind[1]];
    if checksum {
        out.extend_from_slice(&[0; 4]);
    }
    for number in [key, sequence].into_iter().flatten() {
        out.extend_from_slice(&number.to_be_bytes());
    }
    out.extend_from_slice(inner);
    if checksum {
        let sum = internet_checksum(&out).to_be_bytes();
        out[4..6].copy_from_slice(&sum);
    }
    out
}
