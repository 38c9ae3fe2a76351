//! SOCKS, HTTP CONNECT and the PROXY protocol in front of RDP: what is asked and answered becomes facts, and the
//! streams begin behind it.

use crate::fact::{Side, What};
use crate::read::flow::{Flow, Half, Sighting};
use crate::wire::proxy::{self, Exchange, Preamble, Progress};

/// A flow behind its preamble.
pub(crate) struct Layered {
    /// The connection to the destination: up once the proxy says so.
    pub(crate) flow: Flow,
    /// What the preamble says.
    pub(crate) said: Vec<(Sighting, What)>,
    /// The proxy was asked and owes its answer.
    pub(crate) turn: Option<Side>,
}

/// Where the client's first byte for the destination stands.
pub(crate) fn passed(flow: &Flow) -> u64 {
    let preamble = proxy::preamble(flow.from_client.stream.from(0), flow.from_server.stream.from(0));
    preamble.map_or(0, |preamble| length(preamble.client_length))
}

/// Takes the preamble off; `None` when there is none.
pub(crate) fn open(flow: &Flow) -> Option<Layered> {
    let (client, server) = (&flow.from_client.stream, &flow.from_server.stream);
    let preamble = proxy::preamble(client.from(0), server.from(0))?;
    let said = said(flow, &preamble);
    if said.is_empty() {
        return None;
    }
    let mut inner = flow.clone();
    let lengths = match preamble.progress {
        Progress::Open => (length(preamble.client_length), length(preamble.server_length)),
        // Nothing of this is for the destination.
        Progress::Incomplete | Progress::Refused => (client.end(), server.end()),
    };
    behind(&mut inner.from_client, lengths.0);
    behind(&mut inner.from_server, lengths.1);
    if !preamble.exchanges.is_empty() {
        let answer = preamble.exchanges.last().and_then(|last| last.answer.as_ref());
        let opened =
            answer.filter(|answer| answer.opened).and_then(|answer| server.seen(length(answer.offset)));
        (inner.from_client.first_ack, inner.from_server.first_ack) = (opened, opened);
    }
    let turn = matches!(preamble.progress, Progress::Incomplete).then_some(Side::Server);
    Some(Layered { flow: inner, said, turn })
}

fn length(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// Offsets count from behind the preamble from now on.
fn behind(half: &mut Half, length: u64) {
    half.stream = half.stream.behind(length);
    half.claimed_end = half.claimed_end.saturating_sub(length);
    half.acknowledged = half.acknowledged.saturating_sub(length);
    if let Some(resent) = &mut half.resent {
        resent.start = resent.start.saturating_sub(length);
    }
}

fn said(flow: &Flow, preamble: &Preamble) -> Vec<(Sighting, What)> {
    let mut said = Vec::new();
    if let (Some(header), Some(seen)) = (&preamble.header, flow.from_client.stream.seen(0)) {
        let client = header.source.map(|end| end.ip());
        let port = header.source.map(|end| u32::from(end.port()));
        said.push((seen, What::ProxiedFor { version: header.version, client, port }));
    }
    let count = preamble.exchanges.len();
    for (number, exchange) in (1..).zip(&preamble.exchanges) {
        exchanged(flow, exchange, number < count, &mut said);
    }
    said
}

fn exchanged(flow: &Flow, exchange: &Exchange, retried: bool, said: &mut Vec<(Sighting, What)>) {
    let protocol = exchange.protocol;
    if let (Some(asked), Some(seen)) =
        (&exchange.asked, flow.from_client.stream.seen(length(exchange.asked_offset)))
    {
        let (host, user) = (asked.host.clone(), exchange.user.clone());
        said.push((seen, What::ProxyAsked { protocol, host, port: u32::from(asked.port), user }));
    }
    if let Some(answer) = &exchange.answer
        && let Some(seen) = flow.from_server.stream.seen(length(answer.offset))
    {
        let (code, says) = (answer.code, answer.says.clone());
        let (opened, authentication) = (answer.opened, answer.authentication);
        said.push((seen, What::ProxyAnswered { protocol, code, says, opened, authentication, retried }));
    }
}
