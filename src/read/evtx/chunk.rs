//! One chunk of an event log: each record looked at, the wanted ones rendered and kept.

use hashbrown::HashMap;

use super::frame::{self, ChunkHeader, Frame};
use super::glance::{Glance, Templates};
use super::ids::Runs;
use super::{Choice, event, render};
use crate::note::Spot;
use crate::read::Record;
use crate::time::UnixNanos;

/// Bytes of names and values kept of one chunk's events: far more than 64 KiB of real events need, and a limit to
/// templates that unfold the same value again and again.
const KEPT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What one chunk held.
#[derive(Debug)]
pub(super) struct ChunkRead<T> {
    pub(super) index: u64,
    /// Bytes of it that are there.
    pub(super) present: usize,
    /// Its header has not the signature, but these bytes.
    pub(super) signature: Option<String>,
    /// The checksum of its records does not hold.
    pub(super) is_altered: bool,
    pub(super) kept: Vec<T>,
    pub(super) read: u64,
    /// Of those read, records that the header does not count, by their event ids.
    pub(super) recovered: Runs,
    pub(super) recovered_count: u64,
    pub(super) unreadable: u64,
    pub(super) first_unreadable: Option<(Spot, String)>,
    pub(super) ids: Runs,
    pub(super) event_ids: Runs,
    pub(super) recovered_ids: Runs,
    /// Records that the log has overwritten in part, by the ids of their headers.
    pub(super) stale: Runs,
    pub(super) stale_count: u64,
    pub(super) renumbered: u64,
    pub(super) promised: Option<(u64, u64)>,
    pub(super) covers: Option<(UnixNanos, UnixNanos)>,
    /// Event id and time of records in order, where time goes back and at both ends.
    pub(super) clock: Clock,
    /// Events of which fields were left out.
    pub(super) fields_cut: u64,
}

/// One chunk of the file to read.
pub(super) struct Slot<'b> {
    pub(super) index: u64,
    /// As much of it as there is.
    pub(super) data: &'b mut [u8],
}

/// What is to be done with a record.
enum Step<T> {
    /// It was decided without its XML: id, time, and what is kept of it.
    Passed(u64, UnixNanos, Option<T>),
    Rendered,
    Torn,
}

/// A record in the order of the chunk.
struct Planned<T> {
    frame: Frame,
    step: Step<T>,
}

/// Reads one chunk; of a cut one, the whole records before the cut.
pub(super) fn read<T>(slot: Slot<'_>, choice: &Choice<'_, T>) -> ChunkRead<T> {
    let Slot { index, data } = slot;
    let header = ChunkHeader::read(data);
    let mut chunk = ChunkRead::new(index, data.len());
    chunk.promised = header.and_then(|header| header.promised);
    if header.is_none() {
        chunk.signature = Some(super::hex(data.get(..8).unwrap_or_default()));
    }
    let is_sound = header.is_some_and(|header| header.checksum_holds(data));
    chunk.is_altered = header.is_some() && data.len() == frame::CHUNK_BYTES && !is_sound;
    let frames = frame::walk(data, header.as_ref());
    let mut room = KEPT_BYTES_MAX;
    let plan = plan(data, &frames, is_sound, choice, &mut room);
    let wanted: Vec<Frame> =
        plan.iter().filter(|p| matches!(p.step, Step::Rendered)).map(|p| p.frame).collect();
    chunk.stale(data, &frames.stale);
    let mut left = plan.into_iter();
    render::xml(data, &wanted, &mut |frame, rendered| {
        for planned in left.by_ref() {
            match planned.step {
                Step::Rendered if planned.frame.at == frame.at => {
                    chunk.rendered(&planned.frame, &rendered, choice, &mut room);
                    return;
                }
                _ => chunk.not_rendered(planned),
            }
        }
    });
    left.for_each(|planned| chunk.not_rendered(planned));
    if chunk.first_unreadable.is_none()
        && let Some(at) = frames.damaged_at
    {
        let at = frame::offset(index).saturating_add(u64::try_from(at).unwrap_or(0));
        chunk.first_unreadable = Some((Spot::Byte(at), "no record begins where one should".to_owned()));
    }
    chunk
}

/// Every record in order, and which of them must be rendered: of most that are wanted, the values of their template's
/// instance say as much. Records of a chunk whose checksum does not hold all are: what
/// is damaged in them then shows.
fn plan<T>(
    data: &[u8],
    frames: &frame::Frames,
    is_sound: bool,
    choice: &Choice<'_, T>,
    room: &mut usize,
) -> Vec<Planned<T>> {
    let mut templates = Templates::of(data);
    let mut picks = Picks::default();
    let mut plan: Vec<Planned<T>> = Vec::with_capacity(frames.live.len());
    for frame in &frames.live {
        // Nobody vouches for what no header counts: its templates must still be those it was written with.
        if !frame.is_counted && !templates.is_intact(frame) {
            continue;
        }
        let step = match (is_sound && frame.is_counted).then(|| templates.glance(frame)).flatten() {
            Some(glance) if !picks.is_wanted(&glance, choice) => {
                Step::Passed(glance.record_id, glance.at, None)
            }
            Some(glance) if !choice.by_xml => match templates.record(frame, &glance, room) {
                Some(record) => Step::Passed(glance.record_id, glance.at, (choice.keep)(record)),
                None => Step::Rendered,
            },
            _ => Step::Rendered,
        };
        plan.push(Planned { frame: *frame, step });
    }
    if !frames.torn.is_empty() {
        plan.extend(frames.torn.iter().map(|frame| Planned { frame: *frame, step: Step::Torn }));
        plan.sort_by_key(|planned| planned.frame.at);
    }
    plan
}

/// What was decided of providers, channels and ids of this chunk.
#[derive(Default)]
struct Picks<'c>(HashMap<(&'c [u8], &'c [u8], u32), bool, foldhash::fast::FixedState>);

impl<'c> Picks<'c> {
    fn is_wanted<T>(&mut self, glance: &Glance<'c>, choice: &Choice<'_, T>) -> bool {
        *self.0.entry((glance.provider, glance.channel, glance.id)).or_insert_with(|| {
            match (text(glance.provider), text(glance.channel)) {
                (Some(provider), Some(channel)) => (choice.wanted)(&provider, &channel, glance.id),
                // Its XML decides.
                _ => true,
            }
        })
    }
}

/// UTF-16 as it stands in the XML; `None` for what is no text.
fn text(bytes: &[u8]) -> Option<String> {
    let (units, _) = bytes.as_chunks::<2>();
    let units: Vec<u16> = units.iter().map(|unit| u16::from_le_bytes(*unit)).collect();
    let text = String::from_utf16(&units).ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

impl<T> ChunkRead<T> {
    fn new(index: u64, present: usize) -> Self {
        Self {
            index,
            present,
            signature: None,
            is_altered: false,
            kept: Vec::new(),
            read: 0,
            recovered: Runs::default(),
            recovered_count: 0,
            unreadable: 0,
            first_unreadable: None,
            ids: Runs::default(),
            event_ids: Runs::default(),
            recovered_ids: Runs::default(),
            stale: Runs::default(),
            stale_count: 0,
            renumbered: 0,
            promised: None,
            covers: None,
            clock: Clock::default(),
            fields_cut: 0,
        }
    }

    /// Nothing of it could be read, though something is there.
    pub(super) const fn is_lost(&self) -> bool {
        self.read == 0 && self.signature.is_some()
    }

    /// Records of another pass over the chunk, as far as they could be read: told of, and not used, since most of what
    /// belongs to them is gone.
    fn stale(&mut self, data: &[u8], frames: &[Frame]) {
        let mut templates = Templates::of(data);
        for frame in frames.iter().filter(|frame| templates.is_intact(frame)) {
            self.stale_count += 1;
            self.stale.add(frame.id);
        }
    }

    fn not_rendered(&mut self, planned: Planned<T>) {
        match planned.step {
            Step::Passed(event_id, at, kept) => {
                self.counted(&planned.frame, event_id, at);
                self.kept.extend(kept);
            }
            Step::Rendered => self.unreadable(&planned.frame, "the record was passed over"),
            Step::Torn => self.unreadable(&planned.frame, "the record does not end where its size says"),
        }
    }

    fn rendered(
        &mut self,
        frame: &Frame,
        rendered: &Result<&str, String>,
        choice: &Choice<'_, T>,
        room: &mut usize,
    ) {
        let read = match rendered {
            Ok(text) => event::head(text).map_err(str::to_owned),
            Err(error) => Err(error.clone()),
        };
        let (head, rest) = match read {
            Ok(read) => read,
            Err(error) => return self.unreadable(frame, &error),
        };
        self.counted(frame, head.record_id, head.at);
        if (choice.wanted)(&head.provider, &head.channel, head.id) {
            let (fields, cut) = event::fields(rest, room);
            self.fields_cut += u64::from(cut);
            self.kept.extend((choice.keep)(Record { fields, recovered: !frame.is_counted, ..head }));
        }
    }

    fn counted(&mut self, frame: &Frame, event_id: u64, at: UnixNanos) {
        self.read += 1;
        let id = frame.id;
        if !frame.is_counted {
            self.recovered_count += 1;
            self.recovered.add(event_id);
            self.recovered_ids.add(id);
        } else {
            self.ids.add(id);
            self.event_ids.add(event_id);
            self.renumbered += u64::from(event_id != id);
            self.clock.add(id, event_id, at);
        }
        let (from, to) = self.covers.unwrap_or((at, at));
        self.covers = Some((from.min(at), to.max(at)));
    }

    /// An event that is there and cannot be read. Of one that nobody counts nothing is said.
    fn unreadable(&mut self, frame: &Frame, error: &str) {
        if !frame.is_counted {
            return;
        }
        self.unreadable += 1;
        self.ids.add(frame.id);
        self.first_unreadable.get_or_insert_with(|| (Spot::Record(frame.id), error.to_owned()));
    }
}

/// How the clock ran from record to record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Clock {
    /// First and last record: id of the header, id of the event, time.
    pub(super) ends: Option<[(u64, u64, UnixNanos); 2]>,
    /// Steps back: id of the event after the step, and by how many nanoseconds.
    pub(super) steps: Vec<(u64, i64)>,
}

/// A step back that no delay in writing explains: at a start of Windows, records of the kernel come up to a minute late.
const STEP_BACK_MIN_NS: i64 = 120_000_000_000;
/// Steps kept of one chunk.
const STEPS_MAX: usize = 64;

impl Clock {
    fn add(&mut self, id: u64, event_id: u64, at: UnixNanos) {
        let now = (id, event_id, at);
        match &mut self.ends {
            Some([_, last]) => {
                let back = Self::step(*last, now);
                *last = now;
                self.steps.extend(back.filter(|_| self.steps.len() < STEPS_MAX));
            }
            None => self.ends = Some([now, now]),
        }
    }

    /// How far the clock was set back between two records of which the second follows the first.
    pub(super) fn step(last: (u64, u64, UnixNanos), now: (u64, u64, UnixNanos)) -> Option<(u64, i64)> {
        let back = last.2.since(now.2);
        let follows = last.0.checked_add(1) == Some(now.0);
        (follows && back >= STEP_BACK_MIN_NS).then_some((now.1, back))
    }
}
