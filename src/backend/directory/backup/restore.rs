//! A new store from a backup.
//!
//! Owns which checkpoint and which frames a state consists of, the building of the store beside its place, and its name,
//! which it gets only once all of it has been read and proved itself. Nothing is written to the backup.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::extent::{Limit, ends_as, start_of, walk};
use super::files::{Have, LIST, copy_checkpoint, unless_damaged};
use super::history::{CopyOf, History};
use super::moments;
use super::place::Place;
use crate::backend::directory::checkpoint_file::read_checkpoint;
use crate::backend::directory::completeness::write_marker;
use crate::backend::directory::encrypted::{self, Keys};
use crate::backend::directory::new_place::{Maker, NewPlace};
use crate::backend::directory::sync_pool::{SyncPool, with_sync_pool};
use crate::backend::directory::verify::verify;
use crate::backend::settings::Settings;
use crate::codec::backup::{Extent, Manifest};
use crate::codec::bytes::to_u64;
use crate::codec::checkpoint::{Checkpoint, CheckpointHead, Entry, FileState, Fingerprint};
use crate::codec::index_file::{IndexFile, read_index};
use crate::codec::marker::Marker;
use crate::codec::segment::DATA_START;
use crate::error::{Error, ErrorKind, Result};
use crate::log::segment::{Segment, file_name};
use crate::model::{DamagedFile, Moment, RestoreReport, Seq, Text, Timestamp};
use crate::snapshot::layout::{self, Layout};
use crate::snapshot::load::is_same;
use crate::snapshot::names::stem;
use crate::snapshot::sink::Sink;
use crate::vfs::{self, OpenMode, Vfs};

/// What makes the new store.
const RESTORE: Maker = Maker { verb: "restore", source: "the backup" };

/// Makes a store of the state that a backup has of some moment.
pub(crate) fn restore(from: &Path, to: &Path, moment: Moment, settings: Settings) -> Result<RestoreReport> {
    let outside = Arc::clone(&settings.vfs);
    let (place, manifest) = Place::existing(&*outside, from)?;
    let settings = encrypted::of_backup(settings, place.root())?;
    let vfs = &*settings.vfs;
    let mut history = History::read(vfs, &place, manifest)?;
    let wanted = wanted(vfs, &place, &history, moment)?;
    let (head, checkpoint) = loop {
        let Some(head) = history.holding(wanted)? else {
            return Err(not_kept(&place, wanted, &history)?);
        };
        match read_checkpoint(vfs, &place.checkpoint(head.epoch)) {
            Ok(checkpoint) => break (head, checkpoint),
            // The state may be come to from an older one.
            Err(error) => history.set_damaged(head.epoch, error)?,
        }
    };
    let target = NewPlace::choose(&*outside, place.root(), to, RESTORE)?;
    target.make(&*outside)?;
    let store = Layout::new(&target.unfinished);
    let settings = encrypted::and_store(settings.clone(), store.root());
    let vfs = &*settings.vfs;
    let work =
        Work { settings: &settings, vfs, place: &place, manifest, history: &history, store: &store, head };
    let built = work.build(&checkpoint, wanted);
    if built.is_err() {
        // What is left of it would stand in the way of the next one.
        remove_all(vfs, &store).ok();
    }
    let report = built?;
    target.finish(&*outside)?;
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
    let mut found = moments::find(vfs, &place.moments(), from, micros)?;
    // Whoever wrote the manifest may not have come to its moment.
    found.add(&history.reached(), micros);
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

fn not_kept(place: &Place, wanted: Seq, history: &History<'_>) -> Result<Error> {
    let ranges = history.ranges()?;
    let ranges: Vec<String> = ranges.iter().map(|(first, last)| format!("{first} to {last}")).collect();
    let has = if ranges.is_empty() {
        "it has no state that can be restored".to_owned()
    } else {
        format!("it has those after events {}", ranges.join(", "))
    };
    let reason = format!("the backup does not have the state after event {wanted}: {has}");
    // Without the damage it may have had it.
    Ok(match history.damage() {
        Some(damage) => damage.context(&reason),
        None => Error::new(ErrorKind::NotFound, reason).at(place.root(), None),
    })
}

struct Work<'w> {
    settings: &'w Settings,
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
    fn build(&self, checkpoint: &Checkpoint, wanted: Seq) -> Result<RestoreReport> {
        let (vfs, store) = (self.vfs, self.store);
        let mut report = RestoreReport::default();
        for dir in [store.conversations(), store.log()] {
            layout::ensure_dir(vfs, &dir)?;
        }
        Keys::default().copy(self.settings, self.place.root(), &store.log())?;
        let copy = self.place.checkpoint(self.head.epoch);
        with_sync_pool(checkpoint.len(), |pool| self.files(checkpoint, pool, &mut report))?;
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
        self.must_be_sound(checkpoint)?;
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
        self.list(checkpoint, have.path(self.place, LIST), report)
    }

    /// Writes the list of conversations, which is for the original's eyes. The backup lacks it where it was not as recorded;
    /// the checkpoint says what was in it but for what others keep there. Without it, the next compaction makes it anew.
    fn list(&self, checkpoint: &Checkpoint, from: Option<PathBuf>, report: &mut RestoreReport) -> Result<()> {
        let Some(print) = self.head.index_file else { return Ok(()) };
        let from = from.unwrap_or_else(|| self.place.files(self.head.epoch).index_file());
        let is_it = |bytes: &[u8]| (to_u64(bytes.len()), crc32fast::hash(bytes)) == (print.len, print.crc);
        let there =
            unless_damaged(layout::read_file(self.vfs, &from))?.map(|(bytes, _)| bytes).unwrap_or_default();
        let made = |base: IndexFile| IndexFile::with_ids(base, listed(checkpoint)).write();
        let anew = [made(read_index(&there).unwrap_or_default()), made(IndexFile::default())];
        match [there].into_iter().chain(anew).find(|bytes| is_it(bytes)) {
            Some(bytes) => layout::write_file(self.vfs, &self.store.index_file(), &bytes).map(drop),
            None => {
                report.damaged.push(DamagedFile {
                    path: from,
                    offset: None,
                    conversation_id: None,
                    reason: "the list of conversations is not in the backup as the store wrote it; the next compaction \
                             makes it anew, without what others had put in it"
                        .to_owned(),
                    is_forbidden: false,
                });
                Ok(())
            }
        }
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
        let open = |copy: &CopyOf| Segment::open(self.vfs, &copy.path, (copy.number, copy.first_seq));
        for (at, copy) in chain.iter().enumerate() {
            let segment = open(copy)?;
            let next = chain.get(at + 1).map(|next| open(next));
            let seal = next.transpose()?.map(|next| next.header.previous);
            let own = self.manifest.end;
            let length = match seal {
                Some(seal) => seal.valid_len,
                None if copy.number == own.segment => own.length,
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
                None => copy.number != own.segment || whole == own,
            };
            if !is_reached && !is_whole {
                return Err(damaged(&copy.path, whole.length));
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
        let is_new = |file: &&DamagedFile| match &file.conversation_id {
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

/// What the list of conversations holds.
fn listed(checkpoint: &Checkpoint) -> Vec<Text> {
    let listed = checkpoint.entries().filter(|entry| entry.is_listed);
    let name = |entry: Entry<'_>| {
        Text::from(if entry.file_name.is_empty() { entry.id } else { stem(entry.file_name) })
    };
    listed.map(name).collect()
}

fn damaged(path: &Path, offset: u64) -> Error {
    Error::corrupt(path, offset, "the backup is damaged here; another --at may not need it")
}

/// Removes a store that was not finished.
fn remove_all(vfs: &dyn Vfs, store: &Layout) -> Result<()> {
    for dir in [store.conversations(), store.keys(), store.log(), store.root().to_owned()] {
        if layout::probe(vfs, &dir)?.is_none() {
            continue;
        }
        for entry in layout::list_dir(vfs, &dir)? {
            layout::remove_file(vfs, &dir.join(&entry.name))?;
        }
        vfs.remove_dir(&dir).map_err(|e| Error::io("remove", &dir, e))?;
    }
    Ok(())
}
