//! The simulator obeys its own laws: what it may lose it does lose at times, and what it must keep it keeps.
//!
//! A simulator that forgives is worse than none, so each law is shown from both sides.

mod conformity;
mod faults;
mod names;
mod random;

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::Arc;

use aral_store::vfs::{OpenMode, Vfs, VfsFile, read_all, write_all_at};

use crate::support::simfs::{
    Bytes, Choose, Exhaustive, Maps, OpKind, Order, Settings, SimFs, SplitMix, Tear, Unwritten,
};

fn create(fs: &dyn Vfs, path: &str) -> Arc<dyn VfsFile> {
    fs.open(Path::new(path), OpenMode::CreateNew).unwrap()
}

/// A durable file of zeros, open for writing.
fn prepared(settings: Settings, len: usize) -> (SimFs, Arc<dyn VfsFile>) {
    let fs = SimFs::with(settings);
    fs.put("/f", &vec![0; len]);
    let file = fs.open(Path::new("/f"), OpenMode::ReadWrite).unwrap();
    (fs, file)
}

/// Every content of a file that a crash can leave; `None` is its absence.
fn every_state(fs: &SimFs, path: &str) -> BTreeSet<Option<Vec<u8>>> {
    let mut states = BTreeSet::new();
    let mut all = Exhaustive::new();
    while all.next_round() {
        states.insert(fs.crash(&mut all).read(path));
    }
    states
}

fn sampled_states(fs: &SimFs, path: &str, samples: u64) -> BTreeSet<Option<Vec<u8>>> {
    (0..samples).map(|seed| fs.crash(&mut SplitMix::new(seed)).read(path)).collect()
}

#[test]
fn unsynced_bytes_are_lost_or_kept() {
    let (fs, file) = prepared(Settings::default(), 512);
    write_all_at(&*file, b"new", 0).unwrap();
    for states in [every_state(&fs, "/f"), sampled_states(&fs, "/f", 100)] {
        let starts: BTreeSet<_> = states.iter().map(|bytes| bytes.as_ref().unwrap()[..3].to_vec()).collect();
        assert_eq!(starts, BTreeSet::from([vec![0, 0, 0], b"new".to_vec()]));
    }
}

#[test]
fn synced_bytes_are_never_lost() {
    let (fs, file) = prepared(Settings { tear: Tear::Sometimes, ..Settings::default() }, 4096);
    write_all_at(&*file, &[7; 3000], 100).unwrap();
    file.sync().unwrap();
    let synced = fs.read("/f").unwrap();
    assert_eq!(fs.read_durable("/f").unwrap(), synced);
    write_all_at(&*file, &[9; 512], 3584).unwrap();
    for state in sampled_states(&fs, "/f", 1000) {
        assert_eq!(state.unwrap()[..3584], synced[..3584]);
    }
}

#[test]
fn every_subset_of_sectors_is_reached() {
    for sectors in 1..=6 {
        let (fs, file) = prepared(Settings::default(), 512 * sectors);
        write_all_at(&*file, &vec![1; 512 * sectors], 0).unwrap();
        let mut all = Exhaustive::new();
        let mut states = BTreeSet::new();
        while all.next_round() {
            states.insert(fs.crash(&mut all).read("/f").unwrap());
        }
        assert_eq!(states.len(), 1 << sectors);
        assert_eq!(all.rounds(), (1 << sectors) + 1, "no state was visited twice");
    }
}

#[test]
fn every_version_of_a_sector_between_two_syncs_is_reached() {
    let (fs, file) = prepared(Settings::default(), 512);
    for value in 1..=3 {
        write_all_at(&*file, &[value], 0).unwrap();
    }
    let first: BTreeSet<u8> = every_state(&fs, "/f").into_iter().map(|bytes| bytes.unwrap()[0]).collect();
    assert_eq!(first, BTreeSet::from([0, 1, 2, 3]));
}

#[test]
fn random_crashes_reach_each_subset_too() {
    let (fs, file) = prepared(Settings::default(), 2048);
    write_all_at(&*file, &[1; 2048], 0).unwrap();
    assert_eq!(sampled_states(&fs, "/f", 2000).len(), 16);
}

#[test]
fn a_torn_sector_is_reached_only_if_asked_for() {
    for (tear, torn_expected) in [(Tear::Never, false), (Tear::Sometimes, true)] {
        let (fs, file) = prepared(Settings { tear, ..Settings::default() }, 512);
        write_all_at(&*file, &[1; 512], 0).unwrap();
        let is_torn = |bytes: &Option<Vec<u8>>| {
            let bytes = bytes.as_ref().unwrap();
            bytes.contains(&0) && bytes.contains(&1)
        };
        assert_eq!(every_state(&fs, "/f").iter().any(is_torn), torn_expected);
        assert_eq!(sampled_states(&fs, "/f", 500).iter().any(is_torn), torn_expected);
    }
}

#[test]
fn a_torn_sector_begins_with_the_new_bytes_and_ends_with_those_before_them() {
    let (fs, file) = prepared(Settings { tear: Tear::Sometimes, ..Settings::default() }, 512);
    for value in 1..=3 {
        write_all_at(&*file, &[value; 512], 0).unwrap();
    }
    let ends = |bytes: Option<Vec<u8>>| bytes.map(|bytes| (bytes[0], bytes[511])).unwrap();
    let expected = BTreeSet::from([(0, 0), (1, 0), (1, 1), (2, 1), (2, 2), (3, 2), (3, 3)]);
    assert_eq!(every_state(&fs, "/f").into_iter().map(ends).collect::<BTreeSet<_>>(), expected);
    assert_eq!(sampled_states(&fs, "/f", 1000).into_iter().map(ends).collect::<BTreeSet<_>>(), expected);
}

#[test]
fn random_crashes_reach_every_prefix_of_the_operations_and_whole_pages() {
    let (fs, file) = prepared(Settings::default(), 512 * 30);
    for n in 0..30 {
        write_all_at(&*file, &[1; 512], n * 512).unwrap();
    }
    let states = sampled_states(&fs, "/f", 4000);
    for kept in 0..=30 {
        let prefix = [vec![1; 512 * kept], vec![0; 512 * (30 - kept)]].concat();
        assert!(states.contains(&Some(prefix)), "{kept} operations kept");
    }
    let (fs, file) = prepared(Settings::default(), 4096 * 3);
    write_all_at(&*file, &[1; 4096 * 3], 0).unwrap();
    let states = sampled_states(&fs, "/f", 1000);
    for page in 0..3 {
        let mut only = vec![0; 4096 * 3];
        only[4096 * page..4096 * (page + 1)].fill(1);
        assert!(states.contains(&Some(only)), "only page {page} kept");
    }
}

#[test]
fn size_comes_without_data_and_data_without_size() {
    let fs = SimFs::new();
    fs.put("/f", b"old");
    let file = fs.open(Path::new("/f"), OpenMode::ReadWrite).unwrap();
    write_all_at(&*file, b"new", 3).unwrap();
    let states = every_state(&fs, "/f");
    let expected = [&b"old"[..], b"oldnew", b"old\0\0\0"].map(|bytes| Some(bytes.to_vec()));
    assert_eq!(states, BTreeSet::from(expected));
    // Data without its size is gone: a file that grows again has zeros there.
    let mut all = Exhaustive::new();
    while all.next_round() {
        let after = fs.crash(&mut all);
        let file = after.open(Path::new("/f"), OpenMode::ReadWrite).unwrap();
        if file.metadata().unwrap().len == 3 {
            file.set_len(6).unwrap();
            assert_eq!(after.read("/f").unwrap(), b"old\0\0\0");
        }
    }
}

#[test]
fn blocks_that_were_never_written_show_garbage_only_if_asked_for() {
    for (unwritten, garbage_expected) in [(Unwritten::Zeros, false), (Unwritten::Garbage, true)] {
        let (fs, file) = prepared(Settings { unwritten, ..Settings::default() }, 0);
        write_all_at(&*file, &[1; 512], 0).unwrap();
        let is_garbage =
            |bytes: &Option<Vec<u8>>| bytes.as_ref().unwrap().iter().any(|byte| !matches!(byte, 0 | 1));
        assert_eq!(every_state(&fs, "/f").iter().any(is_garbage), garbage_expected);
    }
}

#[test]
fn a_cut_is_undone_or_kept() {
    let fs = SimFs::new();
    fs.put("/f", b"keep, cut");
    let file = fs.open(Path::new("/f"), OpenMode::ReadWrite).unwrap();
    file.set_len(4).unwrap();
    let states = every_state(&fs, "/f");
    assert!(states.contains(&Some(b"keep".to_vec())) && states.contains(&Some(b"keep, cut".to_vec())));
    file.sync().unwrap();
    assert_eq!(every_state(&fs, "/f"), BTreeSet::from([Some(b"keep".to_vec())]));
}

#[test]
fn an_allocation_is_undone_or_kept_and_reads_as_zeros() {
    let (fs, file) = prepared(Settings { unwritten: Unwritten::Garbage, ..Settings::default() }, 1);
    file.allocate(3).unwrap();
    assert_eq!(every_state(&fs, "/f"), BTreeSet::from([Some(vec![0]), Some(vec![0; 3])]));
    file.allocate(2000).unwrap();
    let mut buffer = [9; 5];
    assert_eq!((file.read_at(&mut buffer, 1998).unwrap(), buffer), (2, [0, 0, 9, 9, 9]));
}

#[test]
fn a_failed_sync_drops_the_pages_and_the_next_one_lies() {
    let (fs, file) = prepared(Settings::default(), 1024);
    write_all_at(&*file, &[1; 1024], 0).unwrap();
    fs.drop_unsynced(file.metadata().unwrap().file_number);
    file.sync().unwrap();
    assert_eq!(fs.read("/f").unwrap(), [1; 1024], "the cache shows the new bytes");
    assert_eq!(every_state(&fs, "/f"), BTreeSet::from([Some(vec![0; 1024])]), "the medium has the old ones");
    // Written again, a sector is pending again and can be made durable.
    write_all_at(&*file, &[1; 512], 512).unwrap();
    file.sync().unwrap();
    assert_eq!(every_state(&fs, "/f"), BTreeSet::from([Some([vec![0; 512], vec![1; 512]].concat())]));
}

#[test]
fn a_kill_keeps_everything_pending_and_ends_the_handles() {
    let (fs, file) = prepared(Settings::default(), 512);
    write_all_at(&*file, b"new", 0).unwrap();
    let survivor = fs.kill();
    assert_eq!(survivor.read("/f").unwrap()[..3], *b"new");
    assert_eq!(every_state(&survivor, "/f").len(), 2, "what was pending is pending still");
    assert!(
        file.read_at(&mut [0], 0).is_err() && file.sync().is_err() && fs.read_dir(Path::new("/")).is_err()
    );
    let again = survivor.open(Path::new("/f"), OpenMode::Read).unwrap();
    again.sync().unwrap();
    assert_eq!(every_state(&survivor, "/f").len(), 1, "another process can make it durable");
}

#[test]
fn a_lock_is_exclusive_and_dies_with_its_holder() {
    let fs = SimFs::new();
    let path = Path::new("/LOCK");
    let held = fs.try_lock(path).unwrap();
    assert!(held.is_some() && fs.try_lock(path).unwrap().is_none());
    assert!(fs.kill().try_lock(path).unwrap().is_some());
    assert!(fs.crash(&mut Bytes::new(&[1])).try_lock(path).unwrap().is_some());
    let fs = SimFs::new();
    drop(fs.try_lock(path).unwrap());
    assert!(fs.try_lock(path).unwrap().is_some());
}

#[test]
fn a_quota_refuses_growth_until_it_is_raised() {
    let (fs, file) = prepared(Settings::default(), 100);
    fs.set_quota(Some(150));
    assert_eq!(file.allocate(151).unwrap_err().kind(), io::ErrorKind::StorageFull);
    assert_eq!(file.metadata().unwrap().len, 100, "a refused allocation leaves the file as it was");
    assert_eq!(file.write_at(&[1; 100], 0).unwrap(), 100, "what the file has is not growth");
    assert_eq!(file.write_at(&[1; 100], 100).unwrap(), 50, "what fits is written");
    assert_eq!(file.write_at(&[1; 100], 150).unwrap_err().kind(), io::ErrorKind::StorageFull);
    fs.set_quota(None);
    file.allocate(1000).unwrap();
    assert_eq!(fs.used(), 1000);
    file.set_len(5000).unwrap();
    assert_eq!(fs.used(), 1000, "a length takes no room");
    fs.set_quota(Some(2000));
    assert_eq!(file.allocate(2001).unwrap_err().kind(), io::ErrorKind::StorageFull);
    file.allocate(2000).unwrap();
    assert_eq!(file.write_at(&[1; 100], 2000).unwrap_err().kind(), io::ErrorKind::StorageFull);
}

#[test]
fn a_recording_has_the_state_before_every_operation() {
    let fs = SimFs::new();
    let history = fs.record(|fs| {
        let file = create(fs, "/f");
        write_all_at(&*file, b"one", 0).unwrap();
        file.sync().unwrap();
        fs.sync_dir(Path::new("/")).unwrap();
    });
    let kinds: Vec<_> = history.iter().map(|(op, _)| op.kind).collect();
    assert_eq!(kinds, [OpKind::Create, OpKind::Write, OpKind::Sync, OpKind::SyncDir]);
    let before: Vec<_> = history.iter().map(|(_, before)| before.read("/f")).collect();
    assert_eq!(before, [None, Some(vec![]), Some(b"one".to_vec()), Some(b"one".to_vec())]);
    assert_eq!((fs.op_count(), fs.log().len()), (4, 4));
    assert!(fs.log().iter().all(|op| op.done && op.path.starts_with("/")));
}

#[test]
fn a_frozen_file_system_stops_before_the_operation() {
    let (fs, file) = prepared(Settings::default(), 512);
    fs.freeze_at(2);
    write_all_at(&*file, b"a", 0).unwrap();
    assert!(write_all_at(&*file, b"b", 0).is_err());
    assert!(file.read_at(&mut [0], 0).is_err(), "nothing answers after the process died");
    assert_eq!(fs.kill().read("/f").unwrap()[0], b'a');
}

#[test]
fn a_journal_reaches_only_states_that_posix_allows() {
    let strict = SimFs::new();
    strict.put("/d/a", &[5; 700]);
    let file = strict.open(Path::new("/d/a"), OpenMode::ReadWrite).unwrap();
    write_all_at(&*file, &[6; 700], 300).unwrap();
    strict.rename(Path::new("/d/a"), Path::new("/b")).unwrap();
    file.set_len(600).unwrap();
    create(&strict, "/d/a");
    let journal = strict.snapshot();
    journal.set(Settings { order: Order::Journal, ..Settings::default() });
    let states = |fs: &SimFs| {
        let mut states = BTreeSet::new();
        let mut all = Exhaustive::new();
        while all.next_round() {
            let after = fs.crash(&mut all);
            states.insert((after.read("/d/a"), after.read("/b")));
        }
        states
    };
    let (strict, journal) = (states(&strict), states(&journal));
    assert!(journal.len() > 5 && journal.len() < strict.len());
    assert!(journal.is_subset(&strict));
}

#[test]
fn the_same_choices_give_the_same_state() {
    let (fs, file) = prepared(Settings { tear: Tear::Sometimes, ..Settings::default() }, 8192);
    write_all_at(&*file, &[3; 8192], 0).unwrap();
    for seed in 0..50 {
        let read = || fs.crash(&mut SplitMix::new(seed)).read("/f");
        assert_eq!(read(), read());
    }
    let mut source = Bytes::new(&[1, 2, 3]);
    assert_eq!([source.pick(1), source.pick(300), source.pick(2), source.pick(9)], [0, 258, 1, 0]);
}

#[test]
fn a_mapping_is_there_if_asked_for() {
    let (fs, file) = prepared(Settings::default(), 10);
    assert!(file.map().unwrap().is_none());
    fs.set(Settings { maps: Maps::Copied, ..Settings::default() });
    assert_eq!(file.map().unwrap().unwrap().bytes(), read_all(&*file, 100).unwrap());
}

#[test]
fn damage_is_on_the_medium_and_only_where_it_was_done() {
    let fs = SimFs::default();
    let bytes: Vec<u8> = (0..2048_u32).map(|n| u8::try_from(n / 512 + 1).unwrap()).collect();
    fs.put("/d/f", &bytes);
    fs.flip_bit("/d/f", 513, 7);
    fs.swap_sectors("/d/f", 2, 3);
    fs.copy_sector("/d/f", 0, 3);
    fs.zero_range("/d/f", 0, 2);
    fs.truncate("/d/f", 2047);
    let after = fs.crash(&mut Bytes::new(&[])).read("/d/f").unwrap();
    assert_eq!(
        (after.len(), after[1], after[2], after[513], after[1024], after[1536]),
        (2047, 0, 1, 130, 4, 1)
    );
    fs.put("/d/g", b"g");
    fs.duplicate("/d/g", "/x");
    fs.exchange("/d/f", "/d/g");
    fs.delete("/x");
    fs.put("/y", b"yy");
    let files: Vec<_> = fs.files().into_iter().map(|(path, len)| (path.display().to_string(), len)).collect();
    assert_eq!(files, [("/d/f".into(), 1), ("/d/g".into(), 2047), ("/y".into(), 2)]);
    assert_eq!(fs.paths_outside("/d"), [Path::new("/y")]);
    assert!(format!("{fs:?}").contains("/d/g"));
}
