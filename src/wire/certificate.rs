//! Facts of an X.509 certificate (RFC 5280), read by `x509-parser`.

use std::net::IpAddr;

use data_encoding::HEXLOWER;
use sha1::{Digest, Sha1};
use sha2::Sha256;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};
use x509_parser::public_key::PublicKey;

use super::cursor::WireError;
use crate::time::UnixNanos;

/// What a certificate says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// Subject, as an RFC 4514 string.
    pub subject: String,
    /// Issuer, as an RFC 4514 string.
    pub issuer: String,
    /// Start of validity.
    pub not_before: UnixNanos,
    /// End of validity.
    pub not_after: UnixNanos,
    /// Subject and issuer are the same.
    pub self_signed: bool,
    /// Key algorithm and size in bits, for instance `RSA 2048`.
    pub key: String,
    /// Signature algorithm, for instance `sha256WithRSAEncryption`.
    pub signature: String,
    /// DNS names and addresses of the subject alternative name, in their order.
    pub names: Vec<String>,
    /// SHA-1 of the certificate in hexadecimal digits: the thumbprint as Windows shows it.
    pub sha1: String,
    /// SHA-256 of the certificate in hexadecimal digits.
    pub sha256: String,
    /// It has the shape of those that Windows makes for Remote Desktop by itself.
    pub automatic: bool,
}

/// Names kept of one certificate.
const NAMES_MAX: usize = 16;
/// Days that a certificate made by Windows for Remote Desktop is valid: half a year (measured: 182 to 184).
const AUTOMATIC_DAYS: std::ops::RangeInclusive<i64> = 180..=186;

/// Reads a certificate from DER.
///
/// # Errors
/// [`WireError::Invalid`] when it is not a certificate.
pub fn certificate(der: &[u8]) -> Result<Certificate, WireError> {
    let found = u64::try_from(der.len()).unwrap_or(u64::MAX);
    let (_, read) =
        X509Certificate::from_der(der).map_err(|_| WireError::Invalid { what: "certificate", found })?;
    let nanos = |seconds: i64| UnixNanos(seconds.saturating_mul(1_000_000_000));
    Ok(Certificate {
        subject: read.subject().to_string(),
        issuer: read.issuer().to_string(),
        not_before: nanos(read.validity().not_before.timestamp()),
        not_after: nanos(read.validity().not_after.timestamp()),
        self_signed: read.subject() == read.issuer(),
        key: key(&read),
        signature: signature(&read),
        names: names(&read),
        sha1: HEXLOWER.encode(&Sha1::digest(der)),
        sha256: HEXLOWER.encode(&Sha256::digest(der)),
        automatic: is_automatic(&read),
    })
}

fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else { return Vec::new() };
    let named = extension.value.general_names.iter().filter_map(|name| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => address(bytes),
        _ => None,
    });
    named.take(NAMES_MAX).collect()
}

fn address(bytes: &[u8]) -> Option<String> {
    let v4 = <[u8; 4]>::try_from(bytes).map(|bytes| IpAddr::from(bytes).to_string());
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(|bytes| IpAddr::from(bytes).to_string())).ok()
}

/// Self-signed, a common name and nothing else, no alternative names, valid for half a year (measured with the public
/// captures of Windows 10 and of Windows Server).
fn is_automatic(certificate: &X509Certificate<'_>) -> bool {
    let validity = certificate.validity();
    let seconds = validity.not_after.timestamp().saturating_sub(validity.not_before.timestamp());
    let only_name = certificate.subject().iter_attributes().count() == 1
        && certificate.subject().iter_common_name().next().is_some();
    certificate.subject() == certificate.issuer()
        && only_name
        && matches!(certificate.subject_alternative_name(), Ok(None))
        && AUTOMATIC_DAYS.contains(&seconds.div_euclid(86_400))
}

fn key(certificate: &X509Certificate<'_>) -> String {
    match certificate.public_key().parsed() {
        Ok(PublicKey::RSA(key)) => format!("RSA {}", bits(key.modulus)),
        // Curve P-521 has coordinates of 521 bits, written in whole bytes.
        Ok(PublicKey::EC(key)) if key.key_size() == 528 => "EC 521".to_owned(),
        Ok(PublicKey::EC(key)) => format!("EC {}", key.key_size()),
        Ok(_) => "other".to_owned(),
        Err(_) => "unreadable".to_owned(),
    }
}

/// Bits of a big-endian number, leading zeros not counted.
fn bits(number: &[u8]) -> usize {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    let Some(first) = number.get(zeros) else { return 0 };
    let unused = usize::try_from(first.leading_zeros()).unwrap_or(0);
    number.len().saturating_sub(zeros).saturating_mul(8).saturating_sub(unused)
}

fn signature(certificate: &X509Certificate<'_>) -> String {
    let oid = &certificate.signature_algorithm.algorithm;
    if oid.as_bytes().is_empty() {
        return "unreadable".to_owned();
    }
    x509_parser::objects::oid2sn(oid, x509_parser::objects::oid_registry())
        .map_or_else(|_| oid.to_id_string(), ToOwned::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_sizes_are_those_of_the_number() {
        assert_eq!(bits(&[0, 0x80, 0]), 16);
        assert_eq!(bits(&[0x7f, 0xff]), 15);
        assert_eq!((bits(&[]), bits(&[0])), (0, 0));
    }
}
