//! Making connections to an SQLite file.
//!
//! Owns the settings that each connection has: the log that is written ahead, how much a commit is synced, and how long
//! others are waited for.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::OpenFlags;
use rusqlite::config::DbConfig;

use super::connection::SqliteConnection;
use super::errors;
use super::search::SEARCH;
use super::still::Still;
use crate::backend::deadline::Deadline;
use crate::backend::settings::Settings;
use crate::backend::sql::connection::{Connection, Connector, Dialect, Purpose};
use crate::backend::sql::syncs_each;
use crate::backend::sql::waiting::patience;
use crate::error::{Error, ErrorKind, Result};
use crate::vfs::{FileKind, OpenMode, Vfs};

/// How many statements a connection keeps prepared.
const PREPARED: usize = 64;

/// How many pages the log ahead has when they are copied into the file. Who commits then does it, and each page that was written many times
/// meanwhile is copied once: four times as many as SQLite would wait for, 16 MB.
const LOG_PAGES: u32 = 4000;

/// How much of the file a connection that reads keeps in memory at most, in KiB. Whatever does not fit into it is fetched by a call of the system for each page, which took a
/// third of a look-up where SQLite's own 2 MB were too few.
const CACHE_KIB: i64 = 8 * 1024;

/// Makes connections to one file.
#[derive(Debug)]
pub(crate) struct SqliteConnector {
    path: PathBuf,
    vfs: Arc<dyn Vfs>,
    patience: Duration,
    is_read_only: bool,
    syncs_each: bool,
}

impl SqliteConnector {
    pub(crate) fn new(path: &Path, settings: &Settings) -> Self {
        Self {
            path: path.to_owned(),
            vfs: Arc::clone(&settings.vfs),
            patience: patience(settings.wait),
            is_read_only: settings.is_read_only,
            syncs_each: syncs_each(settings.sync),
        }
    }

    /// Makes an empty file if there is none: SQLite would make one that others may read.
    fn make_file(&self) -> Result<()> {
        match self.vfs.open(&self.path, OpenMode::CreateNew) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                Err(Error::io("make the database", &self.path, error))
            }
            Ok(_) | Err(_) => Ok(()),
        }
    }

    fn open(&self, purpose: Purpose) -> Result<rusqlite::Connection> {
        // SQLite calls it an error of the disk.
        if self.vfs.metadata(&self.path).is_ok_and(|metadata| metadata.kind == FileKind::Directory) {
            let reason = "this is a directory, and a store in SQLite is a file: name one, or leave sqlite: out for the store in \
                          the directory";
            return Err(Error::invalid(reason).at(&self.path, None));
        }
        let access = if self.is_read_only {
            OpenFlags::SQLITE_OPEN_READ_ONLY
        } else {
            OpenFlags::SQLITE_OPEN_READ_WRITE
        };
        if purpose != Purpose::Read && !self.is_read_only {
            self.make_file()?;
        }
        // Not as a URI: what stands behind the scheme is a path, whatever it looks like.
        let opened =
            rusqlite::Connection::open_with_flags(&self.path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX);
        let error = match opened {
            Ok(connection) => return Ok(connection),
            Err(error) => error,
        };
        match self.vfs.metadata(&self.path) {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
                Err(Error::new(ErrorKind::NotFound, "there is no such database").at(&self.path, None))
            }
            Ok(_) | Err(_) => Err(errors::of("open the database", &self.path, &error)),
        }
    }

    /// Sets a connection up.
    fn set_up(&self, connection: &mut rusqlite::Connection, purpose: Purpose) -> rusqlite::Result<()> {
        connection.set_prepared_statement_cache_capacity(PREPARED);
        // A statement is planned once, whatever values it gets. SQLite would plan it anew for each of them.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        let (patience, mut deadline) = (self.patience, None);
        connection.busy_handler(Some(move |tries: i32| {
            let tries = u32::try_from(tries).unwrap_or_default();
            if tries == 0 {
                deadline = None;
            }
            deadline.get_or_insert_with(|| Deadline::after(patience)).pause(tries)
        }))?;
        let is_durable = matches!(purpose, Purpose::WriteDurably | Purpose::Migrate) || self.syncs_each;
        connection.pragma_update(None, "synchronous", if is_durable { "FULL" } else { "NORMAL" })?;
        connection.pragma_update(None, "wal_autocheckpoint", LOG_PAGES)?;
        if purpose == Purpose::Read {
            connection.pragma_update(None, "query_only", true)?;
            connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
        }
        Ok(())
    }

    fn connection(&self, inner: rusqlite::Connection, still: Option<Still>) -> SqliteConnection {
        SqliteConnection::new(inner, &self.path, (Arc::clone(&self.vfs), still), self.patience)
    }

    /// Reads something, if nothing else will be done: that files cannot be made beside the database shows only then.
    fn try_to_read(&self, connection: &rusqlite::Connection) -> rusqlite::Result<()> {
        if !self.is_read_only {
            return Ok(());
        }
        connection.query_row("SELECT COUNT(*) FROM sqlite_master", (), |_| Ok(()))
    }

    /// Connects to a file that nobody writes, where nothing can be made beside it.
    pub(super) fn connect_to_still(&self) -> Result<Box<dyn Connection>> {
        // Order: it is looked at before it is opened. Reversed, what happens between would not be seen.
        let still = Still::of(&self.path, &self.vfs)?;
        let flags =
            OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let failed = |error| errors::of("open the database", &self.path, &error);
        let mut inner = rusqlite::Connection::open_with_flags(still.name(), flags).map_err(failed)?;
        self.set_up(&mut inner, Purpose::Read).and_then(|()| self.try_to_read(&inner)).map_err(failed)?;
        Ok(Box::new(self.connection(inner, Some(still))))
    }

    /// Has the file written by a log ahead, so that readers and the writer do not wait for one another.
    fn write_ahead(&self, connection: &rusqlite::Connection) -> Result<()> {
        let mode = |change: &str| {
            connection.query_row(&format!("PRAGMA journal_mode{change}"), (), |row| row.get::<_, String>(0))
        };
        // SQLite does not always wait here, but says that it is busy.
        let switched = Deadline::after(self.patience).wait(|| {
            let tried = mode("").and_then(|now| if now == "wal" { Ok(now) } else { mode(" = WAL") });
            match tried {
                Err(error) if errors::is_busy(&error) => Ok(None),
                Err(error) => Err(errors::of("open the database", &self.path, &error)),
                Ok(mode) => Ok(Some(mode)),
            }
        })?;
        match switched.as_deref() {
            Some("wal") => Ok(()),
            Some(_) => {
                let reason =
                    "SQLite cannot keep a write-ahead log here; put the database on a local file system";
                Err(Error::new(ErrorKind::Unsupported, reason).at(&self.path, None))
            }
            None => {
                let reason = "others have been using the database for as long as this call waits; try again";
                Err(Error::new(ErrorKind::Locked, reason).at(&self.path, None))
            }
        }
    }
}

impl Connector for SqliteConnector {
    fn dialect(&self) -> Dialect {
        Dialect {
            key: "INTEGER PRIMARY KEY",
            blob: "BLOB",
            count_tables: "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = ?1",
            search: &SEARCH,
            list_names: "SELECT name FROM sqlite_master WHERE type IN ('table', 'index')",
        }
    }

    fn place(&self) -> &Path {
        &self.path
    }

    fn files(&self) -> Vec<PathBuf> {
        let beside = |end: &str| {
            let mut name = self.path.as_os_str().to_owned();
            name.push(end);
            PathBuf::from(name)
        };
        vec![self.path.clone(), beside("-wal"), beside("-shm"), beside("-journal")]
    }

    fn connect(&self, purpose: Purpose) -> Result<Box<dyn Connection>> {
        let mut connection = self.open(purpose)?;
        let done = self.set_up(&mut connection, purpose).and_then(|()| self.try_to_read(&connection));
        if let Err(error) = done {
            return if self.is_read_only && errors::is_without_files(&error) {
                self.connect_to_still()
            } else {
                Err(errors::of("open the database", &self.path, &error))
            };
        }
        if purpose != Purpose::Read && !self.is_read_only {
            self.write_ahead(&connection)?;
        }
        Ok(Box::new(self.connection(connection, None)))
    }

    fn connect_to_damaged(&self) -> Result<Box<dyn Connection>> {
        let failed = |error| errors::of("open the database", &self.path, &error);
        let mut connection = self.open(Purpose::Read)?;
        // Order: before anything is read. Without the first, SQLite reads nothing of a file that was cut off; without the second, it makes
        // rows of what is no page.
        connection.pragma_update(None, "writable_schema", true).map_err(failed)?;
        connection.pragma_update(None, "cell_size_check", true).map_err(failed)?;
        self.set_up(&mut connection, Purpose::Read).map_err(failed)?;
        match self.try_to_read(&connection) {
            Err(error) if errors::is_without_files(&error) => self.connect_to_still(),
            // What cannot be read shows table by table.
            Ok(()) | Err(_) => Ok(Box::new(self.connection(connection, None))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::sql::connection::first;

    #[test]
    fn a_reader_keeps_more_pages_than_a_writer() {
        let dir = tempfile::tempdir().unwrap();
        let connector = SqliteConnector::new(&dir.path().join("store.db"), &Settings::default());
        let cache = |purpose| {
            let mut connection = connector.connect(purpose).unwrap();
            first(&mut *connection, "PRAGMA cache_size", &[], |row| row.int(0)).unwrap()
        };
        assert_eq!((cache(Purpose::Write), cache(Purpose::Read)), (Some(-2000), Some(-CACHE_KIB)));
    }
}
