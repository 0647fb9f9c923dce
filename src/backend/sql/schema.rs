//! The tables, and how a database comes to have them.
//!
//! Owns the statements that make them, specified in docs/sql.md, and the version of it all. Making a new database is
//! a migration from version 0. Every migration is one transaction, under the lock that writers hold.

use std::collections::HashSet;

use super::connection::{Connection, Connector, Dialect, Value, all, first, placed};
use crate::error::{Error, ErrorKind, Result};

/// The version of the schema that this software writes.
pub(crate) const VERSION: i64 = 3;

/// What leads from each version to the next.
const MIGRATIONS: [&[&str]; 3] = [FIRST, SECOND, THIRD];

/// The tables and what is asked of them most.
const FIRST: &[&str] = &[
    "CREATE TABLE aral_meta (
        one {key} CHECK (one = 1),
        schema_version BIGINT NOT NULL,
        store_id TEXT NOT NULL,
        next_seq BIGINT NOT NULL,
        syncs BIGINT NOT NULL
    )",
    "CREATE TABLE aral_events (
        seq {key},
        first_seq BIGINT NOT NULL,
        last_seq BIGINT NOT NULL,
        event_schema BIGINT NOT NULL,
        crc BIGINT NOT NULL,
        group_id {blob},
        payload {blob} NOT NULL
    )",
    "CREATE TABLE aral_conversation_rows (
        number {key},
        id_key {blob} NOT NULL UNIQUE,
        id TEXT NOT NULL,
        title TEXT NOT NULL,
        title_exact {blob},
        created_at TEXT NOT NULL,
        messages BIGINT NOT NULL,
        actions BIGINT NOT NULL,
        version BIGINT NOT NULL,
        last_seq BIGINT NOT NULL,
        last_activity TEXT NOT NULL,
        metadata TEXT NOT NULL,
        extra TEXT
    )",
    "CREATE INDEX aral_conversations_by_id ON aral_conversation_rows (id)",
    "CREATE INDEX aral_conversations_by_activity ON aral_conversation_rows (last_seq)",
    "CREATE TABLE aral_message_rows (
        seq {key},
        conversation BIGINT NOT NULL,
        place BIGINT NOT NULL,
        id TEXT NOT NULL,
        role TEXT NOT NULL,
        created_at TEXT NOT NULL,
        created_micros BIGINT NOT NULL,
        content TEXT NOT NULL,
        metadata TEXT NOT NULL,
        extra TEXT,
        exact {blob}
    )",
    "CREATE INDEX aral_messages_by_place ON aral_message_rows (conversation, place)",
    "CREATE INDEX aral_messages_by_id ON aral_message_rows (conversation, id)",
    "CREATE TABLE aral_action_rows (
        seq {key},
        conversation BIGINT NOT NULL,
        place BIGINT NOT NULL,
        id TEXT NOT NULL,
        action_type TEXT NOT NULL,
        created_at TEXT NOT NULL,
        created_micros BIGINT NOT NULL,
        data TEXT NOT NULL,
        metadata TEXT NOT NULL,
        extra TEXT,
        exact {blob}
    )",
    "CREATE INDEX aral_actions_by_place ON aral_action_rows (conversation, place)",
    "CREATE INDEX aral_actions_by_id ON aral_action_rows (conversation, id)",
    "CREATE TABLE aral_keys (
        name {blob} NOT NULL PRIMARY KEY,
        fingerprint BIGINT NOT NULL,
        conversation_id {blob} NOT NULL,
        id {blob} NOT NULL,
        seq BIGINT NOT NULL,
        version BIGINT NOT NULL
    )",
    "CREATE TABLE aral_tombstones (
        seq {key},
        id_key {blob} NOT NULL UNIQUE,
        id TEXT NOT NULL,
        removed_at TEXT
    )",
    "CREATE VIEW aral_conversations AS
        SELECT id, title, created_at, metadata, extra, messages, actions, version, last_activity, last_seq, number
        FROM aral_conversation_rows",
    "CREATE VIEW aral_messages AS
        SELECT c.id AS conversation_id, m.place, m.id, m.content, m.role, m.created_at, m.metadata, m.extra,
               m.created_micros, m.seq
        FROM aral_message_rows m JOIN aral_conversation_rows c ON c.number = m.conversation",
    "CREATE VIEW aral_actions AS
        SELECT c.id AS conversation_id, a.place, a.id, a.action_type, a.data, a.created_at, a.metadata, a.extra,
               a.created_micros, a.seq
        FROM aral_action_rows a JOIN aral_conversation_rows c ON c.number = a.conversation",
];

/// The last one with an id becomes one look-up, and messages can be searched. Order: the new indexes are made before the old
/// ones are dropped. Reversed, nobody could read for as long as it takes a server to make them.
const SECOND: &[&str] = &[
    "CREATE INDEX aral_messages_by_id_and_seq ON aral_message_rows (conversation, id, seq)",
    "CREATE INDEX aral_actions_by_id_and_seq ON aral_action_rows (conversation, id, seq)",
    "CREATE TABLE aral_search (
        one {key} CHECK (one = 1),
        tokenizer BIGINT NOT NULL,
        indexed_seq BIGINT NOT NULL
    )",
    "CREATE TABLE aral_search_stale (seq {key})",
    "{search}",
    "DROP INDEX aral_messages_by_id",
    "DROP INDEX aral_actions_by_id",
];

/// Each event changes the number that this index has of its conversation. Without it, PostgreSQL updates such a row within its page, and no index with it.
const THIRD: &[&str] = &["DROP INDEX aral_conversations_by_activity"];

const COUNT_VERSIONS: usize = MIGRATIONS.len();

const _: () = assert!(COUNT_VERSIONS == 3 && VERSION == 3, "there is one migration for each version");

/// A statement of a migration in a dialect.
fn written(statement: &str, dialect: Dialect) -> Vec<String> {
    if statement == "{search}" {
        return dialect.search.create.iter().map(|statement| (*statement).to_owned()).collect();
    }
    vec![statement.replace("{key}", dialect.key).replace("{blob}", dialect.blob)]
}

/// The version of a database's schema; 0 if there is no store in it.
pub(crate) fn version(connection: &mut dyn Connection, dialect: Dialect) -> Result<i64> {
    let named = [Value::text("aral_meta")];
    let count = first(connection, dialect.count_tables, &named, |row| row.int(0))?;
    if count.unwrap_or(0) == 0 {
        return Ok(0);
    }
    let version = first(connection, "SELECT schema_version FROM aral_meta", &[], |row| row.int(0))?;
    let reason = match version {
        Some(version @ 1..) => return Ok(version),
        Some(_) => "schema_version in aral_meta is no version",
        None => "the table aral_meta has no row",
    };
    Err(Error::new(ErrorKind::Corrupt, format!("{reason}; `repair --in-place` puts it right")))
}

/// Refuses a database that newer software made.
pub(crate) fn check_version(version: i64) -> Result<()> {
    if version <= VERSION {
        return Ok(());
    }
    let reason = format!(
        "the database has schema version {version}, and this software reads up to {VERSION}; upgrade it"
    );
    Err(Error::new(ErrorKind::UnsupportedFormat, reason))
}

/// Refuses a database that a reader cannot read as it is.
pub(crate) fn check_for_reading(connection: &mut dyn Connection, connector: &dyn Connector) -> Result<()> {
    let at = |error: Error| error.at(connector.place(), None);
    let version = version(connection, connector.dialect())?;
    check_version(version).map_err(at)?;
    if version == 0 {
        return Err(at(Error::new(ErrorKind::NotFound, "there is no store in this database")));
    }
    Ok(())
}

/// Whether a database has this version of the schema.
pub(crate) fn is_current(connection: &mut dyn Connection, connector: &dyn Connector) -> Result<bool> {
    let version = version(connection, connector.dialect())?;
    check_version(version).map_err(|error| error.at(connector.place(), None))?;
    Ok(version == VERSION)
}

/// Brings a database to this version of the schema, and tells whether there was no store in it before.
pub(crate) fn migrate(
    connection: &mut dyn Connection,
    connector: &dyn Connector,
    store_id: impl FnOnce() -> String,
) -> Result<bool> {
    connection.begin_write()?;
    let done = migrate_locked(connection, connector.dialect(), store_id);
    match done {
        Ok(made) => connection.commit().map(|()| made),
        Err(error) => {
            connection.rollback();
            Err(placed(error, connector.place()))
        }
    }
}

/// The same under the writers' lock: what was seen before it may have been done by another one meanwhile.
fn migrate_locked(
    connection: &mut dyn Connection,
    dialect: Dialect,
    store_id: impl FnOnce() -> String,
) -> Result<bool> {
    let before = version(connection, dialect)?;
    check_version(before)?;
    let done = usize::try_from(before).unwrap_or_default();
    for statement in MIGRATIONS.iter().skip(done).copied().flatten() {
        for statement in written(statement, dialect) {
            connection.execute(&statement, &[])?;
        }
    }
    if before == 0 {
        let insert =
            "INSERT INTO aral_meta (one, schema_version, store_id, next_seq, syncs) VALUES (1, ?1, ?2, 1, 0)";
        connection.execute(insert, &[Value::Int(VERSION), Value::text(store_id())])?;
    } else if before < VERSION {
        connection.execute("UPDATE aral_meta SET schema_version = ?1", &[Value::Int(VERSION)])?;
    }
    Ok(before == 0)
}

/// What a database has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Table,
    Index,
    View,
}

/// A table, an index or a view as the migrations make it.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) statement: String,
}

/// What a database of a version has, in the order in which it is made.
pub(crate) fn made(version: i64, dialect: Dialect) -> Vec<Made> {
    let version = usize::try_from(version).unwrap_or_default();
    let mut found = Vec::<Made>::new();
    for migration in MIGRATIONS.iter().take(version) {
        for statement in migration.iter().flat_map(|statement| written(statement, dialect)) {
            let words: Vec<&str> = statement.split_whitespace().filter(|word| *word != "VIRTUAL").collect();
            let kind = match words.get(1) {
                Some(&"TABLE") => Kind::Table,
                Some(&"INDEX") => Kind::Index,
                Some(&"VIEW") => Kind::View,
                _ => continue,
            };
            let name = words.get(2).copied().unwrap_or_default().to_owned();
            found.retain(|made| made.name != name);
            if words.first() == Some(&"CREATE") {
                found.push(Made { name, kind, statement });
            }
        }
    }
    found
}

/// The names of the tables and indexes that there are.
pub(crate) fn names(connection: &mut dyn Connection, dialect: Dialect) -> Result<HashSet<String>> {
    let found = all(connection, dialect.list_names, &[], |row| Ok(row.text(0)?.to_owned()))?;
    Ok(found.into_iter().collect())
}

/// The newest version of which there is a table, whatever `aral_meta` says, or one behind it that takes away what is not there; 0 if there is none.
pub(crate) fn version_by_names(names: &HashSet<String>, dialect: Dialect) -> i64 {
    let is_of = |version: i64| {
        let older = made(version - 1, dialect);
        let tables = made(version, dialect).into_iter().filter(|made| made.kind == Kind::Table);
        let mut new = tables.filter(|made| older.iter().all(|older| older.name != made.name));
        new.any(|made| names.contains(&made.name))
    };
    let Some(newest) = (1..=VERSION).rev().find(|version| is_of(*version)) else { return 0 };
    let is_without = |version: &i64| {
        let (older, newer) = (made(version - 1, dialect), made(*version, dialect));
        let mut gone = older.iter().filter(|older| newer.iter().all(|newer| newer.name != older.name));
        newer.len() < older.len() && gone.all(|gone| !names.contains(&gone.name))
    };
    (newest + 1..=VERSION).take_while(is_without).last().unwrap_or(newest)
}
