//! The stage: where hosts act and events fall into logs.

use std::net::IpAddr;

use super::cast::{Cast, HostId, User};
use super::text::{Line, ScenarioError};
use crate::evtx::{Guid, Record, Sid, fingerprint};

const NS_PER_US: i64 = 1000;
/// First session that is not the services' (0) or the console's (1).
const FIRST_REMOTE_SESSION: u32 = 2;

/// How far a connection has come in what its server logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    Accepted,
    Authenticated,
    /// Client Info read, the connection handed to the connection manager.
    Handed,
    /// Licence sent, protocol complete.
    Complete,
    LoggedOn,
    Ended,
}

/// A connection as its server knows it.
#[derive(Clone, Debug)]
pub(super) struct Connection {
    pub(super) server: HostId,
    /// The client host, when it is one of the scenario.
    pub(super) client: Option<HostId>,
    pub(super) address: IpAddr,
    pub(super) port: u16,
    /// N in `RDP-Tcp#N`.
    pub(super) number: u32,
    pub(super) activity: Guid,
    pub(super) phase: Phase,
    pub(super) session: Option<u32>,
    pub(super) user: User,
    /// Whether the credentials are checked before the session (NLA).
    pub(super) nla: bool,
    pub(super) network_logon: u64,
    pub(super) interactive_logon: u64,
}

impl Connection {
    /// `RDP-Tcp#N`.
    pub(super) fn name(&self) -> String {
        format!("RDP-Tcp#{}", self.number)
    }
}

/// A connection's place in [`Stage::connections`].
pub(super) type ConnectionId = usize;

/// An event on its way into a log.
#[derive(Clone, Debug)]
pub(super) struct Staged {
    pub(super) host: HostId,
    pub(super) true_ns: i64,
    pub(super) record: Record,
}

/// Everything that has happened so far.
pub(super) struct Stage {
    pub(super) cast: Cast,
    pub(super) connections: Vec<Connection>,
    pub(super) staged: Vec<Staged>,
    /// True time of the line that is being played.
    now_ns: i64,
    /// Next session number, logon number and count of things for each host.
    sessions: Vec<u32>,
    counters: Vec<u64>,
    /// ActivityID of the attempt a client or gateway is at.
    activities: Vec<Option<Guid>>,
    /// What the `connects` of a client or gateway said, for the lines that follow.
    pub(super) notes: Vec<Vec<(String, String)>>,
}

impl Stage {
    pub(super) fn new(cast: Cast) -> Self {
        let hosts = cast.hosts.len();
        Self {
            cast,
            connections: Vec::new(),
            staged: Vec::new(),
            now_ns: 0,
            sessions: vec![FIRST_REMOTE_SESSION; hosts],
            counters: vec![0; hosts],
            activities: vec![None; hosts],
            notes: vec![Vec::new(); hosts],
        }
    }

    pub(super) fn set_time(&mut self, true_ns: i64) {
        self.now_ns = true_ns;
    }

    /// Time of the current line by a host's own clock.
    pub(super) fn host_time_ns(&self, host: HostId) -> i64 {
        self.now_ns + self.cast.hosts[host].clock_ns
    }

    /// Puts an event into a host's log, `after_us` microseconds after the current line's time.
    pub(super) fn put(&mut self, host: HostId, after_us: i64, mut record: Record) {
        let true_ns = self.now_ns + after_us * NS_PER_US;
        record.time_ns = true_ns + self.cast.hosts[host].clock_ns;
        record.computer = self.cast.computer(host);
        if record.process_id == 0 {
            record.process_id = self.process_id(host, &record.provider.name);
        }
        if record.thread_id == 0 {
            record.thread_id = 4 * (200 + u32::from(record.event_id) % 97);
        }
        self.staged.push(Staged { host, true_ns, record });
    }

    /// Puts an event that carries the ActivityID of a connection.
    pub(super) fn put_of(&mut self, connection: ConnectionId, after_us: i64, mut record: Record) {
        let Connection { server, activity, .. } = self.connections[connection];
        record.activity_id = Some(activity);
        self.put(server, after_us, record);
    }

    /// Opens a connection on a server.
    pub(super) fn accept(
        &mut self,
        server: HostId,
        client: Option<HostId>,
        address: IpAddr,
        port: u16,
    ) -> ConnectionId {
        let number = self.connections.iter().filter(|open| open.server == server).count() as u32 + 1;
        let seed = format!("{}/{address}/{port}/{number}", self.cast.hosts[server].name);
        self.connections.push(Connection {
            server,
            client,
            address,
            port,
            number,
            activity: prefixed_guid(0xF420, &seed),
            phase: Phase::Accepted,
            session: None,
            user: self.cast.user.clone(),
            nla: true,
            network_logon: 0,
            interactive_logon: 0,
        });
        self.connections.len() - 1
    }

    /// The connection a line is about: that of `port=`, or the newest one of the host.
    pub(super) fn connection(&self, host: HostId, line: &Line) -> Result<ConnectionId, ScenarioError> {
        let name = &self.cast.hosts[host].name;
        let newest = |port: Option<u16>| {
            let is_it = |open: &Connection| open.server == host && port.is_none_or(|port| open.port == port);
            self.connections.iter().rposition(is_it)
        };
        match line.get("port") {
            None => newest(None).ok_or_else(|| {
                line.error(format!("{name} has no connection yet, expected a line `{name} accepts port=...`"))
            }),
            Some(text) => {
                let port = text
                    .parse()
                    .map_err(|_| line.error(format!("port is `{text}`, expected a number below 65536")))?;
                newest(Some(port))
                    .ok_or_else(|| line.error(format!("{name} accepted no connection from port {port}")))
            }
        }
    }

    /// A session number nobody has on that host.
    pub(super) fn next_session(&mut self, host: HostId) -> u32 {
        let session = self.sessions[host];
        self.sessions[host] += 1;
        session
    }

    /// Keeps numbers given in the text from being given again.
    pub(super) fn session_is_used(&mut self, host: HostId, session: u32) {
        self.sessions[host] = self.sessions[host].max(session + 1);
    }

    /// A logon id nobody has on that host.
    pub(super) fn next_logon_id(&mut self, host: HostId) -> u64 {
        self.counters[host] += 1;
        let base = fingerprint(self.cast.hosts[host].name.as_bytes()) as u64 & 0x00ff_ffff;
        0x0010_0000 + base + self.counters[host] * 0x4d3
    }

    /// Begins a new attempt of a client or gateway, and gives its ActivityID.
    pub(super) fn begin_attempt(&mut self, host: HostId) -> Guid {
        self.counters[host] += 1;
        let activity =
            Guid::from_text(&format!("attempt/{}/{}", self.cast.hosts[host].name, self.counters[host]));
        self.activities[host] = Some(activity);
        activity
    }

    /// ActivityID of the attempt a host is at.
    pub(super) fn attempt(&self, host: HostId) -> Option<Guid> {
        self.activities[host]
    }

    fn process_id(&self, host: HostId, provider: &str) -> u32 {
        // One svchost hosts all of Remote Desktop Services; lsass writes for the security packages.
        let process = match provider {
            "Microsoft-Windows-Security-Auditing" | "LsaSrv" | "Schannel" | "Microsoft-Windows-NTLM" => {
                "lsass"
            }
            name if name.contains("RemoteDesktopServices") || name.contains("RemoteConnectionManager") => {
                "TermService"
            }
            name => name,
        };
        let seed = format!("{}/{process}", self.cast.hosts[host].name);
        4 * (150 + (fingerprint(seed.as_bytes()) % 1500) as u32)
    }
}

/// A GUID made from `text` whose first 16 bits are `prefix`, as Remote Desktop Services' own are.
pub(super) fn prefixed_guid(prefix: u16, text: &str) -> Guid {
    Guid::from_u128(u128::from(prefix) << 112 | fingerprint(text.as_bytes()) >> 16)
}

/// A well-known SID.
pub(super) fn sid(text: &str) -> Sid {
    Sid::parse(text).unwrap_or_else(Sid::nobody)
}
