//! A conversation that is replaced in place: its files, its lines, its followers, and who can read its log.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use aral_store::{
    ActionEdit, Batch, Change, Edit, ErrorKind, Event, JsonObject, Logged, MessageStore, Mutation, NewAction,
    NewConversation, NewMessage, Operation, Order, Timestamp,
};

use crate::support::driver::{self, DIR};
use crate::support::simfs::{self, SimFs};

/// Where the first frame of a segment lies, and the parts of its header, as docs/format.md has them.
const FIRST_FRAME: usize = 4096;
const SCHEMA_AT: usize = 14;
const EVENTS_AT: usize = 28;

fn fresh() -> SimFs {
    driver::fresh(simfs::Settings::default())
}

fn open(fs: &SimFs) -> MessageStore {
    MessageStore::options().compact_manually().vfs(Arc::new(fs.clone())).open(DIR).unwrap()
}

fn time(second: i64) -> Timestamp {
    Timestamp::from_unix_micros(1_741_878_693_000_000 + second * 1_000_000).unwrap()
}

fn object(text: &str) -> JsonObject {
    JsonObject::parse(text).unwrap()
}

/// The plans as they are to be in the end, behind a mutation that begins them or begins them anew.
fn plans(begin: fn(&'static str, NewConversation) -> Mutation) -> Batch {
    let mut new = NewConversation::new().title("Plans").metadata(object(r#"{"m":[1,NaN]}"#));
    (new.created_at, new.extra) = (Some(time(1)), object(r#"{"x-flag":true}"#));
    let mut question = NewMessage::new("What shall we do?").id("m1").created_at(time(2));
    question.extra = object(r#"{"x-read":null}"#);
    let action = NewAction::new("search", object(r#"{"q":"ü"}"#)).id("a1").created_at(time(3));
    Batch::new().push(begin("plans", new)).add_message("plans", question).add_action("plans", action)
}

/// The JSON files of a store, by their paths.
fn files(fs: &SimFs) -> Vec<(PathBuf, Vec<u8>)> {
    let paths = fs.files().into_iter().map(|(path, _)| path);
    let json = paths.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    json.map(|path| (path.clone(), fs.read(&path).unwrap())).collect()
}

fn segments(fs: &SimFs) -> Vec<PathBuf> {
    let paths = fs.files().into_iter().map(|(path, _)| path);
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "seg")).collect()
}

fn number(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

/// The offset of every frame of a store with events in it, and the version of their encoding.
fn schemas(fs: &SimFs) -> Vec<u16> {
    let mut found = Vec::new();
    for path in segments(fs) {
        let bytes = fs.read(&path).unwrap();
        let mut at = FIRST_FRAME;
        while at + 32 <= bytes.len() && bytes[at..at + 32] != [0; 32] {
            if number(&bytes, at + EVENTS_AT) > 0 {
                found.push(u16::from_le_bytes([bytes[at + SCHEMA_AT], bytes[at + SCHEMA_AT + 1]]));
            }
            let payload = usize::try_from(number(&bytes, at + 4)).unwrap();
            at += 32 + payload.next_multiple_of(32);
        }
    }
    found
}

#[test]
fn the_files_are_those_of_a_conversation_that_never_was_another() {
    let (plain, replaced) = (fresh(), fresh());
    for (fs, is_plain) in [(&plain, true), (&replaced, false)] {
        let store = open(fs);
        drop(store.add_message("first", NewMessage::new("1").id("m").created_at(time(0))).unwrap());
        if is_plain {
            drop(store.batch(plans(Mutation::create_conversation)).unwrap());
        } else {
            drop(store.add_message("plans", "another conversation").unwrap());
            drop(store.set_extra("plans", object(r#"{"old":1}"#)).unwrap());
        }
        drop(store.add_message("last", NewMessage::new("2").id("m").created_at(time(0))).unwrap());
        if !is_plain {
            drop(store.compact().unwrap());
            let receipts = store.batch(plans(Mutation::reset_conversation)).unwrap();
            let versions: Vec<u64> = receipts.iter().map(|receipt| receipt.version).collect();
            assert_eq!(versions, [3, 4, 5], "versions go on");
        }
        let ids: Vec<String> =
            store.conversations(Order::Created).unwrap().into_iter().map(|summary| summary.id).collect();
        assert_eq!(ids, ["first", "plans", "last"], "it stays in its place");
        drop(store.compact().unwrap());
        store.close().unwrap();
    }
    assert_eq!(files(&plain).len(), 4);
    assert_eq!(files(&plain), files(&replaced));
    let store = open(&replaced);
    assert_eq!(store.summary("plans").unwrap().unwrap().version, 5);
    assert_eq!(store.summary("plans").unwrap().unwrap().last_activity, time(3));
}

#[test]
fn nothing_of_the_old_file_is_read_once_the_conversation_has_begun_anew() {
    let fs = fresh();
    let store = open(&fs);
    drop(store.add_message("plans", "old").unwrap());
    drop(store.compact().unwrap());
    drop(store.batch(plans(Mutation::reset_conversation)).unwrap());
    // Order: damage the file before the first read, behind which nobody would look at it again.
    fs.zero_range(format!("{DIR}/conversations/plans.json"), 0, 20);
    let expected = store.conversation("plans").unwrap().unwrap();
    assert_eq!((expected.messages.len(), expected.actions.len()), (1, 1));
    drop(store.compact().unwrap());
    assert_eq!(store.conversation("plans").unwrap().unwrap(), expected);
}

/// A file may leave times out; the conversation's own stands for them, as it was when the file was read.
#[test]
fn the_time_of_a_message_that_has_none_is_not_changed_with_the_conversations() {
    let fs = fresh();
    let file = r#"{"id":"c1","title":"T","created_at":"2025-03-13T15:11:33","messages":[{"content":"x"}]}"#;
    fs.put(format!("{DIR}/conversations/c1.json"), file.as_bytes());
    let store = open(&fs);
    let before = store.conversation("c1").unwrap().unwrap();
    drop(store.set_created_at("c1", time(0)).unwrap());
    for _ in 0..2 {
        let after = store.conversation("c1").unwrap().unwrap();
        assert_eq!((after.created_at, &after.messages), (time(0), &before.messages));
        drop(store.compact().unwrap());
    }
}

#[test]
fn a_damaged_conversation_is_not_overwritten_by_beginning_anew() {
    let fs = fresh();
    let store = open(&fs);
    drop(store.add_message("plans", "old").unwrap());
    drop(store.compact().unwrap());
    store.close().unwrap();
    let path = format!("{DIR}/conversations/plans.json");
    let damaged = br#"{"id": "plans", "mess"#.to_vec();
    fs.put(&path, &damaged);
    let store = open(&fs);
    let refused = store.batch(plans(Mutation::reset_conversation)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Corrupt);
    drop(store.compact().unwrap());
    assert_eq!(fs.read(&path).unwrap(), damaged);
}

/// Everything that came with the second version of the encoding.
fn newer() -> Vec<Batch> {
    let of = |operation: Operation| Batch::new().push(Mutation::new("plans", operation));
    let role = Edit::default().role("tool").created_at(time(7));
    let kind = ActionEdit::data(object("{}")).action_type("other").extra(object(r#"{"x":1}"#));
    vec![
        plans(Mutation::reset_conversation),
        of(Operation::EditMessage { message_id: "m1".into(), edit: role }),
        of(Operation::EditAction { action_id: "a1".into(), edit: kind }),
        of(Operation::SetCreatedAt(time(9))),
        of(Operation::SetExtra(object(r#"{"y":2}"#))),
    ]
}

#[test]
fn the_lines_of_a_log_make_the_same_store() {
    let store = MessageStore::in_memory();
    let first = open(&fresh());
    drop(first.add_message("plans", NewMessage::new("old").id("m0")).unwrap());
    for batch in newer() {
        drop(first.batch(batch).unwrap());
    }
    for (seq, events) in first.events(1).unwrap() {
        for (seq, event) in (seq..).zip(events) {
            let line = event.to_json_line(seq);
            let again = Mutation::from_json_line(line.as_bytes()).unwrap();
            assert_eq!(store.batch(again).unwrap()[0].seq, seq, "{line}");
        }
    }
    assert_eq!(store.conversation("plans").unwrap(), first.conversation("plans").unwrap());
}

#[test]
fn a_follower_sees_a_conversation_begin_anew() {
    let store = open(&fresh());
    let mut follower = store.follow(1).unwrap();
    drop(store.batch(plans(Mutation::reset_conversation)).unwrap());
    let Some(Logged::Batch { seq: 1, events }) = follower.next_logged().unwrap() else { panic!("no batch") };
    let [Event { change: Change::Reset { title, .. }, .. }, _, _] = events.as_slice() else {
        panic!("{events:?}")
    };
    assert_eq!(*title, "Plans");
}

#[test]
fn a_frame_says_the_oldest_version_that_has_its_events() {
    let fs = fresh();
    let store = open(&fs);
    drop(store.add_message("plans", NewMessage::new("x").id("m1")).unwrap());
    drop(store.edit_message("plans", "m1", Edit::content("y").metadata(object(r#"{"a":1}"#))).unwrap());
    // A role that is the one it has changes nothing that the first version could not say.
    drop(store.edit_message("plans", "m1", Edit::content("z").role("user")).unwrap());
    drop(store.clear("plans").unwrap());
    assert_eq!(schemas(&fs), [1; 4]);
    for batch in newer() {
        drop(store.batch(batch).unwrap());
    }
    drop(store.remove_message("plans", "m1").unwrap());
    assert_eq!(schemas(&fs), [1, 1, 1, 1, 2, 2, 2, 2, 2, 1]);
    store.close().unwrap();
    let to = "/home/repaired";
    let options = MessageStore::options().compact_manually().vfs(Arc::new(fs.clone()));
    assert!(options.repair(DIR, to).unwrap().is_complete());
    assert_eq!(schemas(&fs).len(), 20, "a repair carries the same events out again");
    assert_eq!(schemas(&fs)[10..], [1, 1, 1, 1, 2, 2, 2, 2, 2, 1]);
}

/// Makes the first frame of a store's newest segment one of the next version of the encoding, checksum and all.
pub(crate) fn of_the_future(fs: &SimFs) -> (PathBuf, Vec<u8>) {
    let path = segments(fs).pop().unwrap();
    let mut bytes = fs.read(&path).unwrap();
    let at = FIRST_FRAME;
    bytes[at + SCHEMA_AT] = 250;
    let place = [&bytes[72..76], &bytes[40..48], &(u64::try_from(at).unwrap()).to_le_bytes()].concat();
    let crc = crc32fast::hash(&[&place, &bytes[at + 4..at + 32]].concat());
    bytes[at..at + 4].copy_from_slice(&crc.to_le_bytes());
    fs.put(&path, &bytes);
    (path, bytes)
}

#[test]
fn an_encoding_of_the_future_is_refused_as_such_and_left_alone() {
    let fs = fresh();
    let store = open(&fs);
    drop(store.batch(plans(Mutation::reset_conversation)).unwrap());
    drop(store);
    let (path, bytes) = of_the_future(&fs);
    let refused = |error: aral_store::Error, how: &str| {
        assert_eq!(error.kind(), ErrorKind::UnsupportedFormat, "{how}: {error}");
        assert_eq!(error.place().map(|place| place.path.as_path()), Some(path.as_path()), "{how}");
    };
    let options = || MessageStore::options().compact_manually().vfs(Arc::new(fs.clone()));
    refused(options().open(DIR).unwrap_err(), "writing");
    refused(options().read_only().open(DIR).unwrap_err(), "reading");
    refused(options().repair(DIR, "/home/repaired").unwrap_err(), "repairing");
    let verdict = options().verify(DIR).unwrap();
    assert!(verdict.damaged.iter().any(|found| found.path == path), "{verdict:?}");
    assert_eq!(fs.read(Path::new(&path)).unwrap(), bytes);
}
