//! The alphabet of faults: each of its 50 kinds is made to happen, is counted, and is answered as promised.
//!
//! The suites beside this one go through each kind at every call, bit and byte. This one shows that none is
//! missing, and that each of them takes place at all: a fault that never happens proves nothing.

mod errors;
mod hostile;
mod media;
mod persistence;
mod resources;

use std::collections::BTreeSet;

/// What was seen of one kind of fault.
#[derive(Debug)]
pub(crate) struct Seen {
    /// How often it took place, as something other than the store has seen it.
    fired: u64,
    /// What the store said to it.
    answer: String,
}

type Kind = (u8, &'static str, fn() -> Seen);

const KINDS: [Kind; 50] = [
    (1, "the process is killed", persistence::kill),
    (2, "a cut of power loses all that was not synced", persistence::all_lost),
    (3, "any subset of unsynced sectors survives", persistence::some_sectors),
    (4, "any subset of unsynced pages survives", persistence::some_pages),
    (5, "a sector is torn", persistence::torn_sector),
    (6, "a length is kept and its bytes are zeros", persistence::zeros_at_the_end),
    (7, "a length is kept and its bytes are garbage", persistence::garbage_at_the_end),
    (8, "bytes are written and the length is lost", persistence::lost_length),
    (9, "a creation is lost", persistence::lost_creation),
    (10, "a rename is lost", persistence::lost_rename),
    (11, "a rename is kept and the file's bytes are lost", persistence::renamed_without_data),
    (12, "a removal is undone", persistence::undone_removal),
    (13, "removals reach the disk out of order", persistence::unordered_removals),
    (14, "a new directory is lost", persistence::lost_directory),
    (15, "a truncation is undone", persistence::undone_truncation),
    (16, "the power goes twice more during recovery", persistence::cuts_in_recovery),
    (17, "killed, opened, acknowledged, and then cut", persistence::kill_then_cut),
    (18, "a read fails", errors::read),
    (19, "a write fails after a part", errors::part_of_a_write),
    (20, "a write is short", errors::short_write),
    (21, "a read is short", errors::short_read),
    (22, "a call is interrupted", errors::interrupted),
    (23, "no space for a write", errors::no_space_to_write),
    (24, "no space for a new file", errors::no_space_to_create),
    (25, "no space for a rename or a directory", errors::no_space_for_names),
    (26, "no space at a sync", errors::no_space_at_sync),
    (27, "a file too large, a quota used up", errors::quota),
    (28, "the file system is read-only", errors::read_only),
    (29, "too many open files", errors::too_many_files),
    (30, "access is denied", errors::denied),
    (31, "a sync fails once and drops its pages", errors::sync_drops_pages),
    (32, "every sync fails", errors::sync_for_ever),
    (33, "a sync of a directory fails", errors::sync_of_names),
    (34, "a removal or a listing fails", errors::removal_or_listing),
    (35, "the lock is held, or was left by the dead", errors::lock),
    (36, "a listed file is gone", errors::listed_file_gone),
    (37, "a call is done and said to have failed", errors::done_but_failed),
    (38, "a bit flips", media::flip),
    (39, "a block is zeros or garbage", media::block),
    (40, "a block is written to the wrong place", media::misdirected),
    (41, "a write is lost, the old block stays", media::lost_write),
    (42, "a file is an older one or another store's", media::foreign_file),
    (43, "ranges are swapped or doubled", media::swapped),
    (44, "a file is cut or has grown", media::length),
    (45, "a file is missing", media::missing),
    (46, "lengths that ask for all memory", hostile::lengths),
    (47, "the clock goes back and forth", resources::clock),
    (48, "syncs are slow", resources::slow_sync),
    (49, "threads meet in every order", resources::interleavings),
    (50, "a second writer comes past the lock", resources::second_writer),
];

#[test]
fn every_fault_of_the_alphabet_happens_and_is_answered() {
    let numbers: BTreeSet<u8> = KINDS.iter().map(|(number, ..)| *number).collect();
    assert_eq!(numbers, (1..=50).collect());
    let mut failures = Vec::new();
    for (number, name, happens) in KINDS {
        match std::panic::catch_unwind(happens) {
            Ok(seen) => {
                println!("{number:>2} | {name:<48} | {:>6} | {}", seen.fired, seen.answer);
                if seen.fired == 0 {
                    failures.push(format!("{number}, {name}: did not take place"));
                }
            }
            Err(_) => failures.push(format!("{number}, {name}: answered wrongly, as shown above")),
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}
