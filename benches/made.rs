//! Generated captures for the benches: the same bytes for the same parameters, kept between runs.

use std::fmt;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use rdpwhy::read::inputs::{self, Inventory};
use rdpwhy::{Analysis, Options};
use rdpwhy_lab::capture::{Bulk, ByteOrder, Interface, LINKTYPE_ETHERNET, PcapWriter, PcapngWriter};
use rdpwhy_lab::evtx;

/// Packets of one capture; small by default, so that every bench also runs as a test.
pub(crate) const PACKETS: &str = "RDPWHY_BENCH_PACKETS";
const PACKETS_DEFAULT: u64 = 20_000;

/// Packets as the environment wants them.
pub(crate) fn packets() -> u64 {
    std::env::var(PACKETS).map_or(PACKETS_DEFAULT, |packets| packets.parse().unwrap())
}

/// A kind of traffic in a kind of file.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Traffic {
    /// Two of a hundred flows are RDP; pcap.
    Mixed,
    /// The same in pcapng.
    MixedPcapng,
    /// Every flow is RDP; pcap.
    AllRdp,
}

/// A capture on disk.
#[derive(Debug, Clone)]
pub(crate) struct Capture {
    /// Where.
    pub(crate) path: PathBuf,
    /// Its size.
    pub(crate) bytes: u64,
    /// Its packets.
    pub(crate) packets: u64,
}

/// What came out, so that a faster wrong answer shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Answer {
    count: u64,
    hash: u64,
}

impl Answer {
    /// Nothing yet.
    pub(crate) const NOTHING: Self = Self { count: 0, hash: 0xcbf2_9ce4_8422_2325 };

    /// One more thing came out, by its text (FNV-1a).
    pub(crate) fn add(&mut self, thing: &str) {
        self.count += 1;
        for byte in thing.bytes().chain([0]) {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "count={} hash={:#018x}", self.count, self.hash)
    }
}

/// Writes the capture, or takes the one that an earlier run wrote.
pub(crate) fn capture(traffic: Traffic, seed: u64) -> Capture {
    let packets = packets();
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("bench-{traffic:?}-{seed}-{packets}"));
    if File::open(&path).is_err() {
        let partial = path.with_extension(format!("part{}", std::process::id()));
        let file = BufWriter::with_capacity(1 << 20, File::create(&partial).unwrap());
        write(file, traffic, seed, packets);
        fs::rename(&partial, &path).unwrap();
    }
    let bytes = fs::metadata(&path).unwrap().len();
    Capture { path, bytes, packets }
}

fn write(file: BufWriter<File>, traffic: Traffic, seed: u64, packets: u64) {
    let rdp_per_mille = if matches!(traffic, Traffic::AllRdp) { 1000 } else { 20 };
    let bulk = Bulk { seed, packets, rdp_per_mille, ..Bulk::default() };
    if matches!(traffic, Traffic::MixedPcapng) {
        let mut pcapng = PcapngWriter::new(file, ByteOrder::Little).unwrap();
        pcapng.interface(Interface::new(LINKTYPE_ETHERNET)).unwrap();
        bulk.write(&mut pcapng).unwrap();
        pcapng.finish().unwrap().flush().unwrap();
    } else {
        let mut pcap = PcapWriter::new(file, LINKTYPE_ETHERNET).unwrap();
        bulk.write(&mut pcap).unwrap();
        pcap.finish().unwrap().flush().unwrap();
    }
}

/// Megabytes of event logs in all.
const LOG_MEGABYTES: &str = "RDPWHY_BENCH_LOG_MEGABYTES";
const LOG_MEGABYTES_DEFAULT: u64 = 8;

/// Writes the event logs, or takes those that an earlier run wrote.
pub(crate) fn logs() -> Vec<PathBuf> {
    let megabytes =
        std::env::var(LOG_MEGABYTES).map_or(LOG_MEGABYTES_DEFAULT, |number| number.parse().unwrap());
    let path = |(log, parts, bytes): &(evtx::BulkLog, u64, u64)| {
        let name = format!("bench-{log:?}-{megabytes}.evtx");
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        if File::open(&path).is_err() {
            let partial = path.with_extension(format!("part{}", std::process::id()));
            let records = megabytes * 1_000_000 / 100 * parts / bytes;
            let bulk = evtx::Bulk { seed: 1, log: *log, records, start_ns: 1_740_000_000_000_000_000 };
            let file = BufWriter::with_capacity(1 << 20, File::create(&partial).unwrap());
            bulk.write(file).unwrap().0.flush().unwrap();
            fs::rename(&partial, &path).unwrap();
        }
        path
    };
    evtx::BulkLog::MIX.iter().map(path).collect()
}

/// The captures as the program finds them.
pub(crate) fn inventory(captures: &[Capture]) -> Inventory {
    let paths: Vec<PathBuf> = captures.iter().map(|capture| capture.path.clone()).collect();
    inputs::inventory(&paths, &[])
}

/// The captures as the program is given them.
pub(crate) fn options(captures: &[Capture]) -> Options {
    let paths = captures.iter().map(|capture| capture.path.clone()).collect();
    Options { paths, ..Options::default() }
}

/// Facts and causes of every session: what does not depend on where the files lie.
pub(crate) fn verdicts(analysis: &Analysis) -> Answer {
    let mut answer = Answer::NOTHING;
    for (session, verdicts) in analysis.story.sessions.iter().zip(&analysis.verdicts) {
        let facts: Vec<String> = session.facts.iter().map(|seen| seen.what().text()).collect();
        let causes: Vec<_> = verdicts.iter().map(|verdict| (verdict.rule.id, verdict.confidence())).collect();
        answer.add(&format!("{} {:?} {facts:?} {causes:?}", session.id, session.outcome));
    }
    answer
}
