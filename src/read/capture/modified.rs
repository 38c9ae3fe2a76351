//! The "modified" pcap of old Linux systems in big-endian order, turned into little-endian order, which `pcap-parser` reads:
//! each record has eight bytes more (interface index, protocol, packet type). Other files pass through.

use std::io::{self, BufRead, BufReader, Read};

use super::PACKET_BYTES_MAX;

/// Bytes of the file's header, and of that of a record.
const HEADER_BYTES: usize = 24;
/// Its first bytes.
const MAGIC: [u8; 4] = [0xa1, 0xb2, 0xcd, 0x34];
/// Bytes of the fields of the file's header: magic, version, zone, precision, snap length, link type.
const OF_FILE: [usize; 7] = [4, 2, 2, 4, 4, 4, 4];
/// Of a record: seconds, microseconds, captured and original length, interface, protocol, type, padding.
const OF_RECORD: [usize; 8] = [4, 4, 4, 4, 4, 2, 1, 1];

/// A capture file that may be a modified pcap.
pub(super) struct Turned<R> {
    reader: BufReader<R>,
    next: Next,
    /// A header as it is handed on, and how much of it was.
    header: Vec<u8>,
    handed: usize,
}

/// What stands next in the file.
enum Next {
    FileHeader,
    RecordHeader,
    Packet(usize),
    /// Nothing that is turned.
    Rest,
}

impl<R: Read> Turned<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader: BufReader::new(reader), next: Next::FileHeader, header: Vec::new(), handed: 0 }
    }

    /// Reads the next header, as much as there is of it.
    fn take_header(&mut self) -> io::Result<()> {
        self.header.clear();
        self.handed = 0;
        let most = u64::try_from(HEADER_BYTES).unwrap_or(0);
        (&mut self.reader).take(most).read_to_end(&mut self.header)?;
        let is_whole = self.header.len() == HEADER_BYTES;
        self.next = match self.next {
            Next::FileHeader if is_whole && self.header.starts_with(&MAGIC) => {
                turn(&mut self.header, &OF_FILE);
                Next::RecordHeader
            }
            Next::RecordHeader if is_whole => {
                turn(&mut self.header, &OF_RECORD);
                let length = self.header.get(8..).and_then(<[u8]>::first_chunk).copied();
                let length = u32::from_le_bytes(length.unwrap_or_default());
                // A damaged length: where the next header stands is not known.
                let known = usize::try_from(length).ok().filter(|_| length <= 64 * PACKET_BYTES_MAX);
                known.map_or(Next::Rest, Next::Packet)
            }
            _ => Next::Rest,
        };
        Ok(())
    }
}

impl<R: Read> Read for Turned<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.handed == self.header.len() && matches!(self.next, Next::Packet(0)) {
            self.next = Next::RecordHeader;
        }
        let at_header = matches!(self.next, Next::FileHeader | Next::RecordHeader);
        if self.handed == self.header.len() && at_header && !self.reader.fill_buf()?.is_empty() {
            self.take_header()?;
        }
        let left = self.header.get(self.handed..).unwrap_or_default();
        if !left.is_empty() {
            let count = left.len().min(buffer.len());
            if let (Some(space), Some(bytes)) = (buffer.get_mut(..count), left.get(..count)) {
                space.copy_from_slice(bytes);
            }
            self.handed += count;
            return Ok(count);
        }
        let Next::Packet(left) = &mut self.next else { return self.reader.read(buffer) };
        let most = buffer.len().min(*left);
        let count = self.reader.read(buffer.get_mut(..most).unwrap_or_default())?;
        *left -= count;
        Ok(count)
    }
}

/// Turns the order of the bytes in every field.
fn turn(mut bytes: &mut [u8], fields: &[usize]) {
    for field in fields {
        let Some((first, rest)) = bytes.split_at_mut_checked(*field) else { return };
        first.reverse();
        bytes = rest;
    }
}

#[cfg(test)]
mod tests {
    use rdpwhy_lab::capture::{ByteOrder, Frame, PcapOptions, PcapWriter};

    use super::*;

    fn file(order: ByteOrder, modified: bool) -> Vec<u8> {
        let options = PcapOptions { order, modified, ..PcapOptions::default() };
        let mut writer = PcapWriter::with(Vec::new(), 1, options).unwrap();
        for number in 0..5_u8 {
            let bytes = vec![number; usize::from(number) * 7];
            let time_ns = 1_700_000_000_123_456_000 + i64::from(number);
            writer.frame(&Frame { time_ns, bytes }).unwrap();
        }
        writer.finish().unwrap()
    }

    /// Read in pieces of this length.
    fn turned(bytes: &[u8], piece: usize) -> Vec<u8> {
        let mut reader = Turned::new(bytes);
        let (mut all, mut buffer) = (Vec::new(), vec![0; piece]);
        loop {
            match reader.read(&mut buffer).unwrap() {
                0 => return all,
                count => all.extend_from_slice(&buffer[..count]),
            }
        }
    }

    #[test]
    fn big_endian_becomes_little_endian_and_other_files_stay() {
        let (big, little) = (file(ByteOrder::Big, true), file(ByteOrder::Little, true));
        for piece in [1, 5, 24, 4_096] {
            assert_eq!(turned(&big, piece), little, "{piece}");
            assert_eq!(turned(&little, piece), little);
            for order in [ByteOrder::Big, ByteOrder::Little] {
                assert_eq!(turned(&file(order, false), piece), file(order, false));
            }
        }
        for cut in 0..big.len() {
            assert_eq!(turned(&big[..cut], 9).len(), cut);
        }
        assert_eq!(turned(&big[..60], 9)[..48], little[..48]);
    }

    #[test]
    fn behind_a_damaged_length_nothing_is_turned() {
        let mut big = file(ByteOrder::Big, true);
        big[24 + 8] = 0x7f;
        let turned = turned(&big, 11);
        assert_eq!(turned.len(), big.len());
        assert_eq!(turned[48..], big[48..]);
    }
}
