//! The conversations that were removed, as a checkpoint remembers them.
//!
//! Owns their table, which lies at the end of the heap, where software that does not know of it passes it over.
//! Knows nothing of how many are kept.

use super::{Checkpoint, NAIVE, hash, timestamp, zone_micros};
use crate::codec::bytes::{Fields, to_u64, to_usize};
use crate::model::{RemovalReason, Seq, Timestamp, Tombstone};

/// How long a row of the table is.
pub(super) const ROW_LEN: usize = 40;
/// Where in a row the hash of the id is.
const HASH_AT: usize = 12;
/// Stands for the time of a removal that nobody knows; no real time is near it.
const UNKNOWN: i64 = i64::MIN;

/// What is remembered of one conversation that was removed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct TombstoneEntry<'a> {
    pub(crate) id: &'a str,
    /// The event that removed it.
    pub(crate) seq: Seq,
    pub(crate) removed_at: Option<Timestamp>,
    pub(crate) reason: RemovalReason,
}

impl TombstoneEntry<'_> {
    /// The same, owned.
    pub(crate) fn to_tombstone(self) -> Tombstone {
        let Self { id, seq, removed_at, reason } = self;
        Tombstone { id: id.to_owned(), seq, removed_at, reason }
    }
}

impl<'a> From<&'a Tombstone> for TombstoneEntry<'a> {
    fn from(tombstone: &'a Tombstone) -> Self {
        let Tombstone { id, seq, removed_at, reason } = tombstone;
        Self { id, seq: *seq, removed_at: *removed_at, reason: *reason }
    }
}

/// Where in the heap the table is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Tombstones {
    offset: usize,
    count: usize,
}

impl Tombstones {
    /// A table of so many rows, at this place; one of none is nowhere.
    pub(super) fn new(offset: usize, count: usize) -> Self {
        if count == 0 { Self::default() } else { Self { offset, count } }
    }

    /// The minor version of a checkpoint that has such a table.
    pub(super) fn minor_version(self) -> u16 {
        u16::from(self.count > 0)
    }

    pub(super) fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let (offset, count) = (to_usize(fields.u64()?), usize::try_from(fields.u32()?).ok()?);
        Some(Self { offset, count })
    }

    pub(super) fn write(self, out: &mut Vec<u8>) {
        out.extend(to_u64(self.offset).to_le_bytes());
        out.extend(u32::try_from(self.count).unwrap_or(u32::MAX).to_le_bytes());
    }

    /// Whether a heap of this length can have the table.
    pub(super) fn fit_into(self, heap: usize) -> bool {
        let end = self.count.checked_mul(ROW_LEN).and_then(|length| length.checked_add(self.offset));
        end.is_some_and(|end| end <= heap)
    }
}

/// The row of a removed conversation whose id is at this place of the heap; none if no id can be so long.
pub(super) fn row(entry: &TombstoneEntry<'_>, heap_at: usize) -> Option<[u8; ROW_LEN]> {
    let mut row = Vec::with_capacity(ROW_LEN);
    row.extend(to_u64(heap_at).to_le_bytes());
    row.extend(u16::try_from(entry.id.len()).ok()?.to_le_bytes());
    row.extend(u16::from(entry.reason.number()).to_le_bytes());
    row.extend(hash(entry.id).to_le_bytes());
    row.extend(entry.seq.to_le_bytes());
    let (wall, zone) =
        entry.removed_at.map_or((UNKNOWN, NAIVE), |time| (time.wall_micros(), zone_micros(&time)));
    row.extend(wall.to_le_bytes());
    row.extend(zone.to_le_bytes());
    row.first_chunk::<ROW_LEN>().copied()
}

impl Checkpoint {
    fn tombstone_rows(&self) -> &[[u8; ROW_LEN]] {
        let Tombstones { offset, count } = self.removed;
        self.slice(self.heap_start + offset, count * ROW_LEN).as_chunks::<ROW_LEN>().0
    }

    fn tombstone_of(&self, row: &[u8; ROW_LEN]) -> Option<TombstoneEntry<'_>> {
        let mut fields = Fields(row);
        let (heap_at, length) = (to_usize(fields.u64()?), usize::from(fields.u16()?));
        let (reason, _hash) = (fields.u16()?, fields.u32()?);
        // What newer software has a reason for is a removal all the same.
        let reason = u8::try_from(reason).ok().and_then(RemovalReason::of_number).unwrap_or_default();
        let seq = fields.u64()?;
        let removed_at = timestamp(fields.i64()?, fields.i64()?);
        let text = self.slice(self.heap_start.checked_add(heap_at)?, length);
        Some(TombstoneEntry { id: std::str::from_utf8(text).ok()?, seq, removed_at, reason })
    }

    /// What is remembered of the conversation with this id, if it was removed and has not begun again.
    pub(crate) fn tombstone(&self, id: &str) -> Option<TombstoneEntry<'_>> {
        let wanted = hash(id);
        let rows = self.tombstone_rows();
        let hash_of =
            |row: &[u8; ROW_LEN]| Fields(row.get(HASH_AT..).unwrap_or_default()).u32().unwrap_or_default();
        let start = rows.partition_point(|row| hash_of(row) < wanted);
        let same_hash = rows.get(start..).unwrap_or_default().iter().take_while(|row| hash_of(row) == wanted);
        same_hash.filter_map(|row| self.tombstone_of(row)).find(|entry| entry.id == id)
    }

    /// All that are remembered, in no useful order.
    pub(crate) fn tombstones(&self) -> impl Iterator<Item = TombstoneEntry<'_>> {
        self.tombstone_rows().iter().filter_map(|row| self.tombstone_of(row))
    }
}
