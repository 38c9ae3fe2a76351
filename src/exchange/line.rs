//! The lines as they stand in the file: own types, so that inner ones stay free to change.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::fact::{Connection, DataSent, FactTextError, Keys, Reading, Recognised, SegmentMark, What};
use crate::note::{Note, Place, Spot};
use crate::read::{CaptureCounts, Counts, Input, LogCounts, Source};
use crate::time::UnixNanos;

/// One line; its `line` names what it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "lowercase")]
pub(super) enum Line {
    /// The first.
    Facts(Head),
    Connection(ConnectionLine),
    Fact(Box<FactLine>),
    Input(InputLine),
    Source(SourceLine),
    Note(NoteLine),
    /// The last.
    End(Totals),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Head {
    pub(super) version: u32,
    pub(super) tool: String,
    /// The names are pseudonyms.
    #[serde(skip_serializing_if = "is_false", default)]
    pub(super) redacted: bool,
    /// Hosts, in the order of the names that their pseudonyms are of.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub(super) hosts: Vec<String>,
}

/// How many of each stand in the file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Totals {
    pub(super) inputs: u64,
    pub(super) facts: u64,
    pub(super) notes: u64,
}

/// Input, and frame, record or byte in it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct At {
    input: u32,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    frame: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    record: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    byte: Option<u64>,
}

impl At {
    pub(super) fn of(place: Place) -> Self {
        let mut at = Self { input: place.input_index, frame: None, record: None, byte: None };
        match place.spot {
            Spot::Whole => {}
            Spot::Frame(number) => at.frame = Some(number),
            Spot::Record(id) => at.record = Some(id),
            Spot::Byte(offset) => at.byte = Some(offset),
        }
        at
    }

    pub(super) fn place(self) -> Place {
        let spot = match (self.frame, self.record, self.byte) {
            (Some(number), ..) => Spot::Frame(number),
            (None, Some(id), _) => Spot::Record(id),
            (None, None, Some(offset)) => Spot::Byte(offset),
            (None, None, None) => Spot::Whole,
        };
        Place { input_index: self.input, spot }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct ConnectionLine {
    pub(super) source: u32,
    pub(super) connection: u32,
    /// It is a UDP transport.
    #[serde(skip_serializing_if = "is_false", default)]
    pub(super) udp: bool,
    client: SocketAddr,
    server: SocketAddr,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    client_isn: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    server_isn: Option<u32>,
    opened_ns: i64,
    #[serde(flatten)]
    first: At,
    last_ns: i64,
    last: At,
    /// Packets and payload bytes of the client and of the server.
    packets: [u64; 2],
    bytes: [u64; 2],
    recognised: String,
    /// What the client and the server sent in segments with data; absent in files of earlier versions.
    #[serde(skip_serializing_if = "is_nothing_sent", default)]
    sent: [SentLine; 2],
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
struct SentLine {
    segments: u64,
    bytes: u64,
    largest: u32,
    /// Print, in hexadecimal, and time of a segment.
    marks: Vec<(String, i64)>,
}

impl SentLine {
    fn of(sent: &DataSent) -> Self {
        let mark = |mark: &SegmentMark| (format!("{:016x}", mark.print), mark.at.0);
        let marks = sent.marks.iter().map(mark).collect();
        Self { segments: sent.segments, bytes: sent.bytes, largest: sent.largest, marks }
    }

    fn sent(&self) -> Result<DataSent, String> {
        let mark = |(print, at): &(String, i64)| {
            let print = u64::from_str_radix(print, 16).map_err(|error| format!("mark `{print}`: {error}"))?;
            Ok(SegmentMark { print, at: UnixNanos(*at) })
        };
        let mut marks = self.marks.iter().map(mark).collect::<Result<Vec<SegmentMark>, String>>()?;
        marks.sort_unstable();
        marks.dedup_by_key(|mark| mark.print);
        Ok(DataSent { segments: self.segments, bytes: self.bytes, largest: self.largest, marks })
    }
}

fn is_nothing_sent(sent: &[SentLine; 2]) -> bool {
    sent.iter().all(|one| *one == SentLine::default())
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde calls")]
const fn is_false(value: &bool) -> bool {
    !*value
}

impl ConnectionLine {
    pub(super) fn of(connection: &Connection, number: u32, udp: bool) -> Self {
        Self {
            source: connection.witness_index,
            connection: number,
            udp,
            client: connection.client,
            server: connection.server,
            client_isn: connection.client_isn,
            server_isn: connection.server_isn,
            opened_ns: connection.opened.0,
            first: At::of(connection.first),
            last_ns: connection.last_seen.0,
            last: At::of(connection.last),
            packets: connection.packets,
            bytes: connection.bytes,
            recognised: name_of(RECOGNISED, connection.recognised).to_owned(),
            sent: connection.sent.each_ref().map(SentLine::of),
        }
    }

    pub(super) fn connection(&self) -> Result<Connection, String> {
        Ok(Connection {
            witness_index: self.source,
            client: self.client,
            server: self.server,
            client_isn: self.client_isn,
            server_isn: self.server_isn,
            opened: UnixNanos(self.opened_ns),
            first: self.first.place(),
            last_seen: UnixNanos(self.last_ns),
            last: self.last.place(),
            packets: self.packets,
            bytes: self.bytes,
            recognised: named(RECOGNISED, &self.recognised)?,
            sent: [self.sent[0].sent()?, self.sent[1].sent()?],
        })
    }
}

const RECOGNISED: &[(&str, Recognised)] = &[
    ("first bytes", Recognised::FirstBytes),
    ("named endpoint", Recognised::NamedEndpoint),
    ("port", Recognised::Port),
    ("secrets", Recognised::Secrets),
    ("gateway", Recognised::Gateway),
    ("gateway sizes", Recognised::GatewaySizes),
    ("gateway endpoint", Recognised::GatewayEndpoint),
];

const READINGS: &[(&str, Reading)] = &[
    (Reading::Clear.name(), Reading::Clear),
    (Reading::Opened.name(), Reading::Opened),
    (Reading::Inferred.name(), Reading::Inferred),
];

fn name_of<T: PartialEq>(names: &[(&'static str, T)], value: T) -> &'static str {
    names.iter().find(|(_, known)| *known == value).map_or("", |(name, _)| name)
}

fn named<T: Copy>(names: &[(&'static str, T)], name: &str) -> Result<T, String> {
    let known = names.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
    known.ok_or_else(|| {
        let expected: Vec<&str> = names.iter().map(|(name, _)| *name).collect();
        format!("found `{name}`, expected one of: {}", expected.join(", "))
    })
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct FactLine {
    pub(super) fact: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    step: Option<String>,
    time: String,
    at_ns: i64,
    #[serde(flatten)]
    at: At,
    reading: String,
    /// Of a captured connection: its source, and its number there.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) source: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) connection: Option<u32>,
    /// Of a log record: whom it is about.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) about: Option<AboutLine>,
    fields: Map<String, Value>,
}

impl FactLine {
    pub(super) fn place(&self) -> Place {
        self.at.place()
    }

    pub(super) fn at(&self) -> UnixNanos {
        UnixNanos(self.at_ns)
    }

    pub(super) fn reading(&self) -> Result<Reading, String> {
        named(READINGS, &self.reading)
    }

    pub(super) fn what(&self) -> Result<What, FactTextError> {
        let text = |(name, value): (&'_ String, &Value)| match value {
            Value::String(text) => (name.clone(), text.clone()),
            other => (name.clone(), other.to_string()),
        };
        let fields: Vec<(String, String)> = self.fields.iter().map(text).collect();
        What::of_fields(&self.fact, fields.iter().map(|(name, value)| (name.as_str(), value.clone())))
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct AboutLine {
    pub(super) host: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    activity: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    session_id: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    logon_id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    domain: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    address: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    workstation: Option<String>,
}

impl AboutLine {
    pub(super) fn keys(self) -> Keys {
        let Self { host, activity, session_id, logon_id, user, domain, address, port, workstation } = self;
        Keys { host, activity, session_id, logon_id, user, domain, address, port, workstation }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct InputLine {
    pub(super) input: u32,
    path: String,
    kind: String,
    gzip: bool,
    bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    sha256: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    capture: Option<CaptureLine>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    log: Option<LogLine>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct CaptureLine {
    packets: u64,
    packets_cut: u64,
    packets_dropped: u64,
    packets_unreadable: u64,
    secrets_blocks: u64,
    covers_ns: Option<[i64; 2]>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct LogLine {
    records: u64,
    records_unreadable: u64,
    records_missing: u64,
    #[serde(default)]
    records_recovered: u64,
    chunks: u64,
    chunks_unreadable: u64,
    #[serde(default)]
    is_cut: bool,
    covers_ns: Option<[i64; 2]>,
}

type Covers = Option<(UnixNanos, UnixNanos)>;

fn covers_ns(covers: Covers) -> Option<[i64; 2]> {
    covers.map(|(from, to)| [from.0, to.0])
}

fn covers(ns: Option<[i64; 2]>) -> Covers {
    ns.map(|[from, to]| (UnixNanos(from), UnixNanos(to)))
}

impl InputLine {
    pub(super) fn of(number: u32, input: &Input, counts: Option<&Counts>) -> Self {
        let capture = counts.and_then(|counts| match counts {
            Counts::Capture(held) => Some(CaptureLine {
                packets: held.packets,
                packets_cut: held.packets_cut,
                packets_dropped: held.packets_dropped,
                packets_unreadable: held.packets_unreadable,
                secrets_blocks: held.secrets_blocks,
                covers_ns: covers_ns(held.covers),
            }),
            Counts::Log(_) => None,
        });
        let log = counts.and_then(|counts| match counts {
            Counts::Log(held) => Some(LogLine {
                records: held.records,
                records_unreadable: held.records_unreadable,
                records_missing: held.records_missing,
                records_recovered: held.records_recovered,
                chunks: held.chunks,
                chunks_unreadable: held.chunks_unreadable,
                is_cut: held.is_cut,
                covers_ns: covers_ns(held.covers),
            }),
            Counts::Capture(_) => None,
        });
        let (path, kind) = (input.shown.clone(), input.kind.name().to_owned());
        let (gzip, bytes, sha256) = (input.gzip, input.bytes, input.sha256.clone());
        Self { input: number, path, kind, gzip, bytes, sha256, capture, log }
    }

    pub(super) fn input(&self) -> (Input, Option<Counts>) {
        let mut input = Input::elsewhere(&self.path, &self.kind, self.gzip, self.bytes);
        input.sha256.clone_from(&self.sha256);
        let capture = self.capture.as_ref().map(|held| {
            Counts::Capture(CaptureCounts {
                packets: held.packets,
                packets_cut: held.packets_cut,
                packets_dropped: held.packets_dropped,
                packets_unreadable: held.packets_unreadable,
                secrets_blocks: held.secrets_blocks,
                covers: covers(held.covers_ns),
            })
        });
        let log = self.log.as_ref().map(|held| {
            Counts::Log(LogCounts {
                records: held.records,
                records_unreadable: held.records_unreadable,
                records_missing: held.records_missing,
                records_recovered: held.records_recovered,
                // Who judges finds out what is repeated.
                records_repeated: 0,
                chunks: held.chunks,
                chunks_unreadable: held.chunks_unreadable,
                is_cut: held.is_cut,
                covers: covers(held.covers_ns),
            })
        });
        (input, capture.or(log))
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct SourceLine {
    pub(super) source: u32,
    pub(super) inputs: Vec<u32>,
}

impl SourceLine {
    pub(super) fn of(number: u32, source: &Source) -> Self {
        Self { source: number, inputs: source.inputs.clone() }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct NoteLine {
    #[serde(flatten)]
    at: At,
    text: String,
}

impl NoteLine {
    pub(super) fn of(note: &Note) -> Self {
        Self { at: At::of(note.place), text: note.text.clone() }
    }

    pub(super) fn note(self) -> Note {
        Note { place: self.at.place(), text: self.text }
    }
}
