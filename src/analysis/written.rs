//! Facts written while they are read: the first of several readings goes straight out, the others wait for their turn.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

use super::readings::{self, Read, Reading};
use crate::exchange::{self, Facts};
use crate::fact::Fact;
use crate::note::Note;
use crate::read::{self, Counts, Inventory, Keys, Watch};

/// Bytes of facts collected before they are given to the output.
const BUFFER_BYTES: usize = 256 * 1024;
/// Readings per thread that are begun before the first of them is done: bounds what waits in memory.
const AHEAD: usize = 4;

/// Reads everything and writes its facts to `out`. Gives back all notes, those of the inventory included.
///
/// # Errors
/// When the output cannot be written.
pub fn write_facts(
    inventory: &Inventory,
    watch: &dyn Watch,
    out: &mut (impl Write + Send),
) -> io::Result<Vec<Note>> {
    let (hashes, written) = read::hashes::beside(inventory, || write_readings(inventory, watch, &mut *out));
    let (counts, notes, facts) = written?;
    let mut inventory = inventory.clone();
    inventory.take_hashes(hashes);
    let inputs: Vec<(&read::Input, Option<&Counts>)> =
        inventory.inputs.iter().zip(counts.iter().map(Option::as_ref)).collect();
    exchange::write_end(out, &inputs, &inventory.sources, &notes, facts)?;
    out.flush()?;
    Ok(notes)
}

type Written = (Vec<Option<Counts>>, Vec<Note>, u64);

/// Writes all but the last lines. Gives back counts, notes, and how many facts were written.
fn write_readings(
    inventory: &Inventory,
    watch: &dyn Watch,
    out: &mut (impl Write + Send),
) -> io::Result<Written> {
    let keys = read::keys::collect(&inventory.inputs);
    exchange::write_head(out)?;
    let all = readings::of(inventory);
    let (mut read, mut written) = (Vec::new(), 0);
    for window in all.chunks(rayon::current_num_threads().max(1) * AHEAD) {
        let turns = Turns::new(&mut *out);
        let some: Vec<(u64, Read)> = (0..window.len())
            .into_par_iter()
            .zip(window)
            .map(|(turn, reading)| write_one((turn, reading), inventory, &keys, watch, &turns))
            .collect();
        turns.finish()?;
        for (facts, one) in some {
            written += facts;
            read.push(one);
        }
    }
    watch.judging();
    let (counts, mut notes) = readings::account(inventory, &keys, read);
    notes.sort();
    Ok((counts, notes, written))
}

fn write_one<W: Write + Send>(
    (turn, reading): (usize, &Reading<'_>),
    inventory: &Inventory,
    keys: &Keys,
    watch: &dyn Watch,
    turns: &Turns<W>,
) -> (u64, Read) {
    let mut buffer = Vec::new();
    let (written, read) = match reading {
        Reading::Captures(index, source) => {
            let mut facts = Facts::default();
            let read = readings::captures((*index, source), inventory, keys, watch, &mut |fact| {
                if let Err(error) = facts.write(&mut buffer, &fact) {
                    turns.fail(error);
                }
                turns.offer(turn, &mut buffer);
            });
            (facts.written, read)
        }
        Reading::Log(index) => {
            let mut written = 0;
            let keep = |fact: Fact, lines: &mut Lines| {
                if let Err(error) = lines.facts.write(&mut lines.bytes, &fact) {
                    turns.fail(error);
                }
            };
            let read = readings::log(*index, inventory, watch, &keep, &mut |lines| {
                written += lines.facts.written;
                buffer.extend_from_slice(&lines.bytes);
                turns.offer(turn, &mut buffer);
            });
            (written, read)
        }
    };
    turns.done(turn, buffer);
    (written, read)
}

/// Facts of some records of a log, written by the thread that read them.
#[derive(Default)]
struct Lines {
    facts: Facts,
    bytes: Vec<u8>,
}

/// Output in the order of turns, whoever comes first.
struct Turns<W> {
    state: Mutex<State<W>>,
}

struct State<W> {
    out: W,
    next: usize,
    waiting: BTreeMap<usize, Vec<u8>>,
    failed: Option<io::Error>,
}

impl<W: Write> Turns<W> {
    fn new(out: W) -> Self {
        Self { state: Mutex::new(State { out, next: 0, waiting: BTreeMap::new(), failed: None }) }
    }

    fn with<T>(&self, act: impl FnOnce(&mut State<W>) -> T) -> T {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Writes the buffer when it is large and it is this one's turn; else it grows on.
    fn offer(&self, turn: usize, buffer: &mut Vec<u8>) {
        if buffer.len() < BUFFER_BYTES {
            return;
        }
        self.with(|state| {
            if state.next == turn {
                state.write(buffer);
                buffer.clear();
            }
        });
    }

    fn done(&self, turn: usize, buffer: Vec<u8>) {
        self.with(|state| {
            state.waiting.insert(turn, buffer);
            while let Some(bytes) = state.waiting.remove(&state.next) {
                state.write(&bytes);
                state.next += 1;
            }
        });
    }

    fn fail(&self, error: io::Error) {
        self.with(|state| {
            state.failed.get_or_insert(error);
        });
    }

    fn finish(self) -> io::Result<()> {
        let state = self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        state.failed.map_or(Ok(()), Err)
    }
}

impl<W: Write> State<W> {
    fn write(&mut self, bytes: &[u8]) {
        if self.failed.is_none()
            && let Err(error) = self.out.write_all(bytes)
        {
            self.failed = Some(error);
        }
    }
}
