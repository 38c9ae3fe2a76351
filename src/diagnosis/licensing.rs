//! Why licensing refused the connection: by an event of the server, a licensing message or Set Error Info.

use super::active::{error_info, error_info_read};
use super::{Case, Evidence, NOT_SEEN, Rule, Weighing};
use crate::fact::{OtherReading, What};
use crate::session::Seen;
use crate::step::Step;
use crate::wire::licensing::LicenseErrorCode;

const CODE: &str = "the code of the licensing error: the TLS secrets of this connection, or RD Licensing Diagnoser (`lsdiag.msc`) of the server";
const DIAGNOSER: &str = "RD Licensing Diagnoser (`lsdiag.msc`) of the server, and RemoteConnectionManager 1128 to 1131 in its System log";

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "license-no-server",
        step: Some(Step::Licensing),
        cause: "the server reaches no licence server",
        fix: "set `Use the specified Remote Desktop license servers` and the licensing mode by policy; from the server `Test-NetConnection LICENSESERVER -Port 135`; start the service Remote Desktop Licensing",
        refs: &["MS-RDPBCGR 2.2.1.12.1.3", "MS-RDPBCGR 2.2.5.1.1", "RemoteConnectionManager and TermService"],
        seen: &["license-error-no-license-server"],
        weigh: |case| {
            let said = license_error(case, &[LicenseErrorCode::NO_LICENSE_SERVER]);
            if let Some(logged) = logged(case, &[1130, 1131, 1043]) {
                return Some(Weighing::of(Evidence::Code, logged).and(said));
            }
            if let Some(named) = said.or_else(|| error_info(case, &[0x101])) {
                return Some(Weighing::of(Evidence::Told, named).missing(DIAGNOSER));
            }
            Some(may_be_error(case, Evidence::OneOfSeveral)?.missing(CODE))
        },
    },
    Rule {
        id: "license-grace-expired",
        step: Some(Step::Licensing),
        cause: "the grace period of the session host is over and no licence server was ever set",
        fix: "install and activate a licence server and name it on the host; an administrator gets in meanwhile with `mstsc /admin`",
        refs: &["MS-RDPBCGR 2.2.5.1.1"],
        seen: NOT_SEEN,
        weigh: |case| {
            let said = license_error(case, &[LicenseErrorCode::NO_LICENSE_SERVER]);
            if let Some(logged) = logged(case, &[1069, 1128, 1154]) {
                return Some(Weighing::of(Evidence::Code, logged).and(said));
            }
            let missing = "RemoteConnectionManager 1069 in the System log of the server (`wevtutil epl System System.evtx`): it says that the grace period is over";
            if let Some(named) = said.or_else(|| error_info(case, &[0x101])) {
                return Some(Weighing::of(Evidence::OneOfSeveral, named).missing(missing));
            }
            Some(may_be_error(case, Evidence::Possible)?.missing(missing))
        },
    },
    Rule {
        id: "license-no-cal",
        step: Some(Step::Licensing),
        cause: "there is no licence for this client: none is free, or of the wrong kind, or the host may not serve remote sessions",
        fix: "add licences, or free some in RD Licensing Manager; the licensing mode (per device, per user) must be that of the licences",
        refs: &["MS-RDPBCGR 2.2.1.12.1.3", "MS-RDPBCGR 2.2.5.1.1", "RemoteConnectionManager and TermService"],
        seen: NOT_SEEN,
        weigh: |case| {
            let said = license_error(case, &[LicenseErrorCode::NO_LICENSE]);
            if let Some(logged) = logged(case, &[1004]) {
                return Some(Weighing::of(Evidence::Code, logged).and(said));
            }
            let named = said.or_else(|| error_info(case, &[0x102]));
            let named = named.map(|said| Weighing::of(Evidence::Told, said));
            let shared = || Some(Weighing::of(Evidence::SharedCode, error_info(case, &[0x10a])?));
            let coded = named.or_else(shared).map(|weighing| weighing.missing(DIAGNOSER));
            coded.or_else(|| Some(may_be_error(case, Evidence::Possible)?.missing(CODE)))
        },
    },
    Rule {
        id: "license-client-store",
        step: Some(Step::Licensing),
        cause: "what the client sends for licensing is refused: its store of licences is damaged or copied from another machine",
        fix: "on the client delete `HKLM\\SOFTWARE\\Microsoft\\MSLicensing` (its keys HardwareID and Store) and run mstsc once as administrator",
        refs: &["MS-RDPBCGR 2.2.1.12.1.3", "MS-RDPBCGR 2.2.5.1.1", "RemoteConnectionManager and TermService"],
        seen: NOT_SEEN,
        weigh: |case| {
            let codes = [
                LicenseErrorCode::INVALID_MAC,
                LicenseErrorCode::INVALID_CLIENT,
                LicenseErrorCode(0x4),
                LicenseErrorCode(0xb),
                LicenseErrorCode(0xc),
            ];
            let info = [0x103, 0x104, 0x105, 0x107, 0x108, 0x109];
            let said = license_error(case, &codes).or_else(|| error_info(case, &info));
            if let Some(logged) = logged(case, &[1003, 1011]) {
                return Some(Weighing::of(Evidence::Code, logged).and(said));
            }
            let said = said?;
            Some(Weighing::of(Evidence::SharedCode, said).missing(DIAGNOSER))
        },
    },
    Rule {
        id: "license-blob",
        step: Some(Step::Licensing),
        cause: "the licensing of the server failed internally: its stored licensing certificates are damaged",
        fix: "on the server save and then delete the values `Certificate`, `X509 Certificate`, `X509 Certificate ID` and `X509 Certificate2` under `HKLM\\SYSTEM\\CurrentControlSet\\Control\\Terminal Server\\RCM`, and restart it",
        refs: &["MS-RDPBCGR 2.2.1.12.1.3", "MS-RDPBCGR 2.2.5.1.1", "RemoteConnectionManager and TermService"],
        seen: NOT_SEEN,
        weigh: |case| {
            let said = license_error(case, &[LicenseErrorCode::INVALID_SERVER_CERTIFICATE]);
            Some(
                Weighing::of(Evidence::SharedCode, said.or_else(|| error_info(case, &[0x100, 0x106]))?)
                    .missing(DIAGNOSER),
            )
        },
    },
    Rule {
        id: "license-refused",
        step: Some(Step::Licensing),
        cause: "licensing ended with an error that is not documented",
        fix: "read RemoteConnectionManager in the System log of the server, and the RD Licensing Diagnoser",
        refs: &["MS-RDPBCGR 2.2.1.12.1.3"],
        seen: NOT_SEEN,
        weigh: |case| {
            let said = case.find(|what| matches!(what, What::LicenseError { .. }))?;
            (!case.explains(said)).then(|| Weighing::of(Evidence::OneOfSeveral, said).missing(DIAGNOSER))
        },
    },
];

fn license_error<'a>(case: &Case<'a>, codes: &[LicenseErrorCode]) -> Option<&'a Seen> {
    case.find(|what| matches!(what, What::LicenseError { code, .. } if codes.contains(code)))
}

/// The server's last word may have been a licensing error, whose code nobody could read. Where it is rather something else,
/// that is only possible.
fn may_be_error(case: &Case<'_>, kind: Evidence) -> Option<Weighing> {
    let sized = case.find_last(|what| what.or() == Some(OtherReading::LicenseError))?;
    let named = case.find(|what| matches!(what, What::LicenseError { .. } | What::LicenseProblem { .. }));
    let unnamed = named.is_none() && !error_info_read(case);
    let there = case.failed_at(Step::Licensing) || case.failed_at(Step::ClientInfo);
    let rather = matches!(sized.what(), What::License { .. });
    let kind = if rather { kind } else { Evidence::Possible };
    (unnamed && there).then(|| Weighing::of(kind, sized))
}

/// RemoteConnectionManager or TermService said so of a connection that failed.
fn logged<'a>(case: &Case<'a>, events: &[u32]) -> Option<&'a Seen> {
    let told = case.find(|what| matches!(what, What::LicenseProblem { event, .. } if events.contains(event)));
    told.filter(|_| case.session.outcome.is_failure())
}
