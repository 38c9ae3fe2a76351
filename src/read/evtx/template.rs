//! Template definitions in binary XML (MS-EVEN6 2.2.12): where in a template the `System` element has what decides whether
//! an event is read at all.
//!
//! Not everything that binary XML can hold is understood here: what is not makes an event take the long way, by the `evtx`
//! crate and its XML.

use super::frame::{place_at, u16_at, u32_at};

/// Bytes of a template definition before its tokens: u32 next, GUID, u32 size.
const DEFINITION_HEADER_BYTES: usize = 24;
/// Fragment header: token, version 1.1, no flags.
pub(super) const FRAGMENT_HEADER: [u8; 4] = [0x0f, 1, 1, 0];
/// "No dependency".
const INDEPENDENT: u16 = 0xffff;
/// Elements in elements of a definition.
const DEPTH_MAX: usize = 16;

/// A value of the `System` element.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) enum Source {
    /// The template has no such element or attribute.
    #[default]
    Absent,
    /// Literal text, UTF-16.
    Text(Box<[u8]>),
    /// The instance's value of this index.
    Hole(u16),
}

/// Where the outer template of an event has its provider, channel, ids and time.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Outline {
    /// Values that must be there, else an element around the others falls away.
    pub(super) needs: Vec<u16>,
    pub(super) provider: Source,
    pub(super) channel: Source,
    pub(super) id: Source,
    pub(super) record_id: Source,
    pub(super) time: Source,
    /// What a record has beside what decides, and values without which it has none of it.
    pub(super) version: (Source, Option<u16>),
    pub(super) computer: (Source, Option<u16>),
    pub(super) qualifiers: Source,
    pub(super) activity: (Source, Option<u16>),
    has_correlation: bool,
    /// The value that is the payload, if nothing else follows `System`.
    pub(super) payload: Option<u16>,
}

/// A definition's place and size: where its tokens begin and end, and the first number of its GUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Definition {
    pub(super) short_id: u32,
    from: usize,
    pub(super) to: usize,
}

impl Definition {
    pub(super) fn at(chunk: &[u8], at: usize) -> Option<Self> {
        let short_id = u32_at(chunk, at.checked_add(4)?)?;
        let size = place_at(chunk, at.checked_add(20)?)?;
        let from = at.checked_add(DEFINITION_HEADER_BYTES)?;
        let to = from.checked_add(size)?;
        chunk.get(from..to)?.starts_with(&FRAGMENT_HEADER).then_some(Self { short_id, from, to })
    }

    pub(super) const fn tokens<'c>(&self, chunk: &'c [u8]) -> Tokens<'c> {
        let at = self.from + FRAGMENT_HEADER.len();
        Tokens { chunk, from: at, at, to: self.to, checks: true, hash: 0, hashes_hold: true, is_closed: true }
    }

    /// The same, where names are compared with known ones: their hashes need not be made.
    pub(super) const fn tokens_unchecked<'c>(&self, chunk: &'c [u8]) -> Tokens<'c> {
        Tokens { checks: false, ..self.tokens(chunk) }
    }

    /// Every token makes sense and every name has the hash that stands beside it: what is left of a definition after it
    /// was written over in part does not pass.
    pub(super) fn is_whole(&self, chunk: &[u8]) -> bool {
        let mut tokens = self.tokens(chunk);
        loop {
            match tokens.next() {
                Some(Token::End) => return tokens.hashes_hold,
                Some(_) => {}
                None => return false,
            }
        }
    }
}

/// What a token says; names are UTF-16.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token<'c> {
    Open { name: &'c [u8], depends: Option<u16> },
    CloseStart,
    CloseElement,
    Attribute(&'c [u8]),
    Text(usize, usize),
    Hole(u16),
    End,
}

#[derive(Debug, Clone)]
pub(super) struct Tokens<'c> {
    chunk: &'c [u8],
    from: usize,
    at: usize,
    to: usize,
    checks: bool,
    /// What stands beside the last name as its hash.
    pub(super) hash: u16,
    pub(super) hashes_hold: bool,
    /// Every name stands in the definition itself.
    pub(super) is_closed: bool,
}

impl<'c> Tokens<'c> {
    fn skip(&mut self, bytes: usize) -> Option<usize> {
        let at = self.at;
        self.at = at.checked_add(bytes).filter(|end| *end <= self.to)?;
        Some(at)
    }

    fn u16(&mut self) -> Option<u16> {
        let at = self.skip(2)?;
        u16_at(self.chunk, at)
    }

    /// A name by its place in the chunk, which is here when it is used for the first time: u32 next, u16 hash, u16 length,
    /// UTF-16, u16 zero.
    fn name(&mut self) -> Option<&'c [u8]> {
        let reference = self.skip(4)?;
        let place = place_at(self.chunk, reference)?;
        let units = usize::from(u16_at(self.chunk, place.checked_add(6)?)?);
        let from = place.checked_add(8)?;
        let end = from.checked_add(2 * units)?;
        let name = self.chunk.get(from..end)?;
        if place == self.at {
            self.skip(10 + 2 * units)?;
        }
        self.is_closed &= self.from <= place && end <= self.to;
        self.hash = u16_at(self.chunk, place + 4)?;
        self.hashes_hold &= !self.checks || self.hash == hash(name);
        Some(name)
    }

    /// The next token; `None` where it is one that is not understood.
    pub(super) fn next(&mut self) -> Option<Token<'c>> {
        let at = self.skip(1)?;
        match self.chunk.get(at)? {
            token @ (0x01 | 0x41) => {
                let depends = Some(self.u16()?).filter(|index| *index != INDEPENDENT);
                self.skip(4)?;
                let name = self.name()?;
                if *token == 0x41 {
                    self.skip(4)?;
                }
                Some(Token::Open { name, depends })
            }
            0x02 => Some(Token::CloseStart),
            0x03 | 0x04 => Some(Token::CloseElement),
            0x05 | 0x45 => {
                let kind = self.skip(1)?;
                let units = usize::from(self.u16()?);
                let from = self.skip(2 * units)?;
                (self.chunk.get(kind) == Some(&1)).then_some(Token::Text(from, self.at))
            }
            0x06 | 0x46 => self.name().map(Token::Attribute),
            0x0d | 0x0e => {
                let index = self.u16()?;
                let kind = self.skip(1)?;
                let known = matches!(self.chunk.get(kind)?, 0..=0x15 | 0x20 | 0x21 | 0x23 | 0x81..=0x95);
                known.then_some(Token::Hole(index))
            }
            0x00 => Some(Token::End),
            _ => None,
        }
    }
}

/// The hash that stands beside a name: 16 bits, over UTF-16 units.
fn hash(name: &[u8]) -> u16 {
    let (units, _) = name.as_chunks::<2>();
    let sum = units
        .iter()
        .fold(0_u32, |sum, unit| sum.wrapping_mul(65_599).wrapping_add(u16::from_le_bytes(*unit).into()));
    u16::try_from(sum & 0xffff).unwrap_or(0)
}

/// Is this UTF-16 text these ASCII letters?
pub(super) fn is(name: &[u8], ascii: &str) -> bool {
    let units = name.as_chunks::<2>().0;
    units.len() == ascii.len()
        && units.iter().zip(ascii.bytes()).all(|([low, high], b)| *high == 0 && *low == b)
}

impl Outline {
    /// Reads a definition up to the end of `System`; `None` where that is not as simple as Windows writes it.
    pub(super) fn of(chunk: &[u8], definition: Definition) -> Option<Self> {
        let mut outline = Self::default();
        let mut tokens = definition.tokens(chunk);
        let mut open: Vec<&[u8]> = Vec::new();
        let mut attribute: Option<&[u8]> = None;
        loop {
            match tokens.next()? {
                Token::Open { name, depends } => {
                    attribute = None;
                    open.push(name);
                    if open.len() > DEPTH_MAX || !outline.is_expected(&open) {
                        return None;
                    }
                    let decides = open.len() < 3 || is_decisive(name);
                    outline.needs.extend(depends.filter(|_| decides));
                    outline.depends(&open, depends);
                }
                Token::CloseStart => attribute = None,
                Token::CloseElement => {
                    attribute = None;
                    let closed = open.pop()?;
                    if open.len() == 1 && is(closed, "System") {
                        outline.payload = only_hole(&mut tokens).filter(|_| tokens.hashes_hold);
                        return Some(outline);
                    }
                }
                Token::Attribute(name) => attribute = Some(name),
                Token::Text(from, to) => {
                    outline.take(&open, attribute, Source::Text(chunk.get(from..to)?.into()))?;
                }
                Token::Hole(index) => outline.take(&open, attribute, Source::Hole(index))?,
                Token::End => return None,
            }
        }
    }

    /// `Event`, in it `System` before anything else, in that each element once.
    fn is_expected(&self, open: &[&[u8]]) -> bool {
        let named = |index: usize, name| open.get(index).is_none_or(|found| is(found, name));
        let again = match open {
            [_, _, name] if is(name, "Provider") => self.provider != Source::Absent,
            [_, _, name] if is(name, "EventID") => self.id != Source::Absent,
            [_, _, name] if is(name, "EventRecordID") => self.record_id != Source::Absent,
            [_, _, name] if is(name, "TimeCreated") => self.time != Source::Absent,
            [_, _, name] if is(name, "Channel") => self.channel != Source::Absent,
            [_, _, name] if is(name, "Correlation") => self.has_correlation,
            _ => false,
        };
        named(0, "Event") && named(1, "System") && !again
    }

    /// Keeps what an element that does not decide depends on.
    fn depends(&mut self, open: &[&[u8]], depends: Option<u16>) {
        match open {
            [_, _, name] if is(name, "Version") => self.version.1 = depends,
            [_, _, name] if is(name, "Computer") => self.computer.1 = depends,
            [_, _, name] if is(name, "Correlation") => {
                self.has_correlation = true;
                self.activity.1 = depends;
            }
            _ => {}
        }
    }

    /// Keeps a value that matters; `None` where it is made of several pieces.
    fn take(&mut self, open: &[&[u8]], attribute: Option<&[u8]>, source: Source) -> Option<()> {
        let [_, _, element] = open else { return Some(()) };
        let slot = match attribute {
            Some(name) if is(element, "Provider") && is(name, "Name") => &mut self.provider,
            Some(name) if is(element, "TimeCreated") && is(name, "SystemTime") => &mut self.time,
            None if is(element, "EventID") => &mut self.id,
            None if is(element, "EventRecordID") => &mut self.record_id,
            None if is(element, "Channel") => &mut self.channel,
            Some(name) if is(element, "EventID") && is(name, "Qualifiers") => &mut self.qualifiers,
            Some(name) if is(element, "Correlation") && is(name, "ActivityID") => &mut self.activity.0,
            None if is(element, "Version") => &mut self.version.0,
            None if is(element, "Computer") => &mut self.computer.0,
            _ => return Some(()),
        };
        (*slot == Source::Absent).then(|| *slot = source)
    }
}

/// The one value between `System` and the end of `Event`.
fn only_hole(tokens: &mut Tokens<'_>) -> Option<u16> {
    let Some(Token::Hole(index)) = tokens.next() else { return None };
    let ends = tokens.next() == Some(Token::CloseElement) && tokens.next() == Some(Token::End);
    ends.then_some(index)
}

fn is_decisive(name: &[u8]) -> bool {
    ["Provider", "EventID", "EventRecordID", "TimeCreated", "Channel"].iter().any(|known| is(name, known))
}
