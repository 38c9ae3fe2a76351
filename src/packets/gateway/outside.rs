//! Connections to a gateway that ended before it let anybody in: never answered, refused, or left in the TLS handshake.

use super::Told;
use crate::fact::{Side, What};
use crate::packets::{Reader, say_outside, tcp, tls};
use crate::read::flow::Flow;
use crate::wire::keylog::KeyLog;
use crate::wire::tls::AlertDescription;

/// Reads TCP and the clear part of TLS. Nothing is said of a connection that its client may have meant to leave: load
/// balancers and monitors open one, shake hands, and close it.
pub(super) fn read(flow: &Flow, witness_index: u32, keys: &KeyLog) -> Told {
    let mut reader = Reader::new(flow, witness_index, keys);
    say_outside(&mut reader, flow, None);
    tcp::opening(&mut reader);
    let went_on = tls::clear_only(&mut reader);
    tcp::ending(&mut reader);
    let (facts, notes) = reader.finish();
    let left = facts.iter().any(|fact| match &fact.what {
        What::Alert { by: Side::Client, fatal: true, code } => is_of_certificate(*code),
        What::Certificate { by: Side::Server, not_before, not_after, self_signed, .. } => {
            let is_wrong = *self_signed || fact.at < *not_before || fact.at > *not_after;
            is_wrong && !went_on
        }
        _ => false,
    });
    let (client, server) = (&flow.from_client, &flow.from_server);
    let answered = server.syn.is_some() || server.first_ack.is_some() || client.first_ack.is_some();
    let unanswered = client.syn.is_some() && !answered;
    if left || unanswered { (facts, notes) } else { Told::default() }
}

fn is_of_certificate(code: AlertDescription) -> bool {
    [
        AlertDescription::BAD_CERTIFICATE,
        AlertDescription::UNSUPPORTED_CERTIFICATE,
        AlertDescription::CERTIFICATE_REVOKED,
        AlertDescription::CERTIFICATE_EXPIRED,
        AlertDescription::CERTIFICATE_UNKNOWN,
        AlertDescription::UNKNOWN_CA,
    ]
    .contains(&code)
}
