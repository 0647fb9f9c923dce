//! okaywal: a write-ahead log with a group commit.
//!
//! Owns the adapter. The log is made for what is checkpointed elsewhere; here it keeps everything, in one segment that no
//! sample fills. It has no index, so it answers no question but what all there is.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

use okaywal::{Configuration, Entry, EntryId, LogManager, SegmentReader, WriteAheadLog};

use super::raw::LENGTH;
use crate::Outcome;
use crate::peer::{Peer, Syncs};
use crate::wire;
use crate::workload::{Digest, Row};

#[derive(Debug)]
struct Recovering(Arc<Mutex<Digest>>);

impl LogManager for Recovering {
    fn recover(&mut self, entry: &mut Entry<'_>) -> io::Result<()> {
        // The torn last entry of a killed writer fails its checksum; with `?` here the log would not open at all.
        let Ok(Some(chunks)) = entry.read_all_chunks() else { return Ok(()) };
        let mut digest = self.0.lock().map_err(|_| io::Error::other("poisoned"))?;
        for chunk in chunks {
            let message = wire::decode(&chunk).map_err(io::Error::other)?;
            digest.add(message.id, message.content);
        }
        Ok(())
    }

    fn checkpoint_to(&mut self, _: EntryId, _: &mut SegmentReader, _: &WriteAheadLog) -> io::Result<()> {
        Ok(())
    }
}

pub(crate) struct Okay {
    log: WriteAheadLog,
    found: Arc<Mutex<Digest>>,
}

impl Okay {
    pub(crate) fn open(dir: &Path, syncs: Syncs) -> Outcome<Self> {
        if syncs == Syncs::Never {
            return Err("okaywal syncs every entry".into());
        }
        let found = Arc::new(Mutex::new(Digest::default()));
        let configuration = Configuration::default_for(dir.join("okay"))
            .preallocate_bytes(u32::try_from(LENGTH)?)
            .checkpoint_after_bytes(u64::MAX);
        Ok(Self { log: configuration.open(Recovering(Arc::clone(&found)))?, found })
    }
}

impl Peer for Okay {
    fn append(&self, row: &Row) -> Outcome<()> {
        self.append_batch(std::slice::from_ref(row))
    }

    fn append_batch(&self, rows: &[Row]) -> Outcome<()> {
        let chunks: Vec<Vec<u8>> = rows.iter().map(wire::encoded).collect();
        let mut entry = self.log.begin_entry()?;
        for chunk in &chunks {
            entry.write_chunk(chunk)?;
        }
        entry.commit()?;
        Ok(())
    }

    /// What was there when it was opened.
    fn digest(&self) -> Outcome<Digest> {
        Ok(*self.found.lock().map_err(|_| "poisoned")?)
    }
}
