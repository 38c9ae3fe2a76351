//! What a record says, before it is bytes.

use super::value::{Guid, Sid, Value};

/// Keyword bit that manifest-based records of an operational channel carry when the provider sets none of its own.
const KEYWORDS_DEFAULT: u64 = 0x8000_0000_0000_0000;
/// `level` of an informational record.
const LEVEL_INFORMATIONAL: u8 = 4;

/// Who wrote a record.
#[derive(Clone, Debug, PartialEq)]
pub struct Provider {
    /// The name in `Provider/@Name`.
    pub name: String,
    /// `Provider/@Guid`; classic sources have none.
    pub guid: Option<Guid>,
    /// `Provider/@EventSourceName`: the old source name of a provider that now has a manifest.
    pub event_source: Option<String>,
}

/// The part of a record after `System`.
#[derive(Clone, Debug, PartialEq)]
pub enum Payload {
    /// No payload at all.
    None,
    /// `EventData` with `<Data Name="...">`.
    Named(Vec<(String, Value)>),
    /// `EventData` with one `<Data>` for each value, none of them named.
    Unnamed(Vec<Value>),
    /// `EventData` as classic sources write it: all strings in one array value, then bytes in `<Binary>`.
    Classic {
        /// The insertion strings.
        data: Vec<String>,
        /// The raw data; the element is absent without it.
        binary: Option<Vec<u8>>,
    },
    /// `UserData` with one element in a namespace of its own and named children.
    UserData {
        /// Name of the element below `UserData`, such as `EventXML`.
        element: String,
        /// Its `xmlns`, such as `Event_NS`.
        namespace: String,
        /// Its children in order.
        children: Vec<(String, Value)>,
    },
}

/// One event record.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Who wrote it.
    pub provider: Provider,
    /// The channel inside the record: what readers must go by, not the file's name.
    pub channel: String,
    /// Event id.
    pub event_id: u16,
    /// `EventID/@Qualifiers`, the upper half of a classic event id.
    pub qualifiers: Option<u16>,
    /// Version of the event's manifest entry.
    pub version: u8,
    /// 1 critical, 2 error, 3 warning, 4 information, 0 always.
    pub level: u8,
    /// Task number.
    pub task: u16,
    /// Opcode number.
    pub opcode: u8,
    /// Keyword bits.
    pub keywords: u64,
    /// `TimeCreated` in nanoseconds since 1970-01-01 UTC by the host's own clock; stored in steps of 100 ns.
    pub time_ns: i64,
    /// `EventRecordID`; one more than the record before where absent.
    pub record_id: Option<u64>,
    /// `Correlation/@ActivityID`.
    pub activity_id: Option<Guid>,
    /// `Correlation/@RelatedActivityID`.
    pub related_activity_id: Option<Guid>,
    /// `Execution/@ProcessID`.
    pub process_id: u32,
    /// `Execution/@ThreadID`.
    pub thread_id: u32,
    /// `Computer`.
    pub computer: String,
    /// `Security/@UserID`.
    pub user: Option<Sid>,
    /// What follows `System`.
    pub payload: Payload,
    /// Record id and time (ns) of the record's header where they differ from `System`, as in exported and filtered files.
    pub header: Option<(u64, i64)>,
}

impl Record {
    /// An informational record without payload; every other field is open to change.
    pub fn new(provider: &str, channel: &str, event_id: u16, time_ns: i64) -> Self {
        Self {
            provider: Provider { name: provider.to_owned(), guid: None, event_source: None },
            channel: channel.to_owned(),
            event_id,
            qualifiers: None,
            version: 0,
            level: LEVEL_INFORMATIONAL,
            task: 0,
            opcode: 0,
            keywords: KEYWORDS_DEFAULT,
            time_ns,
            record_id: None,
            activity_id: None,
            related_activity_id: None,
            process_id: 0,
            thread_id: 0,
            computer: String::new(),
            user: None,
            payload: Payload::None,
            header: None,
        }
    }
}
