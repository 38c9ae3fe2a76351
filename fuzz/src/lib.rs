//! One target for every reader and decoder: each takes any bytes and panics when the library breaks a promise.
//!
//! `cargo test` replays `seeds/` and mutations of them through all of [`TARGETS`]; `cargo fuzz run NAME --features
//! libfuzzer` goes on from there.

#![forbid(unsafe_code)]

mod archives;
mod beside;
mod captures;
mod datagrams;
mod decoders;
mod logs;
mod pdus;
mod reassembly;
mod reports;
mod secrets;
mod texts;
mod tunnels;

pub use archives::archive;
pub use beside::{dns, kerberos};
pub use captures::{capture, dialogue, opening, packet, pipeline, slice};
pub use datagrams::rdpudp;
pub use decoders::{certificate, mcs, proxy, tls, x224};
pub use logs::evtx;
pub use pdus::{auto_detect, capability, client_info, gcc, redirection, session_info, share};
pub use reassembly::reassembly;
pub use reports::{exchange_table, reports};
pub use secrets::{credssp, keylog, licensing, ntlm, rdsaad, rdstls, spnego};
pub use texts::{exchange, fact_text, printable};
pub use tunnels::gateway;

/// What a fuzzer runs.
pub type Target = fn(&[u8]);

/// Every target with the name of its binary and of its folder of seeds.
pub const TARGETS: &[(&str, Target)] = &[
    ("capture", capture),
    ("packet", packet),
    ("evtx", evtx),
    ("reassembly", reassembly),
    ("x224", x224),
    ("proxy", proxy),
    ("tls", tls),
    ("certificate", certificate),
    ("mcs", mcs),
    ("gcc", gcc),
    ("share", share),
    ("client_info", client_info),
    ("session_info", session_info),
    ("redirection", redirection),
    ("auto_detect", auto_detect),
    ("capability", capability),
    ("ntlm", ntlm),
    ("spnego", spnego),
    ("rdstls", rdstls),
    ("rdsaad", rdsaad),
    ("credssp", credssp),
    ("licensing", licensing),
    ("rdpudp", rdpudp),
    ("keylog", keylog),
    ("archive", archive),
    ("kerberos", kerberos),
    ("dns", dns),
    ("gateway", gateway),
    ("fact_text", fact_text),
    ("exchange", exchange),
    ("exchange_table", exchange_table),
    ("reports", reports),
    ("printable", printable),
    ("pipeline", pipeline),
    ("slice", slice),
    ("dialogue", dialogue),
    ("opening", opening),
];

/// Takes what it needs off the front of the fuzzer's bytes; behind their end everything is 0.
pub(crate) struct Draw<'a>(&'a [u8]);

impl<'a> Draw<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn u8(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    pub(crate) fn u16(&mut self) -> u16 {
        u16::from_le_bytes([self.u8(), self.u8()])
    }

    pub(crate) fn slice(&mut self, length: usize) -> &'a [u8] {
        let (head, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        head
    }
}
