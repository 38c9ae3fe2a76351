//! SPNEGO (RFC 4178, MS-SPNG) and the head of the Kerberos tokens inside (RFC 4121 4.1, RFC 4120 5.5.1): which security
//! package both sides choose, for which service a ticket is shown, and why Kerberos failed.

use data_encoding::HEXLOWER;

use super::cursor::Cursor;
use super::der::{Elements, SEQUENCE, field, inside};
use super::kerberos;
use crate::codes::{KerberosError, Status};
use crate::time::UnixNanos;

/// `negState` (RFC 4178 4.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NegState(pub u8);

impl NegState {
    /// The other side does not go on.
    pub const REJECT: Self = Self(2);

    /// The name, or `None` for an unlisted number.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            0 => "accept-completed",
            1 => "accept-incomplete",
            2 => "reject",
            3 => "request-mic",
            _ => return None,
        })
    }
}

/// Kind of a Kerberos token, `TOK_ID` (RFC 4121 4.1, MS-KILE 3.1.5.1 for tickets of users).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenId(pub u16);

impl TokenId {
    /// AP-REQ: shows a ticket.
    pub const AP_REQ: Self = Self(0x0100);
    /// AP-REP.
    pub const AP_REP: Self = Self(0x0200);
    /// KRB-ERROR.
    pub const ERROR: Self = Self(0x0300);

    /// The name, or `None` for an unlisted number.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            0x0100 => "Kerberos AP-REQ",
            0x0200 => "Kerberos AP-REP",
            0x0300 => "Kerberos KRB-ERROR",
            0x0400 => "Kerberos TGT-REQ",
            0x0401 => "Kerberos TGT-REP",
            _ => return None,
        })
    }
}

/// What a Kerberos token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KerberosToken {
    /// What it is.
    pub kind: TokenId,
    /// Realm of the ticket, or of the service in an error.
    pub realm: Option<String>,
    /// The service, its parts joined by `/`.
    pub service: Option<String>,
    /// `error-code` of a KRB-ERROR.
    pub error: Option<KerberosError>,
    /// The NTSTATUS that Windows adds to an error (`KERB-EXT-ERROR`, MS-KILE 2.2.2).
    pub status: Option<Status>,
    /// `stime` of a KRB-ERROR: the clock of the server.
    pub server_time: Option<UnixNanos>,
}

/// A SPNEGO token, or a Kerberos token without SPNEGO around it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Spnego {
    /// `mechTypes` that the client offers, in its order.
    pub offered: Vec<String>,
    /// `negState` of the answer.
    pub state: Option<NegState>,
    /// `supportedMech` of the answer.
    pub chosen: Option<String>,
    /// The Kerberos token inside.
    pub kerberos: Option<KerberosToken>,
}

const OID: u8 = 0x06;
const ENUMERATED: u8 = 0x0a;
const OCTETS: u8 = 0x04;
/// `[APPLICATION 0]`: a GSS-API token with the OID of its mechanism (RFC 2743 3.1).
const GSS: u8 = 0x60;
const SPNEGO: &[u8] = &[0x2b, 6, 1, 5, 5, 2];
/// Mechanisms by OID, as the words that people know.
const MECHANISMS: [(&[u8], &str); 6] = [
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 1, 2, 2], "Kerberos"),
    (&[0x2a, 0x86, 0x48, 0x82, 0xf7, 0x12, 1, 2, 2], "Kerberos"),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 1, 2, 2, 3], "Kerberos user-to-user"),
    (&[0x2b, 6, 1, 4, 1, 0x82, 0x37, 2, 2, 10], "NTLM"),
    (&[0x2b, 6, 1, 4, 1, 0x82, 0x37, 2, 2, 30], "NEGOEX"),
    (&[0x2b, 6, 1, 5, 2, 7], "PKU2U"),
];
/// Mechanisms, and parts of a name, that are read.
const PARTS_MAX: usize = 16;
/// Tokens inside of tokens that are opened.
const DEPTH_MAX: usize = 4;

/// Reads the token of a `TSRequest`. `None` when it is none of SPNEGO and Kerberos, such as NTLM alone.
#[must_use]
pub fn spnego(token: &[u8]) -> Option<Spnego> {
    let mut read = Spnego::default();
    open(token, DEPTH_MAX, &mut read).then_some(read)
}

fn open(token: &[u8], depth: usize, read: &mut Spnego) -> bool {
    let Some(left) = depth.checked_sub(1) else { return false };
    match Elements::of(token).next() {
        Some((GSS, inside)) => {
            let mut inside = Elements::of(inside);
            match inside.next() {
                Some((OID, SPNEGO)) => {
                    inside.next().is_some_and(|(tag, body)| negotiation(tag, body, left, read))
                }
                Some((OID, oid)) if mechanism(oid).starts_with("Kerberos") => {
                    read.kerberos = self::token(inside.rest());
                    read.kerberos.is_some()
                }
                _ => false,
            }
        }
        Some((tag @ (0xa0 | 0xa1), body)) => negotiation(tag, body, left, read),
        _ => false,
    }
}

/// `NegTokenInit` (0xa0) or `NegTokenResp` (0xa1).
fn negotiation(tag: u8, body: &[u8], depth: usize, read: &mut Spnego) -> bool {
    let Some(fields) = inside(body, SEQUENCE) else { return false };
    for (field, value) in Elements::of(fields) {
        match (tag, field) {
            (0xa0, 0xa0) => read.offered = mechanisms(value),
            (0xa1, 0xa0) => {
                let state = inside(value, ENUMERATED).and_then(<[u8]>::first);
                read.state = state.map(|state| NegState(*state));
            }
            (0xa1, 0xa1) => read.chosen = inside(value, OID).map(mechanism),
            (_, 0xa2) => {
                if let Some(token) = inside(value, OCTETS) {
                    open(token, depth, read);
                }
            }
            _ => {}
        }
    }
    matches!(tag, 0xa0 | 0xa1)
}

fn mechanisms(value: &[u8]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for (tag, oid) in Elements::of(inside(value, SEQUENCE).unwrap_or_default()).take(PARTS_MAX) {
        let name = mechanism(oid);
        // Two OIDs mean the same Kerberos.
        if tag == OID && !found.contains(&name) {
            found.push(name);
        }
    }
    found
}

/// The name of a mechanism, or its OID in hexadecimal digits.
fn mechanism(oid: &[u8]) -> String {
    let known = MECHANISMS.iter().find(|(bytes, _)| *bytes == oid).map(|(_, name)| (*name).to_owned());
    known.unwrap_or_else(|| format!("OID {}", HEXLOWER.encode(oid.get(..32).unwrap_or(oid))))
}

/// A Kerberos token behind its OID: `TOK_ID` (2), then the message.
fn token(bytes: &[u8]) -> Option<KerberosToken> {
    let mut at = Cursor::new(bytes);
    let kind = TokenId(at.u16_be("TOK_ID").ok()?);
    kind.name()?;
    let mut token =
        KerberosToken { kind, realm: None, service: None, error: None, status: None, server_time: None };
    match kind {
        TokenId::AP_REQ => {
            let body = Elements::of(at.rest()).next().and_then(|(_, body)| inside(body, SEQUENCE));
            let ticket = body.and_then(|body| field(body, 0xa3)).map(kerberos::ticket);
            (token.realm, token.service) = ticket.unwrap_or_default();
        }
        TokenId::ERROR => {
            if let Ok(error) = kerberos::message(at.rest()) {
                (token.realm, token.service) = (error.realm, error.service);
                (token.error, token.status) = (error.error, error.status);
                token.server_time = error.server_time;
            }
        }
        _ => {}
    }
    Some(token)
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, reason = "tests may panic")]
mod tests {
    use super::*;

    fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
        let body = parts.concat();
        let length = u16::try_from(body.len()).unwrap().to_be_bytes();
        [&[tag, 0x82][..], &length, &body].concat()
    }

    fn principal(parts: &[&str]) -> Vec<u8> {
        let parts: Vec<Vec<u8>> = parts.iter().map(|part| der(0x1b, &[part.as_bytes()])).collect();
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        der(SEQUENCE, &[&der(0xa0, &[&[2, 1, 2]]), &der(0xa1, &[&der(SEQUENCE, &parts)])])
    }

    fn krb5(kind: u16, message: &[u8]) -> Vec<u8> {
        der(GSS, &[&der(OID, &[MECHANISMS[0].0]), &kind.to_be_bytes(), message])
    }

    fn init(token: &[u8]) -> Vec<u8> {
        let types = der(
            SEQUENCE,
            &[&der(OID, &[MECHANISMS[1].0]), &der(OID, &[MECHANISMS[0].0]), &der(OID, &[MECHANISMS[3].0])],
        );
        let fields = der(SEQUENCE, &[&der(0xa0, &[&types]), &der(0xa2, &[&der(OCTETS, &[token])])]);
        der(GSS, &[&der(OID, &[SPNEGO]), &der(0xa0, &[&fields])])
    }

    #[test]
    fn an_init_offers_packages_and_shows_a_ticket() {
        let ticket = der(
            SEQUENCE,
            &[
                &der(0xa0, &[&[2, 1, 5]]),
                &der(0xa1, &[&der(0x1b, &[b"LAB.TEST"])]),
                &der(0xa2, &[&principal(&["TERMSRV", "rdsh1.lab.test"])]),
            ],
        );
        let request = der(0x6e, &[&der(SEQUENCE, &[&der(0xa3, &[&der(0x61, &[&ticket])])])]);
        let whole = init(&krb5(0x0100, &request));
        let read = spnego(&whole).unwrap();
        assert_eq!(read.offered, ["Kerberos", "NTLM"]);
        let token = read.kerberos.unwrap();
        assert_eq!((token.kind, token.realm.as_deref()), (TokenId::AP_REQ, Some("LAB.TEST")));
        assert_eq!(token.service.as_deref(), Some("TERMSRV/rdsh1.lab.test"));
        for end in 0..whole.len() {
            let _ = spnego(&whole[..end]);
        }
    }

    #[test]
    fn an_answer_has_a_state_a_choice_and_perhaps_an_error() {
        let error =
            der(0x7e, &[&der(SEQUENCE, &[&der(0xa6, &[&[2, 1, 37]]), &der(0xa9, &[&der(0x1b, &[b"LAB"])])])]);
        let fields = der(
            SEQUENCE,
            &[
                &der(0xa0, &[&[10, 1, 2]]),
                &der(0xa1, &[&der(OID, &[MECHANISMS[0].0])]),
                &der(0xa2, &[&der(OCTETS, &[&krb5(0x0300, &error)])]),
            ],
        );
        let read = spnego(&der(0xa1, &[&fields])).unwrap();
        assert_eq!(
            (read.state.and_then(NegState::name), read.chosen.as_deref()),
            (Some("reject"), Some("Kerberos"))
        );
        let token = read.kerberos.unwrap();
        assert_eq!((token.error, token.realm.as_deref()), (Some(KerberosError(37)), Some("LAB")));
        assert_eq!(spnego(b"NTLMSSP\0\x01\0\0\0"), None);
        assert_eq!(mechanism(&[1, 2]), "OID 0102");
    }
}
