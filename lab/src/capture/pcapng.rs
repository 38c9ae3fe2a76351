//! The block-based capture file (draft-ietf-opsawg-pcapng).
//!
//! No option ever describes the machine: no interface name, hardware, operating system or application is written.

use std::io::{self, Write};
use std::net::IpAddr;

use super::frame::{ByteOrder, Frame, FrameSink};

const BLOCK_SECTION: u32 = 0x0a0d_0d0a;
const BLOCK_INTERFACE: u32 = 1;
const BLOCK_SIMPLE_PACKET: u32 = 3;
const BLOCK_NAMES: u32 = 4;
const BLOCK_STATISTICS: u32 = 5;
const BLOCK_PACKET: u32 = 6;
const BLOCK_SECRETS: u32 = 10;
const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;
/// "Unknown" length of a section: the stream cannot know it.
const SECTION_LENGTH_UNKNOWN: u64 = u64::MAX;
/// Kind of secret: TLS keys as text, the form browsers and key-log shims write.
const SECRETS_TLS_KEY_LOG: u32 = 0x544c_534b;
const OPTION_COMMENT: u16 = 1;
const OPTION_TIME_UNIT: u16 = 9;
const OPTION_TIME_OFFSET: u16 = 14;
const OPTION_RECEIVED: u16 = 4;
const OPTION_DROPPED: u16 = 5;
const NAME_RECORD_IPV4: u16 = 1;
const NAME_RECORD_IPV6: u16 = 2;
const NS_PER_SECOND: i128 = 1_000_000_000;

/// Unit of an interface's times (`if_tsresol`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeUnit {
    /// Ten to the minus this many seconds: 6 is microseconds, 9 nanoseconds.
    Decimal(u8),
    /// Two to the minus this many seconds.
    Binary(u8),
}

impl TimeUnit {
    fn per_second(self) -> i128 {
        match self {
            Self::Decimal(digits) => 10_i128.pow(u32::from(digits.min(18))),
            Self::Binary(bits) => 1_i128 << bits.min(62),
        }
    }

    fn option(self) -> u8 {
        match self {
            Self::Decimal(digits) => digits.min(18),
            Self::Binary(bits) => 0x80 | bits.min(62),
        }
    }
}

/// One interface of a section.
#[derive(Clone, Copy, Debug)]
pub struct Interface {
    /// Link type of its frames.
    pub link_type: u16,
    /// Frames are cut at this length; 0 means no limit.
    pub snaplen: u32,
    /// Unit of its times; without the option it is microseconds.
    pub time_unit: Option<TimeUnit>,
    /// Seconds to add to its times (`if_tsoffset`).
    pub time_offset_s: Option<i64>,
}

impl Interface {
    /// An interface with microseconds and no limit.
    pub fn new(link_type: u16) -> Self {
        Self { link_type, snaplen: 0, time_unit: None, time_offset_s: None }
    }

    /// The same with times in `unit`.
    pub fn with_time_unit(self, unit: TimeUnit) -> Self {
        Self { time_unit: Some(unit), ..self }
    }

    fn ticks(&self, time_ns: i64) -> u64 {
        let offset = i128::from(self.time_offset_s.unwrap_or_default()) * NS_PER_SECOND;
        let unit = self.time_unit.unwrap_or(TimeUnit::Decimal(6));
        ((i128::from(time_ns) - offset) * unit.per_second()).div_euclid(NS_PER_SECOND) as u64
    }
}

/// What an interface counted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Statistics {
    /// Packets the interface received (`isb_ifrecv`).
    pub received: Option<u64>,
    /// Packets it dropped for want of room (`isb_ifdrop`).
    pub dropped: Option<u64>,
}

/// Writes a pcapng file, block by block.
pub struct PcapngWriter<W: Write> {
    out: W,
    order: ByteOrder,
    interfaces: Vec<Interface>,
}

impl<W: Write> PcapngWriter<W> {
    /// Begins a file with its first section.
    ///
    /// # Errors
    /// What `out` answers.
    pub fn new(out: W, order: ByteOrder) -> io::Result<Self> {
        let mut writer = Self { out, order, interfaces: Vec::new() };
        writer.section(order, None)?;
        Ok(writer)
    }

    /// Begins a further section: its byte order may differ, and its interfaces count from 0 again.
    ///
    /// # Errors
    /// What the output answers.
    pub fn section(&mut self, order: ByteOrder, comment: Option<&str>) -> io::Result<()> {
        self.order = order;
        self.interfaces.clear();
        let mut body = Vec::new();
        body.extend_from_slice(&order.u32(BYTE_ORDER_MAGIC));
        body.extend_from_slice(&order.u16(1));
        body.extend_from_slice(&order.u16(0));
        body.extend_from_slice(&order.u64(SECTION_LENGTH_UNKNOWN));
        self.options(&mut body, &comment_option(comment));
        self.block(BLOCK_SECTION, &body)
    }

    /// Describes an interface and gives its number within the section.
    ///
    /// # Errors
    /// What the output answers.
    pub fn interface(&mut self, interface: Interface) -> io::Result<u32> {
        let mut body = Vec::new();
        body.extend_from_slice(&self.order.u16(interface.link_type));
        body.extend_from_slice(&self.order.u16(0));
        body.extend_from_slice(&self.order.u32(interface.snaplen));
        let mut options = Vec::new();
        if let Some(unit) = interface.time_unit {
            options.push((OPTION_TIME_UNIT, vec![unit.option()]));
        }
        if let Some(seconds) = interface.time_offset_s {
            options.push((OPTION_TIME_OFFSET, self.order.u64(seconds as u64).to_vec()));
        }
        self.options(&mut body, &options);
        self.block(BLOCK_INTERFACE, &body)?;
        self.interfaces.push(interface);
        Ok(self.interfaces.len() as u32 - 1)
    }

    /// Appends a frame of an interface.
    ///
    /// # Errors
    /// As [`Self::packet`].
    pub fn frame(&mut self, interface: u32, frame: &Frame) -> io::Result<()> {
        self.packet(interface, frame.time_ns, &frame.bytes, frame.bytes.len() as u32, None)
    }

    /// Appends the bytes captured of a packet that was `original_length` long, perhaps with a comment.
    ///
    /// # Errors
    /// `InvalidInput` for an interface the section has not got; what the output answers.
    pub fn packet(
        &mut self,
        interface: u32,
        time_ns: i64,
        bytes: &[u8],
        original_length: u32,
        comment: Option<&str>,
    ) -> io::Result<()> {
        let described = self.described(interface)?;
        let limit = if described.snaplen == 0 { usize::MAX } else { described.snaplen as usize };
        let bytes = &bytes[..bytes.len().min(limit)];
        let ticks = described.ticks(time_ns);
        let mut body = Vec::with_capacity(bytes.len() + 24);
        for word in [interface, (ticks >> 32) as u32, ticks as u32, bytes.len() as u32, original_length] {
            body.extend_from_slice(&self.order.u32(word));
        }
        push_padded(&mut body, bytes);
        self.options(&mut body, &comment_option(comment));
        self.block(BLOCK_PACKET, &body)
    }

    /// Appends a packet without time or interface (it belongs to interface 0).
    ///
    /// # Errors
    /// `InvalidInput` without an interface; what the output answers.
    pub fn simple_packet(&mut self, bytes: &[u8]) -> io::Result<()> {
        let limit = self.described(0)?.snaplen as usize;
        let kept = if limit == 0 { bytes } else { &bytes[..bytes.len().min(limit)] };
        let mut body = self.order.u32(bytes.len() as u32).to_vec();
        push_padded(&mut body, kept);
        self.block(BLOCK_SIMPLE_PACKET, &body)
    }

    /// Appends TLS keys (`NSS Key Log` text); readers want them before the packets they open.
    ///
    /// # Errors
    /// What the output answers.
    pub fn tls_keys(&mut self, key_log: &str) -> io::Result<()> {
        self.secrets(SECRETS_TLS_KEY_LOG, key_log.as_bytes())
    }

    /// Appends secrets of any kind.
    ///
    /// # Errors
    /// What the output answers.
    pub fn secrets(&mut self, kind: u32, bytes: &[u8]) -> io::Result<()> {
        let mut body = self.order.u32(kind).to_vec();
        body.extend_from_slice(&self.order.u32(bytes.len() as u32));
        push_padded(&mut body, bytes);
        self.block(BLOCK_SECRETS, &body)
    }

    /// Appends what an interface counted up to `time_ns`.
    ///
    /// # Errors
    /// `InvalidInput` for an interface the section has not got; what the output answers.
    pub fn statistics(&mut self, interface: u32, time_ns: i64, counted: Statistics) -> io::Result<()> {
        let ticks = self.described(interface)?.ticks(time_ns);
        let mut body = Vec::new();
        for word in [interface, (ticks >> 32) as u32, ticks as u32] {
            body.extend_from_slice(&self.order.u32(word));
        }
        let counts = [(OPTION_RECEIVED, counted.received), (OPTION_DROPPED, counted.dropped)];
        let options: Vec<_> = counts
            .into_iter()
            .filter_map(|(code, count)| Some((code, self.order.u64(count?).to_vec())))
            .collect();
        self.options(&mut body, &options);
        self.block(BLOCK_STATISTICS, &body)
    }

    /// Appends names of addresses.
    ///
    /// # Errors
    /// What the output answers.
    pub fn names(&mut self, names: &[(IpAddr, &str)]) -> io::Result<()> {
        let mut body = Vec::new();
        for (address, name) in names {
            let (kind, mut value) = match address {
                IpAddr::V4(v4) => (NAME_RECORD_IPV4, v4.octets().to_vec()),
                IpAddr::V6(v6) => (NAME_RECORD_IPV6, v6.octets().to_vec()),
            };
            value.extend_from_slice(name.as_bytes());
            value.push(0);
            body.extend_from_slice(&self.order.u16(kind));
            body.extend_from_slice(&self.order.u16(value.len() as u16));
            push_padded(&mut body, &value);
        }
        body.extend_from_slice(&[0; 4]);
        self.block(BLOCK_NAMES, &body)
    }

    /// Appends a block of any type: what readers do not know they must skip.
    ///
    /// # Errors
    /// What the output answers.
    pub fn block(&mut self, kind: u32, body: &[u8]) -> io::Result<()> {
        let padded = body.len().next_multiple_of(4);
        let total = self.order.u32(padded as u32 + 12);
        self.out.write_all(&self.order.u32(kind))?;
        self.out.write_all(&total)?;
        self.out.write_all(body)?;
        self.out.write_all(&[0; 3][..padded - body.len()])?;
        self.out.write_all(&total)
    }

    /// Flushes and gives the output back.
    ///
    /// # Errors
    /// What the output answers.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.flush()?;
        Ok(self.out)
    }

    fn described(&self, interface: u32) -> io::Result<Interface> {
        let missing = || {
            io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("interface {interface}: not described in this section"),
            )
        };
        self.interfaces.get(interface as usize).copied().ok_or_else(missing)
    }

    /// Appends options and their end; nothing at all where there is none.
    fn options(&self, body: &mut Vec<u8>, options: &[(u16, Vec<u8>)]) {
        for (code, value) in options {
            body.extend_from_slice(&self.order.u16(*code));
            body.extend_from_slice(&self.order.u16(value.len() as u16));
            push_padded(body, value);
        }
        if !options.is_empty() {
            body.extend_from_slice(&[0; 4]);
        }
    }
}

/// Frames go to interface 0.
impl<W: Write> FrameSink for PcapngWriter<W> {
    fn take(&mut self, time_ns: i64, bytes: &[u8]) -> io::Result<()> {
        self.packet(0, time_ns, bytes, bytes.len() as u32, None)
    }
}

fn comment_option(comment: Option<&str>) -> Vec<(u16, Vec<u8>)> {
    comment.map(|text| (OPTION_COMMENT, text.as_bytes().to_vec())).into_iter().collect()
}

fn push_padded(body: &mut Vec<u8>, bytes: &[u8]) {
    body.extend_from_slice(bytes);
    body.resize(body.len().next_multiple_of(4), 0);
}
