//! What numbers mean: one table per file under `codes/`, compiled in. A row is `code`, `name`, `meaning`, separated by
//! tabs and sorted by code; the first line names where the numbers come from.

use std::sync::LazyLock;

mod number;

pub use number::{ErrorInfo, Status};

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
    /// Set Error Info codes.
    ERROR_INFO, "errinfo.tsv"
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
    /// HRESULT values of the security packages.
    SEC_E, "sec_e.tsv"
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

    const TABLES: [&Table; 5] = [&ERROR_INFO, &LICENSE_ERRORS, &NTSTATUS, &SEC_E, &TLS_ALERTS];

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
    fn a_code_is_found_and_an_unlisted_one_is_not() {
        assert_eq!(TLS_ALERTS.name(70), Some("protocol_version"));
        assert_eq!(TLS_ALERTS.name(200), None);
    }
}
