//! The UDP transport of RDP: its SYN, the data packets of versions 1 and 2 (MS-RDPEUDP 2.2, big-endian), and those of
//! version 3, which is RDP-UDP2 (MS-RDPEUDP2 2.2, little-endian).

use super::cursor::{Cursor, WireError};

/// `uUdpVer`: what both ends agree on for the data packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UdpVersion(pub u16);

impl UdpVersion {
    /// The first, also where no version is named.
    pub const V1: Self = Self(0x0001);
    /// The second: other time-outs, same packets.
    pub const V2: Self = Self(0x0002);
    /// RDP-UDP2: other packets.
    pub const V3: Self = Self(0x0101);

    /// Its data packets are those of RDP-UDP2: everything above version 2 (MS-RDPEUDP2 1.3.1).
    #[must_use]
    pub fn is_udp2(self) -> bool {
        self > Self::V2
    }
}

/// Bits of `uFlags` (MS-RDPEUDP 2.2.2.1).
pub mod flag {
    /// Begins a connection.
    pub const SYN: u16 = 0x0001;
    /// Ends it; Windows does not use it.
    pub const FIN: u16 = 0x0002;
    /// An ACK vector follows.
    pub const ACK: u16 = 0x0004;
    /// Data follows.
    pub const DATA: u16 = 0x0008;
    /// The data is that of forward error correction.
    pub const FEC: u16 = 0x0010;
    /// Congestion was noticed.
    pub const CN: u16 = 0x0020;
    /// The congestion window was reduced.
    pub const CWR: u16 = 0x0040;
    /// Not used.
    pub const SACK_OPTION: u16 = 0x0080;
    /// An acknowledgement of ACK vectors follows.
    pub const ACK_OF_ACKS: u16 = 0x0100;
    /// Lost packets need not be sent again.
    pub const SYNLOSSY: u16 = 0x0200;
    /// The ACK was delayed.
    pub const ACKDELAYED: u16 = 0x0400;
    /// A correlation id follows.
    pub const CORRELATION_ID: u16 = 0x0800;
    /// A version follows.
    pub const SYNEX: u16 = 0x1000;
}

/// Bits of the header of RDP-UDP2 (MS-RDPEUDP2 2.2.1.1).
pub mod flag2 {
    /// An acknowledgement follows.
    pub const ACK: u16 = 0x001;
    /// Data follows.
    pub const DATA: u16 = 0x004;
    /// An acknowledgement vector follows.
    pub const ACKVEC: u16 = 0x008;
    /// An acknowledgement of acknowledgements follows.
    pub const AOA: u16 = 0x010;
    /// The size of the headers below follows.
    pub const OVERHEADSIZE: u16 = 0x040;
    /// How long acknowledgements may be delayed follows.
    pub const DELAYACKINFO: u16 = 0x100;
    /// All of them.
    pub const KNOWN: u16 = ACK | DATA | ACKVEC | AOA | OVERHEADSIZE | DELAYACKINFO;
}

/// `snSourceAck` of a SYN.
const NOTHING_ACKNOWLEDGED: u32 = u32::MAX;
/// What `uUpStreamMtu` and `uDownStreamMtu` may be, and so the length of a SYN, which is padded to an MTU.
const MTU: std::ops::RangeInclusive<u16> = 1132..=1232;
/// Flags that a SYN, or a SYN with ACK, may have.
const SYN_FLAGS: u16 = flag::SYN | flag::ACK | flag::SYNLOSSY | flag::CORRELATION_ID | flag::SYNEX;
/// `RDPUDP_VERSION_INFO_VALID`.
const VERSION_INFO_VALID: u16 = 0x0001;
/// `PacketTypeIndex` of a dummy packet of RDP-UDP2: it probes the path and carries no data.
const DUMMY: u8 = 8;
/// Longest ACK vector.
const ACK_VECTOR_BYTES_MAX: usize = 2048;

/// A SYN, or the SYN with ACK that answers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Syn {
    /// `snSourceAck`: of an answer the initial sequence number that it answers.
    pub source_ack: u32,
    /// `uReceiveWindowSize`, in datagrams.
    pub window: u16,
    /// `uFlags`.
    pub flags: u16,
    /// `snInitialSequenceNumber`.
    pub initial: u32,
    /// `uUpStreamMtu`, in bytes.
    pub up_mtu: u16,
    /// `uDownStreamMtu`, in bytes.
    pub down_mtu: u16,
    /// `uCorrelationId`, the same as in the X.224 connection request.
    pub correlation: Option<[u8; 16]>,
    /// `uUdpVer`; absent where no version is named.
    pub version: Option<UdpVersion>,
    /// `cookieHash`: SHA-256 of the security cookie of the Initiate Multitransport Request; absent where it is not sent or
    /// all 0, as the first clients of version 3 had it.
    pub cookie_hash: Option<[u8; 32]>,
}

impl Syn {
    /// It answers a SYN.
    #[must_use]
    pub const fn is_answer(&self) -> bool {
        self.flags & flag::ACK != 0
    }

    /// Lost packets are not sent again: DTLS follows; else TLS.
    #[must_use]
    pub const fn is_lossy(&self) -> bool {
        self.flags & flag::SYNLOSSY != 0
    }
}

/// Reads a SYN or its answer (MS-RDPEUDP 3.1.5.1.1, 3.1.5.1.3), of which `length` bytes were on the wire.
///
/// Shape: `snSourceAck` (4), `uReceiveWindowSize` (2), `uFlags` (2), `snInitialSequenceNumber` (4), both MTUs (2 each);
/// then a correlation id (16, 16 reserved) and `uSynExFlags` (2), `uUdpVer` (2), `cookieHash` (32), each when its flag or
/// version says so; then zeros up to an MTU.
///
/// # Errors
/// [`WireError::Short`] when it is cut inside of the fields, [`WireError::Invalid`] when it is none: every field that has
/// fixed values is checked, as nothing else tells it from other traffic.
pub fn syn(bytes: &[u8], length: u32) -> Result<Syn, WireError> {
    let invalid = |what: &'static str, found: u64| Err(WireError::Invalid { what, found });
    let mut at = Cursor::new(bytes);
    let source_ack = at.u32_be("snSourceAck")?;
    let window = at.u16_be("uReceiveWindowSize")?;
    let flags = at.u16_be("uFlags")?;
    let answers = flags & flag::ACK != 0;
    if flags & flag::SYN == 0 || flags & !SYN_FLAGS != 0 {
        return invalid("uFlags", flags.into());
    }
    if !answers && source_ack != NOTHING_ACKNOWLEDGED {
        return invalid("snSourceAck", source_ack.into());
    }
    let initial = at.u32_be("snInitialSequenceNumber")?;
    let (up_mtu, down_mtu) = (at.u16_be("uUpStreamMtu")?, at.u16_be("uDownStreamMtu")?);
    if let Some(mtu) = [up_mtu, down_mtu].into_iter().find(|mtu| !MTU.contains(mtu)) {
        return invalid("MTU", mtu.into());
    }
    if u16::try_from(length).map_or(true, |length| !MTU.contains(&length)) {
        return invalid("length", length.into());
    }
    let correlation = if flags & flag::CORRELATION_ID != 0 { Some(correlation(&mut at)?) } else { None };
    let (mut version, mut cookie_hash) = (None, None);
    if flags & flag::SYNEX != 0 {
        let valid = at.u16_be("uSynExFlags")? & VERSION_INFO_VALID != 0;
        version = Some(UdpVersion(at.u16_be("uUdpVer")?)).filter(|_| valid);
        if version == Some(UdpVersion::V3) && !answers {
            cookie_hash = Some(at.take::<32>("cookieHash")?).filter(|hash| *hash != [0; 32]);
        }
    }
    if let Some(other) = at.rest().iter().find(|byte| **byte != 0) {
        return invalid("padding", u64::from(*other));
    }
    Ok(Syn { source_ack, window, flags, initial, up_mtu, down_mtu, correlation, version, cookie_hash })
}

fn correlation(at: &mut Cursor<'_>) -> Result<[u8; 16], WireError> {
    let id = at.take::<16>("uCorrelationId")?;
    let reserved = at.take::<16>("uReserved")?;
    match reserved.iter().find(|byte| **byte != 0) {
        Some(byte) => Err(WireError::Invalid { what: "uReserved", found: u64::from(*byte) }),
        None => Ok(id),
    }
}

/// What the header of a packet says, without what follows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Glance {
    /// It carries data of the transport: no dummy, no acknowledgement alone, no error correction.
    pub data: bool,
    /// It ends the connection.
    pub fin: bool,
}

/// Looks at the header of a packet behind the SYNs.
///
/// # Errors
/// [`WireError::Short`] when it is cut.
pub fn glance(bytes: &[u8], version: UdpVersion) -> Result<Glance, WireError> {
    if version.is_udp2() {
        let (kind, flags) = header2(bytes)?;
        return Ok(Glance { data: flags & flag2::DATA != 0 && kind != DUMMY, fin: false });
    }
    let mut at = Cursor::new(bytes);
    at.take::<6>("snSourceAck, uReceiveWindowSize")?;
    let flags = at.u16_be("uFlags")?;
    let data = flags & flag::DATA != 0 && flags & (flag::FEC | flag::SYN) == 0;
    Ok(Glance { data, fin: flags & flag::FIN != 0 })
}

/// Data that a packet carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// Number of this piece of data, which it keeps when it is sent again: `snSourceStart` of versions 1 and 2, and
    /// `ChannelSeqNum`, of which 16 bits are sent, of version 3.
    pub number: u32,
    /// The data.
    pub bytes: Vec<u8>,
}

/// Reads the data of a packet; `None` when it has none.
///
/// # Errors
/// [`WireError`] when its headers are cut or cannot be.
pub fn chunk(bytes: &[u8], version: UdpVersion) -> Result<Option<Chunk>, WireError> {
    if version.is_udp2() { chunk2(bytes) } else { chunk1(bytes) }
}

/// Header (8), ACK vector (2 and its bytes, padded to 4), `snAckOfAcksSeqNum` (4), `snCoded` (4), `snSourceStart` (4).
fn chunk1(bytes: &[u8]) -> Result<Option<Chunk>, WireError> {
    if !glance(bytes, UdpVersion::V1)?.data {
        return Ok(None);
    }
    let mut at = Cursor::new(bytes);
    at.take::<6>("snSourceAck, uReceiveWindowSize")?;
    let flags = at.u16_be("uFlags")?;
    if flags & flag::ACK != 0 {
        let size = usize::from(at.u16_be("uAckVectorSize")?);
        if size > ACK_VECTOR_BYTES_MAX {
            return Err(WireError::Invalid {
                what: "uAckVectorSize",
                found: u64::try_from(size).unwrap_or(0),
            });
        }
        let padded = size.saturating_add(2).next_multiple_of(4).saturating_sub(2);
        at.slice(padded, "AckVector")?;
    }
    if flags & flag::ACK_OF_ACKS != 0 {
        at.u32_be("snAckOfAcksSeqNum")?;
    }
    at.u32_be("snCoded")?;
    let number = at.u32_be("snSourceStart")?;
    Ok(Some(Chunk { number, bytes: at.rest().to_vec() }))
}

/// Type of the packet and flags of its header. On the wire the first and the eighth byte have changed places.
fn header2(bytes: &[u8]) -> Result<(u8, u16), WireError> {
    let mut at = Cursor::new(bytes);
    at.u8("first byte")?;
    let header = at.u16_le("header")?;
    at.take::<4>("packet")?;
    let prefix = at.u8("PacketPrefixByte")?;
    let flags = header & 0x0fff;
    if flags & !flag2::KNOWN != 0 || prefix & 1 != 0 {
        return Err(WireError::Invalid { what: "flags", found: flags.into() });
    }
    Ok(((prefix >> 1) & 0x0f, flags))
}

/// Header (2), then as the flags say: acknowledgement (7 and its delays), overhead size (1), delays (3), acknowledgement of
/// acknowledgements (2), `DataSeqNum` (2), vector (3, 4 of times, and its elements), and `ChannelSeqNum` (2) with the data.
fn chunk2(bytes: &[u8]) -> Result<Option<Chunk>, WireError> {
    let (kind, flags) = header2(bytes)?;
    if flags & flag2::DATA == 0 || kind == DUMMY {
        return Ok(None);
    }
    let mut packet = bytes.to_vec();
    packet.swap(0, 7);
    let mut at = Cursor::new(&packet);
    at.take::<3>("prefix, header")?;
    if flags & flag2::ACK != 0 {
        at.take::<6>("SeqNum, receivedTS, sendAckTimeGap")?;
        let delayed = at.u8("numDelayedAcks")? & 0x0f;
        at.slice(usize::from(delayed), "delayAckTimeAdditions")?;
    }
    let parts = [(flag2::OVERHEADSIZE, 1, "OverheadSize"), (flag2::DELAYACKINFO, 3, "DelayAckInfo")];
    for (part, length, what) in parts.into_iter().chain([(flag2::AOA, 2, "AckOfAcksSeqNum")]) {
        if flags & part != 0 {
            at.slice(length, what)?;
        }
    }
    at.u16_le("DataSeqNum")?;
    if flags & flag2::ACKVEC != 0 {
        at.u16_le("BaseSeqNum")?;
        let size = at.u8("codedAckVecSize")?;
        if size & 0x80 != 0 {
            at.take::<4>("TimeStamp, SendAckTimeGapInMs")?;
        }
        at.slice(usize::from(size & 0x7f), "codedAckVector")?;
    }
    let number = u32::from(at.u16_le("ChannelSeqNum")?);
    Ok(Some(Chunk { number, bytes: at.rest().to_vec() }))
}

/// A DTLS record (RFC 6347 4.1): content type (1), version (2), epoch (2), sequence number (6), length (2), fragment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DtlsRecord<'a> {
    /// Content type, as in TLS.
    pub content: u8,
    /// Version, as on the wire: `0xfeff` is DTLS 1.0, `0xfefd` DTLS 1.2.
    pub version: u16,
    /// 0 in clear, then encrypted.
    pub epoch: u16,
    /// The fragment; shorter than its length where the capture cut it.
    pub fragment: &'a [u8],
    /// Bytes of the fragment on the wire.
    pub length: u16,
}

/// Reads the records of one datagram, as far as they are records.
#[must_use]
pub fn dtls_records(bytes: &[u8]) -> Vec<DtlsRecord<'_>> {
    let mut at = Cursor::new(bytes);
    let mut records = Vec::new();
    while let Ok(record) = dtls_record(&mut at) {
        records.push(record);
    }
    records
}

fn dtls_record<'a>(at: &mut Cursor<'a>) -> Result<DtlsRecord<'a>, WireError> {
    let content = at.u8("content type")?;
    let version = at.u16_be("version")?;
    if !(20..=23).contains(&content) || version >> 8 != 0xfe {
        return Err(WireError::Invalid { what: "version", found: version.into() });
    }
    let epoch = at.u16_be("epoch")?;
    at.take::<6>("sequence number")?;
    let length = at.u16_be("length")?;
    let fragment = at.slice(usize::from(length).min(at.rest().len()), "fragment")?;
    Ok(DtlsRecord { content, version, epoch, fragment, length })
}

/// The hello that stands at the start of a DTLS handshake message: its type (1), length (3), message number (2), fragment
/// offset (3) and length (3), then version (2) and random (32).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DtlsHello {
    /// It is the client's.
    pub client: bool,
    /// Version of the message.
    pub version: u16,
    /// Suite that the server chose.
    pub suite: Option<u16>,
}

/// Reads a hello off the fragment of a handshake record; `None` for other messages and for what is cut.
#[must_use]
pub fn dtls_hello(fragment: &[u8]) -> Option<DtlsHello> {
    let mut at = Cursor::new(fragment);
    let kind = at.u8("handshake type").ok().filter(|kind| matches!(kind, 1 | 2))?;
    at.take::<5>("length, message number").ok()?;
    at.take::<3>("fragment offset").ok().filter(|offset| *offset == [0; 3])?;
    at.take::<3>("fragment length").ok()?;
    let version = at.u16_be("version").ok().filter(|version| version >> 8 == 0xfe)?;
    at.take::<32>("random").ok()?;
    if kind == 1 {
        return Some(DtlsHello { client: true, version, suite: None });
    }
    let session = at.u8("session id length").ok()?;
    at.slice(usize::from(session), "session id").ok()?;
    Some(DtlsHello { client: false, version, suite: at.u16_be("cipher suite").ok() })
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, reason = "bytes of fixed places")]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        digits.chunks(2).map(byte).collect()
    }

    fn padded(text: &str) -> Vec<u8> {
        let mut bytes = hex(text);
        bytes.resize(1232, 0);
        bytes
    }

    /// SYN with correlation id and version 3 with its hash.
    fn syn_3() -> Vec<u8> {
        let id = "a1a2a3a4a5a6a7a8a9aaabacadae0000";
        let hash = "c1".repeat(32);
        padded(&format!("ffffffff 0040 1801 01020304 04d0 046c {id} {} 0001 0101 {hash}", "00".repeat(16)))
    }

    #[test]
    fn a_syn_names_id_version_and_hash() {
        let read = syn(&syn_3(), 1232).unwrap();
        assert_eq!((read.initial, read.up_mtu, read.down_mtu, read.window), (0x0102_0304, 1232, 1132, 64));
        assert_eq!(read.version, Some(UdpVersion::V3));
        assert_eq!(read.cookie_hash, Some([0xc1; 32]));
        assert_eq!(read.correlation.map(|id| (id[0], id[13], id[15])), Some((0xa1, 0xae, 0)));
        assert!(!read.is_answer() && !read.is_lossy());
        let plain = syn(&padded("ffffffff 0400 0201 00000042 04d0 04d0"), 1232).unwrap();
        assert!(plain.is_lossy() && plain.version.is_none() && plain.correlation.is_none());
    }

    #[test]
    fn an_answer_repeats_the_number_it_answers_and_has_no_hash() {
        let read = syn(&padded("01020304 0040 1005 0547d72b 04d0 04d0 0001 0101"), 1232).unwrap();
        assert!(read.is_answer());
        assert_eq!((read.source_ack, read.version), (0x0102_0304, Some(UdpVersion::V3)));
        assert_eq!(read.cookie_hash, None);
    }

    #[test]
    fn whatever_differs_from_a_syn_is_none() {
        let broken = |change: fn(&mut Vec<u8>)| {
            let mut bytes = syn_3();
            change(&mut bytes);
            let length = u32::try_from(bytes.len()).unwrap();
            match syn(&bytes, length) {
                Err(WireError::Invalid { what, .. } | WireError::Short { what, .. }) => what,
                Ok(_) => "",
            }
        };
        assert_eq!(broken(|bytes| bytes[0] = 0), "snSourceAck");
        assert_eq!(broken(|bytes| bytes[7] = 0), "uFlags");
        assert_eq!(broken(|bytes| bytes[7] |= 8), "uFlags");
        assert_eq!(broken(|bytes| bytes[6] |= 0x20), "uFlags");
        assert_eq!(broken(|bytes| bytes[12] = 5), "MTU");
        assert_eq!(broken(|bytes| bytes[14] = 0), "MTU");
        assert_eq!(broken(|bytes| bytes[33] = 1), "uReserved");
        assert_eq!(broken(|bytes| bytes[1200] = 1), "padding");
        assert_eq!(broken(|bytes| bytes.truncate(1000)), "length");
        assert_eq!(broken(|bytes| bytes.push(0)), "length");
        assert_eq!(
            syn(&syn_3()[..40], 1232).map(|_| ()).unwrap_err().to_string(),
            "uReserved: needs 16 bytes, has 8"
        );
        assert!(syn(&syn_3()[..128], 1232).is_ok(), "a snap length behind the fields loses nothing");
    }

    #[test]
    fn data_of_version_1_stands_behind_the_padded_vector() {
        let with_vector = hex("0f94ea0c 0400 010c 0001 00 1f 11111111 0b127f17 0b127f16 160303");
        let read = chunk(&with_vector, UdpVersion::V2).unwrap().unwrap();
        assert_eq!((read.number, read.bytes), (0x0b12_7f16, vec![0x16, 3, 3]));
        let empty_vector = hex("0f94ea0b 0400 000c 0000 0000 0b127f17 0b127f17 17");
        assert_eq!(chunk(&empty_vector, UdpVersion::V1).unwrap().unwrap().bytes, vec![0x17]);
        let correction = hex("0f94ea0b 0400 001c 0000 0000 0b127f17 0b127f17 17");
        assert_eq!(chunk(&correction, UdpVersion::V1), Ok(None));
        let ack = hex("0f94ea0b 0400 0004 0000 0000");
        assert_eq!(chunk(&ack, UdpVersion::V1), Ok(None));
        let fin = glance(&hex("0f94ea0b 0400 0006"), UdpVersion::V1).unwrap();
        assert_eq!(fin, Glance { data: false, fin: true });
        let cut = chunk(&hex("0f94ea0b 0400 000c 0009"), UdpVersion::V1);
        assert_eq!(cut, Err(WireError::Short { what: "AckVector", need: 10, have: 0 }));
    }

    #[test]
    fn data_of_version_3_stands_behind_what_its_flags_name() {
        let delays_and_aoa = hex("00 14c1 01 f401 64 e0 6400 0100 160303");
        let read = chunk(&delays_and_aoa, UdpVersion::V3).unwrap().unwrap();
        assert_eq!((read.number, read.bytes), (1, vec![0x16, 3, 3]));
        let all = hex("00 55c1 6400 0301 e0 01 00 0a 01f401 6400 6400 0100 160301");
        let read = chunk(&all, UdpVersion::V3).unwrap().unwrap();
        assert_eq!((read.number, read.bytes), (1, vec![0x16, 3, 1]));
        let vector = hex("82 0cc0 6400 6500 e0 010203 04 aabb 0200 17");
        let read = chunk(&vector, UdpVersion::V3).unwrap().unwrap();
        assert_eq!((read.number, read.bytes), (2, vec![0x17]));
        let dummy = hex("00 14c0 6400 6500 f0 0000 0000");
        assert_eq!(chunk(&dummy, UdpVersion::V3), Ok(None));
        assert_eq!(glance(&dummy, UdpVersion::V3), Ok(Glance { data: false, fin: false }));
        assert!(chunk(&hex("00 0200 0000"), UdpVersion::V3).is_err());
    }

    #[test]
    fn hellos_of_dtls_are_told() {
        let random = "ab".repeat(32);
        let hello = format!("01 000050 0000 000000 000050 fefd {random} 00");
        let fragment = hex(&hello);
        assert_eq!(dtls_hello(&fragment), Some(DtlsHello { client: true, version: 0xfefd, suite: None }));
        let mut record = hex("16 feff 0000 000000000001 0000");
        record[12] = u8::try_from(fragment.len()).unwrap();
        record.extend(&fragment);
        let records = dtls_records(&record);
        assert_eq!(records.len(), 1);
        assert_eq!((records[0].epoch, records[0].fragment), (0, fragment.as_slice()));
        let server = hex(&format!("02 000050 0000 000000 000050 fefd {random} 02 1122 c030 00"));
        assert_eq!(dtls_hello(&server).and_then(|hello| hello.suite), Some(0xc030));
        assert!(dtls_records(&hex("16 0303 0000")).is_empty());
    }
}
