//! Why there is no UDP transport. RDP goes on over TCP without it, so this explains no failure by itself and is never
//! more than a side remark of a session that failed of something else.

use super::{Case, Evidence, NOT_SEEN, Rule, Weighing};
use crate::fact::What;
use crate::step::Step;

pub(super) const RULES: &[Rule] = &[GATEWAY_BLOCKED, BLOCKED];

/// The gateway's own word.
const GATEWAY_BLOCKED: Rule = Rule {
    id: "gw-udp-blocked",
    step: Some(Step::Multitransport),
    cause: "UDP between the client and the RD Gateway does not pass; RDP goes on over HTTPS, so this alone ends no session",
    fix: "open UDP 3391 from the client to the gateway; on the gateway `Get-NetFirewallRule -DisplayGroup 'Remote Desktop Gateway*'` and `netstat -anp udp | findstr :3391`",
    refs: &["TerminalServices-Gateway 206", "MS-TSGU 3.2.7"],
    seen: NOT_SEEN,
    weigh: |case| {
        let failed = case.find(|what| matches!(what, What::GatewayEvent { event: 206, .. }))?;
        let up = case.find(|what| matches!(what, What::GatewayEvent { event: 205, .. }));
        let tcp = case.find(|what| matches!(what, What::MultitransportLogged { event: 1104, .. }));
        (case.session.outcome.is_failure() && up.is_none())
            .then(|| Weighing::of(Evidence::Remark, failed).and(tcp))
    },
};

const BLOCKED: Rule = Rule {
    id: "udp-blocked",
    step: Some(Step::Multitransport),
    cause: "the UDP transport is blocked on the way; RDP goes on over TCP, so this alone ends no session",
    fix: "open UDP 3389 from client to server, or turn it off where it is not wanted: on the client \
          `HKLM\\SOFTWARE\\Policies\\Microsoft\\Windows NT\\Terminal Services\\Client` fClientDisableUDP=1, on the server policy \
          `Select RDP transport protocols` (SelectTransport 1)",
    refs: &["MS-RDPEUDP 3.1.5.1.1", "MS-RDPBCGR 2.2.15.2"],
    seen: NOT_SEEN,
    weigh: |case| {
        let late = case.session.outcome.is_failure() && case.session.broke_at >= Some(Step::Multitransport);
        let asked = case.find(
            |what| matches!(what, What::UdpSyn { answered: false, tries, .. } if *tries >= TRIES_MIN),
        )?;
        let other = case.find(|what| matches!(what, What::UdpAnswered { .. } | What::OneWay { .. }));
        let refused = case.find(|what| matches!(what, What::UdpUnreachable { .. }));
        let given_up =
            case.find(|what| matches!(what, What::MultitransportAnswered { result, .. } if result.0 != 0));
        (late && other.is_none()).then(|| {
            Weighing::of(Evidence::Remark, asked).and(refused).and(given_up).missing(
                "a capture at the server (`pktmon start --capture` or `tcpdump -w FILE`): does the SYN to UDP 3389 arrive there, and is it answered?",
            )
        })
    },
};

/// A SYN must have been sent this often before its silence means something.
const TRIES_MIN: u32 = 2;

/// A transport that worked and then fell silent in one direction, while the TCP connection beside it still spoke.
pub(super) fn path_broken(case: &Case<'_>) -> Option<Weighing> {
    let carried = case.find(
        |what| matches!(what, What::UdpCarried { server_bytes, .. } if *server_bytes >= CARRIED_BYTES_MIN),
    )?;
    let (unheard, by) = case.session.facts.iter().find_map(|seen| match seen.what() {
        What::UdpUnheard { by, over_ms, .. } if *over_ms >= UNHEARD_MS_MIN => Some((seen, *by)),
        _ => None,
    })?;
    // Where TCP was lost as well, so was the whole path.
    let lost = case.find(|what| {
        matches!(what, What::Unanswered { .. } | What::ProbesUnanswered { .. } | What::NeverArrived { .. })
    });
    let spoke = case.session.facts.iter().find(|seen| {
        let quiet = match seen.what() {
            What::Ultimatum { by, .. } | What::EncryptedAlert { by, .. } => Some(*by),
            What::ErrorInfo { .. } | What::ErrorInfoShaped { .. } => Some(crate::fact::Side::Server),
            what => what.end(),
        };
        quiet == Some(by.other()) && seen.at > unheard.at
    });
    let in_question = case.failed_at(Step::Active) && lost.is_none();
    (in_question && spoke.is_some() && !super::active::error_info_read(case)).then(|| {
        Weighing::of(Evidence::Shape, unheard)
            .and(Some(carried))
            .and(spoke)
            .missing("the same session with UDP off (fClientDisableUDP=1), or captures at both ends (`pktmon start --capture` or `tcpdump -w FILE`)")
    })
}

/// More than handshake and tunnel: the session used it.
const CARRIED_BYTES_MIN: u64 = 16 * 1024;
/// Every datagram with data is acknowledged within a fraction of a second (MS-RDPEUDP 3.1.6.3).
const UNHEARD_MS_MIN: u64 = 5_000;
