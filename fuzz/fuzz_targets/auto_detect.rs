//! Runs the target `auto_detect` under libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| rdpwhy_fuzz::auto_detect(bytes));
