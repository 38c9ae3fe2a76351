//! The ways that a session takes: TCP to the server, or to a gateway and from there to the host, and the UDP transports.

use std::sync::Arc;

use super::{Closed, End, Leg, Tls, end, passed, reference, witness_name};
use crate::analysis::Analysis;
use crate::fact::{Connection, What};
use crate::session::{Seen, Session};
use crate::wire::community_id;

/// The connection itself; through a gateway that to the gateway, and the one from there to the host, whose TLS goes
/// through both.
pub(super) fn tcp<'a>(
    analysis: &'a Analysis,
    session: &'a Session,
    connection: &Connection,
    seen_by: &[&'a str],
) -> Vec<Leg<'a>> {
    let at_host: Vec<&Arc<Connection>> = session.to_host().collect();
    let names = |connections: Vec<&Arc<Connection>>| -> Vec<&'a str> {
        connections.iter().map(|one| witness_name(analysis, one.witness_index)).collect()
    };
    let is_at_host = |one: &&Arc<Connection>| at_host.iter().any(|other| Arc::ptr_eq(other, one));
    let outside = names(session.connections.iter().filter(|one| !is_at_host(one)).collect());
    let mut only_at_host = names(at_host.clone());
    only_at_host.retain(|name| !outside.contains(name));
    let mut first = Leg {
        role: "direct",
        client: end(Some(connection.client), None),
        server: end(Some(connection.server), None),
        seen_by: seen_by.iter().filter(|name| !only_at_host.contains(name)).copied().collect(),
        community_id: Some(community_id::tcp(connection.client, connection.server)),
        packets: session
            .connections
            .iter()
            .filter(|one| !is_at_host(one))
            .map(|connection| passed(analysis, connection))
            .collect(),
        tls: super::tls::tls(session),
        closed: closed(analysis, session, |seen| !is_of(&at_host, seen)),
    };
    if !session.is_through_gateway() {
        return vec![first];
    }
    let own = first.tls.take().filter(|_| session.is_outside_gateway());
    let to_gateway = Leg { role: "to_gateway", tls: own, ..first };
    let target = session.target();
    let captured = at_host.first().map(|inner| Leg {
        role: "gateway_to_host",
        client: end(Some(inner.client), None),
        server: end(Some(inner.server), target.map(|(host, _)| host.to_owned())),
        seen_by: at_host.iter().map(|one| witness_name(analysis, one.witness_index)).collect(),
        community_id: Some(community_id::tcp(inner.client, inner.server)),
        packets: at_host.iter().map(|one| passed(analysis, one)).collect(),
        tls: super::tls::tls(session),
        closed: closed(analysis, session, |seen| is_of(&at_host, seen)),
    });
    let to_host = captured.or_else(|| {
        target.map(|(host, port)| Leg {
            role: "gateway_to_host",
            client: End { ip: Some(connection.server.ip().to_string()), ..end(None, None) },
            server: End { port: u16::try_from(port).ok(), ..end(None, Some(host.to_owned())) },
            seen_by: Vec::new(),
            community_id: None,
            packets: Vec::new(),
            tls: super::tls::tls(session),
            closed: None,
        })
    });
    std::iter::once(to_gateway).chain(to_host).collect()
}

/// A capture of one of these connections has it.
fn is_of(connections: &[&Arc<Connection>], seen: &Seen) -> bool {
    let own = seen.fact.subject.connection();
    own.is_some_and(|own| connections.iter().any(|other| Arc::ptr_eq(other, own)))
}

/// Who closed, and how, by what `counts`.
fn closed<'a>(
    analysis: &'a Analysis,
    session: &'a Session,
    counts: impl Fn(&Seen) -> bool,
) -> Option<Closed<'a>> {
    session.facts.iter().filter(|seen| counts(seen)).find_map(|seen| {
        let (by, how) = match seen.what() {
            What::Closed { by } => (by.name(), "fin"),
            What::Reset { by, .. } => (by.name(), "reset"),
            _ => return None,
        };
        Some(Closed { by, how, reference: reference(analysis, seen.place()) })
    })
}

/// One leg for each transport, whoever saw it: a random initial sequence number is that of one SYN.
pub(super) fn udp<'a>(analysis: &'a Analysis, session: &'a Session) -> Vec<Leg<'a>> {
    let mut legs: Vec<(&Arc<Connection>, Vec<u32>)> = Vec::new();
    for transport in session.udp() {
        match legs.iter_mut().find(|(known, _)| known.client_isn == transport.client_isn) {
            Some((_, seen_by)) => seen_by.push(transport.witness_index),
            None => legs.push((transport, vec![transport.witness_index])),
        }
    }
    let leg = |(transport, seen_by): (&'a Arc<Connection>, Vec<u32>)| Leg {
        role: "udp",
        client: end(Some(transport.client), None),
        server: end(Some(transport.server), None),
        seen_by: seen_by.into_iter().map(|index| witness_name(analysis, index)).collect(),
        community_id: Some(community_id::udp(transport.client, transport.server)),
        packets: Vec::new(),
        tls: tls(session, transport),
        closed: None,
    };
    legs.into_iter().map(leg).collect()
}

fn tls<'a>(session: &Session, transport: &Arc<Connection>) -> Option<Tls<'a>> {
    let of_it = || session.facts.iter().filter(|seen| seen.fact.subject.udp() == Some(transport));
    let (version, cipher) = of_it().find_map(|seen| match seen.what() {
        What::UdpServerHello { version, suite } => Some((version.words(), suite.words())),
        _ => None,
    })?;
    let decrypted = of_it().any(|seen| matches!(seen.what(), What::UdpOpened { .. }));
    Some(Tls::chosen(version, cipher, decrypted))
}
