//! Commits: what callers hear of them, what they share, and the order in which they are seen.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::super::connection::Connector;
use super::super::queue::Queue;
use super::super::writer::Writer;
use super::faulty::Commit;
use super::{add, events, hold, open, stranger};
use crate::backend::Backend;
use crate::backend::settings::Settings;
use crate::backend::sqlite::SqliteConnector;
use crate::error::ErrorKind;
use crate::model::{Edit, Logged, Messages, Mutation, NewMessage, Operation};
use crate::rules::{Request, normalize};

#[test]
fn a_commit_whose_answer_is_lost_is_reported_as_it_went() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, faults) = open(dir.path());
    add(&engine, "before").unwrap();
    *faults.next_commit.lock().unwrap() = Some(Commit::Unanswered);
    assert_eq!(add(&engine, "carried out").unwrap().seq, 2);
    assert_eq!(events(&engine).len(), 2, "nothing is written twice");
    *faults.next_commit.lock().unwrap() = Some(Commit::Lost);
    assert_eq!(add(&engine, "not carried out").unwrap_err().kind(), ErrorKind::Io);
    assert_eq!(events(&engine).len(), 2, "what is reported as failed did not happen");
    assert_eq!(add(&engine, "after").unwrap().seq, 3);
    hold(&engine);
}

#[test]
fn a_commit_that_was_found_to_have_taken_place_is_told_to_those_who_listen() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, faults) = open(dir.path());
    let rings = || faults.rings.load(Ordering::SeqCst);
    for (commit, is_told) in [(Commit::Unanswered, 1), (Commit::Lost, 0)] {
        let before = rings();
        *faults.next_commit.lock().unwrap() = Some(commit);
        // Whether they can be told changes nothing about what took place.
        assert_eq!(add(&engine, "x").is_ok(), is_told == 1, "{commit:?}");
        assert_eq!(rings() - before, is_told, "{commit:?}");
    }
    hold(&engine);
}

#[test]
fn those_who_share_a_transaction_take_two_round_trips_more_for_each_further_reading() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, faults) = open(dir.path());
    faults.has_no_mark.store(true, Ordering::SeqCst);
    let settings = Settings::default();
    let request = |mutation| vec![normalize(mutation, &*settings.clock, &*settings.ids).unwrap()];
    let message = |id: &str| Mutation::add_message("c1", NewMessage::new("x").id(id));
    let edit = |id: &str| {
        let edit = Edit::content("edited");
        request(Mutation::new("c1", Operation::EditMessage { message_id: id.into(), edit }))
    };
    let trips = |batches: &[Vec<Request>]| {
        let before = faults.trips.load(Ordering::SeqCst);
        let batches: Vec<&[Request]> = batches.iter().map(Vec::as_slice).collect();
        let outcomes = engine.queue.with_writer(|writer| writer.carry_out(&batches));
        assert!(outcomes.iter().all(Result::is_ok) && outcomes.len() == batches.len());
        faults.trips.load(Ordering::SeqCst) - before
    };
    let many =
        |count: usize| (0..count).map(|_| request(Mutation::add_message("c1", "x"))).collect::<Vec<_>>();
    assert_eq!(trips(&[request(message("a"))]), 2, "one alone");
    assert_eq!(trips(&many(64)), 2, "64 together");
    assert_eq!(trips(&many(65)), 4, "one more");
    assert_eq!(trips(&many(129)), 6, "64 more");
    assert_eq!(trips(&[edit("a")]), 2, "an edit of what was there before");
    let other = Mutation::add_message("c2", "x");
    assert_eq!(trips(&[edit("a"), request(other)]), 2, "and something in another conversation");
    assert_eq!(trips(&[request(message("b")), edit("b")]), 4, "an edit of what another one has added");
    assert_eq!(trips(&[edit("a"), many(1).remove(0), many(1).remove(0)]), 4, "others behind an edit");
    assert_eq!(trips(&[edit("a"), edit("a"), edit("a")]), 6, "edits behind one another");
    hold(&engine);
}

#[test]
fn a_key_whose_row_is_damaged_is_told_as_that() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, _) = open(dir.path());
    let keyed = || Mutation::add_message("c1", "once").key("k1");
    engine.append_one(keyed()).unwrap();
    stranger(dir.path()).execute_batch("UPDATE aral_keys SET fingerprint = 5000000000").unwrap();
    let error = engine.append_one(keyed()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
}

#[test]
fn a_commit_that_the_database_carries_out_late_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, faults) = open(dir.path());
    add(&engine, "before").unwrap();
    *faults.next_commit.lock().unwrap() = Some(Commit::Late);
    assert_eq!(add(&engine, "carried out late").unwrap().seq, 2);
    assert_eq!(add(&engine, "after").unwrap().seq, 3);
    assert_eq!(events(&engine).len(), 3, "nothing is written twice");
    hold(&engine);
}

#[test]
fn another_transaction_in_the_same_place_is_not_taken_for_the_lost_one() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, faults) = open(dir.path());
    let (other, _) = open(dir.path());
    *faults.next_commit.lock().unwrap() = Some(Commit::Overtaken);
    *faults.meanwhile.lock().unwrap() =
        Some(Box::new(move || assert_eq!(add(&other, "the other's").unwrap().seq, 1)));
    assert_eq!(add(&engine, "lost").unwrap_err().kind(), ErrorKind::Io);
    assert_eq!(events(&engine).len(), 1);
    assert_eq!(add(&engine, "after").unwrap().seq, 2);
    hold(&engine);
}

#[test]
fn only_where_nobody_answers_is_the_outcome_said_to_be_open_and_the_key_settles_it() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, faults) = open(dir.path());
    // Who waits for less than nothing waits for one try.
    engine.queue.with_writer(|writer| writer.set_patience(std::time::Duration::ZERO));
    let keyed = || Mutation::add_message("c1", "once").key("k1");
    engine.append_one(Mutation::add_message("c1", "before")).unwrap();
    *faults.next_commit.lock().unwrap() = Some(Commit::Unanswered);
    faults.is_away.store(true, Ordering::SeqCst);
    let error = engine.append_one(keyed()).unwrap_err();
    assert!(error.message().contains("same key"), "{error}");
    faults.is_away.store(false, Ordering::SeqCst);
    assert_eq!(engine.append_one(keyed()).unwrap().seq, 2);
    assert_eq!(events(&engine).len(), 2);
    hold(&engine);
}

/// Lets so many threads append while nobody gets the lock, and calls once all of them wait.
fn crowd(
    engine: &Arc<super::Engine>,
    dir: &std::path::Path,
    threads: u64,
    of: impl Fn(u64) -> Mutation + Sync,
) -> Vec<bool> {
    let blocker = stranger(dir);
    blocker.execute_batch("BEGIN IMMEDIATE").unwrap();
    std::thread::scope(|scope| {
        let call = |n| {
            let of = &of;
            scope.spawn(move || engine.append_one(of(n)).is_ok())
        };
        let wait_for = |waiting| {
            while engine.queue.waiting() != Some(waiting) {
                std::thread::yield_now();
            }
        };
        // The first one leads, and waits for the lock; the others wait for it.
        let mut callers = vec![call(0)];
        wait_for(0);
        callers.extend((1..threads).map(call));
        wait_for(usize::try_from(threads).unwrap() - 1);
        blocker.execute_batch("ROLLBACK").unwrap();
        callers.into_iter().map(|caller| caller.join().unwrap()).collect()
    })
}

#[test]
fn callers_that_wait_for_a_slow_writer_share_the_next_transaction() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, faults) = open(dir.path());
    let before = faults.commits.load(Ordering::SeqCst);
    let done =
        crowd(&engine, dir.path(), 32, |n| Mutation::add_message("c1", NewMessage::new(n.to_string())));
    assert!(done.into_iter().all(|done| done));
    // The leader had taken its own batch before it began to wait.
    assert_eq!(faults.commits.load(Ordering::SeqCst) - before, 2);
    assert_eq!(engine.messages("c1", &Messages::all()).unwrap().len(), 32);
    hold(&engine);
}

#[test]
fn of_those_who_share_a_transaction_each_is_refused_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, faults) = open(dir.path());
    add(&engine, "begun").unwrap();
    let before = faults.commits.load(Ordering::SeqCst);
    let done = crowd(&engine, dir.path(), 30, |n| match n % 3 {
        0 => Mutation::add_message("c1", "fine"),
        1 => Mutation::new("nowhere", Operation::Clear),
        _ => Mutation::add_message("c1", "the same").key("k1"),
    });
    assert_eq!(done.iter().filter(|done| **done).count(), 20);
    assert!(faults.commits.load(Ordering::SeqCst) - before <= 2);
    // Ten that are fine, one of those with the key, and the beginning.
    assert_eq!(events(&engine).len(), 12);
    hold(&engine);
}

#[test]
fn a_batch_that_the_database_refuses_takes_nobody_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, faults) = open(dir.path());
    *faults.refused.lock().unwrap() = Some("poison".to_owned());
    let done = crowd(&engine, dir.path(), 10, |n| {
        Mutation::add_message("c1", if n == 5 { "poison".to_owned() } else { n.to_string() })
    });
    assert_eq!(done.iter().filter(|done| !**done).count(), 1);
    assert_eq!(events(&engine).len(), 9);
    hold(&engine);
}

#[test]
fn a_follower_sees_every_event_once_and_in_order_whoever_writes() {
    let dir = tempfile::tempdir().unwrap();
    let engines = [open(dir.path()).0, open(dir.path()).0];
    let mut follower = open(dir.path()).0.follow(1).unwrap();
    let (engines, append) = (&engines, |engine: &super::Engine| {
        (0..25).for_each(|n: i32| drop(add(engine, &n.to_string()).unwrap()));
    });
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..8).map(|n| scope.spawn(move || append(&engines[n % 2]))).collect();
        let mut next = 1;
        while next <= 200 {
            // Order: before the look, so that what they wrote last is seen by it.
            let are_done = writers.iter().all(std::thread::ScopedJoinHandle::is_finished);
            let Some(Logged::Batch { seq, events }) = follower.next_logged().unwrap() else {
                assert!(!are_done, "event {next} never came");
                std::thread::yield_now();
                continue;
            };
            assert_eq!(seq, next, "an event came before one with a lower number");
            next += u64::try_from(events.len()).unwrap();
        }
    });
    hold(&engines[0]);
}

#[test]
fn a_caller_whose_turn_does_not_come_in_time_goes_and_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    let connector: Arc<dyn Connector> =
        Arc::new(SqliteConnector::new(&dir.path().join("store.db"), &Settings::default()));
    let writer = Writer::new(connector, std::time::Duration::from_secs(30));
    let queue = Queue::new(writer, std::time::Duration::from_millis(20));
    let add = || {
        let settings = Settings::default();
        normalize(Mutation::add_message("c1", "x"), &*settings.clock, &*settings.ids).unwrap()
    };
    let blocker = stranger(dir.path());
    blocker.execute_batch("BEGIN IMMEDIATE").unwrap();
    std::thread::scope(|scope| {
        let leader = scope.spawn(|| queue.carry_out(vec![add()]).1.is_ok());
        while queue.waiting() != Some(0) {
            std::thread::yield_now();
        }
        let (batch, outcome) = queue.carry_out(vec![add()]);
        assert_eq!((batch.len(), outcome.unwrap_err().kind()), (1, ErrorKind::Locked));
        assert!(!leader.is_finished(), "the leader waits for the database");
        blocker.execute_batch("ROLLBACK").unwrap();
        assert!(leader.join().unwrap(), "whose batch has been begun is told what came of it");
    });
    assert!(queue.carry_out(vec![add()]).1.is_ok());
    assert_eq!(events(&open(dir.path()).0).len(), 2);
}

#[test]
fn a_reading_whose_connections_break_is_begun_again_and_not_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, faults) = open(dir.path());
    add(&engine, "one").unwrap();
    for (broken, is_read) in [(1, true), (2, true), (3, true), (10, false)] {
        faults.broken_reads.store(broken, Ordering::SeqCst);
        assert_eq!(engine.conversation("c1").is_ok(), is_read, "{broken} connections break");
    }
}
