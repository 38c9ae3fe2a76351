//! The ladder of a session as a picture: client and server as two lines, what each sent as arrows between them, what the
//! logs of either say as dots on its line, with time and gap.

use std::collections::{BTreeMap, BTreeSet};

use super::line;
use super::paint::{Layout, Paint, columns, wrapped};
use crate::analysis::Analysis;
use crate::fact::{Side, What};
use crate::report::Told;
use crate::report::arrives::arrives;
use crate::report::broke::broke;
use crate::report::safe::printable;
use crate::report::words;
use crate::session::{Role, Seen, Session};
use crate::step::Step;
use crate::time::{UnixNanos, spoken};

/// Rows of a picture, unless everything is wanted.
const ROWS_MAX: usize = 18;
/// Rows of a picture in any case.
const ROWS_LIMIT: usize = 400;
/// Lines of one row.
const LINES_MAX: usize = 2;
/// Columns between the two lines.
const BETWEEN: usize = 10;
/// Columns that the arrow of a lost packet comes far.
const LOST_AT: usize = 6;
/// Columns in front of the text: margin, time, gap and the two lines with their margins.
const BEFORE_TEXT: usize = 2 + TIME + 1 + GAP + 2 + LANE + 1;
const TIME: usize = 10;
const GAP: usize = 9;
const LANE: usize = BETWEEN + 6;
/// Narrower than this, text stands below its arrow.
const BESIDE_MIN: usize = BEFORE_TEXT + 19;
/// Columns in front of text that stands below.
const BELOW: usize = 6;

/// Where a row stands.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Lane {
    /// A packet, who sent it, and whether it came to the other end; a state of the connection otherwise.
    Packet(Option<(Side, bool)>),
    /// A record of the log of one end.
    LogOf(Side),
    /// A record of another host's log.
    Other(String),
}

/// How much a row matters; the lesser the more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// Evidence for or against the best cause.
    Decides,
    /// The first of its step among the packets.
    OpensStep,
    /// At the step that broke, or an end.
    AtTheEnd,
    /// The first answer at its step.
    AnswersStep,
    /// The first of its host and step in the logs.
    LogOpensStep,
    /// All else.
    Detail,
}

struct Row<'a> {
    seen: &'a Seen,
    says: String,
    lane: Lane,
    rank: Rank,
}

/// Draws the ladder of a session.
pub(super) fn picture(out: &mut String, analysis: &Analysis, told: &Told<'_>, layout: Layout<'_>) {
    let mut rows = rows(analysis, told);
    let all = rows.len();
    if !layout.verbose {
        rows.retain(|row| row.rank < Rank::Detail || matches!(row.lane, Lane::Packet(_)));
    }
    keep(&mut rows, if layout.verbose { ROWS_LIMIT } else { ROWS_MAX });
    let seen: Vec<&Seen> = rows.iter().map(|row| row.seen).collect();
    let broken = broke(told.session, told.best().map_or(&[], |_| told.verdicts), &seen);
    if layout.columns() < BESIDE_MIN {
        stacked(out, &rows, told.session.start, broken, layout);
    } else {
        drawn(out, &rows, told.session.start, broken, layout);
    }
    if let Some(more) = all.checked_sub(rows.len()).filter(|more| *more > 0) {
        let hint = if layout.verbose { "in JSON" } else { "with -v" };
        let indent = if layout.columns() < BESIDE_MIN { BELOW } else { BEFORE_TEXT };
        line(out, &layout.paint(Paint::Label, &format!("{:indent$}and {more} more {hint}", "")));
    }
}

/// Both ends as lines, arrows between them, and the text beside.
fn drawn(out: &mut String, rows: &[Row<'_>], start: UnixNanos, broken: Option<usize>, layout: Layout<'_>) {
    let head = format!("  {:>TIME$} {:>GAP$}  client    server", "time", "gap");
    line(out, &layout.paint(Paint::Label, &head));
    let mut before = start;
    for (index, row) in rows.iter().enumerate() {
        let since = signed(row.seen.at.since(start));
        let gap = row.seen.at.since(before);
        let gap = if index == 0 || gap < 1_000 { String::new() } else { format!("+{}", spoken(gap)) };
        before = row.seen.at;
        let broke = broken == Some(index);
        let room = layout.columns().saturating_sub(BEFORE_TEXT);
        let mut lines = wrapped(&says(row), room);
        cut(&mut lines, room, layout);
        for (number, part) in lines.iter().enumerate() {
            let (time, lane) = match number {
                0 => (format!("  {since:>TIME$} {gap:>GAP$}  "), lane(&row.lane, broke, layout)),
                _ => (" ".repeat(BEFORE_TEXT - LANE - 1), idle(layout)),
            };
            line(out, format!("{time}{lane} {}", painted(row, broke, part, layout)).trim_end());
        }
    }
}

/// For narrow terminals: when, who, and the text below.
fn stacked(out: &mut String, rows: &[Row<'_>], start: UnixNanos, broken: Option<usize>, layout: Layout<'_>) {
    for (index, row) in rows.iter().enumerate() {
        let broke = broken == Some(index);
        let since = signed(row.seen.at.since(start));
        line(out, &format!("  {since:>TIME$}  {}", who(&row.lane, broke, layout)));
        for part in wrapped(&says(row), layout.columns().saturating_sub(BELOW)) {
            line(out, &format!("{:BELOW$}{}", "", painted(row, broke, &part, layout)));
        }
    }
}

fn painted(row: &Row<'_>, broke: bool, part: &str, layout: Layout<'_>) -> String {
    match (&row.lane, broke) {
        (_, true) => layout.paint(Paint::Failure, part),
        (_, false) if row.rank == Rank::Decides => layout.paint(Paint::Strong, part),
        (Lane::LogOf(_) | Lane::Other(_), false) => layout.paint(Paint::Log, part),
        _ => part.to_owned(),
    }
}

/// Between whom it goes, or whose log says it, in a few words.
fn who(lane: &Lane, broke: bool, layout: Layout<'_>) -> String {
    let (dash, cross) = (layout.mark("─", "-"), layout.mark("✗", "X"));
    let middle = if broke { cross } else { dash };
    let text = match lane {
        Lane::Packet(Some((Side::Client, true))) => {
            format!("client {dash}{middle}{} server", layout.mark("▶", ">"))
        }
        Lane::Packet(Some((Side::Server, true))) => {
            format!("client {}{middle}{dash} server", layout.mark("◀", "<"))
        }
        Lane::Packet(Some((side, false))) => {
            let lost = if broke { cross } else { layout.mark("×", "x") };
            match side {
                Side::Client => format!("client {dash}{lost}  server"),
                Side::Server => format!("client  {lost}{dash} server"),
            }
        }
        Lane::Packet(None) => format!("client {dash}{middle}{dash} server"),
        Lane::LogOf(side) => format!("{} log of the {}", dot(broke, layout), side.name()),
        Lane::Other(_) => format!("{} another log", dot(broke, layout)),
    };
    if broke { layout.paint(Paint::Failure, &text) } else { text }
}

fn dot(broke: bool, layout: Layout<'_>) -> &'static str {
    if broke { layout.mark("✗", "X") } else { layout.mark("●", "*") }
}

/// With its sign: what a clock that is off by a little tells may lie before the start.
pub(super) fn signed(ns: i64) -> String {
    if ns < 0 { spoken(ns) } else { format!("+{}", spoken(ns)) }
}

/// A sentence without the end that the arrow shows.
fn says(row: &Row<'_>) -> String {
    let text = row.says.clone();
    match &row.lane {
        Lane::Packet(Some((side, _))) => {
            let name = side.name();
            text.strip_prefix(name)
                .and_then(|rest| rest.strip_prefix(' '))
                .map_or(text.clone(), str::to_owned)
        }
        Lane::Other(host) => format!("{host}: {text}"),
        Lane::Packet(None) | Lane::LogOf(_) => text,
    }
}

/// Lines beyond the limit are left out, and that is shown.
fn cut(lines: &mut Vec<String>, room: usize, layout: Layout<'_>) {
    if lines.len() <= LINES_MAX {
        return;
    }
    lines.truncate(LINES_MAX);
    let mark = layout.mark("…", "...");
    if let Some(last) = lines.last_mut() {
        while columns(last) + columns(mark) > room && last.pop().is_some() {}
        last.push_str(mark);
    }
}

fn idle(layout: Layout<'_>) -> String {
    let bar = layout.mark("│", "|");
    format!("  {bar}{:BETWEEN$}{bar}  ", "")
}

fn lane(lane: &Lane, broke: bool, layout: Layout<'_>) -> String {
    let (bar, dash, dot) = (layout.mark("│", "|"), layout.mark("─", "-"), layout.mark("●", "*"));
    let between = match lane {
        Lane::Packet(Some((side, arrives))) => arrow(*side, *arrives, broke, layout),
        Lane::Packet(None) if broke => crossed(&dash.repeat(BETWEEN), layout),
        Lane::Packet(None) => dash.repeat(BETWEEN),
        Lane::LogOf(_) | Lane::Other(_) => " ".repeat(BETWEEN),
    };
    let between = match (lane, broke) {
        (Lane::Packet(_), true) => layout.paint(Paint::Failure, &between),
        _ => between,
    };
    let cross = layout.mark("✗", "X");
    let dot = if broke { layout.paint(Paint::Failure, cross) } else { layout.paint(Paint::Log, dot) };
    match lane {
        Lane::Packet(_) => format!("  {bar}{between}{bar}  "),
        Lane::LogOf(Side::Client) => format!("  {dot}{between}{bar}  "),
        Lane::LogOf(Side::Server) => format!("  {bar}{between}{dot}  "),
        Lane::Other(_) => format!("  {bar}{between}{bar} {dot}"),
    }
}

/// What does not arrive stops on the way, and has a cross there; the break has its own in the middle of the arrow.
fn arrow(side: Side, arrives: bool, broke: bool, layout: Layout<'_>) -> String {
    if !arrives {
        let dashes = layout.mark("─", "-").repeat(LOST_AT);
        let cross = if broke { layout.mark("✗", "X") } else { layout.mark("×", "x") };
        let rest = " ".repeat(BETWEEN - LOST_AT - 1);
        return match side {
            Side::Client => format!("{dashes}{cross}{rest}"),
            Side::Server => format!("{rest}{cross}{dashes}"),
        };
    }
    let dashes = layout.mark("─", "-").repeat(BETWEEN - 1);
    let shaft = match side {
        Side::Client => format!("{dashes}{}", layout.mark("▶", ">")),
        Side::Server => format!("{}{dashes}", layout.mark("◀", "<")),
    };
    if broke { crossed(&shaft, layout) } else { shaft }
}

/// With the mark of the break in the middle.
fn crossed(shaft: &str, layout: Layout<'_>) -> String {
    let cross = layout.mark("✗", "X");
    let middle = BETWEEN / 2;
    shaft
        .chars()
        .enumerate()
        .map(|(index, c)| if index == middle { cross.to_owned() } else { c.to_string() })
        .collect()
}

/// Every row in order of time. What several captures saw of one packet is one row.
fn rows<'a>(analysis: &Analysis, told: &Told<'a>) -> Vec<Row<'a>> {
    let session = told.session;
    let mut rows: Vec<Row<'a>> = Vec::new();
    let mut times: BTreeMap<(u32, &str, Option<Side>), u32> = BTreeMap::new();
    let mut known: BTreeMap<(&str, Option<Side>, u32), usize> = BTreeMap::new();
    let mut opened: BTreeSet<(Step, Option<Side>, String)> = BTreeSet::new();
    for seen in &session.facts {
        let lane = lane_of(session, seen);
        let rank = rank(told, seen, &lane, &mut opened);
        let is_of_capture = matches!(
            seen.what(),
            What::CaptureEnds { .. } | What::MidStream {} | What::OneWay { .. } | What::NotCaptured { .. }
        );
        let connection = seen.fact.subject.connection().filter(|_| !is_of_capture);
        if let (Lane::Packet(sent), Some(connection)) = (&lane, connection) {
            let name = seen.what().name();
            let side = sent.map(|(side, _)| side);
            let ordinal = times.entry((connection.witness_index, name, side)).or_default();
            *ordinal += 1;
            if let Some(row) = known.get(&(name, side, *ordinal)).and_then(|index| rows.get_mut(*index)) {
                row.rank = row.rank.min(rank);
                continue;
            }
            known.insert((name, side, *ordinal), rows.len());
        }
        let says = words::says_short(analysis, session, seen);
        rows.push(Row { seen, says, lane, rank });
    }
    rows
}

fn lane_of(session: &Session, seen: &Seen) -> Lane {
    let Some(keys) = seen.fact.subject.keys() else {
        let speaker = seen.what().speaker();
        return Lane::Packet(speaker.map(|side| (side, arrives(session, seen, side))));
    };
    let part = session.hosts.iter().find(|part| part.host == keys.host);
    match part.map(|part| part.role) {
        Some(Role::Client) => Lane::LogOf(Side::Client),
        Some(Role::Server) => Lane::LogOf(Side::Server),
        Some(Role::Broker | Role::Gateway | Role::DomainController) | None => {
            Lane::Other(printable(&keys.host).into_owned())
        }
    }
}

fn rank(
    told: &Told<'_>,
    seen: &Seen,
    lane: &Lane,
    opened: &mut BTreeSet<(Step, Option<Side>, String)>,
) -> Rank {
    let what = seen.what();
    let weighed = told.best().map(|best| &best.weighing);
    if weighed.is_some_and(|weighing| weighing.proofs.contains(seen) || weighing.against.contains(seen)) {
        return Rank::Decides;
    }
    let step = what.step();
    let packet = matches!(lane, Lane::Packet(_));
    if packet && step.is_some_and(|step| opened.insert((step, None, "first".to_owned()))) {
        return Rank::OpensStep;
    }
    let opens = step.is_some_and(|step| {
        let (side, host) = match lane {
            Lane::Packet(sent) => (sent.map(|(side, _)| side), String::new()),
            Lane::LogOf(side) => (Some(*side), "log".to_owned()),
            Lane::Other(host) => (None, host.clone()),
        };
        opened.insert((step, side, host))
    });
    let at_the_end = what.end().is_some()
        || matches!(what, What::Ultimatum { .. } | What::ErrorInfo { .. } | What::Alert { .. })
        || (packet && step.is_some() && step == told.session.broke_at);
    match (at_the_end, opens, packet) {
        (true, ..) => Rank::AtTheEnd,
        (false, true, true) => Rank::AnswersStep,
        (false, true, false) => Rank::LogOpensStep,
        _ => Rank::Detail,
    }
}

/// Keeps the rows that matter most, in order of time. Near the break the later rows matter more, before it the earlier.
fn keep(rows: &mut Vec<Row<'_>>, most: usize) {
    let all = rows.len();
    let mut order: Vec<usize> = (0..all).collect();
    order.sort_by_key(|index| {
        let rank = rows.get(*index).map_or(Rank::Detail, |row| row.rank);
        (rank, if rank == Rank::AtTheEnd { all - index } else { *index })
    });
    let kept: BTreeSet<usize> = order.into_iter().take(most).collect();
    let mut index = 0;
    rows.retain(|_| {
        index += 1;
        kept.contains(&(index - 1))
    });
}
