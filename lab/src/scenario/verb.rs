//! The verbs: what each is called, who may do it, which keys it knows, and what it does.

use super::cast::{HostId, Role};
use super::stage::Stage;
use super::text::{Line, ScenarioError};
use super::{client, ending, farm, host, ladder, raw, session};

/// One verb.
pub(super) struct Verb {
    pub(super) name: &'static str,
    roles: &'static [Role],
    /// Words after the verb.
    words: usize,
    keys: &'static [&'static str],
    run: fn(&mut Stage, HostId, &Line) -> Result<(), ScenarioError>,
}

const CONNECTING: &[Role] = &[Role::Client, Role::Server];
const GATEWAY: &[Role] = &[Role::Gateway];
const BROKER: &[Role] = &[Role::Broker];
const DC: &[Role] = &[Role::Dc];
/// Any host may be connected to, redirect, start, stop.
const ANY: &[Role] = &[Role::Client, Role::Server, Role::Broker, Role::Gateway, Role::Dc];

type Run = fn(&mut Stage, HostId, &Line) -> Result<(), ScenarioError>;

const fn verb(name: &'static str, roles: &'static [Role], keys: &'static [&'static str], run: Run) -> Verb {
    Verb { name, roles, words: 0, keys, run }
}

/// All verbs, grouped by who does them; within a group in the order of a connection's life.
pub(super) const VERBS: &[Verb] = &[
    verb("connects", CONNECTING, &["name", "user"], client::connects),
    verb("connected", CONNECTING, &["session", "udp", "user"], client::connected),
    verb("disconnected", CONNECTING, &["reason"], client::disconnected),
    verb("dns-failed", CONNECTING, &["name"], client::dns_failed),
    verb("credssp-oracle", CONNECTING, &["name", "version"], client::credssp_oracle),
    verb("clock-skew", CONNECTING, &["name", "user"], client::clock_skew),
    verb("ntlm-blocked", ANY, &["name", "user", "kind"], client::ntlm_blocked),
    // What a host that is connected to does.
    verb("accepts", ANY, &["port", "from", "user", "nla", "protocol"], ladder::accepts),
    verb("authenticates", ANY, &["port", "user", "package"], ladder::authenticates),
    verb(
        "refuses-credentials",
        ANY,
        &["port", "user", "status", "sub", "type", "package", "teardown"],
        ladder::refuses_credentials,
    ),
    verb("refuses-negotiation", ANY, &["port", "error"], ending::refuses_negotiation),
    verb(
        "tls-failed",
        ANY,
        &["port", "alert", "alert-by", "state", "code", "no-common-cipher"],
        ending::tls_failed,
    ),
    verb("security-error", ANY, &["port", "code", "termdd"], ending::security_error),
    verb("completes-protocol", ANY, &["port", "user"], ladder::completes_protocol),
    verb("authorization-denied", ANY, &["port", "user", "code"], ending::authorization_denied),
    verb("licensing-failed", ANY, &["port", "user", "kind", "code"], ending::licensing_failed),
    verb("drain-mode", ANY, &["port", "user", "code"], ending::drain_mode),
    verb("logons-disabled", ANY, &["port", "user", "code"], ending::logons_disabled),
    Verb { words: 1, ..verb("set-error-info", ANY, &["port", "user"], ending::set_error_info) },
    verb("session-create-failed", ANY, &["port", "user", "status", "code"], ending::session_create_failed),
    verb("logs-on", ANY, &["port", "user", "session", "reconnect"], session::logs_on),
    verb("logs-off", ANY, &["port"], ending::logs_off),
    verb("disconnects", ANY, &["port", "by", "reason", "error"], ending::disconnects),
    verb("replaced", ANY, &["port"], ending::replaced),
    verb("idle-limit", ANY, &["port", "action"], ending::idle_limit),
    verb("time-limit", ANY, &["port", "action"], ending::time_limit),
    verb("admin-disconnect", ANY, &["port", "by"], ending::admin_disconnect),
    verb("console-logon", ANY, &["user"], session::console_logon),
    verb("console-logoff", ANY, &["user"], session::console_logoff),
    // Farms and gateways.
    verb("asks-broker", ANY, &["port", "user"], farm::asks_broker),
    verb("redirects", ANY, &["port", "user", "to"], farm::redirects),
    verb("redirect-failed", ANY, &["port", "user", "error"], farm::redirect_failed),
    verb("broker-silent", ANY, &["port", "user", "error"], farm::broker_silent),
    verb("keeps-user", ANY, &["port", "user"], farm::keeps_user),
    verb("refuses", BROKER, &["user", "error"], farm::refuses),
    verb("connects", GATEWAY, &["from", "port", "user", "resource", "transport"], farm::gateway_connects),
    verb("authorizes", GATEWAY, &[], farm::gateway_authorizes),
    verb("reaches", GATEWAY, &["resource"], farm::gateway_reaches),
    verb("cap-denied", GATEWAY, &["error"], farm::gateway_cap_denied),
    verb("rap-denied", GATEWAY, &["error", "resource"], farm::gateway_rap_denied),
    verb("unreachable", GATEWAY, &["error", "resource"], farm::gateway_unreachable),
    verb("full", GATEWAY, &["error"], farm::gateway_full),
    verb("auth-method-denied", GATEWAY, &["error"], farm::gateway_auth_method),
    verb("times-out", GATEWAY, &["error"], farm::gateway_times_out),
    verb("ends", GATEWAY, &["error", "received", "sent", "seconds"], farm::gateway_ends),
    // Domain controllers.
    verb("issues-tgt", DC, &["from", "user", "status"], host::issues_tgt),
    verb("issues-ticket", DC, &["from", "user", "service", "status"], host::issues_ticket),
    verb("refuses-preauth", DC, &["from", "user", "status"], host::refuses_preauth),
    verb("locks-out", DC, &["from", "user"], host::locks_out),
    // Hosts as such.
    verb("boots", ANY, &[], host::boots),
    verb("shuts-down", ANY, &["reboot", "comment", "user"], host::shuts_down),
    verb("clock-changes", ANY, &["to"], host::clock_changes),
    verb("time-source-lost", ANY, &["retry"], host::time_source_lost),
    verb(raw::NAME, ANY, &[], raw::event),
];

/// Plays a line: `TIME HOST VERB ...`.
pub(super) fn play(stage: &mut Stage, line: &Line) -> Result<(), ScenarioError> {
    let subject = line.word(1, "a host's name or role")?;
    let actor = stage.cast.host(line, subject)?;
    let role = stage.cast.hosts[actor].role;
    let name = line.word(2, "a verb")?;
    let may = |verb: &&Verb| verb.roles.contains(&role);
    let Some(verb) = VERBS.iter().filter(may).find(|verb| verb.name == name) else {
        let names: Vec<&str> = VERBS.iter().filter(may).map(|verb| verb.name).collect();
        return Err(
            line.error(format!("{subject} knows no verb `{name}`, expected one of {}", names.join(", ")))
        );
    };
    if let Some(extra) = line.words.get(3 + verb.words) {
        return Err(line.error(format!("found `{extra}` after `{name}`, expected `key=value`")));
    }
    if verb.name != raw::NAME {
        line.only(verb.keys)?;
    }
    (verb.run)(stage, actor, line)
}
