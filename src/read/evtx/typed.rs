//! One typed value of a template instance as the text that the event's XML has (MS-EVEN6 2.2.13).
//!
//! INVARIANT: the bytes have the size of their type. What is `None` here is rendered by the `evtx` crate.

use std::fmt::Write as _;

use bumpalo::Bump;
use data_encoding::HEXUPPER;

use super::frame::{u16_at, u32_at, u64_at};
use crate::read::record::{Value, guid_digits};
use crate::time::date;

/// Types of values.
pub(super) const NULL: u8 = 0x00;
pub(super) const STRING: u8 = 0x01;
pub(super) const UNSIGNED_8: u8 = 0x04;
pub(super) const UNSIGNED_16: u8 = 0x06;
pub(super) const UNSIGNED_32: u8 = 0x08;
pub(super) const UNSIGNED_64: u8 = 0x0a;
pub(super) const GUID: u8 = 0x0f;
pub(super) const FILETIME: u8 = 0x11;
pub(super) const BINARY_XML: u8 = 0x21;
pub(super) const STRINGS: u8 = 0x81;

const ANSI: u8 = 0x02;
const SYSTEMTIME: u8 = 0x12;
pub(super) const SID: u8 = 0x13;
/// Units of 100 ns in a second and in a day.
const TICKS_PER_SECOND: u64 = 10_000_000;
const TICKS_PER_DAY: u64 = 86_400 * TICKS_PER_SECOND;

/// The text of a value; `None` for a type that is not read here, and for text that XML cannot hold as it is.
pub(super) fn text(kind: u8, value: &[u8]) -> Option<String> {
    match kind {
        NULL => Some(String::new()),
        STRING => utf16(value),
        ANSI => ansi(value),
        0x03 => value.first().map(|byte| byte.cast_signed().to_string()),
        UNSIGNED_8 => value.first().map(u8::to_string),
        0x05 => u16_at(value, 0).map(|number| number.cast_signed().to_string()),
        UNSIGNED_16 => u16_at(value, 0).map(|number| number.to_string()),
        0x07 => u32_at(value, 0).map(|number| number.cast_signed().to_string()),
        UNSIGNED_32 => u32_at(value, 0).map(|number| number.to_string()),
        0x09 => u64_at(value, 0).map(|number| number.cast_signed().to_string()),
        UNSIGNED_64 => u64_at(value, 0).map(|number| number.to_string()),
        0x0d => u32_at(value, 0).map(truth),
        0x0e => Some(binary(value)),
        GUID => guid(value),
        FILETIME => u64_at(value, 0).and_then(filetime),
        SYSTEMTIME => systemtime(value),
        SID => sid(value),
        // A number of the machine's size is shown as one of its bits.
        0x14 | 0x15 | 0x10 if value.len() == 4 => u32_at(value, 0).map(|number| format!("{number:#x}")),
        0x14 | 0x15 | 0x10 => u64_at(value, 0).map(|number| format!("{number:#x}")),
        BINARY_XML if value.is_empty() => Some(String::new()),
        _ => None,
    }
}

/// The same, in memory that many texts share.
pub(super) fn text_in<'t>(kind: u8, value: &[u8], texts: &'t Bump) -> Option<&'t str> {
    match kind {
        NULL => Some(""),
        STRING if is_plain(value) => {
            let (words, rest) = value.as_chunks::<8>();
            let text = texts.alloc_slice_fill_copy(value.len() / 2, 0);
            let (fours, ends) = text.as_chunks_mut::<4>();
            for (four, [a, _, b, _, c, _, d, _]) in fours.iter_mut().zip(words) {
                *four = [*a, *b, *c, *d];
            }
            ends.iter_mut().zip(rest.as_chunks::<2>().0).for_each(|(byte, [low, _])| *byte = *low);
            str::from_utf8(text).ok()
        }
        GUID => str::from_utf8(texts.alloc_slice_copy(&guid_digits_in_braces(value)?)).ok(),
        _ => text(kind, value).map(|text| &*texts.alloc_str(&text)),
    }
}

/// The value where it is a number.
pub(super) fn number(kind: u8, value: &[u8]) -> Option<Value<'static>> {
    Some(match kind {
        0x03 => Value::Signed(value.first()?.cast_signed().into()),
        UNSIGNED_8 => Value::Unsigned((*value.first()?).into()),
        0x05 => Value::Signed(u16_at(value, 0)?.cast_signed().into()),
        UNSIGNED_16 => Value::Unsigned(u16_at(value, 0)?.into()),
        0x07 => Value::Signed(u32_at(value, 0)?.cast_signed().into()),
        UNSIGNED_32 => Value::Unsigned(u32_at(value, 0)?.into()),
        0x09 => Value::Signed(u64_at(value, 0)?.cast_signed()),
        UNSIGNED_64 => Value::Unsigned(u64_at(value, 0)?),
        0x14 | 0x15 | 0x10 if value.len() == 4 => Value::Unsigned(u32_at(value, 0)?.into()),
        0x14 | 0x15 | 0x10 => Value::Unsigned(u64_at(value, 0)?),
        _ => return None,
    })
}

/// Values of the type may have so many bytes.
pub(super) fn may_have_size(kind: u8, size: usize) -> bool {
    match SIZES.get(usize::from(kind)).copied().unwrap_or(NEVER) {
        ANY => true,
        EITHER => size == 4 || size == 8,
        NEVER => false,
        only => size == usize::from(only),
    }
}

const ANY: u8 = 0xff;
/// 4 or 8 bytes.
const EITHER: u8 = 0xfe;
const NEVER: u8 = 0xfd;

/// Bytes of the values of each type.
const SIZES: [u8; 0x82] = {
    let mut sizes = [NEVER; 0x82];
    let mut kind = 0;
    while kind < 0x82 {
        sizes[kind] = match kind {
            0x03 | 0x04 => 1,
            0x05 | 0x06 => 2,
            0x07 | 0x08 | 0x0b | 0x0d | 0x14 => 4,
            0x09 | 0x0a | 0x0c | 0x11 | 0x15 => 8,
            0x0f | 0x12 => 16,
            0x10 => EITHER,
            0x00 | 0x01 | 0x02 | 0x0e | 0x13 | 0x21 | 0x81 => ANY,
            _ => NEVER,
        };
        kind += 1;
    }
    sizes
};

/// Revision, number of sub-authorities of 4 bytes, 6 bytes of authority.
pub(super) fn is_sid(value: &[u8]) -> bool {
    value.get(1).is_some_and(|count| value.len() == 8 + 4 * usize::from(*count))
}

/// The texts of an array of strings, each with a zero behind it.
pub(super) fn strings(value: &[u8]) -> Option<impl Iterator<Item = Option<String>>> {
    let (units, rest) = value.as_chunks::<2>();
    let body = units.strip_suffix(&[[0, 0]]).filter(|_| rest.is_empty())?;
    Some(body.split(|unit| *unit == [0, 0]).map(|units| utf16(units.as_flattened())))
}

/// UTF-16 of printable ASCII, as nearly all is: four units at a time.
fn is_plain(value: &[u8]) -> bool {
    const NOT_ASCII: u64 = 0xff80_ff80_ff80_ff80;
    /// What makes a unit of at least a blank one of the upper half.
    const TO_UPPER: u64 = 0x7fe0_7fe0_7fe0_7fe0;
    const UPPER: u64 = 0x8000_8000_8000_8000;
    let (words, rest) = value.as_chunks::<8>();
    let (mut other, mut printable) = (0, UPPER);
    for word in words {
        let word = u64::from_le_bytes(*word);
        other |= word & NOT_ASCII;
        printable &= word.wrapping_add(TO_UPPER);
    }
    let (units, odd) = rest.as_chunks::<2>();
    other == 0
        && printable & UPPER == UPPER
        && units.iter().all(|[low, high]| *high == 0 && (0x20..0x80).contains(low))
        && odd.is_empty()
}

/// UTF-16 up to its first zero.
pub(super) fn utf16(value: &[u8]) -> Option<String> {
    let (units, rest) = value.as_chunks::<2>();
    if is_plain(value) {
        return String::from_utf8(units.iter().map(|[low, _]| *low).collect()).ok();
    }
    let end = units.iter().position(|unit| *unit == [0, 0]).unwrap_or(units.len());
    let units = units.get(..end).filter(|_| rest.is_empty())?;
    let mut text = String::with_capacity(2 * units.len());
    for c in char::decode_utf16(units.iter().map(|unit| u16::from_le_bytes(*unit))) {
        let c = c.ok().filter(|c| !matches!(c, '\u{fffe}' | '\u{ffff}'))?;
        if u8::try_from(c).is_ok_and(is_special) {
            return None;
        }
        text.push(c);
    }
    text.shrink_to_fit();
    Some(text)
}

/// Control characters, of which XML has none but these three.
const fn is_special(byte: u8) -> bool {
    byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r')
}

/// ASCII; what other bytes mean depends on the host's code page.
fn ansi(value: &[u8]) -> Option<String> {
    let plain = value.iter().all(|byte| byte.is_ascii() && !is_special(*byte));
    if plain { String::from_utf8(value.to_vec()).ok() } else { None }
}

/// Some providers log other numbers than 0 and 1.
fn truth(number: u32) -> String {
    match number {
        0 => "false".to_owned(),
        1 => "true".to_owned(),
        _ => number.cast_signed().to_string(),
    }
}

fn binary(value: &[u8]) -> String {
    HEXUPPER.encode(value)
}

/// The digits of a GUID in lower case, with dashes.
fn guid(value: &[u8]) -> Option<String> {
    str::from_utf8(&guid_digits_in_braces(value)?).ok().map(str::to_owned)
}

fn guid_digits_in_braces(value: &[u8]) -> Option<[u8; 38]> {
    let mut text = [b'{'; 38];
    let [_, digits @ .., last] = &mut text;
    *digits = guid_digits(value.first_chunk()?, false);
    *last = b'}';
    Some(text)
}

fn sid(value: &[u8]) -> Option<String> {
    let (revision, authority) = (value.first()?, value.get(2..8)?);
    let authority = authority.iter().fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte));
    let mut text = format!("S-{revision}-{authority}");
    for part in value.get(8..)?.as_chunks::<4>().0 {
        write!(text, "-{}", u32::from_le_bytes(*part)).ok()?;
    }
    text.shrink_to_fit();
    Some(text)
}

/// Up to the year 9999.
fn filetime(time: u64) -> Option<String> {
    let (days, ticks) = (time / TICKS_PER_DAY, time % TICKS_PER_DAY);
    let (year, month, day) = date(days);
    let (seconds, ticks) = (ticks / TICKS_PER_SECOND, ticks % TICKS_PER_SECOND);
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    (year <= 9_999)
        .then(|| format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ticks:07}Z"))
}

/// Years to 9999; one that is no time has its own text in the XML of the crate.
fn systemtime(value: &[u8]) -> Option<String> {
    let part = |index: usize| u16_at(value, 2 * index);
    let (year, month, day) = (part(0)?, part(1)?, part(3)?);
    let (hour, minute, second, millisecond) = (part(4)?, part(5)?, part(6)?, part(7)?);
    let is_time = (1601..=9_999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=28).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60
        && millisecond < 1_000;
    is_time.then(|| {
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millisecond:03}0000Z")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }

    #[test]
    fn values_have_the_text_of_event_xml() {
        let shown = |kind, value: &[u8]| text(kind, value).unwrap_or_else(|| "?".to_owned());
        assert_eq!(shown(0x01, &stored("a <b>\r\n\té😀\0rest")), "a <b>\r\n\té😀");
        assert_eq!(shown(0x01, &stored("a\u{1}")), "?");
        assert_eq!(shown(0x01, &stored("é\u{ffff}")), "?");
        assert_eq!(shown(0x01, &[0x00, 0xd8]), "?");
        assert_eq!(shown(0x01, &[0x41]), "?");
        assert_eq!((shown(0x02, b"abc"), shown(0x02, b"\xe9")), ("abc".into(), "?".into()));
        assert_eq!((shown(0x03, &[0xff]), shown(0x04, &[0xff])), ("-1".into(), "255".into()));
        assert_eq!((shown(0x05, &[0, 0x80]), shown(0x06, &[0, 0x80])), ("-32768".into(), "32768".into()));
        assert_eq!((shown(0x07, &[0xff; 4]), shown(0x08, &[0xff; 4])), ("-1".into(), "4294967295".into()));
        assert_eq!(shown(0x09, &[0xfe, 255, 255, 255, 255, 255, 255, 255]), "-2");
        assert_eq!(shown(0x0a, &[0xff; 8]), "18446744073709551615");
        assert_eq!((shown(0x0d, &[1, 0, 0, 0]), shown(0x0d, &[0; 4])), ("true".into(), "false".into()));
        assert_eq!(shown(0x0d, &[2, 0, 0, 0]), "2");
        assert_eq!(shown(0x0e, &[1, 0xff]), "01FF");
        let bytes: Vec<u8> = (1..=16).collect();
        assert_eq!(shown(0x0f, &bytes), "{04030201-0605-0807-090a-0b0c0d0e0f10}");
        assert_eq!((shown(0x10, &[16, 0, 0, 0]), shown(0x15, &[0; 8])), ("0x10".into(), "0x0".into()));
        assert_eq!(shown(0x11, &0_u64.to_le_bytes()), "1601-01-01T00:00:00.0000000Z");
        assert_eq!(shown(0x11, &116_444_736_000_000_001_u64.to_le_bytes()), "1970-01-01T00:00:00.0000001Z");
        assert_eq!(shown(0x11, &u64::MAX.to_le_bytes()), "?");
        let system: Vec<u8> =
            [2024_u16, 2, 4, 28, 23, 59, 1, 7].iter().flat_map(|n| n.to_le_bytes()).collect();
        assert_eq!(shown(0x12, &system), "2024-02-28T23:59:01.0070000Z");
        assert_eq!(shown(0x12, &[0; 16]), "?");
        assert_eq!(shown(0x13, &[1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 32, 2, 0, 0]), "S-1-5-32-544");
        assert_eq!(
            (shown(0x0b, &[0; 4]), shown(0x21, &[]), shown(0x00, &[])),
            ("?".into(), "".into(), "".into())
        );
    }

    #[test]
    fn text_that_is_shared_is_the_same() {
        let mut texts = Bump::new();
        let mut words = vec!["a".repeat(33), "~ \u{20}{|}".to_owned(), "tab\t".to_owned()];
        for at in 0..12 {
            for unit in ['\u{7f}', '\u{80}', '\u{1f}', '\u{9}', 'é', '\u{141}', '\u{ffff}', '😀', '\0'] {
                let mut word = "abcdefghijkl".to_owned();
                word.insert(at, unit);
                words.push(word);
            }
        }
        for (length, word) in (0..).zip(&words) {
            let mut value = stored(word);
            let plain = value.as_chunks::<2>().0.iter().all(|[l, h]| *h == 0 && (0x20..0x80).contains(l));
            assert_eq!(is_plain(&value), plain, "{word:?}");
            assert_eq!(text_in(STRING, &value, &texts).map(str::to_owned), text(STRING, &value), "{word:?}");
            value.push(length);
            assert_eq!((is_plain(&value), text_in(STRING, &value, &texts)), (false, None), "{word:?}");
            texts.reset();
        }
        for (kind, size) in [(GUID, 16), (SID, 12), (UNSIGNED_32, 4), (NULL, 0), (FILETIME, 8), (STRINGS, 2)]
        {
            let value: Vec<u8> = (0..size).map(|byte| if byte == 1 { 1 } else { byte }).collect();
            assert_eq!(text_in(kind, &value, &texts).map(str::to_owned), text(kind, &value), "{kind}");
        }
    }

    #[test]
    fn strings_end_with_a_zero_each() {
        let of = |text: &str| strings(&stored(text)).map(|all| all.flatten().collect::<Vec<_>>().join("|"));
        assert_eq!(of("a\0\0b\0").as_deref(), Some("a||b"));
        assert_eq!(of("\0").as_deref(), Some(""));
        assert_eq!((of("a"), of("")), (None, None));
    }
}
