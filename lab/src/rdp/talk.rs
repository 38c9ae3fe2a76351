//! A whole connection under TLS as its sizes show it: every record is as long as the PDU in it, and says nothing.

use super::pdu;
use crate::capture::{Conversation, Endpoint, Side};

/// Names of one connection.
#[derive(Clone, Copy, Debug, Default)]
pub struct Names<'n> {
    /// User.
    pub user: &'n str,
    /// Domain of the user.
    pub domain: &'n str,
    /// The server.
    pub host: &'n str,
    /// The client's computer.
    pub workstation: &'n str,
    /// Password: written, and to be found nowhere behind.
    pub password: &'n str,
}

/// How TLS hides lengths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cipher {
    /// TLS 1.2 with AES-GCM: 24 bytes more.
    Gcm12,
    /// TLS 1.3: 17 bytes more.
    Aead13,
    /// The same behind a HelloRetryRequest; the client's Finished shares its segment with the first message, and the
    /// server's session tickets come behind that.
    Retried13,
    /// TLS 1.2 with AES-CBC and SHA-1: padded to 16 bytes.
    Cbc12,
    /// The same with SHA-256.
    Cbc12Sha256,
    /// The same with SHA-384.
    Cbc12Sha384,
    /// TLS 1.2 with AES-CBC and SHA-1 behind the encryption (RFC 7366).
    Cbc12Etm,
    /// TLS 1.1 with 3DES and SHA-1: padded to 8 bytes.
    TripleDes11,
    /// TLS 1.0 with AES-CBC and SHA-1: the IV is not sent.
    Cbc10,
}

impl Cipher {
    /// Every one.
    pub const ALL: [Self; 9] = [
        Self::Gcm12,
        Self::Aead13,
        Self::Retried13,
        Self::Cbc12,
        Self::Cbc12Sha256,
        Self::Cbc12Sha384,
        Self::Cbc12Etm,
        Self::TripleDes11,
        Self::Cbc10,
    ];

    /// Bytes of a record behind its header.
    fn record(self, plain_bytes: usize) -> usize {
        let blocks = |inside: usize, block: usize| (plain_bytes + inside).div_ceil(block) * block;
        match self {
            Self::Gcm12 => plain_bytes + 24,
            Self::Aead13 | Self::Retried13 => plain_bytes + 17,
            Self::Cbc12 => blocks(21, 16) + 16,
            Self::Cbc12Sha256 => blocks(33, 16) + 16,
            Self::Cbc12Sha384 => blocks(49, 16) + 16,
            Self::Cbc12Etm => blocks(1, 16) + 36,
            Self::TripleDes11 => blocks(21, 8) + 8,
            Self::Cbc10 => blocks(21, 16),
        }
    }

    /// Version, suite and extensions of the ServerHello.
    fn chosen(self) -> ([u8; 2], u16, &'static [u8]) {
        match self {
            Self::Gcm12 => ([3, 3], 0xc030, &[]),
            Self::Aead13 | Self::Retried13 => ([3, 3], 0x1302, &[0, 43, 0, 2, 3, 4]),
            Self::Cbc12 => ([3, 3], 0xc014, &[]),
            Self::Cbc12Sha256 => ([3, 3], 0xc027, &[]),
            Self::Cbc12Sha384 => ([3, 3], 0xc028, &[]),
            Self::Cbc12Etm => ([3, 3], 0xc014, &[0, 22, 0, 0]),
            Self::TripleDes11 => ([3, 2], 0x000a, &[]),
            Self::Cbc10 => ([3, 1], 0xc014, &[]),
        }
    }
}

/// What the negotiation chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// TLS alone.
    Tls,
    /// CredSSP with NTLM.
    Nla,
    /// The same with an early authorization result.
    NlaEx,
    /// RDSTLS.
    Rdstls,
}

/// How far it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Story {
    /// A desktop that runs for a while.
    Desktop,
    /// The server refuses the credentials.
    Refused,
    /// The server says why it ends behind Font Map.
    Denied,
    /// The server says why it ends right behind Client Info.
    DeniedEarly,
    /// Behind Client Info a licensing error, and the server closes.
    Unlicensed,
    /// The early authorization result is the last word.
    Unauthorized,
    /// A desktop in which the last word is a movement of the client's pointer; then the server resets.
    Lost,
}

struct Talk<'c> {
    conversation: &'c mut Conversation,
    cipher: Cipher,
    /// What goes out in one segment with the client's next record, and before the server's next one.
    held: [Vec<u8>; 2],
}

impl Talk<'_> {
    fn send(&mut self, side: Side, plain_bytes: usize) {
        let length = self.cipher.record(plain_bytes);
        let record = [vec![23, 3, 3], (length as u16).to_be_bytes().to_vec(), vec![0xa5; length]].concat();
        let [finished, tickets] = &mut self.held;
        let finished = std::mem::take(finished);
        if side == Side::Client {
            self.conversation.sends(side, &[finished, record].concat());
            return;
        }
        for (side, held) in [(Side::Client, finished), (side, std::mem::take(tickets)), (side, record)] {
            if !held.is_empty() {
                self.conversation.sends(side, &held);
            }
        }
    }

    fn client(&mut self, pdu: &[u8]) {
        self.send(Side::Client, pdu.len());
    }

    fn server(&mut self, pdu: &[u8]) {
        self.send(Side::Server, pdu.len());
    }
}

/// Plays one connection; `number` tells it from others of the same capture.
pub fn talk(
    client: Endpoint,
    server: Endpoint,
    time_ns: i64,
    (security, cipher, story): (Security, Cipher, Story),
    names: &Names<'_>,
) -> Conversation {
    let mut conversation = Conversation::new(client, server, time_ns);
    let chosen = match security {
        Security::Tls => 1,
        Security::Nla => 2,
        Security::Rdstls => 4,
        Security::NlaEx => 8,
    };
    conversation.handshake();
    conversation.client_sends(&pdu::connection_request(&names.user.chars().take(9).collect::<String>(), 15));
    conversation.server_sends(&pdu::connection_confirm(chosen));
    let held = hellos(&mut conversation, cipher, names.host);
    let mut talk = Talk { conversation: &mut conversation, cipher, held };
    let refused = story == Story::Refused;
    match security {
        Security::Tls => {}
        Security::Nla | Security::NlaEx => credssp(&mut talk, names, security == Security::NlaEx, refused),
        Security::Rdstls => rdstls(&mut talk, names),
    }
    if !refused && story != Story::Unauthorized {
        sequence(&mut talk, names, chosen, story);
        behind(&mut talk, story);
    }
    match story {
        Story::Desktop => conversation.client_closes().server_closes(),
        Story::Lost => conversation.server_resets(),
        _ => conversation.server_closes().client_closes(),
    };
    conversation
}

/// Random of a HelloRetryRequest (RFC 8446 4.1.3).
const RETRY: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2,
    0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

/// Hellos, and a server flight of the usual size. Gives what both sides hold back.
fn hellos(conversation: &mut Conversation, cipher: Cipher, host: &str) -> [Vec<u8>; 2] {
    let (legacy, suite, version) = cipher.chosen();
    let name = host.len() as u16;
    let mut extensions = vec![0, 0];
    extensions.extend((name + 5).to_be_bytes());
    extensions.extend((name + 3).to_be_bytes());
    extensions.push(0);
    extensions.extend(name.to_be_bytes());
    extensions.extend(host.as_bytes());
    extensions.extend([0, 43, 0, 5, 4, 3, 4, 3, 3]);
    let mut client = vec![3, 3];
    client.extend([0x11; 32]);
    client.extend([0, 0, 6, 0xc0, 0x30, 0xc0, 0x14, 0x13, 0x02, 1, 0]);
    client.extend((extensions.len() as u16).to_be_bytes());
    client.extend(extensions);
    let mut server = legacy.to_vec();
    server.extend([0x22; 32]);
    server.push(0);
    server.extend(suite.to_be_bytes());
    server.push(0);
    server.extend((version.len() as u16).to_be_bytes());
    server.extend(version);
    let record =
        |kind: u8, body: &[u8]| [&[kind, 3, 3][..], &(body.len() as u16).to_be_bytes(), body].concat();
    let handshake = |kind: u8, body: &[u8]| {
        let length = (body.len() as u32).to_be_bytes();
        record(22, &[&[kind][..], &length[1..], body].concat())
    };
    conversation.client_sends(&handshake(1, &client));
    let hello = handshake(2, &server);
    if cipher == Cipher::Retried13 {
        let retry = [&server[..2], &RETRY, &server[34..]].concat();
        conversation.server_sends(&[handshake(2, &retry), record(20, &[1])].concat());
        conversation.client_sends(&[record(20, &[1]), handshake(1, &client)].concat());
        conversation.server_sends(&[hello, record(23, &[0xa5; 1_400])].concat());
        return [record(23, &[0xa5; 69]), [record(23, &[0xa5; 250]), record(23, &[0xa5; 250])].concat()];
    }
    if cipher == Cipher::Aead13 {
        conversation.server_sends(&[hello, record(20, &[1]), record(23, &[0xa5; 1_400])].concat());
        conversation.client_sends(&[record(20, &[1]), record(23, &[0xa5; 69])].concat());
        conversation.server_sends(&record(23, &[0xa5; 90]));
        return [Vec::new(), Vec::new()];
    }
    conversation.server_sends(&[hello, handshake(14, &[])].concat());
    conversation
        .client_sends(&[handshake(16, &[0x33; 65]), record(20, &[1]), record(22, &[0xa5; 64])].concat());
    conversation.server_sends(&[record(20, &[1]), record(22, &[0xa5; 64])].concat());
    [Vec::new(), Vec::new()]
}

/// Bytes of a DER element around `inside` bytes.
const fn der(inside: usize) -> usize {
    inside
        + if inside < 0x80 {
            2
        } else if inside < 0x100 {
            3
        } else {
            4
        }
}

/// Bytes of a `TSRequest` with a token, and further fields of so many bytes.
const fn ts_request(token: usize, more: usize) -> usize {
    let tokens = der(der(der(der(der(token)))));
    der(5 + tokens + more)
}

/// CredSSP with NTLM (MS-CSSP 3.1.5, MS-NLMP 2.2.1): sizes with these names.
fn credssp(talk: &mut Talk<'_>, names: &Names<'_>, early: bool, refused: bool) {
    let utf16 = |name: &str| 2 * name.encode_utf16().count();
    let (host, domain) = (utf16(names.host), utf16(names.domain));
    let target_info = 4 * 4 + 2 * domain + 2 * host + 12 + 4;
    let challenge = 56 + domain + target_info;
    let response = 44 + target_info + 8 + 20 + 4 + 16 + utf16("TERMSRV/") + host + 4;
    let (user, workstation) = (utf16(names.user), utf16(names.workstation));
    let authenticate = 88 + domain + user + workstation + 24 + response + 16;
    let proof = der(der(16 + 32)) + der(der(32));
    let credentials = der(domain) + user + utf16(names.password) + 40 + 16;
    talk.send(Side::Client, ts_request(40, 0));
    talk.send(Side::Server, ts_request(challenge, 0));
    talk.send(Side::Client, ts_request(authenticate, proof));
    if refused {
        talk.send(Side::Server, 15);
        return;
    }
    talk.send(Side::Server, der(5 + der(der(16 + 32)) + 48));
    talk.send(Side::Client, der(5 + der(der(credentials))));
    if early {
        talk.send(Side::Server, 4);
    }
}

/// RDSTLS with a password (MS-RDPBCGR 2.2.17).
fn rdstls(talk: &mut Talk<'_>, names: &Names<'_>) {
    let utf16 = |name: &str| 2 * name.encode_utf16().count() + 2;
    talk.send(Side::Server, 8);
    talk.send(Side::Client, 6 + 8 + 16 + utf16(names.user) + utf16(names.domain) + 256);
    talk.send(Side::Server, 10);
}

/// MCS to Font Map.
fn sequence(talk: &mut Talk<'_>, names: &Names<'_>, chosen: u32, story: Story) {
    talk.client(&pdu::connect_initial(names.workstation, chosen));
    talk.server(&pdu::connect_response(15));
    talk.client(&pdu::erect_domain());
    talk.client(&pdu::attach_user());
    talk.server(&pdu::attach_confirm());
    for channel in [pdu::USER, pdu::IO_CHANNEL, 1004, 1005, 1006, 1008, pdu::MESSAGE_CHANNEL] {
        talk.client(&pdu::join(channel));
        talk.server(&pdu::join_confirm(channel, 0));
    }
    talk.client(&pdu::client_info(names));
    match story {
        Story::DeniedEarly => {
            talk.server(&pdu::set_error_info(7));
            return talk.server(&pdu::ultimatum(3));
        }
        Story::Unlicensed => return talk.server(&pdu::license_error(6, 1)),
        _ => {}
    }
    talk.server(&pdu::license_error(7, 2));
    talk.server(&pdu::demand_active());
    talk.client(&pdu::confirm_active());
    talk.client(&pdu::synchronize(false));
    talk.client(&pdu::control(false, 4));
    talk.client(&pdu::control(false, 1));
    talk.client(&pdu::font_list());
    talk.server(&pdu::synchronize(true));
    talk.server(&pdu::control(true, 4));
    talk.server(&pdu::control(true, 2));
    talk.server(&pdu::font_map());
}

fn behind(talk: &mut Talk<'_>, story: Story) {
    if matches!(story, Story::DeniedEarly | Story::Unlicensed) {
        return;
    }
    if story == Story::Denied {
        talk.server(&pdu::set_error_info(7));
        talk.server(&pdu::ultimatum(3));
        return;
    }
    for _ in 0..40 {
        talk.send(Side::Server, 1_200);
        talk.send(Side::Client, 35);
        talk.conversation.wait_ns(100_000_000);
    }
    match story {
        // Header, length, event and its flags, x, y (MS-RDPBCGR 2.2.8.1.2): as long as the ultimatum.
        Story::Lost => talk.send(Side::Client, 9),
        _ => talk.client(&pdu::ultimatum(3)),
    }
}
