//! RdpCoreTS: the protocol stack of the server, its finest ladder. `EventData` with names.

use super::generic::{detail, note, problem, service};
use super::{EventMap, Log, Seen, activity_key, event, value};
use crate::codes::{ErrorInfo, Status};
use crate::fact::{Keys, Side, What};

pub(super) const LOG: Log = Log {
    name: "rdpcorets",
    providers: &["Microsoft-Windows-RemoteDesktopServices-RdpCoreTS"],
    channels: &["Microsoft-Windows-RemoteDesktopServices-RdpCoreTS/"],
    keys,
    events: EVENTS,
};

/// What a session does with the size of its screen.
pub(super) const SESSION_SERVICES: Log = Log {
    name: "session-services",
    providers: &["Microsoft-Windows-RemoteDesktopServices-SessionServices"],
    channels: &["Microsoft-Windows-RemoteDesktopServices-SessionServices/"],
    keys,
    events: &[event(2, "the resolution of the session could not be changed", note)],
};

const EVENTS: &[EventMap] = &[
    event(1, "the graphics module could not start", service),
    event(3, "the RemoteFX module could not start in the guest", service),
    event(4, "the RemoteFX module could not start", service),
    event(6, "the resolution that was asked for is not used", note),
    event(7, "the resolution that was asked for is not used", note),
    event(8, "a module was ended", note),
    event(33, "the graphics mode is chosen: the session exists", note),
    event(34, "the graphics mode is chosen: the session exists", note),
    event(35, "the graphics of the session could not start on the host", problem),
    event(36, "the graphics of the session could not start", problem),
    event(37, "the resolution that was asked for is changed", note),
    event(38, "the resolution that was asked for is changed", note),
    event(65, "the connection has a name", named),
    event(66, "the connection belongs to a session", bound),
    event(67, "the connection ran into an error", problem),
    event(68, "the first picture was sent", first_picture),
    event(69, "a listener module was loaded", note),
    event(70, "a display driver was loaded", note),
    event(71, "the connection has a display driver", note),
    event(72, "a method of the protocol stack is called", method),
    event(73, "inner encryption is off", note),
    event(97, "a component found a protocol error and dropped the client", protocol_error),
    event(98, "the protocol is complete: licensing is done", |_| Some(What::Licensed {})),
    event(99, "the TCP connection failed", |seen| {
        Some(What::TransportFailed { status: seen.status("ResultCode") })
    }),
    event(100, "the client can use UDP", multitransport),
    event(102, "the server ended the main connection", note),
    event(103, "the connection ended", |seen| {
        Some(What::Disconnected { reason: ErrorInfo(seen.number("ReasonCode")?) })
    }),
    event(104, "the client's time zone is known: its Client Info was read", |_| {
        Some(What::hidden_client_info())
    }),
    event(105, "the settings allow Standard RDP Security", note),
    event(106, "the listener is disabled: the client is told to connect again", note),
    event(107, "the client ended the connection in order", |_| {
        Some(What::Ultimatum { by: Side::Client, reason: None, or: None })
    }),
    event(129, "the server listens", note),
    event(130, "the server asks the client to use UDP", multitransport),
    event(131, "the server accepted a connection", accepted),
    event(132, "a channel is connected", channel),
    event(133, "round-trip time and bandwidth were measured", multitransport),
    event(135, "the question of UDP is settled", multitransport),
    event(136, "UDP cannot be used: TCP goes on", multitransport),
    event(137, "round-trip time and bandwidth are poor", multitransport),
    event(138, "DTLS could not start: TLS goes on", multitransport),
    event(139, "the security layer failed and the client was dropped", |seen| {
        Some(What::SecurityError { status: seen.status("ResultCode") })
    }),
    event(140, "user name or password is wrong", |_| Some(What::CredentialsRefused { status: None })),
    event(141, "the connection has a performance counter", note),
    event(142, "reading from the socket failed", |seen| socket_error(seen, false)),
    event(143, "writing to the socket failed", |seen| socket_error(seen, true)),
    event(144, "the socket was closed in order", note),
    event(146, "connecting again by itself failed", problem),
    event(147, "the server could not log the user on", problem),
    event(149, "the client's logon certificate is not valid", problem),
    event(150, "sending takes long: the network is in trouble", note),
    event(151, "statistics of the heartbeats of the connection", note),
    event(152, "the last heartbeats of the connection", note),
    event(153, "TLS is established", |seen| {
        Some(What::TlsEstablished { version: seen.text("TLSVersion"), suite: None, target: None })
    }),
    event(154, "an error in words", problem),
    event(155, "heartbeats of the connection are used", note),
    event(161, "the graphics encoder failed", problem),
    event(162, "the graphics protocol is chosen", note),
    event(164, "the client asked for what the server cannot do", problem),
    event(168, "the client has monitors of this size", note),
    event(169, "the client runs on this kind of system", note),
    event(170, "how pictures are encoded", note),
    event(171, "how pictures are encoded", note),
    event(172, "how pictures are encoded", note),
    event(173, "how pictures are encoded", note),
    event(225, "a state machine moved on", note),
    event(226, "a state machine ran into an error", state_error),
    event(228, "why a component disconnects", |seen| {
        Some(What::DisconnectTraced {
            component: seen.text("ComponentName"),
            message: seen.text("Message"),
            code: seen.status("ErrorCode"),
        })
    }),
    event(229, "a remark", note),
    event(289, "the server connects back by UDP", multitransport),
    event(290, "the server connects back by UDP", multitransport),
    event(291, "connecting back by UDP failed", multitransport),
    event(292, "the server connects back by UDP", multitransport),
    event(293, "the server connects back by UDP", multitransport),
    event(294, "the server connects back by UDP", multitransport),
];

fn keys(seen: &Seen<'_>, keys: &mut Keys) {
    activity_key(seen, keys);
    if let Some(text) = seen.peek_any(&["ClientIP", "IPString"]) {
        value::set_address(keys, &text);
    }
    keys.session_id = seen.number("SessionID");
}

fn accepted(seen: &Seen<'_>) -> Option<What> {
    let udp = seen.peek("ConnType").is_some_and(|kind| kind.trim().eq_ignore_ascii_case("UDP"));
    Some(What::ConnectionAccepted { udp })
}

fn named(seen: &Seen<'_>) -> Option<What> {
    Some(What::ConnectionNamed { name: seen.text("ConnectionName")? })
}

fn bound(seen: &Seen<'_>) -> Option<What> {
    Some(What::SessionBound { name: seen.text("ConnectionName") })
}

fn first_picture(seen: &Seen<'_>) -> Option<What> {
    Some(What::FirstPicture { after_ms: seen.number("FirstGraphicsReceived") })
}

fn channel(seen: &Seen<'_>) -> Option<What> {
    Some(What::ChannelOpened { name: seen.text("ChannelName")?, tunnel: seen.number("TunnelID") })
}

fn protocol_error(seen: &Seen<'_>) -> Option<What> {
    Some(What::ProtocolError { component: seen.text("ComponentName"), status: seen.status("ErrorCode") })
}

fn socket_error(seen: &Seen<'_>, writing: bool) -> Option<What> {
    Some(What::SocketError { code: Status(seen.number("error")?), writing })
}

pub(super) fn multitransport(seen: &Seen<'_>) -> Option<What> {
    let says = seen.event.says.to_owned();
    Some(What::MultitransportLogged { event: seen.record.id, says, detail: detail(seen) })
}

/// 226, of the server and of the client.
pub(super) fn state_error(seen: &Seen<'_>) -> Option<What> {
    Some(What::StateError {
        machine: seen.any(&["StateTransition", "StateTransitionName"]),
        from: seen.any(&["PreviousStateName", "PreviousState"]),
        to: seen.any(&["NewStateName", "NewState"]),
        event: seen.any(&["EventName", "Event"]),
        status: seen.status("ErrorCode"),
    })
}

/// 72: `Name`, `Name(value)`; a value is a number, `SessionId=2` or words.
fn method(seen: &Seen<'_>) -> Option<What> {
    let text = seen.text("MethodName")?;
    let (name, value) = match text.split_once('(') {
        Some((name, rest)) => (name.trim(), Some(rest.trim_end_matches(')').trim())),
        None => (text.as_str(), None),
    };
    let code = value.and_then(value::number).map(ErrorInfo);
    match (name, code) {
        ("SetErrorInfo", Some(code)) => Some(What::ErrorInfoSet { code }),
        _ => {
            let value = value.filter(|value| !value.is_empty()).map(str::to_owned);
            Some(What::MethodCalled { method: name.to_owned(), value, code })
        }
    }
}
