//! Targets of what is written: every form of an answer with hostile names in it, and tables of facts read back.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use rdpwhy::exchange::{self, Facts, Part, Tabled};
use rdpwhy::fact::{Connection, DataSent, Fact, Keys, Reading, Recognised, Subject, What};
use rdpwhy::note::{Note, Place, Spot};
use rdpwhy::read::{Input, Source};
use rdpwhy::report::parquet::{self, Table};
use rdpwhy::report::{csv, json, jsonl, markdown, text, timesketch};
use rdpwhy::time::{UTC, UnixNanos};
use serde_json::Value;

use crate::texts::assert_harmless;

/// A connection that a refused password ends; every `NAME` is the fuzzer's.
const CASE: &[&str] = &[
    "syn tries=1 over_ms=0",
    "syn-ack after_ms=1",
    "connected",
    "request protocols=0xb flags=0 cookie=NAME token=NAME",
    "confirm protocol=0x2 flags=0 acceptable=yes",
    "client-hello version=0x303 suites=3 sni=NAME offered=c030,c02f,009d",
    "server-hello version=0x303 suite=0xc030",
    "certificate by=server subject=NAME issuer=NAME not_before=1793000000000000000 not_after=1803000000000000000 self_signed=yes key=NAME signature=NAME",
    "tls-finished",
    "user-named user=NAME domain=NAME workstation=NAME",
    "credssp-refused by=server round=2 bytes=15 status=0xc000006a",
];

/// Names of the evidence in every form of an answer: each stays readable by who reads that form, and stays text.
pub fn reports(bytes: &[u8]) {
    let name: String = String::from_utf8_lossy(bytes).chars().take(2_000).collect();
    // Tables take long to write, and do not look at the texts: some of the names are enough.
    let tables = bytes.len().is_multiple_of(8);
    if tables {
        tables_of_facts(&name);
    }
    let analysis = rdpwhy::diagnose(vec![part(&name)]);
    let document: Value =
        serde_json::from_str(&json::document(&analysis, &[]).unwrap_or_default()).unwrap_or_default();
    let subject = document.pointer("/sessions/0/legs/0/tls/certificate/subject");
    assert_eq!(subject.and_then(Value::as_str), Some(name.as_str()));
    let mut out = Vec::new();
    assert!(jsonl::write(&mut out, &analysis, &[]).is_ok());
    let rows: usize = ["inputs", "clocks", "attempts", "sessions", "notes"]
        .iter()
        .filter_map(|key| document.get(*key)?.as_array().map(Vec::len))
        .sum();
    assert_eq!(lines(&out), rows + 1);
    out.clear();
    assert!(timesketch::write(&mut out, &analysis).is_ok());
    assert!(lines(&out) > CASE.len());
    out.clear();
    assert!(csv::write(&mut out, &analysis).is_ok());
    let mut table = ::csv::Reader::from_reader(out.as_slice());
    for record in table.records() {
        let record = record.unwrap_or_else(|error| panic!("{error}"));
        for cell in &record {
            assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r']), "{cell:?}");
            assert_harmless(cell);
        }
    }
    let page = markdown::page(&analysis, markdown::Layout { verbose: true, only_failed: false, zone: &UTC });
    page.lines().for_each(assert_harmless);
    only_text(&page);
    let answer = text::answer(&analysis, text::Layout { verbose: true, ..text::Layout::default() });
    answer.lines().for_each(assert_harmless);
    for table in Table::ALL.into_iter().filter(|_| tables) {
        let mut out = Vec::new();
        assert!(parquet::write(&mut out, &analysis, table).is_ok());
        assert!(out.starts_with(b"PAR1") && out.ends_with(b"PAR1"));
    }
}

/// A Parquet file that is no table of facts, or a damaged one, is refused in words.
pub fn exchange_table(bytes: &[u8]) {
    if let Ok(part) = exchange::read_table(Bytes::copy_from_slice(bytes)) {
        let _ = rdpwhy::diagnose(vec![part]);
    }
}

fn lines(out: &[u8]) -> usize {
    let text = out.strip_suffix(b"\n").unwrap_or_else(|| panic!("the last line does not end"));
    let parsed = |line: &[u8]| serde_json::from_slice::<Value>(line).is_ok_and(|value| value.is_object());
    let all: Vec<&[u8]> = text.split(|byte| *byte == b'\n').collect();
    assert!(all.iter().all(|line| parsed(line)));
    all.len()
}

/// Facts about a capture and a log, named by the fuzzer.
fn part(name: &str) -> Part {
    let opened = UnixNanos(1_795_168_800_000_000_000);
    let end = |port| SocketAddr::from(([198, 51, 100, 10], port));
    let connection = Arc::new(Connection {
        witness_index: 0,
        client: end(50_112),
        server: end(3_389),
        client_isn: Some(1),
        server_isn: None,
        opened,
        first: Place::frame(0, 1),
        last_seen: opened.plus(1_000),
        last: Place::frame(0, 11),
        packets: [u64::MAX, 0],
        bytes: [0, 5],
        recognised: Recognised::FirstBytes,
        sent: [DataSent::default(), DataSent { segments: 1, ..DataSent::default() }],
    });
    let said = (1_u32..).zip(CASE).filter_map(|(number, line)| {
        let what = What::parse(&line.replace("=NAME", "=n")).ok()?;
        let named = what
            .fields()
            .into_iter()
            .map(|(field, text)| (field, if text == "n" { name.to_owned() } else { text }));
        let what = What::of_fields(what.name(), named).ok()?;
        let place = Place::frame(0, u64::from(number));
        let subject = Subject::Connection(Arc::clone(&connection));
        Some(Fact {
            at: opened.plus(i64::from(number) * 1_000_001),
            place,
            subject,
            reading: Reading::Clear,
            what,
        })
    });
    let mut facts: Vec<Fact> = said.collect();
    assert_eq!(facts.len(), CASE.len());
    let keys = Keys {
        host: "n".to_owned(),
        user: Some(name.to_owned()),
        domain: Some(name.to_owned()),
        ..Keys::default()
    };
    facts.extend(What::parse("accepted").ok().map(|what| Fact {
        at: opened,
        place: Place { input_index: 1, spot: Spot::Record(7) },
        subject: Subject::Record(Arc::new(keys)),
        reading: Reading::Clear,
        what,
    }));
    let inputs = vec![
        (Input::elsewhere(name, "pcap", false, 5), None),
        (Input::elsewhere("b.evtx", "evtx", true, u64::MAX), None),
    ];
    let notes = vec![Note { place: Place::whole(0), text: format!("found {name}") }];
    Part {
        inputs,
        sources: vec![Source { inputs: vec![0] }],
        facts,
        cut: BTreeMap::new(),
        notes,
        hosts: None,
    }
}

/// Both forms of a file of facts are read back to what was written.
fn tables_of_facts(name: &str) {
    let part = part(name);
    let written = |out: &mut dyn std::io::Write| -> std::io::Result<()> {
        let mut out = out;
        exchange::write_head(&mut out)?;
        let (mut facts, mut lines) = (Facts::default(), Vec::new());
        for fact in &part.facts {
            facts.write(&mut lines, fact)?;
        }
        out.write_all(&lines)?;
        let inputs: Vec<_> = part.inputs.iter().map(|(input, counts)| (input, counts.as_ref())).collect();
        exchange::write_end(&mut out, &inputs, &part.sources, &part.notes, facts.written)
    };
    let mut whole = Vec::new();
    let table =
        Tabled::new(&mut whole).and_then(|mut table| written(&mut table).and_then(|()| table.finish()));
    assert!(table.is_ok());
    let mut text = Vec::new();
    assert!(written(&mut text).is_ok());
    for read in [exchange::read(text.as_slice()), exchange::read_table(Bytes::from(whole))] {
        let read = read.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(read.facts, part.facts);
        assert_eq!((read.inputs, read.notes), (part.inputs.clone(), part.notes.clone()));
    }
}

/// Nothing of a page becomes HTML, a link or a picture.
fn only_text(page: &str) {
    use pulldown_cmark::{Event, Options, Parser, Tag};
    for event in Parser::new_ext(page, Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH) {
        let html = matches!(event, Event::Html(_) | Event::InlineHtml(_));
        let led = matches!(
            event,
            Event::Start(
                Tag::Link { .. }
                    | Tag::Image { .. }
                    | Tag::Emphasis
                    | Tag::Strikethrough
                    | Tag::BlockQuote(_)
            )
        );
        assert!(!html && !led, "{event:?} in {page}");
    }
}
