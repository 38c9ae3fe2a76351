//! One event of a Windows event log, as its XML says: the boundary between the reader of logs and what they mean.

use crate::note::Place;
use crate::time::UnixNanos;

/// An event record. Times and ids are those of the XML `System` element, never of the record header, which differs in
/// exported files.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Record {
    /// `System/Channel`.
    pub channel: String,
    /// `System/Provider/@Name`, by which logs are queried; `@EventSourceName` where an event has no name.
    pub provider: String,
    /// `System/EventID`.
    pub id: u32,
    /// `System/EventID/@Qualifiers`.
    pub qualifiers: Option<u32>,
    /// `System/Version`.
    pub version: u8,
    /// `System/EventRecordID`.
    pub record_id: u64,
    /// `System/TimeCreated/@SystemTime`.
    pub at: UnixNanos,
    /// `System/Computer`.
    pub computer: String,
    /// `System/Correlation/@ActivityID`, upper case without braces.
    pub activity: Option<String>,
    /// Fields of `EventData` or `UserData`, in order; unnamed `Data` are called `0`, `1` and so on, `Binary` is `Binary`,
    /// what lies deeper is called by its path (`Outer/Inner`, `Result/@value`).
    pub fields: Vec<(String, String)>,
    /// No header of the log counts it: it was written behind the last record that the chunk knows of, is left of an earlier
    /// pass over the chunk, or its chunk has lost its header.
    pub recovered: bool,
}

impl Record {
    /// The value of a field; an empty one and `-` count as absent.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        let (_, value) = self.fields.iter().find(|(key, _)| key == name)?;
        (!value.is_empty() && value != "-").then_some(value.as_str())
    }

    /// Where to look it up.
    #[must_use]
    pub const fn place(&self, input_index: u32) -> Place {
        Place { input_index, spot: crate::note::Spot::Record(self.record_id) }
    }
}
