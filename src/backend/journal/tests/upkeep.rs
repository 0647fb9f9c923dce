//! Writers that compact by themselves.

use std::sync::{Arc, Mutex};

use super::sim::{Bucket, Client, Shared};
use super::world::{engine, message};
use crate::backend::Backend;
use crate::backend::journal::Engine;
use crate::backend::journal::upkeep::MOST_OBJECTS;
use crate::backend::locked::locked;
use crate::backend::settings::Settings;

fn bucket() -> Shared {
    Arc::new(Mutex::new(Bucket::default()))
}

fn opened(bucket: &Shared, compact_above: Option<u64>) -> Engine {
    let settings = Settings { compact_above, ..Settings::default() };
    Engine::open(Arc::new(Client::sound(bucket)), settings).unwrap()
}

fn append(store: &Engine, count: usize) {
    for n in 0..count {
        drop(store.append(vec![message("a", &format!("{n}"))]).unwrap());
    }
}

#[test]
fn no_more_than_so_many_objects_lie_behind_the_checkpoint_for_long() {
    let bucket = bucket();
    let store = opened(&bucket, Some(64 << 20));
    append(&store, MOST_OBJECTS);
    assert_eq!(store.stats().unwrap().epoch, 0);
    append(&store, 1);
    store.close().unwrap();
    let again = opened(&bucket, None);
    let stats = again.stats().unwrap();
    assert!(stats.epoch == 1 && stats.segments <= 2, "{stats:?}");
    assert_eq!(again.conversation("a").unwrap().unwrap().messages.len(), MOST_OBJECTS + 1);
    // Bytes count as objects do.
    let store = opened(&bucket, Some(8 << 10));
    append(&store, 3);
    store.close().unwrap();
    assert!(opened(&bucket, None).stats().unwrap().epoch >= 2);
}

#[test]
fn who_compacts_by_hand_is_left_to_it_and_an_append_does_not_fail_by_a_compaction() {
    let bucket = bucket();
    let store = opened(&bucket, None);
    append(&store, MOST_OBJECTS + 10);
    store.close().unwrap();
    assert_eq!(opened(&bucket, None).stats().unwrap().epoch, 0);
    let store = opened(&bucket, Some(64 << 20));
    locked(&bucket).objects.remove(".aral-store");
    append(&store, 100);
    store.close().unwrap();
    assert_eq!(store.compact().unwrap_err().kind(), crate::error::ErrorKind::Closed);
}

/// It was told to nobody, and each opening read one object more.
#[test]
fn a_compaction_in_the_background_that_fails_is_told_in_stats() {
    let bucket = bucket();
    append(&opened(&bucket, None), 2);
    engine(Client::sound(&bucket)).compact().unwrap();
    let store = opened(&bucket, Some(0));
    for name in ["states/0000000000000002.json", "conversations/a.json"] {
        assert!(locked(&bucket).objects.remove(name).is_some(), "{:?}", locked(&bucket).objects.keys());
    }
    append(&store, 1);
    while store.stats().unwrap().compaction_error.is_none() {
        std::thread::yield_now();
    }
    assert!(store.stats().unwrap().compaction_error.unwrap().contains("\"a\""));
}
