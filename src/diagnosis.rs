//! Why it broke: one file per step, one `Rule` per cause. A rule is a value: what the cause is, what to do, and how
//! the facts of a case weigh for and against it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::fact::{Side, What};
use crate::session::{Outcome, Role, Seen, Session, Story, Witness, last_successes};
use crate::step::Step;
use crate::time::UnixNanos;

mod worth;
mod changed;
mod absent;
mod any;
mod dns;
mod gateway;
mod tcp;
mod negotiation;
mod tls;
mod credssp;
mod account;
mod authorization;
mod mcs;
mod client_info;
mod licensing;
mod redirection;
mod multitransport;
mod logon;
mod active;
mod said;
mod missing;

pub use missing::Missing;
pub use said::Said;
pub(crate) use tls::INSPECTORS;
pub use worth::{Doubt, Evidence, MOST, NEVER_SEEN_MAX, Support};

/// Version of the catalogue of rules; raised with every rule that is added or changed.
pub const CATALOGUE_VERSION: &str = "8";

/// Every rule, by step.
pub const RULES: &[&[Rule]] = &[
    any::RULES,
    dns::RULES,
    gateway::RULES,
    tcp::RULES,
    negotiation::RULES,
    tls::RULES,
    credssp::RULES,
    authorization::RULES,
    mcs::RULES,
    client_info::RULES,
    licensing::RULES,
    redirection::RULES,
    multitransport::RULES,
    logon::RULES,
    active::RULES,
];

/// Rules that say only that a code was given: they stand in where no other rule explains it.
const STAND_INS: &[&str] =
    &["logon-refused", "authorization-refused", "license-refused", "ended-by-code", "gw-refused"];

/// Rules that end no session by themselves: they are named beside another cause, and never alone.
const SIDE_REMARKS: &[&str] = &["udp-blocked", "gw-udp-blocked"];

/// Of a cause that was never seen in real evidence: it is known from specification.
const NOT_SEEN: &[&str] = &[];

/// A cause and how to tell it.
#[derive(Debug)]
pub struct Rule {
    /// Fixed id.
    pub id: &'static str,
    /// The step whose failure it explains; `None` for what can happen at any step.
    pub step: Option<Step>,
    /// What it is, in one sentence.
    pub cause: &'static str,
    /// What to do, with the commands.
    pub fix: &'static str,
    /// Where the discriminator is specified or was measured.
    pub refs: &'static [&'static str],
    /// Real cases in which it was the cause, of the lab or public, by their names; none where it is known from
    /// specification only.
    pub seen: &'static [&'static str],
    /// Weighs a case: `None` when the cause is not in question.
    pub weigh: fn(&Case<'_>) -> Option<Weighing>,
}

impl Rule {
    /// The real cases in which it was seen, or that there are none.
    #[must_use]
    pub fn seen_in(&self) -> String {
        if self.seen.is_empty() { "from specification, not seen".to_owned() } else { self.seen.join(", ") }
    }

    /// How sure it can be made by this kind of evidence: a cause that was never seen and that no code names is not sure.
    #[must_use]
    pub const fn most(&self, kind: Evidence) -> u8 {
        if self.seen.is_empty() && !kind.names_the_cause() { NEVER_SEEN_MAX } else { MOST }
    }
}

/// How the facts of a case weigh for one cause.
#[derive(Debug, Clone, PartialEq)]
pub struct Weighing {
    /// What kind of evidence the first proof is.
    pub kind: Evidence,
    /// How sure, in hundredths.
    pub percent: u8,
    /// What speaks for it.
    pub proofs: Vec<Seen>,
    /// What speaks against it.
    pub against: Vec<Seen>,
    /// What was not seen and would decide, with how to collect it.
    pub missing: Vec<Missing>,
    /// Said in place of the rule's words, where they would say too much of this case.
    pub wording: Option<&'static Wording>,
}

/// Words for a case in which the cause is a guess.
#[derive(Debug, PartialEq, Eq)]
pub struct Wording {
    /// What is known, and what it may mean, the most likely first.
    pub says: &'static str,
    /// What to do before anything against the cause.
    pub first: &'static str,
    /// When the rule's own remedy is called for.
    pub then: &'static str,
}

impl Weighing {
    /// A cause that `proof` shows, as sure as its kind makes.
    #[must_use]
    pub fn of(kind: Evidence, proof: &Seen) -> Self {
        let proofs = vec![proof.clone()];
        let (against, missing) = (Vec::new(), Vec::new());
        Self { kind, percent: kind.percent(), proofs, against, missing, wording: None }
    }

    /// Adds a proof, when there is one.
    #[must_use]
    pub fn and(mut self, proof: Option<&Seen>) -> Self {
        self.proofs.extend(proof.cloned());
        self
    }

    /// Less sure when something speaks against it.
    #[must_use]
    pub fn unless(mut self, against: Option<&Seen>, doubt: Doubt) -> Self {
        if let Some(seen) = against {
            self.against.push(seen.clone());
            self = self.doubted(doubt);
        }
        self
    }

    /// Less sure for the way in which it is known.
    #[must_use]
    pub fn doubted(mut self, doubt: Doubt) -> Self {
        self.percent = self.percent.saturating_sub(doubt.percent());
        self
    }

    /// Less sure where another rule says the same more exactly.
    #[must_use]
    pub fn gives_way(self, to_another: bool) -> Self {
        if to_another { self.doubted(Doubt::LessExact) } else { self }
    }

    /// Surer when `proof` is there as well.
    #[must_use]
    pub fn surer(mut self, proof: Option<&Seen>, support: Support) -> Self {
        if let Some(seen) = proof {
            if !self.proofs.contains(seen) {
                self.proofs.push(seen.clone());
            }
            self.percent = self.percent.saturating_add(support.percent()).min(MOST);
        }
        self
    }

    /// No surer than another kind of evidence would make.
    #[must_use]
    pub fn at_most(mut self, kind: Evidence) -> Self {
        self.percent = self.percent.min(kind.percent());
        self
    }

    /// Names what would decide.
    #[must_use]
    pub fn missing(mut self, what: impl Into<Missing>) -> Self {
        self.missing.push(what.into());
        self
    }

    /// Said in these words.
    #[must_use]
    pub const fn worded(mut self, wording: Option<&'static Wording>) -> Self {
        self.wording = wording;
        self
    }
}

/// A session to be explained, with what else is known.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// The session.
    pub session: &'a Session,
    /// The sessions of the same attempt, this one included, in order of time.
    pub attempt: &'a [&'a Session],
    /// All sessions.
    pub story: &'a Story,
    /// The last success of the same client and server before it.
    pub worked: Option<&'a Session>,
    /// How far servers are away in all sessions.
    pub distances: &'a Distances<'a>,
}

/// The time to live of the packets of servers that reset connections, by server and capture point: of the first session
/// that tells it, and of the first one of another id.
#[derive(Debug, Default)]
pub struct Distances<'a> {
    told: BTreeMap<(IpAddr, u32), Vec<(&'a str, u8)>>,
}

impl<'a> Distances<'a> {
    fn of(sessions: &'a [Session]) -> Self {
        let mut told = BTreeMap::<_, Vec<(&str, u8)>>::new();
        for session in sessions {
            let Some(which) = Self::which(session) else { continue };
            let ttl = session.facts.iter().find_map(|seen| match seen.what() {
                What::Reset { by: Side::Server, usual_ttl, .. } => *usual_ttl,
                _ => None,
            });
            let Some(ttl) = ttl else { continue };
            let known = told.entry(which).or_default();
            if known.len() < 2 && known.iter().all(|(id, _)| *id != session.id) {
                known.push((&session.id, ttl));
            }
        }
        Self { told }
    }

    fn which(session: &Session) -> Option<(IpAddr, u32)> {
        Some((session.server()?.ip(), session.connections.first()?.witness_index))
    }

    fn beside(&self, session: &Session) -> Option<u8> {
        let told = self.told.get(&Self::which(session)?)?;
        told.iter().find(|(id, _)| *id != session.id).map(|(_, ttl)| *ttl)
    }
}

impl<'a> Case<'a> {
    /// The first fact that `wanted` accepts.
    pub fn find(&self, wanted: impl Fn(&What) -> bool) -> Option<&'a Seen> {
        self.session.find(wanted)
    }

    /// The last fact that `wanted` accepts.
    pub fn find_last(&self, wanted: impl Fn(&What) -> bool) -> Option<&'a Seen> {
        self.session.find_last(wanted)
    }

    /// It broke, or was refused, at this step.
    #[must_use]
    pub fn failed_at(&self, step: Step) -> bool {
        self.session.broke_at == Some(step)
    }

    /// The last step passed is this one.
    #[must_use]
    pub fn reached(&self, step: Step) -> bool {
        self.session.reached == Some(step)
    }

    /// The sessions of the attempt that began before this one.
    pub fn earlier(&self) -> impl Iterator<Item = &'a Session> + use<'a> {
        let (start, id) = (self.session.start, &self.session.id);
        self.attempt.iter().copied().filter(move |other| (other.start, &other.id) < (start, id))
    }

    /// Some rule that names a cause takes this fact as proof.
    #[must_use]
    pub fn explains(&self, seen: &Seen) -> bool {
        RULES
            .iter()
            .flat_map(|rules| rules.iter())
            .filter(|rule| !STAND_INS.contains(&rule.id))
            .filter_map(|rule| (rule.weigh)(self))
            .any(|weighing| weighing.proofs.contains(seen))
    }

    /// One of these events of a log, by the log's short name.
    #[must_use]
    pub fn logged(&self, wanted_log: &str, wanted: &[u32]) -> Option<&'a Seen> {
        self.find(|what| {
            matches!(what, What::ProblemLogged { log, event, .. } | What::ServiceProblem { log, event, .. } | What::LogSays { log, event, .. }
                if log == wanted_log && wanted.contains(event))
        })
    }

    /// A program whose name or module holds `name` crashed beside it.
    #[must_use]
    pub fn crashed(&self, name: &str) -> Option<&'a Seen> {
        self.find(|what| {
            matches!(what, What::ServiceProblem { detail: Some(detail), .. } | What::ProblemLogged { detail: Some(detail), .. }
                if detail.to_ascii_lowercase().contains(name))
        })
    }

    /// The part that the host which wrote a record plays in this connection.
    #[must_use]
    pub fn part(&self, seen: &Seen) -> Option<Role> {
        let host = &seen.fact.subject.keys()?.host;
        self.session.hosts.iter().find(|part| part.host == *host).map(|part| part.role)
    }

    /// It failed behind the sign-in, where the server sets up a session.
    #[must_use]
    pub fn failed_behind_sign_in(&self) -> bool {
        self.session.outcome.is_failure() && self.session.broke_at >= Some(Step::ClientInfo)
    }

    /// Who ended the connection first: the FIN, reset or alert.
    #[must_use]
    pub fn ended_by(&self) -> Option<(Side, &'a Seen)> {
        self.session.facts.iter().find_map(|seen| match seen.what() {
            What::Closed { by } | What::Reset { by, .. } | What::EncryptedAlert { by, .. } => {
                Some((*by, seen))
            }
            What::Alert { by, .. } => Some((*by, seen)),
            _ => None,
        })
    }

    /// A reset that its time to live or sequence number says did not come from the side it names.
    #[must_use]
    pub fn foreign_reset(&self) -> Option<&'a Seen> {
        self.find(What::is_foreign_reset)
    }

    /// A reset that one witness saw in this side's name, although another witness of the same connection, who still looked,
    /// did not: it was made on the way between them.
    #[must_use]
    pub fn reset_made_on_the_way(&self) -> Option<&'a Seen> {
        let witness = |seen: &Seen| seen.fact.subject.connection().map(|c| c.witness_index);
        let resets = |by: Side| {
            self.session
                .facts
                .iter()
                .filter(move |s| matches!(s.what(), What::Reset { by: b, .. } if *b == by))
        };
        // Behind a gateway the connection is another one.
        let seen_by: Vec<u32> = match self.session.to_host().next() {
            Some(_) => Vec::new(),
            None => self.session.connections.iter().map(|c| c.witness_index).collect(),
        };
        [Side::Server, Side::Client].into_iter().find_map(|by| {
            let first = resets(by).next().filter(|first| !self.was_cut_off(by, first.at))?;
            let saw = |index: u32| resets(by).any(|seen| witness(seen) == Some(index));
            // Who saw one in the other's name in its place looked as well.
            let other = |index: u32| {
                let first_saw = |seen: &Seen| witness(seen) == witness(first);
                let mut others = resets(by.other());
                others.any(|seen| witness(seen) == Some(index)) && !resets(by.other()).any(first_saw)
            };
            let missed = |index: &u32| !saw(*index) && (self.was_looking(*index, first.at) || other(*index));
            seen_by.iter().any(missed).then_some(first)
        })
    }

    /// What this side sent before that moment did not arrive either.
    fn was_cut_off(&self, side: Side, at: UnixNanos) -> bool {
        self.session.facts.iter().any(|seen| {
            let lost = match seen.what() {
                What::Unanswered { by, .. } | What::ProbesUnanswered { by, .. } => *by == side,
                What::LostOnPath { from, .. } => *from == side,
                _ => false,
            };
            lost && seen.at <= at
        })
    }

    /// This witness looked when what passed at that moment must have come past it, too: its capture goes on for longer than
    /// a packet needs from one end to the other and the clocks leave open. Where nothing tells when a capture ended, it
    /// went on.
    fn was_looking(&self, witness_index: u32, at: UnixNanos) -> bool {
        let round_trip = self.session.facts.iter().filter_map(|seen| match seen.what() {
            What::SynAnswered { after_ms } => Some(nanoseconds(*after_ms)),
            _ => None,
        });
        let clock = self.story.clocks.iter().find(|clock| clock.witness_index == witness_index);
        let open_ns = round_trip.max().unwrap_or(0).saturating_add(clock.map_or(0, |clock| clock.error_ns));
        self.looked_until(witness_index).is_none_or(|until| until.since(at) > open_ns)
    }

    /// The last moment of which this capture tells anything, where that is known.
    fn looked_until(&self, witness_index: u32) -> Option<UnixNanos> {
        let is_own =
            |seen: &Seen| seen.fact.subject.connection().is_some_and(|c| c.witness_index == witness_index);
        let own = self.session.facts.iter().filter(|seen| is_own(seen));
        let ends = own.filter_map(|seen| match seen.what() {
            What::CaptureEnds { idle_ms } => Some(seen.at.plus(nanoseconds(*idle_ms))),
            _ => None,
        });
        let place = usize::try_from(witness_index).ok();
        let covers = place.and_then(|index| *self.story.covers.get(index)?);
        ends.chain(covers.map(|(_, until)| until)).max()
    }

    /// What would decide: a capture at the other end, or, where one is there and ends before this, that it goes on for longer.
    #[must_use]
    pub fn other_end(&self, seen: &Seen, capture: &'static str, before: &'static str) -> Missing {
        let own = seen.fact.subject.connection().map(|connection| connection.witness_index);
        let others = self.session.connections.iter().map(|connection| connection.witness_index);
        let mut others = others.filter(|index| Some(*index) != own);
        let ended = others.find_map(|witness_index| {
            let until = self.looked_until(witness_index)?;
            (!self.was_looking(witness_index, seen.at)).then_some((witness_index, until))
        });
        ended.map_or(Missing::Text(capture), |(witness_index, until)| Missing::Ended {
            witness_index,
            until,
            before,
        })
    }

    /// A reset without acknowledgement on a connection that was open: from one who knows of no connection, which is a
    /// device on the path, or a host that forgot it.
    #[must_use]
    pub fn bare_reset(&self) -> Option<&'a Seen> {
        self.find(|what| matches!(what, What::Reset { bare: true, .. }))
    }

    /// Time to live of the packets of the same server to the same witness in other connections.
    #[must_use]
    pub fn server_ttl_elsewhere(&self) -> Option<u8> {
        self.distances.beside(self.session)
    }
}

fn nanoseconds(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX).saturating_mul(1_000_000)
}

/// One cause of one session.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// The rule.
    pub rule: &'static Rule,
    /// How it weighs.
    pub weighing: Weighing,
    /// Witnesses of this connection that are not there at all, said of the best cause.
    pub absent: Vec<&'static str>,
}

impl Verdict {
    /// What was not seen and would tell more: what would decide first, then the witnesses that are not there. `witnesses`
    /// are those that were joined.
    pub fn missing<'a>(&'a self, witnesses: &'a [Witness]) -> impl Iterator<Item = Cow<'static, str>> + 'a {
        let absent = self.absent.iter().map(|absent| Cow::Borrowed(*absent));
        self.weighing.missing.iter().map(|missing| missing.says(witnesses)).chain(absent)
    }

    /// Confidence between 0 and 1.
    #[must_use]
    pub fn confidence(&self) -> f64 {
        f64::from(self.weighing.percent) / 100.0
    }
}

/// The causes of a session, best first, each once; none where nothing failed.
#[must_use]
pub fn diagnose(case: &Case<'_>) -> Vec<Verdict> {
    let judged = case.session.outcome.is_failure() || case.session.outcome == Outcome::Probe;
    if !judged {
        return Vec::new();
    }
    let mut verdicts: Vec<Verdict> = RULES
        .iter()
        .flat_map(|rules| rules.iter())
        .filter_map(|rule| {
            let weighing = changed::weigh(case, rule.id, (rule.weigh)(case)?);
            Some(Verdict { rule, weighing, absent: Vec::new() })
        })
        .filter(|verdict| verdict.weighing.percent > 0)
        .collect();
    if verdicts.iter().all(|verdict| SIDE_REMARKS.contains(&verdict.rule.id)) {
        verdicts.clear();
    }
    verdicts.sort_by(|a, b| (b.weighing.percent, a.rule.id).cmp(&(a.weighing.percent, b.rule.id)));
    // What was never seen keeps its place and is told as less sure, and so is what stands behind it.
    let mut most = MOST;
    for verdict in &mut verdicts {
        most = most.min(verdict.rule.most(verdict.weighing.kind)).min(verdict.weighing.percent);
        verdict.weighing.percent = most;
    }
    let absent = absent::witnesses(case.session);
    for verdict in &mut verdicts {
        absent::name_what_would_decide(&mut verdict.weighing, &absent);
    }
    if let Some(best) = verdicts.first_mut() {
        best.absent = absent;
        best.absent.retain(|witness| !best.weighing.missing.contains(&Missing::Text(witness)));
    }
    let mut named: Vec<&str> = Vec::new();
    verdicts.retain(|verdict| {
        let first = !named.contains(&verdict.rule.id);
        named.push(verdict.rule.id);
        first
    });
    verdicts
}

/// Which witnesses of a connection nobody handed over, with how to collect them.
#[must_use]
pub fn witnesses_absent(session: &Session) -> Vec<&'static str> {
    absent::witnesses(session)
}

/// What is said where the server has a user for a connection and its protocol stack tells nothing of it, whose log
/// would say how it went on.
#[must_use]
pub fn stack_absent(session: &Session, story: &Story) -> Option<&'static str> {
    absent::stack(session, story)
}

/// The rule of that id.
#[must_use]
pub fn rule(id: &str) -> Option<&'static Rule> {
    RULES.iter().flat_map(|rules| rules.iter()).find(|rule| rule.id == id)
}

/// Verdicts of every session, in the order of the story's sessions.
#[must_use]
pub fn diagnose_all(story: &Story) -> Vec<Vec<Verdict>> {
    let mut verdicts: Vec<Vec<Verdict>> = vec![Vec::new(); story.sessions.len()];
    let distances = Distances::of(&story.sessions);
    let worked = last_successes(&story.sessions, &story.attempts);
    for (attempt, worked) in story.attempts.iter().zip(worked) {
        let worked = worked.and_then(|index| story.sessions.get(index));
        let members: Vec<&Session> =
            attempt.sessions.iter().filter_map(|index| story.sessions.get(*index)).collect();
        for (index, session) in attempt.sessions.iter().zip(&members) {
            let case = Case { session, attempt: &members, story, worked, distances: &distances };
            if let Some(slot) = verdicts.get_mut(*index) {
                *slot = diagnose(&case);
            }
        }
    }
    verdicts
}
