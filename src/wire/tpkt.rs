//! TPKT (RFC 1006, T.123) and X.224 (class 0) framing, and fast-path PDUs told apart from them.

use super::cursor::{Cursor, WireError};

/// X.224 TPDU code in the high nibble (X.224 13).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TpduCode(pub u8);

impl TpduCode {
    /// Connection request.
    pub const CONNECTION_REQUEST: Self = Self(0xe0);
    /// Connection confirm.
    pub const CONNECTION_CONFIRM: Self = Self(0xd0);
    /// Disconnect request.
    pub const DISCONNECT_REQUEST: Self = Self(0x80);
    /// Data.
    pub const DATA: Self = Self(0xf0);
    /// Error.
    pub const ERROR: Self = Self(0x70);
}

/// One unit of the clear RDP stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit<'a> {
    /// A TPKT packet with an X.224 TPDU.
    Tpdu {
        /// TPDU code.
        code: TpduCode,
        /// What follows the fixed X.224 header.
        body: &'a [u8],
        /// Length of the whole TPKT packet, in bytes.
        length: usize,
    },
    /// A fast-path PDU (MS-RDPBCGR 2.2.8.1.2 and 2.2.9.1.2).
    FastPath {
        /// Length of the whole PDU, in bytes.
        length: usize,
    },
}

impl Unit<'_> {
    /// Length of the whole unit, in bytes.
    #[must_use]
    pub const fn length(&self) -> usize {
        match self {
            Self::Tpdu { length, .. } | Self::FastPath { length } => *length,
        }
    }
}

/// Bytes of the TPKT header.
pub const TPKT_HEADER: usize = 4;

/// Reads the unit at the start of `bytes`.
///
/// TPKT: version 3, a reserved byte, the total length in 2 bytes, big-endian; then the X.224 length indicator and
/// code. Fast-path: the two low bits of the first byte are 0, the length takes 1 or 2 bytes.
///
/// # Errors
/// [`WireError::Short`] when the unit is not whole, [`WireError::Invalid`] when the bytes start neither kind.
pub fn unit(bytes: &[u8]) -> Result<Unit<'_>, WireError> {
    let mut at = Cursor::new(bytes);
    let version = at.u8("version")?;
    if version != 3 {
        return fast_path(bytes, version);
    }
    at.u8("reserved")?;
    let length = usize::from(at.u16_be("length")?);
    if length < 7 {
        return Err(WireError::Invalid { what: "TPKT length", found: u64::try_from(length).unwrap_or(0) });
    }
    let whole =
        bytes.get(..length).ok_or(WireError::Short { what: "TPKT", need: length, have: bytes.len() })?;
    let mut at = Cursor::new(whole.get(TPKT_HEADER..).unwrap_or_default());
    let indicator = usize::from(at.u8("X.224 length indicator")?);
    let header = at.slice(indicator.min(at.rest().len()), "X.224 header")?;
    let mut header = Cursor::new(header);
    let code = TpduCode(header.u8("X.224 code")? & 0xf0);
    let body = match code {
        TpduCode::CONNECTION_REQUEST | TpduCode::CONNECTION_CONFIRM => {
            header.slice(5, "X.224 references and class")?;
            header.rest()
        }
        TpduCode::DISCONNECT_REQUEST | TpduCode::ERROR => header.rest(),
        _ => at.rest(),
    };
    Ok(Unit::Tpdu { code, body, length })
}

fn fast_path(bytes: &[u8], first: u8) -> Result<Unit<'_>, WireError> {
    if first & 0x03 != 0 {
        return Err(WireError::Invalid { what: "TPKT version", found: u64::from(first) });
    }
    let mut at = Cursor::new(bytes.get(1..).unwrap_or_default());
    let length = at.per_length("fast-path length")?;
    if length < 3 || length > bytes.len() {
        return Err(WireError::Short { what: "fast-path PDU", need: length, have: bytes.len() });
    }
    Ok(Unit::FastPath { length })
}

/// Reason of a disconnect request (X.224 13.5.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DisconnectCause(pub u8);

impl DisconnectCause {
    /// What it means in class 0, or `None` for a number that the standard does not list.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            0 => "reason not specified",
            1 => "congestion at TSAP",
            2 => "session entity not attached to TSAP",
            3 => "address unknown",
            128 => "normal disconnect",
            129 => "remote transport entity congestion",
            130 => "connection negotiation failed",
            133 => "protocol error",
            138 => "connection request refused on this network connection",
            _ => return None,
        })
    }
}

/// The reason of a disconnect request: of its body, behind both references (2 bytes each).
#[must_use]
pub fn disconnect_cause(body: &[u8]) -> Option<DisconnectCause> {
    let mut at = Cursor::new(body);
    at.take::<4>("DST-REF, SRC-REF").ok()?;
    at.u8("reason").ok().map(DisconnectCause)
}

/// Cause of an error TPDU (X.224 13.12): of its body, behind the reference (2 bytes). 0 is not specified, 1 an invalid
/// parameter code, 2 an invalid TPDU type, 3 an invalid parameter value.
#[must_use]
pub fn reject_cause(body: &[u8]) -> Option<u8> {
    let mut at = Cursor::new(body);
    at.take::<2>("DST-REF").ok()?;
    at.u8("reject cause").ok()
}

/// Do these first bytes of a stream start an X.224 connection request or confirm?
///
/// Shape: `None` while too few bytes are there to tell. A request or confirm is a TPKT of at least 11 bytes whose
/// X.224 length indicator fits it (MS-RDPBCGR 2.2.1.1, 2.2.1.2).
#[must_use]
pub fn starts_rdp(first: &[u8]) -> Option<TpduCode> {
    let mut at = Cursor::new(first);
    let header = at.take::<TPKT_HEADER>("TPKT").ok()?;
    let [3, 0, high, low] = header else { return None };
    let length = usize::from(u16::from_be_bytes([high, low]));
    let indicator = usize::from(at.u8("length indicator").ok()?);
    let code = TpduCode(at.u8("code").ok()?);
    let fits = indicator.checked_add(5) == Some(length) || (indicator >= 6 && indicator < length);
    let known = code == TpduCode::CONNECTION_REQUEST || code == TpduCode::CONNECTION_CONFIRM;
    (length >= 11 && fits && known).then_some(code)
}

/// Could these first bytes still become an X.224 connection request or confirm?
#[must_use]
pub fn may_start_rdp(first: &[u8]) -> bool {
    const MASK: [(u8, u8); 2] = [(3, 0xff), (0, 0xff)];
    first.iter().zip(MASK).all(|(byte, (want, mask))| byte & mask == want)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIRM: [u8; 19] = [3, 0, 0, 19, 14, 0xd0, 0, 0, 0x12, 0x34, 0, 2, 0, 8, 0, 2, 0, 0, 0];

    #[test]
    fn a_confirm_is_recognised_and_read() {
        assert_eq!(starts_rdp(&CONFIRM), Some(TpduCode::CONNECTION_CONFIRM));
        let read = unit(&CONFIRM);
        assert_eq!(
            read,
            Ok(Unit::Tpdu {
                code: TpduCode::CONNECTION_CONFIRM,
                body: &[2, 0, 8, 0, 2, 0, 0, 0],
                length: 19
            })
        );
    }

    #[test]
    fn other_protocols_do_not_start_rdp() {
        for bytes in [&b"SSH-2.0-x"[..], b"HTTP/1.1 400", &[0x16, 3, 1, 0, 5, 1], &[3, 0, 0, 4, 2, 0xf0]] {
            assert_eq!(starts_rdp(bytes), None);
        }
        assert!(may_start_rdp(&[3]));
        assert!(!may_start_rdp(b"S"));
    }

    #[test]
    fn a_cut_unit_says_what_it_needs() {
        let cut = CONFIRM.get(..10).map(unit);
        assert_eq!(cut, Some(Err(WireError::Short { what: "TPKT", need: 19, have: 10 })));
    }

    #[test]
    fn disconnect_requests_and_errors_have_a_cause() {
        let body = |bytes: &'static [u8]| match unit(bytes) {
            Ok(Unit::Tpdu { body, .. }) => body,
            other => panic!("{other:?}"),
        };
        let cause = disconnect_cause(body(&[3, 0, 0, 11, 6, 0x80, 0, 0, 0x12, 0x34, 128]));
        assert_eq!(cause.and_then(DisconnectCause::name), Some("normal disconnect"));
        assert_eq!(reject_cause(body(&[3, 0, 0, 9, 4, 0x70, 0, 0, 2])), Some(2));
        assert_eq!(disconnect_cause(body(&[3, 0, 0, 7, 2, 0x80, 0])), None);
        assert_eq!(DisconnectCause(77).name(), None);
    }

    #[test]
    fn fast_path_is_told_apart() {
        assert_eq!(unit(&[0, 5, 1, 2, 3, 9]), Ok(Unit::FastPath { length: 5 }));
        assert_eq!(unit(&[0x16, 3, 1]), Err(WireError::Invalid { what: "TPKT version", found: 0x16 }));
    }
}
