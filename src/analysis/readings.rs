//! Inputs into facts: one thing on a thread at a time, its facts to a sink in the order of the file.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use rayon::prelude::*;

use super::kept::{Cut, Kept};
use crate::events::{self, Row};
use crate::fact::{self, Connection, FACTS_MAX, Fact, Subject, What};
use crate::note::{Note, Place};
use crate::packets::{self, Packets};
use crate::read::capture::read_source;
use crate::read::evtx::{Picker, pick_log};
use crate::read::listed::Listed;
use crate::read::{self, Counts, Found, Inventory, Keys, Source, SourceRead, Watch};
use crate::time::UnixNanos;

/// Addresses of one capture point whose names are told.
const ENDS_MAX: usize = 16_384;

/// One thing that is read on a thread of its own.
pub(super) enum Reading<'i> {
    /// The captures of one capture point, which is the witness of this index.
    Captures(u32, &'i Source),
    /// An event log.
    Log(u32),
}

/// What reading one thing gives beside its facts.
#[derive(Default)]
pub(super) struct Read {
    counts: Vec<(u32, Counts)>,
    notes: Vec<Note>,
    /// Records of key logs opened something.
    opened: bool,
}

/// Everything that is to be read, captures first.
pub(super) fn of(inventory: &Inventory) -> Vec<Reading<'_>> {
    let captures = (0_u32..).zip(&inventory.sources).map(|(index, source)| Reading::Captures(index, source));
    captures.chain(inventory.logs.iter().map(|index| Reading::Log(*index))).collect()
}

/// Addresses of which connections tell, each with the first one that does: names stand in a file apart from packets.
#[derive(Default)]
struct Ends(BTreeMap<IpAddr, (UnixNanos, Arc<Connection>)>);

impl Ends {
    fn take(&mut self, fact: &Fact) {
        let Some(connection) = fact.subject.connection() else { return };
        let beside = match &fact.what {
            What::HostClock { of, .. } => Some(*of),
            _ => None,
        };
        for address in [connection.client.ip(), connection.server.ip()].into_iter().chain(beside) {
            if self.0.len() < ENDS_MAX {
                self.0.entry(address).or_insert_with(|| (connection.opened, Arc::clone(connection)));
            }
        }
    }

    /// The names that captures list of them.
    fn named(&self, names: &Listed) -> Vec<Fact> {
        let of_one = |(of, (at, connection)): (&IpAddr, &(UnixNanos, Arc<Connection>))| {
            let (input_index, listed) = names.names.get(of)?;
            let (of, at, subject) = (*of, *at, Subject::Connection(Arc::clone(connection)));
            let place = Place::whole(*input_index);
            let fact = move |name: &String| {
                let what = What::NameListed { of, name: name.clone() };
                Fact { at, place, subject: subject.clone(), reading: fact::Reading::Clear, what }
            };
            Some(listed.iter().map(fact))
        };
        self.0.iter().filter_map(of_one).flatten().collect()
    }
}

/// Something that takes facts of records, in order.
pub(super) type Keep<'a, K> = &'a (dyn Fn(Fact, &mut K) + Sync);

/// Reads captures into facts; each connection's bytes are let go as soon as its facts are taken.
pub(super) fn captures(
    (witness_index, source): (u32, &Source),
    inventory: &Inventory,
    keys: &Keys,
    watch: &dyn Watch,
    sink: &mut dyn FnMut(Fact),
) -> Read {
    let (mut lost, mut opened) = (Vec::new(), false);
    let mut packets = Packets::new(witness_index, &keys.log);
    let mut ends = Ends::default();
    let mut told = |(found, notes): (Vec<Fact>, Vec<Note>)| {
        if !found.is_empty() {
            watch.found(Found::Connection, 1);
        }
        found.iter().for_each(|fact| ends.take(fact));
        opened |= found.iter().any(|fact| fact.reading == fact::Reading::Opened);
        found.into_iter().for_each(&mut *sink);
        lost.extend(notes);
    };
    let SourceRead { inputs, udp, names, mut notes } =
        read_source(source, &inventory.inputs, &keys.log, watch, &mut |flow| told(packets.take(flow)));
    told(packets.finish());
    for transport in udp {
        told(packets::udp_facts(&transport, witness_index, &keys.log));
    }
    ends.named(&names).into_iter().for_each(&mut *sink);
    notes.extend(lost);
    let counts = inputs.into_iter().map(|input| (input.input_index, Counts::Capture(input.counts))).collect();
    Read { counts, notes, opened }
}

/// Reads an event log into facts; what took some of them goes to `sink`.
pub(super) fn log<K: Default + Send>(
    input_index: u32,
    inventory: &Inventory,
    watch: &dyn Watch,
    keep: Keep<'_, K>,
    sink: &mut (dyn FnMut(K) + Send),
) -> Read {
    let index = usize::try_from(input_index).unwrap_or(usize::MAX);
    let Some(input) = inventory.inputs.get(index) else { return Read::default() };
    let make = |row: Row, event: &read::Event<'_>| events::fact(row, event, input_index);
    let picker = Picker { wanted: &events::row, make: &make, keep, by_xml: false };
    let (counts, notes) = pick_log(input_index, input, watch, &picker, sink);
    Read { counts: vec![(input_index, Counts::Log(counts))], notes, opened: false }
}

/// Counts by input index and all notes: those of the inventory, of the keys, of reading, and of secrets that were given
/// and opened nothing.
pub(super) fn account(
    inventory: &Inventory,
    keys: &Keys,
    read: Vec<Read>,
) -> (Vec<Option<Counts>>, Vec<Note>) {
    let mut counts = vec![None; inventory.inputs.len()];
    let mut notes = inventory.notes.clone();
    notes.extend(keys.notes.iter().cloned());
    let mut opened = false;
    for one in read {
        for (input_index, held) in one.counts {
            if let Some(slot) = usize::try_from(input_index).ok().and_then(|index| counts.get_mut(index)) {
                *slot = Some(held);
            }
        }
        notes.extend(one.notes);
        opened |= one.opened;
    }
    notes.extend(unused_keys(inventory, keys, &counts, opened));
    (counts, notes)
}

/// Blocks of secrets that were not read before the packets, and key logs of other connections.
fn unused_keys(inventory: &Inventory, keys: &Keys, counts: &[Option<Counts>], opened: bool) -> Vec<Note> {
    let mut notes = Vec::new();
    for ((index, counts), read) in (0_u32..).zip(counts).zip(&keys.blocks) {
        let Some(Counts::Capture(held)) = counts else { continue };
        if held.secrets_blocks > *read {
            notes.push(Note::secrets_unused(index, held.secrets_blocks - read));
        }
    }
    let is_log = |input: &read::Input| input.kind == read::Kind::KeyLog;
    let first = (0_u32..).zip(&inventory.inputs).find(|(_, input)| is_log(input)).map(|(index, _)| index);
    if let Some(first) = first.filter(|_| !keys.log.is_empty() && !opened) {
        notes.push(Note::key_logs_of_other_connections(first));
    }
    notes
}

/// Reads everything on all threads; facts are kept in the order of the readings, as many as one run keeps. Of the others it
/// is told how many each input has.
pub(super) fn read_all(inventory: &Inventory, keys: &Keys, watch: &dyn Watch) -> (Vec<Fact>, Cut, Vec<Read>) {
    let all = of(inventory);
    let kept = Kept::new(all.len(), FACTS_MAX);
    let read_one = |(number, reading): (usize, Reading<'_>)| match reading {
        Reading::Captures(index, source) => {
            captures((index, source), inventory, keys, watch, &mut |fact| kept.take(number, [fact]))
        }
        Reading::Log(index) => {
            let keep = |fact, some: &mut Vec<Fact>| some.push(fact);
            log(index, inventory, watch, &keep, &mut |some| kept.take(number, some))
        }
    };
    let read: Vec<Read> = all.into_par_iter().enumerate().map(read_one).collect();
    let (facts, cut) = kept.finish();
    (facts, cut, read)
}
