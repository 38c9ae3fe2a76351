//! The UDP transports of a session as legs of their own.

use std::sync::Arc;

use super::{Leg, Tls, end, witness_name};
use crate::analysis::Analysis;
use crate::fact::{Connection, What};
use crate::session::Session;
use crate::wire::community_id;

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
