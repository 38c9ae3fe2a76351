//! Rotated and archived logs, shadow copies, exports and forwarded events hold the same records: each counts once.

use std::collections::BTreeMap;

use hashbrown::HashMap;

use crate::fact::{Fact, Subject};
use crate::note::{Note, Spot};
use crate::read::Counts;

/// Facts with the same host, record id and time, by index; almost always one.
type Known = HashMap<(u64, i64), Vec<usize>, foldhash::fast::FixedState>;

/// Lets go of facts that an earlier one says too: by host, record id, time, keys and content. Earlier is what stands first
/// in `facts`, that is, in the first input by its path.
pub(super) fn drop_repeated(facts: &mut Vec<Fact>, counts: &mut [Option<Counts>], notes: &mut Vec<Note>) {
    let repeated = repeated(facts);
    if repeated.is_empty() {
        return;
    }
    let mut of_input: BTreeMap<u32, u64> = BTreeMap::new();
    let mut next = repeated.iter().peekable();
    let mut index = 0;
    facts.retain(|fact| {
        let is_repeated = next.next_if(|repeated| **repeated == index).is_some();
        index += 1;
        if is_repeated {
            *of_input.entry(fact.place.input_index).or_default() += 1;
        }
        !is_repeated
    });
    for (input_index, records) in of_input {
        let held = usize::try_from(input_index).ok().and_then(|index| counts.get_mut(index));
        if let Some(Some(Counts::Log(held))) = held {
            held.records_repeated = records;
        }
        notes.push(Note::records_repeated(input_index, records));
    }
}

/// Indices of facts that an earlier one says too, in order.
fn repeated(facts: &[Fact]) -> Vec<usize> {
    let mut known = Known::default();
    let mut repeated = Vec::new();
    for (index, fact) in facts.iter().enumerate() {
        let (Subject::Record(_), Spot::Record(id)) = (&fact.subject, fact.place.spot) else { continue };
        let same = known.entry((id, fact.at.0)).or_default();
        if same.iter().filter_map(|index| facts.get(*index)).any(|other| is_same(other, fact)) {
            repeated.push(index);
        } else {
            same.push(index);
        }
    }
    repeated
}

fn is_same(a: &Fact, b: &Fact) -> bool {
    a.subject == b.subject && a.what == b.what
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::fact::{Keys, Reading, What};
    use crate::note::Place;
    use crate::read::LogCounts;
    use crate::time::UnixNanos;

    fn fact(input_index: u32, host: &str, id: u64, at: i64, local: bool) -> Fact {
        Fact {
            at: UnixNanos(at),
            place: Place { input_index, spot: Spot::Record(id) },
            subject: Subject::Record(Arc::new(Keys { host: host.to_owned(), ..Keys::default() })),
            reading: Reading::Clear,
            what: What::SessionLogon { local },
        }
    }

    #[test]
    fn the_first_copy_stays_and_others_are_counted_by_their_input() {
        let mut facts = vec![
            fact(0, "a", 1, 5, false),
            fact(0, "a", 2, 6, false),
            fact(1, "a", 1, 5, false),
            fact(1, "b", 1, 5, false),
            fact(1, "a", 1, 5, true),
            fact(1, "a", 1, 7, false),
            fact(2, "a", 2, 6, false),
            fact(2, "a", 1, 5, false),
        ];
        let mut counts = vec![Some(Counts::Log(LogCounts::default())); 3];
        let mut notes = Vec::new();
        drop_repeated(&mut facts, &mut counts, &mut notes);
        let left: Vec<(u32, i64)> = facts.iter().map(|f| (f.place.input_index, f.at.0)).collect();
        assert_eq!(left, [(0, 5), (0, 6), (1, 5), (1, 5), (1, 7)]);
        let repeated = counts.iter().map(|counts| match counts {
            Some(Counts::Log(held)) => held.records_repeated,
            _ => 0,
        });
        assert_eq!(repeated.collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(notes, [Note::records_repeated(1, 1), Note::records_repeated(2, 2)]);
    }
}
