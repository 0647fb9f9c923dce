//! Verifying: does every event prove itself, and do the tables say what the events led to?
//!
//! Owns the words for what is wrong. Of the store it holds a few conversations at a time in memory, or a large one, of the others their
//! ids and the numbers of their events, and then a number and a sum of each message that the index for searching has.

use std::path::Path;

use super::columns::number_at;
use super::compare::{Sink, compare};
use super::connection::{Connection, Dialect, Value, first};
use super::erased_rows;
use super::outline::Outline;
use super::schema::{self, Kind, Made};
use super::search_check;
use super::tables::{Difference, Table, Values, Whose};
use crate::backend::erasing::UNFINISHED;
use crate::error::{ErrorKind, Result};
use crate::model::{DamagedFile, VerifyReport};

/// What is wrong, so far.
struct Findings<'f> {
    place: &'f Path,
    report: VerifyReport,
}

impl Findings<'_> {
    fn add(&mut self, conversation_id: Option<String>, reason: impl Into<String>) {
        let (path, reason) = (self.place.to_owned(), reason.into());
        let damaged = DamagedFile { path, offset: None, conversation_id, reason, is_forbidden: false };
        self.report.damaged.push(damaged);
    }
}

impl Sink for Findings<'_> {
    fn differs(
        &mut self,
        connection: &mut dyn Connection,
        table: &Table,
        difference: &Difference<'_>,
    ) -> Result<()> {
        for wrong in &difference.wrong {
            let what = match wrong.columns.as_slice() {
                [] => "no event explains this row".to_owned(),
                [column] => format!("{column} is not what the events led to"),
                columns => format!("{} are not what the events led to", columns.join(", ")),
            };
            let whose = whose(connection, table, &wrong.row)?;
            self.add(whose, format!("{}: {what}", row_in_words(table, &wrong.row)));
        }
        for missing in &difference.missing {
            let whose = whose(connection, table, missing)?;
            self.add(whose, format!("{}: the row is missing", row_in_words(table, missing)));
        }
        Ok(())
    }

    fn is_broken(&mut self, id: &str, reason: &str) -> Result<()> {
        self.add(Some(id.to_owned()), reason);
        Ok(())
    }

    fn saw(&mut self, conversations: u64, _: u64, _: u64) {
        self.report.conversations += conversations;
    }
}

/// The conversation whose row it is, as far as that can be told.
fn whose(connection: &mut dyn Connection, table: &Table, row: &Values<'_>) -> Result<Option<String>> {
    let text = |value: &Value<'_>| match value {
        Value::Bytes(id) => Some(String::from_utf8_lossy(id).into_owned()),
        Value::Null | Value::Int(_) | Value::Text(_) | Value::Real(_) | Value::Broken(_) => None,
    };
    match table.whose {
        Whose::Id(at) => Ok(row.get(at).and_then(text)),
        Whose::Number(at) => {
            let Some(number @ Value::Int(_)) = row.get(at) else { return Ok(None) };
            let sql = "SELECT id_key FROM aral_conversation_rows WHERE number = ?1";
            let found = first(connection, sql, std::slice::from_ref(number), |row| {
                Ok(row.bytes(0).ok().map(|id| String::from_utf8_lossy(id).into_owned()))
            })?;
            Ok(found.flatten())
        }
    }
}

/// Where a row stands, in words.
pub(super) fn row_in_words(table: &Table, row: &Values<'_>) -> String {
    let key = match table.key_of(row) {
        Value::Null => "NULL".to_owned(),
        Value::Int(number) => number.to_string(),
        Value::Text(text) => format!("{text:?}"),
        Value::Bytes(bytes) | Value::Broken(bytes) => format!("{:?}", String::from_utf8_lossy(&bytes)),
        Value::Real(bits) => format!("{:?}", f64::from_bits(bits)),
    };
    format!("{}, {} {key}", table.name, table.key_name())
}

/// Reads everything and says what is wrong with it.
pub(crate) fn verify(
    connection: &mut dyn Connection,
    dialect: Dialect,
    place: &Path,
) -> Result<VerifyReport> {
    let mut findings = Findings { place, report: VerifyReport { files: 1, ..VerifyReport::default() } };
    match connection.check_integrity() {
        // What it does not even get through.
        Err(error) if error.kind() == ErrorKind::Corrupt => findings.add(None, error.message()),
        reasons => reasons?.into_iter().for_each(|reason| findings.add(None, reason)),
    }
    match everything(connection, dialect, &mut findings) {
        // What the database itself cannot read.
        Err(error) if error.kind() == ErrorKind::Corrupt => findings.add(None, error.message()),
        done => done?,
    }
    Ok(findings.report)
}

fn everything(connection: &mut dyn Connection, dialect: Dialect, findings: &mut Findings<'_>) -> Result<()> {
    let mut is_whole = true;
    for (made, reason) in definitions(connection, dialect)? {
        is_whole &= made.kind != Kind::Table;
        match reason {
            Some(reason) => findings.add(None, format!("{}: {reason}", made.name)),
            None => findings
                .report
                .notes
                .push(format!("{}: not looked at, because this user may not read it", made.name)),
        }
    }
    if !is_whole {
        findings.report.notes.push("nothing was compared, because a table is missing".to_owned());
        return Ok(());
    }
    if erased_rows::intent(connection, dialect)?.is_some() {
        findings.report.notes.push(UNFINISHED.to_owned());
    }
    let outline = Outline::read(connection)?;
    (findings.report.events, findings.report.bytes) = (outline.events, outline.bytes);
    for damage in &outline.damage {
        findings.add(None, damage.reason.clone());
    }
    for seq in &outline.marks {
        findings.add(None, format!("event {seq}: its group_id is not the mark of a transaction"));
    }
    for reason in meta(connection, outline.next_seq)? {
        findings.add(None, reason);
    }
    if !outline.damage.is_empty() {
        let note = "the tables were not compared with the events, because what damaged or missing events led to is unknown; \
                    they can still be read, and `repair --to NEW` saves what there is";
        findings.report.notes.push(note.to_owned());
        return Ok(());
    }
    compare(connection, &outline, findings)?;
    if let Some(reason) = search_check::check(connection, dialect)? {
        findings.add(None, reason);
    }
    Ok(())
}

/// The tables, indexes and views that are not as they were made, and why; no reason where nobody can say.
pub(super) fn definitions(
    connection: &mut dyn Connection,
    dialect: Dialect,
) -> Result<Vec<(Made, Option<&'static str>)>> {
    let mut found = Vec::new();
    let names = schema::names(connection, dialect)?;
    for made in schema::made(schema::version_by_names(&names, dialect), dialect) {
        let reason = match made.kind {
            Kind::View => match connection.has_view(&made.name, &made.statement)? {
                Some(true) => continue,
                Some(false) => Some("the view is missing, or is not as it was made"),
                None => None,
            },
            Kind::Table | Kind::Index if names.contains(&made.name) => continue,
            Kind::Table => Some("the table is missing"),
            Kind::Index => Some("the index is missing"),
        };
        found.push((made, reason));
    }
    Ok(found)
}

/// What is wrong with the one row of `aral_meta`, the events ending before this number.
pub(super) fn meta(connection: &mut dyn Connection, next_seq: u64) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    let sql = "SELECT schema_version, next_seq, store_id, syncs FROM aral_meta";
    let rows = super::connection::all(connection, sql, &[], |row| {
        let is_id = row.text(2).is_ok_and(|id| !id.is_empty());
        Ok((row.int(0).ok(), number_at(row, 1).ok(), is_id, number_at(row, 3).is_ok()))
    })?;
    let [(version, next, is_id, has_syncs)] = rows.as_slice() else {
        return Ok(vec![format!("aral_meta: there are {} rows, and there ought to be one", rows.len())]);
    };
    match version {
        Some(version @ 1..) => schema::check_version(*version)?,
        _ => wrong.push("aral_meta: schema_version is no version".to_owned()),
    }
    if *next != Some(next_seq) {
        let is = next.map_or_else(|| "no number".to_owned(), |next| next.to_string());
        wrong.push(format!("aral_meta: next_seq is {is}, and {next_seq} comes behind the last event"));
    }
    if !is_id {
        wrong.push("aral_meta: store_id is empty".to_owned());
    }
    if !has_syncs {
        wrong.push("aral_meta: syncs is no number".to_owned());
    }
    Ok(wrong)
}
