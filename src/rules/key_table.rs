//! Idempotency keys that were used since the checkpoint.
//!
//! Owns how many are kept: the newest 100,000 at least, twice that at most, those in the checkpoint aside.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::codec::checkpoint::KeyEntry;
use crate::model::{Seq, Version};

/// How many of the newest keys are kept at least.
pub(crate) const KEPT_KEYS: usize = 100_000;

/// What the first use of a key returned.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct KeyRecord {
    pub(crate) fingerprint: u32,
    pub(crate) conversation_id: Arc<str>,
    /// In WTF-8.
    pub(crate) id: Box<[u8]>,
    pub(crate) seq: Seq,
    pub(crate) version: Version,
}

impl From<KeyEntry<'_>> for KeyRecord {
    fn from(entry: KeyEntry<'_>) -> Self {
        let KeyEntry { key: _, fingerprint, conversation_id, id, seq, version } = entry;
        Self { fingerprint, conversation_id: conversation_id.into(), id: id.into(), seq, version }
    }
}

impl KeyRecord {
    /// What a checkpoint keeps of it.
    pub(crate) fn entry<'r>(&'r self, key: &'r str) -> KeyEntry<'r> {
        let Self { fingerprint, conversation_id, id, seq, version } = self;
        KeyEntry { key, fingerprint: *fingerprint, conversation_id, id, seq: *seq, version: *version }
    }
}

/// Keys by their text, and in the order of their use.
#[derive(Clone, Debug, Default)]
pub(crate) struct KeyTable {
    records: HashMap<Arc<str>, KeyRecord>,
    order: VecDeque<Arc<str>>,
}

impl KeyTable {
    pub(crate) fn find(&self, key: &str) -> Option<&KeyRecord> {
        self.records.get(key)
    }

    pub(crate) fn insert(&mut self, key: &str, record: KeyRecord) {
        let key: Arc<str> = key.into();
        if self.records.insert(Arc::clone(&key), record).is_none() {
            self.order.push_back(key);
        }
        if self.order.len() >= 2 * KEPT_KEYS {
            for oldest in self.order.drain(..KEPT_KEYS) {
                self.records.remove(&oldest);
            }
        }
    }

    /// The keys in the order of their use.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = (&str, &KeyRecord)> {
        self.order.iter().filter_map(|key| Some((&**key, self.records.get(key)?)))
    }

    /// Forgets the keys up to and including this event; the checkpoint has them.
    pub(crate) fn forget_through(&mut self, seq: Seq) {
        while let Some(key) = self.order.front() {
            if self.records.get(key).is_some_and(|record| record.seq > seq) {
                break;
            }
            self.records.remove(key);
            self.order.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_keys_are_kept_and_memory_is_bounded() {
        let mut table = KeyTable::default();
        for n in 0..250_000_u64 {
            let record =
                KeyRecord { fingerprint: 0, conversation_id: "c".into(), id: [].into(), seq: n, version: 1 };
            table.insert(&format!("k{n}"), record);
        }
        assert!(table.records.len() >= KEPT_KEYS && table.records.len() <= 2 * KEPT_KEYS);
        for n in 150_000..250_000_u64 {
            assert_eq!(table.find(&format!("k{n}")).map(|record| record.seq), Some(n));
        }
        table.forget_through(249_998);
        assert_eq!(table.iter().map(|(key, _)| key).collect::<Vec<_>>(), ["k249999"]);
        assert_eq!(table.records.len(), 1);
    }
}
