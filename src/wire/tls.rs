//! TLS records, hellos and alerts (RFC 5246, RFC 8446); what a record's length says of its plaintext.

use tls_parser::{TlsMessage, TlsMessageHandshake};

use super::cursor::{Cursor, WireError};

mod fingerprint;
mod hello;

pub use hello::{ClientHello, ServerHello};

/// A protocol version as on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TlsVersion(pub u16);

impl TlsVersion {
    /// TLS 1.0.
    pub const TLS10: Self = Self(0x0301);
    /// TLS 1.1.
    pub const TLS11: Self = Self(0x0302);
    /// TLS 1.2.
    pub const TLS12: Self = Self(0x0303);
    /// TLS 1.3.
    pub const TLS13: Self = Self(0x0304);

    /// The name people use.
    #[must_use]
    pub fn words(self) -> String {
        match self.0 {
            0x0300 => "SSL 3.0".to_owned(),
            0x0301 => "TLS 1.0".to_owned(),
            0x0302 => "TLS 1.1".to_owned(),
            0x0303 => "TLS 1.2".to_owned(),
            0x0304 => "TLS 1.3".to_owned(),
            // DTLS counts downwards (RFC 6347 4.1).
            0xfeff => "DTLS 1.0".to_owned(),
            0xfefd => "DTLS 1.2".to_owned(),
            other => format!("version {other:#06x}"),
        }
    }
}

/// A cipher suite by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Suite(pub u16);

/// What encryption adds to a plaintext.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overhead {
    /// Always this many bytes.
    Fixed(u32),
    /// Content and `inside` more bytes, filled up to whole blocks by at least one byte, and `outside` bytes beside them.
    Padded {
        /// Bytes beside the blocks: the IV, and the MAC where it is taken over what was encrypted.
        outside: u32,
        /// Bytes in the blocks that are never content: the MAC, and one byte of padding.
        inside: u32,
        /// Bytes of a block.
        block: u32,
    },
}

impl Overhead {
    /// Least and most bytes of plaintext in a record of `length` bytes behind its header.
    #[must_use]
    pub fn plaintext(self, length: u32) -> (u32, u32) {
        match self {
            Self::Fixed(bytes) => (length.saturating_sub(bytes), length.saturating_sub(bytes)),
            Self::Padded { outside, inside, block } => {
                let most = length.saturating_sub(outside).saturating_sub(inside);
                (most.saturating_sub(block.saturating_sub(1)), most)
            }
        }
    }

    /// Length behind its header of a record that holds `plaintext` bytes and no more padding than is needed.
    #[must_use]
    pub fn record(self, plaintext: u32) -> u32 {
        match self {
            Self::Fixed(bytes) => plaintext.saturating_add(bytes),
            Self::Padded { outside, inside, block } => {
                let blocks = plaintext.saturating_add(inside).div_ceil(block.max(1));
                blocks.saturating_mul(block).saturating_add(outside)
            }
        }
    }
}

impl Suite {
    /// The IANA name, or the number where the registry has none.
    #[must_use]
    pub fn words(self) -> String {
        tls_parser::TlsCipherSuite::from_id(self.0)
            .map_or_else(|| format!("suite {:#06x}", self.0), |suite| suite.name.to_owned())
    }

    /// Bytes of a block of its cipher, when that is a block cipher in CBC mode.
    #[must_use]
    pub fn cbc_block(self) -> Option<u32> {
        let name = self.words();
        if !name.contains("_CBC") {
            return None;
        }
        let short = ["_DES", "3DES", "IDEA", "RC2"].iter().any(|cipher| name.contains(cipher));
        Some(if short { 8 } else { 16 })
    }

    /// Bytes of its MAC, where records are not sealed by AEAD.
    #[must_use]
    pub fn mac(self) -> u32 {
        match self.words() {
            name if name.ends_with("SHA384") => 48,
            name if name.ends_with("SHA256") => 32,
            name if name.ends_with("MD5") => 16,
            _ => 20,
        }
    }

    /// What a record of this suite adds to its plaintext.
    ///
    /// Source: TLS 1.3 one content type and a tag of 16, or 8 with CCM_8 (RFC 8446 5.2, RFC 6655); AES-GCM and AES-CCM
    /// explicit nonce 8 and tag 16 (RFC 5288, RFC 6655); ChaCha20-Poly1305 tag 16 (RFC 7905); CBC the MAC, at least one
    /// byte of padding and, from TLS 1.1 on, a block of IV (RFC 5246 6.2.3.2); the MAC stands beside the blocks where it is
    /// taken over what was encrypted (RFC 7366). Measured with OpenSSL for all of these but 3DES.
    #[must_use]
    pub fn overhead(self, version: TlsVersion, encrypt_then_mac: bool) -> Overhead {
        let name = self.words();
        if version >= TlsVersion::TLS13 {
            return Overhead::Fixed(if name.contains("CCM_8") { 9 } else { 17 });
        }
        if name.contains("CHACHA20") || name.ends_with("CCM_8") {
            Overhead::Fixed(16)
        } else if name.contains("_GCM") || name.contains("CCM") {
            Overhead::Fixed(24)
        } else if let Some(block) = self.cbc_block() {
            let iv = if version > TlsVersion::TLS10 { block } else { 0 };
            match encrypt_then_mac {
                true => Overhead::Padded { outside: iv.saturating_add(self.mac()), inside: 1, block },
                false => Overhead::Padded { outside: iv, inside: self.mac().saturating_add(1), block },
            }
        } else {
            Overhead::Fixed(self.mac())
        }
    }
}

/// Description of an alert (RFC 8446 6, RFC 5246 7.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AlertDescription(pub u8);

impl AlertDescription {
    /// Normal end.
    pub const CLOSE_NOTIFY: Self = Self(0);
    /// No common parameters.
    pub const HANDSHAKE_FAILURE: Self = Self(40);
    /// The certificate is corrupt or refused.
    pub const BAD_CERTIFICATE: Self = Self(42);
    /// The certificate is of a type that is refused.
    pub const UNSUPPORTED_CERTIFICATE: Self = Self(43);
    /// The certificate was revoked.
    pub const CERTIFICATE_REVOKED: Self = Self(44);
    /// The certificate has expired.
    pub const CERTIFICATE_EXPIRED: Self = Self(45);
    /// The certificate is not accepted for another reason.
    pub const CERTIFICATE_UNKNOWN: Self = Self(46);
    /// The issuing authority is not known.
    pub const UNKNOWN_CA: Self = Self(48);
    /// A message could not be read, or ended too early.
    pub const DECODE_ERROR: Self = Self(50);
    /// A signature or Finished could not be verified.
    pub const DECRYPT_ERROR: Self = Self(51);
    /// The version is refused.
    pub const PROTOCOL_VERSION: Self = Self(70);
    /// The parameters are too weak.
    pub const INSUFFICIENT_SECURITY: Self = Self(71);
    /// The peer failed internally.
    pub const INTERNAL_ERROR: Self = Self(80);

    /// The registered name, or `None` for an unlisted number.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        crate::codes::TLS_ALERTS.name(u32::from(self.0))
    }
}

/// Content type of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentType(pub u8);

impl ContentType {
    /// Change cipher spec.
    pub const CHANGE_CIPHER_SPEC: Self = Self(20);
    /// Alert.
    pub const ALERT: Self = Self(21);
    /// Handshake.
    pub const HANDSHAKE: Self = Self(22);
    /// Application data, and in TLS 1.3 everything encrypted.
    pub const APPLICATION_DATA: Self = Self(23);
}

/// Header of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordHeader {
    /// Content type.
    pub content: ContentType,
    /// Legacy version.
    pub version: TlsVersion,
    /// Bytes that follow the header.
    pub length: u16,
}

/// Bytes of a record header.
pub const RECORD_HEADER: usize = 5;

/// Longest record allowed: 2^14 and 2,048 of expansion (RFC 5246 6.2.3).
const LENGTH_MAX: u16 = 16_384 + 2_048;

/// Reads the header at the start of `bytes`: content type (1), version (2), length (2), big-endian.
///
/// # Errors
/// [`WireError::Short`] under 5 bytes; [`WireError::Invalid`] when they are not the header of a TLS record.
pub fn record_header(bytes: &[u8]) -> Result<RecordHeader, WireError> {
    let mut at = Cursor::new(bytes);
    let content = at.u8("content type")?;
    let version = at.u16_be("version")?;
    let length = at.u16_be("length")?;
    if !(20..=24).contains(&content) {
        return Err(WireError::Invalid { what: "content type", found: u64::from(content) });
    }
    if !(0x0300..=0x0304).contains(&version) {
        return Err(WireError::Invalid { what: "version", found: u64::from(version) });
    }
    if length > LENGTH_MAX {
        return Err(WireError::Invalid { what: "record length", found: u64::from(length) });
    }
    Ok(RecordHeader { content: ContentType(content), version: TlsVersion(version), length })
}

/// The random of the ClientHello with which `bytes`, the first of a connection, begin (RFC 8446 4.1.2): behind the
/// record header, the type and length of the message, and the version. `None` when they are no ClientHello or too few.
#[must_use]
pub fn client_random(bytes: &[u8]) -> Option<&[u8; 32]> {
    let header = record_header(bytes).ok()?;
    let message = bytes.get(RECORD_HEADER..)?;
    let is_hello = header.content == ContentType::HANDSHAKE && message.first() == Some(&1);
    message.get(6..).filter(|_| is_hello)?.first_chunk::<32>()
}

/// A handshake message that stands in clear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Handshake {
    /// ClientHello.
    ClientHello(ClientHello),
    /// ServerHello.
    ServerHello(ServerHello),
    /// HelloRetryRequest: a ServerHello with a fixed random (RFC 8446 4.1.3).
    HelloRetryRequest,
    /// The certificates shown, DER, the end entity's first.
    Certificate(Vec<Vec<u8>>),
    /// Another message, by its type.
    Other(u8),
}

/// Reads the handshake message at the start of `bytes` and returns it with its length.
///
/// # Errors
/// [`WireError::Short`] when it is not whole, [`WireError::Invalid`] when its content cannot be read.
pub fn handshake(bytes: &[u8]) -> Result<(Handshake, usize), WireError> {
    let mut at = Cursor::new(bytes);
    let kind = at.u8("handshake type")?;
    let [high, middle, low] = at.take::<3>("handshake length")?;
    let length = usize::try_from(u32::from_be_bytes([0, high, middle, low])).unwrap_or(usize::MAX);
    let body = at.slice(length, "handshake message")?;
    let whole = length.saturating_add(4);
    if !matches!(kind, 1 | 2 | 11) {
        return Ok((Handshake::Other(kind), whole));
    }
    if kind == 11 {
        return Ok((Handshake::Certificate(certificates(body)), whole));
    }
    let message = bytes.get(..whole).unwrap_or_default();
    let invalid = WireError::Invalid { what: "hello", found: u64::from(kind) };
    let (_, parsed) = tls_parser::parse_tls_message_handshake(message).map_err(|_| invalid)?;
    match parsed {
        TlsMessage::Handshake(TlsMessageHandshake::ClientHello(hello)) => {
            Ok((Handshake::ClientHello(hello::client(&hello)), whole))
        }
        TlsMessage::Handshake(TlsMessageHandshake::ServerHello(hello)) => Ok((hello::server(&hello), whole)),
        _ => Ok((Handshake::Other(kind), whole)),
    }
}

/// Certificate list of TLS 1.2 and older: total length (3), then each certificate's length (3) and bytes.
fn certificates(body: &[u8]) -> Vec<Vec<u8>> {
    let mut at = Cursor::new(body);
    let mut found = Vec::new();
    if at.take::<3>("total length").is_err() {
        return found;
    }
    while let Ok([high, middle, low]) = at.take::<3>("certificate length") {
        let length = usize::try_from(u32::from_be_bytes([0, high, middle, low])).unwrap_or(usize::MAX);
        let Ok(der) = at.slice(length, "certificate") else { break };
        found.push(der.to_vec());
    }
    found
}

/// Certificate list of TLS 1.3 (RFC 8446 4.4.2): context (1 and its bytes), total length (3), then for each certificate
/// its length (3), its bytes, and extensions (2 and their bytes).
#[must_use]
pub fn certificates_13(body: &[u8]) -> Vec<Vec<u8>> {
    let mut at = Cursor::new(body);
    let mut found = Vec::new();
    let context = at.u8("context length").map_or(0, usize::from);
    if at.slice(context, "context").is_err() || at.take::<3>("total length").is_err() {
        return found;
    }
    while let Ok([high, middle, low]) = at.take::<3>("certificate length") {
        let length = usize::try_from(u32::from_be_bytes([0, high, middle, low])).unwrap_or(usize::MAX);
        let Ok(der) = at.slice(length, "certificate") else { break };
        found.push(der.to_vec());
        let extensions = at.u16_be("extensions length").map_or(0, usize::from);
        if at.slice(extensions, "extensions").is_err() {
            break;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overheads_follow_the_suite() {
        let of = |suite, version| Suite(suite).overhead(version, false);
        assert_eq!(of(0xc030, TlsVersion::TLS12), Overhead::Fixed(24));
        assert_eq!(of(0x1302, TlsVersion::TLS13), Overhead::Fixed(17));
        assert_eq!(of(0x1305, TlsVersion::TLS13), Overhead::Fixed(9));
        assert_eq!(of(0xcca8, TlsVersion::TLS12), Overhead::Fixed(16));
        assert_eq!(of(0xc09c, TlsVersion::TLS12), Overhead::Fixed(24));
        assert_eq!(of(0xc0a1, TlsVersion::TLS12), Overhead::Fixed(16));
        assert_eq!(of(0x0005, TlsVersion::TLS12), Overhead::Fixed(20));
        assert_eq!(of(0xc014, TlsVersion::TLS12), Overhead::Padded { outside: 16, inside: 21, block: 16 });
        assert_eq!(of(0xc028, TlsVersion::TLS12), Overhead::Padded { outside: 16, inside: 49, block: 16 });
        assert_eq!(of(0x000a, TlsVersion::TLS11), Overhead::Padded { outside: 8, inside: 21, block: 8 });
        assert_eq!(of(0x000a, TlsVersion::TLS10), Overhead::Padded { outside: 0, inside: 21, block: 8 });
        let outside = Suite(0xc014).overhead(TlsVersion::TLS12, true);
        assert_eq!(outside, Overhead::Padded { outside: 36, inside: 1, block: 16 });
        // Both ways hide the same range of a record, and give other lengths.
        assert_eq!((outside.record(36), of(0xc014, TlsVersion::TLS12).record(36)), (84, 80));
    }

    #[test]
    fn a_header_of_something_else_is_refused() {
        assert!(record_header(&[22, 3, 1, 0, 5]).is_ok());
        assert_eq!(
            record_header(b"HTTP/"),
            Err(WireError::Invalid { what: "content type", found: u64::from(b'H') })
        );
        assert_eq!(
            record_header(&[23, 3, 3, 0xff, 0xff]),
            Err(WireError::Invalid { what: "record length", found: 0xffff })
        );
        assert_eq!(record_header(&[22, 3]), Err(WireError::Short { what: "version", need: 2, have: 1 }));
    }

    #[test]
    fn a_cut_message_says_so() {
        let cut = handshake(&[1, 0, 1, 0, 3, 3]);
        assert_eq!(cut, Err(WireError::Short { what: "handshake message", need: 256, have: 2 }));
    }
}
