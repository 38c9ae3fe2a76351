//! The XML of one event: its `System` element, and the fields of `EventData` or `UserData`.

use super::xml::{self, Piece, Pieces};
use crate::read::Record;
use crate::time::UnixNanos;

/// Elements in elements that are read.
const DEPTH_MAX: usize = 12;
/// Fields of one event.
pub(super) const FIELDS_MAX: usize = 256;
/// Bytes of one value.
pub(super) const VALUE_BYTES_MAX: usize = 4_096;

/// Reads `System`; the fields are left empty. Gives back with it what stands behind `System`, and in how many elements
/// that is.
///
/// # Errors
/// Says what is missing or makes no sense of what a record cannot do without.
pub(super) fn head(text: &str) -> Result<(Record, Rest<'_>), &'static str> {
    let mut record = Record::default();
    let (mut id, mut record_id, mut at) = (None, None, None);
    let mut path: Vec<&str> = Vec::new();
    let mut pieces = Pieces::of(text);
    for piece in pieces.by_ref() {
        match piece {
            Piece::Close if path.pop() == Some("System") => break,
            Piece::Close => {}
            Piece::Open { name, attributes } => {
                path.push(name);
                match path.as_slice() {
                    ["Event", "System", "Provider"] => record.provider = provider(attributes),
                    ["Event", "System", "EventID"] => {
                        record.qualifiers = number(xml::attribute(attributes, "Qualifiers").as_deref());
                    }
                    ["Event", "System", "TimeCreated"] => {
                        at = xml::attribute(attributes, "SystemTime").as_deref().and_then(UnixNanos::parse);
                    }
                    ["Event", "System", "Correlation"] => {
                        record.activity = xml::attribute(attributes, "ActivityID").as_deref().and_then(guid);
                    }
                    _ => {}
                }
            }
            Piece::Text(text) => match path.as_slice() {
                ["Event", "System", "EventID"] => id = number(Some(text)),
                ["Event", "System", "Version"] => record.version = number(Some(text)).unwrap_or(0),
                ["Event", "System", "EventRecordID"] => record_id = number(Some(text)),
                ["Event", "System", "Channel"] => record.channel = xml::plain(text).trim().to_owned(),
                ["Event", "System", "Computer"] => record.computer = xml::plain(text).trim().to_owned(),
                _ => {}
            },
            Piece::Plain(_) => {}
        }
    }
    record.id = id.ok_or("the event has no id")?;
    record.record_id = record_id.ok_or("the event has no record id")?;
    record.at = at.ok_or("the event has no time")?;
    Ok((record, Rest { pieces, outside: path.len() }))
}

/// What stands behind `System`.
pub(super) struct Rest<'a> {
    pieces: Pieces<'a>,
    /// Elements that are open.
    outside: usize,
}

/// `@Name`, by which logs are queried; `@EventSourceName` where there is no name.
fn provider(attributes: &str) -> String {
    let attribute = |name| xml::attribute(attributes, name).filter(|value| !value.trim().is_empty());
    let name = attribute("Name").or_else(|| attribute("EventSourceName"));
    name.map(|name| name.trim().to_owned()).unwrap_or_default()
}

/// Decimal, or hexadecimal with `0x`.
fn number<T: TryFrom<u64>>(text: Option<&str>) -> Option<T> {
    let text = text?.trim();
    let number = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok()?,
        None => text.parse().ok()?,
    };
    T::try_from(number).ok()
}

/// Upper case, without braces; the nil GUID is absent.
fn guid(text: &str) -> Option<String> {
    let bare = text.trim().trim_start_matches('{').trim_end_matches('}');
    let given = bare.chars().any(|c| c != '0' && c != '-');
    given.then(|| bare.to_ascii_uppercase())
}

/// The fields of `EventData` and `UserData` in order, and whether some were left out. `room` is what may still be kept.
pub(super) fn fields(rest: Rest<'_>, room: &mut usize) -> (Vec<(String, String)>, bool) {
    let mut reader = Fields { fields: Vec::new(), open: Vec::new(), unnamed: 0, room, cut: false };
    let Rest { pieces, mut outside } = rest;
    let mut payload = None;
    for piece in pieces {
        match (payload, piece) {
            (None, Piece::Open { name: name @ ("EventData" | "UserData"), .. }) if outside == 1 => {
                payload = Some(name);
            }
            (None, Piece::Open { .. }) => outside += 1,
            (None, Piece::Close) => outside = outside.saturating_sub(1),
            (None, _) => {}
            (Some(_), Piece::Close) if reader.open.is_empty() => payload = None,
            (Some(root), piece) => reader.take(piece, root == "UserData"),
        }
    }
    (reader.fields, reader.cut)
}

/// An open element of the payload.
struct Open {
    name: String,
    text: String,
    /// It holds elements or attributes: it is no value itself.
    holds: bool,
}

struct Fields<'r> {
    fields: Vec<(String, String)>,
    open: Vec<Open>,
    unnamed: u32,
    room: &'r mut usize,
    cut: bool,
}

impl Fields<'_> {
    fn take(&mut self, piece: Piece<'_>, user_data: bool) {
        match piece {
            Piece::Open { name, attributes } => self.open(name, attributes, user_data),
            Piece::Text(text) => self.text(&xml::plain(text)),
            Piece::Plain(text) => self.text(text),
            Piece::Close => {
                let Some(closed) = self.open.pop() else { return };
                if !closed.holds {
                    self.keep(closed.name, closed.text);
                }
            }
        }
    }

    /// Names are paths: `Param1`, `Certificate/@fileRef`. The element right below `UserData` is no part of them.
    fn open(&mut self, tag: &str, attributes: &str, user_data: bool) {
        let container = user_data && self.open.is_empty();
        let data_name =
            (tag == "Data" && !user_data).then(|| xml::attribute(attributes, "Name").unwrap_or_default());
        let own = match data_name {
            Some(name) if !name.trim().is_empty() => name.trim().to_owned(),
            Some(_) => {
                self.unnamed += 1;
                (self.unnamed - 1).to_string()
            }
            None => tag.to_owned(),
        };
        let above = self.open.last().map(|open| open.name.as_str()).filter(|name| !name.is_empty());
        let below_container = user_data && self.open.len() == 1;
        let name = match above {
            Some(above) if !below_container => format!("{above}/{own}"),
            _ => own,
        };
        if let Some(open) = self.open.last_mut() {
            open.holds = true;
        }
        let mut holds = container;
        if !container && tag != "Data" {
            for (key, value) in xml::attributes(attributes).filter(|(key, _)| !key.starts_with("xmlns")) {
                holds = true;
                self.keep(format!("{name}/@{key}"), value.into_owned());
            }
        }
        let name = if self.open.len() < DEPTH_MAX { name } else { String::new() };
        self.open.push(Open { name, text: String::new(), holds });
    }

    fn text(&mut self, text: &str) {
        let Some(open) = self.open.last_mut() else { return };
        let left = VALUE_BYTES_MAX.saturating_sub(open.text.len());
        let end = (0..=left.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        open.text.push_str(text.get(..end).unwrap_or_default());
        open.holds &= text.trim().is_empty();
        self.cut |= end < text.len();
    }

    fn keep(&mut self, name: String, mut value: String) {
        let bytes = name.len() + value.len() + size_of::<(String, String)>();
        if name.is_empty() || self.fields.len() >= FIELDS_MAX || bytes > *self.room {
            self.cut = true;
            return;
        }
        *self.room -= bytes;
        value.shrink_to_fit();
        self.fields.push((name, value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields_of(payload: &str) -> String {
        let text = format!(
            "<Event><System><Data>no</Data></System>{payload}<RenderingInfo><Data>no</Data></RenderingInfo></Event>"
        );
        let (fields, cut) = fields(Rest { pieces: Pieces::of(&text), outside: 0 }, &mut 65_536);
        let list: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
        format!("{}{}", list.join(" | "), if cut { " CUT" } else { "" })
    }

    #[test]
    fn the_system_element_is_read_in_every_shape_that_windows_writes() {
        let text = r#"<?xml version="1.0"?><Event xmlns="x"><System>
            <Provider Name="Microsoft-Windows-X" Guid="{1}" EventSourceName="X"/><EventID Qualifiers="49152">1056</EventID>
            <Version>2</Version><TimeCreated SystemTime="2021-12-16T10:25:32.351835800Z"/><EventRecordID>201</EventRecordID>
            <Correlation ActivityID="{f420dd64-c87e-4e2d-a02e-7d0935770000}"/><Channel>System</Channel>
            <Computer>a&amp;b</Computer></System><EventData/></Event>"#;
        let (record, _) = head(text).unwrap();
        assert_eq!(record.provider, "Microsoft-Windows-X");
        assert_eq!(
            (record.id, record.qualifiers, record.version, record.record_id),
            (1056, Some(49152), 2, 201)
        );
        assert_eq!(record.at, UnixNanos(1_639_650_332_351_835_800));
        assert_eq!(record.activity.as_deref(), Some("F420DD64-C87E-4E2D-A02E-7D0935770000"));
        assert_eq!((record.channel.as_str(), record.computer.as_str()), ("System", "a&b"));
    }

    #[test]
    fn a_classic_event_has_its_source_for_a_name_and_a_nil_activity_is_none() {
        let text = "<Event><System><Provider EventSourceName='TermDD'/><EventID> 56 </EventID><TimeCreated \
                    SystemTime='2018-07-06T18:45:47'/><EventRecordID>9</EventRecordID><Correlation \
                    ActivityID='{00000000-0000-0000-0000-000000000000}'/></System></Event>";
        let (record, _) = head(text).unwrap();
        assert_eq!((record.provider.as_str(), record.id, record.activity), ("TermDD", 56, None));
    }

    #[test]
    fn what_a_record_cannot_do_without_is_named() {
        let head = |text| head(text).map(|_| ());
        assert_eq!(head("<Event><System><EventID>x</EventID></System></Event>"), Err("the event has no id"));
        assert_eq!(head(""), Err("the event has no id"));
        let text = "<Event><System><EventID>1</EventID><EventRecordID>1</EventRecordID></System></Event>";
        assert_eq!(head(text), Err("the event has no time"));
    }

    #[test]
    fn named_and_unnamed_data_keep_their_order() {
        let named =
            "<EventData><Data Name='A'>1 &lt; 2</Data><Data Name='B'></Data><Data Name='C'/></EventData>";
        assert_eq!(fields_of(named), "A=1 < 2 | B= | C=");
        let unnamed = "<EventData><Data>a</Data><Data/><Data>c</Data><Binary>00FF</Binary></EventData>";
        assert_eq!(fields_of(unnamed), "0=a | 1= | 2=c | Binary=00FF");
    }

    #[test]
    fn user_data_is_flattened_whatever_its_element_is_called() {
        let flat = "<UserData><EventXML xmlns='Event_NS'><Param1>u</Param1><Param2/></EventXML></UserData>";
        assert_eq!(fields_of(flat), "Param1=u | Param2=");
        let nested = "<UserData><Chain><Certificate fileRef='x.cer'/><Result value='80096004'>bad</Result>\
                      <Outer><Inner>1</Inner></Outer></Chain></UserData>";
        assert_eq!(
            fields_of(nested),
            "Certificate/@fileRef=x.cer | Result/@value=80096004 | Result=bad | Outer/Inner=1"
        );
    }

    #[test]
    fn limits_cut_and_say_so() {
        let long = format!("<EventData><Data Name='A'>{}</Data></EventData>", "é".repeat(5_000));
        assert!(fields_of(&long).ends_with("é CUT"));
        let many = format!("<EventData>{}</EventData>", "<Data>x</Data>".repeat(300));
        assert!(fields_of(&many).ends_with("255=x CUT"));
        let deep = format!("<UserData><X>{}1{}</X></UserData>", "<Y>".repeat(40), "</Y>".repeat(40));
        assert!(fields_of(&deep).ends_with("CUT"));
        let text = "<Event><EventData><Data>abc</Data></EventData></Event>";
        assert_eq!(fields(Rest { pieces: Pieces::of(text), outside: 0 }, &mut 3), (vec![], true));
    }
}
