//! Text inside of PDUs: UTF-16, little-endian, or single bytes, up to the end or to its ending 0.

/// Characters of one text that are kept: longer than any name, path or token that the specifications allow.
pub const CHARACTERS_MAX: usize = 1_024;

/// All of `bytes` as text, in UTF-16 or in single bytes.
#[must_use]
pub fn text(bytes: &[u8], unicode: bool) -> String {
    let whole = if unicode {
        String::from_utf16_lossy(&units(bytes))
    } else {
        String::from_utf8_lossy(bytes).into_owned()
    };
    if whole.len() <= CHARACTERS_MAX { whole } else { whole.chars().take(CHARACTERS_MAX).collect() }
}

/// Text up to the first 0; `None` when nothing stands before it.
#[must_use]
pub fn text_to_nul(bytes: &[u8], unicode: bool) -> Option<String> {
    let whole = text(bytes, unicode);
    let name = whole.split('\0').next().unwrap_or_default();
    Some(name.to_owned()).filter(|name| !name.is_empty())
}

/// No character in it is 0.
#[must_use]
pub fn has_no_nul(bytes: &[u8], unicode: bool) -> bool {
    if unicode { units(bytes).iter().all(|unit| *unit != 0) } else { bytes.iter().all(|byte| *byte != 0) }
}

fn units(bytes: &[u8]) -> Vec<u16> {
    bytes
        .chunks_exact(2)
        .filter_map(|pair| pair.first_chunk::<2>().map(|unit| u16::from_le_bytes(*unit)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_encodings_to_the_end_and_to_nul() {
        assert_eq!(text(b"a\0b\0", true), "ab");
        assert_eq!(text_to_nul(b"ab\0cd", false).as_deref(), Some("ab"));
        assert_eq!(text_to_nul(b"a\0\0\0c\0", true).as_deref(), Some("a"));
        assert_eq!(text_to_nul(b"\0\0", true), None);
        assert!(has_no_nul(b"a\0b\0", true) && !has_no_nul(b"a\0\0\0", true) && !has_no_nul(b"a\0", false));
        assert_eq!(text(&[b'x'; 5_000], false).len(), CHARACTERS_MAX);
    }
}
