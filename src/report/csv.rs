//! CSV by RFC 4180: a row for each attempt, its columns named by the keys of the JSON document, and no cell that a
//! spreadsheet would take for a formula.

use std::io::{self, Write};

use csv::{QuoteStyle, Terminator, WriterBuilder};
use serde_json::Value;

use super::json::attempt;
use super::safe::escaped;
use super::{Told, headline, told, where_seen, words};
use crate::analysis::Analysis;
use crate::session::Seen;

/// Columns that the attempts of the JSON document have, inner keys behind a point.
pub const ATTEMPT_COLUMNS: &[&str] = &[
    "id",
    "sessions",
    "outcome",
    "broke_at",
    "cause",
    "confidence",
    "start",
    "end",
    "client.ip",
    "client.port",
    "client.name",
    "client.build",
    "server.ip",
    "server.port",
    "server.name",
    "user.name",
    "user.domain",
    "differs",
    "said.contradiction",
];

/// Columns that the best cause of the deciding session has there.
pub const CAUSE_COLUMNS: &[&str] = &["summary", "remedy", "for", "against", "missing"];

/// Between several values in one cell.
const BETWEEN: &str = " | ";

/// Writes a header and a row for each attempt; lines end in CR LF.
///
/// # Errors
/// When they cannot be written.
pub fn write(out: &mut dyn Write, analysis: &Analysis) -> io::Result<()> {
    let mut table =
        WriterBuilder::new().terminator(Terminator::CRLF).quote_style(QuoteStyle::Necessary).from_writer(out);
    table.write_record(ATTEMPT_COLUMNS.iter().chain(CAUSE_COLUMNS))?;
    for told in told(analysis) {
        let row = serde_json::to_value(attempt(analysis, &told))?;
        let own = ATTEMPT_COLUMNS.iter().map(|column| of_value(at(&row, column)));
        table.write_record(own.chain(of_cause(analysis, &told)))?;
    }
    table.flush()
}

/// The value of a column such as `client.ip`.
fn at<'v>(row: &'v Value, column: &str) -> Option<&'v Value> {
    column.split('.').try_fold(row, |value, key| value.get(key))
}

fn of_value(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => cell(text),
        Some(Value::Array(items)) => {
            let texts: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
            cell(&texts.join(BETWEEN))
        }
        // Numbers of this table are never negative.
        Some(other) => other.to_string(),
    }
}

fn of_cause(analysis: &Analysis, told: &Told<'_>) -> [String; 5] {
    let Some(best) = told.best() else { return Default::default() };
    let seen = |proofs: &[Seen]| {
        let one =
            |proof: &Seen| format!("{} ({})", words::says(proof.what()), where_seen(analysis, proof.place()));
        cell(&proofs.iter().map(one).collect::<Vec<String>>().join(BETWEEN))
    };
    let missing: Vec<_> = best.missing(&analysis.witnesses).collect();
    [
        cell(best.rule.cause),
        cell(&headline::to_do(best)),
        seen(&best.weighing.proofs),
        seen(&best.weighing.against),
        cell(&missing.join(BETWEEN)),
    ]
}

/// The text as a cell that no spreadsheet takes for a formula: an apostrophe stands before what begins like one.
/// Control and invisible characters, which RFC 4180 does not have, are escaped as `\u{..}`.
#[must_use]
pub fn cell(text: &str) -> String {
    let like_formula =
        |c: char| matches!(c, '=' | '+' | '-' | '@' | '\t' | '\r' | '\n' | '＝' | '＋' | '－' | '＠');
    // Spreadsheets pass over blanks at the beginning.
    let guard = text.trim_start_matches([' ', '\u{a0}']).starts_with(like_formula);
    let text = escaped(text);
    if guard { format!("'{text}") } else { text.into_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_begins_like_a_formula_is_guarded() {
        let hostile =
            ["=HYPERLINK(\"http://x\")", "+1", "-1", "@SUM(A1)", "\tx", "\rx", " =1", "＝1+1", "\n=1"];
        for text in hostile {
            assert!(cell(text).starts_with('\''), "{text:?}");
        }
        assert_eq!(cell("\t=1"), "'\\u{9}=1");
        for plain in ["alice", "LAB\\alice", "198.51.100.10", "a=b", "", "'quoted'"] {
            assert_eq!(cell(plain), plain);
        }
    }
}
