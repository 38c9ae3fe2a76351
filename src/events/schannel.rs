//! Schannel: TLS of every program of the host. `EventData` or `UserData/EventXML`, by build, with the same names.

use super::generic::{note, problem, service};
use super::{EventMap, Log, Seen, event};
use crate::fact::{Keys, What};
use crate::wire::tls::AlertDescription;

pub(super) const LOG: Log =
    Log { name: "schannel", providers: &["Schannel"], channels: &["System"], keys, events: EVENTS };

const EVENTS: &[EventMap] = &[
    event(36865, "a security module could not be loaded", service),
    event(36869, "the certificate has no private key", key_inaccessible),
    event(36870, "the private key of the certificate cannot be used", key_inaccessible),
    event(36871, "no TLS credential could be made", |seen| {
        Some(What::TlsCredentialFailed {
            server: is_server(seen),
            state: state(seen),
            process: process(seen),
        })
    }),
    event(36872, "there is no default certificate for servers", note),
    event(36873, "no cipher suite that the credential supports is enabled", note),
    event(36874, "the client offers no cipher suite that the server has", |seen| {
        Some(What::NoSharedSuite { version: seen.text("Protocol"), process: process(seen) })
    }),
    event(36875, "the other side asks for a certificate", note),
    event(36876, "the certificate of the other side is not valid", refused),
    event(36877, "the client's certificate could not be mapped to an account", note),
    event(36878, "the client's certificate could not be mapped to an account", note),
    event(36879, "the client's certificate could not be mapped to an account", note),
    event(36881, "the certificate of the other side has expired", refused),
    event(36882, "the certificate of the other side comes from an authority that is not trusted", refused),
    event(36883, "the certificate of the other side was revoked", refused),
    event(36884, "the certificate of the other side names somebody else", refused),
    event(36887, "the other side sent a fatal alert", |seen| alert(seen, false)),
    event(36888, "this side sent a fatal alert", |seen| alert(seen, true)),
    event(36889, "the credential could not be checked", problem),
];

/// Nothing in these records leads to a connection but the time and the program.
fn keys(_seen: &Seen<'_>, _keys: &mut Keys) {}

fn process(seen: &Seen<'_>) -> Option<String> {
    seen.any(&["CallerProcessImageName", "CallerProcessId"])
}

/// `ErrorStatus` or `ErrorState`, by event.
fn state(seen: &Seen<'_>) -> Option<u32> {
    seen.number("ErrorState").or_else(|| seen.number("ErrorStatus"))
}

/// `Type` is `server` or `client`, translated on some systems: what is not a client is taken for a server.
fn is_server(seen: &Seen<'_>) -> bool {
    !seen.text("Type").is_some_and(|kind| kind.to_lowercase().contains("client"))
}

fn key_inaccessible(seen: &Seen<'_>) -> Option<What> {
    Some(What::KeyInaccessible {
        server: is_server(seen),
        status: seen.status("ErrorCode"),
        state: state(seen),
        process: process(seen),
    })
}

fn refused(seen: &Seen<'_>) -> Option<What> {
    let says = seen.event.says.to_owned();
    let status = seen.status("ErrorCode");
    Some(What::PeerCertificateRefused { event: seen.record.id, says, status, process: process(seen) })
}

fn alert(seen: &Seen<'_>, sent: bool) -> Option<What> {
    let code = u8::try_from(seen.number("AlertDesc")?).ok()?;
    Some(What::TlsAlertLogged {
        code: AlertDescription(code),
        sent,
        state: if sent { state(seen) } else { None },
        target: seen.text("TargetName"),
        process: process(seen),
    })
}
