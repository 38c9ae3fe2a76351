//! What is not as in the last success of the same client and server makes the causes surer that it would explain, and
//! what is as it was then makes others less so.

use super::{Case, Doubt, Support, Weighing};
use crate::session::{Aspect, compared};

/// Causes that a change of an aspect would explain. What the certificate was before weighs in the rules of `tls`, whoever
/// the client was, and is not counted twice.
const EXPLAINS: &[(Aspect, &[&str])] = &[
    (Aspect::Security, &["hybrid-required", "ssl-required", "ssl-not-allowed", "negotiation-altered"]),
    (
        Aspect::Offered,
        &["hybrid-required", "wrong-client-rdp-file", "ssl-required", "ssl-not-allowed", "rcg-denied"],
    ),
    (Aspect::RoutingToken, &["broker-redirect-failed", "broker-no-packet", "broker-target-offline"]),
    (Aspect::TlsVersion, &["tls-version-mismatch", "tls-inspection"]),
    (Aspect::TlsVersionOffered, &["tls-version-mismatch", "tls-cipher-mismatch"]),
    (Aspect::CipherSuite, &["tls-cipher-mismatch", "fips-mismatch", "tls-inspection"]),
    (Aspect::ServerName, &["cert-untrusted", "nat-wrong-target", "spn-mismatch", "dns-wrong-host"]),
    (
        Aspect::Certificate,
        &[
            "cert-untrusted",
            "cert-expired",
            "cert-weak",
            "tls-inspection",
            "nat-wrong-target",
            "dns-wrong-host",
        ],
    ),
    (
        Aspect::User,
        &[
            "bad-user",
            "not-in-rdp-users",
            "logon-right-missing",
            "network-logon-right",
            "account-restriction",
        ],
    ),
    (Aspect::ClientBuild, &["protocol-error", "capability-error", "graphics-failure"]),
    (
        Aspect::Path,
        &["path-lost", "mtu-blackhole", "pmtu-vpn-mss", "tcp-filtered", "middlebox-rst", "geo-ips-block"],
    ),
];

/// Causes that are less likely where this is as it was when it worked: the same certificate was taken then, the same offer
/// was enough.
const SPEAKS_AGAINST: &[(Aspect, &[&str])] = &[
    (Aspect::Certificate, &["cert-untrusted", "cert-weak", "tls-inspection", "nat-wrong-target"]),
    (Aspect::Offered, &["wrong-client-rdp-file"]),
];

/// The weighing of a cause, with what changed since the last success. One change counts, and no code is doubted for what
/// stayed the same.
pub(super) fn weigh(case: &Case<'_>, id: &str, weighing: Weighing) -> Weighing {
    let Some(before) = case.worked else { return weighing };
    let named = |table: &[(Aspect, &[&str])], aspect: Aspect| {
        table.iter().any(|(of, ids)| *of == aspect && ids.contains(&id))
    };
    let aspects = compared(before, case.session);
    let changed = aspects.iter().find(|one| one.is_changed && named(EXPLAINS, one.aspect));
    if let Some(changed) = changed {
        let counted = weighing.proofs.iter().any(|proof| proof.what() == changed.before.what());
        let proof = Some(changed.before).filter(|_| !counted);
        return weighing.surer(proof, Support::Slight);
    }
    let same = aspects.iter().find(|one| !one.is_changed && named(SPEAKS_AGAINST, one.aspect));
    let same = same.filter(|_| !weighing.kind.names_the_cause()).map(|one| one.before);
    weighing.unless(same, Doubt::Slight)
}
