//! Kerberos on clients and servers: classic events in System, where five ids are shared with the smart card library and
//! only the qualifiers tell them apart, and a channel of its own that is off by default.

use super::generic::{note, problem};
use super::{EventMap, Log, Seen, event, value};
use crate::codes::KerberosError;
use crate::fact::{Keys, What};

const PROVIDERS: &[&str] = &["Microsoft-Windows-Security-Kerberos", "Kerberos"];
/// Qualifiers of the smart card library.
const SMART_CARD: Option<u32> = Some(1);
const KRB_AP_ERR_MODIFIED: u32 = 0x29;
const KRB_AP_ERR_TKT_NYV: u32 = 0x21;

/// In System.
pub(super) const CLASSIC: Log =
    Log { name: "kerberos", providers: PROVIDERS, channels: &["System"], keys, events: CLASSIC_EVENTS };

/// In its own channel.
pub(super) const OPERATIONAL: Log = Log {
    name: "kerberos",
    providers: PROVIDERS,
    channels: &["Microsoft-Windows-Kerberos/"],
    keys,
    events: OPERATIONAL_EVENTS,
};

const CLASSIC_EVENTS: &[EventMap] = &[
    event(3, "a Kerberos error came", error),
    event(4, "the server could not decrypt the ticket", |seen| {
        let service = seen.any(&["Targetname", "TargetName", "2", "Server", "0"]);
        Some(failed(KerberosError(KRB_AP_ERR_MODIFIED), service))
    }),
    event(5, "the ticket is not valid yet: the clocks may be apart", |seen| {
        if seen.record.qualifiers == SMART_CARD {
            return problem(seen);
        }
        Some(failed(KerberosError(KRB_AP_ERR_TKT_NYV), None))
    }),
    event(6, "the ticket is too big, or the smart card could not be read", problem),
    event(7, "the ticket could not be checked with the domain, or the smart card could not sign", problem),
    event(8, "a certificate of smart card logon was refused", problem),
    event(9, "a certificate of smart card logon was refused", problem),
    event(10, "the domain controller cannot be reached by UDP", note),
    event(11, "the certificate of the smart card names no domain", note),
    event(14, "a stored password is wrong", problem),
];

const OPERATIONAL_EVENTS: &[EventMap] = &[
    event(100, "the service name is not registered", problem),
    event(101, "the service name belongs to several accounts", problem),
    event(102, "the certificate of the domain controller is not trusted", problem),
    event(103, "the domain controller refused the client's certificate", problem),
    event(104, "the domain controller has no certificate", problem),
    event(106, "the certificate of the domain controller is not made for this", note),
    event(107, "the certificate of the domain controller names another domain", note),
    event(108, "the proxy of the domain controller failed", problem),
    event(109, "there are no credentials for a proxy", note),
    event(200, "no domain controller was found", problem),
];

fn keys(seen: &Seen<'_>, keys: &mut Keys) {
    keys.domain = seen.text("ClientRealm");
    if let Some(user) = seen.any(&["ClientName", "ClientUpn"]) {
        value::set_user(keys, &user);
    }
}

fn error(seen: &Seen<'_>) -> Option<What> {
    let code = KerberosError(seen.number("ErrorCode").or_else(|| seen.number("3"))?);
    let service = seen.any(&["ServerName", "TargetName"]);
    (!code.is_normal_step()).then(|| failed(code, service))
}

/// A failure as records have it: what stands only on the wire is absent.
pub(super) fn failed(code: KerberosError, service: Option<String>) -> What {
    What::KerberosFailed {
        code,
        service,
        realm: None,
        user: None,
        asker: None,
        status: None,
        kdc_ahead_s: None,
    }
}
