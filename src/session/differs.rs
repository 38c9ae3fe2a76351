//! What stands in a failed attempt otherwise than in the last one of the same client and server that worked.

use std::collections::{BTreeMap, VecDeque};

use super::{Attempt, Outcome, Role, Seen, Session, is_same_user};
use crate::fact::{Side, What};
use crate::time::UnixNanos;

/// Fills `differs` of every failed attempt; attempts are in order of time.
pub(super) fn compare(sessions: &[Session], attempts: &mut [Attempt]) {
    let worked = last_successes(sessions, attempts);
    for (attempt, worked) in attempts.iter_mut().zip(worked) {
        let now = sessions.get(attempt.decisive);
        let before = worked.and_then(|index| sessions.get(index));
        if let (Some(now), Some(before)) = (now, before) {
            attempt.differs = differences(before, now);
        }
    }
}

/// Successes of one client and server that are remembered: of more, the last ones.
const REMEMBERED: usize = 16;

/// For every failed attempt the deciding session of the last one of the same client and server that worked, and of the same
/// user where there is one; attempts are in order of time.
#[must_use]
pub fn last_successes(sessions: &[Session], attempts: &[Attempt]) -> Vec<Option<usize>> {
    let mut worked: BTreeMap<(String, String), VecDeque<usize>> = BTreeMap::new();
    let mut last = |attempt: &Attempt| {
        let now = sessions.get(attempt.decisive)?;
        let ends = ends(now)?;
        if attempt.outcome == Outcome::Active {
            let known = worked.entry(ends).or_default();
            if known.len() == REMEMBERED {
                known.pop_front();
            }
            known.push_back(attempt.decisive);
            return None;
        }
        let known = worked.get(&ends).filter(|_| attempt.outcome.is_failure())?;
        let before = |index: &usize| sessions.get(*index);
        let mut related = known
            .iter()
            .rev()
            .copied()
            .filter(|index| before(index).is_some_and(|before| !is_of_other_network(before, now)));
        let of_user = related.clone().find(|index| {
            before(index).and_then(user).zip(user(now)).is_some_and(|(was, is)| is_same_user(was, is))
        });
        of_user.or_else(|| related.next())
    };
    attempts.iter().map(&mut last).collect()
}

fn user(session: &Session) -> Option<&str> {
    session.user_name().filter(|_| session.is_user_whole())
}

/// Networks use the same private addresses: two sessions that no witness has both of, with servers by different names or
/// with different users, have only their addresses in common.
fn is_of_other_network(before: &Session, now: &Session) -> bool {
    let witnesses = now.witnesses();
    if before.witnesses().iter().any(|index| witnesses.contains(index)) {
        return false;
    }
    let differ = |was: Option<String>, is: Option<String>| {
        was.zip(is).is_some_and(|(was, is)| !was.eq_ignore_ascii_case(&is))
    };
    let users = user(before).zip(user(now)).is_some_and(|(was, is)| !is_same_user(was, is));
    users || differ(subject(before), subject(now))
}

/// The subject of the server's certificate.
fn subject(session: &Session) -> Option<String> {
    session.facts.iter().find_map(|seen| match seen.what() {
        What::Certificate { by: Side::Server, subject, .. } => Some(subject.clone()),
        _ => None,
    })
}

/// The client by its address or the name of its log, the server by its address or name; the port of the server counts.
fn ends(session: &Session) -> Option<(String, String)> {
    let client = session.client_ip().map(|ip| ip.to_string());
    let client = client.or_else(|| session.host(Role::Client).map(str::to_owned))?;
    let server = session.server().map(|end| end.to_string());
    let server = server.or_else(|| session.host(Role::Server).map(str::to_owned))?;
    Some((client, server))
}

/// Digits of a certificate's SHA-256 that tell it from others; the whole of it stands with the certificate.
const THUMBPRINT_SHOWN: usize = 16;

/// What two connections of the same client and server are compared by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Aspect {
    /// The security that the negotiation chose.
    Security,
    /// The protocols that the client offers.
    Offered,
    /// A routing token in the request, or none.
    RoutingToken,
    /// The TLS version that the server chose.
    TlsVersion,
    /// The highest TLS version that the client offers.
    TlsVersionOffered,
    /// The cipher suite that the server chose.
    CipherSuite,
    /// The server's name in the ClientHello.
    ServerName,
    /// The server's certificate.
    Certificate,
    /// The user.
    User,
    /// The build of the client.
    ClientBuild,
    /// Directly, or through a gateway.
    Path,
}

/// Where the value of an aspect stands.
enum Read {
    /// In one fact.
    Fact(fn(&What) -> Option<String>),
    /// In the session as a whole.
    Session(fn(&Session) -> Option<String>),
}

const ASPECTS: &[(Aspect, &str, Read)] = &[
    (Aspect::Security, "security", Read::Session(|session| session.security.map(|s| s.name().to_owned()))),
    (
        Aspect::Offered,
        "offered by the client",
        Read::Fact(|what| match what {
            What::ConnectionRequest { protocols, .. } => Some(protocols.map_or_else(
                || "nothing, so Standard RDP Security".to_owned(),
                |protocols| protocols.words(),
            )),
            _ => None,
        }),
    ),
    (
        Aspect::RoutingToken,
        "routing token",
        Read::Fact(|what| match what {
            What::ConnectionRequest { token, .. } => {
                Some(if token.is_some() { "with" } else { "without" }.to_owned())
            }
            _ => None,
        }),
    ),
    (
        Aspect::TlsVersion,
        "TLS version",
        Read::Fact(|what| match what {
            What::ServerHello { version, .. } => Some(version.words()),
            _ => None,
        }),
    ),
    (
        Aspect::TlsVersionOffered,
        "highest TLS version offered",
        Read::Fact(|what| match what {
            What::ClientHello { version, .. } => Some(version.words()),
            _ => None,
        }),
    ),
    (
        Aspect::CipherSuite,
        "cipher suite",
        Read::Fact(|what| match what {
            What::ServerHello { suite, .. } => Some(suite.words()),
            _ => None,
        }),
    ),
    (
        Aspect::ServerName,
        "name that the client asked for",
        Read::Fact(|what| match what {
            What::ClientHello { sni, .. } => Some(sni.clone().unwrap_or_else(|| "none".to_owned())),
            _ => None,
        }),
    ),
    (Aspect::Certificate, "certificate of the server", Read::Fact(certificate)),
    (
        Aspect::User,
        "user",
        Read::Session(|session| {
            session.is_user_whole().then(|| session.user_name().map(str::to_lowercase)).flatten()
        }),
    ),
    (
        Aspect::ClientBuild,
        "client build",
        Read::Fact(|what| match what {
            What::McsConnectInitial { build, .. } => build.map(|build| build.to_string()),
            _ => None,
        }),
    ),
    (
        Aspect::Path,
        "path",
        Read::Session(|session| {
            let gateway = session.hosts.iter().any(|part| part.role == Role::Gateway);
            (!session.hosts.is_empty()).then(|| if gateway { "by a gateway" } else { "direct" }.to_owned())
        }),
    ),
];

impl Read {
    /// The value, and the fact that has it; of the session as a whole its first.
    fn of<'s>(&self, session: &'s Session) -> Option<(String, &'s Seen)> {
        match self {
            Self::Fact(read) => session.facts.iter().find_map(|seen| Some((read(seen.what())?, seen))),
            Self::Session(read) => Some((read(session)?, session.facts.first()?)),
        }
    }
}

fn certificate(what: &What) -> Option<String> {
    let What::Certificate { by: Side::Server, subject, not_before, not_after, key, sha256, .. } = what else {
        return None;
    };
    let thumbprint = sha256.as_ref().map(|sha256| {
        let beginning = sha256.get(..THUMBPRINT_SHOWN).unwrap_or(sha256);
        format!(", SHA-256 {beginning}…")
    });
    let second = |at: &UnixNanos| at.to_string().replace(".000000Z", "Z");
    let (from, until) = (second(not_before), second(not_after));
    Some(format!("{subject}, {key}, {from} to {until}{}", thumbprint.unwrap_or_default()))
}

/// How one aspect of a connection compares with that of an earlier one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Compared<'s> {
    /// What was compared.
    pub aspect: Aspect,
    /// It is not as it was.
    pub is_changed: bool,
    /// What the earlier one had.
    pub before: &'s Seen,
}

/// Every aspect that is known of both.
#[must_use]
pub fn compared<'s>(before: &'s Session, now: &Session) -> Vec<Compared<'s>> {
    let one = |(aspect, _, read): &(Aspect, &str, Read)| {
        let ((was, before), (is, _)) = (read.of(before)?, read.of(now)?);
        Some(Compared { aspect: *aspect, is_changed: was != is, before })
    };
    ASPECTS.iter().filter_map(one).collect()
}

/// Only what is known of both is compared.
fn differences(before: &Session, now: &Session) -> Vec<String> {
    let compare = |(_, name, read): &(Aspect, &str, Read)| {
        let ((was, _), (is, _)) = (read.of(before)?, read.of(now)?);
        (was != is).then(|| format!("{name}: {is}; in the last success, {}: {was}", before.start))
    };
    ASPECTS.iter().filter_map(compare).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::fact::{Connection, Fact, Reading, Recognised, Subject, What};
    use crate::note::Place;
    use crate::session::{Coverage, Outcome, Witness, join};
    use crate::time::UnixNanos;

    /// Facts of one connection, a second apart.
    fn connection(number: u32, minute: i64, lines: &[&str]) -> Vec<Fact> {
        let at = |index: usize| UnixNanos((minute * 60 + i64::try_from(index).unwrap()) * 1_000_000_000);
        let connection = Arc::new(Connection {
            witness_index: 0,
            client: format!("192.0.2.1:{}", 50_000 + number).parse().unwrap(),
            server: "192.0.2.2:3389".parse().unwrap(),
            client_isn: Some(number),
            server_isn: Some(number),
            opened: at(0),
            first: Place::frame(0, 1),
            last_seen: at(lines.len()),
            last: Place::frame(0, 1),
            packets: [0, 0],
            bytes: [0, 0],
            recognised: Recognised::FirstBytes,
            sent: Default::default(),
        });
        let fact = |(index, line): (usize, &&str)| Fact {
            at: at(index),
            place: Place::frame(0, 1),
            subject: Subject::Connection(Arc::clone(&connection)),
            reading: Reading::Clear,
            what: What::parse(line).unwrap(),
        };
        lines.iter().enumerate().map(fact).collect()
    }

    fn attempts(connections: Vec<Vec<Fact>>) -> Vec<crate::session::Attempt> {
        let witness =
            Witness { name: "w".to_owned(), inputs: vec![0], host: None, coverage: Coverage::default() };
        join(connections.into_iter().flatten().collect(), &[witness.clone(), witness]).attempts
    }

    /// The same as another capture point saw it.
    fn elsewhere(facts: Vec<Fact>) -> Vec<Fact> {
        let at_other = |fact: Fact| match &fact.subject {
            Subject::Connection(known) => {
                let connection = Connection { witness_index: 1, ..Connection::clone(known) };
                Fact { subject: Subject::Connection(Arc::new(connection)), ..fact }
            }
            _ => fact,
        };
        facts.into_iter().map(at_other).collect()
    }

    const OPENING: [&str; 5] = [
        "syn tries=1 over_ms=0",
        "syn-ack after_ms=1",
        "connected",
        "request protocols=0x3 flags=0",
        "confirm protocol=0x1 flags=0 acceptable=yes",
    ];

    fn with(more: &[&'static str]) -> Vec<&'static str> {
        OPENING.iter().copied().chain(more.iter().copied()).collect()
    }

    fn good() -> Vec<&'static str> {
        with(&[
            "client-hello version=0x304 suites=2 offered=1302,c030",
            "server-hello version=0x303 suite=0xc030",
            "tls-finished",
            "mcs-connect-initial",
            "mcs-connect-response",
            "mcs-attached",
            "mcs-joined channels=4",
            "client-info",
            "licensed",
            "demand-active",
            "confirm-active",
            "finalized",
            "running server_bytes=900000 over_ms=9000",
        ])
    }

    fn bad() -> Vec<&'static str> {
        with(&[
            "client-hello version=0x302 suites=1 offered=c014",
            "alert by=server fatal=yes code=0x46",
            "closed by=server",
        ])
    }

    #[test]
    fn a_failure_is_held_against_the_last_success_before_it() {
        let told = attempts(vec![connection(1, 0, &good()), connection(2, 30, &bad())]);
        let outcomes: Vec<Outcome> = told.iter().map(|attempt| attempt.outcome).collect();
        assert_eq!(outcomes, [Outcome::Active, Outcome::Refused]);
        assert!(told[0].differs.is_empty());
        let line =
            "highest TLS version offered: TLS 1.1; in the last success, 1970-01-01T00:00:00.000000Z: TLS 1.3";
        assert_eq!(told[1].differs, [line]);
    }

    fn shown_by(mut lines: Vec<&'static str>, certificate: &'static str) -> Vec<&'static str> {
        lines.insert(7, certificate);
        lines
    }

    const OF_ONE: &str = "certificate by=server subject=\"CN=one\" issuer=\"CN=one\" not_before=1793000000000000000 not_after=1803000000000000000 self_signed=yes key=\"RSA 2048\" signature=sha256WithRSAEncryption";
    const OF_OTHER: &str = "certificate by=server subject=\"CN=other\" issuer=\"CN=other\" not_before=1793000000000000000 not_after=1803000000000000000 self_signed=yes key=\"RSA 2048\" signature=sha256WithRSAEncryption";

    #[test]
    fn servers_by_other_names_that_no_witness_has_both_of_are_not_compared() {
        let good = connection(1, 0, &shown_by(good(), OF_ONE));
        let bad = |certificate| connection(2, 30, &shown_by(bad(), certificate));
        let differs = |of: Vec<Vec<Fact>>| attempts(of).pop().unwrap().differs.len();
        assert_eq!(
            differs(vec![good.clone(), elsewhere(bad(OF_OTHER))]),
            0,
            "the same address in two networks"
        );
        assert_eq!(differs(vec![good.clone(), elsewhere(bad(OF_ONE))]), 1, "the same server, captured twice");
        assert_eq!(
            differs(vec![good, bad(OF_OTHER)]),
            2,
            "one capture saw both: it was given another certificate"
        );
    }

    #[test]
    fn a_later_success_and_an_equal_failure_tell_nothing() {
        let told = attempts(vec![connection(1, 0, &bad()), connection(2, 30, &good())]);
        assert!(told.iter().all(|attempt| attempt.differs.is_empty()));
    }
}
