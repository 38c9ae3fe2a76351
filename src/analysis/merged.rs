//! Facts of several runs made one: inputs in the order of their paths, and every index numbered anew.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::kept::{self, Cut};
use crate::exchange::Part;
use crate::fact::{Connection, FACTS_MAX, Fact, Subject};
use crate::note::{Note, Place};
use crate::read::{Counts, Input, Inventory, Source};

/// Everything that the parts hold, as one run would have read it.
#[derive(Default)]
pub(super) struct Merged {
    pub(super) inventory: Inventory,
    pub(super) counts: Vec<Option<Counts>>,
    pub(super) facts: Vec<Fact>,
    /// Facts left out, by input.
    pub(super) cut: Cut,
    pub(super) notes: Vec<Note>,
}

impl Merged {
    /// With what is said of the facts left out.
    pub(super) fn with_notes(mut self) -> Self {
        self.notes.extend(kept::notes(&self.cut, FACTS_MAX));
        self
    }
}

/// Makes one of all parts.
pub(super) fn merge(parts: Vec<Part>) -> Merged {
    let mut held: Vec<(Input, Option<Counts>, (usize, u32))> = Vec::new();
    let mut rest = Vec::new();
    for (part_index, part) in parts.into_iter().enumerate() {
        let Part { inputs, sources, facts, cut, notes } = part;
        held.extend((0..).zip(inputs).map(|(old, (input, counts))| (input, counts, (part_index, old))));
        rest.push((sources, facts, cut, notes));
    }
    held.sort_by(|(a, _, from_a), (b, _, from_b)| {
        (&a.shown, a.kind, a.bytes, from_a).cmp(&(&b.shown, b.kind, b.bytes, from_b))
    });
    let numbers: BTreeMap<(usize, u32), u32> = (0..).zip(&held).map(|(new, (.., old))| (*old, new)).collect();
    let number = |part: usize, old: u32| numbers.get(&(part, old)).copied().unwrap_or(old);
    let mut sources: Vec<(Vec<u32>, (usize, u32))> = Vec::new();
    for (part, (own, ..)) in rest.iter().enumerate() {
        sources.extend((0..).zip(own).map(|(old, source)| {
            (source.inputs.iter().map(|input| number(part, *input)).collect(), (part, old))
        }));
    }
    sources.sort();
    let witnesses: BTreeMap<(usize, u32), u32> =
        (0..).zip(&sources).map(|(new, (_, old))| (*old, new)).collect();
    let mut merged = Merged::default();
    for (part, (_, facts, cut, notes)) in rest.into_iter().enumerate() {
        let anew = |place: Place| Place { input_index: number(part, place.input_index), ..place };
        let mut renumber = Renumber { part, witnesses: &witnesses, known: None, anew: &anew };
        merged.facts.extend(facts.into_iter().map(|fact| renumber.fact(fact)));
        for (input, facts) in cut {
            *merged.cut.entry(number(part, input)).or_default() += facts;
        }
        merged.notes.extend(notes.into_iter().map(|note| Note { place: anew(note.place), ..note }));
    }
    // Captures first, then logs, each in the order in which one run reads them; the order within stays.
    merged.facts.sort_by_key(|fact| match &fact.subject {
        Subject::Connection(connection) | Subject::Udp(connection) => (0, connection.witness_index),
        Subject::Record(_) => (1, fact.place.input_index),
    });
    kept::cut_to(&mut merged.facts, FACTS_MAX, &mut merged.cut);
    for (input, counts, _) in held {
        merged.inventory.inputs.push(input);
        merged.counts.push(counts);
    }
    merged.inventory.sources = sources.into_iter().map(|(inputs, _)| Source { inputs }).collect();
    merged.inventory.logs = (0..)
        .zip(&merged.counts)
        .filter(|(_, counts)| matches!(counts, Some(Counts::Log(_))))
        .map(|(index, _)| index)
        .collect();
    merged
}

/// Facts of several runs, of which no more is kept than of one.
#[derive(Debug, Default)]
pub struct Parts {
    parts: Vec<Part>,
}

impl Parts {
    /// Adds those of one more run.
    pub fn add(&mut self, part: Part) {
        self.parts.push(part);
        let facts: usize = self.parts.iter().map(|part| part.facts.len()).sum();
        if facts > FACTS_MAX {
            let Merged { inventory, counts, facts, cut, notes } = merge(std::mem::take(&mut self.parts));
            let inputs = inventory.inputs.into_iter().zip(counts).collect();
            self.parts.push(Part { inputs, sources: inventory.sources, facts, cut, notes });
        }
    }

    /// All of them.
    #[must_use]
    pub fn all(self) -> Vec<Part> {
        self.parts
    }
}

struct Renumber<'a> {
    part: usize,
    witnesses: &'a BTreeMap<(usize, u32), u32>,
    /// The connection of the last fact, as it was and as it is now.
    known: Option<(Arc<Connection>, Arc<Connection>)>,
    anew: &'a dyn Fn(Place) -> Place,
}

impl Renumber<'_> {
    fn fact(&mut self, fact: Fact) -> Fact {
        let place = (self.anew)(fact.place);
        let subject = match fact.subject {
            Subject::Connection(connection) => Subject::Connection(self.connection(&connection)),
            Subject::Udp(transport) => Subject::Udp(self.connection(&transport)),
            record @ Subject::Record(_) => record,
        };
        Fact { place, subject, ..fact }
    }

    fn connection(&mut self, connection: &Arc<Connection>) -> Arc<Connection> {
        if let Some((old, new)) = &self.known
            && Arc::ptr_eq(old, connection)
        {
            return Arc::clone(new);
        }
        let which = (self.part, connection.witness_index);
        let witness_index = self.witnesses.get(&which).copied().unwrap_or(connection.witness_index);
        let first = (self.anew)(connection.first);
        let last = (self.anew)(connection.last);
        let new = Arc::new(Connection { witness_index, first, last, ..Connection::clone(connection) });
        self.known = Some((Arc::clone(connection), Arc::clone(&new)));
        new
    }
}
