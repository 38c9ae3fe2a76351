//! Writes captures: pcap and pcapng files, packets of every kind, whole TCP dialogues, and traffic in bulk.
//!
//! Everything is streamed to any [`std::io::Write`]; times are nanoseconds since 1970-01-01 UTC.
//!
//! ```
//! use rdpwhy_lab::capture::{Conversation, Endpoint, LINKTYPE_ETHERNET, PcapWriter};
//!
//! let client = Endpoint::new("198.51.100.7:50112".parse().unwrap());
//! let server = Endpoint::new("203.0.113.20:3389".parse().unwrap());
//! let mut talk = Conversation::new(client, server, 1_740_000_000_000_000_000);
//! talk.handshake().client_sends(b"hello").server_resets();
//! let mut pcap = PcapWriter::new(Vec::new(), LINKTYPE_ETHERNET).unwrap();
//! for frame in talk.finish() {
//!     pcap.frame(&frame).unwrap();
//! }
//! ```

mod frame;
mod pcap;
mod pcapng;
mod link;
mod packet;
mod rdpudp;
mod tcp;
mod tunnel;
mod taps;
mod icmp;
mod conversation;
mod bulk;

pub use bulk::{Bulk, Made};
pub use conversation::{Conversation, Endpoint, Side};
pub use frame::{ByteOrder, Frame, FrameSink};
pub use icmp::{IcmpError, icmp_error};
pub use link::{
    LINKTYPE_ETHERNET, LINKTYPE_LINUX_SLL, LINKTYPE_LINUX_SLL2, LINKTYPE_NULL, LINKTYPE_RAW, Link, PacketType,
};
pub use packet::{Checksum, Envelope, ExtensionHeader};
pub use pcap::{PcapOptions, PcapWriter, Precision};
pub use pcapng::{Interface, PcapngWriter, Statistics, TimeUnit};
pub use rdpudp::{UdpSyn, udp_data, udp_frame, udp2_data, udp2_dummy};
pub use taps::{as_hdlc, as_ppp, doubled, fragmented};
pub use tcp::{TcpFlags, TcpOption, TcpSegment};
pub use tunnel::Tunnel;
