//! LMDB, by heed: a B-tree in a memory map, with copy on write.
//!
//! Owns the adapter: a map of 16 GiB; with syncs as by default, or with `MDB_NOSYNC`.

use std::ops::Bound;
use std::path::Path;

use heed::types::Bytes;
use heed::{CommitOrAbort, Database, Env, EnvFlags, EnvOpenOptions, RoTxn};

use super::keyed::{Newest, key, keys, listed};
use crate::Outcome;
use crate::peer::{Answer, Peer, Syncs, held};
use crate::wire::{self, Owned};
use crate::workload::{Digest, Row, Talk};

type Table = Database<'static, Bytes, Bytes>;

#[derive(Debug)]
pub(crate) struct Lmdb {
    env: Env,
    messages: Table,
    ids: Table,
    talks: Table,
}

impl Lmdb {
    pub(crate) fn open(dir: &Path, syncs: Syncs) -> Outcome<Self> {
        let mut options = EnvOpenOptions::new();
        options.map_size(16 << 30).max_dbs(3).max_readers(256);
        // SAFETY: the directory is this process's alone, and no file in it is changed but by LMDB. NO_SYNC risks the file
        // at a power cut, which is what that sample asks for.
        let env = unsafe {
            if syncs == Syncs::Never {
                options.flags(EnvFlags::NO_SYNC);
            }
            options.open(dir)?
        };
        let transaction = env.write_txn()?;
        let (messages, ids, talks) = env
            .create_databases_and_commit(transaction, |opener, transaction| -> heed::Result<_> {
                Ok(CommitOrAbort::<_, ()>::Commit((
                    opener.create_database(transaction, Some("messages"))?,
                    opener.create_database(transaction, Some("ids"))?,
                    opener.create_database(transaction, Some("conversations"))?,
                )))
            })?
            .unwrap_commit();
        Ok(Self { env, messages, ids, talks })
    }

    fn each(&self, talk: &Talk, read: &RoTxn<'_>, each: &mut dyn FnMut(wire::Borrowed<'_>)) -> Outcome<()> {
        let keys = keys(talk);
        let range = (Bound::Included(keys.start().as_slice()), Bound::Included(keys.end().as_slice()));
        for found in self.messages.range(read, &range)? {
            each(wire::decode(found?.1)?);
        }
        Ok(())
    }
}

impl Peer for Lmdb {
    fn append(&self, row: &Row) -> Outcome<()> {
        self.append_batch(std::slice::from_ref(row))
    }

    fn append_batch(&self, rows: &[Row]) -> Outcome<()> {
        let mut transaction = self.env.write_txn()?;
        for row in rows {
            let key = key(row.talk.number, row.seq);
            self.messages.put(&mut transaction, &key, &wire::encoded(row))?;
            self.ids.put(&mut transaction, row.id.as_bytes(), &key)?;
            self.talks.put(&mut transaction, &row.talk.number.to_be_bytes(), &listed(row))?;
        }
        Ok(transaction.commit()?)
    }

    fn digest(&self) -> Outcome<Digest> {
        let (read, mut digest) = (self.env.read_txn()?, Digest::default());
        for found in self.messages.iter(&read)? {
            let message = wire::decode(found?.1)?;
            digest.add(message.id, message.content);
        }
        Ok(digest)
    }

    fn conversation(&self, talk: &Talk) -> Answer {
        let (read, mut messages) = (self.env.read_txn()?, Vec::new());
        self.each(talk, &read, &mut |message| messages.push(message.to_owned()))?;
        held(messages)
    }

    fn last(&self, talk: &Talk, count: usize) -> Answer {
        let (read, keys) = (self.env.read_txn()?, keys(talk));
        let range = (Bound::Included(keys.start().as_slice()), Bound::Included(keys.end().as_slice()));
        let mut messages: Vec<Owned> = Vec::with_capacity(count);
        for found in self.messages.rev_range(&read, &range)?.take(count) {
            messages.push(wire::decode(found?.1)?.to_owned());
        }
        messages.reverse();
        held(messages)
    }

    fn by_id(&self, _: &Talk, id: &str) -> Answer {
        let (read, mut messages) = (self.env.read_txn()?, Vec::new());
        if let Some(key) = self.ids.get(&read, id.as_bytes())? {
            if let Some(value) = self.messages.get(&read, key)? {
                messages.push(wire::decode(value)?.to_owned());
            }
        }
        held(messages)
    }

    fn recent(&self, count: usize) -> Answer {
        let (read, mut newest) = (self.env.read_txn()?, Newest::default());
        for found in self.talks.iter(&read)? {
            newest.add(found?.1);
        }
        held(newest.take(count)?)
    }

    fn borrowed(&self, talk: &Talk, each: &mut dyn FnMut(&str)) -> Outcome<Option<()>> {
        let read = self.env.read_txn()?;
        self.each(talk, &read, &mut |message| each(message.content))?;
        Ok(Some(()))
    }

    fn scan(&self, each: &mut dyn FnMut(&str)) -> Outcome<Option<u64>> {
        let (read, mut count) = (self.env.read_txn()?, 0);
        for found in self.messages.iter(&read)? {
            each(&wire::decode(found?.1)?.to_owned().content);
            count += 1;
        }
        Ok(Some(count))
    }
}
