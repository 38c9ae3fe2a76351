//! Community ID version 1 of a TCP connection or a UDP transport, by which other tools name the same connection (seed 0).

use std::net::{IpAddr, SocketAddr};

use data_encoding::BASE64;
use sha1::{Digest, Sha1};

/// Protocol number of TCP.
const TCP: u8 = 6;
/// Protocol number of UDP.
const UDP: u8 = 17;

/// `1:` and the base64 of SHA-1 over seed (2), both addresses, protocol (1), padding (1) and both ports, the lower end
/// first; the same for both directions.
#[must_use]
pub fn tcp(a: SocketAddr, b: SocketAddr) -> String {
    of(TCP, a, b)
}

/// The same for UDP.
#[must_use]
pub fn udp(a: SocketAddr, b: SocketAddr) -> String {
    of(UDP, a, b)
}

fn of(protocol: u8, a: SocketAddr, b: SocketAddr) -> String {
    let (a, b) = (packed(a), packed(b));
    let (low, high) = if a <= b { (a, b) } else { (b, a) };
    let mut hash = Sha1::new();
    hash.update([0, 0]);
    hash.update(&low.0);
    hash.update(&high.0);
    hash.update([protocol, 0]);
    hash.update(low.1.to_be_bytes());
    hash.update(high.1.to_be_bytes());
    format!("1:{}", BASE64.encode(&hash.finalize()))
}

fn packed(end: SocketAddr) -> (Vec<u8>, u16) {
    let address = match end.ip() {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    };
    (address, end.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification, in both directions.
    #[test]
    fn the_example_of_the_specification() {
        let a = "128.232.110.120:34855".parse().unwrap();
        let b = "66.35.250.204:80".parse().unwrap();
        assert_eq!(tcp(a, b), "1:LQU9qZlK+B5F3KDmev6m5PMibrg=");
        assert_eq!(tcp(b, a), tcp(a, b));
        // The specification's example for UDP.
        let (a, b) = ("192.168.1.52:54585".parse().unwrap(), "8.8.8.8:53".parse().unwrap());
        assert_eq!(udp(a, b), "1:d/FP5EW3wiY1vCndhwleRRKHowQ=");
    }
}
