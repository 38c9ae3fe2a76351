//! Numbers that Windows gives as a reason, each with the tables that know it.

use super::{ERROR_INFO, NTSTATUS, Row, SEC_E};

/// An NTSTATUS or HRESULT (MS-ERREF 2.1, 2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Status(pub u32);

impl Status {
    /// The row of the table that knows it.
    #[must_use]
    pub fn row(self) -> Option<&'static Row> {
        NTSTATUS.row(self.0).or_else(|| SEC_E.row(self.0))
    }

    /// It says that something failed.
    #[must_use]
    pub const fn is_failure(self) -> bool {
        self.0 != 0
    }

    /// `STATUS_WRONG_PASSWORD (0xc000006a)`, or the bare number.
    #[must_use]
    pub fn words(self) -> String {
        named(self.row(), format!("{:#x}", self.0))
    }
}

/// A code of Set Error Info (MS-RDPBCGR 2.2.5.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ErrorInfo(pub u32);

impl ErrorInfo {
    /// The row of the table that knows it.
    #[must_use]
    pub fn row(self) -> Option<&'static Row> {
        ERROR_INFO.row(self.0)
    }

    /// `ERRINFO_IDLE_TIMEOUT (0x3)`, or the bare number.
    #[must_use]
    pub fn words(self) -> String {
        named(self.row(), format!("{:#x}", self.0))
    }
}

fn named(row: Option<&Row>, number: String) -> String {
    match row {
        Some(row) => format!("{} ({number})", row.name),
        None => number,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_name_of_their_own_table() {
        assert_eq!(Status(0xc000_006a).words(), "STATUS_WRONG_PASSWORD (0xc000006a)");
        assert_eq!(Status(0x8009_030c).words(), "SEC_E_LOGON_DENIED (0x8009030c)");
        assert_eq!(Status(0xdead_beef).words(), "0xdeadbeef");
        assert_eq!(ErrorInfo(7).words(), "ERRINFO_SERVER_DENIED_CONNECTION (0x7)");
        assert_eq!(ErrorInfo(0x7777).words(), "0x7777");
    }
}
