//! Drawn operations on a file system with up to three drawn faults: what the sweeps do in order, done by chance,
//! and in pairs.
//!
//! `FAULT_PROGRAMS` is how many runs there are, `FAULT_SEED` where they begin.

use crate::support::program;
use crate::support::simfs::SplitMix;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

/// A run on a failing file system, as the bytes that a fuzzer would give.
fn drawn(seed: u64) -> Vec<u8> {
    let mut choice = SplitMix::new(seed);
    let mut bytes = vec![program::FAULTY];
    bytes.extend((0..50).flat_map(|_| choice.next().to_le_bytes()));
    bytes
}

#[test]
fn drawn_faults_are_outlived() {
    let first = number("FAULT_SEED", 0);
    let runs = number("FAULT_PROGRAMS", 1500);
    let failures: Vec<String> = (first..first + runs)
        .filter_map(|seed| program::run(&drawn(seed)).err().map(|wrong| format!("seed {seed}: {wrong}")))
        .collect();
    println!("{runs} runs with drawn faults");
    assert!(failures.is_empty(), "{} of {runs}: {}", failures.len(), failures[0]);
}
