//! Which fields a payload's template has (`EventData`, `UserData`), and where in its instances their values stand.
//!
//! Only the flat shape that nearly every event has is understood: elements right below `EventData`, or below the one
//! element of `UserData`, each with one value or one literal text. Of any other the fields are read from its XML.

use std::borrow::Cow;
use std::cell::Cell;

use bumpalo::Bump;
use hashbrown::HashMap;

use super::event::{FIELDS_MAX, VALUE_BYTES_MAX};
use super::template::{Definition, Token, Tokens, is};
use super::typed::{self, NULL, STRING, STRINGS};
use crate::read::record::{Fields, Value};

/// Bytes of text that one byte of a value comes to at most: a number of 8 bits has up to four digits.
const TEXT_PER_BYTE: usize = 4;

/// `-` in UTF-16, which many fields have that have nothing.
const NONE: [u8; 2] = [b'-', 0];

/// The value of an instance: its type, from where to where in the chunk.
pub(super) type Place = (u8, usize, usize);

/// The fields of a payload in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Plan {
    /// Values that must be there, else an element around the fields falls away.
    needs: Vec<u16>,
    fields: Vec<Field>,
    /// `Data` without a name is among them.
    is_counted: bool,
    /// Bytes that names, literal texts and their places in memory come to.
    fixed: usize,
    /// How many fields have the value that most of them have.
    uses: usize,
    /// The first field of each name; nothing where a field may be absent or has a number for a name.
    by_name: HashMap<String, usize, foldhash::fast::FixedState>,
    asked: Asked,
}

/// Slots for names that were asked for.
const ASKED: usize = 128;

/// Names that were asked for, by where they stand in memory and how long they are: of what lasts as long as the program, the
/// same place and length is the same name. Each with its field, if there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Asked(Vec<Cell<Option<AskedName>>>);

/// Where a name stands, its length, and the field that has it.
type AskedName = (usize, usize, Option<usize>);

impl Default for Asked {
    fn default() -> Self {
        Self(vec![Cell::new(None); ASKED])
    }
}

impl Asked {
    fn field(&self, name: &'static str, find: impl FnOnce() -> Option<usize>) -> Option<usize> {
        let (place, length) = (name.as_ptr().addr(), name.len());
        let Some(slot) = self.0.get((place ^ (place >> 7)) % ASKED) else { return find() };
        match slot.get() {
            Some((known, bytes, field)) if known == place && bytes == length => field,
            _ => {
                let field = find();
                slot.set(Some((place, length, field)));
                field
            }
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Field {
    /// `None` for `Data` without a name, which is counted.
    name: Option<String>,
    /// Without this value the field is not there.
    depends: Option<u16>,
    content: Content,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Content {
    /// Literal text.
    Text(String),
    /// The value of this index.
    Hole(u16),
}

impl Plan {
    /// `None` where the template is of another shape.
    pub(super) fn of(chunk: &[u8], definition: Definition) -> Option<Self> {
        let mut builder = Builder { chunk, ..Builder::default() };
        let mut tokens: Tokens<'_> = definition.tokens(chunk);
        loop {
            match tokens.next()? {
                Token::End => {
                    let is_whole = builder.open == 0 && builder.has_root;
                    return is_whole.then(|| builder.plan.weighed());
                }
                token => builder.take(token)?,
            }
        }
    }

    fn weighed(mut self) -> Self {
        let mut uses = std::collections::BTreeMap::<u16, usize>::new();
        for field in &self.fields {
            // A number for a name has no more digits than this.
            let name = field.name.as_ref().map_or(4, String::len);
            self.fixed += name + size_of::<(String, String)>();
            self.is_counted |= field.name.is_none();
            match &field.content {
                Content::Text(text) => self.fixed += text.len(),
                Content::Hole(index) => *uses.entry(*index).or_default() += 1,
            }
        }
        self.uses = uses.into_values().max().unwrap_or(0);
        if !self.is_counted && self.fields.iter().all(|field| field.depends.is_none()) {
            for (index, field) in self.fields.iter().enumerate() {
                self.by_name.entry(field.name.clone().unwrap_or_default()).or_insert(index);
            }
        }
        self
    }

    /// The fields of one instance, read when they are asked for; `None` as `fields` has it. `room` is what all of them may
    /// come to.
    pub(super) fn values<'p>(
        &'p self,
        (chunk, places): (&'p [u8], &'p [Place]),
        texts: &'p Bump,
        room: &mut usize,
    ) -> Option<Taken<'p>> {
        if self.is_counted && places.iter().any(|(kind, ..)| *kind == STRINGS) {
            return self.fields(chunk, places, room).map(Taken::Kept);
        }
        let values = Values { plan: self, chunk, places, texts, is_beyond: Cell::new(false) };
        let bytes = match (places.first(), places.last()) {
            (Some((_, from, _)), Some((.., to))) => to.saturating_sub(*from),
            _ => 0,
        };
        let most = bytes.saturating_mul(TEXT_PER_BYTE).saturating_mul(self.uses).saturating_add(self.fixed);
        if self.needs.iter().any(|index| values.is_null(*index)) || self.fields.len() > FIELDS_MAX {
            return None;
        }
        *room = room.checked_sub(most)?;
        Some(Taken::Values(values))
    }

    /// The fields of one instance; `None` where one cannot be read here, or is to be cut. `room` is what may be kept.
    pub(super) fn fields(
        &self,
        chunk: &[u8],
        values: &[Place],
        room: &mut usize,
    ) -> Option<Vec<(String, String)>> {
        let at = |index: u16| values.get(usize::from(index));
        let is_null = |index: &u16| at(*index).is_some_and(|(kind, ..)| *kind == NULL);
        if self.needs.iter().any(is_null) {
            return None;
        }
        let mut kept = Kept { fields: Vec::with_capacity(self.fields.len()), unnamed: 0, left: *room };
        for field in self.fields.iter().filter(|field| !field.depends.as_ref().is_some_and(is_null)) {
            let name = field.name.as_deref();
            match &field.content {
                Content::Text(text) => kept.add(name, text.clone())?,
                Content::Hole(index) => match at(*index) {
                    None => kept.add(name, String::new())?,
                    // The element is repeated for each of several strings.
                    Some((STRINGS, from, to)) if name.is_none() => {
                        for text in typed::strings(chunk.get(*from..*to)?)? {
                            kept.add(None, text?)?;
                        }
                    }
                    Some((kind, from, to)) => {
                        kept.add(name, typed::text(*kind, chunk.get(*from..*to)?)?)?;
                    }
                },
            }
        }
        *room = kept.left;
        Some(kept.fields)
    }
}

/// The fields of one instance.
pub(super) enum Taken<'p> {
    Values(Values<'p>),
    Kept(Vec<(String, String)>),
}

impl Taken<'_> {
    /// A field was asked for that only the XML can tell: what was made of the others is of no use.
    pub(super) fn is_beyond(&self) -> bool {
        match self {
            Self::Values(values) => values.is_beyond.get(),
            Self::Kept(_) => false,
        }
    }

    pub(super) fn fields(&self) -> &dyn Fields {
        match self {
            Self::Values(values) => values,
            Self::Kept(fields) => fields,
        }
    }
}

/// The values of one instance by the names of its template.
pub(super) struct Values<'p> {
    plan: &'p Plan,
    chunk: &'p [u8],
    places: &'p [Place],
    /// Texts that were asked for: they last as long as the record.
    texts: &'p Bump,
    is_beyond: Cell<bool>,
}

impl<'p> Values<'p> {
    fn is_null(&self, index: u16) -> bool {
        self.places.get(usize::from(index)).is_some_and(|(kind, ..)| *kind == NULL)
    }

    /// Those that are there.
    fn present(&self) -> impl Iterator<Item = &'p Field> {
        self.plan.fields.iter().filter(|field| !field.depends.is_some_and(|index| self.is_null(index)))
    }

    fn find(&self, name: &'static str) -> Option<&'p Field> {
        let Plan { by_name, asked, fields, .. } = self.plan;
        if !by_name.is_empty() {
            return fields.get(asked.field(name, || by_name.get(name).copied())?);
        }
        let named = self.present().find(|field| field.name.as_deref() == Some(name));
        if !self.plan.is_counted {
            return named;
        }
        let number = name.parse().ok().filter(|number: &usize| number.to_string() == name);
        let counted = number.and_then(|n| self.present().filter(|field| field.name.is_none()).nth(n));
        match (named, counted) {
            // Which of the two comes first is for those to say who see both.
            (Some(_), Some(_)) => self.beyond(),
            (named, counted) => named.or(counted),
        }
    }

    fn beyond<T>(&self) -> Option<T> {
        self.is_beyond.set(true);
        None
    }

    fn text_of(&self, field: &'p Field) -> Option<Cow<'p, str>> {
        let index = match &field.content {
            Content::Text(text) if text.len() > VALUE_BYTES_MAX => return self.beyond(),
            Content::Text(text) => return Some(Cow::Borrowed(text)),
            Content::Hole(index) => index,
        };
        let Some((kind, from, to)) = self.places.get(usize::from(*index)) else {
            return Some(Cow::Borrowed(""));
        };
        let value = self.chunk.get(*from..*to)?;
        if *kind == STRING && *value == NONE {
            return Some(Cow::Borrowed("-"));
        }
        match typed::text_in(*kind, value, self.texts) {
            Some(text) if text.len() <= VALUE_BYTES_MAX => Some(Cow::Borrowed(text)),
            _ => self.beyond(),
        }
    }
}

impl Fields for Values<'_> {
    fn value(&self, name: &'static str) -> Option<Value<'_>> {
        let field = self.find(name)?;
        if let Content::Hole(index) = &field.content
            && let Some((kind, from, to)) = self.places.get(usize::from(*index))
            && let Some(number) = typed::number(*kind, self.chunk.get(*from..*to)?)
        {
            return Some(number);
        }
        self.text_of(field).map(Value::Text)
    }

    fn text(&self, name: &'static str) -> Option<Cow<'_, str>> {
        self.text_of(self.find(name)?)
    }

    fn each(&self, take: &mut dyn FnMut(&str, &str) -> bool) {
        let mut unnamed = 0_u32;
        for field in self.present() {
            let Some(text) = self.text_of(field) else { return };
            let goes_on = match &field.name {
                Some(name) => take(name, &text),
                None => {
                    unnamed += 1;
                    take(&(unnamed - 1).to_string(), &text)
                }
            };
            if !goes_on {
                return;
            }
        }
    }
}

struct Kept {
    fields: Vec<(String, String)>,
    unnamed: u32,
    left: usize,
}

impl Kept {
    fn add(&mut self, name: Option<&str>, value: String) -> Option<()> {
        let name = match name {
            Some(name) => name.to_owned(),
            None => {
                self.unnamed += 1;
                (self.unnamed - 1).to_string()
            }
        };
        let bytes = name.len() + value.len() + size_of::<(String, String)>();
        if value.len() > VALUE_BYTES_MAX || self.fields.len() >= FIELDS_MAX {
            return None;
        }
        self.left = self.left.checked_sub(bytes)?;
        self.fields.push((name, value));
        Some(())
    }
}

/// What is known of a template while its tokens are read.
#[derive(Default)]
struct Builder<'c> {
    chunk: &'c [u8],
    plan: Plan,
    /// Elements that are open.
    open: usize,
    has_root: bool,
    user_data: bool,
    /// In a start tag, of this attribute.
    in_tag: bool,
    attribute: Option<&'c [u8]>,
    field: Option<Open>,
}

struct Open {
    tag: String,
    /// `Name` of `Data`.
    name: Option<String>,
    has_name: bool,
    depends: Option<u16>,
    content: Option<Content>,
}

impl<'c> Builder<'c> {
    /// `None` for what is not understood.
    fn take(&mut self, token: Token<'c>) -> Option<()> {
        match token {
            Token::Open { name, depends } => self.open(name, depends),
            Token::CloseStart => {
                self.in_tag = false;
                self.attribute = None;
                Some(())
            }
            Token::CloseElement => self.close(),
            Token::Attribute(name) => self.attribute(name),
            Token::Text(from, to) => self.text(typed::utf16(self.chunk.get(from..to)?)?),
            Token::Hole(_) if self.in_tag => None,
            Token::Hole(index) => self.content(Content::Hole(index)),
            Token::End => None,
        }
    }

    fn open(&mut self, name: &[u8], depends: Option<u16>) -> Option<()> {
        if self.in_tag {
            return None;
        }
        let fields_at = if self.user_data { 2 } else { 1 };
        if self.open == 0 {
            self.user_data = is(name, "UserData");
            if self.has_root || !(self.user_data || is(name, "EventData")) {
                return None;
            }
            self.has_root = true;
        }
        if self.open == 0 || self.open < fields_at {
            self.plan.needs.extend(depends);
        } else if self.open == fields_at && self.field.is_none() {
            let tag = typed::utf16(name).filter(|name| is_plain_name(name))?;
            self.field = Some(Open { tag, name: None, has_name: false, depends, content: None });
        } else {
            return None;
        }
        self.open += 1;
        self.in_tag = true;
        self.attribute = None;
        Some(())
    }

    fn attribute(&mut self, name: &'c [u8]) -> Option<()> {
        if !self.in_tag {
            return None;
        }
        self.attribute = Some(name);
        let Some(field) = &mut self.field else { return Some(()) };
        if typed::utf16(name)?.starts_with("xmlns") {
            return Some(());
        }
        // Attributes of others are fields themselves.
        let names = field.tag == "Data" && !self.user_data && is(name, "Name") && !field.has_name;
        field.has_name = true;
        names.then_some(())
    }

    fn text(&mut self, text: String) -> Option<()> {
        if !self.in_tag {
            return self.content(Content::Text(text));
        }
        let name = self.attribute?;
        let Some(field) = self.field.as_mut().filter(|_| is(name, "Name")) else { return Some(()) };
        let text = Some(text.trim().to_owned()).filter(|text| !text.is_empty() && field.name.is_none());
        field.name = Some(text?);
        Some(())
    }

    fn content(&mut self, content: Content) -> Option<()> {
        let field = self.field.as_mut()?;
        field.content.is_none().then(|| field.content = Some(content))
    }

    fn close(&mut self) -> Option<()> {
        self.open = self.open.checked_sub(1)?;
        self.in_tag = false;
        self.attribute = None;
        if let Some(Open { tag, name, has_name, depends, content }) = self.field.take() {
            let counted = tag == "Data" && !self.user_data;
            // A name that is empty is none, and is written in ways that readers differ about.
            if has_name && name.is_none() {
                return None;
            }
            let name = if counted { name } else { Some(tag) };
            let content = content.unwrap_or_else(|| Content::Text(String::new()));
            self.plan.fields.push(Field { name, depends, content });
        }
        Some(())
    }
}

/// A name that no reader of XML takes apart.
fn is_plain_name(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
}
