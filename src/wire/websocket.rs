//! WebSocket frames (RFC 6455 5.2).

use super::cursor::{Cursor, WireError};

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Opcode(pub u8);

impl Opcode {
    /// More of the message before.
    pub const CONTINUATION: Self = Self(0);
    /// Text.
    pub const TEXT: Self = Self(1);
    /// Bytes.
    pub const BINARY: Self = Self(2);
    /// The sender ends the connection.
    pub const CLOSE: Self = Self(8);
    /// Is the other end there?
    pub const PING: Self = Self(9);
    /// It is.
    pub const PONG: Self = Self(10);

    /// It carries bytes of a message.
    #[must_use]
    pub const fn is_data(self) -> bool {
        matches!(self, Self::CONTINUATION | Self::TEXT | Self::BINARY)
    }

    /// The specification names it.
    #[must_use]
    pub const fn is_known(self) -> bool {
        self.is_data() || matches!(self, Self::CLOSE | Self::PING | Self::PONG)
    }
}

/// The header of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// The last of its message.
    pub last: bool,
    /// The three reserved bits.
    pub reserved: u8,
    /// What it is.
    pub opcode: Opcode,
    /// What its payload is masked with; clients mask, servers do not.
    pub mask: Option<[u8; 4]>,
    /// Bytes in front of the payload: 2 to 14.
    pub header: usize,
    /// Bytes of the payload.
    pub length: u64,
}

/// Reads the header of a frame.
///
/// # Errors
/// [`WireError::Short`] when it is not whole.
pub fn frame(bytes: &[u8]) -> Result<Frame, WireError> {
    let mut at = Cursor::new(bytes);
    let first = at.u8("frame")?;
    let second = at.u8("payload length")?;
    let length = match second & 0x7f {
        126 => u64::from(at.u16_be("payload length")?),
        127 => u64::from_be_bytes(at.take("payload length")?),
        short => u64::from(short),
    };
    let mask = if second & 0x80 != 0 { Some(at.take("mask")?) } else { None };
    let header = bytes.len().saturating_sub(at.rest().len());
    let (last, reserved, opcode) = (first & 0x80 != 0, (first >> 4) & 7, Opcode(first & 0xf));
    Ok(Frame { last, reserved, opcode, mask, header, length })
}

/// The payload without its mask; `bytes` begin where the payload does.
#[must_use]
pub fn unmasked(bytes: &[u8], mask: Option<[u8; 4]>) -> Vec<u8> {
    let key = mask.unwrap_or_default();
    bytes.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_every_length() {
        let read = frame(&[0x82, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]).unwrap();
        assert_eq!((read.opcode, read.last, read.header, read.length), (Opcode::BINARY, true, 6, 5));
        assert_eq!(unmasked(&[0x7f, 0x9f, 0x4d, 0x51, 0x58], read.mask), b"Hello");
        let long = frame(&[0x02, 126, 0x01, 0x00]).unwrap();
        assert_eq!((long.last, long.header, long.length, long.mask), (false, 4, 256, None));
        let longest = frame(&[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]).unwrap();
        assert_eq!((longest.header, longest.length), (10, 65_536));
    }

    #[test]
    fn a_cut_header_is_short() {
        for cut in [&[][..], &[0x82], &[0x82, 126, 1], &[0x82, 0x81, 1, 2, 3]] {
            assert!(matches!(frame(cut), Err(WireError::Short { .. })), "{cut:?}");
        }
    }
}
