//! What is there instead, where nothing is as asked for.

use std::collections::BTreeMap;

use super::Analysis;
use super::selected::{Selection, client_names, server_names};
use crate::session::{Attempt, Session};
use crate::time::UnixNanos;

/// Values that are named of each filter.
const NEAR_MAX: usize = 4;
/// Characters of a name that are compared.
const COMPARED_MAX: usize = 64;

/// A selection that fits no attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unmatched {
    /// The filters that were given.
    pub filters: Vec<Filter>,
}

/// One filter of a selection that fits nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// The option of the command line, without dashes.
    pub option: &'static str,
    /// What was asked for, where it may be shown.
    pub asked: Option<String>,
    /// Attempts that fit it, when it is given alone.
    pub fits: usize,
    /// What there is, the nearest first.
    pub near: Near,
    /// How many more there are.
    pub more: usize,
}

/// Values that a filter can be given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Near {
    /// Names and addresses.
    Names(Vec<String>),
    /// When attempts began.
    Times(Vec<UnixNanos>),
}

impl Unmatched {
    /// What there is of each filter that was given. `real` makes real names of those of the sessions; `shows` tells whether
    /// what was asked for may be shown.
    pub(super) fn of(
        analysis: &Analysis,
        selection: &Selection,
        real: &dyn Fn(&str) -> String,
        shows: bool,
    ) -> Self {
        let one = Of { analysis, real, shows };
        let none = Selection::default;
        let at = selection.at.map(|at| one.times(at.0, &Selection { at: Some(at), ..none() }));
        let named = |option, asked: &Option<String>, alone: Selection, names: Names| {
            asked.as_ref().map(|asked| one.names(option, asked, &alone, names))
        };
        let client = Selection { client: selection.client.clone(), ..none() };
        let server = Selection { server: selection.server.clone(), ..none() };
        let user = Selection { user: selection.user.clone(), ..none() };
        let filters = [
            at,
            named("client", &selection.client, client, client_names),
            named("server", &selection.server, server, server_names),
            named("user", &selection.user, user, |session| {
                session.user_name().map(str::to_owned).into_iter().collect()
            }),
        ];
        Self { filters: filters.into_iter().flatten().collect() }
    }
}

type Names = fn(&Session) -> Vec<String>;

struct Of<'a> {
    analysis: &'a Analysis,
    real: &'a dyn Fn(&str) -> String,
    shows: bool,
}

impl Of<'_> {
    fn sessions<'s>(&'s self, attempt: &'s Attempt) -> Vec<&'s Session> {
        attempt.sessions.iter().filter_map(|index| self.analysis.story.sessions.get(*index)).collect()
    }

    fn fits(&self, alone: &Selection) -> usize {
        let attempts = self.analysis.story.attempts.iter();
        attempts.filter(|attempt| alone.wants(&self.sessions(attempt), self.real)).count()
    }

    fn names(&self, option: &'static str, asked: &str, alone: &Selection, names: Names) -> Filter {
        let comparable = |name: &str| name.chars().take(COMPARED_MAX).collect::<String>().to_lowercase();
        let wanted = comparable(asked.rsplit('\\').next().unwrap_or(asked));
        let mut known: BTreeMap<String, usize> = BTreeMap::new();
        for name in self.analysis.story.sessions.iter().flat_map(names) {
            let far = || strsim::damerau_levenshtein(&wanted, &comparable(&(self.real)(&name)));
            known.entry(name.clone()).or_insert_with(far);
        }
        let mut near: Vec<(usize, String)> = known.into_iter().map(|(name, far)| (far, name)).collect();
        near.sort();
        let more = near.len().saturating_sub(NEAR_MAX);
        let near = near.into_iter().take(NEAR_MAX).map(|(_, name)| name).collect();
        let asked = self.shows.then(|| asked.to_owned());
        Filter { option, asked, fits: self.fits(alone), near: Near::Names(near), more }
    }

    fn times(&self, asked: UnixNanos, alone: &Selection) -> Filter {
        let decisive = |attempt: &Attempt| Some(self.analysis.story.sessions.get(attempt.decisive)?.start);
        let mut times: Vec<UnixNanos> = self.analysis.story.attempts.iter().filter_map(decisive).collect();
        times.sort_by_key(|time| (time.since(asked).unsigned_abs(), *time));
        let more = times.len().saturating_sub(NEAR_MAX);
        times.truncate(NEAR_MAX);
        let shown = self.shows.then(|| asked.to_string());
        Filter { option: "at", asked: shown, fits: self.fits(alone), near: Near::Times(times), more }
    }
}
