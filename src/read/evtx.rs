//! Event logs: one .evtx file, chunk by chunk, into records, with everything counted that its headers promise and that
//! cannot be read.
//!
//! The frame is read here: the file header, chunks of 65,536 bytes, their headers. What is inside of a chunk is decoded
//! by the `evtx` crate, which says nothing of a chunk that is cut. Times and ids are those of the event's XML.

use std::io::{self, Read};

use rayon::prelude::*;

use super::inputs::{self, Input};
use super::{Record, Watch};
use crate::note::{Note, Spot};
use crate::time::UnixNanos;

mod chunk;
mod event;
mod frame;
mod ids;
mod xml;

use chunk::ChunkRead;
use frame::{CHUNK_BYTES, FileHeader, HEADER_BYTES};
use ids::{Holes, Runs};

/// Chunks that are in memory at a time.
const BATCH: usize = 16;
/// Notes about unreadable chunks of one file; the rest is counted.
const CHUNK_NOTES_MAX: u64 = 16;

/// Decides by provider, channel and event id whether an event is worth reading in full.
pub type Wanted = fn(provider: &str, channel: &str, id: u32) -> bool;

/// What an event log held, counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LogCounts {
    /// Events read, wanted or not.
    pub records: u64,
    /// Events that are there and could not be read.
    pub records_unreadable: u64,
    /// Events that the record numbers and headers tell of and that are not there.
    pub records_missing: u64,
    /// Chunks that hold something.
    pub chunks: u64,
    /// Chunks of which nothing could be read.
    pub chunks_unreadable: u64,
    /// Times of the first and the last event, wanted or not.
    pub covers: Option<(UnixNanos, UnixNanos)>,
}

/// Reads one event log. The wanted events go to `sink` in the order of the file, which in a log that has wrapped around
/// is not the order of time.
pub fn read_log(
    input_index: u32,
    input: &Input,
    watch: &dyn Watch,
    wanted: Wanted,
    sink: &mut dyn FnMut(Record),
) -> (LogCounts, Vec<Note>) {
    match inputs::open(input) {
        Ok(reader) => read_stream(input_index, reader, watch, wanted, sink),
        Err(error) => (LogCounts::default(), vec![Note::unreadable(input_index, &error.to_string())]),
    }
}

/// Reads the bytes of one event log, as `read_log` does.
pub fn read_stream(
    input_index: u32,
    mut reader: impl Read,
    watch: &dyn Watch,
    wanted: Wanted,
    sink: &mut dyn FnMut(Record),
) -> (LogCounts, Vec<Note>) {
    let mut log = Log::new(input_index, wanted);
    let mut first = vec![0; HEADER_BYTES];
    match fill(&mut reader, &mut first, watch) {
        Ok(0) => log.notes.push(Note::empty(input_index)),
        Ok(count) if !FileHeader::is_one(&first) => {
            let found = first.get(..count.min(8)).unwrap_or_default();
            log.notes.push(Note::not_a_log(input_index, &hex(found)));
        }
        Ok(count) if count < HEADER_BYTES => log.header_cut(&first, count),
        Ok(_) => {
            log.header = FileHeader::read(&first);
            log.read_chunks(&mut reader, watch, sink);
        }
        Err(error) => log.notes.push(Note::unreadable(input_index, &error.to_string())),
    }
    log.finish()
}

/// Fills the buffer as far as the input goes, and tells the watch.
fn fill(reader: &mut impl Read, buffer: &mut [u8], watch: &dyn Watch) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(space) = buffer.get_mut(filled..).filter(|space| !space.is_empty()) {
        match reader.read(space) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    watch.read(u64::try_from(filled).unwrap_or(0));
    Ok(filled)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}

/// The bytes where a chunk should be.
struct Slot {
    index: u64,
    data: Vec<u8>,
    /// Bytes that are there; the rest of `data` is zero.
    present: usize,
}

/// One log while it is read.
struct Log {
    input_index: u32,
    wanted: Wanted,
    header: FileHeader,
    counts: LogCounts,
    notes: Vec<Note>,
    /// Places for a chunk, zero ones included.
    slots: u64,
    /// Ids by the record headers, as chunk and file headers count them.
    ids: Runs,
    /// Ids by the XML.
    event_ids: Runs,
    /// Events whose two ids differ.
    renumbered: u64,
    /// Lowest and highest id that a chunk header names.
    promised: Option<(u64, u64)>,
    first_unreadable: Option<(Spot, String)>,
    fields_cut: u64,
}

impl Log {
    fn new(input_index: u32, wanted: Wanted) -> Self {
        Self {
            input_index,
            wanted,
            header: FileHeader::default(),
            counts: LogCounts::default(),
            notes: Vec::new(),
            slots: 0,
            ids: Runs::default(),
            event_ids: Runs::default(),
            renumbered: 0,
            promised: None,
            first_unreadable: None,
            fields_cut: 0,
        }
    }

    fn header_cut(&mut self, first: &[u8], count: usize) {
        self.header = FileHeader::read(first);
        self.notes.push(Note::log_header_cut(self.input_index, count));
    }

    fn read_chunks(&mut self, reader: &mut impl Read, watch: &dyn Watch, sink: &mut dyn FnMut(Record)) {
        loop {
            let (batch, more) = self.batch(reader, watch);
            let wanted = self.wanted;
            let read: Vec<ChunkRead> = batch
                .into_par_iter()
                .map(|slot| chunk::read(slot.index, slot.data, slot.present, wanted))
                .collect();
            for chunk in read {
                self.add(chunk, sink);
            }
            if !more {
                return;
            }
        }
    }

    /// The next chunks, and whether more may follow.
    fn batch(&mut self, reader: &mut impl Read, watch: &dyn Watch) -> (Vec<Slot>, bool) {
        let mut batch = Vec::with_capacity(BATCH);
        while batch.len() < BATCH {
            let mut data = vec![0; CHUNK_BYTES];
            let present = match fill(reader, &mut data, watch) {
                Ok(present) => present,
                Err(error) => {
                    self.notes.push(Note::unreadable(self.input_index, &error.to_string()));
                    return (batch, false);
                }
            };
            let index = self.slots;
            if present == CHUNK_BYTES {
                self.slots += 1;
            }
            // Windows writes logs larger than what they hold: zeros are no loss.
            if data.iter().any(|byte| *byte != 0) {
                batch.push(Slot { index, data, present });
            }
            if present < CHUNK_BYTES {
                return (batch, false);
            }
        }
        (batch, true)
    }

    fn add(&mut self, chunk: ChunkRead, sink: &mut dyn FnMut(Record)) {
        self.counts.chunks += 1;
        if let Some((low, high)) = chunk.promised {
            let (a, b) = self.promised.unwrap_or((low, high));
            self.promised = Some((a.min(low), b.max(high)));
        }
        if let Some(why) = &chunk.failed {
            self.counts.chunks_unreadable += 1;
            if self.counts.chunks_unreadable <= CHUNK_NOTES_MAX {
                self.notes.push(Note::chunk_unreadable(self.input_index, frame::offset(chunk.index), why));
            }
        } else if chunk.present < CHUNK_BYTES {
            let offset = frame::offset(chunk.index);
            self.notes.push(Note::chunk_cut(self.input_index, offset, chunk.present, chunk.read));
        }
        self.counts.records += chunk.read;
        self.counts.records_unreadable += chunk.unreadable;
        self.first_unreadable = self.first_unreadable.take().or(chunk.first_unreadable);
        self.renumbered += chunk.renumbered;
        self.fields_cut += chunk.fields_cut;
        self.ids.merge(chunk.ids);
        self.event_ids.merge(chunk.event_ids);
        self.counts.covers = match (self.counts.covers, chunk.covers) {
            (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
            (a, b) => a.or(b),
        };
        chunk.records.into_iter().for_each(sink);
    }

    fn finish(mut self) -> (LogCounts, Vec<Note>) {
        let input = self.input_index;
        let told = u64::from(self.header.chunk_count);
        if self.slots < told {
            self.notes.push(Note::chunks_missing(input, self.slots, told));
        }
        let over = self.counts.chunks_unreadable.saturating_sub(CHUNK_NOTES_MAX);
        if over > 0 {
            self.notes.push(Note::chunks_unreadable_more(input, over));
        }
        if let Some((spot, error)) = self.first_unreadable.take() {
            self.notes.push(Note::records_unreadable(input, spot, self.counts.records_unreadable, &error));
        }
        let holes = self.holes();
        self.counts.records_missing = holes.records;
        if holes.count > 0 {
            self.notes.push(Note::records_missing(input, holes.count, holes.records, &holes.words()));
        }
        if self.renumbered > self.counts.records / 2 {
            let left_out = self.event_ids.holes(None, None);
            if left_out.count > 0 {
                self.notes.push(Note::log_is_extract(input, left_out.count, left_out.records));
            }
        }
        let lost =
            self.counts.records_missing + self.counts.records_unreadable + self.counts.chunks_unreadable;
        if self.header.is_dirty && lost > 0 {
            self.notes.push(Note::log_dirty(input));
        }
        if self.fields_cut > 0 {
            self.notes.push(Note::fields_cut(input, self.fields_cut));
        }
        self.notes.sort();
        (self.counts, self.notes)
    }

    /// Gaps in the record numbers, up to what the headers promise. A log that has wrapped around begins anywhere.
    fn holes(&mut self) -> Holes {
        // Of a renumbered log, some writers count here by the old numbers: then nothing is told of the new ones.
        let counts_old = |last: &u64| self.renumbered > 0 && self.event_ids.last() == Some(*last);
        let from_header =
            self.header.next_record_id.checked_sub(1).filter(|last| *last > 0 && !counts_old(last));
        let high = self.promised.map(|(_, high)| high).max(from_header);
        let nothing = self.ids.is_empty() && self.promised.is_none();
        let low = match self.promised {
            Some((low, _)) => Some(low),
            // Nothing of it is left: a log that has not wrapped around began with record 1.
            None if nothing && self.header.first_chunk == 0 && self.header.chunk_count > 0 => Some(1),
            None => None,
        };
        self.ids.holes(low, high)
    }
}

#[cfg(test)]
mod tests;
