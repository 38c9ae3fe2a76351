//! Security: logons, tickets and rights. Its activity id lasts as long as the boot and is no key.
//!
//! A 4624 or 4625 alone is no Remote Desktop: type 3 is any logon from the network. Services, scheduled tasks, window and
//! font plumbing and computer accounts are left out; so is what the firewall decides about other ports than 3389.

use super::generic::note;
use super::{EventMap, Log, Seen, event, value};
use crate::codes::{KerberosError, Status};
use crate::fact::{Keys, What};
use crate::time::UnixNanos;

pub(super) const LOG: Log = Log {
    name: "security",
    providers: &["Microsoft-Windows-Security-Auditing"],
    channels: &["Security"],
    keys,
    events: EVENTS,
};

const RDP_PORT: u32 = 3389;
/// `%%14592`: inbound, in events of the firewall.
const INBOUND: &str = "%%14592";
/// Logon ids of the system itself, of network and of local services.
const SYSTEM_LOGONS: [u64; 3] = [0x3e7, 0x3e4, 0x3e5];
/// Logon type of Network Level Authentication and of every other service of the network: its end says nothing.
const NETWORK: u32 = 3;
/// Logon types of scheduled tasks and services, and of the system at its start.
const UNATTENDED: [u32; 3] = [0, 4, 5];

const EVENTS: &[EventMap] = &[
    event(4608, "the system started", note),
    event(4609, "the system stops", note),
    event(4616, "the clock was set", |seen| clock_changed(seen, "PreviousTime", "NewTime")),
    event(4624, "a logon", logon),
    event(4625, "a logon failed", logon_failed),
    event(4634, "a logon ended", |seen| {
        (seen.number("LogonType") != Some(NETWORK)).then(|| logged_off(seen, false)).flatten()
    }),
    event(4647, "the user logged off", |seen| logged_off(seen, true)),
    event(4648, "a program used other credentials than its own", |seen| {
        let target = seen.any(&["TargetInfo", "TargetServerName"]);
        Some(What::ExplicitCredentials { target, process: seen.text("ProcessName") })
    }),
    event(4672, "the logon has rights of an administrator", administrator),
    event(4717, "a right to log on was given", note),
    event(4718, "a right to log on was taken away", note),
    event(4719, "what is audited was changed", note),
    event(4732, "somebody was added to a local group", note),
    event(4733, "somebody was removed from a local group", note),
    event(4740, "the account was locked out", |_| Some(What::AccountLockedOut {})),
    event(4767, "the account was unlocked", note),
    event(4768, "a domain controller was asked for a first ticket", ticket),
    event(4769, "a domain controller was asked for a ticket", ticket),
    event(4771, "a domain controller did not accept the proof of a user", ticket),
    event(4776, "NTLM credentials were checked", |seen| {
        Some(What::CredentialsValidated { status: Status(seen.number("Status")?) })
    }),
    event(4778, "a user was connected to a session that existed", |seen| {
        Some(What::SessionReconnected { name: seen.text("SessionName"), local: is_local(seen) })
    }),
    event(4779, "the session was disconnected", |seen| {
        Some(What::SessionDisconnected { name: seen.text("SessionName"), local: is_local(seen) })
    }),
    event(4820, "an authentication policy does not let the user have a ticket", policy),
    event(4821, "an authentication policy does not let the user have a ticket", policy),
    event(4822, "NTLM was refused: the account is a protected user", policy),
    event(4823, "NTLM was refused by an authentication policy", policy),
    event(4824, "a ticket was refused: the account is a protected user", policy),
    event(4825, "the user has no right to use Remote Desktop here", |_| Some(What::AccessDenied {})),
    event(4946, "a rule of the firewall was added", note),
    event(4947, "a rule of the firewall was changed", note),
    event(4948, "a rule of the firewall was removed", note),
    event(4950, "a setting of the firewall was changed", note),
    event(5025, "the firewall was stopped", note),
    event(5058, "the file of a key was used", |seen| failed_only(seen, "ReturnCode")),
    event(5061, "a key was used", |seen| failed_only(seen, "ReturnCode")),
    event(5152, "the firewall dropped a packet", |seen| firewall(seen, false)),
    event(5154, "a program may listen", listening),
    event(5155, "a program may not listen", listening),
    event(5156, "the firewall let a connection pass", |seen| firewall(seen, true)),
    event(5157, "the firewall blocked a connection", |seen| firewall(seen, false)),
    event(5158, "a program may use a port", listening),
    event(5159, "a program may not use a port", listening),
];

fn keys(seen: &Seen<'_>, keys: &mut Keys) {
    keys.domain = seen.any(&["TargetDomainName", "AccountDomain"]);
    let subject = seen.record.id == 4672;
    let user = if subject {
        seen.peek("SubjectUserName")
    } else {
        seen.peek_any(&["TargetUserName", "AccountName"])
    };
    if let Some(user) = user {
        value::set_user(keys, &user);
    }
    let logon = if subject { "SubjectLogonId" } else { "TargetLogonId" };
    keys.logon_id = seen.long(logon).or_else(|| seen.long("LogonID")).filter(|id| *id != 0);
    if let Some(address) = seen.peek_any(&["IpAddress", "ClientAddress"]) {
        value::set_address(keys, &address);
    }
    keys.port = seen.number("IpPort").and_then(|port| u16::try_from(port).ok()).filter(|port| *port != 0);
    let name = seen.peek_any(&["WorkstationName", "Workstation", "ClientName", "DeviceName"]);
    let bare = name.as_deref().map(|name| name.trim().trim_start_matches('\\'));
    keys.workstation = bare.filter(|name| !name.is_empty()).map(str::to_owned);
    match seen.record.id {
        // The caller's computer stands where others have the domain.
        4740 => keys.workstation = keys.domain.take(),
        5152 | 5156 | 5157 => set_far_end(seen, keys),
        _ => {}
    }
}

fn is_local(seen: &Seen<'_>) -> bool {
    value::is_local(seen.peek("ClientAddress").as_deref())
}

/// Logons by which no person comes in.
fn is_plumbing(seen: &Seen<'_>) -> bool {
    let (user, domain) = (seen.peek("TargetUserName"), seen.peek("TargetDomainName"));
    let user = user.as_deref().unwrap_or_default().trim();
    let domain = domain.as_deref().unwrap_or_default().trim();
    let begins = |with: &str| user.get(..with.len()).is_some_and(|head| head.eq_ignore_ascii_case(with));
    begins("DWM-")
        || begins("UMFD-")
        || user.split('@').next().is_some_and(|name| name.ends_with('$'))
        || user.eq_ignore_ascii_case("ANONYMOUS LOGON")
        || domain == "Window Manager"
        || domain == "Font Driver Host"
        || seen.number("LogonType").is_some_and(|kind| UNATTENDED.contains(&kind))
}

fn logon(seen: &Seen<'_>) -> Option<What> {
    let by_service =
        seen.peek("LogonProcessName").is_some_and(|name| name.trim().eq_ignore_ascii_case("Advapi"));
    if is_plumbing(seen) || by_service {
        return None;
    }
    // %%1842 is yes, %%1843 is no.
    let yes = |name| seen.peek(name).is_some_and(|text| text.trim() == "%%1842");
    let given = |guid: &&str| guid.bytes().any(|c| c.is_ascii_hexdigit() && c != b'0');
    let guid = seen.peek("LogonGuid");
    Some(What::LogonSucceeded {
        logon_type: seen.number("LogonType")?,
        package: seen.text("AuthenticationPackageName"),
        linked_logon: seen.long("TargetLinkedLogonId").filter(|id| *id != 0),
        logon_guid: guid
            .as_deref()
            .map(str::trim)
            .filter(given)
            .map(|guid| value::upper(guid.trim_matches(['{', '}']))),
        restricted_admin: yes("RestrictedAdminMode"),
        credential_guard: yes("RemoteCredentialGuard"),
    })
}

fn logon_failed(seen: &Seen<'_>) -> Option<What> {
    if seen.number("LogonType").is_some_and(|kind| UNATTENDED.contains(&kind)) {
        return None;
    }
    let reason = seen.text("FailureReason");
    Some(What::LogonFailed {
        logon_type: seen.number("LogonType")?,
        status: Status(seen.number("Status")?),
        sub_status: seen.status("SubStatus").filter(|status| status.is_failure()),
        failure_reason: reason.and_then(|text| value::number(text.trim_start_matches('%'))),
        package: seen.text("AuthenticationPackageName"),
        process: seen.text("ProcessName"),
    })
}

fn logged_off(seen: &Seen<'_>, by_user: bool) -> Option<What> {
    (!is_plumbing(seen)).then(|| What::LoggedOff { by_user, logon_type: seen.number("LogonType") })
}

/// 4768, 4769, 4771: steps that belong to every success say nothing. A domain controller gives tickets all the time, to
/// everybody: only those it did not give tell something.
fn ticket(seen: &Seen<'_>) -> Option<What> {
    let code = KerberosError(seen.number("Status")?);
    let service = seen.text("ServiceName");
    match code {
        _ if code.is_normal_step() => None,
        KerberosError(0) => None,
        _ => Some(super::kerberos::failed(code, service)),
    }
}

/// The logon id is what counts: which rights they are would fill the memory.
fn administrator(seen: &Seen<'_>) -> Option<What> {
    let of_a_person = seen.long("SubjectLogonId").is_some_and(|id| !SYSTEM_LOGONS.contains(&id))
        && !seen.text("SubjectUserName").is_some_and(|user| user.ends_with('$') || user.starts_with("DWM-"));
    of_a_person.then(|| What::LogSays {
        log: seen.log.name.to_owned(),
        event: seen.record.id,
        says: seen.event.says.to_owned(),
        status: None,
        detail: None,
    })
}

fn policy(seen: &Seen<'_>) -> Option<What> {
    Some(What::PolicyRefused { status: seen.status("Status"), policy: seen.any(&["PolicyName", "SiloName"]) })
}

/// 4616 and Kernel-General 1.
pub(super) fn clock_changed(seen: &Seen<'_>, from: &'static str, to: &'static str) -> Option<What> {
    let time = |name| seen.record.field(name).and_then(|text| UnixNanos::parse(&text));
    Some(What::ClockChanged { from: time(from)?, to: time(to)? })
}

/// Keys are used all the time: only a failure says something.
fn failed_only(seen: &Seen<'_>, code: &'static str) -> Option<What> {
    seen.number(code).filter(|code| *code != 0).and_then(|_| note(seen))
}

fn listening(seen: &Seen<'_>) -> Option<What> {
    (seen.number("SourcePort") == Some(RDP_PORT)).then(|| note(seen)).flatten()
}

/// The ends of a connection as the firewall has them: address and port, twice.
fn ends(seen: &Seen<'_>) -> [(Option<String>, Option<u32>); 2] {
    [("SourceAddress", "SourcePort"), ("DestAddress", "DestPort")]
        .map(|(address, port)| (seen.text(address), seen.number(port)))
}

/// Which of the two ends is far away: the client of what comes in, the server of what goes out. Builds differ in what
/// they call source, so the port decides.
fn far_end(seen: &Seen<'_>) -> Option<usize> {
    let server = ends(seen).iter().position(|(_, port)| *port == Some(RDP_PORT))?;
    Some(if is_inbound(seen) { 1 - server } else { server })
}

fn is_inbound(seen: &Seen<'_>) -> bool {
    seen.text("Direction").is_some_and(|direction| direction == INBOUND)
}

fn set_far_end(seen: &Seen<'_>, keys: &mut Keys) {
    let Some((address, port)) = far_end(seen).and_then(|far| ends(seen).into_iter().nth(far)) else { return };
    keys.address = address.as_deref().and_then(value::address);
    keys.port = port.and_then(|port| u16::try_from(port).ok());
}

fn firewall(seen: &Seen<'_>, allowed: bool) -> Option<What> {
    let near = 1 - far_end(seen)?;
    Some(What::FirewallDecision {
        allowed,
        inbound: is_inbound(seen),
        local_port: ends(seen).get(near).and_then(|(_, port)| *port),
        filter: seen.long("FilterRTID"),
        process: seen.text("Application"),
    })
}
