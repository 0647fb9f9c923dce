//! Random operations on a store and on the oracle: whatever is done, both say the same.
//!
//! The number of cases is in `MODEL_CASES`; a failing one is shrunk, and printed as the operations that it is.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use crate::support::databases;
use crate::support::driver::{self, Driver, Home};
use crate::support::ops::{self, Op};
use crate::support::simfs::{Bytes, Settings};

/// The number of cases, from the environment or by default.
fn cases(default: u32) -> u32 {
    std::env::var("MODEL_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(default)
}

/// Operations as bytes: taking one out or making its bytes smaller gives simpler ones.
fn programs() -> impl Strategy<Value = (Vec<u8>, Vec<Vec<u8>>)> {
    (vec(any::<u8>(), 4), vec(vec(any::<u8>(), 24), 0..60))
}

fn decode(program: &[Vec<u8>]) -> Vec<Op> {
    program.iter().map(|bytes| ops::op(&mut Bytes::new(bytes))).collect()
}

/// Runs one program, checking everything at its end and now and then on the way.
fn run(home: Home, head: &[u8], program: &[Op]) -> Result<(), String> {
    let mut driver = Driver::new(home, ops::settings(&mut Bytes::new(head)))?;
    for (at, op) in program.iter().enumerate() {
        driver.run(op)?;
        if at % 7 == 0 {
            driver.check()?;
        }
    }
    driver.check()
}

fn hold(default_cases: u32, home: impl Fn() -> Home) {
    let config = Config { cases: cases(default_cases), failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new(config);
    let result = runner.run(&programs(), |(head, program)| {
        let ops = decode(&program);
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(home(), &head, &ops)));
        match outcome {
            Ok(Ok(())) => Ok(()),
            Ok(Err(wrong)) => Err(TestCaseError::fail(format!("{wrong}\n{ops:#?}"))),
            Err(_) => Err(TestCaseError::fail(format!("a panic\n{ops:#?}"))),
        }
    });
    if let Err(failure) = result {
        panic!("{failure}");
    }
}

#[test]
fn a_store_in_memory_does_what_the_oracle_says() {
    hold(400, || Home::Memory);
}

#[test]
fn a_store_in_a_database_does_what_the_oracle_says() {
    let dir = tempfile::tempdir().unwrap();
    let fresh = std::cell::Cell::new(0);
    for which in 0..databases::of(dir.path()).len() {
        hold(60, || {
            fresh.set(fresh.get() + 1);
            databases::of(&dir.path().join(fresh.get().to_string())).swap_remove(which)
        });
    }
}

#[test]
fn a_store_in_files_does_what_the_oracle_says_through_crashes() {
    hold(200, || Home::Sim(driver::fresh(Settings::default())));
}
