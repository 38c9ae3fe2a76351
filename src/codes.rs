//! What numbers mean: one table per file under `codes/`, compiled in. A row is `code`, `name`, `meaning`, separated by
//! tabs and sorted by code; the first line names where the numbers come from.

use std::sync::LazyLock;

mod number;

pub use number::{DisconnectReason, ErrorInfo, KerberosError, Status};

/// A table of codes, read once.
#[derive(Debug)]
pub struct Table {
    /// File name, for messages.
    pub file: &'static str,
    /// The file as compiled in.
    pub text: &'static str,
    rows: LazyLock<Vec<Row>>,
}

/// One row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The number.
    pub code: u32,
    /// The constant's name.
    pub name: &'static str,
    /// What it means, in our words.
    pub meaning: &'static str,
}

macro_rules! table {
    ($(#[$doc:meta])* $name:ident, $file:literal) => {
        $(#[$doc])*
        pub static $name: Table = Table {
            file: $file,
            text: include_str!(concat!("codes/", $file)),
            rows: LazyLock::new(|| read(include_str!(concat!("codes/", $file)))),
        };
    };
}

table!(
    /// Reasons that the client gives for an end.
    DISCONNECT_REASONS, "discreason.tsv"
);
table!(
    /// Set Error Info codes.
    ERROR_INFO, "errinfo.tsv"
);
table!(
    /// Extended reasons that the client shows next to its own.
    EXTENDED_REASONS, "extdisc.tsv"
);
table!(
    /// `FailureReason` of Security 4625: the number after `%%`.
    FAILURE_REASONS, "failure_reason.tsv"
);
table!(
    /// Errors of connecting that FreeRDP and xfreerdp print as their last error.
    FREERDP, "freerdp.tsv"
);
table!(
    /// RD Gateway errors, as its events give them.
    GATEWAY, "gateway.tsv"
);
table!(
    /// Kerberos errors.
    KERBEROS, "kerberos.tsv"
);
table!(
    /// Logon types of Security events.
    LOGON_TYPES, "logon_types.tsv"
);
table!(
    /// Errors of licensing messages.
    LICENSE_ERRORS, "license_errors.tsv"
);
table!(
    /// NTSTATUS values about logons and connections.
    NTSTATUS, "ntstatus.tsv"
);
table!(
    /// Reasons of RdpCoreTS event 103 that are no Set Error Info codes.
    RDPCORETS_REASONS, "rdpcorets_reasons.tsv"
);
table!(
    /// Internal states of Schannel that are documented.
    SCHANNEL_STATES, "schannel_states.tsv"
);
table!(
    /// HRESULT values of the security packages.
    SEC_E, "sec_e.tsv"
);
table!(
    /// Win32 and Winsock errors.
    WIN32, "win32.tsv"
);
table!(
    /// TLS alert descriptions.
    TLS_ALERTS, "tls_alerts.tsv"
);

impl Table {
    /// The row of a code.
    #[must_use]
    pub fn row(&self, code: u32) -> Option<&Row> {
        let index = self.rows.binary_search_by_key(&code, |row| row.code).ok()?;
        self.rows.get(index)
    }

    /// Every row, by code.
    #[must_use]
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The name of a code.
    #[must_use]
    pub fn name(&self, code: u32) -> Option<&'static str> {
        self.row(code).map(|row| row.name)
    }

    /// What a code means.
    #[must_use]
    pub fn meaning(&self, code: u32) -> Option<&'static str> {
        self.row(code).map(|row| row.meaning)
    }
}

fn read(text: &'static str) -> Vec<Row> {
    text.lines().filter(|line| !line.starts_with('#')).filter_map(row).collect()
}

fn row(line: &'static str) -> Option<Row> {
    let mut columns = line.split('\t');
    let code = columns.next()?;
    let code = match code.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok()?,
        None => code.parse().ok()?,
    };
    Some(Row { code, name: columns.next()?, meaning: columns.next()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLES: [&Table; 15] = [
        &DISCONNECT_REASONS,
        &ERROR_INFO,
        &EXTENDED_REASONS,
        &FAILURE_REASONS,
        &FREERDP,
        &GATEWAY,
        &KERBEROS,
        &LICENSE_ERRORS,
        &LOGON_TYPES,
        &NTSTATUS,
        &RDPCORETS_REASONS,
        &SCHANNEL_STATES,
        &SEC_E,
        &WIN32,
        &TLS_ALERTS,
    ];

    #[test]
    fn every_line_is_a_row_sorted_by_code_and_the_source_is_named() {
        for table in TABLES {
            let lines = table.text.lines().filter(|line| !line.starts_with('#')).count();
            assert_eq!(table.rows.len(), lines, "{}: a line is not `code, name, meaning`", table.file);
            assert!(table.text.starts_with("# source: "), "{}: no source", table.file);
            assert!(table.rows.is_sorted_by(|a, b| a.code < b.code), "{}: not sorted", table.file);
        }
    }

    #[test]
    fn every_table_is_tested() {
        let files = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/codes");
        let tables = files.read_dir().unwrap().filter(|entry| {
            entry.as_ref().is_ok_and(|entry| entry.path().extension().is_some_and(|end| end == "tsv"))
        });
        assert_eq!(tables.count(), TABLES.len());
    }

    #[test]
    fn a_code_is_found_and_an_unlisted_one_is_not() {
        assert_eq!(TLS_ALERTS.name(70), Some("protocol_version"));
        assert_eq!(TLS_ALERTS.name(200), None);
        assert_eq!(ERROR_INFO.rows.len(), 121);
        assert_eq!(FAILURE_REASONS.name(2313), Some("%%2313"));
    }
}
