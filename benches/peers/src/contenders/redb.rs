//! redb: a B-tree with copy on write, in pure Rust.
//!
//! Owns the adapter: durability `Immediate` or `None`, 256 MiB of cache, commits in one phase, as by default.

use std::path::Path;

use redb::{Database, Durability, ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition};

use super::keyed::{Newest, key, keys, listed};
use crate::Outcome;
use crate::peer::{Answer, Peer, Syncs, held};
use crate::wire::{self, Owned};
use crate::workload::{Digest, Row, Talk};

type Table = TableDefinition<'static, &'static [u8], &'static [u8]>;

const MESSAGES: Table = TableDefinition::new("messages");
const IDS: Table = TableDefinition::new("ids");
const TALKS: Table = TableDefinition::new("conversations");

#[derive(Debug)]
pub(crate) struct Redb {
    database: Database,
    durability: Durability,
}

impl Redb {
    pub(crate) fn open(dir: &Path, syncs: Syncs) -> Outcome<Self> {
        let path = dir.join("redb.db");
        let is_new = !path.exists();
        let database = Database::builder().set_cache_size(256 << 20).create(path)?;
        if is_new {
            let transaction = database.begin_write()?;
            for table in [MESSAGES, IDS, TALKS] {
                transaction.open_table(table)?;
            }
            transaction.commit()?;
        }
        let durability = match syncs {
            Syncs::Each => Durability::Immediate,
            Syncs::Never => Durability::None,
        };
        Ok(Self { database, durability })
    }

    fn messages(&self, read: impl FnOnce(&ReadTransaction) -> Outcome<Vec<Owned>>) -> Answer {
        held(read(&self.database.begin_read()?)?)
    }
}

impl Peer for Redb {
    fn append(&self, row: &Row) -> Outcome<()> {
        self.append_batch(std::slice::from_ref(row))
    }

    fn append_batch(&self, rows: &[Row]) -> Outcome<()> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_durability(self.durability)?;
        {
            let mut messages = transaction.open_table(MESSAGES)?;
            let mut ids = transaction.open_table(IDS)?;
            let mut talks = transaction.open_table(TALKS)?;
            for row in rows {
                let key = key(row.talk.number, row.seq);
                messages.insert(key.as_slice(), wire::encoded(row).as_slice())?;
                ids.insert(row.id.as_bytes(), key.as_slice())?;
                talks.insert(row.talk.number.to_be_bytes().as_slice(), listed(row).as_slice())?;
            }
        }
        transaction.commit()?;
        Ok(())
    }

    fn digest(&self) -> Outcome<Digest> {
        let mut digest = Digest::default();
        for found in self.database.begin_read()?.open_table(MESSAGES)?.iter()? {
            let (_, value) = found?;
            let message = wire::decode(value.value())?;
            digest.add(message.id, message.content);
        }
        Ok(digest)
    }

    fn conversation(&self, talk: &Talk) -> Answer {
        self.messages(|read| {
            let (table, keys) = (read.open_table(MESSAGES)?, keys(talk));
            let found = table.range(keys.start().as_slice()..=keys.end().as_slice())?;
            found.map(|entry| Ok(wire::decode(entry?.1.value())?.to_owned())).collect()
        })
    }

    fn last(&self, talk: &Talk, count: usize) -> Answer {
        self.messages(|read| {
            let (table, keys) = (read.open_table(MESSAGES)?, keys(talk));
            let found = table.range(keys.start().as_slice()..=keys.end().as_slice())?.rev().take(count);
            let mut messages: Vec<Owned> =
                found.map(|entry| Ok(wire::decode(entry?.1.value())?.to_owned())).collect::<Outcome<_>>()?;
            messages.reverse();
            Ok(messages)
        })
    }

    fn by_id(&self, _: &Talk, id: &str) -> Answer {
        self.messages(|read| {
            let (ids, messages) = (read.open_table(IDS)?, read.open_table(MESSAGES)?);
            let Some(key) = ids.get(id.as_bytes())? else { return Ok(Vec::new()) };
            let Some(value) = messages.get(key.value())? else { return Ok(Vec::new()) };
            Ok(vec![wire::decode(value.value())?.to_owned()])
        })
    }

    fn recent(&self, count: usize) -> Answer {
        let mut newest = Newest::default();
        for found in self.database.begin_read()?.open_table(TALKS)?.iter()? {
            newest.add(found?.1.value());
        }
        held(newest.take(count)?)
    }

    fn borrowed(&self, talk: &Talk, each: &mut dyn FnMut(&str)) -> Outcome<Option<()>> {
        let (table, keys) = (self.database.begin_read()?.open_table(MESSAGES)?, keys(talk));
        for found in table.range(keys.start().as_slice()..=keys.end().as_slice())? {
            each(wire::decode(found?.1.value())?.content);
        }
        Ok(Some(()))
    }

    fn scan(&self, each: &mut dyn FnMut(&str)) -> Outcome<Option<u64>> {
        let mut count = 0;
        for found in self.database.begin_read()?.open_table(MESSAGES)?.iter()? {
            each(&wire::decode(found?.1.value())?.to_owned().content);
            count += 1;
        }
        Ok(Some(count))
    }
}
