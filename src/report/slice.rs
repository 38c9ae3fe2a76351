//! The packets of one session as a pcapng file, each with where it comes from, what it told, and where the connection broke.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::sync::Arc;

use super::broke::broke;
use super::safe::printable;
use super::{headline, input_name, query, text, words};
use crate::analysis::{Analysis, Naming};
use crate::diagnosis::Verdict;
use crate::fact::{Connection, Reading};
use crate::note::{Note, Place, Spot};
use crate::read::again::{self, Chosen, Conversation, Interface, Taken, Wanted, choose};
use crate::read::flow::Sighting;
use crate::read::{Counts, Input, Keys, Watch};
use crate::session::{Outcome, Seen, Session};
use crate::step::Step;
use crate::time::{UnixNanos, spoken};
use crate::wire::keylog::KeyLog;

mod blocks;
mod found;

pub use found::{Unfound, find};

/// What is said of one packet, beside where it comes from.
const COMMENTS_MAX: usize = 24;
/// Captures whose packets are merged.
const SOURCES_MAX: usize = 256;
/// Records named in one query, which may have about 20 conditions, and logs named.
const RECORDS_MAX: usize = 20;
const LOGS_MAX: usize = 12;
/// Paths named in a command.
const PATHS_MAX: usize = 6;
/// What passes beside a connection begins this long before it and ends this long behind it.
const BEFORE_NS: i64 = 15_000_000_000;
const BEHIND_NS: i64 = 240_000_000_000;

/// What of the captures' own blocks goes into the slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// Names of addresses, of those that the packets are from and for.
    pub names: bool,
    /// TLS secrets, of this session.
    pub secrets: bool,
}

/// The packets of one session, found and not yet written.
pub struct Slice<'a> {
    analysis: &'a Analysis,
    session: &'a Session,
    verdicts: &'a [Verdict],
    kept: Kept,
    secrets: String,
    chosen: Vec<Chosen>,
    comments: BTreeMap<Place, Vec<String>>,
    broke: Option<Place>,
    /// What could not be read again, or was left out.
    pub notes: Vec<Note>,
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Written {
    /// Packets.
    pub packets: u64,
    /// Number of the frame, in the slice, at which it broke.
    pub broke_frame: Option<u64>,
}

/// Reads the captures of a session again, to find its packets: `index` is that of the session.
#[must_use]
pub fn slice<'a>(analysis: &'a Analysis, index: usize, kept: Kept, watch: &dyn Watch) -> Option<Slice<'a>> {
    let session = analysis.story.sessions.get(index)?;
    let verdicts = analysis.verdicts.get(index).map(Vec::as_slice).unwrap_or_default();
    let inputs = &analysis.inventory.inputs;
    let keys: Keys = crate::read::keys::collect(inputs);
    let mut chosen: Vec<Chosen> =
        wanted(analysis, session).iter().map(|wanted| choose(wanted, inputs, &keys.log, watch)).collect();
    chosen.retain(|one| one.packets > 0 || !one.notes.is_empty());
    let mut notes: Vec<Note> = chosen.iter().flat_map(|one| one.notes.iter().cloned()).collect();
    chosen.retain(|one| one.packets > 0);
    for over in chosen.drain(SOURCES_MAX.min(chosen.len())..) {
        let input = over.frames.first().map_or(0, |(input, _)| *input);
        notes.push(Note::slice_cut(input, over.packets));
    }
    let broke = broke_at(session, verdicts);
    let comments = comments(session, verdicts, broke);
    let secrets = secrets(&chosen, &keys.log);
    Some(Slice { analysis, session, verdicts, kept, secrets, chosen, comments, broke, notes })
}

/// What is wanted of every source that saw the session.
fn wanted(analysis: &Analysis, session: &Session) -> Vec<Wanted> {
    let connections = session.connections.iter().map(|connection| (connection, false));
    let all: Vec<(&Arc<Connection>, bool)> =
        connections.chain(session.udp().into_iter().map(|transport| (transport, true))).collect();
    let sources = (0_u32..).zip(&analysis.inventory.sources);
    let wanted = sources.filter_map(|(witness_index, source)| {
        let own = all.iter().filter(|(connection, _)| connection.witness_index == witness_index);
        let conversations: Vec<Conversation> = own.map(|(one, udp)| conversation(one, *udp)).collect();
        let from = conversations.iter().map(|one| one.from.at).min()?.plus(-BEFORE_NS);
        let until = conversations.iter().map(|one| one.until.at).max()?.plus(BEHIND_NS);
        let is_told = |place: &Place| {
            matches!(place.spot, Spot::Frame(_)) && source.inputs.contains(&place.input_index)
        };
        let told: BTreeSet<Place> = session.facts.iter().map(Seen::place).filter(is_told).collect();
        let may_hold = |index: &u32| {
            told.iter().any(|place| place.input_index == *index) || covers(analysis, *index, from, until)
        };
        let inputs = source.inputs.iter().copied().filter(may_hold).collect();
        Some(Wanted { inputs, conversations, told })
    });
    wanted.collect()
}

fn covers(analysis: &Analysis, index: u32, from: UnixNanos, until: UnixNanos) -> bool {
    let counts = usize::try_from(index).ok().and_then(|index| analysis.counts.get(index)?.as_ref());
    match counts {
        Some(Counts::Capture(held)) => {
            held.covers.is_some_and(|(first, last)| first <= until && last >= from)
        }
        _ => false,
    }
}

fn conversation(connection: &Connection, udp: bool) -> Conversation {
    Conversation {
        ends: (connection.client, connection.server),
        udp,
        from: Sighting { at: connection.opened, place: connection.first },
        until: Sighting { at: connection.last_seen, place: connection.last },
    }
}

/// The packet at which it broke.
fn broke_at(session: &Session, verdicts: &[Verdict]) -> Option<Place> {
    if !session.outcome.is_failure() {
        return None;
    }
    let is_frame = |place: &Place| matches!(place.spot, Spot::Frame(_));
    let frames: Vec<&Seen> = session.facts.iter().filter(|seen| is_frame(&seen.place())).collect();
    let place =
        broke(session, verdicts, &frames).and_then(|index| frames.get(index)).map(|seen| seen.place());
    place.or_else(|| session.connections.first().map(|connection| connection.last))
}

/// What is said of each packet: the steps it told, what it proves, and that it broke there.
fn comments(session: &Session, verdicts: &[Verdict], broke: Option<Place>) -> BTreeMap<Place, Vec<String>> {
    let mut comments: BTreeMap<Place, Vec<String>> = BTreeMap::new();
    let mut say = |place: Place, text: String| {
        let of_packet = comments.entry(place).or_default();
        if of_packet.len() < COMMENTS_MAX && !of_packet.contains(&text) {
            of_packet.push(text);
        }
    };
    if let Some(place) = broke {
        say(place, format!("BROKE HERE: {}", broke_because(session, verdicts)));
    }
    let mut current = None;
    for seen in &session.facts {
        if let Spot::Frame(_) = seen.place().spot {
            current = seen.what().step().or(current);
            let read = match seen.reading() {
                Reading::Clear => "",
                Reading::Opened => ", decrypted",
                Reading::Inferred => ", told by size and position",
            };
            let step = current.map_or_else(String::new, |step| format!("{}: ", step.name()));
            say(seen.place(), format!("{step}{}{read}", words::says(seen.what())));
        }
    }
    if let Some(best) = verdicts.first().filter(|_| session.outcome.is_failure()) {
        let told: BTreeSet<Place> = session.facts.iter().map(Seen::place).collect();
        let sides = [("proof of", &best.weighing.proofs), ("against", &best.weighing.against)];
        for (word, seen) in sides {
            for place in seen.iter().map(Seen::place).filter(|place| told.contains(place)) {
                say(place, format!("{word} {}", best.rule.id));
            }
        }
    }
    comments
}

fn broke_because(session: &Session, verdicts: &[Verdict]) -> String {
    let step = session.broke_at.map_or("an unknown step", Step::title);
    match verdicts.first() {
        Some(best) => {
            format!("{step}: {} ({}, {} %)", headline::why(best), best.rule.id, best.weighing.percent)
        }
        None => format!("{step}: the evidence does not tell why"),
    }
}

/// The lines of the key logs for the connections among the packets, each once.
fn secrets(chosen: &[Chosen], keys: &KeyLog) -> String {
    let randoms: BTreeSet<_> = chosen.iter().flat_map(|one| &one.randoms).collect();
    randoms.into_iter().flat_map(|random| keys.lines_of(random)).collect()
}

impl Slice<'_> {
    /// Packets that will be written.
    #[must_use]
    pub fn packets(&self) -> u64 {
        self.chosen.iter().map(|one| one.packets).sum()
    }

    /// Secrets that are there, whether they are written or not.
    #[must_use]
    pub fn secrets(&self) -> usize {
        self.secrets.lines().count()
    }

    /// Reads the packets and writes the file.
    ///
    /// # Errors
    /// When writing fails.
    pub fn write(&self, watch: &dyn Watch, out: &mut dyn Write) -> io::Result<Written> {
        let application = concat!("rdpwhy ", env!("CARGO_PKG_VERSION"), " slice");
        out.write_all(&blocks::section(application, &self.about()))?;
        self.names(out)?;
        if self.kept.secrets && !self.secrets.is_empty() {
            out.write_all(&blocks::secrets(&self.secrets))?;
        }
        let mut interfaces: Vec<(&Chosen, &Arc<Interface>)> = Vec::new();
        for one in &self.chosen {
            for interface in &one.interfaces {
                self.interface(one, interface, out)?;
                interfaces.push((one, interface));
            }
        }
        let number = |taken: &Taken| {
            let is_of = |one: &Chosen| one.frames.iter().any(|(input, _)| *input == taken.input_index);
            let found = interfaces.iter().position(|(one, known)| is_of(one) && **known == taken.interface);
            u32::try_from(found.unwrap_or(0)).unwrap_or(0)
        };
        let mut written = Written::default();
        again::copy(&self.chosen, &self.analysis.inventory.inputs, watch, &mut |taken| {
            let place = Place::frame(taken.input_index, taken.number);
            let (ticks, length, flags) = (taken.ticks, taken.length, taken.flags);
            let head = blocks::Head { interface: number(&taken), ticks, length, flags };
            written.packets = written.packets.saturating_add(1);
            if self.broke == Some(place) {
                written.broke_frame = Some(written.packets);
            }
            out.write_all(&blocks::packet(head, &taken.bytes, &self.said(&taken, place)))
        })?;
        Ok(written)
    }

    /// What is said of one packet: what it told, where it comes from, and what the capture says of it itself.
    fn said(&self, taken: &Taken, place: Place) -> Vec<String> {
        let mut said = self.comments.get(&place).cloned().unwrap_or_default();
        let untimed = if taken.timed { "" } else { ", which has no time: that of the packet before" };
        let input = printable(input_name(self.analysis, place));
        said.push(format!("from {input}, frame {}{untimed}", taken.number));
        said.extend(taken.comments.iter().map(|comment| printable(comment).into_owned()));
        said
    }

    fn names(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut names: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
        for one in &self.chosen {
            for (address, of) in one.names.iter().filter(|(address, _)| one.addresses.contains(address)) {
                names.entry(*address).or_default().extend(of.iter().cloned());
            }
        }
        if self.kept.names && !names.is_empty() {
            out.write_all(&blocks::names(&names))?;
        }
        Ok(())
    }

    fn interface(&self, of: &Chosen, interface: &Interface, out: &mut dyn Write) -> io::Result<()> {
        let first = of.frames.first().map_or(0, |(input, _)| *input);
        let witness = self.analysis.witnesses.iter().position(|witness| witness.inputs.contains(&first));
        let place = printable(input_name(self.analysis, Place::whole(first)));
        let own = interface.description.as_deref().map(|text| format!(": {}", printable(text)));
        let clock = self
            .analysis
            .story
            .clocks
            .iter()
            .find(|clock| usize::try_from(clock.witness_index).ok() == witness && clock.pairs > 0);
        let clock = clock.and_then(|clock| Some((clock.offset_ns?, clock.error_ns)));
        let comment = clock.filter(|(offset, _)| *offset != 0).map(|(offset, error)| {
            let way = if offset < 0 { "behind" } else { "ahead" };
            format!(
                "times as captured; by the connections seen at both, this clock is {} {way}, give or take {}",
                spoken(offset.saturating_abs()),
                spoken(error)
            )
        });
        out.write_all(&blocks::interface(&blocks::Interface {
            link_number: interface.link_number,
            snap_length: interface.snap_length,
            resolution: interface.resolution,
            offset_s: interface.offset_s,
            name: &printable(interface.name.as_deref().unwrap_or(&place)),
            description: &format!("{place}{}", own.unwrap_or_default()),
            comment: comment.as_deref(),
        }))
    }

    /// What the whole file is about, one comment each.
    fn about(&self) -> Vec<String> {
        let mut about = vec![format!("session {}: {}", self.session.id, self.outcome())];
        if let Some(best) = self.best() {
            about.push(format!("to do: {}", headline::to_do(best)));
        }
        about.extend(self.queries().into_iter().map(|query| format!("records: {query}")));
        about
    }

    fn best(&self) -> Option<&Verdict> {
        self.verdicts.first().filter(|_| self.session.outcome.is_failure())
    }

    fn outcome(&self) -> String {
        match self.session.outcome {
            Outcome::Broke | Outcome::Refused => {
                let best = self.best();
                let happened = headline::happened(self.session.outcome, self.session.broke_at, best);
                format!("{} at {}", happened.to_lowercase(), broke_because(self.session, self.verdicts))
            }
            other => {
                format!("{}, reached {}", other.name(), self.session.reached.map_or("no step", Step::title))
            }
        }
    }

    /// The commands that show the records of the session, those that prove the cause first.
    fn queries(&self) -> Vec<String> {
        queries(self.analysis, self.session, self.best())
    }

    /// What was written to `file`, for a person.
    #[must_use]
    pub fn told(&self, written: Written, file: &str) -> String {
        let mut lines = vec![format!("{}: {}", self.session.id, self.outcome())];
        let captures = self.chosen.iter().map(|one| one.frames.len()).sum::<usize>();
        let (packets, plural) = (written.packets, if captures == 1 { "" } else { "s" });
        let file = printable(file);
        lines
            .push(format!("packets   {packets} of {captures} capture{plural}, read again for it, in {file}"));
        if let Some(frame) = written.broke_frame {
            lines.push(format!("broke at  frame {frame}: wireshark -g {frame} \"{file}\""));
        }
        lines.push(format!("in all    {}", text::filter(self.session)));
        lines.extend(self.queries().into_iter().map(|query| format!("records   {query}")));
        if self.session.is_through_gateway() && self.secrets() > 0 {
            lines.push("secrets   of the TLS inside of the gateway's are in the key logs only".to_owned());
        }
        lines.push(match (self.secrets(), self.kept.secrets) {
            (0, _) => return lines.join("\n") + "\n",
            (count, false) => {
                format!("secrets   {count} TLS secrets of this session are left out; --secrets keep puts them in")
            }
            (count, true) => format!(
                "secrets   WARNING: {count} TLS secrets are in {file}: whoever has it reads the session, and what was typed"
            ),
        });
        lines.join("\n") + "\n"
    }
}

/// Among more sessions than this nobody looks whether a shorter name than the id is of one alone.
const SOUGHT_MAX: usize = 1_000;

/// The command that makes the slice of a session, with the paths that were given: `None` without packets, or where nobody
/// knows the paths.
#[must_use]
pub fn command(analysis: &Analysis, session: &Session) -> Option<String> {
    let client = session.connections.first()?.client;
    let (paths, key_logs) = &analysis.inventory.given;
    if paths.is_empty() || paths.contains("-") {
        return None;
    }
    let short = client.to_string();
    let few = analysis.story.sessions.len() <= SOUGHT_MAX;
    let id = if few && find(analysis, &short).is_ok() { short } else { session.id.clone() };
    let quoted = |path: &String| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "/._-:,+=@%\\~".contains(c);
        let path = printable(path);
        if path.chars().all(plain) { path.into_owned() } else { format!("\"{path}\"") }
    };
    let mut words: Vec<String> = vec![quoted(&id)];
    if paths.len() + key_logs.len() > PATHS_MAX {
        words.push("PATH...".to_owned());
    } else {
        words.extend(paths.iter().map(quoted));
        words.extend(key_logs.iter().map(|path| format!("--keylog {}", quoted(path))));
    }
    let is_encrypted = |input: &Input| input.member.as_ref().is_some_and(|member| member.is_encrypted());
    words.extend((analysis.naming != Naming::Real).then(|| "--redact-map MAP".to_owned()));
    words.extend(
        analysis.inventory.inputs.iter().any(is_encrypted).then(|| "--zip-password PASSWORD".to_owned()),
    );
    Some(format!("rdpwhy slice {} -o {}.pcapng", words.join(" "), client.port()))
}

/// The commands that show the records of a session, those that prove the cause first.
#[must_use]
pub fn queries(analysis: &Analysis, session: &Session, best: Option<&Verdict>) -> Vec<String> {
    let proofs = best.map(|best| best.weighing.proofs.as_slice()).unwrap_or_default();
    let mut logs: Vec<(u32, Vec<u64>)> = Vec::new();
    for place in proofs.iter().chain(&session.facts).map(Seen::place) {
        let Spot::Record(id) = place.spot else { continue };
        match logs.iter_mut().find(|(input, _)| *input == place.input_index) {
            Some((_, ids)) if ids.contains(&id) || ids.len() >= RECORDS_MAX => {}
            Some((_, ids)) => ids.push(id),
            None => logs.push((place.input_index, vec![id])),
        }
    }
    logs.iter().take(LOGS_MAX).map(|(input, ids)| query::of_records(analysis, *input, ids)).collect()
}
