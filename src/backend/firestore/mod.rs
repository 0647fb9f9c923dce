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

use std::path::PathBuf;
use std::sync::Arc;

use super::Backend;
use super::journal::Engine;
use super::journal::objects::Objects;
use super::settings::Settings;
use crate::error::Result;
use client::Client;
use layout::Layout;
use store::Database;
pub use target::FirestoreUrl;

/// The objects of a database, which has to be there.
pub(crate) fn objects(target: &FirestoreUrl) -> Result<Arc<dyn Objects>> {
    let setup = credentials::find(target, &|name| std::env::var(name).ok())?;
    let (client, layout) = (Client::new(setup)?, Layout::of(target));
    Ok(Arc::new(Database { client, layout, place: PathBuf::from(target.to_string()) }))
}

/// Opens the store in a database, making it if there is none and it is to be written. The database has to be there.
pub(crate) fn open(target: &FirestoreUrl, settings: Settings) -> Result<Arc<dyn Backend>> {
    Ok(Arc::new(Engine::open(objects(target)?, settings)?))
}
