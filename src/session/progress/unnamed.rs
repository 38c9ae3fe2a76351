//! Endings that no code names: a program that crashed, a host that fell asleep, a logon that was not let in or that
//! nobody waited for.

use super::super::{Outcome, Role, Seen, Session};
use super::logged::was_let_in;
use crate::fact::{Side, What};
use crate::step::Step;
use crate::wire::session_info::LogonErrorType;

const SECOND_NS: i64 = 1_000_000_000;
/// What ends with a crash or with sleep is told in any order within this time.
const TOGETHER_NS: i64 = 2 * SECOND_NS;
/// A connection that is lost so long behind sleep or waking was lost by it.
const ASLEEP_NS: i64 = 60 * SECOND_NS;
/// A logon or a first picture that takes longer than this is slow.
const SLOW_NS: i64 = 30 * SECOND_NS;
/// A connection that ends so soon behind a refusal at the logon screen was not mended there.
const SCREEN_NS: i64 = 60 * SECOND_NS;

/// How a connection that came to its session ended, when one of these is why.
pub(super) fn behind_the_start(session: &Session) -> Option<(Outcome, Step)> {
    if refused_at_screen(session).is_some() {
        return Some((Outcome::Refused, Step::Logon));
    }
    if crashed(session).or_else(|| fell_asleep(session)).is_some() {
        return Some((Outcome::Broke, Step::Active));
    }
    stuck(session).map(|step| (Outcome::Broke, step))
}

/// A program of Remote Desktop crashed at one end, and the connection with it.
pub(super) fn crashed(session: &Session) -> Option<&Seen> {
    session.facts.iter().find(|seen| {
        let part = part_of(session, seen);
        let fits = match seen.what() {
            What::ServiceProblem { log, event: 7031 | 7034, detail: Some(detail), .. } if log == "scm" => {
                is_the_service(detail) && part == Some(Role::Server)
            }
            What::ServiceProblem { log, event: 18, .. } if log == "lsm" => part == Some(Role::Server),
            What::ProblemLogged { log, event: 1000, detail: Some(program), .. }
                if log == "application-error" =>
            {
                let program = program.to_ascii_lowercase();
                let of = |names: [&str; 2]| names.iter().any(|name| program.contains(name));
                match part {
                    Some(Role::Server) => of(["termservice", "rdpcorets"]),
                    Some(Role::Client) => of(["mstsc", "msrdc"]),
                    _ => false,
                }
            }
            _ => false,
        };
        fits && !was_over(session, seen)
    })
}

/// Remote Desktop Services themselves, and none of the services beside them.
fn is_the_service(detail: &str) -> bool {
    detail.split(", ").any(|part| {
        let name = part.split_once('=').map_or(part, |(_, name)| name);
        ["TermService", "Remote Desktop Services", "Terminal Services"].contains(&name)
    })
}

/// The server went to sleep, and the connection was lost by it. One that outlives sleep was not.
fn fell_asleep(session: &Session) -> Option<&Seen> {
    let asleep = session.facts.iter().find(|seen| {
        matches!(seen.what(), What::HostStopped { event: 42, .. })
            && part_of(session, seen) == Some(Role::Server)
            && !was_over(session, seen)
    })?;
    let woke =
        session.find(|what| matches!(what, What::LogSays { log, event: 107, .. } if log == "kernel-power"));
    let near = |seen: &Seen| {
        [Some(asleep), woke].into_iter().flatten().any(|from| {
            let after = seen.at.since(from.at);
            (0..=ASLEEP_NS).contains(&after)
        })
    };
    let lost = session.facts.iter().any(|seen| is_lost(seen.what()) && near(seen));
    let said_bye = session.find(|what| matches!(what, What::Ultimatum { by: Side::Client, .. }));
    (lost && said_bye.is_none()).then_some(asleep)
}

const fn is_lost(what: &What) -> bool {
    matches!(
        what,
        What::SocketError { .. }
            | What::Disconnected { .. }
            | What::Reset { .. }
            | What::ProbesUnanswered { .. }
    )
}

/// The server let nobody in at its logon screen, and the connection ended there.
pub(super) fn refused_at_screen(session: &Session) -> Option<&Seen> {
    let refused = session.facts.iter().find(|seen| match seen.what() {
        What::SessionInfo { error: Some(error), .. } => is_contention(*error),
        What::AutoReconnectRefused { .. } => true,
        What::ProblemLogged { log, event, .. } => {
            matches!((log.as_str(), *event), ("rdpcorets", 146) | ("rcm", 1041))
        }
        _ => false,
    })?;
    let told = session.find(|what| matches!(what, What::SessionInfo { kind: 0..=2, .. }));
    let soon = ended_at(session).is_some_and(|end| (0..=SCREEN_NS).contains(&end.at.since(refused.at)));
    (told.is_none() && !was_let_in(session) && soon).then_some(refused)
}

/// Somebody else has the session or the last one that there is.
const fn is_contention(error: LogonErrorType) -> bool {
    matches!(
        error,
        LogonErrorType::BUMP_OPTIONS
            | LogonErrorType::DISCONNECT_REFUSED
            | LogonErrorType::SESSION_BUSY_OPTIONS
    )
}

/// The step that took so long that the connection ended in it: the server's log has its beginning, not its end, and
/// something that says why.
fn stuck(session: &Session) -> Option<Step> {
    let ended = ended_at(session)?;
    let waits = |from: &Seen| ended.at.since(from.at) >= SLOW_NS;
    let picture = session.find(|what| matches!(what, What::FirstPicture { .. } | What::ShellStarted { .. }));
    let again = session.find(|what| matches!(what, What::SessionReconnected { .. }));
    if picture.is_some() || again.is_some() || session.find(is_slow).is_none() {
        return None;
    }
    let logged_on = session.find(|what| matches!(what, What::SessionLogon { local: false }));
    let began = session.find(|what| matches!(what, What::ArbitrationBegan {}));
    match (logged_on, began) {
        (Some(logged_on), _) => waits(logged_on).then_some(Step::Active),
        (None, Some(began)) if !was_told(session) => waits(began).then_some(Step::Logon),
        _ => None,
    }
}

/// The client was told of its session.
fn was_told(session: &Session) -> bool {
    session
        .find(|what| matches!(what, What::ClientLoggedOn { .. } | What::SessionInfo { kind: 0..=2, .. }))
        .is_some()
}

/// A part of the logon, of the session or of its desktop takes too long, or failed.
fn is_slow(what: &What) -> bool {
    match what {
        What::LogSays { log, event, .. } => {
            matches!((log.as_str(), *event), ("winlogon", 6005 | 6006) | ("rcm", 20499))
        }
        What::ProblemLogged { log, event, .. } => matches!(
            (log.as_str(), *event),
            ("rcm", 20498)
                | ("lsm", 43 | 48..=53)
                | ("dwm", 9002 | 9020 | 9028)
                | ("dwminit", 0)
                | ("display", 4101)
        ),
        _ => false,
    }
}

fn ended_at(session: &Session) -> Option<&Seen> {
    session.find(|what| {
        what.end().is_some()
            || matches!(what, What::Ultimatum { .. } | What::Disconnected { .. } | What::SocketError { .. })
    })
}

/// The connection or its session had ended before, by whoever.
fn was_over(session: &Session, at: &Seen) -> bool {
    session.facts.iter().any(|seen| match seen.what() {
        What::Ultimatum { by: Side::Client, .. } | What::LoggedOff { by_user: true, .. } => seen.at <= at.at,
        What::SessionLogoff {}
        | What::SessionDisconnected { local: false, .. }
        | What::Disconnected { .. }
        | What::SocketError { .. }
        | What::ClientDisconnected { .. } => at.at.since(seen.at) > TOGETHER_NS,
        what => what.end().is_some() && at.at.since(seen.at) > TOGETHER_NS,
    })
}

/// The part that the host which wrote a record plays here.
fn part_of(session: &Session, seen: &Seen) -> Option<Role> {
    let host = &seen.fact.subject.keys()?.host;
    session.hosts.iter().find(|part| part.host == *host).map(|part| part.role)
}
