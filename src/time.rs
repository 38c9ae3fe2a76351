//! The evidence's clock: nanoseconds since the Unix epoch, and how they are written.

use std::fmt;

/// A moment by some witness's clock, in nanoseconds since 1970-01-01T00:00:00Z, without leap seconds.
///
/// Shape: signed 64 bit, so years 1677 to 2262; anything beyond is clamped to the nearest end when read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct UnixNanos(pub i64);

impl UnixNanos {
    /// Nanoseconds from `earlier` to this moment; negative when it lies before.
    #[must_use]
    pub fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// RFC 3339, in UTC where no offset is given.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let at: jiff::Timestamp = text.parse().or_else(|_| format!("{text}Z").parse()).ok()?;
        let end = if at.as_second() < 0 { i64::MIN } else { i64::MAX };
        Some(Self(i64::try_from(at.as_nanosecond()).unwrap_or(end)))
    }

    /// The moment `ns` nanoseconds later.
    #[must_use]
    pub fn plus(self, ns: i64) -> Self {
        Self(self.0.saturating_add(ns))
    }
}

/// A time as a person types it: with an offset or `Z` it is a moment, without one it is meant in some time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Typed {
    /// A moment.
    Moment(UnixNanos),
    /// What a clock on the wall shows.
    Wall(jiff::civil::DateTime),
}

impl Typed {
    /// RFC 3339 with or without an offset; seconds may be left out.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.parse::<jiff::Timestamp>().is_ok() {
            return UnixNanos::parse(text).map(Self::Moment);
        }
        text.parse().ok().map(Self::Wall)
    }

    /// The moment that is meant in this zone. Of an hour that comes twice it is the first, of one that is skipped the time
    /// as much later.
    #[must_use]
    pub fn moment(self, zone: &Zone) -> UnixNanos {
        let wall = match self {
            Self::Moment(at) => return at,
            Self::Wall(wall) => wall,
        };
        let far = if wall.year() < 1970 { i64::MIN } else { i64::MAX };
        let zoned = wall.to_zoned(zone.0.clone()).map(|zoned| zoned.timestamp().as_nanosecond());
        UnixNanos(zoned.ok().and_then(|ns| i64::try_from(ns).ok()).unwrap_or(far))
    }
}

/// A time zone in which times are shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone(jiff::tz::TimeZone);

/// The time zone of everything but text for people.
pub static UTC: Zone = Zone(jiff::tz::TimeZone::UTC);

impl Zone {
    /// The zone of that name: of the IANA database (`Europe/Berlin`), `UTC`, `local`, or an offset such as `+02:00`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        if name.eq_ignore_ascii_case("local") {
            return jiff::tz::TimeZone::try_system().ok().map(Self);
        }
        if name.eq_ignore_ascii_case("utc") || name.eq_ignore_ascii_case("z") {
            return Some(UTC.clone());
        }
        jiff::tz::TimeZone::get(name).ok().or_else(|| offset(name)).map(Self)
    }

    /// The moment in this zone: RFC 3339 with microseconds, and with the offset, or `Z` in UTC.
    #[must_use]
    pub fn shown(&self, at: UnixNanos) -> String {
        match jiff::Timestamp::from_nanosecond(i128::from(at.0)) {
            Ok(time) if *self != UTC => {
                let zoned = time.to_zoned(self.0.clone());
                zoned.strftime("%Y-%m-%dT%H:%M:%S.%6f%:z").to_string()
            }
            _ => at.to_string(),
        }
    }
}

impl Zone {
    /// The same without what is finer than a second, where many times stand together.
    #[must_use]
    pub fn to_second(&self, at: UnixNanos) -> String {
        let whole = self.shown(at);
        let fraction = whole.find('.').and_then(|dot| Some((whole.get(..dot)?, whole.get(dot + 7..)?)));
        fraction.map_or_else(|| whole.clone(), |(before, behind)| format!("{before}{behind}"))
    }

    /// From when to when: of an end on the same day only the time.
    #[must_use]
    pub fn span(&self, from: UnixNanos, until: UnixNanos) -> String {
        let (from, until) = (self.to_second(from), self.to_second(until));
        let day = |text: &str| text.split_once('T').map(|(day, time)| (day.to_owned(), time.to_owned()));
        match (day(&from), day(&until)) {
            _ if from == until => from,
            (Some((first, _)), Some((last, time))) if first == last => format!("{from} to {time}"),
            _ => format!("{from} to {until}"),
        }
    }
}

/// `+02:00` or `-0330`.
fn offset(text: &str) -> Option<jiff::tz::TimeZone> {
    let (sign, digits) = text.strip_prefix('+').map(|rest| (1, rest)).or_else(|| {
        let rest = text.strip_prefix('-')?;
        Some((-1, rest))
    })?;
    let digits = digits.replacen(':', "", 1);
    let is_whole = digits.len() == 4 && digits.bytes().all(|byte| byte.is_ascii_digit());
    let (hours, minutes) = is_whole.then(|| digits.split_at(2))?;
    let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
    if minutes > 59 {
        return None;
    }
    jiff::tz::Offset::from_seconds(sign * (hours * 3_600 + minutes * 60)).ok().map(jiff::tz::TimeZone::fixed)
}

/// A stretch of time; open where an end is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stretch {
    /// The first moment in it.
    pub from: Option<UnixNanos>,
    /// The last moment in it.
    pub until: Option<UnixNanos>,
}

impl Stretch {
    /// The moment lies in it.
    #[must_use]
    pub fn holds(&self, at: UnixNanos) -> bool {
        self.from.is_none_or(|from| from <= at) && self.until.is_none_or(|until| at <= until)
    }
}

/// RFC 3339 in UTC with microseconds, for instance `2026-11-20T10:00:00.000123Z`; what is finer is cut off towards the past.
impl fmt::Display for UnixNanos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(str::from_utf8(&self.digits()).unwrap_or_default())
    }
}

impl UnixNanos {
    /// The text as `Display` has it: ASCII.
    pub(crate) fn digits(self) -> [u8; 27] {
        let micros = self.0.div_euclid(1_000);
        let (seconds, micros) = (micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000));
        let (days, seconds) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        let days = u64::try_from(days.saturating_add(DAYS_1601_TO_1970)).unwrap_or(0);
        let (year, month, day) = date(days);
        let small = |number: i64| u32::try_from(number).unwrap_or(0);
        let ([y0, y1], [y2, y3]) = (two(year / 100), two(year % 100));
        let ([m0, m1], [d0, d1]) = (two(month), two(day));
        let (seconds, micros) = (small(seconds), small(micros));
        let ([h0, h1], [n0, n1], [s0, s1]) =
            (two(seconds / 3_600), two(seconds / 60 % 60), two(seconds % 60));
        let ([u0, u1], [u2, u3], [u4, u5]) =
            (two(micros / 10_000), two(micros / 100 % 100), two(micros % 100));
        [
            y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1, b'T', h0, h1, b':', n0, n1, b':', s0, s1, b'.', u0,
            u1, u2, u3, u4, u5, b'Z',
        ]
    }
}

/// The two digits of a number below 100.
fn two(number: impl TryInto<u8>) -> [u8; 2] {
    let number = number.try_into().unwrap_or(0);
    [b'0' + number / 10 % 10, b'0' + number % 10]
}

/// Days from 1601-01-01 to 1970-01-01.
const DAYS_1601_TO_1970: i64 = 134_774;

/// Year, month and day, so many days after 1601-01-01: years begin with March here, so that a leap day is the last.
pub(crate) const fn date(days: u64) -> (u64, u64, u64) {
    // Days from 0000-03-01 to 1601-01-01.
    let days = days.saturating_add(584_694);
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, later) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year + later, month, day)
}

/// A length of time as people read it: `420 µs`, `12.3 ms`, `1.06 s`, `4 min 5 s`.
#[must_use]
pub fn spoken(ns: i64) -> String {
    let sign = if ns < 0 { "-" } else { "" };
    let ns = ns.unsigned_abs();
    let (ms, s) = (ns / 1_000_000, ns / 1_000_000_000);
    match ns {
        0..1_000_000 => format!("{sign}{} µs", ns / 1_000),
        1_000_000..1_000_000_000 => format!("{sign}{ms}.{} ms", (ns / 100_000) % 10),
        1_000_000_000..60_000_000_000 => format!("{sign}{s}.{:02} s", (ns / 10_000_000) % 100),
        _ if s < 3_600 => format!("{sign}{} min {} s", s / 60, s % 60),
        _ => format!("{sign}{} h {} min", s / 3_600, (s / 60) % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_with_microseconds() {
        assert_eq!(UnixNanos(1_500_000_123_456_789).to_string(), "1970-01-18T08:40:00.123456Z");
    }

    #[test]
    fn times_are_written_as_the_package_for_times_writes_them() {
        let mut random = 1_u64;
        let mut all = vec![0, -1, 1, -999, -1_000, -1_001, -86_400_000_000_000, i64::MIN, i64::MAX];
        for _ in 0..20_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            all.push((random ^ (random >> 29)).cast_signed());
        }
        let day = 86_400_000_000_000_i64;
        all.extend((-106_000..106_000).map(|days| days * day));
        all.extend((-106_000..106_000).map(|days| days * day - 1));
        for ns in all {
            let kept = jiff::Timestamp::from_nanosecond(ns.into()).unwrap();
            assert_eq!(UnixNanos(ns).to_string(), format!("{kept:.6}"), "{ns}");
        }
    }

    #[test]
    fn times_are_read_with_and_without_an_offset() {
        let at = Some(UnixNanos(1_639_650_332_351_835_800));
        assert_eq!(UnixNanos::parse(" 2021-12-16T10:25:32.351835800Z "), at);
        assert_eq!(UnixNanos::parse("2021-12-16T10:25:32.3518358"), at);
        assert_eq!(UnixNanos::parse("2021-12-16T11:25:32.3518358+01:00"), at);
        assert_eq!(UnixNanos::parse("0001-01-01T00:00:00Z"), Some(UnixNanos(i64::MIN)));
        assert_eq!(UnixNanos::parse("yesterday"), None);
    }

    #[test]
    fn a_time_without_an_offset_is_meant_in_a_zone() {
        let berlin = Zone::named("Europe/Berlin").unwrap();
        let meant = |text: &str, zone: &Zone| Typed::parse(text).map(|typed| typed.moment(zone).to_string());
        for text in ["2026-11-22T10:12", "2026-11-22 10:12:00", "2026-11-22T10:12:00.000"] {
            assert_eq!(meant(text, &berlin).as_deref(), Some("2026-11-22T09:12:00.000000Z"), "{text}");
            assert_eq!(meant(text, &UTC).as_deref(), Some("2026-11-22T10:12:00.000000Z"), "{text}");
        }
        for text in ["2026-11-22T09:12Z", "2026-11-22T04:12:00-05:00"] {
            assert_eq!(meant(text, &berlin).as_deref(), Some("2026-11-22T09:12:00.000000Z"), "{text}");
        }
        // 02:30 comes twice on 25 October and never on 29 March.
        assert_eq!(meant("2026-10-25T02:30", &berlin).as_deref(), Some("2026-10-25T00:30:00.000000Z"));
        assert_eq!(meant("2026-03-29T02:30", &berlin).as_deref(), Some("2026-03-29T01:30:00.000000Z"));
        for wrong in ["yesterday", "", "10:12", "2026-13-01T00:00"] {
            assert_eq!(Typed::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn zones_change_with_the_season() {
        let berlin = Zone::named("Europe/Berlin").unwrap();
        let shown = |text: &str| berlin.shown(UnixNanos::parse(text).unwrap());
        // Clocks go back at 01:00 UTC on 25 October 2026: the hour from 02:00 on comes twice.
        assert_eq!(shown("2026-10-25T00:30:00.5Z"), "2026-10-25T02:30:00.500000+02:00");
        assert_eq!(shown("2026-10-25T01:30:00Z"), "2026-10-25T02:30:00.000000+01:00");
        // And forward at 01:00 UTC on 29 March: no 02:30.
        assert_eq!(shown("2026-03-29T00:59:59Z"), "2026-03-29T01:59:59.000000+01:00");
        assert_eq!(shown("2026-03-29T01:00:00Z"), "2026-03-29T03:00:00.000000+02:00");
        let at = UnixNanos::parse("2026-11-20T10:00:00.000123Z").unwrap();
        let named = |name: &str| Zone::named(name).map(|zone| zone.shown(at));
        assert_eq!(named("UTC").unwrap(), at.to_string());
        assert_eq!(named("-03:30").unwrap(), "2026-11-20T06:30:00.000123-03:30");
        assert_eq!(named("+0545"), named("Asia/Kathmandu"));
        for wrong in ["Europe/Nowhere", "", "+1", "+99:00", "+02:61", "CEST?"] {
            assert_eq!(named(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn spans_name_a_day_once() {
        let at = |text: &str| UnixNanos::parse(text).unwrap();
        let (from, until) = (at("2026-11-20T10:00:00.9Z"), at("2026-11-20T23:30:01Z"));
        assert_eq!(UTC.span(from, until), "2026-11-20T10:00:00Z to 23:30:01Z");
        assert_eq!(UTC.span(from, from), "2026-11-20T10:00:00Z");
        let berlin = Zone::named("Europe/Berlin").unwrap();
        assert_eq!(berlin.span(from, until), "2026-11-20T11:00:00+01:00 to 2026-11-21T00:30:01+01:00");
    }

    #[test]
    fn a_stretch_holds_both_its_ends() {
        let stretch = Stretch { from: Some(UnixNanos(5)), until: Some(UnixNanos(7)) };
        let held: Vec<i64> = (4..9).filter(|at| stretch.holds(UnixNanos(*at))).collect();
        assert_eq!(held, [5, 6, 7]);
        assert!(Stretch::default().holds(UnixNanos(i64::MIN)));
    }

    #[test]
    fn lengths_of_time() {
        let said: Vec<String> =
            [900, 12_340_000, -1_060_000_000, 245_000_000_000, 7_260_000_000_000].map(spoken).to_vec();
        assert_eq!(said, ["0 µs", "12.3 ms", "-1.06 s", "4 min 5 s", "2 h 1 min"]);
    }
}
