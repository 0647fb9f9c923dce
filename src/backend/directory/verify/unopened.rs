//! Verifying an encrypted store.
//!
//! Owns what can be said without its key, by the checksums that are outside of what is sealed, and the check of the files of
//! its keys.

use super::Check;
use crate::backend::directory::encrypted;
use crate::backend::directory::replay::torn_tail;
use crate::error::Result;
use crate::log::inventory::Inventory;
use crate::log::unopened;
use crate::model::VerifyReport;
use crate::snapshot::layout::{self, Layout};
use crate::vfs::Vfs;

/// Says what is wrong with an encrypted store as far as its checksums tell.
pub(in crate::backend::directory) fn without_key(vfs: &dyn Vfs, layout: &Layout) -> Result<VerifyReport> {
    let mut check = Check::new(vfs, layout);
    check.keys()?;
    let log = layout.log();
    let inventory = Inventory::take(vfs, &log)?;
    for (.., path) in inventory.unread.iter().chain(&inventory.segments) {
        check.count(path)?;
    }
    let found = unopened::check(vfs, &inventory);
    check.report.events = found.events;
    for error in found.damaged {
        check.unless_damaged::<()>(Err(error));
    }
    check.report.torn = found.last.and_then(|last| torn_tail(&last, None));
    let mut told = Vec::new();
    encrypted::check_blocks(vfs, layout, &mut |length, checked| told.push((length, checked)))?;
    check.tell(told);
    let note = "no key was given: the checksums of what is sealed were checked, and not what is in it, nor whether a file is missing";
    check.report.notes.push(note.to_owned());
    check.no_memory.map_or(Ok(check.report), Err)
}

impl Check<'_> {
    /// Checks the files of an encrypted store's keys.
    pub(super) fn keys(&mut self) -> Result<()> {
        if layout::probe(self.vfs, &self.layout.key())?.is_none() {
            return Ok(());
        }
        let mut told = Vec::new();
        encrypted::check_keys(self.vfs, self.layout, &mut |length, checked| told.push((length, checked)))?;
        self.tell(told);
        Ok(())
    }

    fn tell(&mut self, told: Vec<(u64, Result<()>)>) {
        for (length, checked) in told {
            self.report.files += 1;
            self.report.bytes += length;
            self.unless_damaged(checked);
        }
    }
}
