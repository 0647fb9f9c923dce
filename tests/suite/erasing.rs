//! What is erased is in no file any more, wherever it was, and nothing else is missing.

use std::path::PathBuf;
use std::sync::Arc;

use aral_store::{
    Conversation, Edit, Erasure, ErrorKind, Fork, JsonObject, Keep, MessageStore, Messages, Mutation,
    NewAction, NewConversation, NewMessage, Operation, RemovalReason, SyncPolicy, Where,
};

use crate::support::driver::{self, DIR, Driver, Home};
use crate::support::faultfs::{Call, Fault, FaultFs, Rule};
use crate::support::ops::Settings;
use crate::support::simfs::errno::{EIO, ENOSPC};
use crate::support::simfs::{self, SimFs, SplitMix};
use crate::support::sources::Sources;

const SETTINGS: Settings =
    Settings { sync: SyncPolicy::Always, first_segment_bytes: 8 << 10, compacts_on_close: false };

/// What occurs in all that is to be erased, and in nothing else.
const SECRET: &[u8] = b"SECRET-7f3a";

/// In no file.
const NOWHERE: [PathBuf; 0] = [];

fn fresh() -> SimFs {
    driver::fresh(simfs::Settings::default())
}

fn open(sim: &SimFs) -> MessageStore {
    driver::open(&Home::Sim(sim.clone()), SETTINGS, &Sources::default()).unwrap()
}

fn read(sim: &SimFs) -> MessageStore {
    MessageStore::options().vfs(Arc::new(sim.clone())).read_only().open(DIR).unwrap()
}

/// The files of a disk in which there is something.
fn with(sim: &SimFs, what: &[u8]) -> Vec<PathBuf> {
    let has = |path: &PathBuf| sim.read(path).unwrap().windows(what.len()).any(|window| window == what);
    sim.files().into_iter().map(|(path, _)| path).filter(has).collect()
}

fn say(store: &MessageStore, conversation: &str, id: &str, text: &str) {
    let metadata = JsonObject::parse(&format!(r#"{{"note":"about {text}"}}"#)).unwrap();
    let message =
        NewMessage::new(format!("{text}, said as {id} in {conversation}")).id(id).metadata(metadata);
    let key = format!("{text}-key-{conversation}-{id}");
    drop(store.append(Mutation::add_message(conversation, message).key(key)).unwrap());
}

/// A life in which a secret comes to be in the log, in chapters, in the JSON files, among the keys and in what was set aside.
fn live(store: &MessageStore) {
    store.keep_history(Keep::Everything).unwrap();
    let title = NewConversation::new().title("SECRET-7f3a as a title");
    store.create_conversation_with_id("gone", title).unwrap();
    // One who has read nothing yet, for whom segments are kept.
    drop(store.consumer("slow").unwrap());
    say(store, "gone", "m1", "SECRET-7f3a");
    say(store, "stays", "m1", "harmless");
    store.compact().unwrap();
    store
        .edit_message("gone", "m1", Edit::content("SECRET-7f3a edited, and \u{e9}\u{e9}\u{e9} too"))
        .unwrap();
    say(store, "stays", "m2", "harmless too");
    let data = JsonObject::parse(r#"{"deep":["SECRET-7f3a in an action"]}"#).unwrap();
    store.add_action("gone", NewAction::new("click", data)).unwrap();
    store.compact().unwrap();
    let both = vec![
        Mutation::add_message("gone", NewMessage::new("SECRET-7f3a in a batch with another").id("m2")),
        Mutation::add_message("stays", NewMessage::new("in a batch").id("m3")),
    ];
    store.batch(both).unwrap();
    say(store, "gone", "m3", "SECRET-7f3a");
    say(store, "stays", "m4", "harmless at last");
}

/// What stays: the conversation, and what it was after each of its events.
type Kept = (Conversation, Vec<(u64, String)>);

fn kept(store: &MessageStore) -> Kept {
    let history = store.history("stays").unwrap();
    assert_eq!(history.whole_from, 0);
    let events = history.events.iter().map(|past| (past.seq, format!("{:?}", past.event))).collect();
    (store.conversation("stays").unwrap().unwrap(), events)
}

fn set_aside(sim: &SimFs) {
    sim.put(format!("{DIR}/log/quarantine/torn-0000000000000001-20"), b"xx SECRET-7f3a, said as m1 in gone");
    sim.put(format!("{DIR}/log/quarantine/gone.json.00-00"), br#"{"id": "gone", "x": "SECRET-7f3a"}"#);
    sim.put(format!("{DIR}/log/quarantine/gone.json.00-01"), b"SECRET-7f3a cut sh");
    sim.put(format!("{DIR}/log/quarantine/stays.json.00-00"), br#"{"id": "stays"}"#);
    sim.put(format!("{DIR}/conversations/.staged-00-1"), b"SECRET-7f3a, said as m1 in gone");
}

#[test]
fn an_erased_conversation_is_in_no_file_and_nothing_else_is_missing() {
    let sim = fresh();
    let store = open(&sim);
    live(&store);
    sim.put_dir(format!("{DIR}/log/quarantine"));
    set_aside(&sim);
    assert!(with(&sim, SECRET).len() > 6, "it is everywhere: {:?}", with(&sim, SECRET));
    let before = kept(&store);
    let planned = store.erasable(&Erasure::conversation("gone")).unwrap();
    assert_eq!(with(&sim, SECRET).len(), with(&sim.snapshot(), SECRET).len());
    let done = store.erase(&Erasure::conversation("gone")).unwrap();
    assert_eq!((planned.messages, done.messages, done.actions), (3, 3, 1));
    assert_eq!(planned.events, done.events);
    assert_eq!(done.events.iter().map(|(first, last)| last - first + 1).sum::<u64>(), 6);
    assert!(done.not_erased.is_empty() && done.forks.is_empty(), "{done:?}");
    assert_eq!(with(&sim, SECRET), NOWHERE);
    assert!(!done.receipt.contains("gone") && done.receipt.contains("checksum"), "{}", done.receipt);
    let aside: Vec<_> = sim.files().into_iter().map(|(path, _)| path).collect();
    let aside = aside.into_iter().filter(|path| path.starts_with(format!("{DIR}/log/quarantine")));
    assert_eq!(aside.collect::<Vec<_>>(), [PathBuf::from(format!("{DIR}/log/quarantine/stays.json.00-00"))]);
    assert_eq!(kept(&store), before);
    assert!(store.remnants(&done.receipt, &[]).unwrap().is_empty());
    let missed = store.consumer("slow").unwrap().next_batch(10).unwrap_err();
    assert_eq!(missed.kind(), ErrorKind::Missed);
    let report = store.verify().unwrap();
    assert!(report.is_sound(), "{report:?}");
    // What is remembered says so, now and then.
    let error = store.messages("gone", Messages::all()).unwrap_err();
    assert!(error.message().contains("it was erased at"), "{error}");
    assert_eq!(store.removed("gone").unwrap().unwrap().reason, RemovalReason::Erasure);
    assert_eq!(store.at(2).conversation("gone").unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(store.unremove("gone").unwrap_err().kind(), ErrorKind::NotFound);
    // Its keys are nobody's any more.
    say(&store, "stays", "m5", "SECRET-7f3a");
    store.close().unwrap();
    let store = open(&sim);
    assert_eq!(store.stats().unwrap().conversations, 1);
    assert!(store.verify().unwrap().is_sound());
}

#[test]
fn what_was_removed_long_ago_is_erased_from_what_is_kept_of_it() {
    let sim = fresh();
    let store = open(&sim);
    live(&store);
    let before = kept(&store);
    store.remove_conversation("gone").unwrap();
    store.compact().unwrap();
    assert!(!with(&sim, SECRET).is_empty(), "its history is kept");
    store.erase(&Erasure::conversation("gone")).unwrap();
    assert_eq!(with(&sim, SECRET), NOWHERE);
    assert_eq!(store.removed("gone").unwrap().unwrap().reason, RemovalReason::Erasure);
    assert_eq!(kept(&store), before);
    let again = store.erase(&Erasure::conversation("never")).unwrap_err();
    assert_eq!(again.kind(), ErrorKind::NotFound);
}

#[test]
fn an_erased_message_leaves_its_place_in_the_past_and_nothing_else() {
    let sim = fresh();
    let store = open(&sim);
    store.keep_history(Keep::Everything).unwrap();
    say(&store, "c1", "m1", "harmless");
    say(&store, "c1", "m2", "SECRET-7f3a");
    store.compact().unwrap();
    store.edit_message("c1", "m2", Edit::content("SECRET-7f3a again, edited")).unwrap();
    say(&store, "c1", "m3", "harmless too");
    store.compact().unwrap();
    let version = store.summary("c1").unwrap().unwrap().version;
    let done = store.erase(&Erasure::message("c1", "m2")).unwrap();
    assert_eq!((done.messages, with(&sim, SECRET)), (1, Vec::new()));
    assert!(done.not_erased.is_empty(), "{done:?}");
    let now = store.messages("c1", Messages::all()).unwrap();
    assert_eq!(now.iter().map(|message| message.id.to_string_lossy()).collect::<Vec<_>>(), ["m1", "m3"]);
    let then = store.at(4).conversation("c1").unwrap().unwrap();
    assert_eq!((then.version, then.messages.len()), (version, 3));
    assert_eq!(
        (then.messages[1].content.as_str(), then.messages[1].metadata.as_json()),
        (Some(""), r#"{"erased":true}"#)
    );
    assert!(then.messages[0].content.as_str().unwrap().starts_with("harmless"));
    assert!(store.verify().unwrap().is_sound());
    assert!(store.remnants(&done.receipt, &[]).unwrap().is_empty());
}

#[test]
fn what_begins_again_under_the_id_is_looked_back_at_as_far_as_the_erasure() {
    let sim = fresh();
    let store = open(&sim);
    live(&store);
    drop(store.erase(&Erasure::conversation("gone")).unwrap());
    let erased = store.removed("gone").unwrap().unwrap();
    for begun in ["m1", "m2", "m3"] {
        say(&store, "gone", begun, "SECRET-7f3a");
        for _ in 0..2 {
            let history = store.history("gone").unwrap();
            assert_eq!((history.whole_from, history.removed), (erased.seq, Some(erased.clone())));
            assert_eq!(store.at(erased.seq).conversation("gone").unwrap(), None);
            let told = store.at(2).conversation("gone").unwrap_err();
            assert_eq!(told.kind(), ErrorKind::NotFound);
            assert!(told.message().contains("it was erased at"), "{told}");
            store.compact().unwrap();
        }
    }
    assert!(store.verify().unwrap().is_sound());
    drop(store.erase(&Erasure::conversation("gone")).unwrap());
    assert_eq!(with(&sim, SECRET), NOWHERE);
    let again = store.removed("gone").unwrap().unwrap();
    say(&store, "gone", "m1", "begun anew");
    store.compact().unwrap();
    let history = store.history("gone").unwrap();
    assert_eq!((history.whole_from, history.removed), (again.seq, Some(again)));
}

/// Stops an erasure before each of its calls, and opens the store again.
fn stopped(stop: &dyn Fn(&SimFs, u64) -> SimFs) -> (u64, u64) {
    let sim = fresh();
    let store = open(&sim);
    live(&store);
    sim.put_dir(format!("{DIR}/log/quarantine"));
    set_aside(&sim);
    drop(store.verify());
    let (before, gone) = (kept(&store), store.conversation("gone").unwrap().unwrap());
    let steps = sim.record(|_| drop(store.erase(&Erasure::conversation("gone")).unwrap()));
    let (mut stops, mut erased) = (0, 0);
    for (step, (op, state)) in steps.iter().enumerate() {
        let told = format!("stopped before step {step}, {op:?}");
        let left = stop(state, stops);
        stops += 1;
        // A reader finds it as it was, or gone.
        let reader = read(&left);
        let seen = reader.conversation("gone").unwrap_or_else(|error| panic!("{told}: {error}"));
        assert!(seen.is_none() || seen.as_ref() == Some(&gone), "{told}");
        assert_eq!(kept(&reader), before, "{told}");
        drop(reader);
        let was_begun = left.read(format!("{DIR}/log/ERASING")).is_some();
        let store = open(&left);
        assert_eq!(store.stats().unwrap().compaction_error, None, "{told}");
        assert_eq!(kept(&store), before, "{told}");
        let now = store.conversation("gone").unwrap();
        if was_begun {
            assert_eq!(now, None, "{told}");
        }
        if now.is_none() {
            assert_eq!(with(&left, SECRET), NOWHERE, "{told}");
            erased += 1;
        } else {
            assert_eq!(now.as_ref(), Some(&gone), "{told}");
        }
        assert!(store.verify().unwrap().is_sound(), "{told}");
        assert_eq!(left.read(format!("{DIR}/log/ERASING")), None, "{told}");
        store.close().unwrap();
    }
    (stops, erased)
}

#[test]
fn an_erasure_that_is_killed_at_any_step_is_finished_by_the_next_opening() {
    let (stops, erased) = stopped(&|state, _| state.snapshot().kill());
    assert!(stops > 50 && erased > stops / 2, "{stops} {erased}");
}

#[test]
fn an_erasure_whose_power_is_cut_at_any_step_is_finished_by_the_next_opening() {
    let (stops, erased) = stopped(&|state, seed| state.crash(&mut SplitMix::new(seed)));
    assert!(stops > 50 && erased > stops / 3, "{stops} {erased}");
}

#[test]
fn one_place_that_is_forgotten_is_found_by_the_receipt() {
    let sim = fresh();
    let store = open(&sim);
    live(&store);
    let was: Vec<(PathBuf, Vec<u8>)> =
        with(&sim, SECRET).into_iter().map(|path| (path.clone(), sim.read(&path).unwrap())).collect();
    assert!(was.len() > 4, "{was:?}");
    let done = store.erase(&Erasure::conversation("gone")).unwrap();
    for (n, (path, bytes)) in was.into_iter().enumerate() {
        let forgotten = PathBuf::from(format!("{DIR}/log/forgotten-{n}"));
        sim.put(&forgotten, &bytes);
        let found = store.remnants(&done.receipt, &[]).unwrap();
        assert_eq!(found.iter().map(|place| &place.path).collect::<Vec<_>>(), [&forgotten], "{path:?}");
        sim.delete(&forgotten);
    }
    assert!(store.remnants(&done.receipt, &[]).unwrap().is_empty());
    for at in [9, 60] {
        let mut changed = done.receipt.clone().into_bytes();
        changed[at] ^= 1;
        let changed = String::from_utf8(changed).unwrap();
        assert_eq!(store.remnants(&changed, &[]).unwrap_err().kind(), ErrorKind::Corrupt);
    }
}

#[test]
fn forks_are_conversations_of_their_own_and_named() {
    let sim = fresh();
    let store = open(&sim);
    live(&store);
    store.fork("gone", Fork::new().id("fork")).unwrap();
    store.fork("fork", Fork::new().id("fork of it")).unwrap();
    store.fork("stays", Fork::new().id("another")).unwrap();
    let done = store.erase(&Erasure::conversation("gone")).unwrap();
    assert_eq!(done.forks, ["fork", "fork of it"]);
    assert_eq!(store.messages("fork of it", Messages::all()).unwrap().len(), 3);
    for id in done.forks {
        store.erase(&Erasure::conversation(id)).unwrap();
    }
    assert_eq!(with(&sim, SECRET), NOWHERE);
}

#[test]
fn what_lies_beside_the_store_is_named_and_left() {
    let sim = fresh();
    let store = open(&sim);
    live(&store);
    sim.put_dir(format!("{DIR}.damaged-20250313"));
    let beside = format!("{DIR}.damaged-20250313/file");
    sim.put(&beside, b"SECRET-7f3a, said as m1 in gone");
    let done = store.erase(&Erasure::conversation("gone")).unwrap();
    assert_eq!(done.not_erased, [PathBuf::from(format!("{DIR}.damaged-20250313"))]);
    assert_eq!(with(&sim, SECRET), [PathBuf::from(&beside)]);
    assert_eq!(store.remnants(&done.receipt, &[]).unwrap()[0].path, PathBuf::from(beside));
}

#[test]
fn what_cannot_be_erased_from_says_what_to_do_instead() {
    let driver = Driver::new(Home::Memory, SETTINGS).unwrap();
    drop(driver.store().add_message("c1", "here").unwrap());
    let refused = driver.store().erase(&Erasure::conversation("c1")).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported);
    assert!(refused.message().contains("aral-store copy"), "{refused}");
    assert_eq!(driver.store().messages("c1", Messages::all()).unwrap().len(), 1);
    driver.close().unwrap();
    let sim = fresh();
    let store = open(&sim);
    live(&store);
    store.append(Mutation::new("stays", Operation::SetTitle("x".into()))).unwrap();
    let reader = read(&sim);
    assert_eq!(reader.erasable(&Erasure::conversation("gone")).unwrap().messages, 3);
    assert_eq!(reader.erase(&Erasure::conversation("gone")).unwrap_err().kind(), ErrorKind::ReadOnly);
}

#[test]
fn an_erasure_in_which_a_call_fails_is_finished_once_it_does_not() {
    let lived = fresh();
    let store = open(&lived);
    live(&store);
    let before = kept(&store);
    store.close().unwrap();
    let calls = [
        (Call::Create, ENOSPC, 1),
        (Call::Write, ENOSPC, 2),
        (Call::Open, EIO, 17),
        (Call::Read, EIO, 29),
        (Call::Sync, EIO, 2),
        (Call::SyncDir, EIO, 2),
        (Call::Rename, EIO, 1),
        (Call::Remove, EIO, 1),
        (Call::ReadDir, EIO, 7),
    ];
    let (mut failed, mut erased) = (0, 0);
    for (call, number, step) in calls {
        for nth in (1..).step_by(step) {
            let told = format!("{call:?} {nth}");
            let sim = lived.snapshot();
            let fs = FaultFs::over_sim(&sim, Vec::new());
            let options = MessageStore::options().vfs(Arc::new(fs.clone()));
            let store = options.compact_manually().open(DIR).unwrap();
            fs.replan(vec![Rule::new(call, nth, Fault::Errno(number))]);
            let done = store.erase(&Erasure::conversation("gone"));
            if fs.fired() == [0] {
                break;
            }
            failed += u64::from(done.is_err());
            fs.replan(Vec::new());
            drop(store);
            let store = open(&sim);
            assert_eq!(store.stats().unwrap().compaction_error, None, "{told}");
            assert_eq!(kept(&store), before, "{told}");
            if store.conversation("gone").unwrap().is_none() {
                erased += 1;
                assert_eq!(with(&sim, SECRET), NOWHERE, "{told}: {done:?}");
            } else {
                assert!(done.is_err(), "{told}");
                drop(store.erase(&Erasure::conversation("gone")).unwrap());
                assert_eq!(with(&sim, SECRET), NOWHERE, "{told}, and again");
            }
            assert_eq!(sim.read(format!("{DIR}/log/ERASING")), None, "{told}");
            assert!(store.verify().unwrap().is_sound(), "{told}");
            store.close().unwrap();
        }
    }
    assert!(failed > 20 && erased > 15, "{failed} {erased}");
}

#[test]
fn an_intent_or_a_receipt_that_cannot_be_read_is_named_and_keeps_nobody_out() {
    let sim = fresh();
    let store = open(&sim);
    live(&store);
    let steps = sim.record(|_| drop(store.erase(&Erasure::conversation("gone")).unwrap()));
    let is_begun = |state: &&SimFs| state.read(format!("{DIR}/log/ERASING")).is_some();
    let begun = steps.iter().map(|(_, state)| state).find(is_begun).unwrap().snapshot().kill();
    assert!(read(&begun).verify().unwrap().notes.iter().any(|note| note.contains("erasure was begun")));
    let repaired = |begun: &SimFs| {
        let options = MessageStore::options().vfs(Arc::new(begun.snapshot().kill()));
        options.repair(DIR, "/repaired").unwrap().notes.join("\n")
    };
    let told = repaired(&begun);
    assert!(told.contains("an erasure of conversation \"gone\" was begun and is not finished"), "{told}");
    begun.flip_bit(format!("{DIR}/log/ERASING"), 60, 1);
    let told = repaired(&begun);
    assert!(told.contains("what was to be erased may be in the new store and in the old one"), "{told}");
    let opened = open(&begun);
    let damaged = opened.recovery().damaged;
    assert_eq!(
        damaged.iter().map(|file| &file.path).collect::<Vec<_>>(),
        [&PathBuf::from(format!("{DIR}/log/ERASING"))]
    );
    assert!(opened.conversation("gone").unwrap().is_some() && !opened.verify().unwrap().is_sound());
    assert_eq!(opened.erase(&Erasure::conversation("gone")).unwrap_err().kind(), ErrorKind::Corrupt);
    begun.delete(format!("{DIR}/log/ERASING"));
    drop(opened.erase(&Erasure::conversation("gone")).unwrap());
    assert_eq!(with(&begun, SECRET), NOWHERE);
    let receipts = |sim: &SimFs| -> Vec<PathBuf> {
        let files = sim.files().into_iter().map(|(path, _)| path);
        files.filter(|path| path.starts_with(format!("{DIR}/log/erasures"))).collect()
    };
    let receipt = receipts(&begun).pop().unwrap();
    assert!(repaired(&begun).contains("the receipts of what was erased stay with the old store"));
    begun.flip_bit(&receipt, 30, 0);
    let told = opened.verify().unwrap().damaged;
    assert_eq!(told.iter().map(|file| &file.path).collect::<Vec<_>>(), [&receipt]);
}

/// The erasure is reported as not done, and its owner goes on with the id.
#[test]
fn what_begins_behind_an_erasure_that_failed_is_not_erased_by_the_next_opening() {
    let lived = fresh();
    let store = open(&lived);
    live(&store);
    store.close().unwrap();
    let mut begun = 0;
    for nth in 1.. {
        let sim = lived.snapshot();
        let fs = FaultFs::over_sim(&sim, Vec::new());
        let options = MessageStore::options().vfs(Arc::new(fs.clone()));
        let store = options.compact_manually().open(DIR).unwrap();
        fs.replan(vec![Rule::new(Call::Write, nth, Fault::Errno(ENOSPC))]);
        let done = store.erase(&Erasure::conversation("gone"));
        if fs.fired() == [0] {
            break;
        }
        fs.replan(Vec::new());
        if done.is_ok() {
            continue;
        }
        drop(store.remove_conversation("gone"));
        if store.add_message("gone", "begun anew").is_ok() {
            begun += 1;
            drop(store);
            let messages = open(&sim).messages("gone", Messages::all()).unwrap();
            assert_eq!(messages[0].content, "begun anew", "{nth}: {done:?}");
        }
    }
    assert!(begun > 3, "{begun}");
}

#[test]
fn a_chapter_that_is_damaged_in_something_else_goes_and_stops_no_erasure() {
    let lived = fresh();
    let store = open(&lived);
    live(&store);
    store.close().unwrap();
    let chapters: Vec<_> = lived.files().into_iter().map(|(path, _)| path).collect();
    let chapters = chapters.into_iter().filter(|path| path.extension().is_some_and(|it| it == "chapter"));
    for chapter in chapters {
        let bytes = lived.read(&chapter).unwrap();
        let text = b"harmless";
        let Some(at) = bytes.windows(text.len()).position(|window| window == text) else { continue };
        let sim = lived.snapshot();
        sim.flip_bit(&chapter, u64::try_from(at).unwrap(), 2);
        let store = open(&sim);
        let done = store.erase(&Erasure::conversation("gone")).unwrap();
        assert_eq!(with(&sim, SECRET), NOWHERE, "{}", chapter.display());
        assert!(store.remnants(&done.receipt, &[]).unwrap().is_empty());
        drop(store.erase(&Erasure::conversation("stays")).unwrap());
    }
}

/// An id may be a word that stands in every file.
#[test]
fn what_was_set_aside_of_others_stays_whatever_the_id_is_that_is_erased() {
    let sim = fresh();
    let store = open(&sim);
    say(&store, "assistant", "m1", "SECRET-7f3a");
    sim.put_dir(format!("{DIR}/log/quarantine"));
    let other = format!("{DIR}/log/quarantine/other.json.00-00");
    sim.put(&other, br#"{"id": "other", "messages": [{"role": "assistant"}]}"#);
    let own = format!("{DIR}/log/quarantine/import.jsonl");
    sim.put(&own, br#"{"type":"message","conversation_id":"assistant","content":"x"}"#);
    drop(store.erase(&Erasure::conversation("assistant")).unwrap());
    assert!(sim.read(&other).is_some() && sim.read(&own).is_none());
}

#[test]
fn a_check_says_so_if_it_cannot_look_where_it_is_to() {
    let sim = fresh();
    let store = open(&sim);
    live(&store);
    let done = store.erase(&Erasure::conversation("gone")).unwrap();
    sim.put_dir("/other");
    sim.put("/other/copy.txt", b"SECRET-7f3a, said as m1 in gone");
    let look = |path: &str| store.remnants(&done.receipt, &[PathBuf::from(path)]);
    assert_eq!(look("/other").unwrap().len(), 1);
    assert_eq!(look("/othre").unwrap_err().kind(), ErrorKind::NotFound);
}

/// Its metadata have names that the store's own files have.
#[test]
fn an_erased_fork_leaves_nothing_that_is_taken_for_it() {
    let sim = fresh();
    let store = open(&sim);
    say(&store, "plans", "m1", "What shall we build");
    drop(store.fork("plans", Fork::new().id("plans-2")).unwrap());
    store.compact().unwrap();
    let done = store.erase(&Erasure::conversation("plans-2")).unwrap();
    assert_eq!(done.not_erased, NOWHERE);
    assert!(store.remnants(&done.receipt, &[]).unwrap().is_empty());
}

fn of(user: &str) -> JsonObject {
    JsonObject::parse(&format!(r#"{{"who":{{"user":"{user}"}}}}"#)).unwrap()
}

fn said_by(store: &MessageStore, conversation: &str, id: &str, user: &str) {
    let text = format!("{} of {user}", if user == "anna" { "SECRET-7f3a" } else { "harmless" });
    drop(store.add_message(conversation, NewMessage::new(text).id(id).metadata(of(user))).unwrap());
}

fn begun_by(store: &MessageStore, conversation: &str, user: &str) {
    let title = if user == "anna" { "SECRET-7f3a" } else { "harmless" };
    let new = NewConversation::new().title(title).metadata(of(user));
    store.create_conversation_with_id(conversation, new).unwrap();
}

fn annas() -> Where {
    Where::parse(r#"metadata.who.user = "anna""#).unwrap()
}

/// What somebody has in a store, now and before, in words.
fn life_of_many(store: &MessageStore) {
    store.keep_history(Keep::Everything).unwrap();
    begun_by(store, "hers", "anna");
    said_by(store, "hers", "m1", "anna");
    begun_by(store, "his", "bert");
    for (id, user) in [("m1", "bert"), ("m2", "anna"), ("m3", "anna"), ("m4", "bert"), ("m5", "anna")] {
        said_by(store, "his", id, user);
    }
    begun_by(store, "removed", "anna");
    store.remove_conversation("removed").unwrap();
    begun_by(store, "of both", "anna");
    store.compact().unwrap();
    store.remove_message("his", "m3").unwrap();
    store.compact().unwrap();
    // In the file of the conversation until the next compaction, and in no chapter.
    store.remove_message("his", "m5").unwrap();
    store.set_metadata("of both", of("bert")).unwrap();
    said_by(store, "logged", "m1", "anna");
    store.remove_conversation("logged").unwrap();
}

fn in_words(found: &[Erasure]) -> Vec<String> {
    let words = found.iter().map(|what| match &what.message_id {
        Some(id) => format!("{}/{}", what.conversation_id, id.to_string_lossy()),
        None => what.conversation_id.clone(),
    });
    words.collect()
}

#[test]
fn everything_with_such_metadata_goes_wherever_it_is_kept_and_what_said_so_once_is_named() {
    let sim = fresh();
    let store = open(&sim);
    life_of_many(&store);
    let meant = read(&sim).matching(&annas()).unwrap();
    assert_eq!(in_words(&meant.found), ["hers", "his/m2", "his/m3", "his/m5", "logged/m1", "removed"]);
    assert_eq!(in_words(&meant.only_before), ["of both"]);
    assert_eq!(meant.unread, []);
    let (matched, done) = store.erase_where(&annas()).unwrap();
    assert_eq!((&matched, done.len()), (&meant, 6));
    assert_eq!(with(&sim, b"SECRET-7f3a of anna"), NOWHERE);
    for report in &done {
        assert!(store.remnants(&report.receipt, &[]).unwrap().is_empty());
    }
    let left = store.messages("his", Messages::all()).unwrap();
    assert_eq!(left.iter().map(|message| message.id.to_string_lossy()).collect::<Vec<_>>(), ["m1", "m4"]);
    assert!(store.verify().unwrap().is_sound());
    assert_eq!(in_words(&store.matching(&annas()).unwrap().found), Vec::<String>::new());
    drop(store.erase(&Erasure::conversation("of both")).unwrap());
    assert_eq!(with(&sim, SECRET), NOWHERE);
}

#[test]
fn without_a_history_what_the_files_and_the_log_still_have_is_found() {
    let sim = fresh();
    let store = open(&sim);
    store.keep_history(Keep::Nothing).unwrap();
    begun_by(&store, "his", "bert");
    said_by(&store, "his", "m1", "anna");
    store.compact().unwrap();
    store.remove_message("his", "m1").unwrap();
    assert_eq!(with(&sim, SECRET).len(), 1);
    assert_eq!(in_words(&store.erase_where(&annas()).unwrap().0.found), ["his/m1"]);
    assert_eq!(with(&sim, SECRET), NOWHERE);
}

#[test]
fn what_cannot_be_read_is_named_when_something_is_looked_for() {
    let sim = fresh();
    let store = open(&sim);
    life_of_many(&store);
    store.compact().unwrap();
    store.close().unwrap();
    let files: Vec<PathBuf> = sim.files().into_iter().map(|(path, _)| path).collect();
    let chapter = files.iter().find(|path| path.extension().is_some_and(|it| it == "chapter")).unwrap();
    let file = files.iter().find(|path| path.ends_with("hers.json")).unwrap();
    for damaged in [chapter, file] {
        let sim = sim.snapshot();
        sim.flip_bit(damaged, 200, 1);
        let unread = open(&sim).matching(&annas()).unwrap().unread;
        assert_eq!(unread.iter().map(|file| &file.path).collect::<Vec<_>>(), [damaged]);
    }
}

#[test]
fn receipts_are_listed_in_order_and_a_damaged_one_is_named() {
    let sim = fresh();
    let store = open(&sim);
    assert_eq!(store.receipts().unwrap(), []);
    live(&store);
    say(&store, "later", "m1", "SECRET-7f3a");
    let (message, whole) = (Erasure::message("gone", "m1"), Erasure::conversation("later"));
    let done = [store.erase(&message).unwrap(), store.erase(&whole).unwrap()];
    let listed = store.receipts().unwrap();
    for (kept, done) in listed.iter().zip(&done) {
        assert_eq!((&kept.receipt, &kept.damage), (&done.receipt, &None));
        assert_eq!((&kept.events, kept.messages, kept.actions), (&done.events, done.messages, done.actions));
        assert!(done.receipt.contains(&kept.checksum) && kept.checksum.len() == 64, "{}", kept.checksum);
        assert!(kept.time.is_some() && kept.through > 0 && kept.store.len() == 32 && !kept.files.is_empty());
        assert!(store.remnants(&kept.receipt, &[]).unwrap().is_empty());
    }
    assert_eq!(listed.iter().map(|kept| kept.message.is_some()).collect::<Vec<_>>(), [true, false]);
    let text = format!("{listed:?}");
    assert!(!text.contains("SECRET") && !text.contains("\"later\""), "{text}");
    assert_eq!(read(&sim).receipts().unwrap(), listed);
    store.close().unwrap();
    sim.flip_bit(&listed[0].path, 40, 1);
    let store = open(&sim);
    let damaged = store.receipts().unwrap();
    assert_eq!((damaged.len(), &damaged[0].path, &damaged[1]), (2, &listed[0].path, &listed[1]));
    assert!(damaged[0].damage.as_ref().unwrap().contains("no receipt"), "{damaged:?}");
    assert_eq!((damaged[0].receipt.as_str(), damaged[0].events.len()), ("", 0));
}

#[test]
fn receipts_of_the_same_newest_event_are_listed_by_their_times() {
    // By a clock that goes on.
    let dir = tempfile::tempdir().unwrap();
    let store = MessageStore::open(dir.path().join("store")).unwrap();
    for n in 0..6 {
        say(&store, "c1", &format!("m{n}"), "SECRET-7f3a");
    }
    store.clear("c1").unwrap();
    let done: Vec<_> = (0..6)
        .map(|n| store.erase(&Erasure::message("c1", format!("m{n}").as_str())).unwrap().receipt)
        .collect();
    let listed: Vec<_> = store.receipts().unwrap().into_iter().map(|kept| kept.receipt).collect();
    assert_eq!(listed, done);
}
