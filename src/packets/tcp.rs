//! TCP set-up and its end: what the headers of a connection say (RFC 9293).

use super::{Reader, STALL_MS_MIN, ms_between};
use crate::fact::{Side, What};
use crate::read::flow::{Half, Sighting};

/// A segment must have been sent this often before its silence means something.
const TRIES_MIN: u32 = 3;
/// A receive window shut for less than this, in all, is nothing that a user feels.
const ZERO_WINDOW_MS_MIN: u64 = 3_000;
/// From this share, and this many segments, on, what is sent again is a remark.
const RESENT_PERCENT_MIN: u64 = 3;
const RESENT_MIN: u64 = 10;
/// A reset further than this from what was sent is out of any window.
pub(super) const WINDOW_MAX: i64 = 1 << 22;

/// SYN, SYN-ACK, the first acknowledgement, and ICMP errors.
pub(super) fn opening(reader: &mut Reader<'_>) {
    let flow = reader.flow;
    if let Some((first, last, tries)) = flow.from_client.syn {
        reader.say(first, What::SynSent { tries, over_ms: ms_between(first, last) });
    }
    if let Some((first, ..)) = flow.from_server.syn {
        let after_ms = flow.from_client.syn.map_or(0, |(syn, ..)| ms_between(syn, first));
        reader.say(first, What::SynAnswered { after_ms });
    }
    let opened = flow.from_client.syn.is_some() || flow.from_server.syn.is_some();
    if !opened && flow.from_client.packets + flow.from_server.packets > 0 {
        reader.say(flow.first, What::MidStream {});
    }
    if let Some(seen) = connected(flow.from_client.first_ack, flow.from_server.first_ack) {
        reader.say(seen, What::Connected {});
    }
    for error in &flow.unreachable {
        let (from, kind, code, times) = (error.from, error.kind, error.code, error.times);
        reader.say(error.seen, What::Unreachable { from, kind, code, times });
    }
    for side in [Side::Client, Side::Server] {
        let (here, there) = (flow.half(side), flow.half(side.other()));
        if there.packets == 0 && here.first_ack.is_some() {
            reader.say(flow.first, What::OneWay { seen: side });
        }
    }
}

fn connected(client: Option<Sighting>, server: Option<Sighting>) -> Option<Sighting> {
    match (client, server) {
        (Some(client), Some(server)) => Some(client.min(server)),
        (client, server) => client.or(server),
    }
}

/// Resets, FINs, what was never answered or never arrived, and silence.
pub(super) fn ending(reader: &mut Reader<'_>) {
    for side in [Side::Client, Side::Server] {
        resets(reader, side);
        unanswered(reader, side);
        probes(reader, side);
        missing(reader, side);
        zero_window(reader, side);
        retransmissions(reader, side);
        if let Some(seen) = reader.flow.half(side).fin {
            reader.say(seen, What::Closed { by: side });
        }
    }
    stalled(reader);
    let flow = reader.flow;
    let halves = [&flow.from_client, &flow.from_server];
    let ended = halves.iter().any(|half| half.fin.is_some() || half.reset.is_some());
    if !ended {
        let idle_ms = u64::try_from(flow.capture_end.since(flow.last.at) / 1_000_000).unwrap_or(0);
        reader.say(flow.last, What::CaptureEnds { idle_ms });
    }
}

fn resets(reader: &mut Reader<'_>, by: Side) {
    let half = reader.flow.half(by);
    let Some(reset) = half.reset else { return };
    let never_spoke = half.syn.is_none() && half.first_ack.is_none();
    let answers_syn = by == Side::Server && never_spoke && reader.flow.from_client.syn.is_some();
    let what = What::Reset {
        by,
        ttl: reset.ttl,
        usual_ttl: half.ttl,
        answers_syn,
        out_of_window: reset.ahead.abs() > WINDOW_MAX,
        bare: !reset.has_ack
            && !answers_syn
            && half.first_ack.is_some()
            && half.fin.is_none_or(|fin| fin > reset.seen),
    };
    reader.say(reset.seen, what);
}

fn probes(reader: &mut Reader<'_>, by: Side) {
    let flow = reader.flow;
    let Some((tries, _, last)) = flow.half(by).probes else { return };
    let heard = flow.half(by.other()).last.unwrap_or(flow.first);
    let end = flow.half(by).last.unwrap_or(last);
    reader.say(last, What::ProbesUnanswered { by, tries, over_ms: ms_between(heard, end) });
}

fn unanswered(reader: &mut Reader<'_>, by: Side) {
    let half = reader.flow.half(by);
    let Some(resent) = half.resent.filter(|resent| resent.tries >= TRIES_MIN) else { return };
    let peer_last = reader.flow.half(by.other()).last;
    let what = What::Unanswered {
        by,
        bytes: resent.bytes,
        tries: resent.tries,
        largest_passed: half.largest_acknowledged,
        over_ms: ms_between(resent.first, resent.last),
        peer_silent: peer_last.is_none_or(|last| last < resent.first),
    };
    reader.say(resent.last, what);
}

/// Bytes that the sequence numbers promise and the capture does not hold: lost on the way when the receiver never
/// acknowledged them, lost by the capture when it did.
fn missing(reader: &mut Reader<'_>, from: Side) {
    let flow = reader.flow;
    let half = flow.half(from);
    let behind = half.claimed_end.saturating_sub(half.stream.end());
    let bytes = half.stream.missing().saturating_add(behind);
    if bytes == 0 {
        return;
    }
    let Some(last) = half.last else { return };
    if half.acknowledged > first_gap(half) || flow.half(from.other()).packets == 0 {
        reader.say(last, What::NotCaptured { from, bytes });
    } else {
        let over_ms = ms_between(half.last_new_data.unwrap_or(flow.first), flow.last);
        reader.say(last, What::NeverArrived { from, bytes, largest_passed: half.largest_seen, over_ms });
    }
}

fn zero_window(reader: &mut Reader<'_>, by: Side) {
    let Some(shut) = reader.flow.half(by).zero_window else { return };
    let over_ms = u64::try_from(shut.over_ns / 1_000_000).unwrap_or(0);
    if over_ms >= ZERO_WINDOW_MS_MIN {
        reader.say(shut.first, What::ZeroWindow { by, times: shut.times, over_ms });
    }
}

fn retransmissions(reader: &mut Reader<'_>, by: Side) {
    let half = reader.flow.half(by);
    let (segments, of) = (u64::from(half.retransmissions), half.sent.segments);
    let percent = segments.saturating_mul(100).checked_div(of).unwrap_or(0);
    let Some(last) = half.last.filter(|_| segments >= RESENT_MIN && percent >= RESENT_PERCENT_MIN) else {
        return;
    };
    reader.say(last, What::Retransmissions { by, segments, of, percent });
}

fn first_gap(half: &Half) -> u64 {
    u64::try_from(half.stream.from(0).len()).unwrap_or(u64::MAX)
}

/// Nothing new was said for long before the end, and it is known whose turn it was.
fn stalled(reader: &mut Reader<'_>) {
    let flow = reader.flow;
    let Some(turn) = reader.turn else { return };
    let said = flow.from_client.last_new_data.max(flow.from_server.last_new_data);
    let ended = [&flow.from_client, &flow.from_server]
        .into_iter()
        .flat_map(|half| [half.fin, half.reset.map(|reset| reset.seen)])
        .flatten()
        .min()
        .unwrap_or(flow.last);
    let Some(said) = said else { return };
    let over_ms = ms_between(said, ended);
    if over_ms >= STALL_MS_MIN {
        reader.say(ended, What::Stalled { turn, over_ms });
    }
}
