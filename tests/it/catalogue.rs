//! The catalogue of events against what is known of them: every event that tells something of a connection has a row, and
//! real events of it become facts.

use std::path::PathBuf;

use rdpwhy::codes::{self, Table};
use rdpwhy::events;
use rdpwhy::fact::What;
use rdpwhy::read::Unwatched;
use rdpwhy::read::evtx::{Choice, read_stream};
use rdpwhy::session::join;
use rdpwhy_lab::evtx::{Guid, Payload, Record, Value, to_bytes};

use crate::support::corpus;

/// Events that have no row although they are no noise, with the reason.
const WITHOUT_ROW: [(&str, u32, &str); 1] = [(
    "Schannel",
    36880,
    "it stands for every TLS connection of every program; RdpCoreTS 153 tells the same of one",
)];

/// The table of known events, beside the corpus.
fn known() -> Option<String> {
    let corpus = corpus("")?;
    let path = corpus.parent()?.join("knowledge/events.tsv");
    let text = std::fs::read_to_string(&path).ok();
    if text.is_none() {
        aloud!("SKIPPED: no table of events at {}", path.display());
    }
    text
}

/// Provider names, channel and id of each row whose role is not noise.
fn telling(table: &str) -> Vec<(Vec<String>, String, u32)> {
    let mut lines = table.lines();
    let columns: Vec<&str> = lines.next().unwrap().split('\t').collect();
    let at = |name: &str| columns.iter().position(|column| *column == name).unwrap();
    let (provider, channel, id, role) = (at("provider"), at("channel"), at("event_id"), at("role"));
    let row = |line: &str| {
        let cells: Vec<&str> = line.split('\t').collect();
        let names = cells[provider].split(" / ").map(str::to_owned).collect();
        let channel = cells[channel].split(" (").next().unwrap().to_owned();
        (cells[role] != "noise").then(|| (names, channel, cells[id].parse().unwrap()))
    };
    lines.filter_map(row).collect()
}

#[test]
fn every_known_event_that_is_no_noise_has_a_row() {
    let Some(table) = known() else { return };
    let rows = telling(&table);
    assert!(rows.len() > 500, "only {} rows are read", rows.len());
    let mut missing = Vec::new();
    for (providers, channel, id) in &rows {
        for provider in providers {
            let excused = WITHOUT_ROW.iter().any(|(name, number, _)| name == provider && number == id);
            if !events::wanted(provider, channel, *id) && !excused {
                missing.push(format!("{provider} {channel} {id}"));
            }
        }
    }
    assert!(missing.is_empty(), "{} of {} have no row:\n{}", missing.len(), rows.len(), missing.join("\n"));
}

#[test]
fn rows_of_one_log_say_different_things() {
    let rows: Vec<events::Described> = events::described().collect();
    assert!(rows.len() > 480, "{} rows", rows.len());
    for row in &rows {
        assert!(!row.says.is_empty() && !row.says.ends_with('.'), "{} {}: {}", row.log, row.id, row.says);
        assert!(
            row.providers.iter().all(|name| events::wanted(name, row.channels[0], row.id)),
            "{} {} is not found by its own names",
            row.log,
            row.id
        );
    }
}

/// What stands between the tags of an element, and its attributes.
struct Element<'a> {
    attributes: &'a str,
    inside: &'a str,
}

/// The first element of that name.
fn element<'a>(xml: &'a str, name: &str) -> Option<Element<'a>> {
    let (_, rest) =
        xml.split_once(&format!("<{name}")).filter(|(_, rest)| !rest.starts_with(char::is_alphanumeric))?;
    let (attributes, rest) = rest.split_once('>')?;
    if attributes.ends_with('/') {
        return Some(Element { attributes: attributes.trim_end_matches('/'), inside: "" });
    }
    let (inside, _) = rest.split_once(&format!("</{name}"))?;
    Some(Element { attributes, inside })
}

fn attribute<'a>(element: &Element<'a>, name: &str) -> Option<&'a str> {
    element.attributes.split_once(&format!("{name}=\""))?.1.split('"').next()
}

/// Children of an element in order: name, attributes, text.
fn children(mut xml: &str) -> Vec<(&str, Element<'_>)> {
    let mut found = Vec::new();
    while let Some((_, rest)) = xml.split_once('<').filter(|(_, rest)| !rest.starts_with('/')) {
        let name = rest.split([' ', '>', '/']).next().unwrap();
        let Some(child) = element(&xml[xml.find('<').unwrap()..], name) else { break };
        let tail = rest.split_once(&format!("</{name}>")).map_or("", |(_, tail)| tail);
        found.push((name, child));
        xml = tail;
    }
    found
}

/// The example event of a map of EvtxECmd, which stands in its comments: as a record of our writer.
fn example(map: &str) -> Option<Record> {
    let lines = map.lines().filter_map(|line| line.strip_prefix('#'));
    let text: String =
        lines.skip_while(|line| !line.trim_start().starts_with("<Event")).collect::<Vec<_>>().join("\n");
    let system = element(&text, "System")?;
    let of = |name: &str| element(system.inside, name);
    let (provider, id) = (of("Provider")?, of("EventID")?);
    let number = id.inside.trim().parse().ok()?;
    let time_ns = 1_740_000_000_000_000_000;
    let mut record =
        Record::new(attribute(&provider, "Name")?, of("Channel")?.inside.trim(), number, time_ns);
    record.qualifiers = attribute(&id, "Qualifiers").and_then(|text| text.parse().ok());
    record.activity_id =
        of("Correlation").as_ref().and_then(|c| attribute(c, "ActivityID")).and_then(Guid::parse);
    record.computer = "RDSH01.lab.test".to_owned();
    record.payload = payload(&text);
    Some(record)
}

fn payload(text: &str) -> Payload {
    let value = |child: &Element<'_>| Value::Str(child.inside.replace("&amp;", "&"));
    if let Some(data) = element(text, "UserData") {
        let outer = children(data.inside);
        let Some((name, event)) = outer.first() else { return Payload::None };
        let inner = children(event.inside);
        return Payload::UserData {
            element: (*name).to_owned(),
            namespace: attribute(event, "xmlns").unwrap_or("Event_NS").to_owned(),
            children: inner.iter().map(|(name, child)| ((*name).to_owned(), value(child))).collect(),
        };
    }
    let Some(data) = element(text, "EventData") else { return Payload::None };
    let cells = children(data.inside);
    let cells: Vec<&Element<'_>> =
        cells.iter().filter(|(name, _)| *name == "Data").map(|(_, child)| child).collect();
    let named: Vec<(String, Value)> =
        cells.iter().filter_map(|child| Some((attribute(child, "Name")?.to_owned(), value(child)))).collect();
    match (cells.is_empty(), named.is_empty()) {
        (true, _) => Payload::None,
        (_, true) => Payload::Unnamed(cells.iter().map(|child| value(child)).collect()),
        _ => Payload::Named(named),
    }
}

/// Examples that become no fact, with the reason.
const NO_FACT: [(&str, u16, &str); 0] = [];

#[test]
fn real_examples_of_events_are_written_read_back_and_become_facts() {
    let Some(folder) = corpus("public/text") else { return };
    let maps: Vec<PathBuf> = crate::support::children(&folder)
        .into_iter()
        .filter(|path| path.extension().is_some_and(|end| end == "map"))
        .collect();
    let mut examples = 0;
    for path in &maps {
        let map = std::fs::read_to_string(path).unwrap();
        let Some(written) = example(&map) else {
            panic!("{}: its example could not be read", path.display());
        };
        examples += 1;
        let bytes = to_bytes(std::slice::from_ref(&written)).unwrap();
        let mut read = Vec::new();
        let choice = Choice { wanted: events::wanted, keep: &Some, by_xml: false };
        let (counts, notes) =
            read_stream(0, bytes.as_slice(), &Unwatched, &choice, &mut |record| read.push(record));
        let name = format!("{} {}", written.provider.name, written.event_id);
        assert_eq!((counts.records, notes.len()), (1, 0), "{name}: {notes:?}");
        if NO_FACT
            .iter()
            .any(|(provider, id, _)| *provider == written.provider.name && *id == written.event_id)
        {
            assert!(read.is_empty(), "{name} has a row");
            continue;
        }
        let record = read.first().unwrap_or_else(|| panic!("{name} has no row"));
        assert_eq!(
            (record.id, record.provider.as_str()),
            (u32::from(written.event_id), written.provider.name.as_str())
        );
        let fact =
            events::facts(record, 0).unwrap_or_else(|| panic!("{name} becomes no fact: {:?}", record.fields));
        let text = fact.what.text();
        assert_eq!(What::parse(&text).as_ref(), Ok(&fact.what), "{name}: {text}");
        assert!(!rdpwhy::report::words::says(&fact.what).is_empty(), "{name}");
        assert!(
            !text.starts_with("log-says") || EXPECTED_NOTES.contains(&written.event_id),
            "{name}: {text}"
        );
    }
    assert_eq!(examples, 31, "of {} maps", maps.len());
}

/// Examples that only put other facts into context.
const EXPECTED_NOTES: [u16; 1] = [45057];

/// Fields by which every reader of the catalogue finds something to say.
const FIELDS: [(&str, &str); 60] = [
    ("Status", "0xc000006d"),
    ("SubStatus", "0xc000006a"),
    ("ErrorCode", "41"),
    ("error", "64"),
    ("ReasonCode", "14"),
    ("ReturnCode", "5"),
    ("LogonType", "10"),
    ("TargetUserName", "alice"),
    ("TargetDomainName", "LAB"),
    ("TargetLogonId", "0x500"),
    ("SubjectUserName", "alice"),
    ("SubjectLogonId", "0x500"),
    ("AccountName", "alice"),
    ("Username", "LAB\\alice"),
    ("UserName", "alice"),
    ("User", "LAB\\alice"),
    ("Address", "198.51.100.10"),
    ("IpAddress", "198.51.100.10"),
    ("ClientAddress", "198.51.100.10"),
    ("ClientIP", "198.51.100.10:50112"),
    ("SessionID", "2"),
    ("SessionId", "2"),
    ("Session", "2"),
    ("TargetSession", "2"),
    ("Source", "3"),
    ("Reason", "5"),
    ("LogonID", "0x500"),
    ("SessionName", "RDP-Tcp#5"),
    ("ConnectionName", "RDP-Tcp#5"),
    ("MethodName", "PreDisconnect(5)"),
    ("ChannelName", "rdpdr"),
    ("listenerName", "RDP-Tcp"),
    ("TLSVersion", "TLS 1.2"),
    ("Value", "516"),
    ("TraceMessage", "text"),
    ("AppName", "svchost.exe_TermService"),
    ("P1", "svchost.exe_TermService"),
    ("RuleName", "RemoteDesktop-UserMode-In-TCP"),
    ("Port", "3389"),
    ("Result/@value", "80092012"),
    ("EventAuxInfo/@ProcessName", "mstsc.exe"),
    ("X509Objects/Certificate/@subjectName", "rdsh01"),
    ("Direction", "%%14592"),
    ("SourceAddress", "203.0.113.20"),
    ("SourcePort", "3389"),
    ("DestAddress", "198.51.100.10"),
    ("DestPort", "50112"),
    ("AlertDesc", "40"),
    ("QueryName", "rdsh01.lab.test"),
    ("PreviousTime", "2025-03-04T08:00:00.0000000Z"),
    ("OldTime", "2025-03-04T08:00:00.0000000Z"),
    ("NewTime", "2025-03-04T08:00:01.0000000Z"),
    ("Param1", "alice"),
    ("Param2", "LAB"),
    ("Param3", "198.51.100.10"),
    ("param1", "LAB"),
    ("param2", "TermService"),
    ("param4", "TermService"),
    ("4", "79"),
    ("6", "480 Pacific Standard Time"),
];

/// Connections that a row may belong to: what stands before it, and the host that writes the row.
const SCENES: [(&str, &str); 5] = [
    (
        "host rdsh01 activity=AA01 client=198.51.100.10:50112
         +0 accepted
         host rdsh01 client=198.51.100.10 user=LAB\\alice logon=1280
         +0.2 logon logon_type=10
         host rdsh01 activity=AA01 session=2
         +2 method method=OnReady",
        "rdsh01",
    ),
    (
        "host rdsh01 activity=AA01 client=198.51.100.10:50112
         +0 accepted
         +0.1 connection-named name=RDP-Tcp#5
         +2 method method=OnReady",
        "rdsh01",
    ),
    ("host client01 activity=AA01\n+0 client-connecting name=rdsh01\n+2 client-connected", "client01"),
    ("host gw01 activity=AA01\n+0 gateway event=200 says=in\n+2 gateway event=302 says=on", "gw01"),
    (
        "host rdsh01 activity=AA01 client=198.51.100.10:50112 user=LAB\\alice
         +0 accepted
         +1 credentials-refused",
        "dc01",
    ),
];

/// Rows whose facts belong to no connection, with the reason.
const UNUSED: [(&str, &str); 0] = [];

#[test]
fn no_row_tells_something_that_nothing_uses() {
    let activity = "F420AAAA-0000-0000-0000-000000000001";
    let mut unused = Vec::new();
    for row in events::described() {
        let is_used = |channel: &str| {
            SCENES.iter().any(|(before, host)| {
                let (mut facts, mut witnesses) = crate::cases::facts(&before.replace("AA01", activity));
                let at = facts[0].at.plus(1_000_000_000);
                let record = rdpwhy::read::Record {
                    channel: channel.to_owned(),
                    provider: row.providers[0].to_owned(),
                    id: row.id,
                    record_id: 99,
                    at,
                    computer: (*host).to_owned(),
                    // Classic events have none.
                    activity: (channel != "System").then(|| activity.to_owned()),
                    fields: FIELDS
                        .iter()
                        .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
                        .collect(),
                    ..rdpwhy::read::Record::default()
                };
                let Some(fact) = events::facts(&record, 0) else { return false };
                if witnesses.iter().all(|witness| witness.host.as_deref() != Some(host)) {
                    witnesses.push(rdpwhy::session::Witness {
                        name: (*host).to_owned(),
                        host: Some((*host).to_owned()),
                        ..witnesses[0].clone()
                    });
                }
                facts.push(fact);
                join(facts, &witnesses).records_alone == 0
            })
        };
        let excused = UNUSED.iter().any(|(name, _)| *name == format!("{} {}", row.log, row.id));
        if !row.channels.iter().all(|channel| is_used(channel)) && !excused {
            unused.push(format!("{} {}: {}", row.log, row.id, row.says));
        }
    }
    assert!(unused.is_empty(), "{} rows:\n{}", unused.len(), unused.join("\n"));
}

/// Tables of known codes: file, column of the number, and our tables that must name it.
const CODES: [(&str, &str, &[&Table]); 9] = [
    ("errinfo.tsv", "code_hex", &[&codes::ERROR_INFO]),
    ("discreason.tsv", "code_hex", &[&codes::DISCONNECT_REASONS]),
    ("extdisc.tsv", "code_hex", &[&codes::EXTENDED_REASONS]),
    ("ntstatus_logon.tsv", "status", &[&codes::NTSTATUS, &codes::SEC_E]),
    ("failure_reason_pct.tsv", "token", &[&codes::FAILURE_REASONS]),
    ("kerberos_errors.tsv", "code_hex", &[&codes::KERBEROS]),
    ("gateway_errors.tsv", "code", &[&codes::GATEWAY, &codes::WIN32]),
    ("tls_alerts.tsv", "alert", &[&codes::TLS_ALERTS]),
    ("schannel_states.tsv", "value", &[&codes::SCHANNEL_STATES]),
];

/// Codes of those tables without a name here, with the reason.
const NAMELESS: [(&str, &str, &str); 16] = [
    ("extdisc.tsv", "0x1000-0x7fff", "a range, whose codes are those of Set Error Info"),
    ("gateway_errors.tsv", "HTTP 401", "a status of HTTP, which no log of the gateway gives as its code"),
    ("gateway_errors.tsv", "HTTP 403", "the same"),
    ("gateway_errors.tsv", "HTTP 404", "the same"),
    ("gateway_errors.tsv", "HTTP 503", "the same"),
    ("schannel_states.tsv", "", "a remark without a number"),
    ("schannel_states.tsv", "46/48/49/70/40", "alerts, which their own table names"),
    ("schannel_states.tsv", "10003", "not documented"),
    ("schannel_states.tsv", "10010", "not documented"),
    ("schannel_states.tsv", "1203", "not documented: the alert that is sent with it says what happened"),
    ("schannel_states.tsv", "1205", "the same"),
    ("schannel_states.tsv", "1207", "the same"),
    ("schannel_states.tsv", "960", "the same"),
    ("schannel_states.tsv", "1250", "the same"),
    ("schannel_states.tsv", "252", "the same"),
    ("schannel_states.tsv", "808", "the same"),
];

/// `0x4D4 (1236)`, `RPC 0x5`, `%%2304`, `10001`; an HRESULT made of a Win32 error is that error.
fn code(text: &str) -> Option<u32> {
    let word = text.trim_start_matches("RPC ").trim_start_matches('%').split(' ').next()?;
    let number = match word.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok()?,
        None => word.parse().ok()?,
    };
    Some(if number & 0xffff_0000 == 0x8007_0000 { number & 0xffff } else { number })
}

#[test]
fn every_known_code_has_a_name() {
    let Some(corpus) = corpus("") else { return };
    let mut nameless = Vec::new();
    for (file, column, tables) in CODES {
        let path = corpus.parent().unwrap().join("knowledge").join(file);
        let Ok(text) = std::fs::read_to_string(&path) else {
            aloud!("SKIPPED: no table at {}", path.display());
            return;
        };
        let mut lines = text.lines();
        let at = lines.next().unwrap().split('\t').position(|name| name == column).unwrap();
        for line in lines {
            let text = line.split('\t').nth(at).unwrap();
            let named = code(text).is_some_and(|code| tables.iter().any(|table| table.row(code).is_some()));
            let excused = NAMELESS.iter().any(|(name, code, _)| (*name, *code) == (file, text));
            if !named && !excused {
                nameless.push(format!("{file} {text}"));
            }
        }
    }
    assert!(nameless.is_empty(), "{}", nameless.join("\n"));
}
