//! Which witnesses of a connection are not there at all, and how to collect them.

use crate::fact::What;
use crate::session::{Role, Session};

const CAPTURE: &str = "a capture of this connection, best at both ends at once (`pktmon start --capture`, `dumpcap`, `tcpdump`)";
const CLIENT: &str =
    "the client's log: `wevtutil epl Microsoft-Windows-TerminalServices-RDPClient/Operational client.evtx`";
const SERVER: &str = "the server's logs: RdpCoreTS, RemoteConnectionManager, LocalSessionManager, System and Security (`wevtutil epl CHANNEL FILE.evtx`)";
const CORE: &str = "RdpCoreTS of the server: `wevtutil epl Microsoft-Windows-RemoteDesktopServices-RdpCoreTS/Operational core.evtx`";
const MANAGER: &str = "RemoteConnectionManager of the server: `wevtutil epl Microsoft-Windows-TerminalServices-RemoteConnectionManager/Operational rcm.evtx`";
const SECURITY: &str = "Security of the server, with auditing of logons (`auditpol /set /subcategory:Logon /success:enable /failure:enable`): `wevtutil epl Security security.evtx`";

/// What nobody handed over of this connection.
pub(super) fn witnesses(session: &Session) -> Vec<&'static str> {
    let mut absent = Vec::new();
    if session.connections.is_empty() {
        absent.push(CAPTURE);
    }
    if session.host(Role::Client).is_none() {
        absent.push(CLIENT);
    }
    if session.host(Role::Server).is_none() {
        absent.push(SERVER);
        return absent;
    }
    let has = |wanted: fn(&What) -> bool| session.find(wanted).is_some();
    if !has(|w| {
        matches!(
            w,
            What::ConnectionAccepted { .. } | What::MethodCalled { .. } | What::CredentialsRefused { .. }
        )
    }) {
        absent.push(CORE);
    }
    if !has(|w| matches!(w, What::ListenerAccepted { .. } | What::UserAuthenticated {})) {
        absent.push(MANAGER);
    }
    let logon = |w: &What| {
        matches!(
            w,
            What::LogonFailed { .. }
                | What::LogonSucceeded { .. }
                | What::CredentialsValidated { .. }
                | What::AccessDenied {}
        )
    };
    if !session.facts.iter().any(|seen| logon(seen.what())) {
        absent.push(SECURITY);
    }
    absent
}
