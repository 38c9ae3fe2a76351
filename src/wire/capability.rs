//! Capability sets of Demand Active and Confirm Active (MS-RDPBCGR 2.2.1.13 and 2.2.7).

use super::cursor::Cursor;
use super::text::text_to_nul;

/// `capabilitySetType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CapabilityType(pub u16);

impl CapabilityType {
    /// The constant's name without `CAPSTYPE_` and `CAPSETTYPE_`, or `None` for an unlisted number.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            1 => "GENERAL",
            2 => "BITMAP",
            3 => "ORDER",
            4 => "BITMAPCACHE",
            5 => "CONTROL",
            7 => "ACTIVATION",
            8 => "POINTER",
            9 => "SHARE",
            10 => "COLORCACHE",
            12 => "SOUND",
            13 => "INPUT",
            14 => "FONT",
            15 => "BRUSH",
            16 => "GLYPHCACHE",
            17 => "OFFSCREENCACHE",
            18 => "BITMAPCACHE_HOSTSUPPORT",
            19 => "BITMAPCACHE_REV2",
            20 => "VIRTUALCHANNEL",
            21 => "DRAWNINEGRIDCACHE",
            22 => "DRAWGDIPLUS",
            23 => "RAIL",
            24 => "WINDOW",
            25 => "COMPDESK",
            26 => "MULTIFRAGMENTUPDATE",
            27 => "LARGE_POINTER",
            28 => "SURFACE_COMMANDS",
            29 => "BITMAP_CODECS",
            30 => "FRAME_ACKNOWLEDGE",
            _ => return None,
        })
    }

    /// The name, or the number in words.
    #[must_use]
    pub fn words(self) -> String {
        self.name().map_or_else(|| format!("{:#x}", self.0), str::to_owned)
    }
}

/// One capability set as it stands there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CapabilitySet {
    /// Its type.
    pub kind: CapabilityType,
    /// Where its header starts behind the share control header's start.
    pub offset: usize,
    /// Bytes that its header claims, header included.
    pub length: u16,
}

/// Demand Active or Confirm Active.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Active {
    /// `shareId`.
    pub share_id: u32,
    /// `sourceDescriptor`, such as `RDP` or `MSTSC`.
    pub source: Option<String>,
    /// `numberCapabilities`.
    pub announced: u16,
    /// The sets that are there, in order.
    pub sets: Vec<CapabilitySet>,
    /// `osMajorType` and `osMinorType` of the general set.
    pub system: Option<(u16, u16)>,
    /// Width and height of the bitmap set: the desktop.
    pub desktop: Option<(u16, u16)>,
}

const GENERAL: CapabilityType = CapabilityType(1);
const BITMAP: CapabilityType = CapabilityType(2);
/// Bytes of a share control header.
const SHARE_CONTROL_BYTES: usize = 6;
/// Sets of one PDU that are looked at.
const SETS_MAX: usize = 64;

/// Reads a whole PDU from its share control header on: share id (4), in a confirm the originator (2), lengths of the source
/// and of all sets (2 each), source, number of sets (2), padding (2), the sets.
#[must_use]
pub fn active(bytes: &[u8], is_confirm: bool) -> Option<Active> {
    let mut at = Cursor::new(bytes);
    at.slice(SHARE_CONTROL_BYTES, "share control header").ok()?;
    let mut active = Active { share_id: at.u32_le("shareId").ok()?, ..Active::default() };
    if is_confirm {
        at.u16_le("originatorId").ok()?;
    }
    let source = usize::from(at.u16_le("lengthSourceDescriptor").ok()?);
    at.u16_le("lengthCombinedCapabilities").ok()?;
    active.source = text_to_nul(at.slice(source, "sourceDescriptor").ok()?, false);
    active.announced = at.u16_le("numberCapabilities").ok()?;
    at.u16_le("pad2Octets").ok()?;
    while active.sets.len() < SETS_MAX.min(usize::from(active.announced)) {
        let offset = bytes.len().saturating_sub(at.rest().len());
        let (Ok(kind), Ok(length)) = (at.u16_le("capabilitySetType"), at.u16_le("lengthCapability")) else {
            break;
        };
        let kind = CapabilityType(kind);
        active.sets.push(CapabilitySet { kind, offset, length });
        let Some(data) = usize::from(length).checked_sub(4) else { break };
        let Ok(data) = at.slice(data, "capability set") else { break };
        set(kind, data, &mut active);
    }
    Some(active)
}

fn set(kind: CapabilityType, data: &[u8], active: &mut Active) -> Option<()> {
    let mut at = Cursor::new(data);
    match kind {
        GENERAL => active.system = Some((at.u16_le("osMajorType").ok()?, at.u16_le("osMinorType").ok()?)),
        BITMAP => {
            at.slice(8, "bits per pixel").ok()?;
            active.desktop = Some((at.u16_le("desktopWidth").ok()?, at.u16_le("desktopHeight").ok()?));
        }
        _ => {}
    }
    Some(())
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, reason = "tests may panic")]
mod tests {
    use super::*;

    #[test]
    fn sets_are_named_with_their_place() {
        let mut bytes = vec![0, 0, 0x11, 0, 0xea, 3, 1, 2, 3, 0, 4, 0, 60, 0];
        bytes.extend(b"RDP\0");
        bytes.extend([3, 0, 0, 0]);
        bytes.extend([1, 0, 24, 0, 1, 0, 3, 0]);
        bytes.extend([0; 16]);
        bytes.extend([2, 0, 28, 0, 32, 0, 1, 0, 1, 0, 1, 0, 0, 4, 0, 3]);
        bytes.extend([0; 12]);
        bytes.extend([0x77, 0, 4, 0]);
        let read = active(&bytes, false).unwrap();
        assert_eq!((read.source.as_deref(), read.share_id, read.announced), (Some("RDP"), 0x3_0201, 3));
        assert_eq!((read.system, read.desktop), (Some((1, 3)), Some((1024, 768))));
        let named: Vec<String> = read.sets.iter().map(|set| set.kind.words()).collect();
        assert_eq!(named, ["GENERAL", "BITMAP", "0x77"]);
        assert_eq!(read.sets[1].offset, 22 + 24);
        assert_eq!(active(&bytes[..40], false).unwrap().sets.len(), 1);
        assert_eq!(active(&bytes[..9], false), None);
    }
}
