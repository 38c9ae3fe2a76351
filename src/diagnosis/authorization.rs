//! Why a user with good credentials was not let in.

use super::active::error_info;
use super::{Case, Doubt, Evidence, NOT_SEEN, Rule, Weighing};
use crate::fact::What;
use crate::session::Seen;
use crate::step::Step;

const FIX: &str = "on the server: `Add-LocalGroupMember -Group \"Remote Desktop Users\" -Member DOMAIN\\user`; `secpol.msc`, User Rights Assignment: \
     SeRemoteInteractiveLogonRight must hold the user or group, SeDenyRemoteInteractiveLogonRight must not";

const WHO: &str =
    "Security 4825 of the server (`wevtutil epl Security security.evtx`): it names the user that was denied";

const RESULT: &str = "the TLS secrets of this connection, or Security 4625 of the server (`wevtutil epl Security security.evtx`): the result code of RDSTLS";
const AAD_LOG: &str = "Microsoft-Windows-AAD/Operational of the host and the client (`wevtutil epl Microsoft-Windows-AAD/Operational aad.evtx`), and the sign-in log of Entra ID";

/// `AUTHZ_ACCESS_DENIED` (MS-RDPBCGR 2.2.10.2).
const ACCESS_DENIED: u32 = 5;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "not-in-rdp-users",
        step: Some(Step::Authorization),
        cause: "the credentials are good, but the user is not allowed to use Remote Desktop on this host",
        fix: FIX,
        refs: &["MS-RDPBCGR 2.2.10.2", "MS-RDPBCGR 2.2.5.1.1", "Windows Security 4825"],
        seen: &["denied-privileges-0x9"],
        weigh: |case| {
            let denied = case.find(|what| matches!(what, What::AccessDenied {}));
            let no_right = right_missing(case);
            let good = case.find(|what| {
                matches!(what, What::LogonSucceeded { logon_type: 3, .. } | What::UserAuthenticated {})
            });
            let early = case
                .find(|what| matches!(what, What::EarlyAuthorization { result: Some(ACCESS_DENIED), .. }));
            let told = early.or_else(|| error_info(case, &[0x9]));
            match (denied, no_right, good) {
                (Some(denied), no_right, good) => {
                    Some(Weighing::of(Evidence::Code, denied).and(told).and(no_right).and(good))
                }
                (None, Some(no_right), Some(good)) => {
                    Some(Weighing::of(Evidence::Told, no_right).and(told).and(Some(good)))
                }
                _ => match (told, by_size(case)) {
                    (Some(told), _) => Some(Weighing::of(Evidence::Code, told).and(no_right).missing(WHO)),
                    (None, Some((sized, kind))) => Some(Weighing::of(kind, sized).missing(WHO)),
                    (None, None) => None,
                },
            }
        },
    },
    Rule {
        id: "logon-right-missing",
        step: Some(Step::Logon),
        cause: "the user lacks the right to log on through Remote Desktop Services, found only behind the typed password",
        fix: FIX,
        refs: &["Windows Security 4625, logon type 10, 0xC000015B"],
        seen: NOT_SEEN,
        weigh: |case| {
            let good = case.find(|what| matches!(what, What::LogonSucceeded { logon_type: 3, .. }));
            Some(Weighing::of(Evidence::Told, right_missing(case)?).unless(good, Doubt::Clear))
        },
    },
    Rule {
        id: "rdstls-failed",
        step: Some(Step::Authorization),
        cause: "the host that the broker chose does not accept the credentials of the redirection (RDSTLS)",
        fix: "let the user type the password anew (the redirection carries what was typed at the first host); on the target read Security 4625 and 4825 of that second; compare the clocks of broker and target, and the target's certificate with the one that the broker knows",
        refs: &["MS-RDPBCGR 2.2.17.4", "MS-RDPBCGR 5.4.5.3"],
        seen: NOT_SEEN,
        weigh: |case| {
            let refused = case.find(|what| matches!(what, What::RdstlsResult { code } if code.0 != 0));
            if let Some(refused) = refused {
                return Some(Weighing::of(Evidence::Told, refused).missing(WHO));
            }
            let silent = case.find_last(|what| matches!(what, What::RdstlsMessage { .. }))?;
            case.failed_at(Step::Authorization).then(|| Weighing::of(Evidence::Even, silent).missing(RESULT))
        },
    },
    Rule {
        id: "aad-failed",
        step: Some(Step::Authorization),
        cause: "the sign-in with Microsoft Entra ID failed",
        fix: "on the host read Microsoft-Windows-AAD/Operational (1081, 1082, 1098) and `dsregcmd /status`; the user needs the role Virtual Machine User Login or to be a member of Remote Desktop Users; use the name of the host that Entra ID knows; check conditional access in the sign-in log",
        refs: &["MS-RDPBCGR 2.2.18.3", "MS-RDPBCGR 5.4.5.4"],
        seen: NOT_SEEN,
        weigh: |case| {
            let refused = case.find(|what| matches!(what, What::EntraResult { code } if code.0 != 0));
            if let Some(refused) = refused {
                return Some(Weighing::of(Evidence::Told, refused).missing(AAD_LOG));
            }
            let silent = case.find_last(|what| matches!(what, What::EntraMessage { .. }))?;
            case.failed_at(Step::Authorization).then(|| Weighing::of(Evidence::Even, silent).missing(AAD_LOG))
        },
    },
    Rule {
        id: "authorization-refused",
        step: Some(Step::Authorization),
        cause: "the server does not let the user connect, with a result that is not documented",
        fix: "read Security 4825 and 4625 of the server in that second; look the number up as a Win32 error with `net helpmsg NUMBER`",
        refs: &["MS-RDPBCGR 2.2.10.2"],
        seen: NOT_SEEN,
        weigh: |case| {
            let said =
                case.find(|what| matches!(what, What::EarlyAuthorization { result: Some(1..), .. }))?;
            (!case.explains(said)).then(|| Weighing::of(Evidence::OneOfSeveral, said))
        },
    },
];

/// The last word was an early authorization result by its size: a user who may connect would have gone on. As likely
/// another message, where one fits as well.
fn by_size<'a>(case: &Case<'a>) -> Option<(&'a Seen, Evidence)> {
    let sized = case.find_last(|what| matches!(what, What::EarlyAuthorization { result: None, .. }))?;
    let kind = if sized.what().or().is_some() { Evidence::OneOfSeveral } else { Evidence::Even };
    case.failed_at(Step::Authorization).then_some((sized, kind))
}

/// 4625 of logon type 10 with STATUS_LOGON_TYPE_NOT_GRANTED.
fn right_missing<'a>(case: &Case<'a>) -> Option<&'a Seen> {
    case.find(|what| {
        matches!(what, What::LogonFailed { logon_type: 10, status, sub_status, .. }
            if status.plain() == 0xc000_015b || sub_status.is_some_and(|sub| sub.plain() == 0xc000_015b))
    })
}
