//! salamander-db: a log of events for the memory of agents.
//!
//! Owns the adapter over its engine for many threads: a stream is a conversation, an event a message as JSON, and a batch is synced before
//! its receipt. Questions are answered by folds over the whole log, so it takes part in what is written and not in what
//! is read.

use std::path::Path;

use salamander::{
    DurabilityDto, Engine, EngineAppendBatch, EngineOptions, EventData, ExpectedRevisionDto, ReplayRequest,
};

use super::jsonl;
use crate::Outcome;
use crate::peer::{Peer, Syncs};
use crate::workload::{Digest, Row};

pub(crate) struct Events {
    engine: Engine,
    durability: DurabilityDto,
}

impl Events {
    pub(crate) fn open(dir: &Path, syncs: Syncs) -> Outcome<Self> {
        let durability = match syncs {
            Syncs::Each => DurabilityDto::Sync,
            Syncs::Never => DurabilityDto::Flush,
        };
        let engine =
            Engine::open(EngineOptions::new(dir.join("salamander"))).map_err(|e| format!("{e:?}"))?;
        Ok(Self { engine, durability })
    }
}

impl Peer for Events {
    fn append(&self, row: &Row) -> Outcome<()> {
        self.append_batch(std::slice::from_ref(row))
    }

    /// All rows belong to one conversation.
    fn append_batch(&self, rows: &[Row]) -> Outcome<()> {
        let first = rows.first().ok_or("an empty batch")?;
        let event = |row: &Row| Ok(EventData::json(jsonl::line(row)?));
        let request = EngineAppendBatch {
            branch_id: [0; 16],
            stream: first.talk.id.clone(),
            expected: ExpectedRevisionDto::Any,
            idempotency_key: None,
            events: rows.iter().map(event).collect::<Outcome<_>>()?,
            durability: self.durability,
        };
        self.engine.append(request).map_err(|e| format!("{e:?}"))?;
        Ok(())
    }

    fn digest(&self) -> Outcome<Digest> {
        let mut digest = Digest::default();
        let reader = self.engine.open_reader(ReplayRequest::default()).map_err(|e| format!("{e:?}"))?;
        loop {
            let page = self.engine.next_page(reader).map_err(|e| format!("{e:?}"))?;
            for record in page.records {
                let message = jsonl::read(std::str::from_utf8(&record.payload)?)?;
                digest.add(&message.id, &message.content);
            }
            if page.done {
                return Ok(digest);
            }
        }
    }
}
