//! How much of its history a directory was told to keep.
//!
//! Owns the file that says so, and the dropping of what is not to be kept. Does not know how a chapter is made, or what is read from one.

use super::reads::ReadState;
use crate::codec::keep::{MAX_KEEP, decode_keep, encode_keep};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Keep, KeptHistory};
use crate::snapshot::chapter::Chapter;
use crate::snapshot::chapter_list::{self, Named};
use crate::snapshot::keeping::too_many;
use crate::snapshot::layout::{self, Layout};
use crate::vfs::{self, OpenMode, Vfs};

/// How much is to be kept.
///
/// # Errors
///
/// `Corrupt` if that cannot be read.
pub(super) fn keep_in(vfs: &dyn Vfs, layout: &Layout) -> Result<Keep> {
    let path = layout.keep();
    if layout::probe(vfs, &path)?.is_none() {
        return Ok(Keep::DEFAULT);
    }
    let read = vfs.open(&path, OpenMode::Read).and_then(|file| {
        // Something else may have come to stand there, and of any length.
        let is_short = file.metadata()?.len <= MAX_KEEP;
        if is_short { vfs::read_all(&*file, MAX_KEEP) } else { Ok(Vec::new()) }
    });
    let bytes = read.map_err(|error| Error::io("read", &path, error))?;
    let reason = "it does not say how much of the history is kept; until `aral-store keep` says it anew, nothing is dropped";
    decode_keep(&bytes).ok_or_else(|| Error::new(ErrorKind::Corrupt, reason).at(&path, None))
}

/// Makes the choice durable.
pub(super) fn write_keep(vfs: &dyn Vfs, layout: &Layout, keep: Keep) -> Result<()> {
    let path = layout.keep();
    if layout::ensure_dir(vfs, &layout.archive())? {
        layout::sync_dir(vfs, &layout.log())?;
    }
    let unfinished = path.with_extension("tmp");
    layout::remove_file(vfs, &unfinished)?;
    layout::write_file(vfs, &unfinished, encode_keep(keep).as_bytes())?;
    vfs.rename(&unfinished, &path).map_err(|error| Error::io("rename", &unfinished, error))?;
    layout::sync_dir(vfs, &layout.archive())
}

/// How much is to be kept.
///
/// # Errors
///
/// `Corrupt` if that cannot be read.
fn keep_of(reads: &ReadState) -> Result<Keep> {
    keep_in(&*reads.vfs, &reads.layout)
}

/// The same for whoever is about to drop something: as long as nobody can read it, all is kept.
pub(super) fn keep_or_all(reads: &ReadState) -> Result<Keep> {
    keep_of(reads)
        .or_else(|error| if error.kind() == ErrorKind::Corrupt { Ok(Keep::Everything) } else { Err(error) })
}

/// Drops what is no longer to be kept, oldest first, and says how much is.
pub(super) fn trim(reads: &ReadState, now_micros: i64) -> Result<KeptHistory> {
    let (vfs, layout) = (&*reads.vfs, &reads.layout);
    let covered = reads.index().checkpoint().head().covered_seq;
    let keep = keep_or_all(reads)?;
    chapter_list::remove_unfinished(vfs, layout)?;
    let all = chapter_list::list(vfs, layout)?;
    if all.is_empty() {
        return Ok(KeptHistory { keep, ..KeptHistory::from_event(keep, covered + 1) });
    }
    let chain = chapter_list::chain(all.clone(), covered);
    // What was gone on with, and what a compaction left that failed, and did again as a part of more.
    let has_again = |named: &Named| {
        let is_in = |other: &Named| other.first <= named.first && named.last <= other.last && other != named;
        !chain.contains(named) && chain.iter().any(is_in)
    };
    let (again, all): (Vec<Named>, Vec<Named>) = all.into_iter().partition(has_again);
    // One that cannot be read: no compaction fails by it.
    let made = |named: &Named| Chapter::open(vfs, named).ok().map(|chapter| chapter.head.created_unix_micros);
    let count = too_many(&all, keep, now_micros, &made);
    let (dropped, kept) = all.split_at_checked(count).unwrap_or((&all, &[]));
    for named in dropped.iter().chain(&again) {
        layout::remove_file(vfs, &named.path)?;
    }
    if !dropped.is_empty() || !again.is_empty() {
        layout::sync_dir(vfs, &layout.archive())?;
    }
    let left: Vec<&Named> = chain.iter().filter(|named| kept.contains(named)).collect();
    let mut report = KeptHistory::from_event(keep, left.first().map_or(covered + 1, |named| named.first));
    report.bytes = kept.iter().map(|named| named.bytes).sum();
    let range =
        dropped.iter().map(|named| named.first).min().zip(dropped.iter().map(|named| named.last).max());
    (report.dropped, report.missing) = (range, chapter_list::gap(kept, covered));
    Ok(report)
}

/// Takes note of how much is to be kept, and drops what is not. When this returns, it is durable.
pub(super) fn set_keep(reads: &ReadState, keep: Keep, now_micros: i64) -> Result<KeptHistory> {
    let (vfs, layout) = (&*reads.vfs, &reads.layout);
    write_keep(vfs, layout, keep)?;
    trim(reads, now_micros)
}

/// How much is kept.
pub(super) fn kept(reads: &ReadState) -> Result<KeptHistory> {
    let covered = reads.index().checkpoint().head().covered_seq;
    let all = chapter_list::list(&*reads.vfs, &reads.layout)?;
    let bytes = all.iter().map(|named| named.bytes).sum();
    let missing = chapter_list::gap(&all, covered);
    let chain = chapter_list::chain(all, covered);
    let from = chain.first().map_or(covered + 1, |named| named.first);
    Ok(KeptHistory { bytes, missing, ..KeptHistory::from_event(keep_of(reads)?, from) })
}
