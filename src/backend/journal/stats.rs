//! How much a store holds, and what an opening has found.
//!
//! Owns the counting of what the state has. Reads nothing.

use std::path::Path;

use super::state::{Kept, State};
use crate::codec::bytes::to_u64;
use crate::codec::checkpoint::{Entry, FileState};
use crate::model::{DamagedFile, Order, RecoveryReport, Stats};

/// What is known without asking anybody.
pub(super) fn of(state: &State) -> Stats {
    let list = state.list(Order::Created, None);
    let head = state.checkpoint.head();
    let is_there = |entry: &Entry<'_>| matches!(state.find(entry.id), Some(Kept::AsRecorded(_)));
    let damaged =
        state.checkpoint.entries().filter(|entry| entry.state != FileState::Intact && is_there(entry));
    Stats {
        conversations: to_u64(list.len()),
        messages: list.iter().map(|summary| summary.messages).sum(),
        actions: list.iter().map(|summary| summary.actions).sum(),
        last_seq: state.next_seq - 1,
        covered_seq: head.covered_seq,
        dirty_conversations: to_u64(state.slots.len()),
        segments: to_u64(state.places.len()),
        log_bytes: state.places.iter().map(|place| place.bytes).sum(),
        snapshot_bytes: state.checkpoint.entries().map(|entry| entry.file.len).sum(),
        epoch: head.epoch,
        damaged: to_u64(damaged.count()),
        ..Stats::default()
    }
}

/// What an opening found.
pub(super) fn found(state: &State, place: &Path) -> RecoveryReport {
    let head = state.checkpoint.head();
    let damaged = state.checkpoint.entries().filter(|entry| entry.state != FileState::Intact);
    let damaged = damaged.map(|entry| DamagedFile {
        path: place.to_owned(),
        offset: None,
        conversation_id: Some(entry.id.to_owned()),
        reason: entry.note.to_owned(),
        is_forbidden: false,
    });
    RecoveryReport {
        segments: state.places.len(),
        events: state.next_seq - 1 - head.covered_seq,
        last_seq: state.next_seq - 1,
        damaged: damaged.collect(),
        ..RecoveryReport::default()
    }
}
