//! fjall: a log-structured merge tree, in pure Rust.
//!
//! Owns the adapter: one atomic batch an append, which persists with `SyncData`, or with `Buffer`, which hands it to the system. With
//! neither, what was appended last is in the process alone, and goes with it.

use std::path::Path;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use super::keyed::{Newest, key, keys, listed};
use crate::Outcome;
use crate::peer::{Answer, Peer, Syncs, held};
use crate::wire::{self, Owned};
use crate::workload::{Digest, Row, Talk};

pub(crate) struct Fjall {
    database: Database,
    messages: Keyspace,
    ids: Keyspace,
    talks: Keyspace,
    persist: PersistMode,
}

impl Fjall {
    pub(crate) fn open(dir: &Path, syncs: Syncs) -> Outcome<Self> {
        let database = Database::builder(dir.join("fjall")).cache_size(64 << 20).open()?;
        let keyspace = |name: &str| database.keyspace(name, KeyspaceCreateOptions::default);
        let (messages, ids, talks) = (keyspace("messages")?, keyspace("ids")?, keyspace("conversations")?);
        let persist = match syncs {
            Syncs::Each => PersistMode::SyncData,
            Syncs::Never => PersistMode::Buffer,
        };
        Ok(Self { database, messages, ids, talks, persist })
    }
}

impl Peer for Fjall {
    fn append(&self, row: &Row) -> Outcome<()> {
        self.append_batch(std::slice::from_ref(row))
    }

    fn append_batch(&self, rows: &[Row]) -> Outcome<()> {
        let mut batch = self.database.batch().durability(Some(self.persist));
        for row in rows {
            let key = key(row.talk.number, row.seq);
            batch.insert(&self.messages, key, wire::encoded(row));
            batch.insert(&self.ids, row.id.as_bytes(), key);
            batch.insert(&self.talks, row.talk.number.to_be_bytes(), listed(row));
        }
        Ok(batch.commit()?)
    }

    fn digest(&self) -> Outcome<Digest> {
        let mut digest = Digest::default();
        for found in self.messages.iter() {
            let value = found.value()?;
            let message = wire::decode(&value)?;
            digest.add(message.id, message.content);
        }
        Ok(digest)
    }

    fn conversation(&self, talk: &Talk) -> Answer {
        let found = self.messages.prefix(talk.number.to_be_bytes());
        held(found.map(|entry| Ok(wire::decode(&entry.value()?)?.to_owned())).collect::<Outcome<Vec<_>>>()?)
    }

    fn last(&self, talk: &Talk, count: usize) -> Answer {
        let found = self.messages.range(keys(talk)).rev().take(count);
        let mut messages: Vec<Owned> =
            found.map(|entry| Ok(wire::decode(&entry.value()?)?.to_owned())).collect::<Outcome<_>>()?;
        messages.reverse();
        held(messages)
    }

    fn by_id(&self, _: &Talk, id: &str) -> Answer {
        let mut messages = Vec::new();
        if let Some(key) = self.ids.get(id.as_bytes())? {
            if let Some(value) = self.messages.get(key)? {
                messages.push(wire::decode(&value)?.to_owned());
            }
        }
        held(messages)
    }

    fn recent(&self, count: usize) -> Answer {
        let mut newest = Newest::default();
        for found in self.talks.iter() {
            newest.add(&found.value()?);
        }
        held(newest.take(count)?)
    }

    fn borrowed(&self, talk: &Talk, each: &mut dyn FnMut(&str)) -> Outcome<Option<()>> {
        for found in self.messages.prefix(talk.number.to_be_bytes()) {
            each(wire::decode(&found.value()?)?.content);
        }
        Ok(Some(()))
    }

    fn scan(&self, each: &mut dyn FnMut(&str)) -> Outcome<Option<u64>> {
        let mut count = 0;
        for found in self.messages.iter() {
            each(&wire::decode(&found.value()?)?.to_owned().content);
            count += 1;
        }
        Ok(Some(count))
    }
}
