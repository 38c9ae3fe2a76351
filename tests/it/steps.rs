//! The same steps come out with and without secrets, and whatever users, hosts and domains are called.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;

use serde_json::Value;

use rdpwhy_lab::capture::{Endpoint, LINKTYPE_ETHERNET, PcapWriter};
use rdpwhy_lab::rdp::{Cipher, Names, Security, Story, talk};

use crate::support::{corpus, run, scratch};

/// Longest name that is tried.
const NAME_LENGTH_MAX: usize = 40;
/// When the first connection of a capture begins, 2025-11-20; each next one 60 s later.
const START_NS: i64 = 1_763_600_000_000_000_000;
const APART_NS: i64 = 60_000_000_000;

fn analyzed(folder: &Path, file: &str) -> Value {
    let output = run(folder, &["--format", "json", "-q", file]);
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The steps of a timeline with the frame that shows each.
fn steps(answer: &Value) -> Vec<(String, u64)> {
    let timeline = answer["sessions"][0]["timeline"].as_array().unwrap();
    let row = |row: &Value| (row["step"].as_str().unwrap().to_owned(), row["ref"]["frame"].as_u64().unwrap());
    timeline.iter().map(row).collect()
}

/// The blocks of a pcapng file without its secrets.
pub(crate) fn without_secrets(bytes: &[u8]) -> Vec<u8> {
    const DECRYPTION_SECRETS: u32 = 0x0a;
    let mut kept = Vec::new();
    let mut rest = bytes;
    while let Some((head, _)) = rest.split_first_chunk::<8>() {
        let [a, b, c, d, e, f, g, h] = *head;
        let length = usize::try_from(u32::from_le_bytes([e, f, g, h])).unwrap();
        let (block, behind) = rest.split_at(length.max(12).min(rest.len()));
        if u32::from_le_bytes([a, b, c, d]) != DECRYPTION_SECRETS {
            kept.extend_from_slice(block);
        }
        rest = behind;
    }
    assert!(kept.len() < bytes.len(), "there were no secrets");
    kept
}

#[test]
fn kerberos_shows_the_same_steps_with_and_without_secrets() {
    let Some(public) = corpus("public/pcap") else { return };
    let bytes = std::fs::read(public.join("awakecoding_rdp-nla-kerberos-auth1.pcapng")).unwrap();
    let folder = scratch("kerberos-steps");
    std::fs::write(folder.join("with.pcapng"), &bytes).unwrap();
    std::fs::write(folder.join("without.pcapng"), without_secrets(&bytes)).unwrap();
    let (with, without) = (analyzed(&folder, "with.pcapng"), analyzed(&folder, "without.pcapng"));
    let decrypted =
        |answer: &Value| answer.pointer("/sessions/0/legs/0/tls/decrypted") == Some(&Value::Bool(true));
    assert!(decrypted(&with) && !decrypted(&without));
    for key in ["reached", "broke_at", "outcome"] {
        assert_eq!(with["sessions"][0][key], without["sessions"][0][key], "{key}");
    }
    let (with, without) = (steps(&with), steps(&without));
    let reached = |steps: &[(String, u64)]| -> BTreeSet<String> {
        steps.iter().map(|(step, _)| step.clone()).collect()
    };
    let ladder = ["tcp", "negotiation", "tls", "credssp", "authorization", "mcs", "client_info", "licensing"];
    let ladder: Vec<&str> = ladder.into_iter().chain(["capabilities", "logon", "active"]).collect();
    let ladder: BTreeSet<String> = ladder.into_iter().map(str::to_owned).collect();
    for (name, steps) in [("with secrets", &with), ("without", &without)] {
        assert_eq!(reached(steps), ladder, "{name}");
    }
    for step in &without {
        assert!(with.contains(step) || step.0 == "active", "only without secrets: {step:?}");
    }
    let rounds = |steps: &[(String, u64)]| steps.iter().filter(|(step, _)| step == "credssp").count();
    // Eight of CredSSP itself, and two tickets that passed beside it.
    assert!(rounds(&with) >= rounds(&without) && rounds(&without) == 10, "{} rounds", rounds(&without));
}

/// What a timeline says, without what depends on names and sizes.
fn shape(session: &Value) -> Vec<String> {
    let row = |row: &Value| {
        let says = row["says"].as_str().unwrap();
        let head = says.split([',', ':', ';']).next().unwrap();
        let head = head.split(" for ").next().unwrap();
        let head: String = head.chars().filter(|c| !c.is_ascii_digit()).collect();
        format!("{} {head}", row["step"].as_str().unwrap_or("-"))
    };
    let mut rows: Vec<String> = session["timeline"].as_array().unwrap().iter().map(row).collect();
    rows.push(format!("{} {} {}", session["outcome"], session["reached"], session["broke_at"]));
    rows
}

/// Lengths of user, domain, host and workstation: all alike, then one of them alone.
fn lengths() -> Vec<[usize; 4]> {
    let mut all: Vec<[usize; 4]> = (1..=NAME_LENGTH_MAX).map(|length| [length; 4]).collect();
    for field in 0..4 {
        for length in [1, NAME_LENGTH_MAX] {
            let mut lengths = [7; 4];
            lengths[field] = length;
            all.push(lengths);
        }
    }
    all
}

fn capture(security: Security, cipher: Cipher, story: Story) -> Vec<u8> {
    let mut pcap = PcapWriter::new(Vec::new(), LINKTYPE_ETHERNET).unwrap();
    for (number, lengths) in (0_u8..).zip(lengths()) {
        let names = lengths.map(|length| "n".repeat(length));
        let [user, domain, host, workstation] = names.each_ref().map(String::as_str);
        let names = Names { user, domain, host, workstation, password: "a password" };
        let client: SocketAddr = format!("198.51.100.{number}:50112").parse().unwrap();
        let server: SocketAddr = "203.0.113.20:3389".parse().unwrap();
        let start = START_NS + APART_NS * i64::from(number);
        let ends = (Endpoint::new(client), Endpoint::new(server));
        for frame in talk(ends.0, ends.1, start, (security, cipher, story), &names).finish() {
            pcap.frame(&frame).unwrap();
        }
    }
    pcap.finish().unwrap()
}

#[test]
fn names_of_any_length_show_the_same_steps() {
    let folder = scratch("names");
    let mut told = Vec::new();
    for security in [Security::Tls, Security::Nla, Security::NlaEx, Security::Rdstls] {
        for cipher in [Cipher::Gcm12, Cipher::Aead13, Cipher::Retried13, Cipher::Cbc12, Cipher::Cbc12Sha256] {
            for story in [Story::Desktop, Story::Refused, Story::Denied] {
                let nla = matches!(security, Security::Nla | Security::NlaEx);
                if story == Story::Refused && !nla {
                    continue;
                }
                let name = format!("{security:?}-{cipher:?}-{story:?}");
                std::fs::write(folder.join("a.pcap"), capture(security, cipher, story)).unwrap();
                let answer = analyzed(&folder, "a.pcap");
                let sessions = answer["sessions"].as_array().unwrap();
                assert_eq!(sessions.len(), lengths().len(), "{name}");
                let first = shape(&sessions[0]);
                for session in sessions {
                    assert_eq!(shape(session), first, "{name}: {}", session["id"]);
                }
                told.push(format!("{name}: {}", first.last().unwrap()));
            }
        }
    }
    // What stands behind Set Error Info is told by its code alone: with sizes only, names must not change it.
    let right = |row: &String| {
        let (outcome, at) = match (row.contains("Desktop"), row.contains("Refused")) {
            (true, _) => ("\"active\"", "null"),
            (_, true) => ("\"refused\"", "\"credssp\""),
            _ => ("", ""),
        };
        row.contains(outcome) && row.ends_with(at)
    };
    let wrong: Vec<&String> = told.iter().filter(|row| !right(row)).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Whatever is read of Client Info, a redirection or a logon, the password stands nowhere.
#[test]
fn a_password_reaches_no_fact() {
    use rdpwhy_lab::capture::Conversation;
    use rdpwhy_lab::rdp::pdu;
    let password = "Zq7-hunter2-Xw9";
    let names = Names { user: "alice", domain: "LAB", host: "rdsh02", workstation: "PC7", password };
    let client = Endpoint::new("198.51.100.7:50112".parse().unwrap());
    let server = Endpoint::new("203.0.113.20:3389".parse().unwrap());
    let mut conversation = Conversation::new(client, server, START_NS);
    conversation.handshake();
    conversation.client_sends(&pdu::connection_request("alice", 0));
    conversation.server_sends(&pdu::connection_confirm(0));
    conversation.client_sends(&pdu::connect_initial("PC7", 0)).server_sends(&pdu::connect_response(0));
    conversation.client_sends(&pdu::erect_domain()).client_sends(&pdu::attach_user());
    conversation.server_sends(&pdu::attach_confirm());
    conversation.client_sends(&pdu::client_info(&names));
    conversation.server_sends(&pdu::license_error(7, 2)).server_sends(&pdu::demand_active());
    conversation.client_sends(&pdu::confirm_active()).server_sends(&pdu::font_map());
    conversation.server_sends(&pdu::session_info(&names, 2));
    conversation.server_sends(&pdu::redirection("203.0.113.21", "Cookie: msts=1.2.3", &names, 2));
    conversation.client_closes().server_closes();
    let mut pcap = PcapWriter::new(Vec::new(), LINKTYPE_ETHERNET).unwrap();
    for frame in conversation.finish() {
        pcap.frame(&frame).unwrap();
    }
    let folder = scratch("password");
    std::fs::write(folder.join("a.pcap"), pcap.finish().unwrap()).unwrap();
    let mut texts = Vec::new();
    for arguments in
        [["--format", "json", "a.pcap"], ["--format", "text", "a.pcap"], ["facts", "a.pcap", "-q"]]
    {
        let output = run(&folder, &arguments);
        texts.push(String::from_utf8(output.stdout).unwrap());
    }
    let [json, _, facts] = &texts[..] else { panic!("three runs") };
    assert!(json.contains("server sends the client elsewhere to rdsh02 at 203.0.113.21"), "{json}");
    assert!(json.contains("\"closed\""), "a hand-over is no failure: {json}");
    assert!(facts.contains("client-info") && facts.contains("redirected"), "{facts}");
    for text in &texts {
        for part in ["hunter2", "Zq7-h", "2-Xw9"] {
            assert!(!text.contains(part), "{part} in {text}");
        }
    }
}
