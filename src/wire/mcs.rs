//! MCS (T.125) and the GCC blocks inside Connect Initial and Connect Response, as far as they stand in clear
//! (MS-RDPBCGR 2.2.1.3 to 2.2.1.9), and the security header of the RDP PDUs carried in MCS data.

use super::credssp::text;
use super::cursor::{Cursor, WireError};
use super::licensing::{self, LicenseMessage};
use super::multitransport::{self, Initiate};
use crate::codes::ErrorInfo;

/// Reason of a Disconnect Provider Ultimatum (T.125 7, `Reason`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UltimatumReason(pub u8);

impl UltimatumReason {
    /// The name in the standard, or `None` for a number that it does not have.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            0 => "rn-domain-disconnected",
            1 => "rn-provider-initiated",
            2 => "rn-token-purged",
            3 => "rn-user-requested",
            4 => "rn-channel-purged",
            _ => return None,
        })
    }
}

/// Kind of an MCS PDU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum McsPdu {
    /// Connect Initial.
    ConnectInitial(ClientData),
    /// Connect Response.
    ConnectResponse(ServerData),
    /// Erect Domain Request.
    ErectDomain,
    /// Disconnect Provider Ultimatum, with its reason.
    Ultimatum {
        /// Its reason.
        reason: UltimatumReason,
    },
    /// Attach User Request.
    AttachUserRequest,
    /// Attach User Confirm.
    AttachUserConfirm,
    /// Channel Join Request.
    JoinRequest,
    /// Channel Join Confirm.
    JoinConfirm,
    /// Send Data Request or Indication.
    Data(Payload),
    /// Another choice of the domain PDU.
    Other(u8),
}

/// What stands in front of an RDP PDU inside MCS data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload {
    /// MCS channel; what follows holds on the I/O channel only, other channels have headers of their own.
    pub channel: u16,
    /// Flags of the basic security header (MS-RDPBCGR 2.2.8.1.1.2.1); meaningless when there is none.
    pub security_flags: u16,
    /// The `pduType` of a share control header at the very start (MS-RDPBCGR 2.2.8.1.1.1.1), low 4 bits.
    pub share_type: Option<u8>,
    /// The `pduType2` of a share data header that follows it.
    pub data_type: Option<u8>,
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
    /// Set Error Info, with its code.
    ErrorInfo(ErrorInfo),
    /// Save Session Info, with its `infoType` (MS-RDPBCGR 2.2.10.1.1).
    SessionInfo(u32),
    /// A licensing message.
    License(LicenseMessage),
    /// A PDU about the UDP transport, which holds on the message channel only.
    Multitransport(Initiate),
    /// Client Info: who wants to log on.
    ClientInfo {
        /// Domain.
        domain: String,
        /// User.
        user: String,
    },
}

/// Flags of the basic security header.
pub mod security {
    /// Security Exchange PDU.
    pub const EXCHANGE: u16 = 0x0001;
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
    /// Initiate multitransport request.
    pub const TRANSPORT: u16 = 0x0002 | 0x0004;
}

/// Share control PDU types (MS-RDPBCGR 2.2.8.1.1.1.1).
pub mod share {
    /// Demand Active.
    pub const DEMAND_ACTIVE: u8 = 1;
    /// Confirm Active.
    pub const CONFIRM_ACTIVE: u8 = 3;
    /// Data.
    pub const DATA: u8 = 7;
    /// Font Map, a `pduType2`.
    pub const FONT_MAP: u8 = 0x28;
    /// Set Error Info, a `pduType2`.
    pub const SET_ERROR_INFO: u8 = 0x2f;
    /// Save Session Info, a `pduType2`.
    pub const SAVE_SESSION_INFO: u8 = 0x26;
    /// Compressed, a flag of `compressedType`.
    pub const COMPRESSED: u8 = 0x20;
}

/// The client's GCC blocks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClientData {
    /// `clientBuild` of the core block.
    pub build: Option<u32>,
    /// `clientName` of the core block.
    pub name: Option<String>,
    /// Names of the static virtual channels.
    pub channels: Vec<String>,
    /// `earlyCapabilityFlags` of the core block.
    pub early_capabilities: Option<u16>,
}

/// The server's GCC blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ServerData {
    /// MCS result: 0 is success.
    pub result: Option<u8>,
    /// `MCSChannelId` of the network block: the I/O channel.
    pub io_channel: Option<u16>,
    /// `MCSChannelID` of the message channel block.
    pub message_channel: Option<u16>,
    /// `encryptionMethod` of the security block.
    pub encryption_method: Option<u32>,
    /// `encryptionLevel` of the security block.
    pub encryption_level: Option<u32>,
}

/// Bytes of the basic security header.
const SECURITY_HEADER: usize = 4;
/// Strings of Client Info are UTF-16 (MS-RDPBCGR 2.2.1.11.1.1).
const INFO_UNICODE: u32 = 0x10;
const CS_CORE: u16 = 0xc001;
const CS_NET: u16 = 0xc003;
const SC_SECURITY: u16 = 0x0c02;
const SC_NET: u16 = 0x0c03;
const SC_MCS_MSGCHANNEL: u16 = 0x0c04;

/// Reads an MCS PDU: what an X.224 data TPDU carries.
///
/// # Errors
/// [`WireError::Short`] when it is empty or cut before its kind is known.
pub fn pdu(body: &[u8]) -> Result<McsPdu, WireError> {
    let mut at = Cursor::new(body);
    let first = at.u8("MCS choice")?;
    if first == 0x7f {
        let application = at.u8("MCS application tag")?;
        return match application {
            0x65 => Ok(McsPdu::ConnectInitial(client_data(body))),
            0x66 => Ok(McsPdu::ConnectResponse(server_data(body))),
            other => Ok(McsPdu::Other(other)),
        };
    }
    Ok(match first >> 2 {
        1 => McsPdu::ErectDomain,
        8 => {
            let second = at.u8("reason").unwrap_or(0);
            McsPdu::Ultimatum { reason: UltimatumReason(((first & 0x03) << 1) | (second >> 7)) }
        }
        10 => McsPdu::AttachUserRequest,
        11 => McsPdu::AttachUserConfirm,
        14 => McsPdu::JoinRequest,
        15 => McsPdu::JoinConfirm,
        25 | 26 => {
            let [_, _, high, low, _] = at.take::<5>("initiator, channel, priority")?;
            at.per_length("user data length")?;
            McsPdu::Data(payload(u16::from_be_bytes([high, low]), at.rest()))
        }
        other => McsPdu::Other(other),
    })
}

fn payload(channel: u16, bytes: &[u8]) -> Payload {
    let security_flags = Cursor::new(bytes).u16_le("flags").unwrap_or(0);
    let (share_type, data_type) = share_types(bytes);
    let behind = bytes.get(SECURITY_HEADER..).unwrap_or_default();
    let (share_type_behind, _) = share_types(behind);
    let says = match share_type {
        Some(_) => share_data(bytes),
        None if security_flags & security::ENCRYPT != 0 => None,
        None if share_type_behind.is_some() => share_data(behind),
        None if security_flags & security::LICENSE != 0 => licensing::message(behind).map(Says::License),
        None if security_flags & security::INFO != 0 => client_info(behind),
        None if security_flags & security::TRANSPORT != 0 => {
            multitransport::initiate(bytes).ok().map(Says::Multitransport)
        }
        None => None,
    };
    Payload { channel, security_flags, share_type, data_type, share_type_behind, length: bytes.len(), says }
}

/// Share control header: total length (2), type and version (2), source (2); then, for data, share id (4), padding,
/// stream, uncompressed length (2), `pduType2`. All little-endian.
fn share_types(bytes: &[u8]) -> (Option<u8>, Option<u8>) {
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
    let data = (kind == share::DATA).then(|| {
        at.slice(2_usize.saturating_add(8), "share data header").ok()?;
        at.u8("pduType2").ok()
    });
    (Some(kind), data.flatten())
}

/// What a data PDU says: behind `pduType2` stand `compressedType` (1) and `compressedLength` (2), then the number.
fn share_data(bytes: &[u8]) -> Option<Says> {
    let (_, data_type) = share_types(bytes);
    let mut at = Cursor::new(bytes);
    at.take::<15>("share headers").ok()?;
    let compressed = at.u8("compressedType").ok()? & share::COMPRESSED != 0;
    at.u16_le("compressedLength").ok()?;
    let number = at.u32_le("number").ok().filter(|_| !compressed)?;
    match data_type? {
        share::SET_ERROR_INFO => Some(Says::ErrorInfo(ErrorInfo(number))),
        share::SAVE_SESSION_INFO => Some(Says::SessionInfo(number)),
        _ => None,
    }
}

/// `TS_INFO_PACKET`: code page (4), flags (4), lengths of domain, user, password, shell and folder (2 each, without the
/// ending 0), then the strings. The password is not read.
fn client_info(bytes: &[u8]) -> Option<Says> {
    let mut at = Cursor::new(bytes);
    at.u32_le("CodePage").ok()?;
    let unicode = at.u32_le("flags").ok()? & INFO_UNICODE != 0;
    let (domain, user) = (at.u16_le("cbDomain").ok()?, at.u16_le("cbUserName").ok()?);
    at.take::<6>("lengths").ok()?;
    let domain = at.slice(usize::from(domain), "Domain").ok()?;
    at.slice(if unicode { 2 } else { 1 }, "end of Domain").ok()?;
    let user = at.slice(usize::from(user), "UserName").ok()?;
    Some(Says::ClientInfo { domain: text(domain, unicode), user: text(user, unicode) })
}

/// Finds a GCC block of `kind` by its header (type, length, both 2 bytes little-endian) after the `Duca` or `McDn`
/// key of the conference PDU.
fn blocks<'a>(body: &'a [u8], key: &[u8; 4]) -> Vec<(u16, &'a [u8])> {
    let mut found = Vec::new();
    let Some(start) = body.windows(4).position(|window| window == key) else { return found };
    let mut at = Cursor::new(body.get(start.saturating_add(4)..).unwrap_or_default());
    if at.per_length("user data length").is_err() {
        return found;
    }
    while let (Ok(kind), Ok(length)) = (at.u16_le("type"), at.u16_le("length")) {
        let Some(length) = usize::from(length).checked_sub(4) else { break };
        let Ok(block) = at.slice(length.min(at.rest().len()), "block") else { break };
        found.push((kind, block));
    }
    found
}

fn client_data(body: &[u8]) -> ClientData {
    let mut data = ClientData::default();
    for (kind, block) in blocks(body, b"Duca") {
        match kind {
            CS_CORE => core(block, &mut data),
            CS_NET => data.channels = channels(block),
            _ => {}
        }
    }
    data
}

/// `TS_UD_CS_CORE`: version (4), desktop size (4), colour depth, SAS, keyboard layout (8), build (4), name (32, UTF-16).
fn core(block: &[u8], data: &mut ClientData) {
    let mut at = Cursor::new(block);
    if at.take::<16>("core").is_err() {
        return;
    }
    data.build = at.u32_le("clientBuild").ok();
    let Ok(name) = at.take::<32>("clientName") else { return };
    let units: Vec<u16> = name
        .chunks_exact(2)
        .filter_map(|pair| pair.first_chunk::<2>().map(|unit| u16::from_le_bytes(*unit)))
        .take_while(|unit| *unit != 0)
        .collect();
    data.name = Some(String::from_utf16_lossy(&units)).filter(|name| !name.is_empty());
    let skip = 88;
    data.early_capabilities =
        at.slice(skip, "core tail").and_then(|_| at.u16_le("earlyCapabilityFlags")).ok();
}

/// `TS_UD_CS_NET`: channel count (4), then per channel a name of 8 bytes and options (4); at most 31 channels.
fn channels(block: &[u8]) -> Vec<String> {
    let mut at = Cursor::new(block);
    let count = at.u32_le("channelCount").unwrap_or(0).min(31);
    let mut names = Vec::new();
    for _ in 0..count {
        let Ok(channel) = at.take::<12>("channel") else { break };
        let name: Vec<u8> = channel.iter().take(8).take_while(|byte| **byte != 0).copied().collect();
        names.push(String::from_utf8_lossy(&name).into_owned());
    }
    names
}

fn server_data(body: &[u8]) -> ServerData {
    let mut data = ServerData { result: connect_result(body), ..ServerData::default() };
    for (kind, block) in blocks(body, b"McDn") {
        let mut at = Cursor::new(block);
        if kind == SC_NET {
            data.io_channel = at.u16_le("MCSChannelId").ok();
        } else if kind == SC_MCS_MSGCHANNEL {
            data.message_channel = at.u16_le("MCSChannelID").ok();
        } else if kind == SC_SECURITY {
            data.encryption_method = at.u32_le("encryptionMethod").ok();
            data.encryption_level = at.u32_le("encryptionLevel").ok();
        }
    }
    data
}

/// Connect Response: application tag (2), length, then `0a 01 result`.
fn connect_result(body: &[u8]) -> Option<u8> {
    let mut at = Cursor::new(body.get(2..)?);
    at.ber_length("Connect Response").ok()?;
    match at.take::<3>("result").ok()? {
        [0x0a, 0x01, result] => Some(result),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domain_pdus_are_told_by_their_first_byte() {
        assert_eq!(pdu(&[0x04, 1, 0, 1, 0]), Ok(McsPdu::ErectDomain));
        assert_eq!(pdu(&[0x28]), Ok(McsPdu::AttachUserRequest));
        assert_eq!(pdu(&[0x2e, 0, 0, 6]), Ok(McsPdu::AttachUserConfirm));
        assert_eq!(pdu(&[0x38, 0, 6, 3, 0xeb]), Ok(McsPdu::JoinRequest));
        assert_eq!(pdu(&[0x21, 0x80]), Ok(McsPdu::Ultimatum { reason: UltimatumReason(3) }));
        assert_eq!(pdu(&[]), Err(WireError::Short { what: "MCS choice", need: 1, have: 0 }));
    }

    #[test]
    fn set_error_info_is_seen_in_clear() {
        let mut body = vec![0x68, 0, 1, 3, 0xeb, 0x70, 22];
        body.extend([22, 0, 0x17, 0, 0xea, 3, 1, 0, 1, 0, 0, 1, 8, 0, 0x2f, 0, 0, 0, 7, 0, 0, 0]);
        let Ok(McsPdu::Data(payload)) = pdu(&body) else { panic!("not data") };
        assert_eq!((payload.share_type, payload.data_type), (Some(share::DATA), Some(share::SET_ERROR_INFO)));
        assert_eq!(payload.says, Some(Says::ErrorInfo(ErrorInfo(7))));
    }

    #[test]
    fn licensing_errors_and_client_info_say_more_unless_encrypted() {
        let data = |payload: &[u8]| {
            let mut body = vec![0x64, 0, 1, 3, 0xeb, 0x70, u8::try_from(payload.len()).unwrap()];
            body.extend(payload);
            match pdu(&body) {
                Ok(McsPdu::Data(payload)) => payload.says,
                _ => None,
            }
        };
        let mut license = vec![0x80, 0, 0, 0, 0xff, 3, 16, 0, 2, 0, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0];
        let code = licensing::LicenseErrorCode::NO_LICENSE;
        assert_eq!(data(&license), Some(Says::License(LicenseMessage { kind: 0xff, error: Some(code) })));
        license.iter_mut().take(1).for_each(|flags| *flags |= 8);
        assert_eq!(data(&license), None);
        let mut info = vec![0x40, 0, 0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0];
        info.extend([b'D', 0, 0, 0, b'm', 0, b'e', 0, 0, 0]);
        assert_eq!(data(&info), Some(Says::ClientInfo { domain: "D".to_owned(), user: "me".to_owned() }));
    }

    #[test]
    fn client_blocks_give_channels_and_build() {
        let mut body = vec![0x7f, 0x65, 0x82, 1, 0];
        body.extend(b"Duca");
        let mut blocks = vec![0x03, 0xc0, 20, 0, 1, 0, 0, 0];
        blocks.extend(b"MS_T120\0");
        blocks.extend([0; 4]);
        body.push(u8::try_from(blocks.len()).unwrap());
        body.extend(blocks);
        let Ok(McsPdu::ConnectInitial(data)) = pdu(&body) else { panic!("not Connect Initial") };
        assert_eq!(data.channels, ["MS_T120"]);
        assert_eq!(data.build, None);
    }
}
