//! Two readings of one encrypted message: where both fit its size and place, both are kept, and both give a cause.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;

use rdpwhy::Analysis;
use rdpwhy::fact::{OtherReading, What};
use rdpwhy::read::{Unwatched, inputs};
use rdpwhy::report::told;
use rdpwhy::session::Session;
use rdpwhy_lab::capture::{Endpoint, LINKTYPE_ETHERNET, PcapWriter};
use rdpwhy_lab::rdp::{Cipher, Names, Security, Story, talk};

use crate::support::{children, root};

/// Lengths of user, domain, host and workstation.
const LENGTHS: [[usize; 4]; 5] = [[1; 4], [8; 4], [40; 4], [1, 40, 1, 40], [40, 1, 40, 1]];
const START_NS: i64 = 1_763_600_000_000_000_000;

/// The same connection with names of several lengths, each analysed by itself.
fn told_of(kind: (Security, Cipher, Story)) -> Vec<Analysis> {
    let one = |lengths: &[usize; 4]| {
        let names = lengths.map(|length| "n".repeat(length));
        let [user, domain, host, workstation] = names.each_ref().map(String::as_str);
        let names = Names { user, domain, host, workstation, password: "a password" };
        let client: SocketAddr = "198.51.100.7:50112".parse().unwrap();
        let server: SocketAddr = "203.0.113.20:3389".parse().unwrap();
        let ends = (Endpoint::new(client), Endpoint::new(server));
        let mut pcap = PcapWriter::new(Vec::new(), LINKTYPE_ETHERNET).unwrap();
        for frame in talk(ends.0, ends.1, START_NS, kind, &names).finish() {
            pcap.frame(&frame).unwrap();
        }
        let files = vec![("a.pcap".to_owned(), pcap.finish().unwrap())];
        rdpwhy::analyze_inventory(inputs::held(files), &Unwatched)
    };
    LENGTHS.iter().map(one).collect()
}

fn session(analysis: &Analysis) -> &Session {
    assert_eq!(analysis.story.sessions.len(), 1);
    &analysis.story.sessions[0]
}

/// Facts with two readings, by name.
fn two(analysis: &Analysis) -> Vec<(&'static str, OtherReading)> {
    let facts = session(analysis).facts.iter().map(|seen| seen.what());
    facts.filter_map(|what| Some((what.name(), what.or()?))).collect()
}

fn end(analysis: &Analysis) -> String {
    let session = session(analysis);
    let at = session.broke_at.map_or("-", rdpwhy::step::Step::name);
    format!("{} at {at}", session.outcome.name())
}

/// The causes with how sure they are, best first.
fn causes(analysis: &Analysis) -> Vec<(&'static str, u8)> {
    let told = told(analysis);
    let verdicts = told.first().map(|told| told.verdicts).unwrap_or_default();
    verdicts.iter().map(|verdict| (verdict.rule.id, verdict.weighing.percent)).collect()
}

/// In blocks of which the range holds 4 bytes as well as 15.
const fn hides_error_code(cipher: Cipher) -> bool {
    matches!(cipher, Cipher::Cbc12Sha256 | Cipher::Cbc12Sha384 | Cipher::Cbc12Etm)
}

/// In blocks of which the range holds 34 bytes as well as 36.
const fn hides_license_error(cipher: Cipher) -> bool {
    hides_error_code(cipher) || matches!(cipher, Cipher::Cbc12 | Cipher::Cbc10)
}

#[test]
fn an_early_result_as_the_last_word_may_be_an_error_code() {
    for cipher in Cipher::ALL {
        for analysis in told_of((Security::NlaEx, cipher, Story::Unauthorized)) {
            assert_eq!(end(&analysis), "broke at authorization", "{cipher:?}");
            let causes = causes(&analysis);
            let (best, sure) = causes[0];
            if hides_error_code(cipher) {
                assert_eq!(two(&analysis), [("early-authorization", OtherReading::ErrorCode)], "{cipher:?}");
                assert!(causes.iter().any(|(id, sure)| *id == "bad-password" && *sure == 40), "{causes:?}");
                assert_eq!((best, sure), ("bad-password", 40), "{cipher:?}: {causes:?}");
                assert!(causes.contains(&("not-in-rdp-users", 40)), "{cipher:?}: {causes:?}");
            } else {
                assert_eq!(two(&analysis), [], "{cipher:?}");
                assert_eq!((best, sure), ("not-in-rdp-users", 50), "{cipher:?}: {causes:?}");
            }
        }
    }
}

/// With MCS behind it, the same message can only have been a good result; in the second round only a refusal.
#[test]
fn place_decides_where_it_can() {
    for cipher in Cipher::ALL {
        for analysis in told_of((Security::NlaEx, cipher, Story::Desktop)) {
            let told = session(&analysis);
            assert_eq!(end(&analysis), "active at -", "{cipher:?}");
            assert!(told.find(|what| matches!(what, What::EarlyAuthorization { or: None, .. })).is_some());
            assert_eq!(two(&analysis), [], "{cipher:?}");
        }
        for analysis in told_of((Security::NlaEx, cipher, Story::Refused)) {
            let told = session(&analysis);
            assert_eq!(end(&analysis), "refused at credssp", "{cipher:?}");
            let refused = told.find(|what| matches!(what, What::CredsspRefused { .. })).unwrap();
            assert!(
                matches!(refused.what(), What::CredsspRefused { round: 2, bytes: Some(13..=20), .. }),
                "{cipher:?}: {}",
                refused.what().text()
            );
            assert_eq!(causes(&analysis)[0], ("bad-password", 40), "{cipher:?}");
        }
    }
}

#[test]
fn the_end_of_licensing_may_be_an_error() {
    for cipher in Cipher::ALL {
        for analysis in told_of((Security::Tls, cipher, Story::Unlicensed)) {
            assert_eq!(two(&analysis), [("license", OtherReading::LicenseError)], "{cipher:?}");
            assert_eq!(end(&analysis), "broke at licensing", "{cipher:?}");
            let ids: Vec<&str> = causes(&analysis).iter().map(|(id, _)| *id).collect();
            assert_eq!(ids, ["license-no-server", "license-grace-expired", "license-no-cal"], "{cipher:?}");
        }
    }
}

#[test]
fn set_error_info_behind_client_info_may_be_a_licensing_error() {
    for cipher in Cipher::ALL {
        for analysis in told_of((Security::Tls, cipher, Story::DeniedEarly)) {
            let (names, causes) = (two(&analysis), causes(&analysis));
            assert!(end(&analysis).starts_with("refused at "), "{cipher:?}: {}", end(&analysis));
            if hides_license_error(cipher) {
                assert_eq!(names, [("error-info-shaped", OtherReading::LicenseError)], "{cipher:?}");
                assert_eq!(causes[0], ("error-info-hidden", 50), "{cipher:?}: {causes:?}");
            } else {
                assert_eq!(names, [], "{cipher:?}");
                assert_eq!(causes[0], ("error-info-hidden", 77), "{cipher:?}: {causes:?}");
            }
        }
        // Behind the end of licensing it can be nothing else.
        for analysis in told_of((Security::Tls, cipher, Story::Denied)) {
            let told = session(&analysis);
            assert!(
                told.find(|what| matches!(what, What::ErrorInfoShaped { or: None })).is_some(),
                "{cipher:?}"
            );
        }
    }
}

/// A movement of the pointer is as long as an ultimatum: behind it, a reset of the server may be a loss or the answer to a
/// client that left.
#[test]
fn a_movement_of_the_pointer_may_be_a_farewell() {
    for cipher in Cipher::ALL {
        for analysis in told_of((Security::Nla, cipher, Story::Lost)) {
            assert_eq!(two(&analysis), [("ultimatum", OtherReading::Pointer)], "{cipher:?}");
            assert_eq!(end(&analysis), "unknown at -", "{cipher:?}");
        }
        for analysis in told_of((Security::Nla, cipher, Story::Desktop)) {
            assert_eq!(two(&analysis), [], "{cipher:?}: the client closes");
            assert_eq!(end(&analysis), "active at -", "{cipher:?}");
        }
    }
}

/// The steps of a real capture of block ciphers, by what shows each of them and in which frame.
fn shown(case: &Path, with_keys: bool) -> BTreeSet<String> {
    let file = |name: &str| (name.to_owned(), std::fs::read(case.join(name)).unwrap());
    let mut files = vec![file("client.pcap")];
    files.extend(with_keys.then(|| file("keys.log")));
    let analysis = rdpwhy::analyze_inventory(inputs::held(files), &Unwatched);
    let mut shown = BTreeSet::new();
    for (number, session) in analysis.story.sessions.iter().enumerate() {
        let opened = session.find(|what| matches!(what, What::TlsOpened { .. })).is_some();
        assert_eq!(opened, with_keys, "{}", case.display());
        for seen in &session.facts {
            let told = match seen.what() {
                What::CredsspMessage { by, round, .. } => format!("credssp {} {round}", by.name()),
                What::CredsspRefused { by, round, .. } => format!("refused {} {round}", by.name()),
                What::License { by, .. } | What::LicenseError { by, .. } => format!("license {}", by.name()),
                What::ErrorInfo { .. } | What::ErrorInfoShaped { .. } => "error info".to_owned(),
                What::Ultimatum { by, .. } => format!("ultimatum {}", by.name()),
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
                _ => continue,
            };
            shown.insert(format!("{number} {} {told}", seen.place().spot));
        }
    }
    shown
}

#[test]
fn block_ciphers_show_the_same_steps_with_and_without_their_secrets() {
    let all = children(&root().join("tests/captures/lab"));
    let block =
        |case: &&std::path::PathBuf| case.file_name().unwrap().to_string_lossy().starts_with("block-");
    let cases: Vec<_> = all.iter().filter(block).collect();
    assert!(cases.len() >= 20, "{} captures", cases.len());
    for case in cases {
        assert_eq!(shown(case, true), shown(case, false), "{}", case.display());
    }
}
