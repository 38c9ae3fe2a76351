//! Finds the next packet behind damaged bytes, by headers that make sense one after the other.

use pcap_parser::traits::PcapReaderIterator;

use super::super::inputs::Kind;

/// Headers in a row that must make sense before a place is believed.
const HEADERS_IN_A_ROW: usize = 3;
/// Longest block of a pcapng file that is believed.
const BLOCK_BYTES_MAX: u32 = 32 * 1024 * 1024;
/// Bytes at the end of the buffer that are kept for the next look.
const OVERLAP: usize = 128 * 1024;

/// Consumes up to the next packet that makes sense and returns how many bytes that were, or `None` when the file ends
/// before one does.
pub(super) fn to_next_packet(
    reader: &mut impl PcapReaderIterator,
    kind: Kind,
    big_endian: bool,
    packet_bytes_max: u32,
) -> Option<u64> {
    let check = Check { kind, big_endian, packet_bytes_max };
    let mut passed = 0_u64;
    loop {
        reader.refill().ok()?;
        let data = reader.data();
        let last_look = reader.reader_exhausted();
        let searched = if last_look { data.len() } else { data.len().saturating_sub(OVERLAP) };
        let found = (1..searched).find(|at| check.row(data, *at, last_look));
        let step = found.unwrap_or(searched);
        if step == 0 {
            return None;
        }
        reader.consume(step);
        passed = passed.saturating_add(u64::try_from(step).unwrap_or(0));
        if found.is_some() {
            return Some(passed);
        }
    }
}

/// Does the header at the start of `data` claim a length that no packet or block has?
pub(super) fn claims_too_much(data: &[u8], kind: Kind, big_endian: bool, packet_bytes_max: u32) -> bool {
    let check = Check { kind, big_endian, packet_bytes_max };
    match kind {
        Kind::Pcap => check.number(data, 8).is_some_and(|captured| captured > packet_bytes_max),
        _ => check.number(data, 4).is_some_and(|length| length > BLOCK_BYTES_MAX),
    }
}

struct Check {
    kind: Kind,
    big_endian: bool,
    packet_bytes_max: u32,
}

impl Check {
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

    fn number(&self, data: &[u8], at: usize) -> Option<u32> {
        let bytes = *data.get(at..)?.first_chunk::<4>()?;
        Some(if self.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    }

    /// Length of the packet record at `at`, when its header makes sense.
    fn header(&self, data: &[u8], at: usize) -> Option<usize> {
        let number = |offset: usize| self.number(data, at.checked_add(offset)?);
        if self.kind == Kind::Pcap {
            let (fraction, captured, length) = (number(4)?, number(8)?, number(12)?);
            let sane = fraction < 1_000_000_000 && captured > 0 && captured <= length;
            return (sane && length <= self.packet_bytes_max)
                .then(|| usize::try_from(captured).ok()?.checked_add(16))?;
        }
        let (kind, length) = (number(0)?, number(4)?);
        let sane =
            matches!(kind, 1..=6 | 0x0a0d_0d0a) && length % 4 == 0 && (12..=1_048_576).contains(&length);
        let length = usize::try_from(length).ok()?;
        let again = data.get(at.checked_add(length)?.checked_sub(4)?..)?.first_chunk::<4>()?;
        let again = if self.big_endian { u32::from_be_bytes(*again) } else { u32::from_le_bytes(*again) };
        (sane && usize::try_from(again).ok()? == length).then_some(length)
    }
}
