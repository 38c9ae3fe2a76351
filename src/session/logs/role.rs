//! What a record says of the part its host plays, and by what it is joined.

use crate::fact::What;

/// The part a host plays in a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Role {
    /// It is connected to.
    #[default]
    Server,
    /// It connects.
    Client,
    /// It sends the client to a host.
    Broker,
    /// It carries the connection.
    Gateway,
    /// It checks the credentials.
    DomainController,
}

impl Role {
    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Client => "client",
            Self::Broker => "broker",
            Self::Gateway => "gateway",
            Self::DomainController => "domain controller",
        }
    }

    /// The part of the host that wrote this.
    pub(super) fn of(what: &What) -> Self {
        match what {
            What::ClientConnecting { .. }
            | What::ClientConnected {}
            | What::ClientDisconnected { .. }
            | What::ClientLoggedOn { .. }
            | What::NameNotResolved { .. }
            | What::CredsspVersionRefused { .. }
            | What::AuthenticationFailed { .. }
            | What::UserNameHash { .. } => Self::Client,
            What::GatewayEvent { .. } => Self::Gateway,
            What::BrokerEvent { event, .. } if is_of_the_broker(*event) => Self::Broker,
            What::KerberosFailed { .. } | What::KerberosGranted { .. } | What::AccountLockedOut {} => {
                Self::DomainController
            }
            _ => Self::Server,
        }
    }
}

/// Ids of the broker's own channel; those of a host's side begin at 1280.
const fn is_of_the_broker(event: u32) -> bool {
    event < 1_200 || event > 1_400
}

/// Within what time a record without key belongs to a connection of its host.
pub(super) enum Window {
    /// A logon: the user may have typed in between.
    Logon,
    /// The same moment.
    Near,
    /// The client's own failure.
    Client,
}

/// By which window a record is joined by time, when it is at all.
pub(super) fn joined_by_time(what: &What) -> Option<Window> {
    Some(match what {
        What::LogonSucceeded { logon_type: 7 | 10, .. }
        | What::LogonFailed { logon_type: 7 | 10, .. }
        | What::AccessDenied {}
        | What::SessionLogon { .. }
        | What::ShellStarted { .. }
        | What::SessionReconnected { .. }
        | What::SessionDisconnected { .. }
        | What::SessionEnded { .. }
        | What::LimitReached { .. }
        | What::ArbitrationBegan {}
        | What::ArbitrationEnded {}
        | What::ArbitrationDeclined {}
        | What::UserAuthenticated {}
        | What::BrokerEvent { .. } => Window::Logon,
        What::LogonSucceeded { logon_type: 3, .. }
        | What::LogonFailed { logon_type: 3, .. }
        | What::CredentialsValidated { .. }
        | What::ExplicitCredentials { .. }
        | What::CredentialsRefused { .. }
        | What::SecurityError { .. }
        | What::ProtocolError { .. }
        | What::TlsAlertLogged { .. }
        | What::KeyInaccessible { server: true, .. }
        | What::TlsCredentialFailed { server: true, .. }
        | What::NoSharedSuite { .. }
        | What::NtlmBlocked { .. }
        | What::PolicyRefused { .. }
        | What::LicenseProblem { .. }
        | What::CertificateProblem { .. }
        | What::ErrorInfoSet { .. }
        | What::FirewallDecision { .. }
        | What::KerberosFailed { .. }
        | What::ProblemLogged { .. } => Window::Near,
        What::AuthenticationFailed { .. }
        | What::CredsspVersionRefused { .. }
        | What::NameNotResolved { .. }
        | What::PeerCertificateRefused { .. }
        | What::KeyInaccessible { .. }
        | What::TlsCredentialFailed { .. } => Window::Client,
        _ => return None,
    })
}

/// Only Remote Desktop writes this.
pub(super) fn proves_remote_desktop(what: &What) -> bool {
    matches!(
        what,
        What::ConnectionAccepted { udp: false }
            | What::ListenerAccepted { .. }
            | What::ConnectionNamed { .. }
            | What::SessionBound { .. }
            | What::MethodCalled { .. }
            | What::ErrorInfoSet { .. }
            | What::CredentialsRefused { .. }
            | What::UserAuthenticated {}
            | What::SessionLogon { local: false }
            | What::ShellStarted { local: false }
            | What::SessionReconnected { local: false, .. }
            | What::SessionDisconnected { local: false, .. }
            | What::Disconnected { .. }
            | What::SocketError { .. }
            | What::StateError { .. }
            | What::ClientConnecting { .. }
            | What::ClientConnected {}
            | What::ClientDisconnected { .. }
            | What::GatewayEvent { .. }
            | What::BrokerEvent { .. }
            | What::AccessDenied {}
            | What::CredsspVersionRefused { .. }
    )
}

/// Without a connection that it belongs to, this is one of its own.
pub(super) fn opens_a_connection(what: &What) -> bool {
    proves_remote_desktop(what)
        || matches!(
            what,
            What::LogonSucceeded { logon_type: 10, .. }
                | What::LogonFailed { logon_type: 10, .. }
                | What::ArbitrationBegan {}
                | What::KerberosFailed { .. }
                | What::NtlmBlocked { .. }
        )
}

/// It happens to all connections of the host.
pub(super) fn concerns_every_connection(what: &What) -> bool {
    matches!(what, What::HostStopped { .. } | What::ServiceProblem { .. } | What::ClockChanged { .. })
}
