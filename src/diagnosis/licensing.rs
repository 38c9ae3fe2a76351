//! Why licensing refused the connection.

use super::{Case, Rule, Weighing};
use crate::fact::What;
use crate::step::Step;
use crate::wire::licensing::LicenseErrorCode;

const DIAGNOSER: &str = "RD Licensing Diagnoser (`lsdiag.msc`) of the server, and RemoteConnectionManager and TermService in its System log";

pub(super) const RULES: &[Rule] = &[
    license(
        "license-grace-expired",
        "the grace period of Remote Desktop licensing is over and no license server is in use",
        "set the license server and mode: policy `Set the Remote Desktop license mode`, or `Set-RDLicenseConfiguration -LicenseServer SERVER -Mode PerUser`; check with `lsdiag.msc`",
        |case| {
            weigh(case, &[1069, 1128, 1154], 93)
                .or_else(|| told(case, &[LicenseErrorCode::NO_LICENSE_SERVER], &[0x101], 45))
        },
    ),
    license(
        "license-no-server",
        "the license server is not named or cannot be reached",
        "start the service TermServLicensing on it, open RPC to it, and name it in the policy `Use the specified Remote Desktop license servers`",
        |case| {
            weigh(case, &[1130, 1131, 1043], 92)
                .or_else(|| told(case, &[LicenseErrorCode::NO_LICENSE_SERVER], &[0x101], 88))
        },
    ),
    license(
        "license-no-cal",
        "the license server has no license to give",
        "install client access licenses of the right kind and mode on the license server",
        |case| {
            weigh(case, &[1004], 90)
                .or_else(|| told(case, &[LicenseErrorCode::NO_LICENSE], &[0x102, 0x10a], 86))
        },
    ),
    license(
        "license-client-store",
        "the client's license store cannot be used",
        "on the client: run mstsc once as administrator, or delete `HKLM\\SOFTWARE\\Microsoft\\MSLicensing` and let it be made anew",
        |case| {
            let codes = [
                LicenseErrorCode::INVALID_MAC,
                LicenseErrorCode::INVALID_CLIENT,
                LicenseErrorCode(0x4),
                LicenseErrorCode(0xb),
                LicenseErrorCode(0xc),
            ];
            let info = [0x103, 0x104, 0x105, 0x107, 0x108, 0x109];
            weigh(case, &[1003, 1011], 90).or_else(|| told(case, &codes, &info, 80))
        },
    ),
    license(
        "license-blob",
        "the licensing of the server failed internally: its stored licensing certificates are damaged",
        "on the server save and then delete the values `Certificate`, `X509 Certificate`, `X509 Certificate ID` and `X509 Certificate2` under `HKLM\\SYSTEM\\CurrentControlSet\\Control\\Terminal Server\\RCM`, and restart it",
        |case| told(case, &[LicenseErrorCode::INVALID_SERVER_CERTIFICATE], &[0x100, 0x106], 80),
    ),
    license(
        "license-refused",
        "licensing ended with an error that is not documented",
        "read RemoteConnectionManager in the System log of the server, and the RD Licensing Diagnoser",
        |case| {
            let said = case.find(|what| matches!(what, What::LicenseError { .. }))?;
            (!case.explains(said)).then(|| Weighing::of(40, said).missing(DIAGNOSER))
        },
    ),
];

const fn license(
    id: &'static str,
    cause: &'static str,
    fix: &'static str,
    weigh: fn(&Case<'_>) -> Option<Weighing>,
) -> Rule {
    Rule {
        id,
        step: Some(Step::Licensing),
        cause,
        fix,
        refs: &["MS-RDPELE 2.2.2", "RemoteConnectionManager and TermService"],
        weigh,
    }
}

fn weigh(case: &Case<'_>, events: &[u32], percent: u8) -> Option<Weighing> {
    let told =
        case.find(|what| matches!(what, What::LicenseProblem { event, .. } if events.contains(event)))?;
    case.session.outcome.is_failure().then(|| Weighing::of(percent, told))
}

/// The server told the client: by the error of a licensing message, or by Set Error Info.
fn told(case: &Case<'_>, errors: &[LicenseErrorCode], info: &[u32], percent: u8) -> Option<Weighing> {
    let said = case.find(|what| match what {
        What::LicenseError { code, .. } => errors.contains(code),
        What::ErrorInfo { code } | What::ErrorInfoSet { code } => info.contains(&code.0),
        _ => false,
    })?;
    Some(Weighing::of(percent, said).missing(DIAGNOSER))
}
