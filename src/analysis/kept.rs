//! The facts of one run while they are read: never more than a limit, and whoever reads first, those that come first in
//! the order of the readings.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::fact::Fact;
use crate::note::Note;

/// Facts left out, by the input that tells them.
pub(super) type Cut = BTreeMap<u32, u64>;

/// Facts of all readings.
pub(super) struct Kept {
    most: usize,
    state: Mutex<State>,
}

struct State {
    /// By reading.
    facts: Vec<Vec<Fact>>,
    count: usize,
    cut: Cut,
}

impl Kept {
    /// Keeps at most so many facts of so many readings.
    pub(super) fn new(readings: usize, most: usize) -> Self {
        let facts = (0..readings).map(|_| Vec::new()).collect();
        Self { most, state: Mutex::new(State { facts, count: 0, cut: Cut::new() }) }
    }

    /// Takes the next facts of a reading. What is too much is let go from the end: what comes before it only grows, so
    /// that nothing is let go that would have stayed.
    pub(super) fn take(&self, reading: usize, facts: impl IntoIterator<Item = Fact>) {
        let mut state = self.state();
        for fact in facts {
            let Some(known) = state.facts.get_mut(reading) else { return };
            known.push(fact);
            state.count += 1;
            if state.count > self.most {
                state.drop_last();
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The facts in the order of the readings, and what was left out.
    pub(super) fn finish(self) -> (Vec<Fact>, Cut) {
        let State { facts, cut, .. } = self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        (facts.into_iter().flatten().collect(), cut)
    }
}

impl State {
    fn drop_last(&mut self) {
        let last = self.facts.iter_mut().rev().find_map(Vec::pop);
        if let Some(fact) = last {
            *self.cut.entry(fact.place.input_index).or_default() += 1;
            self.count -= 1;
        }
    }
}

/// Keeps the first facts, and counts the others by their input.
pub(super) fn cut_to(facts: &mut Vec<Fact>, most: usize, cut: &mut Cut) {
    for fact in facts.drain(most.min(facts.len())..) {
        *cut.entry(fact.place.input_index).or_default() += 1;
    }
}

/// What is said of the facts left out.
pub(super) fn notes(cut: &Cut, most: usize) -> impl Iterator<Item = Note> {
    cut.iter().map(move |(input_index, facts)| Note::facts_over_limit(*input_index, *facts, most))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::fact::{Keys, Reading, Subject, What};
    use crate::note::{Place, Spot};
    use crate::time::UnixNanos;

    fn fact(input_index: u32, record: u64) -> Fact {
        Fact {
            at: UnixNanos(0),
            place: Place { input_index, spot: Spot::Record(record) },
            subject: Subject::Record(Arc::new(Keys::default())),
            reading: Reading::Clear,
            what: What::SessionLogon { local: false },
        }
    }

    /// Facts of three inputs, five each, taken in the order of these readings.
    fn kept(order: &[usize], most: usize) -> (Vec<(u32, u64)>, Cut, usize) {
        let kept = Kept::new(3, most);
        let mut next = [0_u64; 3];
        let mut held = 0;
        for reading in order {
            kept.take(*reading, [fact(u32::try_from(*reading).unwrap(), next[*reading])]);
            next[*reading] += 1;
            held = held.max(kept.state().facts.iter().map(Vec::len).sum());
        }
        let (facts, cut) = kept.finish();
        let places = facts.iter().map(|fact| match fact.place.spot {
            Spot::Record(id) => (fact.place.input_index, id),
            _ => unreachable!(),
        });
        (places.collect(), cut, held)
    }

    #[test]
    fn the_first_in_the_order_of_the_readings_stay_whoever_reads_first() {
        let orders: [[usize; 15]; 4] = [
            [0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2],
            [2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0],
            [0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2],
            [1, 2, 1, 1, 2, 2, 0, 2, 0, 1, 0, 0, 1, 2, 0],
        ];
        for most in 0..=15 {
            let all = (0..3).flat_map(|input| (0..5).map(move |record| (input, record)));
            let first: Vec<(u32, u64)> = all.take(most).collect();
            for order in &orders {
                let (facts, cut, held) = kept(order, most);
                assert_eq!((&facts, held), (&first, most), "{order:?}");
                let told: u64 = cut.values().sum();
                assert_eq!(told, 15 - u64::try_from(most).unwrap());
                assert_eq!(
                    cut.get(&0).copied().unwrap_or(0),
                    5_u64.saturating_sub(u64::try_from(most).unwrap())
                );
            }
        }
    }

    #[test]
    fn what_is_left_out_of_each_input_is_said() {
        let mut facts = vec![fact(0, 1), fact(0, 2), fact(3, 1), fact(3, 2), fact(4, 1)];
        let mut cut = Cut::new();
        cut_to(&mut facts, 3, &mut cut);
        cut_to(&mut facts, 9, &mut cut);
        let said: Vec<String> =
            notes(&cut, 3).map(|note| format!("{}: {}", note.place.input_index, note.text)).collect();
        assert_eq!(
            said,
            [
                "3: 1 fact of this input was left out: one run keeps 3",
                "4: 1 fact of this input was left out: one run keeps 3",
            ]
        );
    }
}
