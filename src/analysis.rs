//! The whole program in one screenful: finds the inputs, reads each on a thread of its own, joins, judges.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use rayon::prelude::*;

use crate::diagnosis::{self, Verdict};
use crate::events;
use crate::fact::{Fact, What};
use crate::note::{Note, Place};
use crate::packets;
use crate::read::capture::read_source;
use crate::read::evtx::{LogCounts, read_log};
use crate::read::{self, CaptureCounts, Inventory, Keys, Source, SourceRead, Watch};
use crate::session::{self, Coverage, Story, Witness};

/// What to analyse and how.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Options {
    /// Files, folders, `-` for standard input, wildcards.
    pub paths: Vec<PathBuf>,
    /// TLS key logs, beside those that lie under `paths`.
    pub key_logs: Vec<PathBuf>,
}

/// What one input held, counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Counts {
    /// A capture.
    Capture(CaptureCounts),
    /// An event log.
    Log(LogCounts),
}

impl Counts {
    /// Packets of a capture; 0 of a log.
    #[must_use]
    pub const fn packets(&self) -> u64 {
        match self {
            Self::Capture(held) => held.packets,
            Self::Log(_) => 0,
        }
    }
}

/// The answer, with everything it was made of.
#[derive(Debug, Clone)]
pub struct Analysis {
    /// What the paths hold.
    pub inventory: Inventory,
    /// Counts of every input that was read, by input index.
    pub counts: Vec<Option<Counts>>,
    /// Who saw: capture points first, then hosts by name.
    pub witnesses: Vec<Witness>,
    /// Sessions and attempts.
    pub story: Story,
    /// Causes of every session, best first.
    pub verdicts: Vec<Vec<Verdict>>,
    /// What was lost. INVARIANT: sorted by place, then text.
    pub notes: Vec<Note>,
}

/// Facts of all inputs kept in one run; far more than any investigation reads.
const FACTS_MAX: usize = 8_000_000;

/// Reads everything that the options name and says why connections failed.
#[must_use]
pub fn analyze(options: &Options, watch: &dyn Watch) -> Analysis {
    let inventory = read::inputs::inventory(&read::expand(&options.paths), &options.key_logs);
    analyze_inventory(inventory, watch)
}

/// The same for inputs that were found before, or that lie in memory.
#[must_use]
pub fn analyze_inventory(inventory: Inventory, watch: &dyn Watch) -> Analysis {
    let keys = read::keys::collect(&inventory.inputs);
    let reading = readings(&inventory);
    let read: Vec<Read> = reading.into_par_iter().map(|one| one.read(&inventory, &keys, watch)).collect();
    watch.judging();
    let mut counts = vec![None; inventory.inputs.len()];
    let mut notes = inventory.notes.clone();
    notes.extend(keys.notes.iter().cloned());
    let mut facts = Vec::new();
    for one in read {
        for (input_index, held) in one.counts {
            if let Some(slot) = usize::try_from(input_index).ok().and_then(|index| counts.get_mut(index)) {
                *slot = Some(held);
            }
        }
        notes.extend(one.notes);
        facts.extend(one.facts);
    }
    if facts.len() > FACTS_MAX {
        notes.push(Note::facts_over_limit(facts.len() - FACTS_MAX, FACTS_MAX));
        facts.truncate(FACTS_MAX);
    }
    notes.extend(unused_keys(&inventory, &keys, &counts, &facts));
    let witnesses = witnesses(&inventory, &counts, &facts);
    let story = session::join(facts, &witnesses);
    if story.records_cut > 0 {
        notes.push(Note::records_of_connections_cut(story.records_cut, session::FACTS_MAX));
    }
    let verdicts = diagnosis::diagnose_all(&story);
    notes.sort();
    Analysis { inventory, counts, witnesses, story, verdicts, notes }
}

/// One thing that is read on a thread of its own.
enum Reading<'i> {
    /// The captures of one capture point, which is the witness of this index.
    Captures(u32, &'i Source),
    /// An event log.
    Log(u32),
}

fn readings(inventory: &Inventory) -> Vec<Reading<'_>> {
    let captures = (0_u32..).zip(&inventory.sources).map(|(index, source)| Reading::Captures(index, source));
    captures.chain(inventory.logs.iter().map(|index| Reading::Log(*index))).collect()
}

#[derive(Default)]
struct Read {
    counts: Vec<(u32, Counts)>,
    notes: Vec<Note>,
    facts: Vec<Fact>,
}

impl Reading<'_> {
    fn read(&self, inventory: &Inventory, keys: &Keys, watch: &dyn Watch) -> Read {
        match self {
            Self::Captures(index, source) => captures(*index, source, inventory, keys, watch),
            Self::Log(index) => log(*index, inventory, watch),
        }
    }
}

/// Reads captures into facts; each connection's bytes are let go as soon as its facts are taken.
fn captures(
    witness_index: u32,
    source: &Source,
    inventory: &Inventory,
    keys: &Keys,
    watch: &dyn Watch,
) -> Read {
    let (mut facts, mut lost) = (Vec::new(), Vec::new());
    let mut sink = |flow: read::Flow| {
        let (found, notes) = packets::facts(&flow, witness_index, &keys.log);
        facts.extend(found);
        lost.extend(notes);
    };
    let SourceRead { inputs, mut notes } = read_source(source, &inventory.inputs, watch, &mut sink);
    notes.extend(lost);
    let counts = inputs.into_iter().map(|input| (input.input_index, Counts::Capture(input.counts))).collect();
    Read { counts, notes, facts }
}

/// Secrets that were given and opened nothing: blocks that were not read before the packets, and key logs of other
/// connections.
fn unused_keys(inventory: &Inventory, keys: &Keys, counts: &[Option<Counts>], facts: &[Fact]) -> Vec<Note> {
    let mut notes = Vec::new();
    for ((index, counts), read) in (0_u32..).zip(counts).zip(&keys.blocks) {
        let Some(Counts::Capture(held)) = counts else { continue };
        if held.secrets_blocks > *read {
            notes.push(Note::secrets_unused(index, held.secrets_blocks - read));
        }
    }
    let is_log = |input: &read::Input| input.kind == read::Kind::KeyLog;
    let first = (0_u32..).zip(&inventory.inputs).find(|(_, input)| is_log(input)).map(|(index, _)| index);
    let opened = facts.iter().any(|fact| matches!(fact.what, What::TlsOpened { .. }));
    if let Some(first) = first.filter(|_| !keys.log.is_empty() && !opened) {
        notes.push(Note::key_logs_of_other_connections(first));
    }
    notes
}

fn log(input_index: u32, inventory: &Inventory, watch: &dyn Watch) -> Read {
    let index = usize::try_from(input_index).unwrap_or(usize::MAX);
    let Some(input) = inventory.inputs.get(index) else { return Read::default() };
    let mut facts = Vec::new();
    let mut sink = |record: read::Record| facts.extend(events::facts(&record, input_index));
    let (counts, notes) = read_log(input_index, input, watch, events::wanted, &mut sink);
    Read { counts: vec![(input_index, Counts::Log(counts))], notes, facts }
}

/// A capture point for each source, named by its first input; a host for each computer that wrote a record.
fn witnesses(inventory: &Inventory, counts: &[Option<Counts>], facts: &[Fact]) -> Vec<Witness> {
    let mut witnesses: Vec<Witness> =
        inventory.sources.iter().map(|source| capture_point(inventory, counts, source)).collect();
    let mut hosts: BTreeMap<&str, BTreeSet<u32>> = BTreeMap::new();
    for fact in facts {
        if let Some(keys) = fact.subject.keys() {
            hosts.entry(&keys.host).or_default().insert(place_input(fact.place));
        }
    }
    witnesses.extend(hosts.into_iter().map(|(host, inputs)| {
        let inputs: Vec<u32> = inputs.into_iter().collect();
        let coverage = coverage(counts, &inputs);
        Witness { name: host.to_owned(), inputs, host: Some(host.to_owned()), coverage }
    }));
    witnesses
}

const fn place_input(place: Place) -> u32 {
    place.input_index
}

fn capture_point(inventory: &Inventory, counts: &[Option<Counts>], source: &Source) -> Witness {
    let first = source.inputs.first().and_then(|i| inventory.inputs.get(usize::try_from(*i).ok()?));
    let name = first.map(|input| input.shown.clone()).unwrap_or_default();
    let coverage = coverage(counts, &source.inputs);
    Witness { name, inputs: source.inputs.clone(), host: None, coverage }
}

/// From when to when these inputs cover, and what they say they lost.
fn coverage(counts: &[Option<Counts>], inputs: &[u32]) -> Coverage {
    let mut coverage = Coverage::default();
    for input in inputs {
        let held = usize::try_from(*input).ok().and_then(|index| counts.get(index)).and_then(Option::as_ref);
        match held {
            Some(Counts::Capture(held)) => coverage.add(held.covers, held.packets_dropped, held.packets_cut),
            Some(Counts::Log(held)) => {
                coverage.add(held.covers, held.records_missing, held.records_unreadable)
            }
            None => {}
        }
    }
    coverage
}
