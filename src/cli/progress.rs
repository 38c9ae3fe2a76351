//! How far the work is: a bar on a terminal, with `-v` a line now and then elsewhere, and what an interrupt says.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use indicatif::{HumanBytes, ProgressBar, ProgressState, ProgressStyle};
use rdpwhy::read::{Found, Inventory, Kind, Watch};
use rdpwhy::report::safe::printable;

/// How long the work takes before the first line is written where there is no terminal, and then from line to line.
const FIRST_LINE: Duration = Duration::from_secs(1);
const NEXT_LINE: Duration = Duration::from_secs(5);
/// How often the bar is drawn while nothing is read.
const TICK: Duration = Duration::from_millis(100);

/// How far the work is. Clones are one and the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Progress(Arc<State>);

#[derive(Debug, Default)]
struct State {
    bytes: AtomicU64,
    /// Bytes of all inputs; 0 where nobody knows.
    total: AtomicU64,
    connections: AtomicU64,
    records: AtomicU64,
    /// What is done, and the input that was begun last.
    now: Mutex<(&'static str, String)>,
}

impl Progress {
    fn add(of: &AtomicU64, count: u64) {
        of.fetch_add(count, Ordering::Relaxed);
    }

    fn number(of: &AtomicU64) -> u64 {
        of.load(Ordering::Relaxed)
    }

    /// Something else is done from now on, with so many bytes to read; 0 where nobody knows.
    pub(crate) fn begin(&self, phase: &'static str, total: u64) {
        self.0.bytes.store(0, Ordering::Relaxed);
        self.0.total.store(total, Ordering::Relaxed);
        self.with_now(|now| *now = (phase, String::new()));
    }

    fn with_now<T>(&self, act: impl FnOnce(&mut (&'static str, String)) -> T) -> T {
        act(&mut self.0.now.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// `reading, 1.20 MiB of 4.00 MiB, server.pcap, 12 connections`, as far as there is something to say.
    pub(crate) fn told(&self) -> String {
        let (phase, input) = self.with_now(|now| now.clone());
        let (bytes, total) = (Self::number(&self.0.bytes), Self::number(&self.0.total));
        let mut text = if phase.is_empty() { "beginning".to_owned() } else { phase.to_owned() };
        if total > 0 {
            let _ = write!(text, ", {} of {}", HumanBytes(bytes.min(total)), HumanBytes(total));
        } else if bytes > 0 {
            let _ = write!(text, ", {}", HumanBytes(bytes));
        }
        if !input.is_empty() {
            let _ = write!(text, ", {}", printable(&input));
        }
        let found = self.found();
        if !found.is_empty() {
            let _ = write!(text, ", {found}");
        }
        text
    }

    fn found(&self) -> String {
        let counts = [(&self.0.connections, "connection"), (&self.0.records, "record")];
        let some =
            counts.into_iter().map(|(of, name)| (Self::number(of), name)).filter(|(count, _)| *count > 0);
        let texts: Vec<String> = some
            .map(|(count, name)| format!("{count} {name}{}", if count == 1 { "" } else { "s" }))
            .collect();
        texts.join(", ")
    }
}

/// Shows the progress while one thing is done.
pub(crate) struct Bar {
    progress: Progress,
    bar: ProgressBar,
    /// Ends the lines when it is dropped.
    lines: Mutex<Option<Sender<()>>>,
}

impl Bar {
    /// Over all inputs, which are read `times` times.
    pub(crate) fn over(
        (phase, inventory, times): (&'static str, &Inventory, u64),
        progress: &Progress,
        (quiet, verbose): (bool, bool),
    ) -> Self {
        // Of an archive only what lies in it is read.
        let read = || inventory.inputs.iter().filter(|input| input.kind != Kind::Zip);
        let known: u64 = read().map(|input| input.bytes).sum();
        let is_known = read().all(|input| input.bytes > 0 || input.path.is_some());
        let total = if is_known { known.saturating_mul(times) } else { 0 };
        progress.begin(phase, total);
        let is_terminal = io::stderr().is_terminal();
        let bar = if quiet || !is_terminal { ProgressBar::hidden() } else { drawn(phase, total, progress) };
        let lines = (verbose && !quiet && !is_terminal).then(|| lines(progress.clone()));
        Self { progress: progress.clone(), bar, lines: Mutex::new(lines) }
    }

    /// Takes the bar off the screen.
    pub(crate) fn done(&self) {
        self.bar.finish_and_clear();
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.done();
    }
}

fn drawn(phase: &'static str, total: u64, progress: &Progress) -> ProgressBar {
    let template = match total {
        0 => "{prefix} {spinner} {bytes} {bytes_per_sec} {now}",
        _ => "{prefix} {bar:24} {bytes}/{total_bytes} {bytes_per_sec} {eta} {now}",
    };
    let bar = if total > 0 { ProgressBar::new(total) } else { ProgressBar::new_spinner() };
    set_style(&bar, template, progress);
    bar.set_prefix(phase);
    bar.enable_steady_tick(TICK);
    bar
}

fn set_style(bar: &ProgressBar, template: &str, progress: &Progress) {
    let shown = progress.clone();
    let now = move |_: &ProgressState, out: &mut dyn std::fmt::Write| {
        let (input, found) = (shown.with_now(|now| now.1.clone()), shown.found());
        let parts: Vec<&str> =
            [input.as_str(), found.as_str()].into_iter().filter(|part| !part.is_empty()).collect();
        let _ = out.write_str(&printable(&parts.join(", ")));
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.with_key("now", now));
    }
}

/// Writes a line now and then until the sender is dropped.
fn lines(progress: Progress) -> Sender<()> {
    let (sender, ends) = channel();
    std::thread::spawn(move || {
        let (mut wait, mut before) = (FIRST_LINE, 0);
        while ends.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
            let bytes = Progress::number(&progress.0.bytes);
            let rate = bytes.saturating_sub(before) / wait.as_secs().max(1);
            let left = Progress::number(&progress.0.total).saturating_sub(bytes).checked_div(rate);
            let left = left.filter(|_| Progress::number(&progress.0.total) > bytes);
            let left = left.map(|seconds| format!(", about {seconds} s left")).unwrap_or_default();
            // Standard error that is closed leaves nobody to tell.
            let _ = writeln!(io::stderr(), "{}, {}/s{left}", progress.told(), HumanBytes(rate));
            (wait, before) = (NEXT_LINE, bytes);
        }
    });
    sender
}

impl Watch for Bar {
    fn read(&self, bytes: u64) {
        Progress::add(&self.progress.0.bytes, bytes);
        self.bar.inc(bytes);
    }

    fn begins(&self, input: &str) {
        self.progress.with_now(|now| now.1 = input.to_owned());
    }

    fn found(&self, what: Found, count: u64) {
        let of = match what {
            Found::Connection => &self.progress.0.connections,
            Found::Record => &self.progress.0.records,
        };
        Progress::add(of, count);
    }

    fn judging(&self) {
        self.progress.with_now(|now| *now = ("joining and judging", String::new()));
        self.bar.set_prefix("joining and judging");
        set_style(&self.bar, "{prefix} {spinner} {now}", &self.progress);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_done_is_told_as_far_as_it_is_known() {
        let progress = Progress::default();
        assert_eq!(progress.told(), "beginning");
        progress.begin("reading", 0);
        let bar = Bar { progress: progress.clone(), bar: ProgressBar::hidden(), lines: Mutex::new(None) };
        bar.read(2_048);
        assert_eq!(progress.told(), "reading, 2.00 KiB");
        progress.begin("reading", 4_096);
        bar.read(1_024);
        bar.begins("a\u{1b}[31m.pcap");
        (0..2).for_each(|_| bar.found(Found::Connection, 1));
        bar.found(Found::Record, 1);
        assert_eq!(
            progress.told(),
            "reading, 1.00 KiB of 4.00 KiB, a\\u{1b}[31m.pcap, 2 connections, 1 record"
        );
        bar.judging();
        assert_eq!(progress.told(), "joining and judging, 1.00 KiB of 4.00 KiB, 2 connections, 1 record");
    }
}
