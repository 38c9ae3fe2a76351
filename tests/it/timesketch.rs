//! Timelines for Timesketch, read by its own importer.

use std::process::Command;

use serde_json::Value;

use crate::support::{root, run, scratch};

#[test]
fn the_importer_takes_every_event_as_it_is() {
    let python = std::env::var_os("RDPWHY_PYTHON").unwrap_or_else(|| "python3".into());
    let there = Command::new(&python).args(["-c", "import timesketch_import_client.importer"]).output();
    if !there.is_ok_and(|output| output.status.success()) {
        assert!(
            std::env::var_os("RDPWHY_REQUIRE_TOOLS").is_none(),
            "no Python with timesketch-import-client"
        );
        aloud!("SKIPPED: no Python with timesketch-import-client (set RDPWHY_PYTHON)");
        return;
    }
    let folder = scratch("timesketch-import");
    let file = folder.join("timeline.jsonl");
    let output = run(&root(), &["-q", "samples", "-o", &format!("timesketch:{}", file.display())]);
    assert!(output.status.success());
    let script = root().join("tests/it/timesketch_import.py");
    let output = Command::new(&python).arg(script).arg(&file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["complaints"], Value::Array(Vec::new()));
    let text = std::fs::read_to_string(&file).unwrap();
    let written: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let taken = told["events"].as_array().unwrap();
    assert!(written.len() > 100 && taken.len() == written.len(), "{} of {}", taken.len(), written.len());
    // It renames, adds and converts what it does not know: here nothing.
    for (taken, written) in taken.iter().zip(&written) {
        assert_eq!(taken, written);
        for column in ["message", "datetime", "timestamp_desc"] {
            assert!(taken[column].as_str().is_some_and(|text| !text.is_empty()), "{column} of {taken}");
        }
    }
}
