//! The SQL backend on a PostgreSQL server.
//!
//! Owns the opening. What is in the database is the business of `backend/sql/`; what is different about a server that is
//! elsewhere, and may go away and come back, is here.

mod target;

mod errors;

mod search;

mod tls;

mod calls;

mod values;

mod rows;

mod trip;

mod rewriting;

mod views;

mod listener;

mod connection;

mod preparing;

mod pooling;

mod connector;

use std::sync::Arc;

use super::Backend;
use super::settings::Settings;
use super::sql::{Engine, Salvaged, repair_in_place as repair};
use crate::error::Result;
use crate::model::RepairReport;
use connector::PostgresConnector;
pub use target::PostgresUrl;

/// Opens the store in a database, making its tables if there are none and the store is to be written.
pub(crate) fn open(target: PostgresUrl, settings: Settings) -> Result<Arc<dyn Backend>> {
    let connector = PostgresConnector::new(target, &settings)?;
    Ok(Arc::new(Engine::open(Arc::new(connector), settings)?))
}

/// Rebuilds the tables of the store in a database from its events.
pub(crate) fn repair_in_place(target: PostgresUrl, settings: &Settings) -> Result<RepairReport> {
    repair(&PostgresConnector::new(target, settings)?, settings)
}

/// Reads what can be read of the store in a damaged database.
pub(crate) fn salvage(target: PostgresUrl, settings: &Settings) -> Result<Salvaged> {
    Salvaged::open(&PostgresConnector::new(target, settings)?)
}
