//! Holds any bytes to the laws of `aral_store::fuzzing::frame`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| aral_store::fuzzing::frame(data));
