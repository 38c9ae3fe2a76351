//! Which fact of a session is shown as the one at which it broke: text, page and slice mark the same one.

use crate::diagnosis::Verdict;
use crate::fact::What;
use crate::session::{Role, Seen, Session};

/// The place among `facts`, which are in order of time: the last proof at or behind the step that broke, of the packets if
/// there is one there, else of the logs of both ends, else of any log; without a proof the first of the words that end the
/// connection, and else its last word.
pub(super) fn broke(session: &Session, verdicts: &[Verdict], facts: &[&Seen]) -> Option<usize> {
    let proofs = verdicts.first().map(|best| best.weighing.proofs.as_slice()).unwrap_or_default();
    let late = |seen: &Seen| seen.what().step() >= session.broke_at || seen.what().step().is_none();
    let last = |wanted: &dyn Fn(&Seen) -> bool| {
        facts.iter().rposition(|seen| wanted(seen) && proofs.contains(seen) && late(seen))
    };
    // What was lost is told of the connection as a whole, behind its last packet.
    last(&|seen| is_packet(seen) && !matches!(seen.what(), What::LostOnPath { .. }))
        .or_else(|| last(&is_packet))
        .or_else(|| last(&|seen| is_of_an_end(session, seen)))
        .or_else(|| last(&|_| true))
        .or_else(|| first_end(facts))
}

fn is_packet(seen: &Seen) -> bool {
    seen.fact.subject.keys().is_none()
}

fn is_of_an_end(session: &Session, seen: &Seen) -> bool {
    let host = seen.fact.subject.keys().map(|keys| &keys.host);
    let part = session.hosts.iter().find(|part| Some(&part.host) == host);
    part.is_some_and(|part| matches!(part.role, Role::Client | Role::Server))
}

fn first_end(facts: &[&Seen]) -> Option<usize> {
    let mut packets = facts.iter().enumerate().rev().filter(|(_, seen)| is_packet(seen)).peekable();
    let last = packets.peek().map(|(index, _)| *index);
    packets.take_while(|(_, seen)| ends(seen.what())).last().map(|(index, _)| index).or(last)
}

fn ends(what: &What) -> bool {
    what.end().is_some()
        || matches!(
            what,
            What::Ultimatum { .. }
                | What::ErrorInfo { .. }
                | What::ErrorInfoShaped { .. }
                | What::Alert { .. }
                | What::EncryptedAlert { .. }
                | What::TransportDisconnect { .. }
                | What::TransportError { .. }
        )
}
