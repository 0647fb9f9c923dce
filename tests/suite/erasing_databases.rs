//! What is erased from a database is in no row and, where the database's files can be read, in no byte of them; nothing else is missing.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use aral_store::{
    Begin, Conversation, Edit, Erasure, ErrorKind, Fork, JsonObject, KeptReceipt, MessageStore, Messages,
    Mutation, NewAction, NewConversation, NewMessage, RemovalReason, Where,
};

use crate::support::databases;

/// What occurs in all that is to be erased, and in nothing else.
const SECRET: &str = "SECRET7f3a9c";

/// They share a server, of which each looks through all files.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn open(url: &str) -> MessageStore {
    MessageStore::connect(url).unwrap()
}

/// The files below a directory in which there is something.
#[expect(clippy::disallowed_methods, reason = "databases live on the real file system")]
fn with(dir: &Path, what: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            if !path.ends_with("pg_wal") {
                found.extend(with(&path, what));
            }
        } else if std::fs::read(&path).is_ok_and(|bytes| has(&bytes, what.as_bytes())) {
            found.push(path);
        }
    }
    found
}

fn has(bytes: &[u8], what: &[u8]) -> bool {
    // Words are in small letters where they are searched for.
    let is_it = |window: &[u8]| window.eq_ignore_ascii_case(what);
    bytes.windows(what.len()).any(is_it)
}

fn say(store: &MessageStore, conversation: &str, id: &str, text: &str) {
    let metadata = JsonObject::parse(&format!(r#"{{"note":"about {text}"}}"#)).unwrap();
    let message = NewMessage::new(format!("{text}, said as {id} in it")).id(id).metadata(metadata);
    let key = format!("{text}-key-{conversation}-{id}");
    drop(store.append(Mutation::add_message(conversation, message).key(key)).unwrap());
}

fn live(store: &MessageStore) {
    let title = NewConversation::new().title(format!("{SECRET} as a title"));
    store.create_conversation_with_id("gone", title).unwrap();
    say(store, "gone", "m1", SECRET);
    say(store, "stays", "m1", "harmless");
    store.edit_message("gone", "m1", Edit::content(format!("{SECRET} edited"))).unwrap();
    say(store, "stays", "m2", "harmless too");
    let data = JsonObject::parse(&format!(r#"{{"deep":["{SECRET} in an action"]}}"#)).unwrap();
    store.add_action("gone", NewAction::new("click", data)).unwrap();
    let both = vec![
        Mutation::add_message("gone", NewMessage::new(format!("{SECRET} in a batch")).id("m2")),
        Mutation::add_message("stays", NewMessage::new("in a batch").id("m3")),
    ];
    store.batch(both).unwrap();
    for n in 0..120 {
        say(store, "gone", &format!("n{n}"), SECRET);
    }
    say(store, "stays", "m4", "harmless at last");
    // The index for searching has it, too.
    assert!(!store.search(SECRET).unwrap().is_empty());
}

type Kept = (Conversation, Vec<(u64, String)>);

fn kept(store: &MessageStore) -> Kept {
    let history = store.history("stays").unwrap();
    let events = history.events.iter().map(|past| (past.seq, format!("{:?}", past.event))).collect();
    (store.conversation("stays").unwrap().unwrap(), events)
}

/// Where the raw bytes of a database are, written out.
fn raw(url: &str, dir: &Path) -> PathBuf {
    #[cfg(feature = "postgres")]
    if url.starts_with("postgres") {
        let server = crate::support::server::shared().unwrap();
        drop(server.sql("CHECKPOINT"));
        return PathBuf::from(server.sql("SHOW data_directory"));
    }
    let _ = url;
    dir.to_owned()
}

#[test]
fn an_erased_conversation_is_in_no_row_and_no_file_of_a_database() {
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let dir = tempfile::tempdir().unwrap();
    for url in databases::urls(dir.path()) {
        let store = open(&url);
        live(&store);
        drop(store.consumer_from("read", Begin::At(3)).unwrap());
        let files = raw(&url, dir.path());
        assert!(!with(&files, SECRET).is_empty(), "{url}: it is there");
        let before = kept(&store);
        let planned = store.erasable(&Erasure::conversation("gone")).unwrap();
        let done = store.erase(&Erasure::conversation("gone")).unwrap();
        assert_eq!((planned.messages, done.messages, done.actions), (122, 122, 1), "{url}");
        assert_eq!((&planned.events, &done.not_erased), (&done.events, &Vec::new()), "{url}");
        assert_eq!(done.beyond.is_empty(), url.starts_with("sqlite"), "{url}");
        let files = raw(&url, dir.path());
        assert_eq!(with(&files, SECRET), Vec::<PathBuf>::new(), "{url}");
        assert_eq!(kept(&store), before, "{url}");
        assert!(store.remnants(&done.receipt, &[]).unwrap().is_empty(), "{url}");
        let report = store.verify().unwrap();
        assert!(report.is_sound() && report.conversations == 1, "{url}: {report:?}");
        assert_eq!(store.removed("gone").unwrap().unwrap().reason, RemovalReason::Erasure, "{url}");
        let told = store.at(2).conversation("gone").unwrap_err();
        assert!(told.kind() == ErrorKind::NotFound && told.message().contains("it was erased at"), "{told}");
        assert_eq!(store.unremove("gone").unwrap_err().kind(), ErrorKind::NotFound, "{url}");
        assert!(store.search(SECRET).unwrap().is_empty(), "{url}");
        assert_eq!(store.search("harmless").unwrap().len(), 3, "{url}");
        // No number is missing for whoever reads the log, and a consumer goes on where it was.
        let seqs: usize = store.events(1).unwrap().iter().map(|(_, events)| events.len()).sum();
        assert_eq!(u64::try_from(seqs).unwrap(), store.stats().unwrap().last_seq, "{url}");
        assert_eq!(store.consumer("read").unwrap().next_batch(1).unwrap()[0].0, 3, "{url}");
        // A copy has its state: no store takes an event that is nothing.
        let directory = tempfile::tempdir().unwrap();
        let to = directory.path().join("copy.db");
        for to in [format!("sqlite:{}", to.display()), directory.path().join("copy").display().to_string()] {
            let to = if to.starts_with("sqlite") { open(&to) } else { MessageStore::open(to).unwrap() };
            assert_eq!(store.copy_to(&to, |_| {}).unwrap().conversations, 1, "{url}");
            assert_eq!(to.conversation("stays").unwrap(), store.conversation("stays").unwrap(), "{url}");
            assert_eq!(to.removed("gone").unwrap().unwrap().reason, RemovalReason::Erasure, "{url}");
            to.close().unwrap();
        }
        // Its keys are nobody's any more, and its id begins again.
        say(&store, "gone", "m1", SECRET);
        let erased = store.history("gone").unwrap();
        assert_eq!((erased.events.len(), erased.removed.is_some()), (1, true), "{url}");
        store.close().unwrap();
        let store = open(&url);
        assert!(store.verify().unwrap().is_sound(), "{url}");
        drop(store.erase(&Erasure::conversation("gone")).unwrap());
        assert_eq!(with(&raw(&url, dir.path()), SECRET), Vec::<PathBuf>::new(), "{url}: again");
        assert!(store.verify().unwrap().is_sound(), "{url}");
        store.close().unwrap();
    }
}

#[test]
fn an_erased_message_leaves_its_place_in_the_past_of_a_database() {
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let dir = tempfile::tempdir().unwrap();
    for url in databases::urls(dir.path()) {
        let store = open(&url);
        say(&store, "c1", "m1", "harmless");
        say(&store, "c2", "m1", "of a conversation that goes, whose title is like that of another one");
        assert_eq!(store.erase(&Erasure::conversation("c2")).unwrap().not_erased, Vec::<PathBuf>::new());
        store.close().unwrap();
        let store = open(&url);
        say(&store, "c1", "m2", SECRET);
        store.edit_message("c1", "m2", Edit::content(format!("{SECRET} again"))).unwrap();
        say(&store, "c1", "m3", "harmless too");
        let version = store.summary("c1").unwrap().unwrap().version;
        drop(store.fork("c1", Fork::before("m2").id("fork")).unwrap());
        let done = store.erase(&Erasure::message("c1", "m2")).unwrap();
        assert_eq!((done.messages, &done.forks), (1, &vec!["fork".to_owned()]), "{url}");
        assert_eq!(with(&raw(&url, dir.path()), SECRET), Vec::<PathBuf>::new(), "{url}");
        let then = store.at(6).conversation("c1").unwrap().unwrap();
        assert_eq!((then.version, then.messages.len()), (version, 3), "{url}");
        assert_eq!(then.messages[1].metadata.as_json(), r#"{"erased":true}"#, "{url}");
        let now = store.messages("c1", Messages::all()).unwrap();
        assert_eq!(now.iter().map(|of| of.id.to_string_lossy()).collect::<Vec<_>>(), ["m1", "m3"]);
        assert!(store.verify().unwrap().is_sound(), "{url}");
        assert_eq!(
            store.erase(&Erasure::conversation("never")).unwrap_err().kind(),
            ErrorKind::NotFound,
            "{url}"
        );
        store.close().unwrap();
    }
}

#[test]
fn the_receipts_of_a_database_are_listed_and_a_damaged_one_is_named() {
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let dir = tempfile::tempdir().unwrap();
    for url in databases::urls(dir.path()) {
        let store = open(&url);
        assert_eq!(store.receipts().unwrap(), [], "{url}");
        let mut done = Vec::new();
        for id in ["c1", "c2", "c3"] {
            say(&store, id, "m1", SECRET);
            done.push(store.erase(&Erasure::conversation(id)).unwrap());
        }
        let listed = store.receipts().unwrap();
        let texts = |kept: &[KeptReceipt]| kept.iter().map(|kept| kept.receipt.clone()).collect::<Vec<_>>();
        assert_eq!(texts(&listed), done.iter().map(|done| done.receipt.clone()).collect::<Vec<_>>(), "{url}");
        let facts = |kept: &KeptReceipt| (kept.messages, kept.events.clone(), kept.damage.clone());
        assert_eq!(facts(&listed[1]), (1, done[1].events.clone(), None), "{url}");
        assert!(listed[1].path.to_string_lossy().ends_with(", aral_erasures, row 2"), "{url}: {listed:?}");
        let reader = MessageStore::options().read_only().connect(&url).unwrap();
        assert_eq!(reader.receipts().unwrap(), listed, "{url}");
        reader.close().unwrap();
        #[cfg(feature = "sqlite")]
        if let Some(path) = url.strip_prefix("sqlite:") {
            let other = rusqlite::Connection::open(path).unwrap();
            let sql = "UPDATE aral_erasures SET receipt = x'00ff' WHERE number = 2";
            assert_eq!(other.execute(sql, []).unwrap(), 1);
            drop(other);
            let damaged = store.receipts().unwrap();
            assert_eq!((&damaged[0], &damaged[2]), (&listed[0], &listed[2]));
            assert!(damaged[1].damage.is_some() && damaged[1].path == listed[1].path, "{damaged:?}");
        }
        store.close().unwrap();
    }
}

#[test]
fn what_was_removed_before_or_has_such_metadata_is_erased_from_a_database() {
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let dir = tempfile::tempdir().unwrap();
    for url in databases::urls(dir.path()) {
        let store = open(&url);
        let of_anna = JsonObject::parse(r#"{"user":"anna"}"#).unwrap();
        let new = NewConversation::new().title(SECRET).metadata(of_anna.clone());
        store.create_conversation_with_id("removed", new).unwrap();
        store.remove_conversation("removed").unwrap();
        drop(store.add_message("c1", NewMessage::new(SECRET).id("m1").metadata(of_anna)).unwrap());
        say(&store, "c1", "m2", "harmless");
        let conditions = Where::parse(r#"metadata.user = "anna""#).unwrap();
        let (matched, done) = store.erase_where(&conditions).unwrap();
        assert_eq!((matched.found.len(), done.len()), (2, 2), "{url}: {matched:?}");
        assert_eq!(with(&raw(&url, dir.path()), SECRET), Vec::<PathBuf>::new(), "{url}");
        assert!(store.verify().unwrap().is_sound(), "{url}");
        assert_eq!(store.messages("c1", Messages::all()).unwrap().len(), 1, "{url}");
        store.close().unwrap();
    }
}

#[cfg(feature = "postgres")]
fn files_with(server: &crate::support::server::Server, what: &str) -> Vec<PathBuf> {
    drop(server.sql("CHECKPOINT"));
    with(Path::new(&server.sql("SHOW data_directory")), what)
}

/// Somebody who sees the state of now for as long as this is there.
#[cfg(feature = "postgres")]
fn looking(
    server: &std::sync::Arc<crate::support::server::Server>,
    seconds: u32,
) -> std::thread::JoinHandle<String> {
    let of_other = std::sync::Arc::clone(server);
    let query =
        format!("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 'looks'; SELECT pg_sleep({seconds}); COMMIT");
    #[expect(clippy::disallowed_methods, reason = "another program looks meanwhile")]
    let other = std::thread::spawn(move || of_other.sql(&query));
    let is_there = format!(
        "SELECT COUNT(*) FROM pg_stat_activity WHERE query LIKE '%looks%sleep({seconds})%' AND pid <> pg_backend_pid()"
    );
    crate::support::server::wait_until("looking", || server.sql(&is_there) == "1");
    other
}

#[test]
#[cfg(feature = "postgres")]
fn whoever_sees_a_server_as_it_was_before_is_waited_for() {
    let Some(server) = crate::support::server::start().map(std::sync::Arc::new) else { return };
    let url = server.url("erased_while_looked_at");
    let store = open(&url);
    say(&store, "gone", "m1", SECRET);
    say(&store, "c1", "m1", SECRET);
    let other = looking(&server, 3);
    assert_eq!(store.erase(&Erasure::conversation("gone")).unwrap().messages, 1);
    assert!(other.is_finished(), "it looks no more");
    assert_eq!(store.erase(&Erasure::message("c1", "m1")).unwrap().messages, 1);
    assert_eq!(files_with(&server, SECRET), Vec::<PathBuf>::new());
}

#[test]
#[cfg(feature = "postgres")]
fn whoever_sees_a_server_as_it_was_before_for_long_is_named_and_the_next_opening_goes_on() {
    let Some(server) = crate::support::server::start().map(std::sync::Arc::new) else { return };
    let url = server.url("erased_while_looked_at_for_long");
    let store = open(&url);
    say(&store, "gone", "m1", SECRET);
    // As long as the shortest waiting for a database, and a little.
    let other = looking(&server, 33);
    let error = store.erase(&Erasure::conversation("gone")).unwrap_err();
    assert!(error.kind() == ErrorKind::Locked && error.message().contains("process number"), "{error}");
    assert_eq!(store.conversation("gone").unwrap(), None, "it is gone for whoever asks");
    other.join().unwrap();
    store.close().unwrap();
    open(&url).close().unwrap();
    assert_eq!(files_with(&server, SECRET), Vec::<PathBuf>::new());
}
