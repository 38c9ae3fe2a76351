//! Verdicts into words and data: one file per format. Nothing is printed outside of here and the command line.

pub mod safe;
pub mod words;
pub mod sources;
pub mod text;
pub mod json;
pub mod jsonl;
pub mod explained;
pub mod held;
pub mod query;
pub mod slice;

use crate::analysis::Analysis;
use crate::diagnosis::Verdict;
use crate::note::Place;
use crate::session::{Attempt, Session};

/// An attempt with its deciding session and best cause, as every format shows it.
#[derive(Debug, Clone, Copy)]
pub struct Told<'a> {
    /// The attempt.
    pub attempt: &'a Attempt,
    /// Its deciding session.
    pub session: &'a Session,
    /// The causes of that session.
    pub verdicts: &'a [Verdict],
}

impl Told<'_> {
    /// The best cause, when something failed.
    #[must_use]
    pub fn best(&self) -> Option<&Verdict> {
        self.attempt.outcome.is_failure().then(|| self.verdicts.first()).flatten()
    }
}

/// Every attempt, in order of time.
#[must_use]
pub fn told(analysis: &Analysis) -> Vec<Told<'_>> {
    let tell = |attempt| {
        let attempt: &Attempt = attempt;
        let session = analysis.story.sessions.get(attempt.decisive)?;
        let verdicts = analysis.verdicts.get(attempt.decisive)?;
        Some(Told { attempt, session, verdicts })
    };
    analysis.story.attempts.iter().filter_map(tell).collect()
}

/// The path of an input as it is shown.
#[must_use]
pub fn input_name(analysis: &Analysis, place: Place) -> &str {
    let index = usize::try_from(place.input_index).unwrap_or(usize::MAX);
    analysis.inventory.inputs.get(index).map_or("", |input| input.shown.as_str())
}
