//! What was lost or left out, and where: a note never stops the run. Every complaint the program can make of an
//! input is a constructor here.

use std::fmt;

mod log;
mod zip;

/// Where in the evidence: an input and a spot in it that a person can look up elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Index into the list of inputs, which is sorted by path.
    pub input_index: u32,
    /// The spot.
    pub spot: Spot,
}

/// A spot in an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Spot {
    /// The input as a whole.
    Whole,
    /// A byte offset into the file.
    Byte(u64),
    /// A frame, numbered from 1 as Wireshark counts.
    Frame(u64),
    /// An event, by the `EventRecordID` of its XML.
    Record(u64),
}

impl Place {
    /// A frame of a capture.
    #[must_use]
    pub const fn frame(input_index: u32, frame_number: u64) -> Self {
        Self { input_index, spot: Spot::Frame(frame_number) }
    }

    /// An input as a whole.
    #[must_use]
    pub const fn whole(input_index: u32) -> Self {
        Self { input_index, spot: Spot::Whole }
    }
}

impl fmt::Display for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole => Ok(()),
            Self::Byte(offset) => write!(f, "byte {offset}"),
            Self::Frame(number) => write!(f, "frame {number}"),
            Self::Record(id) => write!(f, "record {id}"),
        }
    }
}

/// One sentence about something that was lost, cut or not understood.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Note {
    /// Where.
    pub place: Place,
    /// What was found and what was expected; lower case, no full stop.
    pub text: String,
}

/// A count and what is counted: `1 packet was`, `2 packets were`.
pub(crate) fn counted<N: fmt::Display + PartialEq + From<u8>>(count: N, one: &str, many: &str) -> String {
    format!("{count} {}", if count == N::from(1) { one } else { many })
}

impl Note {
    fn at(input_index: u32, spot: Spot, text: String) -> Self {
        Self { place: Place { input_index, spot }, text }
    }

    /// Reading ended inside of a capture.
    #[must_use]
    pub fn reading_ended(input_index: u32, found: &str, packets: u64) -> Self {
        let packets = counted(packets, "packet was", "packets were");
        Self::at(input_index, Spot::Whole, format!("cannot read: {found}; {packets} read before that"))
    }

    /// The file could not be opened or read.
    #[must_use]
    pub fn unreadable(input_index: u32, error: &str) -> Self {
        Self::at(input_index, Spot::Whole, format!("cannot read: {error}"))
    }

    /// The file has no bytes.
    #[must_use]
    pub fn empty(input_index: u32) -> Self {
        Self::at(
            input_index,
            Spot::Whole,
            "empty file: found 0 bytes, expected a capture or an event log".to_owned(),
        )
    }

    /// The first bytes are those of nothing this program reads.
    #[must_use]
    pub fn unknown_kind(input_index: u32, found: &str) -> Self {
        let text = format!(
            "not a capture, event log or key log: starts with {found}, expected pcap, pcapng, evtx (ElfFile) or \
                     lines such as CLIENT_RANDOM, random, secret"
        );
        Self::at(input_index, Spot::Whole, text)
    }

    /// The text of an event log, as Event Viewer and PowerShell save it.
    #[must_use]
    pub fn log_export(input_index: u32, kind: &str) -> Self {
        let text = format!(
            "an event log saved as {kind}: fields are lost and texts translated, so it is not read; on that host, \
             `wevtutil epl CHANNEL FILE.evtx` saves what is"
        );
        Self::at(input_index, Spot::Whole, text)
    }

    /// A kind of file that this version does not read.
    #[must_use]
    pub fn kind_not_read(input_index: u32, kind: &str) -> Self {
        Self::at(input_index, Spot::Whole, format!("{kind}: this version does not read it"))
    }

    /// Facts that were written before stand where evidence is expected.
    #[must_use]
    pub fn facts_given(input_index: u32) -> Self {
        let text = "facts that `rdpwhy facts` wrote: not read here, `rdpwhy diagnose` takes them".to_owned();
        Self::at(input_index, Spot::Whole, text)
    }

    /// The capture ends inside a packet.
    #[must_use]
    pub fn capture_cut(input_index: u32, offset: u64, packets: u64) -> Self {
        let text = format!(
            "the file is cut inside a packet: {} read before the cut",
            counted(packets, "whole packet", "whole packets")
        );
        Self::at(input_index, Spot::Byte(offset), text)
    }

    /// A block or packet header makes no sense and what follows cannot be found.
    #[must_use]
    pub fn capture_damaged(input_index: u32, offset: u64, packets: u64, found: &str) -> Self {
        let text = format!(
            "{found}; {} read before it, the rest of the file is not read",
            counted(packets, "packet", "packets")
        );
        Self::at(input_index, Spot::Byte(offset), text)
    }

    /// Bytes were passed over to find the next packet.
    #[must_use]
    pub fn capture_resumed(input_index: u32, offset: u64, bytes: u64) -> Self {
        let text = format!(
            "damaged packet header: {} passed over to the next packet that makes sense",
            counted(bytes, "byte", "bytes")
        );
        Self::at(input_index, Spot::Byte(offset), text)
    }

    /// Bytes were passed over in so many places that the rest of them share one note.
    #[must_use]
    pub fn capture_resumed_often(input_index: u32, places: u64, bytes: u64) -> Self {
        let text = format!(
            "damaged packet headers in {}: {} passed over",
            counted(places, "more place", "more places"),
            counted(bytes, "byte", "bytes")
        );
        Self::at(input_index, Spot::Whole, text)
    }

    /// A link type that cannot be unwrapped.
    #[must_use]
    pub fn link_type(input_index: u32, link_type: i64, packets: u64) -> Self {
        let text =
            format!("link type {link_type} is not read: {} left out", counted(packets, "packet", "packets"));
        Self::at(input_index, Spot::Whole, text)
    }

    /// Packets whose headers could not be read.
    #[must_use]
    pub fn packets_unreadable(input_index: u32, first_frame: u64, packets: u64) -> Self {
        let text = format!(
            "{counted} that make no sense, this is the first",
            counted = counted(packets, "packet has headers", "packets have headers")
        );
        Self::at(input_index, Spot::Frame(first_frame), text)
    }

    /// IP fragments of packets that were never whole, or that the snap length cut.
    #[must_use]
    pub fn fragments(first: Place, fragments: u64) -> Self {
        let text = format!(
            "{counted} not put together, this is the first",
            counted = counted(fragments, "IP fragment was", "IP fragments were")
        );
        Self { place: first, text }
    }

    /// Packets in more tunnels in tunnels than are unwrapped.
    #[must_use]
    pub fn tunnels_too_deep(input_index: u32, first_frame: u64, packets: u64) -> Self {
        let text = format!(
            "{counted} too many tunnels and are not read, this is the first",
            counted = counted(packets, "packet lies in", "packets lie in")
        );
        Self::at(input_index, Spot::Frame(first_frame), text)
    }

    /// Packets of RDP connections that stand in the capture more than once.
    #[must_use]
    pub fn copies(first: Place, packets: u64) -> Self {
        let text = format!(
            "{} more than once (by several interfaces or ports that this capture looks at) and count once, this is the first",
            counted(
                packets,
                "packet of RDP connections stands in the file",
                "packets of RDP connections stand in the file"
            )
        );
        Self { place: first, text }
    }

    /// Packets shorter in the file than on the wire.
    #[must_use]
    pub fn snapped(input_index: u32, packets: u64) -> Self {
        let text = format!(
            "{counted} by the snap length of the capture",
            counted = counted(packets, "packet was cut", "packets were cut")
        );
        Self::at(input_index, Spot::Whole, text)
    }

    /// The capturing program says that it lost packets.
    #[must_use]
    pub fn dropped(input_index: u32, packets: u64) -> Self {
        Self::at(
            input_index,
            Spot::Whole,
            format!(
                "the capturing program reports {}",
                counted(packets, "dropped packet", "dropped packets")
            ),
        )
    }

    /// Packets of an interface without description, whose link type nobody knows.
    #[must_use]
    pub fn interfaces_unknown(input_index: u32, packets: u64) -> Self {
        let text = format!(
            "{counted} interface that the file does not describe",
            counted = counted(packets, "packet names an", "packets name an")
        );
        Self::at(input_index, Spot::Whole, text)
    }

    /// TLS secrets that were not found by the first reading.
    #[must_use]
    pub fn secrets_unused(input_index: u32, blocks: u64) -> Self {
        let text = format!(
            "{counted}: secrets are looked for before the packets are read, \
             not on standard input and not far inside of a compressed file",
            counted =
                counted(blocks, "block of TLS secrets is not used", "blocks of TLS secrets are not used")
        );
        Self::at(input_index, Spot::Whole, text)
    }

    /// A file given as a key log has no bytes.
    #[must_use]
    pub fn key_log_without_bytes(input_index: u32) -> Self {
        let text = "empty key log: found 0 bytes, expected lines such as CLIENT_RANDOM, random, secret; programs \
                    write them when SSLKEYLOGFILE is set before they start";
        Self::at(input_index, Spot::Whole, text.to_owned())
    }

    /// A key log without a secret.
    #[must_use]
    pub fn key_log_empty(input_index: u32) -> Self {
        let text = "no secret in this key log: expected lines such as CLIENT_RANDOM, random, secret";
        Self::at(input_index, Spot::Whole, text.to_owned())
    }

    /// Lines that are none of a key log.
    #[must_use]
    pub fn key_log_bad_lines(input_index: u32, lines: u64) -> Self {
        let text = format!(
            "{counted} `LABEL RANDOM SECRET` and were left out",
            counted = counted(lines, "line of the key log is not", "lines of the key log are not")
        );
        Self::at(input_index, Spot::Whole, text)
    }

    /// More secrets than one run keeps.
    #[must_use]
    pub fn key_log_over_limit(input_index: u32, secrets: u64) -> Self {
        let text = format!(
            "{counted} left out",
            counted = counted(
                secrets,
                "secret beyond the limit of one run was",
                "secrets beyond the limit of one run were"
            )
        );
        Self::at(input_index, Spot::Whole, text)
    }

    /// Key logs were given and no connection is in them.
    #[must_use]
    pub fn key_logs_of_other_connections(input_index: u32) -> Self {
        let text = "the secrets belong to other connections: no ClientHello in the captures has a random of the key logs";
        Self::at(input_index, Spot::Whole, text.to_owned())
    }

    /// Secrets were given that open nothing.
    #[must_use]
    pub fn secrets_do_not_open(place: Place, side: &str) -> Self {
        let text = format!(
            "the secrets given for this connection do not open the {side}'s TLS records: no tag verifies"
        );
        Self { place, text }
    }

    /// Decryption of one direction ended before the direction did.
    #[must_use]
    pub fn opening_ended(place: Place, side: &str, opened: u32, closed: u32) -> Self {
        let text = format!(
            "{} opened; behind missing bytes {}, this is the first",
            counted(
                opened,
                &format!("TLS record of the {side} was"),
                &format!("TLS records of the {side} were")
            ),
            counted(closed, "stays closed", "stay closed")
        );
        Self { place, text }
    }

    /// Secrets are there, but not for what was negotiated.
    #[must_use]
    pub fn suite_not_opened(place: Place, suite: &str) -> Self {
        Self { place, text: format!("secrets are given, but {suite} is not opened by this version") }
    }

    /// Bytes of a connection that were not kept because of a limit.
    #[must_use]
    pub fn bytes_left_out(input_index: u32, streams: u64, bytes: u64) -> Self {
        let text = format!(
            "{} in the middle of {} counted and not kept",
            counted(bytes, "byte", "bytes"),
            match bytes {
                1 => counted(streams, "long stream was", "long streams was"),
                _ => counted(streams, "long stream were", "long streams were"),
            }
        );
        Self::at(input_index, Spot::Whole, text)
    }

    /// Connections were let go because too many were open.
    #[must_use]
    pub fn connections_let_go(input_index: u32, connections: u64) -> Self {
        let text = format!(
            "{counted} let go to stay within memory",
            counted =
                counted(connections, "connection that is not RDP was", "connections that are not RDP were")
        );
        Self::at(input_index, Spot::Whole, text)
    }

    /// Connections of RDP servers beyond the limit of what one run keeps.
    #[must_use]
    pub fn connections_over_limit(input_index: u32, connections: u64, limit: usize) -> Self {
        let text = format!(
            "{counted} counted and not analysed",
            counted = counted(
                connections,
                &format!("RDP connection beyond the first {limit} was"),
                &format!("RDP connections beyond the first {limit} were")
            )
        );
        Self::at(input_index, Spot::Whole, text)
    }

    /// UDP transports beyond the limit of what one run keeps.
    #[must_use]
    pub fn udp_over_limit(input_index: u32, transports: u64, limit: usize) -> Self {
        let text = format!(
            "{} left out",
            counted(
                transports,
                &format!("SYN of UDP transports beyond the first {limit} was"),
                &format!("SYNs of UDP transports beyond the first {limit} were")
            )
        );
        Self::at(input_index, Spot::Whole, text)
    }

    /// First datagrams of UDP transports that were not kept because of a limit.
    #[must_use]
    pub fn udp_bytes_cut(input_index: u32, datagrams: u64) -> Self {
        let text = format!(
            "{} counted and not kept",
            counted(
                datagrams,
                "first datagram of UDP transports was",
                "first datagrams of UDP transports were"
            )
        );
        Self::at(input_index, Spot::Whole, text)
    }

    /// UDP transports of RDP whose TCP connection is not in the evidence.
    #[must_use]
    pub fn udp_alone(place: Place, transports: usize, unanswered: usize) -> Self {
        let text = format!(
            "UDP transports of RDP without their TCP connection in the captures: {transports}, {unanswered} of them \
             unanswered; this is the SYN of the first"
        );
        Self { place, text }
    }

    /// There are more files, or folders in folders, than one run takes.
    #[must_use]
    pub fn too_many_files(files: usize, depth: usize) -> Self {
        let text = format!("files beyond {files}, or folders below {depth} levels, were left out");
        Self::at(0, Spot::Whole, text)
    }

    /// Blocks of a pcapng file that are not read.
    #[must_use]
    pub fn blocks_not_read(input_index: u32, kind: u32, blocks: u64) -> Self {
        Self::at(
            input_index,
            Spot::Whole,
            format!(
                "{counted} read",
                counted = counted(
                    blocks,
                    &format!("block of type {kind:#x} is not"),
                    &format!("blocks of type {kind:#x} are not")
                )
            ),
        )
    }

    /// Packets that are wanted again are gone.
    #[must_use]
    pub fn not_read_again(input_index: u32) -> Self {
        let text =
            "standard input cannot be read again: its packets are not in the slice, give a file instead";
        Self::at(input_index, Spot::Whole, text.to_owned())
    }

    /// Packets of a connection that a slice does not hold.
    #[must_use]
    pub fn slice_cut(input_index: u32, packets: u64) -> Self {
        let text = format!(
            "{} not in the slice: too many others lie between them",
            counted(packets, "packet of the connection is", "packets of the connection are")
        );
        Self::at(input_index, Spot::Whole, text)
    }

    /// More facts than one run keeps.
    #[must_use]
    pub fn facts_over_limit(input_index: u32, facts: u64, limit: usize) -> Self {
        let text = format!(
            "{counted} left out: one run keeps {limit}",
            counted = counted(facts, "fact of this input was", "facts of this input were")
        );
        Self::at(input_index, Spot::Whole, text)
    }

    /// A captured connection of which more is told than is kept.
    #[must_use]
    pub fn connection_facts_cut(place: Place, facts: usize, limit: usize) -> Self {
        let text = format!(
            "{} left out",
            counted(
                facts,
                &format!("fact of this connection beyond the first {limit} was"),
                &format!("facts of this connection beyond the first {limit} were")
            )
        );
        Self { place, text }
    }

    /// A connection that did not come up, beside which more was exchanged than is kept.
    #[must_use]
    pub fn neighbours_cut(place: Place) -> Self {
        let text = "of what its ends asked others (names, Kerberos, domain controllers) only a part was kept"
            .to_owned();
        Self { place, text }
    }

    /// TLS connections that were let go before their sizes told whether they are a gateway's.
    #[must_use]
    pub fn undecided_let_go(input_index: u32, connections: u64, most: usize) -> Self {
        let text = format!(
            "{} let go before their sizes told whether they go through an RD Gateway: only {most} are held at one time",
            counted(connections, "TLS connection was", "TLS connections were")
        );
        Self::at(input_index, Spot::Whole, text)
    }

    /// Connections that may have been for a gateway, and were too many to keep.
    #[must_use]
    pub fn perhaps_cut(place: Place, connections: u64, most: usize) -> Self {
        let text = format!(
            "{} let go, beyond {most}: some may have gone to an RD Gateway",
            counted(
                connections,
                "connection to port 443 that ended before it showed what it is was",
                "connections to port 443 that ended before they showed what they are were"
            )
        );
        Self { place, text }
    }

    /// Connections that may be one side of a gateway's tunnel, and were too many to keep.
    #[must_use]
    pub fn halves_cut(place: Place, connections: u64, most: usize) -> Self {
        let text = format!(
            "{} let go, beyond {most}: sessions through an RD Gateway may not be told",
            counted(
                connections,
                "connection with the sizes of one side of an RD Gateway's tunnel was",
                "connections with the sizes of one side of an RD Gateway's tunnel were"
            )
        );
        Self { place, text }
    }

    /// Names of addresses that captures list beyond what is kept.
    #[must_use]
    pub fn listed_names_cut(input_index: u32, names: u64) -> Self {
        let text = format!(
            "{names} names of addresses were left out: of those that the capture lists, 16 of each of 16384 addresses are kept"
        );
        Self::at(input_index, Spot::Whole, text)
    }

    /// Connections of which logs tell more than is kept.
    #[must_use]
    pub fn records_of_connections_cut(records: usize, limit: usize) -> Self {
        let text = format!(
            "{} left out: of one connection and host the first {limit} are kept",
            counted(records, "record was", "records were")
        );
        Self::at(0, Spot::Whole, text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_told_as_one() {
        assert_eq!(counted(1_u64, "packet was", "packets were"), "1 packet was");
        assert_eq!(counted(0_usize, "packet was", "packets were"), "0 packets were");
        let said = [
            Note::capture_cut(0, 9, 1),
            Note::capture_resumed_often(0, 1, 1),
            Note::bytes_left_out(0, 1, 700),
            Note::connection_facts_cut(Place::whole(0), 1, 512),
            Note::chunks_missing(0, 1, 2),
            Note::chunks_altered(0, 4_096, 1),
            Note::opening_ended(Place::whole(0), "client", 1, 1),
        ]
        .map(|note| note.text);
        assert_eq!(
            said,
            [
                "the file is cut inside a packet: 1 whole packet read before the cut",
                "damaged packet headers in 1 more place: 1 byte passed over",
                "700 bytes in the middle of 1 long stream were counted and not kept",
                "1 fact of this connection beyond the first 512 was left out",
                "the header counts 2 chunks, the file holds 1 whole one",
                "the checksum of 1 chunk does not hold: what can be read of it is used",
                "1 TLS record of the client was opened; behind missing bytes 1 stays closed, this is the first",
            ]
        );
    }
}
