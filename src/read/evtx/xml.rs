//! Walks the XML of one event: tags, attributes and text, in order, without a copy.

use std::borrow::Cow;

/// One piece of the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// A tag that opens an element; `<a/>` is followed by its own `Close`.
    Open {
        /// The name without prefix.
        name: &'a str,
        /// What stands after the name.
        attributes: &'a str,
    },
    /// The end of the innermost open element.
    Close,
    /// Text with references such as `&lt;`.
    Text(&'a str),
    /// Text of a CDATA section, as it is.
    Plain(&'a str),
}

/// Walks a document; ends where it makes no sense any more.
#[derive(Debug, Clone)]
pub(super) struct Pieces<'a> {
    rest: &'a str,
    /// The last tag was `<a/>`.
    closes: bool,
}

impl<'a> Pieces<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        Self { rest: text, closes: false }
    }

    fn take_until(&mut self, end: &str) -> Option<&'a str> {
        let (before, after) = self.rest.split_once(end)?;
        self.rest = after;
        Some(before)
    }

    /// The inside of a tag: up to the `>` that stands in no quotes.
    fn take_tag(&mut self) -> Option<&'a str> {
        let mut quote = None;
        for (at, byte) in self.rest.bytes().enumerate() {
            match (quote, byte) {
                (None, b'>') => {
                    let tag = self.rest.get(..at)?;
                    self.rest = self.rest.get(at + 1..)?;
                    return Some(tag);
                }
                (None, b'"' | b'\'') => quote = Some(byte),
                (Some(open), byte) if open == byte => quote = None,
                _ => {}
            }
        }
        None
    }
}

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        if std::mem::take(&mut self.closes) {
            return Some(Piece::Close);
        }
        loop {
            let Some(tag) = self.rest.strip_prefix('<') else {
                let text = self.rest.split('<').next().filter(|text| !text.is_empty())?;
                self.rest = self.rest.get(text.len()..)?;
                return Some(Piece::Text(text));
            };
            self.rest = tag;
            if tag.starts_with('/') {
                return self.take_until(">").map(|_| Piece::Close);
            }
            if let Some(section) = tag.strip_prefix("![CDATA[") {
                self.rest = section;
                return self.take_until("]]>").map(Piece::Plain);
            }
            if tag.starts_with("!--") {
                self.take_until("-->")?;
            } else if tag.starts_with(['?', '!']) {
                self.take_until(">")?;
            } else {
                let tag = self.take_tag()?;
                let inside = tag.strip_suffix('/');
                self.closes = inside.is_some();
                let inside = inside.unwrap_or(tag);
                let end = inside.bytes().position(|byte| byte.is_ascii_whitespace());
                let (name, attributes) = inside.split_at(end.unwrap_or(inside.len()));
                let prefix = name.bytes().rposition(|byte| byte == b':');
                let name = prefix.and_then(|colon| name.get(colon + 1..)).unwrap_or(name);
                return Some(Piece::Open { name, attributes });
            }
        }
    }
}

/// The attributes of a tag, in order.
pub(super) fn attributes(text: &str) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (name, after) = rest.trim_start().split_once('=')?;
        let after = after.trim_start();
        let quote = after.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        let (value, after) = after.get(1..)?.split_once(quote)?;
        rest = after;
        Some((name.trim_end(), plain(value)))
    })
}

/// The attribute of that name.
pub(super) fn attribute<'a>(text: &'a str, name: &str) -> Option<Cow<'a, str>> {
    attributes(text).find(|(key, _)| *key == name).map(|(_, value)| value)
}

/// Text with its references resolved; one that is unknown stays as it stands.
pub(super) fn plain(text: &str) -> Cow<'_, str> {
    if !text.contains('&') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        match after.split_once(';').and_then(|(name, after)| Some((reference(name)?, after))) {
            Some((c, after)) => {
                out.push(c);
                rest = after;
            }
            None => {
                out.push('&');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

fn reference(name: &str) -> Option<char> {
    match name {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(digits) => u32::from_str_radix(digits, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(text: &str) -> String {
        let piece = |piece: Piece<'_>| match piece {
            Piece::Open { name, attributes: text } => {
                let list: Vec<String> = attributes(text).map(|(k, v)| format!(" {k}={v}")).collect();
                format!("({name}{}", list.concat())
            }
            Piece::Close => ")".to_owned(),
            Piece::Text(text) => format!("'{}'", plain(text)),
            Piece::Plain(text) => format!("'{text}'"),
        };
        Pieces::of(text).map(piece).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn tags_attributes_and_text_come_in_order() {
        let text = "<?xml version=\"1.0\"?><!-- x > y --><a:E b='1 > 0' c = \"&quot;\"><D/>&lt;&#x41;<![CDATA[<&]]></a:E>";
        assert_eq!(walk(text), "(E b=1 > 0 c=\" (D ) '<A' '<&' )");
    }

    #[test]
    fn nonsense_ends_the_walk() {
        assert_eq!(walk("<a><b c=\"x"), "(a");
        assert_eq!(walk("<a b c=\"1\">&nope; &"), "(a b c=1 '&nope; &'");
        assert_eq!(walk("<![CDATA[x"), "");
        assert_eq!(walk("<"), "");
        assert_eq!(walk(""), "");
    }
}
