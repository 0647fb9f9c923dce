//! A new store from a backup.
//!
//! Owns which checkpoint and which frames a state consists of, the building of the store beside its place, and its name,
//! which it gets only once all of it has been read and proved itself. Nothing is written to the backup.

use std::path::Path;

use super::extent::{Limit, ends_as, start_of, walk};
use super::files::{Have, LIST, copy_checkpoint};
use super::history::History;
use super::moments;
use super::place::Place;
use crate::backend::directory::checkpoint_file::read_checkpoint;
use crate::backend::directory::completeness::write_marker;
use crate::backend::directory::new_place::{Maker, NewPlace};
use crate::backend::directory::sync_pool::{SyncPool, with_sync_pool};
use crate::backend::directory::verify::verify;
use crate::backend::settings::Settings;
use crate::codec::backup::{Extent, Manifest};
use crate::codec::checkpoint::{Checkpoint, CheckpointHead, FileState, Fingerprint};
use crate::codec::marker::Marker;
use crate::codec::segment::DATA_START;
use crate::error::{Error, ErrorKind, Result};
use crate::log::segment::{Segment, file_name};
use crate::model::{Moment, RestoreReport, Seq, Timestamp};
use crate::snapshot::layout::{self, Layout};
use crate::snapshot::load::is_same;
use crate::snapshot::sink::Sink;
use crate::vfs::{self, OpenMode, Vfs};

/// What makes the new store.
const RESTORE: Maker = Maker { verb: "restore", source: "the backup" };

/// Makes a store of the state that a backup has of some moment.
pub(crate) fn restore(from: &Path, to: &Path, moment: Moment, settings: Settings) -> Result<RestoreReport> {
    let vfs = &*settings.vfs;
    let (place, manifest) = Place::existing(vfs, from)?;
    let history = History::read(vfs, &place, manifest)?;
    let wanted = wanted(vfs, &place, &history, moment)?;
    let head = history.heads.iter().rev().find(|head| head.covered_seq <= wanted).copied();
    let is_kept = head.map_or(Ok(false), |head| history.last_of(&head).map(|last| wanted <= last))?;
    let Some(head) = head.filter(|_| is_kept) else {
        return Err(not_kept(&place, &format!("event {wanted}"), &history.ranges()?));
    };
    let target = NewPlace::choose(vfs, place.root(), to, RESTORE)?;
    target.make(vfs)?;
    let store = Layout::new(&target.unfinished);
    let work = Work { vfs, place: &place, manifest, history: &history, store: &store, head };
    let built = work.build(wanted);
    if built.is_err() {
        // What is left of it would stand in the way of the next one.
        remove_all(vfs, &store).ok();
    }
    let report = built?;
    target.finish(vfs)?;
    Ok(report)
}

/// The event that a moment means.
fn wanted(vfs: &dyn Vfs, place: &Place, history: &History<'_>, moment: Moment) -> Result<Seq> {
    let time = match moment {
        Moment::Newest => return Ok(history.last_seq()),
        Moment::Seq(seq) => return Ok(seq),
        Moment::Time(time) => time,
    };
    let from = history.heads.first().map_or(0, |head| head.covered_seq);
    let micros = time.approximate_unix_micros();
    let found = moments::find(vfs, &place.moments(), from, micros)?;
    let is_after_all = found.last.is_none_or(|last| last.at_micros < micros) && history.at_micros() < micros;
    match found.by_then {
        Some(moment) if !is_after_all => Ok(moment.last_seq),
        Some(_) | None => {
            let said = |micros| Timestamp::from_unix_micros(micros).unwrap_or(Timestamp::EPOCH).to_string();
            let first = found.first.map_or_else(|| history.at_micros(), |moment| moment.at_micros);
            let reason = format!(
                "the backup does not know the state at {time}: times from {} to {} can be asked for",
                said(first),
                said(history.at_micros())
            );
            Err(Error::new(ErrorKind::NotFound, reason).at(place.root(), None))
        }
    }
}

fn not_kept(place: &Place, what: &str, ranges: &[(Seq, Seq)]) -> Error {
    let ranges: Vec<String> = ranges.iter().map(|(first, last)| format!("{first} to {last}")).collect();
    let reason = format!(
        "the backup does not have the state after {what}: it has those after events {}",
        ranges.join(", ")
    );
    Error::new(ErrorKind::NotFound, reason).at(place.root(), None)
}

struct Work<'w> {
    vfs: &'w dyn Vfs,
    place: &'w Place,
    manifest: Manifest,
    history: &'w History<'w>,
    store: &'w Layout,
    /// The checkpoint that the state begins with.
    head: CheckpointHead,
}

impl Work<'_> {
    /// Builds the store and reads all of it again. When this returns, it is durable but for its name.
    fn build(&self, wanted: Seq) -> Result<RestoreReport> {
        let (vfs, store) = (self.vfs, self.store);
        let mut report = RestoreReport::default();
        for dir in [store.conversations(), store.log()] {
            layout::ensure_dir(vfs, &dir)?;
        }
        let copy = self.place.checkpoint(self.head.epoch);
        let checkpoint = read_checkpoint(vfs, &copy)?;
        with_sync_pool(checkpoint.len(), |pool| self.files(&checkpoint, pool, &mut report))?;
        for held in &checkpoint.held().segments {
            let path = self.place.segment(held.end.number, held.first_seq);
            let segment = Segment::open(vfs, &path, (held.end.number, held.first_seq))?;
            let end = self.segment(&segment, Limit::at(held.end.valid_len), None)?;
            if !ends_as(&end, &held.end) {
                return Err(damaged(&path, end.length));
            }
        }
        report.last_seq = self.log(wanted, &mut report)?;
        copy_checkpoint(vfs, &copy, &store.checkpoint(self.head.epoch))?;
        if report.last_seq > self.head.covered_seq {
            let (store_id, checkpoint_epoch) = (self.head.store_id, self.head.epoch);
            write_marker(vfs, store, &Marker { store_id, checkpoint_epoch, last_seq: report.last_seq })?;
        }
        for dir in [store.log(), store.conversations(), store.root().to_owned()] {
            layout::sync_dir(vfs, &dir)?;
        }
        self.must_be_sound(&checkpoint)?;
        Ok(report)
    }

    fn files(&self, checkpoint: &Checkpoint, pool: &SyncPool, report: &mut RestoreReport) -> Result<()> {
        let have = Have::read(self.vfs, self.place, self.head.epoch)?;
        for entry in checkpoint.entries() {
            if entry.file_name.is_empty() || entry.state == FileState::Missing {
                continue;
            }
            let Some(from) = have.path(self.place, entry.file_name) else {
                // What could not be read in the store need not be in the backup.
                if entry.state == FileState::Intact {
                    let path = self.place.files(self.head.epoch).conversation(entry.file_name);
                    return Err(Error::corrupt(&path, 0, "the backup lacks the conversation's file"));
                }
                continue;
            };
            self.file(&from, &self.store.conversation(entry.file_name), &entry.file, pool)?;
            report.files += 1;
            report.bytes += entry.file.len;
        }
        if let (Some(from), Some(print)) = (have.path(self.place, LIST), self.head.index_file) {
            self.file(&from, &self.store.index_file(), &print, pool)?;
        }
        Ok(())
    }

    /// Copies a file and holds it against its checksum.
    fn file(&self, from: &Path, to: &Path, print: &Fingerprint, pool: &SyncPool) -> Result<()> {
        let mut sink = Sink::create(self.vfs, to)?;
        let found = layout::read_through(self.vfs, from, |piece| sink.write(piece))?;
        if !found.is_some_and(|found| is_same(&found, print)) {
            return Err(damaged(from, 0));
        }
        sink.finish(pool).map(|_| ())
    }

    /// Copies the log from the checkpoint to an event, and says which one it ends with.
    fn log(&self, wanted: Seq, report: &mut RestoreReport) -> Result<Seq> {
        let chain = self.history.chain(self.head.first_segment);
        let mut last_seq = self.head.covered_seq;
        for (at, (number, first_seq, path)) in chain.iter().enumerate() {
            let segment = Segment::open(self.vfs, path, (*number, *first_seq))?;
            let next = chain.get(at + 1).map(|(n, first, path)| Segment::open(self.vfs, path, (*n, *first)));
            let seal = next.transpose()?.map(|next| next.header.previous);
            let own = self.manifest.end;
            let length = match seal {
                Some(seal) => seal.valid_len,
                None if *number == own.segment => own.length,
                None => u64::MAX,
            };
            let limit = Limit { length, last_seq: wanted };
            let is_last = seal.is_none_or(|seal| seal.next_seq > wanted);
            let capacity = is_last.then_some(segment.header.capacity);
            let end = self.segment(&segment, limit, capacity)?;
            report.bytes += end.length;
            let is_reached = end.next_seq > wanted;
            // Short of the event there may be a batch that reaches beyond it, or damage.
            let whole = if is_last && !is_reached {
                walk(&segment, start_of(&segment.header), Limit::at(length), &mut |_, _| Ok(()))?.end
            } else {
                end
            };
            let is_whole = match seal {
                Some(seal) => ends_as(&whole, &seal),
                None => *number != own.segment || whole == own,
            };
            if !is_reached && !is_whole {
                return Err(damaged(path, whole.length));
            }
            last_seq = end.next_seq - 1;
            if is_last {
                break;
            }
        }
        Ok(last_seq)
    }

    /// Copies a segment up to a limit, and makes it as long as it was made if it is to be the newest.
    fn segment(&self, segment: &Segment, limit: Limit, capacity: Option<u64>) -> Result<Extent> {
        let (number, first_seq) = (segment.header.number, segment.header.first_seq);
        let path = self.store.log().join(file_name(number, first_seq));
        let file = self.vfs.open(&path, OpenMode::CreateNew).map_err(|e| Error::io("create", &path, e))?;
        if let Some(capacity) = capacity {
            file.allocate(capacity).map_err(|e| Error::io("reserve space for", &path, e))?;
        }
        let write = |bytes: &[u8], offset| {
            vfs::write_all_at(&*file, bytes, offset).map_err(|e| Error::io("write", &path, e))
        };
        write(&segment.read(0, DATA_START)?, 0)?;
        let walked =
            walk(segment, start_of(&segment.header), limit, &mut |bytes, offset| write(bytes, offset))?;
        file.sync().map_err(|e| Error::io("sync", &path, e))?;
        Ok(walked.end)
    }

    /// Reads the new store through. What could not be read in the old one cannot be in this one.
    fn must_be_sound(&self, checkpoint: &Checkpoint) -> Result<()> {
        let is_intact = |id: &str| {
            checkpoint
                .find(id)
                .and_then(|at| checkpoint.entry(at))
                .is_none_or(|e| e.state == FileState::Intact)
        };
        let report = verify(self.vfs, self.store)?;
        let is_new = |file: &&crate::model::DamagedFile| match &file.conversation_id {
            Some(id) => is_intact(id),
            None => file.path != self.store.index_file(),
        };
        match report.damaged.iter().find(is_new) {
            None => Ok(()),
            Some(file) => {
                let reason = format!("the restored store is not sound, so it was not kept: {}", file.reason);
                Err(Error::corrupt(&file.path, file.offset.unwrap_or_default(), reason))
            }
        }
    }
}

fn damaged(path: &Path, offset: u64) -> Error {
    Error::corrupt(path, offset, "the backup is damaged here; another --at may not need it")
}

/// Removes a store that was not finished.
fn remove_all(vfs: &dyn Vfs, store: &Layout) -> Result<()> {
    for dir in [store.conversations(), store.log(), store.root().to_owned()] {
        for entry in layout::list_dir(vfs, &dir)? {
            layout::remove_file(vfs, &dir.join(&entry.name))?;
        }
        vfs.remove_dir(&dir).map_err(|e| Error::io("remove", &dir, e))?;
    }
    Ok(())
}
