//! Runs the target `exchange_table` under libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| rdpwhy_fuzz::exchange_table(bytes));
