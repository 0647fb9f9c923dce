//! Repairs whose new store takes the damaged one's place: at every moment there is a whole store under the name, or
//! both are beside it and whoever comes is told; what was there is kept.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use aral_store::{ErrorKind, MessageStore, Options, RepairReport};

use super::{Rest, contents, options, sample, segment};
use crate::support::driver::DIR;
use crate::support::faultfs::FaultFs;
use crate::support::oracle::count;
use crate::support::simfs::{self, SimFs};

/// The name that the damaged store is kept under, without its end.
const KEPT: &str = "/home/data.damaged-";

/// How a store is opened.
type Choose = fn(&SimFs) -> Options;

/// With an exchange of names and without, and whether there is one.
const EACH: [(Choose, bool); 2] = [(options, true), (without_exchange, false)];

/// A store that has lost an event.
fn damaged() -> SimFs {
    let fs = sample(Rest::Compacted).fs;
    fs.flip_bit(segment(&fs, 0), 4140, 1);
    fs
}

/// A file system that cannot exchange two names at once.
fn without_exchange(fs: &SimFs) -> Options {
    MessageStore::options().compact_manually().vfs(Arc::new(FaultFs::new(Arc::new(fs.clone()), Vec::new())))
}

fn texts(options: Options, dir: &Path) -> Vec<String> {
    let store = options.read_only().open(dir).unwrap();
    let messages = store.conversation("c1").unwrap().unwrap().messages;
    messages.iter().map(|message| message.content.to_string()).collect()
}

/// The paths below a directory as they are in it, with their bytes.
fn inside(fs: &SimFs, dir: &Path) -> Vec<(PathBuf, Option<Vec<u8>>)> {
    let all = contents(fs, &dir.to_string_lossy()).into_iter();
    let below = all.filter_map(|(path, bytes)| Some((path.strip_prefix(dir).ok()?.to_owned(), bytes)));
    // A lock holds nothing, and the writer's hint is never synced.
    below.filter(|(path, _)| !path.ends_with("LOCK") && !path.ends_with("CONTROL")).collect()
}

fn holds(fs: &SimFs, report: &RepairReport, before: &[(PathBuf, Option<Vec<u8>>)]) {
    let kept = report.kept.as_deref().unwrap();
    assert!(kept.to_string_lossy().starts_with(KEPT), "{}", kept.display());
    assert_eq!(inside(fs, kept), before, "the damaged store is kept as it was");
    assert!(!report.lost.is_empty());
    for path in report.lost.iter().map(|loss| &loss.path) {
        assert!(path.starts_with(kept) && fs.read(path).is_some(), "{}", path.display());
    }
    assert!(options(fs).verify(DIR).unwrap().is_sound());
    let beside = fs.paths_outside(DIR).into_iter().filter(|path| !path.starts_with(kept));
    let left: Vec<_> = beside.filter(|path| path.to_string_lossy().contains("data.")).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn the_repaired_store_takes_the_place_and_the_damaged_one_is_kept() {
    for choose in [options, without_exchange] {
        let fs = damaged();
        let (before, aside) = (inside(&fs, Path::new(DIR)), fs.snapshot());
        let expected = options(&aside).repair(DIR, "/home/new").unwrap();
        let report = choose(&fs).repair_in_place(DIR).unwrap();
        holds(&fs, &report, &before);
        assert_eq!((report.messages, report.lost.len()), (expected.messages, expected.lost.len()));
        assert_eq!(texts(options(&fs), Path::new(DIR)), texts(options(&aside), Path::new("/home/new")));
        // A second one of the same day takes nobody's name.
        fs.flip_bit(segment(&fs, 0), 4140, 1);
        let (kept, before) = (report.kept.unwrap(), inside(&fs, Path::new(DIR)));
        let first = inside(&fs, &kept);
        let second = choose(&fs).repair_in_place(DIR).unwrap();
        assert_ne!(second.kept.as_ref(), Some(&kept));
        assert_eq!(inside(&fs, &second.kept.unwrap()), before);
        assert_eq!(inside(&fs, &kept), first);
    }
}

#[test]
fn a_repair_in_place_that_is_stopped_anywhere_leaves_a_store_or_says_where_it_is() {
    for (choose, exchanges) in EACH {
        let fs = damaged();
        let before = inside(&fs, Path::new(DIR));
        let after = {
            let done = fs.snapshot();
            choose(&done).repair_in_place(DIR).unwrap();
            texts(options(&done), Path::new(DIR))
        };
        let (mut old, mut new, mut told) = (0, 0, 0);
        for (n, (_, state)) in
            fs.snapshot().record(|fs| drop(choose(fs).repair_in_place(DIR).unwrap())).iter().enumerate()
        {
            for cut in [state.kill(), state.crash(&mut simfs::SplitMix::new(count(n)))] {
                match options(&cut).read_only().open(DIR) {
                    Ok(_) => {
                        assert_eq!(texts(options(&cut), Path::new(DIR)), after);
                        new += 1;
                    }
                    Err(error) if error.kind() == ErrorKind::NotFound => {
                        let refused = options(&cut).open(DIR).unwrap_err();
                        assert_eq!(refused.kind(), ErrorKind::NotFound, "no new store is made: {refused}");
                        for name in ["/home/data.repaired", KEPT] {
                            assert!(error.to_string().contains(name), "{error}");
                        }
                        assert_eq!(texts(options(&cut), Path::new("/home/data.repaired")), after);
                        told += 1;
                    }
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
                        assert!(inside(&cut, Path::new(DIR)) == before, "the damaged store is as it was");
                        old += 1;
                    }
                }
                let kept = cut.paths_outside(DIR).into_iter().any(|path| path.ends_with("log/LOCK"));
                assert!(kept || inside(&cut, Path::new(DIR)) == before, "the damaged store is somewhere");
            }
        }
        assert!(old > 10 && new > 0, "{old} {new}");
        assert_eq!(told == 0, exchanges, "{told}");
    }
}

#[test]
fn a_repair_in_place_keeps_away_from_what_is_there() {
    let fs = damaged();
    let refused = || options(&fs).repair_in_place(DIR).unwrap_err().kind();
    for name in ["/home/data.partial", "/home/data.repaired"] {
        fs.put_dir(name);
        assert_eq!(refused(), ErrorKind::InvalidInput, "{name}");
        aral_store::vfs::Vfs::remove_dir(&fs, Path::new(name)).unwrap();
    }
    assert_eq!(options(&fs).repair_in_place("/home/none").unwrap_err().kind(), ErrorKind::NotFound);
    let sound = sample(Rest::Closed).fs;
    let writer = options(&sound).open(DIR).unwrap();
    assert_eq!(options(&sound).repair_in_place(DIR).unwrap_err().kind(), ErrorKind::Locked);
    writer.close().unwrap();
    let report = options(&sound).repair_in_place(DIR).unwrap();
    assert!(report.is_complete() && report.kept.is_some(), "{report:?}");
}
