//! Kerberos messages to and from a domain controller (RFC 4120 5.4, 5.9.1), as far as they stand in clear: who asks for
//! what, and why it was refused. Read leniently: names in UTF-8 as Windows writes them, and messages that a limit cut.

use super::cursor::{Cursor, WireError};
use super::der::{Elements, SEQUENCE, field, inside, integer};
use crate::codes::{KerberosError, Status};
use crate::time::UnixNanos;

/// Kind of a message, by its application tag (RFC 4120 5.10).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageKind(pub u8);

impl MessageKind {
    /// AS-REQ: asks for a ticket-granting ticket.
    pub const AS_REQ: Self = Self(10);
    /// AS-REP.
    pub const AS_REP: Self = Self(11);
    /// TGS-REQ: asks for a ticket for a service.
    pub const TGS_REQ: Self = Self(12);
    /// TGS-REP.
    pub const TGS_REP: Self = Self(13);
    /// KRB-ERROR.
    pub const ERROR: Self = Self(30);

    /// It gives a ticket.
    #[must_use]
    pub const fn grants(self) -> bool {
        matches!(self, Self::AS_REP | Self::TGS_REP)
    }
}

/// A message, as far as it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// What it is.
    pub kind: MessageKind,
    /// `error-code` of a KRB-ERROR.
    pub error: Option<KerberosError>,
    /// The NTSTATUS that a Windows domain controller adds to an error (`KERB-EXT-ERROR`, MS-KILE 2.2.2).
    pub status: Option<Status>,
    /// `realm` of the service, or of the client in a reply.
    pub realm: Option<String>,
    /// `sname`: the service, its parts joined by `/`.
    pub service: Option<String>,
    /// `cname`: who asks.
    pub client: Option<String>,
    /// `stime` and `susec`: the clock of the domain controller, in a KRB-ERROR.
    pub server_time: Option<UnixNanos>,
    /// `ctime` and `cusec`: the clock of who asked, in a KRB-ERROR that repeats it.
    pub client_time: Option<UnixNanos>,
}

/// Bytes of the longest message that is believed: tickets of users with a thousand groups have 64 KiB.
const MESSAGE_BYTES_MAX: u32 = 1 << 20;
/// Parts of a name that are read.
const PARTS_MAX: usize = 8;

const APPLICATION: u8 = 0x60;
/// `KERB_ERR_TYPE_EXTENDED` (MS-KILE 2.2.1).
const EXTENDED_ERROR: u32 = 3;

/// The message behind the 4-byte length that it has over TCP (RFC 4120 7.2.2), and how many bytes both are; the message
/// is shorter than it says when the bytes end.
///
/// # Errors
/// [`WireError::Short`] under 4 bytes, [`WireError::Invalid`] for a length that no message has.
pub fn framed(bytes: &[u8]) -> Result<(&[u8], usize), WireError> {
    let mut at = Cursor::new(bytes);
    let length = u32::from_be_bytes(at.take("length")?);
    let whole = usize::try_from(length).unwrap_or(usize::MAX);
    if length == 0 || length > MESSAGE_BYTES_MAX {
        return Err(WireError::Invalid { what: "length", found: u64::from(length) });
    }
    let there = at.rest().len().min(whole);
    Ok((at.rest().get(..there).unwrap_or_default(), whole.saturating_add(4)))
}

/// Reads a message, without length in front. What a limit cut off its end is absent.
///
/// # Errors
/// [`WireError::Short`] when nothing of it is there, [`WireError::Invalid`] when it is none of the five kinds.
pub fn message(bytes: &[u8]) -> Result<Message, WireError> {
    let mut at = Cursor::new(bytes);
    let tag = at.u8("tag")?;
    let kind = MessageKind(tag & 0x1f);
    if tag & 0xe0 != APPLICATION || !matches!(kind.0, 10..=13 | 30) {
        return Err(WireError::Invalid { what: "tag", found: u64::from(tag) });
    }
    at.ber_length("length")?;
    let body = inside(at.rest(), SEQUENCE).unwrap_or_default();
    let mut read = Message {
        kind,
        error: None,
        status: None,
        realm: None,
        service: None,
        client: None,
        server_time: None,
        client_time: None,
    };
    match kind {
        MessageKind::ERROR => error(body, &mut read),
        MessageKind::AS_REP | MessageKind::TGS_REP => reply(body, &mut read),
        _ => request(body, &mut read),
    }
    Ok(read)
}

fn error(body: &[u8], read: &mut Message) {
    let (mut micros, mut client_micros) = (0, 0);
    let (mut seconds, mut client_seconds) = (None, None);
    for (tag, value) in Elements::of(body) {
        match tag {
            0xa2 => client_seconds = time(value),
            0xa3 => client_micros = integer(value).unwrap_or(0),
            0xa4 => seconds = time(value),
            0xa5 => micros = integer(value).unwrap_or(0),
            0xa6 => read.error = integer(value).map(KerberosError),
            0xa8 => read.client = name(value),
            0xa9 => read.realm = string(value),
            0xaa => read.service = name(value),
            0xac => read.status = extended(value),
            _ => {}
        }
    }
    read.server_time = with_micros(seconds, micros);
    read.client_time = with_micros(client_seconds, client_micros);
}

/// `KerberosTime` and `Microseconds`, which end at 999,999 (RFC 4120 5.2.4).
fn with_micros(seconds: Option<UnixNanos>, micros: u32) -> Option<UnixNanos> {
    let micros = if micros < 1_000_000 { i64::from(micros) } else { 0 };
    Some(seconds?.plus(micros.saturating_mul(1_000)))
}

fn reply(body: &[u8], read: &mut Message) {
    for (tag, value) in Elements::of(body) {
        match tag {
            0xa3 => read.realm = string(value),
            0xa4 => read.client = name(value),
            0xa5 => read.service = ticket(value).1,
            _ => {}
        }
    }
}

/// Realm and service of `Ticket ::= [APPLICATION 1] SEQUENCE { tkt-vno [0], realm [1], sname [2], enc-part [3] }`.
pub(super) fn ticket(value: &[u8]) -> (Option<String>, Option<String>) {
    let fields =
        inside(value, APPLICATION | 1).and_then(|ticket| inside(ticket, SEQUENCE)).unwrap_or_default();
    (field(fields, 0xa1).and_then(string), field(fields, 0xa2).and_then(name))
}

fn request(body: &[u8], read: &mut Message) {
    let Some(body) = field(body, 0xa4).and_then(|value| inside(value, SEQUENCE)) else { return };
    for (tag, value) in Elements::of(body) {
        match tag {
            0xa1 => read.client = name(value),
            0xa2 => read.realm = string(value),
            0xa3 => read.service = name(value),
            _ => {}
        }
    }
}

/// A string of any type: `KerberosString` is a `GeneralString`, in which Windows writes UTF-8.
fn string(bytes: &[u8]) -> Option<String> {
    let (_, text) = Elements::of(bytes).next()?;
    (!text.is_empty()).then(|| String::from_utf8_lossy(text).into_owned())
}

/// `PrincipalName ::= SEQUENCE { name-type [0] Int32, name-string [1] SEQUENCE OF KerberosString }`.
fn name(bytes: &[u8]) -> Option<String> {
    let parts = field(inside(bytes, SEQUENCE)?, 0xa1)?;
    let parts: Vec<String> = Elements::of(inside(parts, SEQUENCE)?)
        .take(PARTS_MAX)
        .map(|(_, part)| String::from_utf8_lossy(part).into_owned())
        .collect();
    (!parts.is_empty()).then(|| parts.join("/"))
}

/// `KerberosTime`: `YYYYMMDDHHMMSSZ`, without fractions (RFC 4120 5.2.3).
fn time(bytes: &[u8]) -> Option<UnixNanos> {
    let (_, text) = Elements::of(bytes).next()?;
    let text = str::from_utf8(text).ok()?.strip_suffix('Z').filter(|text| text.len() == 14)?;
    let part = |from: usize, to: usize| text.get(from..to).unwrap_or_default();
    let (date, day) = (part(0, 4), part(6, 8));
    UnixNanos::parse(&format!(
        "{date}-{}-{day}T{}:{}:{}Z",
        part(4, 6),
        part(8, 10),
        part(10, 12),
        part(12, 14)
    ))
}

/// `KERB-ERROR-DATA ::= SEQUENCE { data-type [1] INTEGER, data-value [2] OCTET STRING OPTIONAL }`, whose value is
/// `KERB-EXT-ERROR`: status, reserved and flags, 4 bytes each, little-endian.
fn extended(bytes: &[u8]) -> Option<Status> {
    let data = inside(inside(bytes, 0x04)?, SEQUENCE)?;
    if integer(field(data, 0xa1)?)? != EXTENDED_ERROR {
        return None;
    }
    let status = Cursor::new(inside(field(data, 0xa2)?, 0x04)?).u32_le("status").ok()?;
    (status != 0).then_some(Status(status))
}

#[cfg(test)]
mod tests {
    use super::super::der::INTEGER;
    use super::*;

    /// One element: tag, length, content.
    fn der(tag: u8, content: &[u8]) -> Vec<u8> {
        let length = u16::try_from(content.len()).unwrap().to_be_bytes();
        let mut out = vec![tag];
        match length {
            [0, short @ 0..0x80] => out.push(short),
            [0, short] => out.extend([0x81, short]),
            [high, low] => out.extend([0x82, high, low]),
        }
        out.extend(content);
        out
    }

    fn sequence(fields: &[(u8, Vec<u8>)]) -> Vec<u8> {
        der(SEQUENCE, &fields.iter().flat_map(|(tag, value)| der(*tag, value)).collect::<Vec<u8>>())
    }

    fn principal(parts: &[&str]) -> Vec<u8> {
        let strings: Vec<u8> = parts.iter().flat_map(|part| der(0x1b, part.as_bytes())).collect();
        sequence(&[(0xa0, der(INTEGER, &[2])), (0xa1, der(SEQUENCE, &strings))])
    }

    fn refusal(code: u8, extra: &[(u8, Vec<u8>)]) -> Vec<u8> {
        let mut fields = vec![
            (0xa0, der(INTEGER, &[5])),
            (0xa1, der(INTEGER, &[30])),
            (0xa4, der(0x18, b"20261120101002Z")),
            (0xa5, der(INTEGER, &[0x07, 0xa1, 0x20])),
            (0xa6, der(INTEGER, &[code])),
            (0xa9, der(0x1b, b"LAB.TEST")),
            (0xaa, principal(&["TERMSRV", "h\u{f6}st.lab.test"])),
        ];
        fields.extend_from_slice(extra);
        der(0x7e, &sequence(&fields))
    }

    #[test]
    fn an_error_tells_service_time_and_code() {
        let read = message(&refusal(7, &[])).unwrap();
        assert_eq!((read.kind, read.error), (MessageKind::ERROR, Some(KerberosError(7))));
        assert_eq!(read.service.as_deref(), Some("TERMSRV/h\u{f6}st.lab.test"));
        assert_eq!(read.realm.as_deref(), Some("LAB.TEST"));
        assert_eq!(read.server_time, UnixNanos::parse("2026-11-20T10:10:02.5Z"));
        assert_eq!((read.status, read.client, read.client_time), (None, None, None));
    }

    #[test]
    fn an_error_may_repeat_the_clock_of_who_asked() {
        let asked = [(0xa2, der(0x18, b"20261120100959Z")), (0xa3, der(INTEGER, &[0x03, 0xe8]))];
        let read = message(&refusal(37, &asked)).unwrap();
        assert_eq!(read.client_time, UnixNanos::parse("2026-11-20T10:09:59.001Z"));
        let beyond = [(0xa2, der(0x18, b"20261120100959Z")), (0xa3, der(INTEGER, &[0x0f, 0x42, 0x40]))];
        let read = message(&refusal(37, &beyond)).unwrap();
        assert_eq!(read.client_time, UnixNanos::parse("2026-11-20T10:09:59Z"));
    }

    #[test]
    fn the_status_of_a_windows_domain_controller_is_read() {
        let value = [0x72, 0, 0, 0xc0, 0, 0, 0, 0, 1, 0, 0, 0];
        let data = sequence(&[(0xa1, der(INTEGER, &[3])), (0xa2, der(0x04, &value))]);
        let read = message(&refusal(18, &[(0xac, der(0x04, &data))])).unwrap();
        assert_eq!(read.status, Some(Status(0xc000_0072)));
        let other = sequence(&[(0xa1, der(INTEGER, &[1])), (0xa2, der(0x04, &value))]);
        assert_eq!(message(&refusal(18, &[(0xac, der(0x04, &other))])).unwrap().status, None);
    }

    #[test]
    fn requests_and_replies_name_their_service() {
        let body = sequence(&[
            (0xa0, der(0x03, &[0, 0x40, 0x81, 0, 0x10])),
            (0xa1, principal(&["alice"])),
            (0xa2, der(0x1b, b"LAB.TEST")),
            (0xa3, principal(&["krbtgt", "LAB.TEST"])),
        ]);
        let asks = der(0x6a, &sequence(&[(0xa1, der(INTEGER, &[5])), (0xa4, body)]));
        let read = message(&asks).unwrap();
        assert_eq!((read.kind, read.client.as_deref()), (MessageKind::AS_REQ, Some("alice")));
        assert_eq!(read.service.as_deref(), Some("krbtgt/LAB.TEST"));

        let ticket = sequence(&[(0xa1, der(0x1b, b"LAB.TEST")), (0xa2, principal(&["TERMSRV", "h"]))]);
        let reply = sequence(&[
            (0xa3, der(0x1b, b"LAB.TEST")),
            (0xa4, principal(&["alice"])),
            (0xa5, der(0x61, &ticket)),
        ]);
        let whole = der(0x6d, &reply);
        let read = message(&whole).unwrap();
        assert_eq!((read.kind.grants(), read.service.as_deref()), (true, Some("TERMSRV/h")));
        assert_eq!(message(whole.get(..whole.len() / 2).unwrap()).unwrap().client.as_deref(), Some("alice"));
    }

    #[test]
    fn a_length_stands_in_front_over_tcp() {
        let error = refusal(37, &[]);
        let mut bytes = u32::try_from(error.len()).unwrap().to_be_bytes().to_vec();
        bytes.extend(&error);
        bytes.extend([9, 9]);
        assert_eq!(framed(&bytes), Ok((error.as_slice(), error.len() + 4)));
        assert_eq!(
            framed(bytes.get(..6).unwrap()).map(|(part, whole)| (part.len(), whole)),
            Ok((2, error.len() + 4))
        );
        assert_eq!(framed(&[0x80, 0, 0, 1]), Err(WireError::Invalid { what: "length", found: 0x8000_0001 }));
        assert_eq!(message(&[0x30, 0]), Err(WireError::Invalid { what: "tag", found: 0x30 }));
    }
}
