//! Target of the reader of event logs, of what records say, and of the whole pipe behind them.

use rdpwhy::events;
use rdpwhy::fact::What;
use rdpwhy::note::{Note, Spot};
use rdpwhy::read::evtx::{Choice, read_stream};
use rdpwhy::read::{LogCounts, Record, Unwatched};

/// Notes of one log at most, whatever it holds.
const NOTES_MAX: usize = 64;
/// Bytes of a chunk.
const CHUNK_BYTES: usize = 65_536;

/// An event log: every record counted, every fact read back from its text, the same again at a second reading.
pub fn evtx(bytes: &[u8]) {
    let (records, counts, notes) = read(bytes, |_, _, _| true);
    assert_eq!(u64::try_from(records.len()).ok(), Some(counts.records), "records handed over and counted");
    assert!(counts.chunks_unreadable <= counts.chunks, "{counts:?}");
    assert!(counts.chunks <= u64::try_from(bytes.len().div_ceil(CHUNK_BYTES)).unwrap(), "{counts:?}");
    assert!(counts.covers.is_none_or(|(first, last)| first <= last), "{counts:?}");
    assert!(notes.len() <= NOTES_MAX, "{} notes of one file", notes.len());
    for record in &records {
        let Some(fact) = events::facts(record, 0) else { continue };
        assert!(matches!(fact.place.spot, Spot::Record(_)), "{:?}", fact.place);
        let text = fact.what.text();
        assert_eq!(What::parse(&text).as_ref(), Ok(&fact.what), "read back from {text:?}");
    }
    same_without_rendering(bytes, &records, &counts);
    // Where checksums hold, what is not wanted is passed over by its template.
    let sound = with_checksums(bytes);
    let (records, counts, _) = read(&sound, |_, _, _| true);
    same_without_rendering(&sound, &records, &counts);
    same_by_xml(&sound, &records);
    crate::pipeline(bytes);
}

/// Reading only what is wanted gives the facts that rendering everything gives; only of what is damaged within is less said.
fn same_without_rendering(bytes: &[u8], all: &[Record], counts: &LogCounts) {
    let (wanted, again, _) = read(bytes, events::wanted);
    let there = |counts: &LogCounts| counts.records + counts.records_unreadable;
    assert_eq!(there(&again), there(counts), "{again:?} and {counts:?}");
    let facts =
        |records: &[Record]| -> Vec<_> { records.iter().filter_map(|r| events::facts(r, 0)).collect() };
    assert!(facts(&wanted) == facts(all), "facts differ when only what is wanted is rendered");
}

/// Fields taken from values are those of the XML, where that has all of them: what a chunk may cost is limited there too.
fn same_by_xml(bytes: &[u8], by_values: &[Record]) {
    let (by_xml, counts, notes) = read_by(bytes, |_, _, _| true, true);
    if counts.records_unreadable == 0 && notes.is_empty() {
        assert!(by_values == by_xml, "fields differ when they are taken from values");
    }
}

/// The log with the checksum of each chunk made anew.
fn with_checksums(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for chunk in bytes.get_mut(4_096..).unwrap_or_default().chunks_mut(CHUNK_BYTES) {
        let Some(free) = chunk.get(48..).and_then(|b| b.first_chunk().copied()).map(u32::from_le_bytes)
        else {
            break;
        };
        let records = usize::try_from(free).ok().and_then(|free| chunk.get(512..free));
        if let Some(sum) = records.map(crc32fast::hash) {
            chunk[52..56].copy_from_slice(&sum.to_le_bytes());
        }
    }
    bytes
}

fn read(bytes: &[u8], wanted: fn(&str, &str, u32) -> bool) -> (Vec<Record>, LogCounts, Vec<Note>) {
    read_by(bytes, wanted, false)
}

fn read_by(
    bytes: &[u8],
    wanted: fn(&str, &str, u32) -> bool,
    by_xml: bool,
) -> (Vec<Record>, LogCounts, Vec<Note>) {
    let mut records = Vec::new();
    let choice = Choice { wanted, keep: &Some, by_xml };
    let (counts, notes) = read_stream(0, bytes, &Unwatched, &choice, &mut |record| records.push(record));
    (records, counts, notes)
}
