//! The packets of one session in a file of their own: which ones, what is said of them, and that others read the file.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::process::Command;

use pcap_parser::traits::{PcapNGPacketBlock, PcapReaderIterator};
use pcap_parser::{Block, OptionCode, PcapBlockOwned, PcapError, PcapNGReader};
use rdpwhy::read::{Unwatched, inputs};
use rdpwhy::report::slice::{Kept, Unfound, find, slice};
use rdpwhy::{Analysis, analyze_inventory};
use rdpwhy_lab::capture::{
    ByteOrder, Conversation, Endpoint, Envelope, Frame, IcmpError, Interface, LINKTYPE_ETHERNET, PcapWriter,
    PcapngWriter, TimeUnit, Tunnel, UdpSyn, dns, fragmented, kerberos_error, kerberos_over_tcp,
    kerberos_request, udp_data, udp_frame,
};
use serde_json::Value;

use crate::support::{children, corpus, root, run, scratch};

const START_NS: i64 = 1_740_000_000_000_000_123;
const MS: i64 = 1_000_000;
const CLIENT: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 7);
const SERVER: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 20);
const KDC: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 10);
const NAMES: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 53);
const REQUEST: &[u8] = &[3, 0, 0, 19, 14, 0xe0, 0, 0, 0, 0, 0, 1, 0, 8, 0, 3, 0, 0, 0];
const REFUSED: &[u8] = &[3, 0, 0, 19, 14, 0xd0, 0, 0, 0x12, 0x34, 0, 3, 0, 8, 0, 5, 0, 0, 0];

fn talk(from: (Ipv4Addr, u16), to: (Ipv4Addr, u16), at_ms: i64) -> Conversation {
    Conversation::new(Endpoint::new(from.into()), Endpoint::new(to.into()), START_NS + at_ms * MS)
}

/// A connection that the server refuses.
fn refused(port: u16, at_ms: i64) -> Vec<Frame> {
    let mut talk = talk((CLIENT, port), (SERVER, 3389), at_ms);
    talk.handshake().client_sends(REQUEST);
    talk.wait_ns(20 * MS).server_sends(REFUSED).server_closes();
    talk.finish()
}

fn datagram(at_ms: i64, from: (Ipv4Addr, u16), to: (Ipv4Addr, u16), payload: &[u8]) -> Frame {
    let bytes = Envelope::new(from.0.into(), to.0.into()).udp(from.1, to.1, payload);
    Frame { time_ns: START_NS + at_ms * MS, bytes }
}

fn nanosecond_pcap(frames: &[Frame]) -> Vec<u8> {
    let mut pcapng = PcapngWriter::new(Vec::new(), ByteOrder::Little).unwrap();
    let nanoseconds = Interface::new(LINKTYPE_ETHERNET).with_time_unit(TimeUnit::Decimal(9));
    let interface = pcapng.interface(nanoseconds).unwrap();
    frames.iter().for_each(|frame| pcapng.frame(interface, frame).unwrap());
    pcapng.finish().unwrap()
}

fn analysed(files: Vec<(&str, Vec<u8>)>) -> Analysis {
    let files = files.into_iter().map(|(name, bytes)| (name.to_owned(), bytes)).collect();
    analyze_inventory(inputs::held(files), &Unwatched)
}

/// The slice of the session whose id begins so.
fn sliced(analysis: &Analysis, id: &str, kept: Kept) -> (Vec<Packet>, Vec<u8>) {
    let slice = slice(analysis, find(analysis, id).unwrap(), kept, &Unwatched).unwrap();
    assert!(slice.notes.is_empty(), "{:?}", slice.notes);
    let mut bytes = Vec::new();
    let written = slice.write(&Unwatched, &mut bytes).unwrap();
    let packets = read(&bytes);
    assert_eq!(written.packets, u64::try_from(packets.len()).unwrap());
    assert_eq!(written.packets, slice.packets());
    (packets, bytes)
}

const ALL: Kept = Kept { names: true, secrets: true };

/// A packet of a slice, as another reader has it.
#[derive(Debug)]
struct Packet {
    interface: u32,
    ticks: u64,
    length: u32,
    bytes: Vec<u8>,
    comments: Vec<String>,
}

impl Packet {
    /// The frame it comes from, as its comment says.
    fn from(&self) -> (String, usize) {
        let from = self.comments.iter().find_map(|comment| comment.strip_prefix("from ")).unwrap();
        let (input, frame) = from.split_once(", frame ").unwrap();
        (input.to_owned(), frame.split(',').next().unwrap().parse().unwrap())
    }
}

fn blocks(bytes: &[u8], mut take: impl FnMut(&Block<'_>)) {
    let mut reader = PcapNGReader::new(1 << 20, bytes).unwrap();
    loop {
        match reader.next() {
            Ok((length, block)) => {
                if let PcapBlockOwned::NG(block) = &block {
                    take(block);
                }
                reader.consume(length);
            }
            Err(PcapError::Incomplete(_)) => reader.refill().unwrap(),
            Err(PcapError::Eof) => return,
            Err(error) => panic!("{error:?}"),
        }
    }
}

fn read(bytes: &[u8]) -> Vec<Packet> {
    let mut packets = Vec::new();
    blocks(bytes, |block| {
        if let Block::EnhancedPacket(packet) = block {
            let comments = packet.options.iter().filter(|option| option.code == OptionCode::Comment);
            packets.push(Packet {
                interface: packet.if_id,
                ticks: (u64::from(packet.ts_high) << 32) | u64::from(packet.ts_low),
                length: packet.origlen,
                bytes: packet.packet_data().to_vec(),
                comments: comments.map(|option| option.as_str().unwrap().to_owned()).collect(),
            });
        }
    });
    packets
}

/// Everything that is not of the connection from port 50112, in between.
fn others() -> Vec<Frame> {
    let mut web = talk((CLIENT, 50_200), (SERVER, 8080), 0);
    web.handshake().client_sends(b"GET / HTTP/1.1\r\n\r\n").client_closes();
    let other_name = [
        datagram(1, (CLIENT, 40_001), (NAMES, 53), &dns(2, "other.test", 1, None, &[])),
        datagram(3, (CLIENT, 40_001), (NAMES, 53), &dns(2, "other.test", 1, Some(0), &[IpAddr::V4(KDC)])),
    ];
    [web.finish(), refused(50_113, 5_000), other_name.to_vec()].concat()
}

/// What belongs to it: itself, its name, the ticket it did not get, its UDP transport.
fn own() -> Vec<Frame> {
    let asked = dns(1, "rdsh01.lab.test", 1, None, &[]);
    let told = dns(1, "rdsh01.lab.test", 1, Some(0), &[IpAddr::V4(SERVER)]);
    let names = [
        datagram(-20, (CLIENT, 40_000), (NAMES, 53), &asked),
        datagram(-15, (NAMES, 53), (CLIENT, 40_000), &told),
    ];
    let mut kerberos = talk((CLIENT, 49_900), (KDC, 88), 2);
    kerberos.handshake().client_sends(&kerberos_over_tcp(&kerberos_request("TERMSRV/rdsh01", "alice", 0)));
    let error = kerberos_error(7, "TERMSRV/rdsh01", "20250219212000Z", None);
    kerberos.server_sends(&kerberos_over_tcp(&error)).client_closes();
    let end = |(address, port): (Ipv4Addr, u16)| std::net::SocketAddr::from((address, port));
    let (client, server) = (end((CLIENT, 51_000)), end((SERVER, 3389)));
    let syn = UdpSyn { version: Some(0x0001), ..UdpSyn::default() };
    let at = |ms: i64| START_NS + ms * MS;
    let udp = [
        udp_frame(at(6), client, server, &syn.payload()),
        udp_frame(at(7), server, client, &syn.answer(9, Some(1))),
        udp_frame(at(8), client, server, &udp_data(9, syn.initial.wrapping_add(1), &[1, 2, 3])),
    ];
    [refused(50_112, 0), names.to_vec(), kerberos.finish(), udp.to_vec()].concat()
}

fn in_time(mut frames: Vec<Frame>) -> Vec<Frame> {
    frames.sort_by_key(|frame| frame.time_ns);
    frames
}

#[test]
fn the_packets_of_one_session_and_no_others_byte_for_byte() {
    let frames = in_time([own(), others()].concat());
    let analysis = analysed(vec![("a.pcapng", nanosecond_pcap(&frames))]);
    let (packets, bytes) = sliced(&analysis, "198.51.100.7:50112", ALL);
    let expected = in_time(own());
    let port = |packet: &Packet| packet.bytes.get(34..38).map(<[u8]>::to_vec);
    assert_eq!(packets.len(), expected.len(), "{:?}", packets.iter().map(port).collect::<Vec<_>>());
    for (packet, frame) in packets.iter().zip(&expected) {
        assert_eq!((&packet.bytes, packet.ticks), (&frame.bytes, u64::try_from(frame.time_ns).unwrap()));
        let (input, number) = packet.from();
        assert_eq!((input.as_str(), &frames[number - 1].bytes), ("a.pcapng", &frame.bytes));
        assert_eq!(usize::try_from(packet.length).unwrap(), frame.bytes.len());
    }
    let broke: Vec<&Packet> =
        packets.iter().filter(|packet| packet.comments[0].starts_with("BROKE HERE: ")).collect();
    let [broke] = broke.as_slice() else { panic!("it broke once: {broke:?}") };
    assert!(broke.bytes.ends_with(REFUSED), "{:?}", broke.comments);
    assert!(broke.comments[0].contains("(hybrid-required, "), "{:?}", broke.comments);
    assert!(broke.comments[1].starts_with("negotiation: server refuses"), "{:?}", broke.comments);
    // The same answer comes out of the slice.
    let again = analysed(vec![("b.pcapng", bytes)]);
    assert_eq!(again.story.sessions.len(), 1);
    assert_eq!(judged(&again, "198.51.100.7:50112"), judged(&analysis, "198.51.100.7:50112"));
}

fn judged(analysis: &Analysis, id: &str) -> String {
    let index = find(analysis, id).unwrap();
    let (session, verdicts) = (&analysis.story.sessions[index], &analysis.verdicts[index]);
    let causes: Vec<&str> = verdicts.iter().map(|verdict| verdict.rule.id).collect();
    format!("{} {:?} {:?} {causes:?}", session.outcome.name(), session.broke_at, session.reached)
}

#[test]
fn ports_that_are_used_again_are_another_session() {
    let frames = [refused(50_112, 0), refused(50_112, 90_000)].concat();
    let mut second = frames.clone();
    // The second connection begins with another sequence number.
    for frame in second.iter_mut().skip(frames.len() / 2) {
        frame.bytes[38] ^= 0x40;
        frame.bytes[42] ^= 0x40;
    }
    let analysis = analysed(vec![("a.pcapng", nanosecond_pcap(&second))]);
    assert_eq!(analysis.story.sessions.len(), 2);
    let Err(Unfound::Several(ids)) = find(&analysis, "198.51.100.7:50112") else { panic!("there are two") };
    for (index, id) in ids.iter().enumerate() {
        let (packets, _) = sliced(&analysis, id, ALL);
        let numbers: Vec<usize> = packets.iter().map(|packet| packet.from().1).collect();
        let half = frames.len() / 2;
        assert_eq!(numbers, (1 + index * half..=(index + 1) * half).collect::<Vec<usize>>());
    }
}

#[test]
fn fragments_tunnels_and_icmp_errors_belong_to_it() {
    for reversed in [false, true] {
        let whole = refused(50_112, 0);
        let mut frames = Vec::new();
        for (index, frame) in whole.iter().enumerate() {
            let mut bytes = frame.bytes.clone();
            // Each packet of a sender has its own identification.
            bytes[18..20].copy_from_slice(&u16::try_from(index + 1).unwrap().to_be_bytes());
            let pieces = if frame.bytes.len() > 66 { fragmented(&bytes, 52, reversed) } else { vec![bytes] };
            frames.extend(pieces.into_iter().map(|bytes| Frame { time_ns: frame.time_ns, bytes }));
        }
        let about = whole[3].bytes[14..].to_vec();
        let router = Envelope::new(Ipv4Addr::new(192, 0, 2, 1).into(), CLIENT.into());
        let icmp = rdpwhy_lab::capture::icmp_error(&router, IcmpError::TooBig(1_400), &about);
        frames.push(Frame { time_ns: START_NS + 500 * MS, bytes: icmp });
        let own = frames.len();
        assert!(own > whole.len() + 2, "some are in fragments");
        let mut web = talk((CLIENT, 50_200), (SERVER, 8080), 1);
        web.handshake().client_sends(&[b'x'; 100]);
        let alien = web.finish().into_iter().flat_map(|frame| {
            let mut bytes = frame.bytes;
            bytes[18..20].copy_from_slice(&0x7777_u16.to_be_bytes());
            let pieces = if bytes.len() > 66 { fragmented(&bytes, 52, reversed) } else { vec![bytes] };
            pieces.into_iter().map(move |bytes| Frame { time_ns: frame.time_ns, bytes })
        });
        frames.extend(alien);
        let plain = analysed(vec![("a.pcapng", nanosecond_pcap(&in_time(frames.clone())))]);
        assert_eq!(sliced(&plain, "198.51.100.7:50112", ALL).0.len(), own, "reversed: {reversed}");
        let (from, to) = (Ipv4Addr::new(192, 0, 2, 7).into(), Ipv4Addr::new(192, 0, 2, 8).into());
        let wrapped = frames.iter().map(|frame| Frame {
            time_ns: frame.time_ns,
            bytes: Tunnel::Vxlan(4789).wrap(&frame.bytes, from, to),
        });
        let tunnelled = analysed(vec![("a.pcapng", nanosecond_pcap(&in_time(wrapped.collect())))]);
        assert_eq!(
            sliced(&tunnelled, "198.51.100.7:50112", ALL).0.len(),
            own,
            "in VXLAN, reversed: {reversed}"
        );
    }
}

#[test]
fn times_interfaces_names_and_comments_are_kept_in_every_byte_order() {
    for order in [ByteOrder::Little, ByteOrder::Big] {
        let mut pcapng = PcapngWriter::new(Vec::new(), order).unwrap();
        let other = pcapng.interface(Interface::new(LINKTYPE_ETHERNET)).unwrap();
        let mut binary = Interface::new(LINKTYPE_ETHERNET).with_time_unit(TimeUnit::Binary(20));
        binary.time_offset_s = Some(1_000);
        let used = pcapng.interface(binary).unwrap();
        let names: [(IpAddr, &str); 2] = [(SERVER.into(), "rdsh01.lab.test"), (KDC.into(), "dc01.lab.test")];
        pcapng.names(&names).unwrap();
        let mut web = talk((CLIENT, 50_200), (SERVER, 8080), 0);
        web.handshake();
        web.finish().iter().for_each(|frame| pcapng.frame(other, frame).unwrap());
        let frames = refused(50_112, 0);
        for (index, frame) in frames.iter().enumerate() {
            let comment = (index == 0).then_some("seen\u{1b}[31m by Ann");
            let cut = if index == 3 { &frame.bytes[..60] } else { &frame.bytes };
            let length = u32::try_from(frame.bytes.len()).unwrap();
            pcapng.packet(used, frame.time_ns, cut, length, comment).unwrap();
        }
        let analysis = analysed(vec![("a.pcapng", pcapng.finish().unwrap())]);
        let (packets, bytes) = sliced(&analysis, "198.51.100.7:50112", ALL);
        assert_eq!(packets.len(), frames.len());
        assert!(packets.iter().all(|packet| packet.interface == 0));
        assert!(
            packets[0].comments.contains(&"seen\\u{1b}[31m by Ann".to_owned()),
            "{:?}",
            packets[0].comments
        );
        assert_eq!((packets[3].bytes.len(), packets[3].length), (60, 73));
        let ticks = (i128::from(START_NS) - 1_000_000_000_000) * (1 << 20) / 1_000_000_000;
        assert_eq!(i128::from(packets[0].ticks), ticks);
        let mut held = String::new();
        blocks(&bytes, |block| match block {
            Block::InterfaceDescription(one) => {
                writeln!(held, "{:#x} {}", one.if_tsresol, one.if_tsoffset).unwrap();
            }
            Block::NameResolution(names) => {
                let text = |bytes: &[u8]| String::from_utf8_lossy(&bytes[4..]).into_owned();
                let names =
                    names.nr.iter().map(|name| name.record_value).filter(|value| value.len() > 4).map(text);
                writeln!(held, "{}", names.collect::<Vec<_>>().join(" ")).unwrap();
            }
            _ => {}
        });
        assert_eq!(held, "rdsh01.lab.test\0\n0x94 1000\n");
        let (_, without) = sliced(&analysis, "198.51.100.7:50112", Kept { names: false, secrets: true });
        assert!(!String::from_utf8_lossy(&without).contains("rdsh01"));
    }
}

#[test]
fn a_packet_without_time_says_so_and_old_formats_are_read() {
    let mut pcapng = PcapngWriter::new(Vec::new(), ByteOrder::Little).unwrap();
    pcapng.interface(Interface::new(LINKTYPE_ETHERNET)).unwrap();
    let frames = refused(50_112, 0);
    pcapng.frame(0, &frames[0]).unwrap();
    frames[1..].iter().for_each(|frame| pcapng.simple_packet(&frame.bytes).unwrap());
    let mut pcap = PcapWriter::new(Vec::new(), LINKTYPE_ETHERNET).unwrap();
    frames.iter().for_each(|frame| pcap.frame(frame).unwrap());
    let analysis = analysed(vec![("a.pcapng", pcapng.finish().unwrap())]);
    let (packets, _) = sliced(&analysis, "198.51.100.7:50112", ALL);
    assert_eq!(packets.len(), frames.len());
    assert!(packets[1..].iter().all(|packet| packet.ticks == packets[0].ticks));
    assert!(packets[1].comments.iter().any(|comment| comment.contains("which has no time")));
    let analysis = analysed(vec![("a.pcap", pcap.finish().unwrap())]);
    let (packets, _) = sliced(&analysis, "198.51.100.7:50112", ALL);
    let microseconds: Vec<i64> = packets.iter().map(|packet| i64::try_from(packet.ticks).unwrap()).collect();
    assert_eq!(microseconds, frames.iter().map(|frame| frame.time_ns / 1_000).collect::<Vec<_>>());
}

#[test]
fn packets_of_several_captures_are_merged_by_time() {
    let frames = refused(50_112, 0);
    let later: Vec<Frame> =
        frames.iter().map(|frame| Frame { time_ns: frame.time_ns + 300_000, ..frame.clone() }).collect();
    let analysis =
        analysed(vec![("a.pcapng", nanosecond_pcap(&frames)), ("b.pcapng", nanosecond_pcap(&later))]);
    let (packets, _) = sliced(&analysis, "198.51.100.7:50112", ALL);
    let ticks: Vec<u64> = packets.iter().map(|packet| packet.ticks).collect();
    assert!(ticks.is_sorted(), "{ticks:?}");
    let of = |name: &str| packets.iter().filter(|packet| packet.from().0 == name).count();
    assert_eq!((of("a.pcapng"), of("b.pcapng")), (frames.len(), frames.len()));
    assert_eq!((packets[0].interface, packets[1].interface), (0, 1));
}

#[test]
fn files_of_a_ring_buffer_are_one_capture() {
    let frames = refused(50_112, 0);
    let (first, second) = frames.split_at(4);
    let analysis = analysed(vec![
        ("r_00001_20261120100000.pcapng", nanosecond_pcap(first)),
        ("r_00002_20261120100500.pcapng", nanosecond_pcap(second)),
    ]);
    let (packets, bytes) = sliced(&analysis, "198.51.100.7:50112", ALL);
    assert_eq!(packets.iter().map(|packet| packet.from().1).take(6).collect::<Vec<_>>(), [1, 2, 3, 4, 1, 2]);
    let mut interfaces = 0;
    blocks(&bytes, |block| interfaces += usize::from(matches!(block, Block::InterfaceDescription(_))));
    assert_eq!(interfaces, 1);
}

/// What tshark says of a file, one line for each packet; says aloud when there is no tshark.
fn tshark(file: &Path, arguments: &[&str]) -> Option<Vec<String>> {
    let Ok(output) = Command::new("tshark").arg("-r").arg(file).args(arguments).output() else {
        aloud!("SKIPPED: no tshark");
        return None;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect())
}

#[test]
fn tshark_reads_it_and_finds_the_break() {
    let folder = scratch("slice-tshark");
    let mut ran = 0;
    for (id, broke) in [
        ("198.51.100.10:46030", "middlebox-rst-after-cr"),
        ("198.51.100.10:33416", "hybrid-required"),
        ("198.51.100.10:46190", "cert-expired"),
        ("198.51.100.10:53628", "bad-password"),
        ("198.51.100.10:49592", "broker-redirect-failed"),
    ] {
        let file = folder.join(format!("{broke}.pcapng"));
        let output = run(&root(), &["slice", id, "samples", "-o", file.to_str().unwrap()]);
        let told = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        let Some(packets) = tshark(&file, &["-T", "fields", "-e", "frame.number", "-e", "frame.comment"])
        else {
            return;
        };
        assert_eq!(packets.len(), read(&std::fs::read(&file).unwrap()).len());
        assert!(told.contains(&format!("packets   {} of ", packets.len())), "{told}");
        assert!(packets.iter().all(|line| line.contains("from samples/")), "{packets:?}");
        let at_break: Vec<&String> = packets.iter().filter(|line| line.contains("BROKE HERE")).collect();
        let [line] = at_break.as_slice() else { panic!("{broke}: {at_break:?}") };
        assert!(line.contains(broke), "{line}");
        let number = line.split('\t').next().unwrap();
        assert!(told.contains(&format!("broke at  frame {number}: wireshark -g {number} ")), "{told}");
        let malformed = tshark(&file, &["-Y", "_ws.malformed"]).unwrap();
        assert!(malformed.is_empty(), "{malformed:?}");
        ran += 1;
    }
    assert_eq!(ran, 5);
}

/// Our captures with secrets, which lie beside them.
fn with_secrets() -> Vec<std::path::PathBuf> {
    let captures = children(&root().join("tests/captures/tls"));
    captures.into_iter().filter(|path| path.extension().is_some_and(|end| end == "pcap")).collect()
}

#[test]
fn secrets_stay_out_unless_they_are_asked_for_and_then_open_the_session() {
    let folder = scratch("slice-secrets");
    let user: String = "labuser".bytes().map(|byte| format!("{byte:02x}00")).collect();
    let (mut opened, mut sliced) = (0, 0);
    for capture in with_secrets() {
        let keys = capture.with_extension("keys");
        // Secrets of another connection stay out.
        let alien = format!("CLIENT_RANDOM {} {}\n", "5a".repeat(32), "a5".repeat(48));
        let mixed = folder.join("mixed.keys");
        std::fs::write(&mixed, [alien.as_bytes(), &std::fs::read(&keys).unwrap()].concat()).unwrap();
        let answer = run(&folder, &["--format", "json", "-q", capture.to_str().unwrap()]);
        let answer: Value = serde_json::from_slice(&answer.stdout).unwrap();
        let id = answer["sessions"][0]["id"].as_str().unwrap();
        let file = folder.join("x.pcapng");
        let mut arguments = vec!["slice", id, capture.to_str().unwrap(), "--keylog", mixed.to_str().unwrap()];
        arguments.extend(["-o", file.to_str().unwrap()]);
        let output = run(&folder, &arguments);
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        let told = String::from_utf8(output.stdout).unwrap();
        assert!(
            told.contains("TLS secrets of this session are left out; --secrets keep puts them in"),
            "{told}"
        );
        assert_eq!(secrets(&std::fs::read(&file).unwrap()), "");
        arguments.extend(["--secrets", "keep"]);
        let told = String::from_utf8(run(&folder, &arguments).stdout).unwrap();
        assert!(told.contains("WARNING: "), "{told}");
        let kept = secrets(&std::fs::read(&file).unwrap());
        assert!(!kept.is_empty() && !kept.contains("5a5a5a5a"), "{kept}");
        sliced += 1;
        let again = run(&folder, &["--format", "json", "-q", "x.pcapng"]);
        let again: Value = serde_json::from_slice(&again.stdout).unwrap();
        assert_eq!(
            again["sessions"][0]["legs"][0]["tls"]["decrypted"],
            Value::Bool(true),
            "{}",
            capture.display()
        );
        let follow = ["-q", "-d", "tcp.port==3389,tls", "-z", "follow,tls,raw,0"];
        let Some(plain) = tshark(&file, &follow) else { continue };
        if plain.concat().replace(['\r', '\t'], "").contains(&user) {
            opened += 1;
        }
    }
    assert!(sliced >= 8, "{sliced} captures with secrets");
    assert!(opened == 0 || opened >= 8, "tshark opens {opened} slices");
}

fn secrets(bytes: &[u8]) -> String {
    let mut text = String::new();
    blocks(bytes, |block| {
        if let Block::DecryptionSecrets(secrets) = block {
            text.push_str(&String::from_utf8_lossy(secrets.data));
        }
    });
    text
}

#[test]
fn the_same_bytes_for_any_threads_and_order() {
    let folder = scratch("slice-same");
    let files = ["samples/nla-wrong-password/client.pcapng", "samples/nla-wrong-password/server.pcap"];
    let slice = |name: &str, arguments: &[&str]| {
        let file = folder.join(name);
        let to = ["-o", file.to_str().unwrap()];
        let output = run(&root(), &[&["slice", "198.51.100.10:53628"], arguments, &to].concat());
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        std::fs::read(file).unwrap()
    };
    let one = slice("a.pcapng", &[files[0], files[1], "--threads", "1"]);
    assert_eq!(one, slice("b.pcapng", &[files[1], files[0], "--threads", "4"]));
}

#[test]
fn what_cannot_be_sliced_is_said() {
    let folder = scratch("slice-refused");
    let said = |arguments: &[&str]| {
        let output = run(&folder, arguments);
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    for name in ["client.pcapng", "server.pcap", "RDSH01-RdpCoreTS.evtx"] {
        std::fs::copy(root().join("samples/nla-wrong-password").join(name), folder.join(name)).unwrap();
    }
    let (code, text) = said(&["slice", "198.51.100.11:1", ".", "-o", "x.pcapng", "-q"]);
    assert_eq!(code, Some(2));
    assert!(text.contains("no session 198.51.100.11:1; the nearest ids:\n  198.51.100.10:536"), "{text}");
    let (code, text) = said(&["slice", "198.51.100.10", ".", "-o", "x.pcapng", "-q"]);
    assert_eq!(code, Some(2));
    assert!(text.contains("several sessions begin with 198.51.100.10, give more of the id:\n  "), "{text}");
    let before = std::fs::read(folder.join("client.pcapng")).unwrap();
    let (code, text) = said(&["slice", "198.51.100.10:53628", ".", "-o", "./client.pcapng"]);
    assert_eq!(code, Some(3));
    assert!(text.contains("would overwrite the input"), "{text}");
    assert_eq!(std::fs::read(folder.join("client.pcapng")).unwrap(), before);
    let answer = run(&folder, &["--format", "json", "-q", "RDSH01-RdpCoreTS.evtx"]);
    let answer: Value = serde_json::from_slice(&answer.stdout).unwrap();
    let id = answer["sessions"][0]["id"].as_str().unwrap();
    let (code, text) = said(&["slice", id, "RDSH01-RdpCoreTS.evtx", "-o", "x.pcapng", "-q"]);
    assert_eq!(code, Some(2));
    assert!(
        text.contains("nothing was written; its records:\n  wevtutil qe \"RDSH01-RdpCoreTS.evtx\""),
        "{text}"
    );
    assert!(!folder.join("x.pcapng").exists());
    assert_eq!(children(&folder).len(), 3, "no half file is left");
}

/// A slice is one file, and rdpwhy takes a file for one capture point: a cause that only two points prove, or other
/// sessions of the capture, is not in it.
const NEEDS_MORE: &[&str] =
    &["middlebox-rst", "middlebox-rst-after-cr", "tls-inspection", "scanner", "lost-on-path"];

#[test]
fn a_slice_gives_the_answer_that_the_captures_gave() {
    let Some(lab) = corpus("lab") else { return };
    let folder = scratch("slice-again");
    let (mut same, mut sliced) = (0, 0);
    for case in children(&lab).iter().filter(|path| path.is_dir()) {
        let (file, case) = (folder.join("x.pcapng"), case.to_str().unwrap());
        let (file, before) = (file.to_str().unwrap(), answer(&folder, case));
        let Some(attempt) = before["attempts"].as_array().and_then(|all| all.last()) else { continue };
        let id = attempt["sessions"].as_array().unwrap().last().unwrap().as_str().unwrap();
        let output = run(&folder, &["slice", id, case, "-o", file, "--secrets", "keep", "-q"]);
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        let (before, after) = (session(&before, id), session(&answer(&folder, file), id));
        sliced += 1;
        if before == after {
            same += 1;
        } else {
            let cause = before.rsplit(' ').next().unwrap();
            assert!(NEEDS_MORE.contains(&cause), "{case}: {before}, and of the slice {after}");
        }
    }
    assert!(sliced > 0 && same * 10 >= sliced * 9, "{same} of {sliced}");
}

fn answer(folder: &Path, path: &str) -> Value {
    serde_json::from_slice(&run(folder, &["--format", "json", "-q", path]).stdout).unwrap()
}

/// Outcome, step and cause.
fn session(answer: &Value, id: &str) -> String {
    let sessions = answer["sessions"].as_array().unwrap();
    let has =
        |one: &&Value| one["id"] == id || one["aliases"].as_array().unwrap().iter().any(|name| name == id);
    let Some(one) = sessions.iter().find(has) else { return "none".to_owned() };
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let cause = one.pointer("/causes/0/id").map_or_else(|| "-".to_owned(), text);
    format!("{} {} {cause}", text(&one["outcome"]), text(&one["broke_at"]))
}
