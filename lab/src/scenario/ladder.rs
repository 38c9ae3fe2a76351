//! What a server's RdpCoreTS and connection manager write while a connection climbs from TCP to the desktop.
//!
//! Order and gaps are those measured on a Server 2016/2019 host (knowledge/README.md 1.2, rdpcorets_methods.tsv).

use std::net::SocketAddr;

use super::cast::{HostId, User};
use super::provider::{LEVEL_ERROR, LEVEL_WARNING, LSA_SRV, RCM, RDP_CORE_TS};
use super::security::{self, Refusal};
use super::stage::{ConnectionId, Phase, Stage, prefixed_guid};
use super::text::{Line, ScenarioError};
use crate::evtx::{Record, Value};

/// From one event of a set to the next.
const STEP_US: i64 = 3_000;
/// RCM 1149 follows Security 4624 by this much.
const AFTER_LOGON_US: i64 = 40_000;
/// From RdpCoreTS 140 to the teardown: the server waits before it lets a client go that gave a bad password.
const AFTER_BAD_PASSWORD_US: i64 = 1_170_000;

/// An RdpCoreTS event.
pub(super) fn core(event_id: u16, fields: &[(&str, Value)]) -> Record {
    let mut record = RDP_CORE_TS.event(event_id, fields);
    record.level = match event_id {
        97 | 99 | 101 | 105 | 134 | 137 | 138..=140 | 142..=144 | 226 | 228 => LEVEL_WARNING,
        67 | 136 | 146 | 147 | 149 | 154 | 161 | 227 => LEVEL_ERROR,
        _ => record.level,
    };
    record.user = Some(super::stage::sid("S-1-5-20"));
    record
}

/// RdpCoreTS 72 with a method of the protocol interface.
pub(super) fn method(name: &str) -> Record {
    core(72, &[("MethodName", name.into())])
}

/// `accepts`: the listener takes a TCP (or UDP) connection.
pub(super) fn accepts(stage: &mut Stage, server: HostId, line: &Line) -> Result<(), ScenarioError> {
    let port = line.number("port")?;
    let port = u16::try_from(port)
        .map_err(|_| line.error(format!("port is {port}, expected a number below 65536")))?;
    let (client, address) = peer(stage, line)?;
    let peer = SocketAddr::new(address, port).to_string();
    if line.get("protocol") == Some("udp") {
        let mut record = core(131, &[("ConnType", "UDP".into()), ("ClientIP", peer.as_str().into())]);
        record.activity_id = Some(prefixed_guid(0xF420, &format!("udp/{peer}")));
        stage.put(server, 0, record);
        return Ok(());
    }
    let id = stage.accept(server, client, address, port);
    stage.connections[id].nla = line.yes_or("nla", true)?;
    stage.connections[id].user = stage.cast.user_of(line);
    let name = stage.connections[id].name();
    stage.put_of(id, 0, core(131, &[("ConnType", "TCP".into()), ("ClientIP", peer.into())]));
    stage.put_of(id, 900, RCM.event(261, &[("listenerName", "RDP-Tcp".into())]));
    stage.put_of(id, 1_400, core(65, &[("ConnectionName", name.into())]));
    stage.put_of(id, 2_100, method("PrepareForAccept"));
    stage.put_of(id, 2_600, method("SendPolicyData"));
    let instance = stage.connections[id].number;
    stage.put_of(id, 3_200, core(141, &[("InstanceID", instance.into())]));
    Ok(())
}

/// Who is at the other end: `from=` a host or an address, or the only client.
fn peer(stage: &Stage, line: &Line) -> Result<(Option<HostId>, std::net::IpAddr), ScenarioError> {
    let host = match line.get("from") {
        Some(text) => match text.parse() {
            Ok(address) => {
                return Ok((stage.cast.hosts.iter().position(|host| host.address == address), address));
            }
            Err(_) => stage.cast.host(line, text)?,
        },
        None => stage.cast.host(line, "client")?,
    };
    Ok((Some(host), stage.cast.hosts[host].address))
}

/// `authenticates`: NLA succeeds.
pub(super) fn authenticates(stage: &mut Stage, server: HostId, line: &Line) -> Result<(), ScenarioError> {
    let id = connection_with_user(stage, server, line)?;
    let kerberos = match line.get_or("package", "ntlm") {
        "ntlm" => false,
        "kerberos" => true,
        other => return Err(line.error(format!("package is `{other}`, expected ntlm or kerberos"))),
    };
    authenticate(stage, id, 0, kerberos);
    Ok(())
}

/// `completes-protocol`: licensing done, protocol complete, no session yet.
pub(super) fn completes_protocol(
    stage: &mut Stage,
    server: HostId,
    line: &Line,
) -> Result<(), ScenarioError> {
    let id = connection_with_user(stage, server, line)?;
    climb(stage, id, 0, Phase::Complete);
    Ok(())
}

/// `refuses-credentials`: Security 4776 and 4625, RdpCoreTS 140, and the teardown a second later.
pub(super) fn refuses_credentials(
    stage: &mut Stage,
    server: HostId,
    line: &Line,
) -> Result<(), ScenarioError> {
    let id = connection_with_user(stage, server, line)?;
    let status = line.number_or("status", 0xC000_006D)?;
    let sub_status = line.number_or("sub", 0xC000_006A)?;
    let kind = line.number_or("type", if stage.connections[id].nla { 3 } else { 10 })?;
    // Without NLA the password is asked for at the logon screen, when the protocol is complete.
    let us = if kind == 10 { climb(stage, id, 0, Phase::Complete) } else { 0 };
    let connection = stage.connections[id].clone();
    if line.get("package") == Some("kerberos") {
        security::kerberos_preauth_failed(stage, id, us);
    } else {
        security::ntlm_validation(stage, id, us, if sub_status == 0 { status } else { sub_status });
    }
    let refusal = Refusal { kind, status, sub_status };
    stage.put(server, us + 1_500, security::logon_failed(stage, &connection, refusal));
    if kind == 3 {
        let address = connection.address.to_string();
        stage.put_of(id, 4_000, core(140, &[("IPString", address.into())]));
        if line.yes_or("teardown", true)? {
            super::ending::lost_before_session(stage, id, AFTER_BAD_PASSWORD_US, 64);
        }
    }
    Ok(())
}

/// Lets a connection reach `phase` if it has not yet, from `us` after the line's time; gives the time of the last event.
pub(super) fn climb(stage: &mut Stage, id: ConnectionId, mut us: i64, phase: Phase) -> i64 {
    if stage.connections[id].phase < Phase::Authenticated && phase >= Phase::Authenticated {
        us = authenticate(stage, id, us, false);
    }
    if stage.connections[id].phase < Phase::Handed && phase >= Phase::Handed {
        us = hand_over(stage, id, us);
    }
    if stage.connections[id].phase < Phase::Complete && phase >= Phase::Complete {
        us = complete(stage, id, us);
    }
    us
}

/// The connection of a line; `user=` changes who it is for.
pub(super) fn connection_with_user(
    stage: &mut Stage,
    host: HostId,
    line: &Line,
) -> Result<ConnectionId, ScenarioError> {
    let id = stage.connection(host, line)?;
    if line.get("user").is_some() {
        stage.connections[id].user = stage.cast.user_of(line);
    }
    Ok(id)
}

fn authenticate(stage: &mut Stage, id: ConnectionId, us: i64, kerberos: bool) -> i64 {
    let server = stage.connections[id].server;
    stage.connections[id].phase = Phase::Authenticated;
    let mut user = stage.connections[id].user.clone();
    if stage.connections[id].nla {
        if kerberos {
            security::kerberos_tickets(stage, id, us);
        } else {
            if stage.cast.noise {
                stage.put(server, us, LSA_SRV.event(6038, &[]));
            }
            security::ntlm_validation(stage, id, us, 0);
        }
        let logon_id = stage.next_logon_id(server);
        stage.connections[id].network_logon = logon_id;
        let connection = stage.connections[id].clone();
        stage.put(server, us + 1_500, security::network_logon(&connection, client_name(stage, id), kerberos));
    } else {
        user.domain.clear();
    }
    let us = us + AFTER_LOGON_US;
    let User { domain, name, .. } = user;
    let domain = if domain.is_empty() { Value::Null } else { domain.into() };
    let address = stage.connections[id].address.to_string();
    stage.put_of(
        id,
        us,
        RCM.event(1149, &[("Param1", name.into()), ("Param2", domain), ("Param3", address.into())]),
    );
    us
}

fn hand_over(stage: &mut Stage, id: ConnectionId, us: i64) -> i64 {
    stage.connections[id].phase = Phase::Handed;
    let name = stage.connections[id].name();
    let channel = |name: &str| core(132, &[("ChannelName", name.into()), ("TunnelID", 0_u32.into())]);
    let driver = [("ConnectionName", name.into()), ("DisplayDriverName", "RDPUDD".into())];
    sequence(
        stage,
        id,
        us,
        vec![
            core(101, &[("ReasonString", "Reason Code: 2(Server Configuration)".into())]),
            channel("rdplic"),
            channel("rdpcmd"),
            method("OnStartLicensing"),
            method("AcceptConnection"),
            core(104, &[("TimezoneBiasHour", Value::I32(0))]),
            core(71, &driver),
        ],
    )
}

fn complete(stage: &mut Stage, id: ConnectionId, us: i64) -> i64 {
    stage.connections[id].phase = Phase::Complete;
    sequence(
        stage,
        id,
        us,
        vec![
            method("GetSecurityFilterCreds"),
            method("SendClientLicense"),
            method("ProtocolComplete"),
            core(98, &[]),
            core(100, &[]),
            core(130, &[("TunnelID", 1_u32.into())]),
            core(135, &[("TunnelID", 1_u32.into()), ("TransportType", "TCP".into())]),
        ],
    )
}

/// Puts events of a connection one step apart, and gives the time of the last.
pub(super) fn sequence(stage: &mut Stage, id: ConnectionId, mut us: i64, records: Vec<Record>) -> i64 {
    for record in records {
        us += STEP_US;
        stage.put_of(id, us, record);
    }
    us
}

/// Name of the client's computer, as it tells the server.
pub(super) fn client_name(stage: &Stage, id: ConnectionId) -> String {
    stage.connections[id]
        .client
        .map_or_else(|| "UNKNOWN".to_owned(), |host| stage.cast.hosts[host].name.clone())
}
