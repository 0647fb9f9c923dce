//! Consumers on a bucket: given everything, in order, whoever compacts, dies or is late.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use super::backups::Killed;
use super::sim::{Bucket, Client, Interruption, Shared};
use super::world::message;
use crate::backend::Backend;
use crate::backend::cursors::HeldCursor;
use crate::backend::journal::Engine;
use crate::backend::locked::locked;
use crate::backend::settings::Settings;
use crate::clock::Clock;
use crate::error::{ErrorKind, Result};
use crate::model::{ConsumerCursor, Logged};

/// A clock that stands still until it is moved.
#[derive(Debug, Default)]
struct Moved(AtomicI64);

impl Clock for Moved {
    fn now_micros(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}

fn bucket() -> Shared {
    Arc::new(Mutex::new(Bucket::default()))
}

fn opened(bucket: &Shared, unread_bytes: u64) -> Engine {
    Engine::open(Arc::new(Client::sound(bucket)), Settings { unread_bytes, ..Settings::default() }).unwrap()
}

fn add(store: &Engine, count: u64) {
    (0..count)
        .for_each(|_| drop(store.append(vec![crate::model::Mutation::add_message("a", "text")]).unwrap()));
}

/// Begins a consumer at the oldest event, or opens it where it is.
fn held(store: &Engine, name: &str) -> (Box<dyn HeldCursor>, u64) {
    let cursors = store.cursors().unwrap();
    let mut held = cursors.hold(name).unwrap();
    let cursor = match held.read().unwrap() {
        Some(cursor) => cursor,
        None => {
            let cursor = ConsumerCursor::new(cursors.first_kept().unwrap() - 1, None);
            held.claim(cursor).unwrap();
            cursor
        }
    };
    (held, cursor.acknowledged)
}

type Rest = (Vec<u64>, Vec<(u64, u64)>);

/// The numbers of the events from one on that can be read, and the ranges of those that are gone.
fn rest(store: &Engine, from: u64) -> Result<Rest> {
    let mut follower = store.cursors()?.follow(from)?;
    let (mut seqs, mut gone) = (Vec::new(), Vec::new());
    while let Some(logged) = follower.next_logged()? {
        match logged {
            Logged::Batch { seq, events } => {
                seqs.extend((seq..).take(events.len()).filter(|seq| *seq >= from));
            }
            Logged::Compacted { first, last } => gone.push((first, last)),
        }
    }
    Ok((seqs, gone))
}

/// How many objects of the log have their events.
fn full(bucket: &Shared) -> usize {
    let bucket = locked(bucket);
    bucket.objects.iter().filter(|(name, bytes)| name.ends_with(".seg") && bytes.len() > 100).count()
}

#[test]
fn what_is_not_acknowledged_stays_through_compactions_by_anybody_and_goes_once_it_is() {
    let bucket = bucket();
    let (one, other) = (opened(&bucket, 1 << 30), opened(&bucket, 1 << 30));
    add(&one, 2);
    one.compact().unwrap();
    assert_eq!(full(&bucket), 1, "the end of the stretch: nobody consumes");
    let (mut cursor, acknowledged) = held(&one, "indexer");
    assert_eq!(acknowledged, 2);
    for _ in 0..3 {
        add(&other, 3);
        other.compact().unwrap();
        one.compact().unwrap();
    }
    assert_eq!(rest(&other, 3).unwrap(), ((3..12).collect(), vec![]));
    assert_eq!(rest(&one, 7).unwrap(), ((7..12).collect(), vec![]));
    assert_eq!(one.cursors().unwrap().first_kept().unwrap(), 3);
    let stats = other.stats().unwrap();
    assert_eq!((stats.consumers[0].acknowledged, stats.consumers[0].lag), (2, 9));
    assert!(stats.consumers[0].holder.is_some() && stats.consumers[0].missed.is_none());
    cursor.advance(ConsumerCursor::new(7, None)).unwrap();
    add(&other, 1);
    other.compact().unwrap();
    // What one compaction covered goes together.
    assert_eq!(other.cursors().unwrap().first_kept().unwrap(), 6);
    assert_eq!(rest(&other, 1).unwrap(), ((6..13).collect(), vec![(1, 5)]));
    cursor.remove().unwrap();
    drop(cursor);
    add(&one, 1);
    one.compact().unwrap();
    assert_eq!((full(&bucket), one.stats().unwrap().consumers.len()), (1, 0));
    assert!(one.verify().unwrap().is_sound());
}

#[test]
fn past_the_bound_a_consumer_is_told_what_is_gone_and_reads_what_is_not() {
    let bucket = bucket();
    let store = opened(&bucket, 40_000);
    let (_cursor, _) = held(&store, "indexer");
    for _ in 0..6 {
        add(&store, 3);
        store.compact().unwrap();
    }
    let (seqs, gone) = rest(&store, 1).unwrap();
    let first = store.cursors().unwrap().first_kept().unwrap();
    assert!(first > 4 && first < 18, "{first}");
    assert_eq!((seqs, gone), ((first..19).collect(), vec![(1, first - 1)]));
    let status = &store.stats().unwrap().consumers[0];
    assert_eq!((status.missed, status.lag), (Some((1, first - 1)), 18));
    // One compaction alone may cover more.
    let small = opened(&bucket, 10_000);
    add(&small, 8);
    small.compact().unwrap();
    assert_eq!(rest(&small, 19).unwrap(), (vec![25, 26], vec![(19, 24)]));
    assert!(small.verify().unwrap().notes[0].contains("has missed events 1 to 24"));
}

#[test]
fn one_has_a_consumer_at_a_time_and_the_late_one_acknowledges_nothing() {
    let bucket = bucket();
    let clock = Arc::new(Moved::default());
    let own = || Settings { clock: Arc::<Moved>::clone(&clock), ..Settings::default() };
    let stores = [0, 1].map(|_| Engine::open(Arc::new(Client::sound(&bucket)), own()).unwrap());
    add(&stores[0], 4);
    let (mut first, _) = held(&stores[0], "indexer");
    first.advance(ConsumerCursor::new(1, None)).unwrap();
    let hold = || stores[1].cursors().unwrap().hold("indexer");
    let refused = hold().unwrap_err();
    assert!(
        refused.kind() == ErrorKind::Locked && refused.message().contains("counts as reading for 3"),
        "{refused}"
    );
    clock.0.store(31_000_000, Ordering::SeqCst);
    let (mut second, acknowledged) = held(&stores[1], "indexer");
    assert_eq!(acknowledged, 1);
    assert_eq!(first.advance(ConsumerCursor::new(3, None)).unwrap_err().kind(), ErrorKind::Locked);
    second.advance(ConsumerCursor::new(2, None)).unwrap();
    drop(first);
    assert_eq!(second.read().unwrap().unwrap().acknowledged, 2);
    drop(second);
    // It was given up, and nobody has to wait.
    assert_eq!(held(&stores[0], "indexer").1, 2);
    let reading = Settings { is_read_only: true, ..Settings::default() };
    let reader = Engine::open(Arc::new(Client::sound(&bucket)), reading).unwrap();
    assert_eq!(reader.cursors().unwrap().hold("indexer").unwrap_err().kind(), ErrorKind::ReadOnly);
}

#[test]
fn two_that_move_one_cursor_at_once_do_not_both_move_it() {
    let bucket = bucket();
    let clock = Arc::new(Moved::default());
    let own = || Settings { clock: Arc::<Moved>::clone(&clock), ..Settings::default() };
    let other = Engine::open(Arc::new(Client::sound(&bucket)), own()).unwrap();
    add(&other, 4);
    let client = Arc::new(Client::sound(&bucket));
    let store = Engine::open(Arc::<Client>::clone(&client), own()).unwrap();
    let (mut first, _) = held(&store, "indexer");
    // Between its look at the cursor and its write, the other one takes it over and goes on.
    let act = move || {
        clock.0.store(31_000_000, Ordering::SeqCst);
        held(&other, "indexer").0.advance(ConsumerCursor::new(3, None)).unwrap();
    };
    client.interrupt_by(Interruption { verb: "replace", part: "consumers/indexer", act: Box::new(act) });
    let refused = first.advance(ConsumerCursor::new(2, None)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Locked, "{refused}");
    // Whoever reads on from a cursor that is not its own is given what the other one has acknowledged.
    assert_eq!(first.read().unwrap_err().kind(), ErrorKind::Locked);
    let kept = store.cursors().unwrap().list().unwrap();
    assert_eq!(kept[0].cursor.as_ref().unwrap().acknowledged, 3);
}

#[test]
fn of_two_that_begin_one_consumer_at_once_one_has_it_and_the_other_is_told() {
    let bucket = bucket();
    let (one, other) = (opened(&bucket, 1 << 30), opened(&bucket, 1 << 30));
    add(&one, 4);
    // Neither finds a consumer of that name, so that neither has taken one.
    let mut late = other.cursors().unwrap().hold("indexer").unwrap();
    assert!(late.read().unwrap().is_none());
    let (mut first, from) = held(&one, "indexer");
    assert_eq!(from, 0);
    first.advance(ConsumerCursor::new(3, None)).unwrap();
    drop(first);
    for refused in [late.claim(ConsumerCursor::new(0, None)).unwrap_err(), late.read().unwrap_err()] {
        assert_eq!(refused.kind(), ErrorKind::Locked, "{refused}");
        assert!(refused.to_string().contains("begin again"), "{refused}");
    }
    drop(late);
    assert_eq!(held(&other, "indexer").1, 3);
}

#[test]
fn a_compaction_that_is_killed_at_any_request_passes_over_nothing_unread() {
    let whole = bucket();
    let store = opened(&whole, 1 << 30);
    drop(held(&store, "indexer"));
    add(&store, 2);
    store.compact().unwrap();
    drop(held(&store, "late"));
    add(&store, 2);
    let mut killed = 0;
    for (at, is_after) in (1..).flat_map(|at| [(at, false), (at, true)]) {
        let bucket: Shared = Arc::new(Mutex::new(Bucket::of(locked(&whole).objects.clone())));
        let client = Arc::new(Killed::new(Client::sound(&bucket), at, is_after));
        let done = store.like(Arc::<Killed>::clone(&client)).compact();
        if client.lives() {
            done.unwrap();
            break;
        }
        killed += 1;
        let told = format!("killed at request {at}, {is_after}");
        let other = opened(&bucket, 1 << 30);
        assert_eq!(rest(&other, 1).unwrap(), ((1..5).collect(), vec![]), "{told}");
        add(&other, 1);
        other.compact().unwrap();
        assert_eq!(rest(&other, 1).unwrap(), ((1..6).collect(), vec![]), "{told}");
        for name in ["indexer", "late"] {
            held(&other, name).0.advance(ConsumerCursor::new(5, None)).unwrap();
        }
        add(&other, 1);
        other.compact().unwrap();
        assert_eq!(rest(&other, 1).unwrap(), (vec![6], vec![(1, 5)]), "{told}");
        assert!(other.verify().unwrap().is_sound(), "{told}");
    }
    assert!(killed > 60, "{killed}");
}

#[test]
fn a_consumer_that_comes_while_a_compaction_is_under_way_is_given_all_from_where_it_begins() {
    for part in ["log/CHECKPOINT", ".aral-store", "unread", "log/0000000000000001"] {
        for verb in ["create", "get", "replace"] {
            let bucket = bucket();
            let store = opened(&bucket, 1 << 30);
            add(&store, 3);
            let begun = Arc::new(Mutex::new(None));
            let (other, note) = (opened(&bucket, 1 << 30), Arc::clone(&begun));
            let act = move || *locked(&note) = Some(held(&other, "indexer").1);
            let client = Client::interrupted(&bucket, Interruption { verb, part, act: Box::new(act) });
            store.like(Arc::new(client)).compact().unwrap();
            add(&store, 2);
            store.compact().unwrap();
            let Some(acknowledged) = *locked(&begun) else { continue };
            let (seqs, gone) = rest(&store, acknowledged + 1).unwrap();
            assert_eq!((seqs, gone), ((acknowledged + 1..6).collect(), vec![]), "{verb} {part}");
        }
    }
}

#[test]
fn a_cursor_that_is_damaged_is_told_keeps_all_and_is_put_right_by_a_reset() {
    let bucket = bucket();
    let store = opened(&bucket, 1 << 30);
    drop(held(&store, "indexer"));
    add(&store, 2);
    locked(&bucket).objects.get_mut("consumers/indexer").unwrap()[30] ^= 1;
    store.compact().unwrap();
    assert_eq!(rest(&store, 1).unwrap().0, [1, 2]);
    assert!(store.stats().unwrap().consumers[0].error.as_ref().unwrap().contains("damaged"));
    assert!(store.verify().unwrap().damaged[0].reason.contains("the cursor is damaged"));
    let mut held = store.cursors().unwrap().hold("indexer").unwrap();
    assert_eq!(held.read().unwrap_err().kind(), ErrorKind::Corrupt);
    held.claim(ConsumerCursor::new(1, None)).unwrap();
    assert_eq!(store.stats().unwrap().consumers[0].acknowledged, 1);
    assert!(store.verify().unwrap().is_sound());
    store.append(vec![message("a", "3")]).unwrap();
    // What says what is kept.
    locked(&bucket).objects.get_mut("unread").unwrap()[30] ^= 1;
    assert!(store.verify().unwrap().damaged[0].reason.contains("what is kept for consumers"));
    store.compact().unwrap();
    assert_eq!(rest(&store, 2).unwrap(), (vec![3], vec![(2, 2)]));
    assert!(store.verify().unwrap().is_sound());
}
