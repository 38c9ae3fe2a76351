//! What each kind of fact does to the ladder.

use super::is_hand_over;
use crate::codes::Status;
use crate::fact::What;
use crate::step::Step;

/// What a fact does to the ladder.
pub(super) enum Mark {
    Begins(Step),
    Passes(Step),
    Fails(Step),
    Nothing,
}

#[expect(
    clippy::too_many_lines,
    reason = "one list: a new fact does not compile until it has its place here"
)]
pub(super) fn mark(what: &What) -> Mark {
    match what {
        What::SynSent { .. } | What::Unreachable { .. } => Mark::Begins(Step::Tcp),
        What::Connected {} => Mark::Passes(Step::Tcp),
        What::ProxyAsked { .. } => Mark::Begins(Step::Tcp),
        What::ProxyAnswered { opened: false, retried: false, .. } => Mark::Fails(Step::Tcp),
        What::ConnectionRequest { .. } => Mark::Begins(Step::Negotiation),
        What::ConnectionConfirm { acceptable: true, .. } => Mark::Passes(Step::Negotiation),
        What::ConnectionConfirm { .. } | What::NegotiationRefused { .. } | What::OtherProtocol { .. } => {
            Mark::Fails(Step::Negotiation)
        }
        What::ClientHello { .. } | What::ServerHello { .. } | What::Certificate { .. } => {
            Mark::Begins(Step::Tls)
        }
        What::Alert { fatal: true, .. } => Mark::Fails(Step::Tls),
        What::TlsFinished {} => Mark::Passes(Step::Tls),
        What::CredsspMessage { .. } | What::KerberosTicket { .. } => Mark::Begins(Step::Credssp),
        What::RdstlsMessage { .. } | What::EntraMessage { .. } => Mark::Begins(Step::Authorization),
        What::RdstlsResult { code: Status(0) } | What::EntraResult { code: Status(0) } => {
            Mark::Passes(Step::Authorization)
        }
        What::RdstlsResult { .. } | What::EntraResult { .. } => Mark::Fails(Step::Authorization),
        What::CredsspRefused { .. } => Mark::Fails(Step::Credssp),
        What::CredsspDone {} => Mark::Passes(Step::Credssp),
        What::EarlyAuthorization { result: None, .. } => Mark::Begins(Step::Authorization),
        What::EarlyAuthorization { result: Some(0), .. } => Mark::Passes(Step::Authorization),
        What::EarlyAuthorization { result: Some(_), .. } => Mark::Fails(Step::Authorization),
        What::McsConnectInitial { .. } | What::McsConnectResponse { .. } => Mark::Begins(Step::Mcs),
        What::McsAttached {} | What::McsJoined { .. } => Mark::Passes(Step::Mcs),
        What::SecurityExchange {} => Mark::Passes(Step::SecurityExchange),
        What::ClientInfo { .. } => Mark::Begins(Step::ClientInfo),
        What::License { .. } => Mark::Begins(Step::Licensing),
        What::LicenseError { .. } => Mark::Fails(Step::Licensing),
        What::Licensed {} => Mark::Passes(Step::Licensing),
        What::DemandActive { .. } | What::ConfirmActive { .. } => Mark::Begins(Step::Capabilities),
        What::Finalized {} | What::Running { .. } => Mark::Passes(Step::Capabilities),
        What::SessionInfo { kind: 0..=2, .. } => Mark::Passes(Step::Logon),
        What::Finalizing { .. } => Mark::Begins(Step::Capabilities),
        What::McsRefused { what, .. } if what == "join" => Mark::Begins(Step::Mcs),
        What::McsRefused { .. } => Mark::Fails(Step::Mcs),
        What::Redirected { .. } if is_hand_over(what) => Mark::Passes(Step::Redirection),
        What::SynAnswered { .. }
        | What::Tunnelled { .. }
        | What::ProxyAnswered { .. }
        | What::ProxiedFor { .. }
        | What::Reset { .. }
        | What::Closed { .. }
        | What::Unanswered { .. }
        | What::NeverArrived { .. }
        | What::ProbesUnanswered { .. }
        | What::NotCaptured { .. }
        | What::LostOnPath { .. }
        | What::ZeroWindow { .. }
        | What::Retransmissions { .. }
        | What::MidStream {}
        | What::OneWay { .. }
        | What::CaptureEnds { .. }
        | What::Stalled { .. }
        | What::NameResolved { .. }
        | What::LookupFailed { .. }
        | What::ServiceUnreached { .. }
        | What::ArpUnanswered { .. }
        | What::DuplicateAddress { .. }
        | What::Alert { .. }
        | What::EncryptedAlert { .. }
        | What::TlsOpened { .. }
        | What::UserNamed { .. }
        | What::TargetNamed { .. }
        | What::HostClock { .. }
        | What::NameListed { .. }
        | What::SessionInfo { .. }
        | What::Redirected { .. }
        | What::DeactivateAll {}
        | What::ServerStatus { .. }
        | What::AutoReconnectRefused { .. }
        | What::MonitorLayout { .. }
        | What::NetworkMeasured { .. }
        | What::Heartbeat { .. }
        | What::CompressedPdu { .. }
        | What::TransportDisconnect { .. }
        | What::TransportError { .. }
        | What::ErrorInfo { .. }
        | What::ErrorInfoShaped { .. }
        | What::Ultimatum { .. } => Mark::Nothing,
        // RDP works without the UDP transport: neither its rise nor its failure is a step of the connection.
        What::MultitransportAsked { .. }
        | What::MultitransportAnswered { .. }
        | What::UdpSyn { .. }
        | What::UdpAnswered { .. }
        | What::UdpUnreachable { .. }
        | What::UdpClientHello { .. }
        | What::UdpServerHello { .. }
        | What::UdpAlert { .. }
        | What::UdpOpened { .. }
        | What::UdpSecured {}
        | What::TunnelAsked { .. }
        | What::TunnelAnswered { .. }
        | What::UdpCarried { .. }
        | What::UdpUnheard { .. }
        | What::UdpClosed { .. } => Mark::Nothing,
        What::KdcProxyAsked { .. }
        | What::GatewayMessage { .. }
        | What::GatewayReauthentication {}
        | What::GatewayClosed { .. } => Mark::Nothing,
        What::NameNotResolved { .. } => Mark::Fails(Step::Dns),
        What::ClientConnecting { .. } => Mark::Begins(Step::Tcp),
        What::ConnectionAccepted { udp: false }
        | What::ListenerAccepted { .. }
        | What::ConnectionNamed { .. } => Mark::Passes(Step::Tcp),
        What::TransportFailed { .. } => Mark::Fails(Step::Tcp),
        What::MethodCalled { method, .. } => of_method(method),
        What::TlsEstablished { .. } => Mark::Passes(Step::Tls),
        What::UserAuthenticated {} => Mark::Passes(Step::Credssp),
        What::CredentialsRefused { .. } | What::LogonFailed { logon_type: 3, .. } => {
            Mark::Fails(Step::Credssp)
        }
        What::AccessDenied {} => Mark::Fails(Step::Authorization),
        What::ClientConnected {} => Mark::Passes(Step::Capabilities),
        What::ArbitrationBegan {} => Mark::Begins(Step::Logon),
        What::ArbitrationDeclined {} | What::LogonFailed { logon_type: 10, .. } => Mark::Fails(Step::Logon),
        What::SessionLogon { local: false }
        | What::LogonSucceeded { logon_type: 7 | 10, .. }
        | What::ShellStarted { local: false }
        | What::SessionReconnected { local: false, .. }
        | What::ClientLoggedOn { .. } => Mark::Passes(Step::Logon),
        What::FirstPicture { .. } => Mark::Passes(Step::Active),
        What::GatewayEvent { event, .. } => of_gateway(*event),
        What::GatewayRequest { .. }
        | What::GatewayStatus { .. }
        | What::GatewayHandshake { .. }
        | What::GatewayTunnelAsked { .. }
        | What::GatewayTunnelAnswered { .. }
        | What::GatewayAuthorizationAsked { .. }
        | What::GatewayAuthorized { .. }
        | What::GatewayChannelAsked { .. }
        | What::GatewayChannelAnswered { .. }
        | What::GatewayRefusalSized { .. }
        | What::GatewayTunnelSized { .. } => in_gateway(what),
        // What is written at every ending, in any order, or is bound to a connection by its time at most.
        What::ConnectionAccepted { .. }
        | What::SessionBound { .. }
        | What::ErrorInfoSet { .. }
        | What::SecurityError { .. }
        | What::ProtocolError { .. }
        | What::SocketError { .. }
        | What::Disconnected { .. }
        | What::DisconnectTraced { .. }
        | What::StateError { .. }
        | What::ChannelOpened { .. }
        | What::MultitransportLogged { .. }
        | What::LimitReached { .. }
        | What::LicenseProblem { .. }
        | What::ServerCertificate { .. }
        | What::CertificateProblem { .. }
        | What::SessionLogon { .. }
        | What::ShellStarted { .. }
        | What::SessionLogoff {}
        | What::SessionDisconnected { .. }
        | What::SessionReconnected { .. }
        | What::SessionEnded { .. }
        | What::ArbitrationEnded {}
        | What::ClientDisconnected { .. }
        | What::UserNameHash { .. }
        | What::BrokerEvent { .. }
        | What::TlsAlertLogged { .. }
        | What::KeyInaccessible { .. }
        | What::TlsCredentialFailed { .. }
        | What::NoSharedSuite { .. }
        | What::PeerCertificateRefused { .. }
        | What::AuthenticationFailed { .. }
        | What::CredsspVersionRefused { .. }
        | What::NtlmBlocked { .. }
        | What::KerberosFailed { .. }
        | What::KerberosGranted { .. }
        | What::PolicyRefused { .. }
        | What::LogonSucceeded { .. }
        | What::LogonFailed { .. }
        | What::CredentialsValidated { .. }
        | What::ExplicitCredentials { .. }
        | What::LoggedOff { .. }
        | What::AccountLockedOut {}
        | What::FirewallDecision { .. }
        | What::ClockChanged { .. }
        | What::HostZone { .. }
        | What::HostStopped { .. }
        | What::ServiceProblem { .. }
        | What::ProblemLogged { .. }
        | What::LogSays { .. } => Mark::Nothing,
    }
}

/// Methods of the server's protocol stack (RdpCoreTS 72), as far as they stand for a step.
fn of_method(method: &str) -> Mark {
    match method {
        "PrepareForAccept" => Mark::Begins(Step::Negotiation),
        "OnStartLicensing" => Mark::Begins(Step::Licensing),
        "ProtocolComplete" => Mark::Passes(Step::Licensing),
        "AuthenticateClientToSession" => Mark::Begins(Step::Logon),
        "LogonNotify" => Mark::Passes(Step::Logon),
        _ => Mark::Nothing,
    }
}

/// Event ids of RD Gateway.
fn of_gateway(event: u32) -> Mark {
    match event {
        312 | 313 => Mark::Begins(Step::GatewayTransport),
        200 => Mark::Passes(Step::GatewayTunnel),
        201 | 203 | 204 | 305 => Mark::Fails(Step::GatewayTunnel),
        302 => Mark::Passes(Step::GatewayChannel),
        301 | 304 => Mark::Fails(Step::GatewayChannel),
        _ => Mark::Nothing,
    }
}

/// What goes between a client and a gateway, before the host behind it says anything.
fn in_gateway(what: &What) -> Mark {
    if let Some((_, step)) = what.gateway_refusal() {
        return Mark::Fails(step);
    }
    match what {
        What::GatewayStatus { status: 101 | 200, .. } => Mark::Passes(Step::GatewayTransport),
        What::GatewayHandshake { .. }
        | What::GatewayTunnelAsked { .. }
        | What::GatewayTunnelAnswered { .. }
        | What::GatewayAuthorizationAsked { .. } => Mark::Begins(Step::GatewayTunnel),
        What::GatewayAuthorized { .. } => Mark::Passes(Step::GatewayTunnel),
        What::GatewayChannelAsked { .. } => Mark::Begins(Step::GatewayChannel),
        What::GatewayChannelAnswered { .. } | What::GatewayTunnelSized { .. } => {
            Mark::Passes(Step::GatewayChannel)
        }
        _ => Mark::Begins(Step::GatewayTransport),
    }
}
