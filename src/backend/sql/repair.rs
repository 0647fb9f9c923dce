//! Rebuilding the tables from the events, in place.
//!
//! Owns the order of it: one transaction under the writers' lock, in which rows that are not what the events led to are put aside, rows
//! that are missing are written, and everything is compared once more. Whoever kills it leaves all as it was.

use std::collections::BTreeMap;

use super::columns::{corrupt, number_at};
use super::compare::{Sink, compare};
use super::connection::{Connection, Connector, Dialect, Purpose, Value, all, first, placed};
use super::outline::Outline;
use super::schema::{self, Kind};
use super::search_check;
use super::tables::{Difference, Table, Values};
use super::verify::{self, definitions, meta, row_in_words};
use crate::backend::settings::Settings;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{RepairReport, Seq, Timestamp};

/// Where the rows are kept that were not what the events led to.
const QUARANTINE: &str = "CREATE TABLE IF NOT EXISTS aral_quarantine (
        number {key},
        repaired_at TEXT NOT NULL,
        reason TEXT NOT NULL,
        table_name TEXT NOT NULL,
        row_json TEXT NOT NULL
    )";

/// What is new in a repaired store.
struct Fresh {
    now: Timestamp,
    /// An id for a store that has lost its own.
    store_id: String,
}

/// How many rows of a table were put aside and written.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    aside: u64,
    written: u64,
}

/// Rebuilds what is wrong, and says what that was.
pub(crate) fn in_place(connector: &dyn Connector, settings: &Settings) -> Result<RepairReport> {
    let now = Timestamp::from_unix_micros(settings.clock.now_micros()).unwrap_or(Timestamp::EPOCH);
    let fresh = &Fresh { now, store_id: settings.ids.new_id() };
    // Order: whoever connects for writing would make a database.
    let mut reader = connector.connect(Purpose::Read)?;
    let names = schema::names(&mut *reader, connector.dialect())?;
    if schema::version_by_names(&names, connector.dialect()) == 0 {
        return Err(Error::new(ErrorKind::NotFound, "there is no store in this database"));
    }
    drop(reader);
    // Statements that go over whole tables take the longer the more is in them.
    let mut connection = connector.connect(Purpose::Migrate)?;
    let connection = &mut *connection;
    connection.begin_write()?;
    let done = rebuild(connection, connector.dialect(), fresh);
    let done = match done {
        Ok((report, IsChanged::Yes)) => {
            // A writer that remembers what the tables held sees by it that they have changed without an event.
            let counted = connection.execute("UPDATE aral_meta SET syncs = syncs + 1", &[]);
            counted.and_then(|_| connection.commit()).map(|()| report)
        }
        Ok((report, IsChanged::No)) => {
            connection.rollback();
            Ok(report)
        }
        Err(error) => {
            connection.rollback();
            Err(error)
        }
    };
    done.map_err(|error| placed(error, connector.place()))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum IsChanged {
    Yes,
    No,
}

fn rebuild(
    connection: &mut dyn Connection,
    dialect: Dialect,
    fresh: &Fresh,
) -> Result<(RepairReport, IsChanged)> {
    let mut notes = Vec::new();
    if !connection.check_integrity()?.is_empty() {
        connection.rebuild_indexes()?;
        if let [first, ..] = connection.check_integrity()?.as_slice() {
            return Err(damaged(first));
        }
        notes.push("the indexes did not fit the tables, and were made anew".to_owned());
    }
    let version = schema::version_by_names(&schema::names(connection, dialect)?, dialect);
    for (made, reason) in definitions(connection, dialect)? {
        if reason.is_none() {
            continue;
        }
        if made.name == "aral_events" {
            return Err(damaged("the table aral_events is missing"));
        }
        if made.kind == Kind::View {
            connection.execute(&format!("DROP VIEW IF EXISTS {}", made.name), &[])?;
        }
        connection.execute(&made.statement, &[])?;
        notes.push(format!("{}: made anew", made.name));
    }
    let outline = Outline::read(connection)?;
    if let [first, ..] = outline.damage.as_slice() {
        return Err(damaged(&first.reason));
    }
    check_end(connection, outline.next_seq)?;
    for seq in &outline.marks {
        connection
            .execute("UPDATE aral_events SET group_id = NULL WHERE seq = ?1", &[Value::number(*seq)])?;
        notes.push(format!("event {seq}: what was no mark of a transaction is taken out of group_id"));
    }
    let mut clearing = Clearing { dialect, now: fresh.now, number: None, counts: BTreeMap::new() };
    compare(connection, &outline, &mut clearing)?;
    let mut filling = Filling { counts: clearing.counts, report: RepairReport::default() };
    // Order: all that is wrong is out before anything is written. Reversed, a row could be in the way of another one.
    compare(connection, &outline, &mut filling)?;
    for (table, counts) in &filling.counts {
        notes.push(format!(
            "{table}: {} put aside into aral_quarantine, {} written from the events",
            rows(counts.aside),
            rows(counts.written)
        ));
    }
    mend_meta(connection, version, &outline, (fresh, &mut notes))?;
    let searches = version > 1;
    if searches
        && (filling.counts.contains_key("aral_message_rows")
            || search_check::check(connection, dialect)?.is_some())
    {
        connection.execute("DELETE FROM aral_search", &[])?;
        notes.push("the index for searching is made anew by whoever searches next".to_owned());
    }
    let mut report = RepairReport { events: outline.events, ..filling.report };
    let is_changed = if notes.is_empty() { IsChanged::No } else { IsChanged::Yes };
    report.notes = notes;
    if is_changed == IsChanged::Yes {
        let after = verify::verify(connection, dialect, std::path::Path::new(""))?;
        if let [left, ..] = after.damaged.as_slice() {
            let reason = format!("the repair left something wrong, so nothing was changed: {}", left.reason);
            return Err(Error::new(ErrorKind::Failed, reason));
        }
    }
    Ok((report, is_changed))
}

fn rows(count: u64) -> String {
    if count == 1 { "1 row".to_owned() } else { format!("{count} rows") }
}

/// What cannot be repaired in place.
fn damaged(reason: &str) -> Error {
    corrupt(format!(
        "{reason}; the tables cannot be rebuilt from damaged events, and can still be read: put a backup of the database back, or \
         have `repair --to NEW` save what there is into a new store"
    ))
}

/// Holds that no event is missing behind the last one.
fn check_end(connection: &mut dyn Connection, next_seq: Seq) -> Result<()> {
    // What is no number says nothing, as a row that is missing.
    let numbers = all(connection, "SELECT next_seq FROM aral_meta", &[], |row| Ok(row.int(0).ok()))?;
    let next = numbers.into_iter().flatten().max().unwrap_or_default();
    if next <= i64::try_from(next_seq).unwrap_or(i64::MAX) {
        return Ok(());
    }
    // The number alone may be wrong. If a row is of an event behind the last one, that event is missing.
    for (table, column) in [
        ("aral_message_rows", "seq"),
        ("aral_action_rows", "seq"),
        ("aral_conversation_rows", "last_seq"),
        ("aral_keys", "seq"),
        ("aral_tombstones", "seq"),
    ] {
        let sql = format!(
            "SELECT {column} FROM {table} WHERE {column} >= ?1 AND {column} < ?2 AND {column} = CAST({column} AS BIGINT) \
             ORDER BY {column}"
        );
        let asked = [Value::number(next_seq), Value::Int(next)];
        if let Some(seq) = first(connection, &sql, &asked, |row| number_at(row, 0))? {
            let reason = format!("event {seq} is missing: {table} has a row of it, and aral_meta counts it");
            return Err(damaged(&reason));
        }
    }
    Ok(())
}

/// Sets right what the row of `aral_meta` says.
fn mend_meta(
    connection: &mut dyn Connection,
    version: i64,
    outline: &Outline,
    (fresh, notes): (&Fresh, &mut Vec<String>),
) -> Result<()> {
    let wrong = meta(connection, outline.next_seq)?;
    if wrong.is_empty() {
        return Ok(());
    }
    notes.extend(wrong.iter().map(|reason| format!("put right: {reason}")));
    let sql = "SELECT store_id, syncs FROM aral_meta";
    let kept = first(connection, sql, &[], |row| {
        let id = row.text(0).ok().filter(|id| !id.is_empty()).map(str::to_owned);
        Ok((id, number_at(row, 1).unwrap_or_default()))
    })?;
    let (id, syncs) = kept.unwrap_or_default();
    connection.execute("DELETE FROM aral_meta", &[])?;
    let insert =
        "INSERT INTO aral_meta (one, schema_version, store_id, next_seq, syncs) VALUES (1, ?1, ?2, ?3, ?4)";
    let id = id.unwrap_or_else(|| fresh.store_id.clone());
    let values =
        [Value::Int(version), Value::text(id), Value::number(outline.next_seq), Value::number(syncs)];
    connection.execute(insert, &values).map(drop)
}

/// Puts aside what is wrong.
struct Clearing {
    dialect: Dialect,
    now: Timestamp,
    /// The next number in the quarantine, once there is one.
    number: Option<i64>,
    counts: BTreeMap<&'static str, Counts>,
}

impl Clearing {
    /// The number of the next row in the quarantine, which is made if there is none.
    fn next_number(&mut self, connection: &mut dyn Connection) -> Result<i64> {
        let number = if let Some(number) = self.number {
            number
        } else {
            connection.execute(&QUARANTINE.replace("{key}", self.dialect.key), &[])?;
            let last = "SELECT COALESCE(MAX(number), 0) FROM aral_quarantine";
            first(connection, last, &[], |row| row.int(0))?.unwrap_or_default() + 1
        };
        self.number = Some(number + 1);
        Ok(number)
    }
}

impl Sink for Clearing {
    fn differs(
        &mut self,
        connection: &mut dyn Connection,
        table: &Table,
        difference: &Difference<'_>,
    ) -> Result<()> {
        for wrong in &difference.wrong {
            let number = self.next_number(connection)?;
            let reason = match wrong.columns.as_slice() {
                [] => "no event explains this row".to_owned(),
                columns => format!("not what the events led to: {}", columns.join(", ")),
            };
            let insert = "INSERT INTO aral_quarantine (number, repaired_at, reason, table_name, row_json) \
                          VALUES (?1, ?2, ?3, ?4, ?5)";
            let values = [
                Value::Int(number),
                Value::text(self.now.to_string()),
                Value::text(reason),
                Value::text(table.name),
                Value::text(as_json(table, &wrong.row)),
            ];
            connection.execute(insert, &values)?;
            let delete = format!("DELETE FROM {} WHERE {} = ?1", table.name, table.key_name());
            if connection.execute(&delete, &[table.key_of(&wrong.row)])? != 1 {
                return Err(damaged(&format!("{} is not found by its key", row_in_words(table, &wrong.row))));
            }
            self.counts.entry(table.name).or_default().aside += 1;
        }
        Ok(())
    }

    fn is_broken(&mut self, _: &str, reason: &str) -> Result<()> {
        Err(damaged(reason))
    }

    fn saw(&mut self, _: u64, _: u64, _: u64) {}
}

/// Writes what is missing.
struct Filling {
    counts: BTreeMap<&'static str, Counts>,
    report: RepairReport,
}

impl Sink for Filling {
    fn differs(
        &mut self,
        connection: &mut dyn Connection,
        table: &Table,
        difference: &Difference<'_>,
    ) -> Result<()> {
        let places: Vec<String> = (1..=table.columns.len()).map(|at| format!("?{at}")).collect();
        let insert = format!("INSERT INTO {} ({}) VALUES ({})", table.name, table.list(), places.join(", "));
        for row in &difference.missing {
            connection.execute(&insert, row)?;
            self.counts.entry(table.name).or_default().written += 1;
        }
        Ok(())
    }

    fn is_broken(&mut self, _: &str, reason: &str) -> Result<()> {
        Err(damaged(reason))
    }

    fn saw(&mut self, conversations: u64, messages: u64, actions: u64) {
        self.report.conversations += conversations;
        self.report.messages += messages;
        self.report.actions += actions;
    }
}

/// A number with a point, as text if JSON has none for it.
fn real(number: f64) -> serde_json::Value {
    serde_json::Number::from_f64(number).map_or_else(|| number.to_string().into(), Into::into)
}

/// A row as a JSON object, its bytes in hexadecimal digits, and so those of a text that is not Unicode.
fn as_json(table: &Table, row: &Values<'_>) -> String {
    let digit = |half: u8| char::from_digit(u32::from(half), 16).unwrap_or('0');
    let hex =
        |bytes: &[u8]| bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect::<String>();
    let values = row.iter().map(|value| match value {
        Value::Null => serde_json::Value::Null,
        Value::Int(number) => (*number).into(),
        Value::Text(text) => text.as_ref().into(),
        Value::Bytes(bytes) => hex(bytes).into(),
        Value::Real(bits) => real(f64::from_bits(*bits)),
        Value::Broken(bytes) => serde_json::json!({ "text": hex(bytes) }),
    });
    let object: serde_json::Map<String, serde_json::Value> =
        table.columns.iter().map(|name| (*name).to_owned()).zip(values).collect();
    serde_json::Value::Object(object).to_string()
}
