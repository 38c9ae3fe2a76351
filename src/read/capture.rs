//! Captures, streamed: pcap and pcapng through `pcap-parser` with a reused buffer, packets into the flow table.

use std::collections::BTreeMap;
use std::io::{self, Read};

use pcap_parser::traits::{PcapNGPacketBlock, PcapReaderIterator};
use pcap_parser::{Block, LegacyPcapReader, PcapBlockOwned, PcapError, PcapHeader, PcapNGReader};

use super::flow::{Flow, Sighting, UnreachableSeen};
use super::inputs::{self, Input, Kind, Source};
use super::link::{self, Link, Packet};
use super::table::FlowTable;
use super::{CaptureCounts, InputRead, SourceRead, Watch};
use crate::note::{Note, Place};
use crate::time::UnixNanos;

mod interface;
mod resume;

use interface::{Interfaces, Resolution};

/// Bytes of the reading buffer: fits the cache, and holds several of the largest packets.
const BUFFER_BYTES: usize = 512 * 1024;
/// Largest block that the buffer may grow for, secrets and name blocks included.
const BLOCK_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Largest packet of a pcap file: what capturing programs use as their greatest snap length.
const PACKET_BYTES_MAX: u32 = 256 * 1024;

/// Reads the files of one source in order; each RDP connection goes to `sink`.
pub fn read_source(
    source: &Source,
    inputs: &[Input],
    watch: &dyn Watch,
    sink: &mut dyn FnMut(Flow),
) -> SourceRead {
    let mut table = FlowTable::new(sink);
    let mut read = SourceRead::default();
    for index in source.inputs.iter().copied() {
        let Some(input) = usize::try_from(index).ok().and_then(|i| inputs.get(i)) else { continue };
        let mut file = CaptureFile::new(index, &mut table);
        match inputs::open(input) {
            Ok(reader) => file.read(input.kind, Counted { reader, watch, ended: false }),
            Err(error) => file.notes.push(Note::unreadable(index, &error.to_string())),
        }
        let (counts, notes) = file.finish();
        read.inputs.push(InputRead { input_index: index, counts });
        read.notes.extend(notes);
    }
    let first = source.inputs.first().copied().unwrap_or(0);
    read.notes.extend(table.finish(first));
    read
}

/// Fills the buffer it is given, as `pcap-parser` reads its header from a single call, and tells the watch.
struct Counted<'w> {
    reader: Box<dyn Read + Send>,
    watch: &'w dyn Watch,
    ended: bool,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while !self.ended && filled < buffer.len() {
            let space = buffer.get_mut(filled..).unwrap_or_default();
            match self.reader.read(space) {
                Ok(0) => self.ended = true,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if filled == 0 => return Err(error),
                Err(_) => self.ended = true,
            }
        }
        self.watch.read(u64::try_from(filled).unwrap_or(0));
        Ok(filled)
    }
}

/// One capture file while it is read.
struct CaptureFile<'t, 's> {
    input_index: u32,
    table: &'t mut FlowTable<'s>,
    counts: CaptureCounts,
    notes: Vec<Note>,
    interfaces: Interfaces,
    link: Option<Link>,
    resolution: Resolution,
    packet_bytes_max: u32,
    unknown_links: BTreeMap<i64, u64>,
    unknown_blocks: BTreeMap<u32, u64>,
    unknown_interfaces: u64,
    fragments: (u64, u64),
    unreadable: u64,
}

/// What to do after a block.
enum Next {
    Go(usize),
    Cut,
    Damaged(String),
}

impl<'t, 's> CaptureFile<'t, 's> {
    fn new(input_index: u32, table: &'t mut FlowTable<'s>) -> Self {
        Self {
            input_index,
            table,
            counts: CaptureCounts::default(),
            notes: Vec::new(),
            interfaces: Interfaces::default(),
            link: None,
            resolution: Resolution::MICROSECONDS,
            packet_bytes_max: PACKET_BYTES_MAX,
            unknown_links: BTreeMap::new(),
            unknown_blocks: BTreeMap::new(),
            unknown_interfaces: 0,
            fragments: (0, 0),
            unreadable: 0,
        }
    }

    fn read(&mut self, kind: Kind, reader: Counted<'_>) {
        let opened = match kind {
            Kind::Pcap => LegacyPcapReader::new(BUFFER_BYTES, reader).map(|r| self.blocks(r, kind)).err(),
            _ => PcapNGReader::new(BUFFER_BYTES, reader).map(|r| self.blocks(r, kind)).err(),
        };
        if let Some(error) = opened {
            let found = format!("the file header cannot be read: {}", spoken(&error));
            self.notes.push(Note::capture_damaged(self.input_index, 0, 0, &found));
        }
    }

    fn blocks(&mut self, mut reader: impl PcapReaderIterator, kind: Kind) {
        let mut waited_at = None;
        loop {
            let offset = u64::try_from(reader.consumed()).unwrap_or(u64::MAX);
            let next = match reader.next() {
                Ok((length, block)) => self.block(block, length),
                Err(PcapError::Eof) => return,
                Err(PcapError::UnexpectedEof) => Next::Cut,
                Err(PcapError::Incomplete(_) | PcapError::BufferTooSmall) => {
                    let state = (reader.consumed(), reader.data().len(), reader.reader_exhausted());
                    if waited_at == Some(state) && !grow(&mut reader) {
                        Next::Damaged("a block is longer than any capture writes".to_owned())
                    } else {
                        waited_at = Some(state);
                        if reader.refill().is_err() {
                            self.notes
                                .push(Note::unreadable(self.input_index, "reading failed inside the file"));
                            return;
                        }
                        continue;
                    }
                }
                Err(error) => Next::Damaged(format!("a block cannot be read: {}", spoken(&error))),
            };
            let big_endian = self.interfaces.big_endian;
            let next = match next {
                Next::Cut
                    if resume::claims_too_much(reader.data(), kind, big_endian, self.packet_bytes_max) =>
                {
                    Next::Damaged("a packet claims more bytes than any has".to_owned())
                }
                next => next,
            };
            match next {
                Next::Go(length) => reader.consume(length),
                Next::Cut => {
                    if !reader.data().is_empty() {
                        self.notes.push(Note::capture_cut(self.input_index, offset, self.counts.packets));
                    }
                    return;
                }
                Next::Damaged(found) => {
                    let passed = resume::to_next_packet(&mut reader, kind, big_endian, self.packet_bytes_max);
                    let Some(passed) = passed else {
                        let note =
                            Note::capture_damaged(self.input_index, offset, self.counts.packets, &found);
                        self.notes.push(note);
                        return;
                    };
                    self.notes.push(Note::capture_resumed(self.input_index, offset, passed));
                }
            }
        }
    }

    fn block(&mut self, block: PcapBlockOwned<'_>, length: usize) -> Next {
        match block {
            PcapBlockOwned::LegacyHeader(header) => self.header(&header),
            PcapBlockOwned::Legacy(packet) => {
                if packet.caplen > self.packet_bytes_max {
                    return Next::Damaged(format!("a packet claims {} bytes", packet.caplen));
                }
                let at = self.resolution.seconds_and_fraction(packet.ts_sec, packet.ts_usec);
                self.packet(self.link, at, packet.data, packet.origlen);
            }
            PcapBlockOwned::NG(block) => self.pcapng(&block),
        }
        Next::Go(length)
    }

    fn header(&mut self, header: &PcapHeader) {
        let number = i64::from(header.network.0) & 0xffff;
        self.link = Link::of(number);
        self.interfaces.big_endian = header.is_bigendian();
        self.interfaces.legacy_link = number;
        self.packet_bytes_max = header.snaplen.clamp(PACKET_BYTES_MAX, 64 * PACKET_BYTES_MAX);
        if header.is_nanosecond_precision() {
            self.resolution = Resolution::NANOSECONDS;
        }
    }

    fn pcapng(&mut self, block: &Block<'_>) {
        match block {
            Block::SectionHeader(section) => self.interfaces.section(section.big_endian()),
            Block::InterfaceDescription(description) => self.interfaces.add(description),
            Block::EnhancedPacket(packet) => {
                let ticks = (u64::from(packet.ts_high) << 32) | u64::from(packet.ts_low);
                self.interface_packet(packet.if_id, Some(ticks), packet.packet_data(), packet.origlen);
            }
            Block::SimplePacket(packet) => {
                self.interface_packet(0, None, packet.packet_data(), packet.origlen);
            }
            Block::InterfaceStatistics(statistics) => self.interfaces.statistics(statistics),
            Block::DecryptionSecrets(_) => self.counts.secrets_blocks += 1,
            // Wireshark counts a journal entry as a frame.
            Block::SystemdJournalExport(_) => self.counts.packets += 1,
            Block::Unknown(unknown) if unknown.block_type == 2 => self.old_packet(unknown.data),
            Block::Unknown(unknown) => *self.unknown_blocks.entry(unknown.block_type).or_default() += 1,
            Block::NameResolution(_) | Block::ProcessInformation(_) | Block::Custom(_) => {}
        }
    }

    fn interface_packet(&mut self, interface: u32, ticks: Option<u64>, bytes: &[u8], length: u32) {
        let Some(known) = self.interfaces.get(interface) else {
            self.counts.packets += 1;
            self.unknown_interfaces += 1;
            return;
        };
        let (link, number, snap) = (known.link, known.link_number, known.snap_length);
        let last = self.counts.covers.map_or(UnixNanos(0), |(_, last)| last);
        let at = ticks.map_or(last, |ticks| known.resolution.ticks(ticks, known.offset_s));
        let bytes = if ticks.is_none() && snap > 0 { cut_to(bytes, snap) } else { bytes };
        if link.is_none() {
            self.interfaces.legacy_link = number;
        }
        self.packet(link, at, bytes, length);
    }

    /// The obsolete Packet Block: interface (2), drops (2), time (8), captured and original length (4 each), bytes.
    fn old_packet(&mut self, data: &[u8]) {
        let Some((interface, ticks, captured, length, rest)) = self.interfaces.old_packet(data) else {
            *self.unknown_blocks.entry(2).or_default() += 1;
            return;
        };
        self.interface_packet(interface, Some(ticks), cut_to(rest, captured), length);
    }

    fn packet(&mut self, link: Option<Link>, at: UnixNanos, bytes: &[u8], length: u32) {
        self.counts.packets += 1;
        let covers = self.counts.covers.get_or_insert((at, at));
        *covers = (covers.0.min(at), covers.1.max(at));
        if u32::try_from(bytes.len()).is_ok_and(|captured| captured < length) {
            self.counts.packets_cut += 1;
        }
        let Some(link) = link else {
            *self.unknown_links.entry(self.interfaces.legacy_link).or_default() += 1;
            return;
        };
        let seen = Sighting { at, place: Place::frame(self.input_index, self.counts.packets) };
        match link::packet(link, bytes) {
            Packet::Tcp(segment) => self.table.segment(&segment, seen),
            Packet::Unreachable { by, kind, code, from, to } => {
                let error = UnreachableSeen { seen, from: by, kind, code, times: 1 };
                self.table.unreachable(from, to, error);
            }
            Packet::Fragment => {
                self.fragments.0 += 1;
                self.fragments.1 = if self.fragments.0 == 1 { self.counts.packets } else { self.fragments.1 };
            }
            Packet::Unreadable => {
                self.counts.packets_unreadable += 1;
                self.unreadable = if self.unreadable == 0 { self.counts.packets } else { self.unreadable };
            }
            Packet::Other => {}
        }
    }

    fn finish(mut self) -> (CaptureCounts, Vec<Note>) {
        let index = self.input_index;
        self.counts.packets_dropped = self.interfaces.dropped();
        for (link, packets) in &self.unknown_links {
            self.notes.push(Note::link_type(index, *link, *packets));
        }
        for (kind, blocks) in &self.unknown_blocks {
            self.notes.push(Note::blocks_not_read(index, *kind, *blocks));
        }
        let some = |count: u64, note: fn(u32, u64) -> Note| (count > 0).then(|| note(index, count));
        self.notes.extend(some(self.unknown_interfaces, Note::interfaces_unknown));
        self.notes.extend(some(self.counts.packets_cut, Note::snapped));
        self.notes.extend(some(self.counts.packets_dropped, Note::dropped));
        if self.fragments.0 > 0 {
            self.notes.push(Note::fragments(index, self.fragments.1, self.fragments.0));
        }
        if self.unreadable > 0 {
            self.notes.push(Note::packets_unreadable(index, self.unreadable, self.counts.packets_unreadable));
        }
        (self.counts, self.notes)
    }
}

fn cut_to(bytes: &[u8], length: u32) -> &[u8] {
    let length = usize::try_from(length).unwrap_or(usize::MAX).min(bytes.len());
    bytes.get(..length).unwrap_or_default()
}

/// Doubles the buffer; false at the limit.
fn grow(reader: &mut impl PcapReaderIterator) -> bool {
    let size = reader.data().len().max(BUFFER_BYTES).saturating_mul(2);
    size <= BLOCK_BYTES_MAX && reader.grow(size)
}

fn spoken<I: AsRef<[u8]>>(error: &PcapError<I>) -> String {
    match error {
        PcapError::HeaderNotRecognized => "not a pcap or pcapng header".to_owned(),
        PcapError::Incomplete(need) => format!("{need} bytes are missing"),
        PcapError::UnexpectedEof => "the file ends inside of it".to_owned(),
        PcapError::ReadError => "reading failed".to_owned(),
        PcapError::NomError(_, kind) | PcapError::OwnedNomError(_, kind) => format!("{kind:?}"),
        PcapError::Eof | PcapError::BufferTooSmall => "too few bytes".to_owned(),
    }
}
