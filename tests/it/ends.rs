//! Captures of both ends, written by the lab and read from the packets up: which connections are one, how far the clocks
//! are apart, what was lost between, and receive windows and repeats.

use std::net::SocketAddr;

use rdpwhy::read::{Unwatched, inputs};
use rdpwhy::{Analysis, analyze_inventory};
use rdpwhy_lab::capture::{Conversation, Endpoint, Frame, LINKTYPE_ETHERNET, PcapWriter, Side};
use rdpwhy_lab::rdp::{Cipher, Names, Security, Story};

use crate::exchange::apart_is_together;
use crate::support::scratch;

/// 2025-02-19T21:20:00Z.
const START_NS: i64 = 1_740_000_000_000_000_000;
const MS: i64 = 1_000_000;
/// The clock of the server's capture is ahead by this, and the way to it takes this long.
const AHEAD_NS: i64 = 5_000 * MS;
const WAY_NS: i64 = 2 * MS / 5;
const RDP: [u8; 2] = 3389_u16.to_be_bytes();

fn pcap(frames: &[Frame]) -> Vec<u8> {
    let mut frames = frames.to_vec();
    frames.sort_by_key(|frame| frame.time_ns);
    let mut pcap = PcapWriter::new(Vec::new(), LINKTYPE_ETHERNET).unwrap();
    frames.iter().for_each(|frame| pcap.frame(frame).unwrap());
    pcap.finish().unwrap()
}

fn analysed(captures: &[Vec<Frame>]) -> Analysis {
    let named = ["client.pcap", "server.pcap"].into_iter().zip(captures);
    let held = named.map(|(name, frames)| (name.to_owned(), pcap(frames))).collect();
    analyze_inventory(inputs::held(held), &Unwatched)
}

fn is_servers(frame: &Frame) -> bool {
    frame.bytes.get(34..36) == Some(&RDP)
}

/// The same frames as the other end sees them.
fn at_the_server(frames: Vec<Frame>) -> Vec<Frame> {
    let moved = |frame: Frame| {
        let way = if is_servers(&frame) { -WAY_NS } else { WAY_NS };
        Frame { time_ns: frame.time_ns + AHEAD_NS + way, ..frame }
    };
    frames.into_iter().map(moved).collect()
}

/// Both ends with sequence numbers of their own choice, whatever address translation makes of the client.
fn ends(client: &str, number: u32) -> (Endpoint, Endpoint) {
    let client: SocketAddr = client.parse().unwrap();
    let server: SocketAddr = "203.0.113.20:3389".parse().unwrap();
    let isn = number.wrapping_mul(0x51ed_270b).wrapping_add(0x1234_5678);
    (Endpoint::new(client).with_isn(isn), Endpoint::new(server).with_isn(!isn))
}

fn desktop(client: &str) -> Vec<Frame> {
    let (client, server) = ends(client, 7);
    let names = Names { user: "alice", domain: "LAB", host: "rdsh01.lab.test", ..Names::default() };
    rdpwhy_lab::rdp::talk(client, server, START_NS, (Security::Nla, Cipher::Aead13, Story::Desktop), &names)
        .finish()
}

/// Small messages as thousands of connections exchange them, with a keep-alive and a repeat.
fn small_talk(client: &str, number: u32, stamps: bool) -> Conversation {
    let (client, server) = ends(client, number);
    let mut talk = Conversation::new(client, server, START_NS + i64::from(number) * 3 * MS);
    talk.timestamps(stamps).handshake();
    for _ in 0..12 {
        talk.client_sends(b"0123456789").server_sends(b"0123456789012345").wait_ns(50 * MS);
    }
    talk.retransmits(Side::Client).wait_ns(30 * MS).keep_alive(Side::Server);
    talk
}

fn sizes(analysis: &Analysis) -> Vec<usize> {
    analysis.story.sessions.iter().map(|session| session.connections.len()).collect()
}

#[test]
fn captures_of_both_ends_are_one_without_any_syn_and_behind_address_translation() {
    let (inside, outside) = (desktop("10.0.0.7:50112"), desktop("198.51.100.7:61000"));
    for (first, second) in [(3, 12), (12, 3), (0, 10), (10, 0), (0, 0), (1, 1)] {
        let captures = [inside[first..].to_vec(), at_the_server(outside[second..].to_vec())];
        let analysis = analysed(&captures);
        assert_eq!(sizes(&analysis), [2], "without {first} and {second} frames");
        let clock = &analysis.story.clocks[1];
        assert_eq!((clock.offset_ns, clock.error_ns), (Some(AHEAD_NS), WAY_NS), "{first} {second}");
    }
}

#[test]
fn parallel_connections_that_say_the_same_find_their_own_other_end() {
    for stamps in [true, false] {
        let at = |network: &str, port: u32| -> Vec<Frame> {
            let talks =
                (1..=60).map(|number| small_talk(&format!("{network}:{}", port + number), number, stamps));
            talks.flat_map(|talk| talk.finish().split_off(5)).collect()
        };
        let analysis = analysed(&[at("10.0.0.7", 50_000), at_the_server(at("198.51.100.7", 60_000))]);
        assert_eq!(sizes(&analysis), vec![2; 60]);
        for session in &analysis.story.sessions {
            let ports: Vec<u16> = session.connections.iter().map(|c| c.client.port()).collect();
            assert_eq!(ports[0] + 10_000, ports[1]);
        }
    }
}

#[test]
fn connections_that_nothing_tells_apart_are_not_joined() {
    // Every connection counts from the same numbers, so that a segment may be of any of them.
    let at = |network: &str, port: u32| -> Vec<Frame> {
        let talks = (1..=3).map(|index| small_talk(&format!("{network}:{}", port + index), 9, false));
        talks.flat_map(|talk| talk.finish().split_off(5)).collect()
    };
    let analysis = analysed(&[at("10.0.0.7", 50_000), at_the_server(at("198.51.100.7", 60_000))]);
    assert_eq!(sizes(&analysis), vec![1; 6]);
}

#[test]
fn other_connections_with_the_same_content_are_others() {
    let one = small_talk("10.0.0.7:50112", 1, true).finish().split_off(5);
    for client in ["10.0.0.7:50112", "10.0.0.7:50113", "198.51.100.7:61000"] {
        let other = small_talk(client, 2, true).finish().split_off(5);
        assert_eq!(sizes(&analysed(&[one.clone(), at_the_server(other)])), [1, 1], "{client}");
    }
    let quiet = |client: &str, number: u32| {
        let (client, server) = ends(client, number);
        let mut talk = Conversation::new(client, server, START_NS);
        talk.handshake().client_sends(b"0123456789");
        for _ in 0..10 {
            talk.wait_ns(1_000 * MS).keep_alive(Side::Client).keep_alive(Side::Server);
        }
        talk.finish().split_off(5)
    };
    let captures = [quiet("10.0.0.7:50112", 1), at_the_server(quiet("198.51.100.7:61000", 2))];
    assert_eq!(sizes(&analysed(&captures)), [1, 1]);
}

#[test]
fn both_ends_read_apart_give_the_answer_of_both_together() {
    let folder = scratch("ends-apart");
    let captures = [
        ("client.pcap", desktop("10.0.0.7:50112").split_off(12)),
        ("server.pcap", at_the_server(desktop("198.51.100.7:61000"))),
    ];
    let written = captures.map(|(name, frames)| {
        std::fs::write(folder.join(name), pcap(&frames)).unwrap();
        vec![folder.join(name)]
    });
    apart_is_together(&written);
}

fn facts(analysis: &Analysis, name: &str) -> Vec<String> {
    let seen = analysis.story.sessions.iter().flat_map(|session| &session.facts);
    seen.map(|seen| seen.what().text()).filter(|text| text.split(' ').next() == Some(name)).collect()
}

/// The server's flight of three segments, of which the last is sent three times.
fn flight(client: &str) -> Vec<Frame> {
    let (client, server) = ends(client, 3);
    let mut talk = Conversation::new(client, server, START_NS);
    talk.handshake().client_sends(b"hello").acks(false).server_sends(&[7; 3 * 1460]);
    for _ in 0..2 {
        talk.wait_ns(1_000 * MS).retransmits(Side::Server);
    }
    talk.wait_ns(1_000 * MS).client_resets();
    talk.finish()
}

fn is_large(frame: &Frame) -> bool {
    frame.bytes.len() > 1_000
}

#[test]
fn segments_that_one_end_sent_and_the_other_never_saw_were_lost_on_the_path() {
    let sent = at_the_server(flight("198.51.100.7:61000"));
    let got: Vec<Frame> = flight("10.0.0.7:50112").into_iter().filter(|frame| !is_large(frame)).collect();
    let analysis = analysed(&[got.clone(), sent.clone()]);
    assert_eq!(facts(&analysis, "lost-on-path"), ["lost-on-path from=server segments=5 bytes=7300"]);
    // A capture that was over by then says nothing of it.
    let early: Vec<Frame> = got.iter().take(5).cloned().collect();
    assert_eq!(facts(&analysed(&[early, sent.clone()]), "lost-on-path"), Vec::<String>::new());
    // Nor does one that misses some of both sides: it was lost by the capture.
    let is_data = |frame: &Frame| frame.bytes.ends_with(b"hello");
    let neither: Vec<Frame> = got.into_iter().filter(|frame| !is_data(frame)).collect();
    assert_eq!(facts(&analysed(&[neither, sent]), "lost-on-path"), Vec::<String>::new());
    let whole = [flight("10.0.0.7:50112"), at_the_server(flight("198.51.100.7:61000"))];
    assert_eq!(facts(&analysed(&whole), "lost-on-path"), Vec::<String>::new());
}

fn shut(over_ms: i64, asks: bool) -> Vec<Frame> {
    let (client, server) = ends("10.0.0.7:50112", 4);
    let mut talk = Conversation::new(client, server, START_NS);
    talk.handshake().client_sends(b"hello").server_sends(b"world");
    talk.window(Side::Client, 0).ack(Side::Client);
    if asks {
        talk.wait_ns(200 * MS).keep_alive(Side::Server);
    }
    talk.wait_ns(over_ms * MS).window(Side::Client, 64_000).ack(Side::Client).server_sends(b"more");
    talk.finish()
}

#[test]
fn a_window_of_0_is_told_when_it_lasted_and_somebody_waited_for_it() {
    let told = facts(&analysed(&[shut(4_000, true)]), "zero-window");
    assert_eq!(told, ["zero-window by=client times=1 over_ms=4203"]);
    assert_eq!(facts(&analysed(&[shut(2_000, true)]), "zero-window"), Vec::<String>::new());
    assert_eq!(facts(&analysed(&[shut(4_000, false)]), "zero-window"), Vec::<String>::new());
}

#[test]
fn what_is_sent_again_is_told_from_ten_segments_and_three_percent_on() {
    let repeats = |again: usize, of: usize| {
        let (client, server) = ends("10.0.0.7:50112", 5);
        let mut talk = Conversation::new(client, server, START_NS);
        talk.handshake();
        for index in 0..of {
            talk.acks(false).server_sends(b"0123456789");
            if index < again {
                talk.wait_ns(300 * MS).retransmits(Side::Server);
            }
            talk.ack(Side::Client);
        }
        facts(&analysed(&[talk.finish()]), "retransmissions")
    };
    assert_eq!(repeats(10, 40), ["retransmissions by=server segments=10 of=50 percent=20"]);
    assert_eq!(repeats(9, 40), Vec::<String>::new());
    assert_eq!(repeats(10, 400), Vec::<String>::new());
}
