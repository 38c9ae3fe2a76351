//! Real connections through an RD Gateway (`lab/runner`): what they tell with and without their secrets, and that neither half
//! of one, nor other HTTPS, is taken for one.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use rdpwhy::fact::What;
use rdpwhy::read::{Unwatched, inputs};
use rdpwhy::report::told;
use rdpwhy::{Analysis, analyze_inventory};
use serde_json::Value;

use crate::cases;
use crate::support::{children, root};

fn name(folder: &Path) -> String {
    folder.file_name().unwrap().to_string_lossy().into_owned()
}

fn through_gateway() -> Vec<PathBuf> {
    let all = children(&root().join("tests/captures/lab"));
    all.into_iter().filter(|folder| name(folder).starts_with("gateway-")).collect()
}

fn analysed(folder: &Path, with_keys: bool) -> Analysis {
    let file = |name: &str| (name.to_owned(), std::fs::read(folder.join(name)).unwrap());
    let mut files = vec![file("client.pcap")];
    files.extend(with_keys.then(|| file("keys.log")));
    analyze_inventory(inputs::held(files), &Unwatched)
}

fn holds(list: &Value, wanted: Option<&str>) -> bool {
    list.as_array().unwrap().iter().any(|one| one.as_str() == wanted)
}

/// What the case expects, without secrets with what stands for that under `keyless`.
fn expectation(folder: &Path, with_keys: bool) -> Value {
    let text = std::fs::read(folder.join("expect.json")).unwrap();
    let mut expect = serde_json::from_slice::<Value>(&text).unwrap()["expect"].clone();
    if let Some(keyless) = expect["keyless"].as_object().filter(|_| !with_keys).cloned() {
        expect.as_object_mut().unwrap().extend(keyless);
    }
    expect
}

#[test]
fn each_capture_tells_what_was_done() {
    let all = through_gateway();
    assert!(all.len() >= 20, "{} captures", all.len());
    for (folder, with_keys) in all.iter().flat_map(|folder| [(folder, true), (folder, false)]) {
        let (analysis, expect) = (analysed(folder, with_keys), expectation(folder, with_keys));
        let case = format!("{} with keys: {with_keys}", name(folder));
        let attempts = told(&analysis);
        let failed: Vec<_> = attempts.iter().filter(|told| told.attempt.outcome.is_failure()).collect();
        let count = u64::try_from(failed.len()).unwrap();
        let range = &expect["failed_attempts"];
        assert!((range[0].as_u64().unwrap()..=range[1].as_u64().unwrap()).contains(&count), "{case}");
        if range[1] == 0 {
            let fits =
                attempts.iter().any(|told| holds(&expect["outcome"], Some(told.attempt.outcome.name())));
            assert!(fits || (attempts.is_empty() && holds(&expect["outcome"], Some("none"))), "{case}");
        }
        for told in failed {
            assert!(holds(&expect["outcome"], Some(told.attempt.outcome.name())), "{case}");
            let step = told.session.broke_at.map(|step| step.name());
            assert!(holds(&expect["broke_at"], step), "{case}: at {step:?}");
            let cause = told.best().map(|best| best.rule.id);
            // Where no cause can be told, one may be named that is not said to be sure, or that says so itself.
            let any = expect["cause_any_of"].as_array().unwrap().is_empty()
                && told
                    .best()
                    .is_none_or(|best| best.weighing.percent < 50 || best.rule.id == "error-info-hidden");
            assert!(any || holds(&expect["cause_any_of"], cause), "{case}: {cause:?}");
        }
    }
}

/// The steps inside of a tunnel, by what shows each of them and in which frame.
fn inside(analysis: &Analysis) -> BTreeSet<String> {
    let facts = analysis.story.sessions.iter().flat_map(|session| &session.facts);
    let told = facts.filter_map(|seen| {
        let step = match seen.what() {
            What::CredsspMessage { by, round, .. } => format!("credssp {} {round}", by.name()),
            What::CredsspRefused { by, round, .. } => format!("refused {} {round}", by.name()),
            what @ (What::TlsFinished {}
            | What::CredsspDone {}
            | What::McsConnectInitial { .. }
            | What::McsConnectResponse { .. }
            | What::McsAttached {}
            | What::McsJoined { .. }
            | What::ClientInfo { .. }
            | What::Licensed {}
            | What::DemandActive { .. }
            | What::ConfirmActive { .. }
            | What::Finalized {}) => what.name().to_owned(),
            _ => return None,
        };
        Some(format!("{} {step}", seen.place().spot))
    });
    told.collect()
}

#[test]
fn the_steps_inside_are_the_same_without_secrets() {
    let steps = |shown: &BTreeSet<String>| -> BTreeSet<String> {
        let behind_frame = |one: &String| one.splitn(3, ' ').nth(2).map(str::to_owned);
        shown.iter().filter_map(behind_frame).collect()
    };
    for folder in through_gateway() {
        let [opened, closed] = [true, false].map(|with_keys| inside(&analysed(&folder, with_keys)));
        let case = name(&folder);
        if case.contains("denied-0x7") {
            // Session tickets that come late are taken for the next answer; the end of licensing and what refuses the session
            // come as one packet, which nothing parts.
            let (closed, opened) = (steps(&closed), steps(&opened));
            assert!(closed.len() > 4 && closed.is_subset(&opened), "{case}: {closed:?} of {opened:?}");
        } else {
            assert_eq!(opened, closed, "{case}");
        }
    }
}

/// Both connections of the HTTP transport together are one session; without secrets neither of them alone is.
#[test]
fn one_connection_of_two_is_no_gateway() {
    for folder in through_gateway().iter().filter(|folder| name(folder).starts_with("gateway-http-ok")) {
        let whole = analysed(folder, false);
        assert_eq!(whole.story.sessions.len(), 1, "{}", folder.display());
        let bytes = std::fs::read(folder.join("client.pcap")).unwrap();
        let ports: BTreeSet<u16> = packets(&bytes).filter_map(client_port).collect();
        assert_eq!(ports.len(), 2, "{}", folder.display());
        for port in ports {
            let mut alone = bytes[..24].to_vec();
            let kept = packets(&bytes).filter(|packet| client_port(packet) == Some(port));
            alone.extend(kept.flatten());
            let files = vec![("client.pcap".to_owned(), alone)];
            let analysis = analyze_inventory(inputs::held(files), &Unwatched);
            assert!(analysis.story.sessions.is_empty(), "{} port {port}", folder.display());
        }
    }
}

/// The packets of a little-endian classic pcap, each with its header.
fn packets(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut at = 24;
    std::iter::from_fn(move || {
        let length = bytes.get(at + 8..at + 12)?;
        let end = at + 16 + usize::try_from(u32::from_le_bytes(length.try_into().unwrap())).unwrap();
        let packet = bytes.get(at..end)?;
        at = end;
        Some(packet)
    })
}

/// The port of the client in a packet of TCP over IPv4 over Ethernet to or from port 443.
fn client_port(packet: &[u8]) -> Option<u16> {
    let ip = packet.get(16 + 14..).filter(|ip| ip.len() > 24 && ip[0] == 0x45 && ip[9] == 6)?;
    let [from, to] = [20, 22].map(|at| u16::from_be_bytes([ip[at], ip[at + 1]]));
    match (from, to) {
        (port, 443) | (443, port) => Some(port),
        _ => None,
    }
}

/// Pages, uploads in chunks and streams of short messages, several connections at once (`lab/runner/rdplab/https_server.py`).
#[test]
fn other_https_is_no_gateway() {
    let all = children(&root().join("tests/captures/https"));
    assert_eq!(all.len(), 2);
    for folder in all {
        let analysis = analysed(&folder, false);
        assert!(analysis.story.sessions.is_empty(), "{}", folder.display());
    }
}

/// The client's log names the gateway (1010) and the host behind it: it is joined to the connection to that gateway for that
/// host, and to no other.
#[test]
fn a_clients_log_belongs_to_the_gateway_that_it_names() {
    let sessions = |typed: &str, named: &str| {
        let text = format!(
            "connection 198.51.100.10:50112 > 203.0.113.30:443 recognised=gateway\n\
             +0.000 syn tries=1 over_ms=0\n+0.020 syn-ack after_ms=20\n+0.021 connected\n\
             +0.100 gateway-request transport=http method=RDG_OUT_DATA host=gw01.lab.test:443 authorization=NTLM\n\
             +0.120 gateway-status status=200 reason=OK\n\
             +0.140 gateway-channel-asked target=192.0.2.15 port=3389\n\
             +0.160 gateway-channel code=0x800759da\n+0.400 closed by=client\n+0.420 closed by=server\n\
             host client01.lab.test activity=A1205C1E-93B4-4D0A-8E55-1C0A7B6D0000\n\
             +0.000 client-connecting name={typed}\n\
             +0.050 log-says log=rdpclient event=1010 says=\"the client connects to a gateway\" detail=\"Name=Server Name, Value={named}\"\n\
             +0.500 client-disconnected reason=0x3000006\n"
        );
        cases::judged(&text).0.sessions.len()
    };
    assert_eq!(sessions("192.0.2.15", "gw01.lab.test"), 1);
    assert_eq!(sessions("192.0.2.15:3390", "GW01"), 1, "the gateway's short name");
    assert_eq!(sessions("rdsh01.lab.test", "gw01.lab.test"), 1, "no address was typed");
    assert_eq!(sessions("192.0.2.15", "gw02.lab.test"), 2, "another gateway");
    assert_eq!(sessions("192.0.2.16", "gw01.lab.test"), 2, "another host");
}
