//! Our readers against `ironrdp-pdu`: what it reads we read equal, and what it refuses we still read without panic.

use std::collections::BTreeMap;

use ironrdp_core::{decode, encode_vec};
use ironrdp_pdu::mcs::{ConnectInitial, ConnectResponse, McsMessage};
use ironrdp_pdu::nego::{ConnectionConfirm, ConnectionRequest, NegoRequestData, SecurityProtocol};
use ironrdp_pdu::rdp::ClientInfoPdu;
use ironrdp_pdu::rdp::capability_sets::CapabilitySet;
use ironrdp_pdu::rdp::headers::{ShareControlHeader, ShareControlPdu, ShareDataPdu};
use ironrdp_pdu::rdp::server_license::LicensePdu;
use ironrdp_pdu::rdp::session_info::{InfoData, SaveSessionInfoPdu};
use ironrdp_pdu::x224::X224;
use rdpwhy::wire::capability::Active;
use rdpwhy::wire::credssp::ts_request;
use rdpwhy::wire::mcs::{self, McsPdu};
use rdpwhy::wire::negotiation::{self, Confirm};
use rdpwhy::wire::session_info::SessionInfo;
use rdpwhy::wire::share::{self, Says};
use rdpwhy::wire::tpkt::{self, TpduCode, Unit};
use rdpwhy_lab::rdp::{Names, pdu};

use rdpwhy::packets::plain;
use rdpwhy::read::capture::read_source;
use rdpwhy::read::{Unwatched, inputs};

use crate::support::{children, corpus, root};

/// How many PDUs of each kind both read, and how many it refused, by its reason.
type Counts = BTreeMap<String, usize>;

fn count(counts: &mut Counts, kind: &str) {
    *counts.entry(kind.to_owned()).or_default() += 1;
}

/// What it reads; a refusal is counted with its reason.
fn theirs<T>(read: Result<T, ironrdp_core::DecodeError>, kind: &str, counts: &mut Counts) -> Option<T> {
    match read {
        Ok(read) => Some(read),
        Err(error) => {
            count(counts, &format!("{REFUSED}{kind}: {}", error.kind()));
            None
        }
    }
}

const REFUSED: &str = "refused ";

/// Compares one TPKT packet.
fn compare(packet: &[u8], counts: &mut Counts) {
    let Ok(Unit::Tpdu { code, body, .. }) = tpkt::unit(packet) else { return };
    match code {
        TpduCode::CONNECTION_REQUEST => request(packet, body, counts),
        TpduCode::CONNECTION_CONFIRM => confirm(packet, body, counts),
        TpduCode::DATA => data(packet, body, counts),
        _ => {}
    }
}

fn request(packet: &[u8], body: &[u8], counts: &mut Counts) {
    let ours = negotiation::request(body);
    let Some(X224(theirs)) = theirs(decode::<X224<ConnectionRequest>>(packet), "connection request", counts)
    else {
        return;
    };
    count(counts, "connection request");
    assert_eq!(ours.protocols.map_or(0, |protocols| protocols.0), theirs.protocol.bits());
    assert_eq!(ours.flags, theirs.flags.bits());
    if let Some(NegoRequestData::Cookie(cookie)) = theirs.nego_data {
        assert_eq!(ours.cookie.as_deref(), Some(cookie.0.as_bytes()));
    }
}

fn confirm(packet: &[u8], body: &[u8], counts: &mut Counts) {
    let ours = negotiation::confirm(body);
    let Some(X224(theirs)) = theirs(decode::<X224<ConnectionConfirm>>(packet), "connection confirm", counts)
    else {
        return;
    };
    match (ours, theirs) {
        (
            Ok(Confirm::Selected { flags, protocol }),
            ConnectionConfirm::Response { flags: f, protocol: p },
        ) => {
            count(counts, "connection confirm");
            // It drops bits that it does not know.
            assert_eq!((flags, protocol.0 & SecurityProtocol::all().bits()), (f.bits(), p.bits()));
        }
        (Ok(Confirm::Refused(code)), ConnectionConfirm::Failure { code: theirs }) => {
            count(counts, "negotiation failure");
            assert_eq!(code.0, u32::from(theirs));
        }
        // It takes a confirm without data for one with protocol 0.
        (Ok(Confirm::Plain), ConnectionConfirm::Response { .. }) => {}
        (ours, theirs) => panic!("{ours:?} against {theirs:?}"),
    }
}

fn data(packet: &[u8], body: &[u8], counts: &mut Counts) {
    let ours = mcs::pdu(body);
    if let Ok(McsPdu::ConnectInitial(ours)) = &ours {
        return connect_initial(ours, body, counts);
    }
    if let Ok(McsPdu::ConnectResponse(ours)) = &ours {
        return connect_response(ours, body, counts);
    }
    let Some(X224(theirs)) = theirs(decode::<X224<McsMessage<'_>>>(packet), "MCS", counts) else { return };
    match (ours.unwrap(), theirs) {
        (McsPdu::ErectDomain, McsMessage::ErectDomainRequest(_))
        | (McsPdu::AttachUserRequest, McsMessage::AttachUserRequest(_)) => count(counts, "MCS request"),
        (McsPdu::AttachUserConfirm { result, user }, McsMessage::AttachUserConfirm(theirs)) => {
            count(counts, "attach confirm");
            assert_eq!((result.0, user), (theirs.result, Some(theirs.initiator_id)));
        }
        (McsPdu::JoinRequest { channel }, McsMessage::ChannelJoinRequest(theirs)) => {
            count(counts, "join request");
            assert_eq!(channel, theirs.channel_id);
        }
        (McsPdu::JoinConfirm { result, requested }, McsMessage::ChannelJoinConfirm(theirs)) => {
            count(counts, "join confirm");
            // It reads a whole byte where the standard has four bits across two.
            assert_eq!((result.0 == 0, requested), (theirs.result == 0, theirs.requested_channel_id));
        }
        (McsPdu::Ultimatum { reason }, McsMessage::DisconnectProviderUltimatum(theirs)) => {
            count(counts, "ultimatum");
            assert_eq!(reason.name().unwrap().replace("rn-", "").replace('-', ""), ultimatum(&theirs));
        }
        (McsPdu::Data(ours), McsMessage::SendDataRequest(theirs)) => {
            count(counts, "data of the client");
            assert_eq!((ours.channel, ours.length), (theirs.channel_id, theirs.user_data.len()));
            payload(&ours, &theirs.user_data, counts);
        }
        (McsPdu::Data(ours), McsMessage::SendDataIndication(theirs)) => {
            count(counts, "data of the server");
            assert_eq!((ours.channel, ours.length), (theirs.channel_id, theirs.user_data.len()));
            payload(&ours, &theirs.user_data, counts);
        }
        (ours, theirs) => panic!("{ours:?} against {theirs:?}"),
    }
}

/// The name of a reason in lower case.
fn ultimatum(theirs: &ironrdp_pdu::mcs::DisconnectProviderUltimatum) -> String {
    format!("{:?}", theirs.reason).to_lowercase()
}

fn connect_initial(ours: &mcs::ConnectInitial, body: &[u8], counts: &mut Counts) {
    let Some(theirs) = theirs(decode::<ConnectInitial>(body), "connect initial", counts) else { return };
    count(counts, "connect initial");
    let blocks = theirs.conference_create_request.gcc_blocks();
    let (client, core, more) = (&ours.client, &blocks.core, &blocks.core.optional_data);
    assert_eq!(client.version, Some(core.version.0));
    assert_eq!(client.desktop, Some((core.desktop_width, core.desktop_height)));
    assert_eq!(
        (client.build, client.name.as_deref().unwrap_or("")),
        (Some(core.client_build), &*core.client_name)
    );
    assert_eq!(client.early_capabilities, more.early_capability_flags.map(|flags| flags.bits()));
    assert_eq!(client.selected.map(|p| p.0), more.server_selected_protocol.map(|p| p.bits()));
    let methods = client.encryption_methods.map(|(methods, _)| methods);
    assert_eq!(methods, Some(blocks.security.encryption_methods.bits()));
    let named = blocks.network.as_ref().map_or(&[][..], |network| &network.channels);
    let theirs_channels: Vec<Vec<u8>> = named.iter().map(|channel| encode_vec(channel).unwrap()).collect();
    let ours_channels = client.channels.iter().map(|channel| {
        let mut bytes = channel.name.as_bytes().to_vec();
        bytes.resize(8, 0);
        bytes.extend(channel.options.to_le_bytes());
        bytes
    });
    assert_eq!(ours_channels.collect::<Vec<_>>(), theirs_channels);
    assert_eq!(client.message_channel, blocks.message_channel.is_some());
    let flags = blocks.multi_transport_channel.as_ref().map(|data| encode_vec(data).unwrap());
    assert_eq!(client.multitransport.map(|flags| flags.to_le_bytes().to_vec()), flags);
    let of = |p: &mcs::DomainParameters| (p.channel_ids_max, p.user_ids_max, p.pdu_bytes_max, p.version);
    let sides = [&theirs.target_parameters, &theirs.min_parameters, &theirs.max_parameters];
    let sides = sides.map(|p| (p.max_channel_ids, p.max_user_ids, p.max_mcs_pdu_size, p.protocol_version));
    assert_eq!(ours.parameters.iter().map(of).collect::<Vec<_>>(), sides);
}

fn connect_response(ours: &mcs::ConnectResponse, body: &[u8], counts: &mut Counts) {
    let Some(theirs) = theirs(decode::<ConnectResponse>(body), "connect response", counts) else { return };
    count(counts, "connect response");
    let blocks = theirs.conference_create_response.gcc_blocks();
    let (server, more) = (&ours.server, &blocks.core.optional_data);
    assert_eq!(server.version, Some(blocks.core.version.0));
    assert_eq!(server.requested.map(|p| p.0), more.client_requested_protocols.map(|p| p.bits()));
    assert_eq!(server.early_capabilities, more.early_capability_flags.map(|flags| flags.bits()));
    assert_eq!(server.encryption_method, Some(blocks.security.encryption_method.bits()));
    assert_eq!(
        (server.io_channel, &server.channels),
        (Some(blocks.network.io_channel), &blocks.network.channel_ids)
    );
    let message = blocks.message_channel.as_ref().map(|data| encode_vec(data).unwrap());
    assert_eq!(server.message_channel.map(|id| id.to_le_bytes().to_vec()), message);
    assert_eq!(ours.parameters.map(|p| p.pdu_bytes_max), Some(theirs.domain_parameters.max_mcs_pdu_size));
    assert_eq!(ours.result.map(|result| result.0), Some(0));
}

/// What MCS data carries on the I/O channel.
fn payload(ours: &share::Payload, bytes: &[u8], counts: &mut Counts) {
    if ours.channel != IO_CHANNEL {
        return count(counts, "data of other channels");
    }
    match &ours.says {
        Some(Says::License(ours)) => {
            let Some(theirs) = theirs(decode::<LicensePdu>(bytes), "licensing", counts) else { return };
            count(counts, "licensing");
            let name = ours.kind.name().unwrap().replace('_', "").to_lowercase();
            let theirs_name = format!("{theirs:?}").to_lowercase();
            let head = theirs_name.split('(').next().unwrap();
            let same = head.contains(&name) || ours.error.is_some() || name == "newlicense";
            assert!(same, "{name} against {head}");
            if let LicensePdu::LicensingErrorMessage(theirs) = theirs {
                let name =
                    ours.error.unwrap().name().unwrap().replace("ERR_", "").replace('_', "").to_lowercase();
                assert_eq!(name, format!("{:?}", theirs.error_code).to_lowercase());
                let name = ours.transition.unwrap().name().unwrap().replace("ST_", "").replace('_', "");
                assert_eq!(name.to_lowercase(), format!("{:?}", theirs.state_transition).to_lowercase());
            }
        }
        Some(Says::ClientInfo(ours)) => {
            let Some(theirs) = theirs(decode::<ClientInfoPdu>(bytes), "client info", counts) else { return };
            count(counts, "client info");
            let (info, more) = (&theirs.client_info, &theirs.client_info.extra_info);
            assert_eq!(ours.user.as_deref(), Some(&*info.credentials.username));
            assert_eq!(
                ours.domain.as_deref().unwrap_or(""),
                info.credentials.domain.as_deref().unwrap_or("")
            );
            assert_eq!(ours.code_page, info.code_page);
            assert_eq!(ours.flags & info.flags.bits(), info.flags.bits());
            assert_eq!(ours.address.as_deref().unwrap_or(""), more.address);
            assert_eq!(ours.directory.as_deref().unwrap_or(""), more.dir);
            assert_eq!(ours.time_zone_bias, more.optional_data.timezone().map(|zone| zone.bias));
            assert_eq!(ours.performance, more.optional_data.performance_flags().map(|flags| flags.bits()));
            assert_eq!(ours.has_reconnect_cookie, more.optional_data.reconnect_cookie().is_some());
        }
        _ => {
            let kind = ours.says.as_ref().map_or("data that we leave closed".to_owned(), |says| {
                let name = format!("{says:?}");
                name.split(['(', ' ', '{']).next().unwrap_or_default().to_owned()
            });
            let Some(theirs) = theirs(decode::<ShareControlHeader>(bytes), &kind, counts) else { return };
            share_control(ours.says.as_ref(), theirs.share_control_pdu, counts);
        }
    }
}

fn share_control(ours: Option<&Says>, theirs: ShareControlPdu, counts: &mut Counts) {
    match (ours, theirs) {
        (Some(Says::DemandActive(ours)), ShareControlPdu::ServerDemandActive(theirs)) => {
            count(counts, "demand active");
            capabilities(ours, &theirs.pdu.capability_sets, &theirs.pdu.source_descriptor);
        }
        (Some(Says::ConfirmActive(ours)), ShareControlPdu::ClientConfirmActive(theirs)) => {
            count(counts, "confirm active");
            capabilities(ours, &theirs.pdu.capability_sets, &theirs.pdu.source_descriptor);
        }
        (Some(Says::DeactivateAll), ShareControlPdu::ServerDeactivateAll(_)) => {
            count(counts, "deactivate all")
        }
        (Some(Says::Compressed { .. }), ShareControlPdu::Data(_)) => count(counts, "compressed"),
        (ours, ShareControlPdu::Data(theirs)) => share_data(ours, theirs.share_data_pdu, counts),
        (ours, theirs) => panic!("{ours:?} against {theirs:?}"),
    }
}

/// Types of sets.
fn capabilities(ours: &Active, theirs: &[CapabilitySet], source: &str) {
    assert_eq!(ours.source.as_deref().unwrap_or(""), source.trim_end_matches('\0'));
    assert_eq!(ours.sets.len(), theirs.len());
    for (ours, theirs) in ours.sets.iter().zip(theirs) {
        let kind = match theirs {
            CapabilitySet::General(_) => 1,
            CapabilitySet::Bitmap(_) => 2,
            CapabilitySet::Order(_) => 3,
            CapabilitySet::BitmapCache(_) => 4,
            CapabilitySet::Control(_) => 5,
            CapabilitySet::WindowActivation(_) => 7,
            CapabilitySet::Pointer(_) => 8,
            CapabilitySet::Share(_) => 9,
            CapabilitySet::Sound(_) => 12,
            CapabilitySet::Input(_) => 13,
            CapabilitySet::Font(_) => 14,
            CapabilitySet::Brush(_) => 15,
            CapabilitySet::GlyphCache(_) => 16,
            CapabilitySet::OffscreenBitmapCache(_) => 17,
            CapabilitySet::BitmapCacheRev2(_) => 19,
            CapabilitySet::VirtualChannel(_) => 20,
            _ => continue,
        };
        assert_eq!(ours.kind.0, kind);
    }
}

fn share_data(ours: Option<&Says>, theirs: ShareDataPdu, counts: &mut Counts) {
    match (ours, theirs) {
        (Some(Says::Synchronize), ShareDataPdu::Synchronize(_)) => count(counts, "synchronize"),
        (Some(Says::Control(action)), ShareDataPdu::Control(theirs)) => {
            count(counts, "control");
            assert_eq!(encode_vec(&theirs).unwrap().first_chunk::<2>(), Some(&action.0.to_le_bytes()));
        }
        (Some(Says::FontList), ShareDataPdu::FontList(_)) => count(counts, "font list"),
        (Some(Says::FontMap), ShareDataPdu::FontMap(_)) => count(counts, "font map"),
        (Some(Says::ErrorInfo(code)), ShareDataPdu::ServerSetErrorInfo(theirs)) => {
            count(counts, "error info");
            assert_eq!(encode_vec(&theirs).unwrap(), code.0.to_le_bytes());
        }
        (Some(Says::SessionInfo(ours)), ShareDataPdu::SaveSessionInfo(theirs)) => {
            count(counts, "session info");
            session_info(ours, &theirs);
        }
        (Some(Says::MonitorLayout(count_)), ShareDataPdu::MonitorLayout(theirs)) => {
            count(counts, "monitor layout");
            assert_eq!(usize::try_from(*count_).unwrap(), theirs.monitors.len());
        }
        (Some(Says::AutoReconnectStatus(_)), ShareDataPdu::ArcStatusPdu(_))
        | (Some(Says::StatusInfo(_)), ShareDataPdu::StatusInfoPdu(_)) => count(counts, "status"),
        (None, _) => count(counts, "other share data"),
        (ours, theirs) => panic!("{ours:?} against {theirs:?}"),
    }
}

fn session_info(ours: &SessionInfo, theirs: &SaveSessionInfoPdu) {
    let names = |user: &str, domain: Option<&str>| {
        assert_eq!(ours.user.as_deref().unwrap_or(""), user);
        assert_eq!(ours.domain.as_deref().unwrap_or(""), domain.unwrap_or(""));
    };
    match &theirs.info_data {
        InfoData::LogonInfoV1(info) => {
            names(&info.logon_info.user_name, Some(&info.logon_info.domain_name));
        }
        InfoData::LogonInfoV2(info) => {
            names(&info.logon_info.user_name, Some(&info.logon_info.domain_name));
        }
        InfoData::PlainNotify => assert_eq!(ours.kind, 2),
        InfoData::LogonExtended(info) => {
            assert_eq!(ours.has_reconnect_cookie, info.auto_reconnect.is_some());
            let errors = info.errors_info.as_ref().map(|errors| encode_vec(errors).unwrap());
            let ours = ours.error.map(|(kind, data)| [kind.0.to_le_bytes(), data.0.to_le_bytes()].concat());
            // It writes the length of the field in front.
            assert_eq!(ours, errors.map(|bytes| bytes[bytes.len() - 8..].to_vec()));
        }
    }
}

/// The channel of the desktop's own PDUs (MS-RDPBCGR 2.2.1.4.4), with every server seen.
const IO_CHANNEL: u16 = 1003;

/// Compares every packet of a stream, behind whatever stands before MCS.
fn stream(bytes: &[u8], counts: &mut Counts) {
    let mut rest = bytes;
    while !rest.is_empty() {
        let length = match tpkt::unit(rest) {
            Ok(unit @ Unit::Tpdu { .. }) => {
                compare(&rest[..unit.length()], counts);
                unit.length()
            }
            Ok(unit) => unit.length(),
            Err(_) => ts_request(rest).map_or(1, |(_, length)| length),
        };
        rest = &rest[length.min(rest.len())..];
    }
}

#[test]
fn pdus_of_our_own_writers() {
    let names =
        Names { user: "alice", domain: "LAB", host: "rdsh01", workstation: "PC7", password: "secret" };
    let mut counts = Counts::new();
    let mut packets = vec![
        pdu::connection_request("alice", 11),
        pdu::connection_confirm(2),
        pdu::connect_initial("PC7", 2),
        pdu::connect_response(11),
        pdu::erect_domain(),
        pdu::attach_user(),
        pdu::attach_confirm(),
        pdu::join(1004),
        pdu::join_confirm(1004, 0),
        pdu::client_info(&names),
        pdu::demand_active(),
        pdu::confirm_active(),
        pdu::synchronize(true),
        pdu::font_list(),
        pdu::font_map(),
        pdu::session_info(&names, 3),
        pdu::logon_error(0xffff_ffff, 0),
        pdu::ultimatum(1),
        pdu::ultimatum(3),
    ];
    packets.extend([1, 2, 4].map(|action| pdu::control(true, action)));
    packets.extend([1, 2, 3, 6, 7, 8].map(|code| pdu::license_error(code, 1)));
    packets.extend([0, 1, 5, 7, 9, 0x101, 0x10c9].map(pdu::set_error_info));
    for packet in &packets {
        compare(packet, &mut counts);
    }
    for kind in ["connection request", "connect initial", "connect response", "client info", "licensing"] {
        assert!(counts.contains_key(kind), "{kind} was not read by both: {counts:?}");
    }
    for kind in ["demand active", "confirm active", "error info", "session info", "control", "join confirm"] {
        assert!(counts.contains_key(kind), "{kind} was not read by both: {counts:?}");
    }
}

/// What `ironrdp-pdu` writes itself, made of what it read.
#[test]
fn pdus_of_its_own_writers() {
    let mut counts = Counts::new();
    let initial = pdu::connect_initial("PC7", 2);
    let Ok(Unit::Tpdu { body, .. }) = tpkt::unit(&initial) else { panic!("no unit") };
    let theirs = decode::<ConnectInitial>(body).unwrap();
    let written = encode_vec(&theirs).unwrap();
    data(&[], &written, &mut counts);
    let response = pdu::connect_response(11);
    let Ok(Unit::Tpdu { body, .. }) = tpkt::unit(&response) else { panic!("no unit") };
    let written = encode_vec(&decode::<ConnectResponse>(body).unwrap()).unwrap();
    data(&[], &written, &mut counts);
    assert_eq!((counts["connect initial"], counts["connect response"]), (1, 1));
    let names = Names { user: "alice", domain: "LAB", password: "secret", ..Names::default() };
    for packet in [pdu::client_info(&names), pdu::demand_active(), pdu::confirm_active(), pdu::join(1004)] {
        let written = encode_vec(&decode::<X224<McsMessage<'_>>>(&packet).unwrap()).unwrap();
        compare(&written, &mut counts);
    }
    assert!(counts["client info"] == 1 && counts["join request"] == 1, "{counts:?}");
}

/// PDUs of real programs: those that stand among the seeds of the fuzz targets, and damaged ones.
#[test]
fn pdus_of_real_programs_and_damaged_ones() {
    let mut counts = Counts::new();
    for target in ["mcs", "x224"] {
        for path in children(&root().join("fuzz/seeds").join(target)) {
            let bytes = std::fs::read(path).unwrap();
            data(&[], &bytes, &mut counts);
            stream(&bytes, &mut counts);
            for place in 0..bytes.len().min(512) {
                let mut damaged = bytes.clone();
                damaged[place] ^= 0x41;
                let _ = mcs::pdu(&damaged);
                let _ = share::payload(1003, &damaged);
                if let Ok(Unit::Tpdu { body, .. }) = tpkt::unit(&damaged) {
                    let _ = (negotiation::request(body), negotiation::confirm(body));
                }
            }
        }
    }
    assert!(counts.contains_key("connect initial"), "{counts:?}");
}

/// PDUs of real connections, of the lab and of Windows: those in clear, and those that their secrets open. The table that
/// is printed has every kind that both read equal, and every refusal of `ironrdp-pdu` with its reason.
#[test]
fn pdus_of_every_stream_that_can_be_read() {
    let Some(folder) = corpus("") else { return };
    let mut counts = Counts::new();
    let mut streams = 0;
    let mut folders = children(&folder.join("lab"));
    folders.push(folder.join("public/pcap"));
    for folder in folders.iter().filter(|folder| folder.is_dir()) {
        let inventory = inputs::inventory(std::slice::from_ref(folder), &[]);
        let keys = rdpwhy::read::keys::collect(&inventory.inputs);
        for source in &inventory.sources {
            read_source(source, &inventory.inputs, &keys.log, &Unwatched, &mut |flow| {
                for half in plain(&flow, &keys.log).into_iter().flatten().filter(|half| !half.is_empty()) {
                    stream(half.from(0), &mut counts);
                    streams += 1;
                }
                // The negotiation stands in front of what opens.
                for half in [&flow.from_client, &flow.from_server] {
                    if let Ok(unit @ Unit::Tpdu { .. }) = tpkt::unit(half.stream.from(0)) {
                        compare(&half.stream.from(0)[..unit.length()], &mut counts);
                    }
                }
            });
        }
    }
    eprintln!("{streams} streams of one direction");
    for (kind, count) in &counts {
        eprintln!("{count:>7}  {kind}");
    }
    let both: usize =
        counts.iter().filter(|(kind, _)| !kind.starts_with(REFUSED)).map(|(_, count)| count).sum();
    assert!(streams >= 40 && both >= 1_000, "{streams} streams, {both} PDUs");
    for kind in ["connect initial", "connect response", "client info", "demand active", "confirm active"] {
        assert!(counts.contains_key(kind), "{kind} was not read by both: {counts:?}");
    }
}
