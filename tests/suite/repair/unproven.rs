//! A log without its checkpoint: what is proven not to be in the files is carried out, what is proven to be in them is
//! counted, and of what nobody can tell nothing is dropped.

use aral_store::{MessageStore, NewMessage, Timestamp};

use super::{NEW, options};
use crate::regressions::{fresh, inside, on, open};
use crate::support::driver::DIR;
use crate::support::simfs::SimFs;

fn say(store: &MessageStore, id: &str, text: &str) -> u64 {
    let mut message = NewMessage::new(text);
    message.id = Some(id.into());
    store.add_message("c1", message).unwrap().seq
}

/// A store with one message in its file, then what is done to it, and then its checkpoint is gone.
fn without_checkpoint(then: impl FnOnce(&MessageStore)) -> SimFs {
    let fs = fresh();
    let store = open(on(fs.clone()));
    say(&store, "m1", "one");
    store.compact().unwrap();
    then(&store);
    let fs = fs.kill();
    drop(store);
    lose_checkpoint(&fs);
    fs
}

fn lose_checkpoint(fs: &SimFs) {
    let names = fs.files().into_iter().map(|(path, _)| path);
    let checkpoints: Vec<_> = names.filter(|path| path.to_string_lossy().contains("CHECKPOINT")).collect();
    assert!(!checkpoints.is_empty());
    for path in &checkpoints {
        fs.delete(path);
    }
}

fn contents(store: &MessageStore) -> Vec<String> {
    let messages = store.conversation("c1").unwrap().unwrap().messages;
    messages.iter().map(|message| message.content.to_string_lossy().into_owned()).collect()
}

#[test]
fn an_event_whose_id_the_file_gives_to_something_else_is_set_aside_by_its_number() {
    let mut seq = 0;
    let fs = without_checkpoint(|store| {
        seq = say(store, "m1", "another of the same id");
        say(store, "m2", "two");
    });
    let salvaged = options(&fs).salvage().open(DIR).unwrap();
    assert_eq!(contents(&salvaged), ["one", "two"]);
    let shown = salvaged.recovery().salvage.unwrap();
    drop(salvaged);
    let report = options(&fs).repair(DIR, NEW).unwrap();
    for told in [&shown, &report] {
        let named = told.lost.iter().filter(|loss| loss.first_seq == Some(seq) && loss.last_seq == Some(seq));
        let named: Vec<_> = named.map(|loss| loss.conversation_id.as_deref()).collect();
        assert_eq!(named, [Some("c1")], "{told:?}");
        assert_eq!(told.events, 1, "{told:?}");
    }
    let [copy] = &report.quarantined[..] else { panic!("{report:?}") };
    let kept = String::from_utf8(fs.read(copy).unwrap()).unwrap();
    assert!(kept.contains("another of the same id") && kept.lines().count() == 1, "{kept}");
    assert_eq!(contents(&options(&fs).open(NEW).unwrap()), ["one", "two"]);
}

#[test]
fn an_event_behind_the_removal_of_its_id_is_carried_out() {
    let fs = without_checkpoint(|store| {
        store.remove_message("c1", "m1").unwrap();
        say(store, "m1", "begun anew");
    });
    let report = options(&fs).repair(DIR, NEW).unwrap();
    assert_eq!((report.events, report.quarantined.len()), (2, 0), "{report:?}");
    assert_eq!(contents(&options(&fs).open(NEW).unwrap()), ["begun anew"]);
}

/// A compaction that was cut leaves a file that is ahead of its log.
#[test]
fn events_that_the_files_have_are_counted_and_not_carried_out_twice() {
    let (fs, path) = (fresh(), inside("conversations/c1.json"));
    let store = open(on(fs.clone()));
    say(&store, "m1", "one");
    store.compact().unwrap();
    say(&store, "m2", "two");
    let cut = fs.snapshot().kill();
    store.compact().unwrap();
    cut.put(&path, &fs.read(&path).unwrap());
    drop(store);
    lose_checkpoint(&cut);
    let report = options(&cut).repair(DIR, NEW).unwrap();
    assert_eq!((report.events, report.quarantined.len()), (0, 0), "{report:?}");
    let counted = |note: &&String| note.starts_with("1 event of the log, from 2 to 2");
    assert_eq!(report.notes.iter().filter(counted).count(), 1, "{report:?}");
    assert_eq!(contents(&options(&cut).open(NEW).unwrap()), ["one", "two"]);
}

/// One message of a file proves one event, however many add the same.
#[test]
fn of_two_events_that_add_the_same_a_file_with_one_message_proves_one() {
    let (fs, path) = (fresh(), inside("conversations/c1.json"));
    let store = open(on(fs.clone()));
    say(&store, "m1", "one");
    store.compact().unwrap();
    let same = || {
        let mut message = NewMessage::new("two").id("m2");
        message.created_at = Some(Timestamp::EPOCH);
        store.add_message("c1", message).unwrap().seq
    };
    same();
    // As a compaction leaves it that is cut while another thread adds the same once more.
    let compacted = fs.snapshot().kill();
    open(on(compacted.clone())).compact().unwrap();
    let second = same();
    let cut = fs.kill();
    drop(store);
    cut.put(&path, &compacted.read(&path).unwrap());
    lose_checkpoint(&cut);
    let report = options(&cut).repair(DIR, NEW).unwrap();
    assert_eq!((report.events, report.quarantined.len()), (0, 1), "{report:?}");
    let named: Vec<_> = report.lost.iter().map(|loss| loss.first_seq).collect();
    assert!(named.contains(&Some(second)), "{report:?}");
    let kept = String::from_utf8(cut.read(&report.quarantined[0]).unwrap()).unwrap();
    assert!(kept.starts_with(&format!(r#"{{"seq":{second},"#)) && kept.lines().count() == 1, "{kept}");
}
