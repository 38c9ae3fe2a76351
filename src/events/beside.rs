//! What stands beside Remote Desktop and can break it: the programs of a session, profiles, graphics, the network, policy,
//! certificates of other programs' making.

use super::generic::{detail, note, problem, service};
use super::{Log, Seen, event, value};
use crate::codes::Status;
use crate::fact::{Keys, What};

const APPLICATION: &[&str] = &["Application"];
const SYSTEM: &[&str] = &["System"];

/// Winlogon. Its 6000, a listener that is not there, is written at every start and end of a session.
pub(super) const WINLOGON: Log = Log {
    name: "winlogon",
    providers: &["Microsoft-Windows-Winlogon", "Winlogon"],
    channels: APPLICATION,
    keys: no_keys,
    events: &[
        event(4005, "winlogon of a session died", problem),
        event(4006, "the first program of a session could not be started", problem),
        event(6001, "a part of the logon failed", problem),
        event(6005, "a part of the logon takes long", note),
        event(6006, "a part of the logon took long", note),
    ],
};

/// Profiles.
pub(super) const PROFILES: Log = Log {
    name: "profiles",
    providers: &["Microsoft-Windows-User Profiles Service"],
    channels: APPLICATION,
    keys: no_keys,
    events: &[
        event(67, "the kind and path of the profile", note),
        event(1500, "the profile could not be loaded", problem),
        event(1501, "the local profile could not be loaded", problem),
        event(1502, "the local profile could not be loaded: another one is used", problem),
        event(1503, "the profile of the server could not be loaded", problem),
        event(1504, "the profile could not be stored on its server", problem),
        event(1505, "the profile could not be loaded: the user works with another one", problem),
        event(1506, "the profile of the server could not be loaded", problem),
        event(1508, "the registry of the profile could not be loaded", problem),
        event(1511, "the user works with a temporary profile", note),
        event(1515, "the profile was set aside, as it could not be loaded", problem),
        event(1521, "the server of the profile cannot be reached", problem),
        event(1542, "the classes of the profile could not be loaded", problem),
    ],
};

/// The desktop window manager. Its 9009 is written at every end of a session, and says something in the middle of one.
pub(super) const DWM: Log = Log {
    name: "dwm",
    providers: &["Desktop Window Manager", "Microsoft-Windows-Dwm-Dwm"],
    channels: APPLICATION,
    keys: no_keys,
    events: &[
        event(9002, "the desktop window manager could not start", problem),
        event(9009, "the desktop window manager of a session ended", note),
        event(9020, "the desktop window manager failed", problem),
        event(9027, "the desktop window manager is ready in a session", note),
        event(9028, "the desktop window manager could not register in a session", problem),
    ],
};

/// What starts the desktop window manager.
pub(super) const DWM_INIT: Log = Log {
    name: "dwminit",
    providers: &["Dwminit"],
    channels: SYSTEM,
    keys: no_keys,
    events: &[event(0, "the desktop window manager of a session died", problem)],
};

/// Programs that crash.
pub(super) const CRASHES: Log = Log {
    name: "application-error",
    providers: &["Application Error"],
    channels: APPLICATION,
    keys: no_keys,
    events: &[event(1000, "a program crashed", crash)],
};

/// The reports of programs that crashed.
pub(super) const REPORTS: Log = Log {
    name: "error-reporting",
    providers: &["Windows Error Reporting"],
    channels: APPLICATION,
    keys: no_keys,
    events: &[event(1001, "a report of a program that crashed or hung", report)],
};

/// The display driver.
pub(super) const DISPLAY: Log = Log {
    name: "display",
    providers: &["Display"],
    channels: SYSTEM,
    keys: no_keys,
    events: &[event(4101, "the display driver did not answer and was started again", problem)],
};

/// TCP/IP.
pub(super) const TCPIP: Log = Log {
    name: "tcpip",
    providers: &["Tcpip"],
    channels: SYSTEM,
    keys: no_keys,
    events: &[
        event(4199, "another computer has the same address", service),
        event(4227, "no port is left for outgoing connections", service),
        event(4231, "no port is left for outgoing connections", service),
    ],
};

/// Rules and settings of the firewall.
pub(super) const FIREWALL: Log = Log {
    name: "firewall",
    providers: &["Microsoft-Windows-Windows Firewall With Advanced Security"],
    channels: &["Microsoft-Windows-Windows Firewall With Advanced Security/"],
    keys: no_keys,
    events: &[
        event(2002, "a setting of the firewall was changed", note),
        event(2003, "a setting of the firewall was changed", note),
        event(2004, "a rule of the firewall was added", rule),
        event(2005, "a rule of the firewall was changed", rule),
        event(2006, "a rule of the firewall was removed", rule),
        event(2010, "the network profile was changed", note),
        event(2011, "the firewall blocks a program and cannot ask", rule),
        event(2033, "all rules of the firewall were removed", note),
        event(2097, "a rule of the firewall was added", rule),
        event(2099, "a rule of the firewall was changed", rule),
    ],
};

/// Group Policy: it needs a domain controller, as logons do.
pub(super) const GROUP_POLICY: Log = Log {
    name: "group-policy",
    providers: &["Microsoft-Windows-GroupPolicy"],
    channels: SYSTEM,
    keys: no_keys,
    events: &[
        event(1006, "Group Policy could not prove itself to the domain", note),
        event(1030, "Group Policy could not be asked for", note),
        event(1053, "Group Policy could not resolve the user", note),
        event(1054, "Group Policy found no domain controller", note),
        event(1055, "Group Policy could not resolve the computer", note),
        event(1058, "Group Policy could not read a policy", note),
        event(1129, "Group Policy could not reach a domain controller", note),
        event(1502, "Group Policy brought new settings to the computer", note),
        event(1503, "Group Policy brought new settings to the user", note),
    ],
};

/// Updates.
pub(super) const WINDOWS_UPDATE: Log = Log {
    name: "windows-update",
    providers: &["Microsoft-Windows-WindowsUpdateClient"],
    channels: SYSTEM,
    keys: no_keys,
    events: &[event(19, "an update was installed", note)],
};

/// Certificates as any program checks them.
pub(super) const CAPI2: Log = Log {
    name: "capi2",
    providers: &["Microsoft-Windows-CAPI2"],
    channels: &["Microsoft-Windows-CAPI2/"],
    keys: no_keys,
    events: &[
        event(11, "the chain of a certificate could not be built", certificate),
        event(30, "a certificate is not good for what it is used for", certificate),
        event(40, "it could not be asked whether a certificate was revoked", certificate),
        event(41, "it is not known whether a certificate was revoked", certificate),
        event(42, "a certificate was looked for in a list of revoked ones without success", certificate),
        event(
            50,
            "something that a certificate names could not be fetched from the store of such",
            certificate,
        ),
        event(51, "something that a certificate names could not be fetched from the address", certificate),
        event(52, "something that a certificate names could not be fetched at once", certificate),
        event(53, "something that a certificate names could not be fetched from the network", certificate),
        event(70, "the private key of a certificate cannot be used", certificate),
        event(90, "the certificates that a client of Remote Desktop was shown", shown),
    ],
};

/// Microsoft Entra ID.
pub(super) const AAD: Log = Log {
    name: "aad",
    providers: &["Microsoft-Windows-AAD"],
    channels: &["Microsoft-Windows-AAD/"],
    keys: no_keys,
    events: &[
        event(1081, "Entra ID refused a token", problem),
        event(1082, "Entra ID refused a token", problem),
        event(1097, "Entra ID refused a token", problem),
        event(1098, "Entra ID refused a token", problem),
        event(1104, "Entra ID refused a call", problem),
    ],
};

/// Memory.
pub(super) const MEMORY: Log = Log {
    name: "memory",
    providers: &["Microsoft-Windows-Resource-Exhaustion-Detector"],
    channels: SYSTEM,
    keys: no_keys,
    events: &[event(2004, "the host runs out of memory", service)],
};

fn no_keys(_seen: &Seen<'_>, _keys: &mut Keys) {}

/// Only programs and modules of Remote Desktop and of the session: program and module are the first and fourth value.
fn crash(seen: &Seen<'_>) -> Option<What> {
    is_watched(&[seen.any(&["AppName", "0"]), seen.any(&["ModuleName", "3"])])
        .then(|| problem(seen))
        .flatten()
}

/// The same of a report: `P1` is the program, `P4` the module; unnamed ones stand behind bucket, kind and answer.
fn report(seen: &Seen<'_>) -> Option<What> {
    is_watched(&[seen.any(&["P1", "5"]), seen.any(&["P4", "8"])]).then(|| note(seen)).flatten()
}

fn is_watched(names: &[Option<String>]) -> bool {
    const WATCHED: [&str; 10] = [
        "termsrv",
        "termservice",
        "rdpcorets",
        "rdpserverbase",
        "rdpwrap",
        "dwm.exe",
        "winlogon.exe",
        "logonui.exe",
        "mstsc",
        "msrdc",
    ];
    let watched = |text: &String| WATCHED.iter().any(|name| text.to_lowercase().contains(name));
    names.iter().flatten().any(watched)
}

/// Only rules about Remote Desktop.
fn rule(seen: &Seen<'_>) -> Option<What> {
    let texts = ["RuleId", "RuleName", "LocalPorts", "Port", "EmbeddedContext"].map(|name| seen.text(name));
    let about =
        |text: &String| ["RemoteDesktop", "Remote Desktop", "3389"].iter().any(|name| text.contains(name));
    texts.iter().flatten().any(about).then(|| note(seen)).flatten()
}

/// Only what failed, and only for programs that Remote Desktop runs in: this channel tells of every certificate of the
/// host. `Result/@value` is hexadecimal without a prefix.
fn certificate(seen: &Seen<'_>) -> Option<What> {
    let result = seen.text("Result/@value")?;
    let code = value::number_in(&format!("0x{result}")).filter(|code| *code != 0)?;
    let process = seen.text("EventAuxInfo/@ProcessName");
    process.as_deref().is_none_or(value::is_of_remote_desktop).then(|| What::ProblemLogged {
        log: seen.log.name.to_owned(),
        event: seen.record.id,
        says: seen.event.says.to_owned(),
        status: Some(Status(code)),
        detail: process.or_else(|| detail(seen)),
    })
}

/// What the client looked at: subject, and the file that is called by the SHA-1 of the certificate.
fn shown(seen: &Seen<'_>) -> Option<What> {
    let client = ["mstsc", "msrdc"];
    let process = seen.text("EventAuxInfo/@ProcessName")?.to_ascii_lowercase();
    if !client.iter().any(|name| process.starts_with(name)) {
        return None;
    }
    let of = |name: &str| {
        let end = format!("Certificate/@{name}");
        let mut found = None;
        seen.record.fields.each(&mut |key, text| {
            if key.ends_with(&end) {
                found = Some(text.trim().trim_end_matches(".cer").to_owned());
            }
            found.is_none()
        });
        found
    };
    let parts: Vec<String> = [of("subjectName"), of("fileRef")].into_iter().flatten().collect();
    Some(What::LogSays {
        log: seen.log.name.to_owned(),
        event: seen.record.id,
        says: seen.event.says.to_owned(),
        status: None,
        detail: Some(parts.join(", ")).filter(|text| !text.is_empty()),
    })
}
