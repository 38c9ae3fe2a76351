//! Why a user with good credentials was not let in.

use super::{Case, Rule, Weighing};
use crate::fact::What;
use crate::session::Seen;
use crate::step::Step;

const FIX: &str = "on the server: `Add-LocalGroupMember -Group \"Remote Desktop Users\" -Member DOMAIN\\user`; `secpol.msc`, User Rights Assignment: \
     SeRemoteInteractiveLogonRight must hold the user or group, SeDenyRemoteInteractiveLogonRight must not";

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "not-in-rdp-users",
        step: Some(Step::Authorization),
        cause: "the credentials are good, but the user is not allowed to use Remote Desktop on this host",
        fix: FIX,
        refs: &["MS-RDPBCGR 2.2.10.2", "Windows Security 4825"],
        weigh: |case| {
            let denied = case.find(|what| matches!(what, What::AccessDenied {}));
            let no_right = right_missing(case);
            let good = case.find(|what| {
                matches!(what, What::LogonSucceeded { logon_type: 3, .. } | What::UserAuthenticated {})
            });
            match (denied, no_right, good) {
                (Some(denied), no_right, good) => Some(Weighing::of(94, denied).and(no_right).and(good)),
                (None, Some(no_right), Some(good)) => Some(Weighing::of(90, no_right).and(Some(good))),
                _ => None,
            }
        },
    },
    Rule {
        id: "logon-right-missing",
        step: Some(Step::Logon),
        cause: "the user lacks the right to log on through Remote Desktop Services, found only behind the typed password",
        fix: FIX,
        refs: &["Windows Security 4625, logon type 10, 0xC000015B"],
        weigh: |case| {
            let good = case.find(|what| matches!(what, What::LogonSucceeded { logon_type: 3, .. }));
            Some(Weighing::of(85, right_missing(case)?).unless(good, 30))
        },
    },
];

/// 4625 of logon type 10 with STATUS_LOGON_TYPE_NOT_GRANTED.
fn right_missing<'a>(case: &Case<'a>) -> Option<&'a Seen> {
    case.find(|what| {
        matches!(what, What::LogonFailed { logon_type: 10, status, sub_status, .. }
            if status.plain() == 0xc000_015b || sub_status.is_some_and(|sub| sub.plain() == 0xc000_015b))
    })
}
