//! Sessions from logs alone: what belongs together, what does not, and what is no failure.

use rdpwhy::diagnosis::diagnose_all;
use rdpwhy::session::{Outcome, Session, Story, join};

use crate::cases::facts;

const ALICE: &str = "user=LAB\\alice";
const BOB: &str = "user=LAB\\bob";
const HERE: &str = "client=198.51.100.10";
const THERE: &str = "client=198.51.100.20";

fn story(text: &str) -> Story {
    let (facts, witnesses) = facts(text);
    join(facts, &witnesses)
}

/// Client, outcome and number of facts of each session.
fn told(story: &Story) -> Vec<(String, Outcome, usize)> {
    let row = |session: &Session| {
        let client = session.client_ip().map_or("-".to_owned(), |ip| ip.to_string());
        (client, session.outcome, session.facts.len())
    };
    story.sessions.iter().map(row).collect()
}

fn row(client: &str, outcome: Outcome, facts: usize) -> (String, Outcome, usize) {
    (client.to_owned(), outcome, facts)
}

#[test]
fn a_takeover_told_by_the_session_manager_alone_is_two_connections() {
    let text = format!(
        "host rdsh01 {HERE} {ALICE} session=2
         +0 session-logon
         +0.3 shell-started
         host rdsh01 session=2
         +100 session-ended reason=0x5
         host rdsh01 {HERE} {ALICE} session=2
         +100.1 session-disconnected
         host rdsh01 {THERE} {ALICE} session=2
         +100.2 session-reconnected
         host rdsh01 session=2
         +500 session-ended reason=0xb
         host rdsh01 {THERE} {ALICE} session=2
         +500.1 session-disconnected"
    );
    let story = story(&text);
    assert_eq!(
        told(&story),
        [row("198.51.100.10", Outcome::Refused, 4), row("198.51.100.20", Outcome::Active, 3)]
    );
    let verdicts = diagnose_all(&story);
    assert_eq!(verdicts[0].first().unwrap().rule.id, "replaced");
    assert!(verdicts[1].is_empty(), "the new connection is not replaced");
}

#[test]
fn a_reconnection_from_the_same_computer_is_a_connection_of_its_own() {
    let text = format!(
        "host rdsh01 {HERE} {ALICE} session=2
         +0 session-logon
         +60 session-disconnected
         +90 session-reconnected
         +200 session-disconnected
         host rdsh01 {ALICE} session=2
         +9000 session-logoff"
    );
    let expected = [row("198.51.100.10", Outcome::Active, 2), row("198.51.100.10", Outcome::Active, 3)];
    assert_eq!(told(&story(&text)), expected);
}

#[test]
fn the_security_log_and_the_session_manager_tell_of_the_same_reconnection() {
    let text = format!(
        "host rdsh01 {HERE} {ALICE} session=2
         +0 session-logon
         host rdsh01 {HERE} {ALICE} logon=500
         +0.1 logon logon_type=10
         host rdsh01 session=2
         +100 session-ended reason=0x5
         host rdsh01 {HERE} {ALICE} logon=500
         +100.05 session-disconnected name=RDP-Tcp#1
         host rdsh01 {THERE} {ALICE} logon=500
         +100.2 session-reconnected name=RDP-Tcp#2
         host rdsh01 {THERE} {ALICE} session=2
         +100.21 session-reconnected
         host rdsh01 session=2
         +100.22 arbitration-ended"
    );
    let expected = [row("198.51.100.10", Outcome::Refused, 4), row("198.51.100.20", Outcome::Active, 3)];
    assert_eq!(told(&story(&text)), expected);
}

#[test]
fn the_end_of_a_session_that_began_before_the_log_is_not_of_the_connection_that_takes_it() {
    // The session was at the computer itself, or its beginning was overwritten; session 3 was made for the logon.
    let text = format!(
        "host rdsh01 activity=F4200001 {THERE}:50112
         +0 accepted
         host rdsh01 activity=F4200001 {THERE} {ALICE}
         +0.5 user-authenticated
         host rdsh01 activity=F4200001 {ALICE} session=3
         +1 arbitration-began
         host rdsh01 session=1
         +1.2 session-ended reason=0x5
         host rdsh01 {HERE} {ALICE} session=1
         +1.3 session-disconnected
         host rdsh01 activity=F4200001 session=3
         +1.4 session-ended reason=0x0
         host rdsh01 activity=F4200001 {THERE} {ALICE} session=1
         +2 session-reconnected
         host rdsh01 session=1
         +90 session-ended reason=0xb
         host rdsh01 {THERE} {ALICE} session=1
         +90.1 session-disconnected"
    );
    let told = told(&story(&text));
    let new: Vec<&(String, Outcome, usize)> =
        told.iter().filter(|(client, ..)| client == "198.51.100.20").collect();
    assert_eq!(new, [&row("198.51.100.20", Outcome::Active, 7)]);
    assert!(told.iter().all(|(_, outcome, _)| !outcome.is_failure()), "{told:?}");
}

#[test]
fn users_at_the_same_time_are_kept_apart() {
    let text = format!(
        "host rdsh01 {HERE} {ALICE} session=2
         +0 session-logon
         host rdsh01 {THERE} {BOB} session=3
         +0.01 session-logon
         host rdsh01 {HERE} {ALICE} session=2
         +0.3 shell-started
         host rdsh01 {THERE} {BOB} session=3
         +0.31 shell-started
         host rdsh01 {THERE} {BOB} logon=700
         +0.32 logon logon_type=10
         host rdsh01 {HERE} {ALICE} logon=600
         +0.33 logon logon_type=10
         host rdsh01 {BOB} logon=700
         +50 logged-off by_user=yes"
    );
    let expected = [row("198.51.100.10", Outcome::Active, 3), row("198.51.100.20", Outcome::Active, 4)];
    assert_eq!(told(&story(&text)), expected);
}

#[test]
fn a_transport_over_udp_belongs_to_the_connection_of_its_client() {
    let text = format!(
        "host rdsh01 activity=F4200001 {HERE}:50112
         +0 accepted
         host rdsh01 activity=F4200002 {THERE}:50200
         +0.1 accepted
         host rdsh01 activity=A3F10001 {HERE}:61000
         +1 accepted udp=yes
         host rdsh01 activity=A3F10001
         +1.1 multitransport event=135 says=settled
         host rdsh01 activity=F4200001
         +9 disconnected reason=0xe
         host rdsh01 activity=A3F10002 {HERE}:61001
         +20 accepted udp=yes"
    );
    let story = story(&text);
    assert_eq!(
        told(&story),
        [row("198.51.100.10", Outcome::Closed, 4), row("198.51.100.20", Outcome::Unknown, 1)]
    );
    assert_eq!(story.records_alone, 1, "the connection of the second transport is not in the log");
}

#[test]
fn a_check_of_credentials_behind_the_logon_is_of_another_service() {
    let text = format!(
        "host rdsh01 activity=F4200001 {HERE}:50112
         +0 accepted
         host rdsh01 activity=F4200001 {HERE} {ALICE}
         +0.5 user-authenticated
         host rdsh01 activity=F4200001
         +0.9 client-info
         +300 disconnected reason=0xe
         host rdsh01 {HERE} {ALICE}
         +200 logon-failed logon_type=3 status=0xc000006d sub_status=0xc000006a"
    );
    let story = story(&text);
    assert_eq!((told(&story)[0].2, story.records_alone), (4, 1));
}

#[test]
fn a_logon_at_the_computer_and_authentication_to_another_service_are_no_connection() {
    let text = format!(
        "host rdsh01 {ALICE} session=1
         +0 session-logon local=yes
         +0.2 shell-started local=yes
         +60 session-disconnected local=yes
         host client01 activity=AA01
         +0 client-connecting name=rdsh01
         host client01
         +0.5 authentication-failed target=LDAP/dc01.lab.test protocol=Kerberos status=0xc0000234
         +0.6 authentication-failed target=TERMSRV/rdsh01 protocol=Kerberos status=0xc000006a"
    );
    let story = story(&text);
    assert_eq!(told(&story), [row("-", Outcome::Refused, 2)]);
}

#[test]
fn the_order_of_a_teardown_says_nothing() {
    let ends = [
        "socket-error code=0x40 writing=yes",
        "log-says log=rdpcorets event=102 says=\"the server ended the main connection\"",
        "disconnected reason=0xe",
        "state-error machine=RDP_TCP status=0x80070040",
        "method method=OnDisconnected",
    ];
    let said = |order: &[usize]| {
        let mut text = format!(
            "host rdsh01 activity=F4200001 {HERE}:50112
             +0 accepted
             +1 credentials-refused
             host rdsh01 activity=F4200001\n"
        );
        for (place, index) in order.iter().enumerate() {
            text.push_str(&format!("+2.{place} {}\n", ends[*index]));
        }
        let story = story(&text);
        let verdicts = diagnose_all(&story);
        let best = verdicts[0].first().unwrap();
        (told(&story), story.sessions[0].broke_at, best.rule.id, best.weighing.percent)
    };
    let first = said(&[0, 1, 2, 3, 4]);
    assert_eq!(first.2, "bad-password");
    for turn in 1..5 {
        let order: Vec<usize> = (0..5).map(|index| (index * 2 + turn) % 5).collect();
        assert_eq!(said(&order), first, "{order:?}");
    }
}

#[test]
fn what_is_told_of_the_host_stands_in_the_timeline_and_lengthens_nothing() {
    let text = format!(
        "host rdsh01 activity=F4200001 {HERE}:50112
         +0 accepted
         +60 disconnected reason=0xe
         host rdsh01
         +20 log-says log=rcm event=1050 says=\"the security settings of a listener did not fit\"
         +30 log-says log=firewall event=2006 says=\"a rule of the firewall was removed\"
         +65 log-says log=firewall event=2004 says=\"a rule of the firewall was added\""
    );
    let story = story(&text);
    assert_eq!((told(&story)[0].2, story.records_alone), (4, 1));
}

#[test]
fn connections_that_only_the_listener_tells_of_are_counted_and_no_sessions() {
    let mut text = String::new();
    for index in 0..5 {
        text.push_str(&format!(
            "host rdsh01 activity=F42{index}\n+{index} listener-accepted listener=RDP-Tcp\n"
        ));
    }
    text.push_str(&format!("host rdsh01 activity=F423 {HERE} {ALICE}\n+3.5 user-authenticated\n"));
    let story = story(&text);
    assert_eq!(told(&story), [row("198.51.100.10", Outcome::Unknown, 2)]);
    let counted: Vec<(&str, u64)> = story.listened.iter().map(|one| (one.host.as_str(), one.count)).collect();
    assert_eq!(counted, [("rdsh01", 4)]);
}
