//! The public captures field by field: every field that `expected.json` has of a TCP connection is compared with what this
//! program holds of it. A field that nobody mapped fails the test.

use std::path::Path;

use rdpwhy::fact::{Reading, Side, What};
use rdpwhy::note::{Place, Spot};
use rdpwhy::read::Unwatched;
use rdpwhy::read::flow::Flow;
use rdpwhy::session::{Seen, Session};
use rdpwhy::{Analysis, Options, analyze};
use serde_json::Value;

use crate::support::corpus;
use crate::tls::{application_data, flows};

/// What is not compared, and why. Each must be needed.
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    (
        "zeek_rdp-no-cookie-mstshash.pcap",
        "last_frame",
        "every packet is twice in this file, captured at two points of one host: a packet counts once",
    ),
    (
        "zeek_rdp-no-cookie-mstshash.pcap",
        "packets",
        "every packet is twice in this file, captured at two points of one host: a packet counts once",
    ),
    (
        "zeek_rdp-no-cookie-mstshash.pcap",
        "duration",
        "every packet is twice in this file, captured at two points of one host: a packet counts once",
    ),
    (
        "awakecoding_rdp-nla-kerberos-auth1.pcapng",
        "tls.server_appdata_n",
        "332,744 bytes: only the first 64 KiB and the last 16 KiB of a direction are kept",
    ),
    (
        "nosecrets_ok.pcapng",
        "tls.server_appdata_n",
        "332,744 bytes: only the first 64 KiB and the last 16 KiB of a direction are kept",
    ),
];

/// One connection as we hold it.
struct Ours<'a> {
    session: &'a Session,
    flow: &'a Flow,
    /// Its place among the connections of its capture.
    index: usize,
}

impl Ours<'_> {
    fn find(&self, wanted: impl Fn(&What) -> bool) -> Option<&Seen> {
        self.session.find(wanted)
    }

    /// The first value that `read` takes from a fact.
    fn first<T>(&self, read: impl Fn(&What) -> Option<T>) -> Option<T> {
        self.session.facts.iter().find_map(|seen| read(seen.what()))
    }

    fn frame_of(&self, wanted: impl Fn(&What) -> bool) -> Value {
        self.find(wanted).map_or(Value::Null, |seen| frame(seen.place()))
    }
}

fn frame(place: Place) -> Value {
    match place.spot {
        Spot::Frame(number) => number.into(),
        _ => Value::Null,
    }
}

/// What we hold for a field, as `expected.json` writes it. `None` when nobody mapped the field.
fn ours(field: &str, theirs: &Value, of: &Ours<'_>) -> Option<Value> {
    let value = of_tcp(field, theirs, of).or_else(|| of_negotiation(field, of));
    value
        .or_else(|| of_mcs(field, of))
        .or_else(|| of_tls(field, theirs, of))
        .or_else(|| of_session(field, theirs, of))
}

fn of_tcp(field: &str, theirs: &Value, of: &Ours<'_>) -> Option<Value> {
    let connection = &of.session.connections[0];
    let micros = |ns: i64| (ns + 500) / 1_000;
    // Seconds with six digits behind the point, read as microseconds, where floating point may be one off.
    let near = |us: i64| {
        let told = (theirs.as_f64().unwrap() * 1e6).round();
        let same = (told - i64_f64(us)).abs() <= 1.0;
        if same { theirs.clone() } else { us.into() }
    };
    let closed = || of.find(|what| matches!(what, What::Closed { .. } | What::Reset { .. }));
    Some(match field {
        // Wireshark counts all connections of a file, we hold those of RDP: the order must be the same.
        "stream" => {
            if theirs.as_u64() >= u64::try_from(of.index).ok() {
                theirs.clone()
            } else {
                of.index.into()
            }
        }
        "client" => connection.client.to_string().into(),
        "server" => connection.server.to_string().into(),
        "first_frame" => frame(connection.first),
        "last_frame" => frame(connection.last),
        "packets" => connection.packets.iter().sum::<u64>().into(),
        "client_bytes" => connection.bytes[0].into(),
        "server_bytes" => connection.bytes[1].into(),
        "start" => near(micros(connection.opened.0)),
        "duration" => near(micros(connection.last_seen.since(connection.opened))),
        "syn_seen" => of.find(|what| matches!(what, What::SynSent { .. })).is_some().into(),
        "synack_seen" => of.find(|what| matches!(what, What::SynAnswered { .. })).is_some().into(),
        "first_close" => closed().map_or(Value::Null, |_| theirs.clone()),
        "first_close.frame" => closed().map_or(Value::Null, |seen| frame(seen.place())),
        "first_close.by" => closed().map_or(Value::Null, |seen| match seen.what() {
            What::Closed { by } | What::Reset { by, .. } => by.name().into(),
            _ => Value::Null,
        }),
        "first_close.how" => closed().map_or(Value::Null, |seen| match seen.what() {
            What::Closed { .. } => "FIN".into(),
            _ => "RST".into(),
        }),
        "rst_by" => {
            let sides = [Side::Client, Side::Server].into_iter();
            let reset =
                |side: &Side| of.find(|what| matches!(what, What::Reset { by, .. } if by == side)).is_some();
            sides.filter(reset).map(|side| Value::from(side.name())).collect()
        }
        _ => return None,
    })
}

#[expect(
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "microseconds since 1970 fit into 53 bits"
)]
fn i64_f64(number: i64) -> f64 {
    number as f64
}

fn of_negotiation(field: &str, of: &Ours<'_>) -> Option<Value> {
    let request = |what: &What| match what {
        What::ConnectionRequest { protocols, flags, cookie, .. } => {
            Some((*protocols, *flags, cookie.clone()))
        }
        _ => None,
    };
    let confirm = |what: &What| match what {
        What::ConnectionConfirm { protocol, flags, .. } => Some((protocol.map(|p| p.0), *flags)),
        _ => None,
    };
    let answered =
        |what: &What| matches!(what, What::ConnectionConfirm { .. } | What::NegotiationRefused { .. });
    Some(match field {
        "x224_request_frame" => of.frame_of(|what| matches!(what, What::ConnectionRequest { .. })),
        "x224_confirm_frame" => of.frame_of(answered),
        // They leave the blanks at its end out.
        "cookie" => of
            .first(request)?
            .2
            .map(|cookie| cookie.trim_end().to_owned())
            .map(|cookie| format!("Cookie: mstshash={cookie}"))
            .into(),
        "requested_protocols" => of.first(request)?.0.map(|protocols| protocols.0).into(),
        "nego_flags" => of.first(request)?.1.into(),
        // A confirm without negotiation data chooses Standard RDP Security.
        "selected_protocol" => of.first(confirm)?.0.unwrap_or(0).into(),
        "nego_rsp_flags" => of.first(confirm)?.1.into(),
        "nego_failure_code" => of
            .first(|what| match what {
                What::NegotiationRefused { code } => Some(code.0),
                _ => None,
            })
            .into(),
        _ => return None,
    })
}

fn of_mcs(field: &str, of: &Ours<'_>) -> Option<Value> {
    let initial = |what: &What| match what {
        What::McsConnectInitial { channels, build, client_name, .. } => {
            Some((channels.clone(), *build, client_name.clone()))
        }
        _ => None,
    };
    let ultimatum = |what: &What| match what {
        What::Ultimatum { by, reason, .. } => Some((*by, reason.map(|reason| reason.0))),
        _ => None,
    };
    Some(match field {
        "client_build" => of.first(initial)?.1.into(),
        "client_name" => of.first(initial)?.2.into(),
        "channels" => of.first(initial)?.0.unwrap_or_default().split(',').map(Value::from).collect(),
        "encryption" => of.first(|what| match what {
            What::McsConnectResponse { method: Some(method), level: Some(level), .. } => {
                Some(vec![Value::from(*method), Value::from(*level)].into())
            }
            _ => None,
        })?,
        "mcs_disconnect" => Value::Null,
        "mcs_disconnect.by" => of.first(ultimatum)?.0.name().into(),
        "mcs_disconnect.reason" => of.first(ultimatum)?.1.into(),
        "mcs_disconnect.frame" => of.frame_of(|what| matches!(what, What::Ultimatum { .. })),
        _ => return None,
    })
}

fn of_tls(field: &str, theirs: &Value, of: &Ours<'_>) -> Option<Value> {
    let hello = |what: &What| match what {
        What::ClientHello { sni, versions, legacy, .. } => {
            Some((sni.clone(), versions.clone().unwrap_or_default(), legacy.unwrap()))
        }
        _ => None,
    };
    let answer = |what: &What| match what {
        What::ServerHello { version, suite, .. } => Some((*version, *suite)),
        _ => None,
    };
    let first_eight = |side| application_data(of.flow, side).into_iter().take(8).map(Value::from).collect();
    Some(match field {
        "tls.sni" => of.first(hello)?.0.into(),
        "tls.client_version" => format!("{:#x}", of.first(hello)?.2.0).into(),
        // Length, then the versions; without the extension nothing.
        "tls.client_supported_versions" => match theirs {
            Value::Null if !of.first(hello)?.1.contains(',') => Value::Null,
            _ => {
                let listed = of.first(hello)?.1.replace(',', "");
                format!("{:02x}{listed}", listed.len() / 2).into()
            }
        },
        "tls.version" => format!("{:#x}", of.first(answer)?.0.0).into(),
        "tls.cipher" => format!("{:04x}", of.first(answer)?.1.0).into(),
        "tls.client_appdata" => first_eight(Side::Client),
        "tls.server_appdata" => first_eight(Side::Server),
        "tls.client_appdata_n" => application_data(of.flow, Side::Client).len().into(),
        "tls.server_appdata_n" => application_data(of.flow, Side::Server).len().into(),
        "tls.decryptable" => of.find(|what| matches!(what, What::TlsOpened { .. })).is_some().into(),
        _ => return of_certificate(field.strip_prefix("tls.cert.")?, theirs, of),
    })
}

fn of_certificate(field: &str, theirs: &Value, of: &Ours<'_>) -> Option<Value> {
    let shown = of.find(|what| matches!(what, What::Certificate { by: Side::Server, .. }))?;
    let What::Certificate { subject, issuer, not_before, not_after, key, signature, sha1, .. } = shown.what()
    else {
        return None;
    };
    let day = |at: &str| format!("{}+00:00", at.replace('T', " ").replace(".000000Z", ""));
    Some(match field {
        "subject" => subject.replace(", ", ",").into(),
        // They write the parts of a name from the last to the first, as RFC 4514 has it.
        "issuer" => {
            let parts: Vec<&str> = issuer.split(", ").collect();
            let reversed = parts.iter().rev().copied().collect::<Vec<_>>().join(",");
            if theirs == reversed.as_str() { reversed.into() } else { parts.join(",").into() }
        }
        "nb" => day(&not_before.to_string()).into(),
        "na" => day(&not_after.to_string()).into(),
        "key" => key.replace("RSA ", "RSAPublicKey").into(),
        "sig" => signature.split("With").next().unwrap_or_default().into(),
        "sha1" => sha1.clone().into(),
        _ => return None,
    })
}

fn of_session(field: &str, theirs: &Value, of: &Ours<'_>) -> Option<Value> {
    let named = |what: &What| match what {
        What::UserNamed { user, domain, workstation: Some(station), .. } => {
            Some((user.clone(), domain.clone(), station.clone()))
        }
        _ => None,
    };
    let refused = |what: &What| match what {
        What::CredsspRefused { status, .. } => *status,
        _ => None,
    };
    let opened = |wanted: fn(&What) -> bool| {
        let found =
            of.session.facts.iter().find(|seen| wanted(seen.what()) && seen.reading() == Reading::Opened);
        found.map_or(Value::Null, |seen| frame(seen.place()))
    };
    Some(match field {
        "credssp.started_frame" => opened(|what| matches!(what, What::CredsspMessage { .. })),
        // NTLM is told by its names, Kerberos by the want of them.
        "credssp.mech" => if of.first(named).is_some() { "NTLM" } else { "Kerberos" }.into(),
        "credssp.domain" => of.first(named)?.1.into(),
        "credssp.user" => of.first(named)?.0.into(),
        "credssp.workstation" => of.first(named)?.2.into(),
        "credssp.error_code" => format!("{:#010x}", of.first(refused)?.0).into(),
        "credssp.error_frame" => opened(|what| matches!(what, What::CredsspRefused { .. })),
        "credssp.early_user_auth" => of.first(|what| match what {
            What::EarlyAuthorization { result: Some(result), .. } => Some(format!("{result:#010x}").into()),
            _ => None,
        })?,
        "client_info_user" => of.session.user_name().map(str::to_owned).into(),
        // STATUS_VALID_CLIENT: no licence is needed, the server goes on.
        "license" => {
            let passed = of.find(|what| matches!(what, What::License { .. })).is_some()
                && of.find(|what| matches!(what, What::Licensed { .. })).is_some();
            if passed && theirs.as_str()?.contains("errorCode=0x7 ") { theirs.clone() } else { Value::Null }
        }
        // How many there are: of the one session that has them the types are 1 and 3.
        "save_session_info" => {
            let told = of.session.facts.iter().filter(|seen| matches!(seen.what(), What::SessionInfo { .. }));
            told.count().into()
        }
        "set_error_info" => {
            let codes = of.session.facts.iter().filter_map(|seen| match seen.what() {
                What::ErrorInfo { code } => {
                    Some(Value::from(vec![frame(seen.place()), format!("{:#010x}", code.0).into()]))
                }
                _ => None,
            });
            codes.collect()
        }
        "last_stage" => {
            if stage(theirs.as_str()?, of) {
                theirs.clone()
            } else {
                Value::Null
            }
        }
        _ => return None,
    })
}

/// Do we hold the stage that they name as the last one they could read? Sizes may have told us more behind it.
fn stage(theirs: &str, of: &Ours<'_>) -> bool {
    let has = |wanted: fn(&What) -> bool| of.find(wanted).is_some();
    let confirmed =
        || has(|what| matches!(what, What::ConnectionConfirm { .. } | What::NegotiationRefused { .. }));
    match theirs {
        "tcp_established" => {
            has(|what| matches!(what, What::Connected {}))
                && !has(|what| matches!(what, What::ConnectionRequest { .. }))
        }
        "x224_request" => has(|what| matches!(what, What::ConnectionRequest { .. })) && !confirmed(),
        "x224_confirm" => has(|what| matches!(what, What::ConnectionConfirm { .. })),
        "x224_failure" => has(|what| matches!(what, What::NegotiationRefused { .. })),
        "tls_done" => has(|what| matches!(what, What::ServerHello { .. })),
        "credssp_error" => has(|what| matches!(what, What::CredsspRefused { status: Some(_), .. })),
        "mcs_connect_initial" => {
            has(|what| matches!(what, What::McsConnectInitial { .. }))
                && !has(|what| matches!(what, What::McsConnectResponse { .. }))
        }
        "mcs_connect_response" => has(|what| matches!(what, What::McsConnectResponse { .. })),
        "security_exchange(std RDP security, later PDUs encrypted)" => {
            has(|what| matches!(what, What::SecurityExchange { .. }))
        }
        "logged_on" => has(|what| matches!(what, What::SessionInfo { .. })),
        _ => false,
    }
}

/// Path and value of every field; objects are gone into, and stand for themselves too where they may be null.
fn fields(path: &str, value: &Value, out: &mut Vec<(String, Value)>) {
    let Value::Object(map) = value else {
        out.push((path.to_owned(), value.clone()));
        return;
    };
    for (key, child) in map {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        fields(&path, child, out);
    }
}

fn compare(name: &str, theirs: &Value, of: &Ours<'_>, used: &mut Vec<(String, String)>) -> Vec<String> {
    let mut listed = Vec::new();
    fields("", theirs, &mut listed);
    let mut wrong = Vec::new();
    for (field, value) in listed {
        let held = ours(&field, &value, of);
        if held.as_ref() == Some(&value) {
            continue;
        }
        if EXCEPTIONS.iter().any(|(file, path, _)| (*file, *path) == (name, field.as_str())) {
            used.push((name.to_owned(), field));
            continue;
        }
        let held = held.map_or("nothing, or the field is not mapped".to_owned(), |held| held.to_string());
        wrong.push(format!("{name} stream {}: {field}: expected {value}, we hold {held}", theirs["stream"]));
    }
    wrong
}

#[test]
fn every_field_of_the_public_captures_is_held() {
    let Some(public) = corpus("public") else { return };
    let expected: Value =
        serde_json::from_slice(&std::fs::read(public.join("expected.json")).unwrap()).unwrap();
    let (mut wrong, mut used, mut connections) = (Vec::new(), Vec::new(), 0);
    for (path, theirs) in expected.as_object().unwrap() {
        let name = Path::new(path).file_name().unwrap().to_string_lossy().into_owned();
        let capture = public.join(path);
        let answer = analyze(
            &Options { paths: vec![capture.clone()], key_logs: Vec::new(), ..Options::default() },
            &Unwatched,
        );
        let flows = flows(&capture);
        for connection in theirs.as_array().unwrap() {
            connections += 1;
            let Some(of) = found(&answer, &flows, connection) else {
                wrong.push(format!("{name} stream {}: we hold no such connection", connection["stream"]));
                continue;
            };
            wrong.extend(compare(&name, connection, &of, &mut used));
        }
        assert!(
            answer.story.sessions.len() >= theirs.as_array().unwrap().len(),
            "{name}: {} sessions",
            answer.story.sessions.len()
        );
    }
    assert!(wrong.is_empty(), "{} fields differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(connections >= 34, "{connections} connections");
    for (file, field, reason) in EXCEPTIONS {
        let needed = used.iter().any(|(name, path)| (name.as_str(), path.as_str()) == (*file, *field));
        assert!(needed, "{file} {field} is held now: take the exception off the list ({reason})");
    }
}

/// Our connection with the same ends.
fn found<'a>(answer: &'a Analysis, flows: &'a [Flow], theirs: &Value) -> Option<Ours<'a>> {
    let same = |client: String, server: String| theirs["client"] == client && theirs["server"] == server;
    let mut sessions: Vec<&Session> =
        answer.story.sessions.iter().filter(|s| !s.connections.is_empty()).collect();
    sessions.sort_by_key(|session| session.connections[0].first);
    let index = sessions.iter().position(|session| {
        let connection = &session.connections[0];
        same(connection.client.to_string(), connection.server.to_string())
    })?;
    let flow = flows.iter().find(|flow| same(flow.client.to_string(), flow.server.to_string()))?;
    Some(Ours { session: sessions[index], flow, index })
}
