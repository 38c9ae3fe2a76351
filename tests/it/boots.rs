//! Zone and starts of a host: from the bytes of its logs to what is told of them, and of a session that a crash ended.

use rdpwhy::read::{Unwatched, inputs};
use rdpwhy::report::{held, html, json};
use rdpwhy::{Analysis, analyze_inventory};
use rdpwhy_lab::evtx::{Payload, Record, Value, to_bytes};
use serde_json::{Value as Json, json};

/// 2026-11-20T10:00:00Z.
const START_NS: i64 = 1_795_168_800_000_000_000;
const SECOND_NS: i64 = 1_000_000_000;
/// 2026-11-20 02:39:59.812 and 10:39:59.812, as SYSTEMTIMEs: the last sign of life, of the zone and of UTC.
const ALIVE: [u16; 16] = [2026, 11, 5, 20, 2, 39, 59, 812, 2026, 11, 5, 20, 10, 39, 59, 812];

fn record(provider: &str, channel: &str, id: u16, seconds: i64, payload: Payload) -> Record {
    let mut record = Record::new(provider, channel, id, START_NS + seconds * SECOND_NS);
    record.computer = "RDSH01.lab.test".to_owned();
    record.payload = payload;
    record
}

fn system(provider: &str, id: u16, seconds: i64, payload: Payload) -> Record {
    record(provider, "System", id, seconds, payload)
}

fn named(fields: &[(&str, &str)]) -> Payload {
    Payload::Named(fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect())
}

/// The Local Session Manager tells of a session.
fn session(id: u16, seconds: i64) -> Record {
    of_session(id, seconds, (r"LAB\alice", 3, "198.51.100.10"))
}

fn of_session(id: u16, seconds: i64, (user, number, address): (&str, u32, &str)) -> Record {
    const PROVIDER: &str = "Microsoft-Windows-TerminalServices-LocalSessionManager";
    let field = |name: &str, value: Value| (name.to_owned(), value);
    let children = vec![
        field("User", user.into()),
        field("SessionID", Value::U32(number)),
        field("Address", address.into()),
    ];
    let payload =
        Payload::UserData { element: "EventXML".to_owned(), namespace: "Event_NS".to_owned(), children };
    record(PROVIDER, &format!("{PROVIDER}/Operational"), id, seconds, payload)
}

fn up(seconds: i64, up_s: &str, zone: &str) -> Record {
    let data = ["", "", "", "", up_s, "60", zone].map(str::to_owned).to_vec();
    system("EventLog", 6013, seconds, Payload::Classic { data, binary: None })
}

/// A host that starts, a session on it, and a crash below it, of which the next start tells.
fn analysed(ends: &[Record]) -> Analysis {
    let classic = || Payload::Classic { data: Vec::new(), binary: None };
    let alive = ALIVE.iter().flat_map(|word| word.to_le_bytes()).collect();
    let died = ["2:39:59 AM", "11/20/2026", "", "", "2399", "", ""].map(str::to_owned).to_vec();
    let kernel = named(&[("MajorVersion", "10"), ("MinorVersion", "0"), ("BuildVersion", "20348")]);
    let log = [
        up(-60, "3600", "480 Pacific Standard Time"),
        system("EventLog", 6005, 3_030, classic()),
        system("Microsoft-Windows-Kernel-General", 12, 3_000, kernel),
        system("Microsoft-Windows-Kernel-Power", 41, 3_005, named(&[("BugcheckCode", "0")])),
        system("EventLog", 6008, 3_031, Payload::Classic { data: died, binary: Some(alive) }),
        up(3_032, "31", "480 Pacific Standard Time"),
    ];
    let mut sessions = vec![session(21, 0), session(22, 2)];
    sessions.extend_from_slice(ends);
    // Somebody logs on at the computer itself.
    sessions.push(of_session(21, 3_060, (r"LAB\admin", 1, "LOCAL")));
    let logs = vec![
        ("System.evtx".to_owned(), to_bytes(&log).unwrap()),
        ("LSM.evtx".to_owned(), to_bytes(&sessions).unwrap()),
    ];
    analyze_inventory(inputs::held(logs), &Unwatched)
}

fn causes(analysis: &Analysis) -> Vec<(&str, &str)> {
    let best = |index: usize| analysis.verdicts[index].first().map_or("-", |verdict| verdict.rule.id);
    let attempts = &analysis.story.attempts;
    attempts.iter().map(|attempt| (attempt.outcome.name(), best(attempt.decisive))).collect()
}

#[test]
fn zone_and_starts_stand_in_every_answer_that_tells_of_hosts() {
    let analysis = analysed(&[]);
    let booted = ["2026-11-20T08:59:00.000000Z", "2026-11-20T10:50:00.000000Z"];
    let told = held::text(&analysis);
    assert!(told.contains("  zone    Pacific Standard Time, standard time UTC-08:00\n"), "{told}");
    assert!(told.contains(&format!("  booted  {}\n", booted.join(", "))), "{told}");
    let document: Json = serde_json::from_str(&json::document(&analysis, &[]).unwrap()).unwrap();
    let clock = &document["clocks"][0];
    assert_eq!(clock["zone"], json!({"name": "Pacific Standard Time", "standard_offset_min": -480}));
    assert_eq!(clock["booted"], json!(booted));
    let page = html::page(&analysis, &html::Asked::default()).unwrap();
    assert!(page.contains("zone Pacific Standard Time, standard time UTC-08:00"));
    assert!(page.contains(&format!("last started {}", booted[1])));
}

#[test]
fn a_crash_ends_the_session_that_was_open_and_no_other() {
    assert_eq!(causes(&analysed(&[])), [("refused", "server-shutdown")]);
    // The user disconnected, or logged off, before it.
    for id in [24, 23] {
        assert_eq!(causes(&analysed(&[session(id, 1_200)])), [("active", "-")], "{id}");
    }
}
