//! What the terminal can show: columns, colours, characters.

use std::env::VarError;
use std::io::{self, IsTerminal};

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
        Color::Auto => is_colored(|name| std::env::var(name), io::stdout().is_terminal()),
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

/// By the conventions of no-color.org and bixense.com/clicolors: NO_COLOR forbids, CLICOLOR_FORCE demands, else a terminal
/// that can gets colours unless CLICOLOR is 0.
fn is_colored(variable: impl Fn(&str) -> Result<String, VarError>, on_terminal: bool) -> bool {
    let value = |name: &str| variable(name).unwrap_or_default();
    if !value("NO_COLOR").is_empty() {
        return false;
    }
    let forced = !matches!(value("CLICOLOR_FORCE").as_str(), "" | "0");
    forced || (on_terminal && value("CLICOLOR") != "0" && value("TERM") != "dumb")
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
    fn colours_follow_the_conventions() {
        let with = |all: &'static [(&str, &str)], on_terminal| {
            let find = |name: &str| all.iter().find(|(known, _)| *known == name);
            is_colored(
                |name| find(name).map(|(_, value)| (*value).to_owned()).ok_or(VarError::NotPresent),
                on_terminal,
            )
        };
        assert!(with(&[], true) && !with(&[], false));
        assert!(!with(&[("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")], true));
        assert!(with(&[("NO_COLOR", ""), ("CLICOLOR_FORCE", "1")], false));
        assert!(!with(&[("CLICOLOR_FORCE", "0")], false) && with(&[("CLICOLOR_FORCE", "0")], true));
        assert!(!with(&[("CLICOLOR", "0")], true) && !with(&[("TERM", "dumb")], true));
    }

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
