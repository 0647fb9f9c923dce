//! Looking whether the files are as the checkpoint has them, without reading any.
//!
//! Owns the question whether reconciling would find anything new. Names, lengths and times answer it; whatever
//! differs is left to `reconcile.rs`, which reads the file and says what it means. Changes nothing.

use std::collections::HashMap;

use super::layout::{self, Layout, STAGED, looks_like};
use super::names::{ENDING, stem};
use crate::codec::checkpoint::{Checkpoint, Entry, FileState, Fingerprint};
use crate::error::{Error, Result};
use crate::index::Reliance;
use crate::vfs::{DirEntry, Vfs};

/// Whether a conversation's file looks as it was recorded. One that cannot be looked at does not.
pub(crate) fn is_file_as_recorded(vfs: &dyn Vfs, layout: &Layout, entry: &Entry<'_>) -> bool {
    // An entry without a file may have a name that no file can have.
    if entry.file_name.is_empty() {
        return true;
    }
    match (layout::probe(vfs, &layout.conversation(entry.file_name)), entry.state) {
        (Ok(Some(metadata)), FileState::Intact | FileState::Damaged) => looks_like(&metadata, &entry.file),
        (Ok(None), FileState::Missing) => true,
        (Ok(Some(_)), FileState::Missing) | (Ok(None) | Err(_), _) => false,
    }
}

/// Whether `message_store.json` looks as it was recorded.
///
/// # Errors
///
/// I/O errors.
pub(crate) fn is_list_as_recorded(
    vfs: &dyn Vfs,
    layout: &Layout,
    recorded: Option<&Fingerprint>,
) -> Result<bool> {
    Ok(match (layout::probe(vfs, &layout.index_file())?, recorded) {
        (Some(metadata), Some(recorded)) => looks_like(&metadata, recorded),
        (found, recorded) => found.is_none() && recorded.is_none(),
    })
}

/// Whether the directory holds no conversation's file that the checkpoint does not know, and nothing that a
/// compaction has left.
///
/// # Errors
///
/// I/O errors on the directory.
pub(crate) fn are_all_names_known(vfs: &dyn Vfs, layout: &Layout, checkpoint: &Checkpoint) -> Result<bool> {
    let names = Names::of(checkpoint);
    Ok(layout::list_dir(vfs, &layout.conversations())?.iter().all(|entry| match Name::of(entry) {
        Name::Staged => false,
        Name::Conversation(name) => names.find(name).is_some(),
        Name::Other => true,
    }))
}

/// Whether reconciling would find everything as the checkpoint says, so that none is needed.
///
/// `reliance` says whose files count.
///
/// # Errors
///
/// I/O errors on the directories.
pub(crate) fn is_all_as_recorded(
    vfs: &dyn Vfs,
    layout: &Layout,
    checkpoint: &Checkpoint,
    reliance: &dyn Fn(&str) -> Reliance,
) -> Result<bool> {
    let root = vfs.read_dir(layout.root()).map_err(|e| Error::io("list", layout.root(), e))?;
    let head = checkpoint.head();
    if root.iter().any(|entry| entry.name.starts_with(STAGED))
        || !is_list_as_recorded(vfs, layout, head.index_file.as_ref())?
    {
        return Ok(false);
    }
    let names = Names::of(checkpoint);
    let mut seen = vec![false; checkpoint.len()];
    for file in &layout::list_dir(vfs, &layout.conversations())? {
        let name = match Name::of(file) {
            Name::Staged => return Ok(false),
            Name::Other => continue,
            Name::Conversation(name) => name,
        };
        let Some((ordinal, entry)) = names.find(name) else { return Ok(false) };
        if !is_file_as_recorded(vfs, layout, &entry) && reliance(entry.id) != Reliance::LogAlone {
            return Ok(false);
        }
        if let Some(seen) = seen.get_mut(ordinal) {
            *seen = true;
        }
    }
    // What is damaged or missing is told at every opening, which the reconcile does.
    let is_fine = |(entry, is_seen): (Entry<'_>, &bool)| {
        entry.state == FileState::Intact && (*is_seen || reliance(entry.id) == Reliance::LogAlone)
    };
    Ok(checkpoint.entries().zip(&seen).all(is_fine))
}

/// What a name in the directory of the conversations means.
enum Name<'n> {
    Conversation(&'n str),
    Staged,
    Other,
}

impl<'n> Name<'n> {
    fn of(entry: &'n DirEntry) -> Self {
        if entry.name_is_exact && entry.name.ends_with(ENDING) {
            return Self::Conversation(&entry.name);
        }
        if entry.name.starts_with(STAGED) { Self::Staged } else { Self::Other }
    }
}

/// The file names of a checkpoint. Most files are named after their ids, by which they are found; the others
/// are listed.
struct Names<'c> {
    checkpoint: &'c Checkpoint,
    others: HashMap<&'c str, usize>,
}

impl<'c> Names<'c> {
    fn of(checkpoint: &'c Checkpoint) -> Self {
        let others = checkpoint.entries().enumerate().filter(|(_, entry)| stem(entry.file_name) != entry.id);
        Self { checkpoint, others: others.map(|(ordinal, entry)| (entry.file_name, ordinal)).collect() }
    }

    fn find(&self, file_name: &str) -> Option<(usize, Entry<'c>)> {
        let by_id = self.checkpoint.find(stem(file_name));
        let ordinals = by_id.into_iter().chain(self.others.get(file_name).copied());
        let entries = ordinals.filter_map(|ordinal| Some((ordinal, self.checkpoint.entry(ordinal)?)));
        entries.into_iter().find(|(_, entry)| entry.file_name == file_name)
    }
}
