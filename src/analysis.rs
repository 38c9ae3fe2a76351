//! The whole program in one screenful: finds the inputs, reads each on a thread of its own, joins, judges.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::diagnosis::{self, Said, Verdict};
use crate::exchange::Part;
use crate::fact::Fact;
use crate::note::{Note, Place};
use crate::read::{self, Counts, Inventory, Source, Watch};
use crate::redact::{Redact, Redaction};
use crate::session::{self, Coverage, Story, Witness};
use crate::time::Stretch;

mod kept;
mod readings;
mod merged;
mod repeated;
mod written;
mod selected;
mod unmatched;

pub use merged::Parts;
pub use selected::Selection;
pub use unmatched::{Filter, Near, Unmatched};
pub use written::write_facts;

use merged::Merged;

/// What to analyse and how.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Options {
    /// Files, folders, `-` for standard input, wildcards.
    pub paths: Vec<PathBuf>,
    /// TLS key logs, beside those that lie under `paths`.
    pub key_logs: Vec<PathBuf>,
    /// Opens what is encrypted in zip archives.
    pub zip_password: Option<String>,
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
    /// Attempts that a selection left out.
    pub left_out: usize,
    /// What there is instead, where a selection fits nothing.
    pub unmatched: Option<Unmatched>,
    /// What the user read in the error box.
    pub said: Option<Said>,
    /// The part of the timelines that is listed.
    pub timeline: Stretch,
    /// Whose names it has.
    pub naming: Naming,
}

/// Whose names stand in facts, and in the answer that is made of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Naming {
    /// Those of the evidence.
    #[default]
    Real,
    /// Pseudonyms.
    Pseudonyms,
    /// The same, and times that were moved.
    PseudonymsAndShiftedTimes,
}

impl Analysis {
    /// Something could be read of at least one input.
    #[must_use]
    pub fn is_readable(&self) -> bool {
        let is_lost = |counts: &Counts| matches!(counts, Counts::Log(held) if held.is_lost());
        self.counts.iter().flatten().any(|counts| !is_lost(counts))
    }
}

/// Reads everything that the options name and says why connections failed.
#[must_use]
pub fn analyze(options: &Options, watch: &dyn Watch) -> Analysis {
    analyze_inventory(inventory(options), watch)
}

/// What the paths of the options hold.
#[must_use]
pub fn inventory(options: &Options) -> Inventory {
    let password = options.zip_password.as_deref();
    read::inputs::inventory_with(&read::expand(&options.paths), &options.key_logs, password)
}

/// The same for inputs that were found before, or that lie in memory.
#[must_use]
pub fn analyze_inventory(inventory: Inventory, watch: &dyn Watch) -> Analysis {
    judge(read_inventory(inventory, watch))
}

/// The same with pseudonyms in place of all names.
#[must_use]
pub fn analyze_redacted(inventory: Inventory, watch: &dyn Watch, redact: Redact) -> (Analysis, Redaction) {
    redacted(read_inventory(inventory, watch), redact)
}

fn read_inventory(mut inventory: Inventory, watch: &dyn Watch) -> Merged {
    let keys = read::keys::collect(&inventory.inputs);
    let (hashes, (facts, cut, read)) =
        read::hashes::beside(&inventory, || readings::read_all(&inventory, &keys, watch));
    inventory.take_hashes(hashes);
    watch.judging();
    let (counts, notes) = readings::account(&inventory, &keys, read);
    Merged { inventory, counts, facts, cut, notes, hosts: None }.with_notes()
}

/// Reads everything, and gives its facts with pseudonyms in place of all names, as one file of facts would hold them.
#[must_use]
pub fn redacted_facts(inventory: Inventory, watch: &dyn Watch, redact: Redact) -> (Part, Redaction) {
    let (Merged { inventory, counts, facts, cut, mut notes, .. }, redaction) =
        pseudonymous(read_inventory(inventory, watch), redact);
    notes.sort();
    let hosts = redaction.in_order_of_names(&facts, None);
    let inputs = inventory.inputs.into_iter().zip(counts).collect();
    (Part { inputs, sources: inventory.sources, facts, cut, notes, hosts: Some(hosts) }, redaction)
}

fn pseudonymous(mut merged: Merged, redact: Redact) -> (Merged, Redaction) {
    let mut redaction = Redaction::of(redact, &merged.facts, &merged.inventory);
    let Merged { inventory, counts, facts, notes, .. } = &mut merged;
    redaction.apply(facts, notes, inventory, counts);
    (merged, redaction)
}

fn redacted(merged: Merged, redact: Redact) -> (Analysis, Redaction) {
    let (mut merged, redaction) = pseudonymous(merged, redact);
    merged.hosts = Some(redaction.in_order_of_names(&merged.facts, merged.hosts.as_deref()));
    let mut analysis = judge(merged);
    if redaction.is_shifted() {
        analysis.naming = Naming::PseudonymsAndShiftedTimes;
    }
    (analysis, redaction)
}

/// Judges facts that were read elsewhere: the same answer as analysing all that they were read from.
#[must_use]
pub fn diagnose(parts: Vec<Part>) -> Analysis {
    judge(merged::merge(parts).with_notes())
}

/// The same with pseudonyms in place of all names.
#[must_use]
pub fn diagnose_redacted(parts: Vec<Part>, redact: Redact) -> (Analysis, Redaction) {
    redacted(merged::merge(parts).with_notes(), redact)
}

fn judge(merged: Merged) -> Analysis {
    let Merged { inventory, mut counts, mut facts, mut notes, hosts, .. } = merged;
    repeated::drop_repeated(&mut facts, &mut counts, &mut notes);
    let witnesses = witnesses(&inventory, &counts, &facts, hosts.as_deref());
    let story = session::join(facts, &witnesses);
    if story.records_cut > 0 {
        notes.push(Note::records_of_connections_cut(story.records_cut, session::FACTS_MAX));
    }
    let alone = story.udp_alone;
    notes.extend(alone.first.map(|first| Note::udp_alone(first, alone.transports, alone.unanswered)));
    let verdicts = diagnosis::diagnose_all(&story);
    notes.sort();
    let (left_out, said, timeline) = (0, None, Stretch::default());
    let naming = if hosts.is_some() { Naming::Pseudonyms } else { Naming::Real };
    let unmatched = None;
    Analysis {
        inventory,
        counts,
        witnesses,
        story,
        verdicts,
        notes,
        left_out,
        unmatched,
        said,
        timeline,
        naming,
    }
}

/// A capture point for each source, named by its first input; a host for each computer that wrote a record.
/// Pseudonyms do not change the order, which is that of `ordered` then: without a capture the first host is the reference.
fn witnesses(
    inventory: &Inventory,
    counts: &[Option<Counts>],
    facts: &[Fact],
    ordered: Option<&[String]>,
) -> Vec<Witness> {
    let mut witnesses: Vec<Witness> =
        inventory.sources.iter().map(|source| capture_point(inventory, counts, source)).collect();
    let mut hosts: BTreeMap<&str, BTreeSet<u32>> = BTreeMap::new();
    for fact in facts {
        if let Some(keys) = fact.subject.keys() {
            hosts.entry(&keys.host).or_default().insert(place_input(fact.place));
        }
    }
    let mut hosts: Vec<(&str, BTreeSet<u32>)> = hosts.into_iter().collect();
    if let Some(ordered) = ordered {
        let places: BTreeMap<&str, usize> =
            ordered.iter().enumerate().rev().map(|(place, host)| (host.as_str(), place)).collect();
        hosts.sort_by_key(|(host, _)| places.get(host).copied().unwrap_or(usize::MAX));
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
