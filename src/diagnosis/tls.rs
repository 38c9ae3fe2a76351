//! Why the TLS handshake failed.

use super::{Case, Doubt, Evidence, NOT_SEEN, Rule, Support, Weighing};
use crate::fact::{Side, What};
use crate::session::{Seen, Session};
use crate::step::Step;
use crate::wire::negotiation::Protocols;
use crate::wire::tls::AlertDescription;

const SERVER_SCHANNEL: &str = "System log of the server (`wevtutil epl System System.evtx`): Schannel 36870, 36871, 36874, 36888 in the same second";
pub(super) const CLIENT_CAPI2: &str = "CAPI2/Operational of the client (`wevtutil sl Microsoft-Windows-CAPI2/Operational /e:true` before the next try): 11 and 30 name the certificate error";

/// Words in an issuer that name a product which opens TLS.
pub(crate) const INSPECTORS: &[&str] = &[
    "Fortinet",
    "FortiGate",
    "Zscaler",
    "Palo Alto",
    "Blue Coat",
    "Symantec Web",
    "Sophos",
    "Check Point",
    "Netskope",
    "Umbrella",
    "WatchGuard",
    "Barracuda",
    "SonicWall",
    "McAfee Web",
    "Forcepoint",
    "mitmproxy",
    "Kaspersky",
    "ESET SSL",
    "Avast",
    "Bitdefender",
];

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "tls-version-mismatch",
        step: Some(Step::Tls),
        cause: "client and server have no TLS version in common",
        fix: "enable TLS 1.2 on both sides: SCHANNEL\\Protocols\\TLS 1.2\\{Client,Server} with Enabled=1 and DisabledByDefault=0; on Windows 7 install KB3080079",
        refs: &["RFC 8446 6.2"],
        seen: &["fail-tls-version-server12-client10"],
        weigh: |case| {
            let sent = alert(case, &[AlertDescription::PROTOCOL_VERSION])?;
            Some(Weighing::of(Evidence::Code, sent).and(hello(case)).and(newer_elsewhere(case)))
        },
    },
    Rule {
        id: "tls-cipher-mismatch",
        step: Some(Step::Tls),
        cause: "client and server have no cipher suite, group or signature algorithm in common",
        fix: "reset the policy `SSL Cipher Suite Order` on both sides and reboot; `Get-TlsCipherSuite | ft Name`; allow ECDHE with AES-GCM; check the order of curves",
        refs: &["RFC 8446 6.2"],
        seen: &["fail-tls-no-shared-cipher"],
        weigh: |case| {
            let codes = [AlertDescription::HANDSHAKE_FAILURE, AlertDescription::INSUFFICIENT_SECURITY];
            let unshared = case.find(|what| matches!(what, What::NoSharedSuite { .. }));
            let sent = alert(case, &codes).or(unshared.filter(|_| !is_behind_tls(case)))?;
            let (not_offered, offered) = match chosen_elsewhere(case) {
                Some((seen, true)) => (None, Some(seen)),
                Some((seen, false)) => (Some(seen), None),
                None => (None, None),
            };
            let weighing =
                Weighing::of(Evidence::Told, sent).and(hello(case)).surer(not_offered, Support::Slight);
            Some(weighing.unless(offered, Doubt::Clear).missing(SERVER_SCHANNEL))
        },
    },
    Rule {
        id: "fips-mismatch",
        step: Some(Step::Tls),
        cause: "one side runs in FIPS mode and the other offers no approved cipher suite",
        fix: "compare `HKLM\\SYSTEM\\CurrentControlSet\\Control\\Lsa\\FipsAlgorithmPolicy` of both sides; use TLS 1.2 with AES-GCM suites",
        refs: &["MS-RDPBCGR 5.3.2"],
        seen: NOT_SEEN,
        weigh: |case| {
            Some(
                Weighing::of(Evidence::Remark, alert(case, &[AlertDescription::HANDSHAKE_FAILURE])?)
                    .missing(SERVER_SCHANNEL),
            )
        },
    },
    Rule {
        id: "cert-expired",
        step: Some(Step::Tls),
        cause: "the server's certificate has expired",
        fix: "renew it: for the self-signed one delete it in the store `Remote Desktop` and `Restart-Service TermService -Force`; for an issued one renew it and set its thumbprint \
              (`wmic /namespace:\\\\root\\cimv2\\TerminalServices PATH Win32_TSGeneralSetting Set SSLCertificateSHA1Hash=\"THUMBPRINT\"`)",
        refs: &["RFC 5280 4.1.2.5", "RFC 8446 6.2"],
        seen: &["fail-tls-cert-expired"],
        weigh: |case| {
            if case.session.is_outside_gateway() {
                return None;
            }
            let sent = alert(case, &[AlertDescription::CERTIFICATE_EXPIRED]);
            match (sent, out_of_date(case)) {
                (Some(sent), Some(dates)) => Some(Weighing::of(Evidence::Code, sent).and(Some(dates))),
                (Some(sent), None) => Some(
                    Weighing::of(Evidence::Told, sent)
                        .unless(in_date(case), Doubt::Strong)
                        .missing(CLIENT_CAPI2),
                ),
                (None, Some(dates)) => refused_certificate(case)
                    .map(|end| Weighing::of(Evidence::Shape, dates).and(Some(end)).missing(CLIENT_CAPI2)),
                (None, None) => None,
            }
        },
    },
    Rule {
        id: "cert-time",
        step: Some(Step::Tls),
        cause: "the clock of one side makes a valid certificate look expired or not yet valid",
        fix: "`w32tm /query /status` and `w32tm /resync` on both sides",
        refs: &["RFC 5280 4.1.2.5"],
        seen: NOT_SEEN,
        weigh: |case| {
            let sent = alert(case, &[AlertDescription::CERTIFICATE_EXPIRED])?;
            Some(
                Weighing::of(Evidence::Shape, in_date(case)?)
                    .and(Some(sent))
                    .missing("the clock of the client at that time (`w32tm /query /status`)"),
            )
        },
    },
    Rule {
        id: "cert-untrusted",
        step: Some(Step::Tls),
        cause: "the client does not accept the server's certificate: its issuer is not trusted, or its name is another",
        fix: "give the server a certificate of an authority that the client trusts, with the name that the client types; deploy it by the policy `Server authentication certificate template`; or accept it once",
        refs: &["RFC 8446 6.2"],
        seen: &["fail-tls-cert-wrong-cn", "fail-tls-freerdp-cert-deny"],
        weigh: cert_untrusted,
    },
    Rule {
        id: "cert-weak",
        step: Some(Step::Tls),
        cause: "the certificate is refused for its weak key or signature",
        fix: "renew it with SHA-256 and RSA 2048 or better",
        refs: &["RFC 9155", "RFC 8446 6.2"],
        seen: NOT_SEEN,
        weigh: |case| {
            let weak = case.find(is_weak)?;
            let codes = [
                AlertDescription::BAD_CERTIFICATE,
                AlertDescription::UNSUPPORTED_CERTIFICATE,
                AlertDescription::CERTIFICATE_UNKNOWN,
                AlertDescription::DECRYPT_ERROR,
                AlertDescription::INSUFFICIENT_SECURITY,
            ];
            let end = alert(case, &codes).or_else(|| refused_certificate(case))?;
            let told = matches!(end.what(), What::Alert { .. });
            Some(
                Weighing::of(if told { Evidence::Mark } else { Evidence::Even }, weak)
                    .and(Some(end))
                    .missing(CLIENT_CAPI2),
            )
        },
    },
    Rule {
        id: "server-key-inaccessible",
        step: Some(Step::Tls),
        cause: "the server cannot use the private key of its RDP certificate",
        fix: "on the server: `icacls C:\\ProgramData\\Microsoft\\Crypto\\RSA\\MachineKeys\\f686aace*` must give NETWORK SERVICE read and SYSTEM full control; or rename that file and `Restart-Service TermService -Force`",
        refs: &["RFC 8446 6.2"],
        seen: NOT_SEEN,
        weigh: |case| {
            let logged = case.find(|what| matches!(what, What::KeyInaccessible { server: true, .. }));
            if let Some(logged) = logged.filter(|_| !is_behind_tls(case)) {
                return Some(Weighing::of(Evidence::Code, logged).and(hello(case)));
            }
            let told = alert(case, &[AlertDescription::INTERNAL_ERROR]).is_some();
            let kind = if told { Evidence::Shape } else { Evidence::Even };
            Some(Weighing::of(kind, server_gave_up_at_hello(case)?).and(hello(case)).missing(SERVER_SCHANNEL))
        },
    },
    Rule {
        id: "tls-inspection",
        step: Some(Step::Tls),
        cause: "a device opens TLS on the way: CredSSP binds itself to the server's key and fails",
        fix: "exempt RDP (and the RD Gateway) from TLS inspection on the device whose certificate the client gets",
        refs: &["MS-CSSP 3.1.5"],
        seen: &["fail-tls-inspection-breaks-credssp"],
        weigh: tls_inspection,
    },
    Rule {
        id: "nat-wrong-target",
        step: Some(Step::Tls),
        cause: "the address or port leads to another host: its certificate names another machine",
        fix: "compare the certificate's name with the intended host; correct the NAT or port forwarding rule, or the DNS record",
        refs: &["RFC 6066 3"],
        seen: NOT_SEEN,
        weigh: |case| {
            if case.session.broke_at > Some(Step::Mcs) {
                return None;
            }
            let weighing = Weighing::of(Evidence::Possible, other_name(case)?).and(hello(case));
            Some(
                weighing.surer(other_certificate_before(case), Support::Strong).missing(
                    "the thumbprint of the intended host's certificate (event 1056 in its System log, `wevtutil epl System System.evtx`)",
                ),
            )
        },
    },
    Rule {
        id: "stream-corruption",
        step: Some(Step::Tls),
        cause: "bytes were changed on the way: a record or signature does not verify",
        fix: "switch offloading off for a test (`Disable-NetAdapterLso`, `Disable-NetAdapterChecksumOffload`), update the network driver; look for a device that rewrites packets",
        refs: &["RFC 8446 6.2"],
        seen: NOT_SEEN,
        weigh: |case| {
            Some(
                Weighing::of(
                    Evidence::Even,
                    alert(
                        case,
                        &[AlertDescription(20), AlertDescription(21), AlertDescription::DECRYPT_ERROR],
                    )?,
                )
                .missing("a capture at the other end (`pktmon start --capture` or `tcpdump -w FILE`): its bytes must be the same"),
            )
        },
    },
];

/// A fatal alert on the wire, or the record that Schannel wrote of it.
fn alert<'a>(case: &Case<'a>, codes: &[AlertDescription]) -> Option<&'a Seen> {
    case.find(|what| match what {
        What::Alert { code, fatal: true, .. } | What::TlsAlertLogged { code, .. } => codes.contains(code),
        _ => false,
    })
    .filter(|_| !is_behind_tls(case))
}

/// The connection came further than the handshake: what Schannel logs in that second is of another one.
fn is_behind_tls(case: &Case<'_>) -> bool {
    case.session.broke_at.is_none_or(|step| step > Step::Mcs)
}

fn hello<'a>(case: &Case<'a>) -> Option<&'a Seen> {
    case.find(|what| matches!(what, What::ClientHello { .. }))
}

fn dates(seen: &Seen) -> Option<bool> {
    let What::Certificate { by: Side::Server, not_before, not_after, .. } = seen.what() else { return None };
    Some(seen.fact.at < *not_before || seen.fact.at > *not_after)
}

/// By the clocks of all that saw the certificate: where they disagree, one of them is wrong and nobody knows which.
fn out_of_date<'a>(case: &Case<'a>) -> Option<&'a Seen> {
    if in_date(case).is_some() {
        return None;
    }
    case.session.facts.iter().find(|seen| dates(seen) == Some(true))
}

fn in_date<'a>(case: &Case<'a>) -> Option<&'a Seen> {
    case.session.facts.iter().find(|seen| dates(seen) == Some(false))
}

fn is_weak(what: &What) -> bool {
    let What::Certificate { by: Side::Server, key, signature, .. } = what else { return false };
    let bits = key.strip_prefix("RSA ").and_then(|bits| bits.parse::<u32>().ok());
    let signature = signature.to_ascii_lowercase();
    bits.is_some_and(|bits| bits < 2048) || signature.contains("md5") || signature.contains("sha1")
}

/// The client ended the handshake, or the connection right behind it, without saying why in clear.
pub(super) fn refused_certificate<'a>(case: &Case<'a>) -> Option<&'a Seen> {
    let (by, end) = case.ended_by()?;
    let said_nothing = case.find(|what| {
        matches!(
            what,
            What::CredsspMessage { .. }
                | What::RdstlsMessage { .. }
                | What::EntraMessage { .. }
                | What::McsConnectInitial { .. }
        )
    });
    let server_spoke = case.find(|what| matches!(what, What::ServerHello { .. }));
    (by == Side::Client && said_nothing.is_none() && server_spoke.is_some() && !went_on(case)).then_some(end)
}

/// The client asked a domain controller for this connection: it was content with the certificate.
fn went_on(case: &Case<'_>) -> bool {
    let session = case.session;
    session
        .facts
        .iter()
        .any(|seen| seen.fact.subject.connection().is_some() && session.is_decided_by_kerberos(seen))
}

/// Alerts with which a client refuses a certificate for anything but its dates.
const UNTRUSTED: [AlertDescription; 5] = [
    AlertDescription::UNKNOWN_CA,
    AlertDescription::CERTIFICATE_UNKNOWN,
    AlertDescription::BAD_CERTIFICATE,
    AlertDescription::UNSUPPORTED_CERTIFICATE,
    AlertDescription::CERTIFICATE_REVOKED,
];

/// The alert of a client that does not accept the certificate.
pub(super) fn certificate_alert<'a>(case: &Case<'a>) -> Option<&'a Seen> {
    case.find(|what| match what {
        What::Alert { by: Side::Client, code, fatal: true } => {
            UNTRUSTED.contains(code) || *code == AlertDescription::CERTIFICATE_EXPIRED
        }
        _ => false,
    })
}

/// A certificate that says of itself why a client may refuse it: its dates, its name, or that nobody else signed it.
pub(super) fn wrong_certificate<'a>(case: &Case<'a>) -> Option<&'a Seen> {
    let self_signed = || case.find(|what| matches!(what, What::Certificate { self_signed: true, .. }));
    out_of_date(case).or_else(|| other_name(case)).or_else(self_signed)
}

fn cert_untrusted(case: &Case<'_>) -> Option<Weighing> {
    if case.session.is_outside_gateway() {
        return None;
    }
    let mismatch = other_name(case);
    let before = other_certificate_before(case);
    if let Some(sent) = alert(case, &UNTRUSTED) {
        let names = matches!(sent.what(), What::Alert { code: AlertDescription::UNKNOWN_CA, .. });
        let kind = if names { Evidence::Told } else { Evidence::SharedCode };
        return Some(
            Weighing::of(kind, sent)
                .surer(mismatch, Support::Slight)
                .surer(before, Support::Slight)
                .missing(CLIENT_CAPI2),
        );
    }
    let end = refused_certificate(case)?;
    let self_signed = case.find(|what| matches!(what, What::Certificate { self_signed: true, .. }));
    let weighing = Weighing::of(Evidence::Even, end)
        .surer(self_signed, Support::Clear)
        .surer(mismatch, Support::Slight)
        .surer(before, Support::Clear);
    Some(
        weighing
            .unless(super::credssp::client_waited(case), Doubt::Slight)
            .unless(asked_without_nla(case), Doubt::Strong)
            .missing(CLIENT_CAPI2),
    )
}

/// The client came back and asked for less: it minds NLA, not the certificate, which it would have been shown again.
fn asked_without_nla<'a>(case: &Case<'a>) -> Option<&'a Seen> {
    let later = case.attempt.iter().filter(|session| session.start > case.session.start);
    let less = |what: &What| matches!(what, What::ConnectionRequest { protocols: Some(asked), .. } if asked.0 & Protocols::SSL.0 != 0 && !asked.is_nla());
    later.filter_map(|session| session.find(less)).next()
}

/// Neither the subject nor the alternative names of the certificate hold the name that the client asked for.
fn other_name<'a>(case: &Case<'a>) -> Option<&'a Seen> {
    let asked = case.session.facts.iter().find_map(|seen| match seen.what() {
        What::ClientHello { sni: Some(name), .. } => Some(name.to_ascii_lowercase()),
        _ => None,
    })?;
    if asked.is_empty() || asked.parse::<std::net::IpAddr>().is_ok() {
        return None;
    }
    case.find(|what| match what {
        What::Certificate { by: Side::Server, subject, names, .. } => {
            let subject = subject.to_ascii_lowercase();
            let names = names.as_deref().unwrap_or_default().to_ascii_lowercase();
            let common = subject.split(", ").filter_map(|part| part.strip_prefix("cn="));
            !common.chain(names.split(',')).any(|name| covers(name, &asked))
        }
        _ => false,
    })
}

/// Does a certificate's name stand for the host asked for? People type the host alone, too, so its first label is enough.
fn covers(name: &str, asked: &str) -> bool {
    let host = |name: &str| name.split('.').next().unwrap_or_default().to_owned();
    let domain = asked.split_once('.').map(|(_, domain)| domain);
    name.strip_prefix("*.").is_some_and(|any| domain.is_none_or(|domain| domain == any))
        || host(name) == host(asked)
}

/// The certificate that the same server showed in an earlier connection, when it was another one.
fn other_certificate_before<'a>(case: &Case<'a>) -> Option<&'a Seen> {
    let own = case.session.facts.iter().find_map(|seen| thumbprint(seen.what()))?;
    same_server(case)
        .filter(|other| other.start < case.session.start)
        .find_map(|other| other.find(|what| thumbprint(what).is_some_and(|thumbprint| thumbprint != own)))
}

fn thumbprint(what: &What) -> Option<&str> {
    match what {
        What::Certificate { by: Side::Server, sha256, .. } => sha256.as_deref(),
        _ => None,
    }
}

/// The other connections to the same address and port.
fn same_server<'a>(case: &Case<'a>) -> impl Iterator<Item = &'a Session> + use<'a> {
    let (own, story) = (case.session, case.story);
    let server = own.server();
    story
        .sessions
        .iter()
        .filter(move |other| server.is_some() && other.server() == server && other.id != own.id)
}

/// The suite that the same server chose in another connection, and whether this client offers it.
fn chosen_elsewhere<'a>(case: &Case<'a>) -> Option<(&'a Seen, bool)> {
    let offered = offers(hello(case)?)?;
    same_server(case).find_map(|other| {
        let answer = other.find(|what| matches!(what, What::ServerHello { .. }))?;
        let What::ServerHello { suite, .. } = answer.what() else { return None };
        let suite = format!("{:04x}", suite.0);
        Some((answer, offered.split(',').any(|one| one == suite)))
    })
}

/// A newer version than this client offers, chosen by the same server in another connection.
fn newer_elsewhere<'a>(case: &Case<'a>) -> Option<&'a Seen> {
    let What::ClientHello { version: highest, .. } = hello(case)?.what() else { return None };
    let newer = |what: &What| matches!(what, What::ServerHello { version, .. } if version > highest);
    same_server(case).find_map(|other| other.find(newer))
}

/// The server answered the ClientHello with an internal error, a FIN or a reset of its own, and no ServerHello.
pub(super) fn server_gave_up_at_hello<'a>(case: &Case<'a>) -> Option<&'a Seen> {
    let answered = case.find(|what| matches!(what, What::ServerHello { .. }));
    if answered.is_some()
        || !case.failed_at(Step::Tls)
        || hello(case).is_none()
        || case.foreign_reset().is_some()
    {
        return None;
    }
    alert(case, &[AlertDescription::INTERNAL_ERROR]).or_else(|| {
        let (by, seen) = case.ended_by()?;
        let is_close = matches!(seen.what(), What::Closed { .. } | What::Reset { .. });
        (by == Side::Server && is_close).then_some(seen)
    })
}

/// The other half of this connection, behind a device that opens TLS, was seen by another witness; or the issuer is a
/// product that opens TLS.
fn tls_inspection(case: &Case<'_>) -> Option<Weighing> {
    let hello = hello(case)?;
    let failed_behind = case.failed_at(Step::Credssp) || case.failed_at(Step::Tls);
    if !failed_behind {
        return None;
    }
    if let Some(other) = other_half(case, hello) {
        return Some(Weighing::of(Evidence::BothEnds, hello).and(Some(other)));
    }
    let issuer = case.find(|what| {
        matches!(what, What::Certificate { by: Side::Server, issuer, .. } if INSPECTORS.iter().any(|name| issuer.contains(name)))
    })?;
    let refused = case.find(|what| matches!(what, What::CredsspRefused { .. }));
    let weighing = Weighing::of(Evidence::Shape, issuer).surer(refused, Support::Strong);
    Some(weighing.missing("a capture on the server (`pktmon start --capture` or `tcpdump -w FILE`): another certificate there proves the inspection"))
}

/// The ClientHello of a session that another witness saw of the same attempt, at the same time, with the same X.224
/// request, to the same server, and with other cipher suites: the same person's connection, opened on the way.
fn other_half<'a>(case: &Case<'a>, hello: &Seen) -> Option<&'a Seen> {
    let request = case.find(|what| matches!(what, What::ConnectionRequest { .. }))?;
    let witness = |session: &Session| session.connections.first().map(|c| c.witness_index);
    case.attempt.iter().copied().find_map(|other| {
        let elsewhere = witness(other) != witness(case.session);
        let overlaps = other.start <= case.session.end && case.session.start <= other.end;
        let same_request = other.find(|what| what == request.what()).is_some();
        let their_hello = other.find(|what| matches!(what, What::ClientHello { .. }))?;
        (elsewhere && overlaps && same_request && offers(their_hello) != offers(hello)).then_some(their_hello)
    })
}

fn offers(hello: &Seen) -> Option<&str> {
    match hello.what() {
        What::ClientHello { offered, .. } => Some(offered),
        _ => None,
    }
}
