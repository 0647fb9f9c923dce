//! What is done where a backup and its store do not agree.
//!
//! Owns the difference between three things: events that were never durable, which a cut of power has taken from the store
//! and which are set aside; a store that was put back to an earlier state, which is refused; and damage to the backup,
//! which is copied anew as long as the store has what was there.

use std::sync::Arc;

use super::extent::{Copy, Limit, ends_as, start_of, walk};
use super::files::copy_checkpoint;
use super::log_copy::Came;
use super::look::Look;
use super::place::Place;
use super::replica::Replica;
use crate::backend::directory::checkpoint_file::read_checkpoint;
use crate::backend::settings::Settings;
use crate::codec::backup::{Extent, Manifest};
use crate::codec::bytes::{all_zero, to_u64};
use crate::codec::checkpoint::Checkpoint;
use crate::codec::frame::FRAME_ALIGN;
use crate::codec::segment::{DATA_START, Previous};
use crate::error::{Error, ErrorKind, Result};
use crate::log::inventory::Inventory;
use crate::log::segment::Segment;
use crate::model::BackupReport;
use crate::snapshot::layout::{self, Layout};

impl Replica {
    /// Goes back to where a segment ends that the backup has more of: events that had not been made durable, and that a
    /// cut of power has taken from the store.
    pub(super) fn cut_back(
        &mut self,
        at: Extent,
        seal: Previous,
        report: &mut BackupReport,
    ) -> Result<Extent> {
        let vfs = Arc::clone(&self.settings.vfs);
        let path = self.place.segment(at.segment, at.first_seq);
        let own = Segment::open(&*vfs, &path, (at.segment, at.first_seq))?;
        let start = start_of(&own.header);
        let all = walk(&own, start, Limit::at(at.length), &mut |_, _| Ok(()))?;
        if all.watermark > seal.valid_len {
            return Err(self.is_further_on());
        }
        let end = walk(&own, start, Limit::at(seal.valid_len), &mut |_, _| Ok(()))?.end;
        if !ends_as(&end, &seal) {
            return Err(self.is_further_on());
        }
        report.set_aside.push(self.place.set_copy_aside(&*vfs, &path)?);
        // Order: the manifest first. Reversed, it would count bytes that are gone.
        self.go_over_to(Manifest { end, ..self.manifest })?;
        Copy::open(&*vfs, &path, &own)?.cut(end.length)?;
        Ok(end)
    }

    /// Goes back behind a segment that the store does not have, if nothing says that anything in it was ever durable.
    pub(super) fn step_back(&mut self, at: Extent, report: &mut BackupReport) -> Result<Extent> {
        let vfs = Arc::clone(&self.settings.vfs);
        let path = self.place.segment(at.segment, at.first_seq);
        let own = Segment::open(&*vfs, &path, (at.segment, at.first_seq))?;
        let all = walk(&own, start_of(&own.header), Limit::at(at.length), &mut |_, _| Ok(()))?;
        let copies = Inventory::take(&*vfs, &self.place.segments())?.segments;
        let seal = own.header.previous;
        let before = copies.iter().find(|(number, ..)| *number == seal.number);
        let Some((_, first_seq, _)) = before.filter(|_| all.watermark <= to_u64(DATA_START)) else {
            return Err(self.is_further_on());
        };
        let Previous { number: segment, valid_len: length, next_seq, rollup } = seal;
        let end = Extent { segment, first_seq: *first_seq, length, rollup, next_seq };
        report.set_aside.push(self.place.set_copy_aside(&*vfs, &path)?);
        // Order: the manifest between the copy and the removal. What is stopped in between is done again, or has left a stray.
        self.go_over_to(Manifest { end, ..self.manifest })?;
        layout::remove_file(&*vfs, &path)?;
        layout::sync_dir(&*vfs, &self.place.segments())?;
        Ok(end)
    }

    /// Removes what lies where the log goes on and is no copy of what the store has there. It counts for nothing: it was not
    /// finished, or a backup that went back behind it has set a copy aside.
    pub(super) fn remove_strays(&self, look: &Look) -> Result<()> {
        let (vfs, end) = (&*self.settings.vfs, self.manifest.end);
        for (number, first_seq, path) in Inventory::take(vfs, &self.place.segments())?.segments {
            if number < end.segment || (number, first_seq) == (end.segment, end.first_seq) {
                continue;
            }
            let source = self.log_copy(vfs, look).segment(number)?;
            let is_copy = match Segment::open(vfs, &path, (number, first_seq)) {
                Ok(own) => source.is_some_and(|source| source.header == own.header),
                Err(error) if error.kind() == ErrorKind::Corrupt => false,
                Err(error) => return Err(error),
            };
            if !is_copy {
                layout::remove_file(vfs, &path)?;
            }
        }
        layout::sync_dir(vfs, &self.place.segments())
    }

    /// The checkpoint that a backup's newest state begins with. A damaged copy is made anew, as long as the store has it.
    pub(super) fn base_of(
        settings: &Settings,
        (source, look): (&Layout, &Look),
        (place, epoch): (&Place, u64),
        report: &mut BackupReport,
    ) -> Result<Checkpoint> {
        let vfs = &*settings.vfs;
        let path = place.checkpoint(epoch);
        match read_checkpoint(vfs, &path) {
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                if look.checkpoint.head().epoch != epoch {
                    let reason =
                        "the store has gone on from what this was a copy of; back up to another directory";
                    return Err(error.context(reason));
                }
                // As it is: what of an encrypted store is damaged cannot be opened to be sealed anew.
                let outside = settings.outside.as_deref().unwrap_or(vfs);
                report.set_aside.push(place.set_copy_aside(outside, &path)?);
                copy_checkpoint(vfs, &source.checkpoint(epoch), &path)?;
                report.mended.push(path.clone());
                read_checkpoint(vfs, &path)
            }
            read => read,
        }
    }

    /// Reads the segments that the backup's newest state consists of. One that is damaged is copied anew, as long as the
    /// store has it.
    pub(super) fn check_log(&mut self, look: &Look, report: &mut BackupReport) -> Result<()> {
        let vfs = Arc::clone(&self.settings.vfs);
        let end = self.manifest.end;
        let first = self.base.as_ref().map_or(0, |base| base.head().first_segment);
        let mut number = first;
        while end.segment > 0 && number <= end.segment {
            let Some(error) = self.damage_of(number)? else {
                number += 1;
                continue;
            };
            let Some(source) = self.log_copy(&*vfs, look).segment(number)? else {
                if look.checkpoint.head().first_segment > end.segment {
                    // The state that comes next does not need it. Those that do are not lost any more than they were.
                    return Ok(());
                }
                let reason = "the store has dropped what this was a copy of; back up to another directory";
                return Err(error.context(reason));
            };
            let path = self.place.segment(number, source.header.first_seq);
            if layout::probe(&*vfs, &path)?.is_some() {
                report.set_aside.push(self.place.set_aside(&*vfs, &path)?);
            }
            report.mended.push(path);
            let start = self.begun(look, number)?;
            let came = self.log_copy(&*vfs, look).advance(start, &mut None)?;
            let Came::To(_, bytes) = came else { return Err(self.is_further_on()) };
            report.bytes += bytes;
            number += 1;
        }
        self.must_not_be_put_back(look)
    }

    /// Holds that the store has what was copied of the segment that the backup ends in, or at least what was durable of it.
    fn must_not_be_put_back(&self, look: &Look) -> Result<()> {
        let (vfs, end) = (&*self.settings.vfs, self.manifest.end);
        let Some(source) = self.log_copy(vfs, look).segment(end.segment)? else { return Ok(()) };
        let path = self.place.segment(end.segment, end.first_seq);
        let own = Segment::open(vfs, &path, (end.segment, end.first_seq))?;
        if own.header != source.header {
            // Whether that may be so is found out when the log is gone on with.
            return Ok(());
        }
        let start = start_of(&own.header);
        let found = walk(&source, start, Limit::at(end.length), &mut |_, _| Ok(()))?.end;
        let watermark = walk(&own, start, Limit::at(end.length), &mut |_, _| Ok(()))?.watermark;
        if watermark <= found.length {
            return Ok(());
        }
        let is_unwritten = match source.read(found.length, FRAME_ALIGN) {
            Ok(bytes) => all_zero(&bytes),
            Err(_) => true,
        };
        if is_unwritten {
            return Err(self.is_further_on());
        }
        Err(Error::corrupt(
            &source.path,
            found.length,
            "durable bytes are damaged, and are whole in the backup",
        ))
    }

    /// What is wrong with the copy of a segment that the newest state needs.
    fn damage_of(&self, number: u64) -> Result<Option<Error>> {
        let vfs = &*self.settings.vfs;
        let copies = Inventory::take(vfs, &self.place.segments())?.segments;
        let find = |number: u64| copies.iter().find(|(n, ..)| *n == number);
        let open = |number: u64| match find(number) {
            Some((number, first_seq, path)) => Segment::open(vfs, path, (*number, *first_seq)),
            None => {
                let reason = format!("segment {number} of the backup is missing");
                Err(Error::corrupt(&self.place.segments(), 0, reason))
            }
        };
        let own = match open(number) {
            Ok(own) => own,
            Err(error) if error.kind() == ErrorKind::Corrupt => return Ok(Some(error)),
            Err(error) => return Err(error),
        };
        let end = self.manifest.end;
        let reach = |limit| -> Result<Extent> {
            Ok(walk(&own, start_of(&own.header), Limit::at(limit), &mut |_, _| Ok(()))?.end)
        };
        let (found, is_right) = if number == end.segment {
            let found = reach(end.length)?;
            (found, found == end)
        } else {
            // A successor that is damaged itself is told when its turn comes.
            let Ok(next) = open(number + 1) else { return Ok(None) };
            let seal = next.header.previous;
            let found = reach(seal.valid_len)?;
            (found, ends_as(&found, &seal))
        };
        let reason = "the backup's copy of the segment is damaged";
        Ok((!is_right).then(|| Error::corrupt(&own.path, found.length, reason)))
    }
}
