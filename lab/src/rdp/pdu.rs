//! PDUs of the connection sequence, each from its TPKT header on (MS-RDPBCGR 2.2.1 and 4.1).

use super::talk::Names;

/// The I/O channel.
pub const IO_CHANNEL: u16 = 1003;
/// The message channel.
pub const MESSAGE_CHANNEL: u16 = 1009;
/// The user that the server gives.
pub const USER: u16 = 1007;

/// `clientBuild` that is written.
pub const CLIENT_BUILD: u32 = 20_348;
/// Static virtual channels that are asked for, with their options.
pub const CHANNELS: [(&str, u32); 4] =
    [("rdpdr", 0x8080_0000), ("rdpsnd", 0xc000_0000), ("cliprdr", 0xc0a0_0000), ("drdynvc", 0xc080_0000)];

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// UTF-16 with an ending 0, in exactly `length` bytes.
fn utf16_in(text: &str, length: usize) -> Vec<u8> {
    let mut bytes = utf16(text);
    bytes.truncate(length.saturating_sub(2));
    bytes.resize(length, 0);
    bytes
}

fn tpkt(code: u8, header: &[u8], body: &[u8]) -> Vec<u8> {
    let length = (4 + 2 + header.len() + body.len()) as u16;
    let mut bytes = vec![3, 0];
    bytes.extend(length.to_be_bytes());
    bytes.extend([(1 + header.len()) as u8, code]);
    bytes.extend(header);
    bytes.extend(body);
    bytes
}

/// An X.224 data TPDU with an MCS PDU.
pub fn data(mcs: &[u8]) -> Vec<u8> {
    tpkt(0xf0, &[0x80], mcs)
}

/// X.224 connection request with a cookie and the protocols asked for.
pub fn connection_request(cookie: &str, protocols: u32) -> Vec<u8> {
    let mut body = vec![0, 0, 0, 0, 0];
    body.extend(format!("Cookie: mstshash={cookie}\r\n").bytes());
    body.extend([1, 0, 8, 0]);
    body.extend(protocols.to_le_bytes());
    tpkt(0xe0, &body, &[])
}

/// X.224 connection confirm with the protocol chosen.
pub fn connection_confirm(protocol: u32) -> Vec<u8> {
    let mut body = vec![0, 0, 0x12, 0x34, 0, 2, 0x1f, 8, 0];
    body.extend(protocol.to_le_bytes());
    tpkt(0xd0, &body, &[])
}

/// X.224 disconnect request with its reason.
pub fn disconnect_request(reason: u8) -> Vec<u8> {
    tpkt(0x80, &[0, 0, 0x12, 0x34, reason], &[])
}

fn ber(tag: &[u8], body: &[u8]) -> Vec<u8> {
    let length = body.len() as u16;
    let mut bytes = tag.to_vec();
    match length {
        0..=0x7f => bytes.push(length as u8),
        _ => {
            bytes.push(0x82);
            bytes.extend(length.to_be_bytes());
        }
    }
    bytes.extend(body);
    bytes
}

fn domain_parameters(numbers: [u32; 8]) -> Vec<u8> {
    let number = |number: &u32| match number {
        0..=0x7f => vec![2, 1, *number as u8],
        0x80..=0x7fff => [&[2, 2][..], &(*number as u16).to_be_bytes()].concat(),
        _ => [&[2, 3, 0][..], &(*number as u16).to_be_bytes()].concat(),
    };
    ber(&[0x30], &numbers.iter().flat_map(number).collect::<Vec<u8>>())
}

fn block(kind: u16, data: &[u8]) -> Vec<u8> {
    let length = (data.len() + 4) as u16;
    [&kind.to_le_bytes()[..], &length.to_le_bytes(), data].concat()
}

/// What the GCC conference PDU puts around user data: its length in PER behind a key.
fn conference(head: &[u8], key: &[u8; 4], user: &[u8]) -> Vec<u8> {
    let length = 0x8000 | user.len() as u16;
    [head, key, &length.to_be_bytes()[..], user].concat()
}

/// MCS Connect Initial with every block that a current client sends; `selected` is the protocol that it read in the confirm.
pub fn connect_initial(client_name: &str, selected: u32) -> Vec<u8> {
    let mut core = vec![0x0c, 0, 8, 0, 0x80, 7, 0x38, 4, 0x01, 0xca, 0x03, 0xaa, 9, 4, 0, 0];
    core.extend(CLIENT_BUILD.to_le_bytes());
    core.extend(utf16_in(client_name, 32));
    core.extend([4, 0, 0, 0, 0, 0, 0, 0, 12, 0, 0, 0]);
    core.extend([0; 64]);
    core.extend([0x01, 0xca, 1, 0, 0, 0, 0, 0, 24, 0, 15, 0]);
    core.extend(0x05af_u16.to_le_bytes());
    core.extend([0; 64]);
    core.extend([6, 0]);
    core.extend(selected.to_le_bytes());
    let mut net = (CHANNELS.len() as u32).to_le_bytes().to_vec();
    for (name, options) in CHANNELS {
        let mut bytes = name.as_bytes().to_vec();
        bytes.resize(8, 0);
        net.extend(bytes);
        net.extend(options.to_le_bytes());
    }
    let user = [
        block(0xc001, &core),
        block(0xc004, &[0x15, 0, 0, 0, 0, 0, 0, 0]),
        block(0xc002, &[0x1b, 0, 0, 0, 0, 0, 0, 0]),
        block(0xc003, &net),
        block(0xc006, &[0; 4]),
        block(0xc00a, &[5, 3, 0, 0]),
    ]
    .concat();
    // T.124 ConnectData with a ConferenceCreateRequest, whose lengths are PER.
    let inner = (0x8000 | (user.len() + 14) as u16).to_be_bytes();
    let head = [&[0, 5, 0, 0x14, 0x7c, 0, 1][..], &inner, &[0, 8, 0, 0x10, 0, 1, 0xc0, 0]].concat();
    let gcc = conference(&head, b"Duca", &user);
    let body = [
        ber(&[4], &[1]),
        ber(&[4], &[1]),
        ber(&[1], &[0xff]),
        domain_parameters([34, 2, 0, 1, 0, 1, 65_535, 2]),
        domain_parameters([1, 1, 1, 1, 0, 1, 1_056, 2]),
        domain_parameters([65_535, 64_535, 65_535, 1, 0, 1, 65_535, 2]),
        ber(&[4], &gcc),
    ]
    .concat();
    data(&ber(&[0x7f, 0x65], &body))
}

/// MCS Connect Response under TLS; `requested` are the protocols that the server read in the request.
pub fn connect_response(requested: u32) -> Vec<u8> {
    let mut core = vec![0x0c, 0, 8, 0];
    core.extend(requested.to_le_bytes());
    core.extend([1, 0, 0, 0]);
    let mut net = IO_CHANNEL.to_le_bytes().to_vec();
    net.extend((CHANNELS.len() as u16).to_le_bytes());
    net.extend((0..CHANNELS.len() as u16).flat_map(|index| (IO_CHANNEL + 1 + index).to_le_bytes()));
    let user = [
        block(0x0c01, &core),
        block(0x0c02, &[0; 8]),
        block(0x0c03, &net),
        block(0x0c04, &MESSAGE_CHANNEL.to_le_bytes()),
        block(0x0c08, &[5, 3, 0, 0]),
    ]
    .concat();
    let head = [&[0, 5, 0, 0x14, 0x7c, 0, 1][..], &[0x2a, 0x14, 0x76, 0x0a, 1, 1, 0, 1, 0xc0, 0]].concat();
    let gcc = conference(&head, b"McDn", &user);
    let body = [
        ber(&[10], &[0]),
        ber(&[2], &[0]),
        domain_parameters([34, 3, 0, 1, 0, 1, 65_528, 2]),
        ber(&[4], &gcc),
    ]
    .concat();
    data(&ber(&[0x7f, 0x66], &body))
}

/// Erect Domain Request.
pub fn erect_domain() -> Vec<u8> {
    data(&[0x04, 1, 0, 1, 0])
}

/// Attach User Request.
pub fn attach_user() -> Vec<u8> {
    data(&[0x28])
}

/// Attach User Confirm.
pub fn attach_confirm() -> Vec<u8> {
    let user = (USER - 1001).to_be_bytes();
    data(&[0x2e, 0, user[0], user[1]])
}

/// Channel Join Request.
pub fn join(channel: u16) -> Vec<u8> {
    let (user, channel) = ((USER - 1001).to_be_bytes(), channel.to_be_bytes());
    data(&[0x38, user[0], user[1], channel[0], channel[1]])
}

/// Channel Join Confirm with its result.
pub fn join_confirm(channel: u16, result: u8) -> Vec<u8> {
    let (user, channel) = ((USER - 1001).to_be_bytes(), channel.to_be_bytes());
    let head = [0x3c | 2 | (result >> 3), (result & 7) << 5];
    let mut body = vec![head[0], head[1], user[0], user[1], channel[0], channel[1]];
    body.extend(channel);
    data(&body)
}

/// Disconnect Provider Ultimatum with its reason.
pub fn ultimatum(reason: u8) -> Vec<u8> {
    data(&[0x20 | (reason >> 1), (reason & 1) << 7])
}

/// Send Data Request of the client (0x64) or Indication of the server (0x68).
fn send(choice: u8, channel: u16, payload: &[u8]) -> Vec<u8> {
    let mut body = vec![choice];
    body.extend((if choice == 0x64 { USER - 1001 } else { 1 }).to_be_bytes());
    body.extend(channel.to_be_bytes());
    body.push(0x70);
    let length = payload.len() as u16;
    match length {
        0..=0x7f => body.push(length as u8),
        _ => body.extend((0x8000 | length).to_be_bytes()),
    }
    body.extend(payload);
    data(&body)
}

/// Data of the client on a channel.
pub fn from_client(channel: u16, payload: &[u8]) -> Vec<u8> {
    send(0x64, channel, payload)
}

/// Data of the server on a channel.
pub fn from_server(channel: u16, payload: &[u8]) -> Vec<u8> {
    send(0x68, channel, payload)
}

/// Client Info with these names, and a password that must never be seen again.
pub fn client_info(names: &Names<'_>) -> Vec<u8> {
    let strings = [names.domain, names.user, names.password, "", ""].map(utf16);
    let mut info = vec![0x40, 0, 0, 0, 9, 4, 0, 0];
    info.extend(0x0001_47fb_u32.to_le_bytes());
    for string in &strings {
        info.extend((string.len() as u16).to_le_bytes());
    }
    for string in &strings {
        info.extend(string);
        info.extend([0, 0]);
    }
    info.extend([2, 0]);
    for string in ["198.51.100.7\0", "C:\\Windows\\System32\\mstscax.dll\0"] {
        info.extend((utf16(string).len() as u16).to_le_bytes());
        info.extend(utf16(string));
    }
    info.extend((-60_i32).to_le_bytes());
    info.extend(utf16_in("W. Europe Standard Time", 64));
    info.extend([0, 0, 10, 0, 0, 0, 5, 0, 3, 0, 0, 0, 0, 0, 0, 0]);
    info.extend(0_u32.to_le_bytes());
    info.extend(utf16_in("W. Europe Daylight Time", 64));
    info.extend([0, 0, 3, 0, 0, 0, 5, 0, 2, 0, 0, 0, 0, 0, 0, 0]);
    info.extend((-60_i32).to_le_bytes());
    info.extend([0, 0, 0, 0, 7, 0, 0, 0, 0, 0]);
    from_client(IO_CHANNEL, &info)
}

/// The end of licensing: an error alert that says that all is well, or another code.
pub fn license_error(code: u32, transition: u32) -> Vec<u8> {
    let mut message = vec![0x80, 0, 0, 0, 0xff, 3, 16, 0];
    message.extend(code.to_le_bytes());
    message.extend(transition.to_le_bytes());
    message.extend([4, 0, 0, 0]);
    from_server(IO_CHANNEL, &message)
}

fn capability(kind: u16, data: &[u8]) -> Vec<u8> {
    block(kind, data)
}

fn capabilities() -> Vec<Vec<u8>> {
    let general = [1, 0, 3, 0, 0, 2, 0, 0, 0, 0, 0x1d, 4, 0, 0, 0, 0, 0, 0, 1, 1];
    let bitmap = [32, 0, 1, 0, 1, 0, 1, 0, 0x80, 7, 0x38, 4, 0, 0, 1, 0, 1, 0, 0, 0x1e, 1, 0, 0, 0];
    let mut order = vec![0; 84];
    order[20..28].copy_from_slice(&[1, 0, 20, 0, 0, 0, 1, 0]);
    order[30] = 0x22;
    vec![
        capability(1, &general),
        capability(2, &bitmap),
        capability(3, &order),
        capability(8, &[1, 0, 20, 0, 21, 0]),
        capability(20, &[1, 0, 0, 0, 0x40, 6, 0, 0]),
    ]
}

fn active(kind: u16, source: u16, originator: &[u8], descriptor: &[u8], tail: &[u8]) -> Vec<u8> {
    let sets = capabilities();
    let all = sets.concat();
    let mut body = vec![0xea, 3, 1, 0];
    body.extend(originator);
    body.extend((descriptor.len() as u16).to_le_bytes());
    body.extend((all.len() as u16 + 4).to_le_bytes());
    body.extend(descriptor);
    body.extend((sets.len() as u16).to_le_bytes());
    body.extend([0, 0]);
    body.extend(all);
    body.extend(tail);
    share_control(kind, source, &body)
}

fn share_control(kind: u16, source: u16, body: &[u8]) -> Vec<u8> {
    let length = (body.len() + 6) as u16;
    [&length.to_le_bytes()[..], &kind.to_le_bytes(), &source.to_le_bytes(), body].concat()
}

/// Demand Active.
pub fn demand_active() -> Vec<u8> {
    from_server(IO_CHANNEL, &active(0x11, 1002, &[], b"RDP\0", &[0; 4]))
}

/// Confirm Active.
pub fn confirm_active() -> Vec<u8> {
    from_client(IO_CHANNEL, &active(0x13, USER, &[0xea, 3], b"MSTSC\0", &[]))
}

/// A share data PDU of the server or the client.
pub fn share_data(by_server: bool, kind: u8, body: &[u8]) -> Vec<u8> {
    let mut data = vec![0xea, 3, 1, 0, 0, 1];
    data.extend((body.len() as u16 + 18).to_le_bytes());
    data.extend([kind, 0, 0, 0]);
    data.extend(body);
    let source = if by_server { 1002 } else { USER };
    let pdu = share_control(0x17, source, &data);
    if by_server { from_server(IO_CHANNEL, &pdu) } else { from_client(IO_CHANNEL, &pdu) }
}

/// Synchronize.
pub fn synchronize(by_server: bool) -> Vec<u8> {
    share_data(by_server, 0x1f, &[1, 0, 0xea, 3])
}

/// Control with its action: 1 request, 2 granted, 4 cooperate.
pub fn control(by_server: bool, action: u8) -> Vec<u8> {
    share_data(by_server, 0x14, &[action, 0, 0, 0, 0, 0, 0, 0])
}

/// Font List.
pub fn font_list() -> Vec<u8> {
    share_data(false, 0x27, &[0, 0, 0, 0, 3, 0, 50, 0])
}

/// Font Map.
pub fn font_map() -> Vec<u8> {
    share_data(true, 0x28, &[0, 0, 0, 0, 3, 0, 4, 0])
}

/// Set Error Info.
pub fn set_error_info(code: u32) -> Vec<u8> {
    share_data(true, 0x2f, &code.to_le_bytes())
}

/// Save Session Info of type 1: who is logged on to which session.
pub fn session_info(names: &Names<'_>, session: u32) -> Vec<u8> {
    let strings = [names.domain, names.user].map(|name| [utf16(name), vec![0, 0]].concat());
    let mut body = vec![1, 0, 0, 0, 1, 0, 18, 0, 0, 0];
    body.extend(session.to_le_bytes());
    for string in &strings {
        body.extend((string.len() as u32).to_le_bytes());
    }
    body.extend([0; 558]);
    body.extend(strings.concat());
    share_data(true, 0x26, &body)
}

/// Save Session Info of type 3 with a logon error.
pub fn logon_error(kind: u32, data: u32) -> Vec<u8> {
    let mut body = vec![3, 0, 0, 0, 18, 0, 2, 0, 0, 0, 8, 0, 0, 0];
    body.extend(kind.to_le_bytes());
    body.extend(data.to_le_bytes());
    body.resize(body.len() + 570, 0);
    share_data(true, 0x26, &body)
}

/// Enhanced server redirection to an address, with a routing token and these names.
pub fn redirection(address: &str, token: &str, names: &Names<'_>, session: u32) -> Vec<u8> {
    let field = |bytes: Vec<u8>| [&(bytes.len() as u32).to_le_bytes()[..], &bytes].concat();
    let name = |name: &str| field([utf16(name), vec![0, 0]].concat());
    let fields = [
        name(address),
        field(format!("{token}\r\n").into_bytes()),
        name(names.user),
        name(names.domain),
        name(names.password),
        name(names.host),
    ]
    .concat();
    let mut packet = vec![0, 4];
    packet.extend((fields.len() as u16 + 12).to_le_bytes());
    packet.extend(session.to_le_bytes());
    packet.extend(0x11f_u32.to_le_bytes());
    packet.extend(fields);
    let body = [&[0, 0][..], &packet, &[0]].concat();
    from_server(IO_CHANNEL, &share_control(0x1a, 1002, &body))
}

/// Heartbeat of the server on the message channel.
pub fn heartbeat(period: u8, warn_after: u8, reconnect_after: u8) -> Vec<u8> {
    from_server(MESSAGE_CHANNEL, &[0, 0x40, 0, 0, 0, period, warn_after, reconnect_after])
}
