//! Target of the UDP transport: datagrams one after the other, through the decoders and through reader and facts.

use std::net::SocketAddr;

use rdpwhy::packets::udp_facts;
use rdpwhy::read::Unwatched;
use rdpwhy::read::capture::read_source;
use rdpwhy::read::inputs::held;
use rdpwhy::wire::keylog::KeyLog;
use rdpwhy::wire::multitransport;
use rdpwhy::wire::rdpudp as wire;
use rdpwhy_lab::capture::{LINKTYPE_ETHERNET, PcapWriter, UdpSyn, udp_frame};

use super::Draw;

/// Datagrams of one input.
const DATAGRAMS_MAX: usize = 64;

/// A control byte, then its datagrams, each behind a byte that says its direction and two of its length.
pub fn rdpudp(bytes: &[u8]) {
    decoded(bytes);
    let mut draw = Draw::new(bytes);
    let control = draw.u8();
    let version = [1, 2, 3, 0x0101][usize::from(control & 3)];
    let syn = UdpSyn {
        initial: u32::MAX - 3,
        lossy: control & 4 != 0,
        version: Some(version),
        ..UdpSyn::default()
    };
    let (client, server): (SocketAddr, SocketAddr) =
        (([198, 51, 100, 7], 61_000).into(), ([203, 0, 113, 20], 3389).into());
    let mut frames = vec![udp_frame(0, client, server, &syn.payload())];
    frames.push(udp_frame(1, server, client, &syn.answer(7, Some(version))));
    while !draw.is_empty() && frames.len() < DATAGRAMS_MAX {
        let by_client = draw.u8() & 1 == 0;
        let length = usize::from(draw.u16() % 1_400);
        let payload = draw.slice(length);
        decoded(payload);
        let (from, to) = if by_client { (client, server) } else { (server, client) };
        let time_ns = i64::try_from(frames.len()).unwrap_or(0) * 200_000_000;
        frames.push(udp_frame(time_ns, from, to, payload));
    }
    let mut pcap = Vec::new();
    let mut writer = PcapWriter::new(&mut pcap, LINKTYPE_ETHERNET).unwrap();
    frames.iter().for_each(|frame| writer.frame(frame).unwrap());
    let inventory = held(vec![("x.pcap".to_owned(), pcap)]);
    let source = &inventory.sources[0];
    let read = read_source(
        source,
        &inventory.inputs,
        &rdpwhy::wire::keylog::KeyLog::default(),
        &Unwatched,
        &mut |_| {},
    );
    let transport = read.udp.first().expect("its SYN is one");
    let (facts, _) = udp_facts(transport, 0, &KeyLog::default());
    assert!(facts.iter().all(|fact| fact.subject.udp().is_some()), "a fact of something else");
    assert!(facts.iter().all(|fact| fact.at >= transport.asked.0.at && fact.at <= transport.last.at));
}

fn decoded(bytes: &[u8]) {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    if let Ok(syn) = wire::syn(bytes, length) {
        assert!((1132..=1232).contains(&length) && (1132..=1232).contains(&syn.up_mtu));
    }
    for version in
        [wire::UdpVersion::V1, wire::UdpVersion::V2, wire::UdpVersion::V3, wire::UdpVersion(0xffff)]
    {
        if let Ok(Some(chunk)) = wire::chunk(bytes, version) {
            assert!(chunk.bytes.len() < bytes.len(), "more data than datagram");
            assert!(wire::glance(bytes, version).is_ok_and(|glance| glance.data), "data without its flag");
        }
    }
    for record in wire::dtls_records(bytes) {
        assert!(record.fragment.len() <= usize::from(record.length));
        let _ = wire::dtls_hello(record.fragment);
    }
    let _ = (multitransport::initiate(bytes), multitransport::tunnel(bytes));
}
