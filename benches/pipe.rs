//! The whole pipe: captures to verdicts, with a count and a hash of facts and verdicts beside the time.

use std::fmt;

use crate::made::{self, Answer, Capture, Traffic};
use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use rdpwhy::analyze;
use rdpwhy::read::Unwatched;

/// Captures and what the pipe makes of them; its text stands beside the time.
struct Case {
    traffic: Traffic,
    captures: Vec<Capture>,
    answer: Answer,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let packets: u64 = self.captures.iter().map(|capture| capture.packets).sum();
        write!(f, "{} x {:?}, {packets} packets: {}", self.captures.len(), self.traffic, self.answer)
    }
}

fn cases() -> impl Iterator<Item = Case> {
    [(Traffic::Mixed, 1), (Traffic::Mixed, 2), (Traffic::AllRdp, 1)].into_iter().map(|(traffic, sources)| {
        let captures: Vec<Capture> = (1..=sources).map(|seed| made::capture(traffic, seed)).collect();
        let answer = made::verdicts(&analyze(&made::options(&captures), &Unwatched));
        Case { traffic, captures, answer }
    })
}

#[divan::bench(args = cases())]
fn captures_to_verdicts(bencher: Bencher<'_, '_>, case: &Case) {
    let options = made::options(&case.captures);
    bencher
        .counter(BytesCount::new(case.captures.iter().map(|capture| capture.bytes).sum::<u64>()))
        .counter(ItemsCount::new(case.captures.iter().map(|capture| capture.packets).sum::<u64>()))
        .bench(|| analyze(&options, &Unwatched));
}
