//! What goes through the HTTP transport of an RD Gateway (MS-TSGU 2.2.10): packets of a header of 8 bytes and a body,
//! little-endian.

use super::cursor::{Cursor, WireError};
use crate::codes::Status;

/// Bytes of the header: type, 2 reserved, length of the whole.
pub const HEADER: usize = 8;
/// Longest packet that is believed: data of 64 KiB, a cookie or a consent message of as much.
pub const PACKET_BYTES_MAX: u32 = 256 * 1024;
/// Requests that are those of a gateway's client by their first bytes: both transports over HTTP, and RPC over HTTP.
const REQUESTS: [&[u8]; 5] =
    [b"RDG_OUT_DATA /", b"RDG_IN_DATA /", b"RPC_OUT_DATA /", b"RPC_IN_DATA /", b"GET /remotedesktopgateway"];
/// Fewer bytes of such a request tell nothing.
const REQUEST_BYTES_MIN: usize = 8;

/// Could these be the first bytes of a request to a gateway?
#[must_use]
pub fn may_start_request(bytes: &[u8]) -> bool {
    REQUESTS.iter().any(|request| {
        let shared = request.len().min(bytes.len());
        let same = bytes.iter().zip(request.iter()).all(|(a, b)| a.eq_ignore_ascii_case(b));
        same && shared >= REQUEST_BYTES_MIN
    })
}

/// Kind of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kind(pub u16);

impl Kind {
    /// Data of the RDP connection.
    pub const DATA: Self = Self(0xa);
    /// The answer to the handshake, which is the first that a gateway sends.
    pub const HANDSHAKE_RESPONSE: Self = Self(0x2);

    /// The specification names it.
    #[must_use]
    pub const fn is_known(self) -> bool {
        matches!(self.0, 0x1..=0xd | 0x10 | 0x11)
    }
}

/// The header of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Kind.
    pub kind: Kind,
    /// Bytes of the whole packet, this header included.
    pub length: u32,
}

/// Reads the header of a packet.
///
/// # Errors
/// [`WireError::Short`] under 8 bytes; [`WireError::Invalid`] when kind, reserved bytes or length are none of a packet's.
pub fn header(bytes: &[u8]) -> Result<Header, WireError> {
    let mut at = Cursor::new(bytes);
    let kind = Kind(at.u16_le("packet type")?);
    let reserved = at.u16_le("reserved")?;
    let length = at.u32_le("packet length")?;
    if !kind.is_known() {
        return Err(WireError::Invalid { what: "packet type", found: u64::from(kind.0) });
    }
    if reserved != 0 {
        return Err(WireError::Invalid { what: "reserved", found: u64::from(reserved) });
    }
    let least = if kind == Kind::DATA { 10 } else { 8 };
    if !(least..=PACKET_BYTES_MAX).contains(&length) {
        return Err(WireError::Invalid { what: "packet length", found: u64::from(length) });
    }
    Ok(Header { kind, length })
}

/// A packet that is no data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet {
    /// The client's versions (2.2.10.10).
    HandshakeRequest {
        /// Version of the transport.
        version: (u8, u8),
        /// Extended ways to authenticate, as flags.
        auth: u16,
    },
    /// The gateway's versions (2.2.10.11).
    HandshakeResponse {
        /// Result.
        code: Status,
        /// Version of the transport.
        version: (u8, u8),
        /// Extended ways to authenticate, as flags.
        auth: u16,
    },
    /// The client asks for a tunnel (2.2.10.18).
    TunnelCreate {
        /// Capabilities, as flags.
        capabilities: u32,
        /// A PAA cookie is with it.
        cookie: bool,
        /// It renews a tunnel.
        reauthenticates: bool,
    },
    /// The gateway's answer (2.2.10.20).
    TunnelResponse {
        /// Result.
        code: Status,
        /// Number of the tunnel.
        tunnel: Option<u32>,
        /// Capabilities, as flags.
        capabilities: Option<u32>,
        /// A text that the user has to consent to.
        consent: Option<String>,
    },
    /// The client asks to be let in (2.2.10.14).
    TunnelAuth {
        /// Name of its computer.
        client_name: Option<String>,
    },
    /// The gateway's answer (2.2.10.16).
    TunnelAuthResponse {
        /// Result.
        code: Status,
        /// What may be redirected, as flags.
        redirection: Option<u32>,
        /// Minutes without traffic that are allowed.
        idle_minutes: Option<u32>,
    },
    /// The client asks for a channel (2.2.10.2).
    ChannelCreate {
        /// Names of the host, the alternate ones behind.
        targets: Vec<String>,
        /// Its port.
        port: u16,
    },
    /// The gateway's answer (2.2.10.4).
    ChannelResponse {
        /// Result.
        code: Status,
        /// Number of the channel.
        channel: Option<u32>,
    },
    /// A message for the user (2.2.10.13).
    ServiceMessage {
        /// Text.
        text: String,
    },
    /// The user has to authenticate again (2.2.10.12).
    Reauth,
    /// The channel is closed (2.2.10.5).
    Close {
        /// Why.
        code: Status,
    },
    /// The answer to that (2.2.10.6).
    CloseResponse {
        /// Result.
        code: Status,
    },
    /// Keep-alives, extended authentication, and kinds that nobody knows.
    Other(Kind),
}

/// Reads a whole packet, header included, that is no data. What a later version adds behind is passed over.
///
/// # Errors
/// What [`header`] says; [`WireError::Short`] when a field of it is missing.
pub fn packet(bytes: &[u8]) -> Result<Packet, WireError> {
    let Header { kind, length } = header(bytes)?;
    let whole = usize::try_from(length).unwrap_or(usize::MAX).min(bytes.len());
    let mut at = Cursor::new(bytes.get(HEADER..whole).unwrap_or_default());
    Ok(match kind.0 {
        0x1 => {
            let [major, minor] = at.take("version")?;
            at.u16_le("client version")?;
            Packet::HandshakeRequest { version: (major, minor), auth: at.u16_le("extended auth")? }
        }
        0x2 => {
            let code = status(&mut at)?;
            let [major, minor] = at.take("version")?;
            at.u16_le("server version")?;
            Packet::HandshakeResponse { code, version: (major, minor), auth: at.u16_le("extended auth")? }
        }
        0x4 => {
            let capabilities = at.u32_le("capabilities")?;
            let fields = at.u16_le("fields")?;
            Packet::TunnelCreate { capabilities, cookie: fields & 1 != 0, reauthenticates: fields & 2 != 0 }
        }
        0x5 => tunnel_response(at)?,
        0x6 => {
            at.u16_le("fields")?;
            Packet::TunnelAuth { client_name: text(&mut at).ok().filter(|name| !name.is_empty()) }
        }
        0x7 => {
            let code = status(&mut at)?;
            let fields = at.u16_le("fields").unwrap_or(0);
            let _ = at.u16_le("reserved");
            let redirection = present(fields, 1).and_then(|()| at.u32_le("redirection").ok());
            let idle_minutes = present(fields, 2).and_then(|()| at.u32_le("idle time-out").ok());
            Packet::TunnelAuthResponse { code, redirection, idle_minutes }
        }
        0x8 => channel_create(at)?,
        0x9 => {
            let code = status(&mut at)?;
            let fields = at.u16_le("fields").unwrap_or(0);
            let _ = at.u16_le("reserved");
            let channel = present(fields, 1).and_then(|()| at.u32_le("channel").ok());
            Packet::ChannelResponse { code, channel }
        }
        0xb => Packet::ServiceMessage { text: text(&mut at)? },
        0xc => Packet::Reauth,
        0x10 => Packet::Close { code: status(&mut at)? },
        0x11 => Packet::CloseResponse { code: status(&mut at)? },
        _ => Packet::Other(kind),
    })
}

fn present(fields: u16, bit: u16) -> Option<()> {
    (fields & bit != 0).then_some(())
}

fn status(at: &mut Cursor<'_>) -> Result<Status, WireError> {
    at.u32_le("code").map(Status)
}

fn tunnel_response(mut at: Cursor<'_>) -> Result<Packet, WireError> {
    at.u16_le("server version")?;
    let code = status(&mut at)?;
    let fields = at.u16_le("fields").unwrap_or(0);
    let _ = at.u16_le("reserved");
    let tunnel = present(fields, 1).and_then(|()| at.u32_le("tunnel").ok());
    let capabilities = present(fields, 2).and_then(|()| at.u32_le("capabilities").ok());
    if present(fields, 4).is_some() {
        let _ = at.slice(16, "nonce");
        let _ = text(&mut at);
    }
    let consent = present(fields, 0x10).and_then(|()| text(&mut at).ok()).filter(|text| !text.is_empty());
    Ok(Packet::TunnelResponse { code, tunnel, capabilities, consent })
}

fn channel_create(mut at: Cursor<'_>) -> Result<Packet, WireError> {
    let [names, others] = at.take("resources")?;
    let port = at.u16_le("port")?;
    at.u16_le("protocol")?;
    let mut targets = Vec::new();
    for _ in 0..u16::from(names).saturating_add(u16::from(others)) {
        let Ok(name) = text(&mut at) else { break };
        targets.push(name);
    }
    Ok(Packet::ChannelCreate { targets, port })
}

/// A text: its bytes in two bytes, then UTF-16, mostly ended by a zero.
fn text(at: &mut Cursor<'_>) -> Result<String, WireError> {
    let length = usize::from(at.u16_le("length of a text")?);
    let (pairs, _) = at.slice(length, "text")?.as_chunks::<2>();
    let units: Vec<u16> = pairs.iter().map(|pair| u16::from_le_bytes(*pair)).collect();
    Ok(String::from_utf16_lossy(&units).trim_end_matches('\0').to_owned())
}

/// The data of a data packet, as far as `bytes`, header included, hold it, and how long it is (2.2.10.6).
///
/// # Errors
/// [`WireError::Short`] under 10 bytes.
pub fn data(bytes: &[u8], length: u32) -> Result<(&[u8], u16), WireError> {
    let mut at = Cursor::new(bytes);
    at.take::<HEADER>("header")?;
    let most = length.saturating_sub(10);
    let told = at.u16_le("data length")?;
    let count = u16::try_from(u32::from(told).min(most)).unwrap_or(told);
    let rest = at.rest();
    Ok((rest.get(..usize::from(count).min(rest.len())).unwrap_or_default(), count))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built(kind: u16, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len().saturating_add(HEADER)).unwrap();
        [&kind.to_le_bytes()[..], &[0, 0], &length.to_le_bytes(), body].concat()
    }

    fn wide(text: &str) -> Vec<u8> {
        let bytes: Vec<u8> = text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect();
        [&u16::try_from(bytes.len()).unwrap().to_le_bytes()[..], &bytes].concat()
    }

    #[test]
    fn first_bytes_of_requests() {
        for request in [
            &b"RDG_OUT_DATA /remoteDesktopGateway/ HTTP/1.1"[..],
            b"RPC_IN_D",
            b"GET /RemoteDesktopGateway/?x",
        ] {
            assert!(may_start_request(request), "{request:?}");
        }
        for other in [
            &b"GET /index.html HTTP/1.1\r\n"[..],
            b"RDG_",
            b"",
            b"RPC_OUT_DATB /",
            b"POST /remoteDesktopGateway/",
        ] {
            assert!(!may_start_request(other), "{other:?}");
        }
    }

    #[test]
    fn the_packets_of_a_tunnel() {
        let request = built(1, &[1, 0, 0, 0, 2, 0]);
        assert_eq!(request.len(), 14);
        assert_eq!(packet(&request), Ok(Packet::HandshakeRequest { version: (1, 0), auth: 2 }));
        let answer = built(5, &[1, 0, 0, 0, 0, 0, 3, 0, 0, 0, 5, 0, 0, 0, 0x3f, 0, 0, 0]);
        assert_eq!(answer.len(), 26);
        let read = Packet::TunnelResponse {
            code: Status(0),
            tunnel: Some(5),
            capabilities: Some(0x3f),
            consent: None,
        };
        assert_eq!(packet(&answer), Ok(read));
        let auth = built(6, &[&[0, 0][..], &wide("CLIENT01")].concat());
        assert_eq!(packet(&auth), Ok(Packet::TunnelAuth { client_name: Some("CLIENT01".into()) }));
        let let_in = built(7, &[0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0x80, 30, 0, 0, 0]);
        assert_eq!(let_in.len(), 24);
        let read = Packet::TunnelAuthResponse {
            code: Status(0),
            redirection: Some(0x8000_0000),
            idle_minutes: Some(30),
        };
        assert_eq!(packet(&let_in), Ok(read));
    }

    #[test]
    fn the_packets_of_a_channel() {
        let asked =
            built(8, &[&[1, 1, 0x3d, 0x0d, 3, 0][..], &wide("rdsh01.lab.test"), &wide("rdsh01")].concat());
        let targets = vec!["rdsh01.lab.test".into(), "rdsh01".into()];
        assert_eq!(packet(&asked), Ok(Packet::ChannelCreate { targets, port: 3389 }));
        let refused = built(9, &[0xda, 0x59, 0x07, 0x80, 0, 0, 0, 0]);
        assert_eq!(
            packet(&refused),
            Ok(Packet::ChannelResponse { code: Status(0x8007_59da), channel: None })
        );
        let close = built(0x10, &[0, 0, 0, 0]);
        assert_eq!(packet(&close), Ok(Packet::Close { code: Status(0) }));
        assert_eq!(packet(&built(0xd, &[])), Ok(Packet::Other(Kind(0xd))));
    }

    #[test]
    fn data_is_no_longer_than_its_packet() {
        let whole = built(0xa, &[3, 0, 1, 2, 3]);
        assert_eq!(data(&whole, 13), Ok((&[1, 2, 3][..], 3)));
        assert_eq!(data(whole.get(..11).unwrap(), 13), Ok((&[1][..], 3)));
        let lies = built(0xa, &[0xff, 0xff, 1, 2, 3]);
        assert_eq!(data(&lies, 13), Ok((&[1, 2, 3][..], 3)));
    }

    #[test]
    fn what_is_no_packet_is_refused() {
        let bad = [
            built(0x20, &[]),
            [&[1, 0, 1, 0][..], &14_u32.to_le_bytes()].concat(),
            [&[0xa, 0, 0, 0][..], &9_u32.to_le_bytes()].concat(),
            [&[0xa, 0, 0, 0][..], &u32::MAX.to_le_bytes()].concat(),
        ];
        for bytes in bad {
            assert!(matches!(header(&bytes), Err(WireError::Invalid { .. })), "{bytes:?}");
        }
        assert!(matches!(packet(&built(9, &[1])), Err(WireError::Short { .. })));
    }
}
