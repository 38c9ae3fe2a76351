//! Clocks of witnesses: however far one is off, nothing else changes, and by how much it is off is found.
//!
//! Shifting is done on facts, where every time of a witness stands: those of its facts, of the connections and segments
//! that it saw, and from when to when it looked. What a message says of a clock is compared with that of who saw it; what it
//! says of any other time (a certificate) stays.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use rdpwhy::analysis::{Analysis, analyze_inventory, write_facts};
use rdpwhy::diagnosis::{Verdict, diagnose_all};
use rdpwhy::exchange::{self, Part};
use rdpwhy::fact::{Connection, Fact, Subject, What};
use rdpwhy::read::inputs::held;
use rdpwhy::read::{Counts, Unwatched};
use rdpwhy::session::{ClockOffset, Role, Story, Witness, join};
use rdpwhy::step::Step;
use rdpwhy::time::UnixNanos;
use rdpwhy::{Options, diagnose, inventory};

use rdpwhy_lab::capture::{Endpoint, Frame, LINKTYPE_ETHERNET, PcapWriter};
use rdpwhy_lab::rdp::{self, Cipher, Names, Security};
use rdpwhy_lab::scenario::Scenario;

use crate::cases::{self, folders};
use crate::support::{children, corpus, root};

const MILLISECOND_NS: i64 = 1_000_000;
const SECOND_NS: i64 = 1_000 * MILLISECOND_NS;
const HOUR_NS: i64 = 3_600 * SECOND_NS;

/// What was joined, with the causes of each session.
pub(crate) type Judged = (Story, Vec<Vec<Verdict>>);

/// How a witness's clock is changed: from a true time to what it shows.
pub(crate) type Change<'a> = &'a dyn Fn(UnixNanos) -> UnixNanos;

/// A witness by its index, and how its clock is changed.
pub(crate) type Shift<'a> = Option<(u32, Change<'a>)>;

/// The facts with the clock of one witness changed.
fn shifted(facts: &[Fact], witnesses: &[Witness], index: u32, change: Change<'_>) -> Vec<Fact> {
    let mut known: BTreeMap<Arc<Connection>, Arc<Connection>> = BTreeMap::new();
    let host = witnesses[usize::try_from(index).unwrap()].host.as_deref();
    let mut anew = |connection: &Arc<Connection>| {
        let moved = || {
            let mut moved = Connection::clone(connection);
            (moved.opened, moved.last_seen) = (change(moved.opened), change(moved.last_seen));
            for mark in moved.sent.iter_mut().flat_map(|sent| &mut sent.marks) {
                mark.at = change(mark.at);
            }
            Arc::new(moved)
        };
        Arc::clone(known.entry(Arc::clone(connection)).or_insert_with(moved))
    };
    let one = |fact: &Fact| {
        let mut fact = fact.clone();
        let is_its = match &fact.subject {
            Subject::Connection(c) | Subject::Udp(c) => host.is_none() && c.witness_index == index,
            Subject::Record(keys) => host == Some(keys.host.as_str()),
        };
        let by_ms = change(fact.at).since(fact.at) / MILLISECOND_NS;
        told_anew(&mut fact.what, |name| match (is_its, host, name) {
            (true, ..) => -by_ms,
            (false, Some(host), Some(name)) if label(host) == label(name) => by_ms,
            _ => 0,
        });
        if is_its {
            fact.at = change(fact.at);
            fact.subject = match &fact.subject {
                Subject::Connection(connection) => Subject::Connection(anew(connection)),
                Subject::Udp(transport) => Subject::Udp(anew(transport)),
                record @ Subject::Record(_) => record.clone(),
            };
        }
        fact
    };
    facts.iter().map(one).collect()
}

/// The first part of a name, in lower case.
fn label(name: &str) -> String {
    name.split('.').next().unwrap_or_default().to_lowercase()
}

/// How far a message says that the clock of the host with this name is ahead of the capture's, by so much more.
fn told_anew(what: &mut What, more_ms: impl Fn(Option<&str>) -> i64) {
    match what {
        What::TargetNamed { computer, clock_ms: Some(ahead), .. } => *ahead += more_ms(computer.as_deref()),
        What::HostClock { name, ahead_ms, .. } => *ahead_ms += more_ms(name.as_deref()),
        What::KerberosFailed { kdc_ahead_s: Some(ahead), .. } => *ahead += more_ms(None) / 1_000,
        _ => {}
    }
}

/// The part with the clock of one witness changed.
fn part_shifted(part: &Part, witnesses: &[Witness], index: u32, change: Change<'_>) -> Part {
    let inputs = &witnesses[usize::try_from(index).unwrap()].inputs;
    let mut held = part.inputs.clone();
    for (_, (_, counts)) in (0_u32..).zip(&mut held).filter(|(number, _)| inputs.contains(number)) {
        let covers = match counts {
            Some(Counts::Capture(held)) => &mut held.covers,
            Some(Counts::Log(held)) => &mut held.covers,
            None => continue,
        };
        *covers = covers.map(|(from, to)| (change(from), change(to)));
    }
    Part {
        inputs: held,
        sources: part.sources.clone(),
        facts: shifted(&part.facts, witnesses, index, change),
        cut: part.cut.clone(),
        notes: part.notes.clone(),
        hosts: part.hosts.clone(),
    }
}

/// Outcome, step, cause and confidence of every attempt, in an order that no clock changes.
fn answer(story: &Story, verdicts: &[Vec<Verdict>]) -> Vec<String> {
    let row = |attempt: &rdpwhy::session::Attempt| {
        let best = verdicts[attempt.decisive].first();
        let cause = best.map_or("-".to_owned(), |v| format!("{} {}", v.rule.id, v.weighing.percent));
        let session = &story.sessions[attempt.decisive];
        format!(
            "{} at {:?}, {cause}, {} connections, {:?}",
            attempt.outcome.name(),
            session.broke_at,
            attempt.sessions.len(),
            session.witnesses()
        )
    };
    let mut rows: Vec<String> = story.attempts.iter().map(row).collect();
    rows.sort();
    rows
}

/// Numbers that look drawn by lot and are the same each time (splitmix64).
pub(crate) struct Lot(pub(crate) u64);

impl Lot {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Both signs, up to `most` nanoseconds.
    fn up_to(&mut self, most: i64) -> i64 {
        let width = u64::try_from(most).unwrap() * 2;
        i64::try_from(self.next() % width).unwrap() - most
    }
}

/// Milliseconds to almost a day, both signs, drawn anew for every witness; and days, where packets or ports tell that
/// connections are the same.
fn amounts(lot: &mut Lot, is_exact: bool) -> Vec<i64> {
    let days = if is_exact { vec![9 * 24 * HOUR_NS, 700 * 24 * HOUR_NS] } else { Vec::new() };
    [20 * MILLISECOND_NS, 500 * MILLISECOND_NS, 20 * SECOND_NS, 400 * SECOND_NS, 2 * HOUR_NS, 20 * HOUR_NS]
        .into_iter()
        .chain(days)
        .map(|most| lot.up_to(most))
        .collect()
}

fn clock(story: &Story, index: u32) -> ClockOffset {
    story.clocks.iter().find(|clock| clock.witness_index == index).unwrap().clone()
}

/// What is wrong when the clock of each witness is shifted in turn: nothing, if `told` is any good. Gives back how many
/// shifts were tried.
pub(crate) fn wrong(
    witnesses: &[Witness],
    lot: &mut Lot,
    told: &dyn Fn(Shift<'_>) -> Judged,
) -> (usize, Vec<String>) {
    let (before, verdicts) = told(None);
    let expected = answer(&before, &verdicts);
    let (mut tried, mut wrong) = (0, Vec::new());
    for (index, witness) in (0_u32..).zip(witnesses) {
        let paired = |clock: &ClockOffset| clock.witness_index == index || index == 0;
        // A witness without a pair stands by its own clock, and says so.
        let is_paired =
            before.clocks.iter().filter(|c| c.witness_index > 0 && paired(c)).all(|c| c.pairs > 0);
        if !is_paired || witnesses.len() < 2 {
            continue;
        }
        // A client's log has no address, and a connection without an answer one number only: that is believed within a day.
        let is_exact = before.sessions.iter().all(|session| {
            let answered = |c: &Arc<Connection>| c.server_isn.is_some() || c.client_isn.is_none();
            session.host(Role::Client).is_none() && session.connections.iter().all(answered)
        });
        for by in amounts(lot, is_exact) {
            tried += 1;
            let (after, verdicts) = told(Some((index, &|at: UnixNanos| at.plus(by))));
            let got = answer(&after, &verdicts);
            if got != expected {
                wrong.push(format!("{} by {by} ns: {expected:?} became {got:?}", witness.name));
            }
            for old in before.clocks.iter().filter(|c| c.witness_index > 0 && paired(c)) {
                let new = clock(&after, old.witness_index);
                let expected = old.offset_ns.map(|o| if index == 0 { o - by } else { o + by });
                let off = new.offset_ns.zip(expected).map(|(a, b)| a.abs_diff(b));
                if off.is_none_or(|off| off > new.error_ns.unsigned_abs()) {
                    wrong.push(format!("{} by {by} ns: {old:?} became {new:?}", witness.name));
                }
            }
        }
    }
    (tried, wrong)
}

#[test]
fn in_no_case_a_shifted_clock_changes_the_answer() {
    let mut lot = Lot(1);
    let (mut tried, mut all) = (0, Vec::new());
    for (name, folder) in folders() {
        let text = std::fs::read_to_string(folder.join("facts.txt")).unwrap();
        let (facts, witnesses) = cases::facts(&text);
        let told = |change: Shift<'_>| {
            let facts = match change {
                Some((index, change)) => shifted(&facts, &witnesses, index, change),
                None => facts.clone(),
            };
            let story = join(facts, &witnesses);
            let verdicts = diagnose_all(&story);
            (story, verdicts)
        };
        let (count, found) = wrong(&witnesses, &mut lot, &told);
        tried += count;
        all.extend(found.into_iter().map(|what| format!("{name}: {what}")));
    }
    assert!(all.is_empty(), "{} of {tried}\n{}", all.len(), all.join("\n"));
    assert!(tried >= 75, "only {tried} shifts were tried");
}

/// The facts of a folder, with the key log in it.
fn read(folder: &std::path::Path) -> Part {
    let mut bytes = Vec::new();
    let options = Options { paths: vec![folder.to_owned()], ..Options::default() };
    write_facts(&inventory(&options), &Unwatched, &mut bytes).unwrap();
    exchange::read(bytes.as_slice()).unwrap()
}

fn copy(part: &Part) -> Part {
    Part {
        inputs: part.inputs.clone(),
        sources: part.sources.clone(),
        facts: part.facts.clone(),
        cut: part.cut.clone(),
        notes: part.notes.clone(),
        hosts: part.hosts.clone(),
    }
}

fn of_all(folders: Vec<std::path::PathBuf>, seed: u64) -> usize {
    let mut lot = Lot(seed);
    let (mut tried, mut all) = (0, Vec::new());
    for folder in folders {
        let part = read(&folder);
        let witnesses = diagnose(vec![copy(&part)]).witnesses;
        let told = |change: Shift<'_>| {
            let part = match change {
                Some((index, change)) => part_shifted(&part, &witnesses, index, change),
                None => copy(&part),
            };
            let analysis = diagnose(vec![part]);
            (analysis.story, analysis.verdicts)
        };
        let (count, found) = wrong(&witnesses, &mut lot, &told);
        tried += count;
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        all.extend(found.into_iter().map(|what| format!("{name}: {what}")));
    }
    assert!(all.is_empty(), "{} of {tried}\n{}", all.len(), all.join("\n"));
    tried
}

#[test]
fn in_no_sample_a_shifted_clock_changes_the_answer() {
    let folders = children(&root().join("samples")).into_iter().filter(|path| path.is_dir()).collect();
    assert!(of_all(folders, 2) >= 5 * 15);
}

#[test]
fn in_no_capture_of_the_lab_a_shifted_clock_changes_the_answer() {
    let Some(folder) = corpus("lab") else { return };
    let folders = children(&folder).into_iter().filter(|path| path.is_dir()).collect();
    assert!(of_all(folders, 3) >= 5 * 50);
}

const BASE_NS: i64 = 1_795_168_800_000_000_000;

/// Connections to one server over some hours as a client's capture sees them, and the same at the server, whose packets
/// come a little later and whose clock is changed.
fn hours(minutes: i64, every: i64, change: Change<'_>) -> [Vec<u8>; 2] {
    let server: SocketAddr = "203.0.113.20:3389".parse().unwrap();
    let mut near = Vec::new();
    for number in 0..minutes / every {
        let port = u16::try_from(50_000 + number).unwrap();
        let client = SocketAddr::new("198.51.100.7".parse().unwrap(), port);
        let start = BASE_NS + number * every * 60 * SECOND_NS;
        let names = Names { user: "alice", domain: "LAB", host: "rdsh01", workstation: "C1", password: "x" };
        let kind = (Security::Nla, Cipher::Gcm12, rdp::Story::Refused);
        let ends = (Endpoint::new(client), Endpoint::new(server));
        near.extend(rdp::talk(ends.0, ends.1, start, kind, &names).finish());
    }
    let far = near.iter().map(|frame| {
        // Half of the way lies on each side: what the server sends left it before it came to the client.
        let of_server = frame.bytes.get(26..30) == Some(&[203, 0, 113, 20]);
        let way = if of_server { -2 * MILLISECOND_NS } else { 2 * MILLISECOND_NS };
        let at = change(UnixNanos(frame.time_ns + way));
        Frame { time_ns: at.0, bytes: frame.bytes.clone() }
    });
    [near.clone(), far.collect()].map(pcap)
}

fn pcap(frames: Vec<Frame>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut pcap = PcapWriter::new(&mut bytes, LINKTYPE_ETHERNET).unwrap();
    frames.iter().for_each(|frame| pcap.frame(frame).unwrap());
    bytes
}

fn analysed([near, far]: [Vec<u8>; 2]) -> Analysis {
    let files = vec![("a-near.pcap".to_owned(), near), ("b-far.pcap".to_owned(), far)];
    analyze_inventory(held(files), &Unwatched)
}

/// Every connection is one session of both captures, and broke where it did.
fn is_whole(analysis: &Analysis, count: usize) {
    assert_eq!(analysis.story.sessions.len(), count);
    for session in &analysis.story.sessions {
        assert_eq!((session.witnesses().len(), session.broke_at), (2, Some(Step::Credssp)), "{}", session.id);
    }
}

#[test]
fn fifty_parts_per_million_over_ten_hours_of_capture_are_found_and_taken_off() {
    let truth = |at: UnixNanos| at.plus(-(at.since(UnixNanos(BASE_NS))) / 20_000);
    let analysis = analysed(hours(600, 12, &truth));
    is_whole(&analysis, 50);
    let clock = clock(&analysis.story, 1);
    assert!((clock.drift_ppb + 50_000).abs() <= 20 && clock.steps.is_empty(), "{clock:?}");
    for session in &analysis.story.sessions {
        let opened = session.connections[1].opened;
        let apart = clock.on_reference(opened).since(session.connections[0].opened);
        assert!((0..=5 * MILLISECOND_NS).contains(&apart), "{apart} ns apart at {opened}");
    }
}

#[test]
fn a_capture_whose_clock_is_set_in_the_middle_is_told_as_such() {
    let noon = UnixNanos(BASE_NS + 3 * HOUR_NS);
    for by in [90 * SECOND_NS, 2 * HOUR_NS, -40 * SECOND_NS] {
        let truth =
            |at: UnixNanos| if at < noon { at.plus(7 * SECOND_NS) } else { at.plus(7 * SECOND_NS + by) };
        let analysis = analysed(hours(360, 20, &truth));
        is_whole(&analysis, 18);
        let clock = clock(&analysis.story, 1);
        assert_eq!((clock.drift_ppb, clock.steps.len()), (0, 1), "{by}: {clock:?}");
        assert!(clock.steps[0].by_ns.abs_diff(by) <= clock.error_ns.unsigned_abs(), "{by}: {clock:?}");
    }
}

#[test]
fn a_log_whose_clock_drifts_and_is_set_stays_joined_connection_by_connection() {
    let noon = 3 * HOUR_NS;
    let truth = |at: UnixNanos| {
        let since = at.since(UnixNanos(BASE_NS));
        let step = if since < noon { 0 } else { 45 * 60 * SECOND_NS };
        UnixNanos(BASE_NS + since + since / 20_000 + step - 3_605 * SECOND_NS)
    };
    let [near, _] = hours(360, 20, &|at| at);
    let mut text = String::from(
        "at 2026-11-20T10:00:00Z\nhost client CLIENT01 198.51.100.7\nhost server RDSH01 203.0.113.20\n",
    );
    for number in 0..18_i64 {
        let at = truth(UnixNanos(BASE_NS + number * 1_200 * SECOND_NS)).since(UnixNanos(BASE_NS));
        let seconds = |ms: i64| {
            let us = at / 1_000 + ms * 1_000;
            format!("{}{}.{:06}", if us < 0 { '-' } else { '+' }, us.abs() / 1_000_000, us.abs() % 1_000_000)
        };
        text.push_str(&format!(
            "{} server accepts port={}\n{} server refuses-credentials status=0xC000006D sub=0xC000006A\n",
            seconds(1),
            50_000 + number,
            seconds(60)
        ));
    }
    let mut files = vec![("near.pcap".to_owned(), near)];
    for log in Scenario::parse(&text).unwrap().logs().unwrap() {
        files.push((log.name, log.bytes));
    }
    let analysis = analyze_inventory(held(files), &Unwatched);
    is_whole(&analysis, 18);
    let clock = clock(&analysis.story, 1);
    assert_eq!((clock.pairs, clock.steps.len()), (18, 1), "{clock:?}");
    assert!((clock.drift_ppb - 50_000).abs() <= 1_000, "{clock:?}");
    for session in &analysis.story.sessions {
        let at = |is_log: bool| {
            let seen = session.facts.iter().find(|s| s.fact.subject.keys().is_some() == is_log);
            seen.unwrap().at
        };
        let apart = at(true).since(at(false)).abs();
        assert!(apart <= 200 * MILLISECOND_NS, "{apart} ns apart in {}", session.id);
    }
}

/// The same frames behind a device that gives the client another address.
fn translated(frames: &[Frame]) -> Vec<Frame> {
    let anew = |frame: &Frame| {
        let mut frame = frame.clone();
        for place in [26, 30] {
            let address = &mut frame.bytes[place..place + 4];
            if address == [198, 51, 100, 7] {
                address.copy_from_slice(&[192, 0, 2, 99]);
            }
        }
        Frame { time_ns: frame.time_ns + 137 * SECOND_NS, ..frame }
    };
    frames.iter().map(anew).collect()
}

#[test]
fn behind_address_translation_retries_stay_one_attempt_wherever_one_capture_stops() {
    let server: SocketAddr = "203.0.113.20:3389".parse().unwrap();
    let names = Names { user: "alice", domain: "LAB", host: "rdsh01", workstation: "C1", password: "x" };
    let mut near = Vec::new();
    for number in 0..2 {
        let client = SocketAddr::new("198.51.100.7".parse().unwrap(), 50_000 + number);
        let start = BASE_NS + i64::from(number) * SECOND_NS;
        let kind = (Security::Nla, Cipher::Gcm12, rdp::Story::Refused);
        near.extend(rdp::talk(Endpoint::new(client), Endpoint::new(server), start, kind, &names).finish());
    }
    let far = translated(&near);
    let first = near.iter().position(|frame| frame.time_ns >= BASE_NS + SECOND_NS).unwrap();
    for kept in 0..=near.len() {
        let cut = |frames: &[Frame]| pcap(frames.iter().take(kept).cloned().collect());
        for files in [[cut(&near), pcap(far.clone())], [pcap(near.clone()), cut(&far)]] {
            let analysis = analysed(files);
            let story = &analysis.story;
            let told: Vec<usize> = story.attempts.iter().map(|attempt| attempt.sessions.len()).collect();
            assert_eq!(told, [2], "{kept} of {} frames, the second from {first}", near.len());
            let step = story.sessions[story.attempts[0].decisive].broke_at;
            assert_eq!(step, Some(Step::Credssp), "{kept} frames");
        }
    }
}
