//! The bytes of one simulated file.
//!
//! Owns a sparse map of shared sectors and a length. Copies are cheap: a sector is copied only when it is
//! written while somebody else has it. Invariant: whatever lies past the length is zero.

use std::collections::BTreeMap;
use std::sync::Arc;

/// The unit that a device writes as a whole or not at all, save when a crash tears it.
pub(crate) const SECTOR: u64 = 512;

pub(crate) const SECTOR_BYTES: usize = 512;

/// The sectors of one page of the cache.
pub(crate) const SECTORS_PER_PAGE: u64 = 8;

/// The bytes of a sector; `None` is all zeros.
pub(crate) type Sector = Option<Arc<[u8; SECTOR_BYTES]>>;

/// The bytes of a file.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(crate) struct Content {
    sectors: BTreeMap<u64, Arc<[u8; SECTOR_BYTES]>>,
    len: u64,
}

pub(crate) fn index(n: u64) -> usize {
    usize::try_from(n).expect("simulated files fit the address space")
}

pub(crate) fn wide(n: usize) -> u64 {
    u64::try_from(n).expect("64 bits hold any length")
}

impl Content {
    pub(crate) fn from_bytes(bytes: &[u8]) -> Self {
        let mut content = Self::default();
        content.write(bytes, 0);
        content
    }

    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    pub(crate) fn sector(&self, number: u64) -> Sector {
        self.sectors.get(&number).cloned()
    }

    /// The sectors that were written, with their numbers; all others are zeros.
    pub(crate) fn sectors(&self) -> impl Iterator<Item = (u64, &[u8; SECTOR_BYTES])> {
        self.sectors.iter().map(|(number, bytes)| (*number, &**bytes))
    }

    pub(crate) fn put(&mut self, number: u64, sector: Sector) {
        match sector {
            Some(bytes) => self.sectors.insert(number, bytes),
            None => self.sectors.remove(&number),
        };
    }

    pub(crate) fn read_at(&self, buffer: &mut [u8], offset: u64) -> usize {
        let count = index(self.len.saturating_sub(offset).min(wide(buffer.len())));
        let end = offset + wide(count);
        let buffer = &mut buffer[..count];
        buffer.fill(0);
        if count == 0 {
            return 0;
        }
        for (number, bytes) in self.sectors.range(offset / SECTOR..end.div_ceil(SECTOR)) {
            let start = number * SECTOR;
            let from = start.max(offset);
            let to = (start + SECTOR).min(end);
            buffer[index(from - offset)..index(to - offset)]
                .copy_from_slice(&bytes[index(from - start)..index(to - start)]);
        }
        count
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; index(self.len)];
        self.read_at(&mut bytes, 0);
        bytes
    }

    /// Writes bytes, growing the file if need be.
    pub(crate) fn write(&mut self, bytes: &[u8], offset: u64) {
        let end = offset + wide(bytes.len());
        for number in sectors_of(offset, end) {
            let start = number * SECTOR;
            let from = start.max(offset);
            let to = (start + SECTOR).min(end);
            let sector = self.sectors.entry(number).or_insert_with(|| Arc::new([0; SECTOR_BYTES]));
            Arc::make_mut(sector)[index(from - start)..index(to - start)]
                .copy_from_slice(&bytes[index(from - offset)..index(to - offset)]);
        }
        if !bytes.is_empty() {
            self.len = self.len.max(end);
        }
    }

    /// Changes the length and says which sectors lost bytes by it.
    pub(crate) fn set_len(&mut self, len: u64) -> Vec<u64> {
        let mut cut: Vec<u64> = Vec::new();
        if len < self.len {
            cut.extend(self.sectors.range(len / SECTOR..).map(|(number, _)| *number));
            for number in &cut {
                let start = number * SECTOR;
                if start >= len {
                    self.sectors.remove(number);
                } else if let Some(bytes) = self.sectors.get_mut(number) {
                    Arc::make_mut(bytes)[index(len - start)..].fill(0);
                }
            }
        }
        self.len = len;
        cut
    }

    pub(crate) fn flip_bit(&mut self, offset: u64, bit: u8) {
        assert!(offset < self.len, "byte {offset} is past the end of {} bytes", self.len);
        let mut byte = [0];
        self.read_at(&mut byte, offset);
        self.write(&[byte[0] ^ (1 << (bit % 8))], offset);
    }
}

/// The sectors that a range of bytes touches.
pub(crate) fn sectors_of(offset: u64, end: u64) -> std::ops::Range<u64> {
    if end <= offset { 0..0 } else { offset / SECTOR..end.div_ceil(SECTOR) }
}
