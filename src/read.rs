//! Files to flows: the only code that opens files. Readers return values and notes; one bad packet costs one packet,
//! one bad file one file.

pub mod record;
pub mod evtx;
pub mod flow;
pub mod stream;
mod export;
pub mod archive;
pub mod inputs;
pub mod hashes;
pub mod facts;
pub mod keys;
mod watched;
pub mod capture;
pub mod again;
pub mod link;
pub mod listed;
pub mod fragments;
pub mod neighbours;
pub mod udp;
pub mod table;

use std::path::PathBuf;

use listed::Listed;

use crate::note::Note;
use crate::time::UnixNanos;

pub use evtx::LogCounts;
pub use flow::{Flow, Half, Sighting};
pub use inputs::{Input, Inventory, Kind, Source};
pub use keys::Keys;
pub use record::{Event, Record};
pub use udp::UdpFlow;

/// Told of progress while files are read; the library itself prints nothing.
pub trait Watch: Sync {
    /// `bytes` more were read of some input, as the file counts them: what is compressed counts compressed.
    fn read(&self, bytes: u64);
    /// The input of this name is begun; several are read at one time.
    fn begins(&self, _input: &str) {}
    /// So many connections of a capture, or records of a log, are such that matter.
    fn found(&self, _what: Found, _count: u64) {}
    /// Reading is over; what follows takes little time.
    fn judging(&self) {}
}

/// What was found while files are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// An RDP connection, or a UDP transport of one.
    Connection,
    /// A record of an event log.
    Record,
}

/// Watches nothing.
#[derive(Debug, Clone, Copy)]
pub struct Unwatched;

impl Watch for Unwatched {
    fn read(&self, _bytes: u64) {}
}

/// What a capture file held, counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CaptureCounts {
    /// Packets read.
    pub packets: u64,
    /// Packets shorter in the file than on the wire.
    pub packets_cut: u64,
    /// Packets that the capturing program says it lost.
    pub packets_dropped: u64,
    /// Packets whose headers could not be read.
    pub packets_unreadable: u64,
    /// Blocks of TLS secrets.
    pub secrets_blocks: u64,
    /// Time of the first and the last packet.
    pub covers: Option<(UnixNanos, UnixNanos)>,
}

/// What one input held, counted, by what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Counts {
    /// A capture.
    Capture(CaptureCounts),
    /// An event log.
    Log(LogCounts),
}

impl Counts {
    /// Packets of a capture; 0 of a log.
    #[must_use]
    pub const fn packets(&self) -> u64 {
        match self {
            Self::Capture(held) => held.packets,
            Self::Log(_) => 0,
        }
    }
}

/// What one input held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputRead {
    /// Index of the input.
    pub input_index: u32,
    /// Counts.
    pub counts: CaptureCounts,
}

/// What one source held: the flows go to a sink while it is read, the rest is here.
#[derive(Debug, Clone, Default)]
pub struct SourceRead {
    /// One entry per file.
    pub inputs: Vec<InputRead>,
    /// UDP transports, in the order of their SYNs.
    pub udp: Vec<UdpFlow>,
    /// Names of addresses that its files list.
    pub names: Listed,
    /// What was lost.
    pub notes: Vec<Note>,
}

/// Paths as the user gave them, with wildcards that no shell expanded.
#[must_use]
pub fn expand(paths: &[PathBuf]) -> Vec<PathBuf> {
    let mut expanded = Vec::new();
    for path in paths {
        let text = path.to_string_lossy();
        let wild = text.contains(['*', '?', '[']) && !path.exists();
        let found: Vec<PathBuf> = match wild.then(|| glob::glob(&text)) {
            Some(Ok(matches)) => matches.flatten().collect(),
            _ => Vec::new(),
        };
        if found.is_empty() { expanded.push(path.clone()) } else { expanded.extend(found) }
    }
    expanded
}
