//! The index for searching: wherever it stands, and whatever became of it, nothing is hidden.

use std::path::Path;
use std::sync::atomic::Ordering;

use super::super::connection::{Connector, Purpose};
use super::super::search_index::{Standing, catch_up, watermark};
use super::{Engine, add, hold, open, stranger, try_open};
use crate::backend::Backend;
use crate::backend::settings::Settings;
use crate::backend::sqlite::SqliteConnector;
use crate::model::{Edit, Mutation, Operation, Search};

fn connector(dir: &Path) -> SqliteConnector {
    SqliteConnector::new(&dir.join("store.db"), &Settings::default())
}

fn indexed(dir: &Path) -> Option<u64> {
    let connector = connector(dir);
    let mut connection = connector.connect(Purpose::Read).unwrap();
    watermark(&mut *connection, connector.dialect()).unwrap().map(|watermark| watermark.indexed_seq)
}

fn count(engine: &Engine, query: &str) -> usize {
    engine.search(&Search::new(query)).unwrap().len()
}

fn fill(engine: &Engine, count: usize) {
    engine.append((0..count).map(|n| Mutation::add_message("c1", format!("rain {n}"))).collect()).unwrap();
}

#[test]
fn an_index_catches_up_when_it_is_worth_a_transaction_and_not_before() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, faults) = open(dir.path());
    fill(&engine, 50);
    assert_eq!((count(&engine, "rain"), indexed(dir.path())), (50, None));
    fill(&engine, 49);
    assert_eq!((count(&engine, "rain"), indexed(dir.path())), (99, None));
    fill(&engine, 1);
    assert_eq!((count(&engine, "rain"), indexed(dir.path())), (100, Some(100)), "a hundred are enough");
    fill(&engine, 1450);
    let before = faults.commits.load(Ordering::SeqCst);
    assert_eq!((count(&engine, "rain"), indexed(dir.path())), (1550, Some(1550)));
    // Each transaction takes a part of it.
    assert_eq!(faults.commits.load(Ordering::SeqCst) - before, 3);
    fill(&engine, 10);
    assert_eq!((count(&engine, "rain"), indexed(dir.path())), (1560, Some(1550)));
    hold(&engine);
}

#[test]
fn a_search_looks_once_how_far_the_index_has_come() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, faults) = open(dir.path());
    fill(&engine, 200);
    assert_eq!(count(&engine, "rain"), 200);
    fill(&engine, 3);
    let before = faults.questions.load(Ordering::SeqCst);
    assert_eq!(engine.search(&Search::new("rain").limit(5)).unwrap().len(), 5);
    // The newest number, whether there is an index, how far it has come, what is stale in it, and the search itself.
    assert_eq!(faults.questions.load(Ordering::SeqCst) - before, 5);
}

#[test]
fn a_search_for_everything_asks_few_times_however_much_there_is() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, _) = open(dir.path());
    add(&engine, "rain 0").unwrap();
    // By hand, which is faster, and not into the index, which is left out then.
    stranger(dir.path())
        .execute_batch(
            "WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 21000) \
             INSERT INTO aral_message_rows (seq, conversation, place, id, role, created_at, created_micros, content, metadata) \
             SELECT i, 1, i - 1, 'm' || i, 'user', '2025-03-14T09:00:00', i, 'rain', '{}' FROM n",
        )
        .unwrap();
    let (reader, faults) = try_open(dir.path(), Settings { is_read_only: true, ..Settings::default() });
    let reader = reader.unwrap();
    for (limit, found, most) in [(None, 21_000, 6), (Some(5), 5, 1)] {
        let before = faults.questions.load(Ordering::SeqCst);
        let search = Search { limit, ..Search::new("rain").conversation("c1") };
        assert_eq!(reader.search(&search).unwrap().len(), found);
        // Besides, the newest number, whether there is an index, how far it has come, and the conversation.
        let asked = faults.questions.load(Ordering::SeqCst) - before - 4;
        assert!(asked <= most, "{asked} questions for {found} messages");
    }
}

#[test]
fn what_was_edited_or_removed_since_is_found_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, _) = open(dir.path());
    fill(&engine, 200);
    catch_up(&connector(dir.path())).unwrap();
    let ids: Vec<_> =
        engine.conversation("c1").unwrap().unwrap().messages.into_iter().map(|m| m.id).collect();
    let edit = |id: &crate::model::Text, content: &str| {
        let edit = Operation::EditMessage { message_id: id.clone(), edit: Edit::content(content) };
        engine.append_one(Mutation::new("c1", edit)).unwrap();
    };
    edit(&ids[0], "snow at last");
    edit(&ids[1], "snow again");
    engine.append_one(Mutation::new("c1", Operation::RemoveMessage(ids[2].clone()))).unwrap();
    engine.append_one(Mutation::new("c1", Operation::RemoveMessage(ids[1].clone()))).unwrap();
    for _ in 0..2 {
        assert_eq!((count(&engine, "snow"), count(&engine, "rain")), (1, 197));
        catch_up(&connector(dir.path())).unwrap();
    }
    let left = "SELECT (SELECT COUNT(*) FROM aral_search_stale), \
                (SELECT COUNT(*) FROM aral_search_index WHERE aral_search_index MATCH 'rain')";
    let counts = stranger(dir.path()).query_row(left, (), |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    assert_eq!(counts, (0, 197), "the index keeps what was removed");
    engine.append_one(Mutation::new("c1", Operation::Clear)).unwrap();
    fill(&engine, 3);
    for _ in 0..2 {
        assert_eq!((count(&engine, "snow"), count(&engine, "rain")), (0, 3));
        catch_up(&connector(dir.path())).unwrap();
    }
    hold(&engine);
}

#[test]
fn an_index_that_is_deleted_damaged_or_of_other_software_loses_only_time() {
    let harms = [
        "DELETE FROM aral_search",
        "UPDATE aral_search SET indexed_seq = 0",
        "UPDATE aral_search SET tokenizer = 1",
        "UPDATE aral_search SET tokenizer = tokenizer + 1",
        "DROP TABLE aral_search_index",
        "DELETE FROM aral_search; DROP TABLE aral_search_index; CREATE TABLE aral_search_index (x)",
    ];
    for harm in harms {
        let dir = tempfile::tempdir().unwrap();
        let (engine, _) = open(dir.path());
        fill(&engine, 200);
        assert_eq!(count(&engine, "rain"), 200);
        stranger(dir.path()).execute_batch(harm).unwrap();
        let reader = try_open(dir.path(), Settings { is_read_only: true, ..Settings::default() }).0.unwrap();
        assert_eq!(
            (count(&reader, "rain"), count(&engine, "rain"), count(&engine, "snow")),
            (200, 200, 0),
            "{harm}"
        );
        fill(&engine, 200);
        assert_eq!((count(&engine, "rain"), count(&reader, "rain")), (400, 400), "{harm}");
        add(&engine, "and appends go on").unwrap();
    }
}

#[test]
fn an_index_that_is_not_what_the_messages_say_is_found_by_verifying() {
    let harms = [
        "UPDATE aral_search_index_data SET block = x'00'",
        "DELETE FROM aral_search_index WHERE rowid = 7",
        "INSERT OR REPLACE INTO aral_search_index (rowid, terms) VALUES (7, 'rain')",
        "INSERT INTO aral_search_index (rowid, terms) VALUES (7000, 'rain')",
        "DELETE FROM aral_search_stale",
    ];
    for harm in harms {
        let dir = tempfile::tempdir().unwrap();
        let (engine, _) = open(dir.path());
        fill(&engine, 200);
        assert_eq!(count(&engine, "rain"), 200);
        let id = engine.conversation("c1").unwrap().unwrap().messages[4].id.clone();
        let edit = Operation::EditMessage { message_id: id, edit: Edit::content("snow") };
        engine.append_one(Mutation::new("c1", edit)).unwrap();
        fill(&engine, 3);
        hold(&engine);
        stranger(dir.path()).execute_batch(harm).unwrap();
        assert!(!engine.verify().unwrap().is_sound(), "{harm}");
        stranger(dir.path()).execute_batch("DELETE FROM aral_search").unwrap();
        hold(&engine);
        assert_eq!(count(&engine, "rain"), 202, "{harm}");
        hold(&engine);
    }
}

#[test]
fn newer_software_keeps_its_index_and_older_software_reads_without_it() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, _) = open(dir.path());
    fill(&engine, 200);
    assert_eq!(count(&engine, "rain"), 200);
    stranger(dir.path()).execute_batch("UPDATE aral_search SET tokenizer = tokenizer + 1").unwrap();
    fill(&engine, 200);
    assert_eq!(count(&engine, "rain"), 400);
    assert_eq!(indexed(dir.path()), Some(200));
    let connector = connector(dir.path());
    let mut connection = connector.connect(Purpose::Read).unwrap();
    let standing = Standing::of(&mut *connection, connector.dialect()).unwrap();
    assert!(!standing.is_far_behind(&mut *connection).unwrap());
    catch_up(&connector).unwrap();
    assert_eq!(indexed(dir.path()), Some(200));
}

#[test]
fn many_who_catch_up_at_once_do_no_harm() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, _) = open(dir.path());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..4 {
                    fill(&engine, 150);
                    assert!(count(&engine, "rain") >= 150);
                    catch_up(&connector(dir.path())).unwrap();
                }
            });
        }
    });
    assert_eq!(count(&engine, "rain"), 2400);
    let all = "SELECT COUNT(*) FROM aral_search_index WHERE aral_search_index MATCH 'rain'";
    assert_eq!(stranger(dir.path()).query_row(all, (), |row| row.get::<_, i64>(0)).unwrap(), 2400);
    hold(&engine);
}

#[test]
fn who_cannot_catch_up_reads() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, faults) = open(dir.path());
    fill(&engine, 200);
    *faults.refused.lock().unwrap() = Some("aral_search".to_owned());
    assert_eq!((count(&engine, "rain"), indexed(dir.path())), (200, None));
    *faults.refused.lock().unwrap() = None;
    assert_eq!((count(&engine, "rain"), indexed(dir.path())), (200, Some(200)));
}
