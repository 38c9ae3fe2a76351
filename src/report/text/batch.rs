//! Many failures at once: what failed how often, the most frequent first, and one of each kind told in full.

use std::collections::BTreeSet;

use super::paint::{Layout, Paint, columns, wrapped};
use super::{hanging, line, paragraph, server_end, some};
use crate::report::kinds::{Kind, of_kinds};
use crate::report::safe::printable;
use crate::step::Step;

/// More failures than this are summed up by cause and step.
pub(super) const TOLD_MAX: usize = 10;
/// Kinds that are shown.
const KINDS_MAX: usize = 20;
/// Servers and users that are named of one kind.
const NAMES_MAX: usize = 3;

/// Columns in front of a cause: margin, count and the sign behind it.
const BEFORE_CAUSE: usize = 11;

/// With less room beside a cause than this, its text stands below.
const BESIDE_MIN: usize = 24;

/// One line for each kind; with `-v` of all of them.
pub(super) fn overview(out: &mut String, failed: usize, kinds: &[Kind<'_, '_>], layout: Layout<'_>) {
    let shown = if layout.verbose { kinds } else { shown(kinds) };
    let below = match (layout.verbose, kinds.len() - shown.len()) {
        (true, _) => "each attempt below".to_owned(),
        (false, 0) => "the surest of each below".to_owned(),
        (false, _) => format!("the surest of the first {} below", shown.len()),
    };
    let (failed, of_kinds) = (some(failed, "attempt"), of_kinds(kinds.len()));
    let heading = format!("{failed} FAILED: {of_kinds} (a cause at a step), {below}");
    paragraph(out, layout, &heading, Some(Paint::Failure));
    let width = shown.iter().map(|kind| columns(kind.cause())).max().unwrap_or(0);
    for kind in shown {
        let step = kind.step.map_or("an unknown step", Step::title);
        let servers = names(kind.attempts.iter().map(|told| server_end(told.session)));
        let users =
            names(kind.attempts.iter().filter_map(|told| told.session.user_name().map(str::to_owned)));
        let users = if users.is_empty() { String::new() } else { format!(", as {users}") };
        let padding = " ".repeat(width.saturating_sub(columns(kind.cause())));
        let first =
            format!("  {:>6} x {}{padding} ", kind.count(), layout.paint(Paint::Strong, kind.cause()));
        let text = format!("at {step}: {servers}{users}; {}", span(kind, layout));
        let room = layout.columns().saturating_sub(BEFORE_CAUSE + width + 1);
        if room < BESIDE_MIN {
            line(out, first.trim_end());
            hanging(out, layout, &" ".repeat(BEFORE_CAUSE), &text);
            continue;
        }
        for (index, part) in wrapped(&text, room).iter().enumerate() {
            let before = if index == 0 { first.clone() } else { " ".repeat(BEFORE_CAUSE + width + 1) };
            line(out, &format!("{before}{part}"));
        }
    }
    let rest = kinds.get(shown.len()..).unwrap_or_default();
    if !rest.is_empty() {
        let attempts: usize = rest.iter().map(Kind::count).sum();
        line(out, &format!("  {attempts:>6} more of {}, which -v lists", some(rest.len(), "rarer kind")));
    }
    if !layout.verbose {
        line(out, "-v tells each attempt; so do html and json");
    }
    out.push('\n');
}

/// The kinds that are shown where not all are asked for.
pub(super) fn shown<'k, 't, 'a>(kinds: &'k [Kind<'t, 'a>]) -> &'k [Kind<'t, 'a>] {
    kinds.get(..KINDS_MAX).unwrap_or(kinds)
}

fn span(kind: &Kind<'_, '_>, layout: Layout<'_>) -> String {
    let starts = || kind.attempts.iter().map(|told| told.session.start);
    let (first, last) = (starts().min().unwrap_or_default(), starts().max().unwrap_or_default());
    layout.zone.span(first, last)
}

/// The first few names, and how many more there are.
fn names(all: impl Iterator<Item = String>) -> String {
    let all: BTreeSet<String> = all.collect();
    let shown: Vec<_> = all.iter().take(NAMES_MAX).map(|name| printable(name)).collect();
    let more = all.len().saturating_sub(NAMES_MAX);
    if more == 0 { shown.join(", ") } else { format!("{} and {more} more", shown.join(", ")) }
}
