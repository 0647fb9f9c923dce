//! The laws of names: a directory's changes are durable when the directory was synced, and not before.

use std::collections::BTreeSet;
use std::path::Path;

use aral_store::vfs::{OpenMode, Vfs, write_all_at};

use super::{create, every_state};
use crate::support::simfs::{Exhaustive, Order, Settings, SimFs, SplitMix};

/// Which of these files there are, in every state that a crash can leave.
fn presence<const N: usize>(fs: &SimFs, paths: [&str; N]) -> BTreeSet<[bool; N]> {
    let mut states = BTreeSet::new();
    let mut all = Exhaustive::new();
    while all.next_round() {
        let after = fs.crash(&mut all);
        states.insert(paths.map(|path| after.metadata(Path::new(path)).is_ok()));
    }
    states
}

fn journaled() -> SimFs {
    SimFs::with(Settings { order: Order::Journal, ..Settings::default() })
}

#[test]
fn a_creation_may_vanish_until_its_directory_is_synced() {
    let fs = SimFs::new();
    let file = create(&fs, "/f");
    write_all_at(&*file, b"bytes", 0).unwrap();
    file.sync().unwrap();
    assert_eq!(every_state(&fs, "/f"), BTreeSet::from([None, Some(b"bytes".to_vec())]));
    fs.sync_dir(Path::new("/")).unwrap();
    assert_eq!(every_state(&fs, "/f"), BTreeSet::from([Some(b"bytes".to_vec())]));
}

#[test]
fn a_synced_name_does_not_make_bytes_durable() {
    let fs = SimFs::new();
    let file = create(&fs, "/f");
    write_all_at(&*file, b"bytes", 0).unwrap();
    fs.sync_dir(Path::new("/")).unwrap();
    let states = every_state(&fs, "/f");
    assert!(states.contains(&Some(vec![])) && states.contains(&Some(vec![0; 5])));
}

#[test]
fn a_rename_may_be_undone_and_never_shows_half() {
    let fs = SimFs::new();
    fs.put("/a", b"a");
    fs.put("/b", b"b");
    fs.rename(Path::new("/a"), Path::new("/b")).unwrap();
    assert_eq!(every_state(&fs, "/b"), BTreeSet::from([Some(b"a".to_vec()), Some(b"b".to_vec())]));
    assert_eq!(presence(&fs, ["/a", "/b"]), BTreeSet::from([[true, true], [false, true]]));
    fs.sync_dir(Path::new("/")).unwrap();
    assert_eq!(presence(&fs, ["/a", "/b"]), BTreeSet::from([[false, true]]));
}

#[test]
fn a_rename_can_arrive_before_the_bytes() {
    let fs = SimFs::new();
    fs.put("/f", b"old");
    let file = create(&fs, "/f.tmp");
    write_all_at(&*file, b"new", 0).unwrap();
    fs.rename(Path::new("/f.tmp"), Path::new("/f")).unwrap();
    let states = every_state(&fs, "/f");
    for bytes in [&b"old"[..], b"new", b"", b"\0\0\0"] {
        assert!(states.contains(&Some(bytes.to_vec())));
    }
}

#[test]
fn a_move_between_directories_is_pending_in_both() {
    let paths = ["/x/f", "/y/f"];
    let moved = |fs: SimFs| {
        fs.put("/x/f", b"f");
        fs.put_dir("/y");
        fs.rename(Path::new("/x/f"), Path::new("/y/f")).unwrap();
        fs
    };
    let four = BTreeSet::from([[true, false], [false, true], [true, true], [false, false]]);
    assert_eq!(presence(&moved(SimFs::new()), paths), four);
    let two = BTreeSet::from([[true, false], [false, true]]);
    assert_eq!(presence(&moved(journaled()), paths), two, "a journal moves at once");
}

#[test]
fn removals_are_undone_in_any_order_or_in_that_of_the_journal() {
    let removed = |fs: SimFs| {
        fs.put("/a", b"");
        fs.put("/b", b"");
        fs.remove_file(Path::new("/a")).unwrap();
        fs.remove_file(Path::new("/b")).unwrap();
        presence(&fs, ["/a", "/b"])
    };
    let journal = BTreeSet::from([[true, true], [false, true], [false, false]]);
    assert_eq!(removed(journaled()), journal);
    let mut strict = journal;
    strict.insert([true, false]);
    assert_eq!(removed(SimFs::new()), strict);
}

#[test]
fn a_lost_directory_takes_along_what_was_synced_in_it() {
    let fs = SimFs::new();
    fs.create_dir(Path::new("/d")).unwrap();
    create(&fs, "/d/f").sync().unwrap();
    fs.sync_dir(Path::new("/d")).unwrap();
    assert_eq!(presence(&fs, ["/d", "/d/f"]), BTreeSet::from([[false, false], [true, true]]));
    fs.sync_dir(Path::new("/")).unwrap();
    assert_eq!(presence(&fs, ["/d", "/d/f"]), BTreeSet::from([[true, true]]));
}

#[test]
fn syncing_a_directory_commits_what_the_journal_has_before_it() {
    let fs = journaled();
    fs.put_dir("/x");
    fs.put_dir("/y");
    create(&fs, "/x/f");
    create(&fs, "/y/f");
    fs.sync_dir(Path::new("/y")).unwrap();
    create(&fs, "/x/g");
    let states = presence(&fs, ["/x/f", "/y/f", "/x/g"]);
    assert_eq!(states, BTreeSet::from([[true, true, false], [true, true, true]]));
}

#[test]
fn a_journal_orders_lengths_among_the_names() {
    let fs = journaled();
    fs.put("/f", b"12345");
    let file = fs.open(Path::new("/f"), OpenMode::ReadWrite).unwrap();
    create(&fs, "/before");
    file.set_len(2).unwrap();
    create(&fs, "/after");
    let states = |fs: &SimFs| {
        let mut states = BTreeSet::new();
        let mut all = Exhaustive::new();
        while all.next_round() {
            let after = fs.crash(&mut all);
            let there = |path| after.read(path).is_some();
            states.insert((there("/before"), after.read("/f").unwrap().len(), there("/after")));
        }
        states
    };
    let history = [(false, 5, false), (true, 5, false), (true, 2, false), (true, 2, true)];
    assert_eq!(states(&fs), BTreeSet::from(history));
    file.sync().unwrap();
    assert_eq!(
        states(&fs),
        BTreeSet::from([history[2], history[3]]),
        "the length took along what was before"
    );
}

#[test]
fn a_journal_has_the_data_of_new_blocks_before_the_length() {
    let fs = journaled();
    fs.put("/f", b"");
    let file = fs.open(Path::new("/f"), OpenMode::ReadWrite).unwrap();
    write_all_at(&*file, &[1; 600], 0).unwrap();
    assert_eq!(every_state(&fs, "/f"), BTreeSet::from([Some(vec![]), Some(vec![1; 600])]));
}

#[test]
fn an_open_file_outlives_its_name_but_not_a_crash() {
    let fs = SimFs::new();
    fs.put("/f", b"f");
    let file = fs.open(Path::new("/f"), OpenMode::Read).unwrap();
    fs.remove_file(Path::new("/f")).unwrap();
    fs.sync_dir(Path::new("/")).unwrap();
    assert_eq!(file.read_at(&mut [0; 9], 0).unwrap(), 1);
    let after = fs.crash(&mut SplitMix::new(1));
    assert!(after.files().is_empty());
}

#[test]
fn a_crash_leaves_the_file_system_that_it_came_from_as_it_was() {
    let fs = SimFs::new();
    for n in 0..20 {
        fs.put(format!("/store/{n}"), &vec![1; 64 << 10]);
    }
    let file = create(&fs, "/store/log");
    file.allocate(256 << 10).unwrap();
    for n in 0..50 {
        write_all_at(&*file, &[9; 300], n * 320).unwrap();
    }
    let before = fs.read("/store/log").unwrap();
    let lengths: BTreeSet<Option<u64>> = (0..20_000)
        .map(|seed| {
            let after = fs.crash(&mut SplitMix::new(seed));
            let log = after.open(Path::new("/store/log"), OpenMode::ReadWrite).ok()?;
            write_all_at(&*log, &[8; 512], 0).unwrap();
            Some(log.metadata().unwrap().len)
        })
        .collect();
    assert!(lengths.is_superset(&BTreeSet::from([None, Some(512), Some(256 << 10)])));
    assert!(fs.read("/store/log").unwrap() == before && fs.files().len() == 21);
}
