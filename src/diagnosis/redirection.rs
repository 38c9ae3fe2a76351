//! Why the connection broker did not lead the client to a host.

use super::active::error_info;
use super::client_info::denied;
use super::{Case, Doubt, Evidence, NOT_SEEN, Rule, Support, Weighing};
use crate::codes::Status;
use crate::fact::What;
use crate::session::{Seen, Session, is_same_user};
use crate::step::Step;
use crate::wire::redirection::RedirectionFlags;

const BROKER_LOG: &str = "the broker's own log (TerminalServices-SessionBroker/Operational and Admin; `wevtutil epl CHANNEL FILE.evtx`): 802, 898, 2056 of that minute";

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "broker-redirect-failed",
        step: Some(Step::Redirection),
        cause: "the connection broker could not redirect the user to a host",
        fix: "read the code in the evidence; on the broker check that the host is in the collection and not in drain mode (`Get-RDSessionHost`), that its name resolves, and that the user is in the collection's groups",
        refs: &["SessionBroker-Client 1306"],
        seen: NOT_SEEN,
        weigh: |case| weigh(case, &[1306, 802, 784], Evidence::Code),
    },
    Rule {
        id: "broker-no-packet",
        step: Some(Step::Redirection),
        cause: "the connection broker gave no redirection at all",
        fix: "on the broker: `Restart-Service Tssdis`, look for 2056 and 898; from the host: `Test-NetConnection BROKER -Port 5504` and RPC (135); check that the host is a member of the broker's computers group",
        refs: &["SessionBroker-Client 1296"],
        seen: NOT_SEEN,
        weigh: |case| weigh(case, &[1296], Evidence::Told),
    },
    Rule {
        id: "rpc-failure",
        step: Some(Step::Redirection),
        cause: "the call from the host to the broker failed",
        fix: "open RPC (TCP 135 and the dynamic ports) between host and broker; `reg query \"HKLM\\SYSTEM\\CurrentControlSet\\Control\\Terminal Server\" /v AllowRemoteRPC` must be 1",
        refs: &["SessionBroker-Client 1280, 1305"],
        seen: NOT_SEEN,
        weigh: |case| {
            let by_rpc = |what: &What| matches!(what, What::BrokerEvent { failed: true, status: Some(status), .. } if is_rpc(*status));
            let weighing = weigh(case, &[1280, 1305], Evidence::SharedCode)?;
            Some(weighing.surer(case.find(by_rpc), Support::Strong))
        },
    },
    Rule {
        id: "broker-db",
        step: Some(Step::Redirection),
        cause: "the broker cannot use its database",
        fix: "on the broker: check the service of the Windows Internal Database or the SQL login, and that the broker's name was not changed",
        refs: &["SessionBroker 2056"],
        seen: NOT_SEEN,
        weigh: |case| {
            let failed = case.logged("broker", &[2056, 898, 901])?;
            let refused = case.find(|what| matches!(what, What::BrokerEvent { failed: true, .. }));
            Some(Weighing::of(Evidence::Code, failed).and(refused).and(denied(case)))
        },
    },
    Rule {
        id: "broker-target-offline",
        step: Some(Step::Redirection),
        cause: "the broker sent the client to a host that takes no connection",
        fix: "on the broker take the host out until it is repaired: `Set-RDSessionHost -SessionHost HOST -NewConnectionAllowed No -ConnectionBroker BROKER`; at the client `Test-NetConnection ADDRESS -Port 3389`; check that the host runs and that its name leads to this address",
        refs: &["MS-RDPBCGR 2.2.13.1", "SessionBroker-Client 1307"],
        seen: NOT_SEEN,
        weigh: |case| {
            let sent = sent_here(case)?;
            let silent = case.find(|what| {
                matches!(
                    what,
                    What::SynSent { .. } | What::Reset { answers_syn: true, .. } | What::Unreachable { .. }
                )
            });
            let missing = "System log of that host (`wevtutil epl System System.evtx`): did it run, and did its listener (RemoteConnectionManager 258 to 260)?";
            case.failed_at(Step::Tcp).then(|| Weighing::of(Evidence::Told, sent).and(silent).missing(missing))
        },
    },
    Rule {
        id: "broker-loop",
        step: Some(Step::Redirection),
        cause: "the client is sent from host to host again and again",
        fix: "on the broker: `Get-RDSessionHost` and `query session /server:HOST` for sessions that the broker still lists on the wrong host; restart `Tssdis` there; all hosts and the load balancer must agree on the farm (`Use RD Connection Broker load balancing`, IP redirection or tokens)",
        refs: &["MS-RDPBCGR 2.2.13.1", "SessionBroker-Client 1307"],
        seen: NOT_SEEN,
        weigh: |case| {
            let sent = hand_overs(case);
            let last = sent.last()?;
            let looped = sent.len() >= HAND_OVERS_MIN && case.session.broke_at <= Some(Step::Logon);
            let weighing = Weighing::of(Evidence::Shape, last).and(sent.first().copied());
            looped.then(|| {
                weighing
                    .unless(sent_here(case).filter(|_| case.failed_at(Step::Tcp)), Doubt::Clear)
                    .missing(BROKER_LOG)
            })
        },
    },
    Rule {
        id: "broker-computers-group",
        step: Some(Step::Redirection),
        cause: "the host may not talk to the broker: it is not in the broker's group of computers",
        fix: "on the broker: `net localgroup \"Session Broker Computers\" DOMAIN\\HOST$ /add` (newer versions: `RDS Endpoint Servers`), then `Restart-Service Tssdis`",
        refs: &["SessionBroker 902", "SessionBroker-Client 1280, 1300"],
        seen: NOT_SEEN,
        weigh: |case| {
            let refused =
                case.find(|what| matches!(what, What::BrokerEvent { event: 1280 | 1300, failed: true, .. }));
            if let Some(empty) = case.logged("broker", &[902]) {
                return Some(Weighing::of(Evidence::Code, empty).and(refused).and(denied(case)));
            }
            let kind = match refused?.what() {
                What::BrokerEvent { event: 1300, .. } => Evidence::Told,
                What::BrokerEvent { status: Some(status), .. } if is_access_denied(*status) => {
                    Evidence::Shape
                }
                _ => return None,
            };
            Some(Weighing::of(kind, refused?).and(denied(case)).missing(BROKER_LOG))
        },
    },
    Rule {
        id: "vm-start-failed",
        step: Some(Step::Redirection),
        cause: "the virtual desktop did not start, or did not get ready in time",
        fix: "on the host of virtual desktops: `Get-VM` and Hyper-V-VMMS/Admin of that minute; in the desktop: `reg add \"HKLM\\SYSTEM\\CurrentControlSet\\Control\\Terminal Server\" /v AllowRemoteRPC /t REG_DWORD /d 1 /f` and `Enable-NetFirewallRule -DisplayGroup 'Remote Service Management'`",
        refs: &["MS-RDPBCGR 2.2.5.1.1", "VmHostAgent 4609, 4871"],
        seen: NOT_SEEN,
        weigh: |case| {
            let failed = |wanted: u32| {
                case.find(move |what| {
                    matches!(what, What::BrokerEvent { event, failed: true, .. } if *event == wanted)
                })
            };
            let said = error_info(case, &VM_CODES);
            let started = failed(4871);
            match (said, started) {
                (Some(said), started) => {
                    Some(Weighing::of(Evidence::Told, said).surer(started, Support::Slight))
                }
                (None, Some(started)) => Some(Weighing::of(Evidence::Told, started).and(denied(case))),
                (None, None) => {
                    Some(Weighing::of(Evidence::Even, failed(4609)?).and(denied(case)).missing(BROKER_LOG))
                }
            }
        },
    },
];

/// Codes of Set Error Info about a virtual desktop: it could not be woken or booted, its name is not known, no desktop is
/// free, its connection was cancelled, its settings are bad, it took too long, it is not watched (MS-RDPBCGR 2.2.5.1.1).
const VM_CODES: [u32; 8] = [0x405, 0x406, 0x407, 0x408, 0x409, 0x410, 0x411, 0x412];
/// Being sent on this often in a row, within [`LOOP_NS`], is no way to a session.
const HAND_OVERS_MIN: usize = 3;
const LOOP_NS: i64 = 30_000_000_000;
/// Sessions among which hand-overs are sought.
const LOOKED_AT_MAX: usize = 512;
/// A client follows a redirection at once.
const FOLLOWS_NS: i64 = 30_000_000_000;

fn is_access_denied(status: Status) -> bool {
    matches!(status.plain(), 5 | 0x8007_0005 | 0xc000_0022)
}

/// Who was sent on, and where to: on the wire, or in the log of the host that sent him.
fn is_hand_over(what: &What) -> bool {
    matches!(what, What::BrokerEvent { event: 1307, .. })
        || matches!(what, What::Redirected { flags, .. }
            if !flags.as_ref().is_some_and(|flags| flags.contains(RedirectionFlags::NO_REDIRECT)))
}

/// The sessions that began last before the end of this one, this one included: a hand-over takes seconds.
fn before_end<'a>(case: &Case<'a>) -> impl Iterator<Item = &'a Session> {
    let sessions = &case.story.sessions;
    let until = sessions.partition_point(|session| session.start <= case.session.end);
    sessions.iter().take(until).skip(until.saturating_sub(LOOKED_AT_MAX))
}

/// The same client, or the same user where the client is not known.
fn is_same_client(a: &Session, b: &Session) -> bool {
    match (a.client_ip(), b.client_ip()) {
        (Some(a), Some(b)) => a == b,
        _ => a.user_name().zip(b.user_name()).is_some_and(|(a, b)| is_same_user(a, b)),
    }
}

/// The client was sent to the address of this session shortly before.
fn sent_here<'a>(case: &Case<'a>) -> Option<&'a Seen> {
    let here = case.session.server()?.ip().to_string();
    let names = |text: &Option<String>| {
        text.as_ref()
            .is_some_and(|text| text.split([' ', ',']).any(|part| part.trim_matches(['[', ']']) == here))
    };
    let leads_here = |what: &What| match what {
        What::BrokerEvent { event: 1307, target, .. } => names(target),
        What::Redirected { address, addresses, .. } => names(address) || names(addresses),
        _ => false,
    };
    let before = |seen: &&Seen| (0..=FOLLOWS_NS).contains(&case.session.start.since(seen.at));
    let others =
        before_end(case).filter(|other| other.id != case.session.id && is_same_client(other, case.session));
    others.flat_map(|other| other.facts.iter()).filter(before).find(|seen| leads_here(seen.what()))
}

/// Each time the client was sent on before the end of this session, one of each session.
fn hand_overs<'a>(case: &Case<'a>) -> Vec<&'a Seen> {
    let in_time = |seen: &&Seen| (0..=LOOP_NS).contains(&case.session.end.since(seen.at));
    let same = before_end(case).filter(|other| is_same_client(other, case.session));
    same.filter_map(|other| other.facts.iter().filter(in_time).find(|seen| is_hand_over(seen.what())))
        .collect()
}

/// Errors of remote procedure calls (MS-ERREF 2.2): the server is not available, too busy, the call failed, access is
/// denied by it.
fn is_rpc(status: Status) -> bool {
    let code = status.plain();
    let of_win32 = code < 0x1_0000 || code & 0xffff_0000 == 0x8007_0000;
    of_win32 && matches!(code & 0xffff, 0x6ba | 0x6bb | 0x6be | 0x6bf | 0x6d9 | 0x721)
}

fn weigh(case: &Case<'_>, events: &[u32], kind: Evidence) -> Option<Weighing> {
    let failed = |events: &[u32]| -> Option<&Seen> {
        case.session.facts.iter().find(|seen| {
            matches!(seen.what(), What::BrokerEvent { event, failed: true, .. } if events.contains(event))
        })
    };
    let seen = failed(events)?;
    let others: Option<&Seen> = case.session.facts.iter().find(|other| {
        other.place() != seen.place() && matches!(other.what(), What::BrokerEvent { failed: true, .. })
    });
    let weighing = Weighing::of(kind, seen).and(others).and(denied(case));
    Some(if others.is_some() { weighing } else { weighing.missing(BROKER_LOG) })
}
