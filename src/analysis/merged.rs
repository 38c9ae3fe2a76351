//! Facts of several runs made one: inputs in the order of their paths, and every index numbered anew.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
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
    /// Hosts in their order, where they have pseudonyms.
    pub(super) hosts: Option<Vec<String>>,
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
    let mut hosts: Option<Vec<String>> = None;
    for (part_index, part) in parts.into_iter().enumerate() {
        let Part { inputs, sources, facts, cut, notes, hosts: of_part } = part;
        if let Some(of_part) = of_part {
            hosts.get_or_insert_with(Vec::new).extend(of_part);
        }
        held.extend((0..).zip(inputs).map(|(old, (input, counts))| (input, counts, (part_index, old))));
        rest.push((sources, facts, cut, notes));
    }
    held.sort_by(|(a, _, from_a), (b, _, from_b)| {
        (&a.shown, a.kind, a.bytes, from_a).cmp(&(&b.shown, b.kind, b.bytes, from_b))
    });
    let repeated = Repeated::of(&held, &rest);
    held.retain(|(.., from)| !repeated.inputs.contains(from));
    let numbers: BTreeMap<(usize, u32), u32> = (0..).zip(&held).map(|(new, (.., old))| (*old, new)).collect();
    let number = |part: usize, old: u32| numbers.get(&(part, old)).copied().unwrap_or(old);
    let mut sources: Vec<(Vec<u32>, (usize, u32))> = Vec::new();
    for (part, (own, ..)) in rest.iter().enumerate() {
        let kept = (0..).zip(own).filter(|(old, _)| !repeated.sources.contains(&(part, *old)));
        sources.extend(kept.map(|(old, source)| {
            (source.inputs.iter().map(|input| number(part, *input)).collect(), (part, old))
        }));
    }
    sources.sort();
    let witnesses: BTreeMap<(usize, u32), u32> =
        (0..).zip(&sources).map(|(new, (_, old))| (*old, new)).collect();
    let mut merged = Merged { hosts, ..Merged::default() };
    for (part, (_, facts, cut, notes)) in rest.into_iter().enumerate() {
        let anew = |place: Place| Place { input_index: number(part, place.input_index), ..place };
        let mut renumber = Renumber { part, witnesses: &witnesses, known: None, anew: &anew };
        let facts = facts.into_iter().filter(|fact| !repeated.has_fact(part, fact));
        merged.facts.extend(facts.map(|fact| renumber.fact(fact)));
        let cut = cut.into_iter().filter(|(input, _)| !repeated.inputs.contains(&(part, *input)));
        for (input, facts) in cut {
            *merged.cut.entry(number(part, input)).or_default() += facts;
        }
        let notes =
            notes.into_iter().filter(|note| !repeated.inputs.contains(&(part, note.place.input_index)));
        merged.notes.extend(notes.map(|note| Note { place: anew(note.place), ..note }));
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
            let Merged { inventory, counts, facts, cut, notes, hosts } =
                merge(std::mem::take(&mut self.parts));
            let inputs = inventory.inputs.into_iter().zip(counts).collect();
            self.parts.push(Part { inputs, sources: inventory.sources, facts, cut, notes, hosts });
        }
    }

    /// All of them.
    #[must_use]
    pub fn all(self) -> Vec<Part> {
        self.parts
    }
}

/// How many facts are told of a source, the more the sooner, where its inputs stand, by part and number, and itself.
type Ranked<'a> = (Reverse<usize>, Vec<usize>, Numbered, &'a Source);

/// Sources, facts, how many were left out, and notes of one part.
type Rest = (Vec<Source>, Vec<Fact>, Cut, Vec<Note>);

/// What a part holds that another one holds as well, told by what the inputs held: it counts once. A capture point counts
/// once where all its files are the same ones.
struct Repeated {
    inputs: BTreeSet<Numbered>,
    sources: BTreeSet<Numbered>,
}

/// An input or a source: the part, and its number there.
type Numbered = (usize, u32);

/// What tells inputs from each other, of all that were read.
type Identities = BTreeMap<Numbered, String>;

impl Repeated {
    /// `held` is in the order in which inputs are numbered. The copy of which more is told stays, else the first one: secrets
    /// may have been there for one of them alone.
    fn of(held: &[(Input, Option<Counts>, Numbered)], rest: &[Rest]) -> Self {
        let identities: Identities = held
            .iter()
            .filter_map(|(input, counts, from)| Some((*from, identity(input, counts.as_ref())?)))
            .collect();
        let told = counted(rest);
        let mut found = Self { inputs: BTreeSet::new(), sources: BTreeSet::new() };
        found.add_sources(ranked(held, rest, &told), &identities);
        found.add_logs(held, rest, &told, &identities);
        found
    }

    /// Capture points of which every file stands in another part as well.
    fn add_sources(&mut self, ranked: Vec<Ranked<'_>>, identities: &Identities) {
        let mut known: BTreeMap<Vec<&String>, usize> = BTreeMap::new();
        for (.., (part, number), source) in ranked {
            let inputs = || source.inputs.iter().map(|input| (part, *input));
            let own: Option<Vec<&String>> = inputs().map(|from| identities.get(&from)).collect();
            let Some(own) = own.filter(|own| !own.is_empty()) else { continue };
            if *known.entry(own).or_insert(part) != part {
                self.sources.insert((part, number));
                self.inputs.extend(inputs());
            }
        }
    }

    /// Logs that stand in another part as well.
    fn add_logs(
        &mut self,
        held: &[(Input, Option<Counts>, Numbered)],
        rest: &[Rest],
        told: &Told,
        identities: &Identities,
    ) {
        let of_captures: BTreeSet<Numbered> = (0..)
            .zip(rest)
            .flat_map(|(part, (own, ..))| {
                own.iter().flat_map(move |source| source.inputs.iter().map(move |input| (part, *input)))
            })
            .collect();
        let logs = held.iter().map(|(.., from)| *from).filter(|from| !of_captures.contains(from));
        let mut logs: Vec<(Reverse<usize>, Numbered)> =
            logs.map(|from| (Reverse(told.get(&(from, false)).copied().unwrap_or(0)), from)).collect();
        // What comes first among the inputs stays first where both hold as much.
        logs.sort_by_key(|(count, _)| *count);
        let mut known: BTreeMap<&String, usize> = BTreeMap::new();
        for (_, from) in logs {
            let Some(identity) = identities.get(&from) else { continue };
            if *known.entry(identity).or_insert(from.0) != from.0 {
                self.inputs.insert(from);
            }
        }
    }

    fn has_fact(&self, part: usize, fact: &Fact) -> bool {
        match &fact.subject {
            Subject::Connection(connection) | Subject::Udp(connection) => {
                self.sources.contains(&(part, connection.witness_index))
            }
            Subject::Record(_) => self.inputs.contains(&(part, fact.place.input_index)),
        }
    }
}

/// The capture points of all parts, in the order in which the copies of one are preferred.
fn ranked<'a>(held: &[(Input, Option<Counts>, Numbered)], rest: &'a [Rest], told: &Told) -> Vec<Ranked<'a>> {
    let place: BTreeMap<Numbered, usize> = (0..).zip(held).map(|(at, (.., from))| (*from, at)).collect();
    let mut sources: Vec<Ranked<'a>> = Vec::new();
    for (part, (own, ..)) in rest.iter().enumerate() {
        for (number, source) in (0..).zip(own) {
            let count = told.get(&((part, number), true)).copied().unwrap_or(0);
            let inputs = source.inputs.iter().map(|input| (part, *input));
            let places = inputs.filter_map(|from| place.get(&from).copied()).collect();
            sources.push((Reverse(count), places, (part, number), source));
        }
    }
    sources.sort_by(|(a, at, from, _), (b, other, of, _)| (a, at, from).cmp(&(b, other, of)));
    sources
}

/// What tells an input from every other one: its length, what was counted in it, and its first and last time to the
/// nanosecond; hashes are there only where they were asked for. `None` where nothing was read of it.
fn identity(input: &Input, counts: Option<&Counts>) -> Option<String> {
    let covers = match counts? {
        Counts::Capture(held) => held.covers,
        Counts::Log(held) => held.covers,
    };
    covers?;
    Some(format!("{} {} {counts:?}", input.kind.name(), input.bytes))
}

/// How many facts are told of each source (`true`) or log of a part.
type Told = BTreeMap<(Numbered, bool), usize>;

fn counted(rest: &[Rest]) -> Told {
    let mut counts = BTreeMap::new();
    for (part, (_, facts, ..)) in rest.iter().enumerate() {
        for fact in facts {
            let of = match &fact.subject {
                Subject::Connection(connection) | Subject::Udp(connection) => {
                    ((part, connection.witness_index), true)
                }
                Subject::Record(_) => ((part, fact.place.input_index), false),
            };
            *counts.entry(of).or_default() += 1;
        }
    }
    counts
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
