//! Targets of the text forms: facts are read back from what they write, and nothing hostile reaches a terminal.

use rdpwhy::fact::{Side, What};
use rdpwhy::report::safe;
use rdpwhy::wire::negotiation::Protocols;

/// A line read as a fact, and facts made of the bytes: both are read back from their text.
pub fn fact_text(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(what) = What::parse(&text) {
        returns(&what);
    }
    returns(&What::OtherProtocol { from: Side::Server, protocol: text.clone().into_owned() });
    let middle = text.char_indices().map(|(index, _)| index).find(|index| *index >= text.len() / 2);
    let (first, second) = text.split_at(middle.unwrap_or(0));
    let number = bytes.iter().fold(0_u32, |sum, byte| sum.rotate_left(8) ^ u32::from(*byte));
    returns(&What::ConnectionRequest {
        protocols: (number & 1 == 0).then_some(Protocols(number)),
        flags: number.to_le_bytes()[0],
        cookie: Some(first.to_owned()),
        token: (number & 2 == 0).then(|| second.to_owned()),
        correlation: None,
    });
}

/// Lines of a file of facts: a file that is taken can be judged.
pub fn exchange(bytes: &[u8]) {
    if let Ok(part) = rdpwhy::exchange::read(bytes) {
        let facts = part.facts.len();
        let analysis = rdpwhy::diagnose(vec![part]);
        // What is told of a host stands in each of its sessions, and in each once.
        let kept = analysis.story.sessions.iter().map(|session| session.facts.len()).max().unwrap_or(0);
        assert!(kept <= facts, "{kept} facts of {facts}");
    }
}

fn returns(what: &What) {
    let text = what.text();
    assert_eq!(text.lines().count(), 1, "{text:?} is more than one line");
    assert_eq!(What::parse(&text).as_ref(), Ok(what), "read back from {text:?}");
}

/// Text from evidence made printable.
pub fn printable(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let shown = safe::printable(&text);
    assert_harmless(&shown);
    if text.len() <= 100 && text.bytes().all(|b| (b' '..=b'~').contains(&b)) {
        assert_eq!(shown, text, "harmless text was changed");
    }
}

/// No character that steers a terminal or changes the direction of reading.
pub(crate) fn assert_harmless(shown: &str) {
    let steers = |c: char| {
        let direction = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}')
            || matches!(c, '\u{2066}'..='\u{2069}');
        let breaks = matches!(c, '\u{2028}' | '\u{2029}' | '\u{200b}' | '\u{feff}');
        c.is_control() || direction || breaks
    };
    assert!(!shown.chars().any(steers), "{shown:?} could steer a terminal");
}
