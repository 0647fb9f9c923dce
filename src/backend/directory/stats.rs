//! How large a store is.
//!
//! Owns the counting, from what is known without reading any file.

use std::sync::PoisonError;

use super::reads::ReadState;
use crate::codec::bytes::to_u64;
use crate::codec::checkpoint::FileState;
use crate::index::Found;
use crate::model::{Order, Stats};

/// How large a store is.
pub(crate) fn stats(reads: &ReadState) -> Stats {
    let damaged = reads.damaged_count();
    let index = reads.index();
    let checkpoint = index.checkpoint();
    let summaries = index.summaries(Order::Created, None);
    let segments = reads.segments();
    let intact = checkpoint.entries().filter(|entry| entry.state == FileState::Intact);
    let log_bytes = segments.iter().filter_map(|s| s.file.metadata().ok()).map(|metadata| metadata.len).sum();
    Stats {
        conversations: to_u64(summaries.len()),
        messages: summaries.iter().map(|summary| summary.messages).sum(),
        actions: summaries.iter().map(|summary| summary.actions).sum(),
        damaged: to_u64(damaged),
        held: to_u64(index.holds().count()),
        last_seq: index.next_seq() - 1,
        covered_seq: checkpoint.head().covered_seq,
        dirty_conversations: to_u64(index.dirty_count()),
        segments: to_u64(segments.len()),
        log_bytes,
        snapshot_bytes: intact.map(|entry| entry.file.len).sum(),
        epoch: checkpoint.head().epoch,
        index_bytes: to_u64(index.list_bytes()),
        compaction_error: None,
        documents_seq: None,
        documents_error: None,
        consumers: Vec::new(),
        // The handle has them from what is kept in a conversation.
        retention: None,
        retention_error: None,
    }
}

impl ReadState {
    /// How many conversations cannot be read because of their files.
    fn damaged_count(&self) -> usize {
        let index = self.index();
        let suspects = self.suspects.read().unwrap_or_else(PoisonError::into_inner);
        let is_suspect = |found: &Found<'_>| match found {
            Found::Damaged(_) => true,
            Found::Slot(slot) => {
                slot.is_held || (suspects.contains_key(&slot.summary.id) && slot.needs_file())
            }
            Found::Checkpoint(entry, _) => suspects.contains_key(entry.id),
            Found::Nothing => false,
        };
        index.order().filter(is_suspect).count()
    }
}
