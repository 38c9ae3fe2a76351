//! What one capture point saw of a connection that had been reset at another one.

use super::super::{Seen, Session};
use crate::fact::What;
use crate::time::UnixNanos;

/// When the connection was first reset, and at which capture point.
pub(super) fn first(session: &Session) -> Option<(UnixNanos, u32)> {
    session.facts.iter().find_map(|seen| match seen.what() {
        What::Reset { .. } => Some((seen.at, seen.fact.subject.connection()?.witness_index)),
        _ => None,
    })
}

/// Another capture point shows that the connection went on behind the reset: whoever had got the reset heard no more of it.
pub(super) fn is_for_nobody(reset: Option<(UnixNanos, u32)>, seen: &Seen) -> bool {
    let elsewhere = |index: u32| seen.fact.subject.connection().is_some_and(|c| c.witness_index != index);
    reset.is_some_and(|(at, index)| seen.at > at && elsewhere(index))
}
