//! Server redirection (MS-RDPBCGR 2.2.13): where the client shall go instead. Of the password only its presence is kept.

use super::cursor::Cursor;
use super::text::text_to_nul;

/// `RedirFlags`. Unknown bits are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct RedirectionFlags(pub u32);

impl RedirectionFlags {
    /// `LB_TARGET_NET_ADDRESS`.
    pub const TARGET_NET_ADDRESS: Self = Self(0x01);
    /// `LB_LOAD_BALANCE_INFO`.
    pub const LOAD_BALANCE_INFO: Self = Self(0x02);
    /// `LB_USERNAME`.
    pub const USER_NAME: Self = Self(0x04);
    /// `LB_DOMAIN`.
    pub const DOMAIN: Self = Self(0x08);
    /// `LB_PASSWORD`.
    pub const PASSWORD: Self = Self(0x10);
    /// `LB_NOREDIRECT`: for information only, the client stays.
    pub const NO_REDIRECT: Self = Self(0x80);
    /// `LB_TARGET_FQDN`.
    pub const TARGET_FQDN: Self = Self(0x100);
    /// `LB_TARGET_NETBIOS_NAME`.
    pub const TARGET_NETBIOS_NAME: Self = Self(0x200);
    /// `LB_TARGET_NET_ADDRESSES`.
    pub const TARGET_NET_ADDRESSES: Self = Self(0x800);
    /// `LB_CLIENT_TSV_URL`.
    pub const TSV_URL: Self = Self(0x1000);
    /// `LB_PASSWORD_IS_PK_ENCRYPTED`: RDSTLS must follow.
    pub const PASSWORD_IS_ENCRYPTED: Self = Self(0x4000);
    /// `LB_REDIRECTION_GUID`.
    pub const GUID: Self = Self(0x8000);
    /// `LB_TARGET_CERTIFICATE`.
    pub const TARGET_CERTIFICATE: Self = Self(0x1_0000);

    const NAMES: [(u32, &'static str); 16] = [
        (0x01, "LB_TARGET_NET_ADDRESS"),
        (0x02, "LB_LOAD_BALANCE_INFO"),
        (0x04, "LB_USERNAME"),
        (0x08, "LB_DOMAIN"),
        (0x10, "LB_PASSWORD"),
        (0x20, "LB_DONTSTOREUSERNAME"),
        (0x40, "LB_SMARTCARD_LOGON"),
        (0x80, "LB_NOREDIRECT"),
        (0x100, "LB_TARGET_FQDN"),
        (0x200, "LB_TARGET_NETBIOS_NAME"),
        (0x800, "LB_TARGET_NET_ADDRESSES"),
        (0x1000, "LB_CLIENT_TSV_URL"),
        (0x2000, "LB_SERVER_TSV_CAPABLE"),
        (0x4000, "LB_PASSWORD_IS_PK_ENCRYPTED"),
        (0x8000, "LB_REDIRECTION_GUID"),
        (0x1_0000, "LB_TARGET_CERTIFICATE"),
    ];

    /// All bits of `other` are set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The names of the bits that are set; unknown bits as a number.
    #[must_use]
    pub fn names(self) -> Vec<String> {
        let known = Self::NAMES.iter().fold(0, |sum, (bit, _)| sum | bit);
        let named = Self::NAMES.iter().filter(|(bit, _)| self.0 & bit != 0);
        let mut names: Vec<String> = named.map(|(_, name)| (*name).to_owned()).collect();
        if self.0 & !known != 0 {
            names.push(format!("{:#x}", self.0 & !known));
        }
        names
    }
}

/// `RDP_SERVER_REDIRECTION_PACKET`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Redirection {
    /// Session to connect to.
    pub session_id: u32,
    /// What is there, and how to take it.
    pub flags: RedirectionFlags,
    /// Address of the target.
    pub address: Option<String>,
    /// Routing token for the next connection request.
    pub load_balance: Option<String>,
    /// User to log on with.
    pub user: Option<String>,
    /// Domain of the user.
    pub domain: Option<String>,
    /// A password is there.
    pub has_password: bool,
    /// Full name of the target.
    pub fqdn: Option<String>,
    /// NetBIOS name of the target.
    pub netbios: Option<String>,
    /// Bytes of the target's certificate.
    pub certificate_bytes: Option<usize>,
    /// All addresses of the target.
    pub addresses: Vec<String>,
    /// The packet ends before all that its flags announce.
    pub cut: bool,
}

/// Its `Flags` field, the same as the security header's.
const SEC_REDIRECTION_PKT: u16 = 0x0400;
/// Addresses of a target that are kept.
const ADDRESSES_MAX: u32 = 32;

/// Reads the packet: flags 0x0400 (2), length (2), session (4), `RedirFlags` (4), then each field that the flags
/// announce with a length of 4 bytes before it.
#[must_use]
pub fn redirection(bytes: &[u8]) -> Option<Redirection> {
    let mut at = Cursor::new(bytes);
    at.u16_le("Flags").ok().filter(|flags| *flags == SEC_REDIRECTION_PKT)?;
    at.u16_le("Length").ok()?;
    let session_id = at.u32_le("SessionID").ok()?;
    let flags = RedirectionFlags(at.u32_le("RedirFlags").ok()?);
    let mut packet = Redirection { session_id, flags, ..Redirection::default() };
    packet.cut = fields(&mut at, &mut packet).is_none();
    Some(packet)
}

fn fields(at: &mut Cursor<'_>, packet: &mut Redirection) -> Option<()> {
    let flags = packet.flags;
    let mut field = |flag: RedirectionFlags| -> Option<Option<&[u8]>> {
        if !flags.contains(flag) {
            return Some(None);
        }
        let length = usize::try_from(at.u32_le("length").ok()?).ok()?;
        at.slice(length, "field").ok().map(Some)
    };
    let text = |bytes: Option<&[u8]>| bytes.and_then(|bytes| text_to_nul(bytes, true));
    packet.address = text(field(RedirectionFlags::TARGET_NET_ADDRESS)?);
    let token = field(RedirectionFlags::LOAD_BALANCE_INFO)?;
    packet.load_balance = token.and_then(|bytes| text_to_nul(bytes, false)).map(|t| t.trim_end().to_owned());
    packet.user = text(field(RedirectionFlags::USER_NAME)?);
    packet.domain = text(field(RedirectionFlags::DOMAIN)?);
    packet.has_password = field(RedirectionFlags::PASSWORD)?.is_some();
    packet.fqdn = text(field(RedirectionFlags::TARGET_FQDN)?);
    packet.netbios = text(field(RedirectionFlags::TARGET_NETBIOS_NAME)?);
    field(RedirectionFlags::TSV_URL)?;
    field(RedirectionFlags::GUID)?;
    packet.certificate_bytes = field(RedirectionFlags::TARGET_CERTIFICATE)?.map(<[u8]>::len);
    if let Some(list) = field(RedirectionFlags::TARGET_NET_ADDRESSES)? {
        packet.addresses = addresses(list);
    }
    Some(())
}

/// `TARGET_NET_ADDRESSES`: count (4), then each address with a length of 4 bytes.
fn addresses(bytes: &[u8]) -> Vec<String> {
    let mut at = Cursor::new(bytes);
    let count = at.u32_le("addressCount").unwrap_or(0).min(ADDRESSES_MAX);
    let mut one = || {
        let length = usize::try_from(at.u32_le("addressLength").ok()?).ok()?;
        text_to_nul(at.slice(length, "address").ok()?, true)
    };
    (0..count).map_while(|_| one()).collect()
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, reason = "tests may panic")]
mod tests {
    use super::*;

    fn utf16(text: &str) -> Vec<u8> {
        text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect()
    }

    fn packet(flags: u32, fields: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = vec![0, 4, 0, 0, 7, 0, 0, 0];
        bytes.extend(flags.to_le_bytes());
        for field in fields {
            bytes.extend(u32::try_from(field.len()).unwrap().to_le_bytes());
            bytes.extend(field);
        }
        bytes
    }

    #[test]
    fn every_field_in_its_order() {
        let mut list = vec![2, 0, 0, 0];
        for address in ["203.0.113.5", "2001:db8::5"] {
            let text = utf16(address);
            list.extend(u32::try_from(text.len()).unwrap().to_le_bytes());
            list.extend(text);
        }
        let fields = [
            utf16("203.0.113.5"),
            b"Cookie: msts=1.2.3\r\n".to_vec(),
            utf16("me"),
            utf16("LAB"),
            utf16("secret"),
            utf16("rdsh2.lab.test"),
            utf16("RDSH2"),
            utf16("tsv://x"),
            vec![1; 16],
            vec![2; 700],
            list,
        ];
        let bytes = packet(0x1_d31f | 0x800, &fields);
        let read = redirection(&bytes).unwrap();
        assert_eq!((read.session_id, read.cut, read.has_password), (7, false, true));
        assert_eq!(read.address.as_deref(), Some("203.0.113.5"));
        assert_eq!(read.load_balance.as_deref(), Some("Cookie: msts=1.2.3"));
        assert_eq!((read.user.as_deref(), read.domain.as_deref()), (Some("me"), Some("LAB")));
        assert_eq!((read.fqdn.as_deref(), read.netbios.as_deref()), (Some("rdsh2.lab.test"), Some("RDSH2")));
        assert_eq!((read.certificate_bytes, read.addresses.len()), (Some(700), 2));
        assert!(!format!("{read:?}").contains("secret"));
        let cut = redirection(&bytes[..60]).unwrap();
        assert!(cut.cut && cut.address.is_some() && cut.user.is_none());
    }

    #[test]
    fn flags_have_names_and_other_packets_are_none() {
        assert_eq!(RedirectionFlags(0x82).names(), ["LB_LOAD_BALANCE_INFO", "LB_NOREDIRECT"]);
        assert_eq!(RedirectionFlags(0x40_0000).names(), ["0x400000"]);
        assert_eq!(redirection(&[0, 1, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0]), None);
    }
}
