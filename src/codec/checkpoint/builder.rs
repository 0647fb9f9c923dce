//! Putting a checkpoint's bytes together.
//!
//! Owns the order of the sections and the sorting of their tables. Reading them is the module above.

use super::removed::{self, ROW_LEN};
use super::{
    Checkpoint, CheckpointHead, Entry, FileState, Fingerprint, HEADER_LEN, Held, KEY_LEN, KeyEntry, MAGIC,
    TRAILER_LEN, TombstoneEntry, Tombstones, hash, zone_micros,
};
use crate::codec::bytes::to_u64;
use crate::model::Summary;

impl<'e> Entry<'e> {
    /// What a checkpoint says of a conversation whose file was written as it is.
    pub(crate) fn of(summary: &'e Summary, file_name: &'e str, file: Fingerprint) -> Self {
        Self {
            id: &summary.id,
            file_name,
            title: summary.title.as_wtf8(),
            note: "",
            state: FileState::Intact,
            is_canonical: true,
            is_listed: true,
            file,
            messages: summary.messages,
            actions: summary.actions,
            version: summary.version,
            last_seq: summary.last_seq,
            created_at: summary.created_at,
            last_activity: summary.last_activity,
        }
    }
}

/// Puts a checkpoint's bytes together, conversations in the snapshot's order.
#[derive(Default)]
pub(crate) struct CheckpointBuilder {
    entries: Vec<u8>,
    table: Vec<(u32, u32)>,
    keys: Vec<(u32, [u8; KEY_LEN])>,
    removed: Vec<(u32, [u8; ROW_LEN])>,
    heap: Vec<u8>,
    held: Held,
}

impl CheckpointBuilder {
    /// Adds a conversation.
    pub(crate) fn entry(&mut self, entry: &Entry<'_>) {
        let flags = match entry.state {
            FileState::Intact => 0_u16,
            FileState::Damaged => 1,
            FileState::Missing => 2,
        } | u16::from(entry.is_canonical) << 2
            | u16::from(entry.is_listed) << 3;
        self.table.push((hash(entry.id), u32::try_from(self.table.len()).unwrap_or(u32::MAX)));
        let out = &mut self.entries;
        out.extend(to_u64(self.heap.len()).to_le_bytes());
        out.extend(short(entry.id.len()).to_le_bytes());
        out.extend(short(entry.file_name.len()).to_le_bytes());
        out.extend(u32::try_from(entry.title.len()).unwrap_or(u32::MAX).to_le_bytes());
        let note: String = entry.note.chars().take(1000).collect();
        out.extend(short(note.len()).to_le_bytes());
        out.extend(flags.to_le_bytes());
        out.extend(entry.file.crc.to_le_bytes());
        out.extend(entry.file.len.to_le_bytes());
        out.extend(entry.file.modified_nanos.to_le_bytes());
        for field in [entry.messages, entry.actions, entry.version, entry.last_seq] {
            out.extend(field.to_le_bytes());
        }
        for time in [&entry.created_at, &entry.last_activity] {
            out.extend(time.wall_micros().to_le_bytes());
            out.extend(zone_micros(time).to_le_bytes());
        }
        for text in [entry.id.as_bytes(), entry.file_name.as_bytes(), entry.title, note.as_bytes()] {
            self.heap.extend(text);
        }
    }

    /// Adds an idempotency key.
    pub(crate) fn key(&mut self, entry: &KeyEntry<'_>) {
        let mut bytes = Vec::with_capacity(KEY_LEN);
        bytes.extend(to_u64(self.heap.len()).to_le_bytes());
        bytes.extend(short(entry.key.len()).to_le_bytes());
        bytes.extend(short(entry.conversation_id.len()).to_le_bytes());
        bytes.extend(short(entry.id.len()).to_le_bytes());
        bytes.extend([0; 2]);
        bytes.extend(entry.fingerprint.to_le_bytes());
        bytes.extend(hash(entry.key).to_le_bytes());
        bytes.extend(entry.seq.to_le_bytes());
        bytes.extend(entry.version.to_le_bytes());
        if let Some(record) = bytes.first_chunk::<KEY_LEN>() {
            self.keys.push((hash(entry.key), *record));
        }
        for text in [entry.key.as_bytes(), entry.conversation_id.as_bytes(), entry.id] {
            self.heap.extend(text);
        }
    }

    /// Adds what is remembered of a conversation that was removed.
    pub(crate) fn tombstone(&mut self, entry: &TombstoneEntry<'_>) {
        if let Some(row) = removed::row(entry, self.heap.len()) {
            self.removed.push((hash(entry.id), row));
            self.heap.extend(entry.id.as_bytes());
        }
    }

    /// Says what is held in the log, by the places of the conversations.
    pub(crate) fn hold(&mut self, held: Held) {
        self.held = held;
    }

    /// The checkpoint's bytes.
    pub(crate) fn finish(mut self, head: &CheckpointHead) -> Vec<u8> {
        self.table.sort_unstable();
        self.keys.sort_unstable();
        self.removed.sort_unstable();
        let removed = Tombstones::new(self.heap.len(), self.removed.len());
        self.heap.extend(self.removed.into_iter().flat_map(|(_, row)| row));
        self.held.write(&mut self.heap);
        let mut out = Vec::with_capacity(HEADER_LEN + self.entries.len() + self.heap.len() + TRAILER_LEN);
        out.extend(MAGIC);
        out.extend(self.held.major_version().to_le_bytes());
        out.extend(removed.minor_version().to_le_bytes());
        out.extend(128_u32.to_le_bytes());
        out.extend(head.store_id);
        for field in [head.epoch, head.covered_seq, head.first_segment] {
            out.extend(field.to_le_bytes());
        }
        out.extend(head.created_unix_micros.to_le_bytes());
        for length in [self.table.len(), self.keys.len(), self.heap.len()] {
            out.extend(to_u64(length).to_le_bytes());
        }
        let index = head.index_file.unwrap_or_default();
        out.extend(index.len.to_le_bytes());
        out.extend(index.crc.to_le_bytes());
        out.extend(u32::from(head.index_file.is_some()).to_le_bytes());
        out.extend(index.modified_nanos.to_le_bytes());
        removed.write(&mut out);
        let crc = crc32fast::hash(&out);
        out.extend(crc.to_le_bytes());
        out.extend(self.entries);
        for (hash, ordinal) in self.table {
            out.extend(hash.to_le_bytes());
            out.extend(ordinal.to_le_bytes());
        }
        out.extend(self.keys.into_iter().flat_map(|(_, record)| record));
        out.extend(self.heap);
        Checkpoint::with_trailer(out)
    }
}

/// Ids, names and keys are limited to far less than 65,536 bytes before they get here.
fn short(length: usize) -> u16 {
    u16::try_from(length).unwrap_or(u16::MAX)
}
