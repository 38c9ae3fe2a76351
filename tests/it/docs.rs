//! docs/causes.md, made of the rules and their cases. `UPDATE_EXPECT=1 cargo test docs` writes it anew.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use expect_test::expect_file;
use rdpwhy::diagnosis::{RULES, Rule};
use rdpwhy::report::words::says;
use rdpwhy::step::LADDER;

use crate::cases::{folders, judged};
use crate::support::root;

/// Lines of one kind shown of a cause.
const LINES_MAX: usize = 6;

/// What the cases of one cause show.
#[derive(Default)]
struct Shown {
    /// Proofs, as people read them, with the greatest confidence they were weighed with.
    proofs: BTreeMap<String, u8>,
    missing: BTreeSet<&'static str>,
    least: Option<u8>,
    most: Option<u8>,
    neighbours: BTreeSet<String>,
}

fn shown() -> BTreeMap<String, Shown> {
    let mut shown: BTreeMap<String, Shown> = BTreeMap::new();
    for (name, folder) in folders() {
        let (id, variant) = name.split_once("--").unwrap();
        let one = shown.entry(id.to_owned()).or_default();
        if let Some(neighbour) = variant.strip_prefix("not-") {
            one.neighbours.insert(neighbour.replace('-', " "));
            continue;
        }
        let (_, verdicts) = judged(&std::fs::read_to_string(folder.join("facts.txt")).unwrap());
        for verdict in verdicts.iter().flatten().filter(|verdict| verdict.rule.id == id) {
            let weighing = &verdict.weighing;
            for proof in &weighing.proofs {
                let most = one.proofs.entry(says(proof.what())).or_default();
                *most = weighing.percent.max(*most);
            }
            one.missing.extend(weighing.missing.iter().filter_map(|missing| match missing {
                rdpwhy::diagnosis::Missing::Text(text) => Some(*text),
                rdpwhy::diagnosis::Missing::Ended { .. } => None,
            }));
            one.least = one.least.into_iter().chain([weighing.percent]).min();
            one.most = one.most.into_iter().chain([weighing.percent]).max();
        }
    }
    shown
}

fn page() -> String {
    let shown = shown();
    let mut out = String::from(
        "# Causes\n\nEvery cause that rdpwhy can name: what it is, how it shows, how sure that makes, what to do. Made from the rules and \
         their cases in\n`tests/cases` by a test; the lines under *shows* are what those cases hold, the surest first. One of them may be \
         enough, and none of them\nis always there.\n",
    );
    let steps = std::iter::once(None).chain(LADDER.iter().map(|rung| Some(rung.step)));
    for step in steps {
        let rules: Vec<&Rule> =
            RULES.iter().flat_map(|rules| rules.iter()).filter(|rule| rule.step == step).collect();
        if rules.is_empty() {
            continue;
        }
        let title = step.map_or("any step", |step| step.title());
        writeln!(out, "\n## At {title}").unwrap();
        for rule in rules {
            cause(&mut out, rule, shown.get(rule.id));
        }
    }
    out
}

fn cause(out: &mut String, rule: &Rule, shown: Option<&Shown>) {
    writeln!(out, "\n### {}\n\n{}.\n", rule.id, capitalised(rule.cause)).unwrap();
    if let Some(shown) = shown {
        let mut proofs: Vec<(&String, &u8)> = shown.proofs.iter().collect();
        proofs.sort_by_key(|(text, percent)| (std::cmp::Reverse(**percent), text.as_str()));
        list(out, "shows", proofs.into_iter().map(|(text, _)| text.clone()));
        if let (Some(least), Some(most)) = (shown.least, shown.most) {
            let range = if least == most { format!("{most} %") } else { format!("{least} to {most} %") };
            writeln!(out, "- **how sure**: {range} in these cases").unwrap();
        }
        list(out, "would decide", shown.missing.iter().map(|text| (*text).to_owned()));
        list(out, "told apart from", shown.neighbours.iter().cloned());
    }
    writeln!(out, "- **to do**: {}", rule.fix).unwrap();
    if !rule.refs.is_empty() {
        writeln!(out, "- **known from**: {}", rule.refs.join("; ")).unwrap();
    }
    writeln!(out, "- **seen in**: {}", rule.seen_in()).unwrap();
}

fn list(out: &mut String, label: &str, lines: impl Iterator<Item = String>) {
    let all: Vec<String> = lines.collect();
    if all.is_empty() {
        return;
    }
    let more = all.len().saturating_sub(LINES_MAX);
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    let shown: Vec<&str> = all.iter().take(LINES_MAX).map(String::as_str).collect();
    writeln!(out, "- **{label}**: {}{more}", shown.join("; ")).unwrap();
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[test]
fn the_page_of_causes_is_that_of_the_rules() {
    expect_file![root().join("docs/causes.md")].assert_eq(&page());
}

#[test]
fn links_between_documents_lead_somewhere() {
    let headings: BTreeSet<String> =
        RULES.iter().flat_map(|rules| rules.iter()).map(|rule| format!("causes.md#{}", rule.id)).collect();
    let text = std::fs::read_to_string(root().join("docs/0x3-0x7.md")).unwrap();
    let links: Vec<&str> = text.split("](").skip(1).filter_map(|rest| rest.split(')').next()).collect();
    assert!(links.len() > 10, "{links:?}");
    for link in links {
        assert!(headings.contains(link), "{link} leads nowhere");
    }
}
