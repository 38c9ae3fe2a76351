//! Connections through an RD Gateway in captures, in clear as an HTTP front end passes them on: both transports, what
//! goes wrong in them, and what only looks like them.

use std::fmt::Write as _;
use std::net::SocketAddr;

use rdpwhy::fact::{Recognised, What};
use rdpwhy::read::{Unwatched, inputs};
use rdpwhy::session::{Outcome, Session, join};
use rdpwhy::step::Step;
use rdpwhy::{Analysis, analyze_inventory};
use rdpwhy_lab::capture::{Conversation, Endpoint, Frame, LINKTYPE_ETHERNET, PcapWriter, Side};

use crate::cases;
use crate::steps::without_secrets;
use crate::support::{corpus, root, run, scratch};

const BASE_NS: i64 = 1_740_000_000_000_000_000;
const ID: &str = "RDG-Connection-Id: {76F4E842-1762-1D0F-FE0F-9AA49F461423}\r\n";
const UPGRADE: &str = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n";
const TOKEN: &str = "Authorization: Negotiate TlRMTVNTUAAB\r\n";
const DENIED: &[u8] = b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Negotiate TlRMTVNTUAAC\r\nContent-Length: 6\r\n\r\ndenied";
const SWITCHED: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n";
/// A connection request for TLS, and the refusal that only NLA will do.
const REQUEST: &[u8] = &[3, 0, 0, 19, 14, 0xe0, 0, 0, 0, 0, 0, 1, 0, 8, 0, 1, 0, 0, 0];
const REFUSED: &[u8] = &[3, 0, 0, 19, 14, 0xd0, 0, 0, 0x12, 0x34, 0, 3, 0, 8, 0, 5, 0, 0, 0];

fn end(text: &str) -> Endpoint {
    Endpoint::new(text.parse::<SocketAddr>().unwrap())
}

fn talk(port: u16, from_ns: i64) -> Conversation {
    let client = format!("198.51.100.7:{port}");
    let mut talk = Conversation::new(end(&client), end("203.0.113.30:8080"), BASE_NS + from_ns);
    talk.handshake();
    talk
}

fn ask(method: &str, fields: &str) -> Vec<u8> {
    format!("{method} /remoteDesktopGateway/ HTTP/1.1\r\nHost: gw.lab.test\r\n{ID}{fields}\r\n").into_bytes()
}

fn packet(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 8).unwrap();
    [&[kind, 0, 0, 0][..], &length.to_le_bytes(), body].concat()
}

fn data(bytes: &[u8]) -> Vec<u8> {
    packet(0xa, &[&u16::try_from(bytes.len()).unwrap().to_le_bytes()[..], bytes].concat())
}

fn wide(text: &str) -> Vec<u8> {
    let bytes: Vec<u8> = text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect();
    [&u16::try_from(bytes.len()).unwrap().to_le_bytes()[..], &bytes].concat()
}

/// Handshake, tunnel, authorization and channel: what the client and what the gateway sends, in turns.
pub(crate) fn tunnel(channel: u32) -> Vec<(Side, Vec<u8>)> {
    let target = [&[1, 0, 0x3d, 0x0d, 3, 0][..], &wide("rdsh01.lab.test")].concat();
    vec![
        (Side::Client, packet(1, &[1, 0, 0, 0, 0, 0])),
        (Side::Server, packet(2, &[0, 0, 0, 0, 1, 0, 0, 0, 0, 0])),
        (Side::Client, packet(4, &[0x3f, 0, 0, 0, 0, 0, 0, 0])),
        (Side::Server, packet(5, &[1, 0, 0, 0, 0, 0, 3, 0, 0, 0, 9, 0, 0, 0, 0x3f, 0, 0, 0])),
        (Side::Client, packet(6, &[&[0, 0][..], &wide("CLIENT01")].concat())),
        (Side::Server, packet(7, &[0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0x80, 0, 0, 0, 0])),
        (Side::Client, packet(8, &target)),
        (Side::Server, packet(9, &[&channel.to_le_bytes()[..], &[1, 0, 0, 0, 1, 0, 0, 0]].concat())),
    ]
}

fn frame(side: Side, payload: &[u8]) -> Vec<u8> {
    let bit = if side == Side::Client { 0x80 } else { 0 };
    let length = u16::try_from(payload.len()).unwrap();
    let size = match u8::try_from(length) {
        Ok(short) if short < 126 => vec![bit | short],
        _ => [&[bit | 126][..], &length.to_be_bytes()].concat(),
    };
    let mask = [7, 11, 13, 17];
    let masked: Vec<u8> = payload.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
    match side {
        Side::Client => [&[0x82][..], &size, &mask, &masked].concat(),
        Side::Server => [&[0x82][..], &size, payload].concat(),
    }
}

/// A WebSocket behind one round of 401, and the packets in it.
pub(crate) fn socket(port: u16, packets: &[(Side, Vec<u8>)]) -> Conversation {
    let mut talk = talk(port, 0);
    talk.client_sends(&ask("RDG_OUT_DATA", UPGRADE)).server_sends(DENIED);
    talk.client_sends(&ask("RDG_OUT_DATA", &format!("{UPGRADE}{TOKEN}"))).server_sends(SWITCHED);
    for (side, bytes) in packets {
        talk.sends(*side, &frame(*side, bytes));
    }
    talk
}

/// The client closes, and the frames come out.
pub(crate) fn ended(mut talk: Conversation) -> Vec<Frame> {
    talk.client_closes();
    talk.finish()
}

/// One request, one answer.
fn once(request: &[u8], answer: &[u8]) -> Analysis {
    let mut talk = talk(50200, 0);
    talk.client_sends(request).server_sends(answer);
    self::answer(ended(talk))
}

fn answer(mut frames: Vec<Frame>) -> Analysis {
    frames.sort_by_key(|frame| frame.time_ns);
    let mut pcap = PcapWriter::new(Vec::new(), LINKTYPE_ETHERNET).unwrap();
    for frame in frames {
        pcap.frame(&frame).unwrap();
    }
    let inventory = inputs::held(vec![("a.pcap".to_owned(), pcap.finish().unwrap())]);
    analyze_inventory(inventory, &Unwatched)
}

fn only(analysis: &Analysis) -> &Session {
    let [session] = analysis.story.sessions.as_slice() else { panic!("{:?}", analysis.story.sessions) };
    session
}

fn best(analysis: &Analysis) -> Option<&str> {
    analysis.verdicts.first()?.first().map(|verdict| verdict.rule.id)
}

#[test]
fn what_a_web_socket_carries_is_read_as_any_connection() {
    let mut packets = tunnel(0);
    packets.extend([(Side::Client, data(REQUEST)), (Side::Server, data(REFUSED))]);
    let analysis = answer(ended(socket(50200, &packets)));
    let session = only(&analysis);
    assert_eq!((session.outcome, session.broke_at), (Outcome::Refused, Some(Step::Negotiation)));
    assert_eq!((session.reached, best(&analysis)), (Some(Step::GatewayChannel), Some("hybrid-required")));
    assert_eq!(session.connections.first().map(|c| c.recognised), Some(Recognised::Gateway));
    assert_eq!(session.target(), Some(("rdsh01.lab.test", 3389)));
    assert!(session.aliases.contains(&"rdsh01.lab.test:3389".to_owned()), "{:?}", session.aliases);
    let let_in = session.find(|what| {
        matches!(what, What::GatewayAuthorized { redirection: Some(0x8000_0000), idle_minutes: Some(0), .. })
    });
    assert!(let_in.is_some());
}

#[test]
fn bytes_that_were_lost_cost_no_more_than_themselves() {
    let mut packets = tunnel(0);
    packets.insert(2, (Side::Client, packet(0xd, &[])));
    let mut talk = talk(50200, 0);
    talk.client_sends(&ask("RDG_OUT_DATA", &format!("{UPGRADE}{TOKEN}"))).server_sends(SWITCHED);
    for (index, (side, bytes)) in packets.iter().enumerate() {
        talk.sends(*side, &frame(*side, bytes));
        if index == 3 {
            talk.drop_last(*side);
        }
    }
    talk.client_sends(&frame(Side::Client, &data(REQUEST)))
        .server_sends(&frame(Side::Server, &data(REFUSED)));
    let analysis = answer(ended(talk));
    assert_eq!(only(&analysis).broke_at, Some(Step::Negotiation));
}

#[test]
fn a_refused_channel_is_the_resource_policy() {
    let analysis = answer(ended(socket(50200, &tunnel(0x8007_59da))));
    let session = only(&analysis);
    assert_eq!((session.outcome, session.broke_at), (Outcome::Refused, Some(Step::GatewayChannel)));
    assert_eq!(best(&analysis), Some("gw-rap-denied"));
}

/// Both connections of the HTTP transport; the gateway's first bytes are random, the client's come in chunks.
fn both_ways(packets: &[(Side, Vec<u8>)]) -> Vec<Frame> {
    let mut out = talk(50200, 0);
    out.client_sends(&ask("RDG_OUT_DATA", "")).server_sends(DENIED);
    out.client_sends(&ask("RDG_OUT_DATA", TOKEN));
    out.server_sends(b"HTTP/1.1 200 OK\r\nContent-Length: 2147483647\r\n\r\n");
    out.server_sends(&[0x5a, 0xa5, 1, 2, 3, 4, 5, 6, 7, 8]);
    let mut into = talk(50201, 50_000_000);
    into.client_sends(&ask("RDG_IN_DATA", "Content-Length: 0\r\n")).server_sends(DENIED);
    into.client_sends(&ask("RDG_IN_DATA", &format!("{TOKEN}Transfer-Encoding: chunked\r\n")));
    for (number, (side, bytes)) in (0..).zip(packets) {
        let at = BASE_NS + 200_000_000 + number * 10_000_000;
        let carrier = if *side == Side::Client { &mut into } else { &mut out };
        carrier.wait_ns(at - carrier.now_ns());
        match side {
            Side::Client => {
                let chunk = [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat();
                into.client_sends(&chunk);
            }
            Side::Server => _ = out.server_sends(bytes),
        }
    }
    into.wait_ns(out.now_ns() - into.now_ns());
    let mut frames = ended(into);
    frames.extend(ended(out));
    frames
}

#[test]
fn both_connections_of_the_http_transport_are_one() {
    let mut packets = tunnel(0);
    packets.extend([(Side::Client, data(REQUEST)), (Side::Server, data(REFUSED))]);
    let analysis = answer(both_ways(&packets));
    let session = only(&analysis);
    assert_eq!((session.outcome, session.broke_at), (Outcome::Refused, Some(Step::Negotiation)));
    assert_eq!(session.client().map(|client| client.port()), Some(50200));
    let names: Vec<&str> = session.facts.iter().map(|seen| seen.what().name()).collect();
    let place = |name: &str| names.iter().position(|n| *n == name);
    assert!(place("gateway-channel") < place("request") && place("request") < place("refused"), "{names:?}");
}

#[test]
fn one_connection_alone_says_what_it_has() {
    let answer = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";
    let analysis = once(&ask("RDG_OUT_DATA", TOKEN), answer);
    assert_eq!(
        (only(&analysis).broke_at, best(&analysis)),
        (Some(Step::GatewayTransport), Some("gw-unavailable"))
    );
}

#[test]
fn rpc_over_http_is_named() {
    let request = b"RPC_IN_DATA /rpc/rpcproxy.dll?rdsh01:3388 HTTP/1.1\r\nHost: gw.lab.test\r\nContent-Length: 1073741824\r\n\r\n";
    let analysis = once(request, b"HTTP/1.1 404 Not Found\r\n\r\n");
    let named = only(&analysis)
        .find(|what| matches!(what, What::GatewayRequest { transport, .. } if transport == "rpc"));
    assert!(named.is_some() && best(&analysis) == Some("gw-not-found"));
}

#[test]
fn other_http_is_no_gateway() {
    for first in [
        "GET / HTTP/1.1\r\n\r\n",
        "GET /remote HTTP/1.1\r\n\r\n",
        "RPC_IN_DATA",
        "RDG_OUT_DATA /\u{1}\r\n\r\n",
    ] {
        assert!(once(first.as_bytes(), SWITCHED).story.sessions.is_empty(), "{first:?}");
    }
}

/// Windows to a Windows gateway, whose secrets stand in the files: the tunnel opens, and its inner TLS is told by sizes.
#[test]
fn real_gateways_open_with_their_secrets() {
    let Some(folder) = corpus("public/pcap") else { return };
    let expected = [
        ("awakecoding_rdp-rdg-no-kdc-proxy-ntlm-downgrade-failure.pcapng", "refused", "gw-auth-failed"),
        ("awakecoding_rdp-rdg-same-creds-kerberos-password-success1.pcapng", "active", ""),
    ];
    for (name, outcome, cause) in expected {
        let output = run(&folder, &["--format", "json", "-q", name]);
        let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let [attempt] = answer["attempts"].as_array().unwrap().as_slice() else { panic!("{name}: {answer}") };
        assert_eq!(attempt["outcome"], outcome, "{name}");
        assert_eq!(attempt["cause"].as_str().unwrap_or(""), cause, "{name}");
    }
}

/// A record of TLS 1.2 with this content and length, of which only the header counts.
fn record(content: u8, length: usize) -> Vec<u8> {
    let size = u16::try_from(length).unwrap().to_be_bytes();
    [&[content, 3, 3][..], &size, &vec![0xa5; length]].concat()
}

/// A ClientHello or ServerHello of TLS 1.2 with ECDHE-RSA-AES256-GCM-SHA384; the client may offer HTTP/2.
fn hello(kind: u8, offers_h2: bool) -> Vec<u8> {
    let suites: &[u8] = if kind == 1 { &[0, 2, 0xc0, 0x30, 1, 0] } else { &[0xc0, 0x30, 0] };
    let alpn: &[u8] = if offers_h2 { &[0, 9, 0, 16, 0, 5, 0, 3, 2, b'h', b'2'] } else { &[] };
    let body = [&[3, 3][..], &[7; 32], &[0], suites, alpn].concat();
    let length = u8::try_from(body.len()).unwrap();
    let message = [&[kind, 0, 0, length][..], &body].concat();
    [&[22, 3, 3][..], &u16::try_from(message.len()).unwrap().to_be_bytes(), &message].concat()
}

/// HTTPS under AES-GCM: the handshake, an upgrade, and records that hold this many bytes each.
fn https(offers_h2: bool, sent: &[(Side, usize)]) -> Analysis {
    https_behind(&[], offers_h2, sent)
}

/// The same behind what was said to a proxy, in turns.
fn https_behind(proxy: &[&[u8]], offers_h2: bool, sent: &[(Side, usize)]) -> Analysis {
    let mut talk = Conversation::new(end("198.51.100.7:50210"), end("203.0.113.30:443"), BASE_NS);
    talk.handshake();
    for (turn, bytes) in proxy.iter().enumerate() {
        talk.sends(if turn % 2 == 0 { Side::Client } else { Side::Server }, bytes);
    }
    talk.client_sends(&hello(1, offers_h2));
    talk.server_sends(&[hello(2, false), record(22, 900)].concat());
    talk.client_sends(&[record(22, 102), record(20, 1), record(22, 40)].concat());
    talk.server_sends(&[record(20, 1), record(22, 40)].concat());
    talk.client_sends(&record(23, 700)).server_sends(&record(23, 221));
    for (side, bytes) in sent {
        talk.sends(*side, &record(23, bytes + 24));
    }
    answer(ended(talk))
}

/// Frames of the packets of a tunnel whose data has these sizes.
fn frames(inner: &[(Side, usize)]) -> Vec<(Side, usize)> {
    let mut packets = tunnel(0);
    packets.extend([(Side::Client, data(&[0; 47])), (Side::Server, data(REFUSED))]);
    packets.extend(inner.iter().map(|(side, bytes)| (*side, data(&vec![0; *bytes]))));
    packets.into_iter().map(|(side, packet)| (side, frame(side, &packet).len())).collect()
}

/// TLS 1.2 inside, and CredSSP that the server ends with an error of NTLM.
fn refused_logon() -> Vec<(Side, usize)> {
    let inside = |side, bytes: usize| (side, bytes + 29);
    vec![
        (Side::Client, 194),
        (Side::Server, 1_640),
        (Side::Client, 158),
        (Side::Server, 51),
        inside(Side::Client, 57),
        inside(Side::Server, 220),
        inside(Side::Client, 480),
        inside(Side::Server, 23),
    ]
}

#[test]
fn sizes_tell_a_tunnel_and_what_is_inside() {
    let analysis = https(false, &frames(&refused_logon()));
    let session = only(&analysis);
    assert_eq!(session.connections[0].recognised, Recognised::GatewaySizes);
    assert!(session.find(|what| matches!(what, What::GatewayTunnelSized { .. })).is_some());
    assert_eq!((session.outcome, session.broke_at), (Outcome::Refused, Some(Step::Credssp)));
}

/// What is nearly a tunnel is HTTPS: one size off, a client that speaks HTTP/2, a tunnel that the gateway refused, and one
/// that begins too late.
#[test]
fn nearly_a_tunnel_is_no_session() {
    let whole = frames(&refused_logon());
    for at in [0, 1, 2, 3, 5, 9] {
        let mut off = whole.clone();
        off[at].1 += 1;
        assert!(https(false, &off).story.sessions.is_empty(), "record {at}");
    }
    assert!(https(true, &whole).story.sessions.is_empty());
    for cut in [0, 4, 9] {
        assert!(https(false, &whole[..cut]).story.sessions.is_empty(), "cut at {cut}");
    }
    let late: Vec<(Side, usize)> = vec![(Side::Client, 300); 30].into_iter().chain(whole).collect();
    assert!(https(false, &late).story.sessions.is_empty());
}

/// The tunnel shows, and what is in it does not: nothing but a refused negotiation has the size of a confirmed one, and no
/// end of a handshake that is not seen says who failed.
#[test]
fn a_tunnel_whose_inside_does_not_show_is_unknown() {
    let whole = frames(&refused_logon());
    for (behind, reached) in
        [(10, Step::GatewayChannel), (11, Step::GatewayChannel), (13, Step::GatewayChannel), (14, Step::Tls)]
    {
        let analysis = https(false, &whole[..behind]);
        let session = only(&analysis);
        assert_eq!((session.outcome, session.broke_at), (Outcome::Unknown, None), "cut at {behind}");
        assert_eq!(session.reached, Some(reached), "cut at {behind}");
    }
}

/// The cookie of a portal has any length: then the handshake inside has to show as well.
#[test]
fn a_cookie_needs_the_handshake_inside() {
    let mut whole = frames(&refused_logon());
    whole[2].1 += 900;
    assert_eq!(only(&https(false, &whole)).broke_at, Some(Step::Credssp));
    assert!(https(false, &whole[..13]).story.sessions.is_empty());
}

/// What a client says to a proxy for a gateway, and the proxy's answers: CONNECT behind a challenge, SOCKS 5, and SOCKS 4a.
const TO_PROXY: [&[&[u8]]; 3] = [
    &[
        b"CONNECT gw.lab.test:443 HTTP/1.1\r\nHost: gw.lab.test:443\r\n\r\n",
        b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: NTLM\r\nContent-Length: 2\r\n\r\nno",
        b"CONNECT gw.lab.test:443 HTTP/1.1\r\nHost: gw.lab.test:443\r\nProxy-Authorization: NTLM TlRMTVNTUAAB\r\n\r\n",
        b"HTTP/1.1 200 Connection established\r\n\r\n",
    ],
    &[b"\x05\x01\x00", b"\x05\x00", b"\x05\x01\x00\x03\x0bgw.lab.test\x01\xbb", b"\x05\x00\x00\x01\0\0\0\0\0\0"],
    &[b"\x04\x01\x01\xbb\0\0\0\x01\0gw.lab.test\0", b"\0\x5a\0\0\0\0\0\0"],
];

#[test]
fn a_gateway_behind_a_proxy_is_read_as_without_one() {
    let mut packets = tunnel(0);
    packets.extend([(Side::Client, data(REQUEST)), (Side::Server, data(REFUSED))]);
    for proxy in TO_PROXY {
        let mut talk = talk(50200, 0);
        for (turn, bytes) in proxy.iter().enumerate() {
            talk.sends(if turn % 2 == 0 { Side::Client } else { Side::Server }, bytes);
        }
        talk.client_sends(&ask("RDG_OUT_DATA", UPGRADE)).server_sends(DENIED);
        talk.client_sends(&ask("RDG_OUT_DATA", &format!("{UPGRADE}{TOKEN}"))).server_sends(SWITCHED);
        for (side, bytes) in &packets {
            talk.sends(*side, &frame(*side, bytes));
        }
        let analysis = answer(ended(talk));
        let session = only(&analysis);
        let asked = session
            .find(|what| matches!(what, What::ProxyAsked { host, port: 443, .. } if host == "gw.lab.test"));
        assert!(asked.is_some(), "{:?}", session.facts);
        assert_eq!((session.outcome, session.broke_at), (Outcome::Refused, Some(Step::Negotiation)));
        assert_eq!((session.reached, best(&analysis)), (Some(Step::GatewayChannel), Some("hybrid-required")));
        assert_eq!(session.target(), Some(("rdsh01.lab.test", 3389)));
    }
}

/// What OpenSSL encrypted behind a proxy's consent opens as without a proxy (`lab/runner/rdplab/gateway_tls.py`); without
/// its secrets a tunnel that ends in the negotiation has nothing inside that shows.
#[test]
fn a_gateway_behind_a_proxy_opens_with_its_secrets() {
    let file = |name: &str| {
        (name.to_owned(), std::fs::read(root().join("tests/captures/gateway").join(name)).unwrap())
    };
    let both = vec![file("behind-proxy.pcap"), file("behind-proxy.keys")];
    let analysis = analyze_inventory(inputs::held(both), &Unwatched);
    let session = only(&analysis);
    let asked = session
        .find(|what| matches!(what, What::ProxyAsked { host, port: 443, .. } if host == "gw.lab.test"));
    assert!(asked.is_some(), "{:?}", session.facts);
    let let_in = session.find(|what| matches!(what, What::GatewayAuthorized { .. })).unwrap();
    assert_eq!(let_in.reading(), rdpwhy::fact::Reading::Opened);
    assert_eq!((session.outcome, session.broke_at), (Outcome::Refused, Some(Step::Negotiation)));
    assert_eq!((session.reached, best(&analysis)), (Some(Step::GatewayChannel), Some("hybrid-required")));
    assert_eq!(session.target(), Some(("rdsh01.lab.test", 3389)));
    let closed = analyze_inventory(inputs::held(vec![file("behind-proxy.pcap")]), &Unwatched);
    assert_eq!(only(&closed).outcome, Outcome::Unknown);
}

#[test]
fn sizes_tell_a_tunnel_behind_a_proxy() {
    for proxy in TO_PROXY {
        let analysis = https_behind(proxy, false, &frames(&refused_logon()));
        let session = only(&analysis);
        assert_eq!((session.outcome, session.broke_at), (Outcome::Refused, Some(Step::Credssp)));
        assert!(session.find(|what| matches!(what, What::ProxyAnswered { opened: true, .. })).is_some());
        assert!(https_behind(proxy, true, &frames(&refused_logon())).story.sessions.is_empty());
    }
}

/// Other HTTPS behind a proxy, a proxy that refuses the gateway, and one that never answers, are no sessions.
#[test]
fn other_connections_behind_a_proxy_are_no_gateway() {
    let chat: Vec<(Side, usize)> =
        (0..40).map(|turn| (if turn % 2 == 0 { Side::Client } else { Side::Server }, 40 + turn)).collect();
    for proxy in TO_PROXY {
        assert!(https_behind(proxy, false, &chat).story.sessions.is_empty());
    }
    let connect = TO_PROXY[0][0];
    assert!(once(connect, b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n").story.sessions.is_empty());
    assert!(once(connect, b"HTTP/1.1 200 OK\r\n\r\nSSH-2.0-lab\r\n").story.sessions.is_empty());
}

/// RDSTLS has one answer in front of MCS, CredSSP has more; a server that speaks first is neither.
#[test]
fn what_stands_before_mcs_is_credssp_only_with_its_rounds() {
    let inside = |side, bytes: usize| (side, bytes + 29);
    let mcs = [
        inside(Side::Client, 462),
        inside(Side::Server, 126),
        inside(Side::Client, 12),
        inside(Side::Client, 8),
        inside(Side::Server, 11),
    ];
    let nla = [inside(Side::Client, 57), inside(Side::Server, 220), inside(Side::Client, 480)];
    let nla_end = [inside(Side::Server, 95), inside(Side::Client, 200)];
    let rdstls = [inside(Side::Client, 640), inside(Side::Server, 10)];
    for (before, is_credssp) in [(&[&nla[..], &nla_end].concat()[..], true), (&rdstls, false), (&[], false)] {
        let inner = [&refused_logon()[..4], before, &mcs].concat();
        let analysis = https(false, &frames(&inner));
        let session = only(&analysis);
        assert!(session.find(|what| matches!(what, What::McsAttached {})).is_some());
        let credssp = session.find(|what| matches!(what, What::CredsspMessage { .. }));
        assert_eq!(credssp.is_some(), is_credssp, "{}", before.len());
    }
}

/// The same captures without their secrets: a tunnel is told by its sizes, a gateway that refused is not told at all.
#[test]
fn real_gateways_without_their_secrets() {
    let Some(folder) = corpus("public/pcap") else { return };
    let expected = [
        ("awakecoding_rdp-rdg-no-kdc-proxy-ntlm-downgrade-failure.pcapng", None),
        ("awakecoding_rdp-rdg-same-creds-kerberos-password-success1.pcapng", Some("active")),
    ];
    let held = scratch("gateway-sizes");
    for (name, outcome) in expected {
        let bytes = std::fs::read(folder.join(name)).unwrap();
        std::fs::write(held.join(name), without_secrets(&bytes)).unwrap();
        let output = run(&held, &["--format", "json", "-q", name]);
        let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let attempts = answer["attempts"].as_array().unwrap();
        let found: Vec<&str> = attempts.iter().filter_map(|one| one["outcome"].as_str()).collect();
        assert_eq!(found, outcome.into_iter().collect::<Vec<_>>(), "{name}");
    }
}

/// What a client does at port 443.
type Does<'d> = &'d dyn Fn(&mut Conversation);

/// A connection to port 443 of the gateway that works, and then whatever `more` does there.
fn beside_a_gateway(known: bool, more: Does<'_>) -> Analysis {
    let mut packets = tunnel(0);
    packets.extend([(Side::Client, data(REQUEST)), (Side::Server, data(REFUSED))]);
    let mut good = Conversation::new(end("198.51.100.7:50300"), end("203.0.113.30:443"), BASE_NS);
    good.handshake();
    good.client_sends(&ask("RDG_OUT_DATA", &format!("{UPGRADE}{TOKEN}"))).server_sends(SWITCHED);
    for (side, bytes) in &packets {
        good.sends(*side, &frame(*side, bytes));
    }
    let later = BASE_NS + 600_000_000_000;
    let mut bad = Conversation::new(end("198.51.100.8:50301"), end("203.0.113.30:443"), later);
    more(&mut bad);
    let mut frames = bad.finish();
    if known {
        frames.extend(ended(good));
    }
    answer(frames)
}

/// Who never answers, refuses, or shows a certificate that the client does not take, is known as a gateway by another
/// connection; without one, these are connections to port 443 like any other.
#[test]
fn a_known_gateway_that_is_not_reached_or_not_trusted() {
    let silent = |talk: &mut Conversation| {
        for _ in 0..3 {
            talk.syn().wait_ns(3_000_000_000);
        }
    };
    let refused = |talk: &mut Conversation| {
        talk.syn().server_resets();
    };
    let untrusted = |talk: &mut Conversation| {
        talk.handshake().client_sends(&hello(1, false));
        talk.server_sends(&[hello(2, false), record(22, 900)].concat());
        talk.client_sends(&[21, 3, 3, 0, 2, 2, 48]).client_closes();
    };
    let browsed = |talk: &mut Conversation| {
        talk.handshake().client_sends(&hello(1, false));
        talk.server_sends(&[hello(2, false), record(22, 900), record(20, 1), record(22, 40)].concat());
        talk.client_sends(&record(23, 300)).server_sends(&record(23, 900)).client_closes();
    };
    let checked = |talk: &mut Conversation| {
        talk.handshake().client_closes().server_closes();
    };
    let shaken = |talk: &mut Conversation| {
        talk.handshake().client_sends(&hello(1, false));
        talk.server_sends(&[hello(2, false), record(22, 900)].concat());
        talk.client_sends(&[record(22, 102), record(20, 1), record(22, 40)].concat());
        talk.server_sends(&[record(20, 1), record(22, 40)].concat()).client_closes();
    };
    let cases: [(Does<'_>, Option<&str>); 6] = [
        (&silent, Some("gw-unreachable")),
        (&refused, Some("gw-unreachable")),
        (&untrusted, Some("gw-cert")),
        (&browsed, None),
        (&checked, None),
        (&shaken, None),
    ];
    for (number, (more, cause)) in cases.into_iter().enumerate() {
        let analysis = beside_a_gateway(true, more);
        let found = analysis.story.sessions.iter().position(|session| session.is_outside_gateway());
        let best = found.and_then(|at| Some(analysis.verdicts.get(at)?.first()?.rule.id));
        assert_eq!(best, cause, "{number}: {:?}", analysis.story.sessions);
        let session = found.and_then(|at| analysis.story.sessions.get(at));
        assert_eq!(session.and_then(|session| session.broke_at), cause.map(|_| Step::GatewayTransport));
        assert!(beside_a_gateway(false, more).story.sessions.is_empty(), "{number}");
    }
}

/// What both ends of the connection inside say: the negotiation, the hellos, and a fatal alert of the host.
fn inside(random: u8) -> Vec<(Side, Vec<u8>)> {
    let confirmed: Vec<u8> = [&REFUSED[..11], &[2, 0, 8, 0, 1, 0, 0, 0]].concat();
    let mut asked = hello(1, false);
    asked[11..43].fill(random);
    vec![
        (Side::Client, REQUEST.to_vec()),
        (Side::Server, confirmed),
        (Side::Client, asked),
        (Side::Server, vec![21, 3, 3, 0, 2, 2, 40]),
    ]
}

/// A request with a correlation id (MS-RDPBCGR 2.2.1.1.2), and the refusal that only NLA will do.
fn refused_with(id: u8) -> Vec<(Side, Vec<u8>)> {
    let mut request = [REQUEST, &[6, 0, 36, 0], &[id; 16], &[0; 16]].concat();
    (request[3], request[4], request[12]) = (55, 50, 8);
    vec![(Side::Client, request), (Side::Server, REFUSED.to_vec())]
}

/// Both legs, each in a capture of its own; the clock of the one at the host is 90 s ahead.
fn both_legs(
    name: &str,
    in_tunnel: Vec<(Side, Vec<u8>)>,
    at_host: Vec<(Side, Vec<u8>)>,
) -> (serde_json::Value, Analysis) {
    let mut packets = tunnel(0);
    packets.extend(in_tunnel.into_iter().map(|(side, bytes)| (side, data(&bytes))));
    let at_client = ended(socket(50200, &packets));
    let from = BASE_NS + 90_000_000_000 + 300_000_000;
    let mut leg = Conversation::new(end("10.9.0.30:61000"), end("10.9.0.51:3389"), from);
    leg.handshake();
    for (side, bytes) in at_host {
        leg.sends(side, &bytes);
    }
    leg.server_closes().client_closes();
    let held = scratch(&format!("legs-{name}"));
    for (name, frames) in [("client.pcap", at_client), ("host.pcap", leg.finish())] {
        let mut pcap = PcapWriter::new(Vec::new(), LINKTYPE_ETHERNET).unwrap();
        for frame in frames {
            pcap.frame(&frame).unwrap();
        }
        std::fs::write(held.join(name), pcap.finish().unwrap()).unwrap();
    }
    let files = ["client.pcap", "host.pcap"];
    let output = run(&held, &[&["--format", "json", "-q"][..], &files].concat());
    let bytes = files.map(|name| (name.to_owned(), std::fs::read(held.join(name)).unwrap()));
    let analysis = analyze_inventory(inputs::held(bytes.to_vec()), &Unwatched);
    (serde_json::from_slice(&output.stdout).unwrap(), analysis)
}

#[test]
fn both_legs_of_a_gateway_are_one_session() {
    let (json, analysis) = both_legs("same", inside(9), inside(9));
    let session = only(&analysis);
    assert_eq!((session.connections.len(), session.witnesses().len()), (2, 2));
    assert_eq!((session.outcome, session.broke_at), (Outcome::Refused, Some(Step::Tls)));
    assert!(session.id.starts_with("198.51.100.7:50200-"), "{}", session.id);
    assert!(session.aliases.iter().any(|name| name.starts_with("10.9.0.30:61000-")), "{:?}", session.aliases);
    let offset =
        analysis.story.clocks.iter().find(|clock| clock.pairs == 1).and_then(|clock| clock.offset_ns);
    let off = offset.map(|ns| (ns - 90_000_000_000).abs());
    assert!(off.is_some_and(|off| off < 1_000_000_000), "{offset:?}");
    let legs = json["sessions"][0]["legs"].as_array().unwrap();
    let roles: Vec<&str> = legs.iter().filter_map(|leg| leg["role"].as_str()).collect();
    assert_eq!(roles, ["to_gateway", "gateway_to_host"]);
    assert_eq!(
        (&legs[0]["client"]["ip"], &legs[1]["client"]["ip"]),
        (&"198.51.100.7".into(), &"10.9.0.30".into())
    );
    assert_eq!((&legs[1]["server"]["ip"], &legs[1]["server"]["port"]), (&"10.9.0.51".into(), &3389.into()));
    assert_eq!(
        (legs[0]["packets"].as_array().unwrap().len(), legs[1]["packets"].as_array().unwrap().len()),
        (1, 1)
    );
    assert_ne!(legs[0]["seen_by"], legs[1]["seen_by"]);
    assert_eq!((&legs[0]["closed"]["by"], &legs[1]["closed"]["by"]), (&"client".into(), &"server".into()));
}

/// Another ClientHello is another connection; so is everything where the tunnel stays closed.
#[test]
fn legs_that_share_nothing_stay_apart() {
    for (name, in_tunnel, at_host) in
        [("other", inside(9), inside(8)), ("other-id", refused_with(9), refused_with(8))]
    {
        let (_, analysis) = both_legs(name, in_tunnel, at_host);
        assert_eq!(analysis.story.sessions.len(), 2, "{name}");
        assert!(analysis.story.sessions.iter().all(|session| session.connections.len() == 1), "{name}");
    }
    let (_, analysis) = both_legs("same-id", refused_with(9), refused_with(9));
    assert_eq!((only(&analysis).connections.len(), best(&analysis)), (2, Some("hybrid-required")));
}

/// A tunnel that stays closed, connections from the gateway to a host, and what the gateway's log says of both.
fn by_log(client: &str, resource: &str, hosts: &[&str], user: &str) -> Vec<Session> {
    let mut text = String::from(
        "connection 198.51.100.7:50200 > 203.0.113.30:443 recognised=gateway-sizes\n\
         +0.000 connected\n+0.300 gateway-tunnel-sized transport=websocket hidden=yes\n+2.000 closed by=client\n",
    );
    for (number, host) in hosts.iter().enumerate() {
        let port = 61_000 + number;
        writeln!(text, "connection 10.9.0.30:{port} > {host}:3389 witness=1\n+0.200 connected").unwrap();
        writeln!(text, "+0.210 request protocols=0x1 flags=0 cookie=alice").unwrap();
        writeln!(text, "+0.220 confirm protocol=0x1 flags=0 acceptable=yes").unwrap();
        writeln!(
            text,
            "+0.230 client-hello version=0x303 suites=3 sni=rdsh01.lab.test offered=c030,c02f,009d"
        )
        .unwrap();
        writeln!(text, "+0.240 alert by=server fatal=yes code=0x28\n+0.250 closed by=server").unwrap();
    }
    writeln!(text, "host gw01 activity=A1 client={client} user={user}").unwrap();
    let said = "says=\"the gateway is connected to the resource\"";
    writeln!(text, "+90.250 gateway event=302 {said} resource={resource} transport=HTTP").unwrap();
    let (facts, witnesses) = cases::facts(&text);
    join(facts, &witnesses).sessions
}

#[test]
fn the_log_of_a_gateway_joins_both_legs_where_one_of_each_can_be_meant() {
    let both =
        |sessions: &[Session]| sessions.iter().filter(|session| session.connections.len() == 2).count();
    for resource in ["10.9.0.51", "rdsh01.lab.test", "RDSH01"] {
        let sessions = by_log("198.51.100.7", resource, &["10.9.0.51"], "LAB\\alice");
        assert_eq!((sessions.len(), both(&sessions)), (1, 1), "{resource}");
        assert_eq!(
            (sessions[0].outcome, sessions[0].broke_at),
            (Outcome::Refused, Some(Step::Tls)),
            "{resource}"
        );
        assert_eq!(sessions[0].hosts.len(), 1, "{resource}");
    }
    let apart = [
        ("198.51.100.8", "10.9.0.51", &["10.9.0.51"][..], "LAB\\alice", "the log tells of another client"),
        ("198.51.100.7", "10.9.0.52", &["10.9.0.51"], "LAB\\alice", "of another host"),
        ("198.51.100.7", "rdsh02.lab.test", &["10.9.0.51"], "LAB\\alice", "of a host of another name"),
        ("198.51.100.7", "10.9.0.51", &["10.9.0.51"], "LAB\\bob", "of another user"),
        (
            "198.51.100.7",
            "10.9.0.51",
            &["10.9.0.51", "10.9.0.51"],
            "LAB\\alice",
            "two connections can be meant",
        ),
    ];
    for (client, resource, hosts, user, why) in apart {
        assert_eq!(both(&by_log(client, resource, hosts, user)), 0, "{why}");
    }
}
