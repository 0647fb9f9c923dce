//! What somebody or something else does to a bucket.

use std::sync::{Arc, Mutex};

use super::sim::{Bucket, Client, Interruption, Shared};
use super::world::{engine, message};
use crate::backend::Backend;
use crate::backend::journal::Engine;
use crate::backend::locked::locked;
use crate::backend::settings::Settings;
use crate::error::{Error, ErrorKind};
use crate::model::Logged;

fn bucket() -> Shared {
    Arc::new(Mutex::new(Bucket::default()))
}

fn reopened(bucket: &Shared) -> Result<Engine, Error> {
    Engine::open(Arc::new(Client::sound(bucket)), Settings::default())
}

/// A store with a checkpoint and something behind it.
fn filled() -> Shared {
    let bucket = bucket();
    let store = engine(Client::sound(&bucket));
    for id in ["a", "b"] {
        store.append(vec![message(id, "1"), message(id, "2")]).unwrap();
    }
    store.compact().unwrap();
    for id in ["a", "c"] {
        store.append(vec![message(id, "3")]).unwrap();
    }
    bucket
}

#[test]
fn a_server_that_does_not_keep_to_conditions_is_refused_for_writing_and_keeps_what_it_has() {
    let bucket = filled();
    let before = locked(&bucket).objects.clone();
    locked(&bucket).ignores_conditions = true;
    let refused = reopened(&bucket).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported, "{refused}");
    assert_eq!(locked(&bucket).objects, before);
    let reading = Settings { is_read_only: true, ..Settings::default() };
    let reader = Engine::open(Arc::new(Client::sound(&bucket)), reading).unwrap();
    assert_eq!(reader.conversation("a").unwrap().unwrap().messages.len(), 3);
    assert_eq!(reader.append(vec![message("a", "4")]).unwrap_err().kind(), ErrorKind::ReadOnly);
}

#[test]
fn who_may_only_read_is_told_so_at_once_and_reads() {
    let bucket = filled();
    let refused = Engine::open(Arc::new(Client::reading(&bucket)), Settings::default()).unwrap_err();
    assert_eq!((refused.kind(), refused.message()), (ErrorKind::Io, "403"));
    let settings = Settings { is_read_only: true, ..Settings::default() };
    let reader = Engine::open(Arc::new(Client::reading(&bucket)), settings).unwrap();
    assert_eq!(reader.conversation("a").unwrap().unwrap().messages.len(), 3);
    let writer = engine(Client::sound(&bucket)).like(Arc::new(Client::reading(&bucket)));
    let refused = writer.append(vec![message("a", "4")]).unwrap_err();
    assert_eq!((refused.kind(), refused.message()), (ErrorKind::Io, "403"));
    assert_eq!(writer.refresh().unwrap(), 6);
}

#[test]
fn an_object_that_is_altered_or_gone_is_an_error_and_never_less_of_the_store() {
    let whole = filled();
    let names: Vec<String> = locked(&whole).objects.keys().cloned().collect();
    let sound = |store: &Engine| {
        let ids = ["a", "b", "c"].map(|id| store.conversation(id).unwrap().unwrap().messages.len());
        assert_eq!(ids, [3, 2, 1]);
    };
    sound(&reopened(&whole).unwrap());
    let mut told = 0;
    for name in &names {
        for is_gone in [false, true] {
            let bucket = bucket();
            locked(&bucket).objects = locked(&whole).objects.clone();
            if is_gone {
                locked(&bucket).objects.remove(name);
            } else {
                let mut bucket = locked(&bucket);
                let bytes = bucket.objects.get_mut(name).unwrap();
                let at = bytes.len() / 2;
                bytes[at] ^= 1;
            }
            let wrong =
                |error: Error| assert_eq!(error.kind(), ErrorKind::Corrupt, "{name} {is_gone}: {error}");
            let store = match reopened(&bucket) {
                Ok(store) => store,
                Err(error) => {
                    told += 1;
                    wrong(error);
                    continue;
                }
            };
            let is_newest = name.contains("seg") && is_gone;
            if is_newest {
                // Nobody can tell the newest from one that was never there, and no other is missed in silence.
                assert!(
                    name == names.iter().rfind(|name| name.contains("seg")).unwrap()
                        || is_covered(&whole, name),
                    "{name}"
                );
                continue;
            }
            let readings = ["a", "b", "c"].map(|id| store.conversation(id));
            if readings.iter().all(Result::is_ok) {
                sound(&store);
            }
            for error in readings.into_iter().filter_map(Result::err) {
                told += 1;
                wrong(error);
            }
        }
    }
    assert!(told >= 6, "{told}");
}

/// Whether an object of the log was emptied.
fn is_covered(bucket: &Shared, name: &str) -> bool {
    locked(bucket).objects[name].len() < 100
}

#[test]
fn a_document_that_is_gone_is_read_from_its_copy_and_one_without_either_is_told_of() {
    let bucket = filled();
    let document = locked(&bucket).objects.keys().find(|name| name.starts_with("states/")).unwrap().clone();
    let store = reopened(&bucket).unwrap();
    locked(&bucket).objects.remove(&document);
    assert_eq!(store.conversation("a").unwrap().unwrap().messages.len(), 3);
    assert!(store.verify().unwrap().damaged[0].reason.starts_with(&document));
    locked(&bucket).objects.remove("conversations/a.json");
    let store = reopened(&bucket).unwrap();
    assert_eq!(store.conversation("a").unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(store.conversation("b").unwrap().unwrap().messages.len(), 2);
    assert_eq!(store.append(vec![message("b", "4")]).unwrap().len(), 1);
    assert_eq!(store.verify().unwrap().damaged.len(), 1);
}

#[test]
fn a_late_reader_and_a_late_writer_find_the_checkpoint_that_has_what_they_lack() {
    let bucket = bucket();
    let late = engine(Client::sound(&bucket));
    let mut follower = late.follow(1).unwrap();
    late.append(vec![message("a", "1")]).unwrap();
    let other = engine(Client::sound(&bucket));
    for n in 2..6 {
        other.append(vec![message("a", &n.to_string())]).unwrap();
        other.compact().unwrap();
    }
    assert_eq!(late.conversation("a").unwrap().unwrap().messages.len(), 5);
    let writer = late.like(Arc::new(Client::sound(&bucket)));
    other.append(vec![message("a", "6")]).unwrap();
    other.compact().unwrap();
    assert_eq!(writer.append(vec![message("a", "7")]).unwrap()[0].seq, 7);
    assert_eq!(follower.next_logged().unwrap(), Some(Logged::Compacted { first: 1, last: 5 }));
    assert_eq!(follower.next_logged().unwrap(), Some(Logged::Compacted { first: 6, last: 6 }));
    assert!(matches!(follower.next_logged().unwrap(), Some(Logged::Batch { seq: 7, .. })));
    assert_eq!(follower.next_logged().unwrap(), None);
}

#[test]
fn a_compaction_that_commits_after_two_others_have_taken_its_name_and_given_it_back_counts_for_nothing() {
    let bucket = filled();
    let other = engine(Client::sound(&bucket));
    let act = move || {
        other.append(vec![message("b", "4")]).unwrap();
        assert_eq!(other.compact().unwrap().epoch, 2);
        other.append(vec![message("c", "5")]).unwrap();
        assert_eq!(other.compact().unwrap().epoch, 3);
    };
    let interruption =
        Interruption { verb: "create", part: "log/CHECKPOINT-0000000000000002", act: Box::new(act) };
    let late = engine(Client::interrupted(&bucket, interruption));
    let report = late.compact().unwrap();
    assert_eq!((report.epoch, report.covered_seq), (3, 8));
    for store in [&late, &engine(Client::sound(&bucket))] {
        let counts = ["a", "b", "c"].map(|id| store.conversation(id).unwrap().unwrap().messages.len());
        assert_eq!(counts, [3, 3, 2]);
        assert!(store.verify().unwrap().notes.is_empty());
    }
}

#[test]
fn a_writer_whose_object_is_compacted_before_it_is_looked_up_knows_it_by_its_origin() {
    let bucket = filled();
    let other = engine(Client::sound(&bucket));
    let act = move || drop(other.compact().unwrap());
    let interruption = Interruption { verb: "get", part: "log/0000000000000006-", act: Box::new(act) };
    let client = Client::interrupted(&bucket, interruption);
    client.lose_the_next_create();
    let writer = engine(Client::sound(&bucket)).like(Arc::new(client));
    let receipt = writer.append(vec![message("a", "4")]).unwrap().remove(0);
    assert_eq!(receipt.seq, 7);
    assert_eq!(writer.conversation("a").unwrap().unwrap().messages.len(), 4);
    assert_eq!(writer.refresh().unwrap(), 7);
}

#[test]
fn two_that_make_a_store_at_once_make_one() {
    let bucket = bucket();
    let stores: Vec<Engine> = std::thread::scope(|scope| {
        let made: Vec<_> = (0..4).map(|_| scope.spawn(|| engine(Client::sound(&bucket)))).collect();
        made.into_iter().map(|made| made.join().unwrap()).collect()
    });
    for (n, store) in stores.iter().enumerate() {
        store.append(vec![message("a", &n.to_string())]).unwrap();
    }
    assert!(stores.iter().all(|store| store.conversation("a").unwrap().unwrap().messages.len() == 4));
}

#[test]
fn what_others_keep_in_the_list_of_conversations_stays() {
    let bucket = filled();
    locked(&bucket)
        .objects
        .insert("message_store.json".to_owned(), br#"{"own": 1, "conversation_ids": []}"#.to_vec());
    reopened(&bucket).unwrap().compact().unwrap();
    let text = String::from_utf8(locked(&bucket).objects["message_store.json"].clone()).unwrap();
    assert!(text.contains("\"own\": 1") && text.contains("\"c\""), "{text}");
}

#[test]
fn who_loses_the_right_to_read_while_it_is_open_what_became_of_an_append_is_told_at_once() {
    let bucket = filled();
    let client = Arc::new(Client::sound(&bucket));
    let writer = engine(Client::sound(&bucket)).like(client.clone());
    client.lose_the_next_create();
    client.forbid_reading();
    let before = locked(&bucket).count();
    let error = writer.append(vec![message("a", "4")]).unwrap_err();
    assert_eq!(locked(&bucket).count() - before, 2, "the object, and the look at it: {error}");
    assert!(error.message().contains("403") && error.message().contains("with the same key"), "{error}");
}

#[test]
fn a_server_that_does_not_keep_to_conditions_gets_no_more_than_the_beginning_of_a_store_in_an_empty_place() {
    let bucket = bucket();
    locked(&bucket).ignores_conditions = true;
    locked(&bucket).objects.insert("elsewhere".to_owned(), b"mine".to_vec());
    assert_eq!(reopened(&bucket).unwrap_err().kind(), ErrorKind::Unsupported);
    let there: Vec<String> = locked(&bucket).objects.keys().cloned().collect();
    assert_eq!(there, [".aral-store", "elsewhere", "log/CHECKPOINT-0000000000000000"]);
    assert_eq!(locked(&bucket).objects["elsewhere"], b"mine");
    locked(&bucket).ignores_conditions = false;
    assert_eq!(reopened(&bucket).unwrap().refresh().unwrap(), 0);
}

/// What a compaction has committed and cannot copy is no success, and nothing that it was made of is taken away.
#[test]
fn a_document_that_is_gone_before_it_is_copied_is_told_and_its_events_stay() {
    let bucket = filled();
    let away = Arc::clone(&bucket);
    let act = move || {
        let document = "states/0000000000000005.json";
        assert!(locked(&away).objects.remove(document).is_some(), "{:?}", locked(&away).objects.keys());
        locked(&away).objects.remove("conversations/a.json");
    };
    let interruption = Interruption { verb: "get", part: "states/0000000000000005.json", act: Box::new(act) };
    let store = engine(Client::interrupted(&bucket, interruption));
    let log = |bucket: &Shared| {
        let bucket = locked(bucket);
        let all = bucket.objects.iter().filter(|(name, _)| name.ends_with(".seg"));
        all.map(|(_, bytes)| bytes.len()).collect::<Vec<_>>()
    };
    let before = log(&bucket);
    let error = store.compact().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert!(error.message().contains("\"a\""), "{error}");
    assert_eq!(log(&bucket)[..before.len()], before);
}

#[test]
fn a_compaction_of_what_is_damaged_names_it_at_once_and_takes_nothing_away() {
    let bucket = filled();
    for name in ["states/0000000000000002.json", "conversations/a.json"] {
        assert!(locked(&bucket).objects.remove(name).is_some(), "{:?}", locked(&bucket).objects.keys());
    }
    let store = reopened(&bucket).unwrap();
    let before = locked(&bucket).count();
    let error = store.compact().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert!(error.message().contains("\"a\"") && error.message().contains("put back"), "{error}");
    let requests = locked(&bucket).count() - before;
    assert!(requests < 20, "{requests}");
    assert_eq!(store.stats().unwrap().covered_seq, 4);
    assert_eq!(store.append(vec![message("b", "4")]).unwrap()[0].seq, 7);
}

#[test]
fn who_looks_for_a_store_that_is_not_there_or_would_salvage_one_is_told_what_to_do() {
    let opened = |settings| Engine::open(Arc::new(Client::sound(&bucket())), settings).unwrap_err();
    let none = opened(Settings { is_read_only: true, ..Settings::default() });
    assert!(none.kind() == ErrorKind::NotFound && none.message().contains("aral-store new"), "{none}");
    let refused = opened(Settings { is_read_only: true, salvages: true, ..Settings::default() });
    assert!(
        refused.message().contains("of a bucket") && refused.message().contains("of a database"),
        "{refused}"
    );
}
