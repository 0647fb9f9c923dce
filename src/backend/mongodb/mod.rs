//! The journal in a MongoDB database, and beside it documents that people query.
//!
//! Owns the way to it, over the official driver: the URL, the client with its deadlines and concerns, objects as documents, and errors that say
//! what to do and show no secret. Specified in docs/mongodb.md. What the objects mean is the business of `backend/journal/`.

mod target;

mod errors;

mod link;

mod objects;

mod values;

mod shapes;

mod updates;

mod documents;

use std::sync::Arc;

use super::Backend;
use super::journal::Engine;
use super::journal::objects::Objects;
use super::settings::Settings;
use crate::error::Result;
use crate::model::RepairReport;
use documents::Documents;
use link::Link;
use objects::DatabaseObjects;
pub use target::MongoUrl;

/// The objects of a database, such as a backup is of.
pub(crate) fn objects(target: &MongoUrl) -> Result<Arc<dyn Objects>> {
    Ok(Arc::new(DatabaseObjects::new(Arc::new(Link::open(target)?))))
}

fn engine(target: &MongoUrl, settings: Settings) -> Result<Engine> {
    let link = Arc::new(Link::open(target)?);
    let objects = Arc::new(DatabaseObjects::new(Arc::clone(&link)));
    Engine::open_with(objects, Some(Arc::new(Documents::new(link))), settings)
}

/// Opens the store in a database, making it if there is none and it is to be written.
pub(crate) fn open(target: &MongoUrl, settings: Settings) -> Result<Arc<dyn Backend>> {
    Ok(Arc::new(engine(target, settings)?))
}

/// Makes the documents anew that are not as the log has them.
pub(crate) fn repair_in_place(target: &MongoUrl, settings: Settings) -> Result<RepairReport> {
    let engine = engine(target, settings)?;
    let report = engine.repair_documents()?;
    engine.close()?;
    Ok(report)
}
