//! Why the name of the server led nowhere, or to another host. A look-up without a connection behind it belongs to none in
//! a capture: the client's log proves whose name it was.

use std::net::IpAddr;

use super::account::kerberos;
use super::{Case, Doubt, Evidence, NOT_SEEN, Rule, Support, Weighing};
use crate::codes::Status;
use crate::fact::What;
use crate::session::Seen;
use crate::step::Step;

/// WSAHOST_NOT_FOUND, WSANO_DATA, DNS_ERROR_RCODE_NAME_ERROR, DNS_INFO_NO_RECORDS, DNS_ERROR_NAME_DOES_NOT_EXIST.
const NO_SUCH_NAME: [u32; 5] = [11_001, 11_004, 9_003, 9_501, 9_714];
/// WSATRY_AGAIN, ERROR_TIMEOUT, DNS_ERROR_RCODE_SERVER_FAILURE, DNS_ERROR_NO_DNS_SERVERS, WSAETIMEDOUT.
const NO_ANSWER: [u32; 5] = [11_002, 1_460, 9_002, 9_852, 10_060];
const LOOK_UP: &str = "what the client's name servers say: at the client `Resolve-DnsName NAME` and `Get-DnsClientServerAddress`, or a capture of port 53 there";
const DNS_CLIENT: &str = "System log of the client (`wevtutil epl System System.evtx`): DNS-Client 1014 with the same name says that no name server answered";

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "dns-nxdomain",
        step: Some(Step::Dns),
        cause: "the name of the server does not exist for the client: no connection was tried",
        fix: "at the client: `Resolve-DnsName NAME` (also with the domain appended), `ipconfig /all` for suffixes and name servers; \
              correct the typed name or use the full one; on the DNS server `Add-DnsServerResourceRecordA -ZoneName ZONE -Name HOST -IPv4Address ADDRESS`",
        refs: &["RFC 1035 4.1.1", "IMsTscAxEvents OnDisconnected 0x104", "RDPClient 1007, 1026"],
        seen: NOT_SEEN,
        weigh: |case| {
            let failed = look_up_failed(case)?;
            let kind = match code(failed) {
                Some(code) if NO_SUCH_NAME.contains(&code) => Evidence::Told,
                Some(code) if NO_ANSWER.contains(&code) => Evidence::Possible,
                _ => Evidence::Shape,
            };
            let weighing = Weighing::of(kind, failed).and(typed(case)).unless(timed_out(case), Doubt::Strong);
            Some(weighing.unless(address_typed(case), Doubt::Strong).missing(LOOK_UP).missing(DNS_CLIENT))
        },
    },
    Rule {
        id: "dns-timeout",
        step: Some(Step::Dns),
        cause: "no name server answered when the client looked the server up",
        fix: "at the client: `Get-DnsClientServerAddress`, then for each address `Test-NetConnection ADDRESS -Port 53` and `Resolve-DnsName NAME -Server ADDRESS`; \
              with a VPN check that its name servers are reached through it (`Get-DnsClientNrptPolicy`)",
        refs: &["RFC 1035 7.2", "DNS-Client 1014", "IMsTscAxEvents OnDisconnected 0x104"],
        seen: NOT_SEEN,
        weigh: |case| {
            let failed = look_up_failed(case)?;
            let other = case
                .find(|what| matches!(what, What::NameNotResolved { code: Some(code), .. } if NO_SUCH_NAME.contains(&code.plain())));
            if let Some(seen) = timed_out(case) {
                let second = Some(failed).filter(|second| second.place() != seen.place());
                return Some(
                    Weighing::of(Evidence::Told, seen)
                        .and(second)
                        .and(typed(case))
                        .unless(other, Doubt::Strong),
                );
            }
            let kind = match code(failed) {
                Some(code) if NO_ANSWER.contains(&code) => Evidence::Told,
                Some(code) if NO_SUCH_NAME.contains(&code) => return None,
                _ => Evidence::Possible,
            };
            let weighing =
                Weighing::of(kind, failed).and(typed(case)).unless(address_typed(case), Doubt::Clear);
            Some(weighing.missing(DNS_CLIENT))
        },
    },
    Rule {
        id: "dns-wrong-host",
        step: Some(Step::Dns),
        cause: "the name leads to another host than the intended one: a stale or doubled record, or an old answer in a cache",
        fix: "at the client: `ipconfig /flushdns`, `Resolve-DnsName NAME`; on the intended host `ipconfig` must show that address; delete the stale record \
              (`Remove-DnsServerResourceRecord -ZoneName ZONE -RRType A -Name HOST`); `setspn -X` finds names given twice",
        refs: &["RFC 4120 7.5.9", "MS-NLMP 2.2.2.1"],
        seen: NOT_SEEN,
        weigh: wrong_host,
    },
];

/// The client could not look the server up, and nothing came behind.
fn look_up_failed<'a>(case: &Case<'a>) -> Option<&'a Seen> {
    let said = case.find(|what| matches!(what, What::NameNotResolved { name: None, .. }));
    let ended =
        || case.find(|what| matches!(what, What::ClientDisconnected { reason } if reason.is_look_up()));
    let timed = || timed_out(case);
    said.or_else(ended).or_else(timed).filter(|_| case.failed_at(Step::Dns))
}

fn code(seen: &Seen) -> Option<u32> {
    match seen.what() {
        What::NameNotResolved { code, .. } => code.map(Status::plain).map(|code| code & 0xffff),
        _ => None,
    }
}

/// DNS-Client 1014 of the name that was typed.
fn timed_out<'a>(case: &Case<'a>) -> Option<&'a Seen> {
    let typed = case.session.typed_name()?.trim_end_matches('.').to_ascii_lowercase();
    case.find(|what| match what {
        What::NameNotResolved { name: Some(name), .. } => {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            name == typed || name.strip_prefix(&typed).is_some_and(|suffix| suffix.starts_with('.'))
        }
        _ => false,
    })
}

fn typed<'a>(case: &Case<'a>) -> Option<&'a Seen> {
    case.find(|what| matches!(what, What::ClientConnecting { .. }))
}

/// An address needs no look-up.
fn address_typed<'a>(case: &Case<'a>) -> Option<&'a Seen> {
    let name = case.session.typed_name()?;
    name.trim_matches(['[', ']']).parse::<IpAddr>().ok()?;
    typed(case)
}

/// The client looked a name up, went to the address, and who answered there says that it is another computer.
fn wrong_host(case: &Case<'_>) -> Option<Weighing> {
    let in_question = case.session.broke_at >= Some(Step::Tls) && case.session.broke_at <= Some(Step::Mcs);
    let resolved = case.find(|what| matches!(what, What::NameResolved { .. })).filter(|_| in_question)?;
    let What::NameResolved { name, .. } = resolved.what() else { return None };
    let answered = case.find(|what| matches!(what, What::TargetNamed { computer: Some(_), .. }))?;
    let What::TargetNamed { computer: Some(computer), .. } = answered.what() else { return None };
    if name.parse::<IpAddr>().is_ok() || first_label(name) == first_label(computer) {
        return None;
    }
    // An alias is looked up in the same way: only Kerberos says that the key is another computer's.
    let modified = kerberos(case, 0x29);
    let shown = case.find(|what| match what {
        What::Certificate { subject, names, .. } => {
            let own = first_label(name);
            !subject.to_ascii_lowercase().contains(&own)
                && !names.as_ref().is_some_and(|names| names.to_ascii_lowercase().contains(&own))
        }
        _ => false,
    });
    Some(
        Weighing::of(Evidence::Possible, resolved)
            .and(Some(answered))
            .surer(shown, Support::Clear)
            .surer(modified, Support::Strong)
            .missing("the addresses of the intended host (`ipconfig` there): is the one that the client went to among them?"),
    )
}

/// NetBIOS names have 15 characters at most.
fn first_label(name: &str) -> String {
    let label = name.split('.').next().unwrap_or(name).to_ascii_lowercase();
    label.chars().take(15).collect()
}
