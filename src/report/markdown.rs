//! Markdown for a ticket: each failure with verdict, evidence and what to do; then what did not fail, in a line each.
//! All of it is plain CommonMark with the tables of GitHub, and no text of the evidence becomes markup.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::html::clock_words;
use super::kinds::{NO_CAUSE, kinds, overall};
use super::safe::escaped;
use super::sources::summed_up;
use super::text::{filter, how_sure, ladder, server_end, some, user};
use super::{Told, ends, entries, headline, naming, query, slice, told, where_seen, words};
use crate::analysis::Analysis;
use crate::diagnosis;
use crate::fact::Reading;
use crate::session::Seen;
use crate::step::Step;
use crate::time::{Zone, spoken};

/// More failures than this are counted by kind.
const KINDS_FROM: usize = 10;
/// Failures with a section of their own.
const SECTIONS_MAX: usize = 50;
/// Attempts that did not fail, and failures beyond those with a section, that are listed.
const LISTED_MAX: usize = 100;
/// Proofs of one cause, and as many against it.
const PROOFS_MAX: usize = 8;
/// Entries of a timeline.
const TIMELINE_MAX: usize = 200;
/// Notes of the reading.
const NOTES_MAX: usize = 20;
/// Lines of what was not seen.
const MISSING_MAX: usize = 5;

/// How the page is laid out.
#[derive(Debug, Clone, Copy)]
pub struct Layout<'a> {
    /// The timeline of every failure.
    pub verbose: bool,
    /// Leave out what did not fail.
    pub only_failed: bool,
    /// The time zone of the times shown.
    pub zone: &'a Zone,
}

/// The whole page.
#[must_use]
pub fn page(analysis: &Analysis, layout: Layout<'_>) -> String {
    let all = told(analysis);
    let (failed, others): (Vec<&Told<'_>>, Vec<&Told<'_>>) =
        all.iter().partition(|told| told.attempt.outcome.is_failure());
    let mut out = String::new();
    let sources = summed_up(&analysis.story.sessions, &all, server_end);
    let _ = writeln!(out, "# Remote Desktop: {}\n", prose(&overall(&all, &sources, analysis.left_out)));
    kinds_table(&mut out, &failed);
    for (number, told) in (1..).zip(failed.iter().take(SECTIONS_MAX)) {
        section(&mut out, analysis, told, layout, number);
    }
    list(&mut out, "More failures", failed.get(SECTIONS_MAX..).unwrap_or_default(), layout);
    if !layout.only_failed {
        list(&mut out, "What did not fail", &others, layout);
    }
    clocks(&mut out, analysis);
    inputs(&mut out, analysis);
    notes(&mut out, analysis);
    if let Some(naming) = naming(analysis) {
        let _ = writeln!(out, "\n{}.", own(&naming));
    }
    out
}

/// Many failures are counted by kind first.
fn kinds_table(out: &mut String, failed: &[&Told<'_>]) {
    if failed.len() <= KINDS_FROM {
        return;
    }
    out.push_str("| failed | cause | at |\n|---:|---|---|\n");
    let kinds = kinds(failed.iter().copied());
    for kind in kinds.iter().take(LISTED_MAX) {
        let step = kind.step.map_or("an unknown step", Step::title);
        row(out, &[&kind.count().to_string(), kind.cause(), step]);
    }
    more(out, kinds.len(), LISTED_MAX);
    out.push('\n');
}

fn section(out: &mut String, analysis: &Analysis, told: &Told<'_>, layout: Layout<'_>, number: usize) {
    let session = told.session;
    let happened = headline::happened_at(told.attempt.outcome, session.broke_at, told.best());
    let _ = writeln!(out, "## {number}. {happened}: {}\n", prose(&ends(session)));
    match told.best() {
        Some(best) => {
            let _ = writeln!(out, "**{}**\n", own(&headline::why(best)));
        }
        None => {
            let _ = writeln!(out, "{NO_CAUSE}\n");
        }
    }
    if let Some(contradiction) = analysis.said.and_then(|said| said.contradicted_by(session)) {
        let _ = writeln!(out, "The error box does not tell of this connection: {}.\n", prose(&contradiction));
    }
    out.push_str("| | |\n|---|---|\n");
    if told.best().is_some() {
        row(out, &["how sure", &how_sure(told.verdicts)]);
    }
    let took = spoken(session.lasted_ns());
    row(out, &["when", &format!("{}, lasted {took}", layout.zone.shown(session.start))]);
    if let Some(user) = user(session) {
        row(out, &["user", &user]);
    }
    row(out, &["steps", &ladder(session)]);
    row(out, &["session", &session.id]);
    if told.attempt.sessions.len() > 1 {
        row(
            out,
            &["tried", &format!("{}, this one tells most", some(told.attempt.sessions.len(), "connection"))],
        );
    }
    for differs in &told.attempt.differs {
        row(out, &["differs", differs]);
    }
    out.push('\n');
    if let Some(best) = told.best() {
        proofs(out, analysis, "Evidence", &best.weighing.proofs, layout);
        proofs(out, analysis, "Against it", &best.weighing.against, layout);
    }
    missing(out, analysis, told);
    if let Some(best) = told.best() {
        let _ = writeln!(out, "What to do:\n\n{}", fenced(&headline::to_do(best)));
    }
    let shown = filter(session);
    if !shown.is_empty() {
        let _ = writeln!(out, "Wireshark:\n\n{}", fenced(&shown));
    }
    if let Some(command) = slice::command(analysis, told.session) {
        let _ = writeln!(out, "The packets of this connection alone:\n\n{}", fenced(&command));
    }
    let proofs = told.best().map_or(&[][..], |best| best.weighing.proofs.as_slice());
    for (index, query) in query::of_proofs(analysis, proofs).iter().enumerate() {
        let _ = writeln!(out, "{}{}", if index == 0 { "Records:\n\n" } else { "" }, fenced(query));
    }
    if layout.verbose {
        timeline(out, analysis, told, layout);
    }
}

fn proofs(out: &mut String, analysis: &Analysis, title: &str, proofs: &[Seen], layout: Layout<'_>) {
    if proofs.is_empty() {
        return;
    }
    let _ = writeln!(out, "| {title} | where | when |\n|---|---|---|");
    for proof in proofs.iter().take(PROOFS_MAX) {
        let read = match proof.reading() {
            Reading::Clear => "",
            Reading::Opened => ", decrypted",
            Reading::Inferred => ", told by size and position",
        };
        let place = format!("{}{read}", where_seen(analysis, proof.place()));
        row(out, &[&words::says(proof.what()), &place, &layout.zone.shown(proof.at)]);
    }
    more(out, proofs.len(), PROOFS_MAX);
    out.push('\n');
}

fn missing(out: &mut String, analysis: &Analysis, told: &Told<'_>) {
    let missing: Vec<_> = match told.best() {
        Some(best) => best.missing(&analysis.witnesses).collect(),
        None => diagnosis::witnesses_absent(told.session).into_iter().map(Cow::Borrowed).collect(),
    };
    if missing.is_empty() {
        return;
    }
    out.push_str("Not seen, and would tell more:\n\n");
    for one in missing.iter().take(MISSING_MAX) {
        let _ = writeln!(out, "- {}", own(one));
    }
    out.push('\n');
}

fn timeline(out: &mut String, analysis: &Analysis, told: &Told<'_>, layout: Layout<'_>) {
    out.push_str("| Timeline | step | what | where |\n|---|---|---|---|\n");
    let all: Vec<_> = entries(analysis, told.session).collect();
    for entry in all.iter().take(TIMELINE_MAX) {
        let (seen, step) = (entry.seen, entry.step.map_or("", Step::name));
        let place = where_seen(analysis, seen.place());
        let says = words::says_of(analysis, told.session, seen);
        row(out, &[&layout.zone.shown(seen.at), step, &says, &place]);
    }
    more(out, all.len(), TIMELINE_MAX);
    out.push('\n');
}

fn list(out: &mut String, title: &str, all: &[&Told<'_>], layout: Layout<'_>) {
    if all.is_empty() {
        return;
    }
    let _ = writeln!(out, "## {title}\n\n| when | outcome | from and to | cause |\n|---|---|---|---|");
    for told in all.iter().take(LISTED_MAX) {
        let cause = told.best().map_or("", |best| best.rule.id);
        let (session, outcome) = (told.session, told.attempt.outcome.name());
        row(out, &[&layout.zone.shown(session.start), outcome, &ends(session), cause]);
    }
    more(out, all.len(), LISTED_MAX);
    out.push('\n');
}

/// A row that counts what the table does not have.
fn more(out: &mut String, all: usize, most: usize) {
    if let Some(more) = all.checked_sub(most).filter(|more| *more > 0) {
        row(out, &[&format!("and {more} more")]);
    }
}

fn clocks(out: &mut String, analysis: &Analysis) {
    let off = analysis.story.clocks.iter().filter(|clock| clock.pairs > 0 && clock.offset_ns.is_some());
    let lines: Vec<String> = off
        .filter_map(|clock| {
            let witness = analysis.witnesses.get(usize::try_from(clock.witness_index).ok()?)?;
            let words = clock_words(analysis, clock.witness_index);
            Some(format!("- {}: {}", prose(&witness.name), prose(&words)))
        })
        .collect();
    if !lines.is_empty() {
        let _ = writeln!(out, "## Clocks\n\n{}\n", lines.join("\n"));
    }
}

fn inputs(out: &mut String, analysis: &Analysis) {
    let all = &analysis.inventory.inputs;
    let hashed = all.iter().any(|input| input.sha256.is_some());
    let (title, line) = if hashed { (" SHA-256 |", "---|") } else { ("", "") };
    let _ = writeln!(out, "## Inputs\n\n| path | kind | bytes |{title}\n|---|---|---:|{line}");
    for input in all.iter().take(LISTED_MAX) {
        let (kind, bytes) = (input.kind.name(), input.bytes.to_string());
        let mut cells = vec![input.shown.as_str(), kind, &bytes];
        cells.extend(hashed.then_some(input.sha256.as_deref().unwrap_or("")));
        row(out, &cells);
    }
    more(out, all.len(), LISTED_MAX);
    out.push('\n');
}

fn notes(out: &mut String, analysis: &Analysis) {
    if analysis.notes.is_empty() {
        return;
    }
    out.push_str("## What was lost or left out\n\n");
    for note in analysis.notes.iter().take(NOTES_MAX) {
        let place = where_seen(analysis, note.place);
        let _ = writeln!(out, "- {}: {}", prose(&place), prose(&note.text));
    }
    if let Some(more) = analysis.notes.len().checked_sub(NOTES_MAX).filter(|more| *more > 0) {
        let _ = writeln!(out, "- and {more} more");
    }
    out.push('\n');
}

fn row(out: &mut String, cells: &[&str]) {
    let cells: Vec<String> = cells.iter().map(|cell| prose(cell)).collect();
    let _ = writeln!(out, "| {} |", cells.join(" | "));
}

/// Text that stays text: what steers a reader is escaped as `\u{..}`, what is markup behind a backslash or as an entity,
/// so that neither Markdown nor HTML, links or tables come of it; an `@`, which calls people in a ticket, becomes code.
#[must_use]
pub fn prose(text: &str) -> String {
    let mut out = String::new();
    let text = escaped(text.trim());
    for (at, c) in text.char_indices() {
        let (before, behind) = text.split_at_checked(at).unwrap_or_default();
        match c {
            '<' => out.push_str("&lt;"),
            '&' => out.push_str("&amp;"),
            '@' => out.push_str("`@`"),
            // `http://` and `www.` become links by themselves, `- ` and `1. ` lists.
            '/' if before.ends_with(":/") || before.ends_with(':') => out.push_str("\\/"),
            '.' if is_web(before) || (is_number(before) && behind.starts_with(". ")) => out.push_str("\\."),
            ')' if is_number(before) => out.push_str("\\)"),
            '-' | '+' | '=' | '>' | '#' if before.is_empty() => out.extend(['\\', c]),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '$' => out.extend(['\\', c]),
            _ => out.push(c),
        }
    }
    out
}

fn is_web(before: &str) -> bool {
    before
        .len()
        .checked_sub(3)
        .and_then(|at| before.get(at..))
        .is_some_and(|end| end.eq_ignore_ascii_case("www"))
}

fn is_number(before: &str) -> bool {
    !before.is_empty() && before.bytes().all(|byte| byte.is_ascii_digit())
}

/// Words of our own, in which commands stand between backticks.
fn own(text: &str) -> String {
    let part = |(index, part): (usize, &str)| match index % 2 {
        0 => {
            let end = if part.ends_with(' ') { " " } else { "" };
            let start = if part.starts_with(' ') { " " } else { "" };
            if part.trim().is_empty() { start.to_owned() } else { format!("{start}{}{end}", prose(part)) }
        }
        _ => format!("`{}`", part.replace('|', "\\|")),
    };
    if text.matches('`').count() % 2 == 1 {
        return prose(text);
    }
    text.split('`').enumerate().map(part).collect()
}

/// A block of code; its fence is longer than any in the text.
#[must_use]
pub fn fenced(text: &str) -> String {
    let text = escaped(text);
    let (mut longest, mut run) = (0, 0);
    for c in text.chars() {
        run = if c == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    let fence = "`".repeat(3.max(longest + 1));
    format!("{fence}text\n{text}\n{fence}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_becomes_no_markup() {
        assert_eq!(prose("a|b`c`*d*_e_"), "a\\|b\\`c\\`\\*d\\*\\_e\\_");
        assert_eq!(prose("<script>&lt;"), "&lt;script>&amp;lt;");
        assert_eq!(prose("[x](http://y)"), "\\[x\\](http:\\/\\/y)");
        assert_eq!(prose("@all www.x.y"), "`@`all www\\.x.y");
        assert_eq!(prose("a\nb\u{202e}"), "a\\\\u{a}b\\\\u{202e}");
        assert_eq!(prose("  - x"), "\\- x");
        assert_eq!(prose("1. x"), "1\\. x");
        assert_eq!(prose("1) x -> # > y"), "1\\) x -> # > y");
        assert_eq!(prose("> x"), "\\> x");
        assert_eq!(own("see `a|b <c>` (x_y)"), "see `a\\|b <c>` (x\\_y)");
        assert_eq!(prose("198.51.100.10:3389"), "198.51.100.10:3389");
    }

    #[test]
    fn a_fence_is_longer_than_any_inside() {
        assert_eq!(fenced("a"), "```text\na\n```\n");
        assert_eq!(fenced("a ```` b"), "`````text\na ```` b\n`````\n");
    }
}
