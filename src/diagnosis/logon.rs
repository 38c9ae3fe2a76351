//! Why the logon behind the connection sequence failed.

use super::active::{by_code, error_info_read};
use super::{Rule, Weighing};
use crate::fact::{Side, What};
use crate::step::Step;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "session-ended-at-logon",
        step: Some(Step::Logon),
        cause: "the server ended the connection right after the desktop was set up, without a reason on the wire: the logon behind it failed or was refused",
        fix: "read the server's logs of that second: Security 4625 (logon type 10), LocalSessionManager 40 and 23, Winlogon and User Profile Service in Application",
        refs: &["MS-RDPBCGR 1.3.1.4", "lab: fail-rdpsec-auth-after-active"],
        weigh: |case| {
            let closed = case.find(|what| {
                matches!(what, What::Closed { by: Side::Server } | What::Reset { by: Side::Server, .. })
            })?;
            let missing =
                "Security log of the server with auditing of `Logon` failures: 4625 with logon type 10";
            let in_silence = case.failed_at(Step::Logon) && !error_info_read(case);
            in_silence.then(|| Weighing::of(55, closed).missing(missing))
        },
    },
    Rule {
        id: "winlogon-crash",
        step: Some(Step::Logon),
        cause: "Winlogon, or the Windows subsystem, of the session crashed on the server",
        fix: "Application log of the server: Application Error 1000 names the faulting module; take third-party credential providers and notification packages off; `sfc /scannow`",
        refs: &["MS-RDPBCGR 2.2.5.1.1"],
        weigh: |case| by_code(case, &[0x17, 0x18], None, 88),
    },
    Rule {
        id: "restricted-admin-denied",
        step: Some(Step::Logon),
        cause: "the server ended the new session by itself right at the logon, as it does when it refuses Restricted Admin",
        fix: "on the server: `reg add HKLM\\System\\CurrentControlSet\\Control\\Lsa /v DisableRestrictedAdmin /t REG_DWORD /d 0 /f`; the user must be an administrator there; or connect without `/restrictedAdmin`",
        refs: &["MS-RDPBCGR 2.2.5.1.1"],
        weigh: |case| {
            let missing = "Security log of the server: 4625 and 4624 of that second; whether the client ran with /restrictedAdmin";
            by_code(case, &[0xb], None, 50).map(|w| w.missing(missing))
        },
    },
    Rule {
        id: "saved-creds-refused",
        step: Some(Step::Logon),
        cause: "the server does not accept stored credentials and wants the password typed",
        fix: "type the password; or policy `Always prompt for password upon connection` (fPromptForPassword) to Disabled on the server",
        refs: &["MS-RDPBCGR 2.2.5.1.1"],
        weigh: |case| by_code(case, &[0xa], None, 88),
    },
    Rule {
        id: "resource-exhaustion",
        step: Some(Step::Logon),
        cause: "the server has not enough memory for the session",
        fix: "System log of the server: Resource-Exhaustion-Detector 2004 names the programs; end them, add memory or page file, or restart",
        refs: &["MS-RDPBCGR 2.2.5.1.1"],
        weigh: |case| by_code(case, &[0x6], None, 88),
    },
];
