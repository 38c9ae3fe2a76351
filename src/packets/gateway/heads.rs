//! The HTTP of one connection to a gateway: the heads of both sides, and where what they carry begins.

use crate::read::flow::Sighting;
use crate::read::stream::Stream;
use crate::wire::http::{self, Head, Start};

/// Heads of one side that are read; a client that authenticates needs two or three.
const HEADS_MAX: usize = 64;

/// A head, with the time of its last byte.
#[derive(Debug, Clone)]
pub(super) struct Spoken {
    pub(super) head: Head,
    pub(super) seen: Sighting,
}

/// The method of a request.
pub(super) fn method(head: &Head) -> &str {
    match &head.start {
        Start::Request { method, .. } => method,
        Start::Response { .. } => "",
    }
}

/// What a request asks for.
pub(super) fn target(head: &Head) -> &str {
    match &head.start {
        Start::Request { target, .. } => target,
        Start::Response { .. } => "",
    }
}

/// The status of a response.
pub(super) fn status(head: &Head) -> Option<u16> {
    match head.start {
        Start::Response { status, .. } => Some(status),
        Start::Request { .. } => None,
    }
}

/// How the packets of the tunnel are carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// One after the other.
    Bare,
    /// In chunks.
    Chunked,
    /// In WebSocket frames.
    WebSocket,
}

/// One side.
#[derive(Debug, Clone, Default)]
pub(super) struct Side {
    pub(super) heads: Vec<Spoken>,
    /// Where the packets begin, and how they are carried.
    pub(super) carried: Option<(u64, Framing)>,
    /// Offset behind the last head.
    end: u64,
}

/// Reads what the client asked. Where its last request ends, frames begin when the server switches to them.
pub(super) fn requests(stream: &Stream) -> Side {
    walk(stream, |spoken| {
        let sends = method(&spoken.head).eq_ignore_ascii_case("RDG_IN_DATA") && !is_upgrade(&spoken.head);
        (sends && spoken.head.is_chunked()).then_some(Framing::Chunked)
    })
}

/// Reads what the server answered, in the order of the requests.
pub(super) fn responses(stream: &Stream, requests: &Side) -> Side {
    let mut answered = 0;
    walk(stream, |spoken| {
        let status = status(&spoken.head).unwrap_or(0);
        if status == 101 {
            return Some(Framing::WebSocket);
        }
        if status < 200 {
            return None;
        }
        let asked = requests.heads.get(answered);
        answered += 1;
        let receives = asked.is_some_and(|asked| method(&asked.head).eq_ignore_ascii_case("RDG_OUT_DATA"));
        let framing = if spoken.head.is_chunked() { Framing::Chunked } else { Framing::Bare };
        (status == 200 && receives).then_some(framing)
    })
}

impl Side {
    /// The client sends frames from here on.
    pub(super) fn upgraded(&mut self) {
        self.carried = Some((self.end, Framing::WebSocket));
    }
}

/// A request for a WebSocket.
pub(super) fn is_upgrade(head: &Head) -> bool {
    head.field("upgrade").is_some_and(|value| value.to_ascii_lowercase().contains("websocket"))
}

/// Walks the heads of one side. Behind a gap it goes on at the next segment that begins with one.
fn walk(stream: &Stream, mut carries: impl FnMut(&Spoken) -> Option<Framing>) -> Side {
    let mut side = Side::default();
    let mut at = 0;
    while side.heads.len() < HEADS_MAX {
        let Ok(head) = http::head(stream.from(at)) else {
            let Some(next) = next_head(stream, at) else { break };
            at = next;
            continue;
        };
        let whole = u64::try_from(head.length.unwrap_or(1)).unwrap_or(1);
        let Some(seen) = stream.seen(at + whole - 1) else { break };
        let (length, spoken) = (head.length, Spoken { head, seen });
        let framing = carries(&spoken);
        let (from, body) = (at + whole, body(&spoken.head));
        side.heads.push(spoken);
        side.end = from;
        if length.is_none() {
            break;
        }
        if let Some(framing) = framing {
            side.carried = Some((from, framing));
            break;
        }
        at = match body {
            Body::Bytes(bytes) => from.saturating_add(bytes),
            Body::Chunks => behind_chunks(stream, from),
        };
    }
    side
}

fn next_head(stream: &Stream, at: u64) -> Option<u64> {
    let is_head = |offset: &u64| http::head(stream.from(*offset)).is_ok_and(|head| head.length.is_some());
    stream.segments_from(at + 1).find(is_head)
}

enum Body {
    Bytes(u64),
    Chunks,
}

fn body(head: &Head) -> Body {
    let none = matches!(head.start, Start::Response { status: 100..=199 | 204 | 304, .. });
    match head.content_length() {
        _ if none => Body::Bytes(0),
        _ if head.is_chunked() => Body::Chunks,
        length => Body::Bytes(length.unwrap_or(0)),
    }
}

/// Offset behind the last chunk of a body, or where it cannot be followed any more.
fn behind_chunks(stream: &Stream, from: u64) -> u64 {
    let mut at = from;
    while let Ok(chunk) = http::chunk(stream.from(at)) {
        let line = u64::try_from(chunk.line).unwrap_or(u64::MAX);
        at = at.saturating_add(line).saturating_add(u64::from(chunk.length)).saturating_add(2);
        if chunk.length == 0 {
            break;
        }
    }
    at
}
