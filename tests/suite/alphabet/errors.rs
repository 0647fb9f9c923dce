//! Kinds 18 to 37: calls that fail.
//!
//! Each fault is put in the way of the workload of the fault suite, at several of its calls; that suite says
//! what is right, this one that the fault has taken place and which error callers were given.

use aral_store::ErrorKind::{self, Corrupt, Io, Locked, NoSpace, ReadOnly};
use aral_store::{NewMessage, SyncPolicy};

use super::Seen;
use crate::faults::{NOTHING_FIRED, attempt};
use crate::support::driver::{self, DIR, Home};
use crate::support::faultfs::{Call, Fault, Rule};
use crate::support::ops::Settings;
use crate::support::simfs::errno::{EACCES, EDQUOT, EFBIG, EINTR, EIO, EMFILE, ENOSPC, EROFS};
use crate::support::simfs::{self, SimFs};
use crate::support::sources::Sources;

const SETTINGS: Settings =
    Settings { sync: SyncPolicy::Always, first_segment_bytes: 8 << 10, compacts_on_close: false };

/// Lets calls fail and gathers what callers heard: at least these errors, and none at all if there are none.
fn fails(rules: impl IntoIterator<Item = Rule>, expected: &[ErrorKind]) -> Seen {
    let (mut fired, mut heard) = (0, Vec::new());
    for rule in rules {
        let attempt = match attempt(vec![rule.clone()]) {
            Ok(attempt) => attempt,
            // There are fewer calls of this kind than that.
            Err(wrong) if wrong == NOTHING_FIRED => continue,
            Err(wrong) => panic!("{rule:?}: {wrong}"),
        };
        fired += attempt.fired.iter().sum::<u64>();
        heard.extend(attempt.heard);
    }
    let mut kinds: Vec<String> = heard.iter().map(|kind| format!("{kind:?}")).collect();
    kinds.sort();
    kinds.dedup();
    assert!(expected.iter().all(|kind| heard.contains(kind)), "{expected:?} among {kinds:?}");
    assert!(!expected.is_empty() || heard.is_empty(), "{kinds:?}");
    Seen { fired, answer: if kinds.is_empty() { "the right data".to_owned() } else { kinds.join(", ") } }
}

/// The first few calls of a kind.
fn each(calls: &[Call], faults: &[Fault]) -> Vec<Rule> {
    let rule = |call: &Call, fault: &Fault| [1, 2, 4].map(|nth| Rule::new(*call, nth, *fault));
    calls.iter().flat_map(|call| faults.iter().flat_map(|fault| rule(call, fault))).collect()
}

pub(super) fn read() -> Seen {
    // A look at the lock that fails once is repeated, so that those of other files are read too.
    let others = ["log/0", "conversations/"].map(|part| Rule::new(Call::Read, 1, Fault::Errno(EIO)).on(part));
    fails(each(&[Call::Read], &[Fault::Errno(EIO)]).into_iter().chain(others), &[Io])
}

pub(super) fn part_of_a_write() -> Seen {
    let faults = [7, 600].map(|part| Fault::PartThenErrno(part, EIO));
    fails(each(&[Call::Write], &faults), &[Io])
}

pub(super) fn short_write() -> Seen {
    let rules = each(&[Call::Write], &[Fault::ShortWrite(1), Fault::ShortWrite(100)]);
    fails(rules.into_iter().map(Rule::for_ever), &[])
}

pub(super) fn short_read() -> Seen {
    let rules = each(&[Call::Read], &[Fault::ShortRead(1), Fault::ShortRead(100)]);
    fails(rules.into_iter().map(Rule::for_ever), &[])
}

pub(super) fn interrupted() -> Seen {
    fails(each(&[Call::Read, Call::Write], &[Fault::Errno(EINTR)]), &[])
}

pub(super) fn no_space_to_write() -> Seen {
    fails(each(&[Call::Write, Call::Allocate], &[Fault::Errno(ENOSPC)]), &[NoSpace])
}

pub(super) fn no_space_to_create() -> Seen {
    fails(each(&[Call::Create], &[Fault::Errno(ENOSPC)]), &[NoSpace])
}

pub(super) fn no_space_for_names() -> Seen {
    fails(each(&[Call::Rename, Call::CreateDir], &[Fault::Errno(ENOSPC)]), &[NoSpace])
}

pub(super) fn no_space_at_sync() -> Seen {
    fails(each(&[Call::Sync], &[Fault::Errno(ENOSPC)]), &[NoSpace, ErrorKind::Failed])
}

pub(super) fn quota() -> Seen {
    let faults = [Fault::Errno(EFBIG), Fault::Errno(EDQUOT)];
    fails(each(&[Call::Write, Call::Allocate, Call::Create], &faults), &[NoSpace])
}

pub(super) fn read_only() -> Seen {
    fails(each(&[Call::Create, Call::CreateDir, Call::Rename], &[Fault::Errno(EROFS)]), &[ReadOnly])
}

pub(super) fn too_many_files() -> Seen {
    fails(each(&[Call::Open, Call::Create], &[Fault::Errno(EMFILE)]), &[Io])
}

pub(super) fn denied() -> Seen {
    fails(each(&[Call::Open, Call::Create, Call::ReadDir], &[Fault::Errno(EACCES)]), &[Io])
}

pub(super) fn sync_drops_pages() -> Seen {
    fails(each(&[Call::Sync], &[Fault::SyncDropsPages(EIO)]), &[Io, ErrorKind::Failed])
}

pub(super) fn sync_for_ever() -> Seen {
    let rules = each(&[Call::Sync], &[Fault::Errno(EIO)]);
    fails(rules.into_iter().map(Rule::for_ever), &[Io, ErrorKind::Failed])
}

pub(super) fn sync_of_names() -> Seen {
    fails(each(&[Call::SyncDir], &[Fault::Errno(EIO)]), &[Io])
}

pub(super) fn removal_or_listing() -> Seen {
    fails(each(&[Call::Remove, Call::ReadDir], &[Fault::Errno(EIO)]), &[Io])
}

pub(super) fn done_but_failed() -> Seen {
    let calls = [Call::Write, Call::Sync, Call::SyncDir, Call::Rename, Call::Create, Call::Remove];
    fails(each(&calls, &[Fault::DoneButErrno(EIO)]), &[Io])
}

pub(super) fn lock() -> Seen {
    let held = fails([Rule::new(Call::Lock, 1, Fault::LockHeld)], &[Locked]);
    // What the dead left behind locks nobody out.
    let fs = driver::fresh(simfs::Settings::default());
    let store = driver::open(&Home::Sim(fs.clone()), SETTINGS, &Sources::default()).unwrap();
    let second = driver::open(&Home::Sim(fs.clone()), SETTINGS, &Sources::default());
    assert!(second.is_err() || second.is_ok_and(|second| second.add_message("c1", "the same store").is_ok()));
    let killed = fs.kill();
    drop(store);
    let is_left = killed.files().iter().any(|(path, _)| path.ends_with("log/LOCK"));
    assert!(driver::open(&Home::Sim(killed), SETTINGS, &Sources::default()).is_ok());
    Seen {
        fired: held.fired + u64::from(is_left),
        answer: format!("{}; a stale one is taken over", held.answer),
    }
}

/// A store of two conversations in files, without the file of one.
fn without_a_file() -> SimFs {
    let fs = driver::fresh(simfs::Settings::default());
    let store = driver::open(&Home::Sim(fs.clone()), SETTINGS, &Sources::default()).unwrap();
    for id in ["c1", "c2"] {
        drop(store.add_message(id, NewMessage::new(format!("of {id}"))).unwrap());
    }
    drop(store.compact().unwrap());
    store.close().unwrap();
    let after = fs.kill();
    after.delete(format!("{DIR}/conversations/c1.json"));
    after
}

pub(super) fn listed_file_gone() -> Seen {
    let fs = without_a_file();
    let store = driver::open(&Home::Sim(fs), SETTINGS, &Sources::default()).unwrap();
    let missed = store.recovery().damaged;
    assert_eq!(missed.len(), 1, "{missed:?}");
    assert!(missed[0].path.ends_with("conversations/c1.json"), "{missed:?}");
    assert_eq!(store.conversation("c1").unwrap_err().kind(), Corrupt);
    assert_eq!(store.conversation("c2").unwrap().unwrap().messages[0].content, "of c2");
    let fired = u64::try_from(missed.len()).unwrap();
    Seen { fired, answer: "Corrupt for that conversation alone, listed as damaged".to_owned() }
}
