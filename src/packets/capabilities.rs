//! From Client Info to the running desktop: licensing, capabilities and finalisation, by clear headers or by sizes
//! (MS-RDPBCGR 1.3.1.1, 2.2.1.11 to 2.2.1.22).

use super::clear::Details;
use super::{Known, Message, Reader, mcs, ms_between};
use crate::fact::{OtherReading, Side, What};

/// Synchronize, and Set Error Info, which is as long.
const SYNCHRONIZE_BYTES: u32 = 36;
/// Control, Font List and Font Map.
const CONTROL_BYTES: u32 = 40;
/// Save Session Info of type Logon Long without its names: TPKT, X.224 and MCS 15, share data header 18, type 4, the fields
/// 18 and a padding of 558 (MS-RDPBCGR 2.2.10.1.1.2; 657 with 44 bytes of names measured with Windows).
const LOGON_BYTES: u32 = 613;
/// User and domain in it: each ends in a zero of two bytes, and has at most 512 and 52 bytes.
const LOGON_NAMES_BYTES: std::ops::RangeInclusive<u32> = 4..=564;
/// Save Session Info with the auto-reconnect cookie of 28 bytes and a padding of 570 (2.2.10.1.1.4; measured with Windows).
const RECONNECT_BYTES: u32 = 645;
/// A licensing error, the one that says that all is well included: TPKT, X.224 and MCS 14, security header 4, preamble 4,
/// code, transition and an empty blob 12 (MS-RDPBCGR 2.2.1.12.1.3; measured). No licensing message is shorter.
const LICENSE_ERROR_BYTES: u32 = 34;
/// MCS Disconnect Provider Ultimatum.
const ULTIMATUM_BYTES: u32 = 9;
/// Demand Active and Confirm Active are never shorter: the mandatory capability sets alone are.
const ACTIVE_BYTES_MIN: u32 = 150;
/// Client messages from Client Info on without a Confirm Active among them: licensing takes four at most.
const WITHOUT_CONFIRM_MAX: usize = 6;
/// The server's control messages behind Synchronize: cooperate, granted, and Font Map.
const CONTROLS: usize = 3;

/// Reads the messages from Client Info on; `details` are what those of them say that could be read.
pub(super) fn read(reader: &mut Reader<'_>, messages: &[Message], details: &Details) {
    let sized = || messages.iter().position(|m| m.side == Side::Client && m.kind.is_none());
    let info = known(messages, Known::ClientInfo).or_else(sized);
    if let Some(message) = info.and_then(|info| messages.get(info)) {
        reader.tell(message, details.told(message, What::hidden_client_info()));
    }
    // Where Client Info is missing, what follows it still tells itself.
    let behind = messages.get(info.map_or(0, |info| info + 1)..).unwrap_or_default();
    let confirm = confirm_active(behind);
    let demand = confirm
        .and_then(|at| demand_active(behind.get(..at)?))
        .or_else(|| known(behind, Known::DemandActive))
        .or_else(|| behind_licensing(behind));
    let talk = behind.get(..before_ultimatum(behind)).unwrap_or(behind);
    let went_on = demand.or(confirm);
    let told_as_end = error_info_at(behind).filter(|_| went_on.is_none());
    say_licensing(reader, (talk, went_on.unwrap_or(talk.len())), told_as_end, details);
    if let Some(message) = demand.and_then(|at| behind.get(at)) {
        reader.tell(message, What::Licensed {});
        reader.tell(message, details.told(message, What::DemandActive { sets: None }));
    }
    let Some((at, message)) = confirm.and_then(|at| Some((at, behind.get(at)?))) else {
        traffic_only(reader, behind);
        return ending(reader, behind, Since::ClientInfo);
    };
    reader.tell(message, details.told(message, What::ConfirmActive { sets: None }));
    let after = behind.get(at + 1..).unwrap_or_default();
    if let Some(done) = font_map(after) {
        if let Some(message) = after.get(done) {
            reader.tell(message, What::Finalized {});
        }
        logged_on(reader, after.get(done + 1..).unwrap_or_default());
        running(reader, after.get(done..).unwrap_or_default());
        ending(reader, after.get(done + 1..).unwrap_or_default(), Since::Desktop);
    } else {
        traffic_only(reader, after);
        ending(reader, after, Since::ConfirmActive);
    }
}

fn known(messages: &[Message], kind: Known) -> Option<usize> {
    messages.iter().position(|m| m.kind == Some(kind))
}

/// Licensing in the messages behind Client Info, up to `until`; `told_as_end` is none of it. Where the server did not go on,
/// its last one is the end of licensing, good or bad, when it is as long as that.
fn say_licensing(
    reader: &mut Reader<'_>,
    (messages, until): (&[Message], usize),
    told_as_end: Option<usize>,
    details: &Details,
) {
    let last = messages.iter().rposition(|m| m.side == Side::Server);
    for (at, message) in messages.iter().enumerate().take(until) {
        if Some(at) == told_as_end || !is_licensing(message) {
            continue;
        }
        let hidden_end = message.kind.is_none() && message.is_about(LICENSE_ERROR_BYTES);
        let or = (Some(at) == last && hidden_end).then_some(OtherReading::LicenseError);
        let hidden = What::License { by: message.side, kind: None, product: None, machine: None, or };
        reader.tell(message, details.told(message, hidden));
    }
}

fn is_licensing(message: &Message) -> bool {
    match message.kind {
        Some(kind) => kind == Known::License,
        None => message.high >= LICENSE_ERROR_BYTES && !message.is_exactly(SYNCHRONIZE_BYTES),
    }
}

/// Confirm Active: the client message before its Synchronize, two Control messages in a row.
fn confirm_active(messages: &[Message]) -> Option<usize> {
    if let Some(at) = known(messages, Known::ConfirmActive) {
        return Some(at);
    }
    let client: Vec<(usize, &Message)> =
        messages.iter().enumerate().filter(|(_, m)| m.side == Side::Client).collect();
    client.windows(4).find_map(|window| {
        let [(at, confirm), (_, synchronize), (_, cooperate), (_, request)] = window else { return None };
        let sizes = synchronize.is_about(SYNCHRONIZE_BYTES)
            && cooperate.is_about(CONTROL_BYTES)
            && request.is_about(CONTROL_BYTES);
        (confirm.high >= ACTIVE_BYTES_MIN && sizes).then_some(*at)
    })
}

fn demand_active(before: &[Message]) -> Option<usize> {
    known(before, Known::DemandActive)
        .or_else(|| before.iter().rposition(|m| m.side == Side::Server && m.high >= ACTIVE_BYTES_MIN))
}

/// Demand Active that nobody confirmed: the long message of the server behind the end of licensing.
fn behind_licensing(messages: &[Message]) -> Option<usize> {
    let valid = |m: &Message| m.side == Side::Server && is_licensing(m) && m.is_about(LICENSE_ERROR_BYTES);
    let done = messages.iter().position(valid)?;
    let mut rest = messages.iter().enumerate().skip(done + 1);
    let (at, next) = rest.find(|(_, m)| m.kind.is_none())?;
    (next.side == Side::Server && next.low >= ACTIVE_BYTES_MIN).then_some(at)
}

/// How many messages there are before the server ends the connection. What the client had under way by then is no answer.
fn before_ultimatum(messages: &[Message]) -> usize {
    let ends = |m: &Message| match m.kind {
        Some(kind) => kind == Known::Ultimatum,
        None => m.low == m.high && m.is(ULTIMATUM_BYTES),
    };
    messages.iter().position(|m| m.side == Side::Server && ends(m)).unwrap_or(messages.len())
}

/// Font Map: the third Control-sized server message behind its Synchronize.
fn font_map(messages: &[Message]) -> Option<usize> {
    if let Some(at) = known(messages, Known::FontMap) {
        return Some(at);
    }
    let server = |m: &Message| m.side == Side::Server;
    let synchronize = messages.iter().position(|m| server(m) && m.is_about(SYNCHRONIZE_BYTES))?;
    let controls = messages.iter().enumerate().skip(synchronize + 1);
    controls.filter(|(_, m)| server(m) && m.is_about(CONTROL_BYTES)).nth(CONTROLS - 1).map(|(at, _)| at)
}

/// Parts the server's finalisation, where somebody on the way joined its records, perhaps with what follows: behind Confirm
/// Active the server sends as much as Synchronize and the Control messages take, with what encryption adds to each, and the
/// client goes on with more than a farewell.
pub(super) fn part_controls(messages: &mut Vec<Message>, added: u32) {
    let Some(confirm) = confirm_active(messages) else { return };
    let after = messages.get(confirm + 1..).unwrap_or_default();
    let sizes = [SYNCHRONIZE_BYTES, CONTROL_BYTES, CONTROL_BYTES, CONTROL_BYTES];
    let least = sizes.iter().fold(0_u32, |sum, size| sum.saturating_add(*size).saturating_add(added));
    let mut sum = 0_u32;
    let whole = after.iter().position(|m| {
        let bytes = if m.side == Side::Server { m.high.saturating_add(added) } else { 0 };
        sum = sum.saturating_add(bytes);
        sum >= least
    });
    let Some(last) = whole.filter(|_| font_map(after).is_none()) else { return };
    let goes_on = |m: &&Message| m.side == Side::Client && !m.is(ULTIMATUM_BYTES);
    let Some(message) =
        after.get(last).copied().filter(|_| after.iter().skip(last).filter(goes_on).count() >= 2)
    else {
        return;
    };
    // Each may have one byte more.
    let (longest, most) = (sum.saturating_sub(least), u32::try_from(sizes.len()).unwrap_or(0));
    let rest = longest.checked_sub(added).filter(|bytes| *bytes > most);
    let one = |size: u32| Message { low: size, high: size, ..message };
    let mut parted: Vec<Message> = messages.drain(..=confirm).collect();
    parted.extend(messages.drain(..=last).filter(|m| m.side == Side::Client));
    parted.extend(sizes.map(one));
    parted.extend(rest.map(|bytes| Message { low: bytes.saturating_sub(most), ..one(bytes) }));
    parted.append(messages);
    *messages = parted;
}

/// The client said more than it does before Confirm Active, and none shows; or one does, the server answered, the client
/// went on, and the end of the finalisation does not show.
pub(super) fn is_unclear(messages: &[Message]) -> bool {
    let is_client = |m: &&Message| m.side == Side::Client;
    let Some(confirm) = confirm_active(messages) else {
        return messages.iter().filter(is_client).count() > WITHOUT_CONFIRM_MAX;
    };
    let after = messages.get(confirm + 1..).unwrap_or_default();
    let answered = after.iter().position(|m| m.side == Side::Server);
    font_map(after).is_none() && answered.is_some_and(|at| after.iter().skip(at).any(|m| is_client(&m)))
}

/// What Windows tells of the logon.
fn logged_on(reader: &mut Reader<'_>, messages: &[Message]) {
    let from_server: Vec<&Message> = messages.iter().filter(|m| m.side == Side::Server).collect();
    let exact = |m: &&Message| (m.kind.is_none() && m.low == m.high).then_some(m.high);
    let sizes: Vec<Option<u32>> = from_server.iter().map(exact).collect();
    let told = logon_at(&sizes).and_then(|at| from_server.get(at..=at + 1));
    let Some([logon, cookie]) = told else { return };
    reader.infer(logon.seen, session_info(LOGON_LONG, false));
    reader.infer(cookie.seen, session_info(LOGON_EXTENDED, true));
}

/// Where among the messages of a server, by their exact sizes, the logon is told and the next one gives the auto-reconnect
/// cookie. One of the two alone may be a picture of that size.
fn logon_at(sizes: &[Option<u32>]) -> Option<usize> {
    sizes.windows(2).position(|two| {
        let [Some(logon), Some(RECONNECT_BYTES)] = two else { return false };
        let names = logon.checked_sub(LOGON_BYTES);
        names.is_some_and(|bytes| bytes % 2 == 0 && LOGON_NAMES_BYTES.contains(&bytes))
    })
}

const LOGON_LONG: u32 = 1;
const LOGON_EXTENDED: u32 = 3;

const fn session_info(kind: u32, auto_reconnect: bool) -> What {
    What::SessionInfo {
        kind,
        session_id: None,
        user: None,
        domain: None,
        error: None,
        data: None,
        auto_reconnect,
    }
}

fn running(reader: &mut Reader<'_>, messages: &[Message]) {
    let (Some(first), Some(last)) = (messages.first(), messages.last()) else { return };
    let from_server = messages.iter().skip(1).filter(|m| m.side == Side::Server);
    let server_bytes = from_server.map(|m| u64::from(m.high)).sum();
    let end = last.seen.max(reader.flow.last);
    reader.infer(last.seen, What::Running { server_bytes, over_ms: ms_between(first.seen, end) });
}

/// No sequence is readable, but so much traffic for so long is a desktop.
pub(super) fn traffic_only(reader: &mut Reader<'_>, messages: &[Message]) {
    let (Some(first), Some(last)) = (messages.first(), messages.last()) else { return };
    let from_server = messages.iter().filter(|m| m.side == Side::Server);
    let server_bytes: u64 = from_server.map(|m| u64::from(m.high)).sum();
    let over_ms = ms_between(first.seen, last.seen);
    if server_bytes >= mcs::RUNNING_BYTES_MIN && over_ms >= mcs::RUNNING_MS_MIN {
        reader.infer(last.seen, What::Running { server_bytes, over_ms });
    }
}

/// Where the messages that are looked at for the end begin.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Since {
    /// Behind Client Info.
    ClientInfo,
    /// Behind Confirm Active.
    ConfirmActive,
    /// Behind the last Font Map.
    Desktop,
}

/// Set Error Info and the ultimatum stand right before the end. Those that could be read are told where they stand.
fn ending(reader: &mut Reader<'_>, messages: &[Message], since: Since) {
    let error_info = error_info_at(messages);
    let ultimatums = ultimatums(messages);
    let by_server = |at: &usize| messages.get(*at).is_some_and(|m| m.side == Side::Server);
    if let Some((at, message)) = error_info.and_then(|at| Some((at, messages.get(at)?))) {
        let padded = message.low < message.high;
        let first = !messages.iter().take(at).any(|m| m.side == Side::Server);
        let said_bye = ultimatums.iter().any(|ultimatum| *ultimatum > at && by_server(ultimatum));
        let or = match since {
            Since::ClientInfo if padded && first && message.is_about(LICENSE_ERROR_BYTES) => {
                Some(OtherReading::LicenseError)
            }
            Since::Desktop if !said_bye => Some(OtherReading::KeyboardIndicators),
            _ => None,
        };
        reader.infer(message.seen, What::ErrorInfoShaped { or });
    }
    for at in ultimatums {
        let Some(message) = messages.get(at) else { continue };
        let announced = by_server(&at) && error_info.is_some_and(|error_info| error_info < at);
        let sure = since != Since::Desktop || announced || leaves(reader, message.side);
        // Where padding hides the size, hardly anything the client says last is longer.
        if message.low < message.high && message.side == Side::Client && sure {
            continue;
        }
        let or = (!sure).then_some(OtherReading::Pointer);
        reader.infer(message.seen, What::Ultimatum { by: message.side, reason: None, or });
    }
}

/// Who says that it leaves also closes, or the client whom the server sends away.
fn leaves(reader: &Reader<'_>, side: Side) -> bool {
    let closes = |side: Side| {
        let alert = reader.facts.iter().any(|fact| match fact.what {
            What::EncryptedAlert { by, .. } => by == side,
            _ => false,
        });
        alert || reader.flow.half(side).fin.is_some()
    };
    closes(side) || closes(Side::Client)
}

/// Which of the last two messages has the size of Set Error Info; where padding hides it, the one before what can be an
/// ultimatum.
fn error_info_at(messages: &[Message]) -> Option<usize> {
    if let Some((error_info, _)) = padded_ending(messages) {
        return Some(error_info);
    }
    let from_server = messages.iter().enumerate().rev().filter(|(_, m)| m.side == Side::Server);
    from_server.take(2).find(|(_, m)| m.kind.is_none() && m.is_exactly(SYNCHRONIZE_BYTES)).map(|(at, _)| at)
}

/// Which of the last two messages have the size of an ultimatum; where padding hides it, the server's behind Set Error Info,
/// or else the client's last word.
fn ultimatums(messages: &[Message]) -> Vec<usize> {
    if let Some((_, ultimatum)) = padded_ending(messages) {
        return vec![ultimatum];
    }
    let shaped = |(age, m): (usize, &Message)| {
        let padded = age == 0 && m.side == Side::Client && m.low < m.high && m.is(ULTIMATUM_BYTES);
        m.kind.is_none() && (padded || m.is_exactly(ULTIMATUM_BYTES))
    };
    let last = messages.iter().enumerate().rev().take(2).enumerate();
    last.filter(|(age, (_, m))| shaped((*age, m))).map(|(_, (at, _))| at).collect()
}

/// Where padding hides the size, both must stand there: the last message of the server, as short as an ultimatum can be,
/// and one before it that can be Set Error Info.
fn padded_ending(messages: &[Message]) -> Option<(usize, usize)> {
    let mut from_server = messages.iter().enumerate().rev().filter(|(_, m)| m.side == Side::Server);
    let ((at_ultimatum, ultimatum), (at_error_info, error_info)) = (from_server.next()?, from_server.next()?);
    let padded = |m: &Message| m.kind.is_none() && m.low < m.high;
    let fits = ultimatum.is(ULTIMATUM_BYTES) && error_info.is_about(SYNCHRONIZE_BYTES);
    (padded(ultimatum) && padded(error_info) && fits).then_some((at_error_info, at_ultimatum))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fact::Reading;
    use crate::note::{Place, Spot};
    use crate::packets::Sighting;
    use crate::time::UnixNanos;

    fn message(side: Side, bytes: u32, kind: Option<Known>) -> Message {
        let seen = Sighting { at: UnixNanos(0), place: Place { input_index: 0, spot: Spot::Whole } };
        Message { side, low: bytes, high: bytes, seen, kind, reading: Reading::Inferred }
    }

    #[test]
    fn demand_active_behind_licensing_needs_no_answer() {
        let server = |bytes| message(Side::Server, bytes, None);
        let client = |bytes| message(Side::Client, bytes, None);
        assert_eq!(behind_licensing(&[server(34), server(400)]), Some(1));
        assert_eq!(behind_licensing(&[server(2_000), client(300), server(34), server(400)]), Some(3));
        assert_eq!(behind_licensing(&[server(34), server(36), server(9)]), None, "it ends there");
        assert_eq!(behind_licensing(&[server(34), client(400)]), None, "the client speaks next");
        assert_eq!(behind_licensing(&[server(321), server(400)]), None, "licensing goes on");
        let encrypted = [message(Side::Server, 34, Some(Known::License)), server(437)];
        assert_eq!(behind_licensing(&encrypted), Some(1), "under Standard RDP Security the header tells");
    }

    #[test]
    fn a_finalisation_that_was_joined_is_parted() {
        let client = |bytes| message(Side::Client, bytes, None);
        let begun = [client(523), client(36), client(40), client(40), client(40)];
        let joined = |added: u32, sums: &[u32], more: &[Message]| {
            let mut all = begun.to_vec();
            all.extend(sums.iter().map(|sum| message(Side::Server, sum - added, None)));
            all.extend(more);
            let before = font_map(&all);
            part_controls(&mut all, added);
            (before, all.len(), font_map(&all))
        };
        let goes_on = [client(8), client(10)];
        // As measured: in two, with a picture behind, all in one with another message.
        assert_eq!(joined(22, &[122, 126], &goes_on), (None, 11, Some(8)));
        assert_eq!(joined(22, &[122, 249], &goes_on), (None, 12, Some(8)));
        assert_eq!(joined(22, &[272], &goes_on), (None, 12, Some(8)));
        assert_eq!(joined(29, &[307], &goes_on), (None, 12, Some(8)));
        assert_eq!(joined(22, &[243], &goes_on), (None, 8, None), "too little");
        assert_eq!(joined(22, &[272], &[client(8)]), (None, 7, None), "the client may have left");
        assert_eq!(joined(22, &[272], &[client(9), client(8)]), (None, 8, None), "the client says good-bye");
        let apart = joined(22, &[58, 62, 62, 62, 500], &goes_on);
        assert_eq!(apart, (Some(8), 12, Some(8)), "nothing is joined");
        let mut other = begun.to_vec();
        other.push(message(Side::Server, 100, None));
        assert!(!is_unclear(&other), "the client has yet to go on");
        other.push(client(8));
        assert!(is_unclear(&other));
    }

    #[test]
    fn behind_the_ultimatum_of_the_server_nothing_is_an_answer() {
        let all = [
            message(Side::Client, 12, None),
            message(Side::Server, ULTIMATUM_BYTES, None),
            message(Side::Client, 437, None),
        ];
        assert_eq!(before_ultimatum(&all), 1);
        assert_eq!(before_ultimatum(&all[..1]), 1);
        let own = [message(Side::Client, ULTIMATUM_BYTES, None), message(Side::Client, 30, None)];
        assert_eq!(before_ultimatum(&own), 2, "the client's own may cross an answer");
    }

    #[test]
    fn a_logon_is_told_by_two_sizes_in_a_row() {
        let at = |sizes: &[u32]| {
            let sizes: Vec<Option<u32>> = sizes.iter().map(|size| Some(*size)).collect();
            logon_at(&sizes)
        };
        assert_eq!(at(&[40, 657, 645, 82]), Some(1));
        assert_eq!(at(&[617, 645]), Some(0), "two empty names");
        assert_eq!(at(&[645, 657, 82]), None, "the other way round");
        assert_eq!(at(&[657, 82, 645]), None, "something in between");
        assert_eq!(at(&[656, 645]), None, "no names of UTF-16 are so long");
        assert_eq!(at(&[615, 645]), None, "names without their ends");
        assert_eq!(at(&[1_179, 645]), None, "names that are too long");
        assert_eq!(logon_at(&[Some(657), None]), None, "a size that is not exact");
    }
}
