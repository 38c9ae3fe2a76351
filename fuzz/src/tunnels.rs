//! Targets of what stands around RDP on its way through an RD Gateway: HTTP, WebSocket frames, the packets of the tunnel.

use rdpwhy::fact::{Fact, Recognised};
use rdpwhy::note::{Note, Place};
use rdpwhy::packets::Packets;
use rdpwhy::read::flow::{Flow, Half, Sighting};
use rdpwhy::time::UnixNanos;
use rdpwhy::wire::keylog::KeyLog;
use rdpwhy::wire::{gateway as tsgu, gateway_sizes, http, websocket};

use crate::Draw;

/// The bytes as each layer by itself, and as a talk of a client with a gateway.
pub fn gateway(bytes: &[u8]) {
    heads(bytes);
    frames(bytes);
    packets(bytes);
    sizes(bytes);
    talk(bytes);
}

/// Every three bytes as the side and the length of a record.
fn sizes(bytes: &[u8]) {
    let record = |three: &[u8; 3]| gateway_sizes::Sized {
        from_client: three[0] & 1 == 1,
        length: u32::from(u16::from_le_bytes([three[1], three[2]])),
    };
    let records: Vec<gateway_sizes::Sized> = bytes.as_chunks::<3>().0.iter().map(record).collect();
    let most = gateway_sizes::RECORDS_MAX;
    let framings = [gateway_sizes::WEB_SOCKET, gateway_sizes::CHANNELS[0], gateway_sizes::CHANNELS[1]];
    for overhead in gateway_sizes::OVERHEADS {
        let opened = gateway_sizes::opened(&records, overhead);
        let _ = gateway_sizes::may_follow(&opened);
        if let Some(half) = gateway_sizes::half(&opened) {
            assert_eq!(opened[half.at].from_client, half.sends);
        }
        for framing in framings {
            if let Some(found) = gateway_sizes::beginning(&opened, framing) {
                let behind = found.behind;
                assert!((10..=most).contains(&behind), "behind {behind} records");
            }
            if let Some(found) = gateway_sizes::refusal(&opened, framing) {
                assert!(found.at < most.min(opened.len()), "the record {}", found.at);
            }
            for record in &opened {
                let data = framing.data(*record);
                assert!(data.is_none_or(|bytes| bytes < record.length), "data of {data:?} bytes");
            }
        }
    }
    if let Some(shaken) = gateway_sizes::handshake(&records) {
        assert!(shaken.messages <= records.len(), "a handshake of {} messages", shaken.messages);
    }
}

fn heads(bytes: &[u8]) {
    if let Ok(head) = http::head(bytes) {
        assert!(head.length.is_none_or(|length| (1..=bytes.len()).contains(&length)), "{:?}", head.length);
        let _ = (head.is_chunked(), head.content_length());
    }
    if let Ok(chunk) = http::chunk(bytes) {
        assert!((3..=bytes.len()).contains(&chunk.line), "a line of {} bytes", chunk.line);
    }
}

fn frames(bytes: &[u8]) {
    let mut rest = bytes;
    while let Ok(frame) = websocket::frame(rest) {
        assert!((2..=14).contains(&frame.header), "a header of {} bytes", frame.header);
        let payload = &rest[frame.header..];
        let length = usize::try_from(frame.length).unwrap_or(usize::MAX).min(payload.len());
        let twice = websocket::unmasked(&websocket::unmasked(&payload[..length], frame.mask), frame.mask);
        assert_eq!(twice, payload[..length], "a mask taken off twice is on again");
        rest = &payload[length..];
    }
}

fn packets(bytes: &[u8]) {
    let mut rest = bytes;
    while let Ok(header) = tsgu::header(rest) {
        let length = usize::try_from(header.length).unwrap();
        if header.kind == tsgu::Kind::DATA {
            if let Ok((data, count)) = tsgu::data(rest, header.length) {
                assert!(data.len() <= usize::from(count) && usize::from(count) <= length - 10);
            }
        } else {
            let _ = tsgu::packet(rest);
        }
        rest = rest.get(length..).unwrap_or_default();
    }
}

/// Shape: messages of a byte whose lowest bit is the side and whose second lets bytes go missing before it, their length
/// in 2 bytes, little-endian, and their bytes.
fn talk(bytes: &[u8]) {
    let mut draw = Draw::new(bytes);
    let mut halves = [Half::default(), Half::default()];
    let seen = |number: u64| Sighting {
        at: UnixNanos(i64::try_from(number).unwrap()),
        place: Place::frame(0, number),
    };
    let mut number = 1;
    while !draw.is_empty() {
        let order = draw.u8();
        let length = usize::from(draw.u16());
        let said = draw.slice(length);
        let half = &mut halves[usize::from(order & 1)];
        let from = half.claimed_end + u64::from(order & 2);
        let long = u64::try_from(said.len()).unwrap();
        half.stream.push(from, said, long, seen(number));
        half.claimed_end = from + long;
        (half.packets, half.last) = (half.packets + 1, Some(seen(number)));
        number += 1;
    }
    let [mut from_client, mut from_server] = halves;
    from_client.stream.finish();
    from_server.stream.finish();
    let flow = Flow {
        client: "198.51.100.7:50112".parse().unwrap(),
        server: "203.0.113.30:80".parse().unwrap(),
        first: seen(1),
        last: seen(number),
        capture_end: seen(number).at,
        recognised: Recognised::Gateway,
        from_client,
        from_server,
        unreachable: Vec::new(),
        outer: None,
        neighbours: rdpwhy::read::neighbours::Beside::default(),
    };
    let keys = KeyLog::default();
    let mut reader = Packets::new(0, &keys);
    let now = reader.take(flow);
    assert_told(&now);
    assert_told(&reader.finish());
}

fn assert_told((facts, _): &(Vec<Fact>, Vec<Note>)) {
    assert!(facts.len() <= rdpwhy::packets::FACTS_MAX, "{} facts", facts.len());
    for fact in facts {
        let text = fact.what.text();
        assert_eq!(rdpwhy::fact::What::parse(&text).as_ref(), Ok(&fact.what), "read back from {text:?}");
    }
}
