//! Two readings of one encrypted message: what else fits its size and its place.

use super::text::Field;
use crate::step::Step;

/// Another message that an encrypted one may be as well, by its size and place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OtherReading {
    /// A TSRequest with an error code (MS-CSSP 2.2.1): in blocks of a cipher its 15 to 17 bytes are as long as the 4 of an
    /// early authorization result.
    ErrorCode,
    /// The end of an exchange with Kerberos, whose ticket the server does not take: the messages before are long enough for
    /// tickets (MS-KILE, MS-CSSP 3.1.5).
    Ticket,
    /// A licensing error: one that refuses is as long as the one that says that all is well (MS-RDPBCGR 2.2.1.12.1.3).
    LicenseError,
    /// Set Keyboard Indicators (MS-RDPBCGR 2.2.8.2.1.1), or an update of the desktop, of the size of Set Error Info.
    KeyboardIndicators,
    /// One fast-path pointer event of the client (MS-RDPBCGR 2.2.8.1.2.2.3), or one pointer position of the server
    /// (2.2.9.1.2.1.4): both have the 9 bytes of an MCS Disconnect Provider Ultimatum.
    Pointer,
}

impl OtherReading {
    /// Every one.
    pub const ALL: [Self; 5] =
        [Self::ErrorCode, Self::Ticket, Self::LicenseError, Self::KeyboardIndicators, Self::Pointer];

    /// Its name in the text form and in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ErrorCode => "error-code",
            Self::Ticket => "ticket",
            Self::LicenseError => "license-error",
            Self::KeyboardIndicators => "keyboard-indicators",
            Self::Pointer => "pointer",
        }
    }

    /// The step that it would belong to.
    #[must_use]
    pub const fn step(self) -> Step {
        match self {
            Self::ErrorCode | Self::Ticket => Step::Credssp,
            Self::LicenseError => Step::Licensing,
            Self::KeyboardIndicators | Self::Pointer => Step::Active,
        }
    }

    /// What it would be, in a few words.
    #[must_use]
    pub const fn says(self) -> &'static str {
        match self {
            Self::ErrorCode => "a refusal of CredSSP with an error code",
            Self::Ticket => "the refusal of a Kerberos ticket",
            Self::LicenseError => "a licensing error",
            Self::KeyboardIndicators => "Set Keyboard Indicators or an update of the desktop",
            Self::Pointer => "a movement of the pointer",
        }
    }

    /// Why sizes do not tell both apart.
    #[must_use]
    pub const fn why(self) -> &'static str {
        match self {
            Self::ErrorCode => "the padding of the cipher hides the difference",
            Self::Ticket => "the messages before are long enough for tickets",
            Self::LicenseError => "a licensing error, too, is so short and comes at this place",
            Self::KeyboardIndicators | Self::Pointer => "both have the same size",
        }
    }
}

impl Field for OtherReading {
    fn write_text(&self, out: &mut String) -> bool {
        out.push_str(self.name());
        true
    }
    fn from_text(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|other| other.name() == text)
    }
}
