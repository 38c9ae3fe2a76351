//! Names that nobody chose: none is left in any field, each has one pseudonym, and no two the same one.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::fact::{FactTextError, Reading, What};
use crate::note::{Place, Spot};

/// Numbers without a pattern (splitmix64), the same in every run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let a = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let b = (a ^ (a >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        b ^ (b >> 31)
    }

    fn below(&mut self, end: u64) -> usize {
        usize::try_from(self.next() % end).unwrap()
    }

    fn word(&mut self, letters: &str, from: usize, more: u64) -> String {
        let letters: Vec<char> = letters.chars().collect();
        let length = from + self.below(more);
        (0..length).map(|_| letters[self.below(u64::try_from(letters.len()).unwrap())]).collect()
    }

    /// A label as people have them: some in other alphabets, some of digits, some with hyphens.
    fn label(&mut self) -> String {
        const LATIN: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
        match self.below(8) {
            0 => format!("q{}", self.word("äöüßéñабвгдежзийк", 5, 8)),
            1 => format!("{}-{}", self.word(LATIN, 5, 3), self.word(LATIN, 5, 12)),
            2 => self.word("123456789", 8, 3),
            3 => format!("{}_{}", self.word(LATIN, 5, 3), self.word("0123456789", 5, 3)),
            _ => format!("z{}", self.word(LATIN, 6, 16)),
        }
    }

    fn address(&mut self) -> IpAddr {
        let bits = self.next();
        match self.below(4) {
            0 => IpAddr::from((u128::from(0x2001_0db8_u32) << 96 | u128::from(bits)).to_be_bytes()),
            1 => IpAddr::from([10, bits.to_be_bytes()[1], bits.to_be_bytes()[2], bits.to_be_bytes()[3]]),
            _ => IpAddr::from([
                20 + u8::try_from(bits % 90).unwrap(),
                bits.to_be_bytes()[1],
                77,
                bits.to_be_bytes()[3],
            ]),
        }
    }
}

/// What one run of the test hides.
struct Secrets {
    labels: Vec<String>,
    addresses: Vec<IpAddr>,
    others: Vec<String>,
}

impl Secrets {
    fn of(numbers: &mut Numbers) -> Self {
        let hex = "0123456789abcdef";
        let digits = |numbers: &mut Numbers| numbers.word("123456789", 9, 1);
        let sid = format!(
            "S-1-5-21-{}-{}-{}-{}",
            digits(numbers),
            digits(numbers),
            digits(numbers),
            1_000 + numbers.below(90_000)
        );
        let guid: Vec<String> = [8, 4, 4, 4, 12].iter().map(|length| numbers.word(hex, *length, 1)).collect();
        Self {
            labels: (0..6).map(|_| numbers.label()).collect(),
            addresses: (0..4).map(|_| numbers.address()).collect(),
            others: vec![sid, guid.join("-"), numbers.word(hex, 40, 1)],
        }
    }

    fn label(&self, numbers: &mut Numbers) -> String {
        self.labels[numbers.below(u64::try_from(self.labels.len()).unwrap())].clone()
    }

    /// A text as the field may have it.
    fn text(&self, kind: Kind, numbers: &mut Numbers) -> String {
        let (a, b, c) = (self.label(numbers), self.label(numbers), self.label(numbers));
        let address = self.addresses[numbers.below(4)];
        let other = self.others[numbers.below(3)].clone();
        match (kind, numbers.below(6)) {
            (Kind::Name | Kind::User | Kind::Cookie, 0) => a,
            (Kind::Name | Kind::User | Kind::Cookie, 1) => format!("{a}\\{b}"),
            (Kind::Name | Kind::User, 2) => format!("{}@{b}.{c}.com", a.to_uppercase()),
            (Kind::Name, 3) => format!("CN={a}.{b}.local, O={c} {a}, C=DE"),
            (Kind::Name, 4) => format!("TERMSRV/{a}.{b}:3389"),
            (Kind::Name, _) => format!("{address}, {a}, {other}"),
            (Kind::User | Kind::Cookie, _) => a.chars().take(9).collect(),
            (Kind::Issuer, _) => format!("CN={a} FortiGate CA, O={b}"),
            (Kind::Banner, 0) => format!("SSH-2.0-{a}_9.2 {b} on {c}"),
            (Kind::Banner, 1) => format!("220 {a}.{b}.com ESMTP Postfix [{address}]"),
            (Kind::Banner, 2) => dumped(&a.to_uppercase()),
            (Kind::Banner, 3) => dumped(&a.chars().flat_map(|c| [c, '\0']).collect::<String>()),
            (Kind::Banner, _) => format!("GET /{a}?x={b}&host={address} HTTP/1.1"),
            (Kind::Zone, 0) => format!("{a} Standard Time"),
            (Kind::Zone, _) => a,
            (Kind::Free, 0) => format!("TargetUserName={a}, TargetSid={other}, Client:{address}, Port=3389"),
            (Kind::Free, 1) => format!(r"C:\Users\{a}\AppData\{b}.exe"),
            (Kind::Free, 2) => format!("the computer {a} ({address}:50000) said {other}."),
            (Kind::Free, 3) => format!("{address}-{address}, {a}$"),
            (Kind::Free | Kind::Remark, _) => format!("{a} {b}.{c} [{address}]"),
            (Kind::Opaque | Kind::UserHash, 0) => other,
            (Kind::Opaque | Kind::UserHash, _) => format!("{a} {address}"),
            (Kind::Own, _) => "says".to_owned(),
        }
    }

    /// In every spelling that a field may have kept; what stands there is told in small letters.
    fn spelled(&self) -> Vec<String> {
        let labels = self.labels.iter().map(|label| label.to_lowercase());
        let parts: Vec<String> =
            labels.flat_map(|label| [label.clone(), label.replace(['-', '_'], " ")]).collect();
        let addresses = self.addresses.iter().map(ToString::to_string);
        parts
            .into_iter()
            .chain(addresses)
            .chain(self.others.iter().map(|other| other.to_lowercase()))
            .collect()
    }
}

/// The beginning of a text as the first bytes of a program.
fn dumped(text: &str) -> String {
    let bytes: Vec<String> = text.bytes().take(30).map(|byte| format!("{byte:02x}")).collect();
    format!("bytes 03 00 {}", bytes.join(" "))
}

/// The fact with these texts, and whatever its other fields need to be one.
fn fact(name: &'static str, texts: &BTreeMap<&'static str, String>) -> What {
    const OTHERS: [&str; 7] = ["1", "0x1", "yes", "client", "10.200.1.2", "GRE", "HTTP"];
    let mut fields: BTreeMap<&'static str, String> = texts.clone();
    let mut tried: BTreeMap<&'static str, usize> = BTreeMap::new();
    loop {
        let given = fields.iter().map(|(name, value)| (*name, value.clone()));
        match What::of_fields(name, given) {
            Ok(what) => return what,
            Err(FactTextError::MissingField(field) | FactTextError::BadValue(field, _)) => {
                let next = tried.entry(field).or_default();
                let value = OTHERS.get(*next).unwrap_or_else(|| panic!("{name}: no value for {field}"));
                *next += 1;
                fields.insert(field, (*value).to_owned());
            }
            Err(other) => panic!("{name}: {other}"),
        }
    }
}

fn facts(secrets: &Secrets, numbers: &mut Numbers) -> Vec<Fact> {
    let mut facts = Vec::new();
    for name in What::NAMES {
        let texts = What::FIELDS.iter().filter(|(of, _, is_text)| of == name && *is_text);
        let texts = texts.map(|(of, field, _)| (*field, secrets.text(kind((of, field)), numbers))).collect();
        let keys = Keys {
            host: format!("{}.{}.local", secrets.label(numbers), secrets.label(numbers)).to_lowercase(),
            user: Some(secrets.label(numbers)),
            domain: Some(secrets.label(numbers)),
            workstation: Some(secrets.label(numbers)),
            address: Some(secrets.addresses[numbers.below(4)]),
            activity: Some(secrets.others[1].clone()),
            ..Keys::default()
        };
        facts.push(Fact {
            at: UnixNanos(1),
            place: Place { input_index: 0, spot: Spot::Record(1) },
            subject: Subject::Record(Arc::new(keys)),
            reading: Reading::Clear,
            what: fact(name, &texts),
        });
    }
    // Every label is somebody's name.
    for label in &secrets.labels {
        let texts = BTreeMap::from([("user", label.clone())]);
        let first = facts[0].clone();
        facts.push(Fact { what: fact("user-named", &texts), ..first });
    }
    facts
}

fn redaction(facts: &mut Vec<Fact>, secret: &[u8]) -> Redaction {
    let map = Map { key: key_of(secret), ..Map::default() };
    let mut redaction = Redaction::of(Redact { map, is_key_fixed: true }, facts, &Inventory::default());
    redaction.apply(facts, &mut [], &mut Inventory::default(), &mut []);
    redaction
}

/// Letters and digits of the text, in small letters, other characters as single blanks.
fn words_of(text: &str) -> String {
    let parts: Vec<String> = text
        .split(|c: char| !(c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | ':')))
        .map(str::to_lowercase)
        .collect();
    format!(" {} ", parts.join(" "))
}

#[test]
fn no_field_of_any_fact_keeps_a_name() {
    for seed in 0..12 {
        let mut numbers = Numbers(seed);
        let secrets = Secrets::of(&mut numbers);
        let mut all = facts(&secrets, &mut numbers);
        let plain: Vec<String> = all.iter().map(|fact| fact.what.text()).collect();
        let mut redaction = redaction(&mut all, b"secret");
        let search = redaction.search().unwrap();
        for (fact, plain) in all.iter().zip(plain) {
            let told = format!("{} {:?}", fact.what.text(), fact.subject);
            for secret in secrets.spelled() {
                let there = words_of(&told).contains(&secret);
                assert!(!there, "seed {seed}: {secret} is left of\n{plain}\nin\n{told}");
            }
            assert_eq!(search.find(told.as_bytes()), None, "{plain}\n{told}");
        }
        for (class, real, _) in redaction.map().names {
            // Words among others that are nobody's name go, and are not sought.
            if class != Class::Label || secrets.labels.iter().any(|label| label.to_lowercase() == real) {
                assert!(search.find(format!("x {real} y").as_bytes()).is_some(), "{real} is not sought");
            }
        }
    }
}

#[test]
fn each_name_has_one_pseudonym_and_no_two_the_same() {
    let mut numbers = Numbers(7);
    let mut names = Names::new(Key(key_of(b"secret")));
    let labels: BTreeSet<String> = (0..3_000).map(|_| numbers.label().to_lowercase()).collect();
    labels.iter().for_each(|label| names.learn(label, true));
    names.draw(Key(key_of(b"secret")), &[]);
    let given: BTreeMap<String, String> =
        labels.iter().map(|label| (names.label(label), label.clone())).collect();
    assert_eq!(given.len(), labels.len());
    // Another set of names, in another order, has the same ones.
    let mut fewer = Names::new(Key(key_of(b"secret")));
    for (given, label) in given.iter().rev().step_by(7) {
        assert_eq!(fewer.label(label), *given);
        assert_eq!(names.real(given), label);
        if label.to_uppercase().to_lowercase() == *label {
            assert_eq!(fewer.label(&label.to_uppercase()).to_lowercase(), *given);
        }
    }
    let mut other = Names::new(Key(key_of(b"another")));
    assert!(given.iter().all(|(given, label)| other.label(label) != *given));
}

#[test]
fn what_is_cut_stays_the_beginning_of_the_whole() {
    let mut numbers = Numbers(8);
    let mut names = Names::new(Key(key_of(b"secret")));
    for _ in 0..500 {
        let label = numbers.word("abcdefghijklmnopqrstuvwxyz", 9, 20);
        let whole = names.label(&label);
        for cut in [9, 15] {
            let short: String = label.chars().take(cut).collect();
            let given = names.label(&short);
            assert_eq!(given.chars().count(), if label.len() >= cut { cut } else { given.chars().count() });
            assert!(label.len() < cut || whole.starts_with(&given), "{label} {whole} {given}");
        }
    }
}

#[test]
fn security_identifiers_keep_their_kind_and_stay_apart() {
    let mut names = Names::new(Key(key_of(b"secret")));
    let given: BTreeSet<String> =
        (1_000..3_000).map(|rid| names.sid(&format!("S-1-5-21-100-200-300-{rid}"))).collect();
    assert_eq!(given.len(), 2_000);
    let domains: BTreeSet<String> =
        given.iter().map(|sid| sid.rsplit_once('-').unwrap().0.to_owned()).collect();
    assert_eq!(domains.len(), 1);
    assert!(given.iter().all(|sid| sid.starts_with("S-1-5-21-") && !sid.contains("-100-200-300-")));
    assert!(names.sid("S-1-5-21-100-200-300-500").ends_with("-500"));
    for kept in ["S-1-5-18", "S-1-5-32-544", "S-1-5-80-956008885-3418522649", "S-1-1-0", "S-1-5-90-0-1"] {
        assert!(words::is_well_known_sid(kept), "{kept}");
    }
    for own in ["S-1-5-21-1-2-3-500", "S-1-12-1-1-2-3-4", "S-1-5-83-1-5"] {
        assert!(!words::is_well_known_sid(own), "{own}");
    }
}

#[test]
fn a_map_leads_back_and_is_read_back() {
    let mut numbers = Numbers(9);
    let secrets = Secrets::of(&mut numbers);
    let mut all = facts(&secrets, &mut numbers);
    let mut redaction = redaction(&mut all, b"secret");
    let map = redaction.map();
    assert_eq!(Map::read(&map.lines().unwrap()), Some(map.clone()));
    let mut back: BTreeMap<(Class, String), String> = BTreeMap::new();
    for (class, real, given) in &map.names {
        let known = back.entry((*class, given.to_lowercase())).or_insert_with(|| real.to_lowercase());
        assert_eq!(*known, real.to_lowercase(), "two real names have the pseudonym {given}");
    }
    assert_eq!(Map::read(b"{\"redaction_map\":2,\"key\":\"\",\"shift_ns\":0}\n"), None);
    assert_eq!(Map::read(b"rdsh01"), None);
}

#[test]
fn words_of_the_answers_are_known_and_names_are_none() {
    for own in ["session", "credssp", "wevtutil", "broke", "administrator", "community_id"] {
        assert!(words::is_own(own), "{own}");
    }
    for name in ["rdsh01", "contoso", "alice", "jdoe"] {
        assert!(!words::is_own(name), "{name}");
    }
}

/// What is given for texts of this kind, where `alice`, `rdsh01`, `contoso` and the user `12345678` are known.
fn told(kind: Kind, shift_ns: i64, texts: &[&str]) -> Vec<String> {
    let map = Map { key: key_of(b"secret"), shift_ns, ..Map::default() };
    let mut numbers = Numbers(1);
    let secrets = Secrets::of(&mut numbers);
    let first = facts(&secrets, &mut numbers).swap_remove(0);
    let known = ["alice", "rdsh01", "contoso", "12345678", "squid"].map(|user| {
        let texts = BTreeMap::from([("user", user.to_owned())]);
        Fact { what: fact("user-named", &texts), ..first.clone() }
    });
    let given = |text: &&str| {
        let texts = BTreeMap::from([("protocol", (*text).to_owned())]);
        Fact { what: fact("other-protocol", &texts), ..first.clone() }
    };
    let mut all: Vec<Fact> = known.into_iter().chain(texts.iter().map(given)).collect();
    all.push(first);
    let mut redaction = Redaction::of(Redact { map, is_key_fixed: true }, &all, &Inventory::default());
    texts.iter().map(|text| redaction.given(text, kind)).collect()
}

#[test]
fn versions_codes_and_words_of_programs_stay() {
    let texts = [
        "SSH-2.0-dropbear_2022.83",
        "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u2",
        "SSH-1.99-Cisco-1.25",
        "Server: nginx/1.22.1",
        "Microsoft-HTTPAPI/2.0",
        "RealVNC 6.7",
        "RFB 003.008",
        "HTTP/1.1 407 Proxy Authentication Required",
        "Switching Protocols",
        "bytes 03 00 00 2b 00 03 00 80",
        "bytes 16 03 01 41 42 43 44 00",
        "MajorVersion=10, BuildVersion=17134, StartTime=2018-07-06T18:37:44.4858175Z, BootTime=132571999794903369",
        "1:34:44 PM, \u{200e}8/\u{200e}25/\u{200e}2015, 934",
        "ErrorCode=%%2313, TargetUserName=-, IpAddress=-, Result=0xc000006d, Flag=true, Other=-",
        "updateTitle=2018-06 Cumulative Update for Windows 10 Version 1803 for x64-based Systems (KB4287903)",
        "mstsc.exe, 10.0.22621.1, c0000005, KB4287903",
        "C:\\Windows\\system32\\winlogon.exe, Operating System: Upgrade (Planned), 0x80020003, restart, NT AUTHORITY\\SYSTEM",
        "Disconnect trace:'calling spGfxPlugin->PreDisconnect()' in CUMRDPConnection::PreDisconnect at 4562 err=[0x0]",
        "Name=CUMRDPProtocolManager",
        "libssh2_1.11.0, OpenSSL/3.0.2, curl/8.5.0-2ubuntu10",
    ];
    // ABCD could be a name.
    let given = told(Kind::Banner, 0, &texts[..11]);
    for (text, given) in texts[..10].iter().zip(&given) {
        assert_eq!(given, text);
    }
    assert_eq!(given[10], "bytes 16 03 01 xx xx xx xx 00");
    for (text, given) in texts[11..].iter().zip(told(Kind::Free, 0, &texts[11..])) {
        assert_eq!(given, **text);
    }
}

#[test]
fn names_among_words_of_programs_go() {
    let texts = [
        ("SSH-2.0-OpenSSH_9.2p1 rdsh01", "rdsh01"),
        ("SSH-2.0-alice_9.2", "alice"),
        ("SSH-2.0-squid_9.2", "squid"),
        ("220 mail.contoso.com ESMTP Postfix", "mail"),
        ("Server: contoso/1.22.1", "contoso"),
        ("debian-2 and web-01", "debian-2"),
        ("server.branch7.example", "server"),
        ("nginx/10.1.2.3", "10.1.2.3"),
        ("1:10.1.2.3-2+deb12u2", "10.1.2.3"),
        ("HELLO v192.168.7.9", "192.168.7.9"),
        ("openssh_172.16.5.7-1", "172.16.5.7"),
        ("SSH-2.0-OpenSSH_10.20.30.42", "10.20.30.42"),
        ("nginx-10.20.30.40", "10.20.30.40"),
        ("12345678 at 12345678", "12345678"),
        ("AliceSmith::Start", "AliceSmith"),
        ("StartTime=12345678", "12345678"),
        ("alice=5, contoso/x=6", "alice"),
        ("x Alice=5", "Alice"),
        ("cmRzaDAxLmxhYg=", "cmRzaDAxLmxhYg"),
        ("\u{e4} alice\u{e4}=5", "alice"),
        ("2026-11-22.contoso.com", "contoso"),
        ("bytes 03 00 61 6c 69 63 65 00", "61 6c"),
        ("bytes 03 00 61 00 6c 00 69 00 63 00 65 00", "61 00 6c"),
    ];
    for kind in [Kind::Free, Kind::Banner] {
        let of: Vec<&str> = texts.iter().map(|(text, _)| *text).collect();
        for ((text, name), given) in texts.iter().zip(told(kind, 0, &of)) {
            // Only a banner has bytes, and only in a banner may a program have a version without a point.
            let is_banner = text.starts_with("bytes ") && kind == Kind::Free;
            let is_free = text.starts_with("debian-2") && kind == Kind::Banner;
            assert!(is_banner || is_free || !given.contains(name), "{text}: {given}");
        }
    }
}

#[test]
fn times_in_words_of_programs_move_with_all_others() {
    let day = 24 * 3_600 * 1_000_000_000;
    let given = told(
        Kind::Free,
        day,
        &[
            "StartTime=2018-07-06T18:37:44.4858175Z, BootTime=132571999794903369, Version=10.0.17134",
            "1:34:44 PM, 8/25/2015, 934",
            "the host rdsh01 started at 2018-07-06 18:37:44",
        ],
    );
    assert_eq!(
        given[0],
        "StartTime=2018-07-07T18:37:44.4858175Z, BootTime=132572863794903369, Version=10.0.17134"
    );
    assert_eq!(given[1], "1:34:44 PM, 8/26/2015, 934");
    assert!(
        given[2].ends_with(" started at 2018-07-07 18:37:44") && !given[2].contains("rdsh01"),
        "{}",
        given[2]
    );
}

/// What stays, wherever it stands in words of programs.
const KEPT: [&str; 24] = [
    "OpenSSH_9.2p1",
    "nginx/1.22.1",
    "Microsoft-HTTPAPI/2.0",
    "10.0.17134",
    "4.18.1807.18075",
    "curl/8.5.0-2ubuntu10",
    "0xc000006d",
    "%%2313",
    "c0000005",
    "80070005",
    "KB5034441",
    "407 Proxy Authentication Required",
    "Switching Protocols",
    "2018-07-06T18:37:44.4858175Z",
    "2026-11-22 10:00:00",
    "2026-11-22T11:00:00.5+01:00",
    "8/25/2015 1:34:44 PM",
    "25.08.2015 10:00",
    "23:59:59",
    "CUMRDPConnection::PreDisconnect",
    "StartTime=132571999794903369",
    "true",
    "System32",
    "RDP-Tcp",
];

/// A name as a program may write it among its words.
fn oddly(secrets: &Secrets, numbers: &mut Numbers) -> String {
    let (a, b) = (secrets.label(numbers), secrets.label(numbers));
    let address = secrets.addresses[numbers.below(4)];
    match numbers.below(18) {
        0 => a.to_uppercase(),
        1 => format!("{b}\\{a}"),
        2 => format!("{a}@{b}.local"),
        3 => format!("\"{a}\""),
        4 => format!("'{a}'"),
        5 => format!("{a}$"),
        6 => format!("<{a}>"),
        7 => format!("{a}.{b}.example.com."),
        8 => format!("//{a}/{b}"),
        9 => format!("[{address}]:3389"),
        10 => format!("{address},"),
        11 => format!("{a}:{address}"),
        12 => format!("{a}_2.1"),
        13 => format!("server.{a}"),
        14 => format!("{b}%5C{a}"),
        15 => BASE64.encode(format!("{b}/{a}").as_bytes()),
        16 => secrets.others[numbers.below(3)].clone(),
        _ => a,
    }
}

#[test]
fn among_versions_codes_and_times_no_name_is_left_and_all_of_them_are() {
    const BETWEEN: [&str; 7] = [" ", ", ", "; ", " (", ") ", ", Other=", " - "];
    let of_programs: Vec<_> = What::FIELDS
        .iter()
        .filter(|(fact, field, is_text)| *is_text && matches!(kind((fact, field)), Kind::Free | Kind::Banner))
        .collect();
    assert!(of_programs.len() > 15);
    for seed in 100..108 {
        let mut numbers = Numbers(seed);
        let secrets = Secrets::of(&mut numbers);
        let mut all = facts(&secrets, &mut numbers);
        let mut kept: Vec<(usize, Vec<&str>, String)> = Vec::new();
        for (name, field, _) in &of_programs {
            let mut text = String::new();
            let mut stays = Vec::new();
            for _ in 0..3 + numbers.below(6) {
                text.push_str(if text.is_empty() { "" } else { BETWEEN[numbers.below(7)] });
                if numbers.below(2) == 0 {
                    text.push_str(&oddly(&secrets, &mut numbers));
                } else {
                    let one = KEPT[numbers.below(24)];
                    text.push_str(one);
                    // Banners have no fields.
                    if kind((name, field)) == Kind::Free || !one.contains('=') {
                        stays.push(one);
                    }
                }
            }
            let given = BTreeMap::from([(*field, text.clone())]);
            let first = all[0].clone();
            kept.push((all.len(), stays, text));
            all.push(Fact { what: fact(name, &given), ..first });
        }
        let mut redaction = redaction(&mut all, b"secret");
        let search = redaction.search().unwrap();
        for (index, stays, text) in kept {
            let told = all[index].what.text();
            for secret in secrets.spelled() {
                assert!(
                    !words_of(&told).contains(&secret),
                    "seed {seed}: {secret} is left of\n{text}\nin\n{told}"
                );
            }
            assert_eq!(search.find(told.as_bytes()), None, "seed {seed}: {text}\n{told}");
            // As the text form of a fact writes it.
            for stays in stays {
                assert!(told.contains(stays), "seed {seed}: {stays} is gone of\n{text}\nin\n{told}");
            }
        }
    }
}

#[test]
fn a_pseudonym_leads_back_and_other_words_stay() {
    let rows = [
        (Class::Address, "198.51.100.10", "203.0.113.7"),
        (Class::Label, "rdsh01", "xdbkqzhp"),
        (Class::Name, "RDSH01.lab.test", "XDBKQZHP.xsriluth.test"),
    ];
    let names = rows.map(|(class, real, given)| (class, real.to_owned(), given.to_owned())).to_vec();
    let map = Map { names, ..Map::default() };
    assert_eq!(
        map.real("203.0.113.7:50000-203.0.113.77:3389-1a2b"),
        "198.51.100.10:50000-203.0.113.77:3389-1a2b"
    );
    assert_eq!(map.real("XDBKQZHP, xdbkqzhp.xsriluth.test!"), "rdsh01, RDSH01.lab.test!");
    assert_eq!(
        map.real("xdbkqzhpa axdbkqzhp 1203.0.113.7 \u{e4}"),
        "xdbkqzhpa axdbkqzhp 1203.0.113.7 \u{e4}"
    );
    for text in ["10.1.2.3", "fe80::1", "XDBKQZHP", "xabcdefg.lab"] {
        assert!(may_be_pseudonym(text), "{text}");
    }
    for text in ["alice", "xena", "xabcdefg1", ""] {
        assert!(!may_be_pseudonym(text), "{text}");
    }
}
