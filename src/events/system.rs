//! The host itself: shutdown, clock, services, name look-up.

use super::generic::{detail, note, service};
use super::{Log, Seen, event};
use crate::fact::{Keys, What};
use crate::time::UnixNanos;

const SYSTEM: &[&str] = &["System"];

/// Who asked the host to stop.
pub(super) const USER32: Log = Log {
    name: "user32",
    providers: &["User32", "USER32"],
    channels: SYSTEM,
    keys: no_keys,
    events: &[
        event(1073, "a program could not make the host stop", note),
        event(1074, "a program asked the host to stop or start again", stopped),
        event(1076, "why the host had stopped without order", note),
    ],
};

/// The event log service: it runs as long as the host does.
pub(super) const EVENT_LOG: Log = Log {
    name: "eventlog",
    providers: &["EventLog"],
    channels: SYSTEM,
    keys: no_keys,
    events: &[
        event(6005, "the host started", note),
        event(6006, "the host stopped in order", stopped),
        event(6008, "the host had stopped without order", stopped),
        event(6013, "how long the host is up, and its zone", zone),
    ],
};

/// The clock.
pub(super) const KERNEL_GENERAL: Log = Log {
    name: "kernel-general",
    providers: &["Microsoft-Windows-Kernel-General"],
    channels: SYSTEM,
    keys: no_keys,
    events: &[
        event(1, "the clock was set", |seen| super::security::clock_changed(seen, "OldTime", "NewTime")),
        event(12, "the host started", note),
        event(13, "the host stopped", stopped),
    ],
};

/// Power.
pub(super) const KERNEL_POWER: Log = Log {
    name: "kernel-power",
    providers: &["Microsoft-Windows-Kernel-Power"],
    channels: SYSTEM,
    keys: no_keys,
    events: &[
        event(41, "the host had stopped without order", stopped),
        event(42, "the host goes to sleep", stopped),
        event(107, "the host woke up", note),
        event(109, "the host stops", stopped),
    ],
};

/// Services that end.
pub(super) const SERVICE_CONTROL: Log = Log {
    name: "scm",
    providers: &["Service Control Manager"],
    channels: SYSTEM,
    keys: no_keys,
    events: &[
        event(7000, "a service could not start", remote_desktop),
        event(7001, "a service could not start, as another one did not", remote_desktop),
        event(7009, "a service took too long to start", remote_desktop),
        event(7011, "a service does not answer", remote_desktop),
        event(7022, "a service hangs", remote_desktop),
        event(7023, "a service ended with an error", remote_desktop),
        event(7024, "a service ended with an error", remote_desktop),
        event(7031, "a service died and will be started again", remote_desktop),
        event(7034, "a service died", remote_desktop),
        event(7036, "a service was started or stopped", state),
        event(7040, "when a service is started was changed", state),
    ],
};

/// Name look-up.
pub(super) const DNS_CLIENT: Log = Log {
    name: "dns-client",
    providers: &["Microsoft-Windows-DNS-Client"],
    channels: SYSTEM,
    keys: no_keys,
    events: &[event(1014, "a name could not be resolved in time", |seen| {
        Some(What::NameNotResolved { name: seen.text("QueryName"), code: None })
    })],
};

/// Where the clock is set by.
pub(super) const TIME_SERVICE: Log = Log {
    name: "time-service",
    providers: &["Microsoft-Windows-Time-Service"],
    channels: SYSTEM,
    keys: no_keys,
    events: &[
        event(24, "the source of time does not answer", note),
        event(29, "no source of time can be used", note),
        event(36, "the clock was not set for long", note),
        event(47, "the source of time does not answer", note),
        event(50, "the clock is far from its source", note),
        event(129, "no source of time was found", note),
        event(134, "the source of time could not be resolved", note),
    ],
};

fn no_keys(_seen: &Seen<'_>, _keys: &mut Keys) {}

fn stopped(seen: &Seen<'_>) -> Option<What> {
    let says = seen.event.says.to_owned();
    Some(What::HostStopped { event: seen.record.id, says, detail: detail(seen), alive: alive(seen) })
}

/// The last sign of life, which 6008 has as two SYSTEMTIMEs behind each other: of the host's zone, and of UTC. The texts
/// beside them are written as people of its country write dates.
fn alive(seen: &Seen<'_>) -> Option<UnixNanos> {
    const QUARTER_NS: i64 = 900_000_000_000;
    let hex = seen.any(&["Binary", "BinaryData"]).filter(|_| seen.record.id == 6008)?;
    let (local, utc) = (system_time(&hex, 0)?, system_time(&hex, 32)?);
    // Zones lie whole quarters of an hour apart.
    (local.since(utc) % QUARTER_NS == 0 && utc <= seen.record.at).then_some(utc)
}

/// A SYSTEMTIME in hexadecimal pairs: year, month, day of the week, day, hour, minute, second, millisecond.
fn system_time(hex: &str, from: usize) -> Option<UnixNanos> {
    let word = |index: usize| {
        let at = from + 4 * index;
        u16::from_str_radix(hex.get(at..at + 4)?, 16).ok().map(u16::swap_bytes)
    };
    let (year, month, day) = (word(0)?, word(1)?, word(3)?);
    let (hour, minute, second, milli) = (word(4)?, word(5)?, word(6)?, word(7)?);
    UnixNanos::parse(&format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z"))
}

/// The values have no names: seconds since the start stand fifth, `480 Pacific Standard Time` seventh.
fn zone(seen: &Seen<'_>) -> Option<What> {
    let up = seen.number("4")?;
    let text = seen.text("6").unwrap_or_default();
    let (bias, name) = text.split_once(' ').unwrap_or((&text, ""));
    let bias = bias.parse::<i32>().ok().map(|minutes| minutes.to_string());
    let zone = Some(name.trim().to_owned()).filter(|name| bias.is_some() && !name.is_empty());
    let booted = seen.record.at.plus(-1_000_000_000 * i64::from(up));
    Some(What::HostZone { booted, zone, standard_bias: bias })
}

/// Only services that Remote Desktop needs; `param1` is the service by its long, translated name, `Binary` its short one
/// in UTF-16.
fn remote_desktop(seen: &Seen<'_>) -> Option<What> {
    let what = is_needed(seen).then(|| service(seen)).flatten()?;
    let short = short_name(seen);
    match what {
        // The long name is translated.
        What::ServiceProblem { log, event, says, status, detail } if !short.is_empty() => {
            let detail =
                detail.filter(|text| *text != short).map_or(short.clone(), |text| format!("{short}, {text}"));
            Some(What::ServiceProblem { log, event, says, status, detail: Some(detail) })
        }
        what => Some(what),
    }
}

/// As `remote_desktop`; after the short name stands the state, 1 stopped and 4 running.
fn state(seen: &Seen<'_>) -> Option<What> {
    let short = Some(short_name(seen)).filter(|name| !name.is_empty());
    is_needed(seen).then(|| What::LogSays {
        log: seen.log.name.to_owned(),
        event: seen.record.id,
        says: seen.event.says.to_owned(),
        status: None,
        detail: short.or_else(|| detail(seen)),
    })
}

fn is_needed(seen: &Seen<'_>) -> bool {
    const NEEDED: [&str; 8] = [
        "TermService",
        "Remote Desktop",
        "Terminal Services",
        "SessionEnv",
        "UmRdpService",
        "TSGateway",
        "Tssdis",
        "CryptSvc",
    ];
    let long = seen.any(&["param1", "0"]).unwrap_or_default();
    let texts = [long, seen.text("param2").unwrap_or_default(), short_name(seen)];
    texts.iter().any(|text| NEEDED.iter().any(|name| text.contains(name)))
}

fn short_name(seen: &Seen<'_>) -> String {
    seen.any(&["Binary", "BinaryData"]).map(|hex| utf16(&hex)).unwrap_or_default()
}

/// Hexadecimal pairs of UTF-16LE as text, other characters than ASCII left out.
fn utf16(hex: &str) -> String {
    let byte = |at: usize| hex.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    let low = (0..hex.len()).step_by(4).filter(|at| byte(at + 2) == Some(0)).filter_map(byte);
    low.filter(u8::is_ascii_graphic).map(char::from).collect()
}
