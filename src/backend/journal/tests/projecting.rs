//! Documents that people query, kept beside the log by several processes whose requests go wrong.

use std::sync::{Arc, Mutex};

use super::beside_memory::mutation;
use super::documents::{Documents, Kept};
use super::sim::{Bucket, Client, Numbers, Shared};
use super::world::message;
use crate::backend::Backend;
use crate::backend::journal::Engine;
use crate::backend::locked::locked;
use crate::backend::settings::Settings;
use crate::model::{Mutation, Operation};

/// A bucket, and documents beside it.
#[derive(Default)]
struct World {
    bucket: Shared,
    kept: Arc<Mutex<Kept>>,
}

impl World {
    fn open(&self, documents: Arc<Documents>) -> Engine {
        let client = Arc::new(Client::sound(&self.bucket));
        Engine::opened(client, Some(documents), Settings::default()).unwrap()
    }

    fn sound(&self) -> Engine {
        self.open(Documents::on(&self.kept, 0, 0))
    }

    fn check(&self) {
        let engine = self.sound();
        let report = engine.verify().unwrap();
        assert!(report.is_sound() && report.notes.is_empty(), "{report:?}");
    }
}

fn append(engine: &Engine, mutation: Mutation) {
    drop(engine.append(vec![mutation]).unwrap());
}

fn remove(engine: &Engine, conversation: &str, id: &str) {
    append(engine, Mutation::new(conversation, Operation::RemoveMessage(id.into())));
}

#[test]
fn whatever_is_done_and_goes_wrong_the_documents_become_what_the_log_says() {
    for seed in 0..super::schedules::scaled(150) {
        let mut numbers = Numbers::new(seed);
        let world = World { bucket: Arc::new(Mutex::new(Bucket::default())), ..World::default() };
        let per_mille = [0, 100][numbers.next(2)];
        let open = |n: u64| world.open(Documents::on(&world.kept, seed * 10 + n, per_mille));
        let mut engines: Vec<Engine> = (0..2).map(open).collect();
        for n in 0..60 {
            let at = numbers.next(2);
            match numbers.next(12) {
                0 => drop(engines[at].compact().unwrap()),
                1 => engines[at] = open(n + 2),
                2..=5 => drop(engines[at].projector().catch_up()),
                _ => drop(engines[at].append(vec![mutation(&mut numbers), mutation(&mut numbers)])),
            }
        }
        let engine = world.sound();
        engine.projector().catch_up().unwrap();
        let report = engine.verify().unwrap();
        assert!(report.is_sound() && report.notes.is_empty(), "seed {seed}: {report:?}");
    }
}

#[test]
fn who_writes_documents_too_late_neither_puts_back_what_is_gone_nor_replaces_what_is_newer() {
    let world = World::default();
    let (late, other) = (Documents::on(&world.kept, 1, 0), world.sound());
    let engine = world.open(Arc::clone(&late));
    for id in ["1", "2", "3"] {
        append(&engine, message("a", id));
    }
    append(&engine, message("b", "1"));
    let act = move || {
        remove(&other, "a", "1");
        append(&other, Mutation::new("b", Operation::RemoveConversation));
        other.projector().catch_up().unwrap();
    };
    *locked(&late.before) = Some(Box::new(act));
    engine.projector().catch_up().unwrap();
    world.check();
}

#[test]
fn what_was_touched_is_written_and_nothing_else() {
    let world = World::default();
    let engine = world.sound();
    (0..100).for_each(|n| append(&engine, message("a", &n.to_string())));
    append(&engine, message("b", "1"));
    engine.projector().catch_up().unwrap();
    let written = |act: &dyn Fn()| {
        let before = locked(&world.kept).writes;
        act();
        engine.projector().catch_up().unwrap();
        locked(&world.kept).writes - before
    };
    assert_eq!(written(&|| append(&engine, message("a", "new"))), 2);
    assert_eq!(written(&|| remove(&engine, "a", "98")), 3);
    assert_eq!(written(&|| ()), 0);
    world.check();
}

#[test]
fn documents_that_cannot_be_kept_fail_no_append_are_told_and_come_later() {
    let world = World::default();
    let documents = Documents::on(&world.kept, 1, 0);
    let client = Arc::new(Client::sound(&world.bucket));
    let own = Arc::clone(&documents);
    let engine = Engine::open_with(client, Some(own), Settings::default()).unwrap();
    append(&engine, message("a", "1"));
    engine.sync().unwrap();
    let stats = engine.stats().unwrap();
    assert_eq!((stats.documents_seq, stats.documents_error), (Some(1), None));
    *locked(&documents.is_away) = true;
    append(&engine, message("a", "2"));
    engine.sync().unwrap();
    engine.compact().unwrap();
    *locked(&documents.is_away) = false;
    let stats = engine.stats().unwrap();
    assert_eq!(stats.documents_seq, Some(1));
    assert!(stats.documents_error.is_some_and(|error| error.contains("the documents are away")));
    let report = engine.verify().unwrap();
    assert!(report.is_sound() && report.notes[0].contains("event 1 of 2"), "{report:?}");
    engine.close().unwrap();
    world.check();
}

#[test]
fn documents_that_something_else_has_changed_are_told_and_made_anew() {
    let world = World::default();
    let engine = world.sound();
    append(&engine, message("a", "1"));
    append(&engine, message("b", "1"));
    engine.projector().catch_up().unwrap();
    {
        let mut kept = locked(&world.kept);
        kept.messages.get_mut(&("a".to_owned(), 0)).unwrap().1.content = "altered".into();
        let of_b = kept.heads["b"].clone();
        kept.heads.insert("never".to_owned(), (99, of_b.1));
    }
    let told = engine.verify().unwrap().damaged;
    assert_eq!(told.len(), 2);
    assert!(told[0].reason.contains("repair --in-place"), "{told:?}");
    let report = engine.repair_documents().unwrap();
    assert!(report.is_complete() && report.notes.len() == 2, "{report:?}");
    world.check();
}

/// They were told as damaged for as long as nobody had come to the removal.
#[test]
fn documents_that_are_still_to_go_are_no_damage_and_those_that_stayed_are() {
    let world = World::default();
    let engine = world.sound();
    append(&engine, message("a", "1"));
    append(&engine, message("b", "1"));
    engine.projector().catch_up().unwrap();
    let head = locked(&world.kept).heads["a"].clone();
    append(&engine, Mutation::new("a", Operation::RemoveConversation));
    let report = engine.verify().unwrap();
    assert!(report.is_sound() && report.notes[0].contains("event 2 of 3"), "{report:?}");
    engine.projector().catch_up().unwrap();
    world.check();
    locked(&world.kept).heads.insert("a".to_owned(), head);
    append(&engine, message("b", "2"));
    let told = engine.verify().unwrap().damaged;
    assert!(told.len() == 1 && told[0].conversation_id.as_deref() == Some("a"), "{told:?}");
}

/// The mark was raised over what could not be read, and nobody came back to it.
#[test]
fn what_could_not_be_read_is_written_once_it_can_be() {
    let world = World::default();
    let engine = world.sound();
    append(&engine, message("a", "1"));
    engine.projector().catch_up().unwrap();
    engine.compact().unwrap();
    let engine = world.sound();
    let away: Vec<_> = ["states/0000000000000001.json", "conversations/a.json"]
        .into_iter()
        .map(|name| (name, locked(&world.bucket).objects.remove(name).unwrap()))
        .collect();
    append(&engine, message("a", "2"));
    append(&engine, message("b", "1"));
    assert_eq!(engine.projector().catch_up().unwrap(), 3);
    for (name, bytes) in away {
        locked(&world.bucket).objects.insert(name.to_owned(), bytes);
    }
    engine.projector().catch_up().unwrap();
    world.check();
}

/// Of two who begin anew at the same time, the later one took away what the first had written, and nobody wrote it again.
#[test]
fn who_takes_documents_of_another_log_away_too_late_writes_them_once_more() {
    let world = World::default();
    let engine = world.sound();
    append(&engine, message("a", "1"));
    let backup = locked(&world.bucket).objects.clone();
    append(&engine, message("a", "2"));
    engine.projector().catch_up().unwrap();
    let bucket = Arc::new(Mutex::new(Bucket::of(backup)));
    let back = World { bucket, kept: Arc::clone(&world.kept) };
    let (late, other) = (Documents::on(&back.kept, 1, 0), back.sound());
    let engine = back.open(Arc::clone(&late));
    let act = move || assert_eq!(other.projector().catch_up().unwrap(), 1);
    *locked(&late.before_forgetting) = Some(Box::new(act));
    engine.projector().catch_up().unwrap();
    back.check();
}

#[test]
fn documents_of_another_store_or_of_a_log_that_has_lost_its_end_give_way() {
    let world = World::default();
    let engine = world.sound();
    append(&engine, message("a", "1"));
    let backup = locked(&world.bucket).objects.clone();
    append(&engine, message("b", "1"));
    engine.projector().catch_up().unwrap();
    let kept = Arc::clone(&world.kept);
    let other = World { bucket: Arc::new(Mutex::new(Bucket::of(backup))), kept: Arc::clone(&kept) };
    other.sound().projector().catch_up().unwrap();
    other.check();
    let new = World { kept, ..World::default() };
    let engine = new.sound();
    append(&engine, message("c", "1"));
    engine.projector().catch_up().unwrap();
    new.check();
    assert_eq!(locked(&new.kept).heads.keys().collect::<Vec<_>>(), ["c"]);
}
