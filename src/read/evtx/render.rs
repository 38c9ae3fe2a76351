//! Records of one chunk as XML, by the `evtx` crate: only those that are asked for.
//!
//! The crate walks a chunk from its first record. What is not asked for is made one empty record, in place, so that it is
//! stepped over; names and templates stand behind the bytes that this changes, and stay.

use std::error::Error;
use std::sync::{Arc, LazyLock};

use evtx::err::EvtxError;
use evtx::{EvtxChunk, EvtxChunkHeader, ParserSettings};

use super::frame::{CHUNK_MAGIC, Frame, RECORD_HEADER_BYTES, RECORDS_AT};

/// Bytes that a record must have to be stepped over: its header, the end of its content, its size.
const STEP_BYTES_MIN: usize = RECORD_HEADER_BYTES + 4 + 1;

/// No indentation: text is what stands between the tags. Checksums are looked at before.
static SETTINGS: LazyLock<Arc<ParserSettings>> =
    LazyLock::new(|| Arc::new(ParserSettings::new().indent(false).validate_checksums(false)));

/// The XML of each of these records of the chunk, or why it cannot be read. INVARIANT: `frames` do not overlap and are
/// sorted by place. The chunk is changed and of no use afterwards.
pub(super) fn xml(chunk: &mut [u8], frames: &[Frame], sink: &mut dyn FnMut(Frame, Result<&str, String>)) {
    let Some(last) = frames.last().filter(|_| prepare(chunk, frames).is_some()) else { return };
    let opened = EvtxChunkHeader::from_bytes(chunk).map_err(|error| chain(&error));
    let mut header = match opened {
        Ok(header) => header,
        Err(error) => return fail_all(frames, &error, sink),
    };
    header.last_event_record_id = u64::MAX;
    header.free_space_offset = u32::try_from(last.end()).unwrap_or(0);
    match EvtxChunk::new(chunk, &header, Arc::clone(&SETTINGS)) {
        Ok(mut parsed) => each(&mut parsed, frames, sink),
        Err(error) => fail_all(frames, &chain(&error), sink),
    }
}

fn fail_all(frames: &[Frame], error: &str, sink: &mut dyn FnMut(Frame, Result<&str, String>)) {
    frames.iter().for_each(|frame| sink(*frame, Err(error.to_owned())));
}

fn each(chunk: &mut EvtxChunk<'_>, frames: &[Frame], sink: &mut dyn FnMut(Frame, Result<&str, String>)) {
    let mut expected = frames.iter().copied().peekable();
    let mut failed: Option<String> = None;
    for record in chunk.iter() {
        let at = match &record {
            Ok(record) => usize::try_from(record.binxml_offset).unwrap_or(0).checked_sub(RECORD_HEADER_BYTES),
            // Of the empty records some fail, which says nothing.
            Err(error) => {
                let of = |frame: &Frame| id_of(error) == Some(frame.id);
                let Some(frame) = expected.next_if(of) else { continue };
                sink(frame, Err(chain(error)));
                continue;
            }
        };
        while let Some(frame) = expected.next_if(|frame| at.is_some_and(|at| frame.at < at)) {
            sink(frame, Err(failed.take().unwrap_or_else(|| "the record was passed over".to_owned())));
        }
        let Some(frame) = expected.next_if(|frame| at == Some(frame.at)) else { continue };
        match record.and_then(evtx::EvtxRecord::into_xml) {
            Ok(xml) => sink(frame, Ok(&xml.data)),
            Err(error) => sink(frame, Err(chain(&error))),
        }
    }
    expected.for_each(|frame| sink(frame, Err("the record was passed over".to_owned())));
}

/// Makes everything between the frames one empty record each. The table of names is emptied: the crate then reads a name
/// where it is used, and a damaged table costs nothing.
fn prepare(chunk: &mut [u8], frames: &[Frame]) -> Option<()> {
    chunk.get_mut(..CHUNK_MAGIC.len())?.copy_from_slice(CHUNK_MAGIC);
    chunk.get_mut(128..384)?.fill(0);
    let mut from = RECORDS_AT;
    for frame in frames {
        let gap = frame.at.checked_sub(from)?;
        if gap >= STEP_BYTES_MIN {
            head(chunk, from, gap, 0)?;
            *chunk.get_mut(from + RECORD_HEADER_BYTES)? = 0;
        } else {
            chunk.get_mut(from..frame.at)?.fill(0);
        }
        head(chunk, frame.at, frame.size, frame.id)?;
        let size = u32::try_from(frame.size).ok()?;
        chunk.get_mut(frame.end() - 4..frame.end())?.copy_from_slice(&size.to_le_bytes());
        from = frame.end();
    }
    Some(())
}

/// A record header whose time is one that the crate takes; the event's own time stands in its XML.
fn head(chunk: &mut [u8], at: usize, size: usize, id: u64) -> Option<()> {
    let size = u32::try_from(size).ok()?;
    chunk.get_mut(at..at + 4)?.copy_from_slice(&[0x2a, 0x2a, 0, 0]);
    chunk.get_mut(at + 4..at + 8)?.copy_from_slice(&size.to_le_bytes());
    chunk.get_mut(at + 8..at + 16)?.copy_from_slice(&id.to_le_bytes());
    chunk.get_mut(at + 16..at + 24)?.fill(0);
    Some(())
}

/// The id of the record that an error is about.
const fn id_of(error: &EvtxError) -> Option<u64> {
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
