//! TLS opened with the secrets of key logs: each direction's records in order, by number, as long as their tags verify.

use super::Reader;
use super::tls::Record;
use crate::fact::Side;
use crate::note::Note;
use crate::read::flow::Sighting;
use crate::read::stream::Stream;
use crate::wire::keylog::Label;
use crate::wire::tls::{AlertDescription, ContentType, RECORD_HEADER, Suite, TlsVersion, certificates_13};

mod cipher;
mod scheme;

use cipher::{Opener, Sealing};
use scheme::Scheme;

/// Records behind a gap of which the shortest is used to find out how many were missed.
const WINDOW: usize = 8;
/// Bytes that may be tried to find that out, for each direction of a connection.
const TRIED_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Bytes of one handshake message.
const HANDSHAKE_BYTES_MAX: usize = 64 * 1024;
/// Handshake messages that change keys.
const FINISHED: u8 = 20;
const KEY_UPDATE: u8 = 24;
const CERTIFICATE: u8 = 11;

/// What the hellos say of the keys.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hellos<'h> {
    pub(super) client_random: &'h [u8],
    pub(super) server_random: &'h [u8],
    pub(super) version: TlsVersion,
    pub(super) suite: Suite,
    /// Records are encrypted before the MAC is taken (RFC 7366).
    pub(super) encrypt_then_mac: bool,
}

/// What stood in an opened record and is no application data.
#[derive(Debug)]
pub(super) enum Inside {
    Certificate(Vec<Vec<u8>>),
    Alert { fatal: bool, code: AlertDescription },
    Finished,
}

/// One direction, opened.
#[derive(Debug, Default)]
pub(super) struct Half {
    /// Application data; a gap where a record stayed closed.
    pub(super) stream: Stream,
    pub(super) inside: Vec<(Sighting, Inside)>,
    /// Records that stayed closed.
    pub(super) closed: Vec<Record>,
    pub(super) opened: u32,
    pub(super) first: Option<Sighting>,
    /// The last record that holds application data, or may.
    pub(super) last: Option<Sighting>,
    at: u64,
}

/// Both directions.
#[derive(Debug, Default)]
pub(super) struct Opened {
    pub(super) client: Half,
    pub(super) server: Half,
}

impl Opened {
    /// Each direction that has encrypted records gave at least one.
    pub(super) fn both(&self) -> bool {
        [&self.client, &self.server].iter().all(|half| half.opened > 0 || half.closed.is_empty())
    }

    pub(super) fn is_complete(&self) -> bool {
        self.client.closed.is_empty() && self.server.closed.is_empty()
    }

    pub(super) fn first(&self) -> Option<Sighting> {
        self.client.first.into_iter().chain(self.server.first).min()
    }
}

/// A record that is encrypted.
struct Sealed<'f> {
    record: Record,
    header: &'f [u8],
    /// `None` when the capture does not have all of it.
    body: Option<&'f [u8]>,
    /// Body of the encrypted record right before it.
    before: Option<&'f [u8]>,
    /// Bytes of this side that are missing before it.
    missing: u64,
}

impl<'f> Sealed<'f> {
    fn sealing(&self, body: &'f [u8]) -> Sealing<'f> {
        Sealing { header: self.header, body, before: self.before }
    }
}

/// Opens what the secrets open; `None` when there are none for this connection.
pub(super) fn open(reader: &mut Reader<'_>, records: &[Record], hellos: &Hellos<'_>) -> Option<Opened> {
    let secret = |label| reader.keys.secret(hellos.client_random, label).map(<[u8]>::to_vec);
    let is_13 = hellos.version >= TlsVersion::TLS13;
    let known = if is_13 {
        [Label::ClientHandshake, Label::ServerHandshake, Label::ClientTraffic, Label::ServerTraffic]
            .as_slice()
    } else {
        &[Label::Master]
    };
    known.iter().find_map(|label| secret(*label))?;
    let first = records.first()?.seen.place;
    let Some(scheme) = Scheme::of(hellos.version, hellos.suite, hellos.encrypt_then_mac) else {
        let negotiated = format!("{} with {}", hellos.version.words(), hellos.suite.words());
        reader.notes.push(Note::suite_not_opened(first, &negotiated));
        return None;
    };
    let [client, server] = if is_13 {
        [
            Lock::of_13(scheme, secret(Label::ClientHandshake), secret(Label::ClientTraffic)),
            Lock::of_13(scheme, secret(Label::ServerHandshake), secret(Label::ServerTraffic)),
        ]
    } else {
        let master = secret(Label::Master)?;
        let openers = scheme.keys_12(&master, hellos.client_random, hellos.server_random)?;
        openers.map(|opener| Some(Lock::new(scheme, opener)))
    };
    let opened = Opened {
        client: direction(reader, records, Side::Client, client, is_13),
        server: direction(reader, records, Side::Server, server, is_13),
    };
    (opened.client.opened + opened.server.opened > 0).then_some(opened)
}

fn direction(
    reader: &mut Reader<'_>,
    records: &[Record],
    side: Side,
    lock: Option<Lock>,
    is_13: bool,
) -> Half {
    let sealed = sealed(reader, records, side, is_13);
    let mut half = Half::default();
    let Some(mut lock) = lock else {
        half.closed = sealed.iter().map(|sealed| sealed.record).collect();
        return half;
    };
    walk(&mut lock, &sealed, &mut half);
    half.stream.finish();
    if let Some(first) = half.closed.first() {
        let closed = u32::try_from(half.closed.len()).unwrap_or(u32::MAX);
        let place = first.seen.place;
        reader.notes.push(match half.opened {
            0 => Note::secrets_do_not_open(place, side.name()),
            opened => Note::opening_ended(place, side.name(), opened, closed),
        });
    }
    half
}

/// The encrypted records of one side: in TLS 1.3 those that look like application data, before it all behind the
/// change cipher spec.
fn sealed<'f>(reader: &Reader<'f>, records: &[Record], side: Side, is_13: bool) -> Vec<Sealed<'f>> {
    let flow = reader.flow;
    let stream = &flow.half(side).stream;
    let mut sealed = Vec::new();
    let (mut expected, mut missing, mut changed, mut before) = (None, 0, false, None);
    for record in records.iter().filter(|record| record.side == side) {
        missing += expected.map_or(0, |expected| record.offset.saturating_sub(expected));
        expected = Some(record.end());
        let encrypted = if is_13 { record.is(ContentType::APPLICATION_DATA) } else { changed };
        changed |= record.is(ContentType::CHANGE_CIPHER_SPEC);
        if encrypted {
            let bytes = stream.from(record.offset);
            let header = bytes.get(..RECORD_HEADER).unwrap_or_default();
            let end = RECORD_HEADER + usize::from(record.header.length);
            let body = bytes.get(RECORD_HEADER..end);
            let before = std::mem::replace(&mut before, body).filter(|_| missing == 0);
            sealed.push(Sealed { record: *record, header, body, before, missing });
            missing = 0;
        }
    }
    sealed
}

/// The key of one direction, and the number of its next record.
struct Lock {
    scheme: Scheme,
    opener: Opener,
    /// The traffic secret that follows on Finished.
    next: Option<Vec<u8>>,
    /// The traffic secret of the key in use.
    secret: Option<Vec<u8>>,
    number: u64,
    /// Number and explicit nonce of the last record opened.
    nonce: Option<(u64, u64)>,
    pending: Vec<u8>,
    tried_bytes: u64,
}

impl Lock {
    fn new(scheme: Scheme, opener: Opener) -> Self {
        Self {
            scheme,
            opener,
            next: None,
            secret: None,
            number: 0,
            nonce: None,
            pending: Vec::new(),
            tried_bytes: 0,
        }
    }

    fn of_13(scheme: Scheme, handshake: Option<Vec<u8>>, traffic: Option<Vec<u8>>) -> Option<Self> {
        match (handshake, traffic) {
            (Some(handshake), next) => Some(Self { next, ..Self::new(scheme, scheme.keys_13(&handshake)?) }),
            (None, Some(traffic)) => {
                let opener = scheme.keys_13(&traffic)?;
                Some(Self { secret: Some(traffic), ..Self::new(scheme, opener) })
            }
            (None, None) => None,
        }
    }

    /// Takes a new traffic secret into use.
    fn turn(&mut self, secret: Vec<u8>) {
        if let Some(opener) = self.scheme.keys_13(&secret) {
            (self.opener, self.number, self.secret) = (opener, 0, Some(secret));
        }
    }

    /// The plaintext of the first of `window`.
    fn open(&mut self, window: &[Sealed<'_>]) -> Option<Vec<u8>> {
        let sealed = window.first()?;
        let body = sealed.body?;
        let sealing = sealed.sealing(body);
        if sealed.missing > 0 {
            self.pending.clear();
            self.number = self.number_behind_gap(window).unwrap_or(self.number);
        }
        let mut plain = self.opener.open(self.number, &sealing);
        if plain.is_none()
            && let Some(next) = self.next.clone()
        {
            // The Finished message was missed.
            let opener = self.scheme.keys_13(&next)?;
            plain = opener.open(0, &sealing);
            if plain.is_some() {
                self.next = None;
                self.turn(next);
            }
        }
        if plain.is_some() {
            self.nonce = explicit_nonce(body).map(|nonce| (self.number, nonce));
            self.number += 1;
        }
        plain
    }

    /// How many records were missed: the explicit nonce counts them, and without one the tag tells, tried on the
    /// shortest of the records that follow each other.
    fn number_behind_gap(&mut self, window: &[Sealed<'_>]) -> Option<u64> {
        let first = window.first()?;
        if self.scheme.has_explicit_nonce() {
            let found = explicit_nonce(first.body?)?;
            let counted = self.nonce.map(|(number, nonce)| number.wrapping_add(found.wrapping_sub(nonce)));
            return counted.or(Some(found));
        }
        let together = window.iter().enumerate().take_while(|(at, sealed)| *at == 0 || sealed.missing == 0);
        // Without the record before it a chained one cannot be opened, not even tried.
        let chained = self.scheme.is_chained();
        let (ahead, shortest) = together
            .filter(|(_, sealed)| sealed.body.is_some() && (!chained || sealed.before.is_some()))
            .min_by_key(|(_, sealed)| sealed.record.header.length)?;
        let (ahead, body) = (u64::try_from(ahead).ok()?, shortest.body?);
        let most = first.missing / self.scheme.least_bytes();
        for missed in 0..=most {
            self.tried_bytes += u64::from(shortest.record.header.length);
            if self.tried_bytes > TRIED_BYTES_MAX {
                return None;
            }
            let number = self.number + missed;
            if self.opener.open(number + ahead, &shortest.sealing(body)).is_some() {
                return Some(number);
            }
        }
        None
    }

    /// Reads handshake messages, and changes keys where they say so.
    fn handshake(&mut self, bytes: &[u8], seen: Sighting, half: &mut Half) {
        self.pending.extend_from_slice(bytes);
        while let Some((kind, body)) = message(&self.pending) {
            let (length, chain) = (body.len() + 4, (kind == CERTIFICATE).then(|| certificates_13(body)));
            self.pending.drain(..length);
            match kind {
                CERTIFICATE if self.scheme.is_13() => {
                    half.inside.extend(chain.map(|chain| (seen, Inside::Certificate(chain))));
                }
                FINISHED => {
                    half.inside.push((seen, Inside::Finished));
                    if let Some(next) = self.next.take() {
                        self.turn(next);
                    }
                }
                KEY_UPDATE => {
                    let next = self.secret.as_ref().and_then(|secret| self.scheme.next_secret(secret));
                    if let Some(next) = next {
                        self.turn(next);
                    }
                }
                _ => {}
            }
        }
        if self.pending.len() > HANDSHAKE_BYTES_MAX {
            self.pending.clear();
        }
    }
}

fn explicit_nonce(body: &[u8]) -> Option<u64> {
    body.first_chunk::<8>().map(|nonce| u64::from_be_bytes(*nonce))
}

/// Type and body of the handshake message at the start, when it is whole.
fn message(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let ([kind, high, middle, low], rest) = bytes.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes([0, *high, *middle, *low])).ok()?;
    Some((*kind, rest.get(..length)?))
}

fn walk(lock: &mut Lock, sealed: &[Sealed<'_>], half: &mut Half) {
    for (index, one) in sealed.iter().enumerate() {
        let seen = one.record.seen;
        half.at += one.missing;
        let window = sealed.get(index..sealed.len().min(index + WINDOW)).unwrap_or_default();
        let Some(plain) = lock.open(window) else {
            // Before the first that opens, records may be early data, under another key (RFC 8446 4.2.10).
            lock.number += u64::from(half.opened > 0 || one.body.is_none());
            half.at += 1;
            half.closed.push(one.record);
            half.last = Some(seen);
            continue;
        };
        half.opened += 1;
        half.first = half.first.or(Some(seen));
        let (content, plain) = match lock.scheme.is_13() {
            true => inner(&plain),
            false => (one.record.header.content, plain.as_slice()),
        };
        match (content, plain) {
            (ContentType::APPLICATION_DATA, _) => {
                let length = u64::try_from(plain.len()).unwrap_or(u64::MAX);
                if length > 0 {
                    half.stream.push(half.at, plain, length, seen);
                    half.at = half.at.saturating_add(length);
                }
                half.last = Some(seen);
            }
            (ContentType::HANDSHAKE, _) => lock.handshake(plain, seen, half),
            (ContentType::ALERT, [level, code]) => {
                let code = AlertDescription(*code);
                half.inside.push((seen, Inside::Alert { fatal: *level == 2, code }));
            }
            _ => {}
        }
    }
}

/// Content type and content of TLS 1.3: the last byte that is not 0 is the type (RFC 8446 5.2).
fn inner(plain: &[u8]) -> (ContentType, &[u8]) {
    let end = plain.iter().rposition(|byte| *byte != 0).unwrap_or(0);
    let (content, rest) = plain.split_at_checked(end).unwrap_or_default();
    (ContentType(rest.first().copied().unwrap_or(0)), content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::note::Place;
    use crate::time::UnixNanos;
    use crate::wire::tls::RecordHeader;

    const SUITE: Suite = Suite(0x1301);

    /// Seals records of TLS 1.3 as a peer does, and hands them to `walk`.
    struct Peer {
        scheme: Scheme,
        secret: Vec<u8>,
        number: u64,
        records: Vec<Vec<u8>>,
    }

    impl Peer {
        fn new(secret: u8) -> Self {
            let scheme = Scheme::of(TlsVersion::TLS13, SUITE, false).unwrap();
            Self { scheme, secret: vec![secret; 32], number: 0, records: Vec::new() }
        }

        fn turn(&mut self, secret: Vec<u8>) {
            (self.secret, self.number) = (secret, 0);
        }

        fn says(&mut self, content: ContentType, plain: &[u8]) {
            let inner = [plain, &[content.0, 0, 0]].concat();
            let length = u16::try_from(inner.len() + 16).unwrap().to_be_bytes();
            let header = [23, 3, 3, length[0], length[1]];
            let keys = self.scheme.keys_13(&self.secret).unwrap();
            let sealed = keys.seal_aes_128(self.number, &header, &inner);
            self.records.push([header.as_slice(), &sealed].concat());
            self.number += 1;
        }

        /// What a direction with these secrets gives, without the records left out.
        fn opened(&self, handshake: u8, traffic: u8, left_out: &[usize]) -> Half {
            let seen = |frame| Sighting { at: UnixNanos(0), place: Place::frame(0, frame) };
            let (mut sealed, mut offset, mut missing) = (Vec::new(), 0, 0);
            for (index, bytes) in self.records.iter().enumerate() {
                let length = u64::try_from(bytes.len()).unwrap();
                if left_out.contains(&index) {
                    missing += length;
                } else {
                    let length = u16::try_from(bytes.len() - RECORD_HEADER).unwrap();
                    let content = ContentType::APPLICATION_DATA;
                    let header = RecordHeader { content, version: TlsVersion::TLS12, length };
                    let frame = u64::try_from(index).unwrap();
                    let record = Record { side: Side::Client, header, offset, seen: seen(frame) };
                    let (header, body) = bytes.split_at(RECORD_HEADER);
                    sealed.push(Sealed { record, header, body: Some(body), before: None, missing });
                    missing = 0;
                }
                offset += length;
            }
            let mut half = Half::default();
            let lock = Lock::of_13(self.scheme, Some(vec![handshake; 32]), Some(vec![traffic; 32]));
            walk(&mut lock.unwrap(), &sealed, &mut half);
            half.stream.finish();
            half
        }
    }

    fn updating() -> Peer {
        let mut peer = Peer::new(1);
        peer.says(ContentType::HANDSHAKE, &[FINISHED, 0, 0, 2, 9, 9]);
        peer.turn(vec![2; 32]);
        peer.says(ContentType::APPLICATION_DATA, b"first ");
        peer.says(ContentType::HANDSHAKE, &[KEY_UPDATE, 0, 0, 1, 0]);
        let next = peer.scheme.next_secret(&peer.secret).unwrap();
        peer.turn(next);
        peer.says(ContentType::APPLICATION_DATA, b"second ");
        peer.says(ContentType::APPLICATION_DATA, b"third");
        peer
    }

    #[test]
    fn keys_change_at_finished_and_at_key_update() {
        let half = updating().opened(1, 2, &[]);
        assert_eq!((half.opened, half.closed.len()), (5, 0));
        assert_eq!(half.stream.from(0), b"first second third");
        // A missed Finished is found out by the next key, a missed record by its number.
        let half = updating().opened(1, 2, &[0]);
        assert_eq!((half.opened, half.closed.len()), (4, 0));
        let half = updating().opened(1, 2, &[3]);
        assert_eq!((half.opened, half.closed.len()), (4, 0));
        // A missed KeyUpdate ends it, and what came before stands.
        let half = updating().opened(1, 2, &[2]);
        assert_eq!((half.opened, half.closed.len()), (2, 2));
        assert_eq!(half.stream.from(0), b"first ");
    }

    #[test]
    fn early_data_stays_closed_and_counts_for_nothing() {
        let mut peer = Peer::new(7);
        peer.says(ContentType::APPLICATION_DATA, b"under the early key");
        peer.says(ContentType::APPLICATION_DATA, b"and more of it");
        peer.turn(vec![1; 32]);
        peer.says(ContentType::HANDSHAKE, &[FINISHED, 0, 0, 0]);
        peer.turn(vec![2; 32]);
        peer.says(ContentType::APPLICATION_DATA, b"later");
        let half = peer.opened(1, 2, &[]);
        assert_eq!((half.opened, half.closed.len()), (2, 2));
        assert!(half.inside.iter().any(|(_, inside)| matches!(inside, Inside::Finished)));
        assert_eq!(half.stream.from(2), b"later");
    }
}
