//! Licensing messages (MS-RDPELE 2.2.2, MS-RDPBCGR 2.2.1.12): what each is, whom it names, and why licensing failed.

use super::cursor::Cursor;
use super::text::text_to_nul;

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

/// `bMsgType` of a licensing message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LicenseKind(pub u8);

impl LicenseKind {
    /// The server names itself and its product.
    pub const LICENSE_REQUEST: Self = Self(0x01);
    /// The server asks what machine the client is.
    pub const PLATFORM_CHALLENGE: Self = Self(0x02);
    /// The client gets a licence.
    pub const NEW_LICENSE: Self = Self(0x03);
    /// The client gets a better licence.
    pub const UPGRADE_LICENSE: Self = Self(0x04);
    /// The client shows a licence.
    pub const LICENSE_INFO: Self = Self(0x12);
    /// The client asks for a licence.
    pub const NEW_LICENSE_REQUEST: Self = Self(0x13);
    /// The client tells what machine it is.
    pub const PLATFORM_CHALLENGE_RESPONSE: Self = Self(0x15);
    /// An error, or the end of licensing.
    pub const ERROR_ALERT: Self = Self(0xff);

    /// The name in the specification, or `None` for an unlisted number.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::LICENSE_REQUEST => "LICENSE_REQUEST",
            Self::PLATFORM_CHALLENGE => "PLATFORM_CHALLENGE",
            Self::NEW_LICENSE => "NEW_LICENSE",
            Self::UPGRADE_LICENSE => "UPGRADE_LICENSE",
            Self::LICENSE_INFO => "LICENSE_INFO",
            Self::NEW_LICENSE_REQUEST => "NEW_LICENSE_REQUEST",
            Self::PLATFORM_CHALLENGE_RESPONSE => "PLATFORM_CHALLENGE_RESPONSE",
            Self::ERROR_ALERT => "ERROR_ALERT",
            _ => return None,
        })
    }
}

/// `dwStateTransition` of an error message (MS-RDPBCGR 2.2.1.12.1.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StateTransition(pub u32);

impl StateTransition {
    /// The constant's name, or `None` for an unlisted number.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            1 => "ST_TOTAL_ABORT",
            2 => "ST_NO_TRANSITION",
            3 => "ST_RESET_PHASE_TO_START",
            4 => "ST_RESEND_LAST_MESSAGE",
            _ => return None,
        })
    }
}

/// A licensing message. What its kind does not have is `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LicenseMessage {
    /// `bMsgType`.
    pub kind: LicenseKind,
    /// Version of the preamble and its flags.
    pub flags: u8,
    /// `dwErrorCode`, of an error message.
    pub error: Option<LicenseErrorCode>,
    /// `dwStateTransition`, of an error message.
    pub transition: Option<StateTransition>,
    /// `ProductInfo` of a request: company and product.
    pub product: Option<(String, String)>,
    /// `PlatformId` of what a client sends.
    pub platform: Option<u32>,
    /// `ClientUserName` of a new license request.
    pub user: Option<String>,
    /// `ClientMachineName` of a new license request.
    pub machine: Option<String>,
}

/// Every `bMsgType` that is defined.
const KINDS: [LicenseKind; 8] = [
    LicenseKind::LICENSE_REQUEST,
    LicenseKind::PLATFORM_CHALLENGE,
    LicenseKind::NEW_LICENSE,
    LicenseKind::UPGRADE_LICENSE,
    LicenseKind::LICENSE_INFO,
    LicenseKind::NEW_LICENSE_REQUEST,
    LicenseKind::PLATFORM_CHALLENGE_RESPONSE,
    LicenseKind::ERROR_ALERT,
];
/// Bytes of a client or server random.
const RANDOM_BYTES: usize = 32;

/// Reads what follows the security header: type (1), flags (1), size (2), then what belongs to the type.
#[must_use]
pub fn message(bytes: &[u8]) -> Option<LicenseMessage> {
    let mut at = Cursor::new(bytes);
    let kind = at.u8("bMsgType").ok().map(LicenseKind).filter(|kind| KINDS.contains(kind))?;
    let flags = at.u8("flags").ok()?;
    let size = usize::from(at.u16_le("wMsgSize").ok()?);
    if size < 4 || size > bytes.len() {
        return None;
    }
    let mut message = LicenseMessage {
        kind,
        flags,
        error: None,
        transition: None,
        product: None,
        platform: None,
        user: None,
        machine: None,
    };
    match kind {
        LicenseKind::ERROR_ALERT => {
            message.error = at.u32_le("dwErrorCode").ok().map(LicenseErrorCode);
            message.transition = at.u32_le("dwStateTransition").ok().map(StateTransition);
        }
        LicenseKind::LICENSE_REQUEST => message.product = product(&mut at),
        LicenseKind::LICENSE_INFO => message.platform = platform(&mut at),
        LicenseKind::NEW_LICENSE_REQUEST => {
            message.platform = platform(&mut at);
            names(&mut at, &mut message);
        }
        _ => {}
    }
    Some(message)
}

/// Behind the server random (32): version (4), company and product, each UTF-16 with a length of 4 bytes.
fn product(at: &mut Cursor<'_>) -> Option<(String, String)> {
    at.slice(RANDOM_BYTES, "ServerRandom").ok()?;
    at.u32_le("dwVersion").ok()?;
    let mut name = || {
        let length = usize::try_from(at.u32_le("length").ok()?).ok()?;
        Some(text_to_nul(at.slice(length, "name").ok()?, true).unwrap_or_default())
    };
    Some((name()?, name()?))
}

/// `PreferredKeyExchangeAlg` (4) and `PlatformId` (4).
fn platform(at: &mut Cursor<'_>) -> Option<u32> {
    at.u32_le("PreferredKeyExchangeAlg").ok()?;
    at.u32_le("PlatformId").ok()
}

/// Client random (32), encrypted premaster secret, user and machine, each a blob of type (2), length (2) and bytes.
fn names(at: &mut Cursor<'_>, message: &mut LicenseMessage) -> Option<()> {
    at.slice(RANDOM_BYTES, "ClientRandom").ok()?;
    blob(at)?;
    message.user = text_to_nul(blob(at)?, false);
    message.machine = text_to_nul(blob(at)?, false);
    Some(())
}

fn blob<'a>(at: &mut Cursor<'a>) -> Option<&'a [u8]> {
    at.u16_le("wBlobType").ok()?;
    let length = at.u16_le("wBlobLen").ok()?;
    at.slice(usize::from(length), "blob").ok()
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "tests may panic")]
mod tests {
    use super::*;

    fn whole(kind: u8, data: &[u8]) -> Vec<u8> {
        let size = u16::try_from(data.len() + 4).unwrap();
        [&[kind, 3][..], &size.to_le_bytes(), data].concat()
    }

    #[test]
    fn an_error_alert_has_a_code_and_a_request_none() {
        let alert = [0xff, 3, 16, 0, 6, 0, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0];
        let read = message(&alert).unwrap();
        assert_eq!(read.error, Some(LicenseErrorCode::NO_LICENSE_SERVER));
        assert_eq!(read.error.and_then(LicenseErrorCode::name), Some("ERR_NO_LICENSE_SERVER"));
        assert_eq!(read.transition.and_then(StateTransition::name), Some("ST_TOTAL_ABORT"));
        assert_eq!(message(&[1, 3, 8, 0, 9, 9, 9, 9]).map(|read| read.error), Some(None));
        assert_eq!(message(&[0x40, 3, 4, 0]), None);
        assert_eq!(message(&[0xff, 3, 200, 0, 6, 0, 0, 0]), None);
    }

    #[test]
    fn a_request_names_the_product_and_a_new_license_request_the_client() {
        let mut request = vec![7; 32];
        request.extend([0, 0, 6, 0, 6, 0, 0, 0, b'M', 0, b'S', 0, 0, 0, 4, 0, 0, 0, b'A', 0, 0, 0]);
        let read = message(&whole(1, &request)).unwrap();
        assert_eq!(read.product, Some(("MS".to_owned(), "A".to_owned())));
        let mut asked = vec![1, 0, 0, 0, 0, 0, 1, 4];
        asked.extend([7; 32]);
        asked.extend([2, 0, 3, 0, 9, 9, 9]);
        asked.extend(b"\x0f\0\x03\0me\0\x10\0\x03\0PC\0");
        let read = message(&whole(0x13, &asked)).unwrap();
        assert_eq!((read.user.as_deref(), read.machine.as_deref()), (Some("me"), Some("PC")));
        assert_eq!((read.platform, read.kind.name()), (Some(0x0401_0000), Some("NEW_LICENSE_REQUEST")));
        assert_eq!(message(&whole(0x13, &asked[..20])).unwrap().user, None);
    }
}
