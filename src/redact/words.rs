//! Words that name nobody: those of Windows and of the protocols, and those of this program's own answers.

use std::sync::LazyLock;

use hashbrown::HashSet;

use crate::codes;
use crate::diagnosis::RULES;
use crate::events;
use crate::fact::What;

type Words = HashSet<String, foldhash::fast::FixedState>;

/// Accounts and groups that every Windows has, and what stands where nobody is named. The built-in `Administrator` is among
/// them: it is the same everywhere, and that it was tried tells something.
const WELL_KNOWN: &[&str] = &[
    "administrator",
    "guest",
    "defaultaccount",
    "wdagutilityaccount",
    "krbtgt",
    "system",
    "local service",
    "network service",
    "anonymous logon",
    "nt authority",
    "nt service",
    "builtin",
    "window manager",
    "font driver host",
    "everyone",
    "localhost",
    "workgroup",
    "localdomain",
    "default-first-site-name",
    // In place of an address or a SID.
    "local",
    "null sid",
    "changepw",
    "kadmin",
    // Window managers and font drivers of the first sessions.
    "dwm-0",
    "dwm-1",
    "dwm-2",
    "dwm-3",
    "dwm-4",
    "dwm-5",
    "dwm-6",
    "dwm-7",
    "dwm-8",
    "dwm-9",
    "umfd-0",
    "umfd-1",
    "umfd-2",
    "umfd-3",
    "umfd-4",
    "umfd-5",
    "umfd-6",
    "umfd-7",
    "umfd-8",
    "umfd-9",
    // Services of Remote Desktop, as the service control manager calls them.
    "termservice",
    "remote desktop services",
    "terminal services",
    "termservlicensing",
    "sessionenv",
    "umrdpservice",
    "remote desktop licensing",
    "remote desktop configuration",
    "tssdis",
    "remote desktop connection broker",
    "tsgateway",
    "remote desktop gateway",
    "ms_t120",
    "rdp-tcp",
];
/// Classes of service principal names.
const SERVICES: &[&str] = &[
    "termsrv",
    "host",
    "restrictedkrbhost",
    "http",
    "https",
    "ldap",
    "cifs",
    "krbtgt",
    "dns",
    "gc",
    "rpc",
    "wsman",
    "mssqlsvc",
    "kadmin",
    "rpcss",
    "nfs",
    "imap",
    "smtp",
    "e3514235-4b06-11d1-ab04-00c04fc2dcd2",
];
/// Ends of the names of fields that hold names.
const KEYS_OF_NAMES: &[&str] = &[
    "username",
    "accountname",
    "domainname",
    "domain",
    "computername",
    "computer",
    "workstation",
    "workstationname",
    "machinename",
    "hostname",
    "servername",
    "clientname",
    "user",
    "account",
    "upn",
    "principalname",
    "targetname",
    "realm",
    "spn",
    "fqdn",
    "dnsname",
    "clientaddress",
    "ipaddress",
    "netbiosname",
    "targetserver",
    "targetinfo",
];
/// Attributes of distinguished names.
const ATTRIBUTES: &[&str] = &[
    "cn",
    "o",
    "ou",
    "dc",
    "c",
    "l",
    "st",
    "s",
    "e",
    "emailaddress",
    "street",
    "serialnumber",
    "sn",
    "gn",
    "t",
    "uid",
];
/// Ends of domain names that many have.
const TOP_LEVEL: &[&str] = &[
    "com",
    "net",
    "org",
    "edu",
    "gov",
    "mil",
    "int",
    "info",
    "biz",
    "local",
    "lan",
    "internal",
    "intern",
    "intranet",
    "corp",
    "home",
    "test",
    "example",
    "invalid",
    "arpa",
    "localhost",
    "cloud",
];
/// Words of paths and programs of Windows.
const OF_WINDOWS: &str = "windows system32 syswow64 program files common microsoft device harddiskvolume1 harddiskvolume2 \
    harddiskvolume3 harddiskvolume4 users desktop appdata roaming temp winnt system sysnative \
    systemroot inetsrv drivers programdata public explorer service services winlogon wininit csrss \
    rdpudd rdpidd rdpdd \
    kerberos ntlm negotiate schannel credssp tspkg wdigest cloudap unknown none null true false yes no default";
/// What writes the answers: a word that stands in them anyway is no sign of a name. A test knows the folders.
const WRITERS: &[&str] = &[
    include_str!("../../docs/schema/facts.schema.json"),
    include_str!("../../docs/schema/json.schema.json"),
    include_str!("../../docs/schema/jsonl.schema.json"),
    include_str!("../../docs/schema/timesketch.schema.json"),
    include_str!("../diagnosis.rs"),
    include_str!("../diagnosis/absent.rs"),
    include_str!("../diagnosis/account.rs"),
    include_str!("../diagnosis/active.rs"),
    include_str!("../diagnosis/any.rs"),
    include_str!("../diagnosis/authorization.rs"),
    include_str!("../diagnosis/changed.rs"),
    include_str!("../diagnosis/client_info.rs"),
    include_str!("../diagnosis/credssp.rs"),
    include_str!("../diagnosis/dns.rs"),
    include_str!("../diagnosis/gateway.rs"),
    include_str!("../diagnosis/licensing.rs"),
    include_str!("../diagnosis/logon.rs"),
    include_str!("../diagnosis/mcs.rs"),
    include_str!("../diagnosis/missing.rs"),
    include_str!("../diagnosis/multitransport.rs"),
    include_str!("../diagnosis/negotiation.rs"),
    include_str!("../diagnosis/redirection.rs"),
    include_str!("../diagnosis/said.rs"),
    include_str!("../diagnosis/tcp.rs"),
    include_str!("../diagnosis/tls.rs"),
    include_str!("../diagnosis/worth.rs"),
    include_str!("../note.rs"),
    include_str!("../note/log.rs"),
    include_str!("../report.rs"),
    include_str!("../report/arrives.rs"),
    include_str!("../report/broke.rs"),
    include_str!("../report/csv.rs"),
    include_str!("../report/held.rs"),
    include_str!("../report/html.rs"),
    include_str!("../report/html/block.rs"),
    include_str!("../report/html/detail.rs"),
    include_str!("../report/html/detail/about.rs"),
    include_str!("../report/html/page.css"),
    include_str!("../report/html/page.html"),
    include_str!("../report/html/page.js"),
    include_str!("../report/html/rows.rs"),
    include_str!("../report/html/strings.rs"),
    include_str!("../report/html/summary.rs"),
    include_str!("../report/html/summary/charts.rs"),
    include_str!("../report/html/way.rs"),
    include_str!("../report/json.rs"),
    include_str!("../report/json/clocks.rs"),
    include_str!("../report/json/legs.rs"),
    include_str!("../report/json/tls.rs"),
    include_str!("../report/jsonl.rs"),
    include_str!("../report/headline.rs"),
    include_str!("../report/kinds.rs"),
    include_str!("../report/markdown.rs"),
    include_str!("../report/parquet.rs"),
    include_str!("../report/query.rs"),
    include_str!("../report/sources.rs"),
    include_str!("../report/text.rs"),
    include_str!("../report/text/batch.rs"),
    include_str!("../report/text/ladder.rs"),
    include_str!("../report/text/others.rs"),
    include_str!("../report/text/paint.rs"),
    include_str!("../report/text/summed.rs"),
    include_str!("../report/text/unmatched.rs"),
    include_str!("../report/timesketch.rs"),
    include_str!("../report/words.rs"),
    include_str!("../report/words/beside.rs"),
    include_str!("../report/words/events.rs"),
    include_str!("../report/words/gateway.rs"),
    include_str!("../report/words/sequence.rs"),
    include_str!("../report/words/udp.rs"),
    include_str!("../session/differs.rs"),
    include_str!("../step.rs"),
];

/// What codes mean.
const TABLES: &[&codes::Table] = &[
    &codes::DISCONNECT_REASONS,
    &codes::ERROR_INFO,
    &codes::EXTENDED_REASONS,
    &codes::FAILURE_REASONS,
    &codes::GATEWAY,
    &codes::KERBEROS,
    &codes::LOGON_TYPES,
    &codes::LICENSE_ERRORS,
    &codes::NTSTATUS,
    &codes::RDPCORETS_REASONS,
    &codes::SCHANNEL_STATES,
    &codes::SEC_E,
    &codes::TLS_ALERTS,
];

static OWN: LazyLock<Words> = LazyLock::new(|| {
    let mut words = Words::default();
    let mut take = |text: &str| {
        let whole = text.split(|c: char| !(c.is_alphanumeric() || matches!(c, '-' | '_')));
        for whole in whole.map(|whole| whole.trim_matches(['-', '_'])).filter(|whole| !whole.is_empty()) {
            words.extend(whole.split(['-', '_']).chain([whole]).map(str::to_lowercase));
        }
    };
    for writer in WRITERS {
        match writer.starts_with("//!") {
            // Examples in tests are names.
            true => literals(writer.split("#[cfg(test)]").next().unwrap_or(writer), &mut take),
            false => take(writer),
        }
    }
    for rule in RULES.iter().copied().flatten() {
        [rule.id, rule.cause, rule.fix].into_iter().chain(rule.refs.iter().copied()).for_each(&mut take);
    }
    for event in events::described() {
        take(event.says);
    }
    for table in TABLES {
        table.rows().iter().flat_map(|row| [row.name, row.meaning]).for_each(&mut take);
    }
    What::NAMES.iter().copied().for_each(&mut take);
    What::FIELDS.iter().for_each(|(_, field, _)| take(field));
    take(OF_WINDOWS);
    words
});

/// The texts in quotes of a source file; of JSON and other files all text.
fn literals(source: &str, take: &mut impl FnMut(&str)) {
    let mut inside = false;
    for line in source.lines() {
        if !inside && line.trim_start().starts_with("//") {
            continue;
        }
        // Quotes that begin or end no text.
        let line = line.replace("'\"'", "").replace("'\\\"'", "").replace("\\\"", " ");
        for (number, part) in line.split('"').enumerate() {
            inside ^= number > 0;
            if inside {
                take(part);
            }
        }
    }
}

fn is_among(list: &[&str], word: &str) -> bool {
    list.iter().any(|known| known.eq_ignore_ascii_case(word))
}

/// An account, a group or a service that every Windows has.
pub(super) fn is_well_known(word: &str) -> bool {
    is_among(WELL_KNOWN, word)
}

/// The beginning of such a name, as some clients cut it: `administr`.
pub(super) fn is_well_known_cut(cut: &str) -> bool {
    WELL_KNOWN.iter().any(|known| known.len() > cut.len() && known.starts_with(&cut.to_lowercase()))
}

/// A class of services, before the `/` of a service principal name.
pub(super) fn is_service(word: &str) -> bool {
    is_among(SERVICES, word)
}

/// An attribute, before the `=` of a distinguished name.
pub(super) fn is_attribute(word: &str) -> bool {
    is_among(ATTRIBUTES, word)
}

/// The end of a domain name: common ones, and countries.
pub(super) fn is_top_level(word: &str) -> bool {
    is_among(TOP_LEVEL, word) || (word.len() == 2 && word.chars().all(|c| c.is_ascii_alphabetic()))
}

/// A word that answers have whoever they are about.
pub(super) fn is_own(word: &str) -> bool {
    OWN.contains(&word.to_lowercase()) || is_well_known(word)
}

/// The key of a field of an event that holds a name, in the words of Windows: `TargetUserName`, `ComputerName`.
pub(super) fn is_key_of_name(key: &str) -> bool {
    let key = key.rsplit(['/', '@']).next().unwrap_or(key).to_ascii_lowercase();
    KEYS_OF_NAMES.iter().any(|end| key.ends_with(end))
}

/// The key of a field of an event that holds a time: `StartTime`, `TimeStamp`, `UpdateDate`.
pub(super) fn is_key_of_time(key: &str) -> bool {
    let key = key.rsplit(['/', '@']).next().unwrap_or(key).to_ascii_lowercase();
    ["time", "date", "timestamp", "filetime"].iter().any(|word| key.ends_with(word))
        || key.starts_with("time")
}

/// A SID that names no one: the same on every Windows, or made of the name of a service or program.
pub(super) fn is_well_known_sid(sid: &str) -> bool {
    let parts: Vec<&str> = sid.split('-').collect();
    let is_of_all =
        matches!(parts.get(2..), Some(["0" | "1" | "2" | "3" | "4" | "15" | "16" | "18", ..] | ["5", _]));
    is_of_all || matches!(parts.get(2..), Some(["5", "5" | "32" | "64" | "80" | "90" | "96", ..]))
}
