//! Why the server denies a connection that went well up to Client Info.

use super::active::{SERVER_LOGS, error_info};
use super::{Rule, Weighing};
use crate::fact::{Side, What};
use crate::step::Step;

pub(super) const RULES: &[Rule] = &[Rule {
    id: "server-denied-0x7",
    step: Some(Step::ClientInfo),
    cause: "the server denied the connection on purpose (error info 7); the code alone never says why",
    fix: "name, port, firewall, TLS and NLA are fine: look at the server, in this order: redirection by the broker, drain mode (`chglogon /query`, `change logon /enable`), \
          a patched or crashed termsrv.dll, logon rights, licensing, creation of the session and the profile",
    refs: &["MS-RDPBCGR 2.2.5.1.1", "lab: denied-0x7"],
    weigh: |case| {
        let said = error_info(case, &[0x7])?;
        let ended = case.find(|what| matches!(what, What::Ultimatum { by: Side::Server, .. }));
        Some(
            Weighing::of(65, said)
                .and(ended)
                .missing(SERVER_LOGS)
                .missing("SessionBroker and SessionBroker-Client (1296, 1306, 1309), TerminalServices-RemoteConnectionManager (1070, 1071: drain mode; 1128 to 1131: licensing), Security 4825 and 4625 of the server"),
        )
    },
}];
