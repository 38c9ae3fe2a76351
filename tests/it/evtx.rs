//! Real event logs, whole and damaged, against counts of an independent reader and of their own headers.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use rdpwhy::events;
use rdpwhy::fact::{Fact, What};
use rdpwhy::note::Note;
use rdpwhy::read::evtx::{Choice, LogCounts, Picker, pick_log, read_log, read_stream};
use rdpwhy::read::{Event, Record, Unwatched, inputs};

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
    read_by(path, false)
}

fn read_by(path: PathBuf, by_xml: bool) -> Log {
    let inventory = inputs::inventory(&[path], &[]);
    let mut records = Vec::new();
    let input = inventory.inputs.first().unwrap();
    let choice = Choice { wanted: |_, _, _| true, keep: &Some, by_xml };
    let (counts, notes) = read_log(0, input, &Unwatched, &choice, &mut |record| records.push(record));
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
fn a_log_inside_of_gzip_is_read_as_the_log_itself() {
    let path = support::root().join("samples/nla-wrong-password/RDSH01-Security.evtx");
    let folder = support::scratch("evtx-gzip");
    let packed = folder.join("security.evtx.gz");
    let mut writer =
        flate2::write::GzEncoder::new(std::fs::File::create(&packed).unwrap(), flate2::Compression::fast());
    std::io::copy(&mut std::fs::File::open(&path).unwrap(), &mut writer).unwrap();
    writer.finish().unwrap();
    let (plain, unpacked) = (read(path), read(packed));
    assert!(!plain.records.is_empty());
    assert_eq!((plain.ids(), plain.notes()), (unpacked.ids(), unpacked.notes()));
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

/// Counts by file name, channel and event id.
type Table = BTreeMap<(String, String, u32), u64>;

/// Lines of file name, channel, event id, count.
fn table(text: &str) -> Table {
    let row = |line: &str| {
        let mut fields = line.split('\t').map(str::to_owned);
        let (file, channel) = (fields.next().unwrap(), fields.next().unwrap());
        let number = |text: Option<String>| text.unwrap().parse::<u64>().unwrap();
        ((file, channel, u32::try_from(number(fields.next())).unwrap()), number(fields.next()))
    };
    text.lines().map(row).collect()
}

fn table_of(path: &Path, log: &Log) -> Table {
    let file = path.file_name().unwrap().to_string_lossy().into_owned();
    let mut table = Table::new();
    for record in &log.records {
        *table.entry((file.clone(), record.channel.clone(), record.id)).or_default() += 1;
    }
    table
}

/// Damaged logs of which more is read here than by the independent reader: its records and ours.
const MORE: [(&str, u64, u64); 3] = [
    ("trunc_half_chunk", 355, 407),
    ("sample_with_a_bad_chunk_magic", 270, 298),
    ("2-vss_0-Microsoft-Windows-TerminalServices-RemoteConnectionManager", 1_774, 1_795),
];

#[test]
fn counts_by_channel_and_event_are_those_of_an_independent_reader() {
    let Some(folder) = support::corpus("public/evtx") else { return };
    let told = table(include_str!("evtx_counts.tsv"));
    let mut files = 0;
    for path in support::children(&folder) {
        let file = path.file_name().unwrap().to_string_lossy().into_owned();
        let told: Table =
            told.iter().filter(|((of, ..), _)| *of == file).map(|(k, v)| (k.clone(), *v)).collect();
        let readable: Table =
            told.clone().into_iter().filter(|((_, channel, _), _)| channel != "-").collect();
        let found = table_of(&path, &read(path.clone()));
        let sum = |table: &Table| table.values().sum::<u64>();
        match MORE.iter().find(|(part, ..)| file.contains(part)) {
            Some((_, theirs, ours)) => {
                assert_eq!((sum(&readable), sum(&found)), (*theirs, *ours), "{file}");
                // One that it reads has neither channel nor id.
                let named = readable.iter().filter(|((_, channel, _), _)| !channel.is_empty());
                let less: Vec<_> =
                    named.filter(|(key, count)| found.get(*key).is_none_or(|found| found < *count)).collect();
                assert_eq!(less, [], "{file}");
            }
            None => assert_eq!(readable, found, "{file}"),
        }
        files += 1;
    }
    assert_eq!(files, 19);
}

#[test]
fn counts_are_those_of_python_evtx_where_it_is_installed() {
    let python = std::env::var_os("RDPWHY_PYTHON").unwrap_or_else(|| "python3".into());
    let probe = Command::new(&python).args(["-c", "import Evtx.Evtx"]).output();
    if !probe.is_ok_and(|probe| probe.status.success()) {
        assert!(std::env::var_os("RDPWHY_REQUIRE_TOOLS").is_none(), "python-evtx is required");
        aloud!("SKIPPED: no Python with python-evtx (set RDPWHY_PYTHON)");
        return;
    }
    // It takes a second for a hundred records, so that logs of one chunk must do; and those of a sample without a corpus.
    let mut logs = support::children(&support::root().join("samples/nla-wrong-password"));
    logs.extend(support::corpus("public/evtx").iter().flat_map(|folder| support::children(folder)));
    logs.retain(|path| path.extension().is_some_and(|end| end == "evtx"));
    logs.retain(|path| path.metadata().is_ok_and(|file| file.len() == 4_096 + 65_536));
    let script = support::root().join("tests/it/evtx_counts.py");
    let out = Command::new(&python).arg(script).arg("python-evtx").args(&logs).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let mut found: Table = logs.iter().flat_map(|path| table_of(path, &read(path.clone()))).collect();
    let mut told = table(&String::from_utf8(out.stdout).unwrap());
    let beyond_it: BTreeSet<String> =
        told.keys().filter(|(_, channel, _)| channel == "-").map(|(file, ..)| file.clone()).collect();
    told.retain(|(file, ..), _| !beyond_it.contains(file));
    found.retain(|(file, ..), _| !beyond_it.contains(file));
    assert!(found.len() > 5);
    assert_eq!(told, found);
}

/// Facts with their places, and the counts, when only what is wanted is rendered.
fn facts_of_wanted(path: &Path) -> (Vec<Fact>, LogCounts) {
    let inventory = inputs::inventory(&[path.to_owned()], &[]);
    let mut facts = Vec::new();
    let make = |row: events::Row, event: &Event<'_>| events::fact(row, event, 0);
    let keep = |fact: Fact, some: &mut Vec<Fact>| some.push(fact);
    let picker = Picker { wanted: &events::row, make: &make, keep: &keep, by_xml: false };
    let (counts, _) = pick_log(0, &inventory.inputs[0], &Unwatched, &picker, &mut |some| facts.extend(some));
    (facts, counts)
}

/// Every log of the corpus, the samples and the cases.
fn every_log() -> Vec<PathBuf> {
    let mut logs =
        support::corpus("public/evtx").map(|folder| support::children(&folder)).unwrap_or_default();
    logs.retain(|path| path.metadata().is_ok_and(|file| file.len() > 0));
    for cases in ["samples", "tests/cases"] {
        for folder in support::children(&support::root().join(cases)).iter().filter(|path| path.is_dir()) {
            logs.extend(support::children(folder));
        }
    }
    logs.retain(|path| path.extension().is_some_and(|end| end == "evtx"));
    logs
}

/// Fields taken from values are those of the XML, one by one and in order.
fn assert_same_by_values(path: &Path, by_xml: &Log) {
    let by_values = read(path.to_owned());
    for (one, other) in by_values.records.iter().zip(&by_xml.records) {
        assert_eq!(one, other, "{path:?}");
    }
    assert_eq!(by_values.records.len(), by_xml.records.len(), "{path:?}");
    assert_eq!(by_values.counts, by_xml.counts, "{path:?}");
    assert_eq!(by_values.notes(), by_xml.notes(), "{path:?}");
}

#[test]
fn neither_passing_over_what_is_not_wanted_nor_reading_by_values_changes_a_fact_or_a_count() {
    let mut facts = 0;
    for path in every_log() {
        let all = read_by(path.clone(), true);
        assert_same_by_values(&path, &all);
        let (wanted, counts) = facts_of_wanted(&path);
        assert!(facts_of(&all) == wanted, "{path:?}: facts differ");
        assert_eq!(all.counts, counts, "{path:?}");
        facts += wanted.len();
    }
    assert!(facts > 20);
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
        // The clock of the first was set when its image was first started, years after the image was made.
        let clock =
            "record 5 the clock of the host goes back 6 times, first by 40202 h 4 min before this record\n";
        assert_eq!(log.notes(), if part == "plaso" { clock } else { "" }, "{part}");
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

/// Facts of the events that are wanted, in the order of the file.
fn facts_of(log: &Log) -> Vec<Fact> {
    let facts: Vec<Fact> = log.records.iter().filter_map(|record| events::facts(record, 0)).collect();
    let unwanted = log.records.iter().filter(|r| !events::wanted(&r.provider, &r.channel, r.id));
    assert_eq!(unwanted.filter_map(|record| events::facts(record, 0)).count(), 0);
    facts
}

/// Counts by the name of the fact, as `accepted:2 licensed:1`.
fn names(facts: &[Fact]) -> String {
    let mut names = BTreeMap::<&str, u32>::new();
    facts.iter().for_each(|fact| *names.entry(fact.what.name()).or_default() += 1);
    names.iter().map(|(name, count)| format!("{name}:{count}")).collect::<Vec<_>>().join(" ")
}

#[test]
fn every_fact_of_the_corpus_is_read_back_from_its_text_and_has_a_sentence() {
    let Some(folder) = support::corpus("public/evtx") else { return };
    let mut facts = 0;
    for entry in folder.read_dir().unwrap() {
        for fact in facts_of(&read(entry.unwrap().path())) {
            let text = fact.what.text();
            assert_eq!(What::parse(&text).as_ref(), Ok(&fact.what), "{text}");
            let said = rdpwhy::report::words::says(&fact.what);
            assert!(!said.is_empty() && said != text, "{text}");
            facts += 1;
        }
    }
    assert!(facts > 3_000);
}

#[test]
fn a_log_of_refused_passwords_gives_126_of_them_with_their_connections() {
    let Some(log) = log("2-vss_0-Microsoft-Windows-RemoteDesktopServices-RdpCoreTS") else { return };
    let facts = facts_of(&log);
    let refused: Vec<&Fact> =
        facts.iter().filter(|fact| matches!(fact.what, What::CredentialsRefused { .. })).collect();
    assert_eq!(refused.len(), 126);
    let keys = |fact: &&Fact| fact.subject.keys().cloned().unwrap();
    assert!(refused.iter().map(keys).all(|keys| keys.activity.is_some() && keys.address.is_some()));
    let addresses: BTreeSet<_> = refused.iter().filter_map(|fact| keys(fact).address).collect();
    assert_eq!(addresses.len(), 62);
    let activities: BTreeSet<_> = refused.iter().filter_map(|fact| keys(fact).activity.clone()).collect();
    assert_eq!(activities.len(), 126);
    let accepted: Vec<&Fact> =
        facts.iter().filter(|fact| matches!(fact.what, What::ConnectionAccepted { udp: false })).collect();
    assert!(accepted.iter().map(keys).all(|keys| keys.port.is_some()));
    let started: BTreeSet<_> = accepted.iter().filter_map(|fact| keys(fact).activity.clone()).collect();
    assert_eq!(activities.difference(&started).count(), 7);
}

#[test]
fn four_logs_of_one_host_tell_one_remote_session_beside_the_console() {
    let parts = ["RDPAuth_Local", "RDPAuth_Remote", "RDPAuth_Security", "RDPAuth_System"];
    let mut facts = Vec::new();
    for part in parts {
        let Some(log) = log(part) else { return };
        facts.extend(facts_of(&log));
    }
    let client: IpAddr = "192.168.38.1".parse().unwrap();
    let from_client: Vec<Fact> = facts
        .iter()
        .filter(|fact| fact.subject.keys().is_some_and(|keys| keys.address == Some(client)))
        .cloned()
        .collect();
    assert_eq!(
        names(&from_client),
        "explicit-credentials:1 logon:3 session-disconnected:1 session-reconnected:2 user-authenticated:1"
    );
    let activities: BTreeSet<_> =
        facts.iter().filter_map(|fact| fact.subject.keys()?.activity.clone()).collect();
    assert_eq!(activities.len(), 1, "{activities:?}");
    let local =
        |what: &What| matches!(what, What::SessionLogon { local: true } | What::ShellStarted { local: true });
    assert_eq!(facts.iter().filter(|fact| local(&fact.what)).count(), 2);
    assert_eq!(facts.iter().filter(|fact| matches!(fact.what, What::LogonFailed { .. })).count(), 0);
}

#[test]
fn gateway_events_of_one_connection_share_an_activity() {
    let Some(log) = log("ID302_RDS_Gateway") else { return };
    let facts = facts_of(&log);
    assert_eq!(names(&facts), "gateway:16");
    let with_port = facts.iter().filter(|fact| fact.subject.keys().is_some_and(|keys| keys.port.is_some()));
    assert_eq!(with_port.count(), 8);
}

/// A client that is redirected, refused, let in, and thrown out: what the lab writes for it, read as facts.
const SCENARIO: &str = "at 2025-03-04T08:00:00Z
host client CLIENT01 198.51.100.7
host server RDSH01 203.0.113.20
+1 client connects name=rdsh01.lab.test
+2 server accepts port=50412
+2 server refuses-credentials
+3 client disconnected reason=2055
+10 server accepts port=50413
+10 server logs-on session=2
+20 server idle-limit
+30 server accepts port=50414
+30 server drain-mode
+40 server accepts port=50415
+40 server tls-failed no-common-cipher=yes
";

#[test]
fn a_scenario_of_the_lab_is_read_as_the_facts_it_was_written_for() {
    let mut all = Vec::new();
    for log in rdpwhy_lab::scenario::Scenario::parse(SCENARIO).unwrap().logs().unwrap() {
        let mut records = Vec::new();
        let choice = Choice { wanted: events::wanted, keep: &Some, by_xml: false };
        let (counts, notes) =
            read_stream(0, log.bytes.as_slice(), &Unwatched, &choice, &mut |record| records.push(record));
        assert_eq!((counts.records_unreadable, counts.records_missing, notes.len()), (0, 0, 0), "{notes:?}");
        all.extend(records.iter().filter_map(|record| events::facts(record, 0)));
    }
    let count = |is: fn(&What) -> bool| all.iter().filter(|fact| is(&fact.what)).count();
    assert_eq!(count(|what| matches!(what, What::ConnectionAccepted { udp: false })), 4);
    assert_eq!(count(|what| matches!(what, What::CredentialsRefused { .. })), 1);
    assert_eq!(count(|what| matches!(what, What::LogonFailed { logon_type: 3, .. })), 1);
    assert_eq!(count(|what| matches!(what, What::Licensed {})), 1);
    assert_eq!(count(|what| matches!(what, What::SessionLogon { local: false })), 1);
    assert_eq!(count(|what| matches!(what, What::LimitReached { .. })), 1);
    assert_eq!(count(|what| matches!(what, What::ErrorInfoSet { code } if code.0 == 3)), 1);
    assert_eq!(count(|what| matches!(what, What::ErrorInfoSet { code } if code.0 == 7)), 1);
    assert_eq!(count(|what| matches!(what, What::NoSharedSuite { .. } | What::TlsAlertLogged { .. })), 2);
    assert_eq!(count(|what| matches!(what, What::ClientDisconnected { reason } if reason.0 == 0x807)), 1);
    assert_eq!(count(|what| matches!(what, What::ProblemLogged { event: 1070, .. })), 1);
}

/// Logs of one host as they lie about after a case: each event once, whatever the order of the arguments.
#[test]
fn records_that_stand_in_several_logs_count_once() {
    let folder = support::scratch("evtx-copies");
    let sample = support::root().join("samples/nla-wrong-password");
    for path in support::children(&sample).iter().filter(|path| path.extension().is_some_and(|e| e == "evtx"))
    {
        std::fs::copy(path, folder.join(path.file_name().unwrap())).unwrap();
    }
    let run = |arguments: &[&str]| support::run(&folder, arguments);
    let sessions = |arguments: &[&str]| {
        let out = run(&[&["--format", "json", "-q"], arguments].concat());
        let answer: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
        (answer["sessions"].clone(), answer["inputs"].clone())
    };
    let (once, _) = sessions(&["."]);
    assert!(!once.as_array().unwrap().is_empty());
    let copies = support::scratch("evtx-copies-too");
    for path in support::children(&folder) {
        let bytes = std::fs::read(&path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        std::fs::write(
            copies.join(format!("archive-{name}")),
            rdpwhy_lab::evtx::damage::rotate_chunks(&bytes, 0),
        )
        .unwrap();
    }
    let copies = copies.to_str().unwrap();
    let (twice, inputs) = sessions(&[".", copies]);
    let without_inputs = |text: &serde_json::Value| text.as_array().unwrap().len();
    assert_eq!(without_inputs(&once), without_inputs(&twice));
    let repeated: u64 =
        inputs.as_array().unwrap().iter().filter_map(|i| i["records_repeated"].as_u64()).sum();
    assert!(repeated > 5, "{inputs}");
    let orders = [run(&["--threads", "1", ".", copies]), run(&["--threads", "2", copies, "."])];
    assert_eq!(orders[0].stdout, orders[1].stdout);
    let said = String::from_utf8_lossy(&orders[0].stderr).into_owned();
    assert!(said.contains("records of this log were read before, from another log"), "{said}");
}
