//! UDP transports: what captures hold of them, which connection they belong to, and what is never taken for one.

use std::net::SocketAddr;

use rdpwhy::analysis::{Analysis, analyze_inventory};
use rdpwhy::packets::udp_facts;
use rdpwhy::read::capture::read_source;
use rdpwhy::read::inputs::held;
use rdpwhy::read::{UdpFlow, Unwatched};
use rdpwhy::report::json;
use rdpwhy::report::text::{Layout, answer};
use rdpwhy::session::Session;
use rdpwhy::wire::keylog::KeyLog;
use rdpwhy_lab::capture::{
    Conversation, Endpoint, Frame, LINKTYPE_ETHERNET, PcapWriter, UdpSyn, icmp_error, udp_data, udp_frame,
    udp2_data, udp2_dummy,
};
use rdpwhy_lab::capture::{Envelope, IcmpError};

use crate::support::{children, corpus};

const BASE_NS: i64 = 1_795_168_800_000_000_000;
const SECOND_NS: i64 = 1_000_000_000;
const ID: [u8; 16] = [0xa1, 0xa2, 0xa3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 14, 0, 0];

fn client(port: u16) -> SocketAddr {
    format!("198.51.100.7:{port}").parse().unwrap()
}

fn server() -> SocketAddr {
    "203.0.113.20:3389".parse().unwrap()
}

fn pcap(mut frames: Vec<Frame>) -> Vec<u8> {
    frames.sort_by_key(|frame| frame.time_ns);
    let mut bytes = Vec::new();
    let mut pcap = PcapWriter::new(&mut bytes, LINKTYPE_ETHERNET).unwrap();
    frames.iter().for_each(|frame| pcap.frame(frame).unwrap());
    bytes
}

fn transports(bytes: Vec<u8>) -> Vec<UdpFlow> {
    let inventory = held(vec![("x.pcap".to_owned(), bytes)]);
    let mut all = Vec::new();
    for source in &inventory.sources {
        all.extend(read_source(source, &inventory.inputs, &KeyLog::default(), &Unwatched, &mut |_| {}).udp);
    }
    all
}

fn texts(transport: &UdpFlow) -> Vec<String> {
    let (facts, notes) = udp_facts(transport, 0, &KeyLog::default());
    assert!(notes.is_empty(), "{notes:?}");
    facts.iter().map(|fact| fact.what.text()).collect()
}

fn analysed(bytes: Vec<u8>) -> Analysis {
    analyze_inventory(held(vec![("x.pcap".to_owned(), bytes)]), &Unwatched)
}

fn names(session: &Session) -> Vec<&'static str> {
    session
        .facts
        .iter()
        .filter(|seen| seen.fact.subject.udp().is_some())
        .map(|seen| seen.what().name())
        .collect()
}

/// X.224 request with a correlation id (MS-RDPBCGR 2.2.1.1.2), its confirm for TLS, and more from the client.
fn tcp(port: u16, id: [u8; 16]) -> Vec<Frame> {
    let mut request = vec![3, 0, 0, 55, 50, 0xe0, 0, 0, 0, 0, 0, 1, 8, 8, 0, 1, 0, 0, 0, 6, 0, 36, 0];
    request.extend(id);
    request.extend([0; 16]);
    let confirm = [3, 0, 0, 19, 14, 0xd0, 0, 0, 0, 0, 0, 2, 0, 8, 0, 1, 0, 0, 0];
    let mut talk = Conversation::new(Endpoint::new(client(port)), Endpoint::new(server()), BASE_NS);
    talk.handshake().client_sends(&request).server_sends(&confirm);
    talk.wait_ns(30 * SECOND_NS).client_closes().server_closes();
    talk.finish()
}

fn syn() -> UdpSyn {
    UdpSyn { initial: 0x0102_0304, correlation: Some(ID), version: Some(0x0101), ..UdpSyn::default() }
}

/// Nanoseconds of so many milliseconds after the beginning.
fn at(ms: i64) -> i64 {
    BASE_NS + ms * 1_000_000
}

fn asked(times_ms: &[i64], port: u16, syn: &UdpSyn) -> Vec<Frame> {
    let frame = |ms: &i64| udp_frame(at(*ms), client(port), server(), &syn.payload());
    times_ms.iter().map(frame).collect()
}

#[test]
fn a_transport_without_answer_belongs_to_its_connection_and_breaks_nothing() {
    let frames = [tcp(50_112, ID), asked(&[1_000, 2_000, 4_000], 61_000, &syn())].concat();
    let analysis = analysed(pcap(frames));
    let [session] = analysis.story.sessions.as_slice() else { panic!("{:?}", analysis.story.sessions) };
    assert_eq!(names(session), ["udp-syn"]);
    let said: Vec<String> = session.facts.iter().map(|seen| seen.what().text()).collect();
    let hash = "a1a2a30405060708090a0b0c0e0e0000";
    assert!(
        said.contains(&format!("udp-syn tries=3 over_ms=3000 version=0x101 correlation={hash}")),
        "{said:?}"
    );
    let alone = analysed(pcap(tcp(50_112, ID)));
    let [other] = alone.story.sessions.as_slice() else { panic!() };
    assert_eq!((session.outcome, session.broke_at), (other.outcome, other.broke_at));
    assert_eq!(analysis.notes, alone.notes);
    assert!(session.client() == Some(client(50_112)) && session.udp().len() == 1);
    let _ = answer(&analysis, Layout { verbose: true, ..Layout::default() });
}

#[test]
fn it_is_a_leg_and_crosses_machines() {
    let mut frames = [tcp(50_112, ID), answered(&syn(), Some(0x0101))].concat();
    for (index, (by_client, bytes)) in (0_u16..).zip(secured()) {
        data(&mut frames, 1_100 + i64::from(index) * 10, by_client, &udp2_data(index, index / 2, &bytes));
    }
    let inventory = held(vec![("x.pcap".to_owned(), pcap(frames))]);
    let mut lines = Vec::new();
    rdpwhy::write_facts(&inventory, &Unwatched, &mut lines).unwrap();
    let apart = rdpwhy::diagnose(vec![rdpwhy::exchange::read(lines.as_slice()).unwrap()]);
    let together = analyze_inventory(inventory, &Unwatched);
    assert_eq!(names(&apart.story.sessions[0]), names(&together.story.sessions[0]));
    let document = json::document(&together, &[]).unwrap();
    assert!(document == json::document(&apart, &[]).unwrap(), "{document}");
    let document: serde_json::Value = serde_json::from_str(&document).unwrap();
    let leg = &document["sessions"][0]["legs"][1];
    assert_eq!((&leg["role"], &leg["client"]["port"]), (&"udp".into(), &61_000.into()), "{leg}");
    assert_eq!(leg["tls"]["version"], "TLS 1.2");
    assert_eq!(leg["seen_by"].as_array().map(Vec::len), Some(1));
}

#[test]
fn of_two_connections_of_one_address_the_one_with_the_same_id_is_meant() {
    let mut other = ID;
    other[0] = 0xb1;
    let frames = [tcp(50_112, other), tcp(50_113, ID), asked(&[1_000, 2_000], 61_000, &syn())].concat();
    let analysis = analysed(pcap(frames));
    let with: Vec<_> = analysis.story.sessions.iter().filter(|session| !session.udp().is_empty()).collect();
    assert_eq!(with.iter().filter_map(|session| session.client()).collect::<Vec<_>>(), [client(50_113)]);
    // Without an id both may be meant, so neither is.
    let plain = UdpSyn { correlation: None, ..syn() };
    let frames = [tcp(50_112, other), tcp(50_113, ID), asked(&[1_000, 2_000], 61_000, &plain)].concat();
    let analysis = analysed(pcap(frames));
    assert!(analysis.story.sessions.iter().all(|session| session.udp().is_empty()));
    assert_eq!(analysis.story.udp_alone.transports, 1);
}

#[test]
fn a_transport_without_its_connection_is_a_note_and_no_session() {
    let late = asked(&[100_000, 101_000], 61_000, &syn());
    let analysis = analysed(pcap([tcp(50_112, ID), late].concat()));
    assert!(analysis.story.sessions.iter().all(|session| session.udp().is_empty()));
    let alone = analysed(pcap(asked(&[1_000, 2_000, 4_000], 61_000, &syn())));
    assert!(alone.story.sessions.is_empty() && alone.story.attempts.is_empty());
    let notes: Vec<&str> = alone.notes.iter().map(|note| note.text.as_str()).collect();
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(notes[0].contains("captures: 1, 1 of them unanswered"), "{notes:?}");
}

/// TLS 1.2 records by content type and length, as an AES-GCM suite has them.
fn record(content: u8, length: u16) -> Vec<u8> {
    let mut bytes = vec![content, 3, 3];
    bytes.extend(length.to_be_bytes());
    bytes.extend(vec![0xee; usize::from(length)]);
    bytes
}

/// A hello in a record: version, random, no session id, then the suites or the suite.
fn hello(client: bool) -> Vec<u8> {
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.push(0);
    body.extend(if client { [0, 2, 0xc0, 0x30, 1, 0].as_slice() } else { &[0xc0, 0x30, 0] });
    let length = u8::try_from(body.len()).unwrap();
    [vec![22, 3, 3, 0, length + 4, if client { 1 } else { 2 }, 0, 0, length], body].concat()
}

/// Hellos, both Finished, and the two PDUs that open the tunnel; from the client or the server.
fn secured() -> [(bool, Vec<u8>); 6] {
    let finished = || [record(20, 1), record(22, 40)].concat();
    [
        (true, hello(true)),
        (false, hello(false)),
        (true, finished()),
        (false, finished()),
        (true, record(23, 28 + 24)),
        (false, record(23, 8 + 24)),
    ]
}

fn answered(syn: &UdpSyn, version: Option<u16>) -> Vec<Frame> {
    let mut frames = asked(&[1_000], 61_000, syn);
    frames.push(udp_frame(at(1_002), server(), client(61_000), &syn.answer(0x0a0b_0c0d, version)));
    frames
}

fn data(frames: &mut Vec<Frame>, ms: i64, by_client: bool, payload: &[u8]) {
    let (from, to) = if by_client { (client(61_000), server()) } else { (server(), client(61_000)) };
    frames.push(udp_frame(at(ms), from, to, payload));
}

const SECURED: [&str; 7] = [
    "udp-client-hello version=0x303",
    "udp-server-hello version=0x303 suite=0xc030",
    "udp-secured",
    "tunnel-request",
    "tunnel-response",
    "udp-data",
    "udp-unanswered",
];

#[test]
fn a_reliable_transport_of_version_2_is_put_in_order_and_read_by_size() {
    let offer = UdpSyn { version: Some(2), correlation: None, ..syn() };
    let mut frames = answered(&offer, Some(2));
    let mut next = [offer.initial.wrapping_add(1), 0x0a0b_0c0e];
    let mut held_back = Vec::new();
    for (index, (by_client, bytes)) in (0_u32..).zip(secured()) {
        let number = &mut next[usize::from(!by_client)];
        // The client's first record comes in two pieces, the second one first, and one of them twice.
        let pieces: Vec<&[u8]> = if index == 0 { bytes.chunks(30).collect() } else { vec![&bytes] };
        for piece in pieces {
            held_back.push((by_client, udp_data(0, *number, piece)));
            *number = number.wrapping_add(1);
        }
    }
    held_back.swap(0, 1);
    held_back.insert(2, held_back[0].clone());
    for (index, (by_client, payload)) in (0_i64..).zip(&held_back) {
        data(&mut frames, 1_100 + index * 10, *by_client, payload);
    }
    let read = transports(pcap(frames));
    let [transport] = read.as_slice() else { panic!("{} transports", read.len()) };
    let said = texts(transport);
    assert_eq!(said[0], "udp-syn tries=1 over_ms=0 answered=yes version=0x2");
    assert_eq!(said[1], "udp-syn-ack after_ms=2 version=0x2");
    assert_eq!(said[2..7], SECURED[..5]);
    assert!(said[7].starts_with("udp-data client_bytes="), "{said:?}");
    assert_eq!(said.len(), 8);
}

#[test]
fn version_3_is_read_behind_acknowledgements_and_silence_is_said() {
    let mut frames = answered(&syn(), Some(0x0101));
    let mut next = [1_u16, 1];
    for (index, (by_client, bytes)) in (0_i64..).zip(secured()) {
        let number = &mut next[usize::from(!by_client)];
        data(&mut frames, 1_100 + index * 10, by_client, &udp2_data(100 + *number, *number, &bytes));
        data(&mut frames, 1_101 + index * 10, by_client, &udp2_dummy(100 + *number));
        *number += 1;
    }
    for index in 0..10_u16 {
        data(
            &mut frames,
            5_000 + i64::from(index) * 1_000,
            true,
            &udp2_data(200 + index, 50 + index, &record(23, 400)),
        );
    }
    let read = transports(pcap(frames));
    let said = texts(read.first().unwrap());
    let mut names: Vec<&str> = said.iter().map(|text| text.split(' ').next().unwrap()).collect();
    let mut expected: Vec<&str> = SECURED.iter().map(|text| text.split(' ').next().unwrap()).collect();
    expected.extend(["udp-syn", "udp-syn-ack"]);
    names.sort_unstable();
    expected.sort_unstable();
    assert_eq!(names, expected);
    assert!(said.contains(&"udp-unanswered by=client datagrams=10 over_ms=9000".to_owned()), "{said:?}");
}

#[test]
fn a_lossy_transport_has_dtls_inside() {
    let offer = UdpSyn { lossy: true, version: None, correlation: None, ..syn() };
    let mut frames = answered(&offer, None);
    let dtls = |content: u8, epoch: u8, fragment: &[u8]| {
        let mut bytes = vec![content, 0xfe, 0xfd, 0, epoch, 0, 0, 0, 0, 0, 1];
        bytes.extend(u16::try_from(fragment.len()).unwrap().to_be_bytes());
        bytes.extend(fragment);
        bytes
    };
    let hello = |kind: u8, rest: &[u8]| {
        let body = [&[0xfe, 0xfd], [7; 32].as_slice(), rest].concat();
        let length = u8::try_from(body.len()).unwrap();
        dtls(22, 0, &[&[kind, 0, 0, length, 0, 0, 0, 0, 0, 0, 0, length], body.as_slice()].concat())
    };
    let talk = [
        (true, hello(1, &[0, 0, 0, 2, 0xc0, 0x30, 1, 0])),
        (false, hello(2, &[0, 0xc0, 0x30, 0])),
        (true, [dtls(20, 0, &[1]), dtls(22, 1, &[0xee; 40])].concat()),
        (false, [dtls(20, 0, &[1]), dtls(22, 1, &[0xee; 40])].concat()),
        (true, dtls(23, 1, &[0xee; 28 + 24])),
        (false, dtls(23, 1, &[0xee; 8 + 24])),
    ];
    for (index, (by_client, bytes)) in (0_u32..).zip(talk) {
        data(&mut frames, 1_100 + i64::from(index) * 10, by_client, &udp_data(0, index, &bytes));
    }
    let said = texts(transports(pcap(frames)).first().unwrap());
    assert_eq!(said[0], "udp-syn tries=1 over_ms=0 answered=yes lossy=yes");
    assert_eq!(said[1], "udp-syn-ack after_ms=2 version=0x1");
    assert_eq!(said[2], "udp-client-hello version=0xfefd");
    assert_eq!(said[3], "udp-server-hello version=0xfefd suite=0xc030");
    assert_eq!(said[4..7], ["udp-secured", "tunnel-request", "tunnel-response"]);
}

#[test]
fn icmp_errors_about_it_are_told() {
    let mut frames = asked(&[1_000, 2_000], 61_000, &syn());
    let envelope = Envelope::new(server().ip(), client(1).ip());
    let about: Vec<u8> = frames[0].bytes[14..].to_vec();
    let bytes = icmp_error(&envelope, IcmpError::PortUnreachable, &about);
    frames.push(Frame { time_ns: at(1_001), bytes });
    let said = texts(transports(pcap(frames)).first().unwrap());
    assert!(said.contains(&"udp-unreachable from=203.0.113.20 kind=3 code=3 times=1".to_owned()), "{said:?}");
}

/// A pseudo-random sequence, the same in every run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u8 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0.to_be_bytes()[1]
    }
}

#[test]
fn other_traffic_is_never_taken_for_one_on_the_port_or_elsewhere() {
    let mut frames = Vec::new();
    let mut numbers = Numbers(1);
    let mut payloads: Vec<Vec<u8>> = vec![
        // A DNS query, a QUIC Initial padded to 1232 bytes, a DTLS hello, all ones, all zeros.
        [&[0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 3], b"rdp\x00\x00\x01\x00\x01".as_slice()].concat(),
        [&[0xc3, 0, 0, 0, 1, 8], [0x5a; 1226].as_slice()].concat(),
        [&[22, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 50], [1; 50].as_slice()].concat(),
        vec![0xff; 1232],
        vec![0; 1232],
    ];
    for _ in 0..2_000 {
        let length = if numbers.next() < 128 { 1232 } else { usize::from(numbers.next()) };
        payloads.push((0..length).map(|_| numbers.next()).collect());
    }
    // A SYN in which one byte differs that has fixed values: all but window, number, correlation id and hash.
    for index in (0..4).chain(6..8).chain(12..16).chain(32..48).chain([1231]) {
        let mut bytes = syn().payload();
        bytes[index] ^= 0xff;
        payloads.push(bytes);
    }
    for (index, payload) in payloads.iter().enumerate() {
        let port = u16::try_from(20_000 + index).unwrap();
        let to = if index % 2 == 0 { server() } else { "203.0.113.20:53".parse().unwrap() };
        frames.push(udp_frame(BASE_NS + i64::try_from(index).unwrap(), client(port), to, payload));
    }
    let read = transports(pcap(frames));
    let found: Vec<_> = read.iter().map(|transport| (transport.client, transport.syn.clone())).collect();
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn public_captures_say_what_they_are_known_for() {
    let Some(folder) = corpus("public/pcap") else { return };
    let facts = |name: &str| {
        let read = transports(std::fs::read(folder.join(name)).unwrap());
        assert_eq!(read.len(), 1, "{name}");
        texts(&read[0])
    };
    let fail = facts("zeek_rdpeudp-handshake-fail.pcap");
    assert_eq!(
        fail,
        ["udp-syn tries=3 over_ms=6226 version=0x2 correlation=f8530360ca7f4241a67374e5201a0000"]
    );
    let success = facts("zeek_rdpeudp-handshake-success.pcap");
    let expected = [
        "udp-syn tries=1 over_ms=0 answered=yes version=0x3 correlation=7855d064fbaf43f0b6e8f8aadfad0000",
        "udp-syn-ack after_ms=0 version=0x2",
        "udp-client-hello version=0x303",
        "udp-server-hello version=0x303 suite=0xc030",
        "udp-secured",
        "tunnel-request",
        "tunnel-response",
    ];
    assert_eq!(success[..7], expected);
    let second = facts("zeek_rdpeudp2-handshake-success.pcap");
    let expected = [
        "udp-syn tries=1 over_ms=0 answered=yes version=0x101 correlation=a2e2c8186de34f1e8d0f9175e4cd0000",
        "udp-syn-ack after_ms=2 version=0x101",
        "udp-client-hello version=0x303",
    ];
    assert_eq!(second[..3], expected);
    // Retries of the same hello, and two more transports of which the capture has not the beginning.
    let third = facts("ndpi_rdp2.pcap");
    assert!(third[0].starts_with("udp-syn tries=1 over_ms=0 answered=yes version=0x101"), "{third:?}");
    assert!(third.contains(&"udp-client-hello version=0x302".to_owned()), "{third:?}");
    for path in children(&folder) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if !name.contains("rdpeudp") && name != "ndpi_rdp2.pcap" {
            assert!(transports(std::fs::read(&path).unwrap()).is_empty(), "{name}");
        }
    }
}
