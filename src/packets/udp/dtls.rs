//! DTLS inside of a lossy UDP transport (RFC 6347): hellos and alerts in clear, then records of known size.

use super::super::{Message, Reader};
use super::sized;
use crate::fact::{Reading, Side, What};
use crate::read::flow::Sighting;
use crate::read::udp::UdpFlow;
use crate::wire::rdpudp::{self, DtlsRecord, UdpVersion};
use crate::wire::tls::{AlertDescription, ContentType, Overhead, Suite, TlsVersion};

/// DTLS 1.2 on the wire; what is older has a greater number.
const DTLS12: u16 = 0xfefd;

/// What was seen so far.
#[derive(Debug, Default)]
struct Seen {
    /// Version and suite that the server chose.
    chosen: Option<(u16, Suite)>,
    /// Whose hello was told: it is sent again, with a cookie or after a loss.
    hellos: [bool; 2],
    /// First encrypted handshake message of each side: its Finished.
    finished: [Option<Sighting>; 2],
    messages: Vec<Message>,
}

/// Reads the first datagrams of both sides.
pub(super) fn read(reader: &mut Reader<'_>, udp: &UdpFlow, version: UdpVersion) {
    let mut datagrams: Vec<(Sighting, Side, Vec<u8>)> = Vec::new();
    for side in [Side::Client, Side::Server] {
        for kept in &udp.half(side).kept {
            if let Ok(Some(chunk)) = rdpudp::chunk(&kept.bytes, version) {
                datagrams.push((kept.seen, side, chunk.bytes));
            }
        }
    }
    datagrams.sort_by_key(|(seen, ..)| *seen);
    let mut state = Seen::default();
    for (seen, side, bytes) in &datagrams {
        for record in rdpudp::dtls_records(bytes) {
            take(reader, &mut state, &record, (*side, *seen));
        }
    }
    if let [Some(client), Some(server)] = state.finished {
        reader.say(client.max(server), What::UdpSecured {});
        sized(reader, &state.messages);
    }
}

fn take(reader: &mut Reader<'_>, state: &mut Seen, record: &DtlsRecord<'_>, (side, seen): (Side, Sighting)) {
    let index = usize::from(side == Side::Server);
    match (ContentType(record.content), record.epoch) {
        (ContentType::HANDSHAKE, 0) => hello(reader, state, record, seen),
        (ContentType::HANDSHAKE, _) => {
            if let Some(finished) = state.finished.get_mut(index) {
                finished.get_or_insert(seen);
            }
        }
        (ContentType::ALERT, 0) => {
            if let [level, code] = record.fragment {
                let what =
                    What::UdpAlert { by: side, fatal: *level == 2, code: Some(AlertDescription(*code)) };
                reader.say(seen, what);
            }
        }
        (ContentType::ALERT, _) => reader.infer(seen, What::UdpAlert { by: side, fatal: false, code: None }),
        (ContentType::APPLICATION_DATA, 1..) => {
            if let Some((version, suite)) = state.chosen {
                state.messages.push(message(record, version, suite, (side, seen)));
            }
        }
        _ => {}
    }
}

fn hello(reader: &mut Reader<'_>, state: &mut Seen, record: &DtlsRecord<'_>, seen: Sighting) {
    let Some(hello) = rdpudp::dtls_hello(record.fragment) else { return };
    let Some(told) = state.hellos.get_mut(usize::from(!hello.client)) else { return };
    if std::mem::replace(told, true) {
        return;
    }
    let version = TlsVersion(hello.version);
    match hello.suite {
        _ if hello.client => reader.say(seen, What::UdpClientHello { version }),
        Some(suite) => {
            state.chosen = Some((hello.version, Suite(suite)));
            reader.say(seen, What::UdpServerHello { version, suite: Suite(suite) });
        }
        None => {}
    }
}

/// Plaintext of a record: suites add to it what they add to a record of the TLS version beside it.
fn message(record: &DtlsRecord<'_>, version: u16, suite: Suite, (side, seen): (Side, Sighting)) -> Message {
    let beside = if version <= DTLS12 { TlsVersion::TLS12 } else { TlsVersion(0x0302) };
    let length = u32::from(record.length);
    let (low, high) = match suite.overhead(beside) {
        Overhead::Fixed(bytes) => (length.saturating_sub(bytes), length.saturating_sub(bytes)),
        Overhead::Padded { least } => {
            let high = length.saturating_sub(least);
            (high.saturating_sub(15), high)
        }
    };
    Message { side, low, high, seen, kind: None, reading: Reading::Inferred }
}
