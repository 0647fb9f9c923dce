//! A crash-safe store for the conversations of LLM agents.
//!
//! Every mutation is one checksummed record appended to a log; opening replays the log into indexes in
//! memory; compaction writes plain JSON files in the layout of the Python framework Aral and drops the log
//! that they cover. Nothing is ever lost, skipped, hidden or deleted in silence.

#![forbid(unsafe_op_in_unsafe_fn)]

pub mod model;

pub mod error;

mod codec;

pub mod vfs;

mod clock;

#[cfg(feature = "encryption")]
mod sealed;

mod rules;

mod search;

mod log;

mod index;

mod snapshot;

mod backend;

mod store;

// Public only because fuzzers and tests are other crates.
#[doc(hidden)]
pub mod fuzzing;

pub use backend::cursors::{Cursors, HeldCursor, KeptConsumer};
pub use backend::follow::Follower;
pub use backend::settings::SyncPolicy;
pub use backend::{Backend, Erasing, Where};
pub use clock::{Clock, IdSource, IdVersion};
pub use codec::{ExportEnd, ExportLine, JsonObjectBuilder};
pub use error::{Error, ErrorKind, Place, Result};
pub use model::{
    Action, ActionEdit, At, BackupReport, Begin, Change, CompactionReport, ConsumerCursor, ConsumerStatus,
    Conversation, Conversations, CopyMark, CopyProgress, CopyReport, CopyStage, Cursor, DamagedFile,
    Difference, Durability, Edit, Erasure, ErasureReport, Event, ExportReport, Fork, ForkPoint, ForkedFrom,
    Found, History, HistoryBase, ItemDifference, JsonObject, Keep, KeptHistory, KeptReceipt, ListCursor,
    Logged, Loss, MAX_BATCH_EVENTS, MAX_CONSUMER_NAME, MAX_ID_BYTES, MAX_JSON_BYTES, MAX_JSON_DEPTH,
    MAX_KEY_BYTES, MAX_TEXT_BYTES, Matched, Message, MessageRef, Messages, Moment, Mutation, NewAction,
    NewConversation, NewMessage, NotWtf8, OpenReply, Operation, Order, OrphanedEvents, PastEvent,
    PruneReport, Pruned, Receipt, RecoveryReport, RemovalReason, RepairReport, RestoreReport, Retention,
    RetentionPolicy, Search, SearchIndex, SearchOrder, Seq, Snippet, Stats, StoredRetention, Summary, Text,
    TextRef, Timestamp, Tombstone, TornTail, UniqueIds, VerifyReport, Version, Zone, near_miss,
};
#[cfg(feature = "encryption")]
pub use sealed::Key;
#[cfg(feature = "cloud")]
pub use store::CloudUrl;
#[cfg(feature = "firestore")]
pub use store::FirestoreUrl;
#[cfg(feature = "mongodb")]
pub use store::MongoUrl;
#[cfg(feature = "postgres")]
pub use store::PostgresUrl;
pub use store::location;
pub use store::{Batch, Consumer, MessageStore, Options, Replica, Reply, StoreAt, StoreUrl};

/// Keeps the README's example compiling.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeExample;
