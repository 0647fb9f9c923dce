//! The limit of reading: the raw file in a memory map, and every record's offset in memory.
//!
//! Owns a list of offsets for each conversation and nothing that keeps them: they are found by going over the file at opening.
//! Every record is checked before it is copied, as a store does that notices rot.

use std::path::Path;
use std::sync::Arc;

use aral_store::vfs::{Mapping, OpenMode, OsVfs, Vfs};

use super::raw::{Blocks, Raw};
use crate::Outcome;
use crate::peer::{Answer, Peer, held};
use crate::wire::{self, Borrowed};
use crate::workload::{Digest, Row, Talk};

#[derive(Debug)]
pub(crate) struct Mapped {
    raw: Raw,
    map: Option<Arc<dyn Mapping>>,
    /// Where each conversation's records begin, by its number.
    offsets: Vec<Vec<u32>>,
}

/// A file in memory; `None` if it is empty.
pub(crate) fn map(path: &Path) -> Outcome<Option<Arc<dyn Mapping>>> {
    if std::fs::metadata(path)?.len() == 0 {
        return Ok(None);
    }
    Ok(OsVfs.open(path, OpenMode::Read)?.map()?)
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

impl Mapped {
    pub(crate) fn open(dir: &Path) -> Outcome<Self> {
        let raw = Raw::open(dir, Blocks::None)?;
        let map = map(&dir.join("raw"))?;
        let mut offsets: Vec<Vec<u32>> = Vec::new();
        let bytes = map.as_ref().map_or(&[][..], |map| map.bytes());
        let mut at = 0;
        while let Some(length) = word(bytes, at) {
            let number = usize::try_from(word(bytes, at + 8).ok_or("a record without a number")?)?;
            if offsets.len() <= number {
                offsets.resize(number + 1, Vec::new());
            }
            if let Some(list) = offsets.get_mut(number) {
                list.push(u32::try_from(at)?);
            }
            at += 8 + usize::try_from(length)?;
        }
        Ok(Self { raw, map, offsets })
    }

    fn message(&self, at: u32) -> Outcome<Borrowed<'_>> {
        let bytes = self.map.as_ref().map_or(&[][..], |map| map.bytes());
        let at = usize::try_from(at)?;
        let (length, crc) = word(bytes, at).zip(word(bytes, at + 4)).ok_or("no record")?;
        let body = bytes.get(at + 8..at + 8 + usize::try_from(length)?).ok_or("no record")?;
        if crc32fast::hash(body) != crc {
            return Err("a record that does not check".into());
        }
        wire::decode(body.get(8..).unwrap_or_default())
    }

    fn of(&self, talk: &Talk) -> Outcome<&[u32]> {
        Ok(self.offsets.get(usize::try_from(talk.number)?).ok_or("no conversation")?)
    }
}

impl Peer for Mapped {
    fn append(&self, row: &Row) -> Outcome<()> {
        self.raw.append(row)
    }

    fn append_batch(&self, rows: &[Row]) -> Outcome<()> {
        self.raw.append_batch(rows)
    }

    fn digest(&self) -> Outcome<Digest> {
        self.raw.digest()
    }

    fn conversation(&self, talk: &Talk) -> Answer {
        let found = self.of(talk)?.iter();
        held(found.map(|at| Ok(self.message(*at)?.to_owned())).collect::<Outcome<Vec<_>>>()?)
    }

    fn last(&self, talk: &Talk, count: usize) -> Answer {
        let all = self.of(talk)?;
        let found = all.iter().skip(all.len().saturating_sub(count));
        held(found.map(|at| Ok(self.message(*at)?.to_owned())).collect::<Outcome<Vec<_>>>()?)
    }

    fn borrowed(&self, talk: &Talk, each: &mut dyn FnMut(&str)) -> Outcome<Option<()>> {
        for at in self.of(talk)? {
            each(self.message(*at)?.content);
        }
        Ok(Some(()))
    }

    fn scan(&self, each: &mut dyn FnMut(&str)) -> Outcome<Option<u64>> {
        let mut count = 0;
        for at in self.offsets.iter().flatten() {
            each(&self.message(*at)?.to_owned().content);
            count += 1;
        }
        Ok(Some(count))
    }
}
