//! The store for Python: a thin native module under the package `aral_store`.
//!
//! Owns the crossing and nothing else. Values cross as JSON text in the forms of the command line, which hold all that
//! Python's `json` can hold, so nothing is lost on the way. The interpreter is let go of in every call.

mod consumer;
mod core;
mod failure;
mod follower;
mod items;
mod key;
mod offline;
mod place;
mod removal;
mod reply;
mod report;
mod search;
mod text;
mod value;

use pyo3::prelude::*;

/// The native part of `aral_store`; `_core.pyi` says what is in it.
#[pymodule(gil_used = false)]
mod _core {
    #[pymodule_export]
    use crate::consumer::{Consumer, consume, consumers, remove_consumer, reset_consumer};
    #[pymodule_export]
    use crate::core::Core;
    #[pymodule_export]
    use crate::follower::Follower;
    #[pymodule_export]
    use crate::items::parsed;
    #[pymodule_export]
    use crate::offline::{rekey, repair, verify};
    #[pymodule_export]
    use crate::place::database;
    #[pymodule_export]
    use crate::removal::{
        clear_retention, erase, erase_where, prune, receipts, remnants, retention, set_retention,
    };
    #[pymodule_export]
    use crate::reply::{Reply, open_replies, stream};
    #[pymodule_export]
    use crate::search::{drop_search_index, index_search, search, search_index};
}
