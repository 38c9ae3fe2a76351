//! Real event logs, whole and damaged, against counts of an independent reader and of their own headers.

use std::collections::BTreeMap;
use std::path::PathBuf;

use rdpwhy::note::Note;
use rdpwhy::read::evtx::{LogCounts, read_log};
use rdpwhy::read::{Record, Unwatched, inputs};

use crate::support;

struct Log {
    counts: LogCounts,
    records: Vec<Record>,
    notes: Vec<Note>,
}

impl Log {
    fn of_id(&self, id: u32) -> usize {
        self.records.iter().filter(|record| record.id == id).count()
    }

    fn notes(&self) -> String {
        self.notes.iter().map(|note| format!("{} {}\n", note.place.spot, note.text)).collect()
    }

    /// Counts by event id, as `21:2 22:2`.
    fn ids(&self) -> String {
        let mut ids = BTreeMap::<u32, u32>::new();
        self.records.iter().for_each(|record| *ids.entry(record.id).or_default() += 1);
        ids.iter().map(|(id, count)| format!("{id}:{count}")).collect::<Vec<_>>().join(" ")
    }
}

fn read(path: PathBuf) -> Log {
    let inventory = inputs::inventory(&[path]);
    let mut records = Vec::new();
    let input = inventory.inputs.first().unwrap();
    let (counts, notes) = read_log(0, input, &Unwatched, |_, _, _| true, &mut |record| records.push(record));
    Log { counts, records, notes }
}

/// The one log of the corpus whose name holds `part`.
fn log(part: &str) -> Option<Log> {
    let folder = support::corpus("public/evtx")?;
    let named = |path: &PathBuf| path.to_string_lossy().contains(part);
    let mut found: Vec<PathBuf> =
        folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).filter(named).collect();
    assert_eq!(found.len(), 1, "{part}: {found:?}");
    Some(read(found.remove(0)))
}

#[test]
fn every_log_of_the_corpus_is_read_and_gives_every_record_or_says_why_not() {
    let Some(folder) = support::corpus("public/evtx") else { return };
    let mut files = 0;
    for entry in folder.read_dir().unwrap() {
        let path = entry.unwrap().path();
        let log = read(path.clone());
        assert_eq!(usize::try_from(log.counts.records), Ok(log.records.len()), "{path:?}");
        let lost = log.counts.records_unreadable + log.counts.records_missing + log.counts.chunks_unreadable;
        assert!(lost == 0 || !log.notes.is_empty(), "{path:?}: lost {lost} without a note");
        let nameless = log.records.iter().filter(|r| r.provider.is_empty() || r.channel.is_empty());
        assert_eq!(nameless.map(|r| r.record_id).collect::<Vec<u64>>(), Vec::<u64>::new(), "{path:?}");
        files += 1;
    }
    assert!(files > 10);
}

#[test]
fn counts_by_event_are_those_of_an_independent_reader() {
    for (part, ids) in [
        ("evtx-parser_samples", "21:2 22:2 23:1 32:4 34:32 41:2 42:2 54:2"),
        ("RDPAuth_LocalSessionManager", "21:1 22:1 23:2 24:2 25:1 32:1 40:4 41:2 42:2 54:1"),
        ("RDPAuth_RemoteConnectionManager", "258:1 261:1 1136:1 1149:1"),
        ("ID302_RDS_Gateway", "200:2 300:2 302:2 303:2 312:8"),
        ("ID1149-RDP", "1149:11"),
        ("ID4771", "4771:54"),
        ("ID_4776_4625", "4625:16"),
        ("ID4825", "4825:2"),
    ] {
        let Some(log) = log(part) else { return };
        assert_eq!(log.ids(), ids, "{part}");
        assert_eq!((log.counts.records_unreadable, log.counts.records_missing), (0, 0), "{part}");
    }
}

#[test]
fn large_logs_are_read_whole() {
    for (part, records) in [("plaso", 5_009), ("RDPAuth_Security", 789), ("RDPAuth_System", 186)] {
        let Some(log) = log(part) else { return };
        let counts = log.counts;
        assert_eq!(
            (counts.records, counts.records_unreadable, counts.records_missing),
            (records, 0, 0),
            "{part}"
        );
        assert_eq!(log.notes(), "", "{part}");
    }
}

#[test]
fn the_holes_of_a_log_from_a_shadow_copy_are_reported() {
    let Some(log) = log("2-vss_0-Microsoft-Windows-RemoteDesktopServices-RdpCoreTS") else { return };
    assert_eq!(log.of_id(140), 126);
    assert_eq!(log.of_id(131), 126);
    assert!(log.counts.records >= 1_910);
    assert!(log.counts.records_unreadable >= 1 && log.counts.records_missing > 0);
    assert!(log.notes().contains("10 holes in the record numbers"), "{}", log.notes());
}

#[test]
fn a_file_cut_inside_a_chunk_gives_the_records_before_the_cut_and_counts_the_rest() {
    let Some(log) = log("trunc_half_chunk") else { return };
    // 355 in whole chunks, 52 before the cut; the header promises 733.
    assert_eq!((log.counts.records, log.counts.records_missing), (407, 326));
    assert!(log.notes().contains("30000 of 65536 bytes, 52 whole records"), "{}", log.notes());
    assert!(
        log.notes().contains("the header counts 7 chunks, the file holds 3 whole ones"),
        "{}",
        log.notes()
    );
}

#[test]
fn a_header_without_chunks_says_what_it_promised() {
    let Some(log) = log("header_only") else { return };
    assert_eq!((log.counts.records, log.counts.records_missing, log.counts.chunks), (0, 733, 0));
    assert!(
        log.notes().contains("the header counts 7 chunks, the file holds 0 whole ones"),
        "{}",
        log.notes()
    );
}

#[test]
fn an_empty_file_is_said_to_be_empty() {
    let Some(log) = log("zero_bytes") else { return };
    assert_eq!(log.counts, LogCounts::default());
    assert!(log.notes().contains("empty file"), "{}", log.notes());
}

#[test]
fn chunks_with_a_bad_signature_are_counted() {
    let Some(log) = log("bad_chunk_magic") else { return };
    assert_eq!((log.counts.chunks, log.counts.chunks_unreadable), (6, 2));
    assert!(log.counts.records >= 269);
    let notes = log.notes();
    assert_eq!(notes.matches("cannot read this chunk of the log: signature is 00").count(), 2, "{notes}");
}
