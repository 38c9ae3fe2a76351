//! Forms in words of programs that name nobody: versions, banners, codes, names inside of programs, the first bytes of what
//! no protocol is known for.

use std::ops::Range;

use super::common::is_product;

/// What letters may stand in a version, between its numbers.
const OF_VERSIONS: &[&str] = &[
    "v", "p", "b", "a", "rc", "beta", "alpha", "pre", "dev", "r", "rev", "u", "sp", "build", "deb", "ubuntu",
    "el", "fc", "git", "ppa", "bpo", "nmu", "dfsg", "fips", "lts", "esm", "sf", "debian", "raspbian", "rpi",
    "rpt", "final", "ga",
];
/// Characters in a row that are text to somebody who reads a dump.
const TEXT_CHARS: usize = 4;
/// Behind the last alphabet (Latin to Arabic and Hebrew) whose two bytes hardly come about by chance four times in a row.
const WIDE_END: char = '\u{700}';

/// A version: `1.22.1`, `9.2p1`, `2022.83`, `v3.1-rc2`, `2+deb12u2`. It begins with a number, and its letters are those of
/// [`OF_VERSIONS`].
pub(super) fn is_version(text: &str) -> bool {
    let numbered = text.strip_prefix(['v', 'V']).unwrap_or(text);
    // The number before a colon is how often the numbering began anew.
    let numbered = match numbered.split_once(':') {
        Some((epoch, version)) if epoch.len() <= 2 && !version.contains(':') => version,
        Some(_) => return false,
        None => numbered,
    };
    let is_written = text.chars().all(|c| c.is_ascii_alphanumeric() || ".-+~_:".contains(c));
    let words = text.split(|c: char| !c.is_ascii_alphabetic()).filter(|word| !word.is_empty());
    numbered.starts_with(|c: char| c.is_ascii_digit())
        && text.len() <= 40
        && is_written
        && words.map(str::to_ascii_lowercase).all(|word| OF_VERSIONS.contains(&word.as_str()))
}

/// A program and its version in one: `OpenSSH_9.2p1`, `dropbear_2022.83`, `Debian-2+deb12u2`, `libssh2_1.11.0`. Outside of
/// banners the version must have a point, or hosts could be called so.
pub(super) fn is_product_version(text: &str, in_banner: bool) -> bool {
    let mut ends = text.match_indices(['_', '-']).map(|(at, _)| at);
    ends.any(|at| {
        let (product, version) = (text.get(..at).unwrap_or(""), text.get(at + 1..).unwrap_or(""));
        is_product(product) && is_version(version) && (in_banner || version.contains('.'))
    })
}

/// The identification of SSH: `SSH-protoversion-softwareversion comments` (RFC 4253 4.2). Gives `SSH-protoversion-` and the
/// rest.
pub(super) fn ssh_banner(text: &str) -> Option<(&str, &str)> {
    let rest = text.strip_prefix("SSH-")?;
    let (version, _) = rest.split_once('-')?;
    let is_version = !version.is_empty() && version.chars().all(|c| c.is_ascii_digit() || c == '.');
    is_version.then(|| text.split_at("SSH-".len() + version.len() + 1))
}

/// A status or an exception of Windows without `0x`: `c0000005`, `80070005`.
pub(super) fn is_bare_code(text: &str) -> bool {
    const BEGINS: &[&str] = &[
        "c0000", "c0020", "c0150", "c0190", "c0220", "c0210", "d0000", "80000", "80004", "80040", "80070",
        "80090", "800b0", "80320", "40000", "e0434", "e06d7", "00000",
    ];
    let low = text.to_ascii_lowercase();
    low.len() == 8
        && low.chars().all(|c| c.is_ascii_hexdigit())
        && BEGINS.iter().any(|begin| low.starts_with(begin))
}

/// A name inside of a program, as traces have it: a class and its methods, `CUMRDPConnection::PreDisconnect`, or a variable
/// before `->`, `spGfxPlugin-`.
pub(super) fn is_code_name(run: &str, after: Option<char>) -> bool {
    let is_capital = |text: &str| text.starts_with(|c: char| c.is_ascii_uppercase());
    let is_plain = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphabetic());
    if let Some(variable) = run.strip_suffix('-').filter(|_| after == Some('>')) {
        let name = ["m_", "sp", "p"].iter().find_map(|kind| variable.strip_prefix(kind));
        return name.is_some_and(|name| is_capital(name) && is_plain(name));
    }
    let mut parts = run.split("::");
    let class = parts.next().unwrap_or("");
    let is_class = class.len() > 4 && class.strip_prefix('C').is_some_and(is_capital) && is_plain(class);
    is_class && (run.contains("::") || class.starts_with("CUMRDP")) && parts.all(is_plain)
}

/// The number of an update, as its title has it.
pub(super) fn is_update_number(label: &str) -> bool {
    label
        .strip_prefix("KB")
        .is_some_and(|number| (6..=7).contains(&number.len()) && number.chars().all(|c| c.is_ascii_digit()))
}

/// A year and a month, by which updates are called: `2018-06`.
pub(super) fn is_month(label: &str) -> bool {
    let parts = label
        .split_once('-')
        .and_then(|(year, month)| Some((year.len(), month.len(), year.parse().ok()?, month.parse().ok()?)));
    matches!(parts, Some((4, 2, 1_990_u16..=2_099, 1_u8..=12)))
}

/// The names that Windows gives to time zones: `W. Europe Standard Time`, `Coordinated Universal Time`, `UTC-11`.
pub(super) fn is_time_zone(text: &str) -> bool {
    let words = text.split_whitespace().count();
    let ends = ["Standard Time", "Daylight Time", "Universal Time"];
    let is_plain = text.chars().all(|c| c.is_ascii_alphabetic() || matches!(c, ' ' | '.' | '(' | ')'));
    let is_offset = text.strip_prefix("UTC").is_some_and(|offset| {
        offset.len() <= 6 && offset.chars().all(|c| c.is_ascii_digit() || matches!(c, '+' | '-' | ':'))
    });
    is_offset || (is_plain && (2..=6).contains(&words) && ends.iter().any(|end| text.ends_with(end)))
}

/// The bytes of a dump: `bytes 03 00 00 2b`.
pub(super) fn dump(text: &str) -> Option<Vec<u8>> {
    let one = |part: &str| (part.len() == 2).then(|| u8::from_str_radix(part, 16).ok())?;
    text.strip_prefix("bytes ")?.split(' ').map(one).collect()
}

/// Texts in bytes, in UTF-8 and in UTF-16 (little-endian, at even and odd places): which bytes they have, and what they
/// say. Shorter ones are given, too, where `is_name` knows them. Pairs of bytes that could be anything, as those of Chinese,
/// are a text only where they are a name that is known.
pub(super) fn texts(bytes: &[u8], is_name: impl Fn(&str) -> bool) -> Vec<(Vec<usize>, String)> {
    let mut found = Vec::new();
    for characters in [narrow(bytes), wide(bytes, 0), wide(bytes, 1)] {
        for run in characters.split(|one| !one.is_text()) {
            let told: String = run.iter().map(|one| one.says).collect();
            let letters = told.chars().filter(|c| c.is_alphanumeric()).count();
            let is_plain = run.iter().all(|one| one.is_narrow || one.says < WIDE_END);
            let is_word = is_plain && run.len() >= TEXT_CHARS && letters + 1 >= TEXT_CHARS;
            if is_word || (run.len() > 1 && is_name(&told)) {
                found.push((run.iter().flat_map(|one| one.bytes.clone()).collect(), told));
            }
        }
    }
    found
}

/// A character in a dump, and the bytes that say it.
struct Character {
    bytes: Range<usize>,
    says: char,
    is_narrow: bool,
}

impl Character {
    fn is_text(&self) -> bool {
        self.says.is_ascii_graphic() || (!self.says.is_ascii() && self.says.is_alphanumeric())
    }
}

/// The bytes as UTF-8; what is none ends a text.
fn narrow(bytes: &[u8]) -> Vec<Character> {
    let mut found = Vec::new();
    let mut at = 0;
    for chunk in bytes.utf8_chunks() {
        let characters = chunk.valid().char_indices().map(|(from, says)| (from, says.len_utf8(), says));
        found.extend(characters.map(|(from, length, says)| Character {
            bytes: at + from..at + from + length,
            says,
            is_narrow: true,
        }));
        at += chunk.valid().len();
        if !chunk.invalid().is_empty() {
            found.push(Character { bytes: at..at, says: char::REPLACEMENT_CHARACTER, is_narrow: true });
        }
        at += chunk.invalid().len();
    }
    found
}

/// The bytes as UTF-16 from a place on. Of a character that a dump cuts through the first byte is there.
fn wide(bytes: &[u8], first: usize) -> Vec<Character> {
    let one = |(at, pair): (usize, &[u8])| {
        let low = pair.first().copied().unwrap_or(0);
        let unit = u16::from_le_bytes([low, pair.get(1).copied().unwrap_or(0)]);
        let says = char::from_u32(u32::from(unit)).unwrap_or(char::REPLACEMENT_CHARACTER);
        let from = first + 2 * at;
        Character { bytes: from..from + pair.len(), says, is_narrow: false }
    };
    bytes.get(first..).unwrap_or_default().chunks(2).enumerate().map(one).collect()
}

/// A dump in which these bytes are not told.
pub(super) fn masked(bytes: &[u8], hidden: &[usize]) -> String {
    let one = |(at, byte): (usize, &u8)| match hidden.contains(&at) {
        true => "xx".to_owned(),
        false => format!("{byte:02x}"),
    };
    format!("bytes {}", bytes.iter().enumerate().map(one).collect::<Vec<String>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_told_from_names() {
        for version in
            ["1.22.1", "9.2p1", "2022.83", "v3.1-rc2", "2+deb12u2", "10.0", "3ubuntu0.1", "1:9.2p1-2+deb12u3"]
        {
            assert!(is_version(version), "{version}");
        }
        for name in ["", "37L4247F27-26", "2k8r2", "web01", "10.0.0.1.contoso", "7up", "1alice", "v", "-"] {
            assert!(!is_version(name), "{name}");
        }
        for product in ["OpenSSH_9.2p1", "dropbear_2022.83", "libssh2_1.11.0", "OpenSSH_for_Windows_9.5"] {
            assert!(is_product_version(product, false), "{product}");
        }
        assert!(is_product_version("Debian-2+deb12u2", true) && !is_product_version("debian-2", false));
        assert!(!is_product_version("contoso_1.2", true));
    }

    #[test]
    fn banners_are_taken_apart() {
        assert_eq!(ssh_banner("SSH-2.0-OpenSSH_9.2p1 x"), Some(("SSH-2.0-", "OpenSSH_9.2p1 x")));
        assert_eq!(ssh_banner("SSH-rdsh01-x"), None);
        assert_eq!(ssh_banner("SSH"), None);
    }

    #[test]
    fn codes_and_names_of_programs_are_told_from_names() {
        for code in ["c0000005", "80070005", "E0434352"] {
            assert!(is_bare_code(code), "{code}");
        }
        for name in ["e1234567", "deadbeef", "c1234567", "jdoe", "c00005"] {
            assert!(!is_bare_code(name), "{name}");
        }
        for (name, after) in [
            ("CUMRDPConnection::PreDisconnect", None),
            ("CUMRDPListenerBase", None),
            ("spGfxPlugin-", Some('>')),
        ] {
            assert!(is_code_name(name, after), "{name}");
        }
        for (name, after) in [
            ("alice::x", None),
            ("CONTOSO", None),
            ("AliceSmith::x", None),
            ("alice-", Some('>')),
            ("spalice-", Some('>')),
        ] {
            assert!(!is_code_name(name, after), "{name}");
        }
        assert!(
            is_update_number("KB4287903") && !is_update_number("KBALICE") && !is_update_number("kb4287903")
        );
        assert!(is_month("2018-06") && !is_month("2018-13") && !is_month("8018-06") && !is_month("2018-6"));
        for zone in ["W. Europe Standard Time", "Coordinated Universal Time", "UTC-11"] {
            assert!(is_time_zone(zone), "{zone}");
        }
        for other in ["alice", "10.1.2.3 Standard Time", "UTCONTOSO", "Standard"] {
            assert!(!is_time_zone(other), "{other}");
        }
    }

    #[test]
    fn dumps_are_read_and_texts_found_in_them() {
        assert_eq!(dump("bytes 03 00 2b"), Some(vec![3, 0, 0x2b]));
        assert_eq!(dump("bytes of alice"), None);
        let told = |bytes: &[u8]| -> Vec<String> {
            texts(bytes, |text| text == "bob").into_iter().map(|(_, text)| text).collect()
        };
        assert_eq!(told(b"\x03\x00alice\x00"), ["alice"]);
        assert_eq!(told(b"a\x00l\x00i\x00c\x00e\x00"), ["alice"]);
        assert_eq!(told(b"\x03a\x00l\x00i\x00c\x00"), ["alic"]);
        assert_eq!(told(b"\x03bob\x00\x01"), ["bob"]);
        assert!(told(b"\x03\x00\x00\x2b+,-").is_empty());
        assert_eq!(told("\u{415}\u{414}SS\u{c4}".as_bytes()), ["\u{415}\u{414}SS\u{c4}"]);
        assert_eq!(told(b"\xff\x15\x04\x14\x04\xc4\x00a\x00\x00\x00"), ["\u{415}\u{414}\u{c4}a"]);
        assert!(told(b"\x10\x52\x11\x53\x12\x54\x13\x55\xff\xfe\x80").is_empty());
        assert_eq!(masked(b"\x03ab\x00", &[1, 2]), "bytes 03 xx xx 00");
    }
}
