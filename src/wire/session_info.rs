//! Save Session Info (MS-RDPBCGR 2.2.10.1): what the server tells of the logon, its errors and the auto-reconnect cookie.

use super::cursor::Cursor;
use super::text::text_to_nul;

/// `ErrorNotificationType` (MS-RDPBCGR 2.2.10.1.1.4.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogonErrorType(pub u32);

impl LogonErrorType {
    /// The session goes on: no error.
    pub const SESSION_CONTINUE: Self = Self(0xffff_fffe);
    /// Winlogon asks which session shall give way.
    pub const BUMP_OPTIONS: Self = Self(0xffff_fffb);
    /// The user of the session did not give way.
    pub const DISCONNECT_REFUSED: Self = Self(0xffff_fff9);
    /// The session is busy.
    pub const SESSION_BUSY_OPTIONS: Self = Self(0xffff_fff8);

    /// The constant's name, or `None` for an unlisted number.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            0xffff_ffff => "LOGON_MSG_ACCESS_DENIED",
            0xffff_fffe => "LOGON_MSG_SESSION_CONTINUE",
            0xffff_fffd => "LOGON_MSG_SESSION_TERMINATE",
            0xffff_fffc => "LOGON_MSG_RECONNECT_OPTIONS",
            0xffff_fffb => "LOGON_MSG_BUMP_OPTIONS",
            0xffff_fffa => "LOGON_MSG_NO_PERMISSION",
            0xffff_fff9 => "LOGON_MSG_DISCONNECT_REFUSED",
            0xffff_fff8 => "LOGON_MSG_SESSION_BUSY_OPTIONS",
            _ => return None,
        })
    }
}

/// `ErrorNotificationData`, where it is no session id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogonErrorData(pub u32);

impl LogonErrorData {
    /// The credentials are wrong.
    pub const BAD_PASSWORD: Self = Self(0);
    /// The password must be changed.
    pub const UPDATE_PASSWORD: Self = Self(1);

    /// The constant's name, or `None` for a session id.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            0 => "LOGON_FAILED_BAD_PASSWORD",
            1 => "LOGON_FAILED_UPDATE_PASSWORD",
            2 => "LOGON_FAILED_OTHER",
            3 => "LOGON_WARNING",
            _ => return None,
        })
    }
}

/// What the server tells.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SessionInfo {
    /// `infoType`: 0 and 1 tell who is logged on, 2 only that, 3 more.
    pub kind: u32,
    /// Domain of the user.
    pub domain: Option<String>,
    /// User.
    pub user: Option<String>,
    /// Session on the server.
    pub session_id: Option<u32>,
    /// An auto-reconnect cookie was given.
    pub has_reconnect_cookie: bool,
    /// Notification type and data.
    pub error: Option<(LogonErrorType, LogonErrorData)>,
}

const LOGON: u32 = 0;
const LOGON_LONG: u32 = 1;
const EXTENDED: u32 = 3;
const HAS_COOKIE: u32 = 1;
const HAS_ERRORS: u32 = 2;

/// Reads `TS_SAVE_SESSION_INFO_PDU_DATA`: `infoType` (4), then what belongs to it.
#[must_use]
pub fn session_info(bytes: &[u8]) -> Option<SessionInfo> {
    let mut at = Cursor::new(bytes);
    let kind = at.u32_le("infoType").ok()?;
    let mut info = SessionInfo { kind, ..SessionInfo::default() };
    match kind {
        LOGON => logon(&mut at, &mut info),
        LOGON_LONG => logon_long(&mut at, &mut info),
        EXTENDED => extended(&mut at, &mut info),
        _ => None,
    };
    Some(info)
}

/// `TS_LOGON_INFO`: length (4) and domain (52), length (4) and user (512), session (4).
fn logon(at: &mut Cursor<'_>, info: &mut SessionInfo) -> Option<()> {
    at.u32_le("cbDomain").ok()?;
    info.domain = text_to_nul(at.slice(52, "Domain").ok()?, true);
    at.u32_le("cbUserName").ok()?;
    info.user = text_to_nul(at.slice(512, "UserName").ok()?, true);
    info.session_id = at.u32_le("SessionId").ok();
    Some(())
}

/// `TS_LOGON_INFO_VERSION_2`: version (2), size (4), session (4), lengths of domain and user (4 each), padding (558), both.
fn logon_long(at: &mut Cursor<'_>, info: &mut SessionInfo) -> Option<()> {
    at.take::<6>("Version, Size").ok()?;
    info.session_id = at.u32_le("SessionId").ok();
    let domain = usize::try_from(at.u32_le("cbDomain").ok()?).ok()?;
    let user = usize::try_from(at.u32_le("cbUserName").ok()?).ok()?;
    at.slice(558, "Pad").ok()?;
    info.domain = text_to_nul(at.slice(domain, "Domain").ok()?, true);
    info.user = text_to_nul(at.slice(user, "UserName").ok()?, true);
    Some(())
}

/// `TS_LOGON_INFO_EXTENDED`: length (2), fields present (4), each field with a length (4): the cookie, then the errors.
fn extended(at: &mut Cursor<'_>, info: &mut SessionInfo) -> Option<()> {
    at.u16_le("Length").ok()?;
    let present = at.u32_le("FieldsPresent").ok()?;
    if present & HAS_COOKIE != 0 {
        let length = usize::try_from(at.u32_le("cbFieldData").ok()?).ok()?;
        at.slice(length, "AutoReconnectCookie").ok()?;
        info.has_reconnect_cookie = true;
    }
    if present & HAS_ERRORS != 0 {
        at.u32_le("cbFieldData").ok()?;
        let kind = LogonErrorType(at.u32_le("ErrorNotificationType").ok()?);
        info.error = Some((kind, LogonErrorData(at.u32_le("ErrorNotificationData").ok()?)));
    }
    Some(())
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, reason = "tests may panic")]
mod tests {
    use super::*;

    fn utf16(text: &str, length: usize) -> Vec<u8> {
        let mut bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        bytes.resize(length, 0);
        bytes
    }

    #[test]
    fn who_is_logged_on_in_both_versions() {
        let mut first = vec![0, 0, 0, 0, 8, 0, 0, 0];
        first.extend(utf16("LAB", 52));
        first.extend([4, 0, 0, 0]);
        first.extend(utf16("me", 512));
        first.extend([3, 0, 0, 0]);
        let mut second = vec![1, 0, 0, 0, 1, 0, 0x12, 0, 0, 0, 3, 0, 0, 0, 8, 0, 0, 0, 6, 0, 0, 0];
        second.extend([0; 558]);
        second.extend(utf16("LAB", 8));
        second.extend(utf16("me", 6));
        for bytes in [first, second] {
            let info = session_info(&bytes).unwrap();
            assert_eq!((info.domain.as_deref(), info.user.as_deref()), (Some("LAB"), Some("me")));
            assert_eq!(info.session_id, Some(3));
            assert_eq!(session_info(&bytes[..30]).unwrap().user, None);
        }
    }

    #[test]
    fn errors_stand_behind_the_cookie() {
        let mut bytes = vec![3, 0, 0, 0, 0x32, 0, 3, 0, 0, 0, 28, 0, 0, 0];
        bytes.extend([5; 28]);
        bytes.extend([8, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
        let info = session_info(&bytes).unwrap();
        assert!(info.has_reconnect_cookie);
        let (kind, data) = info.error.unwrap();
        assert_eq!(
            (kind.name(), data.name()),
            (Some("LOGON_MSG_ACCESS_DENIED"), Some("LOGON_FAILED_BAD_PASSWORD"))
        );
        assert_eq!((LogonErrorType(5).name(), LogonErrorData(9).name()), (None, None));
        assert_eq!(session_info(&[9, 0, 0, 0]).map(|info| info.kind), Some(9));
    }
}
