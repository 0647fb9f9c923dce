//! A checkpoint: the commit record of a compaction and the catalog of the snapshot it describes.
//!
//! Owns the layout in docs/format.md, section "CHECKPOINT". Fixed-size entries, a table of hashes for
//! finding one by its id, the newest idempotency keys, and a heap of texts, all under one checksum, so that
//! a file of any size is used where it lies, without being taken apart at opening. Knows no files.

use std::fmt;
use std::sync::Arc;

mod builder;

mod held;

mod removed;

pub(crate) use builder::CheckpointBuilder;
pub(crate) use held::{Held, HeldSegment, Hold};
pub(crate) use removed::{TombstoneEntry, Tombstones};

use super::bytes::{Fields, MAX_NUMBER, to_u64, to_usize};
use super::segment::StoreId;
use crate::model::{Seq, Summary, Text, Timestamp, Version, Zone};

const MAGIC: [u8; 8] = *b"\x89ECP\r\n\x1a\n";
const END: [u8; 4] = *b"\x89end";
const HEADER_LEN: usize = 128;
const ENTRY_LEN: usize = 104;
/// Where in an entry the time of creation is.
const CREATED_AT: usize = 72;
const TABLE_LEN: usize = 8;
const KEY_LEN: usize = 40;
const TRAILER_LEN: usize = 8;
/// Stands for the offset of a time that has none; no real offset is near it.
const NAIVE: i64 = i64::MIN;

/// How a file looked when it was last in agreement with the store.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Fingerprint {
    pub(crate) len: u64,
    pub(crate) crc: u32,
    /// Nanoseconds from the Unix epoch.
    pub(crate) modified_nanos: i64,
}

/// What the header says of the whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct CheckpointHead {
    pub(crate) store_id: StoreId,
    /// One more with each compaction; also in the file's name.
    pub(crate) epoch: u64,
    /// Every event up to and including this one is in the snapshot.
    pub(crate) covered_seq: Seq,
    /// The first segment that is still needed.
    pub(crate) first_segment: u64,
    pub(crate) created_unix_micros: i64,
    /// `message_store.json`; absent where the original had none.
    pub(crate) index_file: Option<Fingerprint>,
}

/// What became of a conversation's file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum FileState {
    /// It holds the conversation.
    Intact,
    /// It is there but cannot be read; the note says why.
    Damaged,
    /// `message_store.json` lists the conversation and there is no file.
    Missing,
}

/// One conversation of the snapshot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Entry<'a> {
    pub(crate) id: &'a str,
    /// The file's name without its directory; safe to join.
    pub(crate) file_name: &'a str,
    /// In WTF-8.
    pub(crate) title: &'a [u8],
    /// Why the file cannot be read.
    pub(crate) note: &'a str,
    pub(crate) state: FileState,
    /// Whether the file's bytes are exactly what this software would write.
    pub(crate) is_canonical: bool,
    /// Whether `message_store.json` lists it.
    pub(crate) is_listed: bool,
    pub(crate) file: Fingerprint,
    pub(crate) messages: u64,
    pub(crate) actions: u64,
    pub(crate) version: Version,
    pub(crate) last_seq: Seq,
    pub(crate) created_at: Timestamp,
    pub(crate) last_activity: Timestamp,
}

/// A remembered idempotency key with what its first use returned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct KeyEntry<'a> {
    pub(crate) key: &'a str,
    pub(crate) fingerprint: u32,
    pub(crate) conversation_id: &'a str,
    /// In WTF-8.
    pub(crate) id: &'a [u8],
    pub(crate) seq: Seq,
    pub(crate) version: Version,
}

/// Why bytes are not a checkpoint.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum BadCheckpoint {
    /// It is one of a later format.
    Newer(u16),
    /// It is damaged, from this byte on as far as can be told.
    Damaged(u64, &'static str),
}

impl Entry<'_> {
    /// The byte at which reading a damaged file failed, with which its note ends.
    pub(crate) fn damage_offset(&self) -> Option<u64> {
        self.note.rsplit_once(" at byte ").and_then(|(_, offset)| offset.parse().ok())
    }

    /// What a list shows of the conversation.
    pub(crate) fn summary(&self) -> Summary {
        Summary {
            id: self.id.to_owned(),
            title: Text::copied_from_wtf8(self.title).unwrap_or_default(),
            created_at: self.created_at,
            messages: self.messages,
            actions: self.actions,
            version: self.version,
            last_activity: self.last_activity,
            last_seq: self.last_seq,
        }
    }
}

fn hash(text: &str) -> u32 {
    crc32fast::hash(text.as_bytes())
}

fn zone_micros(time: &Timestamp) -> i64 {
    match time.zone() {
        Zone::Naive => NAIVE,
        Zone::Offset(micros) => micros,
    }
}

fn timestamp(wall: i64, zone: i64) -> Option<Timestamp> {
    Timestamp::from_wall_micros(wall, if zone == NAIVE { Zone::Naive } else { Zone::Offset(zone) })
}

/// Bytes that a checkpoint is read from: a mapping or memory.
pub(crate) type SharedBytes = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// A checkpoint in use.
#[derive(Clone)]
pub(crate) struct Checkpoint {
    bytes: SharedBytes,
    head: CheckpointHead,
    entries: usize,
    keys: usize,
    heap_start: usize,
    removed: Tombstones,
    held: Arc<Held>,
}

impl fmt::Debug for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Checkpoint")
            .field("head", &self.head)
            .field("entries", &self.entries)
            .finish_non_exhaustive()
    }
}

impl Checkpoint {
    /// The checkpoint of a store that has none yet.
    pub(crate) fn empty(store_id: StoreId) -> Self {
        let head = CheckpointHead { store_id, first_segment: 1, ..CheckpointHead::default() };
        let bytes = CheckpointBuilder::default().finish(&head);
        let heap_start = bytes.len() - TRAILER_LEN;
        let (removed, held) = (Tombstones::default(), Arc::default());
        Self { bytes: Arc::new(bytes), head, entries: 0, keys: 0, heap_start, removed, held }
    }

    /// Checks bytes and takes them into use.
    pub(crate) fn parse(bytes: SharedBytes) -> Result<Self, BadCheckpoint> {
        let all = (*bytes).as_ref();
        let (head, [entries, keys, heap], removed) = parse_head(all)?;
        let damaged = |reason| BadCheckpoint::Damaged(to_u64(HEADER_LEN), reason);
        let heap_start = entries
            .checked_mul(ENTRY_LEN + TABLE_LEN)
            .and_then(|length| length.checked_add(keys.checked_mul(KEY_LEN)?))
            .and_then(|length| length.checked_add(HEADER_LEN))
            .ok_or(damaged("the checkpoint's counts are impossible"))?;
        if heap_start.checked_add(heap).and_then(|end| end.checked_add(TRAILER_LEN)) != Some(all.len()) {
            return Err(damaged("the checkpoint's length does not match its counts"));
        }
        if !removed.fit_into(heap) {
            return Err(damaged("the checkpoint's removed conversations lie outside of its heap"));
        }
        let (body, trailer) = all.split_at_checked(all.len() - TRAILER_LEN).unwrap_or_default();
        let crc = Fields(trailer).u32();
        if crc != Some(crc32fast::hash(body)) || !trailer.ends_with(&END) {
            return Err(damaged("the checkpoint's checksum is wrong"));
        }
        let held = Held::at_end(all, body.get(heap_start..).unwrap_or_default(), entries, &head);
        let held = Arc::new(held.ok_or(damaged("what the checkpoint says of held events is impossible"))?);
        Ok(Self { bytes, head, entries, keys, heap_start, removed, held })
    }

    /// What a checkpoint's header says, if that much of it is whole. The header has a checksum of its own.
    pub(crate) fn head_alone(bytes: &[u8]) -> Option<CheckpointHead> {
        parse_head(bytes).ok().map(|(head, ..)| head)
    }

    /// What the checksum of the whole covers, and that checksum.
    pub(crate) fn checked_part(bytes: &[u8]) -> Option<(&[u8], u32)> {
        let (body, trailer) = bytes.split_at_checked(bytes.len().checked_sub(TRAILER_LEN)?)?;
        Some((body, Fields(trailer).u32()?))
    }

    /// The whole of a checkpoint from the part that its checksum covers.
    pub(crate) fn with_trailer(mut body: Vec<u8>) -> Vec<u8> {
        let crc = crc32fast::hash(&body);
        body.extend(crc.to_le_bytes());
        body.extend(END);
        body
    }

    pub(crate) fn head(&self) -> &CheckpointHead {
        &self.head
    }

    fn slice(&self, start: usize, length: usize) -> &[u8] {
        start.checked_add(length).and_then(|end| (*self.bytes).as_ref().get(start..end)).unwrap_or_default()
    }

    /// How many conversations it knows.
    pub(crate) fn len(&self) -> usize {
        self.entries
    }

    /// The conversation at a place in the order.
    pub(crate) fn entry(&self, ordinal: usize) -> Option<Entry<'_>> {
        if ordinal >= self.entries {
            return None;
        }
        let mut fields = Fields(self.slice(HEADER_LEN + ordinal * ENTRY_LEN, ENTRY_LEN));
        let heap_at = to_usize(fields.u64()?);
        let (id_len, name_len) = (usize::from(fields.u16()?), usize::from(fields.u16()?));
        let title_len = usize::try_from(fields.u32()?).ok()?;
        let (note_len, flags) = (usize::from(fields.u16()?), fields.u16()?);
        let crc = fields.u32()?;
        let file = Fingerprint { len: fields.u64()?, crc, modified_nanos: fields.i64()? };
        let (messages, actions) = (fields.u64()?, fields.u64()?);
        let (version, last_seq) = (fields.u64()?, fields.u64()?);
        let created_at = timestamp(fields.i64()?, fields.i64()?)?;
        let last_activity = timestamp(fields.i64()?, fields.i64()?)?;
        let start = self.heap_start.checked_add(heap_at)?;
        let mut heap = Fields(self.slice(start, id_len + name_len + title_len + note_len));
        Some(Entry {
            id: std::str::from_utf8(heap.take(id_len)?).ok()?,
            file_name: std::str::from_utf8(heap.take(name_len)?).ok()?,
            title: heap.take(title_len)?,
            note: std::str::from_utf8(heap.take(note_len)?).ok()?,
            state: match flags & 3 {
                0 => FileState::Intact,
                1 => FileState::Damaged,
                _ => FileState::Missing,
            },
            is_canonical: flags & 4 != 0,
            is_listed: flags & 8 != 0,
            file,
            messages,
            actions,
            version,
            last_seq,
            created_at,
            last_activity,
        })
    }

    /// The name of the file of the conversation at a place in the order, and the time in it: the same as in
    /// [`entry`](Self::entry), without a look at the rest, for each read of a message.
    pub(crate) fn file_of(&self, ordinal: usize) -> Option<(&str, Timestamp)> {
        if ordinal >= self.entries {
            return None;
        }
        let row = self.slice(HEADER_LEN + ordinal * ENTRY_LEN, ENTRY_LEN);
        let (mut lengths, mut times) = (Fields(row), Fields(row.get(CREATED_AT..)?));
        let heap_at = to_usize(lengths.u64()?);
        let (id_len, name_len) = (usize::from(lengths.u16()?), usize::from(lengths.u16()?));
        let start = self.heap_start.checked_add(heap_at)?.checked_add(id_len)?;
        let name = std::str::from_utf8(self.slice(start, name_len)).ok()?;
        Some((name, timestamp(times.i64()?, times.i64()?)?))
    }

    /// The place in the order of the conversation with this id.
    pub(crate) fn find(&self, id: &str) -> Option<usize> {
        let table = self.slice(HEADER_LEN + self.entries * ENTRY_LEN, self.entries * TABLE_LEN);
        let (rows, _) = table.as_chunks::<TABLE_LEN>();
        let wanted = hash(id);
        let row = |row: &[u8; TABLE_LEN]| {
            let mut fields = Fields(row);
            (fields.u32().unwrap_or_default(), fields.u32().unwrap_or_default())
        };
        let start = rows.partition_point(|r| row(r).0 < wanted);
        let candidates = rows.get(start..).unwrap_or_default().iter().map(row);
        candidates
            .take_while(|(hash, _)| *hash == wanted)
            .filter_map(|(_, ordinal)| usize::try_from(ordinal).ok())
            .find(|ordinal| self.entry(*ordinal).is_some_and(|entry| entry.id == id))
    }

    /// All conversations in order.
    pub(crate) fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        (0..self.entries).filter_map(|ordinal| self.entry(ordinal))
    }

    fn keys_start(&self) -> usize {
        HEADER_LEN + self.entries * (ENTRY_LEN + TABLE_LEN)
    }

    fn key_at(&self, row: usize) -> Option<KeyEntry<'_>> {
        let mut fields = Fields(self.slice(self.keys_start() + row * KEY_LEN, KEY_LEN));
        let heap_at = to_usize(fields.u64()?);
        let lengths = [fields.u16()?, fields.u16()?, fields.u16()?].map(usize::from);
        let _reserved = fields.u16()?;
        let (fingerprint, _hash) = (fields.u32()?, fields.u32()?);
        let (seq, version) = (fields.u64()?, fields.u64()?);
        let start = self.heap_start.checked_add(heap_at)?;
        let mut heap = Fields(self.slice(start, lengths.iter().sum()));
        let [key_len, conversation_len, id_len] = lengths;
        let key = std::str::from_utf8(heap.take(key_len)?).ok()?;
        let conversation_id = std::str::from_utf8(heap.take(conversation_len)?).ok()?;
        Some(KeyEntry { key, fingerprint, conversation_id, id: heap.take(id_len)?, seq, version })
    }

    /// A remembered idempotency key.
    pub(crate) fn find_key(&self, key: &str) -> Option<KeyEntry<'_>> {
        let wanted = hash(key);
        let (rows, _) = self.slice(self.keys_start(), self.keys * KEY_LEN).as_chunks::<KEY_LEN>();
        let hash_of =
            |row: &[u8; KEY_LEN]| Fields(row.get(20..).unwrap_or_default()).u32().unwrap_or_default();
        let start = rows.partition_point(|row| hash_of(row) < wanted);
        let same_hash = rows.get(start..).unwrap_or_default().iter().take_while(|row| hash_of(row) == wanted);
        (start..start + same_hash.count()).filter_map(|row| self.key_at(row)).find(|entry| entry.key == key)
    }

    /// All remembered keys, in no useful order.
    pub(crate) fn keys(&self) -> impl Iterator<Item = KeyEntry<'_>> {
        (0..self.keys).filter_map(|row| self.key_at(row))
    }
}

/// A header: what it says of the whole, the numbers of entries and keys with the length of the heap, and where in the
/// heap the removed conversations are.
type Head = (CheckpointHead, [usize; 3], Tombstones);

fn parse_head(all: &[u8]) -> Result<Head, BadCheckpoint> {
    let damaged = |reason| BadCheckpoint::Damaged(0, reason);
    let header = all.get(..HEADER_LEN).ok_or(damaged("shorter than a checkpoint's header"))?;
    let (body, crc) = header.split_last_chunk::<4>().ok_or(damaged("shorter than a checkpoint's header"))?;
    let mut fields = Fields(body);
    if fields.take(8) != Some(&MAGIC[..]) {
        return Err(damaged("no checkpoint: the magic bytes are wrong"));
    }
    if crc32fast::hash(body) != u32::from_le_bytes(*crc) {
        return Err(damaged("the checkpoint header's checksum is wrong"));
    }
    let major = fields.u16().unwrap_or_default();
    let _minor = fields.u16();
    if Held::is_in(major).is_none() || fields.u32() != Some(128) {
        return Err(BadCheckpoint::Newer(major));
    }
    let mut parse = || {
        let head = CheckpointHead {
            store_id: fields.id()?,
            epoch: fields.u64()?,
            covered_seq: fields.u64()?,
            first_segment: fields.u64()?,
            created_unix_micros: fields.i64()?,
            index_file: None,
        };
        let counts = [fields.u64()?, fields.u64()?, fields.u64()?].map(to_usize);
        let (len, crc, is_present) = (fields.u64()?, fields.u32()?, fields.u32()? != 0);
        let index = Fingerprint { len, crc, modified_nanos: fields.i64()? };
        let removed = Tombstones::read(&mut fields)?;
        Some((CheckpointHead { index_file: is_present.then_some(index), ..head }, counts, removed))
    };
    let (head, counts, removed) = parse().ok_or(damaged("shorter than a checkpoint's header"))?;
    if [head.epoch, head.covered_seq, head.first_segment].into_iter().any(|number| number > MAX_NUMBER) {
        return Err(damaged("a number in the checkpoint's header is impossible"));
    }
    Ok((head, counts, removed))
}

#[cfg(test)]
mod tests;
