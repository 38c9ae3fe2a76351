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
            What::LogSays { log, .. } | What::ProblemLogged { log, .. } if log == "rdpclient" => Self::Client,
            What::GatewayEvent { .. } => Self::Gateway,
            What::BrokerEvent { event, .. } if is_of_the_broker(*event) => Self::Broker,
            What::KerberosFailed { .. } | What::AccountLockedOut {} => Self::DomainController,
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
    /// A failure that either end logs.
    Either,
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
        | What::AccountLockedOut {}
        | What::LicenseProblem { .. }
        | What::CertificateProblem { .. }
        | What::ErrorInfoSet { .. }
        | What::FirewallDecision { .. } => Window::Near,
        What::ProblemLogged { log, .. } if is_of_both_ends(log) => Window::Either,
        What::ProblemLogged { .. } => Window::Near,
        What::KerberosFailed { .. } | What::NtlmBlocked { .. } | What::PolicyRefused { .. } => Window::Either,
        What::LogSays { log, .. } if is_told_of_sessions(log) => Window::Either,
        What::AuthenticationFailed { .. }
        | What::CredsspVersionRefused { .. }
        | What::NameNotResolved { .. }
        | What::PeerCertificateRefused { .. }
        | What::KeyInaccessible { .. }
        | What::TlsCredentialFailed { .. } => Window::Client,
        _ => return None,
    })
}

/// Logs without a key of their own in which things beside a logon stand.
fn is_told_of_sessions(log: &str) -> bool {
    ["capi2", "dwm", "kerberos", "lsasrv", "ntlm", "profiles", "schannel", "security", "winlogon"]
        .contains(&log)
}

/// Logs that a client writes as a server does.
fn is_of_both_ends(log: &str) -> bool {
    ["aad", "application-error", "capi2", "kerberos", "lsasrv", "ntlm", "rdpclient", "schannel"]
        .contains(&log)
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
        )
}

/// A domain controller checked credentials for another host, and they were not good.
pub(super) fn is_check(what: &What) -> bool {
    match what {
        What::KerberosFailed { code, .. } => !code.is_normal_step(),
        What::CredentialsValidated { status } => status.is_failure(),
        What::NtlmBlocked { .. } | What::PolicyRefused { .. } | What::AccountLockedOut {} => true,
        _ => false,
    }
}

/// It ends the session that its keys name.
pub(super) fn ends_a_session(what: &What) -> bool {
    matches!(
        what,
        What::SessionEnded { .. }
            | What::SessionDisconnected { .. }
            | What::SessionLogoff {}
            | What::LimitReached { .. }
    )
}

/// The name of a service (`class/host`) that is none of Remote Desktop's: the host itself stands for several.
fn is_another_service(target: &str) -> bool {
    let class = target.split_once('/').map(|(class, _)| class.to_ascii_uppercase());
    class.is_some_and(|class| !matches!(class.as_str(), "TERMSRV" | "HOST" | "RESTRICTEDKRBHOST"))
}

/// A TLS event whose program, or a failure to authenticate whose service, is none of Remote Desktop's; older builds do not
/// name the program.
pub(super) fn is_of_another_program(what: &What) -> bool {
    const OURS: [&str; 6] = ["svchost", "lsass", "mstsc", "msrdc", "rdpclip", "termsrv"];
    let process = match what {
        What::TlsAlertLogged { process, .. }
        | What::KeyInaccessible { process, .. }
        | What::TlsCredentialFailed { process, .. }
        | What::NoSharedSuite { process, .. }
        | What::PeerCertificateRefused { process, .. } => process.as_deref(),
        _ => None,
    };
    let other_service = match what {
        What::AuthenticationFailed { target, .. } => target.as_deref().is_some_and(is_another_service),
        _ => false,
    };
    other_service
        || process.is_some_and(|process| {
            let file = process.rsplit(['\\', '/']).next().unwrap_or(process).to_ascii_lowercase();
            !file.is_empty() && !OURS.iter().any(|ours| file.starts_with(ours))
        })
}

/// It happens to all connections of the host, or to the host they are on.
pub(super) fn concerns_every_connection(what: &What) -> bool {
    match what {
        What::HostStopped { .. } | What::ServiceProblem { .. } | What::ClockChanged { .. } => true,
        What::LogSays { log, event, .. } => is_of_the_host(log, *event),
        _ => false,
    }
}

/// What the services of Remote Desktop say of themselves, where it names nobody.
pub(super) fn is_remark_of_a_service(what: &What) -> bool {
    match what {
        What::ServerCertificate { .. } => true,
        What::LogSays { log, .. } => ["rdpcorets", "rcm", "lsm"].contains(&log.as_str()),
        _ => false,
    }
}

/// What is told of a host as a whole: its clock, power, services, policies, firewall and listeners.
fn is_of_the_host(log: &str, event: u32) -> bool {
    const HOST: [&str; 10] = [
        "eventlog",
        "firewall",
        "group-policy",
        "kernel-general",
        "kernel-power",
        "scm",
        "time-service",
        "user32",
        "error-reporting",
        "windows-update",
    ];
    match log {
        // 4672 has a logon, 4767 a user.
        "security" => !matches!(event, 4672 | 4767),
        log => HOST.contains(&log),
    }
}

/// Somebody or something changed how the host takes connections: settings of a listener, the firewall, rights and
/// groups, policies with new settings, updates, a planned restart.
pub(super) fn is_change(what: &What) -> bool {
    match what {
        What::HostStopped { event: 1074, .. } => true,
        What::LogSays { log, event, .. } => match log.as_str() {
            "rcm" => *event == 1157,
            "firewall" => matches!(event, 2004..=2006 | 2033 | 2097 | 2099),
            "security" => matches!(event, 4717 | 4718 | 4732 | 4733 | 4946..=4948),
            "group-policy" => matches!(event, 1502 | 1503),
            "windows-update" => *event == 19,
            _ => false,
        },
        _ => false,
    }
}

/// The session of the keys is this connection's from now on.
pub(super) const fn begins_a_session(what: &What) -> bool {
    matches!(what, What::SessionLogon { .. } | What::SessionReconnected { .. })
}

/// Credentials were checked, by whatever service asked for it.
pub(super) const fn is_logon_check(what: &What) -> bool {
    matches!(
        what,
        What::LogonSucceeded { logon_type: 3, .. }
            | What::LogonFailed { logon_type: 3, .. }
            | What::CredentialsValidated { .. }
    )
}

/// What the server says of a connection behind Network Level Authentication.
pub(super) const fn lets_in(what: &What) -> bool {
    matches!(
        what,
        What::UserAuthenticated {}
            | What::ClientInfo { .. }
            | What::Licensed {}
            | What::SessionLogon { .. }
            | What::SessionReconnected { .. }
            | What::FirstPicture { .. }
    )
}
