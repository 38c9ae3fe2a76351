//! Two things compared in one run, taking turns, best of several: times on one machine vary more between runs than
//! between programs, ratios of one run do not.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::made::{self, Answer, Capture, Traffic};
use rayon::ThreadPoolBuilder;
use rdpwhy::read::Unwatched;
use rdpwhy::{Options, analyze};

/// Turns under `cargo bench`; one when it runs as a test.
const TURNS: u32 = 9;

/// Compares 1 thread with 2, and the program with others that read captures and event logs.
pub(crate) fn run(is_test: bool) {
    let turns = if is_test { 1 } else { TURNS };
    let captures = [made::capture(Traffic::Mixed, 1), made::capture(Traffic::Mixed, 2)];
    threads(&captures, turns);
    programs(&captures[0], turns);
    logs(&made::logs(), turns);
}

/// One thing to run, with what it says it found.
struct Rival {
    name: String,
    run: Box<dyn FnMut() -> String>,
}

/// Runs the rivals in turn and prints the best time of each, as it is and against the first.
fn compare(title: &str, rivals: &mut [Rival], turns: u32) {
    let mut best = vec![(Duration::MAX, String::new()); rivals.len()];
    for _ in 0..turns {
        for (rival, best) in rivals.iter_mut().zip(&mut best) {
            let started = Instant::now();
            let found = (rival.run)();
            let taken = started.elapsed();
            assert!(
                best.1.is_empty() || best.1 == found,
                "{} answers {found}, before {}",
                rival.name,
                best.1
            );
            *best = (best.0.min(taken), found);
        }
    }
    println!("{title}, best of {turns} turns");
    let first = best[0].0.as_secs_f64();
    for (rival, (taken, found)) in rivals.iter().zip(&best) {
        let ratio = taken.as_secs_f64() / first;
        println!("  {:40} {taken:>10.3?}  x {ratio:<6.2} {found}", rival.name);
    }
}

fn threads(captures: &[Capture; 2], turns: u32) {
    let rival = |threads: usize| {
        let options = made::options(captures);
        let pool = ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let run = move || pool.install(|| pipe(&options)).to_string();
        Rival { name: format!("{threads} threads"), run: Box::new(run) }
    };
    compare("capture to verdicts, 2 sources", &mut [rival(1), rival(2)], turns);
}

fn pipe(options: &Options) -> Answer {
    made::verdicts(&analyze(options, &Unwatched))
}

/// Whole processes. The work is not equal: tcpdump looks at ports and counts, tshark decodes every layer and names the
/// packets of RDP, rdpwhy follows every connection and says why it broke.
fn programs(capture: &Capture, turns: u32) {
    let file = capture.path.to_str().unwrap();
    let mut rivals = vec![program(env!("CARGO_BIN_EXE_rdpwhy"), &["--quiet", file], "rdpwhy --quiet FILE")];
    let others: [(&str, &[&str], &str); 2] = [
        ("tcpdump", &["-n", "--count", "-r", file, "port 3389"], "tcpdump -n --count -r FILE 'port 3389'"),
        ("tshark", &["-n", "-r", file, "-Y", "rdp"], "tshark -n -r FILE -Y rdp"),
    ];
    for (name, arguments, shown) in others {
        if Command::new(name).arg("--version").output().is_ok_and(|out| out.status.success()) {
            rivals.push(program(name, arguments, shown));
        } else {
            println!("SKIPPED: {name} is not installed");
        }
    }
    let title = format!("one capture of {} packets, {} bytes", capture.packets, capture.bytes);
    compare(&title, &mut rivals, turns);
}

/// Event logs: facts of what is wanted by one process, and every record as JSON by one process for each file, nothing
/// written. The aim is 6 times as fast.
fn logs(files: &[PathBuf], turns: u32) {
    let all: Vec<&OsStr> = files.iter().map(|file| file.as_os_str()).collect();
    let facts = ["facts", "--quiet", "--threads", "2"].map(OsStr::new);
    let rdpwhy = [facts.as_slice(), &all].concat();
    let mut rivals =
        vec![silent(env!("CARGO_BIN_EXE_rdpwhy"), vec![rdpwhy], "rdpwhy facts --quiet --threads 2 FILES")];
    if Command::new("evtx_dump").arg("--version").output().is_ok_and(|out| out.status.success()) {
        let dump = ["-t", "2", "-o", "jsonl"].map(OsStr::new);
        let each = all.iter().map(|file| [dump.as_slice(), &[*file]].concat()).collect();
        rivals.push(silent("evtx_dump", each, "evtx_dump -t 2 -o jsonl, each file"));
    } else {
        println!("SKIPPED: evtx_dump is not installed");
    }
    let bytes: u64 = files.iter().map(|file| file.metadata().unwrap().len()).sum();
    compare(&format!("{} event logs, {bytes} bytes", files.len()), &mut rivals, turns);
}

/// Processes one after the other, their output thrown away; what it is was looked at once before.
fn silent(name: &str, runs: Vec<Vec<&OsStr>>, shown: &str) -> Rival {
    let command = |arguments: &Vec<&OsStr>| {
        let mut command = Command::new(name);
        command.args(arguments).stdin(Stdio::null()).stderr(Stdio::null());
        command
    };
    let mut commands: Vec<Command> = runs.iter().map(command).collect();
    let mut answer = Answer::NOTHING;
    for command in &mut commands {
        let out = command.output().unwrap();
        String::from_utf8_lossy(&out.stdout).lines().for_each(|line| answer.add(line));
        command.stdout(Stdio::null());
    }
    let run = move || {
        commands.iter_mut().for_each(|command| assert!(command.status().unwrap().success(), "{command:?}"));
        format!("lines {answer}")
    };
    Rival { name: shown.to_owned(), run: Box::new(run) }
}

fn program(name: &str, arguments: &[&str], shown: &str) -> Rival {
    let mut command = Command::new(name);
    command.args(arguments).stdin(Stdio::null());
    let run = move || {
        let out = command.output().unwrap();
        assert!(out.status.success(), "{command:?}: {}", String::from_utf8_lossy(&out.stderr));
        let mut answer = Answer::NOTHING;
        String::from_utf8_lossy(&out.stdout).lines().for_each(|line| answer.add(line));
        format!("lines {answer}")
    };
    Rival { name: shown.to_owned(), run: Box::new(run) }
}
