//! Sizes of the packets of an RD Gateway that its transports over HTTP carry inside of TLS (MS-TSGU 2.2.10, RFC 6455 5.2,
//! RFC 9112 7.1), and of the TLS handshake inside of them: what is left to see of a tunnel without secrets.

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

/// The same records without what encryption added.
#[must_use]
pub fn opened(records: &[Sized], overhead: u32) -> Vec<Sized> {
    let open = |record: &Sized| Sized { length: record.length.saturating_sub(overhead), ..*record };
    records.iter().map(open).collect()
}

/// What stands around each packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wrapping {
    /// A WebSocket frame: two bytes in front, two more for 126 bytes and up, and four for the client's mask.
    Frame,
    /// A chunk: its length in hexadecimal digits and a line end in front, a line end behind.
    Chunk,
    /// Nothing.
    Bare,
}

/// How each side wraps its packets, each of which is one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Framing {
    client: Wrapping,
    server: Wrapping,
}

/// One connection that became a WebSocket.
pub const WEB_SOCKET: Framing = Framing { client: Wrapping::Frame, server: Wrapping::Frame };

/// Two connections: the client sends chunks on one, and on the other the gateway sends a body of no known length, or chunks.
pub const CHANNELS: [Framing; 2] = [
    Framing { client: Wrapping::Chunk, server: Wrapping::Bare },
    Framing { client: Wrapping::Chunk, server: Wrapping::Chunk },
];

impl Framing {
    /// Bytes of the packet that an opened record holds.
    fn packet(self, record: Sized) -> Option<u32> {
        match if record.from_client { self.client } else { self.server } {
            Wrapping::Frame => {
                let frame = record.length.checked_sub(if record.from_client { 4 } else { 0 })?;
                let short = frame.checked_sub(2).filter(|bytes| *bytes <= 125);
                short.or_else(|| frame.checked_sub(4).filter(|bytes| (126..=65_535).contains(bytes)))
            }
            Wrapping::Chunk => (1..=4_u32).find_map(|digits| {
                let bytes = record.length.checked_sub(digits)?.checked_sub(4)?;
                let written = bytes.checked_ilog(16)?.saturating_add(1);
                (written == digits).then_some(bytes)
            }),
            Wrapping::Bare => Some(record.length),
        }
    }

    /// Bytes of RDP that an opened record holds, when it is one data packet.
    #[must_use]
    pub fn data(self, record: Sized) -> Option<u32> {
        self.packet(record)?.checked_sub(DATA_HEADER).filter(|bytes| *bytes > 0)
    }
}

/// Sizes that a packet may have.
struct Wanted {
    from_client: bool,
    least: u32,
    most: u32,
    /// It ends with a name in UTF-16 behind an even number of bytes.
    even: bool,
    /// Behind the least there is nothing, or a cookie.
    cookie: bool,
    /// Its size when it refuses: a code and no field.
    refusal: Option<u32>,
}

impl Wanted {
    const fn of(from_client: bool, least: u32, most: u32) -> Self {
        Self { from_client, least, most, even: false, cookie: false, refusal: None }
    }

    const fn named(least: u32, most: u32) -> Self {
        Self { even: true, ..Self::of(true, least, most) }
    }

    const fn with_cookie(least: u32, most: u32) -> Self {
        Self { cookie: true, ..Self::of(true, least, most) }
    }

    const fn answer(least: u32, most: u32, refusal: u32) -> Self {
        Self { refusal: Some(refusal), ..Self::of(false, least, most) }
    }

    fn is(&self, record: Sized, framing: Framing) -> bool {
        record.from_client == self.from_client
            && framing.packet(record).is_some_and(|bytes| {
                (self.least..=self.most).contains(&bytes)
                    && (!self.even || bytes.is_multiple_of(2))
                    && (!self.cookie || bytes == CREATE || bytes >= COOKIE_MIN)
            })
    }

    fn refuses(&self, record: Sized, framing: Framing) -> bool {
        record.from_client == self.from_client
            && self.refusal.is_some()
            && framing.packet(record) == self.refusal
    }
}

/// Where the tunnel create stands among the packets, and its size without a cookie.
const CREATE_INDEX: usize = 2;
const CREATE: u32 = 16;
/// A cookie of a portal adds two bytes and itself (MS-TSGU 2.2.10.18): it is a signed token, never short.
const COOKIE_MIN: u32 = CREATE + 2 + 64;
/// Where the answers to tunnel create and channel create stand.
const CREATED_INDEX: usize = 3;
const CHANNEL_INDEX: usize = 7;

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
    Wanted::with_cookie(CREATE, 16_384),
    Wanted::answer(26, 26, 18),
    // Tunnel authorization with the client's name; its response with redirection flags and idle time-out.
    Wanted::named(14, 12 + 512),
    Wanted::answer(24, 24, 16),
    // Channel create with the host's name; its response, perhaps with a channel id, a port and a cookie for UDP.
    Wanted::named(18, 16 + 1_024),
    Wanted::answer(16, 8_192, 16),
    // X.224 Connection Request and Confirm as data.
    Wanted::of(true, DATA_HEADER + 11, DATA_HEADER + 512),
    Wanted::of(false, DATA_HEADER + 19, DATA_HEADER + 19),
];

/// Records behind a refusal: what closes the connections, with the alerts of TLS 1.3 and the end of an HTTP answer.
const BEHIND_REFUSAL_MAX: usize = 4;
/// Packets of one connection of two that make it worth a look at the other.
const HALF_MIN: usize = 2;

/// Where a tunnel begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Beginning {
    /// Index of the record behind the X.224 Connection Confirm.
    pub behind: usize,
    /// The tunnel was asked for with a cookie, whose length is any: what follows must show the tunnel as well.
    pub cookie: bool,
}

/// What a gateway refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusedAt {
    /// The tunnel itself.
    Tunnel,
    /// The client or its user.
    Authorization,
    /// The channel to the host.
    Channel,
}

/// A tunnel that the gateway refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// Index of the record that refuses.
    pub at: usize,
    /// What it refuses.
    pub step: RefusedAt,
}

/// How many of these records, from the first on, are packets of the beginning of which `wanted` says which.
fn matching<'w>(records: &[Sized], wanted: impl Iterator<Item = &'w Wanted>, framing: Framing) -> usize {
    records.iter().zip(wanted).take_while(|(record, wanted)| wanted.is(**record, framing)).count()
}

/// The beginning of a tunnel, when these opened records have its sizes somewhere.
#[must_use]
pub fn beginning(records: &[Sized], framing: Framing) -> Option<Beginning> {
    let within = records.get(..records.len().min(RECORDS_MAX))?;
    let is_whole = |window: &[Sized]| matching(window, BEGINNING.iter(), framing) == BEGINNING.len();
    let at = within.windows(BEGINNING.len()).position(is_whole)?;
    let create = at.checked_add(CREATE_INDEX).and_then(|create| framing.packet(*within.get(create)?));
    Some(Beginning { behind: at.checked_add(BEGINNING.len())?, cookie: create != Some(CREATE) })
}

/// The refusal of a tunnel, when these opened records end with one. On one connection the sizes up to the tunnel's own
/// refusal are too few to tell.
#[must_use]
pub fn refusal(records: &[Sized], framing: Framing) -> Option<Refusal> {
    let within = records.get(..records.len().min(RECORDS_MAX))?;
    (0..within.len()).find_map(|start| {
        let window = within.get(start..)?;
        let known = matching(window, BEGINNING.iter(), framing);
        let refuses =
            |index: usize| BEGINNING.get(index)?.refuses(*window.get(index)?, framing).then_some(index);
        let index = refuses(known).or_else(|| refuses(known.checked_sub(1)?))?;
        let step = match index {
            CREATED_INDEX if framing == WEB_SOCKET => return None,
            CREATED_INDEX => RefusedAt::Tunnel,
            CHANNEL_INDEX => RefusedAt::Channel,
            _ => RefusedAt::Authorization,
        };
        let at = start.checked_add(index)?;
        let behind = records.len().checked_sub(at)?.checked_sub(1)?;
        (behind <= BEHIND_REFUSAL_MAX).then_some(Refusal { at, step })
    })
}

/// One of the two connections of a tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Half {
    /// The client sends on it; on the other it receives.
    pub sends: bool,
    /// Index of its first packet.
    pub at: usize,
    /// All packets of the beginning are there. Otherwise there are two at least, and next to nothing behind them.
    pub whole: bool,
}

/// The half of a tunnel, when these opened records of one connection have the sizes of one side, and the other is silent.
#[must_use]
pub fn half(records: &[Sized]) -> Option<Half> {
    let last = RECORDS_MAX.saturating_sub(BEGINNING.len());
    (0..=last).find_map(|at| {
        let rest = records.get(at..).filter(|rest| !rest.is_empty())?;
        CHANNELS.iter().find_map(|framing| half_at(rest, *framing)).map(|(sends, whole)| Half {
            sends,
            at,
            whole,
        })
    })
}

/// Which side these records are of, and whether all packets of the beginning are there.
fn half_at(rest: &[Sized], framing: Framing) -> Option<(bool, bool)> {
    let sends = rest.first()?.from_client;
    let wanted = || BEGINNING.iter().filter(|wanted| wanted.from_client == sends);
    let known = matching(rest, wanted(), framing);
    if known == wanted().count() {
        return Some((sends, true));
    }
    let refuses =
        wanted().nth(known).zip(rest.get(known)).is_some_and(|(one, record)| one.refuses(*record, framing));
    let packets = known.saturating_add(usize::from(refuses));
    let behind = rest.len().saturating_sub(packets);
    (packets >= HALF_MIN && behind <= BEHIND_REFUSAL_MAX).then_some((sends, false))
}

/// More records behind these opened ones may still make a tunnel of them: it begins in some of the last, or has yet to.
#[must_use]
pub fn may_follow(records: &[Sized]) -> bool {
    let last_start = RECORDS_MAX.saturating_sub(BEGINNING.len());
    let begun = |rest: &[Sized]| {
        let sends = rest.first().is_none_or(|first| first.from_client);
        let half = || BEGINNING.iter().filter(|wanted| wanted.from_client == sends);
        let whole = |known: usize, of: usize| known == rest.len().min(of);
        whole(matching(rest, BEGINNING.iter(), WEB_SOCKET), BEGINNING.len())
            || CHANNELS.iter().any(|framing| whole(matching(rest, half(), *framing), half().count()))
    };
    (0..=last_start).any(|start| begun(records.get(start..).unwrap_or_default()))
        || refusal(records, WEB_SOCKET).is_some()
        || half(records).is_some()
}

/// With a record of the server of this length behind them, these are answers of some other server: longer than any that a
/// gateway gives before the tunnel. What comes before the client says anything is the handshake of TLS 1.3.
#[must_use]
pub fn is_long_answer(records: &[Sized], length: u32) -> bool {
    let Some(asked) = records.iter().rposition(|record| record.from_client) else { return false };
    let answered = records.iter().skip(asked).filter(|record| !record.from_client);
    answered.fold(length, |sum, record| sum.saturating_add(record.length)) > ANSWER_MAX
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
/// NewSessionTicket in its record, in front of the server's end (RFC 5077 3.3): headers of 9, lifetime and length 6, and what
/// the server makes of its state.
const TICKET_12: std::ops::RangeInclusive<u32> = 15 + 16..=15 + 4_096;
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
        let ticket = answer.length.checked_sub(end);
        ticket.is_some_and(|bytes| bytes == 0 || TICKET_12.contains(&bytes))
            && KEY_EXCHANGES.iter().any(|key| finished.length == key.saturating_add(end))
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

    fn begins(records: &[Sized], overhead: u32) -> Option<Beginning> {
        beginning(&opened(records, overhead), WEB_SOCKET)
    }

    #[test]
    fn a_beginning_is_found_under_its_own_overhead_only() {
        for overhead in OVERHEADS {
            let mut records = vec![Sized { from_client: true, length: 716 }];
            records.extend(tunnel(overhead));
            let found: Vec<u32> = OVERHEADS.into_iter().filter(|o| begins(&records, *o).is_some()).collect();
            let whole = Beginning { behind: 11, cookie: false };
            assert_eq!((found, begins(&records, overhead)), (vec![overhead], Some(whole)));
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
                assert_eq!(begins(&records, 24), None, "record {at} off by {off}");
            }
        }
        for at in 0..10 {
            let mut records = tunnel(24);
            records[at].from_client ^= true;
            assert_eq!(begins(&records, 24), None, "record {at} from the other side");
        }
        let mut odd = tunnel(24);
        odd[4].length += 1;
        assert_eq!(begins(&odd, 24), None);
    }

    #[test]
    fn a_cookie_is_never_short() {
        for (more, told) in [(0, true), (1, false), (65, false), (66, true), (900, true)] {
            let mut records = tunnel(24);
            records[2] = record((true, 16 + more), 24);
            let found = begins(&records, 24);
            assert_eq!(found.map(|found| found.cookie), told.then_some(more > 0), "{more} more");
        }
    }

    #[test]
    fn what_may_follow_is_a_beginning_or_none_yet() {
        let whole = tunnel(24);
        let other = Sized { from_client: true, length: 700 };
        for count in 0..=whole.len() {
            let mut records = vec![other; 14];
            assert!(may_follow(&opened(&records, 24)), "a tunnel may begin at the last place");
            records.extend(&whole[..count]);
            assert!(may_follow(&opened(&records, 24)), "{count} of them");
            records.insert(14, other);
            assert!(!may_follow(&opened(&records, 24)), "{count} of them, too late");
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
                let opened = opened(&records, overhead);
                for framing in [WEB_SOCKET, CHANNELS[0], CHANNELS[1]] {
                    assert_eq!(beginning(&opened, framing), None, "{records:?}");
                    assert_eq!(refusal(&opened, framing), None, "{records:?}");
                }
                assert!(half(&opened).is_none_or(|half| !half.whole), "{records:?}");
            }
        }
    }

    /// The packets of one side as its connection carries them: chunks from the client, nothing around those of the gateway,
    /// or chunks.
    fn carried((from_client, packet): (bool, u32), chunked: bool) -> Sized {
        let digits = format!("{packet:x}").len();
        let around = if from_client || chunked { 4 + u32::try_from(digits).unwrap() } else { 0 };
        Sized { from_client, length: packet + around }
    }

    fn side(packets: &[(bool, u32)], from_client: bool, chunked: bool) -> Vec<Sized> {
        let of_it = packets.iter().filter(|packet| packet.0 == from_client);
        of_it.map(|packet| carried(*packet, chunked)).collect()
    }

    #[test]
    fn both_connections_of_a_tunnel_show_one_side_each() {
        for (chunked, framing) in [(false, CHANNELS[0]), (true, CHANNELS[1])] {
            let all: Vec<Sized> = PACKETS.iter().map(|packet| carried(*packet, chunked)).collect();
            assert_eq!(beginning(&all, framing), Some(Beginning { behind: 10, cookie: false }));
            assert_eq!(beginning(&all, WEB_SOCKET), None);
            for sends in [true, false] {
                let other = Sized { from_client: !sends, length: 255 };
                let mut records = vec![Sized { from_client: true, length: 700 }, other];
                records.extend(side(&PACKETS, sends, chunked));
                assert_eq!(half(&records), Some(Half { sends, at: 2, whole: true }));
                records.push(other);
                assert!(half(&records).is_some_and(|half| half.whole), "whatever follows");
                records.truncate(6);
                assert!(may_follow(&records));
                records.insert(4, other);
                let cut = half(&records).map(|half| half.whole);
                assert!(cut != Some(true), "the other side speaks in between");
            }
        }
        let data = |length| CHANNELS[0].data(Sized { from_client: true, length });
        assert_eq!((data(21), data(22), data(63)), (None, Some(6), Some(47)), "no chunk takes 21 bytes");
    }

    #[test]
    fn refusals_end_a_tunnel() {
        use RefusedAt::{Authorization, Channel, Tunnel};
        for (index, bytes, step) in [(3, 18, Tunnel), (5, 16, Authorization), (7, 16, Channel)] {
            let mut packets = PACKETS.to_vec();
            packets.truncate(index + 1);
            packets[index].1 = bytes;
            let all: Vec<Sized> = packets.iter().map(|packet| carried(*packet, false)).collect();
            let refused = Some(Refusal { at: index, step });
            assert_eq!(refusal(&all, CHANNELS[0]), refused);
            let one: Vec<Sized> = packets.iter().map(|packet| record(*packet, 0)).collect();
            let told = refused.filter(|refused| refused.step != Tunnel);
            assert_eq!(refusal(&one, WEB_SOCKET), told, "four sizes of one connection are too few");
            for sends in [true, false] {
                let found = half(&side(&packets, sends, false));
                assert_eq!(found, Some(Half { sends, at: 0, whole: false }), "{step:?}");
            }
            let mut going_on = all.clone();
            going_on.extend([Sized { from_client: true, length: 300 }; 5]);
            assert_eq!(refusal(&going_on, CHANNELS[0]), None, "the client goes on");
            packets[index].1 += 1;
            let off: Vec<Sized> = packets.iter().map(|packet| carried(*packet, false)).collect();
            assert!(refusal(&off, CHANNELS[0]).is_none() || step == Channel);
        }
        let whole: Vec<Sized> = PACKETS.iter().map(|packet| carried(*packet, false)).collect();
        assert_eq!(refusal(&whole, CHANNELS[0]), None);
        let mut short = PACKETS;
        short[7].1 = 16;
        let whole: Vec<Sized> = short.iter().map(|packet| carried(*packet, false)).collect();
        assert_eq!(refusal(&whole, CHANNELS[0]), None, "a channel without an id is none refused");
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
        // As measured: X25519 and AES-GCM, with a session ticket.
        let ticket = sized(&[(true, 317), (false, 1_179), (true, 93), (false, 226)]);
        assert_eq!(handshake(&ticket), Some(Shaken { messages: 4, overhead: 24, tls13: false }));
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
