//! What goes past beside an RDP connection: DNS, Kerberos and ARP, as far as tests need them.

use std::net::{IpAddr, Ipv4Addr};

/// Tags of DER (X.690 8.1.2).
const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;
const GENERALIZED_TIME: u8 = 0x18;
const GENERAL_STRING: u8 = 0x1b;
const SEQUENCE: u8 = 0x30;

/// A DNS message with one question: an answer when `code` is given, with these addresses.
pub fn dns(id: u16, name: &str, kind: u16, code: Option<u8>, addresses: &[IpAddr]) -> Vec<u8> {
    let flags = match code {
        Some(code) => [0x81, 0x80 | code],
        None => [0x01, 0x00],
    };
    let mut out = id.to_be_bytes().to_vec();
    out.extend(flags);
    out.extend([0, 1, 0, addresses.len() as u8, 0, 0, 0, 0]);
    for label in name.split('.') {
        out.push(label.len() as u8);
        out.extend(label.as_bytes());
    }
    out.push(0);
    out.extend(kind.to_be_bytes());
    out.extend([0, 1]);
    for address in addresses {
        let (kind, bytes) = match address {
            IpAddr::V4(v4) => (1, v4.octets().to_vec()),
            IpAddr::V6(v6) => (28, v6.octets().to_vec()),
        };
        // The name is a pointer to the question.
        out.extend([0xc0, 12, 0, kind, 0, 1, 0, 0, 0, 60, 0, bytes.len() as u8]);
        out.extend(bytes);
    }
    out
}

/// A KRB-ERROR (RFC 4120 5.9.1) of the realm `LAB.TEST`; `time` is `YYYYMMDDHHMMSSZ`, `status` what a Windows domain
/// controller adds (MS-KILE 2.2.2).
pub fn kerberos_error(code: u8, service: &str, time: &str, status: Option<u32>) -> Vec<u8> {
    let mut fields = vec![
        (0, der(INTEGER, &[5])),
        (1, der(INTEGER, &[30])),
        (4, der(GENERALIZED_TIME, time.as_bytes())),
        (5, der(INTEGER, &[0])),
        (6, der(INTEGER, &[code])),
        (9, der(GENERAL_STRING, b"LAB.TEST")),
        (10, principal(service)),
    ];
    if let Some(status) = status {
        let mut extended = status.to_le_bytes().to_vec();
        extended.extend([0, 0, 0, 0, 1, 0, 0, 0]);
        let data = sequence(&[(1, der(INTEGER, &[3])), (2, der(OCTET_STRING, &extended))]);
        fields.push((12, der(OCTET_STRING, &data)));
    }
    der(0x7e, &sequence(&fields))
}

/// A TGS-REQ for a service, or an AS-REQ for `krbtgt`, with as many bytes of pre-authentication data in front.
pub fn kerberos_request(service: &str, user: &str, padding: usize) -> Vec<u8> {
    let kind = if service.starts_with("krbtgt") { 10 } else { 12 };
    let body = sequence(&[
        (0, der(0x03, &[0, 0x40, 0x81, 0, 0x10])),
        (1, principal(user)),
        (2, der(GENERAL_STRING, b"LAB.TEST")),
        (3, principal(service)),
    ]);
    let data = sequence(&[(1, der(INTEGER, &[1])), (2, der(OCTET_STRING, &vec![0; padding]))]);
    let request = sequence(&[
        (1, der(INTEGER, &[5])),
        (2, der(INTEGER, &[kind])),
        (3, der(SEQUENCE, &data)),
        (4, body),
    ]);
    der(0x60 | kind, &request)
}

/// A TGS-REP with a ticket for a service, or an AS-REP with one for `krbtgt`.
pub fn kerberos_ticket(service: &str, user: &str) -> Vec<u8> {
    let kind = if service.starts_with("krbtgt") { 11 } else { 13 };
    let sealed = sequence(&[(0, der(INTEGER, &[18])), (2, der(OCTET_STRING, &[0xaa; 64]))]);
    let ticket = sequence(&[
        (0, der(INTEGER, &[5])),
        (1, der(GENERAL_STRING, b"LAB.TEST")),
        (2, principal(service)),
        (3, sealed.clone()),
    ]);
    let reply = sequence(&[
        (0, der(INTEGER, &[5])),
        (1, der(INTEGER, &[kind])),
        (3, der(GENERAL_STRING, b"LAB.TEST")),
        (4, principal(user)),
        (5, der(0x61, &ticket)),
        (6, sealed),
    ]);
    der(0x60 | kind, &reply)
}

/// The message as it goes over TCP: behind its length in 4 bytes.
pub fn kerberos_over_tcp(message: &[u8]) -> Vec<u8> {
    let mut out = (message.len() as u32).to_be_bytes().to_vec();
    out.extend(message);
    out
}

/// An Ethernet frame with ARP (RFC 826): `sender` asks who has `target`, or answers it.
pub fn arp(answers: bool, sender: Ipv4Addr, mac: [u8; 6], target: Ipv4Addr) -> Vec<u8> {
    let mut out = if answers { vec![0x02, 0, 0, 0, 0, 0xfe] } else { vec![0xff; 6] };
    out.extend(mac);
    out.extend([0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, if answers { 2 } else { 1 }]);
    out.extend(mac);
    out.extend(sender.octets());
    out.extend([0; 6]);
    out.extend(target.octets());
    out
}

fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    match (content.len() as u16).to_be_bytes() {
        [0, short @ 0..0x80] => out.push(short),
        [0, short] => out.extend([0x81, short]),
        [high, low] => out.extend([0x82, high, low]),
    }
    out.extend(content);
    out
}

fn sequence(fields: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let content: Vec<u8> = fields.iter().flat_map(|(number, value)| der(0xa0 | number, value)).collect();
    der(SEQUENCE, &content)
}

fn principal(name: &str) -> Vec<u8> {
    let parts: Vec<u8> = name.split('/').flat_map(|part| der(GENERAL_STRING, part.as_bytes())).collect();
    sequence(&[(0, der(INTEGER, &[2])), (1, der(SEQUENCE, &parts))])
}
