//! A durable receipt is true at the moment at which it is given: a witness below the store has seen every byte
//! of its frame written before the start of a sync that has succeeded, and every name on the way to it too.

use aral_store::vfs::Vfs;
use aral_store::{MessageStore, Mutation, NewMessage, SyncPolicy};

use crate::support::driver::{self, DIR, Home};
use crate::support::faultfs::{Call, Fault, FaultFs, Rule};
use crate::support::ops::Settings;
use crate::support::simfs;
use crate::support::sources::Sources;
use crate::support::witness::Witness;

const SETTINGS: Settings =
    Settings { sync: SyncPolicy::Always, first_segment_bytes: 8 << 10, compacts_on_close: false };

fn open(vfs: impl Vfs + 'static) -> MessageStore {
    let options = driver::options(&Home::Memory, SETTINGS, &Sources::default());
    options.vfs(std::sync::Arc::new(vfs)).open(DIR).unwrap()
}

fn witness() -> Witness {
    Witness::over(driver::fresh(simfs::Settings::default()))
}

/// What no other frame has in it.
fn mark(thread: usize, n: usize) -> String {
    format!("<mark {thread}-{n}>")
}

fn say(store: &MessageStore, thread: usize, n: usize) -> bool {
    let text = format!("{} {}", mark(thread, n), "long ".repeat(n * 37 % 400));
    let said = store.add_message(&format!("c{thread}"), NewMessage::new(text));
    said.unwrap().is_durable()
}

#[test]
fn every_durable_receipt_is_covered_by_a_sync() {
    let witness = witness();
    let mut store = open(witness.clone());
    for n in 0..80 {
        assert!(say(&store, 0, n));
        witness.prove(&mark(0, n)).unwrap();
        let pair = [mark(1, n), mark(2, n)].map(|mark| Mutation::add_message("both", mark));
        assert!(store.batch(pair.to_vec()).unwrap().iter().all(aral_store::Receipt::is_durable));
        witness.prove(&mark(2, n)).unwrap();
        match n % 20 {
            9 => drop(store.compact().unwrap()),
            19 => {
                store.close().unwrap();
                store = open(witness.clone());
            }
            _ => {}
        }
    }
    assert!(witness.prove("never said").is_err());
}

#[test]
fn every_durable_receipt_of_many_threads_is_covered_by_a_sync() {
    let witness = witness();
    let store = open(witness.clone());
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (store, witness) = (&store, &witness);
            scope.spawn(move || {
                for n in 0..60 {
                    assert!(say(store, thread, n));
                    witness.prove(&mark(thread, n)).unwrap();
                    if thread == 0 && n % 20 == 10 {
                        drop(store.compact().unwrap());
                    }
                }
            });
        }
    });
}

#[test]
fn a_sync_that_is_left_out_is_found_at_its_receipt() {
    // The first sync is that of the segment, and the first message is in it.
    for left_out in 1..9 {
        let witness = witness();
        let fs = FaultFs::new(std::sync::Arc::new(witness.clone()), Vec::new());
        let store = open(fs.clone());
        fs.replan(vec![Rule::new(Call::Sync, left_out, Fault::SyncPretends).on(".seg")]);
        for n in 1..12 {
            drop(store.add_message("c0", mark(0, n)).unwrap());
            let is_covered = witness.prove(&mark(0, n)).is_ok();
            assert_eq!(is_covered, u64::try_from(n).unwrap() != left_out, "{left_out}, message {n}");
        }
        assert!(fs.all_fired());
    }
}

#[test]
fn a_sync_of_names_that_is_left_out_is_found_at_every_receipt_after_it() {
    for path in ["/log", "/home"] {
        let witness = witness();
        let fs = FaultFs::new(std::sync::Arc::new(witness.clone()), Vec::new());
        fs.replan(vec![Rule::new(Call::SyncDir, 1, Fault::SyncPretends).for_ever().on(path)]);
        let store = open(fs.clone());
        for n in 0..3 {
            assert!(say(&store, 0, n));
            let wrong = witness.prove(&mark(0, n)).unwrap_err();
            assert!(wrong.contains("no sync has covered the name"), "{wrong}");
        }
        assert!(fs.all_fired());
    }
}

#[test]
fn what_an_opening_shows_is_durable_however_much_it_is() {
    let fs = driver::fresh(simfs::Settings::default());
    let settings = Settings { sync: SyncPolicy::Os, ..SETTINGS };
    let open = |fs: &simfs::SimFs| {
        let options = driver::options(&Home::Sim(fs.clone()), settings, &Sources::default());
        options.segment_bytes(2 << 20).first_segment_bytes(2 << 20).open(DIR).unwrap()
    };
    let store = open(&fs);
    for n in 0..90 {
        drop(store.add_message("c", format!("{n} {}", "ten kilobytes ".repeat(750))).unwrap());
    }
    let fs = fs.kill();
    drop(store);
    let files = fs.files().into_iter().map(|(path, _)| path);
    let segments: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|ending| ending == "seg")).collect();
    let [segment] = segments.as_slice() else { panic!("all of it is in one segment: {segments:?}") };
    // The last process died after a sync had failed: what it wrote counts as clean, so that a sync alone would
    // say that all is well and write nothing.
    fs.drop_unsynced(fs.metadata(segment).unwrap().file_number);
    assert_ne!(fs.read(segment), fs.read_durable(segment));
    let store = open(&fs);
    assert_eq!(store.summary("c").unwrap().unwrap().messages, 90);
    assert!(fs.read(segment) == fs.read_durable(segment), "what is shown is not durable");
}
