//! The forms of an answer: what each is called, which endings mean it, and who writes it.

use std::io::{self, Write};
use std::path::Path;

use clap::ValueEnum;
use rdpwhy::Analysis;
use rdpwhy::report::parquet::Table;
use rdpwhy::report::{csv, html, json, jsonl, markdown, text, timesketch};

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Text,
    /// One document for programs
    Json,
    /// The same as JSON, a line for each attempt, session, input, clock and note
    Jsonl,
    /// A table with a row for each attempt (RFC 4180)
    Csv,
    /// For a ticket
    Markdown,
    /// Events for Timesketch, as JSON lines
    Timesketch,
    /// One page for people, which a browser shows without any network
    Html,
    /// Three tables in a folder: sessions, facts, causes
    Parquet,
}

/// What the writers need to know beside the analysis.
pub(super) struct Shape<'a> {
    /// Arguments that change the answer.
    pub(super) arguments: &'a [String],
    /// Of text on standard output, and in a file.
    pub(super) stdout: text::Layout<'a>,
    pub(super) file: text::Layout<'a>,
}

impl<'a> Shape<'a> {
    fn page(&self) -> markdown::Layout<'a> {
        let text::Layout { verbose, only_failed, zone, .. } = self.file;
        markdown::Layout { verbose, only_failed, zone }
    }
}

impl Format {
    /// Endings of files that mean this format. Timesketch has none of its own: its lines are JSON lines, too.
    const fn endings(self) -> &'static [&'static str] {
        match self {
            Self::Text => &["txt", "text"],
            Self::Json => &["json"],
            Self::Jsonl => &["jsonl", "ndjson"],
            Self::Csv => &["csv"],
            Self::Markdown => &["md", "markdown"],
            Self::Timesketch => &[],
            Self::Html => &["html", "htm"],
            Self::Parquet => &["parquet"],
        }
    }

    /// The name on the command line.
    pub(super) fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::from_str(name, false).ok()
    }

    /// The format that the ending of a file means.
    pub(super) fn of_ending(file: &Path) -> Option<Self> {
        let end = file.extension()?.to_str()?.to_ascii_lowercase();
        Self::value_variants().iter().copied().find(|format| format.endings().contains(&end.as_str()))
    }

    /// Every name with its endings, for a message.
    pub(super) fn told() -> String {
        let one = |format: &Self| {
            let endings: Vec<String> = format.endings().iter().map(|end| format!(".{end}")).collect();
            match endings.is_empty() {
                true => format.name(),
                false => format!("{} ({})", format.name(), endings.join(", ")),
            }
        };
        Self::value_variants().iter().map(one).collect::<Vec<String>>().join(", ")
    }

    /// The tables of the format, where it is a folder of several files.
    pub(super) const fn tables(self) -> Option<&'static [Table]> {
        match self {
            Self::Parquet => Some(&Table::ALL),
            _ => None,
        }
    }

    /// Writes the answer in this form; one that is a folder is written table by table.
    pub(super) fn write(
        self,
        out: &mut dyn Write,
        analysis: &Analysis,
        shape: &Shape<'_>,
        to_stdout: bool,
    ) -> io::Result<()> {
        match self {
            Self::Text => {
                let layout = if to_stdout { shape.stdout } else { shape.file };
                out.write_all(text::answer(analysis, layout).as_bytes())
            }
            Self::Json => {
                let document = json::document(analysis, shape.arguments).map_err(io::Error::other)?;
                out.write_all(document.as_bytes())
            }
            Self::Jsonl => jsonl::write(out, analysis, shape.arguments),
            Self::Csv => csv::write(out, analysis),
            Self::Markdown => out.write_all(markdown::page(analysis, shape.page()).as_bytes()),
            Self::Timesketch => timesketch::write(out, analysis),
            Self::Html => {
                let asked = html::Asked {
                    arguments: shape.arguments.to_vec(),
                    only_failed: shape.file.only_failed,
                    limits: html::Limits::default(),
                };
                let page = html::page(analysis, &asked).map_err(io::Error::other)?;
                out.write_all(page.as_bytes())
            }
            Self::Parquet => Err(io::ErrorKind::IsADirectory.into()),
        }
    }
}
