//! Verifying and repairing what somebody has tampered with, or copied only in part.

use aral_store::{ErrorKind, Mutation, NewMessage};

use super::{add, added, files_with, fresh, inside, on, open, texts};
use crate::support::driver::DIR;
use crate::support::oracle::count;
use crate::support::simfs::SimFs;

const NEW: &str = "/home/new";

/// Where the first frame of a segment is.
const FRAME: usize = 4096;

/// A closed store with a batch of two messages in its log, and a third message.
fn closed() -> SimFs {
    let sim = fresh();
    let store = open(on(sim.clone()));
    let two = (0..2).map(|n| NewMessage::new(format!("m{n}")).id(format!("id{n}")));
    let two: Vec<_> = two.map(|message| Mutation::add_message("c1", message)).collect();
    drop(store.batch(two).unwrap());
    add(&store, "c1", 2..3);
    store.close().unwrap();
    sim
}

/// A file that was no segment, and whose name was one with the highest number there is, made `verify` and
/// `repair` panic where they counted on to the next number. No writer gives such a name, so that the file is
/// named as damaged and counts for nothing else.
#[test]
fn a_segment_with_an_impossible_name_is_no_segment() {
    for name in [
        "ffffffffffffffff-0000000000000004.seg",
        "ffffffffffffffff-ffffffffffffffff.seg",
        "0000000000000002-ffffffffffffffff.seg",
    ] {
        let sim = closed();
        sim.put(inside("log").join(name), &b"no segment".repeat(1000));
        assert_eq!(on(sim.clone()).open(DIR).unwrap_err().kind(), ErrorKind::Corrupt, "{name}");
        let verdict = on(sim.clone()).verify(DIR).unwrap();
        assert!(verdict.damaged.iter().any(|file| file.path.ends_with(name)), "{name}: {verdict:?}");
        let report = on(sim.clone()).repair(DIR, NEW).unwrap();
        assert!(report.is_complete() && report.notes.iter().any(|note| note.contains(name)), "{report:?}");
        assert_eq!(texts(&on(sim).open(NEW).unwrap(), "c1"), added(0..3));
    }
}

/// A frame with right checksums and the highest number there is for its first event made `repair` panic where
/// it numbered the second one. A number that no writer gives is damage now.
#[test]
fn a_frame_with_an_impossible_number_is_damage() {
    let sim = closed();
    let segment = files_with(&sim, ".seg").remove(0);
    sim.edit(&segment, |bytes| {
        bytes[FRAME + 16..FRAME + 24].fill(0xff);
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&bytes[72..76]);
        hasher.update(&bytes[40..48]);
        hasher.update(&count(FRAME).to_le_bytes());
        hasher.update(&bytes[FRAME + 4..FRAME + 32]);
        bytes[FRAME..FRAME + 4].copy_from_slice(&hasher.finalize().to_le_bytes());
    });
    assert!(!on(sim.clone()).verify(DIR).unwrap().is_sound());
    let report = on(sim.clone()).repair(DIR, NEW).unwrap();
    let lost: Vec<_> = report.lost.iter().map(|loss| (loss.first_seq, loss.last_seq)).collect();
    assert_eq!(lost, [(Some(1), Some(2))], "{report:?}");
    assert_eq!(texts(&on(sim).open(NEW).unwrap(), "c1"), added(2..3));
}

/// Of a copy that lacked the newest segment, `verify` and `repair` said that nothing was wrong, though the
/// CONTROL that came with the copy named the segment. Readers show what is there and say so, a writer is refused,
/// because what it added would take the numbers of what is missing.
#[test]
fn a_copy_without_its_newest_segment_is_told_of() {
    let sim = closed();
    let store = open(on(sim.clone()));
    add(&store, "c1", 3..4);
    store.close().unwrap();
    let copy = || {
        let copy = sim.kill();
        let control = inside("log/CONTROL");
        copy.put(&control, &copy.read(&control).unwrap());
        copy
    };
    let told = |sim: &SimFs| {
        let verdict = on(sim.clone()).verify(DIR).unwrap();
        let report = on(sim.clone()).repair(DIR, NEW).unwrap();
        assert_eq!(verdict.is_sound(), report.is_complete());
        let named = |reason: &String| reason.contains("CONTROL");
        let damaged = verdict.damaged.iter().map(|file| &file.reason).filter(|reason| named(reason)).count();
        [damaged, report.lost.iter().map(|loss| &loss.reason).filter(|reason| named(reason)).count()]
    };
    assert_eq!(told(&copy()), [0, 0]);
    let part = copy();
    let newest = files_with(&part, ".seg").pop().unwrap();
    part.delete(newest);
    let viewer = on(part.clone()).read_only().open(DIR).unwrap();
    assert_eq!(texts(&viewer, "c1"), added(0..3));
    assert_eq!(viewer.recovery().damaged.len(), 1);
    assert_eq!(on(part.clone()).open(DIR).unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(told(&part), [1, 1]);
    assert_eq!(texts(&on(part).open(NEW).unwrap(), "c1"), added(0..3));
}
