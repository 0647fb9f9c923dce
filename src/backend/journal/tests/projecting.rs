//! Documents that people query, kept beside the log by several processes whose requests go wrong.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use super::beside_memory::mutation;
use super::sim::{Bucket, Client, Numbers, Shared};
use super::world::message;
use crate::backend::Backend;
use crate::backend::journal::Engine;
use crate::backend::journal::objects::{Answer, Trouble, Version};
use crate::backend::journal::projection::{Changed, Head, Mark, Projection};
use crate::backend::locked::locked;
use crate::backend::settings::Settings;
use crate::codec::segment::StoreId;
use crate::error::{Error, ErrorKind};
use crate::model::{Action, Message, Mutation, Operation, Seq};

type Items<T> = BTreeMap<(String, u64), (Seq, T)>;

/// Documents in memory, each of which is written by itself.
#[derive(Debug, Default)]
struct Kept {
    mark: Option<Mark>,
    heads: BTreeMap<String, (Seq, Head)>,
    messages: Items<Message>,
    actions: Items<Action>,
    /// How many documents were written.
    writes: usize,
}

/// What one process writes them by.
struct Documents {
    kept: Arc<Mutex<Kept>>,
    numbers: Mutex<Numbers>,
    /// How many requests in a thousand go wrong, before they take effect or after.
    per_mille: usize,
    /// What happens before the next writing takes effect.
    before: Mutex<Option<Box<dyn FnOnce() + Send>>>,
    is_away: Mutex<bool>,
}

impl std::fmt::Debug for Documents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Documents")
    }
}

impl Documents {
    fn on(kept: &Arc<Mutex<Kept>>, seed: u64, per_mille: usize) -> Arc<Self> {
        Arc::new(Self {
            kept: Arc::clone(kept),
            numbers: Mutex::new(Numbers::new(seed)),
            per_mille,
            before: Mutex::default(),
            is_away: Mutex::default(),
        })
    }

    fn lost() -> Trouble {
        Trouble::Open(Error::new(ErrorKind::Io, "no answer"))
    }

    /// Carries a request out; it may go wrong on either side of it.
    fn ask<T>(&self, act: impl FnOnce(&mut Kept) -> T) -> Answer<T> {
        if *locked(&self.is_away) {
            return Err(Trouble::Final(Error::new(ErrorKind::Io, "the documents are away")));
        }
        let goes_wrong = |documents: &Self| locked(&documents.numbers).next(1000) < documents.per_mille;
        if goes_wrong(self) {
            return Err(Self::lost());
        }
        let value = act(&mut locked(&self.kept));
        if goes_wrong(self) { Err(Self::lost()) } else { Ok(value) }
    }
}

fn cut<T>(items: &mut Items<T>, id: &str, len: u64, as_of: Seq) {
    items.retain(|(of, place), (seq, _)| of != id || *place < len || *seq > as_of);
}

fn lay<T: Clone>(items: &mut Items<T>, id: &str, as_of: Seq, new: &[(u64, T)]) {
    for (place, item) in new {
        let there = items.entry((id.to_owned(), *place)).or_insert_with(|| (as_of, item.clone()));
        if there.0 < as_of {
            *there = (as_of, item.clone());
        }
    }
}

impl Kept {
    fn put(&mut self, changed: &Changed) {
        let (id, as_of) = (&changed.id, changed.as_of);
        self.writes += 1 + changed.messages.len() + changed.actions.len();
        lay(&mut self.messages, id, as_of, &changed.messages);
        lay(&mut self.actions, id, as_of, &changed.actions);
        let (messages, actions) = match &changed.head {
            Some(head) => {
                let there = self.heads.entry(id.clone()).or_insert_with(|| (as_of, head.clone()));
                if there.0 < as_of {
                    *there = (as_of, head.clone());
                }
                (head.summary.messages, head.summary.actions)
            }
            None => {
                self.heads.retain(|of, (seq, _)| of != id || *seq > as_of);
                (0, 0)
            }
        };
        if changed.is_cut {
            cut(&mut self.messages, id, messages, as_of);
            cut(&mut self.actions, id, actions, as_of);
        }
    }
}

impl Projection for Documents {
    fn mark(&self) -> Answer<Option<Mark>> {
        self.ask(|kept| kept.mark.clone())
    }

    fn set_mark(&self, read: Option<&Mark>, store_id: StoreId, seq: Seq) -> Answer<Option<Mark>> {
        self.ask(|kept| {
            if kept.mark.as_ref() != read {
                return None;
            }
            let version = read.map_or(0, |mark| mark.version.0.parse::<u64>().unwrap()) + 1;
            kept.mark = Some(Mark { store_id, seq, version: Version(version.to_string()) });
            kept.mark.clone()
        })
    }

    fn put(&self, mark: &Mark, changes: &[Changed]) -> Answer<Option<Mark>> {
        if let Some(act) = locked(&self.before).take() {
            act();
        }
        // Each by itself, so that a part of them is there when the rest gets lost.
        for changed in changes {
            self.ask(|kept| kept.put(changed))?;
        }
        Ok(Some(mark.clone()))
    }

    fn ids(&self, behind: Option<&str>) -> Answer<Vec<String>> {
        self.ask(|kept| {
            let all = kept.heads.keys().chain(kept.messages.keys().map(|(id, _)| id));
            let mut ids: Vec<String> = all.chain(kept.actions.keys().map(|(id, _)| id)).cloned().collect();
            ids.sort_unstable();
            ids.dedup();
            ids.into_iter().filter(|id| behind.is_none_or(|behind| id.as_str() > behind)).take(3).collect()
        })
    }

    fn differences(&self, whole: &Changed) -> Answer<Vec<String>> {
        self.ask(|kept| {
            let of = |(id, _): &(String, u64)| *id == whole.id;
            let items = |items: &Items<Message>| {
                let own = items.iter().filter(|(key, _)| of(key));
                own.map(|((_, place), (_, item))| (*place, item.clone())).collect::<Vec<_>>()
            };
            let actions = kept.actions.iter().filter(|(key, _)| of(key));
            let actions: Vec<_> = actions.map(|((_, place), (_, action))| (*place, action.clone())).collect();
            let mut found = Vec::new();
            if kept.heads.get(&whole.id).map(|(_, head)| head) != whole.head.as_ref() {
                found.push("the conversation is another one".to_owned());
            }
            if items(&kept.messages) != whole.messages || actions != whole.actions {
                found.push("what it holds is something else".to_owned());
            }
            found
        })
    }

    fn forget(&self, id: &str) -> Answer<()> {
        self.ask(|kept| {
            kept.heads.remove(id);
            kept.messages.retain(|(of, _), _| of != id);
            kept.actions.retain(|(of, _), _| of != id);
        })
    }
}

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
