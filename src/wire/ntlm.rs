//! NTLM messages (MS-NLMP 2.2.1), as they stand inside of CredSSP: who names whom, which build, and the server's clock.

use super::cursor::Cursor;
use super::text::text;
use crate::time::UnixNanos;

/// `NegotiateFlags` (MS-NLMP 2.2.2.5). Unknown bits are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NtlmFlags(pub u32);

impl NtlmFlags {
    /// Strings are UTF-16.
    pub const UNICODE: Self = Self(0x0000_0001);
    /// A version follows.
    pub const VERSION: Self = Self(0x0200_0000);

    /// All bits of `other` are set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// `VERSION`: the system of the side that sent the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NtlmVersion {
    /// Such as 10.
    pub major: u8,
    /// Such as 0.
    pub minor: u8,
    /// Such as 20348.
    pub build: u16,
}

/// An NTLM message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ntlm {
    /// NEGOTIATE.
    Negotiate {
        /// Flags.
        flags: NtlmFlags,
        /// System of the client.
        version: Option<NtlmVersion>,
    },
    /// CHALLENGE: what the server calls itself.
    Challenge {
        /// Flags.
        flags: Option<NtlmFlags>,
        /// System of the server.
        version: Option<NtlmVersion>,
        /// DNS name of the computer, or its NetBIOS name.
        computer: Option<String>,
        /// DNS name of its domain, or its NetBIOS name.
        domain: Option<String>,
        /// The server's clock.
        time: Option<UnixNanos>,
    },
    /// AUTHENTICATE: who the client says it is.
    Authenticate {
        /// Flags.
        flags: Option<NtlmFlags>,
        /// System of the client.
        version: Option<NtlmVersion>,
        /// User.
        user: Option<String>,
        /// Domain.
        domain: Option<String>,
        /// Name of the client computer.
        workstation: Option<String>,
        /// Service that the client believes to talk to, such as `TERMSRV/host`.
        target: Option<String>,
        /// `TimeStamp` of the NTLMv2 response: a copy of the server's where the challenge had one, else the client's clock
        /// (MS-NLMP 2.2.2.7, 3.1.5.1.2).
        time: Option<UnixNanos>,
    },
    /// Another type.
    Other(u32),
}

impl Ntlm {
    /// Name of the message.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Negotiate { .. } => "NTLM NEGOTIATE",
            Self::Challenge { .. } => "NTLM CHALLENGE",
            Self::Authenticate { .. } => "NTLM AUTHENTICATE",
            Self::Other(_) => "NTLM",
        }
    }
}

const SIGNATURE: &[u8] = b"NTLMSSP\0";
/// Ids of `AV_PAIR` (MS-NLMP 2.2.2.1).
const AV_END: u16 = 0;
const AV_NETBIOS_COMPUTER: u16 = 1;
const AV_NETBIOS_DOMAIN: u16 = 2;
const AV_DNS_COMPUTER: u16 = 3;
const AV_DNS_DOMAIN: u16 = 4;
const AV_TIMESTAMP: u16 = 7;
const AV_TARGET_NAME: u16 = 9;
/// Pairs that are looked at.
const AV_PAIRS_MAX: usize = 32;
/// In an NTLMv2 response, pairs stand behind the proof (16) and the fixed part of the client's challenge (28).
const RESPONSE_PAIRS_AT: usize = 44;
/// Where in an NTLMv2 response the client's challenge stands, and in it the time, behind two types (1 each) and 6 bytes.
const RESPONSE_CHALLENGE_AT: usize = 16;
const RESPONSE_TIME_AT: usize = 24;
/// 1970-01-01 in `FILETIME`, units of 100 ns since 1601.
const UNIX_EPOCH: i64 = 116_444_736_000_000_000;

/// The first NTLM message in these bytes, whatever lies around it.
#[must_use]
pub fn ntlm(bytes: &[u8]) -> Option<Ntlm> {
    let start = bytes.windows(SIGNATURE.len()).position(|window| window == SIGNATURE)?;
    let message = bytes.get(start..)?;
    let number = |offset: usize| Cursor::new(message.get(offset..)?).u32_le("number").ok();
    Some(match number(8)? {
        1 => {
            let flags = NtlmFlags(number(12).unwrap_or(0));
            Ntlm::Negotiate { flags, version: version(message, Some(flags), 32) }
        }
        2 => challenge(message, number(20).map(NtlmFlags)),
        3 => authenticate(message, number(60).map(NtlmFlags)),
        other => Ntlm::Other(other),
    })
}

/// `VERSION` at `offset`: major (1), minor (1), build (2).
fn version(message: &[u8], flags: Option<NtlmFlags>, offset: usize) -> Option<NtlmVersion> {
    flags.filter(|flags| flags.contains(NtlmFlags::VERSION))?;
    let mut at = Cursor::new(message.get(offset..)?);
    let (major, minor) = (at.u8("ProductMajorVersion").ok()?, at.u8("ProductMinorVersion").ok()?);
    Some(NtlmVersion { major, minor, build: at.u16_le("ProductBuild").ok()? })
}

/// A field's payload: its length (2), room (2) and offset (4) stand at `offset`.
fn field(message: &[u8], offset: usize) -> Option<&[u8]> {
    let mut at = Cursor::new(message.get(offset..)?);
    let length = usize::from(at.u16_le("length").ok()?);
    at.u16_le("room").ok()?;
    let start = usize::try_from(at.u32_le("offset").ok()?).ok()?;
    message.get(start..start.checked_add(length)?)
}

fn challenge(message: &[u8], flags: Option<NtlmFlags>) -> Ntlm {
    let pairs = pairs(field(message, 40).unwrap_or_default());
    let name = |id: u16| pair(&pairs, id).map(|value| text(value, true)).filter(|name| !name.is_empty());
    let time = pair(&pairs, AV_TIMESTAMP).and_then(|value| value.first_chunk::<8>());
    Ntlm::Challenge {
        flags,
        version: version(message, flags, 48),
        computer: name(AV_DNS_COMPUTER).or_else(|| name(AV_NETBIOS_COMPUTER)),
        domain: name(AV_DNS_DOMAIN).or_else(|| name(AV_NETBIOS_DOMAIN)),
        time: time.and_then(|ticks| filetime(i64::from_le_bytes(*ticks))),
    }
}

fn authenticate(message: &[u8], flags: Option<NtlmFlags>) -> Ntlm {
    let unicode = flags.is_none_or(|flags| flags.contains(NtlmFlags::UNICODE));
    let name = |offset: usize| field(message, offset).map(|bytes| text(bytes, unicode));
    let some = |offset: usize| name(offset).filter(|name| !name.is_empty());
    let response = field(message, 20);
    let pairs = pairs(response.and_then(|response| response.get(RESPONSE_PAIRS_AT..)).unwrap_or_default());
    Ntlm::Authenticate {
        flags,
        version: version(message, flags, 64),
        user: some(36),
        domain: some(28),
        workstation: some(44),
        target: pair(&pairs, AV_TARGET_NAME).map(|name| text(name, true)).filter(|name| !name.is_empty()),
        time: response.and_then(response_time),
    }
}

/// The time of an NTLMv2 response; one of NTLMv1 has 24 bytes and no time.
fn response_time(response: &[u8]) -> Option<UnixNanos> {
    let types = response.get(RESPONSE_CHALLENGE_AT..)?.first_chunk::<2>()?;
    let ticks = response.get(RESPONSE_TIME_AT..)?.first_chunk::<8>()?;
    (*types == [1, 1]).then(|| filetime(i64::from_le_bytes(*ticks))).flatten()
}

/// `AV_PAIR`s: id (2), length (2), value, up to the one with id 0.
fn pairs(bytes: &[u8]) -> Vec<(u16, &[u8])> {
    let mut at = Cursor::new(bytes);
    let mut found = Vec::new();
    while found.len() < AV_PAIRS_MAX {
        let (Ok(id), Ok(length)) = (at.u16_le("AvId"), at.u16_le("AvLen")) else { break };
        let Ok(value) = at.slice(usize::from(length), "Value") else { break };
        if id == AV_END {
            break;
        }
        found.push((id, value));
    }
    found
}

fn pair<'a>(pairs: &[(u16, &'a [u8])], id: u16) -> Option<&'a [u8]> {
    pairs.iter().rev().find(|(found, _)| *found == id).map(|(_, value)| *value)
}

/// A `FILETIME` on the clock of the evidence; 0 is no time.
fn filetime(ticks: i64) -> Option<UnixNanos> {
    let since = ticks.checked_sub(UNIX_EPOCH).filter(|_| ticks > 0)?;
    Some(UnixNanos(since.saturating_mul(100)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utf16(name: &str) -> Vec<u8> {
        name.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }

    fn pointer(length: usize, offset: usize) -> Vec<u8> {
        let length = u16::try_from(length).unwrap().to_le_bytes();
        [&length[..], &length, &u32::try_from(offset).unwrap().to_le_bytes()].concat()
    }

    fn av(id: u16, value: &[u8]) -> Vec<u8> {
        [&id.to_le_bytes()[..], &u16::try_from(value.len()).unwrap().to_le_bytes(), value].concat()
    }

    #[test]
    fn names_version_and_target_of_an_authenticate() {
        let (domain, user) = (utf16("LAB"), utf16("al\u{e9}"));
        let mut response = vec![0; RESPONSE_CHALLENGE_AT];
        response.extend([1, 1, 0, 0, 0, 0, 0, 0]);
        response.extend((UNIX_EPOCH + 30_000_000).to_le_bytes());
        response.resize(RESPONSE_PAIRS_AT, 0);
        response.extend(av(AV_TARGET_NAME, &utf16("TERMSRV/h")));
        response.extend(av(AV_END, &[]));
        let mut message = b"NTLMSSP\0\x03\0\0\0".to_vec();
        message.extend(pointer(0, 72));
        message.extend(pointer(response.len(), 72 + domain.len() + user.len()));
        message.extend(pointer(domain.len(), 72));
        message.extend(pointer(user.len(), 72 + domain.len()));
        message.extend(pointer(0, 72));
        message.extend(pointer(0, 72));
        message.extend(0x0200_0001_u32.to_le_bytes());
        message.extend([10, 0, 0x7c, 0x4f, 0, 0, 0, 15]);
        message.extend(domain.iter().chain(&user).chain(&response));
        let named = Ntlm::Authenticate {
            flags: Some(NtlmFlags(0x0200_0001)),
            version: Some(NtlmVersion { major: 10, minor: 0, build: 20348 }),
            user: Some("al\u{e9}".to_owned()),
            domain: Some("LAB".to_owned()),
            workstation: None,
            target: Some("TERMSRV/h".to_owned()),
            time: Some(UnixNanos(3_000_000_000)),
        };
        assert_eq!(ntlm(&message), Some(named));
        // The same bytes as another version of the response tell no time.
        assert_eq!(response_time(&[vec![0; 16], vec![2, 1], vec![9; 26]].concat()), None);
        assert_eq!(response_time(&[1; 24]), None);
        message.truncate(20);
        let Some(Ntlm::Authenticate { user: None, domain: None, version: None, .. }) = ntlm(&message) else {
            panic!("names out of nothing");
        };
    }

    #[test]
    fn the_challenge_names_the_server_and_its_clock() {
        let ticks = UNIX_EPOCH + 10_000_000;
        let mut info = av(AV_NETBIOS_COMPUTER, &utf16("N"));
        info.extend(av(AV_DNS_COMPUTER, &utf16("h.")));
        info.extend(av(AV_TIMESTAMP, &ticks.to_le_bytes()));
        info.extend(av(AV_END, &[]));
        let mut message = b"NTLMSSP\0\x02\0\0\0".to_vec();
        message.extend(pointer(0, 56));
        message.extend(0x0200_0001_u32.to_le_bytes());
        message.resize(40, 0);
        message.extend(pointer(info.len(), 56));
        message.extend([6, 3, 0x80, 0x25, 0, 0, 0, 15]);
        message.extend(info);
        let named = Ntlm::Challenge {
            flags: Some(NtlmFlags(0x0200_0001)),
            version: Some(NtlmVersion { major: 6, minor: 3, build: 9600 }),
            computer: Some("h.".to_owned()),
            domain: None,
            time: Some(UnixNanos(1_000_000_000)),
        };
        assert_eq!(ntlm(&message), Some(named));
        assert_eq!((filetime(0), filetime(-5)), (None, None));
    }

    #[test]
    fn a_negotiate_without_version_has_none() {
        let mut message = b"x\x01NTLMSSP\0\x01\0\0\0".to_vec();
        message.extend(0xe208_8297_u32.to_le_bytes());
        message.extend([0; 16]);
        message.extend([10, 0, 0x61, 0x4a, 0, 0, 0, 15]);
        let build = |bytes: &[u8]| match ntlm(bytes) {
            Some(Ntlm::Negotiate { version, .. }) => version.map(|version| version.build),
            other => panic!("{other:?}"),
        };
        assert_eq!(build(&message), Some(19041));
        message.iter_mut().skip(17).take(1).for_each(|byte| *byte = 0);
        assert_eq!(build(&message), None);
        assert_eq!((ntlm(b"NTLMSSP\0\x09\0\0\0"), ntlm(b"NTLM")), (Some(Ntlm::Other(9)), None));
    }
}
