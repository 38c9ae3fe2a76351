//! Runs the target `x224` under libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| rdpwhy_fuzz::x224(bytes));
