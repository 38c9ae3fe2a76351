//! All integration tests of the lab: what it writes is read back by programs that are not ours.

mod tools;
mod evtx_files;
mod capture_files;
mod conversations;
mod bulk;
mod scenarios;
mod scenario_errors;
