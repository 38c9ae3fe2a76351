//! Texts of a page, each stored once: most facts of most connections say the same.

use std::collections::HashMap;

/// What a single text of the evidence is cut to.
const TEXT_MAX: usize = 600;

/// Texts by number, in the order in which they were first wanted.
#[derive(Debug, Default)]
pub(super) struct Strings {
    numbers: HashMap<String, u32>,
    texts: Vec<String>,
    bytes: usize,
}

impl Strings {
    /// The number of a text.
    pub(super) fn number(&mut self, text: &str) -> u32 {
        let cut = cut(text);
        let text = cut.as_deref().unwrap_or(text);
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let number = u32::try_from(self.texts.len()).unwrap_or(u32::MAX);
        self.bytes += text.len() + 3;
        self.texts.push(text.to_owned());
        self.numbers.insert(text.to_owned(), number);
        number
    }

    /// All texts by number.
    pub(super) fn texts(&self) -> &[String] {
        &self.texts
    }

    /// Bytes that they take, about.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }
}

/// The beginning of a text that is too long, and how long it is.
fn cut(text: &str) -> Option<String> {
    if text.len() <= TEXT_MAX {
        return None;
    }
    let count = text.chars().count();
    let start: String = text.chars().take(TEXT_MAX).collect();
    (count > TEXT_MAX).then(|| format!("{start}… ({count} characters)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_stands_once_and_a_long_one_is_cut() {
        let mut strings = Strings::default();
        let numbers: Vec<u32> = ["a", "b", "a"].iter().map(|text| strings.number(text)).collect();
        assert_eq!(numbers, [0, 1, 0]);
        let long = strings.number(&"ü".repeat(700));
        assert_eq!(long, 2);
        assert!(strings.texts()[2].ends_with("ü… (700 characters)"));
        assert_eq!(strings.number(&"ü".repeat(599)), 3);
    }
}
