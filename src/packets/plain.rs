//! A connection as far as its bytes can be read, for who wants the bytes and not what they say.

use super::{Reader, layers, negotiation, tls};
use crate::read::flow::Flow;
use crate::read::stream::Stream;
use crate::wire::keylog::KeyLog;
use crate::wire::negotiation::{Confirm, Protocols, confirm};
use crate::wire::tpkt::TpduCode;

/// What client and server say behind the negotiation: in clear, or opened with `keys`. `None` where the negotiation is
/// not there, or did not lead to anything, or where nothing opens.
#[must_use]
pub fn plain(flow: &Flow, keys: &KeyLog) -> Option<[Stream; 2]> {
    let layered = layers::proxy::open(flow);
    let flow = layered.as_ref().map_or(flow, |layered| &layered.flow);
    let (client, server) = (&flow.from_client.stream, &flow.from_server.stream);
    let (_, asked) = negotiation::first_unit(client.from(0), TpduCode::CONNECTION_REQUEST)?;
    let (body, answered) = negotiation::first_unit(server.from(0), TpduCode::CONNECTION_CONFIRM)?;
    let chosen = match confirm(body) {
        Ok(Confirm::Selected { protocol, .. }) => protocol,
        Ok(Confirm::Plain) => Protocols::RDP,
        _ => return None,
    };
    if chosen.is_standard_security() {
        return Some([client.behind(asked), server.behind(answered)]);
    }
    let mut reader = Reader::new(flow, 0, keys);
    let opened = tls::unwrapped(&mut reader, asked, answered)?;
    Some([opened.client.stream, opened.server.stream])
}
