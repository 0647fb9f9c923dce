//! The keys of what is erased from an encrypted store.
//!
//! Owns when a conversation's key is retired, and when it is destroyed.

use std::sync::PoisonError;

use crate::backend::directory::engine::Engine;
use crate::error::{Error, Result};

impl Engine {
    /// Has the conversation's events sealed with another key from now on, in an encrypted store.
    pub(super) fn retire_keys(&self, id: &str) -> Result<()> {
        let Some(seal) = &self.seal else { return Ok(()) };
        // Order: behind what was sealed with the old key and is on its way to the log, so that the compaction takes it in.
        let _none_is_under_way = self.sealing.write().unwrap_or_else(PoisonError::into_inner);
        seal.retire(id).map_err(|error| Error::io("retire a key in", &self.reads().layout.keys(), error))
    }

    /// Destroys the keys that were retired, unless what is held of another conversation's damaged file lies in segments
    /// that need them to be read.
    pub(super) fn destroy_keys(&self, id: &str) -> Result<()> {
        let Some(seal) = &self.seal else { return Ok(()) };
        if !self.reads().index().checkpoint().held().segments.is_empty() {
            return Ok(());
        }
        seal.destroy_retired(id)
            .map_err(|error| Error::io("destroy a key in", &self.reads().layout.keys(), error))
    }
}
