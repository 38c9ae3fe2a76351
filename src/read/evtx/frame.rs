//! The frame of an .evtx file: file header and chunk headers, little-endian (layout as libevtx documents it).

/// Bytes of the file header block.
pub(super) const HEADER_BYTES: usize = 4_096;
/// Bytes of a chunk.
pub(super) const CHUNK_BYTES: usize = 65_536;
/// Where the first record of a chunk begins.
const RECORDS_AT: usize = 512;
/// Bytes of the smallest record: its header and the copy of its size.
const RECORD_BYTES_MIN: u64 = 28;

/// Where chunk `index` begins in the file.
pub(super) fn offset(index: u64) -> u64 {
    let (header, chunk) = (u64::try_from(HEADER_BYTES), u64::try_from(CHUNK_BYTES));
    index.saturating_mul(chunk.unwrap_or(0)).saturating_add(header.unwrap_or(0))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().copied().map(u64::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().copied().map(u32::from_le_bytes)
}

/// The file header: `ElfFile\0`, u64 first chunk at 8, u64 next record id at 24, u16 chunk count at 42, u32 flags at 120.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct FileHeader {
    /// The chunk that holds the oldest records.
    pub(super) first_chunk: u64,
    /// Id of the record that would be written next.
    pub(super) next_record_id: u64,
    /// Chunks in use.
    pub(super) chunk_count: u16,
    /// The log was open when the file was copied: the other values may be older than the chunks.
    pub(super) is_dirty: bool,
}

impl FileHeader {
    pub(super) fn is_one(bytes: &[u8]) -> bool {
        bytes.starts_with(b"ElfFile\0")
    }

    /// Reads what is there; a value that is cut is 0.
    pub(super) fn read(bytes: &[u8]) -> Self {
        let count = bytes.get(42..).and_then(|b| b.first_chunk().copied()).map(u16::from_le_bytes);
        Self {
            first_chunk: u64_at(bytes, 8).unwrap_or(0),
            next_record_id: u64_at(bytes, 24).unwrap_or(0),
            chunk_count: count.unwrap_or(0),
            is_dirty: u32_at(bytes, 120).unwrap_or(0) & 1 != 0,
        }
    }
}

/// First and last record id that a chunk header names (u64 at 24 and 32), when a chunk can hold that many.
pub(super) fn promised(chunk: &[u8]) -> Option<(u64, u64)> {
    let (first, last) = (u64_at(chunk, 24)?, u64_at(chunk, 32)?);
    let most = u64::try_from(CHUNK_BYTES).ok()? / RECORD_BYTES_MIN;
    let count = last.checked_sub(first)?.saturating_add(1);
    (first > 0 && count <= most).then_some((first, last))
}

/// Where the last record ends that lies in the first `present` bytes of a chunk as a whole: `2a 2a 00 00`, u32 size.
pub(super) fn whole_records_end(chunk: &[u8], present: usize) -> u32 {
    let mut end = RECORDS_AT;
    while let (Some(0x2a2a), Some(size)) = (u32_at(chunk, end), u32_at(chunk, end + 4)) {
        let next = usize::try_from(size).ok().and_then(|size| end.checked_add(size));
        match next {
            Some(next) if u64::from(size) >= RECORD_BYTES_MIN && next <= present => end = next,
            _ => break,
        }
    }
    u32::try_from(end).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_that_is_cut_reads_as_far_as_it_goes() {
        let mut bytes = b"ElfFile\0".to_vec();
        bytes.extend([0; 16]);
        bytes.extend(734_u64.to_le_bytes());
        let header = FileHeader::read(&bytes);
        assert_eq!((header.next_record_id, header.chunk_count, header.is_dirty), (734, 0, false));
        assert!(FileHeader::is_one(&bytes) && !FileHeader::is_one(b"ElfChnk\0"));
    }

    #[test]
    fn a_chunk_promises_no_more_than_it_can_hold() {
        let mut chunk = vec![0; 512];
        assert_eq!(promised(&chunk), None);
        chunk[24..32].copy_from_slice(&7_u64.to_le_bytes());
        chunk[32..40].copy_from_slice(&9_u64.to_le_bytes());
        assert_eq!(promised(&chunk), Some((7, 9)));
        chunk[32..40].copy_from_slice(&u64::MAX.to_le_bytes());
        assert_eq!(promised(&chunk), None);
        assert_eq!(offset(2), 4_096 + 2 * 65_536);
    }
}
