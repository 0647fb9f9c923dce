//! A log without its checkpoint: what is proven not to be in the files is carried out, what is proven to be in them is
//! counted, and of what nobody can tell nothing is dropped.

use aral_store::{Edit, JsonObject, MessageStore, NewAction, NewMessage, RepairReport, Timestamp};

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

/// A store whose compaction has put its file in place and dropped nothing yet, without its checkpoints; and what the
/// store had.
fn with_a_file_ahead(then: impl FnOnce(&MessageStore)) -> (SimFs, Vec<String>) {
    let (fs, path) = (fresh(), inside("conversations/c1.json"));
    let store = open(on(fs.clone()));
    say(&store, "m1", "one");
    store.compact().unwrap();
    then(&store);
    let cut = fs.snapshot().kill();
    store.compact().unwrap();
    cut.put(&path, &fs.read(&path).unwrap());
    let had = contents(&store);
    drop(store);
    lose_checkpoint(&cut);
    (cut, had)
}

/// Repairs, and says what is there then, and which events are told to be lost, which are those that are kept as lines.
fn repaired(fs: &SimFs) -> (MessageStore, Vec<u64>, RepairReport) {
    let report = options(fs).repair(DIR, NEW).unwrap();
    let lost: Vec<u64> = report.lost.iter().filter_map(|loss| loss.first_seq).collect();
    let kept = report.quarantined.iter().map(|copy| String::from_utf8(fs.read(copy).unwrap()).unwrap());
    let kept: Vec<String> =
        kept.flat_map(|lines| lines.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
    let numbered = |(line, seq): (&String, &u64)| line.starts_with(&format!("{{\"seq\":{seq},"));
    assert!(kept.len() == lost.len() && kept.iter().zip(&lost).all(numbered), "{kept:?} {lost:?}");
    (options(fs).open(NEW).unwrap(), lost, report)
}

#[test]
fn what_follows_an_event_that_is_set_aside_does_not_touch_what_the_file_has_of_its_id() {
    let removed = without_checkpoint(|store| {
        say(store, "m1", "second");
        store.remove_message("c1", "m1").unwrap();
    });
    let edited = without_checkpoint(|store| {
        say(store, "m1", "second");
        store.edit_message("c1", "m1", Edit::content("second, edited")).unwrap();
    });
    for fs in [removed, edited] {
        let (store, lost, _) = repaired(&fs);
        assert_eq!((contents(&store), lost), (vec!["one".to_owned()], vec![2, 3]));
    }
    let fs = without_checkpoint(|store| {
        let act = |kind: &str| {
            let mut action = NewAction::new(kind, JsonObject::EMPTY);
            action.id = Some("a".into());
            store.add_action("c1", action).unwrap();
        };
        act("first");
        store.compact().unwrap();
        act("second");
        store.remove_action("c1", "a").unwrap();
    });
    let (store, lost, _) = repaired(&fs);
    let kinds = store.actions("c1").unwrap();
    let kinds: Vec<_> =
        kinds.iter().map(|action| action.action_type.to_string_lossy().into_owned()).collect();
    assert_eq!((kinds, lost), (vec!["first".to_owned()], vec![3, 4]));
}

#[test]
fn of_an_id_that_was_given_twice_nothing_is_lost_that_the_file_has() {
    // Both are given and one is removed before the compaction that was cut.
    let (fs, had) = with_a_file_ahead(|store| {
        say(store, "m", "x");
        say(store, "m", "y");
        store.remove_message("c1", "m").unwrap();
    });
    let (store, lost, report) = repaired(&fs);
    assert_eq!((contents(&store), lost), (had, vec![3, 4]), "{report:?}");
    let counted = |note: &&String| note.starts_with("1 event of the log, from 2 to 2");
    assert_eq!(report.notes.iter().filter(counted).count(), 1, "{report:?}");
    // Which of two that are in the file an event is about, and whether that is one of them still, nobody can say.
    let fs = without_checkpoint(|store| {
        say(store, "m", "x");
        say(store, "m", "y");
        store.compact().unwrap();
        store.remove_message("c1", "m").unwrap();
    });
    let (store, lost, _) = repaired(&fs);
    assert_eq!((contents(&store).join(" "), lost), ("one x y".to_owned(), vec![4]));
}

#[test]
fn behind_a_clearing_an_id_that_was_in_doubt_counts_again() {
    let fs = without_checkpoint(|store| {
        say(store, "m1", "second");
        store.clear("c1").unwrap();
        say(store, "m1", "third");
        store.edit_message("c1", "m1", Edit::content("third, edited")).unwrap();
    });
    let (store, lost, _) = repaired(&fs);
    assert_eq!((contents(&store).join(" "), lost), ("third, edited".to_owned(), vec![2]));
}

#[test]
fn where_the_order_is_not_known_a_note_says_so() {
    let tells = |report: &RepairReport| report.notes.iter().any(|note| note.contains("where in their order"));
    let (fs, had) = with_a_file_ahead(|store| {
        store.remove_message("c1", "m1").unwrap();
        say(store, "m1", "begun anew");
        say(store, "m2", "two");
    });
    let (store, _, report) = repaired(&fs);
    assert_eq!(
        (had.join(" "), contents(&store).join(" ")),
        ("begun anew two".to_owned(), "two begun anew".to_owned())
    );
    assert!(tells(&report), "{report:?}");
    // What was removed again, and what nothing stands behind, has no wrong place.
    let (fs, had) = with_a_file_ahead(|store| {
        say(store, "m2", "two");
        store.remove_message("c1", "m2").unwrap();
        say(store, "m3", "three");
    });
    let (store, _, report) = repaired(&fs);
    assert!(contents(&store) == had && !tells(&report), "{report:?}");
}
