//! Which Kerberos errors belong to the CredSSP of a connection. A client talks to its domain controller for every
//! program; what a capture shows beside a connection counts only where it fits.

use super::{Seen, Session};
use crate::fact::{Side, What};
use crate::step::Step;

impl Session {
    /// This Kerberos error may be why the connection failed. Those of logs were joined by their keys, and those
    /// inside of CredSSP are its own. Beside it, it must be the client's, for a Remote Desktop service or for the user's own ticket, fall between the TLS handshake
    /// and the end, and not be mended by a ticket that was given later; and the connection must have come no further.
    #[must_use]
    pub fn is_decided_by_kerberos(&self, seen: &Seen) -> bool {
        let What::KerberosFailed { code, service, asker, .. } = seen.what() else { return false };
        if code.is_normal_step() {
            return false;
        }
        // In a log, or inside of the CredSSP of this very connection.
        if asker.is_none() {
            return true;
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

    fn was_ticket_given_behind(&self, error: &Seen, wanted: &str) -> bool {
        self.facts.iter().filter(|seen| seen.at > error.at).any(|seen| match seen.what() {
            What::KerberosGranted { service: Some(service), asker: Side::Client } => {
                service.eq_ignore_ascii_case(wanted) || is_remote_desktop(service)
            }
            _ => false,
        })
    }
}

/// A service of Remote Desktop (`TERMSRV/host`).
fn is_remote_desktop(service: &str) -> bool {
    begins_with(service, "TERMSRV/")
}

/// The ticket-granting service of a realm, or the one that changes an expired password.
fn is_of_the_user(service: &str) -> bool {
    begins_with(service, "krbtgt") || begins_with(service, "kadmin/changepw")
}

fn begins_with(service: &str, prefix: &str) -> bool {
    service.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}
