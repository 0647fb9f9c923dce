//! A bucket copied down is a directory's store, and a directory copied up is a bucket's.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use super::sim::{Bucket, Client, Shared};
use super::world::{engine, message};
use crate::backend::locked::locked;
use crate::backend::settings::Settings;
use crate::backend::{Backend, directory};
use crate::model::{Conversation, Edit, Keep, Mutation, NewConversation, Operation, Order};
use crate::rules::Walk;

fn bucket() -> Shared {
    Arc::new(Mutex::new(Bucket::default()))
}

/// Everything in a directory, by names with slashes.
#[expect(clippy::disallowed_methods, reason = "a copy is made of the real files")]
pub(super) fn files(dir: &Path, prefix: &str, into: &mut BTreeMap<String, Vec<u8>>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.file_type().unwrap().is_dir() {
            files(&entry.path(), &format!("{name}/"), into);
        } else {
            into.insert(name, std::fs::read(entry.path()).unwrap());
        }
    }
}

fn up(dir: &Path) -> Shared {
    let bucket = bucket();
    files(dir, "", &mut locked(&bucket).objects);
    bucket
}

#[expect(clippy::disallowed_methods, reason = "a copy is made as real files")]
pub(super) fn down(bucket: &Shared, dir: &Path) {
    // The names of what came with a directory are behind those of what is newer, which is to stand in the end.
    for (name, bytes) in locked(bucket).objects.iter().rev() {
        // As docs/journal.md says: a directory has its history in its log.
        let path = match name.strip_prefix("archive/") {
            Some(name) => dir.join("log/archive").join(name),
            None => dir.join(name),
        };
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
}

fn all(store: &dyn Backend) -> Vec<Conversation> {
    let list = store.conversations(Order::Created, None).unwrap();
    list.iter().map(|summary| store.conversation(&summary.id).unwrap().unwrap()).collect()
}

fn settings() -> Settings {
    Settings { compact_above: None, ..Settings::default() }
}

/// Appends of every kind, the beginning of ids with this.
fn live(store: &dyn Backend, mark: &str) {
    let append = |mutation| drop(store.append(vec![mutation]).unwrap());
    append(message("é/x", &format!("{mark}1")).key(format!("{mark}k")));
    append(message("plain", &format!("{mark}2")));
    append(message("plain", &format!("{mark}3")));
    append(Mutation::create_conversation(format!("{mark}new"), NewConversation::new().title("T")));
    append(message("doomed", &format!("{mark}4")));
    let edit =
        Operation::EditMessage { message_id: format!("{mark}2").into(), edit: Edit::content("edited") };
    append(Mutation::new("plain", edit));
    append(Mutation::new("doomed", Operation::RemoveConversation));
    store.append(vec![message("Plain", &format!("{mark}5")), message("plain", &format!("{mark}6"))]).unwrap();
}

/// Opens a directory, which must be sound, and lives on in it.
fn as_directory(dir: &Path, ought: &[Conversation], mark: &str) -> Vec<Conversation> {
    let verified = directory::verify_dir(dir, &settings()).unwrap();
    assert!(verified.is_sound(), "{verified:?}");
    let store = directory::open(dir, settings()).unwrap();
    let report = store.recovery();
    assert!(report.damaged.is_empty() && report.changed.is_empty() && report.torn.is_none(), "{report:?}");
    assert_eq!(all(&*store), ought);
    must_have_a_past(&*store);
    live(&*store, mark);
    let now = all(&*store);
    store.close().unwrap();
    now
}

fn as_bucket(bucket: &Shared, ought: &[Conversation], mark: &str) -> Vec<Conversation> {
    let store = engine(Client::sound(bucket));
    assert!(store.verify().unwrap().is_sound());
    assert_eq!(all(&store), ought);
    must_have_a_past(&store);
    live(&store, mark);
    all(&store)
}

/// Holds that all that ever happened to each conversation is known, and leads to what it is.
fn must_have_a_past(store: &dyn Backend) {
    for conversation in all(store) {
        let history = store.history(&conversation.id).unwrap();
        assert_eq!((history.whole_from, &history.damage), (0, &None), "{history:?}");
        let state = Walk::begin(&history).steps(&history.events).unwrap().state.unwrap();
        assert_eq!(state.conversation, conversation);
    }
}

#[test]
fn a_bucket_goes_down_and_a_directory_up_and_nothing_is_lost_on_the_way() {
    for compacts in [[false; 4], [true; 4], [true, false, false, true], [false, true, true, false]] {
        let (home, bucket) = (tempfile::tempdir().unwrap(), bucket());
        let mut ought = as_bucket(&bucket, &[], "a");
        let compact = |bucket: &Shared| drop(engine(Client::sound(bucket)).compact().unwrap());
        if compacts[0] {
            compact(&bucket);
        }
        let dir = home.path().join("down");
        down(&bucket, &dir);
        ought = as_directory(&dir, &ought, "b");
        if compacts[1] {
            let store = directory::open(&dir, settings()).unwrap();
            store.compact().unwrap();
            store.close().unwrap();
        }
        let bucket = up(&dir);
        ought = as_bucket(&bucket, &ought, "c");
        if compacts[2] {
            compact(&bucket);
            ought = as_bucket(&bucket, &ought, "d");
        }
        if compacts[3] {
            compact(&bucket);
        }
        let again = home.path().join("again");
        down(&bucket, &again);
        as_directory(&again, &ought, "e");
    }
}

#[test]
fn a_directorys_history_and_its_choice_go_on_in_a_bucket_and_in_a_directory_again() {
    let home = tempfile::tempdir().unwrap();
    let (dir, again) = (home.path().join("dir"), home.path().join("again"));
    let store = directory::open(&dir, settings()).unwrap();
    let keep = Keep::Bytes(1 << 40);
    store.keep_history(keep).unwrap();
    live(&*store, "a");
    store.compact().unwrap();
    let ought = all(&*store);
    store.close().unwrap();
    let bucket = up(&dir);
    let store = engine(Client::sound(&bucket));
    let kept = store.kept_history().unwrap();
    assert_eq!((kept.keep, kept.from, kept.missing), (keep, 1, None));
    let ought = as_bucket(&bucket, &ought, "b");
    store.compact().unwrap();
    let there = |bucket: &Shared, folder: &str| {
        let bucket = locked(bucket);
        let names =
            bucket.objects.keys().filter(|name| name.starts_with(folder) && name.ends_with(".chapter"));
        names.count()
    };
    // It has gone on with the directory's.
    assert_eq!((there(&bucket, "archive/"), there(&bucket, "log/archive/")), (1, 0));
    must_have_a_past(&store);
    down(&bucket, &again);
    let ought = as_directory(&again, &ought, "c");
    let store = directory::open(&again, settings()).unwrap();
    assert_eq!(store.kept_history().unwrap().keep, keep);
    store.compact().unwrap();
    store.close().unwrap();
    let bucket = up(&again);
    as_bucket(&bucket, &ought, "d");
    let chosen = engine(Client::sound(&bucket)).keep_history(Keep::Nothing).unwrap();
    assert_eq!((chosen.keep, chosen.bytes), (Keep::Nothing, 0));
    assert_eq!((there(&bucket, "archive/"), there(&bucket, "log/archive/")), (0, 0));
    assert_eq!(engine(Client::sound(&bucket)).kept_history().unwrap().keep, Keep::Nothing);
}

#[test]
fn the_files_of_the_original_in_a_compacted_bucket_are_those_of_an_export() {
    let (home, bucket) = (tempfile::tempdir().unwrap(), bucket());
    let store = engine(Client::sound(&bucket));
    live(&store, "a");
    store.compact().unwrap();
    live(&store, "b");
    store.compact().unwrap();
    let to = home.path().join("export");
    store.export_aral(&to, None).unwrap();
    let mut exported = BTreeMap::new();
    files(&to, "", &mut exported);
    let is_original = |name: &&String| *name == "message_store.json" || name.starts_with("conversations/");
    let there: BTreeMap<String, Vec<u8>> = locked(&bucket)
        .objects
        .iter()
        .filter(|(name, _)| is_original(name))
        .map(|(n, b)| (n.clone(), b.clone()))
        .collect();
    assert_eq!(there, exported);
}

#[test]
fn a_directory_that_was_never_closed_goes_up_with_all_that_was_acknowledged() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("data");
    let store = directory::open(&dir, settings()).unwrap();
    live(&*store, "a");
    let ought = all(&*store);
    let bucket = up(&dir);
    let ought = as_bucket(&bucket, &ought, "b");
    let report = engine(Client::sound(&bucket)).compact().unwrap();
    assert!(report.written > 0);
    as_bucket(&bucket, &ought, "c");
}

#[test]
fn what_is_no_store_is_refused_and_nothing_is_written() {
    for name in ["message_store.json", "conversations/a.json", "log/0000000000000001-0000000000000001.seg"] {
        let bucket = bucket();
        locked(&bucket).objects.insert(name.to_owned(), b"{}".to_vec());
        let refused = super::super::Engine::open(Arc::new(Client::sound(&bucket)), settings());
        assert!(refused.is_err_and(|error| error.kind() == crate::error::ErrorKind::InvalidInput), "{name}");
        assert_eq!(locked(&bucket).objects.len(), 1);
    }
}

#[test]
fn what_was_copied_from_one_bucket_is_not_taken_for_a_copy_of_another_one() {
    let home = tempfile::tempdir().unwrap();
    let to = directory::open(&home.path().join("data"), settings()).unwrap();
    let stores = ["a", "b"].map(|id| {
        let store = engine(Client::sound(&bucket()));
        store.append(vec![message(id, "1"), message(id, "2")]).unwrap();
        store
    });
    let copied = |from: &dyn Backend| crate::backend::copy::copy(from, &*to, &mut |_| {});
    copied(&stores[0]).unwrap();
    let ought = all(&*to);
    let refused = copied(&stores[1]).unwrap_err();
    assert_eq!(refused.kind(), crate::error::ErrorKind::Conflict, "{refused}");
    assert_eq!(all(&*to), ought);
    stores[0].append(vec![Mutation::new("a", Operation::Clear), message("c", "3")]).unwrap();
    assert_eq!(copied(&stores[0]).unwrap().messages, 1);
}
