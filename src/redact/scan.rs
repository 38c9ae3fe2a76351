//! Text taken apart into labels, addresses and identifiers, and put together again with their pseudonyms.

use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};

use data_encoding::BASE64_NOPAD;

use super::common::is_common;
use super::fields::Kind;
use super::{Redaction, grammar, times, words};
use crate::diagnosis::INSPECTORS;
use crate::fact::Rewrite;

/// What stands around a run of characters.
#[derive(Clone, Copy)]
struct At {
    before: Option<char>,
    after: Option<char>,
}

/// The text with pseudonyms in place of what it names.
pub(super) fn scan(text: &str, kind: Kind, by: &mut Redaction) -> String {
    match kind {
        Kind::Banner => banner(text, by),
        Kind::Free if text.contains('=') => keyed(text, by),
        Kind::Free | Kind::Remark => timed(text, kind, by),
        _ => plain(text, kind, by),
    }
}

/// The first bytes of a program, or its first line.
fn banner(text: &str, by: &mut Redaction) -> String {
    if let Some(bytes) = grammar::dump(text) {
        let texts = grammar::texts(&bytes, |text| by.knows(text));
        let named =
            texts.into_iter().filter(|(_, text)| scan(text, Kind::Free, by) != *text || by.knows(text));
        let hidden: Vec<usize> = named.flat_map(|(places, _)| places).collect();
        return grammar::masked(&bytes, &hidden);
    }
    match grammar::ssh_banner(text) {
        Some((protocol, software)) => format!("{protocol}{}", timed(software, Kind::Banner, by)),
        None => timed(text, Kind::Banner, by),
    }
}

/// Times are moved as all others are; what stands between them is taken apart.
fn timed(text: &str, kind: Kind, by: &mut Redaction) -> String {
    let mut out = String::new();
    let mut done = 0;
    for found in times::all(text, by.redact.map.shift_ns) {
        if !by.names.is_written(text.get(found.start..found.end).unwrap_or_default()) {
            out.push_str(&plain(text.get(done..found.start).unwrap_or_default(), kind, by));
            out.push_str(&found.told);
            done = found.end;
        }
    }
    out + &plain(text.get(done..).unwrap_or_default(), kind, by)
}

fn plain(text: &str, kind: Kind, by: &mut Redaction) -> String {
    let mut out = String::new();
    let mut rest = text;
    let mut before = None;
    while !rest.is_empty() {
        let end = rest.find(is_divider).unwrap_or(rest.len());
        let (segment, behind) = rest.split_at(end);
        let after = behind.chars().next();
        let kind = if kind == Kind::User && before == Some('@') { Kind::Name } else { kind };
        if words::is_well_known(segment.trim()) {
            by.names.meet(segment.trim());
            out.push_str(segment);
        } else {
            scan_segment(segment, At { before, after }, kind, by, &mut out);
        }
        out.extend(after);
        before = after;
        rest = behind.get(after.map_or(0, char::len_utf8)..).unwrap_or("");
    }
    if matches!(kind, Kind::Name | Kind::User) {
        by.names.learn_written(text, &out);
    }
    out
}

/// Whom the issuer of a certificate names; a product that opens TLS is no one.
pub(super) fn scan_issuer(text: &str, by: &mut Redaction) -> String {
    let found = INSPECTORS.iter().filter_map(|product| Some((text.find(product)?, product.len()))).min();
    let Some((start, length)) = found else { return scan(text, Kind::Name, by) };
    let (before, rest) = text.split_at(start);
    let (product, behind) = rest.split_at(length);
    format!("{}{product}{}", scan(before, Kind::Name, by), scan_issuer(behind, by))
}

/// `Key=value, Key=value`: what the key says is a name or the number of a time, is one.
fn keyed(text: &str, by: &mut Redaction) -> String {
    let told: Vec<String> = text.split(", ").map(|part| pair(part, by)).collect();
    told.join(", ")
}

fn pair(part: &str, by: &mut Redaction) -> String {
    let Some((before, value)) = part.split_once('=') else { return scan(part, Kind::Free, by) };
    let start = before.rfind(|c| !is_of_key(c)).map_or(0, |at| at + 1);
    // The character before a key may have more than one byte.
    let (head, key) = before.split_at_checked(start).unwrap_or((before, ""));
    let is_name = by.knows_part(key) || hidden(key).is_some_and(|text| by.knows_part(&text));
    if is_name || !is_key(key) {
        return format!("{}={}", timed(before, Kind::Free, by), scan(value, Kind::Free, by));
    }
    let head = timed(head, Kind::Free, by);
    if words::is_key_of_name(key) {
        return format!("{head}{key}={}", scan(value, Kind::Name, by));
    }
    let (first, rest) = value.split_at(value.find(char::is_whitespace).unwrap_or(value.len()));
    let is_time = words::is_key_of_time(key) && !by.knows(first);
    let time = if is_time { times::of_number(first, by.redact.map.shift_ns) } else { None };
    match time {
        Some(time) => format!("{head}{key}={time}{}", scan(rest, Kind::Free, by)),
        None => format!("{head}{key}={}", scan(value, Kind::Free, by)),
    }
}

/// What a word of Base64 says; its `=` looks as the end of a key does.
fn hidden(word: &str) -> Option<String> {
    let bytes = BASE64_NOPAD.decode(word.as_bytes()).ok()?;
    String::from_utf8(bytes).ok()
}

const fn is_of_key(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '/' | '@' | '_' | '.' | '-')
}

/// The name of a field: it begins with a letter, and has one number at most, which Base64 has not.
fn is_key(text: &str) -> bool {
    let numbers = text.split(|c: char| !c.is_ascii_digit()).filter(|number| !number.is_empty()).count();
    text.starts_with(|c: char| c.is_ascii_alphabetic()) && numbers <= 1 && text.chars().all(is_of_key)
}

const fn is_divider(c: char) -> bool {
    matches!(c, '\\' | '/' | '@' | ',' | '=')
}

fn is_of_run(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':') || (!c.is_ascii() && !c.is_whitespace())
}

fn scan_segment(segment: &str, at: At, kind: Kind, by: &mut Redaction, out: &mut String) {
    let (mut rest, mut before) = (segment, at.before);
    while let Some(first) = rest.chars().next() {
        if let Some(end) = of_program(rest, before, kind, by) {
            let (version, behind) = rest.split_at(end);
            out.push_str(version);
            before = version.chars().next_back();
            rest = behind;
            continue;
        }
        let end = rest.find(|c| is_of_run(c) != is_of_run(first)).unwrap_or(rest.len());
        let (run, behind) = rest.split_at(end);
        if is_of_run(first) {
            let after = behind.chars().next().or(at.after);
            scan_run(run, At { before, after }, kind, by, out);
        } else {
            out.push_str(run);
        }
        before = run.chars().next_back();
        rest = behind;
    }
}

/// How long the product or version is that begins here; its `+` and `~` stand in no name.
fn of_program(rest: &str, before: Option<char>, kind: Kind, by: &Redaction) -> Option<usize> {
    let is_word = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | ':' | '$' | '%' | '#');
    if !matches!(kind, Kind::Free | Kind::Banner) || before.is_some_and(is_word) {
        return None;
    }
    let end = rest.find(|c| !is_of_run(c) && !matches!(c, '+' | '~')).unwrap_or(rest.len());
    let whole = rest.get(..end)?.trim_end_matches(['.', ':', '+', '~']);
    let is_version = whole.contains('.') && grammar::is_version(whole);
    let is_either = is_version || grammar::is_product_version(whole, kind == Kind::Banner);
    (is_either && inner(whole).is_none() && !by.knows_part(whole)).then_some(whole.len())
}

fn scan_run(run: &str, at: At, kind: Kind, by: &mut Redaction, out: &mut String) {
    if let Some(given) = special(run, kind, by) {
        out.push_str(&given);
        return;
    }
    let bare = run.trim_end_matches(['.', ':']);
    if bare.len() < run.len()
        && !bare.is_empty()
        && let Some(given) = special(bare, kind, by)
    {
        out.push_str(&given);
        out.push_str(run.get(bare.len()..).unwrap_or_default());
        return;
    }
    if let Some((front, back)) = run.split_once('-')
        && run.split('-').any(|part| part.parse::<IpAddr>().is_ok())
    {
        scan_run(front, At { after: Some('-'), ..at }, kind, by, out);
        out.push('-');
        scan_run(back, At { before: Some('-'), ..at }, kind, by, out);
        return;
    }
    if let Some((start, end)) = inner(run) {
        let (front, address) = run.split_at(start);
        let (address, back) = address.split_at(end - start);
        scan_run(front, At { after: Some('.'), ..at }, kind, by, out);
        out.push_str(&special(address, kind, by).unwrap_or_default());
        scan_run(back, At { before: Some('.'), ..at }, kind, by, out);
        return;
    }
    let is_program = matches!(kind, Kind::Free | Kind::Banner);
    if is_program && grammar::is_code_name(run, at.after) && !by.knows_part(run) {
        out.push_str(run);
        return;
    }
    let is_file = is_program_file(run);
    let is_host = is_program && !is_file && is_host(run, by);
    let mut before = at.before;
    let mut rest = run;
    while !rest.is_empty() {
        let end = rest.find(['.', ':']).unwrap_or(rest.len());
        let (label, behind) = rest.split_at(end);
        let after = behind.chars().next();
        if !label.is_empty() {
            let here = At { before, after: after.or(at.after) };
            let is_last = before == Some('.') && after.is_none_or(|c| c == ':' || behind.len() == 1);
            let is_of_host =
                is_host && label.contains(|c: char| c.is_alphabetic()) && !words::is_well_known(label);
            let stands = match is_of_host {
                true => is_last && words::is_top_level(label),
                false => stays(label, here, (is_last, is_file), kind, by),
            };
            if stands {
                out.push_str(label);
            } else {
                out.push_str(&by.label(label, matches!(kind, Kind::Name | Kind::User)));
            }
        }
        out.extend(after);
        before = after;
        rest = behind.get(after.map_or(0, char::len_utf8)..).unwrap_or("");
    }
}

/// A label that tells nobody's name.
fn stays(label: &str, at: At, (is_last, is_file): (bool, bool), kind: Kind, by: &Redaction) -> bool {
    let is_number = label.chars().all(|c| c.is_ascii_digit());
    let is_nothing = label.chars().all(|c| matches!(c, '-' | '_'));
    if words::is_well_known(label) || is_nothing || (is_number && at.before == Some('%')) {
        return true;
    }
    match kind {
        Kind::Name | Kind::User => {
            (at.after == Some('=') && words::is_attribute(label))
                || (at.after == Some('/') && words::is_service(label))
                || (is_number && matches!(at.before, Some(':' | '%' | '#')))
                || (label.starts_with('_') && (at.after == Some('.') || at.before == Some('.')))
                || (is_last && kind == Kind::Name && words::is_top_level(label))
        }
        Kind::Remark => !by.knows(label) || words::is_own(label),
        _ => {
            let is_hex =
                label.strip_prefix("0x").is_some_and(|hex| hex.chars().all(|c| c.is_ascii_hexdigit()));
            let known = by.knows(label);
            let is_told = || words::is_own(label) || is_common(label);
            let is_code = || {
                grammar::is_bare_code(label) || grammar::is_update_number(label) || grammar::is_month(label)
            };
            (is_number && (label.len() < 4 || !known))
                || is_hex
                || (!known && (is_file || is_told() || is_code()))
        }
    }
}

/// Labels between points of which one is no word of programs: a host's name, in which every word is part of the name.
fn is_host(run: &str, by: &Redaction) -> bool {
    let is_alien = |label: &str| {
        let is_number = label.chars().all(|c| c.is_ascii_digit());
        !is_number && (by.knows(label) || !(words::is_own(label) || is_common(label)))
    };
    run.split(':').any(|part| {
        let labels: Vec<&str> = part.split('.').filter(|label| !label.is_empty()).collect();
        labels.len() > 1 && labels.into_iter().any(is_alien)
    })
}

fn is_program_file(run: &str) -> bool {
    let end = run.trim_end_matches(['.', ':']).rsplit_once('.').map(|(_, end)| end.to_ascii_lowercase());
    end.is_some_and(|end| ["exe", "dll", "sys", "cpp", "mui", "drv", "ocx"].contains(&end.as_str()))
}

/// Addresses, with or without a port, and identifiers.
fn special(run: &str, kind: Kind, by: &mut Redaction) -> Option<String> {
    if let Ok(address) = run.parse::<IpAddr>() {
        return Some(by.address(address).to_string());
    }
    if let Ok(end) = run.parse::<SocketAddrV4>() {
        return Some(format!("{}:{}", by.address(IpAddr::V4(*end.ip())), end.port()));
    }
    if is_sid(run) {
        return Some(if words::is_well_known_sid(run) { run.to_owned() } else { by.names.sid(run) });
    }
    if let Some(name) = run.to_ascii_lowercase().strip_suffix(".in-addr.arpa") {
        return reverse(name, by);
    }
    let is_identifier = is_guid(run) || is_mac(run) || is_long_hex(run);
    (is_identifier && kind != Kind::Remark).then(|| by.names.identifier(run))
}

/// Where in a run an address stands among other things: `Client:10.0.0.5`, `10.0.0.1-10.0.0.9`, `10.0.0.5.`.
fn inner(run: &str) -> Option<(usize, usize)> {
    let mut from = 0;
    while let Some(start) = run.get(from..)?.find(|c: char| c.is_ascii_digit()).map(|at| at + from) {
        let rest = run.get(start..)?;
        let length = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let address = rest.get(..length)?.trim_end_matches('.');
        let before = run.get(..start)?;
        // `v10.1.2.3` may be a version, and may be an address.
        let before = before.strip_suffix(['v', 'V']).unwrap_or(before);
        let alone = !before.ends_with(char::is_alphanumeric);
        if alone && address.parse::<Ipv4Addr>().is_ok() {
            return Some((start, start + address.len()));
        }
        from = start + length.max(1);
    }
    // `Client:fe80::1`.
    let mut starts = run.match_indices(':').map(|(at, _)| at + 1);
    let start = starts.find(|start| run.get(*start..).is_some_and(|end| end.parse::<IpAddr>().is_ok()));
    start.map(|start| (start, run.len()))
}

/// The name under which an address is looked up (RFC 1035 3.5).
fn reverse(name: &str, by: &mut Redaction) -> Option<String> {
    let turned: Vec<&str> = name.rsplit('.').collect();
    let address: Ipv4Addr = turned.join(".").parse().ok()?;
    let given = by.address(address.into()).to_string();
    Some(format!("{}.in-addr.arpa", given.rsplit('.').collect::<Vec<&str>>().join(".")))
}

fn is_sid(run: &str) -> bool {
    run.strip_prefix("S-1-")
        .is_some_and(|rest| rest.contains('-') && rest.chars().all(|c| c == '-' || c.is_ascii_digit()))
}

pub(super) fn is_guid(run: &str) -> bool {
    let parts: Vec<&str> = run.split('-').collect();
    let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    lengths == [8, 4, 4, 4, 12] && parts.iter().all(|part| part.chars().all(|c| c.is_ascii_hexdigit()))
}

pub(super) fn is_mac(run: &str) -> bool {
    [':', '-'].iter().any(|between| {
        let parts: Vec<&str> = run.split(*between).collect();
        parts.len() == 6
            && parts.iter().all(|part| part.len() == 2 && part.chars().all(|c| c.is_ascii_hexdigit()))
    })
}

fn is_long_hex(run: &str) -> bool {
    run.len() >= 24 && run.chars().all(|c| c.is_ascii_hexdigit())
}
