//! Binary XML: elements and values as tokens (MS-EVEN6 2.2.12 and 2.2.13).

use std::borrow::Cow;

use super::chunk::Chunk;
use super::value::{Guid, push_utf16};

/// Fragment header: token, version 1.1, no flags.
pub(super) const FRAGMENT_HEADER: [u8; 4] = [0x0f, 1, 1, 0];
/// Token that ends a fragment.
pub(super) const END_OF_STREAM: u8 = 0x00;
/// "No dependency": the element stays whatever its values are.
const INDEPENDENT: u16 = 0xffff;

const TOKEN_OPEN_ELEMENT: u8 = 0x01;
const TOKEN_CLOSE_START: u8 = 0x02;
const TOKEN_CLOSE_EMPTY: u8 = 0x03;
const TOKEN_END_ELEMENT: u8 = 0x04;
const TOKEN_VALUE: u8 = 0x05;
const TOKEN_ATTRIBUTE: u8 = 0x06;
const TOKEN_SUBSTITUTION: u8 = 0x0d;
const TOKEN_OPTIONAL_SUBSTITUTION: u8 = 0x0e;
/// Set in a token where attributes follow.
const FLAG_MORE: u8 = 0x40;
const TYPE_STRING: u8 = 0x01;

/// A template: a tree with holes, named by a GUID.
pub(super) struct Template {
    pub(super) guid: Guid,
    pub(super) root: Element,
}

/// An element of a template.
pub(super) struct Element {
    name: Cow<'static, str>,
    attributes: Vec<(Cow<'static, str>, Node)>,
    children: Vec<Node>,
    dependency: u16,
}

/// What may stand in an element or attribute.
pub(super) enum Node {
    Text(String),
    Element(Element),
    /// A hole: the instance's value of that index; an optional one takes its element or attribute away when null.
    Hole {
        index: u16,
        kind: u8,
        optional: bool,
    },
}

impl Element {
    pub(super) fn new(name: impl Into<Cow<'static, str>>) -> Self {
        Self { name: name.into(), attributes: Vec::new(), children: Vec::new(), dependency: INDEPENDENT }
    }

    pub(super) fn attribute(mut self, name: impl Into<Cow<'static, str>>, value: Node) -> Self {
        self.attributes.push((name.into(), value));
        self
    }

    pub(super) fn child(mut self, child: Node) -> Self {
        self.children.push(child);
        self
    }

    /// Makes the element vanish when value `index` is null.
    pub(super) fn depends_on(mut self, index: u16) -> Self {
        self.dependency = index;
        self
    }

    /// Writes the element at the chunk's end.
    pub(super) fn write(&self, chunk: &mut Chunk) {
        let more = if self.attributes.is_empty() { 0 } else { FLAG_MORE };
        chunk.put(&[TOKEN_OPEN_ELEMENT | more]);
        chunk.put(&self.dependency.to_le_bytes());
        let size_at = chunk.reserve_u32();
        chunk.put_name(&self.name);
        if !self.attributes.is_empty() {
            let attributes_at = chunk.reserve_u32();
            self.write_attributes(chunk);
            chunk.patch_length_since(attributes_at);
        }
        if self.children.is_empty() {
            chunk.put(&[TOKEN_CLOSE_EMPTY]);
        } else {
            chunk.put(&[TOKEN_CLOSE_START]);
            self.children.iter().for_each(|child| child.write(chunk));
            chunk.put(&[TOKEN_END_ELEMENT]);
        }
        chunk.patch_length_since(size_at);
    }

    fn write_attributes(&self, chunk: &mut Chunk) {
        let last = self.attributes.len() - 1;
        for (index, (name, value)) in self.attributes.iter().enumerate() {
            chunk.put(&[if index < last { TOKEN_ATTRIBUTE | FLAG_MORE } else { TOKEN_ATTRIBUTE }]);
            chunk.put_name(name);
            value.write(chunk);
        }
    }
}

impl Node {
    fn write(&self, chunk: &mut Chunk) {
        match self {
            Self::Element(element) => element.write(chunk),
            Self::Text(text) => {
                let mut units = Vec::new();
                push_utf16(&mut units, text);
                chunk.put(&[TOKEN_VALUE, TYPE_STRING]);
                chunk.put(&((units.len() / 2) as u16).to_le_bytes());
                chunk.put(&units);
            }
            Self::Hole { index, kind, optional } => {
                chunk.put(&[if *optional { TOKEN_OPTIONAL_SUBSTITUTION } else { TOKEN_SUBSTITUTION }]);
                chunk.put(&index.to_le_bytes());
                chunk.put(&[*kind]);
            }
        }
    }
}

/// The hash by which a chunk finds a name: 16 bits, over UTF-16 units.
pub(super) fn name_hash(name: &str) -> u16 {
    let hash =
        name.encode_utf16().fold(0_u32, |hash, unit| hash.wrapping_mul(65599).wrapping_add(unit.into()));
    (hash & 0xffff) as u16
}
