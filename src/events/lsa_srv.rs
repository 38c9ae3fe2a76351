//! LsaSrv: authentication as the local security authority sees it. Named, or unnamed where the event is a classic one.

use super::generic::{note, problem, status};
use super::{EventMap, Log, Seen, event, value};
use crate::codes::Status;
use crate::fact::{Keys, What};

pub(super) const LOG: Log =
    Log { name: "lsasrv", providers: &["LsaSrv", "LSA"], channels: &["System"], keys, events: EVENTS };

const EVENTS: &[EventMap] = &[
    event(6033, "an anonymous session was blocked", note),
    event(6035, "a token or session is in trouble", note),
    event(6036, "a program has a token or session that is in trouble", note),
    event(6037, "a program authenticated to a name that is not this host's", problem),
    event(6040, "what the server says of itself does not fit", problem),
    event(6041, "policy does not allow the CredSSP version of the server", |seen| {
        let version = seen.number("TargetVersion").or_else(|| seen.number("1"));
        Some(What::CredsspVersionRefused { target: seen.any(&["TargetName", "0"]), version })
    }),
    event(40960, "authentication to a server failed", authentication),
    event(40961, "there is no secured connection to a server", authentication),
    event(40962, "an attempt to weaken authentication was detected", note),
    event(40968, "a packet was rejected", note),
    event(45057, "cached credentials could not be used", cached),
];

/// 45057 in its old layout has user, package and error in one text.
fn keys(seen: &Seen<'_>, keys: &mut Keys) {
    let first = || seen.text("0").and_then(|text| text.split(',').next().map(str::to_owned));
    let user = seen.text("Username").or_else(|| if seen.record.id == 45057 { first() } else { None });
    if let Some(user) = user {
        value::set_user(keys, &user);
    }
}

fn cached(seen: &Seen<'_>) -> Option<What> {
    let words = seen.any(&["Error", "0"]);
    let status = words.as_deref().and_then(value::number_in).map(Status);
    let package =
        seen.text("Package").or_else(|| seen.text("0")?.split(',').nth(1).map(|text| text.trim().to_owned()));
    Some(What::LogSays {
        log: seen.log.name.to_owned(),
        event: seen.record.id,
        says: seen.event.says.to_owned(),
        status,
        detail: package,
    })
}

/// `Error` is a number, or a sentence that ends with one.
fn authentication(seen: &Seen<'_>) -> Option<What> {
    let words = seen.any(&["Error", "2"]);
    let in_words = words.as_deref().and_then(value::number_in).map(Status);
    Some(What::AuthenticationFailed {
        target: seen.any(&["Target", "0"]),
        protocol: seen.any(&["Protocol", "1"]),
        status: status(seen).or(in_words),
    })
}
