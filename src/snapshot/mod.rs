//! The JSON layout of the original, and compaction into it.
//!
//! Owns the files outside `log/`, the checkpoints that describe them, and the protocol by which they change:
//! stage, commit with one checkpoint, publish by roll-forward, and only then delete. Knows no locks and no
//! threads of the store.

pub(crate) mod layout;

pub(crate) mod nested;

pub(crate) mod names;

pub(crate) mod bit_flip;

pub(crate) mod load;

mod row;

pub(crate) mod stray;

pub(crate) mod reconcile;

pub(crate) mod stat_check;

pub(crate) mod file_cache;

pub(crate) mod conversation_file;

pub(crate) mod segment_cache;

pub(crate) mod fetch;

pub(crate) mod sink;

pub(crate) mod held;

pub(crate) mod stage;

pub(crate) mod publish;

pub(crate) mod chapter_list;

pub(crate) mod keeping;

pub(crate) mod chapter_writer;

pub(crate) mod chapter;

pub(crate) mod gathering;

pub(crate) mod rewrite;
