//! CredSSP messages (MS-CSSP 2.2.1), as far as they tell who refused what, with the NTLM or SPNEGO token inside. Read
//! leniently: unknown fields are passed over, no field is needed.

use super::cursor::{Cursor, WireError};
use super::ntlm::{Ntlm, ntlm};
use super::spnego::{Spnego, spnego};
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
    /// The SPNEGO token, or the Kerberos token without one around it.
    pub spnego: Option<Spnego>,
}

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
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
            0xa1 => {
                request.has_tokens = true;
                request.ntlm = ntlm(value);
                request.spnego = first_token(value).and_then(spnego);
            }
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

/// The first of `negoTokens`: SEQUENCE OF SEQUENCE { negoToken [0] OCTET STRING }.
fn first_token(bytes: &[u8]) -> Option<&[u8]> {
    let mut inside = bytes;
    for wanted in [SEQUENCE, SEQUENCE, 0xa0, 0x04] {
        let mut at = Cursor::new(inside);
        at.u8("tag").ok().filter(|tag| *tag == wanted)?;
        let length = at.ber_length("length").ok()?;
        inside = at.slice(length.min(at.rest().len()), "content").ok()?;
    }
    Some(inside)
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
    fn tokens_are_opened() {
        let mut bytes =
            vec![0x30, 0x1c, 0xa0, 3, 2, 1, 6, 0xa1, 0x15, 0x30, 0x13, 0x30, 0x11, 0xa0, 0x0f, 4, 0x0d];
        bytes.extend(b"NTLMSSP\0\x09\0\0\0x");
        let (request, _) = ts_request(&bytes).unwrap();
        assert_eq!((request.ntlm, request.spnego), (Some(Ntlm::Other(9)), None));
        let answer =
            [0x30, 21, 0xa0, 3, 2, 1, 6, 0xa1, 14, 0x30, 12, 0x30, 10, 0xa0, 8, 4, 6, 0xa1, 4, 0x30, 2, 5, 0];
        let (request, length) = ts_request(&answer).unwrap();
        assert_eq!((request.spnego, length), (Some(Spnego::default()), 23));
    }
}
