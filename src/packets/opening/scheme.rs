//! Which suites are opened in which version, and their key schedules: TLS 1.0 and 1.1 (RFC 2246 5, RFC 4346 6.3), TLS 1.2
//! (RFC 5246 6.3) and TLS 1.3 (RFC 8446 7), by the primitives of RustCrypto.

use aes_gcm::aead::KeyInit;
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use md5::Md5;
use sha1::Sha1;
use sha2::{Sha256, Sha384};

use super::cipher::Opener;
use crate::wire::tls::{RECORD_HEADER, Suite, TlsVersion};

/// Bytes of the nonce that AES-GCM and AES-CCM records of TLS 1.2 carry (RFC 5288 3, RFC 6655 3).
pub(super) const EXPLICIT_NONCE_BYTES: usize = 8;
/// Bytes of a nonce.
pub(super) const NONCE_BYTES: usize = 12;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    Aes128Gcm,
    Aes256Gcm,
    ChaCha20Poly1305,
    Aes128Ccm,
    Aes256Ccm,
    Aes128Ccm8,
    Aes256Ccm8,
    Aes128Cbc,
    Aes256Cbc,
    TripleDesCbc,
}

/// Name parts of suites, and what they are opened with. Of two that fit the first counts.
const ALGORITHMS: &[(&str, Algorithm)] = &[
    ("_AES_128_GCM_SHA256", Algorithm::Aes128Gcm),
    ("_AES_256_GCM_SHA384", Algorithm::Aes256Gcm),
    ("_CHACHA20_POLY1305_SHA256", Algorithm::ChaCha20Poly1305),
    ("_AES_128_CCM_8", Algorithm::Aes128Ccm8),
    ("_AES_256_CCM_8", Algorithm::Aes256Ccm8),
    ("_AES_128_CCM", Algorithm::Aes128Ccm),
    ("_AES_256_CCM", Algorithm::Aes256Ccm),
    ("_AES_128_CBC_SHA", Algorithm::Aes128Cbc),
    ("_AES_256_CBC_SHA", Algorithm::Aes256Cbc),
    ("_3DES_EDE_CBC_SHA", Algorithm::TripleDesCbc),
];

/// A hash, as part of the key schedule or of a MAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hash {
    Md5,
    Sha1,
    Sha256,
    Sha384,
}

impl Hash {
    /// HMAC over the parts (RFC 2104).
    pub(super) fn hmac(self, key: &[u8], parts: &[&[u8]]) -> Option<Vec<u8>> {
        fn over<M: Mac + KeyInit>(key: &[u8], parts: &[&[u8]]) -> Option<Vec<u8>> {
            let mut mac = <M as KeyInit>::new_from_slice(key).ok()?;
            for part in parts {
                mac.update(part);
            }
            Some(mac.finalize().into_bytes().to_vec())
        }
        match self {
            Self::Md5 => over::<Hmac<Md5>>(key, parts),
            Self::Sha1 => over::<Hmac<Sha1>>(key, parts),
            Self::Sha256 => over::<Hmac<Sha256>>(key, parts),
            Self::Sha384 => over::<Hmac<Sha384>>(key, parts),
        }
    }

    /// `P_hash(secret, seed)` of `bytes` bytes (RFC 5246 5).
    fn expand(self, secret: &[u8], seed: &[u8], bytes: usize) -> Option<Vec<u8>> {
        let mut block = Vec::new();
        let mut chained = self.hmac(secret, &[seed])?;
        while block.len() < bytes {
            block.extend(self.hmac(secret, &[&chained, seed])?);
            chained = self.hmac(secret, &[&chained])?;
        }
        block.truncate(bytes);
        Some(block)
    }
}

/// A suite that can be opened, in a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Scheme {
    pub(super) algorithm: Algorithm,
    pub(super) version: TlsVersion,
    /// Hash of the key schedule of TLS 1.2 and 1.3.
    hash: Hash,
    /// Hash and bytes of the MAC of block ciphers.
    pub(super) mac: Option<(Hash, usize)>,
    /// The MAC is taken over what was encrypted (RFC 7366).
    pub(super) encrypt_then_mac: bool,
}

impl Scheme {
    /// `None` for a suite or version that is not opened here.
    pub(super) fn of(version: TlsVersion, suite: Suite, encrypt_then_mac: bool) -> Option<Self> {
        let name = suite.words();
        let (_, algorithm) = ALGORITHMS.iter().copied().find(|(part, _)| name.contains(part))?;
        let hash = if name.ends_with("SHA384") { Hash::Sha384 } else { Hash::Sha256 };
        let mac = match (suite.cbc_block(), suite.mac()) {
            (None, _) => None,
            (Some(_), 20) => Some((Hash::Sha1, 20)),
            (Some(_), 32) => Some((Hash::Sha256, 32)),
            (Some(_), 48) => Some((Hash::Sha384, 48)),
            (Some(_), _) => return None,
        };
        let fits = match version {
            TlsVersion::TLS10 | TlsVersion::TLS11 => mac.is_some_and(|(hash, _)| hash == Hash::Sha1),
            TlsVersion::TLS12 => true,
            TlsVersion::TLS13 => mac.is_none(),
            _ => false,
        };
        fits.then_some(Self { algorithm, version, hash, mac, encrypt_then_mac })
    }

    pub(super) fn is_13(self) -> bool {
        self.version == TlsVersion::TLS13
    }

    /// Records carry part of their nonce, by which they can be told apart behind a gap.
    pub(super) fn has_explicit_nonce(self) -> bool {
        !self.is_13() && self.mac.is_none() && self.algorithm != Algorithm::ChaCha20Poly1305
    }

    /// The IV of a record is the end of the record before it (RFC 2246 6.2.3.2).
    pub(super) fn is_chained(self) -> bool {
        self.version == TlsVersion::TLS10
    }

    /// Bytes of a block, of block ciphers.
    pub(super) fn block_bytes(self) -> usize {
        if self.algorithm == Algorithm::TripleDesCbc { 8 } else { 16 }
    }

    /// Bytes of the tag of AEAD suites.
    fn tag_bytes(self) -> usize {
        if matches!(self.algorithm, Algorithm::Aes128Ccm8 | Algorithm::Aes256Ccm8) { 8 } else { 16 }
    }

    fn key_bytes(self) -> usize {
        match self.algorithm {
            Algorithm::Aes128Gcm | Algorithm::Aes128Ccm | Algorithm::Aes128Ccm8 | Algorithm::Aes128Cbc => 16,
            Algorithm::TripleDesCbc => 24,
            _ => 32,
        }
    }

    fn mac_bytes(self) -> usize {
        self.mac.map_or(0, |(_, bytes)| bytes)
    }

    fn iv_bytes(self) -> usize {
        match (self.mac, self.has_explicit_nonce()) {
            (Some(_), _) => self.block_bytes(),
            (None, true) => NONCE_BYTES - EXPLICIT_NONCE_BYTES,
            (None, false) => NONCE_BYTES,
        }
    }

    /// What a record of this scheme adds to its plaintext at least.
    pub(super) fn least_bytes(self) -> u64 {
        let sealed = match self.mac {
            Some((_, mac)) => mac + 1 + if self.is_chained() { 0 } else { self.block_bytes() },
            None => self.tag_bytes() + if self.has_explicit_nonce() { EXPLICIT_NONCE_BYTES } else { 0 },
        };
        u64::try_from(RECORD_HEADER + sealed).unwrap_or(u64::MAX)
    }

    /// The plaintext of an AEAD record with `sealed` bytes behind its nonce.
    pub(super) fn plain_bytes(self, sealed: usize) -> Option<usize> {
        sealed.checked_sub(self.tag_bytes())
    }

    /// Keys of both directions of TLS 1.2 and older, the client's first: `key_block = PRF(master_secret, "key expansion",
    /// server_random + client_random)`, cut into the MAC keys, the keys and the IVs of client and server.
    pub(super) fn keys_12(
        self,
        master: &[u8],
        client_random: &[u8],
        server_random: &[u8],
    ) -> Option<[Opener; 2]> {
        let (mac, key, iv) = (self.mac_bytes(), self.key_bytes(), self.iv_bytes());
        let seed = [b"key expansion".as_slice(), server_random, client_random].concat();
        let block = self.prf(master, &seed, 2 * (mac + key + iv))?;
        let part = |from: usize, length: usize| block.get(from..from + length);
        let opener = |side: usize| {
            let keys = part(2 * mac + side * key, key)?;
            Opener::new(self, part(side * mac, mac)?, keys, part(2 * (mac + key) + side * iv, iv)?)
        };
        Some([opener(0)?, opener(1)?])
    }

    /// Keys of one direction of TLS 1.3 from its traffic secret (RFC 8446 7.3).
    pub(super) fn keys_13(self, secret: &[u8]) -> Option<Opener> {
        let key = self.expand_label(secret, b"key", self.key_bytes())?;
        let iv = self.expand_label(secret, b"iv", NONCE_BYTES)?;
        Opener::new(self, &[], &key, &iv)
    }

    /// The traffic secret behind a KeyUpdate (RFC 8446 7.2).
    pub(super) fn next_secret(self, secret: &[u8]) -> Option<Vec<u8>> {
        let bytes = if self.hash == Hash::Sha256 { 32 } else { 48 };
        self.expand_label(secret, b"traffic upd", bytes)
    }

    /// The PRF of its version: `P_hash` with the hash of the suite, before TLS 1.2 `P_MD5` over the first half of the
    /// secret and `P_SHA-1` over the second, both added bit by bit (RFC 2246 5).
    fn prf(self, secret: &[u8], seed: &[u8], bytes: usize) -> Option<Vec<u8>> {
        if self.version >= TlsVersion::TLS12 {
            return self.hash.expand(secret, seed, bytes);
        }
        let half = secret.len().div_ceil(2);
        let md5 = Hash::Md5.expand(secret.get(..half)?, seed, bytes)?;
        let sha = Hash::Sha1.expand(secret.get(secret.len() - half..)?, seed, bytes)?;
        Some(md5.iter().zip(&sha).map(|(a, b)| a ^ b).collect())
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
            Hash::Sha384 => Hkdf::<Sha384>::from_prk(secret).ok()?.expand(&info, &mut out).ok()?,
            _ => Hkdf::<Sha256>::from_prk(secret).ok()?.expand(&info, &mut out).ok()?,
        }
        Some(out)
    }
}

#[cfg(test)]
mod tests {
    use super::super::cipher::bytes;
    use super::*;

    /// RFC 8448 3: the server's handshake traffic secret of the simple 1-RTT handshake, its key and IV.
    #[test]
    fn keys_of_tls_13_are_those_of_rfc_8448() {
        let scheme = Scheme::of(TlsVersion::TLS13, Suite(0x1301), false).unwrap();
        let secret = bytes("b67b7d690cc16c4e75e54213cb2d37b4e9c912bcded9105d42befd59d391ad38");
        let key = scheme.expand_label(&secret, b"key", 16).unwrap();
        let iv = scheme.expand_label(&secret, b"iv", 12).unwrap();
        assert_eq!(key, bytes("3fce516009c21727d0f2e4e86ee403bc"));
        assert_eq!(iv, bytes("5d313eb2671276ee13000b30"));
    }

    /// The published test vector of the TLS 1.2 PRF with SHA-256.
    #[test]
    fn the_prf_of_tls_12() {
        let scheme = Scheme::of(TlsVersion::TLS12, Suite(0xc02f), false).unwrap();
        let secret = bytes("9bbe436ba940f017b17652849a71db35");
        let seed = [b"test label".as_slice(), &bytes("a0ba9f936cda311827a6f796ffd5198c")].concat();
        let out = scheme.prf(&secret, &seed, 20).unwrap();
        assert_eq!(out, bytes("e3f229ba727be17b8d122620557cd453c2aab21d"));
    }

    #[test]
    fn other_suites_are_left_closed() {
        let of = |version, suite| Scheme::of(version, Suite(suite), false);
        // Camellia, RC4, NULL, and no encryption worth the name.
        for suite in [0x0041, 0x0005, 0x003b, 0x0003, 0x0000, 0xffff] {
            assert_eq!(of(TlsVersion::TLS12, suite), None, "{suite:#06x}");
        }
        // AEAD suites begin with TLS 1.2, and block ciphers end with it.
        assert_eq!(of(TlsVersion::TLS11, 0xc030), None);
        assert_eq!(of(TlsVersion::TLS13, 0xc014), None);
        assert_eq!(of(TlsVersion(0x0300), 0x002f), None);
        for (version, suite) in [
            (TlsVersion::TLS12, 0xcca8),
            (TlsVersion::TLS10, 0x002f),
            (TlsVersion::TLS11, 0x000a),
            (TlsVersion::TLS12, 0xc028),
            (TlsVersion::TLS12, 0xc09c),
            (TlsVersion::TLS13, 0x1305),
        ] {
            assert!(of(version, suite).is_some(), "{suite:#06x}");
        }
    }
}
