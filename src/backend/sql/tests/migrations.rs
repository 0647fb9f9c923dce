//! A database that an older version made: brought to this one as a whole, or not at all.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::Ordering;

use super::super::schema::VERSION;
use super::faulty::Statements;
use super::{add, hold, open, stranger, try_open};
use crate::backend::Backend;
use crate::backend::settings::Settings;
use crate::error::ErrorKind;
use crate::model::{Conversation, Order, TextRef};

/// A database that version 1 of the schema wrote.
const FIRST: &[u8] = include_bytes!("../../../../tests/fixtures/sqlite/schema1.db");

/// Where a process that kills itself finds the database and the number of the statement at which it does it.
const KILLED: &str = "ARAL_TEST_KILLED_MIGRATION";

#[expect(clippy::disallowed_methods, reason = "a database lives on the real file system")]
fn old() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("store.db"), FIRST).unwrap();
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
fn a_database_of_version_1_becomes_like_a_new_one_and_loses_nothing() {
    let dir = old();
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

#[test]
fn the_last_message_with_an_id_is_one_look_up() {
    let dir = old();
    open(dir.path());
    let sql = "EXPLAIN QUERY PLAN SELECT content FROM aral_message_rows \
               WHERE conversation = 1 AND id = 'x' ORDER BY seq DESC LIMIT 1";
    let plan: String = stranger(dir.path()).query_row(sql, (), |row| row.get(3)).unwrap();
    assert!(plan.contains("aral_messages_by_id_and_seq (conversation=? AND id=?)"), "{plan}");
}

#[test]
fn a_reader_of_version_1_reads_it_and_leaves_it_as_it_is() {
    let dir = old();
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

/// How many statements a migration carries out.
fn statements() -> u64 {
    let dir = old();
    let (engine, faults) = open(dir.path());
    drop(engine);
    faults.statements.count()
}

#[test]
fn a_migration_that_fails_at_any_statement_leaves_version_1_whole() {
    let all = statements();
    assert!(all >= 8, "{all}");
    // The last one is the commit: whether it took place is unknown, so that it is looked at again, and done again.
    let dir = old();
    super::try_open_with(dir.path(), |faults| faults.statements = Statements::fail_at(all - 1)).unwrap();
    assert_eq!(shape(dir.path()).1, VERSION);
    for at in 0..all - 1 {
        let dir = old();
        let before = (shape(dir.path()), everything(&reading(dir.path()).unwrap()));
        let failed = super::try_open_with(dir.path(), |faults| faults.statements = Statements::fail_at(at));
        assert_eq!(failed.unwrap_err().kind(), ErrorKind::NoSpace, "statement {at}");
        assert_eq!((shape(dir.path()), everything(&reading(dir.path()).unwrap())), before, "statement {at}");
        let (engine, _) = open(dir.path());
        hold(&engine);
        assert_eq!(everything(&*engine), before.1);
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
fn a_migration_that_is_killed_at_any_statement_leaves_version_1_whole() {
    let name = "backend::sql::tests::migrations::a_migration_is_killed_at_a_statement";
    for at in 0..statements() {
        let dir = old();
        let before = everything(&reading(dir.path()).unwrap());
        let ended = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name])
            .env(KILLED, format!("{at} {}", dir.path().display()))
            .output()
            .unwrap();
        let signal = std::os::unix::process::ExitStatusExt::signal(&ended.status);
        assert_eq!(signal, Some(9), "statement {at}: {ended:?}");
        assert_eq!(shape(dir.path()).1, 1, "statement {at}");
        assert_eq!(everything(&reading(dir.path()).unwrap()), before, "statement {at}");
        let (engine, _) = open(dir.path());
        hold(&engine);
        assert_eq!((everything(&*engine), shape(dir.path()).1), (before, VERSION));
    }
}

#[test]
fn of_many_who_migrate_at_once_one_does_it() {
    for _ in 0..3 {
        let dir = old();
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
