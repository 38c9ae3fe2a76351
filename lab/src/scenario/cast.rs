//! Who takes part: hosts with their roles and clocks, and users.

use std::net::IpAddr;

use super::text::{Line, ScenarioError, instant, number, seconds};
use crate::evtx::{Sid, fingerprint};

/// What a host is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The one that people sit at.
    Client,
    /// A session host, or any machine that is connected to.
    Server,
    /// RD Connection Broker.
    Broker,
    /// RD Gateway.
    Gateway,
    /// Domain controller.
    Dc,
}

const ROLES: [(&str, Role); 5] = [
    ("client", Role::Client),
    ("server", Role::Server),
    ("broker", Role::Broker),
    ("gateway", Role::Gateway),
    ("dc", Role::Dc),
];

/// A host of the scenario.
#[derive(Clone, Debug)]
pub struct Host {
    /// What it is.
    pub role: Role,
    /// Its NetBIOS name.
    pub name: String,
    /// Its address.
    pub address: IpAddr,
    /// By how much its clock is ahead of true time, in nanoseconds.
    pub clock_ns: i64,
    /// Record id of the first event of each of its logs; made from the names where absent.
    pub first_record_id: Option<u64>,
    /// Whether its logs are exports: record headers count from 1 and hold the time of the export.
    pub exported: bool,
}

/// A user with its domain.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct User {
    pub(super) domain: String,
    pub(super) name: String,
    pub(super) sid: Sid,
}

/// A host's place in [`Cast::hosts`].
pub(super) type HostId = usize;

/// Everybody, and when it all begins.
#[derive(Clone, Debug)]
pub(super) struct Cast {
    pub(super) hosts: Vec<Host>,
    pub(super) user: User,
    /// NetBIOS and DNS name of the domain.
    pub(super) domain: (String, String),
    pub(super) start_ns: i64,
    /// Whether sets of events include what is in every healthy log.
    pub(super) noise: bool,
}

impl Cast {
    /// Reads the lines that describe, and gives the ones that tell.
    pub(super) fn read(lines: Vec<Line>) -> Result<(Self, Vec<Line>), ScenarioError> {
        let mut cast = Self {
            hosts: Vec::new(),
            user: user(r"LAB\alice", None),
            domain: ("LAB".to_owned(), "lab.test".to_owned()),
            start_ns: 0,
            noise: true,
        };
        let mut started = false;
        let mut told = Vec::new();
        for line in lines {
            match line.word(0, "a directive or a time")? {
                "at" => {
                    let text = line.word(1, "an RFC 3339 time")?;
                    let bad = || {
                        line.error(format!(
                            "`{text}` is no RFC 3339 time, expected 2025-03-04T08:00:00.123456789Z"
                        ))
                    };
                    cast.start_ns = instant(text).ok_or_else(bad)?;
                    started = true;
                }
                "domain" => {
                    let names = (line.word(1, "the NetBIOS name")?, line.word(2, "the DNS name")?);
                    cast.domain = (names.0.to_owned(), names.1.to_owned());
                }
                "host" => cast.add_host(&line)?,
                "user" => cast.user = cast.read_user(&line)?,
                "noise" => cast.noise = noise(&line)?,
                word if word.starts_with('+') || word.starts_with('-') || instant(word).is_some() => {
                    told.push(line)
                }
                word => {
                    let expected = "expected at, domain, host, user, noise, or a time such as +1.5";
                    return Err(line.error(format!("found `{word}`, {expected}")));
                }
            }
        }
        if !started && let Some(first) = told.first() {
            return Err(first.error("no base time yet, expected a line such as `at 2025-03-04T08:00:00Z`"));
        }
        Ok((cast, told))
    }

    /// The host that a line's subject names: a host's name, or a role that only one host has.
    pub(super) fn host(&self, line: &Line, subject: &str) -> Result<HostId, ScenarioError> {
        if let Some(id) = self.hosts.iter().position(|host| host.name.eq_ignore_ascii_case(subject)) {
            return Ok(id);
        }
        let Some((_, role)) = ROLES.iter().find(|(name, _)| *name == subject) else {
            let names: Vec<&str> = self.hosts.iter().map(|host| host.name.as_str()).collect();
            return Err(line.error(format!("no host `{subject}`, expected one of {}", names.join(", "))));
        };
        let mut of_role = (0..self.hosts.len()).filter(|id| self.hosts[*id].role == *role);
        match (of_role.next(), of_role.next()) {
            (Some(id), None) => Ok(id),
            (None, _) => {
                Err(line
                    .error(format!("no host is a {subject}, expected a line `host {subject} NAME ADDRESS`")))
            }
            (Some(_), Some(_)) => {
                Err(line.error(format!("several hosts are a {subject}, expected the host's name")))
            }
        }
    }

    /// The first host of a role.
    pub(super) fn first(&self, role: Role) -> Option<HostId> {
        self.hosts.iter().position(|host| host.role == role)
    }

    /// The user that a line names, or the scenario's.
    pub(super) fn user_of(&self, line: &Line) -> User {
        line.get("user").map_or_else(|| self.user.clone(), |text| user(text, None))
    }

    /// A host's full DNS name, as `Computer` says it.
    pub(super) fn computer(&self, host: HostId) -> String {
        format!("{}.{}", self.hosts[host].name, self.domain.1)
    }

    fn add_host(&mut self, line: &Line) -> Result<(), ScenarioError> {
        line.only(&["clock", "first-record", "exported"])?;
        let exported = line.yes_or("exported", false)?;
        let role = line.word(1, "a role")?;
        let role = ROLES.iter().find(|(name, _)| *name == role).map(|(_, role)| *role).ok_or_else(|| {
            line.error(format!("`{role}` is no role, expected client, server, broker, gateway or dc"))
        })?;
        let name = line.word(2, "the host's name")?.to_owned();
        let address = line.word(3, "the host's address")?;
        let address = address
            .parse()
            .map_err(|_| line.error(format!("`{address}` is no IP address, expected 203.0.113.20")))?;
        let clock = line.get_or("clock", "+0s");
        let clock_ns = seconds(clock).ok_or_else(|| {
            line.error(format!("clock is `{clock}`, expected signed seconds such as +137s or -2.5s"))
        })?;
        let first_record_id = match line.get("first-record") {
            None => None,
            Some(text) => Some(
                number(text)
                    .map(u64::from)
                    .ok_or_else(|| line.error(format!("first-record is `{text}`, expected a number")))?,
            ),
        };
        if self.hosts.iter().any(|host| host.name.eq_ignore_ascii_case(&name)) {
            return Err(line.error(format!("host {name} is there already, expected another name")));
        }
        self.hosts.push(Host { role, name, address, clock_ns, first_record_id, exported });
        Ok(())
    }

    fn read_user(&self, line: &Line) -> Result<User, ScenarioError> {
        line.only(&["sid"])?;
        let sid = match line.get("sid") {
            None => None,
            Some(text) => {
                let bad = || line.error(format!("`{text}` is no SID, expected S-1-5-21-1-2-3-1105"));
                Some(Sid::parse(text).ok_or_else(bad)?)
            }
        };
        let text = line.word(1, r"DOMAIN\name")?;
        Ok(user(text, sid))
    }
}

/// Reads `DOMAIN\name`; a name alone has no domain. Without a SID one is made from the name.
fn user(text: &str, sid: Option<Sid>) -> User {
    let (domain, name) = text.split_once('\\').unwrap_or(("", text));
    let rid = 1100 + fingerprint(text.to_lowercase().as_bytes()) % 9000;
    let made = Sid::parse(&format!("S-1-5-21-1111111111-2222222222-3333333333-{rid}"));
    let sid = sid.or(made).unwrap_or_else(Sid::nobody);
    User { domain: domain.to_owned(), name: name.to_owned(), sid }
}

fn noise(line: &Line) -> Result<bool, ScenarioError> {
    match line.word(1, "on or off")? {
        "on" => Ok(true),
        "off" => Ok(false),
        other => Err(line.error(format!("noise is `{other}`, expected on or off"))),
    }
}
