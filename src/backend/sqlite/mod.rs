//! The SQL backend on an SQLite file.
//!
//! Owns the opening of the file. What is in it is the business of `backend/sql/`.

mod connection;

mod connector;

mod errors;

mod hold;

mod search;

mod still;

use std::path::Path;
use std::sync::Arc;

use super::Backend;
use super::settings::Settings;
use super::sql::{Engine, Salvaged, repair_in_place as repair};
use crate::error::Result;
use crate::model::RepairReport;
pub(crate) use connector::SqliteConnector;
pub(super) use errors::of as error_of;
pub(crate) use hold::hold;
pub(super) use search::query;

/// Opens the store in a file, making it if there is none and the store is to be written.
pub(crate) fn open(path: &Path, settings: Settings) -> Result<Arc<dyn Backend>> {
    let connector = SqliteConnector::new(path, &settings);
    Ok(Arc::new(Engine::open(Arc::new(connector), settings)?))
}

/// Rebuilds the tables of the store in a file from its events.
pub(crate) fn repair_in_place(path: &Path, settings: &Settings) -> Result<RepairReport> {
    repair(&SqliteConnector::new(path, settings), settings)
}

/// Reads what can be read of the store in a damaged file.
pub(crate) fn salvage(path: &Path, settings: &Settings) -> Result<Salvaged> {
    Salvaged::open(&SqliteConnector::new(path, settings))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::sql::connection::{Connection, first};
    use crate::error::ErrorKind;
    use crate::model::Mutation;

    fn add(path: &Path, text: &str) -> Arc<dyn Backend> {
        let engine = open(path, Settings::default()).unwrap();
        engine.append_one(Mutation::add_message("c1", text)).unwrap();
        engine
    }

    #[test]
    fn what_was_read_as_if_nobody_wrote_does_not_count_once_somebody_does() {
        let dir = tempfile::tempdir().unwrap();
        // No character of a path means anything to SQLite.
        let path = dir.path().join("a b%20?mode=rw&x#ü.db");
        drop(add(&path, "one"));
        let connector = SqliteConnector::new(&path, &Settings { is_read_only: true, ..Settings::default() });
        let count = |connection: &mut dyn Connection| {
            first(connection, "SELECT COUNT(*) FROM aral_message_rows", &[], |row| row.int(0))
        };
        let mut still = connector.connect_to_still().unwrap();
        assert_eq!(count(&mut *still).unwrap(), Some(1));
        let writer = add(&path, "two");
        assert_eq!(count(&mut *still).unwrap_err().kind(), ErrorKind::Io);
        assert!(!still.is_usable());
        // What is in the log would be missing.
        let refused = connector.connect_to_still().err().unwrap();
        assert!(refused.kind() == ErrorKind::ReadOnly && refused.to_string().contains("-wal"), "{refused}");
        drop(writer);
        let mut still = connector.connect_to_still().unwrap();
        assert_eq!(count(&mut *still).unwrap(), Some(2));
        // Somebody has come and gone.
        drop(add(&path, "three"));
        assert_eq!(count(&mut *still).unwrap_err().kind(), ErrorKind::Io);
        assert_eq!(count(&mut *connector.connect_to_still().unwrap()).unwrap(), Some(3));
    }
}
