//! The RDP PDUs inside of MCS data: the basic security header, the share control and share data headers, and what each PDU
//! says (MS-RDPBCGR 2.2.8.1.1).

use super::autodetect::{AutoDetect, Heartbeat, auto_detect, heartbeat};
use super::capability::{Active, active};
use super::client_info::{ClientInfo, client_info};
use super::cursor::Cursor;
use super::licensing::{self, LicenseMessage};
use super::multitransport::{self, Initiate};
use super::redirection::{Redirection, redirection};
use super::session_info::{SessionInfo, session_info};
use crate::codes::ErrorInfo;

/// What stands in front of an RDP PDU inside MCS data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload {
    /// MCS channel; what follows holds on the I/O and message channel only, others have headers of their own.
    pub channel: u16,
    /// Flags of the basic security header (MS-RDPBCGR 2.2.8.1.1.2.1); meaningless when there is none.
    pub security_flags: u16,
    /// The `pduType` of a share control header at the very start (MS-RDPBCGR 2.2.8.1.1.1.1), low 4 bits.
    pub share_type: Option<u8>,
    /// The `pduType2` of a share data header that follows it.
    pub data_type: Option<DataType>,
    /// The same two types behind a security header without encryption.
    pub share_type_behind: Option<u8>,
    /// Bytes of the payload.
    pub length: usize,
    /// What it says, where it is not encrypted and says something that is read here.
    pub says: Option<Says>,
}

/// What a PDU says beyond its kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Says {
    /// Security Exchange, with the bytes of the encrypted client random.
    SecurityExchange(u32),
    /// Client Info: who wants to log on.
    ClientInfo(Box<ClientInfo>),
    /// A licensing message.
    License(Box<LicenseMessage>),
    /// Demand Active.
    DemandActive(Box<Active>),
    /// Confirm Active.
    ConfirmActive(Box<Active>),
    /// Deactivate All.
    DeactivateAll,
    /// Server redirection, standard or enhanced.
    Redirection(Box<Redirection>),
    /// Synchronize.
    Synchronize,
    /// Control, with its action.
    Control(ControlAction),
    /// Font List.
    FontList,
    /// Font Map.
    FontMap,
    /// Set Error Info, with its code.
    ErrorInfo(ErrorInfo),
    /// Save Session Info.
    SessionInfo(Box<SessionInfo>),
    /// Auto-Reconnect Status: the server refused the cookie.
    AutoReconnectStatus(u32),
    /// Server Status Info.
    StatusInfo(StatusCode),
    /// Monitor Layout, with the number of monitors.
    MonitorLayout(u32),
    /// A measurement of the network.
    AutoDetect(AutoDetect),
    /// A PDU about the UDP transport, which holds on the message channel only.
    Multitransport(Initiate),
    /// Heartbeat of the server.
    Heartbeat(Heartbeat),
    /// A data PDU that is compressed: what it says is not read.
    Compressed {
        /// Its type.
        data_type: DataType,
        /// `compressedType`.
        compression: u8,
    },
}

/// `action` of a Control PDU (MS-RDPBCGR 2.2.1.15.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ControlAction(pub u16);

impl ControlAction {
    /// The name, or `None` for an unlisted number.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            1 => "request control",
            2 => "granted control",
            3 => "detach",
            4 => "cooperate",
            _ => return None,
        })
    }
}

/// `statusCode` of Server Status Info (MS-RDPBCGR 2.2.5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StatusCode(pub u32);

impl StatusCode {
    /// The constant's name, or `None` for an unlisted number.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            0x401 => "TS_STATUS_FINDING_DESTINATION",
            0x402 => "TS_STATUS_LOADING_DESTINATION",
            0x403 => "TS_STATUS_BRINGING_SESSION_ONLINE",
            0x404 => "TS_STATUS_REDIRECTING_TO_DESTINATION",
            0x501 => "TS_STATUS_VM_LOADING",
            0x502 => "TS_STATUS_VM_WAKING",
            0x503 => "TS_STATUS_VM_STARTING",
            0x504 => "TS_STATUS_VM_STARTING_MONITORING",
            0x505 => "TS_STATUS_VM_RETRYING_MONITORING",
            _ => return None,
        })
    }
}

/// `pduType2` of a share data header (MS-RDPBCGR 2.2.8.1.1.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DataType(pub u8);

impl DataType {
    /// Control.
    pub const CONTROL: Self = Self(0x14);
    /// Synchronize.
    pub const SYNCHRONIZE: Self = Self(0x1f);
    /// Save Session Info.
    pub const SAVE_SESSION_INFO: Self = Self(0x26);
    /// Font List.
    pub const FONT_LIST: Self = Self(0x27);
    /// Font Map.
    pub const FONT_MAP: Self = Self(0x28);
    /// Set Error Info.
    pub const SET_ERROR_INFO: Self = Self(0x2f);
    /// Auto-Reconnect Status.
    pub const ARC_STATUS: Self = Self(0x32);
    /// Server Status Info.
    pub const STATUS_INFO: Self = Self(0x36);
    /// Monitor Layout.
    pub const MONITOR_LAYOUT: Self = Self(0x37);

    /// The constant's name without `PDUTYPE2_`, or `None` for an unlisted number.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            0x02 => "UPDATE",
            0x14 => "CONTROL",
            0x1b => "POINTER",
            0x1c => "INPUT",
            0x1f => "SYNCHRONIZE",
            0x21 => "REFRESH_RECT",
            0x22 => "PLAY_SOUND",
            0x23 => "SUPPRESS_OUTPUT",
            0x24 => "SHUTDOWN_REQUEST",
            0x25 => "SHUTDOWN_DENIED",
            0x26 => "SAVE_SESSION_INFO",
            0x27 => "FONTLIST",
            0x28 => "FONTMAP",
            0x29 => "SET_KEYBOARD_INDICATORS",
            0x2b => "BITMAPCACHE_PERSISTENT_LIST",
            0x2c => "BITMAPCACHE_ERROR_PDU",
            0x2d => "SET_KEYBOARD_IME_STATUS",
            0x2e => "OFFSCRCACHE_ERROR_PDU",
            0x2f => "SET_ERROR_INFO_PDU",
            0x30 => "DRAWNINEGRID_ERROR_PDU",
            0x31 => "DRAWGDIPLUS_ERROR_PDU",
            0x32 => "ARC_STATUS_PDU",
            0x36 => "STATUS_INFO_PDU",
            0x37 => "MONITOR_LAYOUT_PDU",
            _ => return None,
        })
    }
}

/// Flags of the basic security header.
pub mod security {
    /// Security Exchange PDU.
    pub const EXCHANGE: u16 = 0x0001;
    /// Initiate multitransport request, and its response.
    pub const TRANSPORT: u16 = 0x0002 | 0x0004;
    /// Encrypted.
    pub const ENCRYPT: u16 = 0x0008;
    /// Client Info PDU.
    pub const INFO: u16 = 0x0040;
    /// Licensing PDU.
    pub const LICENSE: u16 = 0x0080;
    /// Server redirection.
    pub const REDIRECTION: u16 = 0x0400;
    /// Auto-detect request or response.
    pub const AUTODETECT: u16 = 0x1000 | 0x2000;
    /// Heartbeat.
    pub const HEARTBEAT: u16 = 0x4000;
}

/// Share control PDU types (MS-RDPBCGR 2.2.8.1.1.1.1).
pub mod control {
    /// Demand Active.
    pub const DEMAND_ACTIVE: u8 = 1;
    /// Confirm Active.
    pub const CONFIRM_ACTIVE: u8 = 3;
    /// Deactivate All.
    pub const DEACTIVATE_ALL: u8 = 6;
    /// Data.
    pub const DATA: u8 = 7;
    /// Enhanced server redirection.
    pub const REDIRECTION: u8 = 10;
    /// Compressed, a flag of `compressedType`.
    pub const COMPRESSED: u8 = 0x20;
}

/// Bytes of the basic security header.
const SECURITY_HEADER: usize = 4;
/// Bytes of share control and share data header together.
const SHARE_HEADERS: usize = 18;
/// Bytes of a share control header, and of the padding of an enhanced redirection behind it.
const REDIRECTION_AT: usize = 8;

/// Reads what an MCS Send Data carries.
#[must_use]
pub fn payload(channel: u16, bytes: &[u8]) -> Payload {
    let security_flags = Cursor::new(bytes).u16_le("flags").unwrap_or(0);
    let (share_type, data_type) = share_types(bytes);
    let behind = bytes.get(SECURITY_HEADER..).unwrap_or_default();
    let (share_type_behind, _) = share_types(behind);
    let says = match share_type {
        Some(_) => share_pdu(bytes),
        None if security_flags & security::ENCRYPT != 0 => None,
        None if share_type_behind.is_some() => share_pdu(behind),
        None => by_security_flags(security_flags, bytes, behind),
    };
    Payload { channel, security_flags, share_type, data_type, share_type_behind, length: bytes.len(), says }
}

fn by_security_flags(flags: u16, bytes: &[u8], behind: &[u8]) -> Option<Says> {
    if flags & security::LICENSE != 0 {
        licensing::message(behind).map(|message| Says::License(Box::new(message)))
    } else if flags & security::INFO != 0 {
        client_info(behind).map(|info| Says::ClientInfo(Box::new(info)))
    } else if flags & security::EXCHANGE != 0 {
        Cursor::new(behind).u32_le("length").ok().map(Says::SecurityExchange)
    } else if flags & security::REDIRECTION != 0 {
        redirection(behind).map(|packet| Says::Redirection(Box::new(packet)))
    } else if flags & security::AUTODETECT != 0 {
        auto_detect(behind).map(Says::AutoDetect)
    } else if flags & security::HEARTBEAT != 0 {
        heartbeat(behind).map(Says::Heartbeat)
    } else if flags & security::TRANSPORT != 0 {
        multitransport::initiate(bytes).ok().map(Says::Multitransport)
    } else {
        None
    }
}

/// Share control header: total length (2), type and version (2), source (2); then, for data, share id (4), padding,
/// stream, uncompressed length (2), `pduType2`. All little-endian.
fn share_types(bytes: &[u8]) -> (Option<u8>, Option<DataType>) {
    let mut at = Cursor::new(bytes);
    let (Ok(length), Ok(kind)) = (at.u16_le("totalLength"), at.u16_le("pduType")) else {
        return (None, None);
    };
    let fits = usize::from(length) == bytes.len() && kind & 0x00f0 == 0x10;
    if !fits {
        return (None, None);
    }
    let [low, _] = kind.to_le_bytes();
    let kind = low & 0x0f;
    let data = (kind == control::DATA).then(|| {
        at.slice(2_usize.saturating_add(8), "share data header").ok()?;
        at.u8("pduType2").ok().map(DataType)
    });
    (Some(kind), data.flatten())
}

fn share_pdu(bytes: &[u8]) -> Option<Says> {
    match share_types(bytes) {
        (Some(control::DEMAND_ACTIVE), _) => {
            active(bytes, false).map(|sets| Says::DemandActive(Box::new(sets)))
        }
        (Some(control::CONFIRM_ACTIVE), _) => {
            active(bytes, true).map(|sets| Says::ConfirmActive(Box::new(sets)))
        }
        (Some(control::DEACTIVATE_ALL), _) => Some(Says::DeactivateAll),
        (Some(control::REDIRECTION), _) => {
            let packet = redirection(bytes.get(REDIRECTION_AT..)?)?;
            Some(Says::Redirection(Box::new(packet)))
        }
        (Some(control::DATA), Some(data_type)) => share_data(bytes, data_type),
        _ => None,
    }
}

/// What a data PDU says: behind `pduType2` stand `compressedType` (1) and `compressedLength` (2), then its data.
fn share_data(bytes: &[u8], data_type: DataType) -> Option<Says> {
    let mut at = Cursor::new(bytes);
    at.take::<15>("share headers").ok()?;
    let compression = at.u8("compressedType").ok()?;
    at.u16_le("compressedLength").ok()?;
    if compression & control::COMPRESSED != 0 {
        return Some(Says::Compressed { data_type, compression });
    }
    let data = bytes.get(SHARE_HEADERS..).unwrap_or_default();
    let mut number = || at.u32_le("number").ok();
    match data_type {
        DataType::SYNCHRONIZE => Some(Says::Synchronize),
        DataType::CONTROL => Cursor::new(data).u16_le("action").ok().map(|a| Says::Control(ControlAction(a))),
        DataType::FONT_LIST => Some(Says::FontList),
        DataType::FONT_MAP => Some(Says::FontMap),
        DataType::SET_ERROR_INFO => number().map(|code| Says::ErrorInfo(ErrorInfo(code))),
        DataType::SAVE_SESSION_INFO => session_info(data).map(|info| Says::SessionInfo(Box::new(info))),
        DataType::ARC_STATUS => number().map(Says::AutoReconnectStatus),
        DataType::STATUS_INFO => number().map(|code| Says::StatusInfo(StatusCode(code))),
        DataType::MONITOR_LAYOUT => number().map(Says::MonitorLayout),
        _ => None,
    }
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "tests may panic")]
mod tests {
    use super::*;
    use crate::wire::licensing::LicenseErrorCode;

    fn says(bytes: &[u8]) -> Option<Says> {
        payload(1003, bytes).says
    }

    /// A data PDU of the server.
    fn data(data_type: u8, compressed: u8, body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(SHARE_HEADERS + body.len()).unwrap().to_le_bytes();
        let mut bytes =
            vec![length[0], length[1], 0x17, 0, 0xea, 3, 1, 0, 1, 0, 0, 1, 8, 0, data_type, compressed, 0, 0];
        bytes.extend(body);
        bytes
    }

    #[test]
    fn set_error_info_is_seen_in_clear_and_behind_a_security_header() {
        let pdu = data(0x2f, 0, &[7, 0, 0, 0]);
        let read = payload(1003, &pdu);
        assert_eq!((read.share_type, read.data_type), (Some(control::DATA), Some(DataType::SET_ERROR_INFO)));
        assert_eq!(read.says, Some(Says::ErrorInfo(ErrorInfo(7))));
        let behind = [&[0, 0, 0, 0][..], &pdu].concat();
        assert_eq!(says(&behind), Some(Says::ErrorInfo(ErrorInfo(7))));
    }

    #[test]
    fn what_is_compressed_is_named_and_not_read() {
        let pdu = data(0x2f, 0x21, &[7, 0, 0, 0]);
        let compressed = Says::Compressed { data_type: DataType::SET_ERROR_INFO, compression: 0x21 };
        assert_eq!(says(&pdu), Some(compressed));
    }

    #[test]
    fn the_finalisation_is_read_pdu_by_pdu() {
        assert_eq!(says(&data(0x1f, 0, &[1, 0, 0xea, 3])), Some(Says::Synchronize));
        let granted = says(&data(0x14, 0, &[2, 0, 0, 0, 0, 0, 0, 0]));
        assert!(matches!(granted, Some(Says::Control(action)) if action.name() == Some("granted control")));
        assert_eq!(says(&data(0x27, 0, &[0; 8])), Some(Says::FontList));
        assert_eq!(says(&data(0x28, 0, &[0; 8])), Some(Says::FontMap));
        assert_eq!(says(&data(0x32, 0, &[0; 4])), Some(Says::AutoReconnectStatus(0)));
        assert_eq!(says(&data(0x37, 0, &[2, 0, 0, 0])), Some(Says::MonitorLayout(2)));
        let status = says(&data(0x36, 0, &[4, 4, 0, 0]));
        assert!(
            matches!(status, Some(Says::StatusInfo(code)) if code.name() == Some("TS_STATUS_REDIRECTING_TO_DESTINATION"))
        );
        assert_eq!(says(&[6, 0, 0x16, 0, 0xea, 3]), Some(Says::DeactivateAll));
        assert_eq!((DataType(0x77).name(), says(&data(0x77, 0, &[]))), (None, None));
    }

    #[test]
    fn what_a_security_header_announces() {
        let mut license = vec![0x80, 0, 0, 0, 0xff, 3, 16, 0, 2, 0, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0];
        let Some(Says::License(read)) = says(&license) else { panic!("not a licensing message") };
        assert_eq!(read.error, Some(LicenseErrorCode::NO_LICENSE));
        license.iter_mut().take(1).for_each(|flags| *flags |= 8);
        assert_eq!(says(&license), None);
        let mut info = vec![0x40, 0, 0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0];
        info.extend([b'D', 0, 0, 0, b'm', 0, b'e', 0, 0, 0, 0, 0]);
        let Some(Says::ClientInfo(read)) = says(&info) else { panic!("not Client Info") };
        assert_eq!((read.domain.as_deref(), read.user.as_deref()), (Some("D"), Some("me")));
        assert_eq!(says(&[1, 2, 0, 0, 72, 0, 0, 0, 9]), Some(Says::SecurityExchange(72)));
        assert!(matches!(says(&[0, 0x40, 0, 0, 0, 10, 3, 5]), Some(Says::Heartbeat(_))));
        assert!(matches!(says(&[0, 0x10, 0, 0, 6, 0, 1, 0, 1, 0]), Some(Says::AutoDetect(_))));
    }

    #[test]
    fn redirection_in_both_forms() {
        let packet = [0, 4, 12, 0, 7, 0, 0, 0, 0x80, 0, 0, 0];
        let standard = [&[0, 4, 0, 0][..], &packet].concat();
        let enhanced = [&[20, 0, 0x1a, 0, 0xea, 3, 0, 0][..], &packet].concat();
        for bytes in [standard, enhanced] {
            let Some(Says::Redirection(read)) = says(&bytes) else { panic!("no redirection") };
            assert_eq!((read.session_id, read.flags.0), (7, 0x80));
        }
    }
}
