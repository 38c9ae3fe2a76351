//! The vocabulary that all witnesses share: a packet and a log record both become the same `Fact`, with a one-line
//! text form that is written and read back.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::codes::{DisconnectReason, ErrorInfo, KerberosError, Status};
use crate::note::Place;
use crate::step::Step;
use crate::time::UnixNanos;
use crate::wire::licensing::{LicenseErrorCode, LicenseKind, StateTransition};
use crate::wire::mcs::{McsResult, UltimatumReason};
use crate::wire::multitransport::RequestedProtocol;
use crate::wire::negotiation::{FailureCode, Protocols};
use crate::wire::proxy::ProxyProtocol;
use crate::wire::rdpudp::UdpVersion;
use crate::wire::redirection::RedirectionFlags;
use crate::wire::session_info::{LogonErrorData, LogonErrorType};
use crate::wire::share::{DataType, StatusCode};
use crate::wire::spnego::NegState;
use crate::wire::tls::{AlertDescription, Suite, TlsVersion};
use crate::wire::tpkt::DisconnectCause;

mod other;
mod speaker;
mod text;

pub use other::OtherReading;
pub use text::{FactTextError, Field, Rewrite};

/// Facts kept in one run, of all inputs; far more than any investigation reads.
pub const FACTS_MAX: usize = 8_000_000;

/// One end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// The end that opened the connection.
    Client,
    /// The end that was connected to.
    Server,
}

impl Side {
    /// The opposite end.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }

    /// `client` or `server`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
        }
    }
}

/// How a fact was read off the evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reading {
    /// It stands there in clear.
    Clear,
    /// It stands in TLS records that were opened with the secrets of a key log.
    Opened,
    /// It was told from the size and position of encrypted records.
    Inferred,
}

impl Reading {
    /// `clear`, `opened` or `inferred`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Clear => "clear",
            Self::Opened => "opened",
            Self::Inferred => "inferred",
        }
    }
}

/// What carries the packets of a connection inside of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tunnel {
    /// GRE (RFC 2784), that of PPTP included.
    Gre,
    /// A mirrored port, over GRE.
    Erspan,
    /// VXLAN (RFC 7348).
    Vxlan,
    /// Geneve (RFC 8926).
    Geneve,
    /// IP in IP (RFC 2003, RFC 2473, RFC 4213).
    IpInIp,
}

impl Tunnel {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Gre, Self::Erspan, Self::Vxlan, Self::Geneve, Self::IpInIp];

    /// As people write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gre => "GRE",
            Self::Erspan => "ERSPAN",
            Self::Vxlan => "VXLAN",
            Self::Geneve => "Geneve",
            Self::IpInIp => "IP-in-IP",
        }
    }
}

/// What makes the RDP connection stand out from other traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Recognised {
    /// Its first bytes are those of an X.224 connection request or confirm.
    FirstBytes,
    /// Another RDP connection goes to the same endpoint.
    NamedEndpoint,
    /// Only its destination port, 3389, says so, or the one that a proxy is asked for.
    Port,
    /// A key log has secrets for its TLS, so that it may be opened and turn out to be an RD Gateway's.
    Secrets,
    /// Its HTTP requests are those of an RD Gateway.
    Gateway,
    /// The sizes of its encrypted records are those of an RD Gateway's tunnel with RDP inside.
    GatewaySizes,
    /// It ended before it could show what it is, and another connection to the same address and port goes to an RD Gateway.
    GatewayEndpoint,
}

/// Identity of one TCP connection as one capture point saw it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Connection {
    /// Index of the witness.
    pub witness_index: u32,
    /// Address and port of the end that opened the connection.
    pub client: SocketAddr,
    /// Address and port of the end that was connected to.
    pub server: SocketAddr,
    /// Initial sequence number of the client, when its SYN was seen.
    pub client_isn: Option<u32>,
    /// Initial sequence number of the server, when its SYN-ACK was seen.
    pub server_isn: Option<u32>,
    /// When its first packet was seen.
    pub opened: UnixNanos,
    /// Where its first packet is.
    pub first: Place,
    /// When its last packet was seen.
    pub last_seen: UnixNanos,
    /// Where its last packet is.
    pub last: Place,
    /// Packets of the client and of the server.
    pub packets: [u64; 2],
    /// Payload bytes of the client and of the server, by their sequence numbers: each byte counts once.
    pub bytes: [u64; 2],
    /// How it was recognised.
    pub recognised: Recognised,
    /// What the client and the server sent in segments with data.
    pub sent: [DataSent; 2],
}

/// Segments with data of one direction of a connection; what was sent again counts again.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct DataSent {
    /// How many.
    pub segments: u64,
    /// Payload bytes of all of them.
    pub bytes: u64,
    /// Payload bytes of the largest.
    pub largest: u32,
    /// A few of them, by which another capture of the same connection is known, wherever it begins. INVARIANT: sorted by
    /// print, each print once.
    pub marks: Vec<SegmentMark>,
}

/// A segment with data as every capture point on its way sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentMark {
    /// Sequence number, acknowledgement, payload length and time stamp (TSval) as one number.
    pub print: u64,
    /// When it was first seen here.
    pub at: UnixNanos,
}

/// What a log record says of whom it is about: the keys by which it is joined to others. All are as the record has
/// them; absent is `None`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Keys {
    /// The computer that wrote the record, in lower case.
    pub host: String,
    /// `Correlation/@ActivityID`, upper case without braces, of the channels where it names one connection.
    pub activity: Option<String>,
    /// Windows session id.
    pub session_id: Option<u32>,
    /// Logon id (`TargetLogonId`).
    pub logon_id: Option<u64>,
    /// User name, without domain.
    pub user: Option<String>,
    /// Domain of the user.
    pub domain: Option<String>,
    /// Address of the other end.
    pub address: Option<IpAddr>,
    /// Port of the other end.
    pub port: Option<u16>,
    /// Name of the other end's computer.
    pub workstation: Option<String>,
}

/// What a fact is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// A TCP connection that a capture point saw.
    Connection(Arc<Connection>),
    /// A UDP transport that a capture point saw; its sequence numbers are those of its SYN and of the answer.
    Udp(Arc<Connection>),
    /// Whatever the keys of a log record lead to.
    Record(Arc<Keys>),
}

impl Subject {
    /// The TCP connection, when a capture point saw it.
    #[must_use]
    pub fn connection(&self) -> Option<&Arc<Connection>> {
        match self {
            Self::Connection(connection) => Some(connection),
            Self::Udp(_) | Self::Record(_) => None,
        }
    }

    /// The UDP transport, when a capture point saw it.
    #[must_use]
    pub fn udp(&self) -> Option<&Arc<Connection>> {
        match self {
            Self::Udp(transport) => Some(transport),
            Self::Connection(_) | Self::Record(_) => None,
        }
    }

    /// The keys, when a log record says it.
    #[must_use]
    pub fn keys(&self) -> Option<&Arc<Keys>> {
        match self {
            Self::Connection(_) | Self::Udp(_) => None,
            Self::Record(keys) => Some(keys),
        }
    }
}

/// One thing that one witness saw, at one time, in one place.
#[derive(Debug, Clone, PartialEq)]
pub struct Fact {
    /// When, by the witness's own clock.
    pub at: UnixNanos,
    /// Where to look it up.
    pub place: Place,
    /// What it is about.
    pub subject: Subject,
    /// How it was read.
    pub reading: Reading,
    /// What was seen.
    pub what: What,
}

/// Declares `What`: every kind of fact with its name in the text form, the step it belongs to and its fields.
macro_rules! facts {
    ($( $(#[$doc:meta])* $variant:ident = $name:literal, $step:expr, {
        $( $(#[$fdoc:meta])* $field:ident : $type:ty ),* $(,)?
    } )*) => {
        /// What was seen. A fact that always belongs to one step says so in `step`.
        #[derive(Debug, Clone, PartialEq)]
        pub enum What {
            $( $(#[$doc])* $variant { $( $(#[$fdoc])* $field: $type ),* } ),*
        }

        impl What {
            /// Every name of the text form, in the order of declaration.
            pub const NAMES: &'static [&'static str] = &[$( $name ),*];

            /// The name in the text form.
            #[must_use]
            pub fn name(&self) -> &'static str {
                match self { $( Self::$variant { .. } => $name ),* }
            }

            /// The step it belongs to, or `None` for what can happen at any step.
            #[must_use]
            pub fn step(&self) -> Option<Step> {
                match self { $( Self::$variant { .. } => $step ),* }
            }

            /// Name and text of each field that is there, in the order of declaration; `text` is used for each in turn.
            ///
            /// # Errors
            /// That of `take`.
            pub fn each_field<E>(
                &self,
                text: &mut String,
                mut take: impl FnMut(&'static str, &str) -> Result<(), E>,
            ) -> Result<(), E> {
                match self {
                    $( Self::$variant { $( $field ),* } => {
                        $(
                            text.clear();
                            if Field::write_text($field, text) {
                                take(stringify!($field), text)?;
                            }
                        )*
                        let _ = &mut take;
                        Ok(())
                    } ),*
                }
            }

            /// Every field as fact, name of the field, and whether it holds text.
            pub const FIELDS: &'static [(&'static str, &'static str, bool)] =
                &[$( $( ($name, stringify!($field), <$type as Field>::IS_TEXT), )* )*];

            /// The same fact with texts, addresses and times as `by` gives them.
            #[must_use]
            pub fn rewritten(self, by: &mut dyn Rewrite) -> Self {
                match self {
                    $( Self::$variant { $( $field ),* } => Self::$variant {
                        $( $field: Field::rewritten($field, ($name, stringify!($field)), &mut *by) ),*
                    } ),*
                }
            }

            fn read(name: &str, fields: &mut text::Fields<'_>) -> Result<Self, FactTextError> {
                match name {
                    $( $name => Ok(Self::$variant { $( $field: fields.take(stringify!($field))? ),* }), )*
                    _ => Err(FactTextError::UnknownName(name.to_owned())),
                }
            }
        }
    };
}

facts! {
    /// The client asked for a TCP connection.
    SynSent = "syn", Some(Step::Tcp), {
        /// How often the SYN was sent.
        tries: u32,
        /// Milliseconds from the first to the last.
        over_ms: u64,
    }
    /// The server accepted the TCP connection.
    SynAnswered = "syn-ack", Some(Step::Tcp), {
        /// Milliseconds after the SYN it answers.
        after_ms: u64,
    }
    /// The TCP connection is up: the client acknowledged, or data flows.
    Connected = "connected", Some(Step::Tcp), {}
    /// The packets of the connection were captured inside of a tunnel; its outer addresses.
    Tunnelled = "tunnelled", None, {
        /// What tunnel.
        kind: Tunnel,
        /// The end that wrapped the first packet.
        from: IpAddr,
        /// The end that it was wrapped for.
        to: IpAddr,
    }
    /// The client asks a proxy for a connection (RFC 1928, RFC 9110 9.3.6).
    ProxyAsked = "proxy-asked", Some(Step::Tcp), {
        /// How it asks.
        protocol: ProxyProtocol,
        /// Name or address of the destination.
        host: String,
        /// Its port.
        port: u32,
        /// Who the client says it is.
        user: Option<String>,
    }
    /// The proxy answers.
    ProxyAnswered = "proxy-answered", Some(Step::Tcp), {
        /// How it was asked.
        protocol: ProxyProtocol,
        /// Status of HTTP, or code of SOCKS.
        code: u32,
        /// What it says, in its own words or those of the specification.
        says: String,
        /// The connection to the destination is up.
        opened: bool,
        /// It is about who the client is: none or wrong credentials.
        authentication: bool,
        /// The client asked again on the same connection.
        retried: bool,
    }
    /// A load balancer names the client that it forwards (PROXY protocol, version 1 or 2).
    ProxiedFor = "proxied-for", None, {
        /// Version of the header.
        version: u32,
        /// Address of the client; absent when it speaks for itself.
        client: Option<IpAddr>,
        /// Port of the client.
        port: Option<u32>,
    }
    /// A router or firewall says that the destination cannot be reached (RFC 792, RFC 4443).
    Unreachable = "unreachable", Some(Step::Tcp), {
        /// Who says so.
        from: IpAddr,
        /// ICMP type.
        kind: u8,
        /// ICMP code.
        code: u8,
        /// How often it was said of this connection.
        times: u32,
    }
    /// A TCP reset.
    Reset = "reset", None, {
        /// In whose name it came.
        by: Side,
        /// Time to live, or hop limit, of the reset.
        ttl: u8,
        /// Time to live of the other packets in that side's name.
        usual_ttl: Option<u8>,
        /// It answers the SYN.
        answers_syn: bool,
        /// Its sequence number lies outside of what that side can have sent.
        out_of_window: bool,
        /// It carries no acknowledgement although that side's connection was open and had not ended with a FIN: a host
        /// answers so only where it knows of no connection (RFC 9293 3.5.2).
        bare: bool,
    }
    /// One side ended its sending with a FIN.
    Closed = "closed", None, {
        /// Which side.
        by: Side,
    }
    /// Data that was sent again and again and never acknowledged.
    Unanswered = "unanswered", None, {
        /// Who sent it.
        by: Side,
        /// Payload bytes of the segment.
        bytes: u32,
        /// How often it was sent.
        tries: u32,
        /// Payload bytes of the largest segment of this side that was acknowledged.
        largest_passed: u32,
        /// Milliseconds from its first sending to the last.
        over_ms: u64,
        /// Nothing at all came back after it.
        peer_silent: bool,
    }
    /// Keep-alive probes that nothing came back to (RFC 9293 3.8.4).
    ProbesUnanswered = "probes-unanswered", None, {
        /// Who sent them.
        by: Side,
        /// How many.
        tries: u32,
        /// Milliseconds from the last sign of the other side to the end.
        over_ms: u64,
    }
    /// Bytes that the sequence numbers say were sent, and that never came past nor were acknowledged.
    NeverArrived = "never-arrived", None, {
        /// Who sent them.
        from: Side,
        /// How many.
        bytes: u64,
        /// Payload bytes of the largest segment of this side that came past.
        largest_passed: u32,
        /// Milliseconds until the connection or the capture ended.
        over_ms: u64,
    }
    /// Segments with data that a capture nearer to their sender has more often than another: they were lost between the two.
    LostOnPath = "lost-on-path", None, {
        /// Who sent them.
        from: Side,
        /// How many; absent where a network card cuts or joins segments, so that only bytes compare.
        segments: Option<u64>,
        /// Payload bytes, what was sent again counted again.
        bytes: u64,
    }
    /// One side announced a receive window of 0 while the other had something to send, or asked (RFC 9293 3.8.6.1).
    ZeroWindow = "zero-window", None, {
        /// Who could not take more.
        by: Side,
        /// How often.
        times: u32,
        /// Milliseconds of all of them.
        over_ms: u64,
    }
    /// Much of what one side sent was sent again.
    Retransmissions = "retransmissions", None, {
        /// Who sent it.
        by: Side,
        /// Segments sent again.
        segments: u64,
        /// Segments with data in all.
        of: u64,
        /// The share of the first in the second, in hundredths.
        percent: u64,
    }
    /// Bytes that were acknowledged and are not in the capture.
    NotCaptured = "not-captured", None, {
        /// Who sent them.
        from: Side,
        /// How many.
        bytes: u64,
    }
    /// The capture begins after the connection did.
    MidStream = "mid-stream", None, {}
    /// Packets of one direction only are in the capture.
    OneWay = "one-way", None, {
        /// The side whose packets are there.
        seen: Side,
    }
    /// The capture ends while the connection is open.
    CaptureEnds = "capture-ends", None, {
        /// Milliseconds since the last packet of this connection.
        idle_ms: u64,
    }
    /// One side waited for the other: keep-alives only, nothing said for long.
    Stalled = "stalled", None, {
        /// Whose turn it was to speak.
        turn: Side,
        /// Milliseconds of silence.
        over_ms: u64,
    }
    /// A client's HTTP request to an RD Gateway (MS-TSGU 3.3.5.1, 3.3.5.3), or to its RPC proxy (MS-RPCH 2.1.2.1).
    GatewayRequest = "gateway-request", Some(Step::GatewayTransport), {
        /// `websocket`, `http` (one connection each way) or `rpc`.
        transport: String,
        /// HTTP method.
        method: String,
        /// The gateway as the client calls it.
        host: Option<String>,
        /// How the client authenticates: `Negotiate`, `NTLM`, `Basic`, ...
        authorization: Option<String>,
        /// `RDG-Correlation-Id`.
        correlation: Option<String>,
    }
    /// The answer to such a request.
    GatewayStatus = "gateway-status", Some(Step::GatewayTransport), {
        /// HTTP status.
        status: u32,
        /// What stands behind the number.
        reason: Option<String>,
        /// How a client may authenticate.
        offers: Option<String>,
        /// The client asked no more on this connection.
        last: bool,
    }
    /// A request for a Kerberos ticket that the client sent through the gateway's KDC proxy (MS-KKDCP 2.1).
    KdcProxyAsked = "kdc-proxy", Some(Step::GatewayTransport), {
        /// HTTP status of the answer.
        status: Option<u32>,
    }
    /// Versions and ways to authenticate inside of the tunnel (MS-TSGU 2.2.10.10, 2.2.10.11).
    GatewayHandshake = "gateway-handshake", Some(Step::GatewayTunnel), {
        /// Who sent it.
        by: Side,
        /// Version of the transport.
        version: String,
        /// Extended ways to authenticate, as flags: 1 smart card, 2 PAA cookie, 4 SSPI NTLM.
        auth: u32,
        /// Result.
        code: Option<Status>,
    }
    /// The client asks for a tunnel (MS-TSGU 2.2.10.18).
    GatewayTunnelAsked = "gateway-tunnel-asked", Some(Step::GatewayTunnel), {
        /// Capabilities, as flags.
        capabilities: u32,
        /// A cookie of a portal stands for the user.
        cookie: bool,
    }
    /// The gateway's answer (MS-TSGU 2.2.10.20).
    GatewayTunnelAnswered = "gateway-tunnel", Some(Step::GatewayTunnel), {
        /// Result.
        code: Status,
        /// Its number of the tunnel.
        tunnel: Option<u32>,
    }
    /// The client asks to be let in (MS-TSGU 2.2.10.14).
    GatewayAuthorizationAsked = "gateway-authorization-asked", Some(Step::GatewayTunnel), {
        /// The client's computer.
        client_name: Option<String>,
    }
    /// The gateway's answer: the connection authorization policy (MS-TSGU 2.2.10.16).
    GatewayAuthorized = "gateway-authorization", Some(Step::GatewayTunnel), {
        /// Result.
        code: Status,
        /// What the client may redirect, as flags (MS-TSGU 2.2.5.3.2).
        redirection: Option<u32>,
        /// Minutes without traffic that are allowed.
        idle_minutes: Option<u32>,
    }
    /// The client asks for a channel to a host behind the gateway (MS-TSGU 2.2.10.2).
    GatewayChannelAsked = "gateway-channel-asked", Some(Step::GatewayChannel), {
        /// The host's names as the client has them, the first first.
        target: String,
        /// Its port.
        port: u32,
    }
    /// The gateway's answer: the resource authorization policy, and whether the host could be reached (MS-TSGU 2.2.10.4).
    GatewayChannelAnswered = "gateway-channel", Some(Step::GatewayChannel), {
        /// Result.
        code: Status,
    }
    /// The tunnel through a gateway carries RDP: its packets, up to the X.224 Connection Confirm inside, have the sizes
    /// that only they have.
    GatewayTunnelSized = "gateway-tunnel-sized", Some(Step::GatewayChannel), {
        /// How the gateway's client carries RDP.
        transport: String,
        /// The sizes do not tell what became of the connection inside.
        hidden: bool,
    }
    /// The gateway refused the tunnel, or the channel in it: its packets have the sizes of the beginning, up to an answer that
    /// has a code and nothing else.
    GatewayRefusalSized = "gateway-refusal-sized", None, {
        /// How the gateway's client carries RDP.
        transport: String,
        /// The channel was refused, not the tunnel.
        channel: bool,
    }
    /// What the gateway has to say to the user (MS-TSGU 2.2.10.13), or what it wants consent to.
    GatewayMessage = "gateway-message", None, {
        /// The text.
        text: String,
    }
    /// The gateway wants the user to authenticate again (MS-TSGU 2.2.10.12).
    GatewayReauthentication = "gateway-reauthentication", None, {}
    /// One side closes the channel (MS-TSGU 2.2.10.5, 2.2.10.6).
    GatewayClosed = "gateway-closed", None, {
        /// Who.
        by: Side,
        /// Why.
        code: Status,
    }
    /// The other end speaks another protocol.
    OtherProtocol = "other-protocol", Some(Step::Negotiation), {
        /// Who spoke.
        from: Side,
        /// Its name, or the first bytes.
        protocol: String,
    }
    /// X.224 connection request (MS-RDPBCGR 2.2.1.1).
    ConnectionRequest = "request", Some(Step::Negotiation), {
        /// Security protocols asked for; absent without negotiation data.
        protocols: Option<Protocols>,
        /// Flags of the negotiation request.
        flags: u8,
        /// The `mstshash` cookie, at most 9 characters of the user name by some clients.
        cookie: Option<String>,
        /// The routing token of a load balancer or broker.
        token: Option<String>,
        /// The correlation id, as hexadecimal digits.
        correlation: Option<String>,
    }
    /// X.224 connection confirm (MS-RDPBCGR 2.2.1.2).
    ConnectionConfirm = "confirm", Some(Step::Negotiation), {
        /// Security protocol chosen; absent without negotiation data, which means Standard RDP Security.
        protocol: Option<Protocols>,
        /// Flags of the negotiation response.
        flags: u8,
        /// The client asked for what was chosen.
        acceptable: bool,
    }
    /// The server refuses the negotiation (MS-RDPBCGR 2.2.1.2.2).
    NegotiationRefused = "refused", Some(Step::Negotiation), {
        /// Its reason.
        code: FailureCode,
    }
    /// TLS ClientHello.
    ClientHello = "client-hello", Some(Step::Tls), {
        /// Highest version offered.
        version: TlsVersion,
        /// Number of cipher suites offered.
        suites: u32,
        /// Server name indication.
        sni: Option<String>,
        /// Offered suites, as 4 hexadecimal digits each.
        offered: String,
        /// All versions offered, highest first, as 4 hexadecimal digits each.
        versions: Option<String>,
        /// Version of the message itself, which stays TLS 1.2 where newer ones are offered.
        legacy: Option<TlsVersion>,
        /// Application protocols offered, separated by commas.
        alpn: Option<String>,
        /// It asks to resume an earlier session.
        resumes: bool,
        /// JA3 fingerprint.
        ja3: Option<String>,
        /// JA4 fingerprint.
        ja4: Option<String>,
        /// The first 16 bytes of its random, as hexadecimal digits: no other connection has them.
        random: Option<String>,
    }
    /// TLS ServerHello.
    ServerHello = "server-hello", Some(Step::Tls), {
        /// Version chosen.
        version: TlsVersion,
        /// Cipher suite chosen.
        suite: Suite,
        /// It resumes the session that the client asked for: no certificate is shown.
        resumed: bool,
        /// Application protocol chosen, where it is told in clear.
        alpn: Option<String>,
        /// JA3S fingerprint.
        ja3s: Option<String>,
    }
    /// A certificate that stands in clear.
    Certificate = "certificate", Some(Step::Tls), {
        /// Who showed it.
        by: Side,
        /// Subject.
        subject: String,
        /// Issuer.
        issuer: String,
        /// Start of validity.
        not_before: UnixNanos,
        /// End of validity.
        not_after: UnixNanos,
        /// Subject and issuer are the same.
        self_signed: bool,
        /// Key algorithm and size.
        key: String,
        /// Signature algorithm.
        signature: String,
        /// Names of the subject alternative name, separated by commas.
        names: Option<String>,
        /// SHA-1 thumbprint, as Windows shows it.
        sha1: Option<String>,
        /// SHA-256 of the certificate.
        sha256: Option<String>,
        /// It has the shape of those that Windows makes for Remote Desktop by itself.
        automatic: bool,
    }
    /// A TLS alert in clear.
    Alert = "alert", Some(Step::Tls), {
        /// Who sent it.
        by: Side,
        /// It is fatal.
        fatal: bool,
        /// What it says.
        code: AlertDescription,
    }
    /// A TLS alert behind the handshake, told by its type or size.
    EncryptedAlert = "encrypted-alert", None, {
        /// Who sent it.
        by: Side,
        /// What it says, when it was opened.
        code: Option<AlertDescription>,
    }
    /// TLS records were opened with the secrets of a key log.
    TlsOpened = "tls-opened", None, {
        /// Records of the client that were opened.
        client_records: u32,
        /// Records of the server that were opened.
        server_records: u32,
        /// Records of both that stayed closed.
        closed_records: u32,
    }
    /// The TLS handshake is complete.
    TlsFinished = "tls-finished", Some(Step::Tls), {}
    /// One CredSSP message (MS-CSSP 2.2.1).
    CredsspMessage = "credssp", Some(Step::Credssp), {
        /// Who sent it.
        by: Side,
        /// Number of the round trip, from 1.
        round: u32,
        /// Bytes of plaintext; an upper bound with block ciphers.
        bytes: u32,
        /// Version of CredSSP that it names.
        version: Option<u32>,
        /// The token of the security package in it.
        token: Option<String>,
        /// Security packages that the client offers, or the one that the server takes.
        packages: Option<String>,
        /// How far the server sees the choice of a package (RFC 4178).
        state: Option<NegState>,
    }
    /// Who the client says it is, in its NTLM message or in Client Info.
    UserNamed = "user-named", None, {
        /// User.
        user: Option<String>,
        /// Domain.
        domain: Option<String>,
        /// Name of the client computer.
        workstation: Option<String>,
        /// Service that the client believes to talk to.
        target: Option<String>,
        /// Build of the client's system.
        build: Option<u32>,
    }
    /// What the server calls itself in its NTLM challenge.
    TargetNamed = "target-named", None, {
        /// Its computer name.
        computer: Option<String>,
        /// Its domain.
        domain: Option<String>,
        /// Build of its system.
        build: Option<u32>,
        /// Milliseconds that its clock is ahead of the capture's, transit included.
        clock_ms: Option<i64>,
    }
    /// The client shows a Kerberos ticket in CredSSP (RFC 4120 5.5.1).
    KerberosTicket = "kerberos-ticket", Some(Step::Credssp), {
        /// Realm of the ticket.
        realm: Option<String>,
        /// The service that it is for.
        service: Option<String>,
    }
    /// A message of RDSTLS (MS-RDPBCGR 2.2.17).
    RdstlsMessage = "rdstls", Some(Step::Authorization), {
        /// Who sent it.
        by: Side,
        /// What it is, where it could be read.
        says: Option<String>,
        /// User that it names.
        user: Option<String>,
        /// Domain of the user.
        domain: Option<String>,
    }
    /// The server's answer to RDSTLS.
    RdstlsResult = "rdstls-result", Some(Step::Authorization), {
        /// 0 when the user may connect, else a Win32 error.
        code: Status,
    }
    /// A message of Microsoft Entra ID authentication (RDSAAD, MS-RDPBCGR 2.2.18).
    EntraMessage = "rdsaad", Some(Step::Authorization), {
        /// Who sent it.
        by: Side,
        /// What it is, where it could be read.
        says: Option<String>,
    }
    /// The server's answer to the Entra ID assertion.
    EntraResult = "rdsaad-result", Some(Step::Authorization), {
        /// 0 when the user may connect.
        code: Status,
    }
    /// CredSSP was ended by one side before it was complete.
    CredsspRefused = "credssp-refused", Some(Step::Credssp), {
        /// Who ended it.
        by: Side,
        /// Round trip, from 1.
        round: u32,
        /// Bytes of plaintext of the last message of that side, as a TSRequest with an error code is short.
        bytes: Option<u32>,
        /// The error code of the TSRequest.
        status: Option<Status>,
        /// What else it may be, where its size tells no difference.
        or: Option<OtherReading>,
    }
    /// CredSSP is complete: the client went on to MCS.
    CredsspDone = "credssp-done", Some(Step::Credssp), {}
    /// Early User Authorization Result (MS-RDPBCGR 2.2.10.2).
    EarlyAuthorization = "early-authorization", Some(Step::Authorization), {
        /// The result, 0 when the user may connect; absent when it was told by its 4 bytes.
        result: Option<u32>,
        /// What else it may be, where its size tells no difference.
        or: Option<OtherReading>,
    }
    /// MCS Connect Initial (T.125, MS-RDPBCGR 2.2.1.3).
    McsConnectInitial = "mcs-connect-initial", Some(Step::Mcs), {
        /// Names of the static virtual channels asked for, separated by commas.
        channels: Option<String>,
        /// Client build number.
        build: Option<u32>,
        /// Client computer name.
        client_name: Option<String>,
        /// Version of RDP that the client names.
        version: Option<u32>,
        /// `earlyCapabilityFlags`.
        early_flags: Option<u32>,
        /// Security protocol that the client read in the connection confirm.
        selected: Option<Protocols>,
        /// `connectionType`: 1 is a modem, 6 a local network, 7 is found out.
        connection_type: Option<u32>,
        /// Version of server redirection that it supports, from 1.
        redirection: Option<u32>,
        /// Session that an earlier redirection named.
        redirected_session: Option<u32>,
        /// Monitors.
        monitors: Option<u32>,
        /// Flags of the UDP transports that it supports.
        multitransport: Option<u32>,
    }
    /// MCS Connect Response (MS-RDPBCGR 2.2.1.4).
    McsConnectResponse = "mcs-connect-response", Some(Step::Mcs), {
        /// Encryption method of Standard RDP Security; 0 under TLS.
        method: Option<u32>,
        /// Encryption level of Standard RDP Security; 0 under TLS.
        level: Option<u32>,
        /// Version of RDP that the server names.
        version: Option<u32>,
        /// Security protocols that the server read in the connection request.
        requested: Option<Protocols>,
        /// `earlyCapabilityFlags`.
        early_flags: Option<u32>,
        /// Kind of the certificate of Standard RDP Security.
        certificate: Option<String>,
        /// Flags of the UDP transports that it supports.
        multitransport: Option<u32>,
    }
    /// The server refused a step of MCS (T.125 7, `Result`).
    McsRefused = "mcs-refused", Some(Step::Mcs), {
        /// `connect`, `attach` or `join`.
        what: String,
        /// Its reason.
        result: McsResult,
        /// The channel, of a join.
        channel: Option<u32>,
    }
    /// X.224 disconnect request (X.224 13.5).
    TransportDisconnect = "x224-disconnect", None, {
        /// Who sent it.
        by: Side,
        /// Its reason.
        reason: Option<DisconnectCause>,
    }
    /// X.224 error (X.224 13.12).
    TransportError = "x224-error", None, {
        /// Who sent it.
        by: Side,
        /// Reject cause.
        cause: Option<u32>,
    }
    /// MCS Attach User Confirm: the domain is joined.
    McsAttached = "mcs-attached", Some(Step::Mcs), {}
    /// Channels were joined.
    McsJoined = "mcs-joined", Some(Step::Mcs), {
        /// How many.
        channels: u32,
    }
    /// Security Exchange PDU of Standard RDP Security (MS-RDPBCGR 2.2.1.10).
    SecurityExchange = "security-exchange", Some(Step::SecurityExchange), {}
    /// Client Info PDU (MS-RDPBCGR 2.2.1.11).
    ClientInfo = "client-info", Some(Step::ClientInfo), {
        /// `flags`, where they could be read.
        flags: Option<u32>,
        /// `CodePage`.
        code_page: Option<u32>,
        /// `clientAddressFamily`: 2 is IPv4, 0x17 IPv6.
        family: Option<u32>,
        /// Address of the client as it sees itself.
        address: Option<String>,
        /// Folder of the client program.
        directory: Option<String>,
        /// Its time zone.
        time_zone: Option<String>,
        /// `performanceFlags`.
        performance: Option<u32>,
        /// It shows an auto-reconnect cookie.
        auto_reconnect: bool,
    }
    /// A licensing PDU (MS-RDPELE 2.2.2).
    License = "license", Some(Step::Licensing), {
        /// Who sent it.
        by: Side,
        /// `bMsgType`, where it could be read.
        kind: Option<LicenseKind>,
        /// Product that the server names.
        product: Option<String>,
        /// Name that the client's machine has.
        machine: Option<String>,
        /// What else it may be, where its size tells no difference.
        or: Option<OtherReading>,
    }
    /// A licensing error (MS-RDPBCGR 2.2.1.12.1.3).
    LicenseError = "license-error", Some(Step::Licensing), {
        /// Who sent it.
        by: Side,
        /// Its code.
        code: LicenseErrorCode,
        /// What shall follow.
        transition: Option<StateTransition>,
    }
    /// The server went on after licensing.
    Licensed = "licensed", Some(Step::Licensing), {}
    /// Demand Active PDU (MS-RDPBCGR 2.2.1.13.1).
    DemandActive = "demand-active", Some(Step::Capabilities), {
        /// Names of the capability sets, separated by commas.
        sets: Option<String>,
    }
    /// Confirm Active PDU (MS-RDPBCGR 2.2.1.13.2).
    ConfirmActive = "confirm-active", Some(Step::Capabilities), {
        /// Names of the capability sets, separated by commas.
        sets: Option<String>,
    }
    /// A PDU of the finalisation before Font Map (MS-RDPBCGR 2.2.1.14 to 2.2.1.21).
    Finalizing = "finalizing", Some(Step::Capabilities), {
        /// Who sent it.
        by: Side,
        /// `synchronize`, `font list`, or what a Control PDU does.
        pdu: String,
    }
    /// Deactivate All: the capabilities are exchanged anew (MS-RDPBCGR 2.2.3.1).
    DeactivateAll = "deactivate-all", None, {}
    /// Server redirection: where the client shall go instead (MS-RDPBCGR 2.2.13). Absent is what could not be read or is not
    /// in it.
    Redirected = "redirected", Some(Step::Redirection), {
        /// Session to connect to.
        session_id: Option<u32>,
        /// What is in it.
        flags: Option<RedirectionFlags>,
        /// Address of the target.
        address: Option<String>,
        /// Routing token for the next connection.
        load_balance: Option<String>,
        /// User to log on with.
        user: Option<String>,
        /// Domain of the user.
        domain: Option<String>,
        /// Full or NetBIOS name of the target.
        host: Option<String>,
        /// All addresses of the target, separated by commas.
        addresses: Option<String>,
        /// A password is in it.
        password: bool,
        /// The target's certificate is in it.
        certificate: bool,
    }
    /// The server tells what it is waiting for (MS-RDPBCGR 2.2.5.2).
    ServerStatus = "server-status", None, {
        /// What.
        code: StatusCode,
    }
    /// The server refused the auto-reconnect cookie (MS-RDPBCGR 2.2.4.1).
    AutoReconnectRefused = "auto-reconnect-refused", None, {
        /// `arcStatus`.
        status: u32,
    }
    /// The server tells its monitors (MS-RDPBCGR 2.2.12.1).
    MonitorLayout = "monitor-layout", None, {
        /// How many.
        monitors: u32,
    }
    /// What one side measured of the network (MS-RDPBCGR 2.2.14).
    NetworkMeasured = "network-measured", None, {
        /// Who says it.
        by: Side,
        /// Lowest round-trip time, in milliseconds.
        base_rtt_ms: Option<u32>,
        /// Average round-trip time, in milliseconds.
        average_rtt_ms: Option<u32>,
        /// Bandwidth, in kilobits per second.
        bandwidth_kbit: Option<u32>,
    }
    /// The server sends heartbeats (MS-RDPBCGR 2.2.16.1).
    Heartbeat = "heartbeat", None, {
        /// Seconds between two of them.
        period_s: u32,
        /// Missed ones before the client warns.
        warn_after: u32,
        /// Missed ones, behind the warning, before it reconnects.
        reconnect_after: u32,
    }
    /// A data PDU whose content is compressed, and so not read.
    CompressedPdu = "compressed", None, {
        /// Who sent it.
        by: Side,
        /// Its type.
        pdu: DataType,
    }
    /// Font Map PDU: the connection sequence is complete (MS-RDPBCGR 2.2.1.22).
    Finalized = "finalized", Some(Step::Capabilities), {}
    /// Desktop traffic flows.
    Running = "running", Some(Step::Active), {
        /// Bytes from the server after the sequence was complete.
        server_bytes: u64,
        /// Milliseconds from then to the last packet.
        over_ms: u64,
    }
    /// Save Session Info: the server tells of the logon (MS-RDPBCGR 2.2.10.1).
    SessionInfo = "session-info", Some(Step::Logon), {
        /// `infoType`: 0 to 2 a user is logged on, 3 more about it, or an error of the logon.
        kind: u32,
        /// The session.
        session_id: Option<u32>,
        /// User that is logged on.
        user: Option<String>,
        /// Domain of the user.
        domain: Option<String>,
        /// `ErrorNotificationType`.
        error: Option<LogonErrorType>,
        /// `ErrorNotificationData`: what failed, or the session that it is about.
        data: Option<LogonErrorData>,
        /// The client gets an auto-reconnect cookie.
        auto_reconnect: bool,
    }
    /// Set Error Info: why the server ends the connection (MS-RDPBCGR 2.2.5.1).
    ErrorInfo = "error-info", None, {
        /// Its code.
        code: ErrorInfo,
    }
    /// A PDU of the size of Set Error Info right before the end (MS-RDPBCGR 2.2.5.1).
    ErrorInfoShaped = "error-info-shaped", None, {
        /// What else it may be, where its size tells no difference.
        or: Option<OtherReading>,
    }
    /// MCS Disconnect Provider Ultimatum (T.125).
    Ultimatum = "ultimatum", None, {
        /// Who sent it.
        by: Side,
        /// Its reason, when it could be read.
        reason: Option<UltimatumReason>,
        /// What else it may be, where its size tells no difference.
        or: Option<OtherReading>,
    }
    /// Initiate Multitransport Request: the server asks for a UDP transport (MS-RDPBCGR 2.2.15.1).
    MultitransportAsked = "multitransport-request", Some(Step::Multitransport), {
        /// Its id.
        request: u32,
        /// Reliable or lossy.
        protocol: RequestedProtocol,
        /// SHA-256 of its security cookie, as hexadecimal digits: the SYN of version 3 has the same.
        cookie_hash: String,
    }
    /// Initiate Multitransport Response: the client says whether it could (MS-RDPBCGR 2.2.15.2).
    MultitransportAnswered = "multitransport-response", Some(Step::Multitransport), {
        /// Id of the request.
        request: u32,
        /// 0 when the transport is there; `E_ABORT` when the client stays with TCP.
        result: Status,
    }
    /// SYN of a UDP transport (MS-RDPEUDP 3.1.5.1.1).
    UdpSyn = "udp-syn", Some(Step::Multitransport), {
        /// How often it was sent.
        tries: u32,
        /// Milliseconds from the first to the last.
        over_ms: u64,
        /// An answer is in the capture.
        answered: bool,
        /// Highest version offered; absent where none is named, which means the first.
        version: Option<UdpVersion>,
        /// Lost packets are not sent again: DTLS follows; else TLS.
        lossy: bool,
        /// SHA-256 of the security cookie of the server's request, as hexadecimal digits.
        cookie_hash: Option<String>,
        /// Correlation id, as hexadecimal digits: the X.224 connection request has the same.
        correlation: Option<String>,
    }
    /// SYN with ACK: the server takes the UDP transport (MS-RDPEUDP 3.1.5.1.3).
    UdpAnswered = "udp-syn-ack", Some(Step::Multitransport), {
        /// Milliseconds after the first SYN.
        after_ms: u64,
        /// Version agreed on.
        version: UdpVersion,
    }
    /// A router, firewall or host says that a datagram of the UDP transport cannot be delivered (RFC 792, RFC 4443).
    UdpUnreachable = "udp-unreachable", Some(Step::Multitransport), {
        /// Who says so.
        from: IpAddr,
        /// ICMP type.
        kind: u8,
        /// ICMP code.
        code: u8,
        /// How often it was said.
        times: u32,
    }
    /// ClientHello inside of the UDP transport.
    UdpClientHello = "udp-client-hello", Some(Step::Multitransport), {
        /// Highest version offered; that of DTLS as on the wire.
        version: TlsVersion,
    }
    /// ServerHello inside of the UDP transport.
    UdpServerHello = "udp-server-hello", Some(Step::Multitransport), {
        /// Version chosen; that of DTLS as on the wire.
        version: TlsVersion,
        /// Cipher suite chosen.
        suite: Suite,
    }
    /// A TLS or DTLS alert inside of the UDP transport.
    UdpAlert = "udp-alert", Some(Step::Multitransport), {
        /// Who sent it.
        by: Side,
        /// It is fatal, as far as it could be read.
        fatal: bool,
        /// What it says, when it could be read.
        code: Option<AlertDescription>,
    }
    /// TLS records of the UDP transport were opened with the secrets of a key log.
    UdpOpened = "udp-opened", Some(Step::Multitransport), {
        /// Records of the client that were opened.
        client_records: u32,
        /// Records of the server that were opened.
        server_records: u32,
        /// Records of both that stayed closed.
        closed_records: u32,
    }
    /// The TLS or DTLS handshake of the UDP transport is complete.
    UdpSecured = "udp-secured", Some(Step::Multitransport), {}
    /// Tunnel Create Request: the client shows the cookie (MS-RDPEMT 2.2.2.1).
    TunnelAsked = "tunnel-request", Some(Step::Multitransport), {
        /// Id of the server's request, when it was opened.
        request: Option<u32>,
        /// SHA-256 of the cookie, when it was opened.
        cookie_hash: Option<String>,
    }
    /// Tunnel Create Response (MS-RDPEMT 2.2.2.2).
    TunnelAnswered = "tunnel-response", Some(Step::Multitransport), {
        /// 0 when the tunnel is there; absent when only its size could be seen.
        result: Option<Status>,
    }
    /// What the UDP transport carried behind its handshake.
    UdpCarried = "udp-data", Some(Step::Multitransport), {
        /// UDP payload bytes of the client's datagrams with data.
        client_bytes: u64,
        /// The same of the server's.
        server_bytes: u64,
        /// Milliseconds from the server's answer to the last datagram.
        over_ms: u64,
    }
    /// Datagrams of one side of the UDP transport to which nothing came back any more.
    UdpUnheard = "udp-unanswered", Some(Step::Multitransport), {
        /// Who sent them.
        by: Side,
        /// How many.
        datagrams: u32,
        /// Milliseconds from the first to the last.
        over_ms: u64,
    }
    /// One side ended the UDP transport (MS-RDPEUDP 2.2.2.1, FIN).
    UdpClosed = "udp-fin", Some(Step::Multitransport), {
        /// Which side.
        by: Side,
    }

    // What the ends of the connection exchange with others beside it.

    /// A domain controller gave a ticket (AS-REP, TGS-REP on port 88).
    KerberosGranted = "kerberos-granted", Some(Step::Credssp), {
        /// The service that it is for.
        service: Option<String>,
        /// Which end of the connection asked.
        asker: Side,
    }
    /// A message tells the clock of the host that wrote it: an NTLMv2 response that of the client, where the server's challenge
    /// had none to copy (MS-NLMP 3.1.5.1.2), a KRB-ERROR that of a domain controller or server and of who asked (RFC 4120 5.9.1).
    HostClock = "host-clock", None, {
        /// Address of the host.
        of: IpAddr,
        /// The name by which its address was looked up, or that it gives itself.
        name: Option<String>,
        /// `ntlm` or `kerberos`.
        by: String,
        /// Milliseconds that its clock is ahead of the capture's, counted from the message.
        ahead_ms: i64,
        /// Milliseconds before the message within which the clock was read: since the message that this one answers.
        within_ms: u64,
        /// Who asked a domain controller, which its log names by address and port.
        asker: Option<IpAddr>,
        /// Port of who asked.
        asker_port: Option<u32>,
    }
    /// The capture lists a name of an address (name resolution block of pcapng, 4.5): what the program that wrote it knew.
    NameListed = "name-listed", None, {
        /// The address.
        of: IpAddr,
        /// The name, in lower case.
        name: String,
    }
    /// A name was looked up that leads to the server of this connection.
    NameResolved = "name-resolved", Some(Step::Dns), {
        /// The name, in lower case.
        name: String,
        /// Its addresses, separated by commas.
        addresses: String,
    }
    /// A domain controller was sought in the DNS, and none was found.
    LookupFailed = "lookup-failed", Some(Step::Credssp), {
        /// Which end of the connection asked.
        asker: Side,
        /// The name asked for.
        name: String,
        /// Type of the records asked for.
        records: Option<String>,
        /// Response code (RFC 1035 4.1.1): 3 is NXDOMAIN, 0 no such records; absent without an answer.
        code: Option<u32>,
        /// Address of the name server.
        server: IpAddr,
        /// How often it was asked.
        tries: u32,
        /// Milliseconds from the first to the last.
        over_ms: u64,
    }
    /// A service that an end of the connection asked did not answer, or refused the TCP connection. By itself it is no cause.
    ServiceUnreached = "service-unreached", None, {
        /// Which end of the connection asked.
        asker: Side,
        /// Name of its port (IANA): `kerberos`, `domain`, `ldap`, `microsoft-ds` and others.
        service: String,
        /// Address of the host that was asked.
        server: IpAddr,
        /// Over UDP; else over TCP.
        udp: bool,
        /// It answered the SYN with a reset.
        refused: bool,
        /// SYNs or datagrams.
        tries: u32,
        /// Milliseconds from the first to the last.
        over_ms: u64,
    }
    /// Nobody answers ARP for the server's address (RFC 826), on its own link.
    ArpUnanswered = "arp-unanswered", Some(Step::Tcp), {
        /// The address.
        address: IpAddr,
        /// Who asks.
        asker: IpAddr,
        /// How often.
        tries: u32,
        /// Milliseconds from the first to the last.
        over_ms: u64,
    }
    /// Two link addresses answer ARP for one address, both to one request or in turns (RFC 5227 2.4).
    DuplicateAddress = "duplicate-address", None, {
        /// The address.
        address: IpAddr,
        /// The link addresses, separated by a comma.
        macs: String,
    }

    // What event logs say, in the words of Windows.

    /// The server's transport took a connection (RdpCoreTS 131, RCM 1158); its address and port stand in the keys.
    ConnectionAccepted = "accepted", Some(Step::Tcp), {
        /// It is a UDP transport beside the TCP connection.
        udp: bool,
    }
    /// A listener received a connection (RCM 261).
    ListenerAccepted = "listener-accepted", Some(Step::Tcp), {
        /// Name of the listener.
        listener: Option<String>,
    }
    /// The connection has a name from now on (RdpCoreTS 65), by which 4778 and 4779 know it.
    ConnectionNamed = "connection-named", Some(Step::Tcp), {
        /// Such as `RDP-Tcp#5`.
        name: String,
    }
    /// The connection belongs to the session of the keys from now on (RdpCoreTS 66).
    SessionBound = "session-bound", Some(Step::Logon), {
        /// Such as `RDP-Tcp#5`.
        name: Option<String>,
    }
    /// The server called a method of its protocol stack (RdpCoreTS 72): its finest ladder.
    MethodCalled = "method", None, {
        /// Name of the method.
        method: String,
        /// What stands in brackets after the name.
        value: Option<String>,
        /// The same as a number.
        code: Option<ErrorInfo>,
    }
    /// The server hands a Set Error Info code to its protocol stack (RdpCoreTS 72 `SetErrorInfo`): the client is told it.
    ErrorInfoSet = "error-info-set", None, {
        /// The code.
        code: ErrorInfo,
    }
    /// TLS or CredSSP failed on the server and the client was dropped (RdpCoreTS 139, TermDD 56).
    SecurityError = "security-error", None, {
        /// Why.
        status: Option<Status>,
    }
    /// The server did not accept user name or password (RdpCoreTS 140 by the server, RDPClient 1009 by the client).
    CredentialsRefused = "credentials-refused", Some(Step::Credssp), {
        /// Why.
        status: Option<Status>,
    }
    /// A component of the protocol found an error and dropped the client (RdpCoreTS 97, TermDD 50).
    ProtocolError = "protocol-error", None, {
        /// Name of the component.
        component: Option<String>,
        /// Why.
        status: Option<Status>,
    }
    /// The server could not make the TCP connection its own (RdpCoreTS 99).
    TransportFailed = "transport-failed", Some(Step::Tcp), {
        /// Why.
        status: Option<Status>,
    }
    /// Reading from or writing to the server's socket failed (RdpCoreTS 142, 143): most endings have it.
    SocketError = "socket-error", None, {
        /// The Win32 error.
        code: Status,
        /// It was a write.
        writing: bool,
    }
    /// The connection ended on the server (RdpCoreTS 103).
    Disconnected = "disconnected", None, {
        /// Why: 14 says only that it was lost.
        reason: ErrorInfo,
    }
    /// A component says why it disconnects (RdpCoreTS 228, RDPClient 1107).
    DisconnectTraced = "disconnect-traced", None, {
        /// Name of the component.
        component: Option<String>,
        /// Its words.
        message: Option<String>,
        /// Its code.
        code: Option<Status>,
    }
    /// A state machine ran into an error (RdpCoreTS 226, RDPClient 226, LSM 36, 37): the echo of a lost socket, too.
    StateError = "state-error", None, {
        /// Name of the machine, such as `RDP_TCP`.
        machine: Option<String>,
        /// State before.
        from: Option<String>,
        /// State after.
        to: Option<String>,
        /// What happened.
        event: Option<String>,
        /// Its code.
        status: Option<Status>,
    }
    /// A virtual channel was connected (RdpCoreTS 132).
    ChannelOpened = "channel-opened", None, {
        /// Name of the channel.
        name: String,
        /// The tunnel it runs in; 0 is the main connection.
        tunnel: Option<u32>,
    }
    /// The first picture was sent (RdpCoreTS 68).
    FirstPicture = "first-picture", Some(Step::Active), {
        /// Milliseconds until then.
        after_ms: Option<u32>,
    }
    /// Something about the UDP transport, without which RDP works (RdpCoreTS 100, 130 and others, RDPClient 1102 to 1105).
    MultitransportLogged = "multitransport", Some(Step::Multitransport), {
        /// Event id.
        event: u32,
        /// What it says.
        says: String,
        /// Result, tunnel or measurement.
        detail: Option<String>,
    }
    /// A TLS handshake was completed (RdpCoreTS 153).
    TlsEstablished = "tls-established", Some(Step::Tls), {
        /// Version, as logged.
        version: Option<String>,
        /// Cipher suite, as logged.
        suite: Option<String>,
        /// The other end, as this one calls it.
        target: Option<String>,
    }
    /// The connection manager has a user for the connection (RCM 1149): with NLA the credentials were accepted, without
    /// it nothing was asked yet.
    UserAuthenticated = "user-authenticated", Some(Step::Credssp), {}
    /// The user of the session did not let another one in (RCM 1151).
    ArbitrationDeclined = "arbitration-declined", Some(Step::Logon), {}
    /// A time limit of sessions was reached (RCM 20515 to 20519).
    LimitReached = "limit-reached", Some(Step::Active), {
        /// `idle`, `active` or `disconnected`: what the session was for too long.
        limit: String,
        /// The session was logged off; else disconnected.
        logged_off: bool,
    }
    /// Licensing does not work or will stop to (RCM and TermService, RDPClient 1017).
    LicenseProblem = "license-problem", Some(Step::Licensing), {
        /// Event id.
        event: u32,
        /// What it says.
        says: String,
        /// License server, client or time that it names.
        detail: Option<String>,
    }
    /// The server took a certificate into use (TermService 1056, 1063).
    ServerCertificate = "server-certificate", Some(Step::Tls), {
        /// SHA-1 of the certificate, which also stands on the wire up to TLS 1.2.
        thumbprint: Option<String>,
        /// Whom it names.
        name: Option<String>,
        /// The server made and signed it itself.
        self_signed: bool,
    }
    /// A certificate of the server cannot be used (TermService 1051 to 1065).
    CertificateProblem = "certificate-problem", Some(Step::Tls), {
        /// Event id.
        event: u32,
        /// What it says.
        says: String,
        /// SHA-1 of the certificate.
        thumbprint: Option<String>,
        /// Why.
        status: Option<Status>,
    }
    /// A user was logged on to a new session (LSM 21).
    SessionLogon = "session-logon", Some(Step::Logon), {
        /// At the computer itself: no Remote Desktop.
        local: bool,
    }
    /// The shell was started in the session (LSM 22).
    ShellStarted = "shell-started", Some(Step::Logon), {
        /// At the computer itself: no Remote Desktop.
        local: bool,
    }
    /// The session was logged off (LSM 23).
    SessionLogoff = "session-logoff", None, {}
    /// The session was disconnected (LSM 24, Security 4779).
    SessionDisconnected = "session-disconnected", None, {
        /// Name of the connection, such as `RDP-Tcp#5`.
        name: Option<String>,
        /// It was at the computer itself: no Remote Desktop.
        local: bool,
    }
    /// A user was connected to a session that existed (LSM 25, Security 4778).
    SessionReconnected = "session-reconnected", Some(Step::Logon), {
        /// Name of the connection, such as `RDP-Tcp#5`.
        name: Option<String>,
        /// At the computer itself: no Remote Desktop.
        local: bool,
    }
    /// The session of the keys was taken from its connection (LSM 39, 40).
    SessionEnded = "session-ended", None, {
        /// The session that did it; its own when the user did.
        by_session: Option<u32>,
        /// Why; 0 next to a reconnection is a temporary session that was dropped.
        reason: Option<ErrorInfo>,
    }
    /// The search for the right session begins (LSM 41): the credentials are good.
    ArbitrationBegan = "arbitration-began", Some(Step::Logon), {}
    /// The search for the right session is over (LSM 42).
    ArbitrationEnded = "arbitration-ended", Some(Step::Logon), {}
    /// The client starts to connect (RDPClient 1024).
    ClientConnecting = "client-connecting", Some(Step::Tcp), {
        /// The server as the user typed it.
        name: String,
    }
    /// The client says that it is connected (RDPClient 1025).
    ClientConnected = "client-connected", Some(Step::Capabilities), {}
    /// The client says that it is disconnected (RDPClient 1026). The extended reason stands in no log.
    ClientDisconnected = "client-disconnected", None, {
        /// Why.
        reason: DisconnectReason,
    }
    /// The client was told of its session (RDPClient 1027).
    ClientLoggedOn = "client-logged-on", Some(Step::Logon), {
        /// Domain that the user is logged on to.
        domain: Option<String>,
        /// The session on the server.
        session: Option<u32>,
    }
    /// A name could not be resolved (RDPClient 1007, DNS-Client 1014).
    NameNotResolved = "name-not-resolved", Some(Step::Dns), {
        /// The name.
        name: Option<String>,
        /// Why.
        code: Option<Status>,
    }
    /// A hash of the user name that the client has (RDPClient 1029): Base64 of the SHA-256, on Windows 7 of the SHA-1, of
    /// the name in UTF-16.
    UserNameHash = "user-name-hash", None, {
        /// The hash.
        hash: String,
    }
    /// A broker, or a host's side of it (SessionBroker-Client, SessionBroker, VmHostAgent).
    BrokerEvent = "broker", Some(Step::Redirection), {
        /// Event id.
        event: u32,
        /// What it says.
        says: String,
        /// Host, endpoint or address that it names.
        target: Option<String>,
        /// Its code.
        status: Option<Status>,
        /// It says that something failed.
        failed: bool,
    }
    /// An RD Gateway about one connection (TerminalServices-Gateway).
    GatewayEvent = "gateway", None, {
        /// Event id.
        event: u32,
        /// What it says.
        says: String,
        /// The host behind the gateway.
        resource: Option<String>,
        /// How the client reached the gateway.
        transport: Option<String>,
        /// Its code: 1226 is an end in order.
        code: Option<Status>,
        /// It says that something failed.
        failed: bool,
        /// Bytes that the client received.
        bytes_received: Option<u64>,
        /// Bytes that the client sent.
        bytes_sent: Option<u64>,
        /// Length of the connection.
        seconds: Option<u64>,
    }
    /// A fatal TLS alert (Schannel 36887 received, 36888 sent).
    TlsAlertLogged = "alert-logged", Some(Step::Tls), {
        /// What it says.
        code: AlertDescription,
        /// This host sent it; else the other side did.
        sent: bool,
        /// Internal state of Schannel.
        state: Option<u32>,
        /// The other end, as this one calls it.
        target: Option<String>,
        /// The program that uses TLS; newer builds only.
        process: Option<String>,
    }
    /// The private key of a certificate cannot be used (Schannel 36869, 36870).
    KeyInaccessible = "key-inaccessible", Some(Step::Tls), {
        /// The certificate of a server.
        server: bool,
        /// Why.
        status: Option<Status>,
        /// Internal state of Schannel.
        state: Option<u32>,
        /// The program that uses TLS; newer builds only.
        process: Option<String>,
    }
    /// No TLS credential could be made of the settings (Schannel 36871).
    TlsCredentialFailed = "tls-credential-failed", Some(Step::Tls), {
        /// It is a server's.
        server: bool,
        /// Internal state of Schannel.
        state: Option<u32>,
        /// The program that uses TLS; newer builds only.
        process: Option<String>,
    }
    /// The client offers no cipher suite that the server has (Schannel 36874).
    NoSharedSuite = "no-shared-suite", Some(Step::Tls), {
        /// Version that the client asked for, as logged.
        version: Option<String>,
        /// The program that uses TLS; newer builds only.
        process: Option<String>,
    }
    /// The certificate of the other side was not accepted (Schannel 36876, 36881 to 36884).
    PeerCertificateRefused = "peer-certificate-refused", Some(Step::Tls), {
        /// Event id.
        event: u32,
        /// What is wrong with it.
        says: String,
        /// Why.
        status: Option<Status>,
        /// The program that uses TLS; newer builds only.
        process: Option<String>,
    }
    /// Authentication to a server failed (LsaSrv 40960, 40961).
    AuthenticationFailed = "authentication-failed", Some(Step::Credssp), {
        /// Name of the server's service.
        target: Option<String>,
        /// Security package.
        protocol: Option<String>,
        /// Why.
        status: Option<Status>,
    }
    /// The client's policy does not allow the CredSSP version of the server (LsaSrv 6041).
    CredsspVersionRefused = "credssp-version-refused", Some(Step::Credssp), {
        /// Name of the server's service.
        target: Option<String>,
        /// Version that it offered.
        version: Option<u32>,
    }
    /// Policy blocked NTLM (NTLM 4001 to 4003, Netlogon 4004 to 4006).
    NtlmBlocked = "ntlm-blocked", Some(Step::Credssp), {
        /// Where: `outgoing` on the client, `incoming` on the server, `domain` on either or a domain controller.
        place: String,
        /// Name of the server's service.
        target: Option<String>,
        /// The program that wanted it.
        process: Option<String>,
    }
    /// Kerberos failed (KRB-ERROR on port 88; Security 4768, 4769, 4771 on a domain controller, Kerberos on client and server).
    KerberosFailed = "kerberos-failed", Some(Step::Credssp), {
        /// Why.
        code: KerberosError,
        /// The service that a ticket was for.
        service: Option<String>,
        /// The realm of the service, on the wire.
        realm: Option<String>,
        /// Who asked, as the error names the user.
        user: Option<String>,
        /// Which end of the RDP connection asked a domain controller, on the wire; absent inside of CredSSP.
        asker: Option<Side>,
        /// The NTSTATUS that a Windows domain controller adds (MS-KILE 2.2.2).
        status: Option<Status>,
        /// Seconds by which the domain controller's clock is ahead of the capture's; negative when it is behind.
        kdc_ahead_s: Option<i64>,
    }
    /// An authentication policy or the Protected Users group does not let the user in (Security 4820 to 4824, NTLM 100, 101).
    PolicyRefused = "policy-refused", Some(Step::Credssp), {
        /// Why.
        status: Option<Status>,
        /// Name of the policy.
        policy: Option<String>,
    }
    /// A logon (Security 4624).
    LogonSucceeded = "logon", None, {
        /// 3 is from the network, 7 unlocks or reconnects, 10 is Remote Desktop.
        logon_type: u32,
        /// Security package.
        package: Option<String>,
        /// The other logon of the same user, when there are an elevated and a plain one.
        linked_logon: Option<u64>,
        /// Identity of the Kerberos ticket.
        logon_guid: Option<String>,
        /// By Restricted Admin.
        restricted_admin: bool,
        /// By Remote Credential Guard.
        credential_guard: bool,
    }
    /// A logon that failed (Security 4625).
    LogonFailed = "logon-failed", None, {
        /// 3 is from the network, 10 is Remote Desktop.
        logon_type: u32,
        /// Why.
        status: Status,
        /// Why in particular.
        sub_status: Option<Status>,
        /// The number after `%%` of the reason in words.
        failure_reason: Option<u32>,
        /// Security package.
        package: Option<String>,
        /// The program that asked.
        process: Option<String>,
    }
    /// NTLM credentials were checked (Security 4776).
    CredentialsValidated = "credentials-validated", Some(Step::Credssp), {
        /// 0 when they are good.
        status: Status,
    }
    /// A program used other credentials than its own (Security 4648).
    ExplicitCredentials = "explicit-credentials", None, {
        /// The server they are for; on a client `TERMSRV/host`.
        target: Option<String>,
        /// The program.
        process: Option<String>,
    }
    /// A logon ended (Security 4634, 4647).
    LoggedOff = "logged-off", None, {
        /// The user did it.
        by_user: bool,
        /// Logon type.
        logon_type: Option<u32>,
    }
    /// The user has no right to use Remote Desktop here, though the credentials are good (Security 4825).
    AccessDenied = "access-denied", Some(Step::Authorization), {}
    /// The account was locked out (Security 4740).
    AccountLockedOut = "account-locked-out", Some(Step::Credssp), {}
    /// The firewall of the host decided about a packet or connection of port 3389 (Security 5152, 5156, 5157).
    FirewallDecision = "firewall", Some(Step::Tcp), {
        /// It may pass.
        allowed: bool,
        /// It comes from outside.
        inbound: bool,
        /// Port of this host.
        local_port: Option<u32>,
        /// Number of the filter.
        filter: Option<u64>,
        /// The program.
        process: Option<String>,
    }
    /// The clock of the host was set (Security 4616, Kernel-General 1).
    ClockChanged = "clock-changed", None, {
        /// What it showed.
        from: UnixNanos,
        /// What it shows.
        to: UnixNanos,
    }
    /// When the host was started and its zone, as its event log says once a day and at its start (EventLog 6013).
    HostZone = "host-zone", None, {
        /// When the host was started, by the seconds that it is up.
        booted: UnixNanos,
        /// Name of the zone, in the language of the host.
        zone: Option<String>,
        /// Minutes west of UTC of the zone's standard time, also while daylight saving time is kept; below 0 east of it.
        standard_bias: Option<String>,
    }
    /// The host stops, or has stopped without order (User32 1074, EventLog 6006 and 6008, Kernel-Power 41).
    HostStopped = "host-stopped", None, {
        /// Event id.
        event: u32,
        /// What it says.
        says: String,
        /// Reason or program that it names.
        detail: Option<String>,
        /// When the host was last seen alive before it stopped without order (EventLog 6008), to a minute.
        alive: Option<UnixNanos>,
    }
    /// A service or component of the host failed, for every connection.
    ServiceProblem = "service-problem", None, {
        /// Short name of the provider.
        log: String,
        /// Event id.
        event: u32,
        /// What it says.
        says: String,
        /// Its code.
        status: Option<Status>,
        /// What it names.
        detail: Option<String>,
    }
    /// A failure that has no name of its own here.
    ProblemLogged = "problem", None, {
        /// Short name of the provider.
        log: String,
        /// Event id.
        event: u32,
        /// What it says.
        says: String,
        /// Its code.
        status: Option<Status>,
        /// What it names.
        detail: Option<String>,
    }
    /// Something that puts other facts into context.
    LogSays = "log-says", None, {
        /// Short name of the provider.
        log: String,
        /// Event id.
        event: u32,
        /// What it says.
        says: String,
        /// Its code.
        status: Option<Status>,
        /// What it names.
        detail: Option<String>,
    }
}

/// Facts of messages whose size or kind alone is known.
impl What {
    /// MCS Connect Initial.
    #[must_use]
    pub const fn hidden_connect_initial() -> Self {
        Self::McsConnectInitial {
            channels: None,
            build: None,
            client_name: None,
            version: None,
            early_flags: None,
            selected: None,
            connection_type: None,
            redirection: None,
            redirected_session: None,
            monitors: None,
            multitransport: None,
        }
    }

    /// MCS Connect Response.
    #[must_use]
    pub const fn hidden_connect_response() -> Self {
        Self::McsConnectResponse {
            method: None,
            level: None,
            version: None,
            requested: None,
            early_flags: None,
            certificate: None,
            multitransport: None,
        }
    }

    /// What else an encrypted message may be.
    #[must_use]
    pub const fn or(&self) -> Option<OtherReading> {
        match self {
            Self::CredsspRefused { or, .. }
            | Self::EarlyAuthorization { or, .. }
            | Self::License { or, .. }
            | Self::ErrorInfoShaped { or }
            | Self::Ultimatum { or, .. } => *or,
            _ => None,
        }
    }

    /// Client Info.
    #[must_use]
    pub const fn hidden_client_info() -> Self {
        Self::ClientInfo {
            flags: None,
            code_page: None,
            family: None,
            address: None,
            directory: None,
            time_zone: None,
            performance: None,
            auto_reconnect: false,
        }
    }

    /// A redirection.
    #[must_use]
    pub const fn hidden_redirection() -> Self {
        Self::Redirected {
            session_id: None,
            flags: None,
            address: None,
            load_balance: None,
            user: None,
            domain: None,
            host: None,
            addresses: None,
            password: false,
            certificate: false,
        }
    }
}

impl What {
    /// The fields that are there, in the order of declaration, as text.
    #[must_use]
    pub fn fields(&self) -> Vec<(&'static str, String)> {
        let mut fields = Vec::new();
        let _ = self.each_field(&mut String::new(), |name, text| {
            fields.push((name, text.to_owned()));
            Ok::<(), std::convert::Infallible>(())
        });
        fields
    }

    /// A reset that neither end sent, as its time to live or its sequence number says.
    #[must_use]
    pub fn is_foreign_reset(&self) -> bool {
        match self {
            Self::Reset { ttl, usual_ttl, out_of_window, .. } => {
                *out_of_window || usual_ttl.is_some_and(|usual| usual != *ttl)
            }
            _ => false,
        }
    }

    /// The end of a connection by a FIN or a reset, and whose it is.
    #[must_use]
    pub fn end(&self) -> Option<Side> {
        match self {
            Self::Closed { by } | Self::Reset { by, .. } => Some(*by),
            _ => None,
        }
    }

    /// The one-line text form: the name, then `field=value` in order of declaration, absent fields left out.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = self.name().to_owned();
        for (name, value) in self.fields() {
            text::write_field(&mut out, name, &value);
        }
        out
    }

    /// The fact of that name with these fields: what `name` and `fields` gave.
    ///
    /// # Errors
    /// As `parse`.
    pub fn of_fields<'a>(
        name: &'a str,
        fields: impl Iterator<Item = (&'a str, String)>,
    ) -> Result<Self, FactTextError> {
        let mut fields = text::Fields::given(name, fields.collect());
        let what = Self::read(name, &mut fields)?;
        fields.finish()?;
        Ok(what)
    }

    /// The code with which an RD Gateway refused or ended something, and the step that it is about: on the wire, or in its
    /// log.
    #[must_use]
    pub fn gateway_refusal(&self) -> Option<(Option<Status>, Step)> {
        let failed = |code: &Status| code.is_failure().then_some(Some(*code));
        match self {
            Self::GatewayHandshake { by: Side::Server, code: Some(code), .. } => {
                Some((failed(code)?, Step::GatewayTunnel))
            }
            Self::GatewayTunnelAnswered { code, .. } | Self::GatewayAuthorized { code, .. } => {
                Some((failed(code)?, Step::GatewayTunnel))
            }
            Self::GatewayChannelAnswered { code } => Some((failed(code)?, Step::GatewayChannel)),
            Self::GatewayRefusalSized { channel: false, .. } => Some((None, Step::GatewayTunnel)),
            Self::GatewayRefusalSized { channel: true, .. } => Some((None, Step::GatewayChannel)),
            Self::GatewayEvent { event: 201 | 203 | 204 | 305, code, .. } => {
                Some((*code, Step::GatewayTunnel))
            }
            Self::GatewayEvent { event: 301 | 304, code, .. } => Some((*code, Step::GatewayChannel)),
            _ => None,
        }
    }

    /// The gateway itself ended what it had let in: a time limit, authentication that was due again.
    #[must_use]
    pub fn is_gateway_end(&self) -> bool {
        match self {
            Self::GatewayEvent { event: 202 | 307 | 309, .. } => true,
            Self::GatewayClosed { by: Side::Server, code } => {
                matches!(code.gateway(), Some(23030 | 23034..=23036 | 23040))
            }
            _ => false,
        }
    }

    /// Reads the one-line text form back.
    ///
    /// # Errors
    /// Names the unknown fact, the missing or unknown field, or the value that is not of the field's type.
    pub fn parse(line: &str) -> Result<Self, FactTextError> {
        let mut fields = text::Fields::of(line)?;
        let name = fields.name().to_owned();
        let what = Self::read(&name, &mut fields)?;
        fields.finish()?;
        Ok(what)
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}
