//! Pseudonyms for everybody and everything that the evidence names, put into the facts before they are joined, so that
//! every answer is made of pseudonyms; and a search of what was written for each of the real names.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use data_encoding::BASE64;
use hashbrown::HashMap;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use crate::events;
use crate::fact::{Connection, Fact, Keys, Rewrite, Subject};
use crate::note::Note;
use crate::read::{Counts, Inventory};
use crate::time::UnixNanos;

mod addresses;
mod common;
mod fields;
mod grammar;
mod map;
mod names;
mod scan;
mod search;
#[cfg(test)]
mod tests;
mod times;
mod words;

pub use map::Map;
pub use search::{Left, Search, Searching};

use addresses::{Addresses, stays};
use fields::{Kind, kind};
use names::Names;
use scan::{scan, scan_issuer};

/// Keys tried until no pseudonym of an address is a real address of the same evidence.
const KEYS_MAX: u32 = 64;
/// Pairs of a user and a domain whose hashes are compared with those of the evidence.
const PAIRS_MAX: usize = 100_000;
/// Texts kept with what is given for them, so that each is taken apart once.
const TEXTS_MAX: usize = 200_000;

/// Of which every pseudonym is drawn.
#[derive(Debug, Clone)]
pub(crate) struct Key([u8; 32]);

impl Key {
    /// 32 bytes without a pattern, the same for the same parts.
    fn draw(&self, purpose: &str, parts: &[&[u8]]) -> Vec<u8> {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else { return Vec::new() };
        for part in std::iter::once(&purpose.as_bytes()).chain(parts) {
            mac.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().to_vec()
    }
}

/// The key of a secret of any length.
#[must_use]
pub fn key_of(secret: &[u8]) -> [u8; 32] {
    Sha256::digest(secret).into()
}

/// How pseudonyms are made.
#[derive(Debug, Clone, Default)]
pub struct Redact {
    /// The key and the shift; names of an earlier run keep the pseudonyms that they have here.
    pub map: Map,
    /// The key was given; else another one may be taken that confuses fewer addresses.
    pub is_key_fixed: bool,
}

/// What a real name is the name of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// An address.
    Address,
    /// One label of a name: of a user, host, domain or certificate.
    Label,
    /// A name as it was written, of one or more labels.
    Name,
    /// A SID, a link address, a hash, a token.
    Identifier,
    /// The path of an input.
    Input,
}

impl Class {
    const ALL: [Self; 5] = [Self::Address, Self::Label, Self::Name, Self::Identifier, Self::Input];

    /// In words.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Label => "label",
            Self::Name => "name",
            Self::Identifier => "identifier",
            Self::Input => "input",
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.name() == name)
    }
}

/// It has the form of a pseudonym, or is an address, of which nobody can tell.
#[must_use]
pub fn may_be_pseudonym(text: &str) -> bool {
    let is_drawn = |part: &str| {
        part.len() >= 8 && part.starts_with(['x', 'X']) && part.chars().all(|c| c.is_ascii_alphabetic())
    };
    text.parse::<IpAddr>().is_ok() || text.split(|c: char| !c.is_alphanumeric()).any(is_drawn)
}

/// The pseudonyms of one run.
#[derive(Debug, Clone)]
pub struct Redaction {
    names: Names,
    addresses: Addresses,
    redact: Redact,
    /// Real addresses.
    real: BTreeSet<IpAddr>,
    inputs: BTreeMap<String, String>,
    users: BTreeSet<String>,
    domains: BTreeSet<String>,
    hashes: BTreeMap<String, String>,
    /// Texts that were met, and what is given for them.
    texts: HashMap<(Kind, String), Option<String>, foldhash::fast::FixedState>,
    /// The first reading, which learns what there is, is over.
    gives: bool,
}

impl Redaction {
    /// Learns every name of the evidence and draws the pseudonyms.
    #[must_use]
    pub fn of(redact: Redact, facts: &[Fact], inventory: &Inventory) -> Self {
        let key = Key(redact.map.key);
        let mut learnt = Self {
            names: Names::new(key.clone()),
            addresses: Addresses::new(key),
            redact,
            real: BTreeSet::new(),
            inputs: inputs(inventory),
            users: BTreeSet::new(),
            domains: BTreeSet::new(),
            hashes: BTreeMap::new(),
            texts: HashMap::default(),
            gives: false,
        };
        for fact in facts {
            let _ = fact.what.clone().rewritten(&mut learnt);
            learnt.learn_subject(&fact.subject);
        }
        learnt.draw();
        learnt.texts.clear();
        learnt.gives = true;
        learnt.learn_hashes();
        learnt
    }

    fn learn_subject(&mut self, subject: &Subject) {
        match subject {
            Subject::Connection(connection) | Subject::Udp(connection) => {
                self.address(connection.client.ip());
                self.address(connection.server.ip());
            }
            Subject::Record(keys) => {
                let _ = self.keys(keys);
                self.users.extend(keys.user.clone());
                self.domains.extend(keys.domain.clone());
            }
        }
    }

    fn draw(&mut self) {
        for _ in 0..KEYS_MAX {
            let key = Key(self.redact.map.key);
            self.addresses = Addresses::new(key.clone());
            self.names.draw(key, &self.redact.map.names);
            if self.redact.is_key_fixed || self.confused().is_empty() {
                return;
            }
            self.redact.map.key = key_of(&self.redact.map.key);
        }
    }

    /// Real addresses that also are the pseudonym of one: nobody can search for them.
    fn confused(&mut self) -> BTreeSet<IpAddr> {
        let Self { real, addresses, .. } = self;
        let given: BTreeSet<IpAddr> =
            real.iter().filter(|real| !stays(**real)).map(|real| addresses.of(*real)).collect();
        real.iter().filter(|real| given.contains(*real)).copied().collect()
    }

    /// The hash of a user's name becomes that of the pseudonym, where the user is known.
    fn learn_hashes(&mut self) {
        let (users, domains) = (self.users.clone(), self.domains.clone());
        let pairs = users.iter().flat_map(|user| domains.iter().map(move |domain| (Some(domain), user)));
        let alone = users.iter().map(|user| (None, user));
        for (domain, user) in alone.chain(pairs).take(PAIRS_MAX) {
            let own = scan(user, Kind::User, self);
            let (real, given) = match domain {
                Some(domain) => {
                    (format!("{domain}\\{user}"), format!("{}\\{own}", scan(domain, Kind::Name, self)))
                }
                None => (user.clone(), own),
            };
            self.hashes.insert(hash_of(&real), hash_of(&given));
        }
    }

    /// Puts the pseudonyms in place of all names, and shifts all times.
    pub fn apply(
        &mut self,
        facts: &mut Vec<Fact>,
        notes: &mut [Note],
        inventory: &mut Inventory,
        counts: &mut [Option<Counts>],
    ) {
        let mut known = Known::default();
        for fact in std::mem::take(facts) {
            let subject = self.subject(fact.subject, &mut known);
            let what = fact.what.rewritten(self);
            facts.push(Fact { subject, what, at: self.time(fact.at), ..fact });
        }
        for note in notes.iter_mut().chain(&mut inventory.notes) {
            note.text = self.remark(&note.text);
        }
        for input in &mut inventory.inputs {
            input.shown = self.input(&input.shown);
            input.path = None;
        }
        let (paths, key_logs) = std::mem::take(&mut inventory.given);
        let named = |paths: BTreeSet<String>| paths.iter().map(|path| self.input(path)).collect();
        inventory.given = (named(paths), named(key_logs));
        for held in counts.iter_mut().flatten() {
            let covers = match held {
                Counts::Capture(held) => &mut held.covers,
                Counts::Log(held) => &mut held.covers,
            };
            *covers = covers.map(|(from, to)| (self.time(from), self.time(to)));
        }
    }

    fn subject(&mut self, subject: Subject, known: &mut Known) -> Subject {
        match subject {
            Subject::Connection(connection) => Subject::Connection(self.connection(&connection, known)),
            Subject::Udp(transport) => Subject::Udp(self.connection(&transport, known)),
            Subject::Record(keys) => {
                if let Some((real, given)) = &known.keys
                    && Arc::ptr_eq(real, &keys)
                {
                    return Subject::Record(Arc::clone(given));
                }
                let given = Arc::new(self.keys(&keys));
                known.keys = Some((keys, Arc::clone(&given)));
                Subject::Record(given)
            }
        }
    }

    fn connection(&mut self, connection: &Arc<Connection>, known: &mut Known) -> Arc<Connection> {
        if let Some((real, given)) = &known.connection
            && Arc::ptr_eq(real, connection)
        {
            return Arc::clone(given);
        }
        let mut end = |end: SocketAddr| SocketAddr::new(self.address(end.ip()), end.port());
        let (client, server) = (end(connection.client), end(connection.server));
        let (opened, last_seen) = (self.time(connection.opened), self.time(connection.last_seen));
        let mut sent = connection.sent.clone();
        for mark in sent.iter_mut().flat_map(|sent| &mut sent.marks) {
            mark.at = self.time(mark.at);
        }
        let given =
            Arc::new(Connection { client, server, opened, last_seen, sent, ..Connection::clone(connection) });
        known.connection = Some((Arc::clone(connection), Arc::clone(&given)));
        given
    }

    fn keys(&mut self, keys: &Keys) -> Keys {
        let mut name = |text: &Option<String>, kind| text.as_ref().map(|text| self.given(text, kind));
        let (user, domain) = (name(&keys.user, Kind::User), name(&keys.domain, Kind::Name));
        let workstation = name(&keys.workstation, Kind::Name);
        let host = self.given(&keys.host, Kind::Name);
        let activity = keys.activity.as_ref().map(|text| self.names.identifier(text));
        let address = keys.address.map(|address| self.address(address));
        Keys { host, activity, user, domain, address, workstation, ..keys.clone() }
    }

    fn input(&self, shown: &str) -> String {
        let other = || if shown == "-" { "-".to_owned() } else { "evidence".to_owned() };
        self.inputs.get(shown).cloned().unwrap_or_else(other)
    }

    /// A sentence of this program, in which names may stand.
    fn remark(&mut self, text: &str) -> String {
        let named = self.inputs.iter().fold(text.to_owned(), |text, (real, given)| {
            if is_path(real) { text.replace(real, given) } else { text }
        });
        self.given(&named, Kind::Remark)
    }

    /// What is given for a text of this kind.
    fn given(&mut self, text: &str, kind: Kind) -> String {
        let key = (kind, text.to_owned());
        if let Some(known) = self.texts.get(&key) {
            return known.clone().unwrap_or(key.1);
        }
        let told = scan(text, kind, self);
        if self.texts.len() < TEXTS_MAX {
            let kept = Some(told.clone()).filter(|told| told != text);
            self.texts.insert(key, kept);
        }
        told
    }

    /// A field that holds names has it, or a part of it.
    fn knows(&self, label: &str) -> bool {
        let is_word = |part: &str| part.chars().count() < 3 || words::is_own(part);
        let is_known = |part: &str| !is_word(part) && self.names.is_named(part);
        self.names.is_named(label) || (label.contains(['-', '_']) && label.split(['-', '_']).any(is_known))
    }

    /// A part of the text, between what is neither letter nor digit, is one that a field for names has.
    fn knows_part(&self, text: &str) -> bool {
        let mut parts = text.split(|c: char| !c.is_alphanumeric()).filter(|part| !part.is_empty());
        let is_count = |part: &str| part.len() < 4 && part.chars().all(|c| c.is_ascii_digit());
        self.names.is_written(text) || parts.any(|part| !is_count(part) && self.names.is_named(part))
    }

    /// What is asked for with the pseudonyms of the map of an earlier run, with the real names.
    #[must_use]
    pub fn meant(&self, text: &str) -> String {
        let earlier = &self.redact.map;
        let is_real = earlier.names.iter().any(|(_, real, _)| real.eq_ignore_ascii_case(text));
        if is_real { text.to_owned() } else { earlier.real(text) }
    }

    /// A host or an address that somebody who knows the real names asks for, as a pseudonym.
    #[must_use]
    pub fn asked(&mut self, text: &str) -> String {
        self.given(text, Kind::Name)
    }

    /// The same of a user.
    #[must_use]
    pub fn asked_user(&mut self, text: &str) -> String {
        self.given(text, Kind::User)
    }

    /// Times are not those of the evidence.
    #[must_use]
    pub const fn is_shifted(&self) -> bool {
        self.redact.map.shift_ns != 0
    }

    /// A moment that somebody who knows the real times asks for.
    #[must_use]
    pub fn asked_time(&self, at: UnixNanos) -> UnixNanos {
        times::shifted(at, self.redact.map.shift_ns)
    }

    /// The text with the real names, in lower case, of the pseudonyms in it: by them hosts keep their order, and are found
    /// by parts of their names.
    #[must_use]
    pub fn real_name(&self, given: &str) -> String {
        let mut out = String::new();
        let mut rest = given;
        while let Some(first) = rest.chars().next() {
            let end =
                rest.find(|c: char| c.is_alphanumeric() != first.is_alphanumeric()).unwrap_or(rest.len());
            let (run, behind) = rest.split_at(end);
            out.push_str(self.names.real(run));
            rest = behind;
        }
        out
    }

    /// The hosts of the facts, each once, in the order of their real names, or in that of `earlier`, where the real ones are
    /// themselves pseudonyms.
    pub(crate) fn in_order_of_names(&self, facts: &[Fact], earlier: Option<&[String]>) -> Vec<String> {
        let given: BTreeSet<&str> =
            facts.iter().filter_map(|fact| fact.subject.keys()).map(|keys| keys.host.as_str()).collect();
        let mut hosts: Vec<String> = given.into_iter().map(str::to_owned).collect();
        hosts.sort_by_cached_key(|host| {
            let real = self.real_name(host);
            let is_it = |known: &String| known.eq_ignore_ascii_case(&real);
            (earlier.and_then(|earlier| earlier.iter().position(is_it)), real)
        });
        hosts
    }

    /// Everything that is needed to lead back, and to give the same pseudonyms once more.
    #[must_use]
    pub fn map(&mut self) -> Map {
        let mut names: BTreeSet<(Class, String, String)> = self.names.map().into_iter().collect();
        for real in self.real.clone() {
            names.insert((Class::Address, real.to_string(), self.addresses.of(real).to_string()));
        }
        for (real, given) in &self.inputs {
            names.insert((Class::Input, real.clone(), given.clone()));
        }
        names.retain(|(_, real, given)| real != given);
        // Inputs of an earlier run had numbers of their own.
        names.extend(self.redact.map.names.iter().filter(|(class, ..)| *class != Class::Input).cloned());
        Map { names: names.into_iter().collect(), ..self.redact.map.clone() }
    }

    /// The search of what is written for every real name.
    ///
    /// # Errors
    /// When there are too many to be searched for at once.
    pub fn search(&mut self) -> Result<Search, String> {
        let confused = self.confused();
        let is_sought = |(class, real, given): &(Class, String, String)| match class {
            Class::Address => real.parse().is_ok_and(|real| !confused.contains(&real)),
            Class::Label => self.names.is_sought(real) && !words::is_own(real),
            Class::Name => real.to_lowercase() != given.to_lowercase() && !words::is_own(real),
            Class::Identifier => true,
            Class::Input => !words::is_own(real) && is_path(real) && !given.ends_with(real.as_str()),
        };
        let map = self.names.map();
        let addresses = self.real.iter().filter(|real| !stays(**real));
        let addresses = addresses.map(|real| (Class::Address, real.to_string(), String::new()));
        let inputs = self.inputs.iter().map(|(real, given)| (Class::Input, real.clone(), given.clone()));
        let all = map.into_iter().chain(addresses).chain(inputs);
        Search::of(all.filter(is_sought).map(|(class, real, _)| (class, real)))
    }
}

/// More than a word.
fn is_path(input: &str) -> bool {
    input.chars().count() > 3 && input.contains(['.', '/', '\\'])
}

/// What the last fact was about, as it was and as it is now.
#[derive(Default)]
struct Known {
    connection: Option<(Arc<Connection>, Arc<Connection>)>,
    keys: Option<(Arc<Keys>, Arc<Keys>)>,
}

impl Rewrite for Redaction {
    fn text(&mut self, at: (&'static str, &'static str), text: String) -> String {
        match kind(at) {
            Kind::Own => text,
            Kind::Opaque => self.names.identifier(&text),
            Kind::Zone if grammar::is_time_zone(&text) && !self.knows_part(&text) => text,
            Kind::Zone => self.names.identifier(&text),
            Kind::Cookie => self.cookie(&text),
            Kind::Issuer => scan_issuer(&text, self),
            Kind::UserHash => match self.hashes.get(&text) {
                Some(given) => given.clone(),
                None => self.names.identifier(&text),
            },
            held => {
                match at.1 {
                    "user" => _ = self.users.insert(text.clone()),
                    "domain" => _ = self.domains.insert(text.clone()),
                    _ => {}
                }
                self.given(&text, held)
            }
        }
    }

    fn address(&mut self, address: IpAddr) -> IpAddr {
        if self.gives {
            return self.addresses.of(address);
        }
        self.real.insert(address);
        address
    }

    fn time(&mut self, at: UnixNanos) -> UnixNanos {
        times::shifted(at, self.redact.map.shift_ns)
    }
}

impl Redaction {
    /// A cookie that was cut, the domain in it included, is cut again, so that it still begins as the name that it is of.
    fn cookie(&mut self, text: &str) -> String {
        if text.chars().count() != names::COOKIE_CHARS {
            return self.given(text, Kind::User);
        }
        let (domain, account) = text.rsplit_once('\\').map_or((None, text), |(d, a)| (Some(d), a));
        if words::is_well_known_cut(account) && domain.is_none() {
            return text.to_owned();
        }
        let Some(domain) = domain else { return self.given(text, Kind::User) };
        let cut = |name: &str, by: &str| name.chars().take(by.chars().count()).collect::<String>();
        match self.names.whole_of(account) {
            Some(whole) if self.gives => {
                let (short, own) = (self.label(domain, true), self.label(&whole, true));
                format!("{}\\{}", cut(&short, domain), cut(&own, account))
            }
            None if self.gives && self.names.is_met(account) => {
                format!("{}\\{account}", cut(&self.label(domain, true), domain))
            }
            _ => self.given(text, Kind::User),
        }
    }

    fn label(&mut self, label: &str, named: bool) -> String {
        if self.gives {
            return self.names.label(label);
        }
        self.names.learn(label, named);
        label.to_owned()
    }
}

/// RDPClient 1029: Base64 of the SHA-256 of the name in UTF-16.
fn hash_of(name: &str) -> String {
    let bytes: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
    BASE64.encode(&Sha256::digest(bytes))
}

/// A number and the ending of its kind for each input, in the order of the paths, which is that of the answers.
/// The channel and a point, where a log has the name that Windows gives to the file of its channel.
fn channel_of(shown: &str) -> String {
    let file = shown.rsplit(['/', '\\']).next().unwrap_or(shown);
    let file = file.strip_suffix(".gz").unwrap_or(file);
    let stem = file.len().checked_sub(".evtx".len()).and_then(|at| file.split_at_checked(at));
    let Some((stem, _)) = stem.filter(|(_, end)| end.eq_ignore_ascii_case(".evtx")) else {
        return String::new();
    };
    let channel = stem.replace("%4", "/");
    // What is known of most is the beginning, up to the `/`.
    let rest = events::channels().find_map(|known| channel.strip_prefix(known));
    match rest {
        Some("" | "Operational" | "Admin" | "Debug" | "Analytic") => format!("{stem}."),
        _ => String::new(),
    }
}

fn inputs(inventory: &Inventory) -> BTreeMap<String, String> {
    let width = inventory.inputs.len().to_string().len();
    let given = (1_usize..).zip(&inventory.inputs).map(|(number, input)| {
        let end = match input.kind.name() {
            "evtx" => format!("{}evtx", channel_of(&input.shown)),
            kind @ ("pcap" | "pcapng") => kind.to_owned(),
            "key log" => "keys".to_owned(),
            _ => "file".to_owned(),
        };
        let gzip = if input.gzip { ".gz" } else { "" };
        // What is read through a pipe, or lies in an archive, has no path that a command could name.
        let given = match input.shown.as_str() {
            "-" => "-".to_owned(),
            shown if shown.contains("!/") => format!("input-{number:0width$}!/{number}.{end}{gzip}"),
            _ => format!("input-{number:0width$}.{end}{gzip}"),
        };
        (input.shown.clone(), given)
    });
    given.collect()
}
