//! The `event` verb: any event, field by field.

use super::cast::HostId;
use super::provider::{self, Provider};
use super::stage::Stage;
use super::text::{Line, ScenarioError, instant, number};
use crate::evtx::{Guid, Payload, Record, Sid, Value};

pub(super) const NAME: &str = "event";

/// Keys that describe the record; every other key is a field of its payload.
const HEADER_KEYS: [&str; 15] = [
    "provider",
    "guid",
    "source",
    "qualifiers",
    "channel",
    "id",
    "version",
    "level",
    "task",
    "opcode",
    "keywords",
    "activity",
    "record-id",
    "payload",
    "binary",
];

/// `event provider=... id=... Field=value`.
pub(super) fn event(stage: &mut Stage, host: HostId, line: &Line) -> Result<(), ScenarioError> {
    let name = line.get("provider").ok_or_else(|| line.error("`provider=` is missing, expected its name"))?;
    let known = provider::ALL.iter().find(|known| known.short == name).or_else(|| {
        provider::ALL.iter().find(|known| {
            known.name == name && line.get("channel").is_none_or(|channel| channel == known.channel)
        })
    });
    let event_id = line.number("id")?;
    let event_id = u16::try_from(event_id)
        .map_err(|_| line.error(format!("id is {event_id}, expected a number below 65536")))?;
    let fields = fields(line)?;
    let mut record = begin(line, name, known.copied(), event_id, &fields)?;
    set_header(line, &mut record)?;
    set_payload(line, &mut record, fields)?;
    if line.get("activity") == Some("connection") {
        let id = stage.connection(host, &Line { pairs: Vec::new(), ..line.clone() })?;
        record.activity_id = Some(stage.connections[id].activity);
    }
    stage.put(host, 0, record);
    Ok(())
}

fn begin(
    line: &Line,
    name: &str,
    known: Option<&Provider>,
    event_id: u16,
    fields: &[(String, Value)],
) -> Result<Record, ScenarioError> {
    if let Some(known) = known {
        let fields: Vec<(&str, Value)> =
            fields.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
        return Ok(known.event(event_id, &fields));
    }
    let unknown = || line.error(format!("provider `{name}` is not known here, expected `channel=` with it"));
    let channel = line.get("channel").ok_or_else(unknown)?;
    let mut record = Record::new(name, channel, event_id, 0);
    record.payload = Payload::Named(fields.to_vec());
    Ok(record)
}

fn set_header(line: &Line, record: &mut Record) -> Result<(), ScenarioError> {
    let bad =
        |key: &str, text: &str, expected: &str| line.error(format!("{key} is `{text}`, expected {expected}"));
    if let Some(channel) = line.get("channel") {
        record.channel = channel.to_owned();
    }
    if let Some(text) = line.get("guid") {
        record.provider.guid = Some(Guid::parse(text).ok_or_else(|| bad("guid", text, "a GUID"))?);
    }
    if let Some(source) = line.get("source") {
        record.provider.event_source = Some(source.to_owned());
    }
    if let Some(text) = line.get("keywords") {
        let digits =
            text.strip_prefix("0x").ok_or_else(|| bad("keywords", text, "0x and hexadecimal digits"))?;
        record.keywords = u64::from_str_radix(digits, 16)
            .map_err(|_| bad("keywords", text, "0x and hexadecimal digits"))?;
    }
    match line.get("activity") {
        None | Some("connection") => {}
        Some(text) => {
            let expected = "a GUID, or `connection` for that of the host's newest connection";
            record.activity_id = Some(Guid::parse(text).ok_or_else(|| bad("activity", text, expected))?);
        }
    }
    if line.get("record-id").is_some() {
        record.record_id = Some(line.number("record-id")?.into());
    }
    if line.get("qualifiers").is_some() {
        record.qualifiers = Some(line.number("qualifiers")? as u16);
    }
    record.version = line.number_or("version", record.version.into())? as u8;
    record.level = line.number_or("level", record.level.into())? as u8;
    record.task = line.number_or("task", record.task.into())? as u16;
    record.opcode = line.number_or("opcode", record.opcode.into())? as u8;
    Ok(())
}

/// `payload=` names another form than the provider's own.
fn set_payload(line: &Line, record: &mut Record, fields: Vec<(String, Value)>) -> Result<(), ScenarioError> {
    let binary = match line.get("binary") {
        None => None,
        Some(text) => Some(
            bytes(text)
                .ok_or_else(|| line.error(format!("binary is `{text}`, expected hexadecimal pairs")))?,
        ),
    };
    let values = |fields: Vec<(String, Value)>| fields.into_iter().map(|(_, value)| value);
    match line.get("payload") {
        None if binary.is_some() => record.payload = classic(values(fields), binary),
        None => {}
        Some("classic") => record.payload = classic(values(fields), binary),
        Some("named") => record.payload = Payload::Named(fields),
        Some("unnamed") => record.payload = Payload::Unnamed(values(fields).collect()),
        Some("none") => record.payload = Payload::None,
        Some(other) => {
            let bad = || {
                line.error(format!(
                    "payload is `{other}`, expected named, unnamed, classic, none or Element:namespace"
                ))
            };
            let (element, namespace) = other.split_once(':').ok_or_else(bad)?;
            let (element, namespace) = (element.to_owned(), namespace.to_owned());
            record.payload = Payload::UserData { element, namespace, children: fields };
        }
    }
    Ok(())
}

fn classic(values: impl Iterator<Item = Value>, binary: Option<Vec<u8>>) -> Payload {
    let text = |value| match value {
        Value::Str(text) => text,
        other => format!("{other:?}"),
    };
    Payload::Classic { data: values.map(text).collect(), binary }
}

/// Every pair that is not the header's: `Name=text`, or `Name:type=value`.
fn fields(line: &Line) -> Result<Vec<(String, Value)>, ScenarioError> {
    let is_field = |key: &str| !HEADER_KEYS.contains(&key);
    let pairs = line.pairs.iter().filter(|(key, _)| is_field(key));
    pairs
        .map(|(key, text)| {
            let (name, kind) = key.split_once(':').unwrap_or((key, "string"));
            let bad = || line.error(format!("{key} is `{text}`, expected {}", expected(kind)));
            Ok((name.to_owned(), typed(kind, text).ok_or_else(bad)?))
        })
        .collect()
}

fn typed(kind: &str, text: &str) -> Option<Value> {
    Some(match kind {
        "string" => text.into(),
        "u8" => Value::U8(u8::try_from(number(text)?).ok()?),
        "u16" => Value::U16(u16::try_from(number(text)?).ok()?),
        "u32" => Value::U32(number(text)?),
        "i32" => Value::I32(number(text)?.cast_signed()),
        "hex32" => Value::Hex32(number(text)?),
        "u64" => Value::U64(text.parse().ok()?),
        "hex64" => Value::Hex64(u64::from_str_radix(text.strip_prefix("0x")?, 16).ok()?),
        "bool" => Value::Bool(text.parse().ok()?),
        "guid" => Value::Guid(Guid::parse(text)?),
        "sid" => Value::Sid(Sid::parse(text)?),
        "filetime" => Value::FileTime(instant(text)?),
        "binary" => Value::Binary(bytes(text)?),
        "null" => Value::Null,
        _ => return None,
    })
}

fn expected(kind: &str) -> &'static str {
    match kind {
        "u8" | "u16" | "u32" | "i32" | "hex32" | "u64" => "a number that fits the type",
        "hex64" => "0x and hexadecimal digits",
        "bool" => "true or false",
        "guid" => "a GUID",
        "sid" => "a SID",
        "filetime" => "an RFC 3339 time",
        "binary" => "hexadecimal pairs",
        _ => {
            "a type: string, u8, u16, u32, u64, i32, hex32, hex64, bool, guid, sid, filetime, binary or null"
        }
    }
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}
