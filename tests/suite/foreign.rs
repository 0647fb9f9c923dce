//! Files that somebody else changed, added, removed or damaged while the store was closed.

#![expect(clippy::disallowed_methods, reason = "somebody else works on the real file system")]

mod found;
mod staged;
mod touched;

use std::fs;
use std::path::Path;

use aral_store::{Edit, ErrorKind, MessageStore, Messages, NewMessage, Order};

use crate::support::driver::{self, DIR};
use crate::support::faultfs::{Call, Fault, FaultFs, Rule};
use crate::support::simfs::{self, errno::EIO};

/// A compacted and closed store with three conversations of one message each.
fn store_of_three(dir: &Path) {
    let store = MessageStore::open(dir).unwrap();
    for id in ["a", "b", "c"] {
        drop(store.add_message(id, format!("said in {id}").as_str()).unwrap());
    }
    drop(store.compact().unwrap());
    store.close().unwrap();
}

fn ids(store: &MessageStore) -> Vec<String> {
    store.conversations(Order::Created).unwrap().into_iter().map(|summary| summary.id).collect()
}

#[test]
fn an_edited_file_counts_once_its_owner_has_accepted_it() {
    let dir = tempfile::tempdir().unwrap();
    store_of_three(dir.path());
    let file = dir.path().join("conversations/b.json");
    let edited = fs::read_to_string(&file).unwrap().replace("said in b", "said in b, and edited");
    fs::write(&file, &edited).unwrap();
    let viewer = MessageStore::options().read_only().open(dir.path()).unwrap();
    assert_eq!(viewer.messages("b", Messages::all()).unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(viewer.recovery().changed, [fs::canonicalize(&file).unwrap()]);
    assert_eq!((viewer.verify().unwrap().damaged.len(), viewer.stats().unwrap().damaged), (1, 1));
    let store = MessageStore::open(dir.path()).unwrap();
    assert_eq!(store.recovery().changed, [fs::canonicalize(&file).unwrap()]);
    for error in [
        store.messages("b", Messages::all()).unwrap_err(),
        store.summary("b").unwrap_err(),
        store.add_message("b", "would be lost with what is there").unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.to_string().contains("aral-store accept"), "{error}");
    }
    // What was recorded stays recorded through everything, so that a compaction cannot make it look sound.
    drop(store.add_message("a", "goes on").unwrap());
    drop(store.compact().unwrap());
    assert_eq!(fs::read_to_string(&file).unwrap(), edited);
    assert!(!store.verify().unwrap().is_sound());
    let receipt = store.accept("b").unwrap().unwrap();
    assert_eq!((receipt.version, store.accept("b").unwrap()), (3, None));
    assert!(store.verify().unwrap().is_sound());
    assert_eq!(
        (texts(&store, "b"), store.stats().unwrap().damaged),
        (vec!["said in b, and edited".to_owned()], 0)
    );
    drop(store.add_message("b", "and more").unwrap());
    store.close().unwrap();
    let store = MessageStore::open(dir.path()).unwrap();
    assert!(store.recovery().damaged.is_empty() && store.verify().unwrap().is_sound());
    drop(store.compact().unwrap());
    store.close().unwrap();
    let store = MessageStore::open(dir.path()).unwrap();
    assert_eq!(texts(&store, "b"), ["said in b, and edited", "and more"]);
    assert!(store.recovery().damaged.is_empty() && store.verify().unwrap().is_sound());
}

/// A file of the store's own from before, put in place of a newer one, was taken for an edit: what it lacked was
/// gone, and the next compaction made it sound.
#[test]
fn an_older_file_of_the_stores_own_never_passes_for_an_edit() {
    let dir = tempfile::tempdir().unwrap();
    store_of_three(dir.path());
    let file = dir.path().join("conversations/b.json");
    let older = fs::read(&file).unwrap();
    let store = MessageStore::open(dir.path()).unwrap();
    drop(store.add_message("b", "acknowledged").unwrap());
    drop(store.compact().unwrap());
    store.close().unwrap();
    let newer = fs::read(&file).unwrap();
    fs::write(&file, &older).unwrap();
    for _ in 0..3 {
        let store = MessageStore::open(dir.path()).unwrap();
        assert_eq!(store.messages("b", Messages::all()).unwrap_err().kind(), ErrorKind::Corrupt);
        drop(store.add_message("a", "goes on").unwrap());
        drop(store.compact().unwrap());
        assert!(!store.verify().unwrap().is_sound());
        store.close().unwrap();
    }
    fs::write(&file, &newer).unwrap();
    let store = MessageStore::open(dir.path()).unwrap();
    assert_eq!(texts(&store, "b"), ["said in b", "acknowledged"]);
    assert!(store.verify().unwrap().is_sound());
}

/// What the log adds to a file that is accepted stays, by its ids, and what it takes away stays away. What it makes of a
/// message that the file has otherwise is kept apart: only the file's owner knows which of the two he means.
#[test]
fn what_the_log_has_of_a_conversation_outlives_the_accepting_of_its_file() {
    let dir = tempfile::tempdir().unwrap();
    store_of_three(dir.path());
    let store = MessageStore::open(dir.path()).unwrap();
    let first = store.messages("b", Messages::all()).unwrap().remove(0);
    let added = store.add_message("b", "added in the log").unwrap();
    drop(store.add_message("b", NewMessage::new("removed again").id("gone")).unwrap());
    drop(store.remove_message("b", "gone").unwrap());
    drop(store.edit_message("b", &first.id, Edit::content("apart")).unwrap());
    drop(store.edit_message("b", &added.id, Edit::content("edited in the log")).unwrap());
    store.close().unwrap();
    let file = dir.path().join("conversations/b.json");
    let edited = fs::read_to_string(&file).unwrap().replace("Conversation b", "By hand");
    fs::write(&file, &edited).unwrap();
    let store = MessageStore::open(dir.path()).unwrap();
    assert_eq!((store.recovery().damaged.len(), store.stats().unwrap().damaged), (1, 1));
    assert_eq!(store.add_message("b", "refused").unwrap_err().kind(), ErrorKind::Corrupt);
    drop(store.accept("b").unwrap().unwrap());
    let conversation = store.conversation("b").unwrap().unwrap();
    assert_eq!(conversation.title, "By hand");
    assert_eq!(texts(&store, "b"), ["said in b", "edited in the log"]);
    assert_eq!(conversation.messages[1].id, added.id);
    let [copy] = store.recovery().quarantined.try_into().unwrap();
    let kept = fs::read_to_string(copy).unwrap();
    assert!(kept.lines().count() == 1 && kept.contains("edit_message") && kept.contains("apart"), "{kept}");
    drop(store.compact().unwrap());
    assert!(store.verify().unwrap().is_sound());
}

#[test]
fn what_cannot_be_accepted_says_why_and_stays_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    store_of_three(dir.path());
    let file = dir.path().join("conversations/b.json");
    let whole = fs::read(&file).unwrap();
    let refused = |change: &dyn Fn(), kind| {
        change();
        let store = MessageStore::open(dir.path()).unwrap();
        assert_eq!(store.accept("b").unwrap_err().kind(), kind);
        assert_eq!(store.accept("a").unwrap(), None);
        assert_eq!(store.accept("nobody").unwrap_err().kind(), ErrorKind::NotFound);
        store.close().unwrap();
        fs::write(&file, &whole).unwrap();
    };
    refused(&|| fs::remove_file(&file).unwrap(), ErrorKind::NotFound);
    refused(&|| fs::write(&file, "{").unwrap(), ErrorKind::Corrupt);
    refused(
        &|| fs::copy(dir.path().join("conversations/c.json"), &file).map(drop).unwrap(),
        ErrorKind::Corrupt,
    );
    let store = MessageStore::open(dir.path()).unwrap();
    assert_eq!((texts(&store, "b"), store.recovery().damaged.len()), (vec!["said in b".to_owned()], 0));
}

#[test]
fn an_edit_under_newer_events_is_an_error_for_its_conversation_alone() {
    let dir = tempfile::tempdir().unwrap();
    store_of_three(dir.path());
    let store = MessageStore::open(dir.path()).unwrap();
    drop(store.add_message("b", "newer").unwrap());
    store.close().unwrap();
    let file = dir.path().join("conversations/b.json");
    let edited = fs::read_to_string(&file).unwrap().replace("said in b", "said in b, and edited");
    fs::write(&file, &edited).unwrap();
    let store = MessageStore::open(dir.path()).unwrap();
    let error = store.messages("b", Messages::all()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert_eq!(error.place().unwrap().path, fs::canonicalize(&file).unwrap());
    assert_eq!(store.messages("a", Messages::all()).unwrap().len(), 1);
    drop(store.add_message("a", "goes on").unwrap());
    let report = store.compact().unwrap();
    assert_eq!((report.written, report.held.len()), (1, 1));
    assert_eq!(report.held[0].conversation_id.as_deref(), Some("b"));
    assert_eq!(report.held[0].path, fs::canonicalize(&file).unwrap());
    assert_eq!(store.add_message("b", "would be lost").unwrap_err().kind(), ErrorKind::Corrupt);
    store.close().unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), edited, "the edit is kept");
}

#[test]
fn an_unlisted_file_is_taken_in_reported_and_listed_at_the_next_compaction() {
    let dir = tempfile::tempdir().unwrap();
    store_of_three(dir.path());
    let text = fs::read_to_string(dir.path().join("conversations/c.json")).unwrap();
    let text = text.replace("\"id\": \"c\"", "\"id\": \"d\"");
    fs::write(dir.path().join("conversations/d.json"), text).unwrap();
    let store = MessageStore::open(dir.path()).unwrap();
    assert_eq!(store.recovery().unlisted.len(), 1);
    assert_eq!(ids(&store), ["a", "b", "c", "d"]);
    drop(store.compact().unwrap());
    store.close().unwrap();
    assert!(fs::read_to_string(dir.path().join("message_store.json")).unwrap().contains("\"d\""));
    let store = MessageStore::open(dir.path()).unwrap();
    assert!(store.recovery().unlisted.is_empty());
    assert_eq!(ids(&store), ["a", "b", "c", "d"]);
}

#[test]
fn the_file_of_a_removed_conversation_is_not_taken_in_again() {
    let dir = tempfile::tempdir().unwrap();
    store_of_three(dir.path());
    let (file, list) = (dir.path().join("conversations/b.json"), dir.path().join("message_store.json"));
    let before = (fs::read(&file).unwrap(), fs::read(&list).unwrap());
    let store = MessageStore::open(dir.path()).unwrap();
    let receipt = store.remove_conversation("b").unwrap();
    drop(store.compact().unwrap());
    store.close().unwrap();
    assert!(!file.exists());
    // First as whoever copies one file does it, then as whoever copies all of an older state does.
    for is_listed in [false, true] {
        fs::write(&file, &before.0).unwrap();
        if is_listed {
            fs::write(&list, &before.1).unwrap();
        }
        let store = MessageStore::open(dir.path()).unwrap();
        assert_eq!(ids(&store), ["a", "c"], "listed: {is_listed}");
        let damaged = store.recovery().damaged;
        assert_eq!((damaged.len(), damaged[0].conversation_id.as_deref()), (1, Some("b")), "{damaged:?}");
        assert!(damaged[0].reason.contains("was removed"), "{damaged:?}");
        assert_eq!(store.removed("b").unwrap().map(|tombstone| tombstone.seq), Some(receipt.seq));
        drop(store.add_message("a", "goes on").unwrap());
        drop(store.compact().unwrap());
        store.close().unwrap();
        assert_eq!(fs::read(&file).unwrap(), before.0, "it is kept as it is");
    }
    fs::remove_file(&file).unwrap();
    let store = MessageStore::open(dir.path()).unwrap();
    assert!(store.recovery().damaged.is_empty(), "{:?}", store.recovery());
    drop(store.add_message("b", "begun anew").unwrap());
    assert_eq!(
        (ids(&store), store.removed("b").unwrap()),
        (["a", "c", "b"].map(str::to_owned).to_vec(), None)
    );
}

#[test]
fn a_damaged_file_is_named_kept_and_in_nobodys_way() {
    let dir = tempfile::tempdir().unwrap();
    store_of_three(dir.path());
    let file = dir.path().join("conversations/b.json");
    fs::write(&file, "{\"id\": \"b\", ").unwrap();
    let store = MessageStore::open(dir.path()).unwrap();
    let damaged = &store.recovery().damaged;
    assert_eq!(damaged.len(), 1);
    assert_eq!((damaged[0].conversation_id.as_deref(), damaged[0].offset), (Some("b"), Some(12)));
    assert_eq!(ids(&store), ["a", "b", "c"], "what was recorded of it is known");
    for error in [
        store.messages("b", Messages::all()).unwrap_err(),
        store.conversation("b").unwrap_err(),
        store.add_message("b", "would hide what is in the file").unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert_eq!(error.place().unwrap().path, fs::canonicalize(&file).unwrap());
    }
    drop(store.add_message("a", "goes on").unwrap());
    drop(store.compact().unwrap());
    assert_eq!(fs::read_to_string(&file).unwrap(), "{\"id\": \"b\", ");
    // Its owner lets go of it: the conversation ends, the bytes are set aside.
    drop(store.remove_conversation("b").unwrap());
    let report = store.compact().unwrap();
    assert_eq!(report.quarantined.len(), 1);
    assert_eq!(fs::read_to_string(&report.quarantined[0]).unwrap(), "{\"id\": \"b\", ");
    drop(store.add_message("b", "anew").unwrap());
    drop(store.compact().unwrap());
    store.close().unwrap();
    let store = MessageStore::open(dir.path()).unwrap();
    assert!(store.recovery().damaged.is_empty(), "{:?}", store.recovery());
    assert_eq!(ids(&store), ["a", "c", "b"]);
}

#[test]
fn a_damaged_file_that_is_put_back_counts_again() {
    let dir = tempfile::tempdir().unwrap();
    store_of_three(dir.path());
    let file = dir.path().join("conversations/b.json");
    let whole = fs::read(&file).unwrap();
    for broken in [None, Some(&whole[..40])] {
        match broken {
            Some(bytes) => fs::write(&file, bytes).unwrap(),
            None => fs::remove_file(&file).unwrap(),
        }
        let store = MessageStore::open(dir.path()).unwrap();
        assert_eq!(store.recovery().damaged.len(), 1);
        store.close().unwrap();
        fs::write(&file, &whole).unwrap();
        let store = MessageStore::open(dir.path()).unwrap();
        assert!(store.recovery().damaged.is_empty(), "{:?}", store.recovery());
        assert_eq!(store.messages("b", Messages::all()).unwrap()[0].content, "said in b");
        store.close().unwrap();
    }
}

#[test]
fn a_damaged_list_hides_nothing_and_is_set_aside() {
    let dir = tempfile::tempdir().unwrap();
    store_of_three(dir.path());
    fs::write(dir.path().join("message_store.json"), "{\"conversation_ids\": [").unwrap();
    let store = MessageStore::open(dir.path()).unwrap();
    assert_eq!(store.recovery().damaged.len(), 1);
    assert_eq!(ids(&store), ["a", "b", "c"]);
    drop(store.add_message("d", "new").unwrap());
    let report = store.compact().unwrap();
    assert_eq!(fs::read_to_string(&report.quarantined[0]).unwrap(), "{\"conversation_ids\": [");
    store.close().unwrap();
    let store = MessageStore::open(dir.path()).unwrap();
    assert!(store.recovery().damaged.is_empty(), "{:?}", store.recovery());
}

#[test]
fn a_directory_whose_list_is_broken_from_the_start_shows_every_conversation() {
    let dir = tempfile::tempdir().unwrap();
    store_of_three(dir.path());
    fs::remove_dir_all(dir.path().join("log")).unwrap();
    fs::write(dir.path().join("message_store.json"), "[1, 2").unwrap();
    let store = MessageStore::open(dir.path()).unwrap();
    assert_eq!((store.recovery().damaged.len(), store.recovery().unlisted.len()), (1, 3));
    assert_eq!(ids(&store), ["a", "b", "c"]);
    drop(store.compact().unwrap());
    store.close().unwrap();
    let store = MessageStore::open(dir.path()).unwrap();
    assert!(store.recovery().damaged.is_empty(), "{:?}", store.recovery());
    assert_eq!(ids(&store), ["a", "b", "c"]);
}

#[test]
fn what_stands_in_the_way_of_a_compaction_is_set_aside() {
    let dir = tempfile::tempdir().unwrap();
    store_of_three(dir.path());
    let store = MessageStore::open(dir.path()).unwrap();
    drop(store.add_message("b", "more").unwrap());
    let file = dir.path().join("conversations/b.json");
    // The edit comes after the store has read the file, so the store still knows what was in it.
    assert_eq!(store.messages("b", Messages::all()).unwrap().len(), 2);
    let before = fs::read_to_string(&file).unwrap();
    let edited = before.replace("said in b", "somebody else was here");
    let aside = dir.path().join("aside");
    fs::write(&aside, &before).unwrap();
    fs::write(&file, &edited).unwrap();
    let report = store.compact().unwrap();
    // What it has to copy from the old file is no longer there: the log is kept and the edit too.
    assert_eq!((report.written, report.held.len()), (0, 1));
    assert_eq!(report.held[0].conversation_id.as_deref(), Some("b"));
    assert_eq!(fs::read_to_string(&file).unwrap(), edited);
    fs::rename(&aside, &file).unwrap();
    let report = store.compact().unwrap();
    assert_eq!((report.written, report.held.len()), (1, 0));
    assert_eq!(store.messages("b", Messages::all()).unwrap().len(), 2);
    // A file that appears where a new conversation's goes.
    drop(store.add_message("new", "hello").unwrap());
    drop(store.clear("a").unwrap());
    fs::write(dir.path().join("conversations/new.json"), "mine").unwrap();
    drop(store.compact().unwrap());
    assert_eq!(fs::read_to_string(dir.path().join("conversations/new.json")).unwrap(), "mine");
    store.close().unwrap();
    let store = MessageStore::open(dir.path()).unwrap();
    assert_eq!(store.messages("new", Messages::all()).unwrap()[0].content, "hello");
    assert_eq!(store.recovery().damaged.len(), 1, "the other file is shown");
}

#[test]
fn a_link_in_the_place_of_a_directory_or_a_file_is_refused() {
    use std::os::unix::fs::symlink;
    let elsewhere = tempfile::tempdir().unwrap();
    for name in ["conversations", "log"] {
        let dir = tempfile::tempdir().unwrap();
        symlink(elsewhere.path(), dir.path().join(name)).unwrap();
        assert_eq!(MessageStore::open(dir.path()).unwrap_err().kind(), ErrorKind::InvalidInput, "{name}");
        let for_reading = MessageStore::options().read_only().open(dir.path());
        assert_eq!(for_reading.unwrap_err().kind(), ErrorKind::InvalidInput, "{name}, for reading");
    }
    let dir = tempfile::tempdir().unwrap();
    store_of_three(dir.path());
    let target = elsewhere.path().join("b.json");
    fs::rename(dir.path().join("conversations/b.json"), &target).unwrap();
    symlink(&target, dir.path().join("conversations/b.json")).unwrap();
    let store = MessageStore::open(dir.path()).unwrap();
    assert_eq!(store.recovery().damaged.len(), 1);
    assert_eq!(store.messages("b", Messages::all()).unwrap_err().kind(), ErrorKind::Io);
    assert_eq!(store.add_message("b", "x").unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(store.messages("a", Messages::all()).unwrap().len(), 1);
    store.close().unwrap();
    assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 1, "nothing was written elsewhere");
}

fn texts(store: &MessageStore, id: &str) -> Vec<String> {
    let messages = store.messages(id, Messages::all()).unwrap();
    messages.iter().map(|message| message.content.to_string_lossy().into_owned()).collect()
}

/// What must be noticed is noticed by whoever comes first, whether or not anybody has asked for the report.
#[test]
fn an_edit_is_noticed_by_the_first_who_touches_its_conversation() {
    let first_touches: [fn(&MessageStore); 6] = [
        |store| drop(store.messages("b", Messages::last(1)).unwrap_err()),
        |store| drop(store.summary("b").unwrap_err()),
        |store| drop(store.add_message("b", "more").unwrap_err()),
        |store| drop(store.conversations(Order::Created).unwrap()),
        |store| drop(store.stats().unwrap()),
        |store| drop(store.compact().unwrap()),
    ];
    for (n, touch) in first_touches.into_iter().enumerate() {
        let dir = tempfile::tempdir().unwrap();
        store_of_three(dir.path());
        let file = dir.path().join("conversations/b.json");
        let edited = fs::read_to_string(&file).unwrap().replace("said in b", "said in b, and edited");
        fs::write(&file, &edited).unwrap();
        let store = MessageStore::open(dir.path()).unwrap();
        // What has nothing to do with it goes on, and changes nothing of that.
        drop(store.add_message("a", "goes on").unwrap());
        touch(&store);
        assert_eq!(store.messages("b", Messages::all()).unwrap_err().kind(), ErrorKind::Corrupt, "{n}");
        assert_eq!(store.recovery().changed, [fs::canonicalize(&file).unwrap()], "{n}");
        store.close().unwrap();
        let store = MessageStore::open(dir.path()).unwrap();
        assert_eq!((texts(&store, "a").len(), store.recovery().damaged.len()), (2, 1), "{n}");
        assert!(!store.verify().unwrap().is_sound(), "{n}");
        drop(store.accept("b").unwrap().unwrap());
        assert_eq!(texts(&store, "b"), ["said in b, and edited"], "{n}");
        assert!(store.recovery().damaged.is_empty() && store.verify().unwrap().is_sound(), "{n}");
    }
}

/// A conversation that somebody has added by hand must not be begun anew beside its file.
#[test]
fn an_added_file_is_noticed_by_the_first_who_asks_for_its_conversation() {
    let first_touches: [fn(&MessageStore); 3] = [
        |store| drop(store.add_message("d", "more").unwrap()),
        |store| assert!(store.conversation("d").unwrap().is_some()),
        |store| assert_eq!(store.summary("d").unwrap().unwrap().messages, 1),
    ];
    for (n, touch) in first_touches.into_iter().enumerate() {
        let dir = tempfile::tempdir().unwrap();
        store_of_three(dir.path());
        let text = fs::read_to_string(dir.path().join("conversations/c.json")).unwrap();
        // The id is in the file, whatever the file's name.
        fs::write(
            dir.path().join("conversations/other.json"),
            text.replace("\"id\": \"c\"", "\"id\": \"d\""),
        )
        .unwrap();
        let store = MessageStore::open(dir.path()).unwrap();
        touch(&store);
        let more = if n == 0 { vec!["said in c", "more"] } else { vec!["said in c"] };
        assert_eq!(texts(&store, "d"), more, "{n}");
        assert_eq!(store.recovery().unlisted.len(), 1, "{n}");
        drop(store.compact().unwrap());
        store.close().unwrap();
        let store = MessageStore::open(dir.path()).unwrap();
        assert_eq!(
            (texts(&store, "d"), ids(&store).len()),
            (more.iter().map(|t| (*t).to_owned()).collect(), 4)
        );
    }
}

/// A conversation whose file is gone answers with an error to the first who touches it, and is not begun anew.
#[test]
fn a_missing_file_is_noticed_by_the_first_who_touches_its_conversation() {
    for is_read in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        store_of_three(dir.path());
        fs::remove_file(dir.path().join("conversations/b.json")).unwrap();
        let store = MessageStore::open(dir.path()).unwrap();
        let told = if is_read {
            store.messages("b", Messages::all()).unwrap_err()
        } else {
            store.add_message("b", "anew").unwrap_err()
        };
        assert_eq!(told.kind(), ErrorKind::Corrupt);
        assert_eq!(store.recovery().damaged.len(), 1);
        assert_eq!(ids(&store), ["a", "b", "c"], "what was recorded of it is known");
    }
}

/// The time of an opening does not grow with the files: none is looked at that nobody asks for.
#[test]
fn an_opening_looks_at_no_conversations_file() {
    let sim = driver::fresh(simfs::Settings::default());
    let options = || MessageStore::options().compact_manually();
    let store = options().vfs(std::sync::Arc::new(sim.clone())).open(DIR).unwrap();
    for id in ["a", "b"] {
        drop(store.add_message(id, "said").unwrap());
    }
    drop(store.compact().unwrap());
    store.close().unwrap();
    let failing = |call| Rule::new(call, 1, Fault::Errno(EIO)).on("/a.json").for_ever();
    let faults = FaultFs::over_sim(&sim, vec![failing(Call::Metadata), failing(Call::Open)]);
    let listing = Rule::new(Call::ReadDir, 1, Fault::Errno(EIO)).on("conversations").for_ever();
    faults.replan(vec![failing(Call::Metadata), failing(Call::Open), listing]);
    let store = options().vfs(std::sync::Arc::new(faults.clone())).open(DIR).unwrap();
    assert_eq!(texts(&store, "b"), ["said"]);
    drop(store.add_message("b", "more").unwrap());
    assert_eq!(faults.fired(), [0, 0, 0]);
    // Nobody can say what is there, and that is what they say.
    assert_eq!(store.conversations(Order::Created).unwrap_err().kind(), ErrorKind::Io);
    assert_eq!(store.recovery().damaged.len(), 1);
    assert_eq!(store.add_message("new", "x").unwrap_err().kind(), ErrorKind::Io);
    faults.replan(Vec::new());
    assert_eq!((ids(&store), store.recovery().damaged.len()), (vec!["a".to_owned(), "b".to_owned()], 0));
    assert_eq!((texts(&store, "a").len(), texts(&store, "b").len()), (1, 2));
}
