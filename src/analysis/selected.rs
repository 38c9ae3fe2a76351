//! The part of an answer that is about what a person asks for.

use std::net::{IpAddr, SocketAddr};

use super::Analysis;
use super::unmatched::Unmatched;
use crate::diagnosis::Said;
use crate::session::{Attempt, Role, Session, is_same_user};
use crate::time::{Stretch, UnixNanos};

/// Which attempts are wanted; an empty selection wants all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selection {
    /// At this moment, give or take so many nanoseconds.
    pub at: Option<(UnixNanos, i64)>,
    /// The client's address, also with its port, or a part of its name.
    pub client: Option<String>,
    /// The server's address, also with its port, or a part of its name; of a session through a gateway also the host's behind it.
    pub server: Option<String>,
    /// The user's name.
    pub user: Option<String>,
    /// The numbers of the error box.
    pub said: Option<Said>,
    /// The part of the timelines that is listed; it leaves out no attempt.
    pub timeline: Stretch,
}

impl Analysis {
    /// Leaves out the attempts that are not wanted, with their sessions, and counts them.
    pub fn select(&mut self, selection: &Selection) {
        self.select_as(selection, &str::to_owned, true);
    }

    /// The same where the names that are asked for are those that `real` makes of the names of the sessions.
    pub fn select_by(&mut self, selection: &Selection, real: &dyn Fn(&str) -> String) {
        self.select_as(selection, real, false);
    }

    /// `shows` says whether the answer may repeat what was asked for.
    fn select_as(&mut self, selection: &Selection, real: &dyn Fn(&str) -> String, shows: bool) {
        self.said = selection.said;
        self.timeline = selection.timeline;
        let mut wanted: Vec<bool> = self
            .story
            .attempts
            .iter()
            .map(|attempt| {
                let sessions: Vec<&Session> =
                    attempt.sessions.iter().filter_map(|index| self.story.sessions.get(*index)).collect();
                selection.wants(&sessions, real)
            })
            .collect();
        if !wanted.is_empty() && !wanted.contains(&true) {
            self.unmatched = Some(Unmatched::of(self, selection, real, shows));
        }
        if let Some(said) = selection.said {
            self.narrow(said, &mut wanted);
        }
        self.keep(&wanted);
    }

    /// Of the failed attempts only those that the box can tell of, when there are any.
    fn narrow(&self, said: Said, wanted: &mut [bool]) {
        let may_be = |attempt: &Attempt| {
            let session = self.story.sessions.get(attempt.decisive);
            attempt.outcome.is_failure() && session.is_some_and(|s| said.contradicted_by(s).is_none())
        };
        let fits: Vec<bool> = self.story.attempts.iter().map(may_be).collect();
        if fits.iter().zip(wanted.iter()).any(|(fits, wanted)| *fits && *wanted) {
            for (wanted, fits) in wanted.iter_mut().zip(fits) {
                *wanted &= fits;
            }
        }
    }

    fn keep(&mut self, wanted: &[bool]) {
        let mut new_index: Vec<Option<usize>> = vec![None; self.story.sessions.len()];
        let attempts = std::mem::take(&mut self.story.attempts);
        let (kept, left): (Vec<_>, Vec<_>) =
            attempts.into_iter().zip(wanted).partition(|(_, wanted)| **wanted);
        self.left_out += left.len();
        for index in kept.iter().flat_map(|(attempt, _)| &attempt.sessions) {
            if let Some(slot) = new_index.get_mut(*index) {
                *slot = Some(0);
            }
        }
        for (number, slot) in new_index.iter_mut().filter(|slot| slot.is_some()).enumerate() {
            *slot = Some(number);
        }
        let mut stays = new_index.iter().map(Option::is_some);
        self.story.sessions.retain(|_| stays.next().unwrap_or(false));
        let mut stays = new_index.iter().map(Option::is_some);
        self.verdicts.retain(|_| stays.next().unwrap_or(false));
        let anew = |index: usize| new_index.get(index).copied().flatten().unwrap_or(0);
        self.story.attempts = kept
            .into_iter()
            .map(|(attempt, _)| Attempt {
                sessions: attempt.sessions.iter().map(|index| anew(*index)).collect(),
                decisive: anew(attempt.decisive),
                ..attempt
            })
            .collect();
    }
}

impl Selection {
    pub(super) fn wants(&self, sessions: &[&Session], real: &dyn Fn(&str) -> String) -> bool {
        let names = |session: &Session, role| -> Vec<String> {
            names(session, role).iter().map(|name| real(name)).collect()
        };
        let any = |accepts: &dyn Fn(&Session) -> bool| sessions.iter().any(|session| accepts(session));
        let at = self.at.is_none_or(|(at, window)| {
            any(&|session| {
                session.start <= at.plus(window) && session.end >= at.plus(window.saturating_neg())
            })
        });
        let client = self.client.as_deref().is_none_or(|asked| {
            any(&|session| {
                let names = names(session, Role::Client);
                let addresses = [session.client_ip(), session.far_client_ip()];
                let ends = [session.client()].into_iter().flatten();
                is_end(
                    asked,
                    &addresses.into_iter().flatten().collect::<Vec<_>>(),
                    &ends.collect::<Vec<_>>(),
                    &names,
                )
            })
        });
        let server = self.server.as_deref().is_none_or(|asked| {
            any(&|session| {
                let ends = server_ends(session);
                let addresses: Vec<IpAddr> = ends.iter().map(SocketAddr::ip).collect();
                is_end(asked, &addresses, &ends, &names(session, Role::Server))
            })
        });
        let user = self.user.as_deref().is_none_or(|asked| {
            let account = asked.rsplit('\\').next().unwrap_or(asked);
            any(&|session| session.user_name().is_some_and(|name| is_same_user(&real(name), account)))
        });
        at && client && server && user
    }
}

/// What its client can be asked for by.
pub(super) fn client_names(session: &Session) -> Vec<String> {
    let addresses = [session.client_ip(), session.far_client_ip()].into_iter().flatten();
    addresses.map(|address| address.to_string()).chain(names(session, Role::Client)).collect()
}

/// What its server can be asked for by.
pub(super) fn server_names(session: &Session) -> Vec<String> {
    let addresses: Vec<String> = server_ends(session).iter().map(|end| end.ip().to_string()).collect();
    addresses.into_iter().chain(names(session, Role::Server)).collect()
}

/// Where it goes, and behind a gateway the host's end: as a capture has it, or as the client asked the gateway for it.
fn server_ends(session: &Session) -> Vec<SocketAddr> {
    let asked_for = session
        .target()
        .and_then(|(target, port)| Some(SocketAddr::new(target.parse().ok()?, u16::try_from(port).ok()?)));
    session.server().into_iter().chain(session.to_host().map(|leg| leg.server)).chain(asked_for).collect()
}

/// The names that a session has for an end.
fn names(session: &Session, role: Role) -> Vec<String> {
    let mut names: Vec<String> =
        session.hosts.iter().filter(|part| part.role == role).map(|part| part.host.clone()).collect();
    match role {
        Role::Client => {
            names.extend(session.hosts.iter().filter_map(|part| part.workstation.clone()));
            names.extend(session.client_name());
        }
        _ => {
            names.extend(session.server_name());
            // Behind a gateway: the host that the client asked it for.
            names.extend(session.target().map(|(target, _)| target.to_owned()));
        }
    }
    names
}

/// An address, an address and port as a verdict's first line has them, or a part of a name.
fn is_end(asked: &str, addresses: &[IpAddr], ends: &[SocketAddr], names: &[String]) -> bool {
    if let Ok(end) = asked.parse::<SocketAddr>() {
        return ends.contains(&end);
    }
    match asked.parse::<IpAddr>() {
        Ok(ip) => addresses.contains(&ip),
        Err(_) => names.iter().any(|name| name.to_lowercase().contains(&asked.to_lowercase())),
    }
}
