//! LocalSessionManager: sessions, of Remote Desktop and of the console alike. `UserData/EventXML`.

use super::generic::{note, problem, service};
use super::{EventMap, Log, Seen, activity_key, event, value};
use crate::codes::ErrorInfo;
use crate::fact::{Keys, What};

pub(super) const LOG: Log = Log {
    name: "lsm",
    providers: &["Microsoft-Windows-TerminalServices-LocalSessionManager"],
    channels: &["Microsoft-Windows-TerminalServices-LocalSessionManager/"],
    keys,
    events: EVENTS,
};

const EVENTS: &[EventMap] = &[
    event(16, "the session manager could not start", service),
    event(17, "Remote Desktop Services could not start", service),
    event(18, "Remote Desktop Services died and will be started again", service),
    event(19, "the session manager could not register itself", service),
    event(20, "a message to the graphics subsystem failed", problem),
    event(21, "a user was logged on to a new session", |seen| {
        Some(What::SessionLogon { local: is_local(seen) })
    }),
    event(22, "the shell was started", |seen| Some(What::ShellStarted { local: is_local(seen) })),
    event(23, "the session was logged off", |_| Some(What::SessionLogoff {})),
    event(24, "the session was disconnected", |seen| {
        Some(What::SessionDisconnected { name: None, local: is_local(seen) })
    }),
    event(25, "a user was connected to a session that existed", |seen| {
        Some(What::SessionReconnected { name: None, local: is_local(seen) })
    }),
    event(33, "a plug-in of the session manager failed", service),
    event(34, "no logons: the system is being set up", service),
    event(35, "a program delays the news of the session", note),
    event(36, "the state of the session ran into an error", state_error),
    event(37, "the state of the session cannot be left this way", state_error),
    event(38, "the state of the session moved on", note),
    event(39, "a session was disconnected by a session", |seen| {
        Some(What::SessionEnded { by_session: seen.number("Source"), reason: None })
    }),
    event(40, "a session was disconnected", |seen| {
        Some(What::SessionEnded { by_session: None, reason: seen.number("Reason").map(ErrorInfo) })
    }),
    event(41, "the search for the right session begins", |_| Some(What::ArbitrationBegan {})),
    event(42, "the search for the right session is over", |_| Some(What::ArbitrationEnded {})),
    event(43, "the windows subsystem takes too long to connect the session", problem),
    event(44, "the windows subsystem takes too long to disconnect the session", problem),
    event(45, "the windows subsystem takes too long to end the session", problem),
    event(48, "the connection manager takes too long with the message of a logon", problem),
    event(
        49,
        "the connection manager takes too long to prepare for the search for the right session",
        problem,
    ),
    event(50, "the connection manager takes too long to begin connecting", problem),
    event(51, "the connection manager takes too long to end connecting", problem),
    event(52, "the connection manager takes too long to begin disconnecting", problem),
    event(53, "the connection manager takes too long to end disconnecting", problem),
    event(54, "the system shuts down", note),
    event(55, "Remote Desktop Services take long to start", note),
    event(56, "Remote Desktop Services take long to stop", note),
    event(57, "the first programs of the session were started", note),
    event(58, "the first programs of the session were started", note),
    event(59, "a program asked for something to be done to a session", note),
    event(60, "the console was connected again", note),
    event(61, "the console was connected again", note),
];

fn keys(seen: &Seen<'_>, keys: &mut Keys) {
    activity_key(seen, keys);
    if let Some(user) = seen.peek("User") {
        value::set_user(keys, &user);
    }
    if let Some(address) = seen.peek("Address") {
        value::set_address(keys, &address);
    }
    let sessions = ["SessionID", "Session", "TargetSession", "SessionId"];
    keys.session_id = sessions.iter().find_map(|name| seen.number(name));
}

fn is_local(seen: &Seen<'_>) -> bool {
    value::is_local(seen.peek("Address").as_deref())
}

fn state_error(seen: &Seen<'_>) -> Option<What> {
    Some(What::StateError {
        machine: Some("session".to_owned()),
        from: seen.any(&["StateName", "State"]),
        to: None,
        event: seen.any(&["EventName", "Event"]),
        status: seen.status("ErrorCode"),
    })
}
