//! Datagrams of the UDP transport of RDP: SYN and answer, and data of its versions (MS-RDPEUDP 2.2, MS-RDPEUDP2 2.2).

use std::net::SocketAddr;

use super::frame::Frame;
use super::packet::Envelope;

/// A SYN is padded to the largest MTU.
const SYN_BYTES: usize = 1232;
const FLAG_SYN: u16 = 0x0001;
const FLAG_ACK: u16 = 0x0004;
const FLAG_DATA: u16 = 0x0008;
const FLAG_LOSSY: u16 = 0x0200;
const FLAG_CORRELATION_ID: u16 = 0x0800;
const FLAG_SYNEX: u16 = 0x1000;
/// RDP-UDP2.
const VERSION_3: u16 = 0x0101;

/// What a client says in its SYN.
#[derive(Clone, Debug, Default)]
pub struct UdpSyn {
    /// Initial sequence number.
    pub initial: u32,
    /// DTLS follows, and nothing is sent again.
    pub lossy: bool,
    /// Correlation id of the X.224 connection request.
    pub correlation: Option<[u8; 16]>,
    /// Version, where one is named.
    pub version: Option<u16>,
    /// SHA-256 of the security cookie; sent with version 3.
    pub cookie_hash: [u8; 32],
}

impl UdpSyn {
    /// The UDP payload.
    pub fn payload(&self) -> Vec<u8> {
        let mut flags = FLAG_SYN;
        flags |= if self.lossy { FLAG_LOSSY } else { 0 };
        flags |= if self.correlation.is_some() { FLAG_CORRELATION_ID } else { 0 };
        flags |= if self.version.is_some() { FLAG_SYNEX } else { 0 };
        let mut out = start(u32::MAX, flags, self.initial);
        if let Some(id) = self.correlation {
            out.extend(id);
            out.extend([0; 16]);
        }
        if let Some(version) = self.version {
            out.extend(1_u16.to_be_bytes());
            out.extend(version.to_be_bytes());
            out.extend(if version == VERSION_3 { self.cookie_hash.as_slice() } else { &[] });
        }
        out.resize(SYN_BYTES, 0);
        out
    }

    /// The server's answer with its initial sequence number and the version that both have.
    pub fn answer(&self, initial: u32, version: Option<u16>) -> Vec<u8> {
        let synex = if version.is_some() { FLAG_SYNEX } else { 0 };
        let mut out = start(self.initial, FLAG_SYN | FLAG_ACK | synex, initial);
        if let Some(version) = version {
            out.extend(1_u16.to_be_bytes());
            out.extend(version.to_be_bytes());
        }
        out.resize(SYN_BYTES, 0);
        out
    }
}

fn start(source_ack: u32, flags: u16, initial: u32) -> Vec<u8> {
    let mut out = source_ack.to_be_bytes().to_vec();
    out.extend(64_u16.to_be_bytes());
    out.extend(flags.to_be_bytes());
    out.extend(initial.to_be_bytes());
    out.extend([1232_u16.to_be_bytes(), 1232_u16.to_be_bytes()].concat());
    out
}

/// A datagram with data of version 1 or 2, with an ACK vector of one element.
pub fn udp_data(acknowledges: u32, number: u32, data: &[u8]) -> Vec<u8> {
    let mut out = acknowledges.to_be_bytes().to_vec();
    out.extend(64_u16.to_be_bytes());
    out.extend((FLAG_ACK | FLAG_DATA).to_be_bytes());
    out.extend([0, 1, 0, 0]);
    out.extend([number.to_be_bytes(), number.to_be_bytes()].concat());
    out.extend(data);
    out
}

/// A datagram with data of version 3: acknowledgement, data header, vector with times, and the data.
pub fn udp2_data(packet: u16, number: u16, data: &[u8]) -> Vec<u8> {
    const ACK_DATA_ACKVEC: u16 = 0x001 | 0x004 | 0x008;
    let mut out = vec![7 << 5];
    out.extend((ACK_DATA_ACKVEC | 0xc000).to_le_bytes());
    out.extend([packet.to_le_bytes().as_slice(), &[1, 2, 3, 4, 0x02, 5, 6]].concat());
    out.extend(packet.to_le_bytes());
    out.extend([packet.to_le_bytes().as_slice(), &[0x80 | 2, 1, 2, 3, 4, 0x81, 0x82]].concat());
    out.extend(number.to_le_bytes());
    out.extend(data);
    out.swap(0, 7);
    out
}

/// A dummy packet of version 3: it probes the path.
pub fn udp2_dummy(packet: u16) -> Vec<u8> {
    let mut out = vec![(7 << 5) | (8 << 1)];
    out.extend((0x004_u16 | 0xc000).to_le_bytes());
    out.extend(packet.to_le_bytes());
    out.resize(1007, 0);
    out.swap(0, 7);
    out
}

/// A frame with a UDP datagram.
pub fn udp_frame(time_ns: i64, from: SocketAddr, to: SocketAddr, payload: &[u8]) -> Frame {
    let envelope = Envelope::new(from.ip(), to.ip());
    Frame { time_ns, bytes: envelope.udp(from.port(), to.port(), payload) }
}
