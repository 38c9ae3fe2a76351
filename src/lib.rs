//! rdpwhy answers one question from files alone: why did this Remote Desktop connection fail?
//!
//! ```text
//!        read             events, packets      session          diagnosis         report
//! paths -----> Record, Flow -----------> Fact -----------> Session -----------> Verdict -----> text, JSON, HTML
//!         \________ Note (cut packet, unreadable record, lost bytes): travels beside, counted and printed ____/
//! ```
//!
//! The modules stand in the order of the pipe; a module uses only those above it.

pub mod step;
pub mod time;
pub mod note;
pub mod codes;
pub mod wire;
pub mod fact;
pub mod read;
pub mod events;
pub mod packets;
pub mod exchange;
pub mod session;
pub mod collect;
pub mod diagnosis;
pub mod explain;
pub mod redact;
pub mod analysis;
pub mod report;

pub use analysis::{
    Analysis, Naming, Options, Parts, Selection, analyze, analyze_inventory, analyze_redacted, diagnose,
    diagnose_redacted, inventory, redacted_facts, write_facts,
};
