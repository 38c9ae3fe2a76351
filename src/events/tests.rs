//! Records in text form into facts, and the tables themselves.

use super::*;
use crate::time::UnixNanos;

const CORE: &str = "Microsoft-Windows-RemoteDesktopServices-RdpCoreTS";
const RCM: &str = "Microsoft-Windows-TerminalServices-RemoteConnectionManager";
const LSM: &str = "Microsoft-Windows-TerminalServices-LocalSessionManager";
const CLIENT: &str = "Microsoft-Windows-TerminalServices-ClientActiveXCore";
const BROKER: &str = "Microsoft-Windows-TerminalServices-SessionBroker-Client";
const GATEWAY: &str = "Microsoft-Windows-TerminalServices-Gateway";
const SECURITY: &str = "Microsoft-Windows-Security-Auditing";
const NTLM: &str = "Microsoft-Windows-NTLM";
const KERBEROS: &str = "Microsoft-Windows-Security-Kerberos";
const ACTIVITY: &str = "F420AAAA-0000-0000-0000-000000000001";

/// A record of `provider`, in the channel where it usually writes, with fields as `Name=value | Name=value`.
fn record(provider: &str, id: u32, fields: &str) -> Record {
    let channel = match provider {
        SECURITY => "Security".to_owned(),
        CORE | RCM | LSM | BROKER | GATEWAY | NTLM => format!("{provider}/Operational"),
        CLIENT => "Microsoft-Windows-TerminalServices-RDPClient/Operational".to_owned(),
        _ => "System".to_owned(),
    };
    let field = |part: &str| {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        (name.trim().to_owned(), value.trim().to_owned())
    };
    Record {
        channel,
        provider: provider.to_owned(),
        id,
        record_id: 7,
        at: UnixNanos(1_000),
        computer: "RDSH01.lab.test".to_owned(),
        activity: Some(ACTIVITY.to_owned()),
        fields: fields.split(" | ").filter(|part| !part.is_empty()).map(field).collect(),
        ..Record::default()
    }
}

/// The fact in its text form, then the keys that are there.
fn said(record: &Record) -> String {
    let Some(fact) = facts(record, 3) else { return "nothing".to_owned() };
    assert_eq!((fact.at, fact.place), (record.at, record.place(3)));
    let text = fact.what.text();
    assert_eq!(What::parse(&text).as_ref(), Ok(&fact.what), "{text}");
    let keys = fact.subject.keys().unwrap();
    assert_eq!(keys.host, "rdsh01.lab.test");
    let mut out = text;
    let mut key = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            out.push_str(&format!(" ~{name}={value}"));
        }
    };
    key("activity", keys.activity.as_ref().map(|id| id.chars().take(4).collect()));
    key("session", keys.session_id.map(|id| id.to_string()));
    key("logon", keys.logon_id.map(|id| format!("{id:#x}")));
    key("user", keys.user.clone());
    key("domain", keys.domain.clone());
    key("address", keys.address.map(|address| address.to_string()));
    key("port", keys.port.map(|port| port.to_string()));
    key("workstation", keys.workstation.clone());
    out
}

fn check(provider: &str, rows: &[(u32, &str, &str)]) {
    for (id, fields, expected) in rows {
        assert_eq!(said(&record(provider, *id, fields)), *expected, "{provider} {id}");
    }
}

#[test]
fn rows_are_sorted_by_id_and_say_something() {
    for log in LOGS {
        assert!(log.events.is_sorted_by(|a, b| a.id < b.id), "{}: not sorted", log.name);
        assert!(log.events.iter().all(|event| !event.says.is_empty()), "{}", log.name);
        for event in log.events {
            let wanted = log.providers.iter().all(|name| wanted(name, log.channels[0], event.id));
            assert!(wanted, "{} {}", log.name, event.id);
        }
    }
}

#[test]
fn provider_and_channel_decide() {
    assert!(wanted(CORE, "Microsoft-Windows-RemoteDesktopServices-RdpCoreTS/Operational", 131));
    assert!(!wanted(CORE, "Application", 131));
    assert!(!wanted("Somebody", "Security", 4625));
    assert!(wanted(RCM, "System", 1070) && wanted("TermService", "System", 1070));
    assert!(!wanted("", "", 0));
}

#[test]
fn what_stands_in_every_session_has_no_row() {
    let noise = [
        (
            CORE,
            "Microsoft-Windows-RemoteDesktopServices-RdpCoreTS/Operational",
            &[101, 134, 145, 148, 227][..],
        ),
        (LSM, "Microsoft-Windows-TerminalServices-LocalSessionManager/Operational", &[32]),
        (RCM, "Microsoft-Windows-TerminalServices-RemoteConnectionManager/Operational", &[263, 1136, 20523]),
        ("Schannel", "System", &[36864, 36867, 36868, 36885, 36886]),
        ("LsaSrv", "System", &[6038, 6039, 45058]),
        (NTLM, "Microsoft-Windows-NTLM/Operational", &[8001, 8002, 8003]),
        (SECURITY, "Security", &[4797, 4800, 4801]),
    ];
    for (provider, channel, ids) in noise {
        assert!(ids.iter().all(|id| !wanted(provider, channel, *id)), "{provider}");
    }
}

#[test]
fn the_server_tells_its_ladder() {
    check(
        CORE,
        &[
            (65, "ConnectionName=RDP-Tcp#5", "connection-named name=RDP-Tcp#5 ~activity=F420"),
            (
                66,
                "ConnectionName=RDP-Tcp#5 | SessionID=2",
                "session-bound name=RDP-Tcp#5 ~activity=F420 ~session=2",
            ),
            (72, "MethodName=PrepareForAccept", "method method=PrepareForAccept ~activity=F420"),
            (72, "MethodName=SetErrorInfo(0x7)", "error-info-set code=0x7 ~activity=F420"),
            (
                72,
                "MethodName=PreDisconnect(-805306367)",
                "method method=PreDisconnect value=-805306367 code=0xd0000001 ~activity=F420",
            ),
            (
                72,
                "MethodName=OnDisconnected(server initiated)",
                "method method=OnDisconnected value=\"server initiated\" ~activity=F420",
            ),
            (98, "", "licensed ~activity=F420"),
            (103, "ReasonCode=14", "disconnected reason=0xe ~activity=F420"),
            (103, "ReasonCode=x", "nothing"),
            (104, "TimezoneBiasHour=[1]", "client-info ~activity=F420"),
            (107, "", "ultimatum by=client ~activity=F420"),
            (
                131,
                "ConnType=TCP | ClientIP=198.51.100.7:50412",
                "accepted ~activity=F420 ~address=198.51.100.7 ~port=50412",
            ),
            (
                131,
                "ConnType=UDP | ClientIP=[2001:db8::7]:50412",
                "accepted udp=yes ~activity=F420 ~address=2001:db8::7 ~port=50412",
            ),
            (
                139,
                "ResultCode=0x80090304 | IPString=198.51.100.7",
                "security-error status=0x80090304 ~activity=F420 ~address=198.51.100.7",
            ),
            (140, "IPString=198.51.100.7", "credentials-refused ~activity=F420 ~address=198.51.100.7"),
            (142, "error=64", "socket-error code=0x40 ~activity=F420"),
            (143, "error=121", "socket-error code=0x79 writing=yes ~activity=F420"),
            (
                226,
                "StateTransition=RDP_TCP | PreviousStateName=StateUnknown | NewStateName=StateDisconnected | \
                 EventName=Event_Disconnect | ErrorCode=0x80070040",
                "state-error machine=RDP_TCP from=StateUnknown to=StateDisconnected event=Event_Disconnect \
                 status=0x80070040 ~activity=F420",
            ),
        ],
    );
}

#[test]
fn an_activity_that_many_connections_share_is_no_key() {
    let mut record = record(LSM, 41, "User=LAB\\jane | SessionID=1");
    record.activity = Some("61A55000-55E5-1017-0000-000000000000".to_owned());
    assert_eq!(said(&record), "arbitration-began ~session=1 ~user=jane ~domain=LAB");
}

#[test]
fn the_connection_manager_tells_users_licenses_and_certificates() {
    check(
        RCM,
        &[
            (261, "listenerName=RDP-Tcp", "listener-accepted listener=RDP-Tcp ~activity=F420"),
            (
                1149,
                "Param1=jane | Param2=LAB | Param3=198.51.100.7",
                "user-authenticated ~activity=F420 ~user=jane ~domain=LAB ~address=198.51.100.7",
            ),
            (1149, "Param1=jane | Param2= | Param3=", "user-authenticated ~activity=F420 ~user=jane"),
            (
                1151,
                "Param1=LAB | Param2=jane | Param3=198.51.100.7",
                "arbitration-declined ~activity=F420 ~user=jane ~domain=LAB ~address=198.51.100.7",
            ),
            (20515, "Session=2", "limit-reached limit=idle logged_off=yes ~activity=F420 ~session=2"),
        ],
    );
    let mut classic =
        record("TermService", 1056, "0=RDSH01.lab.test | Binary=59EFF2E3B509C83137E81085E02A1AC63A7E61AA");
    classic.activity = None;
    assert_eq!(
        said(&classic),
        "server-certificate thumbprint=59eff2e3b509c83137e81085e02a1ac63a7e61aa name=RDSH01.lab.test self_signed=yes"
    );
    let drain = record("TermService", 1070, "0=jane");
    assert!(said(&drain).starts_with("problem log=rcm event=1070"), "{}", said(&drain));
}

#[test]
fn sessions_of_the_console_are_told_from_remote_desktop() {
    check(
        LSM,
        &[
            (
                21,
                "User=LAB\\jane | SessionID=2 | Address=198.51.100.7",
                "session-logon ~activity=F420 ~session=2 ~user=jane ~domain=LAB ~address=198.51.100.7",
            ),
            (
                21,
                "User=LAB\\jane | SessionID=1 | Address=ローカル",
                "session-logon local=yes ~activity=F420 ~session=1 ~user=jane ~domain=LAB",
            ),
            (39, "TargetSession=2 | Source=1", "session-ended by_session=1 ~activity=F420 ~session=2"),
            (40, "Session=2 | Reason=5", "session-ended reason=0x5 ~activity=F420 ~session=2"),
        ],
    );
}

#[test]
fn the_client_tells_what_was_typed_and_why_it_left() {
    check(
        CLIENT,
        &[
            (1024, "Name=Server Name | Value=rdsh01", "client-connecting name=rdsh01 ~activity=F420"),
            (
                1024,
                "Name=Server Name | Value=203.0.113.20",
                "client-connecting name=203.0.113.20 ~activity=F420 ~address=203.0.113.20",
            ),
            (1026, "Name=Disconnect Reason | Value=2308", "client-disconnected reason=0x904 ~activity=F420"),
            (1027, "DomainName=LAB | SessionId=2", "client-logged-on domain=LAB session=2 ~activity=F420"),
            (1029, "TraceMessage=q2iIC1Hj=-", "user-name-hash hash=q2iIC1Hj= ~activity=F420"),
        ],
    );
}

#[test]
fn brokers_and_gateways_name_users_and_targets() {
    check(
        BROKER,
        &[
            (
                1306,
                "param1=LAB | param2=jane | param3=0x80070005",
                "broker event=1306 says=\"the user could not be redirected\" status=0x80070005 failed=yes \
                 ~activity=F420 ~user=jane ~domain=LAB",
            ),
            (
                1307,
                "param1=LAB | param2=jane | param3=RDSH02 | param4=203.0.113.21",
                "broker event=1307 says=\"the user is redirected\" target=\"RDSH02 203.0.113.21\" ~activity=F420 \
                 ~user=jane ~domain=LAB",
            ),
        ],
    );
    check(
        GATEWAY,
        &[(
            303,
            "Username=LAB\\jane | IpAddress=198.51.100.7:50000 | Resource=rdsh01 | BytesReceived=5 | \
             BytesTransfered=6 | SessionDuration=7 | ConnectionProtocol=HTTP | ErrorCode=1226",
            "gateway event=303 says=\"the connection to the resource is over\" resource=rdsh01 transport=HTTP \
             code=0x4ca bytes_received=5 bytes_sent=6 seconds=7 ~activity=F420 ~user=jane ~domain=LAB \
             ~address=198.51.100.7 ~port=50000",
        )],
    );
}

#[test]
fn tls_is_told_by_whoever_uses_schannel() {
    check(
        "Schannel",
        &[
            (
                36870,
                "Type=server | ErrorCode=0x8009030d | ErrorStatus=10001",
                "key-inaccessible server=yes status=0x8009030d state=10001",
            ),
            (36874, "Protocol=TLS 1.2", "no-shared-suite version=\"TLS 1.2\""),
            (36887, "AlertDesc=48", "alert-logged code=0x30"),
            (
                36888,
                "AlertDesc=40 | ErrorState=1205 | TargetName=rdsh01",
                "alert-logged code=0x28 sent=yes state=1205 target=rdsh01",
            ),
            (36888, "AlertDesc=4000", "nothing"),
        ],
    );
    let text = "0=\\Device\\Termdd | 1=198.51.100.7 | Binary=00000400010000000000000038000AC00000000038000AC000000000840100D0";
    check(
        "TermDD",
        &[(56, text, "security-error status=0xd0000184 ~address=198.51.100.7"), (56, "", "security-error")],
    );
}

#[test]
fn authentication_is_told_by_lsa_ntlm_and_kerberos() {
    check(
        "LsaSrv",
        &[
            (6041, "0=TERMSRV/rdsh01 | 1=4", "credssp-version-refused target=TERMSRV/rdsh01 version=4"),
            (
                40960,
                "Target=TERMSRV/rdsh01 | Protocol=Kerberos | Error=\"The clocks differ. (0xc0000133)\"",
                "authentication-failed target=TERMSRV/rdsh01 protocol=Kerberos status=0xc0000133",
            ),
        ],
    );
    check(
        NTLM,
        &[(
            4003,
            "UserName=jane | DomainName=LAB | Workstation=CLIENT01 | ProcessName=svchost.exe",
            "ntlm-blocked place=domain process=svchost.exe ~user=jane ~domain=LAB ~workstation=CLIENT01",
        )],
    );
    check(
        KERBEROS,
        &[
            (3, "ErrorCode=0x25 | ServerName=krbtgt/LAB", "kerberos-failed code=0x25 service=krbtgt/LAB"),
            (3, "ErrorCode=0x19", "nothing"),
        ],
    );
    let mut clock = record(KERBEROS, 5, "");
    clock.qualifiers = Some(16384);
    assert_eq!(said(&clock), "kerberos-failed code=0x21");
    clock.qualifiers = Some(1);
    assert!(said(&clock).starts_with("problem log=kerberos event=5"));
}

#[test]
fn logons_are_told_without_the_plumbing() {
    check(
        SECURITY,
        &[
            (
                4624,
                "TargetUserName=jane | TargetDomainName=LAB | TargetLogonId=0x513da | LogonType=3 | \
                 LogonProcessName=NtLmSsp | AuthenticationPackageName=NTLM | WorkstationName=CLIENT01 | \
                 LogonGuid={00000000-0000-0000-0000-000000000000} | IpAddress=198.51.100.7 | IpPort=0 | \
                 RestrictedAdminMode=%%1843",
                "logon logon_type=3 package=NTLM ~logon=0x513da ~user=jane ~domain=LAB ~address=198.51.100.7 \
                 ~workstation=CLIENT01",
            ),
            (
                4624,
                "TargetUserName=jane | TargetLinkedLogonId=0x51400 | LogonType=10 | RestrictedAdminMode=%%1842",
                "logon logon_type=10 linked_logon=332800 restricted_admin=yes ~user=jane",
            ),
            (4624, "TargetUserName=DWM-2 | TargetDomainName=Window Manager | LogonType=2", "nothing"),
            (4624, "TargetUserName=UMFD-2 | LogonType=2", "nothing"),
            (4624, "TargetUserName=RDSH01$ | LogonType=3", "nothing"),
            (4624, "TargetUserName=SYSTEM | LogonType=5", "nothing"),
            (4624, "TargetUserName=jane | LogonType=2 | LogonProcessName=Advapi  ", "nothing"),
            (
                4625,
                "TargetUserName=jane | TargetDomainName=LAB | Status=0xc000006d | FailureReason=%%2313 | \
                 SubStatus=0xc000006a | LogonType=3 | IpAddress=- | IpPort=-",
                "logon-failed logon_type=3 status=0xc000006d sub_status=0xc000006a failure_reason=2313 ~user=jane \
                 ~domain=LAB",
            ),
            (4625, "TargetUserName=svc | Status=0xc000006d | LogonType=5", "nothing"),
        ],
    );
}

#[test]
fn the_end_of_logons_and_what_the_domain_says_are_told() {
    check(
        SECURITY,
        &[
            (
                4647,
                "TargetUserName=jane | TargetLogonId=0x513da",
                "logged-off by_user=yes ~logon=0x513da ~user=jane",
            ),
            (4672, "SubjectUserName=SYSTEM | SubjectLogonId=0x3e7", "nothing"),
            (
                4672,
                "SubjectUserName=jane | SubjectLogonId=0x513da | PrivilegeList=SeDebugPrivilege",
                "log-says log=security event=4672 says=\"the logon has rights of an administrator\" ~logon=0x513da \
                 ~user=jane",
            ),
            (4634, "TargetUserName=jane | TargetLogonId=0x513da | LogonType=3", "nothing"),
            (
                4634,
                "TargetUserName=jane | TargetLogonId=0x513da | LogonType=10",
                "logged-off logon_type=10 ~logon=0x513da ~user=jane",
            ),
            (
                4740,
                "TargetUserName=jane | TargetDomainName=CLIENT01",
                "account-locked-out ~user=jane ~workstation=CLIENT01",
            ),
            (
                4771,
                "TargetUserName=jane | ServiceName=krbtgt/LAB | Status=0x18 | IpAddress=::ffff:198.51.100.7 | IpPort=47506",
                "kerberos-failed code=0x18 service=krbtgt/LAB ~user=jane ~address=198.51.100.7 ~port=47506",
            ),
            (4769, "TargetUserName=jane@LAB.TEST | ServiceName=RDSH01$ | Status=0x0", "nothing"),
            (4769, "TargetUserName=DC$@LAB.TEST | ServiceName=DC$ | Status=0x0", "nothing"),
            (
                4776,
                "TargetUserName=jane | Workstation=\\\\CLIENT01 | Status=0xc000006a",
                "credentials-validated status=0xc000006a ~user=jane ~workstation=CLIENT01",
            ),
            (
                4778,
                "AccountName=jane | AccountDomain=LAB | LogonID=0x513da | SessionName=RDP-Tcp#0 | ClientName=CLIENT01 | \
                 ClientAddress=198.51.100.7",
                "session-reconnected name=RDP-Tcp#0 ~logon=0x513da ~user=jane ~domain=LAB ~address=198.51.100.7 \
                 ~workstation=CLIENT01",
            ),
            (
                4779,
                "AccountName=jane | SessionName=Console | ClientName=Unknown | ClientAddress=LOCAL",
                "session-disconnected name=Console local=yes ~user=jane ~workstation=Unknown",
            ),
            (
                4825,
                "AccountName=jane | AccountDomain=LAB | LogonID=0x3457272 | ClientAddress=198.51.100.7",
                "access-denied ~logon=0x3457272 ~user=jane ~domain=LAB ~address=198.51.100.7",
            ),
        ],
    );
}

#[test]
fn the_firewall_counts_at_the_port_of_remote_desktop_only() {
    check(
        SECURITY,
        &[
            (
                5157,
                "Application=svchost | Direction=%%14592 | SourceAddress=203.0.113.20 | SourcePort=3389 | \
                 DestAddress=198.51.100.7 | DestPort=50412 | FilterRTID=65790",
                "firewall inbound=yes local_port=3389 filter=65790 process=svchost ~address=198.51.100.7 ~port=50412",
            ),
            (
                5156,
                "Direction=%%14593 | SourceAddress=198.51.100.7 | SourcePort=50412 | DestAddress=203.0.113.20 | DestPort=3389",
                "firewall allowed=yes local_port=50412 ~address=203.0.113.20 ~port=3389",
            ),
            (5152, "Direction=%%14592 | SourcePort=445 | DestPort=50412", "nothing"),
        ],
    );
}

#[test]
fn the_host_tells_when_it_stops_and_when_its_clock_is_set() {
    let text = "PreviousTime=2025-03-04T08:00:00.0000000Z | NewTime=2025-03-04T08:00:30.0000000Z";
    let fact = facts(&record(SECURITY, 4616, text), 0).unwrap();
    assert!(matches!(fact.what, What::ClockChanged { from, to } if to.since(from) == 30_000_000_000));
    let stops = said(&record("User32", 1074, "param1=shutdown.exe | param5=restart"));
    assert!(stops.starts_with("host-stopped event=1074"), "{stops}");
    let service = |fields| said(&record("Service Control Manager", 7034, fields));
    assert!(
        service("param1=Remote Desktop Services | param2=1")
            .starts_with("service-problem log=scm event=7034")
    );
    let short = "param1=Remotedesktopdienste | Binary=5400650072006D0053006500720076006900630065000000";
    assert!(service(short).starts_with("service-problem"), "{}", service(short));
    assert_eq!(service("param1=Print Spooler"), "nothing");
}

#[test]
fn the_event_log_tells_the_zone_the_start_and_the_last_sign_of_life() {
    let of = |id, fields: &str| {
        said(&Record {
            at: UnixNanos(1_440_510_079_000_000_000),
            activity: None,
            ..record("EventLog", id, fields)
        })
    };
    assert_eq!(
        of(6013, "4=79 | 5=60 | 6=480 Pacific Standard Time"),
        "host-zone booted=1440510000000000000 zone=\"Pacific Standard Time\" standard_bias=480"
    );
    assert!(of(6013, "4=79 | 6=-60 W. Europe Standard Time").ends_with("standard_bias=-60"));
    assert_eq!(of(6013, "4=79"), "host-zone booted=1440510000000000000");
    assert_eq!(of(6013, "6=480 Pacific Standard Time"), "nothing");
    let local = "DF07080002001900060022002C001C03";
    let utc = "DF070800020019000D0022002C001C03";
    let died = |binary: &str| of(6008, &format!("0=6:34:44 AM | Binary={binary}"));
    assert!(died(&format!("{local}{utc}3C000000")).ends_with("alive=1440509684796000000"), "{}", died(utc));
    for none in ["", "DF07", local, "DF07080002001900060021002C001C03DF070800020019000D0022002C001C03"] {
        assert!(!died(none).contains("alive"), "{none}");
    }
}

#[test]
fn what_stands_beside_remote_desktop_counts_only_where_it_concerns_it() {
    let started = "param1=Remotedesktopdienste | param2=beendet | Binary=5400650072006D0053006500720076006900630065002F0031000000";
    let service = said(&record("Service Control Manager", 7036, started));
    assert!(service.ends_with("detail=TermService/1"), "{service}");
    let of = |provider: &str, channel: &str, id: u32, fields: &str| {
        said(&Record { channel: channel.to_owned(), activity: None, ..record(provider, id, fields) })
    };
    let crash = |fields| of("Application Error", "Application", 1000, fields);
    assert!(crash("0=svchost.exe | 1=x | 2=y | 3=termsrv.dll").starts_with("problem log=application-error"));
    assert_eq!(crash("AppName=notepad.exe | ModuleName=ntdll.dll"), "nothing");
    let firewall = "Microsoft-Windows-Windows Firewall With Advanced Security";
    let rule = |fields| of(firewall, &format!("{firewall}/Firewall"), 2006, fields);
    assert!(rule("RuleId=RemoteDesktop-UserMode-In-TCP").starts_with("log-says log=firewall event=2006"));
    assert_eq!(rule("RuleId=Other"), "nothing");
    let key = |fields| of("Microsoft-Windows-CAPI2", "Microsoft-Windows-CAPI2/Operational", 70, fields);
    assert!(
        key("Result/@value=80090016 | EventAuxInfo/@ProcessName=svchost.exe").contains("status=0x80090016")
    );
    assert_eq!(key("Result/@value=0"), "nothing");
    assert_eq!(of("Microsoft-Windows-Winlogon", "Application", 6000, ""), "nothing");
    let report = |fields| of("Windows Error Reporting", "Application", 1001, fields);
    assert!(
        report("P1=svchost.exe_TermService | P4=termsrv.dll").starts_with("log-says log=error-reporting")
    );
    assert!(report("0=1 | 1=2 | 2=APPCRASH | 3=3 | 4=4 | 5=mstsc.exe").starts_with("log-says"));
    assert_eq!(report("P1=notepad.exe | P4=ntdll.dll"), "nothing");
    assert_eq!(
        key("Result/@value=80092012 | EventAuxInfo/@ProcessName=browser.exe"),
        "nothing",
        "certificates of other programs are left out"
    );
    let shown = |process: &str| {
        let fields = format!(
            "X509Objects/Certificate/@fileRef=AB12.cer | X509Objects/Certificate/@subjectName=rdsh01 | \
             EventAuxInfo/@ProcessName={process}"
        );
        of("Microsoft-Windows-CAPI2", "Microsoft-Windows-CAPI2/Operational", 90, &fields)
    };
    assert!(shown("mstsc.exe").ends_with("detail=\"rdsh01, AB12\""), "{}", shown("mstsc.exe"));
    assert_eq!(shown("svchost.exe"), "nothing");
    let trust = of("NETLOGON", "System", 5719, "0=LAB | Binary=5E0000C0");
    assert!(trust.contains("status=0xc000005e") && trust.contains("detail=LAB"), "{trust}");
    let cached = of("LsaSrv", "System", 45057, "0=jane@LAB.TEST, Kerberos, \"Disabled. (0xc0000072)\"");
    assert!(cached.contains("status=0xc0000072 detail=Kerberos ~user=jane ~domain=LAB.TEST"), "{cached}");
}
