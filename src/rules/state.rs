//! What the rules need to know of a store.
//!
//! Owns the small trait by which every backend answers them.

use super::key_table::KeyRecord;
use crate::error::Error;
use crate::model::{Seq, Version};

/// How a conversation stands.
#[derive(Clone, Debug, Default)]
pub(crate) struct ConversationState {
    pub(crate) exists: bool,
    /// 0 if it does not exist.
    pub(crate) version: Version,
    /// Of its newest event; tells states apart that have the same version.
    pub(crate) last_seq: Seq,
    pub(crate) messages: u64,
    pub(crate) actions: u64,
    /// Why its file cannot be read.
    pub(crate) damage: Option<Error>,
}

/// What the rules need to know of a store.
pub(crate) trait StateView {
    fn state(&self, conversation_id: &str) -> ConversationState;
    fn find_key(&self, key: &str) -> Option<KeyRecord>;
}
