//! A reader beside a writer shows what came since once it is told to.

use std::sync::Arc;

use aral_store::{ErrorKind, MessageStore, Messages};

use crate::support::driver::{self, DIR};
use crate::support::simfs::{self, SimFs};

fn on(fs: &SimFs) -> aral_store::Options {
    MessageStore::options().vfs(Arc::new(fs.clone())).first_segment_bytes(8 << 10)
}

fn count(store: &MessageStore) -> usize {
    store.messages("c1", Messages::all()).map_or(0, |found| found.len())
}

#[test]
fn a_refresh_shows_what_came_since_through_segments_compactions_and_openings() {
    let fs = driver::fresh(simfs::Settings::default());
    let mut writer = on(&fs).open(DIR).unwrap();
    let reader = on(&fs).read_only().open(DIR).unwrap();
    assert_eq!(reader.refresh().unwrap(), 0);
    for n in 1..=40 {
        let seq = writer.add_message("c1", "x".repeat(700)).unwrap().seq;
        match n % 10 {
            3 => drop(writer.compact().unwrap()),
            6 => {
                writer.close().unwrap();
                writer = on(&fs).open(DIR).unwrap();
            }
            _ => {}
        }
        assert_eq!((count(&reader), reader.refresh().unwrap(), count(&reader)), (n - 1, seq, n));
        assert_eq!(reader.refresh().unwrap(), seq);
    }
    assert_eq!(writer.refresh().unwrap(), 40);
    writer.remove_conversation("c1").unwrap();
    reader.refresh().unwrap();
    assert!(reader.conversation("c1").unwrap().is_none());
}

#[test]
fn a_directory_of_the_original_becomes_a_store_before_a_readers_eyes() {
    let home = tempfile::tempdir().unwrap();
    let memory = MessageStore::in_memory();
    memory.add_message("c1", "from before").unwrap();
    memory.export_aral(home.path().join("data"), None).unwrap();
    let reader = MessageStore::options().read_only().open(home.path().join("data")).unwrap();
    assert_eq!((count(&reader), reader.refresh().unwrap()), (1, 0));
    let writer = MessageStore::open(home.path().join("data")).unwrap();
    writer.add_message("c1", "and more").unwrap();
    assert_eq!((reader.refresh().unwrap(), count(&reader)), (1, 2));
}

#[test]
fn memory_has_nothing_to_refresh_and_a_closed_store_refuses() {
    let store = MessageStore::in_memory();
    store.add_message("c1", "Hi!").unwrap();
    assert_eq!(store.refresh().unwrap(), 1);
    store.clone().close().unwrap();
    assert_eq!(store.refresh().unwrap_err().kind(), ErrorKind::Closed);
}
