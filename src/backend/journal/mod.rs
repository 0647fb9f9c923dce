//! The backend on a store of objects, whichever it is.
//!
//! Owns a log of which each object is made under a name that only one writer can get; specified in docs/journal.md. A bucket comes in
//! by the small trait [`Objects`]. No lock, no lease and no clock: whoever finds a place taken reads what is there, judges again and
//! tries the next. The way of a mutation: `engine` → `queue` (who comes at the same time shares an object) → `commit` → the rules →
//! `group` → `tries` → the bucket → `journal` → `state`. The way of a read: `engine` → `freshness` → `journal` → `reads` → `documents`.
//! Where people query documents, they come in by the trait [`Projection`](projection::Projection): `background` → `projector` → `touches`.

pub(crate) mod objects;

pub(crate) mod projection;

mod names;

mod tries;

mod touches;

mod group;

mod slot;

mod state;

mod documents;

mod opening;

mod chain;

mod reads;

mod freshness;

mod commit;

mod cursor_object;

mod unread;

mod publish;

mod chapters;

mod covering;

mod compaction;

mod events;

mod consuming;

mod history;

mod verify;

mod projector;

mod background;

mod compared;

mod upkeep;

mod stats;

mod engine;

pub(crate) mod files;

pub(crate) use engine::Engine;
pub(crate) use verify::verify;

#[cfg(test)]
mod tests;
