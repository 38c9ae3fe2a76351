//! Targets of key logs, and of the decoders of what stands in opened records.

use rdpwhy::wire::credssp::ts_request;
use rdpwhy::wire::keylog::{KeyLog, Line, line, starts_key_log};
use rdpwhy::wire::licensing::message;
use rdpwhy::wire::ntlm as nlmp;
use rdpwhy::wire::ntlm::Ntlm;
use rdpwhy::wire::spnego as mechanisms;
use rdpwhy::wire::{rdsaad as entra, rdstls as redirected};

/// Bytes of the longest secret.
const SECRET_BYTES_MAX: usize = 64;

/// A key log: every line counted once, and every secret found again by its random.
pub fn keylog(bytes: &[u8]) {
    let mut log = KeyLog::default();
    let added = log.add(bytes);
    let lines = u64::try_from(bytes.split(|byte| *byte == b'\n').count()).unwrap();
    assert!(added.secrets + added.bad_lines + added.left_out <= lines, "{added:?} of {lines} lines");
    assert_eq!(log.is_empty(), added.secrets == 0, "{added:?}");
    for text in bytes.split(|byte| *byte == b'\n') {
        if let Line::Secret(label, random, secret) = line(text) {
            assert!((1..=SECRET_BYTES_MAX).contains(&secret.len()), "{} bytes", secret.len());
            assert!(log.secret(&random, label).is_some(), "a secret was lost");
        }
    }
    let _ = starts_key_log(bytes);
}

/// `TSRequest`s one after the other, and the names in their NTLM messages.
pub fn credssp(bytes: &[u8]) {
    let mut rest = bytes;
    while let Ok((request, length)) = ts_request(rest) {
        assert!((2..=rest.len()).contains(&length), "a request of {length} bytes out of {}", rest.len());
        assert!(request.ntlm.is_none() || request.has_tokens, "an NTLM message without tokens");
        assert!(request.spnego.is_none() || request.has_tokens, "a SPNEGO message without tokens");
        rest = rest.get(length..).unwrap_or_default();
    }
}

/// An NTLM message.
pub fn ntlm(bytes: &[u8]) {
    let names = match nlmp::ntlm(bytes) {
        Some(Ntlm::Challenge { computer, domain, .. }) => vec![computer, domain],
        Some(Ntlm::Authenticate { user, domain, workstation, target, .. }) => {
            vec![user, domain, workstation, target]
        }
        Some(Ntlm::Negotiate { .. } | Ntlm::Other(_)) | None => Vec::new(),
    };
    for name in names.into_iter().flatten() {
        // A name of bytes that are no text grows: each becomes a replacement character of three bytes.
        assert!(!name.is_empty() && name.len() <= 3 * bytes.len(), "a name of {} bytes", name.len());
    }
}

/// SPNEGO and the Kerberos tokens inside.
pub fn spnego(bytes: &[u8]) {
    if let Some(read) = mechanisms::spnego(bytes) {
        assert!(read.offered.len() <= 16, "{} packages", read.offered.len());
        assert!(read.kerberos.is_none_or(|token| token.kind.name().is_some()));
    }
}

/// RDSTLS PDUs one after the other.
pub fn rdstls(bytes: &[u8]) {
    let mut rest = bytes;
    while let Ok((_, length)) = redirected::pdu(rest) {
        assert!((6..=rest.len()).contains(&length), "a PDU of {length} bytes out of {}", rest.len());
        rest = rest.get(length..).unwrap_or_default();
    }
}

/// RDSAAD messages one after the other.
pub fn rdsaad(bytes: &[u8]) {
    let mut rest = bytes;
    while let Ok((_, length)) = entra::message(rest) {
        assert!((2..=rest.len()).contains(&length), "a message of {length} bytes out of {}", rest.len());
        rest = rest.get(length..).unwrap_or_default();
    }
}

/// A licensing message.
pub fn licensing(bytes: &[u8]) {
    if let Some(read) = message(bytes) {
        assert!(bytes.first() == Some(&read.kind.0), "another type than the bytes have");
        assert!(read.error.is_none() || bytes.len() >= 8, "a code out of {} bytes", bytes.len());
    }
}
