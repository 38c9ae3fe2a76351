//! An event, and the codes that stand in its record: `RdpCoreTS 226`, `4625 0xc000006d 0xc0000064`, `Security 4771 0x18`, or
//! the text of a record. A code means what the event writes into its field, and nothing else.

use super::{ASKED_MAX, Explanation, Says, is_constant, is_hexadecimal, number, of_word, said, tokens};
use crate::codes::{self, Table};
use crate::events::{self, Described};

/// Codes that the records of some events hold.
struct Carried {
    /// Short name of the log.
    log: &'static str,
    ids: &'static [u32],
    /// The tables that know them, and the field.
    tables: &'static [(&'static Table, &'static str)],
}

const CARRIED: &[Carried] = &[
    Carried {
        log: "security",
        ids: &[4625],
        tables: &[
            (&codes::NTSTATUS, "NTSTATUS, as Status or SubStatus"),
            (&codes::FAILURE_REASONS, "FailureReason"),
            (&codes::LOGON_TYPES, "LogonType"),
        ],
    },
    Carried { log: "security", ids: &[4624], tables: &[(&codes::LOGON_TYPES, "LogonType")] },
    Carried {
        log: "security",
        ids: &[4768, 4769, 4771],
        tables: &[(&codes::KERBEROS, "Kerberos error, as failure code")],
    },
    Carried { log: "security", ids: &[4776], tables: &[(&codes::NTSTATUS, "NTSTATUS, as error code")] },
    Carried {
        log: "rdpclient",
        ids: &[1026],
        tables: &[(&codes::DISCONNECT_REASONS, "reason of the client")],
    },
    Carried {
        log: "rdpcorets",
        ids: &[103],
        tables: &[
            (&codes::RDPCORETS_REASONS, "reason code"),
            (&codes::ERROR_INFO, "Set Error Info, as reason code"),
        ],
    },
    Carried { log: "rdpcorets", ids: &[72], tables: &[(&codes::ERROR_INFO, "Set Error Info")] },
    Carried { log: "lsm", ids: &[40], tables: &[(&codes::ERROR_INFO, "Set Error Info, as reason code")] },
    Carried {
        log: "gateway",
        ids: &[201, 203, 204, 206, 301, 303, 304, 305, 307, 309],
        tables: &[(&codes::GATEWAY, "RD Gateway error, as error code")],
    },
    Carried {
        log: "schannel",
        ids: &[36870, 36871, 36874],
        tables: &[(&codes::SCHANNEL_STATES, "internal state"), (&codes::SEC_E, "HRESULT, as error code")],
    },
    Carried {
        log: "schannel",
        ids: &[36887, 36888],
        tables: &[(&codes::TLS_ALERTS, "TLS alert"), (&codes::SCHANNEL_STATES, "internal state")],
    },
    Carried {
        log: "termdd",
        ids: &[50, 56],
        tables: &[(&codes::NTSTATUS, "NTSTATUS"), (&codes::SEC_E, "HRESULT")],
    },
    Carried { log: "kerberos", ids: &[3], tables: &[(&codes::KERBEROS, "Kerberos error, as error code")] },
    Carried { log: "lsasrv", ids: &[40960, 40961], tables: &[(&codes::NTSTATUS, "NTSTATUS")] },
];

/// What stands before the number of an event.
const EVENT: &[&str] =
    &["event", "eventid", "event-id", "ereignis", "ereignis-id", "evento", "événement", "イベント"];
/// Words between an event and its codes that name nothing.
const FILLING: &[&str] = &[
    "id",
    "error",
    "code",
    "errorcode",
    "failure",
    "status",
    "sub",
    "substatus",
    "sub-status",
    "reason",
    "log",
    "operational",
    "admin",
    "alert",
    "state",
    "fehler",
    "fehlercode",
];
/// Letters of a log's name that tell it.
const LOG_NAME_MIN: usize = 3;
/// Below it a number is no event that nothing else names.
const UNNAMED_MIN: u32 = 100;
/// Words between `event` and its number.
const BETWEEN_MAX: usize = 3;

/// The event that is asked for with its codes; `None` when none is, or several are.
pub(super) fn asked(words: &[String]) -> Option<Vec<Explanation>> {
    let several = words.iter().filter(|word| super::event(word).is_some_and(is_known)).count() > 1;
    let text = words.join(" ");
    let parts = parts(&text);
    let named: Vec<usize> = (0..parts.len()).filter_map(|at| named_at(&parts, at)).collect();
    if several || named.len() > 1 {
        return None;
    }
    let is_list = parts.iter().all(|part| {
        number(part).is_some() || is_constant(part) || is_filling(part) || is_event(part) || is_log(part)
    });
    let logs: Vec<String> =
        parts.iter().filter(|part| is_log(part)).map(|part| part.to_ascii_lowercase()).collect();
    let first = parts.iter().position(|part| decimal(part).is_some()).filter(|_| is_list);
    let at = named.first().copied().or(first)?;
    let id = decimal(parts.get(at)?)?;
    let rows = rows(id, &logs, is_list);
    let others = parts.iter().enumerate().filter(|(other, part)| *other != at && is_code(part));
    let codes =
        if is_list { others.map(|(_, part)| (*part).to_owned()).collect() } else { codes_of(&text, id) };
    let is_carried = |code: &String| number(code).is_some_and(|code| !carried(&rows, code).is_empty());
    let is_event = !named.is_empty() && (is_list || !rows.is_empty())
        || named.is_empty() && !logs.is_empty()
        || id >= UNNAMED_MIN && codes.iter().any(is_carried) && codes::DISCONNECT_REASONS.row(id).is_none();
    is_event.then(|| told(id, &text, &rows, &codes, is_list))
}

fn told(id: u32, text: &str, rows: &[Described], codes: &[String], is_list: bool) -> Vec<Explanation> {
    let asked = match codes {
        [] if is_list => text.split_whitespace().collect::<Vec<_>>().join(" "),
        _ => format!("event {id}"),
    };
    let mut told = vec![Explanation { asked, says: rows.iter().map(says).collect(), near: Vec::new() }];
    let mut known = std::collections::BTreeSet::new();
    for code in codes.iter().filter(|code| known.insert(code.to_ascii_lowercase())).take(ASKED_MAX) {
        let here = number(code).map(|code| carried(rows, code)).unwrap_or_default();
        let one = if here.is_empty() {
            let mut one = of_word(code);
            one.says.retain(|says| !says.of.starts_with("event "));
            one
        } else {
            Explanation { asked: code.clone(), says: here, near: Vec::new() }
        };
        // The text of a record has numbers of processes and logons too.
        if is_list || !one.says.is_empty() {
            told.push(one);
        }
    }
    told
}

/// What a number means in these events.
fn carried(rows: &[Described], code: u32) -> Vec<Says> {
    let of = |row: &Described| CARRIED.iter().find(|c| c.log == row.log && c.ids.contains(&row.id));
    let mut says = Vec::new();
    for (row, carried) in rows.iter().filter_map(|row| Some((row, of(row)?))) {
        let provider = row.providers.first().copied().unwrap_or(row.log);
        let known = carried.tables.iter().find_map(|(table, field)| Some((table.row(code)?, field)));
        says.extend(
            known.map(|(found, field)| said(&format!("{field} of event {} of {provider}", row.id), found)),
        );
    }
    says
}

/// Every event of that number in logs or of providers with one of these names; of a sentence, in which any word may look
/// like such a name, at least those of that number.
fn rows(id: u32, logs: &[String], is_list: bool) -> Vec<Described> {
    let of_id = || events::described().filter(move |row| row.id == id);
    let named: Vec<Described> =
        of_id().filter(|row| logs.is_empty() || logs.iter().any(|log| is_of(row, log))).collect();
    if named.is_empty() && !is_list { of_id().collect() } else { named }
}

fn is_known((log, id): (&str, u32)) -> bool {
    let log = log.to_ascii_lowercase();
    events::described().any(|row| row.id == id && is_of(&row, &log))
}

pub(super) fn of_event(log: &str, id: u32) -> Vec<Says> {
    let log = log.to_ascii_lowercase();
    events::described().filter(|row| row.id == id && is_of(row, &log)).map(|row| says(&row)).collect()
}

fn says(row: &Described) -> Says {
    let provider = row.providers.first().copied().unwrap_or(row.log);
    Says { of: format!("event {} of {provider}", row.id), text: row.says.to_owned() }
}

/// The name, in lower case, is a part of the row's log, of one of its providers or of one of its channels.
fn is_of(row: &Described, name: &str) -> bool {
    let holds = |known: &&str| known.to_ascii_lowercase().contains(name);
    row.log.contains(name) || row.providers.iter().any(holds) || row.channels.iter().any(holds)
}

/// Some log or provider has this in its name.
fn is_log(part: &str) -> bool {
    let name = part.to_ascii_lowercase();
    let is_name =
        part.len() >= LOG_NAME_MIN && number(part).is_none() && !is_event(part) && !is_filling(part);
    is_name && events::described().any(|row| is_of(&row, &name))
}

fn is_event(part: &str) -> bool {
    EVENT.contains(&part.to_lowercase().as_str())
}

fn is_filling(part: &str) -> bool {
    FILLING.contains(&part.to_ascii_lowercase().as_str())
}

fn is_code(part: &str) -> bool {
    number(part).is_some() || is_constant(part)
}

/// Where the number stands that the word at `at` says to be that of an event.
fn named_at(parts: &[&str], at: usize) -> Option<usize> {
    parts.get(at).filter(|part| is_event(part))?;
    let behind = parts.iter().enumerate().skip(at + 1).take(BETWEEN_MAX);
    let mut behind = behind.skip_while(|(_, part)| is_filling(part) || is_log(part));
    behind.next().filter(|(_, part)| decimal(part).is_some()).map(|(at, _)| at)
}

fn decimal(part: &str) -> Option<u32> {
    part.parse().ok().filter(|_| part.chars().all(|c| c.is_ascii_digit()))
}

fn parts(text: &str) -> Vec<&str> {
    let separates = |c: char| c.is_whitespace() || matches!(c, ',' | ';' | ':' | '(' | ')' | '/' | '=' | '"');
    let parts =
        text.split(separates).map(|part| part.trim_matches(|c: char| matches!(c, '.' | '%' | '\'' | '#')));
    parts.filter(|part| !part.is_empty()).collect()
}

/// The codes of a text that names the event.
fn codes_of(text: &str, id: u32) -> Vec<String> {
    let found = tokens(text);
    let is_other = |code: &String| decimal(code) != Some(id) || is_hexadecimal(code);
    found.into_iter().filter(is_other).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explain::explain;

    fn told(words: &[&str]) -> Vec<String> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let line = |one: Explanation| {
            let says: Vec<String> =
                one.says.iter().map(|says| format!("{}: {}", says.of, says.text)).collect();
            format!("{} = {}", one.asked, says.join(" | "))
        };
        explain(&words).into_iter().map(line).collect()
    }

    #[test]
    fn a_code_beside_an_event_means_what_the_event_writes() {
        let said = told(&["4625", "0xc000006d", "0xc0000064"]);
        assert_eq!(said.len(), 3, "{said:#?}");
        assert!(said[0].starts_with("event 4625 = event 4625 of Microsoft-Windows-Security-Auditing: "));
        assert!(
            said[1].contains("as Status or SubStatus of event 4625")
                && said[1].contains("STATUS_LOGON_FAILURE")
        );
        assert!(said[2].contains("STATUS_NO_SUCH_USER"));
        let one = |words: &[&str]| {
            let said = told(words);
            assert_eq!(said.len(), 2, "{said:#?}");
            assert!(!said[1].contains(" | "), "one meaning only: {}", said[1]);
            said[1].clone()
        };
        assert!(one(&["Security", "4771", "0x18"]).contains("KDC_ERR_PREAUTH_FAILED"));
        assert!(one(&["Event 4776 error 0xC000006A"]).contains("STATUS_WRONG_PASSWORD"));
        assert!(one(&["RDPClient", "1026", "2308"]).contains("disconnectReasonAtClientWinsockFDCLOSE"));
        assert!(one(&["304", "23005"]).contains("E_PROXY_TS_CONNECTFAILED"));
        assert!(one(&["RdpCoreTS", "103", "14"]).contains("connection lost"));
        assert!(one(&["Schannel 36887: 40"]).contains("handshake_failure"));
        assert!(one(&["4625", "%%2313"]).contains("%%2313"));
        assert!(one(&["event:4771", "24"]).contains("KDC_ERR_PREAUTH_FAILED"));
    }

    #[test]
    fn the_text_of_a_record_gives_its_event_and_the_codes_that_are_known() {
        let text = "Log Name: Security\nDate: 22.11.2026 10:00:00\nEvent ID: 4625\nAn account failed to log on.\n\
                    Failure Reason: Unknown user name or bad password.\nStatus: 0xC000006D\nSub Status: 0xC0000064\n\
                    Caller Process ID: 0x1f4\nLogon Process: NtLmSsp";
        let said = told(&[text]);
        assert_eq!(said.len(), 3, "{said:#?}");
        assert!(
            said[0].starts_with("event 4625 = event 4625 of Microsoft-Windows-Security-Auditing"),
            "{}",
            said[0]
        );
        assert!(said[1].starts_with("0xC000006D = ") && said[2].starts_with("0xC0000064 = "), "{said:#?}");
    }

    #[test]
    fn numbers_that_no_event_carries_stay_for_themselves() {
        assert!(told(&["0x3", "0x7"])[0].starts_with("error code 0x3"));
        assert!(told(&["2308", "7"])[0].starts_with("error code 0x904"));
        let two = told(&["event:4625", "event:4776"]);
        assert!(two.len() == 2 && two[1].contains("NTLM credentials were checked"), "{two:#?}");
        let two = told(&["4625", "4776"]);
        assert!(two.len() == 2 && two[1].contains("NTLM credentials were checked"), "{two:#?}");
        assert_eq!(told(&["Microsoft-Windows-TerminalServices-RDPClient/Operational 1026"]).len(), 1);
    }

    #[test]
    fn every_row_names_events_that_are_read() {
        for carried in CARRIED {
            for id in carried.ids {
                let found = events::described().any(|row| row.log == carried.log && row.id == *id);
                assert!(found, "{} {id}", carried.log);
            }
        }
    }
}
