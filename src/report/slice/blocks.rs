//! Blocks of pcapng as bytes, little-endian (draft-ietf-opsawg-pcapng): values in, bytes out.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Longest value of an option or of a name record.
const VALUE_BYTES_MAX: usize = 65_532;
/// Names of one address that are written.
const NAMES_MAX: usize = 64;
/// Secrets are the lines of an NSS key log (4.7).
const TLS_KEY_LOG: u32 = 0x544c_534b;

/// What is around a packet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head {
    pub(super) interface: u32,
    pub(super) ticks: u64,
    /// Bytes on the wire.
    pub(super) length: u32,
    pub(super) flags: Option<u32>,
}

/// How an interface counts and what it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Interface<'a> {
    pub(super) link_number: u16,
    pub(super) snap_length: u32,
    pub(super) resolution: u8,
    pub(super) offset_s: i64,
    pub(super) name: &'a str,
    pub(super) description: &'a str,
    pub(super) comment: Option<&'a str>,
}

/// Section Header Block (4.1), of a section whose length nobody knows yet.
pub(super) fn section(application: &str, comments: &[String]) -> Vec<u8> {
    let mut body = Vec::new();
    body.extend(0x1a2b_3c4d_u32.to_le_bytes());
    body.extend([1, 0, 0, 0]);
    body.extend(u64::MAX.to_le_bytes());
    let mut options = Options::default();
    comments.iter().for_each(|comment| options.text(1, comment));
    options.text(4, application);
    body.extend(options.end());
    block(0x0a0d_0d0a, &body)
}

/// Interface Description Block (4.2).
pub(super) fn interface(one: &Interface<'_>) -> Vec<u8> {
    let mut body = Vec::new();
    body.extend(one.link_number.to_le_bytes());
    body.extend([0, 0]);
    body.extend(one.snap_length.to_le_bytes());
    let mut options = Options::default();
    if let Some(comment) = one.comment {
        options.text(1, comment);
    }
    options.text(2, one.name);
    options.text(3, one.description);
    options.value(9, &[one.resolution]);
    if one.offset_s != 0 {
        options.value(14, &one.offset_s.to_le_bytes());
    }
    body.extend(options.end());
    block(1, &body)
}

/// Enhanced Packet Block (4.3).
pub(super) fn packet(head: Head, bytes: &[u8], comments: &[String]) -> Vec<u8> {
    let captured = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let mut body = Vec::with_capacity(bytes.len().saturating_add(64));
    body.extend(head.interface.to_le_bytes());
    let [low @ .., a, b, c, d] = head.ticks.to_le_bytes();
    body.extend([a, b, c, d]);
    body.extend(low);
    body.extend(captured.to_le_bytes());
    body.extend(head.length.to_le_bytes());
    body.extend(bytes);
    pad(&mut body);
    let mut options = Options::default();
    comments.iter().for_each(|comment| options.text(1, comment));
    if let Some(flags) = head.flags {
        options.value(2, &flags.to_le_bytes());
    }
    body.extend(options.end());
    block(6, &body)
}

/// Name Resolution Block (4.5).
pub(super) fn names(of: &BTreeMap<IpAddr, BTreeSet<String>>) -> Vec<u8> {
    let mut body = Vec::new();
    for (address, names) in of {
        let (kind, mut value) = match address {
            IpAddr::V4(v4) => (1_u16, v4.octets().to_vec()),
            IpAddr::V6(v6) => (2, v6.octets().to_vec()),
        };
        for name in names.iter().take(NAMES_MAX) {
            if value.len().saturating_add(name.len()) < VALUE_BYTES_MAX {
                value.extend(name.bytes().filter(|byte| *byte != 0));
                value.push(0);
            }
        }
        let length = u16::try_from(value.len()).unwrap_or(0);
        body.extend(kind.to_le_bytes());
        body.extend(length.to_le_bytes());
        body.extend(value);
        pad(&mut body);
    }
    body.extend([0; 4]);
    block(4, &body)
}

/// Decryption Secrets Block (4.7).
pub(super) fn secrets(lines: &str) -> Vec<u8> {
    let mut body = Vec::new();
    body.extend(TLS_KEY_LOG.to_le_bytes());
    body.extend(u32::try_from(lines.len()).unwrap_or(0).to_le_bytes());
    body.extend(lines.bytes());
    pad(&mut body);
    block(10, &body)
}

/// A block: its type, its length, what is in it, and its length again.
fn block(kind: u32, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len().saturating_add(12)).unwrap_or(u32::MAX).to_le_bytes();
    let mut bytes = Vec::with_capacity(body.len().saturating_add(12));
    bytes.extend(kind.to_le_bytes());
    bytes.extend(length);
    bytes.extend(body);
    bytes.extend(length);
    bytes
}

fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

/// Options (3.5): code, length, value, padded; ended by a code of 0.
#[derive(Default)]
struct Options {
    bytes: Vec<u8>,
}

impl Options {
    fn text(&mut self, code: u16, text: &str) {
        let mut end = text.len().min(VALUE_BYTES_MAX);
        while !text.is_char_boundary(end) {
            end = end.saturating_sub(1);
        }
        self.value(code, text.get(..end).unwrap_or_default().as_bytes());
    }

    fn value(&mut self, code: u16, value: &[u8]) {
        let length = u16::try_from(value.len()).unwrap_or(0);
        self.bytes.extend(code.to_le_bytes());
        self.bytes.extend(length.to_le_bytes());
        self.bytes.extend(value);
        pad(&mut self.bytes);
    }

    fn end(mut self) -> Vec<u8> {
        if !self.bytes.is_empty() {
            self.bytes.extend([0; 4]);
        }
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use pcap_parser::traits::{PcapNGPacketBlock, PcapReaderIterator};
    use pcap_parser::{Block, OptionCode, PcapBlockOwned, PcapError, PcapNGReader};

    use super::*;

    /// What another reader finds in the blocks: one line each.
    fn read(bytes: &[u8]) -> Vec<String> {
        let mut reader = PcapNGReader::new(1 << 20, bytes).unwrap();
        let mut told = Vec::new();
        loop {
            match reader.next() {
                Ok((length, PcapBlockOwned::NG(block))) => {
                    told.push(line(&block));
                    reader.consume(length);
                }
                Ok(_) => panic!("a block of another format"),
                Err(PcapError::Incomplete(_)) => reader.refill().unwrap(),
                Err(PcapError::Eof) => return told,
                Err(error) => panic!("{error:?}"),
            }
        }
    }

    fn line(block: &Block<'_>) -> String {
        match block {
            Block::SectionHeader(section) => format!("section {}", section.options.len()),
            Block::InterfaceDescription(one) => {
                format!(
                    "interface {} {} {}/s {}",
                    one.linktype.0, one.snaplen, one.if_tsresol, one.if_tsoffset
                )
            }
            Block::EnhancedPacket(packet) => {
                let comments = packet.options.iter().filter(|option| option.code == OptionCode::Comment);
                let comments: Vec<&str> = comments.map(|option| option.as_str().unwrap()).collect();
                let ticks = (u64::from(packet.ts_high) << 32) | u64::from(packet.ts_low);
                let (data, length) = (packet.packet_data(), packet.origlen);
                format!("packet {} {ticks} {length} {data:?} {comments:?}", packet.if_id)
            }
            Block::NameResolution(names) => {
                let values: Vec<_> = names.nr.iter().map(|name| name.record_value).collect();
                format!("names {values:?}")
            }
            Block::DecryptionSecrets(secrets) => {
                let length = usize::try_from(secrets.secrets_len).unwrap();
                format!("secrets {}", String::from_utf8_lossy(&secrets.data[..length]))
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn another_reader_finds_what_was_written() {
        let mut file = section("rdpwhy", &["one".to_owned(), "two".to_owned()]);
        file.extend(interface(&Interface {
            link_number: 113,
            snap_length: 96,
            resolution: 9,
            offset_s: -2,
            name: "eth0",
            description: "x",
            comment: Some("c"),
        }));
        let names_of = BTreeMap::from([(
            IpAddr::from([10, 0, 0, 1]),
            BTreeSet::from(["a.test".to_owned(), "b".to_owned()]),
        )]);
        file.extend(names(&names_of));
        file.extend(secrets("CLIENT_RANDOM 00 11\n"));
        let ticks = 1_700_000_000_123_456_789;
        let head = Head { interface: 0, ticks, length: 1_514, flags: Some(1) };
        file.extend(packet(head, &[1, 2, 3, 4, 5], &["frame 7".to_owned(), "ü".to_owned()]));
        let told = read(&file);
        let expected = [
            "section 4",
            "interface 113 96 9/s -2",
            // That reader keeps the padding and the record that ends the list.
            "names [[10, 0, 0, 1, 97, 46, 116, 101, 115, 116, 0, 98, 0, 0, 0, 0], []]",
            "secrets CLIENT_RANDOM 00 11\n",
            "packet 0 1700000000123456789 1514 [1, 2, 3, 4, 5] [\"frame 7\", \"ü\"]",
        ];
        assert_eq!(told.len(), expected.len(), "{told:#?}");
        for (found, expected) in told.iter().zip(expected) {
            assert!(found.starts_with(expected), "{found}");
        }
    }

    #[test]
    fn packets_and_comments_of_every_length_come_back() {
        let mut file = section("x", &[]);
        let one = Interface {
            link_number: 1,
            snap_length: 0,
            resolution: 6,
            offset_s: 0,
            name: "",
            description: "",
            comment: None,
        };
        file.extend(interface(&one));
        let lengths = (0..70).chain([65_531, 65_532, 65_533, 70_000]);
        for length in lengths.clone() {
            let bytes: Vec<u8> = (0..length).map(|at: usize| at.to_le_bytes()[0]).collect();
            let comment = "é".repeat(length / 2);
            let head = Head { interface: 0, ticks: u64::MAX - 1, length: 9, flags: None };
            file.extend(packet(head, &bytes, &[comment]));
        }
        let told = read(&file);
        assert_eq!(told.len(), 2 + lengths.clone().count());
        for (length, found) in lengths.zip(told.iter().skip(2)) {
            let bytes: Vec<u8> = (0..length).map(|at: usize| at.to_le_bytes()[0]).collect();
            let comment = "é".repeat((length / 2).min(VALUE_BYTES_MAX / 2));
            assert_eq!(*found, format!("packet 0 {} 9 {bytes:?} [{comment:?}]", u64::MAX - 1));
        }
    }
}
