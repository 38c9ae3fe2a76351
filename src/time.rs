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

/// RFC 3339 in UTC with microseconds, for instance `2026-11-20T10:00:00.000123Z`.
impl fmt::Display for UnixNanos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_nanosecond(i128::from(self.0)) {
            Ok(at) => write!(f, "{at:.6}"),
            Err(_) => write!(f, "{} ns", self.0),
        }
    }
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
    fn times_are_read_with_and_without_an_offset() {
        let at = Some(UnixNanos(1_639_650_332_351_835_800));
        assert_eq!(UnixNanos::parse(" 2021-12-16T10:25:32.351835800Z "), at);
        assert_eq!(UnixNanos::parse("2021-12-16T10:25:32.3518358"), at);
        assert_eq!(UnixNanos::parse("2021-12-16T11:25:32.3518358+01:00"), at);
        assert_eq!(UnixNanos::parse("0001-01-01T00:00:00Z"), Some(UnixNanos(i64::MIN)));
        assert_eq!(UnixNanos::parse("yesterday"), None);
    }

    #[test]
    fn lengths_of_time() {
        let said: Vec<String> =
            [900, 12_340_000, -1_060_000_000, 245_000_000_000, 7_260_000_000_000].map(spoken).to_vec();
        assert_eq!(said, ["0 µs", "12.3 ms", "-1.06 s", "4 min 5 s", "2 h 1 min"]);
    }
}
