//! The answer on a terminal: it fits its columns, is plain where it must be, and sums up what is too much to read.

use std::net::SocketAddr;

use rdpwhy::analysis::{Analysis, analyze_inventory};
use rdpwhy::read::Unwatched;
use rdpwhy::read::inputs::held;
use rdpwhy::report::text::{Layout, answer};
use rdpwhy::report::{html, markdown};
use rdpwhy::{Options, analyze};
use rdpwhy_lab::capture::{Conversation, Endpoint, Frame, LINKTYPE_ETHERNET, PcapWriter};

use crate::support::{children, corpus, root, run};

const BASE_NS: i64 = 1_795_168_800_000_000_000;
const SECOND_NS: i64 = 1_000_000_000;

fn samples() -> Vec<Analysis> {
    let folders = children(&root().join("samples")).into_iter().filter(|path| path.is_dir());
    let read = |path| analyze(&Options { paths: vec![path], ..Options::default() }, &Unwatched);
    let all: Vec<Analysis> = folders.map(read).collect();
    assert!(all.len() >= 5);
    all
}

#[test]
fn lines_fit_the_terminal() {
    for analysis in &samples() {
        for width in [80, 100, 132] {
            for verbose in [false, true] {
                let text = answer(analysis, Layout { width, verbose, ..Layout::default() });
                let drawn = text.lines().skip_while(|line| !line.ends_with("client    server"));
                let rows: Vec<&str> = drawn.take_while(|line| !line.is_empty()).collect();
                assert!(rows.len() > 5, "no ladder in\n{text}");
                // What is copied stays whole, and places of the timeline are paths.
                let copied = ["  Wireshark", "  slice", "  records"];
                let of_a_log = |line: &str| line.trim_start().starts_with("wevtutil qe ");
                let whole =
                    |line: &&str| copied.iter().any(|label| line.starts_with(label)) || of_a_log(line);
                let told = text.lines().take_while(|line| !line.ends_with("client    server"));
                for line in told.filter(|line| !whole(line)).chain(rows) {
                    let longest = line.split_whitespace().map(|word| word.chars().count()).max();
                    let fits = line.chars().count() <= width || longest > Some(width / 2);
                    assert!(fits || line.contains(" at "), "{width} columns: {line}");
                }
            }
        }
    }
}

#[test]
fn the_ladder_marks_one_break_and_keeps_the_order_of_time() {
    for analysis in &samples() {
        let text = answer(analysis, Layout::default());
        assert_eq!(text.matches('✗').count(), 1, "{text}");
        // What was lost ends in a cross of its own.
        let sent = text.matches(['▶', '×']).count();
        assert!(sent >= 2 && text.matches('◀').count() >= 1, "{text}");
        let gaps = text.lines().filter(|line| line.contains(" +-"));
        assert_eq!(gaps.count(), 0, "a row before the one above it in\n{text}");
    }
}

/// Without the sequences that set colours, which begin with ESC [ and end with m.
fn bare(colored: &str) -> String {
    let parts = colored.split('\u{1b}').enumerate();
    parts.map(|(index, part)| if index == 0 { part } else { part.split_once('m').unwrap().1 }).collect()
}

#[test]
fn colours_change_nothing_but_colours() {
    for analysis in &samples() {
        let plain = answer(analysis, Layout::default());
        let colored = answer(analysis, Layout { color: true, ..Layout::default() });
        assert!(colored.contains("\u{1b}[") && !plain.contains('\u{1b}'));
        assert_eq!(bare(&colored), plain);
    }
}

#[test]
fn ascii_is_ascii_and_says_the_same() {
    for analysis in &samples() {
        let plain = answer(analysis, Layout::default());
        let ascii = answer(analysis, Layout { ascii: true, ..Layout::default() });
        assert!(ascii.is_ascii());
        assert_eq!(plain.lines().count(), ascii.lines().count());
        assert_eq!(ascii.matches('X').count(), plain.matches('X').count() + 1);
    }
}

#[test]
fn a_pipe_gets_no_colours_unless_they_are_asked_for() {
    let said = |arguments: &[&str]| {
        let mut all = vec!["-q", "samples/cert-expired"];
        all.extend(arguments);
        String::from_utf8(run(&root(), &all).stdout).unwrap()
    };
    assert!(!said(&[]).contains('\u{1b}'));
    assert!(!said(&["--color", "never"]).contains('\u{1b}'));
    assert!(said(&["--color", "always"]).contains("\u{1b}[1m\u{1b}[31mREFUSED"));
    assert!(said(&["--ascii"]).is_ascii());
}

fn client(host: u8, port: u16) -> SocketAddr {
    format!("10.1.2.{host}:{port}").parse().unwrap()
}

/// A server that wants NLA of a client that has none.
fn hybrid_required(from: SocketAddr, start_ns: i64) -> Vec<Frame> {
    let request = [3, 0, 0, 19, 14, 0xe0, 0, 0, 0, 0, 0, 1, 0, 8, 0, 1, 0, 0, 0];
    let refusal = [3, 0, 0, 19, 14, 0xd0, 0, 0, 0, 0, 0, 3, 0, 8, 0, 5, 0, 0, 0];
    let server = "10.1.3.9:3389".parse().unwrap();
    let mut talk = Conversation::new(Endpoint::new(from), Endpoint::new(server), start_ns);
    talk.handshake().client_sends(&request).server_sends(&refusal).client_closes().server_closes();
    talk.finish()
}

/// Nobody listens.
fn port_closed(from: SocketAddr, start_ns: i64) -> Vec<Frame> {
    let server = "10.1.3.10:3389".parse().unwrap();
    let mut talk = Conversation::new(Endpoint::new(from), Endpoint::new(server), start_ns);
    talk.syn().server_resets();
    talk.finish()
}

fn failures(hybrid: u8, closed: u8) -> Analysis {
    let mut frames = Vec::new();
    for host in 0..hybrid {
        frames.extend(hybrid_required(client(host + 1, 50_000), BASE_NS + i64::from(host) * 90 * SECOND_NS));
    }
    for host in 0..closed {
        frames.extend(port_closed(client(host + 101, 51_000), BASE_NS + i64::from(host) * 90 * SECOND_NS));
    }
    frames.sort_by_key(|frame| frame.time_ns);
    let mut bytes = Vec::new();
    let mut pcap = PcapWriter::new(&mut bytes, LINKTYPE_ETHERNET).unwrap();
    frames.iter().for_each(|frame| pcap.frame(frame).unwrap());
    analyze_inventory(held(vec![("x.pcap".to_owned(), bytes)]), &Unwatched)
}

#[test]
fn many_failures_are_summed_up_by_cause_with_the_most_frequent_first() {
    let analysis = failures(9, 4);
    let text = answer(&analysis, Layout::default());
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("13 attempts: 13 failed."), "{text}");
    assert!(lines[1].starts_with("13 attempts FAILED"), "{text}");
    assert!(lines[2].starts_with("       9 x hybrid-required at X.224 negotiation: 10.1.3.9:3389"), "{text}");
    assert!(lines[3].starts_with("       4 x tcp-refused     at TCP connection: 10.1.3.10:3389"), "{text}");
    assert_eq!(text.matches("  how sure  ").count(), 2, "{text}");
    assert!(text.contains("[1 of 9] REFUSED") && text.contains("[1 of 4] REFUSED"), "{text}");
    let all = answer(&analysis, Layout { verbose: true, ..Layout::default() });
    assert_eq!(all.matches("  how sure  ").count(), 13);
    assert_eq!(all.matches("client    server").count(), 13);
    assert!(lines[1].contains("2 kinds of failure (a cause at a step)"), "{text}");
    let zone = &rdpwhy::time::UTC;
    let page = markdown::page(&analysis, markdown::Layout { verbose: false, only_failed: false, zone });
    assert!(page.starts_with("# Remote Desktop: 13 of 13 attempts failed: 2 kinds of failure\n"), "{page}");
    assert!(page.contains("| 9 | hybrid-required | X.224 negotiation |\n| 4 | tcp-refused |"), "{page}");
}

/// The numbers of `31 kinds of failure` and the like in a text.
fn kinds_of_failure(text: &str) -> Vec<usize> {
    let before = text.split(" kinds of failure").map(|part| part.rsplit([' ', '>']).next().unwrap());
    let mut numbers: Vec<usize> = before.filter_map(|word| word.parse().ok()).collect();
    numbers.dedup();
    numbers
}

#[test]
fn every_form_for_people_counts_the_same_and_says_what_it_does_not_show() {
    let Some(lab) = corpus("lab") else { return };
    let analysis = analyze(&Options { paths: vec![lab], ..Options::default() }, &Unwatched);
    let text = answer(&analysis, Layout::default());
    let all = answer(&analysis, Layout { verbose: true, ..Layout::default() });
    let zone = &rdpwhy::time::UTC;
    let page = markdown::page(&analysis, markdown::Layout { verbose: false, only_failed: false, zone });
    let html = html::page(&analysis, &html::Asked::default()).unwrap();
    let count = kinds_of_failure(&text)[0];
    assert!(count > 20, "{count} kinds");
    for (form, first) in [("text", &all), ("markdown", &page), ("html", &html)] {
        assert_eq!(kinds_of_failure(first)[0], count, "{form}");
    }
    // What the first screen does not name is counted, and everything is where it says.
    let rest = count - 20;
    assert!(text.contains(&format!(" more of {rest} rarer kinds, which -v lists")), "{text}");
    let listed = |text: &str| {
        text.lines().take_while(|line| !line.is_empty()).filter(|line| line.contains(" x ")).count()
    };
    assert_eq!((listed(&text), listed(&all)), (20, count));
    assert_eq!(html.matches("class=\"times\"").count(), count);
    assert!(html.contains(&format!("{} more kinds of failure", count - 6)));
    assert!(
        html.contains("An attempt unfolds 8 of its connections at most, the one that tells most first: 52 ")
    );
}

#[test]
fn nothing_but_what_is_copied_is_wider_than_the_terminal() {
    let analysis = failures(9, 4);
    let told = samples();
    for width in [40, 60, 80] {
        for analysis in told.iter().chain([&analysis]) {
            for verbose in [false, true] {
                let text = answer(analysis, Layout { width, verbose, ..Layout::default() });
                let copied = ["  Wireshark", "  slice", "  records"];
                let of_a_log = |line: &str| line.trim_start().starts_with("wevtutil qe ");
                let whole =
                    |line: &&str| copied.iter().any(|label| line.starts_with(label)) || of_a_log(line);
                for line in text.lines().filter(|line| !whole(line)) {
                    let longest = line.split_whitespace().map(|word| word.chars().count()).max();
                    // Less than 60 columns are taken for 60; a path or a name stays whole.
                    let fits = line.chars().count() <= width.max(60) || longest > Some(18);
                    assert!(fits, "{width} columns, {}: {line}", line.chars().count());
                }
            }
        }
    }
}

#[test]
fn both_gap_and_sentence_of_an_answer_tell_one_time() {
    for analysis in &samples() {
        let text = answer(analysis, Layout::default());
        let row = text.lines().find(|line| line.contains("accepts it")).unwrap();
        assert!(row.ends_with("accepts it"), "{row}");
    }
}

#[test]
fn causes_that_are_near_enough_stand_in_every_form_and_values_stay_whole() {
    let Some(lab) = corpus("lab/fail-nla-bad-password-tls12") else { return };
    let analysis = analyze(&Options { paths: vec![lab], ..Options::default() }, &Unwatched);
    let text = answer(&analysis, Layout::default());
    let sure = "62 % (bad-password), or 25 % (account-restriction), or 25 % (bad-user)";
    assert!(text.contains(&format!("  how sure  {sure}")), "{text}");
    let zone = &rdpwhy::time::UTC;
    let page = markdown::page(&analysis, markdown::Layout { verbose: false, only_failed: false, zone });
    assert!(page.contains(&format!("| how sure | {sure} |")) && !page.contains("SHA-256 |"), "{page}");
    let html = html::page(&analysis, &html::Asked::default()).unwrap();
    assert!(html.contains("\"rivals\":2"), "so many of its causes are named");
    let Some(lab) = corpus("lab") else { return };
    let analysis = analyze(&Options { paths: vec![lab], ..Options::default() }, &Unwatched);
    let text = answer(&analysis, Layout { width: 160, ..Layout::default() });
    assert!(text.contains("  differs   certificate of the server: ") && !text.contains("2…\n"), "{text}");
}

#[test]
fn a_few_failures_are_told_one_by_one() {
    let text = answer(&failures(4, 0), Layout::default());
    assert_eq!(text.matches("  how sure  ").count(), 4);
    assert!(text.starts_with("4 attempts: 4 failed. ") && text.contains("\n\n[1/4] REFUSED"), "{text}");
    assert!(!text.contains("FAILED"));
    assert!(!text.contains("client    server"), "pictures of so many are for -v");
}

/// What is said of real captures of the runner.
fn told_of(case: &str, files: &[&str], keys: bool) -> String {
    let folder = root().join("tests/captures/lab").join(case);
    let paths = files.iter().map(|file| folder.join(file)).collect();
    let key_logs = if keys { vec![folder.join("keys.log")] } else { Vec::new() };
    let analysis = analyze(&Options { paths, key_logs, ..Options::default() }, &Unwatched);
    let text = answer(&analysis, Layout::default());
    text.split_whitespace().collect::<Vec<&str>>().join(" ")
}

#[test]
fn a_reason_that_nobody_can_read_is_not_said_to_be_known() {
    let text = told_of("nla-status-locked", &["client.pcap"], false);
    assert!(
        text.contains(
            "why the server refused the logon, and the reason is hidden in the encrypted TSRequest"
        ),
        "{text}"
    );
    assert!(
        text.contains("to do find the reason before the next try, and do not try again and again"),
        "{text}"
    );
    let text = told_of("nla-status-locked", &["client.pcap"], true);
    assert!(text.contains("why the account is locked"), "{text}");
    let text = told_of("nla-wrong-password", &["client.pcap"], false);
    assert!(text.contains("why most likely: the user name or the password is wrong"), "{text}");
}

#[test]
fn a_capture_that_was_read_is_not_asked_for_and_what_it_lacks_is_drawn_as_lost() {
    let analysis = analyze(
        &Options { paths: vec![root().join("samples/middlebox-reset")], ..Options::default() },
        &Unwatched,
    );
    let text = answer(&analysis, Layout::default());
    let flat = text.split_whitespace().collect::<Vec<&str>>().join(" ");
    assert!(
        flat.contains(
            "server.pcap was read, and its last packet is of 2026-11-22T06:27:45.806632Z, before the reset"
        ),
        "{text}"
    );
    assert!(!flat.contains("not seen a capture on the server"), "{text}");
    assert!(flat.contains("the capture server.pcap ends while"), "{text}");
    assert!(text.contains("│──────×   │   asks for RDP and offers TLS, NLA, cookie labuser"), "{text}");
    let evidence = text.split("  not seen").next().unwrap();
    assert!(
        evidence.contains("45 bytes of the client in 1 segment were lost between the two captures"),
        "{text}"
    );
}

#[test]
fn what_a_capture_of_one_direction_lacks_is_not_lost() {
    let text = told_of("one-sided-wrong-password", &["client.pcap", "server.pcap"], false);
    assert!(!text.contains("did not arrive") && !text.contains("were lost between"), "{text}");
    assert!(text.contains("only the client's packets are in client.pcap"), "{text}");
}

#[test]
fn a_session_that_reached_the_desktop_was_ended() {
    for case in ["replaced-0x5", "ended-idle-0x3", "ended-by-admin-0x1", "ended-shutdown-0x19"] {
        let text = told_of(case, &["client.pcap"], true);
        assert!(text.starts_with("ENDED BY THE SERVER at active session: "), "{case}: {text}");
    }
}

#[test]
fn filters_that_fit_nothing_name_what_there_is() {
    for (option, asked, there) in [
        ("--client", "198.51.100.99", "198.51.100.10"),
        ("--server", "rdsh02", "rdsh01.lab.test"),
        ("--user", "labusr", "labuser"),
        ("--at", "2026-11-22T06:20Z+-1s", "2026-11-22T06:27:45"),
    ] {
        let text = String::from_utf8(run(&root(), &["-q", option, asked, "samples"]).stdout).unwrap();
        let asked = asked.split("Z+-").next().unwrap();
        assert!(text.starts_with("NOTHING is as asked for, among 5 attempts\n"), "{text}");
        assert!(text.contains(&format!("{option} {asked}")) && text.contains(there), "{option}: {text}");
        assert!(!text.contains("clock of") && !text.contains("clock not"), "{text}");
    }
    let text = run(&root(), &["-q", "--client", "198.51.100.10", "--user", "nobody", "samples"]).stdout;
    let text = String::from_utf8(text).unwrap();
    assert!(text.contains("--client 198.51.100.10 alone fits 5"), "{text}");
}

#[test]
fn one_request_to_the_port_of_something_else_is_likely_a_probe() {
    let modbus = [3, 0, 0, 0x2b, 0, 3, 0, 0x80, 1];
    let request = [3, 0, 0, 19, 14, 0xe0, 0, 0, 0, 0, 0, 1, 0, 8, 0, 1, 0, 0, 0];
    let told = |port: u16| {
        let server: SocketAddr = format!("10.1.3.9:{port}").parse().unwrap();
        let mut talk = Conversation::new(Endpoint::new(client(1, 50_000)), Endpoint::new(server), BASE_NS);
        talk.handshake().client_sends(&request).server_sends(&modbus).client_closes().server_closes();
        let mut bytes = Vec::new();
        let mut pcap = PcapWriter::new(&mut bytes, LINKTYPE_ETHERNET).unwrap();
        talk.finish().iter().for_each(|frame| pcap.frame(frame).unwrap());
        let analysis = analyze_inventory(held(vec![("x.pcap".to_owned(), bytes)]), &Unwatched);
        answer(&analysis, Layout::default())
    };
    assert!(told(502).contains("likely a scanner or"), "{}", told(502));
    assert!(!told(3389).contains("likely a scanner or"), "{}", told(3389));
}

#[test]
fn a_clock_is_no_surer_than_its_records_are_near_to_the_packets_that_they_tell_of() {
    let analysis = analyze(
        &Options { paths: vec![root().join("samples/denied-0x7")], ..Options::default() },
        &Unwatched,
    );
    let host = analysis.witnesses.iter().position(|w| w.host.as_deref() == Some("rdsh01.lab.test")).unwrap();
    let clock = analysis.story.clocks.iter().find(|c| usize::try_from(c.witness_index) == Ok(host)).unwrap();
    // Client Info stands in its log 280 ms behind the packet.
    assert!(clock.error_ns > 250_000_000, "{clock:?}");
}

#[test]
fn on_a_narrow_terminal_what_was_sent_stands_below_its_arrow() {
    for analysis in &samples() {
        let text = answer(analysis, Layout { width: 40, ..Layout::default() });
        assert!(text.contains("client ─▶ server") || text.contains("client ──▶ server"), "{text}");
        assert_eq!(text.matches('✗').count(), 1, "{text}");
    }
}
