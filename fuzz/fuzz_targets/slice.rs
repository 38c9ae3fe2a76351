//! Runs the target `slice` under libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| rdpwhy_fuzz::slice(bytes));
