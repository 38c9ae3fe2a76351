//! Captures read once more, packet by packet as they stand in the files: which packets belong to what is looked for, and
//! their bytes. Everything else is read once.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};

use pcap_parser::OptionCode;

use super::Watch;
use super::capture::interface::Resolution;
use super::capture::{Captured, read_again};
use super::flow::Sighting;
use super::inputs::Input;
use super::link::Link;
use crate::note::Note;
use crate::time::UnixNanos;

mod choose;

pub use choose::{Chosen, Conversation, Wanted, choose};

/// Packets of one source that wait to be merged with those of others.
const WAITING_MAX: usize = 64;
/// Comments kept of one packet.
const COMMENTS_MAX: usize = 16;
/// The option that holds a packet's direction and how it was received (pcapng 4.3.1).
const PACKET_FLAGS: OptionCode = OptionCode(2);

/// An interface as a capture describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// `LINKTYPE_` of the tcpdump registry.
    pub link_number: u16,
    /// Bytes kept of each packet; 0 is no limit.
    pub snap_length: u32,
    /// `if_tsresol` (pcapng 4.2): a negative power of 10, or of 2 with the top bit.
    pub resolution: u8,
    /// Seconds to add to each time.
    pub offset_s: i64,
    /// Its name, as the capturing program gives it.
    pub name: Option<String>,
    /// What the capturing program says of it.
    pub description: Option<String>,
    /// How it counts time.
    pub(super) ticks: Resolution,
}

/// A packet with everything that the file says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// Index of the input.
    pub input_index: u32,
    /// Number of the frame in it, as Wireshark counts.
    pub number: u64,
    /// When.
    pub at: UnixNanos,
    /// Its time as the interface counts.
    pub ticks: u64,
    /// The file has a time for it; without one, it has that of the packet before.
    pub timed: bool,
    /// The interface it was seen at.
    pub interface: Arc<Interface>,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Bytes on the wire.
    pub length: u32,
    /// Comments that the file has for it.
    pub comments: Vec<String>,
    /// `epb_flags`.
    pub flags: Option<u32>,
}

/// What a file is read again for.
pub(super) enum Passed<'a> {
    Frame(Frame<'a>),
    Name(IpAddr, &'a str),
}

pub(super) struct Frame<'a> {
    pub(super) seen: Sighting,
    pub(super) number: u64,
    pub(super) link: Link,
    pub(super) interface: &'a Arc<Interface>,
    pub(super) captured: &'a Captured<'a>,
    pub(super) big_endian: bool,
}

impl Frame<'_> {
    fn taken(&self) -> Taken {
        let Captured { ticks, bytes, length, options, .. } = *self.captured;
        let of = |code: OptionCode| options.iter().filter(move |option| option.code == code);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let comments = of(OptionCode::Comment).filter_map(|option| Some(text(option.as_bytes().ok()?)));
        let flags = of(PACKET_FLAGS).find_map(|option| option.as_bytes().ok()?.first_chunk::<4>().copied());
        let number =
            |bytes| if self.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) };
        let interface = self.interface;
        Taken {
            input_index: self.seen.place.input_index,
            number: self.number,
            at: self.seen.at,
            ticks: ticks.unwrap_or_else(|| interface.ticks.ticks_of(self.seen.at, interface.offset_s)),
            timed: ticks.is_some(),
            interface: Arc::clone(interface),
            bytes: bytes.to_vec(),
            length,
            comments: comments.take(COMMENTS_MAX).collect(),
            flags: flags.map(number),
        }
    }
}

/// Hands the chosen packets of all sources to `sink`: each source's in the order of its files, those of different sources
/// by time, and by source where it is the same. What was wrong with the files was told when they were read first.
///
/// # Errors
/// The first error of `sink`.
pub fn copy(
    chosen: &[Chosen],
    inputs: &[Input],
    watch: &dyn Watch,
    sink: &mut dyn FnMut(Taken) -> io::Result<()>,
) -> io::Result<()> {
    std::thread::scope(|scope| {
        let mut heads: Vec<(Option<Taken>, Receiver<Taken>)> = Vec::new();
        for one in chosen {
            let (send, receive) = sync_channel(WAITING_MAX);
            scope.spawn(move || one.frames(inputs, watch, &mut |taken| send.send(taken).is_ok()));
            heads.push((None, receive));
        }
        loop {
            for (head, receive) in &mut heads {
                if head.is_none() {
                    *head = receive.recv().ok();
                }
            }
            let times = (0..).zip(&heads).filter_map(|(index, (head, _))| Some((head.as_ref()?.at, index)));
            let Some((_, first)) = times.min() else { return Ok(()) };
            if let Some(taken) =
                heads.get_mut(first).and_then(|(head, _): &mut (Option<Taken>, _)| head.take())
            {
                sink(taken)?;
            }
        }
    })
}

impl Chosen {
    /// Every chosen packet in order, until `take` wants no more.
    fn frames(&self, inputs: &[Input], watch: &dyn Watch, take: &mut dyn FnMut(Taken) -> bool) {
        let mut goes_on = true;
        for (index, ranges) in &self.frames {
            let Some(input) = usize::try_from(*index).ok().and_then(|i| inputs.get(i)) else { continue };
            let mut ranges = ranges.iter().peekable();
            if goes_on {
                read_again(*index, input, watch, &mut |passed| {
                    let Passed::Frame(frame) = passed else { return true };
                    while ranges.next_if(|(_, last)| *last < frame.number).is_some() {}
                    let Some((first, _)) = ranges.peek() else { return false };
                    if *first <= frame.number {
                        goes_on = take(frame.taken());
                    }
                    goes_on
                });
            }
        }
    }
}

/// What reading again cannot do: standard input is over.
pub(super) fn gone(index: u32, input: &Input) -> Option<Note> {
    (!input.is_read_again()).then(|| Note::not_read_again(index))
}
