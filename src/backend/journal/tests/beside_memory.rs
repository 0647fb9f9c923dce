//! Mutations of every kind, drawn, on a bucket and in memory: what comes of them is the same.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use super::sim::{Bucket, Client, Faults, Numbers, Shared};
use crate::backend::Backend;
use crate::backend::journal::Engine;
use crate::backend::memory::Memory;
use crate::backend::settings::Settings;
use crate::clock::{Clock, IdSource};
use crate::model::{
    ActionEdit, Edit, JsonObject, Messages, Mutation, NewAction, NewConversation, NewMessage, Operation,
    Order, UniqueIds,
};

/// A clock and a source of ids that give the same to everybody who asks as often.
#[derive(Debug, Default)]
struct Counted(AtomicU64);

impl Clock for Counted {
    fn now_micros(&self) -> i64 {
        i64::try_from(self.0.fetch_add(1, Ordering::SeqCst)).unwrap() + 1_700_000_000_000_000
    }
}

impl IdSource for Counted {
    fn new_id(&self) -> String {
        format!("id{}", self.0.fetch_add(1, Ordering::SeqCst))
    }
}

fn settings() -> Settings {
    Settings { clock: Arc::new(Counted::default()), ids: Arc::new(Counted::default()), ..Settings::default() }
}

fn object(numbers: &mut Numbers) -> JsonObject {
    let texts = ["{}", r#"{"n":NaN,"b":100000000000000000000}"#, r#"{"z":1,"a":1.0,"s":"\ud800\u0000"}"#];
    JsonObject::parse(texts[numbers.next(texts.len())]).unwrap()
}

pub(super) fn mutation(numbers: &mut Numbers) -> Mutation {
    let ids = ["a", "A", "a ", "b/c", "%"];
    let conversation = ids[numbers.next(ids.len())];
    let item = format!("m{}", numbers.next(6));
    let operation = match numbers.next(20) {
        0 => Operation::CreateConversation(NewConversation::new().title("T").metadata(object(numbers))),
        1 => Operation::ResetConversation(NewConversation::new().metadata(object(numbers))),
        2 => Operation::SetTitle(["", "new"][numbers.next(2)].into()),
        3 => Operation::SetMetadata(object(numbers)),
        4 => Operation::SetExtra(JsonObject::parse(r#"{"x":[1]}"#).unwrap()),
        5 => Operation::EditMessage { message_id: item.as_str().into(), edit: Edit::content("edited") },
        6 => Operation::RemoveMessage(item.as_str().into()),
        7 => Operation::AddAction(NewAction::new("call", object(numbers)).id(item)),
        8 => Operation::EditAction { action_id: item.as_str().into(), edit: ActionEdit::default() },
        9 => Operation::RemoveAction(item.as_str().into()),
        10 => Operation::Clear,
        11 => Operation::RemoveConversation,
        12 => Operation::SetVersion(u64::try_from(numbers.next(60)).unwrap()),
        _ => Operation::AddMessage(
            NewMessage::new(format!("text {}", numbers.next(1000))).id(item).metadata(object(numbers)),
        ),
    };
    let mut mutation = Mutation::new(conversation, operation);
    if numbers.next(5) == 0 {
        mutation = mutation.key(format!("k{}", numbers.next(12)));
    }
    if numbers.next(8) == 0 {
        mutation = mutation.expect(u64::try_from(numbers.next(6)).unwrap());
    }
    let rules = [UniqueIds::Off, UniqueIds::Off, UniqueIds::Refuse, UniqueIds::Existing];
    mutation.unique_ids(rules[numbers.next(rules.len())])
}

fn compare(bucket: &dyn Backend, memory: &dyn Backend) {
    for order in [Order::Created, Order::Activity] {
        assert_eq!(bucket.conversations(order, None).unwrap(), memory.conversations(order, None).unwrap());
    }
    assert_eq!(bucket.tombstones().unwrap(), memory.tombstones().unwrap());
    for summary in memory.conversations(Order::Created, None).unwrap() {
        let id = &summary.id;
        assert_eq!(bucket.conversation(id).unwrap(), memory.conversation(id).unwrap());
        assert_eq!(bucket.summary(id).unwrap().as_ref(), Some(&summary));
        let two = Messages::last(2);
        assert_eq!(bucket.messages(id, &two).unwrap(), memory.messages(id, &two).unwrap());
    }
    let (is, ought) = (bucket.stats().unwrap(), memory.stats().unwrap());
    assert_eq!(
        (is.conversations, is.messages, is.last_seq),
        (ought.conversations, ought.messages, ought.last_seq)
    );
}

fn run(seed: u64) {
    let mut numbers = Numbers::new(seed);
    let bucket: Shared = Arc::new(Mutex::new(Bucket::default()));
    let faults = Faults { per_mille: [0, 30][numbers.next(2)] };
    let client = |seed| Client::patient(&bucket, seed, faults);
    let (clock, ids) = (Arc::new(Counted::default()), settings().ids);
    let own =
        || Settings { clock: Arc::<Counted>::clone(&clock), ids: Arc::clone(&ids), ..Settings::default() };
    let memory = Memory::new(settings());
    // Two processes, of which one at a time does something.
    let mut engines: Vec<Engine> =
        (0..2).map(|n| Engine::open(Arc::new(client(n)), own()).unwrap()).collect();
    for step in 0..60 {
        let at = numbers.next(2);
        match numbers.next(12) {
            0 => {
                // What it asks the clock for is none of memory's.
                let time = clock.0.load(Ordering::SeqCst);
                engines[at].compact().unwrap();
                clock.0.store(time, Ordering::SeqCst);
            }
            1 => engines[at] = Engine::open(Arc::new(client(seed + step)), own()).unwrap(),
            2 => {
                // So is what it asks for whether a consumer is being read.
                let time = clock.0.load(Ordering::SeqCst);
                compare(&engines[at], &memory);
                clock.0.store(time, Ordering::SeqCst);
            }
            _ => {
                let batch: Vec<Mutation> = (0..=numbers.next(3)).map(|_| mutation(&mut numbers)).collect();
                let (is, ought) = (engines[at].append(batch.clone()), memory.append(batch.clone()));
                match (is, ought) {
                    (Ok(is), Ok(ought)) => {
                        let parts = |receipts: Vec<crate::model::Receipt>| {
                            receipts
                                .into_iter()
                                .map(|r| (r.seq, r.conversation_id, r.id, r.version))
                                .collect::<Vec<_>>()
                        };
                        assert_eq!(parts(is), parts(ought), "{batch:?}");
                    }
                    (Err(is), Err(ought)) => {
                        assert_eq!((is.kind(), is.message()), (ought.kind(), ought.message()), "{batch:?}");
                    }
                    (is, ought) => panic!("{batch:?}: {is:?} and not {ought:?}"),
                }
            }
        }
    }
    for engine in &engines {
        compare(engine, &memory);
    }
    assert!(engines[0].verify().unwrap().is_sound());
}

#[test]
fn the_events_of_another_store_are_carried_out_as_they_are() {
    for seed in 0..super::schedules::scaled(50) {
        let mut numbers = Numbers::new(seed);
        let bucket = || Arc::new(Client::sound(&Arc::new(Mutex::new(Bucket::default()))));
        let from = Engine::open(bucket(), settings()).unwrap();
        let memory = Memory::new(settings());
        for _ in 0..40 {
            let batch = vec![mutation(&mut numbers), mutation(&mut numbers)];
            assert_eq!(from.append(batch.clone()).is_ok(), memory.append(batch).is_ok());
        }
        let to = Engine::open(bucket(), settings()).unwrap();
        for (seq, events) in from.events(1).unwrap() {
            to.replay(events, seq).unwrap();
        }
        compare(&to, &memory);
    }
}

#[test]
fn a_bucket_answers_like_memory_whatever_is_done() {
    for seed in 0..super::schedules::scaled(400) {
        std::panic::catch_unwind(|| run(seed)).unwrap_or_else(|_| panic!("seed {seed}"));
    }
}
