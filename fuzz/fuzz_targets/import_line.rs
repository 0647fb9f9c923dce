//! Holds any bytes to the laws of `aral_store::fuzzing::line`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| aral_store::fuzzing::line(data));
