//! Times in texts of the evidence, when all times are shifted.

use crate::time::UnixNanos;

/// The moment `ns` later. What stands where no time is, or lies beyond what can be told, stays.
pub(super) const fn shifted(at: UnixNanos, ns: i64) -> UnixNanos {
    match at.0 {
        0 | i64::MIN | i64::MAX => at,
        known => UnixNanos(known.saturating_add(ns)),
    }
}

/// The text with times of RFC 3339 shifted, and other dates and times of day made zeros: in what order their numbers stand
/// nobody can tell.
pub(super) fn in_text(text: &str, ns: i64) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|c| is_of_time(c) != is_of_time(first)).unwrap_or(rest.len());
        let (run, behind) = rest.split_at(end);
        out.push_str(&match is_of_time(first) {
            true => of_run(run, ns),
            false => run.to_owned(),
        });
        rest = behind;
    }
    out
}

/// The marks around dates that event 6008 has are of them.
fn is_of_time(c: char) -> bool {
    c.is_ascii_digit() || matches!(c, '-' | '+' | ':' | '.' | '/' | 'T' | 'Z' | '\u{200e}' | '\u{200f}')
}

fn of_run(run: &str, ns: i64) -> String {
    let bare: String = run.chars().filter(|c| c.is_ascii()).collect();
    let is_long = bare.len() >= "2026-11-22T10:00:00".len() && bare.contains('T');
    if is_long && let Some(at) = UnixNanos::parse(&bare) {
        return shifted(at, ns).to_string();
    }
    if is_date(&bare) || is_clock(&bare) {
        return run.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    }
    run.to_owned()
}

fn numbers(text: &str, between: char) -> Option<Vec<u32>> {
    text.split(between).map(|part| part.parse().ok()).collect()
}

/// Three numbers, of which the first or the last is a year.
fn is_date(text: &str) -> bool {
    let text = text.trim_end_matches('.');
    ['-', '/', '.'].iter().any(|between| {
        let parts = numbers(text, *between);
        let is_year = |part: &u32| (1_970..2_200).contains(part);
        let is_day = |part: &u32| (1..=31).contains(part);
        match parts.as_deref() {
            Some([a, b, c]) => is_day(b) && ((is_year(a) && is_day(c)) || (is_day(a) && is_year(c))),
            _ => false,
        }
    })
}

fn is_clock(text: &str) -> bool {
    let whole = text.split(['.', 'Z', '+']).next().unwrap_or(text);
    let in_range = |parts: &[u32]| match parts {
        [hour, rest @ ..] => *hour < 24 && rest.iter().all(|part| *part < 60),
        [] => false,
    };
    let two_digits = whole.split(':').skip(1).all(|part| part.len() == 2);
    let parts = numbers(whole, ':').unwrap_or_default();
    matches!(parts.len(), 2 | 3) && two_digits && in_range(&parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shifted_and_other_dates_made_zeros() {
        let hour = 3_600 * 1_000_000_000;
        let told = |text: &str| in_text(text, hour);
        assert_eq!(told("until 2026-11-22T10:00:00Z, or so"), "until 2026-11-22T11:00:00.000000Z, or so");
        assert_eq!(
            told("at 10:03:11 on \u{200e}22.\u{200e}11.\u{200e}2026 it"),
            "at 00:00:00 on \u{200e}00.\u{200e}00.\u{200e}0000 it"
        );
        assert_eq!(told("11/22/2026"), "00/00/0000");
        for kept in
            ["10.0.20348", "1.2.3", "fe80::1", "10.0.0.1:3389", "x=1:2", "0x80090302", "RDP-Tcp#5", "26100.1"]
        {
            assert_eq!(told(kept), kept);
        }
        assert_eq!(shifted(UnixNanos(0), hour), UnixNanos(0));
        assert_eq!(shifted(UnixNanos(i64::MAX), -hour), UnixNanos(i64::MAX));
    }
}
