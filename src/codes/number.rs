//! Numbers that Windows gives as a reason, each with the tables that know it.

use super::{
    DISCONNECT_REASONS, ERROR_INFO, GATEWAY, KERBEROS, NTSTATUS, RDPCORETS_REASONS, Row, SEC_E, WIN32,
};

/// Facility bit that an HRESULT made of an NTSTATUS has.
const FROM_NT: u32 = 0x1000_0000;
/// An HRESULT made of a Win32 error.
const FROM_WIN32: u32 = 0x8007_0000;
/// An NTSTATUS made of a Win32 error, of facility `FACILITY_NTWIN32` (MS-ERREF 2.3). Windows sends none; FreeRDP and IronRDP
/// make one of the last error, or of the low half of an HRESULT.
const NT_FROM_WIN32: u32 = 0xc007_0000;
/// An HRESULT of security packages (MS-ERREF 2.1.1).
const SECURITY: u32 = 0x8009_0000;
/// Win32 errors of a logon (MS-ERREF 2.2), and the NTSTATUS they are made of.
const LOGON_ERRORS: [(u32, u32); 14] = [
    (1311, 0xc000_005e),
    (1317, 0xc000_0064),
    (1323, 0xc000_006a),
    (1326, 0xc000_006d),
    (1327, 0xc000_006e),
    (1328, 0xc000_006f),
    (1329, 0xc000_0070),
    (1330, 0xc000_0071),
    (1331, 0xc000_0072),
    (1385, 0xc000_015b),
    (1398, 0xc000_0133),
    (1793, 0xc000_0193),
    (1907, 0xc000_0224),
    (1909, 0xc000_0234),
];

/// An NTSTATUS or HRESULT (MS-ERREF 2.1, 2.3), or a Win32 error (2.2) where an event gives one in the same field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Status(pub u32);

impl Status {
    /// The row of the table that knows it.
    #[must_use]
    pub fn row(self) -> Option<&'static Row> {
        match self.plain() {
            0 => NTSTATUS.row(0),
            code if code & 0xffff_0000 == FROM_WIN32 => of_win32(code & 0xffff),
            code if code < 0x1_0000 => of_win32(code),
            code => NTSTATUS.row(code).or_else(|| SEC_E.row(code)),
        }
    }

    /// The number without the bit that says that an NTSTATUS became an HRESULT: `0xd0000184` is `0xc0000184`. Of an
    /// NTSTATUS made of another number, that number: `0xc007052e` is `0xc000006d`, `0xc007030c` is `0x8009030c`.
    #[must_use]
    pub fn plain(self) -> u32 {
        if self.0 & 0xf000_0000 == 0xd000_0000 {
            return self.0 & !FROM_NT;
        }
        if self.0 & 0xffff_0000 != NT_FROM_WIN32 {
            return self.0;
        }
        let low = self.0 & 0xffff;
        let logon = LOGON_ERRORS.iter().find(|(win32, _)| *win32 == low).map(|(_, status)| *status);
        // No Win32 error of 0x300 to 0x3ff is one of a logon.
        let package = SEC_E.row(SECURITY | low).filter(|_| low >> 8 == 3).map(|row| row.code);
        logon.or(package).unwrap_or(FROM_WIN32 | low)
    }

    /// It says that something failed and not what: an error that was left over from elsewhere, made an NTSTATUS.
    #[must_use]
    pub fn says_nothing(self) -> bool {
        self.0 & 0xffff_0000 == NT_FROM_WIN32 && self.plain() & 0xffff_0000 == FROM_WIN32
    }

    /// It says that something failed.
    #[must_use]
    pub const fn is_failure(self) -> bool {
        self.0 != 0
    }

    /// The number of an RD Gateway error (MS-TSGU 2.2.6), alone as its events have it or in an HRESULT as the wire has it.
    #[must_use]
    pub fn gateway(self) -> Option<u32> {
        let code = if self.0 & 0xffff_0000 == FROM_WIN32 { self.0 & 0xffff } else { self.0 };
        GATEWAY.row(code).map(|row| row.code)
    }

    /// `STATUS_WRONG_PASSWORD (0xc000006a)`, or the bare number.
    #[must_use]
    pub fn words(self) -> String {
        named(self.row(), format!("{:#x}", self.0))
    }
}

fn of_win32(code: u32) -> Option<&'static Row> {
    WIN32.row(code).or_else(|| GATEWAY.row(code))
}

/// A code of Set Error Info (MS-RDPBCGR 2.2.5.1.1), which RdpCoreTS and the session manager log as the reason of an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ErrorInfo(pub u32);

impl ErrorInfo {
    /// The row of the table that knows it; a few reasons stand in logs only.
    #[must_use]
    pub fn row(self) -> Option<&'static Row> {
        ERROR_INFO.row(self.0).or_else(|| RDPCORETS_REASONS.row(self.0)).or_else(|| Status(self.0).row())
    }

    /// `ERRINFO_IDLE_TIMEOUT (0x3)`, or the bare number.
    #[must_use]
    pub fn words(self) -> String {
        named(self.row(), format!("{:#x}", self.0))
    }
}

/// The reason that a client gives for an end (`IMsTscAxEvents::OnDisconnected`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DisconnectReason(pub u32);

impl DisconnectReason {
    /// The row of the table that knows it.
    #[must_use]
    pub fn row(self) -> Option<&'static Row> {
        DISCONNECT_REASONS.row(self.0)
    }

    /// The name of the server could not be looked up.
    #[must_use]
    pub const fn is_look_up(self) -> bool {
        matches!(self.0, 0x104 | 0x508 | 0x604)
    }

    /// The client does not accept the certificate of the RD Gateway, or the gateway has none.
    #[must_use]
    pub const fn is_gateway_certificate(self) -> bool {
        matches!(self.0, 0x300_0002..=0x300_0007 | 0x300_0028)
    }

    /// The client could not reach the RD Gateway.
    #[must_use]
    pub const fn is_gateway_unreached(self) -> bool {
        self.0 == 0x300_000c
    }

    /// `disconnectReasonByServer (0x3)`, or the bare number.
    #[must_use]
    pub fn words(self) -> String {
        named(self.row(), format!("{:#x}", self.0))
    }
}

/// A Kerberos error (RFC 4120 7.5.9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KerberosError(pub u32);

impl KerberosError {
    /// The row of the table that knows it.
    #[must_use]
    pub fn row(self) -> Option<&'static Row> {
        KERBEROS.row(self.0)
    }

    /// It is part of every success: proof is asked for first, the answer is too big for UDP, user-to-user is needed.
    #[must_use]
    pub const fn is_normal_step(self) -> bool {
        matches!(self.0, 0x19 | 0x1b | 0x34)
    }

    /// `KDC_ERR_PREAUTH_FAILED (0x18)`, or the bare number.
    #[must_use]
    pub fn words(self) -> String {
        named(self.row(), format!("{:#x}", self.0))
    }
}

fn named(row: Option<&Row>, number: String) -> String {
    match row {
        Some(row) if row.name != "undocumented" => format!("{} ({number})", row.name),
        _ => number,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_made_of_another_number_is_that_number() {
        assert_eq!(Status(0xd000_0184).plain(), 0xc000_0184);
        assert_eq!(Status(0xc007_052e).plain(), 0xc000_006d);
        assert_eq!(Status(0xc007_0775).plain(), 0xc000_0234);
        assert_eq!(Status(0xc007_030c).plain(), 0x8009_030c);
        assert_eq!(Status(0xc007_00ea).plain(), 0x8007_00ea);
        assert_eq!(Status(0x8007_052e).plain(), 0x8007_052e);
        let silent = [0xc007_00ea, 0xc007_0005, 0xc007_052e, 0xc007_030c, 0x8007_00ea, 0xc000_0022];
        let silent = silent.map(|code| Status(code).says_nothing());
        assert_eq!(silent, [true, true, false, false, false, false]);
    }

    #[test]
    fn a_status_is_found_in_each_of_its_forms() {
        let words = |code| Status(code).words();
        assert_eq!(words(0xc000_006a), "STATUS_WRONG_PASSWORD (0xc000006a)");
        assert_eq!(words(0xd000_0184), "STATUS_INVALID_DEVICE_STATE (0xd0000184)");
        assert_eq!(words(0x8007_0040), "ERROR_NETNAME_DELETED (0x80070040)");
        assert_eq!(words(0x8009_030c), "SEC_E_LOGON_DENIED (0x8009030c)");
        assert_eq!(words(23003), "E_PROXY_NAP_ACCESSDENIED (0x59db)");
        assert_eq!(words(0x8007_59da), "E_PROXY_RAP_ACCESSDENIED (0x800759da)");
        assert_eq!(
            [23002, 0x8007_59da, 5, 0x8007_0005].map(|code| Status(code).gateway()),
            [Some(23002), Some(23002), None, None]
        );
        assert_eq!(words(0xdead_beef), "0xdeadbeef");
    }

    #[test]
    fn reasons_have_the_name_of_their_own_table() {
        assert_eq!(ErrorInfo(7).words(), "ERRINFO_SERVER_DENIED_CONNECTION (0x7)");
        assert_eq!(ErrorInfo(14).words(), "connection lost (0xe)");
        assert_eq!(ErrorInfo(0xd000_0001).words(), "STATUS_UNSUCCESSFUL (0xd0000001)");
        assert_eq!(DisconnectReason(0x904).words(), "disconnectReasonAtClientWinsockFDCLOSE (0x904)");
        assert_eq!(DisconnectReason(1800).words(), "0x708");
        assert_eq!(KerberosError(0x18).words(), "KDC_ERR_PREAUTH_FAILED (0x18)");
        assert!(KerberosError(0x19).is_normal_step() && !KerberosError(0x18).is_normal_step());
    }
}
