//! DNS messages (RFC 1035 4), as far as they tell which name was looked up and what came of it; read by `simple-dns`.
//! Link-local multicast name resolution (RFC 4795) and multicast DNS (RFC 6762) have the same form.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use simple_dns::Packet;
use simple_dns::rdata::RData;

use super::cursor::{Cursor, WireError};

/// Response code (RFC 1035 4.1.1, RFC 6895 2.3): the 4 bits of the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResponseCode(pub u8);

impl ResponseCode {
    /// NOERROR.
    pub const NO_ERROR: Self = Self(0);
    /// SERVFAIL.
    pub const SERVER_FAILURE: Self = Self(2);
    /// NXDOMAIN: the name does not exist.
    pub const NAME_ERROR: Self = Self(3);
    /// REFUSED.
    pub const REFUSED: Self = Self(5);

    /// The mnemonic of the registry, where it has one.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::NO_ERROR => "NOERROR",
            Self(1) => "FORMERR",
            Self::SERVER_FAILURE => "SERVFAIL",
            Self::NAME_ERROR => "NXDOMAIN",
            Self(4) => "NOTIMP",
            Self::REFUSED => "REFUSED",
            _ => return None,
        })
    }
}

/// Type of the records asked for (RFC 1035 3.2.2 and the registry).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RecordKind(pub u16);

impl RecordKind {
    /// IPv4 address.
    pub const A: Self = Self(1);
    /// IPv6 address (RFC 3596).
    pub const AAAA: Self = Self(28);
    /// Location of a service (RFC 2782).
    pub const SRV: Self = Self(33);

    /// The mnemonic, where it is one of these.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::A => "A",
            Self::AAAA => "AAAA",
            Self::SRV => "SRV",
            _ => return None,
        })
    }
}

/// A message with one question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// It is an answer.
    pub answers: bool,
    /// Its transaction id.
    pub id: u16,
    /// What came of it.
    pub code: ResponseCode,
    /// The name, in lower case, without the last dot.
    pub name: String,
    /// What was asked for of the name.
    pub kind: RecordKind,
    /// Addresses in the answer section, in its order, whatever alias they stand at.
    pub addresses: Vec<IpAddr>,
    /// Records of the answer section, of any type.
    pub records: usize,
}

/// Bytes of the header.
const HEADER_BYTES: usize = 12;
/// Records of all sections that a message may claim: one record has 11 bytes at least, and none of a real message comes
/// near this.
const RECORDS_MAX: u16 = 512;
/// Addresses that are read.
const ADDRESSES_MAX: usize = 16;

/// Reads a message, without the length that it has in front over TCP.
///
/// # Errors
/// [`WireError::Short`] under 12 bytes, [`WireError::Invalid`] when it has no question, claims too much, or cannot be
/// read: `simple-dns` knows no question of type URI (256), which MIT Kerberos asks before SRV.
pub fn message(bytes: &[u8]) -> Result<Message, WireError> {
    let mut at = Cursor::new(bytes);
    let [id_high, id_low, flags, code] = at.take("header")?;
    for _ in 0..4_u8 {
        let records = at.u16_be("header")?;
        if records > RECORDS_MAX {
            return Err(WireError::Invalid { what: "records", found: u64::from(records) });
        }
    }
    let unreadable = || WireError::Invalid { what: "message", found: u64::from(flags) };
    let read = Packet::parse(bytes).map_err(|_| unreadable())?;
    // An answer of multicast DNS repeats no question: its first record stands for it.
    let asked = read
        .questions
        .first()
        .map(|question| (question.qname.to_string(), RecordKind(u16::from(question.qtype))));
    let answered = || {
        read.answers
            .first()
            .map(|first| (first.name.to_string(), RecordKind(u16::from(first.rdata.type_code()))))
    };
    let (name, kind) = asked.or_else(answered).ok_or_else(unreadable)?;
    let addresses = read.answers.iter().filter_map(|record| match &record.rdata {
        RData::A(a) => Some(IpAddr::V4(Ipv4Addr::from_bits(a.address))),
        RData::AAAA(aaaa) => Some(IpAddr::V6(Ipv6Addr::from_bits(aaaa.address))),
        _ => None,
    });
    Ok(Message {
        answers: flags & 0x80 != 0,
        id: u16::from_be_bytes([id_high, id_low]),
        code: ResponseCode(code & 0x0f),
        name: name.trim_end_matches('.').to_ascii_lowercase(),
        kind,
        addresses: addresses.take(ADDRESSES_MAX).collect(),
        records: read.answers.len(),
    })
}

/// The message behind the 2-byte length that it has over TCP (RFC 1035 4.2.2), and how many bytes both are.
///
/// # Errors
/// [`WireError::Short`] when it is not whole, [`WireError::Invalid`] when it is shorter than a header.
pub fn framed(bytes: &[u8]) -> Result<(&[u8], usize), WireError> {
    let mut at = Cursor::new(bytes);
    let length = usize::from(at.u16_be("length")?);
    if length < HEADER_BYTES {
        return Err(WireError::Invalid { what: "length", found: u64::try_from(length).unwrap_or(0) });
    }
    Ok((at.slice(length, "message")?, length.saturating_add(2)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message with one question, and answers that point at its name.
    fn built(flags: [u8; 2], kind: u16, answers: &[(u16, &[u8])]) -> Vec<u8> {
        let count = u8::try_from(answers.len()).unwrap();
        let mut out = vec![0x12, 0x34, flags[0], flags[1], 0, 1, 0, count, 0, 0, 0, 0];
        out.extend(b"\x06RDSH01\x03lab\x04test\0");
        out.extend(kind.to_be_bytes());
        out.extend([0, 1]);
        for (kind, value) in answers {
            out.extend([0xc0, 12]);
            out.extend(kind.to_be_bytes());
            out.extend([0, 1, 0, 0, 0, 60, 0, u8::try_from(value.len()).unwrap()]);
            out.extend(*value);
        }
        out
    }

    #[test]
    fn an_answer_names_its_question_and_addresses() {
        let v6 = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5];
        let alias = b"\x04host\xc0\x13";
        let read = message(&built([0x81, 0x80], 1, &[(5, alias), (1, &[192, 0, 2, 5]), (28, &v6)])).unwrap();
        assert_eq!((read.answers, read.id, read.code), (true, 0x1234, ResponseCode::NO_ERROR));
        assert_eq!((read.name.as_str(), read.kind), ("rdsh01.lab.test", RecordKind::A));
        let addresses: Vec<IpAddr> = vec!["192.0.2.5".parse().unwrap(), "2001:db8::5".parse().unwrap()];
        assert_eq!((read.addresses, read.records), (addresses, 3));
    }

    #[test]
    fn questions_and_refusals() {
        let asked = message(&built([1, 0], 33, &[])).unwrap();
        assert_eq!((asked.answers, asked.kind, asked.kind.name()), (false, RecordKind::SRV, Some("SRV")));
        let refused = message(&built([0x81, 0x83], 33, &[])).unwrap();
        assert_eq!((refused.answers, refused.code.name()), (true, Some("NXDOMAIN")));
    }

    #[test]
    fn what_is_no_message_is_an_error_and_ends() {
        assert_eq!(message(&[0; 5]), Err(WireError::Short { what: "header", need: 2, have: 1 }));
        let mut greedy = built([1, 0], 1, &[]);
        *greedy.get_mut(6).unwrap() = 0xff;
        assert_eq!(message(&greedy), Err(WireError::Invalid { what: "records", found: 0xff00 }));
        // Names that point at themselves and at each other.
        for pointer in [12_u8, 14] {
            let mut looped = vec![0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xc0, pointer, 0xc0, 12];
            looped.extend([0, 1, 0, 1]);
            assert!(message(&looped).is_err());
        }
    }

    #[test]
    fn a_length_stands_in_front_over_tcp() {
        let asked = built([1, 0], 1, &[]);
        let mut bytes = u16::try_from(asked.len()).unwrap().to_be_bytes().to_vec();
        bytes.extend(&asked);
        assert_eq!(framed(&bytes), Ok((asked.as_slice(), asked.len() + 2)));
        assert!(framed(bytes.get(..8).unwrap()).is_err() && framed(&[0, 3, 1, 2, 3]).is_err());
    }
}
