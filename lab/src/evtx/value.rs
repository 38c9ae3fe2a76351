//! The typed values of an event record, and how each is stored.

use std::fmt;

/// Nanoseconds from 1601-01-01 (FILETIME's zero) to 1970-01-01, in FILETIME's units of 100 ns.
const UNIX_EPOCH_FILETIME: i64 = 116_444_736_000_000_000;

/// A GUID as it is stored: the first three groups little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Guid(pub [u8; 16]);

impl Guid {
    /// Reads `1139c61b-b549-4251-8ed3-27250a1edec8`, with or without braces, in either case.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim_start_matches('{').trim_end_matches('}');
        let groups: Vec<&str> = text.split('-').collect();
        let lengths: Vec<usize> = groups.iter().map(|g| g.len()).collect();
        if lengths != [8, 4, 4, 4, 12] {
            return None;
        }
        let number = u128::from_str_radix(&groups.concat(), 16).ok()?;
        Some(Self::from_u128(number))
    }

    /// The GUID whose digits, read as one number, are `number`.
    pub fn from_u128(number: u128) -> Self {
        let mut bytes = number.to_be_bytes();
        bytes[0..4].reverse();
        bytes[4..6].reverse();
        bytes[6..8].reverse();
        Self(bytes)
    }

    /// A GUID that depends on nothing but `text`: the same text gives the same GUID on every machine.
    pub fn from_text(text: &str) -> Self {
        Self::from_u128(fingerprint(text.as_bytes()))
    }
}

/// As event XML shows it: lower case, in braces.
impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let b = &self.0;
        let first = u32::from_le_bytes([b[0], b[1], b[2], b[3]]);
        let second = u16::from_le_bytes([b[4], b[5]]);
        let third = u16::from_le_bytes([b[6], b[7]]);
        let tail: String = b[10..].iter().map(|byte| format!("{byte:02x}")).collect();
        write!(f, "{{{first:08x}-{second:04x}-{third:04x}-{:02x}{:02x}-{tail}}}", b[8], b[9])
    }
}

/// FNV-1a over 128 bits: names templates and made-up GUIDs; not for secrets.
pub(crate) fn fingerprint(bytes: &[u8]) -> u128 {
    let start = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d_u128;
    bytes.iter().fold(start, |hash, byte| {
        (hash ^ u128::from(*byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b)
    })
}

/// A security identifier in its binary form (MS-DTYP 2.4.2.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sid(Vec<u8>);

impl Sid {
    /// `S-1-0-0`, the SID of nobody.
    pub fn nobody() -> Self {
        Self(vec![1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
    }

    /// Reads `S-1-5-18`; at most 15 sub-authorities, as the format allows.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix("S-")?.split('-');
        let revision: u8 = parts.next()?.parse().ok()?;
        let authority: u64 = parts.next()?.parse().ok()?;
        let sub: Vec<u32> = parts.map(str::parse).collect::<Result<_, _>>().ok()?;
        if sub.len() > 15 || authority >= 1 << 48 {
            return None;
        }
        let mut bytes = vec![revision, sub.len() as u8];
        bytes.extend_from_slice(&authority.to_be_bytes()[2..]);
        sub.iter().for_each(|part| bytes.extend_from_slice(&part.to_le_bytes()));
        Some(Self(bytes))
    }
}

/// One value of a record, with the type it is stored as (MS-EVEN6 2.2.13).
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// No value: the substitution stays empty.
    Null,
    /// A string as the service stores it, without a terminator.
    Str(String),
    /// A string whose stored length includes a final NUL, as some providers log it.
    StrZ(String),
    /// An unsigned byte.
    U8(u8),
    /// An unsigned 16-bit number.
    U16(u16),
    /// An unsigned 32-bit number.
    U32(u32),
    /// An unsigned 64-bit number.
    U64(u64),
    /// A signed 32-bit number.
    I32(i32),
    /// A signed 64-bit number.
    I64(i64),
    /// A 32-bit number that readers show in hexadecimal.
    Hex32(u32),
    /// A 64-bit number that readers show in hexadecimal.
    Hex64(u64),
    /// A truth value, stored in four bytes.
    Bool(bool),
    /// A GUID.
    Guid(Guid),
    /// A security identifier.
    Sid(Sid),
    /// A FILETIME, given in nanoseconds since 1970-01-01 UTC.
    FileTime(i64),
    /// Bytes.
    Binary(Vec<u8>),
    /// Several strings in one value: readers repeat the element around it (MS-EVEN6 3.1.4.7.5).
    Strings(Vec<String>),
}

impl Value {
    /// The type byte that a template declares for this value; an absent one counts as a string.
    pub(super) fn declared_type(&self) -> u8 {
        match self {
            Self::Null | Self::Str(_) | Self::StrZ(_) => 0x01,
            Self::U8(_) => 0x04,
            Self::U16(_) => 0x06,
            Self::I32(_) => 0x07,
            Self::U32(_) => 0x08,
            Self::I64(_) => 0x09,
            Self::U64(_) => 0x0a,
            Self::Bool(_) => 0x0d,
            Self::Binary(_) => 0x0e,
            Self::Guid(_) => 0x0f,
            Self::FileTime(_) => 0x11,
            Self::Sid(_) => 0x13,
            Self::Hex32(_) => 0x14,
            Self::Hex64(_) => 0x15,
            Self::Strings(_) => 0x81,
        }
    }

    /// The type byte of the stored value: 0 where there is none.
    pub(super) fn stored_type(&self) -> u8 {
        if *self == Self::Null { 0x00 } else { self.declared_type() }
    }

    /// Appends the value's bytes.
    pub(super) fn store(&self, out: &mut Vec<u8>) {
        match self {
            Self::Null => {}
            Self::Str(text) => push_utf16(out, text),
            Self::StrZ(text) => push_terminated(out, text),
            Self::Strings(texts) => texts.iter().for_each(|text| push_terminated(out, text)),
            Self::U8(v) => out.push(*v),
            Self::U16(v) => out.extend_from_slice(&v.to_le_bytes()),
            Self::U32(v) | Self::Hex32(v) => out.extend_from_slice(&v.to_le_bytes()),
            Self::U64(v) | Self::Hex64(v) => out.extend_from_slice(&v.to_le_bytes()),
            Self::I32(v) => out.extend_from_slice(&v.to_le_bytes()),
            Self::I64(v) => out.extend_from_slice(&v.to_le_bytes()),
            Self::Bool(v) => out.extend_from_slice(&u32::from(*v).to_le_bytes()),
            Self::Guid(v) => out.extend_from_slice(&v.0),
            Self::Sid(v) => out.extend_from_slice(&v.0),
            Self::FileTime(ns) => out.extend_from_slice(&filetime(*ns).to_le_bytes()),
            Self::Binary(v) => out.extend_from_slice(v),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Str(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Str(text)
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::U32(number)
    }
}

/// FILETIME (100 ns since 1601-01-01 UTC) of a time in nanoseconds since 1970-01-01 UTC; finer digits are cut, as Windows has none.
pub(super) fn filetime(time_ns: i64) -> i64 {
    time_ns.div_euclid(100) + UNIX_EPOCH_FILETIME
}

pub(super) fn push_utf16(out: &mut Vec<u8>, text: &str) {
    text.encode_utf16().for_each(|unit| out.extend_from_slice(&unit.to_le_bytes()));
}

fn push_terminated(out: &mut Vec<u8>, text: &str) {
    push_utf16(out, text);
    out.extend_from_slice(&[0, 0]);
}
