//! Records of the Security channel: logons, failures, tickets.
//!
//! Field names and versions as on Server 2016 to 2022 (knowledge/events.tsv); codes from ntstatus_logon.tsv,
//! failure_reason_pct.tsv and kerberos_errors.tsv.

use super::cast::{HostId, Role};
use super::ladder::client_name;
use super::provider::{KEYWORDS_AUDIT_FAILURE, SECURITY};
use super::stage::{Connection, ConnectionId, Stage, sid};
use crate::evtx::{Guid, Record, Value};

const TASK_LOGON: u16 = 12544;
const TASK_LOGOFF: u16 = 12545;
const TASK_OTHER_LOGON: u16 = 12551;
const TASK_CREDENTIAL_VALIDATION: u16 = 14336;
const TASK_KERBEROS_TICKET: u16 = 14337;
const TASK_KERBEROS_AUTHENTICATION: u16 = 14339;
const TASK_ACCOUNT_MANAGEMENT: u16 = 13824;
/// KDC_ERR_PREAUTH_FAILED.
const PREAUTH_FAILED: u32 = 0x18;
const LOGON_TYPE_CONSOLE: u32 = 2;
const LOGON_TYPE_NETWORK: u32 = 3;
const LOGON_TYPE_REMOTE: u32 = 10;
const NTLM_PACKAGE: &str = "MICROSOFT_AUTHENTICATION_PACKAGE_V1_0";
const LOCAL_SYSTEM_LOGON: u64 = 0x3e7;

/// Why a logon was refused.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refusal {
    pub(super) kind: u32,
    pub(super) status: u32,
    pub(super) sub_status: u32,
}

/// A record of the Security channel.
pub(super) fn audit(event_id: u16, task: u16, success: bool, fields: &[(&str, Value)]) -> Record {
    let mut record = SECURITY.event(event_id, fields);
    record.task = task;
    if !success {
        record.keywords = KEYWORDS_AUDIT_FAILURE;
    }
    record
}

/// 4624 type 3: the network logon of NLA. Its port is 0 on every current system.
pub(super) fn network_logon(connection: &Connection, workstation: String, kerberos: bool) -> Record {
    let (process, package, lm) =
        if kerberos { ("Kerberos", "Kerberos", "-") } else { ("NtLmSsp ", "NTLM", "NTLM V2") };
    logon(
        connection,
        &Logon {
            kind: LOGON_TYPE_NETWORK,
            logon_id: connection.network_logon,
            linked: 0,
            process,
            package,
            lm,
            workstation: if kerberos { "-".to_owned() } else { workstation },
            address: connection.address.to_string(),
            subject_is_system: false,
        },
    )
}

/// 4624 type 10, twice for an administrator: the elevated and the linked token.
pub(super) fn remote_logons(connection: &Connection, computer: &str) -> [Record; 2] {
    [0, 1].map(|half| {
        let logon_id = connection.interactive_logon + half;
        logon(
            connection,
            &Logon {
                kind: LOGON_TYPE_REMOTE,
                logon_id,
                linked: connection.interactive_logon + (1 - half),
                process: "User32 ",
                package: "Negotiate",
                lm: "-",
                workstation: computer.to_owned(),
                address: connection.address.to_string(),
                subject_is_system: true,
            },
        )
    })
}

/// 4624 type 2 at the console: no address but the host's own.
pub(super) fn console_logon(connection: &Connection, computer: &str) -> Record {
    logon(
        connection,
        &Logon {
            kind: LOGON_TYPE_CONSOLE,
            logon_id: connection.interactive_logon,
            linked: 0,
            process: "User32 ",
            package: "Negotiate",
            lm: "-",
            workstation: computer.to_owned(),
            address: "127.0.0.1".to_owned(),
            subject_is_system: true,
        },
    )
}

struct Logon<'a> {
    kind: u32,
    logon_id: u64,
    linked: u64,
    process: &'a str,
    package: &'a str,
    lm: &'a str,
    workstation: String,
    address: String,
    subject_is_system: bool,
}

fn logon(connection: &Connection, is: &Logon<'_>) -> Record {
    let user = &connection.user;
    let subject = if is.subject_is_system { ("S-1-5-18", LOCAL_SYSTEM_LOGON) } else { ("S-1-0-0", 0) };
    let process_name = if is.subject_is_system { r"C:\Windows\System32\winlogon.exe" } else { "-" };
    let mut record = audit(
        4624,
        TASK_LOGON,
        true,
        &[
            ("SubjectUserSid", Value::Sid(sid(subject.0))),
            ("SubjectUserName", "-".into()),
            ("SubjectDomainName", "-".into()),
            ("SubjectLogonId", Value::Hex64(subject.1)),
            ("TargetUserSid", Value::Sid(user.sid.clone())),
            ("TargetUserName", user.name.as_str().into()),
            ("TargetDomainName", user.domain.as_str().into()),
            ("TargetLogonId", Value::Hex64(is.logon_id)),
            ("LogonType", is.kind.into()),
            ("LogonProcessName", is.process.into()),
            ("AuthenticationPackageName", is.package.into()),
            ("WorkstationName", is.workstation.as_str().into()),
            ("LogonGuid", Value::Guid(Guid([0; 16]))),
            ("TransmittedServices", "-".into()),
            ("LmPackageName", is.lm.into()),
            ("KeyLength", if is.lm == "-" { 0_u32 } else { 128 }.into()),
            ("ProcessId", Value::Hex64(if is.subject_is_system { 0x2f4 } else { 0 })),
            ("ProcessName", process_name.into()),
            ("IpAddress", is.address.as_str().into()),
            ("IpPort", "0".into()),
            ("ImpersonationLevel", "%%1833".into()),
            ("RestrictedAdminMode", "-".into()),
            ("TargetOutboundUserName", "-".into()),
            ("TargetOutboundDomainName", "-".into()),
            ("VirtualAccount", "%%1843".into()),
            ("TargetLinkedLogonId", Value::Hex64(is.linked)),
            ("ElevatedToken", "%%1842".into()),
        ],
    );
    record.version = 2;
    record
}

/// 4625: a logon that failed.
pub(super) fn logon_failed(stage: &Stage, connection: &Connection, why: Refusal) -> Record {
    let user = &connection.user;
    let workstation = connection.client.map_or("-".to_owned(), |host| stage.cast.hosts[host].name.clone());
    let is_network = why.kind == LOGON_TYPE_NETWORK;
    let (process, package) = if is_network { ("NtLmSsp ", "NTLM") } else { ("User32 ", "Negotiate") };
    let code = if why.sub_status == 0 { why.status } else { why.sub_status };
    audit(
        4625,
        TASK_LOGON,
        false,
        &[
            ("SubjectUserSid", Value::Sid(sid(if is_network { "S-1-0-0" } else { "S-1-5-18" }))),
            ("SubjectUserName", "-".into()),
            ("SubjectDomainName", "-".into()),
            ("SubjectLogonId", Value::Hex64(if is_network { 0 } else { LOCAL_SYSTEM_LOGON })),
            ("TargetUserSid", Value::Sid(sid("S-1-0-0"))),
            ("TargetUserName", user.name.as_str().into()),
            ("TargetDomainName", user.domain.as_str().into()),
            ("Status", Value::Hex32(why.status)),
            ("FailureReason", failure_reason(code).into()),
            ("SubStatus", Value::Hex32(why.sub_status)),
            ("LogonType", why.kind.into()),
            ("LogonProcessName", process.into()),
            ("AuthenticationPackageName", package.into()),
            ("WorkstationName", workstation.into()),
            ("TransmittedServices", "-".into()),
            ("LmPackageName", "-".into()),
            ("KeyLength", 0_u32.into()),
            ("ProcessId", Value::Hex64(0)),
            ("ProcessName", "-".into()),
            ("IpAddress", connection.address.to_string().into()),
            ("IpPort", "0".into()),
        ],
    )
}

/// The message number that stands for a status in 4625.
fn failure_reason(code: u32) -> &'static str {
    match code {
        0xC000_0064 | 0xC000_006A | 0xC000_006D => "%%2313",
        0xC000_006F => "%%2311",
        0xC000_0070 => "%%2312",
        0xC000_0071 | 0xC000_0224 => "%%2309",
        0xC000_006E | 0xC000_0072 => "%%2310",
        0xC000_015B => "%%2308",
        0xC000_0192 => "%%2306",
        0xC000_0193 => "%%2305",
        0xC000_0234 => "%%2307",
        0xC000_019B => "%%2314",
        0xC000_02FA => "%%2315",
        _ => "%%2304",
    }
}

/// 4776, by whoever knows the account: the domain controller, or the server itself for a local one.
pub(super) fn ntlm_validation(stage: &mut Stage, id: ConnectionId, us: i64, status: u32) {
    let fields = [
        ("PackageName", NTLM_PACKAGE.into()),
        ("TargetUserName", stage.connections[id].user.name.as_str().into()),
        ("Workstation", client_name(stage, id).into()),
        ("Status", Value::Hex32(status)),
    ];
    let record = audit(4776, TASK_CREDENTIAL_VALIDATION, status == 0, &fields);
    let host = authority(stage, id).unwrap_or(stage.connections[id].server);
    stage.put(host, us + 500, record);
}

/// 4768 and 4769 on the domain controller: tickets for the user and for the server.
pub(super) fn kerberos_tickets(stage: &mut Stage, id: ConnectionId, us: i64) {
    let Some(dc) = authority(stage, id) else { return };
    let connection = stage.connections[id].clone();
    let ticket = ticket_request(stage, &connection, 0);
    stage.put(dc, us + 100, ticket);
    let service = format!("{}$", stage.cast.hosts[connection.server].name);
    let ticket = service_ticket(stage, &connection, &service, 0);
    stage.put(dc, us + 700, ticket);
}

/// 4771 with a bad password, on the domain controller.
pub(super) fn kerberos_preauth_failed(stage: &mut Stage, id: ConnectionId, us: i64) {
    let Some(dc) = authority(stage, id) else { return };
    let connection = stage.connections[id].clone();
    let record = preauth_failed(stage, &connection, PREAUTH_FAILED);
    stage.put(dc, us + 500, record);
}

/// 4768: a ticket-granting ticket was asked for.
pub(super) fn ticket_request(stage: &Stage, connection: &Connection, status: u32) -> Record {
    let user = &connection.user;
    audit(
        4768,
        TASK_KERBEROS_AUTHENTICATION,
        status == 0,
        &[
            ("TargetUserName", user.name.as_str().into()),
            ("TargetDomainName", stage.cast.domain.1.to_uppercase().into()),
            ("TargetSid", Value::Sid(user.sid.clone())),
            ("ServiceName", "krbtgt".into()),
            ("ServiceSid", Value::Sid(sid("S-1-5-21-1111111111-2222222222-3333333333-502"))),
            ("TicketOptions", Value::Hex32(0x4081_0010)),
            ("Status", Value::Hex32(status)),
            ("TicketEncryptionType", Value::Hex32(if status == 0 { 0x12 } else { 0xffff_ffff })),
            ("PreAuthType", if status == 0 { "2" } else { "-" }.into()),
            ("IpAddress", mapped(connection).into()),
            ("IpPort", "49674".into()),
            ("CertIssuerName", "".into()),
            ("CertSerialNumber", "".into()),
            ("CertThumbprint", "".into()),
        ],
    )
}

/// 4769: a ticket for a service was asked for.
pub(super) fn service_ticket(stage: &Stage, connection: &Connection, service: &str, status: u32) -> Record {
    let realm = stage.cast.domain.1.to_uppercase();
    audit(
        4769,
        TASK_KERBEROS_TICKET,
        status == 0,
        &[
            ("TargetUserName", format!("{}@{realm}", connection.user.name).into()),
            ("TargetDomainName", realm.into()),
            ("ServiceName", service.into()),
            ("ServiceSid", Value::Sid(sid("S-1-5-21-1111111111-2222222222-3333333333-1201"))),
            ("TicketOptions", Value::Hex32(0x4081_0000)),
            ("TicketEncryptionType", Value::Hex32(if status == 0 { 0x12 } else { 0xffff_ffff })),
            ("IpAddress", mapped(connection).into()),
            ("IpPort", "49675".into()),
            ("Status", Value::Hex32(status)),
            ("LogonGuid", Value::Guid(Guid([0; 16]))),
            ("TransmittedServices", "-".into()),
        ],
    )
}

/// 4771: Kerberos pre-authentication failed.
pub(super) fn preauth_failed(stage: &Stage, connection: &Connection, status: u32) -> Record {
    audit(
        4771,
        TASK_KERBEROS_AUTHENTICATION,
        false,
        &[
            ("TargetUserName", connection.user.name.as_str().into()),
            ("TargetSid", Value::Sid(connection.user.sid.clone())),
            ("ServiceName", format!("krbtgt/{}", stage.cast.domain.0).into()),
            ("TicketOptions", Value::Hex32(0x4081_0010)),
            ("Status", Value::Hex32(status)),
            ("PreAuthType", "2".into()),
            ("IpAddress", mapped(connection).into()),
            ("IpPort", "49674".into()),
            ("CertIssuerName", "".into()),
            ("CertSerialNumber", "".into()),
            ("CertThumbprint", "".into()),
        ],
    )
}

/// 4740: an account was locked out.
pub(super) fn locked_out(stage: &Stage, connection: &Connection, caller: &str, dc: HostId) -> Record {
    audit(
        4740,
        TASK_ACCOUNT_MANAGEMENT,
        true,
        &[
            ("TargetUserName", connection.user.name.as_str().into()),
            ("TargetDomainName", caller.into()),
            ("TargetSid", Value::Sid(connection.user.sid.clone())),
            ("SubjectUserSid", Value::Sid(sid("S-1-5-18"))),
            ("SubjectUserName", format!("{}$", stage.cast.hosts[dc].name).into()),
            ("SubjectDomainName", stage.cast.domain.0.as_str().into()),
            ("SubjectLogonId", Value::Hex64(LOCAL_SYSTEM_LOGON)),
        ],
    )
}

/// 4648: winlogon uses the credentials that NLA brought.
pub(super) fn explicit_credentials(stage: &Stage, connection: &Connection) -> Record {
    let server = &stage.cast.hosts[connection.server];
    audit(
        4648,
        TASK_LOGON,
        true,
        &[
            ("SubjectUserSid", Value::Sid(sid("S-1-5-18"))),
            ("SubjectUserName", format!("{}$", server.name).into()),
            ("SubjectDomainName", stage.cast.domain.0.as_str().into()),
            ("SubjectLogonId", Value::Hex64(LOCAL_SYSTEM_LOGON)),
            ("LogonGuid", Value::Guid(Guid([0; 16]))),
            ("TargetUserName", connection.user.name.as_str().into()),
            ("TargetDomainName", connection.user.domain.as_str().into()),
            ("TargetLogonGuid", Value::Guid(Guid([0; 16]))),
            ("TargetServerName", "localhost".into()),
            ("TargetInfo", "localhost".into()),
            ("ProcessId", Value::Hex64(0x2f4)),
            ("ProcessName", r"C:\Windows\System32\winlogon.exe".into()),
            ("IpAddress", connection.address.to_string().into()),
            ("IpPort", "0".into()),
        ],
    )
}

/// 4825: good credentials, but no right to log on through Remote Desktop.
pub(super) fn rdp_denied(connection: &Connection) -> Record {
    audit(
        4825,
        TASK_OTHER_LOGON,
        false,
        &[
            ("AccountName", connection.user.name.as_str().into()),
            ("AccountDomain", connection.user.domain.as_str().into()),
            ("LogonID", Value::Hex64(connection.network_logon)),
            ("ClientAddress", connection.address.to_string().into()),
        ],
    )
}

/// 4778 (reconnected) and 4779 (disconnected): the session, by user and window station.
pub(super) fn session_changed(stage: &Stage, id: ConnectionId, event_id: u16) -> Record {
    let connection = &stage.connections[id];
    audit(
        event_id,
        TASK_OTHER_LOGON,
        true,
        &[
            ("AccountName", connection.user.name.as_str().into()),
            ("AccountDomain", connection.user.domain.as_str().into()),
            ("LogonID", Value::Hex64(connection.interactive_logon)),
            ("SessionName", connection.name().into()),
            ("ClientName", client_name(stage, id).into()),
            ("ClientAddress", connection.address.to_string().into()),
        ],
    )
}

/// 4647 (the user logs off) and 4634 (the logon is gone).
pub(super) fn logoff(connection: &Connection, event_id: u16) -> Record {
    let mut fields = vec![
        ("TargetUserSid", Value::Sid(connection.user.sid.clone())),
        ("TargetUserName", connection.user.name.as_str().into()),
        ("TargetDomainName", connection.user.domain.as_str().into()),
        ("TargetLogonId", Value::Hex64(connection.interactive_logon)),
    ];
    if event_id == 4634 {
        fields.push(("LogonType", LOGON_TYPE_REMOTE.into()));
    }
    audit(event_id, TASK_LOGOFF, true, &fields)
}

/// 4624 type 2 of the accounts that draw a session: noise at every logon.
pub(super) fn plumbing_logons(connection: &Connection, session: u32) -> [Record; 2] {
    [("Font Driver Host", "UMFD"), ("Window Manager", "DWM")].map(|(domain, name)| {
        let mut plumber = connection.clone();
        plumber.user.domain = domain.to_owned();
        plumber.user.name = format!("{name}-{session}");
        plumber.user.sid = sid(&format!("S-1-5-{}-0-{session}", if name == "DWM" { 90 } else { 96 }));
        plumber.interactive_logon += 0x100;
        console_logon(&plumber, "-")
    })
}

/// The domain controller, for a user of the domain.
fn authority(stage: &Stage, id: ConnectionId) -> Option<HostId> {
    let domain = &stage.connections[id].user.domain;
    let is_domain = domain.eq_ignore_ascii_case(&stage.cast.domain.0)
        || domain.eq_ignore_ascii_case(&stage.cast.domain.1);
    stage.cast.first(Role::Dc).filter(|_| is_domain)
}

/// Domain controllers write IPv4 addresses as v4-mapped.
fn mapped(connection: &Connection) -> String {
    match connection.address {
        std::net::IpAddr::V4(address) => format!("::ffff:{address}"),
        std::net::IpAddr::V6(address) => address.to_string(),
    }
}
