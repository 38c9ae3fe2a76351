//! Names of addresses that a pcapng file lists (name resolution blocks): what the program that wrote it knew.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use pcap_parser::{NameRecord, NameRecordType, NameResolutionBlock};

/// Addresses of one source whose names are kept, and names of each.
const ADDRESSES_MAX: usize = 16_384;
const NAMES_MAX: usize = 16;
/// Bytes of a name in the DNS (RFC 1035 2.3.4); longer ones are none.
const NAME_BYTES_MAX: usize = 255;

/// The names of one source.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Listed {
    /// By address: the names, in lower case, without the last dot, and the first input that has one of them.
    pub names: BTreeMap<IpAddr, (u32, BTreeSet<String>)>,
    /// Names beyond the limits.
    pub cut: u64,
}

impl Listed {
    /// Takes the records of a block.
    pub(super) fn take(&mut self, input_index: u32, block: &NameResolutionBlock<'_>) {
        for (address, name) in block.nr.iter().filter_map(split).flat_map(|(of, names)| words(of, names)) {
            let is_new = !self.names.contains_key(&address);
            if name.len() > NAME_BYTES_MAX || (is_new && self.names.len() >= ADDRESSES_MAX) {
                self.cut += 1;
                continue;
            }
            let (_, names) = self.names.entry(address).or_insert_with(|| (input_index, BTreeSet::new()));
            let name = name.trim_end_matches('.').to_lowercase();
            if names.len() < NAMES_MAX {
                names.insert(name);
            } else if !names.contains(&name) {
                self.cut += 1;
            }
        }
    }
}

/// The address and the first name of a record.
pub(super) fn first<'a>(record: &NameRecord<'a>) -> Option<(IpAddr, &'a str)> {
    let (address, names) = split(record)?;
    words(address, names).next()
}

/// A record (pcapng 4.5): the address, then names ended by zero bytes.
fn split<'a>(record: &NameRecord<'a>) -> Option<(IpAddr, &'a [u8])> {
    let value = record.record_value;
    match record.record_type {
        NameRecordType::Ipv4 => {
            let (address, names) = value.split_first_chunk::<4>()?;
            Some((IpAddr::from(*address), names))
        }
        NameRecordType::Ipv6 => {
            let (address, names) = value.split_first_chunk::<16>()?;
            Some((IpAddr::from(*address), names))
        }
        _ => None,
    }
}

/// Names that are text; the reader leaves the padding behind them.
fn words(address: IpAddr, names: &[u8]) -> impl Iterator<Item = (IpAddr, &str)> {
    let texts = names.split(|byte| *byte == 0).filter_map(|name| std::str::from_utf8(name).ok());
    texts.filter(|name| !name.is_empty()).map(move |name| (address, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: NameRecordType, value: &[u8]) -> NameRecord<'_> {
        NameRecord { record_type: kind, record_value: value }
    }

    fn taken(records: Vec<NameRecord<'_>>) -> Listed {
        let block = NameResolutionBlock {
            block_type: 4,
            block_len1: 0,
            nr: records,
            options: Vec::new(),
            block_len2: 0,
        };
        let mut listed = Listed::default();
        listed.take(3, &block);
        listed
    }

    #[test]
    fn all_names_of_a_record_are_read_and_what_is_no_text_is_none() {
        let v4 = [&[192, 0, 2, 7][..], b"RDSH01.lab.test.\0rdsh01\0\xff\xfe\0\0"].concat();
        let v6 = [&[0x20; 16][..], b"six\0"].concat();
        let listed = taken(vec![
            record(NameRecordType::Ipv4, &v4),
            record(NameRecordType::Ipv6, &v6),
            record(NameRecordType::Ipv4, &[192, 0, 2]),
            record(NameRecordType::End, &v4),
        ]);
        let names = |address: &str| {
            let (input, names) = listed.names.get(&address.parse().unwrap()).unwrap();
            (*input, names.iter().cloned().collect::<Vec<String>>().join(" "))
        };
        assert_eq!(names("192.0.2.7"), (3, "rdsh01 rdsh01.lab.test".to_owned()));
        assert_eq!(names("2020:2020:2020:2020:2020:2020:2020:2020"), (3, "six".to_owned()));
        assert_eq!((listed.names.len(), listed.cut), (2, 0));
        let first = first(&record(NameRecordType::Ipv4, &v4)).map(|(_, name)| name);
        assert_eq!(first, Some("RDSH01.lab.test."));
    }

    #[test]
    fn names_beyond_the_limits_are_counted() {
        let mut value = vec![192, 0, 2, 7];
        for number in 0..NAMES_MAX + 4 {
            value.extend(format!("host{number}\0").into_bytes());
        }
        value.extend(vec![b'x'; NAME_BYTES_MAX + 1]);
        let listed = taken(vec![record(NameRecordType::Ipv4, &value)]);
        assert_eq!((listed.names.values().next().unwrap().1.len(), listed.cut), (NAMES_MAX, 5));
        let addresses: Vec<[u8; 6]> = (0..u32::try_from(ADDRESSES_MAX).unwrap() + 2)
            .map(|number| {
                let [a, b, c, d] = number.to_be_bytes();
                [a, b, c, d, b'n', 0]
            })
            .collect();
        let records = addresses.iter().map(|value| record(NameRecordType::Ipv4, value)).collect();
        let listed = taken(records);
        assert_eq!((listed.names.len(), listed.cut), (ADDRESSES_MAX, 2));
    }
}
