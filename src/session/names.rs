//! Names and addresses of the same host: what computers call themselves, and what others call them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::join::Group;
use super::{Role, Session};
use crate::fact::{Side, What};

/// Names kept of one address.
const NAMES_MAX: usize = 16;

/// The names that belong to one address.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Names {
    /// What the computer calls itself: in its logs, in NTLM and in MCS.
    pub own: BTreeSet<String>,
    /// What others call it: in the DNS, in certificates, and as it was typed.
    pub called: BTreeSet<String>,
    /// What captures call it, without saying from where they know.
    pub listed: BTreeSet<String>,
}

impl Names {
    /// All of them, in lower case, its own first, and what captures list last.
    pub fn all(&self) -> impl Iterator<Item = &str> {
        let called = self.called.iter().filter(|name| !self.own.contains(*name));
        let listed =
            self.listed.iter().filter(|name| !self.own.contains(*name) && !self.called.contains(*name));
        self.own.iter().chain(called).chain(listed).map(String::as_str)
    }

    /// Is it the computer of this name? `None` when nothing tells.
    fn is_called(&self, host: &str) -> Option<bool> {
        let same = |name: &String| is_same_host(name, host);
        match (self.own.iter().any(same) || self.called.iter().any(same), self.own.is_empty()) {
            (true, _) => Some(true),
            // A list may be old: it counts where the computer does not call itself otherwise.
            (false, true) => self.listed.iter().any(same).then_some(true),
            (false, false) => Some(false),
        }
    }
}

/// Names by address, of everything that was seen or logged.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Directory {
    by_address: BTreeMap<IpAddr, Names>,
}

impl Directory {
    /// What packets tell.
    pub(super) fn of_groups(groups: &[Group]) -> Self {
        let mut known = Self::default();
        for part in groups.iter().flatten() {
            let ends = (part.connection.client.ip(), part.connection.server.ip());
            for fact in &part.facts {
                known.learn(&fact.what, ends);
            }
        }
        known
    }

    /// What packets and logs together tell.
    pub(super) fn of_sessions(sessions: &[Session]) -> Self {
        let mut known = Self::default();
        for session in sessions {
            for connection in &session.connections {
                let ends = (connection.client.ip(), connection.server.ip());
                let direct = !session.is_through_gateway();
                for seen in session.facts.iter().filter(|_| direct) {
                    known.learn(seen.what(), ends);
                }
                for part in session.hosts.iter().filter(|_| direct) {
                    match part.role {
                        Role::Server => known.own(ends.1, Some(&part.host)),
                        Role::Client => known.own(ends.0, Some(&part.host)),
                        Role::Broker | Role::Gateway | Role::DomainController => {}
                    }
                }
            }
            let client_log = session.host(Role::Client);
            for part in &session.hosts {
                if let Some(address) = part.client {
                    known.own(address, part.workstation.as_ref());
                    known.own(address, client_log.map(str::to_owned).as_ref());
                }
            }
        }
        known
    }

    /// The names of an address.
    #[must_use]
    pub fn names(&self, address: IpAddr) -> Option<&Names> {
        self.by_address.get(&address)
    }

    /// Does the computer of this name have that address? `None` when nothing tells.
    pub(super) fn is_host(&self, host: &str, address: IpAddr) -> Option<bool> {
        self.names(address)?.is_called(host)
    }

    fn learn(&mut self, what: &What, (client, server): (IpAddr, IpAddr)) {
        match what {
            What::TargetNamed { computer, .. } => self.own(server, computer.as_ref()),
            What::McsConnectInitial { client_name, .. } => self.own(client, client_name.as_ref()),
            What::UserNamed { workstation, .. } => self.own(client, workstation.as_ref()),
            What::ClientHello { sni: Some(name), .. } => self.called(server, name),
            What::Certificate { by: Side::Server, subject, names, .. } => {
                let subject = subject.to_ascii_lowercase();
                let common = subject.split(", ").filter_map(|part| part.strip_prefix("cn="));
                let others = names.as_deref().unwrap_or_default().split(',');
                common.chain(others).for_each(|name| self.called(server, name));
            }
            // Several addresses are those of several hosts.
            What::NameListed { of, name } if is_name(name) => {
                insert(&mut self.by_address.entry(*of).or_default().listed, name);
            }
            What::HostClock { of, name: Some(name), .. } => self.called(*of, name),
            What::NameResolved { name, addresses } if addresses.parse() == Ok(server) => {
                self.called(server, name);
            }
            What::ClientConnecting { name } => {
                let host = match name.split_once(':') {
                    Some((host, port)) if !port.contains(':') => host,
                    _ => name.as_str(),
                };
                self.called(server, host);
            }
            _ => {}
        }
    }

    fn own(&mut self, address: IpAddr, name: Option<&String>) {
        if let Some(name) = name.filter(|name| is_name(name)) {
            insert(&mut self.by_address.entry(address).or_default().own, name);
        }
    }

    fn called(&mut self, address: IpAddr, name: &str) {
        if is_name(name) {
            insert(&mut self.by_address.entry(address).or_default().called, name);
        }
    }
}

fn insert(names: &mut BTreeSet<String>, name: &str) {
    if names.len() < NAMES_MAX {
        names.insert(name.trim().trim_end_matches('.').to_lowercase());
    }
}

/// A name, and neither an address nor what stands for many hosts.
fn is_name(name: &str) -> bool {
    let name = name.trim();
    !name.is_empty() && !name.contains('*') && name.parse::<IpAddr>().is_err()
}

/// `RDSH01` and `rdsh01.lab.test` are one; of two whole names all of both must be the same.
pub(super) fn is_same_host(a: &str, b: &str) -> bool {
    let (a, b) = (a.trim_end_matches('.').to_lowercase(), b.trim_end_matches('.').to_lowercase());
    let label = |name: &str| name.split('.').next().unwrap_or_default().to_owned();
    // NetBIOS names end behind 15 characters.
    let short = |name: &str| label(name).chars().take(15).collect::<String>();
    match (a.contains('.'), b.contains('.')) {
        (true, true) => a == b,
        _ => !a.is_empty() && short(&a) == short(&b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_name_is_the_whole_one_and_two_whole_ones_must_be_the_same() {
        assert!(is_same_host("RDSH01", "rdsh01.lab.test"));
        assert!(is_same_host("rdsh01.lab.test.", "RDSH01.lab.test"));
        assert!(!is_same_host("rdsh01.lab.test", "rdsh01.example.com"));
        assert!(!is_same_host("rdsh01", "rdsh010"));
        assert!(is_same_host("a-very-long-computer", "A-VERY-LONG-COM"));
        assert!(!is_same_host("", ""));
    }

    #[test]
    fn what_it_calls_itself_can_speak_against_a_name_and_what_others_call_it_cannot() {
        let address: IpAddr = "203.0.113.20".parse().unwrap();
        let mut known = Directory::default();
        assert_eq!(known.is_host("rdsh01", address), None);
        known.called(address, "farm.lab.test");
        known.called(address, "*.lab.test");
        known.called(address, "203.0.113.20");
        assert_eq!((known.is_host("rdsh01", address), known.is_host("farm", address)), (None, Some(true)));
        known.own(address, Some(&"RDSH01".to_owned()));
        assert_eq!(known.is_host("rdsh01.lab.test", address), Some(true));
        assert_eq!(known.is_host("rdsh02.lab.test", address), Some(false));
        let listed = |name: &str| What::NameListed { of: address, name: name.to_owned() };
        for name in ["rdsh02.lab.test", "farm.lab.test"] {
            known.learn(&listed(name), (address, address));
        }
        assert_eq!(known.is_host("rdsh02", address), Some(false));
        let elsewhere: IpAddr = "203.0.113.21".parse().unwrap();
        known.learn(&What::NameListed { of: elsewhere, name: "rdsh02".to_owned() }, (address, address));
        assert_eq!(
            (known.is_host("rdsh02", elsewhere), known.is_host("rdsh01", elsewhere)),
            (Some(true), None)
        );
        known.by_address.entry(address).and_modify(|names| names.listed.clear());
        assert_eq!(known.names(address).unwrap().all().collect::<Vec<_>>(), ["rdsh01", "farm.lab.test"]);
    }
}
