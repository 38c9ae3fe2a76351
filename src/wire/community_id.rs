//! Community ID version 1 of a TCP connection, by which other tools name the same connection (seed 0).

use std::net::{IpAddr, SocketAddr};

use sha1::{Digest, Sha1};

/// Protocol number of TCP.
const TCP: u8 = 6;
/// Alphabet of base64 (RFC 4648 4).
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// `1:` and the base64 of SHA-1 over seed (2), both addresses, protocol (1), padding (1) and both ports, the lower end
/// first; the same for both directions.
#[must_use]
pub fn tcp(a: SocketAddr, b: SocketAddr) -> String {
    let (a, b) = (packed(a), packed(b));
    let (low, high) = if a <= b { (a, b) } else { (b, a) };
    let mut hash = Sha1::new();
    hash.update([0, 0]);
    hash.update(&low.0);
    hash.update(&high.0);
    hash.update([TCP, 0]);
    hash.update(low.1.to_be_bytes());
    hash.update(high.1.to_be_bytes());
    format!("1:{}", base64(&hash.finalize()))
}

fn packed(end: SocketAddr) -> (Vec<u8>, u16) {
    let address = match end.ip() {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    };
    (address, end.port())
}

fn base64(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let mut three = [0; 3];
        for (slot, byte) in three.iter_mut().zip(chunk) {
            *slot = *byte;
        }
        let [a, b, c] = three;
        let number = u32::from_be_bytes([0, a, b, c]);
        for (place, shift) in [18, 12, 6, 0].into_iter().enumerate() {
            let index = usize::try_from((number >> shift) & 63).unwrap_or(0);
            let letter = ALPHABET.get(index).filter(|_| place <= chunk.len());
            text.push(letter.map_or('=', |letter| char::from(*letter)));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4648 10.
    #[test]
    fn base64_is_that_of_the_rfc() {
        let pairs = [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")];
        for (plain, text) in pairs {
            assert_eq!(base64(plain.as_bytes()), text);
        }
    }

    /// The example of the specification, in both directions.
    #[test]
    fn the_example_of_the_specification() {
        let a = "128.232.110.120:34855".parse().unwrap();
        let b = "66.35.250.204:80".parse().unwrap();
        assert_eq!(tcp(a, b), "1:LQU9qZlK+B5F3KDmev6m5PMibrg=");
        assert_eq!(tcp(b, a), tcp(a, b));
    }
}
