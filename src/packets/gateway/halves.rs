//! The HTTP transport of a gateway that nothing opens: two connections of one client, each with the sizes of one side of a
//! tunnel, which belong together when their packets take turns.

use super::sizes::{Record, Tunnel, is_over, records};
use super::{Told, ends};
use crate::fact::What;
use crate::packets::layers::proxy;
use crate::packets::{Reader, tcp};
use crate::read::flow::{Flow, Sighting};
use crate::wire::gateway_sizes::{CHANNELS, Sized, half};
use crate::wire::keylog::KeyLog;

/// A client opens the second connection at once; people who type a password for it again take longer.
const APART_NS: i64 = 120_000_000_000;

/// One of both connections.
pub(super) struct Half {
    flow: Flow,
    /// What a proxy in front of the gateway was asked and answered.
    proxied: Vec<(Sighting, What)>,
    sends: bool,
    /// What the side that speaks sent, from its first packet on.
    records: Vec<Record>,
}

impl Half {
    /// The half that this connection has the sizes of.
    pub(super) fn of(mut flow: Flow, witness_index: u32, keys: &KeyLog) -> Option<Self> {
        let mut proxied = Vec::new();
        if let Some(layered) = proxy::open(&flow) {
            (flow, proxied) = (layered.flow, layered.said);
        }
        let all = records(&flow, witness_index, keys)?;
        let sizes: Vec<Sized> = all.iter().map(|(one, _)| *one).collect();
        let found = half(&sizes)?;
        let spoken = all.into_iter().skip(found.at).filter(|(one, _)| one.from_client == found.sends);
        let records = spoken.collect();
        Some(Self { flow, proxied, sends: found.sends, records })
    }

    /// The tunnel of this connection, on which the client receives, and the other, on which it sends.
    fn tunnel(&self, other: &Self) -> Option<Tunnel> {
        let (here, there) = (&self.flow, &other.flow);
        let same_ends = here.client.ip() == there.client.ip() && here.server == there.server;
        let beside = there.first.at.since(here.first.at).abs() <= APART_NS
            && here.first <= there.last
            && there.first <= here.last;
        if self.sends || !other.sends || !same_ends || !beside {
            return None;
        }
        let mut all = [self.records.clone(), other.records.clone()].concat();
        all.sort_by_key(|(_, seen)| *seen);
        let tunnel = CHANNELS.iter().find_map(|framing| Tunnel::of(all.clone(), *framing))?;
        (!tunnel.is_refused() || is_over(here) || is_over(there)).then_some(tunnel)
    }
}

/// What the halves that belong together hold.
pub(super) fn told(halves: Vec<Half>, witness_index: u32, keys: &KeyLog) -> Vec<Told> {
    let mut halves: Vec<Option<Half>> = halves.into_iter().map(Some).collect();
    let mut told = Vec::new();
    for index in 0..halves.len() {
        let Some(out) = halves.get_mut(index).and_then(|half| half.take_if(|half| !half.sends)) else {
            continue;
        };
        // Behind NAT many clients have one address: the connection that began nearest is the likeliest.
        let apart = |other: &Half| other.flow.first.at.since(out.flow.first.at).abs();
        let mut nearest: Vec<(i64, usize)> =
            halves.iter().enumerate().filter_map(|(at, other)| Some((apart(other.as_ref()?), at))).collect();
        nearest.sort_unstable();
        let found = nearest.into_iter().find_map(|(_, at)| {
            let other = halves.get_mut(at)?;
            Some((out.tunnel(other.as_ref()?)?, other.take()?))
        });
        if let Some((tunnel, other)) = found {
            told.push(tell(&tunnel, &out, &other, witness_index, keys));
        }
    }
    told
}

fn tell(tunnel: &Tunnel, out: &Half, other: &Half, witness_index: u32, keys: &KeyLog) -> Told {
    let ends = ends(&out.flow, Some(&other.flow));
    let mut reader = Reader::new(&out.flow, witness_index, keys);
    if let Some(outer) = out.flow.outer {
        reader.say(out.flow.first, What::Tunnelled { kind: outer.kind, from: outer.from, to: outer.to });
    }
    for (seen, what) in &out.proxied {
        reader.say(*seen, what.clone());
    }
    tcp::opening(&mut reader);
    reader.flow = &ends;
    tunnel.say(&mut reader, "http");
    tcp::ending(&mut reader);
    reader.finish()
}
