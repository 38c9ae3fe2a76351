//! What event logs say, as sentences.

use crate::codes::{FAILURE_REASONS, LOGON_TYPES, SCHANNEL_STATES, Status};
use crate::fact::What;
use crate::report::safe::printable;
use crate::session::Zone;

/// The sentence of a fact of an event log. Text from the evidence in it is printable.
pub(super) fn says(what: &What) -> Option<String> {
    let early = of_the_server(what).or_else(|| of_an_ending(what)).or_else(|| of_a_session(what));
    let later = || of_the_client(what).or_else(|| of_tls(what)).or_else(|| of_a_logon(what));
    early.or_else(later).or_else(|| of_the_host(what))
}

/// The number of a fact of an event log.
pub(super) fn code(what: &What) -> Option<String> {
    let hex = |number: u32| Some(format!("{number:#x}"));
    let status = |status: &Option<Status>| status.and_then(|status| hex(status.0));
    match what {
        What::ErrorInfoSet { code } | What::Disconnected { reason: code } => hex(code.0),
        What::SessionEnded { reason, .. } => reason.and_then(|reason| hex(reason.0)),
        What::ClientDisconnected { reason } => hex(reason.0),
        What::SocketError { code, .. } | What::CredentialsValidated { status: code } => hex(code.0),
        What::LogonFailed { status, sub_status, .. } => hex(sub_status.unwrap_or(*status).0),
        What::KerberosFailed { code, .. } => hex(code.0),
        What::TlsAlertLogged { code, .. } => Some(code.0.to_string()),
        What::NameNotResolved { code, .. }
        | What::DisconnectTraced { code, .. }
        | What::GatewayEvent { code, .. } => status(code),
        What::SecurityError { status: code }
        | What::CredentialsRefused { status: code }
        | What::ProtocolError { status: code, .. }
        | What::TransportFailed { status: code }
        | What::StateError { status: code, .. }
        | What::CertificateProblem { status: code, .. }
        | What::BrokerEvent { status: code, .. }
        | What::KeyInaccessible { status: code, .. }
        | What::PeerCertificateRefused { status: code, .. }
        | What::AuthenticationFailed { status: code, .. }
        | What::PolicyRefused { status: code, .. }
        | What::ServiceProblem { status: code, .. }
        | What::ProblemLogged { status: code, .. }
        | What::LogSays { status: code, .. } => status(code),
        _ => None,
    }
}

/// `: STATUS_... (0x...)`, or nothing.
fn why(status: Option<Status>) -> String {
    status.map(|status| format!(": {}", status.words())).unwrap_or_default()
}

/// ` for NAME`, or nothing.
fn tail(before: &str, text: Option<&String>) -> String {
    text.map(|text| format!(" {before} {}", printable(text))).unwrap_or_default()
}

/// ` (NAME)`, or nothing.
fn brackets(text: Option<&String>) -> String {
    text.map(|text| format!(" ({})", printable(text))).unwrap_or_default()
}

fn of_the_server(what: &What) -> Option<String> {
    Some(match what {
        What::ConnectionAccepted { udp: true } => "server accepts a UDP transport".to_owned(),
        What::ConnectionAccepted { .. } => "server accepts the connection".to_owned(),
        What::ListenerAccepted { listener } => {
            format!("a listener{} receives a connection", brackets(listener.as_ref()))
        }
        What::ConnectionNamed { name } => format!("the connection is called {}", printable(name)),
        What::SessionBound { name } => {
            format!("the connection{} belongs to a session", brackets(name.as_ref()))
        }
        What::MethodCalled { method, code: Some(code), .. } if method == "PreDisconnect" => {
            format!("server begins to disconnect: {}", code.words())
        }
        What::MethodCalled { method, value, .. } => {
            format!("server calls {}{}", printable(method), brackets(value.as_ref()))
        }
        What::ErrorInfoSet { code } => format!("server tells the client why: {}", code.words()),
        What::SecurityError { status } => {
            format!("TLS or CredSSP failed and the server dropped the client{}", why(*status))
        }
        What::CredentialsRefused { status } => {
            format!("server does not accept user name or password{}", why(*status))
        }
        What::ProtocolError { component, status } => {
            let who = component.as_ref().map_or("a component".to_owned(), |name| printable(name).into());
            format!("{who} found a protocol error and dropped the client{}", why(*status))
        }
        What::TransportFailed { status } => {
            format!("the TCP connection failed on the server{}", why(*status))
        }
        What::ChannelOpened { name, .. } => format!("channel {} is connected", printable(name)),
        What::FirstPicture { after_ms } => match after_ms {
            Some(ms) => format!("server sent the first picture after {ms} ms"),
            None => "server sent the first picture".to_owned(),
        },
        What::MultitransportLogged { says, detail, .. } => {
            format!("{}{}", printable(says), brackets(detail.as_ref()))
        }
        What::UserAuthenticated {} => {
            "the connection has a user: with NLA, the credentials were accepted".to_owned()
        }
        What::LicenseProblem { says, detail, .. } => {
            format!("licensing: {}{}", printable(says), brackets(detail.as_ref()))
        }
        What::ServerCertificate { thumbprint, name, self_signed } => {
            let kind = if *self_signed { "a new self-signed certificate" } else { "a new certificate" };
            let (name, thumbprint) = (tail("for", name.as_ref()), tail("with SHA-1", thumbprint.as_ref()));
            format!("server uses {kind}{name}{thumbprint}")
        }
        What::CertificateProblem { says, status, .. } => format!("{}{}", printable(says), why(*status)),
        _ => return None,
    })
}

fn of_an_ending(what: &What) -> Option<String> {
    Some(match what {
        What::SocketError { code, writing } => {
            let what = if *writing { "writing to" } else { "reading from" };
            format!("{what} the server's socket failed: {}", code.words())
        }
        What::Disconnected { reason } => format!("the connection ended on the server: {}", reason.words()),
        What::DisconnectTraced { component, message, code } => {
            let who = component.as_ref().map_or("a component".to_owned(), |name| printable(name).into());
            format!("{who} disconnects{}{}", brackets(message.as_ref()), why(*code))
        }
        What::StateError { machine, from, event, status, .. } => {
            let machine =
                machine.as_ref().map_or("a state machine".to_owned(), |name| printable(name).into());
            let (from, event) = (tail("in", from.as_ref()), tail("by", event.as_ref()));
            format!("{machine} ran into an error{from}{event}{}", why(*status))
        }
        What::LimitReached { limit, logged_off } => {
            let end = if *logged_off { "logged off" } else { "disconnected" };
            format!("the session was {} for longer than policy allows and was {end}", printable(limit))
        }
        What::SessionEnded { by_session: Some(session), .. } => {
            format!("the session was disconnected by session {session}")
        }
        What::SessionEnded { reason: Some(reason), .. } => {
            format!("the session was disconnected: {}", reason.words())
        }
        What::SessionEnded { .. } => "the session was disconnected".to_owned(),
        _ => return None,
    })
}

/// Where somebody is that a session manager tells of.
const fn place(local: bool) -> &'static str {
    if local { "at the computer itself" } else { "by Remote Desktop" }
}

fn of_a_session(what: &What) -> Option<String> {
    Some(match what {
        What::ArbitrationBegan {} => "the search for the right session begins".to_owned(),
        What::ArbitrationEnded {} => "the search for the right session is over".to_owned(),
        What::ArbitrationDeclined {} => "the user of the session let nobody else in".to_owned(),
        What::SessionLogon { local } => format!("a user was logged on to a new session {}", place(*local)),
        What::ShellStarted { local } => format!("the shell was started in a session {}", place(*local)),
        What::SessionLogoff {} => "the session was logged off".to_owned(),
        What::SessionDisconnected { name, local } => {
            format!("the session{} was disconnected; it was {}", brackets(name.as_ref()), place(*local))
        }
        What::SessionReconnected { name, local } => {
            let name = brackets(name.as_ref());
            format!("a user was connected to a session{name} that existed {}", place(*local))
        }
        What::BrokerEvent { says, target, status, .. } => {
            format!("broker: {}{}{}", printable(says), brackets(target.as_ref()), why(*status))
        }
        What::GatewayEvent { says, resource, code, .. } => {
            let code = code.filter(|code| code.is_failure());
            format!("gateway: {}{}{}", printable(says), brackets(resource.as_ref()), why(code))
        }
        _ => return None,
    })
}

fn of_the_client(what: &What) -> Option<String> {
    Some(match what {
        What::ClientConnecting { name } => format!("client starts to connect to {}", printable(name)),
        What::ClientConnected {} => "client is connected".to_owned(),
        What::ClientDisconnected { reason } => {
            let meaning = reason.row().map(|row| format!(", {}", row.meaning)).unwrap_or_default();
            format!("client is disconnected: {}{meaning}", reason.words())
        }
        What::ClientLoggedOn { domain, session } => {
            let session = session.map(|session| format!(" {session}")).unwrap_or_default();
            format!("client was told of its session{session}{}", tail("in domain", domain.as_ref()))
        }
        What::NameNotResolved { name, code } => {
            let name = name.as_ref().map_or("a name".to_owned(), |name| printable(name).into());
            format!("{name} could not be resolved{}", why(*code))
        }
        What::UserNameHash { .. } => "client tells a hash of the user name".to_owned(),
        _ => return None,
    })
}

fn of_tls(what: &What) -> Option<String> {
    let state = |state: &Option<u32>| match state {
        Some(state) => match SCHANNEL_STATES.meaning(*state) {
            Some(meaning) => format!(", state {state}: {meaning}"),
            None => format!(", state {state}"),
        },
        None => String::new(),
    };
    let kind = |server: bool| if server { "server" } else { "client" };
    let by = |process: &Option<String>| tail("in", process.as_ref());
    Some(match what {
        What::TlsEstablished { version, suite, target } => {
            let (version, suite) = (tail("version", version.as_ref()), tail("suite", suite.as_ref()));
            format!("TLS is established{version}{suite}{}", tail("with", target.as_ref()))
        }
        What::TlsAlertLogged { code, sent, state: number, target, process } => {
            let who = if *sent { "this host sent" } else { "this host received" };
            let (name, target) = (code.name().unwrap_or("unlisted"), tail("to", target.as_ref()));
            format!("{who} TLS alert {name} ({}){target}{}{}", code.0, by(process), state(number))
        }
        What::KeyInaccessible { server, status, state: number, process } => {
            let key = kind(*server);
            format!(
                "the private key of a {key} certificate cannot be used{}{}{}",
                by(process),
                why(*status),
                state(number)
            )
        }
        What::TlsCredentialFailed { server, state: number, process } => {
            format!("no TLS credential of a {} could be made{}{}", kind(*server), by(process), state(number))
        }
        What::NoSharedSuite { version, process } => {
            let version = brackets(version.as_ref());
            format!("the client{version} offers no cipher suite that this host has{}", by(process))
        }
        What::PeerCertificateRefused { says, status, process, .. } => {
            format!("{}{}{}", printable(says), by(process), why(*status))
        }
        _ => return None,
    })
}

fn of_a_logon(what: &What) -> Option<String> {
    let kind = |number: u32| match LOGON_TYPES.name(number) {
        Some(name) => format!("type {number}, {name}"),
        None => format!("type {number}"),
    };
    Some(match what {
        What::LogonSucceeded { logon_type, package, restricted_admin, credential_guard, .. } => {
            let package = tail("by", package.as_ref());
            let restricted = if *restricted_admin { ", Restricted Admin" } else { "" };
            let guard = if *credential_guard { ", Remote Credential Guard" } else { "" };
            format!("logon ({}){package}{restricted}{guard}", kind(*logon_type))
        }
        What::LogonFailed { logon_type, status, sub_status, failure_reason, .. } => {
            let code = sub_status.unwrap_or(*status);
            let reason = failure_reason.and_then(|reason| FAILURE_REASONS.meaning(reason));
            let reason = reason.map(|reason| format!(", {reason}")).unwrap_or_default();
            format!("logon failed ({}): {}{reason}", kind(*logon_type), code.words())
        }
        What::CredentialsValidated { status } if status.is_failure() => {
            format!("the credentials are not good: {}", status.words())
        }
        What::CredentialsValidated { .. } => "the credentials are good (NTLM)".to_owned(),
        What::ExplicitCredentials { target, .. } => {
            format!("a program used other credentials than its own{}", tail("for", target.as_ref()))
        }
        What::LoggedOff { by_user: true, .. } => "the user logged off".to_owned(),
        What::LoggedOff { .. } => "a logon ended".to_owned(),
        What::AccessDenied {} => "the user has no right to use Remote Desktop here".to_owned(),
        What::AccountLockedOut {} => "the account was locked out".to_owned(),
        What::AuthenticationFailed { target, protocol, status } => {
            let (target, protocol) = (tail("to", target.as_ref()), tail("by", protocol.as_ref()));
            format!("authentication{target}{protocol} failed{}", why(*status))
        }
        What::CredsspVersionRefused { target, version } => {
            let version = version.map(|version| format!(" {version}")).unwrap_or_default();
            let target = tail("of", target.as_ref());
            format!("policy does not allow CredSSP version{version}{target} (encryption oracle remediation)")
        }
        What::NtlmBlocked { place, target, .. } => {
            format!("policy blocks {} NTLM{}", printable(place), tail("to", target.as_ref()))
        }
        What::KerberosFailed { .. } => super::beside::says(what)?,
        What::PolicyRefused { status, policy } => {
            format!(
                "an authentication policy{} does not let the user in{}",
                brackets(policy.as_ref()),
                why(*status)
            )
        }
        _ => return None,
    })
}

/// The zone of a host, with how far its standard time is from UTC: `Pacific Standard Time, standard time UTC-08:00`.
pub(in crate::report) fn zone(zone: &Zone) -> String {
    let west = zone.standard_bias;
    let (hours, minutes) = (west.unsigned_abs() / 60, west.unsigned_abs() % 60);
    let sign = if west > 0 { '-' } else { '+' };
    format!("{}, standard time UTC{sign}{hours:02}:{minutes:02}", printable(&zone.name))
}

fn of_the_host(what: &What) -> Option<String> {
    Some(match what {
        What::FirewallDecision { allowed, inbound, local_port, .. } => {
            let verb = if *allowed { "let pass" } else { "blocked" };
            let way = if *inbound { "incoming" } else { "outgoing" };
            let port = local_port.map(|port| format!(" at port {port}")).unwrap_or_default();
            format!("the firewall {verb} {way} traffic of Remote Desktop{port}")
        }
        What::ClockChanged { from, to } => format!("the clock was set from {from} to {to}"),
        What::HostZone { booted, zone, standard_bias } => {
            let bias = standard_bias.as_ref().and_then(|bias| bias.parse().ok());
            let zone = zone.clone().zip(bias).map(|(name, standard_bias)| Zone { name, standard_bias });
            let zone = zone.map(|told| format!(", in the zone {}", self::zone(&told))).unwrap_or_default();
            format!("the host is up since {booted}{zone}")
        }
        What::HostStopped { says, detail, .. } => format!("{}{}", printable(says), brackets(detail.as_ref())),
        What::ServiceProblem { says, status, detail, .. }
        | What::ProblemLogged { says, status, detail, .. }
        | What::LogSays { says, status, detail, .. } => {
            format!("{}{}{}", printable(says), brackets(detail.as_ref()), why(*status))
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(line: &str) -> String {
        let what = What::parse(line).unwrap();
        let code = code(&what).map(|code| format!(" [{code}]")).unwrap_or_default();
        format!("{}{code}", says(&what).unwrap())
    }

    #[test]
    fn facts_of_logs_are_told_with_the_names_of_their_codes() {
        for (line, text) in [
            ("accepted", "server accepts the connection"),
            ("listener-accepted listener=RDP-Tcp", "a listener (RDP-Tcp) receives a connection"),
            (
                "error-info-set code=0x7",
                "server tells the client why: ERRINFO_SERVER_DENIED_CONNECTION (0x7) [0x7]",
            ),
            (
                "method method=PreDisconnect value=5 code=0x5",
                "server begins to disconnect: ERRINFO_DISCONNECTED_BY_OTHERCONNECTION (0x5)",
            ),
            ("method method=OnConnected", "server calls OnConnected"),
            (
                "logon-failed logon_type=3 status=0xc000006d sub_status=0xc000006a failure_reason=2313",
                "logon failed (type 3, network): STATUS_WRONG_PASSWORD (0xc000006a), the user is not known or the \
                 password is wrong [0xc000006a]",
            ),
            ("disconnected reason=0xe", "the connection ended on the server: connection lost (0xe) [0xe]"),
            (
                "client-disconnected reason=0x3",
                "client is disconnected: disconnectReasonByServer (0x3), the server ended it and said why: read the \
                 extended code [0x3]",
            ),
            ("session-logon local=yes", "a user was logged on to a new session at the computer itself"),
            (
                "key-inaccessible server=yes status=0x8009030d state=10001",
                "the private key of a server certificate cannot be used: SEC_E_UNKNOWN_CREDENTIALS (0x8009030d), state \
                 10001: the private key of the credential cannot be used: its file cannot be read, or it is missing \
                 [0x8009030d]",
            ),
            ("client-connecting name=\"a\u{1b}b\"", "client starts to connect to a\\u{1b}b"),
        ] {
            assert_eq!(said(line), text);
        }
    }
}
