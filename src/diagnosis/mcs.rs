//! Why the server ends a connection over what the client sent.

use super::{Case, Rule, Weighing};
use crate::fact::What;
use crate::step::Step;
use crate::wire::negotiation::Protocols;

/// Codes of Set Error Info for a PDU that the server could not accept (MS-RDPBCGR 2.2.5.1.1), graphics left out.
const PROTOCOL_CODES: std::ops::RangeInclusive<u32> = 0x10c9..=0x1195;
const GRAPHICS_CODES: std::ops::RangeInclusive<u32> = 0x112d..=0x112f;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "negotiation-altered",
        step: Some(Step::Mcs),
        cause: "the two ends do not agree on what was negotiated: something between them changed the request or the confirm, or one of them tells it wrongly",
        fix: "capture at both ends and compare the X.224 request and confirm; take proxies, load balancers and inspection off the path; update the client and the server",
        refs: &["MS-RDPBCGR 2.2.1.3.2", "MS-RDPBCGR 2.2.1.4.2", "MS-RDPBCGR 5.4.2.2"],
        weigh: |case| {
            let (asked, chosen) = (asked(case)?, chosen(case)?);
            let differs = |what: &What| match what {
                What::McsConnectInitial { selected: Some(selected), .. } => *selected != chosen,
                What::McsConnectResponse { requested: Some(requested), .. } => *requested != asked,
                _ => false,
            };
            let told = case.find(differs).filter(|_| case.failed_at(Step::Mcs))?;
            Some(
                Weighing::of(75, told)
                    .missing("a capture at the other end, where the request or the confirm differs"),
            )
        },
    },
    Rule {
        id: "mcs-refused",
        step: Some(Step::Mcs),
        cause: "the server refuses the MCS connection or its user: it is full, or does not accept the parameters",
        fix: "end other connections and try again; look at RdpCoreTS and TermDD of the server in that second; try another client",
        refs: &["T.125 7", "MS-RDPBCGR 2.2.1.4"],
        weigh: |case| {
            let refused =
                case.find(|what| matches!(what, What::McsRefused { what, .. } if what != "join"))?;
            case.failed_at(Step::Mcs).then(|| Weighing::of(80, refused))
        },
    },
    Rule {
        id: "protocol-error",
        step: Some(Step::Mcs),
        cause: "the server says that the client sent something that breaks the protocol",
        fix: "update the client, and the server; try another client; switch add-ins, monitors and bitmap caching off one by one; a device that changes the stream shows in captures of both ends",
        refs: &["MS-RDPBCGR 2.2.5.1.1"],
        weigh: |case| {
            let said = case.find(|what| {
            matches!(what, What::ErrorInfo { code } | What::ErrorInfoSet { code } | What::Disconnected { reason: code }
                if PROTOCOL_CODES.contains(&code.0) && !GRAPHICS_CODES.contains(&code.0))
        })?;
            Some(Weighing::of(80, said).missing(
                "a capture with TLS secrets at the other end, to compare what was sent with what came",
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
