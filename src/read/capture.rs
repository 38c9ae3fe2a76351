//! Captures, streamed: pcap and pcapng through `pcap-parser` with a reused buffer, packets into the flow table.

use std::collections::BTreeMap;
use std::io::{self, Read};

use pcap_parser::traits::{PcapNGPacketBlock, PcapReaderIterator};
use pcap_parser::{
    Block, LegacyPcapReader, NameResolutionBlock, PcapBlockOwned, PcapError, PcapHeader, PcapNGOption,
    PcapNGReader,
};

use super::again::{Frame, Passed};
use super::flow::{Flow, Sighting, UnreachableSeen};
use super::fragments::Fragments;
use super::inputs::{Input, Kind, Source};
use super::link::{self, Link, Packet};
use super::listed::{self, Listed};
use super::neighbours::Arp;
use super::table::FlowTable;
use super::watched::open_watched;
use super::{CaptureCounts, InputRead, SourceRead, Unwatched, Watch};
use crate::note::{Note, Place};
use crate::time::UnixNanos;
use crate::wire::keylog::KeyLog;

pub(super) mod interface;
mod modified;
mod resume;

use interface::{Interfaces, Resolution};
use modified::Turned;
use resume::Check;

/// Bytes of the reading buffer: fits the cache, and holds several of the largest packets.
const BUFFER_BYTES: usize = 512 * 1024;
/// Largest block that the buffer may grow for, secrets and name blocks included.
const BLOCK_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Largest packet of a pcap file: what capturing programs use as their greatest snap length.
const PACKET_BYTES_MAX: u32 = 256 * 1024;
/// Damaged places of one file that get a note each; the rest share one.
const RESUMED_TOLD_MAX: u64 = 16;

/// Reads the files of one source in order; each RDP connection, and each that `keys` may open, goes to `sink`.
pub fn read_source(
    source: &Source,
    inputs: &[Input],
    keys: &KeyLog,
    watch: &dyn Watch,
    sink: &mut dyn FnMut(Flow),
) -> SourceRead {
    let mut table = FlowTable::new(keys, sink);
    let mut fragments = Fragments::default();
    let mut read = SourceRead::default();
    for index in source.inputs.iter().copied() {
        let Some(input) = usize::try_from(index).ok().and_then(|i| inputs.get(i)) else { continue };
        let file = CaptureFile::new(index, Taker::Table(&mut table, &mut fragments, &mut read.names));
        let (counts, notes) = file.opened(input, watch);
        read.inputs.push(InputRead { input_index: index, counts });
        read.notes.extend(notes);
    }
    let first = source.inputs.first().copied().unwrap_or(0);
    read.notes.extend(fragments.finish());
    let (udp, notes) = table.finish(first);
    read.udp = udp;
    read.notes.extend(notes);
    if read.names.cut > 0 {
        read.notes.push(Note::listed_names_cut(first, read.names.cut));
    }
    read
}

/// Reads one file once more and hands on what stands in it until `take` wants no more.
pub(super) fn read_again(
    index: u32,
    input: &Input,
    watch: &dyn Watch,
    take: &mut dyn FnMut(&Passed<'_>) -> bool,
) -> Vec<Note> {
    CaptureFile::new(index, Taker::Again(take)).opened(input, watch).1
}

/// Who takes the packets of a file.
enum Taker<'t, 's> {
    /// The connections of its source, the fragments that wait, and the names that are listed.
    Table(&'t mut FlowTable<'s>, &'t mut Fragments, &'t mut Listed),
    /// Someone who reads the file again, until it answers `false`.
    Again(&'t mut dyn FnMut(&Passed<'_>) -> bool),
}

/// Fills the buffer it is given, as `pcap-parser` reads its header from a single call, and tells the watch.
struct Counted<'w> {
    reader: Box<dyn Read + Send + 'w>,
    watch: &'w dyn Watch,
    ended: bool,
    /// An error behind bytes that were read: told by the next call.
    failed: Option<io::Error>,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let mut filled = 0;
        while !self.ended && filled < buffer.len() {
            let space = buffer.get_mut(filled..).unwrap_or_default();
            match self.reader.read(space) {
                Ok(0) => self.ended = true,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if filled == 0 => return Err(error),
                Err(error) => {
                    self.failed = Some(error);
                    break;
                }
            }
        }
        self.watch.read(u64::try_from(filled).unwrap_or(0));
        Ok(filled)
    }
}

/// One capture file while it is read.
struct CaptureFile<'t, 's> {
    input_index: u32,
    taker: Taker<'t, 's>,
    /// The taker wants no more.
    enough: bool,
    /// It is unpacked while it is read.
    compressed: bool,
    counts: CaptureCounts,
    notes: Vec<Note>,
    interfaces: Interfaces,
    link: Option<Link>,
    resolution: Resolution,
    packet_bytes_max: u32,
    /// Bytes before each packet of a pcap file.
    record_header: usize,
    unknown_links: BTreeMap<i64, u64>,
    unknown_blocks: BTreeMap<u32, u64>,
    unknown_interfaces: u64,
    unreadable: u64,
    /// Packets in more tunnels than are unwrapped, and the first of them.
    too_deep: (u64, u64),
    /// Damaged places that reading went on behind, and the bytes passed over there that have no note of their own.
    resumed: u64,
    passed_untold: u64,
}

/// A packet as it stands in the file.
pub(super) struct Captured<'a> {
    /// Index of its interface in its section.
    pub(super) interface: u32,
    /// Its time as the file counts, where it has one.
    pub(super) ticks: Option<u64>,
    pub(super) at: UnixNanos,
    pub(super) bytes: &'a [u8],
    /// Bytes on the wire.
    pub(super) length: u32,
    pub(super) options: &'a [PcapNGOption<'a>],
}

/// What to do after a block.
enum Next {
    Go(usize),
    Damaged(String),
}

impl Next {
    fn claim(length: u32) -> Self {
        Self::Damaged(format!("a packet claims {length} bytes"))
    }
}

impl<'t, 's> CaptureFile<'t, 's> {
    fn new(input_index: u32, taker: Taker<'t, 's>) -> Self {
        Self {
            input_index,
            taker,
            enough: false,
            compressed: false,
            counts: CaptureCounts::default(),
            notes: Vec::new(),
            interfaces: Interfaces::default(),
            link: None,
            resolution: Resolution::MICROSECONDS,
            packet_bytes_max: PACKET_BYTES_MAX,
            record_header: 16,
            unknown_links: BTreeMap::new(),
            unknown_blocks: BTreeMap::new(),
            unknown_interfaces: 0,
            unreadable: 0,
            too_deep: (0, 0),
            resumed: 0,
            passed_untold: 0,
        }
    }

    fn opened(mut self, input: &Input, watch: &dyn Watch) -> (CaptureCounts, Vec<Note>) {
        watch.begins(&input.shown);
        self.compressed = input.gzip || input.member.is_some();
        let counted: &dyn Watch = if input.gzip { &Unwatched } else { watch };
        match open_watched(input, watch) {
            Ok(reader) => {
                let is_pcap = input.kind == Kind::Pcap;
                let reader = if is_pcap { Box::new(Turned::new(reader)) } else { reader };
                self.read(input.kind, Counted { reader, watch: counted, ended: false, failed: None });
            }
            Err(error) => self.notes.push(Note::unreadable(self.input_index, &error.to_string())),
        }
        self.finish()
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
            let check = self.check(kind);
            let next = match reader.next() {
                Ok((length, block)) => self.block(block, length),
                Err(PcapError::Eof) => return,
                Err(PcapError::UnexpectedEof) => match check.claims_too_much(reader.data()) {
                    Some(length) => Next::claim(length),
                    None => return self.cut(offset, reader.data()),
                },
                Err(PcapError::Incomplete(_) | PcapError::BufferTooSmall) => {
                    let state = (reader.consumed(), reader.data().len(), reader.reader_exhausted());
                    if let Some(length) = check.claims_too_much(reader.data()) {
                        Next::claim(length)
                    } else if waited_at == Some(state) && !grow(&mut reader) {
                        Next::Damaged("a block is longer than any capture writes".to_owned())
                    } else {
                        waited_at = Some(state);
                        if reader.refill().is_err() {
                            return self.failed();
                        }
                        continue;
                    }
                }
                Err(error) => Next::Damaged(format!("a block cannot be read: {}", spoken(&error))),
            };
            match next {
                Next::Go(_) if self.enough => return,
                Next::Go(length) => reader.consume_noshift(length),
                Next::Damaged(found) => match resume::to_next_packet(&mut reader, &check) {
                    Some(passed) => self.passed_over(offset, passed),
                    None => return self.damaged(offset, &found),
                },
            }
        }
    }

    fn check(&self, kind: Kind) -> Check {
        let big_endian = self.interfaces.big_endian;
        let (packet_bytes_max, record_header) = (self.packet_bytes_max, self.record_header);
        Check { kind, big_endian, packet_bytes_max, record_header }
    }

    fn cut(&mut self, offset: u64, rest: &[u8]) {
        if !rest.is_empty() {
            self.notes.push(Note::capture_cut(self.input_index, offset, self.counts.packets));
        }
    }

    fn failed(&mut self) {
        let found = if self.compressed {
            "what is compressed is cut or damaged, and its end was not found"
        } else {
            "reading failed inside the file"
        };
        self.notes.push(Note::reading_ended(self.input_index, found, self.counts.packets));
    }

    fn damaged(&mut self, offset: u64, found: &str) {
        self.notes.push(Note::capture_damaged(self.input_index, offset, self.counts.packets, found));
    }

    fn passed_over(&mut self, offset: u64, bytes: u64) {
        self.resumed += 1;
        if self.resumed <= RESUMED_TOLD_MAX {
            self.notes.push(Note::capture_resumed(self.input_index, offset, bytes));
        } else {
            self.passed_untold = self.passed_untold.saturating_add(bytes);
        }
    }

    fn block(&mut self, block: PcapBlockOwned<'_>, length: usize) -> Next {
        match block {
            PcapBlockOwned::LegacyHeader(header) => self.header(&header),
            PcapBlockOwned::Legacy(packet) => {
                if packet.caplen > self.packet_bytes_max {
                    return Next::claim(packet.caplen);
                }
                let at = self.resolution.seconds_and_fraction(packet.ts_sec, packet.ts_usec);
                let ticks = Some(self.resolution.count(packet.ts_sec, packet.ts_usec));
                let (bytes, length) = (packet.data, packet.origlen);
                self.packet(self.link, &Captured { interface: 0, ticks, at, bytes, length, options: &[] });
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
        if header.is_modified_format() {
            self.record_header = 24;
        }
        if header.is_nanosecond_precision() {
            self.resolution = Resolution::NANOSECONDS;
        }
        self.interfaces.only(number, header.snaplen, self.resolution);
    }

    fn pcapng(&mut self, block: &Block<'_>) {
        match block {
            Block::SectionHeader(section) => self.interfaces.section(section.big_endian()),
            Block::InterfaceDescription(description) => self.interfaces.add(description),
            Block::EnhancedPacket(packet) => {
                let ticks = (u64::from(packet.ts_high) << 32) | u64::from(packet.ts_low);
                let (bytes, length, options) = (packet.packet_data(), packet.origlen, &packet.options);
                self.interface_packet(packet.if_id, Some(ticks), (bytes, length), options);
            }
            Block::SimplePacket(packet) => {
                self.interface_packet(0, None, (packet.packet_data(), packet.origlen), &[]);
            }
            Block::InterfaceStatistics(statistics) => self.interfaces.statistics(statistics),
            Block::DecryptionSecrets(_) => self.counts.secrets_blocks += 1,
            // Wireshark counts a journal entry as a frame.
            Block::SystemdJournalExport(_) => self.counts.packets += 1,
            Block::Unknown(unknown) if unknown.block_type == 2 => self.old_packet(unknown.data),
            Block::Unknown(unknown) => *self.unknown_blocks.entry(unknown.block_type).or_default() += 1,
            Block::NameResolution(names) => self.names(names),
            Block::ProcessInformation(_) | Block::Custom(_) => {}
        }
    }

    fn names(&mut self, block: &NameResolutionBlock<'_>) {
        match &mut self.taker {
            Taker::Table(_, _, names) => names.take(self.input_index, block),
            Taker::Again(take) => {
                let mut names = block.nr.iter().filter_map(listed::first);
                self.enough |= !names.all(|(of, name)| take(&Passed::Name(of, name)));
            }
        }
    }

    fn interface_packet(
        &mut self,
        interface: u32,
        ticks: Option<u64>,
        (bytes, length): (&[u8], u32),
        options: &[PcapNGOption<'_>],
    ) {
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
        self.packet(link, &Captured { interface, ticks, at, bytes, length, options });
    }

    /// The obsolete Packet Block: interface (2), drops (2), time (8), captured and original length (4 each), bytes.
    fn old_packet(&mut self, data: &[u8]) {
        let Some((interface, ticks, captured, length, rest)) = self.interfaces.old_packet(data) else {
            *self.unknown_blocks.entry(2).or_default() += 1;
            return;
        };
        self.interface_packet(interface, Some(ticks), (cut_to(rest, captured), length), &[]);
    }

    fn packet(&mut self, link: Option<Link>, captured: &Captured<'_>) {
        let &Captured { at, bytes, length, .. } = captured;
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
        if let Taker::Again(take) = &mut self.taker {
            let Some(interface) = self.interfaces.described(captured.interface) else { return };
            let number = self.counts.packets;
            let big_endian = self.interfaces.big_endian;
            let frame = Frame { seen, number, link, interface, captured, big_endian };
            self.enough |= !take(&Passed::Frame(frame));
            return;
        }
        self.unwrapped(&link::packet(link, bytes), seen);
    }

    fn unwrapped(&mut self, packet: &Packet<'_>, seen: Sighting) {
        let Taker::Table(table, incomplete, _) = &mut self.taker else { return };
        match packet {
            Packet::Tcp(segment) => table.segment(segment, seen),
            Packet::Udp(datagram) => table.datagram(datagram, seen),
            &Packet::Arp { answers, sender, target, mac } => {
                table.arp(Arp { seen, answers, sender, target, mac });
            }
            &Packet::Unreachable { by, kind, code, from, to, udp } => {
                let error = UnreachableSeen { seen, from: by, kind, code, times: 1 };
                table.unreachable((from, to), udp, error);
            }
            Packet::Fragment(fragment) => {
                if let Some(whole) = incomplete.take(fragment, seen) {
                    self.unwrapped(&link::reassembled(&whole), seen);
                }
            }
            Packet::TooDeep => {
                self.too_deep.0 += 1;
                self.too_deep.1 = if self.too_deep.0 == 1 { self.counts.packets } else { self.too_deep.1 };
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
        if let Some(untold) = self.resumed.checked_sub(RESUMED_TOLD_MAX).filter(|untold| *untold > 0) {
            self.notes.push(Note::capture_resumed_often(index, untold, self.passed_untold));
        }
        if self.too_deep.0 > 0 {
            self.notes.push(Note::tunnels_too_deep(index, self.too_deep.1, self.too_deep.0));
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
        PcapError::NomError(_, kind) | PcapError::OwnedNomError(_, kind) => {
            format!("what stands there is none of this format ({kind:?})")
        }
        PcapError::Eof | PcapError::BufferTooSmall => "too few bytes".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts and notes of a capture in memory.
    fn read(bytes: Vec<u8>) -> (u64, Vec<String>) {
        let inventory = super::super::inputs::held(vec![("x.pcap".to_owned(), bytes)]);
        let Some(source) = inventory.sources.first() else { return (0, Vec::new()) };
        let read = read_source(source, &inventory.inputs, &KeyLog::default(), &Unwatched, &mut |_| {});
        let packets = read.inputs.iter().map(|input| input.counts.packets).sum();
        (packets, read.notes.into_iter().map(|note| note.text).collect())
    }

    fn header() -> Vec<u8> {
        let words: [u32; 6] = [0xa1b2_c3d4, 0x0004_0002, 0, 0, 65_535, 1];
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    /// A packet record that claims `captured` bytes, with 20 bytes of it.
    fn record(captured: u32) -> Vec<u8> {
        let words: [u32; 4] = [1_700_000_000, 0, captured, 60];
        words.iter().flat_map(|word| word.to_le_bytes()).chain([0; 20]).collect()
    }

    #[test]
    fn a_damaged_length_is_passed_over_and_no_cut() {
        let parts = [header(), record(20), record(0xffff_fff0), record(20), record(20), record(20)];
        let (packets, notes) = read(parts.concat());
        assert_eq!(packets, 4);
        assert_eq!(notes.first().map(|note| note.contains("36 bytes passed over")), Some(true), "{notes:?}");
    }

    #[test]
    fn many_damaged_places_share_a_note() {
        let place = [record(0xffff_fff0), record(20), record(20), record(20)].concat();
        let (packets, notes) = read([header(), place.repeat(20_000)].concat());
        assert_eq!(packets, 60_000);
        assert!(notes.len() < 20, "{} notes", notes.len());
        assert!(notes.iter().any(|note| note.contains("19984 more places")), "{notes:?}");
    }

    #[test]
    fn a_file_that_ends_inside_a_packet_is_cut() {
        let mut bytes = [header(), record(20), record(20)].concat();
        bytes.truncate(bytes.len() - 5);
        let (packets, notes) = read(bytes);
        assert_eq!(packets, 1);
        assert_eq!(notes.first().map(|note| note.starts_with("the file is cut")), Some(true), "{notes:?}");
    }

    #[test]
    fn an_error_behind_bytes_that_were_read_is_told() {
        struct Failing(u32);
        impl Read for Failing {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                self.0 += 1;
                if self.0 > 1 {
                    return Err(io::Error::other("gone"));
                }
                buffer.fill(0);
                Ok(buffer.len().min(3))
            }
        }
        let reader = Box::new(Failing(0));
        let mut counted = Counted { reader, watch: &Unwatched, ended: false, failed: None };
        let mut buffer = [1; 8];
        assert_eq!(counted.read(&mut buffer).ok(), Some(3));
        assert!(counted.read(&mut buffer).is_err());
    }
}
