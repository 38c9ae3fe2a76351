//! Event logs that the writer makes, read back by the `evtx` crate and by python-evtx.

use evtx::{EvtxParser, ParserSettings};
use rdpwhy_lab::evtx::{Guid, Payload, Record, Sid, Value, Writer, damage, to_bytes};
use serde_json::Value as Json;

use crate::tools::{TempFile, python, run_if_present};

const START_NS: i64 = 1_741_075_200_123_456_700;
const RDP_CORE_TS: &str = "Microsoft-Windows-RemoteDesktopServices-RdpCoreTS";

/// Reads a log with the `evtx` crate; a bad record ends the test.
pub fn read(bytes: &[u8]) -> Vec<Json> {
    let settings = ParserSettings::default().validate_checksums(true).separate_json_attributes(false);
    let mut parser = EvtxParser::from_buffer(bytes.to_vec()).unwrap().with_configuration(settings);
    parser.records_json_value().map(|record| record.unwrap().data).collect()
}

/// Reads what can be read, and counts what cannot.
fn read_damaged(bytes: &[u8], checksums: bool) -> (usize, usize) {
    let settings = ParserSettings::default().validate_checksums(checksums);
    let Ok(parser) = EvtxParser::from_buffer(bytes.to_vec()) else { return (0, 1) };
    let mut parser = parser.with_configuration(settings);
    parser.records_json().fold((0, 0), |(good, bad), record| match record {
        Ok(_) => (good + 1, bad),
        Err(_) => (good, bad + 1),
    })
}

/// The same eight kinds of record over and over, each with its own time, names and ids.
fn mixed_records(count: usize) -> Vec<Record> {
    (0..count).map(mixed_record).collect()
}

fn mixed_record(n: usize) -> Record {
    let time = START_NS + n as i64 * 1_234_567_800;
    let mut record =
        Record::new(RDP_CORE_TS, &format!("{RDP_CORE_TS}/Operational"), 100 + (n % 40) as u16, time);
    record.provider.guid = Guid::parse("{1139c61b-b549-4251-8ed3-27250a1edec8}");
    record.computer = format!("RDSH0{}.lab.test", n % 3);
    record.user = Sid::parse("S-1-5-20");
    record.activity_id = Some(Guid::from_text(&format!("activity {n}")));
    record.process_id = 900 + n as u32;
    record.thread_id = 4000;
    record.payload = payload(n);
    if matches!(record.payload, Payload::Classic { .. }) {
        record.provider.event_source = Some("TermService".to_owned());
        record.qualifiers = Some(49152);
        record.activity_id = None;
    }
    if n.is_multiple_of(5) {
        record.related_activity_id = Some(Guid::from_text("related"));
    }
    record
}

fn payload(n: usize) -> Payload {
    let named = |name: &str, value: Value| (name.to_owned(), value);
    match n % 6 {
        0 => Payload::Named(vec![
            named("ConnType", "TCP".into()),
            named("ClientIP", format!("198.51.100.{}:{}", n % 250, 40000 + n % 20000).into()),
        ]),
        1 => Payload::Named(every_type(n)),
        2 => Payload::Classic {
            data: vec![format!("first {n}"), "zweité 日本".to_owned()],
            binary: Some(vec![1, 2, 0xff]),
        },
        3 => Payload::UserData {
            element: "EventXML".to_owned(),
            namespace: "Event_NS".to_owned(),
            children: vec![
                named("User", format!("LAB\\usér{n}").into()),
                named("SessionID", 2_u32.into()),
                named("Address", "LOCAL".into()),
            ],
        },
        4 => Payload::Unnamed(vec!["TERMSRV/rdsh01".into(), 6_u32.into()]),
        _ => Payload::Named(Vec::new()),
    }
}

fn every_type(n: usize) -> Vec<(String, Value)> {
    let values = [
        ("Null", Value::Null),
        ("Text", "Ünïcödé Имя 名前 😀 <&>".into()),
        ("Terminated", Value::StrZ("with NUL".to_owned())),
        ("Empty", "".into()),
        ("Byte", Value::U8(250)),
        ("Short", Value::U16(65535)),
        ("Word", Value::U32(n as u32)),
        ("Long", Value::U64(u64::MAX)),
        ("Signed", Value::I32(-805_306_367)),
        ("SignedLong", Value::I64(i64::MIN)),
        ("Hex", Value::Hex32(0xC000_006D)),
        ("HexLong", Value::Hex64(0x3E7)),
        ("Yes", Value::Bool(true)),
        ("No", Value::Bool(false)),
        ("Id", Value::Guid(Guid::parse("54849625-5478-4994-A5BA-3E3B0328C30D").unwrap())),
        ("Who", Value::Sid(Sid::parse("S-1-5-21-1-2-3-1105").unwrap())),
        ("When", Value::FileTime(START_NS)),
        ("Bytes", Value::Binary(vec![0, 0x0a, 0xff])),
    ];
    values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// A value as the crate's JSON gives it.
fn as_json(value: &Value) -> Json {
    match value {
        Value::Null => "".into(),
        Value::Str(text) | Value::StrZ(text) => text.as_str().into(),
        Value::U8(v) => (*v).into(),
        Value::U16(v) => (*v).into(),
        Value::U32(v) => (*v).into(),
        Value::U64(v) => (*v).into(),
        Value::I32(v) => (*v).into(),
        Value::I64(v) => (*v).into(),
        Value::Hex32(v) => format!("0x{v:x}").into(),
        Value::Hex64(v) => format!("0x{v:x}").into(),
        Value::Bool(v) => (*v).into(),
        Value::Guid(v) => v.to_string().into(),
        Value::Sid(_) => "S-1-5-21-1-2-3-1105".into(),
        Value::FileTime(_) => "2025-03-04T08:00:00.1234567Z".into(),
        Value::Binary(v) => v.iter().map(|b| format!("{b:02X}")).collect::<String>().into(),
        Value::Strings(v) => v.clone().into(),
    }
}

fn check_system(json: &Json, record: &Record, record_id: u64) {
    let system = &json["Event"]["System"];
    let provider = &system["Provider"]["#attributes"];
    assert_eq!(provider["Name"], record.provider.name);
    assert_eq!(provider["Guid"], record.provider.guid.unwrap().to_string());
    assert_eq!(provider["EventSourceName"].as_str(), record.provider.event_source.as_deref());
    match record.qualifiers {
        None => assert_eq!(system["EventID"], record.event_id),
        Some(qualifiers) => {
            assert_eq!(system["EventID"]["#text"], record.event_id);
            assert_eq!(system["EventID"]["#attributes"]["Qualifiers"], qualifiers);
        }
    }
    assert_eq!(system["Level"], record.level);
    assert_eq!(system["EventRecordID"], record_id);
    assert_eq!(system["Keywords"], format!("0x{:x}", record.keywords));
    assert_eq!(system["Computer"], record.computer);
    assert_eq!(system["Channel"], record.channel);
    assert_eq!(system["Execution"]["#attributes"]["ProcessID"], record.process_id);
    assert_eq!(system["Security"]["#attributes"]["UserID"], "S-1-5-20");
    let correlation = &system["Correlation"]["#attributes"];
    assert_eq!(correlation["ActivityID"].as_str(), record.activity_id.map(|id| id.to_string()).as_deref());
    let related = record.related_activity_id.map(|id| id.to_string());
    assert_eq!(correlation["RelatedActivityID"].as_str(), related.as_deref());
    let time: jiff::Timestamp =
        system["TimeCreated"]["#attributes"]["SystemTime"].as_str().unwrap().parse().unwrap();
    assert_eq!(time.as_nanosecond(), i128::from(record.time_ns));
}

fn check_payload(json: &Json, payload: &Payload) {
    let event = &json["Event"];
    match payload {
        Payload::None => assert!(event.get("EventData").is_none()),
        Payload::Named(fields) if fields.is_empty() => assert!(event["EventData"].is_null()),
        Payload::Named(fields) => {
            let got = event["EventData"].as_object().unwrap();
            assert_eq!(got.len(), fields.len());
            for (name, value) in fields {
                assert_eq!(got[name], as_json(value), "{name}");
            }
        }
        Payload::Unnamed(values) => {
            let texts: Vec<Json> = values.iter().map(as_json).collect();
            assert_eq!(event["EventData"]["Data"]["#text"], Json::from(texts));
        }
        Payload::Classic { data, binary } => {
            assert_eq!(event["EventData"]["Data"]["#text"], Json::from(data.clone()));
            let bytes = binary.clone().map_or(Json::Null, |bytes| as_json(&Value::Binary(bytes)));
            assert_eq!(event["EventData"]["Binary"], bytes);
        }
        Payload::UserData { element, namespace, children } => {
            let got = &event["UserData"][element];
            assert_eq!(got["#attributes"]["xmlns"], *namespace);
            for (name, value) in children {
                assert_eq!(got[name], as_json(value), "{name}");
            }
        }
    }
}

#[test]
fn the_evtx_crate_reads_every_field_back() {
    let records = mixed_records(1200);
    let bytes = to_bytes(&records).unwrap();
    assert!(damage::chunk_count(&bytes) >= 5, "the test wants several chunks");
    let read = read(&bytes);
    assert_eq!(read.len(), records.len());
    for ((json, record), record_id) in read.iter().zip(&records).zip(1..) {
        check_system(json, record, record_id);
        check_payload(json, &record.payload);
    }
}

#[test]
fn record_ids_may_have_holes_and_headers_may_differ() {
    let mut records = mixed_records(4);
    records[0].record_id = Some(7001);
    records[2].record_id = Some(7100);
    records[3].header = Some((4, START_NS + 1_000_000_000));
    let read = read(&to_bytes(&records).unwrap());
    let ids: Vec<u64> =
        read.iter().map(|json| json["Event"]["System"]["EventRecordID"].as_u64().unwrap()).collect();
    assert_eq!(ids, [7001, 7002, 7100, 7101]);
    check_system(&read[3], &records[3], 7101);
}

#[test]
fn empty_logs_and_events_without_payload_are_readable() {
    assert_eq!(read(&to_bytes(&[]).unwrap()).len(), 0);
    let mut record = mixed_record(5);
    record.payload = Payload::None;
    let read = read(&to_bytes(&[mixed_record(5), record.clone(), mixed_record(5)]).unwrap());
    check_payload(&read[1], &record.payload);
    check_system(&read[1], &record, 2);
    assert_eq!(read.len(), 3);
}

#[test]
fn a_record_that_fills_a_chunk_fits_and_a_longer_one_is_refused() {
    let text = |length: usize| {
        let mut record = mixed_record(0);
        record.payload = Payload::Named(vec![("Text".to_owned(), "x".repeat(length).into())]);
        record
    };
    let longest = (31_000..32_768).rev().find(|length| to_bytes(&[text(*length)]).is_ok()).unwrap();
    let records = [mixed_record(0), text(longest), mixed_record(1), text(31_000), mixed_record(2)];
    let bytes = to_bytes(&records).unwrap();
    assert_eq!(damage::chunk_count(&bytes), 4);
    assert_eq!(damage::record_offsets(&bytes, 1).len(), 1);
    let read = read(&bytes);
    assert_eq!(read.len(), 5);
    assert_eq!(read[1]["Event"]["EventData"]["Text"].as_str().unwrap().len(), longest);
    for length in [longest + 1, 40_000, 400_000] {
        let refused = to_bytes(&[text(length)]).unwrap_err();
        assert_eq!(refused.to_string(), format!("event 100 of {RDP_CORE_TS}: longer than a chunk holds"));
    }
}

#[test]
fn a_writer_gives_ids_and_writes_the_same_bytes_each_time() {
    let records = mixed_records(50);
    let mut writer = Writer::new(std::io::Cursor::new(Vec::new())).unwrap();
    let ids: Vec<u64> = records.iter().map(|record| writer.write(record).unwrap()).collect();
    assert_eq!(ids, (1..=50).collect::<Vec<u64>>());
    assert_eq!(writer.finish().unwrap().into_inner(), to_bytes(&records).unwrap());
}

#[test]
fn damage_costs_what_it_should() {
    let records = mixed_records(1200);
    let good = to_bytes(&records).unwrap();
    let in_chunk = |chunk| damage::record_offsets(&good, chunk).len();
    let chunks = damage::chunk_count(&good);
    assert_eq!((0..chunks).map(in_chunk).sum::<usize>(), 1200);

    let read = |bytes: &[u8]| read_damaged(bytes, true);
    assert_eq!(read(&good), (1200, 0));
    assert_eq!(read(&damage::dirty_header(&good)), (1200, 0));
    assert_eq!(read(&damage::append_zero_chunks(&good, 3)).0, 1200);
    assert_eq!(read(&damage::rotate_chunks(&good, 2)), (1200, 0));
    assert_eq!(read(&damage::bad_chunk_magic(&good, 1)).0, 1200 - in_chunk(1));
    assert_eq!(read(&damage::flip_byte(&good, 1, 3000)).0, 1200 - in_chunk(1));
    assert_eq!(read(&damage::cut_last_chunk(&good, 20_000)).0, 1200 - in_chunk(chunks - 1));
    assert_eq!(read(&damage::without_file_header(&good)), (0, 1));
    assert_eq!(read(&damage::bad_file_magic(&good)), (0, 1));

    let spoiled = read_damaged(&damage::spoil_record(&good, 0, 30), false);
    assert_eq!(spoiled, (1199, 1));
    let zeroed = read_damaged(&damage::zero_record(&good, 0, 30), false);
    assert!(zeroed.0 < 1200, "{zeroed:?}");
    assert_eq!(damage::flip_byte(&good, 99, 0), good);
}

/// Follows the chains of a chunk's two tables as Windows does: every entry lies in the bucket of its hash, inside the used
/// part of the chunk, and stands once. A record that was taken back would leave entries that point at something else.
#[test]
fn name_and_template_chains_are_whole() {
    let file = to_bytes(&mixed_records(1200)).unwrap();
    for chunk in file[4096..].chunks(65536) {
        let word = |at: usize| u32::from_le_bytes(chunk[at..at + 4].try_into().unwrap()) as usize;
        let free = word(48);
        let follow = |table: usize, bucket: usize| {
            let first = Some(word(table + 4 * bucket)).filter(|at| *at != 0);
            std::iter::successors(first, |at| Some(word(*at)).filter(|next| *next != 0)).collect::<Vec<_>>()
        };
        let mut names = Vec::new();
        for bucket in 0..64 {
            for at in follow(128, bucket) {
                let half = |at: usize| u16::from_le_bytes(chunk[at..at + 2].try_into().unwrap());
                let units: Vec<u16> = (0..usize::from(half(at + 6))).map(|n| half(at + 8 + 2 * n)).collect();
                let hash =
                    units.iter().fold(0_u32, |h, unit| h.wrapping_mul(65599).wrapping_add((*unit).into()));
                assert_eq!((half(at + 4), usize::from(half(at + 4)) % 64), (hash as u16, bucket));
                assert!(at + 8 + 2 * units.len() < free);
                names.push(String::from_utf16(&units).unwrap());
            }
        }
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count, "a name stands once");
        assert!(names.iter().any(|name| name == "EventRecordID"));
        let templates: Vec<(usize, usize)> =
            (0..32).flat_map(|bucket| follow(384, bucket).into_iter().map(move |at| (bucket, at))).collect();
        assert!(templates.len() >= 3, "three computers, three outer templates");
        assert!(templates.iter().all(|(bucket, at)| word(at + 4) % 32 == *bucket && at + 24 < free));
    }
}

#[test]
fn guids_and_sids_are_read_and_shown() {
    let guid = Guid::parse("{1139C61B-b549-4251-8ed3-27250a1edec8}").unwrap();
    assert_eq!(guid.to_string(), "{1139c61b-b549-4251-8ed3-27250a1edec8}");
    assert_eq!(guid.0[..4], [0x1b, 0xc6, 0x39, 0x11]);
    assert_eq!(Guid::parse("1139c61b"), None);
    assert_eq!(Guid::from_text("a"), Guid::from_text("a"));
    assert_ne!(Guid::from_text("a"), Guid::from_text("b"));
    for bad in ["S-1", "S-1-x", "1-5-18", "S-1-5-99999999999", ""] {
        assert_eq!(Sid::parse(bad), None, "{bad}");
    }
}

/// Prints, for each record: id, event id, channel, computer, time, then every leaf below the payload as `name=text`.
const PYTHON_READER: &str = r#"
import json, sys
import xml.etree.ElementTree as X
import Evtx.Evtx as E
ns = "{http://schemas.microsoft.com/win/2004/08/events/event}"
with E.Evtx(sys.argv[1]) as log:
    assert log.get_file_header().verify(), "file header"
    for chunk in log.chunks():
        assert chunk.verify(), "chunk checksums"
    for record in log.records():
        root = X.fromstring(record.xml())
        system = root.find(ns + "System")
        payload = root.find(ns + "EventData")
        if payload is None:
            payload = list(root.find(ns + "UserData"))[0]
        leaves = [[c.get("Name") or c.tag.split("}")[-1], c.text] for c in payload]
        text = lambda name: system.find(ns + name).text
        print(json.dumps([int(text("EventRecordID")), int(text("EventID")), text("Channel"), text("Computer"),
                          system.find(ns + "Provider").get("Name"), leaves]))
"#;

#[test]
fn python_evtx_reads_it_too() {
    let records = mixed_records(260);
    let file = TempFile::new("python.evtx", &to_bytes(&records).unwrap());
    let mut probe = python();
    probe.args(["-c", "import Evtx"]);
    let mut command = python();
    command.args(["-c", PYTHON_READER]).arg(file.path());
    let Some(out) = run_if_present("python-evtx", &mut probe, &mut command) else { return };
    let lines: Vec<Json> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), records.len());
    for ((line, record), record_id) in lines.iter().zip(&records).zip(1_u64..) {
        assert_eq!(line[0], record_id);
        assert_eq!(line[1], record.event_id);
        assert_eq!(line[2], record.channel);
        assert_eq!(line[3], record.computer);
        assert_eq!(line[4], record.provider.name);
        check_python_leaves(line[5].as_array().unwrap(), &record.payload);
    }
}

fn check_python_leaves(leaves: &[Json], payload: &Payload) {
    let text = |value: &Value| match value {
        Value::Str(text) | Value::StrZ(text) => Some(text.clone()),
        Value::U32(number) => Some(number.to_string()),
        _ => None,
    };
    match payload {
        Payload::Named(fields) | Payload::UserData { children: fields, .. } => {
            assert_eq!(leaves.len(), fields.len());
            for (leaf, (name, value)) in leaves.iter().zip(fields) {
                assert_eq!(leaf[0], *name);
                if let Some(text) = text(value) {
                    assert_eq!(leaf[1].as_str().unwrap_or_default(), text);
                }
            }
        }
        Payload::Unnamed(values) => assert_eq!(leaves.len(), values.len()),
        // python-evtx does not repeat the element: it shows all strings of the array inside one.
        Payload::Classic { .. } => assert_eq!(leaves.len(), 2),
        Payload::None => {}
    }
}
