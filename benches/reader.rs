//! The reader alone: packets to flows, for each kind of traffic, with a count and a hash of the flows beside the time.

use std::fmt::{self, Write};

use crate::made::{self, Answer, Capture, Traffic};
use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use rdpwhy::read::{Flow, Half, Inventory, Unwatched, capture};
use rdpwhy::wire::keylog::KeyLog;

/// A capture and what the reader makes of it; its text stands beside the time.
struct Case {
    traffic: Traffic,
    capture: Capture,
    answer: Answer,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}, {} packets: {}", self.traffic, self.capture.packets, self.answer)
    }
}

fn cases() -> impl Iterator<Item = Case> {
    [Traffic::Mixed, Traffic::MixedPcapng, Traffic::AllRdp].into_iter().map(|traffic| {
        let capture = made::capture(traffic, 1);
        let mut answer = Answer::NOTHING;
        read(&made::inventory(std::slice::from_ref(&capture)), &mut |flow| answer.add(&told(&flow)));
        Case { traffic, capture, answer }
    })
}

#[divan::bench(args = cases())]
fn packets_to_flows(bencher: Bencher<'_, '_>, case: &Case) {
    let inventory = made::inventory(std::slice::from_ref(&case.capture));
    bencher
        .counter(BytesCount::new(case.capture.bytes))
        .counter(ItemsCount::new(case.capture.packets))
        .bench(|| read(&inventory, &mut |flow| drop(divan::black_box(flow))));
}

fn read(inventory: &Inventory, sink: &mut dyn FnMut(Flow)) {
    for source in &inventory.sources {
        let read = capture::read_source(source, &inventory.inputs, &KeyLog::default(), &Unwatched, sink);
        assert!(read.inputs.iter().all(|input| input.counts.packets > 0));
    }
}

/// Everything of a flow that a later step can see of its bytes and packets.
fn told(flow: &Flow) -> String {
    let mut text = format!("{} {} {:?} {:?}", flow.client, flow.server, flow.first, flow.last);
    for half in [&flow.from_client, &flow.from_server] {
        half_told(half, &mut text).unwrap();
    }
    text
}

fn half_told(half: &Half, text: &mut String) -> fmt::Result {
    write!(text, " {} {:?} {:?} {:?}", half.packets, half.isn, half.fin, half.reset)?;
    write!(text, " {} {} {}", half.claimed_end, half.acknowledged, half.retransmissions)?;
    for start in half.stream.starts() {
        write!(text, " {start} {:?} {:02x?}", half.stream.seen(start), half.stream.from(start))?;
    }
    Ok(())
}
