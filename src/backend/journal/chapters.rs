//! What is kept of the history beyond the newest compaction.
//!
//! Owns the chapters, which are those of a directory, the choice of how much is kept, and the dropping of what is not. A chapter says what is so
//! whoever makes it: what some conversations were, and what has happened to them since. So it does not matter who does, nor how often, and
//! nothing of the present depends on one.

use std::path::PathBuf;
use std::sync::Arc;

use super::names;
use super::objects::Objects;
use super::tries::{self, Made};
use crate::codec::keep::{decode_keep, encode_keep};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Keep, KeptHistory, Seq};
use crate::snapshot::chapter::Chapter;
use crate::snapshot::chapter_list::{self, Named, parse_name};
use crate::snapshot::keeping::too_many;
use crate::vfs::memory_file::MemoryFile;

/// What there is of a store's history.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    /// The chapters, those that end first before the others.
    pub(super) listed: Vec<Named>,
    /// How much is to be kept, or why that cannot be read.
    pub(super) keep: Result<Keep>,
}

impl Kept {
    pub(super) fn look(objects: &dyn Objects) -> Result<Self> {
        let (listed, has_choice) = listed(objects)?;
        let keep = match choice_in(objects, has_choice) {
            Err(error) if error.kind() != ErrorKind::Corrupt => return Err(error),
            keep => keep,
        };
        Ok(Self { listed, keep })
    }

    /// How much is to be kept, for whoever is about to drop something: as long as nobody can read it, all of it.
    pub(super) fn keep_or_all(&self) -> Keep {
        self.keep.as_ref().copied().unwrap_or(Keep::Everything)
    }
}

/// The chapters that there are, those that end first before the others.
pub(super) fn list(objects: &dyn Objects) -> Result<Vec<Named>> {
    listed(objects).map(|(listed, _)| listed)
}

/// The same, and whether a choice of how much is kept has come with a directory.
fn listed(objects: &dyn Objects) -> Result<(Vec<Named>, bool)> {
    let (mut found, mut has_choice): (Vec<Named>, bool) = (Vec::new(), false);
    for folder in [names::ARCHIVE, names::ARCHIVE_OF_A_DIRECTORY] {
        for (name, bytes) in tries::list_sized(objects, folder)? {
            let rest = name.strip_prefix(folder).unwrap_or_default();
            has_choice |= folder == names::ARCHIVE_OF_A_DIRECTORY && rest == names::KEEP;
            // Of two that came under one name either will do.
            let is_new =
                |(first, last)| !found.iter().any(|other| (other.first, other.last) == (first, last));
            if let Some((first, last)) = parse_name(rest).filter(|numbers| is_new(*numbers)) {
                found.push(Named { last, first, path: objects.place().join(&name), bytes });
            }
        }
    }
    found.sort();
    Ok((found, has_choice))
}

/// What errors name as the place of the history.
pub(super) fn place(objects: &dyn Objects) -> PathBuf {
    objects.place().join(names::ARCHIVE)
}

/// The name of a chapter's object.
fn name_of(objects: &dyn Objects, named: &Named) -> String {
    let name = named.path.strip_prefix(objects.place()).ok().and_then(|path| path.to_str());
    name.map_or_else(|| names::chapter(named.first, named.last), str::to_owned)
}

/// Reads a chapter.
///
/// # Errors
///
/// `NotFound` if it is not there any more; `Corrupt`.
pub(super) fn open(objects: &dyn Objects, named: &Named) -> Result<Chapter> {
    let gone = || {
        let reason = "it is not there: it has been dropped, or put together with others, since it was listed";
        Error::new(ErrorKind::NotFound, reason).at(&named.path, None)
    };
    let found = tries::get(objects, &name_of(objects, named))?.ok_or_else(gone)?;
    opened(named, found.bytes)
}

/// The chapter that these bytes are.
pub(super) fn opened(named: &Named, bytes: Vec<u8>) -> Result<Chapter> {
    Chapter::in_file(named, Arc::new(MemoryFile::holding(bytes)))
}

/// How much is to be kept: what was chosen here, or else in the directory that this was. The choice is never looked for in a list, which may lag,
/// but for that one.
///
/// # Errors
///
/// `Corrupt` if that cannot be read.
fn choice_in(objects: &dyn Objects, has_choice: bool) -> Result<Keep> {
    let folders = [(names::ARCHIVE, true), (names::ARCHIVE_OF_A_DIRECTORY, has_choice)];
    for (folder, _) in folders.into_iter().filter(|(_, is_looked_into)| *is_looked_into) {
        let name = format!("{folder}{}", names::KEEP);
        if let Some(found) = tries::get(objects, &name)? {
            let reason = "it does not say how much of the history is kept; until `aral-store keep` says it anew, nothing is dropped";
            let damaged = || Error::new(ErrorKind::Corrupt, reason).at(&objects.place().join(&name), None);
            return decode_keep(&found.bytes).ok_or_else(damaged);
        }
    }
    Ok(Keep::DEFAULT)
}

/// Makes the choice durable.
pub(super) fn write_keep(objects: &dyn Objects, keep: Keep) -> Result<()> {
    let (name, bytes) = (format!("{}{}", names::ARCHIVE, names::KEEP), encode_keep(keep).into_bytes());
    loop {
        let there = match tries::create(objects, &name, &bytes, &|there| there == bytes)? {
            Made::Mine => return Ok(()),
            Made::Theirs(there) => there,
        };
        if tries::replace(objects, &name, &bytes, &there.version)? {
            return Ok(());
        }
    }
}

/// Drops what is no longer to be kept of what a checkpoint covers, oldest first, and says how much is. What ends behind it is left alone: it may
/// be that of a compaction that has not got further yet.
pub(super) fn trim(objects: &dyn Objects, covered: Seq, now_micros: i64) -> Result<KeptHistory> {
    let there = Kept::look(objects)?;
    let keep = there.keep_or_all();
    let (all, beyond): (Vec<Named>, Vec<Named>) =
        there.listed.into_iter().partition(|named| named.last <= covered);
    let chain = chapter_list::chain(all.clone(), covered);
    // What those that count have again: it was gone on with, or is of a compaction that another one was faster than.
    let begins = chain.first().map_or(Seq::MAX, |named| named.first);
    let has_again = |named: &Named| !chain.contains(named) && begins <= named.first;
    let (again, mut kept): (Vec<Named>, Vec<Named>) = all.into_iter().partition(has_again);
    let made = |named: &Named| open(objects, named).ok().map(|chapter| chapter.head.created_unix_micros);
    let dropped: Vec<Named> = kept.drain(..too_many(&kept, keep, now_micros, &made)).collect();
    for named in again.iter().chain(&dropped) {
        tries::delete(objects, &name_of(objects, named))?;
    }
    kept.extend(beyond);
    let mut report = said(keep, &kept, covered);
    let first = dropped.iter().map(|named| named.first).min();
    report.dropped = first.zip(dropped.iter().map(|named| named.last).max());
    Ok(report)
}

/// What is said of these chapters.
fn said(keep: Keep, all: &[Named], covered: Seq) -> KeptHistory {
    let from = chapter_list::chain(all.to_vec(), covered).first().map_or(covered + 1, |named| named.first);
    let mut report = KeptHistory::from_event(keep, from);
    report.bytes = all.iter().map(|named| named.bytes).sum();
    report.missing = chapter_list::gap(all, covered);
    report
}

/// How much is kept.
///
/// # Errors
///
/// `Corrupt` if the choice cannot be read.
pub(super) fn kept(objects: &dyn Objects, covered: Seq) -> Result<KeptHistory> {
    let there = Kept::look(objects)?;
    Ok(said(there.keep?, &there.listed, covered))
}
