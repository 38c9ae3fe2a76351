//! Six failures as all their witnesses tell them: what each tells alone, all together, and all but one.
//!
//! `UPDATE_EXPECT=1 cargo test --test it stories` writes docs/stories/ anew.

use std::fmt::Write as _;
use std::net::SocketAddr;

use expect_test::expect_file;
use rdpwhy::read::Unwatched;
use rdpwhy::read::inputs::held;
use rdpwhy::report::text::{Layout, answer};
use rdpwhy::time::UnixNanos;
use rdpwhy::{Analysis, analyze_inventory};
use rdpwhy_lab::capture::{Conversation, Endpoint, Frame, LINKTYPE_ETHERNET, PcapWriter, Side};
use rdpwhy_lab::rdp::{self, Cipher, Names, Security, pdu};
use rdpwhy_lab::scenario::Scenario;

use crate::clocks::{Lot, Shift, wrong};
use crate::gateway;
use crate::real;
use crate::support::{children, root};

const SECOND_NS: i64 = 1_000_000_000;
/// 2026-11-20T10:00:00Z, when the written stories begin.
const BASE_NS: i64 = 1_795_168_800 * SECOND_NS;
const NAMES: Names<'_> =
    Names { user: "alice", domain: "LAB", host: "rdsh01.lab.test", workstation: "CLIENT01", password: "x" };

/// Where one capture holds all that the other one does.
const CAPTURES: &[&str] = &["capture at the client", "capture at the server"];

/// Files of one witness.
struct Witness {
    name: String,
    files: Vec<(String, Vec<u8>)>,
    clock: String,
    /// Of a host's logs, the scenario that they are written by, and the name of the host.
    written_by: Option<(String, String)>,
}

impl Witness {
    /// Its files as they would be if its clock were further ahead: logs are written anew, the records of captures get other
    /// times.
    fn ahead(&self, by_ns: i64) -> Vec<(String, Vec<u8>)> {
        match &self.written_by {
            Some((scenario, host)) => {
                let anew = logs(&with_clock_ahead(scenario, host, by_ns));
                anew.into_iter().find(|witness| witness.name == self.name).unwrap().files
            }
            None => {
                let files = self.files.iter();
                files.map(|(name, bytes)| (name.clone(), real::with_times_moved(bytes, by_ns))).collect()
            }
        }
    }
}

/// Of seconds with a sign, such as `-3.5`.
fn nanoseconds(seconds: &str) -> i64 {
    let (whole, below) = seconds.split_once('.').unwrap_or((seconds, ""));
    let below: i64 = format!("{below:0<9}").parse().unwrap();
    let whole: i64 = whole.parse::<i64>().unwrap() * SECOND_NS;
    if seconds.starts_with('-') { whole - below } else { whole + below }
}

/// The scenario with the clock of a host further ahead.
fn with_clock_ahead(scenario: &str, host: &str, by_ns: i64) -> String {
    let line = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        if words.first() != Some(&"host") || words.get(2) != Some(&host) {
            return line.to_owned();
        }
        let is_clock = |word: &&&str| word.starts_with("clock=");
        let clock = words.iter().find(is_clock).map_or("+0s", |word| word.split_once('=').unwrap().1);
        let ns = nanoseconds(clock.trim_end_matches('s')) + by_ns;
        let sign = if ns < 0 { '-' } else { '+' };
        let rest: Vec<&str> = words.iter().filter(|word| !is_clock(word)).copied().collect();
        let (seconds, below) = (ns.abs() / SECOND_NS, ns.abs() % SECOND_NS);
        format!("{} clock={sign}{seconds}.{below:09}s", rest.join(" "))
    };
    scenario.lines().map(line).collect::<Vec<String>>().join("\n")
}

struct Story {
    file: &'static str,
    title: &'static str,
    /// What was done, for a support engineer.
    happened: &'static str,
    /// The step at which it broke.
    step: &'static str,
    cause: &'static str,
    witnesses: Vec<Witness>,
    /// Witnesses without which nothing is missing, since another one tells the same.
    replaced: &'static [&'static str],
}

fn logs(scenario: &str) -> Vec<Witness> {
    let played = Scenario::parse(scenario).unwrap();
    let of_host = |host: &rdpwhy_lab::scenario::Host| {
        let files: Vec<(String, Vec<u8>)> = played
            .logs()
            .unwrap()
            .into_iter()
            .filter(|log| log.host == host.name)
            .map(|log| {
                let channel = log.name.trim_end_matches(".evtx").split('%').next().unwrap();
                (format!("{}-{}.evtx", log.host, channel.rsplit('-').next().unwrap()), log.bytes)
            })
            .collect();
        let whose = if files.len() == 1 { "log" } else { "logs" };
        let clock = match host.clock_ns / 1_000_000_000 {
            0 => "right".to_owned(),
            ahead @ 1.. => format!("{ahead} s ahead"),
            behind => format!("{} s behind", -behind),
        };
        let written_by = Some((scenario.to_owned(), host.name.clone()));
        Witness { name: format!("{whose} of {}", host.name), files, clock, written_by }
    };
    played.hosts().iter().map(of_host).filter(|witness| !witness.files.is_empty()).collect()
}

/// The captures of a sample and the logs of a scenario.
fn sample(name: &str, scenario: &str) -> Vec<Witness> {
    let mut all = Vec::new();
    for path in children(&root().join("samples").join(name)) {
        let file = path.file_name().unwrap().to_string_lossy().into_owned();
        if !file.ends_with(".evtx") {
            let end = file.split('.').next().unwrap().to_owned();
            all.push(capture(&end, file, std::fs::read(&path).unwrap()));
        }
    }
    all.extend(logs(scenario));
    all
}

fn capture(end: &str, file: String, bytes: Vec<u8>) -> Witness {
    let (name, clock) = (format!("capture at the {end}"), "right".to_owned());
    Witness { name, files: vec![(file, bytes)], clock, written_by: None }
}

fn written(name: &str) -> String {
    std::fs::read_to_string(root().join(format!("lab/scenarios/{name}.scenario"))).unwrap()
}

fn ends(port: u16) -> (Endpoint, Endpoint) {
    let client: SocketAddr = format!("198.51.100.10:{port}").parse().unwrap();
    (Endpoint::new(client), Endpoint::new("203.0.113.20:3389".parse().unwrap()))
}

fn pcap(frames: &[Frame]) -> Vec<u8> {
    let mut pcap = PcapWriter::new(Vec::new(), LINKTYPE_ETHERNET).unwrap();
    frames.iter().for_each(|frame| pcap.frame(frame).unwrap());
    pcap.finish().unwrap()
}

/// The same packets at the server, a millisecond of the way apart.
fn at_server(frames: &[Frame]) -> Vec<Frame> {
    let moved = |frame: &Frame| {
        let of_server = frame.bytes.get(26..30) == Some(&[203, 0, 113, 20]);
        let way = if of_server { -1_000_000 } else { 1_000_000 };
        Frame { time_ns: frame.time_ns + way, bytes: frame.bytes.clone() }
    };
    let mut all: Vec<Frame> = frames.iter().map(moved).collect();
    all.sort_by_key(|frame| frame.time_ns);
    all
}

fn both_ends(near: &[Frame], far: &[Frame]) -> Vec<Witness> {
    vec![
        capture("client", "client.pcap".to_owned(), pcap(near)),
        capture("server", "server.pcap".to_owned(), pcap(&at_server(far))),
    ]
}

const HOSTS: &str = "at 2026-11-20T10:00:00Z
domain LAB lab.test
host client CLIENT01 198.51.100.10 clock=+137s
host server RDSH01 203.0.113.20 clock=-3605s
";

/// Standard RDP Security, and no licence.
fn licensing() -> Vec<Witness> {
    let (client, server) = ends(50_331);
    let mut talk = Conversation::new(client, server, BASE_NS);
    talk.step_ns(2_000_000).handshake();
    talk.client_sends(&pdu::connection_request("alice", 0)).server_sends(&pdu::connection_confirm(0));
    talk.client_sends(&pdu::connect_initial("CLIENT01", 0)).server_sends(&pdu::connect_response(0));
    talk.client_sends(&pdu::erect_domain()).client_sends(&pdu::attach_user());
    talk.server_sends(&pdu::attach_confirm());
    for channel in [pdu::USER, pdu::IO_CHANNEL, 1004] {
        talk.client_sends(&pdu::join(channel)).server_sends(&pdu::join_confirm(channel, 0));
    }
    talk.client_sends(&pdu::client_info(&NAMES));
    // ERR_NO_LICENSE_SERVER, ST_TOTAL_ABORT.
    talk.wait_ns(300_000_000).server_sends(&pdu::license_error(6, 1));
    talk.server_closes().client_closes();
    let frames = talk.finish();
    let mut all = both_ends(&frames, &frames);
    all.extend(logs(&format!(
        "{HOSTS}+0.000 client connects name=rdsh01.lab.test
         +0.003 server accepts port=50331 nla=no
         +0.350 server licensing-failed kind=no-server
         +0.400 client disconnected reason=2056"
    )));
    all
}

/// The gateway lets the user in and refuses the host that he asks for.
fn refused_by_gateway() -> Vec<Witness> {
    // E_PROXY_RAP_ACCESSDENIED.
    let frames = gateway::ended(gateway::socket(50_200, &gateway::tunnel(0x8007_59da)));
    let mut all = vec![capture("gateway", "gateway.pcap".to_owned(), pcap(&frames))];
    all.extend(logs(
        "at 2025-02-19T21:20:00Z
         domain LAB lab.test
         host client CLIENT01 198.51.100.7 clock=+137s
         host gateway GW01 203.0.113.30 clock=-40s
         user LAB\\alice
         +0.000 client connects name=rdsh01.lab.test
         +0.020 gateway connects
         +0.080 gateway rap-denied resource=rdsh01.lab.test
         +0.140 client disconnected reason=50331656",
    ));
    all
}

/// A device on the path ends a running session with resets in both names.
fn reset_in_session() -> Vec<Witness> {
    let kind = (Security::Nla, Cipher::Gcm12, rdp::Story::Desktop);
    let (client, server) = ends(50_442);
    let whole = rdp::talk(client.with_ttl(128), server.with_ttl(127), BASE_NS, kind, &NAMES).finish();
    let until = BASE_NS + 3 * SECOND_NS;
    let running: Vec<Frame> = whole.into_iter().filter(|frame| frame.time_ns < until).collect();
    // The next number that each side would send stands in what the other acknowledged last.
    let mut near = running.clone();
    let mut far = running;
    near.push(reset_behind(&near, Side::Server, until, 63));
    far.push(reset_behind(&far, Side::Client, until, 63));
    let mut all = both_ends(&near, &far);
    all.extend(logs(&format!(
        "{HOSTS}+0.000 client connects name=rdsh01.lab.test
         +0.003 server accepts port=50442
         +0.600 server authenticates
         +0.900 server logs-on session=3
         +1.000 client connected session=3
         +3.005 server disconnects by=network
         +3.010 client disconnected reason=2308"
    )));
    all
}

/// A reset in a side's name, of another time to live than its own packets, made of the last one that it sent.
fn reset_behind(frames: &[Frame], side: Side, time_ns: i64, ttl: u8) -> Frame {
    let (client, server) = ends(50_442);
    let of_server = |frame: &&Frame| frame.bytes.get(26..30) == Some(&[203, 0, 113, 20]);
    let last = frames.iter().rfind(|frame| of_server(frame) == (side == Side::Server)).unwrap();
    let number = |at: usize| u32::from_be_bytes(last.bytes[at..at + 4].try_into().unwrap());
    let length = u32::from(u16::from_be_bytes(last.bytes[16..18].try_into().unwrap()));
    let header = 20 + u32::from(last.bytes[46] >> 4) * 4;
    let next = number(38).wrapping_add(length - header);
    let (client, server) = match side {
        Side::Client => (client.with_isn(next.wrapping_sub(1)), server),
        Side::Server => (client, server.with_isn(next.wrapping_sub(1))),
    };
    let mut talk = Conversation::new(client, server, time_ns);
    talk.forged_reset(side, ttl);
    talk.finish().remove(0)
}

/// All six, along the ladder.
fn stories() -> Vec<Story> {
    vec![
        Story {
            file: "gateway-refuses-host",
            title: "The gateway does not let the user to the host",
            happened: "alice connects to rdsh01 through the RD Gateway GW01. The connection authorization policy (CAP) lets her in, the \
                       resource authorization policy (RAP) has no such host for her. The capture lies between the gateway and the device \
                       that takes its TLS off.",
            step: "gateway_channel",
            cause: "gw-rap-denied",
            witnesses: refused_by_gateway(),
            replaced: &[],
        },
        Story {
            file: "expired-certificate",
            title: "The server's certificate has expired",
            happened: "The client checks certificates and ends the handshake with the TLS alert `certificate_expired`.",
            step: "tls",
            cause: "cert-expired",
            witnesses: sample("cert-expired", &written("cert-expired")),
            replaced: CAPTURES,
        },
        Story {
            file: "wrong-password",
            title: "A wrong password under NLA",
            happened: "labuser mistypes the password; the client tries twice by itself. No secrets were logged, so the packets show no \
                       status.",
            step: "credssp",
            cause: "bad-password",
            witnesses: sample("nla-wrong-password", &written("nla-wrong-password")),
            replaced: CAPTURES,
        },
        Story {
            file: "no-license-server",
            title: "No licence server is known",
            happened: "The session host has no licence server and its days of grace are over. The client uses Standard RDP Security, so the \
                       licensing message can be read.",
            step: "licensing",
            cause: "license-no-server",
            witnesses: licensing(),
            replaced: CAPTURES,
        },
        Story {
            file: "denied-by-broker",
            title: "0x3, 0x7: the broker sends nobody on",
            happened: "alice is let in by NLA. The session host asks the broker where to send her, the broker refuses the host's \
                       credentials, and the host ends the connection with Set Error Info 7.",
            step: "licensing",
            cause: "broker-redirect-failed",
            witnesses: sample("denied-0x7", &written("denied-0x7")),
            replaced: CAPTURES,
        },
        Story {
            file: "reset-in-session",
            title: "A device on the path resets a running session",
            happened: "alice works. Three seconds in, a firewall between both forgets the connection and sends a reset to each end in the \
                       other's name.",
            step: "active",
            cause: "middlebox-rst",
            witnesses: reset_in_session(),
            replaced: &[],
        },
    ]
}

fn analysed<'w>(witnesses: impl Iterator<Item = &'w Witness>) -> Analysis {
    let mut files: Vec<(String, Vec<u8>)> = witnesses.flat_map(|witness| witness.files.clone()).collect();
    files.sort();
    analyze_inventory(held(files), &Unwatched)
}

/// What an answer comes to.
struct Told {
    attempts: usize,
    outcome: &'static str,
    step: &'static str,
    cause: &'static str,
    percent: u8,
    missing: Vec<std::borrow::Cow<'static, str>>,
}

fn told(analysis: &Analysis) -> Told {
    let story = &analysis.story;
    let Some(attempt) = story.attempts.first() else {
        let (outcome, step, cause, missing) = ("no connection", "-", "-", Vec::new());
        return Told { attempts: 0, outcome, step, cause, percent: 0, missing };
    };
    let session = &story.sessions[attempt.decisive];
    let best = analysis.verdicts[attempt.decisive].first();
    let missing = match best {
        Some(best) => best.missing(&analysis.witnesses).collect(),
        None => rdpwhy::diagnosis::witnesses_absent(session).into_iter().map(Into::into).collect(),
    };
    Told {
        attempts: story.attempts.len(),
        outcome: attempt.outcome.name(),
        step: session.broke_at.map_or("-", |step| step.name()),
        cause: best.map_or("-", |best| best.rule.id),
        percent: best.map_or(0, |best| best.weighing.percent),
        missing,
    }
}

/// Outcome, step, cause and how sure, as cells of a table.
fn cells(told: &Told) -> String {
    match told.percent {
        0 => format!("{} | {} | - | -", told.outcome, told.step),
        percent => format!("{} | {} | `{}` | {percent} %", told.outcome, told.step, told.cause),
    }
}

fn page(story: &Story) -> String {
    let mut page = format!("# {}\n\n{}\n\n## The witnesses, each by itself\n\n", story.title, story.happened);
    page.push_str("| witness | files | its clock | outcome | step | cause | how sure |\n|---|---|---|---|---|---|---|\n");
    for witness in &story.witnesses {
        let files: Vec<String> = witness.files.iter().map(|(name, _)| format!("`{name}`")).collect();
        let alone = told(&analysed(std::iter::once(witness)));
        let (files, clock) = (files.join(", "), &witness.clock);
        writeln!(page, "| {} | {files} | {clock} | {} |", witness.name, cells(&alone)).unwrap();
    }
    let all = analysed(story.witnesses.iter());
    let text = answer(&all, Layout::default());
    writeln!(page, "\n## All together\n\n```text\n{}\n```\n", text.trim_end()).unwrap();
    page.push_str("## Without one of them\n\n| without | outcome | step | cause | how sure | what is missing then |\n|---|---|---|---|---|---|\n");
    let before = told(&all);
    for left_out in &story.witnesses {
        let rest = told(&analysed(story.witnesses.iter().filter(|other| other.name != left_out.name)));
        let missing = missing(&before, &rest, left_out);
        writeln!(page, "| {} | {} | {missing} |", left_out.name, cells(&rest)).unwrap();
    }
    page
}

/// What the answer without a witness names that the answer with it did not.
fn missing(before: &Told, without: &Told, left_out: &Witness) -> String {
    let new = without.missing.iter().filter(|line| !before.missing.contains(line));
    let named: Vec<String> = new.map(|line| line.split(": `").next().unwrap().to_owned()).collect();
    match named.as_slice() {
        [] => format!("nothing: the others tell what the {} told", left_out.name),
        named => named.join("; "),
    }
}

#[test]
fn each_story_is_told_as_its_page_says() {
    for story in stories() {
        expect_file![root().join(format!("docs/stories/{}.md", story.file))].assert_eq(&page(&story));
    }
}

#[test]
fn all_witnesses_together_tell_one_attempt_with_its_step_and_cause() {
    for story in stories() {
        let all = told(&analysed(story.witnesses.iter()));
        assert_eq!((all.attempts, all.step, all.cause), (1, story.step, story.cause), "{}", story.file);
    }
}

#[test]
fn without_any_one_witness_the_step_is_the_same_and_what_would_decide_is_named() {
    for story in stories() {
        let all = told(&analysed(story.witnesses.iter()));
        for left_out in &story.witnesses {
            let rest: Vec<&Witness> =
                story.witnesses.iter().filter(|other| other.name != left_out.name).collect();
            let without = told(&analysed(rest.into_iter()));
            let place = format!("{} without the {}", story.file, left_out.name);
            assert_eq!(
                (without.attempts, without.outcome, without.step),
                (1, all.outcome, all.step),
                "{place}"
            );
            assert!(without.percent <= all.percent, "{place}: surer than with it");
            let replaced = story.replaced.contains(&left_out.name.as_str());
            let new = without.missing.iter().any(|line| !all.missing.contains(line));
            assert!(new || replaced, "{place}: {:?}", without.missing);
        }
    }
}

/// Whatever the clock of one witness shows, its files read from the beginning tell the same, and how far it is off is found.
#[test]
fn in_no_story_files_of_a_shifted_clock_change_the_answer() {
    let (mut lot, mut tried, mut all) = (Lot(4), 0, Vec::new());
    for story in stories() {
        let witnesses = analysed(story.witnesses.iter()).witnesses;
        let told = |shift: Shift<'_>| {
            let moved = shift.map(|(index, change)| {
                let witness = &witnesses[usize::try_from(index).unwrap()];
                (witness, change(UnixNanos(0)).0)
            });
            let mut files: Vec<(String, Vec<u8>)> = Vec::new();
            for witness in &story.witnesses {
                let is_its =
                    |moved: &&(&rdpwhy::session::Witness, i64)| match (&witness.written_by, &moved.0.host) {
                        (Some((_, name)), Some(host)) => {
                            host.split('.').next().unwrap().eq_ignore_ascii_case(name)
                        }
                        (None, None) => witness.files.iter().any(|(name, _)| *name == moved.0.name),
                        _ => false,
                    };
                files.extend(match moved.as_ref().filter(is_its) {
                    Some((_, by)) => witness.ahead(*by),
                    None => witness.files.clone(),
                });
            }
            files.sort();
            let analysis = analyze_inventory(held(files), &Unwatched);
            assert_eq!(analysis.witnesses.len(), witnesses.len(), "{}", story.file);
            (analysis.story, analysis.verdicts)
        };
        let (count, found) = wrong(&witnesses, &mut lot, &told);
        tried += count;
        all.extend(found.into_iter().map(|what| format!("{}: {what}", story.file)));
    }
    assert!(all.is_empty(), "{} of {tried}\n{}", all.len(), all.join("\n"));
    assert!(tried >= 60, "only {tried} shifts were tried");
}
