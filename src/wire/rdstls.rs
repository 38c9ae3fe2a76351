//! RDSTLS (MS-RDPBCGR 5.4.5.3, 2.2.17): authentication behind a redirection. Passwords, cookies and tokens are passed over.

use super::cursor::{Cursor, WireError};
use super::text::text_to_nul;
use crate::codes::Status;

/// An RDSTLS PDU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rdstls {
    /// Capabilities: the versions that a side supports, as bits.
    Capabilities {
        /// `supportedVersions`.
        versions: u16,
    },
    /// Authentication request with a password.
    Password {
        /// User.
        user: Option<String>,
        /// Domain.
        domain: Option<String>,
        /// Bytes of the redirection GUID.
        guid_bytes: u16,
    },
    /// Authentication request with an auto-reconnect cookie.
    Cookie {
        /// Session to continue.
        session_id: u32,
    },
    /// Authentication request with something else.
    Request {
        /// `dataType`.
        data: u16,
    },
    /// Authentication response.
    Response {
        /// `resultCode`: 0, or a Win32 error.
        result: Status,
    },
}

const CAPABILITIES: u16 = 1;
const REQUEST: u16 = 2;
const RESPONSE: u16 = 4;
const DATA_PASSWORD: u16 = 1;
const DATA_COOKIE: u16 = 2;
/// Versions that are known: RDSTLS_VERSION_1 and _2.
const VERSIONS: std::ops::RangeInclusive<u16> = 1..=2;

/// Reads the PDU at the start and returns it with its length: version (2), `pduType` (2), `dataType` (2), then what belongs
/// to it.
///
/// # Errors
/// [`WireError::Short`] when it is not whole, [`WireError::Invalid`] when version or type are none of RDSTLS.
pub fn pdu(bytes: &[u8]) -> Result<(Rdstls, usize), WireError> {
    let mut at = Cursor::new(bytes);
    let version = at.u16_le("version")?;
    if !VERSIONS.contains(&version) {
        return Err(WireError::Invalid { what: "version", found: u64::from(version) });
    }
    let kind = at.u16_le("pduType")?;
    let data = at.u16_le("dataType")?;
    let read = match (kind, data) {
        (CAPABILITIES, _) => Rdstls::Capabilities { versions: at.u16_le("supportedVersions")? },
        (RESPONSE, _) => Rdstls::Response { result: Status(at.u32_le("resultCode")?) },
        (REQUEST, DATA_PASSWORD) => password(&mut at)?,
        (REQUEST, DATA_COOKIE) => {
            let session_id = at.u32_le("sessionID")?;
            field(&mut at, "autoReconnectCookie")?;
            Rdstls::Cookie { session_id }
        }
        (REQUEST, data) => {
            // What stands in it is not known here, nor where it ends.
            at.slice(at.rest().len(), "authentication data")?;
            Rdstls::Request { data }
        }
        (other, _) => return Err(WireError::Invalid { what: "pduType", found: u64::from(other) }),
    };
    Ok((read, bytes.len().saturating_sub(at.rest().len())))
}

/// GUID, user, domain and password, each with a length of 2 bytes; strings are UTF-16 with an ending 0.
fn password(at: &mut Cursor<'_>) -> Result<Rdstls, WireError> {
    let guid = field(at, "redirectionGuid")?;
    let user = text_to_nul(field(at, "userName")?, true);
    let domain = text_to_nul(field(at, "domain")?, true);
    field(at, "password")?;
    Ok(Rdstls::Password { user, domain, guid_bytes: u16::try_from(guid.len()).unwrap_or(u16::MAX) })
}

fn field<'a>(at: &mut Cursor<'a>, what: &'static str) -> Result<&'a [u8], WireError> {
    let length = at.u16_le(what)?;
    at.slice(usize::from(length), what)
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, reason = "tests may panic")]
mod tests {
    use super::*;

    fn utf16(text: &str) -> Vec<u8> {
        text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect()
    }

    #[test]
    fn a_whole_exchange() {
        let capabilities = Rdstls::Capabilities { versions: 1 };
        assert_eq!(pdu(&[1, 0, 1, 0, 1, 0, 1, 0]), Ok((capabilities, 8)));
        let mut request = vec![1, 0, 2, 0, 1, 0];
        for field in [vec![7; 16], utf16("me"), utf16("LAB"), utf16("secret")] {
            request.extend(u16::try_from(field.len()).unwrap().to_le_bytes());
            request.extend(field);
        }
        let (read, length) = pdu(&request).unwrap();
        assert_eq!(length, request.len());
        assert!(!format!("{read:?}").contains("secret"));
        let named = Rdstls::Password { user: Some("me".into()), domain: Some("LAB".into()), guid_bytes: 16 };
        assert_eq!(read, named);
        assert!(matches!(pdu(&request[..30]), Err(WireError::Short { .. })));
        let response = Rdstls::Response { result: Status(0x52e) };
        assert_eq!(pdu(&[1, 0, 4, 0, 1, 0, 0x2e, 5, 0, 0, 9]), Ok((response, 10)));
    }

    #[test]
    fn cookies_other_data_and_other_protocols() {
        let cookie = [1, 0, 2, 0, 2, 0, 5, 0, 0, 0, 2, 0, 8, 8];
        assert_eq!(pdu(&cookie), Ok((Rdstls::Cookie { session_id: 5 }, 14)));
        assert_eq!(pdu(&[2, 0, 2, 0, 3, 0, 9]), Ok((Rdstls::Request { data: 3 }, 7)));
        assert!(matches!(pdu(&[3, 0, 0, 12, 2, 0xf0]), Err(WireError::Invalid { .. })));
    }
}
