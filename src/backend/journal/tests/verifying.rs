//! What verify says of a bucket to which somebody did something.

use std::sync::{Arc, Mutex};

use super::copies::files;
use super::sim::{Bucket, Client, Interruption, Shared};
use super::world::{engine, message};
use crate::backend::journal::Engine;
use crate::backend::journal::objects::Objects;
use crate::backend::locked::locked;
use crate::backend::settings::Settings;
use crate::backend::{Backend, directory};
use crate::model::VerifyReport;

fn bucket() -> Shared {
    Arc::new(Mutex::new(Bucket::default()))
}

/// A store with a checkpoint and three objects of the log behind it.
fn filled() -> Shared {
    let bucket = bucket();
    let store = engine(Client::sound(&bucket));
    for id in ["a", "b"] {
        store.append(vec![message(id, "1")]).unwrap();
    }
    store.compact().unwrap();
    for id in ["3", "4", "5"] {
        store.append(vec![message("c", id)]).unwrap();
    }
    bucket
}

fn reader(client: Client) -> Engine {
    Engine::open(Arc::new(client), Settings { is_read_only: true, ..Settings::default() }).unwrap()
}

fn verified(bucket: &Shared) -> VerifyReport {
    reader(Client::sound(bucket)).verify().unwrap()
}

fn alter(bucket: &Shared, name: &str, is_gone: bool) {
    let mut bucket = locked(bucket);
    if is_gone {
        bucket.objects.remove(name).unwrap();
    } else {
        let bytes = bucket.objects.get_mut(name).unwrap();
        let at = bytes.windows(4).position(|four| four == b"text").unwrap();
        bytes[at] ^= 1;
    }
}

fn reasons(report: &VerifyReport) -> Vec<&str> {
    report.damaged.iter().map(|file| file.reason.as_str()).collect()
}

#[test]
fn a_document_that_is_altered_or_gone_is_damaged_by_name_although_its_copy_is_whole() {
    for is_gone in [false, true] {
        let bucket = filled();
        let name = "states/0000000000000001.json";
        alter(&bucket, name, is_gone);
        let report = verified(&bucket);
        let told = reasons(&report);
        assert!(told.len() == 1 && told[0].starts_with(name), "{report:?}");
        assert!(told[0].contains("conversations/a.json has what it held"), "{report:?}");
        assert_eq!(report.damaged[0].conversation_id.as_deref(), Some("a"));
        // The remedy is one.
        let copy = locked(&bucket).objects["conversations/a.json"].clone();
        locked(&bucket).objects.insert(name.to_owned(), copy);
        assert!(verified(&bucket).is_sound());
        alter(&bucket, name, is_gone);
        alter(&bucket, "conversations/a.json", is_gone);
        let report = verified(&bucket);
        let told = reasons(&report);
        assert!(told.len() == 1 && told[0].contains(name), "{report:?}");
        assert!(report.notes.is_empty() && told[0].contains("conversations/a.json"), "{report:?}");
    }
}

#[test]
fn a_marker_that_is_gone_is_damage_by_name_and_the_next_writer_makes_it_anew() {
    let never_compacted = bucket();
    engine(Client::sound(&never_compacted)).append(vec![message("a", "1")]).unwrap();
    for bucket in [never_compacted, filled()] {
        let marker = locked(&bucket).objects[".aral-store"].clone();
        alter(&bucket, ".aral-store", true);
        let report = verified(&bucket);
        assert!(reasons(&report)[0].starts_with("the object .aral-store is missing"), "{report:?}");
        let store = engine(Client::sound(&bucket));
        store.append(vec![message("a", "2")]).unwrap();
        assert!(store.verify().unwrap().is_sound());
        assert_eq!(locked(&bucket).objects[".aral-store"], marker);
    }
}

#[test]
fn every_object_of_the_log_that_is_altered_or_gone_is_named() {
    let bucket = filled();
    let names: Vec<String> =
        locked(&bucket).objects.keys().filter(|name| name.ends_with(".seg")).cloned().collect();
    let [first, second, third] = names.last_chunk().unwrap();
    let store = reader(Client::sound(&bucket));
    alter(&bucket, first, false);
    alter(&bucket, third, false);
    let report = store.verify().unwrap();
    let told = reasons(&report);
    assert!(told.len() == 2 && told[0].starts_with(first) && told[1].starts_with(third), "{report:?}");
    assert_eq!(report.conversations, 2);
    alter(&bucket, second, true);
    let objects: Arc<dyn Objects> = Arc::new(Client::sound(&bucket));
    let report = super::super::verify(&objects).unwrap();
    assert!(reasons(&report).len() == 3 && reasons(&report)[1].contains("is missing"), "{report:?}");
}

#[test]
fn what_a_compaction_replaces_while_it_is_verified_is_not_damaged() {
    let bucket = filled();
    let other = engine(Client::sound(&bucket));
    let act = move || {
        for n in ["6", "7"] {
            other.append(vec![message("a", n)]).unwrap();
            other.compact().unwrap();
        }
    };
    let part = "states/0000000000000001.json";
    let client = Client::interrupted(&bucket, Interruption { verb: "get", part, act: Box::new(act) });
    let report = reader(client).verify().unwrap();
    assert!(report.is_sound() && report.notes.is_empty() && report.conversations == 3, "{report:?}");
}

#[test]
fn a_closed_directory_that_was_copied_up_has_no_marker_and_no_documents_and_is_sound() {
    let (home, bucket) = (tempfile::tempdir().unwrap(), bucket());
    let store = directory::open(home.path(), Settings::default()).unwrap();
    store.append(vec![message("a", "1"), message("b", "2")]).unwrap();
    store.compact().unwrap();
    store.close().unwrap();
    files(home.path(), "", &mut locked(&bucket).objects);
    locked(&bucket).objects.remove(".aral-store");
    let report = verified(&bucket);
    assert!(report.is_sound() && report.conversations == 2, "{report:?}");
    let store = engine(Client::sound(&bucket));
    store.append(vec![message("b", "3")]).unwrap();
    store.compact().unwrap();
    assert!(verified(&bucket).is_sound());
}
