//! Logs written by the lab, whole and damaged, read back.

use rdpwhy_lab::evtx as lab;
use rdpwhy_lab::evtx::damage;

use super::*;
use crate::read::Unwatched;

const CHANNEL: &str = "Microsoft-Windows-RemoteDesktopServices-RdpCoreTS/Operational";
const PROVIDER: &str = "Microsoft-Windows-RemoteDesktopServices-RdpCoreTS";

fn event(number: u16) -> lab::Record {
    let mut record = lab::Record::new(PROVIDER, CHANNEL, 131, 1_700_000_000_000_000_000 + i64::from(number));
    record.payload = lab::Payload::Named(vec![
        ("ConnType".to_owned(), "TCP".into()),
        ("ClientIP".to_owned(), format!("198.51.100.7:{number}").as_str().into()),
    ]);
    record
}

fn events(count: u16) -> Vec<u8> {
    lab::to_bytes(&(1..=count).map(event).collect::<Vec<_>>()).unwrap()
}

struct Result {
    records: Vec<Record>,
    counts: LogCounts,
    notes: String,
}

fn read(bytes: &[u8]) -> Result {
    read_wanted(bytes, |_, _, _| true)
}

fn read_wanted(bytes: &[u8], wanted: Wanted) -> Result {
    read_by(bytes, wanted, false)
}

fn read_by(bytes: &[u8], wanted: Wanted, by_xml: bool) -> Result {
    let mut records = Vec::new();
    let choice = Choice { wanted, keep: &Some, by_xml };
    let (counts, notes) = read_stream(0, bytes, &Unwatched, &choice, &mut |record| records.push(record));
    let notes: Vec<String> = notes.iter().map(|note| format!("{} {}", note.place.spot, note.text)).collect();
    Result { records, counts, notes: notes.join("\n").trim().to_owned() }
}

#[test]
fn a_whole_log_is_read_in_order_and_without_a_note() {
    let read = read(&events(700));
    assert_eq!(read.notes, "");
    let counts = read.counts;
    assert_eq!((counts.records, counts.records_unreadable, counts.records_missing), (700, 0, 0));
    assert!(counts.chunks > 2 && counts.chunks_unreadable == 0);
    assert!(read.records.iter().map(|record| record.record_id).eq(1..=700));
    let last = read.records.last().unwrap();
    assert_eq!((last.provider.as_str(), last.channel.as_str(), last.id), (PROVIDER, CHANNEL, 131));
    assert_eq!(last.field("ClientIP"), Some("198.51.100.7:700"));
    assert_eq!(counts.covers.map(|(from, to)| to.since(from)), Some(700));
}

#[test]
fn only_wanted_events_are_kept_and_all_are_counted() {
    let none = read_wanted(&events(100), |_, _, id| id == 140);
    assert_eq!((none.counts.records, none.records.len()), (100, 0));
    assert!(none.counts.covers.is_some());
}

#[test]
fn a_cut_chunk_gives_its_whole_records_and_the_rest_is_counted() {
    let bytes = damage::cut_last_chunk(&events(700), 20_000);
    let read = read(&bytes);
    assert!(read.counts.records < 700 && read.counts.records > 0);
    assert_eq!(read.counts.records + read.counts.records_missing, 700);
    assert_eq!(read.counts.records_unreadable, 0);
    assert!(read.notes.contains("the file is cut inside this chunk: 20000 of 65536 bytes"), "{}", read.notes);
    assert!(read.notes.contains("1 hole in the record numbers"), "{}", read.notes);
}

#[test]
fn a_log_without_its_last_chunks_is_compared_with_its_header() {
    let bytes = events(700);
    let cut = read(&bytes[..4_096 + 65_536]);
    assert_eq!(cut.counts.records + cut.counts.records_missing, 700);
    assert!(cut.notes.contains("the file holds 1 whole one"), "{}", cut.notes);
    let header_only = read(&bytes[..4_096]);
    assert_eq!((header_only.counts.records, header_only.counts.records_missing), (0, 700));
    assert!(header_only.notes.contains("1-700"), "{}", header_only.notes);
}

#[test]
fn a_log_behind_another_in_the_same_file_is_read_and_told() {
    let (first, second) = (events(700), lab::to_bytes(&(1..=40).map(event).collect::<Vec<_>>()).unwrap());
    let place = first.len();
    let both = read(&[&first[..], &second, &first].concat());
    assert_eq!((both.counts.records, both.counts.records_missing, both.counts.is_cut), (1_440, 0, false));
    assert!(both.records.iter().map(|r| r.record_id).eq((1..=700).chain(1..=40).chain(1..=700)));
    let said = [
        format!(
            "byte {place} another event log begins here, behind the one before it: 40 records were read of it"
        ),
        format!(
            "byte {} another event log begins here, behind the one before it: 700 records were read of it",
            place + second.len()
        ),
    ];
    assert_eq!(both.notes, said.join("\n"));
    // Damage of the one is told at its own place, and a cut one is counted by its own header.
    let harmed = read(&[&first[..], &damage::bad_chunk_magic(&first, 1)].concat());
    assert_eq!((harmed.counts.records, harmed.counts.records_missing), (1_400, 0));
    assert!(harmed.counts.records_recovered > 100);
    assert!(
        harmed.notes.contains(&format!("byte {} the header of this", place + 69_632)),
        "{}",
        harmed.notes
    );
    let cut = read(&[&first[..], &first[..4_096 + 65_536]].concat());
    assert_eq!(cut.counts.records + cut.counts.records_missing, 1_400);
    assert!(cut.counts.is_cut);
    // Only a whole header begins a log; more than the limit is said.
    let short = read(&[&first[..], &second[..100]].concat());
    assert_eq!((short.counts.records, short.counts.is_cut), (700, true));
    assert!(short.notes.contains("the file is cut inside its header: 100 of 4096 bytes"), "{}", short.notes);
    let empty = &lab::to_bytes(&[]).unwrap();
    let many = read(&empty.repeat(LOGS_MAX + 3));
    let note = format!("byte {} the file holds more than {LOGS_MAX} event logs", empty.len() * LOGS_MAX);
    assert!(many.notes.contains(&note) && many.counts.is_cut, "{}", many.notes);
}

#[test]
fn the_places_of_a_log_without_header_are_those_of_the_file() {
    let read = read(&damage::bad_chunk_magic(&events(700), 1)[4_096..]);
    assert!(read.notes.contains("byte 65536 the header of this chunk is lost"), "{}", read.notes);
}

#[test]
fn a_bad_chunk_costs_one_chunk() {
    let whole = read(&events(700)).counts;
    let read = read(&damage::bad_chunk_magic(&events(700), 1));
    assert_eq!((read.counts.chunks, read.counts.chunks_unreadable), (whole.chunks, 0));
    assert_eq!((read.counts.records, read.counts.records_missing), (700, 0));
    assert!(read.counts.records_recovered > 100);
    let note = "byte 69632 the header of this chunk is lost, its signature is 00 00 00 00 00 00 00 00:";
    assert!(read.notes.contains(note), "{}", read.notes);
    let recovered = read.records.iter().filter(|record| record.recovered).count();
    assert_eq!(u64::try_from(recovered), Ok(read.counts.records_recovered));
    let mut gone = events(700);
    gone[69_632..135_168].fill(0xaa);
    let lost = self::read(&gone);
    assert_eq!((lost.counts.chunks_unreadable, lost.counts.records_recovered), (1, 0));
    assert_eq!(lost.counts.records + lost.counts.records_missing, 700);
    let note = "byte 69632 cannot read this chunk of the log: signature is aa aa aa aa aa aa aa aa";
    assert!(lost.notes.contains(note), "{}", lost.notes);
}

#[test]
fn a_bad_record_costs_one_record() {
    let spoiled = read(&damage::spoil_record(&events(50), 0, 9));
    assert_eq!((spoiled.counts.records, spoiled.counts.records_unreadable), (49, 1));
    assert_eq!(spoiled.counts.records_missing, 0);
    assert!(spoiled.notes.contains("record 10 1 record could not be read"), "{}", spoiled.notes);
    assert!(spoiled.notes.contains("byte 4096 the checksum of 1 chunk does not hold"), "{}", spoiled.notes);
    let zeroed = read(&damage::zero_record(&events(50), 0, 9));
    assert_eq!(zeroed.counts.records + zeroed.counts.records_unreadable + zeroed.counts.records_missing, 50);
    assert!(zeroed.notes.contains("record"), "{}", zeroed.notes);
}

#[test]
fn what_loses_nothing_makes_no_note() {
    let bytes = events(300);
    for bytes in [
        damage::dirty_header(&bytes),
        damage::append_zero_chunks(&bytes, 3),
        damage::rotate_chunks(&bytes, 1),
        [bytes.clone(), vec![0; 4_096]].concat(),
    ] {
        let read = read(&bytes);
        assert_eq!((read.counts.records, read.counts.records_missing, read.notes.as_str()), (300, 0, ""));
    }
}

#[test]
fn an_extract_is_told_from_a_loss() {
    let extract: Vec<lab::Record> = (1..=20)
        .map(|number| {
            let mut record = event(number);
            record.record_id = Some(u64::from(number) * 10);
            record.header = Some((u64::from(number), record.time_ns));
            record
        })
        .collect();
    let read = read(&lab::to_bytes(&extract).unwrap());
    assert_eq!(read.counts.records_missing, 0);
    assert!(read.notes.contains("the log is an extract or a collection"), "{}", read.notes);
    assert!(read.records.iter().map(|record| record.record_id).eq((10..=200).step_by(10)));
}

#[test]
fn what_is_no_log_is_said() {
    assert!(read(b"").notes.starts_with("empty file"));
    assert_eq!(
        read(b"hello, world").notes,
        "not an event log: starts with 68 65 6c 6c 6f 2c 20 77, expected ElfFile"
    );
    let cut = read(&events(5)[..100]);
    assert!(cut.notes.contains("the file is cut inside its header: 100 of 4096 bytes"), "{}", cut.notes);
    assert_eq!(cut.counts.records_missing, 5);
}

#[test]
fn every_payload_shape_is_read() {
    let mut records: Vec<lab::Record> = (0..4).map(|_| event(1)).collect();
    records[0].payload =
        lab::Payload::Classic { data: vec!["a".to_owned(), "b".to_owned()], binary: Some(vec![1, 0xff]) };
    records[1].payload = lab::Payload::Unnamed(vec!["x".into(), "y".into()]);
    records[2].payload = lab::Payload::UserData {
        element: "EventXML".to_owned(),
        namespace: "Event_NS".to_owned(),
        children: vec![("Param1".to_owned(), "é<&>".into()), ("SessionID".to_owned(), 3_u32.into())],
    };
    records[3].payload = lab::Payload::None;
    let read = read(&lab::to_bytes(&records).unwrap());
    let shown: Vec<String> = read
        .records
        .iter()
        .map(|record| record.fields.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(shown, ["0=a 1=b Binary=01FF", "0=x 1=y", "Param1=é<&> SessionID=3", ""]);
}

#[test]
fn flipped_bytes_never_panic_and_never_invent_records() {
    let bytes = events(60);
    for at in (0..20_000).step_by(37) {
        let mut harmed = bytes.clone();
        harmed[at] ^= 0x5a;
        let counts = read(&harmed).counts;
        assert!(counts.records <= 60, "byte {at}");
    }
}

#[test]
fn chunks_without_a_file_header_are_read() {
    let bytes = events(300);
    let bare = read(&damage::without_file_header(&bytes));
    assert_eq!((bare.counts.records, bare.counts.records_missing), (300, 0));
    assert!(bare.notes.contains("the event log has no file header"), "{}", bare.notes);
    let bad = read(&damage::bad_file_magic(&bytes));
    assert_eq!((bad.counts.records, bad.counts.records_missing), (300, 0));
    assert!(bad.notes.contains("starts with 00 00 00 00 00 00 00 00, expected ElfFile"), "{}", bad.notes);
    let mut altered = bytes;
    altered[24] ^= 0x40;
    let altered = read(&altered);
    assert_eq!((altered.counts.records, altered.counts.records_missing), (300, 0));
    assert!(altered.notes.contains("the checksum of the file header does not hold"), "{}", altered.notes);
}

#[test]
fn records_behind_what_the_chunk_counts_are_recovered() {
    let mut bytes = events(60);
    // The chunk's header is as it was after 40 records: the log was copied before the header was written again.
    let at = damage::record_offsets(&bytes, 0)[40];
    let free = u32::try_from(at - 4_096).unwrap();
    bytes[4_096 + 16..4_096 + 24].copy_from_slice(&40_u64.to_le_bytes());
    bytes[4_096 + 32..4_096 + 40].copy_from_slice(&40_u64.to_le_bytes());
    bytes[4_096 + 48..4_096 + 52].copy_from_slice(&free.to_le_bytes());
    let read = read(&damage::dirty_header(&bytes));
    assert_eq!((read.counts.records, read.counts.records_recovered), (60, 20));
    assert_eq!(read.counts.records_missing, 0);
    assert_eq!(read.notes, "20 records that no header counts were recovered: 41-60");
    assert!(read.records.iter().map(|record| record.record_id).eq(1..=60));
}

#[test]
fn a_record_whose_templates_are_gone_is_not_recovered() {
    let mut bytes = events(60);
    let offsets = damage::record_offsets(&bytes, 0);
    // Only the last record is left; its templates stood in the first.
    bytes[4_096..offsets[59]].fill(0);
    let read = read(&bytes);
    assert_eq!((read.counts.records, read.counts.records_recovered), (0, 0));
    assert!(read.notes.contains("cannot read this chunk"), "{}", read.notes);
}

#[test]
fn a_log_that_has_overwritten_its_oldest_records_has_lost_none() {
    let wrapped: Vec<lab::Record> = (1..=300)
        .map(|number| lab::Record { record_id: Some(50_000 + u64::from(number)), ..event(number) })
        .collect();
    let bytes = lab::to_bytes(&wrapped).unwrap();
    let whole = read(&damage::rotate_chunks(&bytes, 1));
    assert_eq!((whole.counts.records, whole.counts.records_missing, whole.notes.as_str()), (300, 0, ""));
    // What its chunks held is not known: not 50,300 records.
    for cut in [100, 4_096] {
        let cut = read(&bytes[..cut]);
        assert_eq!((cut.counts.records, cut.counts.records_missing), (0, 0));
        assert!(cut.counts.is_lost(), "{}", cut.notes);
    }
}

#[test]
fn a_clock_that_is_set_back_is_said() {
    let mut records: Vec<lab::Record> = (1..=9).map(event).collect();
    records[5..].iter_mut().for_each(|record| record.time_ns -= 3_600_000_000_000);
    let read = read(&lab::to_bytes(&records).unwrap());
    assert_eq!(read.notes, "record 6 the clock of the host goes back by 1 h 0 min before this record");
    assert_eq!(self::read(&events(700)).notes, "");
}

/// How many records of the first chunk need no XML.
fn count_by_values(bytes: &[u8]) -> usize {
    let chunk = &bytes[4_096..69_632];
    let frames = frame::walk(chunk, frame::ChunkHeader::read(chunk).as_ref());
    let mut known = known::Known::<()>::new();
    let mut looker = glance::Looker::of(chunk, &mut known);
    let mut taken = |frame: &frame::Frame| {
        let glance = looker.glance(frame)?;
        looker.event(&glance, &mut 1_000_000, |event| drop(event.record()))
    };
    frames.live.iter().filter(|frame| taken(frame).is_some()).count()
}

/// One field of each kind.
fn fields_of_every_kind() -> Vec<(String, lab::Value)> {
    use lab::Value;
    let sid = lab::Sid::parse("S-1-5-21-1-2-3-1104").unwrap();
    let values = [
        Value::Null,
        Value::Str("é<&>\t\r\n \"'\u{1f600} x".to_owned()),
        Value::Str(String::new()),
        Value::Str(" \u{a0} ".to_owned()),
        Value::StrZ("ends with a zero".to_owned()),
        Value::U8(255),
        Value::U16(65_535),
        Value::U32(u32::MAX),
        Value::U64(u64::MAX),
        Value::I32(-1),
        Value::I64(i64::MIN),
        Value::Hex32(0x0abc),
        Value::Hex64(0),
        Value::Hex64(u64::MAX),
        Value::Bool(true),
        Value::Bool(false),
        Value::Guid(lab::Guid::from_text("x")),
        Value::Guid(lab::Guid::from_u128(0)),
        Value::Sid(sid),
        Value::FileTime(0),
        Value::FileTime(1_709_164_800_000_000_100),
        Value::FileTime(-8_000_000_000_000_000_000),
        Value::Binary(vec![]),
        Value::Binary((0..=255).collect()),
    ];
    (0..).map(|number: u32| format!("Field{number}")).zip(values).collect()
}

#[test]
fn values_of_every_kind_are_what_the_xml_says() {
    let fields = fields_of_every_kind();
    let data = || vec!["a".to_owned(), String::new(), "c <".to_owned()];
    let payloads = [
        lab::Payload::Named(fields.clone()),
        lab::Payload::Unnamed(fields.iter().map(|(_, value)| value.clone()).collect()),
        lab::Payload::UserData {
            element: "EventXML".to_owned(),
            namespace: "Event_NS".to_owned(),
            children: fields,
        },
        lab::Payload::Classic { data: data(), binary: Some(vec![1, 0xff]) },
        lab::Payload::Classic { data: data(), binary: None },
        lab::Payload::Classic { data: vec![], binary: None },
        lab::Payload::Classic { data: vec!["one".to_owned()], binary: Some(vec![]) },
    ];
    let mut records: Vec<lab::Record> = Vec::new();
    for payload in payloads {
        for other in [false, true] {
            let mut record = event(1);
            record.payload = payload.clone();
            if other {
                record.activity_id = Some(lab::Guid::from_text("activity"));
                record.qualifiers = Some(49_152);
                record.version = 3;
                record.computer = "höst & <co>.lab.test".to_owned();
            }
            records.push(record);
        }
    }
    let bytes = lab::to_bytes(&records).unwrap();
    let (by_values, by_xml) = (read(&bytes), read_by(&bytes, |_, _, _| true, true));
    for (one, other) in by_values.records.iter().zip(&by_xml.records) {
        assert_eq!(one, other);
    }
    assert_eq!((by_values.records.len(), by_values.counts), (records.len(), by_xml.counts));
    assert_eq!(by_values.records[1].qualifiers, Some(49_152));
    assert!(by_values.records[1].activity.is_some());
    assert_eq!(count_by_values(&bytes), records.len());
}

#[test]
fn what_values_alone_do_not_tell_is_read_from_the_xml() {
    let mut records: Vec<lab::Record> = (0..4).map(|_| event(1)).collect();
    let field = |value| lab::Payload::Named(vec![("Name".to_owned(), value)]);
    records[0].payload = field(lab::Value::Str("control \u{1}".to_owned()));
    records[1].payload = field(lab::Value::Str("x".repeat(5_000)));
    records[2].payload = field(lab::Value::Strings(vec!["a".to_owned(), "b".to_owned()]));
    records[3].payload = lab::Payload::None;
    let bytes = lab::to_bytes(&records).unwrap();
    assert_eq!(count_by_values(&bytes), 0);
    let shown = read(&bytes);
    let values = |index: usize| -> Vec<&str> {
        let fields: &Vec<(String, String)> = &shown.records[index].fields;
        fields.iter().map(|(_, value)| value.as_str()).collect()
    };
    assert_eq!((values(0), values(2)), (vec!["control _"], vec!["a", "b"]));
    assert_eq!(values(1)[0].len(), 4_096);
}

#[test]
fn harmed_bytes_give_the_same_by_values_and_by_xml() {
    let mut record = event(1);
    record.payload = lab::Payload::Named(fields_of_every_kind());
    let bytes = lab::to_bytes(&[record]).unwrap();
    let end = 4_096 + usize::try_from(frame::u32_at(&bytes, 4_096 + 48).unwrap()).unwrap();
    for at in 4_096 + 512 + 24..end {
        let mut harmed = bytes.clone();
        harmed[at] ^= 0x11;
        let sum = crc32fast::hash(&harmed[4_096 + 512..end]);
        harmed[4_096 + 52..4_096 + 56].copy_from_slice(&sum.to_le_bytes());
        let (by_values, by_xml) = (read(&harmed), read_by(&harmed, |_, _, _| true, true));
        assert!(
            by_values.records == by_xml.records,
            "byte {at}: {:?}\n{:?}",
            by_values.records,
            by_xml.records
        );
    }
}

#[test]
fn a_template_that_is_harmed_where_the_chunk_before_has_it_too_is_another_one() {
    let mut record = event(1);
    let long = |name: &str| (name.to_owned(), lab::Value::Str("x".repeat(4_000)));
    record.payload = lab::Payload::Named(vec![long("A"), long("B"), long("C")]);
    let bytes = lab::to_bytes(&[record.clone(), record.clone(), record]).unwrap();
    let second = 4_096 + 65_536;
    let end = second + usize::try_from(frame::u32_at(&bytes, second + 48).unwrap()).unwrap();
    let first_at = second + 512 + 24 + 14;
    let size = usize::try_from(frame::u32_at(&bytes, first_at + 20).unwrap()).unwrap();
    assert!(size > 500 && read(&bytes).records.len() == 3);
    for at in first_at..first_at + 24 + size {
        let mut harmed = bytes.clone();
        harmed[at] ^= 0x11;
        let sum = crc32fast::hash(&harmed[second + 512..end]);
        harmed[second + 52..second + 56].copy_from_slice(&sum.to_le_bytes());
        let (by_values, by_xml) = (read(&harmed), read_by(&harmed, |_, _, _| true, true));
        assert!(by_values.records == by_xml.records, "byte {at}");
        assert_eq!(by_values.counts, by_xml.counts, "byte {at}");
    }
}
