//! A database that an older version made: brought to this one as a whole, or not at all.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::Ordering;

use super::super::repair_in_place;
use super::super::schema::VERSION;
use super::faulty::Statements;
use super::{add, hold, open, stranger, try_open};
use crate::backend::Backend;
use crate::backend::settings::Settings;
use crate::backend::sqlite::SqliteConnector;
use crate::error::ErrorKind;
use crate::model::{Conversation, Order, TextRef};

/// A database that version 1 of the schema wrote, and what the software of version 2 made of it.
const OLD: [(i64, &[u8]); 2] = [
    (1, include_bytes!("../../../../tests/fixtures/sqlite/schema1.db")),
    (2, include_bytes!("../../../../tests/fixtures/sqlite/schema2.db")),
];

/// Where a process that kills itself finds the database and the number of the statement at which it does it.
const KILLED: &str = "ARAL_TEST_KILLED_MIGRATION";

#[expect(clippy::disallowed_methods, reason = "a database lives on the real file system")]
fn old(bytes: &[u8]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("store.db"), bytes).unwrap();
    dir
}

fn reading(dir: &Path) -> crate::error::Result<super::Engine> {
    try_open(dir, Settings { is_read_only: true, ..Settings::default() }).0
}

fn everything(engine: &dyn Backend) -> Vec<Conversation> {
    let listed = engine.conversations(Order::Created, None).unwrap();
    listed.iter().map(|summary| engine.conversation(&summary.id).unwrap().unwrap()).collect()
}

/// Every name in a database with the statement that made it, and its version.
fn shape(dir: &Path) -> (Vec<(String, Option<String>)>, i64) {
    let stranger = stranger(dir);
    let mut named = stranger.prepare("SELECT name, sql FROM sqlite_master ORDER BY name").unwrap();
    let names = named.query_map((), |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    let version = stranger.query_row("SELECT schema_version FROM aral_meta", (), |row| row.get(0));
    (names.map(Result::unwrap).collect(), version.unwrap())
}

#[test]
fn a_database_of_an_older_version_becomes_like_a_new_one_and_loses_nothing() {
    for (version, bytes) in OLD {
        let dir = old(bytes);
        assert_eq!(shape(dir.path()).1, version);
        let before = everything(&reading(dir.path()).unwrap());
        assert_eq!(before.iter().map(|conversation| conversation.messages.len()).sum::<usize>(), 6);
        let (engine, _) = open(dir.path());
        hold(&engine);
        assert_eq!(everything(&*engine), before);
        let twice = engine.message("greetings", TextRef::from("twice")).unwrap().unwrap();
        assert_eq!(twice.content, "the second with this id");
        assert_eq!(add(&engine, "and it goes on").unwrap().seq, 11);
        hold(&engine);
        let new = tempfile::tempdir().unwrap();
        open(new.path());
        assert_eq!(shape(dir.path()), shape(new.path()));
        assert_eq!(shape(dir.path()).1, VERSION);
    }
}

#[test]
fn the_last_message_with_an_id_is_one_look_up() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path());
    let sql = "EXPLAIN QUERY PLAN SELECT content FROM aral_message_rows \
               WHERE conversation = 1 AND id = 'x' ORDER BY seq DESC LIMIT 1";
    let plan: String = stranger(dir.path()).query_row(sql, (), |row| row.get(3)).unwrap();
    assert!(plan.contains("aral_messages_by_id_and_seq (conversation=? AND id=?)"), "{plan}");
}

#[test]
fn no_index_has_a_column_that_each_event_changes() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path());
    let sql = "SELECT group_concat(c.name) FROM sqlite_master i, pragma_index_info(i.name) c \
               WHERE i.type = 'index' AND i.tbl_name = 'aral_conversation_rows'";
    let columns: String = stranger(dir.path()).query_row(sql, (), |row| row.get(0)).unwrap();
    assert_eq!(columns, "id_key,id");
}

#[test]
fn a_reader_of_an_older_version_reads_it_and_leaves_it_as_it_is() {
    for (_, bytes) in OLD {
        let dir = old(bytes);
        let before = shape(dir.path());
        let reader = reading(dir.path()).unwrap();
        hold(&reader);
        assert_eq!(reader.message("odd", TextRef::from("nul")).unwrap().unwrap().content, "before\0after");
        assert_eq!(
            reader.append_one(crate::model::Mutation::add_message("odd", "no")).unwrap_err().kind(),
            ErrorKind::ReadOnly
        );
        assert_eq!(shape(dir.path()), before);
    }
}

/// How many statements a migration carries out.
fn statements(bytes: &[u8]) -> u64 {
    let dir = old(bytes);
    let (engine, faults) = open(dir.path());
    drop(engine);
    faults.statements.count()
}

#[test]
fn a_migration_that_fails_at_any_statement_leaves_an_older_version_whole() {
    for ((_, bytes), least) in OLD.into_iter().zip([9, 3]) {
        let all = statements(bytes);
        assert!(all >= least, "{all}");
        // The last one is the commit: whether it took place is unknown, so that it is looked at again, and done again.
        let dir = old(bytes);
        super::try_open_with(dir.path(), |faults| faults.statements = Statements::fail_at(all - 1)).unwrap();
        assert_eq!(shape(dir.path()).1, VERSION);
        for at in 0..all - 1 {
            let dir = old(bytes);
            let before = (shape(dir.path()), everything(&reading(dir.path()).unwrap()));
            let failed =
                super::try_open_with(dir.path(), |faults| faults.statements = Statements::fail_at(at));
            assert_eq!(failed.unwrap_err().kind(), ErrorKind::NoSpace, "statement {at}");
            let after = (shape(dir.path()), everything(&reading(dir.path()).unwrap()));
            assert_eq!(after, before, "statement {at}");
            let (engine, _) = open(dir.path());
            hold(&engine);
            assert_eq!(everything(&*engine), before.1);
        }
    }
}

/// Runs in a process of its own, which it ends at a statement; does nothing in others.
#[test]
fn a_migration_is_killed_at_a_statement() {
    let Ok(told) = std::env::var(KILLED) else { return };
    let (at, dir) = told.split_once(' ').unwrap();
    let at = at.parse().unwrap();
    drop(super::try_open_with(Path::new(dir), |faults| faults.statements = Statements::kill_at(at)));
    panic!("the process was to end at statement {at}");
}

#[test]
fn a_migration_that_is_killed_at_any_statement_leaves_an_older_version_whole() {
    let name = "backend::sql::tests::migrations::a_migration_is_killed_at_a_statement";
    for (version, bytes) in OLD {
        for at in 0..statements(bytes) {
            let dir = old(bytes);
            let before = everything(&reading(dir.path()).unwrap());
            let ended = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", name])
                .env(KILLED, format!("{at} {}", dir.path().display()))
                .output()
                .unwrap();
            let signal = std::os::unix::process::ExitStatusExt::signal(&ended.status);
            assert_eq!(signal, Some(9), "statement {at}: {ended:?}");
            assert_eq!(shape(dir.path()).1, version, "statement {at}");
            assert_eq!(everything(&reading(dir.path()).unwrap()), before, "statement {at}");
            let (engine, _) = open(dir.path());
            hold(&engine);
            assert_eq!((everything(&*engine), shape(dir.path()).1), (before, VERSION));
        }
    }
}

#[test]
fn of_many_who_migrate_at_once_one_does_it() {
    for (_, bytes) in OLD {
        for _ in 0..3 {
            let dir = old(bytes);
            let migrated: u64 = std::thread::scope(|scope| {
                let open = || {
                    let (engine, faults) = open(dir.path());
                    drop(add(&engine, "mine").unwrap());
                    faults.migrations.load(Ordering::SeqCst)
                };
                let openers: Vec<_> = (0..6).map(|_| scope.spawn(open)).collect();
                openers.into_iter().map(|opener| opener.join().unwrap()).sum()
            });
            assert_eq!(migrated, 1);
            let (engine, _) = open(dir.path());
            hold(&engine);
            assert_eq!(engine.stats().unwrap().last_seq, 16);
        }
    }
}

#[test]
fn a_repair_leaves_an_older_version_as_old_as_it_is() {
    for (version, bytes) in OLD {
        let dir = old(bytes);
        stranger(dir.path()).execute_batch("DELETE FROM aral_meta").unwrap();
        let settings = Settings::default();
        let connector = SqliteConnector::new(&dir.path().join("store.db"), &settings);
        assert!(repair_in_place(&connector, &settings).unwrap().is_complete());
        assert_eq!(shape(dir.path()).1, version);
        let (engine, _) = open(dir.path());
        hold(&engine);
    }
}
