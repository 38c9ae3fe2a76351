//! NTLM where policy blocks it, and the secure channel to a domain. What is only audited has no row.

use super::generic::{detail, note, problem};
use super::{EventMap, Log, Seen, event, value};
use crate::codes::Status;
use crate::fact::{Keys, What};

/// On clients and servers.
pub(super) const LOG: Log = Log {
    name: "ntlm",
    providers: &["Microsoft-Windows-NTLM"],
    channels: &["Microsoft-Windows-NTLM/"],
    keys,
    events: EVENTS,
};

/// On domain controllers.
pub(super) const DOMAIN: Log = Log {
    name: "netlogon-ntlm",
    providers: &["Microsoft-Windows-Security-Netlogon"],
    channels: &["Microsoft-Windows-NTLM/"],
    keys,
    events: DOMAIN_EVENTS,
};

/// The secure channel, in System.
pub(super) const NETLOGON: Log = Log {
    name: "netlogon",
    providers: &["NETLOGON"],
    channels: &["System"],
    keys: |_, _| {},
    events: NETLOGON_EVENTS,
};

const EVENTS: &[EventMap] = &[
    event(100, "NTLM was refused: the account is a protected user", policy),
    event(101, "NTLM was refused by an authentication policy", policy),
    event(4001, "policy blocks outgoing NTLM", |seen| blocked(seen, "outgoing")),
    event(4002, "policy blocks incoming NTLM", |seen| blocked(seen, "incoming")),
    event(4003, "policy blocks NTLM for domain accounts", |seen| blocked(seen, "domain")),
    event(4010, "the session security that a server offers is weaker than this client demands", problem),
    event(4011, "the session security that a client asks for is weaker than this server demands", problem),
    event(4012, "an account is restricted", note),
    event(4013, "NTLM was tried where it is blocked", note),
    event(4014, "NTLM was tried where it is blocked", note),
    event(4015, "NTLM was tried where it is blocked", note),
    event(4020, "NTLM was used to a server", note),
    event(4021, "NTLM was used to a server", note),
    event(4022, "NTLM was used by a client", note),
    event(4023, "NTLM was used by a client", note),
];

const DOMAIN_EVENTS: &[EventMap] = &[
    event(4004, "policy of the domain blocks NTLM", |seen| blocked(seen, "domain")),
    event(4005, "policy of the domain blocks NTLM", |seen| blocked(seen, "domain")),
    event(4006, "policy of the domain blocks NTLM", |seen| blocked(seen, "domain")),
];

const NETLOGON_EVENTS: &[EventMap] = &[
    event(3210, "this host could not prove itself to its domain: the trust may be broken", domain),
    event(5719, "no domain controller could be reached for a secure channel", domain),
    event(5723, "the account of a computer was refused", domain),
    event(5805, "a computer could not prove itself to the domain", domain),
];

fn keys(seen: &Seen<'_>, keys: &mut Keys) {
    keys.domain = seen.any(&["DomainName", "ClientDomainName"]);
    if let Some(user) = seen.any(&["UserName", "Username", "AccountName", "ClientUserName"]) {
        value::set_user(keys, &user);
    }
    if let Some(address) = seen.any(&["ClientIP", "TargetIP"]) {
        value::set_address(keys, &address);
    }
    keys.workstation = seen.any(&["Workstation", "WorkstationName", "DeviceName", "RemoteClientMachine"]);
}

/// `Binary` begins with the status.
fn domain(seen: &Seen<'_>) -> Option<What> {
    let first = seen.text("Binary").and_then(|hex| u32::from_str_radix(hex.get(..8)?, 16).ok());
    Some(What::ServiceProblem {
        log: seen.log.name.to_owned(),
        event: seen.record.id,
        says: seen.event.says.to_owned(),
        status: first.map(|digits| Status(digits.swap_bytes())),
        detail: detail(seen),
    })
}

fn blocked(seen: &Seen<'_>, place: &str) -> Option<What> {
    let target = seen.any(&["TargetName", "SChannelName"]);
    Some(What::NtlmBlocked { place: place.to_owned(), target, process: seen.text("ProcessName") })
}

fn policy(seen: &Seen<'_>) -> Option<What> {
    Some(What::PolicyRefused { status: seen.status("Status"), policy: seen.any(&["PolicyName", "SiloName"]) })
}
