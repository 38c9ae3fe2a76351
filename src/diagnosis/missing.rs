//! What was not seen and would decide, in words that say how to get it.

use std::borrow::Cow;

use crate::session::Witness;
use crate::time::UnixNanos;

/// Something that was not seen and would decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// What it is, and how to collect it.
    Text(&'static str),
    /// A capture that was read and holds nothing of what decides.
    Ended {
        /// Index of the witness.
        witness_index: u32,
        /// When its last packet passed, on the reference clock.
        until: UnixNanos,
        /// What came behind that, and what a longer capture shows of it.
        before: &'static str,
    },
}

impl Missing {
    /// What is said of it. `witnesses` are those that were joined; their names come from the evidence.
    #[must_use]
    pub fn says(&self, witnesses: &[Witness]) -> Cow<'static, str> {
        match self {
            Self::Text(text) => Cow::Borrowed(text),
            Self::Ended { witness_index, until, before } => {
                let index = usize::try_from(*witness_index).unwrap_or(usize::MAX);
                let name = witnesses.get(index).map_or("the other capture", |witness| &witness.name);
                Cow::Owned(format!(
                    "{name} was read, and its last packet is of {until}, before {before}; a capture that goes on for longer (`pktmon start --capture` or \
                     `tcpdump -w FILE`) decides"
                ))
            }
        }
    }
}

impl From<&'static str> for Missing {
    fn from(text: &'static str) -> Self {
        Self::Text(text)
    }
}
