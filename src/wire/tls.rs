//! TLS records, hellos and alerts (RFC 5246, RFC 8446); what a record's length says of its plaintext.

use tls_parser::{TlsExtension, TlsMessage, TlsMessageHandshake};

use super::cursor::{Cursor, WireError};

/// A protocol version as on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TlsVersion(pub u16);

impl TlsVersion {
    /// TLS 1.0.
    pub const TLS10: Self = Self(0x0301);
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
            other => format!("version {other:#06x}"),
        }
    }
}

/// A cipher suite by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Suite(pub u16);

/// What encryption adds to a plaintext.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overhead {
    /// Always this many bytes.
    Fixed(u32),
    /// Padded to blocks: the plaintext is at most the record less `least`, and at least that less 16.
    Padded {
        /// Bytes that are never plaintext.
        least: u32,
    },
}

impl Suite {
    /// The IANA name, or the number where the registry has none.
    #[must_use]
    pub fn words(self) -> String {
        tls_parser::TlsCipherSuite::from_id(self.0)
            .map_or_else(|| format!("suite {:#06x}", self.0), |suite| suite.name.to_owned())
    }

    /// What a record of this suite adds to its plaintext.
    ///
    /// Source: TLS 1.3 one content type and a tag of 16 (RFC 8446 5.2); AES-GCM explicit nonce 8 and tag 16 (RFC 5288);
    /// ChaCha20-Poly1305 tag 16 (RFC 7905); CBC a block of IV, the MAC and at least one byte of padding (RFC 5246
    /// 6.2.3.2). Measured for TLS 1.3 and AES-GCM.
    #[must_use]
    pub fn overhead(self, version: TlsVersion) -> Overhead {
        if version >= TlsVersion::TLS13 {
            return Overhead::Fixed(17);
        }
        let name = self.words();
        let iv = if version > TlsVersion::TLS10 { 16 } else { 0 };
        if name.contains("CHACHA20") || name.ends_with("CCM_8") {
            Overhead::Fixed(16)
        } else if name.contains("_GCM_") || name.contains("CCM") {
            Overhead::Fixed(24)
        } else if name.contains("RC4") {
            Overhead::Fixed(if name.ends_with("MD5") { 16 } else { 20 })
        } else {
            let mac_and_padding: u32 = match () {
                () if name.ends_with("SHA384") => 49,
                () if name.ends_with("SHA256") => 33,
                () => 21,
            };
            Overhead::Padded { least: mac_and_padding.saturating_add(iv) }
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

/// What a ClientHello offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientHello {
    /// Random.
    pub random: Vec<u8>,
    /// Versions offered, highest first; without the extension the one version of the message.
    pub versions: Vec<TlsVersion>,
    /// Suites offered.
    pub suites: Vec<Suite>,
    /// Server name.
    pub sni: Option<Vec<u8>>,
}

/// What a ServerHello chooses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerHello {
    /// Random.
    pub random: Vec<u8>,
    /// Version, from the extension where it is there.
    pub version: TlsVersion,
    /// Suite.
    pub suite: Suite,
}

/// Random of a HelloRetryRequest (RFC 8446 4.1.3).
const RETRY_RANDOM: [u8; 4] = [0xcf, 0x21, 0xad, 0x74];

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
            Ok((Handshake::ClientHello(client_hello(&hello)), whole))
        }
        TlsMessage::Handshake(TlsMessageHandshake::ServerHello(hello)) => Ok((server_hello(&hello), whole)),
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

fn client_hello(hello: &tls_parser::TlsClientHelloContents<'_>) -> ClientHello {
    let mut versions = Vec::new();
    let mut sni = None;
    let extensions = hello.ext.and_then(|e| tls_parser::parse_tls_client_hello_extensions(e).ok());
    for extension in extensions.map(|(_, list)| list).unwrap_or_default() {
        match extension {
            TlsExtension::SNI(names) => sni = names.first().map(|(_, name)| name.to_vec()),
            TlsExtension::SupportedVersions(list) => versions.extend(list.iter().map(|v| TlsVersion(v.0))),
            _ => {}
        }
    }
    versions.retain(|version| !is_grease(version.0));
    versions.sort_by(|a, b| b.cmp(a));
    if versions.is_empty() {
        versions.push(TlsVersion(hello.version.0));
    }
    let suites =
        hello.ciphers.iter().map(|suite| Suite(suite.0)).filter(|suite| !is_grease(suite.0)).collect();
    ClientHello { random: hello.random.to_vec(), versions, suites, sni }
}

fn server_hello(hello: &tls_parser::TlsServerHelloContents<'_>) -> Handshake {
    if hello.random.starts_with(&RETRY_RANDOM) {
        return Handshake::HelloRetryRequest;
    }
    let extensions = hello.ext.and_then(|e| tls_parser::parse_tls_server_hello_extensions(e).ok());
    let chosen = extensions.map(|(_, list)| list).unwrap_or_default().into_iter().find_map(|extension| {
        let TlsExtension::SupportedVersions(list) = extension else { return None };
        list.first().map(|v| TlsVersion(v.0))
    });
    Handshake::ServerHello(ServerHello {
        random: hello.random.to_vec(),
        version: chosen.unwrap_or(TlsVersion(hello.version.0)),
        suite: Suite(hello.cipher.0),
    })
}

/// Values set aside so that peers learn to ignore unknown ones (RFC 8701).
const fn is_grease(value: u16) -> bool {
    let [high, low] = value.to_be_bytes();
    high == low && low & 0x0f == 0x0a
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overheads_follow_the_suite() {
        let gcm = Suite(0xc030).overhead(TlsVersion::TLS12);
        assert_eq!(gcm, Overhead::Fixed(24));
        assert_eq!(Suite(0x1302).overhead(TlsVersion::TLS13), Overhead::Fixed(17));
        assert_eq!(Suite(0xcca8).overhead(TlsVersion::TLS12), Overhead::Fixed(16));
        assert_eq!(Suite(0xc014).overhead(TlsVersion::TLS12), Overhead::Padded { least: 37 });
        assert_eq!(Suite(0xc028).overhead(TlsVersion::TLS12), Overhead::Padded { least: 65 });
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
    fn grease_is_left_out() {
        assert!(is_grease(0x0a0a) && is_grease(0xfafa));
        assert!(!is_grease(0x1301) && !is_grease(0x0a1a));
    }

    #[test]
    fn a_cut_message_says_so() {
        let cut = handshake(&[1, 0, 1, 0, 3, 3]);
        assert_eq!(cut, Err(WireError::Short { what: "handshake message", need: 256, have: 2 }));
    }
}
