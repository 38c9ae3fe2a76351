//! What was learnt of templates and of providers from the chunks before: nearly all chunks of a log hold the same ones,
//! each at another place.
//!
//! A template is known again by its GUID and every token of it, so that one of the same GUID and another content is
//! another one.

use hashbrown::HashMap;

use super::payload::Plan;
use super::template::{Definition, Outline, Source, Token};
use super::typed::{self, BINARY_XML, NULL};

/// Templates and names kept; more than any log of Windows has.
const KEPT_MAX: usize = 512;
/// Lay-outs kept of one template.
const LAYOUTS_MAX: usize = 8;
/// Values that are told apart; Windows has what decides among the first 18.
const VALUES_SEEN: usize = 32;
/// Event ids of one provider and channel whose decision is kept.
const PICKS: usize = 64;

/// A token that is kept; names with their hash.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Kept {
    Open(Box<[u8]>, u16, Option<u16>),
    Attribute(Box<[u8]>, u16),
    Text(Box<[u8]>),
    Other(Other),
}

/// A token without text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Other {
    CloseStart,
    CloseElement,
    Hole(u16),
    End,
}

impl Kept {
    fn of(token: Token<'_>, hash: u16, chunk: &[u8]) -> Option<Self> {
        Some(match token {
            Token::Open { name, depends } => Self::Open(name.into(), hash, depends),
            Token::Attribute(name) => Self::Attribute(name.into(), hash),
            Token::Text(from, to) => Self::Text(chunk.get(from..to)?.into()),
            Token::CloseStart => Self::Other(Other::CloseStart),
            Token::CloseElement => Self::Other(Other::CloseElement),
            Token::Hole(index) => Self::Other(Other::Hole(index)),
            Token::End => Self::Other(Other::End),
        })
    }

    fn is(&self, token: Token<'_>, hash: u16, chunk: &[u8]) -> bool {
        match (self, token) {
            (Self::Open(kept, own, needs), Token::Open { name, depends }) => {
                **kept == *name && *own == hash && *needs == depends
            }
            (Self::Attribute(kept, own), Token::Attribute(name)) => **kept == *name && *own == hash,
            (Self::Text(kept), Token::Text(from, to)) => chunk.get(from..to) == Some(&**kept),
            (Self::Other(Other::CloseStart), Token::CloseStart)
            | (Self::Other(Other::CloseElement), Token::CloseElement)
            | (Self::Other(Other::End), Token::End) => true,
            (Self::Other(Other::Hole(kept)), Token::Hole(index)) => *kept == index,
            _ => false,
        }
    }
}

/// One template.
#[derive(Debug)]
pub(super) struct Template {
    /// INVARIANT: all of it, up to `End`, with hashes that hold; nothing of one that is not whole.
    tokens: Vec<Kept>,
    pub(super) outline: Option<Outline>,
    /// `None` before somebody asked.
    plan: Option<Option<Plan>>,
    layouts: Vec<Layout>,
    last_layout: usize,
    /// Provider and channel of the last record.
    pub(super) last_log: usize,
}

impl Template {
    fn of(chunk: &[u8], definition: Definition) -> Self {
        let mut tokens = definition.tokens(chunk);
        let mut kept = Vec::new();
        while let Some(token) = tokens.next() {
            kept.extend(Kept::of(token, tokens.hash, chunk));
            if token == Token::End {
                break;
            }
        }
        if kept.last() != Some(&Kept::Other(Other::End)) || !tokens.hashes_hold {
            kept.clear();
        }
        let outline = Outline::of(chunk, definition);
        Self { tokens: kept, outline, plan: None, layouts: Vec::new(), last_layout: 0, last_log: 0 }
    }

    fn is(&self, chunk: &[u8], definition: Definition) -> bool {
        let mut tokens = definition.tokens_unchecked(chunk);
        let is_next = |kept: &Kept| tokens.next().is_some_and(|token| kept.is(token, tokens.hash, chunk));
        !self.tokens.is_empty() && self.tokens.iter().all(is_next)
    }

    fn is_whole(&self) -> bool {
        !self.tokens.is_empty()
    }

    /// Makes the lay-out with these descriptions the last one; `None` where it is not usable.
    fn choose_layout(&mut self, descriptions: &[u8]) -> Option<()> {
        let fits = |layout: &Layout| layout.is_of(descriptions);
        if !self.layouts.get(self.last_layout).is_some_and(fits) {
            self.last_layout = match self.layouts.iter().position(fits) {
                Some(index) => index,
                None => {
                    let new = Layout::of(descriptions, self.outline.as_ref()?);
                    if self.layouts.len() >= LAYOUTS_MAX {
                        self.layouts.remove(0);
                    }
                    self.layouts.push(new);
                    self.layouts.len() - 1
                }
            };
        }
        self.layouts.get(self.last_layout).filter(|layout| layout.is_usable).map(|_| ())
    }
}

/// Where instances with the same descriptions have their values: many records of a provider differ in the size of their
/// payload only, which comes last.
#[derive(Debug)]
pub(super) struct Layout {
    descriptions: Box<[u8]>,
    /// The last value is the payload, and its size may differ.
    ends_with_payload: bool,
    /// Types, and places behind the first value.
    places: Vec<(u8, usize, usize)>,
    /// Those whose size depends on what they are.
    sids: Vec<(usize, usize)>,
    /// Bytes of all values, or of those before the payload.
    bytes: usize,
    /// Every value has the size of its type, and what must be there is there.
    is_usable: bool,
}

/// Sizes and types of values; the fourth byte of each is 0.
pub(super) fn descriptions(bytes: &[u8]) -> impl Iterator<Item = (usize, u8)> + use<'_> {
    let (all, _) = bytes.as_chunks::<4>();
    all.iter().map(|[low, high, kind, _]| (usize::from(u16::from_le_bytes([*low, *high])), *kind))
}

impl Layout {
    fn of(bytes: &[u8], outline: &Outline) -> Self {
        let count = bytes.len() / 4;
        let last = descriptions(bytes).last();
        let ends_with_payload = outline.payload.is_some_and(|index| usize::from(index) + 1 == count)
            && last.is_some_and(|(_, kind)| kind == BINARY_XML);
        let mut layout = Self {
            descriptions: bytes.into(),
            ends_with_payload,
            places: Vec::new(),
            sids: Vec::new(),
            bytes: 0,
            is_usable: true,
        };
        let fixed = if ends_with_payload { count - 1 } else { count };
        for (size, kind) in descriptions(bytes).take(fixed) {
            let (from, to) = (layout.bytes, layout.bytes + size);
            layout.bytes = to;
            layout.is_usable &= typed::may_have_size(kind, size);
            if kind == typed::SID {
                layout.sids.push((from, to));
            }
            if layout.places.len() < VALUES_SEEN {
                layout.places.push((kind, from, to));
            }
        }
        let is_there = |index: &u16| {
            let place = layout.places.get(usize::from(*index));
            let is_payload = ends_with_payload && usize::from(*index) == fixed;
            is_payload || place.is_some_and(|(kind, ..)| *kind != NULL)
        };
        layout.is_usable &= outline.needs.iter().all(is_there);
        layout
    }

    fn is_of(&self, other: &[u8]) -> bool {
        let own = &*self.descriptions;
        if own.len() != other.len() || !self.ends_with_payload {
            return own == other;
        }
        let cut = own.len().saturating_sub(4);
        own.get(..cut) == other.get(..cut) && own.get(cut + 2) == other.get(cut + 2)
    }
}

/// The values of one record's outer template.
#[derive(Debug, Clone, Copy)]
pub(super) struct Values<'c, 'l> {
    chunk: &'c [u8],
    layout: &'l Layout,
    at: usize,
    /// Of the payload, where it comes last.
    last: Option<(usize, usize)>,
}

impl<'c, 'l> Values<'c, 'l> {
    /// `None` where a value has not the size of its type, so that readers differ about where the next begins, and where they
    /// reach beyond the chunk.
    fn of(chunk: &'c [u8], layout: &'l Layout, descriptions: &[u8], at: usize) -> Option<Self> {
        let end = at + layout.bytes;
        let last = layout.ends_with_payload.then(|| {
            let size = descriptions.last_chunk::<4>().map_or([0; 2], |[low, high, ..]| [*low, *high]);
            (end, end + usize::from(u16::from_le_bytes(size)))
        });
        let values = Self { chunk, layout, at, last };
        let is_one = |(from, to): &(usize, usize)| chunk.get(at + from..at + to).is_some_and(typed::is_sid);
        (values.end() <= chunk.len() && layout.sids.iter().all(is_one)).then_some(values)
    }

    /// Where the values end.
    pub(super) const fn end(&self) -> usize {
        match self.last {
            Some((_, to)) => to,
            None => self.at + self.layout.bytes,
        }
    }

    pub(super) fn place(&self, index: u16) -> Option<(u8, usize, usize)> {
        let index = usize::from(index);
        match self.last {
            Some((from, to)) if index + 1 == self.layout.descriptions.len() / 4 => {
                Some((BINARY_XML, from, to))
            }
            _ => self.layout.places.get(index).map(|(kind, from, to)| (*kind, self.at + from, self.at + to)),
        }
    }

    pub(super) fn get(&self, index: u16) -> Option<(u8, &'c [u8])> {
        let (kind, from, to) = self.place(index)?;
        Some((kind, self.chunk.get(from..to)?))
    }
}

/// What is decided of an event by its provider, channel and id.
#[derive(Debug, Clone, Copy)]
pub(super) enum Pick<W> {
    /// It is passed over.
    Passed,
    /// It is wanted, with what says so.
    Wanted(W),
    /// Its names are no text: its XML decides.
    ByXml,
}

/// A provider and a channel where it writes.
#[derive(Debug)]
pub(super) struct Named<W> {
    provider_utf16: Box<[u8]>,
    channel_utf16: Box<[u8]>,
    /// As they decide: `None` for what is no text.
    deciding: Option<(String, String)>,
    /// As a record has them; `None` where only its XML can tell.
    pub(super) shown: Option<(String, String)>,
    picks: Vec<Option<(u32, Pick<W>)>>,
}

impl<W: Copy> Named<W> {
    fn of(provider: &[u8], channel: &[u8]) -> Self {
        let shown = |name| typed::utf16(name).map(|text| text.trim().to_owned());
        Self {
            provider_utf16: provider.into(),
            channel_utf16: channel.into(),
            deciding: text(provider).zip(text(channel)),
            shown: shown(provider).zip(shown(channel)),
            picks: vec![None; PICKS],
        }
    }

    fn is(&self, provider: &[u8], channel: &[u8]) -> bool {
        *self.channel_utf16 == *channel && *self.provider_utf16 == *provider
    }

    pub(super) fn pick(&mut self, id: u32, wanted: &dyn Fn(&str, &str, u32) -> Option<W>) -> Pick<W> {
        let slot = usize::try_from(id).ok().and_then(|id| self.picks.get_mut(id % PICKS));
        if let Some(Some((known, pick))) = slot.as_deref()
            && *known == id
        {
            return *pick;
        }
        let pick = match &self.deciding {
            Some((provider, channel)) => wanted(provider, channel, id).map_or(Pick::Passed, Pick::Wanted),
            None => Pick::ByXml,
        };
        if let Some(slot) = slot {
            *slot = Some((id, pick));
        }
        pick
    }
}

/// UTF-16 as it stands in the XML; `None` for what is no text.
fn text(bytes: &[u8]) -> Option<String> {
    let (units, _) = bytes.as_chunks::<2>();
    let units: Vec<u16> = units.iter().map(|unit| u16::from_le_bytes(*unit)).collect();
    let text = String::from_utf16(&units).ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// What one thread knows; `W` is what says that an event is wanted.
#[derive(Debug)]
pub(super) struct Known<W> {
    pub(super) templates: Templates,
    pub(super) logs: Logs<W>,
    pub(super) computer: Computer,
}

impl<W: Copy> Known<W> {
    pub(super) fn new() -> Self {
        Self {
            templates: Templates::default(),
            logs: Logs { all: Vec::new() },
            computer: Computer::default(),
        }
    }

    /// Forgets everything when it has become too much. Between chunks only: a chunk has indices of what is known.
    pub(super) fn limit(&mut self) {
        if self.templates.all.len() > KEPT_MAX || self.logs.all.len() > KEPT_MAX {
            *self = Self::new();
        }
    }
}

/// Templates by their GUID.
#[derive(Debug, Default)]
pub(super) struct Templates {
    all: Vec<Template>,
    by_guid: HashMap<[u8; 16], Vec<usize>, foldhash::fast::FixedState>,
}

impl Templates {
    /// The template that is defined here, known before or not.
    pub(super) fn find(&mut self, chunk: &[u8], at: usize) -> Option<usize> {
        let definition = Definition::at(chunk, at)?;
        let guid: [u8; 16] = chunk.get(at + 4..)?.first_chunk().copied()?;
        let same = self.by_guid.entry(guid).or_default();
        let is =
            |index: &&usize| self.all.get(**index).is_some_and(|template| template.is(chunk, definition));
        if let Some(index) = same.iter().find(is) {
            return Some(*index);
        }
        let template = Template::of(chunk, definition);
        if template.is_whole() {
            same.push(self.all.len());
        }
        self.all.push(template);
        Some(self.all.len() - 1)
    }

    pub(super) fn get_mut(&mut self, template: usize) -> Option<&mut Template> {
        self.all.get_mut(template)
    }

    /// The values of an instance of a template with these descriptions, and where the template has what.
    pub(super) fn values<'c>(
        &mut self,
        (chunk, at): (&'c [u8], usize),
        template: usize,
        descriptions: &[u8],
    ) -> Option<(&Template, Values<'c, '_>)> {
        let template = self.all.get_mut(template)?;
        template.choose_layout(descriptions)?;
        let layout = template.layouts.get(template.last_layout)?;
        Some((template, Values::of(chunk, layout, descriptions, at)?))
    }

    /// Which fields the template has that is defined here, if it can be told.
    pub(super) fn plan(&mut self, chunk: &[u8], template: usize, at: usize) -> Option<&Plan> {
        let template = self.all.get_mut(template)?;
        if template.plan.is_none() {
            let definition = Definition::at(chunk, at).filter(|_| template.is_whole());
            template.plan = Some(definition.and_then(|definition| Plan::of(chunk, definition)));
        }
        template.plan.as_ref()?.as_ref()
    }
}

/// Providers with their channels.
#[derive(Debug)]
pub(super) struct Logs<W> {
    all: Vec<Named<W>>,
}

impl<W: Copy> Logs<W> {
    /// It is the log of this provider and channel.
    pub(super) fn is(&self, log: usize, provider: &[u8], channel: &[u8]) -> bool {
        self.all.get(log).is_some_and(|log| log.is(provider, channel))
    }

    /// The log of a provider and a channel.
    pub(super) fn find(&mut self, provider: &[u8], channel: &[u8]) -> usize {
        self.all.iter().position(|log| log.is(provider, channel)).unwrap_or_else(|| {
            self.all.push(Named::of(provider, channel));
            self.all.len() - 1
        })
    }

    pub(super) fn get(&self, log: usize) -> Option<&Named<W>> {
        self.all.get(log)
    }

    pub(super) fn get_mut(&mut self, log: usize) -> Option<&mut Named<W>> {
        self.all.get_mut(log)
    }
}

/// The computer of the last record, as it stands there and as text.
#[derive(Debug, Default)]
pub(super) struct Computer {
    utf16: Vec<u8>,
    text: String,
}

impl Computer {
    /// Reads its name; `None` where only the XML can tell.
    pub(super) fn learn(&mut self, utf16: &[u8]) -> Option<()> {
        if self.utf16 != utf16 {
            let text = typed::utf16(utf16)?.trim().to_owned();
            *self = Self { utf16: utf16.to_vec(), text };
        }
        Some(())
    }

    /// Its name without blanks at both ends.
    pub(super) fn name(&self) -> &str {
        &self.text
    }
}

/// The value of a source, empty where the template has none.
pub(super) fn value<'v>(values: &Values<'v, '_>, source: &'v Source) -> Option<(u8, &'v [u8])> {
    match source {
        Source::Hole(index) => values.get(*index),
        Source::Text(text) => Some((typed::STRING, text)),
        Source::Absent => Some((NULL, &[])),
    }
}
