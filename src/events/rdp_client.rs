//! RDPClient: what mstsc says on the computer where somebody sits. `EventData` with `Name` and `Value`, or `TraceMessage`.

use super::generic::{note, problem};
use super::rdp_core_ts::{multitransport, state_error};
use super::{EventMap, Log, Seen, activity_key, event, value};
use crate::codes::DisconnectReason;
use crate::fact::{Keys, What};

pub(super) const LOG: Log = Log {
    name: "rdpclient",
    providers: &["Microsoft-Windows-TerminalServices-ClientActiveXCore"],
    channels: &["Microsoft-Windows-TerminalServices-RDPClient/"],
    keys,
    events: EVENTS,
};

const EVENTS: &[EventMap] = &[
    event(225, "a state machine moved on", note),
    event(226, "a state machine ran into an error", state_error),
    event(227, "a channel was joined", note),
    event(1001, "a step of connecting or disconnecting", note),
    event(1002, "a step of connecting or disconnecting", note),
    event(1003, "a step of connecting or disconnecting", note),
    event(1004, "a step of connecting or disconnecting", note),
    event(1005, "a step of connecting or disconnecting", note),
    event(1006, "a step of connecting or disconnecting", note),
    event(1007, "the name of the server could not be resolved", |seen| {
        Some(What::NameNotResolved { name: None, code: seen.status("ErrorCode") })
    }),
    event(1008, "a step of connecting or disconnecting", note),
    event(1009, "the server did not accept the credentials", |seen| {
        Some(What::CredentialsRefused { status: seen.status("ErrorCode") })
    }),
    event(1010, "the client connects to a gateway", note),
    event(1011, "the client is connected to a gateway", note),
    event(1012, "the gateway could not be reached", problem),
    event(1013, "the client tries to connect again", note),
    event(1014, "the client connected again", note),
    event(1015, "the client could not connect again", problem),
    event(1016, "the client's license is good", note),
    event(1017, "the client has no license", license),
    event(1018, "the client could not connect", problem),
    event(1019, "a remark", note),
    event(1020, "the client ran into an error", problem),
    event(1021, "the way to the gateway failed", problem),
    event(1022, "a remark", note),
    event(1024, "the client starts to connect", |seen| {
        Some(What::ClientConnecting { name: seen.text("Value")? })
    }),
    event(1025, "the client is connected", |_| Some(What::ClientConnected {})),
    event(1026, "the client is disconnected", |seen| {
        Some(What::ClientDisconnected { reason: DisconnectReason(seen.number("Value")?) })
    }),
    event(1027, "the client was told of its session", |seen| {
        Some(What::ClientLoggedOn { domain: seen.text("DomainName"), session: seen.number("SessionId") })
    }),
    event(1028, "whether the server can use TLS", note),
    event(1029, "a hash of the user name", |seen| {
        let text = seen.text("TraceMessage")?;
        Some(What::UserNameHash { hash: text.trim_end_matches('-').to_owned() })
    }),
    event(1030, "the build of the client", note),
    event(1031, "a packet could not be read", problem),
    event(1032, "a component says", note),
    event(1033, "a component failed", problem),
    event(1034, "a component says", note),
    event(1102, "the client tries UDP to this address", multitransport),
    event(1103, "UDP is up", multitransport),
    event(1104, "UDP is not used: TCP goes on", multitransport),
    event(1105, "UDP is over", multitransport),
    event(1106, "the client is being closed", note),
    event(1107, "why a component disconnects", |seen| {
        Some(What::DisconnectTraced {
            component: seen.text("ComponentName"),
            message: seen.text("Message"),
            code: seen.status("ErrorCode"),
        })
    }),
    event(1206, "a workspace or token could not be had", problem),
    event(1209, "a workspace or token could not be had", problem),
    event(1216, "a workspace or token could not be had", problem),
    event(1401, "the graphics protocol of the client", note),
    event(1402, "the graphics memory of the client", note),
    event(1403, "the graphics memory of the client", note),
    event(1404, "the client could not decode or show a picture", problem),
    event(1501, "a remark", note),
    event(1502, "a remark", note),
    event(1503, "a remark", note),
];

/// The other end is the server: 1102 has its address, the typed name is one where it is an address.
fn keys(seen: &Seen<'_>, keys: &mut Keys) {
    activity_key(seen, keys);
    if let (1024 | 1102, Some(text)) = (seen.record.id, seen.text("Value")) {
        value::set_address(keys, &text);
    }
}

fn license(seen: &Seen<'_>) -> Option<What> {
    let detail = super::generic::detail(seen);
    Some(What::LicenseProblem { event: seen.record.id, says: seen.event.says.to_owned(), detail })
}
