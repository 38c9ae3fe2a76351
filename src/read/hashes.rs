//! SHA-256 of the inputs as they are, compressed or not: of files beside the reading, of standard input while it is read.

use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};

use data_encoding::HEXLOWER;
use rayon::prelude::*;
use sha2::{Digest as _, Sha256};

use super::inputs::{Input, Inventory, open_raw};

/// Bytes hashed at a time.
const BUFFER_BYTES: usize = 256 * 1024;

/// A hash that grows with what is read of standard input, which can be read only once.
#[derive(Debug, Clone, Default)]
pub(super) struct Running(Arc<Mutex<Sha256>>);

/// Two inputs are the same whatever was read of them.
impl PartialEq for Running {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Running {}

impl Running {
    fn add(&self, bytes: &[u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).update(bytes);
    }

    fn hash(&self) -> String {
        HEXLOWER.encode(&self.0.lock().unwrap_or_else(PoisonError::into_inner).clone().finalize())
    }
}

/// Reads on, and hashes what comes.
pub(super) struct Hashed<R> {
    pub(super) reader: R,
    pub(super) running: Running,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        self.running.add(buffer.get(..read).unwrap_or_default());
        Ok(read)
    }
}

impl Inventory {
    /// Asks for the SHA-256 of every input.
    pub fn hash(&mut self) {
        self.hashed = true;
        for input in self.inputs.iter_mut().filter(|input| !input.is_read_again()) {
            input.running = Some(Running::default());
        }
    }

    /// Takes the hashes of files, and asks that of standard input, which was read by now.
    pub fn take_hashes(&mut self, of_files: Vec<Option<String>>) {
        for (input, hash) in self.inputs.iter_mut().zip(of_files) {
            let stdin = || input.running.as_ref().and_then(|running| of_stdin(running).ok());
            if let Some(hash) = hash.or_else(stdin) {
                input.sha256 = Some(hash);
            }
        }
    }
}

/// Reads, and beside it finds the hashes of the inputs that can be opened again, by input index, where they are wanted.
pub fn beside<T: Send>(inventory: &Inventory, read: impl FnOnce() -> T + Send) -> (Vec<Option<String>>, T) {
    if inventory.hashed { rayon::join(|| of_files(&inventory.inputs), read) } else { (Vec::new(), read()) }
}

fn of_files(inputs: &[Input]) -> Vec<Option<String>> {
    let hash = |input: &Input| input.is_read_again().then(|| of_file(input).ok()).flatten();
    inputs.par_iter().map(hash).collect()
}

fn of_file(input: &Input) -> io::Result<String> {
    let running = Running::default();
    let mut reader = Hashed { reader: open_raw(input)?, running: running.clone() };
    drain(&mut reader)?;
    Ok(running.hash())
}

/// What was read of standard input, and what the readers left of it.
fn of_stdin(running: &Running) -> io::Result<String> {
    drain(&mut Hashed { reader: io::stdin(), running: running.clone() })?;
    Ok(running.hash())
}

fn drain(reader: &mut impl Read) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::inputs::held;
    use super::*;

    #[test]
    fn known_answers() {
        let inventory = held(vec![("abc".to_owned(), b"abc".to_vec()), ("empty".to_owned(), Vec::new())]);
        let known = [
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        ];
        assert_eq!(of_files(&inventory.inputs), known.map(|hash| Some(hash.to_owned())));
    }

    #[test]
    fn what_is_read_in_pieces_hashes_as_one() {
        let running = Running::default();
        let mut reader = Hashed { reader: &b"abc"[..], running: running.clone() };
        assert_eq!(reader.read(&mut [0; 2]).unwrap(), 2);
        drain(&mut reader).unwrap();
        assert!(running.hash().starts_with("ba7816bf"));
    }
}
