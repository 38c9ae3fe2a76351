//! Targets of the decoders of what passes beside a connection.

use rdpwhy::wire::{dns as names, kerberos as krb};

/// Kerberos messages one after the other, each behind its length as over TCP, and the bytes as one message as over UDP.
pub fn kerberos(bytes: &[u8]) {
    kerberos_message(bytes);
    let mut rest = bytes;
    while let Ok((message, length)) = krb::framed(rest) {
        assert!(length > 4 && message.len() + 4 <= length, "{} bytes of {length}", message.len());
        kerberos_message(message);
        rest = rest.get(length..).unwrap_or_default();
    }
}

fn kerberos_message(bytes: &[u8]) {
    let Ok(read) = krb::message(bytes) else { return };
    let names = [read.realm, read.service, read.client];
    for name in names.into_iter().flatten() {
        // A byte that is no text becomes a replacement character of three.
        assert!(name.len() <= 3 * bytes.len(), "a name of {} bytes", name.len());
    }
    assert!(read.error.is_none() || read.kind == krb::MessageKind::ERROR, "a code without an error");
}

/// DNS messages one after the other, each behind its length as over TCP, and the bytes as one message as over UDP.
pub fn dns(bytes: &[u8]) {
    dns_message(bytes);
    let mut rest = bytes;
    while let Ok((message, length)) = names::framed(rest) {
        assert_eq!(message.len() + 2, length);
        dns_message(message);
        rest = rest.get(length..).unwrap_or_default();
    }
}

fn dns_message(bytes: &[u8]) {
    if let Ok(read) = names::message(bytes) {
        // 255 bytes of name, each written as four characters at most.
        assert!(read.name.len() <= 4 * 255, "a name of {} bytes", read.name.len());
        assert!(read.addresses.len() <= read.records, "{} addresses", read.addresses.len());
        assert!(read.records * 11 <= bytes.len(), "{} records", read.records);
    }
}
