//! Memory does not grow with the capture: a large generated file is analysed by the program itself, within a stated
//! limit and with the right answer.

use std::fs::{self, File};
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use rdpwhy_lab::capture::{Bulk, LINKTYPE_ETHERNET, Made, PcapWriter};

/// Size of the capture in bytes.
const SIZE: &str = "RDPWHY_TEST_CAPTURE_BYTES";
const SIZE_DEFAULT: u64 = 64 * 1024 * 1024;
/// What Bulk's frames come to.
const BYTES_PER_PACKET: u64 = 750;
/// What the program may take at its peak, for any size up to 2 GB: 64 MB, 256 bytes a flow, and the answer. The file of
/// 2 GB is ten times as large.
const PEAK_BYTES_MAX: u64 = 200 * 1000 * 1000;
/// For the size that `cargo test` makes.
const PEAK_BYTES_MAX_DEFAULT: u64 = 64 * 1000 * 1000;
/// Between two looks at the running program.
const LOOK_EVERY: Duration = Duration::from_millis(1);

#[test]
fn a_large_capture_is_read_in_little_memory() {
    let wanted = std::env::var(SIZE).map_or(SIZE_DEFAULT, |bytes| bytes.parse().unwrap());
    let limit = if wanted > SIZE_DEFAULT { PEAK_BYTES_MAX } else { PEAK_BYTES_MAX_DEFAULT };
    let (capture, made) = Capture::of(wanted);
    let (answer, peak) = run(&capture.0);
    let sessions = answer["sessions"].as_array().unwrap();
    let said = |key: &str| {
        let sessions = sessions.iter().filter(|session| session["negotiation"][key].is_u64());
        u64::try_from(sessions.count()).unwrap()
    };
    assert_eq!(answer["inputs"][0]["packets"], made.packets);
    assert_eq!(said("requested"), made.rdp_connections, "connections found and made");
    assert_eq!(said("failure_code"), made.rdp_refused, "refusals found and made");
    assert!(
        made.rdp_connections > 0 && made.rdp_refused > 0,
        "the capture holds what is looked for: {made:?}"
    );
    tell(&made, peak);
    if let Some(peak) = peak {
        assert!(peak < limit, "{peak} bytes at the peak, {limit} allowed, for {made:?}");
    }
}

#[expect(clippy::print_stderr, reason = "the number is worth reading, and a skipped test says so")]
fn tell(made: &Made, peak: Option<u64>) {
    match peak {
        Some(peak) => eprintln!("{} MB at the peak for {made:?}", peak / 1_000_000),
        None => {
            aloud!("SKIPPED: no /proc here, so memory was not measured");
        }
    }
}

/// A generated capture, removed when dropped.
struct Capture(PathBuf);

impl Capture {
    fn of(bytes: u64) -> (Self, Made) {
        let name = format!("bulk-{}.pcap", std::process::id());
        let capture = Self(Path::new(env!("CARGO_TARGET_TMPDIR")).join(name));
        let file = BufWriter::with_capacity(1 << 20, File::create(&capture.0).unwrap());
        let mut pcap = PcapWriter::new(file, LINKTYPE_ETHERNET).unwrap();
        let bulk = Bulk { packets: bytes / BYTES_PER_PACKET, ..Bulk::default() };
        let made = bulk.write(&mut pcap).unwrap();
        pcap.finish().unwrap().flush().unwrap();
        (capture, made)
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        // What cannot be removed lies in the folder for such files.
        let _ = fs::remove_file(&self.0);
    }
}

/// Runs the program and gives its answer with the most memory it ever had resident, where that can be known.
fn run(capture: &Path) -> (serde_json::Value, Option<u64>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rdpwhy"));
    command.args(["--quiet", "--format", "json"]).arg(capture).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut out = child.stdout.take().unwrap();
    let reader = thread::spawn(move || {
        let mut answer = Vec::new();
        out.read_to_end(&mut answer).map(|_| answer).unwrap()
    });
    let mut peak = None;
    while child.try_wait().unwrap().is_none() {
        peak = peak.max(resident_peak(child.id()));
        thread::sleep(LOOK_EVERY);
    }
    assert!(child.wait().unwrap().success());
    (serde_json::from_slice(&reader.join().unwrap()).unwrap(), peak)
}

/// The high-water mark that Linux keeps; it only rises, so the last look before the end is the one that counts.
#[expect(clippy::disallowed_methods, reason = "the test looks at the process it started")]
fn resident_peak(id: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kilobytes * 1024)
}
