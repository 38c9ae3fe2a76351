//! Long work shows itself: lines on a pipe, and an interrupt that says how far it came and leaves no half file.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rdpwhy_lab::capture::{Conversation, Endpoint, LINKTYPE_ETHERNET, PcapWriter};

use crate::support::{children, interrupt, root, run, scratch};

const REQUEST: &[u8] = &[3, 0, 0, 19, 14, 0xe0, 0, 0, 0, 0, 0, 1, 0, 8, 0, 3, 0, 0, 0];

/// A capture of several MB with one connection of RDP.
fn large() -> Vec<u8> {
    let end = |text: &str| Endpoint::new(text.parse().unwrap());
    let mut talk =
        Conversation::new(end("198.51.100.7:50112"), end("203.0.113.20:3389"), 1_740_000_000_000_000_000);
    talk.handshake().client_sends(REQUEST);
    for _ in 0..400 {
        talk.server_sends(&[0x17; 14_000]);
    }
    let mut pcap = PcapWriter::new(Vec::new(), LINKTYPE_ETHERNET).unwrap();
    talk.finish().iter().for_each(|frame| pcap.frame(frame).unwrap());
    pcap.finish().unwrap()
}

/// Runs over a folder of large captures and standard input, which stays open: the work does not end by itself.
fn begun(folder: &Path, arguments: &[&str]) -> Child {
    let capture = large();
    std::fs::create_dir(folder.join("in")).unwrap();
    (0..4).for_each(|number| std::fs::write(folder.join(format!("in/{number}.pcap")), &capture).unwrap());
    let mut child = Command::new(env!("CARGO_BIN_EXE_rdpwhy"))
        .current_dir(folder)
        .args(arguments)
        .args(["in", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.as_mut().unwrap().write_all(&capture).unwrap();
    child
}

#[cfg(unix)]
#[test]
fn an_interrupt_says_how_far_it_came_and_leaves_no_half_file() {
    for (name, arguments) in [
        ("analyze", vec!["-v", "-o", "why.json", "-o", "text:why.txt"]),
        ("facts", vec!["facts", "-o", "facts.jsonl"]),
        ("slice", vec!["slice", "-v", "-o", "x.pcapng", "198.51.100.7"]),
        ("inputs", vec!["inputs"]),
    ] {
        let folder = scratch(&format!("interrupt-{name}"));
        let mut child = begun(&folder, &arguments);
        // Held open to the end: waiting for the child would close it, and the work might end before the interrupt.
        let _input = child.stdin.take();
        let mut said = BufReader::new(child.stderr.take().unwrap());
        if arguments.contains(&"-v") {
            let mut line = String::new();
            while !line.contains("connection") {
                line.clear();
                assert!(said.read_line(&mut line).unwrap() > 0, "{name}: it ended");
                assert!(line.starts_with("reading, "), "{name}: {line}");
            }
            assert!(line.contains("/s"), "{line}");
        } else {
            // The input is read as soon as what was written to the pipe fits into it no more.
            std::thread::sleep(std::time::Duration::from_millis(300));
        }
        interrupt(&child);
        assert_eq!(child.wait().unwrap().code(), Some(130), "{name}");
        let mut rest = String::new();
        said.read_to_string(&mut rest).unwrap();
        let last = rest.lines().last().unwrap_or_default();
        assert!(last.starts_with("interrupted: "), "{name}: {rest}");
        let begins_files = matches!(name, "analyze" | "facts");
        assert_eq!(last.ends_with("; the files that were begun are removed"), begins_files, "{name}: {rest}");
        let left = children(&folder);
        assert_eq!(left, [folder.join("in")], "{name}");
    }
}

#[test]
fn nothing_is_shown_of_short_work_or_where_it_is_not_asked_for() {
    for arguments in [&["-v", "samples"][..], &["samples"]] {
        let output = run(&root(), arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.lines().all(|line| line.starts_with("note: ")), "{said}");
    }
}
