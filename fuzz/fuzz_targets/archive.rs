//! Holds any bytes to the law of the ZIP archives that are read.

#![no_main]

#[path = "../../src/bin/aral-store/import/zipped.rs"]
mod zipped;
#[path = "../../src/bin/aral-store/import/zipped_law.rs"]
mod zipped_law;

libfuzzer_sys::fuzz_target!(|data: &[u8]| zipped_law::hold(data));
