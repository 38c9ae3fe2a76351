//! Makes evidence: captures and event logs as the real programs write them, for tests, benches and samples.
//!
//! * [`evtx`] writes valid `.evtx` files, and damages them on purpose;
//! * [`capture`] writes pcap and pcapng, packets of every kind and whole TCP dialogues;
//! * [`rdp`] writes RDP PDUs in clear, and connections of which only the sizes show;
//! * [`scenario`] turns ten lines of text into the event logs of all hosts that took part.

pub mod evtx;
pub mod capture;
pub mod rdp;
pub mod scenario;
