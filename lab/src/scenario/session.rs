//! Sessions on a server: logon, reconnection, the console.

use super::cast::HostId;
use super::ladder::{climb, connection_with_user, core, method, sequence};
use super::provider::{LSM, WINLOGON};
use super::security;
use super::stage::{ConnectionId, Phase, Stage, sid};
use super::text::{Line, ScenarioError};
use crate::evtx::{Record, Value};

/// What LSM writes in place of an address at the console (localised on real hosts).
const LOCAL: &str = "LOCAL";
const CONSOLE_SESSION: u32 = 1;

/// An LSM event; it runs as the system.
pub(super) fn lsm(event_id: u16, fields: &[(&str, Value)]) -> Record {
    let mut record = LSM.event(event_id, fields);
    record.user = Some(sid("S-1-5-18"));
    record
}

/// An LSM event about a user's session: 21, 22, 24 and 25 have an address, 23, 41 and 42 have none.
pub(super) fn lsm_session(stage: &Stage, id: ConnectionId, event_id: u16, session: u32) -> Record {
    let connection = &stage.connections[id];
    let mut fields = vec![("User", account(connection).into()), ("SessionID", session.into())];
    if matches!(event_id, 21 | 22 | 24 | 25) {
        fields.push(("Address", connection.address.to_string().into()));
    }
    lsm(event_id, &fields)
}

/// `DOMAIN\name`, as LSM writes a user.
fn account(connection: &super::stage::Connection) -> String {
    format!(r"{}\{}", connection.user.domain, connection.user.name)
}

/// `logs-on`: a new session, or `reconnect=N` an old one; everything before it that has not happened yet happens first.
pub(super) fn logs_on(stage: &mut Stage, server: HostId, line: &Line) -> Result<(), ScenarioError> {
    let id = connection_with_user(stage, server, line)?;
    let us = climb(stage, id, 0, Phase::Complete);
    stage.connections[id].phase = Phase::LoggedOn;
    match line.get("reconnect") {
        None => {
            let session = match line.get("session") {
                None => stage.next_session(server),
                Some(_) => line.number("session")?,
            };
            stage.session_is_used(server, session);
            new_session(stage, id, us, session);
        }
        Some(_) => {
            let session = line.number("reconnect")?;
            reconnect(stage, id, us, session);
        }
    }
    Ok(())
}

fn new_session(stage: &mut Stage, id: ConnectionId, us: i64, session: u32) {
    let us = credentials(stage, id, us);
    let server = stage.connections[id].server;
    stage.connections[id].session = Some(session);
    let us = sequence(stage, id, us, vec![lsm_session(stage, id, 41, session), method("PreCreate")]);
    if stage.cast.noise {
        let [fonts, windows] = security::plumbing_logons(&stage.connections[id], session);
        stage.put(server, us + 500, fonts);
        stage.put(server, us + 900, windows);
        stage.put(server, us + 1_200, subscriber_note());
    }
    let us = graphics(stage, id, us, session);
    let us = sequence(
        stage,
        id,
        us + 350_000,
        vec![
            lsm_session(stage, id, 42, session),
            lsm_session(stage, id, 21, session),
            method("OnConnected"),
            method("OnReady"),
            method(&format!("ConnectNotify(SessionId={session})")),
            method(&format!("LogonNotify(SessionId={session})")),
        ],
    );
    sequence(stage, id, us + 600_000, vec![lsm_session(stage, id, 22, session), first_picture(stage, id)]);
}

fn reconnect(stage: &mut Stage, id: ConnectionId, us: i64, session: u32) {
    let server = stage.connections[id].server;
    let us = credentials(stage, id, us);
    let temporary = stage.next_session(server);
    let mut us = sequence(stage, id, us, vec![lsm_session(stage, id, 41, temporary)]);
    us = graphics(stage, id, us, temporary);
    let is_old = |(_, old): &(usize, &super::stage::Connection)| {
        old.server == server && old.session == Some(session) && old.phase == Phase::LoggedOn
    };
    let old = stage.connections.iter().enumerate().find(is_old).map(|(old, _)| old);
    if let Some(old) = old.filter(|old| *old != id) {
        us = super::ending::replaced_by_other(stage, old, us);
    }
    stage.connections[id].session = Some(session);
    let dropped = lsm(40, &[("Session", temporary.into()), ("Reason", 0_u32.into())]);
    let name = stage.connections[id].name();
    let bound = core(66, &[("ConnectionName", name.into()), ("SessionID", session.into())]);
    us = sequence(stage, id, us, vec![dropped, bound]);
    stage.put(server, us + 1_000, security::session_changed(stage, id, 4778));
    us = sequence(
        stage,
        id,
        us + 1_000,
        vec![
            lsm_session(stage, id, 25, session),
            lsm_session(stage, id, 42, session),
            method("OnConnected"),
            method("OnReady"),
            method(&format!("ConnectNotify(SessionId={session})")),
        ],
    );
    sequence(stage, id, us, vec![first_picture(stage, id)]);
}

/// The server logs the user on: 4648, then two logons of type 10.
fn credentials(stage: &mut Stage, id: ConnectionId, us: i64) -> i64 {
    let server = stage.connections[id].server;
    let us = sequence(stage, id, us, vec![method("AuthenticateClientToSession")]);
    let logon_id = stage.next_logon_id(server);
    stage.connections[id].interactive_logon = logon_id;
    stage.put(server, us + 10_000, security::explicit_credentials(stage, &stage.connections[id]));
    let computer = stage.cast.hosts[server].name.clone();
    let [elevated, linked] = security::remote_logons(&stage.connections[id], &computer);
    stage.put(server, us + 11_000, elevated);
    stage.put(server, us + 11_200, linked);
    us + 12_000
}

fn graphics(stage: &mut Stage, id: ConnectionId, us: i64, session: u32) -> i64 {
    let name = stage.connections[id].name();
    let channel = |name: &str| core(132, &[("ChannelName", name.into()), ("TunnelID", 1_u32.into())]);
    sequence(
        stage,
        id,
        us,
        vec![
            core(66, &[("ConnectionName", name.into()), ("SessionID", session.into())]),
            core(33, &[]),
            channel("Microsoft::Windows::RDS::Graphics"),
            channel("Microsoft::Windows::RDS::Input"),
            channel("rdpdr"),
        ],
    )
}

/// RdpCoreTS 68: milliseconds to the prompt, the graphics channel and the first picture.
fn first_picture(stage: &Stage, id: ConnectionId) -> Record {
    core(
        68,
        &[
            ("ConnectionName", stage.connections[id].name().into()),
            ("PromptForCredentials", 0_u32.into()),
            ("PromptForCredentialsDone", 0_u32.into()),
            ("GfxChannelOpened", 210_u32.into()),
            ("FirstGraphicsReceived", 260_u32.into()),
        ],
    )
}

/// Winlogon 6000: a notification subscriber was not there; at every session's start and end.
pub(super) fn subscriber_note() -> Record {
    let mut record = WINLOGON.classic_event(6000, &["SessionEnv"], None);
    record.level = super::provider::LEVEL_ALWAYS;
    record
}

/// `console-logon`: somebody sits down at the host itself. No RDP, though LSM writes the same ids.
pub(super) fn console_logon(stage: &mut Stage, host: HostId, line: &Line) -> Result<(), ScenarioError> {
    let record = at_console(stage, host, line);
    let computer = stage.cast.hosts[host].name.clone();
    stage.put(host, 0, security::console_logon(&record, &computer));
    for (us, event_id) in [(40_000, 41), (43_000, 42), (400_000, 21), (1_100_000, 22)] {
        let mut fields = vec![("User", account(&record).into()), ("SessionID", CONSOLE_SESSION.into())];
        if event_id < 40 {
            fields.push(("Address", LOCAL.into()));
        }
        stage.put(host, us, lsm(event_id, &fields));
    }
    Ok(())
}

/// `console-logoff`: and leaves again.
pub(super) fn console_logoff(stage: &mut Stage, host: HostId, line: &Line) -> Result<(), ScenarioError> {
    let record = at_console(stage, host, line);
    stage.put(host, 0, security::logoff(&record, 4647));
    let fields = [("User", account(&record).into()), ("SessionID", CONSOLE_SESSION.into())];
    stage.put(host, 200_000, lsm(23, &fields));
    Ok(())
}

/// A console user in the shape of a connection that nobody made.
fn at_console(stage: &mut Stage, host: HostId, line: &Line) -> super::stage::Connection {
    super::stage::Connection {
        server: host,
        client: None,
        address: stage.cast.hosts[host].address,
        port: 0,
        number: 0,
        activity: crate::evtx::Guid([0; 16]),
        phase: Phase::LoggedOn,
        session: Some(CONSOLE_SESSION),
        user: stage.cast.user_of(line),
        nla: false,
        network_logon: 0,
        interactive_logon: stage.next_logon_id(host),
    }
}
