//! What is kept for consumers.
//!
//! Owns the check of their cursors and of the segments that are kept for them alone, and the telling of what one has missed.

use std::sync::Arc;

use super::Check;
use crate::backend::directory::consumers;
use crate::codec::checkpoint::Checkpoint;
use crate::error::{Error, Result};
use crate::log::inventory::Inventory;
use crate::log::recovery::replay_sealed;
use crate::log::segment::Segment;
use crate::snapshot::layout;

impl Check<'_> {
    /// Checks the cursors, and what is kept for those who have not read it.
    pub(super) fn consumers(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        if layout::probe(self.vfs, &self.layout.consumers())?.is_none() {
            return Ok(());
        }
        let inventory = Inventory::take(self.vfs, &self.layout.log())?;
        let first = consumers::first_kept(&inventory, checkpoint);
        let mut told = Vec::new();
        let mut notes = Vec::new();
        consumers::check(self.vfs, self.layout, |path, checked| {
            let checked = checked.map(|(name, acknowledged)| {
                if acknowledged + 1 < first {
                    let (from, to) = (acknowledged + 1, first - 1);
                    notes.push(format!("consumer {name:?} has missed events {from} to {to}, which are gone"));
                }
            });
            told.push((path.to_owned(), checked));
        });
        self.report.notes.extend(notes);
        for (path, checked) in told {
            self.count(&path)?;
            self.unless_damaged(checked);
        }
        for (number, first_seq, path) in &inventory.unread {
            self.count(path)?;
            let read = self.unread_segment(&inventory, (*number, *first_seq), checkpoint);
            self.unless_damaged(read);
        }
        Ok(())
    }

    fn unread_segment(
        &self,
        inventory: &Inventory,
        named: (u64, u64),
        checkpoint: &Checkpoint,
    ) -> Result<()> {
        let open = |number: u64| {
            let found = inventory.find(number);
            found
                .map(|(number, first_seq, path)| Segment::open(self.vfs, path, (*number, *first_seq)))
                .transpose()
        };
        let (Some(segment), Some(behind)) = (open(named.0)?, open(named.0 + 1)?) else { return Ok(()) };
        if segment.header.store_id != checkpoint.head().store_id {
            return Err(Error::corrupt(&segment.path, 24, "the segment belongs to another store"));
        }
        replay_sealed(&Arc::new(segment), &behind.header.previous, &mut |_, _| Ok(())).map(drop)
    }
}
