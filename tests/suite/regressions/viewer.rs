//! Reading beside a writer in another process, which two file systems over one simulator stand for.

use aral_store::{ErrorKind, Messages, Order};

use super::{add, added, compacted, files_with, fresh, inside, on, on_shared, open, texts};
use crate::replacing::of_the_future;
use crate::support::driver::DIR;
use crate::support::faultfs::Call;
use crate::support::hooks::Hooked;

/// A handle for reading answered with damage once a writer had compacted, because the files that its
/// checkpoint describes had been replaced. It goes over to the newer state now.
#[test]
fn a_reader_keeps_answering_after_compactions() {
    let sim = fresh();
    let store = open(on(sim.clone()));
    for id in ["c1", "c2"] {
        add(&store, id, 0..1);
    }
    store.compact().unwrap();
    let viewer = open(on(sim.clone()).read_only());
    assert_eq!(texts(&viewer, "c2"), added(0..1));
    for n in 1..4 {
        for id in ["c1", "c2"] {
            add(&store, id, n..n + 1);
        }
        store.compact().unwrap();
        // What was read before may be shown as it was then.
        for id in ["c1", "c2"] {
            let seen = texts(&viewer, id);
            assert_eq!(seen, added(0..seen.len()));
            assert_eq!(viewer.conversation(id).unwrap().unwrap().messages.len(), seen.len());
            assert!(viewer.actions(id).unwrap().is_empty());
        }
    }
    assert!(viewer.verify().unwrap().is_sound());
    viewer.events(1).unwrap();
}

/// The same of an export by such a handle: what it holds must be whole, and nothing is damaged.
#[test]
fn a_reader_exports_after_a_compaction() {
    let sim = compacted(1);
    let store = open(on(sim.clone()));
    let viewer = open(on(sim.clone()).read_only());
    add(&store, "c1", 1..2);
    store.compact().unwrap();
    let to = "/home/export";
    let report = viewer.export_aral(to, None).unwrap();
    assert!(report.damaged.is_empty(), "{report:?}");
    assert_eq!(report.conversations, 1);
    let exported = on(sim).open(to).unwrap();
    let count = exported.messages("c1", Messages::all()).unwrap().len();
    assert!((1..=2).contains(&count), "{count} messages");
}

/// A compaction that was published while a reader opened the store left it with files that were not as its
/// checkpoint had them: conversations that had just been removed or written counted as damaged or changed
/// from outside. An opening that finds a newer checkpoint at its end looks again now.
#[test]
fn opening_for_reading_beside_a_compaction_reports_nothing() {
    let sim = fresh();
    let store = open(on(sim.clone()));
    for id in ["c1", "c2"] {
        add(&store, id, 0..1);
    }
    store.compact().unwrap();
    let hooked = Hooked::over(sim.clone());
    let writer = store.clone();
    hooked.before(Call::ReadDir, "conversations", move || {
        drop(writer.remove_conversation("c1").unwrap());
        add(&writer, "c2", 1..2);
        add(&writer, "c3", 0..1);
        writer.compact().unwrap();
    });
    let viewer = on_shared(&hooked).read_only().open(DIR).unwrap();
    assert!(hooked.has_begun());
    let found = viewer.recovery();
    assert!(found.damaged.is_empty() && found.changed.is_empty() && found.unlisted.is_empty(), "{found:?}");
    assert_eq!(viewer.conversations(Order::Created).unwrap(), store.conversations(Order::Created).unwrap());
    assert_eq!(texts(&viewer, "c2"), added(0..2));
}

/// A reader's `verify()` that began before a compaction and ended after it called the store damaged. It looks
/// until two looks agree now.
#[test]
fn a_reader_verifies_beside_a_compaction() {
    for call in [Call::ReadDir, Call::Open] {
        for part in ["log", "conversations", "CHECKPOINT", "c1.json"] {
            let sim = compacted(1);
            let store = open(on(sim.clone()));
            let hooked = Hooked::over(sim.clone());
            let viewer = open(on_shared(&hooked).read_only());
            add(&store, "c1", 1..2);
            hooked.before(call, part, move || drop(store.compact().unwrap()));
            let report = viewer.verify().unwrap();
            assert!(report.is_sound(), "before {call:?} on {part}: {report:?}");
            assert!(hooked.has_begun() || call == Call::ReadDir, "before {call:?} on {part}");
            viewer.events(1).unwrap();
            assert_eq!(texts(&viewer, "c1")[0], "m0");
        }
    }
}

/// Who followed the log of a newer writer was told of damage, or would have taken an event for another, because
/// only opening looked at the version of a frame's encoding. Following and listing look at it first now.
#[test]
fn a_follower_of_a_newer_writer_is_told_to_upgrade() {
    let sim = fresh();
    let store = open(on(sim.clone()));
    add(&store, "c1", 0..1);
    let mut follower = store.follow(1).unwrap();
    of_the_future(&sim);
    assert_eq!(follower.next_logged().unwrap_err().kind(), ErrorKind::UnsupportedFormat);
    assert_eq!(store.events(1).unwrap_err().kind(), ErrorKind::UnsupportedFormat);
}

/// Verifying called the list of conversations missing when the first compaction of a store had been killed between
/// its commit and its last step, which moves the list: the list was there, staged. And a staged list was
/// believed unread. Now the one that is staged stands for the one that is not in place yet, and is held against
/// its checksum.
#[test]
fn a_list_that_is_still_staged_is_neither_missing_nor_believed() {
    for compacted_before in [false, true] {
        let sim = fresh();
        let hooked = Hooked::over(sim.clone());
        let store = open(on_shared(&hooked));
        add(&store, "c1", 0..1);
        if compacted_before {
            store.compact().unwrap();
            add(&store, "c2", 0..1);
        }
        let (medium, (sender, killed)) = (sim.clone(), std::sync::mpsc::channel());
        hooked.before(Call::Rename, "message_store.json", move || sender.send(medium.kill()).unwrap());
        store.compact().unwrap_err();
        let cut = killed.recv().unwrap();
        let verified = || open(on(cut.clone()).read_only()).verify().unwrap();
        let report = verified();
        assert!(report.is_sound() && report.notes.len() == 1, "{report:?}");

        let staged = files_with(&cut, "-index").remove(0);
        let bytes = cut.read(&staged).unwrap();
        cut.flip_bit(&staged, 5, 1);
        let [damaged] = &verified().damaged[..] else { panic!("a flipped bit") };
        assert_eq!((damaged.path.to_str(), damaged.offset), (Some(&*staged), Some(5)));
        cut.delete(&staged);
        let [damaged] = &verified().damaged[..] else { panic!("a list that is gone") };
        assert_eq!(damaged.path, inside("message_store.json"));
        cut.put(&staged, &bytes);
        assert_eq!(verified(), report);
        assert_eq!(texts(&open(on(cut.clone())), "c1"), added(0..1));
        assert!(verified().is_sound());
    }
}
