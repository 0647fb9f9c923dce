//! What the log shows its groups to: the index.
//!
//! Owns the step from written to visible.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::reads::ReadState;
use super::replay::apply_payload;
use crate::backend::settings::OwnEvents;
use crate::codec::bytes::to_u64;
use crate::error::{Error, ErrorKind, Result};
use crate::log::segment::Segment;
use crate::log::{Client, Placed};
use crate::model::Seq;
use crate::rules::Pending;

/// The log's client.
#[derive(Debug)]
pub(crate) struct Applier {
    pub(crate) reads: Arc<ReadState>,
    /// Bytes appended since the last compaction.
    pub(crate) log_bytes: AtomicU64,
    /// How many of them there must be before a compaction in the background is worth a thought.
    pub(crate) compaction_floor: AtomicU64,
    /// How many of them were there at the opening, where what comes later is left to a later one to compact.
    pub(crate) bytes_before: Option<AtomicU64>,
}

impl Applier {
    /// Shows what comes behind so many bytes of log.
    pub(super) fn new(reads: Arc<ReadState>, log_bytes: u64, own_events: OwnEvents) -> Self {
        let bytes_before = (own_events == OwnEvents::LeftForLater).then(|| AtomicU64::new(log_bytes));
        Self {
            reads,
            log_bytes: AtomicU64::new(log_bytes),
            compaction_floor: AtomicU64::new(0),
            bytes_before,
        }
    }

    /// How many bytes of log are this one's to compact.
    pub(super) fn bytes_to_compact(&self) -> u64 {
        self.bytes_before.as_ref().unwrap_or(&self.log_bytes).load(Ordering::Relaxed)
    }

    /// A compaction has covered all that there was.
    pub(super) fn compacted(&self) {
        for bytes in [Some(&self.log_bytes), self.bytes_before.as_ref()].into_iter().flatten() {
            bytes.store(0, Ordering::Relaxed);
        }
    }
}

impl Client for Applier {
    type State = Pending;

    fn apply(&self, segment: &Arc<Segment>, records: &mut dyn Iterator<Item = Placed<'_>>) -> Result<()> {
        self.reads.know_segment(segment);
        let mut index = self.reads.index_mut();
        let mut bytes = 0;
        for record in records {
            bytes += to_u64(record.payload.len());
            apply_payload(&mut index, segment, &record).map_err(|reason| {
                Error::new(ErrorKind::Failed, format!("an accepted event does not fit: {reason}"))
            })?;
        }
        drop(index);
        self.log_bytes.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }

    fn applied(&self, pending: &mut Pending, seq: Seq) {
        pending.forget_before(seq);
    }

    fn dropped(&self, pending: &mut Pending) {
        pending.clear();
    }
}
