//! RDSTLS and Entra ID (RDSAAD) between the TLS handshake and MCS (MS-RDPBCGR 5.4.5.3, 5.4.5.4): by their messages where
//! they were opened, else by their place.

use super::opening::Opened;
use super::{Message, Reader, mcs};
use crate::fact::{Reading, Side, What};
use crate::read::flow::Sighting;
use crate::read::stream::Stream;
use crate::wire::negotiation::Protocols;
use crate::wire::{rdsaad, rdstls, tpkt};

/// Messages of one direction that are looked at.
const MESSAGES_MAX: usize = 16;

/// Which of both the negotiation chose, if any.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    Rdstls,
    Entra,
}

impl Method {
    pub(super) fn of(chosen: Protocols) -> Option<Self> {
        if chosen.contains(Protocols::RDSAAD) {
            Some(Self::Entra)
        } else if chosen.contains(Protocols::RDSTLS) {
            Some(Self::Rdstls)
        } else {
            None
        }
    }

    const fn hidden(self, by: Side) -> What {
        match self {
            Self::Rdstls => What::RdstlsMessage { by, says: None, user: None, domain: None },
            Self::Entra => What::EntraMessage { by, says: None },
        }
    }
}

/// Reads the messages behind the TLS handshake of which only the size is known: what stands before MCS Connect Initial is the
/// authentication.
pub(super) fn read(reader: &mut Reader<'_>, messages: &[Message], method: Method) {
    let boundary = mcs::connect_initial(messages);
    for message in messages.get(..boundary.unwrap_or(messages.len())).unwrap_or_default() {
        reader.infer(message.seen, method.hidden(message.side));
    }
    if let Some(behind) = boundary.and_then(|at| messages.get(at..)) {
        mcs::read(reader, behind);
    }
}

/// The authentication as it was opened.
pub(super) struct Exchange {
    /// In order of time.
    said: Vec<(Sighting, What)>,
    /// Where MCS begins in the stream of the client, and of the server.
    pub(super) behind: (u64, u64),
}

impl Exchange {
    /// The messages of both directions from their start on.
    pub(super) fn of(opened: &Opened, method: Method) -> Self {
        let (mut said, client_behind) = one_way(&opened.client.stream, Side::Client, method);
        let (from_server, server_behind) = one_way(&opened.server.stream, Side::Server, method);
        said.extend(from_server);
        said.sort_by_key(|(seen, _)| *seen);
        Self { said, behind: (client_behind, server_behind) }
    }

    /// Something was read.
    pub(super) fn is_told(&self) -> bool {
        !self.said.is_empty()
    }

    pub(super) fn read(&self, reader: &mut Reader<'_>) {
        for (seen, what) in &self.said {
            reader.say_read(*seen, Reading::Opened, what.clone());
        }
    }
}

/// The messages of one side, and where MCS begins. A gap is passed over to the next record.
fn one_way(stream: &Stream, side: Side, method: Method) -> (Vec<(Sighting, What)>, u64) {
    let mut said = Vec::new();
    let mut at = 0;
    while said.len() < MESSAGES_MAX {
        let bytes = stream.from(at);
        if matches!(tpkt::unit(bytes), Ok(tpkt::Unit::Tpdu { .. })) {
            break;
        }
        let read = match method {
            Method::Rdstls => rdstls::pdu(bytes).map(|(pdu, length)| (of_rdstls(side, pdu), length)),
            Method::Entra => {
                rdsaad::message(bytes).map(|(message, length)| (of_entra(side, message), length))
            }
        };
        let next = match read {
            Ok((what, length)) => {
                let length = u64::try_from(length).unwrap_or(u64::MAX);
                let Some(seen) = stream.seen(at + length.saturating_sub(1)) else { break };
                said.push((seen, what));
                Some(at + length)
            }
            Err(_) => stream.segments_from(at + 1).next(),
        };
        let Some(next) = next else { break };
        at = next;
    }
    (said, at)
}

fn of_rdstls(by: Side, pdu: rdstls::Rdstls) -> What {
    let message = |says: String| What::RdstlsMessage { by, says: Some(says), user: None, domain: None };
    match pdu {
        rdstls::Rdstls::Capabilities { versions } => message(format!("capabilities, versions {versions:#x}")),
        rdstls::Rdstls::Password { user, domain, .. } => {
            What::RdstlsMessage { by, says: Some("authentication by password".to_owned()), user, domain }
        }
        rdstls::Rdstls::Cookie { session_id } => {
            message(format!("authentication by auto-reconnect cookie of session {session_id}"))
        }
        rdstls::Rdstls::Request { data } => message(format!("authentication by data of type {data}")),
        rdstls::Rdstls::Response { result } => What::RdstlsResult { code: result },
    }
}

fn of_entra(by: Side, message: rdsaad::Rdsaad) -> What {
    let says = match message {
        rdsaad::Rdsaad::Result { code } => return What::EntraResult { code },
        rdsaad::Rdsaad::ServerNonce => "nonce".to_owned(),
        rdsaad::Rdsaad::Assertion { bytes } => format!("assertion of {bytes} bytes"),
        rdsaad::Rdsaad::Other => "unknown JSON".to_owned(),
    };
    What::EntraMessage { by, says: Some(says) }
}
