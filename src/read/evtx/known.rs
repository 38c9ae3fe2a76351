//! What was learnt of templates and of providers from the chunks before: nearly all chunks of a log hold the same ones,
//! each at another place.
//!
//! A template is known again by its GUID and every token of it, so that one of the same GUID and another content is
//! another one.

use bumpalo::Bump;
use hashbrown::HashMap;

use super::frame::{RECORD_HEADER_BYTES, RECORDS_AT};
use super::layout::Layout;
use super::payload::Plan;
use super::template::{Definition, FRAGMENT_HEADER, Outline, Token};
use super::typed;

/// Templates and names kept; more than any log of Windows has.
const KEPT_MAX: usize = 512;
/// Where the template of a chunk's first record is defined: behind its header and the beginning of the instance.
const FIRST_AT: usize = RECORDS_AT + RECORD_HEADER_BYTES + FRAGMENT_HEADER.len() + 10;
/// Lay-outs kept of one template.
const LAYOUTS_MAX: usize = 8;
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
    outline: Option<Outline>,
    /// `None` before somebody asked.
    plan: Option<Option<Plan>>,
    layouts: Vec<Layout>,
    last_layout: usize,
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
        Self { tokens: kept, outline, plan: None, layouts: Vec::new(), last_layout: 0 }
    }

    fn is(&self, chunk: &[u8], definition: Definition) -> bool {
        let mut tokens = definition.tokens_unchecked(chunk);
        let is_next = |kept: &Kept| tokens.next().is_some_and(|token| kept.is(token, tokens.hash, chunk));
        !self.tokens.is_empty() && self.tokens.iter().all(is_next)
    }

    fn is_whole(&self) -> bool {
        !self.tokens.is_empty()
    }

    /// The lay-out with these descriptions, which is the last one then; `None` where it is not usable.
    fn layout(&mut self, descriptions: &[u8]) -> Option<&mut Layout> {
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
        self.layouts.get_mut(self.last_layout).filter(|layout| layout.is_usable)
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
    /// Texts of the record that is read.
    pub(super) texts: Bump,
}

impl<W: Copy> Known<W> {
    pub(super) fn new() -> Self {
        Self {
            templates: Templates::default(),
            logs: Logs { all: Vec::new() },
            computer: Computer::default(),
            texts: Bump::new(),
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
    /// The template that the first record of a chunk has, which is the same one in most chunks, and always at the same place.
    first: Option<First>,
    by_guid: HashMap<[u8; 16], Vec<usize>, foldhash::fast::FixedState>,
}

/// A definition that names nothing outside of itself: the same bytes at the same place are the same template.
#[derive(Debug)]
struct First {
    at: usize,
    bytes: Box<[u8]>,
    template: usize,
}

impl First {
    /// `None` where the definition needs more than itself.
    fn of(chunk: &[u8], at: usize, definition: Definition, template: usize) -> Option<Self> {
        let mut tokens = definition.tokens_unchecked(chunk);
        while tokens.next()? != Token::End {}
        let bytes = chunk.get(at..definition.to).filter(|_| tokens.is_closed)?;
        Some(Self { at, bytes: bytes.into(), template })
    }

    fn is(&self, chunk: &[u8], at: usize) -> bool {
        self.at == at && chunk.get(at..).is_some_and(|here| here.starts_with(&self.bytes))
    }
}

impl Templates {
    /// The template that is defined here, known before or not.
    pub(super) fn find(&mut self, chunk: &[u8], at: usize) -> Option<usize> {
        if let Some(first) = self.first.as_ref().filter(|first| first.is(chunk, at)) {
            return Some(first.template);
        }
        let definition = Definition::at(chunk, at)?;
        let template = self.known(chunk, at, definition)?;
        if at == FIRST_AT && self.all.get(template).is_some_and(Template::is_whole) {
            self.first = First::of(chunk, at, definition, template);
        }
        Some(template)
    }

    fn known(&mut self, chunk: &[u8], at: usize, definition: Definition) -> Option<usize> {
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

    /// Where instances of the template with these descriptions have their values.
    pub(super) fn layout(&mut self, template: usize, descriptions: &[u8]) -> Option<&mut Layout> {
        self.all.get_mut(template)?.layout(descriptions)
    }

    /// The lay-out of the last instance of the template.
    pub(super) fn last_layout(&self, template: usize) -> Option<&Layout> {
        let template = self.all.get(template)?;
        template.layouts.get(template.last_layout)
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
