//! What happens to a host as such, and what a domain controller says.

use super::cast::{HostId, Role};
use super::client::as_connection;
use super::ending::by_server;
use super::ladder::core;
use super::provider::{EVENT_LOG, KERNEL_GENERAL, LEVEL_WARNING, RCM, TIME_SERVICE, USER32};
use super::security;
use super::session::lsm;
use super::stage::{Phase, Stage, sid};
use super::text::{Line, ScenarioError, seconds};
use crate::evtx::Value;

const ERRINFO_SHUTDOWN: u32 = 0x19;
const ERRINFO_REBOOT: u32 = 0x1a;

/// `boots`: the system and then the listener start.
pub(super) fn boots(stage: &mut Stage, host: HostId, _line: &Line) -> Result<(), ScenarioError> {
    let start = Value::FileTime(stage.host_time_ns(host));
    stage.put(host, 0, KERNEL_GENERAL.event(12, &[("StartTime", start)]));
    stage.put(host, 4_000_000, EVENT_LOG.classic_event(6005, &[], None));
    if stage.cast.hosts[host].role != Role::Client {
        let driver = [("DisplayDriverName", "RDPUDD".into())];
        stage.put(host, 6_000_000, core(70, &driver));
        let transport =
            |name: &str| core(129, &[("TransportProtocolName", name.into()), ("Port", 3389_u32.into())]);
        stage.put(host, 6_010_000, transport("TCP"));
        stage.put(host, 6_011_000, transport("UDP"));
        stage.put(host, 6_050_000, RCM.event(258, &[("listenerName", "RDP-Tcp".into())]));
    }
    Ok(())
}

/// `shuts-down`: 1074, every session is told why, then the logs stop.
pub(super) fn shuts_down(stage: &mut Stage, host: HostId, line: &Line) -> Result<(), ScenarioError> {
    let reboot = line.yes_or("reboot", true)?;
    let computer = stage.cast.hosts[host].name.clone();
    let user = stage.cast.user_of(line);
    let mut record = USER32.event(
        1074,
        &[
            ("param1", format!(r"C:\Windows\system32\shutdown.exe ({computer})").into()),
            ("param2", computer.into()),
            ("param3", "Other (Planned)".into()),
            ("param4", "0x85000000".into()),
            ("param5", if reboot { "restart" } else { "shutdown" }.into()),
            ("param6", line.get_or("comment", "").into()),
            ("param7", format!(r"{}\{}", user.domain, user.name).into()),
        ],
    );
    record.user = Some(user.sid);
    stage.put(host, 0, record);
    stage.put(host, 500_000, lsm(54, &[]));
    let code = if reboot { ERRINFO_REBOOT } else { ERRINFO_SHUTDOWN };
    let open = |stage: &Stage, id: usize| {
        stage.connections[id].server == host && stage.connections[id].phase < Phase::Ended
    };
    for id in (0..stage.connections.len()).filter(|id| open(stage, *id)).collect::<Vec<_>>() {
        by_server(stage, id, 600_000, code);
    }
    stage.put(host, 3_000_000, EVENT_LOG.classic_event(6006, &[], None));
    let stop = Value::FileTime(stage.host_time_ns(host) + 5_000_000_000);
    stage.put(host, 5_000_000, KERNEL_GENERAL.event(13, &[("StopTime", stop)]));
    Ok(())
}

/// `clock-changes to=+0s`: the host's clock is set; Kernel-General 1 and Security 4616 say so, and later times follow it.
pub(super) fn clock_changes(stage: &mut Stage, host: HostId, line: &Line) -> Result<(), ScenarioError> {
    let text =
        line.get("to").ok_or_else(|| line.error("`to=` is missing, expected the new offset such as +0s"))?;
    let clock_ns = seconds(text)
        .ok_or_else(|| line.error(format!("to is `{text}`, expected signed seconds such as +137s")))?;
    let old = Value::FileTime(stage.host_time_ns(host));
    stage.cast.hosts[host].clock_ns = clock_ns;
    let new = Value::FileTime(stage.host_time_ns(host));
    let fields = [("NewTime", new.clone()), ("OldTime", old.clone()), ("Reason", 2_u32.into())];
    stage.put(host, 0, KERNEL_GENERAL.event(1, &fields));
    let record = security::audit(
        4616,
        12288,
        true,
        &[
            ("SubjectUserSid", Value::Sid(sid("S-1-5-19"))),
            ("SubjectUserName", "LOCAL SERVICE".into()),
            ("SubjectDomainName", "NT AUTHORITY".into()),
            ("SubjectLogonId", Value::Hex64(0x3e5)),
            ("PreviousTime", old),
            ("NewTime", new),
            ("ProcessId", Value::Hex64(0x4d8)),
            ("ProcessName", r"C:\Windows\System32\svchost.exe".into()),
        ],
    );
    stage.put(host, 300, record);
    Ok(())
}

/// `time-source-lost`: Time-Service 129, the clock runs free.
pub(super) fn time_source_lost(stage: &mut Stage, host: HostId, line: &Line) -> Result<(), ScenarioError> {
    let minutes = line.number_or("retry", 15)?;
    let fields = [("ErrorMessage", "0x800706e1".into()), ("RetryMinutes", minutes.into())];
    let mut record = TIME_SERVICE.event(129, &fields);
    record.level = LEVEL_WARNING;
    stage.put(host, 0, record);
    Ok(())
}

/// `issues-tgt`: 4768; with `status=` it is refused.
pub(super) fn issues_tgt(stage: &mut Stage, dc: HostId, line: &Line) -> Result<(), ScenarioError> {
    let status = line.number_or("status", 0)?;
    let connection = as_connection(stage, peer(stage, line)?, line);
    stage.put(dc, 0, security::ticket_request(stage, &connection, status));
    Ok(())
}

/// `issues-ticket`: 4769 for `service=`; with `status=` it is refused.
pub(super) fn issues_ticket(stage: &mut Stage, dc: HostId, line: &Line) -> Result<(), ScenarioError> {
    let status = line.number_or("status", 0)?;
    let connection = as_connection(stage, peer(stage, line)?, line);
    stage.put(dc, 0, security::service_ticket(stage, &connection, line.get_or("service", "RDSH01$"), status));
    Ok(())
}

/// `refuses-preauth`: 4771, a bad password (0x18) or skewed clock (0x25).
pub(super) fn refuses_preauth(stage: &mut Stage, dc: HostId, line: &Line) -> Result<(), ScenarioError> {
    let status = line.number_or("status", 0x18)?;
    let connection = as_connection(stage, peer(stage, line)?, line);
    stage.put(dc, 0, security::preauth_failed(stage, &connection, status));
    Ok(())
}

/// `locks-out`: 4740.
pub(super) fn locks_out(stage: &mut Stage, dc: HostId, line: &Line) -> Result<(), ScenarioError> {
    let client = peer(stage, line)?;
    let connection = as_connection(stage, client, line);
    let caller = stage.cast.hosts[client].name.clone();
    stage.put(dc, 0, security::locked_out(stage, &connection, &caller, dc));
    Ok(())
}

fn peer(stage: &Stage, line: &Line) -> Result<HostId, ScenarioError> {
    stage.cast.host(line, line.get_or("from", "client"))
}
