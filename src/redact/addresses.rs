//! Addresses with the same beginning get pseudonyms with the same beginning: the tree of Crypto-PAn (Fan, Xu, Ammar and
//! Moon, 2004), with HMAC-SHA256 for its random function.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hashbrown::HashMap;

use super::Key;

/// Beginnings of IPv4 that mean something, and so stay: this network, private, shared, loopback, link-local, multicast and
/// reserved (RFC 6890), for documentation (RFC 5737) and for benchmarks (RFC 2544).
const V4: &[(u32, u32)] = &[
    (0x0000_0000, 8),
    (0x0a00_0000, 8),
    (0x6440_0000, 10),
    (0x7f00_0000, 8),
    (0xa9fe_0000, 16),
    (0xac10_0000, 12),
    (0xc000_0200, 24),
    (0xc0a8_0000, 16),
    (0xc612_0000, 15),
    (0xc633_6400, 24),
    (0xcb00_7100, 24),
    (0xe000_0000, 4),
    (0xf000_0000, 4),
];
/// The same of IPv6: unspecified, loopback and IPv4 inside, for documentation (RFC 3849, RFC 9637), unique local, link-local,
/// multicast.
const V6: &[(u128, u32)] = &[
    (0, 8),
    (0x0064_ff9b_u128 << 96, 96),
    (0x2001_0db8_u128 << 96, 32),
    (0x3fff_u128 << 112, 20),
    (0xfc00_u128 << 112, 7),
    (0xfe80_u128 << 112, 64),
    (0xff00_u128 << 112, 8),
];

/// Pseudonyms of addresses under one key.
#[derive(Debug, Clone)]
pub(super) struct Addresses {
    key: Key,
    known: HashMap<IpAddr, IpAddr, foldhash::fast::FixedState>,
    bits: HashMap<(u32, u128), bool, foldhash::fast::FixedState>,
}

impl Addresses {
    pub(super) fn new(key: Key) -> Self {
        Self { key, known: HashMap::default(), bits: HashMap::default() }
    }

    /// The pseudonym. What is no one's own address stays.
    pub(super) fn of(&mut self, address: IpAddr) -> IpAddr {
        if stays(address) {
            return address;
        }
        if let Some(known) = self.known.get(&address) {
            return *known;
        }
        let given = match address {
            IpAddr::V4(v4) => IpAddr::V4(self.v4(v4)),
            IpAddr::V6(v6) => IpAddr::V6(match v6.to_ipv4_mapped() {
                Some(v4) => self.v4(v4).to_ipv6_mapped(),
                None => self.v6(v6),
            }),
        };
        self.known.insert(address, given);
        given
    }

    fn v4(&mut self, v4: Ipv4Addr) -> Ipv4Addr {
        let wide = u128::from(v4.to_bits()) << 96;
        let kept = |depth: u32, prefix: u128| {
            V4.iter()
                .any(|(start, length)| depth < *length && begins(u128::from(*start) << 96, depth, prefix))
        };
        let given = self.walk(wide, 32, &kept) >> 96;
        u32::try_from(given).map_or(v4, Ipv4Addr::from_bits)
    }

    fn v6(&mut self, v6: Ipv6Addr) -> Ipv6Addr {
        let kept = |depth: u32, prefix: u128| {
            V6.iter().any(|(start, length)| depth < *length && begins(*start, depth, prefix))
        };
        Ipv6Addr::from_bits(self.walk(v6.to_bits(), 128, &kept))
    }

    /// Each bit is turned or not by what stands before it; on the way to a beginning that stays, none is. Where none was, the
    /// last bit is: no address is its own pseudonym.
    fn walk(&mut self, bits: u128, length: u32, kept: &dyn Fn(u32, u128) -> bool) -> u128 {
        let mut given = bits;
        for depth in 0..length {
            let prefix = cut(bits, depth);
            let is_last_hope = depth + 1 == length && given == bits;
            if !kept(depth, prefix) && (is_last_hope || self.turned(length, depth, prefix)) {
                given ^= 1 << (127 - depth);
            }
        }
        given
    }

    fn turned(&mut self, length: u32, depth: u32, prefix: u128) -> bool {
        let key = &self.key;
        // A length of its own for each family.
        let place = depth + (length << 8);
        *self.bits.entry((place, prefix)).or_insert_with(|| {
            let drawn = key.draw("address", &[&place.to_be_bytes(), &prefix.to_be_bytes()]);
            drawn.first().is_some_and(|byte| byte & 1 == 1)
        })
    }
}

/// The first `depth` bits.
const fn cut(bits: u128, depth: u32) -> u128 {
    if depth == 0 { 0 } else { bits >> (128 - depth) << (128 - depth) }
}

const fn begins(start: u128, depth: u32, prefix: u128) -> bool {
    cut(start, depth) == prefix
}

/// It is nobody's own: loopback, unspecified, multicast, broadcast.
pub(super) fn stays(address: IpAddr) -> bool {
    let address = address.to_canonical();
    address.is_loopback()
        || address.is_unspecified()
        || address.is_multicast()
        || matches!(address, IpAddr::V4(v4) if v4.is_broadcast())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bits(address: IpAddr) -> (u32, u128) {
        match address {
            IpAddr::V4(v4) => (32, u128::from(v4.to_bits()) << 96),
            IpAddr::V6(v6) => (128, v6.to_bits()),
        }
    }

    fn shared(a: IpAddr, b: IpAddr) -> u32 {
        let ((length, a), (_, b)) = (bits(a), bits(b));
        (a ^ b).leading_zeros().min(length)
    }

    /// Numbers without a pattern (splitmix64), the same in every run.
    fn numbers(mut seed: u64) -> impl Iterator<Item = u64> {
        std::iter::repeat_with(move || {
            seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let a = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let b = (a ^ (a >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            b ^ (b >> 31)
        })
    }

    fn any_v4(number: u64) -> IpAddr {
        Ipv4Addr::from_bits(u32::try_from(number >> 32).unwrap()).into()
    }

    #[test]
    fn two_pseudonyms_share_as_many_bits_as_the_addresses() {
        let mut of = Addresses::new(Key(super::super::key_of(b"a test")));
        let mut v4: Vec<IpAddr> = numbers(1).take(200).map(any_v4).collect();
        v4.extend((0..40).map(|n| IpAddr::from([10, 0, n / 8, n])));
        let v6 = numbers(2).zip(numbers(3)).take(60);
        let v6: Vec<IpAddr> =
            v6.map(|(a, b)| Ipv6Addr::from_bits(u128::from(a) << 64 | u128::from(b)).into()).collect();
        for family in [v4, v6] {
            let family: Vec<IpAddr> = family.into_iter().filter(|address| !stays(*address)).collect();
            for a in &family {
                for b in &family {
                    assert_eq!(shared(*a, *b), shared(of.of(*a), of.of(*b)), "{a} {b}");
                }
            }
        }
    }

    #[test]
    fn no_address_is_its_own_pseudonym() {
        for secret in 0_u8..20 {
            let mut of = Addresses::new(Key(super::super::key_of(&[secret; 16])));
            for start in [[192, 0, 2], [198, 51, 100], [203, 0, 113]] {
                let all = (0_u8..=255).map(|last| IpAddr::from([start[0], start[1], start[2], last]));
                let given: std::collections::BTreeSet<IpAddr> = all
                    .map(|address| {
                        let given = of.of(address);
                        assert_ne!(given, address);
                        given
                    })
                    .collect();
                assert_eq!(given.len(), 256, "two have the same one");
            }
        }
    }

    #[test]
    fn beginnings_that_mean_something_stay_and_nothing_else_comes_under_them() {
        let mut of = Addresses::new(Key(super::super::key_of(b"another")));
        for text in ["127.0.0.1", "::1", "0.0.0.0", "224.0.0.251", "255.255.255.255", "ff02::fb", "::"] {
            let address: IpAddr = text.parse().unwrap();
            assert_eq!(of.of(address), address);
        }
        let private =
            |address: IpAddr| matches!(address, IpAddr::V4(v4) if v4.is_private() || v4.is_link_local());
        for n in numbers(4).take(2_000) {
            let address = any_v4(n);
            assert_eq!(private(address), private(of.of(address)), "{address}");
        }
        for (text, start) in [
            ("192.0.2.7", "192.0.2."),
            ("198.51.100.10", "198.51.100."),
            ("203.0.113.20", "203.0.113."),
            ("198.18.4.5", "198.1"),
            ("2001:db8:1::5", "2001:db8:"),
            ("3fff:1::5", "3fff:"),
        ] {
            let given = of.of(text.parse().unwrap()).to_string();
            assert!(given.starts_with(start) && given != text, "{text} {given}");
        }
        let local: IpAddr = "fe80::1234:5678:9abc:def0".parse().unwrap();
        assert!(of.of(local).to_string().starts_with("fe8") && of.of(local) != local);
        let mapped: IpAddr = "::ffff:192.168.4.5".parse().unwrap();
        let inner: IpAddr = "192.168.4.5".parse().unwrap();
        assert_eq!(of.of(mapped).to_canonical(), of.of(inner));
    }
}
