//! What the inputs are: of each what it is, whose, the time it covers, how much was read and what was lost.

use std::fmt::Write as _;

use super::safe::printable;
use super::words;
use crate::analysis::Analysis;
use crate::note::{Note, counted};
use crate::read::{Counts, Input};
use crate::session::Boots;

/// One block per input, in the order of their paths.
#[must_use]
pub fn text(analysis: &Analysis) -> String {
    let mut out = String::new();
    for (index, input) in (0_u32..).zip(&analysis.inventory.inputs) {
        one(&mut out, analysis, index, input);
    }
    let others = analysis.inventory.other_files;
    if others > 0 {
        let files = counted(others, "file that is", "files that are");
        let _ = writeln!(out, "passed over in the folders: {files} no evidence");
    }
    out
}

fn one(out: &mut String, analysis: &Analysis, index: u32, input: &Input) {
    let _ = writeln!(out, "{}", printable(&input.shown));
    let gzip = if input.gzip { ", compressed with gzip" } else { "" };
    let _ = writeln!(out, "  what    {}{gzip}, {}", input.kind.name(), counted(input.bytes, "byte", "bytes"));
    if let Some(hash) = &input.sha256 {
        let _ = writeln!(out, "  sha256  {hash}");
    }
    let whose: Vec<String> = analysis
        .witnesses
        .iter()
        .filter(|witness| witness.inputs.contains(&index))
        .map(|witness| match &witness.host {
            Some(host) => format!("host {}", printable(host)),
            None => "capture point".to_owned(),
        })
        .collect();
    if !whose.is_empty() {
        let _ = writeln!(out, "  whose   {}", whose.join(", "));
    }
    let hosts: Vec<&str> = analysis
        .witnesses
        .iter()
        .filter(|witness| witness.inputs.contains(&index))
        .filter_map(|witness| witness.host.as_deref())
        .collect();
    for host in &hosts {
        let of = if hosts.len() > 1 { format!("{}: ", printable(host)) } else { String::new() };
        if let Some(boots) = analysis.story.boots.get(*host) {
            started(out, boots, &of);
        }
    }
    let held =
        usize::try_from(index).ok().and_then(|index| analysis.counts.get(index)).and_then(Option::as_ref);
    if let Some(counts) = held {
        holds(out, counts);
    }
    for note in analysis.notes.iter().filter(|note| note.place.input_index == index) {
        noted(out, note);
    }
}

/// Starts of a host that are listed, the last ones.
const BOOTS_MAX: usize = 10;

fn started(out: &mut String, boots: &Boots, of: &str) {
    if let Some(zone) = &boots.zone {
        let _ = writeln!(out, "  zone    {of}{}", words::zone(zone));
    }
    let earlier = boots.booted.len().saturating_sub(BOOTS_MAX);
    let times: Vec<String> = boots.booted.iter().skip(earlier).map(ToString::to_string).collect();
    let more = if earlier > 0 { format!("{earlier} earlier, ") } else { String::new() };
    if !times.is_empty() {
        let _ = writeln!(out, "  booted  {of}{more}{}", times.join(", "));
    }
}

fn holds(out: &mut String, counts: &Counts) {
    let (covers, parts) = match counts {
        Counts::Capture(held) => (
            held.covers,
            vec![
                (held.packets, "packet", "packets"),
                (held.packets_cut, "of them cut", "of them cut"),
                (
                    held.packets_dropped,
                    "dropped by the capturing program",
                    "dropped by the capturing program",
                ),
                (held.packets_unreadable, "unreadable", "unreadable"),
                (held.secrets_blocks, "block of TLS secrets", "blocks of TLS secrets"),
            ],
        ),
        Counts::Log(held) => (
            held.covers,
            vec![
                (held.records, "record", "records"),
                (held.records_unreadable, "unreadable", "unreadable"),
                (held.records_missing, "missing", "missing"),
                (held.records_recovered, "recovered", "recovered"),
                (held.records_repeated, "that stands in another log, too", "that stand in another log, too"),
            ],
        ),
    };
    if let Some((from, to)) = covers {
        let _ = writeln!(out, "  covers  {from} to {to}");
    }
    let said: Vec<String> = (0..)
        .zip(&parts)
        .filter(|(place, (count, ..))| *place == 0 || *count > 0)
        .map(|(_, (count, one, many))| counted(*count, one, many))
        .collect();
    let _ = writeln!(out, "  held    {}", said.join(", "));
}

fn noted(out: &mut String, note: &Note) {
    let place = note.place.spot.to_string();
    let at = if place.is_empty() { String::new() } else { format!("{place}: ") };
    let _ = writeln!(out, "  note    {at}{}", printable(&note.text));
}
