//! The same connections in other wrappings give the same answer: tunnels, fragments, and every packet captured twice.

use std::net::IpAddr;

use rdpwhy::fact::What;
use rdpwhy::read::{Unwatched, inputs};
use rdpwhy::step::Step;
use rdpwhy::{Analysis, analyze_inventory};
use rdpwhy_lab::capture::{
    Conversation, Endpoint, Envelope, Frame, IcmpError, LINKTYPE_ETHERNET, PcapWriter, Side, Tunnel, as_hdlc,
    as_ppp, doubled, fragmented,
};

use crate::support::{children, corpus};

const START_NS: i64 = 1_740_000_000_000_000_000;
const MS: i64 = 1_000_000;
/// Connection request that offers TLS and CredSSP, with a cookie.
const REQUEST: &[u8] = b"\x03\0\0\x2a\x25\xe0\0\0\0\0\0Cookie: mstshash=user\r\n\x01\0\x08\0\x03\0\0\0";
/// SSL_NOT_ALLOWED_BY_SERVER.
const FAILURE: &[u8] = b"\x03\0\0\x13\x0e\xd0\0\0\x12\x34\0\x03\0\x08\0\x02\0\0\0";
/// The server chooses CredSSP.
const CONFIRM: &[u8] = b"\x03\0\0\x13\x0e\xd0\0\0\x12\x34\0\x02\0\x08\0\x02\0\0\0";

fn end(text: &str) -> Endpoint {
    Endpoint::new(text.parse().unwrap())
}

/// A name, and the frames of a connection that ends in a way that copies could change.
fn conversations() -> Vec<(&'static str, Vec<Frame>)> {
    let talk = |client: &str, server: &str| Conversation::new(end(client), end(server), START_NS);
    let v4 = || talk("198.51.100.7:50112", "203.0.113.20:3389");
    let v6 = || talk("[2001:db8::7]:50112", "[2001:db8::20]:3389");
    let mut all = Vec::new();
    let mut add = |name, talk: Conversation| all.push((name, talk.finish()));
    for (name, mut talk) in [("refused negotiation", v4()), ("refused negotiation over IPv6", v6())] {
        talk.handshake().client_sends(REQUEST).server_sends(FAILURE).server_closes().client_closes();
        add(name, talk);
    }
    let mut refused = v4();
    refused.syn().server_resets();
    add("closed port", refused);
    let mut silent = v4();
    silent.syn().wait_ns(1_000 * MS).syn().wait_ns(2_000 * MS).syn().wait_ns(4_000 * MS).syn();
    add("nobody answers", silent);
    let mut forbidden = v4();
    let router: IpAddr = "203.0.113.1".parse().unwrap();
    for _ in 0..2 {
        forbidden.syn().icmp(Side::Client, router, IcmpError::AdministrativelyProhibited).wait_ns(1_000 * MS);
    }
    add("forbidden by a router", forbidden);
    let mut black_hole = v4();
    black_hole.handshake().client_sends(REQUEST).server_sends(CONFIRM).acks(false).client_sends(&[0x16; 900]);
    for wait in [300, 600, 1_200, 2_400] {
        black_hole.wait_ns(wait * MS).retransmits(Side::Client);
    }
    black_hole.wait_ns(5_000 * MS).client_resets();
    add("never acknowledged", black_hole);
    let mut injected = v4();
    injected.handshake().client_sends(REQUEST).forged_reset(Side::Server, 61);
    add("a reset of another distance", injected);
    all
}

fn analysed(link_type: u16, frames: &[Frame]) -> Analysis {
    let mut pcap = PcapWriter::new(Vec::new(), link_type).unwrap();
    frames.iter().for_each(|frame| pcap.frame(frame).unwrap());
    analyze_inventory(inputs::held(vec![("a.pcap".to_owned(), pcap.finish().unwrap())]), &Unwatched)
}

/// Sessions and attempts with everything that was seen, without frames and times; `tunnelled` facts by themselves.
fn told(analysis: &Analysis) -> (Vec<String>, Vec<String>) {
    let (mut told, mut tunnels) = (Vec::new(), Vec::new());
    for (session, verdicts) in analysis.story.sessions.iter().zip(&analysis.verdicts) {
        told.push(format!("{} {:?} {:?}", session.id, session.outcome, session.broke_at));
        let facts = session.facts.iter().map(|seen| match seen.what() {
            // Copies of other packets are the end of the capture, too.
            What::CaptureEnds { .. } => "capture-ends".to_owned(),
            what => what.text(),
        });
        let (outer, facts): (Vec<String>, Vec<String>) =
            facts.partition(|text| text.starts_with("tunnelled"));
        tunnels.extend(outer);
        told.extend(facts);
        told.extend(
            verdicts.iter().map(|verdict| format!("{} {}", verdict.rule.id, verdict.weighing.percent)),
        );
    }
    told.extend(analysis.story.attempts.iter().map(|attempt| format!("{:?}", attempt.outcome)));
    (told, tunnels)
}

fn notes(analysis: &Analysis) -> Vec<String> {
    analysis.notes.iter().map(|note| note.text.clone()).collect()
}

#[test]
fn a_connection_in_a_tunnel_is_the_same_connection() {
    let gre = |checksum, key, sequence| Tunnel::Gre { checksum, key, sequence };
    let tunnels = [
        (Tunnel::Tags(vec![(0x88a8, 5), (0x8100, 7)]), None),
        (Tunnel::Tags(vec![(0x9100, 5), (0x9100, 6), (0x88a8, 7), (0x8100, 8), (0x9200, 9)]), None),
        (Tunnel::Mpls(1), None),
        (Tunnel::Mpls(3), None),
        (Tunnel::MplsEthernet, None),
        (Tunnel::Pppoe, None),
        (gre(false, None, None), Some("GRE")),
        (gre(true, Some(1), Some(2)), Some("GRE")),
        (Tunnel::GreEthernet, Some("GRE")),
        (Tunnel::Pptp, Some("GRE")),
        (Tunnel::Erspan(1), Some("ERSPAN")),
        (Tunnel::Erspan(2), Some("ERSPAN")),
        (Tunnel::Erspan(3), Some("ERSPAN")),
        (Tunnel::Vxlan(4789), Some("VXLAN")),
        (Tunnel::Vxlan(8472), Some("VXLAN")),
        (Tunnel::Geneve, Some("Geneve")),
        (Tunnel::IpInIp, Some("IP-in-IP")),
    ];
    let ends: [(IpAddr, IpAddr); 2] = [
        ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap()),
        ("2001:db8:1::1".parse().unwrap(), "2001:db8:1::2".parse().unwrap()),
    ];
    for (name, frames) in conversations() {
        let plain = told(&analysed(LINKTYPE_ETHERNET, &frames));
        assert!(!plain.0.is_empty() && plain.1.is_empty(), "{name}");
        for ((tunnel, kind), (from, to)) in
            tunnels.iter().flat_map(|one| ends.iter().map(move |ends| (one, *ends)))
        {
            let wrap = |frame: &Frame| Frame { bytes: tunnel.wrap(&frame.bytes, from, to), ..frame.clone() };
            let wrapped: Vec<Frame> = frames.iter().map(wrap).collect();
            let analysis = analysed(LINKTYPE_ETHERNET, &wrapped);
            let (facts, outer) = told(&analysis);
            assert_eq!(facts, plain.0, "{name} in {tunnel:?}");
            let wanted = kind.map(|kind| format!("tunnelled kind={kind} from={from} to={to}"));
            assert_eq!(outer, Vec::from_iter(wanted), "{name} in {tunnel:?}");
            assert_eq!(notes(&analysis), [""; 0], "{name} in {tunnel:?}");
        }
        for link_type in [9, 50] {
            let bytes = if link_type == 9 { as_ppp } else { as_hdlc };
            let line = |frame: &Frame| Frame { bytes: bytes(&frame.bytes), ..frame.clone() };
            let lines: Vec<Frame> = frames.iter().map(line).collect();
            assert_eq!(told(&analysed(link_type, &lines)), plain, "{name} over link type {link_type}");
        }
    }
}

/// PPTP acknowledges with GRE packets that carry nothing.
#[test]
fn a_tunnel_without_content_is_no_damage() {
    let envelope = Envelope::new("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
    let bare = [0x20, 0x81, 0x88, 0x0b, 0, 0, 0, 3, 0, 0, 0, 8];
    let frame = Frame { time_ns: START_NS, bytes: envelope.packet(47, &bare) };
    assert_eq!(notes(&analysed(LINKTYPE_ETHERNET, &[frame])), [""; 0]);
}

#[test]
fn tunnels_in_tunnels_are_read_up_to_a_depth() {
    let (_, frames) = conversations().swap_remove(0);
    let plain = told(&analysed(LINKTYPE_ETHERNET, &frames)).0;
    let wrapped = |times: u8| -> Vec<Frame> {
        let wrap = |bytes: Vec<u8>, number: u8| {
            let end = |last: u8| IpAddr::from([192, 0, number, last]);
            Tunnel::Vxlan(4789).wrap(&bytes, end(1), end(2))
        };
        let all =
            |frame: &Frame| Frame { bytes: (0..times).fold(frame.bytes.clone(), wrap), ..frame.clone() };
        frames.iter().map(all).collect()
    };
    let (facts, outer) = told(&analysed(LINKTYPE_ETHERNET, &wrapped(8)));
    assert_eq!((facts, outer), (plain, vec!["tunnelled kind=VXLAN from=192.0.7.1 to=192.0.7.2".to_owned()]));
    let analysis = analysed(LINKTYPE_ETHERNET, &wrapped(9));
    assert_eq!(analysis.story.sessions.len(), 0);
    assert!(
        notes(&analysis).iter().any(|note| note.contains("lie in too many tunnels")),
        "{:?}",
        notes(&analysis)
    );
}

#[test]
fn fragments_are_put_together() {
    let ends = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
    for (name, frames) in conversations().into_iter().filter(|(name, _)| !name.contains("router")) {
        let plain = told(&analysed(LINKTYPE_ETHERNET, &frames)).0;
        for (reversed, tunnel) in [(false, None), (true, None), (false, Some(Tunnel::Vxlan(4789)))] {
            let pieces = |(number, frame): (u16, &Frame)| {
                let wrap = |tunnel: &Tunnel| tunnel.wrap(&frame.bytes, ends.0, ends.1);
                let mut bytes = tunnel.as_ref().map_or(frame.bytes.clone(), wrap);
                if bytes[12] == 8 {
                    // Each packet has an identification of its own.
                    bytes[18..20].copy_from_slice(&number.to_be_bytes());
                }
                let time_ns = frame.time_ns;
                fragmented(&bytes, 48, reversed).into_iter().map(move |bytes| Frame { bytes, time_ns })
            };
            let cut: Vec<Frame> = (1..).zip(&frames).flat_map(pieces).collect();
            assert!(cut.len() > frames.len());
            let analysis = analysed(LINKTYPE_ETHERNET, &cut);
            assert_eq!(told(&analysis).0, plain, "{name}, reversed {reversed}, in {tunnel:?}");
            assert_eq!(notes(&analysis), [""; 0], "{name}, reversed {reversed}");
            let missing = &cut[..cut.len() - 1];
            let lost = notes(&analysed(LINKTYPE_ETHERNET, missing));
            let told = lost.iter().any(|note| note.contains(" not put together"));
            assert!(told || fragmented(&frames[frames.len() - 1].bytes, 48, false).len() == 1, "{lost:?}");
        }
    }
}

#[test]
fn a_packet_captured_twice_counts_once() {
    for (name, frames) in conversations() {
        let plain = told(&analysed(LINKTYPE_ETHERNET, &frames));
        for (delay_ns, hops, vlan) in
            [(0, 0, None), (20_000, 1, None), (900_000, 1, Some(7)), (2_500_000, 0, None)]
        {
            let analysis = analysed(LINKTYPE_ETHERNET, &doubled(&frames, delay_ns, hops, vlan));
            assert_eq!(
                told(&analysis),
                plain,
                "{name}, {delay_ns} ns later, {hops} hops further, tag {vlan:?}"
            );
            let said = notes(&analysis);
            assert!(said.iter().any(|note| note.contains("in the file more than once")), "{name}: {said:?}");
        }
    }
}

#[test]
fn a_datagram_to_a_port_of_a_tunnel_may_be_anything() {
    let envelope = Envelope::new("198.51.100.7".parse().unwrap(), "203.0.113.20".parse().unwrap());
    for payload in [&b"\x08\0\0\0\0\0\x2a\0no frame at all, only text"[..], b"hello", &[0; 60]] {
        let frame = Frame { time_ns: START_NS, bytes: envelope.udp(1_024, 4_789, payload) };
        let analysis = analysed(LINKTYPE_ETHERNET, &[frame]);
        assert_eq!(notes(&analysis), [""; 0]);
    }
}

/// What both sides say in turn, the client first, on a connection to this port.
fn dialogue(port: u16, turns: &[&[u8]], reset: bool) -> Analysis {
    let server = end(&format!("203.0.113.80:{port}"));
    let mut talk = Conversation::new(end("198.51.100.7:50112"), server, START_NS);
    talk.handshake();
    for (number, bytes) in turns.iter().enumerate() {
        talk.sends(if number % 2 == 0 { Side::Client } else { Side::Server }, bytes);
    }
    if reset {
        talk.server_resets()
    } else {
        talk.server_closes().client_closes()
    };
    analysed(LINKTYPE_ETHERNET, &talk.finish())
}

const CONNECT: &[u8] = b"CONNECT host.example:3389 HTTP/1.1\r\nHost: host.example:3389\r\n\r\n";
const ESTABLISHED: &[u8] = b"HTTP/1.1 200 Connection established\r\n\r\n";
const CHALLENGE: &[u8] = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 4\r\n\r\nbody";
const SOCKS_METHODS: &[u8] = b"\x05\x02\0\x02";
const SOCKS_PASSWORD: &[u8] = b"\x01\x02me\x06secret";
const SOCKS_REQUEST: &[u8] = b"\x05\x01\0\x03\x0chost.example\x0d\x3d";
const SOCKS_DONE: &[u8] = b"\x05\0\0\x01\0\0\0\0\0\0";

/// The facts of the only session.
fn facts(analysis: &Analysis) -> Vec<String> {
    assert_eq!(analysis.story.sessions.len(), 1);
    analysis.story.sessions[0].facts.iter().map(|seen| seen.what().text()).collect()
}

/// Outcome, step and best cause of the only attempt.
fn verdict(analysis: &Analysis) -> String {
    assert_eq!(analysis.story.attempts.len(), 1);
    let session = &analysis.story.sessions[0];
    let cause = analysis.verdicts[0].first().map_or("-", |verdict| verdict.rule.id);
    let step = |step: Option<Step>| step.map_or("-", Step::name);
    format!(
        "{} at {} by {cause}, reached {}",
        session.outcome.name(),
        step(session.broke_at),
        step(session.reached)
    )
}

#[test]
fn rdp_behind_a_proxy_is_rdp() {
    let behind = "refused at negotiation by ssl-not-allowed, reached tcp";
    let opened = |protocol: &str, code: u32, says: &str| {
        format!("proxy-answered protocol={protocol} code={code} says={says} opened=yes")
    };
    let http = dialogue(8080, &[CONNECT, ESTABLISHED, REQUEST, FAILURE], false);
    assert_eq!(verdict(&http), behind);
    let told = facts(&http);
    let asked = "proxy-asked protocol=HTTP host=host.example port=3389".to_owned();
    let wanted = [asked, opened("HTTP", 200, "\"Connection established\""), "connected".to_owned()];
    assert_eq!(told[2..5], wanted);
    assert_eq!(told[5], "request protocols=0x3 flags=0 cookie=user");
    let frames = http.story.sessions[0].facts.iter().map(|seen| seen.place().spot.to_string());
    assert_eq!(frames.collect::<Vec<_>>()[2..7], ["frame 4", "frame 6", "frame 6", "frame 8", "frame 10"]);

    let challenged = dialogue(8080, &[CONNECT, CHALLENGE, CONNECT, ESTABLISHED, REQUEST, FAILURE], false);
    assert_eq!(verdict(&challenged), behind);
    assert!(facts(&challenged)[3].ends_with("authentication=yes retried=yes"), "{:?}", facts(&challenged));

    let turns =
        [SOCKS_METHODS, b"\x05\x02", SOCKS_PASSWORD, b"\x01\0", SOCKS_REQUEST, SOCKS_DONE, REQUEST, FAILURE];
    let socks = dialogue(1080, &turns, false);
    assert_eq!(verdict(&socks), behind);
    let told = facts(&socks);
    assert_eq!(told[2], "proxy-asked protocol=SOCKS5 host=host.example port=3389 user=me");
    assert_eq!(told[3], opened("SOCKS5", 0, "succeeded"));
    assert!(told.iter().all(|fact| !fact.contains("secret")), "a password is no fact");

    let other_port = b"\x04\x01\x0d\x3e\xc6\x33\x64\x14\0";
    let socks4 = dialogue(1080, &[other_port, b"\0\x5a\0\0\0\0\0\0", REQUEST, FAILURE], false);
    assert_eq!(verdict(&socks4), behind, "RDP on another port is told by its bytes");
}

#[test]
fn a_load_balancer_names_the_client() {
    let second = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc6\x33\x64\x4d\xcb\0\x71\x14\xc3\xc0\x0d\x3d";
    for (port, header, version) in [
        (3389, b"PROXY TCP4 198.51.100.77 203.0.113.20 50112 3389\r\n".as_slice(), 1),
        (3389, second, 2),
        (4000, second, 2),
    ] {
        let analysis = dialogue(port, &[&[header, REQUEST].concat(), FAILURE], false);
        assert_eq!(verdict(&analysis), "refused at negotiation by ssl-not-allowed, reached tcp");
        let wanted = format!("proxied-for version={version} client=198.51.100.77 port=50112");
        assert!(facts(&analysis).contains(&wanted), "{:?}", facts(&analysis));
        let json = rdpwhy::report::json::document(&analysis, &[]).unwrap();
        let answer: serde_json::Value = serde_json::from_str(&json).unwrap();
        let session = &answer["sessions"][0];
        for client in [&session["client"], &answer["attempts"][0]["client"]] {
            assert_eq!((&client["ip"], &client["port"]), (&"198.51.100.77".into(), &50112.into()));
        }
        assert_eq!(session["legs"][0]["client"]["ip"], "198.51.100.7", "the balancer's own connection");
        let says = session["timeline"].to_string();
        assert!(says.contains("forwarded for 198.51.100.77 port 50112"), "{says}");
    }
}

#[test]
fn a_proxy_that_refuses_the_rdp_port_is_the_failure() {
    let refused = |port: u16, turns: &[&[u8]]| verdict(&dialogue(port, turns, false));
    let at_tcp = |cause: &str| format!("refused at tcp by {cause}, reached -");
    let http = |status: &str| format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\nno");
    assert_eq!(refused(8080, &[CONNECT, http("403 Forbidden").as_bytes()]), at_tcp("proxy-blocked"));
    assert_eq!(refused(8080, &[CONNECT, CHALLENGE]), at_tcp("proxy-blocked"));
    assert_eq!(refused(8080, &[CONNECT, CHALLENGE, CONNECT, CHALLENGE]), at_tcp("proxy-blocked"));
    let timeout = http("504 Gateway Timeout");
    assert_eq!(refused(8080, &[CONNECT, timeout.as_bytes()]), at_tcp("proxy-target-unreachable"));
    let socks = |code: u8| {
        let answer = [5, code, 0, 1, 0, 0, 0, 0, 0, 0];
        refused(1080, &[b"\x05\x01\0", b"\x05\0", SOCKS_REQUEST, &answer])
    };
    assert_eq!(socks(2), at_tcp("proxy-blocked"));
    assert_eq!(socks(4), at_tcp("proxy-target-unreachable"));
    assert_eq!(socks(5), at_tcp("tcp-refused"));
    let silent = dialogue(8080, &[CONNECT], true);
    assert!(verdict(&silent).starts_with("broke at tcp by "), "{}", verdict(&silent));
}

#[test]
fn a_proxy_asked_for_something_else_is_no_rdp() {
    let web = b"CONNECT host.example:443 HTTP/1.1\r\n\r\n".as_slice();
    let hello = b"\x16\x03\x01\0\x04\x01\0\0\0".as_slice();
    let ssh = b"\x05\x01\0\x01\xc6\x33\x64\x14\0\x16".as_slice();
    let dialogues: [&[&[u8]]; 6] = [
        &[web, ESTABLISHED, hello, hello],
        &[web, b"HTTP/1.1 403 Forbidden\r\n\r\n"],
        &[web, CHALLENGE],
        &[b"\x05\x01\0", b"\x05\0", ssh, SOCKS_DONE, b"SSH-2.0-x\r\n", b"SSH-2.0-y\r\n"],
        &[b"PROXY TCP4 198.51.100.77 203.0.113.20 50112 25\r\n", b"220 mail.example\r\n"],
        &[b"CONNECTED\r\n", b"hello"],
    ];
    for turns in dialogues {
        let analysis = dialogue(8080, turns, false);
        assert_eq!(analysis.story.sessions.len(), 0, "{turns:?}");
    }
}

/// Real captures with every packet written twice, the copy 150 µs later, say what they say by themselves.
#[test]
fn real_captures_with_every_packet_twice_say_the_same() {
    let Some(lab) = corpus("lab") else { return };
    let mut compared = 0;
    for case in children(&lab).into_iter().filter(|case| case.join("server.pcap").is_file()) {
        let bytes = std::fs::read(case.join("server.pcap")).unwrap();
        let Some((header, twice)) = twice(&bytes) else { continue };
        let analyse = |bytes: Vec<u8>| {
            told(&analyze_inventory(inputs::held(vec![("a.pcap".to_owned(), bytes)]), &Unwatched))
        };
        let (once, twice) = (analyse(bytes.clone()), analyse([header, twice].concat()));
        assert_eq!(twice, once, "{}", case.display());
        compared += 1;
    }
    assert!(compared >= 40, "{compared} captures compared");
}

/// The file header and all packets doubled, when this is a little-endian pcap file in microseconds.
fn twice(bytes: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let number = |at: usize| Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
    let unit = match number(0)? {
        0xa1b2_c3d4 => 1,
        0xa1b2_3c4d => 1_000,
        _ => return None,
    };
    let mut packets = Vec::new();
    let mut at = 24;
    while let Some(captured) = number(at + 8) {
        let end = at + 16 + usize::try_from(captured).unwrap();
        let record = bytes.get(at..end)?.to_vec();
        let time = u64::from(number(at)?) * 1_000_000 * unit + u64::from(number(at + 4)?);
        let later = time + 150 * unit;
        let mut copy = record.clone();
        let (seconds, fraction) = (later / (1_000_000 * unit), later % (1_000_000 * unit));
        copy[0..4].copy_from_slice(&u32::try_from(seconds).unwrap().to_le_bytes());
        copy[4..8].copy_from_slice(&u32::try_from(fraction).unwrap().to_le_bytes());
        packets.extend([(time, record), (later, copy)]);
        at = end;
    }
    packets.sort_by_key(|(time, _)| *time);
    Some((bytes[..24].to_vec(), packets.into_iter().flat_map(|(_, bytes)| bytes).collect()))
}
