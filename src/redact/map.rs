//! The map of a redaction as lines of JSON: the key and the shift first, then each real name with its pseudonym.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Class;

/// Version of the format; a reader refuses any other.
const VERSION: u32 = 1;
/// Bytes of the longest pseudonym that is looked for in a text.
const NAME_BYTES_MAX: usize = 1_024;

/// What leads from real names to pseudonyms and back.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Map {
    /// Of which every pseudonym was drawn.
    pub key: [u8; 32],
    /// Nanoseconds that were added to every time.
    pub shift_ns: i64,
    /// What it is, the real name, the pseudonym; sorted, each once.
    pub names: Vec<(Class, String, String)>,
}

#[derive(Serialize, Deserialize)]
struct Head {
    redaction_map: u32,
    key: String,
    shift_ns: i64,
}

#[derive(Serialize, Deserialize)]
struct Row {
    class: String,
    real: String,
    pseudonym: String,
}

impl Map {
    /// The lines.
    ///
    /// # Errors
    /// When serializing fails, which no value of these types does.
    pub fn lines(&self) -> serde_json::Result<Vec<u8>> {
        let key = data_encoding::HEXLOWER.encode(&self.key);
        let mut lines = serde_json::to_vec(&Head { redaction_map: VERSION, key, shift_ns: self.shift_ns })?;
        lines.push(b'\n');
        for (class, real, given) in &self.names {
            let row = Row { class: class.name().to_owned(), real: real.clone(), pseudonym: given.clone() };
            serde_json::to_writer(&mut lines, &row)?;
            lines.push(b'\n');
        }
        Ok(lines)
    }

    /// The text with the real names, labels in lower case, of the pseudonyms in it: the longest at each place first.
    #[must_use]
    pub fn real(&self, text: &str) -> String {
        let known: BTreeMap<String, &str> =
            self.names.iter().map(|(_, real, given)| (given.to_lowercase(), real.as_str())).collect();
        let mut out = String::new();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let is_end = |at: usize| {
                let (before, behind) = (rest.get(..at), rest.get(at..));
                let of_word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
                !(of_word(before.and_then(|b| b.chars().next_back()))
                    && of_word(behind.and_then(|b| b.chars().next())))
            };
            let ends = rest.char_indices().map(|(at, c)| at + c.len_utf8()).filter(|at| is_end(*at));
            let ends: Vec<usize> = ends.take_while(|at| *at <= NAME_BYTES_MAX).collect();
            let found = ends
                .iter()
                .rev()
                .find_map(|end| known.get(&rest.get(..*end)?.to_lowercase()).map(|real| (*real, *end)));
            let plain = || ends.first().copied().unwrap_or(first.len_utf8());
            let (real, end) = found.unwrap_or_else(|| (rest.get(..plain()).unwrap_or(rest), plain()));
            out.push_str(real);
            rest = rest.get(end..).unwrap_or("");
        }
        out
    }

    /// Reads the lines back; `None` when they are no such map.
    #[must_use]
    pub fn read(lines: &[u8]) -> Option<Self> {
        let mut lines = lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let head: Head = serde_json::from_slice(lines.next()?).ok()?;
        let key = data_encoding::HEXLOWER.decode(head.key.as_bytes()).ok()?;
        let mut map = Self { key: key.try_into().ok()?, shift_ns: head.shift_ns, names: Vec::new() };
        if head.redaction_map != VERSION {
            return None;
        }
        for line in lines {
            let Row { class, real, pseudonym } = serde_json::from_slice(line).ok()?;
            map.names.push((Class::named(&class)?, real, pseudonym));
        }
        Some(map)
    }
}
