//! Why the server ends a connection over what the client sent.

use super::account::client_told;
use super::active::{error_info, given};
use super::{Case, Evidence, NOT_SEEN, Rule, Weighing};
use crate::fact::{Side, What};
use crate::step::Step;
use crate::wire::negotiation::Protocols;

/// Codes of Set Error Info for a PDU that the server could not accept (MS-RDPBCGR 2.2.5.1.1), graphics left out.
const PROTOCOL_CODES: std::ops::RangeInclusive<u32> = 0x10c9..=0x1195;
const GRAPHICS_CODES: std::ops::RangeInclusive<u32> = 0x112d..=0x112f;
/// Capability sets that are too small, too large, too many, or missing.
const CAPABILITY_CODES: std::ops::RangeInclusive<u32> = 0x10e7..=0x10ea;
/// ERRINFO_ENCPKGMISMATCH.
const NO_METHOD: u32 = 0x1194;
/// ENCRYPTION_LEVEL_HIGH; FIPS is above it (MS-RDPBCGR 2.2.1.4.3).
const LEVEL_HIGH: u32 = 3;
const ENCRYPTION: &str = "the client's log (`wevtutil epl Microsoft-Windows-TerminalServices-RDPClient/Operational client.evtx`): 1026 with 0x506 or 0x606; which encryption methods the client has (MCS Connect Initial, `encryptionMethods`)";

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "negotiation-altered",
        step: Some(Step::Mcs),
        cause: "the two ends do not agree on what was negotiated: something between them changed the request or the confirm, or one of them tells it wrongly",
        fix: "capture at both ends and compare the X.224 request and confirm; take proxies, load balancers and inspection off the path; update the client and the server",
        refs: &["MS-RDPBCGR 2.2.1.3.2", "MS-RDPBCGR 2.2.1.4.2", "MS-RDPBCGR 5.4.2.2"],
        seen: NOT_SEEN,
        weigh: |case| {
            let (asked, chosen) = (asked(case)?, chosen(case)?);
            let differs = |what: &What| match what {
                What::McsConnectInitial { selected: Some(selected), .. } => *selected != chosen,
                What::McsConnectResponse { requested: Some(requested), .. } => *requested != asked,
                _ => false,
            };
            let told = case.find(differs).filter(|_| case.failed_at(Step::Mcs))?;
            Some(
                Weighing::of(Evidence::Mark, told)
                    .missing("a capture at the other end (`pktmon start --capture` or `tcpdump -w FILE`), where the request or the confirm differs"),
            )
        },
    },
    Rule {
        id: "mcs-refused",
        step: Some(Step::Mcs),
        cause: "the server refuses the MCS connection or its user: it is full, or does not accept the parameters",
        fix: "end other connections and try again; look at RdpCoreTS and TermDD of the server in that second; try another client",
        refs: &["T.125 7", "MS-RDPBCGR 2.2.1.4"],
        seen: NOT_SEEN,
        weigh: |case| {
            let refused =
                case.find(|what| matches!(what, What::McsRefused { what, .. } if what != "join"))?;
            case.failed_at(Step::Mcs).then(|| Weighing::of(Evidence::SharedCode, refused))
        },
    },
    Rule {
        id: "encryption-level-mismatch",
        step: Some(Step::SecurityExchange),
        cause: "client and server have no method of Standard RDP Security in common that the server's encryption level allows",
        fix: "update the client, so that it uses TLS; on the server let it choose TLS: `reg add \"HKLM\\SYSTEM\\CurrentControlSet\\Control\\Terminal Server\\WinStations\\RDP-Tcp\" /v SecurityLayer /t REG_DWORD /d 2 /f`; for clients without TLS `MinEncryptionLevel` 2 there, and no FIPS policy",
        refs: &["MS-RDPBCGR 2.2.5.1.1", "MS-RDPBCGR 5.3.2", "IMsTscAxEvents OnDisconnected 0x506, 0x606"],
        seen: NOT_SEEN,
        weigh: |case| {
            if let Some(said) = error_info(case, &[NO_METHOD]) {
                return Some(Weighing::of(Evidence::Told, said));
            }
            if let Some(told) = client_told(case, 0x506) {
                return Some(Weighing::of(Evidence::SharedCode, told).and(case.logged("rcm", &[1050])));
            }
            let strict =
                case.find(|what| matches!(what, What::McsConnectResponse { level: Some(LEVEL_HIGH..), .. }))?;
            let left = case.find(|what| what.end() == Some(Side::Client))?;
            let in_question = case.failed_at(Step::Mcs) || case.failed_at(Step::SecurityExchange);
            in_question.then(|| Weighing::of(Evidence::Even, strict).and(Some(left)).missing(ENCRYPTION))
        },
    },
    Rule {
        id: "capability-error",
        step: Some(Step::Capabilities),
        cause: "the server does not accept the capabilities that the client sent",
        fix: "update the client and the server; try another client (`mstsc /v:SERVER`) to compare; RdpCoreTS 97 and 164 of that second name the component",
        refs: &["MS-RDPBCGR 2.2.5.1.1", "MS-RDPBCGR 2.2.1.13.2"],
        seen: NOT_SEEN,
        weigh: |case| {
            let logged = case.logged("rdpcorets", &[164]);
            if let Some(said) =
                case.find(|what| given(what).is_some_and(|code| CAPABILITY_CODES.contains(&code.0)))
            {
                return Some(Weighing::of(Evidence::Told, said).and(logged));
            }
            let in_question = case.failed_at(Step::Capabilities).then_some(logged).flatten();
            Some(
                Weighing::of(Evidence::Even, in_question?)
                    .missing("RdpCoreTS 72 with SetErrorInfo and 103 of the server (`wevtutil epl Microsoft-Windows-RemoteDesktopServices-RdpCoreTS/Operational core.evtx`): the code"),
            )
        },
    },
    Rule {
        id: "protocol-error",
        step: Some(Step::Mcs),
        cause: "the server says that the client sent something that breaks the protocol",
        fix: "update the client, and the server; try another client; switch add-ins, monitors and bitmap caching off one by one; a device that changes the stream shows in captures of both ends",
        refs: &["MS-RDPBCGR 2.2.5.1.1"],
        seen: NOT_SEEN,
        weigh: |case| {
            let said = case.find(|what| {
            matches!(what, What::ErrorInfo { code } | What::ErrorInfoSet { code } | What::Disconnected { reason: code }
                if PROTOCOL_CODES.contains(&code.0)
                    && !(GRAPHICS_CODES.contains(&code.0) || CAPABILITY_CODES.contains(&code.0) || code.0 == NO_METHOD))
        })?;
            Some(Weighing::of(Evidence::SharedCode, said).missing(
                "a capture with TLS secrets at the other end (`pktmon start --capture` or `tcpdump -w FILE`), to compare what was sent with what came",
            ))
        },
    },
];

/// What the client asked for, as it came past here; without negotiation data it is Standard RDP Security.
fn asked(case: &Case<'_>) -> Option<Protocols> {
    let request = case.find(|what| matches!(what, What::ConnectionRequest { .. }))?;
    let What::ConnectionRequest { protocols, .. } = request.what() else { return None };
    Some(protocols.unwrap_or(Protocols::RDP))
}

/// What the server chose, as it came past here.
fn chosen(case: &Case<'_>) -> Option<Protocols> {
    let confirm = case.find(|what| matches!(what, What::ConnectionConfirm { .. }))?;
    let What::ConnectionConfirm { protocol, .. } = confirm.what() else { return None };
    Some(protocol.unwrap_or(Protocols::RDP))
}
