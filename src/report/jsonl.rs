//! JSON lines: what the JSON document holds, a line for each input, clock, attempt, session and note, one at a time.

use std::io::{self, Write};

use serde::Serialize;

use super::json::{SCHEMA_VERSION, Tool, attempt, clocks, inputs, notes, session, tool};
use super::told;
use crate::analysis::Analysis;

/// A row of the document, and in front of it what it is.
#[derive(Serialize)]
struct Line<'a, T> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(flatten)]
    row: &'a T,
}

/// The first line: whose lines these are.
#[derive(Serialize)]
struct Head<'a> {
    schema_version: u32,
    #[serde(flatten)]
    tool: Tool<'a>,
}

/// Writes a line of the type `tool`, then inputs, clocks, attempts, sessions and notes in the order of the document.
///
/// # Errors
/// When they cannot be written.
pub fn write(out: &mut dyn Write, analysis: &Analysis, arguments: &[String]) -> io::Result<()> {
    line(out, "tool", &Head { schema_version: SCHEMA_VERSION, tool: tool(arguments) })?;
    for input in inputs(analysis) {
        line(out, "input", &input)?;
    }
    for clock in clocks(analysis) {
        line(out, "clock", &clock)?;
    }
    for told in told(analysis) {
        line(out, "attempt", &attempt(analysis, &told))?;
    }
    for (one, verdicts) in analysis.story.sessions.iter().zip(&analysis.verdicts) {
        line(out, "session", &session(analysis, one, verdicts))?;
    }
    for note in notes(analysis) {
        line(out, "note", &note)?;
    }
    Ok(())
}

fn line<T: Serialize>(out: &mut dyn Write, kind: &'static str, row: &T) -> io::Result<()> {
    serde_json::to_writer(&mut *out, &Line { kind, row })?;
    out.write_all(b"\n")
}
