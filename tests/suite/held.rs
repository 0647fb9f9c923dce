//! A conversation whose file cannot be read when a compaction is to write it: all others are written, its events are
//! kept in the log, and once the file is as it was again nothing of the conversation is missing.

use std::path::PathBuf;
use std::sync::Arc;

use aral_store::vfs::Vfs;
use aral_store::{
    Edit, ErrorKind, Event, Logged, MessageStore, Messages, Mutation, NewMessage, Options, Order, SyncPolicy,
};

use crate::support::driver::{self, DIR};
use crate::support::faultfs::{Call, Fault, FaultFs, Rule};
use crate::support::hooks::Hooked;
use crate::support::simfs::errno::{EIO, EMFILE};
use crate::support::simfs::{self, SimFs};

fn on(fs: &SimFs) -> Options {
    MessageStore::options().compact_manually().first_segment_bytes(8 << 10).vfs(Arc::new(fs.clone()))
}

fn open(fs: &SimFs) -> MessageStore {
    on(fs).open(DIR).unwrap()
}

fn file(id: &str) -> PathBuf {
    PathBuf::from(format!("{DIR}/conversations/{id}.json"))
}

fn texts(store: &MessageStore, id: &str) -> Vec<String> {
    let messages = store.messages(id, Messages::all()).unwrap();
    messages.iter().map(|message| message.content.to_string_lossy().into_owned()).collect()
}

/// What somebody does to a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Damage {
    Flipped,
    Cut,
    Missing,
    Edited,
    Another,
}

const DAMAGE: [Damage; 5] = [Damage::Flipped, Damage::Cut, Damage::Missing, Damage::Edited, Damage::Another];

/// Damages a conversation's file and gives what it held.
fn damage(fs: &SimFs, id: &str, how: Damage) -> Vec<u8> {
    let whole = fs.read(file(id)).unwrap();
    let text = String::from_utf8(whole.clone()).unwrap();
    match how {
        Damage::Flipped => {
            let mut bytes = whole.clone();
            bytes[whole.len() / 2] ^= 4;
            fs.put(file(id), &bytes);
        }
        Damage::Cut => fs.put(file(id), &whole[..whole.len() / 2]),
        Damage::Missing => fs.delete(file(id)),
        Damage::Edited => fs.put(file(id), text.replace("said in", "never said in").as_bytes()),
        Damage::Another => {
            fs.put(file(id), text.replace(&format!("\"{id}\""), "\"another\"").as_bytes());
        }
    }
    whole
}

/// A store of three conversations in files, with newer events of each in its log, closed.
fn newer_than_its_files() -> SimFs {
    let fs = driver::fresh(simfs::Settings::default());
    let store = open(&fs);
    for id in ["a", "b", "c"] {
        drop(store.add_message(id, format!("said in {id}").as_str()).unwrap());
    }
    drop(store.compact().unwrap());
    for id in ["a", "b", "c"] {
        drop(store.append(Mutation::add_message(id, NewMessage::new("newer").id("m2")).key(id)).unwrap());
    }
    drop(store.edit_message("b", "m2", Edit::content("newest")).unwrap());
    drop(store.set_title("b", "Renamed").unwrap());
    store.close().unwrap();
    fs
}

fn said(id: &str, more: &[&str]) -> Vec<String> {
    let first = format!("said in {id}");
    std::iter::once(first.as_str()).chain(more.iter().copied()).map(str::to_owned).collect()
}

/// What is so as long as conversation b is held.
fn holds(store: &MessageStore, how: Damage) {
    let stats = store.stats().unwrap();
    assert_eq!((stats.held, stats.damaged, stats.compaction_error), (1, 1, None), "{how:?}");
    let damaged = store.recovery().damaged;
    assert!(damaged.iter().any(|file| file.conversation_id.as_deref() == Some("b")), "{how:?}: {damaged:?}");
    let verdict = store.verify().unwrap();
    assert!(!verdict.is_sound(), "{how:?}: {verdict:?}");
    assert!(verdict.notes.iter().any(|note| note.contains("3 events of conversation \"b\"")), "{verdict:?}");
    assert_eq!(store.messages("b", Messages::all()).unwrap_err().kind(), ErrorKind::Corrupt, "{how:?}");
}

#[test]
fn a_file_that_cannot_be_read_keeps_no_other_from_being_compacted() {
    for how in DAMAGE {
        let fs = newer_than_its_files();
        let whole = damage(&fs, "b", how);
        let broken = fs.read(file("b"));
        for round in 0..4 {
            let store = open(&fs);
            for text in ["x".repeat(5000), format!("round {round}")] {
                drop(store.add_message("a", text.as_str()).unwrap());
            }
            let report = store.compact().unwrap();
            let [held] = report.held.as_slice() else { panic!("{how:?}: {report:?}") };
            assert_eq!((held.conversation_id.as_deref(), &held.path), (Some("b"), &file("b")), "{how:?}");
            assert_eq!(report.covered_seq, store.stats().unwrap().last_seq);
            assert_eq!(report.written, if round == 0 { 2 } else { 1 }, "{how:?}: {report:?}");
            let written = String::from_utf8(fs.read(file("a")).unwrap()).unwrap();
            assert!(written.contains(&format!("round {round}")), "{how:?}: {written}");
            holds(&store, how);
            let refused = store.add_message("b", "would be lost").unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Corrupt, "{how:?}");
            assert_eq!(refused.place().map(|place| &place.path), Some(&file("b")), "{how:?}");
            // One segment is kept for it, however much is said elsewhere.
            assert_eq!(store.stats().unwrap().segments, 2, "{how:?}");
            assert_eq!(fs.read(file("b")), broken, "{how:?}");
            // Nothing has happened since, and that b is held is told all the same.
            let again = store.compact().unwrap();
            assert_eq!((again.epoch, again.held.len()), (report.epoch, 1), "{how:?}");
            store.close().unwrap();
        }
        fs.put(file("b"), &whole);
        let store = open(&fs);
        assert_eq!(texts(&store, "b"), said("b", &["newest"]), "{how:?}");
        assert_eq!(store.conversation("b").unwrap().unwrap().title, "Renamed");
        assert!(store.recovery().damaged.is_empty(), "{how:?}: {:?}", store.recovery());
        assert_eq!((store.stats().unwrap().held, store.stats().unwrap().damaged), (1, 0), "{how:?}");
        // What was said with a key before the damage was said once.
        let again = Mutation::add_message("b", NewMessage::new("newer").id("m2")).key("b");
        assert_eq!(store.append(again).unwrap().seq, 5, "{how:?}");
        assert_eq!(store.add_message("b", "goes on").unwrap().version, 5, "{how:?}");
        assert!(store.compact().unwrap().held.is_empty(), "{how:?}");
        assert_eq!((store.stats().unwrap().held, store.stats().unwrap().segments), (0, 1), "{how:?}");
        assert!(store.verify().unwrap().is_sound(), "{how:?}");
        store.close().unwrap();
        let store = open(&fs);
        assert_eq!(texts(&store, "b"), said("b", &["newest", "goes on"]), "{how:?}");
        assert_eq!(texts(&store, "a").len(), 10, "{how:?}");
    }
}

/// Files that are damaged under an open store, read from before or not, and put back under it.
#[test]
fn a_file_that_is_put_back_under_an_open_store_counts_at_once() {
    for how in DAMAGE {
        for is_read_before in [false, true] {
            let fs = newer_than_its_files();
            let store = open(&fs);
            if is_read_before {
                assert_eq!(texts(&store, "b").len(), 2);
            }
            let whole = damage(&fs, "b", how);
            assert_eq!(store.compact().unwrap().held.len(), 1, "{how:?}");
            holds(&store, how);
            assert_eq!(store.add_message("b", "no").unwrap_err().kind(), ErrorKind::Corrupt, "{how:?}");
            fs.put(file("b"), &whole);
            assert_eq!(store.add_message("b", "goes on").unwrap().version, 5, "{how:?}");
            assert_eq!(texts(&store, "b"), said("b", &["newest", "goes on"]), "{how:?}");
            drop(store);
            // The addition was to the log, and what is held is before it.
            let store = open(&fs);
            assert_eq!(texts(&store, "b"), said("b", &["newest", "goes on"]), "{how:?}");
            assert!(store.compact().unwrap().held.is_empty(), "{how:?}");
            store.close().unwrap();
            assert_eq!(texts(&open(&fs), "b"), said("b", &["newest", "goes on"]), "{how:?}");
        }
    }
}

/// Two that are held from different compactions on, one of them longer, with the other's events in its segments.
#[test]
fn each_held_conversation_has_its_own_events_back() {
    let fs = newer_than_its_files();
    let of_b = damage(&fs, "b", Damage::Missing);
    let store = open(&fs);
    drop(store.compact().unwrap());
    drop(store.add_message("c", "later").unwrap());
    drop(store.add_message("a", "later").unwrap());
    let of_c = damage(&fs, "c", Damage::Cut);
    assert_eq!(store.compact().unwrap().held.len(), 2);
    drop(store.add_message("a", "last").unwrap());
    assert_eq!(store.compact().unwrap().held.len(), 2);
    assert_eq!((store.stats().unwrap().held, store.stats().unwrap().segments), (2, 3));
    store.close().unwrap();
    fs.put(file("b"), &of_b);
    let store = open(&fs);
    assert_eq!(texts(&store, "b"), said("b", &["newest"]));
    assert_eq!(store.compact().unwrap().held.len(), 1);
    assert_eq!((store.stats().unwrap().held, store.stats().unwrap().segments), (1, 2));
    // In the order of what happened last, whether held or not.
    let ids = |store: &MessageStore| -> Vec<String> {
        store.conversations(Order::Activity).unwrap().into_iter().map(|summary| summary.id).collect()
    };
    assert_eq!(ids(&store), ["a", "c", "b"]);
    store.close().unwrap();
    fs.put(file("c"), &of_c);
    let store = open(&fs);
    assert_eq!(ids(&store), ["a", "c", "b"]);
    assert_eq!(texts(&store, "c"), said("c", &["newer", "later"]));
    assert_eq!(texts(&store, "a"), said("a", &["newer", "later", "last"]));
    assert!(store.compact().unwrap().held.is_empty());
    assert_eq!(texts(&store, "c"), said("c", &["newer", "later"]));
    assert!(store.verify().unwrap().is_sound());
}

#[test]
fn whoever_removes_a_held_conversation_lets_go_of_it() {
    for how in DAMAGE {
        let fs = newer_than_its_files();
        drop(damage(&fs, "b", how));
        let store = open(&fs);
        drop(store.compact().unwrap());
        drop(store.remove_conversation("b").unwrap());
        drop(store.add_message("b", "another life").unwrap());
        let report = store.compact().unwrap();
        assert_eq!((report.held.len(), store.stats().unwrap().held), (0, 0), "{how:?}");
        assert_eq!(report.quarantined.len(), usize::from(how != Damage::Missing), "{how:?}: {report:?}");
        assert_eq!(store.stats().unwrap().segments, 1, "{how:?}");
        store.close().unwrap();
        let store = open(&fs);
        assert_eq!(texts(&store, "b"), ["another life"], "{how:?}");
        assert!(store.verify().unwrap().is_sound(), "{how:?}");
    }
}

/// A reader sees what a writer sees; an export has what is held once the file is back.
#[test]
fn readers_and_exports_have_what_is_held() {
    let fs = newer_than_its_files();
    let whole = damage(&fs, "b", Damage::Flipped);
    let store = open(&fs);
    drop(store.compact().unwrap());
    store.close().unwrap();
    let viewer = on(&fs).read_only().open(DIR).unwrap();
    holds(&viewer, Damage::Flipped);
    assert_eq!(texts(&viewer, "a"), said("a", &["newer"]));
    fs.put(file("b"), &whole);
    let viewer = on(&fs).read_only().open(DIR).unwrap();
    assert_eq!(texts(&viewer, "b"), said("b", &["newest"]));
    assert!(viewer.verify().unwrap().is_sound() && viewer.recovery().damaged.is_empty());
    assert_eq!(viewer.export_aral("/home/exported", None).unwrap().conversations, 3);
    let exported = on(&fs).read_only().open("/home/exported").unwrap();
    assert_eq!(texts(&exported, "b"), said("b", &["newest"]));
}

/// What is held is covered: the log says that it is compacted away, and shows nothing twice.
#[test]
fn the_log_shows_no_held_event_again() {
    let fs = newer_than_its_files();
    drop(damage(&fs, "b", Damage::Flipped));
    let store = open(&fs);
    drop(store.compact().unwrap());
    drop(store.add_message("a", "later").unwrap());
    let batches = store.events(1).unwrap();
    assert_eq!(batches.iter().map(|(seq, _)| *seq).collect::<Vec<_>>(), [9]);
    let mut follower = store.follow(1).unwrap();
    assert!(matches!(follower.next_logged().unwrap(), Some(Logged::Compacted { first: 1, last: 8 })));
    let Some(Logged::Batch { seq: 9, events }) = follower.next_logged().unwrap() else { panic!("no batch") };
    assert!(matches!(events.as_slice(), [Event { conversation_id, .. }] if conversation_id == "a"));
    assert!(follower.next_logged().unwrap().is_none());
}

#[test]
fn a_repair_saves_what_is_held() {
    for how in DAMAGE {
        let fs = newer_than_its_files();
        let whole = damage(&fs, "b", how);
        let store = open(&fs);
        drop(store.compact().unwrap());
        drop(store.add_message("a", "later").unwrap());
        store.close().unwrap();
        let report = on(&fs).repair(DIR, "/home/repaired").unwrap();
        if how != Damage::Flipped {
            assert!(report.lost.iter().any(|lost| lost.conversation_id.as_deref() == Some("b")), "{how:?}");
        }
        let repaired = on(&fs).open("/home/repaired").unwrap();
        let mut ought = said("b", &["newest"]);
        if how != Damage::Flipped {
            ought.remove(0);
        }
        assert_eq!(texts(&repaired, "b"), ought, "{how:?}");
        assert_eq!(repaired.conversation("b").unwrap().unwrap().title, "Renamed", "{how:?}");
        assert_eq!(texts(&repaired, "a"), said("a", &["newer", "later"]), "{how:?}");
        // With the file back nothing is lost.
        fs.put(file("b"), &whole);
        assert!(on(&fs).repair(DIR, "/home/again").unwrap().is_complete(), "{how:?}");
        let repaired = on(&fs).open("/home/again").unwrap();
        assert_eq!(texts(&repaired, "b"), said("b", &["newest"]), "{how:?}");
    }
}

/// Nothing else says what is held: a repair that has lost it says so.
#[test]
fn a_repair_without_the_checkpoint_says_that_what_was_held_is_lost() {
    let fs = newer_than_its_files();
    let whole = damage(&fs, "b", Damage::Cut);
    let store = open(&fs);
    drop(store.compact().unwrap());
    store.close().unwrap();
    fs.put(file("b"), &whole);
    let files = fs.files().into_iter().map(|(path, _)| path);
    let checkpoint = files.filter(|path| path.to_string_lossy().contains("CHECKPOINT")).max().unwrap();
    fs.zero_range(&checkpoint, 200, 300);
    assert_eq!(on(&fs).open(DIR).unwrap_err().kind(), ErrorKind::Corrupt);
    let report = on(&fs).repair(DIR, "/home/repaired").unwrap();
    assert!(report.lost.iter().any(|lost| lost.reason.contains("held")), "{report:?}");
    assert_eq!(texts(&on(&fs).open("/home/repaired").unwrap(), "a"), said("a", &["newer"]));
}

/// Damage to a segment that is kept is damage to the log: told with its place, and nothing is changed.
#[test]
fn a_kept_segment_is_checked_as_any_other() {
    let fs = newer_than_its_files();
    let whole = damage(&fs, "b", Damage::Cut);
    let store = open(&fs);
    drop(store.compact().unwrap());
    drop(store.add_message("a", "later").unwrap());
    store.close().unwrap();
    fs.put(file("b"), &whole);
    let files = fs.files().into_iter().map(|(path, _)| path);
    let kept = &files.filter(|path| path.extension().is_some_and(|e| e == "seg")).min().unwrap();
    let sound = fs.read(kept).unwrap();
    let mut flipped = sound.clone();
    flipped[4096 + 40] ^= 1;
    for (n, broken) in [None, Some(flipped), Some(sound[..4096].to_vec())].into_iter().enumerate() {
        match &broken {
            Some(bytes) => fs.put(kept, bytes),
            None => fs.delete(kept),
        }
        let error = on(&fs).open(DIR).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        assert!(!on(&fs).verify(DIR).unwrap().is_sound());
        let to = format!("/home/repaired{n}");
        let report = on(&fs).repair(DIR, &to).unwrap();
        assert!(!report.is_complete(), "{report:?}");
        let repaired = on(&fs).open(&to).unwrap();
        assert_eq!(texts(&repaired, "a"), said("a", &["newer", "later"]));
        assert_eq!(texts(&repaired, "b")[0], "said in b");
    }
    fs.put(kept, &sound);
    assert_eq!(texts(&open(&fs), "b"), said("b", &["newest"]));
}

/// In the background too: the log does not grow because of one file.
#[test]
fn the_background_goes_on_compacting() {
    let fs = newer_than_its_files();
    drop(damage(&fs, "b", Damage::Flipped));
    let store = on(&fs).sync(SyncPolicy::Os).compact_above(20_000).open(DIR).unwrap();
    let before = store.stats().unwrap().epoch;
    let text = "x".repeat(1000);
    for _ in 0..20_000 {
        drop(store.add_message("a", text.as_str()).unwrap());
        if store.stats().unwrap().epoch > before + 2 {
            break;
        }
        std::thread::yield_now();
    }
    let stats = store.stats().unwrap();
    assert!(stats.epoch > before + 2 && stats.held == 1, "{stats:?}");
    assert_eq!(stats.compaction_error, None);
}

/// Whoever does not get a report gets an error.
#[test]
fn a_close_that_compacts_says_what_it_could_not_write() {
    let fs = newer_than_its_files();
    drop(damage(&fs, "b", Damage::Edited));
    let store = on(&fs).compact_on_close().open(DIR).unwrap();
    let error = store.close().unwrap_err();
    assert!(error.kind() == ErrorKind::Corrupt && error.message().contains("\"b\""), "{error}");
    let written = String::from_utf8(fs.read(file("a")).unwrap()).unwrap();
    assert!(written.contains("newer"), "{written}");
}

/// A file that the system cannot read is no better than a damaged one, and may be readable the next time.
#[test]
fn a_file_that_the_system_cannot_read_keeps_nothing_else_from_being_compacted() {
    let fs = newer_than_its_files();
    let rule = |call| Rule::new(call, 1, Fault::Errno(EIO)).on("/b.json").for_ever();
    let faults = FaultFs::over_sim(&fs, vec![rule(Call::Open), rule(Call::Read)]);
    let store = MessageStore::options().compact_manually().vfs(Arc::new(faults.clone())).open(DIR).unwrap();
    let report = store.compact().unwrap();
    assert_eq!((report.written, report.held.len()), (2, 1), "{report:?}");
    assert_eq!(store.add_message("b", "no").unwrap_err().kind(), ErrorKind::Corrupt);
    faults.replan(Vec::new());
    assert_eq!(store.add_message("b", "goes on").unwrap().version, 5);
    assert!(store.compact().unwrap().held.is_empty());
    assert_eq!(texts(&store, "b"), said("b", &["newest", "goes on"]));
    // What is about all files is about this one too, and is an error of the compaction.
    drop(store.add_message("b", "and on").unwrap());
    store.close().unwrap();
    let many = Rule::new(Call::Open, 1, Fault::Errno(EMFILE)).on("/b.json").for_ever();
    let faults = FaultFs::over_sim(&fs, vec![many]);
    let store = MessageStore::options().compact_manually().vfs(Arc::new(faults.clone())).open(DIR).unwrap();
    assert_eq!(store.compact().unwrap_err().kind(), ErrorKind::Io);
    faults.replan(Vec::new());
    assert!(store.compact().unwrap().held.is_empty());
}

/// What is added to a conversation while a compaction finds that its file cannot be read is not held by that compaction,
/// and is behind what is.
#[test]
fn what_is_added_while_a_compaction_comes_upon_the_damage_stays_behind_what_is_held() {
    for is_killed in [false, true] {
        let fs = newer_than_its_files();
        let hooked = Hooked::over(fs.clone());
        let vfs: Arc<dyn Vfs> = hooked.clone();
        let store = MessageStore::options().compact_manually().vfs(vfs).open(DIR).unwrap();
        let whole = fs.read(file("b")).unwrap();
        let (other, under) = (store.clone(), fs.clone());
        // The files have been looked at, the state has been taken, and nothing has been staged yet.
        hooked.before(Call::Create, ".staged", move || {
            drop(other.add_message("b", "meanwhile").unwrap());
            drop(other.set_title("b", "Meanwhile").unwrap());
            drop(damage(&under, "b", Damage::Flipped));
        });
        assert_eq!(store.compact().unwrap().held.len(), 1);
        assert!(hooked.has_begun());
        assert_eq!(store.add_message("b", "no").unwrap_err().kind(), ErrorKind::Corrupt);
        let (fs, store) = if is_killed {
            let after = fs.kill();
            drop(store);
            let store = open(&after);
            (after, store)
        } else {
            (fs, store)
        };
        // The next one holds both.
        drop(store.add_message("a", "beside it").unwrap());
        assert_eq!(store.compact().unwrap().held.len(), 1);
        fs.put(file("b"), &whole);
        assert_eq!(texts(&store, "b"), said("b", &["newest", "meanwhile"]));
        assert_eq!(store.summary("b").unwrap().unwrap().version, 6);
        assert!(store.verify().unwrap().notes.iter().any(|note| note.contains("5 events")));
        drop(store);
        let store = open(&fs);
        assert_eq!(texts(&store, "b"), said("b", &["newest", "meanwhile"]));
        assert_eq!(store.conversation("b").unwrap().unwrap().title, "Meanwhile");
        assert!(store.compact().unwrap().held.is_empty());
        assert_eq!(texts(&store, "b"), said("b", &["newest", "meanwhile"]));
        assert_eq!(store.stats().unwrap().segments, 1);
    }
}

/// Whoever takes a held conversation's file as it is keeps what the log holds beside it.
#[test]
fn an_accepted_file_gets_what_was_held() {
    let fs = newer_than_its_files();
    drop(damage(&fs, "b", Damage::Edited));
    let store = open(&fs);
    assert_eq!(store.compact().unwrap().held.len(), 1);
    assert!(store.accept("b").unwrap().is_some());
    let ought = ["never said in b", "newest"].map(str::to_owned);
    assert_eq!(texts(&store, "b"), ought);
    assert_eq!(store.conversation("b").unwrap().unwrap().title, "Renamed");
    drop(store.add_message("a", "beside it").unwrap());
    drop(store);
    let store = open(&fs);
    assert_eq!(texts(&store, "b"), ought);
    let report = store.compact().unwrap();
    assert_eq!((report.held.len(), report.quarantined.len(), store.stats().unwrap().segments), (0, 1, 1));
    store.close().unwrap();
    let store = open(&fs);
    assert_eq!(texts(&store, "b"), ought);
    assert!(store.verify().unwrap().is_sound());
}
