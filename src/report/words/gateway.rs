//! What goes between a client and an RD Gateway, as sentences.

use crate::codes::Status;
use crate::fact::What;
use crate::note::counted;
use crate::report::safe::printable;

/// The sentence of a fact about a gateway that a capture shows. Text from the evidence in it is printable.
pub(super) fn says(what: &What) -> Option<String> {
    transport(what).or_else(|| tunnel(what)).or_else(|| channel(what))
}

/// The number of such a fact.
pub(super) fn code(what: &What) -> Option<String> {
    match what {
        What::GatewayStatus { status, .. } | What::KdcProxyAsked { status: Some(status) } => {
            Some(status.to_string())
        }
        What::GatewayTunnelAnswered { code, .. }
        | What::GatewayAuthorized { code, .. }
        | What::GatewayChannelAnswered { code }
        | What::GatewayClosed { code, .. }
        | What::GatewayHandshake { code: Some(code), .. } => Some(format!("{:#x}", code.0)),
        _ => None,
    }
}

fn transport(what: &What) -> Option<String> {
    Some(match what {
        What::GatewayRequest { transport, method, host, authorization, .. } => {
            let carrier = match transport.as_str() {
                "websocket" => "a WebSocket",
                "rpc" => "RPC over HTTP",
                _ => "HTTP",
            };
            let host = host.as_ref().map(|host| format!(" {}", printable(host))).unwrap_or_default();
            let with =
                authorization.as_ref().map(|scheme| format!(", authenticating with {}", printable(scheme)));
            format!(
                "client asks the RD Gateway{host} for {carrier} ({}){}",
                printable(method),
                with.unwrap_or_default()
            )
        }
        What::GatewayStatus { status, reason, offers, last } => {
            let reason = reason.as_ref().map(|reason| format!(" {}", printable(reason))).unwrap_or_default();
            let offers = offers.as_ref().map(|offers| format!(", offers {}", printable(offers)));
            let last = if *last && *status >= 400 { "; the client asks no more here" } else { "" };
            format!("gateway answers HTTP {status}{reason}{}{last}", offers.unwrap_or_default())
        }
        What::KdcProxyAsked { status: Some(status) } => {
            format!("client asks the KDC proxy for a Kerberos ticket, it answers HTTP {status}")
        }
        What::KdcProxyAsked { .. } => "client asks the KDC proxy for a Kerberos ticket".to_owned(),
        _ => return None,
    })
}

fn tunnel(what: &What) -> Option<String> {
    Some(match what {
        What::GatewayHandshake { by, version, code, .. } => {
            let failed = code.filter(|code| code.is_failure()).map(why).unwrap_or_default();
            format!("{} speaks version {} of the gateway protocol{failed}", by.name(), printable(version))
        }
        What::GatewayTunnelAsked { cookie, .. } => {
            let cookie = if *cookie { " with the cookie of a portal" } else { "" };
            format!("client asks the gateway for a tunnel{cookie}")
        }
        What::GatewayTunnelAnswered { code, .. } => answer("gateway", "opens the tunnel", *code),
        What::GatewayAuthorizationAsked { client_name } => {
            let name = client_name.as_ref().map(|name| format!(" as {}", printable(name)));
            format!("client asks to be let in{}", name.unwrap_or_default())
        }
        What::GatewayAuthorized { code, redirection, idle_minutes } => {
            let mut text = answer("gateway", "lets the client in", *code);
            if let Some(flags) = redirection {
                text.push_str(&format!(", {}", redirected(*flags)));
            }
            if let Some(minutes) = idle_minutes.filter(|minutes| *minutes > 0) {
                text.push_str(&format!(
                    ", {} without traffic allowed",
                    counted(minutes, "minute", "minutes")
                ));
            }
            text
        }
        _ => return None,
    })
}

fn channel(what: &What) -> Option<String> {
    Some(match what {
        What::GatewayChannelAsked { target, port } => {
            format!("client asks the gateway for {} port {port}", printable(target))
        }
        What::GatewayChannelAnswered { code } => answer("gateway", "is connected to the host", *code),
        What::GatewayMessage { text } => format!("gateway has a message for the user: {}", printable(text)),
        What::GatewayTunnelSized { hidden, .. } => {
            let rest = if *hidden { "; they do not tell what became of it" } else { "" };
            format!(
                "records have the sizes of an RD Gateway's tunnel, up to the X.224 Connection Confirm inside{rest}"
            )
        }
        What::GatewayRefusalSized { channel, .. } => {
            let what = if *channel { "channel to the host" } else { "tunnel" };
            format!(
                "gateway refuses the {what}: the records have the sizes of an RD Gateway's tunnel, up to an answer that has a code and no more"
            )
        }
        What::GatewayReauthentication {} => "gateway wants the user to authenticate again".to_owned(),
        What::GatewayClosed { by, code } => {
            let why = if code.is_failure() { why(*code) } else { String::new() };
            format!("{} closes the channel through the gateway{why}", by.name())
        }
        _ => return None,
    })
}

fn answer(who: &str, done: &str, code: Status) -> String {
    if code.is_failure() { format!("{who} refuses{}", why(code)) } else { format!("{who} {done}") }
}

fn why(code: Status) -> String {
    let meaning = code.row().map(|row| format!(", {}", row.meaning)).unwrap_or_default();
    format!(": {}{meaning}", code.words())
}

/// Flags of what may be redirected (MS-TSGU 2.2.5.3.2): a set bit forbids it.
fn redirected(flags: u32) -> String {
    const FORBIDDEN: [(u32, &str); 5] = [
        (0x1, "drives"),
        (0x2, "printers"),
        (0x4, "ports"),
        (0x8, "clipboard"),
        (0x10, "plug and play devices"),
    ];
    if flags & 0x8000_0000 != 0 {
        return "everything may be redirected".to_owned();
    }
    if flags & 0x4000_0000 != 0 {
        return "nothing may be redirected".to_owned();
    }
    let names: Vec<&str> =
        FORBIDDEN.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, name)| *name).collect();
    if names.is_empty() {
        "everything may be redirected".to_owned()
    } else {
        format!("not redirected: {}", names.join(", "))
    }
}
