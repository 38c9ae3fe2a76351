//! One event of a Windows event log, as its XML says: the boundary between the reader of logs and what they mean.

use std::borrow::Cow;
use std::fmt;

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

    /// The record as what its fields are read from.
    #[must_use]
    pub fn event(&self) -> Event<'_> {
        Event {
            channel: &self.channel,
            provider: &self.provider,
            id: self.id,
            qualifiers: self.qualifiers,
            version: self.version,
            record_id: self.record_id,
            at: self.at,
            computer: &self.computer,
            activity: self.activity.as_deref().map(Activity::Text),
            recovered: self.recovered,
            fields: &self.fields,
        }
    }
}

/// The value of a field: a number where the log has one, else text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value<'r> {
    /// As the XML has it.
    Text(Cow<'r, str>),
    /// A number from 0, whether the XML has it decimal or hexadecimal.
    Unsigned(u64),
    /// A number that may be below 0.
    Signed(i64),
}

/// Fields by their names, in order, read when they are asked for. Whoever asks has the names from the beginning, so that what
/// was asked before is known again by where the name stands in memory.
pub trait Fields {
    /// The value of the first field of that name.
    fn value(&self, name: &'static str) -> Option<Value<'_>>;
    /// The same as text.
    fn text(&self, name: &'static str) -> Option<Cow<'_, str>>;
    /// Name and text of each field, until `take` has enough, which is `false`.
    fn each(&self, take: &mut dyn FnMut(&str, &str) -> bool);
}

impl Fields for Vec<(String, String)> {
    fn value(&self, name: &'static str) -> Option<Value<'_>> {
        self.text(name).map(Value::Text)
    }

    fn text(&self, name: &'static str) -> Option<Cow<'_, str>> {
        self.iter().find(|(key, _)| key == name).map(|(_, value)| Cow::Borrowed(value.as_str()))
    }

    fn each(&self, take: &mut dyn FnMut(&str, &str) -> bool) {
        let _ = self.iter().all(|(name, value)| take(name, value));
    }
}

/// `System/Correlation/@ActivityID`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activity<'r> {
    /// Upper case without braces.
    Text(&'r str),
    /// As the log has it; not the nil GUID.
    Guid([u8; 16]),
}

impl Activity<'_> {
    /// Upper case without braces.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Text(text) => (*text).to_owned(),
            Self::Guid(guid) => str::from_utf8(&guid_digits(guid, true)).unwrap_or_default().to_owned(),
        }
    }
}

impl fmt::Display for Activity<'_> {
    /// Upper case without braces.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Guid(guid) => f.write_str(str::from_utf8(&guid_digits(guid, true)).unwrap_or_default()),
        }
    }
}

/// The digits of a GUID in its order of bytes, with dashes.
pub(crate) fn guid_digits(guid: &[u8; 16], upper: bool) -> [u8; 36] {
    let ten = if upper { b'A' } else { b'a' };
    let digit = |half: u8| if half < 10 { b'0' + half } else { ten + (half - 10) };
    // The first three numbers are little-endian.
    let [[a6, a7], [a4, a5], [a2, a3], [a0, a1], [b2, b3], [b0, b1], [c2, c3], [c0, c1], last @ ..] =
        guid.map(|byte| [digit(byte >> 4), digit(byte & 0xf)]);
    let [[d0, d1], [d2, d3], [e0, e1], [e2, e3], [e4, e5], [e6, e7], [e8, e9], [ea, eb]] = last;
    let dash = b'-';
    [
        a0, a1, a2, a3, a4, a5, a6, a7, dash, b0, b1, b2, b3, dash, c0, c1, c2, c3, dash, d0, d1, d2, d3,
        dash, e0, e1, e2, e3, e4, e5, e6, e7, e8, e9, ea, eb,
    ]
}

/// An event record while the log that holds it is at hand: what a `Record` has, of which only what is asked for is read.
#[derive(Clone, Copy)]
pub struct Event<'r> {
    /// `System/Channel`.
    pub channel: &'r str,
    /// As `Record` has it.
    pub provider: &'r str,
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
    pub computer: &'r str,
    /// `System/Correlation/@ActivityID`.
    pub activity: Option<Activity<'r>>,
    /// As `Record` has it.
    pub recovered: bool,
    /// Of `EventData` or `UserData`, called as in a `Record`.
    pub fields: &'r dyn Fields,
}

impl Event<'_> {
    /// The text of a field; an empty one and `-` count as absent.
    #[must_use]
    pub fn field(&self, name: &'static str) -> Option<Cow<'_, str>> {
        self.fields.text(name).filter(|text| !text.is_empty() && text != "-")
    }

    /// Where to look it up.
    #[must_use]
    pub const fn place(&self, input_index: u32) -> Place {
        Place { input_index, spot: crate::note::Spot::Record(self.record_id) }
    }

    /// Everything of it.
    #[must_use]
    pub fn record(&self) -> Record {
        let mut fields = Vec::new();
        self.fields.each(&mut |name, text| {
            fields.push((name.to_owned(), text.to_owned()));
            true
        });
        Record {
            channel: self.channel.to_owned(),
            provider: self.provider.to_owned(),
            id: self.id,
            qualifiers: self.qualifiers,
            version: self.version,
            record_id: self.record_id,
            at: self.at,
            computer: self.computer.to_owned(),
            activity: self.activity.map(|activity| activity.to_string()),
            fields,
            recovered: self.recovered,
        }
    }
}
