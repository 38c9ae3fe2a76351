//! Which witnesses of a connection are not there at all, and how to collect them.

use super::{Missing, Weighing};
use crate::fact::What;
use crate::session::{Role, Session, Story, is_stack};
use crate::step::Step;

const CAPTURE: &str = "a capture of this connection, best at both ends at once (`pktmon start --capture`, `dumpcap`, `tcpdump`)";
const CLIENT: &str =
    "the client's log: `wevtutil epl Microsoft-Windows-TerminalServices-RDPClient/Operational client.evtx`";
const SERVER: &str = "the server's logs: RdpCoreTS, RemoteConnectionManager, LocalSessionManager, System and Security (`wevtutil epl CHANNEL FILE.evtx`)";
const GATEWAY: &str =
    "the gateway's log: `wevtutil epl Microsoft-Windows-TerminalServices-Gateway/Operational gateway.evtx`";
const CORE: &str = "RdpCoreTS of the server: `wevtutil epl Microsoft-Windows-RemoteDesktopServices-RdpCoreTS/Operational core.evtx`";
const CORE_SHORT: &str = "how it went on: RdpCoreTS of this host is here, and its part about this connection is not: it begins later, or \
     its records were overwritten (`wevtutil sl Microsoft-Windows-RemoteDesktopServices-RdpCoreTS/Operational /ms:104857600` keeps more)";
const MANAGER: &str = "RemoteConnectionManager of the server: `wevtutil epl Microsoft-Windows-TerminalServices-RemoteConnectionManager/Operational rcm.evtx`";
const SECURITY: &str = "Security of the server, with auditing of logons (`auditpol /set /subcategory:Logon /success:enable /failure:enable`): `wevtutil epl Security security.evtx`";

const AGAIN: &str = "the same failure once more, with captures at both ends from before the first packet on (`pktmon start --capture`) and the TLS secrets of \
     the client (`SSLKEYLOGFILE`)";

/// RdpCoreTS tells nothing of a connection that the server knows a user of.
pub(super) fn stack(session: &Session, story: &Story) -> Option<&'static str> {
    let host = session.host(Role::Server)?;
    session.find(|what| matches!(what, What::UserAuthenticated {}))?;
    if session.find(is_stack).is_some() {
        return None;
    }
    Some(if story.stacks.contains(host) { CORE_SHORT } else { CORE })
}

/// From here on nothing needs to be added.
const SURE_PERCENT: u8 = 90;
/// How much is named of what would decide.
const NAMED_MAX: usize = 2;

/// Names one or two things that would make a cause surer: what its rule asks for, else the witnesses that are not there.
pub(super) fn name_what_would_decide(weighing: &mut Weighing, absent: &[&'static str]) {
    weighing.missing.truncate(NAMED_MAX);
    if weighing.percent >= SURE_PERCENT || !weighing.missing.is_empty() {
        return;
    }
    weighing.missing.extend(absent.iter().take(NAMED_MAX).map(|witness| Missing::Text(witness)));
    if weighing.missing.is_empty() {
        weighing.missing.push(AGAIN.into());
    }
}

/// What nobody handed over of this connection.
pub(super) fn witnesses(session: &Session) -> Vec<&'static str> {
    let mut absent = Vec::new();
    if session.connections.is_empty() {
        absent.push(CAPTURE);
    }
    if session.host(Role::Client).is_none() {
        absent.push(CLIENT);
    }
    // What ended before the gateway has asked the host is in no log of the host.
    if session.broke_at.is_some_and(|step| step <= Step::GatewayChannel && step >= Step::GatewayTransport) {
        if session.find(|what| matches!(what, What::GatewayEvent { .. })).is_none() {
            absent.push(GATEWAY);
        }
        return absent;
    }
    if session.host(Role::Server).is_none() {
        absent.push(SERVER);
        return absent;
    }
    let has = |wanted: fn(&What) -> bool| session.find(wanted).is_some();
    if !has(is_stack) {
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
