//! Between which ends a fact goes: what the sequence diagram draws.

use super::super::arrives::arrives;
use crate::fact::{Fact, Side, What};
use crate::session::{Role, Seen, Session};
use crate::step::Step;

/// How a fact is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// From one end to another, as a packet; `false` when it did not come there.
    Sent(Role, Role, bool),
    /// At one end, from its log.
    Logged(Role),
    /// Something that packets tell of the connection as a whole.
    Between,
}

/// The way of a fact of this session.
pub(super) fn way(session: &Session, seen: &Seen) -> Way {
    if let Some(keys) = seen.fact.subject.keys() {
        let role = session.hosts.iter().find(|part| part.host == keys.host).map(|part| part.role);
        return Way::Logged(role.unwrap_or_default());
    }
    let far = far_end(session, &seen.fact);
    match sender(seen.what()) {
        Some(Side::Client) => Way::Sent(Role::Client, far, arrives(session, seen, Side::Client)),
        Some(Side::Server) => Way::Sent(far, Role::Client, arrives(session, seen, Side::Server)),
        None => Way::Between,
    }
}

/// Through an RD Gateway, TCP and the steps of the gateway end there.
fn far_end(session: &Session, fact: &Fact) -> Role {
    let near =
        matches!(
            fact.what.step(),
            Some(Step::GatewayTransport | Step::GatewayTunnel | Step::GatewayChannel | Step::Tcp)
        ) || matches!(fact.what, What::Reset { .. } | What::Closed { .. } | What::GatewayClosed { .. });
    if near && session.is_through_gateway() { Role::Gateway } else { Role::Server }
}

/// Who sent it; `None` for what is no message.
fn sender(what: &What) -> Option<Side> {
    match what {
        What::Unanswered { by: side, .. }
        | What::ProbesUnanswered { by: side, .. }
        | What::NeverArrived { from: side, .. }
        | What::LostOnPath { from: side, .. } => Some(*side),
        What::Reset { by, .. }
        | What::Closed { by }
        | What::Certificate { by, .. }
        | What::Alert { by, .. }
        | What::EncryptedAlert { by, .. }
        | What::CredsspMessage { by, .. }
        | What::CredsspRefused { by, .. }
        | What::RdstlsMessage { by, .. }
        | What::EntraMessage { by, .. }
        | What::TransportDisconnect { by, .. }
        | What::TransportError { by, .. }
        | What::License { by, .. }
        | What::LicenseError { by, .. }
        | What::Finalizing { by, .. }
        | What::CompressedPdu { by, .. }
        | What::Ultimatum { by, .. }
        | What::UdpAlert { by, .. }
        | What::GatewayHandshake { by, .. }
        | What::GatewayClosed { by, .. }
        | What::OtherProtocol { from: by, .. } => Some(*by),
        other => always(other),
    }
}

/// Messages that only one side sends.
fn always(what: &What) -> Option<Side> {
    match what {
        What::SynSent { .. }
        | What::ProxyAsked { .. }
        | What::GatewayRequest { .. }
        | What::KdcProxyAsked { .. }
        | What::GatewayTunnelAsked { .. }
        | What::GatewayAuthorizationAsked { .. }
        | What::GatewayChannelAsked { .. }
        | What::ConnectionRequest { .. }
        | What::ClientHello { .. }
        | What::UserNamed { .. }
        | What::KerberosTicket { .. }
        | What::McsConnectInitial { .. }
        | What::SecurityExchange {}
        | What::ClientInfo { .. }
        | What::ConfirmActive { .. }
        | What::MultitransportAnswered { .. }
        | What::UdpSyn { .. }
        | What::UdpClientHello { .. }
        | What::TunnelAsked { .. } => Some(Side::Client),
        What::SynAnswered { .. }
        | What::ProxyAnswered { .. }
        | What::GatewayStatus { .. }
        | What::GatewayTunnelAnswered { .. }
        | What::GatewayAuthorized { .. }
        | What::GatewayChannelAnswered { .. }
        | What::GatewayRefusalSized { .. }
        | What::GatewayMessage { .. }
        | What::GatewayReauthentication {}
        | What::ConnectionConfirm { .. }
        | What::NegotiationRefused { .. }
        | What::ServerHello { .. }
        | What::TargetNamed { .. }
        | What::RdstlsResult { .. }
        | What::EntraResult { .. }
        | What::EarlyAuthorization { .. }
        | What::McsConnectResponse { .. }
        | What::McsRefused { .. }
        | What::DemandActive { .. }
        | What::DeactivateAll {}
        | What::Redirected { .. }
        | What::ServerStatus { .. }
        | What::AutoReconnectRefused { .. }
        | What::MonitorLayout { .. }
        | What::Heartbeat { .. }
        | What::SessionInfo { .. }
        | What::ErrorInfo { .. }
        | What::ErrorInfoShaped { .. }
        | What::MultitransportAsked { .. }
        | What::UdpAnswered { .. }
        | What::UdpServerHello { .. }
        | What::TunnelAnswered { .. } => Some(Side::Server),
        _ => None,
    }
}
