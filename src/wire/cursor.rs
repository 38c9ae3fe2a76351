//! Reads integers off a slice without panicking.

use std::fmt;

/// Why bytes could not be read as a structure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WireError {
    /// The slice ends inside the field.
    Short {
        /// The field.
        what: &'static str,
        /// Bytes the field needs.
        need: usize,
        /// Bytes that are left.
        have: usize,
    },
    /// The field has a value that this structure cannot have.
    Invalid {
        /// The field.
        what: &'static str,
        /// The value found.
        found: u64,
    },
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short { what, need, have } => write!(f, "{what}: needs {need} bytes, has {have}"),
            Self::Invalid { what, found } => write!(f, "{what}: found {found:#x}"),
        }
    }
}

impl std::error::Error for WireError {}

/// A position in a slice.
#[derive(Debug, Clone, Copy)]
pub struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    /// Starts at the first byte.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What is left.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Takes `N` bytes.
    ///
    /// # Errors
    /// [`WireError::Short`] when fewer are left.
    pub fn take<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], WireError> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or(WireError::Short {
            what,
            need: N,
            have: self.rest.len(),
        })?;
        self.rest = rest;
        Ok(*head)
    }

    /// Takes a slice of `length` bytes.
    ///
    /// # Errors
    /// [`WireError::Short`] when fewer are left.
    pub fn slice(&mut self, length: usize, what: &'static str) -> Result<&'a [u8], WireError> {
        let (head, rest) = self.rest.split_at_checked(length).ok_or(WireError::Short {
            what,
            need: length,
            have: self.rest.len(),
        })?;
        self.rest = rest;
        Ok(head)
    }

    /// Takes one byte.
    ///
    /// # Errors
    /// [`WireError::Short`] at the end.
    pub fn u8(&mut self, what: &'static str) -> Result<u8, WireError> {
        self.take::<1>(what).map(|[byte]| byte)
    }

    /// Takes 2 bytes, little-endian.
    ///
    /// # Errors
    /// [`WireError::Short`] under 2 bytes.
    pub fn u16_le(&mut self, what: &'static str) -> Result<u16, WireError> {
        self.take(what).map(u16::from_le_bytes)
    }

    /// Takes 2 bytes, big-endian.
    ///
    /// # Errors
    /// [`WireError::Short`] under 2 bytes.
    pub fn u16_be(&mut self, what: &'static str) -> Result<u16, WireError> {
        self.take(what).map(u16::from_be_bytes)
    }

    /// Takes 4 bytes, little-endian.
    ///
    /// # Errors
    /// [`WireError::Short`] under 4 bytes.
    pub fn u32_le(&mut self, what: &'static str) -> Result<u32, WireError> {
        self.take(what).map(u32::from_le_bytes)
    }

    /// Takes 4 bytes, big-endian.
    ///
    /// # Errors
    /// [`WireError::Short`] under 4 bytes.
    pub fn u32_be(&mut self, what: &'static str) -> Result<u32, WireError> {
        self.take(what).map(u32::from_be_bytes)
    }

    /// Takes a BER length: one byte under 128, else the count of bytes that follow (X.690 8.1.3), at most 4.
    ///
    /// # Errors
    /// [`WireError::Short`] at the end, [`WireError::Invalid`] for an indefinite length or more than 4 bytes.
    pub fn ber_length(&mut self, what: &'static str) -> Result<usize, WireError> {
        let first = self.u8(what)?;
        if first < 0x80 {
            return Ok(usize::from(first));
        }
        let count = usize::from(first & 0x7f);
        if count == 0 || count > 4 {
            return Err(WireError::Invalid { what, found: u64::from(first) });
        }
        let bytes = self.slice(count, what)?;
        let value = bytes.iter().fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte));
        usize::try_from(value).map_err(|_| WireError::Invalid { what, found: value })
    }

    /// Takes a PER length: one byte under 128, else 14 bits in two bytes (X.691 10.9).
    ///
    /// # Errors
    /// [`WireError::Short`] at the end.
    pub fn per_length(&mut self, what: &'static str) -> Result<usize, WireError> {
        let first = self.u8(what)?;
        if first & 0x80 == 0 {
            return Ok(usize::from(first));
        }
        let second = self.u8(what)?;
        Ok(usize::from(u16::from_be_bytes([first & 0x7f, second])))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_both_encodings() {
        assert_eq!(Cursor::new(&[0x7f]).ber_length("l"), Ok(127));
        assert_eq!(Cursor::new(&[0x82, 0x01, 0xd6]).ber_length("l"), Ok(470));
        assert_eq!(Cursor::new(&[0x80]).ber_length("l"), Err(WireError::Invalid { what: "l", found: 0x80 }));
        assert_eq!(
            Cursor::new(&[0x82, 1]).ber_length("l"),
            Err(WireError::Short { what: "l", need: 2, have: 1 })
        );
        assert_eq!(Cursor::new(&[0x81, 0x90]).per_length("l"), Ok(400));
        assert_eq!(Cursor::new(&[0x21]).per_length("l"), Ok(33));
    }
}
