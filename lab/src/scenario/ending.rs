//! How connections end: by the server with a reason, by the client, or by a socket that is gone.
//!
//! Sets and order as measured (knowledge/README.md 1.2, reason_codes.tsv); what is in every ending is noise.toml's.

use super::cast::HostId;
use super::ladder::{climb, connection_with_user, core, method, sequence};
use super::provider::{DWM, LEVEL_WARNING, RCM, RCM_ADMIN, RCM_SYSTEM, SCHANNEL, TERM_DD};
use super::security::{self, Refusal};
use super::session::{lsm, lsm_session};
use super::stage::{ConnectionId, Phase, Stage, sid};
use super::text::{Line, ScenarioError, number};
use crate::evtx::{Record, Value};

/// What PreDisconnect and SetErrorInfo say when the client has gone already.
const CLIENT_GONE: u32 = 0xD000_0001;
/// RdpCoreTS 103 when the socket was lost or closed: carries no cause.
const REASON_SOCKET: u32 = 14;
/// RdpCoreTS 103 when the client sent an MCS Disconnect Provider Ultimatum.
const REASON_CLIENT: u32 = 13;
const ERRINFO_ADMIN_DISCONNECT: u32 = 1;
const ERRINFO_IDLE: u32 = 3;
const ERRINFO_TIME_LIMIT: u32 = 4;
const ERRINFO_REPLACED: u32 = 5;
const ERRINFO_DENIED: u32 = 7;
const ERRINFO_PRIVILEGES: u32 = 9;
const ERRINFO_LOGOFF: u32 = 12;
const STATUS_LOGON_TYPE_NOT_GRANTED: u32 = 0xC000_015B;
const ERROR_NETNAME_DELETED: u32 = 64;

/// The server ends a connection with an error-info code.
pub(super) fn by_server(stage: &mut Stage, id: ConnectionId, us: i64, code: u32) -> i64 {
    let us = sequence(
        stage,
        id,
        us,
        vec![
            trace(code),
            method(&format!("PreDisconnect({})", code.cast_signed())),
            method(&format!("SetErrorInfo(0x{code:x})")),
            method("DisconnectNotify"),
            method("OnDisconnected(server initiated)"),
        ],
    );
    close(stage, id, us, code)
}

/// The socket of a connection is gone while its session lives.
fn by_socket(stage: &mut Stage, id: ConnectionId, us: i64, error: u32) -> i64 {
    let us = sequence(
        stage,
        id,
        us,
        vec![
            core(142, &[("error", error.into())]),
            socket_state(error),
            trace(CLIENT_GONE),
            method(&format!("PreDisconnect({})", CLIENT_GONE.cast_signed())),
            method(&format!("SetErrorInfo(0x{CLIENT_GONE:x})")),
            method("DisconnectNotify"),
            method("OnDisconnected"),
        ],
    );
    close(stage, id, us, REASON_SOCKET)
}

/// The client closes in good order.
fn by_client(stage: &mut Stage, id: ConnectionId, us: i64) -> i64 {
    let us = sequence(
        stage,
        id,
        us,
        vec![
            core(107, &[]),
            security_state(0x8007_139F),
            method("PreDisconnect(0)"),
            method("SetErrorInfo(0x0)"),
            method("DisconnectNotify"),
            method("OnDisconnected"),
        ],
    );
    close(stage, id, us, REASON_CLIENT)
}

/// A connection ends before it has a session: refused credentials, failed TLS, a probe.
pub(super) fn lost_before_session(stage: &mut Stage, id: ConnectionId, us: i64, error: u32) {
    let us = sequence(
        stage,
        id,
        us,
        vec![core(143, &[("error", error.into())]), socket_state(error), method("OnDisconnected")],
    );
    close(stage, id, us, REASON_SOCKET);
}

/// What stands at the end of every connection.
fn close(stage: &mut Stage, id: ConnectionId, us: i64, reason: u32) -> i64 {
    let had_channels = stage.connections[id].phase >= Phase::Handed;
    stage.connections[id].phase = Phase::Ended;
    let zero = || Value::U32(0);
    let mut records = vec![core(102, &[])];
    if stage.cast.noise {
        let text = "Failed to get property Disconnect Reason";
        records.push(core(
            227,
            &[("Name", text.into()), ("Value", "0x80070057".into()), ("CustomLevel", "Error".into())],
        ));
        records
            .push(core(145, &[("IdleSeconds", zero()), ("IdleSeconds1", zero()), ("IdleSeconds2", zero())]));
        let channels: &[&str] = if had_channels { &["rdplic", "rdpcmd", "rdpdr"] } else { &["rdplic"] };
        let closed = |name: &&str| core(148, &[("ChannelName", (*name).into()), ("TunnelID", 0_u32.into())]);
        records.extend(channels.iter().map(closed));
    }
    records.push(core(103, &[("ReasonCode", reason.into())]));
    sequence(stage, id, us, records)
}

/// LSM and Security records of a session that is left behind.
fn leave_session(stage: &mut Stage, id: ConnectionId, us: i64, reason: u32) {
    let Some(session) = stage.connections[id].session else { return };
    let server = stage.connections[id].server;
    stage.put_of(id, us + 500, lsm(40, &[("Session", session.into()), ("Reason", reason.into())]));
    stage.put(server, us + 900, security::session_changed(stage, id, 4779));
    stage.put_of(id, us + 1_500, lsm_session(stage, id, 24, session));
}

/// The old connection of a session that another one takes over; gives the time after it.
pub(super) fn replaced_by_other(stage: &mut Stage, id: ConnectionId, us: i64) -> i64 {
    leave_session(stage, id, us, ERRINFO_REPLACED);
    by_server(stage, id, us + 2_000, ERRINFO_REPLACED)
}

/// `replaced`: the session was taken by another connection, whose own lines may be missing.
pub(super) fn replaced(stage: &mut Stage, server: HostId, line: &Line) -> Result<(), ScenarioError> {
    let id = stage.connection(server, line)?;
    replaced_by_other(stage, id, 0);
    Ok(())
}

/// `set-error-info CODE` (also `denies`, code 7): the server sends the code and ends the connection.
pub(super) fn set_error_info(stage: &mut Stage, server: HostId, line: &Line) -> Result<(), ScenarioError> {
    let text = line.word(3, "the code, such as 0x7")?;
    let code =
        number(text).ok_or_else(|| line.error(format!("code is `{text}`, expected a number such as 0x7")))?;
    let id = connection_with_user(stage, server, line)?;
    refuse(stage, id, 0, code);
    Ok(())
}

/// Ends a connection with a code: one without a session has got as far as the connection manager.
fn refuse(stage: &mut Stage, id: ConnectionId, us: i64, code: u32) {
    let us = climb(stage, id, us, Phase::Handed);
    leave_session(stage, id, us, code);
    by_server(stage, id, us, code);
}

/// `refuses-negotiation`: the server answers the connection request with a failure; its logs show no more than the end.
pub(super) fn refuses_negotiation(
    stage: &mut Stage,
    server: HostId,
    line: &Line,
) -> Result<(), ScenarioError> {
    let id = stage.connection(server, line)?;
    lost_before_session(stage, id, 0, line.number_or("error", ERROR_NETNAME_DELETED)?);
    Ok(())
}

/// `disconnects`: `by=user` closes the window, `by=network` loses the socket, `by=server` needs `reason=`.
pub(super) fn disconnects(stage: &mut Stage, server: HostId, line: &Line) -> Result<(), ScenarioError> {
    let id = stage.connection(server, line)?;
    let error = line.number_or("error", ERROR_NETNAME_DELETED)?;
    let reason = line.number_or("reason", 0)?;
    let by = line.get_or("by", if line.get("reason").is_some() { "server" } else { "user" });
    match by {
        "user" => {
            leave_session(stage, id, 0, reason);
            by_client(stage, id, 0);
        }
        "network" if stage.connections[id].session.is_none() => lost_before_session(stage, id, 0, error),
        "network" => {
            by_socket(stage, id, 0, error);
            leave_session(stage, id, 30_000, reason);
        }
        "server" => {
            line.number("reason")?;
            leave_session(stage, id, 0, reason);
            by_server(stage, id, 0, reason);
        }
        other => return Err(line.error(format!("by is `{other}`, expected user, network or server"))),
    }
    Ok(())
}

/// `logs-off`: the user signs out.
pub(super) fn logs_off(stage: &mut Stage, server: HostId, line: &Line) -> Result<(), ScenarioError> {
    let id = stage.connection(server, line)?;
    let session = session_of(stage, id, line)?;
    let connection = stage.connections[id].clone();
    stage.put(server, 0, security::logoff(&connection, 4647));
    stage.put_of(id, 300_000, lsm_session(stage, id, 23, session));
    leave_session(stage, id, 310_000, ERRINFO_LOGOFF);
    by_server(stage, id, 312_000, ERRINFO_LOGOFF);
    stage.put(server, 360_000, security::logoff(&connection, 4634));
    if stage.cast.noise {
        stage.put(server, 350_000, DWM.classic_event(9009, &["0x40010004"], None));
        stage.put(server, 355_000, super::session::subscriber_note());
    }
    Ok(())
}

/// `idle-limit`: the session sat idle for too long.
pub(super) fn idle_limit(stage: &mut Stage, server: HostId, line: &Line) -> Result<(), ScenarioError> {
    limit(stage, server, line, [20515, 20516], ERRINFO_IDLE)
}

/// `time-limit`: the session lasted too long.
pub(super) fn time_limit(stage: &mut Stage, server: HostId, line: &Line) -> Result<(), ScenarioError> {
    limit(stage, server, line, [20517, 20518], ERRINFO_TIME_LIMIT)
}

fn limit(
    stage: &mut Stage,
    server: HostId,
    line: &Line,
    ids: [u16; 2],
    code: u32,
) -> Result<(), ScenarioError> {
    let id = stage.connection(server, line)?;
    let session = session_of(stage, id, line)?;
    let event_id = match line.get_or("action", "disconnect") {
        "logoff" => ids[0],
        "disconnect" => ids[1],
        other => return Err(line.error(format!("action is `{other}`, expected disconnect or logoff"))),
    };
    stage.put_of(id, 0, RCM.event(event_id, &[("Session", session.into())]));
    if event_id == ids[0] {
        stage.put_of(id, 20_000, lsm_session(stage, id, 23, session));
    }
    leave_session(stage, id, 30_000, code);
    by_server(stage, id, 32_000, code);
    Ok(())
}

/// `admin-disconnect`: session `by=` (console unless said) disconnects this one.
pub(super) fn admin_disconnect(stage: &mut Stage, server: HostId, line: &Line) -> Result<(), ScenarioError> {
    let id = stage.connection(server, line)?;
    let session = session_of(stage, id, line)?;
    let by = line.number_or("by", 1)?;
    stage.put_of(id, 0, lsm(39, &[("TargetSession", session.into()), ("Source", by.into())]));
    leave_session(stage, id, 1_000, ERRINFO_ADMIN_DISCONNECT);
    by_server(stage, id, 3_000, ERRINFO_ADMIN_DISCONNECT);
    Ok(())
}

/// `authorization-denied`: good credentials without the right to log on through Remote Desktop.
pub(super) fn authorization_denied(
    stage: &mut Stage,
    server: HostId,
    line: &Line,
) -> Result<(), ScenarioError> {
    let id = connection_with_user(stage, server, line)?;
    let us = climb(stage, id, 0, Phase::Handed);
    let connection = stage.connections[id].clone();
    let refusal = Refusal { kind: 10, status: STATUS_LOGON_TYPE_NOT_GRANTED, sub_status: 0 };
    stage.put(server, us + 5_000, security::logon_failed(stage, &connection, refusal));
    stage.put(server, us + 6_000, security::rdp_denied(&connection));
    by_server(stage, id, us + 10_000, line.number_or("code", ERRINFO_PRIVILEGES)?);
    Ok(())
}

/// `licensing-failed kind=...`: RCM's events and the licence code that the client gets.
pub(super) fn licensing_failed(stage: &mut Stage, server: HostId, line: &Line) -> Result<(), ScenarioError> {
    let id = connection_with_user(stage, server, line)?;
    let (records, code): (Vec<Record>, u32) = match line.get_or("kind", "grace-expired") {
        "grace-expired" => {
            (vec![RCM_ADMIN.event(1069, &[]), RCM_SYSTEM.classic_event(1128, &[], None)], 0x101)
        }
        "no-server" => (vec![RCM_SYSTEM.classic_event(1130, &[], None)], 0x101),
        "server-unreachable" => (vec![RCM_SYSTEM.classic_event(1131, &["LICENSE01.lab.test"], None)], 0x101),
        "no-cal" => (vec![RCM_SYSTEM.classic_event(1004, &[], None)], 0x102),
        "client-message" => (Vec::new(), 0x103),
        "internal" => (Vec::new(), 0x100),
        other => {
            let expected = "grace-expired, no-server, server-unreachable, no-cal, client-message or internal";
            return Err(line.error(format!("kind is `{other}`, expected {expected}")));
        }
    };
    let us = climb(stage, id, 0, Phase::Handed);
    for record in records {
        stage.put(server, us + 1_000, record);
    }
    by_server(stage, id, us + 5_000, line.number_or("code", code)?);
    Ok(())
}

/// `drain-mode`: System 1070, then the connection is refused.
pub(super) fn drain_mode(stage: &mut Stage, server: HostId, line: &Line) -> Result<(), ScenarioError> {
    not_allowed(stage, server, line, 1070)
}

/// `logons-disabled`: System 1071, then the connection is refused.
pub(super) fn logons_disabled(stage: &mut Stage, server: HostId, line: &Line) -> Result<(), ScenarioError> {
    not_allowed(stage, server, line, 1071)
}

fn not_allowed(stage: &mut Stage, server: HostId, line: &Line, event_id: u16) -> Result<(), ScenarioError> {
    let id = connection_with_user(stage, server, line)?;
    let us = climb(stage, id, 0, Phase::Handed);
    let user = format!(r"{}\{}", stage.connections[id].user.domain, stage.connections[id].user.name);
    let client = super::ladder::client_name(stage, id);
    stage.put(server, us + 1_000, RCM_SYSTEM.classic_event(event_id, &[&user, &client], None));
    by_server(stage, id, us + 5_000, line.number_or("code", ERRINFO_DENIED)?);
    Ok(())
}

/// `tls-failed`: Schannel says which alert, RdpCoreTS 139 what it made of it, and the connection is gone.
pub(super) fn tls_failed(stage: &mut Stage, server: HostId, line: &Line) -> Result<(), ScenarioError> {
    let id = stage.connection(server, line)?;
    let alert = line.number_or("alert", 40)?;
    let process = [("CallerProcessId", Value::U32(1044)), ("CallerProcessImageName", "svchost.exe".into())];
    let mut fields = process.to_vec();
    let mut record = match line.get_or("alert-by", "server") {
        "server" => {
            if line.yes_or("no-common-cipher", false)? {
                let mut none = fields.clone();
                none.push(("Protocol", "TLS 1.2".into()));
                stage.put(server, 0, SCHANNEL.event(36874, &none));
            }
            let state = line.number_or("state", 1205)?;
            fields.extend([
                ("AlertDesc", alert.into()),
                ("ErrorState", state.into()),
                ("TargetName", "".into()),
            ]);
            SCHANNEL.event(36888, &fields)
        }
        "client" => {
            fields.push(("AlertDesc", alert.into()));
            SCHANNEL.event(36887, &fields)
        }
        other => return Err(line.error(format!("alert-by is `{other}`, expected server or client"))),
    };
    record.user = Some(sid("S-1-5-18"));
    stage.put(server, 400, record);
    security_layer_fails(stage, id, line.number_or("code", 0x8009_0331)?);
    Ok(())
}

/// `security-error code=...`: the security layer fails with nothing more than RdpCoreTS 139 and TermDD 56.
pub(super) fn security_error(stage: &mut Stage, server: HostId, line: &Line) -> Result<(), ScenarioError> {
    let id = stage.connection(server, line)?;
    let code = line.number("code")?;
    let address = stage.connections[id].address.to_string();
    if line.yes_or("termdd", false)? {
        let mut binary = vec![0, 0, 0, 0, 2, 0, 44, 0, 0, 0, 0, 0, 56, 0, 10, 0xC0];
        binary.extend_from_slice(&[0; 24]);
        binary.extend_from_slice(&code.to_le_bytes());
        let mut record = TERM_DD.classic_event(56, &[r"\Device\Termdd", &address], Some(binary));
        record.qualifiers = Some(49162);
        stage.put(server, 2_000, record);
    }
    security_layer_fails(stage, id, code);
    Ok(())
}

fn security_layer_fails(stage: &mut Stage, id: ConnectionId, code: u32) {
    let address = stage.connections[id].address.to_string();
    let fields = [("ResultCode", Value::Hex32(code)), ("IPString", address.into())];
    let us = sequence(stage, id, 1_000, vec![core(139, &fields), security_state(code)]);
    lost_before_session(stage, id, us, ERROR_NETNAME_DELETED);
}

/// `session-create-failed`: System 1036, then the end.
pub(super) fn session_create_failed(
    stage: &mut Stage,
    server: HostId,
    line: &Line,
) -> Result<(), ScenarioError> {
    let id = connection_with_user(stage, server, line)?;
    let us = climb(stage, id, 0, Phase::Complete);
    let status = line.number_or("status", 0xC000_009A)?;
    let binary = Some(status.to_le_bytes().to_vec());
    stage.put(server, us + 1_000, RCM_SYSTEM.classic_event(1036, &[&format!("0x{status:x}")], binary));
    by_server(stage, id, us + 5_000, line.number_or("code", 0)?);
    Ok(())
}

fn session_of(stage: &Stage, id: ConnectionId, line: &Line) -> Result<u32, ScenarioError> {
    let missing = || line.error("the connection has no session yet, expected a line with `logs-on` before");
    stage.connections[id].session.ok_or_else(missing)
}

/// RdpCoreTS 228: which component wants the end, and with what code.
fn trace(code: u32) -> Record {
    core(
        228,
        &[("ComponentName", "Core".into()), ("Message", "Disconnect".into()), ("ErrorCode", code.into())],
    )
}

/// RdpCoreTS 226 of the socket: an echo of any end that the network brings.
fn socket_state(error: u32) -> Record {
    state(
        ("RDP_TCP", 23, "StateUnknown"),
        (21, "StateDisconnected"),
        (43, "Event_Disconnect"),
        0x8007_0000 | error,
    )
}

/// RdpCoreTS 226 of the security filter.
fn security_state(code: u32) -> Record {
    state(("RDP_SEC", 3, "FStatePassthrough"), (4, "FStateError"), (5, "FEventError"), code)
}

fn state(from: (&str, u32, &str), to: (u32, &str), event: (u32, &str), code: u32) -> Record {
    let mut record = core(
        226,
        &[
            ("StateTransition", from.0.into()),
            ("PreviousState", from.1.into()),
            ("PreviousStateName", from.2.into()),
            ("NewState", to.0.into()),
            ("NewStateName", to.1.into()),
            ("Event", event.0.into()),
            ("EventName", event.1.into()),
            ("ErrorCode", Value::Hex32(code)),
        ],
    );
    record.level = LEVEL_WARNING;
    record
}
