//! Verdicts into words and data: one file per format. Nothing is printed outside of here and the command line.

mod broke;
pub mod safe;
pub mod words;
pub mod sources;
mod kinds;
pub mod headline;
mod arrives;
pub mod text;
pub mod json;
pub mod jsonl;
pub mod csv;
pub mod timesketch;
pub mod html;
pub mod markdown;
pub mod parquet;
pub mod explained;
pub mod held;
pub mod query;
pub mod slice;

use std::net::SocketAddr;

use crate::analysis::{Analysis, Naming};
use crate::diagnosis::Verdict;
use crate::note::{Place, Spot};
use crate::session::{Attempt, Outcome, Role, Seen, Session};
use crate::step::Step;

use safe::printable;

/// An attempt with its deciding session and best cause, as every format shows it.
#[derive(Debug, Clone, Copy)]
pub struct Told<'a> {
    /// The attempt.
    pub attempt: &'a Attempt,
    /// Its deciding session.
    pub session: &'a Session,
    /// The causes of that session.
    pub verdicts: &'a [Verdict],
}

impl Told<'_> {
    /// The best cause, when something failed.
    #[must_use]
    pub fn best(&self) -> Option<&Verdict> {
        self.attempt.outcome.is_failure().then(|| self.verdicts.first()).flatten()
    }

    /// A session that had reached the desktop was ended by the other side.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.attempt.outcome == Outcome::Refused && self.session.broke_at == Some(Step::Active)
    }
}

/// Causes behind the best one that are named.
const RIVALS_MAX: usize = 3;
/// A rival this much less sure than the best is not named.
const RIVAL_PERCENT: u8 = 45;

/// The causes behind the best one that are near enough to be named, in every format for people.
#[must_use]
pub fn rivals(verdicts: &[Verdict]) -> &[Verdict] {
    let Some((best, others)) = verdicts.split_first() else { return &[] };
    let near =
        |verdict: &&Verdict| verdict.weighing.percent.saturating_add(RIVAL_PERCENT) > best.weighing.percent;
    let count = others.iter().take(RIVALS_MAX).take_while(near).count();
    others.get(..count).unwrap_or_default()
}

/// Every attempt, in order of time.
#[must_use]
pub fn told(analysis: &Analysis) -> Vec<Told<'_>> {
    let tell = |attempt| {
        let attempt: &Attempt = attempt;
        let session = analysis.story.sessions.get(attempt.decisive)?;
        let verdicts = analysis.verdicts.get(attempt.decisive)?;
        Some(Told { attempt, session, verdicts })
    };
    analysis.story.attempts.iter().filter_map(tell).collect()
}

/// What a reader must know of an answer in which nobody has a real name.
#[must_use]
pub fn naming(analysis: &Analysis) -> Option<String> {
    let times = match analysis.naming {
        Naming::Real => return None,
        Naming::Pseudonyms => "",
        Naming::PseudonymsAndShiftedTimes => ", all times are moved by the same span",
    };
    Some(format!(
        "redacted: names and addresses are pseudonyms{times}. A public address here is most likely somebody else's. `input-N` is the \
         N-th input in the order of the paths: in a command put the real path in its place. Only the map of --redact-map \
         names what is real"
    ))
}

/// The path of an input as it is shown.
#[must_use]
pub fn input_name(analysis: &Analysis, place: Place) -> &str {
    let index = usize::try_from(place.input_index).unwrap_or(usize::MAX);
    analysis.inventory.inputs.get(index).map_or("", |input| input.shown.as_str())
}

/// Input, and frame or record of it, in words. Text from the evidence in it is printable.
#[must_use]
pub fn where_seen(analysis: &Analysis, place: Place) -> String {
    let input = printable(input_name(analysis, place));
    match place.spot {
        Spot::Whole => input.into_owned(),
        spot => format!("{input}, {spot}"),
    }
}

/// An entry of the timeline of a session.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// The step it belongs to; that of the entry before where it is of none.
    pub step: Option<Step>,
    /// What was seen.
    pub seen: &'a Seen,
}

/// The timeline of a session, in order; only what stands in the part of it that is asked for.
pub fn entries<'a>(analysis: &'a Analysis, session: &'a Session) -> impl Iterator<Item = Entry<'a>> {
    let mut step = None;
    let all = session.facts.iter().map(move |seen| {
        step = seen.what().step().or(step);
        Entry { step, seen }
    });
    all.filter(|entry| analysis.timeline.holds(entry.seen.at))
}

/// The server as it was asked for, where neither packets nor its own logs name it: as it was typed, or as a security package
/// was asked for its service. Text from the evidence in it is printable.
#[must_use]
pub fn server_asked_for(session: &Session) -> Option<String> {
    let typed = session.typed_name().map(|name| format!("{} (as typed)", printable(name)));
    typed.or_else(|| Some(format!("{} (by its service name)", printable(session.service_name()?))))
}

/// From whom to whom, as far as it is known. Text from the evidence in it is printable.
#[must_use]
pub fn ends(session: &Session) -> String {
    let client = match (session.client(), session.client_ip(), session.host(Role::Client)) {
        (Some(end), ..) => end.to_string(),
        (None, Some(ip), _) => ip.to_string(),
        (None, None, Some(host)) => printable(host).into_owned(),
        (None, None, None) => "an unknown client".to_owned(),
    };
    let client = match session.forwarded_for() {
        Some((address, Some(port))) => format!("{} through {client}", SocketAddr::new(address, port)),
        Some((address, None)) => format!("{address} through {client}"),
        None => client,
    };
    if let (Some(gateway), true) = (session.server(), session.is_through_gateway()) {
        let to = session.target().map(|(host, port)| format!(" to {}:{port}", printable(host)));
        return format!("{client} -> {gateway} (RD Gateway){}", to.unwrap_or_default());
    }
    let server = match (session.server(), session.host(Role::Server)) {
        (Some(end), Some(host)) => format!("{end} ({})", printable(host)),
        (Some(end), None) => end.to_string(),
        (None, Some(host)) => printable(host).into_owned(),
        (None, None) => server_asked_for(session).unwrap_or_else(|| "an unknown server".to_owned()),
    };
    format!("{client} -> {server}")
}
