//! CONTROL: what the writer last knew to be durable.
//!
//! Owns the layout in docs/format.md, section "CONTROL": two slots of 64 bytes, written in turn, never
//! synced. It is a hint: a store opens without it. Where it is intact and still the very file that the
//! writer wrote (a copy has another inode), it vouches for the last group of the log and for the newest
//! segment, which nothing in the log itself can.

use super::bytes::{Fields, MAX_NUMBER, all_zero};
use super::segment::StoreId;

const SLOT: usize = 64;
/// The length of the file.
pub(crate) const CONTROL_LEN: usize = 2 * SLOT;

/// One statement of the writer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Control {
    /// The first half of the store's identity.
    pub(crate) store_id: [u8; 8],
    /// Which opening for writing made the statement.
    pub(crate) writer_epoch: u64,
    /// The active segment's number.
    pub(crate) segment: u64,
    /// The number of this file, which a copy does not share.
    pub(crate) file_number: u64,
    /// How much of the active segment was written, in units of 32 bytes.
    pub(crate) written_units: u32,
    /// How much of it a sync had covered, in units of 32 bytes.
    pub(crate) durable_units: u32,
    /// The newest checkpoint's epoch.
    pub(crate) checkpoint_epoch: u64,
    /// One more with each statement; also says which slot it goes to.
    pub(crate) counter: u64,
}

/// The half of a store's identity that fits in a slot.
pub(crate) fn short_id(id: StoreId) -> [u8; 8] {
    id.first_chunk().copied().unwrap_or_default()
}

impl Control {
    /// Where in the file this statement goes.
    pub(crate) fn offset(&self) -> u64 {
        self.counter % 2 * 64
    }

    /// The bytes of its slot.
    pub(crate) fn encode(&self) -> [u8; SLOT] {
        let mut bytes = [0; SLOT];
        let words = [
            u64::from_le_bytes(self.store_id),
            self.writer_epoch,
            self.segment,
            self.file_number,
            u64::from(self.written_units) | u64::from(self.durable_units) << 32,
            self.checkpoint_epoch,
            self.counter,
        ];
        for (place, word) in bytes.chunks_exact_mut(8).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        if let Some((stated, crc)) = bytes.split_last_chunk_mut() {
            *crc = crc32fast::hash(stated).to_le_bytes();
        }
        bytes
    }

    /// The newest intact statement in the file's bytes.
    pub(crate) fn newest(bytes: &[u8]) -> Option<Self> {
        let slots = bytes.chunks_exact(SLOT).take(2).filter_map(Self::decode);
        slots.max_by_key(|slot| slot.counter)
    }

    /// Whether there is a statement in the file's bytes that is not intact.
    pub(crate) fn has_a_bad_slot(bytes: &[u8]) -> bool {
        let is_bad = |slot: &[u8]| !all_zero(slot) && Self::decode(slot).is_none();
        bytes.len() != CONTROL_LEN || bytes.chunks(SLOT).any(is_bad)
    }

    fn decode(slot: &[u8]) -> Option<Self> {
        let (body, crc) = slot.split_last_chunk::<4>()?;
        if crc32fast::hash(body) != u32::from_le_bytes(*crc) {
            return None;
        }
        let mut fields = Fields(body);
        let slot = Self {
            store_id: *fields.take(8)?.first_chunk()?,
            writer_epoch: fields.u64()?,
            segment: fields.u64()?,
            file_number: fields.u64()?,
            written_units: fields.u32()?,
            durable_units: fields.u32()?,
            checkpoint_epoch: fields.u64()?,
            counter: fields.u64()?,
        };
        let numbers = [slot.writer_epoch, slot.segment, slot.checkpoint_epoch];
        numbers.into_iter().all(|number| number <= MAX_NUMBER).then_some(slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn control(counter: u64) -> Control {
        Control {
            store_id: *b"abcdefgh",
            writer_epoch: 1,
            segment: 2,
            file_number: 3,
            written_units: 200,
            durable_units: 150,
            checkpoint_epoch: 4,
            counter,
        }
    }

    #[test]
    fn a_damaged_slot_leaves_the_older_statement() {
        let mut file = vec![0; CONTROL_LEN];
        assert_eq!(Control::newest(&file), None);
        for counter in [6, 7] {
            let statement = control(counter);
            let at = usize::try_from(statement.offset()).unwrap();
            file[at..at + 64].copy_from_slice(&statement.encode());
        }
        assert_eq!(Control::newest(&file), Some(control(7)));
        for bit in 64 * 8..128 * 8 {
            let mut damaged = file.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Control::newest(&damaged), Some(control(6)));
        }
    }
}
