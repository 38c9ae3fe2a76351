//! The command line as a person meets it: clear lines for bad input, the exit status of the contract.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::support::{interrupt, root, run, scratch};

fn sample() -> Vec<u8> {
    std::fs::read(root().join("samples/nla-required/server.pcap")).unwrap()
}

fn lines(bytes: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(bytes).lines().map(str::to_owned).collect()
}

#[test]
fn a_text_file_named_pcap_gets_one_line_and_exit_2() {
    let folder = scratch("text-file");
    std::fs::write(folder.join("notes.pcap"), "hello, this is no capture\n").unwrap();
    let output = run(&folder, &["notes.pcap"]);
    assert_eq!(output.status.code(), Some(2));
    let said = lines(&output.stderr);
    let expected = "note: notes.pcap: not a capture, event log or key log: starts with 68 65 6c 6c 6f 2c 20 74, expected pcap, pcapng, evtx (ElfFile) or lines such as CLIENT_RANDOM, random, secret";
    assert_eq!(said.first().map(String::as_str), Some(expected));
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(output.stdout.is_empty());
}

#[test]
fn an_empty_file_and_a_missing_one_get_a_line_and_the_rest_is_analysed() {
    let folder = scratch("empty-file");
    std::fs::write(folder.join("empty.pcap"), "").unwrap();
    std::fs::write(folder.join("good.pcap"), sample()).unwrap();
    let output = run(&folder, &["empty.pcap", "good.pcap", "missing.pcap"]);
    assert_eq!(output.status.code(), Some(0));
    let said = lines(&output.stderr);
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[0].starts_with("note: empty.pcap: empty file: found 0 bytes"));
    assert!(said[1].starts_with("note: missing.pcap: cannot read: "));
    assert!(String::from_utf8_lossy(&output.stdout).contains("hybrid-required"));
}

#[test]
fn a_cut_capture_is_read_to_its_last_whole_packet_and_the_cut_is_said() {
    let folder = scratch("cut-file");
    let whole = sample();
    std::fs::write(folder.join("cut.pcap"), &whole[..whole.len() - 30]).unwrap();
    let output = run(&folder, &["cut.pcap"]);
    assert_eq!(output.status.code(), Some(0));
    let said = lines(&output.stderr);
    assert_eq!(said.len(), 1);
    assert!(said[0].contains("the file is cut inside a packet"), "{said:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("hybrid-required"));
}

#[test]
fn a_damaged_packet_header_costs_its_packet_only() {
    let folder = scratch("damaged-file");
    let mut bytes = sample();
    let mut at = 24;
    for _ in 0..7 {
        at += 16 + usize::try_from(u32::from_le_bytes(bytes[at + 8..at + 12].try_into().unwrap())).unwrap();
    }
    bytes[at + 8..at + 12].copy_from_slice(&[0xff, 0xff, 0xff, 0x7f]);
    std::fs::write(folder.join("damaged.pcap"), &bytes).unwrap();
    let output = run(&folder, &["damaged.pcap"]);
    let said = lines(&output.stderr);
    assert_eq!(output.status.code(), Some(0));
    assert!(said[0].contains("damaged packet header"), "{said:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("hybrid-required"));
}

#[test]
fn a_folder_without_evidence_says_what_was_looked_for() {
    let folder = scratch("no-evidence");
    std::fs::write(folder.join("readme.txt"), "x").unwrap();
    std::fs::create_dir(folder.join("inner")).unwrap();
    std::fs::write(folder.join("inner/data.bin"), [7; 100]).unwrap();
    let output = run(&folder, &["."]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(
        lines(&output.stderr),
        ["error: no capture or event log under . (looked for pcap, pcapng and evtx; 2 other files)"]
    );
}

#[test]
fn standard_input_is_read() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_rdpwhy"))
        .args(["-", "-q"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&sample()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&output.stdout).contains("hybrid-required"));
}

/// Nobody writes to the pipe: to open it would wait for ever.
#[cfg(unix)]
#[test]
fn a_pipe_is_no_input_and_holds_nothing_up() {
    let folder = scratch("pipe");
    std::fs::copy(root().join("samples/nla-wrong-password/server.pcap"), folder.join("a.pcap")).unwrap();
    assert!(Command::new("mkfifo").arg(folder.join("b.pcap")).status().unwrap().success());
    let output = run(&folder, &["."]);
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&output.stdout).contains("bad-password"));
    let output = run(&folder, &["b.pcap"]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("b.pcap") && said.contains("a pipe or socket") && said.contains("`-`"), "{said}");
}

#[test]
fn the_answer_never_overwrites_an_input_and_replaces_nothing_but_files() {
    let folder = scratch("output");
    let capture = folder.join("in.json");
    let sample = root().join("samples/nla-wrong-password/server.pcap");
    std::fs::copy(&sample, &capture).unwrap();
    let output = run(&folder, &["-o", "./in.json", "in.json"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&output.stderr).contains("would overwrite the input in.json"));
    assert_eq!(std::fs::read(&capture).unwrap(), std::fs::read(&sample).unwrap());
    let output = run(&folder, &["-o", "why.json", "in.json"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(std::fs::read_to_string(folder.join("why.json")).unwrap().starts_with('{'));
    let output = run(&folder, &["-o", "json:.", "in.json"]);
    assert_eq!(output.status.code(), Some(3));
}

/// Names of the files of a folder.
fn names(folder: &std::path::Path) -> Vec<String> {
    let name = |path: std::path::PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
    crate::support::children(folder).into_iter().map(name).collect()
}

#[test]
fn one_run_writes_several_files_and_standard_output_stays_empty_unless_it_is_asked_for() {
    let folder = scratch("several");
    let samples = root().join("samples/nla-required");
    let samples = samples.to_str().unwrap();
    let said = |arguments: &[&str]| {
        let output = run(&folder, &[&["-q", samples], arguments].concat());
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(said(&["-o", "a.json", "-o", "b.txt", "-o", "jsonl:c", "-o", "D.JSON"]), "");
    assert_eq!(names(&folder), ["D.JSON", "a.json", "b.txt", "c"]);
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    assert_eq!(read("a.json"), read("D.JSON"));
    assert_eq!(read("b.txt"), said(&[]));
    assert!(read("c").starts_with("{\"type\":\"tool\""));
    assert_eq!(said(&["-o", "a.json", "-o", "-"]), read("b.txt"));
    assert_eq!(said(&["-o", "a.json", "-o", "jsonl:-"]), read("c"));
    assert_eq!(said(&["-o", "a.json", "--format", "jsonl"]), read("c"), "no file gets it");
    assert_eq!(said(&["-o", "a.json", "--format", "json"]), "");
    assert_eq!(said(&["-o", "answer", "--format", "json"]), "", "a file without ending takes it");
    assert_eq!(read("answer"), read("a.json"));
}

#[test]
fn what_makes_no_sense_as_output_is_a_usage_error_before_anything_is_read() {
    let folder = scratch("output-usage");
    let told = |arguments: &[&str]| {
        let output = run(&folder, &[&["no-such-file"], arguments].concat());
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let twice = "error: two answers for ./a.json: give each a FILE of its own\n";
    assert_eq!(told(&["-o", "a.json", "-o", "./a.json"]), twice);
    let twice = "error: two answers for a.json: give each a FILE of its own\n";
    assert_eq!(told(&["-o", "a.json", "-o", "text:a.json"]), twice);
    let unknown = told(&["-o", "why.xyz"]);
    assert!(unknown.contains("the ending of why.xyz names no format"), "{unknown}");
    assert!(unknown.contains("json (.json)") && unknown.contains("jsonl (.jsonl, .ndjson)"), "{unknown}");
    assert!(told(&["-o", "json:"]).contains("no FILE stands behind"));
    assert!(told(&["-o", "json:-", "-o", "-"]).contains("two answers for standard output"));
    assert!(names(&folder).is_empty());
}

#[test]
fn a_file_that_cannot_be_written_leaves_the_others_whole_and_nothing_half() {
    let folder = scratch("not-written");
    let sample = root().join("samples/nla-required");
    let sample = sample.to_str().unwrap();
    let output = run(&folder, &["-q", sample, "-o", "a.json", "-o", "no/such/b.json"]);
    assert_eq!(output.status.code(), Some(3));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.starts_with("error: cannot write no/such/b.json: "), "{said}");
    assert!(names(&folder).is_empty(), "{:?}", names(&folder));
    if std::path::Path::new("/dev/full").exists() {
        let output = run(&folder, &["-q", sample, "-o", "a.json", "-o", "text:/dev/full", "-o", "c.jsonl"]);
        assert_eq!(output.status.code(), Some(3));
        assert!(String::from_utf8_lossy(&output.stderr).starts_with("error: cannot write /dev/full: "));
        assert_eq!(names(&folder), ["a.json", "c.jsonl"]);
    }
    std::fs::write(folder.join("facts.jsonl"), "{}\n").unwrap();
    let output = run(&folder, &["diagnose", "facts.jsonl", "-o", "facts.jsonl"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&output.stderr).contains("would overwrite the input facts.jsonl"));
}

#[cfg(unix)]
#[test]
fn a_link_stays_and_what_it_leads_to_is_replaced() {
    let folder = scratch("output-link");
    std::fs::create_dir(folder.join("real")).unwrap();
    std::os::unix::fs::symlink("real/why.json", folder.join("why.json")).unwrap();
    std::fs::write(folder.join("real/why.json"), "old").unwrap();
    let sample = root().join("samples/nla-required");
    let output = run(&folder, &["-q", sample.to_str().unwrap(), "-o", "why.json"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(folder.join("why.json").is_symlink());
    assert!(std::fs::read_to_string(folder.join("real/why.json")).unwrap().starts_with('{'));
    assert_eq!(names(&folder.join("real")), ["why.json"]);
}

#[cfg(unix)]
#[test]
fn an_interrupt_leaves_no_file_and_ends_with_130() {
    let folder = scratch("interrupted");
    let mut child = Command::new(env!("CARGO_BIN_EXE_rdpwhy"))
        .args(["-q", "-", "-o", "why.json"])
        .current_dir(&folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // Standard input stays open behind the first packets, so that the program waits for more with its file begun.
    child.stdin.as_mut().unwrap().write_all(&sample()[..5000.min(sample().len())]).unwrap();
    child.stdin.as_mut().unwrap().write_all(&[0; 8192]).unwrap();
    let begun = |_| {
        std::thread::sleep(std::time::Duration::from_millis(50));
        names(&folder).iter().any(|name| name.ends_with(".part"))
    };
    assert!((0..200).any(begun), "no file was begun");
    interrupt(&child);
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(names(&folder).is_empty(), "{:?}", names(&folder));
}

#[test]
fn wildcards_that_no_shell_expanded_are_expanded() {
    let output = run(&root().join("samples"), &["-q", "nla-*/serv?r.pcap"]);
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("of 2 captures"), "{text}");
}

#[test]
fn the_exit_status_follows_the_contract() {
    let folder = root().join("samples");
    let status = |arguments: &[&str]| run(&folder, arguments).status.code();
    assert_eq!(status(&["-q", "nla-required"]), Some(0));
    assert_eq!(status(&["-q", "--fail-on", "broke", "nla-required"]), Some(1));
    assert_eq!(status(&["-q", "--fail-on", "lost", "nla-required/server.pcap"]), Some(0));
    assert_eq!(status(&["--no-such-flag"]), Some(2));
    assert_eq!(status(&[]), Some(2));
    assert_eq!(status(&["-q", "nla-required", "-o", "no/such/folder/x.json"]), Some(3));
}

#[test]
fn an_output_file_appears_whole_with_the_format_of_its_ending() {
    let folder = scratch("output-file");
    let samples = root().join("samples/nla-required");
    let output = run(&folder, &["-q", "-o", "answer.json", samples.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stdout.is_empty());
    let answer: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.join("answer.json")).unwrap()).unwrap();
    assert_eq!(answer["schema_version"], 1);
    assert!(!folder.join("answer.json.part").exists());
}

#[test]
fn a_closed_pipe_is_no_error() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_rdpwhy"))
        .args(["-q", "-v", "samples"])
        .current_dir(root())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn keys_of_the_document_stand_in_the_order_of_the_contract() {
    let output = run(&root().join("samples"), &["-q", "--format", "json", "nla-required"]);
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let keys = |value: &serde_json::Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(
        keys(&answer),
        ["schema_version", "tool", "inputs", "clocks", "attempts", "sessions", "notes"]
    );
    let session = "id aliases client server user legs security negotiation error_info disconnect start end reached broke_at outcome causes witnesses timeline";
    // What the contract does not have stands behind what it has.
    assert_eq!(keys(&answer["sessions"][0]).join(" "), format!("{session} encryption"));
    let attempt = "id sessions outcome broke_at cause confidence start end client server user differs";
    assert_eq!(keys(&answer["attempts"][0]).join(" "), attempt);
    let cause = "id confidence summary remedy for against missing";
    assert_eq!(keys(&answer["sessions"][0]["causes"][0]).join(" "), cause);
}

#[test]
fn explain_tells_codes_and_proposes_near_names() {
    let folder = scratch("explain");
    let output = run(&folder, &["explain", "0x3", "0x7"]);
    assert_eq!(output.status.code(), Some(0));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.starts_with("error code 0x3, extended error code 0x7\n  it proves\n"), "{said}");
    let negative = run(&folder, &["explain", "-1073741715"]);
    assert!(String::from_utf8_lossy(&negative.stdout).contains("STATUS_LOGON_FAILURE"));
    let near = run(&folder, &["explain", "hybrid-reqired"]);
    assert_eq!(near.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&near.stdout).contains("did you mean hybrid-required?"));
    let hostile = run(&folder, &["explain", "\u{1b}[31mred"]);
    assert!(!hostile.stdout.contains(&0x1b));
}

#[test]
fn collect_prints_one_script_or_all() {
    let folder = scratch("collect");
    let all = run(&folder, &["collect"]);
    let said = String::from_utf8_lossy(&all.stdout).into_owned();
    for place in ["client", "gateway", "broker", "server"] {
        assert!(said.contains(&format!("# ===== {place}.ps1")), "{place}");
        let one = run(&folder, &["collect", &format!("--{place}")]);
        let one = String::from_utf8_lossy(&one.stdout).into_owned();
        assert!(one.starts_with("# Evidence of a failed") && said.contains(&one), "{place}");
    }
}

/// Ids of the causes told, in order.
fn causes(arguments: &[&str]) -> Vec<String> {
    let mut all = vec!["samples", "-q", "--format", "json"];
    all.extend(arguments);
    let output = run(&root(), &all);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let attempts = answer["attempts"].as_array().unwrap();
    let sessions: usize = attempts.iter().map(|a| a["sessions"].as_array().unwrap().len()).sum();
    assert_eq!(sessions, answer["sessions"].as_array().unwrap().len(), "every session in one attempt");
    attempts.iter().map(|attempt| attempt["cause"].as_str().unwrap_or("-").to_owned()).collect()
}

#[test]
fn what_the_user_reported_narrows_the_answer() {
    assert_eq!(causes(&[]).len(), 5);
    assert_eq!(causes(&["--user", "LAB\\ALICE"]), ["broker-redirect-failed"]);
    assert_eq!(causes(&["--at", "2026-11-22T06:37:01Z+-2m"]), ["hybrid-required"]);
    assert_eq!(causes(&["--at", "2026-11-22T07:37:01+01:00+-119s"]), ["hybrid-required"]);
    // Without an offset the time is meant in the zone that is asked for.
    let at = "2026-11-22T07:37:01+-2m";
    assert_eq!(causes(&["--at", at, "--timezone", "Europe/Berlin"]), ["hybrid-required"]);
    assert_eq!(causes(&["--at", at]), [""; 0]);
    assert_eq!(
        causes(&["--at", "2026-11-22T06:37Z", "--timezone", "Europe/Berlin"]),
        causes(&["--at", "2026-11-22T06:37"])
    );
    assert_eq!(causes(&["--client", "192.0.2.99"]), [""; 0]);
    assert_eq!(causes(&["--server", "203.0.113.20"]).len(), 5);
    // The ends as a verdict's first line has them.
    assert_eq!(causes(&["--server", "203.0.113.20:3389"]).len(), 5);
    assert_eq!(causes(&["--server", "203.0.113.20:3390"]), [""; 0]);
    assert_eq!(causes(&["--client", "198.51.100.10:49592"]), ["broker-redirect-failed"]);
    assert_eq!(
        causes(&["--said", "Fehlercode: 0x3 Erweiterter Fehlercode: 0x7"]),
        ["broker-redirect-failed"]
    );
}

#[test]
fn a_session_through_a_gateway_is_found_by_the_host_behind_it() {
    let gateway = root().join("tests/captures/lab/gateway-ws-rap-denied");
    for server in ["203.0.113.20", "203.0.113.20:3389", "198.51.100.1:443", "gw01.lab.test"] {
        let output = run(&gateway, &[".", "-q", "--server", server]);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.contains("gw-rap-denied"), "{server}: {said}");
    }
}

#[test]
fn an_error_box_that_nothing_fits_contradicts_every_verdict() {
    let output = run(&root(), &["samples", "-q", "--said", "0x104"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(said.matches("\n  box ").count(), 5, "{said}");
    assert!(said.contains("the error box does not tell of this connection"), "{said}");
}

#[test]
fn a_moment_or_codes_that_make_no_sense_are_usage_errors() {
    let folder = scratch("reported");
    for arguments in [["--at", "yesterday"], ["--at", "2026-11-22T10:00:00Z+-5"], ["--said", "nothing"]] {
        let output = run(&folder, &[arguments[0], arguments[1], "."]);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("expected"), "{arguments:?}");
    }
}

#[test]
fn inputs_are_told_one_by_one() {
    let folder = scratch("inputs");
    std::fs::write(folder.join("good.pcap"), sample()).unwrap();
    std::fs::write(folder.join("bad.pcap"), "nothing").unwrap();
    std::fs::write(folder.join("letter.docx"), "PK").unwrap();
    let output = run(&folder, &["inputs", "-q", "."]);
    assert_eq!(output.status.code(), Some(0));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let good = said.split("good.pcap").nth(1).unwrap();
    assert!(good.contains("  what    pcap, ") && good.contains("  whose   capture point"), "{said}");
    assert!(good.contains("  covers  2026-11-22T06:3") && good.contains(" packets"), "{said}");
    let bad = said.split("bad.pcap").nth(1).unwrap();
    assert!(bad.contains("  note    not a capture, event log or key log"), "{said}");
    assert!(said.contains("passed over in the folders: 1 file that is no evidence"), "{said}");
    assert_eq!(run(&folder, &["inputs", "-q", "bad.pcap"]).status.code(), Some(2));
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    let folder = scratch("no-folder");
    let samples = root().join("samples/cert-expired");
    let samples = samples.to_str().unwrap();
    for output in ["nodir/why.json", "parquet:nodir/tables"] {
        let output = run(&folder, &[samples, "-q", "-o", output]);
        assert_eq!(output.status.code(), Some(3));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains("the folder nodir does not exist"), "{said}");
    }
    let output = run(&folder, &["facts", samples, "-q", "-o", "nodir/facts.jsonl"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("the folder nodir does not exist"));
}

#[test]
fn a_pasted_text_is_explained_from_standard_input_too() {
    let folder = scratch("explain-stdin");
    let piped = |text: &[u8]| {
        let mut child = Command::new(env!("CARGO_BIN_EXE_rdpwhy"))
            .current_dir(&folder)
            .args(["explain", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(text).unwrap();
        let output = child.wait_with_output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let direct = String::from_utf8(run(&folder, &["explain", "0x3", "0x7"]).stdout).unwrap();
    let text = "Fehlercode: 0x3\r\nErweiterter Fehlercode: 0x7\r\n";
    assert_eq!(piped(text.as_bytes()), (Some(0), direct.clone()));
    let wide: Vec<u8> =
        std::iter::once(0xfeff).chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    assert_eq!(piped(&wide), (Some(0), direct));
    let (status, said) = piped("Ein interner Fehler ist aufgetreten.".as_bytes());
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(status == Some(2) && said.contains("its numbers carry") && said.contains("event 1026"), "{said}");
}

#[test]
fn completions_and_the_manual_know_every_command() {
    let folder = scratch("manual");
    let manual = String::from_utf8(run(&folder, &["man"]).stdout).unwrap();
    for command in ["analyze", "facts", "diagnose", "explain", "collect", "inputs", "completions", "man"] {
        assert!(manual.contains(&format!("rdpwhy\\-{command}")), "{command}");
        for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
            let output = run(&folder, &["completions", shell]);
            assert!(output.status.success());
            assert!(String::from_utf8_lossy(&output.stdout).contains(command), "{command} in {shell}");
        }
    }
}

fn typed_into_explain(text: &str) -> std::process::Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_rdpwhy"))
        .args(["explain", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn explain_says_that_a_long_text_was_cut() {
    let filled = |bytes: usize| format!("0x3 0x7\n{}", "x ".repeat(bytes / 2));
    let output = typed_into_explain(&filled(64 * 1024));
    assert_eq!(output.status.code(), Some(0));
    let said = lines(&output.stderr);
    assert!(
        said.len() == 1 && said[0].starts_with("note: -: ") && said[0].contains("65536 bytes"),
        "{said:?}"
    );
    let output = typed_into_explain(&filled(60 * 1024));
    assert!(output.stderr.is_empty(), "{:?}", lines(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stdout).contains("extended error code 0x7"));
}

#[test]
fn a_key_log_that_cannot_be_read_is_an_error_and_the_rest_is_analysed() {
    let folder = scratch("no-key-log");
    std::fs::write(folder.join("good.pcap"), sample()).unwrap();
    std::fs::create_dir(folder.join("folder")).unwrap();
    for missing in ["missing.keys", "folder"] {
        for arguments in [
            &["good.pcap", "--keylog", missing][..],
            &["facts", "good.pcap", "--keylog", missing, "-o", "f.jsonl"],
            &["inputs", "good.pcap", "--keylog", missing],
        ] {
            let output = run(&folder, arguments);
            assert_eq!(output.status.code(), Some(2), "{arguments:?}");
            let said = lines(&output.stderr);
            let expected = format!("error: --keylog {missing}: it could not be read");
            assert!(said.last().is_some_and(|last| last.starts_with(&expected)), "{said:?}");
        }
    }
    let output = run(&folder, &["good.pcap", "--keylog", "missing.keys", "-q"]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("hybrid-required"));
    std::fs::write(folder.join("k.log"), "").unwrap();
    let output = run(&folder, &["good.pcap", "--keylog", "k.log"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(lines(&output.stderr)[0].starts_with("note: k.log: empty key log"));
}

#[test]
fn a_cut_zip_and_a_cut_gzip_are_told_in_words_of_people() {
    let folder = scratch("cut-archives");
    std::fs::write(folder.join("cut.zip"), [b"PK\x03\x04".as_slice(), &[0; 200]].concat()).unwrap();
    let output = run(&folder, &["cut.zip"]);
    assert_eq!(output.status.code(), Some(2));
    let said = lines(&output.stderr);
    let expected = "note: cut.zip: cannot read: found no whole directory at the end of this zip, expected its end record";
    assert!(said[0].starts_with(expected), "{said:?}");
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(&sample()).unwrap();
    let packed = packed.finish().unwrap();
    std::fs::write(folder.join("cut.pcap.gz"), &packed[..packed.len() / 2]).unwrap();
    let said = lines(&run(&folder, &["cut.pcap.gz"]).stderr);
    assert!(
        said[0].contains("what is compressed is cut or damaged") && said[0].contains("read before that"),
        "{said:?}"
    );
}

#[test]
fn the_script_for_fish_knows_the_shells() {
    let output = run(&scratch("fish"), &["completions", "fish"]);
    let script = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        script.contains("using_subcommand completions\" -f -a \"bash elvish fish powershell zsh\""),
        "{script}"
    );
}
