//! One chunk of an event log: decoded by the `evtx` crate, each event looked at, the wanted ones kept.

use std::error::Error;
use std::sync::{Arc, LazyLock};

use evtx::err::EvtxError;
use evtx::{EvtxChunkData, EvtxRecord, ParserSettings};

use super::frame;
use super::ids::Runs;
use super::{Wanted, event};
use crate::note::Spot;
use crate::read::Record;
use crate::time::UnixNanos;

/// Bytes of names and values kept of one chunk's events: far more than 64 KiB of real events need, and a limit to
/// templates that unfold the same value again and again.
const KEPT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// No indentation: text is what stands between the tags. Checksums are not looked at: logs copied while they were open
/// have old ones.
static SETTINGS: LazyLock<Arc<ParserSettings>> =
    LazyLock::new(|| Arc::new(ParserSettings::new().indent(false).validate_checksums(false)));

/// What one chunk held.
#[derive(Debug, Default)]
pub(super) struct ChunkRead {
    pub(super) index: u64,
    /// Bytes of it that are there.
    pub(super) present: usize,
    /// Why nothing of it could be read.
    pub(super) failed: Option<String>,
    pub(super) records: Vec<Record>,
    pub(super) read: u64,
    pub(super) unreadable: u64,
    pub(super) first_unreadable: Option<(Spot, String)>,
    pub(super) ids: Runs,
    pub(super) event_ids: Runs,
    pub(super) renumbered: u64,
    pub(super) promised: Option<(u64, u64)>,
    pub(super) covers: Option<(UnixNanos, UnixNanos)>,
    /// Events of which fields were left out.
    pub(super) fields_cut: u64,
}

/// Reads one chunk; of a cut one, the whole records before the cut.
pub(super) fn read(index: u64, data: Vec<u8>, present: usize, wanted: Wanted) -> ChunkRead {
    let mut chunk = ChunkRead { index, present, ..ChunkRead::default() };
    if !data.starts_with(b"ElfChnk\0") {
        let found = data.get(..8).unwrap_or_default();
        chunk.failed = Some(format!("signature is {}", super::hex(found)));
        return chunk;
    }
    chunk.promised = frame::promised(&data);
    let mut data = match EvtxChunkData::new(data, false) {
        Ok(data) => data,
        Err(error) => {
            chunk.failed = Some(chain(&error));
            return chunk;
        }
    };
    if present < frame::CHUNK_BYTES {
        data.header.free_space_offset = frame::whole_records_end(&data.data, present);
    }
    match data.parse(Arc::clone(&SETTINGS)) {
        Ok(mut parsed) => chunk.read_records(parsed.iter(), wanted),
        Err(error) => chunk.failed = Some(chain(&error)),
    }
    chunk
}

impl ChunkRead {
    fn read_records<'r>(
        &mut self,
        records: impl Iterator<Item = Result<EvtxRecord<'r>, EvtxError>>,
        wanted: Wanted,
    ) {
        let mut room = KEPT_BYTES_MAX;
        for record in records {
            let (id, rendered) = match record {
                Ok(record) => (Some(record.event_record_id), record.into_xml()),
                Err(error) => (id_of(&error), Err(error)),
            };
            match rendered {
                Ok(rendered) => self.look_at(rendered.event_record_id, &rendered.data, wanted, &mut room),
                Err(error) => self.unreadable(id, chain(&error)),
            }
        }
    }

    fn look_at(&mut self, id: u64, text: &str, wanted: Wanted, room: &mut usize) {
        let head = match event::head(text) {
            Ok(head) => head,
            Err(what) => return self.unreadable(Some(id), what.to_owned()),
        };
        self.read += 1;
        self.ids.add(id);
        self.event_ids.add(head.record_id);
        self.renumbered += u64::from(head.record_id != id);
        let (from, to) = self.covers.unwrap_or((head.at, head.at));
        self.covers = Some((from.min(head.at), to.max(head.at)));
        if wanted(&head.provider, &head.channel, head.id) {
            let (fields, cut) = event::fields(text, room);
            self.fields_cut += u64::from(cut);
            self.records.push(Record { fields, ..head });
        }
    }

    /// An event that is there and cannot be read. Bytes that are no record at all have no id: what they were shows in
    /// the ids that are missing.
    fn unreadable(&mut self, id: Option<u64>, error: String) {
        let promised = |id: &u64| self.promised.is_none_or(|(low, high)| (low..=high).contains(id));
        let id = id.filter(promised);
        if let Some(id) = id {
            self.ids.add(id);
        }
        self.unreadable += u64::from(id.is_some() || self.promised.is_none());
        let spot = id.map_or(Spot::Byte(frame::offset(self.index)), Spot::Record);
        self.first_unreadable.get_or_insert((spot, error));
    }
}

/// The id of the record that an error is about.
fn id_of(error: &EvtxError) -> Option<u64> {
    match error {
        EvtxError::FailedToParseRecord { record_id, .. } => Some(*record_id),
        _ => None,
    }
}

/// An error and its causes in one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
