//! The TLS handshake in clear, and behind it the encrypted records: opened where secrets are given, else as messages of
//! known size.

use data_encoding::HEXLOWER;

use super::authorization::{self, Method};
use super::opening::{self, Hellos, Inside, Opened};
use super::{Message, Reader, clear, credssp, mcs, ms_between};
use crate::fact::{Reading, Side, What};
use crate::read::flow::Sighting;
use crate::read::stream::Stream;
use crate::wire::certificate::certificate;
use crate::wire::negotiation::Protocols;
use crate::wire::tls::{
    AlertDescription, ClientHello, ContentType, Handshake, Overhead, RECORD_HEADER, RecordHeader,
    ServerHello, Suite, TlsVersion, handshake, record_header,
};

/// Records of one direction that are looked at.
const RECORDS_MAX: usize = 8_192;
/// Bytes of one direction's clear handshake.
const HANDSHAKE_BYTES_MAX: usize = 64 * 1024;
/// Plaintext of an alert.
const ALERT_BYTES: u32 = 2;

/// A record of one direction.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record {
    pub(super) side: Side,
    pub(super) header: RecordHeader,
    pub(super) offset: u64,
    /// When its last byte was seen.
    pub(super) seen: Sighting,
}

impl Record {
    pub(super) fn is(&self, content: ContentType) -> bool {
        self.header.content == content
    }

    /// Offset behind it.
    pub(super) fn end(&self) -> u64 {
        self.offset + u64::try_from(RECORD_HEADER).unwrap_or(5) + u64::from(self.header.length)
    }
}

/// What the clear part of the handshake says.
#[derive(Debug, Default)]
struct Handshaken {
    client_hello: Option<ClientHello>,
    server_hello: Option<ServerHello>,
    /// The server asked for another ClientHello: TLS 1.3, whose change cipher spec changes nothing (RFC 8446 D.4).
    retried: bool,
    /// A fatal alert in clear, or the end of the handshake by one.
    alert: bool,
}

/// Reads TLS from these offsets on, and hands the messages behind the handshake to what the negotiation chose.
pub(super) fn read(reader: &mut Reader<'_>, client_from: u64, server_from: u64, chosen: Protocols) {
    let records = both_sides(reader, client_from, server_from);
    let shaken = clear_part(reader, &records);
    if shaken.alert {
        return;
    }
    let Some(server) = shaken.server_hello else {
        if shaken.client_hello.is_some() {
            reader.turn = Some(Side::Server);
        }
        return;
    };
    let client = shaken.client_hello.unwrap_or_default();
    let (version, suite) = (server.version, server.suite);
    let hellos = Hellos {
        client_random: &client.random,
        server_random: &server.random,
        version,
        suite,
        encrypt_then_mac: server.encrypt_then_mac,
    };
    if let Some(opened) = opening::open(reader, &records, &hellos) {
        say_opened(reader, &opened);
        if opened.both() && read_opened(reader, &records, &opened, &hellos, chosen) {
            return;
        }
    }
    let Some(messages) = messages(reader, &records, &hellos) else { return };
    reader.turn = messages.last().map_or(Some(Side::Client), |last| Some(last.side.other()));
    if chosen.is_nla() {
        credssp::read(reader, &messages, chosen.contains(Protocols::HYBRID_EX));
    } else if let Some(method) = Method::of(chosen) {
        authorization::read(reader, &messages, method);
    } else {
        mcs::read(reader, &messages);
    }
}

/// What stands behind a TLS handshake that is read for itself.
pub(super) enum Tunnel {
    /// The handshake is not complete, or not in the capture.
    Nothing,
    /// Messages of known size.
    Sized(Vec<Message>),
    /// What they say.
    Opened(Box<Opened>),
}

/// Reads TLS from the first byte on, where it is not that of the main connection.
pub(super) fn tunnel(reader: &mut Reader<'_>) -> Tunnel {
    let records = both_sides(reader, 0, 0);
    let shaken = clear_part(reader, &records);
    let Some(server) = shaken.server_hello.filter(|_| !shaken.alert) else {
        return Tunnel::Nothing;
    };
    let client = shaken.client_hello.unwrap_or_default();
    let version = server.version;
    let hellos = Hellos {
        client_random: &client.random,
        server_random: &server.random,
        version,
        suite: server.suite,
        encrypt_then_mac: server.encrypt_then_mac,
    };
    if let Some(opened) = opening::open(reader, &records, &hellos) {
        say_opened(reader, &opened);
        if opened.both() {
            let finished = finished(&records, &opened, version);
            if let Some(seen) = finished {
                reader.say(seen, What::TlsFinished {});
            }
            say_alerts(reader, &opened, finished);
            return Tunnel::Opened(Box::new(opened));
        }
    }
    messages(reader, &records, &hellos).map_or(Tunnel::Nothing, Tunnel::Sized)
}

/// Opens TLS from these offsets on, whatever it carries; `None` when the secrets open nothing.
pub(super) fn unwrapped(reader: &mut Reader<'_>, client_from: u64, server_from: u64) -> Option<Opened> {
    let records = both_sides(reader, client_from, server_from);
    let shaken = clear_part(reader, &records);
    let (client, server) = (shaken.client_hello?, shaken.server_hello?);
    let hellos = Hellos {
        client_random: &client.random,
        server_random: &server.random,
        version: server.version,
        suite: server.suite,
        encrypt_then_mac: server.encrypt_then_mac,
    };
    opening::open(reader, &records, &hellos)
}

/// A connection that is TLS from its first byte, and opens with no secrets: its records of application data, and what
/// each adds to its plaintext.
pub(super) fn closed(reader: &mut Reader<'_>) -> Option<(Vec<Record>, Overhead)> {
    let mut records = both_sides(reader, 0, 0);
    let server = clear_part(reader, &records).server_hello?;
    records.retain(|record| record.is(ContentType::APPLICATION_DATA));
    Some((records, server.suite.overhead(server.version, server.encrypt_then_mac)))
}

/// The clear part of a handshake that did not lead to anything. True when the client went on to encrypt.
pub(super) fn clear_only(reader: &mut Reader<'_>) -> bool {
    let records = both_sides(reader, 0, 0);
    clear_part(reader, &records);
    reader.turn = records.last().map(|last| last.side.other());
    records.iter().any(|one| one.side == Side::Client && one.is(ContentType::CHANGE_CIPHER_SPEC))
}

/// The records of both sides from these offsets on, in the order of time, up to a reset.
fn both_sides(reader: &Reader<'_>, client_from: u64, server_from: u64) -> Vec<Record> {
    let flow = reader.flow;
    let mut records = records(&flow.from_client.stream, client_from, Side::Client);
    records.extend(self::records(&flow.from_server.stream, server_from, Side::Server));
    records.sort_by_key(|record| record.seen);
    let over = reader.over_at();
    records.retain(|record| over.is_none_or(|over| record.seen <= over));
    records
}

/// What is encrypted, as messages of known size, once the handshake is complete.
fn messages(reader: &mut Reader<'_>, records: &[Record], hellos: &Hellos<'_>) -> Option<Vec<Message>> {
    let overhead = hellos.suite.overhead(hellos.version, hellos.encrypt_then_mac);
    match hellos.version >= TlsVersion::TLS13 {
        true => messages_13(reader, records, hellos.suite),
        false => messages_12(reader, records, hellos.version, overhead),
    }
}

/// When the handshake was complete.
fn finished(records: &[Record], opened: &Opened, version: TlsVersion) -> Option<Sighting> {
    match version >= TlsVersion::TLS13 {
        true => finished_13(opened),
        false => finished_12(records),
    }
}

/// That records were opened, and the certificates that TLS 1.3 hides.
fn say_opened(reader: &mut Reader<'_>, opened: &Opened) {
    let Some(first) = opened.first() else { return };
    let closed = opened.client.closed.len() + opened.server.closed.len();
    let what = What::TlsOpened {
        client_records: opened.client.opened,
        server_records: opened.server.opened,
        closed_records: u32::try_from(closed).unwrap_or(u32::MAX),
    };
    reader.say_read(first, Reading::Opened, what);
    for (side, half) in [(Side::Client, &opened.client), (Side::Server, &opened.server)] {
        for (seen, inside) in &half.inside {
            if let Inside::Certificate(chain) = inside {
                show_certificate(reader, chain, (side, *seen), Reading::Opened);
            }
        }
    }
}

/// Reads what the opened records say. False when too much stayed closed, and sizes tell more.
fn read_opened(
    reader: &mut Reader<'_>,
    records: &[Record],
    opened: &Opened,
    hellos: &Hellos<'_>,
    chosen: Protocols,
) -> bool {
    let exchange =
        chosen.is_nla().then(|| credssp::Exchange::of(opened, chosen.contains(Protocols::HYBRID_EX)));
    let other = Method::of(chosen).filter(|_| exchange.is_none());
    let other = other.map(|method| authorization::Exchange::of(opened, method));
    let behind = exchange.as_ref().map(|exchange| exchange.behind);
    let (client_from, server_from) = behind.or(other.as_ref().map(|other| other.behind)).unwrap_or_default();
    let pdus = clear::pdus((&opened.client.stream, client_from), (&opened.server.stream, server_from));
    let told = !pdus.is_empty()
        || exchange.as_ref().is_some_and(|exchange| exchange.error().is_some())
        || other.as_ref().is_some_and(authorization::Exchange::is_told);
    if !told && !opened.is_complete() {
        return false;
    }
    let finished = finished(records, opened, hellos.version);
    if let Some(seen) = finished {
        reader.say(seen, What::TlsFinished {});
    }
    say_alerts(reader, opened, finished);
    if finished.is_none() {
        return true;
    }
    let last = [(opened.client.last, Side::Server), (opened.server.last, Side::Client)];
    let last = last.into_iter().filter_map(|(seen, turn)| Some((seen?, turn))).max_by_key(|(seen, _)| *seen);
    reader.turn = last.map_or(Some(Side::Client), |(_, turn)| Some(turn));
    if let Some(exchange) = exchange {
        exchange.read(reader, pdus.first().map(|pdu| pdu.seen));
    }
    if let Some(other) = other {
        other.read(reader);
    }
    if !pdus.is_empty() {
        let overhead = hellos.suite.overhead(hellos.version, hellos.encrypt_then_mac);
        let closed = opened.client.closed.iter().chain(&opened.server.closed);
        let behind = pdus.first().map(|pdu| pdu.seen);
        let hidden = closed.filter(|record| Some(record.seen) >= behind).map(|r| message(r, overhead));
        clear::read(reader, &pdus, hidden.collect(), Reading::Opened);
    }
    true
}

/// The client's Finished; where its keys were given for what follows only, the first record that opens.
fn finished_13(opened: &Opened) -> Option<Sighting> {
    let said = |inside: &Inside| matches!(inside, Inside::Finished);
    let finished = opened.client.inside.iter().find(|(_, inside)| said(inside)).map(|(seen, _)| *seen);
    finished.or(opened.client.last)
}

/// Alerts are those of the handshake until it is complete.
fn say_alerts(reader: &mut Reader<'_>, opened: &Opened, finished: Option<Sighting>) {
    for (by, half) in [(Side::Client, &opened.client), (Side::Server, &opened.server)] {
        for (seen, inside) in &half.inside {
            let Inside::Alert { fatal, code } = *inside else { continue };
            let of_handshake = finished.is_none_or(|finished| *seen < finished);
            let what = match of_handshake {
                true => What::Alert { by, fatal, code },
                false => What::EncryptedAlert { by, code: Some(code) },
            };
            reader.say_read(*seen, Reading::Opened, what);
        }
    }
}

/// Walks the records of one direction; behind a gap it goes on at the next segment that starts with a record.
fn records(stream: &Stream, from: u64, side: Side) -> Vec<Record> {
    let mut records: Vec<Record> = Vec::new();
    let mut at = from;
    while records.len() < RECORDS_MAX {
        let bytes = stream.from(at);
        let Ok(header) = record_header(bytes) else {
            let Some(next) = next_start(stream, at) else { break };
            at = next;
            continue;
        };
        let length = u64::try_from(RECORD_HEADER).unwrap_or(5) + u64::from(header.length);
        let first = stream.seen(at);
        let last = stream.seen(at + length - 1).filter(|_| stream.end() >= at + length);
        let earliest = records.last().map(|record| record.seen);
        let Some(seen) = last.or(first).max(earliest) else { break };
        records.push(Record { side, header, offset: at, seen });
        at += length;
    }
    records
}

/// The next segment behind `at` that starts with a record header.
fn next_start(stream: &Stream, at: u64) -> Option<u64> {
    stream.segments_from(at + 1).find(|offset| record_header(stream.from(*offset)).is_ok())
}

/// Hellos, certificates and alerts up to the first encrypted record of each side.
fn clear_part(reader: &mut Reader<'_>, records: &[Record]) -> Handshaken {
    let mut shaken = Handshaken::default();
    let mut pending: [Vec<u8>; 2] = [Vec::new(), Vec::new()];
    let mut encrypted = [false, false];
    for record in records {
        let index = usize::from(record.side == Side::Server);
        let (Some(pending), Some(encrypted)) = (pending.get_mut(index), encrypted.get_mut(index)) else {
            continue;
        };
        if *encrypted {
            continue;
        }
        if record.is(ContentType::HANDSHAKE) {
            pending.extend_from_slice(body(reader, record));
            if pending.len() > HANDSHAKE_BYTES_MAX {
                pending.clear();
                *encrypted = true;
            }
            drain(reader, &mut shaken, pending, record);
        } else if record.is(ContentType::ALERT) {
            clear_alert(reader, &mut shaken, record);
        } else if !shaken.retried || !record.is(ContentType::CHANGE_CIPHER_SPEC) {
            *encrypted = true;
        }
    }
    shaken
}

fn body<'f>(reader: &Reader<'f>, record: &Record) -> &'f [u8] {
    let offset = record.offset + u64::try_from(RECORD_HEADER).unwrap_or(5);
    let bytes = reader.flow.half(record.side).stream.from(offset);
    bytes.get(..usize::from(record.header.length).min(bytes.len())).unwrap_or_default()
}

fn drain(reader: &mut Reader<'_>, shaken: &mut Handshaken, pending: &mut Vec<u8>, record: &Record) {
    while let Ok((message, length)) = handshake(pending) {
        pending.drain(..length.min(pending.len()));
        match message {
            Handshake::ClientHello(hello) => {
                reader.say(record.seen, client_hello(&hello));
                // Behind a HelloRetryRequest the second one counts; its random is the same (RFC 8446 4.1.2).
                shaken.client_hello = Some(hello);
            }
            Handshake::ServerHello(hello) => {
                let asked = shaken.client_hello.as_ref();
                let what = What::ServerHello {
                    version: hello.version,
                    suite: hello.suite,
                    resumed: asked.is_some_and(|asked| hello.resumes(asked)),
                    alpn: hello.alpn.as_deref().map(text),
                    ja3s: Some(hello.ja3s()),
                };
                reader.say(record.seen, what);
                shaken.server_hello = Some(hello);
            }
            Handshake::Certificate(chain) => {
                show_certificate(reader, &chain, (record.side, record.seen), Reading::Clear);
            }
            Handshake::HelloRetryRequest => shaken.retried = true,
            Handshake::Other(_) => {}
        }
    }
}

fn client_hello(hello: &ClientHello) -> What {
    let alpn: Vec<String> = hello.alpn.iter().map(|name| text(name)).collect();
    What::ClientHello {
        version: hello.versions.first().copied().unwrap_or(hello.legacy_version),
        suites: u32::try_from(hello.suites.len()).unwrap_or(u32::MAX),
        sni: hello.sni.as_deref().map(text),
        offered: digits(hello.suites.iter().map(|suite| suite.0)),
        versions: Some(digits(hello.versions.iter().map(|version| version.0))),
        legacy: Some(hello.legacy_version),
        alpn: (!alpn.is_empty()).then(|| alpn.join(",")),
        resumes: hello.asks_to_resume(),
        ja3: Some(hello.ja3()),
        ja4: Some(hello.ja4()),
        random: hello.random.first_chunk::<16>().map(|random| HEXLOWER.encode(random)),
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Numbers as 4 hexadecimal digits each, separated by commas.
fn digits(numbers: impl Iterator<Item = u16>) -> String {
    numbers.map(|number| format!("{number:04x}")).collect::<Vec<_>>().join(",")
}

fn show_certificate(
    reader: &mut Reader<'_>,
    chain: &[Vec<u8>],
    (by, seen): (Side, Sighting),
    reading: Reading,
) {
    let Some(Ok(read)) = chain.first().map(|der| certificate(der)) else { return };
    let what = What::Certificate {
        by,
        subject: read.subject,
        issuer: read.issuer,
        not_before: read.not_before,
        not_after: read.not_after,
        self_signed: read.self_signed,
        key: read.key,
        signature: read.signature,
        names: (!read.names.is_empty()).then(|| read.names.join(",")),
        sha1: Some(read.sha1),
        sha256: Some(read.sha256),
        automatic: read.automatic,
    };
    reader.say_read(seen, reading, what);
}

fn clear_alert(reader: &mut Reader<'_>, shaken: &mut Handshaken, record: &Record) {
    let [level, code] = body(reader, record) else { return };
    let fatal = *level == 2;
    let code = AlertDescription(*code);
    shaken.alert |= fatal || code == AlertDescription::CLOSE_NOTIFY;
    reader.say(record.seen, What::Alert { by: record.side, fatal, code });
}

/// TLS 1.2 and older: encryption starts with a side's change cipher spec, one encrypted handshake record is its
/// Finished.
fn messages_12(
    reader: &mut Reader<'_>,
    records: &[Record],
    version: TlsVersion,
    overhead: Overhead,
) -> Option<Vec<Message>> {
    reader.say(finished_12(records)?, What::TlsFinished {});
    let mut messages = Vec::new();
    for record in records {
        if record.is(ContentType::ALERT) && u32::from(record.header.length) > ALERT_BYTES {
            reader.infer(record.seen, What::EncryptedAlert { by: record.side, code: None });
        } else if record.is(ContentType::APPLICATION_DATA) {
            messages.push((*record, message(record, overhead)));
        }
    }
    if version <= TlsVersion::TLS10 && matches!(overhead, Overhead::Padded { .. }) {
        return Some(without_splits(&messages, overhead));
    }
    Some(messages.into_iter().map(|(_, message)| message).collect())
}

/// In TLS 1.0 many put a record of one byte, or of none, before each write, because the IV of the next is known
/// beforehand. A side does so when its first record is such a one: the first message of CredSSP or MCS is longer.
fn without_splits(messages: &[(Record, Message)], overhead: Overhead) -> Vec<Message> {
    let is_split = |record: &Record| u32::from(record.header.length) == overhead.record(1);
    let splits = |side: Side| {
        let mut own = messages.iter().filter(|(record, _)| record.side == side);
        own.next().is_some_and(|(record, _)| is_split(record))
    };
    let splitting = [splits(Side::Client), splits(Side::Server)];
    let mut whole: Vec<Message> = Vec::new();
    let mut ahead: [Option<Record>; 2] = [None, None];
    for (record, message) in messages {
        let index = usize::from(record.side == Side::Server);
        let (Some(ahead), Some(true)) = (ahead.get_mut(index), splitting.get(index).copied()) else {
            whole.push(*message);
            continue;
        };
        let first = ahead.take();
        if first.is_none() && is_split(record) {
            *ahead = Some(*record);
        } else {
            let more = u32::from(first.is_some_and(|first| first.end() == record.offset));
            whole.push(Message { high: message.high + more, ..*message });
        }
    }
    whole
}

/// The later of both sides' Finished.
fn finished_12(records: &[Record]) -> Option<Sighting> {
    let finished = |side: Side| {
        let changed = records.iter().position(|r| r.side == side && r.is(ContentType::CHANGE_CIPHER_SPEC))?;
        let behind = records.iter().skip(changed + 1);
        behind.filter(|r| r.side == side).find(|r| r.is(ContentType::HANDSHAKE)).map(|r| r.seen)
    };
    Some(finished(Side::Client)?.max(finished(Side::Server)?))
}

/// TLS 1.3: everything behind the hellos looks like application data. The client's first record is its Finished
/// (RFC 8446 4.4.4), and may share its segment with the client's first message; what the server sends before the client
/// speaks again are session tickets.
fn messages_13(reader: &mut Reader<'_>, records: &[Record], suite: Suite) -> Option<Vec<Message>> {
    let overhead = suite.overhead(TlsVersion::TLS13, false);
    let is_data = |record: &Record| record.is(ContentType::APPLICATION_DATA);
    let finished_at = records.iter().position(|r| r.side == Side::Client && is_data(r))?;
    let (finished, behind) = records.get(finished_at..)?.split_first()?;
    if message(finished, overhead).is(ALERT_BYTES) {
        reader.infer(finished.seen, What::EncryptedAlert { by: Side::Client, code: None });
        return None;
    }
    reader.say(finished.seen, What::TlsFinished {});
    let mut spoke = false;
    let mut messages = Vec::new();
    for record in behind.iter().filter(|record| is_data(record)) {
        let read = message(record, overhead);
        spoke |= record.side == Side::Client;
        if read.is(ALERT_BYTES) {
            reader.infer(record.seen, What::EncryptedAlert { by: record.side, code: None });
        } else if spoke {
            messages.push(read);
        }
    }
    Some(messages)
}

fn message(record: &Record, overhead: Overhead) -> Message {
    let (low, high) = overhead.plaintext(u32::from(record.header.length));
    Message { side: record.side, low, high, seen: record.seen, kind: None, reading: Reading::Inferred }
}

/// In the middle of a connection: where the first whole record of the server starts, when TLS records follow each
/// other from there on.
pub(super) fn mid_stream(reader: &Reader<'_>) -> Option<Sighting> {
    let stream = &reader.flow.from_server.stream;
    let found = records(stream, 0, Side::Server);
    let data = found.iter().filter(|record| record.is(ContentType::APPLICATION_DATA)).count();
    let foreign = found.len().saturating_sub(data);
    (data >= 3 && foreign == 0).then(|| found.first().map(|record| record.seen)).flatten()
}

/// Says that desktop traffic flows from `since` on, when there is enough of it to be one.
pub(super) fn running(reader: &mut Reader<'_>, since: Sighting) {
    let flow = reader.flow;
    let server_bytes = flow.from_server.claimed_end;
    let over_ms = ms_between(since, flow.last);
    if server_bytes >= mcs::RUNNING_BYTES_MIN && over_ms >= mcs::RUNNING_MS_MIN {
        reader.infer(flow.last, What::Running { server_bytes, over_ms });
    }
}
