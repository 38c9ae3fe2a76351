//! Scenarios: the logs that come out, read back by the `evtx` crate: channels, ids, fields, times by each host's clock.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rdpwhy_lab::scenario::{Scenario, user_name_hash};
use serde_json::Value as Json;

use crate::evtx_files::read;

const CAST: &str = r"
at 2025-03-04T08:00:00.123456789Z
domain LAB lab.test
host client CLIENT01 198.51.100.7 clock=-2.5s
host server RDSH01 203.0.113.20 clock=+137s
host dc DC01 203.0.113.10
user LAB\alice sid=S-1-5-21-1111111111-2222222222-3333333333-1105
";
const START_NS: i128 = 1_741_075_200_123_456_789;

/// Records of a scenario as the crate reads them, by host and channel.
struct Played(BTreeMap<(String, String), Vec<Json>>);

fn play(lines: &str) -> Played {
    play_text(&format!("{CAST}{lines}"))
}

fn play_text(text: &str) -> Played {
    let scenario = Scenario::parse(text).unwrap_or_else(|error| panic!("{error}"));
    let mut played = BTreeMap::new();
    for log in scenario.logs().unwrap() {
        let records = read(&log.bytes);
        let channel = records[0]["Event"]["System"]["Channel"].as_str().unwrap().to_owned();
        assert_eq!(log.name, format!("{}.evtx", channel.replace('/', "%4")));
        assert!(records.iter().all(|record| record["Event"]["System"]["Channel"] == channel));
        played.insert((log.host, channel), records);
    }
    Played(played)
}

impl Played {
    /// Records of the one channel of a host whose name contains `channel`.
    fn log(&self, host: &str, channel: &str) -> &[Json] {
        let mut found = self.0.iter().filter(|((of, name), _)| of == host && name.contains(channel));
        let records = found.next().map_or(&[][..], |(_, records)| records.as_slice());
        assert!(found.next().is_none(), "several channels of {host} match {channel}");
        records
    }

    fn ids(&self, host: &str, channel: &str) -> Vec<u64> {
        self.log(host, channel).iter().map(event_id).collect()
    }

    /// The only record with that id.
    fn one(&self, host: &str, channel: &str, id: u64) -> &Json {
        let found: Vec<&Json> =
            self.log(host, channel).iter().filter(|record| event_id(record) == id).collect();
        assert_eq!(found.len(), 1, "{host} {channel} {id}");
        found[0]
    }

    fn methods(&self) -> Vec<&str> {
        let records = self.log("RDSH01", "RdpCoreTS").iter().filter(|record| event_id(record) == 72);
        records.map(|record| record["Event"]["EventData"]["MethodName"].as_str().unwrap()).collect()
    }
}

fn event_id(record: &Json) -> u64 {
    let id = &record["Event"]["System"]["EventID"];
    id.as_u64().or_else(|| id["#text"].as_u64()).unwrap()
}

fn data<'a>(record: &'a Json, field: &str) -> &'a Json {
    &record["Event"]["EventData"][field]
}

fn user_data<'a>(record: &'a Json, field: &str) -> &'a Json {
    let user_data = record["Event"]["UserData"].as_object().unwrap();
    &user_data.values().next().unwrap()[field]
}

fn time_ns(record: &Json) -> i128 {
    let text = record["Event"]["System"]["TimeCreated"]["#attributes"]["SystemTime"].as_str().unwrap();
    text.parse::<Timestamp>().unwrap().as_nanosecond()
}

fn activity(record: &Json) -> Option<&str> {
    record["Event"]["System"]["Correlation"]["#attributes"]["ActivityID"].as_str()
}

/// A time stored in steps of 100 ns.
fn stored(ns: i128) -> i128 {
    ns / 100 * 100
}

#[test]
fn wrong_password() {
    let played = play(
        "+0.000 client connects name=rdsh01.lab.test
         +0.412 server accepts port=47488
         +1.480 server refuses-credentials status=0xC000006D sub=0xC000006A
         +2.900 client disconnected reason=2055",
    );
    let core = played.ids("RDSH01", "RdpCoreTS");
    assert_eq!(core[..6], [131, 65, 72, 72, 141, 140]);
    assert_eq!(core[6..], [143, 226, 72, 102, 227, 145, 148, 103]);
    assert_eq!(played.ids("RDSH01", "RemoteConnectionManager"), [261]);
    assert_eq!(played.ids("RDSH01", "Security"), [4625]);
    assert_eq!(played.ids("DC01", "Security"), [4776]);
    assert_eq!(played.ids("CLIENT01", "RDPClient"), [1024, 1029, 1105, 1026]);

    let accepted = played.one("RDSH01", "RdpCoreTS", 131);
    assert_eq!(data(accepted, "ClientIP"), "198.51.100.7:47488");
    assert_eq!(time_ns(accepted), stored(START_NS + 412_000_000 + 137_000_000_000));
    let connection = activity(accepted).unwrap();
    assert!(connection.starts_with("{f420"), "{connection}");
    assert!(played.log("RDSH01", "RdpCoreTS").iter().all(|record| activity(record) == Some(connection)));
    assert_eq!(activity(played.one("RDSH01", "RemoteConnectionManager", 261)), Some(connection));

    let failed = played.one("RDSH01", "Security", 4625);
    assert_eq!(data(failed, "Status"), "0xc000006d");
    assert_eq!(data(failed, "SubStatus"), "0xc000006a");
    assert_eq!(data(failed, "FailureReason"), "%%2313");
    assert_eq!(data(failed, "LogonType"), 3);
    assert_eq!(data(failed, "IpPort"), "0");
    assert_eq!(data(failed, "IpAddress"), "198.51.100.7");
    assert_eq!(failed["Event"]["System"]["Keywords"], "0x8010000000000000");
    assert_eq!(data(played.one("DC01", "Security", 4776), "Status"), "0xc000006a");

    let refused = time_ns(played.one("RDSH01", "RdpCoreTS", 140));
    assert_eq!(refused, stored(START_NS + 1_484_000_000 + 137_000_000_000));
    let teardown = time_ns(played.one("RDSH01", "RdpCoreTS", 143));
    assert!((1_160_000_000..1_180_000_000).contains(&(teardown - refused)));
    assert_eq!(data(played.one("RDSH01", "RdpCoreTS", 103), "ReasonCode"), 14);

    let begun = played.one("CLIENT01", "RDPClient", 1024);
    assert_eq!(data(begun, "Value"), "rdsh01.lab.test");
    assert_eq!(time_ns(begun), stored(START_NS - 2_500_000_000));
    let hash = data(played.one("CLIENT01", "RDPClient", 1029), "TraceMessage");
    assert_eq!(hash, &user_name_hash(r"LAB\alice"));
    assert_eq!(data(played.one("CLIENT01", "RDPClient", 1026), "Value"), "2055");
}

#[test]
fn the_hash_of_a_name_is_sha256_of_utf16() {
    // Calculated with: printf 'a\0' | sha256sum | cut -d' ' -f1 | xxd -r -p | base64
    assert_eq!(user_name_hash("a"), "/+mq6qKi1QSBdN8LgFme8Bl+wCTEsFG8mGDP9Y73+fM=");
}

#[test]
fn nla_required_leaves_no_more_than_a_teardown() {
    let played = play("+0.1 server accepts port=50001\n+0.15 server refuses-negotiation");
    let core = played.ids("RDSH01", "RdpCoreTS");
    assert_eq!(core, [131, 65, 72, 72, 141, 143, 226, 72, 102, 227, 145, 148, 103]);
    assert_eq!(played.ids("RDSH01", "Security"), [0_u64; 0]);
    assert_eq!(data(played.one("RDSH01", "RdpCoreTS", 226), "ErrorCode"), "0x80070040");
}

#[test]
fn broker_fails_and_the_client_sees_3_7() {
    let played = play(
        "+0.0 server accepts port=50002
         +0.9 server authenticates
         +1.0 server redirect-failed error=0x80070005
         +1.3 server set-error-info 0x7",
    );
    assert_eq!(played.ids("RDSH01", "SessionBroker-Client"), [1301, 1306]);
    let failed = played.one("RDSH01", "SessionBroker-Client", 1306);
    assert_eq!(user_data(failed, "param1"), "LAB");
    assert_eq!(user_data(failed, "param2"), "alice");
    assert_eq!(user_data(failed, "param3"), "0x80070005");
    let methods = played.methods();
    let told: Vec<usize> = ["AcceptConnection", "PreDisconnect(7)", "SetErrorInfo(0x7)", "DisconnectNotify"]
        .map(|name| methods.iter().position(|method| *method == name).unwrap())
        .to_vec();
    assert!(told.is_sorted(), "{methods:?}");
    assert_eq!(data(played.one("RDSH01", "RdpCoreTS", 103), "ReasonCode"), 7);
    assert_eq!(data(played.one("RDSH01", "RdpCoreTS", 228), "ErrorCode"), 7);
    // NLA went well: a network logon, and 1149 40 ms after the request.
    assert_eq!(played.ids("RDSH01", "Security"), [4624]);
    assert_eq!(played.ids("DC01", "Security"), [4776]);
    let logon = time_ns(played.one("RDSH01", "Security", 4624));
    let accepted = played.one("RDSH01", "RemoteConnectionManager", 1149);
    assert_eq!(time_ns(accepted) - logon, 38_500_000);
    assert_eq!(user_data(accepted, "Param1"), "alice");
    assert_eq!(user_data(accepted, "Param3"), "198.51.100.7");
}

#[test]
fn no_licence() {
    let played = play("+0.0 server accepts port=50003\n+1.0 server licensing-failed kind=grace-expired");
    assert_eq!(played.ids("RDSH01", "RemoteConnectionManager/Admin"), [1069]);
    let system = played.log("RDSH01", "System");
    assert_eq!(played.ids("RDSH01", "System"), [6038, 1128]);
    assert_eq!(system[1]["Event"]["System"]["EventID"]["#attributes"]["Qualifiers"], 49152);
    assert_eq!(system[1]["Event"]["System"]["Provider"]["#attributes"]["EventSourceName"], "TermService");
    assert!(played.methods().contains(&"SetErrorInfo(0x101)"));
}

#[test]
fn a_session_is_replaced_by_another_connection() {
    let played = play(
        "host client CLIENT02 198.51.100.8
         +0.0 server accepts port=50004 from=CLIENT01
         +1.0 server logs-on session=3
         +60.0 server accepts port=50005 from=CLIENT02
         +61.0 server logs-on reconnect=3",
    );
    let lsm = played.log("RDSH01", "LocalSessionManager");
    let ids = played.ids("RDSH01", "LocalSessionManager");
    assert_eq!(ids, [41, 42, 21, 22, 41, 40, 24, 40, 25, 42]);
    let reasons: Vec<_> =
        lsm.iter().filter(|record| event_id(record) == 40).map(|r| user_data(r, "Reason")).collect();
    assert_eq!(reasons, [5, 0]);
    assert_eq!(user_data(&lsm[6], "Address"), "198.51.100.7");
    assert_eq!(user_data(&lsm[8], "Address"), "198.51.100.8");
    assert_eq!((user_data(&lsm[6], "SessionID"), user_data(&lsm[8], "SessionID")), (&3.into(), &3.into()));
    assert_eq!(activity(&lsm[2]), activity(&lsm[6]), "the old connection ends under its own ActivityID");
    assert_ne!(activity(&lsm[6]), activity(&lsm[8]));
    let security = played.ids("RDSH01", "Security");
    let tail: Vec<u64> = security.into_iter().filter(|id| *id > 4700).collect();
    assert_eq!(tail, [4779, 4778]);
    assert!(played.methods().contains(&"SetErrorInfo(0x5)"));
    let bound: Vec<_> =
        played.log("RDSH01", "RdpCoreTS").iter().filter(|record| event_id(record) == 66).collect();
    assert_eq!(bound.len(), 3, "the second connection is bound to a temporary session first");
}

#[test]
fn a_session_from_logon_to_logoff_climbs_the_whole_ladder() {
    let played = play("+0.0 server accepts port=50006\n+1.0 server logs-on session=2\n+900 server logs-off");
    let methods = played.methods();
    let expected = [
        "PrepareForAccept",
        "SendPolicyData",
        "OnStartLicensing",
        "AcceptConnection",
        "GetSecurityFilterCreds",
        "SendClientLicense",
        "ProtocolComplete",
        "AuthenticateClientToSession",
        "PreCreate",
        "OnConnected",
        "OnReady",
        "ConnectNotify(SessionId=2)",
        "LogonNotify(SessionId=2)",
        "PreDisconnect(12)",
        "SetErrorInfo(0xc)",
        "DisconnectNotify",
        "OnDisconnected(server initiated)",
    ];
    assert_eq!(methods, expected);
    let firsts = [131, 65, 141, 101, 104, 71, 98, 100, 130, 135, 66, 33, 68, 228, 226, 102, 103];
    let ids = played.ids("RDSH01", "RdpCoreTS");
    let places: Vec<usize> = firsts
        .iter()
        .filter(|id| **id != 226)
        .map(|id| ids.iter().position(|of| of == id).unwrap())
        .collect();
    assert!(places.is_sorted(), "{ids:?}");
    assert_eq!(played.ids("RDSH01", "LocalSessionManager"), [41, 42, 21, 22, 23, 40, 24]);
    let logons: Vec<(u64, u64)> = played
        .log("RDSH01", "Security")
        .iter()
        .map(|record| (event_id(record), data(record, "LogonType").as_u64().unwrap_or_default()))
        .collect();
    let expected = [
        (4624, 3),
        (4648, 0),
        (4624, 10),
        (4624, 10),
        (4624, 2),
        (4624, 2),
        (4647, 0),
        (4779, 0),
        (4634, 10),
    ];
    assert_eq!(logons, expected);
    assert_eq!(data(&played.log("RDSH01", "Security")[4], "TargetUserName"), "UMFD-2");
}

#[test]
fn noise_can_be_left_out() {
    let played = play(
        "noise off\n+0.0 server accepts port=50007\n+1.0 server logs-on\n+9 server disconnects by=network",
    );
    let core = played.ids("RDSH01", "RdpCoreTS");
    assert!(!core.iter().any(|id| [227, 145, 148].contains(id)), "{core:?}");
    assert_eq!(played.ids("RDSH01", "System"), [0_u64; 0]);
    assert_eq!(data(played.one("RDSH01", "RdpCoreTS", 142), "error"), 64);
    assert!(played.methods().contains(&"PreDisconnect(-805306367)"));
    assert_eq!(data(played.one("RDSH01", "RdpCoreTS", 103), "ReasonCode"), 14);
}

#[test]
fn idle_limit() {
    let played = play("+0 server accepts port=50008\n+1 server logs-on session=4\n+1801 server idle-limit");
    let limit = played.one("RDSH01", "RemoteConnectionManager", 20516);
    assert_eq!(user_data(limit, "Session"), 4);
    assert_eq!(user_data(played.one("RDSH01", "LocalSessionManager", 40), "Reason"), 3);
    assert_eq!(user_data(played.one("RDSH01", "LocalSessionManager", 24), "SessionID"), 4);
    assert_eq!(data(played.one("RDSH01", "RdpCoreTS", 103), "ReasonCode"), 3);
}

#[test]
fn a_console_logon_does_not_look_like_rdp() {
    let played = play(r"+0 server console-logon user=LAB\bob");
    assert_eq!(played.ids("RDSH01", "LocalSessionManager"), [41, 42, 21, 22]);
    let shell = played.one("RDSH01", "LocalSessionManager", 21);
    assert_eq!(user_data(shell, "Address"), "LOCAL");
    assert_eq!(user_data(shell, "User"), r"LAB\bob");
    assert_eq!(activity(shell), None);
    assert_eq!(data(played.one("RDSH01", "Security", 4624), "LogonType"), 2);
    assert_eq!(played.ids("RDSH01", "RdpCoreTS"), [0_u64; 0]);
}

#[test]
fn a_locked_account() {
    let played = play(
        "+0.0 server accepts port=50009
         +0.5 dc locks-out
         +1.0 server refuses-credentials status=0xC0000234 sub=0",
    );
    assert_eq!(played.ids("DC01", "Security"), [4740, 4776]);
    let locked = played.one("DC01", "Security", 4740);
    assert_eq!(data(locked, "TargetUserName"), "alice");
    assert_eq!(data(locked, "TargetDomainName"), "CLIENT01");
    assert_eq!(time_ns(locked), stored(START_NS + 500_000_000), "the domain controller's clock is right");
    assert_eq!(data(played.one("RDSH01", "Security", 4625), "FailureReason"), "%%2307");
    assert_eq!(data(played.one("DC01", "Security", 4776), "Status"), "0xc0000234");
}

#[test]
fn not_in_remote_desktop_users() {
    let played = play("+0.0 server accepts port=50010\n+1.0 server authorization-denied");
    assert_eq!(played.ids("RDSH01", "Security"), [4624, 4625, 4825]);
    let [logon, failed, denied] = played.log("RDSH01", "Security") else { panic!("three records") };
    assert_eq!(data(logon, "LogonType"), 3);
    assert_eq!((data(failed, "LogonType"), data(failed, "Status")), (&10.into(), &"0xc000015b".into()));
    assert_eq!(data(failed, "FailureReason"), "%%2308");
    assert_eq!(data(denied, "LogonID"), data(logon, "TargetLogonId"));
    assert!(played.methods().contains(&"SetErrorInfo(0x9)"));
}

#[test]
fn a_failed_tls_handshake() {
    let played = play("+0 server accepts port=50011\n+0.2 server tls-failed alert=40 no-common-cipher=yes");
    assert_eq!(played.ids("RDSH01", "System"), [36874, 36888]);
    let sent = played.one("RDSH01", "System", 36888);
    assert_eq!((data(sent, "AlertDesc"), data(sent, "ErrorState")), (&40.into(), &1205.into()));
    let failed = played.one("RDSH01", "RdpCoreTS", 139);
    assert_eq!(data(failed, "ResultCode"), "0x80090331");
    let states = played.log("RDSH01", "RdpCoreTS").iter().filter(|record| event_id(record) == 226);
    let parts: Vec<_> = states.map(|record| data(record, "StateTransition")).collect();
    assert_eq!(parts, ["RDP_SEC", "RDP_TCP"]);
}

#[test]
fn a_gateway_denies_the_target() {
    let played = play(
        "host gateway GW01 203.0.113.40 clock=-3605s
         +0 GW01 connects port=51515 resource=rdsh01.lab.test
         +0.3 gateway rap-denied",
    );
    assert_eq!(played.ids("GW01", "Gateway"), [312, 200, 301]);
    let [begun, _, denied] = played.log("GW01", "Gateway") else { panic!("three records") };
    assert_eq!(user_data(begun, "IpAddress"), "198.51.100.7:51515");
    assert_eq!(user_data(denied, "ErrorCode"), 23002);
    assert_eq!(user_data(denied, "Resource"), "rdsh01.lab.test");
    assert_eq!(denied["Event"]["UserData"]["EventInfo"]["#attributes"]["xmlns"], "aag");
    assert_eq!(activity(begun), activity(denied));
    assert_eq!(time_ns(begun), stored(START_NS - 3605 * 1_000_000_000));
}

#[test]
fn kerberos_tickets_skew_and_ntlm_blocks() {
    let played = play(
        "+0 client connects name=rdsh01.lab.test
         +0.1 client clock-skew
         +0.2 client ntlm-blocked
         +0.3 server ntlm-blocked
         +0.4 server ntlm-blocked kind=domain
         +1 server accepts port=50012
         +2 server authenticates package=kerberos",
    );
    assert_eq!(played.ids("DC01", "Security"), [4771, 4768, 4769]);
    assert_eq!(data(played.one("DC01", "Security", 4771), "Status"), "0x25");
    let ticket = played.one("DC01", "Security", 4769);
    assert_eq!((data(ticket, "ServiceName"), data(ticket, "Status")), (&"RDSH01$".into(), &"0x0".into()));
    assert_eq!(data(ticket, "IpAddress"), "::ffff:198.51.100.7");
    assert_eq!(data(played.one("CLIENT01", "System", 40960), "Target"), "TERMSRV/rdsh01.lab.test");
    assert_eq!(played.ids("CLIENT01", "NTLM"), [4001]);
    assert_eq!(data(played.one("CLIENT01", "NTLM", 4001), "ProcessName"), "mstsc.exe");
    assert_eq!(played.ids("RDSH01", "NTLM"), [4002, 4003]);
    assert_eq!(data(played.one("RDSH01", "Security", 4624), "AuthenticationPackageName"), "Kerberos");
}

#[test]
fn without_nla_the_password_is_refused_at_the_logon_screen() {
    let played = play("+0 server accepts port=50017 nla=no\n+5 server refuses-credentials");
    assert_eq!(played.ids("RDSH01", "Security"), [4625]);
    assert_eq!(data(played.one("RDSH01", "Security", 4625), "LogonType"), 10);
    let accepted = played.one("RDSH01", "RemoteConnectionManager", 1149);
    assert!(user_data(accepted, "Param2").is_null());
    let core = played.ids("RDSH01", "RdpCoreTS");
    assert!(core.contains(&100) && !core.contains(&140) && !core.contains(&103), "{core:?}");
    assert!(time_ns(accepted) < time_ns(played.one("RDSH01", "Security", 4625)));
}

#[test]
fn exported_logs_have_headers_of_their_own() {
    let played = |exported: &str| {
        play_text(&format!(
            "at 2025-03-04T08:00:00Z\nhost client C 198.51.100.7\nhost server S 203.0.113.20 {exported}\n+0 S accepts port=1"
        ))
    };
    let (native, exported) = (played(""), played("exported=yes"));
    assert_eq!(native.0, exported.0, "what `System` says is the same");
    let text = "at 2025-03-04T08:00:00Z\nhost server S 203.0.113.20 exported=yes\n+0 S boots";
    let files = Scenario::parse(text).unwrap().logs().unwrap();
    let first_header_id = u64::from_le_bytes(files[0].bytes[4096 + 512 + 8..][..8].try_into().unwrap());
    assert_eq!(first_header_id, 1);
}

#[test]
fn v6_and_udp_endpoints() {
    let played = play_text(
        "at 2025-03-04T08:00:00Z
         host client CLIENT01 2001:db8:1::7
         host server RDSH01 2001:db8:2::20
         +0 server accepts port=50013
         +1 server accepts port=50014 protocol=udp",
    );
    let accepted = played.log("RDSH01", "RdpCoreTS").iter().filter(|record| event_id(record) == 131);
    let peers: Vec<_> =
        accepted.map(|record| (data(record, "ConnType").clone(), data(record, "ClientIP").clone())).collect();
    let expected = [("TCP", "[2001:db8:1::7]:50013"), ("UDP", "[2001:db8:1::7]:50014")];
    assert_eq!(peers, expected.map(|(kind, peer)| (kind.into(), peer.into())));
}

#[test]
fn shutting_down_tells_every_connection_and_clocks_may_be_set() {
    let played = play(
        "+0 server boots
         +60 server accepts port=50015
         +61 server logs-on
         +70 server clock-changes to=+0s
         +80 server shuts-down",
    );
    assert_eq!(user_data(played.one("RDSH01", "RemoteConnectionManager", 258), "listenerName"), "RDP-Tcp");
    assert!(played.methods().contains(&"SetErrorInfo(0x1a)"));
    let system = played.ids("RDSH01", "System");
    assert_eq!(system, [12, 6005, 6038, 1, 1074, 6006, 13]);
    let set = played.one("RDSH01", "System", 1);
    assert_eq!(time_ns(set), stored(START_NS + 70_000_000_000));
    assert_eq!(time_ns(played.one("RDSH01", "System", 6005)), stored(START_NS + 141_000_000_000));
}

#[test]
fn any_event_can_be_written() {
    let played = play(
        r#"host server RDSH02 203.0.113.21 first-record=500
         +0 RDSH01 accepts port=50016
         +1 RDSH01 event provider=rdpcorets id=154 level=2 activity=connection Message="two words" Error:hex32=0x80070005
         +2 RDSH01 event provider=Vendor-Thing channel=Vendor/Log id=7 guid={00000000-0000-0000-0000-00000000002a} A:null=- B:bool=true
         +3 RDSH01 event provider=termdd id=56 qualifiers=49162 X=\Device\Termdd Y=198.51.100.7 binary=840100d0
         +4 RDSH01 event provider=lsasrv id=6041 payload=unnamed T=TERMSRV/x V:u32=2
         +5 RDSH02 event provider=gateway id=200 payload=EventInfo:aag Username=LAB\alice
         +6 RDSH02 event provider=gateway id=200 record-id=900"#,
    );
    let message = played.one("RDSH01", "RdpCoreTS", 154);
    assert_eq!(
        (data(message, "Message"), data(message, "Error")),
        (&"two words".into(), &"0x80070005".into())
    );
    assert_eq!(activity(message), activity(played.one("RDSH01", "RdpCoreTS", 131)));
    let other = played.one("RDSH01", "Vendor/Log", 7);
    assert_eq!((data(other, "A"), data(other, "B")), (&"".into(), &true.into()));
    let termdd = played.one("RDSH01", "System", 56);
    assert_eq!(
        termdd["Event"]["EventData"]["Data"]["#text"],
        serde_json::json!([r"\Device\Termdd", "198.51.100.7"])
    );
    assert_eq!(termdd["Event"]["EventData"]["Binary"], "840100D0");
    let gateway = played.log("RDSH02", "Gateway");
    assert_eq!(user_data(&gateway[0], "Username"), r"LAB\alice");
    let ids: Vec<_> = gateway.iter().map(|record| &record["Event"]["System"]["EventRecordID"]).collect();
    assert_eq!(ids, [500, 900]);
}

#[test]
fn the_same_text_gives_the_same_bytes_and_a_true_listing() {
    let text = format!("{CAST}+0 server accepts port=1\n+1 server logs-on\n+2 server logs-off\n");
    let scenario = Scenario::parse(&text).unwrap();
    assert_eq!(scenario.logs().unwrap(), Scenario::parse(&text).unwrap().logs().unwrap());
    let listing = scenario.listing();
    let read: Vec<(u64, u64, i128)> = scenario
        .logs()
        .unwrap()
        .iter()
        .flat_map(|log| read(&log.bytes))
        .map(|record| {
            let record_id = record["Event"]["System"]["EventRecordID"].as_u64().unwrap();
            (event_id(&record), record_id, time_ns(&record))
        })
        .collect();
    let listed: Vec<(u64, u64, i128)> = listing
        .iter()
        .map(|listed| (listed.event_id.into(), listed.record_id, stored(listed.time_ns.into())))
        .collect();
    assert_eq!(read, listed);
    assert_eq!(scenario.hosts()[1].clock_ns, 137_000_000_000);
}

/// Every verb once, each connection verb on a connection of its own.
const EVERY_VERB: &str = include_str!("every_verb.scenario");

#[test]
fn every_verb_plays_and_is_read_back() {
    for name in rdpwhy_lab::scenario::verb_names() {
        let is_used = EVERY_VERB.lines().any(|line| line.split(' ').nth(2) == Some(name));
        assert!(is_used, "{name} is not in the scenario");
    }
    let played = play_text(EVERY_VERB);
    assert_eq!(played.0.keys().map(|(host, _)| host).collect::<std::collections::BTreeSet<_>>().len(), 5);
    for records in played.0.values() {
        let ids: Vec<u64> = records
            .iter()
            .map(|record| record["Event"]["System"]["EventRecordID"].as_u64().unwrap())
            .collect();
        assert!(ids.windows(2).all(|pair| pair[1] == pair[0] + 1), "record ids have no holes");
    }
}
