//! Which packets belong to a connection: its own, those that quote it, its fragments, and the conversations beside it of
//! which one packet at least was told.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use etherparse::IpNumber;

use super::{Frame, Interface, Passed, gone, read_again};
use crate::note::{Note, Place, Spot};
use crate::read::Watch;
use crate::read::flow::Sighting;
use crate::read::inputs::Input;
use crate::read::link::{self, Fragment, Packet, Reassembled};
use crate::time::UnixNanos;
use crate::wire::keylog::{KeyLog, Random};

/// A conversation beside a connection is taken from this long before the packet that was told, and until so long after.
const BEFORE_NS: i64 = 15_000_000_000;
const AFTER_NS: i64 = 60_000_000_000;
/// A second copy of a connection's last packet.
const COPY_NS: i64 = 20_000_000;
/// Fragmented packets that are followed at one time, and fragments that wait for the first of theirs.
const FRAGMENTED_MAX: usize = 4_096;
const FRAGMENTS_MAX: usize = 64;
/// Frames held before runs are made of them.
const HELD_MAX: usize = 262_144;
/// Runs of frames kept of one source.
const RANGES_MAX: usize = 4_000_000;
/// Interfaces of one source, names, and connections with secrets.
const INTERFACES_MAX: usize = 4_096;
const NAMES_MAX: usize = 4_096;
const RANDOMS_MAX: usize = 1_024;

/// Packets between two ends, both ways, from one to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conversation {
    /// Both ends.
    pub ends: (SocketAddr, SocketAddr),
    /// UDP, else TCP.
    pub udp: bool,
    /// The first packet.
    pub from: Sighting,
    /// The last packet.
    pub until: Sighting,
}

/// What is looked for in one source.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// The files to read, in the order of the source.
    pub inputs: Vec<u32>,
    /// What is wanted whole.
    pub conversations: Vec<Conversation>,
    /// Packets that were told: each is wanted, with the conversation it belongs to.
    pub told: BTreeSet<Place>,
}

/// What was found in one source.
#[derive(Debug, Clone, Default)]
pub struct Chosen {
    /// Runs of frames, first and last, by input in the order of the source. INVARIANT: ascending, apart.
    pub frames: Vec<(u32, Vec<(u64, u64)>)>,
    /// How many packets these are.
    pub packets: u64,
    /// The interfaces they were seen at, in the order of their first packets.
    pub interfaces: Vec<Arc<Interface>>,
    /// Names that the files have for addresses.
    pub names: BTreeMap<IpAddr, BTreeSet<String>>,
    /// Addresses that the packets are from and for.
    pub addresses: BTreeSet<IpAddr>,
    /// Randoms of ClientHellos for which there are secrets.
    pub randoms: BTreeSet<Random>,
    /// What could not be read again, or was left out.
    pub notes: Vec<Note>,
}

/// Both ends, the lower first, and whether it is UDP.
type Key = (SocketAddr, SocketAddr, bool);
/// File of the source and frame: the order of packets.
type Rank = (usize, u64);

fn key((a, b): (SocketAddr, SocketAddr), udp: bool) -> Key {
    (a.min(b), a.max(b), udp)
}

/// When a conversation is wanted.
#[derive(Debug, Clone, Copy)]
struct Span {
    /// From one packet to another, where both are known.
    ranks: Option<(Rank, Rank)>,
    times: (UnixNanos, UnixNanos),
}

/// Finds the packets of one source that are wanted.
#[must_use]
pub fn choose(wanted: &Wanted, inputs: &[Input], keys: &KeyLog, watch: &dyn Watch) -> Chosen {
    let mut choice = Choice::of(wanted, keys);
    let files = || {
        let input = |index: &u32| usize::try_from(*index).ok().and_then(|i| inputs.get(i));
        wanted.inputs.iter().filter_map(move |index| Some((*index, input(index)?)))
    };
    choice.chosen.notes = files().filter_map(|(index, input)| gone(index, input)).collect();
    for (index, input) in files().filter(|(_, input)| input.is_read_again()) {
        let last = wanted.told.iter().rev().find(|place| place.input_index == index);
        let Some(Spot::Frame(last)) = last.map(|place| place.spot) else { continue };
        read_again(index, input, watch, &mut |passed| {
            let Passed::Frame(frame) = passed else { return true };
            choice.learn(frame);
            frame.number < last
        });
    }
    for (position, (index, input)) in files().enumerate() {
        if input.is_read_again() {
            choice.position = position;
            choice.frames.clear();
            read_again(index, input, watch, &mut |passed| choice.take(passed));
            choice.over(index);
        }
    }
    choice.chosen
}

/// A packet in fragments.
struct Fragmented {
    since: UnixNanos,
    /// It is wanted, when that is known.
    wanted: Option<bool>,
    waiting: Vec<u64>,
}

type FragmentKey = (IpAddr, IpAddr, u32, u8);

struct Choice<'w> {
    wanted: &'w Wanted,
    keys: &'w KeyLog,
    spans: BTreeMap<Key, Vec<Span>>,
    /// Addresses whose ARP was told, and when it is wanted.
    resolved: BTreeMap<Ipv4Addr, (UnixNanos, UnixNanos)>,
    /// Packets of which a fragment was told, and when.
    told_fragments: BTreeMap<FragmentKey, UnixNanos>,
    fragmented: BTreeMap<FragmentKey, Fragmented>,
    /// Which file of the source is read, and what was chosen of it.
    position: usize,
    frames: BTreeSet<u64>,
    runs: Vec<(u64, u64)>,
    cut: u64,
    chosen: Chosen,
}

impl<'w> Choice<'w> {
    fn of(wanted: &'w Wanted, keys: &'w KeyLog) -> Self {
        let rank = |seen: Sighting| {
            let position = wanted.inputs.iter().position(|index| *index == seen.place.input_index);
            match seen.place.spot {
                Spot::Frame(number) => Some((position?, number)),
                _ => None,
            }
        };
        let mut spans: BTreeMap<Key, Vec<Span>> = BTreeMap::new();
        for one in &wanted.conversations {
            let ranks = rank(one.from).zip(rank(one.until));
            let span = Span { ranks, times: (one.from.at, one.until.at) };
            spans.entry(key(one.ends, one.udp)).or_default().push(span);
        }
        Self {
            wanted,
            keys,
            spans,
            resolved: BTreeMap::new(),
            told_fragments: BTreeMap::new(),
            fragmented: BTreeMap::new(),
            position: 0,
            frames: BTreeSet::new(),
            runs: Vec::new(),
            cut: 0,
            chosen: Chosen::default(),
        }
    }

    /// Looks which conversation a packet that was told belongs to.
    fn learn(&mut self, frame: &Frame<'_>) {
        if !self.wanted.told.contains(&frame.seen.place) {
            return;
        }
        let at = frame.seen.at;
        match link::packet(frame.link, frame.captured.bytes) {
            Packet::Tcp(segment) => self.learn_conversation((segment.from, segment.to), false, at),
            Packet::Udp(datagram) => self.learn_conversation((datagram.from, datagram.to), true, at),
            Packet::Arp { answers, sender, target, .. } => {
                let address = if answers { sender } else { target };
                let known = self.resolved.entry(address).or_insert((at, at));
                *known = widened(*known, at);
            }
            Packet::Fragment(fragment) => {
                self.told_fragments.insert(fragment_key(&fragment), at);
            }
            Packet::Unreachable { .. } | Packet::TooDeep | Packet::Other | Packet::Unreadable => {}
        }
    }

    fn learn_conversation(&mut self, ends: (SocketAddr, SocketAddr), udp: bool, at: UnixNanos) {
        let own = |known: &&Conversation| known.udp == udp && key(known.ends, udp) == key(ends, udp);
        if self.wanted.conversations.iter().any(|known| own(&known)) {
            return;
        }
        // The other connection of a gateway's tunnel: it lasts as long as the first.
        let shares = |known: &&Conversation| {
            let ends = [ends.0, ends.1];
            !udp && !known.udp && (ends.contains(&known.ends.0) || ends.contains(&known.ends.1))
        };
        let beside = self.wanted.conversations.iter().find(shares);
        let (from, until) = beside.map_or((at, at), |known| (known.from.at.min(at), known.until.at.max(at)));
        let times = widened((from, until), at);
        match self.spans.entry(key(ends, udp)).or_default().first_mut() {
            Some(known) => known.times = (known.times.0.min(times.0), known.times.1.max(times.1)),
            None => self.spans.entry(key(ends, udp)).or_default().push(Span { ranks: None, times }),
        }
    }

    fn take(&mut self, passed: &Passed<'_>) -> bool {
        match passed {
            Passed::Frame(frame) => self.frame(frame),
            Passed::Name(address, name) => {
                let known = self.chosen.names.values().map(BTreeSet::len).sum::<usize>();
                if known < NAMES_MAX {
                    self.chosen.names.entry(*address).or_default().insert((*name).to_owned());
                }
            }
        }
        true
    }

    fn frame(&mut self, frame: &Frame<'_>) {
        let told = self.wanted.told.contains(&frame.seen.place);
        let packet = link::packet(frame.link, frame.captured.bytes);
        let found = self.is_wanted(&packet, frame);
        if !told && found.is_none() {
            return;
        }
        if let Some((a, b)) = found.or_else(|| ends(&packet)) {
            self.chosen.addresses.extend([a, b]);
        }
        self.frames.insert(frame.number);
        self.seen_at(frame.interface);
        self.randoms(frame.captured.bytes);
        if self.frames.len() >= HELD_MAX {
            self.settle(false);
        }
    }

    /// The addresses of a packet that is wanted.
    fn is_wanted(&mut self, packet: &Packet<'_>, frame: &Frame<'_>) -> Option<(IpAddr, IpAddr)> {
        let at = frame.seen.at;
        let rank = (self.position, frame.number);
        let wanted = match packet {
            Packet::Tcp(segment) => {
                let opens = segment.tcp.syn() && !segment.tcp.ack();
                self.is_in(key((segment.from, segment.to), false), rank, at, opens)
            }
            Packet::Udp(datagram) => self.is_in(key((datagram.from, datagram.to), true), rank, at, false),
            Packet::Unreachable { from, to, udp, .. } => {
                let near = |span: &Span| span.times.0 <= at && at <= span.times.1.plus(AFTER_NS);
                self.spans.get(&key((*from, *to), *udp)).is_some_and(|spans| spans.iter().any(near))
            }
            Packet::Arp { answers, sender, target, .. } => {
                let times = self.resolved.get(if *answers { sender } else { target });
                times.is_some_and(|(from, until)| (*from..=*until).contains(&at))
            }
            Packet::Fragment(fragment) => self.fragment(fragment, frame),
            Packet::TooDeep | Packet::Other | Packet::Unreadable => false,
        };
        wanted.then(|| ends(packet)).flatten()
    }

    fn is_in(&self, key: Key, rank: Rank, at: UnixNanos, opens: bool) -> bool {
        let inside = |span: &Span| match span.ranks {
            Some((first, last)) => {
                let copy = rank > last && !opens && at.since(span.times.1).abs() <= COPY_NS;
                (first <= rank && rank <= last) || copy
            }
            None => span.times.0 <= at && at <= span.times.1,
        };
        self.spans.get(&key).is_some_and(|spans| spans.iter().any(inside))
    }

    /// A fragment is wanted when its first one, which has the ports, is; those that came before it are taken then.
    fn fragment(&mut self, fragment: &Fragment<'_>, frame: &Frame<'_>) -> bool {
        let (at, of) = (frame.seen.at, fragment_key(fragment));
        let is_first = fragment.offset.value() == 0;
        let known = self.told_fragments.get(&of).is_some_and(|told| at.since(*told).abs() <= AFTER_NS);
        let decided = known
            || is_first
                && first_of(fragment).is_some_and(|(ends, udp)| {
                    self.is_in(key(ends, udp), (self.position, frame.number), at, false)
                });
        let is_old = |one: &Fragmented| at.since(one.since) > AFTER_NS;
        if self.fragmented.len() >= FRAGMENTED_MAX {
            self.fragmented.retain(|_, one| !is_old(one));
        }
        if self.fragmented.len() >= FRAGMENTED_MAX {
            return decided;
        }
        let fresh = || Fragmented { since: at, wanted: None, waiting: Vec::new() };
        let one = self.fragmented.entry(of).or_insert_with(fresh);
        if is_old(one) {
            *one = fresh();
        }
        if known || is_first {
            one.wanted = Some(decided);
        }
        match one.wanted {
            Some(true) => {
                self.frames.extend(one.waiting.drain(..));
                true
            }
            Some(false) => false,
            None => {
                if one.waiting.len() < FRAGMENTS_MAX {
                    one.waiting.push(frame.number);
                }
                false
            }
        }
    }

    fn seen_at(&mut self, interface: &Arc<Interface>) {
        let known = self.chosen.interfaces.iter().rev().any(|known| known == interface);
        if !known && self.chosen.interfaces.len() < INTERFACES_MAX {
            self.chosen.interfaces.push(Arc::clone(interface));
        }
    }

    fn randoms(&mut self, bytes: &[u8]) {
        if self.keys.is_empty() || self.chosen.randoms.len() >= RANDOMS_MAX {
            return;
        }
        self.chosen.randoms.extend(hello_randoms(bytes).filter(|random| self.keys.knows(random)));
    }

    /// Makes runs of the frames chosen so far: of all of them where the file is over, else of those to which no fragment
    /// can be added.
    fn settle(&mut self, over: bool) {
        let waiting = self.fragmented.values().flat_map(|one| &one.waiting).min();
        let until = waiting.copied().filter(|_| !over).unwrap_or(u64::MAX);
        let rest = self.frames.split_off(&until);
        for number in std::mem::replace(&mut self.frames, rest) {
            let room = self.runs.len() < RANGES_MAX;
            match self.runs.last_mut() {
                Some((_, last)) if last.saturating_add(1) == number => *last = number,
                _ if room => self.runs.push((number, number)),
                _ => {
                    self.cut = self.cut.saturating_add(1);
                    continue;
                }
            }
            self.chosen.packets = self.chosen.packets.saturating_add(1);
        }
        // Fragments that wait for a first one that does not come must not hold up the rest.
        if self.frames.len() >= HELD_MAX / 2 {
            self.fragmented.values_mut().for_each(|one| one.waiting.clear());
        }
    }

    /// One file is over.
    fn over(&mut self, index: u32) {
        self.settle(true);
        self.fragmented.values_mut().for_each(|one| one.waiting.clear());
        let runs = std::mem::take(&mut self.runs);
        if !runs.is_empty() {
            self.chosen.frames.push((index, runs));
        }
        if self.cut > 0 {
            self.chosen.notes.push(Note::slice_cut(index, std::mem::take(&mut self.cut)));
        }
    }
}

fn widened((from, until): (UnixNanos, UnixNanos), at: UnixNanos) -> (UnixNanos, UnixNanos) {
    (from.min(at.plus(-BEFORE_NS)), until.max(at.plus(AFTER_NS)))
}

fn fragment_key(fragment: &Fragment<'_>) -> FragmentKey {
    (fragment.from, fragment.to, fragment.identification, fragment.protocol.0)
}

/// Ends of what a packet's first fragment begins.
fn first_of(fragment: &Fragment<'_>) -> Option<((SocketAddr, SocketAddr), bool)> {
    let protocol = fragment.protocol;
    if protocol == IpNumber::TCP || protocol == IpNumber::UDP {
        let [a, b, c, d] = *fragment.bytes.first_chunk::<4>()?;
        let from = SocketAddr::new(fragment.from, u16::from_be_bytes([a, b]));
        let to = SocketAddr::new(fragment.to, u16::from_be_bytes([c, d]));
        return Some(((from, to), protocol == IpNumber::UDP));
    }
    let whole = Reassembled::new(fragment, fragment.bytes.to_vec());
    match link::reassembled(&whole) {
        Packet::Tcp(segment) => Some(((segment.from, segment.to), false)),
        Packet::Udp(datagram) => Some(((datagram.from, datagram.to), true)),
        _ => None,
    }
}

fn ends(packet: &Packet<'_>) -> Option<(IpAddr, IpAddr)> {
    match packet {
        Packet::Tcp(segment) => Some((segment.from.ip(), segment.to.ip())),
        Packet::Udp(datagram) => Some((datagram.from.ip(), datagram.to.ip())),
        Packet::Arp { sender, target, .. } => Some((IpAddr::V4(*sender), IpAddr::V4(*target))),
        Packet::Unreachable { by, from, .. } => Some((*by, from.ip())),
        Packet::Fragment(fragment) => Some((fragment.from, fragment.to)),
        Packet::TooDeep | Packet::Other | Packet::Unreadable => None,
    }
}

/// What may be the random of a ClientHello, of TLS (RFC 8446 4.1.2, 5.1) or DTLS (RFC 6347 4.1, 4.2.2), anywhere in a packet.
fn hello_randoms(bytes: &[u8]) -> impl Iterator<Item = Random> + '_ {
    (0..bytes.len()).filter_map(|at| {
        let rest = bytes.get(at..)?;
        let random = match rest.first_chunk::<11>()? {
            [0x16, 3, _, _, _, 1, _, _, _, 3, _] => 11,
            [0x16, 0xfe, ..] if rest.get(13) == Some(&1) => 27,
            _ => return None,
        };
        rest.get(random..)?.first_chunk::<32>().copied()
    })
}
