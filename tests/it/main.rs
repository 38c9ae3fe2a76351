//! All integration tests, in one binary.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "helpers of tests are not `in tests` for these lints"
)]

mod corpus;
mod evtx;
