//! Readers for ids that have no fact of their own: what they say, with their code and the fields they name.

use super::{Seen, value};
use crate::codes::Status;
use crate::fact::What;

/// Fields that hold a code, in the names of all providers.
const CODES: [&str; 12] = [
    "Status",
    "ErrorCode",
    "errorCode",
    "HresultCode",
    "ResultCode",
    "StatusCode",
    "Error",
    "error",
    "Hr",
    "ErrorStatus",
    "ErrorState",
    "Code",
];
/// Fields that say nothing to a person.
const DULL: [&str; 10] = [
    "Binary",
    "binary",
    "__binLength",
    "CustomLevel",
    "File",
    "Line",
    "TicketOptions",
    "ResponseTicket",
    "pCertificateContext",
    "certificateContext",
];
/// Bytes of the detail kept.
const DETAIL_BYTES_MAX: usize = 512;

/// A failure.
pub(super) fn problem(seen: &Seen<'_>) -> Option<What> {
    let (log, event, says) = head(seen);
    Some(What::ProblemLogged { log, event, says, status: status(seen), detail: detail(seen) })
}

/// A failure of a service or of the host, for all.
pub(super) fn service(seen: &Seen<'_>) -> Option<What> {
    let (log, event, says) = head(seen);
    Some(What::ServiceProblem { log, event, says, status: status(seen), detail: detail(seen) })
}

/// No failure.
pub(super) fn note(seen: &Seen<'_>) -> Option<What> {
    let (log, event, says) = head(seen);
    Some(What::LogSays { log, event, says, status: status(seen), detail: detail(seen) })
}

fn head(seen: &Seen<'_>) -> (String, u32, String) {
    (seen.log.name.to_owned(), seen.record.id, seen.event.says.to_owned())
}

/// The code of a record, wherever it stands.
pub(super) fn status(seen: &Seen<'_>) -> Option<Status> {
    CODES.iter().find_map(|name| seen.status(name))
}

/// The other fields as `Name=value`, unnamed ones as they are.
pub(super) fn detail(seen: &Seen<'_>) -> Option<String> {
    let mut parts = Vec::new();
    let mut bytes = 0;
    seen.record.fields.each(&mut |name, text| {
        let is_code = CODES.contains(&name) && value::number(text).is_some();
        let text = text.trim();
        if is_code || DULL.contains(&name) || text.is_empty() || text == "-" {
            return true;
        }
        let unnamed = name.bytes().all(|byte| byte.is_ascii_digit());
        let part = if unnamed { text.to_owned() } else { format!("{name}={text}") };
        bytes += part.len();
        let has_room = bytes <= DETAIL_BYTES_MAX;
        parts.push(if has_room { part } else { "...".to_owned() });
        has_room
    });
    (!parts.is_empty()).then(|| parts.join(", "))
}
