//! CredSSP: how many round trips it got, who ended it, and where MCS begins behind it (MS-CSSP 3.1.5); by sizes, or by
//! its messages where they were opened.

use std::net::SocketAddr;

use super::opening::Opened;
use super::{Message, Reader, clock, mcs};
use crate::codes::Status;
use crate::fact::{OtherReading, Reading, Side, What};
use crate::read::flow::Sighting;
use crate::read::stream::Stream;
use crate::time::UnixNanos;
use crate::wire::credssp::{TsRequest, ts_request};
use crate::wire::ntlm::{Ntlm, NtlmVersion};
use crate::wire::spnego::{KerberosToken, TokenId};
use crate::wire::tpkt;

/// Messages of one direction that are looked at.
const REQUESTS_MAX: usize = 64;

/// A TSRequest that holds a version and an error code only: 15 bytes, 16 or 17 with longer integers (MS-CSSP 2.2.1).
const ERROR_CODE_BYTES: std::ops::RangeInclusive<u32> = 13..=20;
/// Behind the client's proof, an answer this short is an error with a SPNEGO reject around it (67 bytes measured), not
/// the server's proof (95 and 103 bytes measured). Neither depends on a name.
const REJECT_BYTES_MAX: u32 = 72;
/// The server's proof is never shorter, nor is any other answer to the client's.
const PROOF_BYTES_MIN: u32 = 95;
/// A TSRequest of the client with a ticket and an authenticator (801 and 1,887 bytes measured) is never shorter.
const TICKET_BYTES_MIN: u32 = 600;
/// The server's ticket, which its first answer holds when the client asks for one (566 and 1,351 bytes measured).
const ANSWERED_TICKET_BYTES_MIN: u32 = 450;
/// An Early User Authorization Result (MS-RDPBCGR 2.2.10.2).
const EARLY_RESULT_BYTES: u32 = 4;

/// Reads the messages behind the TLS handshake when the negotiation chose CredSSP.
pub(super) fn read(reader: &mut Reader<'_>, messages: &[Message], early_result: bool) {
    let messages = without_tickets(messages);
    let lost = reader.flow.from_client.stream.missing() > 0;
    let boundary =
        mcs::connect_initial(&messages).or_else(|| unanswered_initial(&messages, early_result, lost));
    let credssp = messages.get(..boundary.unwrap_or(messages.len())).unwrap_or(&messages);
    let denied = early_result.then(|| denied_at(credssp, lost)).flatten();
    if let Some((at, denied)) = denied.filter(|_| boundary.is_none()) {
        let exchange = credssp.get(..at).unwrap_or(credssp);
        say_rounds(reader, exchange, &[]);
        return refused(reader, exchange, None, Some(denied.seen));
    }
    let early = early_result.then(|| early_at(credssp, lost)).flatten();
    let exchange = credssp.get(..early.unwrap_or(credssp.len())).unwrap_or(credssp);
    say_rounds(reader, exchange, &[]);
    if let Some(result) = early.and_then(|at| credssp.get(at)) {
        // With MCS behind it, it can only have been good.
        let or = (boundary.is_none() && is_error_code(result)).then_some(OtherReading::ErrorCode);
        if or.is_none() {
            reader.infer(result.seen, What::CredsspDone {});
        }
        reader.infer(result.seen, What::EarlyAuthorization { result: None, or });
    }
    match boundary.and_then(|at| Some((at, messages.get(at)?))) {
        Some((at, initial)) => {
            if early.is_none() {
                reader.infer(initial.seen, What::CredsspDone {});
            }
            mcs::read(reader, messages.get(at..).unwrap_or_default());
        }
        None if early.is_none() => match handed_over(exchange).filter(|_| left_by_client(reader)) {
            Some(credentials) => reader.infer(credentials.seen, What::CredsspDone {}),
            None => refused(reader, exchange, None, None),
        },
        None => {}
    }
}

/// The server answers each CredSSP message with one: of several in a row before the second round, all but the last
/// are session tickets that were late. Where nothing follows them, those of one size are: OpenSSL sends two.
fn without_tickets(messages: &[Message]) -> Vec<Message> {
    let first_answer = messages.iter().position(|m| m.side == Side::Server);
    let Some(start) = first_answer else { return messages.to_vec() };
    let run: Vec<&Message> = messages.iter().skip(start).take_while(|m| m.side == Side::Server).collect();
    let alike = run.iter().take_while(|m| run.first().is_some_and(|first| first.low == m.low)).count();
    let tickets = match start + run.len() < messages.len() {
        true => run.len() - 1,
        false if alike > 1 => alike,
        false => 0,
    };
    let mut kept = messages.to_vec();
    kept.drain(start..start + tickets);
    kept
}

/// Without an answer to it, MCS Connect Initial shows as the second client message in a row, behind the credentials,
/// or as the one behind the early authorization result.
fn unanswered_initial(messages: &[Message], early_result: bool, lost: bool) -> Option<usize> {
    if early_result {
        let early = early_at(messages, lost)?;
        return messages.get(early + 1).filter(|m| m.side == Side::Client).map(|_| early + 1);
    }
    let rounds = messages.iter().filter(|m| m.side == Side::Server).count();
    let pair = messages.windows(2).rposition(|pair| pair.iter().all(|m| m.side == Side::Client))?;
    let initial = messages.get(pair + 1)?;
    (rounds >= 2 && initial.low >= mcs::CONNECT_INITIAL_BYTES_MIN).then_some(pair + 1)
}

/// The early result stands behind the client's third message at least, its credentials. Of a client of which bytes were `lost`
/// one that was not captured does not matter where the size is exact.
fn early_at(messages: &[Message], lost: bool) -> Option<usize> {
    let (found, rounds) = sized_as_early(messages)?;
    let exact = messages.get(found).is_some_and(|m| m.low == m.high);
    (rounds >= if exact && lost { 2 } else { 3 }).then_some(found)
}

/// A result before the client sent its credentials can only deny: some servers send one behind the error code, too.
fn denied_at(messages: &[Message], lost: bool) -> Option<(usize, &Message)> {
    let (found, rounds) = sized_as_early(messages).filter(|_| !lost)?;
    let denied = messages.get(found).filter(|m| m.low == m.high && rounds == 2)?;
    Some((found, denied))
}

/// The last message of the server that has the size of an early result, and how many the client had sent before it.
fn sized_as_early(messages: &[Message]) -> Option<(usize, usize)> {
    let found = messages.iter().rposition(|m| m.side == Side::Server && m.is(EARLY_RESULT_BYTES))?;
    Some((found, messages.iter().take(found).filter(|m| m.side == Side::Client).count()))
}

/// The client's credentials, which it sends when the server has proved itself: its third message at least, and the last
/// (MS-CSSP 3.1.5).
fn handed_over(exchange: &[Message]) -> Option<&Message> {
    let (last, before) = exchange.split_last()?;
    let rounds = exchange.iter().filter(|m| m.side == Side::Client).count();
    let answered = before.last().is_some_and(|m| m.side == Side::Server && !is_error_code(m));
    (last.side == Side::Client && rounds >= 3 && answered).then_some(last)
}

/// The client ended the connection first, in order, with nothing more from the server.
fn left_by_client(reader: &Reader<'_>) -> bool {
    ended_by(reader).is_some_and(|(by, _)| by == Side::Client)
}

/// Can it be a TSRequest with nothing but an error code?
const fn is_error_code(message: &Message) -> bool {
    message.low <= *ERROR_CODE_BYTES.end() && *ERROR_CODE_BYTES.start() <= message.high
}

/// Is it too short for any answer but a refusal?
const fn is_reject(message: &Message) -> bool {
    message.low <= REJECT_BYTES_MAX && message.high < PROOF_BYTES_MIN
}

/// Are the messages long enough for Kerberos: for a ticket in the client's first one, or in its second one behind a ticket
/// of the server?
fn may_be_kerberos(exchange: &[Message]) -> bool {
    let ticket =
        |at: usize| exchange.get(at).is_some_and(|m| m.side == Side::Client && m.low >= TICKET_BYTES_MIN);
    let answer = exchange.get(1).filter(|m| m.side == Side::Server);
    ticket(0) || (ticket(2) && answer.is_some_and(|m| m.low >= ANSWERED_TICKET_BYTES_MIN))
}

fn say_rounds(reader: &mut Reader<'_>, exchange: &[Message], requests: &[&TsRequest]) {
    let mut round = 0;
    let mut speaker = Side::Server;
    let requests = requests.iter().map(|request| Some(*request)).chain(std::iter::repeat(None));
    for (message, request) in exchange.iter().zip(requests) {
        if message.side == Side::Client && speaker == Side::Server {
            round += 1;
        }
        speaker = message.side;
        reader.tell(message, one_message(message, round, request));
    }
}

fn one_message(message: &Message, round: u32, request: Option<&TsRequest>) -> What {
    let spnego = request.and_then(|request| request.spnego.as_ref());
    let kerberos = spnego.and_then(|spnego| spnego.kerberos.as_ref()).and_then(|token| token.kind.name());
    let ntlm = request.and_then(|request| request.ntlm.as_ref()).map(Ntlm::name);
    let offered = spnego.filter(|spnego| !spnego.offered.is_empty()).map(|spnego| spnego.offered.join(", "));
    What::CredsspMessage {
        by: message.side,
        round,
        bytes: message.high,
        version: request.and_then(|request| request.version),
        token: ntlm.or(kerberos).map(str::to_owned),
        packages: offered.or_else(|| spnego?.chosen.clone()),
        state: spnego.and_then(|spnego| spnego.state),
    }
}

/// CredSSP ended before it was complete: who ended it. `said` is the error code that the server gave, `denied` where it
/// showed that it does not let the client in.
fn refused(
    reader: &mut Reader<'_>,
    exchange: &[Message],
    said: Option<(Sighting, Status)>,
    denied: Option<Sighting>,
) {
    let rounds = exchange.iter().filter(|m| m.side == Side::Client).count();
    let last = exchange.last();
    let ended = ended_by(reader);
    // Some servers prove themselves as shortly as others refuse: then only the end tells. What was opened tells itself.
    let is_error = |m: &&Message| {
        let short = is_error_code(m) && rounds >= 1;
        let hidden = m.reading == Reading::Inferred && m.side == Side::Server;
        hidden && (short || (is_reject(m) && rounds >= 2 && ended.is_some()))
    };
    let error_code = last.filter(is_error);
    let told = said.map(|(seen, _)| seen).or(denied).or(error_code.map(|error| error.seen));
    let (by, seen) = match (told, ended) {
        (Some(seen), _) => (Side::Server, seen),
        (None, Some(ended)) => ended,
        (None, None) => return,
    };
    let bytes = last.filter(|m| m.side == by).map(|m| match is_error_code(m) {
        true => m.high.min(*ERROR_CODE_BYTES.end()),
        false => m.high,
    });
    let round = u32::try_from(rounds).unwrap_or(u32::MAX);
    let reading = if said.is_some() { Reading::Opened } else { Reading::Inferred };
    let status = said.map(|(_, status)| status);
    let told = said.is_some() || by == Side::Client;
    let or = (!told && may_be_kerberos(exchange)).then_some(OtherReading::Ticket);
    reader.say_read(seen, reading, What::CredsspRefused { by, round, bytes, status, or });
}

/// One opened CredSSP message.
struct Spoken {
    message: Message,
    request: TsRequest,
}

/// CredSSP as it was opened.
pub(super) struct Exchange {
    /// In order of time.
    spoken: Vec<Spoken>,
    early: Option<(Sighting, u32)>,
    /// Where MCS begins in the stream of the client, and of the server.
    pub(super) behind: (u64, u64),
}

impl Exchange {
    /// The messages of both directions from their start on.
    pub(super) fn of(opened: &Opened, early_result: bool) -> Self {
        let (mut spoken, _, client_behind) = one_way(&opened.client.stream, Side::Client, false);
        let (from_server, early, server_behind) = one_way(&opened.server.stream, Side::Server, early_result);
        spoken.extend(from_server);
        spoken.sort_by_key(|spoken| spoken.message.seen);
        Self { spoken, early, behind: (client_behind, server_behind) }
    }

    /// The error code of the server.
    pub(super) fn error(&self) -> Option<(Sighting, Status)> {
        let from_server = self.spoken.iter().filter(|spoken| spoken.message.side == Side::Server);
        let mut errors = from_server.filter_map(|spoken| Some((spoken.message.seen, spoken.request.error?)));
        errors.find(|(_, status)| status.is_failure())
    }

    /// Says it. `initial` is the MCS Connect Initial behind it.
    pub(super) fn read(&self, reader: &mut Reader<'_>, initial: Option<Sighting>) {
        let messages: Vec<Message> = self.spoken.iter().map(|spoken| spoken.message).collect();
        let requests: Vec<&TsRequest> = self.spoken.iter().map(|spoken| &spoken.request).collect();
        say_rounds(reader, &messages, &requests);
        let mut last = Last::default();
        for spoken in &self.spoken {
            let (request, seen) = (&spoken.request, spoken.message.seen);
            let kerberos = request.spnego.as_ref().and_then(|spnego| spnego.kerberos.as_ref());
            let named = request.ntlm.as_ref().and_then(|ntlm| named(ntlm, seen));
            let clock = last.clock(reader, spoken);
            for what in named.into_iter().chain(kerberos.and_then(shown)).chain(clock) {
                reader.tell(&spoken.message, what);
            }
            last.take(spoken);
        }
        match (self.early, initial) {
            // Some servers send a result behind the error, too; it is no more about the right to connect.
            (_, None) if self.error().is_some() => refused(reader, &messages, self.error(), None),
            (Some((seen, result)), _) => {
                reader.say_read(seen, Reading::Opened, What::CredsspDone {});
                let what = What::EarlyAuthorization { result: Some(result), or: None };
                reader.say_read(seen, Reading::Opened, what);
            }
            (None, Some(seen)) => reader.say_read(seen, Reading::Opened, What::CredsspDone {}),
            (None, None) => {
                let handed_over = |last: &&Spoken| {
                    last.message.side == Side::Client
                        && last.request.has_credentials
                        && left_by_client(reader)
                };
                match self.spoken.last().filter(handed_over) {
                    Some(last) => {
                        reader.say_read(last.message.seen, Reading::Opened, What::CredsspDone {});
                    }
                    None => refused(reader, &messages, None, None),
                }
            }
        }
    }
}

/// What was said before a message, by which it is told whose clock it holds.
#[derive(Default)]
struct Last {
    client: Option<Sighting>,
    server: Option<Sighting>,
    /// The time of the server's challenge, once there was one.
    challenged: Option<Option<UnixNanos>>,
}

impl Last {
    fn take(&mut self, spoken: &Spoken) {
        let seen = Some(spoken.message.seen);
        match spoken.message.side {
            Side::Client => self.client = seen,
            Side::Server => self.server = seen,
        }
        if let Some(Ntlm::Challenge { time, .. }) = &spoken.request.ntlm {
            self.challenged = Some(*time);
        }
    }

    /// The clock of the client in its NTLMv2 response, unless it copies the server's; of the server in a KRB-ERROR.
    fn clock(&self, reader: &Reader<'_>, spoken: &Spoken) -> Option<What> {
        let seen = spoken.message.seen;
        let told =
            |of: SocketAddr, name: Option<String>, by: &str, time: UnixNanos, asked: Option<Sighting>| {
                asked.map(|asked| What::HostClock {
                    of: of.ip(),
                    name,
                    by: by.to_owned(),
                    ahead_ms: clock::ahead_ms(time, seen),
                    within_ms: clock::within_ms(Some(asked), seen),
                    asker: None,
                    asker_port: None,
                })
            };
        let (flow, request) = (reader.flow, &spoken.request);
        let kerberos = request.spnego.as_ref().and_then(|spnego| spnego.kerberos.as_ref());
        match (&request.ntlm, kerberos) {
            (Some(Ntlm::Authenticate { time: Some(time), workstation, .. }), _)
                if self.challenged == Some(None) =>
            {
                told(flow.client, workstation.clone(), "ntlm", *time, self.server)
            }
            (_, Some(KerberosToken { server_time: Some(time), .. })) => {
                told(flow.server, None, "kerberos", *time, self.client)
            }
            _ => None,
        }
    }
}

/// Whom an NTLM message names. The server writes its clock into its challenge right before it sends it (MS-NLMP 3.2.5.1.1).
fn named(ntlm: &Ntlm, seen: Sighting) -> Option<What> {
    let build = |version: Option<NtlmVersion>| version.map(|version| u32::from(version.build));
    match ntlm.clone() {
        Ntlm::Authenticate { user, domain, workstation, target, version, .. } => {
            let build = build(version);
            user.is_some().then_some(What::UserNamed { user, domain, workstation, target, build })
        }
        Ntlm::Challenge { computer, domain, version, time, .. } => {
            let clock_ms = time.map(|time| time.since(seen.at) / 1_000_000);
            let build = build(version);
            let named = computer.is_some() || domain.is_some();
            named.then_some(What::TargetNamed { computer, domain, build, clock_ms })
        }
        Ntlm::Negotiate { .. } | Ntlm::Other(_) => None,
    }
}

/// A ticket that the client shows, or why the server does not take it.
fn shown(token: &KerberosToken) -> Option<What> {
    match token.kind {
        TokenId::AP_REQ => {
            Some(What::KerberosTicket { realm: token.realm.clone(), service: token.service.clone() })
        }
        _ => Some(What::KerberosFailed {
            code: token.error?,
            service: token.service.clone(),
            realm: token.realm.clone(),
            user: None,
            asker: None,
            status: token.status,
            kdc_ahead_s: None,
        }),
    }
}

/// The messages of one side, its early authorization result, and where MCS begins. A gap is passed over to the next
/// record.
fn one_way(stream: &Stream, side: Side, early_result: bool) -> (Vec<Spoken>, Option<(Sighting, u32)>, u64) {
    let mut spoken = Vec::new();
    let (mut early, mut at) = (None, 0);
    while spoken.len() < REQUESTS_MAX {
        let bytes = stream.from(at);
        if matches!(tpkt::unit(bytes), Ok(tpkt::Unit::Tpdu { .. })) {
            break;
        }
        if let Ok((request, length)) = ts_request(bytes) {
            let length = u64::try_from(length).unwrap_or(u64::MAX);
            let Some(seen) = stream.seen(at + length - 1) else { break };
            let bytes = u32::try_from(length).unwrap_or(u32::MAX);
            let message =
                Message { side, low: bytes, high: bytes, seen, kind: None, reading: Reading::Opened };
            spoken.push(Spoken { message, request });
            at += length;
        } else if let Some((result, seen)) = bytes
            .first_chunk::<4>()
            .zip(stream.seen(at))
            .filter(|_| early_result && early.is_none() && !spoken.is_empty())
        {
            early = Some((seen, u32::from_le_bytes(*result)));
            at += u64::from(EARLY_RESULT_BYTES);
        } else {
            let Some(next) = stream.segments_from(at + 1).next() else { break };
            at = next;
        }
    }
    (spoken, early, at)
}

/// Who ended the connection first: by an alert, a FIN or a reset.
fn ended_by(reader: &Reader<'_>) -> Option<(Side, Sighting)> {
    let flow = reader.flow;
    let closes = [Side::Client, Side::Server].into_iter().flat_map(|side| {
        let half = flow.half(side);
        [half.fin, half.reset.map(|reset| reset.seen)].into_iter().flatten().map(move |seen| (side, seen))
    });
    let alerts = reader.facts.iter().filter_map(|fact| match fact.what {
        What::EncryptedAlert { by, .. } => Some((by, Sighting { at: fact.at, place: fact.place })),
        _ => None,
    });
    closes.chain(alerts).min_by_key(|(_, seen)| *seen)
}
