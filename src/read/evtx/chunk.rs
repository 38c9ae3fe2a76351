//! One chunk of an event log: each record looked at, the wanted ones rendered and kept.

use super::frame::{self, ChunkHeader, Frame};
use super::glance::{Looker, Unvouched};
use super::ids::Runs;
use super::known::Known;
use super::{Picker, event, render};
use crate::note::Spot;
use crate::read::Record;
use crate::time::UnixNanos;

/// Bytes of names and values kept of one chunk's events: far more than 64 KiB of real events need, and a limit to
/// templates that unfold the same value again and again.
const KEPT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What one chunk held.
#[derive(Debug)]
pub(super) struct ChunkRead<K> {
    /// Where in the input it begins.
    pub(super) at: u64,
    /// Bytes of it that are there.
    pub(super) present: usize,
    /// Its header has not the signature, but these bytes.
    pub(super) signature: Option<String>,
    /// The checksum of its records does not hold.
    pub(super) is_altered: bool,
    pub(super) kept: Vec<K>,
    /// Events of which something is kept.
    pub(super) kept_count: u64,
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
    /// Where in the input it begins.
    pub(super) at: u64,
    /// As much of it as there is.
    pub(super) data: &'b mut [u8],
}

/// A record that is counted when those before it are, which must be rendered first.
enum Step<K> {
    /// It was decided without its XML: id, time, and what is kept of it.
    Passed(u64, UnixNanos, Option<K>),
    Rendered,
    Torn,
}

/// A record in the order of the chunk.
struct Planned<K> {
    frame: Frame,
    step: Step<K>,
}

/// Reads one chunk; of a cut one, the whole records before the cut.
pub(super) fn read<W: Copy, T, K: Default>(
    slot: Slot<'_>,
    known: &mut Known<W>,
    picker: &Picker<'_, W, T, K>,
) -> ChunkRead<K> {
    let Slot { at, data } = slot;
    let header = ChunkHeader::read(data);
    let mut chunk = ChunkRead::new(at, data.len());
    chunk.promised = header.and_then(|header| header.promised);
    if header.is_none() {
        chunk.signature = Some(super::hex(data.get(..8).unwrap_or_default()));
    }
    let is_sound = header.is_some_and(|header| header.checksum_holds(data));
    chunk.is_altered = header.is_some() && data.len() == frame::CHUNK_BYTES && !is_sound;
    let frames = frame::walk(data, header.as_ref());
    let waiting = chunk.pass(data, &frames, is_sound, known, picker);
    chunk.stale(data, &frames.stale);
    if !waiting.is_empty() {
        chunk.render(data, waiting, picker);
    }
    if chunk.first_unreadable.is_none()
        && let Some(damaged) = frames.damaged_at
    {
        let damaged = at.saturating_add(u64::try_from(damaged).unwrap_or(0));
        chunk.first_unreadable = Some((Spot::Byte(damaged), "no record begins where one should".to_owned()));
    }
    chunk
}

impl<K: Default> ChunkRead<K> {
    fn new(at: u64, present: usize) -> Self {
        Self {
            at,
            present,
            signature: None,
            is_altered: false,
            kept: Vec::new(),
            kept_count: 0,
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

    /// Every record in order: those decided by the values of their template's instance, which nearly all are, are done
    /// with. Gives back those that must be rendered, and what comes behind the first of them. Records of a chunk whose
    /// checksum does not hold all are: what is damaged in them then shows.
    fn pass<W: Copy, T>(
        &mut self,
        data: &[u8],
        frames: &frame::Frames,
        is_sound: bool,
        known: &mut Known<W>,
        picker: &Picker<'_, W, T, K>,
    ) -> Vec<Planned<K>> {
        let mut looker = Looker::of(data, known);
        let mut unvouched = Unvouched::of(data);
        let mut waiting: Vec<Planned<K>> = Vec::new();
        let mut room = KEPT_BYTES_MAX;
        for frame in &frames.live {
            // Nobody vouches for what no header counts: its templates must still be those it was written with.
            if !frame.is_counted && !unvouched.is_intact(frame) {
                continue;
            }
            let is_vouched = is_sound && frame.is_counted;
            let glance = is_vouched.then(|| looker.glance(frame)).flatten();
            let mut made = None;
            let decided = glance.filter(|g| looker.decide(g, &mut room, picker, &mut made).is_some());
            match decided {
                Some(glance) if waiting.is_empty() && frames.torn.is_empty() => {
                    self.counted(frame, glance.record_id, glance.at);
                    if let Some(made) = made {
                        self.keep(made, picker);
                    }
                }
                Some(glance) => {
                    let kept = made.map(|made| {
                        let mut kept = K::default();
                        (picker.keep)(made, &mut kept);
                        kept
                    });
                    let step = Step::Passed(glance.record_id, glance.at, kept);
                    waiting.push(Planned { frame: *frame, step });
                }
                None => waiting.push(Planned { frame: *frame, step: Step::Rendered }),
            }
        }
        if !frames.torn.is_empty() {
            waiting.extend(frames.torn.iter().map(|frame| Planned { frame: *frame, step: Step::Torn }));
            waiting.sort_by_key(|planned| planned.frame.at);
        }
        waiting
    }

    /// Renders what must be, and counts all of it in order.
    fn render<W: Copy, T>(
        &mut self,
        data: &mut [u8],
        waiting: Vec<Planned<K>>,
        picker: &Picker<'_, W, T, K>,
    ) {
        let is_rendered = |planned: &&Planned<K>| matches!(planned.step, Step::Rendered);
        let wanted: Vec<Frame> = waiting.iter().filter(is_rendered).map(|planned| planned.frame).collect();
        let mut room = KEPT_BYTES_MAX;
        let mut left = waiting.into_iter();
        render::xml(data, &wanted, &mut |frame, rendered| {
            for planned in left.by_ref() {
                match planned.step {
                    Step::Rendered if planned.frame.at == frame.at => {
                        self.rendered(&planned.frame, &rendered, picker, &mut room);
                        return;
                    }
                    _ => self.not_rendered(planned),
                }
            }
        });
        left.for_each(|planned| self.not_rendered(planned));
    }

    /// Records of another pass over the chunk, as far as they could be read: told of, and not used, since most of what
    /// belongs to them is gone.
    fn stale(&mut self, data: &[u8], frames: &[Frame]) {
        let mut unvouched = Unvouched::of(data);
        for frame in frames.iter().filter(|frame| unvouched.is_intact(frame)) {
            self.stale_count += 1;
            self.stale.add(frame.id);
        }
    }

    fn not_rendered(&mut self, planned: Planned<K>) {
        match planned.step {
            Step::Passed(event_id, at, kept) => {
                self.counted(&planned.frame, event_id, at);
                self.kept_count += u64::from(kept.is_some());
                self.kept.extend(kept);
            }
            Step::Rendered => self.unreadable(&planned.frame, "the record was passed over"),
            Step::Torn => self.unreadable(&planned.frame, "the record does not end where its size says"),
        }
    }

    fn rendered<W: Copy, T>(
        &mut self,
        frame: &Frame,
        rendered: &Result<&str, String>,
        picker: &Picker<'_, W, T, K>,
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
        if let Some(wanted) = (picker.wanted)(&head.provider, &head.channel, head.id) {
            let (fields, cut) = event::fields(rest, room);
            self.fields_cut += u64::from(cut);
            let record = Record { fields, recovered: !frame.is_counted, ..head };
            if let Some(made) = (picker.make)(wanted, &record.event()) {
                self.keep(made, picker);
            }
        }
    }

    fn keep<W, T>(&mut self, made: T, picker: &Picker<'_, W, T, K>) {
        self.kept_count += 1;
        if self.kept.is_empty() {
            self.kept.push(K::default());
        }
        if let Some(kept) = self.kept.last_mut() {
            (picker.keep)(made, kept);
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
