//! The map of a redaction as lines of JSON: the key and the shift first, then each real name with its pseudonym.

use serde::{Deserialize, Serialize};

use super::Class;

/// Version of the format; a reader refuses any other.
const VERSION: u32 = 1;

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
