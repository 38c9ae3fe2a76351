//! Encryption of Standard RDP Security: method and level as the server names them (MS-RDPBCGR 2.2.1.4.3).

/// `encryptionMethod`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EncryptionMethod(pub u32);

impl EncryptionMethod {
    /// None: TLS does it, or nothing does.
    pub const NONE: Self = Self(0);
    /// RC4 with a key of 40 bits.
    pub const RC4_40: Self = Self(1);
    /// RC4 with a key of 128 bits.
    pub const RC4_128: Self = Self(2);
    /// RC4 with a key of 56 bits.
    pub const RC4_56: Self = Self(8);
    /// 3DES and SHA-1 of FIPS 140-1.
    pub const FIPS: Self = Self(0x10);

    /// What it is, in words.
    #[must_use]
    pub fn words(self) -> String {
        match self {
            Self::NONE => "no encryption".to_owned(),
            Self::RC4_40 => "RC4 of 40 bits".to_owned(),
            Self::RC4_56 => "RC4 of 56 bits".to_owned(),
            Self::RC4_128 => "RC4 of 128 bits".to_owned(),
            Self::FIPS => "3DES (FIPS)".to_owned(),
            Self(other) => format!("method {other:#x}"),
        }
    }
}

/// `encryptionLevel`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EncryptionLevel(pub u32);

impl EncryptionLevel {
    /// None.
    pub const NONE: Self = Self(0);
    /// Only what the client sends is encrypted.
    pub const LOW: Self = Self(1);
    /// The strongest that the client has.
    pub const CLIENT_COMPATIBLE: Self = Self(2);
    /// The strongest that the server has.
    pub const HIGH: Self = Self(3);
    /// FIPS 140-1 only.
    pub const FIPS: Self = Self(4);

    /// What it is, in words.
    #[must_use]
    pub fn words(self) -> String {
        match self {
            Self::NONE => "none".to_owned(),
            Self::LOW => "low".to_owned(),
            Self::CLIENT_COMPATIBLE => "client compatible".to_owned(),
            Self::HIGH => "high".to_owned(),
            Self::FIPS => "FIPS".to_owned(),
            Self(other) => format!("level {other}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unlisted_numbers_keep_their_number() {
        assert_eq!(EncryptionMethod(2).words(), "RC4 of 128 bits");
        assert_eq!(
            (EncryptionMethod(4).words(), EncryptionLevel(9).words()),
            ("method 0x4".to_owned(), "level 9".to_owned())
        );
    }
}
