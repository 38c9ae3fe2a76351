//! The two numbers of mstsc's error box: the reason of the client (`OnDisconnected`) and the extended one
//! (`ExtendedDisconnectReasonCode`). What each pair proves, and what it does not.

/// One pair, or all pairs of one client reason.
pub(super) struct Pair {
    pub(super) code: u32,
    /// `None` stands for every extended code that has no row of its own.
    pub(super) extended: Option<u32>,
    pub(super) proves: &'static str,
    pub(super) proves_not: &'static str,
    pub(super) next: &'static str,
}

const fn pair(code: u32, extended: Option<u32>, [proves, proves_not, next]: [&'static str; 3]) -> Pair {
    Pair { code, extended, proves, proves_not, next }
}

/// First fit counts: rows with an extended code stand before those without.
pub(super) const PAIRS: &[Pair] = &[
    pair(
        3,
        Some(7),
        [
            "the server itself ended the connection and said ERRINFO_SERVER_DENIED_CONNECTION (7) in a Set Error Info PDU. \
             Name look-up, TCP, negotiation, TLS and, with NLA, the password had passed by then",
            "why it refused. It is no Win32 error 7 (ERROR_ARENA_TRASHED), and nothing that ends before the server may \
             speak: port, firewall, MTU, DNS, certificate, cipher suites, encryption oracle or a wrong password under NLA. \
             The licensing message STATUS_VALID_CLIENT has the number 7 too and is good news",
            "the logs of the host that refused, at that minute: `rdpwhy collect --server`. RdpCoreTS 103 or 72 with 7 proves \
             it; broker (SessionBroker-Client 1296, 1306), drain mode (System 1070, 1071), rights (Security 4825) or a patched \
             termsrv.dll tell why",
        ],
    ),
    pair(
        0x904,
        Some(7),
        [
            "the connection was closed by the other side or by something on the way",
            "that a server denied it: with this first number the extended 7 was seen where no Set Error Info can have been \
             sent. Read it as 0x904 alone",
            "a capture of the connection (`rdpwhy collect --client`): who closed it, and behind which step",
        ],
    ),
    pair(
        0x204,
        Some(4),
        [
            "no TCP connection came about; the extended 4 is left over and says nothing",
            "that a time limit ended a session",
            "a capture of the client while it tries (`rdpwhy collect --client`): refused, filtered or unreachable look different",
        ],
    ),
    pair(
        3,
        Some(0xb),
        [
            "a tool inside of the user's session ended it; right at the start it is Restricted Admin or Remote Credential \
             Guard that the server does not accept",
            "a fault of the network",
            "Security and TerminalServices logs of the server (`rdpwhy collect --server`)",
        ],
    ),
    pair(
        3,
        None,
        [
            "the server ended the connection and said why: the extended number is a Set Error Info code",
            "a fault of the network",
            "the logs of that server, at that minute (`rdpwhy collect --server`)",
        ],
    ),
    pair(
        0x904,
        None,
        [
            "the other side, or something on the way, closed the TCP connection without an RDP reason",
            "that the server refused: a reset by a middlebox, a listener that fails and a certificate that cannot be used \
             look the same to the client",
            "a capture of the connection, from both ends where possible (`rdpwhy collect --client`, `--server`)",
        ],
    ),
    pair(
        0x204,
        None,
        [
            "no TCP connection came about: refused, filtered, unreachable, or nobody listens",
            "anything about certificates, passwords or licences",
            "a capture of the client while it tries (`rdpwhy collect --client`)",
        ],
    ),
];

/// What the pair means, when it is known.
pub(super) fn find(code: u32, extended: u32) -> Option<&'static Pair> {
    PAIRS.iter().find(|pair| pair.code == code && pair.extended.is_none_or(|known| known == extended))
}
