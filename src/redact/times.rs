//! Times in texts of the evidence: found by their form, and moved with all others when times are shifted.

use jiff::SignedDuration;
use jiff::civil::{Date, DateTime, Time};

use crate::time::UnixNanos;

/// Between 1601, where the times of Windows begin, and 1970, in units of 100 ns.
const FILETIME_EPOCH: i64 = 116_444_736_000_000_000;
/// Seconds since 1970 that are a time: of the years 2000 to 2099.
const SECONDS: std::ops::Range<i64> = 946_684_800..4_102_444_800;
/// What may stand between a date and a time of day that belong together.
const BETWEEN: &[&str] = &["T", " ", ", ", " at ", " on "];

/// The moment `ns` later. What stands where no time is, or lies beyond what can be told, stays.
pub(super) const fn shifted(at: UnixNanos, ns: i64) -> UnixNanos {
    match at.0 {
        0 | i64::MIN | i64::MAX => at,
        known => UnixNanos(known.saturating_add(ns)),
    }
}

/// Where in a text a time stands, in bytes, and how it reads some nanoseconds later.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) told: String,
}

/// The dates, times of day, or both, that no letter, no digit and no part of a name stands beside, in their order. Dates are of
/// ISO 8601, `22.11.2026`, and `11/22/2026`, which `AM` and `PM` or a number above 12 tell from `22/11/2026`; one of which that
/// cannot be told becomes zeros where times are shifted. A time of day alone moves around the clock, a date alone as its noon
/// does.
pub(super) fn all(text: &str, ns: i64) -> Vec<Found> {
    // The marks around dates that event 6008 has.
    let chars: Vec<(usize, char)> =
        text.char_indices().filter(|(_, c)| !matches!(c, '\u{200e}' | '\u{200f}')).collect();
    let place = |index: usize| chars.get(index).map_or(text.len(), |(place, _)| *place);
    let mut found = Vec::new();
    let (mut index, mut is_beside) = (0, false);
    while let Some((_, c)) = chars.get(index) {
        let mut at = Reading { chars: &chars, index };
        if c.is_ascii_digit()
            && !is_beside
            && let Some(moment) = Moment::read(&mut at)
            && at.is_at_end()
            && at.index > index
        {
            let (start, end) = (place(index), place(at.index - 1) + 1);
            let told = match ns {
                0 => text.get(start..end).unwrap_or_default().to_owned(),
                _ => moment.told(ns),
            };
            found.push(Found { start, end, told });
            (index, is_beside) = (at.index, false);
            continue;
        }
        is_beside = c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | ':' | '/' | '\\' | '@' | '+' | '$');
        index += 1;
    }
    found
}

/// The number of a time, as the fields of events have it: FILETIME, or seconds, milliseconds or microseconds since 1970.
pub(super) fn of_number(text: &str, ns: i64) -> Option<String> {
    let number: i64 = match text.strip_prefix("0x") {
        // A FILETIME of our years has 15 digits.
        Some(hex) if (15..=16).contains(&hex.len()) => i64::from_str_radix(hex, 16).ok()?,
        Some(_) => return None,
        None if text.chars().all(|c| c.is_ascii_digit()) => text.parse().ok()?,
        None => return None,
    };
    let is_since = |number: i64, per_second: i64| SECONDS.contains(&number.div_euclid(per_second));
    let ticks_per_second = if is_since(number.checked_sub(FILETIME_EPOCH)?, 10_000_000) {
        10_000_000
    } else {
        *[1, 1_000, 1_000_000].iter().find(|per_second| is_since(number, **per_second))?
    };
    let later = number.checked_add(ns / (1_000_000_000 / ticks_per_second))?;
    Some(match text.starts_with("0x") {
        true => format!("{later:#x}"),
        false => later.to_string(),
    })
}

/// A place in a text.
#[derive(Clone, Copy)]
struct Reading<'t> {
    chars: &'t [(usize, char)],
    index: usize,
}

impl Reading<'_> {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.index).map(|(_, c)| *c)
    }

    fn take(&mut self, wanted: impl Fn(char) -> bool) -> Option<char> {
        let found = self.peek().filter(|c| wanted(*c))?;
        self.index += 1;
        Some(found)
    }

    fn word(&mut self, word: &str) -> Option<()> {
        let mut on = *self;
        for wanted in word.chars() {
            on.take(|c| c == wanted)?;
        }
        *self = on;
        Some(())
    }

    fn digits(&mut self, least: usize, most: usize) -> Option<String> {
        let mut digits = String::new();
        while let Some(digit) = self.take(|c| c.is_ascii_digit()) {
            digits.push(digit);
        }
        (least..=most).contains(&digits.len()).then_some(digits)
    }

    /// Nothing that a time is only a part of goes on here.
    fn is_at_end(&self) -> bool {
        let behind = |on: usize| self.chars.get(self.index + on).map(|(_, c)| *c);
        let is_of_it = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '/' | '\\' | '@' | '+' | '$');
        match behind(0) {
            Some('.' | ':') => !behind(1).is_some_and(is_of_it),
            Some(c) => !is_of_it(c),
            None => true,
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Order {
    YearFirst,
    DayFirst,
    MonthFirst,
    /// Nothing tells which number is the day.
    Open,
}

struct Day {
    date: Date,
    order: Order,
    between: char,
    /// Day and month have two digits each, even below 10.
    is_padded: bool,
}

impl Day {
    fn read(at: &mut Reading<'_>) -> Option<Self> {
        let first = at.digits(1, 4)?;
        let between = at.take(|c| matches!(c, '-' | '/' | '.'))?;
        let second = at.digits(1, 2)?;
        at.take(|c| c == between)?;
        let third = at.digits(1, 4)?;
        let number = |text: &str| text.parse::<i16>().ok();
        let date = |year: &str, month: &str, day: &str| {
            let part = |text: &str| text.parse::<i8>().ok();
            let date = Date::new(number(year)?, part(month)?, part(day)?).ok()?;
            (year.len() == 4 && (1_970..2_200).contains(&date.year())).then_some(date)
        };
        let is_padded = (first.len() == 2 || first.len() == 4) && second.len() == 2 && third.len() != 1;
        let (day_first, month_first) = (date(&third, &second, &first), date(&third, &first, &second));
        let (date, order) = match (date(&first, &second, &third), day_first, month_first) {
            (Some(date), ..) => (date, Order::YearFirst),
            (None, Some(date), _) if between == '.' => (date, Order::DayFirst),
            (None, Some(day_first), Some(month_first)) => {
                (day_first, if day_first == month_first { Order::DayFirst } else { Order::Open })
            }
            (None, Some(date), None) => (date, Order::DayFirst),
            (None, None, Some(date)) => (date, Order::MonthFirst),
            (None, None, None) => return None,
        };
        Some(Self { date, order, between, is_padded })
    }

    /// Beside AM or PM, the month stands first.
    fn of_the_west(self) -> Self {
        let turned = Date::new(self.date.year(), self.date.day(), self.date.month());
        match (self.order, turned) {
            (Order::Open, Ok(date)) => Self { date, order: Order::MonthFirst, ..self },
            _ => self,
        }
    }

    fn told(&self, date: Date) -> String {
        let two = |number: i8| if self.is_padded { format!("{number:02}") } else { number.to_string() };
        let (year, month, day) = (date.year().to_string(), two(date.month()), two(date.day()));
        let parts = match self.order {
            Order::YearFirst => [year, month, day],
            Order::DayFirst => [day, month, year],
            Order::MonthFirst => [month, day, year],
            Order::Open => [two(0), two(0), "0000".to_owned()],
        };
        parts.join(&self.between.to_string())
    }
}

struct Hour {
    time: Time,
    is_padded: bool,
    has_seconds: bool,
    /// Digits of the fraction.
    fraction: usize,
    /// As it stands there, with the blank before it.
    half: String,
    /// `Z` or the offset.
    zone: String,
}

impl Hour {
    fn read(at: &mut Reading<'_>) -> Option<Self> {
        let hour = at.digits(1, 2)?;
        at.take(|c| c == ':')?;
        let minute = at.digits(2, 2)?;
        let mut on = *at;
        let second = on.take(|c| c == ':').and_then(|_| on.digits(2, 2));
        let mut fraction = String::new();
        if second.is_some() {
            *at = on;
            if on.take(|c| c == '.').is_some()
                && let Some(digits) = on.digits(1, 9)
            {
                (fraction, *at) = (digits, on);
            }
        }
        let half = half(at);
        let zone = if half.is_empty() { zone(at) } else { String::new() };
        let part = |text: &str| text.parse::<i8>().ok();
        let told = part(&hour)?;
        let whole = match half.trim() {
            "" => told,
            _ if !(1..=12).contains(&told) => return None,
            half if half.starts_with(['p', 'P']) => told % 12 + 12,
            _ => told % 12,
        };
        let nanos: i32 = format!("{fraction:0<9}").parse().ok()?;
        let second_told = second.as_deref().map_or(Some(0), part)?;
        let time = Time::new(whole, part(&minute)?, second_told, nanos).ok()?;
        let (is_padded, has_seconds) = (hour.len() == 2, second.is_some());
        Some(Self { time, is_padded, has_seconds, fraction: fraction.len(), half, zone })
    }

    fn told(&self, time: Time) -> String {
        let hour = match (self.half.is_empty(), time.hour() % 12) {
            (true, _) => time.hour(),
            (false, 0) => 12,
            (false, hour) => hour,
        };
        let mut told = if self.is_padded { format!("{hour:02}") } else { hour.to_string() };
        told.push_str(&format!(":{:02}", time.minute()));
        if self.has_seconds {
            told.push_str(&format!(":{:02}", time.second()));
        }
        if self.fraction > 0 {
            told.push_str(&format!(".{:.*}", self.fraction, format!("{:09}", time.subsec_nanosecond())));
        }
        let letter = if time.hour() < 12 { 'A' } else { 'P' };
        let is_small = self.half.contains('m');
        told.extend(self.half.chars().map(|c| match c {
            'a' | 'p' | 'A' | 'P' if is_small => letter.to_ascii_lowercase(),
            'a' | 'p' | 'A' | 'P' => letter,
            other => other,
        }));
        told + &self.zone
    }
}

/// ` AM`, `pm`.
fn half(at: &mut Reading<'_>) -> String {
    let mut on = *at;
    let blank = on.take(|c| matches!(c, ' ' | '\u{202f}' | '\u{a0}'));
    let letter = on.take(|c| matches!(c, 'A' | 'P' | 'a' | 'p'));
    let last = on.take(|c| matches!(c, 'M' | 'm'));
    if letter.is_none() || last.is_none() || on.peek().is_some_and(char::is_alphanumeric) {
        return String::new();
    }
    *at = on;
    [blank, letter, last].into_iter().flatten().collect()
}

/// `Z`, `+01:00`, `-0500`.
fn zone(at: &mut Reading<'_>) -> String {
    let mut on = *at;
    if let Some(zulu) = on.take(|c| c == 'Z') {
        *at = on;
        return zulu.to_string();
    }
    let Some(sign) = on.take(|c| matches!(c, '+' | '-')) else { return String::new() };
    let mut offset = sign.to_string();
    while let Some(c) = on.take(|c| c.is_ascii_digit() || c == ':') {
        offset.push(c);
    }
    let digits = offset.chars().filter(char::is_ascii_digit).count();
    if digits != 4 {
        return String::new();
    }
    *at = on;
    offset
}

/// What was read, in the order in which it stands there.
enum Moment {
    Day(Day),
    Hour(Hour),
    DayHour(Day, &'static str, Hour),
    HourDay(Hour, &'static str, Day),
}

impl Moment {
    fn read(at: &mut Reading<'_>) -> Option<Self> {
        let mut on = *at;
        if let Some(day) = Day::read(&mut on) {
            *at = on;
            let Some((between, hour)) = behind(at, Hour::read) else { return Some(Self::Day(day)) };
            let day = if hour.half.is_empty() { day } else { day.of_the_west() };
            return Some(Self::DayHour(day, between, hour));
        }
        let hour = Hour::read(at)?;
        let Some((between, day)) = behind(at, Day::read) else { return Some(Self::Hour(hour)) };
        let day = if hour.half.is_empty() { day } else { day.of_the_west() };
        Some(Self::HourDay(hour, between, day))
    }

    fn told(&self, ns: i64) -> String {
        let later = |date: Date, time: Time| {
            let at = DateTime::from_parts(date, time);
            at.checked_add(SignedDuration::from_nanos(ns)).unwrap_or(at)
        };
        match self {
            Self::Day(day) => day.told(later(day.date, Time::constant(12, 0, 0, 0)).date()),
            Self::Hour(hour) => hour.told(later(Date::constant(2_000, 1, 1), hour.time).time()),
            Self::DayHour(day, between, hour) => {
                let later = later(day.date, hour.time);
                format!("{}{between}{}", day.told(later.date()), hour.told(later.time()))
            }
            Self::HourDay(hour, between, day) => {
                let later = later(day.date, hour.time);
                format!("{}{between}{}", hour.told(later.time()), day.told(later.date()))
            }
        }
    }
}

/// What stands behind one of the words that may lie between.
fn behind<T>(
    at: &mut Reading<'_>,
    read: impl Fn(&mut Reading<'_>) -> Option<T>,
) -> Option<(&'static str, T)> {
    BETWEEN.iter().find_map(|between| {
        let mut on = *at;
        on.word(between)?;
        let found = read(&mut on).filter(|_| on.is_at_end())?;
        *at = on;
        Some((*between, found))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600 * 1_000_000_000;

    fn first(text: &str, ns: i64) -> Option<Found> {
        all(text, ns).into_iter().next()
    }

    fn told(text: &str, ns: i64) -> String {
        match first(text, ns) {
            None => text.to_owned(),
            Some(found) => {
                let (before, behind) = (&text[..found.start], &text[found.end..]);
                format!("{before}{}{}", found.told, told(behind, ns))
            }
        }
    }

    #[test]
    fn times_keep_their_form_and_move() {
        for (text, later) in [
            ("until 2026-11-22T10:00:00Z, or so", "until 2026-11-22T11:00:00Z, or so"),
            ("2021-02-12T23:32:59.4903369Z", "2021-02-13T00:32:59.4903369Z"),
            ("(2026-11-22 10:00:00.5)", "(2026-11-22 11:00:00.5)"),
            ("2026-11-22T10:00+01:00", "2026-11-22T11:00+01:00"),
            ("at 10:03:11 on \u{200e}22.\u{200e}11.\u{200e}2026 it", "at 11:03:11 on 22.11.2026 it"),
            ("1:34:44 PM, \u{200e}8/\u{200e}25/\u{200e}2015, 934", "2:34:44 PM, 8/25/2015, 934"),
            ("8/5/2015 11:34:44 PM", "8/6/2015 12:34:44 AM"),
            ("25/08/2015 23:10:00", "26/08/2015 00:10:00"),
            ("11/22/2026.", "11/22/2026."),
            ("at 23:10:00", "at 00:10:00"),
            ("5/8/2015 23:10:00", "0/0/0000 00:10:00"),
        ] {
            assert_eq!(told(text, HOUR), later);
            assert_eq!(told(text, 0), text);
        }
        assert_eq!(told("11/22/2026", -24 * HOUR), "11/21/2026");
        assert_eq!(shifted(UnixNanos(0), HOUR), UnixNanos(0));
        assert_eq!(shifted(UnixNanos(i64::MAX), -HOUR), UnixNanos(i64::MAX));
    }

    #[test]
    fn what_is_no_time_stays() {
        for kept in [
            "10.0.20348",
            "1.2.3",
            "fe80::1",
            "10.0.0.1:3389",
            "x=1:2",
            "0x80090302",
            "RDP-Tcp#5",
            "26100.1",
            "web-2026-11-22",
            "host10:30:00",
            "2026-11-22.contoso.com",
            "10:30:00:ab",
            "99/99/2026",
        ] {
            assert_eq!(first(kept, HOUR), None, "{kept}");
        }
    }

    #[test]
    fn numbers_of_times_move_and_others_are_none() {
        assert_eq!(of_number("132571999794903369", HOUR).unwrap(), "132572035794903369");
        assert_eq!(of_number("0x1d7013a5b0a1c49", 0).unwrap(), "0x1d7013a5b0a1c49");
        assert_eq!(of_number("1613133179", HOUR).unwrap(), "1613136779");
        assert_eq!(of_number("1613133179123", HOUR).unwrap(), "1613136779123");
        for other in ["1890", "12345678", "0xc0000005", "x", "", "99999999999999999999"] {
            assert_eq!(of_number(other, HOUR), None, "{other}");
        }
    }

    #[test]
    fn times_in_a_row_are_all_found() {
        let found = all(&"1:00 ".repeat(50_000), HOUR);
        assert_eq!(found.len(), 50_000);
        assert!(found.iter().all(|one| one.end - one.start == 4 && one.told == "2:00"));
    }
}
