//! What a scenario's author is told: the line, what was found, what was expected. And: the documentation names every verb.

use rdpwhy_lab::scenario::{Scenario, verb_names};

const CAST: &str = "at 2025-03-04T08:00:00Z
host client CLIENT01 198.51.100.7
host server RDSH01 203.0.113.20
";

/// Lines after the cast, and what is said of them.
const CASES: &[(&str, &str)] = &[
    ("+0 server accepts", "line 4: `port=` is missing, expected a number"),
    (
        "\n# nothing\n+0 server accepts port=x",
        "line 6: port is `x`, expected a number such as 14 or 0xC000006D",
    ),
    ("+0 server accepts port=99999", "line 4: port is 99999, expected a number below 65536"),
    (
        "+0 server accepts prot=1",
        "line 4: unknown key `prot`, expected one of port, from, user, nla, protocol",
    ),
    ("+0 server accepts port=1 now", "line 4: found `now` after a pair, expected `key=value`"),
    ("+0 server boots now", "line 4: found `now` after `boots`, expected `key=value`"),
    ("+0 server", "line 4: the line ends early, expected a verb"),
    ("+0 RDSH09 boots", "line 4: no host `RDSH09`, expected one of CLIENT01, RDSH01"),
    ("+0 gateway ends", "line 4: no host is a gateway, expected a line `host gateway NAME ADDRESS`"),
    (
        "host server B 203.0.113.9\n+0 server boots",
        "line 5: several hosts are a server, expected the host's name",
    ),
    ("+1,5 server boots", "line 4: `+1,5` is no time, expected +1.5 or an RFC 3339 time"),
    (
        "soon server boots",
        "line 4: found `soon`, expected at, domain, host, user, noise, or a time such as +1.5",
    ),
    (
        "host robot R 203.0.113.9",
        "line 4: `robot` is no role, expected client, server, broker, gateway or dc",
    ),
    ("host server R nowhere", "line 4: `nowhere` is no IP address, expected 203.0.113.20"),
    (
        "host server R 203.0.113.9 clock=5",
        "line 4: clock is `5`, expected signed seconds such as +137s or -2.5s",
    ),
    ("host server rdsh01 203.0.113.9", "line 4: host rdsh01 is there already, expected another name"),
    ("+0 server logs-on", "line 4: RDSH01 has no connection yet, expected a line `RDSH01 accepts port=...`"),
    (
        "+0 server accepts port=1\n+1 server logs-on port=2",
        "line 5: RDSH01 accepted no connection from port 2",
    ),
    (
        "+0 server accepts port=1\n+1 server idle-limit",
        "line 5: the connection has no session yet, expected a line with `logs-on` before",
    ),
    (
        "+0 server accepts port=1\n+1 server set-error-info",
        "line 5: the line ends early, expected the code, such as 0x7",
    ),
    (
        "+0 client disconnected reason=1",
        "line 4: CLIENT01 connects to nothing yet, expected a line `CLIENT01 connects name=...`",
    ),
    (
        "+0 server event provider=none id=1",
        "line 4: provider `none` is not known here, expected `channel=` with it",
    ),
    (
        "+0 server event provider=lsm id=1 A:u8=300",
        "line 4: A:u8 is `300`, expected a number that fits the type",
    ),
    ("+0 server boots \"", "line 4: `\"` has no closing quote"),
    ("user a sid=b", "line 4: `b` is no SID, expected S-1-5-21-1-2-3-1105"),
];

fn error(lines: &str) -> String {
    Scenario::parse(&format!("{CAST}{lines}")).unwrap_err().to_string()
}

#[test]
fn errors_name_the_line_and_what_was_expected() {
    for (lines, expected) in CASES {
        assert_eq!(error(lines), *expected);
    }
    let verbs = error("+0 server dances");
    assert!(
        verbs.starts_with("line 4: server knows no verb `dances`, expected one of connects, "),
        "{verbs}"
    );
    assert!(!error("+0 server refuses").is_empty(), "only a broker refuses");
    let no_base = Scenario::parse("host server A 203.0.113.1\n+0 server boots").unwrap_err();
    assert_eq!(
        no_base.to_string(),
        "line 2: no base time yet, expected a line such as `at 2025-03-04T08:00:00Z`"
    );
}

#[test]
fn the_documentation_names_every_verb() {
    let documentation = include_str!("../../src/scenario/mod.rs");
    for name in verb_names() {
        assert!(documentation.contains(&format!("`{name}")), "{name}");
    }
}
