//! The page for people: well-formed, closed to the network, the same bytes again, and hostile names stay text.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use data_encoding::BASE64;
use rdpwhy::exchange;
use rdpwhy::report::html::{self, Asked, Limits};
use scraper::{Html, Selector};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::support::{root, run, scratch};

mod browser;
mod made;

/// The page of some paths.
fn page(folder: &Path, arguments: &[&str]) -> String {
    let output = run(folder, &[&["--format", "html", "-q"], arguments].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn samples() -> String {
    page(&root(), &["samples/"])
}

/// The page of facts, in a file of its own.
fn page_of(name: &str, facts: &str) -> std::path::PathBuf {
    let folder = scratch(name);
    std::fs::write(folder.join("facts.jsonl"), facts).unwrap();
    let output = run(&folder, &["diagnose", "-q", "facts.jsonl", "-o", "page.html"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    folder.join("page.html")
}

fn select<'h>(html: &'h Html, what: &str) -> Vec<scraper::ElementRef<'h>> {
    html.select(&Selector::parse(what).unwrap()).collect()
}

fn text_of(html: &Html, what: &str) -> String {
    select(html, what).first().unwrap_or_else(|| panic!("no {what}")).text().collect()
}

/// The table and the lines of details, as the script reads them.
fn blocks(html: &Html) -> (Value, Vec<Value>) {
    let table = serde_json::from_str(&text_of(html, "#table-data")).unwrap();
    let details = text_of(html, "#detail-data");
    (table, details.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

fn assert_closed(page: &str) {
    let html = Html::parse_document(page);
    assert_eq!(html.errors, Vec::<std::borrow::Cow<'_, str>>::new());
    let policy = select(&html, "meta[http-equiv=Content-Security-Policy]");
    let [policy] = policy.as_slice() else { panic!("{} policies", policy.len()) };
    let policy = policy.value().attr("content").unwrap();
    for part in ["default-src 'none'", "base-uri 'none'", "form-action 'none'"] {
        assert!(policy.contains(part), "{policy}");
    }
    let hash = |text: &str| format!("'sha256-{}'", BASE64.encode(&Sha256::digest(text)));
    assert!(policy.contains(&format!("style-src {};", hash(&text_of(&html, "style")))), "{policy}");
    let scripts = select(&html, "script");
    let kinds: Vec<Option<&str>> = scripts.iter().map(|script| script.value().attr("type")).collect();
    assert_eq!(kinds, [Some("application/json"), Some("application/json"), None]);
    assert!(
        policy.contains(&format!("script-src {};", hash(&scripts[2].text().collect::<String>()))),
        "{policy}"
    );
    for element in select(&html, "*") {
        let value = element.value();
        assert!(
            !matches!(value.name(), "link" | "iframe" | "img" | "object" | "embed" | "base"),
            "{value:?}"
        );
        for (name, text) in value.attrs() {
            assert!(!name.starts_with("on") && !matches!(name, "style" | "src" | "action"), "{value:?}");
            assert!(name != "href" || text.starts_with('#'), "{value:?}");
        }
    }
    assert!(!text_of(&html, "style").contains("url("));
}

#[test]
fn the_page_is_well_formed_and_closed_to_the_network() {
    assert_closed(&samples());
}

#[test]
fn the_page_tells_what_text_and_json_tell() {
    let page = samples();
    let html = Html::parse_document(&page);
    let output = run(&root(), &["--format", "json", "-q", "samples/"]);
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    let (table, details) = blocks(&html);
    let sessions = document["sessions"].as_array().unwrap();
    assert_eq!(details.len(), sessions.len() + 2);
    for session in sessions {
        let line = details.iter().find(|line| line["id"] == session["id"]).unwrap();
        let texts = details[0].as_array().unwrap();
        let says: Vec<&Value> = line["facts"]["says"]
            .as_array()
            .unwrap()
            .iter()
            .map(|number| &texts[usize::try_from(number.as_u64().unwrap()).unwrap()])
            .collect();
        let told: Vec<&Value> =
            session["timeline"].as_array().unwrap().iter().map(|line| &line["says"]).collect();
        let own = usize::try_from(line["facts"]["own"].as_u64().unwrap()).unwrap();
        assert_eq!(says[..own], told);
        let causes: Vec<&Value> = line["causes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|cause| &table["causes"][usize::try_from(cause["rule"].as_u64().unwrap()).unwrap()]["id"])
            .collect();
        let named: Vec<&Value> =
            session["causes"].as_array().unwrap().iter().map(|cause| &cause["id"]).collect();
        assert_eq!(causes, named, "{}", session["id"]);
    }
    let plain: BTreeSet<String> =
        select(&html, "#table .note code").iter().map(|code| code.text().collect()).collect();
    for attempt in document["attempts"].as_array().unwrap() {
        assert!(plain.contains(attempt["cause"].as_str().unwrap()), "readable without a script: {attempt}");
    }
    for part in ["How this was made", "rule catalogue", "clock"] {
        assert!(page.contains(part), "{part}");
    }
}

#[test]
fn the_page_is_the_same_for_any_number_of_threads_and_order() {
    let first = page(&root(), &["--threads", "1", "samples/cert-expired", "samples/denied-0x7"]);
    assert_eq!(page(&root(), &["--threads", "4", "samples/denied-0x7", "samples/cert-expired"]), first);
}

#[test]
fn the_format_follows_the_ending_of_the_file() {
    let folder = scratch("html-ending");
    let file = folder.join("why.HTML");
    let output = run(&root(), &["-q", "samples/cert-expired", "-o", file.to_str().unwrap()]);
    assert!(output.status.success());
    assert_eq!(std::fs::read_to_string(file).unwrap(), page(&root(), &["samples/cert-expired"]));
}

#[test]
fn hostile_names_stay_text() {
    let path = page_of("html-hostile", &made::hostile());
    let page = std::fs::read_to_string(path).unwrap();
    assert_closed(&page);
    assert!(!page.contains(['\u{202e}', '\u{0}', '\u{2028}', '\u{feff}']));
    let html = Html::parse_document(&page);
    assert!(select(&html, "b[id], img, svg script, x-hostile").is_empty());
    let shown = text_of(&html, "#table tbody");
    for name in ["</script>", "<!--", "\\u{202e}", "<x-hostile>"] {
        assert!(shown.contains(name), "{name} is not shown as text: {shown}");
    }
}

#[test]
fn a_large_batch_is_cut_and_the_page_says_so() {
    let part = exchange::read(made::batch(60, 40).as_bytes()).unwrap();
    let analysis = rdpwhy::diagnose(vec![part]);
    let limits =
        Limits { attempts: 50, plain_attempts: 20, detail_bytes: 30_000, facts: 8, ..Limits::default() };
    let page = html::page(&analysis, &Asked { limits, ..Asked::default() }).unwrap();
    assert_closed(&page);
    assert!(page.len() < 200_000, "{} bytes", page.len());
    let html = Html::parse_document(&page);
    let (table, details) = blocks(&html);
    let rows = &table["rows"];
    assert_eq!(rows["start"].as_array().unwrap().len(), 50);
    let without: Vec<bool> =
        rows["details"].as_array().unwrap().iter().map(|lines| lines == &serde_json::json!([])).collect();
    let first_without = without.iter().position(|without| *without).unwrap();
    assert!((5..45).contains(&first_without) && without[first_without..].iter().all(|without| *without));
    let own = |line: &Value| line["facts"]["own"].as_u64().unwrap();
    assert!(details[2..].iter().all(|line| own(line) <= 12), "8 and proofs");
    assert!(details[2..].iter().any(|line| line["left_out"].as_u64().unwrap() > 0));
    let said = text_of(&html, ".left-out");
    for part in ["The table ends at 50 attempts: 10 more", "without what unfolds", "more than 8 facts"] {
        assert!(said.contains(part), "{said}");
    }
    assert_eq!(select(&html, "#table tbody tr").len(), 20);
    assert!(text_of(&html, "noscript").contains("the first 20 of 50 attempts"));
    // What failed comes first: of 60 attempts 12 worked, and they are the ones that the table leaves out.
    let worst = text_of(&html, "#table tbody");
    assert!(!worst.contains("the desktop was reached"), "{worst}");
}

#[test]
fn a_page_without_any_connection_says_so() {
    let folder = scratch("html-nothing");
    let capture = std::fs::read(root().join("samples/nla-required/server.pcap")).unwrap();
    std::fs::write(folder.join("empty.pcap"), &capture[..24]).unwrap();
    let page = page(&folder, &["empty.pcap"]);
    assert_closed(&page);
    assert!(page.contains("No RDP connection in this evidence"));
    let mut said = String::new();
    write!(said, "{}", text_of(&Html::parse_document(&page), "h1")).unwrap();
    assert_eq!(said, "No RDP connection in this evidence");
}
