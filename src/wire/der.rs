//! Elements of BER and DER (X.690 8.1) as Kerberos and SPNEGO use them: read leniently, the last one may be cut.

use super::cursor::Cursor;

/// `SEQUENCE`.
pub(super) const SEQUENCE: u8 = 0x30;
/// `INTEGER`.
pub(super) const INTEGER: u8 = 0x02;

/// The elements one behind the other, each with its tag and content.
pub(super) struct Elements<'a>(Cursor<'a>);

impl<'a> Elements<'a> {
    pub(super) fn of(bytes: &'a [u8]) -> Self {
        Self(Cursor::new(bytes))
    }

    /// What stands behind the elements that were taken.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.0.rest()
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let tag = self.0.u8("tag").ok()?;
        let length = self.0.ber_length("length").ok()?;
        let there = length.min(self.0.rest().len());
        self.0.slice(there, "content").ok().map(|content| (tag, content))
    }
}

/// The content of the element at the start, when it has this tag.
pub(super) fn inside(bytes: &[u8], wanted: u8) -> Option<&[u8]> {
    Elements::of(bytes).next().filter(|(tag, _)| *tag == wanted).map(|(_, content)| content)
}

/// The content of the first element with this tag.
pub(super) fn field(bytes: &[u8], wanted: u8) -> Option<&[u8]> {
    Elements::of(bytes).find(|(tag, _)| *tag == wanted).map(|(_, content)| content)
}

/// An integer of at most 32 bits.
pub(super) fn integer(bytes: &[u8]) -> Option<u32> {
    let digits = inside(bytes, INTEGER).filter(|digits| (1..=5).contains(&digits.len()))?;
    Some(digits.iter().fold(0_u32, |sum, byte| (sum << 8) | u32::from(*byte)))
}
