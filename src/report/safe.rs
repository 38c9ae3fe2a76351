//! Text from evidence is hostile: makes it printable on a terminal, without control, direction or invisible characters.

use std::borrow::Cow;

/// Characters of one value that are shown.
const SHOWN_MAX: usize = 200;

/// The text with everything that could steer a terminal or mislead a reader escaped as `\u{..}`, cut at 200 characters.
#[must_use]
pub fn printable(text: &str) -> Cow<'_, str> {
    let plain = text.chars().count() <= SHOWN_MAX && text.chars().all(is_plain);
    if plain {
        return Cow::Borrowed(text);
    }
    let mut out = String::new();
    for c in text.chars().take(SHOWN_MAX) {
        if is_plain(c) { out.push(c) } else { out.extend(c.escape_unicode()) }
    }
    if text.chars().nth(SHOWN_MAX).is_some() {
        out.push('…');
    }
    Cow::Owned(out)
}

/// The whole text, escaped in the same way.
#[must_use]
pub fn escaped(text: &str) -> Cow<'_, str> {
    if text.chars().all(is_plain) {
        return Cow::Borrowed(text);
    }
    let mut out = String::new();
    for c in text.chars() {
        if is_plain(c) { out.push(c) } else { out.extend(c.escape_unicode()) }
    }
    Cow::Owned(out)
}

/// Neither control, nor line or paragraph separator, nor direction mark, nor of no width, nor private, nor a tag.
pub(super) fn is_plain(c: char) -> bool {
    let hidden = matches!(
        u32::from(c),
        0xad | 0x34f
            | 0x61c
            | 0x115f..=0x1160
            | 0x17b4..=0x17b5
            | 0x180b..=0x180f
            | 0x200b..=0x200f
            | 0x2028..=0x202e
            | 0x2060..=0x206f
            | 0x3164
            | 0xfe00..=0xfe0f
            | 0xfeff
            | 0xffa0
            | 0xfff0..=0xfffb
            | 0xe000..=0xf8ff
            | 0x1bca0..=0x1bca3
            | 0x1d173..=0x1d17a
            | 0xe0000..=0x10_ffff
    );
    !c.is_control() && !hidden
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_escaped() {
        assert_eq!(printable("a\u{1b}[31mb"), "a\\u{1b}[31mb");
        assert_eq!(printable("user\u{202e}exe.txt"), "user\\u{202e}exe.txt");
        assert_eq!(printable("line\nbreak\u{2028}\u{200b}"), "line\\u{a}break\\u{2028}\\u{200b}");
        assert_eq!(printable("Jürgen Ωmega 日本"), "Jürgen Ωmega 日本");
    }

    #[test]
    fn long_values_are_cut() {
        let long = "x".repeat(300);
        assert_eq!(printable(&long).chars().count(), 201);
    }
}
