//! Zip archives: what lies in them is read as if it lay in a folder, and what cannot be read is said.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use rdpwhy::read::inputs::EXPANSION_MAX;
use serde_json::Value;
use zip::write::{FileOptions, SimpleFileOptions};
use zip::{AesMode, CompressionMethod, ZipWriter};

use crate::support::{children, root, run, scratch};

fn stored() -> SimpleFileOptions {
    SimpleFileOptions::default().compression_method(CompressionMethod::Stored)
}

fn deflated() -> SimpleFileOptions {
    SimpleFileOptions::default().compression_method(CompressionMethod::Deflated)
}

/// An archive of named files.
fn archive(path: &Path, files: &[(&str, &[u8])], options: FileOptions<'_, '_, ()>) {
    let mut writer = ZipWriter::new(File::create(path).unwrap());
    for (name, bytes) in files {
        writer.start_file(*name, options).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap();
}

/// The files of a sample, by name.
fn sample(name: &str) -> Vec<(String, Vec<u8>)> {
    let named = |path: &std::path::PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
    let all = children(&root().join("samples").join(name));
    all.iter().map(|path| (named(path), fs::read(path).unwrap())).collect()
}

fn borrowed(files: &[(String, Vec<u8>)]) -> Vec<(&str, &[u8])> {
    files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect()
}

/// The answer of some arguments, and what was said beside it.
fn answer(folder: &Path, arguments: &[&str]) -> (Value, String) {
    let output = run(folder, &[&["--format", "json"], arguments].concat());
    let said = String::from_utf8(output.stderr).unwrap();
    (serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{said}")), said)
}

fn paths(answer: &Value) -> Vec<(&str, &str)> {
    let inputs = answer["inputs"].as_array().unwrap();
    inputs.iter().map(|input| (input["path"].as_str().unwrap(), input["kind"].as_str().unwrap())).collect()
}

#[test]
fn an_archive_gives_the_answer_of_the_folder_that_was_packed() {
    let folder = scratch("zip-same");
    let files = sample("denied-0x7");
    fs::create_dir(folder.join("plain")).unwrap();
    for (name, bytes) in &files {
        fs::write(folder.join("plain").join(name), bytes).unwrap();
    }
    let (plain, _) = answer(&folder, &["plain"]);
    for (name, options) in [("stored.zip", stored()), ("deflated.zip", deflated())] {
        archive(&folder.join(name), &borrowed(&files), options);
        for threads in ["1", "4"] {
            let (packed, said) = answer(&folder, &[name, "--threads", threads, "--hash"]);
            let prefix = format!("{name}!/");
            let unpacked = packed.to_string().replace(&prefix, "plain/");
            let unpacked: Value = serde_json::from_str(&unpacked).unwrap();
            assert_eq!(unpacked["sessions"], plain["sessions"], "{said}");
            assert_eq!(unpacked["attempts"], plain["attempts"]);
            let inputs = paths(&packed);
            assert_eq!(inputs.len(), files.len() + 1);
            assert_eq!(inputs[0], (name, "zip"));
            assert!(inputs.contains(&(format!("{prefix}client.pcap").as_str(), "pcap")), "{inputs:?}");
            let hashed = |input: &Value| input["sha256"].as_str().is_some_and(|hash| hash.len() == 64);
            assert!(packed["inputs"].as_array().unwrap().iter().all(hashed), "{packed}");
            assert!(!said.contains("note: "), "{said}");
        }
    }
    // Its packets are found again, and facts of it are diagnosed elsewhere.
    let output = run(&folder, &["slice", "198.51.100.10:49592", "deflated.zip", "-o", "guilty.pcapng"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(fs::metadata(folder.join("guilty.pcapng")).unwrap().len() > 1_000);
    assert!(run(&folder, &["facts", "deflated.zip", "-q", "-o", "facts.jsonl"]).status.success());
    let again = run(&folder, &["diagnose", "facts.jsonl", "-q", "--format", "json"]);
    let again: Value = serde_json::from_slice(&again.stdout).unwrap();
    assert_eq!(again["sessions"], answer(&folder, &["deflated.zip"]).0["sessions"]);
    // An archive is an input, and no answer is written over it.
    let refused = run(&folder, &["deflated.zip", "-q", "-o", "json:deflated.zip"]);
    assert_eq!(refused.status.code(), Some(3));
}

#[test]
fn an_encrypted_archive_wants_its_password() {
    let folder = scratch("zip-encrypted");
    let files = sample("nla-required");
    let aes = deflated().with_aes_encryption(AesMode::Aes256, "s3cret pass");
    archive(&folder.join("aes.zip"), &borrowed(&files), aes);
    let (opened, said) = answer(&folder, &["aes.zip", "--zip-password", "s3cret pass"]);
    assert_eq!(opened["attempts"][0]["cause"], "hybrid-required", "{said}");
    assert!(!said.contains("note: ") && !opened.to_string().contains("s3cret"), "{said}");
    let text = run(&folder, &["aes.zip", "-q", "--zip-password", "s3cret pass"]);
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(text.contains("aes.zip --zip-password PASSWORD -o") && !text.contains("s3cret"), "{text}");
    let count = files.len();
    for (arguments, expected) in [
        (
            &["aes.zip"][..],
            format!("{count} files of this zip are encrypted: `--zip-password PASSWORD` opens"),
        ),
        (&["aes.zip", "--zip-password", "other"], format!("{count} files of this zip do not open with the")),
    ] {
        let output = run(&folder, arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && said.contains(&expected), "{said}");
    }
    // Info-ZIP made this one, with the old encryption of PKWARE.
    let seed = root().join("fuzz/seeds/archive/zipcrypto");
    let output = run(&folder, &["inputs", seed.to_str().unwrap(), "--zip-password", "secret"]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("!/logs/keys.log\n  what    key log"), "{said}");
}

#[test]
fn what_an_archive_holds_beside_evidence_is_said_and_hurts_nobody() {
    let folder = scratch("zip-odd");
    let capture = fs::read(root().join("samples/nla-required/server.pcap")).unwrap();
    let mut inner = std::io::Cursor::new(Vec::new());
    let mut writer = ZipWriter::new(&mut inner);
    writer.start_file("server.pcap", deflated()).unwrap();
    writer.write_all(&capture).unwrap();
    writer.finish().unwrap();
    let odd: [(&str, &[u8]); 4] = [
        ("logs\\server.pcap", &capture),
        ("../../escape.pcap", &capture),
        ("readme.txt", b"hello"),
        ("more.zip", inner.get_ref()),
    ];
    archive(&folder.join("odd.zip"), &odd, deflated());
    let (told, said) = answer(&folder, &["odd.zip"]);
    let names: Vec<&str> = paths(&told).into_iter().map(|(path, _)| path).collect();
    assert_eq!(
        names,
        ["odd.zip", "odd.zip!/../../escape.pcap", "odd.zip!/logs/server.pcap", "odd.zip!/more.zip"]
    );
    assert!(said.contains("odd.zip!/more.zip: a zip inside of a zip is not read"), "{said}");
    assert!(!folder.parent().unwrap().join("escape.pcap").exists());
    // Documents are zip archives, too: in a folder they are passed over, and who asks for one is told.
    fs::create_dir(folder.join("case")).unwrap();
    archive(&folder.join("case/letter.docx"), &[("word/document.xml", b"<x/>")], deflated());
    fs::write(folder.join("case/server.pcap"), &capture).unwrap();
    let (told, said) = answer(&folder, &["case"]);
    assert_eq!(paths(&told), [("case/server.pcap", "pcap")]);
    assert!(!said.contains("note: "), "{said}");
    let output = run(&folder, &["case/letter.docx"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2));
    assert!(said.contains("no capture, event log or key log is in this zip (looked at 1 file)"), "{said}");
    // One that is cut has no directory.
    let bytes = fs::read(folder.join("odd.zip")).unwrap();
    fs::write(folder.join("cut.zip"), &bytes[..bytes.len() / 2]).unwrap();
    let output = run(&folder, &["cut.zip"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("note: cut.zip: cannot read: "));
}

#[test]
fn a_damaged_file_of_an_archive_is_read_as_far_as_it_goes_and_the_loss_is_said() {
    let folder = scratch("zip-damaged");
    let capture = fs::read(root().join("samples/nla-required/server.pcap")).unwrap();
    archive(&folder.join("good.zip"), &[("server.pcap", &capture)], stored());
    let mut bytes = fs::read(folder.join("good.zip")).unwrap();
    let at = bytes.windows(8).position(|part| part == &capture[capture.len() - 8..]).unwrap();
    bytes[at] ^= 0xff;
    fs::write(folder.join("bad.zip"), &bytes).unwrap();
    let (told, said) = answer(&folder, &["bad.zip"]);
    assert_eq!(told["attempts"][0]["cause"], "hybrid-required");
    assert!(said.contains("note: bad.zip!/server.pcap"), "{said}");
}

#[test]
fn a_directory_that_lies_of_sizes_is_found_out_and_what_is_too_much_is_left_out() {
    let folder = scratch("zip-bomb");
    let capture = fs::read(root().join("samples/nla-required/server.pcap")).unwrap();
    let names: Vec<String> = (0..20).map(|number| format!("{number:02}.pcap")).collect();
    let files: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), capture.as_slice())).collect();
    archive(&folder.join("a.zip"), &files, stored());
    let good = fs::read(folder.join("a.zip")).unwrap();
    // The size when unpacked stands 24 bytes behind the start of each entry of the directory.
    let saying = |size: u32| {
        let mut bytes = good.clone();
        let entries: Vec<usize> =
            (0..bytes.len() - 4).filter(|at| bytes[*at..].starts_with(b"PK\x01\x02")).collect();
        assert_eq!(entries.len(), files.len());
        for at in entries {
            bytes[at + 24..at + 28].copy_from_slice(&size.to_le_bytes());
        }
        bytes
    };
    fs::write(folder.join("small.zip"), saying(100)).unwrap();
    let output = run(&folder, &["small.zip", "--format", "json"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("note: small.zip!/07.pcap"), "{said}");
    let size = u32::MAX - 1;
    fs::write(folder.join("large.zip"), saying(size)).unwrap();
    let (told, said) = answer(&folder, &["large.zip"]);
    let taken = EXPANSION_MAX / u64::from(size);
    let left = 20 - taken;
    assert!(said.contains(&format!("large.zip: {left} files of this zip were left out")), "{said}");
    assert_eq!(paths(&told).len(), usize::try_from(taken + 1).unwrap());
}
