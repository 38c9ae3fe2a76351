//! The file: header, then chunk after chunk, written as they fill.

use std::io::{self, Cursor, Seek, SeekFrom, Write};

use super::chunk::Chunk;
use super::record::Record;

/// Bytes before the first chunk.
pub(super) const FILE_HEADER_SIZE: usize = 4096;
/// Bytes of the header that its checksum covers.
pub(super) const FILE_HEADER_CHECKED: usize = 120;
/// Signature of a file.
pub(super) const FILE_MAGIC: [u8; 8] = *b"ElfFile\0";

/// Writes records into an `.evtx` file; holds one chunk in memory.
pub struct Writer<W: Write + Seek> {
    out: W,
    chunk: Chunk,
    chunks_written: u64,
    next_record_id: u64,
}

impl<W: Write + Seek> Writer<W> {
    /// Begins a file whose first record has id 1 unless it says otherwise.
    ///
    /// # Errors
    /// What `out` answers.
    pub fn new(mut out: W) -> io::Result<Self> {
        out.write_all(&[0; FILE_HEADER_SIZE])?;
        Ok(Self { out, chunk: Chunk::new(), chunks_written: 0, next_record_id: 1 })
    }

    /// Appends a record and gives its `EventRecordID`.
    ///
    /// # Errors
    /// What `out` answers; `InvalidInput` for a record that no chunk can hold.
    pub fn write(&mut self, record: &Record) -> io::Result<u64> {
        let record_id = record.record_id.unwrap_or(self.next_record_id);
        if !self.chunk.add(record, record_id) {
            if self.chunk.is_empty() {
                return Err(too_long(record));
            }
            self.flush_chunk()?;
            if !self.chunk.add(record, record_id) {
                return Err(too_long(record));
            }
        }
        self.next_record_id = record_id + 1;
        Ok(record_id)
    }

    /// Ends the file and gives the output back.
    ///
    /// # Errors
    /// What the output answers.
    pub fn finish(mut self) -> io::Result<W> {
        if !self.chunk.is_empty() || self.chunks_written == 0 {
            self.flush_chunk()?;
        }
        let header = file_header(self.chunks_written, self.next_record_id, 0);
        self.out.seek(SeekFrom::Start(0))?;
        self.out.write_all(&header)?;
        self.out.seek(SeekFrom::End(0))?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn flush_chunk(&mut self) -> io::Result<()> {
        let full = std::mem::replace(&mut self.chunk, Chunk::new());
        self.out.write_all(&full.close())?;
        self.chunks_written += 1;
        Ok(())
    }
}

/// A whole file in memory.
///
/// # Errors
/// `InvalidInput` for a record that no chunk can hold.
pub fn to_bytes(records: &[Record]) -> io::Result<Vec<u8>> {
    let mut writer = Writer::new(Cursor::new(Vec::new()))?;
    for record in records {
        writer.write(record)?;
    }
    Ok(writer.finish()?.into_inner())
}

/// The file's header; `flags` is 1 for a dirty file, 2 for a full one.
pub(super) fn file_header(chunks: u64, next_record_id: u64, flags: u32) -> Vec<u8> {
    let mut header = Vec::with_capacity(FILE_HEADER_SIZE);
    header.extend_from_slice(&FILE_MAGIC);
    header.extend_from_slice(&0_u64.to_le_bytes());
    header.extend_from_slice(&chunks.saturating_sub(1).to_le_bytes());
    header.extend_from_slice(&next_record_id.to_le_bytes());
    header.extend_from_slice(&128_u32.to_le_bytes());
    // Version 3.1, size of the header block, number of chunks (16 bits: the count wraps in files above 4 GiB).
    [1, 3, FILE_HEADER_SIZE as u16, (chunks & 0xffff) as u16]
        .iter()
        .for_each(|half| header.extend_from_slice(&half.to_le_bytes()));
    header.resize(FILE_HEADER_CHECKED, 0);
    let checksum = crc32fast::hash(&header);
    header.extend_from_slice(&flags.to_le_bytes());
    header.extend_from_slice(&checksum.to_le_bytes());
    header.resize(FILE_HEADER_SIZE, 0);
    header
}

fn too_long(record: &Record) -> io::Error {
    let text = format!("event {} of {}: longer than a chunk holds", record.event_id, record.provider.name);
    io::Error::new(io::ErrorKind::InvalidInput, text)
}
