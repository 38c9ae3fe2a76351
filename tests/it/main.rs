//! All integration tests in one binary.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are not `in tests` for clippy")]
#![expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "tests read files and say aloud what they skip"
)]

/// What a test skips, past the capture that keeps the output of tests that pass.
macro_rules! aloud {
    ($($text:tt)*) => {
        let _ = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("{}\n", format_args!($($text)*)));
    };
}

mod support;
mod beside;
mod cases;
mod corpus;
mod determinism;
mod keys;
mod timesketch;
mod tls;
mod expected;
mod reading;
mod readings;
mod clocks;
mod told_clocks;
mod command_line;
mod readme;
mod stories;
mod tidy;
mod udp;
mod memory;
mod logs;
mod boots;
mod robustness;
mod evtx;
mod exchange;
mod formats;
mod parquet;
mod docs;
mod sources;
mod catalogue;
mod log_sessions;
mod variants;
mod zip;
mod steps;
mod differential;
mod gateway;
mod gateway_lab;
mod ends;
mod terminal;
mod cookbook;
mod slice;
mod real;
mod calibration;
mod progress;
mod redact;
mod html;
