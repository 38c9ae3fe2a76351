//! Nothing that a file can hold makes the program panic, hang or invent a failure: seeds of the fuzzer, mutations of
//! them, and the damaged, odd and unrelated files of the corpus.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rayon::prelude::*;
use rdpwhy::read::{Kind, Unwatched};
use rdpwhy::report::{json, text};
use rdpwhy::{Analysis, Options, analyze};
use rdpwhy_fuzz::{TARGETS, Target};

/// Where the corpus is, when not beside the project.
const CORPUS: &str = "RDPWHY_CORPUS";
/// Set where a missing corpus must fail the tests instead of skipping them.
const REQUIRE_CORPUS: &str = "RDPWHY_REQUIRE_CORPUS";
/// How long one small file may take; without optimisation everything takes several times as long.
const FILE_TIME_MAX: Duration = Duration::from_millis(if cfg!(debug_assertions) { 2_000 } else { 1_000 });
/// Mutations of all seeds of one target together.
const MUTATIONS: usize = 2_000;
/// The same for targets that read whole captures, or write every form of an answer.
const MUTATIONS_OF_CAPTURES: usize = 500;
/// How many times as many mutations are wanted: for a long run by hand, in release.
const TIMES: &str = "RDPWHY_MUTATIONS_TIMES";

#[test]
fn every_target_has_a_binary_and_seeds() {
    let names: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let binaries = files(&fuzz().join("fuzz_targets"));
    let stems = binaries.iter().map(|path| path.file_stem().unwrap().to_string_lossy().into_owned());
    assert_eq!(stems.collect::<BTreeSet<_>>(), names);
    let folders = files(&fuzz().join("seeds"));
    let folders = folders.iter().filter(|path| path.is_dir());
    let folders = folders.map(|path| path.file_name().unwrap().to_string_lossy().into_owned());
    assert_eq!(folders.collect::<BTreeSet<_>>(), names);
    for (name, _) in TARGETS {
        assert!(seeds(name).len() >= 3, "too few seeds of {name}");
    }
}

#[test]
fn seeds_break_no_promise() {
    for (name, target) in TARGETS {
        for (seed, bytes) in seeds(name) {
            let _told_on_panic = Running::new(name, &seed, &bytes);
            target(&bytes);
        }
    }
}

#[test]
fn mutated_seeds_break_no_promise() {
    let times = std::env::var(TIMES).map_or(1, |times| times.parse().unwrap());
    TARGETS.par_iter().for_each(|(name, target)| {
        let reads_captures =
            matches!(*name, "capture" | "pipeline" | "slice" | "dialogue" | "evtx" | "reports");
        let count = if reads_captures { MUTATIONS_OF_CAPTURES } else { MUTATIONS };
        mutate_all(name, *target, count * times);
    });
}

/// Every seed is mutated equally often, by a generator that starts from the target's name: the same on every machine.
fn mutate_all(name: &str, target: Target, count: usize) {
    let seeds = seeds(name);
    let mut random = XorShift::named(name);
    for number in 0..count {
        let (seed, bytes) = &seeds[number % seeds.len()];
        let (_, other) = &seeds[random.below(seeds.len())];
        let mut mutant = bytes.clone();
        for _ in 0..=random.below(4) {
            mutate(&mut mutant, other, &mut random);
        }
        let _told_on_panic = Running::new(name, seed, &mutant);
        target(&mutant);
    }
}

/// One change: bits, a byte, a number of interest, a cut, a piece left out, repeated, moved in from another seed.
fn mutate(bytes: &mut Vec<u8>, other: &[u8], random: &mut XorShift) {
    const NUMBERS: [u32; 8] = [0, 1, 0x7f, 0xff, 0x7fff, 0xffff, 0x7fff_ffff, 0xffff_ffff];
    let at = random.below(bytes.len() + 1);
    let end = at + random.below((bytes.len() - at + 1).min(64));
    match random.below(8) {
        0 | 1 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
        2 if at < bytes.len() => bytes[at] = random.next().to_le_bytes()[0],
        3 => {
            let number = NUMBERS[random.below(NUMBERS.len())];
            let number = if random.below(2) == 0 { number.to_le_bytes() } else { number.to_be_bytes() };
            let width = [1, 2, 4][random.below(3)];
            bytes.iter_mut().skip(at).zip(number.iter().take(width)).for_each(|(old, new)| *old = *new);
        }
        4 => bytes.truncate(at),
        5 => drop(bytes.drain(at..end)),
        6 => {
            let piece = bytes[at..end].to_vec();
            bytes.splice(at..at, piece);
        }
        _ => {
            let from = random.below(other.len() + 1);
            let length = random.below((other.len() - from + 1).min(256));
            bytes.splice(at..end, other[from..from + length].iter().copied());
        }
    }
}

/// A generator of numbers (xorshift64).
struct XorShift(u64);

impl XorShift {
    fn named(name: &str) -> Self {
        let hash = |sum: u64, byte: u8| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        Self(name.bytes().fold(0xcbf2_9ce4_8422_2325, hash))
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() >> 16).unwrap() % limit
    }
}

/// What is being run, said only when the run does not come to its end.
struct Running<'a>(&'a str, &'a str, &'a [u8]);

impl<'a> Running<'a> {
    fn new(target: &'a str, seed: &'a str, bytes: &'a [u8]) -> Self {
        Self(target, seed, bytes)
    }
}

impl Drop for Running<'_> {
    #[expect(clippy::print_stderr, reason = "a test tells which input broke it")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Self(target, seed, bytes) = *self;
            let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("broke-{target}"));
            let kept = fs::write(&kept, bytes).map_or("nowhere".to_owned(), |()| kept.display().to_string());
            eprintln!("target {target}, from seed {seed}, {} bytes, kept in {kept}", bytes.len());
        }
    }
}

#[test]
fn damaged_captures_say_what_was_unreadable() {
    for (path, analysis) in corpus("public/pcap-malformed") {
        let read: u64 = analysis.counts.iter().flatten().map(|counts| counts.packets()).sum();
        assert!(read > 0 || !analysis.notes.is_empty(), "{path:?}: no packet and not a word about it");
    }
}

#[test]
fn odd_captures_are_read_or_named() {
    for (path, analysis) in corpus("public/pcap-edge") {
        let read: u64 = analysis.counts.iter().flatten().map(|counts| counts.packets()).sum();
        let kind = analysis.inventory.inputs.first().map(|input| input.kind);
        let whole_but_empty = kind.is_some_and(Kind::is_capture);
        assert!(read > 0 || whole_but_empty || !analysis.notes.is_empty(), "{path:?}: not a word about it");
    }
}

#[test]
fn captures_without_rdp_hold_no_failure() {
    for (path, analysis) in corpus("public/pcap-negative") {
        let failed: Vec<_> =
            analysis.story.sessions.iter().filter(|session| session.outcome.is_failure()).collect();
        assert!(failed.is_empty(), "{path:?}: {failed:?}");
        let failed = analysis.story.attempts.iter().any(|attempt| attempt.outcome.is_failure());
        assert!(!failed, "{path:?}: an attempt failed");
    }
}

/// Every file of a folder of the corpus, each analysed and reported in time; nothing, said aloud, without the corpus.
fn corpus(folder: &str) -> Vec<(PathBuf, Analysis)> {
    let Some(root) = corpus_root(folder) else { return Vec::new() };
    let paths = files(&root.join(folder));
    assert!(paths.len() > 20, "{folder} of the corpus has {} files", paths.len());
    paths.into_iter().map(|path| (path.clone(), in_time(&path))).collect()
}

fn corpus_root(folder: &str) -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus");
    let root = std::env::var_os(CORPUS).map_or(beside, PathBuf::from);
    if root.join(folder).is_dir() {
        return Some(root);
    }
    assert!(
        std::env::var_os(REQUIRE_CORPUS).is_none(),
        "no {folder} in {root:?} and {REQUIRE_CORPUS} is set"
    );
    aloud!("SKIPPED: no corpus in {root:?} (set {CORPUS}), so {folder} was not read");
    None
}

#[expect(clippy::disallowed_methods, reason = "the test measures time, the library does not")]
fn in_time(path: &Path) -> Analysis {
    let started = Instant::now();
    let options = Options { paths: vec![path.to_owned()], ..Options::default() };
    // Threads of its own: those of all tests may be at another test's work while this one waits.
    let threads = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    let analysis = threads.install(|| analyze(&options, &Unwatched));
    let answer = text::answer(&analysis, text::Layout::default());
    let document = json::document(&analysis, &[]).unwrap();
    let taken = started.elapsed();
    assert!(taken < FILE_TIME_MAX, "{path:?} took {taken:?}");
    assert!(!answer.is_empty() && document.ends_with('\n'), "{path:?}: no answer");
    analysis
}

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

#[expect(clippy::disallowed_methods, reason = "the test reads its own seeds")]
fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
    let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
    let paths = files(&fuzz().join("seeds").join(target));
    paths.iter().map(|path| (name(path), fs::read(path).unwrap())).collect()
}

#[expect(clippy::disallowed_methods, reason = "the test lists its own seeds and the corpus")]
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}
