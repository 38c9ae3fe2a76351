//! RD Gateway: each connection through it, under one activity id. `UserData/EventInfo`.

use super::generic::note;
use super::{EventMap, Log, Seen, activity_key, event, value};
use crate::fact::{Keys, What};

pub(super) const LOG: Log = Log {
    name: "gateway",
    providers: &["Microsoft-Windows-TerminalServices-Gateway"],
    channels: &["Microsoft-Windows-TerminalServices-Gateway/"],
    keys,
    events: EVENTS,
};

const EVENTS: &[EventMap] = &[
    event(100, "the gateway service or its settings", note),
    event(101, "the gateway service or its settings", note),
    event(102, "the gateway service or its settings", note),
    event(103, "the gateway service or its settings", note),
    event(104, "the gateway service or its settings", note),
    event(105, "the gateway service or its settings", note),
    event(106, "the gateway service or its settings", note),
    event(200, "the connection authorization policy lets the user in", |seen| tell(seen, false)),
    event(201, "the connection authorization policy does not let the user in", |seen| tell(seen, true)),
    event(202, "an administrator disconnected the user", |seen| tell(seen, false)),
    event(203, "the gateway has no connection left", |seen| tell(seen, true)),
    event(204, "the device does not meet the health policy", |seen| tell(seen, true)),
    event(205, "UDP through the gateway is up", |seen| tell(seen, false)),
    event(206, "UDP through the gateway failed: TCP goes on", |seen| tell(seen, false)),
    event(300, "the resource authorization policy lets the user reach the resource", |seen| {
        tell(seen, false)
    }),
    event(301, "the resource authorization policy does not let the user reach the resource", |seen| {
        tell(seen, true)
    }),
    event(302, "the gateway is connected to the resource", |seen| tell(seen, false)),
    event(303, "the connection to the resource is over", |seen| tell(seen, false)),
    event(304, "the gateway cannot reach the resource", |seen| tell(seen, true)),
    event(305, "the gateway does not allow this way to authenticate", |seen| tell(seen, true)),
    event(306, "what the policy allows the client to redirect", |seen| tell(seen, false)),
    event(307, "the time that policy gives a session is over", |seen| tell(seen, true)),
    event(309, "authenticating again failed", |seen| tell(seen, true)),
    event(312, "a client opened its outgoing leg to the gateway", |seen| tell(seen, false)),
    event(313, "a client opened its incoming leg to the gateway", |seen| tell(seen, false)),
    event(400, "a policy of the gateway was changed", note),
    event(401, "a policy of the gateway was changed", note),
    event(402, "a policy of the gateway was changed", note),
    event(403, "a policy of the gateway was changed", note),
    event(404, "a policy of the gateway was changed", note),
];

fn keys(seen: &Seen<'_>, keys: &mut Keys) {
    activity_key(seen, keys);
    if let Some(user) = seen.text("Username") {
        value::set_user(keys, &user);
    }
    if let Some(address) = seen.text("IpAddress") {
        value::set_address(keys, &address);
    }
}

fn tell(seen: &Seen<'_>, failed: bool) -> Option<What> {
    Some(What::GatewayEvent {
        event: seen.record.id,
        says: seen.event.says.to_owned(),
        resource: seen.text("Resource"),
        transport: seen.text("ConnectionProtocol"),
        code: seen.status("ErrorCode"),
        failed,
        bytes_received: seen.long("BytesReceived"),
        bytes_sent: seen.long("BytesTransfered"),
        seconds: seen.long("SessionDuration"),
    })
}
