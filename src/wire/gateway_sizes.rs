//! Sizes of the packets of an RD Gateway that a WebSocket carries inside of TLS (MS-TSGU 2.2.10, RFC 6455 5.2), and of
//! the TLS handshake inside of them: what is left to see of a tunnel without secrets.

/// What the AEAD suites add to a record's plaintext: ChaCha20-Poly1305 of TLS 1.2, any of TLS 1.3, AES-GCM and AES-CCM of
/// TLS 1.2. Suites whose sizes are not exact are not looked at.
pub const OVERHEADS: [u32; 3] = [16, 17, 24];

/// Bytes in front of the data in a data packet (MS-TSGU 2.2.10.6).
const DATA_HEADER: u32 = 10;

/// Application records among which a tunnel has to begin and be told: Windows authenticates to the gateway in 2 to 6, and
/// TLS 1.3 has as many of its own in front.
pub const RECORDS_MAX: usize = 24;

/// What a server says at once before a tunnel is told: pages that ask for authentication are shorter, and so are all packets
/// of the beginning.
const ANSWER_MAX: u32 = 10 * 1024;

/// A record of application data: who sent it, and its length behind the record header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sized {
    /// The client sent it.
    pub from_client: bool,
    /// Bytes of it.
    pub length: u32,
}

/// Sizes that a packet may have.
struct Wanted {
    from_client: bool,
    least: u32,
    most: u32,
    /// It ends with a name in UTF-16 behind an even number of bytes.
    even: bool,
}

impl Wanted {
    const fn of(from_client: bool, least: u32, most: u32) -> Self {
        Self { from_client, least, most, even: false }
    }

    const fn named(least: u32, most: u32) -> Self {
        Self { from_client: true, least, most, even: true }
    }

    fn is(&self, record: Sized, overhead: u32) -> bool {
        record.from_client == self.from_client
            && packet(record, overhead).is_some_and(|bytes| {
                (self.least..=self.most).contains(&bytes) && (!self.even || bytes.is_multiple_of(2))
            })
    }
}

/// Where the tunnel create stands among the packets, and its size without a cookie.
const CREATE_INDEX: usize = 2;
const CREATE: u32 = 16;
/// A cookie of a portal adds two bytes and itself (MS-TSGU 2.2.10.18): it is a signed token, never short.
const COOKIE_MIN: u32 = CREATE + 2 + 64;

/// The beginning of a tunnel, strictly in turns: six packets have one size each, or five with a cookie, two end with a name
/// in UTF-16.
///
/// Source: the fixed fields of MS-TSGU 2.2.10, and of MS-RDPBCGR 2.2.1.1 and 2.2.1.2 in the data packets; measured with
/// mstsc of Windows 11 and a gateway of Windows Server.
const BEGINNING: [Wanted; 10] = [
    // Handshake request and response.
    Wanted::of(true, 14, 14),
    Wanted::of(false, 18, 18),
    // Tunnel create, perhaps with a cookie, and its response with tunnel id and capabilities.
    Wanted::of(true, CREATE, 16_384),
    Wanted::of(false, 26, 26),
    // Tunnel authorization with the client's name; its response with redirection flags and idle time-out.
    Wanted::named(14, 12 + 512),
    Wanted::of(false, 24, 24),
    // Channel create with the host's name; its response, perhaps with a channel id, a port and a cookie for UDP.
    Wanted::named(18, 16 + 1_024),
    Wanted::of(false, 16, 8_192),
    // X.224 Connection Request and Confirm as data.
    Wanted::of(true, DATA_HEADER + 11, DATA_HEADER + 512),
    Wanted::of(false, DATA_HEADER + 19, DATA_HEADER + 19),
];

/// Where a tunnel begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Beginning {
    /// Index of the record behind the X.224 Connection Confirm.
    pub behind: usize,
    /// The tunnel was asked for with a cookie, whose length is any: what follows must show the tunnel as well.
    pub cookie: bool,
}

/// The beginning of a tunnel, when these records have its sizes somewhere.
#[must_use]
pub fn beginning(records: &[Sized], overhead: u32) -> Option<Beginning> {
    let create = |window: &[Sized]| window.get(CREATE_INDEX).and_then(|one| packet(*one, overhead));
    let begins = |window: &[Sized]| {
        let created = create(window).is_some_and(|bytes| bytes == CREATE || bytes >= COOKIE_MIN);
        created && window.iter().zip(&BEGINNING).all(|(record, wanted)| wanted.is(*record, overhead))
    };
    let within = records.get(..records.len().min(RECORDS_MAX))?;
    let at = within.windows(BEGINNING.len()).position(begins)?;
    let cookie = within.get(at..).and_then(create) != Some(CREATE);
    Some(Beginning { behind: at.checked_add(BEGINNING.len())?, cookie })
}

/// More records behind these may still make a tunnel of them: it begins in some of the last, or has yet to.
#[must_use]
pub fn may_follow(records: &[Sized], overhead: u32) -> bool {
    let last_start = RECORDS_MAX.saturating_sub(BEGINNING.len());
    (0..=last_start).any(|start| {
        let rest = records.get(start..).unwrap_or_default();
        rest.iter().zip(&BEGINNING).all(|(record, wanted)| wanted.is(*record, overhead))
    })
}

/// With a record of the server of this length behind them, these are answers of some other server: longer than any that a
/// gateway gives before the tunnel. What comes before the client says anything is the handshake of TLS 1.3.
#[must_use]
pub fn is_long_answer(records: &[Sized], length: u32) -> bool {
    let Some(asked) = records.iter().rposition(|record| record.from_client) else { return false };
    let answered = records.iter().skip(asked).filter(|record| !record.from_client);
    answered.fold(length, |sum, record| sum.saturating_add(record.length)) > ANSWER_MAX
}

/// Bytes of the packet that a record holds, when it is one WebSocket frame: two bytes in front, two more for 126 bytes and
/// up, and four for the client's mask.
#[must_use]
pub fn packet(record: Sized, overhead: u32) -> Option<u32> {
    let mask = if record.from_client { 4 } else { 0 };
    let frame = record.length.checked_sub(overhead)?.checked_sub(mask)?;
    let short = frame.checked_sub(2).filter(|bytes| *bytes <= 125);
    short.or_else(|| frame.checked_sub(4).filter(|bytes| (126..=65_535).contains(bytes)))
}

/// Bytes of RDP that a record holds, when it is one data packet in one WebSocket frame.
#[must_use]
pub fn data(record: Sized, overhead: u32) -> Option<u32> {
    packet(record, overhead)?.checked_sub(DATA_HEADER).filter(|bytes| *bytes > 0)
}

/// The TLS handshake inside, told by the sizes of what each side sent in turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shaken {
    /// How many of the messages belong to it.
    pub messages: usize,
    /// What each record inside adds to its plaintext.
    pub overhead: u32,
    /// TLS 1.3, where session tickets may follow.
    pub tls13: bool,
}

/// Least bytes of a ClientHello and of a server's flight with a certificate, with their record headers.
const CLIENT_HELLO_MIN: u32 = 80;
const SERVER_FLIGHT_MIN: u32 = 400;
/// ClientKeyExchange in its record: P-256, X25519, P-384, P-521, and RSA with keys of 2,048, 3,072 and 4,096 bits.
const KEY_EXCHANGES: [u32; 7] = [75, 42, 107, 143, 267, 395, 523];
/// ChangeCipherSpec in its record.
const CHANGE_CIPHER_SPEC: u32 = 6;
/// Header of a record, and of a Finished of TLS 1.2 with its 12 bytes.
const RECORD: u32 = 5;
const FINISHED_12: u32 = 16;
/// The end of a handshake of TLS 1.2, without what the suite adds.
const END_12: u32 = CHANGE_CIPHER_SPEC + RECORD + FINISHED_12;
/// A record with a Finished of TLS 1.3: its header, a hash of SHA-256 or SHA-384, and what the suite adds.
const OVERHEAD_13: u32 = 17;
const FINISHED_13: [u32; 2] = [RECORD + 36 + OVERHEAD_13, RECORD + 52 + OVERHEAD_13];

/// Tells the handshake from the data of both sides, behind the X.224 Connection Confirm: full ones under AEAD suites only.
#[must_use]
pub fn handshake(data: &[Sized]) -> Option<Shaken> {
    let (hello, rest) = data.split_first()?;
    if !hello.from_client || hello.length < CLIENT_HELLO_MIN {
        return None;
    }
    let flight = rest.iter().take_while(|one| !one.from_client).count();
    let bytes = rest.iter().take(flight).fold(0_u32, |sum, one| sum.saturating_add(one.length));
    let finished = rest.get(flight).filter(|_| bytes >= SERVER_FLIGHT_MIN)?;
    let messages = flight.saturating_add(2);
    let is_13 = |alone: &u32| [*alone, alone.saturating_add(CHANGE_CIPHER_SPEC)].contains(&finished.length);
    if FINISHED_13.iter().any(is_13) {
        return Some(Shaken { messages, overhead: OVERHEAD_13, tls13: true });
    }
    let answer = rest.get(flight.saturating_add(1)).filter(|answer| !answer.from_client)?;
    let fits = |overhead: &u32| {
        let end = END_12.saturating_add(*overhead);
        answer.length == end && KEY_EXCHANGES.iter().any(|key| finished.length == key.saturating_add(end))
    };
    let overhead = [16, 24].into_iter().find(fits)?;
    Some(Shaken { messages: messages.saturating_add(1), overhead, tls13: false })
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "tests may panic")]
mod tests {
    use super::*;

    /// Packets of the beginning, as large as Windows sends them.
    const PACKETS: [(bool, u32); 10] = [
        (true, 14),
        (false, 18),
        (true, 16),
        (false, 26),
        (true, 42),
        (false, 24),
        (true, 76),
        (false, 1_873),
        (true, 57),
        (false, 29),
    ];

    fn record((from_client, packet): (bool, u32), overhead: u32) -> Sized {
        let frame = packet + if packet > 125 { 4 } else { 2 } + if from_client { 4 } else { 0 };
        Sized { from_client, length: frame + overhead }
    }

    fn tunnel(overhead: u32) -> Vec<Sized> {
        PACKETS.iter().map(|packet| record(*packet, overhead)).collect()
    }

    #[test]
    fn a_beginning_is_found_under_its_own_overhead_only() {
        for overhead in OVERHEADS {
            let mut records = vec![Sized { from_client: true, length: 716 }];
            records.extend(tunnel(overhead));
            let found: Vec<u32> =
                OVERHEADS.into_iter().filter(|o| beginning(&records, *o).is_some()).collect();
            let whole = Beginning { behind: 11, cookie: false };
            assert_eq!((found, beginning(&records, overhead)), (vec![overhead], Some(whole)));
        }
    }

    #[test]
    fn a_long_answer_is_none_of_a_gateway() {
        let record = |from_client, length| Sized { from_client, length };
        let flight = [record(false, 12_000)];
        assert!(!is_long_answer(&flight, 12_000), "certificates of TLS 1.3");
        let asked = [record(false, 12_000), record(true, 74), record(false, 255), record(true, 500)];
        assert!(!is_long_answer(&asked, 10_240) && is_long_answer(&asked, 10_241));
        let going_on = [record(true, 500), record(false, 6_000)];
        assert!(is_long_answer(&going_on, 6_000), "in several records");
        let mut told = tunnel(24);
        told.truncate(7);
        assert!(!is_long_answer(&told, 8_192 + 28), "the longest answer to a channel create");
    }

    #[test]
    fn a_fixed_size_that_is_off_by_one_refutes() {
        for at in [0, 1, 2, 3, 5, 9] {
            for off in [-1, 1] {
                let mut records = tunnel(24);
                records[at].length = records[at].length.checked_add_signed(off).unwrap();
                assert_eq!(beginning(&records, 24), None, "record {at} off by {off}");
            }
        }
        for at in 0..10 {
            let mut records = tunnel(24);
            records[at].from_client ^= true;
            assert_eq!(beginning(&records, 24), None, "record {at} from the other side");
        }
        let mut odd = tunnel(24);
        odd[4].length += 1;
        assert_eq!(beginning(&odd, 24), None);
    }

    #[test]
    fn a_cookie_is_never_short() {
        for (more, begins) in [(0, true), (1, false), (65, false), (66, true), (900, true)] {
            let mut records = tunnel(24);
            records[2] = record((true, 16 + more), 24);
            let found = beginning(&records, 24);
            assert_eq!(found.map(|found| found.cookie), begins.then_some(more > 0), "{more} more");
        }
    }

    #[test]
    fn what_may_follow_is_a_beginning_or_none_yet() {
        let whole = tunnel(24);
        let other = Sized { from_client: true, length: 700 };
        for count in 0..=whole.len() {
            let mut records = vec![other; 14];
            assert!(may_follow(&records, 24), "a tunnel may begin at the last place");
            records.extend(&whole[..count]);
            assert!(may_follow(&records, 24), "{count} of them");
            records.insert(14, other);
            assert!(!may_follow(&records, 24), "{count} of them, too late");
        }
    }

    /// A small generator with a fixed seed (xorshift).
    fn next(state: &mut u64) -> u32 {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        u32::try_from(*state >> 40).unwrap()
    }

    /// Other traffic: sizes of every length, small sizes in turns as chats and games send them, and those of the tunnel
    /// itself in another order.
    #[test]
    fn no_other_traffic_begins_a_tunnel() {
        let mut state = 0x9e37_79b9_7f4a_7c15;
        for flow in 0..300_000_u32 {
            let records: Vec<Sized> = (0..RECORDS_MAX)
                .map(|index| {
                    let random = next(&mut state);
                    match flow % 3 {
                        0 => Sized { from_client: random & 1 == 0, length: (random >> 1) % 16_384 },
                        1 => Sized { from_client: index % 2 == 0, length: 33 + random % 40 },
                        _ => {
                            let of = PACKETS[usize::try_from(random).unwrap() % 10].1;
                            record((index % 2 == 0, of), 24)
                        }
                    }
                })
                .collect();
            for overhead in OVERHEADS {
                assert_eq!(beginning(&records, overhead), None, "{records:?}");
            }
        }
    }

    #[test]
    fn handshakes_inside_are_told_by_version_and_overhead() {
        let sized = |sizes: &[(bool, u32)]| -> Vec<Sized> {
            sizes
                .iter()
                .map(|(from_client, length)| Sized { from_client: *from_client, length: *length })
                .collect()
        };
        // As measured: P-384 and AES-GCM.
        let measured = sized(&[(true, 194), (false, 1_640), (true, 158), (false, 51)]);
        assert_eq!(handshake(&measured), Some(Shaken { messages: 4, overhead: 24, tls13: false }));
        let chacha = sized(&[(true, 194), (false, 900), (false, 400), (true, 85), (false, 43)]);
        assert_eq!(handshake(&chacha), Some(Shaken { messages: 5, overhead: 16, tls13: false }));
        let tls13 = sized(&[(true, 300), (false, 1_300), (true, 80)]);
        assert_eq!(handshake(&tls13), Some(Shaken { messages: 3, overhead: 17, tls13: true }));
        for other in [
            sized(&[(true, 194), (false, 1_640), (true, 158), (false, 52)]),
            sized(&[(true, 194), (false, 150), (true, 51)]),
            sized(&[(true, 194), (false, 1_640), (true, 159), (false, 51)]),
            sized(&[(false, 194), (true, 1_640)]),
            sized(&[]),
        ] {
            assert_eq!(handshake(&other), None, "{other:?}");
        }
    }
}
