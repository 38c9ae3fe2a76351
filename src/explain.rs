//! What a number, a constant, an event, a cause or the text of an error box means: every table that knows it, in the
//! order in which people meet them.

use std::collections::BTreeSet;

use crate::codes::{self, Row, Status, Table};
use crate::diagnosis::{RULES, Rule};
use crate::step::LADDER;
use crate::wire::negotiation::FailureCode;

mod event;
mod pairs;

use event::of_event;

/// What is told of one thing that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Explanation {
    /// What was asked.
    pub asked: String,
    /// What it is, one line each: where the number or name stands, and what it means there.
    pub says: Vec<Says>,
    /// Names that are nearly the same, when nothing is known.
    pub near: Vec<String>,
}

/// One meaning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Says {
    /// Where it stands: a table, a log, the rules.
    pub of: String,
    /// Its meaning.
    pub text: String,
}

/// Explanations given at most of one pasted text.
const ASKED_MAX: usize = 16;
/// Names that are proposed.
const NEAR_MAX: usize = 3;

/// The tables with small numbers, and what a person sees their numbers in.
const SMALL: &[(&Table, &str)] = &[
    (&codes::DISCONNECT_REASONS, "error code of mstsc, reason of RDPClient 1026"),
    (&codes::EXTENDED_REASONS, "extended error code of mstsc"),
    (&codes::ERROR_INFO, "Set Error Info of the server, reason of RdpCoreTS 103 and LocalSessionManager 40"),
    (&codes::RDPCORETS_REASONS, "reason of RdpCoreTS 103"),
    (&codes::FREERDP, "last error of FreeRDP"),
    (&codes::GATEWAY, "RD Gateway error"),
    (&codes::LICENSE_ERRORS, "licensing error PDU"),
    (&codes::KERBEROS, "Kerberos error"),
    (&codes::TLS_ALERTS, "TLS alert"),
    (&codes::FAILURE_REASONS, FAILURE_REASON),
    (&codes::LOGON_TYPES, "logon type of Security 4624 and 4625"),
    (&codes::SCHANNEL_STATES, "state of Schannel 36870 to 36874"),
    (&codes::WIN32, "Win32 error"),
];

const FAILURE_REASON: &str = "FailureReason of Security 4625";

/// The tables with status values.
const STATUS: &[(&Table, &str)] = &[(&codes::NTSTATUS, "NTSTATUS"), (&codes::SEC_E, "HRESULT")];

/// Words of a sentence: so many without one that is known are no list of codes.
const SENTENCE_MIN: usize = 3;

/// Explains each word; two numbers are a pair of mstsc's error box, the name of a log and a number an event of that log; a
/// text is searched for its numbers and constants. Nothing at all comes of a sentence that holds none.
#[must_use]
pub fn explain(words: &[String]) -> Vec<Explanation> {
    if let Some(told) = event::asked(words) {
        return told;
    }
    // Some scripts put no space between words.
    let is_text = |word: &String| word.split_whitespace().count() > 1 || !word.is_ascii();
    let asked: Vec<String> = match words.iter().any(is_text) {
        true => tokens(&words.join(" ")),
        false => words.iter().flat_map(|word| beside(word)).collect(),
    };
    let asked: Vec<String> = asked.into_iter().filter(|word| word != "/").collect();
    let numbers: Vec<u32> = asked.iter().filter_map(|word| number(word)).collect();
    let mut told = Vec::new();
    if let ([code, extended], true) = (numbers.as_slice(), asked.len() == numbers.len()) {
        told.extend(of_pair(*code, *extended).or_else(|| of_any_pair(*code, *extended)));
    }
    let mut known = BTreeSet::new();
    let each = asked.iter().filter(|word| known.insert(word.to_ascii_lowercase()));
    told.extend(each.take(ASKED_MAX).map(|word| of_word(word)));
    let is_sentence = asked.len() >= SENTENCE_MIN && told.iter().all(|one| one.says.is_empty());
    if is_sentence { Vec::new() } else { told }
}

/// The numbers of a text, such as that of an error box, in their order.
#[must_use]
pub fn numbers(text: &str) -> Vec<u32> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let plain: Option<Vec<u32>> = words.iter().map(|word| number(word)).collect();
    plain.unwrap_or_else(|| tokens(text).iter().filter_map(|word| number(word)).collect())
}

/// Numbers and constants of a pasted text. Hexadecimal numbers carry the meaning in every language; decimal ones count
/// only where there are none, and not where they are part of a time or an address. One digit counts behind `:`, `=` or
/// `/`, as in `2308 / 7`.
fn tokens(text: &str) -> Vec<String> {
    let text: String = text.chars().map(narrow).collect();
    let known = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    let known: Vec<String> =
        known.filter(|word| is_hexadecimal(word) || is_constant(word)).map(str::to_owned).collect();
    if !known.is_empty() {
        return known;
    }
    let separates = |c: char| c.is_whitespace() || matches!(c, ',' | ';' | '(' | ')' | '"' | '\'');
    let mut plain = Vec::new();
    let mut announced = false;
    for part in text.split(separates).flat_map(beside) {
        let word = part.trim_matches(|c: char| !c.is_ascii_alphanumeric() && c != '-');
        let told = part.rsplit([':', '=', '/']).next().filter(|last| last.len() < part.len()).unwrap_or(word);
        let is_number = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_digit());
        let starts_with_word = part.starts_with(|c: char| !c.is_ascii_digit());
        if is_number(word) && (announced || word.len() >= 2) {
            plain.push(word.to_owned());
        } else if starts_with_word && is_number(told) {
            plain.push(told.to_owned());
        }
        announced = part.ends_with([':', '=', '/']);
    }
    plain
}

/// Two decimal numbers with `/` between, apart; the `/` alone is nothing.
fn beside(word: &str) -> Vec<String> {
    let is_number = |part: &str| number(part).is_some();
    match word.split_once('/') {
        Some((code, extended)) if is_number(code) && is_number(extended) => {
            vec![format!("{code}"), format!("{extended}")]
        }
        _ => vec![word.to_owned()],
    }
}

/// A letter, digit or sign of full width (U+FF01 to U+FF5E) as the one that everybody writes.
fn narrow(c: char) -> char {
    match c {
        '\u{ff01}'..='\u{ff5e}' => u32::from(c).checked_sub(0xfee0).and_then(char::from_u32).unwrap_or(c),
        other => other,
    }
}

fn is_hexadecimal(word: &str) -> bool {
    let digits = word.strip_prefix("0x").or_else(|| word.strip_prefix("0X"));
    digits.is_some_and(|d| (1..=8).contains(&d.len()) && d.chars().all(|c| c.is_ascii_hexdigit()))
}

/// In capitals with a low line, as constants are written, and known.
fn is_constant(word: &str) -> bool {
    word.contains('_') && names().any(|name| is_called(name, word))
}

/// The constant of that name, or what FreeRDP calls it in its own numbering: `FREERDP_ERROR_CONNECT_LOGON_FAILURE` is
/// `ERRCONNECT_LOGON_FAILURE`, `FREERDP_ERROR_IDLE_TIMEOUT` is `ERRINFO_IDLE_TIMEOUT`.
fn is_called(name: &str, word: &str) -> bool {
    if name.eq_ignore_ascii_case(word) {
        return true;
    }
    let (Some(prefix), Some(rest)) = (word.get(..FREERDP_PREFIX.len()), word.get(FREERDP_PREFIX.len()..))
    else {
        return false;
    };
    let plain = name.strip_prefix("ERRCONNECT_").or_else(|| name.strip_prefix("ERRINFO_"));
    let rest = [Some(rest), rest.strip_prefix("CONNECT_")];
    prefix.eq_ignore_ascii_case(FREERDP_PREFIX)
        && plain.is_some_and(|plain| rest.into_iter().flatten().any(|rest| plain.eq_ignore_ascii_case(rest)))
}

const FREERDP_PREFIX: &str = "FREERDP_ERROR_";

/// Hexadecimal with `0x`, or of eight digits; decimal; negative as its two's complement.
fn number(word: &str) -> Option<u32> {
    let word = word.trim();
    if is_hexadecimal(word) {
        return u32::from_str_radix(word.get(2..)?, 16).ok();
    }
    if word.len() == 8 && word.chars().any(|c| c.is_ascii_alphabetic()) {
        return u32::from_str_radix(word, 16).ok();
    }
    word.parse().ok().or_else(|| word.parse::<i32>().ok().map(i32::cast_unsigned))
}

fn of_pair(code: u32, extended: u32) -> Option<Explanation> {
    let pair = pairs::find(code, extended)?;
    let says =
        [("it proves", pair.proves), ("it does not prove", pair.proves_not), ("what decides", pair.next)];
    Some(Explanation {
        asked: format!("error code {code:#x}, extended error code {extended:#x}"),
        says: says.map(|(of, text)| Says { of: of.to_owned(), text: text.to_owned() }).to_vec(),
        near: Vec::new(),
    })
}

/// Two numbers of which the first is one of the client and the second one of those that stand beside it.
fn of_any_pair(code: u32, extended: u32) -> Option<Explanation> {
    let client = codes::DISCONNECT_REASONS.row(code)?;
    let beside = match extended {
        0 => Says {
            of: "the extended error code".to_owned(),
            text: "says nothing more: the first number is all there is".to_owned(),
        },
        _ => match codes::EXTENDED_REASONS.row(extended) {
            Some(row) => said("extended error code of mstsc", row),
            None => said(
                "extended error code of mstsc, as Set Error Info of the server",
                codes::ERROR_INFO.row(extended)?,
            ),
        },
    };
    Some(Explanation {
        asked: format!("error code {code:#x}, extended error code {extended:#x}"),
        says: vec![said("error code of mstsc", client), beside],
        near: Vec::new(),
    })
}

fn of_word(word: &str) -> Explanation {
    let mut says = Vec::new();
    if let Some((log, id)) = event(word) {
        says.extend(of_event(log, id));
    } else if let Some(number) = number(word) {
        // The event writes its reason as `%%2313`: a hexadecimal number is none.
        let is_reason = |says: &Says| is_hexadecimal(word) && says.of == FAILURE_REASON;
        says.extend(of_number(number).into_iter().filter(|says| !is_reason(says)));
    } else {
        says.extend(of_name(word));
    }
    let near = if says.is_empty() { near(word) } else { Vec::new() };
    Explanation { asked: word.to_owned(), says, near }
}

/// `event:1149`, or `LOG/1149` with a part of the log's name.
fn event(word: &str) -> Option<(&str, u32)> {
    let (log, id) = word.rsplit_once([':', '/'])?;
    let log = if log.eq_ignore_ascii_case("event") { "" } else { log };
    Some((log, id.parse().ok()?))
}

fn of_number(number: u32) -> Vec<Says> {
    let row = |(table, of): &(&Table, &str)| table.row(number).map(|row| said(of, row));
    let mut says: Vec<Says> = SMALL.iter().filter_map(row).collect();
    says.extend(STATUS.iter().filter(|_| number != 0).filter_map(row));
    if number >> 16 == FREERDP_ERROR_INFO {
        let info = codes::ERROR_INFO.row(number & 0xffff);
        says.extend(info.map(|row| said("last error of FreeRDP: Set Error Info of the server", row)));
    }
    if says.is_empty()
        && let Some(row) = Status(number).row()
    {
        says.push(said(&format!("status {number:#x} holds"), row));
    }
    if let Some(name) = FailureCode(number).name() {
        let of = "failure code of the RDP negotiation".to_owned();
        says.push(Says { of, text: name.to_owned() });
    }
    if number > 9 {
        says.extend(of_event("", number));
    }
    says
}

/// The class of Set Error Info codes in FreeRDP's own numbers.
const FREERDP_ERROR_INFO: u32 = 1;

fn said(of: &str, row: &Row) -> Says {
    let name = if row.name == "undocumented" { "" } else { row.name };
    let text = if name.is_empty() { row.meaning.to_owned() } else { format!("{name}: {}", row.meaning) };
    Says { of: of.to_owned(), text }
}

fn of_name(word: &str) -> Vec<Says> {
    let mut says = Vec::new();
    for (table, of) in SMALL.iter().chain(STATUS) {
        let named = table.rows().iter().filter(|row| is_called(row.name, word));
        says.extend(named.map(|row| Says {
            of: format!("{of} {:#x} ({})", row.code, row.code),
            text: row.meaning.to_owned(),
        }));
    }
    for rule in rules().filter(|rule| rule.id.eq_ignore_ascii_case(word)) {
        let step = rule.step.map_or_else(|| "any step".to_owned(), |step| step.title().to_owned());
        says.push(Says { of: format!("cause, {step}"), text: rule.cause.to_owned() });
        says.push(Says { of: "to do".to_owned(), text: rule.fix.to_owned() });
        if !rule.refs.is_empty() {
            says.push(Says { of: "known from".to_owned(), text: rule.refs.join("; ") });
        }
        says.push(Says { of: "known by".to_owned(), text: known_by(rule) });
    }
    for rung in LADDER.iter().filter(|rung| rung.name.eq_ignore_ascii_case(word)) {
        says.push(Says { of: "step".to_owned(), text: format!("{} ({})", rung.title, rung.spec) });
    }
    says
}

/// How a cause is known, without the names of the cases, which are files of the project.
fn known_by(rule: &Rule) -> String {
    match rule.seen.len() {
        0 => "its specification only: no real case was seen, so that an answer is less sure of it".to_owned(),
        1 => "1 real case in which it was the cause, beside its specification".to_owned(),
        count => format!("{count} real cases in which it was the cause, beside its specification"),
    }
}

fn rules() -> impl Iterator<Item = &'static Rule> {
    RULES.iter().flat_map(|rules| rules.iter())
}

/// Every name that `of_name` knows.
fn names() -> impl Iterator<Item = &'static str> {
    let tables = SMALL.iter().chain(STATUS).flat_map(|(table, _)| table.rows()).map(|row| row.name);
    tables.chain(rules().map(|rule| rule.id)).chain(LADDER.iter().map(|rung| rung.name))
}

/// Names that hold the word, or differ from it by few letters.
fn near(word: &str) -> Vec<String> {
    let asked = word.to_ascii_lowercase();
    if asked.is_empty() {
        return Vec::new();
    }
    let most = asked.len() / 4 + 1;
    let far = |name: &str| {
        let name = name.to_ascii_lowercase();
        let held = asked.len() >= 4 && name.contains(&asked);
        if held {
            Some(0)
        } else {
            Some(strsim::damerau_levenshtein(&asked, &name)).filter(|far| *far <= most)
        }
    };
    let found: BTreeSet<(usize, &str)> = names().filter_map(|name| Some((far(name)?, name))).collect();
    found.into_iter().take(NEAR_MAX).map(|(_, name)| name.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(words: &[&str]) -> String {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let line = |one: Explanation| {
            let says: Vec<String> =
                one.says.into_iter().map(|says| format!("{}: {}", says.of, says.text)).collect();
            format!("{} = {}{}\n", one.asked, says.join(" | "), one.near.join(" or "))
        };
        explain(&words).into_iter().map(line).collect()
    }

    #[test]
    fn a_hexadecimal_number_is_no_failure_reason_of_an_event() {
        let of = |word: &str| explain(&[word.to_owned()]).remove(0).says;
        assert!(of("2311").iter().any(|says| says.of == FAILURE_REASON));
        assert!(of("0x907").iter().all(|says| says.of != FAILURE_REASON));
    }

    #[test]
    fn the_pair_that_started_it_is_told_first_and_licensing_is_no_denial() {
        let said = told(&["0x3", "0x7"]);
        assert!(
            said.starts_with("error code 0x3, extended error code 0x7 = it proves: the server itself"),
            "{said}"
        );
        assert!(said.contains("STATUS_VALID_CLIENT has the number 7 too"));
        assert!(said.contains("extended error code of mstsc: exDiscReasonServerDeniedConnection"));
        assert!(told(&["0x904", "7"]).contains("it does not prove: that a server denied it"));
    }

    #[test]
    fn the_text_of_an_error_box_is_read_in_any_language() {
        let pair = told(&["0x3", "0x7"]);
        for text in [
            "Error code: 0x3\nExtended error code: 0x7\nTimestamp (UTC): 11/22/26 10:00:00 AM",
            "Fehlercode: 0x3 Erweiterter Fehlercode: 0x7 Zeitstempel (UTC): 22.11.26 10:00:00",
            "エラー コード: 0x3\n拡張エラー コード: 0x7",
            "エラーコード：0x3、拡張エラーコード：０ｘ７",
            "Código de error: 0x3 Código de error extendido: 0x7",
            "Код ошибки: 0x3 Расширенный код ошибки: 0x7",
            "Code d’erreur : 0x3, code étendu:0x7.",
        ] {
            assert_eq!(told(&[text]), pair, "{text}");
        }
        assert!(
            told(&["Function requested is not supported (0x80090302)"])
                .contains("SEC_E_UNSUPPORTED_FUNCTION")
        );
        assert!(told(&["it says ERRINFO_SERVER_DENIED_CONNECTION here"]).contains("0x7 (7)"));
        assert!(told(&["Fehler 2308 um 10:00"]).contains("disconnectReasonAtClientWinsockFDCLOSE"));
    }

    #[test]
    fn any_two_numbers_of_the_box_are_a_pair() {
        let said = told(&["0xb07", "0x0"]);
        let first = said.lines().next().unwrap_or_default();
        assert!(
            first.starts_with("error code 0xb07, extended error code 0x0 = error code of mstsc: "),
            "{said}"
        );
        assert!(first.contains("says nothing more"), "{first}");
        let box_de = "Fehlercode: 0xb07\nErweiterter Fehlercode: 0x0\nZeitstempel (UTC): 22.11.26 10:00:00";
        assert_eq!(told(&[box_de]), said);
        assert!(told(&["0xb07", "0x5"]).starts_with("error code 0xb07, extended error code 0x5 = "));
        let pair = told(&["2308", "7"]);
        assert!(pair.starts_with("error code 0x904, extended error code 0x7 = it proves: "), "{pair}");
        for words in [
            &["2308", "/", "7"][..],
            &["2308 / 7"],
            &["2308/7"],
            &["Fehler 2308 / 7"],
            &["Code: 2308, Extended: 7"],
        ] {
            assert_eq!(told(words), pair, "{words:?}");
        }
        assert!(!told(&["Fehler 2308 um 10:00"]).contains("extended error code 0x"));
        assert!(!told(&["0xdead", "0x0"]).contains("error code 0xdead"));
    }

    #[test]
    fn a_cause_names_no_file_of_the_project_that_a_user_does_not_have() {
        let said = told(&["bad-password"]);
        assert!(said.contains("known by: 2 real cases") && !said.contains("shadow3"), "{said}");
        for rule in rules() {
            let said = told(&[rule.id]);
            assert!(
                rule.seen.iter().all(|name| *name == rule.id || !said.contains(&format!("{name},"))),
                "{said}"
            );
        }
    }

    #[test]
    fn numbers_are_read_in_every_spelling() {
        for word in ["0xc000006d", "0xC000006D", "c000006d", "3221225581", "-1073741715"] {
            assert!(told(&[word]).contains("NTSTATUS: STATUS_LOGON_FAILURE"), "{word}: {}", told(&[word]));
        }
        assert!(told(&["0x8007052e"]).contains("ERROR_LOGON_FAILURE"));
        assert!(
            told(&["2825"]).contains("0xb09") || told(&["2825"]).contains("mstsc"),
            "{}",
            told(&["2825"])
        );
    }

    #[test]
    fn events_causes_steps_and_constants_are_known() {
        assert!(
            told(&["event:1149"])
                .contains("event 1149 of Microsoft-Windows-TerminalServices-RemoteConnectionManager")
        );
        assert!(told(&["RdpCoreTS/103"]).contains("event 103 of"));
        assert!(told(&["bad-password"]).contains("cause, CredSSP (NLA): "));
        assert!(told(&["status_wrong_password"]).contains("NTSTATUS 0xc000006a"));
        assert!(told(&["credssp"]).contains("step: CredSSP (NLA)"));
    }

    #[test]
    fn what_freerdp_prints_is_known_by_number_and_by_both_names() {
        for word in
            ["0x00020014", "131092", "ERRCONNECT_LOGON_FAILURE", "FREERDP_ERROR_CONNECT_LOGON_FAILURE"]
        {
            let said = told(&[word]);
            assert!(said.contains("last error of FreeRDP") && said.contains("password is wrong"), "{said}");
        }
        assert!(told(&["freerdp_error_dns_name_not_found"]).contains("0x20005"));
        for word in ["0x00010007", "FREERDP_ERROR_SERVER_DENIED_CONNECTION"] {
            assert!(told(&[word]).contains("refused the connection on purpose"), "{}", told(&[word]));
        }
        let line = "[ERROR][com.freerdp.core] - [freerdp_set_last_error_ex]: ERRCONNECT_TLS_CONNECT_FAILED [0x00020008]";
        assert_eq!(told(&[line]).lines().count(), 2, "{}", told(&[line]));
        assert_eq!(told(&["0x00020014 0x00020014"]).lines().count(), 1);
    }

    #[test]
    fn a_log_before_or_behind_a_number_leaves_its_events_only() {
        let one = told(&["RdpCoreTS 226"]);
        assert!(one.contains("event 226 of Microsoft-Windows-RemoteDesktopServices-RdpCoreTS"), "{one}");
        assert!(!one.contains("ClientActiveXCore") && one.lines().count() == 1, "{one}");
        for words in [&["rdpcorets", "226"][..], &["Event ID 226, RdpCoreTS"], &["Event 226 (RdpCoreTS)"]] {
            let said = told(words);
            assert!(said.contains("RdpCoreTS: ") && !said.contains("ActiveX"), "{said}");
        }
        assert!(told(&["226"]).contains("ClientActiveXCore"));
        assert!(told(&["event 1149"]).contains("RemoteConnectionManager"));
        assert_eq!(told(&["RdpCoreTS 9999"]), "RdpCoreTS 9999 = \n");
    }

    #[test]
    fn a_sentence_without_a_number_is_no_list_of_codes() {
        let quoted = "Ein interner Fehler ist aufgetreten.";
        assert!(told(&[quoted]).is_empty());
        assert!(told(&["Une", "erreur", "interne", "s'est", "produite."]).is_empty());
        assert_eq!(told(&["bad-pasword", "0x7"]).lines().count(), 2);
    }

    #[test]
    fn near_misses_are_proposed_and_nonsense_is_not() {
        assert_eq!(told(&["bad-pasword"]), "bad-pasword = bad-password\n");
        assert_eq!(told(&["STATUS_WRONG_PASSWROD"]), "STATUS_WRONG_PASSWROD = STATUS_WRONG_PASSWORD\n");
        assert_eq!(told(&["qqqqqqqqqq"]), "qqqqqqqqqq = \n");
        assert_eq!(told(&["0xdeadbeef"]), "0xdeadbeef = \n");
    }

    #[test]
    fn rows_of_one_pair_stand_before_rows_of_all() {
        for (index, pair) in pairs::PAIRS.iter().enumerate() {
            let same = |other: &pairs::Pair| other.code == pair.code && other.extended == pair.extended;
            assert_eq!(pairs::PAIRS.iter().position(same), Some(index));
            assert!(
                pair.extended.is_some() || pairs::PAIRS[index..].iter().all(|other| other.extended.is_none())
            );
        }
    }
}
