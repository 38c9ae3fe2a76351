//! Why the server ends a connection over what the client sent.

use super::{Rule, Weighing};
use crate::fact::What;
use crate::step::Step;

/// Codes of Set Error Info for a PDU that the server could not accept (MS-RDPBCGR 2.2.5.1.1), graphics left out.
const PROTOCOL_CODES: std::ops::RangeInclusive<u32> = 0x10c9..=0x1195;
const GRAPHICS_CODES: std::ops::RangeInclusive<u32> = 0x112d..=0x112f;

pub(super) const RULES: &[Rule] = &[Rule {
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
        Some(
            Weighing::of(80, said).missing(
                "a capture with TLS secrets at the other end, to compare what was sent with what came",
            ),
        )
    },
}];
