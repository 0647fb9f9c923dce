//! Values: what a conversation, a message, an action, a mutation and an event *are*.
//!
//! Owns the vocabulary of the whole crate. Knows no bytes on disk, no files, no clocks and no random
//! sources: whatever is here can be built, compared and printed in a test without a store.

mod text;

mod json;

mod timestamp;

mod conversation;

mod borrowed;

mod event;

mod logged;

mod edit;

mod mutation;

mod near;

mod page;

mod listing;

mod receipt;

mod report;

mod search;

mod backup;

mod tombstone;

mod copying;

mod fork;

mod history;

mod keep;

mod retention;

mod consumer;

mod open_reply;

mod erasure;

mod difference;

pub use backup::{BackupReport, Moment, RestoreReport};
pub use borrowed::{MessageRef, TextRef};
pub(crate) use consumer::is_consumer_name;
pub use consumer::{Begin, ConsumerCursor, ConsumerStatus, MAX_CONSUMER_NAME};
pub use conversation::{Action, Conversation, Message, Summary};
pub use copying::{CopyMark, CopyProgress, CopyReport, CopyStage};
pub use difference::{Difference, ItemDifference};
pub use edit::{ActionEdit, Edit};
pub use erasure::{Erasure, ErasureReport, KeptReceipt, Matched};
pub use event::{Change, Event, Seq, Version};
pub use fork::{Fork, ForkPoint, ForkedFrom};
pub use history::{At, History, HistoryBase, PastEvent};
pub use json::JsonObject;
pub(crate) use keep::whole_seconds;
pub use keep::{Keep, KeptHistory};
pub use listing::{Conversations, ListCursor};
pub use logged::Logged;
pub use mutation::{Mutation, NewAction, NewConversation, NewMessage, Operation, UniqueIds};
pub use near::near_miss;
pub use open_reply::OpenReply;
pub use page::{Cursor, Messages, Order};
pub(crate) use page::{TimeMatch, activity_key};
pub use receipt::{Durability, Receipt};
pub use report::{
    CompactionReport, DamagedFile, ExportReport, Loss, OrphanedEvents, RecoveryReport, RepairReport, Stats,
    TornTail, VerifyReport,
};
pub use retention::{PruneReport, Pruned, Retention, RetentionPolicy, StoredRetention};
pub use search::{Found, Search, SearchIndex, SearchOrder, Snippet};
pub use text::{NotWtf8, Text};
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(crate) use timestamp::DAY_MICROS;
pub use timestamp::{Timestamp, Zone};
pub use tombstone::{RemovalReason, Tombstone};

/// The most bytes of UTF-8 that one text (a message's content, a title, a role) may have: 64 MiB.
///
/// It is enforced when a mutation is accepted, so nothing that was acknowledged can be too long to read.
pub const MAX_TEXT_BYTES: usize = 64 << 20;

/// The most bytes of JSON text that one `metadata` or `data` object may have: 64 MiB.
pub const MAX_JSON_BYTES: usize = 64 << 20;

/// The most bytes of UTF-8 that a conversation, message or action id may have.
pub const MAX_ID_BYTES: usize = 1024;

/// The most bytes of UTF-8 that an idempotency key may have.
pub const MAX_KEY_BYTES: usize = 512;

/// The deepest nesting of JSON that is read. The original cannot write deeper than its interpreter's
/// recursion limit of 1,000.
pub const MAX_JSON_DEPTH: usize = 1024;

/// The most mutations that one atomic batch may hold.
pub const MAX_BATCH_EVENTS: usize = 100_000;
