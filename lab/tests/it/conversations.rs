//! TCP dialogues: what stands in the capture, and what tshark thinks of it.

use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use rdpwhy_lab::capture::{
    Conversation, Endpoint, Frame, IcmpError, LINKTYPE_ETHERNET, Link, PacketType, PcapWriter, Side,
};

use crate::capture_files::tshark;

const START_NS: i64 = 1_741_075_200_000_000_000;

fn ends(v6: bool) -> (Endpoint, Endpoint) {
    let (client, server) = if v6 {
        ("[2001:db8:1::7]:50112", "[2001:db8:2::20]:3389")
    } else {
        ("198.51.100.7:50112", "203.0.113.20:3389")
    };
    let client = Endpoint::new(client.parse().unwrap()).with_isn(1000);
    (client, Endpoint::new(server.parse().unwrap()).with_isn(5000).with_ttl(57))
}

fn talk() -> Conversation {
    let (client, server) = ends(false);
    Conversation::new(client, server, START_NS)
}

/// One line for each frame: who, flags, sequence and acknowledgement numbers, bytes of data.
fn show(talk: Conversation) -> Vec<String> {
    talk.finish().iter().map(show_frame).collect()
}

fn show_frame(frame: &Frame) -> String {
    let sliced = SlicedPacket::from_ethernet(&frame.bytes).unwrap();
    let ttl = match &sliced.net {
        Some(NetSlice::Ipv4(ip)) => ip.header().ttl(),
        Some(NetSlice::Ipv6(ip)) => ip.header().hop_limit(),
        _ => 0,
    };
    let Some(TransportSlice::Tcp(tcp)) = sliced.transport else { return format!("icmp ttl={ttl}") };
    let who = if tcp.destination_port() == 3389 { "C" } else { "S" };
    let flags = [(tcp.syn(), "S"), (tcp.fin(), "F"), (tcp.rst(), "R"), (tcp.psh(), "P"), (tcp.ack(), "A")];
    let flags: String = flags.iter().filter(|(on, _)| *on).map(|(_, name)| *name).collect();
    let numbers = (tcp.sequence_number(), tcp.acknowledgment_number());
    format!("{who}{flags} {} {} {} ttl={ttl}", numbers.0, numbers.1, tcp.payload().len())
}

#[test]
fn a_whole_dialogue_has_the_right_numbers() {
    let mut talk = talk();
    talk.mss(4).handshake().client_sends(b"sixbyt").server_sends(b"abc").client_closes().server_closes();
    let expected = [
        "CS 1000 0 0 ttl=128",
        "SSA 5000 1001 0 ttl=57",
        "CA 1001 5001 0 ttl=128",
        "CA 1001 5001 4 ttl=128",
        "CPA 1005 5001 2 ttl=128",
        "SA 5001 1007 0 ttl=57",
        "SPA 5001 1007 3 ttl=57",
        "CA 1007 5004 0 ttl=128",
        "CFA 1007 5004 0 ttl=128",
        "SA 5004 1008 0 ttl=57",
        "SFA 5004 1008 0 ttl=57",
        "CA 1008 5005 0 ttl=128",
    ];
    assert_eq!(show(talk), expected);
}

#[test]
fn a_refused_syn_is_answered_with_sequence_zero() {
    let mut talk = talk();
    talk.syn().server_resets();
    assert_eq!(show(talk), ["CS 1000 0 0 ttl=128", "SRA 0 1001 0 ttl=57"]);
}

#[test]
fn an_unanswered_syn_is_repeated_with_the_same_number() {
    let mut talk = talk();
    talk.syn().wait_ns(1_000_000_000).syn();
    let frames = talk.finish();
    assert_eq!(frames[1].time_ns - frames[0].time_ns, 1_001_000_000);
    assert_eq!(show_frame(&frames[0]), show_frame(&frames[1]));
}

#[test]
fn loss_repetition_and_order_act_on_data() {
    let mut lost = talk();
    lost.acks(false).handshake().client_sends(b"first").drop_last(Side::Client).client_sends(b"second");
    assert_eq!(show(lost)[3..], ["CPA 1006 5001 6 ttl=128"]);

    let mut again = talk();
    again
        .acks(false)
        .handshake()
        .client_sends(b"first")
        .retransmits(Side::Client)
        .duplicate_last(Side::Client);
    let frames = again.finish();
    assert_eq!(show_frame(&frames[3]), show_frame(&frames[4]));
    assert_ne!(frames[3].bytes, frames[4].bytes, "a retransmission has an IP identification of its own");
    assert_eq!(frames[4].bytes, frames[5].bytes, "a duplicate is the same packet");

    let mut swapped = talk();
    swapped.acks(false).handshake().client_sends(b"first").client_sends(b"second").reorder_last(Side::Client);
    let frames = swapped.finish();
    assert!(frames.is_sorted_by_key(|frame| frame.time_ns));
    assert_eq!(show_frame(&frames[3]), "CPA 1006 5001 6 ttl=128");
    assert_eq!(show_frame(&frames[4]), "CPA 1001 5001 5 ttl=128");
}

#[test]
fn a_forged_reset_has_its_own_ttl() {
    let mut talk = talk();
    talk.handshake().client_sends(b"x").forged_reset(Side::Server, 61);
    assert_eq!(show(talk).last().unwrap(), "SRA 5001 1002 0 ttl=61");
}

#[test]
fn icmp_errors_quote_the_packet() {
    let router = "192.0.2.1".parse().unwrap();
    let mut talk = talk();
    talk.syn().icmp(Side::Client, router, IcmpError::HostUnreachable);
    let frames = talk.finish();
    assert_eq!(show_frame(&frames[1]), "icmp ttl=64");
    let syn = &frames[0].bytes[14..];
    assert!(frames[1].bytes.ends_with(&syn[..28]));
}

#[test]
fn tshark_follows_dialogues_of_both_versions() {
    for v6 in [false, true] {
        let (client, server) = ends(v6);
        let mut talk = Conversation::new(client, server, START_NS);
        talk.timestamps(true).handshake().client_sends(&[3, 0, 0, 4]).server_sends(&[0x17; 5000]);
        talk.retransmits(Side::Server).keep_alive(Side::Client).client_resets();
        let bytes = pcap(LINKTYPE_ETHERNET, talk.finish());
        let Some(seen) = tshark("talk.pcap", &bytes, "tcp.analysis.retransmission", &["frame.number"]) else {
            return;
        };
        assert_eq!(seen.len(), 1);
        let odd = "tcp.analysis.lost_segment || tcp.analysis.ack_lost_segment || tcp.checksum.status==0";
        assert_eq!(tshark("talk.pcap", &bytes, odd, &["frame.number"]), Some(Vec::new()));
        let reset = tshark("talk.pcap", &bytes, "tcp.flags.reset==1", &["tcp.stream"]);
        assert_eq!(reset, Some(vec!["0".to_owned()]));
    }
}

#[test]
fn cooked_links_turn_round_with_the_packet() {
    let mut talk = talk();
    talk.link(Link::LinuxSll(PacketType::FromUs)).syn().syn_ack();
    let frames = talk.finish();
    assert_eq!([frames[0].bytes[1], frames[1].bytes[1]], [4, 0]);
}

fn pcap(link_type: u16, frames: Vec<Frame>) -> Vec<u8> {
    let mut pcap = PcapWriter::new(Vec::new(), link_type).unwrap();
    frames.iter().for_each(|frame| pcap.frame(frame).unwrap());
    pcap.finish().unwrap()
}
