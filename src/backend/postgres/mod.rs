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

mod connection;

mod pooling;

mod connector;

use std::sync::Arc;

use super::Backend;
use super::settings::Settings;
use super::sql::Engine;
use crate::error::Result;
use connector::PostgresConnector;
pub use target::PostgresUrl;

/// Opens the store in a database, making its tables if there are none and the store is to be written.
pub(crate) fn open(target: PostgresUrl, settings: Settings) -> Result<Arc<dyn Backend>> {
    let connector = PostgresConnector::new(target, &settings)?;
    Ok(Arc::new(Engine::open(Arc::new(connector), settings)?))
}
