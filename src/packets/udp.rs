//! The UDP transport: how it was asked for and answered, its TLS or DTLS handshake, the tunnel inside, and what it carried
//! (MS-RDPEUDP, MS-RDPEUDP2, MS-RDPEMT).

use std::collections::BTreeMap;
use std::sync::Arc;

use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

use super::opening::Opened;
use super::tls::{self, Tunnel};
use super::{Message, Reader, STALL_MS_MIN, ms_between};
use crate::codes::Status;
use crate::fact::{Fact, Reading, Recognised, Side, Subject, What};
use crate::note::Note;
use crate::read::flow::{Flow, Half, Sighting};
use crate::read::neighbours::Beside;
use crate::read::stream::Stream;
use crate::read::udp::{Kept, UdpFlow, UdpHalf};
use crate::wire::keylog::KeyLog;
use crate::wire::multitransport::{CREATE_REQUEST_BYTES, CREATE_RESPONSE_BYTES, TunnelPdu, tunnel};
use crate::wire::rdpudp::{self, UdpVersion};

mod dtls;

/// Datagrams without an answer that mean silence, and not only the last words.
const UNHEARD_MIN: u32 = 3;

/// Reads a UDP transport into facts, in the order of time, and opens its TLS records with `keys` where they fit.
#[must_use]
pub fn udp_facts(udp: &UdpFlow, witness_index: u32, keys: &KeyLog) -> (Vec<Fact>, Vec<Note>) {
    let flow = carried(udp);
    let mut reader = Reader::new(&flow, witness_index, keys);
    let version = udp.version();
    if let Some(version) = version {
        if udp.syn.is_lossy() { dtls::read(&mut reader, udp, version) } else { secured(&mut reader) }
    }
    let mut inside = std::mem::take(&mut reader.facts);
    inside.retain_mut(translated);
    reader.facts = inside;
    opening(&mut reader, udp);
    ending(&mut reader, udp);
    let subject = Subject::Udp(Arc::clone(&reader.connection));
    let (mut facts, notes) = reader.finish();
    facts.iter_mut().for_each(|fact| fact.subject = subject.clone());
    (facts, notes)
}

/// SHA-256 as hexadecimal digits: of a security cookie, which itself is a credential and stays out of every answer.
pub(super) fn hash_of(cookie: [u8; 16]) -> String {
    HEXLOWER.encode(&Sha256::digest(cookie))
}

/// SYN, its answer, and ICMP errors.
fn opening(reader: &mut Reader<'_>, udp: &UdpFlow) {
    let (first, last, tries) = udp.asked;
    let what = What::UdpSyn {
        tries,
        over_ms: ms_between(first, last),
        answered: udp.answer.is_some(),
        version: udp.syn.version,
        lossy: udp.syn.is_lossy(),
        cookie_hash: udp.syn.cookie_hash.map(|hash| HEXLOWER.encode(&hash)),
        correlation: udp.syn.correlation.map(|id| HEXLOWER.encode(&id)),
    };
    reader.say(first, what);
    if let (Some((_, seen)), Some(version)) = (&udp.answer, udp.version()) {
        reader.say(*seen, What::UdpAnswered { after_ms: ms_between(first, *seen), version });
    }
    for error in &udp.unreachable {
        let (from, kind, code, times) = (error.from, error.kind, error.code, error.times);
        reader.say(error.seen, What::UdpUnreachable { from, kind, code, times });
    }
}

/// What was carried, FINs and silence.
fn ending(reader: &mut Reader<'_>, udp: &UdpFlow) {
    let Some((_, answered)) = udp.answer else { return };
    let is_secured = reader.facts.iter().any(|fact| fact.what == What::UdpSecured {});
    if is_secured {
        let (client_bytes, server_bytes) = (udp.from_client.data_bytes, udp.from_server.data_bytes);
        let over_ms = ms_between(answered, udp.last);
        reader.say(udp.last, What::UdpCarried { client_bytes, server_bytes, over_ms });
    }
    for by in [Side::Client, Side::Server] {
        let half = udp.half(by);
        if let Some(seen) = half.fin {
            reader.say(seen, What::UdpClosed { by });
        }
        let (Some((datagrams, first)), Some(last)) = (half.unheard, half.last) else { continue };
        let over_ms = ms_between(first, last);
        if datagrams >= UNHEARD_MIN && over_ms >= STALL_MS_MIN {
            reader.say(first, What::UdpUnheard { by, datagrams, over_ms });
        }
    }
}

/// The byte streams that the transport carries, as those of a connection.
fn carried(udp: &UdpFlow) -> Flow {
    let version = udp.version().unwrap_or(UdpVersion::V1);
    let half = |half: &UdpHalf, isn: Option<u32>| {
        let stream = if udp.syn.is_lossy() { Stream::default() } else { stream(&half.kept, version) };
        Half { isn, stream, ..Half::default() }
    };
    Flow {
        client: udp.client,
        server: udp.server,
        first: udp.asked.0,
        last: udp.last,
        capture_end: udp.capture_end,
        recognised: Recognised::FirstBytes,
        outer: None,
        from_client: half(&udp.from_client, Some(udp.syn.initial)),
        from_server: half(&udp.from_server, udp.answer.as_ref().map(|(answer, _)| answer.initial)),
        unreachable: Vec::new(),
        neighbours: Beside::default(),
    }
}

/// Puts the data of the first datagrams in order, as far as none is missing.
fn stream(kept: &[Kept], version: UdpVersion) -> Stream {
    let mut chunks: BTreeMap<i64, (Vec<u8>, u32, Sighting)> = BTreeMap::new();
    let mut reference = None;
    for one in kept {
        let Ok(Some(chunk)) = rdpudp::chunk(&one.bytes, version) else { continue };
        let first = *reference.get_or_insert(chunk.number);
        let cut = one.length.saturating_sub(u32::try_from(one.bytes.len()).unwrap_or(u32::MAX));
        let length = u32::try_from(chunk.bytes.len()).unwrap_or(u32::MAX).saturating_add(cut);
        chunks.entry(ahead(chunk.number, first, version)).or_insert((chunk.bytes, length, one.seen));
    }
    let mut stream = Stream::default();
    let mut offset = 0_u64;
    let start = chunks.keys().next().copied().unwrap_or(0);
    for (expected, (number, (bytes, length, seen))) in (start..).zip(chunks) {
        if number != expected {
            break;
        }
        stream.push(offset, &bytes, u64::from(length), seen);
        offset = offset.saturating_add(u64::from(length));
    }
    stream.finish();
    stream
}

/// How far a number is ahead of another; version 3 sends 16 bits of it.
fn ahead(number: u32, first: u32, version: UdpVersion) -> i64 {
    let apart = number.wrapping_sub(first);
    if version.is_udp2() {
        let [.., high, low] = apart.to_be_bytes();
        return i64::from(i16::from_be_bytes([high, low]));
    }
    i64::from(apart.cast_signed())
}

/// TLS, as on the main connection, and the first PDUs of the tunnel behind it.
fn secured(reader: &mut Reader<'_>) {
    match tls::tunnel(reader) {
        Tunnel::Nothing => {}
        Tunnel::Sized(messages) => sized(reader, &messages),
        Tunnel::Opened(opened) => read_opened(reader, &opened),
    }
}

/// Tunnel Create Request and Response are the first of either side, and of fixed size.
fn sized(reader: &mut Reader<'_>, messages: &[Message]) {
    let first = |side: Side| messages.iter().find(|message| message.side == side);
    let Some(request) = first(Side::Client).filter(|message| message.is(CREATE_REQUEST_BYTES)) else {
        return;
    };
    reader.infer(request.seen, What::TunnelAsked { request: None, cookie_hash: None });
    if let Some(response) = first(Side::Server).filter(|message| message.is(CREATE_RESPONSE_BYTES)) {
        reader.infer(response.seen, What::TunnelAnswered { result: None });
    }
}

fn read_opened(reader: &mut Reader<'_>, opened: &Opened) {
    let (client, server) = (&opened.client.stream, &opened.server.stream);
    if let (Ok(TunnelPdu::CreateRequest { request, cookie }), Some(seen)) =
        (tunnel(client.from(0)), client.seen(0))
    {
        let what = What::TunnelAsked { request: Some(request), cookie_hash: Some(hash_of(cookie)) };
        reader.say_read(seen, Reading::Opened, what);
    }
    if let (Ok(TunnelPdu::CreateResponse { result }), Some(seen)) = (tunnel(server.from(0)), server.seen(0)) {
        reader.say_read(seen, Reading::Opened, What::TunnelAnswered { result: Some(Status(result)) });
    }
}

/// The handshake in the words of the main connection becomes that of the UDP transport. Its certificate is the same.
fn translated(fact: &mut Fact) -> bool {
    fact.what = match &fact.what {
        What::ClientHello { version, .. } => What::UdpClientHello { version: *version },
        What::ServerHello { version, suite, .. } => What::UdpServerHello { version: *version, suite: *suite },
        What::Alert { by, fatal, code } => What::UdpAlert { by: *by, fatal: *fatal, code: Some(*code) },
        What::EncryptedAlert { by, code } => What::UdpAlert { by: *by, fatal: false, code: *code },
        What::TlsFinished {} => What::UdpSecured {},
        What::TlsOpened { client_records, server_records, closed_records } => What::UdpOpened {
            client_records: *client_records,
            server_records: *server_records,
            closed_records: *closed_records,
        },
        What::Certificate { .. } => return false,
        _ => return true,
    };
    true
}
