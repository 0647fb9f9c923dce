//! What an opening may find among the files, case by case, and says.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;

use aral_store::{DamagedFile, Edit, ErrorKind, MessageStore, Messages, Mutation, Operation, Text};

use super::{ids, store_of_three};
use crate::regressions::{add, added, compacted, files_with, inside, on, on_shared, open, texts};
use crate::support::faultfs::{Call, Fault, FaultFs, Rule};
use crate::support::hooks::Hooked;
use crate::support::simfs::errno::EIO;

/// The only thing that an opening finds damaged, for writing and for reading alike.
fn only_damage(dir: &Path) -> DamagedFile {
    let viewer = MessageStore::options().read_only().open(dir).unwrap();
    let store = MessageStore::open(dir).unwrap();
    let [damaged] = &store.recovery().damaged[..] else { panic!("{:?}", store.recovery()) };
    assert_eq!(viewer.recovery().damaged, std::slice::from_ref(damaged));
    store.close().unwrap();
    damaged.clone()
}

/// A conversation's file with this id in it.
fn document(id: &str, messages: &str) -> String {
    format!(
        r#"{{"id": {id}, "title": "t", "created_at": "2025-01-01T00:00:00", "messages": [{messages}], "actions": []}}"#
    )
}

#[test]
fn damage_is_told_at_every_opening_and_not_only_at_the_first() {
    for broken in [None, Some("{\"id\": \"b\", ")] {
        let dir = tempfile::tempdir().unwrap();
        store_of_three(dir.path());
        let file = dir.path().join("conversations/b.json");
        match broken {
            Some(text) => fs::write(&file, text).unwrap(),
            None => fs::remove_file(&file).unwrap(),
        }
        let first = only_damage(dir.path());
        assert_eq!(first.conversation_id.as_deref(), Some("b"));
        assert_eq!(first.offset, broken.map(|_| 12), "{first:?}");
        for _ in 0..2 {
            assert_eq!(only_damage(dir.path()), first);
        }
    }
}

#[test]
fn one_flipped_bit_of_a_conversation_is_told_from_an_edit() {
    let dir = tempfile::tempdir().unwrap();
    store_of_three(dir.path());
    let file = dir.path().join("conversations/b.json");
    let whole = fs::read(&file).unwrap();
    let at = whole.windows(6).position(|part| part == b"said i").unwrap();
    let mut flipped = whole.clone();
    flipped[at] ^= 4;
    fs::write(&file, &flipped).unwrap();
    for _ in 0..2 {
        let damaged = only_damage(dir.path());
        let told = (damaged.conversation_id.as_deref(), damaged.offset, damaged.reason.as_str());
        assert_eq!(told, (Some("b"), u64::try_from(at).ok(), "one bit of the file is flipped"));
    }
    let store = MessageStore::open(dir.path()).unwrap();
    for error in [
        store.messages("b", Messages::all()).unwrap_err(),
        store.add_message("b", "could not be compacted").unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert_eq!(error.place().unwrap().path, fs::canonicalize(&file).unwrap());
    }
    drop(store.add_message("a", "goes on").unwrap());
    drop(store.compact().unwrap());
    store.close().unwrap();
    assert_eq!(fs::read(&file).unwrap(), flipped, "the file is kept as it is");
    fs::write(&file, &whole).unwrap();
    let store = MessageStore::open(dir.path()).unwrap();
    assert!(store.recovery().damaged.is_empty(), "{:?}", store.recovery());
    assert_eq!(store.messages("b", Messages::all()).unwrap()[0].content, "said in b");
}

#[test]
fn one_flipped_bit_of_the_list_is_told_and_costs_nothing() {
    let dir = tempfile::tempdir().unwrap();
    store_of_three(dir.path());
    let file = dir.path().join("message_store.json");
    let mut flipped = fs::read(&file).unwrap();
    let at = flipped.iter().position(|byte| *byte == b'b').unwrap();
    // The list would name a fourth conversation, and lack the second.
    flipped[at] ^= 4;
    fs::write(&file, &flipped).unwrap();
    let damaged = only_damage(dir.path());
    assert_eq!((damaged.conversation_id, damaged.offset), (None, u64::try_from(at).ok()));
    assert_eq!(damaged.path, fs::canonicalize(&file).unwrap());
    let store = MessageStore::open(dir.path()).unwrap();
    assert_eq!(ids(&store), ["a", "b", "c"]);
    drop(store.add_message("d", "new").unwrap());
    assert_eq!(store.compact().unwrap().quarantined.len(), 1);
    store.close().unwrap();
    assert!(MessageStore::open(dir.path()).unwrap().recovery().damaged.is_empty());
}

#[test]
fn an_id_that_no_conversation_can_have_is_told_wherever_it_stands() {
    let long = "x".repeat(1025);
    for (id, reason) in [
        (r#""\ud800""#.to_owned(), "not valid Unicode"),
        (format!("\"{long}\""), "1024 bytes"),
        (r#""""#.to_owned(), "empty or over 1024 bytes"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        store_of_three(dir.path());
        let list = fs::read_to_string(dir.path().join("message_store.json")).unwrap();
        fs::write(dir.path().join("message_store.json"), list.replace("\"c\"", &format!("\"c\", {id}")))
            .unwrap();
        // An empty id in the list stands for a file that cannot be there.
        let reason_of_list = if id == r#""""# { "there is no file" } else { reason };
        let damaged = only_damage(dir.path());
        assert!(damaged.reason.contains(reason_of_list), "{damaged:?}");
        assert!(damaged.path.ends_with("message_store.json") || id == r#""""#, "{damaged:?}");
        assert_eq!(ids(&MessageStore::open(dir.path()).unwrap()), ["a", "b", "c"]);

        let dir = tempfile::tempdir().unwrap();
        store_of_three(dir.path());
        let file = dir.path().join("conversations/d.json");
        fs::write(&file, document(&id, "")).unwrap();
        let damaged = only_damage(dir.path());
        assert_eq!(damaged.conversation_id.as_deref(), Some("d"));
        assert!(damaged.reason.contains(reason), "{damaged:?}");
        let store = MessageStore::open(dir.path()).unwrap();
        assert_eq!(store.conversation("d").unwrap_err().kind(), ErrorKind::Corrupt);
        assert_eq!(ids(&store), ["a", "b", "c"]);
        assert_eq!(fs::read_to_string(&file).unwrap(), document(&id, ""));
    }
}

#[test]
fn a_directory_with_the_name_of_a_conversation_is_told_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    store_of_three(dir.path());
    let inside = dir.path().join("conversations/d.json/mine");
    fs::create_dir_all(&inside).unwrap();
    let damaged = only_damage(dir.path());
    assert_eq!(damaged.conversation_id.as_deref(), Some("d"));
    assert!(damaged.reason.contains("not a regular file"), "{damaged:?}");
    let store = MessageStore::open(dir.path()).unwrap();
    assert_eq!(store.add_message("d", "would hide it").unwrap_err().kind(), ErrorKind::Corrupt);
    drop(store.add_message("a", "goes on").unwrap());
    drop(store.compact().unwrap());
    store.close().unwrap();
    assert!(inside.is_dir());
}

/// The texts and ids of a conversation's messages.
fn said(store: &MessageStore, id: &str) -> Vec<(Text, Text)> {
    let messages = store.messages(id, Messages::all()).unwrap();
    messages.into_iter().map(|message| (message.content, message.id)).collect()
}

#[test]
fn messages_without_ids_are_given_ids_that_last() {
    let dir = tempfile::tempdir().unwrap();
    store_of_three(dir.path());
    let messages = r#"{"content": "twice"}, {"content": "twice"}"#;
    let text = document("\"d\"", messages)
        .replace("\"actions\": []", r#""actions": [{"action_type": "call", "data": {}}]"#);
    fs::write(dir.path().join("conversations/d.json"), text).unwrap();
    let read = || {
        let viewer = MessageStore::options().read_only().open(dir.path()).unwrap();
        (said(&viewer, "d"), viewer.actions("d").unwrap()[0].id.clone())
    };
    let (found, action) = read();
    assert_eq!(found.iter().map(|(text, _)| text.to_string()).collect::<Vec<_>>(), ["twice", "twice"]);
    assert_ne!(found[0].1, found[1].1);
    assert_eq!(read(), (found.clone(), action.clone()));
    let store = MessageStore::open(dir.path()).unwrap();
    let edit = Operation::EditMessage { message_id: found[1].1.clone(), edit: Edit::content("once") };
    drop(store.append(Mutation::new("d", edit)).unwrap());
    drop(store.append(Mutation::new("d", Operation::RemoveAction(action))).unwrap());
    assert_eq!(said(&store, "d"), [found[0].clone(), (Text::from("once"), found[1].1.clone())]);
    drop(store.compact().unwrap());
    store.close().unwrap();
    let store = MessageStore::open(dir.path()).unwrap();
    assert_eq!(said(&store, "d"), [found[0].clone(), (Text::from("once"), found[1].1.clone())]);
    assert!(store.actions("d").unwrap().is_empty());
}

#[test]
fn rot_under_an_open_store_is_an_error_where_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let store = MessageStore::open(dir.path()).unwrap();
    drop(store.add_message("a", "all is well").unwrap());
    drop(store.add_message("b", "the second").unwrap());
    let mut log = fs::read_dir(dir.path().join("log")).unwrap().map(|entry| entry.unwrap().path());
    let segment = log.find(|path| path.extension().is_some_and(|is| is == "seg")).unwrap();
    let sound = fs::read(&segment).unwrap();
    let at = sound.windows(10).position(|part| part == b"the second").unwrap();
    let mut rotten = sound.clone();
    rotten[at] ^= 1;
    // In place, as a medium rots: the store has the file open and mapped.
    let in_place = |bytes: &[u8]| {
        let file = fs::File::options().write(true).open(&segment).unwrap();
        file.write_all_at(bytes, 0).unwrap();
    };
    in_place(&rotten);
    let error = store.messages("b", Messages::all()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    let place = error.place().unwrap();
    assert_eq!(place.path, fs::canonicalize(&segment).unwrap());
    assert!(place.offset.is_some_and(|told| told > 4096 && told <= u64::try_from(at).unwrap()), "{place:?}");
    assert_eq!(store.messages("a", Messages::all()).unwrap()[0].content, "all is well");
    assert_eq!(store.compact().unwrap_err().kind(), ErrorKind::Corrupt, "and the log is kept");
    in_place(&sound);
    assert_eq!(store.messages("b", Messages::all()).unwrap()[0].content, "the second");
}

/// What is removed between two looks of one survey counts as removed before it.
#[test]
fn a_file_that_goes_while_a_survey_looks_is_no_damage() {
    let sim = compacted(2);
    let text = document("\"new\"", r#"{"id": "m", "content": "gone soon"}"#);
    sim.put(inside("conversations/new.json"), text.as_bytes());
    for name in ["new.json", "message_store.json"] {
        let hooked = Hooked::over(sim.clone());
        let (medium, path) = (sim.clone(), files_with(&sim, name).remove(0));
        // With another time, so that it is looked at.
        sim.put(&path, &sim.read(&path).unwrap());
        hooked.before(Call::Open, name, move || medium.delete(path));
        let store = open(on_shared(&hooked));
        let recovery = store.recovery();
        assert!(hooked.has_begun(), "{name}");
        assert!(recovery.damaged.is_empty() && recovery.unlisted.is_empty(), "{name}: {recovery:?}");
        assert_eq!(texts(&store, "c1"), added(0..2));
        assert_eq!(store.summary("new").unwrap(), None);
        store.close().unwrap();
    }
    let store = open(on(sim.clone()));
    add(&store, "c1", 2..3);
    store.compact().unwrap();
    store.close().unwrap();
    assert!(!files_with(&sim, "message_store.json").is_empty(), "the list is written anew");
}

/// Who cannot read what may be there does not say that it is gone.
#[test]
fn a_changed_file_that_cannot_be_read_again_is_a_failure_and_no_damage() {
    let sim = compacted(2);
    let faults = FaultFs::over_sim(&sim, Vec::new());
    let store = open(on(faults.clone()));
    assert_eq!(texts(&store, "c1"), added(0..2));
    // The store knows what is in the file, and reads single items of it from now on.
    sim.edit(inside("conversations/c1.json"), |bytes| bytes.fill(b' '));
    let mut failed = 0;
    let told = loop {
        faults.replan(vec![Rule::new(Call::Read, failed + 1, Fault::Errno(EIO)).on("/c1.json")]);
        let told = store.messages("c1", Messages::all()).unwrap_err();
        if !faults.all_fired() {
            break told;
        }
        assert_eq!(told.kind(), ErrorKind::Io, "read {failed}: {told}");
        failed += 1;
    };
    assert_eq!(told.kind(), ErrorKind::Corrupt);
    // The file that was opened first, and the two looks at its place.
    assert_eq!(failed, 3);
}
