//! The journal in a Firestore database.
//!
//! Owns the way to it, over the API's version 1 in JSON: URLs, credentials, tokens, deadlines, documents within the service's limits, and
//! errors that say what to do and show no secret; specified in docs/firestore.md. What the objects are is the business of
//! `backend/journal/`.

mod target;

mod errors;

mod credentials;

mod tokens;

mod client;

mod layout;

mod values;

mod documents;

mod store;

mod json;

mod shapes;

mod queries;

use std::path::PathBuf;
use std::sync::Arc;

use super::Backend;
use super::journal::Engine;
use super::journal::objects::Objects;
use super::journal::projection::Projection;
use super::settings::Settings;
use crate::error::Result;
use crate::model::RepairReport;
use client::Client;
use layout::Layout;
use queries::Queries;
use store::Database;
pub use target::FirestoreUrl;

/// The objects of a database, which has to be there.
pub(crate) fn objects(target: &FirestoreUrl) -> Result<Arc<dyn Objects>> {
    Ok(Arc::new(database(target)?))
}

fn database(target: &FirestoreUrl) -> Result<Database> {
    let setup = credentials::find(target, &|name| std::env::var(name).ok())?;
    let (client, layout) = (Client::new(setup)?, Layout::of(target));
    Ok(Database { client, layout, place: PathBuf::from(target.to_string()) })
}

/// Opens the store in a database, making it if there is none and it is to be written. The database has to be there.
pub(crate) fn open(target: &FirestoreUrl, settings: Settings) -> Result<Arc<dyn Backend>> {
    Ok(Arc::new(engine(target, settings)?))
}

/// Makes the documents to query anew that are not as the journal has them. Nothing else is repaired where it is.
pub(crate) fn repair_in_place(target: &FirestoreUrl, settings: Settings) -> Result<RepairReport> {
    let engine = engine(target, settings)?;
    let report = engine.repair_documents()?;
    engine.close()?;
    Ok(report)
}

fn engine(target: &FirestoreUrl, settings: Settings) -> Result<Engine> {
    let database = Arc::new(database(target)?);
    let queries: Arc<dyn Projection> = Arc::new(Queries { database: Arc::clone(&database) });
    Engine::open_with(database, target.keeps_documents.then_some(queries), settings)
}
