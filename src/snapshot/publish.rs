//! The second half of a compaction: committing, and moving staged files into place.
//!
//! Owns the commit point and the roll-forward behind it. The roll-forward is the same after a commit and
//! after a crash behind one: it goes by the two newest checkpoints, and an older checkpoint is only removed
//! once everything the newest one says is in place, so its presence says that something may be left to do.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::layout::{self, Layout, looks_like};
use super::load::{is_same, not_as_recorded};
use super::stage;
use crate::codec::checkpoint::{Checkpoint, Entry, FileState, Fingerprint};
use crate::error::{Error, Result};
use crate::log::orphans;
use crate::log::segment::unread_path;
use crate::model::CompactionReport;
use crate::vfs::Vfs;

/// Gives the checkpoint its name: the moment from which the staged files count.
///
/// When this returns, the checkpoint is durable.
///
/// # Errors
///
/// I/O errors. After one on the last sync, nobody can tell on which side of the commit a crash would land.
pub(crate) fn commit(vfs: &dyn Vfs, layout: &Layout, epoch: u64, bytes: &[u8]) -> Result<()> {
    let path = layout.checkpoint(epoch);
    let unfinished = path.with_extension("tmp");
    layout::remove_file(vfs, &unfinished)?;
    layout::write_file(vfs, &unfinished, bytes)?;
    // Order: sync the checkpoint, then rename, then sync the directory. Reversed, a crash leaves a
    // checkpoint's name on bytes that never reached the disk.
    vfs.rename_new(&unfinished, &path).map_err(|e| Error::io("rename", &unfinished, e))?;
    layout::sync_dir(vfs, &layout.log())
}

/// Holds every file that is still staged against its checksum.
///
/// For an opening that goes on with somebody else's publication: since the files were written, time has passed,
/// and once one is in place the log that could have made it again is dropped.
///
/// # Errors
///
/// I/O errors; corruption where a staged file is not what was staged. Nothing has been changed.
pub(crate) fn check_staged(vfs: &dyn Vfs, layout: &Layout, new: &Checkpoint) -> Result<()> {
    let epoch = new.head().epoch;
    let files = new.entries().enumerate().filter(|(_, entry)| entry.state == FileState::Intact);
    let files = files.map(|(ordinal, entry)| (layout.staged(epoch, ordinal), entry.file));
    let index = new.head().index_file.map(|print| (layout.staged_index(epoch), print));
    for (staged, print) in files.chain(index) {
        if layout::print_of(vfs, &staged)?.is_none_or(|found| is_same(&found, &print)) {
            continue;
        }
        if let Some((bytes, _)) = layout::read_file(vfs, &staged)? {
            return Err(not_as_recorded(&bytes, &print, &staged));
        }
    }
    Ok(())
}

/// Refuses a directory in which files of the newest checkpoint are still staged and there is no older one,
/// which a compaction leaves until all of them are in place: somebody has taken it away. What is in place would
/// otherwise count as what somebody made of it, and the log that knows better would be dropped.
///
/// # Errors
///
/// I/O errors; corruption, naming the checkpoint that is missing. Nothing has been changed.
pub(crate) fn check_published(vfs: &dyn Vfs, layout: &Layout, new: &Checkpoint) -> Result<()> {
    let epoch = new.head().epoch;
    if !stage::list_staged(vfs, layout)?.iter().any(|staged| stage::is_of(staged, epoch)) {
        return Ok(());
    }
    let files = new.entries().enumerate().filter(|(_, entry)| entry.state == FileState::Intact);
    let files = files.map(|(ordinal, entry)| {
        (layout.staged(epoch, ordinal), layout.conversation(entry.file_name), entry.file)
    });
    let index = new.head().index_file.map(|print| (layout.staged_index(epoch), layout.index_file(), print));
    for (staged, place, print) in files.chain(index) {
        if layout::probe(vfs, &staged)?.is_some() && !is_in_place(vfs, &place, &print)? {
            let reason = "the checkpoint is missing, and the compaction after it has not put all in place";
            return Err(Error::corrupt(&layout.checkpoint(epoch.saturating_sub(1)), 0, reason));
        }
    }
    Ok(())
}

fn is_in_place(vfs: &dyn Vfs, place: &Path, print: &Fingerprint) -> Result<bool> {
    let Some(metadata) = layout::probe(vfs, place)? else { return Ok(false) };
    if looks_like(&metadata, print) {
        return Ok(true);
    }
    Ok(layout::print_of(vfs, place)?.is_some_and(|found| is_same(&found, print)))
}

/// Removes some of these segments, all of which are given by their numbers, or gives them the name under which consumers find
/// those from `unread` on; and gives the copies of what overtaken writers had left in them.
///
/// # Errors
///
/// I/O errors.
pub(crate) fn drop_segments(
    vfs: &dyn Vfs,
    layout: &Layout,
    all: &[(u64, &Path)],
    is_dropped: &dyn Fn(u64) -> bool,
    unread: Option<u64>,
) -> Result<Vec<PathBuf>> {
    let mut copies = Vec::new();
    for ((number, path), (next, next_path)) in all.iter().zip(all.iter().skip(1)) {
        // Once either of the two is gone, nobody can tell any more where the first one ends.
        if number + 1 == *next && (is_dropped(*number) || is_dropped(*next)) {
            copies.extend(orphans::set_aside(vfs, path, next_path, &|| quarantine(vfs, layout))?);
        }
    }
    for (number, path) in all.iter().filter(|(number, _)| is_dropped(*number)) {
        if unread.is_some_and(|from| *number >= from) {
            vfs.rename(path, &unread_path(path)).map_err(|e| Error::io("rename", path, e))?;
        } else {
            layout::remove_file(vfs, path)?;
        }
    }
    Ok(copies)
}

/// The directory of what was set aside, made if there is none.
fn quarantine(vfs: &dyn Vfs, layout: &Layout) -> Result<PathBuf> {
    let dir = layout.quarantine();
    if layout::ensure_dir(vfs, &dir)? {
        layout::sync_dir(vfs, &layout.log())?;
    }
    Ok(dir)
}

/// Moves everything into place that `new` says and `old` does not.
///
/// When this returns, the files are as `new` says, durably. Doing it again changes nothing. Those that are not are
/// given by their places in `new`: somebody has put something else there since, so that the log may be all there is
/// of what they are to hold.
///
/// # Errors
///
/// I/O errors; the staged files and the log are kept, and the next opening goes on.
pub(crate) fn roll_forward(
    vfs: &dyn Vfs,
    layout: &Layout,
    old: &Checkpoint,
    new: &Checkpoint,
    report: &mut CompactionReport,
) -> Result<Vec<usize>> {
    let work = Work { vfs, layout, old, epoch: new.head().epoch };
    let mut replaced = Vec::new();
    for (ordinal, entry) in new.entries().enumerate() {
        // What is held was not staged: its entry is as it was.
        if entry.state != FileState::Intact || new.held().of(ordinal).is_some() {
            continue;
        }
        let before = old.find(entry.id).and_then(|ordinal| old.entry(ordinal));
        if before.is_some_and(|before| before.file == entry.file && before.file_name == entry.file_name) {
            continue;
        }
        let known = before.filter(|before| before.file_name == entry.file_name).map(|before| before.file);
        let staged = layout.staged(work.epoch, ordinal);
        let place = layout.conversation(entry.file_name);
        if work.put(&Move { staged, place, print: entry.file, known }, report)? == InPlace::Other {
            replaced.push(ordinal);
        }
    }
    if layout::probe(vfs, &layout.conversations())?.is_some() {
        layout::sync_dir(vfs, &layout.conversations())?;
    }
    // Order: the list of conversations after their files, so that a reader of the list finds every file.
    if let Some(print) = new.head().index_file.filter(|print| old.head().index_file != Some(*print)) {
        let (staged, place) = (layout.staged_index(work.epoch), layout.index_file());
        work.put(&Move { staged, place, print, known: old.head().index_file }, report)?;
        layout::sync_dir(vfs, layout.root())?;
    }
    work.remove_ended(new, report)?;
    Ok(replaced)
}

/// What stands where a staged file belongs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum InPlace {
    /// What was staged.
    Staged,
    /// Neither that nor what the store had left there before.
    Other,
}

/// One staged file and where it belongs.
struct Move {
    staged: PathBuf,
    place: PathBuf,
    /// What it is.
    print: Fingerprint,
    /// What the store left in its place.
    known: Option<Fingerprint>,
}

struct Work<'w> {
    vfs: &'w dyn Vfs,
    layout: &'w Layout,
    old: &'w Checkpoint,
    epoch: u64,
}

impl Work<'_> {
    /// Renames a staged file to its place; if there is none, it has been renamed before.
    fn put(&self, step: &Move, report: &mut CompactionReport) -> Result<InPlace> {
        let Some(metadata) = layout::probe(self.vfs, &step.staged)? else { return self.check_put(step) };
        if !looks_like(&metadata, &step.print) {
            let found = layout::print_of(self.vfs, &step.staged)?;
            if !found.is_some_and(|print| is_same(&print, &step.print)) {
                return Err(Error::corrupt(&step.staged, 0, "a staged file is not as its checkpoint says"));
            }
        }
        self.set_aside_foreign(step, report)?;
        self.vfs.rename(&step.staged, &step.place).map_err(|e| Error::io("rename", &step.staged, e))?;
        Ok(InPlace::Staged)
    }

    /// Makes sure that a file without a staged one has been put in place. If what is there is still the old
    /// file, or nothing, the new one is gone, and the log is all there is: it must not be dropped.
    fn check_put(&self, step: &Move) -> Result<InPlace> {
        let gone = || {
            Error::corrupt(
                &step.staged,
                0,
                "a file that the checkpoint needs was not put in place and is gone",
            )
        };
        let Some(metadata) = layout::probe(self.vfs, &step.place)? else { return Err(gone()) };
        if looks_like(&metadata, &step.print) {
            return Ok(InPlace::Staged);
        }
        let found = layout::print_of(self.vfs, &step.place)?.ok_or_else(gone)?;
        if is_same(&found, &step.print) {
            return Ok(InPlace::Staged);
        }
        let is_old = step.known.is_some_and(|known| is_same(&found, &known));
        if is_old { Err(gone()) } else { Ok(InPlace::Other) }
    }

    /// Copies a file that is about to be replaced and that the store did not leave there.
    fn set_aside_foreign(&self, step: &Move, report: &mut CompactionReport) -> Result<()> {
        let Some(metadata) = layout::probe(self.vfs, &step.place)? else { return Ok(()) };
        let expected = [step.known.as_ref(), Some(&step.print)];
        if expected.into_iter().flatten().any(|print| looks_like(&metadata, print)) {
            return Ok(());
        }
        let Some((bytes, found)) = layout::read_file(self.vfs, &step.place)? else { return Ok(()) };
        if expected.into_iter().flatten().any(|print| is_same(&found, print)) {
            return Ok(());
        }
        report.quarantined.push(self.set_aside(&step.place, &bytes)?);
        Ok(())
    }

    fn set_aside(&self, place: &Path, bytes: &[u8]) -> Result<PathBuf> {
        let dir = quarantine(self.vfs, self.layout)?;
        let name = place.file_name().and_then(|name| name.to_str()).unwrap_or("file");
        // Long names are cut, so that the copy's name stays within what a file system takes.
        let name: String = name.chars().take(50).collect();
        let copy = dir.join(format!("{name}.{:016x}-{:08x}", self.epoch, crc32fast::hash(bytes)));
        layout::remove_file(self.vfs, &copy)?;
        layout::write_file(self.vfs, &copy, bytes)?;
        layout::sync_dir(self.vfs, &dir)?;
        Ok(copy)
    }

    /// Removes the files of conversations that have ended. A file that is not as the store left it is
    /// somebody's, and a damaged one may be all there is: those are copied first.
    fn remove_ended(&self, new: &Checkpoint, report: &mut CompactionReport) -> Result<()> {
        let kept: HashSet<&str> = new.entries().map(|entry| entry.file_name).collect();
        let mut removed = 0;
        for entry in self.old.entries().filter(|entry| !kept.contains(entry.file_name)) {
            // An entry without a file may have a name that no file can have.
            if entry.state == FileState::Missing || entry.file_name.is_empty() {
                continue;
            }
            let place = self.layout.conversation(entry.file_name);
            let Some(metadata) = layout::probe(self.vfs, &place)? else { continue };
            if !self.is_ours(&entry, &place, &metadata)? {
                let Some((bytes, _)) = layout::read_file(self.vfs, &place)? else { continue };
                report.quarantined.push(self.set_aside(&place, &bytes)?);
            }
            layout::remove_file(self.vfs, &place)?;
            removed += 1;
        }
        report.removed += removed;
        if removed > 0 {
            layout::sync_dir(self.vfs, &self.layout.conversations())?;
        }
        Ok(())
    }

    fn is_ours(&self, entry: &Entry<'_>, place: &Path, metadata: &crate::vfs::Metadata) -> Result<bool> {
        if entry.state != FileState::Intact {
            return Ok(false);
        }
        if looks_like(metadata, &entry.file) {
            return Ok(true);
        }
        let found = layout::print_of(self.vfs, place)?;
        Ok(found.is_some_and(|print| is_same(&print, &entry.file)))
    }
}
