//! Looking at a store without trusting it.
//!
//! Owns the reading of every byte: checkpoint, segments, every conversation's file, the list of them. Goes
//! on behind damage, so that one bad file does not hide the next.

mod consumers;

mod unrecorded;

mod unopened;

pub(super) use unopened::without_key;

use std::path::Path;
use std::sync::Arc;

use super::archive;
use super::checkpoint_file::{newest_checkpoint, read_checkpoint};
use super::completeness::{MarkerFile, Witnesses, read_marker};
use super::erase;
use super::events::read_frame;
use super::held;
use super::keep;
use super::replay::{apply_frame, held_events, torn_tail};
use crate::codec::bytes::to_u64;
use crate::codec::checkpoint::{Checkpoint, CheckpointHead, FileState, Fingerprint};
use crate::codec::control::Control;
use crate::codec::index_file::read_index;
use crate::codec::segment::StoreId;
use crate::error::{Error, ErrorKind, Result};
use crate::index::{Index, Reliance};
use crate::log::inventory::{self, CONTROL, Inventory};
use crate::log::recovery::{self, Holder, Source};
use crate::log::salvage::{Known, salvage};
use crate::log::scan::Frame;
use crate::log::segment::Segment;
use crate::model::{DamagedFile, OrphanedEvents, TornTail, VerifyReport};
use crate::snapshot::layout::{self, Layout};
use crate::snapshot::load::{checked, is_changed, is_same, not_as_recorded};
use crate::snapshot::publish;
use crate::snapshot::stray::{LIST_REMEDY, MISSING};
use crate::vfs::Vfs;

/// Reads everything and says what is wrong.
pub(crate) fn verify(vfs: &dyn Vfs, layout: &Layout) -> Result<VerifyReport> {
    let mut check = Check::new(vfs, layout);
    check.keys()?;
    check.marker()?;
    let checkpoint = check.log()?;
    check.history(checkpoint.as_ref())?;
    check.erasures()?;
    #[cfg(feature = "sqlite")]
    check.search_index();
    if let Some(checkpoint) = &checkpoint {
        check.consumers(checkpoint)?;
        check.snapshot(checkpoint)?;
    } else {
        check.no_log();
        check.unmanaged()?;
    }
    check.no_memory.map_or(Ok(check.report), Err)
}

struct Check<'c> {
    vfs: &'c dyn Vfs,
    layout: &'c Layout,
    /// What the log makes of the checkpoint, if it could be read through.
    index: Option<Index>,
    /// Why something could not be looked at that may be as sound as anything.
    no_memory: Option<Error>,
    report: VerifyReport,
    /// Whether there are two checkpoints, so that the files may be as neither of them says.
    is_publishing: bool,
}

impl<'c> Check<'c> {
    fn new(vfs: &'c dyn Vfs, layout: &'c Layout) -> Self {
        let report = VerifyReport::default();
        Self { vfs, layout, index: None, no_memory: None, report, is_publishing: false }
    }
}

impl Check<'_> {
    fn damaged(&mut self, error: &Error, conversation_id: Option<&str>) {
        if error.kind() == ErrorKind::OutOfMemory {
            self.no_memory.get_or_insert_with(|| error.clone());
        }
        self.report.damaged.push(DamagedFile {
            path: error.place().map_or_else(|| self.layout.root().to_owned(), |place| place.path.clone()),
            offset: error.place().and_then(|place| place.offset),
            conversation_id: conversation_id.map(str::to_owned),
            reason: error.message().to_owned(),
            is_forbidden: error.is_forbidden(),
        });
    }

    /// An error goes into the report, once: also one of the system, which must not hide what lies behind it.
    fn unless_damaged<T>(&mut self, result: Result<T>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                let (place, reason) = (error.place(), error.message());
                let is_told = self.report.damaged.iter().any(|told| {
                    place.is_some_and(|place| place.path == told.path && place.offset == told.offset)
                        && (told.reason == reason || place.is_some_and(|place| place.offset.is_some()))
                });
                if !is_told {
                    self.damaged(&error, None);
                }
                None
            }
        }
    }

    /// A file's bytes and how it looks; none if it is not there or cannot be read, which is told then.
    fn read(&mut self, path: &Path, conversation_id: Option<&str>) -> Option<(Vec<u8>, Fingerprint)> {
        let read = layout::read_file(self.vfs, path);
        read.unwrap_or_else(|error| {
            self.damaged(&error, conversation_id);
            None
        })
    }

    /// Goes over a log that cannot be replayed as far as each segment can be read, to tell all that is wrong.
    fn segment_by_segment(&mut self, inventory: &Inventory, log: &Path, known: Known) {
        let mut events = 0;
        let mut bad = Vec::new();
        let seal = self.vfs.sealing();
        let mut take = |path: &Path, frame: &Frame<'_>, _: usize| {
            events += u64::from(frame.header.events);
            bad.extend(read_frame(seal.as_deref(), path, frame).err());
            Ok(())
        };
        let salvaged = salvage(self.vfs, inventory, log, known, &mut take);
        self.report.events = events;
        for error in bad {
            self.unless_damaged::<()>(Err(error));
        }
        let Some(salvaged) = self.unless_damaged(salvaged) else { return };
        for fault in salvaged.faults {
            self.unless_damaged::<()>(Err(fault.error));
        }
        self.report.damaged.extend(salvaged.orphaned.iter().map(OrphanedEvents::as_damage));
        self.report.torn = salvaged.torn.map(|(path, offset, beyond)| TornTail {
            path,
            offset,
            bytes: beyond.written_end - offset,
            discarded_events: beyond.events,
            quarantine: None,
        });
    }

    /// The writer's hint: the store opens without it, so damage to it is only worth knowing.
    fn control(&mut self, path: &Path) {
        let Some((bytes, print)) = self.read(path, None) else { return };
        self.report.files += 1;
        self.report.bytes += print.len;
        if Control::has_a_bad_slot(&bytes) {
            self.report.notes.push(format!("a hint of the writer's cannot be read, in {}", path.display()));
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
            self.unless_damaged(checked);
        }
        for (_, _, path) in &inventory.segments {
            self.count(path)?;
        }
        self.control(&log.join(CONTROL));
        let Some(checkpoint) = self.unless_damaged(newest_checkpoint(self.vfs, &inventory, &log)).flatten()
        else {
            if !inventory.segments.is_empty() {
                self.segment_by_segment(&inventory, &log, Known::default());
            }
            return Ok(None);
        };
        let head = checkpoint.head();
        let control = inventory::read_control(self.vfs, &log, head.store_id);
        if let Some(control) = control.filter(|control| control.checkpoint_epoch > head.epoch) {
            let reason = format!("checkpoint {} is missing: CONTROL names it", control.checkpoint_epoch);
            self.damaged(&Error::corrupt(&log, 0, reason), None);
        }
        let witnesses = Witnesses::of(self.vfs, self.layout, head.store_id);
        let mut events = 0;
        let mut index = Index::new(checkpoint.clone());
        let mut visit = |segment: &Arc<Segment>, frame: &Frame<'_>| {
            events += u64::from(frame.header.events);
            read_frame(segment.seal(), &segment.path, frame)?;
            apply_frame(&mut index, segment, frame)
        };
        let (vfs, control) = (self.vfs, control.as_ref());
        let source = Source { vfs, inventory: &inventory, head, control, holder: Holder::Anybody };
        let replayed = recovery::replay(source, &mut visit);
        let held = held_events(source, &checkpoint, None);
        self.report.events = events + to_u64(self.unless_damaged(held).unwrap_or_default().len());
        self.report.notes.extend(held::notes(&checkpoint));
        if let Some(replayed) = self.unless_damaged(replayed) {
            self.report.damaged.extend(replayed.orphaned.iter().map(OrphanedEvents::as_damage));
            self.report.torn = replayed.last.as_ref().and_then(|last| torn_tail(last, None));
            if let Some(missing) = witnesses.of_log(self.layout, head, &replayed) {
                self.damaged(&missing, None);
            }
            self.index = Some(index);
        } else {
            let known = Known {
                store_id: Some(head.store_id),
                first_segment: head.first_segment,
                next_seq: Some(head.covered_seq + 1),
            };
            self.segment_by_segment(&inventory, &log, known);
        }
        if inventory.checkpoints.len() > 1 {
            self.is_publishing = true;
            self.report.notes.push("a compaction is being published, or was interrupted".to_owned());
        } else {
            self.unless_damaged(publish::check_published(self.vfs, self.layout, &checkpoint));
        }
        Ok(Some(checkpoint))
    }

    /// Tells of a log that should be there, if nothing else has been told of it.
    fn no_log(&mut self) {
        let witnesses = Witnesses::of(self.vfs, self.layout, StoreId::default());
        if let Some(missing) = witnesses.of_no_log(self.layout).filter(|_| self.report.is_sound()) {
            self.damaged(&missing, None);
        }
    }

    /// The file beside the JSON files that says that there is a log to them. The store does without it.
    fn marker(&mut self) -> Result<()> {
        let path = self.layout.marker();
        self.count(&path)?;
        if read_marker(self.vfs, self.layout) == MarkerFile::Unreadable {
            self.report.notes.push(format!("the marker cannot be read, in {}", path.display()));
        }
        Ok(())
    }

    fn count(&mut self, path: &Path) -> Result<()> {
        if let Some(metadata) = layout::probe(self.vfs, path)? {
            self.report.files += 1;
            self.report.bytes += metadata.len;
        }
        Ok(())
    }

    /// Checks what is kept of the past.
    fn history(&mut self, checkpoint: Option<&Checkpoint>) -> Result<()> {
        let mut told = Vec::new();
        archive::check(self.vfs, self.layout, checkpoint, |named, checked| {
            told.push((named.path.clone(), checked));
        })?;
        for (path, checked) in told {
            self.count(&path)?;
            let lost = self.unless_damaged(checked);
            self.report.notes.extend(lost.into_iter().flatten());
        }
        let covered = checkpoint.map_or(0, |checkpoint| checkpoint.head().covered_seq);
        let gap = archive::must_have_no_gap(self.vfs, self.layout, covered);
        self.unless_damaged(gap);
        if layout::probe(self.vfs, &self.layout.keep())?.is_some() {
            let keep = keep::keep_in(self.vfs, self.layout);
            self.unless_damaged(keep);
        }
        Ok(())
    }

    /// Reads the receipts of what was erased, and tells of an erasure that is not finished.
    fn erasures(&mut self) -> Result<()> {
        for (path, checked) in erase::receipts(self.vfs, self.layout)? {
            self.count(&path)?;
            self.unless_damaged(checked);
        }
        let intent = erase::is_under_way(self.vfs, self.layout);
        if self.unless_damaged(intent) == Some(true) {
            let note = "an erasure was begun and not finished; the next opening for writing goes on with it";
            self.report.notes.push(note.to_owned());
        }
        Ok(())
    }

    /// Says how the index for searching stands, of which nothing is damage: it is made of what is here.
    #[cfg(feature = "sqlite")]
    fn search_index(&mut self) {
        let last_seq = self.index.as_ref().map_or(0, |index| index.next_seq() - 1);
        self.report.notes.extend(super::search_index::note(self.vfs, self.layout, last_seq));
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
            let mut wrong = Some(Error::corrupt(&path, 0, MISSING));
            for place in [&path, &self.layout.staged(epoch, ordinal)] {
                match checked(self.vfs, place, Some(&entry.file)) {
                    Ok(Some((length, found))) => {
                        self.report.files += 1;
                        self.report.bytes += length;
                        wrong = found;
                        if wrong.is_none() {
                            break;
                        }
                    }
                    Ok(None) => {}
                    Err(error) => wrong = Some(error),
                }
            }
            let Some(error) = wrong else { continue };
            let is_in_log = |index: &Index| index.reliance(entry.id) == Reliance::LogAlone;
            if is_changed(&error) && self.index.as_ref().is_some_and(is_in_log) {
                // It began anew in the log, or ended; the next compaction sets what is in its file's place aside.
                let place = path.display();
                let text = format!("conversation {:?} is in the log, and not what is in {place}", entry.id);
                self.report.notes.push(text);
            } else {
                self.damaged(&error, Some(entry.id));
            }
        }
        self.list_of_conversations(checkpoint.head())?;
        self.unlisted(checkpoint)
    }

    fn list_of_conversations(&mut self, head: &CheckpointHead) -> Result<()> {
        let path = self.layout.index_file();
        let is_there = layout::probe(self.vfs, &path)?.is_some();
        let found = self.read_counted(&path);
        if let Some(recorded) = head.index_file {
            // A compaction that is being published moves the list last.
            let staged = self.layout.staged_index(head.epoch);
            match &found {
                Some((_, print)) if is_same(print, &recorded) => return Ok(()),
                _ if layout::probe(self.vfs, &staged)?.is_some() => self.staged_list(&staged, &recorded),
                Some((bytes, _)) => {
                    let error = not_as_recorded(bytes, &recorded, &path);
                    // What is said there of a conversation's file is no way out here.
                    let what = error.message().split("; put that one back").next().unwrap_or_default();
                    let offset = error.place().and_then(|place| place.offset).unwrap_or_default();
                    self.damaged(&Error::corrupt(&path, offset, format!("{what}{LIST_REMEDY}")), None);
                    return Ok(());
                }
                None if !is_there => {
                    self.damaged(
                        &Error::corrupt(
                            &path,
                            0,
                            "the list of conversations is missing; `aral-store compact` writes it anew",
                        ),
                        None,
                    );
                }
                None => {}
            }
        }
        if let Some(bad) = found.and_then(|(bytes, _)| read_index(&bytes).err()) {
            self.damaged(&Error::corrupt(&path, bad.offset, bad.reason), None);
        }
        Ok(())
    }

    fn staged_list(&mut self, staged: &Path, recorded: &Fingerprint) {
        if let Some((bytes, print)) = self.read_counted(staged) {
            if !is_same(&print, recorded) {
                self.damaged(&not_as_recorded(&bytes, recorded, staged), None);
            }
        }
    }

    fn read_counted(&mut self, path: &Path) -> Option<(Vec<u8>, Fingerprint)> {
        let (bytes, print) = self.read(path, None)?;
        self.report.files += 1;
        self.report.bytes += print.len;
        Some((bytes, print))
    }
}
