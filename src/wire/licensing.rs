//! Licensing messages (MS-RDPELE 2.2.2, MS-RDPBCGR 2.2.1.12), as far as they say that licensing failed.

use super::cursor::Cursor;

/// `dwErrorCode` of a licensing error message (MS-RDPBCGR 2.2.1.12.1.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LicenseErrorCode(pub u32);

impl LicenseErrorCode {
    /// The server's licensing certificate is refused.
    pub const INVALID_SERVER_CERTIFICATE: Self = Self(1);
    /// There is no licence.
    pub const NO_LICENSE: Self = Self(2);
    /// The MAC of a message is wrong.
    pub const INVALID_MAC: Self = Self(3);
    /// No licence server was reached.
    pub const NO_LICENSE_SERVER: Self = Self(6);
    /// No error: licensing is complete.
    pub const VALID_CLIENT: Self = Self(7);
    /// The client is refused.
    pub const INVALID_CLIENT: Self = Self(8);

    /// The constant's name, or `None` for an unlisted number.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        crate::codes::LICENSE_ERRORS.name(self.0)
    }
}

/// A licensing message, by its preamble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LicenseMessage {
    /// `bMsgType`.
    pub kind: u8,
    /// `dwErrorCode`, of an error message.
    pub error: Option<LicenseErrorCode>,
}

/// `bMsgType` of an error message.
const ERROR_ALERT: u8 = 0xff;
/// Every `bMsgType` that is defined.
const KINDS: [u8; 8] = [0x01, 0x02, 0x03, 0x04, 0x12, 0x13, 0x15, ERROR_ALERT];

/// Reads what follows the security header: type (1), flags (1), size (2), then of an error its code (4).
#[must_use]
pub fn message(bytes: &[u8]) -> Option<LicenseMessage> {
    let mut at = Cursor::new(bytes);
    let kind = at.u8("bMsgType").ok().filter(|kind| KINDS.contains(kind))?;
    at.u8("flags").ok()?;
    let size = usize::from(at.u16_le("wMsgSize").ok()?);
    if size < 4 || size > bytes.len() {
        return None;
    }
    let error = (kind == ERROR_ALERT).then(|| at.u32_le("dwErrorCode").ok()).flatten();
    Some(LicenseMessage { kind, error: error.map(LicenseErrorCode) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_alert_has_a_code_and_a_request_none() {
        let alert = [0xff, 3, 16, 0, 6, 0, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0];
        let read = message(&alert).unwrap();
        assert_eq!(read.error, Some(LicenseErrorCode::NO_LICENSE_SERVER));
        assert_eq!(read.error.and_then(LicenseErrorCode::name), Some("ERR_NO_LICENSE_SERVER"));
        assert_eq!(message(&[1, 3, 8, 0, 9, 9, 9, 9]).map(|read| read.error), Some(None));
        assert_eq!(message(&[0x40, 3, 4, 0]), None);
        assert_eq!(message(&[0xff, 3, 200, 0, 6, 0, 0, 0]), None);
    }
}
