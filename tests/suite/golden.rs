//! Stores that version 1 of the format wrote, and ones with later versions of the encoding of events in their logs. They
//! are never regenerated: what they hold is read for ever.

#![expect(clippy::disallowed_methods, reason = "the golden stores are on the real file system")]

use std::fs;
use std::path::{Path, PathBuf};

use aral_store::{Error, ErrorKind, Keep, MessageStore, Mutation, NewMessage, Order, RemovalReason};

const STORES: [&str; 11] = [
    "v1/closed",
    "v1/killed",
    "v1/compacted",
    "encoding2/closed",
    "encoding2/compacted",
    "encoding3/closed",
    "encoding3/compacted",
    "encoding5/closed",
    "encoding5/compacted",
    "encoding6/closed",
    "encoding6/compacted",
];

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Everything in a store, as the lines of an export.
fn lines(store: &MessageStore) -> Result<String, Error> {
    let mut lines = Vec::new();
    for summary in store.conversations(Order::Created)? {
        let mut conversation = store.conversation(&summary.id)?.unwrap();
        // These lines are older than the versions in them.
        conversation.version = 0;
        lines.push(conversation.to_header_line());
        lines.extend(conversation.messages.iter().map(|m| m.to_json_line(Some(&summary.id))));
        lines.extend(conversation.actions.iter().map(|a| a.to_json_line(Some(&summary.id))));
    }
    lines.push(String::new());
    Ok(lines.join("\n"))
}

#[test]
fn what_was_written_is_read_as_it_was() {
    for name in STORES {
        let expected = fs::read_to_string(golden().join(format!("{name}.jsonl"))).unwrap();
        let dir = tempfile::tempdir().unwrap();
        copy(&golden().join(name), dir.path());
        let viewer = MessageStore::options().read_only().open(dir.path()).unwrap();
        assert_eq!(lines(&viewer).unwrap(), expected, "{name}, for reading");
        assert!(MessageStore::options().verify(dir.path()).unwrap().is_sound());
        let store = MessageStore::open(dir.path()).unwrap();
        assert!(
            store.recovery().damaged.is_empty() && store.recovery().torn.is_none(),
            "{:?}",
            store.recovery()
        );
        assert_eq!(lines(&store).unwrap(), expected, "{name}, for writing");
        drop(store.compact().unwrap());
        assert_eq!(lines(&store).unwrap(), expected, "{name}, compacted");
        store.close().unwrap();
        let store = MessageStore::open(dir.path()).unwrap();
        assert_eq!(lines(&store).unwrap(), expected, "{name}, opened again");
    }
}

#[cfg(feature = "encryption")]
#[test]
fn what_was_encrypted_is_read_as_it_was_with_its_key_and_not_without() {
    let key = || aral_store::Key::from_hex(&"0123456789abcdef".repeat(4)).unwrap();
    for (name, added) in [("closed", &[][..]), ("compacted", &["after it"][..])] {
        let dir = tempfile::tempdir().unwrap();
        copy(&golden().join("encrypted1").join(name), dir.path());
        let options = || MessageStore::options().key(key());
        let check = |store: &MessageStore| {
            let texts = |id: &str| -> Vec<String> {
                let messages = store.messages(id, aral_store::Messages::all()).unwrap();
                messages.iter().map(|message| message.content.as_str().unwrap().to_owned()).collect()
            };
            assert_eq!(texts("plans"), [&["What shall we build?", "A store."][..], added].concat(), "{name}");
            assert_eq!(texts("other/one"), ["hi"]);
            let plans = store.conversation("plans").unwrap().unwrap();
            assert_eq!((plans.title.as_str(), plans.actions.len()), (Some("Plans"), 1));
        };
        assert_eq!(MessageStore::open(dir.path()).unwrap_err().kind(), ErrorKind::Key);
        assert!(MessageStore::options().verify(dir.path()).unwrap().is_sound());
        assert!(options().verify(dir.path()).unwrap().is_sound());
        check(&options().read_only().open(dir.path()).unwrap());
        let store = options().open(dir.path()).unwrap();
        check(&store);
        drop(store.compact().unwrap());
        store.close().unwrap();
        check(&options().open(dir.path()).unwrap());
    }
}

#[test]
fn the_history_that_was_kept_is_read_as_it_was() {
    let expected = fs::read_to_string(golden().join("history1/kept.jsonl")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    copy(&golden().join("history1/kept"), dir.path());
    let read = |store: &MessageStore| -> String {
        let other = "3f0f2a34-5b1e-4a8e-9c36-0d5d2ab6f001";
        let states = [1, 2, 3, 4, 6, 8].map(|seq| (seq, "c1")).into_iter().chain([(5, other)]);
        let line =
            |(seq, id): (u64, &str)| store.at(seq).conversation(id).unwrap().unwrap().to_json_line() + "\n";
        states.map(line).collect()
    };
    let viewer = MessageStore::options().read_only().open(dir.path()).unwrap();
    assert_eq!(read(&viewer), expected);
    let store = MessageStore::open(dir.path()).unwrap();
    drop(store.compact().unwrap());
    assert_eq!(read(&store), expected, "with another chapter");
    assert_eq!(store.kept_history().unwrap().from, 1);
    assert!(store.verify().unwrap().is_sound());
}

#[test]
fn the_keys_that_were_kept_still_make_a_retry_harmless() {
    for name in STORES {
        let dir = tempfile::tempdir().unwrap();
        copy(&golden().join(name), dir.path());
        let store = MessageStore::open(dir.path()).unwrap();
        let again =
            store.append(Mutation::add_message("../x", NewMessage::new("escaped")).key("k1")).unwrap();
        assert_eq!((again.seq, again.version, again.id.as_str()), (4, 1, Some("m1")), "{name}");
        let other = store.append(Mutation::add_message("../x", NewMessage::new("other")).key("k1"));
        assert_eq!(other.unwrap_err().kind(), ErrorKind::Conflict, "{name}");
    }
}

#[test]
fn versions_and_removals_are_read_as_they_were() {
    let at = |text: &str| text.parse().ok();
    let gone = ("gone", 6, at("2025-03-13T15:11:05.5+01:00"));
    let in_a_batch = ("back", 8, at("1999-12-31T23:59:59"));
    let since = ("../x", 11, at("2025-03-13T15:11:08.5+01:00"));
    for (name, version, ought) in
        [("encoding3/closed", 1000, [in_a_batch, gone]), ("encoding3/compacted", 1001, [since, gone])]
    {
        let dir = tempfile::tempdir().unwrap();
        copy(&golden().join(name), dir.path());
        for _ in 0..2 {
            let store = MessageStore::open(dir.path()).unwrap();
            assert_eq!(store.summary("c1").unwrap().unwrap().version, version, "{name}");
            let removed = store.tombstones().unwrap();
            let removed: Vec<_> = removed.iter().map(|t| (&*t.id, t.seq, t.removed_at)).collect();
            assert_eq!(removed, ought, "{name}");
            drop(store.compact().unwrap());
            store.close().unwrap();
        }
    }
}

/// Removals with a reason, in a log and in a checkpoint, and chapters from which a conversation was erased.
#[test]
fn why_conversations_are_gone_is_read_as_it_was() {
    let (pruned, erased) = (RemovalReason::Retention, RemovalReason::Erasure);
    for (name, ought) in [
        ("encoding5/closed", vec![("aged", 5, pruned)]),
        ("encoding5/compacted", vec![("aged", 9, pruned), ("wiped", 8, erased)]),
    ] {
        let dir = tempfile::tempdir().unwrap();
        copy(&golden().join(name), dir.path());
        for _ in 0..2 {
            let store = MessageStore::open(dir.path()).unwrap();
            let removed = store.tombstones().unwrap();
            let removed: Vec<_> = removed.iter().map(|t| (&*t.id, t.seq, t.reason)).collect();
            assert_eq!(removed, ought, "{name}");
            let then = store.at(4).conversation("c1").unwrap().unwrap();
            assert_eq!((then.version, then.messages.len()), (2, 1), "{name}");
            assert!(store.verify().unwrap().is_sound(), "{name}");
            drop(store.compact().unwrap());
            store.keep_history(Keep::Everything).unwrap();
            store.close().unwrap();
            if name.ends_with("closed") {
                break;
            }
        }
    }
}

/// Replies that were left as they came, in a log and behind a compaction, are gone on with.
#[test]
fn replies_that_nobody_has_finished_are_open_as_they_were() {
    for name in ["encoding6/closed", "encoding6/compacted"] {
        let dir = tempfile::tempdir().unwrap();
        copy(&golden().join(name), dir.path());
        let store = MessageStore::open(dir.path()).unwrap();
        let other = "3f0f2a34-5b1e-4a8e-9c36-0d5d2ab6f001";
        for (id, message) in [("c1", "m4"), (other, "m3")] {
            let before = store.message(id, message).unwrap().unwrap();
            let mut reply = store.resume_message(id, message).unwrap();
            drop(reply.append(" and on").unwrap());
            drop(reply.finish().unwrap());
            let after = store.message(id, message).unwrap().unwrap();
            assert_eq!((before.is_partial(), after.is_partial()), (true, false), "{name}");
            assert_eq!(after.content.as_wtf8(), [before.content.as_wtf8(), b" and on"].concat(), "{name}");
        }
        assert_eq!(store.resume_message("c1", "m2").unwrap_err().kind(), ErrorKind::Conflict, "{name}");
        let then = store.at(3).conversation("c1").unwrap().unwrap();
        assert_eq!(then.messages[1].content, "It is ", "{name}");
        assert!(store.verify().unwrap().is_sound(), "{name}");
    }
}

/// A checkpoint of version 2, which holds the events of a conversation whose file was damaged.
#[test]
fn what_was_held_is_held_and_is_whole_once_its_file_is_back() {
    let (held, whole) = (golden().join("checkpoint2/held"), golden().join("checkpoint2/whole.json"));
    let dir = tempfile::tempdir().unwrap();
    copy(&held, dir.path());
    let store = MessageStore::open(dir.path()).unwrap();
    assert_eq!((store.stats().unwrap().held, store.stats().unwrap().damaged), (1, 1));
    assert_eq!(store.conversation("../x").unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(store.add_message("../x", "no").unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(store.conversation("plans").unwrap().unwrap().messages.len(), 4);
    let note = "4 events of conversation \"../x\"";
    assert!(store.verify().unwrap().notes.iter().any(|told| told.contains(note)));
    assert_eq!(store.compact().unwrap().held.len(), 1);
    store.close().unwrap();
    fs::copy(whole, dir.path().join("conversations/%%2e%2e%2fx.json")).unwrap();
    let expected = fs::read_to_string(golden().join("checkpoint2/held.jsonl")).unwrap();
    let viewer = MessageStore::options().read_only().open(dir.path()).unwrap();
    assert_eq!(lines(&viewer).unwrap(), expected, "for reading");
    let store = MessageStore::open(dir.path()).unwrap();
    assert_eq!(lines(&store).unwrap(), expected, "for writing");
    let again = Mutation::add_message("../x", NewMessage::new("newer, grüezi 🦀").id("m2")).key("k1");
    assert_eq!(store.append(again).unwrap().seq, 4);
    assert_eq!(store.compact().unwrap().held.len(), 0);
    assert_eq!(lines(&store).unwrap(), expected, "compacted");
    store.close().unwrap();
    let store = MessageStore::open(dir.path()).unwrap();
    assert_eq!(lines(&store).unwrap(), expected, "opened again");
    assert!(store.verify().unwrap().is_sound() && store.stats().unwrap().held == 0);
}
