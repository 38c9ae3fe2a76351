//! Every rule has its cases: folders `<cause-id>--<variant>` with facts in text form and the expected answer.
//! `<cause-id>--not-<neighbour>` is the nearest thing that the cause must not be taken for.
//!
//! `UPDATE_EXPECT=1 cargo test cases` writes the answers anew.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use expect_test::expect_file;
use rdpwhy::diagnosis::{RULES, Verdict, diagnose_all};
use rdpwhy::fact::{Connection, Fact, Keys, Reading, Recognised, Subject, What};
use rdpwhy::note::{Place, Spot};
use rdpwhy::session::{Coverage, Session, Story, Witness, join};
use rdpwhy::step::Step;
use rdpwhy::time::UnixNanos;

use crate::support::{children, root};

/// Times of cases count from here: 2026-11-20T10:00:00Z.
const BASE_NS: i64 = 1_795_168_800_000_000_000;

/// Facts of a case. A line `connection CLIENT > SERVER [witness=N] [isn=N,N] [bytes=N,N] [recognised=port|gateway|gateway-sizes|gateway-endpoint]` opens a connection that a
/// capture saw; `udp CLIENT > SERVER [witness=N] [isn=N,N]` a UDP transport; `host NAME [activity=A] [client=IP[:PORT]] [user=[D\]NAME] [session=N] [logon=N]` the records of a host with these
/// keys; `+SECONDS FACT` adds a fact, `#` comments.
pub(crate) fn facts(text: &str) -> (Vec<Fact>, Vec<Witness>) {
    let mut facts: Vec<Fact> = Vec::new();
    let mut current: Option<Opened> = None;
    let (mut frame, mut captures, mut number) = (0, 0, 0);
    let mut pending: Vec<(UnixNanos, u64, What)> = Vec::new();
    let mut hosts: Vec<String> = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(ends) = line.strip_prefix("connection ") {
            close(&mut facts, current.take(), &mut pending);
            number += 1;
            let opened = connection(ends, number);
            captures = captures.max(opened.witness_index + 1);
            current = Some(Opened::Connection(opened));
        } else if let Some(ends) = line.strip_prefix("udp ") {
            close(&mut facts, current.take(), &mut pending);
            number += 1;
            current = Some(Opened::Udp(connection(ends, number)));
        } else if let Some(keys) = line.strip_prefix("host ") {
            close(&mut facts, current.take(), &mut pending);
            let keys = host(keys);
            hosts.push(keys.host.clone());
            current = Some(Opened::Host(keys));
        } else {
            let (seconds, what) = line.strip_prefix('+').unwrap().split_once(' ').unwrap();
            let what = What::parse(what).unwrap_or_else(|error| panic!("{line}: {error}"));
            frame += 1;
            let ns = (seconds.parse::<f64>().unwrap() * 1e6).round() * 1e3;
            pending.push((UnixNanos(BASE_NS + format!("{ns:.0}").parse::<i64>().unwrap()), frame, what));
        }
    }
    close(&mut facts, current, &mut pending);
    hosts.sort();
    hosts.dedup();
    let capture = |index: u32| witness(format!("w{index}"), None);
    let hosts = hosts.into_iter().map(|name| witness(name.clone(), Some(name)));
    (facts, (0..captures).map(capture).chain(hosts).collect())
}

enum Opened {
    Connection(Connection),
    Udp(Connection),
    Host(Keys),
}

fn witness(name: String, host: Option<String>) -> Witness {
    Witness { name, inputs: Vec::new(), host, coverage: Coverage::default() }
}

fn host(line: &str) -> Keys {
    let mut words = line.split_whitespace();
    let mut keys = Keys { host: words.next().unwrap().to_owned(), ..Keys::default() };
    for word in words {
        let (key, value) = word.split_once('=').unwrap();
        match key {
            "activity" => keys.activity = Some(value.to_owned()),
            "session" => keys.session_id = value.parse().ok(),
            "logon" => keys.logon_id = value.parse().ok(),
            "client" => match value.parse::<SocketAddr>() {
                Ok(end) => (keys.address, keys.port) = (Some(end.ip()), Some(end.port())),
                Err(_) => keys.address = Some(value.parse().unwrap()),
            },
            "user" => match value.split_once('\\') {
                Some((domain, user)) => {
                    (keys.domain, keys.user) = (Some(domain.to_owned()), Some(user.to_owned()))
                }
                None => keys.user = Some(value.to_owned()),
            },
            other => panic!("unknown key {other}"),
        }
    }
    keys
}

fn connection(line: &str, number: u32) -> Connection {
    let mut words = line.split_whitespace();
    let client: SocketAddr = words.next().unwrap().parse().unwrap();
    assert_eq!(words.next(), Some(">"));
    let server: SocketAddr = words.next().unwrap().parse().unwrap();
    let mut opened = Connection {
        witness_index: 0,
        client,
        server,
        client_isn: Some(number * 1_000),
        server_isn: Some(number * 1_000 + 1),
        opened: UnixNanos(0),
        first: Place::frame(0, 1),
        last_seen: UnixNanos(0),
        last: Place::frame(0, 1),
        packets: [0, 0],
        bytes: [0, 0],
        recognised: Recognised::FirstBytes,
        sent: Default::default(),
    };
    for word in words {
        match word.split_once('=').unwrap() {
            ("witness", index) => opened.witness_index = index.parse().unwrap(),
            ("bytes", counts) => {
                let (client, server) = counts.split_once(',').unwrap();
                opened.bytes = [client.parse().unwrap(), server.parse().unwrap()];
            }
            ("recognised", "port") => opened.recognised = Recognised::Port,
            ("recognised", "gateway") => opened.recognised = Recognised::Gateway,
            ("recognised", "gateway-sizes") => opened.recognised = Recognised::GatewaySizes,
            ("recognised", "gateway-endpoint") => opened.recognised = Recognised::GatewayEndpoint,
            ("isn", numbers) => {
                let (client, server) = numbers.split_once(',').unwrap();
                (opened.client_isn, opened.server_isn) = (client.parse().ok(), server.parse().ok());
            }
            other => panic!("unknown word {other:?}"),
        }
    }
    opened
}

fn timed(mut connection: Connection, pending: &[(UnixNanos, u64, What)]) -> Arc<Connection> {
    let times = pending.iter().map(|(at, ..)| *at);
    connection.opened = times.clone().min().unwrap();
    connection.last_seen = times.max().unwrap();
    Arc::new(connection)
}

fn close(facts: &mut Vec<Fact>, opened: Option<Opened>, pending: &mut Vec<(UnixNanos, u64, What)>) {
    let Some(opened) = opened else { return };
    let (subject, records) = match opened {
        Opened::Connection(connection) => (Subject::Connection(timed(connection, pending)), false),
        Opened::Udp(transport) => (Subject::Udp(timed(transport, pending)), false),
        Opened::Host(keys) => (Subject::Record(Arc::new(keys)), true),
    };
    let captured = subject.connection().or_else(|| subject.udp());
    let input_index = captured.map_or(100, |connection| connection.witness_index);
    for (at, number, what) in pending.drain(..) {
        let spot = if records { Spot::Record(number) } else { Spot::Frame(number) };
        let place = Place { input_index, spot };
        facts.push(Fact { at, place, subject: subject.clone(), reading: Reading::Clear, what });
    }
}

/// A case, judged.
pub(crate) fn judged(text: &str) -> (Story, Vec<Vec<Verdict>>) {
    let (facts, witnesses) = facts(text);
    let story = join(facts, &witnesses);
    let verdicts = diagnose_all(&story);
    (story, verdicts)
}

/// The answer to a case, as text.
fn answer(text: &str) -> String {
    let (story, verdicts) = judged(text);
    let mut out = String::new();
    for attempt in &story.attempts {
        let decisive = attempt.sessions.iter().position(|index| *index == attempt.decisive).unwrap() + 1;
        writeln!(
            out,
            "attempt: {}, connection {decisive} of {} decides",
            attempt.outcome.name(),
            attempt.sessions.len()
        )
        .unwrap();
        for index in &attempt.sessions {
            writeln!(out, "  {}", told(&story.sessions[*index])).unwrap();
            for verdict in &verdicts[*index] {
                let weighing = &verdict.weighing;
                let against = if weighing.against.is_empty() {
                    String::new()
                } else {
                    format!(", against {}", weighing.against.len())
                };
                writeln!(
                    out,
                    "    {:>2} % {} (for {}{against})",
                    weighing.percent,
                    verdict.rule.id,
                    weighing.proofs.len()
                )
                .unwrap();
            }
        }
    }
    out
}

fn told(session: &Session) -> String {
    let name = |step: Option<Step>| step.map_or("-", Step::name);
    format!("{} at {}, reached {}", session.outcome.name(), name(session.broke_at), name(session.reached))
}

pub(crate) fn folders() -> Vec<(String, std::path::PathBuf)> {
    let named = |path: std::path::PathBuf| (path.file_name().unwrap().to_string_lossy().into_owned(), path);
    children(&root().join("tests/cases")).into_iter().map(named).collect()
}

/// The best cause of each session of the attempts that did not reach the desktop, as an expected answer names them.
fn best_causes(expected: &str) -> Vec<&str> {
    let mut best = Vec::new();
    let (mut worked, mut fresh) = (false, false);
    for line in expected.lines() {
        if let Some(attempt) = line.strip_prefix("attempt: ") {
            worked = attempt.starts_with("active");
        } else if !line.starts_with("    ") {
            fresh = true;
        } else if let Some((_, cause)) = line.split_once(" % ").filter(|_| fresh && !worked) {
            best.push(cause.split(' ').next().unwrap());
            fresh = false;
        }
    }
    best
}

#[test]
fn every_case_gives_its_answer() {
    for (name, folder) in folders() {
        let text =
            std::fs::read_to_string(folder.join("facts.txt")).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(text.starts_with("# "), "{name}: the first line says what was done");
        expect_file![folder.join("expect.txt")].assert_eq(&answer(&text));
    }
}

#[test]
fn every_rule_has_a_case_that_it_wins_and_names_are_those_of_rules() {
    let expected: Vec<(String, String)> = folders()
        .into_iter()
        .map(|(name, folder)| (name, std::fs::read_to_string(folder.join("expect.txt")).unwrap()))
        .collect();
    let ids: Vec<&str> = RULES.iter().flat_map(|rules| rules.iter()).map(|rule| rule.id).collect();
    for id in &ids {
        let positive = expected.iter().any(|(name, answer)| {
            name.starts_with(&format!("{id}--"))
                && !name.contains("--not-")
                && answer.contains(&format!(" % {id} "))
        });
        assert!(positive, "rule {id} has no case: add tests/cases/{id}--<variant>/facts.txt");
        let neighbour = expected.iter().any(|(name, _)| name.starts_with(&format!("{id}--not-")));
        assert!(neighbour, "rule {id} has no neighbour: add tests/cases/{id}--not-<neighbour>/facts.txt");
    }
    for (name, answer) in &expected {
        let (id, variant) =
            name.split_once("--").unwrap_or_else(|| panic!("{name}: not `<cause-id>--<variant>`"));
        assert!(ids.contains(&id), "{name}: there is no rule {id}");
        if variant.starts_with("not-") {
            assert!(!best_causes(answer).contains(&id), "{name}: {id} wins where it must not");
        }
    }
}

/// Rules whose cause can only ever be second to another without evidence that a capture does not hold.
const SECOND_BY_NATURE: &[&str] = &[
    "listener-down",
    "wrong-client-rdp-file",
    "pmtu-vpn-mss",
    "fips-mismatch",
    "geo-ips-block",
    "nat-wrong-target",
    "dns-wrong-host",
    "ipv6-or-protocol-block",
    "no-server-cert",
    "cert-weak",
    "host-asleep",
    "vpn-drop",
    "max-incomplete",
    "license-grace-expired",
    "udp-blocked",
    "gw-kdc-proxy",
    "gw-udp-blocked",
];

#[test]
fn every_rule_wins_a_case_unless_it_is_second_by_nature() {
    let mut winners: Vec<String> = Vec::new();
    for (_, folder) in folders() {
        let answer = std::fs::read_to_string(folder.join("expect.txt")).unwrap();
        winners.extend(best_causes(&answer).into_iter().map(str::to_owned));
    }
    for rule in RULES.iter().flat_map(|rules| rules.iter()) {
        let wins = winners.iter().any(|winner| winner == rule.id);
        assert!(wins || SECOND_BY_NATURE.contains(&rule.id), "rule {} wins no case", rule.id);
    }
}

/// Causes of each session of an expected answer, the best first.
fn causes(expected: &str) -> Vec<Vec<&str>> {
    let mut all: Vec<Vec<&str>> = Vec::new();
    for line in expected.lines() {
        match line.strip_prefix("    ").and_then(|line| line.split_once(" % ")) {
            Some((_, cause)) => all.last_mut().unwrap().push(cause.split(' ').next().unwrap()),
            None => all.push(Vec::new()),
        }
    }
    all
}

/// Two causes that ever stand beside each other are alike: each of both must win in some case, unless it can only ever be
/// second.
#[test]
fn causes_that_are_alike_are_told_apart() {
    let answers: Vec<String> = folders()
        .iter()
        .map(|(_, folder)| std::fs::read_to_string(folder.join("expect.txt")).unwrap())
        .collect();
    let sessions: Vec<Vec<&str>> = answers.iter().flat_map(|answer| causes(answer)).collect();
    let mut alike: Vec<(&str, &str)> = Vec::new();
    for causes in &sessions {
        for (index, first) in causes.iter().enumerate() {
            alike.extend(causes.iter().skip(index + 1).map(|second| (*first, *second)));
        }
    }
    alike.sort_unstable();
    alike.dedup();
    assert!(alike.len() > 100, "{} pairs", alike.len());
    for (first, second) in alike {
        for (winner, other) in [(first, second), (second, first)] {
            let place = |causes: &[&str], id: &str| causes.iter().position(|cause| *cause == id);
            let wins = |causes: &Vec<&str>| {
                place(causes, winner)
                    .is_some_and(|at| place(causes, other).is_none_or(|behind| at < behind) && at == 0)
            };
            let told = sessions.iter().any(wins) || SECOND_BY_NATURE.contains(&winner);
            assert!(told, "nothing tells {winner} from {other}");
        }
    }
}

/// Facts cost nothing to write wrong: what the text form cannot read is named.
#[test]
fn a_wrong_fact_is_named() {
    assert_eq!(What::parse("refused code=0x5 x=1").unwrap_err().to_string(), "unknown field `x`");
    assert!(Path::new(&root()).join("tests/cases").is_dir());
}
