//! What MCS and the RDP PDUs behind it say, as sentences.

use super::super::safe::printable;
use super::{events, gateway, ms};
use crate::fact::What;
use crate::note::counted;
use crate::wire::encryption::{EncryptionLevel, EncryptionMethod};
use crate::wire::licensing::LicenseKind;
use crate::wire::redirection::RedirectionFlags;

/// What a fact of the connection sequence, or of an event log, says.
pub(super) fn says(what: &What) -> String {
    of_mcs(what)
        .or_else(|| of_the_share(what))
        .or_else(|| of_the_end(what))
        .or_else(|| gateway::says(what))
        .or_else(|| events::says(what))
        .unwrap_or_else(|| what.text())
}

fn of_mcs(what: &What) -> Option<String> {
    Some(match what {
        What::McsConnectInitial { client_name, redirected_session, .. } => {
            let name = client_name.as_ref().map(|name| format!(" {}", printable(name))).unwrap_or_default();
            let session = redirected_session.map(|id| format!(", redirected to session {id}"));
            format!("client{name} starts MCS{}", session.unwrap_or_default())
        }
        What::McsConnectResponse { method: Some(method), level: Some(level), .. } if *level > 0 => {
            let (method, level) = (EncryptionMethod(*method).words(), EncryptionLevel(*level).words());
            format!("server answers MCS: Standard RDP Security with {method}, encryption level {level}")
        }
        What::McsConnectResponse { .. } => "server answers MCS".to_owned(),
        What::McsRefused { what, result, channel } => {
            let channel = channel.map(|channel| format!(" of channel {channel}")).unwrap_or_default();
            let name = result.name().unwrap_or("unlisted result");
            format!("server refuses MCS {}{channel}: {name} ({})", printable(what), result.0)
        }
        What::TransportDisconnect { by, reason } => {
            let reason = reason.map(|r| format!(": {} ({})", r.name().unwrap_or("unlisted reason"), r.0));
            format!("{} sends X.224 disconnect request{}", by.name(), reason.unwrap_or_default())
        }
        What::TransportError { by, cause } => {
            let cause = cause.map(|cause| format!(", cause {cause}")).unwrap_or_default();
            format!("{} sends X.224 error{cause}", by.name())
        }
        What::McsAttached {} => "MCS user is attached".to_owned(),
        What::McsJoined { channels } => counted(*channels, "channel is joined", "channels are joined"),
        What::SecurityExchange {} => "client sends its security exchange".to_owned(),
        What::ClientInfo { auto_reconnect: true, .. } => {
            "client sends Client Info with an auto-reconnect cookie".to_owned()
        }
        What::ClientInfo { .. } => "client sends Client Info".to_owned(),
        What::License { by, kind: Some(LicenseKind::ERROR_ALERT), .. } => {
            format!("{} sends the end of licensing", by.name())
        }
        What::License { by, kind, product, machine, .. } => {
            let kind = kind.and_then(LicenseKind::name).map(|name| format!(" {name}"));
            let names = [product, machine].into_iter().flatten().map(|name| printable(name));
            let names: Vec<String> = names.map(|name| name.to_string()).collect();
            let names = if names.is_empty() { String::new() } else { format!(": {}", names.join(", ")) };
            format!("{} sends a licensing message{}{names}", by.name(), kind.unwrap_or_default())
        }
        What::LicenseError { by, code, transition } => {
            let name = code.name().unwrap_or("unlisted");
            let then = transition.and_then(|t| t.name()).map(|name| format!(", {name}")).unwrap_or_default();
            format!("{} sends licensing error {name} ({:#x}){then}", by.name(), code.0)
        }
        What::Licensed {} => "licensing is done: the server went on".to_owned(),
        _ => return None,
    })
}

fn of_the_share(what: &What) -> Option<String> {
    Some(match what {
        What::DemandActive { .. } => "server sends its capabilities".to_owned(),
        What::ConfirmActive { .. } => "client confirms capabilities".to_owned(),
        What::Finalizing { by, pdu } => format!("{} sends {}", by.name(), printable(pdu)),
        What::Finalized {} => "connection sequence is complete".to_owned(),
        What::Running { server_bytes, over_ms } => {
            let bytes = counted(*server_bytes, "byte", "bytes");
            format!("desktop runs: {bytes} from the server in {}", ms(*over_ms))
        }
        What::DeactivateAll {} => "server deactivates the desktop, to set it up anew".to_owned(),
        What::MonitorLayout { monitors } => {
            format!("server tells of {}", counted(*monitors, "monitor", "monitors"))
        }
        What::NetworkMeasured { by, base_rtt_ms, average_rtt_ms, bandwidth_kbit } => {
            let number = |name: &str, value: &Option<u32>, unit: &str| {
                value.map(|value| format!("{name} {value} {unit}"))
            };
            let parts = [
                number("lowest round trip", base_rtt_ms, "ms"),
                number("average round trip", average_rtt_ms, "ms"),
                number("bandwidth", bandwidth_kbit, "kbit/s"),
            ];
            let parts: Vec<String> = parts.into_iter().flatten().collect();
            format!("{} measured the network: {}", by.name(), parts.join(", "))
        }
        What::Heartbeat { period_s, warn_after, reconnect_after } => format!(
            "server sends a heartbeat every {period_s} s; the client warns after {warn_after} missed and reconnects after {reconnect_after} more"
        ),
        What::CompressedPdu { by, pdu } => {
            let name = pdu.name().map_or_else(|| format!("{:#x}", pdu.0), str::to_owned);
            format!("{} sends {name} compressed: it is not read", by.name())
        }
        _ => return None,
    })
}

fn of_the_end(what: &What) -> Option<String> {
    Some(match what {
        What::SessionInfo { error: Some(error), data, .. } => {
            let data = data.map(|data| match data.name() {
                Some(name) => format!(", {name}"),
                None => format!(", session {}", data.0),
            });
            let name = error.name().unwrap_or("unlisted");
            format!("server tells of the logon: {name} ({:#x}){}", error.0, data.unwrap_or_default())
        }
        What::SessionInfo { kind: 0..=2, user, domain, .. } => {
            let domain = domain.as_ref().map(|d| format!("{}\\", printable(d))).unwrap_or_default();
            let user = user
                .as_deref()
                .map_or_else(|| "the user".to_owned(), |u| format!("{domain}{}", printable(u)));
            format!("server says that {user} is logged on")
        }
        What::SessionInfo { auto_reconnect: true, .. } => {
            "server gives the client an auto-reconnect cookie".to_owned()
        }
        What::SessionInfo { kind, .. } => format!("server tells of the logon (Save Session Info {kind})"),
        What::ServerStatus { code } => {
            format!("server status {} ({:#x})", code.name().unwrap_or("unlisted"), code.0)
        }
        What::AutoReconnectRefused { status } => {
            format!("server refuses the auto-reconnect cookie (status {status:#x})")
        }
        What::Redirected { .. } => redirected(what)?,
        What::ErrorInfo { code } => {
            let meaning = code.row().map(|row| format!(": {}", row.meaning)).unwrap_or_default();
            format!("server says why it ends, {}{meaning}", code.words())
        }
        What::ErrorInfoShaped { .. } => {
            "server sends a message of the size of Set Error Info right before the end".to_owned()
        }
        What::Ultimatum { by, reason, .. } => {
            let reason = reason.map(|r| format!(", {}", r.name().unwrap_or("unlisted reason")));
            format!("{} sends MCS Disconnect Provider Ultimatum{}", by.name(), reason.unwrap_or_default())
        }
        _ => return None,
    })
}

fn redirected(what: &What) -> Option<String> {
    let What::Redirected { session_id, flags, address, load_balance, user, domain, host, .. } = what else {
        return None;
    };
    if flags.is_some_and(|flags| flags.contains(RedirectionFlags::NO_REDIRECT)) {
        return Some("server tells of its farm, and the client stays".to_owned());
    }
    let mut text = "server sends the client elsewhere".to_owned();
    let targets = [("to", host), ("at", address), ("with routing token", load_balance)];
    for (word, name) in targets {
        if let Some(name) = name {
            text.push_str(&format!(" {word} {}", printable(name)));
        }
    }
    if let Some(id) = session_id {
        text.push_str(&format!(", session {id}"));
    }
    if let Some(user) = user {
        let domain = domain.as_ref().map(|domain| format!("{}\\", printable(domain))).unwrap_or_default();
        text.push_str(&format!(", as {domain}{}", printable(user)));
    }
    Some(text)
}
