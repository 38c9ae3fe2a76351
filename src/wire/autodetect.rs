//! Network measurements (MS-RDPBCGR 2.2.14) and the server's heartbeat (2.2.16.1).

use super::cursor::Cursor;

/// What a measurement is about: `requestType` and `responseType` share no meaning (MS-RDPBCGR 2.2.14.1, 2.2.14.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measurement {
    /// RTT Measure Request or Response.
    RoundTrip,
    /// Bandwidth Measure Start.
    BandwidthStart,
    /// Bandwidth Measure Payload or Stop.
    BandwidthPayload,
    /// Bandwidth Measure Results: bytes counted in so many milliseconds.
    BandwidthResults {
        /// Milliseconds.
        time_ms: u32,
        /// Bytes.
        bytes: u32,
    },
    /// Network Characteristics: a result of the server or a Sync of the client. What it does not tell is `None`.
    Characteristics {
        /// Lowest round-trip time, in milliseconds.
        base_rtt_ms: Option<u32>,
        /// Bandwidth, in kilobits per second.
        bandwidth_kbit: Option<u32>,
        /// Average round-trip time, in milliseconds.
        average_rtt_ms: Option<u32>,
    },
    /// Another type.
    Other,
}

/// An auto-detect PDU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AutoDetect {
    /// It is a response of the client; else a request of the server.
    pub is_response: bool,
    /// `sequenceNumber`.
    pub sequence: u16,
    /// `requestType` or `responseType`.
    pub kind: u16,
    /// What it says.
    pub says: Measurement,
}

const TYPE_RESPONSE: u8 = 1;

/// Reads what follows the security header: length of the header (1), request or response (1), sequence (2), type (2), data.
#[must_use]
pub fn auto_detect(bytes: &[u8]) -> Option<AutoDetect> {
    let mut at = Cursor::new(bytes);
    at.u8("headerLength").ok()?;
    let is_response = at.u8("headerTypeId").ok()? == TYPE_RESPONSE;
    let sequence = at.u16_le("sequenceNumber").ok()?;
    let kind = at.u16_le("type").ok()?;
    let says = if is_response { response(kind, &mut at) } else { request(kind, &mut at) };
    Some(AutoDetect { is_response, sequence, kind, says: says.unwrap_or(Measurement::Other) })
}

fn request(kind: u16, at: &mut Cursor<'_>) -> Option<Measurement> {
    let mut number = |wanted: bool| match wanted {
        true => at.u32_le("number").ok().map(Some),
        false => Some(None),
    };
    Some(match kind {
        0x0001 | 0x1001 => Measurement::RoundTrip,
        0x0014 | 0x0114 | 0x1014 => Measurement::BandwidthStart,
        0x0002 | 0x002b | 0x0429 | 0x0629 => Measurement::BandwidthPayload,
        0x0840 | 0x0880 | 0x08c0 => Measurement::Characteristics {
            base_rtt_ms: number(kind != 0x0880)?,
            bandwidth_kbit: number(kind != 0x0840)?,
            average_rtt_ms: number(true)?,
        },
        _ => Measurement::Other,
    })
}

fn response(kind: u16, at: &mut Cursor<'_>) -> Option<Measurement> {
    Some(match kind {
        0x0000 => Measurement::RoundTrip,
        0x0003 | 0x000b => Measurement::BandwidthResults {
            time_ms: at.u32_le("timeDelta").ok()?,
            bytes: at.u32_le("byteCount").ok()?,
        },
        0x0018 => Measurement::Characteristics {
            base_rtt_ms: None,
            bandwidth_kbit: Some(at.u32_le("bandwidth").ok()?),
            average_rtt_ms: Some(at.u32_le("rtt").ok()?),
        },
        _ => Measurement::Other,
    })
}

/// A heartbeat: how often the server sends one, and how many may be missed before the client warns and reconnects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heartbeat {
    /// Seconds between two of them.
    pub period_s: u8,
    /// Missed ones before the client warns.
    pub warn_after: u8,
    /// Missed ones, behind the warning, before it reconnects.
    pub reconnect_after: u8,
}

/// Reads what follows the security header: reserved, period, `count1`, `count2`, one byte each.
#[must_use]
pub fn heartbeat(bytes: &[u8]) -> Option<Heartbeat> {
    let [_, period_s, warn_after, reconnect_after] = Cursor::new(bytes).take::<4>("heartbeat").ok()?;
    Some(Heartbeat { period_s, warn_after, reconnect_after })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_and_responses_of_the_same_number_differ() {
        let request = auto_detect(&[6, 0, 9, 0, 1, 0x10]).unwrap();
        assert_eq!((request.sequence, request.says), (9, Measurement::RoundTrip));
        let results = auto_detect(&[14, 1, 9, 0, 3, 0, 20, 0, 0, 0, 0, 4, 0, 0]).unwrap();
        assert_eq!(results.says, Measurement::BandwidthResults { time_ms: 20, bytes: 1024 });
        let measured = auto_detect(&[14, 0, 9, 0, 0x40, 8, 5, 0, 0, 0, 7, 0, 0, 0]).unwrap();
        let both = Measurement::Characteristics {
            base_rtt_ms: Some(5),
            bandwidth_kbit: None,
            average_rtt_ms: Some(7),
        };
        assert_eq!(measured.says, both);
        assert_eq!(auto_detect(&[14, 1, 9, 0, 3, 0, 20]).map(|read| read.says), Some(Measurement::Other));
        assert_eq!(auto_detect(&[6, 0, 9, 0, 0x77, 0x77]).map(|read| read.kind), Some(0x7777));
    }

    #[test]
    fn a_heartbeat_has_a_period_and_two_counts() {
        let read = Heartbeat { period_s: 10, warn_after: 3, reconnect_after: 5 };
        assert_eq!(heartbeat(&[0, 10, 3, 5]), Some(read));
        assert_eq!(heartbeat(&[0, 10]), None);
    }
}
