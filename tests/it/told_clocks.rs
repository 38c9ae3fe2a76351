//! Clocks that messages tell: NTLM and Kerberos times as pairs where no connection that a log and a capture share is better.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use rdpwhy::analysis::{Analysis, analyze_inventory, write_facts};
use rdpwhy::read::Unwatched;
use rdpwhy::read::inputs::held;
use rdpwhy::session::{ClockOffset, Paired, Role, Story};
use rdpwhy::{diagnose, exchange};
use rdpwhy_lab::capture::{
    ByteOrder, Endpoint, Envelope, Frame, Interface, LINKTYPE_ETHERNET, PcapWriter, PcapngWriter, dns,
    kerberos_error, kerberos_request,
};
use rdpwhy_lab::rdp::{self, Cipher, Names, Security};
use rdpwhy_lab::scenario::Scenario;

use crate::cases::judged;

const MILLISECOND_NS: i64 = 1_000_000;
const SECOND_NS: i64 = 1_000 * MILLISECOND_NS;
/// 2026-11-20T10:00:00Z.
const BASE_NS: i64 = 1_795_168_800 * SECOND_NS;

/// Milliseconds by which a clock is ahead.
const OFF_MS: [i64; 9] =
    [0, 7, -250, 4_321, -3_605_250, 137_000, 20 * 3_600_000 + 13, -9 * 86_400_000 - 1, 700 * 86_400_000];

fn seconds(ms: i64) -> String {
    let sign = if ms < 0 { "-" } else { "" };
    format!("+{sign}{}.{:03}", ms.abs() / 1_000, ms.abs() % 1_000)
}

/// A refused connection of `number`, and what the server's challenge tells of its clock.
fn refused(number: i64, challenge: &str) -> String {
    let start = number * 1_800_000;
    let at = |ms: i64| seconds(start + ms);
    format!(
        "connection 198.51.100.10:{} > 203.0.113.20:3389\n{} syn tries=1 over_ms=0\n{} syn-ack after_ms=1\n{} connected\n\
         {} request protocols=0xb flags=0 cookie=alice\n{} confirm protocol=0x2 flags=0 acceptable=yes\n{} tls-finished\n\
         {} credssp by=client round=1 bytes=57 version=6\n{} credssp by=server round=1 bytes=295 version=6\n{} {challenge}\n\
         {} credssp by=client round=2 bytes=677 version=6\n{} credssp-refused by=server round=2 bytes=15\n{} closed by=server\n",
        50_112 + number,
        at(0),
        at(1),
        at(2),
        at(3),
        at(20),
        at(50),
        at(60),
        at(70),
        at(70),
        at(80),
        at(90),
        at(100)
    )
}

fn named(off_ms: i64) -> String {
    format!("target-named computer=rdsh01.lab.test domain=lab.test build=20348 clock_ms={off_ms}")
}

/// A log without any port, of the second of three connections.
fn log_without_ports(off_ms: i64) -> String {
    let at = |ms: i64| seconds(1_800_000 + ms + off_ms);
    format!(
        "host rdsh01 activity=A-1\n{} accepted\nhost rdsh01 user=LAB\\alice\n{} logon-failed logon_type=3 status=0xc000006d \
         sub_status=0xc000006a\nhost rdsh01 activity=A-1\n{} credentials-refused\n",
        at(3),
        at(86),
        at(89)
    )
}

fn clock(story: &Story, index: u32) -> &ClockOffset {
    story.clocks.iter().find(|clock| clock.witness_index == index).unwrap()
}

fn is_within(clock: &ClockOffset, off_ms: i64) -> bool {
    let apart = clock.offset_ns.unwrap().abs_diff(off_ms * MILLISECOND_NS);
    apart <= clock.error_ns.unsigned_abs()
}

#[test]
fn a_log_without_ports_stands_where_the_challenges_of_its_host_say() {
    for off_ms in OFF_MS {
        let connections: String = (0..3).map(|number| refused(number, &named(off_ms))).collect();
        let (story, verdicts) = judged(&(connections + &log_without_ports(off_ms)));
        let clock = clock(&story, 1);
        assert_eq!((clock.by, clock.pairs), (Paired::Ntlm, 3), "{off_ms}");
        assert!(is_within(clock, off_ms) && clock.error_ns < 30 * MILLISECOND_NS, "{off_ms}: {clock:?}");
        let told: Vec<usize> = story.sessions.iter().map(|session| session.witnesses().len()).collect();
        assert_eq!(told, [1, 2, 1], "{off_ms}");
        assert_eq!(verdicts[1][0].rule.id, "bad-password", "{off_ms}");
    }
}

#[test]
fn what_another_host_says_of_its_clock_tells_nothing_of_this_one() {
    let other = "target-named computer=rdsh02.lab.test domain=lab.test build=20348 clock_ms=7";
    let connections: String = (0..3).map(|number| refused(number, other)).collect();
    let (story, _) = judged(&(connections + &log_without_ports(4_321)));
    assert!(story.clocks.iter().all(|clock| clock.by == Paired::Connections), "{:?}", story.clocks);
}

#[test]
fn a_time_in_whole_seconds_leaves_a_second_open() {
    // A server that is right and writes its time without fractions.
    let (story, _) = judged(&(refused(0, &named(-70)) + &log_without_ports(-1_800_000)));
    let clock = clock(&story, 1);
    assert!(is_within(clock, 0) && is_within(clock, 900), "{clock:?}");
    assert!(clock.error_ns < 600 * MILLISECOND_NS, "{clock:?}");
}

/// A log that has the port of the first connection, and nothing else.
fn log_with_port(off_ms: i64) -> String {
    format!("host rdsh01 activity=A-1 client=198.51.100.10:50112\n{} accepted\n", seconds(off_ms + 3))
}

#[test]
fn a_challenge_widens_what_ports_tell_and_one_of_another_clock_does_not() {
    for off_ms in OFF_MS {
        let told = |stated_ms: i64| {
            let (story, _) = judged(&(refused(0, &named(stated_ms)) + &log_with_port(off_ms)));
            let clock = clock(&story, 1).clone();
            assert_eq!((clock.by, clock.pairs), (Paired::Connections, 1), "{off_ms}");
            assert!(is_within(&clock, off_ms), "{off_ms}: {clock:?}");
            clock.error_ns
        };
        let near = told(off_ms);
        assert!(near < 30 * MILLISECOND_NS, "{off_ms}: {near}");
        assert!(told(off_ms + 300) >= 250 * MILLISECOND_NS, "{off_ms}");
        assert_eq!(told(off_ms + 3_600_000), near, "{off_ms}");
    }
}

#[test]
fn a_refused_logon_with_a_port_is_a_pair_with_the_messages_that_it_stands_between() {
    for off_ms in OFF_MS {
        let at = |ms: i64| seconds(ms + off_ms);
        let log = format!(
            "host rdsh01 activity=A-1 client=198.51.100.10\n{} credentials-refused\nhost rdsh01 client=198.51.100.10:50112 \
             user=LAB\\alice\n{} logon-failed logon_type=3 status=0xc000006d sub_status=0xc000006a\n",
            at(89),
            at(86)
        );
        let (story, _) = judged(&(refused(0, "tls-finished") + &log));
        let clock = clock(&story, 1);
        assert_eq!((clock.by, clock.pairs, story.sessions.len()), (Paired::Connections, 1, 1), "{off_ms}");
        assert!(is_within(clock, off_ms) && clock.error_ns <= 10 * MILLISECOND_NS, "{off_ms}: {clock:?}");
    }
}

#[test]
fn a_client_that_writes_its_own_time_into_its_answer_tells_its_clock() {
    for off_ms in OFF_MS {
        let challenge = format!(
            "user-named user=alice domain=LAB workstation=CLIENT01\n{} host-clock of=198.51.100.10 name=CLIENT01 by=ntlm \
             ahead_ms={off_ms} within_ms=10",
            seconds(80)
        );
        // The beginnings alone would let the client be of any of both.
        let log = format!(
            "host client01.lab.test activity=C-1\n{} client-connecting name=rdsh01.lab.test\n{} client-disconnected reason=0x807\n",
            seconds(off_ms - 15),
            seconds(off_ms + 140)
        );
        let (story, _) = judged(&(refused(0, &challenge) + &refused(1, "tls-finished") + &log));
        let clock = clock(&story, 1);
        assert!(is_within(clock, off_ms) && clock.error_ns < 200 * MILLISECOND_NS, "{off_ms}: {clock:?}");
        let told: Vec<bool> = story.sessions.iter().map(|s| s.host(Role::Client).is_some()).collect();
        assert_eq!(told, [true, false], "{off_ms}");
    }
}

fn datagram(at_ms: i64, from: (Ipv4Addr, u16), to: (Ipv4Addr, u16), payload: &[u8]) -> Frame {
    let bytes = Envelope::new(from.0.into(), to.0.into()).udp(from.1, to.1, payload);
    Frame { time_ns: BASE_NS + at_ms * MILLISECOND_NS, bytes }
}

#[test]
fn the_log_of_a_domain_controller_stands_where_its_errors_say() {
    let (client, server) = (Ipv4Addr::new(198, 51, 100, 10), Ipv4Addr::new(203, 0, 113, 20));
    let (kdc, resolver) = (Ipv4Addr::new(203, 0, 113, 10), Ipv4Addr::new(203, 0, 113, 53));
    let names =
        Names { user: "alice", domain: "LAB", host: "rdsh01.lab.test", workstation: "C1", password: "x" };
    let ends = [(client, 50_112), (server, 3_389)].map(|end| Endpoint::new(SocketAddr::from(end)));
    let kind = (Security::Nla, Cipher::Gcm12, rdp::Story::Refused);
    let mut frames = rdp::talk(ends[0], ends[1], BASE_NS + 700 * MILLISECOND_NS, kind, &names).finish();
    let addresses = [IpAddr::V4(kdc)];
    // Ten minutes ahead: what was asked for at 10:00:00.25 was answered at 10:10:00.
    let error = kerberos_error(25, "krbtgt/LAB.TEST", "20261120101000Z", None);
    frames.extend([
        datagram(200, (client, 50_000), (resolver, 53), &dns(1, "dc01.lab.test", 1, None, &[])),
        datagram(210, (resolver, 53), (client, 50_000), &dns(1, "dc01.lab.test", 1, Some(0), &addresses)),
        datagram(250, (client, 50_001), (kdc, 88), &kerberos_request("krbtgt/LAB.TEST", "alice", 0)),
        datagram(260, (kdc, 88), (client, 50_001), &error),
    ]);
    frames.sort_by_key(|frame| frame.time_ns);
    let mut pcap = PcapWriter::new(Vec::new(), LINKTYPE_ETHERNET).unwrap();
    frames.iter().for_each(|frame| pcap.frame(frame).unwrap());
    let played = Scenario::parse(
        "at 2026-11-20T10:00:00Z\ndomain LAB lab.test\nhost client CLIENT01 198.51.100.10\nhost server RDSH01 203.0.113.20\n\
         host dc DC01 203.0.113.10 clock=+600s\nuser LAB\\alice\n+0.760 dc refuses-preauth status=0x18\n",
    );
    let mut files = vec![("a.pcap".to_owned(), pcap.finish().unwrap())];
    files.extend(played.unwrap().logs().unwrap().into_iter().map(|log| (log.name, log.bytes)));
    let analysis = analyze_inventory(held(files), &Unwatched);
    let clock = clock(&analysis.story, 1);
    assert_eq!((clock.by, clock.pairs), (Paired::Kerberos, 1), "{clock:?}");
    assert!(is_within(clock, 600_000) && clock.error_ns < 600 * MILLISECOND_NS, "{clock:?}");
    let told: Vec<bool> =
        analysis.story.sessions.iter().map(|s| s.host(Role::DomainController).is_some()).collect();
    assert_eq!(told, [true]);
}

/// A capture of a refused logon that lists these names.
fn listing(names: &[(IpAddr, &str)]) -> Vec<u8> {
    let ends = ["198.51.100.10:50112", "203.0.113.20:3389"].map(|end| Endpoint::new(end.parse().unwrap()));
    let named = Names { user: "alice", domain: "LAB", host: "10.0.0.1", workstation: "C1", password: "x" };
    let kind = (Security::Nla, Cipher::Gcm12, rdp::Story::Refused);
    let mut pcap = PcapngWriter::new(Vec::new(), ByteOrder::Little).unwrap();
    let interface = pcap.interface(Interface::new(LINKTYPE_ETHERNET)).unwrap();
    for frame in rdp::talk(ends[0], ends[1], BASE_NS, kind, &named).finish() {
        pcap.frame(interface, &frame).unwrap();
    }
    pcap.names(names).unwrap();
    pcap.finish().unwrap()
}

/// A log of rdsh07 without ports, an hour behind, beside a capture.
fn with_log_of_rdsh07(capture: Vec<u8>) -> Analysis {
    let played = Scenario::parse(
        "at 2026-11-20T10:00:00Z\ndomain LAB lab.test\nhost client CLIENT01 198.51.100.10\n\
         host server RDSH07 203.0.113.20 clock=-3600s\nuser LAB\\alice\n+0.003 server accepts port=50112\n\
         +0.060 server refuses-credentials status=0xC000006D sub=0xC000006A\n",
    );
    let mut files = vec![("a.pcapng".to_owned(), capture)];
    files.extend(played.unwrap().logs().unwrap().into_iter().map(|log| (log.name, log.bytes)));
    analyze_inventory(held(files), &Unwatched)
}

#[test]
fn names_that_a_capture_lists_are_aliases_wherever_they_stand_in_it() {
    let server = "203.0.113.20".parse().unwrap();
    let analysis =
        with_log_of_rdsh07(listing(&[(server, "gate\u{1b}[31m.lab.test"), (server, "Printer.lab.test")]));
    let names: Vec<&str> = analysis.story.names.names(server).unwrap().all().collect();
    // What the host calls itself comes first, and what is listed does not speak against it.
    assert_eq!(names, ["rdsh07.lab.test", "gate\u{1b}[31m.lab.test", "printer.lab.test"]);
    assert_eq!((analysis.story.sessions.len(), analysis.story.sessions[0].witnesses()), (1, vec![0, 1]));
    let shown = rdpwhy::report::text::answer(
        &analysis,
        rdpwhy::report::text::Layout { verbose: true, ..Default::default() },
    );
    assert!(shown.contains("the capture calls 203.0.113.20 printer.lab.test"), "{shown}");
    assert!(!shown.contains('\u{1b}'), "{shown}");
}

#[test]
fn the_same_facts_given_twice_count_once() {
    let files = vec![
        ("a.pcapng".to_owned(), listing(&[])),
        ("b.pcapng".to_owned(), listing(&[("203.0.113.20".parse().unwrap(), "x")])),
    ];
    let mut bytes = Vec::new();
    write_facts(&held(files.clone()), &Unwatched, &mut bytes).unwrap();
    let mut of_one = Vec::new();
    write_facts(&held(files[..1].to_vec()), &Unwatched, &mut of_one).unwrap();
    let read = |bytes: &[u8]| exchange::read(bytes).unwrap();
    let told = |analysis: &Analysis| rdpwhy::report::json::document(analysis, &[]).unwrap();
    let once = told(&diagnose(vec![read(&bytes)]));
    for parts in [
        vec![read(&bytes), read(&bytes)],
        vec![read(&of_one), read(&bytes)],
        vec![read(&bytes), read(&of_one)],
    ] {
        let twice = diagnose(parts);
        assert_eq!(twice.inventory.inputs.len(), 2);
        assert_eq!(told(&twice), once);
    }
}
