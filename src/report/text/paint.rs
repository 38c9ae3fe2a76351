//! Colours, line drawing and columns of a terminal.

use anstyle::{AnsiColor, Style};
use unicode_width::UnicodeWidthStr;

use crate::time::{UTC, Zone};

/// How the answer is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout<'a> {
    /// Columns of the terminal.
    pub width: usize,
    /// The whole timeline of every session.
    pub verbose: bool,
    /// Leave out what did not fail.
    pub only_failed: bool,
    /// With ANSI colours.
    pub color: bool,
    /// Nothing but ASCII, for terminals without Unicode.
    pub ascii: bool,
    /// The time zone of the times shown; those inside of sentences, which say so with a Z, stay in UTC.
    pub zone: &'a Zone,
}

impl Default for Layout<'_> {
    fn default() -> Self {
        Self { width: 100, verbose: false, only_failed: false, color: false, ascii: false, zone: &UTC }
    }
}

/// Narrower than this, lines would hold next to nothing.
const WIDTH_MIN: usize = 40;
/// Wider than this, lines are hard to follow.
const WIDTH_MAX: usize = 160;

/// What a piece of the answer is, as its colour tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Paint {
    /// It failed.
    Failure,
    /// It worked.
    Success,
    /// The label of a line.
    Label,
    /// What a log says.
    Log,
    /// What matters most in a line.
    Strong,
}

impl Paint {
    const fn style(self) -> Style {
        match self {
            Self::Failure => AnsiColor::Red.on_default().bold(),
            Self::Success => AnsiColor::Green.on_default(),
            Self::Label => Style::new().dimmed(),
            Self::Log => AnsiColor::Cyan.on_default(),
            Self::Strong => Style::new().bold(),
        }
    }
}

impl Layout<'_> {
    /// The text in its colour, where there are colours.
    pub(super) fn paint(self, paint: Paint, text: &str) -> String {
        if !self.color || text.is_empty() {
            return text.to_owned();
        }
        let style = paint.style();
        format!("{style}{text}{style:#}")
    }

    /// Columns that are used.
    pub(super) fn columns(self) -> usize {
        self.width.clamp(WIDTH_MIN, WIDTH_MAX)
    }

    /// The first where Unicode can be shown, else the second.
    pub(super) fn mark(self, unicode: &'static str, ascii: &'static str) -> &'static str {
        if self.ascii { ascii } else { unicode }
    }
}

/// The answer with nothing but ASCII in it: our own signs by their likes, names from the evidence escaped.
pub(super) fn ascii(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            'µ' => out.push('u'),
            '…' => out.push_str("..."),
            c if c.is_ascii() => out.push(c),
            c => out.extend(c.escape_unicode()),
        }
    }
    out
}

/// Columns that a text takes.
pub(super) fn columns(text: &str) -> usize {
    text.width()
}

/// The text in lines of at most `room` columns, broken at blanks. A word that is longer stands alone and whole, so that it
/// can be copied.
pub(super) fn wrapped(text: &str, room: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let used = lines.last().map_or(0, |line| columns(line));
        if used > 0 && used + 1 + columns(word) > room {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_at_blanks_and_count_columns() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("日本語 日本語", 12), ["日本語", "日本語"]);
        assert_eq!(wrapped("a/very/long/path b", 6), ["a/very/long/path", "b"]);
        assert_eq!(wrapped("", 6), [""]);
    }

    #[test]
    fn ascii_keeps_what_a_name_says() {
        assert_eq!(ascii("+12 µs Jürgen…"), "+12 us J\\u{fc}rgen...");
    }

    #[test]
    fn colours_are_there_when_wanted_only() {
        let plain = Layout::default();
        let colored = Layout { color: true, ..plain };
        assert_eq!(plain.paint(Paint::Failure, "BROKE"), "BROKE");
        assert_eq!(colored.paint(Paint::Failure, "BROKE"), "\u{1b}[1m\u{1b}[31mBROKE\u{1b}[0m");
        assert_eq!(colored.paint(Paint::Failure, ""), "");
    }
}
