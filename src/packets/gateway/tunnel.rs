//! The packets of a tunnel: what both sides say of it, and the RDP connection that its data is.

use crate::codes::Status;
use crate::fact::{Side, What};
use crate::read::flow::Sighting;
use crate::read::stream::Stream;
use crate::wire::gateway::{self, Kind, Packet};

/// Packets of one side that are looked at, data included, and that are said.
const PACKETS_MAX: usize = 65_536;
const SAID_MAX: usize = 64;
/// Random bytes that a gateway sends in front of its first packet (MS-TSGU 3.3.5.1): 100 by the specification, 10 in
/// practice.
const SEED_BYTES_MAX: u64 = 256;
/// Longest answer to a handshake that is looked for behind them.
const HANDSHAKE_BYTES_MAX: u32 = 64;

/// What one side sent.
#[derive(Debug, Default)]
pub(super) struct OneWay {
    pub(super) said: Vec<(Sighting, What)>,
    /// Bytes of the RDP connection.
    pub(super) inner: Stream,
    /// The last packet, whatever it is.
    pub(super) last: Option<Sighting>,
}

/// Reads the packets of one side.
pub(super) fn read(packets: &Stream, by: Side) -> OneWay {
    let mut way = OneWay::default();
    let (mut at, mut out) = (first_packet(packets, by), 0);
    for _ in 0..PACKETS_MAX {
        let bytes = packets.from(at);
        let Ok(header) = gateway::header(bytes) else {
            let Some(next) = next_packet(packets, at) else { break };
            at = next;
            // How much is missing is not known: the gap shows that something is.
            out += 1;
            continue;
        };
        let length = u64::from(header.length);
        let held = u64::try_from(bytes.len()).unwrap_or(u64::MAX).min(length);
        let seen = packets.seen(at.saturating_add(held).saturating_sub(1));
        way.last = seen.or(way.last);
        match (header.kind, seen) {
            (Kind::DATA, Some(seen)) => {
                if let Ok((data, count)) = gateway::data(bytes, header.length) {
                    way.inner.push(out, data, u64::from(count), seen);
                    out = out.saturating_add(u64::from(count));
                }
            }
            (_, Some(seen)) if way.said.len() < SAID_MAX => {
                let packet = gateway::packet(bytes).ok();
                way.said
                    .extend(packet.into_iter().flat_map(|packet| said(packet, by)).map(|what| (seen, what)));
            }
            _ => {}
        }
        at = at.saturating_add(length);
    }
    way.inner.finish();
    way
}

/// Where the first packet begins: in front of it a gateway may have sent random bytes.
fn first_packet(packets: &Stream, by: Side) -> u64 {
    if by == Side::Client || gateway::header(packets.from(0)).is_ok() {
        return 0;
    }
    let is_answer = |at: &u64| {
        gateway::header(packets.from(*at)).is_ok_and(|header| {
            header.kind == Kind::HANDSHAKE_RESPONSE && header.length <= HANDSHAKE_BYTES_MAX
        })
    };
    (1..=SEED_BYTES_MAX).find(is_answer).unwrap_or(0)
}

fn next_packet(packets: &Stream, at: u64) -> Option<u64> {
    packets.segments_from(at + 1).find(|offset| gateway::header(packets.from(*offset)).is_ok())
}

/// What a packet of this side says; those of the other side say nothing.
fn said(packet: Packet, by: Side) -> Vec<What> {
    let version = |(major, minor): (u8, u8)| format!("{major}.{minor}");
    let one = match (by, packet) {
        (Side::Client, Packet::HandshakeRequest { version: v, auth }) => {
            What::GatewayHandshake { by, version: version(v), auth: u32::from(auth), code: None }
        }
        (Side::Server, Packet::HandshakeResponse { code, version: v, auth }) => {
            What::GatewayHandshake { by, version: version(v), auth: u32::from(auth), code: Some(code) }
        }
        (Side::Client, Packet::TunnelCreate { capabilities, cookie, .. }) => {
            What::GatewayTunnelAsked { capabilities, cookie }
        }
        (Side::Server, Packet::TunnelResponse { code, tunnel, consent, .. }) => {
            let answered = What::GatewayTunnelAnswered { code, tunnel };
            return std::iter::once(answered)
                .chain(consent.map(|text| What::GatewayMessage { text }))
                .collect();
        }
        (Side::Client, Packet::TunnelAuth { client_name }) => What::GatewayAuthorizationAsked { client_name },
        (Side::Server, Packet::TunnelAuthResponse { code, redirection, idle_minutes }) => {
            What::GatewayAuthorized { code, redirection, idle_minutes }
        }
        (Side::Client, Packet::ChannelCreate { targets, port }) => {
            What::GatewayChannelAsked { target: targets.join(","), port: u32::from(port) }
        }
        (Side::Server, Packet::ChannelResponse { code, .. }) => What::GatewayChannelAnswered { code },
        (Side::Server, Packet::ServiceMessage { text }) => What::GatewayMessage { text },
        (Side::Server, Packet::Reauth) => What::GatewayReauthentication {},
        (_, Packet::Close { code }) => What::GatewayClosed { by, code },
        _ => return Vec::new(),
    };
    vec![one]
}

/// The gateway let the client through to the host.
pub(super) fn is_open(said: &[(Sighting, What)]) -> bool {
    said.iter().any(|(_, what)| matches!(what, What::GatewayChannelAnswered { code: Status(0) }))
}
