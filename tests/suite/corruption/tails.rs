//! The line between rot and a torn tail: below what a sync has covered damage is an error, above it a prefix
//! is served and the rest is reported, and never the other way round.

use aral_store::{ErrorKind, MessageStore, NewMessage, SyncPolicy};

use super::{SETTINGS, step};
use crate::support::driver::{self, DIR, Home};
use crate::support::ops::Settings;
use crate::support::simfs::{self, SimFs};
use crate::support::sources::Sources;

const LAZY: Settings = Settings { sync: SyncPolicy::Os, ..SETTINGS };

/// Where the last byte is that is not zero.
fn written(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)
}

fn segment(fs: &SimFs) -> std::path::PathBuf {
    let is_segment = |path: &std::path::Path| path.extension().is_some_and(|ending| ending == "seg");
    fs.files().into_iter().map(|(path, _)| path).find(|path| is_segment(path)).unwrap()
}

/// A store of messages of which the first ones were synced, and how many bytes of the segment those are.
fn half_synced() -> (SimFs, usize, usize) {
    let fs = driver::fresh(simfs::Settings::default());
    let store = driver::open(&Home::Sim(fs.clone()), LAZY, &Sources::default()).unwrap();
    let say = |n: usize| {
        let text = format!("message {n}, {}", "long ".repeat(n));
        drop(store.add_message("c1", NewMessage::new(text).id(format!("m{n}"))).unwrap());
    };
    (0..4).for_each(say);
    store.sync().unwrap();
    let durable = written(&fs.read(segment(&fs)).unwrap()).next_multiple_of(32);
    (4..9).for_each(say);
    let all = written(&fs.read(segment(&fs)).unwrap());
    let killed = fs.kill();
    drop(store);
    (killed, durable, all)
}

fn open(fs: &SimFs, is_for_reading: bool) -> aral_store::Result<MessageStore> {
    let options = driver::options(&Home::Sim(fs.clone()), LAZY, &Sources::default());
    if is_for_reading { options.read_only().open(DIR) } else { options.open(DIR) }
}

/// How many messages there are, all of which must be those that were written first.
fn prefix(store: &MessageStore) -> usize {
    let messages = store.messages("c1", aral_store::Messages::all()).unwrap();
    let ids: Vec<String> = messages.iter().map(|message| message.id.to_string()).collect();
    assert_eq!(ids, (0..ids.len()).map(|n| format!("m{n}")).collect::<Vec<_>>());
    ids.len()
}

#[test]
fn damage_is_rot_below_what_was_synced_and_a_torn_tail_above_it() {
    let (fs, durable, all) = half_synced();
    let path = segment(&fs);
    assert_eq!(prefix(&open(&fs.snapshot(), true).unwrap()), 9);
    let (mut rot, mut torn) = (0, 0);
    for bit in (4096 * 8..all * 8).step_by(step()) {
        for is_for_reading in if bit % 8 == 0 { vec![true, false] } else { vec![true] } {
            let copy = fs.snapshot();
            copy.flip_bit(&path, u64::try_from(bit / 8).unwrap(), u8::try_from(bit % 8).unwrap());
            let opened = open(&copy, is_for_reading);
            if bit / 8 < durable {
                let error = opened.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Corrupt, "bit {bit}: {error:?}");
                let place = error.place().unwrap();
                assert_eq!(place.path, path, "bit {bit}");
                let offset = usize::try_from(place.offset.unwrap()).unwrap();
                assert!(offset <= bit / 8 && bit / 8 < durable, "bit {bit}: {error:?}");
                rot += 1;
            } else {
                let store = opened.unwrap_or_else(|error| panic!("bit {bit} was never synced: {error:?}"));
                let kept = prefix(&store);
                assert!((4..9).contains(&kept), "bit {bit}: {kept}");
                let tail = store.recovery().torn.unwrap_or_else(|| panic!("bit {bit} is not reported"));
                assert_eq!(tail.path, path);
                assert!(tail.offset >= u64::try_from(durable).unwrap(), "bit {bit}: {tail:?}");
                torn += 1;
            }
        }
    }
    assert!(rot > 0 && torn > 0);
}

#[test]
fn what_is_lost_below_a_sync_is_missed_and_above_it_is_not() {
    let (fs, durable, all) = half_synced();
    let path = segment(&fs);
    for from in (4096..all).step_by(32) {
        let copy = fs.snapshot();
        let length = u64::try_from(all - from).unwrap();
        copy.zero_range(&path, u64::try_from(from).unwrap(), length);
        match open(&copy, true) {
            Ok(store) => assert!(from >= durable && prefix(&store) >= 4, "zeros from {from}"),
            Err(error) => assert!(from < durable && error.kind() == ErrorKind::Corrupt, "{from}: {error:?}"),
        }
    }
}
