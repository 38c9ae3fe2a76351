//! Targets of the reader and of the whole pipe: captures, packets, and dialogues that reach what lies behind TCP.

use rdpwhy::fact::{Reading, What};
use rdpwhy::note::Place;
use rdpwhy::read::fragments::Fragments;
use rdpwhy::read::link::{self, Link, Packet};
use rdpwhy::read::{Flow, Half, Sighting, Unwatched, capture as reader, inputs, stream};
use rdpwhy::report::slice::Kept;
use rdpwhy::report::{json, slice, text};
use rdpwhy::time::UnixNanos;
use rdpwhy::wire::keylog::KeyLog;
use rdpwhy::{Analysis, analyze_inventory};
use rdpwhy_lab::capture::{Conversation, Endpoint, LINKTYPE_ETHERNET, PcapWriter, Side};

use crate::Draw;
use crate::texts::assert_harmless;

/// Notes of one input at most, whatever it holds.
const NOTES_MAX: usize = 500;
/// Sessions of one capture that are sliced.
const SLICES_MAX: usize = 8;
/// Bytes that one direction may hold: head, tail and what waits, each with one segment more than its limit.
const HELD_MAX: usize = stream::HEAD_BYTES_MAX + stream::TAIL_BYTES_MAX + 128 * 1024 + 3 * 65_536;

/// A capture file: flows within their limits, and places that exist.
pub fn capture(bytes: &[u8]) {
    let inventory = inputs::held(vec![("fuzz.pcap".to_owned(), bytes.to_vec())]);
    for source in &inventory.sources {
        let mut places = Vec::new();
        let mut sink = |flow: Flow| {
            [&flow.from_client, &flow.from_server].into_iter().for_each(check_half);
            places.extend([flow.first.place, flow.last.place]);
        };
        let read = reader::read_source(source, &inventory.inputs, &KeyLog::default(), &Unwatched, &mut sink);
        let packets = read.inputs.iter().map(|input| input.counts.packets).sum();
        assert!(read.notes.len() <= NOTES_MAX, "{} notes of one file", read.notes.len());
        for place in places {
            let rdpwhy::note::Spot::Frame(number) = place.spot else { panic!("{place:?} is no frame") };
            assert!((1..=packets).contains(&number), "frame {number} of {packets}");
        }
    }
}

fn check_half(half: &Half) {
    assert!(half.stream.held() <= HELD_MAX, "{} bytes held", half.stream.held());
    for start in half.stream.starts() {
        assert!(!half.stream.from(start).is_empty(), "a piece without bytes at {start}");
        assert!(half.stream.seen(start).is_some(), "nobody knows where byte {start} was seen");
    }
}

/// One packet behind a byte that chooses the link type.
pub fn packet(bytes: &[u8]) {
    let Some((first, bytes)) = bytes.split_first() else { return };
    let plain = [Link::Ethernet, Link::LinuxSll, Link::LinuxSll2, Link::Raw, Link::Loopback];
    let links = [&plain[..], &[Link::Ppp, Link::Hdlc, Link::Pppoe]].concat();
    match link::packet(links[usize::from(*first) % links.len()], bytes) {
        Packet::Tcp(segment) => {
            assert!(segment.payload.len() <= bytes.len());
            assert!(usize::try_from(segment.length).is_ok_and(|length| length >= segment.payload.len()));
        }
        Packet::Fragment(fragment) => {
            let seen = Sighting { at: UnixNanos(0), place: Place::frame(0, 1) };
            let mut waiting = Fragments::default();
            let whole = waiting.take(&fragment, seen);
            assert!(whole.is_none_or(|_| fragment.whole && !fragment.more), "one fragment is no packet");
            let _ = waiting.finish();
        }
        _ => {}
    }
}

/// A capture from file to both answers.
pub fn pipeline(bytes: &[u8]) {
    answers(bytes.to_vec());
}

/// A capture from file to the slice of each session, which holds as many packets as it says, and is read again.
pub fn slice(bytes: &[u8]) {
    let analysis =
        analyze_inventory(inputs::held(vec![("fuzz.pcap".to_owned(), bytes.to_vec())]), &Unwatched);
    for index in 0..analysis.story.sessions.len().min(SLICES_MAX) {
        let kept = Kept { names: true, secrets: true };
        let Some(slice) = slice::slice(&analysis, index, kept, &Unwatched) else {
            panic!("session {index} is there")
        };
        let mut file = Vec::new();
        let written = slice.write(&Unwatched, &mut file).unwrap();
        assert_eq!(written.packets, slice.packets());
        let again = analyze_inventory(inputs::held(vec![("slice.pcapng".to_owned(), file)]), &Unwatched);
        let read: u64 = again.counts.iter().flatten().map(rdpwhy::read::Counts::packets).sum();
        assert_eq!(read, written.packets, "{:?}", again.notes);
        slice.told(written, "x.pcapng").lines().for_each(assert_harmless);
    }
}

/// A TCP dialogue whose messages are drawn from the bytes, as a capture from file to both answers.
///
/// Shape: one message after another; a byte whose lowest bit is the side and whose next three are what to do, then, for
/// what is said, its length in 2 bytes, little-endian, and its bytes.
pub fn dialogue(bytes: &[u8]) {
    let mut draw = Draw::new(bytes);
    let end = |text: &str| Endpoint::new(text.parse().unwrap());
    let mut talk =
        Conversation::new(end("198.51.100.7:50112"), end("203.0.113.20:3389"), 1_740_000_000_000_000_000);
    talk.handshake();
    while !draw.is_empty() {
        let order = draw.u8();
        let side = if order & 1 == 0 { Side::Client } else { Side::Server };
        match (order >> 1) & 7 {
            0..=2 => {
                let length = usize::from(draw.u16());
                talk.sends(side, draw.slice(length));
            }
            3 => _ = talk.wait_ns(i64::from(draw.u8()) * 100_000_000),
            4 => _ = talk.retransmits(side),
            5 => _ = talk.drop_last(side),
            6 => _ = talk.closes(side),
            _ => _ = talk.resets(side),
        }
    }
    let mut pcap = PcapWriter::new(Vec::new(), LINKTYPE_ETHERNET).unwrap();
    for frame in talk.finish() {
        pcap.frame(&frame).unwrap();
    }
    let analysis = answers(pcap.finish().unwrap());
    assert_eq!(analysis.story.sessions.len(), 1, "one connection is one session");
}

/// A capture with TLS secrets: the length of the key log (2, little-endian), the key log, the capture.
pub fn opening(bytes: &[u8]) {
    let mut draw = Draw::new(bytes);
    let length = usize::from(draw.u16());
    let keys = draw.slice(length).to_vec();
    let capture = draw.slice(usize::MAX).to_vec();
    let analysis = answers_of(vec![("fuzz.pcap".to_owned(), capture), ("keys.log".to_owned(), keys)]);
    for session in &analysis.story.sessions {
        let opened = session.find(|what| matches!(what, What::TlsOpened { .. })).is_some();
        let read = session.facts.iter().any(|seen| seen.reading() == Reading::Opened);
        assert_eq!(opened, read, "what was read of opened records says that they were opened");
    }
}

fn answers(bytes: Vec<u8>) -> Analysis {
    answers_of(vec![("fuzz.pcap".to_owned(), bytes)])
}

fn answers_of(files: Vec<(String, Vec<u8>)>) -> Analysis {
    let analysis = analyze_inventory(inputs::held(files), &Unwatched);
    for session in &analysis.story.sessions {
        for fact in &session.facts {
            let text = fact.what().text();
            assert_eq!(rdpwhy::fact::What::parse(&text).as_ref(), Ok(fact.what()), "read back from {text:?}");
        }
    }
    let layout = text::Layout { verbose: true, ..text::Layout::default() };
    text::answer(&analysis, layout).split('\n').for_each(assert_harmless);
    let document = json::document(&analysis, &[]).unwrap();
    let read: serde_json::Value = serde_json::from_str(&document).unwrap();
    assert!(read.get("schema_version").is_some());
    analysis
}
