//! The SQL backend on an SQLite file.
//!
//! Owns the opening of the file. What is in it is the business of `backend/sql/`.

mod connection;

mod connector;

mod errors;

mod search;

use std::path::Path;
use std::sync::Arc;

use super::Backend;
use super::settings::Settings;
use super::sql::{Engine, repair_in_place as repair};
use crate::error::Result;
use crate::model::RepairReport;
pub(crate) use connector::SqliteConnector;

/// Opens the store in a file, making it if there is none and the store is to be written.
pub(crate) fn open(path: &Path, settings: Settings) -> Result<Arc<dyn Backend>> {
    let connector = SqliteConnector::new(path, &settings);
    Ok(Arc::new(Engine::open(Arc::new(connector), settings)?))
}

/// Rebuilds the tables of the store in a file from its events.
pub(crate) fn repair_in_place(path: &Path, settings: &Settings) -> Result<RepairReport> {
    repair(&SqliteConnector::new(path, settings), settings)
}
