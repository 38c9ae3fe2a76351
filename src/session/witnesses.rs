//! Which witnesses could have told of a session: those that looked at that time at one of its ends.

use super::{Role, Session, Story, Witness};

impl Story {
    /// Indices of the witnesses that tell of a session, or could have: they looked at some time of it, and are one of its
    /// ends, or told of another session of the same client or server. `witnesses` are those that were joined.
    #[must_use]
    pub fn could_tell(&self, session: &Session, witnesses: &[Witness]) -> Vec<u32> {
        let telling = session.witnesses();
        let covers = |index: u32| {
            let place = usize::try_from(index).ok();
            let span = place.and_then(|index| *self.covers.get(index)?);
            span.is_some_and(|(from, until)| from <= session.end && session.start <= until)
        };
        let beside: Vec<Vec<u32>> = self
            .sessions
            .iter()
            .filter(|other| shares_an_end(session, other))
            .map(Session::witnesses)
            .collect();
        let is_there = |index: u32, witness: &Witness| {
            let is_end = witness.host.as_deref().is_some_and(|host| self.is_end(session, host));
            is_end || beside.iter().any(|known| known.contains(&index))
        };
        let could = |(index, witness): &(u32, &Witness)| {
            telling.contains(index) || (covers(*index) && is_there(*index, witness))
        };
        (0_u32..).zip(witnesses).filter(could).map(|(index, _)| index).collect()
    }

    /// The host of this name is the client or the server.
    fn is_end(&self, session: &Session, host: &str) -> bool {
        let ends = [session.client_ip(), session.server().map(|end| end.ip())];
        ends.into_iter().flatten().any(|address| self.names.is_host(host, address) == Some(true))
    }
}

fn shares_an_end(a: &Session, b: &Session) -> bool {
    let same = |of: &dyn Fn(&Session) -> Option<std::net::IpAddr>| of(a).is_some() && of(a) == of(b);
    let host = |role: Role| a.host(role).is_some() && a.host(role) == b.host(role);
    same(&|session| session.server().map(|end| end.ip()))
        || same(&|session| session.client_ip())
        || host(Role::Server)
        || host(Role::Client)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::fact::{Fact, Keys, Reading, Subject, What};
    use crate::note::Place;
    use crate::session::{Coverage, join};
    use crate::time::UnixNanos;

    fn host(name: &str, covers: (i64, i64)) -> Witness {
        let coverage =
            Coverage { covers: Some((UnixNanos(covers.0), UnixNanos(covers.1))), ..Coverage::default() };
        Witness { name: name.to_owned(), inputs: Vec::new(), host: Some(name.to_owned()), coverage }
    }

    fn fact(host: &str, activity: &str, at: i64, what: What) -> Fact {
        let client = "198.51.100.7".parse().ok().filter(|_| host != "other");
        let keys = Keys {
            host: host.to_owned(),
            activity: Some(activity.to_owned()),
            address: client,
            ..Keys::default()
        };
        let subject = Subject::Record(Arc::new(keys));
        Fact { at: UnixNanos(at), place: Place::frame(0, 1), subject, reading: Reading::Clear, what }
    }

    #[test]
    fn who_looked_elsewhere_or_at_another_time_is_not_counted() {
        const HOUR: i64 = 3_600_000_000_000;
        let accepted = || What::ConnectionAccepted { udp: false };
        let facts = vec![
            fact("rdsh01", "A", 0, accepted()),
            // The same client at another server, which looks all day, and at one that looks later only.
            fact("rdsh02", "B", 2 * HOUR, accepted()),
            fact("rdsh03", "C", 4 * HOUR, accepted()),
            fact("other", "D", HOUR, accepted()),
        ];
        let witnesses = [
            host("other", (0, 9 * HOUR)),
            host("rdsh01", (0, HOUR)),
            host("rdsh02", (-HOUR, 9 * HOUR)),
            host("rdsh03", (3 * HOUR, 9 * HOUR)),
        ];
        let story = join(facts, &witnesses);
        let first = story.sessions.iter().find(|session| session.host(Role::Server) == Some("rdsh01"));
        assert_eq!(first.map(|session| story.could_tell(session, &witnesses)), Some(vec![1, 2]));
    }
}
