//! TLS key logs in the NSS format: a secret a line, by its label and the random of the ClientHello
//! (draft-ietf-tls-keylogfile).

use std::collections::BTreeMap;

use data_encoding::HEXLOWER;

/// The random of a ClientHello, by which secrets belong to connections.
pub type Random = [u8; 32];

/// Which secret a line holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Label {
    /// `CLIENT_RANDOM`: the master secret of TLS 1.2 and older.
    Master,
    /// `CLIENT_HANDSHAKE_TRAFFIC_SECRET` of TLS 1.3.
    ClientHandshake,
    /// `SERVER_HANDSHAKE_TRAFFIC_SECRET` of TLS 1.3.
    ServerHandshake,
    /// `CLIENT_TRAFFIC_SECRET_0` of TLS 1.3.
    ClientTraffic,
    /// `SERVER_TRAFFIC_SECRET_0` of TLS 1.3.
    ServerTraffic,
}

const LABELS: [(&str, Label); 5] = [
    ("CLIENT_RANDOM", Label::Master),
    ("CLIENT_HANDSHAKE_TRAFFIC_SECRET", Label::ClientHandshake),
    ("SERVER_HANDSHAKE_TRAFFIC_SECRET", Label::ServerHandshake),
    ("CLIENT_TRAFFIC_SECRET_0", Label::ClientTraffic),
    ("SERVER_TRAFFIC_SECRET_0", Label::ServerTraffic),
];

/// Labels that stand in key logs and open no record of RDP.
const LABELS_UNUSED: [&str; 7] = [
    "RSA",
    "EXPORTER_SECRET",
    "EARLY_EXPORTER_SECRET",
    "EARLY_EXPORTER_MASTER_SECRET",
    "CLIENT_EARLY_TRAFFIC_SECRET",
    "ECH_SECRET",
    "ECH_CONFIG",
];

/// Longest secret: the output of SHA-512.
const SECRET_BYTES_MAX: usize = 64;
/// Lines at the start of a file that may tell that it is a key log.
const FIRST_LINES: usize = 32;
/// Secrets kept: more than the connections of any investigation.
pub const SECRETS_MAX: usize = 1_000_000;

/// One line of a key log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// A secret that opens records.
    Secret(Label, Random, Vec<u8>),
    /// A comment, an empty line, or a secret for something else.
    Other,
    /// Not a line of a key log.
    Bad,
}

/// Reads one line: label, random and secret, both in hexadecimal, parted by blanks; `#` starts a comment.
#[must_use]
pub fn line(text: &[u8]) -> Line {
    let mut words = text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let Some(label) = words.next().filter(|word| !word.starts_with(b"#")) else { return Line::Other };
    let (random, secret, rest) = (words.next(), words.next(), words.next());
    if LABELS_UNUSED.iter().any(|known| known.as_bytes() == label) {
        return if random.is_some() { Line::Other } else { Line::Bad };
    }
    let known = LABELS.iter().find(|(name, _)| name.as_bytes() == label);
    let random = random.and_then(hexadecimal).and_then(|bytes| Random::try_from(bytes).ok());
    let secret = secret.and_then(hexadecimal).filter(|bytes| !bytes.is_empty());
    match (known, random, secret, rest) {
        (Some((_, label)), Some(random), Some(secret), None) => Line::Secret(*label, random, secret),
        // Later secrets of a connection, which follow from the first ones.
        (None, Some(_), Some(_), None) if is_label(label) => Line::Other,
        _ => Line::Bad,
    }
}

fn is_label(word: &[u8]) -> bool {
    word.iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_')
}

fn hexadecimal(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    if !text.len().is_multiple_of(2) || text.len() / 2 > SECRET_BYTES_MAX {
        return None;
    }
    let pairs = text.chunks_exact(2);
    pairs.map(|pair| Some(digit(pair.first()?)? << 4 | digit(pair.last()?)?)).collect()
}

/// Do these first bytes of a file say that it is a key log: a line that is one, behind comments?
#[must_use]
pub fn starts_key_log(first: &[u8]) -> bool {
    let first = first.strip_prefix(&[0xef, 0xbb, 0xbf]).unwrap_or(first);
    let mut lines = first.split(|byte| *byte == b'\n').take(FIRST_LINES);
    let is_text = !first.contains(&0);
    let is_secret = |text: &[u8]| {
        let label = text.split(u8::is_ascii_whitespace).find(|word| !word.is_empty());
        let known = |label: &[u8]| LABELS_UNUSED.iter().any(|name| name.as_bytes() == label);
        match line(text) {
            Line::Secret(..) => true,
            Line::Other => label.is_some_and(known),
            Line::Bad => false,
        }
    };
    is_text && lines.any(is_secret)
}

/// The secrets of all key logs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeyLog {
    secrets: BTreeMap<(Random, Label), Vec<u8>>,
}

/// What one text added to a key log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Added {
    /// Secrets that can open records.
    pub secrets: u64,
    /// Lines that are none of a key log.
    pub bad_lines: u64,
    /// Secrets beyond the limit.
    pub left_out: u64,
}

impl KeyLog {
    /// Adds the lines of a text. Of two different secrets under one name the first stays.
    pub fn add(&mut self, text: &[u8]) -> Added {
        let mut added = Added::default();
        for text in text.split(|byte| *byte == b'\n') {
            self.add_line(text, &mut added);
        }
        added
    }

    /// Adds one line.
    pub fn add_line(&mut self, text: &[u8], added: &mut Added) {
        match line(text.strip_prefix(&[0xef, 0xbb, 0xbf]).unwrap_or(text)) {
            Line::Secret(label, random, secret) => {
                let known = self.secrets.contains_key(&(random, label));
                if known || self.secrets.len() < SECRETS_MAX {
                    self.secrets.entry((random, label)).or_insert(secret);
                    added.secrets = added.secrets.saturating_add(1);
                } else {
                    added.left_out = added.left_out.saturating_add(1);
                }
            }
            Line::Bad => added.bad_lines = added.bad_lines.saturating_add(1),
            Line::Other => {}
        }
    }

    /// There is no secret in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.secrets.is_empty()
    }

    /// It has a secret of the connection with this random in its ClientHello.
    #[must_use]
    pub fn knows(&self, random: &Random) -> bool {
        let from = (*random, Label::Master);
        self.secrets.range(from..).next().is_some_and(|((known, _), _)| known == random)
    }

    /// The lines of one connection, as they stand in a key log.
    pub fn lines_of(&self, random: &Random) -> impl Iterator<Item = String> + '_ {
        let owner = *random;
        LABELS.iter().filter_map(move |(name, label)| {
            let secret = self.secrets.get(&(owner, *label))?;
            Some(format!("{name} {} {}\n", HEXLOWER.encode(&owner), HEXLOWER.encode(secret)))
        })
    }

    /// The secret of a connection, by the random of its ClientHello.
    #[must_use]
    pub fn secret(&self, random: &[u8], label: Label) -> Option<&[u8]> {
        let random = Random::try_from(random).ok()?;
        self.secrets.get(&(random, label)).map(Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random() -> String {
        "0a".repeat(32)
    }

    #[test]
    fn lines_of_every_kind() {
        let secret = format!("CLIENT_RANDOM {} {}\r", random(), "fF".repeat(48));
        assert_eq!(line(secret.as_bytes()), Line::Secret(Label::Master, [10; 32], vec![255; 48]));
        let later = format!("CLIENT_TRAFFIC_SECRET_1 {} 00ff", random());
        assert_eq!(line(later.as_bytes()), Line::Other);
        for other in ["", "  \r", "# SSL/TLS secrets log file", "RSA 0102 0304", "EXPORTER_SECRET 01 02"] {
            assert_eq!(line(other.as_bytes()), Line::Other, "{other}");
        }
        let short = format!("CLIENT_RANDOM {} ", random());
        for bad in [short.as_str(), "hello", "CLIENT_RANDOM 0a0b 0c", "SERVER_TRAFFIC_SECRET_0 zz 00"] {
            assert_eq!(line(bad.as_bytes()), Line::Bad, "{bad}");
        }
    }

    #[test]
    fn a_key_log_is_told_from_other_texts() {
        let log = format!("# a comment\n\nSERVER_TRAFFIC_SECRET_0 {} 00ff\nCLIENT_", random());
        assert!(starts_key_log(log.as_bytes()));
        assert!(starts_key_log(b"EXPORTER_SECRET 00 11\n"));
        for other in ["# notes\nnothing", "CLIENT_RANDOM is not here", "", "hello world and more"] {
            assert!(!starts_key_log(other.as_bytes()), "{other}");
        }
    }

    #[test]
    fn bad_lines_are_counted_and_the_first_secret_stays() {
        let mut log = KeyLog::default();
        let text = format!("x\nCLIENT_RANDOM {0} aa\nCLIENT_RANDOM {0} bb\n# c\n", random());
        assert_eq!(log.add(text.as_bytes()), Added { secrets: 2, bad_lines: 1, left_out: 0 });
        assert_eq!(log.secret(&[10; 32], Label::Master), Some([0xaa].as_slice()));
        assert_eq!(log.secret(&[10; 32], Label::ClientTraffic), None);
        assert_eq!(log.secret(&[10; 31], Label::Master), None);
        assert_eq!([[9; 32], [10; 32], [11; 32]].map(|random| log.knows(&random)), [false, true, false]);
    }
}
