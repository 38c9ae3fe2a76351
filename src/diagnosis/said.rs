//! What the user read in the error box, held against what the evidence shows.

use crate::fact::What;
use crate::session::{Outcome, Session};
use crate::step::Step;

/// The numbers of mstsc's error box.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Said {
    /// The error code.
    pub code: u32,
    /// The extended error code, when it was told.
    pub extended: Option<u32>,
}

/// The name was not resolved.
const DNS_FAILED: u32 = 0x104;
/// No TCP connection came about: timed out, or not possible.
const NOT_CONNECTED: [u32; 2] = [0x108, 0x204];
/// The TCP connection was closed by the other side.
const CLOSED: u32 = 0x904;
/// The server ended it and says why in the extended code.
const BY_SERVER: u32 = 3;
/// The server demands Network Level Authentication.
const NLA_REQUIRED: u32 = 0xb09;

impl Said {
    /// Why a failed session cannot be what the box tells of; `None` when it can be.
    #[must_use]
    pub fn contradicted_by(self, session: &Session) -> Option<String> {
        let logged = session.facts.iter().rev().find_map(|seen| match seen.what() {
            What::ClientDisconnected { reason } => Some(reason.0),
            _ => None,
        });
        if let Some(logged) = logged.filter(|logged| *logged != self.code) {
            return Some(format!("the client's own log has the reason {logged:#x}"));
        }
        let at = session.broke_at?;
        let connected = session.reached.is_some_and(|reached| reached >= Step::Tcp);
        let ended = format!("this connection ended at {}", at.title());
        match self.code {
            DNS_FAILED if connected => Some(format!("{ended}, so the name was resolved")),
            code if NOT_CONNECTED.contains(&code) && connected => Some(format!("{ended}, so TCP worked")),
            NLA_REQUIRED if at > Step::Credssp => Some(format!("{ended}, behind the negotiation")),
            CLOSED if at == Step::Tcp && !connected => {
                Some(format!("{ended}, so there was nothing to be closed"))
            }
            BY_SERVER => self.of_server(session, at, &ended),
            _ => None,
        }
    }

    fn of_server(self, session: &Session, at: Step, ended: &str) -> Option<String> {
        let extended = self.extended.filter(|extended| *extended != 0)?;
        if let Some(sent) = session.error_info().filter(|sent| sent.0 != extended) {
            return Some(format!("the server said {}", sent.words()));
        }
        let silent = session.error_info().is_none() && session.outcome != Outcome::Active;
        (silent && at <= Step::Credssp)
            .then(|| format!("{ended}, before a server can send a Set Error Info code"))
    }
}
