//! TLS to port 443 that nothing opens: held until the sizes of its records tell a gateway's tunnel, or are no longer those
//! of one.

use super::State;
use crate::read::flow::Sighting;
use crate::read::stream::Stream;
use crate::wire::gateway_sizes::{OVERHEADS, RECORDS_MAX, Sized, behind_confirm};
use crate::wire::tls::{ContentType, Handshake, RECORD_HEADER, client_random, handshake, record_header};

/// The port of HTTPS.
pub(super) const PORT: u16 = 443;
/// Bytes of one side within which a tunnel has to be told; handshake, authentication and consent take fewer.
const BYTES_MAX: u64 = 48 * 1024;
/// Records of one side that are looked at, those of the handshake included.
const WALKED_MAX: usize = RECORDS_MAX + 16;

/// These bytes begin a ClientHello that may ask for HTTP/1.1, on which a WebSocket stands: programs that offer HTTP/2 speak
/// it where the server does, and open a WebSocket on a connection of its own.
pub(super) fn may_begin(bytes: &[u8]) -> bool {
    if client_random(bytes).is_none() {
        return false;
    }
    match handshake(bytes.get(RECORD_HEADER..).unwrap_or_default()) {
        Ok((Handshake::ClientHello(hello), _)) => !hello.alpn.iter().any(|name| name == b"h2"),
        _ => true,
    }
}

/// What the sizes seen so far make of it.
pub(super) fn told(client: &Stream, server: &Stream) -> State {
    let mut records: Vec<(Sighting, Sized)> = Vec::new();
    collect(client, true, &mut records);
    collect(server, false, &mut records);
    records.sort_by_key(|(seen, _)| *seen);
    let sized: Vec<Sized> = records.into_iter().map(|(_, sized)| sized).collect();
    if OVERHEADS.iter().any(|overhead| behind_confirm(&sized, *overhead).is_some()) {
        return State::Sized;
    }
    let is_long = client.end().max(server.end()) > BYTES_MAX;
    if sized.len() >= RECORDS_MAX || is_long { State::Other } else { State::Undisclosed }
}

/// The whole records of application data of one side.
fn collect(stream: &Stream, from_client: bool, records: &mut Vec<(Sighting, Sized)>) {
    let header_length = u64::try_from(RECORD_HEADER).unwrap_or(5);
    let mut at = 0;
    for _ in 0..WALKED_MAX {
        let Ok(header) = record_header(stream.from(at)) else { break };
        let end = at.saturating_add(header_length).saturating_add(u64::from(header.length));
        let Some(seen) = stream.seen(end.saturating_sub(1)).filter(|_| stream.end() >= end) else { break };
        if header.content == ContentType::APPLICATION_DATA {
            records.push((seen, Sized { from_client, length: u32::from(header.length) }));
        }
        at = end;
    }
}
