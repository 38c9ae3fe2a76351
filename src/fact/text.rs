//! The text form of facts: `name field=value ...`, values with blanks or quotes in double quotes.

use std::fmt::{self, Write as _};
use std::net::IpAddr;

use super::{Side, Tunnel};
use crate::codes::{DisconnectReason, ErrorInfo, KerberosError, Status};
use crate::time::UnixNanos;
use crate::wire::licensing::{LicenseErrorCode, LicenseKind, StateTransition};
use crate::wire::mcs::{McsResult, UltimatumReason};
use crate::wire::multitransport::RequestedProtocol;
use crate::wire::negotiation::{FailureCode, Protocols};
use crate::wire::proxy::ProxyProtocol;
use crate::wire::rdpudp::UdpVersion;
use crate::wire::redirection::RedirectionFlags;
use crate::wire::session_info::{LogonErrorData, LogonErrorType};
use crate::wire::share::{DataType, StatusCode};
use crate::wire::spnego::NegState;
use crate::wire::tls::{AlertDescription, Suite, TlsVersion};
use crate::wire::tpkt::DisconnectCause;

/// Why a line is not the text form of a fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FactTextError {
    /// No fact has that name.
    UnknownName(String),
    /// A field without default is not there.
    MissingField(&'static str),
    /// The fact has no such field.
    UnknownField(String),
    /// The value is not of the field's type.
    BadValue(&'static str, String),
    /// A quoted value does not end.
    OpenQuote,
}

impl fmt::Display for FactTextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownName(name) => write!(f, "no fact is called `{name}`"),
            Self::MissingField(field) => write!(f, "field `{field}` is missing"),
            Self::UnknownField(field) => write!(f, "unknown field `{field}`"),
            Self::BadValue(field, value) => write!(f, "field `{field}`: cannot read `{value}`"),
            Self::OpenQuote => f.write_str("a quoted value does not end"),
        }
    }
}

impl std::error::Error for FactTextError {}

/// A value of a fact: written as text and read back equal.
pub trait Field: Sized {
    /// Writes the text behind `out`; `false` when the field is absent.
    fn write_text(&self, out: &mut String) -> bool;
    /// Reads the text back.
    fn from_text(text: &str) -> Option<Self>;
    /// The value of a field that is not there.
    fn absent() -> Option<Self> {
        None
    }
    /// It holds text that the evidence or this program wrote.
    const IS_TEXT: bool = false;
    /// The value that `by` gives in its place; `at` is the fact's name and the field's.
    #[must_use]
    fn rewritten(self, _at: (&'static str, &'static str), _by: &mut dyn Rewrite) -> Self {
        self
    }
}

/// Gives other texts, addresses and times in place of those of facts.
pub trait Rewrite {
    /// In place of a text; `at` is the fact's name and the field's.
    fn text(&mut self, at: (&'static str, &'static str), text: String) -> String;
    /// In place of an address.
    fn address(&mut self, address: IpAddr) -> IpAddr;
    /// In place of a moment.
    fn time(&mut self, at: UnixNanos) -> UnixNanos;
}

macro_rules! decimal {
    ($($type:ty),*) => { $(
        impl Field for $type {
            fn write_text(&self, out: &mut String) -> bool {
                out.push_str(itoa::Buffer::new().format(*self));
                true
            }
            fn from_text(text: &str) -> Option<Self> { text.parse().ok() }
        }
    )* };
}

decimal!(u8, u32, u64, i64);

impl Field for IpAddr {
    fn write_text(&self, out: &mut String) -> bool {
        let Self::V4(address) = self else { return write!(out, "{self}").is_ok() };
        for (index, octet) in address.octets().into_iter().enumerate() {
            if index > 0 {
                out.push('.');
            }
            out.push_str(itoa::Buffer::new().format(octet));
        }
        true
    }
    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }
    fn rewritten(self, _at: (&'static str, &'static str), by: &mut dyn Rewrite) -> Self {
        by.address(self)
    }
}

macro_rules! hexadecimal {
    ($($type:ident($inner:ty)),*) => { $(
        impl Field for $type {
            fn write_text(&self, out: &mut String) -> bool { write_hexadecimal(out, self.0.into()) }
            fn from_text(text: &str) -> Option<Self> {
                <$inner>::from_str_radix(text.strip_prefix("0x")?, 16).ok().map(Self)
            }
        }
    )* };
}

hexadecimal!(Protocols(u32), FailureCode(u32), TlsVersion(u16), Suite(u16), AlertDescription(u8));
hexadecimal!(Status(u32), ErrorInfo(u32), DisconnectReason(u32), KerberosError(u32));
hexadecimal!(LicenseErrorCode(u32), UltimatumReason(u8), RequestedProtocol(u16), UdpVersion(u16));
hexadecimal!(LicenseKind(u8), StateTransition(u32), McsResult(u8), RedirectionFlags(u32), StatusCode(u32));
hexadecimal!(LogonErrorType(u32), LogonErrorData(u32), DataType(u8), DisconnectCause(u8), NegState(u8));

/// `0x` and the digits in lower case, without leading zeros.
fn write_hexadecimal(out: &mut String, number: u32) -> bool {
    out.push_str("0x");
    let digits = (32 - number.leading_zeros()).div_ceil(4).max(1);
    out.extend((0..digits).rev().filter_map(|place| char::from_digit(number >> (4 * place) & 0xf, 16)));
    true
}

impl Field for bool {
    fn write_text(&self, out: &mut String) -> bool {
        out.push_str(if *self { "yes" } else { "" });
        *self
    }
    fn from_text(text: &str) -> Option<Self> {
        match text {
            "yes" => Some(true),
            "no" => Some(false),
            _ => None,
        }
    }
    fn absent() -> Option<Self> {
        Some(false)
    }
}

impl Field for String {
    fn write_text(&self, out: &mut String) -> bool {
        out.push_str(self);
        true
    }
    fn from_text(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }
    const IS_TEXT: bool = true;
    fn rewritten(self, at: (&'static str, &'static str), by: &mut dyn Rewrite) -> Self {
        by.text(at, self)
    }
}

impl Field for Side {
    fn write_text(&self, out: &mut String) -> bool {
        out.push_str(self.name());
        true
    }
    fn from_text(text: &str) -> Option<Self> {
        [Self::Client, Self::Server].into_iter().find(|side| side.name() == text)
    }
}

impl Field for Tunnel {
    fn write_text(&self, out: &mut String) -> bool {
        out.push_str(self.name());
        true
    }
    fn from_text(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == text)
    }
}

impl Field for ProxyProtocol {
    fn write_text(&self, out: &mut String) -> bool {
        out.push_str(self.name());
        true
    }
    fn from_text(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|protocol| protocol.name() == text)
    }
}

impl Field for UnixNanos {
    fn write_text(&self, out: &mut String) -> bool {
        write!(out, "{}", self.0).is_ok()
    }
    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok().map(Self)
    }
    fn rewritten(self, _at: (&'static str, &'static str), by: &mut dyn Rewrite) -> Self {
        by.time(self)
    }
}

impl<T: Field> Field for Option<T> {
    fn write_text(&self, out: &mut String) -> bool {
        self.as_ref().is_some_and(|value| value.write_text(out))
    }
    fn from_text(text: &str) -> Option<Self> {
        T::from_text(text).map(Some)
    }
    fn absent() -> Option<Self> {
        Some(None)
    }
    const IS_TEXT: bool = T::IS_TEXT;
    fn rewritten(self, at: (&'static str, &'static str), by: &mut dyn Rewrite) -> Self {
        self.map(|value| value.rewritten(at, by))
    }
}

pub(super) fn write_field(out: &mut String, name: &str, text: &str) {
    out.push(' ');
    out.push_str(name);
    out.push('=');
    let plain = !text.is_empty()
        && text.chars().all(|c| !c.is_whitespace() && !c.is_control() && c != '"' && c != '\\');
    if plain { out.push_str(text) } else { write_quoted(out, text) }
}

fn write_quoted(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            _ => out.push(c),
        }
    }
    out.push('"');
}

/// The name and the fields of one line, taken one by one.
pub(super) struct Fields<'a> {
    name: &'a str,
    fields: Vec<(&'a str, String)>,
}

impl<'a> Fields<'a> {
    pub(super) fn given(name: &'a str, fields: Vec<(&'a str, String)>) -> Self {
        Self { name, fields }
    }

    pub(super) fn of(line: &'a str) -> Result<Self, FactTextError> {
        let line = line.trim();
        let (name, mut rest) = line.split_once(' ').unwrap_or((line, ""));
        let mut fields = Vec::new();
        loop {
            rest = rest.trim_start();
            if rest.is_empty() {
                return Ok(Self { name, fields });
            }
            let (key, after) =
                rest.split_once('=').ok_or_else(|| FactTextError::UnknownField(rest.to_owned()))?;
            let (value, after) = read_value(after)?;
            fields.push((key, value));
            rest = after;
        }
    }

    pub(super) fn name(&self) -> &str {
        self.name
    }

    pub(super) fn take<T: Field>(&mut self, name: &'static str) -> Result<T, FactTextError> {
        let Some(index) = self.fields.iter().position(|(key, _)| *key == name) else {
            return T::absent().ok_or(FactTextError::MissingField(name));
        };
        let (_, value) = self.fields.swap_remove(index);
        T::from_text(&value).ok_or(FactTextError::BadValue(name, value))
    }

    pub(super) fn finish(&self) -> Result<(), FactTextError> {
        self.fields.first().map_or(Ok(()), |(key, _)| Err(FactTextError::UnknownField((*key).to_owned())))
    }
}

fn read_value(text: &str) -> Result<(String, &str), FactTextError> {
    let Some(quoted) = text.strip_prefix('"') else {
        let (value, rest) = text.split_once(' ').unwrap_or((text, ""));
        return Ok((value.to_owned(), rest));
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((index, c)) = chars.next() {
        match c {
            '"' => return Ok((value, quoted.get(index + 1..).unwrap_or(""))),
            '\\' => match chars.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, escaped)) => value.push(escaped),
                None => return Err(FactTextError::OpenQuote),
            },
            _ => value.push(c),
        }
    }
    Err(FactTextError::OpenQuote)
}

#[cfg(test)]
mod tests {
    use super::super::What;
    use super::*;

    #[test]
    fn a_fact_is_read_back_from_its_text() {
        let lines = [
            "syn tries=3 over_ms=3000",
            "connected",
            "reset by=server ttl=64 usual_ttl=63 bare=yes",
            "request protocols=0xb flags=0 cookie=\"a \\\"b\\\" \\\\ c\"",
            "other-protocol from=server protocol=\"HTTP/1.1 400\"",
            "unreachable from=198.51.100.1 kind=3 code=1 times=2",
            "refused code=0x5",
            "tunnelled kind=IP-in-IP from=198.51.100.1 to=2001:db8::1",
            "proxy-asked protocol=SOCKS5 host=host.example port=3389 user=me",
            "proxy-answered protocol=HTTP code=407 says=\"Proxy Authentication Required\" authentication=yes",
            "proxied-for version=2 client=198.51.100.7 port=50112",
            "accepted udp=yes",
            "method method=PreDisconnect value=-805306367 code=0xd0000001",
            "logon-failed logon_type=3 status=0xc000006d sub_status=0xc000006a failure_reason=2313",
            "client-disconnected reason=0x904",
            "kerberos-failed code=0x18 service=\"krbtgt/A B\"",
            "kerberos-failed code=0x25 service=krbtgt/LAB realm=LAB user=alice asker=client status=0xc0000133 kdc_ahead_s=-600",
            "lookup-failed asker=client name=_kerberos._udp.lab.test records=SRV code=3 server=192.0.2.53 tries=2 over_ms=5000",
            "service-unreached asker=server service=ldap server=192.0.2.10 refused=yes tries=1 over_ms=0",
            "duplicate-address address=192.0.2.5 macs=02:00:00:00:00:01,02:00:00:00:00:02",
            "credssp-refused by=server round=2 bytes=15 status=0xc000006d",
            "license-error by=server code=0x6",
            "multitransport-request request=7 protocol=0x1 cookie_hash=c1c1",
            "udp-syn tries=3 over_ms=6226 version=0x101 lossy=yes correlation=a1a2",
            "udp-syn-ack after_ms=2 version=0x101",
            "tunnel-response",
            "error-info code=0x7",
            "ultimatum by=server reason=0x3",
            "user-named user=\"a b\" domain=LAB",
            "target-named computer=rdsh01 build=20348 clock_ms=-137000",
            "rdstls-result code=0x52e",
            "credssp by=server round=1 bytes=57 version=6 packages=Kerberos state=0x2",
            "mcs-refused what=join result=0x3 channel=1005",
            "session-info kind=3 error=0xffffffff data=0x0 auto_reconnect=yes",
            "redirected session_id=2 flags=0x201 address=203.0.113.5 host=rdsh2 password=yes",
            "license by=server kind=0xff",
            "license-error by=server code=0x6 transition=0x1",
            "gateway-status status=401 offers=\"Negotiate, NTLM\" last=yes",
            "gateway-channel code=0x800759da",
        ];
        for line in lines {
            assert_eq!(What::parse(line).map(|w| w.text()), Ok(line.to_owned()));
        }
    }

    #[test]
    fn numbers_and_addresses_are_written_as_the_standard_library_writes_them() {
        let written = |field: &dyn Fn(&mut String) -> bool| {
            let mut text = String::new();
            assert!(field(&mut text));
            text
        };
        let numbers = (0..32).flat_map(|bit| [1_u32 << bit, (1 << bit) - 1, u32::MAX >> bit]);
        for number in numbers {
            assert_eq!(written(&|text| Status(number).write_text(text)), format!("{number:#x}"));
            assert_eq!(written(&|text| number.write_text(text)), number.to_string());
            let signed = -i64::from(number);
            assert_eq!(written(&|text| signed.write_text(text)), signed.to_string());
            let four = IpAddr::from(number.to_be_bytes());
            let six = IpAddr::from(
                [number; 4].map(u32::to_be_bytes).as_flattened().first_chunk().copied().unwrap_or([0; 16]),
            );
            for address in [four, six] {
                assert_eq!(written(&|text| address.write_text(text)), address.to_string());
            }
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert_eq!(What::parse("nothing"), Err(FactTextError::UnknownName("nothing".to_owned())));
        assert_eq!(What::parse("refused"), Err(FactTextError::MissingField("code")));
        assert_eq!(
            What::parse("refused code=0x5 why=no"),
            Err(FactTextError::UnknownField("why".to_owned()))
        );
        assert_eq!(What::parse("refused code=5"), Err(FactTextError::BadValue("code", "5".to_owned())));
        assert_eq!(What::parse("other-protocol from=client protocol=\"x"), Err(FactTextError::OpenQuote));
    }
}
