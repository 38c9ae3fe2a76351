//! What codes mean, for a terminal: each meaning behind the place where its number or name stands.

use super::safe::printable;
use crate::explain::Explanation;

/// Columns of the text.
const WIDTH: usize = 100;
/// Columns before a meaning.
const INDENT: &str = "      ";

/// What to look for where a text says nothing.
const NOTHING: &str = "the sentence of an error box is another one in each language and stands for many errors: its numbers \
    carry the meaning. mstsc shows them at the end of the box or behind its button for details, such as `Error code: 0x3` \
    and `Extended error code: 0x7`, and Ctrl+C copies all of the box. Where it has none, the client's log has the number: \
    event 1026 of Microsoft-Windows-TerminalServices-RDPClient/Operational (`rdpwhy collect --client`).";

/// All explanations.
#[must_use]
pub fn text(explanations: &[Explanation]) -> String {
    let mut out = String::new();
    for one in explanations {
        if !out.is_empty() {
            out.push('\n');
        }
        out.push_str(&printable(&one.asked));
        out.push('\n');
        for says in &one.says {
            out.push_str(&format!("  {}\n", says.of));
            wrapped(&mut out, &says.text);
        }
        if one.says.is_empty() {
            out.push_str("  not known here");
            if !one.near.is_empty() {
                out.push_str(&format!("; did you mean {}?", one.near.join(" or ")));
            }
            out.push('\n');
        }
    }
    if out.is_empty() {
        out.push_str("no number, constant, event or cause is in the text\n");
        wrapped(&mut out, NOTHING);
    }
    out
}

fn wrapped(out: &mut String, text: &str) {
    let mut column = 0;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if column > 0 && column + 1 + length > WIDTH {
            out.push('\n');
            column = 0;
        }
        out.push_str(if column == 0 { INDENT } else { " " });
        column += if column == 0 { INDENT.len() + length } else { 1 + length };
        out.push_str(word);
    }
    out.push('\n');
}
