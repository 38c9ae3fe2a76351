//! TLS of every version and suite in captures of our own: opened they all say the same, and closed the same by sizes.

use std::path::{Path, PathBuf};
use std::process::Command;

use rdpwhy::fact::{Side, What};
use rdpwhy::read::flow::Flow;
use rdpwhy::read::{Unwatched, inputs};
use rdpwhy::session::Session;
use rdpwhy::wire::community_id;
use rdpwhy::wire::tls::{ContentType, Overhead, Suite, TlsVersion, record_header};
use rdpwhy::{Analysis, Options, analyze};

use crate::support::{children, corpus, root};

/// Captures made by `lab/runner/rdplab/tls_suites.py`.
fn captures() -> Vec<PathBuf> {
    let all = children(&root().join("tests/captures/tls"));
    let found: Vec<PathBuf> = all.into_iter().filter(|path| path.extension().unwrap() == "pcap").collect();
    assert!(found.len() >= 16, "{} captures", found.len());
    found
}

fn answer(capture: &Path, with_keys: bool) -> Analysis {
    let keys = with_keys.then(|| capture.with_extension("keys"));
    let options = Options {
        paths: vec![capture.to_path_buf()],
        key_logs: keys.into_iter().collect(),
        ..Options::default()
    };
    let answer = analyze(&options, &Unwatched);
    let notes: Vec<&str> = answer.notes.iter().map(|note| note.text.as_str()).collect();
    assert!(notes.is_empty(), "{}: {notes:?}", capture.display());
    assert_eq!(answer.story.sessions.len(), 1);
    answer
}

fn session(answer: &Analysis) -> &Session {
    &answer.story.sessions[0]
}

/// The facts behind the handshake by name.
fn behind(answer: &Analysis) -> Vec<String> {
    let facts = session(answer).facts.iter().map(|seen| seen.what());
    let from = facts.skip_while(|what| !matches!(what, What::McsConnectInitial { .. }));
    from.map(What::text).collect()
}

#[test]
fn every_suite_is_opened_and_says_the_same() {
    let mut first: Option<Vec<String>> = None;
    for capture in captures() {
        let opened = answer(&capture, true);
        let name = capture.display();
        let told = session(&opened).find(|what| matches!(what, What::TlsOpened { .. })).unwrap();
        assert!(matches!(told.what(), What::TlsOpened { closed_records: 0, .. }), "{name}");
        assert_eq!(session(&opened).error_info().map(|code| code.0), Some(5), "{name}");
        let said = behind(&opened);
        assert!(
            said.iter().any(|line| line.starts_with("user-named user=labuser domain=LAB")),
            "{name}: {said:?}"
        );
        assert_eq!(first.get_or_insert_with(|| said.clone()), &said, "{name}");
    }
}

#[test]
fn every_suite_is_told_by_size_and_position() {
    for capture in captures() {
        let (opened, closed) = (answer(&capture, true), answer(&capture, false));
        let (opened, closed) = (session(&opened), session(&closed));
        let name = capture.display();
        let steps = |session: &Session| -> Vec<&'static str> {
            let told = session.facts.iter().map(|seen| seen.what().name());
            let wanted = [
                "mcs-connect-initial",
                "mcs-attached",
                "client-info",
                "demand-active",
                "confirm-active",
                "finalized",
            ];
            told.filter(|name| wanted.contains(name)).collect()
        };
        assert_eq!(steps(opened), steps(closed), "{name}");
        assert!(closed.find(|what| matches!(what, What::ErrorInfoShaped { .. })).is_some(), "{name}");
    }
}

/// Without a packet in the middle, what came before it stays opened in every suite, and no record opens to garbage.
#[test]
fn a_gap_ends_or_interrupts_the_opening_and_what_came_before_stands() {
    for capture in captures() {
        let bytes = std::fs::read(&capture).unwrap();
        let keys = std::fs::read(capture.with_extension("keys")).unwrap();
        let whole = behind(&answer(&capture, true));
        for left_out in [16, 24, 30] {
            let files = vec![
                ("a.pcap".to_owned(), without_packet(&bytes, left_out)),
                ("k.log".to_owned(), keys.clone()),
            ];
            let cut = rdpwhy::analyze_inventory(inputs::held(files), &Unwatched);
            let session = &cut.story.sessions[0];
            assert!(
                session.find(|what| matches!(what, What::TlsOpened { .. })).is_some(),
                "{} {left_out}",
                capture.display()
            );
            for seen in &session.facts {
                let is_opened = seen.reading() == rdpwhy::fact::Reading::Opened;
                let text = seen.what().text();
                let new = is_opened && !whole.contains(&text);
                let expected = ["tls-opened", "mcs-joined", "certificate", "tls-finished", "encrypted-alert"];
                assert!(
                    !new || expected.contains(&seen.what().name()),
                    "{} {left_out}: {text}",
                    capture.display()
                );
            }
        }
    }
}

fn without_packet(capture: &[u8], left_out: usize) -> Vec<u8> {
    let (mut kept, mut at, mut number) = (capture[..24].to_vec(), 24, 0);
    while at < capture.len() {
        let length =
            16 + usize::try_from(u32::from_le_bytes(capture[at + 8..at + 12].try_into().unwrap())).unwrap();
        number += 1;
        if number != left_out {
            kept.extend(&capture[at..at + length]);
        }
        at += length;
    }
    kept
}

/// Every row of `knowledge/record_overhead.tsv`, as suite and version: what a record adds to 4, 15, 36, 9 and 462 bytes.
const ROWS: &[(&str, u16, TlsVersion, [u32; 5])] = &[
    ("TLS1.2 AES-GCM", 0xc030, TlsVersion::TLS12, [28, 39, 60, 33, 486]),
    ("TLS1.2 ChaCha20-Poly1305", 0xcca8, TlsVersion::TLS12, [20, 31, 52, 25, 478]),
    ("TLS1.3 any AEAD", 0x1302, TlsVersion::TLS13, [21, 32, 53, 26, 479]),
    ("TLS1.1/1.2 AES-CBC-SHA1", 0xc014, TlsVersion::TLS12, [48, 64, 80, 48, 512]),
    ("TLS1.2 AES-CBC-SHA256", 0xc027, TlsVersion::TLS12, [64, 64, 96, 64, 512]),
    ("TLS1.2 AES-CBC-SHA384", 0xc028, TlsVersion::TLS12, [80, 80, 112, 80, 528]),
    ("TLS1.0 AES-CBC-SHA1", 0x002f, TlsVersion::TLS10, [32, 48, 64, 32, 496]),
];
const PLAIN: [u32; 5] = [4, 15, 36, 9, 462];

#[test]
fn overheads_are_those_of_the_table() {
    for (name, suite, version, records) in ROWS {
        let overhead = Suite(*suite).overhead(*version, false);
        for (plain, record) in PLAIN.into_iter().zip(records) {
            assert_eq!(overhead.record(plain), *record, "{name}: {plain} bytes");
            let (low, high) = overhead.plaintext(*record);
            assert!(
                (low..=high).contains(&plain),
                "{name}: {record} bytes hold {low} to {high}, not {plain}"
            );
        }
    }
    let Some(folder) = corpus("") else { return };
    let table = folder.join("../knowledge/record_overhead.tsv");
    let Ok(table) = std::fs::read_to_string(&table) else {
        aloud!("SKIPPED: no {}", table.display());
        return;
    };
    let mut rows = 0;
    for line in table.lines().skip(1) {
        let cells: Vec<&str> = line.split('\t').collect();
        let (.., records) =
            ROWS.iter().find(|(name, ..)| *name == cells[0]).unwrap_or_else(|| panic!("no row for {line}"));
        let told: Vec<u32> = cells[2..7].iter().map(|cell| cell.parse().unwrap()).collect();
        assert_eq!(told, records, "{line}");
        rows += 1;
    }
    assert_eq!(rows, ROWS.len());
}

/// The records of our captures are as long as the formula says: both ends of every padded range are met.
#[test]
fn measured_records_hold_what_the_formula_says() {
    for capture in captures() {
        let answer = answer(&capture, true);
        let What::ServerHello { version, suite, .. } =
            session(&answer).find(|what| matches!(what, What::ServerHello { .. })).unwrap().what().clone()
        else {
            unreachable!()
        };
        let name = capture.file_stem().unwrap().to_string_lossy().into_owned();
        let overhead = suite.overhead(version, name.ends_with("etm"));
        let flow = flows(&capture).remove(0);
        let sizes = application_data(&flow, Side::Server);
        // Set Error Info and the ultimatum are the last two writes: 36 and 9 bytes.
        let last = sizes.len() - if name.ends_with("split") { 3 } else { 2 };
        let (error_info, ultimatum) = (sizes[last], sizes[sizes.len() - 1]);
        assert_eq!(error_info, overhead.record(36), "{name}: {sizes:?}");
        assert_eq!(ultimatum, overhead.record(9), "{name}: {sizes:?}");
        assert!(matches!(overhead, Overhead::Fixed(_)) != suite.cbc_block().is_some(), "{name}");
    }
}

/// Connections of a capture.
pub(crate) fn flows(capture: &Path) -> Vec<Flow> {
    let inventory = inputs::inventory(&[capture.to_path_buf()], &[]);
    let mut flows = Vec::new();
    for source in &inventory.sources {
        rdpwhy::read::capture::read_source(
            source,
            &inventory.inputs,
            &rdpwhy::wire::keylog::KeyLog::default(),
            &Unwatched,
            &mut |flow| flows.push(flow),
        );
    }
    flows.sort_by_key(|flow| flow.first);
    flows
}

/// Lengths of the records of application data of one side, as far as the kept bytes reach without a gap.
pub(crate) fn application_data(flow: &Flow, side: Side) -> Vec<u32> {
    let stream = &flow.half(side).stream;
    let mut sizes = Vec::new();
    // Behind the X.224 TPDU, whose length stands in its TPKT header.
    let Some([_, _, high, low]) = stream.from(0).first_chunk::<4>() else { return sizes };
    let mut at = u64::from(u16::from_be_bytes([*high, *low]));
    while let Ok(header) = record_header(stream.from(at)) {
        if header.content == ContentType::APPLICATION_DATA {
            sizes.push(u32::from(header.length));
        }
        at += 5 + u64::from(header.length);
    }
    sizes
}

/// A field of the first packet that has it, by tshark; says aloud when there is no tshark.
fn tshark(capture: &Path, filter: &str, field: &str) -> Option<Vec<String>> {
    let mut command = Command::new("tshark");
    command.args(["-r", capture.to_str().unwrap(), "-Y", filter, "-T", "fields", "-e", field]);
    // Without it, tshark 4.0 takes the bytes behind X.224 for more of TPKT.
    command.args(["-d", "tcp.port==3389,tls", "--enable-protocol", "communityid"]);
    let Ok(output) = command.output() else {
        aloud!("SKIPPED: no tshark");
        return None;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect())
}

#[test]
fn fingerprints_are_those_of_tshark() {
    for capture in captures() {
        let answer = answer(&capture, false);
        let Some(theirs) = tshark(&capture, "tls.handshake.type==1", "tls.handshake.ja3") else {
            return;
        };
        let What::ClientHello { ja3, .. } =
            session(&answer).find(|what| matches!(what, What::ClientHello { .. })).unwrap().what()
        else {
            unreachable!()
        };
        assert_eq!(ja3.as_ref(), theirs.first(), "{}", capture.display());
        let Some(theirs) = tshark(&capture, "tls.handshake.type==2", "tls.handshake.ja3s") else {
            return;
        };
        let What::ServerHello { ja3s, .. } =
            session(&answer).find(|what| matches!(what, What::ServerHello { .. })).unwrap().what()
        else {
            unreachable!()
        };
        assert_eq!(ja3s.as_ref(), theirs.first(), "{}", capture.display());
        let Some(theirs) = tshark(&capture, "tcp", "communityid") else { return };
        let end = &session(&answer).connections[0];
        let ours = community_id::tcp(end.client, end.server);
        assert!(theirs.iter().all(|id| id.is_empty() || *id == ours), "{theirs:?} {ours}");
    }
}

/// tshark opens the same captures: what it opens holds the user that we read.
#[test]
fn tshark_opens_what_we_open() {
    let user: String = "labuser".bytes().map(|byte| format!("{byte:02x}00")).collect();
    let mut opened = 0;
    for capture in captures() {
        let keys = format!("tls.keylog_file:{}", capture.with_extension("keys").display());
        let mut command = Command::new("tshark");
        command.args(["-r", capture.to_str().unwrap(), "-q", "-d", "tcp.port==3389,tls", "-o", &keys]);
        let Ok(output) = command.args(["-z", "follow,tls,raw,0"]).output() else {
            aloud!("SKIPPED: no tshark");
            return;
        };
        let plain = String::from_utf8(output.stdout).unwrap().replace(['\n', '\r', '\t'], "");
        if plain.contains(&user) {
            opened += 1;
        } else {
            eprintln!("tshark opens nothing of {}", capture.display());
        }
        assert_eq!(session(&answer(&capture, true)).user_name(), Some("labuser"), "{}", capture.display());
    }
    assert!(opened >= 8, "tshark opens {opened} of our captures");
}
