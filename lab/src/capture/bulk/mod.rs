//! Large captures of mixed traffic, the same for the same seed: for benches and for tests of memory.

mod flow;
mod random;
mod talk;

use std::io;

use super::frame::FrameSink;
use flow::Flow;
use random::Random;
use talk::{Kind, Pool};

/// What to make.
#[derive(Clone, Copy, Debug)]
pub struct Bulk {
    /// The same seed gives the same bytes.
    pub seed: u64,
    /// Frames to write; they come to about 750 bytes each.
    pub packets: u64,
    /// Flows that are open at a time.
    pub flows_open: usize,
    /// How many of a thousand flows are RDP.
    pub rdp_per_mille: u32,
    /// Time of the first frame, in nanoseconds since 1970-01-01 UTC.
    pub start_ns: i64,
    /// Mean time from one frame to the next.
    pub gap_ns: u32,
}

/// What was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Made {
    /// Frames written.
    pub packets: u64,
    /// Their bytes, without the file's own headers.
    pub bytes: u64,
    /// Flows of every kind that have at least one frame.
    pub flows: u64,
    /// TCP connections whose X.224 Connection Request was written.
    pub rdp_connections: u64,
    /// Those of them that the server answered with a negotiation failure.
    pub rdp_refused: u64,
}

impl Default for Bulk {
    fn default() -> Self {
        let start_ns = 1_740_000_000_000_000_000;
        Self { seed: 1, packets: 100_000, flows_open: 500, rdp_per_mille: 20, start_ns, gap_ns: 50_000 }
    }
}

impl Bulk {
    /// Writes the traffic; memory depends on the open flows only.
    ///
    /// # Errors
    /// What the sink answers.
    pub fn write(&self, sink: &mut impl FrameSink) -> io::Result<Made> {
        let mut random = Random::new(self.seed);
        let pool = Pool::new(&mut random);
        let mut made = Made::default();
        let mut time_ns = self.start_ns;
        let mut flows: Vec<Flow> = Vec::new();
        let mut frame = Vec::with_capacity(2048);
        while made.packets < self.packets {
            if flows.len() < self.flows_open.max(1) {
                let kind = Kind::choose(&mut random, self.rdp_per_mille);
                flows.push(Flow::new(made.flows, kind, &mut random));
                made.flows += 1;
            }
            // The newest flow speaks at once, so that every counted flow has a frame; later any of them may.
            let newest = flows.len() - 1;
            let index =
                if flows[newest].is_new() { newest } else { random.below(flows.len() as u32) as usize };
            let Some(said) = flows[index].next(&mut random, &pool, &mut frame) else {
                flows.swap_remove(index);
                continue;
            };
            if said.lost {
                continue;
            }
            sink.take(time_ns, &frame)?;
            made.packets += 1;
            made.bytes += frame.len() as u64;
            made.rdp_connections += u64::from(said.rdp_request);
            made.rdp_refused += u64::from(said.rdp_failure);
            time_ns += i64::from(random.below(self.gap_ns.max(1) * 2));
        }
        Ok(made)
    }
}
