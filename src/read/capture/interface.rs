//! Interfaces of a pcapng section: link type, time resolution, drop counts.

use pcap_parser::{InterfaceDescriptionBlock, InterfaceStatisticsBlock, OptionCode, PcapNGOption};

use std::sync::Arc;

use super::super::again::Interface as Described;
use super::super::link::Link;
use crate::time::UnixNanos;

/// Bytes kept of the name and of the description of an interface.
const NAME_BYTES_MAX: usize = 256;

/// How a file counts time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::read) struct Resolution {
    ticks_per_second: u64,
    /// As `if_tsresol` writes it.
    exponent: u8,
}

impl Resolution {
    pub(super) const MICROSECONDS: Self = Self { ticks_per_second: 1_000_000, exponent: 6 };
    pub(super) const NANOSECONDS: Self = Self { ticks_per_second: 1_000_000_000, exponent: 9 };

    /// `if_tsresol`: a power of 10, or of 2 when the top bit is set (pcapng 4.2). Unusable values count as microseconds.
    fn of(exponent: u8) -> Self {
        let power = u32::from(exponent & 0x7f);
        let base: u64 = if exponent & 0x80 == 0 { 10 } else { 2 };
        let usable = |ticks_per_second| Self { ticks_per_second, exponent };
        base.checked_pow(power).map_or(Self::MICROSECONDS, usable)
    }

    pub(super) fn ticks(self, ticks: u64, offset_s: i64) -> UnixNanos {
        let ns = u128::from(ticks) * 1_000_000_000 / u128::from(self.ticks_per_second);
        let offset = i128::from(offset_s) * 1_000_000_000;
        let total = i128::try_from(ns).unwrap_or(i128::MAX).saturating_add(offset);
        UnixNanos(i64::try_from(total).unwrap_or(if total < 0 { i64::MIN } else { i64::MAX }))
    }

    /// The ticks of a moment; 0 for one before the epoch of the file.
    pub(in crate::read) fn ticks_of(self, at: UnixNanos, offset_s: i64) -> u64 {
        let ns = i128::from(at.0) - i128::from(offset_s) * 1_000_000_000;
        let ticks = u128::try_from(ns).unwrap_or(0) * u128::from(self.ticks_per_second) / 1_000_000_000;
        u64::try_from(ticks).unwrap_or(u64::MAX)
    }

    /// Seconds and a fraction as ticks.
    pub(super) fn count(self, seconds: u32, fraction: u32) -> u64 {
        u64::from(seconds).saturating_mul(self.ticks_per_second).saturating_add(u64::from(fraction))
    }

    pub(super) fn seconds_and_fraction(self, seconds: u32, fraction: u32) -> UnixNanos {
        let unit = 1_000_000_000 / i64::try_from(self.ticks_per_second).unwrap_or(1).max(1);
        UnixNanos(i64::from(seconds) * 1_000_000_000 + i64::from(fraction).saturating_mul(unit))
    }
}

/// One interface.
#[derive(Debug, Clone)]
pub(super) struct Interface {
    pub(super) link: Option<Link>,
    pub(super) link_number: i64,
    pub(super) resolution: Resolution,
    pub(super) offset_s: i64,
    pub(super) snap_length: u32,
    dropped: u64,
    described: Arc<Described>,
}

/// The interfaces of the section being read.
#[derive(Debug, Default)]
pub(super) struct Interfaces {
    list: Vec<Interface>,
    dropped_before: u64,
    pub(super) big_endian: bool,
    pub(super) legacy_link: i64,
}

/// Interfaces of one section: more is an attack on memory.
const INTERFACES_MAX: usize = 65_536;

impl Interfaces {
    /// A new section begins: its interfaces are counted anew.
    pub(super) fn section(&mut self, big_endian: bool) {
        self.dropped_before = self.dropped();
        self.list.clear();
        self.big_endian = big_endian;
    }

    pub(super) fn add(&mut self, block: &InterfaceDescriptionBlock<'_>) {
        let link_number = i64::from(block.linktype.0);
        let resolution =
            self.option(&block.options, OptionCode::IfTsresol, 1).map(|bits| bits.to_be_bytes()[7]);
        let offset = self.option(&block.options, OptionCode::IfTsoffset, 8).map(u64::cast_signed);
        if self.list.len() < INTERFACES_MAX {
            let resolution = resolution.map_or(Resolution::MICROSECONDS, Resolution::of);
            let (offset_s, snap_length) = (offset.unwrap_or(0), block.snaplen);
            let described = Arc::new(Described {
                link_number: u16::try_from(link_number).unwrap_or(u16::MAX),
                snap_length,
                resolution: resolution.exponent,
                offset_s,
                ticks: resolution,
                name: text(&block.options, OptionCode::IfName),
                description: text(&block.options, OptionCode::IfDescription),
            });
            let link = Link::of(link_number);
            self.list.push(Interface {
                link,
                link_number,
                resolution,
                offset_s,
                snap_length,
                dropped: 0,
                described,
            });
        }
    }

    /// The one interface of a file that names none.
    pub(super) fn only(&mut self, link_number: i64, snap_length: u32, resolution: Resolution) {
        let described = Arc::new(Described {
            link_number: u16::try_from(link_number).unwrap_or(u16::MAX),
            snap_length,
            resolution: resolution.exponent,
            offset_s: 0,
            ticks: resolution,
            name: None,
            description: None,
        });
        let link = Link::of(link_number);
        let only =
            Interface { link, link_number, resolution, offset_s: 0, snap_length, dropped: 0, described };
        self.list = vec![only];
    }

    /// An interface as it is described.
    pub(super) fn described(&self, index: u32) -> Option<&Arc<Described>> {
        self.get(index).map(|interface| &interface.described)
    }

    pub(super) fn get(&self, index: u32) -> Option<&Interface> {
        self.list.get(usize::try_from(index).ok()?)
    }

    /// Drop counters run from the start of the capture: the last block of an interface counts.
    pub(super) fn statistics(&mut self, block: &InterfaceStatisticsBlock<'_>) {
        let dropped = [OptionCode::IsbIfDrop, OptionCode::IsbOsDrop]
            .map(|code| self.option(&block.options, code, 8).unwrap_or(0))
            .iter()
            .fold(0_u64, |sum, count| sum.saturating_add(*count));
        let index = usize::try_from(block.if_id).unwrap_or(usize::MAX);
        if let Some(interface) = self.list.get_mut(index) {
            interface.dropped = dropped;
        }
    }

    pub(super) fn dropped(&self) -> u64 {
        self.list.iter().fold(self.dropped_before, |sum, interface| sum.saturating_add(interface.dropped))
    }

    /// An option's value of exactly `length` bytes, in the byte order of the section.
    fn option(&self, options: &[PcapNGOption<'_>], code: OptionCode, length: usize) -> Option<u64> {
        let value = options.iter().find(|option| option.code == code)?.value();
        let bytes = value.get(..length)?;
        let fold = |sum: u64, byte: &u8| (sum << 8) | u64::from(*byte);
        Some(if self.big_endian { bytes.iter().fold(0, fold) } else { bytes.iter().rev().fold(0, fold) })
    }

    /// Fields of an obsolete Packet Block: interface, time, captured length, original length, bytes.
    pub(super) fn old_packet<'a>(&self, data: &'a [u8]) -> Option<(u32, u64, u32, u32, &'a [u8])> {
        let (header, rest) = data.split_first_chunk::<20>()?;
        let number = |range: std::ops::Range<usize>| {
            let bytes = header.get(range).unwrap_or_default();
            let fold = |sum: u32, byte: &u8| (sum << 8) | u32::from(*byte);
            if self.big_endian { bytes.iter().fold(0, fold) } else { bytes.iter().rev().fold(0, fold) }
        };
        let ticks = (u64::from(number(4..8)) << 32) | u64::from(number(8..12));
        Some((number(0..2), ticks, number(12..16), number(16..20), rest))
    }
}

/// The text of an option, cut to what is kept.
fn text(options: &[PcapNGOption<'_>], code: OptionCode) -> Option<String> {
    let value = options.iter().find(|option| option.code == code)?.value();
    let kept = value.get(..NAME_BYTES_MAX).unwrap_or(value);
    let text = String::from_utf8_lossy(kept).trim_end_matches(['\0', '\u{fffd}']).to_owned();
    Some(text).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolutions_of_both_bases() {
        assert_eq!(Resolution::of(9), Resolution::NANOSECONDS);
        assert_eq!(Resolution::of(0x8a).ticks(2_048, 0), UnixNanos(2_000_000_000));
        assert_eq!(Resolution::of(0x7f), Resolution::MICROSECONDS);
        assert_eq!(Resolution::of(6).ticks(5, -1), UnixNanos(-999_995_000));
        assert_eq!(Resolution::of(0).ticks(u64::MAX, 0), UnixNanos(i64::MAX));
    }
}
