//! The frame of an .evtx file: file header, chunk headers and record headers, little-endian (layout as libevtx documents
//! it, measured on real files).
//!
//! ```text
//! file    ElfFile\0 | u64 first chunk | u64 last chunk | u64 next record id | .. | u16 chunks at 42 | u32 flags at 120
//! chunk   ElfChnk\0 | u64 first, last record number | u64 first, last record id | .. | u32 free space at 48 | u32 CRC-32
//!         of 512..free at 52 | u32 flags at 120 | names at 128 | templates at 384 | records from 512
//! record  2a 2a 00 00 | u32 size | u64 record id | FILETIME | binary XML | u32 size again
//! ```

/// Bytes of the file header block.
pub(super) const HEADER_BYTES: usize = 4_096;
/// Bytes of a chunk.
pub(super) const CHUNK_BYTES: usize = 65_536;
/// Signature of a file.
pub(super) const FILE_MAGIC: &[u8] = b"ElfFile\0";
/// Signature of a chunk.
pub(super) const CHUNK_MAGIC: &[u8] = b"ElfChnk\0";
/// Where the first record of a chunk begins.
pub(super) const RECORDS_AT: usize = 512;
/// Bytes of a record's header.
pub(super) const RECORD_HEADER_BYTES: usize = 24;
/// Bytes of the smallest record: its header and the copy of its size.
const RECORD_BYTES_MIN: usize = 28;
/// No record that Windows writes is shorter: 18 values of the outer template and their descriptions.
const RECORD_BYTES_REAL: u64 = 128;
/// Signature of a record.
const RECORD_MAGIC: [u8; 4] = [0x2a, 0x2a, 0, 0];
/// Flag of a chunk that has no checksums.
const FLAG_NO_CHECKSUM: u32 = 4;
/// 1980-01-01 as FILETIME: nothing was logged before.
const FILETIME_MIN: u64 = 119_600_064_000_000_000;
/// 2200-01-01 as FILETIME.
const FILETIME_MAX: u64 = 189_000_864_000_000_000;

pub(super) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().copied().map(u64::from_le_bytes)
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().copied().map(u32::from_le_bytes)
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().copied().map(u16::from_le_bytes)
}

/// A number of 32 bits as a place in a chunk.
pub(super) fn place_at(bytes: &[u8], at: usize) -> Option<usize> {
    usize::try_from(u32_at(bytes, at)?).ok()
}

/// The file header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct FileHeader {
    /// The chunk that holds the oldest records.
    pub(super) first_chunk: u64,
    /// Id of the record that would be written next.
    pub(super) next_record_id: u64,
    /// Chunks in use, by their low 16 bits.
    pub(super) chunk_count: u16,
    /// The log was open when the file was copied: the other values may be older than the chunks.
    pub(super) is_dirty: bool,
}

impl FileHeader {
    pub(super) fn is_one(bytes: &[u8]) -> bool {
        bytes.starts_with(FILE_MAGIC)
    }

    /// The header is as it was when its checksum was written; the flags do not count.
    pub(super) fn checksum_holds(bytes: &[u8]) -> bool {
        let told = u32_at(bytes, 124);
        bytes.get(..120).is_some_and(|checked| told == Some(crc32fast::hash(checked)))
    }

    /// Reads what is there; a value that is cut is 0.
    pub(super) fn read(bytes: &[u8]) -> Self {
        Self {
            first_chunk: u64_at(bytes, 8).unwrap_or(0),
            next_record_id: u64_at(bytes, 24).unwrap_or(0),
            chunk_count: u16_at(bytes, 42).unwrap_or(0),
            is_dirty: u32_at(bytes, 120).unwrap_or(0) & 1 != 0,
        }
    }

    /// Can its chunks have held every record since the first? If not, the log has overwritten its oldest ones.
    pub(super) fn can_begin_with_1(&self) -> bool {
        let bytes = u64::from(self.chunk_count) * u64::try_from(CHUNK_BYTES - RECORDS_AT).unwrap_or(0);
        self.first_chunk == 0 && self.next_record_id.saturating_sub(1) <= bytes / RECORD_BYTES_REAL
    }
}

/// What the header of a chunk says of its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ChunkHeader {
    /// First and last record id, when a chunk can hold that many.
    pub(super) promised: Option<(u64, u64)>,
    /// Where the last record ends.
    free_at: usize,
}

impl ChunkHeader {
    /// `None` without the signature.
    pub(super) fn read(chunk: &[u8]) -> Option<Self> {
        chunk
            .starts_with(CHUNK_MAGIC)
            .then(|| Self { promised: promised(chunk), free_at: place_at(chunk, 48).unwrap_or(0) })
    }

    /// The records are as they were when the checksum was written.
    pub(super) fn checksum_holds(&self, chunk: &[u8]) -> bool {
        let told = u32_at(chunk, 52);
        let none = u32_at(chunk, 120).is_some_and(|flags| flags & FLAG_NO_CHECKSUM != 0);
        let records = chunk.get(RECORDS_AT..self.free_at);
        none || records.is_some_and(|records| told == Some(crc32fast::hash(records)))
    }

    fn is_promised(&self, id: u64) -> bool {
        self.promised.is_none_or(|(first, last)| (first..=last).contains(&id))
    }
}

/// First and last record id that a chunk header names.
fn promised(chunk: &[u8]) -> Option<(u64, u64)> {
    let (first, last) = (u64_at(chunk, 24)?, u64_at(chunk, 32)?);
    let most = u64::try_from(CHUNK_BYTES / RECORD_BYTES_MIN).ok()?;
    let count = last.checked_sub(first)?.saturating_add(1);
    (first > 0 && count <= most).then_some((first, last))
}

/// One record by its header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame {
    /// Where it begins in the chunk.
    pub(super) at: usize,
    /// Bytes, header and the copy of the size included.
    pub(super) size: usize,
    /// Record id of the header.
    pub(super) id: u64,
    /// The chunk's header counts it.
    pub(super) is_counted: bool,
}

impl Frame {
    /// A record that begins here, whole or not.
    fn read(chunk: &[u8], at: usize) -> Option<Self> {
        let is_one = chunk.get(at..)?.starts_with(&RECORD_MAGIC);
        let size = place_at(chunk, at + 4)?;
        let id = u64_at(chunk, at + 8)?;
        let fits = (RECORD_BYTES_MIN..=CHUNK_BYTES).contains(&size) && at + size <= chunk.len();
        (is_one && fits).then_some(Self { at, size, id, is_counted: true })
    }

    pub(super) const fn end(&self) -> usize {
        self.at + self.size
    }

    /// The binary XML and the copy of the size behind it.
    pub(super) const fn content(&self) -> (usize, usize) {
        (self.at + RECORD_HEADER_BYTES, self.at + self.size - 4)
    }

    /// It ends with the copy of its size, as every whole record does.
    fn is_closed(&self, chunk: &[u8]) -> bool {
        place_at(chunk, self.end() - 4) == Some(self.size)
    }

    /// Its id and time are such as a log has.
    fn makes_sense(&self, chunk: &[u8]) -> bool {
        let time = u64_at(chunk, self.at + 16).unwrap_or(0);
        self.id > 0 && (FILETIME_MIN..FILETIME_MAX).contains(&time)
    }
}

/// The records of one chunk by their headers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Frames {
    /// Those of the log, in order: that the chunk's header counts, that stand among these with ids of another pass over the
    /// chunk, or that follow the last one without a gap in the ids. All of a chunk that has lost its header.
    pub(super) live: Vec<Frame>,
    /// Those that it counts and whose end is not their own.
    pub(super) torn: Vec<Frame>,
    /// Whole records of another pass over the chunk: what the log has overwritten, but for some of its bytes.
    pub(super) stale: Vec<Frame>,
    /// Where bytes stand that are no record and where one should begin.
    pub(super) damaged_at: Option<usize>,
}

/// Walks the records of a chunk; `chunk` is as much of it as there is.
pub(super) fn walk(chunk: &[u8], header: Option<&ChunkHeader>) -> Frames {
    let mut frames = Frames::default();
    let Some(header) = header else {
        carve(chunk, RECORDS_AT, chunk.len(), &mut frames.live);
        frames.live.iter_mut().for_each(|frame| frame.is_counted = false);
        return frames;
    };
    let told = (RECORDS_AT..=chunk.len()).contains(&header.free_at);
    let end = if told { header.free_at } else { chunk.len() };
    let (mut at, mut carved_from) = (RECORDS_AT, RECORDS_AT);
    while at < end {
        let Some(frame) = live_at(chunk, at, end, header, &mut frames.torn) else {
            let next = (at + 1..end).find(|at| is_resumed(chunk, *at, end, header));
            let is_blank = u32_at(chunk, at).is_none_or(|word| word == 0);
            if next.is_some() || !(is_blank || is_cut(chunk, at)) {
                frames.damaged_at.get_or_insert(at);
            }
            match next {
                Some(next) => at = next,
                None => break,
            }
            continue;
        };
        carve(chunk, carved_from, at, &mut frames.stale);
        at = frame.end();
        carved_from = at;
        frames.live.push(frame);
        if header.promised.is_some_and(|(_, last)| last == frame.id) {
            break;
        }
    }
    frames.behind(chunk, carved_from);
    frames
}

impl Frames {
    /// Records behind the last that the header counts: those that follow it were written before the header was again.
    fn behind(&mut self, chunk: &[u8], from: usize) {
        let mut behind = Vec::new();
        carve(chunk, from, chunk.len(), &mut behind);
        for frame in behind {
            let last = self.live.last().filter(|last| last.end() == frame.at);
            if last.is_some_and(|last| last.id.checked_add(1) == Some(frame.id)) {
                self.live.push(Frame { is_counted: false, ..frame });
            } else {
                self.stale.push(frame);
            }
        }
    }
}

/// The record that is to begin here. One that does not end with its size counts when the next begins where it ends; one
/// with an id that the header does not promise only when it is whole.
fn live_at(
    chunk: &[u8],
    at: usize,
    end: usize,
    header: &ChunkHeader,
    torn: &mut Vec<Frame>,
) -> Option<Frame> {
    let frame = Frame::read(chunk, at)?;
    if !header.is_promised(frame.id) {
        let is_whole = frame.end() <= end && frame.is_closed(chunk) && frame.makes_sense(chunk);
        return is_whole.then_some(Frame { is_counted: false, ..frame });
    }
    let fits = frame.is_closed(chunk) || frame.end() == end || Frame::read(chunk, frame.end()).is_some();
    if !fits {
        torn.push(frame);
    }
    fits.then_some(frame)
}

/// A record begins here and ends behind a cut of the file.
fn is_cut(chunk: &[u8], at: usize) -> bool {
    let begins = chunk.get(at..).is_some_and(|record| record.starts_with(&RECORD_MAGIC));
    let size = place_at(chunk, at + 4).unwrap_or(CHUNK_BYTES);
    chunk.len() < CHUNK_BYTES && begins && (RECORD_BYTES_MIN..=CHUNK_BYTES).contains(&size)
}

fn is_resumed(chunk: &[u8], at: usize, end: usize, header: &ChunkHeader) -> bool {
    chunk.get(at) == RECORD_MAGIC.first()
        && Frame::read(chunk, at)
            .is_some_and(|f| f.end() <= end && f.is_closed(chunk) && header.is_promised(f.id))
}

/// Whole records between two places.
fn carve(chunk: &[u8], from: usize, to: usize, found: &mut Vec<Frame>) {
    let mut at = from;
    while at + RECORD_BYTES_MIN <= to {
        let here = chunk.get(at) == RECORD_MAGIC.first();
        let frame = here.then(|| Frame::read(chunk, at)).flatten();
        let whole = |f: &Frame| f.end() <= to && f.is_closed(chunk) && f.makes_sense(chunk);
        at = match frame.filter(whole) {
            Some(frame) => {
                found.push(frame);
                frame.end()
            }
            None => at + 1,
        };
    }
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
    fn a_log_whose_chunks_cannot_hold_all_its_records_has_overwritten_some() {
        let header = |next_record_id| FileHeader { next_record_id, chunk_count: 7, ..FileHeader::default() };
        assert!(header(734).can_begin_with_1());
        assert!(!header(70_000).can_begin_with_1());
        assert!(!FileHeader { first_chunk: 2, ..header(734) }.can_begin_with_1());
    }

    /// A chunk that promises `first` to `last`, and places a record of each id one after the other.
    fn chunk(first: u64, last: u64, ids: &[u64]) -> Vec<u8> {
        let mut chunk = CHUNK_MAGIC.to_vec();
        chunk.resize(RECORDS_AT, 0);
        chunk[24..32].copy_from_slice(&first.to_le_bytes());
        chunk[32..40].copy_from_slice(&last.to_le_bytes());
        for id in ids {
            chunk.extend(RECORD_MAGIC);
            chunk.extend(40_u32.to_le_bytes());
            chunk.extend(id.to_le_bytes());
            chunk.extend((FILETIME_MIN + 1).to_le_bytes());
            chunk.extend([0xff; 12]);
            chunk.extend(40_u32.to_le_bytes());
        }
        let free = u32::try_from(chunk.len()).unwrap();
        chunk[48..52].copy_from_slice(&free.to_le_bytes());
        chunk.resize(CHUNK_BYTES, 0);
        chunk
    }

    fn uncounted(frames: &Frames) -> Vec<u64> {
        frames.live.iter().filter(|frame| !frame.is_counted).map(|frame| frame.id).collect()
    }

    fn ids(frames: &[Frame]) -> Vec<u64> {
        frames.iter().map(|frame| frame.id).collect()
    }

    #[test]
    fn a_chunk_promises_no_more_than_it_can_hold() {
        let promised = |first, last| ChunkHeader::read(&chunk(first, last, &[])).unwrap().promised;
        assert_eq!(promised(0, 0), None);
        assert_eq!(promised(7, 9), Some((7, 9)));
        assert_eq!(promised(7, u64::MAX), None);
        assert_eq!(ChunkHeader::read(&[0; 512]), None);
    }

    #[test]
    fn records_behind_the_last_and_of_an_earlier_pass_are_found_and_not_counted_as_live() {
        let bytes = chunk(10, 12, &[10, 11, 12, 13, 7]);
        let header = ChunkHeader::read(&bytes).unwrap();
        let frames = walk(&bytes, Some(&header));
        assert_eq!((ids(&frames.live), ids(&frames.stale)), (vec![10, 11, 12, 13], vec![7]));
        assert_eq!((uncounted(&frames), frames.damaged_at), (vec![13], None));
        let other_pass = chunk(10, 12, &[10, 99, 12]);
        let frames = walk(&other_pass, Some(&header));
        assert_eq!((ids(&frames.live), uncounted(&frames)), (vec![10, 99, 12], vec![99]));
        assert_eq!(frames.damaged_at, None);
        assert_eq!(uncounted(&walk(&bytes, None)), [10, 11, 12, 13, 7]);
    }

    #[test]
    fn damage_costs_the_records_it_strikes() {
        let whole = chunk(1, 4, &[1, 2, 3, 4]);
        let header = ChunkHeader::read(&whole).unwrap();
        let harmed = |at: usize, with: &[u8]| {
            let mut bytes = whole.clone();
            bytes[at..at + with.len()].copy_from_slice(with);
            let frames = walk(&bytes, Some(&header));
            (ids(&frames.live), ids(&frames.torn), frames.damaged_at)
        };
        assert_eq!(harmed(552, &[0; 40]), (vec![1, 3, 4], vec![], Some(552)));
        assert_eq!(harmed(588, &[1]), (vec![1, 2, 3, 4], vec![], None), "the copy of a size alone");
        assert_eq!(harmed(556, &[44]), (vec![1, 3, 4], vec![2], Some(552)), "the size itself");
        assert_eq!(harmed(632, &[0; 40]), (vec![1, 2, 3], vec![], None), "zeros at the end");
        let cut = walk(&whole[..600], Some(&header));
        assert_eq!((ids(&cut.live), ids(&cut.torn), cut.damaged_at), (vec![1, 2], vec![], None));
    }

    #[test]
    fn the_checksum_is_that_of_the_records() {
        let mut bytes = chunk(1, 1, &[1]);
        let crc = crc32fast::hash(&bytes[512..552]);
        let header = ChunkHeader::read(&bytes).unwrap();
        assert!(!header.checksum_holds(&bytes));
        bytes[52..56].copy_from_slice(&crc.to_le_bytes());
        assert!(header.checksum_holds(&bytes));
        bytes[540] = 0;
        assert!(!header.checksum_holds(&bytes));
        bytes[120] = 4;
        assert!(header.checksum_holds(&bytes));
    }
}
