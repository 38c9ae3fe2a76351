//! Which end of a connection speaks in what was seen.

use super::{Side, What};

impl What {
    /// The end that sent it, of what one end sent; `None` for a state of the connection and for what a log says.
    #[must_use]
    pub fn speaker(&self) -> Option<Side> {
        self.named_speaker().or_else(|| self.fixed_speaker())
    }

    /// Where the fact itself says whose it is.
    fn named_speaker(&self) -> Option<Side> {
        match self {
            Self::Reset { by, .. }
            | Self::Closed { by }
            | Self::Unanswered { by, .. }
            | Self::ProbesUnanswered { by, .. }
            | Self::NeverArrived { from: by, .. }
            | Self::LostOnPath { from: by, .. }
            | Self::ZeroWindow { by, .. }
            | Self::Retransmissions { by, .. }
            | Self::NotCaptured { from: by, .. }
            | Self::GatewayHandshake { by, .. }
            | Self::GatewayClosed { by, .. }
            | Self::OtherProtocol { from: by, .. }
            | Self::Certificate { by, .. }
            | Self::Alert { by, .. }
            | Self::EncryptedAlert { by, .. }
            | Self::CredsspMessage { by, .. }
            | Self::RdstlsMessage { by, .. }
            | Self::EntraMessage { by, .. }
            | Self::CredsspRefused { by, .. }
            | Self::TransportDisconnect { by, .. }
            | Self::TransportError { by, .. }
            | Self::License { by, .. }
            | Self::LicenseError { by, .. }
            | Self::Finalizing { by, .. }
            | Self::CompressedPdu { by, .. }
            | Self::Ultimatum { by, .. }
            | Self::UdpAlert { by, .. }
            | Self::UdpUnheard { by, .. }
            | Self::UdpClosed { by } => Some(*by),
            _ => None,
        }
    }

    /// Where only one end can say it.
    fn fixed_speaker(&self) -> Option<Side> {
        match self {
            Self::SynSent { .. }
            | Self::ProxyAsked { .. }
            | Self::GatewayRequest { .. }
            | Self::KdcProxyAsked { .. }
            | Self::GatewayTunnelAsked { .. }
            | Self::GatewayAuthorizationAsked { .. }
            | Self::GatewayChannelAsked { .. }
            | Self::ConnectionRequest { .. }
            | Self::ClientHello { .. }
            | Self::UserNamed { .. }
            | Self::KerberosTicket { .. }
            | Self::CredsspDone {}
            | Self::McsConnectInitial { .. }
            | Self::SecurityExchange {}
            | Self::ClientInfo { .. }
            | Self::ConfirmActive { .. }
            | Self::MultitransportAnswered { .. }
            | Self::UdpSyn { .. }
            | Self::UdpClientHello { .. }
            | Self::TunnelAsked { .. } => Some(Side::Client),
            Self::SynAnswered { .. }
            | Self::ProxyAnswered { .. }
            | Self::GatewayStatus { .. }
            | Self::GatewayTunnelAnswered { .. }
            | Self::GatewayAuthorized { .. }
            | Self::GatewayChannelAnswered { .. }
            | Self::GatewayRefusalSized { .. }
            | Self::GatewayMessage { .. }
            | Self::GatewayReauthentication {}
            | Self::ConnectionConfirm { .. }
            | Self::NegotiationRefused { .. }
            | Self::ServerHello { .. }
            | Self::TargetNamed { .. }
            | Self::RdstlsResult { .. }
            | Self::EntraResult { .. }
            | Self::EarlyAuthorization { .. }
            | Self::McsConnectResponse { .. }
            | Self::McsRefused { .. }
            | Self::Licensed {}
            | Self::DemandActive { .. }
            | Self::DeactivateAll {}
            | Self::Redirected { .. }
            | Self::ServerStatus { .. }
            | Self::AutoReconnectRefused { .. }
            | Self::MonitorLayout { .. }
            | Self::Heartbeat { .. }
            | Self::Running { .. }
            | Self::SessionInfo { .. }
            | Self::ErrorInfo { .. }
            | Self::ErrorInfoShaped { .. }
            | Self::MultitransportAsked { .. }
            | Self::UdpAnswered { .. }
            | Self::UdpServerHello { .. }
            | Self::TunnelAnswered { .. } => Some(Side::Server),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every sentence that begins with an end's name is that end's.
    #[test]
    fn what_one_end_sends_has_a_speaker() {
        for (text, speaker) in [
            ("syn tries=1 over_ms=0", Some(Side::Client)),
            ("syn-ack after_ms=1", Some(Side::Server)),
            ("connected", None),
            ("closed by=server", Some(Side::Server)),
            ("never-arrived from=client bytes=1 largest_passed=1 over_ms=1", Some(Side::Client)),
            ("credssp by=server round=1 bytes=2", Some(Side::Server)),
            ("accepted udp=no", None),
        ] {
            assert_eq!(What::parse(text).map(|what| what.speaker()), Ok(speaker), "{text}");
        }
    }
}
