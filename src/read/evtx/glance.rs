//! A record looked at without rendering it: provider, channel, ids and time, by the template that it is an instance of
//! (MS-EVEN6 2.2.12, `TemplateInstance`).
//!
//! A record that is none, or whose template is unusual, gets no glance: it is rendered and decided by its XML. So are all
//! records of a chunk whose checksum does not hold.

use hashbrown::HashMap;

use super::frame::{Frame, place_at, u16_at, u32_at, u64_at};
use super::payload::{Place, Plan};
use super::template::{Definition, FRAGMENT_HEADER, Outline, Source};
use super::typed::{
    self, BINARY_XML, FILETIME, GUID, NULL, STRING, STRINGS, UNSIGNED_8, UNSIGNED_16, UNSIGNED_32,
    UNSIGNED_64,
};
use crate::read::Record;
use crate::time::UnixNanos;

/// Token of a template instance, and the byte after it.
const INSTANCE: [u8; 2] = [0x0c, 1];
/// Values of one instance.
const VALUES_MAX: u32 = 1_024;
/// Instances in instances that are looked at.
const DEPTH_MAX: usize = 3;
/// 1970-01-01 as FILETIME.
const UNIX_EPOCH: u64 = 116_444_736_000_000_000;
/// The last FILETIME that is a moment of 64 bits of nanoseconds.
const FILETIME_MAX: u64 = UNIX_EPOCH + 92_233_720_368_547_758;

/// What decides about an event; texts are UTF-16 in the chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Glance<'c> {
    pub(super) provider: &'c [u8],
    pub(super) channel: &'c [u8],
    pub(super) id: u32,
    pub(super) record_id: u64,
    pub(super) at: UnixNanos,
}

/// The templates of one chunk, each looked at once.
#[derive(Debug)]
pub(super) struct Templates<'c> {
    chunk: &'c [u8],
    outlines: Vec<(usize, Option<Outline>)>,
    plans: Vec<(usize, Option<Plan>)>,
    /// Values of the payload that is read, kept so that no record needs its own memory.
    places: Vec<Place>,
    whole: HashMap<usize, bool, foldhash::fast::FixedState>,
}

impl<'c> Templates<'c> {
    pub(super) fn of(chunk: &'c [u8]) -> Self {
        Self { chunk, outlines: Vec::new(), plans: Vec::new(), places: Vec::new(), whole: HashMap::default() }
    }

    /// What can be said of a record without rendering it.
    pub(super) fn glance(&mut self, frame: &Frame) -> Option<Glance<'c>> {
        let (from, to) = frame.content();
        let instance = Instance::read(self.chunk, from, to)?;
        let chunk = self.chunk;
        let values = instance.values(to)?;
        let outline = self.outline(instance.definition)?;
        let value = |source: &Source| match source {
            Source::Hole(index) => values.get(*index),
            Source::Text(from, to) => Some((STRING, chunk.get(*from..*to)?)),
            Source::Absent => None,
        };
        if outline.needs.iter().any(|index| values.get(*index).is_none_or(|(kind, _)| kind == NULL)) {
            return None;
        }
        Some(Glance {
            provider: plain_text(value(&outline.provider)?)?,
            channel: plain_text(value(&outline.channel)?)?,
            id: number(value(&outline.id)?)?,
            record_id: long(value(&outline.record_id)?)?,
            at: time(value(&outline.time)?)?,
        })
    }

    fn outline(&mut self, definition: usize) -> Option<&Outline> {
        let index = match self.outlines.iter().position(|(at, _)| *at == definition) {
            Some(index) => index,
            None => {
                let read = Definition::at(self.chunk, definition).and_then(|d| Outline::of(self.chunk, d));
                self.outlines.push((definition, read));
                self.outlines.len() - 1
            }
        };
        self.outlines.get(index)?.1.as_ref()
    }

    /// The whole record by the values of its templates' instances: what its XML would say; `None` where only that can tell.
    /// `room` is what may still be kept.
    pub(super) fn record(&mut self, frame: &Frame, glance: &Glance<'_>, room: &mut usize) -> Option<Record> {
        let (from, to) = frame.content();
        let instance = Instance::read(self.chunk, from, to)?;
        let chunk = self.chunk;
        let values = instance.values(to)?;
        let outline = self.outline(instance.definition)?;
        let is_null = |index: u16| values.get(index).is_some_and(|(kind, _)| kind == NULL);
        let value = |source: &Source, depends: Option<u16>| match source {
            _ if depends.is_some_and(is_null) => Some((NULL, &[][..])),
            Source::Hole(index) => values.get(*index),
            Source::Text(from, to) => Some((STRING, chunk.get(*from..*to)?)),
            Source::Absent => Some((NULL, &[][..])),
        };
        let version = match value(&outline.version.0, outline.version.1)? {
            (UNSIGNED_8, value) => *value.first()?,
            (NULL, _) => 0,
            _ => return None,
        };
        let qualifiers = match value(&outline.qualifiers, None)? {
            (UNSIGNED_16, value) => Some(u16_at(value, 0)?.into()),
            (NULL, _) => None,
            _ => return None,
        };
        let activity = match value(&outline.activity.0, outline.activity.1)? {
            (GUID, value) => activity(value)?,
            (NULL, _) => None,
            _ => return None,
        };
        let computer = match value(&outline.computer.0, outline.computer.1)? {
            (STRING, value) => typed::utf16(value)?,
            (NULL, _) => String::new(),
            _ => return None,
        };
        let (kind, from, to) = values.place(outline.payload?)?;
        let record = Record {
            provider: trimmed(typed::utf16(glance.provider)?),
            channel: trimmed(typed::utf16(glance.channel)?),
            id: glance.id,
            record_id: glance.record_id,
            at: glance.at,
            computer: trimmed(computer),
            version,
            qualifiers,
            activity,
            ..Record::default()
        };
        let fields = self.payload(from, to, room).filter(|_| kind == BINARY_XML)?;
        Some(Record { fields, ..record })
    }

    fn payload(&mut self, from: usize, to: usize, room: &mut usize) -> Option<Vec<(String, String)>> {
        let instance = Instance::read(self.chunk, from, to)?;
        let mut places = std::mem::take(&mut self.places);
        let chunk = self.chunk;
        let fields = instance
            .places(to, &mut places)
            .and_then(|()| self.plan(instance.definition))
            .and_then(|plan| plan.fields(chunk, &places, room));
        self.places = places;
        fields
    }

    fn plan(&mut self, definition: usize) -> Option<&Plan> {
        let index = match self.plans.iter().position(|(at, _)| *at == definition) {
            Some(index) => index,
            None => {
                let read = Definition::at(self.chunk, definition)
                    .filter(|definition| definition.is_whole(self.chunk))
                    .and_then(|definition| Plan::of(self.chunk, definition));
                self.plans.push((definition, read));
                self.plans.len() - 1
            }
        };
        self.plans.get(index)?.1.as_ref()
    }

    /// The record's templates are still those that it was written with: their GUIDs begin with the numbers that the record
    /// has, and nothing of them was written over.
    pub(super) fn is_intact(&mut self, frame: &Frame) -> bool {
        let (from, to) = frame.content();
        self.is_stream_intact(from, to, 0).is_some()
    }

    fn is_stream_intact(&mut self, from: usize, to: usize, depth: usize) -> Option<()> {
        let instance = Instance::read(self.chunk, from, to)?;
        instance.ends_at(to)?;
        let definition = Definition::at(self.chunk, instance.definition)?;
        let chunk = self.chunk;
        let whole = *self.whole.entry(instance.definition).or_insert_with(|| definition.is_whole(chunk));
        if !whole || definition.short_id != instance.short_id || depth > DEPTH_MAX {
            return None;
        }
        let mut at = instance.values_at;
        for (size, kind) in instance.descriptions() {
            if kind == BINARY_XML && size > 0 {
                self.is_stream_intact(at, at + size, depth + 1)?;
            }
            at += size;
        }
        Some(())
    }
}

/// A template instance: u32 first number of the GUID, u32 place of the definition, which may follow at once; u32 number of
/// values, a description of each (u16 size, u8 type, u8 zero), the values.
#[derive(Debug, Clone, Copy)]
struct Instance<'c> {
    chunk: &'c [u8],
    short_id: u32,
    definition: usize,
    descriptions: &'c [u8],
    values_at: usize,
}

impl<'c> Instance<'c> {
    fn read(chunk: &'c [u8], from: usize, to: usize) -> Option<Self> {
        // A record has a fragment header, the payload inside of it often none.
        let headed = chunk.get(from..to)?.starts_with(&FRAGMENT_HEADER);
        let at = if headed { from + FRAGMENT_HEADER.len() } else { from };
        if !chunk.get(at..to)?.starts_with(&INSTANCE) {
            return None;
        }
        let short_id = u32_at(chunk, at + 2)?;
        let definition = place_at(chunk, at + 6)?;
        let mut at = at + 10;
        if definition == at {
            at = Definition::at(chunk, definition)?.to;
        }
        let count = u32_at(chunk, at).filter(|count| *count <= VALUES_MAX)?;
        let descriptions_at = at + 4;
        let values_at = descriptions_at + 4 * usize::try_from(count).ok()?;
        let descriptions = chunk.get(descriptions_at..values_at).filter(|_| values_at <= to)?;
        Some(Self { chunk, short_id, definition, descriptions, values_at })
    }

    fn descriptions(&self) -> impl Iterator<Item = (usize, u8)> + use<'c> {
        let (all, _) = self.descriptions.as_chunks::<4>();
        all.iter().map(|[low, high, kind, _]| (usize::from(u16::from_le_bytes([*low, *high])), *kind))
    }

    /// All values lie before `to`, and nothing but the end of the stream follows them.
    fn ends_at(&self, to: usize) -> Option<()> {
        let bytes: usize = self.descriptions().map(|(size, _)| size).sum();
        let end = self.values_at.checked_add(bytes)?;
        self.is_end(end, to).then_some(())
    }

    /// The first values by their places; `None` where one has not the size of its type, so that readers differ about where
    /// the next begins, and where they do not end with the stream.
    fn values(&self, to: usize) -> Option<Values<'c>> {
        let mut values = Values { chunk: self.chunk, places: [(NULL, 0, 0); VALUES_SEEN], count: 0 };
        let mut places = values.places.iter_mut();
        let end = self.each(|place| {
            if let Some(kept) = places.next() {
                *kept = place;
                values.count += 1;
            }
        })?;
        self.is_end(end, to).then_some(values)
    }

    /// The places of all values; `None` as `values` has it.
    fn places(&self, to: usize, places: &mut Vec<Place>) -> Option<()> {
        places.clear();
        let end = self.each(|place| places.push(place))?;
        self.is_end(end, to).then_some(())
    }

    /// Hands over every value's place, and gives back where they end.
    fn each(&self, mut take: impl FnMut(Place)) -> Option<usize> {
        let mut at = self.values_at;
        for (size, kind) in self.descriptions() {
            let value = self.chunk.get(at..at + size)?;
            if !has_its_size(kind, value) {
                return None;
            }
            take((kind, at, at + size));
            at += size;
        }
        Some(at)
    }

    fn is_end(&self, end: usize, to: usize) -> bool {
        end == to || end < to && self.chunk.get(end) == Some(&0)
    }
}

/// Values that are told apart; Windows has what decides among the first 18.
const VALUES_SEEN: usize = 32;

struct Values<'c> {
    chunk: &'c [u8],
    places: [Place; VALUES_SEEN],
    count: usize,
}

impl<'c> Values<'c> {
    fn get(&self, index: u16) -> Option<(u8, &'c [u8])> {
        let (kind, from, to) = self.place(index)?;
        Some((kind, self.chunk.get(from..to)?))
    }

    fn place(&self, index: u16) -> Option<Place> {
        self.places.get(..self.count)?.get(usize::from(index)).copied()
    }
}

/// Upper case, without braces; the nil GUID is absent.
fn activity(value: &[u8]) -> Option<Option<String>> {
    let text = typed::guid(value)?;
    let bare = text.trim_matches(['{', '}']).to_ascii_uppercase();
    Some(Some(bare).filter(|_| value.iter().any(|byte| *byte != 0)))
}

fn trimmed(text: String) -> String {
    let bare = text.trim();
    if bare.len() == text.len() { text } else { bare.to_owned() }
}

#[inline]
fn has_its_size(kind: u8, value: &[u8]) -> bool {
    let size = match kind {
        0x03 | 0x04 => 1,
        0x05 | UNSIGNED_16 => 2,
        0x07 | UNSIGNED_32 | 0x0b | 0x0d | 0x14 => 4,
        0x09 | UNSIGNED_64 | 0x0c | FILETIME | 0x15 => 8,
        0x0f | 0x12 => 16,
        0x10 => return matches!(value.len(), 4 | 8),
        // A SID: revision, number of sub-authorities of 4 bytes, 6 bytes of authority.
        0x13 => return value.get(1).is_some_and(|count| value.len() == 8 + 4 * usize::from(*count)),
        NULL | STRING | 0x02 | 0x0e | BINARY_XML | STRINGS => return true,
        _ => return false,
    };
    value.len() == size
}

/// Text without control characters, which readers treat in different ways, and not empty.
fn plain_text((kind, value): (u8, &[u8])) -> Option<&[u8]> {
    let (units, rest) = value.as_chunks::<2>();
    let plain = units.iter().all(|[low, high]| *high != 0 || *low >= 0x20);
    (kind == STRING && plain && rest.is_empty() && !units.is_empty()).then_some(value)
}

fn number((kind, value): (u8, &[u8])) -> Option<u32> {
    match kind {
        UNSIGNED_16 => u16_at(value, 0).map(u32::from),
        UNSIGNED_32 => u32_at(value, 0),
        _ => None,
    }
}

fn long((kind, value): (u8, &[u8])) -> Option<u64> {
    if kind == UNSIGNED_64 { u64_at(value, 0) } else { None }
}

fn time((kind, value): (u8, &[u8])) -> Option<UnixNanos> {
    let filetime = u64_at(value, 0).filter(|time| kind == FILETIME && *time < FILETIME_MAX)?;
    let ticks = i64::try_from(filetime).ok()?.checked_sub(i64::try_from(UNIX_EPOCH).ok()?)?;
    ticks.checked_mul(100).map(UnixNanos)
}
