//! MCS (T.125): the domain PDUs of a Remote Desktop connection, and what of Connect Initial and Connect Response is not GCC
//! user data (MS-RDPBCGR 2.2.1.3 to 2.2.1.9).

use super::cursor::{Cursor, WireError};
use super::gcc::{ClientData, ServerData, client_data, server_data};
use super::share::{Payload, payload};

/// Reason of a Disconnect Provider Ultimatum (T.125 7, `Reason`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UltimatumReason(pub u8);

impl UltimatumReason {
    /// The name in the standard, or `None` for a number that it does not have.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            0 => "rn-domain-disconnected",
            1 => "rn-provider-initiated",
            2 => "rn-token-purged",
            3 => "rn-user-requested",
            4 => "rn-channel-purged",
            _ => return None,
        })
    }
}

/// `Result` of a confirm or of Connect Response (T.125 7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct McsResult(pub u8);

impl McsResult {
    /// It worked.
    pub const SUCCESSFUL: Self = Self(0);

    /// The name in the standard, or `None` for a number that it does not have.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            0 => "rt-successful",
            1 => "rt-domain-merging",
            2 => "rt-domain-not-hierarchical",
            3 => "rt-no-such-channel",
            4 => "rt-no-such-domain",
            5 => "rt-no-such-user",
            6 => "rt-not-admitted",
            7 => "rt-other-user-id",
            8 => "rt-parameters-unacceptable",
            9 => "rt-token-not-available",
            10 => "rt-token-not-possessed",
            11 => "rt-too-many-channels",
            12 => "rt-too-many-tokens",
            13 => "rt-too-many-users",
            14 => "rt-unspecified-failure",
            15 => "rt-user-rejected",
            _ => return None,
        })
    }
}

/// `DomainParameters` (T.125 7). What is not there is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DomainParameters {
    /// `maxChannelIds`.
    pub channel_ids_max: u32,
    /// `maxUserIds`.
    pub user_ids_max: u32,
    /// `maxTokenIds`.
    pub token_ids_max: u32,
    /// `numPriorities`.
    pub priorities: u32,
    /// `minThroughput`.
    pub throughput_min: u32,
    /// `maxHeight`.
    pub height_max: u32,
    /// `maxMCSPDUsize`.
    pub pdu_bytes_max: u32,
    /// `protocolVersion`.
    pub version: u32,
}

/// Connect Initial.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConnectInitial {
    /// Target, minimum and maximum parameters, as far as they are there.
    pub parameters: Vec<DomainParameters>,
    /// The GCC blocks.
    pub client: ClientData,
}

/// Connect Response.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConnectResponse {
    /// `result`.
    pub result: Option<McsResult>,
    /// `domainParameters`.
    pub parameters: Option<DomainParameters>,
    /// The GCC blocks.
    pub server: ServerData,
}

/// Kind of an MCS PDU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum McsPdu {
    /// Connect Initial.
    ConnectInitial(Box<ConnectInitial>),
    /// Connect Response.
    ConnectResponse(Box<ConnectResponse>),
    /// Erect Domain Request.
    ErectDomain,
    /// Disconnect Provider Ultimatum, with its reason.
    Ultimatum {
        /// Its reason.
        reason: UltimatumReason,
    },
    /// Attach User Request.
    AttachUserRequest,
    /// Attach User Confirm.
    AttachUserConfirm {
        /// Its result.
        result: McsResult,
        /// The user that the server gave.
        user: Option<u16>,
    },
    /// Channel Join Request.
    JoinRequest {
        /// The channel; 0 when it is cut.
        channel: u16,
    },
    /// Channel Join Confirm.
    JoinConfirm {
        /// Its result.
        result: McsResult,
        /// The channel that was asked for.
        requested: u16,
    },
    /// Send Data Request or Indication.
    Data(Payload),
    /// Another choice of the domain PDU.
    Other(u8),
}

/// A user id is 1001 and what stands on the wire (T.125 7, `UserId`).
const USER_BASE: u16 = 1001;
const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const ENUMERATED: u8 = 0x0a;

/// Reads an MCS PDU: what an X.224 data TPDU carries.
///
/// # Errors
/// [`WireError::Short`] when it is empty or cut before its kind is known.
pub fn pdu(body: &[u8]) -> Result<McsPdu, WireError> {
    let mut at = Cursor::new(body);
    let first = at.u8("MCS choice")?;
    if first == 0x7f {
        let application = at.u8("MCS application tag")?;
        return match application {
            0x65 => Ok(McsPdu::ConnectInitial(Box::new(ConnectInitial {
                parameters: initial_parameters(body).unwrap_or_default(),
                client: client_data(body),
            }))),
            0x66 => Ok(McsPdu::ConnectResponse(Box::new(connect_response(body)))),
            other => Ok(McsPdu::Other(other)),
        };
    }
    Ok(match first >> 2 {
        1 => McsPdu::ErectDomain,
        8 => {
            let second = at.u8("reason").unwrap_or(0);
            McsPdu::Ultimatum { reason: UltimatumReason(((first & 0x03) << 1) | (second >> 7)) }
        }
        10 => McsPdu::AttachUserRequest,
        11 => {
            let result = confirm_result(first, &mut at);
            let user = at.u16_be("initiator").ok().and_then(|user| user.checked_add(USER_BASE));
            McsPdu::AttachUserConfirm { result, user }
        }
        14 => {
            at.u16_be("initiator").ok();
            McsPdu::JoinRequest { channel: at.u16_be("channelId").unwrap_or(0) }
        }
        15 => {
            let result = confirm_result(first, &mut at);
            at.u16_be("initiator").ok();
            McsPdu::JoinConfirm { result, requested: at.u16_be("requested").unwrap_or(0) }
        }
        25 | 26 => {
            let [_, _, high, low, _] = at.take::<5>("initiator, channel, priority")?;
            at.per_length("user data length")?;
            McsPdu::Data(payload(u16::from_be_bytes([high, low]), at.rest()))
        }
        other => McsPdu::Other(other),
    })
}

/// The result of a confirm: 4 bits behind the choice (6) and the flag of an optional field (1), so that one stands in the
/// first byte and three in the second (X.691 10.5.7, 13; MS-RDPBCGR 4.1.6).
fn confirm_result(first: u8, at: &mut Cursor<'_>) -> McsResult {
    McsResult(((first & 1) << 3) | (at.u8("result").unwrap_or(0) >> 5))
}

/// Connect Initial: tag (2), length, two selectors, the upward flag, then three times the parameters.
fn initial_parameters(body: &[u8]) -> Option<Vec<DomainParameters>> {
    let mut at = Cursor::new(body.get(2..)?);
    at.ber_length("Connect Initial").ok()?;
    for what in ["callingDomainSelector", "calledDomainSelector", "upwardFlag"] {
        element(&mut at, what)?;
    }
    Some((0..3).map_while(|_| domain_parameters(&mut at)).collect())
}

/// Connect Response: tag (2), length, result, `calledConnectId`, parameters.
fn connect_response(body: &[u8]) -> ConnectResponse {
    let mut response = ConnectResponse { server: server_data(body), ..ConnectResponse::default() };
    let mut at = Cursor::new(body.get(2..).unwrap_or_default());
    if at.ber_length("Connect Response").is_err() {
        return response;
    }
    let Some((ENUMERATED, [result])) = element(&mut at, "result") else { return response };
    response.result = Some(McsResult(*result));
    response.parameters = element(&mut at, "calledConnectId").and_then(|_| domain_parameters(&mut at));
    response
}

/// Tag and content of the BER element at the cursor.
fn element<'a>(at: &mut Cursor<'a>, what: &'static str) -> Option<(u8, &'a [u8])> {
    let tag = at.u8(what).ok()?;
    let length = at.ber_length(what).ok()?;
    Some((tag, at.slice(length, what).ok()?))
}

fn domain_parameters(at: &mut Cursor<'_>) -> Option<DomainParameters> {
    let (SEQUENCE, inside) = element(at, "DomainParameters")? else { return None };
    let mut inside = Cursor::new(inside);
    let mut number = || match element(&mut inside, "parameter") {
        Some((INTEGER, digits)) => digits.iter().fold(0_u32, |sum, byte| (sum << 8) | u32::from(*byte)),
        _ => 0,
    };
    Some(DomainParameters {
        channel_ids_max: number(),
        user_ids_max: number(),
        token_ids_max: number(),
        priorities: number(),
        throughput_min: number(),
        height_max: number(),
        pdu_bytes_max: number(),
        version: number(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domain_pdus_are_told_by_their_first_byte() {
        assert_eq!(pdu(&[0x04, 1, 0, 1, 0]), Ok(McsPdu::ErectDomain));
        assert_eq!(pdu(&[0x28]), Ok(McsPdu::AttachUserRequest));
        let attached = McsPdu::AttachUserConfirm { result: McsResult::SUCCESSFUL, user: Some(1007) };
        assert_eq!(pdu(&[0x2e, 0, 0, 6]), Ok(attached));
        assert_eq!(pdu(&[0x38, 0, 6, 3, 0xeb]), Ok(McsPdu::JoinRequest { channel: 1003 }));
        assert_eq!(pdu(&[0x21, 0x80]), Ok(McsPdu::Ultimatum { reason: UltimatumReason(3) }));
        assert_eq!(pdu(&[]), Err(WireError::Short { what: "MCS choice", need: 1, have: 0 }));
    }

    #[test]
    fn results_stand_across_two_bytes() {
        let refused = McsPdu::AttachUserConfirm { result: McsResult(13), user: None };
        assert_eq!(pdu(&[0x2d, 0xa0]), Ok(refused));
        let no_channel = McsPdu::JoinConfirm { result: McsResult(3), requested: 1005 };
        assert_eq!(pdu(&[0x3c, 0x60, 0, 6, 3, 0xed]), Ok(no_channel));
        assert_eq!((McsResult(13).name(), McsResult(16).name()), (Some("rt-too-many-users"), None));
    }

    #[test]
    fn every_reason_of_an_ultimatum() {
        let reason = |bytes: [u8; 2]| match pdu(&bytes) {
            Ok(McsPdu::Ultimatum { reason }) => reason,
            other => panic!("{other:?}"),
        };
        for (bytes, name) in [
            ([0x20, 0x00], "rn-domain-disconnected"),
            ([0x20, 0x80], "rn-provider-initiated"),
            ([0x21, 0x00], "rn-token-purged"),
            ([0x21, 0x80], "rn-user-requested"),
            ([0x22, 0x00], "rn-channel-purged"),
        ] {
            assert_eq!(reason(bytes).name(), Some(name));
        }
        assert_eq!(reason([0x23, 0x80]).name(), None);
    }

    #[test]
    fn connect_pdus_give_parameters_and_result() {
        let numbers = |values: [u8; 8]| {
            let inside: Vec<u8> = values.iter().flat_map(|value| [2, 1, *value]).collect();
            [&[0x30, 24][..], &inside].concat()
        };
        let mut initial = vec![0x7f, 0x65, 0x81, 0x90, 4, 1, 1, 4, 1, 1, 1, 1, 0xff];
        initial.extend(numbers([34, 2, 0, 1, 0, 1, 9, 2]));
        initial.extend(numbers([1, 1, 1, 1, 0, 1, 8, 2]));
        let Ok(McsPdu::ConnectInitial(read)) = pdu(&initial) else { panic!("not Connect Initial") };
        let maxima: Vec<u32> = read.parameters.iter().map(|one| one.channel_ids_max).collect();
        assert_eq!(maxima, [34, 1]);
        let mut response = vec![0x7f, 0x66, 0x40, 0x0a, 1, 8, 2, 1, 0];
        response.extend(numbers([34, 3, 0, 1, 0, 1, 9, 2]));
        response.resize(67, 0);
        let Ok(McsPdu::ConnectResponse(read)) = pdu(&response) else { panic!("not Connect Response") };
        assert_eq!(read.result.and_then(McsResult::name), Some("rt-parameters-unacceptable"));
        assert_eq!(read.parameters.map(|one| (one.user_ids_max, one.version)), Some((3, 2)));
    }
}
