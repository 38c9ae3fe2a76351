//! Target of TCP reassembly: segments drawn from the bytes, the stream compared with a map of every byte that was sent.

use std::collections::BTreeMap;

use rdpwhy::note::Place;
use rdpwhy::read::Sighting;
use rdpwhy::read::stream::{HEAD_BYTES_MAX, Stream};
use rdpwhy::time::UnixNanos;

use crate::Draw;

/// Segments of one run: so few that none is given up while it waits.
const SEGMENTS_MAX: u64 = 250;
/// Bytes of one segment at most: so few that the head takes all of them.
const SEGMENT_BYTES_MAX: u16 = 200;

/// Every byte that was captured, with the frames that carried it.
#[derive(Default)]
struct Model {
    carried_by: BTreeMap<u64, Vec<u64>>,
    end: u64,
    /// A segment was shorter in the capture than on the wire.
    snapped: bool,
}

/// What the byte at `offset` of every stream is: so a byte in the wrong place shows.
fn byte_at(offset: u64) -> u8 {
    (offset.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8
}

/// Segments in any order, with overlaps, repeats, gaps and cuts.
///
/// Shape: one segment after another, each a step back or forth (signed, 1 byte), a length (1 byte) and how many bytes
/// the snap length took (1 byte, mostly none).
pub fn reassembly(bytes: &[u8]) {
    let mut draw = Draw::new(bytes);
    let (mut stream, mut model) = (Stream::default(), Model::default());
    let mut at = 0_u64;
    for frame in 1..=SEGMENTS_MAX {
        if draw.is_empty() {
            break;
        }
        let step = i64::from(draw.u8().cast_signed());
        at = at.saturating_add_signed(step);
        let length = u16::from(draw.u8()).min(SEGMENT_BYTES_MAX);
        let cut = u16::from(draw.u8().saturating_sub(200)).min(length);
        push(&mut stream, &mut model, (at, length, cut), frame);
        at += u64::from(length);
    }
    stream.finish();
    check(&stream, &model);
}

fn push(stream: &mut Stream, model: &mut Model, (at, length, cut): (u64, u16, u16), frame: u64) {
    let captured: Vec<u8> = (at..at + u64::from(length - cut)).map(byte_at).collect();
    let seen = Sighting { at: UnixNanos(0), place: Place::frame(0, frame) };
    stream.push(at, &captured, u64::from(length), seen);
    for offset in at..at + u64::from(length - cut) {
        model.carried_by.entry(offset).or_default().push(frame);
    }
    if length > 0 {
        model.end = model.end.max(at + u64::from(length));
    }
    model.snapped |= cut > 0;
}

fn check(stream: &Stream, model: &Model) {
    assert!(model.carried_by.len() <= HEAD_BYTES_MAX, "the target draws no more than the head takes");
    assert_eq!(stream.end(), model.end, "end");
    let mut shown = 0_usize;
    for start in stream.starts() {
        for (offset, byte) in (start..).zip(stream.from(start)) {
            let frames = model.carried_by.get(&offset);
            let frames = frames.unwrap_or_else(|| panic!("byte {offset} was never captured"));
            assert_eq!(*byte, byte_at(offset), "byte {offset}");
            let seen = stream.seen(offset).map(|seen| seen.place);
            assert!(frames.iter().any(|f| seen == Some(Place::frame(0, *f))), "byte {offset} in {seen:?}");
            shown += 1;
        }
    }
    assert_eq!(stream.held(), shown, "bytes held and bytes shown");
    assert_eq!(stream.missing(), model.end - shown as u64, "missing");
    if !model.snapped {
        assert_eq!(shown, model.carried_by.len(), "all that was captured is shown");
    }
    let starts: Vec<u64> = stream.segments_from(0).collect();
    assert!(starts.is_sorted(), "segments are in order");
}
