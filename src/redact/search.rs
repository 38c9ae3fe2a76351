//! What is written is searched for every real name, in the spellings in which it could stand there.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::ops::Range;

use aho_corasick::{AhoCorasick, AhoCorasickBuilder, MatchKind};
use data_encoding::{BASE64_NOPAD, HEXLOWER};

use super::Class;
use super::scan::{is_guid, is_mac};

/// Characters from which on a name is also sought in forms that hide it: base64 and hexadecimal digits.
const HIDDEN_MIN: usize = 5;
/// The same for bytes with blanks between, as in a dump.
const DUMPED_MIN: usize = 4;
/// Numbers from which on one may be an address: 8 digits, as names of digits alone have.
const NUMBER_MIN: u32 = 10_000_000;
/// Bytes that are searched at a time.
const WINDOW_BYTES: usize = if cfg!(test) { 4_096 } else { 1024 * 1024 };
/// Bytes on either side of a spelling that decide what it is.
const AROUND_BYTES: usize = 96;

/// A real name that is left in what is written: what it is and how it is spelled, but not the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    /// What it is.
    pub class: Class,
    /// How it is spelled there.
    pub spelling: &'static str,
}

/// What must stand around a spelling that it is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Around {
    /// No letter and no digit.
    Word,
    /// The same, and it is no part of an identifier of hexadecimal digits or of an IPv6 address.
    Digits,
    /// No letter and no digit, nor a point with a digit behind it.
    Address,
    /// No letter, no digit and no hyphen.
    Number,
    /// As a load balancer writes it: behind `=`, or before a point and a digit.
    Balanced,
    /// What makes a name of it that is looked up.
    Reverse,
    /// Anything.
    Anything,
    /// Anything, and capitals are capitals: Base64.
    Exact,
}

/// Every real name in its spellings.
#[derive(Debug)]
pub struct Search {
    /// `None` where there is nothing to look for.
    automaton: Option<AhoCorasick>,
    found: Vec<(Left, Around, String)>,
}

impl Search {
    /// The search for these names.
    ///
    /// # Errors
    /// When there are too many to be searched for at once.
    pub(super) fn of(names: impl Iterator<Item = (Class, String)>) -> Result<Self, String> {
        let mut all: BTreeSet<(String, Around, &'static str, Class)> = BTreeSet::new();
        for (class, name) in names {
            spellings(class, &name, &mut |spelling, around, text| {
                if !text.is_empty() {
                    all.insert((text, around, spelling, class));
                }
            });
        }
        let automaton = AhoCorasickBuilder::new()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::Standard)
            .build(all.iter().map(|(text, ..)| text))
            .map_err(|error| error.to_string())?;
        let automaton = Some(automaton).filter(|_| !all.is_empty());
        let found =
            all.into_iter().map(|(text, around, spelling, class)| (Left { class, spelling }, around, text));
        Ok(Self { automaton, found: found.collect() })
    }

    /// The first real name in these bytes that is no part of another word.
    #[must_use]
    pub fn find(&self, bytes: &[u8]) -> Option<Left> {
        self.find_within(bytes, 0..bytes.len())
    }

    /// The same for what lies in that part of the bytes; what stands around it decides, too.
    fn find_within(&self, bytes: &[u8], part: Range<usize>) -> Option<Left> {
        let mut matches = self.automaton.iter().flat_map(|automaton| automaton.find_overlapping_iter(bytes));
        matches.find_map(|found| {
            let (left, around, text) = self.found.get(found.pattern().as_usize())?;
            let stands = Stands { bytes, start: found.start(), end: found.end() };
            let is_there = stands.start >= part.start && stands.end <= part.end;
            (is_there && stands.is_as(*around, text)).then_some(*left)
        })
    }

    /// Searches what is written to `out` on its way there.
    pub fn over<W: Write>(&self, out: W) -> Searching<'_, W> {
        let longest = self.automaton.as_ref().map_or(0, AhoCorasick::max_pattern_len);
        let overlap = longest + 2 * AROUND_BYTES;
        Searching { search: self, out, overlap, window: Vec::new(), before: 0, left: None }
    }
}

/// Writes on what it is given, and searches it.
#[derive(Debug)]
pub struct Searching<'s, W> {
    search: &'s Search,
    out: W,
    /// Bytes of a window that stand in the next one, too.
    overlap: usize,
    window: Vec<u8>,
    /// Bytes at the beginning of the window that only stand around: what lies in them was searched.
    before: usize,
    left: Option<Left>,
}

impl<W: Write> Searching<'_, W> {
    /// Searches the rest. Gives back the first real name that is left.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(mut self) -> io::Result<Option<Left>> {
        self.look(self.window.len());
        self.out.flush()?;
        Ok(self.left)
    }

    fn look(&mut self, until: usize) {
        if self.left.is_none() {
            self.left = self.search.find_within(&self.window, self.before..until);
        }
    }
}

impl<W: Write> Write for Searching<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.window.extend_from_slice(bytes.get(..written).unwrap_or(bytes));
        if self.window.len() >= WINDOW_BYTES + self.overlap {
            self.look(self.window.len() - AROUND_BYTES);
            self.window.drain(..self.window.len() - self.overlap);
            self.before = AROUND_BYTES;
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Where a spelling was found.
struct Stands<'b> {
    bytes: &'b [u8],
    start: usize,
    end: usize,
}

impl Stands<'_> {
    fn before(&self, back: usize) -> Option<u8> {
        self.start.checked_sub(back).and_then(|index| self.bytes.get(index)).copied()
    }

    fn behind(&self, on: usize) -> Option<u8> {
        self.bytes.get(self.end.saturating_add(on)).copied()
    }

    fn is_as(&self, around: Around, text: &str) -> bool {
        let is_digit = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_digit());
        let fraction = self.behind(0) == Some(b'.') && is_digit(self.behind(1));
        match around {
            Around::Word => self.is_whole(),
            Around::Digits => self.is_whole() && !self.is_in_identifier(),
            Around::Address => {
                let inside = fraction || (self.before(1) == Some(b'.') && is_digit(self.before(2)));
                self.is_whole() && !inside && !self.is_in_identifier()
            }
            Around::Number => {
                let hyphen = [self.before(1), self.behind(0)].contains(&Some(b'-'));
                self.is_whole() && !hyphen && !self.is_in_identifier()
            }
            Around::Balanced => self.is_whole() && (self.before(1) == Some(b'=') || fraction),
            Around::Reverse => {
                let behind = self.bytes.get(self.end..self.end.saturating_add(8));
                self.is_whole() && behind.is_some_and(|behind| behind.eq_ignore_ascii_case(b".in-addr"))
            }
            Around::Anything => true,
            Around::Exact => self.bytes.get(self.start..self.end) == Some(text.as_bytes()),
        }
    }

    /// No letter and no digit stands right before or behind it. The letter of an escape such as `\n` is none of the word.
    fn is_whole(&self) -> bool {
        let is_of_word = |byte: u8| byte.is_ascii_alphanumeric() || !byte.is_ascii();
        let escaped =
            self.before(2) == Some(b'\\') && self.before(1).is_some_and(|byte| b"nrtbf".contains(&byte));
        let unicode = self.before(6) == Some(b'\\') && self.before(5) == Some(b'u');
        (escaped || unicode || !self.before(1).is_some_and(is_of_word))
            && !self.behind(0).is_some_and(is_of_word)
    }

    /// A GUID, a link address or an IPv6 address may have a part that is also somebody's name.
    fn is_in_identifier(&self) -> bool {
        let is_of_it = |byte: &u8| byte.is_ascii_hexdigit() || matches!(byte, b'-' | b':');
        let front = self.bytes.get(..self.start).unwrap_or_default();
        let more = front.iter().rev().take_while(|byte| is_of_it(byte)).take(64).count();
        let rest = self.bytes.get(self.end..).unwrap_or_default();
        let on = rest.iter().take_while(|byte| is_of_it(byte)).take(64).count();
        let run = self.bytes.get(self.start - more.min(self.start)..self.end.saturating_add(on));
        let run = run.and_then(|run| std::str::from_utf8(run).ok()).unwrap_or("").trim_matches(['-', ':']);
        (more > 0 || on > 0) && (is_guid(run) || is_mac(run) || run.parse::<IpAddr>().is_ok())
    }
}

type Take<'t> = &'t mut dyn FnMut(&'static str, Around, String);

fn spellings(class: Class, name: &str, take: Take<'_>) {
    let is_hex = name.chars().all(|c| c.is_ascii_hexdigit());
    let around = match class {
        Class::Address => Around::Address,
        _ if is_hex => Around::Digits,
        _ => Around::Word,
    };
    for form in [name.to_owned(), name.to_lowercase(), name.to_uppercase(), capital(name)] {
        if !form.is_ascii() {
            take("escaped for JSON", Around::Word, utf16(&form, |unit| format!("\\u{unit:04x}")));
        }
        take("as it is", around, form);
    }
    if let Ok(json) = serde_json::to_string(name) {
        take("escaped for JSON", around, json.trim_matches('"').to_owned());
    }
    take("escaped for HTML", around, html(name));
    let stays = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    take("escaped for URLs", around, percent(name, stays));
    take("escaped for Markdown", around, escaped(name));
    match name.parse() {
        Ok(IpAddr::V4(v4)) if class == Class::Address => of_v4(v4, take),
        Ok(IpAddr::V6(v6)) if class == Class::Address => {
            let parts: Vec<String> = v6.segments().iter().map(|part| format!("{part:04x}")).collect();
            take("in full", Around::Word, parts.join(":"));
            take("in full", Around::Word, parts.concat());
        }
        _ if name.chars().count() >= HIDDEN_MIN && class != Class::Identifier => hidden(name, take),
        _ => {}
    }
    if name.chars().count() >= DUMPED_MIN {
        dumped(name, take);
    }
}

fn of_v4(v4: Ipv4Addr, take: Take<'_>) {
    let turned = Ipv4Addr::from(v4.to_bits().swap_bytes());
    for bits in [v4.to_bits(), turned.to_bits()] {
        take("as a hexadecimal number", Around::Number, format!("{bits:08x}"));
        // A short number is no address to anybody.
        if bits >= NUMBER_MIN {
            take("as a number", Around::Balanced, bits.to_string());
        }
    }
    take("in reverse", Around::Reverse, turned.to_string());
    take("with hyphens", Around::Word, v4.to_string().replace('.', "-"));
}

fn hidden(name: &str, take: Take<'_>) {
    for form in [name.to_owned(), name.to_lowercase(), name.to_uppercase()] {
        let wide: Vec<u8> = form.encode_utf16().flat_map(u16::to_le_bytes).collect();
        for bytes in [form.as_bytes(), &wide] {
            take("in hexadecimal digits", Around::Anything, HEXLOWER.encode(bytes));
            for front in 0..3 {
                take("in Base64", Around::Exact, inner_base64(bytes, front));
            }
        }
    }
}

fn dumped(name: &str, take: Take<'_>) {
    for form in [name.to_owned(), name.to_lowercase(), name.to_uppercase(), capital(name)] {
        let wide: Vec<u8> = form.encode_utf16().flat_map(u16::to_le_bytes).collect();
        for bytes in [form.as_bytes(), &wide] {
            let bytes: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            take("in the bytes of a dump", Around::Anything, bytes.join(" "));
        }
    }
}

/// The characters of Base64 that these bytes alone decide, `front` bytes behind a multiple of three; empty where they are too
/// few to be told from others.
fn inner_base64(bytes: &[u8], front: usize) -> String {
    let padded: Vec<u8> = std::iter::repeat_n(0, front).chain(bytes.iter().copied()).collect();
    let text = BASE64_NOPAD.encode(&padded);
    let from = (front * 8).div_ceil(6);
    let to = padded.len() * 8 / 6;
    let inner = text.get(from..to).unwrap_or_default();
    if inner.len() < 6 { String::new() } else { inner.to_owned() }
}

fn capital(name: &str) -> String {
    let mut chars = name.chars();
    let first = chars.next().into_iter().flat_map(char::to_uppercase);
    first.chain(chars.flat_map(char::to_lowercase)).collect()
}

fn utf16(text: &str, escape: impl Fn(u16) -> String) -> String {
    let unit = |unit: u16| match u8::try_from(unit) {
        Ok(byte) if byte.is_ascii() => char::from(byte).to_string(),
        _ => escape(unit),
    };
    text.encode_utf16().map(unit).collect()
}

fn html(name: &str) -> String {
    name.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#x27;")
        .replace('/', "&#x2f;")
}

fn percent(name: &str, stays: impl Fn(u8) -> bool) -> String {
    let one = |byte: u8| if stays(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    name.bytes().map(one).collect()
}

/// A backslash before everything that is neither letter nor digit.
fn escaped(name: &str) -> String {
    let one = |c: char| if c.is_ascii_punctuation() { format!("\\{c}") } else { c.to_string() };
    name.chars().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(class: Class, name: &str, text: &str) -> Option<&'static str> {
        let search = Search::of(std::iter::once((class, name.to_owned()))).unwrap();
        search.find(text.as_bytes()).map(|left| left.spelling)
    }

    #[test]
    fn a_name_is_found_in_every_spelling_and_not_inside_of_other_words() {
        let name = |text: &str| left(Class::Label, "rdsh01", text);
        assert_eq!(name("to RDSH01.x"), Some("as it is"));
        assert_eq!(name(r#""a\nrdsh01""#), Some("as it is"));
        assert_eq!(name("ardsh01 rdsh012"), None);
        assert_eq!(name("x726473683031x"), Some("in hexadecimal digits"));
        assert_eq!(name("720064007300680030003100"), Some("in hexadecimal digits"));
        assert_eq!(name("bytes 03 52 44 53 48 30 31"), Some("in the bytes of a dump"));
        assert_eq!(name("72 00 64 00 73 00 68 00 30 00 31 00"), Some("in the bytes of a dump"));
        assert_eq!(name("cmRzaDAx"), Some("in Base64"));
        assert_eq!(name("CMRZADAX"), None);
        for front in ["", "a", "ab", "abc"] {
            let hidden = data_encoding::BASE64.encode(format!("{front}rdsh01.lab").as_bytes());
            assert_eq!(name(&hidden), Some("in Base64"), "{hidden}");
        }
        assert_eq!(left(Class::Name, "a b.c", "x=a%20b.c"), Some("escaped for URLs"));
        assert_eq!(left(Class::Name, "a\\b", r#""a\\b""#), Some("escaped for JSON"));
        assert_eq!(left(Class::Name, "a&b", "<td>a&amp;b</td>"), Some("escaped for HTML"));
        assert_eq!(left(Class::Name, "müller", r"m\u00fcller"), Some("escaped for JSON"));
        assert_eq!(left(Class::Label, "müller", "MÜLLER"), Some("as it is"));
        assert_eq!(left(Class::Label, "özil", "Özil"), Some("as it is"));
        assert_eq!(left(Class::Name, "a.b", r"a\.b"), Some("escaped for Markdown"));
    }

    #[test]
    fn a_name_is_found_wherever_the_windows_end() {
        let search = Search::of(std::iter::once((Class::Label, "rdsh01".to_owned()))).unwrap();
        let told = |text: &[u8], bytes: usize| {
            let mut out = Vec::new();
            let mut over = search.over(&mut out);
            text.chunks(bytes).for_each(|part| over.write_all(part).unwrap());
            let left = over.finish().unwrap();
            assert!(out == text);
            left.is_some()
        };
        let overlap = search.over(io::sink()).overlap;
        for at in WINDOW_BYTES - 200..WINDOW_BYTES + overlap + 200 {
            let mut text = vec![b' '; WINDOW_BYTES + 2 * overlap + 400];
            text[at..at + 6].copy_from_slice(b"rdsh01");
            assert!(told(&text, 65_536), "{at}");
            text[at + 6] = b'2';
            assert!(!told(&text, 4_097), "{at}");
        }
    }

    #[test]
    fn a_name_of_hexadecimal_digits_is_no_part_of_an_identifier() {
        let name = |text| left(Class::Label, "beef", text);
        assert_eq!(name("user beef, or beef-01"), Some("as it is"));
        assert_eq!(name("{f4202a5c-beef-4f00-8000-9a07e6d60000}"), None);
        assert_eq!(name("fe80::beef:1 [fe80::beef]:3389"), None);
        assert_eq!(name("0xbeef"), None);
    }

    #[test]
    fn an_address_is_found_as_number_and_in_reverse() {
        let address = |text| left(Class::Address, "10.1.2.3", text);
        assert_eq!(address("10.1.2.3:3389"), Some("as it is"));
        assert_eq!(address("10.1.2.3."), Some("as it is"));
        assert_eq!(address("10.1.2.34 110.1.2.3 10.1.2.3.4 3.2.1.10 50462986"), None);
        assert_eq!(address("msts=50462986.15629.0000"), Some("as a number"));
        assert_eq!(address("0a010203"), Some("as a hexadecimal number"));
        assert_eq!(address("0a010203-1111-4f00-8000-9a07e6d60000"), None);
        assert_eq!(address("3.2.1.10.in-addr.arpa"), Some("in reverse"));
        assert_eq!(address("ip-10-1-2-3.x"), Some("with hyphens"));
        assert_eq!(left(Class::Address, "10.0.0.0", "10.1.2.3 x=10"), None);
        let wide = |text| left(Class::Address, "2001:db8::5", text);
        assert_eq!(wide("2001:0db8:0000:0000:0000:0000:0000:0005"), Some("in full"));
        assert_eq!(wide("[2001:db8::5]:3389"), Some("as it is"));
        assert_eq!(wide("2001:db8::5:1"), None);
    }
}
