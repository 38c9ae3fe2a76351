//! What sets up the UDP transport: the Initiate Multitransport PDUs of the main connection (MS-RDPBCGR 2.2.15) and the
//! tunnel PDUs inside of the new transport (MS-RDPEMT 2.2). All little-endian.

use super::cursor::{Cursor, WireError};

/// Flags of the basic security header in front of the two PDUs of the main connection (MS-RDPBCGR 2.2.8.1.1.2.1).
const TRANSPORT_REQUEST: u16 = 0x0002;
const TRANSPORT_RESPONSE: u16 = 0x0004;

/// `requestedProtocol`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestedProtocol(pub u16);

impl RequestedProtocol {
    /// Reliable: what is lost is sent again, TLS inside.
    pub const RELIABLE: Self = Self(0x01);
    /// Lossy: DTLS inside.
    pub const LOSSY: Self = Self(0x02);
}

/// A PDU of the main connection about the UDP transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Initiate {
    /// Initiate Multitransport Request, from the server (MS-RDPBCGR 2.2.15.1).
    Request {
        /// `requestId`.
        request: u32,
        /// `requestedProtocol`.
        protocol: RequestedProtocol,
        /// `securityCookie`: whoever has it may open the transport.
        cookie: [u8; 16],
    },
    /// Initiate Multitransport Response, from the client (MS-RDPBCGR 2.2.15.2).
    Response {
        /// `requestId` of the request it answers.
        request: u32,
        /// `hrResponse`, an HRESULT.
        result: u32,
    },
}

/// Reads the payload of an MCS data PDU from its basic security header (4) on: `requestId` (4), then `requestedProtocol`
/// (2), reserved (2) and cookie (16), or `hrResponse` (4).
///
/// # Errors
/// [`WireError`] when it is none of both, or longer or shorter: other channels have other headers, in which the same
/// flags can stand by chance.
pub fn initiate(payload: &[u8]) -> Result<Initiate, WireError> {
    let mut at = Cursor::new(payload);
    let flags = at.u16_le("flags")?;
    at.u16_le("flagsHi")?;
    let request = at.u32_le("requestId")?;
    let read = match flags {
        TRANSPORT_REQUEST => {
            let protocol = RequestedProtocol(at.u16_le("requestedProtocol")?);
            let reserved = at.u16_le("reserved")?;
            if reserved != 0 {
                return Err(WireError::Invalid { what: "reserved", found: reserved.into() });
            }
            Initiate::Request { request, protocol, cookie: at.take("securityCookie")? }
        }
        TRANSPORT_RESPONSE => Initiate::Response { request, result: at.u32_le("hrResponse")? },
        other => return Err(WireError::Invalid { what: "flags", found: other.into() }),
    };
    match at.rest().len() {
        0 => Ok(read),
        more => Err(WireError::Invalid { what: "length", found: u64::try_from(more).unwrap_or(u64::MAX) }),
    }
}

/// A PDU of the tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TunnelPdu {
    /// Tunnel Create Request, from the client (MS-RDPEMT 2.2.2.1).
    CreateRequest {
        /// `RequestID` of the Initiate Multitransport Request.
        request: u32,
        /// `SecurityCookie` of the same.
        cookie: [u8; 16],
    },
    /// Tunnel Create Response, from the server (MS-RDPEMT 2.2.2.2).
    CreateResponse {
        /// `HrResponse`, an HRESULT.
        result: u32,
    },
    /// Data of virtual channels (MS-RDPEMT 2.2.2.3).
    Data,
    /// Another action.
    Other(u8),
}

/// Bytes of a Tunnel Create Request.
pub const CREATE_REQUEST_BYTES: u32 = 28;
/// Bytes of a Tunnel Create Response.
pub const CREATE_RESPONSE_BYTES: u32 = 8;

/// Reads the tunnel PDU at the start of `bytes`: action and flags (4 bits each), `PayloadLength` (2), `HeaderLength` (1)
/// with any subheaders, then the payload.
///
/// # Errors
/// [`WireError`] when it is cut or its lengths cannot be.
pub fn tunnel(bytes: &[u8]) -> Result<TunnelPdu, WireError> {
    let mut at = Cursor::new(bytes);
    let first = at.u8("Action")?;
    let payload = at.u16_le("PayloadLength")?;
    let header = at.u8("HeaderLength")?;
    let Some(subheaders) = header.checked_sub(4) else {
        return Err(WireError::Invalid { what: "HeaderLength", found: header.into() });
    };
    at.slice(usize::from(subheaders), "SubHeaders")?;
    let mut at = Cursor::new(at.slice(usize::from(payload), "payload")?);
    Ok(match first & 0x0f {
        0 => {
            let request = at.u32_le("RequestID")?;
            at.u32_le("Reserved")?;
            TunnelPdu::CreateRequest { request, cookie: at.take("SecurityCookie")? }
        }
        1 => TunnelPdu::CreateResponse { result: at.u32_le("HrResponse")? },
        2 => TunnelPdu::Data,
        other => TunnelPdu::Other(other),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pdus_of_the_main_connection_are_told_by_flag_and_length() {
        let mut request = vec![2, 0, 0, 0, 7, 0, 0, 0, 1, 0, 0, 0];
        request.extend([0xc0; 16]);
        let asked =
            Initiate::Request { request: 7, protocol: RequestedProtocol::RELIABLE, cookie: [0xc0; 16] };
        assert_eq!(initiate(&request), Ok(asked));
        request.push(0);
        assert_eq!(initiate(&request), Err(WireError::Invalid { what: "length", found: 1 }));
        let response = [4, 0, 0, 0, 7, 0, 0, 0, 4, 0x40, 0, 0x80];
        assert_eq!(initiate(&response), Ok(Initiate::Response { request: 7, result: 0x8000_4004 }));
        assert_eq!(
            initiate(&[0x42, 0, 0, 0, 7, 0, 0, 0]),
            Err(WireError::Invalid { what: "flags", found: 0x42 })
        );
    }

    #[test]
    fn tunnel_pdus_are_read_behind_their_subheaders() {
        let mut request = vec![0, 24, 0, 4, 9, 0, 0, 0, 0, 0, 0, 0];
        request.extend([0xc0; 16]);
        assert_eq!(u32::try_from(request.len()), Ok(CREATE_REQUEST_BYTES));
        assert_eq!(tunnel(&request), Ok(TunnelPdu::CreateRequest { request: 9, cookie: [0xc0; 16] }));
        let response = [1, 4, 0, 4, 0x57, 0, 7, 0x80];
        assert_eq!(u32::try_from(response.len()), Ok(CREATE_RESPONSE_BYTES));
        assert_eq!(tunnel(&response), Ok(TunnelPdu::CreateResponse { result: 0x8007_0057 }));
        assert_eq!(tunnel(&[2, 1, 0, 6, 2, 0, 0xaa]), Ok(TunnelPdu::Data));
        assert_eq!(tunnel(&[2, 1, 0, 3, 2]), Err(WireError::Invalid { what: "HeaderLength", found: 3 }));
        assert_eq!(tunnel(&[1, 4, 0, 4, 0]), Err(WireError::Short { what: "payload", need: 4, have: 1 }));
    }
}
