//! What stands in front of RDP where something forwards it: SOCKS 4, 4a and 5 (RFC 1928, RFC 1929), HTTP CONNECT
//! (RFC 9110 9.3.6) and the header of the PROXY protocol (HAProxy, versions 1 and 2).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::cursor::{Cursor, WireError};

/// Bytes of one direction before RDP at most.
pub const PREAMBLE_BYTES_MAX: usize = 16 * 1024;
/// Times that a client asks on one connection: NTLM takes three.
const EXCHANGES_MAX: usize = 8;
/// Methods that a client of SOCKS 5 may offer; more is something else.
const METHODS_MAX: u8 = 16;
/// Characters kept of a name or a reason.
const TEXT_MAX: usize = 255;
const SIGNATURE_2: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// How a client asks a proxy for a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProxyProtocol {
    /// SOCKS 4 and 4a.
    Socks4,
    /// SOCKS 5.
    Socks5,
    /// HTTP CONNECT.
    Http,
}

impl ProxyProtocol {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Socks4, Self::Socks5, Self::Http];

    /// As people write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Socks4 => "SOCKS4",
            Self::Socks5 => "SOCKS5",
            Self::Http => "HTTP",
        }
    }
}

/// Where a client wants to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
}

/// What the proxy answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Offset in what the server sent.
    pub offset: usize,
    /// Status of HTTP, or code of SOCKS.
    pub code: u32,
    /// In its own words, or those of the specification.
    pub says: String,
    /// The connection is up.
    pub opened: bool,
    /// It is about who the client is.
    pub authentication: bool,
}

/// One request and its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// How it is asked.
    pub protocol: ProxyProtocol,
    /// Where the client wants to go; absent when the proxy ended it before.
    pub asked: Option<Destination>,
    /// Offset of the request in what the client sent.
    pub asked_offset: usize,
    /// Who the client says it is.
    pub user: Option<String>,
    /// The answer, when it came.
    pub answer: Option<Answer>,
}

/// The header of the PROXY protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Version.
    pub version: u32,
    /// The client that is forwarded; absent when the sender speaks for itself.
    pub source: Option<SocketAddr>,
}

/// How far the preamble is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// More must come.
    Incomplete,
    /// What follows is for the destination.
    Open,
    /// The proxy does not open the connection.
    Refused,
}

/// What both ends said before the connection to the destination was theirs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preamble {
    /// The header of a load balancer.
    pub header: Option<Header>,
    /// Requests and answers.
    pub exchanges: Vec<Exchange>,
    /// Bytes of the client that belong to it.
    pub client_length: usize,
    /// Bytes of the server that belong to it.
    pub server_length: usize,
    /// How far it is.
    pub progress: Progress,
}

impl Preamble {
    /// The port that the proxy is asked for.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.exchanges.iter().rev().find_map(|exchange| exchange.asked.as_ref()).map(|asked| asked.port)
    }

    /// What follows can still be for a destination: more is to come, or the client may show who it is and ask again.
    #[must_use]
    pub fn may_go_on(&self) -> bool {
        let answer = self.exchanges.last().and_then(|last| last.answer.as_ref());
        let challenged = answer.is_some_and(|answer| answer.code == 407);
        self.progress == Progress::Incomplete || (self.progress == Progress::Refused && challenged)
    }
}

/// Could these first bytes of a client become a preamble?
#[must_use]
pub fn may_start(first: &[u8]) -> bool {
    let fits = |start: &[u8]| first.iter().zip(start).all(|(byte, wanted)| byte == wanted);
    match first {
        [] => false,
        [4, rest @ ..] => rest.first().is_none_or(|command| *command == 1),
        [5, rest @ ..] => rest.first().is_none_or(|count| (1..=METHODS_MAX).contains(count)),
        [b'C', ..] => fits(b"CONNECT "),
        [b'P', ..] => fits(b"PROXY "),
        [b'\r', ..] => fits(&SIGNATURE_2),
        _ => false,
    }
}

/// Reads the preamble at the start of what both ends sent. `None` when there is none, or when it is longer than any.
#[must_use]
pub fn preamble(client: &[u8], server: &[u8]) -> Option<Preamble> {
    if !may_start(client) {
        return None;
    }
    let mut talk = Talk {
        client: Cursor::new(client),
        server: Cursor::new(server),
        sizes: (client.len(), server.len()),
        found: Preamble {
            header: None,
            exchanges: Vec::new(),
            client_length: 0,
            server_length: 0,
            progress: Progress::Incomplete,
        },
    };
    let progress = match client {
        [4, ..] => talk.socks4(),
        [5, ..] => talk.socks5(),
        [b'C', ..] => talk.http(),
        [b'P', ..] => talk.header_1(),
        _ => talk.header_2(),
    };
    let progress = match progress {
        Ok(progress) => progress,
        Err(WireError::Short { .. }) => Progress::Incomplete,
        Err(WireError::Invalid { .. }) => return None,
    };
    let (client_length, server_length) = (talk.client_at(), talk.server_at());
    let too_long = client_length.max(server_length) > PREAMBLE_BYTES_MAX;
    let never_ends = progress == Progress::Incomplete && client.len().max(server.len()) > PREAMBLE_BYTES_MAX;
    (!too_long && !never_ends).then_some(Preamble { client_length, server_length, progress, ..talk.found })
}

/// Both directions while they are read.
struct Talk<'a> {
    client: Cursor<'a>,
    server: Cursor<'a>,
    sizes: (usize, usize),
    found: Preamble,
}

fn short(what: &'static str) -> WireError {
    WireError::Short { what, need: 1, have: 0 }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.get(..TEXT_MAX.min(bytes.len())).unwrap_or_default()).into_owned()
}

impl<'a> Talk<'a> {
    fn client_at(&self) -> usize {
        self.sizes.0.saturating_sub(self.client.rest().len())
    }

    fn server_at(&self) -> usize {
        self.sizes.1.saturating_sub(self.server.rest().len())
    }

    fn ask(
        &mut self,
        protocol: ProxyProtocol,
        asked: Option<Destination>,
        offset: usize,
        user: Option<String>,
    ) {
        self.found.exchanges.push(Exchange { protocol, asked, asked_offset: offset, user, answer: None });
    }

    fn answer(&mut self, answer: Answer) -> Progress {
        let opened = answer.opened;
        if let Some(last) = self.found.exchanges.last_mut() {
            last.answer = Some(answer);
        }
        if opened { Progress::Open } else { Progress::Refused }
    }

    /// SOCKS 4: version, command 1, port (2), address (4), user up to a zero; with an address 0.0.0.x the name up to a zero
    /// (4a). The answer: zero, code (90 is granted), port, address.
    fn socks4(&mut self) -> Result<Progress, WireError> {
        let [_, command] = self.client.take("SOCKS command")?;
        if command != 1 {
            return Err(WireError::Invalid { what: "SOCKS command", found: u64::from(command) });
        }
        let port = self.client.u16_be("port")?;
        let address: [u8; 4] = self.client.take("address")?;
        let user = self.up_to_zero("user")?;
        let host = match address {
            [0, 0, 0, last] if last != 0 => self.up_to_zero("host")?,
            address => Ipv4Addr::from(address).to_string(),
        };
        let user = Some(user).filter(|user| !user.is_empty());
        self.ask(ProxyProtocol::Socks4, Some(Destination { host, port }), 0, user);
        let [version, code] = self.server.take("SOCKS answer")?;
        if version != 0 && version != 4 {
            return Err(WireError::Invalid { what: "SOCKS answer", found: u64::from(version) });
        }
        self.server.take::<6>("SOCKS answer")?;
        let says = match code {
            90 => "granted",
            91 => "rejected or failed",
            92 => "no identd on the client",
            93 => "identd and client name different users",
            _ => "unlisted code",
        };
        Ok(self.answer(Answer {
            offset: 0,
            code: u32::from(code),
            says: says.to_owned(),
            opened: code == 90,
            authentication: matches!(code, 92 | 93),
        }))
    }

    fn up_to_zero(&mut self, what: &'static str) -> Result<String, WireError> {
        let rest = self.client.rest();
        let length = rest.iter().position(|byte| *byte == 0);
        let Some(length) = length.filter(|length| *length <= TEXT_MAX) else {
            let too_long = rest.len() > TEXT_MAX;
            return Err(if too_long { WireError::Invalid { what, found: 0 } } else { short(what) });
        };
        let found = self.client.slice(length, what)?;
        self.client.take::<1>(what)?;
        Ok(text(found))
    }

    /// SOCKS 5: version, count and methods; the server chooses one. Method 2 is user and password. Then version, command,
    /// reserved, destination; the answer has the same shape.
    fn socks5(&mut self) -> Result<Progress, WireError> {
        let [_, count] = self.client.take("SOCKS methods")?;
        self.client.slice(usize::from(count), "SOCKS methods")?;
        let [version, method] = self.server.take("SOCKS method")?;
        if version != 5 {
            return Err(WireError::Invalid { what: "SOCKS version", found: u64::from(version) });
        }
        let user = match method {
            0 => None,
            2 => match self.password()? {
                (user, 0) => user,
                (user, status) => {
                    self.ask(ProxyProtocol::Socks5, None, 0, user);
                    return Ok(self.without_access(2, status, "user or password are not accepted"));
                }
            },
            0xff => {
                self.ask(ProxyProtocol::Socks5, None, 0, None);
                return Ok(self.without_access(0, method, "no acceptable method of authentication"));
            }
            other => return Err(WireError::Invalid { what: "SOCKS method", found: u64::from(other) }),
        };
        let (client_offset, server_offset) = (self.client_at(), self.server_at());
        let [version, command, reserved] = self.client.take("SOCKS request")?;
        if (version, command, reserved) != (5, 1, 0) {
            return Err(WireError::Invalid { what: "SOCKS command", found: u64::from(command) });
        }
        let asked = destination(&mut self.client)?;
        self.ask(ProxyProtocol::Socks5, Some(asked), client_offset, user);
        let [version, code] = self.server.take("SOCKS answer")?;
        if version != 5 {
            return Err(WireError::Invalid { what: "SOCKS version", found: u64::from(version) });
        }
        if code == 0 {
            self.server.take::<1>("SOCKS answer")?;
            destination(&mut self.server)?;
        }
        Ok(self.answer(Answer {
            offset: server_offset,
            code: u32::from(code),
            says: socks5_says(code).to_owned(),
            opened: code == 0,
            authentication: false,
        }))
    }

    /// RFC 1929: version 1, user and password with their lengths; the answer is version and status.
    fn password(&mut self) -> Result<(Option<String>, u8), WireError> {
        let [version, length] = self.client.take("user")?;
        if version != 1 {
            return Err(WireError::Invalid { what: "version", found: u64::from(version) });
        }
        let user = text(self.client.slice(usize::from(length), "user")?);
        let [length] = self.client.take("password")?;
        self.client.slice(usize::from(length), "password")?;
        let [_, status] = self.server.take("status")?;
        Ok((Some(user), status))
    }

    fn without_access(&mut self, offset: usize, code: u8, says: &str) -> Progress {
        let code = u32::from(code);
        self.answer(Answer { offset, code, says: says.to_owned(), opened: false, authentication: true })
    }

    /// HTTP: requests and answers up to the first that opens the connection; what refuses it may have a body.
    fn http(&mut self) -> Result<Progress, WireError> {
        for _ in 0..EXCHANGES_MAX {
            let offset = self.client_at();
            let request = head(&mut self.client)?;
            let asked = connect_line(request)?;
            self.ask(ProxyProtocol::Http, Some(asked), offset, None);
            let (offset, code, answer) = self.status()?;
            let says = reason(answer);
            let opened = (200..300).contains(&code);
            let authentication = matches!(code, 401 | 407);
            let progress = self.answer(Answer { offset, code, says, opened, authentication });
            if opened {
                return Ok(progress);
            }
            let body = self.body(answer);
            let asks_again = matches!(self.client.rest(), [b'C', ..]);
            if body.is_err() || !asks_again {
                return Ok(progress);
            }
        }
        Ok(Progress::Refused)
    }

    /// The status that counts: those of 1xx go before it.
    fn status(&mut self) -> Result<(usize, u32, &'a [u8]), WireError> {
        for _ in 0..EXCHANGES_MAX {
            let offset = self.server_at();
            let answer = head(&mut self.server)?;
            let code = status_line(answer)?;
            if code >= 200 {
                return Ok((offset, code, answer));
            }
        }
        Err(WireError::Invalid { what: "status", found: 100 })
    }

    /// What follows the head of an answer that opens nothing (RFC 9112 6.3): by its length, in chunks, or up to the end.
    fn body(&mut self, answer: &[u8]) -> Result<(), WireError> {
        if let Some(length) = field(answer, "content-length") {
            let length =
                length.trim().parse().map_err(|_| WireError::Invalid { what: "length", found: 0 })?;
            return self.server.slice(length, "body").map(|_| ());
        }
        if !field(answer, "transfer-encoding").is_some_and(|coding| coding.contains("chunked")) {
            self.server = Cursor::new(&[]);
            return Ok(());
        }
        loop {
            let size = line(&mut self.server)?;
            let digits = String::from_utf8_lossy(size);
            let digits = digits.split(';').next().unwrap_or_default().trim().to_owned();
            let size = usize::from_str_radix(&digits, 16)
                .map_err(|_| WireError::Invalid { what: "chunk size", found: 0 })?;
            self.server.slice(size, "chunk")?;
            line(&mut self.server)?;
            if size == 0 {
                return Ok(());
            }
        }
    }

    /// Version 1: `PROXY TCP4 SOURCE DESTINATION PORT PORT`, TCP6 alike, or `PROXY UNKNOWN`, in one line.
    fn header_1(&mut self) -> Result<Progress, WireError> {
        let found = line(&mut self.client)?;
        let found = String::from_utf8_lossy(found);
        let mut words = found.split(' ').skip(1);
        let source = match words.next() {
            Some("TCP4" | "TCP6") => {
                let (address, port) = (words.next(), words.nth(1));
                let address: Option<IpAddr> = address.and_then(|address| address.parse().ok());
                let port = port.and_then(|port| port.parse().ok());
                let end = address.zip(port).map(|(address, port)| SocketAddr::new(address, port));
                Some(end.ok_or(WireError::Invalid { what: "PROXY line", found: 0 })?)
            }
            Some("UNKNOWN") => None,
            _ => return Err(WireError::Invalid { what: "PROXY line", found: 0 }),
        };
        self.found.header = Some(Header { version: 1, source });
        Ok(Progress::Open)
    }

    /// Version 2: signature (12), version and command, family and transport, length (2), then the addresses and ports of
    /// source and destination, and options.
    fn header_2(&mut self) -> Result<Progress, WireError> {
        let signature: [u8; 12] = self.client.take("signature")?;
        let [command, family] = self.client.take("command")?;
        if signature != SIGNATURE_2 || command & 0xfe != 0x20 {
            return Err(WireError::Invalid { what: "PROXY command", found: u64::from(command) });
        }
        let length = usize::from(self.client.u16_be("length")?);
        let mut rest = Cursor::new(self.client.slice(length, "addresses")?);
        let source = match (command, family) {
            (0x21, 0x11) => {
                let [address, _]: [[u8; 4]; 2] = [rest.take("source")?, rest.take("destination")?];
                Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::from(address)), rest.u16_be("port")?))
            }
            (0x21, 0x21) => {
                let [address, _]: [[u8; 16]; 2] = [rest.take("source")?, rest.take("destination")?];
                Some(SocketAddr::new(IpAddr::V6(Ipv6Addr::from(address)), rest.u16_be("port")?))
            }
            _ => None,
        };
        self.found.header = Some(Header { version: 2, source });
        Ok(Progress::Open)
    }
}

/// Address type, address or name, and port of SOCKS 5.
fn destination(at: &mut Cursor<'_>) -> Result<Destination, WireError> {
    let [kind] = at.take("address type")?;
    let host = match kind {
        1 => Ipv4Addr::from(at.take::<4>("address")?).to_string(),
        3 => {
            let [length] = at.take("name")?;
            text(at.slice(usize::from(length), "name")?)
        }
        4 => Ipv6Addr::from(at.take::<16>("address")?).to_string(),
        other => return Err(WireError::Invalid { what: "address type", found: u64::from(other) }),
    };
    Ok(Destination { host, port: at.u16_be("port")? })
}

/// Replies of SOCKS 5 (RFC 1928 6).
fn socks5_says(code: u8) -> &'static str {
    match code {
        0 => "succeeded",
        1 => "general SOCKS server failure",
        2 => "connection not allowed by ruleset",
        3 => "network unreachable",
        4 => "host unreachable",
        5 => "connection refused",
        6 => "TTL expired",
        7 => "command not supported",
        8 => "address type not supported",
        _ => "unlisted code",
    }
}

/// One line, without its end.
fn line<'a>(at: &mut Cursor<'a>) -> Result<&'a [u8], WireError> {
    let Some(length) = at.rest().iter().position(|byte| *byte == b'\n') else {
        let too_long = at.rest().len() > PREAMBLE_BYTES_MAX;
        return Err(if too_long { WireError::Invalid { what: "line", found: 0 } } else { short("line") });
    };
    let found = at.slice(length, "line")?;
    at.take::<1>("line")?;
    Ok(found.strip_suffix(b"\r").unwrap_or(found))
}

/// First line and fields of an HTTP message, with the empty line behind them.
fn head<'a>(at: &mut Cursor<'a>) -> Result<&'a [u8], WireError> {
    let start = *at;
    while !line(at)?.is_empty() {}
    let length = start.rest().len().saturating_sub(at.rest().len());
    start.rest().get(..length).ok_or(short("head"))
}

/// `CONNECT HOST:PORT HTTP/1.1`.
fn connect_line(head: &[u8]) -> Result<Destination, WireError> {
    let wrong = WireError::Invalid { what: "request", found: 0 };
    let first = line(&mut Cursor::new(head))?;
    let found = String::from_utf8_lossy(first);
    let mut words = found.split(' ');
    let (method, authority, version) = (words.next(), words.next(), words.next());
    if method != Some("CONNECT") || !version.is_some_and(|version| version.starts_with("HTTP/1.")) {
        return Err(wrong);
    }
    let (host, port) = authority.and_then(|authority| authority.rsplit_once(':')).ok_or(wrong)?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    Ok(Destination { host: text(host.as_bytes()), port: port.parse().map_err(|_| wrong)? })
}

/// `HTTP/1.1 407 Proxy Authentication Required`.
fn status_line(head: &[u8]) -> Result<u32, WireError> {
    let wrong = WireError::Invalid { what: "status line", found: 0 };
    let first = line(&mut Cursor::new(head))?;
    let rest = first.strip_prefix(b"HTTP/1.").and_then(|rest| rest.get(2..)).ok_or(wrong)?;
    let digits = rest.get(..3).and_then(|digits| std::str::from_utf8(digits).ok()).ok_or(wrong)?;
    digits.parse().map_err(|_| wrong)
}

fn reason(head: &[u8]) -> String {
    let first = line(&mut Cursor::new(head)).unwrap_or_default();
    text(first.get(13..).unwrap_or_default())
}

/// The value of a field, whose name is given in lower case.
fn field(head: &[u8], name: &str) -> Option<String> {
    head.split(|byte| *byte == b'\n').find_map(|line| {
        let line = String::from_utf8_lossy(line);
        let (key, value) = line.split_once(':')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim().to_ascii_lowercase())
    })
}

#[cfg(test)]
mod tests;
