//! The answer for a terminal: verdict first, then the ladder, the evidence, what was not seen and what to do.

use std::collections::BTreeSet;
use std::fmt::Write as _;

mod batch;
mod ladder;
mod others;
mod paint;
mod summed;
mod unmatched;

pub(super) use others::unknown_because;
pub use paint::Layout;

use paint::{Paint, columns, wrapped};

use super::kinds::{NO_CAUSE, kinds};
use super::safe::{escaped, printable};
use super::sources::summed_up;
use super::{
    Told, ends, entries, headline, input_name, naming, query, rivals, server_asked_for, slice, told, words,
};
use crate::analysis::Analysis;
use crate::diagnosis::{self, Verdict};
use crate::fact::{Reading, Recognised};
use crate::note::{Spot, counted};
use crate::read::Counts;
use crate::session::{ClockOffset, Outcome, Role, Seen, Session};
use crate::step::Step;
use crate::time::spoken;

/// From here on witnesses that are not there would change nothing.
const SURE_PERCENT: u8 = 90;
/// Lines of what was not seen.
const MISSING_MAX: usize = 3;
/// So many failures get a picture each; of more with `-v` only.
const DRAWN_MAX: usize = 3;
/// Witnesses that are named whose clock nothing tells.
const CLOCKS_MAX: usize = 5;
/// Proofs shown of one cause.
const PROOFS_MAX: usize = 4;

/// The whole answer.
#[must_use]
pub fn answer(analysis: &Analysis, layout: Layout<'_>) -> String {
    let mut out = String::new();
    let told = told(analysis);
    if let Some(nothing) = &analysis.unmatched {
        unmatched::unmatched(&mut out, analysis, nothing, layout);
        summary(&mut out, analysis, &told, layout);
        return if layout.ascii { paint::ascii(&out) } else { out };
    }
    // Of several, the total comes first.
    let first = told.len() > 1;
    if first {
        summary(&mut out, analysis, &told, layout);
    }
    let sources =
        if layout.verbose { Vec::new() } else { summed_up(&analysis.story.sessions, &told, server_end) };
    let summed: BTreeSet<usize> = sources.iter().flat_map(|source| &source.attempts).copied().collect();
    let alone = told.iter().enumerate().filter(|(index, _)| !summed.contains(index)).map(|(_, one)| one);
    let failed: Vec<&Told<'_>> = alone.filter(|t| t.attempt.outcome.is_failure()).collect();
    if first && failed.len() <= batch::TOLD_MAX {
        out.push('\n');
    }
    failures(&mut out, analysis, &failed, layout);
    summed::sources(&mut out, &sources, layout);
    if !layout.only_failed {
        others::others(&mut out, analysis, &told, layout);
        others::listened(&mut out, analysis, layout);
    }
    if !first {
        summary(&mut out, analysis, &told, layout);
    }
    clocks(&mut out, analysis, layout);
    clocks_alone(&mut out, analysis, layout);
    if layout.ascii { paint::ascii(&out) } else { out }
}

/// Few failures are told one by one, in order of time; many by kind, the most frequent first.
fn failures(out: &mut String, analysis: &Analysis, failed: &[&Told<'_>], layout: Layout<'_>) {
    if failed.len() > batch::TOLD_MAX {
        let kinds = kinds(failed.iter().copied());
        batch::overview(out, failed.len(), &kinds, layout);
        if !layout.verbose {
            for kind in batch::shown(&kinds) {
                let count = kind.count();
                let count = if count > 1 { format!("[1 of {count}] ") } else { String::new() };
                if let Some(example) = kind.example() {
                    block(out, analysis, example, layout, &count);
                }
            }
            return;
        }
    }
    let drawn = layout.verbose || failed.len() <= DRAWN_MAX;
    for (number, attempt) in (1..).zip(failed) {
        let count = if failed.len() > 1 { format!("[{number}/{}] ", failed.len()) } else { String::new() };
        block(out, analysis, attempt, layout, &count);
        if drawn {
            ladder::picture(out, analysis, attempt, layout);
            out.push('\n');
        }
        if layout.verbose {
            timeline(out, analysis, attempt.session, layout);
            out.push('\n');
        }
    }
}

pub(super) fn server_end(session: &Session) -> String {
    match (session.server(), session.host(Role::Server)) {
        (Some(end), _) => end.to_string(),
        (None, Some(host)) => host.to_owned(),
        (None, None) => server_asked_for(session).unwrap_or_else(|| "an unknown server".to_owned()),
    }
}

/// `1 attempt`, `2 attempts`.
pub(super) fn some(count: usize, what: &str) -> String {
    let end = if what.ends_with('s') { "es" } else { "s" };
    counted(count, what, &format!("{what}{end}"))
}

fn line(out: &mut String, text: &str) {
    out.push_str(text);
    out.push('\n');
}

/// Columns of a label and what is around it.
const INDENT: usize = 12;

/// One labelled paragraph, wrapped behind its label.
fn item(out: &mut String, layout: Layout<'_>, label: &str, text: &str) {
    painted(out, layout, label, text, None);
}

/// A command or filter in one line, however long, so that it can be copied.
fn whole(out: &mut String, layout: Layout<'_>, label: &str, text: &str) {
    let padding = " ".repeat((INDENT - 2).saturating_sub(columns(label)));
    line(out, &format!("  {}{padding}{text}", layout.paint(Paint::Label, label)));
}

/// A sentence of its own, wrapped with its later lines indented.
fn paragraph(out: &mut String, layout: Layout<'_>, text: &str, paint: Option<Paint>) {
    for (index, part) in wrapped(text, layout.columns().saturating_sub(4)).iter().enumerate() {
        let indent = if index == 0 { "" } else { "    " };
        let part = paint.map_or_else(|| part.clone(), |paint| layout.paint(paint, part));
        line(out, &format!("{indent}{part}"));
    }
}

/// A sentence of its own with its beginning, or some words near it, in a colour.
fn headed(out: &mut String, layout: Layout<'_>, text: &str, (words, paint): (&str, Paint)) {
    for (index, part) in wrapped(text, layout.columns().saturating_sub(4)).iter().enumerate() {
        let indent = if index == 0 { "" } else { "    " };
        let part =
            if index == 0 { part.replacen(words, &layout.paint(paint, words), 1) } else { part.clone() };
        line(out, &format!("{indent}{part}"));
    }
}

/// A line whose later parts stand below its text, behind what comes first.
fn hanging(out: &mut String, layout: Layout<'_>, first: &str, text: &str) {
    let indent = columns(first);
    for (index, part) in wrapped(text, layout.columns().saturating_sub(indent)).iter().enumerate() {
        let before = if index == 0 { first.to_owned() } else { " ".repeat(indent) };
        line(out, &format!("{before}{part}"));
    }
}

/// The same in a colour.
fn painted(out: &mut String, layout: Layout<'_>, label: &str, text: &str, paint: Option<Paint>) {
    let room = layout.columns().saturating_sub(INDENT);
    for (index, part) in wrapped(text, room).iter().enumerate() {
        let label = if index == 0 { label } else { "" };
        let padding = " ".repeat((INDENT - 2).saturating_sub(columns(label)));
        let part = paint.map_or_else(|| part.clone(), |paint| layout.paint(paint, part));
        line(out, &format!("  {}{padding}{part}", layout.paint(Paint::Label, label)));
    }
}

fn block(out: &mut String, analysis: &Analysis, told: &Told<'_>, layout: Layout<'_>, count: &str) {
    let session = told.session;
    let step = session.broke_at.map_or("an unknown step", Step::title);
    let outcome = headline::happened(told.attempt.outcome, session.broke_at, told.best()).to_uppercase();
    let heading = format!("{outcome} at {step}");
    headed(out, layout, &format!("{count}{heading}: {}", ends(session)), (&heading, Paint::Failure));
    match told.best() {
        Some(best) => {
            painted(out, layout, "why", &headline::why(best), Some(Paint::Strong));
            item(out, layout, "how sure", &how_sure(told.verdicts));
        }
        None => item(out, layout, "why", NO_CAUSE),
    }
    if let Some(contradiction) = analysis.said.and_then(|said| said.contradicted_by(session)) {
        let text = format!("the error box does not tell of this connection: {contradiction}");
        item(out, layout, "box", &text);
    }
    item(out, layout, "when", &format!("{}, {}", layout.zone.shown(session.start), lasted(analysis, told)));
    if let Some(user) = user(session) {
        item(out, layout, "user", &user);
    }
    item(out, layout, "steps", &ladder(session));
    if let Some(best) = told.best() {
        for (index, proof) in best.weighing.proofs.iter().take(PROOFS_MAX).enumerate() {
            item(out, layout, if index == 0 { "evidence" } else { "" }, &proof_line(analysis, proof));
        }
        for (index, against) in best.weighing.against.iter().enumerate() {
            item(out, layout, if index == 0 { "against" } else { "" }, &proof_line(analysis, against));
        }
        let sure = best.weighing.percent >= SURE_PERCENT;
        let most = if sure { best.weighing.missing.len().min(MISSING_MAX) } else { MISSING_MAX };
        for (index, missing) in best.missing(&analysis.witnesses).take(most).enumerate() {
            item(out, layout, if index == 0 { "not seen" } else { "" }, &escaped(&missing));
        }
        item(out, layout, "to do", &headline::to_do(best));
    } else {
        for (index, missing) in diagnosis::witnesses_absent(session).iter().take(MISSING_MAX).enumerate() {
            item(out, layout, if index == 0 { "not seen" } else { "" }, missing);
        }
    }
    for (index, differs) in told.attempt.differs.iter().enumerate() {
        item(out, layout, if index == 0 { "differs" } else { "" }, &escaped(differs));
    }
    named_by(out, session, layout);
    let shown = filter(session);
    if !shown.is_empty() {
        whole(out, layout, "Wireshark", &shown);
    }
    if let Some(command) = slice::command(analysis, session) {
        whole(out, layout, "slice", &command);
    }
    let proofs = told.best().map_or(&[][..], |best| best.weighing.proofs.as_slice());
    for (index, query) in query::of_proofs(analysis, proofs).iter().enumerate() {
        whole(out, layout, if index == 0 { "records" } else { "" }, query);
    }
    out.push('\n');
}

/// Who wanted to log on, as far as it can be read.
pub(super) fn user(session: &Session) -> Option<String> {
    let name = session.user_name()?;
    let domain = session.user_domain().map(|domain| format!("{}\\", printable(domain))).unwrap_or_default();
    let doubt =
        if session.is_user_whole() { "" } else { " (from the cookie, which may be cut to 9 characters)" };
    Some(format!("{domain}{}{doubt}", printable(name)))
}

pub(super) fn how_sure(verdicts: &[Verdict]) -> String {
    let sure = |verdict: &Verdict| format!("{} % ({})", verdict.weighing.percent, verdict.rule.id);
    let best = verdicts.iter().take(1).map(sure);
    let others = rivals(verdicts).iter().map(|verdict| format!("or {}", sure(verdict)));
    best.chain(others).collect::<Vec<_>>().join(", ")
}

fn lasted(analysis: &Analysis, told: &Told<'_>) -> String {
    let count = told.attempt.sessions.len();
    let took = spoken(told.session.lasted_ns());
    let seen = told.session.witnesses().len();
    let mut text = format!("lasted {took}");
    if count > 1 {
        let _ = write!(text, "; {count} connections were tried, this one tells most");
    }
    if seen > 1 {
        let could = analysis.story.could_tell(told.session, &analysis.witnesses).len();
        let _ = write!(text, "; told by {seen} of {could} witnesses");
    }
    text
}

/// The steps climbed, with the one that broke marked.
pub(super) fn ladder(session: &Session) -> String {
    let mut names: Vec<String> = Vec::new();
    for seen in &session.facts {
        if let Some(step) = seen.what().step()
            && Some(step) <= session.reached
            && names.last().map(String::as_str) != Some(step.name())
            && !names.iter().any(|name| name == step.name())
        {
            names.push(step.name().to_owned());
        }
    }
    if let Some(step) = session.broke_at {
        names.retain(|name| name != step.name());
        names.push(format!("[{} x]", step.name()));
    }
    names.join(" > ")
}

fn proof_line(analysis: &Analysis, proof: &Seen) -> String {
    let place = match proof.place().spot {
        Spot::Whole => String::new(),
        spot => format!(", {spot}"),
    };
    let read = match proof.reading() {
        Reading::Clear => "",
        Reading::Opened => ", decrypted",
        Reading::Inferred => ", told by size and position",
    };
    let input = printable(input_name(analysis, proof.place())).into_owned();
    format!("{} ({input}{place}{read})", words::says(proof.what()))
}

/// Why a connection without RDP bytes counts as one.
fn named_by(out: &mut String, session: &Session, layout: Layout<'_>) {
    let said = match session.connections.first().map(|connection| connection.recognised) {
        Some(Recognised::NamedEndpoint) => {
            "taken for RDP because another RDP connection goes to the same address and port"
        }
        Some(Recognised::Port) => "taken for RDP because of its port, 3389",
        Some(Recognised::GatewaySizes) => {
            "taken for RDP through an RD Gateway because of the sizes of its encrypted records"
        }
        Some(Recognised::GatewayEndpoint) => {
            "taken for a connection to an RD Gateway because another one to the same address and port is one"
        }
        _ => return,
    };
    item(out, layout, "is it RDP", said);
}

/// Display filter that shows this connection in Wireshark.
#[must_use]
pub fn filter(session: &Session) -> String {
    let (Some(client), Some(server)) = (session.client(), session.server()) else { return String::new() };
    let field = if client.is_ipv4() { "ip" } else { "ipv6" };
    format!(
        "{field}.addr=={} && {field}.addr=={} && tcp.port=={} && tcp.port=={}",
        client.ip(),
        server.ip(),
        client.port(),
        server.port()
    )
}

fn timeline(out: &mut String, analysis: &Analysis, session: &Session, layout: Layout<'_>) {
    for entry in entries(analysis, session) {
        let seen = entry.seen;
        let since = ladder::signed(seen.at.since(session.start));
        let host = seen.fact.subject.keys().map(|keys| format!("{}: ", printable(&keys.host)));
        let input = printable(input_name(analysis, seen.place()));
        let place = format!("{}{input} {}", host.unwrap_or_default(), seen.place().spot);
        let text = format!("{} ({})", words::says_of(analysis, session, seen), place.trim_end());
        hanging(out, layout, &format!("    {since:>11}  "), &text);
    }
}

/// Whose clock is off by how much, when more than one clock is there.
fn clocks(out: &mut String, analysis: &Analysis, layout: Layout<'_>) {
    for clock in analysis.story.clocks.iter().filter(|clock| clock.pairs > 0) {
        let Some(witness) = analysis.witnesses.get(index_of(clock.witness_index)) else { continue };
        let name = printable(&witness.name);
        let other = analysis.witnesses.get(index_of(clock.against)).filter(|_| clock.against > 0);
        let other = other.map(|other| printable(&other.name));
        let text = format!("clock of {name}: {}", words::clock(clock, other.as_deref()));
        paragraph(out, layout, &text, None);
        for step in &clock.steps {
            let way = if step.by_ns < 0 { "back" } else { "forward" };
            line(
                out,
                &format!("clock of {name}: set {way} by {} at {}", words::seconds(step.by_ns.abs()), step.at),
            );
        }
    }
}

/// Witnesses that share nothing with another one, by which their clock could be told.
fn clocks_alone(out: &mut String, analysis: &Analysis, layout: Layout<'_>) {
    let all = &analysis.story.clocks;
    let is_alone = |clock: &&ClockOffset| {
        let others = all.iter().any(|other| other.pairs > 0 && other.against == clock.witness_index);
        clock.witness_index > 0 && clock.pairs == 0 && !others
    };
    let alone = all.iter().filter(is_alone);
    let names: Vec<_> = alone
        .filter_map(|clock| analysis.witnesses.get(index_of(clock.witness_index)))
        .map(|witness| printable(&witness.name))
        .collect();
    let named: Vec<&str> = names.iter().take(CLOCKS_MAX).map(|name| &**name).collect();
    let more = names.len().saturating_sub(CLOCKS_MAX);
    let and_more = if more > 0 { format!(" and {more} more") } else { String::new() };
    if !named.is_empty() {
        let names = named.join(", ");
        let text = format!("clock not compared, times stand by its own: {names}{and_more}");
        paragraph(out, layout, &text, None);
    }
}

fn index_of(witness_index: u32) -> usize {
    usize::try_from(witness_index).unwrap_or(usize::MAX)
}

fn summary(out: &mut String, analysis: &Analysis, told: &[Told<'_>], layout: Layout<'_>) {
    let count = |outcome: Outcome| told.iter().filter(|t| t.attempt.outcome == outcome).count();
    let parts = [
        (count(Outcome::Broke) + count(Outcome::Refused), "failed"),
        (count(Outcome::Active), "worked"),
        (count(Outcome::Closed), "closed"),
        (count(Outcome::Probe), "only looked"),
        (count(Outcome::Unknown), "unknown"),
    ];
    let named: Vec<String> =
        parts.iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{n} {word}")).collect();
    let held = analysis.counts.iter().flatten();
    let (mut captures, mut packets, mut logs, mut records) = (0_usize, 0_u64, 0_usize, 0_u64);
    let (mut unreadable, mut missing) = (0_u64, 0_u64);
    for counts in held {
        match counts {
            Counts::Capture(held) => (captures, packets) = (captures + 1, packets + held.packets),
            Counts::Log(held) => {
                (logs, records) = (logs + 1, records + held.records);
                unreadable += held.records_unreadable;
                missing = missing.saturating_add(held.records_missing);
            }
        }
    }
    let mut read = Vec::new();
    if captures > 0 {
        let packets = counted(packets, "packet", "packets");
        read.push(format!("{packets} of {}", some(captures, "capture")));
    }
    if logs > 0 {
        let lost = match (unreadable, missing) {
            (0, 0) => String::new(),
            (0, missing) => format!(" ({missing} missing)"),
            (unreadable, 0) => format!(" ({unreadable} unreadable)"),
            (unreadable, missing) => format!(" ({unreadable} unreadable, {missing} missing)"),
        };
        let records = counted(records, "record", "records");
        read.push(format!("{records} of {}{lost}", some(logs, "event log")));
    }
    let attempts = told.len();
    let said = match (named.is_empty(), analysis.left_out) {
        (true, 0) => "no RDP connection".to_owned(),
        (true, _) => "none of what was found is as asked".to_owned(),
        _ => named.join(", "),
    };
    let left_out = match analysis.left_out {
        0 => String::new(),
        count => format!(" {} left out.", some(count, "attempt")),
    };
    let text = format!("{}: {said}.{left_out} Read {}.", some(attempts, "attempt"), read.join(" and "));
    paragraph(out, layout, &text, None);
    if let Some(naming) = naming(analysis) {
        paragraph(out, layout, &format!("{naming}."), None);
    }
}
