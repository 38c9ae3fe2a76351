//! The templates of a record: the outer `System` one, and one for each shape of payload.

use super::binxml::{Element, Node, Template};
use super::record::{Payload, Record};
use super::value::{Guid, Value, fingerprint};

const EVENT_NAMESPACE: &str = "http://schemas.microsoft.com/win/2004/08/events/event";
/// Second namespace that the service declares on the element below `UserData`.
const USER_DATA_NAMESPACE: &str = "http://schemas.microsoft.com/win/2004/08/events";
/// Type byte of a value that is itself binary XML.
pub(super) const TYPE_BINXML: u8 = 0x21;
const TYPE_BINARY: u8 = 0x0e;
const TYPE_STRING_ARRAY: u8 = 0x81;

/// The outer template's values but for the payload, in the order the service uses.
pub(super) fn system_values(record: &Record, record_id: u64) -> [Value; 17] {
    let guid = |guid: Option<Guid>| guid.map_or(Value::Null, Value::Guid);
    [
        Value::U8(record.level),
        Value::U8(record.opcode),
        Value::U16(record.task),
        Value::U16(record.event_id),
        record.qualifiers.map_or(Value::Null, Value::U16),
        Value::Hex64(record.keywords),
        Value::FileTime(record.time_ns),
        guid(record.activity_id),
        Value::U32(record.process_id),
        Value::U32(record.thread_id),
        Value::U64(record_id),
        Value::U8(record.version),
        record.user.clone().map_or(Value::Null, Value::Sid),
        guid(record.related_activity_id),
        Value::Str(record.provider.name.clone()),
        guid(record.provider.guid),
        Value::Str(record.channel.clone()),
    ]
}

/// Names the outer template of a record: computer and old source name are literal text in it, and without a payload the
/// event depends on nothing.
pub(super) fn system_guid(record: &Record) -> Guid {
    let source = record.provider.event_source.as_deref().unwrap_or_default();
    let payload = record.payload != Payload::None;
    Guid::from_text(&format!("system\0{}\0{source}\0{payload}", record.computer))
}

/// The outer template: `Event/System`, then the payload as value 17.
pub(super) fn system(record: &Record) -> Template {
    let hole = |index, kind| Node::Hole { index, kind, optional: true };
    let leaf =
        |name: &'static str, index, kind| Element::new(name).child(hole(index, kind)).depends_on(index);
    let mut provider =
        Element::new("Provider").attribute("Name", hole(14, 0x01)).attribute("Guid", hole(15, 0x0f));
    if let Some(source) = &record.provider.event_source {
        provider = provider.attribute("EventSourceName", Node::Text(source.clone()));
    }
    let correlation = Element::new("Correlation")
        .attribute("ActivityID", hole(7, 0x0f))
        .attribute("RelatedActivityID", hole(13, 0x0f));
    let execution =
        Element::new("Execution").attribute("ProcessID", hole(8, 0x08)).attribute("ThreadID", hole(9, 0x08));
    let parts = [
        provider,
        leaf("EventID", 3, 0x06).attribute("Qualifiers", hole(4, 0x06)),
        leaf("Version", 11, 0x04),
        leaf("Level", 0, 0x04),
        leaf("Task", 2, 0x06),
        leaf("Opcode", 1, 0x04),
        leaf("Keywords", 5, 0x15),
        Element::new("TimeCreated").attribute("SystemTime", hole(6, 0x11)),
        leaf("EventRecordID", 10, 0x0a),
        correlation,
        execution,
        leaf("Channel", 16, 0x01),
        Element::new("Computer").child(Node::Text(record.computer.clone())),
        Element::new("Security").attribute("UserID", hole(12, 0x13)),
    ];
    let system =
        parts.into_iter().fold(Element::new("System"), |system, part| system.child(Node::Element(part)));
    let root = Element::new("Event")
        .attribute("xmlns", Node::Text(EVENT_NAMESPACE.to_owned()))
        .child(Node::Element(system))
        .child(hole(17, TYPE_BINXML));
    // An event without payload would vanish with its value 17.
    let root = if record.payload == Payload::None { root } else { root.depends_on(17) };
    Template { guid: system_guid(record), root }
}

/// Names a payload's template by its shape: element names and value types.
pub(super) fn payload_guid(payload: &Payload) -> Guid {
    let mut shape = Vec::new();
    let mut add = |text: &str, kind: u8| {
        shape.extend_from_slice(text.as_bytes());
        shape.extend_from_slice(&[0, kind]);
    };
    match payload {
        Payload::None => add("none", 0),
        Payload::Named(fields) => {
            add("named", 0);
            fields.iter().for_each(|(name, value)| add(name, value.declared_type()));
        }
        Payload::Unnamed(values) => {
            add("unnamed", 0);
            values.iter().for_each(|value| add("", value.declared_type()));
        }
        Payload::Classic { .. } => add("classic", 0),
        Payload::UserData { element, namespace, children } => {
            add("user", 0);
            add(element, 1);
            add(namespace, 2);
            children.iter().for_each(|(name, value)| add(name, value.declared_type()));
        }
    }
    Guid::from_u128(fingerprint(&shape))
}

/// The template of a payload.
pub(super) fn payload(payload: &Payload) -> Template {
    let root = match payload {
        Payload::None => Element::new("EventData"),
        Payload::Named(fields) => {
            fields.iter().enumerate().fold(Element::new("EventData"), |root, (index, field)| {
                let data = Element::new("Data").attribute("Name", Node::Text(field.0.clone()));
                root.child(Node::Element(data.child(plain_hole(index, &field.1))))
            })
        }
        Payload::Unnamed(values) => {
            values.iter().enumerate().fold(Element::new("EventData"), |root, (index, value)| {
                root.child(Node::Element(Element::new("Data").child(plain_hole(index, value))))
            })
        }
        Payload::Classic { .. } => classic(),
        Payload::UserData { element, namespace, children } => {
            let inner = Element::new(element.clone())
                .attribute("xmlns:auto-ns2", Node::Text(USER_DATA_NAMESPACE.to_owned()))
                .attribute("xmlns", Node::Text(namespace.clone()));
            let inner = children.iter().enumerate().fold(inner, |inner, (index, (name, value))| {
                inner.child(Node::Element(Element::new(name.clone()).child(plain_hole(index, value))))
            });
            Element::new("UserData").child(Node::Element(inner))
        }
    };
    Template { guid: payload_guid(payload), root }
}

/// The values that fill a payload's template.
pub(super) fn payload_values(payload: &Payload) -> Vec<Value> {
    match payload {
        Payload::None => Vec::new(),
        Payload::Named(fields) | Payload::UserData { children: fields, .. } => {
            fields.iter().map(|(_, value)| value.clone()).collect()
        }
        Payload::Unnamed(values) => values.clone(),
        Payload::Classic { data, binary } => {
            let strings = if data.is_empty() { Value::Null } else { Value::Strings(data.clone()) };
            vec![strings, binary.clone().map_or(Value::Null, Value::Binary)]
        }
    }
}

fn plain_hole(index: usize, value: &Value) -> Node {
    Node::Hole { index: index as u16, kind: value.declared_type(), optional: false }
}

/// One template serves all classic events: the strings repeat `Data`, and `Binary` is there only with bytes.
fn classic() -> Element {
    let data = Element::new("Data").child(Node::Hole { index: 0, kind: TYPE_STRING_ARRAY, optional: false });
    let binary = Element::new("Binary")
        .child(Node::Hole { index: 1, kind: TYPE_BINARY, optional: true })
        .depends_on(1);
    Element::new("EventData").child(Node::Element(data)).child(Node::Element(binary))
}
