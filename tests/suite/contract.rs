//! What every backend promises, asked of each of them in the same words.
//!
//! The suite is a list of short programs; each runs against memory, against files on a simulated file system,
//! and against files on a real one.

mod forks;
mod ids;
mod replies;

use std::sync::Arc;

use aral_store::{
    ActionEdit, Edit, ErrorKind, JsonObject, MAX_BATCH_EVENTS, MAX_TEXT_BYTES, MessageStore, Messages,
    Mutation, NewAction, NewConversation, NewMessage, Operation, Order, SyncPolicy, Text, Timestamp,
};

use crate::support::driver::{self, DIR, Driver, Home};
use crate::support::ops::{self, CONVERSATIONS, Expect, Op, Settings, Step};
use crate::support::simfs::{self, SimFs, SplitMix};
use crate::support::sources::Sources;
use crate::support::{buckets, databases};

const SETTINGS: Settings =
    Settings { sync: SyncPolicy::Always, first_segment_bytes: 8 << 10, compacts_on_close: false };

fn fresh() -> SimFs {
    driver::fresh(simfs::Settings::default())
}

/// Runs a suite in each home, and once more with a reopening after every operation.
fn everywhere(program: &[Op]) {
    let dir = tempfile::tempdir().unwrap();
    let mut homes = vec![Home::Memory, Home::Sim(fresh()), Home::Real(dir.path().join("data"))];
    homes.extend(databases::of(dir.path()));
    for home in homes {
        let name = format!("{home:?}").split('(').next().unwrap_or_default().to_owned();
        run(home, program).unwrap_or_else(|wrong| panic!("{name}: {wrong}"));
    }
    let restless: Vec<Op> = program.iter().flat_map(|op| [op.clone(), Op::Reopen]).collect();
    run(Home::Sim(fresh()), &restless).unwrap();
    for home in databases::of(&dir.path().join("restless")) {
        run(home, &restless).unwrap();
    }
    let compacting: Vec<Op> = program.iter().flat_map(|op| [op.clone(), Op::Compact, Op::Reopen]).collect();
    run(Home::Sim(fresh()), &compacting).unwrap();
    for home in buckets::of("contract") {
        in_bucket(home.clone(), program).unwrap_or_else(|wrong| panic!("{home:?}: {wrong}"));
    }
}

/// Runs a program over a network: with a few compactions, and compared at the end.
fn in_bucket(home: Home, program: &[Op]) -> Result<(), String> {
    let mut driver = Driver::new(home, SETTINGS)?;
    for (n, op) in program.iter().enumerate() {
        driver.run(op)?;
        if n % 7 == 6 {
            driver.run(&Op::Compact)?;
        }
    }
    driver.check()
}

fn run(home: Home, program: &[Op]) -> Result<(), String> {
    let mut driver = Driver::new(home, SETTINGS)?;
    for op in program {
        driver.run(op)?;
        // A reopening has just checked everything by itself.
        if !matches!(op, Op::Reopen) {
            driver.check()?;
        }
    }
    Ok(())
}

fn append(mutation: Mutation) -> Op {
    Op::Append(Step::of(mutation))
}

fn change(id: &str, operation: Operation) -> Op {
    append(Mutation::new(id, operation))
}

fn message(id: &str, message_id: &str, content: &str) -> Mutation {
    Mutation::add_message(id, NewMessage::new(content).id(message_id))
}

#[test]
fn a_conversation_lives_through_every_kind_of_mutation() {
    let metadata = JsonObject::parse(r#"{"nan":NaN,"big":123456789012345678901234567890}"#).unwrap();
    let (data, unnamed) = (metadata.clone(), JsonObject::parse(r#"{"x-flag":[true]}"#).unwrap());
    let time = "2025-03-13T15:11:33.5+02:00".parse().unwrap();
    let edit = |message_id: &str, edit| Operation::EditMessage { message_id: message_id.into(), edit };
    let edit_action = |edit| Operation::EditAction { action_id: "a2".into(), edit };
    everywhere(&[
        append(Mutation::create_conversation("c1", NewConversation::new().title("T"))),
        append(message("c1", "m1", "one")),
        append(message("c1", "m2", "two")),
        append(Mutation::add_action("c1", NewAction::new("call", metadata.clone()).id("a1"))),
        change("c1", Operation::SetTitle("Another".into())),
        change("c1", Operation::SetTitle("".into())),
        change("c1", Operation::SetMetadata(metadata.clone())),
        change("c1", edit("m1", Edit::content("uno"))),
        change("c1", edit("m1", Edit::default().metadata(metadata))),
        change("c1", Operation::RemoveMessage("m2".into())),
        change("c1", Operation::RemoveAction("a1".into())),
        change("c1", Operation::Clear),
        append(message("c1", "m3", "three")),
        append(Mutation::add_action("c1", NewAction::new("call", data.clone()).id("a2"))),
        change("c1", edit("m3", Edit::default().role("tool").created_at(time).extra(unnamed.clone()))),
        change("c1", edit_action(ActionEdit::data(JsonObject::EMPTY).action_type("reply"))),
        change("c1", edit_action(ActionEdit::default().created_at(time).extra(unnamed.clone()))),
        change("c1", edit_action(ActionEdit::default().metadata(data))),
        change("c1", Operation::SetCreatedAt(time)),
        change("c1", Operation::SetExtra(unnamed)),
        change("c1", Operation::RemoveConversation),
        append(message("c1", "m4", "another life")),
    ]);
}

#[test]
fn a_conversation_that_was_removed_is_remembered_until_it_begins_again() {
    let time = "2025-03-13T15:11:33.5+02:00".parse().unwrap();
    everywhere(&[
        append(message("c1", "m1", "one")),
        append(message("c2", "m1", "one")),
        append(message("c3", "m1", "one")),
        change("c1", Operation::RemoveConversation),
        change("c2", Operation::RemoveConversationAt(time)),
        change("c1", Operation::RemoveConversation),
        append(message("c1", "m2", "begun again")),
        change("c1", Operation::PruneConversation(Some(time))),
        append(message("c1", "m2", "begun again")),
        change("c2", Operation::PruneConversation(None)),
        append(message("c4", "m2", "begun again")),
        append(Mutation::new("c4", Operation::PruneConversation(None)).key("k1")),
        append(Mutation::new("c4", Operation::PruneConversation(Some(time))).key("k1")),
        append(Mutation::new("c4", Operation::RemoveConversation).key("k1")),
        Op::Batch(vec![
            Step::of(Mutation::new("c3", Operation::RemoveConversation)),
            Step::of(Mutation::create_conversation("c3", NewConversation::new())),
            Step::of(Mutation::new("c3", Operation::RemoveConversation)),
        ]),
        append(Mutation::reset_conversation("c2", NewConversation::new())),
        change("c1", Operation::RemoveConversation),
        change("c2", Operation::RemoveConversation),
    ]);
}

#[test]
fn a_version_is_raised_and_never_taken_back() {
    everywhere(&[
        change("c1", Operation::SetVersion(5)),
        append(message("c1", "m1", "one")),
        change("c1", Operation::SetVersion(1)),
        change("c1", Operation::SetVersion(9)),
        append(message("c1", "m2", "two").expect(9)),
        change("c1", Operation::SetVersion(10)),
        change("c1", Operation::SetVersion(u64::MAX)),
        append(Mutation::new("c1", Operation::SetVersion(20)).key("k1")),
        append(Mutation::new("c1", Operation::SetVersion(20)).key("k1")),
        Op::Batch(vec![
            Step::of(Mutation::create_conversation("c2", NewConversation::new())),
            Step::of(Mutation::new("c2", Operation::SetVersion(1000))),
            Step::of(message("c2", "m1", "one").expect(1000)),
        ]),
        Op::Batch(vec![
            Step::of(message("c2", "m2", "two")),
            Step::of(Mutation::new("c2", Operation::SetVersion(1002))),
        ]),
        change("c1", Operation::RemoveConversation),
        append(message("c1", "m1", "from the beginning")),
    ]);
}

#[test]
fn a_conversation_begins_anew_in_its_place() {
    let new = |title: &str| NewConversation::new().title(title);
    let anew = |id: &str, title: &str| Step::of(Mutation::reset_conversation(id, new(title)));
    let mut full = new("all of it").metadata(JsonObject::parse(r#"{"m":1}"#).unwrap());
    full.extra = JsonObject::parse(r#"{"x":1}"#).unwrap();
    full.created_at = "2025-03-13T15:11:33.5".parse().ok();
    everywhere(&[
        append(message("c1", "m1", "one")),
        append(message("c2", "m2", "two").key("k1")),
        append(message("c3", "m3", "three")),
        Op::Append(anew("c2", "empty")),
        append(message("c2", "m2", "two").key("k1")),
        append(message("c2", "m4", "first again")),
        Op::Batch(vec![
            anew("c1", "replaced"),
            Step::of(message("c1", "m1", "same id, another message")),
            Step::of(Mutation::add_action("c1", NewAction::new("call", JsonObject::EMPTY).id("a1"))),
            Step::of(Mutation::new(
                "c1",
                Operation::EditMessage { message_id: "m1".into(), edit: Edit::default().role("tool") },
            )),
        ]),
        append(Mutation::reset_conversation("c4", full.clone())),
        Op::Batch(vec![
            anew("c2", "lost"),
            Step::of(Mutation::new("c2", Operation::RemoveMessage("m4".into()))),
        ]),
        append(Mutation::reset_conversation("c1", full.clone()).key("k2")),
        append(Mutation::reset_conversation("c1", full.clone()).key("k2")),
        append(Mutation::reset_conversation("c1", new("something else")).key("k2")),
        Op::Append(Step { expect: Expect::Wrong(1), ..anew("c1", "stale") }),
        Op::Append(Step { expect: Expect::Right, ..anew("c1", "fresh") }),
        append(Mutation::reset_conversation("", full)),
        change("c3", Operation::RemoveConversation),
        Op::Append(anew("c3", "at the end now")),
    ]);
}

#[test]
fn what_is_there_is_said_to_exist_already() {
    for store in
        [MessageStore::in_memory(), MessageStore::options().vfs(Arc::new(fresh())).open(DIR).unwrap()]
    {
        drop(store.add_message("c1", "begun").unwrap());
        let create = || Mutation::create_conversation("c1", NewConversation::new());
        assert_eq!(store.append(create()).unwrap_err().kind(), ErrorKind::AlreadyExists);
        // Whoever says which version is expected hears that it is another one.
        assert_eq!(store.append(create().expect(0)).unwrap_err().kind(), ErrorKind::Conflict);
        let reset = Mutation::reset_conversation("c1", NewConversation::new());
        assert_eq!(store.append(reset).unwrap().version, 2);
    }
}

#[test]
fn an_edit_is_held_to_the_limits() {
    let store = MessageStore::in_memory();
    drop(store.add_message("c1", NewMessage::new("x").id("m")).unwrap());
    drop(store.add_action("c1", NewAction::new("x", JsonObject::EMPTY).id("a")).unwrap());
    let hides = JsonObject::parse(r#"{"metadata":1}"#).unwrap();
    let long = || "x".repeat(MAX_TEXT_BYTES + 1);
    for refused in [
        store.edit_message("c1", "m", Edit::default().role(long())),
        store.edit_message("c1", "m", Edit::default().extra(hides.clone())),
        store.edit_action("c1", "a", ActionEdit::default().action_type(long())),
        store.edit_action("c1", "a", ActionEdit::default().extra(hides.clone())),
        store.set_extra("c1", hides),
        store.reset_conversation("c1", NewConversation::new().title(long())),
    ] {
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::InvalidInput);
    }
    assert_eq!(store.summary("c1").unwrap().unwrap().version, 2);
}

#[test]
fn what_is_not_there_is_not_found() {
    let operations = [
        Operation::SetTitle("t".into()),
        Operation::SetMetadata(JsonObject::EMPTY),
        Operation::EditMessage { message_id: "m".into(), edit: Edit::content("x") },
        Operation::RemoveMessage("m".into()),
        Operation::RemoveAction("a".into()),
        Operation::EditAction { action_id: "a".into(), edit: ActionEdit::default() },
        Operation::SetCreatedAt(Timestamp::EPOCH),
        Operation::SetExtra(JsonObject::EMPTY),
        Operation::Clear,
        Operation::RemoveConversation,
    ];
    let mut program: Vec<Op> = operations.iter().map(|operation| change("c1", operation.clone())).collect();
    program.push(append(message("c1", "other", "there is one now")));
    program
        .extend(operations.iter().cycle().skip(2).take(4).map(|operation| change("c1", operation.clone())));
    everywhere(&program);
}

#[test]
fn an_id_that_occurs_twice_means_the_last_one() {
    let edit = Operation::EditMessage { message_id: "m".into(), edit: Edit::content("edited") };
    everywhere(&[
        append(message("c1", "m", "first")),
        append(message("c1", "x", "between")),
        append(message("c1", "m", "second")),
        change("c1", edit.clone()),
        change("c1", Operation::RemoveMessage("m".into())),
        change("c1", edit),
        Op::Batch(vec![
            Step::of(message("c1", "m", "third")),
            Step::of(Mutation::new("c1", Operation::RemoveMessage("m".into()))),
            Step::of(Mutation::new("c1", Operation::RemoveMessage("m".into()))),
        ]),
    ]);
}

#[test]
fn no_id_leads_anywhere_but_to_its_conversation() {
    let program: Vec<Op> =
        CONVERSATIONS.iter().map(|id| append(Mutation::add_message(*id, "here"))).collect();
    everywhere(&program);
}

#[test]
fn a_batch_happens_as_a_whole_or_not_at_all() {
    let step = |mutation: Mutation| Step::of(mutation);
    let title = Mutation::new("c2", Operation::SetTitle("no such conversation".into()));
    everywhere(&[
        Op::Batch(vec![step(message("c1", "m1", "one")), step(message("c2", "m2", "two"))]),
        Op::Batch(vec![step(message("c1", "m3", "lost")), step(Mutation::new("c3", title.operation))]),
        Op::Batch(vec![
            step(Mutation::new("c1", Operation::RemoveConversation)),
            step(Mutation::create_conversation("c1", NewConversation::new().title("again"))),
            step(message("c1", "m4", "after")),
            step(Mutation::new("c1", Operation::Clear)),
            step(message("c1", "m5", "last")),
        ]),
        Op::Batch(vec![]),
    ]);
}

#[test]
fn a_version_is_held_to_and_a_key_is_used_once() {
    let keyed = |content: &str| Mutation::add_message("c1", content).key("k");
    let expecting = |mutation, expect| Op::Append(Step { mutation, expect });
    everywhere(&[
        expecting(message("c1", "m1", "one"), Expect::Right),
        expecting(message("c1", "m2", "two"), Expect::Wrong(1)),
        expecting(message("c1", "m2", "two"), Expect::Right),
        append(keyed("once")),
        append(keyed("once")),
        append(keyed("twice")),
        expecting(keyed("once"), Expect::Wrong(7)),
        Op::Batch(vec![Step::of(keyed("once")), Step::of(message("c1", "m", "x"))]),
        Op::Batch(vec![Step::of(keyed("a").key("k2")), Step::of(keyed("b").key("k2"))]),
        change("c1", Operation::RemoveConversation),
        append(keyed("once")),
    ]);
}

#[test]
fn random_programs_run_in_real_directories_too() {
    for seed in 0..8 {
        let choice = &mut SplitMix::new(seed);
        let program: Vec<Op> = (0..60).map(|_| ops::op(choice)).collect();
        let dir = tempfile::tempdir().unwrap();
        run(Home::Real(dir.path().join("data")), &program).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
        for home in databases::of(dir.path()) {
            run(home, &program).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
        }
    }
}

fn stores() -> Vec<(Option<tempfile::TempDir>, MessageStore)> {
    let dir = tempfile::tempdir().unwrap();
    let store = MessageStore::open(dir.path().join("data")).unwrap();
    let mut stores = vec![(None, MessageStore::in_memory()), (Some(dir), store)];
    let dir = tempfile::tempdir().unwrap();
    let opened = databases::of(dir.path())
        .into_iter()
        .map(|home| (None, driver::open(&home, SETTINGS, &Sources::default()).unwrap()));
    stores.extend(opened);
    if let Some((held, _)) = stores.last_mut().filter(|(held, _)| held.is_none()) {
        *held = Some(dir);
    }
    stores
}

#[test]
fn limits_are_limits_in_every_backend() {
    for (_dir, store) in stores() {
        let invalid = |result: aral_store::Result<_>| {
            assert_eq!(result.unwrap_err().kind(), ErrorKind::InvalidInput);
        };
        invalid(store.add_message("", "x"));
        invalid(store.add_message(&"c".repeat(1025), "x"));
        invalid(store.add_message("c", NewMessage::new("x").id("i".repeat(1025))));
        invalid(store.append(Mutation::add_message("c", "x").key("k".repeat(513))));
        let many = vec![Mutation::add_message("c", "x"); MAX_BATCH_EVENTS + 1];
        assert_eq!(store.batch(many).unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(store.stats().unwrap().last_seq, 0);
        assert!(store.add_message(&"c".repeat(1024), NewMessage::new("x").id("i".repeat(1024))).is_ok());
    }
}

#[test]
fn readers_beside_writers_see_whole_batches() {
    for (_dir, store) in stores() {
        std::thread::scope(|scope| {
            for writer in 0..3 {
                let store = store.clone();
                scope.spawn(move || {
                    for n in 0..20 {
                        let of = |part: &str| {
                            Mutation::add_message("c", NewMessage::new(part).id(format!("{writer}-{n}")))
                        };
                        store.batch(vec![of("one"), of("two")]).unwrap();
                    }
                });
            }
            let store = store.clone();
            scope.spawn(move || {
                let mut before = 0;
                while before < 120 {
                    let messages = store.messages("c", Messages::all()).unwrap_or_default();
                    assert!(messages.len() >= before, "a reader goes back in time");
                    assert!(messages.len().is_multiple_of(2), "a reader sees half of a batch");
                    for pair in messages.chunks(2) {
                        assert_eq!((&pair[0].id, pair[1].content == "two"), (&pair[1].id, true));
                    }
                    before = messages.len();
                }
            });
        });
        assert_eq!(store.conversations(Order::Created).unwrap()[0].version, 120);
        assert_eq!(store.messages("c", Messages::first(1)).unwrap()[0].role, Text::from("user"));
    }
}
