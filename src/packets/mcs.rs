//! MCS without keys: its fixed sizes mark where the connection stands, whatever names it carries (T.125, MS-RDPBCGR
//! 2.2.1.3 to 2.2.1.9).

use super::clear::Details;
use super::{Message, Reader, capabilities};
use crate::fact::{Side, What};

/// Erect Domain Request and Channel Join Request.
const ERECT_OR_JOIN_BYTES: u32 = 12;
/// Attach User Request.
const ATTACH_BYTES: u32 = 8;
/// Attach User Confirm.
const ATTACHED_BYTES: u32 = 11;
/// Channel Join Confirm.
const JOINED_BYTES: u32 = 15;
/// Connect Initial is never shorter: its fixed blocks alone are.
pub(super) const CONNECT_INITIAL_BYTES_MIN: u32 = 250;
/// What the server sends when a desktop runs, at least, before traffic without a readable sequence counts as one.
pub(super) const RUNNING_BYTES_MIN: u64 = 16 * 1024;
/// How long, at least.
pub(super) const RUNNING_MS_MIN: u64 = 2_000;

/// Index of Connect Initial: the client message before the server message before Erect Domain and Attach User.
pub(super) fn connect_initial(messages: &[Message]) -> Option<usize> {
    let erect = erect_domain(messages)?;
    let response = messages.get(..erect)?.iter().rposition(|m| m.side == Side::Server)?;
    messages.get(..response)?.iter().rposition(|m| m.side == Side::Client)
}

/// Erect Domain Request followed by Attach User Request, in two records or in one.
fn erect_domain(messages: &[Message]) -> Option<usize> {
    let client = |at: usize| messages.get(at).filter(|m| m.side == Side::Client);
    (0..messages.len()).find(|at| {
        let Some(first) = client(*at) else { return false };
        let apart = first.is(ERECT_OR_JOIN_BYTES) && client(at + 1).is_some_and(|m| m.is(ATTACH_BYTES));
        apart || first.is(ERECT_OR_JOIN_BYTES + ATTACH_BYTES)
    })
}

/// Reads the messages from MCS Connect Initial on.
pub(super) fn read(reader: &mut Reader<'_>, messages: &[Message]) {
    let Some((initial, rest)) = messages.split_first().filter(|(first, _)| first.side == Side::Client) else {
        return;
    };
    reader.infer(initial.seen, What::hidden_connect_initial());
    let Some(answer) = rest.iter().find(|m| m.side == Side::Server) else { return };
    reader.infer(answer.seen, What::hidden_connect_response());
    let Some(erect) = erect_domain(messages) else {
        capabilities::traffic_only(reader, messages);
        return;
    };
    let behind = messages.get(erect..).unwrap_or_default();
    let Some(attached) = behind.iter().position(|m| m.side == Side::Server && m.is(ATTACHED_BYTES)) else {
        return;
    };
    if let Some(confirm) = behind.get(attached) {
        reader.infer(confirm.seen, What::McsAttached {});
    }
    let behind = behind.get(attached + 1..).unwrap_or_default();
    let joins = behind.iter().take_while(|m| is_join(m)).count();
    let confirms: Vec<&Message> = behind.iter().take(joins).filter(|m| m.side == Side::Server).collect();
    if let Some(last) = confirms.last() {
        let channels = u32::try_from(confirms.len()).unwrap_or(u32::MAX);
        reader.infer(last.seen, What::McsJoined { channels });
    }
    capabilities::read(reader, behind.get(joins..).unwrap_or_default(), &Details::none());
}

/// Both sides talked on behind the channels for longer than anything but a desktop takes, and yet no finalisation shows:
/// messages that were joined on their way hide it.
pub(super) fn is_unclear(messages: &[Message]) -> bool {
    let Some(joined) = messages.iter().rposition(|m| m.side == Side::Server && m.is(JOINED_BYTES)) else {
        return false;
    };
    capabilities::is_unclear(messages.get(joined + 1..).unwrap_or_default())
}

fn is_join(message: &Message) -> bool {
    match message.side {
        Side::Client => message.is(ERECT_OR_JOIN_BYTES),
        Side::Server => message.is(JOINED_BYTES),
    }
}
