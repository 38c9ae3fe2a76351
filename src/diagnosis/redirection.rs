//! Why the connection broker did not lead the client to a host.

use super::client_info::denied;
use super::{Case, Rule, Weighing};
use crate::codes::Status;
use crate::fact::What;
use crate::session::Seen;
use crate::step::Step;

const BROKER_LOG: &str = "the broker's own log (TerminalServices-SessionBroker/Operational and Admin): 802, 898, 2056 of that minute";

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "broker-redirect-failed",
        step: Some(Step::Redirection),
        cause: "the connection broker could not redirect the user to a host",
        fix: "read the code in the evidence; on the broker check that the host is in the collection and not in drain mode (`Get-RDSessionHost`), that its name resolves, and that the user is in the collection's groups",
        refs: &["SessionBroker-Client 1306", "lab: denied-0x7"],
        weigh: |case| weigh(case, &[1306, 802, 784], 92),
    },
    Rule {
        id: "broker-no-packet",
        step: Some(Step::Redirection),
        cause: "the connection broker gave no redirection at all",
        fix: "on the broker: `Restart-Service Tssdis`, look for 2056 and 898; from the host: `Test-NetConnection BROKER -Port 5504` and RPC (135); check that the host is a member of the broker's computers group",
        refs: &["SessionBroker-Client 1296"],
        weigh: |case| weigh(case, &[1296], 90),
    },
    Rule {
        id: "rpc-failure",
        step: Some(Step::Redirection),
        cause: "the call from the host to the broker failed",
        fix: "open RPC (TCP 135 and the dynamic ports) between host and broker; `reg query \"HKLM\\SYSTEM\\CurrentControlSet\\Control\\Terminal Server\" /v AllowRemoteRPC` must be 1",
        refs: &["SessionBroker-Client 1280, 1305"],
        weigh: |case| {
            let by_rpc = |what: &What| matches!(what, What::BrokerEvent { failed: true, status: Some(status), .. } if is_rpc(*status));
            let weighing = weigh(case, &[1280, 1305], 82)?;
            Some(weighing.surer(case.find(by_rpc), 11))
        },
    },
    Rule {
        id: "broker-db",
        step: Some(Step::Redirection),
        cause: "the broker cannot use its database",
        fix: "on the broker: check the service of the Windows Internal Database or the SQL login, and that the broker's name was not changed",
        refs: &["SessionBroker 2056"],
        weigh: |case| {
            let failed = case.logged("broker", &[2056, 898, 901])?;
            let refused = case.find(|what| matches!(what, What::BrokerEvent { failed: true, .. }));
            Some(Weighing::of(94, failed).and(refused).and(denied(case)))
        },
    },
];

/// Errors of remote procedure calls (MS-ERREF 2.2): the server is not available, too busy, the call failed, access is
/// denied by it.
fn is_rpc(status: Status) -> bool {
    let code = status.plain();
    let of_win32 = code < 0x1_0000 || code & 0xffff_0000 == 0x8007_0000;
    of_win32 && matches!(code & 0xffff, 0x6ba | 0x6bb | 0x6be | 0x6bf | 0x6d9 | 0x721)
}

fn weigh(case: &Case<'_>, events: &[u32], percent: u8) -> Option<Weighing> {
    let failed = |events: &[u32]| -> Option<&Seen> {
        case.session.facts.iter().find(|seen| {
            matches!(seen.what(), What::BrokerEvent { event, failed: true, .. } if events.contains(event))
        })
    };
    let seen = failed(events)?;
    let others: Option<&Seen> = case.session.facts.iter().find(|other| {
        other.place() != seen.place() && matches!(other.what(), What::BrokerEvent { failed: true, .. })
    });
    let weighing = Weighing::of(percent, seen).and(others).and(denied(case));
    Some(if others.is_some() { weighing } else { weighing.missing(BROKER_LOG) })
}
