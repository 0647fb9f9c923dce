//! Files that somebody replaces between the death of a writer in the midst of a compaction and the next opening.
//!
//! What was put in place is known to the checkpoint that was committed, and the segments that it covers are about to
//! go. If something else stands there by now, they are all there is of the conversation's newest events.

use std::path::PathBuf;
use std::sync::Arc;

use aral_store::{ErrorKind, MessageStore, Messages, NewMessage, Options};

use crate::support::driver::{self, DIR};
use crate::support::faultfs::{Call, Fault, FaultFs, Rule};
use crate::support::simfs::errno::EIO;
use crate::support::simfs::{self, SimFs};

fn on(fs: &SimFs) -> Options {
    MessageStore::options().compact_manually().first_segment_bytes(8 << 10).vfs(Arc::new(fs.clone()))
}

fn file(id: &str) -> PathBuf {
    PathBuf::from(format!("{DIR}/conversations/{id}.json"))
}

fn texts(store: &MessageStore, id: &str) -> Vec<String> {
    let messages = store.messages(id, Messages::all()).unwrap();
    messages.iter().map(|message| message.content.to_string_lossy().into_owned()).collect()
}

fn add(store: &MessageStore, conversation: &str, text: &str) {
    drop(store.add_message(conversation, NewMessage::new(text).id(text)).unwrap());
}

/// The segments' files.
fn segments(fs: &SimFs) -> Vec<PathBuf> {
    let files = fs.files().into_iter().map(|(path, _)| path);
    files.filter(|path| path.extension().is_some_and(|ending| ending == "seg")).collect()
}

/// What the conversations hold once all is compacted: one from before that was added to, one that began since, one
/// that was removed and began anew, and one that stands by.
const HELD: [(&str, &[&str]); 4] =
    [("b", &["b1", "b2", "b3"]), ("new", &["n1", "n2"]), ("anew", &["x2", "x3"]), ("other", &["o1", "o2"])];

/// A store that is compacted for the second time: each state in which it can be killed, the files as they are after
/// the first time, and as they are in the end.
struct Killed {
    states: Vec<SimFs>,
    before: Vec<Option<Vec<u8>>>,
    after: Vec<Vec<u8>>,
    /// The segments that the last compaction covers and drops.
    covered: Vec<PathBuf>,
}

/// Such a store; if wanted, with a conversation `h` whose events are held in the log from before.
fn killed(holds: bool) -> Killed {
    let fs = driver::fresh(simfs::Settings::default());
    let mut store = on(&fs).open(DIR).unwrap();
    for (conversation, text) in [("b", "b1"), ("anew", "x1"), ("other", "o1")] {
        add(&store, conversation, text);
    }
    if holds {
        add(&store, "h", "h1");
    }
    drop(store.compact().unwrap());
    if holds {
        add(&store, "h", "h2");
        store.close().unwrap();
        fs.put(file("h"), b"{ cut");
        store = on(&fs).open(DIR).unwrap();
        assert_eq!(store.compact().unwrap().held.len(), 1);
    }
    add(&store, "b", "b2");
    add(&store, "other", "o2");
    add(&store, "new", "n1");
    // Each opening begins another segment.
    store.close().unwrap();
    let store = on(&fs).open(DIR).unwrap();
    drop(store.remove_conversation("anew").unwrap());
    for (conversation, text) in [("anew", "x2"), ("b", "b3"), ("new", "n2"), ("anew", "x3")] {
        add(&store, conversation, text);
    }
    let mut covered = segments(&fs);
    let before = HELD.iter().map(|(id, _)| fs.read(file(id))).collect();
    let history = fs.record(|_| drop(store.compact().unwrap()));
    covered.retain(|path| fs.read(path).is_none());
    assert!(covered.len() > 1, "{covered:?}");
    let after = HELD.iter().map(|(id, _)| fs.read(file(id)).unwrap()).collect();
    Killed { states: history.into_iter().map(|(_, state)| state).collect(), before, after, covered }
}

/// Something else than the store ever wrote, which holds nothing that was said.
fn other(id: &str) -> Vec<u8> {
    let text = r#"{"id": "ID", "title": "T", "created_at": "2024-05-01T10:00:00", "messages": [{"id": "e", "content": "else", "role": "user", "created_at": "2024-05-01T10:00:00", "metadata": {}}], "actions": [], "metadata": {}}"#;
    text.replace("ID", id).into_bytes()
}

/// Goes through the moments at which a file had been put in place, with something else there instead since.
fn each(holds: bool, check: &mut dyn FnMut(SimFs, &Killed, usize, bool)) -> usize {
    let killed = killed(holds);
    let mut held = 0;
    for state in &killed.states {
        for (at, (id, _)) in HELD.iter().enumerate().take(3) {
            if state.read(file(id)).as_ref() != Some(&killed.after[at]) {
                continue;
            }
            let fs = state.kill();
            fs.put(file(id), &other(id));
            let left = killed.covered.iter().filter(|path| fs.read(path).is_some()).count();
            let is_all_there = left == killed.covered.len();
            held += usize::from(is_all_there);
            match on(&fs).open(DIR) {
                Ok(store) => drop(store),
                Err(error) => {
                    assert!(!is_all_there && left > 0, "{id}: {error}");
                    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
                    assert!(error.message().contains("put the file back"), "{error}");
                    let now = killed.covered.iter().filter(|path| fs.read(path).is_some()).count();
                    assert_eq!(now, left, "{id}: nothing is dropped by whoever refuses");
                    fs.put(file(id), &killed.after[at]);
                    check_whole(&on(&fs).open(DIR).unwrap(), at, true);
                    continue;
                }
            }
            check(fs, &killed, at, is_all_there);
        }
    }
    held
}

/// Whether all others are whole, and this one is as well.
fn check_whole(store: &MessageStore, at: usize, is_whole: bool) {
    for (n, (id, ought)) in HELD.iter().enumerate() {
        if n != at || is_whole {
            assert_eq!(texts(store, id), *ought, "{id}, with {:?} replaced", HELD[at].0);
        }
    }
}

/// Whether a conversation cannot be read without its file, which is told then; if the log has all of it, it is whole.
fn is_damaged(store: &MessageStore, at: usize) -> bool {
    let id = HELD[at].0;
    let report = store.recovery();
    let is_told = report.damaged.iter().any(|told| told.conversation_id.as_deref() == Some(id));
    match store.messages(id, Messages::all()) {
        Ok(_) => {
            assert_eq!(texts(store, id), HELD[at].1);
            false
        }
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
            assert!(is_told, "{id}: {report:?}");
            true
        }
    }
}

#[test]
fn a_file_that_is_replaced_after_it_was_put_in_place_takes_no_event_with_it() {
    let held = each(false, &mut |fs, _, at, is_all_there| {
        let id = HELD[at].0;
        let store = on(&fs).open(DIR).unwrap();
        check_whole(&store, at, false);
        let is_damaged = is_damaged(&store, at);
        drop(store.add_message("other", NewMessage::new("o3").id("o3")).unwrap());
        let report = store.compact().unwrap();
        assert_eq!(
            (report.held.len(), report.quarantined.len()),
            (usize::from(is_damaged && is_all_there), usize::from(!is_damaged))
        );
        drop(store.remove_message("other", "o3").unwrap());
        check_whole(&store, at, !is_damaged);
        // What the log holds comes to whatever its owner takes as it is.
        if is_damaged {
            assert!(store.accept(id).unwrap().is_some());
            let found = texts(&store, id);
            let lacks: Vec<_> =
                HELD[at].1.iter().filter(|text| !found.iter().any(|has| has == *text)).collect();
            let first = usize::from(id == "b");
            assert!(!is_all_there || lacks.len() <= first, "{id}: {found:?} lacks {lacks:?}");
        }
        let found = texts(&store, id);
        drop(store.compact().unwrap());
        store.close().unwrap();
        let store = on(&fs).open(DIR).unwrap();
        assert_eq!(texts(&store, id), found);
        assert!(store.verify().unwrap().is_sound(), "{id}: {:?}", store.verify().unwrap());
    });
    assert!(held > 10, "{held}");
}

/// A segment that is kept for a conversation held from before does not count as one that was to be dropped.
#[test]
fn a_conversation_that_is_held_from_before_keeps_no_store_from_opening() {
    let mut without_log = 0;
    let held = each(true, &mut |fs, killed, at, is_all_there| {
        let id = HELD[at].0;
        without_log += usize::from(killed.covered.iter().all(|path| fs.read(path).is_none()));
        let store = on(&fs).open(DIR).unwrap();
        check_whole(&store, at, false);
        let is_damaged = is_damaged(&store, at);
        assert_eq!(store.messages("h", Messages::all()).unwrap_err().kind(), ErrorKind::Corrupt);
        drop(store.add_message("other", NewMessage::new("o3").id("o3")).unwrap());
        let held = store.compact().unwrap().held;
        assert_eq!(held.len(), 1 + usize::from(is_damaged && is_all_there), "{id}: {held:?}");
        drop(store.remove_message("other", "o3").unwrap());
        check_whole(&store, at, !is_damaged);
        assert!(store.accept("h").is_err(), "it cannot be read");
        fs.put(file("h"), &other("h"));
        assert!(store.accept("h").unwrap().is_some());
        assert_eq!(texts(&store, "h"), ["else", "h2"]);
        assert_eq!(store.accept(id).unwrap().is_some(), is_damaged, "{id}");
        drop(store.compact().unwrap());
        assert!(store.verify().unwrap().is_sound(), "{id}: {:?}", store.verify().unwrap());
    });
    assert!(held > 10 && without_log > 2, "{held} {without_log}");
}

#[test]
fn the_file_from_before_the_compaction_has_everything_back() {
    let held = each(false, &mut |fs, killed, at, is_all_there| {
        let (id, ought) = HELD[at];
        let Some(before) = killed.before[at].as_ref().filter(|_| is_all_there) else { return };
        fs.put(file(id), before);
        let store = on(&fs).open(DIR).unwrap();
        assert_eq!(texts(&store, id), ought);
        check_whole(&store, at, true);
        assert!(store.compact().unwrap().held.is_empty());
        assert_eq!(fs.read(file(id)).unwrap(), killed.after[at]);
        assert_eq!(store.stats().unwrap().segments, 1);
        assert!(store.verify().unwrap().is_sound());
    });
    assert!(held > 10, "{held}");
}

/// Whoever is killed while he holds events leaves them to the next one, who holds the same.
#[test]
fn a_holding_that_is_cut_is_done_again() {
    let Killed { states, after, before, .. } = killed(false);
    let state = states.iter().find(|state| state.read(file("new")).as_ref() == Some(&after[1])).unwrap();
    let fs = state.kill();
    fs.put(file("b"), &other("b"));
    let history = fs.record(|fs| drop(on(fs).open(DIR).unwrap()));
    assert!(history.len() > 4);
    for (op, state) in history {
        let fs = state.kill();
        let store = on(&fs).open(DIR).unwrap();
        check_whole(&store, 0, false);
        assert_eq!(store.messages("b", Messages::all()).unwrap_err().kind(), ErrorKind::Corrupt, "{op:?}");
        drop(store);
        fs.put(file("b"), before[0].as_ref().unwrap());
        check_whole(&on(&fs).open(DIR).unwrap(), 0, true);
    }
}

/// The same under a writer that goes on: it refuses, says what to do, and drops nothing.
#[test]
fn a_writer_whose_compaction_was_cut_refuses_to_drop_what_a_replaced_file_had() {
    let fs = driver::fresh(simfs::Settings::default());
    // The first file has been put in place, and the second cannot be.
    let rule = Rule::new(Call::Rename, 1, Fault::Errno(EIO)).on("/other.json");
    let faults = FaultFs::over_sim(&fs, Vec::new());
    let options = || MessageStore::options().compact_manually().vfs(Arc::new(faults.clone()));
    let store = options().open(DIR).unwrap();
    for (conversation, text) in [("b", "b1"), ("other", "o1")] {
        add(&store, conversation, text);
    }
    drop(store.compact().unwrap());
    for (conversation, text) in [("b", "b2"), ("other", "o2")] {
        add(&store, conversation, text);
    }
    let (before, covered) = (fs.read(file("b")).unwrap(), segments(&fs));
    faults.replan(vec![rule]);
    assert_eq!(store.compact().unwrap_err().kind(), ErrorKind::Io);
    faults.replan(Vec::new());
    assert_ne!(fs.read(file("b")).unwrap(), before, "it is in place");
    fs.put(file("b"), &other("b"));
    for _ in 0..2 {
        let error = store.compact().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        assert!(error.message().contains("open it again"), "{error}");
        assert!(covered.iter().all(|path| fs.read(path).is_some()), "{covered:?}");
        assert_eq!(texts(&store, "other"), ["o1", "o2"]);
    }
    store.close().ok();
    let store = options().open(DIR).unwrap();
    assert_eq!(store.messages("b", Messages::all()).unwrap_err().kind(), ErrorKind::Corrupt);
    assert!(store.accept("b").unwrap().is_some());
    assert_eq!(texts(&store, "b"), ["else", "b2"]);
    assert_eq!(texts(&store, "other"), ["o1", "o2"]);
    assert!(store.compact().unwrap().held.is_empty());
    assert!(store.verify().unwrap().is_sound());
}
