//! A record looked at without rendering it: provider, channel, ids and time, by the template that it is an instance of
//! (MS-EVEN6 2.2.12, `TemplateInstance`).
//!
//! A record that is none, or whose template is unusual, gets no glance: it is rendered and decided by its XML. So are all
//! records of a chunk whose checksum does not hold.

use hashbrown::HashMap;

use super::Picker;
use super::frame::{Frame, u32_at};
use super::known::{Known, Pick};
use super::layout::descriptions;
use super::payload::Place;
use super::template::{Definition, FRAGMENT_HEADER};
use super::typed::{self, BINARY_XML};
use crate::read::record::{Activity, Event};
use crate::time::UnixNanos;

/// Token of a template instance, and the byte after it.
const INSTANCE: [u8; 2] = [0x0c, 1];
/// Values of one instance.
const VALUES_MAX: u32 = 1_024;
/// Instances in instances that are looked at.
const DEPTH_MAX: usize = 3;
/// 1970-01-01 as FILETIME.
const UNIX_EPOCH: i64 = 116_444_736_000_000_000;
/// The last FILETIME that is a moment of 64 bits of nanoseconds.
const FILETIME_MAX: u64 = UNIX_EPOCH.cast_unsigned() + 92_233_720_368_547_758;
/// Which template was the last: of records, of payloads.
const RECORD: usize = 0;
const PAYLOAD: usize = 1;

/// What decides about an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Glance {
    /// Provider and channel, among those that are known.
    pub(super) log: usize,
    pub(super) id: u32,
    pub(super) record_id: u64,
    pub(super) at: UnixNanos,
    /// Its outer template, whose last lay-out is that of the record; where its values begin, and how long they are.
    template: usize,
    values_at: usize,
    length: usize,
}

/// Records of one chunk, and what is known of their templates.
#[derive(Debug)]
pub(super) struct Looker<'c, 'k, W> {
    chunk: &'c [u8],
    pub(super) known: &'k mut Known<W>,
    /// Templates by where they are defined in this chunk.
    here: Vec<(usize, Option<usize>)>,
    /// The last of them by their indices: of a record, and of a payload.
    last: [usize; 2],
    /// Values of the payload that is read, kept so that no record needs its own memory.
    places: Vec<Place>,
}

impl<'c, 'k, W: Copy> Looker<'c, 'k, W> {
    pub(super) fn of(chunk: &'c [u8], known: &'k mut Known<W>) -> Self {
        known.limit();
        Self { chunk, known, here: Vec::new(), last: [0; 2], places: Vec::new() }
    }

    /// What can be said of a record without rendering it.
    pub(super) fn glance(&mut self, frame: &Frame) -> Option<Glance> {
        let (from, to) = frame.content();
        let instance = Instance::read(self.chunk, from, to)?;
        let template = self.template(instance.definition, RECORD)?;
        let Known { templates, logs, .. } = &mut *self.known;
        let layout = templates.layout(template, instance.descriptions)?;
        let values_at = instance.values_at;
        let values = self.chunk.get(values_at..)?;
        let length = layout.length(values, instance.descriptions)?;
        if !instance.is_end(values_at + length, to) {
            return None;
        }
        let decided = layout.decided(values)?;
        let (id, record_id, at) = (decided.id, decided.record_id, time(decided.time)?);
        let (provider, channel) = (decided.provider, decided.channel);
        let mut log = layout.last_log;
        if !logs.is(log, provider, channel) {
            log = (is_plain(provider) && is_plain(channel)).then(|| logs.find(provider, channel))?;
            layout.last_log = log;
        }
        Some(Glance { log, id, record_id, at, template, values_at, length })
    }

    fn template(&mut self, definition: usize, of: usize) -> Option<usize> {
        let is = |(at, _): &(usize, Option<usize>)| *at == definition;
        let last = self.last.get_mut(of)?;
        if !self.here.get(*last).is_some_and(is) {
            *last = match self.here.iter().position(is) {
                Some(index) => index,
                None => {
                    let found = self.known.templates.find(self.chunk, definition);
                    self.here.push((definition, found));
                    self.here.len() - 1
                }
            };
        }
        self.here.get(*last)?.1
    }

    /// The record by the values of its templates' instances, as its XML would say it; `None` where only that can tell, also
    /// of a field that `act` asks for. `room` is what may still be kept.
    pub(super) fn event(
        &mut self,
        glance: &Glance,
        room: &mut usize,
        act: impl FnOnce(&Event<'_>),
    ) -> Option<()> {
        let values = self.chunk.get(glance.values_at..)?;
        let layout = self.known.templates.last_layout(glance.template)?;
        let head = layout.head(values, glance.length)?;
        self.known.computer.learn(head.computer)?;
        let (version, qualifiers, activity) = (head.version, head.qualifiers, head.activity);
        let (from, to) = (glance.values_at + head.payload.0, glance.values_at + head.payload.1);
        let payload = Instance::read(self.chunk, from, to)?;
        let template = self.template(payload.definition, PAYLOAD)?;
        payload.places(to, &mut self.places)?;
        let Known { templates, logs, computer, texts } = &mut *self.known;
        texts.reset();
        let plan = templates.plan(self.chunk, template, payload.definition)?;
        let taken = plan.values((self.chunk, &self.places), texts, room)?;
        let (provider, channel) = logs.get(glance.log)?.shown.as_ref()?;
        act(&Event {
            channel,
            provider,
            id: glance.id,
            qualifiers,
            version,
            record_id: glance.record_id,
            at: glance.at,
            computer: computer.name(),
            activity: activity.map(Activity::Guid),
            recovered: false,
            fields: taken.fields(),
        });
        (!taken.is_beyond()).then_some(())
    }

    /// What is made of a record, which of most is nothing, goes to `made`; `None` where only its XML can tell.
    pub(super) fn decide<T, K>(
        &mut self,
        glance: &Glance,
        room: &mut usize,
        picker: &Picker<'_, W, T, K>,
        made: &mut Option<T>,
    ) -> Option<()> {
        match self.known.logs.get_mut(glance.log)?.pick(glance.id, picker.wanted) {
            Pick::Passed => Some(()),
            Pick::Wanted(wanted) if !picker.by_xml => {
                self.event(glance, room, |event| *made = (picker.make)(wanted, event))
            }
            Pick::Wanted(_) | Pick::ByXml => None,
        }
    }
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
        let stream = chunk.get(from..to)?;
        let (at, stream) = match stream.strip_prefix(&FRAGMENT_HEADER) {
            Some(behind) => (from + FRAGMENT_HEADER.len(), behind),
            None => (from, stream),
        };
        let [token, one, s0, s1, s2, s3, d0, d1, d2, d3, c0, c1, c2, c3] = *stream.first_chunk()?;
        if [token, one] != INSTANCE {
            return None;
        }
        let short_id = u32::from_le_bytes([s0, s1, s2, s3]);
        let definition = usize::try_from(u32::from_le_bytes([d0, d1, d2, d3])).ok()?;
        let (mut at, mut count) = (at + 10, u32::from_le_bytes([c0, c1, c2, c3]));
        if definition == at {
            at = Definition::at(chunk, definition)?.to;
            count = u32_at(chunk, at)?;
        }
        if count > VALUES_MAX {
            return None;
        }
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

/// Text without control characters, which readers treat in different ways, and not empty.
fn is_plain(value: &[u8]) -> bool {
    let (units, rest) = value.as_chunks::<2>();
    units.iter().all(|[low, high]| *high != 0 || *low >= 0x20) && rest.is_empty() && !units.is_empty()
}

fn time(filetime: u64) -> Option<UnixNanos> {
    let ticks = i64::try_from(filetime).ok().filter(|_| filetime < FILETIME_MAX)?;
    ticks.checked_sub(UNIX_EPOCH)?.checked_mul(100).map(UnixNanos)
}
