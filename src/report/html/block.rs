//! JSON that can stand inside of a page: nothing in it is markup, and nothing in it steers or misleads a reader.

use std::fmt::Write as _;
use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{CharEscape, Formatter, Serializer};

use super::super::safe::is_plain;

/// The text with what cannot be seen, or turns what can be seen around, as `\u{..}`.
pub(super) fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_plain(c) { out.push(c) } else { out.extend(c.escape_unicode()) }
    }
    out
}

/// The value as JSON in one line.
pub(super) fn written(value: &impl Serialize) -> serde_json::Result<String> {
    let mut out = Vec::new();
    value.serialize(&mut Serializer::with_formatter(&mut out, Harmless))?;
    Ok(String::from_utf8_lossy(&out).into_owned())
}

/// Writes `<`, `>` and `&` as JSON escapes, so that no value ends or opens a tag or comment, and what [`visible`] escapes
/// as visible text.
struct Harmless;

impl Formatter for Harmless {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, out: &mut W, fragment: &str) -> io::Result<()> {
        let harmless = |b: u8| matches!(b, b' '..=b'~') && !matches!(b, b'<' | b'>' | b'&');
        if fragment.bytes().all(harmless) {
            return out.write_all(fragment.as_bytes());
        }
        let mut text = String::with_capacity(fragment.len() * 2);
        for c in fragment.chars() {
            let _ = match c {
                '<' | '>' | '&' => write!(text, "\\u{:04x}", u32::from(c)),
                c if is_plain(c) => write!(text, "{c}"),
                c => write!(text, "\\\\u{{{:x}}}", u32::from(c)),
            };
        }
        out.write_all(text.as_bytes())
    }

    fn write_char_escape<W: ?Sized + Write>(&mut self, out: &mut W, escape: CharEscape) -> io::Result<()> {
        let control = match escape {
            CharEscape::Quote => return out.write_all(b"\\\""),
            CharEscape::ReverseSolidus => return out.write_all(b"\\\\"),
            CharEscape::Solidus => return out.write_all(b"/"),
            CharEscape::Backspace => 8,
            CharEscape::Tab => 9,
            CharEscape::LineFeed => 10,
            CharEscape::FormFeed => 12,
            CharEscape::CarriageReturn => 13,
            CharEscape::AsciiControl(byte) => byte,
        };
        write!(out, "\\\\u{{{control:x}}}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_is_markup_or_steers_a_reader() {
        let hostile =
            "</script><!--<img src=x onerror=\"alert(1)\">&\u{202e}\u{0}\n\\u003cb\u{1b}[31m Jürgen 日本";
        let text = written(&hostile).unwrap();
        assert!(!text.contains(['<', '>', '&', '\u{202e}', '\u{0}', '\n', '\u{1b}']), "{text}");
        let back: String = serde_json::from_str(&text).unwrap();
        assert_eq!(
            back,
            "</script><!--<img src=x onerror=\"alert(1)\">&\\u{202e}\\u{0}\\u{a}\\u003cb\\u{1b}[31m Jürgen 日本"
        );
        assert_eq!(back, visible(hostile));
    }
}
