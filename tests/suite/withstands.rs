//! Limits and their edges, newer formats, and what runs by itself.

#![expect(clippy::disallowed_methods, reason = "files are changed from outside, and time has to pass")]

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use aral_store::{
    Batch, ErrorKind, IdVersion, JsonObject, MAX_ID_BYTES, MAX_JSON_DEPTH, MAX_KEY_BYTES, MAX_TEXT_BYTES,
    MessageStore, Messages, Mutation, NewConversation, NewMessage, Options, Order, SyncPolicy,
};

use crate::regressions::{added, files_with, fresh, texts};
use crate::support::driver::DIR;
use crate::support::faultfs::{Call, FaultFs};

/// The only file in a directory whose name has this beginning or ending.
fn only(dir: &Path, part: &str) -> PathBuf {
    let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<_> = names.filter(|path| path.to_str().unwrap().contains(part)).collect();
    assert_eq!(found.len(), 1, "{part}: {found:?}");
    found.remove(0)
}

#[test]
fn a_text_of_the_greatest_length_is_kept_and_one_byte_more_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = MessageStore::options().sync(SyncPolicy::Os).open(dir.path()).unwrap();
    let mut text = "x".repeat(MAX_TEXT_BYTES);
    drop(store.add_message("c", text.as_str()).unwrap());
    text.push('x');
    assert_eq!(store.add_message("c", text.as_str()).unwrap_err().kind(), ErrorKind::InvalidInput);
    store.close().unwrap();
    let store = MessageStore::options().sync(SyncPolicy::Os).open(dir.path()).unwrap();
    assert_eq!(store.messages("c", Messages::all()).unwrap()[0].content.len(), MAX_TEXT_BYTES);
    drop(store.compact().unwrap());
    assert_eq!(store.messages("c", Messages::all()).unwrap()[0].content.len(), MAX_TEXT_BYTES);
}

#[test]
fn a_batch_of_the_greatest_length_is_kept_and_one_byte_more_is_refused() {
    /// What a record may hold, as docs/format.md has it.
    const MOST: usize = 256 << 20;
    // Beside a long text: the conversation's id and the message's with their kinds and lengths, the key that is
    // not there and what is done, the role, the time and its offset, the text's length, and two empty objects.
    const AROUND: usize = 3 + 2 + 3 + 1 + 9 + 2 + 5 + 2;
    let dir = tempfile::tempdir().unwrap();
    let store = MessageStore::options().sync(SyncPolicy::Os).open(dir.path()).unwrap();
    let whole = MAX_TEXT_BYTES - AROUND;
    let batch = |last: usize| {
        let message = |length| NewMessage::new("x".repeat(length)).id("m");
        let lengths = vec![whole; MOST / MAX_TEXT_BYTES - 1].into_iter().chain([last]);
        lengths.fold(Batch::new(), |batch, length| batch.add_message("c", message(length)))
    };
    assert_eq!(store.batch(batch(whole + 1)).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert!(store.conversation("c").unwrap().is_none(), "nothing of it is there");
    assert_eq!(store.batch(batch(whole)).unwrap().len(), MOST / MAX_TEXT_BYTES);
    let kept = store.messages("c", Messages::last(1)).unwrap();
    assert_eq!(kept[0].content.len(), whole);
}

#[test]
fn ids_keys_and_nesting_have_limits_that_are_said() {
    let store = MessageStore::in_memory();
    let long = |length: usize| "x".repeat(length);
    drop(store.add_message(&long(MAX_ID_BYTES), "fits").unwrap());
    let refused = [
        store.add_message(&long(MAX_ID_BYTES + 1), "long"),
        store.add_message("", "nobody"),
        store.add_message("c", NewMessage::new("x").id("")),
        store.append(Mutation::add_message("c", "x").key(long(MAX_KEY_BYTES + 1))),
        store.append(Mutation::add_message("c", "x").key("")),
    ];
    for result in refused {
        assert_eq!(result.unwrap_err().kind(), ErrorKind::InvalidInput);
    }
    let nested = |depth: usize| format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
    assert!(JsonObject::parse(&nested(MAX_JSON_DEPTH)).is_ok());
    assert_eq!(JsonObject::parse(&nested(10_000)).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(JsonObject::parse("[1]").unwrap_err().kind(), ErrorKind::InvalidInput);
    let digits = format!("{{\"n\":{}}}", "7".repeat(100));
    assert_eq!(JsonObject::parse(&digits).unwrap().as_json(), digits);
}

#[test]
fn the_newest_hundred_thousand_keys_are_known_after_restart_and_compaction() {
    let dir = tempfile::tempdir().unwrap();
    let open = || MessageStore::options().sync(SyncPolicy::Os).open(dir.path()).unwrap();
    let keyed = |n: u64| Mutation::add_message("c", n.to_string()).key(format!("k{n}"));
    let store = open();
    drop(store.batch((0..60_000).map(keyed).collect::<Batch>()).unwrap());
    drop(store.compact().unwrap());
    drop(store.batch((60_000..120_000).map(keyed).collect::<Batch>()).unwrap());
    store.close().unwrap();
    for compacts in [false, true, true] {
        let store = open();
        for n in [20_000, 59_999, 60_000, 119_999] {
            assert_eq!(store.append(keyed(n)).unwrap().seq, n + 1, "key {n}");
        }
        assert_eq!(store.summary("c").unwrap().unwrap().messages, 120_000);
        if compacts {
            drop(store.compact().unwrap());
        }
        store.close().unwrap();
    }
}

#[test]
fn a_newer_format_is_refused_as_such_and_left_alone() {
    for (part, major) in [(".seg", 2), ("CHECKPOINT", 3)] {
        let crc_at = 124;
        let dir = tempfile::tempdir().unwrap();
        let store = MessageStore::open(dir.path()).unwrap();
        drop(store.add_message("c", "x").unwrap());
        store.close().unwrap();
        let path = only(&dir.path().join("log"), part);
        let mut bytes = fs::read(&path).unwrap();
        bytes[8] = major;
        let crc = crc32fast::hash(&bytes[..crc_at]);
        bytes[crc_at..crc_at + 4].copy_from_slice(&crc.to_le_bytes());
        fs::write(&path, &bytes).unwrap();
        for options in [MessageStore::options(), MessageStore::options().read_only()] {
            let error = options.open(dir.path()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::UnsupportedFormat, "{part}: {error}");
            assert_eq!(error.place().unwrap().path, fs::canonicalize(&path).unwrap());
        }
        assert_eq!(fs::read(&path).unwrap(), bytes);
    }
}

#[test]
fn a_corrupt_header_is_refused_with_its_file() {
    let dir = tempfile::tempdir().unwrap();
    let store = MessageStore::open(dir.path()).unwrap();
    drop(store.add_message("c", "x").unwrap());
    store.close().unwrap();
    let path = only(&dir.path().join("log"), ".seg");
    let mut bytes = fs::read(&path).unwrap();
    bytes[0] = b'x';
    fs::write(&path, &bytes).unwrap();
    let error = MessageStore::open(dir.path()).unwrap_err();
    assert_eq!((error.kind(), error.place().unwrap().offset), (ErrorKind::Corrupt, Some(0)));
}

#[test]
fn a_log_that_outgrows_its_limit_is_compacted_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let store = MessageStore::options().sync(SyncPolicy::Os).compact_above(200_000).open(dir.path()).unwrap();
    let before = store.stats().unwrap().epoch;
    let text = "x".repeat(10_000);
    for _ in 0..40 {
        drop(store.add_message("c", text.as_str()).unwrap());
    }
    let patience = Instant::now() + Duration::from_secs(20);
    while store.stats().unwrap().epoch == before {
        assert!(Instant::now() < patience, "{:?}", store.stats());
        thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(store.messages("c", Messages::all()).unwrap().len(), 40);
    assert_eq!(store.stats().unwrap().compaction_error, None);
}

#[test]
fn what_is_left_for_later_is_compacted_through_the_next_opening_that_appends() {
    let dir = tempfile::tempdir().unwrap();
    let open = || {
        let options = MessageStore::options().sync(SyncPolicy::Os).compact_above(200_000);
        options.compact_later().open(dir.path()).unwrap()
    };
    let text = "x".repeat(10_000);
    let add = |store: &MessageStore| {
        for _ in 0..40 {
            drop(store.add_message("c", text.as_str()).unwrap());
        }
    };
    let covered = |store: &MessageStore| store.stats().unwrap().covered_seq;
    let store = open();
    add(&store);
    thread::sleep(Duration::from_millis(200));
    assert_eq!(covered(&store), 0, "what this opening has appended");
    store.close().unwrap();
    let store = open();
    drop(store.add_message("c", "one more").unwrap());
    let patience = Instant::now() + Duration::from_secs(20);
    while covered(&store) == 0 {
        assert!(Instant::now() < patience, "{:?}", store.stats());
        thread::sleep(Duration::from_millis(5));
    }
    let before = covered(&store);
    add(&store);
    thread::sleep(Duration::from_millis(200));
    assert_eq!(covered(&store), before, "what this one has appended");
}

#[test]
fn compaction_at_closing_leaves_complete_files() {
    let dir = tempfile::tempdir().unwrap();
    let store = MessageStore::options().compact_on_close().open(dir.path()).unwrap();
    drop(store.add_message("c", "kept").unwrap());
    store.close().unwrap();
    assert!(fs::read_to_string(dir.path().join("conversations/c.json")).unwrap().contains("\"kept\""));
    fs::remove_dir_all(dir.path().join("log")).unwrap();
    let store = MessageStore::open(dir.path()).unwrap();
    assert_eq!(store.messages("c", Messages::all()).unwrap()[0].content, "kept");
}

#[test]
fn one_process_shares_one_store_and_dropping_the_last_handle_closes_it() {
    let dir = tempfile::tempdir().unwrap();
    let one = MessageStore::open(dir.path()).unwrap();
    let two = MessageStore::open(dir.path().join(".")).unwrap();
    drop(one.add_message("c", "by one").unwrap());
    assert_eq!(two.messages("c", Messages::all()).unwrap().len(), 1);
    drop((one, two));
    let segment = only(&dir.path().join("log"), ".seg");
    assert!(fs::metadata(segment).unwrap().len() < 10_000, "sealed, and the unused space given back");
}

#[test]
fn uuids_of_both_versions_are_made_up() {
    for (version, digit) in [(IdVersion::V4, '4'), (IdVersion::V7, '7')] {
        let store = MessageStore::options().ids(version).in_memory();
        let conversation = store.create_conversation(NewConversation::new()).unwrap();
        let message = store.add_message(&conversation.conversation_id, "x").unwrap();
        for id in [conversation.conversation_id, message.id.to_string()] {
            assert_eq!((id.len(), id.chars().nth(14)), (36, Some(digit)), "{id}");
        }
    }
    assert!(MessageStore::in_memory().conversations(Order::Activity).unwrap().is_empty());
}

#[test]
fn a_conversation_is_found_where_a_compaction_has_put_it() {
    let home = tempfile::tempdir().unwrap();
    let store = MessageStore::options().sync(SyncPolicy::Os).compact_manually().open(home.path()).unwrap();
    // Ids that are packed in the log, and one that is not.
    let ids = ["4ae7d5a2-0b1f-4c5e-8a3e-000000000001", "4ae7d5a2-0b1f-4c5e-8a3e-000000000002", "plain"];
    for round in 0..6 {
        for id in ids {
            drop(store.add_message(id, format!("{round}, before, in {id}")).unwrap());
        }
        drop(store.compact().unwrap());
        // First the one that the last event before was about, or another.
        for id in ids.iter().cycle().skip(round).take(3) {
            drop(store.add_message(id, format!("{round}, behind, in {id}")).unwrap());
            drop(store.compact().unwrap());
            drop(store.add_message(id, format!("{round}, again, in {id}")).unwrap());
        }
    }
    for id in ids {
        let messages = store.messages(id, Messages::all()).unwrap();
        assert_eq!(messages.len(), 18);
        let ending = format!("in {id}");
        assert!(messages.iter().all(|message| message.content.as_str().unwrap().ends_with(&ending)));
    }
}

/// One opening a message, as a shell script does it. Gives the most files in `log/`, and the most calls an opening took.
fn short_processes(options: &dyn Fn() -> Options, count: usize) -> (usize, u64) {
    let sim = fresh();
    let (mut files, mut calls) = (0, 0);
    for n in 0..count {
        let fs = FaultFs::over_sim(&sim, Vec::new());
        let store = options().vfs(Arc::new(fs.clone())).open(DIR).unwrap();
        calls = calls.max(fs.total());
        drop(store.add_message("c1", format!("m{n}")).unwrap());
        store.close().unwrap();
        files = files.max(files_with(&sim, "/log/").len());
    }
    let store = options().vfs(Arc::new(sim)).open(DIR).unwrap();
    assert_eq!(texts(&store, "c1"), added(0..count));
    (files, calls)
}

/// A program that is killed behind its message never closes the store, and its segment keeps the length that it was made
/// with. No closing counted those, and a compaction in the background had no time.
#[test]
fn processes_that_are_killed_leave_few_files_and_openings_stay_short() {
    let mut sim = fresh();
    let (mut files, mut opened) = (0, 0);
    for n in 0..300 {
        let fs = FaultFs::over_sim(&sim, Vec::new());
        let store = MessageStore::options().vfs(Arc::new(fs.clone())).open(DIR).unwrap();
        opened = opened.max(fs.count(Call::Open));
        drop(store.add_message("c1", format!("m{n}")).unwrap());
        let survivor = sim.kill();
        drop(store);
        sim = survivor;
        files = files.max(files_with(&sim, "/log/").len());
    }
    assert!(files < 75, "{files} files in log/");
    assert!(opened < 250, "an opening opened {opened} files");
    let store = MessageStore::options().vfs(Arc::new(sim)).open(DIR).unwrap();
    assert_eq!(texts(&store, "c1"), added(0..300));
}

/// Making the segment took a sync, and its first message another one; what it had not used was given back, which takes
/// some disks as long as a sync.
#[test]
fn a_process_a_message_pays_for_no_more_than_it_writes() {
    let sim = fresh();
    for n in 0..3 {
        let fs = FaultFs::over_sim(&sim, Vec::new());
        let store = MessageStore::options().vfs(Arc::new(fs.clone())).open(DIR).unwrap();
        let before = (fs.count(Call::Sync), fs.count(Call::Write));
        assert!(store.add_message("c1", format!("m{n}")).unwrap().is_durable());
        // The first one of a store makes the marker too. The writes are the segment with its message, and the hint.
        if n > 0 {
            assert_eq!((fs.count(Call::Sync) - before.0, fs.count(Call::Write) - before.1), (1, 2));
        }
        let before = fs.count(Call::Sync);
        store.close().unwrap();
        assert_eq!(fs.count(Call::Sync) - before, 1, "the seal's");
    }
    let dir = tempfile::tempdir().unwrap();
    let store = MessageStore::open(dir.path()).unwrap();
    drop(store.add_message("c1", "short").unwrap());
    let segment = || only(&dir.path().join("log"), ".seg").metadata().unwrap();
    assert!(segment().blocks() * 512 <= 16 << 10, "{} blocks are reserved", segment().blocks());
    for _ in 0..100 {
        drop(store.add_message("c1", "x".repeat(1000)).unwrap());
    }
    assert!(segment().len() == 256 << 10, "more goes into the same one");
}

#[test]
fn short_processes_leave_few_files_and_openings_stay_short() {
    let options = || MessageStore::options().sync(SyncPolicy::Os);
    let (files, calls) = short_processes(&options, 200);
    let (later_files, later_calls) = short_processes(&options, 1500);
    assert!(files < 75 && later_files <= files, "{files}, then {later_files}");
    assert!(later_calls <= calls + 10, "{calls}, then {later_calls}");
    // Whoever wants none gets none.
    assert!(short_processes(&|| options().compact_manually(), 100).0 > 100);
}
