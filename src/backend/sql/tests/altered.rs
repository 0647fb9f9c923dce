//! Tables that somebody altered by hand, statement by statement: what `verify` says of each, and what a repair makes of it.
//!
//! The statements are those of tests/altered, most of which run on a PostgreSQL server, too.

use std::path::Path;
use std::sync::Arc;

use super::faulty::{Commit, Faults, Faulty};
use super::{Engine, hold, open, stranger};
use crate::backend::Backend;
use crate::backend::settings::Settings;
use crate::backend::sql::repair_in_place;
use crate::backend::sqlite::SqliteConnector;
use crate::error::{ErrorKind, Result};
use crate::model::{Mutation, RepairReport};

const STORE: &str = include_str!("../../../../tests/altered/store.jsonl");
const TABLES: &str = include_str!("../../../../tests/altered/tables.txt");
/// What only SQLite takes.
const SQLITE: &str = include_str!("../../../../tests/altered/sqlite.txt");
const EVENTS: &str = include_str!("../../../../tests/altered/events.txt");

/// The lines that are no remarks.
pub(super) fn lines(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty())
}

/// A store with the mutations of the file.
pub(super) fn made(dir: &Path) -> Arc<Engine> {
    let (engine, _) = open(dir);
    for line in lines(STORE) {
        engine.append(Mutation::from_json_line(line.as_bytes()).unwrap()).unwrap();
    }
    hold(&engine);
    engine
}

/// Has somebody else carry a statement out, with bytes as SQLite writes them.
pub(super) fn alter(dir: &Path, sql: &str) {
    stranger(dir).execute_batch(&with_bytes(sql, |hex| format!("x'{hex}'"))).unwrap();
}

/// A statement with its `{616263}` replaced.
fn with_bytes(sql: &str, literal: impl Fn(&str) -> String) -> String {
    let mut out = String::new();
    let mut rest = sql;
    while let Some((before, behind)) = rest.split_once('{') {
        let inside = behind.split_once('}');
        out.push_str(before);
        match inside {
            Some((hex, behind))
                if hex.bytes().all(|byte| byte.is_ascii_hexdigit()) && !before.ends_with('\'') =>
            {
                out.push_str(&literal(hex));
                rest = behind;
            }
            _ => {
                out.push('{');
                rest = behind;
            }
        }
    }
    out.push_str(rest);
    out
}

#[test]
fn every_column_that_somebody_altered_is_named() {
    let tables = lines(TABLES).chain(lines(SQLITE)).map(|line| line.split_once(" ~ ").unwrap());
    let events = lines(EVENTS).map(|line| line.split_once(" ~ ").unwrap().1.split_once(" ~ ").unwrap());
    for (said, change) in tables.chain(events) {
        let dir = tempfile::tempdir().unwrap();
        let engine = made(dir.path());
        alter(dir.path(), change);
        let report = engine.verify().unwrap();
        let reasons: Vec<&str> = report.damaged.iter().map(|damaged| damaged.reason.as_str()).collect();
        assert!(reasons.iter().any(|reason| reason.contains(said)), "{change}: {reasons:#?}");
        assert!(reasons.len() < 16, "{change}: one alteration is told in too many words: {reasons:#?}");
    }
}

/// Every row of every table, as SQLite shows it, but for the number that a repair counts up.
fn dump(dir: &Path) -> Vec<String> {
    let connection = stranger(dir);
    let tables = ["meta", "events", "conversation_rows", "message_rows", "action_rows", "keys", "tombstones"];
    let mut rows = Vec::new();
    for table in tables {
        let columns = if table == "meta" { "one, schema_version, store_id, next_seq" } else { "*" };
        let sql = format!("SELECT {columns} FROM aral_{table} ORDER BY 1");
        let mut statement = connection.prepare(&sql).unwrap();
        let count = statement.column_count();
        let found = statement.query_map((), |row| {
            let values = (0..count).map(|at| format!("{:?}", row.get_ref(at).unwrap()));
            Ok(format!("{table} {}", values.collect::<Vec<_>>().join(" ")))
        });
        rows.extend(found.unwrap().map(std::result::Result::unwrap));
    }
    rows
}

fn repair(dir: &Path) -> Result<RepairReport> {
    let settings = Settings::default();
    repair_in_place(&SqliteConnector::new(&dir.join("store.db"), &settings), &settings)
}

#[test]
fn what_somebody_altered_in_the_tables_is_rebuilt_from_the_events_and_kept_aside() {
    for (said, change) in lines(TABLES).chain(lines(SQLITE)).map(|line| line.split_once(" ~ ").unwrap()) {
        let dir = tempfile::tempdir().unwrap();
        let engine = made(dir.path());
        let before = dump(dir.path());
        alter(dir.path(), change);
        let report = repair(dir.path()).unwrap_or_else(|error| panic!("{change}: {error}"));
        assert!(!report.notes.is_empty() && report.is_complete(), "{change}: {report:?}");
        assert_eq!((report.conversations, report.messages, report.actions, report.events), (2, 6, 2, 14));
        hold(&engine);
        // The store's own id is the one thing that nothing repeats.
        let is_comparable = |row: &&String| {
            !change.contains("DELETE FROM aral_meta") && !change.contains("store_id")
                || !row.starts_with("meta")
        };
        let after = dump(dir.path());
        assert_eq!(
            after.iter().filter(is_comparable).collect::<Vec<_>>(),
            before.iter().filter(is_comparable).collect::<Vec<_>>(),
            "{change}"
        );
        // What is no row of its own any more is not gone.
        let is_kept = change.starts_with("UPDATE aral_") && !change.contains("aral_meta");
        let kept = "SELECT COUNT(*) FROM sqlite_master WHERE name = 'aral_quarantine'";
        let count: i64 = stranger(dir.path()).query_row(kept, (), |row| row.get(0)).unwrap();
        assert_eq!(count == 1, is_kept || change.starts_with("INSERT"), "{change} {said}");
        let again = repair(dir.path()).unwrap();
        assert_eq!(again.notes, Vec::<String>::new(), "{change}: a store that is sound is left as it is");
        super::add(&engine, "and goes on").unwrap();
        hold(&engine);
    }
}

#[test]
fn what_no_column_ought_to_hold_is_kept_aside_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let engine = made(dir.path());
    alter(
        dir.path(),
        "UPDATE aral_message_rows SET created_micros = -1.5e300, exact = 9e999, content = CAST({ff61} AS TEXT) WHERE seq = 3",
    );
    repair(dir.path()).unwrap();
    hold(&engine);
    let kept = "SELECT row_json FROM aral_quarantine";
    let kept: String = stranger(dir.path()).query_row(kept, (), |row| row.get(0)).unwrap();
    for part in [r#""created_micros":-1.5e+300"#, r#""exact":"inf""#, r#""content":{"text":"ff61"}"#] {
        assert!(kept.contains(part), "{part}: {kept}");
    }
}

#[test]
fn a_repair_has_the_time_that_whole_tables_take() {
    let dir = tempfile::tempdir().unwrap();
    drop(made(dir.path()));
    alter(dir.path(), "UPDATE aral_message_rows SET content = 'forged' WHERE seq = 3");
    let (settings, faults) = (Settings::default(), Arc::<Faults>::default());
    let inner = Arc::new(SqliteConnector::new(&dir.path().join("store.db"), &settings));
    let connector = Faulty { inner, faults: Arc::clone(&faults) };
    repair_in_place(&connector, &settings).unwrap();
    // Those of connections for what takes the longer the more is in the tables.
    assert!(faults.statements.count() > 0, "a statement of it has no more time than one of an append");
}

#[test]
fn where_events_are_damaged_a_repair_in_place_changes_nothing_and_says_what_does() {
    for line in lines(EVENTS) {
        let (damaged, rest) = line.split_once(" ~ ").unwrap();
        let change = rest.split_once(" ~ ").unwrap().1;
        let dir = tempfile::tempdir().unwrap();
        let engine = made(dir.path());
        alter(dir.path(), change);
        let before = dump(dir.path());
        let repaired = repair(dir.path());
        if damaged.trim().is_empty() {
            assert!(repaired.unwrap().is_complete());
            hold(&engine);
            continue;
        }
        let error = repaired.expect_err(change);
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{change}: {error}");
        assert!(error.message().contains("repair --to NEW"), "{change}: {error}");
        assert_eq!(dump(dir.path()), before, "{change}");
    }
}

#[test]
fn a_repair_that_fails_or_is_cut_off_anywhere_is_done_as_a_whole_or_not_at_all() {
    let change =
        "UPDATE aral_message_rows SET content = 'forged' WHERE seq = 3; UPDATE aral_meta SET next_seq = 99";
    let settings = Settings::default();
    let altered = || {
        let dir = tempfile::tempdir().unwrap();
        let engine = made(dir.path());
        alter(dir.path(), change);
        let inner = Arc::new(SqliteConnector::new(&dir.path().join("store.db"), &settings));
        let faults = Arc::<Faults>::default();
        let connector = Faulty { inner, faults: Arc::clone(&faults) };
        let before = dump(dir.path());
        (dir, engine, connector, faults, before)
    };
    for part in [
        "CREATE TABLE IF NOT EXISTS aral_quarantine",
        "INSERT INTO aral_quarantine",
        "DELETE FROM aral_message_rows",
        "INSERT INTO aral_message_rows",
        "DELETE FROM aral_meta",
        "INSERT INTO aral_meta",
    ] {
        let (dir, _engine, connector, faults, before) = altered();
        *faults.refused.lock().unwrap() = Some(part.to_owned());
        let error = repair_in_place(&connector, &settings).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NoSpace, "{part}: {error}");
        assert_eq!(dump(dir.path()), before, "{part}");
        *faults.refused.lock().unwrap() = None;
        assert!(repair_in_place(&connector, &settings).unwrap().is_complete());
    }
    for (commit, is_done) in [(Commit::Lost, false), (Commit::Unanswered, true)] {
        let (dir, engine, connector, faults, before) = altered();
        *faults.next_commit.lock().unwrap() = Some(commit);
        repair_in_place(&connector, &settings).unwrap_err();
        assert_eq!(dump(dir.path()) != before, is_done, "{commit:?}");
        assert_eq!(repair_in_place(&connector, &settings).unwrap().notes.is_empty(), is_done, "{commit:?}");
        hold(&engine);
    }
}
