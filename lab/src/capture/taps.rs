//! The same frames as another capture point holds them: twice, in fragments, over a serial line.

use super::frame::Frame;
use super::packet::internet_checksum;

const ETHERNET_HEADER: usize = 14;
const IPV4_HEADER: usize = 20;
const IPV6_HEADER: usize = 40;
const NEXT_FRAGMENT: u8 = 44;
const TYPE_VLAN: [u8; 2] = [0x81, 0];

/// Every frame (Ethernet without tags) as it is, and once more `delay_ns` later, `hops` routers further and with a VLAN
/// tag where one is given; in order of time.
pub fn doubled(frames: &[Frame], delay_ns: i64, hops: u8, vlan: Option<u16>) -> Vec<Frame> {
    let copy = |frame: &Frame| {
        let mut bytes = frame.bytes.clone();
        pass_routers(&mut bytes[ETHERNET_HEADER..], hops);
        if let Some(id) = vlan {
            let tag = [TYPE_VLAN, id.to_be_bytes()].concat();
            bytes.splice(12..12, tag);
        }
        Frame { time_ns: frame.time_ns + delay_ns, bytes }
    };
    let mut all: Vec<Frame> = frames.iter().flat_map(|frame| [frame.clone(), copy(frame)]).collect();
    all.sort_by_key(|frame| frame.time_ns);
    all
}

fn pass_routers(packet: &mut [u8], hops: u8) {
    if is_v6(packet) {
        packet[7] -= hops;
    } else {
        packet[8] -= hops;
        sign(&mut packet[..IPV4_HEADER]);
    }
}

fn is_v6(packet: &[u8]) -> bool {
    packet[0] >> 4 == 6
}

/// Writes the checksum of an IPv4 header.
fn sign(header: &mut [u8]) {
    header[10..12].copy_from_slice(&[0; 2]);
    let sum = internet_checksum(header).to_be_bytes();
    header[10..12].copy_from_slice(&sum);
}

/// An Ethernet frame without tags or IP options in fragments with `mtu` bytes of IP at most, the last one first where
/// `reversed`.
pub fn fragmented(frame: &[u8], mtu: usize, reversed: bool) -> Vec<Vec<u8>> {
    let (link, packet) = frame.split_at(ETHERNET_HEADER);
    let header = if is_v6(packet) { IPV6_HEADER } else { IPV4_HEADER };
    let (header, body) = packet.split_at(header);
    let room = (mtu.saturating_sub(header.len() + 8) / 8 * 8).max(8);
    let count = body.len().div_ceil(room);
    let piece = |(index, bytes): (usize, &[u8])| {
        let more = index + 1 < count;
        [link, &fragment(header, body, index * room, more, bytes)].concat()
    };
    let mut pieces: Vec<Vec<u8>> = body.chunks(room).enumerate().map(piece).collect();
    if reversed {
        pieces.reverse();
    }
    pieces
}

fn fragment(header: &[u8], body: &[u8], offset: usize, more: bool, bytes: &[u8]) -> Vec<u8> {
    let mut out = header.to_vec();
    if is_v6(header) {
        let length = ((bytes.len() + 8) as u16).to_be_bytes();
        out[4..6].copy_from_slice(&length);
        out[6] = NEXT_FRAGMENT;
        let field = (offset as u16 | u16::from(more)).to_be_bytes();
        // IPv6 has no identification of its own: any number that the packets do not share.
        let number = body.iter().fold(7_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(*byte)));
        out.extend_from_slice(&[header[6], 0, field[0], field[1]]);
        out.extend_from_slice(&number.to_be_bytes());
    } else {
        let length = ((header.len() + bytes.len()) as u16).to_be_bytes();
        out[2..4].copy_from_slice(&length);
        let field = (offset / 8) as u16 | if more { 0x2000 } else { 0 };
        out[6..8].copy_from_slice(&field.to_be_bytes());
        sign(&mut out);
    }
    out.extend_from_slice(bytes);
    out
}

/// The IP packet of an Ethernet frame behind a PPP header (LINKTYPE_PPP), its address and control left out.
pub fn as_ppp(frame: &[u8]) -> Vec<u8> {
    let packet = &frame[ETHERNET_HEADER..];
    [&[0, if is_v6(packet) { 0x57 } else { 0x21 }], packet].concat()
}

/// The same behind address and control (LINKTYPE_PPP_HDLC).
pub fn as_hdlc(frame: &[u8]) -> Vec<u8> {
    [&[0xff, 0x03][..], &as_ppp(frame)].concat()
}
