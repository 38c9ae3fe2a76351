//! Pseudonyms of labels, tokens and security identifiers.

use std::collections::{BTreeMap, BTreeSet};

use super::{Class, Key};

/// Length to which some clients cut the user name of the cookie.
pub(super) const COOKIE_CHARS: usize = 9;
/// NetBIOS names end behind 15 characters.
const NETBIOS_CHARS: usize = 15;
/// Names kept as they were written; beyond them only their labels are sought.
const WRITTEN_MAX: usize = 1_000_000;
/// Relative identifiers below are the same in every domain.
const OWN_RIDS: u32 = 1_000;

/// Labels, names and identifiers of the evidence, and their pseudonyms.
#[derive(Debug, Clone)]
pub(super) struct Names {
    key: Key,
    /// Labels in lower case; true where a field that holds names has it, false where it only stands among other words.
    labels: BTreeMap<String, bool>,
    identifiers: BTreeSet<String>,
    /// Accounts that every Windows has, where they were met.
    met: BTreeSet<String>,
    given: BTreeMap<String, String>,
    back: BTreeMap<String, String>,
    /// Names of several labels as they were written, and their pseudonyms.
    spelled: BTreeMap<String, String>,
}

impl Names {
    pub(super) fn new(key: Key) -> Self {
        Self {
            key,
            labels: BTreeMap::new(),
            identifiers: BTreeSet::new(),
            met: BTreeSet::new(),
            given: BTreeMap::new(),
            back: BTreeMap::new(),
            spelled: BTreeMap::new(),
        }
    }

    pub(super) fn learn(&mut self, label: &str, named: bool) {
        *self.labels.entry(label.to_lowercase()).or_default() |= named;
    }

    pub(super) fn learn_written(&mut self, text: &str, given: &str) {
        if text != given && text.chars().count() > 3 && self.spelled.len() < WRITTEN_MAX {
            self.spelled.insert(text.to_owned(), given.to_owned());
        }
    }

    /// A field that holds names has it, as it is written here.
    pub(super) fn is_written(&self, text: &str) -> bool {
        self.spelled.contains_key(text) || self.is_named(text)
    }

    pub(super) fn meet(&mut self, well_known: &str) {
        self.met.insert(well_known.to_lowercase());
    }

    /// An account that every Windows has was met, and this is its beginning.
    pub(super) fn is_met(&self, cut: &str) -> bool {
        let cut = cut.to_lowercase();
        !cut.is_empty() && self.met.iter().any(|met| met.starts_with(&cut))
    }

    /// A field that holds names has this label.
    pub(super) fn is_named(&self, label: &str) -> bool {
        self.labels.get(&label.to_lowercase()) == Some(&true)
    }

    /// Draws the pseudonym of every label, each another one; those of an earlier map stay.
    pub(super) fn draw(&mut self, key: Key, earlier: &[(Class, String, String)]) {
        self.key = key;
        (self.given, self.back) = (BTreeMap::new(), BTreeMap::new());
        for (_, real, given) in earlier.iter().filter(|(class, ..)| *class == Class::Label) {
            self.back.insert(given.clone(), real.clone());
            self.given.insert(real.clone(), given.clone());
        }
        let labels: Vec<String> = self.labels.keys().cloned().collect();
        for label in labels {
            self.of(&label);
        }
    }

    /// The pseudonym, in capitals where the label is.
    pub(super) fn label(&mut self, label: &str) -> String {
        let low = label.to_lowercase();
        let given = self.of(&low);
        self.labels.entry(low).or_default();
        let is_capital = !label.chars().any(char::is_lowercase) && label.chars().any(char::is_uppercase);
        if is_capital { given.to_uppercase() } else { given }
    }

    /// A label that is the beginning of another one, as a cookie or a NetBIOS name is cut, is so as pseudonym, too: the
    /// first 9 characters have a pseudonym of 9, the first 15 one of 15.
    fn of(&mut self, low: &str) -> String {
        if let Some(given) = self.given.get(low) {
            return given.clone();
        }
        let chars = low.chars().count();
        let (begins, own) = match chars {
            0..COOKIE_CHARS => (0, 8),
            COOKIE_CHARS => (0, COOKIE_CHARS),
            _ if chars < NETBIOS_CHARS => (COOKIE_CHARS, 5),
            NETBIOS_CHARS => (COOKIE_CHARS, 6),
            _ => (NETBIOS_CHARS, 6),
        };
        let beginning = if begins == 0 { "x".to_owned() } else { self.of(&first(low, begins)) };
        let own = if begins == 0 { own - 1 } else { own };
        let drawn = |number: u32| {
            let bytes = self.key.draw("label", &[low.as_bytes(), &number.to_be_bytes()]);
            beginning.chars().chain(letters(&bytes).take(own)).collect::<String>()
        };
        let is_free = |given: &String| !self.back.contains_key(given) && !self.labels.contains_key(given);
        let given = (0..=u32::MAX).map(drawn).find(is_free).unwrap_or(beginning);
        self.back.insert(given.clone(), low.to_owned());
        self.given.insert(low.to_owned(), given.clone());
        given
    }

    /// The known label that this one is the beginning of, where it is none itself.
    pub(super) fn whole_of(&self, cut: &str) -> Option<String> {
        let cut = cut.to_lowercase();
        if cut.is_empty() || self.is_named(&cut) {
            return None;
        }
        let mut whole = self.labels.range(cut.clone()..).take_while(|(label, _)| label.starts_with(&cut));
        whole.find(|(label, named)| **named && **label != cut).map(|(label, _)| label.clone())
    }

    /// The real label, in lower case.
    pub(super) fn real<'a>(&'a self, given: &'a str) -> &'a str {
        self.back.get(&given.to_lowercase()).map_or(given, String::as_str)
    }

    /// The pseudonym of a token or an identifier: hexadecimal digits stay such digits, in the same places.
    pub(super) fn identifier(&mut self, text: &str) -> String {
        let is_nothing = |c: char| matches!(c, '0' | '-' | '{' | '}' | ':');
        if text.chars().all(is_nothing) {
            return text.to_owned();
        }
        self.identifiers.insert(text.to_owned());
        self.replaced(text)
    }

    fn replaced(&self, text: &str) -> String {
        let low = text.to_lowercase();
        let is_hex = |c: char| c.is_ascii_hexdigit() || matches!(c, '-' | '{' | '}' | ':');
        if text.len() < 12 || !low.chars().all(is_hex) {
            return std::iter::once('x')
                .chain(letters(&self.key.draw("token", &[low.as_bytes()])))
                .take(16)
                .collect();
        }
        let mut drawn = (0..=text.len() / 32).flat_map(|number| {
            let number = u64::try_from(number).unwrap_or(u64::MAX);
            self.key.draw("digits", &[low.as_bytes(), &number.to_be_bytes()])
        });
        let capital = text.chars().any(|c| c.is_ascii_uppercase());
        let mut digit = |c: char| {
            if !c.is_ascii_hexdigit() {
                return c;
            }
            let digit = char::from_digit(u32::from(drawn.next().unwrap_or(0)) % 16, 16).unwrap_or('0');
            if capital { digit.to_ascii_uppercase() } else { digit }
        };
        text.chars().map(&mut digit).collect()
    }

    /// The pseudonym of a SID: its beginning and the relative identifiers that every domain has stay.
    pub(super) fn sid(&mut self, text: &str) -> String {
        self.identifiers.insert(text.to_owned());
        self.replaced_sid(text)
    }

    fn replaced_sid(&self, text: &str) -> String {
        let parts: Vec<&str> = text.split('-').collect();
        let mut given: Vec<String> = Vec::new();
        for (index, part) in parts.iter().enumerate() {
            let before = parts.get(..index).unwrap_or_default().join("-");
            let number = part.parse::<u32>().ok();
            given.push(match number {
                // `S-1-5-21`, `S-1-12-1`.
                _ if index < 4 => (*part).to_owned(),
                Some(known) if index >= 7 && known < OWN_RIDS => (*part).to_owned(),
                // A relative identifier is another one, and no well-known one.
                Some(number) if index >= 7 => self.turned("rid", number, OWN_RIDS).to_string(),
                Some(number) => self.turned(&before, number, 0).to_string(),
                None => self.replaced(part),
            });
        }
        given.join("-")
    }

    /// Another number of 32 bits, not below `least`, for each number: a Feistel network of four rounds, walked until it
    /// comes to a number that may be given.
    fn turned(&self, under: &str, number: u32, least: u32) -> u32 {
        let mut at = number;
        loop {
            let (mut left, mut right) = (at >> 16, at & 0xffff);
            for round in 0_u8..4 {
                let drawn = self.key.draw("number", &[under.as_bytes(), &[round], &right.to_be_bytes()]);
                let mixed = drawn.iter().take(2).fold(0, |sum, byte| sum << 8 | u32::from(*byte));
                (left, right) = (right, left ^ mixed);
            }
            at = left << 16 | right;
            if at >= least {
                return at;
            }
        }
    }

    /// It may be searched for: a field that holds names has it, and it is long enough to be told from other words; of
    /// digits alone it must be longer than most counts are.
    pub(super) fn is_sought(&self, label: &str) -> bool {
        let is_number = label.chars().all(|c| c.is_ascii_digit());
        label.chars().count() >= if is_number { 8 } else { 3 } && self.is_named(label)
    }

    /// Everything with its pseudonym.
    pub(super) fn map(&self) -> Vec<(Class, String, String)> {
        let given = |label: &String| self.given.get(label).cloned().unwrap_or_default();
        let labels = self.labels.keys().map(|label| (Class::Label, label.clone(), given(label)));
        let written = self.spelled.iter().map(|(real, given)| (Class::Name, real.clone(), given.clone()));
        let identifiers = self.identifiers.iter().map(|text| {
            let given = if text.starts_with("S-1-") { self.replaced_sid(text) } else { self.replaced(text) };
            (Class::Identifier, text.clone(), given)
        });
        labels.chain(written).chain(identifiers).collect()
    }
}

fn first(text: &str, chars: usize) -> String {
    text.chars().take(chars).collect()
}

/// Letters drawn of these bytes. With the `x` before them they are no number and no hexadecimal number.
fn letters(bytes: &[u8]) -> impl Iterator<Item = char> {
    bytes.iter().map(|byte| char::from(b'a'.saturating_add(byte % 26)))
}
