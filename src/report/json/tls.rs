//! TLS of a connection in the JSON document: both hellos, their fingerprints, and the server's certificate.

use serde::Serialize;

use crate::fact::{Side, What};
use crate::session::{Seen, Session};
use crate::wire::tls::{Suite, TlsVersion};

#[derive(Serialize, Default)]
pub(in crate::report) struct Tls<'a> {
    pub(in crate::report) version: Option<String>,
    pub(in crate::report) cipher: Option<String>,
    pub(in crate::report) sni: Option<&'a str>,
    pub(in crate::report) ja3: Option<&'a str>,
    pub(in crate::report) ja4: Option<&'a str>,
    pub(in crate::report) ja3s: Option<&'a str>,
    offered: Offered<'a>,
    pub(in crate::report) alpn: Option<&'a str>,
    pub(in crate::report) resumed: bool,
    pub(in crate::report) decrypted: bool,
    pub(in crate::report) certificate: Option<Certificate<'a>>,
}

/// What the ClientHello offers.
#[derive(Serialize, Default)]
struct Offered<'a> {
    versions: Vec<String>,
    ciphers: Vec<String>,
    alpn: Option<&'a str>,
    resume: bool,
}

#[derive(Serialize)]
pub(in crate::report) struct Certificate<'a> {
    subject: &'a str,
    issuer: &'a str,
    not_before: String,
    not_after: String,
    sha256: Option<&'a str>,
    key: &'a str,
    signature: &'a str,
    self_signed: bool,
    sha1: Option<&'a str>,
    names: Vec<&'a str>,
    automatic: bool,
}

impl Tls<'_> {
    /// Of a transport of which no more is told.
    pub(super) fn chosen(version: String, cipher: String, decrypted: bool) -> Self {
        Self { version: Some(version), cipher: Some(cipher), decrypted, ..Self::default() }
    }
}

/// What both hellos and the certificate say; of a handshake without an answer, what was offered.
pub(in crate::report) fn tls(session: &Session) -> Option<Tls<'_>> {
    let hello = session.find_last(|what| matches!(what, What::ClientHello { .. }));
    let answer = session.find(|what| matches!(what, What::ServerHello { .. }));
    if hello.is_none() && answer.is_none() {
        return None;
    }
    let decrypted = session.find(|what| matches!(what, What::TlsOpened { .. })).is_some();
    let mut told = Tls { decrypted, certificate: certificate(session), ..Tls::default() };
    if let Some(What::ClientHello { sni, offered, versions, alpn, resumes, ja3, ja4, .. }) =
        hello.map(Seen::what)
    {
        (told.sni, told.ja3, told.ja4) = (sni.as_deref(), ja3.as_deref(), ja4.as_deref());
        told.offered = Offered {
            versions: numbers(versions.as_deref().unwrap_or_default())
                .map(|version| TlsVersion(version).words())
                .collect(),
            ciphers: numbers(offered).map(|suite| Suite(suite).words()).collect(),
            alpn: alpn.as_deref(),
            resume: *resumes,
        };
    }
    if let Some(What::ServerHello { version, suite, resumed, alpn, ja3s }) = answer.map(Seen::what) {
        (told.version, told.cipher) = (Some(version.words()), Some(suite.words()));
        (told.resumed, told.alpn, told.ja3s) = (*resumed, alpn.as_deref(), ja3s.as_deref());
    }
    Some(told)
}

/// Numbers of 4 hexadecimal digits each, separated by commas.
fn numbers(list: &str) -> impl Iterator<Item = u16> {
    list.split(',').filter_map(|digits| u16::from_str_radix(digits, 16).ok())
}

/// The server's certificate.
fn certificate(session: &Session) -> Option<Certificate<'_>> {
    session.facts.iter().find_map(|seen| match seen.what() {
        What::Certificate {
            by: Side::Server,
            subject,
            issuer,
            not_before,
            not_after,
            self_signed,
            key,
            signature,
            names,
            sha1,
            sha256,
            automatic,
        } => Some(Certificate {
            subject,
            issuer,
            not_before: not_before.to_string(),
            not_after: not_after.to_string(),
            sha256: sha256.as_deref(),
            key,
            signature,
            self_signed: *self_signed,
            sha1: sha1.as_deref(),
            names: names.as_deref().map(|names| names.split(',').collect()).unwrap_or_default(),
            automatic: *automatic,
        }),
        _ => None,
    })
}
