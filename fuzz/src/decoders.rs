//! Targets of the decoders in `wire`: no panic, and no structure longer than the bytes it was read from.

use rdpwhy::wire::proxy::{PREAMBLE_BYTES_MAX, Progress, may_start, preamble};
use rdpwhy::wire::tls::Handshake;
use rdpwhy::wire::{certificate as x509, mcs as t125, negotiation, tls as records, tpkt};

use crate::Draw;

/// A clear RDP stream cut into units, each read as negotiation and as MCS.
pub fn x224(bytes: &[u8]) {
    if tpkt::starts_rdp(bytes).is_some() {
        let prefixes = (0..=bytes.len().min(16)).filter_map(|end| bytes.get(..end));
        assert!(prefixes.into_iter().all(tpkt::may_start_rdp), "a prefix of an RDP stream was ruled out");
    }
    let mut rest = bytes;
    while let Ok(unit) = tpkt::unit(rest) {
        let length = unit.length();
        assert!((1..=rest.len()).contains(&length), "a unit of {length} bytes out of {}", rest.len());
        if let tpkt::Unit::Tpdu { body, .. } = unit {
            assert!(body.len() < length, "the body is not inside of its unit");
            let request = negotiation::request(body);
            let said = request.cookie.iter().chain(&request.token).map(Vec::len).sum::<usize>();
            assert!(said <= body.len(), "more was read than is there");
            let _ = negotiation::confirm(body);
            let _ = t125::pdu(body);
        }
        rest = &rest[length..];
    }
    let _ = (negotiation::request(bytes), negotiation::confirm(bytes));
}

/// A TLS stream: record headers one after the other, their fragments as handshake messages and certificates.
pub fn tls(bytes: &[u8]) {
    messages(bytes);
    let mut rest = bytes;
    while let Ok(header) = records::record_header(rest) {
        let length = usize::from(header.length);
        let fragment = rest.get(5..).unwrap_or_default();
        messages(&fragment[..length.min(fragment.len())]);
        rest = fragment.get(length..).unwrap_or_default();
    }
}

fn messages(bytes: &[u8]) {
    let mut rest = bytes;
    while let Ok((message, length)) = records::handshake(rest) {
        assert!((4..=rest.len()).contains(&length), "a message of {length} bytes out of {}", rest.len());
        if let Handshake::Certificate(shown) = &message {
            assert!(shown.iter().map(Vec::len).sum::<usize>() <= length, "more was read than is there");
            shown.iter().for_each(|der| certificate(der));
        }
        if let Handshake::ClientHello(hello) = &message {
            assert!(hello.suites.len() * 2 <= length && hello.extensions.len() * 4 <= length);
            assert_eq!((hello.ja3().len(), hello.ja4().len()), (32, 36), "a fingerprint has a fixed length");
        }
        if let Handshake::ServerHello(hello) = &message {
            assert!(hello.extensions.len() * 4 <= length && hello.ja3s().len() == 32);
        }
        rest = &rest[length..];
    }
}

/// A certificate.
pub fn certificate(bytes: &[u8]) {
    if let Ok(read) = x509::certificate(bytes) {
        assert!(!read.key.is_empty() && !read.signature.is_empty());
        assert_eq!((read.sha1.len(), read.sha256.len()), (40, 64));
    }
}

/// An MCS PDU.
pub fn mcs(bytes: &[u8]) {
    match t125::pdu(bytes) {
        Ok(t125::McsPdu::Data(payload)) => assert!(payload.length <= bytes.len()),
        Ok(t125::McsPdu::ConnectInitial(initial)) => {
            assert!(initial.parameters.len() <= 3, "{} sets of parameters", initial.parameters.len());
            assert!(initial.client.channels.len() <= bytes.len());
        }
        Ok(t125::McsPdu::ConnectResponse(response)) => {
            assert!(response.server.channels.len() <= bytes.len());
        }
        Ok(t125::McsPdu::Ultimatum { reason }) => assert!(reason.0 < 8),
        Ok(_) | Err(_) => {}
    }
}

/// What stands before RDP on a connection to a proxy: the length of what the client sends in 2 bytes, little-endian, its
/// bytes, and what the server sends.
pub fn proxy(bytes: &[u8]) {
    let mut draw = Draw::new(bytes);
    let length = usize::from(draw.u16());
    let client = draw.slice(length);
    let server = draw.slice(bytes.len());
    let Some(found) = preamble(client, server) else { return };
    assert!(may_start(client), "a preamble that may not start");
    assert!(found.client_length <= client.len() && found.server_length <= server.len());
    assert!(found.client_length.max(found.server_length) <= PREAMBLE_BYTES_MAX);
    for exchange in &found.exchanges {
        assert!(exchange.asked_offset < client.len());
        assert!(exchange.answer.as_ref().is_none_or(|answer| answer.offset < server.len()));
    }
    if found.progress == Progress::Open {
        let (client, server) = (&client[..found.client_length], &server[..found.server_length]);
        assert_eq!(preamble(client, server).as_ref(), Some(&found), "what follows changes the preamble");
    }
}
