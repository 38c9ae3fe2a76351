//! The chunks of a log, a few at a time: each thread takes the next ones, reads them into memory of its own and looks at
//! them at once, and what it found goes on in the order of the file.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use rayon::prelude::*;

use super::Picker;
use super::chunk::{self, ChunkRead, Slot};
use super::frame::{CHUNK_BYTES, FILE_MAGIC};
use super::input::Bytes;
use super::known::Known;

/// Chunks that a thread takes at a time: few enough to stay in its cache.
const CHUNKS: usize = 8;
/// Parts that may be done before the one that is next in the file.
const AHEAD: u64 = 64;

/// What a few chunks held.
pub(super) struct Part<K> {
    pub(super) chunks: Vec<ChunkRead<K>>,
    /// Places for a chunk, zero ones included.
    pub(super) slots: u64,
    /// Why the log cannot be read any further.
    pub(super) error: Option<io::Error>,
}

/// Reads all chunks up to where another log begins, and hands over what they held in the order of the file.
pub(super) fn each<W: Copy, T, K: Default + Send>(
    bytes: &mut Bytes<'_, impl Read + Send>,
    picker: &Picker<'_, W, T, K>,
    sink: &mut (dyn FnMut(Part<K>) + Send),
) {
    let source = Mutex::new(Source { bytes, taken: 0, is_over: false });
    let order =
        Order { state: Mutex::new(Waiting { next: 0, parts: BTreeMap::new(), sink }), moved: Condvar::new() };
    let work = |_: usize| {
        let (mut buffer, mut known) = (Vec::new(), Known::new());
        loop {
            // In the head of a `while let` the lock would be held for as long as the chunks are looked at.
            let Some(taken) = lock(&source).take(&mut buffer) else { break };
            let number = taken.number;
            order.give(number, taken.look(&mut buffer, &mut known, picker));
        }
    };
    (0..rayon::current_num_threads()).into_par_iter().with_max_len(1).for_each(work);
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The log, as far as it was not taken.
struct Source<'b, 'w, R> {
    bytes: &'b mut Bytes<'w, R>,
    taken: u64,
    is_over: bool,
}

/// Chunks in a buffer.
struct Taken {
    number: u64,
    /// Where in the input they begin.
    at: u64,
    filled: usize,
    error: Option<io::Error>,
}

impl<R: Read> Source<'_, '_, R> {
    fn take(&mut self, buffer: &mut Vec<u8>) -> Option<Taken> {
        if self.is_over {
            return None;
        }
        if buffer.is_empty() {
            *buffer = vec![0; CHUNKS * CHUNK_BYTES];
        }
        let at = self.bytes.place();
        let (mut filled, error) = match self.bytes.fill(buffer) {
            Ok(filled) => (filled, None),
            Err(error) => (0, Some(error)),
        };
        let held = buffer.get(..filled).unwrap_or_default();
        let begins = |chunk: &[u8]| chunk.starts_with(FILE_MAGIC);
        if let Some(chunk) = held.chunks(CHUNK_BYTES).position(begins) {
            filled = chunk * CHUNK_BYTES;
            self.bytes.give_back(held.get(filled..).unwrap_or_default());
        }
        let taken = Taken { number: self.taken, at, filled, error };
        self.taken += 1;
        self.is_over = filled < buffer.len();
        Some(taken)
    }
}

impl Taken {
    fn slots(&self) -> u64 {
        u64::try_from(self.filled / CHUNK_BYTES).unwrap_or(0)
    }

    /// Windows writes logs larger than what they hold: chunks of zeros are no loss.
    fn look<W: Copy, T, K: Default>(
        self,
        buffer: &mut [u8],
        known: &mut Known<W>,
        picker: &Picker<'_, W, T, K>,
    ) -> Part<K> {
        let slots = self.slots();
        let data = buffer.get_mut(..self.filled).unwrap_or_default();
        let mut chunks = Vec::new();
        let places = (0..).map(|index: u64| self.at.saturating_add(index.saturating_mul(bytes_of_chunk())));
        for (at, data) in places.zip(data.chunks_mut(CHUNK_BYTES)) {
            if data.iter().any(|byte| *byte != 0) {
                chunks.push(chunk::read(Slot { at, data }, known, picker));
            }
        }
        Part { chunks, slots, error: self.error }
    }
}

fn bytes_of_chunk() -> u64 {
    u64::try_from(CHUNK_BYTES).unwrap_or(0)
}

/// Parts in the order of the file, whoever is done first.
struct Order<'s, K> {
    state: Mutex<Waiting<'s, K>>,
    moved: Condvar,
}

struct Waiting<'s, K> {
    next: u64,
    parts: BTreeMap<u64, Part<K>>,
    sink: &'s mut (dyn FnMut(Part<K>) + Send),
}

impl<K> Order<'_, K> {
    /// Hands over the part when those before it are; waits when it is too far ahead of them. Whoever has the one that is next
    /// never waits, so that nobody waits for ever.
    fn give(&self, number: u64, part: Part<K>) {
        let mut state = lock(&self.state);
        state.parts.insert(number, part);
        while let Some(part) = {
            let next = state.next;
            state.parts.remove(&next)
        } {
            (state.sink)(part);
            state.next += 1;
        }
        self.moved.notify_all();
        while number >= state.next.saturating_add(AHEAD) {
            state = self.moved.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_go_on_in_the_order_of_the_file_and_wait_when_they_are_far_ahead() {
        let mut told = Vec::new();
        let sink = &mut |part: Part<()>| told.push(part.slots);
        let state = Mutex::new(Waiting { next: 0, parts: BTreeMap::new(), sink });
        let order = Order { state, moved: Condvar::new() };
        let part = |slots| Part { chunks: Vec::new(), slots, error: None };
        let last = AHEAD + 40;
        std::thread::scope(|scope| {
            scope.spawn(|| (1..=last).for_each(|number| order.give(number, part(number))));
            while lock(&order.state).parts.len() < usize::try_from(AHEAD).unwrap() {
                std::thread::yield_now();
            }
            assert!(lock(&order.state).parts.keys().all(|number| *number <= AHEAD));
            order.give(0, part(0));
        });
        assert!(told.into_iter().eq(0..=last));
    }
}
