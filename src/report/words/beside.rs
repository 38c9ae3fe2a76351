//! What passed beside a connection, as sentences: names, Kerberos, services and ARP.

use super::{ms, printable};
use crate::codes::KerberosError;
use crate::fact::{Side, What};
use crate::note::counted;
use crate::time::spoken;
use crate::wire::dns::ResponseCode;

/// The sentence of a fact about what the ends exchange with others. Text from the evidence in it is printable.
pub(super) fn says(what: &What) -> Option<String> {
    Some(match what {
        What::KerberosFailed { .. } => kerberos_failed(what)?,
        What::KerberosGranted { service, asker } => {
            format!("a ticket was given{}{}", named(" for", service.as_ref()), to(Some(*asker)))
        }
        What::HostClock { of, name, by, ahead_ms, .. } => {
            let way = if *ahead_ms < 0 { "behind" } else { "ahead of" };
            let apart = spoken(ahead_ms.saturating_abs().saturating_mul(1_000_000));
            let whose = named("", name.as_ref());
            let by = if by == "ntlm" { "NTLM" } else { "Kerberos" };
            format!("the clock of {of}{whose} is {apart} {way} the capture's, {by} tells")
        }
        What::NameListed { of, name } => format!("the capture calls {of} {}", printable(name)),
        What::NameResolved { name, addresses } => {
            format!("{} was looked up: {}", printable(name), printable(addresses))
        }
        What::LookupFailed { asker, name, records, code, server, tries, .. } => {
            let records = records.as_ref().map(|kind| format!(" ({})", printable(kind))).unwrap_or_default();
            let answer = match code {
                None => format!("{server} does not answer, asked {}", counted(*tries, "time", "times")),
                Some(0) => format!("{server} knows no such records"),
                Some(code) => format!("{server} says {}", response(*code)),
            };
            format!("{} looks for a domain controller, {}{records}: {answer}", asker.name(), printable(name))
        }
        What::ServiceUnreached { asker, service, server, udp, refused, tries, over_ms } => {
            let over = if *udp { "UDP" } else { "TCP" };
            let answer = match (refused, tries) {
                (true, _) => "the connection is refused".to_owned(),
                (false, 1) => "no answer".to_owned(),
                (false, tries) => format!("no answer to {tries} tries in {}", ms(*over_ms)),
            };
            format!("{} asks {server} for {} over {over}: {answer}", asker.name(), printable(service))
        }
        What::ArpUnanswered { address, asker, tries, over_ms } => {
            format!(
                "nobody answers {asker}, who asks {} in {} who has {address} (ARP)",
                counted(*tries, "time", "times"),
                ms(*over_ms)
            )
        }
        What::DuplicateAddress { address, macs } => {
            let macs: Vec<String> = macs.split(',').map(|mac| printable(mac).into_owned()).collect();
            format!("{} answer ARP for the one address {address}", macs.join(" and "))
        }
        _ => return None,
    })
}

fn kerberos_failed(what: &What) -> Option<String> {
    let What::KerberosFailed { code, service, user, asker, status, kdc_ahead_s, .. } = what else {
        return None;
    };
    let meaning = code.row().map(|row| format!(", {}", row.meaning)).unwrap_or_default();
    let (service, user) = (named(" for", service.as_ref()), named(" of", user.as_ref()));
    let mut text = format!("Kerberos failed{service}{user}{}: {}{meaning}", to(*asker), code.words());
    if let Some(status) = status {
        text.push_str(&format!(", with {}", status.words()));
    }
    if let Some(seconds) =
        kdc_ahead_s.filter(|seconds| seconds.unsigned_abs() >= CLOCK_SAID_S || is_of_clocks(*code))
    {
        let direction = if seconds < 0 { "behind" } else { "ahead of" };
        let apart = spoken(seconds.saturating_abs().saturating_mul(1_000_000_000));
        text.push_str(&format!("; the domain controller's clock is {apart} {direction} the capture's"));
    }
    Some(text)
}

/// Clocks nearer than this are not worth a word.
const CLOCK_SAID_S: u64 = 60;

/// KRB_AP_ERR_TKT_NYV and KRB_AP_ERR_SKEW.
fn is_of_clocks(code: KerberosError) -> bool {
    matches!(code.0, 0x21 | 0x25)
}

fn to(asker: Option<Side>) -> String {
    asker.map(|side| format!(", asked by the {}", side.name())).unwrap_or_default()
}

fn named(before: &str, text: Option<&String>) -> String {
    text.map(|text| format!("{before} {}", printable(text))).unwrap_or_default()
}

fn response(code: u32) -> String {
    let name = u8::try_from(code).ok().and_then(|code| ResponseCode(code).name());
    name.map_or_else(|| format!("code {code}"), |name| format!("{name} ({code})"))
}
