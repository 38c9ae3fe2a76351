//! Which record ids were seen, as runs, and the holes between them.

/// Runs kept; a log whose ids are more scattered than this is damaged beyond counting.
const RUNS_MAX: usize = 1 << 16;
/// Holes that are named one by one.
const NAMED_MAX: usize = 16;

/// Ids as runs of consecutive ones.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Runs {
    runs: Vec<(u64, u64)>,
}

/// Ids that nobody saw.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Holes {
    /// How many holes.
    pub(super) count: u64,
    /// How many ids are missing in all of them.
    pub(super) records: u64,
    /// The first holes, from and to.
    pub(super) named: Vec<(u64, u64)>,
}

impl Holes {
    fn add(&mut self, from: u64, to: u64) {
        self.count += 1;
        self.records = self.records.saturating_add((to - from).saturating_add(1));
        if self.named.len() < NAMED_MAX {
            self.named.push((from, to));
        }
    }

    /// The holes as `5-9, 12, ...`.
    pub(super) fn words(&self) -> String {
        words(&self.named, self.count)
    }
}

/// The first ranges as `5-9, 12, ...`, of `count`.
fn words(named: &[(u64, u64)], count: u64) -> String {
    let word = |(from, to): &(u64, u64)| match from == to {
        true => from.to_string(),
        false => format!("{from}-{to}"),
    };
    let mut words: Vec<String> = named.iter().take(NAMED_MAX).map(word).collect();
    if u64::try_from(words.len()).unwrap_or(0) < count {
        words.push("...".to_owned());
    }
    words.join(", ")
}

impl Runs {
    /// The ids as `5-9, 12, ...`.
    pub(super) fn words(&mut self) -> String {
        self.runs.sort_unstable();
        words(&self.runs, u64::try_from(self.runs.len()).unwrap_or(u64::MAX))
    }

    /// Those from `low` to `high`.
    pub(super) fn within(&self, low: u64, high: u64) -> Self {
        let cut = |(from, to): &(u64, u64)| ((*from).max(low), (*to).min(high));
        Self { runs: self.runs.iter().map(cut).filter(|(from, to)| from <= to).collect() }
    }

    pub(super) fn add(&mut self, id: u64) {
        self.add_run(id, id);
    }

    fn add_run(&mut self, from: u64, to: u64) {
        let room = self.runs.len() < RUNS_MAX;
        match self.runs.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(from) => *last = to,
            _ if room => self.runs.push((from, to)),
            _ => {}
        }
    }

    pub(super) fn merge(&mut self, other: Self) {
        for (from, to) in other.runs {
            self.add_run(from, to);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// The highest id.
    pub(super) fn last(&self) -> Option<u64> {
        self.runs.iter().map(|(_, to)| *to).max()
    }

    /// The holes between the runs, and from `low` and up to `high` where those lie outside of them.
    pub(super) fn holes(&mut self, low: Option<u64>, high: Option<u64>) -> Holes {
        let mut holes = Holes::default();
        self.runs.sort_unstable();
        let mut next = low;
        for (from, to) in &self.runs {
            match next {
                Some(expected) if expected < *from => holes.add(expected, from - 1),
                _ => {}
            }
            let Some(after) = to.checked_add(1) else { return holes };
            next = next.max(Some(after));
        }
        if let (Some(next), Some(high)) = (next, high)
            && next <= high
        {
            holes.add(next, high);
        }
        holes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holes(ids: &[u64], low: Option<u64>, high: Option<u64>) -> (u64, u64, String) {
        let mut runs = Runs::default();
        ids.iter().for_each(|id| runs.add(*id));
        let holes = runs.holes(low, high);
        (holes.count, holes.records, holes.words())
    }

    #[test]
    fn holes_lie_between_runs_and_up_to_what_the_headers_promise() {
        assert_eq!(holes(&[5, 6, 1, 2, 9], None, None), (2, 4, "3-4, 7-8".to_owned()));
        assert_eq!(holes(&[5, 6], Some(4), Some(9)), (2, 4, "4, 7-9".to_owned()));
        assert_eq!(holes(&[5, 6, 5, 7], None, Some(6)), (0, 0, String::new()));
        assert_eq!(holes(&[], Some(1), Some(733)), (1, 733, "1-733".to_owned()));
        assert_eq!(holes(&[], None, Some(733)), (0, 0, String::new()));
    }

    #[test]
    fn the_ends_of_the_number_range_do_no_harm() {
        assert_eq!(holes(&[1, u64::MAX], Some(0), Some(u64::MAX)).1, u64::MAX - 1);
        let many: Vec<u64> = (1..40).map(|id| id * 2).collect();
        assert!(holes(&many, None, None).2.ends_with("..."));
    }
}
