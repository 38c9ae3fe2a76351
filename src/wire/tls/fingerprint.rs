//! Fingerprints of hellos: JA3 and JA3S (MD5 over lists in decimal), JA4 (a readable part and two shortened SHA-256).

use data_encoding::HEXLOWER;
use md5::Md5;
use sha2::{Digest, Sha256};

use super::{ClientHello, ServerHello, TlsVersion};

/// Extensions that JA4 counts but does not hash: server name and ALPN.
const LEFT_OUT: [u16; 2] = [0, 16];
/// Hexadecimal digits that JA4 keeps of a hash.
const KEPT: usize = 12;

/// Version, suites, extensions, groups and point formats, each list joined by `-`, the parts by `,`.
pub(super) fn ja3(hello: &ClientHello) -> String {
    let suites: Vec<u16> = hello.suites.iter().map(|suite| suite.0).collect();
    let formats: Vec<u16> = hello.point_formats.iter().copied().map(u16::from).collect();
    let lists = [&suites, &hello.extensions, &hello.groups, &formats].map(|list| decimal(list)).join(",");
    md5_of(&format!("{},{lists}", hello.legacy_version.0))
}

/// Version, suite and extensions.
pub(super) fn ja3s(hello: &ServerHello) -> String {
    let extensions = decimal(&hello.extensions);
    md5_of(&format!("{},{},{extensions}", hello.legacy_version.0, hello.suite.0))
}

/// `t` for TCP, version, `d` with a server name or `i` without, numbers of suites and extensions, ends of the first
/// ALPN value; then the sorted suites, and the sorted extensions with the signature algorithms, hashed.
pub(super) fn ja4(hello: &ClientHello) -> String {
    let version = match hello.versions.first().copied().unwrap_or_default() {
        TlsVersion::TLS13 => "13",
        TlsVersion::TLS12 => "12",
        TlsVersion::TLS11 => "11",
        TlsVersion::TLS10 => "10",
        TlsVersion(0x0300) => "s3",
        _ => "00",
    };
    let name = if hello.extensions.contains(&0) { 'd' } else { 'i' };
    let (suites, extensions) = (hello.suites.len().min(99), hello.extensions.len().min(99));
    let mut sorted: Vec<u16> = hello.suites.iter().map(|suite| suite.0).collect();
    sorted.sort_unstable();
    let mut kept: Vec<u16> = hello.extensions.iter().copied().filter(|e| !LEFT_OUT.contains(e)).collect();
    kept.sort_unstable();
    let mut said = hexadecimal(&kept);
    if !hello.signature_algorithms.is_empty() {
        said.push('_');
        said.push_str(&hexadecimal(&hello.signature_algorithms));
    }
    format!(
        "t{version}{name}{suites:02}{extensions:02}{}_{}_{}",
        alpn_ends(hello),
        shortened(&hexadecimal(&sorted)),
        if kept.is_empty() { "0".repeat(KEPT) } else { shortened(&said) }
    )
}

/// First and last character of the first protocol; of its hexadecimal digits where these are not both letters or digits.
fn alpn_ends(hello: &ClientHello) -> String {
    let Some([first, .., last] | [first @ last]) = hello.alpn.first().map(Vec::as_slice) else {
        return "00".to_owned();
    };
    if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() {
        return [char::from(*first), char::from(*last)].iter().collect();
    }
    format!("{:x}{:x}", first >> 4, last & 0x0f)
}

fn decimal(numbers: &[u16]) -> String {
    numbers.iter().map(u16::to_string).collect::<Vec<_>>().join("-")
}

fn hexadecimal(numbers: &[u16]) -> String {
    numbers.iter().map(|number| format!("{number:04x}")).collect::<Vec<_>>().join(",")
}

fn md5_of(text: &str) -> String {
    HEXLOWER.encode(&Md5::digest(text))
}

fn shortened(text: &str) -> String {
    if text.is_empty() {
        return "0".repeat(KEPT);
    }
    HEXLOWER.encode(&Sha256::digest(text)).chars().take(KEPT).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Suite;
    use super::*;

    /// The examples in the README of JA3.
    #[test]
    fn ja3_is_as_published() {
        let suites = [47, 53, 5, 10, 49161, 49162, 49171, 49172, 50, 56, 19, 4];
        let hello = ClientHello {
            legacy_version: TlsVersion::TLS10,
            suites: suites.map(Suite).to_vec(),
            extensions: vec![0, 10, 11],
            groups: vec![23, 24, 25],
            point_formats: vec![0],
            ..ClientHello::default()
        };
        assert_eq!(ja3(&hello), "ada70206e40642a3e4461f35503241d5");
        let suites = [4, 5, 10, 9, 100, 98, 3, 6, 19, 18, 99];
        let bare = ClientHello {
            legacy_version: TlsVersion::TLS10,
            suites: suites.map(Suite).to_vec(),
            ..ClientHello::default()
        };
        assert_eq!(ja3(&bare), "de350869b8c85de67a350c8d186f11e6");
    }

    /// The example in the technical details of JA4.
    #[test]
    fn ja4_is_as_published() {
        let suites = [
            0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014, 0x009c,
            0x009d, 0x002f, 0x0035,
        ];
        let extensions = vec![
            0x001b, 0x0000, 0x0033, 0x0010, 0x4469, 0x0017, 0x002d, 0x000d, 0x0005, 0x0023, 0x0012, 0x002b,
            0xff01, 0x000b, 0x000a, 0x0015,
        ];
        let hello = ClientHello {
            versions: vec![TlsVersion::TLS13, TlsVersion::TLS12],
            suites: suites.map(Suite).to_vec(),
            extensions,
            signature_algorithms: vec![0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601],
            alpn: vec![b"h2".to_vec(), b"http/1.1".to_vec()],
            ..ClientHello::default()
        };
        assert_eq!(ja4(&hello), "t13d1516h2_8daaf6152771_e5627efa2ab1");
        assert_eq!(ja4(&ClientHello::default()), "t00i000000_000000000000_000000000000");
        let odd = ClientHello { alpn: vec![vec![0xab, b'x', 0xcd]], ..ClientHello::default() };
        assert_eq!(alpn_ends(&odd), "ad");
        let one = ClientHello { alpn: vec![b"a".to_vec()], ..ClientHello::default() };
        assert_eq!(alpn_ends(&one), "aa");
    }
}
