//! ClientHello and ServerHello with their extensions (RFC 8446 4.1, RFC 5246 7.4.1).

use super::fingerprint;
use super::{Handshake, Suite, TlsVersion};
use crate::wire::cursor::Cursor;

/// Extension types (IANA TLS ExtensionType values).
const SERVER_NAME: u16 = 0;
const SUPPORTED_GROUPS: u16 = 10;
const EC_POINT_FORMATS: u16 = 11;
const SIGNATURE_ALGORITHMS: u16 = 13;
const ALPN: u16 = 16;
const ENCRYPT_THEN_MAC: u16 = 22;
const SESSION_TICKET: u16 = 35;
const PRE_SHARED_KEY: u16 = 41;
const SUPPORTED_VERSIONS: u16 = 43;

/// Random of a HelloRetryRequest (RFC 8446 4.1.3).
const RETRY_RANDOM: [u8; 4] = [0xcf, 0x21, 0xad, 0x74];

/// What a ClientHello offers. Values set aside by GREASE (RFC 8701) are left out of every list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClientHello {
    /// Random.
    pub random: Vec<u8>,
    /// Version of the message itself, which stays TLS 1.2 where newer ones are offered by extension.
    pub legacy_version: TlsVersion,
    /// Versions offered, highest first; without the extension the one version of the message.
    pub versions: Vec<TlsVersion>,
    /// Suites offered.
    pub suites: Vec<Suite>,
    /// Server name.
    pub sni: Option<Vec<u8>>,
    /// Application protocols offered.
    pub alpn: Vec<Vec<u8>>,
    /// Session id; empty when there is none.
    pub session_id: Vec<u8>,
    /// It hands in a session ticket (RFC 5077) or a pre-shared key (RFC 8446 4.2.11).
    pub has_ticket: bool,
    /// Extension types in the order of the message.
    pub extensions: Vec<u16>,
    /// Named groups.
    pub groups: Vec<u16>,
    /// Point formats.
    pub point_formats: Vec<u8>,
    /// Signature algorithms.
    pub signature_algorithms: Vec<u16>,
}

/// What a ServerHello chooses.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServerHello {
    /// Random.
    pub random: Vec<u8>,
    /// Version of the message itself.
    pub legacy_version: TlsVersion,
    /// Version, from the extension where it is there.
    pub version: TlsVersion,
    /// Suite.
    pub suite: Suite,
    /// Session id; in TLS 1.3 always the client's.
    pub session_id: Vec<u8>,
    /// A pre-shared key was chosen (RFC 8446 4.2.11).
    pub psk: bool,
    /// Records are encrypted before the MAC is taken (RFC 7366).
    pub encrypt_then_mac: bool,
    /// Application protocol chosen; TLS 1.3 tells it under encryption.
    pub alpn: Option<Vec<u8>>,
    /// Extension types in the order of the message.
    pub extensions: Vec<u16>,
}

impl ClientHello {
    /// It asks to resume an earlier session: by ticket or pre-shared key, or by session id where it is not just the filler
    /// of a client that offers TLS 1.3 (RFC 8446 D.4).
    #[must_use]
    pub fn asks_to_resume(&self) -> bool {
        let newest = self.versions.first().copied().unwrap_or_default();
        self.has_ticket || (!self.session_id.is_empty() && newest < TlsVersion::TLS13)
    }

    /// The JA3 fingerprint: MD5 in hexadecimal digits.
    #[must_use]
    pub fn ja3(&self) -> String {
        fingerprint::ja3(self)
    }

    /// The JA4 fingerprint of TLS over TCP.
    #[must_use]
    pub fn ja4(&self) -> String {
        fingerprint::ja4(self)
    }
}

impl ServerHello {
    /// It resumes the session that `client` asked for.
    #[must_use]
    pub fn resumes(&self, client: &ClientHello) -> bool {
        if self.version >= TlsVersion::TLS13 {
            return self.psk;
        }
        !self.session_id.is_empty() && self.session_id == client.session_id
    }

    /// The JA3S fingerprint: MD5 in hexadecimal digits.
    #[must_use]
    pub fn ja3s(&self) -> String {
        fingerprint::ja3s(self)
    }
}

pub(super) fn client(hello: &tls_parser::TlsClientHelloContents<'_>) -> ClientHello {
    let mut read = ClientHello {
        random: hello.random.to_vec(),
        legacy_version: TlsVersion(hello.version.0),
        session_id: hello.session_id.unwrap_or_default().to_vec(),
        suites: hello.ciphers.iter().map(|suite| Suite(suite.0)).filter(|s| !is_grease(s.0)).collect(),
        ..ClientHello::default()
    };
    for (kind, body) in extensions(hello.ext.unwrap_or_default()) {
        if is_grease(kind) {
            continue;
        }
        read.extensions.push(kind);
        match kind {
            SERVER_NAME => read.sni = server_name(body),
            SUPPORTED_VERSIONS => read.versions = numbers(short_list(body)).map(TlsVersion).collect(),
            ALPN => read.alpn = protocols(body),
            SUPPORTED_GROUPS => read.groups = numbers(long_list(body)).collect(),
            EC_POINT_FORMATS => read.point_formats = short_list(body).to_vec(),
            SIGNATURE_ALGORITHMS => read.signature_algorithms = numbers(long_list(body)).collect(),
            SESSION_TICKET => read.has_ticket |= !body.is_empty(),
            PRE_SHARED_KEY => read.has_ticket = true,
            _ => {}
        }
    }
    read.versions.sort_by(|a, b| b.cmp(a));
    if read.versions.is_empty() {
        read.versions.push(read.legacy_version);
    }
    read
}

pub(super) fn server(hello: &tls_parser::TlsServerHelloContents<'_>) -> Handshake {
    if hello.random.starts_with(&RETRY_RANDOM) {
        return Handshake::HelloRetryRequest;
    }
    let legacy_version = TlsVersion(hello.version.0);
    let mut read = ServerHello {
        random: hello.random.to_vec(),
        legacy_version,
        version: legacy_version,
        suite: Suite(hello.cipher.0),
        session_id: hello.session_id.unwrap_or_default().to_vec(),
        ..ServerHello::default()
    };
    for (kind, body) in extensions(hello.ext.unwrap_or_default()) {
        read.extensions.push(kind);
        match kind {
            SUPPORTED_VERSIONS => {
                read.version = Cursor::new(body).u16_be("version").map_or(legacy_version, TlsVersion);
            }
            PRE_SHARED_KEY => read.psk = true,
            ENCRYPT_THEN_MAC => read.encrypt_then_mac = true,
            ALPN => read.alpn = protocols(body).into_iter().next(),
            _ => {}
        }
    }
    Handshake::ServerHello(read)
}

/// Type and body of each extension, as far as they are whole: type (2), length (2), body.
fn extensions(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut at = Cursor::new(bytes);
    std::iter::from_fn(move || {
        let kind = at.u16_be("extension type").ok()?;
        let length = at.u16_be("extension length").ok()?;
        Some((kind, at.slice(usize::from(length), "extension").ok()?))
    })
}

/// What stands behind a length of one byte, or as much of it as there is.
fn short_list(body: &[u8]) -> &[u8] {
    let Some((length, rest)) = body.split_first() else { return &[] };
    rest.get(..usize::from(*length)).unwrap_or(rest)
}

/// What stands behind a length of two bytes, or as much of it as there is.
fn long_list(body: &[u8]) -> &[u8] {
    let Some((length, rest)) = body.split_first_chunk::<2>() else { return &[] };
    rest.get(..usize::from(u16::from_be_bytes(*length))).unwrap_or(rest)
}

fn numbers(bytes: &[u8]) -> impl Iterator<Item = u16> {
    let pairs = bytes.chunks_exact(2).filter_map(|pair| pair.first_chunk::<2>());
    pairs.map(|pair| u16::from_be_bytes(*pair)).filter(|number| !is_grease(*number))
}

/// The first host name: list length (2), then type (1), length (2) and name (RFC 6066 3).
fn server_name(body: &[u8]) -> Option<Vec<u8>> {
    let mut at = Cursor::new(long_list(body));
    at.u8("name type").ok()?;
    let length = at.u16_be("name length").ok()?;
    at.slice(usize::from(length), "server name").ok().map(<[u8]>::to_vec)
}

/// Protocol names: list length (2), then length (1) and name of each (RFC 7301 3.1).
fn protocols(body: &[u8]) -> Vec<Vec<u8>> {
    let mut at = Cursor::new(long_list(body));
    let mut names = Vec::new();
    while let Ok(length) = at.u8("protocol length") {
        let Ok(name) = at.slice(usize::from(length), "protocol name") else { break };
        let is_grease = name.first_chunk::<2>().is_some_and(|n| name.len() == 2 && is_grease_pair(*n));
        if !is_grease {
            names.push(name.to_vec());
        }
    }
    names
}

/// Values set aside so that peers learn to ignore unknown ones (RFC 8701).
const fn is_grease(value: u16) -> bool {
    is_grease_pair(value.to_be_bytes())
}

const fn is_grease_pair([high, low]: [u8; 2]) -> bool {
    high == low && low & 0x0f == 0x0a
}

#[cfg(test)]
mod tests {
    use super::super::handshake;
    use super::*;

    #[test]
    fn grease_is_left_out() {
        assert!(is_grease(0x0a0a) && is_grease(0xfafa));
        assert!(!is_grease(0x1301) && !is_grease(0x0a1a));
    }

    fn extension(kind: u16, body: &[u8]) -> Vec<u8> {
        [&kind.to_be_bytes(), &u16::try_from(body.len()).unwrap().to_be_bytes(), body].concat()
    }

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        [&[kind, 0], u16::try_from(body.len()).unwrap().to_be_bytes().as_slice(), body].concat()
    }

    fn hello(extensions: &[Vec<u8>]) -> ClientHello {
        let extensions = extensions.concat();
        let mut body = vec![3, 3];
        body.extend([7; 32]);
        body.extend([2, 0xaa, 0xbb, 0, 6, 0x0a, 0x0a, 0x13, 0x01, 0xc0, 0x2f, 1, 0]);
        body.extend(u16::try_from(extensions.len()).unwrap().to_be_bytes());
        body.extend(extensions);
        let Ok((Handshake::ClientHello(read), _)) = handshake(&message(1, &body)) else {
            unreachable!("it is a ClientHello")
        };
        read
    }

    #[test]
    fn what_a_client_offers_is_read() {
        let read = hello(&[
            extension(0x1a1a, &[]),
            extension(SERVER_NAME, &[0, 5, 0, 0, 2, b'h', b'1']),
            extension(SUPPORTED_VERSIONS, &[6, 0x2a, 0x2a, 3, 3, 3, 4]),
            extension(ALPN, &[0, 6, 2, b'h', b'2', 2, 0x3a, 0x3a]),
            extension(SUPPORTED_GROUPS, &[0, 4, 0, 29, 0x0a, 0x0a]),
            extension(EC_POINT_FORMATS, &[1, 0]),
            extension(SIGNATURE_ALGORITHMS, &[0, 2, 4, 3]),
            extension(SESSION_TICKET, &[]),
        ]);
        assert_eq!(read.sni.as_deref(), Some(b"h1".as_slice()));
        assert_eq!(read.versions, [TlsVersion::TLS13, TlsVersion::TLS12]);
        assert_eq!(read.suites, [Suite(0x1301), Suite(0xc02f)]);
        assert_eq!(
            (read.alpn.as_slice(), read.groups.as_slice()),
            ([b"h2".to_vec()].as_slice(), [29].as_slice())
        );
        assert_eq!(
            (read.point_formats.as_slice(), read.signature_algorithms.as_slice()),
            ([0].as_slice(), [0x403].as_slice())
        );
        assert_eq!(read.extensions, [0, 43, 16, 10, 11, 13, 35]);
        // A filled session id beside TLS 1.3 and an empty ticket ask for nothing.
        assert!(!read.asks_to_resume());
        assert!(hello(&[extension(SESSION_TICKET, &[1])]).asks_to_resume());
        assert!(hello(&[]).asks_to_resume());
    }

    #[test]
    fn a_cut_extension_costs_only_itself_and_what_follows() {
        let cut = [extension(SERVER_NAME, &[0, 5, 0, 0, 2, b'h', b'1']), vec![0, 43, 0, 9, 1]];
        let read = hello(&cut);
        assert_eq!(
            (read.sni.as_deref(), read.versions.as_slice()),
            (Some(b"h1".as_slice()), [TlsVersion::TLS12].as_slice())
        );
    }

    #[test]
    fn a_session_is_resumed_by_its_id_or_by_a_key_that_was_chosen() {
        let client = hello(&[]);
        let old = ServerHello {
            version: TlsVersion::TLS12,
            session_id: vec![0xaa, 0xbb],
            ..ServerHello::default()
        };
        assert!(old.resumes(&client));
        assert!(!ServerHello { session_id: vec![1], ..old.clone() }.resumes(&client));
        let new = ServerHello { version: TlsVersion::TLS13, ..old };
        assert!(!new.resumes(&client));
        assert!(ServerHello { psk: true, ..new }.resumes(&client));
    }
}
