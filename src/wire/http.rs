//! HTTP/1.1 messages (RFC 9112), as far as an RD Gateway uses them: the head through `httparse`, chunks of a body.

use super::cursor::WireError;

/// Header fields of one head that are read; more than any client or gateway sends.
const FIELDS_MAX: usize = 64;
/// Digits of the length of a chunk.
const CHUNK_DIGITS_MAX: usize = 8;
/// Bytes of a line in front of a chunk, with its extensions.
const CHUNK_LINE_MAX: usize = 256;

/// First line and header fields of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// What the first line says.
    pub start: Start,
    /// Names, and values as text, in order.
    pub fields: Vec<(String, String)>,
    /// Bytes up to the body; `None` when the head is cut.
    pub length: Option<usize>,
}

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// A request.
    Request {
        /// Its method, such as `RDG_OUT_DATA`.
        method: String,
        /// What it asks for.
        target: String,
    },
    /// A response.
    Response {
        /// Its status.
        status: u16,
        /// What stands behind the number.
        reason: Option<String>,
    },
}

impl Head {
    /// The first value of a field, whatever the case of its name.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// Every value of a field.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let same = move |field: &&(String, String)| field.0.eq_ignore_ascii_case(name);
        self.fields.iter().filter(same).map(|(_, value)| value.as_str())
    }

    /// The body comes in chunks (RFC 9112 7.1).
    #[must_use]
    pub fn is_chunked(&self) -> bool {
        self.field("transfer-encoding").is_some_and(|value| value.to_ascii_lowercase().contains("chunked"))
    }

    /// Bytes of the body, where the head says so.
    #[must_use]
    pub fn content_length(&self) -> Option<u64> {
        self.field("content-length")?.trim().parse().ok()
    }
}

/// Reads the head of a request or a response at the start of `bytes`. Of a cut head, what is whole is read.
///
/// # Errors
/// [`WireError::Short`] when not even the first line is whole, [`WireError::Invalid`] when it is no HTTP.
pub fn head(bytes: &[u8]) -> Result<Head, WireError> {
    if bytes.starts_with(b"HTTP/") { response(bytes) } else { request(bytes) }
}

fn request(bytes: &[u8]) -> Result<Head, WireError> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut read = httparse::Request::new(&mut fields);
    let length = ended(read.parse(bytes), bytes)?;
    let (Some(method), Some(target)) = (read.method, read.path) else { return Err(short(bytes)) };
    let start = Start::Request { method: method.to_owned(), target: target.to_owned() };
    Ok(Head { start, fields: texts(read.headers), length })
}

fn response(bytes: &[u8]) -> Result<Head, WireError> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut read = httparse::Response::new(&mut fields);
    let length = ended(read.parse(bytes), bytes)?;
    let status = read.code.ok_or_else(|| short(bytes))?;
    let reason = read.reason.map(str::trim).filter(|reason| !reason.is_empty()).map(ToOwned::to_owned);
    Ok(Head { start: Start::Response { status, reason }, fields: texts(read.headers), length })
}

fn ended(
    parsed: Result<httparse::Status<usize>, httparse::Error>,
    bytes: &[u8],
) -> Result<Option<usize>, WireError> {
    let first = bytes.first().copied().unwrap_or(0);
    match parsed {
        Ok(httparse::Status::Complete(length)) => Ok(Some(length)),
        Ok(httparse::Status::Partial) => Ok(None),
        Err(_) => Err(WireError::Invalid { what: "HTTP head", found: u64::from(first) }),
    }
}

fn short(bytes: &[u8]) -> WireError {
    WireError::Short { what: "HTTP first line", need: bytes.len().saturating_add(1), have: bytes.len() }
}

fn texts(fields: &[httparse::Header<'_>]) -> Vec<(String, String)> {
    let named = fields.iter().filter(|field| !field.name.is_empty());
    named.map(|field| (field.name.to_owned(), String::from_utf8_lossy(field.value).into_owned())).collect()
}

/// A chunk of a body: the bytes of its first line, and its length; 0 is the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk {
    /// Bytes in front of its data.
    pub line: usize,
    /// Bytes of its data; a line end follows.
    pub length: u32,
}

/// Reads the line in front of a chunk (RFC 9112 7.1).
///
/// # Errors
/// [`WireError::Short`] when the line is not whole, [`WireError::Invalid`] when it is none.
pub fn chunk(bytes: &[u8]) -> Result<Chunk, WireError> {
    let invalid = |byte: &u8| WireError::Invalid { what: "chunk length", found: u64::from(*byte) };
    let digits = bytes.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let first = bytes.first().ok_or(WireError::Short { what: "chunk length", need: 1, have: 0 })?;
    if digits == 0 || digits > CHUNK_DIGITS_MAX {
        return Err(invalid(first));
    }
    let (number, rest) = bytes.split_at_checked(digits).ok_or_else(|| invalid(first))?;
    let after = rest.first().ok_or(WireError::Short { what: "chunk line", need: 2, have: 0 })?;
    if !matches!(after, b'\r' | b';' | b' ' | b'\t') {
        return Err(invalid(after));
    }
    let line = rest.get(..rest.len().min(CHUNK_LINE_MAX)).unwrap_or(rest);
    let Some(end) = line.windows(2).position(|two| two == b"\r\n") else {
        return match rest.len() < CHUNK_LINE_MAX {
            true => Err(WireError::Short {
                what: "chunk line",
                need: rest.len().saturating_add(1),
                have: rest.len(),
            }),
            false => Err(invalid(first)),
        };
    };
    let text = std::str::from_utf8(number).map_err(|_| invalid(first))?;
    let length = u32::from_str_radix(text, 16).map_err(|_| invalid(first))?;
    Ok(Chunk { line: digits.saturating_add(end).saturating_add(2), length })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_of_a_gateway_client_is_read_whole_and_cut() {
        let text = b"RDG_OUT_DATA /remoteDesktopGateway/ HTTP/1.1\r\nUpgrade: websocket\r\nHOST: gw.lab.test\r\n\r\nrest";
        let read = head(text).unwrap();
        let start = Start::Request { method: "RDG_OUT_DATA".into(), target: "/remoteDesktopGateway/".into() };
        assert_eq!((&read.start, read.length), (&start, Some(text.len() - 4)));
        assert_eq!((read.field("host"), read.field("upgrade")), (Some("gw.lab.test"), Some("websocket")));
        let cut = head(&text[..60]).unwrap();
        assert_eq!((cut.start, cut.length), (start, None));
        assert!(matches!(head(&text[..10]), Err(WireError::Short { .. })));
    }

    #[test]
    fn a_response_keeps_its_reason_and_every_field_of_one_name() {
        let read = head(b"HTTP/1.1 401 User Account Restricted\r\nWWW-Authenticate: Negotiate abc\r\nWWW-Authenticate: NTLM\r\nContent-Length: 341\r\n\r\n").unwrap();
        let Start::Response { status, reason } = &read.start else { panic!("{read:?}") };
        assert_eq!((*status, reason.as_deref()), (401, Some("User Account Restricted")));
        assert_eq!(read.all("www-authenticate").collect::<Vec<_>>(), ["Negotiate abc", "NTLM"]);
        assert_eq!((read.content_length(), read.is_chunked()), (Some(341), false));
    }

    #[test]
    fn other_protocols_are_no_http() {
        for other in [&b"\x16\x03\x01\x02\x00\x01"[..], b"\x03\x00\x00\x13\x0e\xe0", b"\x82\x7e\x00\x12"] {
            assert!(matches!(head(other), Err(WireError::Invalid { .. })), "{other:?}");
        }
    }

    #[test]
    fn lengths_of_chunks() {
        assert_eq!(chunk(b"1a\r\nxx"), Ok(Chunk { line: 4, length: 26 }));
        assert_eq!(chunk(b"0;last\r\n\r\n"), Ok(Chunk { line: 8, length: 0 }));
        assert!(matches!(chunk(b"1a\r"), Err(WireError::Short { .. })));
        for wrong in [&b"zz\r\n"[..], b"123456789\r\n", b"12x\r\n"] {
            assert!(matches!(chunk(wrong), Err(WireError::Invalid { .. })), "{wrong:?}");
        }
    }
}
