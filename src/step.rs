//! The ladder: every step of a Remote Desktop connection, in the order a connection climbs them.

/// One step of the handshake, from the name look-up to the running desktop.
///
/// The order of the variants is the order of the ladder, so `Ord` compares how far a connection came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "each step is described by its row of LADDER")]
pub enum Step {
    Dns,
    GatewayTransport,
    GatewayTunnel,
    GatewayChannel,
    Tcp,
    Negotiation,
    Tls,
    Credssp,
    Authorization,
    Mcs,
    SecurityExchange,
    ClientInfo,
    Licensing,
    Redirection,
    Multitransport,
    Capabilities,
    Logon,
    Active,
}

/// One row of the ladder: a step with its fixed name, what a person calls it and where it is specified.
#[derive(Debug, Clone, Copy)]
pub struct Rung {
    /// The step.
    pub step: Step,
    /// Name in the JSON output and on the command line; never changes.
    pub name: &'static str,
    /// What the step is, in words.
    pub title: &'static str,
    /// Where the step is specified.
    pub spec: &'static str,
}

/// Every step in order.
pub const LADDER: &[Rung] = &[
    rung(Step::Dns, "dns", "name look-up", "RFC 1035"),
    rung(Step::GatewayTransport, "gateway_transport", "RD Gateway transport", "MS-TSGU 3.3.5"),
    rung(Step::GatewayTunnel, "gateway_tunnel", "RD Gateway tunnel", "MS-TSGU 2.2.5"),
    rung(Step::GatewayChannel, "gateway_channel", "RD Gateway channel", "MS-TSGU 2.2.5"),
    rung(Step::Tcp, "tcp", "TCP connection", "RFC 9293"),
    rung(Step::Negotiation, "negotiation", "X.224 negotiation", "MS-RDPBCGR 2.2.1.1"),
    rung(Step::Tls, "tls", "TLS handshake", "MS-RDPBCGR 5.4.5.1"),
    rung(Step::Credssp, "credssp", "CredSSP (NLA)", "MS-CSSP 3.1.5"),
    rung(Step::Authorization, "authorization", "early authorization", "MS-RDPBCGR 2.2.10.2"),
    rung(Step::Mcs, "mcs", "MCS connection", "MS-RDPBCGR 2.2.1.3"),
    rung(Step::SecurityExchange, "security_exchange", "RDP security exchange", "MS-RDPBCGR 2.2.1.10"),
    rung(Step::ClientInfo, "client_info", "client info", "MS-RDPBCGR 2.2.1.11"),
    rung(Step::Licensing, "licensing", "licensing", "MS-RDPELE 2.2.2"),
    rung(Step::Redirection, "redirection", "server redirection", "MS-RDPBCGR 2.2.13"),
    rung(Step::Multitransport, "multitransport", "UDP transport", "MS-RDPEMT 2.2"),
    rung(Step::Capabilities, "capabilities", "capabilities exchange", "MS-RDPBCGR 2.2.1.13"),
    rung(Step::Logon, "logon", "logon", "MS-RDPBCGR 2.2.10.1"),
    rung(Step::Active, "active", "active session", "MS-RDPBCGR 1.3.1.1"),
];

const fn rung(step: Step, name: &'static str, title: &'static str, spec: &'static str) -> Rung {
    Rung { step, name, title, spec }
}

impl Step {
    fn rung(self) -> Rung {
        LADDER.iter().find(|r| r.step == self).copied().unwrap_or(rung(self, "unknown", "unknown", ""))
    }

    /// The fixed name, as in the JSON output.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.rung().name
    }

    /// What the step is, in words.
    #[must_use]
    pub fn title(self) -> &'static str {
        self.rung().title
    }

    /// The step of that name, or `None`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        LADDER.iter().find(|r| r.name == name).map(|r| r.step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ladder_has_every_step_once_and_in_order() {
        let steps: Vec<Step> = LADDER.iter().map(|r| r.step).collect();
        let mut sorted = steps.clone();
        sorted.sort();
        sorted.dedup();
        assert_eq!(steps, sorted);
        assert_eq!(steps.len(), 18);
        assert_eq!(steps.last(), Some(&Step::Active));
    }

    #[test]
    fn names_are_read_back() {
        for rung in LADDER {
            assert_eq!(Step::named(rung.name), Some(rung.step));
        }
        assert_eq!(Step::named("nego"), None);
    }
}
