//! RemoteConnectionManager: listeners, authentication, licensing and certificates of the server. `UserData/EventXML` in
//! its own channels, classic unnamed data in System, where its old name is TermService.

use super::generic::{detail, note, problem, service, status};
use super::{EventMap, Log, Seen, activity_key, event, value};
use crate::fact::{Keys, What};

pub(super) const LOG: Log = Log {
    name: "rcm",
    providers: &["Microsoft-Windows-TerminalServices-RemoteConnectionManager", "TermService"],
    channels: &["Microsoft-Windows-TerminalServices-RemoteConnectionManager/", "System"],
    keys,
    events: EVENTS,
};

const EVENTS: &[EventMap] = &[
    event(256, "the connection manager starts", note),
    event(257, "the connection manager started", note),
    event(258, "a listener was started", note),
    event(259, "a listener was stopped", service),
    event(260, "a listener failed", service),
    event(261, "a listener received a connection", |seen| {
        Some(What::ListenerAccepted { listener: seen.text("listenerName") })
    }),
    event(262, "a listener was told to stop", service),
    event(272, "how long connecting took", note),
    event(273, "how long connecting took", note),
    event(274, "how long connecting took", note),
    event(1003, "the client has a license that is not valid", license),
    event(1004, "the server cannot give a license", license),
    event(1006, "too many connections are incomplete", service),
    event(1011, "the client's temporary license has expired", license),
    event(1012, "too many failed logons: the session was ended", problem),
    event(1022, "redirection to another session host failed", problem),
    event(1024, "the provider of the session directory could not start", service),
    event(1028, "the client's license could not be renewed", license),
    event(1035, "the listener does not work", service),
    event(1036, "the session could not be created", problem),
    event(1041, "connecting again by itself failed: the client could not prove who it is", problem),
    event(1043, "the server's account may not talk to the license server", license),
    event(1046, "the path of the profile or home folder is bad", note),
    event(1050, "the security settings of a listener did not fit and were changed", note),
    event(1051, "the chosen certificate cannot be used: the default is", certificate),
    event(1052, "the certificate will expire soon", note),
    event(1053, "the certificate has expired: the default is used", certificate),
    event(1054, "the certificate is not meant for servers: the default is used", certificate),
    event(1055, "the private key of the certificate cannot be reached: the default is used", certificate),
    event(1056, "a new self-signed certificate was made", |seen| installed(seen, true)),
    event(1057, "no self-signed certificate could be made", certificate),
    event(1058, "the expired self-signed certificate could not be replaced", certificate),
    event(1059, "the settings of the certificate were not valid and were reset", certificate),
    event(1060, "the path of the profile or home folder is bad", note),
    event(1061, "license data of the user could not be read from the directory", note),
    event(1062, "the certificate of the template names nobody valid", certificate),
    event(1063, "a certificate of the template was installed", |seen| installed(seen, false)),
    event(1064, "no certificate of the template could be installed", certificate),
    event(1065, "the certificate of the template has expired and was not replaced", certificate),
    event(1066, "the search for the right session failed", problem),
    event(1067, "the service name could not be registered: Kerberos to this host may fail", service),
    event(1068, "the licensing mode is not set: the grace period runs", note),
    event(1069, "the grace period is over and the licensing mode is not set", license),
    event(1070, "the host is in drain mode: no new logons", problem),
    event(1071, "connections are disabled", problem),
    event(1072, "a column of the template is not known", note),
    event(1073, "a column of the template is not known", note),
    event(1128, "the grace period is over and no license server has licenses", license),
    event(1129, "the grace period is about to end", note),
    event(1130, "no license server is named", license),
    event(1131, "the license server cannot be reached", license),
    event(1132, "the license server is too old", license),
    event(1133, "the certificate of the license server is not valid", license),
    event(1149, "the connection has a user", |_| Some(What::UserAuthenticated {})),
    event(1150, "the user's settings were put together", note),
    event(1151, "the user of the session let nobody else in", |_| Some(What::ArbitrationDeclined {})),
    event(1154, "the grace period is over and no license server has licenses", license),
    event(1155, "the kind of protocol stack", note),
    event(1156, "the kind of protocol stack", note),
    event(1157, "the settings of a listener were changed", note),
    event(1158, "the server accepted a connection", |_| Some(What::ConnectionAccepted { udp: false })),
    event(1160, "the server's account may not talk to the license server", license),
    event(20491, "the disk of the user's profile is in trouble", problem),
    event(20492, "the disk of the user's profile is in trouble", problem),
    event(20493, "the disk of the user's profile is in trouble", problem),
    event(20494, "the disk of the user's profile is in trouble", problem),
    event(20495, "the disk of the user's profile is in trouble", problem),
    event(20496, "the disk of the user's profile is in trouble", problem),
    event(20497, "licensing takes too long", license),
    event(20498, "the server takes too long to complete a connection", problem),
    event(20499, "the user's settings take long to load", note),
    event(20501, "shutting down takes long", note),
    event(20502, "asking a session takes long", note),
    event(20503, "somebody watches the session and may not act in it", note),
    event(20504, "nobody watches the session any more, who could not act in it", note),
    event(20506, "somebody watches the session and may act in it", note),
    event(20507, "nobody watches the session any more, who could act in it", note),
    event(20515, "idle for too long: logged off", |_| limit("idle", true)),
    event(20516, "idle for too long: disconnected", |_| limit("idle", false)),
    event(20517, "active for too long: logged off", |_| limit("active", true)),
    event(20518, "active for too long: disconnected", |_| limit("active", false)),
    event(20519, "disconnected for too long: logged off", |_| limit("disconnected", true)),
];

fn keys(seen: &Seen<'_>, keys: &mut Keys) {
    activity_key(seen, keys);
    let (user, domain, address) = match seen.record.id {
        1149 => ("Param1", "Param2", "Param3"),
        1151 => ("Param2", "Param1", "Param3"),
        1158 => ("", "", "Param1"),
        20499 => ("UserName", "", ""),
        _ => ("", "", ""),
    };
    keys.domain = seen.text(domain);
    if let Some(user) = seen.peek(user) {
        value::set_user(keys, &user);
    }
    if let Some(address) = seen.peek(address) {
        value::set_address(keys, &address);
    }
    keys.session_id = seen.number("Session");
}

fn license(seen: &Seen<'_>) -> Option<What> {
    let says = seen.event.says.to_owned();
    Some(What::LicenseProblem { event: seen.record.id, says, detail: detail(seen) })
}

fn limit(limit: &str, logged_off: bool) -> Option<What> {
    Some(What::LimitReached { limit: limit.to_owned(), logged_off })
}

/// SHA-1 of the certificate: 20 bytes of `Binary`.
fn thumbprint(seen: &Seen<'_>) -> Option<String> {
    seen.text("Binary").filter(|text| text.len() == 40).map(|text| text.to_lowercase())
}

fn installed(seen: &Seen<'_>, self_signed: bool) -> Option<What> {
    let name = seen.any(&["0", "Param1"]);
    Some(What::ServerCertificate { thumbprint: thumbprint(seen), name, self_signed })
}

fn certificate(seen: &Seen<'_>) -> Option<What> {
    let code =
        |name: &&'static str| seen.text(name).as_deref().and_then(value::number_in).map(crate::codes::Status);
    Some(What::CertificateProblem {
        event: seen.record.id,
        says: seen.event.says.to_owned(),
        thumbprint: thumbprint(seen),
        status: status(seen).or_else(|| ["0", "1", "Param1"].iter().find_map(code)),
    })
}
