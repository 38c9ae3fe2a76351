//! TLS of a connection in the JSON document: both hellos, their fingerprints, and the server's certificate.

use serde::Serialize;

use crate::fact::{Side, What};
use crate::session::{Seen, Session};
use crate::wire::tls::{Suite, TlsVersion};

#[derive(Serialize)]
pub(super) struct Tls<'a> {
    version: Option<String>,
    cipher: Option<String>,
    sni: Option<&'a str>,
    ja3: Option<&'a str>,
    ja4: Option<&'a str>,
    ja3s: Option<&'a str>,
    offered: Offered<'a>,
    alpn: Option<&'a str>,
    resumed: bool,
    decrypted: bool,
    certificate: Option<Certificate<'a>>,
}

/// What the ClientHello offers.
#[derive(Serialize)]
struct Offered<'a> {
    versions: Vec<String>,
    ciphers: Vec<String>,
    alpn: Option<&'a str>,
    resume: bool,
}

#[derive(Serialize)]
struct Certificate<'a> {
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

/// What both hellos and the certificate say; of a handshake without an answer, what was offered.
pub(super) fn tls(session: &Session) -> Option<Tls<'_>> {
    let hello = session.find_last(|what| matches!(what, What::ClientHello { .. }));
    let answer = session.find(|what| matches!(what, What::ServerHello { .. }));
    if hello.is_none() && answer.is_none() {
        return None;
    }
    let mut told = Tls {
        version: None,
        cipher: None,
        sni: None,
        ja3: None,
        ja4: None,
        ja3s: None,
        offered: Offered { versions: Vec::new(), ciphers: Vec::new(), alpn: None, resume: false },
        alpn: None,
        resumed: false,
        decrypted: session.find(|what| matches!(what, What::TlsOpened { .. })).is_some(),
        certificate: certificate(session),
    };
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
