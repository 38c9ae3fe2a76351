//! Writes `.evtx` files in the layout that the Windows event log service itself uses.
//!
//! A file is a 4096-byte header and 64 KiB chunks. Each chunk has its own table of names and templates, so every record is an
//! instance of the outer `System` template (18 substitutions) whose last value is an instance of the payload's template.
//! Sources: MS-EVEN6 2.2.12 to 2.2.17 and 3.1.4.7 for the binary XML; the file, chunk and record headers (which MS-EVEN6 does
//! not describe) were measured byte by byte on a real file.
//!
//! ```
//! use rdpwhy_lab::evtx::{Payload, Record, to_bytes};
//!
//! let mut record = Record::new("Schannel", "System", 36874, 1_740_000_000_000_000_000);
//! record.computer = "RDSH01.lab.test".into();
//! record.payload = Payload::Named(vec![("Protocol".into(), "TLS 1.2".into())]);
//! let bytes = to_bytes(&[record]).unwrap();
//! assert!(bytes.starts_with(b"ElfFile\0"));
//! ```

mod record;
mod value;
mod binxml;
mod template;
mod chunk;
mod writer;
mod bulk;
pub mod damage;

pub use bulk::{Bulk, BulkLog, Made};
pub use record::{Payload, Provider, Record};
pub(crate) use value::fingerprint;
pub use value::{Guid, Sid, Value};
pub use writer::{Writer, to_bytes};
