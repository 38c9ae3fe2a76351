//! What single MCS and RDP PDUs say, one fact each: the bridge from values of `wire` to the vocabulary.

use super::udp;
use crate::codes::Status;
use crate::fact::{Side, What};
use crate::wire::autodetect::{AutoDetect, Measurement};
use crate::wire::capability::Active;
use crate::wire::client_info::ClientInfo;
use crate::wire::gcc::CertificateKind;
use crate::wire::licensing::{LicenseErrorCode, LicenseMessage};
use crate::wire::mcs::{ConnectInitial, ConnectResponse, McsPdu, McsResult};
use crate::wire::multitransport::Initiate;
use crate::wire::redirection::Redirection;
use crate::wire::session_info::SessionInfo;
use crate::wire::share::{ControlAction, Says};

/// Connect Initial as it stands there.
pub(super) fn connect_initial(initial: &ConnectInitial) -> What {
    /// `RNS_UD_CS_VALID_CONNECTION_TYPE`.
    const VALID_CONNECTION_TYPE: u16 = 0x20;
    let client = &initial.client;
    let names: Vec<&str> = client.channels.iter().map(|channel| channel.name.as_str()).collect();
    let typed = client.early_capabilities.is_some_and(|flags| flags & VALID_CONNECTION_TYPE != 0);
    What::McsConnectInitial {
        channels: (!names.is_empty()).then(|| names.join(",")),
        build: client.build,
        client_name: client.name.clone(),
        version: client.version,
        early_flags: client.early_capabilities.map(u32::from),
        selected: client.selected,
        connection_type: client.connection_type.filter(|_| typed).map(u32::from),
        redirection: client.redirection_version(),
        redirected_session: client.redirected_session,
        monitors: client.monitors,
        multitransport: client.multitransport,
    }
}

/// Connect Response as it stands there.
pub(super) fn connect_response(response: &ConnectResponse) -> What {
    let server = &response.server;
    let words = |kind: CertificateKind| kind.name().map_or_else(|| format!("kind {}", kind.0), str::to_owned);
    What::McsConnectResponse {
        method: server.encryption_method,
        level: server.encryption_level,
        version: server.version,
        requested: server.requested,
        early_flags: server.early_capabilities,
        certificate: server.certificate.map(words),
        multitransport: server.multitransport,
    }
}

/// A step of MCS that the server refused.
pub(super) fn mcs_refused(pdu: &McsPdu) -> Option<What> {
    let (what, result, channel) = match pdu {
        McsPdu::ConnectResponse(response) => ("connect", response.result?, None),
        McsPdu::AttachUserConfirm { result, .. } => ("attach", *result, None),
        McsPdu::JoinConfirm { result, requested } => ("join", *result, Some(u32::from(*requested))),
        _ => return None,
    };
    (result != McsResult::SUCCESSFUL).then(|| What::McsRefused { what: what.to_owned(), result, channel })
}

/// Names of capability sets.
pub(super) fn sets(active: &Active) -> Option<String> {
    let names: Vec<String> = active.sets.iter().map(|set| set.kind.words()).collect();
    (!names.is_empty()).then(|| names.join(","))
}

/// Client Info as it stands there; whom it names is a fact of its own.
pub(super) fn client_info(info: &ClientInfo) -> What {
    What::ClientInfo {
        flags: Some(info.flags),
        code_page: Some(info.code_page),
        family: info.address_family.map(u32::from),
        address: info.address.clone(),
        directory: info.directory.clone(),
        time_zone: info.time_zone.clone(),
        performance: info.performance,
        auto_reconnect: info.has_reconnect_cookie,
    }
}

/// A licensing message as it stands there.
pub(super) fn license(by: Side, message: &LicenseMessage) -> What {
    let product = message.product.as_ref().map(|(company, product)| format!("{company} {product}"));
    What::License { by, kind: Some(message.kind), product, machine: message.machine.clone(), or: None }
}

/// What a PDU says beside its place in the sequence, where it says something.
pub(super) fn beside(side: Side, says: &Says) -> Option<What> {
    let by_server = side == Side::Server;
    match says {
        Says::ErrorInfo(code) if by_server => Some(What::ErrorInfo { code: *code }),
        Says::SessionInfo(info) if by_server => Some(session_info(info)),
        Says::Redirection(packet) if by_server => Some(redirected(packet)),
        Says::StatusInfo(code) if by_server => Some(What::ServerStatus { code: *code }),
        Says::AutoReconnectStatus(status) if by_server => {
            Some(What::AutoReconnectRefused { status: *status })
        }
        Says::MonitorLayout(monitors) if by_server => Some(What::MonitorLayout { monitors: *monitors }),
        Says::DeactivateAll if by_server => Some(What::DeactivateAll {}),
        Says::Heartbeat(beat) if by_server => Some(What::Heartbeat {
            period_s: u32::from(beat.period_s),
            warn_after: u32::from(beat.warn_after),
            reconnect_after: u32::from(beat.reconnect_after),
        }),
        Says::Multitransport(Initiate::Request { request, protocol, cookie }) if by_server => {
            let (request, protocol, cookie_hash) = (*request, *protocol, udp::hash_of(*cookie));
            Some(What::MultitransportAsked { request, protocol, cookie_hash })
        }
        Says::Multitransport(Initiate::Response { request, result }) if !by_server => {
            Some(What::MultitransportAnswered { request: *request, result: Status(*result) })
        }
        Says::AutoDetect(measured) => network(side, measured),
        Says::License(license) => {
            let code = license.error.filter(|code| *code != LicenseErrorCode::VALID_CLIENT)?;
            Some(What::LicenseError { by: side, code, transition: license.transition })
        }
        Says::ClientInfo(info) => {
            let some = |name: &Option<String>| name.clone().filter(|name| !name.is_empty());
            let (user, domain) = (some(&info.user), some(&info.domain));
            user.is_some().then_some(What::UserNamed {
                user,
                domain,
                workstation: None,
                target: None,
                build: None,
            })
        }
        Says::Synchronize => Some(finalizing(side, "synchronize".to_owned())),
        Says::Control(action) => Some(finalizing(side, control(*action))),
        Says::FontList => Some(finalizing(side, "font list".to_owned())),
        Says::Compressed { data_type, .. } => Some(What::CompressedPdu { by: side, pdu: *data_type }),
        _ => None,
    }
}

fn finalizing(by: Side, pdu: String) -> What {
    What::Finalizing { by, pdu }
}

fn control(action: ControlAction) -> String {
    action.name().map_or_else(|| format!("control action {:#x}", action.0), str::to_owned)
}

fn session_info(info: &SessionInfo) -> What {
    What::SessionInfo {
        kind: info.kind,
        session_id: info.session_id,
        user: info.user.clone(),
        domain: info.domain.clone(),
        error: info.error.map(|(error, _)| error),
        data: info.error.map(|(_, data)| data),
        auto_reconnect: info.has_reconnect_cookie,
    }
}

fn redirected(packet: &Redirection) -> What {
    What::Redirected {
        session_id: Some(packet.session_id),
        flags: Some(packet.flags),
        address: packet.address.clone(),
        load_balance: packet.load_balance.clone(),
        user: packet.user.clone(),
        domain: packet.domain.clone(),
        host: packet.fqdn.clone().or_else(|| packet.netbios.clone()),
        addresses: (!packet.addresses.is_empty()).then(|| packet.addresses.join(",")),
        password: packet.has_password,
        certificate: packet.certificate_bytes.is_some(),
    }
}

/// Only results are worth a fact: a measurement takes a dozen PDUs.
fn network(by: Side, measured: &AutoDetect) -> Option<What> {
    match measured.says {
        Measurement::Characteristics { base_rtt_ms, bandwidth_kbit, average_rtt_ms } => {
            Some(What::NetworkMeasured { by, base_rtt_ms, average_rtt_ms, bandwidth_kbit })
        }
        // Bytes times 8 by milliseconds are kilobits by seconds.
        Measurement::BandwidthResults { time_ms, bytes } => {
            let bits = u64::from(bytes).saturating_mul(8);
            let kbit = bits.checked_div(u64::from(time_ms)).and_then(|kbit| u32::try_from(kbit).ok());
            Some(What::NetworkMeasured { by, base_rtt_ms: None, average_rtt_ms: None, bandwidth_kbit: kbit })
        }
        _ => None,
    }
}
