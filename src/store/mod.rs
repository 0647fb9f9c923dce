//! The store as its users have it.
//!
//! Owns the public handle. Every call goes through one seam, [`Backend`](crate::Backend); callers never see which
//! backend is behind their handle.

pub mod location;

mod url;

mod options;

mod batch;

mod handle;

mod connect;

mod consumer;

mod consuming;

mod copying;

mod repair;

mod past;

mod undo;

mod prune;

mod retention;

mod fork;

mod erase;

mod reply;

mod backup;

#[cfg(feature = "cloud")]
pub use crate::backend::cloud::CloudUrl;
#[cfg(feature = "firestore")]
pub use crate::backend::firestore::FirestoreUrl;
#[cfg(feature = "mongodb")]
pub use crate::backend::mongodb::MongoUrl;
#[cfg(feature = "postgres")]
pub use crate::backend::postgres::PostgresUrl;
pub use backup::Replica;
pub use batch::Batch;
pub use consumer::Consumer;
pub use handle::MessageStore;
pub use options::Options;
pub use past::StoreAt;
pub use reply::Reply;
pub use url::StoreUrl;
