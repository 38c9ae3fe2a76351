//! Real captures with known causes, of the lab and public ones, and mutilated copies of them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rdpwhy::diagnosis::Verdict;
use rdpwhy::exchange;
use rdpwhy::fact::{Keys, Subject};
use rdpwhy::read::{Unwatched, inputs};
use rdpwhy::report::told;
use rdpwhy::session::Session;
use rdpwhy::{Analysis, analyze_inventory, diagnose, write_facts};
use serde_json::Value;

use crate::support::{children, corpus, root};

/// Files with their names.
pub(crate) type Files = Vec<(String, Vec<u8>)>;

/// What is known of a public capture: its name, who made it, the causes that are right, whether it succeeds.
type Public = (&'static str, &'static str, &'static [&'static str], bool);

/// Public captures and logs with a known cause or success; those that hold the same connection in other formats are left out.
const PUBLIC: &[Public] = &[
    ("awakecoding_rdp-no-nla-rejected1.pcapng", "mstsc, Windows Server", &["hybrid-required"], false),
    (
        "awakecoding_rdp-nla-ntlm-rejected1.pcapng",
        "mstsc, Windows Server",
        &["ntlm-blocked", "hybrid-required-after-nla-fail"],
        false,
    ),
    (
        "awakecoding_rdp-rdg-no-kdc-proxy-ntlm-downgrade-failure.pcapng",
        "mstsc, RD Gateway",
        &["gw-auth-failed", "gw-kdc-proxy"],
        false,
    ),
    ("zeek_rdp-probe-on-modbus-port.pcap", "scanner, Modbus", &["port-exotic-nonrdp"], false),
    (
        "hayabusa-evtx_samples__2-vss_0-Microsoft-Windows-RemoteDesktopServices-RdpCoreTS%4Operational.evtx",
        "unknown, Windows 10",
        &["bad-password", "bad-user"],
        false,
    ),
    (
        "hayabusa-sample-evtx_EVTX-to-MITRE-Attack__TA0008-Lateral_Movement__T1021.001-Remote_Desktop_Protocol__ID4825-Denied_RDP_connection_with_valid_credentials.evtx",
        "unknown, Windows Server 2019",
        &["not-in-rdp-users"],
        false,
    ),
    // LsaSrv 6041 says it in words, and LocalSessionManager 40 by its code.
    ("hayabusa-evtx_samples__2-vss_7-System.evtx", "unknown, Windows 10", &["credssp-oracle"], false),
    ("trunc_half_chunk.evtx", "unknown, Windows", &["replaced"], false),
    (
        "velociraptor_artifacts__testdata__files__RDPAuth_LocalSessionManager.evtx",
        "unknown, Windows Server 2016",
        &[],
        true,
    ),
    (
        "velociraptor_artifacts__testdata__files__RDPAuth_Security.evtx",
        "unknown, Windows Server 2016",
        &[],
        true,
    ),
    ("awakecoding_rdp-nla-kerberos-auth1.pcapng", "mstsc, Windows Server", &[], true),
    ("awakecoding_rdp-no-tls-accepted1.pcapng", "mstsc, Windows Server", &[], true),
    ("awakecoding_rdp-rdg-same-creds-kerberos-password-success1.pcapng", "mstsc, RD Gateway", &[], true),
    ("nosecrets_ok.pcapng", "mstsc, Windows Server", &[], true),
    ("ndpi_rdp.pcap", "mstsc, Windows 10", &[], true),
    ("ndpi_rdp3.pcap", "mstsc, Windows XP", &[], true),
    ("suricata_RDP-003.pcap", "mstsc, Windows XP", &[], true),
    ("zeek_rdp-proprietary-encryption.pcap", "mstsc, Windows Server 2003", &[], true),
    ("zeek_rdp-to-ssl.pcap", "FreeRDP, Windows Server 2008 R2", &[], false),
    ("zeek_rdp-unknown-keyboard.pcap", "mstsc, Windows 7", &[], true),
    ("zeek_rdp-x509.pcap", "mstsc, Windows 7", &[], true),
    ("cut_after_cr.pcap", "mstsc, Windows Server", &[], true),
];

/// What was really done in cases whose expectation leaves the cause open.
const KNOWN: [(&str, &str); 1] = [("fail-rdpsec-auth-after-active", "session-ended-at-logon")];

/// A real case.
#[derive(Debug, Clone)]
pub(crate) struct Real {
    /// Its name: that of its folder or file.
    pub(crate) name: String,
    /// What it has in common with others that may be alike: its first cause and the software at both ends.
    pub(crate) family: String,
    /// The causes that are right; none where nothing failed or nobody knows.
    pub(crate) causes: Vec<String>,
    /// Nothing failed in it.
    pub(crate) success: bool,
    /// Its captures, those that are judged first.
    pub(crate) captures: Files,
    /// How many of them are judged.
    pub(crate) used: usize,
    /// TLS secrets.
    pub(crate) keys: Option<Vec<u8>>,
}

/// A copy of a case: what was done to it, and what is left.
pub(crate) struct Copy {
    /// What was done.
    pub(crate) done: &'static str,
    /// What is left.
    pub(crate) files: Files,
}

/// A failed attempt of an answer.
#[derive(Debug, Clone)]
pub(crate) struct Failed {
    /// The ends of its sessions.
    pub(crate) sessions: Vec<String>,
    /// Its best cause.
    pub(crate) best: Option<Verdict>,
}

fn strings(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn in_folder(folder: &Path) -> Option<Real> {
    let expect: Value = serde_json::from_slice(&std::fs::read(folder.join("expect.json")).ok()?).unwrap();
    let used = strings(&expect["expect"]["use"]);
    let file = |name: &str| (name.to_owned(), std::fs::read(folder.join(name)).unwrap());
    let mut captures: Files = used.iter().map(|name| file(name)).collect();
    for path in children(folder) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if ["client.pcapng", "client.pcap", "server.pcap"].contains(&name.as_str())
            && !used.contains(&name)
            && used.len() == 1
        {
            captures.push(file(&name));
        }
    }
    let software = |key: &str| {
        let text = expect[key].as_str().unwrap_or("nothing");
        text.split([' ', '(', ':']).next().unwrap().to_owned()
    };
    let mut causes = strings(&expect["expect"]["cause_any_of"]);
    let name = folder.file_name().unwrap().to_string_lossy().into_owned();
    let known = KNOWN.iter().filter(|(case, _)| *case == name);
    causes.extend(known.map(|(_, cause)| (*cause).to_owned()));
    let success = expect["expect"]["failed_attempts"][1] == 0;
    let what = causes.first().map_or(if success { "success" } else { "unknown" }, String::as_str);
    let family = format!("{what}, {}, {}", software("client_software"), software("server_software"));
    let keys = std::fs::read(folder.join("keys.log")).ok();
    Some(Real { name, family, causes, success, captures, used: used.len(), keys })
}

/// The folder of public files of that kind.
fn kind(name: &str) -> &'static str {
    if name.ends_with(".evtx") { "evtx" } else { "pcap" }
}

fn public(folder: &Path) -> Vec<Real> {
    let one = |(name, who, causes, success): &Public| {
        let what = causes.first().map_or("success", |cause| cause);
        Real {
            name: (*name).to_owned(),
            family: format!("{what}, {who}"),
            causes: causes.iter().map(|cause| (*cause).to_owned()).collect(),
            success: *success,
            captures: vec![((*name).to_owned(), std::fs::read(folder.join(kind(name)).join(name)).unwrap())],
            used: 1,
            keys: None,
        }
    };
    PUBLIC.iter().map(one).collect()
}

/// Captures that the lab's runner made and that are kept here.
pub(crate) fn own() -> Vec<Real> {
    let lab = children(&root().join("tests/captures/lab"));
    lab.iter().filter_map(|folder| in_folder(folder)).collect()
}

/// All real cases; `None`, said aloud, without the corpus.
pub(crate) fn all() -> Option<Vec<Real>> {
    let lab: Vec<PathBuf> = children(&corpus("lab")?);
    let mut all: Vec<Real> = lab.iter().filter_map(|folder| in_folder(folder)).collect();
    all.extend(own());
    all.extend(public(&corpus("public")?));
    all.sort_by(|a, b| (&a.family, &a.name).cmp(&(&b.family, &b.name)));
    Some(all)
}

/// The answer to files that lie in memory.
pub(crate) fn analysed(files: &Files) -> Analysis {
    analyze_inventory(inputs::held(files.clone()), &Unwatched)
}

/// Both ends of a session, which are the same in all copies.
pub(crate) fn ends(session: &Session) -> String {
    format!("{:?} {:?}", session.client(), session.server())
}

/// The attempts that failed.
pub(crate) fn failed(analysis: &Analysis) -> Vec<Failed> {
    let one = |told: &rdpwhy::report::Told<'_>| Failed {
        sessions: told.attempt.sessions.iter().map(|index| ends(&analysis.story.sessions[*index])).collect(),
        best: told.best().cloned(),
    };
    told(analysis).iter().filter(|told| told.attempt.outcome.is_failure()).map(one).collect()
}

impl Real {
    /// The case as it is judged.
    pub(crate) fn whole(&self) -> Files {
        self.with_keys(self.captures[..self.used].to_vec())
    }

    fn with_keys(&self, mut files: Files) -> Files {
        files.extend(self.keys.clone().map(|keys| ("keys.log".to_owned(), keys)));
        files
    }

    /// The case as it is, and with parts taken away.
    pub(crate) fn copies(&self) -> Vec<Copy> {
        let mut copies = vec![Copy { done: "as it is", files: self.whole() }];
        let mut add = |done: &'static str, captures: Option<Files>| {
            copies.extend(captures.map(|captures| Copy { done, files: self.with_keys(captures) }));
        };
        let used = &self.captures[..self.used];
        let others = &self.captures[self.used..];
        if !others.is_empty() {
            add("both ends", Some(self.captures.clone()));
            add("the other end alone", Some(others.to_vec()));
        }
        if used.len() > 1 {
            add("the first end alone", Some(used[..1].to_vec()));
            add("the second end alone", Some(used[1..2].to_vec()));
        }
        let each = |change: &dyn Fn(&mut Capture)| -> Option<Files> {
            let mut changed = Files::new();
            for (name, bytes) in used {
                let mut capture = Capture::read(bytes)?;
                change(&mut capture);
                changed.push((name.clone(), capture.bytes()));
            }
            Some(changed)
        };
        for (done, percent) in CUTS {
            add(done, each(&|capture| capture.keep(|index, count| index * 100 < count * percent)));
        }
        add("without the first 3 packets", each(&|capture| capture.keep(|index, _| index >= 3)));
        add(
            "without the first 25 %",
            each(&|capture| capture.keep(|index, count| index * 100 >= count * 25)),
        );
        let servers = servers(&analysed(&self.whole()));
        add("the client's packets alone", each(&|capture| capture.one_way(&servers, false)));
        add("the server's packets alone", each(&|capture| capture.one_way(&servers, true)));
        add("128 bytes of each packet", each(&|capture| capture.snap(128)));
        let without_keys =
            each(&Capture::forget_secrets).filter(|_| self.keys.is_some() || self.has_secrets());
        copies.extend(without_keys.map(|files| Copy { done: "without TLS secrets", files }));
        copies
    }

    /// The answers to a log of which parts of each record, or records, are taken away; none for captures.
    pub(crate) fn log_copies(&self) -> Vec<(&'static str, Analysis)> {
        if !self.captures.iter().all(|(name, _)| name.ends_with(".evtx")) {
            return Vec::new();
        }
        let mut facts = Vec::new();
        write_facts(&inputs::held(self.whole()), &Unwatched, &mut facts).unwrap();
        let copy = |change: &dyn Fn(usize, usize, &mut Keys) -> bool| {
            let mut part = exchange::read(facts.as_slice()).unwrap();
            let (mut index, count) = (0, part.facts.len());
            part.facts.retain_mut(|fact| {
                let Subject::Record(keys) = &mut fact.subject else { return true };
                index += 1;
                change(index - 1, count, Arc::make_mut(keys))
            });
            diagnose(vec![part])
        };
        let cleared = |clear: fn(&mut Keys)| {
            copy(&|_, _, keys| {
                clear(keys);
                true
            })
        };
        vec![
            ("records without ports", cleared(|keys| keys.port = None)),
            ("records without addresses and ports", cleared(|keys| (keys.address, keys.port) = (None, None))),
            ("records without ActivityID", cleared(|keys| keys.activity = None)),
            ("records without users", cleared(|keys| (keys.user, keys.domain) = (None, None))),
            ("without the first 25 % of the records", copy(&|index, count, _| index * 100 >= count * 25)),
            ("the first 50 % of the records", copy(&|index, count, _| index * 2 < count)),
            ("every second record", copy(&|index, _, _| index % 2 == 0)),
        ]
    }

    fn has_secrets(&self) -> bool {
        self.captures.iter().any(|(_, bytes)| {
            Capture::read(bytes).is_some_and(|capture| capture.pieces.iter().any(Piece::is_secret))
        })
    }
}

/// Where captures are cut.
const CUTS: [(&str, usize); 5] = [
    ("the first 10 % of the packets", 10),
    ("the first 25 % of the packets", 25),
    ("the first 50 % of the packets", 50),
    ("the first 75 % of the packets", 75),
    ("the first 90 % of the packets", 90),
];

/// Ports of the servers of an answer.
fn servers(analysis: &Analysis) -> Vec<u16> {
    let mut ports: Vec<u16> =
        analysis.story.sessions.iter().filter_map(|session| Some(session.server()?.port())).collect();
    ports.sort_unstable();
    ports.dedup();
    ports
}

/// A part of a capture file: a packet, or something else.
enum Piece {
    Packet { record: Vec<u8>, data: Vec<u8> },
    Other(Vec<u8>),
}

impl Piece {
    fn is_secret(&self) -> bool {
        matches!(self, Self::Other(bytes) if bytes.starts_with(&[0x0a, 0, 0, 0]))
    }
}

/// A little-endian capture of Ethernet frames, in its parts.
struct Capture {
    pcapng: bool,
    pieces: Vec<Piece>,
}

/// A capture whose clock is further ahead by so many nanoseconds; as good as the unit that its times count in.
pub(crate) fn with_times_moved(bytes: &[u8], by_ns: i64) -> Vec<u8> {
    let mut capture = Capture::read(bytes).unwrap();
    capture.move_times(by_ns);
    capture.bytes()
}

fn number(bytes: &[u8], at: usize) -> Option<usize> {
    usize::try_from(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?)).ok()
}

impl Capture {
    fn read(bytes: &[u8]) -> Option<Self> {
        if bytes.starts_with(&[0x0a, 0x0d, 0x0d, 0x0a]) { Self::pcapng(bytes) } else { Self::pcap(bytes) }
    }

    fn pcap(bytes: &[u8]) -> Option<Self> {
        if !matches!(number(bytes, 0)?, 0xa1b2_c3d4 | 0xa1b2_3c4d) || number(bytes, 20)? != 1 {
            return None;
        }
        let mut pieces = vec![Piece::Other(bytes[..24].to_vec())];
        let mut at = 24;
        while let Some(length) = number(bytes, at + 8) {
            let data = bytes.get(at + 16..at + 16 + length)?.to_vec();
            pieces.push(Piece::Packet { record: bytes[at..at + 16].to_vec(), data });
            at += 16 + length;
        }
        Some(Self { pcapng: false, pieces })
    }

    fn pcapng(bytes: &[u8]) -> Option<Self> {
        let mut pieces = Vec::new();
        let mut at = 0;
        while let (Some(kind), Some(length)) = (number(bytes, at), number(bytes, at + 4)) {
            let block = bytes.get(at..at + length)?;
            match kind {
                1 if block.get(8..10)? != [1, 0] => return None,
                6 => {
                    let captured = number(block, 20)?;
                    let data = block.get(28..28 + captured)?.to_vec();
                    pieces.push(Piece::Packet { record: block[..28].to_vec(), data });
                }
                _ => pieces.push(Piece::Other(block.to_vec())),
            }
            at += length;
        }
        Some(Self { pcapng: true, pieces })
    }

    fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for piece in &self.pieces {
            match piece {
                Piece::Other(bytes) => out.extend(bytes),
                Piece::Packet { record, data } => self.packet(&mut out, record, data),
            }
        }
        out
    }

    fn packet(&self, out: &mut Vec<u8>, record: &[u8], data: &[u8]) {
        let captured = u32::try_from(data.len()).unwrap().to_le_bytes();
        let mut record = record.to_vec();
        if !self.pcapng {
            record[8..12].copy_from_slice(&captured);
            out.extend(record);
            out.extend(data);
            return;
        }
        let padded = data.len().next_multiple_of(4);
        let length = u32::try_from(32 + padded).unwrap().to_le_bytes();
        record[4..8].copy_from_slice(&length);
        record[20..24].copy_from_slice(&captured);
        out.extend(record);
        out.extend(data);
        out.resize(out.len() + padded - data.len(), 0);
        out.extend(length);
    }

    /// Keeps the packets that are wanted by their number, from 0, and the count of all.
    fn keep(&mut self, wanted: impl Fn(usize, usize) -> bool) {
        let count = self.pieces.iter().filter(|piece| matches!(piece, Piece::Packet { .. })).count();
        let mut index = 0;
        self.pieces.retain(|piece| {
            let is_packet = matches!(piece, Piece::Packet { .. });
            let kept = !is_packet || wanted(index, count);
            index += usize::from(is_packet);
            kept
        });
    }

    /// Keeps TCP segments of one direction, and what is no TCP.
    fn one_way(&mut self, servers: &[u16], from_server: bool) {
        self.pieces.retain(|piece| match piece {
            Piece::Packet { data, .. } => tcp_ports(data).is_none_or(|(from, to)| {
                let of_server = servers.contains(&from) && !servers.contains(&to);
                of_server == from_server
            }),
            Piece::Other(_) => true,
        });
    }

    /// Times of pcapng count in units of the interface (`if_tsresol`, of which captures here have one in decimal), those of
    /// pcap in micro- or nanoseconds.
    fn move_times(&mut self, by_ns: i64) {
        let word = |bytes: &[u8], at: usize| i64::try_from(number(bytes, at).unwrap()).unwrap();
        let small = |value: i64| u32::try_from(value).unwrap().to_le_bytes();
        let mut per_second = 1_000_000;
        for piece in &mut self.pieces {
            match piece {
                Piece::Other(bytes) if number(bytes, 0) == Some(0xa1b2_3c4d) => per_second = 1_000_000_000,
                Piece::Other(bytes) if self.pcapng && number(bytes, 0) == Some(1) => {
                    let option =
                        bytes.windows(5).skip(16).step_by(4).find(|at| at.starts_with(&[9, 0, 1, 0]));
                    per_second = option.map_or(1_000_000, |option| 10_i64.pow(option[4].into()));
                }
                Piece::Packet { record, .. } => {
                    let by = by_ns / (1_000_000_000 / per_second);
                    if self.pcapng {
                        let ticks = (word(record, 12) << 32 | word(record, 16)) + by;
                        record[12..16].copy_from_slice(&small(ticks >> 32));
                        record[16..20].copy_from_slice(&small(ticks & 0xffff_ffff));
                    } else {
                        let ticks = word(record, 0) * per_second + word(record, 4) + by;
                        record[..4].copy_from_slice(&small(ticks.div_euclid(per_second)));
                        record[4..8].copy_from_slice(&small(ticks.rem_euclid(per_second)));
                    }
                }
                Piece::Other(_) => {}
            }
        }
    }

    fn snap(&mut self, most: usize) {
        for piece in &mut self.pieces {
            if let Piece::Packet { data, .. } = piece {
                data.truncate(most);
            }
        }
    }

    fn forget_secrets(&mut self) {
        self.pieces.retain(|piece| !piece.is_secret());
    }
}

/// Source and destination port of a TCP segment in an Ethernet frame.
fn tcp_ports(frame: &[u8]) -> Option<(u16, u16)> {
    let word = |at: usize| Some(u16::from_be_bytes(*frame.get(at..)?.first_chunk()?));
    let mut at = 12;
    while matches!(word(at)?, 0x8100 | 0x88a8) {
        at += 4;
    }
    let ip = at + 2;
    let (protocol, tcp) = match word(at)? {
        0x0800 => (*frame.get(ip + 9)?, ip + usize::from(frame.get(ip)? & 0xf) * 4),
        0x86dd => (*frame.get(ip + 6)?, ip + 40),
        _ => return None,
    };
    (protocol == 6).then_some((word(tcp)?, word(tcp + 2)?))
}
