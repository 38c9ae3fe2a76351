//! What the connecting side writes: mstsc's own log, and the security packages in System.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::cast::{HostId, Role};
use super::provider::{DNS_CLIENT, LEVEL_ERROR, LSA_SRV, RDP_CLIENT};
use super::security;
use super::stage::{Connection, Phase, Stage};
use super::text::{Line, ScenarioError};
use crate::evtx::{Guid, Payload, Record, Value};

const KEYWORDS_DISCONNECTED: u64 = 0x200;
/// KRB_AP_ERR_SKEW.
const SKEW: u32 = 0x25;

/// An event with a name and a value, as most of the client's are.
fn named_value(event_id: u16, name: &str, value: &str) -> Record {
    RDP_CLIENT
        .event(event_id, &[("Name", name.into()), ("Value", value.into()), ("CustomLevel", "Info".into())])
}

fn traced(event_id: u16, message: &str) -> Record {
    RDP_CLIENT.event(event_id, &[("TraceMessage", message.into())])
}

/// Base64 of the SHA-256 of the name in UTF-16LE: what event 1029 tells of a user.
pub(super) fn name_hash(name: &str) -> String {
    let bytes: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
    STANDARD.encode(Sha256::digest(bytes))
}

/// `connects name=...`: somebody presses Connect.
pub(super) fn connects(stage: &mut Stage, client: HostId, line: &Line) -> Result<(), ScenarioError> {
    let name = line
        .get("name")
        .ok_or_else(|| line.error("`name=` is missing, expected the name or address as typed"))?;
    let activity = stage.begin_attempt(client);
    let user = stage.cast.user_of(line);
    let typed = if user.domain.is_empty() { user.name } else { format!(r"{}\{}", user.domain, user.name) };
    stage.notes[client].clone_from(&line.pairs);
    put(stage, client, 0, named_value(1024, "Server Name", name), activity);
    put(stage, client, 15_000, traced(1029, &name_hash(&typed)), activity);
    Ok(())
}

/// `connected`: the client's handshake is done; `udp=` adds the multi-transport events.
pub(super) fn connected(stage: &mut Stage, client: HostId, line: &Line) -> Result<(), ScenarioError> {
    let activity = attempt(stage, client, line)?;
    let session = line.number_or("session", 2)?;
    let domain = stage.cast.user_of(line).domain;
    put(stage, client, 0, traced(1028, "Server supports SSL = supported"), activity);
    put(stage, client, 4_000, RDP_CLIENT.event(1025, &[]), activity);
    let fields = [("DomainName", domain.into()), ("SessionId", session.into())];
    put(stage, client, 90_000, RDP_CLIENT.event(1027, &fields), activity);
    if let Some(address) = line.get("udp") {
        put(stage, client, 95_000, named_value(1102, "Server IP", address), activity);
        put(stage, client, 160_000, RDP_CLIENT.event(1103, &[]), activity);
    }
    Ok(())
}

/// `disconnected reason=...`: the client's last word; the extended code is in no event.
pub(super) fn disconnected(stage: &mut Stage, client: HostId, line: &Line) -> Result<(), ScenarioError> {
    let activity = attempt(stage, client, line)?;
    let reason = line.number("reason")?;
    if stage.cast.noise {
        put(stage, client, 0, RDP_CLIENT.event(1105, &[]), activity);
    }
    let mut record = named_value(1026, "Disconnect Reason", &reason.to_string());
    record.keywords |= KEYWORDS_DISCONNECTED;
    put(stage, client, 2_000, record, activity);
    Ok(())
}

/// `dns-failed name=...`: no name server answered.
pub(super) fn dns_failed(stage: &mut Stage, client: HostId, line: &Line) -> Result<(), ScenarioError> {
    let note = stage.notes[client].iter().find(|(key, _)| key == "name").map(|(_, name)| name.clone());
    let name = line.get("name").map(str::to_owned).or(note);
    let name = name.ok_or_else(|| line.error("`name=` is missing, expected the name asked for"))?;
    let record = DNS_CLIENT.event(
        1014,
        &[
            ("QueryName", name.into()),
            ("AddressLength", 128_u32.into()),
            ("Address", Value::Binary(vec![2, 0, 0, 53, 198, 51, 100, 53])),
            ("ClientPID", 4100_u32.into()),
        ],
    );
    stage.put(client, 0, record);
    Ok(())
}

/// `credssp-oracle version=...`: LsaSrv 6041, without names as in the sample that was measured.
pub(super) fn credssp_oracle(stage: &mut Stage, client: HostId, line: &Line) -> Result<(), ScenarioError> {
    let mut record = LSA_SRV.event(6041, &[]);
    record.level = LEVEL_ERROR;
    let target = target(stage, client, line);
    record.payload = Payload::Unnamed(vec![target.into(), line.number_or("version", 2)?.into()]);
    stage.put(client, 0, record);
    Ok(())
}

/// `ntlm-blocked`: 4001 on a client, 4002 on a server, 4004 on a domain controller.
pub(super) fn ntlm_blocked(stage: &mut Stage, host: HostId, line: &Line) -> Result<(), ScenarioError> {
    use super::provider::{NETLOGON_NTLM, NTLM};
    let user = stage.cast.user_of(line);
    let caller = |process: &str| {
        [
            ("CallerPID", Value::U32(1044)),
            ("ProcessName", process.into()),
            ("ClientLUID", Value::Hex64(0x3e7)),
        ]
    };
    let name = ("UserName", Value::from(user.name.as_str()));
    let domain = ("DomainName", Value::from(user.domain.as_str()));
    let own = format!("{}$", stage.cast.hosts[host].name);
    let who = [
        ("ClientUserName", Value::from(own)),
        ("ClientDomainName", stage.cast.domain.0.as_str().into()),
        ("MechanismOID", "(NULL)".into()),
    ];
    let workstation =
        stage.cast.first(Role::Client).map_or_else(String::new, |id| stage.cast.hosts[id].name.clone());
    let record = match (stage.cast.hosts[host].role, line.get_or("kind", "inbound")) {
        (Role::Client, _) => {
            let head = [("TargetName", target(stage, host, line).into()), name, domain];
            NTLM.event(4001, &[&head[..], &caller("mstsc.exe"), &who].concat())
        }
        (Role::Dc, _) => NETLOGON_NTLM.event(
            4004,
            &[
                ("SChannelName", "RDSH01".into()),
                name,
                domain,
                ("WorkstationName", workstation.into()),
                ("SChannelType", 2_u32.into()),
            ],
        ),
        (_, "domain") => {
            let head = [name, domain, ("Workstation", workstation.into())];
            let tail = [
                ("LogonType", 3_u32.into()),
                ("InProc", Value::Bool(true)),
                ("MechanismOID", "(NULL)".into()),
            ];
            NTLM.event(4003, &[&head[..], &caller("svchost.exe")[..2], &tail].concat())
        }
        (_, "inbound") => NTLM.event(4002, &[&caller("svchost.exe")[..], &who].concat()),
        (_, other) => return Err(line.error(format!("kind is `{other}`, expected inbound or domain"))),
    };
    stage.put(host, 0, record);
    Ok(())
}

/// `clock-skew`: Kerberos refuses because the clocks differ; the client says 40960, the domain controller 4771.
pub(super) fn clock_skew(stage: &mut Stage, client: HostId, line: &Line) -> Result<(), ScenarioError> {
    let target = target(stage, client, line);
    if let Some(dc) = stage.cast.first(Role::Dc) {
        let record = security::preauth_failed(stage, &as_connection(stage, client, line), SKEW);
        stage.put(dc, 0, record);
    }
    let fields = [
        ("Target", target.into()),
        ("Protocol", "Kerberos".into()),
        ("Error", "There is a time difference between the client and server. (0xc0000133)".into()),
    ];
    stage.put(client, 5_000, LSA_SRV.event(40960, &fields));
    Ok(())
}

/// A client in the shape of a connection that has not been made: for records that name user and address.
pub(super) fn as_connection(stage: &Stage, client: HostId, line: &Line) -> Connection {
    Connection {
        server: client,
        client: Some(client),
        address: stage.cast.hosts[client].address,
        port: 0,
        number: 0,
        activity: Guid([0; 16]),
        phase: Phase::Accepted,
        session: None,
        user: stage.cast.user_of(line),
        nla: true,
        network_logon: 0,
        interactive_logon: 0,
    }
}

/// `TERMSRV/name` of what the client connects to.
fn target(stage: &Stage, client: HostId, line: &Line) -> String {
    let note = stage.notes[client].iter().find(|(key, _)| key == "name").map(|(_, name)| name.as_str());
    format!("TERMSRV/{}", line.get("name").or(note).unwrap_or("unknown"))
}

fn attempt(stage: &Stage, client: HostId, line: &Line) -> Result<Guid, ScenarioError> {
    let name = &stage.cast.hosts[client].name;
    let missing =
        || line.error(format!("{name} connects to nothing yet, expected a line `{name} connects name=...`"));
    stage.attempt(client).ok_or_else(missing)
}

fn put(stage: &mut Stage, client: HostId, us: i64, mut record: Record, activity: Guid) {
    record.activity_id = Some(activity);
    record.user = Some(stage.cast.user.sid.clone());
    stage.put(client, us, record);
}
