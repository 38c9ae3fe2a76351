//! Failures by kind, a kind being a cause at a step: what every format for people counts.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::Told;
use super::headline::why_of;
use super::sources::Source;
use super::text::some;
use crate::diagnosis::Rule;
use crate::step::Step;

/// Failures with the same cause at the same step.
pub(super) struct Kind<'t, 'a> {
    /// The cause; none where the evidence does not tell.
    pub(super) rule: Option<&'static Rule>,
    /// Where they broke.
    pub(super) step: Option<Step>,
    /// In order of time.
    pub(super) attempts: Vec<&'t Told<'a>>,
}

impl<'t, 'a> Kind<'t, 'a> {
    /// The id of the cause, or what stands for none.
    pub(super) fn cause(&self) -> &'static str {
        self.rule.map_or("no cause told", |rule| rule.id)
    }

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
pub(super) fn kinds<'t, 'a>(failed: impl Iterator<Item = &'t Told<'a>>) -> Vec<Kind<'t, 'a>>
where
    'a: 't,
{
    let mut kinds: BTreeMap<(&'static str, Option<Step>), Kind<'t, 'a>> = BTreeMap::new();
    for told in failed {
        let rule = told.best().map(|best| best.rule);
        let step = told.session.broke_at;
        let empty = || Kind { rule, step, attempts: Vec::new() };
        kinds.entry((rule.map_or("", |rule| rule.id), step)).or_insert_with(empty).attempts.push(told);
    }
    let mut kinds: Vec<_> = kinds.into_values().collect();
    kinds.sort_by_key(|kind| Reverse(kind.count()));
    kinds
}

/// How many of all attempts failed, and of how many kinds these failures are. What only guesses or scans is counted by
/// itself. `left_out` are the attempts that nobody asked for.
pub(super) fn overall(told: &[Told<'_>], sources: &[Source], left_out: usize) -> String {
    let guesses: BTreeSet<usize> = sources.iter().flat_map(|source| &source.attempts).copied().collect();
    let failed = || told.iter().enumerate().filter(|(_, one)| one.attempt.outcome.is_failure());
    let (all, count) = (told.len(), failed().count());
    let kinds = kinds(failed().filter(|(index, _)| !guesses.contains(index)).map(|(_, one)| one));
    let who = match (all, count) {
        (0, _) if left_out > 0 => {
            return format!("Nothing is as asked for, among {}", some(left_out, "attempt"));
        }
        (0, _) => return "No RDP connection in this evidence".to_owned(),
        (1, 0) => return "The attempt did not fail".to_owned(),
        (all, 0) => return format!("None of {all} attempts failed"),
        (1, _) => match failed().next().map(|(_, one)| one) {
            Some(one) if one.is_ended() => "The session was ended".to_owned(),
            _ => "The attempt failed".to_owned(),
        },
        _ => format!("{count} of {all} attempts failed"),
    };
    match (kinds.as_slice(), guesses.len()) {
        ([], _) => format!("{who}, all from sources that only guess or scan"),
        ([only], 0) => {
            let step = only.step.map_or("an unknown step", Step::title);
            let why = only.example().map_or_else(|| NO_CAUSE.to_owned(), why_of);
            format!("{who} at {step}: {why}")
        }
        (kinds, 0) => format!("{who}: {}", of_kinds(kinds.len())),
        (kinds, guesses) => {
            let others = count.saturating_sub(guesses);
            format!("{who}: {guesses} by guessing or scanning, {others} others: {}", of_kinds(kinds.len()))
        }
    }
}

/// What stands for a cause where there is none.
pub(super) const NO_CAUSE: &str = "the evidence shows where it broke and does not tell why";

/// `33 kinds of failure`.
pub(super) fn of_kinds(count: usize) -> String {
    if count == 1 { "1 kind of failure".to_owned() } else { format!("{count} kinds of failure") }
}
