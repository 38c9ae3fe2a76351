//! What each text of a fact is, so that it is known what of it tells who or where.

/// What a text of a fact is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// Words of this program, and fingerprints of programs: they stay.
    Own,
    /// Words of a specification or a program that the evidence chose, or a sentence of this program in which the evidence may
    /// be quoted: names that a field for names has go.
    Remark,
    /// Names and addresses: each part of it is one, but for the end of a domain such as `com`.
    Name,
    /// The name of a user: no end of a domain stands in it.
    User,
    /// Who issued a certificate: names, but for those of products that open TLS.
    Issuer,
    /// Words of a program, with names in between: what no table of this program knows goes.
    Free,
    /// The first line or the first bytes of a program: the same, and what it calls itself stays with its version.
    Banner,
    /// The name of a time zone, as Windows has it; another text goes.
    Zone,
    /// The `mstshash` cookie: a user's name, which some clients cut.
    Cookie,
    /// Tokens, identifiers, hashes and free prose: all of it goes.
    Opaque,
    /// The hash of a user's name.
    UserHash,
}

/// What the text of this fact and field is. One that nobody put here counts as `Name`, which lets nothing pass.
pub(super) fn kind((fact, field): (&str, &str)) -> Kind {
    listed(fact, field).unwrap_or(Kind::Name)
}

fn listed(fact: &str, field: &str) -> Option<Kind> {
    let found = FIELDS.binary_search_by(|(a, b, _)| (*a, *b).cmp(&(fact, field)));
    found.ok().and_then(|index| FIELDS.get(index)).map(|(.., kind)| *kind)
}

/// INVARIANT: sorted.
const FIELDS: &[(&str, &str, Kind)] = &[
    ("alert-logged", "process", Kind::Free),
    ("alert-logged", "target", Kind::Name),
    ("authentication-failed", "protocol", Kind::Remark),
    ("authentication-failed", "target", Kind::Name),
    ("broker", "says", Kind::Own),
    ("broker", "target", Kind::Name),
    ("certificate", "issuer", Kind::Issuer),
    ("certificate", "key", Kind::Remark),
    ("certificate", "names", Kind::Name),
    ("certificate", "sha1", Kind::Opaque),
    ("certificate", "sha256", Kind::Opaque),
    ("certificate", "signature", Kind::Remark),
    ("certificate", "subject", Kind::Name),
    ("certificate-problem", "says", Kind::Own),
    ("certificate-problem", "thumbprint", Kind::Opaque),
    ("channel-opened", "name", Kind::Remark),
    ("client-connecting", "name", Kind::Name),
    ("client-hello", "alpn", Kind::Remark),
    ("client-hello", "ja3", Kind::Own),
    ("client-hello", "ja4", Kind::Own),
    ("client-hello", "offered", Kind::Own),
    ("client-hello", "random", Kind::Opaque),
    ("client-hello", "sni", Kind::Name),
    ("client-hello", "versions", Kind::Own),
    ("client-info", "address", Kind::Name),
    ("client-info", "directory", Kind::Free),
    ("client-info", "time_zone", Kind::Remark),
    ("client-logged-on", "domain", Kind::Name),
    ("confirm-active", "sets", Kind::Own),
    ("connection-named", "name", Kind::Free),
    ("credssp", "packages", Kind::Remark),
    ("credssp", "token", Kind::Remark),
    ("credssp-version-refused", "target", Kind::Name),
    ("demand-active", "sets", Kind::Own),
    ("disconnect-traced", "component", Kind::Remark),
    ("disconnect-traced", "message", Kind::Free),
    ("duplicate-address", "macs", Kind::Name),
    ("explicit-credentials", "process", Kind::Free),
    ("explicit-credentials", "target", Kind::Name),
    ("finalizing", "pdu", Kind::Own),
    ("firewall", "process", Kind::Free),
    ("gateway", "resource", Kind::Name),
    ("gateway", "says", Kind::Own),
    ("gateway", "transport", Kind::Remark),
    ("gateway-authorization-asked", "client_name", Kind::Name),
    ("gateway-channel-asked", "target", Kind::Name),
    ("gateway-handshake", "version", Kind::Remark),
    ("gateway-message", "text", Kind::Opaque),
    ("gateway-refusal-sized", "transport", Kind::Own),
    ("gateway-request", "authorization", Kind::Remark),
    ("gateway-request", "correlation", Kind::Opaque),
    ("gateway-request", "host", Kind::Name),
    ("gateway-request", "method", Kind::Remark),
    ("gateway-request", "transport", Kind::Remark),
    ("gateway-status", "offers", Kind::Remark),
    ("gateway-status", "reason", Kind::Free),
    ("gateway-tunnel-sized", "transport", Kind::Own),
    ("host-clock", "by", Kind::Own),
    ("host-clock", "name", Kind::Name),
    ("host-stopped", "detail", Kind::Free),
    ("host-stopped", "says", Kind::Own),
    ("host-zone", "standard_bias", Kind::Own),
    ("host-zone", "zone", Kind::Zone),
    ("kerberos-failed", "realm", Kind::Name),
    ("kerberos-failed", "service", Kind::Name),
    ("kerberos-failed", "user", Kind::User),
    ("kerberos-granted", "service", Kind::Name),
    ("kerberos-ticket", "realm", Kind::Name),
    ("kerberos-ticket", "service", Kind::Name),
    ("key-inaccessible", "process", Kind::Free),
    ("license", "machine", Kind::Name),
    ("license", "product", Kind::Remark),
    ("license-problem", "detail", Kind::Free),
    ("license-problem", "says", Kind::Own),
    ("limit-reached", "limit", Kind::Remark),
    ("listener-accepted", "listener", Kind::Free),
    ("log-says", "detail", Kind::Free),
    ("log-says", "log", Kind::Own),
    ("log-says", "says", Kind::Own),
    ("logon", "logon_guid", Kind::Opaque),
    ("logon", "package", Kind::Remark),
    ("logon-failed", "package", Kind::Remark),
    ("logon-failed", "process", Kind::Free),
    ("lookup-failed", "name", Kind::Name),
    ("lookup-failed", "records", Kind::Own),
    ("mcs-connect-initial", "channels", Kind::Remark),
    ("mcs-connect-initial", "client_name", Kind::Name),
    ("mcs-connect-response", "certificate", Kind::Remark),
    ("mcs-refused", "what", Kind::Own),
    ("method", "method", Kind::Remark),
    ("method", "value", Kind::Free),
    ("multitransport", "detail", Kind::Free),
    ("multitransport", "says", Kind::Own),
    ("multitransport-request", "cookie_hash", Kind::Opaque),
    ("name-listed", "name", Kind::Name),
    ("name-not-resolved", "name", Kind::Name),
    ("name-resolved", "addresses", Kind::Name),
    ("name-resolved", "name", Kind::Name),
    ("no-shared-suite", "process", Kind::Free),
    ("no-shared-suite", "version", Kind::Remark),
    ("ntlm-blocked", "place", Kind::Remark),
    ("ntlm-blocked", "process", Kind::Free),
    ("ntlm-blocked", "target", Kind::Name),
    ("other-protocol", "protocol", Kind::Banner),
    ("peer-certificate-refused", "process", Kind::Free),
    ("peer-certificate-refused", "says", Kind::Own),
    ("policy-refused", "policy", Kind::Name),
    ("problem", "detail", Kind::Free),
    ("problem", "log", Kind::Own),
    ("problem", "says", Kind::Own),
    ("protocol-error", "component", Kind::Remark),
    ("proxy-answered", "says", Kind::Free),
    ("proxy-asked", "host", Kind::Name),
    ("proxy-asked", "user", Kind::User),
    ("rdsaad", "says", Kind::Own),
    ("rdstls", "domain", Kind::Name),
    ("rdstls", "says", Kind::Own),
    ("rdstls", "user", Kind::User),
    ("redirected", "address", Kind::Name),
    ("redirected", "addresses", Kind::Name),
    ("redirected", "domain", Kind::Name),
    ("redirected", "host", Kind::Name),
    ("redirected", "load_balance", Kind::Opaque),
    ("redirected", "user", Kind::User),
    ("request", "cookie", Kind::Cookie),
    ("request", "correlation", Kind::Opaque),
    ("request", "token", Kind::Opaque),
    ("server-certificate", "name", Kind::Name),
    ("server-certificate", "thumbprint", Kind::Opaque),
    ("server-hello", "alpn", Kind::Remark),
    ("server-hello", "ja3s", Kind::Own),
    ("service-problem", "detail", Kind::Free),
    ("service-problem", "log", Kind::Own),
    ("service-problem", "says", Kind::Own),
    ("service-unreached", "service", Kind::Own),
    ("session-bound", "name", Kind::Free),
    ("session-disconnected", "name", Kind::Free),
    ("session-info", "domain", Kind::Name),
    ("session-info", "user", Kind::User),
    ("session-reconnected", "name", Kind::Free),
    ("state-error", "event", Kind::Remark),
    ("state-error", "from", Kind::Remark),
    ("state-error", "machine", Kind::Remark),
    ("state-error", "to", Kind::Remark),
    ("target-named", "computer", Kind::Name),
    ("target-named", "domain", Kind::Name),
    ("tls-credential-failed", "process", Kind::Free),
    ("tls-established", "suite", Kind::Remark),
    ("tls-established", "target", Kind::Name),
    ("tls-established", "version", Kind::Remark),
    ("tunnel-request", "cookie_hash", Kind::Opaque),
    ("udp-syn", "cookie_hash", Kind::Opaque),
    ("udp-syn", "correlation", Kind::Opaque),
    ("user-name-hash", "hash", Kind::UserHash),
    ("user-named", "domain", Kind::Name),
    ("user-named", "target", Kind::Name),
    ("user-named", "user", Kind::User),
    ("user-named", "workstation", Kind::Name),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fact::What;

    #[test]
    fn every_text_of_every_fact_is_listed() {
        assert!(FIELDS.is_sorted_by_key(|(fact, field, _)| (*fact, *field)));
        let texts = What::FIELDS.iter().filter(|(.., text)| *text);
        let missing: Vec<_> = texts.filter(|(fact, field, _)| listed(fact, field).is_none()).collect();
        assert!(missing.is_empty(), "say in FIELDS what these hold: {missing:?}");
        let is_there = |(fact, field, _): &&(&str, &str, Kind)| {
            What::FIELDS.iter().any(|(a, b, text)| *text && a == fact && b == field)
        };
        assert_eq!(FIELDS.iter().filter(is_there).count(), FIELDS.len());
    }
}
