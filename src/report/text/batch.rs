//! Many failures at once: what failed how often, the most frequent first, and one of each kind told in full.

use std::collections::{BTreeMap, BTreeSet};

use super::paint::{Layout, Paint, columns};
use super::{line, server_end, some};
use crate::report::Told;
use crate::report::safe::printable;
use crate::step::Step;
use crate::time::UnixNanos;

/// More failures than this are summed up by cause and step.
pub(super) const TOLD_MAX: usize = 10;
/// Kinds that are shown.
const KINDS_MAX: usize = 20;
/// Servers and users that are named of one kind.
const NAMES_MAX: usize = 3;

/// Failures with the same cause at the same step.
pub(super) struct Kind<'t, 'a> {
    /// Cause id, or what stands for none.
    cause: &'static str,
    step: Option<Step>,
    /// In order of time.
    attempts: Vec<&'t Told<'a>>,
}

impl<'t, 'a> Kind<'t, 'a> {
    /// The one that is surest, the first of them in time.
    pub(super) fn example(&self) -> Option<&'t Told<'a>> {
        let sure = |told: &&&Told<'_>| told.best().map_or(0, |best| best.weighing.percent);
        self.attempts.iter().rev().max_by_key(sure).copied()
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.attempts.len()
    }
}

/// The failures by kind, the most frequent first.
pub(super) fn kinds<'t, 'a>(failed: &[&'t Told<'a>]) -> Vec<Kind<'t, 'a>> {
    let mut kinds: BTreeMap<(&'static str, Option<Step>), Vec<&'t Told<'a>>> = BTreeMap::new();
    for told in failed {
        let cause = told.best().map_or("no cause told", |best| best.rule.id);
        kinds.entry((cause, told.session.broke_at)).or_default().push(told);
    }
    let kinds = kinds.into_iter().map(|((cause, step), attempts)| Kind { cause, step, attempts });
    let mut kinds: Vec<_> = kinds.collect();
    kinds.sort_by_key(|kind| std::cmp::Reverse(kind.count()));
    kinds.truncate(KINDS_MAX);
    kinds
}

/// One line for each kind.
pub(super) fn overview(out: &mut String, failed: &[&Told<'_>], kinds: &[Kind<'_, '_>], layout: Layout<'_>) {
    let heading =
        format!("{} FAILED, by cause; of each the surest is told below", some(failed.len(), "attempt"));
    line(out, &layout.paint(Paint::Failure, &heading));
    let width = kinds.iter().map(|kind| columns(kind.cause)).max().unwrap_or(0);
    for kind in kinds {
        let count = kind.count();
        let step = kind.step.map_or("an unknown step", Step::title);
        let servers = names(kind.attempts.iter().map(|told| server_end(told.session)));
        let users =
            names(kind.attempts.iter().filter_map(|told| told.session.user_name().map(str::to_owned)));
        let users = if users.is_empty() { String::new() } else { format!(", as {users}") };
        let cause = layout.paint(Paint::Strong, &format!("{:<width$}", kind.cause));
        line(out, &format!("  {count:>6} x {cause} at {step}: {servers}{users}; {}", span(kind, layout)));
    }
    let told: usize = kinds.iter().map(Kind::count).sum();
    if let Some(more) = failed.len().checked_sub(told).filter(|more| *more > 0) {
        line(out, &format!("  {more:>6} x of rarer kinds"));
    }
    line(out, "each one stands in JSON and with -v");
    out.push('\n');
}

fn span(kind: &Kind<'_, '_>, layout: Layout<'_>) -> String {
    let starts = || kind.attempts.iter().map(|told| told.session.start);
    let first = starts().min().unwrap_or(UnixNanos(0));
    match starts().max() {
        Some(last) if last != first => format!("{} to {}", layout.zone.shown(first), layout.zone.shown(last)),
        _ => layout.zone.shown(first),
    }
}

/// The first few names, and how many more there are.
fn names(all: impl Iterator<Item = String>) -> String {
    let all: BTreeSet<String> = all.collect();
    let shown: Vec<_> = all.iter().take(NAMES_MAX).map(|name| printable(name)).collect();
    let more = all.len().saturating_sub(NAMES_MAX);
    if more == 0 { shown.join(", ") } else { format!("{} and {more} more", shown.join(", ")) }
}
