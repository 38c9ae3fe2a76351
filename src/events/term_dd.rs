//! TermDD: the old driver of Remote Desktop. Classic: device, client address, and a status in the last four bytes.

use super::{EventMap, Log, Seen, value};
use crate::codes::Status;
use crate::fact::{Keys, What};

pub(super) const LOG: Log =
    Log { name: "termdd", providers: &["TermDD"], channels: &["System"], keys, events: EVENTS };

const EVENTS: &[EventMap] = &[
    EventMap {
        id: 50,
        says: "a component found an error in the protocol and dropped the client",
        read: |seen| {
            let component = seen.text("1").filter(|text| value::address(text).is_none());
            Some(What::ProtocolError { component, status: tail(seen) })
        },
    },
    EventMap {
        id: 56,
        says: "the security layer found an error in the protocol and dropped the client",
        read: |seen| Some(What::SecurityError { status: tail(seen) }),
    },
];

fn keys(seen: &Seen<'_>, keys: &mut Keys) {
    if let Some(address) = seen.text("1") {
        value::set_address(keys, &address);
    }
}

/// The last four bytes of `Binary`, little-endian.
fn tail(seen: &Seen<'_>) -> Option<Status> {
    let text = seen.text("Binary")?;
    let start = text.len().checked_sub(8)?;
    let digits = u32::from_str_radix(text.get(start..)?, 16).ok()?;
    Some(Status(digits.swap_bytes()))
}
