//! Harms the bytes of an `.evtx` file in the ways that happen to real ones.
//!
//! Each function takes the bytes of a whole file and gives new ones. An index beyond the file changes nothing: the tests that
//! use them say what they expect to be lost.

use super::chunk::{CHUNK_HEADER_SIZE, CHUNK_SIZE, RECORD_MAGIC};
use super::writer::{FILE_HEADER_CHECKED, FILE_HEADER_SIZE};

/// Number of chunks in the file, a cut last one included.
pub fn chunk_count(file: &[u8]) -> usize {
    file.len().saturating_sub(FILE_HEADER_SIZE).div_ceil(CHUNK_SIZE)
}

/// Offsets in the file of the records of a chunk, in file order.
pub fn record_offsets(file: &[u8], chunk: usize) -> Vec<usize> {
    let start = chunk_start(chunk);
    let end = (start + CHUNK_SIZE).min(file.len());
    let mut offsets = Vec::new();
    let mut at = start + CHUNK_HEADER_SIZE;
    while at < end && word(file, at) == Some(RECORD_MAGIC) {
        offsets.push(at);
        match word(file, at + 4) {
            Some(size) if size >= 28 => at += size as usize,
            _ => break,
        }
    }
    offsets
}

/// Ends the file inside its last chunk, of which `keep` bytes stay: a copy that was broken off.
pub fn cut_last_chunk(file: &[u8], keep: usize) -> Vec<u8> {
    let start = chunk_start(chunk_count(file).saturating_sub(1));
    file[..(start + keep.min(CHUNK_SIZE)).min(file.len())].to_vec()
}

/// Overwrites the signature of a chunk with zeros.
pub fn bad_chunk_magic(file: &[u8], chunk: usize) -> Vec<u8> {
    overwrite(file, chunk_start(chunk), &[0; 8])
}

/// Overwrites the signature of the file with zeros.
pub fn bad_file_magic(file: &[u8]) -> Vec<u8> {
    overwrite(file, 0, &[0; 8])
}

/// Inverts one byte of a chunk; `offset` counts from the chunk's start.
pub fn flip_byte(file: &[u8], chunk: usize, offset: usize) -> Vec<u8> {
    let at = chunk_start(chunk) + offset;
    let flipped = file.get(at).map_or(0, |byte| !byte);
    overwrite(file, at, &[flipped])
}

/// Fills the `nth` record of a chunk with zeros, its size included.
pub fn zero_record(file: &[u8], chunk: usize, nth: usize) -> Vec<u8> {
    let Some(at) = record_offsets(file, chunk).get(nth).copied() else { return file.to_vec() };
    let size = word(file, at + 4).unwrap_or_default() as usize;
    overwrite(file, at, &vec![0; size])
}

/// Fills the content of the `nth` record of a chunk with `0xff` but leaves its header and trailer: one bad record among good ones.
pub fn spoil_record(file: &[u8], chunk: usize, nth: usize) -> Vec<u8> {
    let Some(at) = record_offsets(file, chunk).get(nth).copied() else { return file.to_vec() };
    let size = word(file, at + 4).unwrap_or_default() as usize;
    overwrite(file, at + 24, &vec![0xff; size.saturating_sub(28)])
}

/// Makes the header that of a file copied while in use: dirty flag set, chunk count and next record id as they were at the
/// first chunk, checksum correct.
pub fn dirty_header(file: &[u8]) -> Vec<u8> {
    let mut bytes = overwrite(file, 16, &0_u64.to_le_bytes());
    bytes = overwrite(&bytes, 24, &1_u64.to_le_bytes());
    bytes = overwrite(&bytes, 42, &1_u16.to_le_bytes());
    bytes = overwrite(&bytes, FILE_HEADER_CHECKED, &1_u32.to_le_bytes());
    let checksum = crc32fast::hash(&bytes[..FILE_HEADER_CHECKED.min(bytes.len())]);
    overwrite(&bytes, FILE_HEADER_CHECKED + 4, &checksum.to_le_bytes())
}

/// Appends chunks of zeros, as a log that was set aside in advance has them.
pub fn append_zero_chunks(file: &[u8], chunks: usize) -> Vec<u8> {
    let mut bytes = file.to_vec();
    bytes.resize(file.len() + chunks * CHUNK_SIZE, 0);
    bytes
}

/// Takes the file header away: bare chunks, as carved from a disk or memory.
pub fn without_file_header(file: &[u8]) -> Vec<u8> {
    file[FILE_HEADER_SIZE.min(file.len())..].to_vec()
}

/// Moves the first `by` chunks to the end: a log that has wrapped around, whose file order is not the order of ids.
pub fn rotate_chunks(file: &[u8], by: usize) -> Vec<u8> {
    let mut bytes = file.to_vec();
    let chunks = &mut bytes[FILE_HEADER_SIZE.min(file.len())..];
    let by = (by * CHUNK_SIZE).min(chunks.len());
    chunks.rotate_left(by);
    bytes
}

fn chunk_start(chunk: usize) -> usize {
    FILE_HEADER_SIZE + chunk * CHUNK_SIZE
}

fn word(file: &[u8], at: usize) -> Option<u32> {
    let bytes = file.get(at..at + 4)?;
    Some(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
}

fn overwrite(file: &[u8], at: usize, with: &[u8]) -> Vec<u8> {
    let mut bytes = file.to_vec();
    if let Some(place) = bytes.get_mut(at..at + with.len()) {
        place.copy_from_slice(with);
    }
    bytes
}
