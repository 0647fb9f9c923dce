//! The journal in a bucket of S3, Google Cloud Storage or Azure, or of a server that speaks as one of them does.
//!
//! Owns the way to it, over the `object_store` crate: URLs, credentials from where each cloud's tools look for them, deadlines, and errors that
//! say what to do and show no secret. What is in the bucket is the business of `backend/journal/`.

mod target;

mod errors;

mod client;

mod bucket;

use std::sync::Arc;

use super::Backend;
use super::journal::Engine;
use super::journal::objects::Objects;
use super::settings::Settings;
use crate::error::Result;
use bucket::CloudBucket;
pub(crate) use target::Cloud;
pub use target::CloudUrl;

/// The objects of a bucket, which has to be there.
pub(crate) fn objects(target: &CloudUrl) -> Result<Arc<dyn Objects>> {
    Ok(Arc::new(CloudBucket::new(target)?))
}

/// Opens the store in a bucket, making it if there is none and it is to be written. The bucket has to be there.
pub(crate) fn open(target: &CloudUrl, settings: Settings) -> Result<Arc<dyn Backend>> {
    Ok(Arc::new(Engine::open(objects(target)?, settings)?))
}
