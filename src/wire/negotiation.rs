//! X.224 connection request and confirm with their RDP negotiation data (MS-RDPBCGR 2.2.1.1 and 2.2.1.2).

use super::cursor::{Cursor, WireError};

/// Security protocols, as bits (MS-RDPBCGR 2.2.1.1.1). Unknown bits are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Protocols(pub u32);

impl Protocols {
    /// Standard RDP Security: no bit at all.
    pub const RDP: Self = Self(0x00);
    /// TLS.
    pub const SSL: Self = Self(0x01);
    /// CredSSP over TLS.
    pub const HYBRID: Self = Self(0x02);
    /// RDSTLS.
    pub const RDSTLS: Self = Self(0x04);
    /// CredSSP with an Early User Authorization Result.
    pub const HYBRID_EX: Self = Self(0x08);
    /// Microsoft Entra ID authentication.
    pub const RDSAAD: Self = Self(0x10);

    const NAMES: [(Self, &'static str); 5] = [
        (Self::SSL, "TLS"),
        (Self::HYBRID, "NLA"),
        (Self::RDSTLS, "RDSTLS"),
        (Self::HYBRID_EX, "NLA with early authorization"),
        (Self::RDSAAD, "Entra ID"),
    ];

    /// All bits of `other` are set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// No bit is set: Standard RDP Security.
    #[must_use]
    pub const fn is_standard_security(self) -> bool {
        self.0 == 0
    }

    /// CredSSP follows the TLS handshake.
    #[must_use]
    pub const fn is_nla(self) -> bool {
        self.0 & (Self::HYBRID.0 | Self::HYBRID_EX.0) != 0
    }

    /// The names of the bits, for people.
    #[must_use]
    pub fn words(self) -> String {
        if self.is_standard_security() {
            return "Standard RDP Security".to_owned();
        }
        let mut names: Vec<String> =
            Self::NAMES.iter().filter(|(bit, _)| self.contains(*bit)).map(|(_, n)| (*n).to_owned()).collect();
        let known = Self::NAMES.iter().fold(0, |sum, (bit, _)| sum | bit.0);
        if self.0 & !known != 0 {
            names.push(format!("unknown bits {:#x}", self.0 & !known));
        }
        names.join(", ")
    }
}

/// Reason of an `RDP_NEG_FAILURE` (MS-RDPBCGR 2.2.1.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FailureCode(pub u32);

impl FailureCode {
    /// The server requires TLS.
    pub const SSL_REQUIRED: Self = Self(1);
    /// The server has Standard RDP Security only.
    pub const SSL_NOT_ALLOWED: Self = Self(2);
    /// The server has no certificate for TLS.
    pub const SSL_CERT_NOT_ON_SERVER: Self = Self(3);
    /// The flags do not fit the security already in force.
    pub const INCONSISTENT_FLAGS: Self = Self(4);
    /// The server requires CredSSP.
    pub const HYBRID_REQUIRED: Self = Self(5);
    /// The server requires TLS with a client certificate.
    pub const SSL_WITH_USER_AUTH_REQUIRED: Self = Self(6);

    /// The constant's name in the specification, or `None` for an unlisted code.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::SSL_REQUIRED => "SSL_REQUIRED_BY_SERVER",
            Self::SSL_NOT_ALLOWED => "SSL_NOT_ALLOWED_BY_SERVER",
            Self::SSL_CERT_NOT_ON_SERVER => "SSL_CERT_NOT_ON_SERVER",
            Self::INCONSISTENT_FLAGS => "INCONSISTENT_FLAGS",
            Self::HYBRID_REQUIRED => "HYBRID_REQUIRED_BY_SERVER",
            Self::SSL_WITH_USER_AUTH_REQUIRED => "SSL_WITH_USER_AUTH_REQUIRED_BY_SERVER",
            _ => return None,
        })
    }
}

/// What a connection request says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Request {
    /// The `mstshash` cookie, as bytes.
    pub cookie: Option<Vec<u8>>,
    /// The routing token: any first line that is not the `mstshash` cookie.
    pub token: Option<Vec<u8>>,
    /// Flags of the negotiation request, when it is there.
    pub flags: u8,
    /// Protocols asked for; `None` without negotiation data, which means Standard RDP Security.
    pub protocols: Option<Protocols>,
    /// Correlation id (MS-RDPBCGR 2.2.1.1.2), when it is there.
    pub correlation_id: Option<[u8; 16]>,
}

/// What a connection confirm says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confirm {
    /// No negotiation data: Standard RDP Security.
    Plain,
    /// `RDP_NEG_RSP`.
    Selected {
        /// Flags.
        flags: u8,
        /// The protocol chosen.
        protocol: Protocols,
    },
    /// `RDP_NEG_FAILURE`.
    Refused(FailureCode),
    /// A structure of another type.
    Unknown {
        /// The type byte.
        kind: u8,
    },
}

const TYPE_REQUEST: u8 = 1;
const TYPE_RESPONSE: u8 = 2;
const TYPE_FAILURE: u8 = 3;
const TYPE_CORRELATION: u8 = 6;
const FLAG_CORRELATION: u8 = 0x08;
const COOKIE: &[u8] = b"Cookie: mstshash=";

/// Reads what follows the fixed header of an X.224 connection request: an optional line ended by CR LF, then an
/// optional `RDP_NEG_REQ` (8 bytes) and correlation info (36 bytes).
///
/// Lenient: data that is cut or unknown leaves its field `None`.
#[must_use]
pub fn request(body: &[u8]) -> Request {
    let mut request = Request::default();
    let mut rest = body;
    if let Some(end) = body.windows(2).position(|pair| pair == b"\r\n") {
        let line = body.get(..end).unwrap_or_default();
        match line.strip_prefix(COOKIE) {
            Some(name) => request.cookie = Some(name.to_vec()),
            None => request.token = Some(line.to_vec()),
        }
        rest = body.get(end.saturating_add(2)..).unwrap_or_default();
    }
    let Ok((flags, protocols, after)) = structure(rest, TYPE_REQUEST) else { return request };
    request.flags = flags;
    request.protocols = Some(Protocols(protocols));
    if flags & FLAG_CORRELATION != 0 {
        let mut at = Cursor::new(after);
        if at.take::<4>("correlation header").is_ok_and(|[kind, ..]| kind == TYPE_CORRELATION) {
            request.correlation_id = at.take::<16>("correlationId").ok();
        }
    }
    request
}

/// Reads what follows the fixed header of an X.224 connection confirm.
///
/// # Errors
/// [`WireError::Short`] when the structure is cut.
pub fn confirm(body: &[u8]) -> Result<Confirm, WireError> {
    let Some(kind) = body.first() else { return Ok(Confirm::Plain) };
    match *kind {
        TYPE_RESPONSE => structure(body, TYPE_RESPONSE)
            .map(|(flags, p, _)| Confirm::Selected { flags, protocol: Protocols(p) }),
        TYPE_FAILURE => structure(body, TYPE_FAILURE).map(|(_, code, _)| Confirm::Refused(FailureCode(code))),
        kind => Ok(Confirm::Unknown { kind }),
    }
}

/// The common shape: type, flags, length 8 (2 bytes, little-endian), a value of 4 bytes, little-endian.
fn structure(bytes: &[u8], kind: u8) -> Result<(u8, u32, &[u8]), WireError> {
    let mut at = Cursor::new(bytes);
    let found = at.u8("type")?;
    if found != kind {
        return Err(WireError::Invalid { what: "type", found: u64::from(found) });
    }
    let flags = at.u8("flags")?;
    at.u16_le("length")?;
    let value = at.u32_le("value")?;
    Ok((flags, value, at.rest()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_with_cookie_and_protocols() {
        let mut body = b"Cookie: mstshash=labuser\r\n".to_vec();
        body.extend([1, 0, 8, 0, 0x0b, 0, 0, 0]);
        let read = request(&body);
        assert_eq!(read.cookie.as_deref(), Some(&b"labuser"[..]));
        assert_eq!(read.protocols, Some(Protocols(0x0b)));
        assert_eq!(Protocols(0x4b).words(), "TLS, NLA, NLA with early authorization, unknown bits 0x40");
    }

    #[test]
    fn a_routing_token_is_no_cookie() {
        let read = request(b"Cookie: msts=3640205228.15629.0000\r\n");
        assert_eq!((read.cookie, read.protocols), (None, None));
        assert_eq!(read.token.as_deref(), Some(&b"Cookie: msts=3640205228.15629.0000"[..]));
    }

    #[test]
    fn correlation_info_is_read() {
        let mut body = vec![1, 8, 8, 0, 3, 0, 0, 0, 6, 0, 36, 0];
        body.extend([7; 16]);
        body.extend([0; 16]);
        assert_eq!(request(&body).correlation_id, Some([7; 16]));
    }

    #[test]
    fn an_unlisted_failure_code_is_kept() {
        assert_eq!(confirm(&[3, 0, 8, 0, 0x2a, 0, 0, 0]), Ok(Confirm::Refused(FailureCode(0x2a))));
        assert_eq!(FailureCode(0x2a).name(), None);
        assert_eq!(confirm(&[]), Ok(Confirm::Plain));
        assert_eq!(confirm(&[3, 0, 8]), Err(WireError::Short { what: "length", need: 2, have: 1 }));
    }
}
