//! What a first touch looks at, and what becomes of what it finds when the log has ended.

use aral_store::{ErrorKind, MessageStore, NewMessage, Order};

use crate::regressions::{add, added, compacted, files_with, fresh, inside, on, on_shared, open, texts};
use crate::support::faultfs::{Call, Fault, FaultFs, Rule};
use crate::support::hooks::Hooked;
use crate::support::simfs::errno::EIO;
use crate::support::simfs::{SimFs, SplitMix};

/// Lets no look at the directory of the conversations succeed.
fn no_survey() -> Rule {
    Rule::new(Call::ReadDir, 1, Fault::Errno(EIO)).on("conversations").for_ever()
}

fn ids(store: &MessageStore) -> Vec<String> {
    store.conversations(Order::Created).unwrap().into_iter().map(|summary| summary.id).collect()
}

/// A closed store with `a` and `b` in files, the file of `b` edited since.
fn edited() -> SimFs {
    let sim = fresh();
    let store = open(on(sim.clone()));
    for id in ["a", "b"] {
        add(&store, id, 0..2);
    }
    drop(store.compact().unwrap());
    store.close().unwrap();
    let file = inside("conversations/b.json");
    let text = String::from_utf8(sim.read(&file).unwrap()).unwrap();
    sim.put(&file, text.replace("\"m1\"", "\"edited\"").as_bytes());
    sim
}

fn say_in_vain(store: &MessageStore) {
    let message = NewMessage::new("m2").id("id2");
    assert_eq!(store.add_message("a", message).unwrap_err().kind(), ErrorKind::Io);
    assert_eq!(store.add_message("a", "later").unwrap_err().kind(), ErrorKind::Failed);
}

/// A conversation that is recorded as having no file, or as one whose name leads out of the directory, is not
/// looked for among the others.
#[test]
fn a_conversation_without_a_file_is_answered_for_without_a_survey() {
    let sim = compacted(2);
    let list = String::from_utf8(sim.read(inside("message_store.json")).unwrap()).unwrap();
    let longer = list.replace("\"c1\"", "\"c1\", \"gone\", \"../out\"");
    assert_ne!(longer, list);
    sim.put(inside("message_store.json"), longer.as_bytes());
    let store = open(on(sim.clone()));
    let damaged = store.recovery().damaged;
    assert_eq!(damaged.len(), 2, "{damaged:?}");
    store.close().unwrap();
    let faults = FaultFs::over_sim(&sim, vec![no_survey()]);
    let store = open(on(faults.clone()));
    for id in ["gone", "../out"] {
        for told in [store.conversation(id).unwrap_err(), store.add_message(id, "anew").unwrap_err()] {
            assert_eq!(told.kind(), ErrorKind::Corrupt, "{told}");
        }
    }
    assert_eq!(faults.fired(), [0], "nobody looked further");
    faults.replan(Vec::new());
    assert_eq!(store.recovery().damaged, damaged);
    assert_eq!((ids(&store), texts(&store, "c1")), (vec!["c1".to_owned()], added(0..2)));
}

/// What is no conversation's file is nobody's business, and no reason to look at the others' files.
#[test]
fn a_file_of_another_kind_makes_nobody_look_at_the_rest() {
    let sim = compacted(2);
    sim.put(inside("conversations/notes.txt"), b"mine");
    let look = Rule::new(Call::Metadata, 1, Fault::Errno(EIO)).on("/c1.json").for_ever();
    let faults = FaultFs::over_sim(&sim, vec![look]);
    let store = open(on(faults.clone()));
    add(&store, "new", 0..1);
    assert_eq!(faults.fired(), [0]);
    faults.replan(Vec::new());
    assert_eq!((ids(&store), texts(&store, "c1")), (vec!["c1".to_owned(), "new".to_owned()], added(0..2)));
    drop(store.compact().unwrap());
    assert_eq!(sim.read(inside("conversations/notes.txt")).unwrap(), b"mine");
}

/// After a failed sync nothing more is written. What others have made of the files is found all the same, and
/// known in memory alone until the next opening takes it in.
#[test]
fn an_edit_that_is_found_after_the_log_has_ended_is_shown_and_not_written_down() {
    let sim = edited();
    let fails = Rule::new(Call::Sync, 1, Fault::Errno(EIO)).on(".seg").for_ever();
    let faults = FaultFs::over_sim(&sim, Vec::new());
    let store = open(on(faults.clone()));
    faults.replan(vec![fails]);
    say_in_vain(&store);
    let writes = || {
        let all = [Call::Create, Call::Write, Call::Rename, Call::Remove, Call::Sync, Call::SyncDir];
        all.map(|call| faults.count(call))
    };
    let before = writes();
    assert_eq!(store.summary("b").unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(store.recovery().changed, [inside("conversations/b.json")]);
    assert_eq!((ids(&store).len(), texts(&store, "a")), (2, added(0..2)));
    assert_eq!(store.accept("b").unwrap_err().kind(), ErrorKind::Failed);
    assert_eq!(writes(), before);
    drop(store);
    let store = open(on(sim.crash(&mut SplitMix::new(1))));
    assert_eq!(store.summary("b").unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(store.recovery().changed, [inside("conversations/b.json")]);
    drop(store.accept("b").unwrap().unwrap());
    assert_eq!(texts(&store, "b"), ["m0", "edited"]);
}

/// A log that ends between the finding and the taking in keeps the checkpoint before, and that is all: what was
/// found is known, now and after a crash.
#[test]
fn a_file_that_is_taken_in_while_the_log_ends_is_known() {
    for seed in 0..10 {
        let sim = edited();
        let added_file = inside("conversations/d.json");
        let file = inside("conversations/b.json");
        let text = String::from_utf8(sim.read(&file).unwrap()).unwrap();
        sim.put(&added_file, text.replace("\"id\": \"b\"", "\"id\": \"d\"").as_bytes());
        sim.put(&file, text.replace("\"edited\"", "\"m1\"").as_bytes());
        let faults = FaultFs::over_sim(&sim, Vec::new());
        let hooked = Hooked::over(faults.clone());
        let store = open(on_shared(&hooked));
        // From now on nobody need look at its file before more is said in it.
        add(&store, "a", 2..3);
        let (other, planned) = (store.clone(), faults.clone());
        hooked.before(Call::Rename, "CHECKPOINT-", move || {
            planned.replan(vec![Rule::new(Call::Sync, 1, Fault::Errno(EIO)).on(".seg")]);
            assert_eq!(other.add_message("a", "in vain").unwrap_err().kind(), ErrorKind::Io);
        });
        assert_eq!(texts(&store, "d"), ["m0", "edited"]);
        assert!(hooked.has_begun() && faults.all_fired());
        assert_eq!(store.recovery().unlisted, [added_file]);
        assert_eq!(store.add_message("d", "later").unwrap_err().kind(), ErrorKind::Failed);
        assert_eq!(files_with(&sim, "CHECKPOINT-").len(), 2);
        drop(store);
        let sim = sim.crash(&mut SplitMix::new(seed));
        let store = open(on(sim.clone()));
        assert_eq!(
            (texts(&store, "d"), &texts(&store, "a")[..3]),
            (added(0..1).into_iter().chain(["edited".to_owned()]).collect(), &added(0..3)[..])
        );
        assert!(store.recovery().damaged.is_empty(), "{:?}", store.recovery());
        assert!(store.verify().unwrap().is_sound());
        assert_eq!(files_with(&sim, "CHECKPOINT-").len(), 1);
    }
}
