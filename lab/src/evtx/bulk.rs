//! Large event logs, the same for the same seed: for benches and for tests of memory.

use std::io::{self, Seek, Write};

use super::record::{Payload, Record};
use super::value::{Guid, Sid, Value};
use super::writer::Writer;

/// What kind of log to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BulkLog {
    /// Access to objects above all, and 1 record in 12 a logon or logoff.
    Security,
    /// Updates and activations above all, and 1 record in 50 the start of a service.
    System,
    /// Connections of a session host, record for record.
    RdpCoreTs,
    /// The same host's sessions: found, logged on, left, ended.
    LocalSessionManager,
    /// The same host's listener, and who proved to be a user.
    RemoteConnectionManager,
}

impl BulkLog {
    /// A mix of logs in which 1 record in 10 tells of Remote Desktop: parts of a hundred of its bytes, and bytes that a
    /// record comes to.
    pub const MIX: [(Self, u64, u64); 5] = [
        (Self::Security, 66, 672),
        (Self::System, 30, 535),
        (Self::RdpCoreTs, 2, 479),
        (Self::LocalSessionManager, 1, 521),
        (Self::RemoteConnectionManager, 1, 531),
    ];
}

/// What to make.
#[derive(Clone, Copy, Debug)]
pub struct Bulk {
    /// The same seed gives the same bytes.
    pub seed: u64,
    /// The log.
    pub log: BulkLog,
    /// Records to write.
    pub records: u64,
    /// Time of the first record, in nanoseconds since 1970-01-01 UTC.
    pub start_ns: i64,
}

/// What was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Made {
    /// Records written.
    pub records: u64,
    /// Those that tell of logons, services and connections.
    pub telling: u64,
}

const HOST: &str = "RDSH01.lab.test";
const SECURITY: &str = "Microsoft-Windows-Security-Auditing";
const RDP_CORE_TS: &str = "Microsoft-Windows-RemoteDesktopServices-RdpCoreTS";
const LSM: &str = "Microsoft-Windows-TerminalServices-LocalSessionManager";
const RCM: &str = "Microsoft-Windows-TerminalServices-RemoteConnectionManager";
/// From one record to the next.
const GAP_NS: i64 = 40_000_000;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

impl Bulk {
    /// Writes the log; holds one chunk in memory.
    ///
    /// # Errors
    /// What the output answers.
    pub fn write<W: Write + Seek>(&self, out: W) -> io::Result<(W, Made)> {
        let mut writer = Writer::new(out)?;
        let mut random = Random(self.seed);
        let mut made = Made::default();
        while made.records < self.records {
            let time = self.start_ns + made.records as i64 * GAP_NS;
            let (record, telling) = match self.log {
                BulkLog::Security => security(time, &mut random),
                BulkLog::System => system(time, &mut random),
                BulkLog::RdpCoreTs => (connection(time, made.records, &mut random), true),
                BulkLog::LocalSessionManager => (session(time, made.records), true),
                BulkLog::RemoteConnectionManager => (listener(time, made.records, &mut random), true),
            };
            writer.write(&record)?;
            made.records += 1;
            made.telling += u64::from(telling);
        }
        Ok((writer.finish()?, made))
    }
}

fn record(provider: &str, channel: &str, id: u16, time: i64, fields: &[(&str, Value)]) -> Record {
    let mut record = Record::new(provider, channel, id, time);
    record.computer = HOST.to_owned();
    record.process_id = 712;
    record.thread_id = 4_096;
    record.provider.guid = Some(Guid::from_text(provider));
    let named = fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
    record.payload = Payload::Named(named.collect());
    record
}

fn sid(random: &mut Random) -> Value {
    let relative = 1_100 + random.below(400);
    Value::Sid(
        Sid::parse(&format!("S-1-5-21-1004336348-1177238915-682003330-{relative}"))
            .unwrap_or_else(Sid::nobody),
    )
}

fn user(random: &mut Random) -> Value {
    format!("user{:03}", random.below(400)).as_str().into()
}

fn address(random: &mut Random) -> String {
    format!("198.51.100.{}", 1 + random.below(250))
}

fn security(time: i64, random: &mut Random) -> (Record, bool) {
    let subject = [
        ("SubjectUserSid", sid(random)),
        ("SubjectUserName", user(random)),
        ("SubjectDomainName", "LAB".into()),
        ("SubjectLogonId", Value::Hex64(random.below(1 << 32))),
    ];
    let (id, more) = match random.below(12) {
        0 => return (logon(time, &subject, random), true),
        1..=4 => (4_663, object(random, "0x6")),
        5..=8 => (4_656, object(random, "0x120089")),
        _ => (4_690, handles(random)),
    };
    let fields = [subject.to_vec(), more].concat();
    (record(SECURITY, "Security", id, time, &fields), false)
}

fn object(random: &mut Random, mask: &str) -> Vec<(&'static str, Value)> {
    let path = format!(
        r"C:\Users\user{:03}\Documents\Reports\{:08x}.docx",
        random.below(400),
        random.below(1 << 32)
    );
    vec![
        ("ObjectServer", "Security".into()),
        ("ObjectType", "File".into()),
        ("ObjectName", path.as_str().into()),
        ("HandleId", Value::Hex64(random.below(1 << 16))),
        ("AccessList", "%%4416\n\t\t\t\t%%4417\n\t\t\t\t%%4423".into()),
        ("AccessMask", mask.into()),
        ("ProcessId", Value::Hex64(random.below(1 << 14))),
        ("ProcessName", r"C:\Program Files\Microsoft Office\root\Office16\WINWORD.EXE".into()),
    ]
}

fn handles(random: &mut Random) -> Vec<(&'static str, Value)> {
    vec![
        ("SourceHandleId", Value::Hex64(random.below(1 << 16))),
        ("SourceProcessId", Value::Hex64(random.below(1 << 14))),
        ("TargetHandleId", Value::Hex64(random.below(1 << 16))),
        ("TargetProcessId", Value::Hex64(4)),
    ]
}

/// A remote logon that succeeds, as Windows 10 and Server 2016 write it.
fn logon(time: i64, subject: &[(&'static str, Value)], random: &mut Random) -> Record {
    let fields = [
        ("TargetUserSid", sid(random)),
        ("TargetUserName", user(random)),
        ("TargetDomainName", "LAB".into()),
        ("TargetLogonId", Value::Hex64(random.below(1 << 32))),
        ("LogonType", Value::U32(10)),
        ("LogonProcessName", "User32 ".into()),
        ("AuthenticationPackageName", "Negotiate".into()),
        ("WorkstationName", "RDSH01".into()),
        ("LogonGuid", Value::Guid(Guid::from_u128(random.next().into()))),
        ("TransmittedServices", "-".into()),
        ("LmPackageName", "-".into()),
        ("KeyLength", Value::U32(0)),
        ("ProcessId", Value::Hex64(random.below(1 << 14))),
        ("ProcessName", r"C:\Windows\System32\svchost.exe".into()),
        ("IpAddress", address(random).as_str().into()),
        ("IpPort", "0".into()),
        ("ImpersonationLevel", "%%1833".into()),
        ("RestrictedAdminMode", "%%1843".into()),
        ("TargetOutboundUserName", "-".into()),
        ("TargetOutboundDomainName", "-".into()),
        ("VirtualAccount", "%%1843".into()),
        ("TargetLinkedLogonId", Value::Hex64(0)),
        ("ElevatedToken", "%%1842".into()),
    ];
    let mut logon = record(SECURITY, "Security", 4_624, time, &[subject, &fields].concat());
    logon.version = 2;
    logon
}

fn system(time: i64, random: &mut Random) -> (Record, bool) {
    let number = format!("{{{:08x}-0000-4000-8000-00c04fd7d062}}", random.below(1 << 32));
    match random.below(50) {
        0 => {
            let fields = [("param1", "Remote Desktop Services".into()), ("param2", "running".into())];
            (record("Service Control Manager", "System", 7_036, time, &fields), true)
        }
        1..=25 => {
            let provider = "Microsoft-Windows-WindowsUpdateClient";
            let fields = [
                (
                    "updateTitle",
                    format!("Security Intelligence Update (Version 1.3{})", random.below(999))
                        .as_str()
                        .into(),
                ),
                ("updateGuid", number.as_str().into()),
                ("updateRevisionNumber", Value::U32(200)),
                ("serviceGuid", "{7971f918-a847-4430-9279-4a52d1efe18d}".into()),
            ];
            (record(provider, "System", 43, time, &fields), false)
        }
        _ => {
            let fields = [
                ("param1", "application-specific".into()),
                ("param2", "Local".into()),
                ("param3", "Activation".into()),
                ("param4", number.as_str().into()),
                ("param5", user(random)),
                ("param6", sid(random)),
            ];
            (record("Microsoft-Windows-DistributedCOM", "System", 10_016, time, &fields), false)
        }
    }
}

/// The records of one connection after the other: accepted, its listener, its end.
fn connection(time: i64, number: u64, random: &mut Random) -> Record {
    let channel = format!("{RDP_CORE_TS}/Operational");
    let activity = Guid::from_text(&format!("connection {}", number / 3));
    let mut record = match number % 3 {
        0 => {
            let client = format!("{}:{}", address(random), 49_152 + random.below(16_000));
            record(
                RDP_CORE_TS,
                &channel,
                131,
                time,
                &[("ConnType", "TCP".into()), ("ClientIP", client.as_str().into())],
            )
        }
        1 => record(RDP_CORE_TS, &channel, 65, time, &[("ConnectionName", "RDP-Tcp#1".into())]),
        _ => record(RDP_CORE_TS, &channel, 103, time, &[("ReasonCode", Value::U32(14))]),
    };
    record.activity_id = Some(activity);
    record
}

fn user_data(provider: &str, id: u16, time: i64, children: &[(&str, Value)]) -> Record {
    let mut record = record(provider, &format!("{provider}/Operational"), id, time, &[]);
    record.payload = Payload::UserData {
        element: "EventXML".to_owned(),
        namespace: "Event_NS".to_owned(),
        children: children.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
    };
    record
}

/// The records of one session after the other, as Windows 10 and Server 2016 write them.
fn session(time: i64, number: u64) -> Record {
    let mut of_session = Random(number / 7);
    let user = ("User", format!(r"LAB\user{:03}", of_session.below(400)).as_str().into());
    let address = ("Address", address(&mut of_session).as_str().into());
    let id = Value::U32(2 + of_session.below(60) as u32);
    let session = ("SessionID", id.clone());
    let mut record = match number % 7 {
        0 => user_data(LSM, 41, time, &[user, session]),
        1 => user_data(LSM, 42, time, &[user, session]),
        2 => user_data(LSM, 21, time, &[user, session, address]),
        3 => user_data(LSM, 22, time, &[user, session, address]),
        4 => user_data(LSM, 40, time, &[("Session", id), ("Reason", Value::U32(11))]),
        5 => user_data(LSM, 24, time, &[user, session, address]),
        _ => user_data(LSM, 23, time, &[user, session]),
    };
    record.activity_id = Some(Guid::from_text(&format!("session {}", number / 7)));
    record
}

/// A connection received, and the user of it, one after the other.
fn listener(time: i64, number: u64, random: &mut Random) -> Record {
    let mut record = match number % 2 {
        0 => user_data(RCM, 261, time, &[("listenerName", "RDP-Tcp".into())]),
        _ => {
            let fields = [
                ("Param1", user(random)),
                ("Param2", "LAB".into()),
                ("Param3", address(random).as_str().into()),
            ];
            user_data(RCM, 1_149, time, &fields)
        }
    };
    record.activity_id = Some(Guid::from_text(&format!("connection {}", number / 2)));
    record
}
