//! Target of the reader of event logs, of what records say, and of the whole pipe behind them.

use rdpwhy::events;
use rdpwhy::fact::What;
use rdpwhy::note::{Note, Spot};
use rdpwhy::read::evtx::read_stream;
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
    let (wanted, again, _) = read(bytes, events::wanted);
    assert!(wanted.len() <= records.len() && again.records == counts.records, "{again:?} and {counts:?}");
    crate::pipeline(bytes);
}

fn read(bytes: &[u8], wanted: fn(&str, &str, u32) -> bool) -> (Vec<Record>, LogCounts, Vec<Note>) {
    let mut records = Vec::new();
    let (counts, notes) = read_stream(0, bytes, &Unwatched, wanted, &mut |record| records.push(record));
    (records, counts, notes)
}
