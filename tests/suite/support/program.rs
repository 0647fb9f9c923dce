//! A whole run of a store as bytes.
//!
//! Owns the reading of bytes as a simulated file system, settings and operations, so that a fuzzer's inputs
//! and the ones that were saved mean the same. Bytes that begin with [`FAULTY`] are a run on a failing one.

use super::check::Checked;
use super::driver::{self, Driver, Home};
use super::faulty;
use super::ops;
use super::simfs::{Bytes, Choose, Maps, Order, Settings, Tear, Unwritten};

/// The bytes that come before the operations.
const HEAD: usize = 8;

/// The bytes of one operation: what leaves one out leaves the others what they are.
const OPERATION: usize = 24;

/// The first byte of a run in which calls of the file system fail.
pub(crate) const FAULTY: u8 = 0xfa;

/// More operations than this take longer and show nothing new.
const MOST_OPERATIONS: usize = 40;

fn medium(choice: &mut dyn Choose) -> Settings {
    Settings {
        order: if choice.pick(2) == 0 { Order::Strict } else { Order::Journal },
        tear: if choice.pick(2) == 0 { Tear::Never } else { Tear::Sometimes },
        unwritten: if choice.pick(2) == 0 { Unwritten::Zeros } else { Unwritten::Garbage },
        // The simulator maps a copy, in which what is written later does not show; the store needs more of a map.
        maps: Maps::Refused,
        is_sealed: false,
    }
}

/// Carries the bytes out on a store and on the oracle beside it; gives the first difference.
pub(crate) fn run(data: &[u8]) -> Checked {
    if let Some((&FAULTY, rest)) = data.split_first() {
        return faulty::run(rest, OPERATION);
    }
    let (head, program) = data.split_at(data.len().min(HEAD));
    let mut head = Bytes::new(head);
    let home = Home::Sim(driver::fresh(medium(&mut head)));
    let mut driver = Driver::new(home, ops::settings(&mut head))?;
    for bytes in program.chunks(OPERATION).take(MOST_OPERATIONS) {
        driver.run(&ops::op(&mut Bytes::new(bytes)))?;
    }
    driver.check()?;
    driver.close()
}
