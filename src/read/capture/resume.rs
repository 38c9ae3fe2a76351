//! Finds the next packet behind damaged bytes, by headers that make sense one after the other.

use pcap_parser::traits::PcapReaderIterator;

use super::super::inputs::Kind;

/// Headers in a row that must make sense before a place is believed.
const HEADERS_IN_A_ROW: usize = 3;
/// Bytes at the end of the buffer that are kept for the next look.
const OVERLAP: usize = 128 * 1024;
/// Largest block of a pcapng file that holds a packet.
const PACKET_BLOCK_BYTES_MAX: u32 = 1024 * 1024;

/// Consumes up to the next packet that makes sense and returns how many bytes that were, or `None` when the file ends
/// before one does.
pub(super) fn to_next_packet(reader: &mut impl PcapReaderIterator, check: &Check) -> Option<u64> {
    let mut passed = 0_u64;
    loop {
        // Refilling moves what is in the buffer: only where it runs short, or many damaged places would cost their square.
        while reader.data().len() <= OVERLAP && !reader.reader_exhausted() {
            reader.refill().ok()?;
        }
        let data = reader.data();
        let last_look = reader.reader_exhausted();
        let searched = if last_look { data.len() } else { data.len().saturating_sub(OVERLAP) };
        let found = (1..searched).find(|at| check.row(data, *at, last_look));
        let step = found.unwrap_or(searched);
        if step == 0 {
            return None;
        }
        reader.consume_noshift(step);
        passed = passed.saturating_add(u64::try_from(step).unwrap_or(0));
        if found.is_some() {
            return Some(passed);
        }
    }
}

/// What makes sense in the file being read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Check {
    pub(super) kind: Kind,
    pub(super) big_endian: bool,
    pub(super) packet_bytes_max: u32,
    /// Bytes before each packet of a pcap file.
    pub(super) record_header: usize,
}

impl Check {
    /// The length that the packet record at the start of `data` claims, when no capturing program writes such: then it
    /// is the length that is damaged, and not the file that is cut.
    pub(super) fn claims_too_much(&self, data: &[u8]) -> Option<u32> {
        let (length, most) = if self.kind == Kind::Pcap {
            (self.number(data, 8)?, self.packet_bytes_max)
        } else {
            let is_packet = matches!(self.number(data, 0)?, 2 | 3 | 6);
            (is_packet.then(|| self.number(data, 4))??, PACKET_BLOCK_BYTES_MAX)
        };
        (length > most).then_some(length)
    }

    fn number(&self, data: &[u8], at: usize) -> Option<u32> {
        let bytes = *data.get(at..)?.first_chunk::<4>()?;
        Some(if self.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    }

    /// Do enough headers in a row make sense from `at` on? At the end of the file fewer are enough.
    fn row(&self, data: &[u8], at: usize, last_look: bool) -> bool {
        let mut at = at;
        for number in 0..HEADERS_IN_A_ROW {
            if at == data.len() {
                return last_look && number > 0;
            }
            let Some(length) = self.header(data, at) else { return false };
            at = at.saturating_add(length);
        }
        true
    }

    /// Length of the packet record at `at`, when its header makes sense.
    fn header(&self, data: &[u8], at: usize) -> Option<usize> {
        let number = |offset: usize| self.number(data, at.checked_add(offset)?);
        if self.kind == Kind::Pcap {
            let (fraction, captured, length) = (number(4)?, number(8)?, number(12)?);
            let sane = fraction < 1_000_000_000 && captured > 0 && captured <= length;
            return (sane && length <= self.packet_bytes_max)
                .then(|| usize::try_from(captured).ok()?.checked_add(self.record_header))?;
        }
        let (kind, length) = (number(0)?, number(4)?);
        let fits = length % 4 == 0 && (12..=PACKET_BLOCK_BYTES_MAX).contains(&length);
        let sane = matches!(kind, 1..=6 | 0x0a0d_0d0a) && fits;
        let whole = usize::try_from(length).ok()?;
        let again = self.number(data, at.checked_add(whole)?.checked_sub(4)?)?;
        (sane && again == length).then_some(whole)
    }
}
