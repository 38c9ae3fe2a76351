//! Files of one ring buffer, by their names.

/// The part of a ring buffer's file name that all its files share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RingName {
    before: String,
    after: String,
}

impl RingName {
    /// `NAME_00001_20261120100000.pcapng` as dumpcap and Wireshark write, or `NAME.pcap`, `NAME.pcap1`, `NAME.pcap2`
    /// as tcpdump does with `-C`.
    pub(super) fn of(shown: &str) -> Option<Self> {
        if let Some((stem, after)) = dumpcap(shown) {
            return Some(Self { before: stem.to_owned(), after: after.to_owned() });
        }
        let digits = shown.len() - shown.trim_end_matches(|c: char| c.is_ascii_digit()).len();
        let stem = shown.get(..shown.len() - digits)?;
        let is_tcpdump = stem.ends_with(".pcap") || stem.ends_with(".cap");
        is_tcpdump.then(|| Self { before: stem.to_owned(), after: String::new() })
    }
}

/// Splits `STEM_00001_20261120100000.EXT` into stem and extension.
fn dumpcap(shown: &str) -> Option<(&str, &str)> {
    let (name, after) = match shown.rfind('.') {
        Some(dot) => shown.split_at(dot),
        None => (shown, ""),
    };
    let (rest, time) = name.rsplit_once('_')?;
    let (stem, number) = rest.rsplit_once('_')?;
    let digits = |text: &str, least: usize| text.len() >= least && text.bytes().all(|b| b.is_ascii_digit());
    (digits(number, 5) && digits(time, 14) && time.len() == 14).then_some((stem, after))
}

/// Order of a file in its ring buffer.
pub(super) fn ring_number(shown: &str) -> (u64, String) {
    let name = dumpcap(shown).and_then(|(stem, _)| shown.get(stem.len() + 1..)?.split('_').next());
    let trailing = shown.len() - shown.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    let number = name.or_else(|| shown.get(shown.len() - trailing..)).and_then(|n| n.parse().ok());
    (number.unwrap_or(0), shown.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_a_ring_buffer_share_their_name() {
        let name = |text: &str| RingName::of(text);
        assert_eq!(name("d/a_00001_20261120100000.pcapng"), name("d/a_00002_20261120100500.pcapng"));
        assert_ne!(name("d/a_00001_20261120100000.pcapng"), name("d/b_00002_20261120100500.pcapng"));
        assert_eq!(name("x.pcap"), name("x.pcap12"));
        assert_eq!(name("client.pcapng"), None);
        assert_eq!(name("case_1_2.pcapng"), None);
        assert!(ring_number("x.pcap") < ring_number("x.pcap2"));
        assert!(ring_number("x.pcap9") < ring_number("x.pcap10"));
    }
}
