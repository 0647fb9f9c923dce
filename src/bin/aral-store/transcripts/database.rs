//! An SQLite database of another tool, which is only read.
//!
//! Owns how it is opened without a change to any of its files, and that all that is read of it is of one state, whatever its tool
//! writes meanwhile. Nothing in it is trusted: only tables are read, never views or what its schema would run.

use std::path::{Path, PathBuf};
use std::time::Duration;

use aral_store::{Error, ErrorKind, Timestamp};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};

use super::entry::{Line, quoted, utc};
use super::record::{Place, Record};
use crate::chat::json::{Raw, time};
use crate::exit::Failure;

/// With what every such file begins.
pub(crate) const MAGIC: &[u8] = b"SQLite format 3\0";

/// The longest value that is read; a store takes items of 64 MiB, with what stands around it.
const MAX_ROW: usize = 48 << 20;

/// How long a writer is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) struct Database {
    connection: Connection,
    path: PathBuf,
    tables: Vec<Table>,
}

pub(crate) struct Table {
    pub(crate) name: String,
    columns: Vec<String>,
    /// The columns of its primary key.
    key: Vec<String>,
    /// Whether its rows have numbers.
    is_numbered: bool,
}

/// A value as it lies in the database.
#[derive(Clone, PartialEq, Debug)]
enum Cell {
    Null,
    Integer(i64),
    Real(f64),
    Text(String),
    /// Bytes; a text that is not UTF-8 is one of these, and marked.
    Bytes {
        bytes: Vec<u8>,
        is_text: bool,
    },
}

/// A row, with its columns in order.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Row {
    pub(crate) table: String,
    pub(crate) number: Option<i64>,
    cells: Vec<(String, Cell)>,
    key: Vec<String>,
}

impl Database {
    /// Opens it for one transaction that reads.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let failed = |error: rusqlite::Error| unread(path, &error);
        let uri = uri(path)?;
        let flags =
            OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(uri, flags).map_err(failed)?;
        connection.busy_timeout(PATIENCE).map_err(failed)?;
        connection
            .execute_batch(
                "PRAGMA query_only=ON; PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON; PRAGMA mmap_size=0; BEGIN;",
            )
            .map_err(failed)?;
        // The first read is what the transaction's state is of.
        let tables = tables(&connection).map_err(failed)?;
        Ok(Self { connection, path: path.to_owned(), tables })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The name of the file, which is a part of the names of what comes of it.
    pub(crate) fn file_name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    pub(crate) fn tables(&self) -> &[Table] {
        &self.tables
    }

    /// Whether there is a table with at least these columns.
    pub(crate) fn has(&self, name: &str, columns: &[&str]) -> bool {
        let table = self.tables.iter().find(|table| table.name == name);
        table.is_some_and(|table| {
            columns.iter().all(|column| table.columns.iter().any(|known| known == column))
        })
    }

    /// Gives the rows of a table one by one; `rest` is what follows the table's name in the query, with `?1` for the parameters.
    pub(crate) fn each(
        &self,
        table: &str,
        rest: &str,
        parameters: &[&str],
        take: &mut dyn FnMut(Result<Row, String>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let Some(table) = self.tables.iter().find(|known| known.name == table) else { return Ok(()) };
        let failed = |error: rusqlite::Error| {
            Failure::Input(unread(&self.path, &error).context(&format!("table {:?}", table.name)))
        };
        let number = if table.is_numbered { "t.rowid" } else { "NULL" };
        let columns: Vec<String> =
            table.columns.iter().map(|name| format!("t.{}", identifier(name))).collect();
        let sizes: Vec<String> =
            columns.iter().map(|column| format!("coalesce(octet_length({column}),0)")).collect();
        // What is too large is not even fetched.
        let size = if sizes.is_empty() { "0".to_owned() } else { sizes.join("+") };
        let cells: Vec<String> =
            columns.iter().map(|column| format!("CASE WHEN {size} <= {MAX_ROW} THEN {column} END")).collect();
        let query = format!(
            "SELECT {number}, {size}, {} FROM {} AS t {rest}",
            cells.join(", "),
            identifier(&table.name)
        );
        let mut statement = self.connection.prepare(&query).map_err(failed)?;
        let mut rows = statement.query(rusqlite::params_from_iter(parameters)).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            let number: Option<i64> = row.get(0).map_err(failed)?;
            let size: i64 = row.get(1).map_err(failed)?;
            if usize::try_from(size).unwrap_or(usize::MAX) > MAX_ROW {
                let which = number.map_or_else(String::new, |number| format!(" {number}"));
                take(Err(format!(
                    "row{which} of table {:?} has {size} bytes, more than an item of a store may have",
                    table.name
                )))?;
                continue;
            }
            let mut found = Vec::with_capacity(table.columns.len());
            for (at, name) in table.columns.iter().enumerate() {
                found.push((name.clone(), cell(row.get_ref(at + 2).map_err(failed)?)));
            }
            let (table, key) = (table.name.clone(), table.key.clone());
            take(Ok(Row { table, number, cells: found, key }))?;
        }
        Ok(())
    }

    /// The rows of a query that are not too large; the others are told.
    pub(crate) fn rows(&self, table: &str, rest: &str, parameters: &[&str]) -> Result<Vec<Row>, Failure> {
        let mut found = Vec::new();
        self.each(table, rest, parameters, &mut |row| {
            // One that is too large is told where all rows are gone through.
            found.extend(row.ok());
            Ok(())
        })?;
        Ok(found)
    }
}

impl Row {
    fn cell(&self, column: &str) -> Option<&Cell> {
        self.cells.iter().find(|(name, _)| name == column).map(|(_, cell)| cell)
    }

    pub(crate) fn text(&self, column: &str) -> Option<&str> {
        match self.cell(column)? {
            Cell::Text(text) => Some(text),
            Cell::Null | Cell::Integer(_) | Cell::Real(_) | Cell::Bytes { .. } => None,
        }
    }

    pub(crate) fn bytes(&self, column: &str) -> Option<&[u8]> {
        match self.cell(column)? {
            Cell::Text(text) => Some(text.as_bytes()),
            Cell::Bytes { bytes, .. } => Some(bytes),
            Cell::Null | Cell::Integer(_) | Cell::Real(_) => None,
        }
    }

    /// The value as JSON; nothing for what is NULL.
    pub(crate) fn json(&self, column: &str) -> Option<String> {
        self.cell(column).filter(|cell| **cell != Cell::Null).map(to_json)
    }

    /// All of it, as an object.
    pub(crate) fn raw(&self) -> String {
        let members: Vec<String> =
            self.cells.iter().map(|(name, cell)| format!("{}:{}", quoted(name), to_json(cell))).collect();
        format!("{{{}}}", members.join(","))
    }

    /// A name that it has among all rows of its database. Numbers of rows that are no key change when SQLite packs a file.
    pub(crate) fn name(&self) -> String {
        let key: Vec<String> = self.key.iter().filter_map(|column| self.json(column)).collect();
        match self.number.filter(|_| key.is_empty()) {
            Some(number) => format!("{}-{number}", self.table),
            None => format!("{}-{}", self.table, key.join("-").replace('"', "")),
        }
    }

    /// The record that it is.
    pub(crate) fn record(&self, name: String, line: Line) -> Record {
        let place =
            Place::Row { table: self.table.clone(), row: self.number.filter(|_| self.has_number_as_key()) };
        Record { name, place, raw: self.raw(), line }
    }

    fn has_number_as_key(&self) -> bool {
        match self.key.as_slice() {
            [] => true,
            [key] => matches!(self.cell(key), Some(Cell::Integer(number)) if Some(*number) == self.number),
            _ => false,
        }
    }

    /// The time that a column has: a number from 1970, or a text, which is in UTC where it says nothing else.
    pub(crate) fn time(&self, column: &str) -> Option<Timestamp> {
        let json = match self.cell(column)? {
            Cell::Text(text) => return utc(text),
            other @ (Cell::Null | Cell::Integer(_) | Cell::Real(_) | Cell::Bytes { .. }) => to_json(other),
        };
        time(Raw::of(&json)?)
    }
}

fn to_json(cell: &Cell) -> String {
    match cell {
        Cell::Null => "null".to_owned(),
        Cell::Integer(number) => number.to_string(),
        // JSON has no infinities.
        Cell::Real(number) if !number.is_finite() => format!(r#"{{"real":"{number}"}}"#),
        Cell::Real(number) => serde_json::Value::from(*number).to_string(),
        Cell::Text(text) => quoted(text),
        Cell::Bytes { bytes, is_text } => {
            let kind = if *is_text { "text_base64" } else { "base64" };
            format!(r#"{{"{kind}":"{}"}}"#, STANDARD.encode(bytes))
        }
    }
}

fn cell(value: ValueRef<'_>) -> Cell {
    match value {
        ValueRef::Null => Cell::Null,
        ValueRef::Integer(number) => Cell::Integer(number),
        ValueRef::Real(number) => Cell::Real(number),
        ValueRef::Text(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => Cell::Text(text.to_owned()),
            Err(_) => Cell::Bytes { bytes: bytes.to_owned(), is_text: true },
        },
        ValueRef::Blob(bytes) => Cell::Bytes { bytes: bytes.to_owned(), is_text: false },
    }
}

fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The tables that hold rows of their own: not views, nor those that a module of SQLite keeps or makes up.
fn tables(connection: &Connection) -> rusqlite::Result<Vec<Table>> {
    let listed: Vec<(String, i64)> = connection
        .prepare("SELECT name, wr FROM pragma_table_list WHERE schema='main' AND type='table' ORDER BY name")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    let mut tables = Vec::new();
    for (name, without_numbers) in listed {
        let mut columns = Vec::new();
        let mut key = Vec::new();
        let mut statement = connection.prepare("SELECT name, pk FROM pragma_table_info(?1)")?;
        let mut found = statement.query([&name])?;
        while let Some(row) = found.next()? {
            let column: String = row.get(0)?;
            if row.get::<_, i64>(1)? > 0 {
                key.push(column.clone());
            }
            columns.push(column);
        }
        let is_hidden = columns.iter().any(|column| column.eq_ignore_ascii_case("rowid"));
        let is_numbered = without_numbers == 0 && !is_hidden;
        tables.push(Table { name, columns, key, is_numbered });
    }
    Ok(tables)
}

/// The name by which SQLite opens it and writes nothing.
fn uri(path: &Path) -> Result<String, Error> {
    let Some(name) = path.to_str() else {
        return Err(Error::invalid("its name is not UTF-8; give it another one").at(path, None));
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte);
    let escaped: String = name
        .bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02x}") })
        .collect();
    let beside = |end: &str| {
        let path = PathBuf::from(format!("{name}{end}"));
        path.symlink_metadata().ok().map(|seen| seen.len())
    };
    let start = if name.starts_with('/') { "file:" } else { "file:./" };
    let how = match (is_wal(path)?, beside("-wal"), beside("-shm")) {
        // Nothing is written to it but through a log that would lie there.
        (true, None | Some(0), None) => "immutable=1",
        // SQLite would make the file that is missing, in the tool's directory.
        (true, Some(_), None) => {
            let text = "its -wal file is there and its -shm file is not; open it once with its tool, or copy it with its -wal \
                        file and import the copy after `sqlite3 COPY .tables`";
            return Err(Error::invalid(text).at(path, None));
        }
        (true, ..) => "readonly_shm=1",
        (false, ..) => "cache=private",
    };
    Ok(format!("{start}{escaped}?mode=ro&{how}"))
}

/// Whether its header says that it is written through a log beside it.
fn is_wal(path: &Path) -> Result<bool, Error> {
    let head = crate::lines::Source::File(path.to_owned()).head(100);
    let head = match head {
        Ok(head) => head.unwrap_or_default(),
        Err(Failure::Store(error) | Failure::Input(error)) => return Err(error),
        Err(_) => Vec::new(),
    };
    if !head.starts_with(MAGIC) {
        return Err(Error::invalid("it is no SQLite database").at(path, None));
    }
    Ok(head.get(18..20) == Some(&[2, 2]))
}

fn unread(path: &Path, error: &rusqlite::Error) -> Error {
    Error::new(ErrorKind::InvalidInput, format!("it cannot be read as an SQLite database: {error}"))
        .at(path, None)
}
