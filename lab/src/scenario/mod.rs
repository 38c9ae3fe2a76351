//! Ten lines of text say who did what when; the event logs of every host come out.
//!
//! ```text
//! at 2025-03-04T08:00:00.123456789Z
//! domain LAB lab.test
//! host client CLIENT01 198.51.100.7 clock=-2.5s
//! host server RDSH01 203.0.113.20 clock=+137s
//! host dc DC01 203.0.113.10
//! user LAB\alice
//! +0.000 client connects name=rdsh01.lab.test
//! +0.412 server accepts port=47488
//! +1.480 server refuses-credentials status=0xC000006D sub=0xC000006A
//! +2.900 client disconnected reason=2055
//! ```
//!
//! # Lines
//!
//! A line is words and then `key=value` pairs; double quotes keep blanks (`comment="two words"`, `""` inside is one quote),
//! backslashes mean themselves, `#` begins a comment.
//!
//! | line | meaning |
//! |---|---|
//! | `at TIME` | base time, RFC 3339 with up to nine decimals |
//! | `domain NETBIOS DNS` | names of the domain; `LAB lab.test` unless said |
//! | `host ROLE NAME ADDRESS [clock=+137s] [first-record=N] [exported=yes]` | roles: client, server, broker, gateway, dc; `clock` is how far its clock is ahead; in exported logs the record headers differ from `System` |
//! | `user DOMAIN\name [sid=S-1-...]` | who connects unless a line says `user=` |
//! | `noise on\|off` | whether sets contain what is in every healthy log (227, 145, 148, 6038, DWM, Winlogon 6000); on unless said |
//! | `TIME HOST VERB ...` | what happens: true time as `+SECONDS` after the base or RFC 3339, a host's name or a role only one has |
//!
//! # Verbs
//!
//! Each expands into the set of events that Windows Server 2016 to 2022 writes, in the measured order (knowledge/README.md
//! 1.2). A verb that needs an earlier step brings it along: `accepts` and then `logs-on` is a whole connection. On a host
//! with several connections `port=` says which one is meant; without it the newest is.
//!
//! | who | verb | keys | events |
//! |---|---|---|---|
//! | client | `connects` | `name= [user]` | 1024, 1029 |
//! | | `connected` | `[session udp user]` | 1028, 1025, 1027, with `udp=ADDRESS` 1102, 1103 |
//! | | `disconnected` | `reason=` | 1105, 1026 |
//! | | `dns-failed` | `[name]` | DNS-Client 1014 |
//! | | `credssp-oracle` | `[name version]` | LsaSrv 6041 |
//! | | `clock-skew` | `[name user]` | LsaSrv 40960; on the domain controller 4771 with 0x25 |
//! | any | `ntlm-blocked` | `[name user kind=inbound\|domain]` | NTLM 4001 (client), 4002 or 4003 (server), 4004 (dc) |
//! | any | `accepts` | `port= [from user nla=no protocol=udp]` | RdpCoreTS 131, 65, 72, 72, 141; RCM 261 |
//! | | `authenticates` | `[user package=ntlm\|kerberos]` | 4776 or 4768 and 4769, 4624 type 3, 1149 40 ms later |
//! | | `refuses-credentials` | `[user status sub type package teardown=no]` | 4776 or 4771, 4625, 140, teardown 1.17 s later |
//! | | `refuses-negotiation` | `[error]` | teardown only |
//! | | `tls-failed` | `[alert alert-by=server\|client state code no-common-cipher=yes]` | Schannel 36874, 36888 or 36887; 139, 226, teardown |
//! | | `security-error` | `code= [termdd=yes]` | 139, 226, teardown; TermDD 56 |
//! | | `completes-protocol` | `[user]` | 101 to 135: licensing done, no session |
//! | | `authorization-denied` | `[user code]` | 4625 type 10 0xC000015B, 4825, error info 9 |
//! | | `licensing-failed` | `[kind=grace-expired\|no-server\|server-unreachable\|no-cal\|client-message\|internal code]` | RCM 1069, 1128, 1130, 1131, 1004; error info 0x100 to 0x103 |
//! | | `drain-mode`, `logons-disabled` | `[user code]` | RCM 1070, 1071; error info 7 |
//! | | `set-error-info CODE` | `[user]` | 228, 72 PreDisconnect, SetErrorInfo, ..., 103; LSM 40, 24 and 4779 where there is a session |
//! | | `session-create-failed` | `[user status code]` | RCM 1036, end |
//! | | `logs-on` | `[user session=N \| reconnect=N]` | 4648, 4624 type 10 twice, LSM 41, 42, 21, 22; 66, 33, 132, 68; reconnecting: LSM 25, 4778, the old connection replaced |
//! | | `logs-off` | | 4647, LSM 23, 40 (12), 24, 4634 |
//! | | `disconnects` | `[by=user\|network\|server reason error]` | LSM 40, 24, 4779; 107 and 103=13, 142 and 103=14, or SetErrorInfo |
//! | | `replaced` | | LSM 40 (5), 24, 4779; error info 5 |
//! | | `idle-limit`, `time-limit` | `[action=disconnect\|logoff]` | RCM 20516/20515, 20518/20517; LSM 40, 24; error info 3, 4 |
//! | | `admin-disconnect` | `[by=SESSION]` | LSM 39, 40 (1), 24; error info 1 |
//! | any | `console-logon`, `console-logoff` | `[user]` | 4624 type 2, LSM 41, 42, 21, 22 with LOCAL; 4647, LSM 23 |
//! | any | `asks-broker`, `redirects`, `redirect-failed`, `broker-silent`, `keeps-user` | `[user] to=HOST`, `[error]` | SessionBroker-Client 1301; 1307; 1306; 1296; 1308 |
//! | broker | `refuses` | `[user error]` | SessionBroker 802 |
//! | gateway | `connects` | `[from port user resource transport]` | 312 (313 unless HTTP) |
//! | | `authorizes`, `reaches`, `ends` | `[resource]`, `[error received sent seconds]` | 200; 200, 300, 302; 303 |
//! | | `cap-denied`, `rap-denied`, `unreachable`, `full`, `auth-method-denied`, `times-out` | `[error]` | 201; 301; 304; 203; 305; 307 |
//! | dc | `issues-tgt`, `issues-ticket`, `refuses-preauth`, `locks-out` | `[from user status service]` | 4768; 4769; 4771; 4740 |
//! | any | `boots`, `shuts-down` | `[reboot=no comment user]` | Kernel-General 12, 6005, 129, 258; User32 1074, LSM 54, every connection's end, 6006, 13 |
//! | any | `clock-changes`, `time-source-lost` | `to=+0s`, `[retry]` | Kernel-General 1, 4616, later times by the new clock; Time-Service 129 |
//! | any | `event` | see below | any event |
//!
//! `event provider=NAME id=N [channel guid source qualifiers version level task opcode keywords activity record-id payload
//! binary] Field=text Field:type=value ...`: `provider` is a full name or one of the short ones (`rdpcorets`, `rcm`,
//! `rcm-admin`, `rcm-system`, `lsm`, `rdpclient`, `security`, `schannel`, `lsasrv`, `kerberos`, `ntlm`, `gateway`,
//! `broker-client`, `broker`, `termdd`, ...), which bring channel, GUID and payload form along; `activity=connection` is the
//! ActivityID of the host's newest connection; `payload` is named, unnamed, classic, none or `Element:namespace`. Types:
//! string, u8, u16, u32, u64, i32, hex32, hex64, bool, guid, sid, filetime, binary, null.
//!
//! ```
//! let text = "at 2025-03-04T08:00:00Z
//!     host client CLIENT01 198.51.100.7
//!     host server RDSH01 203.0.113.20 clock=+137s
//!     +0.4 server accepts port=47488
//!     +1.5 server refuses-credentials";
//! let scenario = rdpwhy_lab::scenario::Scenario::parse(text).unwrap();
//! let files = scenario.logs().unwrap();
//! assert!(files.iter().any(|file| file.host == "RDSH01" && file.name == "Security.evtx"));
//! ```
//!
//! # What comes out
//!
//! One file for each host and channel, records in order of true time, times by the host's own clock, ids consecutive.
//! Everything depends on the text alone: GUIDs, record ids and logon ids are made from names and numbers in it.

mod text;
mod cast;
mod provider;
mod stage;
mod security;
mod ladder;
mod session;
mod ending;
mod client;
mod farm;
mod host;
mod raw;
mod verb;

use std::io;

pub use cast::{Host, Role};
use stage::{Stage, Staged};
pub use text::ScenarioError;
use text::{Line, instant, seconds};

use crate::evtx::{Record, fingerprint, to_bytes};

/// Record headers of an exported log are this much later than the events: nobody may take them for the truth.
const EXPORT_DELAY_NS: i64 = 3_600_000_000_000;

/// A scenario that has been played.
#[derive(Clone, Debug)]
pub struct Scenario {
    hosts: Vec<Host>,
    logs: Vec<Log>,
}

/// One channel of one host.
#[derive(Clone, Debug)]
struct Log {
    host: String,
    channel: String,
    records: Vec<Record>,
}

/// A finished event log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFile {
    /// The host it is from.
    pub host: String,
    /// Its name as a live copy has it (`...%4Operational.evtx`); nothing may depend on it.
    pub name: String,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// One record as a test wants to see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The host it is from.
    pub host: String,
    /// Its channel.
    pub channel: String,
    /// Event id.
    pub event_id: u16,
    /// `EventRecordID`.
    pub record_id: u64,
    /// Time by the host's clock, in nanoseconds since 1970-01-01 UTC.
    pub time_ns: i64,
}

impl Scenario {
    /// Reads and plays a text.
    ///
    /// # Errors
    /// [`ScenarioError`] with the line and what was expected in it.
    pub fn parse(text: &str) -> Result<Self, ScenarioError> {
        let (cast, told) = cast::Cast::read(Line::read_all(text)?)?;
        let start_ns = cast.start_ns;
        let mut stage = Stage::new(cast);
        for line in &told {
            stage.set_time(true_time(line, start_ns)?);
            verb::play(&mut stage, line)?;
        }
        let hosts = stage.cast.hosts;
        let logs = sort_into_logs(&hosts, stage.staged);
        Ok(Self { hosts, logs })
    }

    /// Who took part.
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// The logs of every host, by host in the order of the text, then by channel.
    ///
    /// # Errors
    /// As [`to_bytes`]: a record too long for a chunk.
    pub fn logs(&self) -> io::Result<Vec<LogFile>> {
        let file = |log: &Log| {
            let name = format!("{}.evtx", log.channel.replace('/', "%4"));
            Ok(LogFile { host: log.host.clone(), name, bytes: to_bytes(&log.records)? })
        };
        self.logs.iter().map(file).collect()
    }

    /// The records behind the logs, with the host each is from.
    pub fn records(&self) -> impl Iterator<Item = (&str, &Record)> {
        self.logs.iter().flat_map(|log| log.records.iter().map(|record| (log.host.as_str(), record)))
    }

    /// Every record in the order of the logs.
    pub fn listing(&self) -> Vec<Listed> {
        let listed = |(host, record): (&str, &Record)| Listed {
            host: host.to_owned(),
            channel: record.channel.clone(),
            event_id: record.event_id,
            record_id: record.record_id.unwrap_or_default(),
            time_ns: record.time_ns,
        };
        self.records().map(listed).collect()
    }
}

/// Names of all verbs, for documentation and its test.
pub fn verb_names() -> Vec<&'static str> {
    verb::VERBS.iter().map(|verb| verb.name).collect()
}

/// The Base64 of the SHA-256 of a user's name in UTF-16LE, as RDPClient 1029 holds it.
pub fn user_name_hash(name: &str) -> String {
    client::name_hash(name)
}

fn true_time(line: &Line, start_ns: i64) -> Result<i64, ScenarioError> {
    let word = line.word(0, "a time")?;
    let time = seconds(word).and_then(|after| start_ns.checked_add(after)).or_else(|| instant(word));
    time.ok_or_else(|| line.error(format!("`{word}` is no time, expected +1.5 or an RFC 3339 time")))
}

/// Sorts by host, channel and true time, and numbers the records of each log.
fn sort_into_logs(hosts: &[Host], mut staged: Vec<Staged>) -> Vec<Log> {
    staged
        .sort_by(|a, b| (a.host, &a.record.channel, a.true_ns).cmp(&(b.host, &b.record.channel, b.true_ns)));
    let mut logs: Vec<Log> = Vec::new();
    for Staged { host, mut record, .. } in staged {
        let host = &hosts[host];
        let is_same = |log: &Log| log.host == host.name && log.channel == record.channel;
        if !logs.last().is_some_and(is_same) {
            logs.push(Log { host: host.name.clone(), channel: record.channel.clone(), records: Vec::new() });
        }
        if let Some(log) = logs.last_mut() {
            let next = log.records.last().map_or_else(|| first_record_id(host, &record.channel), next_id);
            record.record_id = record.record_id.or(Some(next));
            record.header =
                host.exported.then(|| (log.records.len() as u64 + 1, record.time_ns + EXPORT_DELAY_NS));
            log.records.push(record);
        }
    }
    logs
}

fn next_id(last: &Record) -> u64 {
    last.record_id.unwrap_or_default() + 1
}

fn first_record_id(host: &Host, channel: &str) -> u64 {
    let made = || 1000 + (fingerprint(format!("{}/{channel}", host.name).as_bytes()) % 80_000) as u64;
    host.first_record_id.unwrap_or_else(made)
}
