//! raft-engine: the log of a replicated key-value store.
//!
//! Owns the adapter: a region is a conversation, an entry a message, whose first eight bytes are its index. It has no way
//! to find a message by id, nor the conversations by activity. Entries are written without compression, like everybody's.

use std::path::Path;

use protobuf::well_known_types::BytesValue;
use raft_engine::{Config, Engine, LogBatch, MessageExt, ReadableSize};

use crate::Outcome;
use crate::peer::{Answer, Peer, Syncs, held};
use crate::wire::{self, Owned};
use crate::workload::{Digest, Row, Talk};

#[derive(Clone, Copy, Debug)]
struct Entry;

impl MessageExt for Entry {
    type Entry = BytesValue;

    fn index(entry: &BytesValue) -> u64 {
        entry.value.first_chunk().map_or(0, |index| u64::from_le_bytes(*index))
    }
}

pub(crate) struct Raft {
    engine: Engine,
    syncs: bool,
}

/// Indices begin with 1.
fn entry(row: &Row) -> BytesValue {
    let mut value = Vec::with_capacity(300);
    value.extend_from_slice(&(u64::from(row.seq) + 1).to_le_bytes());
    wire::encode(row, &mut value);
    BytesValue { value, ..BytesValue::default() }
}

fn read(entry: &BytesValue) -> Outcome<Owned> {
    Ok(wire::decode(entry.value.get(8..).unwrap_or_default())?.to_owned())
}

impl Raft {
    pub(crate) fn open(dir: &Path, syncs: Syncs) -> Outcome<Self> {
        let config = Config {
            dir: dir.join("raft").to_string_lossy().into_owned(),
            batch_compression_threshold: ReadableSize::kb(0),
            ..Config::default()
        };
        Ok(Self { engine: Engine::open(config)?, syncs: syncs == Syncs::Each })
    }

    fn entries(&self, region: u64, begin: u64) -> Outcome<Vec<Owned>> {
        let mut entries = Vec::new();
        if let Some(last) = self.engine.last_index(region) {
            self.engine.fetch_entries_to::<Entry>(region, begin, last + 1, None, &mut entries)?;
        }
        entries.iter().map(read).collect()
    }
}

impl Peer for Raft {
    fn append(&self, row: &Row) -> Outcome<()> {
        self.append_batch(std::slice::from_ref(row))
    }

    fn append_batch(&self, rows: &[Row]) -> Outcome<()> {
        let mut batch = LogBatch::with_capacity(rows.len());
        for of_talk in rows.chunk_by(|a, b| a.talk.number == b.talk.number) {
            let entries: Vec<BytesValue> = of_talk.iter().map(entry).collect();
            let number = of_talk.first().map_or(0, |row| row.talk.number);
            batch.add_entries::<Entry>(u64::from(number), &entries)?;
        }
        self.engine.write(&mut batch, self.syncs)?;
        Ok(())
    }

    fn digest(&self) -> Outcome<Digest> {
        let mut digest = Digest::default();
        for region in self.engine.raft_groups() {
            for message in self.entries(region, 1)? {
                digest.add(&message.id, &message.content);
            }
        }
        Ok(digest)
    }

    fn conversation(&self, talk: &Talk) -> Answer {
        held(self.entries(u64::from(talk.number), 1)?)
    }

    fn last(&self, talk: &Talk, count: usize) -> Answer {
        let region = u64::from(talk.number);
        let last = self.engine.last_index(region).unwrap_or_default();
        let count = u64::try_from(count)?;
        held(self.entries(region, (last + 1).saturating_sub(count).max(1))?)
    }

    fn scan(&self, each: &mut dyn FnMut(&str)) -> Outcome<Option<u64>> {
        let mut count = 0;
        for region in self.engine.raft_groups() {
            for message in self.entries(region, 1)? {
                each(&message.content);
                count += 1;
            }
        }
        Ok(Some(count))
    }
}
