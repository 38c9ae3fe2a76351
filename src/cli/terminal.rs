//! What the terminal can show: columns, colours, characters.

use std::env::VarError;
use std::io::{self, IsTerminal};

use anstream::{AutoStream, ColorChoice};
use rdpwhy::report::text::Layout;
use terminal_size::{Width, terminal_size};

use super::arguments::{Color, Shown};

/// The layout of text in a file, which has neither columns nor colours of its own.
pub(super) fn file(shown: &Shown) -> Layout<'_> {
    Layout {
        verbose: shown.verbose,
        only_failed: shown.only_failed,
        color: shown.color == Color::Always,
        ascii: shown.ascii,
        zone: &shown.timezone,
        ..Layout::default()
    }
}

/// The layout of text on standard output.
pub(super) fn stdout(shown: &Shown) -> Layout<'_> {
    let plain = file(shown);
    let color = match shown.color {
        Color::Always => true,
        Color::Never => false,
        // Knows NO_COLOR, CLICOLOR, CLICOLOR_FORCE and what terminals cannot.
        Color::Auto => AutoStream::choice(&io::stdout()) != ColorChoice::Never,
    };
    let on_terminal = io::stdout().is_terminal();
    let width = terminal_size().filter(|_| on_terminal).map(|(Width(columns), _)| usize::from(columns));
    Layout {
        width: width.unwrap_or(plain.width),
        color,
        ascii: plain.ascii || (on_terminal && !is_unicode(|name| std::env::var(name))),
        ..plain
    }
}

/// The locale says UTF-8, by the first of the three variables that is set (POSIX 8.2). Where none is there to say, as on
/// Windows, it is.
fn is_unicode(variable: impl Fn(&str) -> Result<String, VarError>) -> bool {
    let set = |name: &&str| variable(name).is_ok_and(|value| !value.is_empty());
    let Some(name) = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find(set) else { return cfg!(windows) };
    variable(name).is_ok_and(|value| {
        let value = value.to_ascii_lowercase();
        value.contains("utf-8") || value.contains("utf8")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_variable_that_is_set_says_the_locale() {
        let with = |all: &'static [(&str, &str)]| {
            is_unicode(|name| {
                let found = all.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| (*value).to_owned()).ok_or(VarError::NotPresent)
            })
        };
        assert!(with(&[("LANG", "de_DE.UTF-8")]));
        assert!(with(&[("LC_ALL", ""), ("LC_CTYPE", "C.utf8"), ("LANG", "C")]));
        assert!(!with(&[("LC_ALL", "C"), ("LANG", "en_US.UTF-8")]));
        assert_eq!(with(&[]), cfg!(windows));
    }
}
