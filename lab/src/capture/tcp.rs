//! TCP segments (RFC 9293; time stamps and window scale RFC 7323; selective acknowledgements RFC 2018).

use super::packet::{Checksum, Envelope, PROTOCOL_TCP};

const MINIMUM_HEADER: usize = 20;

/// The flag bits of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct TcpFlags(pub u8);

impl TcpFlags {
    /// No more data from the sender.
    pub const FIN: Self = Self(0x01);
    /// Synchronise sequence numbers.
    pub const SYN: Self = Self(0x02);
    /// Reset.
    pub const RST: Self = Self(0x04);
    /// Push.
    pub const PSH: Self = Self(0x08);
    /// The acknowledgement number counts.
    pub const ACK: Self = Self(0x10);
    /// ECN echo.
    pub const ECE: Self = Self(0x40);
    /// Congestion window reduced.
    pub const CWR: Self = Self(0x80);

    /// Both sets together.
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// An option of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TcpOption {
    /// Padding.
    Nop,
    /// Maximum segment size.
    Mss(u16),
    /// Shift of the window.
    WindowScale(u8),
    /// Selective acknowledgements are understood.
    SackPermitted,
    /// Ranges received out of order.
    Sack(Vec<(u32, u32)>),
    /// Time stamp and echo.
    Timestamps(u32, u32),
}

/// A segment.
#[derive(Clone, Debug, Default)]
pub struct TcpSegment<'a> {
    /// Sender's port.
    pub source_port: u16,
    /// Receiver's port.
    pub destination_port: u16,
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgement number.
    pub ack: u32,
    /// Flags.
    pub flags: TcpFlags,
    /// Window as written, before scaling.
    pub window: u16,
    /// Options; padded to four bytes with NOPs at the end.
    pub options: Vec<TcpOption>,
    /// Data.
    pub payload: &'a [u8],
    /// How the checksum is written.
    pub checksum: Checksum,
}

impl Envelope {
    /// The bytes of a frame with a TCP segment.
    pub fn tcp(&self, segment: &TcpSegment<'_>) -> Vec<u8> {
        self.packet(PROTOCOL_TCP, &self.tcp_bytes(segment))
    }

    /// The segment alone, with its checksum: what [`Envelope::fragments`] wants.
    pub fn tcp_bytes(&self, segment: &TcpSegment<'_>) -> Vec<u8> {
        let mut options = Vec::new();
        segment.options.iter().for_each(|option| option.put(&mut options));
        options.resize(options.len().next_multiple_of(4).min(40), 1);
        let header = MINIMUM_HEADER + options.len();
        let mut bytes = Vec::with_capacity(header + segment.payload.len());
        bytes.extend_from_slice(&segment.source_port.to_be_bytes());
        bytes.extend_from_slice(&segment.destination_port.to_be_bytes());
        bytes.extend_from_slice(&segment.seq.to_be_bytes());
        bytes.extend_from_slice(&segment.ack.to_be_bytes());
        bytes.extend_from_slice(&[((header / 4) << 4) as u8, segment.flags.0]);
        bytes.extend_from_slice(&segment.window.to_be_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&options);
        bytes.extend_from_slice(segment.payload);
        let sum = match segment.checksum {
            Checksum::Correct => self.transport_checksum(PROTOCOL_TCP, &bytes),
            Checksum::Wrong => self.transport_checksum(PROTOCOL_TCP, &bytes) ^ 0x0100,
            Checksum::Zero => 0,
        };
        bytes[16..18].copy_from_slice(&sum.to_be_bytes());
        bytes
    }
}

impl TcpOption {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Nop => out.push(1),
            Self::Mss(size) => {
                out.extend_from_slice(&[2, 4]);
                out.extend_from_slice(&size.to_be_bytes());
            }
            Self::WindowScale(shift) => out.extend_from_slice(&[3, 3, *shift]),
            Self::SackPermitted => out.extend_from_slice(&[4, 2]),
            Self::Sack(ranges) => {
                out.extend_from_slice(&[5, 2 + 8 * ranges.len() as u8]);
                for (left, right) in ranges {
                    out.extend_from_slice(&left.to_be_bytes());
                    out.extend_from_slice(&right.to_be_bytes());
                }
            }
            Self::Timestamps(value, echo) => {
                out.extend_from_slice(&[8, 10]);
                out.extend_from_slice(&value.to_be_bytes());
                out.extend_from_slice(&echo.to_be_bytes());
            }
        }
    }
}
