//! Facts as a Parquet file: each line of the JSON lines is a row, so that either form is made of the other.

use std::io::{self, Write};

use serde_json::{Map, Value};

use super::columns::Kind::{Bool, Fields, Text, Texts, Time, Times, U32, U32s, U64};
use super::columns::{Column, TableWriter, at, named};
use crate::time::UnixNanos;

/// Columns and where their values stand in the lines. `line` tells the kinds apart; those of facts come first.
pub(super) const COLUMNS: &[Column] = &[
    named("line", Text),
    at("time", Time, "at_ns"),
    named("fact", Text),
    named("step", Text),
    named("reading", Text),
    named("fields", Fields),
    named("source", U32),
    named("connection", U32),
    named("input", U32),
    named("frame", U64),
    named("record", U64),
    named("byte", U64),
    at("host", Text, "about/host"),
    at("activity", Text, "about/activity"),
    at("session_id", U32, "about/session_id"),
    at("logon_id", U64, "about/logon_id"),
    at("user", Text, "about/user"),
    at("domain", Text, "about/domain"),
    at("address", Text, "about/address"),
    at("port", U32, "about/port"),
    at("workstation", Text, "about/workstation"),
    // A connection.
    named("client", Text),
    named("server", Text),
    named("udp", Bool),
    named("client_isn", U32),
    named("server_isn", U32),
    at("opened", Time, "opened_ns"),
    at("last_seen", Time, "last_ns"),
    at("last_input", U32, "last/input"),
    at("last_frame", U64, "last/frame"),
    at("last_record", U64, "last/record"),
    at("last_byte", U64, "last/byte"),
    at("client_packets", U64, "packets/0"),
    at("server_packets", U64, "packets/1"),
    at("client_bytes", U64, "bytes/0"),
    at("server_bytes", U64, "bytes/1"),
    named("recognised", Text),
    at("client_segments", U64, "sent/0/segments"),
    at("client_segment_bytes", U64, "sent/0/bytes"),
    at("client_largest", U32, "sent/0/largest"),
    at("client_marks", Texts, "sent/0/marks/*/0"),
    at("client_mark_times", Times, "sent/0/marks/*/1"),
    at("server_segments", U64, "sent/1/segments"),
    at("server_segment_bytes", U64, "sent/1/bytes"),
    at("server_largest", U32, "sent/1/largest"),
    at("server_marks", Texts, "sent/1/marks/*/0"),
    at("server_mark_times", Times, "sent/1/marks/*/1"),
    // An input.
    named("path", Text),
    named("kind", Text),
    named("gzip", Bool),
    at("size", U64, "bytes"),
    named("sha256", Text),
    at("packets", U64, "capture/packets"),
    at("packets_cut", U64, "capture/packets_cut"),
    at("packets_dropped", U64, "capture/packets_dropped"),
    at("packets_unreadable", U64, "capture/packets_unreadable"),
    at("secrets_blocks", U64, "capture/secrets_blocks"),
    at("capture_from", Time, "capture/covers_ns/0"),
    at("capture_until", Time, "capture/covers_ns/1"),
    at("records", U64, "log/records"),
    at("records_unreadable", U64, "log/records_unreadable"),
    at("records_missing", U64, "log/records_missing"),
    at("records_recovered", U64, "log/records_recovered"),
    at("chunks", U64, "log/chunks"),
    at("chunks_unreadable", U64, "log/chunks_unreadable"),
    at("is_cut", Bool, "log/is_cut"),
    at("log_from", Time, "log/covers_ns/0"),
    at("log_until", Time, "log/covers_ns/1"),
    // A source, a note, the first line and the last.
    named("inputs", U32s),
    named("text", Text),
    named("version", U32),
    named("tool", Text),
    named("redacted", Bool),
    named("hosts", Texts),
    at("count_inputs", U64, "inputs"),
    at("count_facts", U64, "facts"),
    at("count_notes", U64, "notes"),
];

/// Takes JSON lines, as they come, and makes rows of them.
pub struct Tabled<W: Write + Send> {
    table: TableWriter<W>,
    /// What of a line is there.
    begun: Vec<u8>,
}

impl<W: Write + Send> Tabled<W> {
    /// Begins the file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn new(out: W) -> io::Result<Self> {
        Ok(Self { table: TableWriter::new(out, "facts", COLUMNS)?, begun: Vec::new() })
    }

    /// Writes what is left, and the end of the file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(self) -> io::Result<()> {
        self.table.finish()
    }
}

impl<W: Write + Send> Write for Tabled<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.begun.extend_from_slice(part);
            if part.ends_with(b"\n") {
                self.table.push(serde_json::from_slice(&self.begun)?)?;
                self.begun.clear();
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The line that a row was made of; what it leaves to the table is made again.
pub(super) fn line_of(mut row: Value) -> Value {
    let own = |object: &mut Map<String, Value>| {
        let is =
            |kind: &str, object: &Map<String, Value>| object.get("line").is_some_and(|line| line == kind);
        if is("fact", object) {
            let at = object.get("at_ns").and_then(Value::as_i64).unwrap_or_default();
            object.insert("time".to_owned(), UnixNanos(at).to_string().into());
        }
    };
    if let Some(object) = row.as_object_mut() {
        own(object);
    }
    row
}
