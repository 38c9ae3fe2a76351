//! A captured frame, and who takes one.

use std::io;

/// One captured frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// When, in nanoseconds since 1970-01-01 UTC.
    pub time_ns: i64,
    /// What, from the link layer on.
    pub bytes: Vec<u8>,
}

/// Takes frames: a capture file's writer, or whatever a test needs.
pub trait FrameSink {
    /// Takes one frame.
    ///
    /// # Errors
    /// What the output answers.
    fn take(&mut self, time_ns: i64, bytes: &[u8]) -> io::Result<()>;
}

/// Order of the bytes in a file's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ByteOrder {
    /// Least significant first.
    #[default]
    Little,
    /// Most significant first.
    Big,
}

impl ByteOrder {
    pub(super) fn u16(self, number: u16) -> [u8; 2] {
        if self == Self::Little { number.to_le_bytes() } else { number.to_be_bytes() }
    }

    pub(super) fn u32(self, number: u32) -> [u8; 4] {
        if self == Self::Little { number.to_le_bytes() } else { number.to_be_bytes() }
    }

    pub(super) fn u64(self, number: u64) -> [u8; 8] {
        if self == Self::Little { number.to_le_bytes() } else { number.to_be_bytes() }
    }
}
