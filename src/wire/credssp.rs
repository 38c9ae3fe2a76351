//! CredSSP messages (MS-CSSP 2.2.1), as far as they tell who refused what, and the names inside of their NTLM messages
//! (MS-NLMP 2.2.1). Read leniently: unknown fields are passed over, no field is needed.

use super::cursor::{Cursor, WireError};
use super::text::text;
use crate::codes::Status;

/// A `TSRequest`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TsRequest {
    /// `version`.
    pub version: Option<u32>,
    /// `negoTokens` are there: the security packages still talk.
    pub has_tokens: bool,
    /// `authInfo` is there: the encrypted credentials.
    pub has_credentials: bool,
    /// `pubKeyAuth` is there: one side proves that it knows the session key.
    pub has_proof: bool,
    /// `errorCode`.
    pub error: Option<Status>,
    /// The NTLM message in the tokens.
    pub ntlm: Option<Ntlm>,
}

/// Names in an NTLM message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ntlm {
    /// NEGOTIATE.
    Negotiate,
    /// CHALLENGE: what the server calls itself.
    Challenge {
        /// DNS name of the computer, or its NetBIOS name.
        computer: Option<String>,
        /// DNS name of its domain, or its NetBIOS name.
        domain: Option<String>,
    },
    /// AUTHENTICATE: who the client says it is.
    Authenticate {
        /// User.
        user: Option<String>,
        /// Domain.
        domain: Option<String>,
        /// Name of the client computer.
        workstation: Option<String>,
    },
    /// Another type.
    Other(u32),
}

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const NTLM_SIGNATURE: &[u8] = b"NTLMSSP\0";
/// Strings are UTF-16 (`NTLMSSP_NEGOTIATE_UNICODE`).
const UNICODE: u32 = 1;
/// Ids of `AV_PAIR` (MS-NLMP 2.2.2.1).
const AV_END: u16 = 0;
const AV_NETBIOS_COMPUTER: u16 = 1;
const AV_NETBIOS_DOMAIN: u16 = 2;
const AV_DNS_COMPUTER: u16 = 3;
const AV_DNS_DOMAIN: u16 = 4;
/// Pairs that are looked at.
const AV_PAIRS_MAX: usize = 32;

/// Reads the `TSRequest` at the start of `bytes` and returns it with its length.
///
/// # Errors
/// [`WireError::Short`] when it is not whole, [`WireError::Invalid`] when the bytes are no DER sequence.
pub fn ts_request(bytes: &[u8]) -> Result<(TsRequest, usize), WireError> {
    let mut at = Cursor::new(bytes);
    let tag = at.u8("TSRequest tag")?;
    if tag != SEQUENCE {
        return Err(WireError::Invalid { what: "TSRequest tag", found: u64::from(tag) });
    }
    let length = at.ber_length("TSRequest length")?;
    let body = at.slice(length, "TSRequest")?;
    let mut request = TsRequest::default();
    let mut fields = Cursor::new(body);
    while let (Ok(tag), Ok(length)) = (fields.u8("tag"), fields.ber_length("length")) {
        let Ok(value) = fields.slice(length, "field") else { break };
        match tag {
            0xa0 => request.version = integer(value),
            0xa1 => (request.has_tokens, request.ntlm) = (true, ntlm(value)),
            0xa2 => request.has_credentials = true,
            0xa3 => request.has_proof = true,
            0xa4 => request.error = integer(value).map(Status),
            _ => {}
        }
    }
    Ok((request, bytes.len().saturating_sub(at.rest().len())))
}

/// An INTEGER of up to 5 bytes: an NTSTATUS is written in 4 bytes as a negative number, or in 5 with a leading 0.
fn integer(bytes: &[u8]) -> Option<u32> {
    let mut at = Cursor::new(bytes);
    let tag = at.u8("tag").ok().filter(|tag| *tag == INTEGER);
    let length = at.ber_length("length").ok().filter(|length| (1..=8).contains(length))?;
    let digits = at.slice(length, "integer").ok()?;
    tag.map(|_| digits.iter().fold(0_u32, |sum, byte| (sum << 8) | u32::from(*byte)))
}

/// The first NTLM message in these bytes, whatever lies around it.
fn ntlm(bytes: &[u8]) -> Option<Ntlm> {
    let start = bytes.windows(NTLM_SIGNATURE.len()).position(|window| window == NTLM_SIGNATURE)?;
    let message = bytes.get(start..)?;
    let number = |offset: usize| Cursor::new(message.get(offset..)?).u32_le("number").ok();
    Some(match number(8)? {
        1 => Ntlm::Negotiate,
        2 => challenge(field(message, 40).unwrap_or_default()),
        3 => {
            let unicode = number(60).is_none_or(|flags| flags & UNICODE != 0);
            let name = |offset: usize| field(message, offset).map(|bytes| text(bytes, unicode));
            let some = |offset: usize| name(offset).filter(|name| !name.is_empty());
            Ntlm::Authenticate { domain: some(28), user: some(36), workstation: some(44) }
        }
        other => Ntlm::Other(other),
    })
}

/// A field's payload: its length (2), room (2) and offset (4) stand at `offset`.
fn field(message: &[u8], offset: usize) -> Option<&[u8]> {
    let mut at = Cursor::new(message.get(offset..)?);
    let length = usize::from(at.u16_le("length").ok()?);
    at.u16_le("room").ok()?;
    let start = usize::try_from(at.u32_le("offset").ok()?).ok()?;
    message.get(start..start.checked_add(length)?)
}

fn challenge(pairs: &[u8]) -> Ntlm {
    let mut at = Cursor::new(pairs);
    let mut names: [Option<String>; 5] = [const { None }; 5];
    for _ in 0..AV_PAIRS_MAX {
        let (Ok(id), Ok(length)) = (at.u16_le("id"), at.u16_le("length")) else { break };
        let Ok(value) = at.slice(usize::from(length), "value") else { break };
        if id == AV_END {
            break;
        }
        if let Some(slot) = names.get_mut(usize::from(id)) {
            *slot = Some(text(value, true)).filter(|name| !name.is_empty());
        }
    }
    let mut take = |id: u16| names.get_mut(usize::from(id)).and_then(Option::take);
    let (computer, domain) = (take(AV_DNS_COMPUTER), take(AV_DNS_DOMAIN));
    Ntlm::Challenge {
        computer: computer.or_else(|| take(AV_NETBIOS_COMPUTER)),
        domain: domain.or_else(|| take(AV_NETBIOS_DOMAIN)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_codes_of_four_and_of_five_bytes() {
        let four = [0x30, 13, 0xa0, 3, 2, 1, 6, 0xa4, 6, 2, 4, 0xc0, 0, 0, 0x6d];
        let five = [0x30, 14, 0xa0, 3, 2, 1, 6, 0xa4, 7, 2, 5, 0, 0xc0, 0, 2, 0x34];
        let read = |bytes: &[u8]| {
            ts_request(bytes).map(|(request, length)| (request.version, request.error, length))
        };
        assert_eq!(read(&four), Ok((Some(6), Some(Status(0xc000_006d)), 15)));
        assert_eq!(read(&five), Ok((Some(6), Some(Status(0xc000_0234)), 16)));
        let missing = WireError::Short { what: "TSRequest", need: 13, have: 12 };
        assert_eq!(read(&four[..14]), Err(missing));
        assert_eq!(read(&[3, 0]), Err(WireError::Invalid { what: "TSRequest tag", found: 3 }));
    }

    #[test]
    fn what_is_unknown_or_damaged_is_passed_over() {
        let odd = [0x30, 9, 0xa9, 1, 7, 0xa2, 0, 0xa4, 0x7f, 1, 2];
        let (request, length) = ts_request(&odd).unwrap();
        assert_eq!((request.has_credentials, request.error, length), (true, None, 11));
    }

    #[test]
    fn names_of_an_ntlm_authenticate() {
        let utf16 = |name: &str| name.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
        let (domain, user) = (utf16("LAB"), utf16("al\u{e9}"));
        let mut message = b"NTLMSSP\0\x03\0\0\0".to_vec();
        message.resize(28, 0);
        for (length, offset) in [(domain.len(), 64), (user.len(), 64 + domain.len()), (0, 64)] {
            message.extend(u16::try_from(length).unwrap().to_le_bytes());
            message.extend([0; 2]);
            message.extend(u32::try_from(offset).unwrap().to_le_bytes());
        }
        message.resize(60, 0);
        message.extend([1, 0, 0, 0]);
        message.extend(domain.iter().chain(&user));
        let named = Ntlm::Authenticate {
            user: Some("al\u{e9}".to_owned()),
            domain: Some("LAB".to_owned()),
            workstation: None,
        };
        assert_eq!(ntlm(&message), Some(named));
        message.truncate(20);
        let nameless = Ntlm::Authenticate { user: None, domain: None, workstation: None };
        assert_eq!(ntlm(&message), Some(nameless));
    }

    #[test]
    fn the_challenge_names_the_server() {
        let mut message = b"NTLMSSP\0\x02\0\0\0".to_vec();
        message.resize(40, 0);
        message.extend([14, 0, 14, 0, 48, 0, 0, 0]);
        message.extend([1, 0, 2, 0, b'N', 0, 3, 0, 4, 0, b'h', 0, b'.', 0]);
        let named = Ntlm::Challenge { computer: Some("h.".to_owned()), domain: None };
        assert_eq!(ntlm(&message), Some(named));
    }
}
