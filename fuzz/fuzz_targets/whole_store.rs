//! Carries bytes out as operations, kills and power cuts on a store over a simulated file system, and compares
//! all that it says with an oracle: what the tests do with chance, done with coverage.

#![no_main]

#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../../tests/suite/support/mod.rs"]
mod support;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Err(wrong) = support::program::run(data) {
        panic!("{wrong}");
    }
});
