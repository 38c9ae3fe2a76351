//! RDSAAD (MS-RDPBCGR 5.4.5.4, 2.2.18): Microsoft Entra ID authentication in JSON. Nonces and tokens are never kept.

use serde_json::Value;

use super::cursor::WireError;
use crate::codes::Status;

/// An RDSAAD message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rdsaad {
    /// `ts_nonce` of the server.
    ServerNonce,
    /// `rdp_assertion` of the client, with its bytes.
    Assertion {
        /// Bytes of the token.
        bytes: usize,
    },
    /// `authentication_result` of the server: 0, or why not.
    Result {
        /// The code.
        code: Status,
    },
    /// JSON that says none of these.
    Other,
}

/// Reads the JSON value at the start, with the 0 that ends it where one does, and returns it with its length.
///
/// # Errors
/// [`WireError::Invalid`] when the bytes start no JSON object, [`WireError::Short`] when it is not whole.
pub fn message(bytes: &[u8]) -> Result<(Rdsaad, usize), WireError> {
    let first = bytes.first().copied().unwrap_or(0);
    if first != b'{' {
        return Err(WireError::Invalid { what: "JSON", found: u64::from(first) });
    }
    let mut values = serde_json::Deserializer::from_slice(bytes).into_iter::<Value>();
    let Some(Ok(value)) = values.next() else {
        return Err(WireError::Short {
            what: "JSON",
            need: bytes.len().saturating_add(1),
            have: bytes.len(),
        });
    };
    let end = values.byte_offset();
    let ended = bytes.get(end) == Some(&0);
    Ok((meaning(&value), end.saturating_add(usize::from(ended))))
}

fn meaning(value: &Value) -> Rdsaad {
    if let Some(code) = value.get("authentication_result") {
        return code.as_i64().map_or(Rdsaad::Other, |code| Rdsaad::Result { code: status(code) });
    }
    if let Some(token) = value.get("rdp_assertion") {
        return Rdsaad::Assertion { bytes: token.as_str().map_or(0, str::len) };
    }
    if value.get("ts_nonce").is_some() { Rdsaad::ServerNonce } else { Rdsaad::Other }
}

/// The low 32 bits: servers write the same code signed or unsigned.
fn status(code: i64) -> Status {
    let [a, b, c, d, ..] = code.to_le_bytes();
    Status(u32::from_le_bytes([a, b, c, d]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_message_and_its_length() {
        assert_eq!(message(b"{\"ts_nonce\":\"abc\"}\0rest"), Ok((Rdsaad::ServerNonce, 19)));
        let (read, length) = message(b"{\"rdp_assertion\":\"eyJh.secret\"}").unwrap();
        assert_eq!((read, length), (Rdsaad::Assertion { bytes: 11 }, 31));
        assert!(!format!("{read:?}").contains("secret"));
        let refused = |json: &str| match message(json.as_bytes()) {
            Ok((Rdsaad::Result { code }, _)) => code.0,
            other => panic!("{other:?}"),
        };
        assert_eq!(refused("{\"authentication_result\":0}"), 0);
        assert_eq!(refused("{\"authentication_result\":-1073741715}"), 0xc000_006d);
        assert_eq!(refused("{\"authentication_result\":3221225581}"), 0xc000_006d);
    }

    #[test]
    fn what_is_cut_or_no_json() {
        assert!(matches!(message(b"{\"ts_nonce\":\"ab"), Err(WireError::Short { .. })));
        assert_eq!(message(&[3, 0]), Err(WireError::Invalid { what: "JSON", found: 3 }));
        assert_eq!(message(b"{\"x\":[1]}"), Ok((Rdsaad::Other, 9)));
    }
}
