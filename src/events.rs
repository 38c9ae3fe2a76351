//! What event logs say: a record into a fact, by provider, channel and event id. One file per channel, one row per id.
//!
//! Ids that say nothing of a connection, or that stand in every connection, good or bad, have no row.

use std::borrow::Cow;
use std::sync::Arc;

use crate::codes::Status;
use crate::fact::{Fact, Keys, Reading, Subject, What};
use crate::read::record::Value;
use crate::read::{Event, Record};

mod value;
mod generic;
mod rdp_core_ts;
mod remote_connection_manager;
mod local_session_manager;
mod rdp_client;
mod session_broker;
mod gateway;
mod schannel;
mod term_dd;
mod lsa_srv;
mod kerberos;
mod ntlm;
mod security;
mod system;
mod beside;

/// One event id of a provider: what it says, and how it becomes a fact.
struct EventMap {
    id: u32,
    /// What the event says, in our words.
    says: &'static str,
    /// `None` where the record is one that says nothing of Remote Desktop, such as the logon of a service.
    read: fn(&Seen<'_>) -> Option<What>,
}

/// A row.
const fn event(id: u32, says: &'static str, read: fn(&Seen<'_>) -> Option<What>) -> EventMap {
    EventMap { id, says, read }
}

/// A provider and the channels where it writes about Remote Desktop.
struct Log {
    /// Short name, as facts and messages have it.
    name: &'static str,
    /// `Provider/@Name`, and the old names of the same.
    providers: &'static [&'static str],
    /// Beginnings of the channel names.
    channels: &'static [&'static str],
    /// The keys of a record, beside its host.
    keys: fn(&Seen<'_>, &mut Keys),
    /// INVARIANT: sorted by id.
    events: &'static [EventMap],
}

/// Every provider. The first one that fits a record has it.
const LOGS: &[&Log] = &[
    &rdp_core_ts::LOG,
    &rdp_core_ts::SESSION_SERVICES,
    &remote_connection_manager::LOG,
    &local_session_manager::LOG,
    &rdp_client::LOG,
    &session_broker::CLIENT,
    &session_broker::BROKER,
    &session_broker::VM_HOST_AGENT,
    &gateway::LOG,
    &schannel::LOG,
    &term_dd::LOG,
    &lsa_srv::LOG,
    &kerberos::CLASSIC,
    &kerberos::OPERATIONAL,
    &ntlm::LOG,
    &ntlm::DOMAIN,
    &ntlm::NETLOGON,
    &security::LOG,
    &system::USER32,
    &system::EVENT_LOG,
    &system::KERNEL_GENERAL,
    &system::KERNEL_POWER,
    &system::SERVICE_CONTROL,
    &system::DNS_CLIENT,
    &system::TIME_SERVICE,
    &beside::WINLOGON,
    &beside::PROFILES,
    &beside::DWM,
    &beside::DWM_INIT,
    &beside::CRASHES,
    &beside::REPORTS,
    &beside::DISPLAY,
    &beside::TCPIP,
    &beside::FIREWALL,
    &beside::GROUP_POLICY,
    &beside::WINDOWS_UPDATE,
    &beside::CAPI2,
    &beside::AAD,
    &beside::MEMORY,
];

/// A record with its row.
struct Seen<'r> {
    record: &'r Event<'r>,
    log: &'static Log,
    event: &'static EventMap,
}

/// Is there a row for this event? Says nothing of the record's content.
#[must_use]
pub fn wanted(provider: &str, channel: &str, id: u32) -> bool {
    find(provider, channel, id).is_some()
}

/// A row for an event: who has it need not look for it again.
#[derive(Clone, Copy)]
pub struct Row {
    log: &'static Log,
    event: &'static EventMap,
}

/// The row for this event. Says nothing of the record's content.
#[must_use]
pub fn row(provider: &str, channel: &str, id: u32) -> Option<Row> {
    find(provider, channel, id).map(|(log, event)| Row { log, event })
}

/// What a record says, or `None` for one that says nothing of Remote Desktop.
#[must_use]
pub fn facts(record: &Record, input_index: u32) -> Option<Fact> {
    fact(row(&record.provider, &record.channel, record.id)?, &record.event(), input_index)
}

/// What an event says by its row, or `None` for one that says nothing of Remote Desktop.
#[must_use]
pub fn fact(row: Row, event: &Event<'_>, input_index: u32) -> Option<Fact> {
    let seen = Seen { record: event, log: row.log, event: row.event };
    let what = (row.event.read)(&seen)?;
    let mut keys = Keys { host: value::lower(event.computer.trim()), ..Keys::default() };
    (row.log.keys)(&seen, &mut keys);
    Some(Fact {
        at: event.at,
        place: event.place(input_index),
        subject: Subject::Record(Arc::new(keys)),
        reading: Reading::Clear,
        what,
    })
}

/// One event id that is read, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Described {
    /// Short name of the log.
    pub log: &'static str,
    /// `Provider/@Name`, the current one first.
    pub providers: &'static [&'static str],
    /// Beginnings of the channel names.
    pub channels: &'static [&'static str],
    /// Event id.
    pub id: u32,
    /// What the event says, in our words.
    pub says: &'static str,
}

/// Every event id that is read.
pub fn described() -> impl Iterator<Item = Described> {
    LOGS.iter().flat_map(|log| {
        let of = |event: &EventMap| Described {
            log: log.name,
            providers: log.providers,
            channels: log.channels,
            id: event.id,
            says: event.says,
        };
        log.events.iter().map(of)
    })
}

/// Beginnings of the names of the channels that are read.
pub fn channels() -> impl Iterator<Item = &'static str> {
    LOGS.iter().flat_map(|log| log.channels.iter().copied())
}

fn find(provider: &str, channel: &str, id: u32) -> Option<(&'static Log, &'static EventMap)> {
    let starts =
        |start: &&str| channel.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start));
    let log = LOGS.iter().find(|log| {
        log.providers.iter().any(|name| name.eq_ignore_ascii_case(provider))
            && log.channels.iter().any(starts)
    })?;
    let index = log.events.binary_search_by_key(&id, |event| event.id).ok()?;
    log.events.get(index).map(|event| (*log, event))
}

impl Seen<'_> {
    /// The text of a field; an empty one and `-` are absent.
    fn text(&self, name: &'static str) -> Option<String> {
        self.peek(name).map(value::trimmed)
    }

    /// The same, to look at; what is to be trimmed is not.
    fn peek(&self, name: &'static str) -> Option<Cow<'_, str>> {
        self.record.field(name).filter(|text| !value::bare(text).is_empty())
    }

    /// The first of these fields that is there.
    fn any(&self, names: &[&'static str]) -> Option<String> {
        names.iter().find_map(|name| self.text(name))
    }

    /// The same, to look at.
    fn peek_any(&self, names: &[&'static str]) -> Option<Cow<'_, str>> {
        names.iter().find_map(|name| self.peek(name))
    }

    /// A number of 32 bits; a negative one as its two's complement.
    fn number(&self, name: &'static str) -> Option<u32> {
        match self.record.fields.value(name)? {
            Value::Text(text) => value::number(&text),
            Value::Unsigned(number) => u32::try_from(number).ok(),
            Value::Signed(number) if number < 0 => i32::try_from(number).ok().map(i32::cast_unsigned),
            Value::Signed(number) => u32::try_from(number).ok(),
        }
    }

    fn long(&self, name: &'static str) -> Option<u64> {
        match self.record.fields.value(name)? {
            Value::Text(text) => value::long(&text),
            Value::Unsigned(number) => Some(number),
            Value::Signed(number) => u64::try_from(number).ok(),
        }
    }

    fn status(&self, name: &'static str) -> Option<Status> {
        self.number(name).map(Status)
    }
}

/// Keys of the channels whose activity id names one connection.
fn activity_key(seen: &Seen<'_>, keys: &mut Keys) {
    let activity = seen.record.activity.map(|activity| activity.text());
    keys.activity = activity.filter(|id| !value::is_common_activity(id));
}

#[cfg(test)]
mod tests;
