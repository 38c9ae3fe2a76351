//! One 64 KiB chunk: records, and the names and templates they share.
//!
//! Names and templates stand inside the records that used them first; hash buckets in the chunk's header and a `next` offset
//! in each entry chain them. A record that does not fit is taken back together with what it added to both tables.

use std::collections::HashMap;

use super::binxml::{END_OF_STREAM, FRAGMENT_HEADER, Template, name_hash};
use super::record::{Payload, Record};
use super::template;
use super::value::{Guid, Value, filetime, push_utf16};

/// Bytes of a chunk.
pub(super) const CHUNK_SIZE: usize = 65536;
/// Bytes before the first record.
pub(super) const CHUNK_HEADER_SIZE: usize = 512;
/// Signature of a chunk.
pub(super) const CHUNK_MAGIC: [u8; 8] = *b"ElfChnk\0";
/// Signature of a record.
pub(super) const RECORD_MAGIC: u32 = 0x2a2a;
const NAME_BUCKETS: usize = 64;
const TEMPLATE_BUCKETS: usize = 32;
const TOKEN_TEMPLATE_INSTANCE: u8 = 0x0c;
/// Stands for "no record yet" in the header of an empty chunk.
const NO_RECORD: u64 = u64::MAX;

/// A chunk that is being filled.
pub(super) struct Chunk {
    bytes: Vec<u8>,
    names: HashMap<String, u32>,
    templates: HashMap<Guid, u32>,
    name_buckets: [u32; NAME_BUCKETS],
    template_buckets: [u32; TEMPLATE_BUCKETS],
    /// Record ids (of the record headers) of the first and last record.
    ids: Option<(u64, u64)>,
    last_record_at: u32,
    /// What the record being written added to the tables.
    new_names: Vec<String>,
    new_templates: Vec<Guid>,
}

impl Chunk {
    pub(super) fn new() -> Self {
        let mut bytes = Vec::with_capacity(CHUNK_SIZE + 4096);
        bytes.resize(CHUNK_HEADER_SIZE, 0);
        Self {
            bytes,
            names: HashMap::new(),
            templates: HashMap::new(),
            name_buckets: [0; NAME_BUCKETS],
            template_buckets: [0; TEMPLATE_BUCKETS],
            ids: None,
            last_record_at: 0,
            new_names: Vec::new(),
            new_templates: Vec::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ids.is_none()
    }

    /// Appends a record; `false` when it does not fit, and the chunk is then as before.
    pub(super) fn add(&mut self, record: &Record, record_id: u64) -> bool {
        let start = self.bytes.len();
        let buckets = (self.name_buckets, self.template_buckets);
        self.new_names.clear();
        self.new_templates.clear();

        let (header_id, header_time) = record.header.unwrap_or((record_id, record.time_ns));
        self.put(&RECORD_MAGIC.to_le_bytes());
        let size_at = self.reserve_u32();
        self.put(&header_id.to_le_bytes());
        self.put(&filetime(header_time).to_le_bytes());
        self.put_event(record, record_id);
        let used = self.bytes.len() + 4 - start;
        let size = used.next_multiple_of(8);
        self.bytes.resize(start + size - 4, 0);
        self.put(&(size as u32).to_le_bytes());
        self.patch(size_at, size as u32);

        if self.bytes.len() > CHUNK_SIZE {
            self.take_back(start, buckets);
            return false;
        }
        self.last_record_at = start as u32;
        self.ids = Some((self.ids.map_or(header_id, |ids| ids.0), header_id));
        true
    }

    /// The finished chunk: header, checksums, padding.
    pub(super) fn close(mut self) -> Vec<u8> {
        let free = self.bytes.len() as u32;
        let (first, last) = self.ids.unwrap_or((1, NO_RECORD));
        let data_checksum = crc32fast::hash(&self.bytes[CHUNK_HEADER_SIZE..]);
        let mut header = Vec::with_capacity(CHUNK_HEADER_SIZE);
        header.extend_from_slice(&CHUNK_MAGIC);
        [first, last, first, last].iter().for_each(|id| header.extend_from_slice(&id.to_le_bytes()));
        [128, self.last_record_at, free, data_checksum]
            .iter()
            .for_each(|word: &u32| header.extend_from_slice(&word.to_le_bytes()));
        header.resize(120, 0);
        header.extend_from_slice(&1_u32.to_le_bytes());
        let mut tables = Vec::with_capacity(384);
        let words = self.name_buckets.iter().chain(&self.template_buckets);
        words.for_each(|word| tables.extend_from_slice(&word.to_le_bytes()));
        let mut checksum = crc32fast::Hasher::new();
        checksum.update(&header[..120]);
        checksum.update(&tables);
        header.extend_from_slice(&checksum.finalize().to_le_bytes());
        header.extend_from_slice(&tables);
        self.bytes[..CHUNK_HEADER_SIZE].copy_from_slice(&header);
        self.bytes.resize(CHUNK_SIZE, 0);
        self.bytes
    }

    /// Appends bytes.
    pub(super) fn put(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Leaves room for a number and says where.
    pub(super) fn reserve_u32(&mut self) -> usize {
        self.put(&[0; 4]);
        self.bytes.len() - 4
    }

    /// Writes the number of bytes after the field at `at` into that field.
    pub(super) fn patch_length_since(&mut self, at: usize) {
        self.patch(at, (self.bytes.len() - at - 4) as u32);
    }

    /// Writes the offset of a name, and the name itself where the chunk has not got it yet.
    pub(super) fn put_name(&mut self, name: &str) {
        if let Some(at) = self.names.get(name) {
            let at = at.to_le_bytes();
            return self.put(&at);
        }
        let at = self.bytes.len() as u32 + 4;
        let hash = name_hash(name);
        let bucket = usize::from(hash) % NAME_BUCKETS;
        self.put(&at.to_le_bytes());
        self.put(&self.name_buckets[bucket].to_le_bytes());
        self.put(&hash.to_le_bytes());
        self.put(&(name.encode_utf16().count() as u16).to_le_bytes());
        push_utf16(&mut self.bytes, name);
        self.put(&[0, 0]);
        self.name_buckets[bucket] = at;
        self.names.insert(name.to_owned(), at);
        self.new_names.push(name.to_owned());
    }

    fn put_event(&mut self, record: &Record, record_id: u64) {
        self.put_instance_head(template::system_guid(record), || template::system(record));
        let values = template::system_values(record, record_id);
        let table = self.put_value_table(values.len() + 1);
        values.iter().enumerate().for_each(|(index, value)| self.put_value(table, index, value));
        let start = self.bytes.len();
        let has_payload = record.payload != Payload::None;
        if has_payload {
            self.put_payload(&record.payload);
        }
        let kind = if has_payload { template::TYPE_BINXML } else { 0 };
        self.describe_value(table, values.len(), start, kind);
        self.put(&[END_OF_STREAM]);
    }

    fn put_payload(&mut self, payload: &Payload) {
        self.put_instance_head(template::payload_guid(payload), || template::payload(payload));
        let values = template::payload_values(payload);
        let table = self.put_value_table(values.len());
        values.iter().enumerate().for_each(|(index, value)| self.put_value(table, index, value));
        self.put(&[END_OF_STREAM]);
    }

    /// Opens a template instance; the definition follows in place when the chunk has not got it yet.
    fn put_instance_head(&mut self, guid: Guid, make: impl FnOnce() -> Template) {
        let short_id = u32::from_le_bytes([guid.0[0], guid.0[1], guid.0[2], guid.0[3]]);
        self.put(&FRAGMENT_HEADER);
        self.put(&[TOKEN_TEMPLATE_INSTANCE, 1]);
        self.put(&short_id.to_le_bytes());
        if let Some(at) = self.templates.get(&guid) {
            let at = at.to_le_bytes();
            return self.put(&at);
        }
        let at = self.bytes.len() as u32 + 4;
        let bucket = short_id as usize % TEMPLATE_BUCKETS;
        self.put(&at.to_le_bytes());
        self.put(&self.template_buckets[bucket].to_le_bytes());
        let template = make();
        self.put(&template.guid.0);
        let size_at = self.reserve_u32();
        self.put(&FRAGMENT_HEADER);
        template.root.write(self);
        self.put(&[END_OF_STREAM]);
        self.patch_length_since(size_at);
        self.template_buckets[bucket] = at;
        self.templates.insert(guid, at);
        self.new_templates.push(guid);
    }

    /// Writes the number of values and an empty description for each; says where these begin.
    fn put_value_table(&mut self, count: usize) -> usize {
        self.put(&(count as u32).to_le_bytes());
        let at = self.bytes.len();
        self.bytes.resize(at + 4 * count, 0);
        at
    }

    fn put_value(&mut self, table: usize, index: usize, value: &Value) {
        let start = self.bytes.len();
        value.store(&mut self.bytes);
        self.describe_value(table, index, start, value.stored_type());
    }

    /// Fills the description of a value that begins at `start` and ends here: u16 size, u8 type, u8 zero.
    fn describe_value(&mut self, table: usize, index: usize, start: usize, kind: u8) {
        let size = u16::try_from(self.bytes.len() - start).unwrap_or_else(|_| {
            // No chunk can hold such a value: make the record too long, so that it is refused as a whole.
            self.bytes.resize(self.bytes.len() + CHUNK_SIZE, 0);
            u16::MAX
        });
        let at = table + 4 * index;
        self.bytes[at..at + 2].copy_from_slice(&size.to_le_bytes());
        self.bytes[at + 2] = kind;
    }

    fn patch(&mut self, at: usize, word: u32) {
        self.bytes[at..at + 4].copy_from_slice(&word.to_le_bytes());
    }

    fn take_back(&mut self, start: usize, buckets: ([u32; NAME_BUCKETS], [u32; TEMPLATE_BUCKETS])) {
        self.bytes.truncate(start);
        (self.name_buckets, self.template_buckets) = buckets;
        for name in self.new_names.drain(..) {
            self.names.remove(&name);
        }
        for guid in self.new_templates.drain(..) {
            self.templates.remove(&guid);
        }
    }
}
