//! Which Kerberos errors belong to the CredSSP of a connection. A client talks to its domain controller for every
//! program; what a capture shows beside a connection counts only where it fits.

use super::{Seen, Session};
use crate::fact::{Side, What};
use crate::step::Step;

impl Session {
    /// This Kerberos error may be why the connection failed. Those of logs were joined by their keys. On the wire it
    /// must be the client's, for a Remote Desktop service or for the user's own ticket, fall between the TLS handshake
    /// and the end, and not be mended by a ticket that was given later; and the connection must have come no further.
    #[must_use]
    pub fn is_decided_by_kerberos(&self, seen: &Seen) -> bool {
        let What::KerberosFailed { code, service, asker, .. } = seen.what() else { return false };
        if code.is_normal_step() {
            return false;
        }
        if seen.fact.subject.connection().is_none() {
            return true;
        }
        // It stands inside of CredSSP itself.
        if asker.is_none() {
            return self.reached < Some(Step::Credssp);
        }
        let service = service.as_deref().unwrap_or_default();
        let in_credssp = self
            .find(|what| matches!(what, What::TlsFinished {}))
            .is_some_and(|finished| finished.at <= seen.at);
        let left = self.find(|what| what.end().is_some());
        *asker == Some(Side::Client)
            && (is_remote_desktop(service) || is_of_the_user(service))
            && in_credssp
            && left.is_some_and(|left| seen.at <= left.at)
            && self.reached < Some(Step::Credssp)
            && !self.was_ticket_given_behind(seen, service)
    }

    /// The server's name as a security package was asked for it (`TERMSRV/host`): what the client means, which an alias or a
    /// farm may lead elsewhere.
    #[must_use]
    pub fn service_name(&self) -> Option<&str> {
        self.facts.iter().find_map(|seen| {
            let service = match seen.what() {
                What::AuthenticationFailed { target, .. }
                | What::CredsspVersionRefused { target, .. }
                | What::NtlmBlocked { target, .. }
                | What::ExplicitCredentials { target, .. }
                | What::UserNamed { target, .. } => target.as_deref(),
                What::KerberosFailed { service, .. } | What::KerberosTicket { service, .. } => {
                    service.as_deref()
                }
                _ => None,
            }?;
            let host = service.get(SERVICE.len()..).filter(|_| is_remote_desktop(service))?;
            // A realm may stand behind it, and a port.
            let end = host.find(['/', '@', ':']).unwrap_or(host.len());
            host.get(..end).filter(|host| !host.is_empty() && *host != "*")
        })
    }

    fn was_ticket_given_behind(&self, error: &Seen, wanted: &str) -> bool {
        self.facts.iter().filter(|seen| seen.at > error.at).any(|seen| match seen.what() {
            What::KerberosGranted { service: Some(service), asker: Side::Client } => {
                service.eq_ignore_ascii_case(wanted) || is_remote_desktop(service)
            }
            _ => false,
        })
    }
}

const SERVICE: &str = "TERMSRV/";

/// A service of Remote Desktop (`TERMSRV/host`).
fn is_remote_desktop(service: &str) -> bool {
    begins_with(service, SERVICE)
}

/// The ticket-granting service of a realm, or the one that changes an expired password.
fn is_of_the_user(service: &str) -> bool {
    begins_with(service, "krbtgt") || begins_with(service, "kadmin/changepw")
}

fn begins_with(service: &str, prefix: &str) -> bool {
    service.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::fact::{Fact, Keys, Reading, Subject};
    use crate::note::Place;
    use crate::time::UnixNanos;

    #[test]
    fn the_name_of_the_service_is_that_of_the_server() {
        let named = |target: &str| {
            let keys = Keys { host: "pc07".to_owned(), activity: Some("A".to_owned()), ..Keys::default() };
            let fact = |what: What| Fact {
                at: UnixNanos(0),
                place: Place::frame(0, 1),
                subject: Subject::Record(Arc::new(keys.clone())),
                reading: Reading::Clear,
                what,
            };
            let target = Some(target.to_owned());
            let facts = vec![
                fact(What::ClientConnected {}),
                fact(What::CredsspVersionRefused { target, version: None }),
            ];
            let story = super::super::join(facts, &[]);
            story.sessions.first().and_then(Session::service_name).map(str::to_owned)
        };
        assert_eq!(named("TERMSRV/rdsh01.lab.test").as_deref(), Some("rdsh01.lab.test"));
        assert_eq!(named("termsrv/rdsh01@LAB.TEST").as_deref(), Some("rdsh01"));
        assert_eq!((named("cifs/files"), named("TERMSRV/*"), named("TERMSRV/")), (None, None, None));
    }
}
