//! Runs the target `fact_text` under libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| rdpwhy_fuzz::fact_text(bytes));
