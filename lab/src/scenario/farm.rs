//! The hosts between client and desktop: connection broker and gateway.

use super::cast::HostId;
use super::ladder::connection_with_user;
use super::provider::{BROKER, BROKER_CLIENT, GATEWAY, LEVEL_ERROR, LEVEL_WARNING};
use super::stage::Stage;
use super::text::{Line, ScenarioError};
use crate::evtx::{Guid, Record, Value};

/// Version of the client as 1301 gives it.
const CLIENT_VERSION: &str = "5";
/// Graceful end of a gateway connection.
const ERROR_GRACEFUL_DISCONNECT: u32 = 1226;

/// `asks-broker`: 1301, a redirection is asked for.
pub(super) fn asks_broker(stage: &mut Stage, host: HostId, line: &Line) -> Result<(), ScenarioError> {
    broker_client(stage, host, line, 0, 1301, &[CLIENT_VERSION])
}

/// `redirects to=...`: 1301 and 1307 with the endpoint and its address.
pub(super) fn redirects(stage: &mut Stage, host: HostId, line: &Line) -> Result<(), ScenarioError> {
    let to = line.get("to").ok_or_else(|| line.error("`to=` is missing, expected the name of a host"))?;
    let target = stage.cast.host(line, to)?;
    let (endpoint, address) = (stage.cast.computer(target), stage.cast.hosts[target].address.to_string());
    asks_broker(stage, host, line)?;
    broker_client(stage, host, line, 120_000, 1307, &[&endpoint, &address])
}

/// `redirect-failed error=...`: 1301 and 1306.
pub(super) fn redirect_failed(stage: &mut Stage, host: HostId, line: &Line) -> Result<(), ScenarioError> {
    let error = line.get_or("error", "0x80070005").to_owned();
    asks_broker(stage, host, line)?;
    broker_client(stage, host, line, 150_000, 1306, &[&error])
}

/// `broker-silent error=...`: 1301 and 1296, no redirection packet came.
pub(super) fn broker_silent(stage: &mut Stage, host: HostId, line: &Line) -> Result<(), ScenarioError> {
    let error = line.get_or("error", "0x800706ba").to_owned();
    asks_broker(stage, host, line)?;
    broker_client(stage, host, line, 2_000_000, 1296, &[&error])
}

/// `keeps-user`: 1308, the redirector serves the user itself.
pub(super) fn keeps_user(stage: &mut Stage, host: HostId, line: &Line) -> Result<(), ScenarioError> {
    asks_broker(stage, host, line)?;
    broker_client(stage, host, line, 90_000, 1308, &[])
}

/// `refuses`: the broker's own log says that it could not place a user (802).
pub(super) fn refuses(stage: &mut Stage, host: HostId, line: &Line) -> Result<(), ScenarioError> {
    let user = stage.cast.user_of(line);
    let mut record = BROKER.event(
        802,
        &[
            ("param1", format!(r"{}\{}", user.domain, user.name).into()),
            ("param2", line.get_or("error", "0x80070490").into()),
        ],
    );
    record.level = LEVEL_ERROR;
    stage.put(host, 0, record);
    Ok(())
}

/// A SessionBroker-Client event: domain, user, then what is its own.
fn broker_client(
    stage: &mut Stage,
    host: HostId,
    line: &Line,
    us: i64,
    event_id: u16,
    rest: &[&str],
) -> Result<(), ScenarioError> {
    const NAMES: [&str; 4] = ["param1", "param2", "param3", "param4"];
    // The redirector may have accepted a connection that is no part of the text.
    let user = match connection_with_user(stage, host, line) {
        Ok(id) => stage.connections[id].user.clone(),
        Err(_) if line.get("port").is_none() => stage.cast.user_of(line),
        Err(error) => return Err(error),
    };
    let values = [user.domain.as_str(), user.name.as_str()].into_iter().chain(rest.iter().copied());
    let fields: Vec<(&str, Value)> = NAMES.into_iter().zip(values.map(Value::from)).collect();
    let mut record = BROKER_CLIENT.event(event_id, &fields);
    if matches!(event_id, 1296 | 1306) {
        record.level = LEVEL_ERROR;
    }
    stage.put(host, us, record);
    Ok(())
}

/// `connects`: a client reaches the gateway; 312 with its address.
pub(super) fn gateway_connects(stage: &mut Stage, gateway: HostId, line: &Line) -> Result<(), ScenarioError> {
    stage.begin_attempt(gateway);
    stage.notes[gateway].clone_from(&line.pairs);
    let note = Note::of(stage, gateway, line)?;
    let fields = [("Username", note.user.as_str().into()), ("IpAddress", note.peer.as_str().into())];
    put(stage, gateway, 0, GATEWAY.event(312, &fields));
    if note.transport != "HTTP" {
        put(stage, gateway, 5_000, GATEWAY.event(313, &fields));
    }
    Ok(())
}

/// `authorizes`: 200, the connection authorization policy lets the user in.
pub(super) fn gateway_authorizes(
    stage: &mut Stage,
    gateway: HostId,
    line: &Line,
) -> Result<(), ScenarioError> {
    answer(stage, gateway, line, 0, 200, 0)
}

/// `reaches`: 200, 300 and 302, the user is through to the resource.
pub(super) fn gateway_reaches(stage: &mut Stage, gateway: HostId, line: &Line) -> Result<(), ScenarioError> {
    answer(stage, gateway, line, 0, 200, 0)?;
    answer(stage, gateway, line, 40_000, 300, 0)?;
    answer(stage, gateway, line, 75_000, 302, 0)
}

/// `cap-denied`: 201.
pub(super) fn gateway_cap_denied(
    stage: &mut Stage,
    gateway: HostId,
    line: &Line,
) -> Result<(), ScenarioError> {
    answer(stage, gateway, line, 0, 201, line.number_or("error", 23003)?)
}

/// `rap-denied`: 200, then 301.
pub(super) fn gateway_rap_denied(
    stage: &mut Stage,
    gateway: HostId,
    line: &Line,
) -> Result<(), ScenarioError> {
    answer(stage, gateway, line, 0, 200, 0)?;
    answer(stage, gateway, line, 40_000, 301, line.number_or("error", 23002)?)
}

/// `unreachable`: 200, 300, then 304, the resource does not answer the gateway.
pub(super) fn gateway_unreachable(
    stage: &mut Stage,
    gateway: HostId,
    line: &Line,
) -> Result<(), ScenarioError> {
    answer(stage, gateway, line, 0, 200, 0)?;
    answer(stage, gateway, line, 40_000, 300, 0)?;
    answer(stage, gateway, line, 21_000_000, 304, line.number_or("error", 23005)?)
}

/// `full`: 203, too many connections.
pub(super) fn gateway_full(stage: &mut Stage, gateway: HostId, line: &Line) -> Result<(), ScenarioError> {
    answer(stage, gateway, line, 0, 203, line.number_or("error", 23014)?)
}

/// `auth-method-denied`: 305.
pub(super) fn gateway_auth_method(
    stage: &mut Stage,
    gateway: HostId,
    line: &Line,
) -> Result<(), ScenarioError> {
    answer(stage, gateway, line, 0, 305, line.number_or("error", 23033)?)
}

/// `times-out`: 307, then 303.
pub(super) fn gateway_times_out(
    stage: &mut Stage,
    gateway: HostId,
    line: &Line,
) -> Result<(), ScenarioError> {
    answer(stage, gateway, line, 0, 307, line.number_or("error", 23030)?)?;
    answer(stage, gateway, line, 10_000, 303, ERROR_GRACEFUL_DISCONNECT)
}

/// `ends`: 303 with bytes and seconds; error 1226 is the usual, graceful end.
pub(super) fn gateway_ends(stage: &mut Stage, gateway: HostId, line: &Line) -> Result<(), ScenarioError> {
    answer(stage, gateway, line, 0, 303, line.number_or("error", ERROR_GRACEFUL_DISCONNECT)?)
}

/// What the gateway's events repeat about a connection.
struct Note {
    user: String,
    peer: String,
    resource: String,
    transport: String,
}

impl Note {
    fn of(stage: &Stage, gateway: HostId, line: &Line) -> Result<Self, ScenarioError> {
        let known = &stage.notes[gateway];
        let get = |key: &str| {
            let earlier = known.iter().find(|(name, _)| name == key).map(|(_, value)| value.clone());
            line.get(key).map(str::to_owned).or(earlier)
        };
        let user = match get("user") {
            Some(text) => text,
            None => format!(r"{}\{}", stage.cast.user.domain, stage.cast.user.name),
        };
        let client = stage.cast.host(line, &get("from").unwrap_or_else(|| "client".to_owned()))?;
        let address = stage.cast.hosts[client].address;
        let peer = match get("port") {
            None => address.to_string(),
            Some(port) => format!("{address}:{port}"),
        };
        let resource = get("resource").unwrap_or_else(|| "rdsh01.lab.test".to_owned());
        Ok(Self { user, peer, resource, transport: get("transport").unwrap_or_else(|| "HTTP".to_owned()) })
    }
}

fn answer(
    stage: &mut Stage,
    gateway: HostId,
    line: &Line,
    us: i64,
    event_id: u16,
    error: u32,
) -> Result<(), ScenarioError> {
    if stage.attempt(gateway).is_none() {
        let name = &stage.cast.hosts[gateway].name;
        return Err(
            line.error(format!("nobody is connected to {name}, expected a line `{name} connects` before"))
        );
    }
    let note = Note::of(stage, gateway, line)?;
    let mut fields = vec![
        ("Username", note.user.into()),
        ("IpAddress", note.peer.into()),
        ("AuthType", "NTLM".into()),
        ("Resource", if event_id == 200 { "" } else { note.resource.as_str() }.into()),
    ];
    fields.push(("ConnectionProtocol", note.transport.into()));
    if event_id == 303 {
        fields.push(("BytesReceived", Value::U64(line.number_or("received", 40_000)?.into())));
        fields.push(("BytesTransfered", Value::U64(line.number_or("sent", 900_000)?.into())));
        fields.push(("SessionDuration", line.number_or("seconds", 60)?.into()));
    }
    fields.push(("ErrorCode", error.into()));
    let mut record = GATEWAY.event(event_id, &fields);
    if error != 0 && event_id != 303 {
        record.level = if event_id == 304 { LEVEL_WARNING } else { LEVEL_ERROR };
    }
    put(stage, gateway, us, record);
    Ok(())
}

fn put(stage: &mut Stage, gateway: HostId, us: i64, mut record: Record) {
    record.activity_id = stage.attempt(gateway).or(Some(Guid([0; 16])));
    record.user = Some(super::stage::sid("S-1-5-20"));
    stage.put(gateway, us, record);
}
