//! From secrets to opened records: the key schedules of TLS 1.2 (RFC 5246 6.3) and TLS 1.3 (RFC 8446 7), and the AEAD
//! ciphers of both, by the primitives of RustCrypto.

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes128Gcm, Aes256Gcm};
use chacha20poly1305::ChaCha20Poly1305;
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use sha2::{Sha256, Sha384};

use crate::wire::tls::{RECORD_HEADER, Suite, TlsVersion};

/// Bytes of the tag of every suite opened here.
const TAG_BYTES: usize = 16;
/// Bytes of the nonce that AES-GCM records of TLS 1.2 carry (RFC 5288 3).
const EXPLICIT_NONCE_BYTES: usize = 8;
/// Bytes of a nonce.
const NONCE_BYTES: usize = 12;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Algorithm {
    Aes128Gcm,
    Aes256Gcm,
    ChaCha20Poly1305,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hash {
    Sha256,
    Sha384,
}

/// A suite that can be opened, in a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Scheme {
    algorithm: Algorithm,
    hash: Hash,
    is_13: bool,
}

impl Scheme {
    /// `None` for a suite or version that is not opened here.
    pub(super) fn of(version: TlsVersion, suite: Suite) -> Option<Self> {
        let name = suite.words();
        let (algorithm, hash) = match () {
            () if name.ends_with("AES_128_GCM_SHA256") => (Algorithm::Aes128Gcm, Hash::Sha256),
            () if name.ends_with("AES_256_GCM_SHA384") => (Algorithm::Aes256Gcm, Hash::Sha384),
            () if name.ends_with("CHACHA20_POLY1305_SHA256") => (Algorithm::ChaCha20Poly1305, Hash::Sha256),
            () => return None,
        };
        let known = version == TlsVersion::TLS12 || version == TlsVersion::TLS13;
        known.then_some(Self { algorithm, hash, is_13: version == TlsVersion::TLS13 })
    }

    pub(super) fn is_13(self) -> bool {
        self.is_13
    }

    /// Records carry part of their nonce, by which they can be told apart behind a gap.
    pub(super) fn has_explicit_nonce(self) -> bool {
        !self.is_13 && self.algorithm != Algorithm::ChaCha20Poly1305
    }

    fn key_bytes(self) -> usize {
        if self.algorithm == Algorithm::Aes128Gcm { 16 } else { 32 }
    }

    fn iv_bytes(self) -> usize {
        if self.has_explicit_nonce() { NONCE_BYTES - EXPLICIT_NONCE_BYTES } else { NONCE_BYTES }
    }

    /// What a record of this scheme adds to its plaintext at least.
    pub(super) fn least_bytes(self) -> u64 {
        let bytes =
            RECORD_HEADER + TAG_BYTES + if self.has_explicit_nonce() { EXPLICIT_NONCE_BYTES } else { 0 };
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }

    /// Keys of both directions of TLS 1.2, the client's first: `key_block = PRF(master_secret, "key expansion",
    /// server_random + client_random)`, cut into client key, server key, client IV, server IV.
    pub(super) fn keys_12(
        self,
        master: &[u8],
        client_random: &[u8],
        server_random: &[u8],
    ) -> Option<[Opener; 2]> {
        let (key, iv) = (self.key_bytes(), self.iv_bytes());
        let seed = [b"key expansion".as_slice(), server_random, client_random].concat();
        let block = self.prf(master, &seed, 2 * (key + iv))?;
        let part = |from: usize, length: usize| block.get(from..from + length);
        let client = self.opener(part(0, key)?, part(2 * key, iv)?)?;
        let server = self.opener(part(key, key)?, part(2 * key + iv, iv)?)?;
        Some([client, server])
    }

    /// Keys of one direction of TLS 1.3 from its traffic secret (RFC 8446 7.3).
    pub(super) fn keys_13(self, secret: &[u8]) -> Option<Opener> {
        let key = self.expand_label(secret, b"key", self.key_bytes())?;
        let iv = self.expand_label(secret, b"iv", NONCE_BYTES)?;
        self.opener(&key, &iv)
    }

    /// The traffic secret behind a KeyUpdate (RFC 8446 7.2).
    pub(super) fn next_secret(self, secret: &[u8]) -> Option<Vec<u8>> {
        let bytes = if self.hash == Hash::Sha256 { 32 } else { 48 };
        self.expand_label(secret, b"traffic upd", bytes)
    }

    fn opener(self, key: &[u8], iv: &[u8]) -> Option<Opener> {
        let cipher = match self.algorithm {
            Algorithm::Aes128Gcm => Cipher::Aes128(Box::new(Aes128Gcm::new_from_slice(key).ok()?)),
            Algorithm::Aes256Gcm => Cipher::Aes256(Box::new(Aes256Gcm::new_from_slice(key).ok()?)),
            Algorithm::ChaCha20Poly1305 => Cipher::ChaCha(ChaCha20Poly1305::new_from_slice(key).ok()?),
        };
        Some(Opener { scheme: self, cipher, iv: iv.to_vec() })
    }

    /// `P_hash(secret, seed)` of `bytes` bytes (RFC 5246 5).
    fn prf(self, secret: &[u8], seed: &[u8], bytes: usize) -> Option<Vec<u8>> {
        let mut block = Vec::new();
        let mut chained = self.hmac(secret, &[seed])?;
        while block.len() < bytes {
            block.extend(self.hmac(secret, &[&chained, seed])?);
            chained = self.hmac(secret, &[&chained])?;
        }
        block.truncate(bytes);
        Some(block)
    }

    fn hmac(self, key: &[u8], parts: &[&[u8]]) -> Option<Vec<u8>> {
        fn over<M: Mac + KeyInit>(key: &[u8], parts: &[&[u8]]) -> Option<Vec<u8>> {
            let mut mac = <M as KeyInit>::new_from_slice(key).ok()?;
            for part in parts {
                mac.update(part);
            }
            Some(mac.finalize().into_bytes().to_vec())
        }
        match self.hash {
            Hash::Sha256 => over::<Hmac<Sha256>>(key, parts),
            Hash::Sha384 => over::<Hmac<Sha384>>(key, parts),
        }
    }

    /// `HKDF-Expand-Label(secret, label, "", bytes)` (RFC 8446 7.1).
    fn expand_label(self, secret: &[u8], label: &[u8], bytes: usize) -> Option<Vec<u8>> {
        let mut info = u16::try_from(bytes).ok()?.to_be_bytes().to_vec();
        info.push(u8::try_from(label.len() + 6).ok()?);
        info.extend(b"tls13 ");
        info.extend(label);
        info.push(0);
        let mut out = vec![0; bytes];
        match self.hash {
            Hash::Sha256 => Hkdf::<Sha256>::from_prk(secret).ok()?.expand(&info, &mut out).ok()?,
            Hash::Sha384 => Hkdf::<Sha384>::from_prk(secret).ok()?.expand(&info, &mut out).ok()?,
        }
        Some(out)
    }
}

enum Cipher {
    Aes128(Box<Aes128Gcm>),
    Aes256(Box<Aes256Gcm>),
    ChaCha(ChaCha20Poly1305),
}

/// Opens the records of one direction under one key.
pub(super) struct Opener {
    scheme: Scheme,
    cipher: Cipher,
    iv: Vec<u8>,
}

impl Opener {
    /// The plaintext of record `number`, or `None` when its tag does not verify.
    ///
    /// TLS 1.2: additional data are number, type, version and length of the plaintext; TLS 1.3: the record's header.
    pub(super) fn open(&self, number: u64, header: &[u8], body: &[u8]) -> Option<Vec<u8>> {
        let header = header.first_chunk::<RECORD_HEADER>()?;
        let counted = number.to_be_bytes();
        let (nonce, sealed) = if self.scheme.has_explicit_nonce() {
            let (explicit, sealed) = body.split_at_checked(EXPLICIT_NONCE_BYTES)?;
            ([self.iv.as_slice(), explicit].concat(), sealed)
        } else {
            let pad = NONCE_BYTES - counted.len();
            let counter = std::iter::repeat_n(&0, pad).chain(&counted);
            (self.iv.iter().zip(counter).map(|(iv, byte)| iv ^ byte).collect(), body)
        };
        let aad = if self.scheme.is_13 {
            header.to_vec()
        } else {
            let length = u16::try_from(sealed.len().checked_sub(TAG_BYTES)?).ok()?;
            let [kind, major, minor, ..] = *header;
            [counted.as_slice(), &[kind, major, minor], &length.to_be_bytes()].concat()
        };
        let nonce = <[u8; NONCE_BYTES]>::try_from(nonce).ok()?;
        let payload = Payload { msg: sealed, aad: &aad };
        match &self.cipher {
            Cipher::Aes128(cipher) => cipher.decrypt(&nonce.into(), payload).ok(),
            Cipher::Aes256(cipher) => cipher.decrypt(&nonce.into(), payload).ok(),
            Cipher::ChaCha(cipher) => cipher.decrypt(&nonce.into(), payload).ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        hex.as_bytes()
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }

    /// RFC 8448 3: the server's handshake traffic secret of the simple 1-RTT handshake, its key and IV.
    #[test]
    fn keys_of_tls_13_are_those_of_rfc_8448() {
        let scheme = Scheme::of(TlsVersion::TLS13, Suite(0x1301)).unwrap();
        let secret = bytes("b67b7d690cc16c4e75e54213cb2d37b4e9c912bcded9105d42befd59d391ad38");
        let key = scheme.expand_label(&secret, b"key", 16).unwrap();
        let iv = scheme.expand_label(&secret, b"iv", 12).unwrap();
        assert_eq!(key, bytes("3fce516009c21727d0f2e4e86ee403bc"));
        assert_eq!(iv, bytes("5d313eb2671276ee13000b30"));
    }

    /// The client's alert record of RFC 8448 3: close_notify under the application traffic key, sequence number 1.
    #[test]
    fn a_record_of_rfc_8448_is_opened_and_a_changed_one_is_not() {
        let scheme = Scheme::of(TlsVersion::TLS13, Suite(0x1301)).unwrap();
        let opener = scheme
            .opener(&bytes("17422dda596ed5d9acd890e3c63f5051"), &bytes("5b78923dee08579033e523d9"))
            .unwrap();
        let header = bytes("1703030013");
        let mut body = bytes("c9872760655666b74d7ff1153efd6db6d0b0e3");
        assert_eq!(opener.open(1, &header, &body), Some(vec![1, 0, 21]));
        assert_eq!(opener.open(0, &header, &body), None);
        body[0] ^= 1;
        assert_eq!(opener.open(1, &header, &body), None);
        assert_eq!(opener.open(1, &header, &[]), None);
    }

    /// The published test vector of the TLS 1.2 PRF with SHA-256.
    #[test]
    fn the_prf_of_tls_12() {
        let scheme = Scheme::of(TlsVersion::TLS12, Suite(0xc02f)).unwrap();
        let secret = bytes("9bbe436ba940f017b17652849a71db35");
        let seed = [b"test label".as_slice(), &bytes("a0ba9f936cda311827a6f796ffd5198c")].concat();
        let out = scheme.prf(&secret, &seed, 20).unwrap();
        assert_eq!(out, bytes("e3f229ba727be17b8d122620557cd453c2aab21d"));
    }

    #[test]
    fn other_suites_are_left_closed() {
        assert_eq!(Scheme::of(TlsVersion::TLS12, Suite(0xc014)), None);
        assert_eq!(Scheme::of(TlsVersion(0x0302), Suite(0xc030)), None);
        assert!(Scheme::of(TlsVersion::TLS12, Suite(0xcca8)).is_some());
    }
}
