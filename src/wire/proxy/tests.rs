//! Preambles as the specifications write them, and what must not be taken for one.

use super::*;

/// Destination, codes of the answers, lengths of both directions, and how far it is.
type Found = (String, Vec<u32>, (usize, usize), Progress);

fn read(client: &[u8], server: &[u8]) -> Option<Found> {
    let found = preamble(client, server)?;
    let asked = found.exchanges.iter().rev().find_map(|one| one.asked.clone());
    let asked = asked.map(|asked| format!("{} {}", asked.host, asked.port)).unwrap_or_default();
    let codes = found.exchanges.iter().filter_map(|one| one.answer.as_ref()).map(|a| a.code).collect();
    Some((asked, codes, (found.client_length, found.server_length), found.progress))
}

#[test]
fn socks_4_by_address_and_by_name() {
    let plain = b"\x04\x01\x0d\x3d\xc6\x33\x64\x07me\0\x03\0";
    let granted = [0, 90, 0, 0, 0, 0, 0, 0];
    let found = read(plain, &granted);
    assert_eq!(found, Some(("198.51.100.7 3389".to_owned(), vec![90], (11, 8), Progress::Open)));
    let named = b"\x04\x01\x0d\x3d\0\0\0\x01me\0host.example\0";
    let found = read(named, &[0, 91, 0, 0, 0, 0, 0, 0]);
    assert_eq!(found, Some(("host.example 3389".to_owned(), vec![91], (24, 8), Progress::Refused)));
    assert_eq!(read(&[4, 2, 0, 0], &[]), None, "BIND is no way to a server");
}

#[test]
fn socks_5_with_and_without_password() {
    let request = b"\x05\x01\0\x03\x04host\x0d\x3d";
    let done = b"\x05\0\0\x01\0\0\0\0\0\0";
    let plain = [b"\x05\x01\0".as_slice(), request, b"\x03\0"].concat();
    let found = read(&plain, &[b"\x05\0".as_slice(), done].concat());
    assert_eq!(found, Some(("host 3389".to_owned(), vec![0], (14, 12), Progress::Open)));
    let secret = [b"\x05\x02\0\x02\x01\x02me\x03pwd".as_slice(), request].concat();
    let found = read(&secret, &[b"\x05\x02\x01\0".as_slice(), done].concat());
    assert_eq!(found, Some(("host 3389".to_owned(), vec![0], (23, 14), Progress::Open)));
    let refused = preamble(&secret, b"\x05\x02\x01\x01");
    let refused = refused.and_then(|found| found.exchanges.into_iter().next());
    assert_eq!(refused.as_ref().and_then(|one| one.user.clone()).as_deref(), Some("me"));
    assert_eq!(refused.and_then(|one| one.answer).map(|a| (a.authentication, a.offset)), Some((true, 2)));
    assert_eq!(
        read(&secret, b"\x05\xff").map(|found| (found.1, found.3)),
        Some((vec![0xff], Progress::Refused))
    );
    assert_eq!(read(&plain, b"\x05").map(|found| found.3), Some(Progress::Incomplete));
    assert_eq!(read(&plain, b"SSH-2.0"), None);
}

#[test]
fn http_connect_after_a_challenge() {
    let asks = b"CONNECT host.example:3389 HTTP/1.1\r\nHost: host.example:3389\r\n\r\n".as_slice();
    let no = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 4\r\n\r\nbody".as_slice();
    let chunked = b"HTTP/1.1 407 No\r\ntransfer-encoding: Chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n".as_slice();
    let yes = b"HTTP/1.1 200 Connection established\r\n\r\n".as_slice();
    for challenge in [no, chunked] {
        let (client, server) = ([asks, asks, &[3, 0]].concat(), [challenge, yes, &[3]].concat());
        let found = read(&client, &server);
        let lengths = (client.len() - 2, server.len() - 1);
        let wanted = ("host.example 3389".to_owned(), vec![407, 200], lengths, Progress::Open);
        assert_eq!(found, Some(wanted));
    }
    let left = preamble(asks, no);
    assert!(left.as_ref().is_some_and(Preamble::may_go_on));
    let says = left.and_then(|found| found.exchanges.into_iter().next()?.answer).map(|answer| answer.says);
    assert_eq!(says.as_deref(), Some("Proxy Authentication Required"));
    assert_eq!(read(b"CONNECT [::1]:22 HTTP/1.0\r\n\r\n", b"").map(|f| f.0), Some("::1 22".to_owned()));
    assert_eq!(read(b"CONNECTED to nothing\r\n\r\n", b""), None);
}

#[test]
fn headers_of_a_load_balancer() {
    let first = b"PROXY TCP4 198.51.100.7 203.0.113.20 50112 3389\r\n\x03\0".as_slice();
    let source = |bytes: &[u8]| preamble(bytes, &[]).and_then(|found| found.header)?.source;
    assert_eq!(source(first).map(|end| end.to_string()).as_deref(), Some("198.51.100.7:50112"));
    assert_eq!(preamble(first, &[]).map(|found| found.client_length), Some(first.len() - 2));
    let head = |family: u8, length: u8| [&SIGNATURE_2[..], &[0x21, family, 0, length]].concat();
    let second = [head(0x11, 15), vec![198, 51, 100, 7, 203, 0, 113, 20, 0xc3, 0xc0, 0xd, 0x3d, 4, 0, 0]];
    assert_eq!(source(&second.concat()).map(|end| end.to_string()).as_deref(), Some("198.51.100.7:50112"));
    assert_eq!(preamble(&second.concat(), &[]).map(|found| found.client_length), Some(31));
    assert_eq!(preamble(b"PROXY UNKNOWN\r\n", &[]).and_then(|found| found.header?.source), None);
    assert_eq!(preamble(b"PROXY to nowhere\r\n", &[]), None);
}

#[test]
fn other_beginnings_are_left_alone() {
    for bytes in
        [&[3_u8, 0, 0, 19][..], b"GET / HTTP", &[5, 0, 11, 3], b"", b"POST", &[0x16, 3, 1], b"CLIENT"]
    {
        assert!(!may_start(bytes), "{bytes:?}");
        assert_eq!(preamble(bytes, &[]), None);
    }
    assert!(may_start(b"CONN") && may_start(&[5]) && may_start(&[4, 1]));
}
