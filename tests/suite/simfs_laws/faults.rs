//! The laws of the fault injector: what is planned takes place, at that call and at no other.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::Arc;

use aral_store::vfs::{OpenMode, OsVfs, Vfs, VfsFile, read_all, write_all_at};

use super::create;
use crate::support::faultfs::{Call, Fault, FaultFs, Rule};
use crate::support::simfs::{Settings, SimFs, SplitMix, errno};

fn over(rules: Vec<Rule>) -> (SimFs, FaultFs) {
    let sim = SimFs::new();
    let fs = FaultFs::over_sim(&sim, rules);
    (sim, fs)
}

fn number(result: io::Result<impl Sized>) -> Option<i32> {
    result.err().and_then(|error| error.raw_os_error())
}

/// One call of every kind, with what each answered.
fn one_of_each(fs: &dyn Vfs, file: &dyn VfsFile) -> Vec<(Call, Option<i32>)> {
    let path = Path::new;
    vec![
        (Call::Create, number(fs.open(path("/g"), OpenMode::CreateNew))),
        (Call::Open, number(fs.open(path("/f"), OpenMode::Read))),
        (Call::Write, number(file.write_at(b"xy", 0))),
        (Call::Read, number(file.read_at(&mut [0], 0))),
        (Call::Allocate, number(file.allocate(10))),
        (Call::SetLen, number(file.set_len(5))),
        (Call::Sync, number(file.sync())),
        (Call::SyncDir, number(fs.sync_dir(path("/")))),
        (Call::Rename, number(fs.rename(path("/g"), path("/h")))),
        (Call::Remove, number(fs.remove_file(path("/h")))),
        (Call::CreateDir, number(fs.create_dir(path("/d")))),
        (Call::RemoveDir, number(fs.remove_dir(path("/d")))),
        (Call::ReadDir, number(fs.read_dir(path("/")))),
        (Call::Metadata, number(file.metadata())),
        (Call::Lock, number(fs.try_lock(path("/LOCK")))),
        (Call::Canonical, number(fs.canonical(path("/")))),
        (Call::Map, number(file.map())),
    ]
}

#[test]
fn every_kind_of_call_fails_with_every_number() {
    let numbers = [
        errno::EIO,
        errno::ENOSPC,
        errno::EINTR,
        errno::EMFILE,
        errno::EACCES,
        errno::EROFS,
        errno::EDQUOT,
        errno::EFBIG,
    ];
    for call in Call::ALL {
        for wanted in numbers {
            let (_, fs) = over(vec![]);
            let file = create(&fs, "/f");
            fs.replan(vec![Rule::new(call, 1, Fault::Errno(wanted))]);
            let answers = one_of_each(&fs, &*file);
            assert!(answers.contains(&(call, Some(wanted))));
            assert_eq!(fs.fired(), [1]);
            assert!(fs.count(call) > 0);
        }
    }
}

#[test]
fn a_plan_without_faults_lets_everything_pass_and_counts_it() {
    let (_, fs) = over(vec![]);
    let file = create(&fs, "/f");
    let answers = one_of_each(&fs, &*file);
    assert!(answers.iter().all(|(_, error)| error.is_none()));
    let counted: BTreeSet<Call> = Call::ALL.into_iter().filter(|call| fs.count(*call) > 0).collect();
    assert_eq!((counted.len(), fs.total()), (Call::ALL.len(), 18));
}

#[test]
fn once_is_once_and_for_ever_is_for_ever() {
    let outcomes = |rule: Rule| {
        let (_, fs) = over(vec![rule]);
        let file = create(&fs, "/f");
        (0..5).map(|_| file.write_at(b"x", 0).is_ok()).collect::<Vec<_>>()
    };
    let rule = Rule::new(Call::Write, 3, Fault::Errno(errno::EIO));
    assert_eq!(outcomes(rule.clone()), [true, true, false, true, true]);
    assert_eq!(outcomes(rule.clone().for_ever()), [true, true, false, false, false]);
    assert_eq!(outcomes(rule.clone().for_ever().on("f")), [true, true, false, false, false]);
    assert_eq!(outcomes(rule.for_ever().on("other")), [true; 5]);
    // Creating the file was the first call of any kind.
    assert_eq!(outcomes(Rule::new(None, 3, Fault::Errno(errno::EIO))), [true, false, true, true, true]);
}

#[test]
fn short_reads_and_writes_are_gone_on_from() {
    let (sim, fs) = over(vec![
        Rule::new(Call::Write, 1, Fault::ShortWrite(1)).for_ever(),
        Rule::new(Call::Read, 1, Fault::ShortRead(2)).for_ever(),
        Rule::new(Call::Write, 1, Fault::Errno(errno::EINTR)),
    ]);
    let file = create(&fs, "/f");
    write_all_at(&*file, b"hello", 0).unwrap();
    assert_eq!((sim.read("/f").unwrap(), fs.count(Call::Write)), (b"hello".to_vec(), 5));
    assert_eq!((read_all(&*file, 9).unwrap(), fs.count(Call::Read)), (b"hello".to_vec(), 3));
    assert!(!fs.all_fired(), "the first rule that is due wins");
    fs.replan(vec![Rule::new(Call::Write, 2, Fault::Errno(errno::EINTR))]);
    write_all_at(&*file, b"again", 0).unwrap();
    write_all_at(&*file, b"AGAIN", 0).unwrap();
    assert!(fs.all_fired() && sim.read("/f").unwrap() == b"AGAIN");
}

#[test]
fn a_write_can_fail_after_a_part_or_after_all_of_it() {
    let (sim, fs) = over(vec![
        Rule::new(Call::Write, 1, Fault::PartThenErrno(2, errno::EIO)),
        Rule::new(Call::Write, 2, Fault::DoneButErrno(errno::ENOSPC)),
        Rule::new(Call::Rename, 1, Fault::DoneButErrno(errno::EIO)),
    ]);
    let file = create(&fs, "/f");
    assert_eq!(number(file.write_at(b"abcd", 0)), Some(errno::EIO));
    assert_eq!(sim.read("/f").unwrap(), b"ab");
    assert_eq!(number(file.write_at(b"efgh", 0)), Some(errno::ENOSPC));
    assert_eq!(sim.read("/f").unwrap(), b"efgh");
    assert_eq!(number(fs.rename(Path::new("/f"), Path::new("/g"))), Some(errno::EIO));
    assert!(sim.read("/g").is_some() && fs.all_fired());
}

#[test]
fn a_failed_sync_drops_the_pages_of_the_simulator() {
    let (sim, fs) = over(vec![Rule::new(Call::Sync, 2, Fault::SyncDropsPages(errno::EIO))]);
    let file = create(&fs, "/f");
    fs.sync_dir(Path::new("/")).unwrap();
    write_all_at(&*file, b"old", 0).unwrap();
    file.sync().unwrap();
    write_all_at(&*file, b"new", 0).unwrap();
    assert_eq!(number(file.sync()), Some(errno::EIO));
    file.sync().unwrap();
    assert_eq!(sim.read("/f").unwrap(), b"new");
    assert_eq!(sim.crash(&mut SplitMix::new(0)).read("/f").unwrap(), b"old");
}

#[test]
fn a_sync_that_pretends_and_a_lock_that_is_held() {
    let (sim, fs) = over(vec![
        Rule::new(None, 1, Fault::SyncPretends).for_ever(),
        Rule::new(Call::Lock, 1, Fault::LockHeld),
    ]);
    create(&fs, "/f").sync().unwrap();
    fs.sync_dir(Path::new("/")).unwrap();
    assert!((0..99).any(|seed| sim.crash(&mut SplitMix::new(seed)).files().is_empty()));
    assert!(fs.try_lock(Path::new("/LOCK")).unwrap().is_none());
    assert!(fs.try_lock(Path::new("/LOCK")).unwrap().is_some());
    assert_eq!(fs.fired(), [2, 1]);
}

#[test]
fn the_real_file_system_fails_as_well() {
    let dir = tempfile::tempdir().unwrap();
    let rule = Rule::new(Call::Allocate, 1, Fault::Errno(errno::ENOSPC));
    let fs = FaultFs::new(Arc::new(OsVfs), vec![rule]);
    let file = fs.open(&dir.path().join("f"), OpenMode::CreateNew).unwrap();
    assert_eq!(file.allocate(10).unwrap_err().kind(), io::ErrorKind::StorageFull);
    file.allocate(10).unwrap();
    assert!(fs.all_fired());
    assert_eq!(Settings::default(), Settings { ..Settings::default() });
}
