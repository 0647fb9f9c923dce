//! The store of this repository, on its public API.
//!
//! Owns the adapter; the calls are those that the README tells an application to make.

use std::path::Path;

use aral_store::{
    Message, MessageRef, MessageStore, Messages, Mutation, NewMessage, Order, Summary, SyncPolicy, Timestamp,
};

use crate::Outcome;
use crate::peer::{Answer, Held, Peer, Syncs, held};
use crate::workload::{Digest, Row, Talk};

#[derive(Debug)]
pub(crate) struct Aral {
    pub(crate) store: MessageStore,
}

impl Aral {
    pub(crate) fn open(dir: &Path, syncs: Syncs) -> Outcome<Self> {
        let policy = match syncs {
            Syncs::Each => SyncPolicy::Always,
            Syncs::Never => SyncPolicy::Os,
        };
        // Compactions are measured on their own; the others measure the log, or what one compaction left.
        let store = MessageStore::options().sync(policy).compact_manually().open(dir.join("aral"))?;
        Ok(Self { store })
    }
}

impl Aral {
    /// The same in a database.
    pub(crate) fn connect(url: &str) -> Outcome<Self> {
        Ok(Self { store: MessageStore::options().sync(SyncPolicy::Always).connect(url)? })
    }
}

fn message(row: &Row) -> Outcome<NewMessage> {
    let time = Timestamp::from_unix_micros(row.created_at).ok_or("a time out of range")?;
    Ok(NewMessage::new(row.content.as_str()).role(row.role).id(row.id.as_str()).created_at(time))
}

/// What adds a row.
pub(crate) fn mutation(row: &Row) -> Outcome<Mutation> {
    Ok(Mutation::add_message(row.talk.id.as_str(), message(row)?))
}

impl Peer for Aral {
    fn append(&self, row: &Row) -> Outcome<()> {
        let receipt = self.store.add_message(&row.talk.id, message(row)?)?;
        drop(std::hint::black_box(receipt));
        Ok(())
    }

    fn append_batch(&self, rows: &[Row]) -> Outcome<()> {
        let mutations: Outcome<Vec<_>> = rows.iter().map(mutation).collect();
        drop(std::hint::black_box(self.store.batch(mutations?)?));
        Ok(())
    }

    fn digest(&self) -> Outcome<Digest> {
        let mut digest = Digest::default();
        for summary in self.store.conversations(Order::Created)? {
            for message in self.store.messages(&summary.id, Messages::all())? {
                let (Some(id), Some(content)) = (message.id.as_str(), message.content.as_str()) else {
                    return Err("a text that is no Unicode".into());
                };
                digest.add(id, content);
            }
        }
        Ok(digest)
    }

    fn conversation(&self, talk: &Talk) -> Answer {
        held(self.store.messages(&talk.id, Messages::all())?)
    }

    fn last(&self, talk: &Talk, count: usize) -> Answer {
        held(self.store.messages(&talk.id, Messages::last(count))?)
    }

    fn by_id(&self, talk: &Talk, id: &str) -> Answer {
        held(Vec::from_iter(self.store.message(&talk.id, id)?))
    }

    fn borrowed(&self, talk: &Talk, each: &mut dyn FnMut(&str)) -> Outcome<Option<()>> {
        let lend = |message: MessageRef<'_>| each(message.content.as_str().unwrap_or_default());
        self.store.for_each_message(&talk.id, Messages::all(), lend)?;
        Ok(Some(()))
    }

    fn recent(&self, count: usize) -> Answer {
        held(self.store.first_conversations(Order::Activity, count)?)
    }

    fn scan(&self, each: &mut dyn FnMut(&str)) -> Outcome<Option<u64>> {
        let mut count = 0;
        for summary in self.store.conversations(Order::Created)? {
            for message in self.store.messages(&summary.id, Messages::all())? {
                each(message.content.as_str().unwrap_or_default());
                count += 1;
            }
        }
        Ok(Some(count))
    }

    fn facts(&self) -> Outcome<Vec<(&'static str, f64)>> {
        let stats = self.store.stats()?;
        let of = |figure: u64| figure as f64;
        Ok(vec![
            ("log_bytes", of(stats.log_bytes)),
            ("index_bytes", of(stats.index_bytes)),
            ("messages", of(stats.messages)),
        ])
    }
}

impl Held for Vec<Message> {
    fn count(&self) -> usize {
        self.len()
    }

    fn text(&self, at: usize) -> Option<&str> {
        self.get(at).and_then(|message| message.content.as_str())
    }
}

impl Held for Vec<Summary> {
    fn count(&self) -> usize {
        self.len()
    }

    fn text(&self, at: usize) -> Option<&str> {
        self.get(at).map(|summary| summary.id.as_str())
    }
}
