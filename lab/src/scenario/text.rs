//! The text of a scenario: lines into words and `key=value` pairs, with errors that name the line.

use std::fmt;

use jiff::Timestamp;

const NS_PER_SECOND: i64 = 1_000_000_000;

/// What is wrong with a scenario's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScenarioError {
    /// Line, from 1.
    pub line: usize,
    /// What was found and what was expected.
    pub text: String,
}

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.text)
    }
}

impl std::error::Error for ScenarioError {}

/// One line: words first, then pairs.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) number: usize,
    pub(super) words: Vec<String>,
    pub(super) pairs: Vec<(String, String)>,
}

impl Line {
    /// Reads every line that says something.
    pub(super) fn read_all(text: &str) -> Result<Vec<Self>, ScenarioError> {
        let lines = text.lines().zip(1..).map(|(text, number)| Self::read(number, text));
        lines.filter(|line| line.as_ref().map_or(true, |line| !line.words.is_empty())).collect()
    }

    fn read(number: usize, text: &str) -> Result<Self, ScenarioError> {
        let mut line = Self { number, words: Vec::new(), pairs: Vec::new() };
        for token in tokens(text).map_err(|text| line.error(text))? {
            match token {
                Token::Word(word) if line.pairs.is_empty() => line.words.push(word),
                Token::Word(word) => {
                    return Err(line.error(format!("found `{word}` after a pair, expected `key=value`")));
                }
                Token::Pair(key, value) => line.pairs.push((key, value)),
            }
        }
        Ok(line)
    }

    /// An error of this line.
    pub(super) fn error(&self, text: impl Into<String>) -> ScenarioError {
        ScenarioError { line: self.number, text: text.into() }
    }

    /// The word at `index`, or an error that says what it should be.
    pub(super) fn word(&self, index: usize, expected: &str) -> Result<&str, ScenarioError> {
        let word = self.words.get(index).map(String::as_str);
        word.ok_or_else(|| self.error(format!("the line ends early, expected {expected}")))
    }

    /// A pair's value.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.pairs.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// A pair's value, or `default`.
    pub(super) fn get_or<'a>(&'a self, key: &str, default: &'a str) -> &'a str {
        self.get(key).unwrap_or(default)
    }

    /// A pair's number, decimal or `0x`; `default` where it is absent.
    pub(super) fn number_or(&self, key: &str, default: u32) -> Result<u32, ScenarioError> {
        match self.get(key) {
            None => Ok(default),
            Some(text) => number(text).ok_or_else(|| {
                self.error(format!("{key} is `{text}`, expected a number such as 14 or 0xC000006D"))
            }),
        }
    }

    /// A pair's number, which must be there.
    pub(super) fn number(&self, key: &str) -> Result<u32, ScenarioError> {
        if self.get(key).is_none() {
            return Err(self.error(format!("`{key}=` is missing, expected a number")));
        }
        self.number_or(key, 0)
    }

    /// A pair that is yes or no.
    pub(super) fn yes_or(&self, key: &str, default: bool) -> Result<bool, ScenarioError> {
        match self.get(key) {
            None => Ok(default),
            Some("yes") => Ok(true),
            Some("no") => Ok(false),
            Some(other) => Err(self.error(format!("{key} is `{other}`, expected yes or no"))),
        }
    }

    /// Refuses pairs whose key is not among `known`.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), ScenarioError> {
        match self.pairs.iter().find(|(key, _)| !known.contains(&key.as_str())) {
            None => Ok(()),
            Some((key, _)) if known.is_empty() => {
                Err(self.error(format!("unknown key `{key}`, expected none")))
            }
            Some((key, _)) => {
                Err(self.error(format!("unknown key `{key}`, expected one of {}", known.join(", "))))
            }
        }
    }
}

/// A number, decimal or hexadecimal; negative ones wrap as C prints them.
pub(super) fn number(text: &str) -> Option<u32> {
    let hex = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    match hex {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse().ok().or_else(|| text.parse::<i32>().ok().map(i32::cast_unsigned)),
    }
}

/// `+137s`, `-3605s`, `+0.012`: seconds with a sign and up to nine decimals, in nanoseconds.
pub(super) fn seconds(text: &str) -> Option<i64> {
    let text = text.strip_suffix('s').unwrap_or(text);
    let (sign, digits) = match text.as_bytes().first()? {
        b'+' => (1, &text[1..]),
        b'-' => (-1, &text[1..]),
        _ => return None,
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(whole) || !is_number(fraction) || fraction.len() > 9 {
        return None;
    }
    let nanoseconds: i64 = format!("{fraction:0<9}").parse().ok()?;
    let total = whole.parse::<i64>().ok()?.checked_mul(NS_PER_SECOND)?.checked_add(nanoseconds)?;
    Some(sign * total)
}

/// An RFC 3339 time in nanoseconds since 1970-01-01 UTC.
pub(super) fn instant(text: &str) -> Option<i64> {
    i64::try_from(text.parse::<Timestamp>().ok()?.as_nanosecond()).ok()
}

enum Token {
    Word(String),
    Pair(String, String),
}

/// Splits at blanks; double quotes keep them, two double quotes inside are one, and `#` begins a comment.
fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() && !rest.starts_with('#') {
        let (piece, key_length, after) = piece(rest)?;
        tokens.push(match key_length {
            Some(length) => Token::Pair(piece[..length].to_owned(), piece[length + 1..].to_owned()),
            None => Token::Word(piece),
        });
        rest = after.trim_start();
    }
    Ok(tokens)
}

/// The first piece of `text`, where its key ends if it has one, and what follows.
fn piece(text: &str) -> Result<(String, Option<usize>, &str), String> {
    let mut piece = String::new();
    let mut key_length = None;
    let mut quoted = false;
    let mut chars = text.char_indices().peekable();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' if quoted && chars.peek().is_some_and(|(_, next)| *next == '"') => {
                piece.push('"');
                chars.next();
            }
            '"' => quoted = !quoted,
            _ if char.is_whitespace() && !quoted => return Ok((piece, key_length, &text[at..])),
            '=' if !quoted && key_length.is_none() && !piece.is_empty() => {
                key_length = Some(piece.len());
                piece.push(char);
            }
            _ => piece.push(char),
        }
    }
    if quoted { Err(format!("`{text}` has no closing quote")) } else { Ok((piece, key_length, "")) }
}
