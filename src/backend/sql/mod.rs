//! The backend on an SQL database, whichever it is.
//!
//! Owns the tables and what is written and asked; specified in docs/sql.md. A database comes in by the small trait
//! [`Connector`](connection::Connector). The truth is a table of events in the log's encoding; what they led to is kept
//! beside it, in the same transaction. The way of a mutation: `engine` → `queue` (who comes at the same time shares a
//! transaction) → `writer` → `load` or `known` → `judge` and the rules → `plan` → the connection. The way of a read: `engine` → `pool` → `reads`, `messages`
//! or `events`.

pub(crate) mod connection;

pub(crate) mod waiting;

mod columns;

mod copied_from;

mod consumers;

mod schema;

mod meta;

mod lists;

mod load;

mod plan;

mod judge;

mod known;

mod writer;

mod queue;

mod pool;

mod reads;

mod messages;

mod events;

mod history;

mod doorbell;

mod search_index;

mod search_check;

mod search;

mod tables;

mod outline;

mod fold;

mod compare;

mod verify;

mod repair;

mod readable;

mod remains;

mod pieces;

mod salvaged;

mod engine;

mod erased_rows;

mod erase;

pub(crate) use engine::{Engine, syncs_each};
pub(crate) use repair::in_place as repair_in_place;
pub(crate) use salvaged::Salvaged;

#[cfg(test)]
#[cfg(feature = "sqlite")]
mod tests;
