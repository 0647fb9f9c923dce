//! The idempotency keys that were used, those of the checkpoint and those since.
//!
//! Owns what is remembered of a use. How many uses are remembered is [`KeyTable`](super::KeyTable)'s.

use super::Index;
use crate::codec::ids::IdView;
use crate::codec::payload::{ChangeView, EventView};
use crate::rules::KeyRecord;

impl Index {
    /// What the first use of a key returned.
    pub(crate) fn find_key(&self, key: &str) -> Option<KeyRecord> {
        self.keys.find(key).cloned().or_else(|| self.checkpoint.find_key(key).map(KeyRecord::from))
    }

    pub(super) fn newest_keys(&self, count: usize) -> Vec<(String, KeyRecord)> {
        let recent = self.keys.iter().rev().map(|(key, record)| (key.to_owned(), record.clone()));
        let mut keys: Vec<_> = recent.take(count).collect();
        let mut older: Vec<_> =
            self.checkpoint.keys().map(|entry| (entry.key.to_owned(), KeyRecord::from(entry))).collect();
        older.sort_by_key(|(_, record)| std::cmp::Reverse(record.seq));
        older.truncate(count - keys.len());
        keys.extend(older);
        keys
    }
}

/// The id of what an event is about.
pub(super) fn subject_bytes(view: &EventView<'_>, conversation_id: &str) -> Box<[u8]> {
    let of = |id: IdView<'_>| id.with_bytes(|bytes| bytes.into());
    match &view.change {
        ChangeView::AddMessage(message) | ChangeView::EditMessage { message, .. } => of(message.id),
        ChangeView::AddAction(action) | ChangeView::EditAction { action, .. } => of(action.id),
        ChangeView::RemoveMessage { id, .. }
        | ChangeView::RemoveAction { id, .. }
        | ChangeView::AppendText { id, .. } => of(*id),
        ChangeView::Create { .. }
        | ChangeView::SetTitle(_)
        | ChangeView::SetMetadata(_)
        | ChangeView::Clear
        | ChangeView::Remove
        | ChangeView::RemoveAt(_)
        | ChangeView::RemoveFor { .. }
        | ChangeView::SetVersion(_)
        | ChangeView::Reset { .. }
        | ChangeView::SetCreatedAt(_)
        | ChangeView::SetExtra(_) => conversation_id.as_bytes().into(),
    }
}
