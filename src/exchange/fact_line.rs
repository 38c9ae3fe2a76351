//! The line of a fact, written from where it stands: by far most lines of a file are of this kind.
//!
//! Names are known beforehand and need no escapes; of values, those that do are written by `serde_json`.

use std::net::IpAddr;

use crate::fact::{Fact, Field as _, Keys};
use crate::note::Spot;

/// Bytes that nearly every line has room in.
const LINE_BYTES: usize = 1_024;
/// Bytes that are made room for at a time.
const ROOM_BYTES: usize = 8 * 1_024;

/// Writes one fact, as `FactLine` has it. `connection` is that of a captured one: its source, and its number there. `text`
/// is used for each value in turn.
pub(super) fn write(out: &mut Vec<u8>, text: &mut String, fact: &Fact, connection: Option<(u32, u32)>) {
    if out.capacity().saturating_sub(out.len()) < LINE_BYTES {
        out.reserve(ROOM_BYTES);
    }
    let Fact { at, place, subject, reading, what } = fact;
    out.extend_from_slice(br#"{"line":"fact","fact":"#);
    string(out, what.name());
    if let Some(step) = what.step() {
        out.extend_from_slice(br#","step":"#);
        string(out, step.name());
    }
    out.extend_from_slice(br#","time":""#);
    out.extend_from_slice(&at.digits());
    out.extend_from_slice(br#"","at_ns":"#);
    number(out, at.0);
    out.extend_from_slice(br#","input":"#);
    number(out, place.input_index);
    match place.spot {
        Spot::Whole => {}
        Spot::Frame(count) => named(out, br#","frame":"#, count),
        Spot::Record(id) => named(out, br#","record":"#, id),
        Spot::Byte(offset) => named(out, br#","byte":"#, offset),
    }
    out.extend_from_slice(br#","reading":"#);
    string(out, reading.name());
    if let Some((source, count)) = connection {
        named(out, br#","source":"#, source);
        named(out, br#","connection":"#, count);
    }
    if let Some(keys) = subject.keys() {
        about(out, text, keys);
    }
    out.extend_from_slice(br#","fields":{"#);
    let mut is_first = true;
    let Ok(()) = what.each_field::<std::convert::Infallible>(text, |name, value| {
        if !is_first {
            out.push(b',');
        }
        is_first = false;
        out.push(b'"');
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(br#"":"#);
        string(out, value);
        Ok(())
    });
    out.extend_from_slice(b"}}\n");
}

/// The keys that are there, as `AboutLine` has them.
fn about(out: &mut Vec<u8>, text: &mut String, keys: &Keys) {
    let Keys { host, activity, session_id, logon_id, user, domain, address, port, workstation } = keys;
    let given = |out: &mut Vec<u8>, name: &[u8], value: &Option<String>| {
        if let Some(value) = value {
            out.extend_from_slice(name);
            string(out, value);
        }
    };
    out.extend_from_slice(br#","about":{"host":"#);
    string(out, host);
    given(out, br#","activity":"#, activity);
    if let Some(id) = session_id {
        named(out, br#","session_id":"#, *id);
    }
    if let Some(id) = logon_id {
        named(out, br#","logon_id":"#, *id);
    }
    given(out, br#","user":"#, user);
    given(out, br#","domain":"#, domain);
    if let Some(address) = address {
        out.extend_from_slice(br#","address":"#);
        text.clear();
        IpAddr::write_text(address, text);
        string(out, text);
    }
    if let Some(port) = port {
        named(out, br#","port":"#, *port);
    }
    given(out, br#","workstation":"#, workstation);
    out.push(b'}');
}

fn named(out: &mut Vec<u8>, name: &[u8], value: impl itoa::Integer) {
    out.extend_from_slice(name);
    number(out, value);
}

fn number(out: &mut Vec<u8>, value: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

fn string(out: &mut Vec<u8>, text: &str) {
    if is_plain(text.as_bytes()) {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        // Nothing fails when a text is written to memory.
        let _ = serde_json::to_writer(out, text);
    }
}

/// JSON has the text as it is: no quote, no backslash and no control character, eight bytes at a time.
fn is_plain(text: &[u8]) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const UPPER: u64 = 0x8080_8080_8080_8080;
    const fn has_below(word: u64, limit: u8) -> u64 {
        word.wrapping_sub(ONES * byte(limit)) & !word & UPPER
    }
    const fn byte(of: u8) -> u64 {
        u64::from_le_bytes([of, 0, 0, 0, 0, 0, 0, 0])
    }
    let (words, rest) = text.as_chunks::<8>();
    let special = words.iter().fold(0, |special, word| {
        let word = u64::from_le_bytes(*word);
        let (quotes, backslashes) = (word ^ (ONES * byte(b'"')), word ^ (ONES * byte(b'\\')));
        special | has_below(word, 0x20) | has_below(quotes, 1) | has_below(backslashes, 1)
    });
    special == 0 && rest.iter().all(|byte| *byte >= 0x20 && !matches!(byte, b'"' | b'\\'))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde::ser::{Serialize, SerializeMap as _, Serializer};

    use super::*;
    use crate::fact::{Reading, Subject, What};
    use crate::note::Place;
    use crate::time::UnixNanos;

    #[test]
    fn text_that_json_has_as_it_is_is_known() {
        for at in 0..20 {
            for byte in 0..=u8::MAX {
                let mut text = b"abcdefghijklmnopqrst".to_vec();
                text[at] = byte;
                let plain = byte >= 0x20 && byte != b'"' && byte != b'\\';
                assert_eq!((is_plain(&text), is_plain(&text[..at])), (plain, true), "{byte} at {at}");
            }
        }
    }

    /// As `serde_json` writes it.
    struct Reference<'f>(&'f Fact);

    impl Serialize for Reference<'_> {
        fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
            let Fact { at, place, subject, reading, what } = self.0;
            let mut line = to.serialize_map(None)?;
            line.serialize_entry("line", "fact")?;
            line.serialize_entry("fact", what.name())?;
            if let Some(step) = what.step() {
                line.serialize_entry("step", step.name())?;
            }
            line.serialize_entry("time", &at.to_string())?;
            line.serialize_entry("at_ns", &at.0)?;
            line.serialize_entry("input", &place.input_index)?;
            if let Spot::Record(id) = place.spot {
                line.serialize_entry("record", &id)?;
            }
            line.serialize_entry("reading", reading.name())?;
            line.serialize_entry("about", &About(subject.keys().unwrap()))?;
            let mut fields = serde_json::Map::new();
            what.each_field(&mut String::new(), |name, text| {
                fields.insert(name.to_owned(), text.into());
                Ok::<(), S::Error>(())
            })?;
            line.serialize_entry("fields", &fields)?;
            line.end()
        }
    }

    struct About<'f>(&'f Keys);

    impl Serialize for About<'_> {
        fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
            let Keys { host, activity, session_id, logon_id, user, domain, address, port, workstation } =
                self.0;
            let mut about = to.serialize_map(None)?;
            about.serialize_entry("host", host)?;
            activity.as_ref().map_or(Ok(()), |value| about.serialize_entry("activity", value))?;
            session_id.as_ref().map_or(Ok(()), |value| about.serialize_entry("session_id", value))?;
            logon_id.as_ref().map_or(Ok(()), |value| about.serialize_entry("logon_id", value))?;
            user.as_ref().map_or(Ok(()), |value| about.serialize_entry("user", value))?;
            domain.as_ref().map_or(Ok(()), |value| about.serialize_entry("domain", value))?;
            address.as_ref().map_or(Ok(()), |value| about.serialize_entry("address", value))?;
            port.as_ref().map_or(Ok(()), |value| about.serialize_entry("port", value))?;
            workstation.as_ref().map_or(Ok(()), |value| about.serialize_entry("workstation", value))?;
            about.end()
        }
    }

    #[test]
    fn a_line_is_what_the_package_for_json_writes() {
        let strange =
            ["", "plain", "a \"b\" \\ c", "\u{1}\t\n\u{7f}", "é😀\u{2028}", "0123456789abcdef\u{1f}"];
        let addresses = [None, "198.51.100.7".parse().ok(), "2001:db8::7".parse().ok()];
        let numbers = [0, 1, 9, 10, 4_294_967_295];
        for (index, text) in strange.iter().enumerate() {
            let some = (index % 2 == 0).then(|| (*text).to_owned());
            for (address, number) in addresses.iter().flat_map(|a| numbers.map(|number| (*a, number))) {
                let keys = Keys {
                    host: (*text).to_owned(),
                    activity: some.clone(),
                    session_id: some.as_ref().map(|_| number),
                    logon_id: Some(u64::MAX - u64::from(number)),
                    user: Some((*text).to_owned()),
                    domain: some.clone(),
                    address,
                    port: u16::try_from(number).ok(),
                    workstation: some.clone(),
                };
                let says = What::LogSays {
                    log: (*text).to_owned(),
                    event: number,
                    says: (*text).to_owned(),
                    status: Some(crate::codes::Status(number)),
                    detail: some.clone(),
                };
                for what in
                    [says, What::AccountLockedOut {}, What::LoggedOff { by_user: true, logon_type: None }]
                {
                    let fact = Fact {
                        at: UnixNanos(i64::from(number) * 1_000_000_007 - 5),
                        place: Place { input_index: number, spot: Spot::Record(u64::from(number) << 20) },
                        subject: Subject::Record(Arc::new(keys.clone())),
                        reading: Reading::Clear,
                        what,
                    };
                    let (mut line, mut scratch) = (Vec::new(), String::new());
                    write(&mut line, &mut scratch, &fact, None);
                    let expected = serde_json::to_string(&Reference(&fact)).unwrap() + "\n";
                    assert_eq!(String::from_utf8(line).unwrap(), expected);
                }
            }
        }
    }
}
