//! A reader beside a writer shows what came since once it is told to.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use aral_store::vfs::{OpenMode, Vfs, read_all};
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

/// The only segment of the log, with its bytes.
fn segment(fs: &SimFs) -> (PathBuf, Vec<u8>) {
    let log = Path::new(DIR).join("log");
    let names = fs.read_dir(&log).unwrap().into_iter().map(|entry| entry.name);
    let segments: Vec<_> = names.filter(|name| name.ends_with(".seg")).collect();
    assert_eq!(segments.len(), 1);
    let path = log.join(&segments[0]);
    let bytes = read_all(&*fs.open(&path, OpenMode::Read).unwrap(), 1 << 20).unwrap();
    (path, bytes)
}

#[test]
fn of_rot_behind_its_place_a_refresh_says_what_an_opening_says() {
    for rotten in 2..=4 {
        let fs = driver::fresh(simfs::Settings::default());
        let writer = on(&fs).open(DIR).unwrap();
        writer.add_message("c1", "x").unwrap();
        let reader = on(&fs).read_only().open(DIR).unwrap();
        for n in 2..=4 {
            writer.add_message("c1", format!("the text {n}")).unwrap();
        }
        let (path, bytes) = segment(&fs);
        let text = format!("the text {rotten}");
        let at = bytes.windows(text.len()).position(|window| window == text.as_bytes()).unwrap();
        fs.flip_bit(&path, u64::try_from(at).unwrap(), 0);
        // The end of the last frame alone is no proof: it may not have been durable.
        let opened = on(&fs).read_only().open(DIR);
        match reader.refresh() {
            Ok(seq) => assert_eq!((seq, opened.unwrap().recovery().last_seq), (3, 3)),
            Err(error) => {
                let opened = opened.unwrap_err();
                assert_eq!((opened.kind(), opened.place()), (ErrorKind::Corrupt, error.place()));
            }
        }
        assert_eq!(count(&reader), rotten - 1);
    }
}

#[test]
fn memory_has_nothing_to_refresh_and_a_closed_store_refuses() {
    let store = MessageStore::in_memory();
    store.add_message("c1", "Hi!").unwrap();
    assert_eq!(store.refresh().unwrap(), 1);
    store.clone().close().unwrap();
    assert_eq!(store.refresh().unwrap_err().kind(), ErrorKind::Closed);
}
