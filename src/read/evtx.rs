//! Event logs: one .evtx file, chunk by chunk, into records, with everything counted that its headers promise and that
//! cannot be read.
//!
//! The frame is read here: the file header, chunks of 65,536 bytes, their records. A record is decided by its template
//! (`glance`), and only what is wanted is rendered by the `evtx` crate. Times and ids are those of the event's XML.

use std::io::{self, Read};

use super::inputs::Input;
use super::watched::open_watched;
use super::{Event, Found, Record, Watch};
use crate::note::{Note, Spot};
use crate::time::UnixNanos;

mod chunk;
mod event;
mod frame;
mod glance;
mod ids;
mod input;
mod known;
mod layout;
mod parts;
mod payload;
mod render;
mod template;
mod typed;
mod xml;

use chunk::{ChunkRead, Clock};
use frame::{CHUNK_BYTES, CHUNK_MAGIC, FILE_MAGIC, FileHeader, HEADER_BYTES};
use ids::{Holes, Runs};
use input::Bytes;
use parts::Part;

/// Notes about unreadable chunks of one file; the rest is counted.
const CHUNK_NOTES_MAX: u64 = 16;

/// Logs that are read of one file, one behind the other.
const LOGS_MAX: usize = 64;

/// Decides by provider, channel and event id whether an event is worth reading in full.
pub type Wanted = fn(provider: &str, channel: &str, id: u32) -> bool;

/// Which events are read in full, and what is kept of each as a record of its own: slower than a `Picker`, and the same.
pub struct Choice<'a, T> {
    /// Which are wanted.
    pub wanted: Wanted,
    /// What is kept of one.
    pub keep: &'a (dyn Fn(Record) -> Option<T> + Sync),
    /// Read every field from the XML of its event, and none from the values of a template instance: slower, and the same.
    pub by_xml: bool,
}

/// Which events are looked at, what is made of each and what takes that, all on the thread that read it, so that several
/// threads share the work.
pub struct Picker<'a, W, T, K> {
    /// What says that an event is wanted, by provider, channel and event id; `None` lets it go.
    pub wanted: &'a (dyn Fn(&str, &str, u32) -> Option<W> + Sync),
    /// What is made of an event; `None` lets it go. May be asked again of the same one, when only its XML can tell what it
    /// asks for.
    pub make: &'a (dyn Fn(W, &Event<'_>) -> Option<T> + Sync),
    /// Takes what was made, in the order of the log.
    pub keep: &'a (dyn Fn(T, &mut K) + Sync),
    /// As `Choice` has it.
    pub by_xml: bool,
}

/// What an event log held, counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LogCounts {
    /// Events read, wanted or not, recovered ones included.
    pub records: u64,
    /// Of those read, events that no header counts.
    pub records_recovered: u64,
    /// Events that are there and could not be read.
    pub records_unreadable: u64,
    /// Events that the record numbers and headers tell of and that are not there.
    pub records_missing: u64,
    /// Wanted events that were read before, from another log of the same run or from this one, and were let go.
    pub records_repeated: u64,
    /// Chunks that hold something.
    pub chunks: u64,
    /// Chunks of which nothing could be read.
    pub chunks_unreadable: u64,
    /// The file holds less than its header says: chunks, or the header itself, are missing.
    pub is_cut: bool,
    /// Times of the first and the last event, wanted or not.
    pub covers: Option<(UnixNanos, UnixNanos)>,
}

impl LogCounts {
    /// Adds what another log of the same file held.
    fn add(&mut self, other: &Self) {
        self.records += other.records;
        self.records_recovered += other.records_recovered;
        self.records_unreadable += other.records_unreadable;
        self.records_missing = self.records_missing.saturating_add(other.records_missing);
        self.records_repeated += other.records_repeated;
        self.chunks += other.chunks;
        self.chunks_unreadable += other.chunks_unreadable;
        self.is_cut |= other.is_cut;
        self.covers = match (self.covers, other.covers) {
            (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
            (a, b) => a.or(b),
        };
    }

    /// Something was to be read and nothing could be.
    #[must_use]
    pub const fn is_lost(&self) -> bool {
        let lost = self.is_cut || self.chunks_unreadable > 0 || self.records_unreadable > 0;
        self.records == 0 && (lost || self.records_missing > 0)
    }
}

/// Reads one event log. What is kept of the wanted events goes to `sink` in the order of the file, which in a log that has
/// wrapped around is not the order of time.
pub fn read_log<T: Send>(
    input_index: u32,
    input: &Input,
    watch: &dyn Watch,
    choice: &Choice<'_, T>,
    sink: &mut (dyn FnMut(T) + Send),
) -> (LogCounts, Vec<Note>) {
    choice.with_picker(|picker| {
        pick_log(input_index, input, watch, picker, &mut |kept| kept.into_iter().for_each(&mut *sink))
    })
}

/// Reads the bytes of one event log, as `read_log` does.
pub fn read_stream<T: Send>(
    input_index: u32,
    reader: impl Read + Send,
    watch: &dyn Watch,
    choice: &Choice<'_, T>,
    sink: &mut (dyn FnMut(T) + Send),
) -> (LogCounts, Vec<Note>) {
    choice.with_picker(|picker| {
        pick_stream(input_index, reader, watch, picker, &mut |kept| kept.into_iter().for_each(&mut *sink))
    })
}

impl<T> Choice<'_, T> {
    fn with_picker<A>(&self, act: impl FnOnce(&Picker<'_, (), T, Vec<T>>) -> A) -> A {
        act(&Picker {
            wanted: &|provider, channel, id| (self.wanted)(provider, channel, id).then_some(()),
            make: &|(), event| (self.keep)(event.record()),
            keep: &|one, kept| kept.push(one),
            by_xml: self.by_xml,
        })
    }
}

/// Reads one event log; what took the picked events goes to `sink`, in the order of the file.
pub fn pick_log<W: Copy, T, K: Default + Send>(
    input_index: u32,
    input: &Input,
    watch: &dyn Watch,
    picker: &Picker<'_, W, T, K>,
    sink: &mut (dyn FnMut(K) + Send),
) -> (LogCounts, Vec<Note>) {
    watch.begins(&input.shown);
    let found = FoundOnly(watch);
    let counted: &dyn Watch = if input.gzip { &found } else { watch };
    match open_watched(input, watch) {
        Ok(reader) => pick_stream(input_index, reader, counted, picker, sink),
        Err(error) => {
            let counts = LogCounts { is_cut: true, ..LogCounts::default() };
            (counts, vec![Note::unreadable(input_index, &error.to_string())])
        }
    }
}

/// Of a compressed log, who decompresses it tells of the bytes.
struct FoundOnly<'w>(&'w dyn Watch);

impl Watch for FoundOnly<'_> {
    fn read(&self, _bytes: u64) {}

    fn found(&self, what: Found, count: u64) {
        self.0.found(what, count);
    }
}

/// Reads the bytes of one event log, as `pick_log` does.
pub fn pick_stream<W: Copy, T, K: Default + Send>(
    input_index: u32,
    reader: impl Read + Send,
    watch: &dyn Watch,
    picker: &Picker<'_, W, T, K>,
    sink: &mut (dyn FnMut(K) + Send),
) -> (LogCounts, Vec<Note>) {
    let mut bytes = Bytes::new(reader, watch);
    let (mut counts, mut notes) = one_log(input_index, &mut bytes, picker, sink);
    for number in 2..=LOGS_MAX + 1 {
        let at = bytes.place();
        let mut next = [0; FILE_MAGIC.len()];
        if bytes.fill(&mut next).is_err() || next != FILE_MAGIC {
            break;
        }
        if number > LOGS_MAX {
            counts.is_cut = true;
            notes.push(Note::logs_behind_left_out(input_index, at, LOGS_MAX));
            break;
        }
        bytes.give_back(&next);
        let (held, more) = one_log(input_index, &mut bytes, picker, sink);
        notes.push(Note::log_behind_another(input_index, at, held.records));
        notes.extend(more);
        counts.add(&held);
    }
    notes.sort();
    (counts, notes)
}

/// Reads one log, up to where another one begins.
fn one_log<W: Copy, T, K: Default + Send>(
    input_index: u32,
    bytes: &mut Bytes<'_, impl Read + Send>,
    picker: &Picker<'_, W, T, K>,
    sink: &mut (dyn FnMut(K) + Send),
) -> (LogCounts, Vec<Note>) {
    let mut log = Log::new(input_index);
    let mut first = vec![0; HEADER_BYTES];
    match bytes.fill(&mut first) {
        Ok(count) => {
            first.truncate(count);
            log.begin(&first, bytes, picker, sink);
        }
        Err(error) => log.unreadable(&error),
    }
    log.finish()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}

/// One log while it is read.
struct Log {
    input_index: u32,
    header: FileHeader,
    counts: LogCounts,
    notes: Vec<Note>,
    /// Places for a chunk, zero ones included.
    slots: u64,
    /// Ids by the record headers, as chunk and file headers count them.
    ids: Runs,
    /// Ids by the XML.
    event_ids: Runs,
    /// Of events that no header counts, by the record headers and by the XML.
    recovered_ids: Runs,
    recovered: Runs,
    /// Whole records of another pass over a chunk.
    stale: Runs,
    stale_count: u64,
    /// Events whose two ids differ.
    renumbered: u64,
    /// Lowest and highest id that a chunk header names.
    promised: Option<(u64, u64)>,
    first_unreadable: Option<(Spot, String)>,
    /// Chunks whose checksum does not hold: where each begins, and its highest id.
    altered: Vec<(u64, Option<u64>)>,
    clocks: Vec<Clock>,
    fields_cut: u64,
}

impl Log {
    fn new(input_index: u32) -> Self {
        Self {
            input_index,
            header: FileHeader::default(),
            counts: LogCounts::default(),
            notes: Vec::new(),
            slots: 0,
            ids: Runs::default(),
            event_ids: Runs::default(),
            recovered_ids: Runs::default(),
            recovered: Runs::default(),
            stale: Runs::default(),
            stale_count: 0,
            renumbered: 0,
            promised: None,
            first_unreadable: None,
            altered: Vec::new(),
            clocks: Vec::new(),
            fields_cut: 0,
        }
    }

    fn unreadable(&mut self, error: &io::Error) {
        self.counts.is_cut = true;
        self.notes.push(Note::unreadable(self.input_index, &error.to_string()));
    }

    /// Looks at what stands in the place of the file header, and reads what follows.
    fn begin<W: Copy, T, K: Default + Send>(
        &mut self,
        first: &[u8],
        bytes: &mut Bytes<'_, impl Read + Send>,
        picker: &Picker<'_, W, T, K>,
        sink: &mut (dyn FnMut(K) + Send),
    ) {
        let input = self.input_index;
        if first.is_empty() {
            self.notes.push(Note::empty(input));
        } else if first.starts_with(CHUNK_MAGIC) {
            self.notes.push(Note::log_without_header(input));
            bytes.give_back(first);
            self.read_chunks(bytes, picker, sink);
        } else if !FileHeader::is_one(first) {
            let mut chunk = vec![0; CHUNK_MAGIC.len()];
            let found = hex(first.get(..first.len().min(8)).unwrap_or_default());
            match bytes.fill(&mut chunk) {
                Ok(_) if chunk == CHUNK_MAGIC => {
                    self.notes.push(Note::log_header_bad(input, &found));
                    bytes.give_back(&chunk);
                    self.read_chunks(bytes, picker, sink);
                }
                _ => {
                    self.counts.is_cut = true;
                    self.notes.push(Note::not_a_log(input, &found));
                }
            }
        } else if first.len() < HEADER_BYTES {
            self.counts.is_cut = true;
            self.header = FileHeader::read(first);
            self.notes.push(Note::log_header_cut(input, first.len()));
        } else {
            if FileHeader::checksum_holds(first) {
                self.header = FileHeader::read(first);
            } else {
                self.notes.push(Note::log_header_altered(input));
            }
            self.read_chunks(bytes, picker, sink);
        }
    }

    fn read_chunks<W: Copy, T, K: Default + Send>(
        &mut self,
        bytes: &mut Bytes<'_, impl Read + Send>,
        picker: &Picker<'_, W, T, K>,
        sink: &mut (dyn FnMut(K) + Send),
    ) {
        let watch = bytes.watch();
        parts::each(bytes, picker, &mut |part| {
            let found = part.chunks.iter().map(|chunk| chunk.kept_count).sum();
            watch.found(Found::Record, found);
            self.take(part, sink);
        });
    }

    fn take<K: Default>(&mut self, part: Part<K>, sink: &mut (dyn FnMut(K) + Send)) {
        self.slots += part.slots;
        for chunk in part.chunks {
            self.add(chunk, sink);
        }
        if let Some(error) = part.error {
            self.unreadable(&error);
        }
    }

    fn add<K: Default>(&mut self, chunk: ChunkRead<K>, sink: &mut (dyn FnMut(K) + Send)) {
        self.counts.chunks += 1;
        if let Some((low, high)) = chunk.promised {
            let (a, b) = self.promised.unwrap_or((low, high));
            self.promised = Some((a.min(low), b.max(high)));
        }
        self.note_damage(&chunk);
        self.counts.records += chunk.read;
        self.counts.records_recovered += chunk.recovered_count;
        self.counts.records_unreadable += chunk.unreadable;
        self.first_unreadable = self.first_unreadable.take().or(chunk.first_unreadable);
        self.renumbered += chunk.renumbered;
        self.fields_cut += chunk.fields_cut;
        self.ids.merge(chunk.ids);
        self.event_ids.merge(chunk.event_ids);
        self.recovered_ids.merge(chunk.recovered_ids);
        self.recovered.merge(chunk.recovered);
        self.stale.merge(chunk.stale);
        self.stale_count += chunk.stale_count;
        self.clocks.push(chunk.clock);
        self.counts.covers = match (self.counts.covers, chunk.covers) {
            (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
            (a, b) => a.or(b),
        };
        chunk.kept.into_iter().for_each(sink);
    }

    fn note_damage<K: Default>(&mut self, chunk: &ChunkRead<K>) {
        let offset = chunk.at;
        if chunk.is_lost() {
            self.counts.chunks_unreadable += 1;
        }
        if let Some(found) = &chunk.signature {
            let noted = self.notes.iter().filter(|note| note.place.spot != Spot::Whole).count();
            if u64::try_from(noted).is_ok_and(|noted| noted < CHUNK_NOTES_MAX) {
                self.notes.push(Note::chunk_header_lost(self.input_index, offset, found, chunk.read));
            }
        }
        if chunk.present < CHUNK_BYTES {
            self.counts.is_cut = true;
            self.notes.push(Note::chunk_cut(self.input_index, offset, chunk.present, chunk.read));
        }
        if chunk.is_altered {
            self.altered.push((chunk.at, chunk.promised.map(|(_, last)| last)));
        }
    }

    fn finish(mut self) -> (LogCounts, Vec<Note>) {
        let input = self.input_index;
        let told = u64::from(self.header.chunk_count);
        if self.slots < told {
            self.counts.is_cut = true;
            self.notes.push(Note::chunks_missing(input, self.slots, told));
        }
        let over = self.counts.chunks_unreadable.saturating_sub(CHUNK_NOTES_MAX);
        if over > 0 {
            self.notes.push(Note::chunks_unreadable_more(input, over));
        }
        if let Some((spot, error)) = self.first_unreadable.take() {
            self.notes.push(Note::records_unreadable(input, spot, self.counts.records_unreadable, &error));
        }
        self.note_ids();
        self.note_altered();
        self.note_clock();
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

    /// What the record numbers tell: of records that are missing, of an extract, of records that nobody counts.
    fn note_ids(&mut self) {
        let input = self.input_index;
        let holes = self.holes();
        self.counts.records_missing = holes.records;
        if holes.count > 0 {
            self.notes.push(Note::records_missing(input, holes.count, holes.records, &holes.words()));
        }
        let recovered = self.counts.records_recovered;
        if recovered > 0 {
            let which = self.recovered.words();
            self.notes.push(Note::records_recovered(input, recovered, &which));
        }
        if self.stale_count > 0 {
            self.notes.push(Note::records_stale(input, self.stale_count, &self.stale.words()));
        }
        if self.renumbered > self.counts.records / 2 {
            let left_out = self.event_ids.holes(None, None);
            if left_out.count > 0 {
                self.notes.push(Note::log_is_extract(input, left_out.count, left_out.records));
            }
        }
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
            None if nothing && self.header.can_begin_with_1() => Some(1),
            None => None,
        };
        // What was recovered between the others is not missing.
        if let (Some(low), Some(high)) = (low, high) {
            self.ids.merge(self.recovered_ids.within(low, high));
        }
        self.ids.holes(low, high)
    }

    /// The chunk that is written to when a log is copied has an old checksum: in a log that was not closed, one may.
    fn note_altered(&mut self) {
        if self.header.is_dirty
            && let Some(newest) =
                self.altered.iter().enumerate().max_by_key(|(_, (_, last))| *last).map(|(at, _)| at)
        {
            self.altered.remove(newest);
        }
        if let Some((first, _)) = self.altered.first() {
            let chunks = self.altered.len();
            self.notes.push(Note::chunks_altered(self.input_index, *first, chunks));
        }
    }

    /// Steps back of the clock, in the order of the record numbers. A collection has many clocks.
    fn note_clock(&mut self) {
        if self.renumbered > 0 {
            return;
        }
        self.clocks.sort_by_key(|clock| clock.ends);
        let mut steps: Vec<(u64, i64)> = Vec::new();
        let mut last = None;
        for clock in &self.clocks {
            let Some([first, end]) = clock.ends else { continue };
            steps.extend(last.and_then(|last| Clock::step(last, first)));
            steps.extend(&clock.steps);
            last = Some(end);
        }
        if let Some((record, by)) = steps.first() {
            self.notes.push(Note::clock_set_back(self.input_index, *record, *by, steps.len()));
        }
    }
}

#[cfg(test)]
mod tests;
