//! Why a user with the right password may not connect.

use super::active::error_info;
use super::{Rule, Weighing};
use crate::fact::What;
use crate::step::Step;

/// `AUTHZ_ACCESS_DENIED` (MS-RDPBCGR 2.2.10.2).
const ACCESS_DENIED: u32 = 5;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "not-in-rdp-users",
        step: Some(Step::Authorization),
        cause: "the password is right, but the user may not log on through Remote Desktop",
        fix: "`Add-LocalGroupMember 'Remote Desktop Users' NAME` on the server; check the rights `Allow log on through Remote Desktop Services` and `Deny log on through Remote Desktop Services`",
        refs: &["MS-RDPBCGR 2.2.10.2", "MS-RDPBCGR 2.2.5.1.1", "lab: denied-privileges-0x9"],
        weigh: |case| {
            let early =
                case.find(|what| matches!(what, What::EarlyAuthorization { result: Some(ACCESS_DENIED) }));
            let said = early.or_else(|| error_info(case, &[0x9]))?;
            let missing = "Security 4825 of the server: it names the user that was denied";
            Some(Weighing::of(90, said).missing(missing))
        },
    },
    Rule {
        id: "authorization-refused",
        step: Some(Step::Authorization),
        cause: "the server does not let the user connect, with a result that is not documented",
        fix: "read Security 4825 and 4625 of the server in that second; look the number up as a Win32 error with `net helpmsg NUMBER`",
        refs: &["MS-RDPBCGR 2.2.10.2"],
        weigh: |case| {
            let said = case.find(|what| matches!(what, What::EarlyAuthorization { result: Some(1..) }))?;
            (!case.explains(said)).then(|| Weighing::of(40, said))
        },
    },
];
