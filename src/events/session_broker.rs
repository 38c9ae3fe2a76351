//! The connection broker and its part on the session hosts. `UserData/EventXML` with `param1` to `param4`.

use super::generic::{service, status};
use super::{EventMap, Log, Seen, activity_key, event, value};
use crate::codes::Status;
use crate::fact::{Keys, What};

/// The host's side.
pub(super) const CLIENT: Log = Log {
    name: "broker-client",
    providers: &["Microsoft-Windows-TerminalServices-SessionBroker-Client"],
    channels: &["Microsoft-Windows-TerminalServices-SessionBroker-Client/"],
    keys: client_keys,
    events: CLIENT_EVENTS,
};

/// The broker itself.
pub(super) const BROKER: Log = Log {
    name: "broker",
    providers: &["Microsoft-Windows-TerminalServices-SessionBroker"],
    channels: &["Microsoft-Windows-TerminalServices-SessionBroker/"],
    keys: broker_keys,
    events: BROKER_EVENTS,
};

/// A host of virtual desktops.
pub(super) const VM_HOST_AGENT: Log = Log {
    name: "vm-host-agent",
    providers: &["Microsoft-Windows-TerminalServices-TSV-VmHostAgent"],
    channels: &["Microsoft-Windows-TerminalServices-TSV-VmHostAgent/"],
    keys: activity_key,
    events: VM_HOST_EVENTS,
};

const CLIENT_EVENTS: &[EventMap] = &[
    event(1280, "the host could not join the broker", |seen| tell(seen, "param1", "param2", true)),
    event(1281, "the host joined the farm", |seen| tell(seen, "param1", "", false)),
    event(1282, "the host left the farm", |seen| tell(seen, "param1", "param2", false)),
    event(1283, "the host left the farm", |seen| tell(seen, "param1", "param2", false)),
    event(1284, "the host's side of the broker could not start", |seen| tell(seen, "param1", "param2", true)),
    event(1296, "the broker sent no redirection", |seen| tell(seen, "", "param3", true)),
    event(1297, "the broker sent a redirection", |seen| tell(seen, "", "", false)),
    event(1298, "sessions could not be told to the broker", |seen| tell(seen, "param1", "", true)),
    event(1299, "sessions could not be told to the broker", |seen| tell(seen, "param1", "", true)),
    event(1300, "a call from an address without right was refused", |seen| tell(seen, "param1", "", true)),
    event(1301, "the broker is asked where the user goes", |seen| tell(seen, "", "", false)),
    event(1302, "the broker knows the sessions", |seen| tell(seen, "param1", "", false)),
    event(1303, "the credentials of the cluster failed", |seen| tell(seen, "param1", "param2", true)),
    event(1304, "the credentials of the cluster are good", |seen| tell(seen, "param1", "", false)),
    event(1305, "the connection to the broker was lost", |seen| tell(seen, "param1", "", true)),
    event(1306, "the user could not be redirected", |seen| tell(seen, "", "param3", true)),
    event(1307, "the user is redirected", redirected),
    event(1308, "the user is logged on here", |seen| tell(seen, "", "", false)),
    event(1309, "the search for the right session failed", |seen| tell(seen, "param1", "param3", true)),
];

const BROKER_EVENTS: &[EventMap] = &[
    event(776, "a host was added", |seen| tell(seen, "param1", "", false)),
    event(784, "a session could not be added", |seen| tell(seen, "param2", "param3", true)),
    event(787, "a session was added", |seen| tell(seen, "param2", "", false)),
    event(802, "the connection of a user could not be handled", |seen| tell(seen, "", "param2", true)),
    event(832, "a plug-in or cluster of the broker", |seen| tell(seen, "param1", "", false)),
    event(833, "the broker failed", service),
    event(834, "the broker failed", service),
    event(865, "the broker failed", service),
    event(898, "the broker failed", service),
    event(901, "the broker failed", service),
    event(902, "the group of the broker's computers is empty", service),
    event(944, "a plug-in or cluster of the broker", |seen| tell(seen, "param1", "", false)),
    event(946, "a plug-in or cluster of the broker", |seen| tell(seen, "param1", "", false)),
    event(2056, "the broker cannot reach its database", service),
];

const VM_HOST_EVENTS: &[EventMap] = &[
    event(4609, "the host of virtual desktops cannot reach the broker", |seen| {
        tell(seen, "Address", "Hr", true)
    }),
    event(4871, "a virtual desktop could not be started", |seen| tell(seen, "Address", "Hr", true)),
];

fn tell(seen: &Seen<'_>, target: &'static str, code: &'static str, failed: bool) -> Option<What> {
    let code = seen.text(code).as_deref().and_then(|text| value::number(text).or(value::number_in(text)));
    Some(What::BrokerEvent {
        event: seen.record.id,
        says: seen.event.says.to_owned(),
        target: seen.text(target),
        status: code.map(Status).or_else(|| status(seen)),
        failed,
    })
}

fn redirected(seen: &Seen<'_>) -> Option<What> {
    let target = match (seen.text("param3"), seen.text("param4")) {
        (Some(name), Some(address)) => Some(format!("{name} {address}")),
        (name, address) => name.or(address),
    };
    Some(What::BrokerEvent {
        event: seen.record.id,
        says: seen.event.says.to_owned(),
        target,
        status: None,
        failed: false,
    })
}

fn client_keys(seen: &Seen<'_>, keys: &mut Keys) {
    activity_key(seen, keys);
    if matches!(seen.record.id, 1296 | 1297 | 1301 | 1306..=1308) {
        keys.domain = seen.text("param1");
        if let Some(user) = seen.text("param2") {
            value::set_user(keys, &user);
        }
    } else if let (1300, Some(address)) = (seen.record.id, seen.text("param1")) {
        value::set_address(keys, &address);
    }
}

fn broker_keys(seen: &Seen<'_>, keys: &mut Keys) {
    activity_key(seen, keys);
    if let (784 | 787 | 802, Some(user)) = (seen.record.id, seen.text("param1")) {
        value::set_user(keys, &user);
    }
}
