//! One record opened: AEAD (RFC 5116), or a block cipher in CBC mode with its MAC (RFC 5246 6.2.3.2, RFC 7366).

use aes::{Aes128, Aes256};
use aes_gcm::aead::consts::{U8, U12, U16};
use aes_gcm::aead::{Aead, KeyInit, Nonce, Payload};
use aes_gcm::{Aes128Gcm, Aes256Gcm};
use cbc::Decryptor;
use cbc::cipher::block_padding::NoPadding;
use cbc::cipher::{BlockModeDecrypt, KeyIvInit};
use ccm::Ccm;
use chacha20poly1305::ChaCha20Poly1305;
use des::TdesEde3;

use super::scheme::{Algorithm, EXPLICIT_NONCE_BYTES, Hash, NONCE_BYTES, Scheme};
use crate::wire::tls::RECORD_HEADER;

/// Nonce, additional data and sealed bytes to plaintext.
type OpenAead = Box<dyn Fn(&[u8], &[u8], &[u8]) -> Option<Vec<u8>>>;
/// IV and whole blocks to plaintext with padding.
type OpenCbc = Box<dyn Fn(&[u8], &[u8]) -> Option<Vec<u8>>>;

enum Cipher {
    Aead(OpenAead),
    Cbc { open: OpenCbc, mac: Hash, mac_bytes: usize, mac_key: Vec<u8> },
}

/// A record as it came.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sealing<'b> {
    pub(super) header: &'b [u8],
    pub(super) body: &'b [u8],
    /// The body of the encrypted record right before it, when that is there.
    pub(super) before: Option<&'b [u8]>,
}

/// Opens the records of one direction under one key.
pub(super) struct Opener {
    scheme: Scheme,
    cipher: Cipher,
    iv: Vec<u8>,
    #[cfg(test)]
    key: Vec<u8>,
}

impl Opener {
    pub(super) fn new(scheme: Scheme, mac_key: &[u8], key: &[u8], iv: &[u8]) -> Option<Self> {
        let cbc = |open: OpenCbc| {
            let (mac, mac_bytes) = scheme.mac?;
            Some(Cipher::Cbc { open, mac, mac_bytes, mac_key: mac_key.to_vec() })
        };
        let cipher = match scheme.algorithm {
            Algorithm::Aes128Gcm => Cipher::Aead(aead::<Aes128Gcm>(key)?),
            Algorithm::Aes256Gcm => Cipher::Aead(aead::<Aes256Gcm>(key)?),
            Algorithm::ChaCha20Poly1305 => Cipher::Aead(aead::<ChaCha20Poly1305>(key)?),
            Algorithm::Aes128Ccm => Cipher::Aead(aead::<Ccm<Aes128, U16, U12>>(key)?),
            Algorithm::Aes256Ccm => Cipher::Aead(aead::<Ccm<Aes256, U16, U12>>(key)?),
            Algorithm::Aes128Ccm8 => Cipher::Aead(aead::<Ccm<Aes128, U8, U12>>(key)?),
            Algorithm::Aes256Ccm8 => Cipher::Aead(aead::<Ccm<Aes256, U8, U12>>(key)?),
            Algorithm::Aes128Cbc => cbc(block::<Decryptor<Aes128>>(key))?,
            Algorithm::Aes256Cbc => cbc(block::<Decryptor<Aes256>>(key))?,
            Algorithm::TripleDesCbc => cbc(block::<Decryptor<TdesEde3>>(key))?,
        };
        Some(Self {
            scheme,
            cipher,
            iv: iv.to_vec(),
            #[cfg(test)]
            key: key.to_vec(),
        })
    }

    /// The plaintext of record `number`, or `None` when its tag or MAC does not verify.
    pub(super) fn open(&self, number: u64, sealing: &Sealing<'_>) -> Option<Vec<u8>> {
        let header = sealing.header.first_chunk::<RECORD_HEADER>()?;
        match &self.cipher {
            Cipher::Aead(open) => self.aead(open, number, header, sealing.body),
            Cipher::Cbc { .. } => self.block(number, header, sealing),
        }
    }

    /// TLS 1.2: additional data are number, type, version and length of the plaintext; TLS 1.3: the record's header.
    fn aead(
        &self,
        open: &OpenAead,
        number: u64,
        header: &[u8; RECORD_HEADER],
        body: &[u8],
    ) -> Option<Vec<u8>> {
        let counted = number.to_be_bytes();
        let (nonce, sealed) = if self.scheme.has_explicit_nonce() {
            let (explicit, sealed) = body.split_at_checked(EXPLICIT_NONCE_BYTES)?;
            ([self.iv.as_slice(), explicit].concat(), sealed)
        } else {
            let pad = NONCE_BYTES - counted.len();
            let counter = std::iter::repeat_n(&0, pad).chain(&counted);
            (self.iv.iter().zip(counter).map(|(iv, byte)| iv ^ byte).collect(), body)
        };
        let additional = match self.scheme.is_13() {
            true => header.to_vec(),
            false => pseudo_header(number, header, self.scheme.plain_bytes(sealed.len())?)?,
        };
        open(&nonce, &additional, sealed)
    }

    /// A record of a block cipher: IV (from TLS 1.1 on), then content, MAC and padding encrypted; or content and padding
    /// encrypted, and the MAC over IV and what was encrypted.
    fn block(&self, number: u64, header: &[u8; RECORD_HEADER], sealing: &Sealing<'_>) -> Option<Vec<u8>> {
        let Cipher::Cbc { open, mac, mac_bytes, mac_key } = &self.cipher else { return None };
        let verifies = |covered: &[u8], found: &[u8]| {
            let said = pseudo_header(number, header, covered.len())?;
            (mac.hmac(mac_key, &[&said, covered])? == found).then_some(())
        };
        let block = self.scheme.block_bytes();
        let mut body = sealing.body;
        if self.scheme.encrypt_then_mac {
            let (covered, found) = body.split_at_checked(body.len().checked_sub(*mac_bytes)?)?;
            verifies(covered, found)?;
            body = covered;
        }
        let (iv, encrypted) = match self.scheme.is_chained() {
            false => body.split_at_checked(block)?,
            true => (self.chained_iv(number, sealing, *mac_bytes)?, body),
        };
        let mut plain = open(iv, encrypted)?;
        let padding = plain.pop()?;
        let content = plain.len().checked_sub(usize::from(padding))?;
        if plain.split_off(content).iter().any(|byte| *byte != padding) {
            return None;
        }
        if !self.scheme.encrypt_then_mac {
            let found = plain.split_off(plain.len().checked_sub(*mac_bytes)?);
            verifies(&plain, &found)?;
        }
        Some(plain)
    }

    /// The last block of the record before; of the key block for the first record.
    fn chained_iv<'s>(&'s self, number: u64, sealing: &Sealing<'s>, mac_bytes: usize) -> Option<&'s [u8]> {
        let Some(before) = sealing.before else {
            return (number == 0).then_some(self.iv.as_slice());
        };
        let behind = if self.scheme.encrypt_then_mac { mac_bytes } else { 0 };
        let end = before.len().checked_sub(behind)?;
        before.get(end.checked_sub(self.scheme.block_bytes())?..end)
    }
}

/// What a MAC or tag covers ahead of the content: number (8), content type (1), version (2), length (2).
fn pseudo_header(number: u64, header: &[u8; RECORD_HEADER], length: usize) -> Option<Vec<u8>> {
    let [kind, major, minor, ..] = *header;
    let length = u16::try_from(length).ok()?;
    Some([number.to_be_bytes().as_slice(), &[kind, major, minor], &length.to_be_bytes()].concat())
}

fn aead<A: Aead + KeyInit + 'static>(key: &[u8]) -> Option<OpenAead> {
    let cipher = A::new_from_slice(key).ok()?;
    Some(Box::new(move |nonce, aad, msg| {
        let nonce = <&Nonce<A>>::try_from(nonce).ok()?;
        cipher.decrypt(nonce, Payload { msg, aad }).ok()
    }))
}

fn block<D: BlockModeDecrypt + KeyIvInit + 'static>(key: &[u8]) -> OpenCbc {
    let key = key.to_vec();
    Box::new(move |iv, encrypted| {
        D::new_from_slices(&key, iv).ok()?.decrypt_padded_vec::<NoPadding>(encrypted).ok()
    })
}

#[cfg(test)]
impl Opener {
    /// The record body of TLS 1.3 that this key gives, for tests: what `open` undoes.
    pub(super) fn seal_aes_128(&self, number: u64, header: &[u8], plain: &[u8]) -> Vec<u8> {
        let counter = [[0; 4].as_slice(), &number.to_be_bytes()].concat();
        let nonce: Vec<u8> = self.iv.iter().zip(counter).map(|(iv, byte)| iv ^ byte).collect();
        let cipher = Aes128Gcm::new_from_slice(&self.key).unwrap();
        let nonce = <&Nonce<Aes128Gcm>>::try_from(nonce.as_slice()).unwrap();
        cipher.encrypt(nonce, Payload { msg: plain, aad: header }).unwrap()
    }
}

/// Bytes of hexadecimal digits.
#[cfg(test)]
pub(super) fn bytes(hex: &str) -> Vec<u8> {
    hex.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::tls::{Suite, TlsVersion};

    /// The client's alert record of RFC 8448 3: close_notify under the application traffic key, sequence number 1.
    #[test]
    fn a_record_of_rfc_8448_is_opened_and_a_changed_one_is_not() {
        let scheme = Scheme::of(TlsVersion::TLS13, Suite(0x1301), false).unwrap();
        let (key, iv) = (bytes("17422dda596ed5d9acd890e3c63f5051"), bytes("5b78923dee08579033e523d9"));
        let opener = Opener::new(scheme, &[], &key, &iv).unwrap();
        let header = bytes("1703030013");
        let mut body = bytes("c9872760655666b74d7ff1153efd6db6d0b0e3");
        let open =
            |number, body: &[u8]| opener.open(number, &Sealing { header: &header, body, before: None });
        assert_eq!(open(1, &body), Some(vec![1, 0, 21]));
        assert_eq!(open(0, &body), None);
        body[0] ^= 1;
        assert_eq!(open(1, &body), None);
        assert_eq!(open(1, &[]), None);
    }
}
