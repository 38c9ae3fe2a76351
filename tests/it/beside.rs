//! What goes past beside a connection, written by the lab and read from the packets up: Kerberos over TCP and UDP, names,
//! ARP, and services that do not answer.

use std::net::{IpAddr, Ipv4Addr};

use rdpwhy::read::{Unwatched, inputs};
use rdpwhy::{Analysis, analyze_inventory};
use rdpwhy_lab::capture::{
    Conversation, Endpoint, Envelope, Frame, LINKTYPE_ETHERNET, PcapWriter, arp, dns, kerberos_error,
    kerberos_over_tcp, kerberos_request, kerberos_ticket,
};

/// 2025-02-19T21:20:00Z.
const START_NS: i64 = 1_740_000_000_000_000_000;
const MS: i64 = 1_000_000;
const CLIENT: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 7);
const SERVER: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 20);
const KDC: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 10);
const NAMES: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 53);

fn talk(from: Ipv4Addr, port: u16, to: Ipv4Addr, to_port: u16, at_ms: i64) -> Conversation {
    let end = |address: Ipv4Addr, port: u16| Endpoint::new((address, port).into());
    Conversation::new(end(from, port), end(to, to_port), START_NS + at_ms * MS)
}

/// A connection that the client leaves after two seconds, behind its request.
fn rdp() -> Vec<Frame> {
    let mut talk = talk(CLIENT, 50_112, SERVER, 3389, 0);
    talk.handshake().client_sends(&[3, 0, 0, 19, 14, 0xe0, 0, 0, 0, 0, 0, 1, 0, 8, 0, 3, 0, 0, 0]);
    talk.wait_ns(2_000 * MS).client_resets();
    talk.finish()
}

fn datagram(at_ms: i64, from: (Ipv4Addr, u16), to: (Ipv4Addr, u16), payload: &[u8]) -> Frame {
    let bytes = Envelope::new(from.0.into(), to.0.into()).udp(from.1, to.1, payload);
    Frame { time_ns: START_NS + at_ms * MS, bytes }
}

fn frame(at_ms: i64, bytes: Vec<u8>) -> Frame {
    Frame { time_ns: START_NS + at_ms * MS, bytes }
}

/// The facts of the only session whose names begin with one of these.
fn facts(beside: Vec<Frame>, wanted: &[&str]) -> Vec<String> {
    let analysis = analysed(beside);
    let [session] = analysis.story.sessions.as_slice() else { panic!("one connection is one session") };
    let texts = session.facts.iter().map(|seen| seen.what().text());
    texts.filter(|text| wanted.iter().any(|name| text.starts_with(name))).collect()
}

fn analysed(beside: Vec<Frame>) -> Analysis {
    let mut frames = [rdp(), beside].concat();
    frames.sort_by_key(|frame| frame.time_ns);
    let mut pcap = PcapWriter::new(Vec::new(), LINKTYPE_ETHERNET).unwrap();
    frames.iter().for_each(|frame| pcap.frame(frame).unwrap());
    let held = inputs::held(vec![("a.pcap".to_owned(), pcap.finish().unwrap())]);
    analyze_inventory(held, &Unwatched)
}

#[test]
fn kerberos_over_tcp_is_put_together_from_its_segments() {
    let mut asks = talk(CLIENT, 50_200, KDC, 88, 100);
    asks.handshake().client_sends(&kerberos_over_tcp(&kerberos_request("TERMSRV/rdsh01", "alice", 3_000)));
    let error = kerberos_over_tcp(&kerberos_error(7, "TERMSRV/rdsh01", "20250219213000Z", None));
    let (first, rest) = error.split_at(3);
    asks.server_sends(first).server_sends(rest).client_closes();
    let wanted =
        "kerberos-failed code=0x7 service=TERMSRV/rdsh01 realm=LAB.TEST asker=client kdc_ahead_s=600";
    assert_eq!(facts(asks.finish(), &["kerberos", "service"]), [wanted]);
}

#[test]
fn kerberos_over_udp_tells_tickets_and_refusals_once() {
    let (client, kdc) = ((CLIENT, 50_300), (KDC, 88));
    let disabled = kerberos_error(18, "krbtgt/LAB.TEST", "20250219212000Z", Some(0xc000_0072));
    let wants_proof = kerberos_error(25, "krbtgt/LAB.TEST", "20250219212000Z", None);
    let request = kerberos_request("krbtgt/LAB.TEST", "alice", 0);
    let told = facts(
        vec![
            datagram(100, client, kdc, &request),
            datagram(101, kdc, client, &wants_proof),
            datagram(102, client, kdc, &request),
            datagram(103, kdc, client, &disabled),
            datagram(104, kdc, client, &disabled),
            datagram(200, kdc, (SERVER, 50_400), &kerberos_ticket("cifs/files", "rdsh01$")),
            datagram(5_000, kdc, client, &disabled),
        ],
        &["kerberos", "service"],
    );
    let refused = "kerberos-failed code=0x12 service=krbtgt/LAB.TEST realm=LAB.TEST asker=client status=0xc0000072 kdc_ahead_s=0";
    assert_eq!(told, [refused, "kerberos-granted service=cifs/files asker=server"]);
}

#[test]
fn the_name_that_leads_to_the_server_is_told_and_others_are_not() {
    let (client, names) = ((CLIENT, 50_500), (NAMES, 53));
    let server = [IpAddr::V4(SERVER)];
    let told = facts(
        vec![
            datagram(-300, client, names, &dns(1, "RDSH01.lab.test", 1, None, &[])),
            datagram(-290, names, client, &dns(1, "RDSH01.lab.test", 1, Some(0), &server)),
            datagram(-280, client, names, &dns(2, "other.lab.test", 1, None, &[])),
            datagram(-270, names, client, &dns(2, "other.lab.test", 1, Some(3), &[])),
            datagram(-260, client, names, &dns(3, "elsewhere.lab.test", 1, Some(0), &[IpAddr::V4(KDC)])),
        ],
        &["name", "lookup", "service"],
    );
    assert_eq!(told, ["name-resolved name=rdsh01.lab.test addresses=203.0.113.20"]);
}

#[test]
fn domain_controllers_are_sought_in_vain_only_where_none_is_found() {
    let (client, names) = ((CLIENT, 50_600), (NAMES, 53));
    let udp = dns(4, "_kerberos._udp.LAB.TEST", 33, None, &[]);
    let tcp = dns(5, "_kerberos._tcp.LAB.TEST", 33, None, &[]);
    let sought = vec![
        datagram(100, client, names, &udp),
        datagram(600, client, names, &udp),
        datagram(700, client, names, &tcp),
        datagram(710, names, client, &dns(5, "_kerberos._tcp.LAB.TEST", 33, Some(3), &[])),
    ];
    let lookups = [
        "lookup-failed asker=client name=_kerberos._udp.lab.test records=SRV server=203.0.113.53 tries=2 over_ms=500",
        "lookup-failed asker=client name=_kerberos._tcp.lab.test records=SRV code=3 server=203.0.113.53 tries=1 over_ms=0",
    ];
    assert_eq!(facts(sought.clone(), &["lookup"]), lookups);
    let ticket = kerberos_ticket("krbtgt/LAB.TEST", "alice");
    let found = [sought, vec![datagram(900, (KDC, 88), (CLIENT, 50_601), &ticket)]].concat();
    assert_eq!(facts(found, &["lookup"]), Vec::<String>::new());
}

#[test]
fn services_without_an_answer_are_told_for_each_host_once() {
    let unanswered = |port: u16, at_ms: i64| {
        let syn = |at_ms: i64| {
            let mut asks = talk(CLIENT, port, KDC, 88, at_ms);
            asks.syn();
            asks.finish()
        };
        [syn(at_ms), syn(at_ms + 1_000)].concat()
    };
    let mut refused = talk(SERVER, 50_800, KDC, 389, 50);
    refused.syn().server_resets();
    let mut answered = talk(CLIENT, 50_801, KDC, 445, 60);
    answered.handshake();
    let beside =
        [unanswered(50_700, 100), unanswered(50_701, 200), refused.finish(), answered.finish()].concat();
    let wanted = [
        "service-unreached asker=server service=ldap server=203.0.113.10 refused=yes tries=1 over_ms=0",
        "service-unreached asker=client service=kerberos server=203.0.113.10 tries=4 over_ms=1100",
    ];
    assert_eq!(facts(beside, &["service"]), wanted);
}

#[test]
fn two_link_addresses_for_one_address() {
    let (one, two) = ([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
    let answer = |at_ms: i64, mac: [u8; 6]| frame(at_ms, arp(true, SERVER, mac, CLIENT));
    let twice = vec![answer(10, one), answer(12, two)];
    let wanted = "duplicate-address address=203.0.113.20 macs=02:00:00:00:00:01,02:00:00:00:00:02";
    assert_eq!(facts(twice, &["duplicate"]), [wanted]);
    // A cluster's address moves to another host, and stays there.
    let moved = vec![answer(10, one), answer(1_500, two), answer(1_600, two)];
    assert_eq!(facts(moved, &["duplicate"]), Vec::<String>::new());
    let in_turns = vec![answer(10, one), answer(1_100, two), answer(1_900, one)];
    assert_eq!(facts(in_turns, &["duplicate"]).len(), 1);
    // Before the connection.
    let before = vec![answer(-5_000, one), answer(-4_999, two)];
    assert_eq!(facts(before, &["duplicate"]), Vec::<String>::new());
}

#[test]
fn what_the_limits_cut_is_a_note_where_it_may_have_mattered() {
    let asks = |number: u16| {
        let at_ms = -9_000 + i64::from(number) * 10;
        datagram(at_ms, (CLIENT, 51_000 + number), (NAMES, 53), &dns(number, "a.example", 1, None, &[]))
    };
    let notes = |count: u16| {
        let analysis = analysed((0..count).map(asks).collect());
        analysis.notes.iter().filter(|note| note.text.contains("only a part was kept")).count()
    };
    assert_eq!((notes(64), notes(65)), (0, 1));
}
