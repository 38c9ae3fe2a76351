//! Event logs that were saved as text: told apart from other text by their shape, in any language of Windows.

/// Bytes that are looked at.
const LOOKED_AT: usize = 4096;
/// Lines that are looked at.
const LINES: usize = 8;

/// What an event log was saved as; `None` for anything else.
pub(super) fn of(first: &[u8]) -> Option<&'static str> {
    let text = text(first.get(..LOOKED_AT).unwrap_or(first))?;
    if text.contains("schemas.microsoft.com/win/2004/08/events/event") {
        return Some("XML");
    }
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty()).take(LINES);
    let is_wevtutil = |line: &str| line.strip_prefix("Event[").is_some_and(|rest| rest.contains(']'));
    let head = lines.next()?;
    let powershell = ["ProviderName", "LogName", "RecordId"].iter().all(|name| head.contains(name));
    let rows: Vec<&str> = lines.collect();
    let viewer = |split: char| rows.iter().any(|row| is_row(row, split));
    match () {
        () if is_wevtutil(head) => Some("text"),
        () if powershell || head.starts_with("#TYPE System.Diagnostics.Eventing") || viewer(',') => {
            Some("CSV")
        }
        () if viewer('\t') => Some("text"),
        () => None,
    }
}

/// A row as Event Viewer writes it: level, date and time, source, event id, task.
fn is_row(row: &str, split: char) -> bool {
    let mut fields = row.split(split).map(|field| field.trim_matches('"'));
    let (level, time, source, id) = (fields.next(), fields.next(), fields.next(), fields.next());
    let is_time = |text: &str| {
        text.contains(':') && text.starts_with(|c: char| c.is_ascii_digit()) && text.contains(['/', '.', '-'])
    };
    let named = [level, source].iter().all(|text| text.is_some_and(|text| !text.is_empty()));
    let has_id = id.is_some_and(|id| id.parse::<u16>().is_ok());
    named && time.is_some_and(is_time) && has_id && fields.next().is_some()
}

/// UTF-8, or UTF-16 with its mark, as Windows writes both; `None` for bytes that are no text.
fn text(bytes: &[u8]) -> Option<String> {
    let text = match bytes {
        [0xff, 0xfe, rest @ ..] => {
            let (units, _) = rest.as_chunks::<2>();
            let units: Vec<u16> = units.iter().map(|unit| u16::from_le_bytes(*unit)).collect();
            String::from_utf16_lossy(&units)
        }
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest).into_owned(),
        _ => String::from_utf8_lossy(bytes).into_owned(),
    };
    (!text.contains('\0')).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_saved_as_text_are_told_in_any_language() {
        let viewer = "Ebene,Datum und Uhrzeit,Quelle,Ereignis-ID,Aufgabenkategorie\r\n\
                      Informationen,04.03.2025 09:00:01,Schannel,36874,Keine,\"Text\"\r\n";
        assert_eq!(of(viewer.as_bytes()), Some("CSV"));
        assert_eq!(of(viewer.replace(',', "\t").as_bytes()), Some("text"));
        let mut utf16 = vec![0xff, 0xfe];
        utf16.extend(viewer.encode_utf16().flat_map(u16::to_le_bytes));
        assert_eq!(of(&utf16), Some("CSV"));
        let xml = "\u{feff}<?xml version=\"1.0\"?><Events><Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'>";
        assert_eq!(of(xml.as_bytes()), Some("XML"));
        assert_eq!(of(b"\"Message\",\"Id\",\"RecordId\",\"ProviderName\",\"LogName\"\n"), Some("CSV"));
        assert_eq!(of(b"Event[0]\n  Log Name: System\n"), Some("text"));
    }

    #[test]
    fn other_text_is_none() {
        for text in
            ["", "hello, world", "a,b,c,d,e\n1,2,3,4,5\n", "time,2025-03-04 10:00:00,x,y,z\n", "<Event/>"]
        {
            assert_eq!(of(text.as_bytes()), None, "{text}");
        }
        assert_eq!(of(&[0, 1, 2, 3]), None);
    }
}
