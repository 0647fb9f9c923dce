//! Two writers, because the lock of the first did not keep the second out.
//!
//! The lock's file was removed or replaced, the whole directory was exchanged, or locks do not hold on the file
//! system. The second one comes before each single call that the first one makes, and the first one goes on before
//! each single call of the second one's opening. Whatever either of them was told is durable is there afterwards, and
//! what is beside it in the log is reported.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use aral_store::vfs::Vfs;
use aral_store::{Clock, ErrorKind, MessageStore, Messages, NewMessage, Options, SyncPolicy};

use crate::regressions::{fresh, inside, on, on_shared, open};
use crate::support::driver::DIR;
use crate::support::meeting::{Locks, Meeting, Removals};
use crate::support::simfs::SimFs;

/// How the second writer gets past the lock of the first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    LocksDoNotHold,
    LockRemoved,
    LockReplaced,
    DirectoryExchanged,
}

const WAYS: [Way; 4] = [Way::LocksDoNotHold, Way::LockRemoved, Way::LockReplaced, Way::DirectoryExchanged];

const AWAY: &str = "/home/away";

impl Way {
    fn over(self, sim: &SimFs) -> Meeting {
        let locks = if self == Self::LocksDoNotHold { Locks::AreForEverybody } else { Locks::Hold };
        // A path is all that a removal has. What is put there between the look and the call is what it removes; see
        // the blind spots in docs/durability.md.
        let removals = if self == Self::DirectoryExchanged { Removals::GoFirst } else { Removals::AreCalls };
        Meeting::over(sim, locks, removals)
    }

    /// What is done before the second writer opens the store.
    fn prepare(self, sim: &SimFs) {
        let lock = inside("log/LOCK");
        match self {
            Self::LocksDoNotHold => {}
            Self::LockRemoved => sim.remove_file(&lock).unwrap(),
            Self::LockReplaced => {
                sim.remove_file(&lock).unwrap();
                sim.put(&lock, b"");
            }
            Self::DirectoryExchanged => sim.rename(Path::new(DIR), Path::new(AWAY)).unwrap(),
        }
    }
}

/// What a writer was told.
#[derive(Clone, Default, Debug)]
struct Told {
    durable: Arc<Mutex<BTreeSet<(String, String)>>>,
    /// Whether it was told that it was overtaken, and whether it was told anything else that is no success.
    locked: Arc<Mutex<Vec<ErrorKind>>>,
}

impl Told {
    fn heard<T>(&self, result: aral_store::Result<T>) -> Option<T> {
        result.inspect_err(|error| self.locked.lock().unwrap().push(error.kind())).ok()
    }

    fn add(&self, store: &MessageStore, conversation: &str, text: &str) {
        let receipt = self.heard(store.add_message(conversation, NewMessage::new(text)));
        if receipt.is_some_and(|receipt| receipt.is_durable()) {
            self.durable.lock().unwrap().insert((conversation.to_owned(), start(text)));
        }
    }

    fn durable(&self) -> BTreeSet<(String, String)> {
        self.durable.lock().unwrap().clone()
    }

    fn errors(&self) -> Vec<ErrorKind> {
        self.locked.lock().unwrap().clone()
    }
}

fn options(fs: &Meeting) -> Options {
    on(fs.clone()).segment_bytes(64 << 10).first_segment_bytes(8 << 10)
}

/// A clock by which hours pass between two looks, so that a writer goes by the time of the lock's file.
#[derive(Default, Debug)]
struct Hours(AtomicI64);

impl Clock for Hours {
    fn now_micros(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }

    fn elapsed_micros(&self) -> i64 {
        self.0.fetch_add(3_600_000_000, Ordering::Relaxed)
    }
}

/// The start of a text, by which it is known.
fn start(text: &str) -> String {
    text.chars().take(20).collect()
}

/// Appends, segments that follow each other, compactions, a removal, a close.
fn first(store: &MessageStore, told: &Told) {
    for n in 0..3 {
        told.add(store, "a", &format!("a{n}"));
    }
    told.add(store, "a", &format!("a-large {}", "x".repeat(9000)));
    told.add(store, "gone", "g");
    told.heard(store.compact());
    told.add(store, "a", "a-behind");
    told.heard(store.remove_conversation("gone").map(drop));
    told.heard(store.compact());
    told.add(store, "a", "a-last");
    told.heard(store.clone().close());
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Second {
    Appends,
    Compacts,
    OnlyOpens,
}

fn second(fs: &Meeting, what: Second, told: &Told) {
    let Some(store) = told.heard(options(fs).open(DIR)) else { return };
    if what != Second::OnlyOpens {
        told.add(&store, "b", "b0");
        told.add(&store, "b", "b1");
    }
    if what == Second::Compacts {
        told.heard(store.compact());
        told.add(&store, "b", "b-behind");
    }
    told.heard(store.close());
}

fn found(store: &MessageStore) -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    for conversation in ["a", "b", "gone"] {
        for message in store.messages(conversation, Messages::all()).unwrap_or_default() {
            let text = message.content.as_str().unwrap();
            found.insert((conversation.to_owned(), start(text)));
        }
    }
    found
}

/// Opens what was left, and holds it against what was told. Gives how many events were orphaned.
fn settle(sim: &SimFs, dir: &str, told: &[&Told], context: &str) -> usize {
    let vfs: Arc<dyn Vfs> = Arc::new(sim.clone());
    let verified = MessageStore::options().vfs(Arc::clone(&vfs)).verify(dir).unwrap();
    let store = on(sim.clone()).open(dir).unwrap_or_else(|error| panic!("{context}: {error}"));
    let report = store.recovery();
    let found = found(&store);
    for told in told {
        for durable in told.durable() {
            // The conversation that is removed is not looked for.
            let is_there = durable.0 == "gone" || found.contains(&durable);
            assert!(is_there, "{context}: {durable:?} is gone; {found:?}; {report:?}");
        }
    }
    assert!(report.damaged.is_empty(), "{context}: {report:?}");
    assert_eq!(verified.is_sound(), report.orphaned.is_empty(), "{context}: {verified:?} {report:?}");
    let orphaned = report.orphaned.len();
    if orphaned > 0 {
        store.compact().unwrap();
        assert!(store.add_message("a", "more").unwrap().is_durable());
        let compacted = store.compact().unwrap();
        let kept: Vec<_> = sim.files().into_iter().filter(|(path, _)| is_orphaned(path)).collect();
        assert_eq!(kept.len(), orphaned, "{context}: {compacted:?}");
    }
    store.close().unwrap();
    let verified = MessageStore::options().vfs(vfs).verify(dir).unwrap();
    assert!(verified.is_sound(), "{context}: {verified:?}");
    orphaned
}

fn is_orphaned(path: &Path) -> bool {
    path.to_string_lossy().contains("quarantine/orphaned-")
}

/// Lets the second one come before the call of this number; `false` if the first one makes fewer calls.
fn meet(way: Way, what: Second, (call, hours_pass): (u64, bool), orphaned: &mut usize) -> bool {
    let sim = fresh();
    let fs = way.over(&sim);
    let (one, two) = (Told::default(), Told::default());
    let opening = options(&fs);
    let opening = if hours_pass { opening.clock(Hours::default()) } else { opening };
    let store = opening.open(DIR).unwrap();
    let (other, told, below) = (way.over(&sim), two.clone(), sim.clone());
    fs.at(call, move || {
        way.prepare(&below);
        second(&other, what, &told);
    });
    first(&store, &one);
    drop(store);
    if !fs.has_been() {
        return false;
    }
    let context = format!("{way:?}, {what:?}, {hours_pass}, call {call}");
    assert_eq!(two.errors(), [], "{context}: the second one has the store");
    let errors = one.errors();
    let is_told = errors.iter().all(|kind| [ErrorKind::Locked, ErrorKind::Closed].contains(kind));
    assert!(is_told, "{context}: {errors:?}");
    *orphaned += match way {
        Way::DirectoryExchanged => {
            settle(&sim, AWAY, &[&one], &context);
            settle(&sim, DIR, &[&two], &context)
        }
        Way::LocksDoNotHold | Way::LockRemoved | Way::LockReplaced => {
            settle(&sim, DIR, &[&one, &two], &context)
        }
    };
    true
}

#[test]
fn whoever_is_overtaken_at_any_call_gets_an_error_and_nothing_durable_is_lost() {
    let mut orphaned = 0;
    for way in WAYS {
        for what in [Second::Appends, Second::Compacts, Second::OnlyOpens] {
            for hours_pass in [false, true] {
                let mut meet = |call: &u64| meet(way, what, (*call, hours_pass), &mut orphaned);
                let calls = (1..2000).take_while(&mut meet).count();
                assert!((100..1999).contains(&calls), "{way:?}, {what:?}, {hours_pass}: {calls} calls");
            }
        }
    }
    // Records were left behind the end of a segment, or this has tried too little.
    assert!(orphaned > 0);
}

#[test]
fn whoever_overtakes_at_its_opening_finds_all_that_was_durable_by_then() {
    for way in [Way::LocksDoNotHold, Way::LockRemoved, Way::LockReplaced] {
        for call in 1.. {
            let sim = fresh();
            let fs = way.over(&sim);
            let (one, two) = (Told::default(), Told::default());
            let store = options(&fs).open(DIR).unwrap();
            one.add(&store, "a", "a-before");
            way.prepare(&sim);
            let other = way.over(&sim);
            let (continued, told) = (store.clone(), one.clone());
            other.at(call, move || first(&continued, &told));
            second(&other, Second::Compacts, &two);
            drop(store);
            let context = format!("{way:?}, opening, call {call}");
            if !other.has_been() {
                assert!(call > 20, "{context}");
                break;
            }
            assert_eq!(two.errors(), [], "{context}");
            settle(&sim, DIR, &[&one, &two], &context);
        }
    }
}

#[test]
fn what_was_not_synced_is_there_or_its_writer_is_told() {
    let mut told = 0;
    for call in 1.. {
        let sim = fresh();
        let fs = Way::LocksDoNotHold.over(&sim);
        let store = options(&fs).sync(SyncPolicy::Os).open(DIR).unwrap();
        let (one, two) = (Told::default(), Told::default());
        let (other, second_told) = (Way::LocksDoNotHold.over(&sim), two.clone());
        fs.at(call, move || second(&other, Second::Compacts, &second_told));
        let add = |n| one.heard(store.add_message("a", NewMessage::new(format!("a{n}"))));
        let accepted = (0..200).filter_map(add).count();
        one.heard(store.close());
        if !fs.has_been() {
            break;
        }
        let store = on(sim.clone()).open(DIR).unwrap();
        let found = found(&store).iter().filter(|(conversation, _)| conversation == "a").count();
        if found < 200 {
            assert!(one.errors().contains(&ErrorKind::Locked), "call {call}: {found} {:?}", one.errors());
            told += 1;
        }
        // A look every 64 groups: so many and no more are written by somebody who was overtaken.
        assert!(accepted < found + 66, "call {call}: {accepted} accepted, {found} found");
        assert_eq!(two.errors(), [], "call {call}");
        drop(store);
    }
    assert!(told > 10);
}

#[test]
fn the_lock_names_its_holder_by_a_number_of_its_own() {
    let sim = fresh();
    let mut claims = BTreeSet::new();
    for _ in 0..3 {
        on(sim.clone()).open(DIR).unwrap().close().unwrap();
        let bytes = sim.read(inside("log/LOCK")).unwrap();
        assert_eq!((bytes.len(), &bytes[..4]), (32, &b"\x89LCK"[..]));
        claims.insert(bytes);
    }
    assert_eq!(claims.len(), 3);
}

/// What was found to be lost stays lost: whoever has written meanwhile would be written over.
#[test]
fn the_right_does_not_come_back_with_the_locks_file() {
    let vfs = Arc::new(fresh());
    let (lock, away) = (inside("log/LOCK"), Path::new("/home/LOCK"));
    let first = open(on_shared(&vfs));
    drop(first.add_message("a", "of the first").unwrap());
    vfs.rename(&lock, away).unwrap();
    // Whoever opens the path anew finds that the store is not in its place any more.
    let second = open(on_shared(&vfs));
    drop(second.add_message("b", "of the second").unwrap());
    second.close().unwrap();
    vfs.rename(away, &lock).unwrap();
    for _ in 0..2 {
        assert_eq!(first.add_message("a", "late").unwrap_err().kind(), ErrorKind::Locked);
        assert_eq!(first.compact().unwrap_err().kind(), ErrorKind::Locked);
    }
    drop(first);
    let both = [("a", "of the first"), ("b", "of the second")];
    let both = both.map(|(conversation, text)| (conversation.to_owned(), text.to_owned()));
    assert_eq!(found(&open(on_shared(&vfs))), BTreeSet::from(both));
}
