//! Capture files and packets, read back by pcap-parser, etherparse and tshark.

use std::net::IpAddr;
use std::process::Command;

use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use pcap_parser::traits::{PcapNGPacketBlock, PcapReaderIterator};
use pcap_parser::{Block, LegacyPcapReader, PcapBlockOwned, PcapError, PcapNGReader};
use rdpwhy_lab::capture::{
    ByteOrder, Checksum, Envelope, ExtensionHeader, Frame, IcmpError, Interface, LINKTYPE_ETHERNET,
    LINKTYPE_LINUX_SLL, LINKTYPE_LINUX_SLL2, LINKTYPE_NULL, LINKTYPE_RAW, Link, PacketType, PcapOptions,
    PcapWriter, PcapngWriter, Precision, Statistics, TcpFlags, TcpOption, TcpSegment, TimeUnit, icmp_error,
};

use crate::tools::{TempFile, run_if_present};

const TIME_NS: i64 = 1_741_075_200_123_456_789;

/// Reads a capture with tshark, all checksums checked, and gives the fields asked for, line by line.
pub fn tshark(name: &str, bytes: &[u8], filter: &str, fields: &[&str]) -> Option<Vec<String>> {
    let file = TempFile::new(name, bytes);
    let mut command = Command::new("tshark");
    command.args(["-n", "-r"]).arg(file.path());
    for layer in ["ip", "tcp", "udp"] {
        command.args(["-o", &format!("{layer}.check_checksum:TRUE")]);
    }
    command.args(["-Y", filter, "-T", "fields"]);
    fields.iter().for_each(|field| {
        command.args(["-e", field]);
    });
    let out = run_if_present("tshark", Command::new("tshark").arg("--version"), &mut command)?;
    Some(out.lines().map(str::to_owned).collect())
}

/// Bad checksums of any layer, and malformed packets.
const ANYTHING_WRONG: &str = "ip.checksum.status==0 || tcp.checksum.status==0 || udp.checksum.status==0 || \
    icmp.checksum.status==0 || icmpv6.checksum.status==0 || _ws.malformed";

fn addresses() -> [(IpAddr, IpAddr); 2] {
    let pair = |a: &str, b: &str| (a.parse().unwrap(), b.parse().unwrap());
    [pair("198.51.100.7", "203.0.113.20"), pair("2001:db8:1::7", "2001:db8:2::20")]
}

fn segment(payload: &[u8]) -> TcpSegment<'_> {
    TcpSegment {
        source_port: 50112,
        destination_port: 3389,
        seq: 0xfffffff0,
        ack: 77,
        flags: TcpFlags::PSH.with(TcpFlags::ACK),
        window: 1024,
        options: vec![TcpOption::Nop, TcpOption::Nop, TcpOption::Timestamps(1, 2)],
        payload,
        checksum: Checksum::Correct,
    }
}

/// TCP, UDP and an ICMP error about the TCP packet, in both versions of IP.
fn every_transport(link: &Link) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    for (source, destination) in addresses() {
        let mut envelope = Envelope::new(source, destination);
        envelope.link = Link::Raw;
        let about = envelope.tcp(&segment(b"odd"));
        envelope.link = link.clone();
        for length in [0, 1, 3, 4, 1000] {
            let payload: Vec<u8> = (0..length).map(|byte| byte as u8 ^ 0xa5).collect();
            frames.push(envelope.tcp(&segment(&payload)));
            frames.push(envelope.udp(50113, 33333, &payload));
        }
        frames.push(icmp_error(&envelope, IcmpError::TooBig(1280), &about));
        frames.push(icmp_error(&envelope, IcmpError::AdministrativelyProhibited, &about));
    }
    frames
}

fn check_tcp(sliced: &SlicedPacket<'_>) {
    let Some(TransportSlice::Tcp(tcp)) = &sliced.transport else { return };
    let sum = match sliced.net.as_ref().unwrap() {
        NetSlice::Ipv4(ip) => {
            tcp.calc_checksum_ipv4(ip.header().source(), ip.header().destination()).unwrap()
        }
        NetSlice::Ipv6(ip) => {
            tcp.calc_checksum_ipv6(ip.header().source(), ip.header().destination()).unwrap()
        }
        NetSlice::Arp(_) => unreachable!(),
    };
    assert_eq!(tcp.checksum(), sum);
    assert_eq!((tcp.source_port(), tcp.destination_port()), (50112, 3389));
    assert_eq!((tcp.sequence_number(), tcp.acknowledgment_number()), (0xfffffff0, 77));
    assert!(tcp.psh() && tcp.ack() && !tcp.syn());
}

#[test]
fn etherparse_reads_packets_of_every_link() {
    for vlans in [vec![], vec![100], vec![100, 4000]] {
        for frame in every_transport(&Link::Ethernet { vlans: vlans.clone() }) {
            let sliced = SlicedPacket::from_ethernet(&frame).unwrap();
            assert_eq!(sliced.link_exts.len(), vlans.len());
            assert!(sliced.transport.is_some());
            check_tcp(&sliced);
        }
    }
    for frame in every_transport(&Link::Raw) {
        check_tcp(&SlicedPacket::from_ip(&frame).unwrap());
    }
    for frame in every_transport(&Link::LinuxSll(PacketType::FromUs)) {
        check_tcp(&SlicedPacket::from_linux_sll(&frame).unwrap());
    }
}

#[test]
fn etherparse_reads_extension_headers_and_fragments() {
    let [v4, v6] = addresses();
    let mut envelope = Envelope::new(v6.0, v6.1);
    envelope.extensions =
        vec![ExtensionHeader::HopByHop, ExtensionHeader::Destination, ExtensionHeader::AtomicFragment];
    let frame = envelope.tcp(&segment(b"behind three headers"));
    let sliced = SlicedPacket::from_ethernet(&frame).unwrap();
    check_tcp(&sliced);
    assert!(matches!(sliced.transport, Some(TransportSlice::Tcp(_))));

    for (source, destination) in [v4, v6] {
        let envelope = Envelope::new(source, destination);
        let transport = envelope.tcp_bytes(&segment(&[7; 3000]));
        let pieces = envelope.fragments(6, &transport, 1500);
        assert_eq!(pieces.len(), 3);
        assert!(pieces.iter().all(|piece| piece.len() <= 1514));
        assert!(SlicedPacket::from_ethernet(&pieces[1]).unwrap().is_ip_payload_fragmented());
    }
}

#[test]
fn wrong_and_absent_checksums_are_that() {
    let (source, destination) = addresses()[0];
    let envelope = Envelope::new(source, destination);
    let sum = |checksum| {
        let frame = envelope.tcp(&TcpSegment { checksum, ..segment(b"x") });
        let SlicedPacket { transport: Some(TransportSlice::Tcp(tcp)), .. } =
            SlicedPacket::from_ethernet(&frame).unwrap()
        else {
            panic!("no TCP")
        };
        tcp.checksum()
    };
    assert_ne!(sum(Checksum::Wrong), sum(Checksum::Correct));
    assert_eq!(sum(Checksum::Zero), 0);
}

#[test]
fn tshark_finds_nothing_wrong_with_any_packet() {
    let links = [
        (Link::Ethernet { vlans: vec![12, 13] }, LINKTYPE_ETHERNET),
        (Link::LinuxSll(PacketType::ToUs), LINKTYPE_LINUX_SLL),
        (Link::LinuxSll2(PacketType::FromUs), LINKTYPE_LINUX_SLL2),
        (Link::Raw, LINKTYPE_RAW),
        (Link::Null, LINKTYPE_NULL),
    ];
    for (link, link_type) in links {
        assert_eq!(link.link_type(), link_type);
        let frames = every_transport(&link);
        let mut pcap = PcapWriter::new(Vec::new(), link_type).unwrap();
        for bytes in &frames {
            pcap.frame(&Frame { time_ns: TIME_NS, bytes: bytes.clone() }).unwrap();
        }
        let bytes = pcap.finish().unwrap();
        let Some(all) = tshark("links.pcap", &bytes, "tcp.port==3389 || udp.port==33333", &["frame.number"])
        else {
            return;
        };
        assert_eq!(all.len(), frames.len(), "{link:?}");
        let wrong = tshark("links.pcap", &bytes, ANYTHING_WRONG, &["frame.number"]);
        assert_eq!(wrong, Some(Vec::new()), "{link:?}");
    }
}

fn read_pcap(bytes: &[u8]) -> Vec<(u32, u32, Vec<u8>, u32)> {
    let mut reader = LegacyPcapReader::new(1 << 20, bytes).unwrap();
    let mut packets = Vec::new();
    loop {
        match reader.next() {
            Ok((used, block)) => {
                if let PcapBlockOwned::Legacy(packet) = block {
                    packets.push((packet.ts_sec, packet.ts_usec, packet.data.to_vec(), packet.origlen));
                }
                reader.consume(used);
            }
            Err(PcapError::Eof) => return packets,
            Err(PcapError::Incomplete(_)) => reader.refill().unwrap(),
            Err(error) => panic!("{error:?}"),
        }
    }
}

#[test]
fn pcap_is_read_back_in_every_form() {
    for order in [ByteOrder::Little, ByteOrder::Big] {
        for (precision, fraction) in [(Precision::Micro, 123_456), (Precision::Nano, 123_456_789)] {
            let options = PcapOptions { order, precision, snaplen: 6, ..PcapOptions::default() };
            let mut pcap = PcapWriter::with(Vec::new(), LINKTYPE_RAW, options).unwrap();
            pcap.packet(TIME_NS, &[1, 2, 3], 3).unwrap();
            pcap.packet(TIME_NS, &[9; 8], 5000).unwrap();
            let packets = read_pcap(&pcap.finish().unwrap());
            assert_eq!(packets[0], (1_741_075_200, fraction, vec![1, 2, 3], 3));
            assert_eq!(packets[1], (1_741_075_200, fraction, vec![9; 6], 5000));
        }
    }
}

#[test]
fn tshark_reads_modified_pcap() {
    let options = PcapOptions { modified: true, ..PcapOptions::default() };
    let mut pcap = PcapWriter::with(Vec::new(), LINKTYPE_RAW, options).unwrap();
    for bytes in every_transport(&Link::Raw) {
        pcap.packet(TIME_NS, &bytes, bytes.len() as u32).unwrap();
    }
    let bytes = pcap.finish().unwrap();
    let Some(lines) =
        tshark("modified.pcap", &bytes, "tcp.dstport==3389 && tcp.len==3", &["frame.time_epoch"])
    else {
        return;
    };
    // The data itself twice, and quoted in the ICMPv6 errors (ICMP quotes eight bytes only).
    assert!(lines.len() >= 2 && lines.iter().all(|time| time.starts_with("1741075200.123456")), "{lines:?}");
}

/// One line for each block that matters.
fn read_pcapng(bytes: &[u8]) -> Vec<String> {
    let mut reader = PcapNGReader::new(1 << 20, bytes).unwrap();
    let (mut lines, mut big) = (Vec::new(), false);
    loop {
        match reader.next() {
            Ok((used, PcapBlockOwned::NG(block))) => {
                if let Block::SectionHeader(section) = &block {
                    big = section.big_endian();
                }
                lines.push(show(&block, big));
                reader.consume(used);
            }
            Ok((used, _)) => reader.consume(used),
            Err(PcapError::Eof) => return lines,
            Err(PcapError::Incomplete(_)) => reader.refill().unwrap(),
            Err(error) => panic!("{error:?}"),
        }
    }
}

/// pcap-parser 0.17 takes 64-bit options for little-endian in every section: `number` puts that right.
fn show(block: &Block<'_>, big: bool) -> String {
    let number = |number: u64| if big { number.swap_bytes() } else { number };
    match block {
        Block::SectionHeader(b) => format!("section big={}", b.big_endian()),
        Block::InterfaceDescription(b) => {
            format!(
                "interface {:?} resol={} offset={}",
                b.linktype,
                b.if_tsresol,
                number(b.if_tsoffset as u64)
            )
        }
        Block::EnhancedPacket(b) => {
            let ticks = u64::from(b.ts_high) << 32 | u64::from(b.ts_low);
            let comments = b.options.iter().filter(|option| option.code.0 == 1).count();
            format!("packet if={} t={ticks} {:?} of {} c={comments}", b.if_id, b.packet_data(), b.origlen)
        }
        Block::SimplePacket(b) => format!("simple {:?} of {}", b.packet_data(), b.origlen),
        Block::NameResolution(b) => format!("names {}", b.nr.len()),
        Block::InterfaceStatistics(b) => {
            let [received, dropped] =
                [b.isb_ifrecv(), b.isb_ifdrop()].map(|count| number(count.unwrap().unwrap()));
            format!("statistics if={} {received} {dropped}", b.if_id)
        }
        Block::DecryptionSecrets(b) => format!("secrets {:#x} {}", b.secrets_type.0, b.secrets_len),
        Block::Unknown(b) => format!("unknown {:#x}", b.block_type),
        other => format!("{other:?}"),
    }
}

fn write_every_block(order: ByteOrder) -> Vec<u8> {
    let mut ng = PcapngWriter::new(Vec::new(), order).unwrap();
    ng.interface(Interface::new(LINKTYPE_RAW)).unwrap();
    let offset =
        Interface { time_offset_s: Some(1_741_075_000), snaplen: 2, ..Interface::new(LINKTYPE_ETHERNET) };
    ng.interface(offset.with_time_unit(TimeUnit::Decimal(9))).unwrap();
    ng.interface(Interface::new(LINKTYPE_RAW).with_time_unit(TimeUnit::Binary(10))).unwrap();
    ng.tls_keys("CLIENT_RANDOM 00 11\n").unwrap();
    ng.names(&[("203.0.113.20".parse().unwrap(), "rdsh01.lab.test"), ("2001:db8::1".parse().unwrap(), "dc")])
        .unwrap();
    ng.packet(0, TIME_NS, &[1, 2, 3, 4, 5], 5, None).unwrap();
    ng.packet(1, TIME_NS, &[6, 7, 8], 3, Some("the step that broke")).unwrap();
    ng.packet(2, TIME_NS, &[9], 99, None).unwrap();
    ng.simple_packet(&[1]).unwrap();
    ng.block(0x77777777, &[1, 2, 3]).unwrap();
    ng.statistics(0, TIME_NS, Statistics { received: Some(10), dropped: Some(3) }).unwrap();
    let other = if order == ByteOrder::Little { ByteOrder::Big } else { ByteOrder::Little };
    ng.section(other, Some("second")).unwrap();
    assert!(ng.packet(0, TIME_NS, &[], 0, None).is_err(), "the new section has no interface yet");
    ng.interface(Interface::new(LINKTYPE_RAW)).unwrap();
    ng.packet(0, TIME_NS, &[2], 1, None).unwrap();
    ng.finish().unwrap()
}

#[test]
fn pcapng_is_read_back_block_by_block() {
    for order in [ByteOrder::Little, ByteOrder::Big] {
        let big = order == ByteOrder::Big;
        let expected = [
            format!("section big={big}"),
            "interface Linktype(101) resol=6 offset=0".to_owned(),
            "interface Linktype(1) resol=9 offset=1741075000".to_owned(),
            "interface Linktype(101) resol=138 offset=0".to_owned(),
            "secrets 0x544c534b 20".to_owned(),
            "names 3".to_owned(),
            "packet if=0 t=1741075200123456 [1, 2, 3, 4, 5] of 5 c=0".to_owned(),
            "packet if=1 t=200123456789 [6, 7] of 3 c=1".to_owned(),
            "packet if=2 t=1782861004926 [9] of 99 c=0".to_owned(),
            "simple [1] of 1".to_owned(),
            "unknown 0x77777777".to_owned(),
            "statistics if=0 10 3".to_owned(),
            format!("section big={}", !big),
            "interface Linktype(101) resol=6 offset=0".to_owned(),
            "packet if=0 t=1741075200123456 [2] of 1 c=0".to_owned(),
        ];
        assert_eq!(read_pcapng(&write_every_block(order)), expected);
    }
}

#[test]
fn tshark_reads_pcapng_with_sections_of_both_orders() {
    for order in [ByteOrder::Little, ByteOrder::Big] {
        let bytes = write_every_block(order);
        let Some(lines) = tshark("blocks.pcapng", &bytes, "frame", &["frame.time_epoch", "frame.cap_len"])
        else {
            return;
        };
        assert_eq!(lines.len(), 5);
        assert_eq!(lines[0], "1741075200.123456000\t5");
        assert_eq!(lines[1], "1741075200.123456789\t2");
        assert_eq!(lines[2], "1741075200.123046875\t1");
    }
}

#[test]
fn nothing_describes_the_machine() {
    let text = String::from_utf8_lossy(&write_every_block(ByteOrder::Little)).into_owned();
    for word in ["Linux", "linux", "eth0", "dumpcap", "x86"] {
        assert!(!text.contains(word), "{word}");
    }
}
