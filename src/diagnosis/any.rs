//! Causes that can strike at any step: the path between the two ends, and connections that nobody meant.

use std::collections::BTreeSet;

use super::{Case, Doubt, Evidence, Missing, NOT_SEEN, Rule, Support, Weighing};
use crate::fact::{Side, What};
use crate::session::{Outcome, Seen};
use crate::step::Step;

/// Every IPv4 path carries packets of 576 bytes, every IPv6 path 1,280 (RFC 791, RFC 8200): smaller segments are not
/// lost for their size.
const ALWAYS_FITS_BYTES: u32 = 536;
/// Silence that outlasts the usual retries.
const SILENCE_MS: u64 = 3_000;
const OTHER_END: &str = "a capture at the other end over the same time (`pktmon start --capture` or `tcpdump -w FILE`): it shows whether the packets arrived";
pub(super) const BEFORE_SILENCE: &str = "the silence: whether the packets arrived there, it does not show";
const NEVER_SENT: &str = "a capture at the other end (`pktmon start --capture` or `tcpdump -w FILE`): it shows that this end never sent the reset";
pub(super) const BEFORE_RESET: &str = "the reset: whether one was sent there, it does not show";
const CLAIMANTS: &str = "System logs of client and server (`wevtutil epl System System.evtx`): Tcpip 4198 or 4199 names the link address of the other host";
/// Connections that only looked, before they are called a scan.
const PROBES_MIN: usize = 5;
/// That many different requests of one client are a scan.
const REQUESTS_MIN: usize = 4;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "path-lost",
        step: None,
        cause: "the path between client and server went silent: from one moment on nothing of any size is answered",
        fix: "capture at both ends at once to see on which side packets stop (`pktmon start --capture` or `tcpdump -i any host SERVER`); \
              then look at stateful firewalls, VPN re-keying and NAT time-outs between the two",
        refs: &["RFC 9293 3.8.1", "RFC 6298"],
        seen: &["fail-blackhole-after-tls", "path-lost"],
        weigh: path_lost,
    },
    Rule {
        id: "mtu-blackhole",
        step: Some(Step::Tls),
        cause: "large packets are lost on the path and no ICMP says so (path MTU black hole), while small ones pass",
        fix: "find the largest packet that passes with `ping -f -l 1372 SERVER` (fewer bytes until it answers); set the MTU with \
              `netsh interface ipv4 set subinterface NAME mtu=1350 store=persistent`, clamp the MSS on the VPN or tunnel, and let ICMP type 3 code 4 pass",
        refs: &["RFC 2923 2.1"],
        seen: &["fail-mtu-blackhole-server-flight"],
        weigh: mtu_blackhole,
    },
    Rule {
        id: "pmtu-vpn-mss",
        step: Some(Step::Tls),
        cause: "a VPN, NAT or firewall with an asymmetric route lost the state of the connection during the handshake",
        fix: "compare the routes of both directions (`tracert`, `Test-NetConnection -TraceRoute`); raise session time-outs; clamp the MSS",
        refs: &["RFC 2923 2.1"],
        seen: NOT_SEEN,
        weigh: |case| {
            path_lost(case)
                .filter(|_| case.failed_at(Step::Tls) || case.failed_at(Step::Credssp))
                .map(|w| w.at_most(Evidence::Possible))
        },
    },
    Rule {
        id: "middlebox-rst",
        step: None,
        cause: "a device on the path reset the connection: the reset was sent by neither end",
        fix: "find the device at the hop distance that the time to live of the reset tells (`tracert SERVER`); allow RDP between the two \
              hosts in its firewall, IPS or application control",
        refs: &["RFC 9293 3.5.2"],
        seen: &[
            "fail-mbox-rst-on-clienthello",
            "rst-after-clienthello-same-ttl",
            "middlebox-rst-mid-session",
        ],
        weigh: middlebox_reset,
    },
    Rule {
        id: "dup-ip",
        step: None,
        cause: "two hosts use the same IP address: packets of the connection reach one that knows nothing of it",
        fix: "`arp -a` and the address tables of the switches tell which hosts have the two link addresses; give one of them another address; look for Tcpip 4199 in the System logs",
        refs: &["RFC 5227 2.4", "RFC 826"],
        seen: NOT_SEEN,
        weigh: |case| {
            let twice = case.find(|what| matches!(what, What::DuplicateAddress { .. }))?;
            let lost = case.find(|what| {
                matches!(what, What::Reset { .. } | What::Unanswered { .. } | What::ProbesUnanswered { .. })
            });
            let said_why = case.session.broke_at.is_some_and(|_| case.session.outcome == Outcome::Refused);
            let reset_at_once = case.find(|what| matches!(what, What::Reset { answers_syn: true, .. }));
            let told = said_why && reset_at_once.is_none();
            (!told).then(|| {
                Weighing::of(Evidence::Even, twice).surer(lost, Support::Decisive).missing(CLAIMANTS)
            })
        },
    },
    Rule {
        id: "scanner",
        step: Some(Step::Tcp),
        cause: "a port scan or negotiation probe, not a user",
        fix: "nothing to repair; restrict who can reach the port (firewall scope, VPN or RD Gateway)",
        refs: &[],
        seen: &["mass-scanner-noise"],
        weigh: |case| {
            let probes = case.attempt.iter().filter(|s| s.outcome == Outcome::Probe).count();
            let seen = case.session.facts.first()?;
            let is_scan = case.session.outcome == Outcome::Probe && probes >= PROBES_MIN;
            let lists = asks_for_each(case);
            let weighing = Weighing::of(Evidence::Mark, seen);
            (is_scan || lists).then(|| weighing.surer(lists.then_some(seen), Support::Strong))
        },
    },
    Rule {
        id: "bluekeep-like-scanner",
        step: Some(Step::Mcs),
        cause: "a probe for CVE-2019-0708: the client asks for the internal channel MS_T120, which no real client does",
        fix: "not a user: find the source and block it; make sure that the update of May 2019 is installed on old hosts",
        refs: &["CVE-2019-0708", "MS-RDPBCGR 2.2.1.3.4"],
        seen: NOT_SEEN,
        weigh: |case| {
            let asked = case.find(|what| {
                matches!(what, What::McsConnectInitial { channels: Some(names), .. }
                    if names.split(',').any(|name| name.eq_ignore_ascii_case("MS_T120")))
            })?;
            Some(Weighing::of(Evidence::Mark, asked))
        },
    },
];

/// A client that falls back asks for less each time, three times at most. More different requests of one attempt, none of
/// which went beyond the server's answer, are a list of what the server supports.
fn asks_for_each(case: &Case<'_>) -> bool {
    let asked = case.attempt.iter().flat_map(|session| &session.facts).filter_map(|seen| match seen.what() {
        What::ConnectionRequest { protocols, .. } => Some(protocols.map(|offered| offered.0)),
        _ => None,
    });
    let different: BTreeSet<Option<u32>> = asked.collect();
    different.len() >= REQUESTS_MIN && case.attempt.iter().all(|session| session.reached <= Some(Step::Mcs))
}

/// A reset of another hop distance or out of any window; one that only who knows of no connection sends; or one that the
/// capture at the other end does not have.
fn middlebox_reset(case: &Case<'_>) -> Option<Weighing> {
    let at_negotiation = case.failed_at(Step::Negotiation);
    let foreign = case.foreign_reset();
    if let Some(made) = case.reset_made_on_the_way() {
        let weighing = Weighing::of(Evidence::BothEnds, made).surer(foreign, Support::Slight);
        return Some(weighing.gives_way(at_negotiation).and(request_lost(case)));
    }
    let weighing = match (foreign, case.bare_reset()) {
        (Some(foreign), _) => Weighing::of(Evidence::Mark, foreign),
        (None, Some(bare)) => Weighing::of(Evidence::Shape, bare),
        (None, None) => return None,
    };
    let weighing = weighing.gives_way(at_negotiation);
    let reset = foreign.or(case.bare_reset());
    let missing =
        reset.map_or(Missing::Text(NEVER_SENT), |reset| case.other_end(reset, NEVER_SENT, BEFORE_RESET));
    Some(weighing.missing(missing).and(request_lost(case)))
}

/// Data or keep-alives that were repeated and never answered, when size cannot be the reason.
fn path_lost(case: &Case<'_>) -> Option<Weighing> {
    let probes = case.find(|what| {
        matches!(what, What::ProbesUnanswered { tries, over_ms, .. } if *tries >= 2 && *over_ms >= SILENCE_MS)
    });
    if let Some(probes) = probes.filter(|_| case.session.broke_at.is_some()) {
        let weighing = Weighing::of(Evidence::Silence, probes).gives_way(case.failed_at(Step::Active));
        return Some(weighing.missing(case.other_end(probes, OTHER_END, BEFORE_SILENCE)));
    }
    let silent = case.find_last(|what| {
        matches!(what, What::Unanswered { tries, over_ms, .. } if *tries >= 3 && *over_ms >= SILENCE_MS / 2)
    })?;
    let What::Unanswered { bytes, largest_passed, peer_silent, .. } = silent.what() else { return None };
    let may_be_size = *bytes > ALWAYS_FITS_BYTES && bytes > largest_passed;
    let kind = match (peer_silent, may_be_size) {
        (true, false) => Evidence::Mark,
        (true, true) => Evidence::Even,
        (false, _) => Evidence::OneOfSeveral,
    };
    let after = case.find(|what| matches!(what, What::Reset { .. } | What::Closed { .. }));
    let ended_first = after.filter(|end| end.at < silent.at);
    let What::Unanswered { by, .. } = silent.what() else { return None };
    let full = full_receiver(case, by.other());
    let lost = lost_between(case, *by);
    let weighing = Weighing::of(kind, silent)
        .surer(lost, Support::Slight)
        .unless(ended_first, Doubt::Excludes)
        .unless(full, Doubt::Clear);
    if lost.is_some() {
        return Some(weighing);
    }
    Some(weighing.missing(case.other_end(silent, OTHER_END, BEFORE_SILENCE)))
}

fn mtu_blackhole(case: &Case<'_>) -> Option<Weighing> {
    let hole = case.find(|what| {
        matches!(what, What::NeverArrived { bytes, over_ms, .. }
            if *bytes > u64::from(ALWAYS_FITS_BYTES) && *over_ms >= SILENCE_MS)
    });
    let resent = case.find_last(|what| match what {
        What::Unanswered { bytes, largest_passed, tries, .. } => {
            *bytes > ALWAYS_FITS_BYTES && bytes > largest_passed && *tries >= 3
        }
        _ => false,
    });
    let alive = |seen: &Seen| matches!(seen.what(), What::Unanswered { peer_silent: false, .. });
    match (hole, resent) {
        (Some(hole), resent) => Some(Weighing::of(Evidence::Mark, hole).surer(resent, Support::Slight)),
        (None, Some(resent)) if alive(resent) => Some(Weighing::of(Evidence::Mark, resent)),
        (None, Some(resent)) => Some(Weighing::of(Evidence::Shape, resent)),
        (None, None) => None,
    }
    .map(|w| w.unless(other_side_lost_small(case), Doubt::Strong))
    .map(|w| w.surer(sender_of(hole.or(resent)).and_then(|side| lost_between(case, side)), Support::Slight))
    .map(|w| w.missing("`ping -f` with growing sizes from the client: the size at which it stops names the MTU of the path"))
}

/// Who sent what did not arrive or was not answered.
fn sender_of(seen: Option<&Seen>) -> Option<Side> {
    match seen?.what() {
        What::NeverArrived { from: side, .. } | What::Unanswered { by: side, .. } => Some(*side),
        _ => None,
    }
}

/// The captures of both ends show that segments of this side were lost between them.
fn lost_between<'a>(case: &Case<'a>, side: Side) -> Option<&'a Seen> {
    case.find(|what| matches!(what, What::LostOnPath { from, .. } if *from == side))
}

/// What the client sent and a device kept for itself, so that it never came to the server.
pub(super) fn request_lost<'a>(case: &Case<'a>) -> Option<&'a Seen> {
    lost_between(case, Side::Client)
}

/// This side had no room for more: what is sent to it again is then no loss.
fn full_receiver<'a>(case: &Case<'a>, side: Side) -> Option<&'a Seen> {
    case.find(|what| matches!(what, What::ZeroWindow { by, .. } if *by == side))
}

/// The other direction repeats segments that fit any path: then size is not the reason.
fn other_side_lost_small<'a>(case: &Case<'a>) -> Option<&'a Seen> {
    let small = |side: Side| {
        case.find(|what| {
            matches!(what, What::Unanswered { by, bytes, .. } if *by == side && *bytes <= ALWAYS_FITS_BYTES)
        })
    };
    small(Side::Client).or(small(Side::Server))
}
