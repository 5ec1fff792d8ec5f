//! Any bytes as a wheel.

#![no_main]

#[path = "../held.rs"]
mod held;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| held::hold(bytes));
