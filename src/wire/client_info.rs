//! Client Info (MS-RDPBCGR 2.2.1.11.1.1): who wants to log on, and how. The password is passed over and never kept.

use super::cursor::Cursor;
use super::text::{has_no_nul, text, text_to_nul};

/// `TS_INFO_PACKET`, without its password. Fields that are not there, or behind something damaged, are `None`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClientInfo {
    /// `CodePage`: the code page, or with `INFO_UNICODE` the input locale.
    pub code_page: u32,
    /// `flags`.
    pub flags: u32,
    /// Domain; empty when the client names none.
    pub domain: Option<String>,
    /// User; empty when the client names none.
    pub user: Option<String>,
    /// A password is there.
    pub has_password: bool,
    /// `clientAddressFamily`: 2 is IPv4, 0x17 is IPv6.
    pub address_family: Option<u16>,
    /// Address of the client as it sees itself.
    pub address: Option<String>,
    /// Folder of the client program.
    pub directory: Option<String>,
    /// Minutes that are added to local time to get UTC.
    pub time_zone_bias: Option<i32>,
    /// `StandardName` of the time zone.
    pub time_zone: Option<String>,
    /// `performanceFlags`.
    pub performance: Option<u32>,
    /// An auto-reconnect cookie is there: the client continues a session that it lost.
    pub has_reconnect_cookie: bool,
}

impl ClientInfo {
    /// `INFO_UNICODE`: strings are UTF-16.
    pub const UNICODE: u32 = 0x10;
    /// `INFO_AUTOLOGON`: the server shall log on with what stands here.
    pub const AUTOLOGON: u32 = 0x08;
}

/// Bytes of a time zone (MS-RDPBCGR 2.2.1.11.1.1.1.1).
const TIME_ZONE_BYTES: usize = 172;
/// Bytes of `ARC_CS_PRIVATE_PACKET` (MS-RDPBCGR 2.2.4.3).
const RECONNECT_BYTES: u16 = 28;

/// Reads the packet: code page (4), flags (4), lengths of domain, user, password, shell and folder (2 each, without the
/// ending 0), these strings, then what newer clients add.
///
/// Each string must end with a 0 where its length says, and hold none before: where lengths are wrong, the bytes of the
/// password would else be taken for something else. Nothing behind a string that does not is read.
#[must_use]
pub fn client_info(bytes: &[u8]) -> Option<ClientInfo> {
    let mut at = Cursor::new(bytes);
    let code_page = at.u32_le("CodePage").ok()?;
    let flags = at.u32_le("flags").ok()?;
    let unicode = flags & ClientInfo::UNICODE != 0;
    let mut lengths = [0_u16; 5];
    for length in &mut lengths {
        *length = at.u16_le("length").ok()?;
    }
    let [domain, user, password, shell, folder] = lengths;
    let has_password = password > 0;
    let mut info = ClientInfo { code_page, flags, has_password, ..ClientInfo::default() };
    let names = string(&mut at, domain, unicode).zip(string(&mut at, user, unicode));
    let Some((domain, user)) = names else { return Some(info) };
    let hidden = string(&mut at, password, unicode).is_some();
    if !hidden {
        // Its length is wrong: the names may be part of it.
        return Some(info);
    }
    (info.domain, info.user) = (Some(text(domain, unicode)), Some(text(user, unicode)));
    if [shell, folder].iter().all(|length| string(&mut at, *length, unicode).is_some()) {
        more(&mut at, unicode, &mut info);
    }
    Some(info)
}

/// A string with its ending 0.
fn string<'a>(at: &mut Cursor<'a>, length: u16, unicode: bool) -> Option<&'a [u8]> {
    let bytes = at.slice(usize::from(length), "string").ok()?;
    let end = at.slice(if unicode { 2 } else { 1 }, "end of string").ok()?;
    (has_no_nul(bytes, unicode) && end.iter().all(|byte| *byte == 0)).then_some(bytes)
}

/// `TS_EXTENDED_INFO_PACKET`: address family (2), address and folder (each with a length of 2 bytes that counts the
/// ending 0), time zone (172), session (4), performance flags (4), length of the cookie (2).
fn more(at: &mut Cursor<'_>, unicode: bool, info: &mut ClientInfo) -> Option<()> {
    info.address_family = at.u16_le("clientAddressFamily").ok();
    let length = at.u16_le("cbClientAddress").ok()?;
    info.address = text_to_nul(at.slice(usize::from(length), "clientAddress").ok()?, unicode);
    let length = at.u16_le("cbClientDir").ok()?;
    info.directory = text_to_nul(at.slice(usize::from(length), "clientDir").ok()?, unicode);
    let mut zone = Cursor::new(at.slice(TIME_ZONE_BYTES, "clientTimeZone").ok()?);
    info.time_zone_bias = zone.take::<4>("Bias").ok().map(i32::from_le_bytes);
    info.time_zone = zone.take::<64>("StandardName").ok().and_then(|name| text_to_nul(&name, true));
    at.u32_le("clientSessionId").ok()?;
    info.performance = at.u32_le("performanceFlags").ok();
    info.has_reconnect_cookie = at.u16_le("cbAutoReconnectCookie").ok()? >= RECONNECT_BYTES;
    Some(())
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "tests may panic")]
mod tests {
    use super::*;

    const PASSWORD: &str = "hunter2secret";

    fn utf16(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }

    fn packet(unicode: bool, grow: [i16; 5]) -> Vec<u8> {
        let encode = |text: &str| if unicode { utf16(text) } else { text.as_bytes().to_vec() };
        let strings = ["LAB", "alice", PASSWORD, "", "C:\\"].map(encode);
        let mut bytes = vec![9, 4, 0, 0, if unicode { 0x1b } else { 0x0b }, 1, 0, 0];
        for (string, grow) in strings.iter().zip(grow) {
            let length = i16::try_from(string.len()).unwrap() + grow;
            bytes.extend(length.max(0).to_le_bytes());
        }
        for string in &strings {
            bytes.extend(string);
            bytes.extend(&[0, 0][..if unicode { 2 } else { 1 }]);
        }
        let (address, folder) = (encode("192.0.2.7\0"), encode("C:\\mstscax.dll\0"));
        bytes.extend([2, 0]);
        for string in [address, folder] {
            bytes.extend(u16::try_from(string.len()).unwrap().to_le_bytes());
            bytes.extend(string);
        }
        bytes.extend((-60_i32).to_le_bytes());
        let mut zone = utf16("CET");
        zone.resize(TIME_ZONE_BYTES - 4, 0);
        bytes.extend(zone);
        bytes.extend([0, 0, 0, 0, 7, 0, 0, 0, 28, 0]);
        bytes.extend([1; 28]);
        bytes
    }

    #[test]
    fn all_fields_in_both_encodings() {
        for unicode in [true, false] {
            let info = client_info(&packet(unicode, [0; 5])).unwrap();
            assert_eq!((info.domain.as_deref(), info.user.as_deref()), (Some("LAB"), Some("alice")));
            assert_eq!((info.code_page, info.has_password), (0x409, true));
            assert_eq!((info.address_family, info.address.as_deref()), (Some(2), Some("192.0.2.7")));
            assert_eq!(info.directory.as_deref(), Some("C:\\mstscax.dll"));
            assert_eq!((info.time_zone.as_deref(), info.time_zone_bias), (Some("CET"), Some(-60)));
            assert_eq!((info.performance, info.has_reconnect_cookie), (Some(7), true));
        }
    }

    #[test]
    fn no_byte_of_the_password_is_kept_whatever_the_lengths_say() {
        for unicode in [true, false] {
            for field in 0..5 {
                for grow in -30..=60 {
                    let mut grown = [0; 5];
                    grown[field] = grow;
                    let bytes = packet(unicode, grown);
                    for end in [bytes.len(), 60, 90] {
                        let shown = format!("{:?}", client_info(&bytes[..end.min(bytes.len())]));
                        for part in PASSWORD.as_bytes().windows(4) {
                            let part = String::from_utf8_lossy(part);
                            assert!(!shown.contains(&*part), "field {field} by {grow}: {shown}");
                        }
                    }
                }
            }
        }
    }
}
