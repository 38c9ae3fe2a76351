//! TLS that nothing opens: held until the sizes of its records tell a gateway's tunnel, or are no longer those of one.

use super::State;
use crate::read::flow::Sighting;
use crate::read::stream::Stream;
use crate::wire::gateway_sizes::{
    OVERHEADS, RECORDS_MAX, Sized, WEB_SOCKET, beginning, half, is_long_answer, may_follow, opened, refusal,
};
use crate::wire::tls::{ContentType, Handshake, RECORD_HEADER, client_random, handshake, record_header};

/// Bytes of one side within which a tunnel has to be told; handshake, authentication and consent take fewer.
const BYTES_MAX: u64 = 48 * 1024;

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

/// The records of application data that were seen so far, in the order of time.
#[derive(Debug)]
pub(super) struct Walk {
    /// Index of the side that sent the ClientHello.
    client: usize,
    /// Where the next record of each side begins.
    next: [u64; 2],
    seen: Vec<Sighting>,
    records: Vec<Sized>,
    /// The server says more than a gateway does.
    is_long: bool,
}

impl Walk {
    /// The side of index `client` sent the ClientHello; TLS begins at these offsets.
    pub(super) fn of(client: usize, from: [u64; 2]) -> Self {
        Self { client, next: from, seen: Vec::new(), records: Vec::new(), is_long: false }
    }

    /// The client sent no record of application data.
    pub(super) fn is_in_handshake(&self) -> bool {
        self.records.iter().all(|record| !record.from_client)
    }

    /// Their sizes are those of a tunnel that was refused, or of one side of one: enough to hand the connection on.
    pub(super) fn is_refused(&self) -> bool {
        OVERHEADS.iter().any(|overhead| {
            let opened = opened(&self.records, *overhead);
            refusal(&opened, WEB_SOCKET).is_some() || half(&opened).is_some()
        })
    }

    /// What the sizes make of it, now that this side has sent more.
    pub(super) fn take(&mut self, side: usize, stream: &Stream) -> State {
        let known = self.records.len();
        self.collect(side, stream);
        if self.records.len() > known {
            let readings = OVERHEADS.map(|overhead| opened(&self.records, overhead));
            let begins = |records: &Vec<Sized>| {
                beginning(records, WEB_SOCKET).is_some() || half(records).is_some_and(|half| half.whole)
            };
            if readings.iter().any(begins) {
                return State::Sized;
            }
            if !readings.iter().any(|records| may_follow(records)) {
                return State::Other;
            }
        }
        let is_long = self.is_long || stream.end() > BYTES_MAX;
        if self.records.len() >= RECORDS_MAX || is_long { State::Other } else { State::Undisclosed }
    }

    /// The whole records of application data that this side has sent since.
    fn collect(&mut self, side: usize, stream: &Stream) {
        let Some(next) = self.next.get_mut(side) else { return };
        let header_length = u64::try_from(RECORD_HEADER).unwrap_or(5);
        while self.records.len() < RECORDS_MAX {
            let Ok(header) = record_header(stream.from(*next)) else { break };
            let is_data = header.content == ContentType::APPLICATION_DATA;
            let length = u32::from(header.length);
            // Its header is enough: the rest needs not be kept.
            if is_data && side != self.client && is_long_answer(&self.records, length) {
                self.is_long = true;
                break;
            }
            let end = next.saturating_add(header_length).saturating_add(u64::from(header.length));
            let Some(seen) = stream.seen(end.saturating_sub(1)).filter(|_| stream.end() >= end) else {
                break;
            };
            if is_data {
                let record = Sized { from_client: side == self.client, length };
                let at = self.seen.iter().rposition(|known| *known <= seen).map_or(0, |before| before + 1);
                self.seen.insert(at, seen);
                self.records.insert(at, record);
            }
            *next = end;
        }
    }
}
