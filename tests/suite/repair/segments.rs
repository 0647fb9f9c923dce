//! Repairing logs in which a segment is not the one that belongs there, or cannot be read to its end.

use std::path::PathBuf;
use std::sync::Arc;

use aral_store::{ErrorKind, NewMessage, RepairReport, SyncPolicy};

use super::{NEW, Rest, contents, judge, options, repair, sample, segment};
use crate::regressions::{add, added, files_with, fresh, inside, on, open, texts};
use crate::support::driver::DIR;
use crate::support::faultfs::{Call, Fault, FaultFs, Rule};
use crate::support::simfs::SimFs;
use crate::support::simfs::errno::EIO;

/// Where the first frame of a segment is.
const FRAME: usize = 4096;

/// Where the frame behind the one at a place begins.
fn after(bytes: &[u8], at: usize) -> usize {
    let length = u32::from_le_bytes(bytes[at + 4..at + 8].try_into().unwrap());
    at + (32 + usize::try_from(length).unwrap()).next_multiple_of(32)
}

/// Whether one of the notes names this file and says this.
fn is_noted(report: &RepairReport, path: &str, reason: &str) -> bool {
    report.notes.iter().any(|note| note.contains(path) && note.contains(reason))
}

/// The range of the one loss, its place and why.
fn only_loss(report: &RepairReport) -> (Option<u64>, Option<u64>, PathBuf, Option<u64>, String) {
    let [loss] = &report.lost[..] else { panic!("{report:?}") };
    (loss.first_seq, loss.last_seq, loss.path.clone(), loss.offset, loss.reason.clone())
}

#[test]
fn a_segment_of_another_store_is_left_out() {
    let sample = sample(Rest::Closed);
    let stranger = fresh();
    let store = open(on(stranger.clone()));
    add(&store, "stranger", 0..3);
    store.close().unwrap();
    let path = inside("log/0000000000000009-0000000000000001.seg");
    sample.fs.put(&path, &stranger.read(segment(&stranger, 0)).unwrap());
    let report = judge(&sample, &sample.fs).unwrap();
    assert!(report.is_complete(), "{report:?}");
    assert!(is_noted(&report, &path.to_string_lossy(), "belongs to another store"), "{report:?}");
}

#[test]
fn a_segment_that_is_there_twice_counts_once() {
    let sample = sample(Rest::Closed);
    let path = inside("log/0000000000000009-0000000000000001.seg");
    sample.fs.duplicate(segment(&sample.fs, 0), &path);
    let report = judge(&sample, &sample.fs).unwrap();
    assert!(report.is_complete(), "{report:?}");
    assert!(
        report.notes.iter().any(|note| note.contains("another file holds the same segment")),
        "{report:?}"
    );
}

/// Leaving out what a newer version wrote would be no repair.
#[test]
fn a_segment_of_a_newer_format_stops_a_repair() {
    for at in [0, 1] {
        let sample = sample(Rest::Closed);
        let path = segment(&sample.fs, at);
        sample.fs.edit(&path, |bytes| {
            bytes[8] = 2;
            let sum = crc32fast::hash(&bytes[..124]).to_le_bytes();
            bytes[124..128].copy_from_slice(&sum);
        });
        let before = contents(&sample.fs, DIR);
        let error = repair(&sample.fs).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnsupportedFormat, "{error}");
        let place = error.place().unwrap();
        assert_eq!((&place.path, place.offset), (&path, Some(8)));
        assert_eq!(contents(&sample.fs, DIR), before);
        assert!(contents(&sample.fs, &format!("{NEW}/")).is_empty(), "nothing looks finished");
    }
}

/// The events of a segment that could be read a moment ago are lost with their numbers, and not in silence.
#[test]
fn a_segment_that_cannot_be_read_any_more_is_lost_by_its_numbers() {
    let sample = sample(Rest::Closed);
    let path = segment(&sample.fs, 0);
    let name = path.to_string_lossy().into_owned();
    let faults = FaultFs::over_sim(&sample.fs, vec![Rule::new(Call::Open, 2, Fault::Errno(EIO)).on(&name)]);
    let report = options(&sample.fs).vfs(Arc::new(faults.clone())).repair(DIR, NEW).unwrap();
    assert!(faults.all_fired());
    let next = segment(&sample.fs, 1).file_stem().unwrap().to_string_lossy().into_owned();
    let first_of_next = u64::from_str_radix(next.rsplit('-').next().unwrap(), 16).unwrap();
    let lost = report.lost.iter().find(|loss| loss.path == path).unwrap();
    assert_eq!((lost.first_seq, lost.last_seq, lost.offset), (Some(1), Some(first_of_next - 1), Some(0)));
    assert!(lost.reason.contains("cannot open"), "{lost:?}");
}

/// A store that has been compacted after so many messages, all of one session, and has more of them behind.
fn compacted_after(common: &SimFs, count: usize, more: usize) -> SimFs {
    let sim = common.snapshot();
    let store = open(on(sim.clone()));
    add(&store, "c1", 2..count);
    store.compact().unwrap();
    add(&store, "c1", count..count + more);
    store.close().unwrap();
    sim
}

/// Two copies of one store that were compacted at different events: the segment behind the compaction has the
/// same number in both.
fn two_copies() -> (SimFs, SimFs) {
    let common = fresh();
    let store = open(on(common.clone()));
    add(&store, "c1", 0..2);
    store.close().unwrap();
    (compacted_after(&common, 3, 4), compacted_after(&common, 5, 1))
}

#[test]
fn events_that_are_missing_before_the_first_segment_are_numbered() {
    let (short, long) = two_copies();
    let (gone, path) = (files_with(&short, ".seg").remove(0), files_with(&long, ".seg").remove(0));
    short.put(&path, &long.read(&path).unwrap());
    short.delete(&gone);
    let error = on(short.clone()).open(DIR).unwrap_err();
    assert_eq!((error.kind(), error.place().unwrap().offset), (ErrorKind::Corrupt, Some(48)), "{error}");
    let report = repair(&short).unwrap();
    let reason = "events are missing before this segment".to_owned();
    assert_eq!(only_loss(&report), (Some(4), Some(5), PathBuf::from(path), Some(48), reason));
    assert_eq!(texts(&open_new(&short), "c1"), [&added(0..3)[..], &added(5..6)].concat());
}

fn open_new(sim: &SimFs) -> aral_store::MessageStore {
    options(sim).open(NEW).unwrap()
}

#[test]
fn damage_in_events_that_the_files_have_costs_nothing() {
    let (short, long) = two_copies();
    let (path, gone) = (files_with(&short, ".seg").remove(0), files_with(&long, ".seg").remove(0));
    let mut bytes = short.read(&path).unwrap();
    bytes[FRAME + 40] ^= 1;
    long.put(&path, &bytes);
    long.delete(&gone);
    assert_eq!(on(long.clone()).open(DIR).unwrap_err().kind(), ErrorKind::Corrupt);
    // Events 4 and 5 are in the files; 6 and 7 are only in the segment.
    let report = repair(&long).unwrap();
    assert!(report.is_complete() && is_noted(&report, &path, "no event is lost"), "{report:?}");
    assert_eq!(texts(&open_new(&long), "c1"), added(0..7));
}

/// What lies whole behind the gap of a torn tail was never acknowledged, and its numbers were given to others.
#[test]
fn a_repair_brings_nothing_back_from_behind_a_torn_tail() {
    let sim = fresh();
    let quiet = |sim: &SimFs| open(on(sim.clone()).sync(SyncPolicy::Os));
    let store = quiet(&sim);
    for text in ["one", "two", "three"] {
        drop(store.add_message("c1", NewMessage::new(text).id(text)).unwrap());
    }
    let sim = sim.kill();
    drop(store);
    let path = files_with(&sim, ".seg").remove(0);
    sim.edit(&path, |bytes| {
        let second = after(bytes, FRAME);
        let third = after(bytes, second);
        bytes[second..third].fill(0);
    });
    let store = quiet(&sim);
    assert_eq!(store.recovery().torn.unwrap().discarded_events, 1);
    drop(store.add_message("c1", NewMessage::new("two again").id("four")).unwrap());
    store.close().unwrap();
    // Only the header of the next segment says where the torn one ends.
    let next = files_with(&sim, ".seg").remove(1);
    sim.zero_range(&next, 0, 4096);
    let report = repair(&sim).unwrap();
    assert!(report.is_complete() && is_noted(&report, &next, "no event is lost"), "{report:?}");
    assert_eq!(texts(&open_new(&sim), "c1"), ["one", "two again"]);
}
