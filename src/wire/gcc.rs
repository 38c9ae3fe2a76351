//! The GCC user data of MCS Connect Initial and Connect Response (T.124, MS-RDPBCGR 2.2.1.3 and 2.2.1.4): the blocks that
//! both ends tell of themselves.

use super::cursor::Cursor;
use super::negotiation::Protocols;
use super::text::{text, text_to_nul};

/// A block as it stands there, known or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// Its type, such as 0xc001 for `CS_CORE`.
    pub kind: u16,
    /// Where its header starts in the MCS PDU.
    pub offset: usize,
    /// Bytes, header included, as far as they are there.
    pub length: usize,
}

/// A static virtual channel asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Channel {
    /// Its name, at most 7 characters.
    pub name: String,
    /// `CHANNEL_OPTION_*`.
    pub options: u32,
}

/// What the client tells of itself. Absent blocks and fields are `None`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClientData {
    /// Every block, in order.
    pub blocks: Vec<Block>,
    /// `CS_CORE` version, such as 0x0008000c.
    pub version: Option<u32>,
    /// Width and height of the desktop.
    pub desktop: Option<(u16, u16)>,
    /// `clientBuild`.
    pub build: Option<u32>,
    /// `clientName`.
    pub name: Option<String>,
    /// `earlyCapabilityFlags`.
    pub early_capabilities: Option<u16>,
    /// `connectionType`; says something when `RNS_UD_CS_VALID_CONNECTION_TYPE` (0x20) is set.
    pub connection_type: Option<u8>,
    /// `serverSelectedProtocol`: what the client read in the connection confirm.
    pub selected: Option<Protocols>,
    /// `encryptionMethods` and `extEncryptionMethods` of `CS_SECURITY`.
    pub encryption_methods: Option<(u32, u32)>,
    /// Static virtual channels of `CS_NET`.
    pub channels: Vec<Channel>,
    /// `Flags` of `CS_CLUSTER`.
    pub cluster_flags: Option<u32>,
    /// `RedirectedSessionID`, where the flags say that it is valid.
    pub redirected_session: Option<u32>,
    /// Monitors of `CS_MONITOR`.
    pub monitors: Option<u32>,
    /// `CS_MCS_MSGCHANNEL` is there.
    pub message_channel: bool,
    /// Flags of `CS_MULTITRANSPORT`.
    pub multitransport: Option<u32>,
}

impl ClientData {
    /// Version of server redirection that the client supports, from 1; `None` when it supports none (MS-RDPBCGR
    /// 2.2.1.3.5).
    #[must_use]
    pub fn redirection_version(&self) -> Option<u32> {
        let flags = self.cluster_flags.filter(|flags| flags & CLUSTER_REDIRECTION != 0)?;
        Some(((flags & CLUSTER_VERSION_MASK) >> 2).saturating_add(1))
    }
}

/// Kind of a server certificate (MS-RDPBCGR 2.2.1.4.3.1), `dwVersion` without its highest bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CertificateKind(pub u32);

impl CertificateKind {
    /// `CERT_CHAIN_VERSION_1`: a proprietary certificate.
    pub const PROPRIETARY: Self = Self(1);
    /// `CERT_CHAIN_VERSION_2`: an X.509 chain.
    pub const X509: Self = Self(2);

    /// What it is, in words.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        match self {
            Self::PROPRIETARY => Some("proprietary"),
            Self::X509 => Some("X.509"),
            _ => None,
        }
    }
}

/// What the server tells of itself. Absent blocks and fields are `None`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServerData {
    /// Every block, in order.
    pub blocks: Vec<Block>,
    /// `SC_CORE` version.
    pub version: Option<u32>,
    /// `clientRequestedProtocols`: what the server read in the connection request.
    pub requested: Option<Protocols>,
    /// `earlyCapabilityFlags` of `SC_CORE`.
    pub early_capabilities: Option<u32>,
    /// `encryptionMethod` of `SC_SECURITY`.
    pub encryption_method: Option<u32>,
    /// `encryptionLevel` of `SC_SECURITY`.
    pub encryption_level: Option<u32>,
    /// Bytes of the server random.
    pub random_bytes: Option<u32>,
    /// Kind of the server certificate.
    pub certificate: Option<CertificateKind>,
    /// `MCSChannelId` of `SC_NET`: the I/O channel.
    pub io_channel: Option<u16>,
    /// Channels that the server gave, in the order asked for.
    pub channels: Vec<u16>,
    /// The message channel of `SC_MCS_MSGCHANNEL`.
    pub message_channel: Option<u16>,
    /// Flags of `SC_MULTITRANSPORT`.
    pub multitransport: Option<u32>,
}

const CS_CORE: u16 = 0xc001;
const CS_SECURITY: u16 = 0xc002;
const CS_NET: u16 = 0xc003;
const CS_CLUSTER: u16 = 0xc004;
const CS_MONITOR: u16 = 0xc005;
const CS_MESSAGE_CHANNEL: u16 = 0xc006;
const CS_MULTITRANSPORT: u16 = 0xc00a;
const SC_CORE: u16 = 0x0c01;
const SC_SECURITY: u16 = 0x0c02;
const SC_NET: u16 = 0x0c03;
const SC_MESSAGE_CHANNEL: u16 = 0x0c04;
const SC_MULTITRANSPORT: u16 = 0x0c08;
/// `REDIRECTION_SUPPORTED`.
const CLUSTER_REDIRECTION: u32 = 0x01;
/// `REDIRECTED_SESSIONID_FIELD_VALID`.
const CLUSTER_SESSION_VALID: u32 = 0x02;
/// `ServerSessionRedirectionVersionMask`.
const CLUSTER_VERSION_MASK: u32 = 0x3c;
/// Highest bit of a server certificate's `dwVersion`: it was issued for a time only.
const CERTIFICATE_TEMPORARY: u32 = 0x8000_0000;
/// Channels that one side may name (MS-RDPBCGR 2.2.1.3.4).
const CHANNELS_MAX: u32 = 31;
/// Blocks that are looked at.
const BLOCKS_MAX: usize = 64;

/// What the client tells, of the bytes of an MCS Connect Initial.
#[must_use]
pub fn client_data(body: &[u8]) -> ClientData {
    let mut data = ClientData::default();
    for (block, bytes) in blocks(body, b"Duca") {
        data.blocks.push(block);
        let mut at = Cursor::new(bytes);
        match block.kind {
            CS_CORE => {
                client_core(&mut at, &mut data);
            }
            CS_SECURITY => {
                let methods = at.u32_le("encryptionMethods").ok();
                let more = at.u32_le("extEncryptionMethods").unwrap_or(0);
                data.encryption_methods = methods.map(|methods| (methods, more));
            }
            CS_NET => data.channels = channels(&mut at),
            CS_CLUSTER => {
                data.cluster_flags = at.u32_le("Flags").ok();
                let valid = data.cluster_flags.is_some_and(|flags| flags & CLUSTER_SESSION_VALID != 0);
                data.redirected_session = at.u32_le("RedirectedSessionID").ok().filter(|_| valid);
            }
            CS_MONITOR => {
                data.monitors = at.u32_le("flags").and_then(|_| at.u32_le("monitorCount")).ok();
            }
            CS_MESSAGE_CHANNEL => data.message_channel = true,
            CS_MULTITRANSPORT => data.multitransport = at.u32_le("flags").ok(),
            _ => {}
        }
    }
    data
}

/// `TS_UD_CS_CORE`: version (4), desktop size (2 and 2), colour depth, SAS, keyboard layout (8), build (4), name (32,
/// UTF-16), keyboard and colours (88), `earlyCapabilityFlags` (2), product id (64), connection type (1), padding,
/// `serverSelectedProtocol` (4). Older clients end early.
fn client_core(at: &mut Cursor<'_>, data: &mut ClientData) -> Option<()> {
    data.version = at.u32_le("version").ok();
    let (width, height) = (at.u16_le("desktopWidth").ok()?, at.u16_le("desktopHeight").ok()?);
    data.desktop = Some((width, height));
    at.take::<8>("colorDepth, SASSequence, keyboardLayout").ok()?;
    data.build = at.u32_le("clientBuild").ok();
    data.name = text_to_nul(&at.take::<32>("clientName").ok()?, true);
    at.slice(88, "keyboard and colours").ok()?;
    data.early_capabilities = at.u16_le("earlyCapabilityFlags").ok();
    at.slice(64, "clientDigProductId").ok()?;
    data.connection_type = at.u8("connectionType").ok();
    at.u8("pad1octet").ok()?;
    data.selected = at.u32_le("serverSelectedProtocol").ok().map(Protocols);
    Some(())
}

/// `TS_UD_CS_NET`: channel count (4), then per channel a name of 8 bytes and options (4).
fn channels(at: &mut Cursor<'_>) -> Vec<Channel> {
    let count = at.u32_le("channelCount").unwrap_or(0).min(CHANNELS_MAX);
    let mut found = Vec::new();
    for _ in 0..count {
        let Ok(name) = at.take::<8>("name") else { break };
        let options = at.u32_le("options").unwrap_or(0);
        let name: Vec<u8> = name.iter().take_while(|byte| **byte != 0).copied().collect();
        found.push(Channel { name: text(&name, false), options });
    }
    found
}

/// What the server tells, of the bytes of an MCS Connect Response.
#[must_use]
pub fn server_data(body: &[u8]) -> ServerData {
    let mut data = ServerData::default();
    for (block, bytes) in blocks(body, b"McDn") {
        data.blocks.push(block);
        let mut at = Cursor::new(bytes);
        match block.kind {
            SC_CORE => {
                data.version = at.u32_le("version").ok();
                data.requested = at.u32_le("clientRequestedProtocols").ok().map(Protocols);
                data.early_capabilities = at.u32_le("earlyCapabilityFlags").ok();
            }
            SC_SECURITY => {
                server_security(&mut at, &mut data);
            }
            SC_NET => {
                data.io_channel = at.u16_le("MCSChannelId").ok();
                let count = u32::from(at.u16_le("channelCount").unwrap_or(0)).min(CHANNELS_MAX);
                data.channels = (0..count).map_while(|_| at.u16_le("channelId").ok()).collect();
            }
            SC_MESSAGE_CHANNEL => data.message_channel = at.u16_le("MCSChannelID").ok(),
            SC_MULTITRANSPORT => data.multitransport = at.u32_le("flags").ok(),
            _ => {}
        }
    }
    data
}

/// `TS_UD_SC_SEC1`: method, level, lengths of random and certificate (4 each), then both.
fn server_security(at: &mut Cursor<'_>, data: &mut ServerData) -> Option<()> {
    data.encryption_method = at.u32_le("encryptionMethod").ok();
    data.encryption_level = at.u32_le("encryptionLevel").ok();
    let random = at.u32_le("serverRandomLen").ok()?;
    data.random_bytes = Some(random);
    at.u32_le("serverCertLen").ok()?;
    at.slice(usize::try_from(random).ok()?, "serverRandom").ok()?;
    let version = at.u32_le("dwVersion").ok()?;
    data.certificate = Some(CertificateKind(version & !CERTIFICATE_TEMPORARY));
    Some(())
}

/// The GCC blocks behind the `Duca` or `McDn` key of the conference PDU, each with a header of type and length (2 bytes
/// each, little-endian).
fn blocks<'a>(body: &'a [u8], key: &[u8; 4]) -> Vec<(Block, &'a [u8])> {
    let mut found = Vec::new();
    let Some(start) = body.windows(4).position(|window| window == key) else { return found };
    let mut at = Cursor::new(body.get(start.saturating_add(4)..).unwrap_or_default());
    if at.per_length("user data length").is_err() {
        return found;
    }
    while found.len() < BLOCKS_MAX {
        let offset = body.len().saturating_sub(at.rest().len());
        let (Ok(kind), Ok(length)) = (at.u16_le("type"), at.u16_le("length")) else { break };
        let Some(length) = usize::from(length).checked_sub(4) else { break };
        let Ok(bytes) = at.slice(length.min(at.rest().len()), "block") else { break };
        found.push((Block { kind, offset, length: bytes.len().saturating_add(4) }, bytes));
    }
    found
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "tests may panic")]
mod tests {
    use super::*;

    fn conference(key: &[u8], blocks: &[(u16, Vec<u8>)]) -> Vec<u8> {
        let mut user = Vec::new();
        for (kind, data) in blocks {
            user.extend(kind.to_le_bytes());
            user.extend(u16::try_from(data.len() + 4).unwrap().to_le_bytes());
            user.extend(data);
        }
        let mut body = vec![0x7f, 0x65, 0x82, 1, 0];
        body.extend(key);
        body.extend((0x8000 | u16::try_from(user.len()).unwrap()).to_be_bytes());
        body.extend(user);
        body
    }

    fn core(length: usize) -> Vec<u8> {
        let mut core = vec![0; 212];
        core[..4].copy_from_slice(&[4, 0, 8, 0]);
        core[4..8].copy_from_slice(&[0, 4, 0, 3]);
        core[16..20].copy_from_slice(&[0xb8, 0x0b, 0, 0]);
        core[20..24].copy_from_slice(b"P\0C\0");
        core[140..142].copy_from_slice(&[0xe1, 0x0a]);
        core[206] = 6;
        core[208..212].copy_from_slice(&[2, 0, 0, 0]);
        core.truncate(length);
        core
    }

    #[test]
    fn every_block_of_a_client() {
        let mut net = vec![2, 0, 0, 0];
        net.extend(b"rdpdr\0\0\0\x00\x00\x80\x80cliprdr\0\0\0\xa0\xc0");
        let body = conference(
            b"Duca",
            &[
                (CS_CORE, core(212)),
                (CS_SECURITY, vec![0x1b, 0, 0, 0, 0, 0, 0, 0]),
                (CS_NET, net),
                (CS_CLUSTER, vec![0x0f, 0, 0, 0, 7, 0, 0, 0]),
                (CS_MONITOR, vec![0, 0, 0, 0, 2, 0, 0, 0]),
                (CS_MESSAGE_CHANNEL, vec![0; 4]),
                (CS_MULTITRANSPORT, vec![5, 3, 0, 0]),
                (0xc0ff, vec![9]),
            ],
        );
        let data = client_data(&body);
        assert_eq!(
            (data.version, data.desktop, data.build),
            (Some(0x0008_0004), Some((1024, 768)), Some(3000))
        );
        assert_eq!((data.name.as_deref(), data.early_capabilities), (Some("PC"), Some(0x0ae1)));
        assert_eq!((data.connection_type, data.selected), (Some(6), Some(Protocols::HYBRID)));
        let names: Vec<(&str, u32)> = data.channels.iter().map(|c| (c.name.as_str(), c.options)).collect();
        assert_eq!(names, [("rdpdr", 0x8080_0000), ("cliprdr", 0xc0a0_0000)]);
        assert_eq!((data.redirection_version(), data.redirected_session), (Some(4), Some(7)));
        assert_eq!((data.monitors, data.message_channel, data.multitransport), (Some(2), true, Some(0x305)));
        let last = data.blocks.last().unwrap();
        assert_eq!((last.kind, last.length, last.offset), (0xc0ff, 5, body.len() - 5));
    }

    #[test]
    fn an_old_or_cut_core_gives_what_it_has() {
        let data = client_data(&conference(b"Duca", &[(CS_CORE, core(128))]));
        assert_eq!((data.build, data.early_capabilities, data.selected), (Some(3000), None, None));
        assert_eq!(data.redirection_version(), None);
        let session = [(CS_CLUSTER, vec![0x0d, 0, 0, 0, 7, 0, 0, 0])];
        assert_eq!(client_data(&conference(b"Duca", &session)).redirected_session, None);
    }

    #[test]
    fn every_block_of_a_server() {
        let mut security = vec![2, 0, 0, 0, 3, 0, 0, 0, 32, 0, 0, 0, 8, 0, 0, 0];
        security.extend([7; 32]);
        security.extend([2, 0, 0, 0x80, 1, 0, 0, 0]);
        let data = server_data(&conference(
            b"McDn",
            &[
                (SC_CORE, vec![4, 0, 8, 0, 0x0b, 0, 0, 0, 1, 0, 0, 0]),
                (SC_SECURITY, security),
                (SC_NET, vec![0xeb, 3, 2, 0, 0xec, 3, 0xed, 3]),
                (SC_MESSAGE_CHANNEL, vec![0xf1, 3]),
                (SC_MULTITRANSPORT, vec![1, 0, 0, 0]),
            ],
        ));
        assert_eq!((data.version, data.requested), (Some(0x0008_0004), Some(Protocols(0x0b))));
        assert_eq!((data.encryption_method, data.encryption_level), (Some(2), Some(3)));
        assert_eq!((data.random_bytes, data.certificate), (Some(32), Some(CertificateKind::X509)));
        assert_eq!((data.io_channel, data.channels), (Some(1003), vec![1004, 1005]));
        assert_eq!((data.message_channel, data.multitransport), (Some(1009), Some(1)));
    }
}
