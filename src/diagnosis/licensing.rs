//! Why licensing refused the connection.

use super::{Case, Rule, Weighing};
use crate::fact::What;
use crate::step::Step;

pub(super) const RULES: &[Rule] = &[
    license(
        "license-grace-expired",
        "the grace period of Remote Desktop licensing is over and no license server is in use",
        "set the license server and mode: policy `Set the Remote Desktop license mode`, or `Set-RDLicenseConfiguration -LicenseServer SERVER -Mode PerUser`; check with `lsdiag.msc`",
        |case| weigh(case, &[1069, 1128, 1154], 93),
    ),
    license(
        "license-no-server",
        "the license server is not named or cannot be reached",
        "start the service TermServLicensing on it, open RPC to it, and name it in the policy `Use the specified Remote Desktop license servers`",
        |case| weigh(case, &[1130, 1131, 1043], 92),
    ),
    license(
        "license-no-cal",
        "the license server has no license to give",
        "install client access licenses of the right kind and mode on the license server",
        |case| weigh(case, &[1004], 90),
    ),
    license(
        "license-client-store",
        "the client's license store cannot be used",
        "on the client: run mstsc once as administrator, or delete `HKLM\\SOFTWARE\\Microsoft\\MSLicensing` and let it be made anew",
        |case| weigh(case, &[1003, 1011], 90),
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
