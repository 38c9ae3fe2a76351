//! rdpwhy answers one question from files alone: why did this Remote Desktop connection fail?
//!
//! ```text
//!        read             packets         session          diagnosis         report
//! paths -----> Flow ------------> Fact -----------> Session -----------> Verdict -----> text, JSON
//!         \_____ Note (cut packet, lost bytes, skipped file): travels beside, counted and printed ____/
//! ```
//!
//! The modules stand in the order of the pipe; a module uses only those above it.

pub mod step;
pub mod time;
pub mod note;
pub mod codes;
pub mod wire;
pub mod fact;
pub mod read;
pub mod packets;
pub mod session;
pub mod diagnosis;
pub mod report;

use std::path::PathBuf;

use rayon::prelude::*;

use diagnosis::Verdict;
use fact::{Fact, What};
use note::Note;
use read::{Inventory, Keys, Source, SourceRead, Watch};
use session::{Coverage, Story, Witness};

/// What to analyse and how.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Options {
    /// Files, folders, `-` for standard input, wildcards.
    pub paths: Vec<PathBuf>,
    /// TLS key logs, beside those that lie under `paths`.
    pub key_logs: Vec<PathBuf>,
}

/// The answer, with everything it was made of.
#[derive(Debug, Clone)]
pub struct Analysis {
    /// What the paths hold.
    pub inventory: Inventory,
    /// Counts of every input that was read, by input index.
    pub counts: Vec<Option<read::CaptureCounts>>,
    /// Who saw.
    pub witnesses: Vec<Witness>,
    /// Sessions and attempts.
    pub story: Story,
    /// Causes of every session, best first.
    pub verdicts: Vec<Vec<Verdict>>,
    /// What was lost. INVARIANT: sorted by place, then text.
    pub notes: Vec<Note>,
}

/// Facts of all sources kept in one run; far more than any investigation reads.
const FACTS_MAX: usize = 8_000_000;

/// The whole program: finds the inputs, reads each source on a thread of its own, joins, judges.
#[must_use]
pub fn analyze(options: &Options, watch: &dyn Watch) -> Analysis {
    let inventory = read::inputs::inventory(&read::expand(&options.paths), &options.key_logs);
    analyze_inventory(inventory, watch)
}

/// The same for inputs that are already found, or held in memory.
#[must_use]
pub fn analyze_inventory(inventory: Inventory, watch: &dyn Watch) -> Analysis {
    let keys = read::keys::collect(&inventory.inputs);
    let read: Vec<(SourceRead, Vec<Fact>)> = (0_u32..)
        .zip(&inventory.sources)
        .collect::<Vec<_>>()
        .into_par_iter()
        .map(|(index, source)| facts(index, source, &inventory, &keys, watch))
        .collect();
    watch.judging();
    let mut counts = vec![None; inventory.inputs.len()];
    let mut notes = inventory.notes.clone();
    notes.extend(keys.notes.iter().cloned());
    let mut facts = Vec::new();
    for (source, found) in read {
        for input in source.inputs {
            if let Some(slot) =
                usize::try_from(input.input_index).ok().and_then(|index| counts.get_mut(index))
            {
                *slot = Some(input.counts);
            }
        }
        notes.extend(source.notes);
        facts.extend(found);
    }
    if facts.len() > FACTS_MAX {
        notes.push(Note::facts_over_limit(facts.len() - FACTS_MAX, FACTS_MAX));
        facts.truncate(FACTS_MAX);
    }
    notes.extend(unused_keys(&inventory, &keys, &counts, &facts));
    notes.sort();
    let witnesses = witnesses(&inventory, &counts);
    let story = session::join(facts, &witnesses);
    let verdicts = diagnosis::diagnose_all(&story);
    Analysis { inventory, counts, witnesses, story, verdicts, notes }
}

/// Reads one source into facts; each connection's bytes are let go as soon as its facts are taken.
fn facts(
    index: u32,
    source: &Source,
    inventory: &Inventory,
    keys: &Keys,
    watch: &dyn Watch,
) -> (SourceRead, Vec<Fact>) {
    let (mut facts, mut notes) = (Vec::new(), Vec::new());
    let mut sink = |flow: read::Flow| {
        let (found, lost) = packets::facts(&flow, index, &keys.log);
        facts.extend(found);
        notes.extend(lost);
    };
    let mut read = read::capture::read_source(source, &inventory.inputs, watch, &mut sink);
    read.notes.extend(notes);
    (read, facts)
}

/// Secrets that were given and opened nothing: blocks that were not read before the packets, and key logs of other
/// connections.
fn unused_keys(
    inventory: &Inventory,
    keys: &Keys,
    counts: &[Option<read::CaptureCounts>],
    facts: &[Fact],
) -> Vec<Note> {
    let mut notes = Vec::new();
    for ((index, counts), read) in (0_u32..).zip(counts).zip(&keys.blocks) {
        let found = counts.map_or(0, |counts| counts.secrets_blocks);
        if found > *read {
            notes.push(Note::secrets_unused(index, found - read));
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

/// One witness for each source, named by its first input.
fn witnesses(inventory: &Inventory, counts: &[Option<read::CaptureCounts>]) -> Vec<Witness> {
    let index = |i: &u32| usize::try_from(*i).ok();
    inventory
        .sources
        .iter()
        .map(|source| {
            let first = source.inputs.first().and_then(index).and_then(|i| inventory.inputs.get(i));
            let mut coverage = Coverage::default();
            for counts in source.inputs.iter().filter_map(|i| counts.get(index(i)?)?.as_ref()) {
                coverage.add(counts.covers, counts.packets_dropped, counts.packets_cut);
            }
            let name = first.map(|input| input.shown.clone()).unwrap_or_default();
            Witness { name, inputs: source.inputs.clone(), coverage }
        })
        .collect()
}
