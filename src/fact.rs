//! The vocabulary that all witnesses share: a packet and a log record both become the same `Fact`, with a one-line
//! text form that is written and read back.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::codes::{ErrorInfo, Status};
use crate::note::Place;
use crate::step::Step;
use crate::time::UnixNanos;
use crate::wire::licensing::LicenseErrorCode;
use crate::wire::mcs::UltimatumReason;
use crate::wire::negotiation::{FailureCode, Protocols};
use crate::wire::tls::{AlertDescription, Suite, TlsVersion};

mod text;

pub use text::{FactTextError, Field};

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

/// What makes the RDP connection stand out from other traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Recognised {
    /// Its first bytes are those of an X.224 connection request or confirm.
    FirstBytes,
    /// Another RDP connection goes to the same endpoint.
    NamedEndpoint,
    /// Only its destination port, 3389, says so.
    Port,
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
    /// How it was recognised.
    pub recognised: Recognised,
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
    /// Whatever the keys of a log record lead to.
    Record(Arc<Keys>),
}

impl Subject {
    /// The connection, when a capture point saw it.
    #[must_use]
    pub fn connection(&self) -> Option<&Arc<Connection>> {
        match self {
            Self::Connection(connection) => Some(connection),
            Self::Record(_) => None,
        }
    }

    /// The keys, when a log record says it.
    #[must_use]
    pub fn keys(&self) -> Option<&Arc<Keys>> {
        match self {
            Self::Connection(_) => None,
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

            fn write_fields(&self, out: &mut String) {
                match self {
                    $( Self::$variant { $( $field ),* } => {
                        $( text::write_field(out, stringify!($field), $field); )*
                        let _ = out;
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
    }
    /// TLS ServerHello.
    ServerHello = "server-hello", Some(Step::Tls), {
        /// Version chosen.
        version: TlsVersion,
        /// Cipher suite chosen.
        suite: Suite,
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
    }
    /// Who the client says it is, in its NTLM message or in Client Info.
    UserNamed = "user-named", None, {
        /// User.
        user: Option<String>,
        /// Domain.
        domain: Option<String>,
        /// Name of the client computer.
        workstation: Option<String>,
    }
    /// What the server calls itself in its NTLM challenge.
    TargetNamed = "target-named", None, {
        /// Its computer name.
        computer: Option<String>,
        /// Its domain.
        domain: Option<String>,
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
    }
    /// CredSSP is complete: the client went on to MCS.
    CredsspDone = "credssp-done", Some(Step::Credssp), {}
    /// Early User Authorization Result (MS-RDPBCGR 2.2.10.2).
    EarlyAuthorization = "early-authorization", Some(Step::Authorization), {
        /// The result, 0 when the user may connect; absent when it was told by its 4 bytes.
        result: Option<u32>,
    }
    /// MCS Connect Initial (T.125, MS-RDPBCGR 2.2.1.3).
    McsConnectInitial = "mcs-connect-initial", Some(Step::Mcs), {
        /// Names of the static virtual channels asked for, separated by commas.
        channels: Option<String>,
        /// Client build number.
        build: Option<u32>,
        /// Client computer name.
        client_name: Option<String>,
    }
    /// MCS Connect Response (MS-RDPBCGR 2.2.1.4).
    McsConnectResponse = "mcs-connect-response", Some(Step::Mcs), {
        /// Encryption method of Standard RDP Security; 0 under TLS.
        method: Option<u32>,
        /// Encryption level of Standard RDP Security; 0 under TLS.
        level: Option<u32>,
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
    ClientInfo = "client-info", Some(Step::ClientInfo), {}
    /// A licensing PDU (MS-RDPELE 2.2.2).
    License = "license", Some(Step::Licensing), {
        /// Who sent it.
        by: Side,
    }
    /// A licensing error (MS-RDPBCGR 2.2.1.12.1.3).
    LicenseError = "license-error", Some(Step::Licensing), {
        /// Who sent it.
        by: Side,
        /// Its code.
        code: LicenseErrorCode,
    }
    /// The server went on after licensing.
    Licensed = "licensed", Some(Step::Licensing), {}
    /// Demand Active PDU (MS-RDPBCGR 2.2.1.13.1).
    DemandActive = "demand-active", Some(Step::Capabilities), {}
    /// Confirm Active PDU (MS-RDPBCGR 2.2.1.13.2).
    ConfirmActive = "confirm-active", Some(Step::Capabilities), {}
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
    }
    /// Set Error Info: why the server ends the connection (MS-RDPBCGR 2.2.5.1).
    ErrorInfo = "error-info", None, {
        /// Its code.
        code: ErrorInfo,
    }
    /// A PDU of the size of Set Error Info right before the end (MS-RDPBCGR 2.2.5.1).
    ErrorInfoShaped = "error-info-shaped", None, {}
    /// MCS Disconnect Provider Ultimatum (T.125).
    Ultimatum = "ultimatum", None, {
        /// Who sent it.
        by: Side,
        /// Its reason, when it could be read.
        reason: Option<UltimatumReason>,
    }
}

impl What {
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
        self.write_fields(&mut out);
        out
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
