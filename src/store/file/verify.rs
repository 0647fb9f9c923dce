//! Looking at a store without trusting it.
//!
//! Owns the reading of every byte: checkpoint, segments, every conversation's file, the list of them. Goes
//! on behind damage, so that one bad file does not hide the next.

use std::sync::Arc;

use super::library::Library;
use super::open::{newest_checkpoint, read_checkpoint, torn_tail};
use crate::codec::bytes::to_u64;
use crate::codec::checkpoint::{Checkpoint, FileState};
use crate::codec::document::scan_document;
use crate::codec::index_file::read_index;
use crate::codec::payload::{BadPayload, for_each_event};
use crate::error::{Error, ErrorKind, Result};
use crate::log::inventory::{self, Inventory};
use crate::log::recovery;
use crate::log::scan::Frame;
use crate::log::segment::Segment;
use crate::model::{DamagedFile, Event, Seq, Stats, VerifyReport};
use crate::snapshot::layout::{self, Layout};
use crate::snapshot::load::{is_same, not_as_recorded};
use crate::vfs::Vfs;

/// Reads everything and says what is wrong.
pub(crate) fn verify(vfs: &dyn Vfs, layout: &Layout) -> Result<VerifyReport> {
    let mut check = Check { vfs, layout, report: VerifyReport::default() };
    let checkpoint = check.log()?;
    if let Some(checkpoint) = &checkpoint {
        check.snapshot(checkpoint)?;
    } else {
        check.unmanaged()?;
    }
    Ok(check.report)
}

struct Check<'c> {
    vfs: &'c dyn Vfs,
    layout: &'c Layout,
    report: VerifyReport,
}

impl Check<'_> {
    fn damaged(&mut self, error: &Error, conversation_id: Option<&str>) {
        let place = error.place();
        self.report.damaged.push(DamagedFile {
            path: place.map_or_else(|| self.layout.root().to_owned(), |place| place.path.clone()),
            offset: place.and_then(|place| place.offset),
            conversation_id: conversation_id.map(str::to_owned),
            reason: error.message().to_owned(),
        });
    }

    /// Errors of bytes go into the report, those of the system to the caller.
    fn unless_damaged<T>(&mut self, result: Result<T>) -> Result<Option<T>> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::UnsupportedFormat) => {
                self.damaged(&error, None);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Checks the log, and returns the checkpoint if it can be read.
    fn log(&mut self) -> Result<Option<Checkpoint>> {
        let log = self.layout.log();
        if layout::probe(self.vfs, &log)?.is_none() {
            return Ok(None);
        }
        let inventory = Inventory::take(self.vfs, &log)?;
        for (_, path) in &inventory.checkpoints {
            let checked = read_checkpoint(self.vfs, path);
            self.count(path)?;
            self.unless_damaged(checked)?;
        }
        let newest = newest_checkpoint(self.vfs, &inventory, &log);
        let Some(checkpoint) = newest.ok().flatten() else {
            if !inventory.segments.is_empty() {
                let error = Error::corrupt(
                    &log,
                    0,
                    "no checkpoint can be read, so nothing says where the log begins",
                );
                self.damaged(&error, None);
            }
            return Ok(None);
        };
        let head = checkpoint.head();
        let control = inventory::read_control(self.vfs, &log, head.store_id);
        if let Some(control) = control.filter(|control| control.checkpoint_epoch > head.epoch) {
            let reason = format!("checkpoint {} is missing: CONTROL names it", control.checkpoint_epoch);
            self.damaged(&Error::corrupt(&log, 0, reason), None);
        }
        let mut events = 0;
        let mut visit = |segment: &Arc<Segment>, frame: &Frame<'_>| {
            events += u64::from(frame.header.events);
            read_frame(segment, frame).map(|_| ())
        };
        let replayed = recovery::replay(self.vfs, &inventory, head, control.as_ref(), &mut visit);
        self.report.events = events;
        for (_, _, path) in &inventory.segments {
            self.count(path)?;
        }
        if let Some(replayed) = self.unless_damaged(replayed)? {
            self.report.torn = replayed.last.as_ref().and_then(|last| torn_tail(last, None));
        }
        if inventory.checkpoints.len() > 1 {
            self.report.notes.push("a compaction is being published, or was interrupted".to_owned());
        }
        Ok(Some(checkpoint))
    }

    fn count(&mut self, path: &std::path::Path) -> Result<()> {
        if let Some(metadata) = layout::probe(self.vfs, path)? {
            self.report.files += 1;
            self.report.bytes += metadata.len;
        }
        Ok(())
    }

    /// Checks every file that the checkpoint names.
    fn snapshot(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        let epoch = checkpoint.head().epoch;
        for (ordinal, entry) in checkpoint.entries().enumerate() {
            let path = if entry.file_name.is_empty() {
                self.layout.index_file()
            } else {
                self.layout.conversation(entry.file_name)
            };
            if entry.state != FileState::Intact {
                self.count(&path)?;
                let offset = entry.damage_offset();
                self.damaged(&Error::new(ErrorKind::Corrupt, entry.note).at(&path, offset), Some(entry.id));
                continue;
            }
            self.report.conversations += 1;
            let mut wrong = Some(Error::corrupt(&path, 0, "the conversation's file is missing"));
            for place in [&path, &self.layout.staged(epoch, ordinal)] {
                let Some((bytes, print)) = layout::read_file(self.vfs, place)? else { continue };
                self.report.files += 1;
                self.report.bytes += print.len;
                if !is_same(&print, &entry.file) {
                    wrong = Some(not_as_recorded(&bytes, &entry.file, place));
                    continue;
                }
                wrong = scan_document(&bytes).err().map(|bad| Error::corrupt(place, bad.offset, bad.reason));
                break;
            }
            if let Some(error) = wrong {
                self.damaged(&error, Some(entry.id));
            }
        }
        let recorded = checkpoint.head().index_file;
        let path = self.layout.index_file();
        let found = layout::read_file(self.vfs, &path)?;
        match (found, recorded) {
            (Some((bytes, print)), Some(recorded)) if !is_same(&print, &recorded) => {
                self.count(&path)?;
                let staged = layout::probe(self.vfs, &self.layout.staged_index(epoch))?;
                if staged.is_none() {
                    self.damaged(&not_as_recorded(&bytes, &recorded, &path), None);
                }
            }
            (Some(_), _) => self.count(&path)?,
            (None, Some(_)) => {
                self.damaged(&Error::corrupt(&path, 0, "the list of conversations is missing"), None);
            }
            (None, None) => {}
        }
        Ok(())
    }

    /// Checks a directory that has no checkpoint: one that the original wrote.
    fn unmanaged(&mut self) -> Result<()> {
        let path = self.layout.index_file();
        if let Some((bytes, print)) = layout::read_file(self.vfs, &path)? {
            self.report.files += 1;
            self.report.bytes += print.len;
            if let Err(bad) = read_index(&bytes) {
                self.damaged(&Error::corrupt(&path, bad.offset, bad.reason), None);
            }
        }
        let dir = self.layout.conversations();
        if layout::probe(self.vfs, &dir)?.is_none() {
            return Ok(());
        }
        for entry in self.vfs.read_dir(&dir).map_err(|e| Error::io("list", &dir, e))? {
            let path = dir.join(&entry.name);
            if !entry.name.ends_with(crate::snapshot::names::ENDING) {
                continue;
            }
            let Some((bytes, print)) = layout::read_file(self.vfs, &path)? else { continue };
            self.report.files += 1;
            self.report.bytes += print.len;
            self.report.conversations += 1;
            if let Err(bad) = scan_document(&bytes) {
                let error = Error::corrupt(&path, bad.offset, bad.reason);
                self.damaged(&error, Some(crate::snapshot::names::stem(&entry.name)));
            }
        }
        Ok(())
    }
}

/// The events of a frame.
pub(super) fn read_frame(segment: &Segment, frame: &Frame<'_>) -> Result<Vec<Event>> {
    let mut events = Vec::new();
    if frame.header.events > 0 {
        let read = for_each_event::<BadPayload>(frame.payload, frame.header.events, |view, _| {
            events.push(view.to_event()?);
            Ok(())
        });
        read.map_err(|bad| Error::corrupt(&segment.path, frame.offset, bad.0))?;
    }
    Ok(events)
}

/// The events from a sequence number on that the log holds.
pub(crate) fn events(library: &Library, from: Seq) -> Result<Vec<(Seq, Vec<Event>)>> {
    let vfs = &*library.vfs;
    let log = library.layout.log();
    let mut batches = Vec::new();
    if layout::probe(vfs, &log)?.is_none() {
        return Ok(batches);
    }
    let inventory = Inventory::take(vfs, &log)?;
    let Some(checkpoint) = newest_checkpoint(vfs, &inventory, &log)? else { return Ok(batches) };
    let last = library.index().next_seq();
    let mut visit = |segment: &Arc<Segment>, frame: &Frame<'_>| {
        let first = frame.header.first_seq;
        let end = first + u64::from(frame.header.events);
        if end > from && end <= last {
            batches.push((first, read_frame(segment, frame)?));
        }
        Ok(())
    };
    recovery::replay(vfs, &inventory, checkpoint.head(), None, &mut visit)?;
    batches.retain(|(_, events)| !events.is_empty());
    Ok(batches)
}

/// How large a store is.
pub(crate) fn stats(library: &Library) -> Stats {
    let index = library.index();
    let checkpoint = index.checkpoint();
    let summaries = index.summaries();
    let segments = library.segments();
    let intact = checkpoint.entries().filter(|entry| entry.state == FileState::Intact);
    let log_bytes = segments.iter().filter_map(|s| s.file.metadata().ok()).map(|metadata| metadata.len).sum();
    Stats {
        conversations: to_u64(summaries.len()),
        messages: summaries.iter().map(|summary| summary.messages).sum(),
        actions: summaries.iter().map(|summary| summary.actions).sum(),
        damaged: to_u64(
            index.order().filter(|found| matches!(found, crate::index::Found::Damaged(_))).count(),
        ),
        last_seq: index.next_seq() - 1,
        covered_seq: checkpoint.head().covered_seq,
        dirty_conversations: to_u64(index.dirty_count()),
        segments: to_u64(segments.len()),
        log_bytes,
        snapshot_bytes: intact.map(|entry| entry.file.len).sum(),
        epoch: checkpoint.head().epoch,
        index_bytes: to_u64(index.list_bytes()),
        compaction_error: None,
    }
}
