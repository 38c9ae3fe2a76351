//! A record looked at without rendering it: provider, channel, ids and time, by the template that it is an instance of
//! (MS-EVEN6 2.2.12, `TemplateInstance`).
//!
//! A record that is none, or whose template is unusual, gets no glance: it is rendered and decided by its XML. So are all
//! records of a chunk whose checksum does not hold.

use hashbrown::HashMap;

use super::Picker;
use super::frame::{Frame, place_at, u16_at, u32_at, u64_at};
use super::known::{Known, Pick, descriptions, value};
use super::payload::Place;
use super::template::{Definition, FRAGMENT_HEADER};
use super::typed::{
    self, BINARY_XML, FILETIME, GUID, NULL, STRING, UNSIGNED_8, UNSIGNED_16, UNSIGNED_32, UNSIGNED_64,
};
use crate::read::record::{Activity, Event};
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

/// What decides about an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Glance {
    /// Provider and channel, among those that are known.
    pub(super) log: usize,
    pub(super) id: u32,
    pub(super) record_id: u64,
    pub(super) at: UnixNanos,
}

/// Records of one chunk, and what is known of their templates.
#[derive(Debug)]
pub(super) struct Looker<'c, 'k, W> {
    chunk: &'c [u8],
    pub(super) known: &'k mut Known<W>,
    /// Templates by where they are defined in this chunk.
    here: Vec<(usize, Option<usize>)>,
    /// The last of them by its index.
    last: usize,
    /// Values of the payload that is read, kept so that no record needs its own memory.
    places: Vec<Place>,
}

impl<'c, 'k, W: Copy> Looker<'c, 'k, W> {
    pub(super) fn of(chunk: &'c [u8], known: &'k mut Known<W>) -> Self {
        known.limit();
        Self { chunk, known, here: Vec::new(), last: 0, places: Vec::new() }
    }

    /// What can be said of a record without rendering it.
    pub(super) fn glance(&mut self, frame: &Frame) -> Option<Glance> {
        let (from, to) = frame.content();
        let instance = Instance::read(self.chunk, from, to)?;
        let index = self.template(instance.definition)?;
        let (chunk, at) = (self.chunk, instance.values_at);
        let (template, values) = self.known.templates.values((chunk, at), index, instance.descriptions)?;
        if !instance.is_end(values.end(), to) {
            return None;
        }
        let outline = template.outline.as_ref()?;
        let provider = text(value(&values, &outline.provider)?)?;
        let channel = text(value(&values, &outline.channel)?)?;
        let (hint, id) = (template.last_log, number(value(&values, &outline.id)?)?);
        let record_id = long(value(&values, &outline.record_id)?)?;
        let at = time(value(&values, &outline.time)?)?;
        let logs = &mut self.known.logs;
        if logs.is(hint, provider, channel) {
            return Some(Glance { log: hint, id, record_id, at });
        }
        let log = (is_plain(provider) && is_plain(channel)).then(|| logs.find(provider, channel))?;
        self.known.templates.get_mut(index)?.last_log = log;
        Some(Glance { log, id, record_id, at })
    }

    fn template(&mut self, definition: usize) -> Option<usize> {
        let is = |(at, _): &(usize, Option<usize>)| *at == definition;
        if !self.here.get(self.last).is_some_and(is) {
            self.last = match self.here.iter().position(is) {
                Some(index) => index,
                None => {
                    let found = self.known.templates.find(self.chunk, definition);
                    self.here.push((definition, found));
                    self.here.len() - 1
                }
            };
        }
        self.here.get(self.last)?.1
    }

    /// The record by the values of its templates' instances, as its XML would say it; `None` where only that can tell, also
    /// of a field that `act` asks for. `room` is what may still be kept.
    pub(super) fn event<T>(
        &mut self,
        frame: &Frame,
        glance: &Glance,
        room: &mut usize,
        act: impl FnOnce(&Event<'_>) -> T,
    ) -> Option<T> {
        let head = self.head(frame)?;
        let (from, to) = head.payload;
        let payload = Instance::read(self.chunk, from, to)?;
        let template = self.template(payload.definition)?;
        payload.places(to, &mut self.places)?;
        let Known { templates, logs, computer } = &mut *self.known;
        let plan = templates.plan(self.chunk, template, payload.definition)?;
        let taken = plan.values(self.chunk, &self.places, room)?;
        let (provider, channel) = logs.get(glance.log)?.shown.as_ref()?;
        let made = act(&Event {
            channel,
            provider,
            id: glance.id,
            qualifiers: head.qualifiers,
            version: head.version,
            record_id: glance.record_id,
            at: glance.at,
            computer: computer.name(),
            activity: head.activity.map(Activity::Guid),
            recovered: false,
            fields: taken.fields(),
        });
        (!taken.is_beyond()).then_some(made)
    }

    /// What is made of a record, which of most is nothing; `None` where only its XML can tell.
    pub(super) fn decide<T, K>(
        &mut self,
        frame: &Frame,
        glance: &Glance,
        room: &mut usize,
        picker: &Picker<'_, W, T, K>,
    ) -> Option<Option<T>> {
        match self.known.logs.get_mut(glance.log)?.pick(glance.id, picker.wanted) {
            Pick::Passed => Some(None),
            Pick::Wanted(wanted) if !picker.by_xml => {
                self.event(frame, glance, room, |event| (picker.make)(wanted, event))
            }
            Pick::Wanted(_) | Pick::ByXml => None,
        }
    }

    /// What the record has beside what decides. The name of its computer is then the one that is known.
    fn head(&mut self, frame: &Frame) -> Option<Head> {
        let (from, to) = frame.content();
        let instance = Instance::read(self.chunk, from, to)?;
        let index = self.template(instance.definition)?;
        let Known { templates, computer, .. } = &mut *self.known;
        let at = (self.chunk, instance.values_at);
        let (template, values) = templates.values(at, index, instance.descriptions)?;
        let outline = template.outline.as_ref()?;
        let is_null = |index: u16| values.get(index).is_some_and(|(kind, _)| kind == NULL);
        let of = |source, depends: Option<u16>| match depends {
            Some(index) if is_null(index) => Some((NULL, &[][..])),
            _ => value(&values, source),
        };
        let version = match of(&outline.version.0, outline.version.1)? {
            (UNSIGNED_8, value) => *value.first()?,
            (NULL, _) => 0,
            _ => return None,
        };
        let qualifiers = match of(&outline.qualifiers, None)? {
            (UNSIGNED_16, value) => Some(u16_at(value, 0)?.into()),
            (NULL, _) => None,
            _ => return None,
        };
        let activity = match of(&outline.activity.0, outline.activity.1)? {
            (GUID, value) => Some(value.first_chunk().copied()?).filter(|guid| *guid != [0; 16]),
            (NULL, _) => None,
            _ => return None,
        };
        match of(&outline.computer.0, outline.computer.1)? {
            (STRING, value) => computer.learn(value)?,
            (NULL, _) => computer.learn(&[])?,
            _ => return None,
        }
        let (_, from, to) = values.place(outline.payload?).filter(|(kind, ..)| *kind == BINARY_XML)?;
        Some(Head { version, qualifiers, activity, payload: (from, to) })
    }
}

/// What a record has beside what decides.
struct Head {
    version: u8,
    qualifiers: Option<u32>,
    activity: Option<[u8; 16]>,
    /// From where to where its payload stands in the chunk.
    payload: (usize, usize),
}

/// Records that no header vouches for.
#[derive(Debug)]
pub(super) struct Unvouched<'c> {
    chunk: &'c [u8],
    whole: HashMap<usize, bool, foldhash::fast::FixedState>,
}

impl<'c> Unvouched<'c> {
    pub(super) fn of(chunk: &'c [u8]) -> Self {
        Self { chunk, whole: HashMap::default() }
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
        for (size, kind) in descriptions(instance.descriptions) {
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

    /// All values lie before `to`, and nothing but the end of the stream follows them.
    fn ends_at(&self, to: usize) -> Option<()> {
        let bytes: usize = descriptions(self.descriptions).map(|(size, _)| size).sum();
        let end = self.values_at.checked_add(bytes)?;
        self.is_end(end, to).then_some(())
    }

    /// The places of all values; `None` where one has not the size of its type, so that readers differ about where the next
    /// begins, and where they do not end with the stream.
    fn places(&self, to: usize, places: &mut Vec<Place>) -> Option<()> {
        places.clear();
        let mut at = self.values_at;
        for (size, kind) in descriptions(self.descriptions) {
            let end = at + size;
            let is_sid = || self.chunk.get(at..end).is_some_and(typed::is_sid);
            if !typed::may_have_size(kind, size) || kind == typed::SID && !is_sid() {
                return None;
            }
            places.push((kind, at, end));
            at = end;
        }
        (at <= self.chunk.len() && self.is_end(at, to)).then_some(())
    }

    fn is_end(&self, end: usize, to: usize) -> bool {
        end == to || end < to && self.chunk.get(end) == Some(&0)
    }
}

fn text((kind, value): (u8, &[u8])) -> Option<&[u8]> {
    (kind == STRING).then_some(value)
}

/// Text without control characters, which readers treat in different ways, and not empty.
fn is_plain(value: &[u8]) -> bool {
    let (units, rest) = value.as_chunks::<2>();
    units.iter().all(|[low, high]| *high != 0 || *low >= 0x20) && rest.is_empty() && !units.is_empty()
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
