//! The classic capture file (draft-ietf-opsawg-pcap): a header, then a header and the bytes of each packet.

use std::io::{self, Write};

use super::frame::{ByteOrder, Frame, FrameSink};

const MAGIC_MICRO: u32 = 0xa1b2_c3d4;
const MAGIC_NANO: u32 = 0xa1b2_3c4d;
/// "Modified" pcap: each record has eight more bytes (interface index, protocol, packet type).
const MAGIC_MODIFIED: u32 = 0xa1b2_cd34;
/// What tcpdump writes when nobody limits it.
const SNAPLEN_DEFAULT: u32 = 262_144;
const ETHERTYPE_IPV4: u16 = 0x0800;
const NS_PER_SECOND: i64 = 1_000_000_000;

/// Unit of a file's sub-second times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Precision {
    /// Microseconds; finer digits are cut.
    #[default]
    Micro,
    /// Nanoseconds.
    Nano,
}

/// How a pcap file is written.
#[derive(Clone, Copy, Debug)]
pub struct PcapOptions {
    /// Order of the bytes in all headers.
    pub order: ByteOrder,
    /// Unit of the times; the modified form knows microseconds only.
    pub precision: Precision,
    /// The "modified" form with its longer record headers.
    pub modified: bool,
    /// Packets are cut at this length, and their original length kept.
    pub snaplen: u32,
}

impl Default for PcapOptions {
    fn default() -> Self {
        Self {
            order: ByteOrder::Little,
            precision: Precision::Micro,
            modified: false,
            snaplen: SNAPLEN_DEFAULT,
        }
    }
}

/// Writes one pcap file.
pub struct PcapWriter<W: Write> {
    out: W,
    options: PcapOptions,
}

impl<W: Write> PcapWriter<W> {
    /// Begins a little-endian file with microseconds, as tcpdump does.
    ///
    /// # Errors
    /// What `out` answers.
    pub fn new(out: W, link_type: u16) -> io::Result<Self> {
        Self::with(out, link_type, PcapOptions::default())
    }

    /// Begins a file as `options` say.
    ///
    /// # Errors
    /// What `out` answers.
    pub fn with(mut out: W, link_type: u16, options: PcapOptions) -> io::Result<Self> {
        let magic = match (options.modified, options.precision) {
            (true, _) => MAGIC_MODIFIED,
            (false, Precision::Micro) => MAGIC_MICRO,
            (false, Precision::Nano) => MAGIC_NANO,
        };
        let order = options.order;
        out.write_all(&order.u32(magic))?;
        out.write_all(&order.u16(2))?;
        out.write_all(&order.u16(4))?;
        for word in [0, 0, options.snaplen, u32::from(link_type)] {
            out.write_all(&order.u32(word))?;
        }
        Ok(Self { out, options })
    }

    /// Appends a frame.
    ///
    /// # Errors
    /// What the output answers.
    pub fn frame(&mut self, frame: &Frame) -> io::Result<()> {
        self.packet(frame.time_ns, &frame.bytes, frame.bytes.len() as u32)
    }

    /// Appends the bytes that were captured of a packet that was `original_length` long.
    ///
    /// # Errors
    /// What the output answers.
    pub fn packet(&mut self, time_ns: i64, bytes: &[u8], original_length: u32) -> io::Result<()> {
        let kept = bytes.len().min(self.options.snaplen as usize);
        let seconds = time_ns.div_euclid(NS_PER_SECOND) as u32;
        let nanoseconds = time_ns.rem_euclid(NS_PER_SECOND) as u32;
        let nano = self.options.precision == Precision::Nano && !self.options.modified;
        let fraction = if nano { nanoseconds } else { nanoseconds / 1000 };
        let order = self.options.order;
        let mut header = [0_u8; 24];
        for (place, word) in
            header.chunks_exact_mut(4).zip([seconds, fraction, kept as u32, original_length, 1])
        {
            place.copy_from_slice(&order.u32(word));
        }
        header[20..22].copy_from_slice(&order.u16(ETHERTYPE_IPV4));
        self.out.write_all(if self.options.modified { &header } else { &header[..16] })?;
        self.out.write_all(&bytes[..kept])
    }

    /// Flushes and gives the output back.
    ///
    /// # Errors
    /// What the output answers.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.flush()?;
        Ok(self.out)
    }
}

impl<W: Write> FrameSink for PcapWriter<W> {
    fn take(&mut self, time_ns: i64, bytes: &[u8]) -> io::Result<()> {
        self.packet(time_ns, bytes, bytes.len() as u32)
    }
}
