//! What is known of a connection besides why it broke, as labels and values.

use super::super::super::json::tls::Tls;
use super::super::strings::Strings;
use super::place;
use crate::analysis::Analysis;
use crate::fact::{Recognised, What};
use crate::note::counted;
use crate::session::Session;
use crate::wire::community_id;
use crate::wire::encryption::{EncryptionLevel, EncryptionMethod};

/// Labels and values by the numbers of their texts.
pub(super) fn about(
    analysis: &Analysis,
    session: &Session,
    tls: Option<&Tls<'_>>,
    strings: &mut Strings,
) -> Vec<[u32; 2]> {
    let mut rows: Vec<(&str, String)> = Vec::new();
    rows.extend(negotiated(session));
    rows.extend(tls.map(of_tls).unwrap_or_default());
    rows.extend(session.error_info().map(|code| ("Set Error Info", code.words())));
    rows.extend(of_packets(analysis, session));
    rows.into_iter().map(|(label, value)| [strings.number(label), strings.number(&value)]).collect()
}

fn negotiated(session: &Session) -> Vec<(&'static str, String)> {
    let mut rows = Vec::new();
    rows.extend(session.security.map(|security| ("security", security.name().to_owned())));
    for seen in &session.facts {
        match seen.what() {
            What::ConnectionRequest { protocols, correlation, token, .. } => {
                rows.extend(protocols.map(|protocols| ("client offered", protocols.words())));
                rows.extend(correlation.clone().map(|id| ("correlation id", id)));
                rows.extend(token.clone().map(|token| ("routing token", token)));
            }
            What::McsConnectResponse { method: Some(method), level: Some(level), .. } if *method > 0 => {
                let (method, level) = (EncryptionMethod(*method).words(), EncryptionLevel(*level).words());
                rows.push(("encryption", format!("{method}, level {level}")));
            }
            _ => {}
        }
    }
    let mut known = Vec::new();
    rows.retain(|row| {
        let first = !known.contains(row);
        known.push(row.clone());
        first
    });
    rows
}

fn of_tls(tls: &Tls<'_>) -> Vec<(&'static str, String)> {
    let owned = |text: Option<&str>| text.map(str::to_owned);
    let rows = [
        ("TLS", tls.version.clone()),
        ("cipher suite", tls.cipher.clone()),
        ("server name (SNI)", owned(tls.sni)),
        ("ALPN", owned(tls.alpn)),
        ("resumed", tls.resumed.then(|| "yes".to_owned())),
        ("opened with keys", tls.decrypted.then(|| "yes".to_owned())),
        ("JA3", owned(tls.ja3)),
        ("JA4", owned(tls.ja4)),
        ("JA3S", owned(tls.ja3s)),
    ];
    rows.into_iter().filter_map(|(label, value)| Some((label, value?))).collect()
}

fn of_packets(analysis: &Analysis, session: &Session) -> Vec<(&'static str, String)> {
    let mut rows = Vec::new();
    if let Some(first) = session.connections.first() {
        rows.push(("Community ID", community_id::tcp(first.client, first.server)));
        let named_by = match first.recognised {
            Recognised::NamedEndpoint => Some("another RDP connection goes to the same address and port"),
            Recognised::Port => Some("its port, 3389"),
            _ => None,
        };
        rows.extend(named_by.map(|by| ("taken for RDP by", by.to_owned())));
    }
    for connection in &session.connections {
        let ([client_packets, server_packets], [client_bytes, server_bytes]) =
            (connection.packets, connection.bytes);
        rows.push((
            "packets",
            format!(
                "{} to {}: client {client_packets} with {}, server {server_packets} with {}",
                place(analysis, connection.first),
                connection.last.spot,
                counted(client_bytes, "byte", "bytes"),
                counted(server_bytes, "byte", "bytes")
            ),
        ));
    }
    rows
}
