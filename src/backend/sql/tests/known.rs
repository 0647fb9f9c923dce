//! Transactions that rely on what their writer knows from the one before, on a database that others change meanwhile.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::super::Engine;
use super::super::connection::{Connector, Purpose, Relied};
use super::faulty::{Commit, Faults};
use super::{add, events, hold, open, stranger};
use crate::backend::Backend;
use crate::backend::settings::Settings;
use crate::backend::sql::repair_in_place;
use crate::backend::sqlite::SqliteConnector;
use crate::error::ErrorKind;
use crate::model::{JsonObject, Messages, Mutation, NewAction, NewConversation, Operation};

/// An engine that takes its database for one at the other end of a network, and knows the conversation `c1`.
fn knowing(dir: &Path) -> (Arc<Engine>, Arc<Faults>) {
    let (engine, faults) = open(dir);
    faults.is_far.store(true, Ordering::SeqCst);
    for n in 0.. {
        add(&engine, "known").unwrap();
        assert!(n < 10, "nothing is relied on");
        if rightly(&faults) > 0 {
            break;
        }
    }
    (engine, faults)
}

fn rightly(faults: &Faults) -> u64 {
    faults.relied[0].load(Ordering::SeqCst)
}

fn in_vain(faults: &Faults) -> u64 {
    faults.relied[1].load(Ordering::SeqCst)
}

fn operation(operation: Operation) -> Mutation {
    Mutation::new("c1", operation)
}

#[test]
fn writers_that_take_turns_know_no_number_twice() {
    let dir = tempfile::tempdir().unwrap();
    let engines = [knowing(dir.path()), knowing(dir.path())];
    let before = events(&engines[0].0).len();
    let mut written = 0;
    for round in 0..12 {
        for (engine, _) in &engines {
            for _ in 0..=round % 6 {
                written += 1;
                assert_eq!(add(engine, "x").unwrap().seq, u64::try_from(before + written).unwrap());
            }
        }
    }
    for (engine, faults) in &engines {
        assert!(rightly(faults) > 1 && in_vain(faults) > 0, "nothing was tried");
        hold(engine);
    }
}

#[test]
fn where_writers_alternate_nothing_is_tried_in_vain() {
    let dir = tempfile::tempdir().unwrap();
    let (one, faults) = knowing(dir.path());
    let (other, _) = open(dir.path());
    let before = in_vain(&faults);
    for _ in 0..20 {
        add(&other, "the other's").unwrap();
        add(&one, "x").unwrap();
    }
    assert_eq!(in_vain(&faults) - before, 1);
    hold(&one);
}

/// An engine that has its database beside it, and knows the conversation `c1`.
fn knowing_nearby(dir: &Path) -> (Arc<Engine>, Arc<Faults>) {
    let (engine, faults) = open(dir);
    add(&engine, "known").unwrap();
    add(&engine, "known").unwrap();
    (engine, faults)
}

#[test]
fn nearby_nothing_is_asked_until_somebody_else_has_written() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, faults) = knowing_nearby(dir.path());
    let (other, _) = open(dir.path());
    let asks = || {
        let before = faults.questions.load(Ordering::SeqCst);
        add(&engine, "x").unwrap();
        faults.questions.load(Ordering::SeqCst) - before
    };
    assert_eq!([asks(), asks()], [0, 0]);
    for _ in 0..2 {
        add(&other, "the other's").unwrap();
        // The row that writers lock, and the conversation.
        assert_eq!([asks(), asks(), asks()], [2, 0, 0]);
    }
    // What is refused leaves what is known as it is.
    engine.append_one(Mutation::add_message("c1", "after").expect(99)).unwrap_err();
    assert_eq!(asks(), 0);
    hold(&engine);
}

#[test]
fn nearby_writers_that_take_turns_know_no_number_twice() {
    let dir = tempfile::tempdir().unwrap();
    let engines = [knowing_nearby(dir.path()).0, knowing_nearby(dir.path()).0];
    let mut written = 4;
    for round in 0..12 {
        for engine in &engines {
            for _ in 0..=round % 3 {
                written += 1;
                let receipt = add(engine, "x").unwrap();
                assert_eq!((receipt.seq, receipt.version), (written, written));
            }
        }
    }
    for engine in &engines {
        hold(engine);
    }
}

#[test]
fn a_known_conversation_that_somebody_changed_is_seen_as_it_is() {
    type Make = fn() -> Mutation;
    let changes: [(&str, Make); 6] = [
        ("added to", || Mutation::add_message("c1", "between")),
        ("cleared", || operation(Operation::Clear)),
        ("removed", || operation(Operation::RemoveConversation)),
        ("reset", || operation(Operation::ResetConversation(NewConversation::default()))),
        ("renamed", || operation(Operation::SetTitle("between".into()))),
        ("added to with an action", || Mutation::add_action("c1", NewAction::new("tool", JsonObject::EMPTY))),
    ];
    for ((name, change), is_far) in changes.into_iter().flat_map(|change| [(change, true), (change, false)]) {
        let dir = tempfile::tempdir().unwrap();
        let (engine, faults) = if is_far { knowing(dir.path()) } else { knowing_nearby(dir.path()) };
        let (other, _) = open(dir.path());
        other.append_one(change()).unwrap();
        let version = other.summary("c1").unwrap().map_or(0, |summary| summary.version);
        let count = other.summary("c1").unwrap().map_or(0, |summary| summary.messages);
        let receipt = add(&engine, "after").unwrap();
        assert_eq!(receipt.version, version + 1, "{name}");
        assert_eq!(other.summary("c1").unwrap().unwrap().messages, count + 1, "{name}");
        assert_eq!(in_vain(&faults), u64::from(is_far), "{name}");
        hold(&engine);
    }
}

#[test]
fn what_is_refused_is_refused_for_what_is_so() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, _) = knowing(dir.path());
    let (other, _) = open(dir.path());
    let known = add(&engine, "known").unwrap().version;
    add(&other, "between").unwrap();
    let expecting = |version| Mutation::add_message("c1", "after").expect(version);
    // By what is known this would not fit.
    assert_eq!(engine.append_one(expecting(known + 1)).unwrap().version, known + 2);
    (0..5).for_each(|_| drop(add(&engine, "known").unwrap()));
    let known = add(&engine, "known").unwrap().version;
    add(&other, "between").unwrap();
    // And this would.
    assert_eq!(engine.append_one(expecting(known)).unwrap_err().kind(), ErrorKind::Conflict);
    hold(&engine);
}

#[test]
fn a_schema_that_newer_software_brought_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, _) = knowing(dir.path());
    stranger(dir.path()).execute_batch("UPDATE aral_meta SET schema_version = schema_version + 1").unwrap();
    assert_eq!(add(&engine, "misplaced").unwrap_err().kind(), ErrorKind::UnsupportedFormat);
    stranger(dir.path()).execute_batch("UPDATE aral_meta SET schema_version = schema_version - 1").unwrap();
    add(&engine, "again").unwrap();
    hold(&engine);
}

#[test]
fn tables_that_were_changed_without_an_event_are_not_taken_for_those_that_are_known() {
    for change in ["syncs = syncs + 1", "store_id = 'another store in its place'"] {
        let dir = tempfile::tempdir().unwrap();
        let (engine, _) = knowing(dir.path());
        stranger(dir.path())
            .execute_batch(&format!(
                "DELETE FROM aral_message_rows; UPDATE aral_conversation_rows SET messages = 0; UPDATE aral_meta SET {change}"
            ))
            .unwrap();
        add(&engine, "after").unwrap();
        let sql = "SELECT place FROM aral_message_rows";
        let place: i64 = stranger(dir.path()).query_row(sql, (), |row| row.get(0)).unwrap();
        assert_eq!(place, 0, "{change}");
    }
}

#[test]
fn a_repair_beside_a_writer_is_not_written_over_by_what_the_writer_knows() {
    let dir = tempfile::tempdir().unwrap();
    add(&open(dir.path()).0, "before").unwrap();
    stranger(dir.path()).execute_batch("UPDATE aral_conversation_rows SET messages = messages + 70").unwrap();
    let (engine, _) = knowing(dir.path());
    let settings = Settings::default();
    let connector = SqliteConnector::new(&dir.path().join("store.db"), &settings);
    assert!(!repair_in_place(&connector, &settings).unwrap().notes.is_empty());
    add(&engine, "after").unwrap();
    hold(&engine);
}

#[test]
fn a_trip_that_is_cut_off_happens_once_or_is_begun_anew() {
    for fault in [Commit::Lost, Commit::Unanswered, Commit::Overtaken] {
        let dir = tempfile::tempdir().unwrap();
        let (engine, faults) = knowing(dir.path());
        let (other, _) = open(dir.path());
        let before = events(&engine).len();
        *faults.next_commit.lock().unwrap() = Some(fault);
        *faults.meanwhile.lock().unwrap() = Some(Box::new(move || drop(add(&other, "the other's").unwrap())));
        let seq = add(&engine, "cut off").unwrap().seq;
        let written = 1 + usize::from(fault == Commit::Overtaken);
        assert_eq!(events(&engine).len(), before + written, "{fault:?}");
        assert_eq!(seq, u64::try_from(before + written).unwrap(), "{fault:?}");
        let last = engine.messages("c1", &Messages::last(1)).unwrap();
        assert_eq!(last[0].content, "cut off", "{fault:?}");
        hold(&engine);
    }
}

#[test]
fn a_trip_that_was_said_to_have_failed_does_not_arrive_later() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, faults) = knowing(dir.path());
    let before = events(&engine).len();
    *faults.next_commit.lock().unwrap() = Some(Commit::Adrift);
    // What is begun anew fails as well, so that the caller hears that nothing happened.
    *faults.refused.lock().unwrap() = Some("late".to_owned());
    add(&engine, "late").unwrap_err();
    let late = std::mem::take(&mut *faults.late.lock().unwrap());
    assert!(late.len() > 1, "nothing is on its way");
    let connector = SqliteConnector::new(&dir.path().join("store.db"), &Settings::default());
    let mut connection = connector.connect(Purpose::Write).unwrap();
    assert_eq!(connection.transact(&late[0], &late[1..]).unwrap(), Relied::InVain);
    assert_eq!(events(&engine).len(), before);
    hold(&engine);
}

#[test]
fn a_conversation_that_its_writer_removed_begins_anew() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, faults) = knowing(dir.path());
    let before = rightly(&faults);
    engine.append_one(operation(Operation::RemoveConversation)).unwrap();
    assert_eq!(add(&engine, "anew").unwrap().version, 1);
    assert_eq!(rightly(&faults), before, "what is not known is asked for");
    assert_eq!(add(&engine, "more").unwrap().version, 2);
    assert_eq!(rightly(&faults), before + 1, "and known from then on");
    hold(&engine);
}
