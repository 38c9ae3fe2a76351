//! Writes RDP: PDUs in clear as MS-RDPBCGR has them, and the sizes that they have as encrypted TLS records.
//!
//! ```
//! use rdpwhy_lab::rdp::{Names, pdu};
//!
//! let info = pdu::client_info(&Names { user: "alice", domain: "LAB", ..Names::default() });
//! assert_eq!(info[0], 3); // TPKT
//! ```

mod talk;
pub mod pdu;

pub use talk::{Cipher, Names, Security, Story, talk};
