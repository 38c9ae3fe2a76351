//! Where the instances of one outer template have their values: many records of a provider have values of the same types
//! and sizes, and differ in the size of their payload only, which comes last.

use super::frame::{u16_at, u32_at, u64_at};
use super::template::{Outline, Source};
use super::typed::{
    self, BINARY_XML, FILETIME, GUID, NULL, STRING, UNSIGNED_8, UNSIGNED_16, UNSIGNED_32, UNSIGNED_64,
};

/// Values that are told apart; Windows has what decides among the first 18.
const VALUES_SEEN: usize = 32;

/// Sizes and types of values; the fourth byte of each is 0.
pub(super) fn descriptions(bytes: &[u8]) -> impl Iterator<Item = (usize, u8)> + use<'_> {
    let (all, _) = bytes.as_chunks::<4>();
    all.iter().map(|[low, high, kind, _]| (usize::from(u16::from_le_bytes([*low, *high])), *kind))
}

/// Places are counted from where the first value begins.
#[derive(Debug)]
pub(super) struct Layout {
    descriptions: Box<[u8]>,
    /// The last value is the payload, and its size may differ.
    ends_with_payload: bool,
    /// Those whose size depends on what they are.
    sids: Vec<(usize, usize)>,
    /// Bytes of all values, or of those before the payload.
    bytes: usize,
    /// Every value has the size of its type, and what must be there is there.
    pub(super) is_usable: bool,
    deciding: Option<Deciding>,
    beside: Option<Beside>,
    /// Provider and channel of the last record.
    pub(super) last_log: usize,
}

/// Where the values stand that decide about an event; all of them are there, with the types that Windows gives them.
#[derive(Debug)]
struct Deciding {
    provider: Text,
    channel: Text,
    id: (usize, bool),
    record_id: usize,
    time: usize,
}

/// Where the other values stand that a record has; nothing of what is absent.
#[derive(Debug)]
pub(super) struct Beside {
    version: Option<usize>,
    qualifiers: Option<usize>,
    activity: Option<usize>,
    computer: Text,
    /// `None` where it comes last.
    payload: Option<(usize, usize)>,
}

/// UTF-16: a value, or literal text of the template.
#[derive(Debug)]
enum Text {
    At(usize, usize),
    Literal(Box<[u8]>),
}

impl Text {
    fn of<'a>(&'a self, values: &'a [u8]) -> Option<&'a [u8]> {
        match self {
            Self::At(from, to) => values.get(*from..*to),
            Self::Literal(text) => Some(text),
        }
    }
}

/// What decides about an event, as it stands in the log.
pub(super) struct Decided<'v> {
    pub(super) provider: &'v [u8],
    pub(super) channel: &'v [u8],
    pub(super) id: u32,
    pub(super) record_id: u64,
    /// FILETIME.
    pub(super) time: u64,
}

/// What a record has beside what decides.
pub(super) struct Head<'v> {
    pub(super) version: u8,
    pub(super) qualifiers: Option<u32>,
    pub(super) activity: Option<[u8; 16]>,
    /// UTF-16.
    pub(super) computer: &'v [u8],
    /// From where to where its payload stands behind the first value.
    pub(super) payload: (usize, usize),
}

/// Types and places of the values, while a lay-out is made.
struct Places(Vec<(u8, usize, usize)>);

impl Places {
    fn get(&self, source: &Source) -> Option<(u8, usize, usize)> {
        match source {
            Source::Hole(index) => self.0.get(usize::from(*index)).copied(),
            Source::Absent | Source::Text(_) => None,
        }
    }

    fn is_null(&self, index: u16) -> bool {
        self.0.get(usize::from(index)).is_some_and(|(kind, ..)| *kind == NULL)
    }

    /// Where a value of that type stands.
    fn of_kind(&self, source: &Source, kind: u8) -> Option<usize> {
        self.get(source).filter(|(own, ..)| *own == kind).map(|(_, from, _)| from)
    }

    fn text(&self, source: &Source) -> Option<Text> {
        match source {
            Source::Text(text) => Some(Text::Literal(text.clone())),
            source => {
                self.get(source).filter(|(kind, ..)| *kind == STRING).map(|(_, from, to)| Text::At(from, to))
            }
        }
    }

    fn deciding(&self, outline: &Outline) -> Option<Deciding> {
        let id = match self.get(&outline.id)? {
            (UNSIGNED_16, from, _) => (from, false),
            (UNSIGNED_32, from, _) => (from, true),
            _ => return None,
        };
        Some(Deciding {
            provider: self.text(&outline.provider)?,
            channel: self.text(&outline.channel)?,
            id,
            record_id: self.of_kind(&outline.record_id, UNSIGNED_64)?,
            time: self.of_kind(&outline.time, FILETIME)?,
        })
    }

    /// The place of a value of that type, or that there is none; `None` where it is of another type.
    fn given(&self, source: &Source, depends: Option<u16>, kind: u8) -> Option<Option<usize>> {
        if depends.is_some_and(|index| self.is_null(index)) || *source == Source::Absent {
            return Some(None);
        }
        match self.get(source)? {
            (NULL, ..) => Some(None),
            (own, from, _) => (own == kind).then_some(Some(from)),
        }
    }

    fn beside(&self, outline: &Outline, ends_with_payload: bool) -> Option<Beside> {
        let (computer, depends) = &outline.computer;
        let without = depends.is_some_and(|index| self.is_null(index))
            || *computer == Source::Absent
            || self.get(computer).is_some_and(|(kind, ..)| kind == NULL);
        let computer = if without { Text::Literal(Box::default()) } else { self.text(computer)? };
        let payload = match outline.payload? {
            _ if ends_with_payload => None,
            index => Some(self.0.get(usize::from(index)).filter(|(kind, ..)| *kind == BINARY_XML)?),
        };
        Some(Beside {
            version: self.given(&outline.version.0, outline.version.1, UNSIGNED_8)?,
            qualifiers: self.given(&outline.qualifiers, None, UNSIGNED_16)?,
            activity: self.given(&outline.activity.0, outline.activity.1, GUID)?,
            computer,
            payload: payload.map(|(_, from, to)| (*from, *to)),
        })
    }
}

impl Layout {
    pub(super) fn of(bytes: &[u8], outline: &Outline) -> Self {
        let count = bytes.len() / 4;
        let last = descriptions(bytes).last();
        let ends_with_payload = outline.payload.is_some_and(|index| usize::from(index) + 1 == count)
            && last.is_some_and(|(_, kind)| kind == BINARY_XML);
        let mut layout = Self {
            descriptions: bytes.into(),
            ends_with_payload,
            sids: Vec::new(),
            bytes: 0,
            is_usable: true,
            deciding: None,
            beside: None,
            last_log: 0,
        };
        let mut places = Places(Vec::new());
        let fixed = if ends_with_payload { count - 1 } else { count };
        for (size, kind) in descriptions(bytes).take(fixed) {
            let (from, to) = (layout.bytes, layout.bytes + size);
            layout.bytes = to;
            layout.is_usable &= typed::may_have_size(kind, size);
            if kind == typed::SID {
                layout.sids.push((from, to));
            }
            if places.0.len() < VALUES_SEEN {
                places.0.push((kind, from, to));
            }
        }
        let is_there = |index: &u16| {
            let place = places.0.get(usize::from(*index));
            let is_payload = ends_with_payload && usize::from(*index) == fixed;
            is_payload || place.is_some_and(|(kind, ..)| *kind != NULL)
        };
        layout.is_usable &= outline.needs.iter().all(is_there);
        layout.deciding = places.deciding(outline);
        layout.beside = places.beside(outline, ends_with_payload);
        layout
    }

    pub(super) fn is_of(&self, other: &[u8]) -> bool {
        let own = &*self.descriptions;
        if own.len() != other.len() || !self.ends_with_payload {
            return own == other;
        }
        let cut = own.len().saturating_sub(4);
        own.get(..cut) == other.get(..cut) && own.get(cut + 2) == other.get(cut + 2)
    }

    /// Bytes of all values of an instance with these descriptions that begin here; `None` where one has not the size of its
    /// type, so that readers differ about where the next begins, and where they reach beyond what is there.
    pub(super) fn length(&self, values: &[u8], descriptions: &[u8]) -> Option<usize> {
        let payload = match descriptions.last_chunk::<4>() {
            Some([low, high, ..]) if self.ends_with_payload => u16::from_le_bytes([*low, *high]),
            _ => 0,
        };
        let length = self.bytes + usize::from(payload);
        let is_one = |(from, to): &(usize, usize)| values.get(*from..*to).is_some_and(typed::is_sid);
        (length <= values.len() && self.sids.iter().all(is_one)).then_some(length)
    }

    /// What decides about the event with these values.
    pub(super) fn decided<'v>(&'v self, values: &'v [u8]) -> Option<Decided<'v>> {
        let deciding = self.deciding.as_ref()?;
        let (id, is_wide) = deciding.id;
        Some(Decided {
            provider: deciding.provider.of(values)?,
            channel: deciding.channel.of(values)?,
            id: if is_wide { u32_at(values, id)? } else { u16_at(values, id)?.into() },
            record_id: u64_at(values, deciding.record_id)?,
            time: u64_at(values, deciding.time)?,
        })
    }

    /// What the record with these values has beside. `length` is that of all of them.
    pub(super) fn head<'v>(&'v self, values: &'v [u8], length: usize) -> Option<Head<'v>> {
        let beside = self.beside.as_ref()?;
        let version = beside.version.map_or(Some(0), |at| values.get(at).copied())?;
        let qualifiers = match beside.qualifiers {
            Some(at) => Some(u16_at(values, at)?.into()),
            None => None,
        };
        let activity = match beside.activity {
            Some(at) => Some(*values.get(at..)?.first_chunk()?).filter(|guid| *guid != [0; 16]),
            None => None,
        };
        let computer = beside.computer.of(values)?;
        let payload = beside.payload.unwrap_or((self.bytes, length));
        Some(Head { version, qualifiers, activity, computer, payload })
    }
}
