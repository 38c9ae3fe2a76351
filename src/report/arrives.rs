//! Which messages did not come to the other end: text and page draw them so.

use crate::fact::{Side, What};
use crate::session::{Seen, Session};

/// What a side sent came to the other end, as far as the evidence tells.
pub(super) fn arrives(session: &Session, seen: &Seen, by: Side) -> bool {
    match seen.what() {
        What::Unanswered { .. }
        | What::ProbesUnanswered { .. }
        | What::NeverArrived { .. }
        | What::LostOnPath { .. } => false,
        // It did not arrive, or its answer did not.
        What::SynSent { .. } => session
            .find(|what| {
                what.end() == Some(Side::Server)
                    || matches!(what, What::SynAnswered { .. } | What::Connected {})
            })
            .is_some(),
        _ => !is_lost(session, seen, by),
    }
}

/// One capture holds this message, and another one of the same connection, which lost nothing by itself, does not.
pub(super) fn is_lost(session: &Session, seen: &Seen, by: Side) -> bool {
    let own = witness(seen);
    let lost = |other: &Seen| {
        matches!(other.what(), What::LostOnPath { from, .. } if *from == by) && witness(other) == own
    };
    // An end that one capture alone holds may have been made on the way.
    let carries_data = seen.what().step().is_some() && seen.what().end().is_none();
    if !carries_data || !session.facts.iter().any(lost) {
        return false;
    }
    let same =
        |other: &&Seen| other.what().name() == seen.what().name() && other.what().speaker() == Some(by);
    let of = |index: Option<u32>| session.facts.iter().filter(same).filter(move |one| witness(one) == index);
    let ordinal = of(own).take_while(|one| *one != seen).count();
    let mut others = session.connections.iter().map(|connection| Some(connection.witness_index));
    !others.any(|index| index != own && of(index).count() > ordinal)
}

fn witness(seen: &Seen) -> Option<u32> {
    seen.fact.subject.connection().map(|connection| connection.witness_index)
}
