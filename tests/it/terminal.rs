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
        assert!(text.matches('▶').count() >= 2 && text.matches('◀').count() >= 1, "{text}");
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
    assert!(lines[0].starts_with("13 attempts FAILED"), "{text}");
    assert!(lines[1].starts_with("       9 x hybrid-required at X.224 negotiation: 10.1.3.9:3389"), "{text}");
    assert!(lines[2].starts_with("       4 x tcp-refused     at TCP connection: 10.1.3.10:3389"), "{text}");
    assert_eq!(text.matches("  how sure  ").count(), 2, "{text}");
    assert!(text.contains("[1 of 9] REFUSED") && text.contains("[1 of 4] REFUSED"), "{text}");
    let all = answer(&analysis, Layout { verbose: true, ..Layout::default() });
    assert_eq!(all.matches("  how sure  ").count(), 13);
    assert_eq!(all.matches("client    server").count(), 13);
    assert!(lines[0].contains("2 kinds of failure (a cause at a step)"), "{text}");
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
    assert!(text.contains(&format!("x of {rest} rarer kinds, which -v lists")), "{text}");
    let listed = |text: &str| {
        text.lines().take_while(|line| !line.is_empty()).filter(|line| line.contains(" x ")).count()
    };
    assert_eq!((listed(&text), listed(&all)), (21, count));
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
    assert!(text.starts_with("[1/4] REFUSED") && !text.contains("FAILED"));
    assert!(!text.contains("client    server"), "pictures of so many are for -v");
}
