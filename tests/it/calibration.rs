//! Every confidence held against real captures with known causes, as they are and mutilated, and against the share of
//! right answers of other families. Written cases test the mechanism and stay out of it.
//!
//! `UPDATE_EXPECT=1 cargo test calibration` writes docs/calibration.md anew.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::LazyLock;

use expect_test::expect_file;
use rayon::prelude::*;
use rdpwhy::diagnosis::{Doubt, Evidence, MOST, NEVER_SEEN_MAX, RULES, Support, Verdict, rule};
use rdpwhy::read::Unwatched;
use rdpwhy::session::Outcome;
use rdpwhy::{Options, analyze};

use crate::cases::{folders, judged};
use crate::real::{self, Real};
use crate::support::{children, corpus, root};

/// Bands of confidence in hundredths: from, and the next one's from.
const BANDS: [(u8, u8); 6] = [(0, 50), (50, 60), (60, 70), (70, 80), (80, 90), (90, 100)];

/// Causes that say the same in more general words, and are right where the special one is.
const GENERAL: [(&str, &str); 3] = [
    ("middlebox-rst", "middlebox-rst-after-cr"),
    ("geo-ips-block", "middlebox-rst"),
    ("tcp-filtered", "host-asleep"),
];

/// What is not sure names one or two things that would decide, each with the command that collects it.
fn asks_for_more(name: &str, verdicts: &[Vec<Verdict>]) {
    for verdict in verdicts.iter().flatten().filter(|verdict| verdict.weighing.percent < 90) {
        let missing = &verdict.weighing.missing;
        let commands = missing.iter().filter(|one| one.says(&[]).matches('`').count() >= 2).count();
        let asks = (1..=2).contains(&missing.len()) && commands == missing.len();
        assert!(asks, "{name}: {} at {} %: {missing:?}", verdict.rule.id, verdict.weighing.percent);
    }
}

#[test]
fn what_is_not_sure_names_what_would_decide() {
    for (name, folder) in folders() {
        asks_for_more(&name, &judged(&std::fs::read_to_string(folder.join("facts.txt")).unwrap()).1);
    }
    for case in real::all().unwrap_or_default() {
        asks_for_more(&case.name, &real::analysed(&case.whole()).verdicts);
    }
    let folders = ["public/evtx", "public/pcap", "public/pcap-edge"].into_iter().filter_map(corpus);
    let files: Vec<PathBuf> = folders.flat_map(|folder| children(&folder)).collect();
    files.par_iter().for_each(|path| {
        let options = Options { paths: vec![path.clone()], ..Options::default() };
        asks_for_more(&path.display().to_string(), &analyze(&options, &Unwatched).verdicts);
    });
}

/// What came of one copy of one case.
struct Row {
    name: String,
    family: String,
    done: &'static str,
    came: Came,
}

/// A failed attempt with its best cause, or what was said instead.
#[derive(PartialEq)]
enum Came {
    /// A cause, and whether it is right.
    Cause { id: &'static str, kind: Evidence, percent: u8, right: bool },
    /// It failed, and no cause is named.
    NoCause,
    /// Not known how it ended.
    Nothing,
    /// It worked, or nothing failed in it.
    Worked,
}

/// All rows of cases whose cause is known, in a fixed order; `None` without the corpus.
static ROWS: LazyLock<Option<Vec<Row>>> = LazyLock::new(|| {
    let cases: Vec<Real> = real::all()?.into_iter().filter(|case| !case.causes.is_empty()).collect();
    Some(cases.par_iter().flat_map_iter(rows).collect())
});

fn rows(case: &Real) -> Vec<Row> {
    let row = |done: &'static str, came: Came| {
        let (name, family) = (case.name.clone(), case.family.clone());
        Row { name, family, done, came }
    };
    let mut rows = Vec::new();
    let of_files = case.copies().into_iter().map(|copy| (copy.done, real::analysed(&copy.files)));
    for (done, analysis) in of_files.chain(case.log_copies()) {
        let failed = real::failed(&analysis);
        if failed.is_empty() {
            let worked = analysis.story.attempts.iter().any(|attempt| attempt.outcome == Outcome::Active);
            rows.push(row(done, if worked { Came::Worked } else { Came::Nothing }));
        }
        for one in failed {
            let came = one.best.map_or(Came::NoCause, |best| {
                let (id, weighing) = (best.rule.id, &best.weighing);
                let right = is_right(id, &case.causes);
                Came::Cause { id, kind: weighing.kind, percent: weighing.percent, right }
            });
            // A program that tries again, or a thousand guesses of one, say the same again.
            let again = |known: &Row| known.done == done && known.came == came;
            if !rows.iter().any(again) {
                rows.push(row(done, came));
            }
        }
    }
    rows
}

/// The cause is one of those that are known, or says the same in general. That a code of Set Error Info was sent is right
/// where one was.
fn is_right(id: &str, causes: &[String]) -> bool {
    let by_error_info = |cause: &String| {
        rule(cause).is_some_and(|rule| rule.refs.iter().any(|place| place.contains("2.2.5.1.1")))
    };
    causes.iter().any(|cause| {
        cause == id
            || GENERAL.contains(&(id, cause.as_str()))
            || (id == "error-info-hidden" && by_error_info(cause))
    })
}

/// How many there are, and how many of them are right.
#[derive(Clone, Copy, Default)]
struct Share {
    count: usize,
    right: usize,
}

impl Share {
    fn add(&mut self, right: bool) {
        self.count += 1;
        self.right += usize::from(right);
    }

    fn percent(self) -> Option<usize> {
        (self.right * 100).checked_div(self.count)
    }

    fn holds(self, from: u8) -> bool {
        self.right * 100 >= usize::from(from) * self.count
    }

    fn words(self) -> String {
        self.percent().map_or_else(|| "–".to_owned(), |percent| format!("{percent} %"))
    }
}

fn band(percent: u8) -> usize {
    BANDS.iter().position(|(from, to)| (*from..*to).contains(&percent)).unwrap()
}

type Bands = [Share; BANDS.len()];

/// Causes as they are told: of the cases as they are, and of their copies.
fn as_told(rows: &[Row]) -> (Bands, Bands) {
    let (mut whole, mut copies) = (Bands::default(), Bands::default());
    for row in rows {
        if let Came::Cause { percent, right, .. } = row.came {
            let bands = if row.done == "as it is" { &mut whole } else { &mut copies };
            bands[band(percent)].add(right);
        }
    }
    (whole, copies)
}

/// Shares of right answers by kind of evidence, over the rows that are wanted.
fn by_kind(rows: &[Row], wanted: impl Fn(&Row) -> bool) -> BTreeMap<Evidence, Share> {
    let mut kinds: BTreeMap<Evidence, Share> = BTreeMap::new();
    for row in rows.iter().filter(|row| wanted(row)) {
        if let Came::Cause { kind, right, .. } = row.came {
            kinds.entry(kind).or_default().add(right);
        }
    }
    kinds
}

/// Each family with confidences that only the other families allow: no surer than the share of right answers that its kind
/// of evidence has in those, and no surer than a cause never seen where they have none of that kind.
fn left_out(rows: &[Row]) -> Bands {
    let families: BTreeSet<&str> = rows.iter().map(|row| row.family.as_str()).collect();
    let mut bands = Bands::default();
    for family in families {
        let others = by_kind(rows, |row| row.family != family);
        for row in rows.iter().filter(|row| row.family == family) {
            if let Came::Cause { kind, percent, right, .. } = row.came {
                let share = others.get(&kind).and_then(|share| share.percent());
                let most = share.map_or(NEVER_SEEN_MAX, |share| u8::try_from(share).unwrap());
                bands[band(percent.min(most))].add(right);
            }
        }
    }
    bands
}

fn table_of_bands(out: &mut String, rows: &[Row]) {
    let (whole, copies) = as_told(rows);
    let left_out = left_out(rows);
    writeln!(out, "| confidence | as they are: answers | right | mutilated: answers | right | its family left out: answers | right |").unwrap();
    writeln!(out, "|---|---|---|---|---|---|---|").unwrap();
    for (index, (from, to)) in BANDS.iter().enumerate() {
        let cells = [whole[index], copies[index], left_out[index]];
        let cells = cells.map(|share| format!("{} | {} ({})", share.count, share.right, share.words()));
        let name = if *from == 0 { "below 50 %".to_owned() } else { format!("{from} to {} %", to - 1) };
        writeln!(out, "| {name} | {} |", cells.join(" | ")).unwrap();
    }
}

fn table_of_kinds(out: &mut String, rows: &[Row]) {
    let kinds = by_kind(rows, |_| true);
    writeln!(out, "| kind | worth | what it is | answers | right | families |\n|---|---|---|---|---|---|")
        .unwrap();
    for kind in Evidence::ALL {
        let share = kinds.get(&kind).copied().unwrap_or_default();
        let of_kind = |row: &&Row| matches!(row.came, Came::Cause { kind: k, .. } if k == kind);
        let families: BTreeSet<&str> = rows.iter().filter(of_kind).map(|row| row.family.as_str()).collect();
        let names = if kind.names_the_cause() { " (a code)" } else { "" };
        writeln!(
            out,
            "| {kind:?}{names} | {} % | {} | {} | {} ({}) | {} |",
            kind.percent(),
            kind.says(),
            share.count,
            share.right,
            share.words(),
            families.len()
        )
        .unwrap();
    }
}

fn table_of_copies(out: &mut String, rows: &[Row]) {
    let mut done: Vec<&str> = Vec::new();
    for row in rows {
        if !done.contains(&row.done) {
            done.push(row.done);
        }
    }
    done.sort_by_key(|done| (*done != "as it is", *done));
    writeln!(out, "| what was left | right cause | wrong cause | of them 50 % and more | failed, no cause | not known | worked so far |").unwrap();
    writeln!(out, "|---|---|---|---|---|---|---|").unwrap();
    for done in done {
        let count = |wanted: fn(&Came) -> bool| {
            rows.iter().filter(|row| row.done == done && wanted(&row.came)).count()
        };
        let cells = [
            count(|came| matches!(came, Came::Cause { right: true, .. })),
            count(|came| matches!(came, Came::Cause { right: false, .. })),
            count(|came| matches!(came, Came::Cause { right: false, percent: 50.., .. })),
            count(|came| matches!(came, Came::NoCause)),
            count(|came| matches!(came, Came::Nothing)),
            count(|came| matches!(came, Came::Worked)),
        ];
        writeln!(out, "| {done} | {} |", cells.map(|cell| cell.to_string()).join(" | ")).unwrap();
    }
}

const INTRODUCTION: &str = "\
# Confidence

What the percentages of an answer mean, what they are made of, and how they stand against real captures whose cause is known. A test makes
this page (`UPDATE_EXPECT=1 cargo test --test it calibration`) and fails when a band does not hold.

";

const SCHEME: &str = "\
## The scheme

A rule says of what kind its first proof is; that is what it is worth. What else fits adds a little, what contradicts takes off more. No rule
has numbers of its own. A wire fact and a log record of the same kind are worth the same.

";

const ABSENCE: &str = "
- **Absence counts only where the witness covers the time**: silence is a fact that the readers state of a connection whose packets they went on
  seeing, never of one whose capture had ended, lacks one direction or lacks bytes that did arrive. A connection that every capture saw in one
  direction only, or with bytes missing, is not said to have broken because it was closed; a reset that one end did not see was made on the way only
  where that end still looked and had received what came before it.
- **A record of a host that is put to the connection by its time alone** loses what the client's address or port would add: 15 with the address only, 25
  without.
- **What is not as in the last success** of the same client and server adds Slight to a cause that it would explain: another certificate, TLS version,
  security, offer, name, user or path. The same certificate as then takes Slight off a cause that blames it, where no code names the cause.
- **A cause that was never seen** in real evidence, and that no code names, is told with 60 % at most, keeps its place among the causes, and whatever
  stands behind it is no surer. [causes.md](causes.md) says *from specification, not seen* of it.
- Causes stand in the order of their confidence; none is surer than 99 %.

";

const EVIDENCE: &str = "\
## Against real captures

Real captures of real clients and servers whose cause is known: those of the lab (`lab/runner`, and others like them) and public ones.
Written cases test the mechanism and are not counted. Each is judged as it is and in copies from which something was taken: one end's capture, the
TLS secrets, one direction, the beginning, the rest from some packet on, all but 128 bytes of each packet; of logs ports, addresses, ActivityIDs or
users of all records, so that only time joins them, and records. An answer is a failed attempt with its
best cause, those that say the same of one copy counted once; it is right when the cause is one of those that are right for the case, or says the same
in more general words. In every band the share of right answers is at least the band's lower end.

*Its family left out*: a family is a cause with the software at both ends. Its confidences are limited to the share of right answers that their kind of
evidence has in all other families, and to that of a cause never seen where it has none there; so nothing is calibrated on itself.

";

/// Every answer that was wrong, by name.
fn wrong(out: &mut String, rows: &[Row]) {
    for row in rows {
        if let Came::Cause { id, percent, right: false, .. } = row.came {
            writeln!(out, "- {}, {}: {percent} % {id}", row.name, row.done).unwrap();
        }
    }
}

fn page(rows: &[Row]) -> String {
    let mut out = String::from(INTRODUCTION);
    out.push_str(SCHEME);
    table_of_kinds(&mut out, rows);
    let supports = [Support::Slight, Support::Clear, Support::Strong, Support::Decisive];
    let doubts = [Doubt::Slight, Doubt::LessExact, Doubt::Clear, Doubt::Strong, Doubt::Excludes];
    let added = supports.map(|support| format!("{support:?} {}", support.percent()));
    let taken = doubts.map(|doubt| format!("{doubt:?} {}", doubt.percent()));
    writeln!(
        out,
        "\n- **What fits adds**: {}.\n- **What contradicts takes off**: {}.",
        added.join(", "),
        taken.join(", ")
    )
    .unwrap();
    out.push_str(ABSENCE.trim_start_matches('\n'));
    out.push_str(EVIDENCE);
    let cases: BTreeSet<&str> = rows.iter().map(|row| row.name.as_str()).collect();
    let families: BTreeSet<&str> = rows.iter().map(|row| row.family.as_str()).collect();
    let seen = RULES.iter().flat_map(|rules| rules.iter()).filter(|rule| !rule.seen.is_empty()).count();
    let rules = RULES.iter().map(|rules| rules.len()).sum::<usize>();
    writeln!(
        out,
        "{} cases of {} families, {} answers; {seen} of {rules} rules were seen in real evidence.\n",
        cases.len(),
        families.len(),
        rows.len()
    )
    .unwrap();
    table_of_bands(&mut out, rows);
    out.push_str("\nWhat became of the copies:\n\n");
    table_of_copies(&mut out, rows);
    out.push_str("\nThe wrong ones:\n\n");
    wrong(&mut out, rows);
    out
}

#[test]
fn in_each_band_the_share_of_right_answers_is_at_least_the_bands() {
    let Some(rows) = ROWS.as_ref() else { return };
    expect_file![root().join("docs/calibration.md")].assert_eq(&page(rows));
    let (whole, copies) = as_told(rows);
    for (what, bands) in [("as they are", whole), ("mutilated", copies), ("family left out", left_out(rows))]
    {
        for ((from, to), share) in BANDS.iter().zip(bands) {
            assert!(
                share.holds(*from),
                "{what}, {from} to {to}: {} of {} are right",
                share.right,
                share.count
            );
        }
    }
    assert!(MOST < 100 && rows.len() > 700, "{} answers", rows.len());
}

/// Copies that hold all packets.
const AS_MADE: [&str; 2] = ["as it is", "without TLS secrets"];

/// A rule is marked as seen by names of cases in which it is the best cause, as they are. Where an unmarked one is, the test
/// says so.
#[test]
fn what_is_marked_as_seen_was_seen() {
    let Some(rows) = ROWS.as_ref() else { return };
    let mut won: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for row in rows.iter().filter(|row| AS_MADE.contains(&row.done)) {
        if let Came::Cause { id, right: true, .. } = row.came {
            won.entry(id).or_default().insert(&row.name);
        }
    }
    let of_connections = of_connections();
    for (id, name) in &of_connections {
        won.entry(id).or_default().insert(name);
    }
    let mut wrong = Vec::new();
    for rule in RULES.iter().flat_map(|rules| rules.iter()) {
        let cases = won.get(rule.id).cloned().unwrap_or_default();
        if rule.seen.iter().any(|name| !cases.contains(name)) {
            wrong.push(format!("{}: marked {:?}, the best cause of {cases:?}", rule.id, rule.seen));
        }
        let elsewhere =
            RULES.iter().flat_map(|rules| rules.iter()).any(|r| r.id == rule.id && !r.seen.is_empty());
        if rule.seen.is_empty() && !cases.is_empty() && !elsewhere {
            eprintln!("HINT: {} can be marked as seen in {cases:?}", rule.id);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Best causes of the single connections of the cases as they are, where they are right; of scans, of all that only looked.
fn of_connections() -> Vec<(&'static str, String)> {
    let mut cases = real::all().unwrap_or_default();
    let named =
        |name: &str| RULES.iter().flat_map(|rules| rules.iter()).any(|rule| rule.seen.contains(&name));
    cases.retain(|case| named(&case.name));
    let best = |case: &Real| {
        let analysis = real::analysed(&case.whole());
        let causes = analysis.story.sessions.iter().zip(&analysis.verdicts);
        let right = causes.filter_map(|(session, causes)| {
            let id = causes.first()?.rule.id;
            let is_probe = case.success && session.outcome == Outcome::Probe;
            (is_probe || case.causes.iter().any(|cause| cause == id)).then_some(id)
        });
        right.map(|id| (id, case.name.clone())).collect::<Vec<_>>()
    };
    cases.par_iter().flat_map_iter(best).collect()
}

/// Of larger captures not every copy is judged, for the time that it takes.
const LARGE_BYTES: usize = 512 * 1024;
const OF_LARGE: [&str; 4] = [
    "the first 10 % of the packets",
    "the first 25 % of the packets",
    "without the first 3 packets",
    "128 bytes of each packet",
];

/// A success, a scan or a capture without a failure, cut in whatever way, has no failed attempt but one whose connection
/// failed in the whole of it as well.
#[test]
fn no_copy_of_a_success_is_called_broken_and_no_rule_speaks_up() {
    let Some(cases) = real::all() else { return };
    let successes: Vec<Real> = cases.into_iter().filter(|case| case.success).collect();
    assert!(successes.len() > 25, "{} successes", successes.len());
    successes.par_iter().for_each(|case| {
        let whole = real::analysed(&case.whole());
        let failing = whole.story.sessions.iter().filter(|session| session.outcome.is_failure());
        let failing: Vec<String> = failing.map(real::ends).collect();
        assert!(real::failed(&whole).is_empty(), "{}", case.name);
        let is_large = case.captures.iter().any(|(_, bytes)| bytes.len() > LARGE_BYTES);
        let copies = case.copies().into_iter().filter(|copy| !is_large || OF_LARGE.contains(&copy.done));
        let of_files = copies.map(|copy| (copy.done, real::analysed(&copy.files)));
        for (done, analysis) in of_files.chain(case.log_copies()) {
            for (session, causes) in analysis.story.sessions.iter().zip(&analysis.verdicts) {
                assert!(session.outcome != Outcome::Active || causes.is_empty(), "{}, {}", case.name, done);
            }
            for one in real::failed(&analysis) {
                let truly = one.sessions.iter().any(|ends| failing.contains(ends));
                assert!(truly, "{}, {}: {:?}", case.name, done, one.best.map(|best| best.rule.id));
            }
        }
    });
}
