//! The bytes of an input, to which what was read too far is given back.

use std::io::{self, Read};

use super::Watch;

/// An input that is watched.
pub(super) struct Bytes<'w, R> {
    reader: R,
    watch: &'w dyn Watch,
    /// Given back, of which so many bytes were read again.
    ahead: Vec<u8>,
    again: usize,
    /// Bytes read and not given back.
    passed: u64,
}

impl<'w, R: Read> Bytes<'w, R> {
    pub(super) fn new(reader: R, watch: &'w dyn Watch) -> Self {
        Self { reader, watch, ahead: Vec::new(), again: 0, passed: 0 }
    }

    /// Who watches.
    pub(super) const fn watch(&self) -> &'w dyn Watch {
        self.watch
    }

    /// Where in the input the next byte stands.
    pub(super) const fn place(&self) -> u64 {
        self.passed
    }

    /// Fills the buffer as far as the input goes.
    pub(super) fn fill(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = self.read_again(buffer);
        let again = filled;
        while let Some(space) = buffer.get_mut(filled..).filter(|space| !space.is_empty()) {
            match self.reader.read(space) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.watch.read(u64::try_from(filled - again).unwrap_or(0));
        self.passed = self.passed.saturating_add(u64::try_from(filled).unwrap_or(0));
        Ok(filled)
    }

    fn read_again(&mut self, buffer: &mut [u8]) -> usize {
        let left = self.ahead.get(self.again..).unwrap_or_default();
        let count = left.len().min(buffer.len());
        if let (Some(space), Some(bytes)) = (buffer.get_mut(..count), left.get(..count)) {
            space.copy_from_slice(bytes);
        }
        self.again += count;
        count
    }

    /// Gives back bytes that were read last: they are read again next.
    pub(super) fn give_back(&mut self, bytes: &[u8]) {
        let left = self.ahead.get(self.again..).unwrap_or_default();
        self.ahead = [bytes, left].concat();
        self.again = 0;
        self.passed = self.passed.saturating_sub(u64::try_from(bytes.len()).unwrap_or(0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::Unwatched;

    #[test]
    fn what_is_given_back_is_read_again_first() {
        let mut bytes = Bytes::new(&b"0123456789"[..], &Unwatched);
        let mut five = [0; 5];
        assert_eq!((bytes.fill(&mut five).unwrap(), &five), (5, b"01234"));
        bytes.give_back(b"34");
        assert_eq!(bytes.place(), 3);
        let mut one = [0; 1];
        assert_eq!((bytes.fill(&mut one).unwrap(), &one), (1, b"3"));
        bytes.give_back(b"3");
        assert_eq!((bytes.fill(&mut five).unwrap(), &five), (5, b"34567"));
        assert_eq!((bytes.fill(&mut five).unwrap(), &five[..2]), (2, &b"89"[..]));
        assert_eq!((bytes.place(), bytes.fill(&mut five).unwrap()), (10, 0));
    }
}
