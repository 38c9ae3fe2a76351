//! Bulk traffic: the same for the same seed, and the counts it gives are those of the bytes.

use std::io;

use etherparse::{SlicedPacket, TransportSlice};
use rdpwhy_lab::capture::{Bulk, FrameSink, LINKTYPE_ETHERNET, Made, PcapOptions, PcapWriter, Precision};

use crate::capture_files::tshark;

#[derive(Default)]
struct Counter {
    made: Made,
    last_ns: i64,
    hash: u64,
}

impl FrameSink for Counter {
    fn take(&mut self, time_ns: i64, bytes: &[u8]) -> io::Result<()> {
        assert!(time_ns >= self.last_ns);
        self.last_ns = time_ns;
        self.made.packets += 1;
        self.made.bytes += bytes.len() as u64;
        for byte in bytes {
            self.hash = (self.hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
        let sliced = SlicedPacket::from_ethernet(bytes).unwrap();
        if let Some(TransportSlice::Tcp(tcp)) = &sliced.transport {
            self.made.flows += u64::from(tcp.syn() && !tcp.ack());
            let payload = tcp.payload();
            let is_connect = |code| payload.starts_with(&[3, 0, 0]) && payload.get(5) == Some(&code);
            self.made.rdp_connections += u64::from(is_connect(0xe0));
            self.made.rdp_refused += u64::from(is_connect(0xd0) && payload.get(11) == Some(&3));
        } else if let Some(TransportSlice::Udp(udp)) = &sliced.transport {
            self.made.flows += u64::from(udp.destination_port() == 53);
        }
        Ok(())
    }
}

#[test]
fn counts_are_those_of_the_bytes() {
    let bulk = Bulk { packets: 60_000, rdp_per_mille: 100, ..Bulk::default() };
    let mut counter = Counter::default();
    let made = bulk.write(&mut counter).unwrap();
    assert_eq!(counter.made, made);
    assert!(made.rdp_connections > 50 && made.rdp_refused > 2, "{made:?}");
    assert!((500..1000).contains(&(made.bytes / made.packets)), "{made:?}");
}

#[test]
fn the_seed_alone_decides() {
    let hash = |seed| {
        let mut counter = Counter::default();
        Bulk { seed, packets: 5000, flows_open: 40, ..Bulk::default() }.write(&mut counter).unwrap();
        counter.hash
    };
    assert_eq!(hash(1), hash(1));
    assert_ne!(hash(1), hash(2));
}

#[test]
fn no_rdp_when_none_is_asked_for() {
    let mut counter = Counter::default();
    let made = Bulk { packets: 3000, rdp_per_mille: 0, ..Bulk::default() }.write(&mut counter).unwrap();
    assert_eq!((made.rdp_connections, counter.made.rdp_connections), (0, 0));
}

#[test]
fn tshark_agrees() {
    let options = PcapOptions { precision: Precision::Nano, ..PcapOptions::default() };
    let mut pcap = PcapWriter::with(Vec::new(), LINKTYPE_ETHERNET, options).unwrap();
    let bulk = Bulk { packets: 20_000, rdp_per_mille: 100, flows_open: 100, ..Bulk::default() };
    let made = bulk.write(&mut pcap).unwrap();
    let bytes = pcap.finish().unwrap();
    let requests = "tcp.payload[0:3]==03:00:00 && tcp.payload[5]==e0";
    let Some(found) = tshark("bulk.pcap", &bytes, requests, &["rdp.rt_cookie"]) else { return };
    assert_eq!(found.len() as u64, made.rdp_connections);
    let wrong = "ip.checksum.status==0 || tcp.checksum.status==0 || udp.checksum.status==0";
    assert_eq!(tshark("bulk.pcap", &bytes, wrong, &["frame.number"]), Some(Vec::new()));
    let hellos =
        tshark("bulk.pcap", &bytes, "tls.handshake.type==1", &["tls.handshake.extensions_server_name"])
            .unwrap();
    assert!(hellos.len() > 20 && hellos.iter().all(|name| name.ends_with(".lab.test")), "{hellos:?}");
    let names = tshark("bulk.pcap", &bytes, "dns.flags.response==1", &["dns.a"]).unwrap();
    assert!(names.len() > 20 && names.iter().all(|address| address.starts_with("203.0.113.")));
}
